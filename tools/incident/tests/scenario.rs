//! Parts of journals as tests: what is written plays as it was, and a change is found.

mod common;

use std::io;

use common::{AAPL, C1, C2, MSFT, Script, index, memory_dir, name, random_day, story};
use ironbook_engine::{
    ClOrdId, InstrumentId, Side, Timestamp,
    command::{CancelOnDisconnect, CancelOrder, DefineInstrument, NewOrder, OrderTerms, Origin},
    domain::{DisconnectCause, DisconnectScope},
};
use ironbook_gateway::random::Random;
use ironbook_incident::{
    Fault,
    index::Index,
    question::Span,
    scenario::{Played, Written, play, write},
};
use ironbook_journal::SEGMENT_BYTES_MIN;

fn scenario(index: &Index, span: Span, redact: bool) -> (String, Written) {
    let mut text = Vec::new();
    let written = write(index, span, redact, &mut text).unwrap();
    (String::from_utf8(text).unwrap(), written)
}

/// Plays it; all must be as expected.
#[track_caller]
fn round_trip(index: &Index, span: Span, redact: bool) -> (String, Written, Played) {
    let (text, written) = scenario(index, span, redact);
    let played = play(text.as_bytes()).unwrap_or_else(|fault| panic!("{fault}\n{text}"));
    assert_eq!(played.difference, None, "{span:?}\n{text}");
    assert_eq!(played.commands, written.setup + written.commands, "{text}");
    (text, written, played)
}

#[test]
fn the_story_plays_from_anywhere_to_anywhere() {
    let place = memory_dir();
    let dir = place.path().join("data");
    story(&dir);
    let index = index(&dir);
    let last = index.last_sequence();
    for first in 1..=last {
        for redact in [true, false] {
            let (text, _, _) = round_trip(&index, Span { first, last }, redact);
            let has_it = index.input_of(first).unwrap() <= 29;
            assert_eq!(text.contains("fat"), !redact && has_it, "{text}");
            let (_, written, _) = round_trip(&index, Span { first: 1, last: first }, redact);
            assert_eq!((written.setup, written.differing), (0, 0), "all of it is as journaled");
        }
    }
}

#[test]
fn random_days_play_as_they_were() {
    let place = memory_dir();
    let (mut traded, mut late) = (0, 0);
    for number in 0..10 {
        let dir = place.path().join(format!("day{number}"));
        let mut random = Random::new(number);
        let mut day = Script::with_segments(&dir, 1 << 20);
        random_day(&mut day, &mut random, 500);
        day.close();
        let index = index(&dir);
        let last = index.last_sequence();
        let (_, written, _) = round_trip(&index, Span { first: 1, last }, true);
        assert_eq!(written.differing, 0, "day {number}");
        for _ in 0..8 {
            let first = random.between(1, last);
            let span = Span { first, last: random.between(first, last) };
            let (text, _, _) = round_trip(&index, span, true);
            // Nothing differs but what closed orders are known.
            for line in text.lines().filter(|line| line.starts_with("# journaled")) {
                assert!(line.contains("TooLateToCancel"), "day {number}, {span:?}: {line}\n{text}");
                late += 1;
            }
            traded += text.matches("id=before-aside-").count();
        }
    }
    assert!(traded > 50 && late > 10, "{traded} had traded, {late} were late");
}

/// Whatever is expected otherwise is found, where it is.
#[test]
fn a_planted_difference_is_found() {
    let place = memory_dir();
    let dir = place.path().join("data");
    story(&dir);
    let index = index(&dir);
    let (text, _) = scenario(&index, Span { first: 20, last: index.last_sequence() }, true);
    let lines: Vec<&str> = text.lines().collect();
    let events = lines.iter().enumerate().filter(|(_, line)| line.starts_with("> "));
    let mut planted = 0;
    for (at, event) in events {
        // The command that brings it.
        let command = (0..at).rev().find(|at| !lines[*at].starts_with(['>', '#'])).unwrap();
        let swapped = format!("{event}.");
        let with = |line: Option<&str>| {
            let mut lines = lines.clone();
            match line {
                Some(line) => lines[at] = line,
                None => drop(lines.remove(at)),
            }
            lines.join("\n")
        };
        for text in [with(Some(&swapped)), with(None), with(Some(&format!("{event}\n{event}")))] {
            let found = play(text.as_bytes()).unwrap().difference.expect("a difference");
            assert_eq!((found.line, &*found.command), (command + 1, lines[command]));
            assert_ne!(found.expected, found.computed);
            planted += 1;
        }
    }
    assert!(planted > 90, "{planted}");
}

