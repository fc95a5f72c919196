//! A venue that stops and starts again is the same venue: orders, queues, sequence numbers, and
//! every message that a client missed.

mod common;

use std::{collections::BTreeMap, thread};

use common::{
    FixClient, Msg, TestVenue, assert_same, cancel, keep, limit, replace, resend, session,
};
use ironbook_gateway::{
    config::{Acknowledge, StatusConfig},
    venue::{StartError, Venue},
};

/// A session with a message of every kind that goes out, kept by number.
fn eventful(venue: &TestVenue) -> (FixClient, BTreeMap<u64, Msg>) {
    let (mut a, answer) = venue.resume("A", (1, 1));
    let mut originals = BTreeMap::from([(1, answer)]);
    let kept = &mut originals;
    a.send("D", &format!("{}|1=ACC1", limit("s1", "AAPL", "2", "100", "189.50")));
    keep(&mut a, kept, "35=8|150=0|11=s1|1=ACC1");
    a.send("D", &limit("b1", "AAPL", "1", "40", "190.00"));
    keep(&mut a, kept, "35=8|150=0|11=b1");
    keep(&mut a, kept, "35=8|150=F|11=s1|851=1");
    keep(&mut a, kept, "35=8|150=F|11=b1|851=2");
    a.send("1", "112=hello");
    keep(&mut a, kept, "35=0|112=hello");
    a.send("G", &replace("s2", "s1", ("AAPL", "2"), "90", "189.50"));
    keep(&mut a, kept, "35=8|150=5|11=s2|41=s1");
    a.send("F", &cancel("c9", "nobody", "AAPL", "2"));
    keep(&mut a, kept, "35=9|102=1");
    a.send("D", &limit("r1", "AAPL", "1", "1", "0.001"));
    keep(&mut a, kept, "35=8|150=8|103=99");
    a.send("D", &format!("{}|110=1", limit("r2", "AAPL", "1", "1", "1.00")));
    keep(&mut a, kept, "35=8|150=8|103=11");
    a.send("6", "23=1");
    keep(&mut a, kept, "35=j|380=3");
    a.send("ZZ", "");
    keep(&mut a, kept, "35=3|373=11");
    a.send("1", "112=again");
    keep(&mut a, kept, "35=0|112=again");
    a.send("q", &format!("11=m1|530=7|60={}", common::now()));
    keep(&mut a, kept, "35=r|531=7|533=1");
    keep(&mut a, kept, "35=8|150=4|11=s2");
    a.send("H", "11=s2|55=AAPL|54=2|790=Q1");
    keep(&mut a, kept, "35=8|150=I|39=4|790=Q1");
    a.send("H", "11=s0|55=AAPL|54=2|790=Q2");
    keep(&mut a, kept, "35=8|150=I|39=8|790=Q2");
    a.send("D", &limit("s3", "AAPL", "2", "7", "200.00"));
    keep(&mut a, kept, "35=8|150=0|11=s3");
    (a, originals)
}

