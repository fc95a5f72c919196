//! Every distance once, small: what the benchmarks call works and counts right. No figure is
//! judged here.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use ironbook_benches::{
    book::{self, Desk, SHAPES, SlotArray, SlotIndex, Slots, TradeHash},
    crowd::{self, Crowd},
    distance::{self, Copies, NEAR_MEMORY},
    flow::{FlowEvent, Mix, Synthetic},
    load::{self, Load, LoadError, LoadOptions, Pace},
    open_loop,
    workload::{self, SCALES},
};
use ironbook_engine::command::TICKS_MAX;
use ironbook_gateway::{
    client::ClientError,
    replay::{Replayed, play},
};
use ironbook_journal::{Options, Reader};

fn options() -> Options {
    Options { segment_bytes: 1 << 24, ..Options::default() }
}

fn replay(dir: &std::path::Path) -> Replayed {
    let mut reader = Reader::open(dir).expect("a journal");
    play(&mut reader, None).expect("the journal plays back")
}

fn load_options(address: SocketAddr, pace: Pace, prefix: &str) -> LoadOptions {
    LoadOptions {
        symbols: vec!["MSFT".to_owned()],
        in_flight_max: 64,
        ..LoadOptions::new(address, pace, prefix)
    }
}

#[test]
fn engine() {
    let commands = workload::commands(1, 3, 2_000);
    assert_eq!(commands.len(), 2_000);
    let (_, events) = distance::engine(3, &commands);
    assert!(events >= 2_000, "each command has an event: {events}");
    assert_eq!(distance::engine(3, &commands).1, events, "the same commands, the same events");
    assert_eq!(distance::engine(3, &[]).1, 0);
    let (mut turns, mut time) = (Vec::new(), Duration::ZERO);
    let in_turns = distance::engine_in_turns(3, &commands, 900, |count, took| {
        turns.push(count);
        time += took;
    });
    assert_eq!((in_turns, &turns[..]), (events, &[900, 900, 200][..]));
    assert!(time > Duration::ZERO);
    let paced = open_loop::engine(3, &commands, 1e6);
    assert_eq!((paced.done, paced.latency.len()), (2_000, 2_000));
    assert!(paced.duration.as_micros() >= 1_999 && paced.rate() > 0.0, "not before they are due");
}

#[test]
fn pipeline_leaves_a_journal_that_replays() {
    let dir = tempfile::tempdir().unwrap();
    let commands = workload::commands(1, 3, 2_000);
    let (_, events) = distance::engine(3, &commands);
    let run = open_loop::pipeline(3, commands, dir.path(), options(), f64::INFINITY);
    assert_eq!(run.expect("a measurement").done, 2_000);
    assert!(ironbook_journal::verify(dir.path()).unwrap().findings.is_empty());
    let counts = replay(dir.path()).counts;
    assert_eq!(counts.commands, 2_000 + workload::preparation(3).len() as u64);
    assert!(counts.events >= events && counts.trades > 0, "{counts:?}");
}

#[test]
fn pipeline_in_turns_does_the_same() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let commands = workload::commands(1, 3, 2_000);
    let whole = open_loop::pipeline(3, commands.clone(), dirs[0].path(), options(), f64::INFINITY);
    assert_eq!(whole.expect("a measurement").done, 2_000);
    let mut turns = Vec::new();
    let each = |count, took: Duration| turns.push((count, took > Duration::ZERO));
    open_loop::pipeline_in_turns(3, commands, dirs[1].path(), options(), 900, each).unwrap();
    assert_eq!(turns, [(900, true), (900, true), (200, true)]);
    let [whole, in_turns] = dirs.map(|dir| replay(dir.path()));
    assert_eq!(in_turns.counts, whole.counts);
    let state = |replayed: Replayed| replayed.engine.expect("all is applied").state_hash();
    assert_eq!(state(in_turns), state(whole));
}

