//! Metrics of a venue over HTTP: what they say, and whoever asks for them.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use common::{FixClient, Flaw, TestVenue, cancel, limit, wait_for};
use ironbook_engine::{Event, Timestamp};
use ironbook_gateway::{
    config::{Config, RiskConfig},
    credentials::PasswordHash,
    metrics::{
        FAMILIES,
        http::{CONNECTIONS_MAX, Http, LINGER_NS, REQUEST_BYTES_MAX, TIME_NS_MAX},
        text::Kind,
    },
    network::TcpNetwork,
    slowest::Slow,
    stage_log::{self, STAGE_LOG, STAGE_LOG_OLD},
    stages::{Stage, TURNS_PER_SAMPLE},
    venue::Venue,
};
use ironbook_journal::Reader;

const GET: &str = "GET /metrics HTTP/1.1\r\nHost: ironbook\r\n\r\n";

/// Head and text of an answer to a request over a connection of its own.
#[track_caller]
fn ask(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(common::WAIT_MAX)).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("the request");
    let answer = read_answer(&mut stream);
    let (head, text) = answer.split_once("\r\n\r\n").expect("an empty line");
    (head.to_owned(), text.to_owned())
}

/// An answer as long as its head says.
#[track_caller]
fn read_answer(stream: &mut TcpStream) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 65_536]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            if body.len() >= length.expect("a length").parse::<usize>().expect("a number") {
                return text;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) => panic!("the answer ends too early: {text}"),
            Ok(count) => bytes.extend(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("no answer: {error}"),
        }
    }
}

/// Name and labels of each sample with its value. Refuses whatever the format doesn't allow.
#[track_caller]
fn samples(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'));
    let mut samples = BTreeMap::new();
    let (mut seen, mut family, mut kind) = (BTreeSet::new(), String::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a name and help");
            assert!(help.len() > 5 && seen.insert(name.to_owned()), "{line}");
            family = name.to_owned();
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, of) = rest.split_once(' ').expect("a name and a type");
            assert!(name == family, "{line}");
            kind = of.to_owned();
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a series and a value");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let suffix = name.strip_prefix(family.as_str()).expect(line);
        let may = if kind == "histogram" { ["_bucket", "_sum", "_count"] } else { [""; 3] };
        assert!(may.contains(&suffix), "{line}");
        assert!(labels.ends_with('}'), "{line}");
        assert!(name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'), "{line}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        let value = value.parse().expect(line);
        assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
    }
    samples
}

/// A venue with metrics, and its address for them.
fn venue(change: impl FnOnce(&mut Config)) -> (TestVenue, SocketAddr) {
    let venue = TestVenue::start_with(|config| {
        config.metrics.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        change(config);
    });
    let address = venue.venue().metrics_address().expect("it hands out metrics");
    (venue, address)
}

/// Names of the gateways.
fn gateways() -> Vec<String> {
    match common::gateways() {
        1 => vec!["gateway".to_owned()],
        several => (1..=several).map(|number| format!("gateway{number}")).collect(),
    }
}