#[test]
fn orders_queues_and_numbers_survive() {
    let mut venue = TestVenue::start();
    let mut owners = [venue.client("A"), venue.client("B")];
    for number in 0..30 {
        let owner = &mut owners[number % 2];
        owner.rest(&format!("q{number}"), "AAPL", "2", "10", "200.00");
    }
    let [mut a, b] = owners;
    // A smaller quantity keeps its place, a larger one loses it.
    a.send("G", &replace("q0s", "q0", ("AAPL", "2"), "5", "200.00"));
    a.expect("35=8|150=5|11=q0s");
    a.send("G", &replace("q2l", "q2", ("AAPL", "2"), "11", "200.00"));
    a.expect("35=8|150=5|11=q2l");
    let numbers = [a.numbers(), b.numbers()];
    drop((a, b));

    let ended = venue.stop();
    venue.restart();
    let started = venue.venue().started();
    assert_eq!(started.state_hash, ended.state_hash);
    assert_eq!(started.live_orders, 30);
    assert_eq!(started.torn_bytes, None);

    let (mut a, answer) = venue.resume("A", numbers[0]);
    assert_eq!(answer.seq(), numbers[0].1, "the next number, as if nothing had happened");
    let (mut b, answer) = venue.resume("B", numbers[1]);
    assert_eq!(answer.seq(), numbers[1].1);
    let mut c = venue.client("C");
    c.send("D", &limit("sweep", "AAPL", "1", "296", "200.00"));
    c.expect("35=8|150=0|11=sweep");
    let expected = ["q0s".to_owned(), "q1".to_owned()]
        .into_iter()
        .chain((3..30).map(|number| format!("q{number}")))
        .chain(["q2l".to_owned()]);
    for cl_ord_id in expected {
        // Odd numbers are B's; those that were replaced are A's.
        let number = cl_ord_id.trim_start_matches('q').parse::<u32>();
        let owner = if number.is_ok_and(|number| number % 2 == 1) { &mut b } else { &mut a };
        owner.expect(&format!("35=8|150=F|39=2|11={cl_ord_id}"));
    }
    common::replay(&venue.journal());
}

#[test]
fn resends_are_the_messages_that_were_sent() {
    let mut venue = TestVenue::start();
    let (a, originals) = eventful(&venue);
    let numbers = a.numbers();
    assert_eq!(originals.len() as u64, numbers.1 - 1, "every message was kept");
    drop(a);
    venue.stop();
    venue.restart();

    let (mut a, answer) = venue.resume("A", numbers);
    let last = answer.seq();
    let mut originals = originals;
    originals.insert(last, answer);
    let none = &mut Vec::new();
    // Everything, once with 0 for infinity, once with the last number, once with one far behind.
    for end in [0, last, 999_999] {
        let again = resend(&mut a, (1, end), last, none);
        assert_eq!(again.len() as u64, last);
        assert_same(&again, &originals);
        assert!(again.values().filter(|message| message.is_some()).count() > 10);
    }
    // Each message alone, and each range of three.
    for begin in 1..last {
        let again = resend(&mut a, (begin, begin), begin, none);
        assert_same(&again, &originals);
        let end = (begin + 2).min(last);
        assert_same(&resend(&mut a, (begin, end), end, none), &originals);
    }
    assert!(none.is_empty(), "a resend uses no number: {none:?}");
    a.ping();
}

#[test]
fn resend_requests_that_make_no_sense_are_refused() {
    let venue = TestVenue::start();
    let (mut a, _) = eventful(&venue);
    let next = a.next_in;
    for (body, tag) in [
        (format!("7={}|16=0", next + 2), 7),
        ("7=0|16=0".to_owned(), 7),
        ("7=5|16=4".to_owned(), 16),
    ] {
        let seq = a.send("2", &body);
        a.expect(&format!("35=3|45={seq}|372=2|373=5|371={tag}"));
        a.ping();
    }
}

#[test]
fn what_was_missed_while_away_comes_later() {
    let mut venue = TestVenue::start();
    let mut copy = venue.client("COPY");
    let mut a = venue.client("A");
    let mut b = venue.client("B");
    a.rest("maker", "AAPL", "2", "50", "100.00");
    let numbers = a.numbers();
    drop(a);
    copy.expect("35=8|150=0|11=maker");
    for number in 0..20 {
        b.send("D", &limit(&format!("t{number}"), "AAPL", "1", "1", "100.00"));
        b.expect("35=8|150=0");
        b.expect("35=8|150=F|39=2");
    }
    let copies: Vec<Msg> = (0..60).map(|_| copy.next_in_sequence().unwrap()).collect();
    let missed: Vec<&Msg> = copies.iter().filter(|copy| copy.get(11) == Some("maker")).collect();
    assert_eq!(missed.len(), 20);
    drop((b, copy));
    venue.stop();
    venue.restart();

    let (mut a, answer) = venue.resume("A", numbers);
    assert_eq!(answer.seq(), numbers.1 + 20, "twenty fills came in between");
    let again = resend(&mut a, (numbers.1, 0), answer.seq(), &mut Vec::new());
    // What a live copy of the session received is what is sent again: all but the copy's own
    // number and name.
    let without = |message: &Msg| {
        let content = message.content();
        let kept = content
            .split('|')
            .filter(|field| !field.starts_with("34=") && !field.starts_with("56="));
        kept.collect::<Vec<_>>().join("|")
    };
    for (offset, original) in missed.iter().enumerate() {
        let message = again[&(numbers.1 + offset as u64)].as_ref().expect("sent again");
        assert_eq!(without(message), without(original));
        assert_eq!(message.get(122), original.get(52));
    }
    assert!(again[&answer.seq()].is_none(), "the Logon is filled as a gap");
}