#[test]
fn floors() {
    assert_eq!(distance::ring_hop(200).expect("a measurement").len(), 200);
    assert_eq!(distance::echo(200).expect("a measurement").len(), 200);
    let mut paced = open_loop::echo(200, 1e6, 16, 0).expect("a measurement");
    assert_eq!((paced.done, paced.latency.len()), (200, 200));
    let warm = open_loop::echo(100, 1e6, 16, 30).expect("a measurement");
    paced.add(&warm);
    assert_eq!((paced.done, paced.latency.len()), (300, 270));
    assert!(paced.duration > warm.duration);
    let mut copies = Copies::new(250, NEAR_MEMORY);
    // More than once through the memory.
    let ns = [1_000, 10_000].map(|rounds| copies.ns(rounds));
    assert!(ns.iter().all(|ns| ns.is_finite() && *ns >= 0.0));
    assert!(!distance::noise(Duration::from_millis(5)).is_empty());
    let rounds = distance::pages_in_use(Duration::from_millis(5));
    assert!((1..=50).contains(&rounds.len()), "one every 0.1 ms: {}", rounds.len());
}

#[test]
fn socket_and_load_answer_every_request() {
    let dir = tempfile::tempdir().unwrap();
    let venue = distance::venue(dir.path()).expect("a venue");
    let latency = distance::socket(venue.address(), 200).expect("a measurement");
    assert_eq!(latency.len(), 200, "one round trip for each request");
    let options = load_options(venue.address(), Pace::Unlimited, "short-");
    let flow = Synthetic::new(1, 1, Mix::default(), SCALES).take(1_000);
    let mut sent = 0;
    let report = load::run(flow, &options, |count| sent = count).expect("a load");
    assert_eq!((report.requests(), report.unanswered, sent), (1_000, 0, 1_000));
    assert_eq!(report.latency.len(), 1_000, "one latency for each request");
    assert!(report.reports >= 1_000 && report.fills > 0 && report.orders > report.replaces);

    let paced = LoadOptions { pace: Pace::PerSecond(20_000.0), prefix: "paced-".into(), ..options };
    let flow = Synthetic::new(2, 1, Mix::default(), SCALES).take(200);
    let report = load::run(flow, &paced, |_| {}).expect("a load");
    assert_eq!((report.requests(), report.unanswered), (200, 0));

    let blocks = LoadOptions {
        pace: Pace::PerSecond(5_000.0),
        comp_ids: vec!["LOADGEN".to_owned(), "TRADER1".to_owned()],
        prefix: "blocks-".into(),
        ..paced.clone()
    };
    let flow = Synthetic::new(2, 1, Mix::default(), SCALES).take(300);
    let flow =
        flow.enumerate().map(|(number, event)| FlowEvent { client: number as u32 % 3, ..event });
    let report = load::run(flow, &blocks, |_| {}).expect("a load");
    assert_eq!((report.requests(), report.unanswered, report.latency.len()), (300, 0, 300));
    // What is sent too early is answered before its time, which counts as one nanosecond.
    assert!(report.latency.min() > 1 && report.duration >= Duration::from_micros(299 * 200));

    let parts = LoadOptions { prefix: "parts-".into(), ..paced };
    let mut load = Load::log_on(&parts).expect("a session");
    let mut flow = Synthetic::new(3, 1, Mix::default(), SCALES);
    let begun = Instant::now();
    load.send(flow.by_ref().take(100), 0, |_| {}).expect("answers");
    let pause = Duration::from_millis(50);
    std::thread::sleep(pause);
    load.wake_venue().expect("an answer");
    let mut sent = 0;
    load.send(flow.take(100), 30, |count| sent = count).expect("answers");
    let elapsed = begun.elapsed();
    let report = load.log_out().expect("a load");
    assert_eq!((report.requests(), report.unanswered, sent), (200, 0, 200));
    assert_eq!(report.latency.len(), 170, "without those that warm up");
    assert!(report.duration + pause <= elapsed, "a pause between flows is no part of them");
    let longest = Duration::from_nanos(report.latency.max());
    assert!(longest <= report.duration + report.duration / 100, "each flow has its own time");

    let encoded = LoadOptions { prefix: "encoded-".into(), ..blocks };
    let mut load = Load::log_on(&encoded).expect("a session");
    let mut flow = Synthetic::new(4, 1, Mix::default(), SCALES);
    let begun = Instant::now();
    load.send_encoded(flow.by_ref().take(700), 0, |_| {}).expect("answers");
    load.send(flow.by_ref().take(100), 0, |_| {}).expect("answers");
    load.send_encoded(flow.take(0), 0, |_| {}).expect("nothing to wait for");
    let elapsed = begun.elapsed();
    let report = load.log_out().expect("a load");
    assert_eq!((report.requests(), report.unanswered, report.latency.len()), (800, 0, 800));
    let even = Duration::from_micros((699 + 99) * 200);
    assert!(report.latency.min() > 1 && (even..=elapsed).contains(&report.duration));
    let ended = venue.stop().expect("it ends in order");
    let replayed = replay(dir.path());
    assert_eq!(replayed.engine.expect("an engine").state_hash(), ended.state_hash);
    assert!(replayed.counts.commands > 1_400);
}

