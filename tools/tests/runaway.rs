//! A client that has lost count, and what the tools say of it.

mod fixtures;

use std::path::Path;

use fixtures::{
    common::{FixClient, TestVenue, now, session},
    expect_exit, json, stdout, text,
};
use serde_json::Value;

/// Orders that the runaway may send at once.
const BURST: u32 = 200;
/// Live orders that the engine takes.
const ORDERS_MAX: u32 = 150;

fn ask(dir: &Path, words: &[&str]) -> String {
    let dir = text(dir);
    let arguments: Vec<_> =
        [words[0], &dir].into_iter().chain(words[1..].iter().copied()).collect();
    stdout(&expect_exit(&arguments, 0))
}

fn ask_json(dir: &Path, words: &[&str]) -> Value {
    let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&ask(dir, &words)).expect("JSON")
}

/// Where a condition first holds, which is the same however often somebody asks.
fn first(dir: &Path, condition: &str) -> u64 {
    let found = || ask_json(dir, &["replay", "--break", condition]);
    let (one, other) = (found(), found());
    assert_eq!(one, other);
    one["sequence"].as_u64().expect("a sequence")
}

/// The runaway's first refusal for want of room in the engine, if it met one.
fn full_of(dir: &Path) -> u64 {
    let condition = "reject.rule = 'TooManyOrders' and session = 'RUNAWAY'";
    let dir = text(dir);
    let output = fixtures::tool(&["replay", &dir, "--break", condition, "--json"]);
    serde_json::from_slice::<Value>(&output.stdout)
        .ok()
        .and_then(|found| found["sequence"].as_u64())
        .unwrap_or(u64::MAX)
}

