//! Hours of sessions and the resets of their numbers, under a clock that only the test moves.

mod common;

use std::time::Duration;

use common::{
    FixClient, Msg, fix_time, limit,
    stepped::{LOOK, SECOND, START, Stepped},
};
use ironbook_engine::Timestamp;
use ironbook_gateway::{
    config::{CancelOnDisconnect, Config, Day, ResetConfig, ScheduleConfig},
    session_record::SessionRecord,
};
use ironbook_journal::Reader;

const HOUR: u64 = 3_600 * SECOND;

fn hours(start: &str, end: &str, zone: &str, reset: ResetConfig) -> ScheduleConfig {
    ScheduleConfig {
        start: Some(start.to_owned()),
        end: Some(end.to_owned()),
        time_zone: zone.to_owned(),
        reset,
        ..ScheduleConfig::default()
    }
}

/// A venue with the clock at a time of 2026-01-01, a Thursday, which is when virtual time starts; clients need
/// no Heartbeat for a day.
fn start(change: impl FnOnce(&mut Config)) -> Stepped {
    Stepped::start(|config| {
        config.fix.heart_bt_int_max_s = 86_400;
        change(config);
    })
}

/// Sets the clock to hours behind the start.
fn set_hour(venue: &mut Stepped, hour: f64) {
    let to = START + (hour * HOUR as f64) as u64;
    assert!(to > venue.now, "time goes on");
    venue.now = to;
    venue.clock.set(Timestamp(to));
    venue.settle();
    venue.advance(LOOK);
}

/// Sends a Logon with these numbers, out and in, and takes the one answer.
fn try_log_on(
    venue: &mut Stepped,
    comp_id: &str,
    numbers: (u64, u64),
    more: &str,
) -> (FixClient, Msg) {
    let mut client = venue.come_back((comp_id, 86_400), numbers, more);
    let answer = venue.receive(&mut client, 1).remove(0);
    (client, answer)
}

#[track_caller]
fn log_on(venue: &mut Stepped, comp_id: &str, next_out: u64, expected: &str) -> FixClient {
    let (client, answer) = try_log_on(venue, comp_id, (next_out, 1), "");
    assert!(answer.matches(&format!("35=A|{expected}")), "{answer:?}");
    client
}

/// The venue logs a client out, and he answers.
#[track_caller]
fn expect_logout(venue: &mut Stepped, client: &mut FixClient, text: &str) {
    let got = venue.receive(client, 1);
    assert!(got[0].matches(&format!("35=5|58={text}")), "{got:?}");
    venue.send(client, "5", "");
    venue.expect_closed(client);
}

/// Resets in the journal, of each session by number, and when, hours behind the start.
fn resets(venue: &Stepped) -> Vec<(u32, u64)> {
    let mut reader = Reader::open(&venue.config.venue.data_dir).expect("a journal");
    let mut found = Vec::new();
    while let Some(frame) = reader.next().expect("frames") {
        if let Some(SessionRecord::Reset { session }) =
            SessionRecord::decode(frame.kind, frame.payload)
        {
            found.push((session.0, (frame.time_ns - START) / HOUR));
        }
    }
    found
}

