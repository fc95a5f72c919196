//! What is measured, and in which sequence: floors, full speeds, then open loops at shares of them.
//! Repetitions go round, so that a bad moment of the machine meets all points alike.

use hdrhistogram::Histogram;
use ironbook_benches::{
    distance::{self, Copies, FAR_MEMORY, MeasureError, NEAR_MEMORY},
    flow::{FlowEvent, Mix, Synthetic},
    load::{self, Load, LoadOptions, Pace, SLICE_NS, latency_histogram},
    open_loop::{self, OpenLoop},
    workload,
};
use ironbook_engine::Command;
use ironbook_gateway::{
    config::Config,
    follower,
    histogram::Distribution,
    stages::{Pace as Measured, Stage, StageTimes},
    venue::Venue,
};
use ironbook_journal::Options;
use std::{
    thread,
    time::{Duration, Instant},
};

use super::pairs::{Pairs, Ratios, Turns};
use crate::output::grouped;

/// Seed of the workload.
pub const SEED: u64 = 20_150_501;
/// Quantiles of every table.
pub const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];
/// Samples that a run needs beyond a quantile; with fewer it is chance.
const SAMPLES_BEYOND_MIN: f64 = 10.0;
/// A point goes on for a little longer where it then tells this quantile.
const TOLD: f64 = 0.999;
/// Stands for a quantile that is not shown.
pub const TOO_FEW: &str = "–";
/// Why there is none, for whoever sees the dash.
pub const TOO_FEW_NOTE: &str =
    "–: a run has fewer than ten samples beyond this quantile, too few to tell it.";
/// Shares of the full speed at which the distances inside the process are measured.
const PROCESS_LOADS: [f64; 3] = [0.1, 0.5, 0.9];
/// The same for FIX.
const FIX_LOADS: [f64; 5] = [0.1, 0.25, 0.5, 0.75, 0.9];
/// Rates at which FIX is measured anyway, a second.
const FIX_RATES: [f64; 2] = [1_000.0, 10_000.0];
/// Behind the knee p99 is more than so many times the least one of the rates before. That needn't be the
/// lowest rate's: who is asked seldom has everything out of the caches, and the machine's own pauses weigh more.
const KNEE_TIMES: f64 = 10.0;
/// Requests of a point at the most, for memory.
pub const REQUESTS_MAX: f64 = 3_000_000.0;
/// Requests that wait for their answers at full speed of the echo, whose ends must never wait for each other with full sockets.
const ECHO_IN_FLIGHT: u64 = 512;
/// Seconds for which the venue is measured before the echo has its turn again: the machine's own speed changes
/// within seconds, when a host moves its processors. Long beside the time between two looks of the follower, so that
/// what it does for a turn is done in the turn.
pub const SLICE_SECONDS: f64 = 0.1;
const _: () = assert!(SLICE_SECONDS * 1e3 >= 10.0 * follower::INTERVAL.as_millis() as f64);
/// Parts of a run at full speed, between which the echo has its turns.
const FULL_SPEED_SLICES: usize = 10;
/// Share of each part of a paced run that is not recorded: the caches hold what the other left.
const WARM_UP: f64 = 0.1;
/// Commands in a turn of the engine, alone or with ring and journal, at full speed: for 10 to 20 ms.
const TURN_COMMANDS: usize = 100_000;
/// Copies in between, for some tenths of a millisecond.
const TURN_COPIES: usize = 100_000;
/// Bytes of the frame whose copy is a floor.
const FRAME_BYTES: usize = 128;
/// Segments that hold a whole run, so that none is made meanwhile.
const SEGMENT_BYTES: u64 = 512 << 20;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Repetitions of everything; figures are medians over them.
    pub runs: usize,
    /// Seconds of each point in each run.
    pub seconds: f64,
    /// Requests of each point in each run, at least.
    pub requests_min: usize,
    /// Commands for the full speed of the engine.
    pub commands: usize,
}

/// A rate at one distance: all runs of it.
#[derive(Clone, Debug)]
pub struct Point {
    /// Requests a second that were asked for.
    pub rate: f64,
    /// Share of the full speed, if the rate was chosen by it.
    pub load: Option<f64>,
    /// Each run.
    pub runs: Vec<OpenLoop>,
    /// The echo at the same rate in the same round, for FIX.
    pub floors: Vec<OpenLoop>,
    /// Both, turn by turn.
    pub pairs: Pairs,
    /// Longest latency of each slice of time in the last run, for FIX.
    pub slowest: Vec<u64>,
    /// Where the time went, for FIX.
    pub stages: Stages,
}

