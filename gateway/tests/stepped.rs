//! Gateway and core stepped by hand on one thread, under a clock that only the test moves: timeouts
//! of hours in milliseconds. Only the sockets are real.

mod common;

use std::{fs, io::Read, net::TcpStream, time::Duration};

use common::{
    FixClient, Flaw, SECRET_HASH, fix_time, limit, session,
    stepped::{LOOK, SECOND, START, Stepped},
    wait_for,
};
use crossbeam_channel::{Receiver, bounded};
use ironbook_engine::Timestamp;
use ironbook_gateway::{
    acceptor::ACCEPTS_PER_TURN,
    agent::Agent,
    credentials::{Checker, Claim, Verdict},
};
use ironbook_journal::{FileStorage, segment_files};

/// The claim that a Logon has brought about.
#[track_caller]
fn claim_of(venue: &mut Stepped, handed: &Receiver<(u64, Claim)>) -> (u64, Claim) {
    let mut claim = None;
    wait_for("a claim is handed in", || {
        venue.settle();
        claim = handed.try_recv().ok();
        claim.is_some()
    });
    claim.expect("a claim")
}

#[test]
fn heartbeats_come_when_they_are_due() {
    let mut venue = Stepped::start(|_| {});
    let mut a = venue.log_on("A", 30);
    for _ in 0..20 {
        venue.advance(29 * SECOND);
        venue.expect_silence(&mut a);
        venue.send(&mut a, "0", "");
        venue.advance(SECOND);
        let got = venue.receive(&mut a, 1);
        assert!(got[0].matches("35=0") && got[0].get(112).is_none(), "{got:?}");
    }
    let time = fix_time(Duration::from_nanos(venue.now));
    venue.ask(&mut a, "1", "112=x", &format!("35=0|112=x|52={time}"));
}

#[test]
fn of_many_sessions_each_is_looked_after() {
    const SESSIONS: usize = 300;
    let mut venue = Stepped::start(|config| {
        config.sessions = (0..SESSIONS).map(|number| session(&format!("S{number}"))).collect();
    });
    let mut clients = ["S0", "S150", "S299"].map(|comp_id| venue.log_on(comp_id, 30));
    for _ in 0..3 {
        venue.advance(30 * SECOND);
        // As many looks as it takes to come round.
        (0..3).for_each(|_| venue.advance(LOOK));
        for client in &mut clients {
            let got = venue.receive(client, 1);
            assert!(got[0].matches("35=0") && got[0].get(112).is_none(), "{got:?}");
            venue.send(client, "0", "");
        }
    }
}

#[test]
fn a_silent_client_is_asked_and_then_let_go() {
    let mut venue = Stepped::start(|_| {});
    let mut a = venue.log_on("A", 10);
    let mut b = venue.log_on("B", 60);
    venue.advance(10 * SECOND);
    assert!(venue.receive(&mut a, 1)[0].matches("35=0"));
    venue.advance(2 * SECOND - 1);
    venue.expect_silence(&mut a);
    venue.advance(10_000_000);
    let asked = venue.receive(&mut a, 1);
    assert!(asked[0].matches("35=1|112=*"), "{asked:?}");
    venue.advance(7 * SECOND);
    venue.expect_silence(&mut a);
    venue.advance(2 * SECOND);
    while let Some(message) = a.receive() {
        assert_eq!(message.kind(), "0", "nothing but heartbeats: {message:?}");
    }
    // The other session is fine, and the one that was let go may come again.
    venue.ask(&mut b, "1", "112=b", "35=0|112=b");
    let mut a = venue.log_on("A", 10);
    venue.ask(&mut a, "1", "112=a", "35=0|112=a");
}

#[test]
fn an_answered_test_request_keeps_the_session() {
    let mut venue = Stepped::start(|_| {});
    let mut a = venue.log_on("A", 10);
    for _ in 0..10 {
        venue.advance(12 * SECOND + 10_000_000);
        let asked = a.pending();
        let asked = asked.iter().find(|message| message.kind() == "1").expect("a TestRequest");
        let id = asked.get(112).expect("TestReqID").to_owned();
        venue.send(&mut a, "0", &format!("112={id}"));
        venue.settle();
    }
    venue.ask(&mut a, "1", "112=still", "35=0|112=still");
}

