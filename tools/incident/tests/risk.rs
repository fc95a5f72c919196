//! Risk limits and trips: how they are found, told, played again, and what others would have done.

mod common;

use std::path::Path;

use common::{AAPL, C1, C2, C7, MSFT, Script, churn, churn_from, frames, index, memory_dir};
use ironbook_engine::{
    InstrumentId, Side, TradeId, TradingStatus,
    command::{NOTIONAL_SCALE, RiskLimits},
};
use ironbook_incident::{
    index::{Index, Key},
    question::{Span, client::client, top::top, why::why},
    scenario::{play, write},
    whatif::{Wanted, WhatIf, what_if},
};

/// A notional of one.
const ONE: i64 = 10i64.pow(NOTIONAL_SCALE as u32);

/// C7 may trade 20,000 in a minute, and no more than 30,000 with an order. It trades 20,100, is opened again and closed.
fn limited_day(dir: &Path) {
    use Side::{Buy, Sell};
    let mut day = Script::new(dir);
    day.limit(
        C7,
        RiskLimits {
            order_notional: 30_000 * ONE,
            traded_notional: 20_000 * ONE,
            price_deviation: 100,
            window_ms: 60_000,
            ..RiskLimits::NONE
        },
    );
    day.order((C1, "s1"), AAPL, Sell, (100, 10_000));
    day.order((C7, "k1"), AAPL, Buy, (100, 10_000));
    day.order((C7, "rest"), AAPL, Buy, (1, 5_000));
    day.order((C7, "big"), AAPL, Buy, (400, 10_000));
    day.order((C7, "high"), AAPL, Buy, (1, 10_150));
    day.order((C1, "s2"), AAPL, Sell, (150, 10_000));
    day.order((C7, "k2"), AAPL, Buy, (101, 10_000));
    day.order((C7, "k3"), AAPL, Buy, (1, 10_000));
    day.set_trading(C7, TradingStatus::Open, "zed said so");
    day.order((C7, "k4"), AAPL, Buy, (1, 10_000));
    day.set_trading(C7, TradingStatus::CancelOnly, "zed again");
    day.order((C7, "k5"), AAPL, Buy, (1, 10_000));
    day.close();
}

#[test]
fn a_client_is_told_of_its_trips() {
    let place = memory_dir();
    let dir = place.path().join("data");
    limited_day(&dir);
    let index = index(&dir);
    let span = Span { first: 1, last: index.last_sequence() };
    let tripped = frames(&index, "tripped")[0];
    let told = client(&index, "C7", span).unwrap();
    let [trip] = &told.trips[..] else { panic!("{:?}", told.trips) };
    assert_eq!((trip.place.sequence, &*trip.rule), (tripped, "TradedNotionalTooLarge"));
    let line = format!("Tripped      by TradedNotionalTooLarge at sequence {tripped}, ");
    assert!(told.to_string().contains(&line) && told.to_string().contains(&trip.text), "{told}");
    let refused = told.anomalies.first_limit.expect("a limit");
    assert!(told.rejects.contains_key(&refused.rule), "{refused:?}");
    assert_eq!(client(&index, "C1", span).unwrap().trips, []);
}

#[test]
fn top_lists_trips() {
    let place = memory_dir();
    let dir = place.path().join("data");
    limited_day(&dir);
    let index = index(&dir);
    let span = Span { first: 1, last: index.last_sequence() };
    let tripped = frames(&index, "tripped")[0];
    let found = top(&index, span, 10).unwrap();
    let line = format!(
        "\n\nTripped      C7 by TradedNotionalTooLarge: limit 20000.00000000, observed 20100.00000000, 1 orders \
         canceled; at sequence {tripped}, 14:30:00.014000"
    );
    assert!(found.to_string().contains(&line), "{found}");
    let json = found.json();
    let trip = &json["trips"][0];
    assert_eq!((&trip["comp_id"], &trip["sequence"]), (&"C7".into(), &tripped.into()), "{json:#}");
    let numbers = ["limit", "observed"].map(|name| trip[name].as_str().unwrap().to_owned());
    assert_eq!(numbers, ["20000.00000000", "20100.00000000"]);
    assert_eq!(trip["orders_canceled"], 1);
    let none = top(&index, Span { first: 1, last: tripped - 1 }, 10).unwrap();
    assert!(none.trips.rows.is_empty() && !none.to_string().contains("Tripped"), "{none}");
    let counted = top(&index, span, 0).unwrap();
    assert_eq!((counted.trips.rows.len(), counted.trips.more), (0, 1));
}

