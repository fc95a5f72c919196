//! How close clients came to their bounds, and what was not as before, in journals written by a script.

mod common;

use std::collections::BTreeMap;

use common::{
    AAPL, C1, C2, C7, START_NS, STEP_NS, Script, TOKEN, Tokens, index, memory_dir, random_day,
};
use ironbook_engine::{Command, SessionId, Side, domain::DisconnectCause};
use ironbook_gateway::{
    random::Random,
    session_record::SessionRecord,
    throttle::{ThrottleAction, ThrottleScope, ThrottleTerms, Throttled},
};
use ironbook_incident::{
    moment::Moment,
    phases::Place,
    question::{
        Span,
        client::{self, Anomaly, Client, ONE_SIDE_MIN, ROWS_MAX, Row},
    },
    text::utc,
};
use ironbook_journal::Reader;

const SECOND_NS: u64 = 1_000_000_000;

/// What a script writes, as a client sees it.
fn of(comp_id: &str, write: impl FnOnce(&mut Script)) -> Client {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    write(&mut day);
    day.close();
    client_of(&dir, comp_id)
}

fn client_of(dir: &std::path::Path, comp_id: &str) -> Client {
    let index = index(dir);
    let span = Span { first: index.first_sequence(), last: index.last_sequence() };
    let found = client::client(&index, comp_id, span).expect("an answer");
    let again = client::client(&index, comp_id, span).expect("an answer");
    assert_eq!((found.to_string(), found.json()), (again.to_string(), again.json()));
    found
}

/// The least that orders left in the buckets of C1 and its firm, by rows of so many ns, and where the least of all
/// was: counted as whoever reads the configuration would do it.
type Left = BTreeMap<u64, [Option<i64>; 2]>;

fn left(dir: &std::path::Path, row_ns: u64, own: (i128, i128), firm: (i128, i128)) -> Left {
    let (mut own, mut firm) = (Tokens::new(own), Tokens::new(firm));
    let mut rows = Left::new();
    let mut reader = Reader::open(dir).expect("a journal");
    while let Some(frame) = reader.next().expect("a good journal") {
        let Ok(command) = Command::decode(frame.kind, frame.payload) else { continue };
        let (Command::NewOrder(_) | Command::ReplaceOrder(_)) = command else { continue };
        let origin = command.origin().expect("a client");
        let mut take = |tokens: &mut Tokens, at: usize| {
            assert!(tokens.has_one(origin.received.0), "the day is under its bounds");
            tokens.parts -= TOKEN;
            let number = frame.time_ns / row_ns;
            let least = &mut rows.entry(number).or_default()[at];
            let left = (tokens.parts / TOKEN) as i64;
            *least = Some(least.map_or(left, |least| least.min(left)));
        };
        match origin.session {
            C1 => {
                take(&mut own, 0);
                take(&mut firm, 1);
            }
            C7 => take(&mut firm, 1),
            _ => {}
        }
    }
    rows
}

#[test]
fn head_room_is_what_tokens_leave() {
    let place = memory_dir();
    for seed in 1..=3 {
        let dir = place.path().join(format!("data{seed}"));
        let mut day = Script::new(&dir);
        day.throttle(C1, "", (30, 300));
        day.throttle(C1, "ACME", (90, 500));
        day.throttle(C7, "ACME", (90, 500));
        day.throttle(C2, "OTHER", (1, 1_000));
        day.throttle(C7, "", (900, 40));
        random_day(&mut day, &mut Random::new(seed), 1_000);
        day.close();
        let found = client_of(&dir, "C1").head_room;
        assert!((2..=ROWS_MAX as usize).contains(&found.rows.len()), "{found:?}");
        let expected = left(&dir, found.row_ns, (30, 300), (90, 500));
        let rows = found.rows.iter().map(|(begins_ns, row)| {
            assert_eq!(begins_ns % found.row_ns, 0);
            (begins_ns / found.row_ns, [row.left_own, row.left_firm])
        });
        let rows: Left = rows.filter(|(_, left)| *left != [None; 2]).collect();
        assert_eq!(rows, expected, "seed {seed}");
        let least = |at: usize| expected.values().filter_map(|left| left[at]).min();
        let told = found.bounds.iter().map(|bound| bound.least.map(|(least, _)| least));
        assert_eq!(told.collect::<Vec<_>>(), [least(0), least(1)], "seed {seed}");
        assert!(least(0).is_some_and(|least| least < 200), "it comes near");
    }
}

