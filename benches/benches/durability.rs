//! What durability costs, beside what the disk takes for itself.
//!
//! `cargo bench -p ironbook-benches --bench durability -- [--quick] [--dir DIR] [steps|frames|sockets]`;
//! `DIR` chooses the file system, else that of the system's temporary files. Figures are the medians
//! of five runs, quick takes one small run.

use std::path::PathBuf;
use std::time::Duration;

use hdrhistogram::Histogram;
use ironbook_benches::{
    distance::{self, MeasureError},
    durability::{
        LONG_STEP_NS, append_steps, durable_frames, durable_stream, durable_venue, sync_of_a_page,
    },
    flow::{Mix, Synthetic},
    load::{self, LoadOptions, Pace},
    workload,
};
use ironbook_journal::Placement;
use tempfile::TempDir;

fn main() -> Result<(), MeasureError> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let quick = words.iter().any(|word| word == "--quick" || word == "--test");
    let dir = words.iter().position(|word| word == "--dir").and_then(|at| words.get(at + 1));
    let dir = dir.map_or_else(std::env::temp_dir, PathBuf::from);
    let place = || TempDir::new_in(&dir);
    let parts = ["steps", "frames", "sockets"];
    let chosen: Vec<_> = words.iter().filter(|word| parts.contains(&word.as_str())).collect();
    let wanted = |part: &str| chosen.is_empty() || chosen.iter().any(|word| *word == part);
    let runs = if quick { 1 } else { 5 };
    if wanted("steps") {
        steps(&place, if quick { 100_000 } else { 10_000_000 })?;
    }
    if wanted("frames") {
        let rounds = if quick { 50 } else { 2_000 };
        frames(&place, runs, rounds, if quick { 20_000 } else { 2_000_000 })?;
    }
    if wanted("sockets") {
        let rounds = if quick { 50 } else { 2_000 };
        sockets(&place, runs, rounds, if quick { 5_000 } else { 500_000 })?;
    }
    Ok(())
}

/// Single appends, and the noise of the machine over the same number of steps.
fn steps(place: &dyn Fn() -> std::io::Result<TempDir>, count: u64) -> Result<(), MeasureError> {
    println!("ns of a step                          p50    p99.9   p99.99        max  over 5 us");
    let started = std::time::Instant::now();
    let in_file = |interval| append_steps(place()?.path(), interval, Placement::InFile, count);
    let first = in_file(Duration::from_secs(1))?;
    let noise = distance::noise(started.elapsed());
    let print = |what: &str, of: &Histogram<u64>| {
        let at = |quantile| of.value_at_quantile(quantile);
        let long = of.len() - of.count_between(0, LONG_STEP_NS);
        let (p50, p999, p9999) = (at(0.5), at(0.999), at(0.9999));
        println!("{what:<32} {p50:>8} {p999:>8} {p9999:>8} {:>10} {long:>10}", of.max());
    };
    print("nothing, for as long", &noise);
    print("append, synced once a second", &first);
    print("append, never synced", &in_file(Duration::from_secs(3_600))?);
    print("append, synced all the time", &in_file(Duration::ZERO)?);
    let beside = append_steps(place()?.path(), Duration::ZERO, Placement::InMemory, count)?;
    print("the same, in memory beside", &beside);
    Ok(())
}

fn frames(
    place: &dyn Fn() -> std::io::Result<TempDir>,
    runs: usize,
    rounds: u64,
    count: u64,
) -> Result<(), MeasureError> {
    compare("a frame to the disk", runs, || {
        let (floor, frames) = (place()?, place()?);
        Ok((sync_of_a_page(floor.path(), rounds)?, durable_frames(frames.path(), rounds)?))
    })?;
    let mut rates = Vec::new();
    for _ in 0..runs {
        let dir = place()?;
        rates.push(count as f64 / durable_stream(dir.path(), count)?.as_secs_f64() / 1e6);
    }
    println!("durable frames of 128 bytes      {:>8.2} M frames/s", middle(rates));
    Ok(())
}

fn sockets(
    place: &dyn Fn() -> std::io::Result<TempDir>,
    runs: usize,
    rounds: u64,
    count: usize,
) -> Result<(), MeasureError> {
    compare("an order to its durable report", runs, || {
        let (floor, venue_dir) = (place()?, place()?);
        let floor = sync_of_a_page(floor.path(), rounds)?;
        let venue = durable_venue(venue_dir.path())?;
        let orders = distance::socket(venue.address(), rounds)?;
        venue.stop();
        Ok((floor, orders))
    })?;
    let mut rates = Vec::new();
    for _ in 0..runs {
        let dir = place()?;
        let venue = durable_venue(dir.path())?;
        let options = LoadOptions::new(venue.address(), Pace::Unlimited, "D");
        distance::pin(distance::NEAR_CPU);
        let flow = Synthetic::new(20_150_501, 1, Mix::default(), workload::SCALES).take(count);
        let report = load::run(flow, &options, |_| {})?;
        rates.push(report.requests() as f64 / report.duration.as_secs_f64());
        venue.stop();
    }
    println!("durable requests, full speed     {:>8.0} requests/s", middle(rates));
    Ok(())
}

/// Prints what something takes beside its floor, measured in turn.
fn compare(
    what: &str,
    runs: usize,
    mut measure: impl FnMut() -> Result<(Histogram<u64>, Histogram<u64>), MeasureError>,
) -> Result<(), MeasureError> {
    let mut pairs = Vec::new();
    for _ in 0..runs {
        pairs.push(measure()?);
    }
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let at = |of: &Histogram<u64>| of.value_at_quantile(quantile) as f64 / 1e3;
        println!(
            "{what:<32} {name}  {:>8.0} µs   sync of a page {:>8.0} µs   ratio {:>5.2}",
            middle(pairs.iter().map(|(_, found)| at(found)).collect()),
            middle(pairs.iter().map(|(floor, _)| at(floor)).collect()),
            middle(pairs.iter().map(|(floor, found)| at(found) / at(floor)).collect()),
        );
    }
    Ok(())
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
