//! Actions of operators: how they are told over time, frame by frame, and without names.

mod common;

use common::{AAPL, C1, C7, MSFT, Script, index, memory_dir};
use ironbook_engine::{
    InstrumentId, InstrumentStatus, ReasonText, SessionId, Side, Timestamp, TradingStatus,
    command::{Origin, SetInstrumentStatus, SetTradingStatus},
};
use ironbook_gateway::{
    operator::Action, session_record::SessionRecord, translate::mass_cancel_of,
};
use ironbook_incident::{
    names::Names,
    phases::{By, phases},
    question::{Span, client::client, find_order, life::life, top::top, why::why},
    show::Entry,
};
use ironbook_journal::Reader;

const VENUE: SessionId = SessionId::VENUE;
const ANN: (&str, &str) = ("ann", "news is out");
const BOB: (&str, &str) = ("bob", "news is told");

fn set(day: &mut Script, origin: Origin, instrument: InstrumentId, status: InstrumentStatus) {
    day.command(SetInstrumentStatus::new(origin, instrument, status));
}

/// Ann halts all, Bob resumes one and suspends C7; then the venue halts what is open by itself, dies, and starts.
fn day(day: &mut Script) {
    use InstrumentStatus::{Halted, Open};
    day.order((C1, "a"), AAPL, Side::Buy, (10, 10_000));
    let origin = day.operator(Action::Halt, (VENUE, InstrumentId::NONE), 2, ANN);
    set(day, origin, AAPL, Halted);
    set(day, origin, MSFT, Halted);
    let origin = day.operator(Action::Resume, (VENUE, AAPL), 1, BOB);
    set(day, origin, AAPL, Open);
    let origin = day.operator(Action::Suspend, (C7, InstrumentId::NONE), 1, BOB);
    let reason = ReasonText::try_from(BOB.1).unwrap();
    day.command(SetTradingStatus::new(origin, C7, TradingStatus::CancelOnly, reason));
    day.set_status(AAPL, Halted);
    // Right before a start, which has a status of its own.
    let origin = day.operator(Action::Resume, (VENUE, AAPL), 1, ANN);
    set(day, origin, AAPL, Open);
    day.set_status(MSFT, Open);
    day.record(&SessionRecord::Lost {
        session: C1,
        cause: ironbook_engine::domain::DisconnectCause::VenueDown,
    });
}

fn by((name, reason): (&str, &str)) -> By {
    By::Operator { name: name.to_owned(), reason: reason.to_owned() }
}

#[test]
fn phases_say_who_set_a_status_and_why() {
    use InstrumentStatus::{Halted, Open};
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut script = Script::new(&dir);
    day(&mut script);
    script.close();
    let (found, _) = phases(&dir).expect("a journal");
    let actions: Vec<_> = found
        .actions
        .kept
        .iter()
        .map(|action| (action.by.clone(), action.statuses, action.session.clone()))
        .collect();
    let expected = [
        (by(ANN), [0, 2, 0], None),
        (by(BOB), [1, 0, 0], None),
        (by(BOB), [0, 0, 0], Some((Action::Suspend, "C7".to_owned()))),
        (By::Venue, [0, 1, 0], None),
        (by(ANN), [1, 0, 0], None),
    ];
    assert_eq!(actions, expected, "open, halted, closed");
    let statuses = |number: usize| -> Vec<_> {
        let kept = &found.instruments[number].statuses.kept;
        kept.iter().map(|status| (status.status, status.by.clone())).collect()
    };
    assert_eq!(
        statuses(0),
        [
            (Open, By::Nobody),
            (Halted, by(ANN)),
            (Open, by(BOB)),
            (Halted, By::Venue),
            (Open, by(ANN))
        ]
    );
    assert_eq!(statuses(1), [(Open, By::Nobody), (Halted, by(ANN)), (Open, By::Start)]);
    let text = found.to_string();
    for expected in [
        "Actions      5: outside of starts",
        "suspend C7, by operator bob: news is told",
        "2 instruments halted, by operator ann: news is out",
        "1 instrument halted, by the venue",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let action = &found.json()["venue_actions"]["listed"][1]["by"];
    let told = (action["operator"].as_str(), action["reason"].as_str());
    assert_eq!(told, (Some("bob"), Some("news is told")), "{}", found.json());
}

#[test]
fn frames_say_who_asked_for_what_and_why_and_names_are_replaced() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut script = Script::new(&dir);
    day(&mut script);
    script.close();
    let index = index(&dir);
    let texts = |redact: bool| {
        let mut names = Names::of(&index, redact).expect("names");
        let mut reader = Reader::open(&dir).expect("a journal");
        let mut texts = Vec::new();
        while let Some(frame) = reader.next().expect("frames") {
            let mut entry = Entry::of(&frame);
            names.redact(&mut entry);
            if matches!(
                SessionRecord::decode(frame.kind, frame.payload),
                Some(SessionRecord::Operator(_))
            ) {
                texts.push((entry.text(names.engine()), entry.json(names.engine())));
            }
        }
        texts
    };
    let shown = texts(false);
    let expected = [
        "operator ann: halt all: news is out",
        "operator bob: resume AAPL: news is told",
        "operator bob: suspend C7: news is told",
        "operator ann: resume AAPL: news is out",
    ];
    for ((text, json), expected) in shown.iter().zip(expected) {
        assert!(text.contains(expected), "{expected}\n{text}");
        let told = format!(
            "operator {}: {} {}: {}",
            json["by"].as_str().unwrap(),
            json["action"].as_str().unwrap(),
            json["target"].as_str().unwrap(),
            json["reason"].as_str().unwrap()
        );
        assert_eq!(told, expected);
    }
    let redacted = texts(true);
    let expected = [
        "operator U1: halt all: REDACTED",
        "operator U2: resume AAPL: REDACTED",
        "operator U2: suspend C3: REDACTED",
        "operator U1: resume AAPL: REDACTED",
    ];
    for ((text, json), expected) in redacted.iter().zip(expected) {
        assert!(text.contains(expected), "{expected}\n{text}");
        let json = json.to_string();
        assert!(!["ann", "bob", "news"].iter().any(|name| json.contains(name)), "{json}");
    }
    assert_eq!((shown.len(), redacted.len()), (4, 4));
}

