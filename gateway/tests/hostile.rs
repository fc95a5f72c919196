//! Clients that mean harm, or are broken: they never read, never stop, say too much or nothing. Each of
//! them meets its bound, while an honest session beside it gets every answer and the memory of the
//! process stays where it was.
//!
//! One test runs at a time, because they look at the memory of all.

mod common;

use std::{
    io::Read,
    net::{SocketAddr, TcpStream},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use common::{FixClient, Flaw, Msg, TestVenue, limit, logged, wait_for};
use ironbook_gateway::{config::Config, replay::Replayed};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Rounds of the honest session, each an order and its cancel, that a hostile act goes on for.
const ROUNDS_MIN: usize = 30;

/// By how much the memory of the process may grow while a hostile client acts. What the venue holds for
/// one is below a megabyte, as `out_buffer_bytes_max` is here; the rest is room for the client's own
/// buffers, the journal's pages and the allocator.
const GROWTH_KIB_MAX: u64 = 96 * 1024;

/// Bytes that may wait for a client.
const OUT_BUFFER_BYTES_MAX: usize = 65_536;

/// Bytes of a message that has no end: more than memory may grow by.
const ENDLESS_BYTES: usize = 128 << 20;

/// Memory of this process that is in use, KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// What was logged of the end of this client's connection.
fn logged_end(peer: SocketAddr) -> String {
    let needle = format!("disconnected from {peer}: ");
    let mut found = None;
    wait_for("the end of the connection is logged", || {
        found = logged::lines()
            .iter()
            .find_map(|line| line.split_once(&needle))
            .map(|(_, why)| why.to_owned());
        found.is_some()
    });
    found.expect("just found")
}

/// Says when it is dropped that the hostile act is over.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A venue that nobody else in this process runs beside.
struct Scene {
    venue: TestVenue,
    _alone: MutexGuard<'static, ()>,
}

impl Scene {
    fn start() -> Self {
        Self::start_with(|_| {})
    }

    fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        logged::keep(log::LevelFilter::Info);
        let venue = TestVenue::start_with(|config| {
            config.fix.out_buffer_bytes_max = OUT_BUFFER_BYTES_MAX;
            change(config);
            // Everybody comes from one address, and what is hostile is to go on.
            config.fix.connections_per_address_max = config.fix.connections_max;
            config.fix.logon_failures_max = 0;
        });
        Self { venue, _alone: alone }
    }

    fn address(&self) -> SocketAddr {
        self.venue.address()
    }

    /// Does something hostile again and again, at least so many times, until an honest session beside it
    /// has done its rounds; it gets every answer. Memory stays bounded all the while.
    #[track_caller]
    fn endures(&self, least: usize, mut act: impl FnMut(usize)) {
        let before = resident_kib();
        let (rounds, over) = (&AtomicUsize::new(0), &AtomicBool::new(false));
        // It has its place before anybody else can take it.
        let mut client = self.venue.client("C");
        let highest = thread::scope(|scope| {
            let honest = scope.spawn(move || {
                let mut highest = 0;
                while !over.load(Ordering::Relaxed) || rounds.load(Ordering::Relaxed) < ROUNDS_MIN {
                    client.trade();
                    rounds.fetch_add(1, Ordering::Relaxed);
                    highest = resident_kib().max(highest);
                }
                client.ping();
                client.log_out();
                highest
            });
            // Also when the act fails: nobody waits for the honest one then.
            let acting = Over(over);
            let mut times = 0;
            // The other one's end means that it has failed.
            while !honest.is_finished()
                && (times < least || rounds.load(Ordering::Relaxed) < ROUNDS_MIN)
            {
                act(times);
                times += 1;
            }
            drop(acting);
            honest.join().expect("the honest session got every answer")
        });
        let growth = highest.max(resident_kib()).saturating_sub(before);
        assert!(growth <= GROWTH_KIB_MAX, "{before} KiB, and {growth} KiB more");
    }

    /// The venue is whole: it stops in order, and its journal plays back.
    #[track_caller]
    fn ends_well(mut self) -> Replayed {
        self.venue.stop();
        common::replay(&self.venue.journal())
    }
}

