//! How long requests waited, of a journal that is known.

mod common;

use common::{C1, C2, C7, START_NS, STEP_NS, Script, index, memory_dir};
use ironbook_engine::{InstrumentStatus, Side};
use ironbook_gateway::{core::BATCH_MAX, session_record::SessionRecord};
use ironbook_incident::{
    index::Index,
    question::{
        Span,
        latency::{Latency, latency},
    },
};

const SECOND_NS: u64 = 1_000_000_000;

fn of_all(index: &Index, limit: usize) -> Latency {
    latency(index, Span::parse(index, None, None).unwrap(), limit).unwrap()
}

/// A turn of four orders and a record of a session, of which two trade; one of two; and one alone. Sequences of the
/// orders.
fn written(script: &mut Script) -> Vec<u64> {
    // What the venue does by itself has not waited.
    script.set_status(common::MSFT, InstrumentStatus::Halted);
    let four = [
        (C1, "a", Side::Buy, 10_000),
        (C2, "b", Side::Sell, 20_000),
        (C1, "c", Side::Buy, 30_000),
        (C1, "d", Side::Buy, 9_000),
    ];
    let mut sequences = script.turn(&four);
    script.record(&SessionRecord::Inbound { session: C1, next: 9 });
    script.wait(SECOND_NS);
    sequences.extend(script.turn(&[(C2, "e", Side::Sell, 5_000), (C7, "f", Side::Buy, 2_345_678)]));
    script.wait(2 * SECOND_NS);
    sequences.extend(script.turn(&[(C7, "g", Side::Buy, 7_000)]));
    sequences
}

#[test]
fn waits_are_those_that_were_written() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut script = Script::new(&dir);
    let orders = written(&mut script);
    script.close();
    let index = index(&dir);
    let found = of_all(&index, 3);
    assert_eq!((found.all.requests, found.all.ns[4]), (7, 2_345_678));
    assert_eq!(found.all.ns[0].div_euclid(100), 100, "10 us to three digits: {:?}", found.all);
    let seconds: Vec<_> = found
        .seconds
        .iter()
        .map(|(time_ns, of)| ((time_ns - START_NS) / SECOND_NS, of.requests, of.ns[4]))
        .collect();
    assert_eq!(seconds, [(0, 4, 30_000), (1, 2, 2_345_678), (3, 1, 7_000)]);
    assert!(found.seconds.iter().all(|(time_ns, _)| time_ns % SECOND_NS == 0));

    let slowest: Vec<_> =
        found.slowest.iter().map(|row| (row.slow.sequence, row.slow.ns)).collect();
    assert_eq!(slowest, [(orders[5], 2_345_678), (orders[2], 30_000), (orders[1], 20_000)]);
    let [f, c, b] = &found.slowest[..] else { panic!("three of them") };
    assert_eq!(f.own.comp_id.as_deref(), Some("C7"));
    assert!(f.own.what.contains("NewOrderSingle"), "{}", f.own.what);
    assert_eq!(f.turn.inputs, orders[4..6]);
    assert_eq!(f.turn.since_last_ns, Some(SECOND_NS + STEP_NS));
    assert_eq!((f.turn.clients.len(), f.turn.events, f.turn.trades), (2, 4, 1));
    let beside: Vec<_> = f.neighbors.iter().map(|it| (it.sequence, it.wait_ns)).collect();
    assert_eq!(beside, [(orders[4], Some(5_000))]);
    // Two on each side: those of the same turn, of which one is no request.
    assert_eq!((c.turn.inputs.len(), c.turn.clients.len(), c.turn.trades), (5, 2, 1));
    assert_eq!(c.turn.inputs[..4], orders[..4]);
    assert_eq!(c.turn.since_last_ns, Some(STEP_NS));
    let beside: Vec<_> = c.neighbors.iter().map(|it| (it.sequence, it.wait_ns)).collect();
    let record = c.turn.inputs[4];
    let expected = [
        (orders[0], Some(10_000)),
        (orders[1], Some(20_000)),
        (orders[3], Some(9_000)),
        (record, None),
    ];
    assert_eq!(beside, expected);
    assert_eq!(b.turn, c.turn);

    let text = found.to_string();
    for part in [
        "not in the journal",
        "2,345.6 us",
        "its turn: 1,001,000.0 us after the one before; this is input 2 of 2; clients 2, events 4, trades 1",
        "before it: NewOrderSingle: C2 e: Sell 1 AAPL at 100.00, Day; waited 5.0 us",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let json = found.json();
    assert_eq!(json["all"]["longest_ns"], 2_345_678);
    assert_eq!(json["slowest"][0]["turn"]["place"], 2);
    assert_eq!(json["slowest"][1]["neighbors"][3]["wait_ns"], serde_json::Value::Null);
    assert_eq!(json["seconds"].as_array().unwrap().len(), 3);
}