#[test]
fn whoever_does_not_log_on_in_time_is_closed() {
    let mut venue = Stepped::start(|config| config.fix.logon_timeout_ms = 3_600_000);
    let mut silent = FixClient::connect(venue.gateway.address(), "A");
    venue.settle();
    venue.advance(3_599 * SECOND);
    venue.expect_silence(&mut silent);
    let mut late = FixClient::connect(venue.gateway.address(), "B");
    venue.settle();
    venue.advance(2 * SECOND);
    venue.expect_closed(&mut silent);
    venue.ask(&mut late, "A", "98=0|108=30", "35=A");
}

#[test]
fn the_gateway_says_when_it_must_take_a_turn() {
    let mut venue = Stepped::start(|config| config.fix.logon_timeout_ms = 10_000);
    venue.settle();
    assert_eq!(venue.next_deadline(), None, "only a client can bring something about");
    let _silent = FixClient::connect(venue.gateway.address(), "A");
    wait_for("the connection is accepted", || {
        venue.settle();
        venue.next_deadline().is_some()
    });
    let deadline = |venue: &Stepped| venue.next_deadline().expect("a deadline").0;
    assert_eq!(deadline(&venue), START + 10 * SECOND + 1, "the time to log on is over");
    let _b = venue.log_on("B", 2);
    assert_eq!(deadline(&venue), START + 2 * SECOND, "a Heartbeat is due");
    venue.close();
    venue.settle();
    assert_eq!(deadline(&venue), START + 2 * SECOND, "the Logout is unanswered");
    venue.advance(2 * SECOND);
    let now = START + 2 * SECOND;
    assert!(deadline(&venue) > now, "the connection is closed, others may follow");
}

#[test]
fn an_unanswered_logout_ends_in_its_time() {
    let mut venue = Stepped::start(|config| config.fix.logout_timeout_ms = 2_000);
    let mut a = venue.log_on("A", 30);
    assert!(!venue.close(), "a client is logged on");
    assert!(venue.receive(&mut a, 1)[0].matches("35=5|58=the venue stops"));
    venue.advance(SECOND);
    venue.expect_silence(&mut a);
    assert!(!venue.close());
    venue.advance(SECOND + 10_000_000);
    venue.expect_closed(&mut a);
    assert!(venue.close(), "nobody is left");
}

#[test]
fn a_clock_that_is_off_ends_the_session() {
    let mut venue = Stepped::start(|config| config.fix.sending_time_tolerance_s = 120);
    let mut a = venue.log_on("A", 30);
    let order = limit("a1", "AAPL", "1", "1", "1.00");
    venue.ask(&mut a, "D", &order, "35=8|150=0|11=a1");
    let late = Duration::from_nanos(venue.now - 121 * SECOND);
    a.sending_time = Some(fix_time(late));
    a.send("D", &limit("a2", "AAPL", "1", "1", "1.00"));
    let got = venue.receive(&mut a, 2);
    assert!(got[0].matches("35=3|373=10|372=D|58=SendingTime accuracy problem"), "{got:?}");
    assert!(got[1].matches("35=5"), "{got:?}");
    venue.send(&mut a, "5", "");
    venue.expect_closed(&mut a);
}

#[test]
fn a_client_that_times_out_is_closed_with_what_it_did_not_read() {
    let mut venue = Stepped::start(|config| config.fix.out_buffer_bytes_max = 256 << 20);
    let mut lazy = venue.log_on("A", 30);
    let text = "x".repeat(190);
    // Heartbeats that nobody reads until the system's buffers are full and some wait here.
    for _ in 0..400 {
        lazy.sending_time = Some(fix_time(Duration::from_nanos(venue.now)));
        let bytes: Vec<u8> = (0..100)
            .flat_map(|number| {
                let seq = lazy.next_out + number;
                lazy.build("1", seq, &format!("112={text}"), Flaw::None)
            })
            .collect();
        lazy.next_out += 100;
        lazy.send_raw(&bytes);
        (0..10).for_each(|_| venue.turn());
    }
    // The session is free again once it has timed out: a Logon is answered.
    let freed = (0..10).any(|_| {
        venue.advance(61 * SECOND);
        venue.advance(LOOK);
        let mut again = FixClient::connect(venue.gateway.address(), "A");
        venue.send(&mut again, "A", "98=0|108=30|141=Y");
        venue.settle();
        again.pending().iter().any(|message| message.matches("35=A|34=1"))
    });
    assert!(freed, "the session stays with a client that reads nothing");
}