#[test]
fn open_orders_are_those_of_the_engine() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    random_day(&mut day, &mut Random::new(4), 1_000);
    day.close();
    let found = client_of(&dir, "C2").head_room;
    let index = index(&dir);
    let mut moment = Moment::before(&index, 1).expect("a moment");
    let mut most = (0, Place::default());
    while moment.step().expect("a good journal") {
        let view = moment.engine().and_then(|engine| engine.session(C2));
        let open = view.map_or(0, |view| view.live_orders);
        if open > most.0 {
            most = (open, Place { sequence: moment.sequence(), time_ns: moment.time_ns() });
        }
    }
    let told = found.most_open.expect("open orders");
    assert_eq!(told.0, most.0);
    // With its own last event of that input; others may have theirs behind it.
    assert_eq!(told.1.time_ns, most.1.time_ns);
    assert!(told.0 > 5, "{}", told.0);
    assert_eq!(found.orders_max, 4_096);
    // From the middle on it knows what was open then.
    let half = index.input_of(index.last_sequence() / 2).expect("an input");
    let span = Span { first: half, last: half };
    let before = Moment::before(&index, half).expect("a moment");
    let open = before.engine().and_then(|engine| engine.session(C2)).map(|view| view.live_orders);
    assert_eq!(found.full_before, None);
    let from_there = client::client(&index, "C2", span).expect("an answer").head_room;
    assert_eq!(from_there.full_before, Some(half));
    assert!(from_there.most_open.is_none_or(|(most, _)| most.abs_diff(open.unwrap_or(0)) <= 1));
}

#[test]
fn a_start_fills_buckets_and_a_refusal_empties_them() {
    let orders = |day: &mut Script, names: [&str; 3]| {
        names.map(|name| day.order((C1, name), AAPL, Side::Buy, (1, 10_000)))
    };
    let left = |found: &Client| found.head_room.bounds[0].least.expect("orders");
    // Two starts: one that is journaled, and one that shows by an order that had no token otherwise.
    let mut last = 0;
    let found = of("C1", |day| {
        day.throttle(C1, "", (1, 4));
        orders(day, ["a", "b", "c"]);
        day.record(&SessionRecord::Lost { session: C1, cause: DisconnectCause::VenueDown });
        orders(day, ["d", "e", "f"]);
        last = orders(day, ["g", "h", "i"])[0];
    });
    assert_eq!(left(&found).0, 0);
    assert_eq!(left(&found).1.sequence, last);
    let rows = found.head_room.rows.iter().filter_map(|(_, row)| row.left_own);
    assert_eq!(rows.collect::<Vec<_>>(), [3, 2, 1, 3, 2, 1, 0, 3, 2]);
    // One that delays refuses nothing, and has no debts either.
    let found = of("C1", |day| {
        let (scope, firm, action) = (ThrottleScope::Session, String::new(), ThrottleAction::Delay);
        let terms = Some(ThrottleTerms { per_second: 1, burst: 2, action });
        day.record(&SessionRecord::Throttle { session: C1, scope, firm, terms });
        orders(day, ["a", "b", "c"]);
    });
    let rows = found.head_room.rows.iter().filter_map(|(_, row)| row.left_own);
    assert_eq!(rows.collect::<Vec<_>>(), [1, 0, 1]);
    // Other terms of a later start hold from there on.
    let found = of("C1", |day| {
        day.throttle(C1, "", (1, 4));
        orders(day, ["a", "b", "c"]);
        day.throttle(C1, "", (1, 50));
        orders(day, ["d", "e", "f"]);
    });
    assert_eq!((left(&found).0, found.head_room.bounds[0].terms.burst), (1, 50));
    // A refusal, of which only the answer is journaled.
    let mut refused = 0;
    let found = of("C1", |day| {
        day.throttle(C1, "", (1, 4));
        orders(day, ["a", "b", "c"]);
        refused = refusal(day, C1, ThrottleScope::Session);
    });
    assert_eq!((left(&found).0, left(&found).1.sequence), (0, refused));
    let row = found.head_room.rows.last().expect("a row").1;
    assert_eq!((row.requests, row.refused, row.left_own), (1, 1, Some(0)));
    // Its bucket had less than one token then, whatever the requests before it had left; two seconds bring two.
    let later = of("C1", |day| {
        day.throttle(C1, "", (1, 50));
        orders(day, ["a", "b", "c"]);
        refusal(day, C1, ThrottleScope::Session);
        day.wait(2 * SECOND_NS);
        day.order((C1, "d"), AAPL, Side::Buy, (1, 10_000));
    });
    let row = later.head_room.rows.last().expect("a row").1;
    assert_eq!((row.requests, row.left_own), (1, Some(2)));
    let hit = found.anomalies.first_limit.expect("a limit");
    assert_eq!((hit.place.sequence, &*hit.rule), (refused, "throttle of the session"));
    assert!(hit.text.contains("this session may send 1 orders and replaces a second, 4 at once"));
    // By that of a firm, whoever of it was refused.
    let found = of("C1", |day| {
        day.throttle(C1, "ACME", (1, 40));
        day.throttle(C7, "ACME", (1, 40));
        orders(day, ["a", "b", "c"]);
        refused = refusal(day, C7, ThrottleScope::Firm);
    });
    assert_eq!((left(&found).0, left(&found).1.sequence), (0, refused));
    assert_eq!(found.anomalies.first_limit, None);
}