#[test]
fn a_part_and_a_limit_are_kept_to() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut script = Script::new(&dir);
    let orders = written(&mut script);
    script.close();
    let index = index(&dir);
    let span = Span { first: orders[4], last: orders[6] };
    let found = latency(&index, span, 1).unwrap();
    assert_eq!((found.all.requests, found.seconds.len(), found.slowest.len()), (3, 2, 1));
    assert_eq!(found.slowest[0].turn.since_last_ns, None, "the first turn of the part");
    assert!(found.to_string().contains("and 1 more; --json has all"), "{found}");
    let none = of_all(&index, 0);
    assert_eq!((none.all.requests, none.slowest.len()), (7, 0));
}

/// Against all waits of a long journal, and with only a few turns kept on the way.
#[test]
fn the_slowest_of_many_have_their_turns() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut script = Script::new(&dir);
    let mut all = Vec::new();
    for round in 0..2_000_u64 {
        let waits = [round * 7_919 % 100_003, round * 104_729 % 99_991];
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        let turn = [(C1, a.as_str(), Side::Buy, waits[0]), (C2, b.as_str(), Side::Sell, waits[1])];
        all.extend(script.turn(&turn).into_iter().zip(waits).map(|(at, ns)| (ns, at)));
    }
    script.close();
    all.sort_unstable_by(|one, other| other.cmp(one));
    let found = of_all(&index(&dir), 20);
    let slowest: Vec<_> =
        found.slowest.iter().map(|row| (row.slow.ns, row.slow.sequence)).collect();
    assert_eq!(slowest, all[..20]);
    for row in &found.slowest {
        assert_eq!((row.turn.inputs.len(), row.neighbors.len()), (2, 1), "{row:?}");
        assert!(row.turn.inputs.contains(&row.slow.sequence));
    }
    let exact = all[all.len() / 2].0;
    assert!(found.all.ns[0].abs_diff(exact) <= exact / 500, "{:?}, {exact}", found.all);
}

/// A clock that was set back: all that came until it had caught up has one stamp.
#[test]
fn a_turn_has_an_end_while_the_clock_stands() {
    const PLACE: usize = 2 * BATCH_MAX + 20;
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut script = Script::new(&dir);
    let ids: Vec<_> = (0..4 * BATCH_MAX + 7).map(|number| format!("a{number}")).collect();
    let waited = |at: usize| if at == PLACE { 9_000 } else { 1_000 + at as u64 };
    let orders: Vec<_> =
        ids.iter().enumerate().map(|(at, id)| (C1, id.as_str(), Side::Buy, waited(at))).collect();
    let sequences = script.turn(&orders);
    script.close();
    let found = of_all(&index(&dir), 3);
    let [first, last, _] = &found.slowest[..] else { panic!("three of them") };
    assert_eq!((first.slow.sequence, last.slow.ns), (sequences[PLACE], waited(ids.len() - 1)));
    assert_eq!(first.turn.inputs, sequences[2 * BATCH_MAX..3 * BATCH_MAX]);
    assert_eq!((first.turn.events, first.turn.since_last_ns), (BATCH_MAX as u64, Some(0)));
    let beside: Vec<_> = first.neighbors.iter().map(|it| it.sequence).collect();
    assert_eq!(beside, [-2_isize, -1, 1, 2].map(|by| sequences[PLACE.saturating_add_signed(by)]));
    assert_eq!((&last.turn.inputs[..], last.turn.events), (&sequences[4 * BATCH_MAX..], 7));
    assert_eq!(found.slowest[2].turn, last.turn);
    assert!(found.to_string().contains("this is input 21 of 64;"), "{found}");
}

#[test]
fn a_journal_without_requests_has_no_waits() {
    let place = memory_dir();
    let dir = place.path().join("data");
    Script::new(&dir).close();
    let found = of_all(&index(&dir), 10);
    assert_eq!((found.all.requests, found.seconds.len(), found.slowest.len()), (0, 0, 0));
    assert!(found.to_string().contains("slowest"));
}
