//! Orders of a session that lost its connection: canceled or not, when, and how the client learns of it.

mod common;

use common::{
    FixClient, Msg, assert_valid, fix_time, limit,
    stepped::{LOOK, SECOND, Stepped},
};
use ironbook_engine::Command;
use ironbook_fix::version::{ApplVerId, Version};
use ironbook_gateway::{
    config::{CancelOnDisconnect, Config},
    session_record::SessionRecord,
};
use ironbook_journal::Reader;

/// Session A with a policy and a time to come back; B has none.
fn policy(policy: CancelOnDisconnect, grace_ms: u64) -> impl FnOnce(&mut Config) {
    move |config| {
        config.sessions[0].cancel_on_disconnect = policy;
        config.sessions[0].cancel_grace_ms = grace_ms;
    }
}

/// A logs on and has two orders in the book, for the day and until canceled; B has one.
#[track_caller]
fn trade(venue: &mut Stepped) -> (FixClient, FixClient) {
    let (mut a, mut b) = (venue.log_on("A", 30), venue.log_on("B", 30));
    venue.ask(&mut a, "D", &limit("day", "AAPL", "1", "5", "1.00"), "35=8|150=0|11=day");
    let gtc = format!("{}|59=1", limit("gtc", "AAPL", "1", "5", "1.01"));
    venue.ask(&mut a, "D", &gtc, "35=8|150=0|11=gtc");
    venue.ask(&mut b, "D", &limit("other", "AAPL", "1", "5", "1.02"), "35=8|150=0|11=other");
    (a, b)
}

fn live(venue: &Stepped) -> u64 {
    u64::from(venue.core.as_ref().expect("a core").engine().totals().live_orders)
}

#[track_caller]
fn log_out(venue: &mut Stepped, client: &mut FixClient) {
    venue.ask(client, "5", "", "35=5");
    venue.expect_closed(client);
}

/// Logs on again with the next numbers. What came meanwhile is a gap, which the client asks for: gives it.
#[track_caller]
fn come_back(
    venue: &mut Stepped,
    comp_id: &str,
    (next_out, next_in): (u64, u64),
) -> (FixClient, Vec<Msg>) {
    let mut client = venue.come_back((comp_id, 30), (next_out, next_in), "");
    let answer = venue.receive(&mut client, 1).remove(0);
    assert!(answer.matches("35=A"), "{answer:?}");
    client.next_in = answer.seq() + 1;
    let missed = (answer.seq() - next_in) as usize;
    if missed == 0 {
        return (client, Vec::new());
    }
    venue.send(&mut client, "2", &format!("7={next_in}|16={}", answer.seq() - 1));
    let again = venue.receive(&mut client, missed);
    (client, again)
}

/// What the journal tells of losses and of the commands that follow from them.
fn journaled(venue: &Stepped) -> Vec<String> {
    let mut reader = Reader::open(&venue.config.venue.data_dir).expect("a journal");
    let mut told = Vec::new();
    while let Some(frame) = reader.next().expect("good frames") {
        if let Some(SessionRecord::Lost { session, cause }) =
            SessionRecord::decode(frame.kind, frame.payload)
        {
            told.push(format!("{session} lost {cause:?}"));
        }
        if let Ok(Command::CancelOnDisconnect(command)) = Command::decode(frame.kind, frame.payload)
        {
            let session = command.origin.session;
            told.push(format!("{session} cancel {:?} {:?}", command.cause, command.scope));
        }
    }
    told
}

#[test]
fn orders_go_where_policy_and_ending_say_so() {
    use CancelOnDisconnect::{Both, Disconnect, Logout, None};
    for (chosen, by_logout, by_drop) in
        [(None, false, false), (Logout, true, false), (Disconnect, false, true), (Both, true, true)]
    {
        let mut venue = Stepped::start(policy(chosen, 0));
        let (mut a, mut b) = trade(&mut venue);
        log_out(&mut venue, &mut a);
        assert_eq!(live(&venue), if by_logout { 2 } else { 3 }, "{chosen:?}: a Logout");

        let mut venue = Stepped::start(policy(chosen, 0));
        let (a, mut other) = trade(&mut venue);
        drop(a);
        venue.advance(LOOK);
        assert_eq!(live(&venue), if by_drop { 2 } else { 3 }, "{chosen:?}: a broken connection");
        // Orders of others stay, and they are told nothing.
        venue.expect_silence(&mut other);
        venue.expect_silence(&mut b);
    }
}

