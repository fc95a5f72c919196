//! The client of the tools, against a venue.

mod common;

use common::{TestVenue, WAIT_MAX, wait_for};
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