#[test]
fn everything_that_a_command_says_goes_there_and_back() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let clients = ["with space", "q\"uote", "#7=x"];
    let mut day = Script::with_clients(&dir, SEGMENT_BYTES_MIN, clients);
    let tiny = InstrumentId(3);
    day.command(DefineInstrument::new(tiny, "A B=\"1\"".try_into().unwrap(), 8, 3, 5, 250));
    day.account = "acc 1".try_into().unwrap();
    day.order((C1, "a =\\"), AAPL, Side::Buy, (100, 10_000));
    day.order((C2, "b"), AAPL, Side::Sell, (40, 10_000));
    let kept = day.engine().order_named(C1, &name("a =\\")).unwrap().order_id;
    let start = day.order((C2, "c"), MSFT, Side::Sell, (40, 1_000));
    let terms = OrderTerms {
        side: Side::Buy,
        ord_type: ironbook_engine::OrdType::Limit,
        time_in_force: ironbook_engine::TimeInForce::Gtc,
        price: (-5, 3),
        order_qty: (7_500, 3),
    };
    for price in [(-5, 3), (15, 8), (1, 18)] {
        let terms = OrderTerms { price, ..terms };
        let origin = Origin::new(C1, 5, Timestamp(1));
        let name = ClOrdId::try_from(&b"\xff\x80 tiny"[..]).unwrap();
        day.command(NewOrder::new(origin, tiny, terms, day.account, name));
    }
    let mut unknown = NewOrder::new(
        Origin::new(C2, 6, Timestamp(1)),
        InstrumentId::NONE,
        terms,
        day.account,
        name("u"),
    );
    unknown.unknown_symbol = "NO SUCH".try_into().unwrap();
    day.command(unknown);
    // By OrderID: one that rests from before, and one of that there is no trace.
    for order_id in [kept, kept, ironbook_engine::OrderId(77 << 24)] {
        let origin = Origin::new(C1, 9, Timestamp(1));
        day.command(CancelOrder::new(origin, order_id, AAPL, Side::Buy, name("x"), ClOrdId::EMPTY));
    }
    let (cause, scope) = (DisconnectCause::Disconnect, DisconnectScope::All);
    day.command(CancelOnDisconnect::new(C2, Timestamp(1), cause, scope));
    day.close();
    let index = index(&dir);
    let last = index.last_sequence();
    for redact in [true, false] {
        let (_, written, _) = round_trip(&index, Span { first: 1, last }, redact);
        assert_eq!(written.differing, 0);
        let (text, written, _) = round_trip(&index, Span { first: start, last }, redact);
        assert_eq!(written.differing, 0, "{text}");
    }
}

#[test]
fn blanks_around_names_stay() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::with_clients(&dir, SEGMENT_BYTES_MIN, [" C ", "# ", "> "]);
    let accounts = [&b"ACC "[..], b" ", b"\xff ", "\u{a0}".as_bytes()];
    let mut starts = Vec::new();
    for (number, account) in accounts.into_iter().enumerate() {
        day.account = account.try_into().unwrap();
        let [id, next] = [format!(" x{number} "), format!("{number}  ")];
        starts.push(day.order((C1, &id), AAPL, Side::Buy, (100, 10_000)));
        day.order((C2, &id), AAPL, Side::Sell, (40, 10_000));
        starts.push(day.replace(C1, (&next, &id), (AAPL, Side::Buy), (90, 10_000)));
        let origin = Origin::new(C2, 9, Timestamp(1));
        let raw = ClOrdId::try_from(&b" \xff\x80 "[..]).unwrap();
        let none = ironbook_engine::OrderId::NONE;
        day.command(CancelOrder::new(origin, none, AAPL, Side::Buy, raw, raw));
    }
    starts.push(day.mass_cancel(C1, " all "));
    day.close();
    let index = index(&dir);
    let last = index.last_sequence();
    let (text, written, _) = round_trip(&index, Span { first: 1, last }, false);
    assert_eq!(written.differing, 0);
    assert!(text.contains("account ACC \n") && text.contains("account \u{a0}\n"), "{text}");
    for first in starts {
        round_trip(&index, Span { first, last }, false);
    }
}

#[test]
fn an_instrument_is_as_its_line_says() {
    let begin = "# Ironbook scenario 1\n\
        limits orders_max=4 instruments_max=1 sessions_max=1 closed_orders_kept=1\n\
        session id=1 comp_id=C\n";
    let with = |terms: &str| format!("{begin}instrument id=1 symbol=A {terms}\n");
    // The highest price and quantity are those that are written, in whatever scale.
    for max in ["price_max=100 qty_max=50", "price_max=100.0000 qty_max=50.00"] {
        for (qty, price, is_taken) in
            [("50", "100", true), ("50.1", "100", false), ("50", "100.01", false)]
        {
            let text = with(&format!("tick=0.01 lot=0.1 {max}"))
                + &format!(
                    "new session=C id=a side=Buy symbol=A type=Limit tif=Day qty={qty} price={price}"
                );
            let events = play(text.as_bytes()).unwrap().difference.expect("an event").computed;
            assert_eq!(!events[0].starts_with("Rejected"), is_taken, "{text}\n{events:?}");
        }
    }
    for (terms, expected) in [
        ("tick=0.01 lot=1 price_max=0.005 qty_max=5", "line 4: price_max=0.005: no more than 2"),
        ("tick=0.01 lot=1 price_max=9 qty_max=0.5", "line 4: qty_max=0.5: no more than 0"),
        ("tick=0.01 lot=1 price_max=999999999999999999 qty_max=5", "line 4: price_max="),
        ("tick=0 lot=1 price_max=9 qty_max=5", "line 4: tick=0 is not above 0"),
        ("tick=1 lot=-1 price_max=9 qty_max=5", "line 4: lot=-1 is not above 0"),
        ("tick=1 lot=1 price_max=0.0 qty_max=5", "line 4: price_max=0.0 is not above 0"),
        ("tick=1 lot=1 price_max=9 qty_max=-5", "line 4: qty_max=-5 is not above 0"),
    ] {
        match play(with(terms).as_bytes()) {
            Err(Fault::Question(told)) => assert!(told.contains(expected), "{told}"),
            other => panic!("{terms}: {other:?}"),
        }
    }
}