#[test]
fn an_order_that_was_refused_for_a_right_took_a_token() {
    let orders = |day: &mut Script, names: [&str; 2]| {
        names.map(|name| day.order((C1, name), AAPL, Side::Buy, (1, 10_000)))
    };
    // Of each kind: of an order, of a replace, of a cancel, and of a message.
    let answers =
        [(&b"8"[..], "", 1), (b"9", "434=2\u{1}", 1), (b"9", "434=1\u{1}", 0), (b"j", "", 0)];
    for firm in ["", "ACME"] {
        for (msg_type, response_to, tokens) in answers {
            let found = of("C1", |day| {
                day.throttle(C1, firm, (1, 10));
                day.throttle(C7, firm, (1, 10));
                orders(day, ["a", "b"]);
                let read = utc(day.now_ns()).replace('-', "").replace('T', "-").replace('Z', "");
                let body = format!("11=x\u{1}60={read}\u{1}{response_to}58=not here\u{1}");
                let (session, body) = (if firm.is_empty() { C1 } else { C7 }, body.into_bytes());
                day.wait(STEP_NS);
                day.record(&SessionRecord::Outbound { session, msg_type: msg_type.to_vec(), body });
                orders(day, ["c", "d"]);
            });
            let least = found.head_room.bounds[0].least.expect("orders");
            assert_eq!(least.0, 6 - tokens, "{firm} {response_to}");
            let row = |row: &Row| if firm.is_empty() { row.left_own } else { row.left_firm };
            let rows: Vec<_> = found.head_room.rows.iter().filter_map(|of| row(&of.1)).collect();
            let last = 6 - tokens;
            let here = (tokens == 1).then_some(7);
            let expected = [Some(9), Some(8), here, Some(last + 1), Some(last)];
            assert_eq!(rows, expected.into_iter().flatten().collect::<Vec<_>>());
        }
    }
}

/// The answer to an order that came too early.
fn refusal(day: &mut Script, session: SessionId, scope: ThrottleScope) -> u64 {
    let terms = ThrottleTerms { per_second: 1, burst: 4, action: ThrottleAction::Reject };
    let text = Throttled { scope, terms, early_ns: 7_000 };
    let body = format!("11=x\u{1}58={text}\u{1}").into_bytes();
    day.wait(STEP_NS);
    day.record(&SessionRecord::Outbound { session, msg_type: b"8".to_vec(), body })
}

/// A day of C1: so many seconds, each with as many requests as `of` says, by kind of request.
fn seconds(day: &mut Script, count: u64, of: impl Fn(u64) -> [u64; 3]) -> Vec<u64> {
    let mut sequences = Vec::new();
    for second in 0..count {
        let begin = START_NS + (second + 1) * SECOND_NS;
        let now = day.now_ns();
        day.wait(begin - now);
        let [orders, cancels, refusals] = of(second);
        for at in 0..orders {
            let name = format!("o{second}-{at}");
            sequences.push(day.order((C1, &name), AAPL, Side::Buy, (1, 9_000)));
        }
        for at in 0..cancels {
            let (id, orig) = (format!("c{second}-{at}"), format!("o{second}-{at}"));
            sequences.push(day.cancel(C1, (&id, &orig), (AAPL, Side::Buy)));
        }
        for at in 0..refusals {
            let id = format!("r{second}-{at}");
            sequences.push(day.cancel(C1, (&id, "nothing"), (AAPL, Side::Buy)));
        }
    }
    sequences
}

fn rules(found: &Client) -> Vec<&'static str> {
    found.anomalies.found.iter().map(|anomaly| anomaly.rule).collect()
}