#[test]
fn sessions_are_logged_on_in_their_hours() {
    let mut venue = start(|config| {
        config.schedule = hours("08:00", "17:00", "UTC", ResetConfig::Never);
        config.schedule.days = vec![Day::Thu, Day::Sat];
        config.sessions[1].schedule = Some(ScheduleConfig::default());
    });
    let closed = "closed until 2026-01-01T08:00:00+00:00[UTC] by schedule";
    let (mut early, answer) = try_log_on(&mut venue, "A", (1, 1), "");
    assert!(answer.matches(&format!("35=5|34=1|58={closed}")), "{answer:?}");
    venue.expect_closed(&mut early);
    // In FIXT.1.1 there is a code for it, and a session may have a schedule of its own: none.
    let mut fixt = FixClient::connect(venue.gateway.address(), "A");
    fixt.begin_string = "FIXT.1.1";
    venue.send(&mut fixt, "A", "98=0|108=30|1137=9");
    assert!(venue.receive(&mut fixt, 1)[0].matches("35=5|34=2|1409=7"));
    let mut b = log_on(&mut venue, "B", 1, "34=1");
    set_hour(&mut venue, 8.0);
    let mut a = log_on(&mut venue, "A", 1, "34=3");
    venue.ask(&mut a, "D", &limit("a1", "AAPL", "1", "1", "1.00"), "35=8|34=4|150=0");
    set_hour(&mut venue, 16.99);
    venue.expect_silence(&mut a);
    set_hour(&mut venue, 17.0);
    let closed = "closed until 2026-01-03T08:00:00+00:00[UTC] by schedule";
    expect_logout(&mut venue, &mut a, closed);
    let (_, answer) = try_log_on(&mut venue, "A", (4, 6), "");
    assert!(answer.matches(&format!("35=5|58={closed}")), "{answer:?}");
    venue.ask(&mut b, "1", "112=b", "35=0|34=2|112=b");
    // Its numbers go on.
    set_hour(&mut venue, 56.0);
    log_on(&mut venue, "A", 4, "34=7");
    assert_eq!(resets(&venue), []);
}

#[test]
fn who_does_not_answer_the_logout_is_let_go() {
    let mut venue = start(|config| {
        config.schedule = hours("00:00", "01:00", "UTC", ResetConfig::Never);
        config.sessions[0].cancel_on_disconnect = CancelOnDisconnect::Disconnect;
    });
    let mut a = log_on(&mut venue, "A", 1, "34=1");
    venue.ask(&mut a, "D", &limit("a1", "AAPL", "1", "1", "1.00"), "35=8|150=0");
    set_hour(&mut venue, 1.0);
    assert!(venue.receive(&mut a, 1)[0].matches("35=5"));
    venue.advance(3 * SECOND);
    venue.expect_closed(&mut a);
    let core = venue.core.as_ref().expect("a core");
    assert_eq!(core.engine().totals().live_orders, 0, "as after any loss of the connection");
}

#[test]
fn numbers_start_anew_once_a_day() {
    let mut venue = start(|config| {
        config.schedule = hours("17:00", "17:00", "America/New_York", ResetConfig::Daily);
        config.sessions.truncate(2);
    });
    // Twenty-two o'clock in UTC. All have their numbers from the start on.
    let mut a = log_on(&mut venue, "A", 1, "34=1");
    venue.ask(&mut a, "D", &limit("a1", "AAPL", "1", "2", "1.00"), "35=8|34=2|150=0");
    let mut first = resets(&venue);
    first.sort_unstable();
    assert_eq!(first, [(1, 0), (2, 0)]);
    set_hour(&mut venue, 21.9);
    venue.expect_silence(&mut a);
    set_hour(&mut venue, 22.0);
    expect_logout(&mut venue, &mut a, "a new session begins: log on again, with numbers from 1");
    assert_eq!(resets(&venue)[2..], [(2, 22), (1, 22)], "when the connection was gone");
    // What is filled before A comes is counted in the new session.
    let mut b = log_on(&mut venue, "B", 1, "34=1");
    venue.send(&mut b, "D", &limit("b1", "AAPL", "2", "1", "1.00"));
    venue.receive(&mut b, 2);
    let mut a = log_on(&mut venue, "A", 1, "34=2");
    venue.send(&mut a, "2", "7=1|16=1");
    assert!(venue.receive(&mut a, 1)[0].matches("35=8|34=1|43=Y|150=F|11=a1"));
    // Old numbers are told apart.
    drop(a);
    venue.advance(LOOK);
    let (_, answer) = try_log_on(&mut venue, "A", (3, 3), "|789=9");
    let text = "NextExpectedMsgSeqNum (789) too high, expecting 3 but received 9";
    assert!(answer.matches(&format!("35=5|34=3|58={text}")), "{answer:?}");
    // Once, however often it is looked, and whoever resets beside it.
    set_hour(&mut venue, 30.0);
    let (_, answer) = try_log_on(&mut venue, "A", (1, 1), "|141=Y");
    assert!(answer.matches("35=A|34=1|141=Y"), "{answer:?}");
    assert_eq!(resets(&venue)[4..], [(1, 30)]);
    set_hour(&mut venue, 45.9);
    assert_eq!(resets(&venue).len(), 5);
}