/// Counts how often it is written to.
#[derive(Default)]
struct Counting {
    writes: usize,
    bytes: Vec<u8>,
}

impl io::Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_are_gathered_before_they_are_written() {
    let place = memory_dir();
    let dir = place.path().join("data");
    story(&dir);
    let index = index(&dir);
    let span = Span { first: 1, last: index.last_sequence() };
    let mut out = Counting::default();
    write(&index, span, true, &mut out).unwrap();
    assert_eq!(String::from_utf8(out.bytes.clone()).unwrap(), scenario(&index, span, true).0);
    assert!(out.writes <= 1 + out.bytes.len() / 4_096, "{} writes", out.writes);
}

#[test]
fn lines_that_are_none_are_told() {
    let title = "# Ironbook scenario 1\n";
    let begin = format!(
        "{title}limits orders_max=4 instruments_max=1 sessions_max=1 closed_orders_kept=1\n"
    );
    let cases = [
        (String::new(), "this is no scenario: the first line"),
        ("# Ironbook\n".to_owned(), "\"# Ironbook scenario 1\""),
        (format!("{begin}# {}", "x".repeat(5_000)), "line 3: no line has more than 4096 bytes"),
        (format!("{title}\nsession id=1 comp_id=C1"), "line 3: limits come first"),
        (
            format!(
                "{title}limits orders_max=0 instruments_max=1 sessions_max=1 closed_orders_kept=1"
            ),
            "line 2: no engine can have",
        ),
        (format!("{begin}jump"), "line 3: \"jump\" is no command"),
        (format!("{begin}session id=1"), ""),
        (format!("{begin}session id=x comp_id=C1"), "line 3: id=x is no such number"),
        (
            format!("{begin}session id=1 comp_id=C1 speed=9"),
            "line 3: speed has no meaning for session",
        ),
        (format!("{begin}session id=1 what"), "line 3: \"what\": KEY=VALUE is expected"),
        (format!("{begin}cancel session=C9 id=a side=Buy"), "line 3: there is no session C9"),
        (format!("{begin}cancel id=a order=#1 side=Buy"), "line 3: order=#1: only 0 were accepted"),
        (format!("{begin}cancel id=a symbol=X side=Buy"), "line 3: there is no symbol X"),
        (format!("{begin}cancel id=a side=buy"), "line 3: side=buy: give one of [Buy, Sell]"),
        (
            format!("{begin}new id=a side=Buy type=Limit tif=Day qty=1 price=x"),
            "price=x is no decimal",
        ),
        (format!("{begin}new id=a side=Buy type=Limit tif=Day qty=1"), "line 3: price is missing"),
        (format!("{begin}session id=1 comp_id=\"open"), "line 3: comp_id: no such value"),
    ];
    for (text, expected) in cases {
        match play(text.as_bytes()) {
            Ok(played) => assert!(expected.is_empty() && played.difference.is_none(), "{text}"),
            Err(fault) => {
                assert!(matches!(fault, Fault::Question(_)));
                assert!(fault.to_string().contains(expected) && !expected.is_empty(), "{fault}");
            }
        }
    }
    // So many that somebody forgot the command between them.
    let expected =
        |count: usize| format!("{begin}session id=1 comp_id=C1\n{}", "> x\n".repeat(count));
    let found = play(expected(1_024).as_bytes()).unwrap().difference.expect("a difference");
    assert_eq!((found.expected.len(), found.computed.len()), (1_024, 0));
    let told = play(expected(1_025).as_bytes()).unwrap_err().to_string();
    let what = "line 3: 0 events came, and more than 1024 others are expected";
    assert!(told.starts_with(what), "{told}");
    let told = play(&b"# Ironbook scenario 1\n\n\xff"[..]).unwrap_err().to_string();
    assert_eq!(told, "line 3: it is no text");
    let other = play(&b"# Ironbook scenario 2\n"[..]);
    assert!(matches!(other, Err(Fault::Version(_))), "{other:?}");
}