#[test]
fn conditions_name_trips_and_statuses() {
    let place = memory_dir();
    let dir = place.path().join("data");
    limited_day(&dir);
    let index = index(&dir);
    let tripped = frames(&index, "tripped");
    assert_eq!(tripped.len(), 1);
    for (text, times) in [
        ("tripped and session = 'C7' and symbol = 'AAPL'", 1),
        ("tripped and session = 'C1'", 0),
        ("trip.rule = 'Traded'", 1),
        ("trip.limit = 20000 and trip.observed = 20100 and affected = 1", 1),
        ("kind = 'SessionTripped' and not reject", 1),
        ("kind = 'SetRiskLimits' and session = 'C7'", 1),
        ("kind = 'SetTradingStatus' and session = 'C7'", 2),
        ("kind = 'TradingStatusChanged' and session = 'C7'", 2),
        ("trading_status = 'Open'", 1),
        ("trading_status = 'Cancel'", 1),
        ("reject.rule = 'OrderNotional' and reject.observed = 40000 and reject.limit = 30000", 1),
        ("reject.rule = 'PriceFar' and reject.observed = 150 and reject.limit = 100", 1),
        ("reject.rule = 'TradedNotional' and reject.observed = 20100", 1),
        ("reject.rule = 'SessionCancelOnly'", 1),
        ("reason = 'SessionTripped' and cl_ord_id = 'rest'", 1),
    ] {
        assert_eq!(frames(&index, text).len(), times, "{text}");
    }
}

#[test]
fn why_names_rule_limit_observed_and_since_when() {
    let place = memory_dir();
    let dir = place.path().join("data");
    limited_day(&dir);
    let index = index(&dir);
    let tripped = frames(&index, "tripped")[0];
    let closed = frames(&index, "trading_status = 'Cancel'")[0];
    let tripped = format!("since                 sequence {tripped}, ");
    let closed = format!("since                 sequence {closed}, ");
    for (word, expected) in [
        (
            "big",
            [
                "OrderNotionalTooLarge",
                "limit                 30000.00000000",
                "observed              40000.00000000",
            ],
        ),
        (
            "high",
            ["PriceFarFromReference", "limit                 100", "observed              150"],
        ),
        (
            "k3",
            [
                "limit                 20000.00000000",
                "observed              20100.00000000",
                &tripped,
            ],
        ),
        ("k5", ["SessionCancelOnly", "C7 is CancelOnly (zed again)", &closed]),
        (
            "rest",
            [
                "it was canceled when its session was tripped",
                "TradedNotionalTooLarge: the session is tripped: it traded 20100.00000000 in its window, limit 20000.00000000",
                "1 orders to be canceled",
            ],
        ),
    ] {
        let text = why(&index, word).unwrap().to_string();
        for part in expected {
            assert!(text.contains(part), "{word}: {part}\n{text}");
        }
    }
}

/// C7 breaks a limit with each order that has no `b` in its name, and keeps it with the terms that would have passed.
#[test]
fn why_tells_the_nearest_terms_that_a_limit_lets_pass() {
    use Side::{Buy, Sell};
    const CASES: [(&str, &str); 9] = [
        (
            "big",
            "a quantity of 300, or an order whose price times quantity is no more than 30000.00000000",
        ),
        ("low", "a price of 99.00"),
        ("third", "a cancel or a replace; an order once 1 of the session's open ones has ended"),
        (
            "more",
            "a quantity of 215; as much once the session's open orders come to 1480.00000000 less",
        ),
        ("high", "a price of 101.00"),
        // Another limit would refuse it then; this one would not.
        ("both", "a price of 101.00"),
        // Where nothing is left, no quantity is.
        ("none", "as much once the session's open orders come to 99.00000000 less"),
        (
            "full",
            "a quantity of 20, or an order whose price times quantity is no more than 1000.00000000",
        ),
        ("other", "one of AAPL, MSFT"),
    ];
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    let limits = RiskLimits {
        order_notional: 30_000 * ONE,
        price_deviation: 100,
        open_orders: 2,
        open_notional: 50_000 * ONE,
        ..RiskLimits::NONE
    };
    day.limit(C7, limits);
    day.order((C1, "s1"), AAPL, Sell, (100, 10_000));
    day.order((C7, "k1"), AAPL, Buy, (100, 10_000));
    day.order((C7, "b1"), AAPL, Buy, (200, 9_900));
    day.order((C7, "big"), AAPL, Buy, (400, 10_000));
    day.order((C7, "low"), AAPL, Sell, (1, 9_850));
    day.order((C7, "b2"), AAPL, Buy, (290, 9_900));
    day.order((C7, "third"), AAPL, Buy, (1, 9_900));
    day.order((C7, "both"), AAPL, Buy, (1, 10_200));
    day.replace(C7, ("more", "b1"), (AAPL, Buy), (230, 9_900));
    day.replace(C7, ("high", "b2"), (AAPL, Buy), (290, 10_150));
    day.replace(C7, ("b3", "b1"), (AAPL, Buy), (215, 9_900));
    day.replace(C7, ("b4", "b2"), (AAPL, Buy), (284, 10_100));
    // Exactly what is open now: 215 at 99 and 284 at 101.
    day.limit(C7, RiskLimits { open_orders: 3, open_notional: 49_969 * ONE, ..limits });
    day.order((C7, "none"), AAPL, Buy, (1, 9_900));
    day.limit(C7, RiskLimits { order_notional: 1_000 * ONE, ..RiskLimits::NONE });
    day.order((C7, "full"), MSFT, Sell, (30, 5_000));
    day.order((C7, "other"), InstrumentId(9), Buy, (1, 1));
    day.close();
    let index = index(&dir);
    for (word, passes) in CASES {
        let text = why(&index, word).unwrap().to_string();
        let expected = format!("  would have passed     {passes}");
        assert!(text.lines().any(|line| line == expected), "{word}: {expected}\n{text}");
    }
    for word in ["b1", "b2", "b3", "b4"] {
        let text = why(&index, &format!("clordid:C7/{word}")).unwrap().to_string();
        assert!(!text.contains("refused"), "{text}");
    }
}

