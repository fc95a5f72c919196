//! How many orders a session, or a firm, may send, and what becomes of those beyond.

mod common;

use std::collections::BTreeSet;

use common::{
    FixClient, TestVenue, assert_valid, cancel, limit, replace,
    stepped::{SECOND, Stepped},
};
use ironbook_engine::Command;
use ironbook_fix::version::{ApplVerId, Version};
use ironbook_gateway::{
    config::{Config, FirmConfig},
    session_record::SessionRecord,
    throttle::ThrottleAction,
};
use ironbook_journal::Reader;

const MS: u64 = SECOND / 1_000;

/// Session A may send ten orders a second, three at once.
fn throttled(action: ThrottleAction) -> impl FnOnce(&mut Config) {
    move |config| {
        config.sessions[0].orders_per_second = 10;
        config.sessions[0].orders_burst = 3;
        config.sessions[0].throttle = action;
    }
}

/// A and B have a firm that may send five orders a second, two at once; B may send one of them.
fn firm(action: ThrottleAction) -> impl FnOnce(&mut Config) {
    move |config| {
        for session in &mut config.sessions[..2] {
            session.firm = Some("ACME".to_owned());
        }
        config.sessions[1].orders_per_second = 1;
        config.firms.push(FirmConfig {
            name: "ACME".to_owned(),
            orders_per_second: 5,
            orders_burst: 2,
            throttle: action,
        });
    }
}

fn order(id: &str) -> String {
    limit(id, "AAPL", "1", "1", "1.00")
}

fn accepted(venue: &mut Stepped, client: &mut FixClient, id: &str) {
    venue.ask(client, "D", &order(id), &format!("35=8|150=0|39=0|11={id}"));
}

fn refused(venue: &mut Stepped, client: &mut FixClient, id: &str, text: &str) {
    let expected = format!("35=8|150=8|39=8|37=NONE|103=3|11={id}|58=throttle: {text}");
    venue.ask(client, "D", &order(id), &expected);
}

const A_EARLY: &str = "this session may send 10 orders and replaces a second, 3 at once; this is";

#[test]
fn orders_beyond_the_bound_are_refused_with_rule_limit_and_what_was_seen() {
    let mut venue = Stepped::start(throttled(ThrottleAction::Reject));
    let (mut a, mut b) = (venue.log_on("A", 30), venue.log_on("B", 30));
    for id in ["a1", "a2", "a3"] {
        accepted(&mut venue, &mut a, id);
    }
    refused(&mut venue, &mut a, "a4", &format!("{A_EARLY} 100000 us too early"));
    venue.advance(99 * MS);
    // What was refused took nothing; a replace needs a token too.
    let text = format!("58=throttle: {A_EARLY} 1000 us too early");
    let body = replace("r1", "a1", ("AAPL", "1"), "2", "1.00");
    venue.ask(&mut a, "G", &body, &format!("35=9|434=2|102=99|11=r1|41=a1|{text}"));
    venue.advance(MS);
    venue.ask(&mut a, "G", &body, "35=8|150=5|11=r1|38=2");
    refused(&mut venue, &mut a, "a5", &format!("{A_EARLY} 100000 us too early"));
    // Cancels and questions are always taken.
    venue.ask(&mut a, "F", &cancel("c1", "r1", "AAPL", "1"), "35=8|150=4|11=c1");
    venue.ask(&mut a, "H", "11=a2|55=AAPL|54=1", "35=8|150=I|39=0|11=a2");
    venue.send(&mut a, "q", &format!("11=m1|530=7|60={}", common::now()));
    assert!(venue.receive(&mut a, 3)[0].matches("35=r|533=2"));
    // A pause brings back no more than the bucket holds. Others have no bound.
    venue.advance(20 * SECOND);
    for id in ["a6", "a7", "a8"] {
        accepted(&mut venue, &mut a, id);
    }
    refused(&mut venue, &mut a, "a9", &format!("{A_EARLY} 100000 us too early"));
    for number in 0..50 {
        accepted(&mut venue, &mut b, &format!("b{number}"));
    }
    // However many are refused at once, each has an ExecID of its own.
    for number in 0..20 {
        venue.send(&mut a, "D", &order(&format!("x{number}")));
    }
    let got = venue.receive(&mut a, 20);
    let ids: BTreeSet<_> = got.iter().map(|message| message.get(17).expect("an ExecID")).collect();
    assert_eq!(ids.len(), 20, "{got:?}");
    common::replay(&venue.config.venue.data_dir);
}

