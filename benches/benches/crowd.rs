//! A thousand sessions: whether all are served alike, and what they cost when they say nothing.
//!
//! `cargo bench -p ironbook-benches --bench crowd -- [--quick]`. At 20,000 requests a second in all; a session
//! has its own p99, and the table says how far they lie apart. The p99 of a session of 200 requests is the third
//! longest of them, so the machine's own pauses are in it.

use std::time::Duration;

use ironbook_benches::{
    crowd::{self, Crowd, at},
    distance::MeasureError,
};

/// Requests a second, of all sessions.
const PER_SECOND: f64 = 20_000.0;

fn main() -> Result<(), MeasureError> {
    let quick = std::env::args().any(|word| word == "--quick" || word == "--test");
    let (sessions, each, idle) = if quick { (20, 5, 10) } else { (1_000, 200, 3_000) };
    println!(
        "sessions  requests   p50 µs   p99 µs | p99 of a session, µs: least  median  most  most/least | idle, processor s/s"
    );
    for sessions in [sessions / 10, sessions] {
        let dir = tempfile::tempdir()?;
        let venue = crowd::venue(dir.path(), sessions)?;
        let mut crowd = Crowd::log_on(venue.address(), sessions)?;
        // What is allocated with the first requests is no matter here.
        crowd.send(1, PER_SECOND)?;
        let idle = crowd.idle_cost(Duration::from_millis(idle));
        let served = crowd.send(each, PER_SECOND)?;
        let p99 = served.of_sessions(0.99);
        let us = |ns: u64| ns as f64 / 1e3;
        let (least, most) = (at(&p99, 0.0), at(&p99, 1.0));
        println!(
            "{sessions:>8} {:>9} {:>8.1} {:>8.1} | {:>27.1} {:>7.1} {:>5.1} {:>11.2} | {idle:>8.4}",
            served.answers(),
            us(served.of_all(0.5)),
            us(served.of_all(0.99)),
            us(least),
            us(at(&p99, 0.5)),
            us(most),
            most as f64 / least.max(1) as f64,
        );
        crowd.log_out()?;
        venue.stop();
    }
    Ok(())
}
