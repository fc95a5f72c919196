//! A small ring, small segments, and more orders than fit: nothing is lost, nothing depends on the
//! threads, and the journal proves it.

mod common;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use common::{FixClient, TestVenue, limit, session, small_config};
use ironbook_engine::{Event, Side, event::Execution, record::Record};
use ironbook_gateway::{
    config::Layout,
    random::Random,
    replay::{PlayError, ReplayError, play},
    venue::Venue,
};
use ironbook_journal::{Frame, Options, Reader};
use zerocopy::IntoBytes;

/// Orders of the burst.
const ORDERS: usize = 20_000;

/// Bodies of orders around one price that often trade.
fn flow(prefix: &str, seed: u64, count: usize) -> Vec<String> {
    let mut numbers = Random::new(seed);
    let time = common::now();
    (0..count)
        .map(|number| {
            let side = 1 + numbers.below(2);
            let price = 10_000 + numbers.below(20) as i64 - 10;
            let qty = 1 + numbers.below(9);
            format!(
                "11={prefix}{number}|55=AAPL|54={side}|60={time}|38={qty}|40=2|44={}.{:02}",
                price / 100,
                price % 100
            )
        })
        .collect()
}

/// Sends orders without waiting for answers while another thread reads; returns the reports of
/// acceptance by ClOrdID, in order, and the number of fills.
fn burst(mut client: FixClient, bodies: Vec<String>) -> (Vec<String>, u64) {
    let mut stream = client.stream().try_clone().expect("a second handle");
    let count = bodies.len();
    let bytes = client.build_next("D", bodies);
    let sender = thread::spawn(move || {
        use std::io::Write;
        // The venue stops reading while the ring is full: this waits then, and loses nothing.
        stream.set_write_timeout(None).expect("no timeout");
        stream.write_all(&bytes).expect("the venue takes everything in the end");
    });
    let (mut accepted, mut fills) = (Vec::new(), 0);
    while accepted.len() < count {
        let report = client.expect("35=8");
        match report.get(150) {
            Some("0") => accepted.push(report.get(11).expect("a ClOrdID").to_owned()),
            Some("F") => fills += 1,
            _ => panic!("{report:?}"),
        }
    }
    sender.join().expect("everything was sent");
    // Fills of the last order stand before the answer to this.
    client.send("1", "112=end");
    loop {
        let report = client.next_in_sequence().expect("the session goes on");
        if report.kind() == "0" {
            break;
        }
        assert_eq!(report.get(150), Some("F"), "{report:?}");
        fills += 1;
    }
    (accepted, fills)
}

/// Trades and book of a journal, without times and sequences.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// Price, quantity, and ClOrdID of both sides of each trade.
    trades: Vec<(i64, i64, String)>,
    /// Price, quantity and orders of each level, best first, bids before asks.
    book: Vec<(i64, u128, u32)>,
}

fn outcome(dir: &Path) -> Outcome {
    let replayed = common::replay(dir);
    let engine = replayed.engine.expect("an engine");
    let mut book = Vec::new();
    for instrument in engine.instruments() {
        let known = engine.book(instrument.definition.instrument).expect("a book");
        for side in [Side::Buy, Side::Sell] {
            book.extend(
                known.levels(side).map(|level| (level.price, level.qty(), level.order_count())),
            );
        }
    }
    let mut trades = Vec::new();
    let mut reader = Reader::open(dir).expect("a journal");
    while let Some(frame) = reader.next().expect("an intact journal") {
        if frame.kind == Execution::KIND
            && let Ok(Event::Execution(event)) = Event::decode(frame.kind, frame.payload)
            && event.last_qty > 0
        {
            trades.push((event.last_px, event.last_qty, event.cl_ord_id.to_string()));
        }
    }
    Outcome { trades, book }
}

/// Runs a flow of one session on a fresh venue.
fn run(layout: Layout, ring_slots: usize, bodies: &[String]) -> Outcome {
    let mut venue = TestVenue::start_with(|config| {
        config.threads.layout = layout;
        config.threads.ring_slots = ring_slots;
        config.fix.out_buffer_bytes_max = 64 << 20;
    });
    let (accepted, fills) = burst(venue.client("A"), bodies.to_vec());
    assert_eq!(accepted.len(), bodies.len());
    venue.stop();
    let outcome = outcome(&venue.journal());
    assert_eq!(outcome.trades.len() as u64, fills, "each fill was reported");
    outcome
}

