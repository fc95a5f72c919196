//! What was missed comes again: by the numbers of the Logon, by requests in both directions, and beside
//! what is new, under a clock that only the test moves.

mod common;

use common::{
    FixClient, Msg, cancel, limit,
    stepped::{LOOK, SECOND, Stepped},
};
use ironbook_fix::version::{ApplVerId, Version};

/// A rests an order, breaks off, and it is filled in parts meanwhile; gives A's numbers. What A has not
/// seen is messages 3 to 5.
fn miss_three(venue: &mut Stepped) -> (u64, u64) {
    let mut a = venue.log_on("A", 30);
    venue.ask(&mut a, "D", &limit("a1", "AAPL", "1", "9", "1.00"), "35=8|34=2|150=0");
    let next_out = a.next_out;
    drop(a);
    venue.advance(LOOK);
    let mut b = venue.log_on("B", 30);
    for number in 0..3 {
        venue.send(&mut b, "D", &limit(&format!("b{number}"), "AAPL", "2", "1", "1.00"));
        venue.receive(&mut b, 2);
    }
    drop(b);
    venue.advance(LOOK);
    (next_out, 3)
}

/// The venue answers a TestRequest next, and it is no ResendRequest.
#[track_caller]
fn ping(venue: &mut Stepped, client: &mut FixClient) -> Msg {
    venue.send(client, "1", "112=ping");
    let got = venue.receive(client, 1);
    assert!(got[0].matches("35=0|112=ping"), "{got:?}");
    got[0].clone()
}

#[test]
fn a_logon_that_says_what_it_expects_brings_it() {
    for restarts in [false, true] {
        let mut venue = Stepped::start(|_| {});
        let (next_out, next_in) = miss_three(&mut venue);
        if restarts {
            venue = venue.crash(|_| {});
        }
        let mut a = venue.come_back(("A", 30), (next_out, next_in), "|789=3");
        let got = venue.receive(&mut a, 5);
        assert!(got[0].matches("35=A|34=6|789=4"), "{got:?}");
        for (message, seq) in got[1..4].iter().zip(3..) {
            assert!(message.matches(&format!("35=8|34={seq}|43=Y|150=F|11=a1")), "{got:?}");
        }
        // Who did not count the Logon when it came goes on behind it.
        assert!(got[4].matches("35=4|34=6|43=Y|123=Y|36=7"), "{got:?}");
        // A request that has crossed all that brings nothing, another one does.
        venue.send(&mut a, "2", "7=3|16=0");
        assert_eq!(ping(&mut venue, &mut a).seq(), 7);
        venue.send(&mut a, "2", "7=3|16=3");
        assert!(venue.receive(&mut a, 1)[0].matches("35=8|34=3|43=Y"));
        // Next time there is nothing to bring.
        drop(a);
        venue.advance(LOOK);
        let mut a = venue.come_back(("A", 30), (next_out + 4, 8), "|789=8");
        assert!(venue.receive(&mut a, 1)[0].matches("35=A|34=8"));
        assert_eq!(ping(&mut venue, &mut a).seq(), 9);
    }
}

#[test]
fn what_is_on_its_way_when_a_client_comes_back_is_brought_too() {
    let mut venue = Stepped::start(|_| {});
    let (next_out, _) = miss_three(&mut venue);
    let mut b = venue.log_on("B", 30);
    // A's order is filled once more by what the ring holds before A's Logon.
    venue.send(&mut b, "D", &limit("b9", "AAPL", "2", "1", "1.00"));
    (0..200).for_each(|_| venue.turn_gateways());
    let mut a = venue.come_back(("A", 30), (next_out, 6), "|789=6");
    (0..200).for_each(|_| venue.turn_gateways());
    let got = venue.receive(&mut a, 3);
    assert!(got[0].matches("35=A|34=7"), "{got:?}");
    assert!(got[1].matches("35=8|34=6|43=Y|150=F|11=a1"), "{got:?}");
    assert!(got[2].matches("35=4|34=7|43=Y|123=Y|36=8"), "{got:?}");
    assert_eq!(ping(&mut venue, &mut a).seq(), 8);
}

#[test]
fn both_ends_get_what_they_miss_and_nobody_asks_who_is_not_made_to() {
    for goes_on in [false, true] {
        let mut venue = Stepped::start(|_| {});
        let (next_out, _) = miss_three(&mut venue);
        // The venue misses three messages of the client, too.
        let mut a = venue.come_back(("A", 30), (next_out + 3, 3), "|789=3");
        let got = venue.receive(&mut a, 5);
        assert!(got[0].matches(&format!("35=A|34=6|789={next_out}")), "{got:?}");
        // A client that sends something new before what is missing has to be asked for it.
        if goes_on {
            venue.send(&mut a, "1", "112=early");
            let got = venue.receive(&mut a, 1);
            assert!(got[0].matches(&format!("35=2|34=7|7={next_out}|16=0")), "{got:?}");
        }
        let ours = a.next_out;
        a.next_out = next_out;
        let time = "122=20260101-00:00:00";
        venue.send(&mut a, "4", &format!("43=Y|{time}|123=Y|36={}", next_out + 4));
        a.next_out = ours;
        if goes_on {
            assert!(venue.receive(&mut a, 1)[0].matches("35=0|34=8|112=early"));
        } else {
            assert_eq!(ping(&mut venue, &mut a).seq(), 7);
        }
    }
}