#[test]
fn top_and_why_name_the_operator_and_the_reason() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut script = Script::new(&dir);
    day(&mut script);
    script.order((C7, "late"), AAPL, Side::Buy, (10, 10_000));
    let origin = script.operator(Action::Halt, (VENUE, AAPL), 1, BOB);
    set(&mut script, origin, AAPL, InstrumentStatus::Halted);
    script.order((C1, "halted"), AAPL, Side::Buy, (10, 10_000));
    // From the venue itself.
    script.set_status(AAPL, InstrumentStatus::Closed);
    script.order((C1, "closed"), AAPL, Side::Buy, (10, 10_000));
    script.set_trading(C7, TradingStatus::Open, "");
    script.set_trading(C7, TradingStatus::CancelOnly, "");
    script.set_status(AAPL, InstrumentStatus::Open);
    script.order((C7, "later"), AAPL, Side::Buy, (10, 10_000));
    script.close();
    let index = index(&dir);
    for (word, expected) in [
        ("late", Some(", by operator bob: news is told")),
        ("halted", Some(", by operator bob: news is told")),
        ("closed", None),
        ("later", None),
    ] {
        let told = why(&index, word).expect("an answer").to_string();
        let since = told.lines().find(|line| line.trim_start().starts_with("since"));
        let since = since.unwrap_or_else(|| panic!("{told}"));
        match expected {
            Some(expected) => assert!(since.ends_with(expected), "{told}"),
            None => assert!(!told.contains("operator"), "{told}"),
        }
    }
    let span = Span { first: 1, last: index.last_sequence() };
    let found = top(&index, span, 2).expect("an answer");
    let text = found.to_string();
    let expected = "\n\nOperators    halt all, by ann: news is out; at sequence ";
    assert!(text.contains(expected), "{text}");
    assert_eq!((found.operators.rows.len(), found.operators.more), (2, 3), "as many as asked for");
    assert_eq!((found.changes.rows.len(), found.changes.more), (2, 7));
    let more = text.lines().filter(|line| line.starts_with("             and "));
    assert_eq!(more.collect::<Vec<_>>(), ["             and 7 more", "             and 3 more"]);
    let left_out = &found.json()["left_out"];
    assert_eq!((&left_out["operators"], &left_out["status_changes"]), (&3.into(), &7.into()));
    assert_eq!(found.json()["operators"][1]["target"], "AAPL");
}

