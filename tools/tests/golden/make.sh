#!/usr/bin/env bash
# Writes a golden journal: make.sh IRONBOOK DIR. The segment without its zeros at the end is the file.
set -euo pipefail
ironbook=$1 dir=$2
mkdir -p "$dir"
cat >"$dir/venue.toml" <<'TOML'
[threads]
core_cpu = "none"
[engine]
orders_max = 65536
[journal]
segment_bytes = 65536
prepared_ahead = 1
TOML
"$ironbook" start --fix 127.0.0.1:0 --config "$dir/venue.toml" --data "$dir/data" >"$dir/printed" &
venue=$!
until grep -q 'Ctrl-C' "$dir/printed"; do sleep 0.1; done
address=$(grep -oE '127\.0\.0\.1:[0-9]+' "$dir/printed" | head -1)
"$ironbook" load --fix "$address" --orders 40 --seed 1 --prefix golden-
"$ironbook" send --fix "$address" --as TRADER2 buy 300 AAPL 189.53
"$ironbook" send --fix "$address" --as TRADER1 sell 7 MSFT 410.00
"$ironbook" send --fix "$address" --as TRADER1 sell 7 MSFT 410.005 || true
kill -TERM $venue
wait $venue
"$ironbook" replay "$dir/data"
