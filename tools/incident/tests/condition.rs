//! Conditions: where they hold, and what is said of those that are none.

mod common;

use common::{C7, START_NS, Script, frames, index, memory_dir, story};
use ironbook_gateway::session_record::SessionRecord;
use ironbook_incident::{
    condition::{Condition, NAMES},
    index::Index,
    moment::Moment,
    question::why::why,
};

#[test]
fn conditions_hold_where_they_should() {
    let place = memory_dir();
    let dir = place.path().join("data");
    story(&dir);
    let index = index(&dir);
    for (text, expected) in [
        ("seq = 7", vec![7]),
        ("seq >= 3 and seq < 5", vec![3, 4]),
        ("trade.px = 99 and seq < 50", vec![35]),
        // Bids at 100.00, an ask at 101.00: the middle is 100.50, and 99.00 is 1.5 % below it.
        ("trade.px < 0.99 * ref and seq < 50", vec![35]),
        ("trade.px < 0.98 * ref and seq < 50", vec![]),
        ("trade.px <= ref - 1.5 and seq < 50", vec![35]),
        ("trade.px < ref - 1.5 and seq < 50", vec![]),
        ("session = 'C7' and kind = 'NewOrder' and side = 'sell'", vec![29]),
        ("'C7' = session and kind = 'newo' and 'BUY' = side and seq < 70", vec![13]),
        ("reject.rule = 'DUP'", vec![24]),
        ("reject.rule = 'PriceOff' or reject.rule = 'qtyoff'", vec![20, 22]),
        ("reject.observed = 15 and reject.limit = 10", vec![20]),
        ("reject and not reject.rule = 'DUP' and seq < 30", vec![20, 22]),
        ("status = 'Halted'", vec![38, 83]),
        ("halted and reject", vec![40, 85]),
        ("symbol = 'AAPL' and leaves_qty = 0 and cum_qty > 100", vec![36, 78]),
        ("book.crossed", vec![]),
        ("book.spread > 1.5 and trade and seq < 50", vec![31]),
        ("book.bid_qty = 130", vec![15]),
        ("latency > 4us and latency < 6us and seq < 10", vec![9]),
        ("time >= '14:30:00.017' and time < '14:30:00.018'", vec![29]),
        ("trade.notional = 80 * 100", vec![31]),
        ("cl_ord_id = 'fok' and reason = 'Fill'", vec![54]),
        ("!(seq != 9) && order_qty == 1e2", vec![9]),
        ("-price < -10099.99e-2 and seq < 40", vec![27]),
        // Lacking is neither.
        ("seq = 7 and (price < 10 or price >= 10)", vec![]),
        ("seq = 7 and not price < 10", vec![7]),
    ] {
        assert_eq!(frames(&index, text), expected, "{text}");
    }
    assert_eq!(frames(&index, "seq > 0").len() as u64, inputs(&index));
}

fn inputs(index: &Index) -> u64 {
    let mut moment = Moment::before(index, 1).unwrap();
    let mut inputs = 0;
    while moment.step().unwrap() {
        inputs += 1;
    }
    inputs
}

#[test]
fn backwards_it_finds_the_same() {
    let place = memory_dir();
    let dir = place.path().join("data");
    story(&dir);
    let index = index(&dir);
    for text in ["trade.px < 0.99 * ref", "reject", "book.spread > 1"] {
        let condition = Condition::parse(text, START_NS).unwrap();
        let mut moment = Moment::end(&index).unwrap();
        let mut back = Vec::new();
        while let Some(sequence) = moment.run_back_until(&mut condition.watch()).unwrap() {
            back.push(sequence);
        }
        back.reverse();
        assert_eq!(back, frames(&index, text), "{text}");
    }
}

#[test]
fn what_is_no_condition_is_shown_with_what_would_be() {
    for (text, marked, what) in [
        ("reject.role = 'DUP'", "reject.role", "there is reject, reject.rule"),
        ("trade.px <", "", "a name, a number, a text in quotes or a parenthesis is expected"),
        ("(trade.px < 3", "", "a closing parenthesis is expected"),
        ("session = 'C7", "", "a closing quote is expected"),
        ("trade.px < 3 3", "3", "`and`, `or` or nothing"),
        ("trade.px", "trade.px", "no yes or no by itself"),
        ("trade = 3", "trade", "write trade or not trade"),
        ("session < 'C7'", "session < 'C7'", "a text: it can be = or !="),
        ("session = 7", "session", "compared with a text in quotes"),
        ("cum_qty = 'x'", "'x'", "compare it with one, without quotes"),
        ("side = 'long'", "'long'", "there is Buy, Sell"),
        ("reject.rule = 'Price'", "'Price'", "this may be PriceNotPositive, PriceOffTick"),
        ("time > 'noon'", "'noon'", "'14:30:00.5' is one"),
        ("3 + 4", "3 + 4", "no yes or no"),
        ("price < 1e99", "1e99", "at most 30 digits"),
        ("price < 5min", "5min", "ns, us, ms, s or no unit"),
        ("", "", "is expected here"),
        ("ü = 3", "ü", "is expected here"),
        ("seq = 1 and ", "", "is expected here"),
    ] {
        let error = Condition::parse(text, START_NS).expect_err(text);
        assert!(error.what.contains(what), "{text}: {error}");
        let at = &error.text[error.span.clone()];
        assert!(
            at == marked || what.contains("digits") || what.contains("unit"),
            "{text}: {at:?} {error}"
        );
        let shown = error.to_string();
        let caret = shown.lines().last().unwrap().find('^').unwrap();
        let column = text[..error.span.start].chars().count() + 2;
        assert_eq!(caret, column, "{shown}");
    }
}