/// Sends what the venue may end in the middle of.
fn shout(client: &mut FixClient, bytes: &[u8]) {
    let _ = client.try_send_raw(bytes);
}

/// Reads to the end of a connection; what came, a reset taken as an end.
fn to_the_end(client: &mut FixClient) -> Vec<Msg> {
    std::iter::from_fn(|| client.receive()).collect()
}

#[test]
fn a_client_that_never_reads_is_let_go_and_misses_nothing() {
    const BATCH: usize = 2_000;
    // Some fifty megabytes of reports: more than any buffer of the system takes.
    const FILLS_MAX: usize = 200_000;
    let scene = Scene::start_with(|config| {
        config.fix.resend_messages_per_turn = 1_000;
    });
    let venue = &scene.venue;
    let mut lazy = venue.client("B");
    lazy.rest("maker", "AAPL", "2", "10000000", "100.00");
    let (numbers, peer) = (lazy.numbers(), lazy.stream().local_addr().expect("an address"));
    let mut a = venue.client("A");
    let (mut fills, mut resumed) = (0, None);
    let mut batch = |first: usize| {
        for number in first..first + BATCH {
            let body = limit(&format!("i{number}"), "AAPL", "1", "1", "100.00");
            a.send("D", &format!("{body}|59=3"));
            if number % 100 == 99 {
                for _ in 0..100 {
                    a.expect("35=8|150=0|39=0");
                    a.expect("35=8|150=F|39=2|32=1");
                }
            }
        }
    };
    // The system's buffers take some megabytes before the venue notices.
    scene.endures(1, |_| {
        while resumed.is_none() {
            batch(fills);
            fills += BATCH;
            assert!(fills < FILLS_MAX, "the client that never reads is let go");
            let mut again = FixClient::connect(venue.address(), "B");
            (again.next_out, again.next_in) = numbers;
            again.send("A", "98=0|108=60");
            resumed = again.receive().map(|answer| (again, answer));
        }
    });
    let why = logged_end(peer);
    let waiting = why.strip_prefix("it reads too slowly: ").and_then(|rest| rest.split(' ').next());
    let waiting: usize = waiting.expect(&why).parse().expect(&why);
    // More than may wait, by no more than the reports of one turn.
    assert!((OUT_BUFFER_BYTES_MAX..3 * OUT_BUFFER_BYTES_MAX).contains(&waiting), "{why}");

    let (mut again, answer) = resumed.expect("the client that never reads was let go");
    assert!(answer.matches("35=A"), "{answer:?}");
    // What stood before the Logon's answer: a fill for each trade, nothing lost, nothing twice.
    assert_eq!(answer.seq(), numbers.1 + fills as u64, "one report for each trade");
    again.send("2", &format!("7={}|16={}", numbers.1, answer.seq() - 1));
    for number in 1..=fills as u64 {
        let fill = again.receive().expect("resent");
        assert!(fill.is_dup() && fill.seq() == numbers.1 + number - 1, "{fill:?}");
        assert!(fill.matches(&format!("35=8|150=F|11=maker|32=1|14={number}")), "{fill:?}");
    }
    again.next_in = answer.seq() + 1;
    again.trade();
    // The old connection has what the system's buffers held, in order, and then ends.
    let mut seen = 0;
    for fill in to_the_end(&mut lazy) {
        seen += 1;
        assert!(fill.matches(&format!("35=8|150=F|14={seen}")), "{fill:?}");
    }
    assert!(seen < fills as u64);
    drop((a, again));
    scene.ends_well();
}

#[test]
fn a_client_that_logs_out_and_never_reads_does_not_keep_its_session() {
    const REQUESTS: u64 = 60_000;
    let scene = Scene::start_with(|config| {
        // Nobody is too slow here: what waits, waits.
        config.fix.out_buffer_bytes_max = 1 << 30;
        config.fix.logout_timeout_ms = 200;
    });
    let venue = &scene.venue;
    let mut lazy = venue.client("B");
    lazy.rest("b", "AAPL", "1", "1", "1.00");
    let (next_out, _) = lazy.numbers();
    // Their answers are more than the buffers of the system take.
    let mut requests = Vec::new();
    for number in 0..REQUESTS {
        requests.extend(lazy.build("H", next_out + number, "11=b|55=AAPL|54=1", Flaw::None));
    }
    requests.extend(lazy.build("5", next_out + REQUESTS, "", Flaw::None));
    shout(&mut lazy, &requests);
    scene.endures(1, |_| {
        wait_for("the session is free again", || {
            let mut again = FixClient::connect(venue.address(), "B");
            (again.next_out, again.next_in) = (1, 1);
            again.send("A", "98=0|108=60|141=Y");
            again.receive().is_some()
        });
    });
    drop(lazy);
    scene.ends_well();
}