/// What orders took their time for: all runs together.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    /// Times of each stage, in the sequence of an order's way; empty where nothing was measured.
    pub times: Vec<(Stage, Distribution)>,
    /// How often it was measured.
    pub measured: Measured,
}

/// A distance with its full speed, a second, and the open loops below it.
#[derive(Clone, Debug)]
pub struct Distance {
    /// What is inside.
    pub name: &'static str,
    /// Full speed of each run.
    pub full_speed: Vec<f64>,
    /// How many times the floor's time a request takes at full speed, in each run: a [near](Floors::near_copy_ns) copy's
    /// for what is within the process, an echo's for FIX.
    pub full_speed_ratios: Ratios,
    /// Where the time went at full speed, for FIX.
    pub stages: Stages,
    /// Ascending by rate.
    pub points: Vec<Point>,
}

/// The floors of the machine.
#[derive(Clone, Debug)]
pub struct Floors {
    /// Gaps of an empty loop, ns.
    pub noise: Histogram<u64>,
    /// Copy of a frame through memory that no processor's own cache holds, ns, of each run.
    pub copy_ns: Vec<f64>,
    /// The same within a cache, between the turns of each run: it stays the same for longer, as hosts move memory about.
    pub near_copy_ns: Vec<f64>,
    /// A ring there and back, ns.
    pub hop: Histogram<u64>,
    /// Full speed of the echo, a second, of each run.
    pub echo: Vec<f64>,
}

/// All that was measured.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Floors of the machine.
    pub floors: Floors,
    /// Engine; ring, engine and journal; FIX.
    pub distances: [Distance; 3],
}

/// Measures everything; `tell` hears what comes next.
///
/// # Errors
/// What could not be measured, and why.
pub fn measure(effort: &Effort, mut tell: impl FnMut(&str)) -> Result<Suite, MeasureError> {
    tell("floors of the machine");
    let mut floors = floors(effort)?;
    let mut distances = [
        Distance::new("engine"),
        Distance::new("ring + engine + journal"),
        Distance::new("FIX socket to FIX socket"),
    ];
    let commands = workload::commands(SEED, 1, effort.commands);
    let mut copies = Copies::new(FRAME_BYTES, NEAR_MEMORY);
    for run in 1..=effort.runs {
        tell(&format!("full speed, run {run} of {}", effort.runs));
        let [engine, pipelines, sockets] = &mut distances;
        floors.copy_ns.push(Copies::new(FRAME_BYTES, FAR_MEMORY).ns(effort.commands));
        let mut beside = BesideCopies::new(&mut copies);
        distance::engine_in_turns(1, &commands, TURN_COMMANDS, |count, time| {
            beside.add(count, time)
        });
        engine.add_beside_copies(beside, &mut floors);
        let mut beside = BesideCopies::new(&mut copies);
        pipeline_in_turns(commands[..commands.len() / 2].to_vec(), &mut beside)?;
        pipelines.add_beside_copies(beside, &mut floors);
        floors.echo.push(full_speed_beside_echo(sockets, effort.commands / 2)?);
        add_stages(Pace::Unlimited, effort.commands / 2, &mut sockets.stages)?;
    }
    for distance in &mut distances[..2] {
        distance.plan(&PROCESS_LOADS, &[]);
    }
    distances[2].plan(&FIX_LOADS, &FIX_RATES);
    for run in 1..=effort.runs {
        let [engine, pipelines, sockets] = &mut distances;
        for point in &mut engine.points {
            tell(&format!("engine at {:.0}/s, run {run} of {}", point.rate, effort.runs));
            let commands = workload::commands(SEED, 1, requests(point.rate, effort));
            point.runs.push(open_loop::engine(1, &commands, point.rate));
        }
        for point in &mut pipelines.points {
            tell(&format!("journal at {:.0}/s, run {run} of {}", point.rate, effort.runs));
            let commands = workload::commands(SEED, 1, requests(point.rate, effort));
            point.runs.push(pipeline(commands, point.rate)?);
        }
        for point in &mut sockets.points {
            tell(&format!("FIX at {:.0}/s, run {run} of {}", point.rate, effort.runs));
            run_beside_echo(point, requests(point.rate, effort))?;
        }
        for place in sockets.staged_points() {
            let point = &mut sockets.points[place];
            tell(&format!("stages at {:.0}/s, run {run} of {}", point.rate, effort.runs));
            let (pace, count) = (Pace::PerSecond(point.rate), requests(point.rate, effort));
            add_stages(pace, count, &mut point.stages)?;
        }
    }
    Ok(Suite { floors, distances })
}