#[test]
fn they_say_what_has_happened() {
    let hash = PasswordHash::of(b"a secret of B").expect("a hash").to_string();
    let (mut venue, address) = venue(|config| {
        config.market_data.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.sessions[1].username = Some("user-of-b".to_owned());
        config.sessions[1].password = Some(hash.clone());
        config.sessions[2].orders_per_second = 1;
        config.sessions[2].orders_burst = 1;
    });
    let mut a = venue.client("A");
    for (id, side) in [("A1", "1"), ("A2", "2"), ("A3", "1")] {
        a.send("D", &limit(id, "AAPL", side, "5", "1.00"));
    }
    // New, new and the trade of both, new.
    for _ in 0..5 {
        a.expect("35=8");
    }
    a.send("D", &limit("A4", "AAPL", "1", "5", "1.005"));
    a.expect("35=8|150=8");
    a.send("F", &cancel("A5", "NONE", "AAPL", "1"));
    a.expect("35=9");
    a.send("F", &cancel("A6", "A3", "AAPL", "1"));
    a.expect("35=8|150=4");
    // What is no message, what the venue does not have, and what there is no instrument for.
    a.send_raw(&a.build("0", a.next_out, "", Flaw::CheckSum));
    a.send("6", "23=1");
    a.expect("35=j|380=3");
    a.send("x", "320=l|559=0|55=NOSUCH");
    a.expect("35=y|560=2");
    let mut watcher = FixClient::log_on(venue.venue().market_data_address().expect("a port"), "A");
    for (id, symbol, answer) in [("w1", "AAPL", "35=W"), ("w2", "NOSUCH", "35=Y|281=0")] {
        watcher.send("V", &format!("262={id}|263=1|264=1|265=1|267=1|269=0|146=1|55={symbol}"));
        watcher.expect(answer);
    }
    watcher.send("e", "324=s|55=NOSUCH|263=2");
    watcher.expect("35=j");
    let mut c = venue.client("C");
    for id in ["C1", "C2"] {
        c.send("D", &limit(id, "AAPL", "1", "1", "1.00"));
    }
    c.expect("35=8|150=0");
    c.expect("35=8|150=8|58=*");
    let mut b = FixClient::connect(venue.address(), "B");
    b.send("A", "98=0|108=30|553=user-of-b|554=wrong");
    b.expect("35=5");
    b.expect_closed();
    c.log_out();

    let mut seen = BTreeMap::new();
    wait_for("all is counted", || {
        let (head, text) = ask(address, GET);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8"));
        for secret in ["secret", "wrong", "user-of-b", hash.as_str(), "argon2"] {
            assert!(!text.contains(secret), "{text}");
        }
        seen = samples(&text);
        seen["ironbook_connections{port=\"fix\"}"] == 1.0
            && seen["ironbook_session_logged_on{comp_id=\"C\"}"] == 0.0
            && seen["ironbook_market_data_subscriptions"] == 1.0
            && seen["ironbook_executions_total{exec_type=\"canceled\"}"] == 1.0
            && seen["ironbook_journal_lag_bytes{at=\"metrics\"}"] == 0.0
            && gateways()
                .iter()
                .all(|name| seen[&format!("ironbook_journal_lag_bytes{{at=\"{name}\"}}")] == 0.0)
    });
    let expected = [
        ("commands_total{kind=\"new_order\"}", 5.0),
        ("commands_total{kind=\"cancel_order\"}", 2.0),
        ("commands_total{kind=\"replace_order\"}", 0.0),
        ("executions_total{exec_type=\"new\"}", 4.0),
        ("executions_total{exec_type=\"trade\"}", 2.0),
        ("trades_total", 1.0),
        ("rejects_total{request=\"new_order\",rule=\"price_off_tick\"}", 1.0),
        ("rejects_total{request=\"cancel_or_replace\",rule=\"unknown_order\"}", 1.0),
        ("refusals_total{port=\"fix\",why=\"throttle\"}", 1.0),
        ("refusals_total{port=\"fix\",why=\"not_served\"}", 2.0),
        ("refusals_total{port=\"market_data\",why=\"not_served\"}", 2.0),
        ("messages_garbled_total{port=\"fix\"}", 1.0),
        ("messages_garbled_total{port=\"market_data\"}", 0.0),
        ("logon_failures_total{port=\"fix\"}", 1.0),
        ("logon_failures_total{port=\"market_data\"}", 0.0),
        ("connections_accepted_total{port=\"fix\"}", 3.0),
        ("connections_refused_total{port=\"fix\"}", 0.0),
        ("connections_accepted_total{port=\"market_data\"}", 1.0),
        ("connections{port=\"market_data\"}", 1.0),
        ("sessions", 4.0),
        ("sessions_logged_on", 1.0),
        ("session_logged_on{comp_id=\"A\"}", 1.0),
        ("session_next_msg_seq_num{comp_id=\"A\",direction=\"in\"}", 10.0),
        ("session_next_msg_seq_num{comp_id=\"A\",direction=\"out\"}", 12.0),
        ("receive_to_stamp_seconds_count", 7.0),
        ("receive_to_stamp_seconds_bucket{le=\"+Inf\"}", 7.0),
        ("ring_batches", 0.0),
        ("storage_ok", 1.0),
        ("audit_ok", 1.0),
        ("metrics_ok", 1.0),
    ];
    for (series, value) in expected {
        assert_eq!(seen[&format!("ironbook_{series}")], value, "{series}");
    }
    let at = |series: &str| seen[&format!("ironbook_{series}")];
    assert!(at("ring_batches_max") >= 1.0 && at("journal_segments_prepared") >= 0.0);
    assert!(at("start_time_seconds") > 1.7e9);
    for agent in ["follower", "market data"] {
        for what in ["turns", "busy_turns", "parks"] {
            assert!(
                at(&format!("agent_{what}_total{{agent=\"{agent}\"}}")) > 0.0,
                "{agent}, {what}"
            );
        }
    }
    assert!(!seen.contains_key("ironbook_refusals_total{port=\"market_data\",why=\"throttle\"}"));
    assert!(at("journal_position_bytes{at=\"written\"}") > 0.0);
    if at("stage_turns_per_sample") == 1.0 {
        assert!(at("stage_seconds_count{stage=\"decode\"}") >= 9.0);
        assert!(at("stage_seconds_sum{stage=\"core\"}") > 0.0);
    }
    // The last sequence that was counted is that of the journal, as nothing happens meanwhile but what A's client
    // would have to answer.
    drop((a, watcher));
    let last = at("journal_sequence");
    assert!(venue.stop().last_sequence as f64 >= last && last > 20.0, "{last}");
    // The next process counts anew, and knows where the journal is before anything happens.
    venue.restart();
    let (_, text) = ask(venue.venue().metrics_address().expect("an address"), GET);
    let seen = samples(&text);
    assert_eq!(seen["ironbook_trades_total"], 0.0);
    assert_eq!(seen["ironbook_journal_sequence"], venue.stop().last_sequence as f64);
}