#[test]
fn what_came_past_a_gap_is_answered_once_it_is_filled_however_small_the_ring() {
    const ORDERS: u64 = 200;
    let scene = Scene::start_with(|config| config.threads.ring_slots = 32);
    let mut client = scene.venue.client("B");
    scene.endures(1, |times| {
        let missing = client.next_out;
        client.next_out += 1;
        for number in 0..ORDERS {
            client.send("D", &limit(&format!("o{times}-{number}"), "AAPL", "1", "1", "1.00"));
        }
        client.expect(&format!("35=2|7={missing}|16=0"));
        let fill = client.build("4", missing, &format!("123=Y|36={}", missing + 1), Flaw::None);
        client.send_raw(&fill);
        // Nothing else is said until all of them are answered.
        for number in 0..ORDERS {
            client.expect(&format!("35=8|150=0|11=o{times}-{number}"));
        }
    });
    drop(client);
    scene.ends_well();
}

#[test]
fn a_client_that_reads_one_byte_at_a_time_gets_all() {
    const ORDERS: u64 = 300;
    let scene = Scene::start();
    let mut slow = scene.venue.client("B");
    slow.read_max = 1;
    scene.endures(1, |times| {
        let first = times as u64 * ORDERS;
        for number in first..first + ORDERS {
            slow.send("D", &limit(&format!("o{number}"), "AAPL", "1", "1", "1.00"));
        }
        for number in first..first + ORDERS {
            slow.expect(&format!("35=8|150=0|11=o{number}"));
        }
    });
    slow.ping();
    drop(slow);
    scene.ends_well();
}

#[test]
fn a_client_that_sends_one_byte_at_a_time_is_understood() {
    let scene = Scene::start();
    let mut slow = FixClient::connect(scene.address(), "B");
    let spell = |client: &mut FixClient, kind: &str, body: &str| {
        let bytes = client.build(kind, client.next_out, body, Flaw::None);
        client.next_out += 1;
        bytes.iter().for_each(|byte| client.send_raw(&[*byte]));
    };
    spell(&mut slow, "A", "98=0|108=60");
    slow.expect("35=A|98=0|108=60");
    scene.endures(1, |times| {
        spell(&mut slow, "D", &limit(&format!("o{times}"), "AAPL", "1", "1", "1.00"));
        slow.expect(&format!("35=8|150=0|11=o{times}"));
    });
    slow.ping();
    drop(slow);
    scene.ends_well();
}

/// What messages without end begin with, and whether a session outlives them: what is known not to be a
/// message is passed over, what may still become one is waited for, up to the bound.
const BEGINNINGS: [(&str, bool); 11] = [
    ("", true),
    ("8=", true),
    ("8=FIX.4.4", true),
    ("8=FIX.4.4|", true),
    ("8=FIX.4.4|9=", true),
    ("8=FIX.4.4|9=-1|35=D|", true),
    ("8=FIX.4.4|9=5|", true),
    ("8=FIX.4.4|9=5|35=D|58=", false),
    ("8=FIX.4.4|9=65000|35=D|58=", false),
    ("8=FIX.4.4|9=4194304|35=D|58=", false),
    ("8=FIX.4.4|9=18446744073709551616|35=D|", false),
];

