//! The client of the tools, against a venue.

mod common;

use common::{TestVenue, WAIT_MAX, wait_for};
use ironbook_fix::{
    field::Decimal,
    message::Message,
    order::{NewOrderSingle, Side},
};
use ironbook_gateway::{
    client::{Access, Client},
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
fn what_is_held_back_goes_out_when_it_is_released() {
    let venue = TestVenue::start();
    let client = Client::log_on(venue.address(), "A", "IRONBOOK", &Access::default(), WAIT_MAX);
    let mut client = client.expect("a session");
    let order = |id: &'static [u8], now| {
        let (qty, price) = (Decimal::new(1, 0), Decimal::new(100, 0));
        NewOrderSingle::limit(id, b"AAPL", Side::Buy, qty, price, now)
    };
    let now = SystemClock.now().0;
    client.queue(&order(b"first", now), now);
    let first = client.queued_bytes();
    client.hold();
    client.queue(&order(b"second", now), now);
    // Held already: this one changes nothing.
    client.hold();
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
    client.release();
    client.flush().expect("a connection");
    assert_eq!(client.queued_bytes(), 0);
    assert_eq!(hear(&mut client, "second"), ["first", "second"]);
    client.log_out(WAIT_MAX).expect("the numbers are in sequence");
}
