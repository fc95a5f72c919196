//! What is told of a load that does not come to its end.

mod fixtures;

use std::time::Duration;

use fixtures::{
    common::{
        TestVenue, session,
        valve::{Then, Valve},
    },
    expect_exit, json, stderr, stdout,
};
use ironbook_benches::{
    flow::{Mix, Synthetic},
    load::{self, LoadError, LoadOptions, Pace},
    workload::SCALES,
};
use ironbook_gateway::client::ClientError;

fn venue() -> TestVenue {
    TestVenue::start_with(|config| config.sessions = vec![session("LOADGEN")])
}

#[test]
fn a_venue_that_hangs_costs_no_report() {
    let venue = venue();
    // The Logon, and the reports of some of the first requests.
    let valve = Valve::after(11, Then::Hold, venue.address());
    let silence_max = Duration::from_secs(1);
    let options = LoadOptions {
        in_flight_max: 20,
        silence_max,
        ..LoadOptions::new(valve.address(), Pace::Unlimited, "x")
    };
    let flow = Synthetic::new(1, 1, Mix::default(), SCALES).take(1_000);
    let mut told = 0;
    let sent = load::run(flow, &options, |count| told = count);
    let Err(LoadError::Stopped { report, reason }) = sent else { panic!("it goes on: {sent:?}") };
    assert!(matches!(reason, ClientError::Timeout(waited) if waited == silence_max), "{reason}");
    assert_eq!(report.reports, 10);
    let answered = report.requests() - report.unanswered;
    assert_eq!(report.unanswered, options.in_flight_max);
    assert_eq!(report.latency.len(), answered);
    assert!(answered > 0 && told == report.requests(), "{answered} {told}");
}

#[test]
fn what_was_sent_before_the_end_is_told() {
    let venue = venue();
    let valve = Valve::after(11, Then::Close, venue.address());
    let address = valve.address().to_string();
    let load = ["load", "--fix", &address, "--in-flight", "20", "--orders", "1000"];
    let reason = "the venue ended the session: it closed the connection without a word";
    let text = stdout(&expect_exit(&[&load[..], &["--prefix", "a"]].concat(), 1));
    let stopped = format!("Stopped      {reason}\n");
    for expected in ["Reports      10\n", "Unanswered   20\n", &stopped] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let told = json(&expect_exit(&[&load[..], &["--prefix", "b", "--json"]].concat(), 1));
    assert_eq!(told["reports"], 10);
    assert_eq!(told["unanswered"], 20);
    assert_eq!(told["stopped"], reason);
}

#[test]
fn a_request_that_its_session_may_not_make_is_answered() {
    let venue = TestVenue::start_with(|config| {
        config.sessions = ["LOADGEN", "DROPCOPY"].map(session).into();
        config.sessions[1].read_only = true;
    });
    let address = venue.address().to_string();
    let load = ["load", "--fix", &address, "--orders", "100", "--json", "--as"];
    for (comp_ids, refused) in [("DROPCOPY", 100), ("LOADGEN,DROPCOPY", 0)] {
        let told = json(&expect_exit(&[&load[..], &[comp_ids]].concat(), 0));
        assert_eq!(told["unanswered"], 0, "{told}");
        let text = "this session is read-only: it gets copies of reports and sends no requests";
        assert_eq!(told["rejects"][text].as_u64().unwrap_or(0), refused, "{told}");
        assert!(told["latency_ns"]["p50"].as_u64() > Some(0), "{told}");
    }
}

#[test]
fn an_empty_symbol_is_refused() {
    let refused = stderr(&expect_exit(&["load", "--symbols", "AAPL,,MSFT"], 2));
    assert!(refused.contains("--symbols has an empty symbol"), "{refused}");
}

#[test]
fn without_an_answer_there_is_no_latency() {
    let venue = venue();
    let valve = Valve::after(1, Then::Close, venue.address());
    let address = valve.address().to_string();
    let load = ["load", "--fix", &address, "--orders", "100"];
    let text = stdout(&expect_exit(&load, 1));
    assert!(text.contains("\n                p50            –\n"), "{text}");
}

#[test]
fn a_load_that_trips_its_session_tells_how_to_find_where() {
    let mut venue = TestVenue::start_with(|config| {
        config.sessions = vec![session("LOADGEN")];
        config.risk.traded_notional = "1000".to_owned();
        config.risk.window_ms = 60_000;
    });
    let address = venue.address().to_string();
    let load = ["load", "--fix", &address, "--orders", "500"];
    let text = stdout(&expect_exit(&load, 0));
    assert!(text.contains("  the session is tripped: it traded _ in its window"), "{text}");
    assert!(
        text.contains("\nNext: ironbook replay DIR --break tripped, with the directory"),
        "{text}"
    );
    venue.stop();
    let dir = venue.journal();
    let found =
        stdout(&expect_exit(&["replay", dir.to_str().expect("a path"), "--break", "tripped"], 0));
    assert!(found.contains("tripped"), "{found}");
}

#[test]
fn what_is_said_of_a_runaway_needs_one() {
    let nobody = "127.0.0.1:1";
    for said in [["--parents", "5"], ["--share", "40"], ["--after", "0"]] {
        for flow in [&[][..], &["--flow", "exchange"], &["--file", "none.csv"]] {
            let load = [&["load", "--fix", nobody][..], flow, &said].concat();
            let told = stderr(&expect_exit(&load, 2));
            let expected = format!("{} tells of a runaway: give --flow runaway", said[0]);
            assert!(told.contains(&expected), "{load:?}\n{told}");
        }
        // With a runaway, the venue is all that is missing.
        let load = [&["load", "--fix", nobody, "--flow", "runaway"][..], &said].concat();
        let told = stderr(&expect_exit(&load, 1));
        assert!(told.contains("is the venue running"), "{told}");
    }
}