#[test]
#[should_panic = "0.02 s without a word"]
fn a_flow_that_is_encoded_whole_is_shorter_than_a_silence() {
    let dir = tempfile::tempdir().unwrap();
    let venue = distance::venue(dir.path()).expect("a venue");
    let silence_max = Duration::from_millis(20);
    let options = load_options(venue.address(), Pace::PerSecond(1_000.0), "long-");
    let options = LoadOptions { silence_max, ..options };
    let mut load = Load::log_on(&options).expect("a session");
    let flow = Synthetic::new(1, 1, Mix::default(), SCALES);
    let _ = load.send_encoded(flow.take(20), 0, |_| {});
}

#[test]
fn a_load_that_stops_counts_what_was_sent_and_not_what_is_encoded() {
    let dir = tempfile::tempdir().unwrap();
    let venue = distance::venue(dir.path()).expect("a venue");
    let options = load_options(venue.address(), Pace::PerSecond(1_000.0), "stops-");
    let (answered, is_answered) = std::sync::mpsc::channel();
    let stopping = std::thread::spawn(move || {
        is_answered.recv().expect("answers");
        venue.stop().expect("it ends in order");
    });
    let mut load = Load::log_on(&options).expect("a session");
    let mut flow = Synthetic::new(1, 1, Mix::default(), SCALES);
    load.send(flow.by_ref().take(10), 0, |_| {}).expect("answers");
    let mut answered = Some(answered);
    let reason = load
        .send(flow, 0, |_| {
            if let Some(answered) = answered.take() {
                answered.send(()).expect("it waits");
            }
        })
        .expect_err("the venue has stopped");
    let LoadError::Stopped { report, .. } = load.stopped(reason) else {
        panic!("it was logged on")
    };
    stopping.join().expect("a thread that ends in order");
    // Each has its own millisecond, from the first on, and the two flows have one each at their start.
    assert!(report.requests() <= report.duration.as_millis() as u64 + 2, "{report:?}");
    assert!(report.requests() > 10 && report.orders > report.replaces);
}

#[test]
fn what_was_read_counts_when_the_connection_breaks() {
    let dir = tempfile::tempdir().unwrap();
    let venue = distance::venue(dir.path()).expect("a venue");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // Blocks of twenty: the connection breaks amid the first.
    let pace = Pace::PerSecond(1_000.0);
    let options = load_options(listener.local_addr().unwrap(), pace, "breaks-");
    let address = venue.address();
    let between = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = TcpStream::connect(address).unwrap();
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(Duration::from_micros(100))).unwrap();
        }
        let (mut bytes, mut reports) = ([0; 4_096], 0);
        while reports < 5 {
            if let Ok(count) = client.read(&mut bytes) {
                server.write_all(&bytes[..count]).unwrap();
            }
            if let Ok(count) = server.read(&mut bytes) {
                let found = bytes[..count].windows(6).filter(|text| text == b"\x0135=8\x01");
                reports += found.count();
                client.write_all(&bytes[..count]).unwrap();
            }
        }
        std::thread::sleep(Duration::from_millis(5));
        // What is not read when a connection is closed resets it.
        while client.peek(&mut bytes).is_err() {}
    });
    let flow = Synthetic::new(1, 1, Mix::default(), SCALES);
    let Err(LoadError::Stopped { report, .. }) = load::run(flow, &options, |_| {}) else {
        panic!("the connection broke")
    };
    between.join().expect("a thread that ends in order");
    assert!(report.reports >= 3 && report.requests() - report.unanswered >= 3, "{report:?}");
    venue.stop().expect("it ends in order");
}