#[test]
fn trips_are_counted_by_rule() {
    let (venue, address) = venue(|config| {
        let risk = RiskConfig { traded_notional: "4.99".to_owned(), ..RiskConfig::default() };
        config.sessions[0].risk = Some(risk);
    });
    let mut a = venue.client("A");
    for (id, side) in [("A1", "1"), ("A2", "2")] {
        a.send("D", &limit(id, "AAPL", side, "5", "1.00"));
    }
    for _ in 0..4 {
        a.expect("35=8");
    }
    let trips = |rule: &str| {
        samples(&ask(address, GET).1)[&format!("ironbook_trips_total{{rule=\"{rule}\"}}")]
    };
    wait_for("the trip is counted", || trips("traded_notional_too_large") == 1.0);
    assert_eq!(trips("loss_too_large"), 0.0);
}

#[test]
fn each_family_is_on_the_page_and_in_the_readme() {
    let (_venue, address) = venue(|_| {});
    let (_, text) = ask(address, GET);
    samples(&text);
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).expect("a README");
    for family in FAMILIES {
        let head = format!(
            "# HELP {0} {1}\n# TYPE {0} {2}\n{0}",
            family.name,
            family.help,
            family.kind.name()
        );
        assert!(text.contains(&head), "{head}\n{text}");
        let (start, end) = (
            format!("| `{}` | {} |", family.name, family.kind.name()),
            format!("| {} |", family.help),
        );
        let row = readme.lines().find(|line| line.starts_with(&start)).expect(&start);
        assert!(row.ends_with(&end), "{row} and {end}");
        assert!(family.kind != Kind::Histogram || family.name.ends_with("_seconds"));
    }
}