#[test]
fn what_is_refused_for_a_right_takes_a_token_and_the_journal_tells_it() {
    let mut venue = Stepped::start(|config| {
        throttled(ThrottleAction::Reject)(config);
        config.sessions[0].symbols = vec!["AAPL".to_owned()];
    });
    let mut a = venue.log_on("A", 30);
    let right = "this session may not trade this Symbol(55): it is not in its symbols";
    let elsewhere = limit("x1", "MSFT", "1", "1", "1.00");
    venue.ask(&mut a, "D", &elsewhere, &format!("35=8|39=8|11=x1|58={right}"));
    accepted(&mut venue, &mut a, "a1");
    let body = replace("r1", "a1", ("MSFT", "1"), "2", "1.00");
    venue.ask(&mut a, "G", &body, &format!("35=9|434=2|11=r1|58={right}"));
    refused(&mut venue, &mut a, "a2", &format!("{A_EARLY} 100000 us too early"));
    let mut reader = Reader::open(&venue.config.venue.data_dir).expect("a journal");
    let (mut read, mut taken, mut refusals) = (Vec::new(), Vec::new(), 0);
    while let Some(frame) = reader.next().expect("a good journal") {
        if let Ok(command) = Command::decode(frame.kind, frame.payload) {
            read.extend(command.received());
        } else if let Some(record) = SessionRecord::decode(frame.kind, frame.payload) {
            refusals += u64::from(record.refuses());
            taken.extend(record.token_taken());
        }
    }
    // All were read at one time.
    assert_eq!((refusals, read.len(), taken), (3, 1, vec![read[0]; 2]));
}

#[test]
fn sessions_of_a_firm_share_its_bound() {
    let mut venue = Stepped::start(firm(ThrottleAction::Reject));
    let (mut a, mut b) = (venue.log_on("A", 30), venue.log_on("B", 30));
    let mut c = venue.log_on("C", 30);
    let firm =
        "all sessions of this firm may send 5 orders and replaces a second, 2 at once; this is";
    let own = "this session may send 1 orders and replaces a second, 1 at once; this is";
    accepted(&mut venue, &mut b, "b1");
    // Refused by its own bound, it takes nothing of the firm's.
    refused(&mut venue, &mut b, "b2", &format!("{own} 1000000 us too early"));
    accepted(&mut venue, &mut a, "a1");
    refused(&mut venue, &mut a, "a2", &format!("{firm} 200000 us too early"));
    venue.advance(200 * MS);
    accepted(&mut venue, &mut a, "a3");
    venue.advance(800 * MS);
    // Refused by the firm's bound, it takes nothing of its own.
    accepted(&mut venue, &mut a, "a4");
    accepted(&mut venue, &mut a, "a5");
    refused(&mut venue, &mut b, "b3", &format!("{firm} 200000 us too early"));
    venue.advance(200 * MS);
    accepted(&mut venue, &mut b, "b4");
    for number in 0..10 {
        accepted(&mut venue, &mut c, &format!("c{number}"));
    }
}

#[test]
fn orders_that_wait_are_taken_one_by_one_in_their_order() {
    let mut venue = Stepped::start(throttled(ThrottleAction::Delay));
    let mut a = venue.log_on("A", 30);
    let mut b = venue.log_on("B", 30);
    for number in 1..=6 {
        venue.send(&mut a, "D", &order(&format!("a{number}")));
    }
    venue.send(&mut a, "F", &cancel("c1", "a1", "AAPL", "1"));
    let ids = |venue: &mut Stepped, a: &mut FixClient, count| {
        let got = venue.receive(a, count);
        got.iter().map(|message| message.get(11).expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&mut venue, &mut a, 3), ["a1", "a2", "a3"]);
    let due = venue.next_deadline().expect("an order waits");
    assert_eq!(due.0, venue.now + 100 * MS);
    venue.advance(99 * MS);
    venue.expect_silence(&mut a);
    // Nobody else waits.
    accepted(&mut venue, &mut b, "b1");
    venue.advance(MS);
    assert_eq!(ids(&mut venue, &mut a, 1), ["a4"]);
    venue.advance(100 * MS);
    assert_eq!(ids(&mut venue, &mut a, 1), ["a5"]);
    // What stands behind an order waits with it, and no longer.
    venue.advance(100 * MS);
    assert_eq!(ids(&mut venue, &mut a, 2), ["a6", "c1"]);
    // A cancel that is next is taken without a token.
    venue.ask(&mut a, "F", &cancel("c2", "a2", "AAPL", "1"), "35=8|150=4|11=c2");
    venue.send(&mut a, "D", &order("a7"));
    venue.expect_silence(&mut a);
    venue.advance(100 * MS);
    assert_eq!(ids(&mut venue, &mut a, 1), ["a7"]);
}

#[test]
fn a_firm_may_delay_what_a_session_would_not() {
    let mut venue = Stepped::start(firm(ThrottleAction::Delay));
    let (mut a, mut b) = (venue.log_on("A", 30), venue.log_on("B", 30));
    accepted(&mut venue, &mut a, "a1");
    accepted(&mut venue, &mut a, "a2");
    venue.send(&mut a, "D", &order("a3"));
    venue.send(&mut b, "D", &order("b1"));
    venue.expect_silence(&mut a);
    venue.expect_silence(&mut b);
    venue.advance(400 * MS);
    assert!(venue.receive(&mut a, 1)[0].matches("35=8|150=0|11=a3"));
    assert!(venue.receive(&mut b, 1)[0].matches("35=8|150=0|11=b1"));
    // Its own bound refuses.
    venue.advance(400 * MS);
    let own = "this session may send 1 orders and replaces a second, 1 at once; this is";
    venue.send(&mut b, "D", &order("b2"));
    let got = venue.receive(&mut b, 1);
    assert!(got[0].matches("35=8|150=8|103=3|11=b2"), "{got:?}");
    assert!(got[0].get(58).expect("a text").starts_with(&format!("throttle: {own}")), "{got:?}");
}