#[test]
fn a_burst_on_a_small_ring_loses_nothing() {
    for &layout in common::layouts() {
        let mut venue = TestVenue::start_with(|config| {
            config.threads.layout = layout;
            config.threads.ring_slots = 32;
            config.fix.out_buffer_bytes_max = 64 << 20;
        });
        let clients = ["A", "B"].map(|comp_id| {
            let client = venue.client(comp_id);
            let bodies = flow(comp_id, 7, ORDERS / 2);
            thread::spawn(move || burst(client, bodies))
        });
        let mut fills = 0;
        for (client, comp_id) in clients.into_iter().zip(["A", "B"]) {
            let (accepted, filled) = client.join().expect("a client's answers");
            let expected = (0..ORDERS / 2).map(|number| format!("{comp_id}{number}"));
            assert!(accepted.into_iter().eq(expected), "every order once, in its order");
            fills += filled;
        }
        venue.stop();
        // What the maker heard after the last answer of a client is in the journal all the same.
        let outcome = outcome(&venue.journal());
        assert!(outcome.trades.len() as u64 >= fills && fills > ORDERS as u64 / 4, "{fills}");
    }
}

#[test]
fn threads_and_ring_decide_nothing() {
    let bodies = flow("f", 42, ORDERS);
    let first = run(common::layouts()[0], 32, &bodies);
    assert!(first.trades.len() > ORDERS / 4 && !first.book.is_empty());
    assert_eq!(run(common::layouts()[0], 32, &bodies), first, "a second run of the same input");
    assert_eq!(run(Layout::Dedicated, 4_096, &bodies), first, "a thread each");
    assert_eq!(run(Layout::Dedicated, 32, &bodies), first, "a thread each and a small ring");
    let other = flow("f", 43, ORDERS);
    assert_ne!(
        run(common::layouts()[0], 4_096, &other),
        first,
        "another input comes to another end"
    );
}

#[test]
fn the_smallest_ring_that_may_be_configured_trades() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = small_config(&dir.path().join("journal"));
    let smallest = (1..64)
        .find(|slots| {
            config.threads.ring_slots = *slots;
            config.check().is_ok()
        })
        .expect("a ring that may be configured");
    config.threads.ring_slots = smallest;
    let venue = Venue::start(&config).expect("the venue starts");
    let mut a = FixClient::log_on(venue.address(), "A");
    for number in 0..100 {
        a.rest(&format!("a{number}"), "AAPL", "1", "1", "1.00");
    }
    a.log_out();
    venue.stop().expect("it ends in order");
}

#[test]
fn events_that_fill_several_segments_stay_one_group() {
    const RESTING: usize = 10_000;
    for &layout in common::layouts() {
        let mut venue = TestVenue::start_with(|config| {
            config.threads.layout = layout;
            config.journal.segment_bytes = 1 << 18;
            config.journal.prepared_ahead = 1;
        });
        let mut a = venue.client("A");
        let mut b = venue.client("B");
        for number in 0..RESTING {
            a.send("D", &limit(&format!("a{number}"), "AAPL", "1", "1", "1.00"));
            if number % 100 == 99 {
                (0..100).for_each(|_| drop(a.expect("35=8|150=0")));
            }
        }
        a.send("q", &format!("11=m|530=7|60={}", common::now()));
        a.expect(&format!("35=r|531=7|533={RESTING}"));
        for number in 0..RESTING {
            a.expect(&format!("35=8|150=4|11=a{number}"));
        }
        a.ping();
        b.ping();
        drop((a, b));
        venue.stop();
        let segments = Reader::open(&venue.journal()).unwrap().segments().unwrap().len();
        assert!(segments > 8, "{segments} segments");
        common::replay(&venue.journal());
    }
}

#[test]
fn a_stop_logs_everybody_out_however_small_the_ring() {
    const SESSIONS: usize = 40;
    for &layout in common::layouts() {
        let mut venue = TestVenue::start_with(|config| {
            config.threads.layout = layout;
            config.threads.ring_slots = 32;
            config.sessions = (0..SESSIONS).map(|number| session(&format!("S{number}"))).collect();
        });
        let clients: Vec<_> = (0..SESSIONS)
            .map(|number| {
                let mut client = venue.client(&format!("S{number}"));
                thread::spawn(move || {
                    client.expect("35=5|58=the venue stops");
                    client.send("5", "");
                    client.expect_closed();
                })
            })
            .collect();
        venue.stop();
        for client in clients {
            client.join().expect("the client was logged out in order");
        }
    }
}