#[test]
fn without_stages_the_rest_is_told() {
    let (_venue, address) = venue(|config| config.metrics.stages = false);
    let (_, text) = ask(address, GET);
    let samples = samples(&text);
    assert!(!samples.keys().any(|series| series.starts_with("ironbook_stage_seconds")));
    assert_eq!(samples["ironbook_stage_turns_per_sample"], 0.0);
    assert!(samples.contains_key("ironbook_journal_sequence"));
}

#[test]
fn stages_are_measured_where_somebody_reads_them() {
    let is_measured = |venue: &Venue| !venue.stages().read().is_empty();
    let (mut with_metrics, _) = venue(|_| {});
    assert!(is_measured(with_metrics.venue()));
    with_metrics.stop();
    // The configuration is the same, but for who would read them.
    let mut without = TestVenue::start();
    assert!(without.config.metrics.stages && !is_measured(without.venue()));
    without.stop();
    let explicit = Venue::start_and_measure(&without.config, true).expect("it starts");
    assert!(is_measured(&explicit));
    explicit.stop();
}

#[test]
fn what_stages_took_is_kept_beside_the_journal() {
    let (mut venue, _) = venue(|_| {});
    let mut client = venue.client("A");
    for number in 0..200 {
        client.rest(&format!("A{number}"), "AAPL", "1", "1", "1.00");
    }
    drop(client);
    venue.stop();
    let dir = venue.journal();
    let mut records = Vec::new();
    assert_eq!(stage_log::read(&dir, |record| records.push(record)).expect("files"), []);
    let count = |stage| records.iter().map(|record| record.stage(stage).count).sum::<u64>();
    for stage in [Stage::Read, Stage::Decode, Stage::Ring, Stage::Core, Stage::Respond] {
        // Each, or one of many turns.
        assert!(count(stage) >= 200 / u64::from(2 * TURNS_PER_SAMPLE), "{stage:?}");
    }
    let mut frames = BTreeMap::new();
    let mut reader = Reader::open(&dir).expect("a journal");
    while let Some(frame) = reader.next().expect("good frames") {
        frames.insert(frame.sequence, (frame.time_ns, Event::is_kind(frame.kind)));
    }
    let mut next = 0;
    for record in &records {
        assert!(record.first_sequence >= next, "{record:?}");
        next = record.first_sequence + record.frames;
        let stamps =
            |of: &[Slow]| of.iter().map(|of| (of.sequence, of.time_ns)).collect::<Vec<_>>();
        for (sequence, time_ns) in stamps(&record.inputs) {
            assert_eq!(frames[&sequence], (time_ns, false), "an input");
        }
        for (sequence, time_ns) in stamps(&record.told) {
            assert_eq!(frames[&sequence].0, time_ns);
        }
    }
    assert!(next <= frames.len() as u64 + 1);
    assert!(records.iter().any(|record| !record.inputs.is_empty() && !record.told.is_empty()));
    // It is no part of the journal, and goes on with the next start; without room there is none.
    common::replay(&dir);
    for name in [STAGE_LOG, STAGE_LOG_OLD] {
        let _ = std::fs::remove_file(dir.join(name));
    }
    venue.restart_with(|config| config.metrics.stages_bytes = 0).expect("it starts");
    venue.stop();
    assert!(!dir.join(STAGE_LOG).exists());
}

#[test]
fn a_port_that_is_taken_is_told_before_anything_is_opened() {
    let (venue, address) = venue(|_| {});
    let data = venue.scratch().join("other");
    let mut config = common::small_config(&data);
    config.metrics.listen = Some(address);
    let error = Venue::start(&config).err().expect("it is taken");
    assert!(error.to_string().contains("--metrics"), "{error}");
    assert!(!data.exists());
}

/// A server stepped by hand, whose page is this.
struct Server {
    http: Http<TcpNetwork>,
    now: u64,
    page: String,
}

impl Server {
    fn new(page: String) -> Self {
        let network = TcpNetwork::listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        Self { http: Http::new(network), now: 1, page }
    }

    fn turn(&mut self) {
        self.http.turn(Timestamp(self.now), || self.page.clone());
    }