#[test]
fn a_limited_day_plays_as_a_scenario() {
    let place = memory_dir();
    let dir = place.path().join("data");
    limited_day(&dir);
    let index = index(&dir);
    let last = index.last_sequence();
    for first in 1..=last {
        let mut text = Vec::new();
        let written = write(&index, Span { first, last }, true, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let played = play(text.as_bytes()).unwrap_or_else(|fault| panic!("{fault}\n{text}"));
        assert_eq!(played.difference, None, "{text}");
        assert!(!text.contains("zed"), "{text}");
        if first == 1 {
            assert_eq!(written.differing, 0, "{text}");
            for line in [
                "risk session=C3 order_notional=30000.00000000 price_deviation_bps=100 traded_notional=20000.00000000 window_ms=60000\n",
                "trading session=C3 status=Open reason=REDACTED\n",
                "trading session=C3 status=CancelOnly reason=REDACTED\n",
                "C3 by trade 0 of order 5 in AAPL: TradedNotionalTooLarge",
            ] {
                assert!(text.contains(line), "{line}\n{text}");
            }
        } else if first < last {
            assert!(text.contains("risk session=C3 order_notional=30000"), "{text}");
        }
    }
}

fn ask(index: &Index, first: u64, settings: &[&str]) -> WhatIf {
    what_if(index, wanted(index, first, settings)).expect("an answer")
}

fn first_from(index: &Index, from: u64, settings: &[&str]) -> Option<u64> {
    ask(index, from, settings).first.map(|first| first.sequence)
}

fn wanted(index: &Index, first: u64, settings: &[&str]) -> Wanted {
    let settings = settings.iter().map(|word| word.to_string()).collect();
    let span = Span { first, last: index.last_sequence() };
    Wanted { span, dropped: Vec::new(), settings, firms: None }
}

#[test]
fn other_limits_refuse_and_trip_elsewhere() {
    let place = memory_dir();
    let dir = place.path().join("data");
    limited_day(&dir);
    let index = index(&dir);
    let at = |name: &str| frames(&index, &format!("kind = 'NewOrder' and cl_ord_id = '{name}'"))[0];
    for (settings, expected) in [
        (&["C7.traded_notional=9999.99"][..], Some("k1")),
        (&["session.traded_notional=9999.99"], Some("k1")),
        // Of one before that of each, in whatever order they are given.
        (&["C7.traded_notional=20000", "session.traded_notional=1000000"], None),
        (&["session.traded_notional=1000000", "C7.traded_notional=20000"], None),
        (&["C7.traded_notional=20100"], Some("k2")),
        (&["C7.traded_notional=0"], Some("k2")),
        (&["C7.traded_notional=20000"], None),
        (&["C7.order_notional=0"], Some("big")),
        (&["C7.price_deviation_bps=150"], Some("high")),
        (&["C1.order_notional=9999"], Some("s1")),
        (&["C1.traded_notional=9999"], Some("k1")),
        (&["C7.window_ms=1"], Some("k2")),
        (&["C7.open_orders=1"], Some("k2")),
        (&["C2.loss=1", "C2.open_notional=5"], None),
    ] {
        let answer = ask(&index, 1, settings);
        let first = answer.first.as_ref().map(|first| first.sequence);
        assert_eq!(first, expected.map(at), "{settings:?}: {:?}", answer.first);
    }
    // From a moment on, at which the session has the limits already.
    let from = at("s2");
    let first = |settings: &[&str]| first_from(&index, from, settings);
    assert_eq!(first(&["C7.traded_notional=10001"]), Some(at("k2")));
    assert_eq!(first(&["C7.traded_notional=20000"]), None);
    // Where it is tripped already, other limits would say nothing.
    for settings in [&["C7.traded_notional=0"][..], &["session.open_orders=9"]] {
        let fault = what_if(&index, wanted(&index, at("k3"), settings)).unwrap_err().to_string();
        assert!(fault.contains("C7 is tripped before --from"), "{fault}");
    }
    assert_eq!(first_from(&index, at("k3"), &["C1.open_orders=9"]), None);
    for (settings, expected) in [
        (&["C7.loss=x"][..], "\"x\" is no such limit"),
        (&["C7.loss=-1"], "is no such limit"),
        (&["C9.loss=1"], "risk limits are of a session"),
        (&["firm.loss=1"], "risk limits are of a session; give session.loss for each"),
        (&["C7.window_ms=86400001"], "C7.window_ms=86400001: a window is 1 to 86400000 milli"),
        (
            &["session.window_ms=0", "C7.loss=5"],
            "session.window_ms=0: a window is 1 to 86400000 milli",
        ),
        (&["C7.window_ms=0"], "give --set C7.traded_notional=0 --set C7.loss=0"),
    ] {
        let fault = what_if(&index, wanted(&index, 1, settings)).unwrap_err().to_string();
        assert!(fault.contains(expected), "{settings:?}: {fault}");
    }
}

/// Far from everything else of C7, in a block of their own.
#[test]
fn records_of_risk_are_found_by_their_keys() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut script = Script::with_segments(&dir, 1 << 20);
    churn(&mut script, 6_000);
    let limits = RiskLimits { traded_notional: ONE, window_ms: 1, ..RiskLimits::NONE };
    let set = script.limit(C7, limits);
    churn_from(&mut script, 6_000, 6_000);
    let closed = script.set_trading(C7, TradingStatus::CancelOnly, "");
    script.limit(C2, limits);
    let tripped = script.next_sequence();
    churn_from(&mut script, 12_000, 1);
    let trade = TradeId(script.engine().totals().trades);
    churn_from(&mut script, 12_001, 6_000);
    script.close();
    let index = index(&dir);
    let covers = |key: Key, sequence: u64| {
        let mut found =
            index.blocks_with(std::slice::from_ref(&key)).collect::<Vec<_>>().into_iter();
        found.any(|block| (block.first_sequence..=block.last_sequence).contains(&sequence))
    };
    assert!(covers(Key::Session(C7), set) && covers(Key::Session(C7), closed));
    assert!(covers(Key::Session(C2), tripped) && covers(Key::Trade(trade), tripped));
    let without = index.blocks_with(&[Key::Session(C7)]).count();
    assert!(without < index.blocks().count(), "the filter tells blocks apart");
}