#[test]
fn a_runaway_trips_and_is_explained() {
    let mut venue = TestVenue::start_with(|config| {
        config.sessions = ["LOADGEN", "RUNAWAY"].map(session).into();
        config.sessions[1].orders_per_second = 1;
        config.sessions[1].orders_burst = BURST;
        config.engine.orders_max = ORDERS_MAX;
    });
    venue.client("RUNAWAY").rest("far", "AAPL", "1", "1", "0.01");
    let address = venue.address().to_string();
    let load = ["load", "--fix", &address, "--flow", "runaway", "--as", "LOADGEN,RUNAWAY"];
    let more = ["--symbols", "AAPL,BTC-USD", "--orders", "700", "--after", "100"];
    // Few at a time, so that both clients take turns whichever socket is read first.
    let turns = ["--share", "60", "--in-flight", "8", "--json"];
    let load = [&load[..], &more, &turns].concat();
    let told = json(&expect_exit(&load, 0));
    assert_eq!(told["unanswered"], 0);
    // Who may not send another order gets his orders back.
    let mut runaway = FixClient::connect(venue.address(), "RUNAWAY");
    runaway.send("A", "98=0|108=60|141=Y");
    runaway.expect("35=A");
    runaway.send("q", &format!("11=stop|530=7|60={}", now()));
    let canceled = runaway.expect("35=r|11=stop|531=7").number(533);
    assert!(canceled > 0, "one is far away at least");
    for _ in 0..canceled {
        runaway.expect("35=8|150=4|58=mass cancel");
    }
    venue.stop();
    let dir = venue.journal();

    // The gateway's throttle: as many orders as it allows, and not one more.
    let tripped = first(&dir, "refused and session = 'RUNAWAY'");
    let before = ask_json(&dir, &["client", "RUNAWAY", "--to", &format!("seq:{tripped}")]);
    let sent = before["requests"]["NewOrder"].as_u64().expect("orders");
    // Some seconds may have passed, and brought an order each.
    let limit = u64::from(BURST);
    let seconds = told["seconds"].as_f64().expect("a time") as u64 + 1;
    assert!((limit..=limit + seconds).contains(&sent), "{sent}");
    let why = ask(&dir, &["why", &format!("seq:{tripped}")]);
    for expected in [
        "refused by the gateway, before the engine saw it: throttle: this session may send 1 orders \
         and replaces a second, 200 at once; this is ",
        "us too early",
        "session               RUNAWAY",
        "ClOrdID               L",
    ] {
        assert!(why.contains(expected), "{expected}\n{why}");
    }

    // The engine's bound on live orders.
    let full = first(&dir, "reject.rule = 'TooManyOrders'");
    let why = ask(&dir, &["why", &format!("seq:{full}")]);
    for expected in [
        "refused by TooManyOrders",
        "rule                  TooManyOrders",
        "limit                 150",
    ] {
        assert!(why.contains(expected), "{expected}\n{why}");
    }
    assert!(why.contains("\n  observed "), "{why}");
    let halved = format!("engine.orders_max={}", ORDERS_MAX / 2);
    let earlier = ask_json(&dir, &["whatif", "--set", &halved]);
    let earlier = earlier["first_difference"]["sequence"].as_u64().expect("a sequence");
    assert!(earlier < full, "{earlier} {full}");

    // Under the throttle that it had, all that got through gets through. Its rate is journaled.
    let throttled = |burst: u32| {
        ["whatif", "--set", &format!("RUNAWAY.orders_burst={burst}")].map(str::to_owned)
    };
    let words = throttled(BURST);
    let same = ask_json(&dir, &words.each_ref().map(String::as_str));
    assert_eq!(same["throttles"][0]["refused"], 0, "{same:#}");
    let journaled = &same["throttles"][0]["journaled"];
    assert_eq!(
        (&journaled["orders_per_second"], &journaled["orders_burst"]),
        (&1.into(), &BURST.into())
    );
    let whole = ask_json(&dir, &["client", "RUNAWAY"]);
    assert_eq!(same["throttles"][0]["orders"], whole["requests"]["NewOrder"], "{same:#}");
    assert_eq!(same["first_difference"], Value::Null);
    assert_eq!(same["states"]["real"], same["states"]["COUNTERFACTUAL"]);
    let refused_then = same["refused_by_the_gateway_then"].as_u64().expect("a count");
    assert!(refused_then > 0);
    // Half of it trips earlier, and says the same whenever somebody asks.
    let words = throttled(BURST / 2);
    let words = words.each_ref().map(String::as_str);
    let half = ask(&dir, &words);
    assert_eq!(half, ask(&dir, &words));
    for expected in [
        "orders and replaces refused by throttles, by when the gateway had read each",
        "that the gateway refused then: only answers to them are journaled",
        "throttle: this session may send 1 orders and replaces a second, 100 at once; this is ",
    ] {
        assert!(half.contains(expected), "{expected}\n{half}");
    }
    let half = ask_json(&dir, &words);
    let earlier = half["throttles"][0]["first_refused"]["sequence"].as_u64().expect("a sequence");
    assert!(earlier < tripped, "{earlier} {tripped}");
    let to_there = ask_json(&dir, &["client", "RUNAWAY", "--to", &format!("seq:{earlier}")]);
    // With the one that it refuses.
    let sent = to_there["requests"]["NewOrder"].as_u64().expect("orders");
    let half = limit / 2 + 1;
    assert!((half..=half + seconds).contains(&sent), "{sent}");

    // How it came to its bounds, and what was first.
    let bound = &whole["head_room"]["throttles"][0];
    assert_eq!(
        (&bound["scope"], &bound["least"]["left"]),
        (&"session".into(), &0.into()),
        "{bound}"
    );
    let rows = whole["head_room"]["rows"].as_array().expect("rows");
    assert!((1..=24).contains(&rows.len()), "{whole:#}");
    let sum = |name: &str| rows.iter().map(|row| row[name].as_u64().expect("a count")).sum::<u64>();
    let all = whole["requests"].as_object().expect("requests").values();
    let all: u64 = all.map(|count| count.as_u64().expect("a count")).sum();
    assert_eq!(sum("requests"), all + refused_then, "{whole:#}");
    let found = &whole["anomalies"];
    let limit = found["first_limit"]["at"]["sequence"].as_u64().expect("a limit");
    assert_eq!(limit, tripped.min(full_of(&dir)), "{found:#}");
    let throttle = found["found"].as_array().expect("anomalies").iter().find(|anomaly| {
        anomaly["seen"].as_str().is_some_and(|seen| seen.starts_with("throttle of the session"))
    });
    assert_eq!(throttle.expect("it")["at"]["sequence"], tripped, "{found:#}");
    let text = ask(&dir, &["client", "RUNAWAY"]);
    for expected in
        ["\nHead-room    0 left in its throttle at sequence ", "\nLimits       first refused by "]
    {
        assert!(text.contains(expected), "{expected}\n{text}");
    }

    // It buys one symbol and sells the other.
    assert_eq!(whole["live_orders"], 0);
    let positions = whole["positions"].as_array().expect("positions");
    let none = |position: &Value, side: &str| {
        position[side].as_str().and_then(|qty| qty.parse().ok()) == Some(0.0)
    };
    let sides = positions.iter().map(|position| (none(position, "bought"), none(position, "sold")));
    assert_eq!(sides.collect::<Vec<_>>(), [(false, true), (true, false)], "{whole:#}");
}