    /// A connection that the server knows.
    fn connect(&mut self) -> TcpStream {
        let open = self.http.open();
        let stream = TcpStream::connect(self.http.address()).expect("a connection");
        stream.set_nonblocking(true).expect("no waiting");
        wait_for("it is accepted", || {
            self.turn();
            self.http.open() > open
        });
        stream
    }

    /// All that comes until the server closes, or until it has nothing more to say.
    fn read(&mut self, stream: &mut TcpStream, whole: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 65_536]);
        wait_for("the answer is there", || {
            self.turn();
            match stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(count) => bytes.extend(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return true,
                Err(error) => panic!("{error}"),
            }
            whole(&bytes)
        });
        bytes
    }

    /// The status of the answer to a request.
    fn status(&mut self, request: &str) -> String {
        let open = self.http.open();
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("the request");
        let answer = self.read(&mut stream, |bytes| bytes.windows(4).any(|end| end == b"\r\n\r\n"));
        drop(stream);
        wait_for("it has gone", || {
            self.turn();
            self.http.open() == open
        });
        let answer = String::from_utf8_lossy(&answer).into_owned();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    /// Whether the server has closed a connection.
    fn is_closed(&mut self, stream: &mut TcpStream) -> bool {
        self.turn();
        match stream.read(&mut [0; 65_536]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }
}

#[test]
fn bad_requests_are_told_what_is_wrong() {
    let mut server = Server::new("page\n".to_owned());
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(REQUEST_BYTES_MAX));
    let endless = "x".repeat(4 * REQUEST_BYTES_MAX);
    for (request, expected) in [
        (GET, "HTTP/1.1 200 OK"),
        (
            "POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
            "HTTP/1.1 405 Method Not Allowed",
        ),
        ("GET /secret HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found"),
        ("8=FIX.4.4\u{1}9=5\u{1}35=0\u{1}\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        ("\u{0}\u{1}\u{2}", "HTTP/1.1 400 Bad Request"),
        (&long, "HTTP/1.1 431 Request Header Fields Too Large"),
        (&endless, "HTTP/1.1 431 Request Header Fields Too Large"),
    ] {
        assert_eq!(server.status(request), expected, "{request:.40}");
    }
    // HEAD has the length and not the text.
    let mut stream = server.connect();
    stream.write_all(b"HEAD /metrics HTTP/1.1\r\n\r\n").unwrap();
    let answer = server.read(&mut stream, |bytes| bytes.ends_with(b"\r\n\r\n"));
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains("\r\nContent-Length: 5\r\n") && !answer.contains("page"), "{answer}");
    let mut stream = server.connect();
    stream.write_all(b"HEAD /secret HTTP/1.1\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let answer = server.read(&mut stream, |_| false);
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404") && answer.ends_with("\r\n\r\n"), "{answer}");
    // Byte by byte is a request as well.
    let mut stream = server.connect();
    for byte in GET.as_bytes() {
        stream.write_all(&[*byte]).unwrap();
        server.turn();
    }
    let answer = server.read(&mut stream, |bytes| bytes.ends_with(b"page\n"));
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    // Whoever does not close is closed.
    assert!(!server.is_closed(&mut stream));
    server.now += LINGER_NS + 1;
    wait_for("it is closed", || server.is_closed(&mut stream));
}

#[test]
fn slow_clients_delay_nobody_and_have_an_end() {
    // More than sockets take.
    let mut server = Server::new("x".repeat(32 << 20));
    let (mut half, mut deaf) = (server.connect(), server.connect());
    half.write_all(&GET.as_bytes()[..20]).unwrap();
    deaf.write_all(GET.as_bytes()).unwrap();
    // One who sends without end, and never what could be a request.
    let mut flood = server.connect();
    let mut sent = 0;
    while let Ok(count) = flood.write(&[b'\n'; 65_536]) {
        sent += count;
        server.turn();
        if sent > 4 << 20 {
            break;
        }
    }
    assert_eq!(server.status("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 Not Found");
    server.now += TIME_NS_MAX + 1;
    wait_for("the slow ones are closed", || {
        server.turn();
        server.http.open() == 0
    });
    wait_for("he sees it", || server.is_closed(&mut half));
    // What one takes in time he gets whole.
    let mut stream = server.connect();
    stream.write_all(GET.as_bytes()).unwrap();
    let answer = server.read(&mut stream, |bytes| bytes.len() > 32 << 20);
    assert!(answer.ends_with(b"xxxx") && answer.len() > 32 << 20);
}

/// As `nc -N` does.
#[test]
fn who_says_nothing_more_gets_his_answer() {
    for length in [5, 32 << 20] {
        let mut server = Server::new("x".repeat(length));
        let ask = |server: &mut Server, request: &str| {
            let mut stream = server.connect();
            stream.write_all(request.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            stream
        };
        let mut stream = ask(&mut server, "GET /metrics HTTP/1.0\r\n\r\n");
        let answer = server.read(&mut stream, |_| false);
        assert!(answer.len() > length && answer.ends_with(b"xxxxx"), "{} bytes", answer.len());
        assert_eq!(server.http.open(), 0);
        // Half a request has none.
        let mut stream = ask(&mut server, &GET[..20]);
        assert_eq!(server.read(&mut stream, |_| false), b"");
        // Nor may one stay who takes nothing of it; the small page he has taken.
        let _deaf = ask(&mut server, GET);
        if length > 5 {
            (0..10).for_each(|_| server.turn());
            assert_eq!(server.http.open(), 1);
            server.now += TIME_NS_MAX + 1;
        }
        wait_for("he is gone", || {
            server.turn();
            server.http.open() == 0
        });
    }
}

#[test]
fn a_clock_that_is_set_back_keeps_no_place() {
    let mut server = Server::new("page\n".to_owned());
    server.now = 3_600_000_000_000;
    let mut silent = server.connect();
    server.now = 1;
    assert!(!server.is_closed(&mut silent));
    server.now += TIME_NS_MAX + 1;
    wait_for("he is closed", || server.is_closed(&mut silent));
}

#[test]
fn connections_have_a_bound() {
    let mut server = Server::new("page\n".to_owned());
    let mut open: Vec<_> = (0..CONNECTIONS_MAX).map(|_| server.connect()).collect();
    let mut more = TcpStream::connect(server.http.address()).expect("a connection");
    more.set_nonblocking(true).unwrap();
    more.write_all(GET.as_bytes()).unwrap();
    let told = server.read(&mut more, |bytes| bytes.ends_with(b"\n"));
    // And is closed without a reset, which would take that from a client that was slow to read it.
    more.set_nonblocking(false).unwrap();
    more.set_read_timeout(Some(common::WAIT_MAX)).unwrap();
    assert_eq!(more.read(&mut [0; 1]).map_err(|error| error.kind()), Ok(0));
    let told = String::from_utf8(told).unwrap();
    assert!(told.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{told}");
    assert_eq!(server.http.open(), CONNECTIONS_MAX);
    // The others are served, and give way.
    open[3].write_all(GET.as_bytes()).unwrap();
    let answer = server.read(&mut open[3], |bytes| bytes.ends_with(b"page\n"));
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
    drop(open.remove(3));
    wait_for("there is room", || {
        server.turn();
        server.http.open() < CONNECTIONS_MAX
    });
    assert_eq!(server.status(GET), "HTTP/1.1 200 OK");
    // Also from those who never say anything.
    server.now += TIME_NS_MAX + 1;
    wait_for("they are closed", || {
        server.turn();
        server.http.open() == 0
    });
}

#[test]
fn the_server_sleeps_until_somebody_comes() {
    let mut server = Server::new(String::new());
    server.http.poll(Duration::ZERO);
    let _stream = TcpStream::connect(server.http.address()).expect("a connection");
    // Without a wake-up this would take longer than any test may.
    server.http.poll(Duration::from_secs(3_600));
    server.turn();
    assert_eq!(server.http.open(), 1);
}