#[test]
fn a_long_resend_disturbs_nobody() {
    const ORDERS: u64 = 10_000;
    const TRADES: u64 = 500;
    let venue = TestVenue::start();
    let mut a = venue.client("A");
    a.rest("maker", "AAPL", "2", "1000000", "100.00");
    for batch in 0..ORDERS / 100 {
        for number in 0..100 {
            let id = format!("x{}", batch * 100 + number);
            a.send("D", &format!("{}|59=3", limit(&id, "AAPL", "1", "1", "1.00")));
        }
        for _ in 0..100 {
            a.expect("35=8|150=0");
            a.expect("35=8|150=4");
        }
    }
    let address = venue.address();
    let taker = thread::spawn(move || {
        let mut b = FixClient::log_on(address, "B");
        for number in 0..TRADES {
            b.send("D", &limit(&format!("t{number}"), "AAPL", "1", "1", "100.00"));
            b.expect("35=8|150=0");
            b.expect("35=8|150=F|39=2");
        }
    });
    let last = 2 + 2 * ORDERS;
    let (first_live, mut live) = (a.next_in, Vec::new());
    // What is sent meanwhile is behind the end that 0 stood for when it was asked for; the range
    // may reach past `last`, so the end is given.
    let again = resend(&mut a, (1, last), last, &mut live);
    taker.join().expect("trades go on during the resend");
    assert_eq!(again.len() as u64, last);
    for number in 0..ORDERS {
        for (seq, exec_type) in [(3 + 2 * number, "0"), (4 + 2 * number, "4")] {
            let message = again[&seq].as_ref().expect("sent again");
            assert!(message.matches(&format!("35=8|150={exec_type}|11=x{number}")), "{message:?}");
        }
    }
    while (live.len() as u64) < TRADES {
        live.push(a.receive().expect("a live fill"));
    }
    for (number, fill) in live.iter().enumerate() {
        assert_eq!(fill.seq(), first_live + number as u64, "live messages stay in sequence");
        assert!(fill.matches(&format!("35=8|150=F|11=maker|14={}", number + 1)), "{fill:?}");
    }
}

#[test]
fn a_reset_starts_both_numbers_at_one() {
    let mut venue = TestVenue::start();
    let (a, _) = eventful(&venue);
    drop(a);

    let mut a = FixClient::connect(venue.address(), "A");
    a.send("A", "98=0|108=30|141=Y");
    a.expect("35=A|34=1|141=Y");
    a.rest("new1", "AAPL", "1", "1", "1.00");
    // And once more in the middle of the session.
    (a.next_out, a.next_in) = (1, 1);
    a.send("A", "98=0|108=30|141=Y");
    let mut originals = BTreeMap::new();
    keep(&mut a, &mut originals, "35=A|34=1|141=Y");
    a.send("D", &limit("new2", "AAPL", "1", "1", "1.00"));
    keep(&mut a, &mut originals, "35=8|34=2|150=0|11=new2");
    assert_same(&resend(&mut a, (1, 0), 2, &mut Vec::new()), &originals);
    let numbers = a.numbers();
    drop(a);

    venue.restart();
    let (mut a, answer) = venue.resume("A", numbers);
    assert_eq!(answer.seq(), 3, "the reset is in the journal");
    originals.insert(3, answer);
    assert_same(&resend(&mut a, (1, 0), 3, &mut Vec::new()), &originals);
    a.ping();
    // The orders of before are still there.
    a.send("H", "11=s3|55=AAPL|54=2");
    a.expect("35=8|150=I|39=0|11=s3");

    let mut other = FixClient::connect(venue.address(), "B");
    other.next_out = 5;
    other.send("A", "98=0|108=30|141=Y");
    other.expect("35=5|58=MsgSeqNum must be 1 with ResetSeqNumFlag");
    other.expect_closed();
}