#[test]
fn a_second_that_has_far_more_than_any_before_is_told() {
    let mut sequences = Vec::new();
    let found = of("C1", |day| {
        sequences =
            seconds(day, 16, |second| [if second == 14 { 40 } else { 8 - second % 3 }, 0, 0]);
    });
    let [Anomaly { rule, place, seen, usual, more }] = &found.anomalies.found[..] else {
        panic!("{found}")
    };
    assert_eq!(*rule, "requests");
    // The 25th of that second is the first beyond three times eight.
    let before = (0..14).map(|second| 8 - second % 3).sum::<usize>();
    assert_eq!(place.sequence, sequences[before + 24]);
    assert_eq!(seen, "40 in the second from 14:30:15.000000");
    assert_eq!(usual, "8 at most in a second of the 14 before");
    let from_to = "C1 --from 2026-03-02T14:30:15.000000000Z --to 2026-03-02T14:30:16.000000000Z";
    assert_eq!(*more, ("client", from_to.to_owned()));
    // Cancels and refusals have their own rules; three times as many is not more.
    let found = of("C1", |day| drop(seconds(day, 16, |at| [8, if at == 12 { 24 } else { 8 }, 0])));
    assert_eq!(rules(&found), ["refusals"], "cancels of nothing: {found}");
    let found = of("C1", |day| {
        seconds(day, 16, |second| if second == 12 { [25, 25, 0] } else { [8, 8, 0] });
    });
    assert_eq!(rules(&found), ["requests", "cancels"], "{found}");
    let found = of("C1", |day| {
        seconds(day, 16, |second| [8, 0, if second == 11 { 10 } else { 3 }]);
    });
    assert_eq!(rules(&found), ["refusals"], "{found}");
    // Before it is known what is usual, and of what there is little, nothing is told.
    for (second, orders) in [(9, 400), (12, 19)] {
        let found = of("C1", |day| {
            seconds(day, 16, |at| [if at == second { orders } else { 3 }, 0, 0]);
        });
        assert_eq!(rules(&found), [""; 0], "{found}");
        assert!(found.to_string().contains("no second of 15 had over 3 times"), "{found}");
    }
    let found = of("C1", |day| drop(seconds(day, 5, |_| [1, 0, 0])));
    assert!(found.to_string().contains("4 s are too few"), "{found}");
}

/// Trades of C1 that buys, with C2.
fn trades(day: &mut Script, round: u64, qty: i64, side: Side) -> u64 {
    let (a, b) = (format!("a{round}"), format!("b{round}"));
    day.order((C2, &b), AAPL, side.opposite(), (qty, 10_000));
    day.order((C1, &a), AAPL, side, (qty, 10_000))
}

#[test]
fn trades_that_are_others_than_before_are_told() {
    // Both sides by turns, one a second; then a large one.
    let found = of("C1", |day| {
        for second in 0..14 {
            day.wait(SECOND_NS - 2 * STEP_NS);
            let side = if second % 2 == 0 { Side::Buy } else { Side::Sell };
            trades(day, second, if second == 12 { 31 } else { 10 }, side);
        }
    });
    let [Anomaly { rule, seen, usual, more, .. }] = &found.anomalies.found[..] else {
        panic!("{found}")
    };
    assert_eq!((*rule, more.0), ("traded", "client"));
    assert_eq!(&seen[..13], "31 of AAPL in");
    assert_eq!(usual, "10 at most in a second of the 12 before");
    // All on one side, after rows of two.
    let mut sequence = 0;
    let found = of("C1", |day| {
        for round in 0..ONE_SIDE_MIN + 20 {
            let side = if round < 10 && round % 4 < 2 { Side::Sell } else { Side::Buy };
            let here = trades(day, round, 1, side);
            // From the 11th on, two before.
            if round == 10 + ONE_SIDE_MIN - 1 {
                sequence = here;
            }
        }
    });
    let one_side = found.anomalies.found.iter().find(|of| of.rule == "one side").expect("it");
    assert_eq!(one_side.seen, "110 fills in AAPL in a row, all Buy");
    assert_eq!(one_side.usual, "2 in a row at most");
    assert!(one_side.place.sequence > sequence && one_side.place.sequence <= sequence + 4);
    // Three times the longest row of before is not more than that.
    for (more, is_told) in [(120, false), (121, true)] {
        let found = of("C1", |day| {
            for round in 0..41 + more {
                trades(day, round, 1, if round == 40 { Side::Sell } else { Side::Buy });
            }
        });
        assert_eq!(rules(&found).contains(&"one side"), is_told, "{found}");
    }
    // With itself.
    let found = of("C1", |day| {
        day.order((C1, "s"), AAPL, Side::Sell, (5, 10_000));
        day.order((C2, "t"), AAPL, Side::Sell, (5, 10_000));
        day.order((C1, "b"), AAPL, Side::Buy, (10, 10_000));
    });
    let [Anomaly { rule, seen, more, .. }] = &found.anomalies.found[..] else { panic!("{found}") };
    assert_eq!((*rule, &**seen), ("self-trade", "trade 1 with itself"));
    assert_eq!(*more, ("replay", "--at trade:1".to_owned()));
}