#[test]
fn a_refused_connection_hears_nothing_that_an_earlier_one_asked_for() {
    let mut venue = Stepped::start_waiting(|_| {}, true);
    let mut first = FixClient::connect(venue.gateway.address(), "A");
    venue.send(&mut first, "A", "98=0|108=30");
    venue.send(&mut first, "1", "112=x");
    let written = |venue: &Stepped| venue.durable.written();
    let mut before = written(&venue);
    wait_for("Logon and Heartbeat are written, and wait for the disk", || {
        venue.settle();
        let settled = venue.next_deadline() == Some(Timestamp(START + 30 * SECOND))
            && written(&venue) == before;
        before = written(&venue);
        settled
    });
    drop(first);
    venue.advance(LOOK);
    // A number that was used before.
    let mut second = FixClient::connect(venue.gateway.address(), "A");
    venue.send(&mut second, "A", "98=0|108=30");
    wait_for("the Logout that refuses it is written", || {
        venue.settle();
        written(&venue) > before
    });
    let (_, journal) = venue.core.take().expect("a core").into_journal();
    journal.close().expect("synced");
    let got = venue.receive(&mut second, 1);
    assert!(got[0].matches("35=5|34=3|58=*"), "{got:?}");
    venue.expect_closed(&mut second);
}

#[test]
fn messages_that_cannot_be_read_now_are_not_passed_over() {
    let mut venue = Stepped::start(|_| {});
    let mut a = venue.log_on("A", 30);
    venue.ask(&mut a, "D", &limit("a1", "AAPL", "1", "1", "1.00"), "35=8|150=0|34=2");
    let journal = venue.dir.path().join("journal");
    let files = segment_files(&FileStorage::new(&journal)).unwrap();
    let (segment, aside) = (journal.join(&files[0].1), venue.dir.path().join("aside"));
    // A directory in its place opens, and does not read.
    fs::rename(&segment, &aside).unwrap();
    fs::create_dir(&segment).unwrap();
    venue.send(&mut a, "2", "7=1|16=0");
    venue.expect_silence(&mut a);
    venue.ask(&mut a, "1", "112=x", "35=0|112=x|34=3");
    fs::remove_dir(&segment).unwrap();
    fs::rename(&aside, &segment).unwrap();
    venue.send(&mut a, "2", "7=1|16=2");
    let got = venue.receive(&mut a, 2);
    assert!(got[0].matches("35=4|34=1|36=2"), "{got:?}");
    assert!(got[1].matches("35=8|34=2|43=Y|11=a1"), "{got:?}");
}

#[test]
fn durable_reports_wait_for_the_disk() {
    let mut venue = Stepped::start_waiting(|_| {}, true);
    let mut a = FixClient::connect(venue.gateway.address(), "A");
    venue.send(&mut a, "A", "98=0|108=30");
    venue.send(&mut a, "D", &limit("a1", "AAPL", "1", "1", "1.00"));
    let core =
        |venue: &Stepped| venue.core.as_ref().map_or(0, |core| core.engine().totals().live_orders);
    wait_for("the order is in the book", || {
        venue.settle();
        core(&venue) == 1
    });
    assert!(venue.durable.written() > venue.durable.get(), "written, and not durable");
    venue.expect_silence(&mut a);
    // Closing the journal makes it durable; the gateway follows.
    let (_, journal) = venue.core.take().expect("a core").into_journal();
    journal.close().expect("synced");
    let got = venue.receive(&mut a, 2);
    assert!(got[0].matches("35=A") && got[1].matches("35=8|150=0|11=a1"), "{got:?}");
}

/// A gateway is made of a configuration that was checked; if it was not, nobody gets more than was meant.
#[test]
#[should_panic(expected = "is none of FIX.4.0")]
fn a_session_with_a_version_that_is_none_starts_no_gateway() {
    Stepped::start(|config| config.sessions[0].versions = vec!["FIX.4".to_owned()]);
}