#[test]
fn a_logon_that_expects_what_was_never_sent_is_refused() {
    let mut venue = Stepped::start(|_| {});
    let (next_out, _) = miss_three(&mut venue);
    let mut a = venue.come_back(("A", 30), (next_out, 7), "|789=7");
    let text = "NextExpectedMsgSeqNum (789) too high, expecting 6 but received 7";
    let got = venue.receive(&mut a, 1);
    assert!(got[0].matches(&format!("35=5|34=6|58={text}")), "{got:?}");
    venue.expect_closed(&mut a);
    // With numbers that start anew everything is expected.
    let mut a = venue.come_back(("A", 30), (1, 1), "|141=Y|789=1");
    assert!(venue.receive(&mut a, 1)[0].matches("35=A|34=1|141=Y|789=2"));
    assert_eq!(ping(&mut venue, &mut a).seq(), 2);
}

#[test]
fn nothing_of_before_a_reset_is_sent_again() {
    for wanted in ["7=2|16=0", "7=1|16=0"] {
        let mut venue = Stepped::start(|_| {});
        let mut a = venue.log_on("A", 30);
        for number in 0..5 {
            let order = limit(&format!("a{number}"), "AAPL", "1", "1", "1.00");
            venue.ask(&mut a, "D", &order, "35=8|150=0");
        }
        (a.next_out, a.next_in) = (1, 1);
        venue.send(&mut a, "A", "98=0|108=30|141=Y");
        venue.send(&mut a, "2", wanted);
        let got = venue.receive(&mut a, 1);
        assert!(got[0].matches("35=A|34=1|141=Y"), "{wanted}: {got:?}");
        venue.ask(&mut a, "D", &limit("anew", "AAPL", "1", "1", "1.00"), "35=8|34=2|150=0");
        venue.send(&mut a, "2", "7=2|16=2");
        let got = venue.receive(&mut a, 1);
        assert!(got[0].matches("35=8|34=2|43=Y|11=anew"), "{got:?}");
    }
}

#[test]
fn requests_for_more_than_may_wait_are_all_answered() {
    let mut venue = Stepped::start(|_| {});
    let mut a = venue.log_on("A", 30);
    for number in 0..20 {
        let order = limit(&format!("a{number}"), "AAPL", "1", "1", "1.00");
        venue.ask(&mut a, "D", &order, "35=8|150=0");
    }
    for number in 2..=21 {
        venue.send(&mut a, "2", &format!("7={number}|16={number}"));
    }
    let got = venue.receive(&mut a, 20);
    let numbers: Vec<_> = got.iter().map(Msg::seq).collect();
    assert_eq!(numbers, (2..=21).collect::<Vec<_>>());
}

#[test]
fn what_is_held_past_a_gap_is_as_punctual_as_when_it_came() {
    let mut venue = Stepped::start(|config| config.fix.sending_time_tolerance_s = 2);
    let mut a = venue.log_on("A", 30);
    let missing = a.next_out;
    a.next_out += 1;
    venue.send(&mut a, "D", &limit("late", "AAPL", "1", "1", "1.00"));
    let got = venue.receive(&mut a, 1);
    assert!(got[0].matches(&format!("35=2|7={missing}|16=0")), "{got:?}");
    venue.advance(4 * SECOND);
    let next = std::mem::replace(&mut a.next_out, missing);
    venue.send(&mut a, "4", &format!("43=Y|36={}|123=Y", missing + 1));
    let got = venue.receive(&mut a, 1);
    assert!(got[0].matches("35=8|150=0|11=late"), "{got:?}");
    a.next_out = next;
    ping(&mut venue, &mut a);
}

#[test]
fn headers_say_what_the_journal_has_counted() {
    let mut venue = Stepped::start(|config| {
        config.sessions[0].last_msg_seq_num_processed = true;
    });
    let mut a = venue.log_on("A", 30);
    for number in 1..=3 {
        let order = limit(&format!("a{number}"), "AAPL", "1", "1", "1.00");
        let spec = format!("35=8|369={}|11=a{number}", number + 1);
        venue.ask(&mut a, "D", &order, &spec);
    }
    // An answer to a session message stands before the record that counts it.
    assert!(ping(&mut venue, &mut a).matches("369=4"));
    // What is sent again says what has been counted by now.
    venue.send(&mut a, "2", "7=2|16=2");
    let got = venue.receive(&mut a, 1);
    assert!(got[0].matches("35=8|34=2|43=Y|11=a1|369=6"), "{got:?}");
    // A fill that the client did nothing for.
    let mut b = venue.log_on("B", 30);
    venue.send(&mut b, "D", &limit("b1", "AAPL", "2", "1", "1.00"));
    assert!(venue.receive(&mut a, 1)[0].matches("35=8|150=F|369=6"));
    let others = venue.receive(&mut b, 2);
    assert!(others.iter().all(|message| message.get(369).is_none()), "{others:?}");
    // FIX 4.1 has no such field.
    drop(a);
    venue.advance(LOOK);
    let mut a = venue.log_on_with("A", Version::of(ApplVerId::Fix41), (7, 8));
    venue.send(&mut a, "1", "112=x");
    assert!(venue.receive(&mut a, 1)[0].get(369).is_none());
}