#[test]
fn every_limit_is_in_its_line() {
    use Side::{Buy, Sell};
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    day.limit(C7, RiskLimits { open_orders: 1, ..RiskLimits::NONE });
    day.order((C7, "o1"), AAPL, Buy, (10, 10_000));
    day.order((C7, "o2"), AAPL, Buy, (1, 10_000));
    day.limit(C7, RiskLimits { open_notional: 1_500 * ONE, ..RiskLimits::NONE });
    day.order((C7, "o3"), AAPL, Buy, (6, 10_000));
    day.order((C1, "s1"), AAPL, Sell, (1, 10_000));
    day.limit(C7, RiskLimits { loss: ONE, window_ms: 5, ..RiskLimits::NONE });
    day.order((C1, "s2"), AAPL, Sell, (1, 10_200));
    day.order((C7, "o4"), AAPL, Buy, (1, 10_200));
    day.close();
    let index = index(&dir);
    for rule in ["TooManyOpen", "OpenNotional"] {
        assert_eq!(frames(&index, &format!("reject.rule = '{rule}'")).len(), 1, "{rule}");
    }
    assert_eq!(frames(&index, "trip.rule = 'Loss' and trip.observed = 2").len(), 1);
    let (mut text, span) = (Vec::new(), Span { first: 1, last: index.last_sequence() });
    let written = write(&index, span, false, &mut text).unwrap();
    assert_eq!(written.differing, 0);
    assert_eq!(play(&*text).unwrap().difference, None);
}