#[test]
fn no_text_is_too_much_for_it() {
    let deep =
        |open: &str, close: &str| format!("{}seq = 1{}", open.repeat(300), close.repeat(300));
    for text in [
        deep("(", ")"),
        deep("not ", ""),
        deep("!", ""),
        format!("seq = {}1", "-".repeat(400)),
        "(".repeat(990),
        "seq = 1 and ".repeat(1_000),
    ] {
        let error = Condition::parse(&text, START_NS).unwrap_err();
        assert!(!error.what.is_empty());
    }
    let long = vec!["seq = 1"; 80].join(" or ");
    assert!(Condition::parse(&long, START_NS).is_ok());
}

proptest::proptest! {
    /// Whatever is written, it is a condition or it is told why not.
    #[test]
    fn nothing_that_is_written_panics(text in "[a-z.'\"()!<>=&|*+0-9 -]{0,60}|\\PC{0,30}") {
        if let Err(error) = Condition::parse(&text, START_NS) {
            let _ = error.to_string();
        }
    }

    /// Parts of conditions in any sequence.
    #[test]
    fn nothing_made_of_words_panics(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "seq", "trade", "and", "or", "not", "(", ")", "<", "=", "3", "'x'", "-", "*", "ref", "1e3", "side",
            ]),
            0..20,
        )
    ) {
        if let Err(error) = Condition::parse(&words.join(" "), START_NS) {
            let _ = error.to_string();
        }
    }
}

#[test]
fn every_name_is_understood_and_asked_of_every_frame() {
    let place = memory_dir();
    let dir = place.path().join("data");
    story(&dir);
    let index = index(&dir);
    for name in NAMES {
        let texts = [
            name.name.to_owned(),
            format!("{} >= 0", name.name),
            format!("{0} = '' or {0} != ''", name.name),
            format!("{0} = 'New' or {0} != 'New'", name.name),
            format!("{0} = 'Buy' or {0} != 'Buy'", name.name),
            format!("{0} = 'Limit' or {0} != 'Limit'", name.name),
            format!("{0} = 'Day' or {0} != 'Day'", name.name),
            format!("{0} = 'Added' or {0} != 'Added'", name.name),
            format!("{0} = 'None' or {0} != 'None'", name.name),
            format!("{0} = 'Halted' or {0} != 'Halted'", name.name),
            format!("{0} = 'Dup' or {0} != 'Dup'", name.name),
            format!("{0} = 'Open' or {0} != 'Open'", name.name),
        ];
        let condition = texts.iter().find_map(|text| Condition::parse(text, START_NS).ok());
        let condition = condition.unwrap_or_else(|| panic!("{}", name.name));
        let mut moment = Moment::before(&index, 1).unwrap();
        let found = moment.run_until(&mut condition.watch()).unwrap();
        // The book is never crossed, the gateway takes all, and no session has limits; everything else happens in the
        // story.
        let never = ["book.crossed", "refused", "tripped", "trading_status"].contains(&name.name)
            || name.name.starts_with("trip.");
        assert_eq!(found.is_none(), never, "{}", name.name);
    }
}

#[test]
fn what_the_gateway_refused_is_found_and_told() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut script = Script::new(&dir);
    let mut answer = |msg_type: &[u8], body: &str| {
        let (msg_type, body) = (msg_type.to_vec(), body.replace('|', "\u{1}").into_bytes());
        script.record(&SessionRecord::Outbound { session: C7, msg_type, body })
    };
    answer(b"A", "98=0|108=30|");
    answer(b"0", "112=8|");
    let refused = answer(b"8", "37=NONE|11=x1|150=8|39=8|103=3|55=AAPL|54=1|38=10|58=too many|");
    script.close();
    let index = index(&dir);
    let condition = Condition::parse("refused and session = 'C7'", START_NS).unwrap();
    let mut moment = Moment::before(&index, 1).unwrap();
    let found = moment.run_until(&mut condition.watch()).unwrap();
    assert_eq!(found, Some(refused));
    assert_eq!(moment.run_until(&mut condition.watch()).unwrap(), None);
    let why = why(&index, &format!("seq:{refused}")).unwrap().to_string();
    assert!(why.contains("refused by the gateway, before the engine saw it: too many"), "{why}");
    assert!(why.contains("OrderQty              10"), "{why}");
}