#[test]
fn a_session_may_start_anew_with_every_logon() {
    let mut venue = TestVenue::start_with(|config| config.sessions[0].reset_on_logon = true);
    for round in 0..3 {
        let mut a = venue.client("A");
        a.rest(&format!("r{round}"), "AAPL", "1", "1", "1.00");
        drop(a);
        venue.restart();
    }
}

#[test]
fn durable_reports_survive_too() {
    let mut venue = TestVenue::start_with(|config| config.venue.acknowledge = Acknowledge::Durable);
    let (a, originals) = eventful(&venue);
    let numbers = a.numbers();
    drop(a);
    venue.restart();
    let (mut a, answer) = venue.resume("A", numbers);
    let again = resend(&mut a, (1, numbers.1 - 1), numbers.1 - 1, &mut Vec::new());
    assert_eq!(answer.seq(), numbers.1);
    assert_same(&again, &originals);
}

#[test]
fn a_drop_copy_hears_everything_and_asks_for_nothing() {
    let mut venue = TestVenue::start();
    let mut copy = venue.client("COPY");
    let (mut a, originals) = eventful(&venue);
    let mut b = venue.client("B");
    b.rest("b1", "BTC-USD", "1", "0.5", "100.00");
    // Reports of events are copied; answers that are no events are between the two of them.
    let expected = originals.values().filter(|original| {
        matches!(original.kind(), "8" | "9" | "r")
            && !original
                .get(17)
                .is_some_and(|id| id.starts_with(|first: char| first.is_ascii_uppercase()))
    });
    let mut heard = BTreeMap::new();
    for original in expected {
        let message = copy.next_in_sequence().expect("a copy");
        for tag in [35, 11, 41, 37, 17, 150, 39, 38, 44, 31, 32, 14, 151, 60, 58, 527, 880] {
            assert_eq!(message.get(tag), original.get(tag), "tag {tag} of {message:?}");
        }
        assert_eq!(message.get(56), Some("COPY"));
        heard.insert(message.seq(), message);
    }
    let other = copy.expect("35=8|150=0|11=b1|55=BTC-USD");
    heard.insert(other.seq(), other);

    let text = "this session is read-only: it gets copies of reports and sends no requests";
    for (kind, body) in [
        ("D", limit("d", "AAPL", "1", "1", "1.00")),
        ("F", cancel("f", "s3", "AAPL", "2")),
        ("G", replace("g", "s3", ("AAPL", "2"), "1", "1.00")),
        ("H", "11=s3|55=AAPL|54=2".to_owned()),
        ("q", format!("11=m|530=7|60={}", common::now())),
    ] {
        let seq = copy.send(kind, &body);
        let refused = copy.expect(&format!("35=j|45={seq}|372={kind}|380=6|58={text}"));
        heard.insert(refused.seq(), refused);
    }
    a.send("H", "11=s3|55=AAPL|54=2");
    a.expect("35=8|150=I|39=0|11=s3|151=7");
    let status = copy.expect("35=8|150=I|11=s3");
    heard.insert(status.seq(), status);

    let numbers = copy.numbers();
    drop(copy);
    b.rest("b2", "BTC-USD", "1", "0.5", "100.00");
    drop((a, b));
    venue.restart();
    let (mut copy, answer) = venue.resume("COPY", numbers);
    assert_eq!(answer.seq(), numbers.1 + 1, "one report was missed");
    let again = resend(&mut copy, (2, 0), answer.seq(), &mut Vec::new());
    let missed = again[&numbers.1].as_ref().expect("sent again");
    assert!(missed.matches("35=8|150=0|11=b2"), "{missed:?}");
    heard.insert(numbers.1, missed.clone());
    heard.insert(answer.seq(), answer);
    for (seq, message) in &again {
        match message {
            None => assert!(heard[seq].kind() == "A"),
            Some(message) => assert_eq!(message.content(), heard[seq].content()),
        }
    }
}