#[test]
fn a_message_without_end_meets_its_bound() {
    let scene = Scene::start();
    let (mut numbers, endless) = ((1, 1), vec![b'x'; ENDLESS_BYTES]);
    scene.endures(BEGINNINGS.len(), |times| {
        let (beginning, goes_on) = BEGINNINGS[times % BEGINNINGS.len()];
        let beginning = beginning.replace('|', "\u{1}");
        // Of a stranger nothing of this is heard.
        let mut stranger = FixClient::connect(scene.address(), "B");
        shout(&mut stranger, beginning.as_bytes());
        shout(&mut stranger, &endless);
        assert_eq!(to_the_end(&mut stranger), [], "{beginning:?}");

        let (mut client, _) = scene.venue.resume("B", numbers);
        shout(&mut client, beginning.as_bytes());
        shout(&mut client, &endless);
        if goes_on {
            client.ping();
            numbers = client.log_out();
        } else {
            assert_eq!(to_the_end(&mut client), [], "{beginning:?}");
            let why = logged_end(client.stream().local_addr().expect("an address"));
            let bounds = ["fix.message_bytes_max", "message is too long"];
            assert!(bounds.iter().any(|bound| why.contains(bound)), "{beginning:?}: {why}");
            numbers = client.numbers();
        }
    });
    scene.ends_well();
}

#[test]
fn floods_of_logons_take_nobodys_session() {
    const FLOOD: usize = 20;
    let scene = Scene::start();
    let mut a = scene.venue.client("A");
    let mut numbers = (1, 1);
    let logon = "98=0|108=60";
    scene.endures(2, |times| {
        for number in 0..FLOOD {
            // Names that are nobody's, and one that is connected already: not a word.
            for comp_id in [format!("X{number}"), "A".to_owned()] {
                let mut stranger = FixClient::connect(scene.address(), &comp_id);
                stranger.send("A", logon);
                assert_eq!(to_the_end(&mut stranger), [], "{comp_id}");
            }
        }
        // A number that was used: refused each time, and where the session stands is not changed.
        if times > 0 {
            for _ in 0..FLOOD {
                let mut low = FixClient::connect(scene.address(), "B");
                (low.next_out, low.next_in) = (1, numbers.1);
                low.send("A", logon);
                low.expect("35=5|58=*");
                low.expect_closed();
                numbers.1 += 1;
            }
        }
        // Logon after Logon on one connection, each with numbers that start anew.
        let (mut again, _) = scene.venue.resume("B", numbers);
        for _ in 0..FLOOD {
            (again.next_out, again.next_in) = (1, 1);
            again.send("A", &format!("{logon}|141=Y"));
            again.expect("35=A|34=1|141=Y");
        }
        again.rest(&format!("o{times}"), "AAPL", "1", "1", "1.00");
        // And one that is no reset ends it.
        again.send("A", logon);
        again.expect("35=5|58=Logon while logged on");
        again.expect_closed();
        // It did not count, as nothing that ends a session does.
        numbers = (again.next_out - 1, again.next_in);
        a.ping();
    });
    a.trade();
    drop(a);
    scene.ends_well();
}

/// Lets this process open so many files, or as many as the system allows; returns how many.
fn open_files(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return wanted;
    }
    let allowed = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), maximum }).expect("within bounds");
    allowed
}

/// How many of these were closed by the venue.
fn closed(streams: &mut [TcpStream]) -> usize {
    let is_closed = |stream: &mut TcpStream| match stream.read(&mut [0]) {
        Ok(count) => {
            assert_eq!(count, 0, "the venue says nothing");
            true
        }
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    };
    streams.iter_mut().map(is_closed).filter(|closed| *closed).count()
}

#[test]
fn a_thousand_sockets_take_the_places_that_there_are() {
    // Both ends of each are in this process, and other tests need some. Fewer where the system has fewer.
    let sockets = open_files(3_000) as usize / 3;
    let places = sockets / 4;
    let scene = Scene::start_with(|config| {
        config.fix.connections_max = places;
        config.fix.logon_timeout_ms = 3_600_000;
    });
    let mut a = scene.venue.client("A");
    scene.endures(1, |_| {
        let mut streams: Vec<_> = (0..sockets)
            .map(|_| {
                let stream = TcpStream::connect(scene.address()).expect("the system accepts it");
                stream.set_nonblocking(true).expect("a socket");
                stream
            })
            .collect();
        // The honest session and A have a place each.
        wait_for("those without a place are closed", || {
            closed(&mut streams) == sockets - (places - 2)
        });
        a.trade();
        drop(streams);
        wait_for("the places are free again", || {
            let mut b = FixClient::connect(scene.address(), "B");
            b.send("A", "98=0|108=60|141=Y");
            b.receive().is_some()
        });
    });
    drop(a);
    scene.ends_well();
}

