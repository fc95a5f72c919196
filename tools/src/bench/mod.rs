//! `ironbook bench`: latency and throughput on this machine, beside what the machine allows.

mod hgrm;
mod history;
mod pairs;
mod report;
mod suite;

use std::{fs, io, path::Path, path::PathBuf};

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use ironbook_benches::distance::{FAR_CPU, MeasureError, NEAR_CPU};
use ironbook_gateway::{
    clock::{Clock, SystemClock},
    stages::Pace,
};
use serde_json::{Value, json};

use self::history::Change;
use self::suite::{
    Distance, Effort, Point, QUANTILES, SEED, Stages, Suite, TOO_FEW_NOTE, cell, is_enough, median,
    range_cell,
};
use crate::{
    doctor::{Check, Facts, Verdict, judge},
    others::{Accounts, Taken, words},
    output::{Exit, Failure, Outcome, grouped, say},
};

/// Measure engine, journal and FIX on this machine, open loop, beside the floor of the machine.
///
/// Requests are due at their own times, and latency counts from there: a pause can't hide the
/// requests that waited for its end. Every point is measured --runs times in turn; figures are
/// medians of the runs, `max` is that of all. Socket to socket is from when a request was due, encoded
/// already, until the bytes of its answer were read; up to 10,000 requests a second the client encodes all of
/// a turn before it begins, and decodes it when it is over. Where the time goes is measured in runs of their
/// own. The knee is the last rate before p99 is more than ten times the least of the rates so far.
///
/// The ratio is to an echo of the same sizes over loopback TCP at the same rate, which decodes, matches and
/// journals nothing: venue and echo take turns every 0.1 s, each awake before its turn begins, and the first tenth
/// of a turn is not counted; at full speed a turn is a tenth of a run and counts whole. The ratio of a run is the middle one of those of
/// turns side by side, of as few in a row as tell the quantile; so it is not what the figures above it make,
/// which are of whole runs, with what the host did to some of their turns. The figure is the median of the
/// runs; the true one is within what is called likely with a probability of about 95 %, by how far the runs
/// are apart.
///
/// Writes percentile distributions (.hgrm), the figures as JSON and a report as HTML into --out. What other programs
/// took of the processors meanwhile is told, too, those of the system itself included.
///
/// With --against the ratios to the floors are compared with those of an earlier run, up to the knee of both:
/// behind it they tell how long a queue is. A change may be chance where what is likely in both overlaps,
/// which five runs tell. The hour may be another where it does not: whoever compares two programs runs them in
/// turn, more than once. What is known to differ in the two machines is told. --keep puts the figures where such
/// runs are kept.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory for the report; what an earlier run left there is replaced
    #[arg(long, value_name = "DIR", default_value = "bench")]
    out: PathBuf,
    /// Repetitions of every point
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: u64,
    /// Seconds of each point in each run; up to half as many again where that tells p99.9
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    seconds: f64,
    /// One short run of everything: whether it works, not how fast
    #[arg(long, conflicts_with_all = ["runs", "seconds"])]
    quick: bool,
    /// Compare with an earlier run: its figures.json
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Also keep the figures in this directory, as DATE-NAME.json
    #[arg(long, value_name = "DIR", requires = "name")]
    keep: Option<PathBuf>,
    /// What is measured, for instance a commit
    #[arg(long)]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Commands for the full speed of the engine, and in a quick run.
const COMMANDS: usize = 2_000_000;
const QUICK_COMMANDS: usize = 40_000;
/// Requests of a point at least, so that there is a p99.9; and in a quick run.
const REQUESTS_MIN: usize = 2_000;
const QUICK_REQUESTS: usize = 200;
/// Seconds of a point in a quick run.
const QUICK_SECONDS: f64 = 0.05;
/// Seconds of a point: less has no p99.9, more has no use.
const SECONDS: (f64, f64) = (0.05, 60.0);