fn floors(effort: &Effort) -> Result<Floors, MeasureError> {
    distance::pin(distance::NEAR_CPU);
    let noise = distance::noise(Duration::from_secs_f64(effort.seconds));
    let rounds = (effort.seconds * 200_000.0) as u64;
    let hop = distance::ring_hop(rounds.max(1))?;
    Ok(Floors { noise, copy_ns: Vec::new(), near_copy_ns: Vec::new(), hop, echo: Vec::new() })
}

/// A run at full speed in turns, with copies between them.
struct BesideCopies<'a> {
    copies: &'a mut Copies,
    /// Of each turn, ns.
    copy_ns: Vec<f64>,
    /// How many times a copy's time a command took, in each turn.
    ratios: Vec<f64>,
    done: usize,
    time: Duration,
}

impl<'a> BesideCopies<'a> {
    fn new(copies: &'a mut Copies) -> Self {
        Self { copies, copy_ns: Vec::new(), ratios: Vec::new(), done: 0, time: Duration::ZERO }
    }

    /// Adds a turn, and makes the copies behind it.
    fn add(&mut self, count: usize, time: Duration) {
        let copy_ns = self.copies.ns(TURN_COPIES);
        self.copy_ns.push(copy_ns);
        self.ratios.push(time.as_nanos() as f64 / count as f64 / copy_ns);
        self.done += count;
        self.time += time;
    }
}

/// The journal of a pipeline.
fn journal_options() -> Options {
    Options {
        segment_bytes: SEGMENT_BYTES,
        prepared_ahead: 1,
        sync_interval: Duration::from_secs(1),
        ..Options::default()
    }
}

fn pipeline(commands: Vec<Command>, rate: f64) -> Result<OpenLoop, MeasureError> {
    let dir = tempfile::tempdir()?;
    open_loop::pipeline(1, commands, dir.path(), journal_options(), rate)
}

fn pipeline_in_turns(
    commands: Vec<Command>,
    beside: &mut BesideCopies<'_>,
) -> Result<(), MeasureError> {
    let (dir, options) = (tempfile::tempdir()?, journal_options());
    let each = |count, time| beside.add(count, time);
    open_loop::pipeline_in_turns(1, commands, dir.path(), options, TURN_COMMANDS, each)
}

fn options(venue: &Venue, pace: Pace) -> LoadOptions {
    LoadOptions::new(venue.address(), pace, "B")
}

fn flow() -> impl Iterator<Item = FlowEvent> {
    Synthetic::new(SEED, 1, Mix::default(), workload::SCALES)
}

/// FIX with its stages measured, which takes a little of the time that they measure: no echo is beside it.
fn add_stages(pace: Pace, count: usize, stages: &mut Stages) -> Result<(), MeasureError> {
    let dir = tempfile::tempdir()?;
    let venue = distance::ready_venue(&distance::config(dir.path()), true)?;
    distance::pin(distance::NEAR_CPU);
    let sent = load::run(flow().take(count), &options(&venue, pace), |_| {});
    stages.add(venue.stages());
    venue.stop();
    sent?;
    Ok(())
}

/// A run of FIX at full speed, echo and venue in turn. Returns the echo's full speed.
fn full_speed_beside_echo(sockets: &mut Distance, count: usize) -> Result<f64, MeasureError> {
    let slice = (count / FULL_SPEED_SLICES).max(1);
    let mut ratios = Vec::new();
    let run = beside_echo(Pace::Unlimited, count, slice, |venue, echo| {
        ratios.push(echo.rate() / venue.rate());
    })?;
    sockets.full_speed_ratios.add_median(&ratios);
    sockets.full_speed.push(run.venue.rate());
    Ok(run.echo.rate())
}

