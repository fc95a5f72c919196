//! The same seeded workload at three distances, with the floor of the machine beside it.
//!
//! `cargo bench -p ironbook-benches --bench distances -- [--quick] [floors|process|sockets]`; each
//! figure is the median of five runs, quick takes one run of a twentieth.

use std::time::Duration;

use ironbook_benches::{
    distance::{self, Copies, FAR_MEMORY, MeasureError},
    flow::{Mix, Synthetic},
    load::{self, LoadOptions, Pace},
    open_loop, workload,
};
use ironbook_journal::Options;

/// Seed of the workload.
const SEED: u64 = 20_150_501;

fn main() -> Result<(), MeasureError> {
    let quick = std::env::args().any(|argument| argument == "--quick" || argument == "--test");
    let (runs, commands, rounds) = if quick { (1, 100_000, 2_000) } else { (5, 2_000_000, 50_000) };
    println!("median of {runs} runs, {commands} commands, {rounds} round trips, seed {SEED}\n");
    let parts = ["floors", "process", "sockets"];
    let chosen: Vec<_> = std::env::args().filter(|word| parts.contains(&word.as_str())).collect();
    let wanted = |part: &str| chosen.is_empty() || chosen.iter().any(|word| word == part);
    if wanted("floors") {
        floors(runs, rounds)?;
    }
    if wanted("process") {
        in_process(runs, commands)?;
    }
    if wanted("sockets") {
        sockets(runs, rounds, quick)?;
    }
    Ok(())
}

fn floors(runs: usize, rounds: u64) -> Result<(), MeasureError> {
    distance::pin(distance::NEAR_CPU);
    let gaps = distance::noise(Duration::from_millis(500));
    println!(
        "floor: empty loop              p50 {:>7} ns  p99.9 {:>8} ns  max {:>9} ns",
        gaps.value_at_quantile(0.5),
        gaps.value_at_quantile(0.999),
        gaps.max()
    );
    let copy = median(runs, || Ok(Copies::new(128, FAR_MEMORY).ns(4_000_000)))?;
    println!("floor: copy of 128 bytes       {copy:>11.1} ns");
    let hop = median(runs, || Ok(distance::ring_hop(rounds)?.value_at_quantile(0.5) as f64))?;
    println!("floor: ring there and back     p50 {hop:>7.0} ns");
    Ok(())
}

fn in_process(runs: usize, count: usize) -> Result<(), MeasureError> {
    for instruments in [1, 100, 10_000] {
        let commands = workload::commands(SEED, instruments, count);
        let seconds =
            median(runs, || Ok(distance::engine(instruments, &commands).0.as_secs_f64()))?;
        println!(
            "engine, {instruments:>6} instruments     {:>8.2} M commands/s  {:>6.0} ns each",
            count as f64 / seconds / 1e6,
            seconds * 1e9 / count as f64
        );
    }
    // One segment holds the whole run, so that none is made meanwhile: in a virtual machine that
    // costs whatever the host takes for its memory. How fast they are made stands beside it.
    let count = count / 2;
    let commands = workload::commands(SEED, 1, count);
    let mut made = Vec::new();
    let seconds = median(runs, || {
        let dir = tempfile::tempdir()?;
        let options = Options {
            segment_bytes: 512 << 20,
            prepared_ahead: 1,
            sync_interval: Duration::from_secs(1),
            ..Options::default()
        };
        let bytes = options.segment_bytes * (1 + u64::from(options.prepared_ahead));
        let (journal, time) = distance::ready_journal(dir.path(), options.clone())?;
        made.push(bytes as f64 / time.as_secs_f64() / 1e6);
        drop(journal);
        // Else the system writes it to the disk beside what is measured.
        dir.close()?;
        let dir = tempfile::tempdir()?;
        let commands = commands.clone();
        let run = open_loop::pipeline(1, commands, dir.path(), options, f64::INFINITY)?;
        Ok(run.duration.as_secs_f64())
    })?;
    println!("floor: segments made ready     {:>8.0} MB/s", middle(made));
    println!(
        "ring + engine + journal        {:>8.2} M commands/s  {:>6.0} ns each",
        count as f64 / seconds / 1e6,
        seconds * 1e9 / count as f64
    );
    Ok(())
}

/// p50, p99 and p99.9 in µs.
type Quantiles = [f64; 3];

fn sockets(runs: usize, rounds: u64, quick: bool) -> Result<(), MeasureError> {
    let mut ratios = Vec::new();
    for _ in 0..runs {
        let echo = distance::echo(rounds)?;
        let dir = tempfile::tempdir()?;
        let venue = distance::venue(dir.path())?;
        let fix = distance::socket(venue.address(), rounds)?;
        venue.stop();
        let quantiles = |of: &hdrhistogram::Histogram<u64>| {
            [0.5, 0.99, 0.999].map(|quantile| of.value_at_quantile(quantile) as f64 / 1e3)
        };
        ratios.push((quantiles(&echo), quantiles(&fix)));
    }
    for (index, name) in ["p50", "p99", "p99.9"].into_iter().enumerate() {
        let of = |pick: fn(&(Quantiles, Quantiles), usize) -> f64| {
            middle(ratios.iter().map(|pair| pick(pair, index)).collect())
        };
        println!(
            "socket to socket {name:<6} FIX {:>8.1} µs   echo {:>8.1} µs   ratio {:>5.2}",
            of(|pair, index| pair.1[index]),
            of(|pair, index| pair.0[index]),
            of(|pair, index| pair.1[index] / pair.0[index]),
        );
    }
    for (rate, count) in [(10_000.0, 50_000), (100_000.0, 300_000)] {
        let count = if quick { count / 50 } else { count };
        open_loop(Pace::PerSecond(rate), count, &format!("{rate:.0}/s"))?;
    }
    open_loop(Pace::Unlimited, if quick { 20_000 } else { 1_000_000 }, "full speed")
}

fn open_loop(pace: Pace, count: usize, name: &str) -> Result<(), MeasureError> {
    let dir = tempfile::tempdir()?;
    let venue = distance::venue(dir.path())?;
    let options = LoadOptions::new(venue.address(), pace, "B");
    distance::pin(distance::NEAR_CPU);
    let flow = Synthetic::new(SEED, 1, Mix::default(), workload::SCALES).take(count);
    let report = load::run(flow, &options, |_| {})?;
    let at = |quantile| report.latency.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "open loop {name:<11} {:>9.0} requests/s   p50 {:>8.1}  p99 {:>8.1}  p99.9 {:>8.1}  max {:>9.1} µs",
        report.requests() as f64 / report.duration.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(0.999),
        report.latency.max() as f64 / 1e3
    );
    venue.stop();
    Ok(())
}

fn median(
    runs: usize,
    mut measure: impl FnMut() -> Result<f64, MeasureError>,
) -> Result<f64, MeasureError> {
    Ok(middle((0..runs).map(|_| measure()).collect::<Result<Vec<_>, _>>()?))
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