/// Connects and logs on as somebody; gives the client if there is an answer.
fn try_log_on(venue: &mut Stepped, comp_id: &str) -> Option<FixClient> {
    let mut client = FixClient::connect(venue.gateway.address(), comp_id);
    client.sending_time = Some(fix_time(Duration::from_nanos(venue.now)));
    let logon = client.build("A", 1, "98=0|108=30|141=Y", Flaw::None);
    // The venue may have closed already.
    let _ = client.try_send_raw(&logon);
    let mut answer = None;
    wait_for("an answer, or the end", || {
        venue.settle();
        answer = client.pending().pop();
        answer.is_some() || client.is_closed()
    });
    answer.map(|answer| {
        assert!(answer.matches("35=A"), "{answer:?}");
        client.next_out = 2;
        client
    })
}

#[test]
fn connections_come_from_where_they_may() {
    for (allowed, answered) in [("127.0.0.1", true), ("127.0.0.0/8", true), ("10.0.0.0/8", false)] {
        let mut venue =
            Stepped::start(|config| config.fix.allow_from = vec![allowed.parse().unwrap()]);
        assert_eq!(try_log_on(&mut venue, "A").is_some(), answered, "{allowed}");
        let mut venue = Stepped::start(|config| {
            config.sessions[0].allow_from = vec![allowed.parse().unwrap()];
        });
        assert_eq!(try_log_on(&mut venue, "A").is_some(), answered, "{allowed}");
        assert!(try_log_on(&mut venue, "B").is_some());
    }
}

#[test]
fn an_address_has_so_many_connections() {
    let mut venue = Stepped::start(|config| config.fix.connections_per_address_max = 2);
    let mut a = try_log_on(&mut venue, "A").expect("the first");
    let b = try_log_on(&mut venue, "B").expect("the second");
    assert!(try_log_on(&mut venue, "C").is_none());
    drop(b);
    venue.advance(LOOK);
    assert!(try_log_on(&mut venue, "C").is_some());
    venue.ask(&mut a, "1", "112=still", "35=0|112=still");
}

#[test]
fn an_address_is_locked_when_logons_from_it_fail() {
    let mut venue = Stepped::start(|config| {
        config.fix.logon_failures_max = 3;
        config.fix.lockout_s = 60;
    });
    let mut a = try_log_on(&mut venue, "A").expect("a good name");
    let mut early = FixClient::connect(venue.gateway.address(), "C");
    venue.settle();
    for _ in 0..3 {
        assert!(try_log_on(&mut venue, "NOBODY").is_none());
    }
    assert!(try_log_on(&mut venue, "B").is_none(), "a good name, too late");
    venue.send(&mut early, "A", "98=0|108=30|141=Y");
    venue.expect_closed(&mut early);
    venue.ask(&mut a, "1", "112=still", "35=0|112=still");
    venue.advance(59 * SECOND);
    assert!(try_log_on(&mut venue, "B").is_none());
    venue.advance(SECOND);
    assert!(try_log_on(&mut venue, "B").is_some());
}

#[test]
fn a_crowd_of_connections_is_looked_at_to_the_last() {
    let mut venue = Stepped::start(|config| config.fix.connections_per_address_max = 1);
    let address = venue.gateway.address();
    let _crowd: Vec<_> = (0..100).map(|_| FixClient::connect(address, "A")).collect();
    let mut last = FixClient::connect(address, "A");
    wait_for("the last one is refused", || {
        venue.settle();
        last.is_closed()
    });
}

#[test]
fn a_stepped_venue_checks_passwords_at_once() {
    let mut venue = Stepped::start(|config| config.sessions[0].password = Some(SECRET_HASH.into()));
    let mut a = FixClient::connect(venue.gateway.address(), "A");
    venue.ask(&mut a, "A", "98=0|108=30|554=secret", "35=A");
    let mut b = FixClient::connect(venue.gateway.address(), "B");
    venue.ask(&mut b, "A", "98=0|108=30", "35=A");
}