#[test]
fn a_restart_makes_up_for_a_reset_and_repeats_none() {
    let daily = |config: &mut Config| {
        config.schedule = hours("08:00", "18:00", "UTC", ResetConfig::Daily);
        config.sessions.truncate(1);
    };
    let mut venue = start(daily);
    set_hour(&mut venue, 9.0);
    let mut a = log_on(&mut venue, "A", 1, "34=1");
    venue.ask(&mut a, "D", &limit("a1", "AAPL", "1", "1", "1.00"), "35=8|34=2|150=0");
    assert_eq!(resets(&venue), [(1, 9)]);
    // In the same hours: numbers go on.
    let mut venue = venue.crash(|_| {});
    let a = log_on(&mut venue, "A", 3, "34=3");
    assert_eq!(resets(&venue), [(1, 9)]);
    drop(a);
    // The venue is down when the next hours begin.
    let clock = venue.clock.clone();
    venue.now = START + 33 * HOUR;
    clock.set(Timestamp(venue.now));
    let mut venue = venue.crash(|_| {});
    let (_, answer) = try_log_on(&mut venue, "A", (1, 1), "|789=1");
    assert!(answer.matches("35=A|34=1|789=2"), "{answer:?}");
    assert_eq!(resets(&venue), [(1, 9), (1, 33)]);
    let mut venue = venue.crash(|_| {});
    log_on(&mut venue, "A", 2, "34=2");
    assert_eq!(resets(&venue).len(), 2);
}

#[test]
fn a_weekly_session_lives_from_its_first_day_to_its_last() {
    let mut venue = start(|config| {
        let mut week = hours("17:00", "17:00", "America/New_York", ResetConfig::Weekly);
        week.days = vec![Day::Sun, Day::Mon, Day::Tue, Day::Wed, Day::Thu];
        config.sessions[0].schedule = Some(week);
        config.sessions.truncate(1);
        config.fix.sending_time_tolerance_s = 60;
    });
    let mut a = log_on(&mut venue, "A", 1, "34=1");
    // Friday 17:00 in New York; a day before, its hours went on.
    set_hour(&mut venue, 22.0);
    venue.ask(&mut a, "1", "112=a", "35=0|34=2|112=a");
    set_hour(&mut venue, 45.0);
    venue.ask(&mut a, "1", "112=a", "35=0|112=a");
    set_hour(&mut venue, 46.0);
    expect_logout(
        &mut venue,
        &mut a,
        "closed until 2026-01-04T17:00:00-05:00[America/New_York] by schedule",
    );
    set_hour(&mut venue, 93.9);
    let (_, answer) = try_log_on(&mut venue, "A", (5, 6), "");
    assert_eq!(answer.kind(), "5");
    set_hour(&mut venue, 94.0);
    log_on(&mut venue, "A", 1, "34=1");
    assert_eq!(resets(&venue), [(1, 0), (1, 94)]);
}

#[test]
fn the_gateway_says_when_hours_begin() {
    let mut venue = start(|config| {
        config.schedule = hours("08:00", "17:00", "UTC", ResetConfig::Daily);
    });
    venue.settle();
    assert_eq!(venue.next_deadline(), Some(Timestamp(START + 8 * HOUR)));
    set_hour(&mut venue, 8.0);
    assert_eq!(venue.next_deadline(), Some(Timestamp(START + 17 * HOUR)));
    let time = fix_time(Duration::from_nanos(venue.now));
    assert!(time.starts_with("20260101-08:00:00"), "{time}");
}
