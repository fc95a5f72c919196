//! When a venue ran and what was open, from journals written by a script.

mod common;

use std::fs;

use common::{AAPL, C1, C2, MSFT, STEP_NS, Script, memory_dir};
use ironbook_engine::{
    EngineLimits, InstrumentId,
    InstrumentStatus::{Closed, Halted, Open},
    SessionId, Side,
    command::{DefineInstrument, DefineSession, RiskLimits},
    domain::DisconnectCause,
};
use ironbook_gateway::{
    session_record::{Copies, SessionRecord, VENUE_STOPS},
    throttle::ThrottleScope,
};
use ironbook_incident::phases::{
    ACTIONS_MAX, By, Instrument, Phases, RUNS_MAX, Run, SILENCE_NS_MIN, SILENCES_MAX, STATUSES_MAX,
    Sign, phases,
};

const MINUTE_NS: u64 = 60_000_000_000;

fn of(write: impl FnOnce(&mut Script)) -> Phases {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    write(&mut day);
    day.close();
    let (found, damage) = phases(&dir).expect("a journal");
    assert!(damage.is_none());
    // The same bytes say the same.
    let again = phases(&dir).expect("a journal").0;
    assert_eq!((again.to_string(), again.json()), (found.to_string(), found.json()));
    found
}

fn runs(found: &Phases) -> Vec<&Run> {
    found.runs.kept.iter().collect()
}

fn logon(session: SessionId) -> SessionRecord {
    SessionRecord::Outbound { session, msg_type: b"A".to_vec(), body: b"98=0\x01".to_vec() }
}

fn logout(session: SessionId, text: &str) -> SessionRecord {
    let body = format!("58={text}\x01").into_bytes();
    SessionRecord::Outbound { session, msg_type: b"5".to_vec(), body }
}

fn lost(session: SessionId) -> SessionRecord {
    SessionRecord::Lost { session, cause: DisconnectCause::VenueDown }
}

/// Limits that are larger than those of the script.
fn larger() -> EngineLimits {
    EngineLimits {
        orders_max: 8_192,
        closed_orders_kept: 512,
        state_hash_interval: 0,
        ..Default::default()
    }
}