#[test]
fn a_venue_that_does_not_wake_up_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let venue = distance::venue(dir.path()).expect("a venue");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let silence_max = Duration::from_millis(20);
    let options = load_options(listener.local_addr().unwrap(), Pace::Unlimited, "sleeps-");
    let options = LoadOptions { silence_max, ..options };
    let address = venue.address();
    let between = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = TcpStream::connect(address).unwrap();
        let mut bytes = [0; 4_096];
        let mut pass_on = |from: &mut TcpStream, to: &mut TcpStream| {
            let count = from.read(&mut bytes).unwrap();
            to.write_all(&bytes[..count]).unwrap();
        };
        // The Logon and its answer.
        pass_on(&mut client, &mut server);
        pass_on(&mut server, &mut client);
        let mut asked = Vec::new();
        client.read_to_end(&mut asked).unwrap();
        asked
    });
    let mut load = Load::log_on(&options).expect("a session");
    let reason = load.wake_venue().expect_err("nobody answers");
    assert!(matches!(reason, ClientError::Timeout(longest) if longest == silence_max), "{reason}");
    drop(load);
    let asked = between.join().expect("a thread that ends in order");
    assert!(asked.windows(6).any(|text| text == b"\x0135=1\x01"), "a TestRequest");
    venue.stop().expect("it ends in order");
}

#[test]
fn a_crowd_is_answered_and_logged_out() {
    let dir = tempfile::tempdir().unwrap();
    let venue = crowd::venue(dir.path(), 30).expect("a venue");
    let mut crowd = Crowd::log_on(venue.address(), 30).expect("sessions");
    let served = crowd.send(3, 5_000.0).expect("a measurement");
    assert_eq!(served.answers(), 90);
    let of_sessions = served.of_sessions(1.0);
    assert_eq!(
        of_sessions.iter().max(),
        Some(&served.of_all(1.0)),
        "the longest of all is somebody's"
    );
    assert!(of_sessions.iter().all(|longest| *longest > 0), "each session has its answers");
    assert!(crowd::idle_cost(Duration::from_millis(5)).is_finite());
    crowd.log_out().expect("sessions end in order");
    assert_eq!(venue.started().live_orders, 0);
    venue.stop().expect("it ends in order");
    let state = replay(dir.path()).engine.expect("an engine");
    assert_eq!(state.totals().live_orders, 90, "each order is that of its session");
}

/// Plays a flow of books and returns its trades.
fn trades(flow: &book::Flow, ticks_max: u64, slots: impl Slots, looks_ahead: bool) -> TradeHash {
    let mut desk = Desk::new(flow.instruments, ticks_max, 1 << 16, slots);
    let mut sum = TradeHash::default();
    for (at, request) in flow.requests.iter().enumerate() {
        if looks_ahead {
            desk.look_ahead(|ahead| flow.requests.get(at + ahead));
        }
        desk.apply(request, |fill| sum.add(request.order, fill));
    }
    sum
}

#[test]
fn flows_of_books_trade_the_same_however_orders_are_found() {
    for shape in &SHAPES {
        let small = book::Shape { depth: shape.depth.min(9_000), ..*shape };
        let small = book::Shape { instruments: small.instruments.min(4), ..small };
        let flow = book::flow(&small, 3, 20_000);
        assert_eq!(flow.requests.len(), flow.warm + 20_000);
        let (ids, highest) = (flow.order_max() as usize, flow.ticks_max());
        let anywhere = TICKS_MAX as u64;
        let expected = trades(&flow, anywhere, SlotArray::new(ids), false);
        assert!(expected.trades > 0 || small.name == "far", "{}", small.name);
        for (ticks_max, looks_ahead) in [(anywhere, true), (highest, false), (highest, true)] {
            let found = trades(&flow, ticks_max, SlotArray::new(ids), looks_ahead);
            assert_eq!(found, expected, "{}", small.name);
        }
        let found = trades(&flow, anywhere, SlotIndex::new(1 << 16), false);
        assert_eq!(found, expected, "{}", small.name);
    }
}

#[test]
fn a_flow_in_a_file_has_a_record_for_each_request() {
    let flow = book::flow(&SHAPES[0], 3, 100);
    let mut bytes = Vec::new();
    book::write_flow(&flow, &mut bytes).unwrap();
    assert_eq!(bytes.len(), 24 + 32 * flow.requests.len());
    assert_eq!(bytes[..8], *b"IBFLOW01");
    let first = flow.requests[0];
    assert_eq!(bytes[24..32], first.order.to_le_bytes());
    assert_eq!(bytes[32..40], first.ticks.to_le_bytes());
}