#[test]
fn what_was_sent_before_counts_once() {
    let scene = Scene::start();
    let orders = |venue: &TestVenue, numbers: (u64, u64), times: usize| {
        let (mut client, _) = venue.resume("B", numbers);
        let mut sent = Vec::new();
        for number in 0..10 {
            let body = limit(&format!("o{times}-{number}"), "AAPL", "1", "1", "1.00");
            sent.push((client.next_out, body.clone()));
            client.send("D", &body);
            client.expect("35=8|150=0|39=0");
        }
        (client, sent)
    };
    let (mut numbers, mut accepted) = ((1, 1), 0);
    scene.endures(1, |times| {
        let (mut client, sent) = orders(&scene.venue, numbers, times);
        accepted += sent.len();
        // As repetitions they are passed over, whatever they say.
        for (seq, body) in &sent {
            let again = format!("43=Y|122={}|{body}", common::now());
            client.send_raw(&client.build("D", *seq, &again, Flaw::None));
        }
        client.ping();
        // As new messages they end the session.
        let (seq, body) = &sent[0];
        for _ in 0..3 {
            let again = client.build("D", *seq, body, Flaw::None);
            shout(&mut client, &again);
        }
        client.expect(&format!(
            "35=5|58=MsgSeqNum too low, expecting {} but received {seq}",
            client.next_out
        ));
        client.expect_closed();
        // All that was said so far, from the Logon on, on a connection of its own.
        numbers = client.numbers();
        let mut replayed = FixClient::connect(scene.address(), "B");
        replayed.next_in = numbers.1;
        let mut bytes = replayed.build("A", 1, "98=0|108=60", Flaw::None);
        for (seq, body) in &sent {
            bytes.extend(replayed.build("D", *seq, body, Flaw::None));
        }
        shout(&mut replayed, &bytes);
        replayed.expect("35=5|58=*");
        replayed.expect_closed();
        numbers.1 += 1;
    });
    let totals = scene.ends_well().engine.expect("an engine").totals();
    assert_eq!(totals.live_orders as usize, accepted);
}

/// MsgSeqNums that nobody has good reason for, and what a session says to them.
const NUMBERS: [(&str, Answer); 9] = [
    ("999999999", Answer::AsksForGap),
    ("999999999999999999", Answer::AsksForGap),
    ("1000000000000000000", Answer::NoNumber),
    ("18446744073709551615", Answer::NoNumber),
    ("99999999999999999999999999999999999999", Answer::NoNumber),
    ("0", Answer::TooLow),
    ("000", Answer::TooLow),
    ("-1", Answer::NoNumber),
    ("1e3", Answer::NoNumber),
];

/// What becomes of a strange number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It may be: what is missing is asked for, and the session goes on.
    AsksForGap,
    /// It was used.
    TooLow,
    /// It is none.
    NoNumber,
}

/// A message with this text as its MsgSeqNum.
fn numbered(client: &FixClient, kind: &str, number: &str, body: &str) -> Vec<u8> {
    let (time, own, venue) = (common::now(), &client.comp_id, &client.venue);
    let text = format!("35={kind}|34={number}|49={own}|56={venue}|52={time}|{body}|");
    common::assemble(&text, Flaw::None)
}

