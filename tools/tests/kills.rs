//! Venues that are killed at random moments, and venues that meet another on their journal.
//!
//! What the client was told is the oracle: all of it must be in the journal afterwards.

mod fixtures;

use std::{
    collections::HashSet,
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use fixtures::{
    Place, Running, common,
    common::{limit, wait_for},
    expect_exit, ironbook, json, seeded, start_arguments, stdout, text, tool,
};
use ironbook_gateway::random::Random;
use serde_json::Value;

/// SIGKILLs under load; those during a start come on top.
const KILLS: usize = 50;
/// Longest time under load before a kill.
const LOAD_US_MAX: u64 = 60_000;
/// Longest time of a start before a kill.
const START_US_MAX: u64 = 60_000;
/// Orders of a round at the most, so that a fast machine does not fill its disk.
const ORDERS_MAX: usize = 4_000;
/// Orders sent at once.
const BATCH: usize = 20;
/// Sends orders that never rest until the moment comes, kills the venue, and returns the ClOrdIDs
/// that it has acknowledged.
fn kill_under_load(venue: &mut Running, round: usize, after: Duration) -> Vec<String> {
    let mut client = venue.client("TRADER1");
    let mut acknowledged = Vec::new();
    let mut note = |report: common::Msg| {
        assert!(report.matches("35=8"), "{report:?}");
        if report.matches("150=0") {
            acknowledged.push(report.get(11).unwrap().to_owned());
        }
    };
    let (start, mut sent) = (Instant::now(), 0);
    while start.elapsed() < after {
        let batch = if sent < ORDERS_MAX { BATCH } else { 0 };
        let order =
            |number| limit(&format!("k{round}-{number}"), "AAPL", "2", "1", "200.00") + "|59=3";
        let bytes = client.build_next("D", (sent..sent + batch).map(order));
        sent += batch;
        client.send_raw(&bytes);
        client.pending().into_iter().for_each(&mut note);
    }
    venue.child.kill().unwrap();
    venue.child.wait().unwrap();
    while let Some(report) = client.receive() {
        note(report);
    }
    let expected = (0..acknowledged.len()).map(|number| format!("k{round}-{number}"));
    assert!(expected.eq(acknowledged.iter().cloned()), "each once, in sequence: {acknowledged:?}");
    acknowledged
}

/// A start that is killed before it can say that it is ready.
fn kill_during_start(place: &Place, after: Duration) {
    let mut command = ironbook();
    let mut child = start_arguments(&mut command, &place.config(), &place.data())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The journal behind a sequence: the last sequence, and the ClOrdIDs whose orders it accepted.
/// Nothing may be missing between.
fn read_from(data: &str, mut last: u64) -> (u64, HashSet<String>) {
    let from = (last + 1).to_string();
    let limit = u64::MAX.to_string();
    let lines =
        stdout(&expect_exit(&["inspect", "--json", "--from", &from, "--limit", &limit, data], 0));
    let mut accepted = HashSet::new();
    for line in lines.lines() {
        let frame: Value = serde_json::from_str(line).unwrap();
        last += 1;
        assert_eq!(frame["sequence"], last, "no holes: {line}");
        let text = frame["text"].as_str().unwrap();
        if frame["name"] == "Execution" && text.contains("exec_type: New") {
            let id = text.split(" cl_ord_id: \"").nth(1).and_then(|rest| rest.split('"').next());
            assert!(accepted.insert(id.expect("an id").to_owned()), "twice: {line}");
        }
    }
    (last, accepted)
}

#[test]
fn whatever_was_acknowledged_survives_fifty_kills() {
    let mut random = seeded();
    let micros = |random: &mut Random, max| Duration::from_micros(random.below(max));
    // Small segments, so that kills meet rolls and preparing too.
    let place = Place::with_segments(131_072, "");
    let data = text(&place.data());
    let (mut last, mut acknowledged, mut total, mut torn) = (0, Vec::new(), 0, 0);
    for round in 0..=KILLS {
        if random.one_in(4) {
            kill_during_start(&place, micros(&mut random, START_US_MAX));
        }
        if round > 0 {
            // The kill may have come in the middle of a write: 1 then, and never anything worse.
            let verified = tool(&["verify", &data]);
            assert!(matches!(verified.status.code(), Some(0 | 1)), "{}", stdout(&verified));
            torn += i32::from(verified.status.code() == Some(1));
        }
        let mut venue = place.start();
        let (now_last, accepted) = read_from(&data, last);
        for id in &acknowledged {
            assert!(accepted.contains(id), "round {round}: {id} was acknowledged and is lost");
        }
        total += acknowledged.len();
        last = now_last;
        if round < KILLS {
            acknowledged = kill_under_load(&mut venue, round, micros(&mut random, LOAD_US_MAX));
        } else {
            assert_eq!(venue.end("TERM"), Some(0));
        }
    }
    println!("{KILLS} kills, {torn} in the middle of a write, {total} orders acknowledged");
    assert!(total > KILLS, "there was load");
    expect_exit(&["verify", &data], 0);
    let replayed = json(&expect_exit(&["replay", "--json", &data], 0));
    assert!(replayed["last_sequence"].as_u64().unwrap() >= last);
}

#[test]
fn a_venue_whose_journal_another_takes_ends_and_says_so() {
    let place = Place::new();
    let data = text(&place.data());
    let mut first = place.start();
    let mut client = first.client("TRADER1");
    client.rest("o1", "AAPL", "1", "1", "100.00");
    fs::remove_file(place.data().join("LOCK")).unwrap();
    let mut second = place.start();
    let mut status = None;
    wait_for("the first venue has ended", || {
        status = first.child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(1));
    wait_for("its last words", || first.logged().contains("ironbook: another process"));
    assert!(first.logged().contains(&data), "{}", first.logged());
    let mut client = second.client("TRADER2");
    client.rest("o2", "AAPL", "1", "1", "100.00");
    drop(client);
    assert_eq!(second.end("TERM"), Some(0));
    expect_exit(&["verify", &data], 0);
    let replayed = json(&expect_exit(&["replay", "--json", &data], 0));
    assert_eq!(replayed["books"][0]["live_orders"], 2);
}
