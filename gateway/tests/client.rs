//! The client of the tools, against a venue.

mod common;

use common::{TestVenue, WAIT_MAX, wait_for};
use ironbook_fix::{
    field::Decimal,
    message::Message,
    order::{NewOrderSingle, Side},
};
use ironbook_gateway::{
    client::{Access, Client, ClientError},
    clock::{Clock, SystemClock},
};

/// Quiet enough for a Heartbeat and a TestRequest, and for no end yet.
const QUIET_NS: u64 = 80_000_000_000;

#[test]
fn what_keeps_a_session_alive_is_sent_at_once() {
    let venue = TestVenue::start();
    let client = Client::log_on(venue.address(), "A", "IRONBOOK", &Access::default(), WAIT_MAX);
    let mut client = client.expect("a session");
    let now = SystemClock.now().0;
    client.keep_alive(now).expect("a connection");
    assert_eq!(client.queued_bytes(), 0);
    // A TestRequest is due, which the venue answers.
    client.keep_alive(now + QUIET_NS).expect("a connection");
    wait_for("the venue has answered", || client.poll(|_| {}).expect("a session") > 0);
}

#[test]
fn a_test_request_waits_for_its_heartbeat() {
    let venue = TestVenue::start();
    let client = Client::log_on(venue.address(), "A", "IRONBOOK", &Access::default(), WAIT_MAX);
    let mut client = client.expect("a session");
    assert!(!client.awaits_heartbeat());
    client.send_test_request(SystemClock.now().0).expect("a connection");
    assert_eq!(client.queued_bytes(), 0, "it is sent at once");
    while client.read().expect("a connection") == 0 {
        assert!(client.awaits_heartbeat(), "nothing is decoded");
    }
    wait_for("the Heartbeat", || {
        client.poll(|message| panic!("{message:?} is none")).expect("a session");
        !client.awaits_heartbeat()
    });
}

#[test]
fn what_is_held_back_goes_out_when_it_is_released() {
    let venue = TestVenue::start();
    let client = Client::log_on(venue.address(), "A", "IRONBOOK", &Access::default(), WAIT_MAX);
    let mut client = client.expect("a session");
    let order = |id: &'static [u8], now| {
        let (qty, price) = (Decimal::new(1, 0), Decimal::new(100, 0));
        NewOrderSingle::limit(id, b"AAPL", Side::Buy, qty, price, now)
    };
    let now = SystemClock.now().0;
    let before = client.position();
    client.queue(&order(b"first", now), now);
    let first = client.queued_bytes();
    assert_eq!(client.position() - before, first as u64);
    client.hold();
    client.queue(&order(b"second", now), now);
    // Held already: this one changes nothing.
    client.hold();
    let second = client.position();
    client.queue(&order(b"third", now), now);
    let held = client.queued_bytes() - first;
    client.flush().expect("a connection");
    assert_eq!(client.queued_bytes(), held);
    // The Heartbeat that is due has a later number, so it waits too.
    client.keep_alive(now + QUIET_NS).expect("a connection");
    assert!(client.queued_bytes() > held);
    let mut told = Vec::new();
    let mut hear = |client: &mut Client, id: &str| {
        wait_for("a report", || {
            let note = |message: &Message<'_>, read: u64| {
                assert!(now <= read && read <= SystemClock.now().0);
                let id = message.get(11).unwrap_or_default();
                told.push(String::from_utf8_lossy(id).into_owned());
            };
            client.poll_timed(note).expect("a session");
            told.last().is_some_and(|last| last == id)
        });
        told.clone()
    };
    assert_eq!(hear(&mut client, "first"), ["first"]);
    client.release_to(second);
    // What is free already is not held again.
    client.release_to(before);
    client.flush().expect("a connection");
    assert!(client.queued_bytes() > 0);
    assert_eq!(hear(&mut client, "second"), ["first", "second"]);
    client.release();
    client.flush().expect("a connection");
    assert_eq!(client.queued_bytes(), 0);
    assert_eq!(hear(&mut client, "third"), ["first", "second", "third"]);
    client.log_out(WAIT_MAX).expect("the numbers are in sequence");
}

#[test]
fn what_is_read_is_decoded_when_it_is_asked_for_and_the_end_comes_last() {
    let mut venue = TestVenue::start();
    let client = Client::log_on(venue.address(), "A", "IRONBOOK", &Access::default(), WAIT_MAX);
    let mut client = client.expect("a session");
    let ids: [&[u8]; 3] = [b"first", b"second", b"third"];
    let (mut sent, mut read) = (Vec::new(), Vec::new());
    for id in ids {
        let now = SystemClock.now().0;
        let (qty, price) = (Decimal::new(1, 0), Decimal::new(100, 0));
        client.queue(&NewOrderSingle::limit(id, b"AAPL", Side::Buy, qty, price, now), now);
        sent.push(now);
        client.flush().expect("a connection");
        wait_for("a report", || client.read().expect("a connection") > 0);
        read.push(SystemClock.now().0);
    }
    assert!(client.has_read() && !client.must_decode());
    venue.stop();
    wait_for("the end", || {
        client.read().expect("no more than silence") == 0 && client.must_decode()
    });
    let mut told = Vec::new();
    let ended = client.decode(|message, at| told.push((message.get(11).unwrap().to_vec(), at)));
    assert!(matches!(ended, Err(ClientError::Ended { text, .. }) if !text.is_empty()));
    assert_eq!(told.len(), ids.len());
    for (index, (id, at)) in told.into_iter().enumerate() {
        assert_eq!(id, ids[index]);
        assert!(
            sent[index] <= at && at <= read[index],
            "when it was read, not when it was decoded"
        );
    }
}