#[test]
fn why_names_the_operator_whose_action_canceled_an_order() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut script = Script::new(&dir);
    let mut asked = Vec::new();
    for (action, name, with_record) in [
        (Action::Suspend, "first", true),
        (Action::Cancel, "second", true),
        (Action::Cancel, "third", false),
    ] {
        script.order((C7, name), AAPL, Side::Buy, (10, 9_000));
        let mut origin = Origin::venue(Timestamp(script.now_ns() + 1));
        if with_record {
            asked.push(script.next_sequence());
            origin = script.operator(action, (C7, InstrumentId::NONE), 2, BOB);
        }
        // Gateways have batches in between.
        script.order((C1, &format!("between-{name}")), AAPL, Side::Buy, (10, 9_000));
        if action == Action::Suspend {
            let reason = ReasonText::try_from(BOB.1).unwrap();
            script.command(SetTradingStatus::new(origin, C7, TradingStatus::CancelOnly, reason));
        }
        script.command(mass_cancel_of(C7, origin.received));
        script.set_trading(C7, TradingStatus::Open, "");
    }
    script.order((C7, "own"), AAPL, Side::Buy, (10, 9_000));
    script.mass_cancel(C7, "all");
    script.close();
    let index = index(&dir);
    for (word, did, action, at) in [
        ("first", "suspended C7", "suspend", 0),
        ("second", "canceled the orders of C7", "cancel", 1),
    ] {
        let told = why(&index, &format!("clordid:C7/{word}")).expect("an answer");
        let sequence = asked[at];
        assert_eq!(
            told.verdict,
            format!("it was canceled by operator bob, who {did}: news is told")
        );
        let fact = told.facts.iter().find(|(name, _)| *name == "operator").expect("a fact");
        assert!(fact.1.starts_with(&format!("sequence {sequence}, 2026-03-02T")), "{told}");
        assert!(fact.1.ends_with(&format!(": {action} C7, by bob: news is told")), "{told}");
        assert_eq!(told.cause, Some(sequence));
        assert_eq!(told.json()["cause_sequence"], sequence);
        let order = find_order(&index, &format!("clordid:C7/{word}")).expect("an order");
        let life = life(&index, order).expect("an answer");
        let canceled = told.sequence;
        assert_eq!(
            life.end,
            format!(
                "canceled at sequence {canceled}, done 0, by operator bob, who {did} at sequence {sequence}: news \
                 is told"
            )
        );
        let by = &life.json()["canceled_by"];
        assert_eq!((&by["by"], &by["reason"]), (&"bob".into(), &BOB.1.into()));
        assert_eq!((&by["action"], &by["target"]), (&action.into(), &"C7".into()));
        assert_eq!(by["sequence"], sequence);
    }
    for word in ["third", "own"] {
        let told = why(&index, &format!("clordid:C7/{word}")).expect("an answer");
        assert!(!told.to_string().contains("operator") && told.cause.is_none(), "{told}");
        let order = find_order(&index, &format!("clordid:C7/{word}")).expect("an order");
        let life = life(&index, order).expect("an answer");
        assert!(!life.end.contains("operator") && life.json()["canceled_by"].is_null(), "{life}");
    }
}

#[test]
fn a_client_s_answer_lists_what_operators_did_to_it() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut script = Script::new(&dir);
    day(&mut script);
    let suspended = script.next_sequence();
    script.operator(Action::Open, (C7, InstrumentId::NONE), 1, ANN);
    let canceled = script.next_sequence();
    script.operator(Action::Cancel, (C7, InstrumentId::NONE), 1, BOB);
    script.operator(Action::Cancel, (C1, InstrumentId::NONE), 1, BOB);
    script.close();
    let index = index(&dir);
    // What `day` did to it is not in this part.
    let span = Span { first: suspended, last: index.last_sequence() };
    let found = client(&index, "C7", span).expect("an answer");
    let text = found.to_string();
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("Operator ")).collect();
    let expected =
        [("open", "ann: news is out", suspended), ("cancel", "bob: news is told", canceled)];
    assert_eq!(lines.len(), expected.len(), "{text}");
    let json = found.json();
    let listed = json["operators"].as_array().expect("a list");
    assert_eq!(listed.len(), expected.len(), "{json}");
    for ((line, row), (action, who, sequence)) in lines.iter().zip(listed).zip(expected) {
        let start = format!("Operator     {action}, by {who}; at sequence {sequence}, ");
        assert!(line.starts_with(&start), "{text}");
        let told = format!("{}: {}", row["by"].as_str().unwrap(), row["reason"].as_str().unwrap());
        assert_eq!((told.as_str(), &row["action"]), (who, &action.into()));
        assert_eq!((&row["target"], &row["sequence"]), (&"C7".into(), &sequence.into()));
        let time = row["time"].as_str().expect("a time");
        assert!(time.contains(&line[start.len()..]), "{text}\n{json}");
    }
    let all = Span { first: 1, last: index.last_sequence() };
    let found = client(&index, "C7", all).expect("an answer").json();
    assert_eq!(found["operators"].as_array().map(Vec::len), Some(3), "with his suspension");
    assert_eq!(found["operators"][0]["action"], "suspend");
}