/// A run of a point of FIX, echo and venue in turn, a part of [`SLICE_SECONDS`] each.
fn run_beside_echo(point: &mut Point, count: usize) -> Result<(), MeasureError> {
    let slice = ((point.rate * SLICE_SECONDS) as usize).clamp(1, count);
    let mut turns = Turns::default();
    let run = beside_echo(Pace::PerSecond(point.rate), count, slice, |venue, echo| {
        turns.add(&venue.latency, &echo.latency);
    })?;
    point.pairs.add(&turns);
    point.slowest = run.slowest;
    point.runs.push(run.venue);
    point.floors.push(run.echo);
    Ok(())
}

/// What came of echo and venue in turn.
struct BesideEcho {
    venue: OpenLoop,
    echo: OpenLoop,
    /// Longest latency of the venue in each slice of time.
    slowest: Vec<u64>,
}

/// So many requests to an echo and to a venue, `slice` at a time, so that what the host does meanwhile meets both
/// alike; `each` is told of every turn. The venue sleeps while the echo has the processors.
fn beside_echo(
    pace: Pace,
    count: usize,
    slice: usize,
    mut each: impl FnMut(&OpenLoop, &OpenLoop),
) -> Result<BesideEcho, MeasureError> {
    let dir = tempfile::tempdir()?;
    let config = distance::config(dir.path());
    let venue = distance::ready_venue(&config, false)?;
    let options = options(&venue, pace);
    let (rate, warm_up) = match pace {
        Pace::PerSecond(rate) => (rate, (slice as f64 * WARM_UP) as u64),
        _ => (f64::INFINITY, 0),
    };
    let mut load = Load::log_on(&options)?;
    let mut flow = flow();
    let nothing = OpenLoop { done: 0, latency: latency_histogram(), duration: Duration::ZERO };
    let (mut venues, mut echoes) = (nothing.clone(), nothing);
    let rest = time_to_sleep(&config);
    assert!(rest > follower::INTERVAL, "the follower would work for the venue in the echo's turn");
    let mut sending = Ok(());
    while (venues.done as usize) < count && sending.is_ok() {
        let slice = slice.min(count - venues.done as usize);
        thread::sleep(rest);
        let echo = open_loop::echo(slice as u64, rate, ECHO_IN_FLIGHT, warm_up)?;
        let mut begun = Instant::now();
        sending = load.wake_venue().and_then(|()| {
            begun = Instant::now();
            load.send_encoded(flow.by_ref().take(slice), warm_up, |_| {})
        });
        let duration = begun.elapsed();
        let venue = OpenLoop { done: slice as u64, latency: load.take_latency(), duration };
        each(&venue, &echo);
        venues.add(&venue);
        echoes.add(&echo);
    }
    let ended = match sending {
        Ok(()) => load.log_out(),
        Err(reason) => Err(load.stopped(reason)),
    };
    venue.stop();
    Ok(BesideEcho { venue: venues, echo: echoes, slowest: ended?.slowest })
}

/// After how long without work the venue's thread sleeps, and a little more.
fn time_to_sleep(config: &Config) -> Duration {
    2 * Duration::from_micros(config.threads.spin_us + config.threads.yield_us)
}

/// Requests of a point: those of its time, or up to half as many again where a run of it then has enough samples
/// for [`TOLD`].
fn requests(rate: f64, effort: &Effort) -> usize {
    let count = (rate * effort.seconds).clamp(effort.requests_min as f64, REQUESTS_MAX);
    let slice = (rate * SLICE_SECONDS).max(1.0);
    let slices = SAMPLES_BEYOND_MIN / (1.0 - TOLD) / (slice * (1.0 - WARM_UP));
    let telling = slices.ceil() * slice;
    let is_near = (count..=1.5 * count).contains(&telling);
    (if is_near { telling } else { count }) as usize
}