#[test]
fn a_stop_does_not_wait_for_ever_for_a_client_who_never_reads() {
    for &layout in common::layouts() {
        let mut venue = TestVenue::start_with(|config| {
            config.threads.layout = layout;
            config.fix.logout_timeout_ms = 100;
            // Large enough that the client is not too slow, so that something waits for it.
            config.fix.out_buffer_bytes_max = 64 << 20;
        });
        let mut lazy = venue.client("B");
        lazy.rest("maker", "AAPL", "2", "1000000", "100.00");
        let mut a = venue.client("A");
        for batch in 0..400 {
            for number in 0..100 {
                let id = format!("i{}", batch * 100 + number);
                a.send("D", &format!("{}|59=3", limit(&id, "AAPL", "1", "1", "100.00")));
            }
            for _ in 0..100 {
                a.expect("35=8|150=0|39=0");
                a.expect("35=8|150=F|39=2");
            }
        }
        drop(a);
        venue.stop();
        drop(lazy);
        common::replay(&venue.journal());
    }
}

/// A venue with one segment ready behind the current one, and none to come behind that, as if the disk were full; what
/// is in the way of the next.
fn with_a_last_segment(layout: Layout, resting: usize) -> (TestVenue, FixClient, PathBuf) {
    let venue = TestVenue::start_with(|config| {
        config.threads.layout = layout;
        config.journal.segment_bytes = 1 << 18;
        config.journal.prepared_ahead = 1;
    });
    let mut a = venue.client("A");
    for number in 0..resting {
        a.send("D", &limit(&format!("a{number}"), "AAPL", "1", "1", "1.00"));
        if number % 100 == 99 {
            (0..100).for_each(|_| drop(a.expect("35=8|150=0")));
        }
    }
    common::wait_for("a segment to be ready", || venue.venue().segments_ahead() == 1);
    let files = fs::read_dir(venue.journal()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let segments = names.filter_map(|name| name.strip_suffix(".seg")?.parse::<u64>().ok());
    let last = segments.max().expect("a segment");
    let in_the_way = venue.journal().join(format!("{:010}.seg.tmp", last + 1));
    fs::create_dir(&in_the_way).unwrap();
    (venue, a, in_the_way)
}

#[test]
fn a_stop_on_a_full_disk_gives_up_the_events_that_it_has_no_room_for() {
    const RESTING: usize = 10_000;
    for &layout in common::layouts() {
        let (mut venue, mut a, in_the_way) = with_a_last_segment(layout, RESTING);
        a.ping();
        a.send("q", &format!("11=m|530=7|60={}", common::now()));
        common::wait_for("the core to wait", || {
            venue.venue().segments_ahead() == 0 && venue.venue().storage_status().is_some()
        });
        let ended = venue.end().expect("the core ends");
        let message = ended.sync.expect_err("not all is in the journal").to_string();
        assert!(message.contains("waiting has ended for room in journal"), "{message}");
        let told = a.pending();
        assert!(told.iter().all(|message| !message.matches("35=r")), "of what is not journaled");
        assert!(told.iter().all(|message| !message.matches("35=8")), "of what is not journaled");
        drop(a);

        fs::remove_dir(in_the_way).unwrap();
        venue.restart();
        assert_eq!(venue.venue().started().live_orders, RESTING as u64);
        venue.client("B").ping();
        venue.stop();
        common::replay(&venue.journal());
    }
}

#[test]
fn a_stop_on_a_full_disk_leaves_orders_that_wait_for_it() {
    for &layout in common::layouts() {
        let (mut venue, mut a, in_the_way) = with_a_last_segment(layout, 0);
        a.stream().set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let (mut accepted, mut sent) = (0, 0);
        let count = |messages: Vec<common::Msg>| {
            messages.iter().filter(|message| message.matches("35=8|150=0")).count() as u64
        };
        common::wait_for("sockets to be read no longer", || {
            accepted += count(a.pending());
            let order = |number| limit(&format!("a{number}"), "AAPL", "1", "1", "1.00");
            let bytes = a.build_next("D", (sent..sent + 100).map(order));
            sent += 100;
            a.try_send_raw(&bytes).is_err()
        });
        let ended = venue.end().expect("the core ends in order");
        ended.sync.expect("what is in the journal is synced");
        assert!(ended.left > 0);
        accepted += count(a.pending());
        drop(a);

        fs::remove_dir(in_the_way).unwrap();
        venue.restart();
        let kept = venue.venue().started().live_orders;
        assert!(accepted <= kept && kept < sent, "{accepted} told, {kept} kept, {sent} sent");
        venue.stop();
        common::replay(&venue.journal());
    }
}

/// A frame that can be kept.
#[derive(Clone)]
struct Kept {
    kind: u16,
    sequence: u64,
    time_ns: u64,
    payload: Vec<u8>,
}

impl From<Frame<'_>> for Kept {
    fn from(frame: Frame<'_>) -> Self {
        let (kind, sequence, time_ns) = (frame.kind, frame.sequence, frame.time_ns);
        Self { kind, sequence, time_ns, payload: frame.payload.to_vec() }
    }
}