#[test]
fn changed_terms_are_refused_and_change_nothing() {
    let mut venue = TestVenue::start();
    let mut a = venue.client("A");
    a.rest("a1", "AAPL", "1", "1", "1.00");
    drop(a);
    let hash = venue.stop().state_hash;
    for (change, told) in [
        (("tick", "0.05"), ("tick 0.05", "tick 0.01")),
        (("tick", "0.001"), ("tick 0.001", "tick 0.01")),
        (("lot", "10"), ("lot 10", "lot 1")),
        (("price_max", "500"), ("price_max 500.00", "price_max 687194767.35")),
    ] {
        let old = venue.config.clone();
        let refused = venue.restart_with(|config| {
            let known = &mut config.instruments[0];
            match change.0 {
                "tick" => known.tick = change.1.to_owned(),
                "lot" => known.lot = change.1.to_owned(),
                _ => known.price_max = Some(change.1.to_owned()),
            }
        });
        match refused {
            Err(StartError::Contradiction { key, configured, journaled, .. }) => {
                let found = (&*key, (&*configured, &*journaled));
                assert_eq!(found, ("instrument AAPL", told));
            }
            other => panic!("{change:?}: {other:?}"),
        }
        venue.config = old;
    }
    venue.restart();
    assert_eq!(venue.venue().started().state_hash, hash, "a refused start leaves no trace");
}

#[test]
fn a_configuration_may_grow() {
    let mut venue = TestVenue::start_with(|config| config.engine.orders_max = 2);
    let mut a = venue.client("A");
    a.rest("a1", "AAPL", "1", "1", "1.00");
    a.rest("a2", "AAPL", "1", "1", "1.00");
    a.send("D", &limit("a3", "AAPL", "1", "1", "1.00"));
    a.expect("35=8|150=8|103=3|58=the venue holds its limit of 2 live orders");
    let numbers = a.numbers();
    drop(a);
    let grow = |config: &mut ironbook_gateway::config::Config| {
        config.engine.orders_max = 1_000;
        // Both are new, and come first: neither may take the place of an old one.
        config.instruments.insert(0, common::instrument("NEW", "0.5", "100"));
        config.sessions.insert(0, session("NEWCOMER"));
    };
    venue.restart_with(grow).expect("it may grow");
    assert_eq!(venue.venue().started().live_orders, 2);
    let (mut a, answer) = venue.resume("A", numbers);
    assert_eq!(answer.seq(), numbers.1);
    let mut newcomer = venue.client("NEWCOMER");
    a.rest("a4", "AAPL", "1", "1", "1.00");
    a.rest("a5", "NEW", "1", "200", "10.5");
    newcomer.send("D", &limit("n1", "NEW", "2", "100", "10.5"));
    newcomer.expect("35=8|150=0|11=n1");
    newcomer.expect("35=8|150=F|11=n1|31=10.5");
    a.expect("35=8|150=F|11=a5|39=1");
    let numbers = a.numbers();
    drop((a, newcomer));

    // Bounds do not shrink, sessions that are left out keep their numbers, and what was known
    // stays known.
    let without_a = |config: &mut ironbook_gateway::config::Config| {
        config.engine.orders_max = 1;
        config.sessions.retain(|known| known.comp_id != "A");
        config.instruments[0].status = StatusConfig::Halted;
    };
    venue.restart_with(without_a).expect("it may leave out");
    let mut a = FixClient::connect(venue.address(), "A");
    a.send("A", "98=0|108=30");
    a.expect_closed();
    let mut b = venue.client("B");
    b.rest("b1", "AAPL", "1", "1", "1.00");
    b.send("D", &limit("b2", "NEW", "2", "100", "10.5"));
    b.expect("35=8|150=8|103=2|55=NEW");
    drop(b);
    venue.restart_with(|config| config.sessions.push(session("A"))).expect("it may come back");
    let (mut a, answer) = venue.resume("A", numbers);
    assert_eq!(answer.seq(), numbers.1);
    a.send("F", &cancel("c", "a5", "NEW", "1"));
    a.expect("35=8|150=4|41=a5|14=100");
    common::replay(&venue.journal());
}