impl Distance {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            full_speed: Vec::new(),
            full_speed_ratios: Ratios::default(),
            stages: Stages::default(),
            points: Vec::new(),
        }
    }

    /// Adds a run at full speed.
    fn add_beside_copies(&mut self, run: BesideCopies<'_>, floors: &mut Floors) {
        self.full_speed.push(run.done as f64 / run.time.as_secs_f64().max(f64::EPSILON));
        self.full_speed_ratios.add_median(&run.ratios);
        floors.near_copy_ns.push(median(&run.copy_ns));
    }

    /// Chooses the rates: shares of the full speed, and those of them that are given and below it.
    fn plan(&mut self, loads: &[f64], rates: &[f64]) {
        let full = median(&self.full_speed);
        let shares = loads.iter().map(|&load| (two_digits(load * full), Some(load)));
        let given = rates.iter().filter(|&&rate| rate < full).map(|&rate| (rate, None));
        let mut all: Vec<_> = given.chain(shares).collect();
        all.sort_by(|(rate, _), (other, _)| rate.total_cmp(other));
        // A share may come to a rate that is measured anyway.
        all.dedup_by(|(later, share), (rate, load)| {
            let same = later == rate;
            *load = if same { load.or(*share) } else { *load };
            same
        });
        self.points = all
            .into_iter()
            .map(|(rate, load)| Point {
                rate,
                load,
                runs: Vec::new(),
                floors: Vec::new(),
                pairs: Pairs::default(),
                slowest: Vec::new(),
                stages: Stages::default(),
            })
            .collect();
    }

    /// Full speed in words, and how many times its floor a request takes then.
    pub fn full_speed_words(&self) -> String {
        let (speed, spread) = (median(&self.full_speed), spread(&self.full_speed) * 100.0);
        let floor = if self.points.iter().any(|point| !point.floors.is_empty()) {
            "an echo's"
        } else {
            "a near copy's"
        };
        let times = cell(self.full_speed_ratios.median());
        let likely = range_cell(self.full_speed_ratios.likely());
        let speed = grouped(speed as u64);
        format!(
            "{speed} requests/s (±{spread:.0} %), {times} times {floor} time each (likely {likely})"
        )
    }

    /// How stages were measured where they were measured least.
    pub fn measured(&self) -> Measured {
        let all = self.points.iter().map(|point| &point.stages).chain([&self.stages]);
        all.map(|stages| stages.measured).max_by_key(|pace| pace.every).unwrap_or_default()
    }

    /// Points at which stages are measured: the lowest rate, and half the full speed or what is next to it.
    fn staged_points(&self) -> Vec<usize> {
        let off_half = |place: &usize| {
            let load = self.points[*place].load;
            load.map_or(f64::INFINITY, |load| (load - 0.5).abs())
        };
        let places = 0..self.points.len();
        let half = places.clone().min_by(|one, other| off_half(one).total_cmp(&off_half(other)));
        let mut found: Vec<_> = places.take(1).chain(half).collect();
        found.dedup();
        found
    }

    /// Where stages were measured, and what they were: at some points, and at full speed.
    pub fn staged(&self) -> Vec<(String, &Stages)> {
        let named = |point: &Point| format!("{}/s", grouped(point.rate as u64));
        let points = self.staged_points().into_iter().map(|place| &self.points[place]);
        let mut shown: Vec<_> = points.map(|point| (named(point), &point.stages)).collect();
        shown.push(("full speed".to_owned(), &self.stages));
        shown.retain(|(_, stages)| !stages.times.is_empty());
        shown
    }

    /// The last rate before the latency goes up: see [`KNEE_TIMES`]. `None` where it never does.
    pub fn knee(&self) -> Option<&Point> {
        let mut least = f64::INFINITY;
        let behind = self.points.iter().position(|point| {
            let p99 = point.quantile(0.99);
            least = least.min(p99);
            p99 > KNEE_TIMES * least
        })?;
        self.points[..behind].last()
    }

    /// Whether a point has too few samples for one of the [`QUANTILES`].
    pub fn lacks_samples(&self) -> bool {
        let lacks = |point: &Point| QUANTILES.iter().any(|&(_, at)| point.shown(at).is_none());
        self.points.iter().any(lacks)
    }
}

impl Stages {
    /// Adds the times of a venue. Each measures its clock anew: what is told of all is the least that any did.
    fn add(&mut self, venue: &StageTimes) {
        if self.times.is_empty() || venue.pace().every > self.measured.every {
            self.measured = venue.pace();
        }
        let times = venue.read();
        if self.times.is_empty() {
            self.times = times;
            return;
        }
        for ((_, all), (_, run)) in self.times.iter_mut().zip(&times) {
            all.add(run);
        }
    }
}

impl Point {
    /// Median over the runs of a quantile, ns, whatever it is worth.
    fn quantile(&self, quantile: f64) -> f64 {
        median_of(&self.runs, |run| run.latency.value_at_quantile(quantile) as f64)
    }