#[test]
fn starts_are_seen_by_what_they_journal() {
    let mut at = Vec::new();
    let found = of(|day| {
        day.record(&SessionRecord::Role { session: C2, copies: Copies::All });
        let (scope, firm) = (ThrottleScope::Firm, "ACME".to_owned());
        day.record(&SessionRecord::Throttle { session: C2, scope, firm, terms: None });
        day.record(&logon(C1));
        day.order((C1, "a"), AAPL, Side::Buy, (10, 10_000));
        day.wait(MINUTE_NS);
        // It died with one logged on, and the next one knows an instrument more, which is closed, and a session.
        at.push(day.command(larger()));
        let third = InstrumentId(3);
        day.command(DefineInstrument::new(third, "IBM".try_into().unwrap(), 2, 0, 1, 1));
        day.set_status(third, Closed);
        day.command(DefineSession::new(SessionId(4), "C9".try_into().unwrap()));
        day.limit(SessionId(4), RiskLimits { open_orders: 5, ..RiskLimits::NONE });
        day.command(DefineSession::new(SessionId(5), "C10".try_into().unwrap()));
        day.limit(SessionId(5), RiskLimits { open_orders: 5, ..RiskLimits::NONE });
        day.record(&lost(C1));
        day.record(&logon(C2));
        day.order((C2, "b"), AAPL, Side::Sell, (10, 10_100));
        day.order((C2, "c"), AAPL, Side::Sell, (10, 10_100));
        // A status, and then somebody whom it missed: both of one start. A status later is none of it.
        at.push(day.set_status(MSFT, Halted));
        day.record(&lost(C2));
        day.record(&logon(C2));
        day.set_status(AAPL, Halted);
        day.set_status(MSFT, Open);
    });
    let [first, second, third] = runs(&found)[..] else { panic!("{found}") };
    assert_eq!(
        [first, second, third].map(|run| run.sign),
        [Sign::First, Sign::Announced, Sign::Announced]
    );
    assert_eq!([second.first.sequence, third.first.sequence], at[..]);
    assert_eq!((first.last.sequence, second.last.sequence), (at[0] - 1, at[1] - 1));
    assert_eq!(second.silence_ns, Some(MINUTE_NS + STEP_NS));
    let news = |run: &Run| {
        let sessions = (run.sessions, run.risk_limits, run.roles, run.throttles);
        (run.limits, run.instruments, run.statuses, sessions)
    };
    assert_eq!(news(first), (true, 2, 0, (3, 0, 1, 1)));
    assert_eq!(news(second), (true, 1, 1, (2, 2, 0, 0)));
    assert_eq!(news(third), (false, 0, 1, (0, 0, 0, 0)));
    assert_eq!([first.lost, second.lost, third.lost], [0, 1, 1]);
    assert_eq!([first, second, third].map(|run| run.requests.all), [1, 2, 0]);
    let text = found.to_string();
    for expected in [
        "Starts       3 seen; opened to be written 1 time\n",
        "it died: 1 session logged on",
        "start after 1 min 0 s without a frame; new: limits, 1 instrument, 1 status, 2 sessions, \
         2 sessions' risk limits\n",
        "by the venue at a start",
        "1 instrument halted",
        "the journal ends there",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let status = |number: usize| -> Vec<_> {
        let kept = &found.instruments[number].statuses.kept;
        kept.iter().map(|status| (status.status, status.by.clone())).collect()
    };
    assert_eq!(status(0), [(Open, By::Nobody), (Halted, By::Venue)]);
    assert_eq!(status(1), [(Open, By::Nobody), (Halted, By::Start), (Open, By::Venue)]);
    assert_eq!(status(2), [(Open, By::Nobody), (Closed, By::Start)]);
    let actions: Vec<_> = found.actions.kept.iter().map(|action| action.statuses).collect();
    assert_eq!(actions, [[1, 1, 0]], "open, halted, closed");
}

#[test]
fn two_starts_with_nothing_in_between_are_two() {
    let third = InstrumentId(3);
    let define = || DefineInstrument::new(third, "IBM".try_into().unwrap(), 2, 0, 1, 1);
    let found = of(|day| {
        // Sessions were made known already.
        day.command(define());
        day.command(DefineSession::new(SessionId(4), "C9".try_into().unwrap()));
        day.record(&SessionRecord::Role { session: C2, copies: Copies::All });
        day.command(larger());
    });
    assert_eq!(runs(&found).iter().map(|run| run.instruments).collect::<Vec<_>>(), [2, 1, 0]);
}

#[test]
fn a_stop_is_told_from_a_death() {
    let mut at = Vec::new();
    let found = of(|day| {
        day.record(&logon(C1));
        day.record(&logon(C2));
        // Who logs out, or is told something else, tells of no stop.
        day.record(&logout(C2, "good night"));
        day.record(&logon(C2));
        at.push(day.record(&logout(C1, VENUE_STOPS)));
        day.record(&logout(C2, VENUE_STOPS));
        day.record(&lost(C1));
        day.record(&lost(C2));
        day.wait(MINUTE_NS);
        // The first frame of the next venue is not the answer to the Logon.
        at.push(day.record(&SessionRecord::Reset { session: C2 }));
        day.record(&logon(C2));
        day.record(&SessionRecord::Inbound { session: C2, next: 2 });
        day.record(&logout(C2, VENUE_STOPS));
        day.record(&lost(C2));
        // Nothing new but a status.
        at.push(day.set_status(AAPL, Closed));
    });
    let [first, second, third] = runs(&found)[..] else { panic!("{found}") };
    assert_eq!(first.stop.map(|stop| stop.sequence), Some(at[0]));
    assert_eq!((second.sign, second.first.sequence), (Sign::Session, at[1]));
    assert_eq!(first.last.sequence, at[1] - 1);
    assert!(second.silence_ns >= Some(MINUTE_NS), "{second:?}");
    assert_eq!((third.sign, third.first.sequence), (Sign::Announced, at[2]));
    assert_eq!([first.lost, second.lost, third.lost], [0; 3]);
    let ends = found.json()["starts"]["listed"].clone();
    let ends: Vec<_> = ends.as_array().unwrap().iter().map(|run| run["end"].clone()).collect();
    assert_eq!(ends, ["stopped", "stopped", "end_of_journal"]);
    assert!(found.to_string().contains("start behind a stop after 1 min 0 s"), "{found}");
}

#[test]
fn silences_and_the_busiest_second_are_found() {
    let (mut busy, mut first_order) = (0, 0);
    let found = of(|day| {
        first_order = day.order((C1, "a0"), AAPL, Side::Buy, (10, 10_000));
        // One frame's step is in it.
        day.wait(SILENCE_NS_MIN - STEP_NS);
        day.order((C1, "a1"), AAPL, Side::Buy, (10, 10_000));
        day.wait(SILENCE_NS_MIN - STEP_NS - 1);
        day.order((C1, "a2"), AAPL, Side::Buy, (10, 10_000));
        day.wait(3 * SILENCE_NS_MIN);
        day.command(larger());
        day.wait(700_000_000);
        let rest = 1_000_000_000 - (day.now_ns() + STEP_NS) % 1_000_000_000;
        day.wait(rest);
        for number in 0..20 {
            let sequence = day.order((C2, &format!("b{number}")), AAPL, Side::Buy, (1, 9_000));
            busy = if number == 0 { sequence } else { busy };
        }
        day.wait(2_000_000_000);
        day.order((C2, "c"), AAPL, Side::Buy, (1, 9_000));
    });
    let (silences, left) = &found.silences;
    let lengths: Vec<_> = silences.iter().map(|silence| silence.ns()).collect();
    assert_eq!((lengths, *left), (vec![SILENCE_NS_MIN, 3 * SILENCE_NS_MIN + STEP_NS], 0));
    let starts = found.json()["silences"]["listed"].clone();
    assert_eq!([&starts[0]["ends_with_start"], &starts[1]["ends_with_start"]], [false, true]);
    let rates = &found.requests;
    assert_eq!((rates.all, rates.peak, rates.peak_sequence), (24, 20, busy));
    assert_eq!(rates.peak_ns % 1_000_000_000, 0);
    let [first, second] = runs(&found)[..] else { panic!("{found}") };
    assert_eq!((first.requests.all, first.requests.peak), (3, 1));
    // Of seconds that are alike it is the first.
    assert_eq!(first.requests.peak_sequence, first_order);
    assert_eq!((second.requests.all, second.requests.peak), (21, 20));
    let text = found.to_string();
    assert!(text.contains("Silences     2 of 2 min 0 s and more\n     6 min 0 s  "), "{text}");
    assert!(text.contains(", where it started\n     2 min 0 s  "), "{text}");
}

#[test]
fn what_is_kept_has_bounds_and_the_rest_is_counted() {
    let more = 7;
    let found = of(|day| {
        for number in 0..RUNS_MAX + more {
            let status = if number % 2 == 0 { Halted } else { Open };
            day.set_status(AAPL, status);
            day.wait(SILENCE_NS_MIN + number as u64);
            // Each is a start of its own, as roles come last.
            day.record(&SessionRecord::Role { session: C2, copies: Copies::All });
            day.order((C1, "x"), MSFT, Side::Buy, (10, 10_000));
            day.set_status(MSFT, status);
            day.order((C1, "x"), MSFT, Side::Buy, (10, 10_000));
        }
    });
    // With that which wrote the first frame.
    let starts = (RUNS_MAX + more + 1) as u64;
    assert_eq!((found.runs.kept.len(), found.runs.count()), (RUNS_MAX, starts));
    assert_eq!((found.actions.kept.len(), found.actions.before), (ACTIONS_MAX, more as u64));
    let (silences, left) = &found.silences;
    assert_eq!((silences.len(), *left), (SILENCES_MAX, starts - 1 - SILENCES_MAX as u64));
    let shortest = silences.iter().map(|silence| silence.ns()).min();
    assert!(shortest > Some(SILENCE_NS_MIN + (RUNS_MAX - SILENCES_MAX) as u64), "{shortest:?}");
    let kept = |of: &Instrument| (of.statuses.kept.len(), of.statuses.count());
    assert_eq!(kept(&found.instruments[0]), (STATUSES_MAX, starts));
    let json = found.json();
    let statuses = &json["instruments"][0]["statuses"];
    assert_eq!(statuses["listed"].as_array().map(Vec::len), Some(STATUSES_MAX));
    assert_eq!(statuses["not_listed"], starts - STATUSES_MAX as u64);
    assert_eq!(json["starts"]["not_listed"], more as u64 + 1);
    let text = found.to_string();
    assert!(text.lines().count() < 120, "{}", text.lines().count());
    for expected in ["998 starts before", "AAPL             and 998 before", "997 actions before"] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert!(text.contains("and 997 shorter"), "{text}");
}

#[test]
fn a_damaged_journal_is_told_up_to_the_damage() {
    let place = memory_dir();
    let dir = place.path().join("data");
    common::story(&dir);
    let path = dir.join("0000000000.seg");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(3).position(|window| window == b"fat").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (found, damage) = phases(&dir).expect("a journal");
    let damage = damage.expect("a damage");
    assert_eq!(damage.last_good, 28);
    assert_eq!(found.ends.map(|(_, last)| last.sequence), Some(28));
    assert!(found.to_string().contains("Damaged      "), "{found}");
    assert_eq!(found.json()["damage"], damage.to_string());
}