pub fn run(arguments: &Arguments) -> Outcome {
    if !(SECONDS.0..=SECONDS.1).contains(&arguments.seconds) {
        let message = format!("--seconds must be from {} to {}", SECONDS.0, SECONDS.1);
        return Err(Failure::new(Exit::Usage, message));
    }
    let effort = match arguments.quick {
        true => Effort {
            runs: 1,
            seconds: QUICK_SECONDS,
            requests_min: QUICK_REQUESTS,
            commands: QUICK_COMMANDS,
        },
        false => Effort {
            runs: arguments.runs as usize,
            seconds: arguments.seconds,
            requests_min: REQUESTS_MIN,
            commands: COMMANDS,
        },
    };
    let usage = |message| Failure::new(Exit::Usage, message);
    if let Some(name) = arguments.name.as_deref().filter(|name| !history::is_name(name)) {
        return Err(usage(format!("--name {name}: letters, digits, `-`, `_` and `.` make a name")));
    }
    // Before minutes are spent on figures that have no place.
    let earlier = arguments.against.as_deref().map(history::read).transpose();
    let earlier = earlier.map_err(|error| usage(format!("--against {error}")))?;
    let refused = |error: io::Error| {
        Failure::new(Exit::Usage, format!("--out {}: {error}", arguments.out.display()))
    };
    fs::create_dir_all(&arguments.out).map_err(refused)?;
    let time_ns = SystemClock.now().0;
    let name = arguments.name.as_deref().unwrap_or_default();
    let not_kept = |error: io::Error| usage(format!("--keep: {error}"));
    let keep = arguments.keep.as_deref().map(|dir| history::place(dir, name, time_ns));
    let keep = keep.transpose().map_err(not_kept)?;
    let facts = Facts::read(&std::env::temp_dir())?;
    let mut checks = judge(&facts);
    checks.push(Check {
        what: "pinning",
        found: format!("clients on processor {NEAR_CPU}, the core and the echo on {FAR_CPU}"),
        verdict: Verdict::Good,
        advice: "",
    });
    let mut machine = Machine { checks, time_ns, others: Vec::new() };
    if !arguments.json {
        machine.print();
    }
    let bar = if arguments.json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        bar.set_style(style);
    }
    let accounts = Accounts::read();
    let suite = suite::measure(&effort, |what| {
        bar.set_message(what.to_owned());
        bar.tick();
    })
    .map_err(|error: MeasureError| Failure::new(Exit::Finding, format!("bench: {error}")))?;
    bar.finish_and_clear();
    machine.others = Accounts::read().since(&accounts, None);
    let mut figures = figures(&suite, &effort, &machine);
    if let Some(name) = &arguments.name {
        figures["name"] = json!(name);
    }
    write(&arguments.out, &suite, &effort, &machine, &figures).map_err(refused)?;
    let changes = earlier.as_ref().map(|earlier| history::compare(earlier, &figures));
    if arguments.json {
        let mut told = figures.clone();
        if let (Some(earlier), Some(changes)) = (&earlier, &changes) {
            let changes: Vec<_> = changes.iter().map(Change::to_json).collect();
            let differs = |(what, before, now): (&str, String, String)| json!({ "what": what, "before": before, "now": now });
            let machine = history::differences(earlier, &figures);
            let machine: Vec<_> = machine.into_iter().map(differs).collect();
            let run = history::describe(earlier);
            told["against"] = json!({ "run": run, "machine": machine, "changes": changes });
        }
        say!("{told:#}");
    } else {
        print(&suite);
        say!("\nOthers       took of the processors meanwhile: {}", words(&machine.others));
        if let (Some(earlier), Some(changes)) = (&earlier, &changes) {
            print_changes(earlier, &figures, changes);
        }
        let out = arguments.out.display();
        say!("\nReport       {out}/report.html, figures.json, and a .hgrm for each point");
        say!("Next: ironbook doctor (what to change on this machine)");
    }
    // Last, so that nothing of what was measured is lost with it.
    if let Some(file) = keep {
        fs::write(&file, text(&figures)).map_err(not_kept)?;
        if !arguments.json {
            say!("Kept         {}", file.display());
        }
    }
    Ok(Exit::Fine)
}

/// The machine that was measured.
struct Machine {
    checks: Vec<Check>,
    time_ns: u64,
    /// What other programs took of all processors while it was measured.
    others: Vec<Taken>,
}

impl Machine {
    /// What makes its figures worse than they could be.
    fn unfit(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.verdict == Verdict::Bad)
    }

    fn found(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.checks.iter().map(|check| (check.what, check.found.as_str()))
    }

    fn print(&self) {
        for (number, (what, found)) in self.found().enumerate() {
            say!("{:<12} {what}: {found}", if number == 0 { "Machine" } else { "" });
        }
        for check in self.unfit() {
            say!("WARNING      {}: {}; {}", check.what, check.found, check.advice);
        }
        say!("");
    }
}