#[test]
fn a_session_whose_role_changes_gets_its_own_past_resent() {
    let mut venue = TestVenue::start();
    let mut a = venue.client("A");
    let mut b = venue.client("B");
    let mut originals = BTreeMap::new();
    for number in 0..5 {
        a.send("D", &limit(&format!("a{number}"), "AAPL", "1", "1", "1.00"));
        keep(&mut a, &mut originals, "35=8|150=0");
        b.rest(&format!("b{number}"), "AAPL", "1", "1", "1.00");
    }
    let numbers = a.numbers();
    drop((a, b));
    venue.restart_with(|config| config.sessions[0].read_only = true).expect("a role may change");
    let (mut a, answer) = venue.resume("A", numbers);
    originals.insert(answer.seq(), answer);
    let last = numbers.1;
    assert_same(&resend(&mut a, (2, last), last, &mut Vec::new()), &originals);
    let mut c = venue.client("C");
    c.rest("c1", "AAPL", "1", "1", "1.00");
    keep(&mut a, &mut originals, "35=8|150=0|11=c1");
    let numbers = a.numbers();
    drop((a, c));

    venue.restart_with(|config| config.sessions[0].read_only = false).expect("and change back");
    let (mut a, answer) = venue.resume("A", numbers);
    originals.insert(answer.seq(), answer);
    a.send("D", &limit("a9", "AAPL", "1", "1", "1.00"));
    keep(&mut a, &mut originals, "35=8|150=0|11=a9");
    let last = a.next_in - 1;
    let again = resend(&mut a, (2, 0), last, &mut Vec::new());
    assert_eq!(again.len() as u64, last - 1);
    assert_same(&again, &originals);
}

#[test]
fn a_journal_without_an_end_starts_alike() {
    let mut venue = TestVenue::start();
    let (a, originals) = eventful(&venue);
    let numbers = a.numbers();
    // A copy of a running venue's journal is what a killed process leaves behind.
    let copied = venue.scratch().join("copied");
    std::fs::create_dir(&copied).unwrap();
    for entry in std::fs::read_dir(venue.journal()).unwrap() {
        let entry = entry.unwrap();
        match std::fs::copy(entry.path(), copied.join(entry.file_name())) {
            // A segment that is being prepared changes its name.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            done => drop(done.unwrap()),
        }
    }
    drop(a);
    venue.stop();
    let mut config = venue.config.clone();
    config.venue.data_dir = copied.clone();
    let survivor = Venue::start(&config).expect("the copy starts");
    assert_eq!(survivor.started().live_orders, 1);
    let (mut a, answer) = FixClient::resume(survivor.address(), "A", numbers);
    assert_eq!(answer.seq(), numbers.1);
    let last = numbers.1 - 1;
    assert_same(&resend(&mut a, (1, last), last, &mut Vec::new()), &originals);
    drop(a);
    survivor.stop().expect("it ends in order").sync.expect("it is synced");
    common::replay(&copied);
}