    /// Median over the runs of a quantile, ns; `None` where a run has too few samples for it.
    pub fn shown(&self, quantile: f64) -> Option<f64> {
        are_enough(&self.runs, quantile).then(|| self.quantile(quantile))
    }

    /// The longest latency of all runs, ns.
    pub fn max(&self) -> u64 {
        self.runs.iter().map(|run| run.latency.max()).max().unwrap_or(0)
    }

    /// Requests a second that were done, median over the runs.
    pub fn achieved(&self) -> f64 {
        median_of(&self.runs, OpenLoop::rate)
    }

    /// Median over the runs of a quantile of the echo, ns; `None` where there is no echo, or too few samples.
    pub fn floor(&self, quantile: f64) -> Option<f64> {
        let of = |run: &OpenLoop| run.latency.value_at_quantile(quantile) as f64;
        are_enough(&self.floors, quantile).then(|| median_of(&self.floors, of))
    }

    /// A quantile as a multiple of the echo's, of turns side by side: median over the runs. `None` where a run has
    /// too few samples.
    pub fn ratio(&self, quantile: f64) -> Option<f64> {
        self.told(quantile)?.median()
    }

    /// Where the true ratio is with a probability of about 95 %, by how far the runs are apart.
    pub fn likely_ratio(&self, quantile: f64) -> Option<(f64, f64)> {
        self.told(quantile)?.likely()
    }

    /// Ratios of a quantile, where there are samples enough to tell it.
    fn told(&self, quantile: f64) -> Option<&Ratios> {
        let are_enough = are_enough(&self.runs, quantile) && are_enough(&self.floors, quantile);
        are_enough.then(|| self.pairs.of(quantile))
    }

    /// All runs in one histogram.
    pub fn merged(&self) -> Histogram<u64> {
        merged(&self.runs)
    }

    /// The same of the echo.
    pub fn merged_floor(&self) -> Histogram<u64> {
        merged(&self.floors)
    }
}

/// Whether there are runs, and each has samples enough to tell a quantile.
fn are_enough(runs: &[OpenLoop], quantile: f64) -> bool {
    !runs.is_empty() && runs.iter().all(|run| is_enough(&run.latency, quantile))
}

/// Whether there are samples enough to tell a quantile.
pub fn is_enough(latency: &Histogram<u64>, quantile: f64) -> bool {
    // A little less, as 1 - 0.9 is less than a tenth.
    latency.len() as f64 * (1.0 - quantile) >= SAMPLES_BEYOND_MIN - 1e-6
}

/// A figure as a table has it.
pub fn cell(figure: Option<f64>) -> String {
    figure.map_or_else(|| TOO_FEW.to_owned(), |figure| format!("{figure:.2}"))
}

/// A range of ratios as a table has it. Each has three digits, where it has decimals at all, so that it fits a column.
pub fn range_cell(range: Option<(f64, f64)>) -> String {
    let ratio = |ratio: f64| {
        let decimals = match ratio {
            ..9.995 => 2,
            ..99.95 => 1,
            _ => 0,
        };
        format!("{ratio:.decimals$}")
    };
    range
        .map_or_else(|| TOO_FEW.to_owned(), |(low, high)| format!("{}-{}", ratio(low), ratio(high)))
}

/// Seconds from the start and ms of the longest latency, slice by slice.
pub fn timeline(slowest: &[u64]) -> Vec<(f64, f64)> {
    let at = |slice: usize| slice as f64 * SLICE_NS as f64 / 1e9;
    slowest.iter().enumerate().map(|(slice, &ns)| (at(slice), ns as f64 / 1e6)).collect()
}

fn merged(runs: &[OpenLoop]) -> Histogram<u64> {
    let mut all = latency_histogram();
    runs.iter().for_each(|run| all += &run.latency);
    all
}

/// The nearest number with two significant digits.
fn two_digits(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor() - 1.0);
    (value / power).round() * power
}

fn median_of<T>(runs: &[T], of: impl Fn(&T) -> f64) -> f64 {
    median(&runs.iter().map(of).collect::<Vec<_>>())
}