fn print(suite: &Suite) {
    let floors = &suite.floors;
    let noise = |quantile| floors.noise.value_at_quantile(quantile);
    say!("Floors of the machine");
    say!(
        "  empty loop         p50 {} ns, p99.9 {} ns, longest {} ns",
        grouped(noise(0.5)),
        grouped(noise(0.999)),
        grouped(floors.noise.max())
    );
    let (far, near) = (median(&floors.copy_ns), median(&floors.near_copy_ns));
    say!("  copy of 128 bytes  {far:.1} ns; near, within a cache, {near:.1} ns");
    let hop = |quantile| floors.hop.value_at_quantile(quantile);
    say!("  ring, both ways    p50 {} ns, p99 {} ns", grouped(hop(0.5)), grouped(hop(0.99)));
    say!("  echo, full speed   {} requests/s", grouped(median(&floors.echo) as u64));
    for distance in &suite.distances {
        say!("\n{}: full speed {}", distance.name, distance.full_speed_words());
        let names = QUANTILES.iter().map(|(name, _)| format!("{name:>11}")).collect::<String>();
        say!("  {:>18}{names}{:>12}  µs", "rate", "max");
        for point in &distance.points {
            print_point(point);
        }
        if distance.lacks_samples() {
            say!("  {TOO_FEW_NOTE}");
        }
        if let Some(knee) = distance.knee() {
            say!("  knee at {} requests/s: p99 goes up behind it", grouped(knee.rate as u64));
        }
        print_stages(&distance.staged());
    }
}

/// What is told of a stage: shares of its times, and the longest.
pub(crate) const STAGE_QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("max", 1.0)];

/// How stages are measured, in words.
fn measured(stages: &Stages) -> String {
    let Pace { every, reading_ns } = stages.measured;
    let of = match every {
        1 => String::new(),
        _ => format!("; one turn in {every} is measured, as that is slow"),
    };
    format!("each with a reading of the clock in it, {reading_ns} ns{of}")
}

fn print_stages(staged: &[(String, &Stages)]) {
    let Some((_, first)) = staged.first() else { return };
    say!("\n  Where the time goes, µs; {}", measured(first));
    let rates: String = staged.iter().map(|(rate, _)| format!("{rate:>30}")).collect();
    let names = STAGE_QUANTILES.map(|(name, _)| format!("{name:>10}")).concat();
    say!("  {:8}{rates}", "");
    say!("  {:8}{}", "stage", names.repeat(staged.len()));
    for (row, (stage, _)) in first.times.iter().enumerate() {
        let cells = staged.iter().flat_map(|(_, stages)| {
            let times = &stages.times[row].1;
            STAGE_QUANTILES.map(|(_, at)| format!("{:>10.2}", times.quantile_ns(at) as f64 / 1e3))
        });
        say!("  {:8}{}", stage.name(), cells.collect::<String>());
    }
}

fn print_changes(earlier: &Value, now: &Value, changes: &[Change]) {
    let width = changes.iter().map(|change| change.what.len()).max().unwrap_or(0);
    say!("\nAgainst {}", history::describe(earlier));
    say!("    now {}; ratios to the floors of each", history::describe(now));
    for (what, before, now) in history::differences(earlier, now) {
        say!("    the machine differs: {what} {before} before, {now} now");
    }
    say!("  {:width$}{:>10}{:>10}{:>9}", "", "before", "now", "change");
    for change in changes {
        let (before, now) = (change.before.median, change.now.median);
        let percent = change.share() * 100.0;
        let chance = if change.may_be_chance() == Some(true) { "  may be chance" } else { "" };
        say!("  {:width$}{before:>10.2}{now:>10.2}{percent:>+8.1}%{chance}", change.what);
    }
    if changes.iter().any(|change| change.may_be_chance().is_none()) {
        say!("  which of them may be chance is told where both have five runs or more");
    }
}

fn print_point(point: &Point) {
    let load = point.load.map_or(String::new(), |load| format!(" ({:.0} %)", load * 100.0));
    let us = |ns: f64| ns / 1e3;
    let row: String =
        QUANTILES.iter().map(|&(_, at)| format!("{:>11}", cell(point.shown(at).map(us)))).collect();
    say!(
        "  {:>18}{row}{:>12.2}",
        format!("{}/s{load}", grouped(point.rate as u64)),
        us(point.max() as f64)
    );
    if point.floors.is_empty() {
        return;
    }
    let echo: String =
        QUANTILES.iter().map(|&(_, at)| format!("{:>11}", cell(point.floor(at).map(us)))).collect();
    let ratios: String =
        QUANTILES.iter().map(|&(_, at)| format!("{:>10}x", cell(point.ratio(at)))).collect();
    let likely = |at| range_cell(point.likely_ratio(at));
    let likely: String = QUANTILES.iter().map(|&(_, at)| format!("{:>11}", likely(at))).collect();
    say!("  {:>18}{echo}", "echo");
    say!("  {:>18}{ratios}", "ratio");
    say!("  {:>18}{likely}", "likely");
}