#[test]
fn sessions_of_a_firm_take_turns_and_none_that_waits_is_silent() {
    let mut venue = Stepped::start(|config| {
        firm(ThrottleAction::Delay)(config);
        config.sessions[1].orders_per_second = 0;
        (config.firms[0].orders_per_second, config.firms[0].orders_burst) = (1, 1);
    });
    let (mut a, mut b) = (venue.log_on("A", 60), venue.log_on("B", 10));
    // A alone would take a minute's tokens.
    for number in 0..60 {
        venue.send(&mut a, "D", &order(&format!("a{number}")));
    }
    for number in 0..5 {
        venue.send(&mut b, "D", &order(&format!("b{number}")));
    }
    let mut told = Vec::new();
    for _ in 0..15 {
        venue.advance(SECOND);
        told.extend(b.pending());
    }
    let reports = told.iter().filter(|message| message.matches("35=8|150=0")).count();
    assert_eq!(reports, 5, "{told:?}");
    assert!(told.iter().all(|message| !message.matches("35=5")), "{told:?}");
}

#[test]
fn refusals_are_valid_in_every_version() {
    for version in Version::ALL {
        let mut venue = Stepped::start(throttled(ThrottleAction::Reject));
        let mut a = venue.log_on_with("A", version, (1, 1));
        let handling = if version.application < ApplVerId::Fix44 { "|21=1" } else { "" };
        for number in 1..=4 {
            // FIX 4.0 and 4.1 have no TransactTime in an order, but a Text.
            let time = if version.application < ApplVerId::Fix42 { "|58=" } else { "|60=" };
            let body = order(&format!("a{number}")).replace("|60=", time);
            venue.send(&mut a, "D", &format!("{body}{handling}"));
        }
        let got = venue.receive(&mut a, 4);
        got.iter().for_each(|message| assert_valid(version, message));
        assert!(got[2].matches("35=8|39=0|11=a3"), "{version}: {got:?}");
        assert!(got[3].matches("35=8|39=8|103=3|11=a4"), "{version}: {got:?}");
    }
}

/// What the journal says of throttles, a word for each record.
fn journaled(venue: &TestVenue) -> Vec<String> {
    let mut reader = Reader::open(&venue.journal()).expect("a journal");
    let mut found = Vec::new();
    while let Some(frame) = reader.next().expect("a good journal") {
        if let Some(SessionRecord::Throttle { session, scope, firm, terms }) =
            SessionRecord::decode(frame.kind, frame.payload)
        {
            let terms = terms.map_or("none".to_owned(), |terms| {
                format!("{}/{}/{:?}", terms.per_second, terms.burst, terms.action)
            });
            found.push(format!("{session} {scope:?} {firm} {terms}"));
        }
    }
    found
}

#[test]
fn throttles_are_journaled_at_a_start_when_they_are_others() {
    let mut venue = TestVenue::start_with(firm(ThrottleAction::Delay));
    venue.stop();
    let mut expected =
        vec!["1 Firm ACME 5/2/Delay", "2 Session  1/1/Reject", "2 Firm ACME 5/2/Delay"];
    assert_eq!(journaled(&venue), expected);
    // Known from the journal or from the snapshot that a stop writes; said once.
    venue.restart_with(|config| config.snapshot.every_commands = 5).expect("it starts");
    venue.stop();
    assert_eq!(journaled(&venue), expected);
    let change = |config: &mut Config| {
        config.firms.clear();
        config.sessions[0].firm = None;
        config.sessions[1].orders_burst = 4;
        config.sessions[2].firm = Some("OTHER".to_owned());
    };
    venue.restart_with(change).expect("it starts");
    venue.stop();
    expected.extend(["1 Firm  none", "2 Session  1/4/Reject", "2 Firm ACME none"]);
    expected.push("3 Firm OTHER none");
    assert_eq!(journaled(&venue), expected);
    venue.restart_with(|_| {}).expect("it starts");
    venue.stop();
    assert_eq!(journaled(&venue), expected);
    // Who is not in the configuration any more is bound by nothing, once.
    expected.extend(["2 Session  none", "2 Firm  none", "3 Firm  none"]);
    for _ in 0..2 {
        venue.restart_with(|config| config.sessions.truncate(1)).expect("it starts");
        venue.stop();
        assert_eq!(journaled(&venue), expected);
    }
    common::replay(&venue.journal());
}