#[test]
fn numbers_from_nowhere_move_nobody() {
    let scene = Scene::start();
    let mut numbers = (1, 1);
    scene.endures(NUMBERS.len(), |times| {
        let (number, answer) = NUMBERS[times % NUMBERS.len()];
        let (mut client, _) = scene.venue.resume("B", numbers);
        client.trade();
        client.send_raw(&numbered(&client, "1", number, "112=strange"));
        match answer {
            Answer::AsksForGap => {
                client.expect(&format!("35=2|7={}|16=0", client.next_out));
                // What is next in truth counts; the stranger is never reached.
                client.trade();
                numbers = client.log_out();
            }
            Answer::TooLow => {
                client.expect("35=5|58=*");
                client.expect_closed();
                numbers = client.numbers();
            }
            Answer::NoNumber => {
                client.expect("35=5|58=Received message without MsgSeqNum");
                client.expect_closed();
                numbers = client.numbers();
            }
        }

        // The same as the number of a Logon.
        let mut client = FixClient::connect(scene.address(), "B");
        (client.next_out, client.next_in) = numbers;
        client.send_raw(&numbered(&client, "A", number, "98=0|108=60"));
        match answer {
            Answer::AsksForGap => {
                client.expect("35=A");
                client.expect(&format!("35=2|7={}|16=0", client.next_out));
                client.trade();
                numbers = client.log_out();
            }
            Answer::TooLow => {
                client.expect(&format!(
                    "35=5|58=MsgSeqNum too low, expecting {} but received 0",
                    numbers.0
                ));
                client.expect_closed();
                numbers = client.numbers();
            }
            Answer::NoNumber => assert_eq!(to_the_end(&mut client), []),
        }
    });
    scene.ends_well();
}

#[test]
fn a_session_at_the_end_of_all_numbers_starts_anew() {
    let mut scene = Scene::start();
    let last = 999_999_999_999_999_999_u64;
    let mut client = scene.venue.client("B");
    client.send("4", &format!("36={last}"));
    client.next_out = last;
    client.ping();
    // The next number is none that FIX can say here; nothing wraps, and the session can't go on.
    client.send("0", "");
    client.expect("35=5|58=Received message without MsgSeqNum");
    client.expect_closed();
    scene.venue.restart();
    let mut low = FixClient::connect(scene.address(), "B");
    (low.next_out, low.next_in) = (last, client.next_in);
    low.send("A", "98=0|108=60");
    low.expect(&format!("35=5|58=MsgSeqNum too low, expecting {} but received {last}", last + 1));
    low.expect_closed();
    let mut anew = FixClient::connect(scene.address(), "B");
    anew.send("A", "98=0|108=60|141=Y");
    anew.expect("35=A|34=1|141=Y");
    scene.endures(1, |_| anew.trade());
    drop(anew);
    scene.ends_well();
}

#[test]
fn absurd_heartbeats_are_refused_by_name() {
    let intervals =
        ["0", "-1", "61", "1.5", "+30", "1e1", "999999999999999999", "9999999999999999999", "x"];
    let scene = Scene::start();
    let mut next_in = 1;
    scene.endures(intervals.len(), |times| {
        let interval = intervals[times % intervals.len()];
        let mut client = FixClient::connect(scene.address(), "B");
        client.next_in = next_in;
        client.send("A", &format!("98=0|108={interval}"));
        let answer = client.next_in_sequence().expect("an answer");
        let text = answer.get(58).unwrap_or_default();
        assert!(answer.matches("35=5") && text.contains("HeartBtInt (108)"), "{answer:?}");
        client.expect_closed();
        next_in += 1;
    });
    let (mut client, _) = scene.venue.resume("B", (1, next_in));
    client.trade();
    drop(client);
    scene.ends_well();
}

#[test]
fn floods_of_resend_requests_are_served_in_turn() {
    const REQUESTS: u64 = 500;
    let scene = Scene::start_with(|config| config.fix.resend_messages_per_turn = 16);
    let mut client = scene.venue.client("B");
    for number in 0..50 {
        client.rest(&format!("o{number}"), "AAPL", "1", "1", "1.00");
    }
    scene.endures(1, |_| {
        let last = client.next_in - 1;
        for _ in 0..REQUESTS {
            client.send("2", "7=1|16=0");
        }
        // Repetitions and what is new go their own ways; the answer comes, and no round is endless.
        client.send("1", "112=end");
        let (mut repeated, mut answered) = (0, false);
        while !answered || repeated < last {
            let message = client.receive().expect("the session goes on");
            if message.is_dup() {
                repeated += 1;
            } else {
                assert!(message.matches("35=0|112=end"), "{message:?}");
                answered = true;
                client.next_in = message.seq() + 1;
            }
        }
    });
    drop(client);
    scene.ends_well();
}
