//! A thousand sessions: whether all are served alike, and what they cost when they say nothing.
//!
//! `cargo bench -p ironbook-benches --bench crowd -- [--quick]`. At 20,000 requests a second in all; a session
//! has its own p99, and the table says how far they lie apart. The machine's own pauses are in it, and hit other sessions
//! in each round: of a session's p99s the median of five rounds counts. What a venue costs when nobody is logged on comes first, as its
//! threads wake up by themselves; the sessions cost what is beyond that.

use std::time::Duration;

use ironbook_benches::{
    crowd::{self, Crowd, Served, at, median},
    distance::MeasureError,
};

/// Requests a second, of all sessions.
const PER_SECOND: f64 = 20_000.0;

fn main() -> Result<(), MeasureError> {
    let quick = std::env::args().any(|word| word == "--quick" || word == "--test");
    let (sessions, each, rounds, idle) =
        if quick { (20, 5, 1, 10) } else { (1_000, 1_000, 5, 3_000) };
    let idle = Duration::from_millis(idle);
    println!(
        "sessions  requests   p50 µs   p99 µs | p99 of a session, µs: least  median  most  most/least | idle, processor s/s: all  beyond nobody"
    );
    let dir = tempfile::tempdir()?;
    let venue = crowd::venue(dir.path(), sessions)?;
    let alone = crowd::idle_cost(idle);
    venue.stop();
    println!("{:>8} {:>65} | {alone:>26.4}", 0, "");
    for sessions in [sessions / 10, sessions] {
        let dir = tempfile::tempdir()?;
        let venue = crowd::venue(dir.path(), sessions)?;
        let mut crowd = Crowd::log_on(venue.address(), sessions)?;
        // What is allocated with the first requests is no matter here.
        crowd.send(1, PER_SECOND)?;
        let cost = crowd::idle_cost(idle);
        let served: Vec<_> =
            (0..rounds).map(|_| crowd.send(each, PER_SECOND)).collect::<Result<_, _>>()?;
        let p99 = crowd::medians_of_sessions(&served, 0.99);
        let of_all = |quantile| median(served.iter().map(|of| of.of_all(quantile)).collect());
        let us = |ns: u64| ns as f64 / 1e3;
        let (least, most) = (at(&p99, 0.0), at(&p99, 1.0));
        println!(
            "{sessions:>8} {:>9} {:>8.1} {:>8.1} | {:>27.1} {:>7.1} {:>5.1} {:>11.2} | {cost:>26.4} {:>14.4}",
            served.iter().map(Served::answers).sum::<usize>(),
            us(of_all(0.5)),
            us(of_all(0.99)),
            us(least),
            us(at(&p99, 0.5)),
            us(most),
            most as f64 / least.max(1) as f64,
            cost - alone,
        );
        crowd.log_out()?;
        venue.stop();
    }
    Ok(())
}