#[test]
fn whoever_is_refused_hears_nothing_behind_the_refusal() {
    let mut venue = Stepped::start(|config| config.sessions[0].password = Some(SECRET_HASH.into()));
    let mut a = FixClient::connect(venue.gateway.address(), "A");
    venue.ask(&mut a, "A", "98=0|108=30|554=secret", "35=A");
    venue.ask(&mut a, "D", &limit("a1", "AAPL", "1", "1", "1.00"), "35=8|150=0");
    let next_out = a.next_out;
    drop(a);
    venue.advance(LOOK);
    let mut b = venue.log_on("B", 30);
    // The core takes the refusal and a trade of A's at once.
    let mut stranger = FixClient::connect(venue.gateway.address(), "A");
    stranger.next_out = next_out;
    venue.send(&mut stranger, "A", "98=0|108=30|554=wrong");
    (0..200).for_each(|_| venue.turn_gateways());
    venue.send(&mut b, "D", &limit("b1", "AAPL", "2", "1", "1.00"));
    (0..200).for_each(|_| venue.turn_gateways());
    let got = venue.receive(&mut b, 2);
    assert!(got[1].matches("35=8|150=F"), "{got:?}");
    let got = venue.receive(&mut stranger, 1);
    assert!(got[0].matches("35=5"), "{got:?}");
    venue.expect_closed(&mut stranger);
    // Whoever A is gets it.
    let mut a = venue.come_back(("A", 30), (next_out, 3), "|554=secret");
    let got = venue.receive(&mut a, 1);
    assert!(got[0].matches("35=A|34=5"), "{got:?}");
}

#[test]
fn nobody_waits_for_a_password_but_its_connection() {
    let mut venue = Stepped::start(|config| config.sessions[0].password = Some(SECRET_HASH.into()));
    let (claims, handed) = bounded(1);
    let (tell, verdicts) = bounded(8);
    venue.gateway.check_passwords_with(Checker::elsewhere(claims, verdicts));
    let mut b = venue.log_on("B", 30);
    let mut a = FixClient::connect(venue.gateway.address(), "A");
    venue.send(&mut a, "A", "98=0|108=30|554=secret");
    venue.send(&mut a, "1", "112=early");
    let (ticket, claim) = claim_of(&mut venue, &handed);
    venue.ask(&mut b, "1", "112=b", "35=0|112=b");
    venue.expect_silence(&mut a);
    assert!(handed.try_recv().is_err(), "it is handed in once");
    assert!(claim.is_true());
    tell.send(Verdict { ticket, passed: true }).expect("room");
    let got = venue.receive(&mut a, 2);
    assert!(got[0].matches("35=A") && got[1].matches("35=0|112=early"), "{got:?}");
    venue.send(&mut a, "5", "");
    assert!(venue.receive(&mut a, 1)[0].matches("35=5"));
    venue.expect_closed(&mut a);
    // The verdict on a connection that was let go meanwhile is not that on the next one.
    let mut late = FixClient::connect(venue.gateway.address(), "A");
    venue.send(&mut late, "A", "98=0|108=30|554=secret|141=Y");
    let (stale, _) = claim_of(&mut venue, &handed);
    venue.advance(11 * SECOND);
    late.expect_closed();
    let mut next = FixClient::connect(venue.gateway.address(), "A");
    venue.send(&mut next, "A", "98=0|108=30|554=wrong|141=Y");
    let (ticket, claim) = claim_of(&mut venue, &handed);
    assert!(!claim.is_true());
    tell.send(Verdict { ticket: stale, passed: true }).expect("room");
    venue.expect_silence(&mut next);
    tell.send(Verdict { ticket, passed: false }).expect("room");
    assert!(venue.receive(&mut next, 1)[0].matches("35=5|58=*"));
    venue.expect_closed(&mut next);
}
#[test]
fn whoever_connects_without_end_gets_a_part_of_each_turn() {
    const SOCKETS: usize = 4 * ACCEPTS_PER_TURN;
    let mut venue = Stepped::start(|config| config.fix.connections_max = 1);
    let address = venue.gateway.address();
    let mut sockets: Vec<_> = (0..SOCKETS)
        .map(|_| {
            let socket = TcpStream::connect(address).expect("the system accepts it");
            socket.set_nonblocking(true).expect("a socket");
            socket
        })
        .collect();
    let mut closed = || sockets.iter_mut().filter_map(|socket| socket.read(&mut [0]).ok()).count();
    venue.gateway.do_work();
    assert!(closed() <= ACCEPTS_PER_TURN, "{} in one turn", closed());
    // Nobody else connects, and they are not forgotten: all but one are refused.
    wait_for("those without a place are closed", || {
        venue.gateway.do_work();
        closed() == SOCKETS - 1
    });
}