#[test]
fn every_ending_but_the_clients_logout_is_a_drop() {
    // Silence, a clock that is off (which the client confirms with a Logout), a number used before.
    let endings: [fn(&mut Stepped, &mut FixClient); 3] = [
        |venue, _| venue.advance(61 * SECOND),
        |venue, a| {
            let late = std::time::Duration::from_nanos(venue.now - 200 * SECOND);
            a.sending_time = Some(fix_time(late));
            a.send("0", "");
            let got = venue.receive(a, 2);
            assert!(got[1].matches("35=5"), "{got:?}");
            venue.send(a, "5", "");
        },
        |venue, a| {
            a.next_out = 1;
            venue.send(a, "0", "");
        },
    ];
    for (number, end) in endings.into_iter().enumerate() {
        for (chosen, left) in [(CancelOnDisconnect::Disconnect, 2), (CancelOnDisconnect::Logout, 3)]
        {
            let mut venue = Stepped::start(policy(chosen, 0));
            let (mut a, _b) = trade(&mut venue);
            end(&mut venue, &mut a);
            venue.advance(LOOK);
            assert_eq!(live(&venue), left, "{chosen:?}, ending {number}");
        }
    }
}

#[test]
fn who_comes_back_in_time_keeps_his_orders() {
    let mut venue = Stepped::start(policy(CancelOnDisconnect::Both, 5_000));
    let (mut a, _b) = trade(&mut venue);
    log_out(&mut venue, &mut a);
    venue.advance(4 * SECOND);
    let (mut a, missed) = come_back(&mut venue, "A", (a.next_out, 5));
    assert!(missed.is_empty(), "{missed:?}");
    venue.advance(10 * SECOND);
    assert_eq!(live(&venue), 3);
    // The time starts anew with each loss; a connection that never logs on is none.
    log_out(&mut venue, &mut a);
    venue.advance(3 * SECOND);
    let _stranger = FixClient::connect(venue.gateway.address(), "A");
    venue.advance(SECOND);
    assert_eq!(live(&venue), 3);
    venue.advance(SECOND);
    assert_eq!(live(&venue), 2);
    let told = journaled(&venue);
    assert_eq!(told, ["1 lost Logout", "1 lost Logout", "1 cancel Logout Day"]);
}

const REPORT: &str = "35=8|150=4|39=4|11=day|151=0|14=0";

#[test]
fn cancels_are_told_with_their_reason_at_the_next_logon() {
    let mut venue = Stepped::start(policy(CancelOnDisconnect::Disconnect, 1_000));
    let (a, mut b) = trade(&mut venue);
    let next_out = a.next_out;
    let mut copy = venue.log_on("COPY", 30);
    drop(a);
    venue.advance(2 * SECOND);
    let report = format!("{REPORT}|378=8|58=cancel on disconnect: the session lost its connection");
    let copied = venue.receive(&mut copy, 1).remove(0);
    assert!(copied.matches(&report), "{copied:?}");
    let (mut a, missed) = come_back(&mut venue, "A", (next_out, 4));
    assert_eq!(missed.len(), 1, "{missed:?}");
    assert!(missed[0].matches(&format!("43=Y|34=4|{report}")), "{missed:?}");
    // The order until canceled is still there, and the day order is not.
    venue.ask(&mut a, "H", "11=gtc|55=AAPL|54=1", "35=8|150=I|39=0|11=gtc");
    venue.ask(&mut a, "H", "11=day|55=AAPL|54=1", "35=8|150=I|39=4|11=day");
    venue.ask(&mut b, "H", "11=other|55=AAPL|54=1", "35=8|150=I|39=0|11=other");
    common::replay(&venue.config.venue.data_dir);
}

#[test]
fn who_is_back_at_once_learns_of_the_cancels_before_he_can_act() {
    let mut venue = Stepped::start(|config| {
        policy(CancelOnDisconnect::Both, 0)(config);
        config.sessions[0].cancel_gtc = true;
    });
    let (a, _b) = trade(&mut venue);
    let next_out = a.next_out;
    drop(a);
    // The end of the connection is found in the turn in which the next one comes, or before.
    let (mut a, missed) = come_back(&mut venue, "A", (next_out, 4));
    assert_eq!(missed.len(), 2, "{missed:?}");
    assert!(missed[0].matches(REPORT) && missed[1].matches("35=8|150=4|11=gtc"), "{missed:?}");
    assert_eq!(live(&venue), 1);
    venue.ask(&mut a, "H", "11=day|55=AAPL|54=1", "35=8|150=I|39=4|11=day");
    assert_eq!(journaled(&venue), ["1 lost Disconnect", "1 cancel Disconnect All"]);
}