/// The middle of some figures, the higher of two; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// Half the distance between the lowest and the highest of some figures, as a share of the median.
pub fn spread(values: &[f64]) -> f64 {
    let (low, high) = values
        .iter()
        .fold((f64::INFINITY, 0.0_f64), |(low, high), &value| (low.min(value), high.max(value)));
    let middle = median(values);
    if middle > 0.0 { (high - low) / 2.0 / middle } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(rate: f64, latencies: &[u64], floor: &[u64]) -> Point {
        let run = |ns: u64| {
            let mut latency = latency_histogram();
            latency.record_n(ns, 1_000).unwrap();
            OpenLoop { done: 1_000, latency, duration: Duration::from_secs(1) }
        };
        let runs = |values: &[u64]| values.iter().map(|&ns| run(ns)).collect::<Vec<_>>();
        let (runs, floors) = (runs(latencies), runs(floor));
        let mut pairs = Pairs::default();
        for (venue, echo) in runs.iter().zip(&floors) {
            let mut turns = Turns::default();
            turns.add(&venue.latency, &echo.latency);
            pairs.add(&turns);
        }
        let (slowest, stages) = (Vec::new(), Stages::default());
        Point { rate, load: None, runs, floors, pairs, slowest, stages }
    }

    #[test]
    fn figures_are_medians_of_runs_and_ratios_of_pairs() {
        let point = point(1_000.0, &[300, 100, 200], &[100, 100, 50]);
        assert_eq!(point.quantile(0.99), 200.0);
        assert_eq!((point.ratio(0.99), point.likely_ratio(0.99)), (Some(3.0), None));
        assert_eq!(point.floor(0.5), Some(100.0));
        assert_eq!((point.max(), point.achieved()), (300, 1_000.0));
        assert_eq!(point.merged().len(), 3_000);
        assert_eq!(median(&[]), 0.0);
        // 1,000 samples a run: ten beyond p99, one beyond p99.9.
        assert_eq!((point.shown(0.9), point.shown(0.99)), (Some(200.0), Some(200.0)));
        let rare = [point.shown(0.999), point.floor(0.999), point.ratio(0.999)];
        assert_eq!(rare.map(cell), ["–", "–", "–"]);
        assert_eq!(cell(point.ratio(0.99)), "3.00");
        assert_eq!(spread(&[90.0, 100.0, 110.0]), 0.1);
    }

    #[test]
    fn a_range_fits_its_column() {
        let told = [(0.049, 9.994), (9.996, 99.94), (99.96, 1234.5)].map(Some).map(range_cell);
        assert_eq!(told, ["0.05-9.99", "10.0-99.9", "100-1234"]);
        assert_eq!(range_cell(None), "–");
    }

    #[test]
    fn a_point_that_nearly_tells_its_p99_9_goes_on_until_it_does() {
        let effort = Effort { runs: 5, seconds: 1.0, requests_min: 100, commands: 0 };
        let counts =
            [10.0, 1_000.0, 7_000.0, 10_000.0, 76_000.0].map(|rate| requests(rate, &effort));
        assert_eq!(counts, [100, 1_000, 7_000, 12_000, 76_000]);
    }

    #[test]
    fn rates_are_below_the_full_speed_and_the_knee_is_before_the_latency_goes_up() {
        let mut distance = Distance::new("FIX");
        distance.full_speed = vec![90_000.0, 100_000.0, 5_000_000.0];
        distance.plan(&[0.5, 0.05], &[10_000.0, 200_000.0]);
        let rates: Vec<_> = distance.points.iter().map(|point| point.rate).collect();
        assert_eq!(rates, [5_000.0, 10_000.0, 50_000.0]);
        distance.plan(&[0.1, 0.5], &[10_000.0]);
        let loads: Vec<_> = distance.points.iter().map(|point| (point.rate, point.load)).collect();
        assert_eq!(loads, [(10_000.0, Some(0.1)), (50_000.0, Some(0.5))]);
        assert_eq!((two_digits(37_607.0), two_digits(9.0)), (38_000.0, 9.0));
        let mut knee = |p99s: &[u64]| {
            let points = (1..).zip(p99s).map(|(rate, &ns)| point(f64::from(rate), &[ns], &[]));
            distance.points = points.collect();
            distance.knee().map(|point| point.rate)
        };
        assert_eq!(knee(&[10, 100, 101, 20]), Some(2.0));
        assert_eq!(knee(&[90, 10, 100, 101, 20]), Some(3.0), "the lowest rate may be a slow one");
        assert_eq!(knee(&[10, 100]), None);
        assert_eq!(distance.points[0].ratio(0.5), None);
        assert!(Distance::new("none").knee().is_none());
    }
}