#[test]
fn a_client_is_asked_for_a_long_gap_in_parts() {
    let mut venue = Stepped::start(|config| config.fix.resend_request_chunk = 10);
    let mut a = venue.log_on("A", 30);
    a.next_out = 30;
    venue.ask(&mut a, "1", "112=late", "35=2|7=2|16=11");
    for (from, to, next) in [(2, 12, Some("35=2|7=12|16=21")), (12, 22, Some("35=2|7=22|16=29"))] {
        a.next_out = from;
        let fill = format!("43=Y|122=20260101-00:00:00|123=Y|36={to}");
        venue.ask(&mut a, "4", &fill, next.expect("another part"));
    }
    a.next_out = 22;
    venue.send(&mut a, "4", "43=Y|122=20260101-00:00:00|123=Y|36=30");
    assert!(venue.receive(&mut a, 1)[0].matches("35=0|112=late"));
    a.next_out = 31;
    ping(&mut venue, &mut a);
}

/// Turns until a client's order and its cancel are answered.
fn turns_of_a_trade(venue: &mut Stepped, client: &mut FixClient, id: &str) -> u32 {
    venue.send(client, "D", &limit(id, "BTC-USD", "1", "1", "1.00"));
    venue.send(client, "F", &cancel(&format!("{id}c"), id, "BTC-USD", "1"));
    let mut got = 0;
    for turn in 1..=1_000 {
        venue.turn();
        got += client.pending().len();
        if got == 2 {
            return turn;
        }
    }
    panic!("{got} answers within a thousand turns");
}

#[test]
fn whoever_gets_much_again_delays_nobody() {
    const MESSAGES: u64 = 1_000;
    const PER_TURN: u32 = 16;
    let mut venue = Stepped::start(|config| {
        config.fix.resend_messages_per_turn = PER_TURN;
        config.fix.heart_bt_int_max_s = 3_600;
        // They have one gateway then, however many there are.
        for index in [0, 2] {
            config.sessions[index].firm = Some("ACME".to_owned());
        }
    });
    let names = ["A", "C"];
    let mut greedy = names.map(|name| venue.log_on(name, 3_600));
    let mut b = venue.log_on("B", 3_600);
    for client in &mut greedy {
        for number in 0..MESSAGES / 2 {
            let id = format!("{}{number}", client.comp_id);
            venue.send(client, "D", &limit(&id, "AAPL", "1", "1", "1.00"));
            venue.send(client, "F", &cancel(&format!("{id}c"), &id, "AAPL", "1"));
            (number % 8 == 7).then(|| venue.settle());
        }
        venue.receive(client, MESSAGES as usize);
    }
    venue.advance(SECOND);
    let alone = (0..8).map(|number| turns_of_a_trade(&mut venue, &mut b, &format!("q{number}")));
    let alone = alone.max().expect("some");
    for client in &mut greedy {
        venue.send(client, "2", "7=2|16=0");
    }
    let (mut again, mut least) = ([0; 2], 0);
    for number in 0..8 {
        let turns = turns_of_a_trade(&mut venue, &mut b, &format!("r{number}"));
        assert!(turns <= alone, "{turns} turns beside a resend, {alone} without");
        for (client, again) in greedy.iter_mut().zip(&mut again) {
            *again += client.pending().iter().filter(|message| message.is_dup()).count() as u64;
        }
        least = again[0].min(again[1]);
    }
    assert!(again.iter().all(|again| *again < MESSAGES), "it was going on all the time");
    // Both get it, in equal parts, and in each turn of the gateway one part goes to one of them.
    while again != [MESSAGES; 2] {
        venue.turn_gateways();
        let before = again;
        for (client, again) in greedy.iter_mut().zip(&mut again) {
            *again += client.pending().iter().filter(|message| message.is_dup()).count() as u64;
        }
        let parts = (again[0] - before[0]) + (again[1] - before[1]);
        assert!(parts <= u64::from(PER_TURN), "{parts} messages in one turn");
        assert!(again[0].abs_diff(again[1]) <= u64::from(PER_TURN), "{again:?}");
        least += 1;
        assert!(least < 10 * MESSAGES, "it goes on");
    }
}
