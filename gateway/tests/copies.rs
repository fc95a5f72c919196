//! Drop copies of some sessions: who gets what, under which number, and the same again when asked.

mod common;

use std::collections::BTreeMap;

use common::{FixClient, Msg, TestVenue, assert_same, limit, resend, session};
use ironbook_gateway::{config::Config, session_record::COPIES_MAX};

/// A and B trade, A for a firm. COPY is for that firm, SOME for B and C, ALL for everybody.
fn copies(config: &mut Config) {
    config.sessions[0].firm = Some("ACME".to_owned());
    config.sessions[3].firm = Some("ACME".to_owned());
    for comp_id in ["SOME", "ALL"] {
        config.sessions.push(session(comp_id));
    }
    config.sessions[4].copies = vec!["B".to_owned(), "C".to_owned()];
    config.sessions[4].read_only = true;
    config.sessions[5].read_only = true;
    // A stop writes a snapshot, and a start goes on from it.
    config.snapshot.every_commands = 5;
}

/// What a copy gets next: of whom, by the first letter of the ClOrdID, and what of the order.
#[track_caller]
fn expect_copies(copy: &mut FixClient, told: &mut BTreeMap<u64, Msg>, expected: &str) {
    let mut got = String::new();
    for _ in expected.split_whitespace() {
        let message = copy.expect("35=8");
        let (id, exec_type) = (message.get(11).expect("an id"), message.get(150).expect("a type"));
        got += &format!("{id}:{exec_type} ");
        told.insert(message.seq(), message);
    }
    assert_eq!(got.trim_end(), expected);
    copy.ping();
}

/// A and B trade; both are done with it.
fn trade(a: &mut FixClient, b: &mut FixClient, round: u32) {
    a.rest(&format!("a{round}"), "AAPL", "2", "5", "1.00");
    b.send("D", &limit(&format!("b{round}"), "AAPL", "1", "5", "1.00"));
    b.expect("35=8|150=0");
    b.expect("35=8|150=F");
    a.expect("35=8|150=F");
}

/// What was told is told again, and nothing else.
#[track_caller]
fn assert_told_again(copy: &mut FixClient, told: &BTreeMap<u64, Msg>) {
    let last = copy.next_in - 1;
    let again = resend(copy, (1, last), last, &mut Vec::new());
    let again: BTreeMap<_, _> = again.into_iter().filter(|(_, again)| again.is_some()).collect();
    assert_eq!(again.keys().collect::<Vec<_>>(), told.keys().collect::<Vec<_>>());
    assert_same(&again, told);
}

#[test]
fn a_drop_copy_gets_what_it_is_for() {
    let mut venue = TestVenue::start_with(copies);
    let (mut a, mut b) = (venue.client("A"), venue.client("B"));
    let names = ["COPY", "SOME", "ALL"];
    let mut watching = names.map(|name| venue.client(name));
    let mut told: [BTreeMap<u64, Msg>; 3] = Default::default();
    trade(&mut a, &mut b, 1);
    let all = "a1:0 b1:0 a1:F b1:F";
    for (index, expected) in ["a1:0 a1:F", "b1:0 b1:F", all].into_iter().enumerate() {
        expect_copies(&mut watching[index], &mut told[index], expected);
        assert_told_again(&mut watching[index], &told[index]);
    }

    // Who gets what changes with a start, for what comes from there on.
    let traders = [a.log_out(), b.log_out()];
    let numbers = watching.map(FixClient::log_out);
    venue
        .restart_with(|config| {
            config.sessions[3].copies = vec!["B".to_owned()];
            config.sessions[4].copies = Vec::new();
        })
        .expect("it starts");
    assert!(venue.venue().started().snapshot.is_some(), "from a snapshot");
    let mut a = venue.resume("A", traders[0]).0;
    let mut b = venue.resume("B", traders[1]).0;
    trade(&mut a, &mut b, 2);
    let all = "a2:0 b2:0 a2:F b2:F";
    for (index, expected) in ["b2:0 b2:F", all, all].into_iter().enumerate() {
        let (mut copy, answer) = venue.resume(names[index], numbers[index]);
        assert_eq!(answer.seq(), numbers[index].1 + expected.split(' ').count() as u64);
        copy.next_in = answer.seq() + 1;
        // One resend passes the place where it changed; what it had been told before is unchanged.
        let last = answer.seq() - 1;
        let again = resend(&mut copy, (1, last), last, &mut Vec::new());
        let mut again: BTreeMap<_, _> = again.into_iter().filter(|(_, it)| it.is_some()).collect();
        let missed = again.split_off(&numbers[index].1);
        assert_eq!(again.len(), told[index].len());
        assert_same(&again, &told[index]);
        let missed = missed.values().flatten().map(|message| {
            format!("{}:{}", message.get(11).expect("an id"), message.get(150).expect("a type"))
        });
        assert_eq!(missed.collect::<Vec<_>>().join(" "), expected, "{}", names[index]);
    }
    common::replay(&venue.journal());
}

#[test]
fn a_firm_without_sessions_gives_no_copies() {
    let venue = TestVenue::start_with(|config| config.sessions[3].firm = Some("NOBODY".to_owned()));
    let mut copy = venue.client("COPY");
    let mut a = venue.client("A");
    a.rest("a1", "AAPL", "1", "5", "1.00");
    copy.ping();
}

#[test]
fn who_listens_now_and_has_orders_from_before_is_told_once() {
    let mut venue = TestVenue::start();
    let mut a = venue.client("A");
    a.rest("a1", "AAPL", "2", "5", "1.00");
    let numbers = a.log_out();
    venue.restart_with(|config| config.sessions[0].read_only = true).expect("it starts");
    let mut a = venue.resume("A", numbers).0;
    let mut b = venue.client("B");
    b.send("D", &limit("b1", "AAPL", "1", "5", "1.00"));
    let mut told = BTreeMap::new();
    expect_copies(&mut a, &mut told, "b1:0 a1:F b1:F");
    let last = a.next_in - 1;
    let first = *told.keys().next().expect("a report");
    let again = resend(&mut a, (first, last), last, &mut Vec::new());
    let again: BTreeMap<_, _> = again.into_iter().filter(|(_, again)| again.is_some()).collect();
    assert_eq!(again.len(), 3);
    assert_same(&again, &told);
}

#[test]
fn a_drop_copy_of_as_many_sessions_as_may_be_is_journaled() {
    let many = |config: &mut Config| {
        config.engine.sessions_max = 1 << 14;
        let of_firm = (0..COPIES_MAX).map(|number| session(&format!("S{number}")));
        config.sessions = of_firm.chain([session("COPY")]).collect();
        config.sessions.iter_mut().for_each(|session| session.firm = Some("FIRM".to_owned()));
        config.sessions[COPIES_MAX].read_only = true;
    };
    let mut venue = TestVenue::start_with(many);
    let (mut last, mut copy) =
        (venue.client(&format!("S{}", COPIES_MAX - 1)), venue.client("COPY"));
    last.rest("a", "AAPL", "1", "5", "1.00");
    copy.expect("35=8|11=a");
    drop((last, copy));
    venue.stop();
    venue.restart();
}