/// What there is of each of the [`QUANTILES`], by its name.
fn quantiles<T: Into<Value>>(of: impl Fn(f64) -> Option<T>) -> Value {
    let pairs = QUANTILES.iter().filter_map(|&(name, at)| Some((name.to_owned(), of(at)?.into())));
    Value::Object(pairs.collect())
}

fn figures(suite: &Suite, effort: &Effort, machine: &Machine) -> Value {
    let stages = |stages: &Stages| -> Value {
        let told = stages.times.iter().map(|(stage, times)| {
            let quantile = |at| times.quantile_ns(at);
            let told =
                STAGE_QUANTILES.map(|(name, at)| (format!("{name}_ns"), json!(quantile(at))));
            let count = ("count".to_owned(), json!(times.count()));
            (stage.name().to_owned(), Value::Object(told.into_iter().chain([count]).collect()))
        });
        Value::Object(told.collect())
    };
    let point = |point: &Point| {
        json!({
            "rate": point.rate,
            "load": point.load,
            "achieved": point.achieved(),
            "latency_ns": quantiles(|at| point.shown(at)),
            "max_ns": point.max(),
            "echo_ns": quantiles(|at| point.floor(at)),
            "ratio": quantiles(|at| point.ratio(at)),
            "likely_ratio": quantiles(|at| point.likely_ratio(at).map(<[f64; 2]>::from)),
            "stages": stages(&point.stages),
        })
    };
    let distance = |distance: &Distance| {
        json!({
            "name": distance.name,
            "full_speed": median(&distance.full_speed),
            "full_speed_runs": distance.full_speed,
            "full_speed_ratio": distance.full_speed_ratios.median(),
            "likely_full_speed_ratio": distance.full_speed_ratios.likely(),
            "full_speed_stages": stages(&distance.stages),
            "knee": distance.knee().map(|point| point.rate),
            "points": distance.points.iter().map(point).collect::<Vec<_>>(),
        })
    };
    let floors = &suite.floors;
    let of = |latency: &Histogram<u64>, at: f64| {
        is_enough(latency, at).then(|| latency.value_at_quantile(at) as f64)
    };
    let Pace { every, reading_ns } = suite.distances[2].measured();
    json!({
        "time_ns": machine.time_ns,
        "build": env!("CARGO_PKG_VERSION"),
        "machine": machine.checks.iter().map(Check::to_json).collect::<Vec<_>>(),
        "fit": machine.unfit().next().is_none(),
        "others": machine.others.iter().map(Taken::to_json).collect::<Vec<_>>(),
        "seed": SEED,
        "runs": effort.runs,
        "seconds": effort.seconds,
        "stages_measured": { "one_turn_in": every, "clock_reading_ns": reading_ns },
        "floors": {
            "noise_ns": quantiles(|at| of(&floors.noise, at)),
            "noise_max_ns": floors.noise.max(),
            "copy_ns": median(&floors.copy_ns),
            "near_copy_ns": median(&floors.near_copy_ns),
            "ring_ns": quantiles(|at| of(&floors.hop, at)),
            "echo_per_second": median(&floors.echo),
        },
        "distances": suite.distances.iter().map(distance).collect::<Vec<_>>(),
    })
}

/// Figures as a file has them.
fn text(figures: &Value) -> String {
    format!("{figures:#}\n")
}

fn write(
    out: &Path,
    suite: &Suite,
    effort: &Effort,
    machine: &Machine,
    figures: &Value,
) -> io::Result<()> {
    for entry in fs::read_dir(out)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "hgrm") {
            fs::remove_file(path)?;
        }
    }
    let put = |name: String, of| fs::write(out.join(name), hgrm::distribution(&of));
    for (distance, short) in suite.distances.iter().zip(["engine", "journal", "fix"]) {
        for point in &distance.points {
            put(format!("{short}-{:.0}.hgrm", point.rate), point.merged())?;
            if !point.floors.is_empty() {
                put(format!("echo-{:.0}.hgrm", point.rate), point.merged_floor())?;
            }
        }
    }
    put("noise.hgrm".to_owned(), suite.floors.noise.clone())?;
    put("ring.hgrm".to_owned(), suite.floors.hop.clone())?;
    fs::write(out.join("figures.json"), text(figures))?;
    fs::write(out.join("report.html"), report::html(suite, effort, machine))
}