fn frames(dir: &Path) -> Vec<Kept> {
    let mut reader = Reader::open(dir).expect("a journal");
    std::iter::from_fn(|| reader.next().expect("an intact journal").map(Kept::from)).collect()
}

/// Writes these frames as a journal, with checksums as they should be, and plays it back.
fn replay_of(frames: &[Kept]) -> Result<u64, ReplayError> {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options { segment_bytes: 1 << 20, ..Options::default() };
    let (mut writer, _) = ironbook_journal::open(dir.path(), options).expect("a new journal");
    for frame in frames {
        writer.append(frame.kind, frame.sequence, frame.time_ns, &frame.payload);
        writer.commit();
    }
    writer.close().expect("the journal is synced");
    let report = ironbook_journal::verify(dir.path()).expect("a journal");
    assert!(report.findings.is_empty(), "its bytes are right: {:?}", report.findings);
    let mut reader = Reader::open(dir.path()).expect("a journal");
    let replayed = match play(&mut reader, None) {
        Ok(replayed) => replayed,
        Err(PlayError::Replay(error)) => return Err(error),
        Err(error) => panic!("its bytes are right: {error}"),
    };
    Ok(replayed.engine.map_or(0, |engine| engine.state_hash()))
}

#[test]
fn a_replay_finds_the_event_that_was_altered() {
    let mut venue = TestVenue::start();
    burst(venue.client("A"), flow("f", 5, 200));
    let hash = venue.stop().state_hash;
    let frames = frames(&venue.journal());
    assert_eq!(replay_of(&frames), Ok(hash), "unaltered, it comes to the same state");

    let executions: BTreeMap<usize, Execution> = frames
        .iter()
        .enumerate()
        .filter_map(|(index, frame)| match Event::decode(frame.kind, &frame.payload) {
            Ok(Event::Execution(event)) => Some((index, event)),
            _ => None,
        })
        .collect();
    let (&index, event) = executions.iter().find(|(_, event)| event.last_qty > 0).expect("a trade");
    for alter in [
        |event: &mut Execution| event.last_px += 1,
        |event: &mut Execution| event.leaves_qty += 1,
        |event: &mut Execution| event.session.0 += 1,
        |event: &mut Execution| event.cl_ord_id = "somebody".try_into().unwrap(),
    ] {
        let mut altered = frames.clone();
        let mut event = *event;
        alter(&mut event);
        altered[index].payload = event.as_bytes().to_vec();
        assert_diverges(&altered, frames[index].sequence);
    }
    // Each byte of one event counts.
    for byte in 0..frames[index].payload.len() {
        let mut altered = frames.clone();
        altered[index].payload[byte] ^= 1;
        assert!(replay_of(&altered[..=index]).is_err(), "byte {byte}");
    }
    // An event whose time is another one.
    let mut altered = frames.clone();
    let place = index + usize::from(index + 1 < frames.len());
    altered.truncate(place);
    altered[index].time_ns += 1;
    assert_diverges(&altered, frames[index].sequence);
    // The last events of the journal are missing.
    let group = (0..index).rev().find(|at| frames[*at].kind >> 8 == 1).expect("its command");
    let cut = &frames[..=group];
    assert_diverges(cut, frames[group].sequence + 1);
}

#[track_caller]
fn assert_diverges(frames: &[Kept], expected: u64) {
    match replay_of(frames) {
        Err(ReplayError::Diverged { sequence, .. }) => assert_eq!(sequence.0, expected),
        other => panic!("{other:?}, expected a divergence at {expected}"),
    }
}