#[test]
fn a_venue_that_died_gives_its_clients_their_time_from_its_start_on() {
    for (back_after, left) in [(4, 3), (6, 2)] {
        let mut venue = Stepped::start(policy(CancelOnDisconnect::Disconnect, 5_000));
        let (a, _b) = trade(&mut venue);
        venue.advance(10 * SECOND);
        let next_out = a.next_out;
        let mut venue = venue.crash(|_| {});
        assert_eq!(live(&venue), 3);
        venue.advance(back_after * SECOND);
        assert_eq!(live(&venue), left, "after {back_after} s");
        let (_a, missed) = come_back(&mut venue, "A", (next_out, 4));
        // Heartbeats that went out before the crash are among what is sent again as a gap.
        let report = format!("{REPORT}|378=7|58=cancel on disconnect: the venue was down");
        let told = missed.iter().filter(|message| message.matches(&report)).count();
        assert_eq!(told, 3 - left as usize, "{missed:?}");
        venue.advance(10 * SECOND);
        assert_eq!(live(&venue), left);
        let mut expected = vec!["1 lost VenueDown", "2 lost VenueDown"];
        expected.extend((left == 2).then_some("1 cancel VenueDown Day"));
        assert_eq!(journaled(&venue)[..expected.len()], expected);
        common::replay(&venue.config.venue.data_dir);
    }
}

#[test]
fn a_time_that_ran_when_the_venue_died_starts_anew() {
    let mut venue = Stepped::start(policy(CancelOnDisconnect::Logout, 5_000));
    let (mut a, _b) = trade(&mut venue);
    log_out(&mut venue, &mut a);
    venue.advance(4 * SECOND);
    let mut venue = venue.crash(|_| {}).crash(|_| {});
    venue.advance(4 * SECOND);
    assert_eq!(live(&venue), 3);
    venue.advance(SECOND);
    assert_eq!(live(&venue), 2);
    let mut venue = venue.crash(|_| {});
    venue.advance(10 * SECOND);
    assert_eq!(journaled(&venue), ["1 lost Logout", "2 lost VenueDown", "1 cancel Logout Day"]);
    // Done is done: what the session has in the book after that is not canceled by another start.
    let (mut a, _) = come_back(&mut venue, "A", (a.next_out, 5));
    venue.ask(&mut a, "D", &limit("new", "AAPL", "1", "5", "1.00"), "35=8|150=0|11=new");
    let mut venue = venue.crash(|_| {});
    venue.advance(10 * SECOND);
    assert_eq!(live(&venue), 3, "a venue that died is no Logout");
}

#[test]
fn a_stop_of_the_venue_is_no_logout_of_its_clients() {
    for (chosen, left) in [(CancelOnDisconnect::Disconnect, 2), (CancelOnDisconnect::Logout, 3)] {
        let mut venue = Stepped::start(policy(chosen, 0));
        let (mut a, mut b) = trade(&mut venue);
        let venue = venue.restart(&mut [&mut a, &mut b]);
        assert_eq!(live(&venue), left, "{chosen:?}");
        let mut expected = vec!["1 lost VenueDown", "1 cancel VenueDown Day", "2 lost VenueDown"];
        expected.retain(|told| left == 2 || !told.contains("cancel"));
        let mut told = journaled(&venue);
        told.sort_unstable_by_key(|told| told.starts_with('2'));
        assert_eq!(told, expected);
    }
}

#[test]
fn the_gateway_says_when_orders_are_canceled() {
    let mut venue = Stepped::start(policy(CancelOnDisconnect::Disconnect, 5_000));
    let (a, b) = trade(&mut venue);
    let (lost, look) = (venue.now, 1_000_000);
    drop((a, b));
    common::wait_for("the losses are found, and to be journaled", || {
        venue.settle();
        venue.next_deadline().is_some_and(|due| due.0 <= lost + look)
    });
    venue.advance(LOOK);
    assert_eq!(journaled(&venue).len(), 2);
    assert_eq!(venue.next_deadline().expect("a deadline").0, lost + 5 * SECOND);
}

#[test]
fn a_cancel_is_told_in_every_version() {
    for version in Version::ALL {
        let mut venue = Stepped::start(policy(CancelOnDisconnect::Both, 0));
        let (a, _b) = trade(&mut venue);
        let next_out = a.next_out;
        drop(a);
        venue.advance(LOOK);
        // What it missed is a gap; the report is sent again in the version of this connection.
        let mut a = venue.log_on_with("A", version, (next_out, 4));
        venue.send(&mut a, "2", "7=4|16=4");
        let report = venue.receive(&mut a, 1).remove(0);
        assert_valid(version, &report);
        assert!(report.matches("35=8|43=Y|34=4|39=4|11=day|58=*"), "{version}: {report:?}");
        let reason = (version.application >= ApplVerId::Fix43).then_some("8");
        assert_eq!(report.get(378), reason, "{version}");
    }
}
