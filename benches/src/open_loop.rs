//! Open loop without FIX: requests that are due at their own times, whether or not whoever carries
//! them out is ready. Latency counts from when a request was due, so a pause can't hide the requests
//! that waited for its end.

use std::{
    io,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use ironbook_engine::{Command, Engine, EngineLimits, Sequencer, Timestamp, sink::CountingSink};
use ironbook_gateway::{
    agent::Agent,
    clock::SystemClock,
    core::CoreAgent,
    ring::{Input, InputSender, ring},
};
use ironbook_journal::Options;

use crate::{
    distance::{
        ECHO_BATCH, FAR_CPU, MeasureError, REPORT_BYTES, REQUEST_BYTES, connect_to_echo, pin,
        prepared_engine, read_some, ready_journal, write_spinning,
    },
    load::latency_histogram,
    workload::preparation,
};

/// Steps of a core that has nothing to do between two looks at the clock.
const STEPS_PER_LOOK: u64 = 1 << 20;
/// Longest time without anything to do before a core is given up.
const STALL_MAX: Duration = Duration::from_secs(20);

/// When requests are due: evenly, from a start on.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    start: Instant,
    /// Zero: all are due at once, and there is nothing to wait for.
    gap_ns: f64,
}

impl Schedule {
    /// So many requests a second, from now on. An infinite rate makes all of them due at once.
    ///
    /// # Panics
    /// When `rate` is not greater than zero.
    pub fn per_second(rate: f64) -> Self {
        assert!(rate > 0.0, "{rate} requests a second");
        Self { start: Instant::now(), gap_ns: 1e9 / rate }
    }

    /// Nanoseconds from the start until a request is due.
    #[inline]
    fn due_ns(&self, request: u64) -> u64 {
        (request as f64 * self.gap_ns) as u64
    }

    #[inline]
    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// Whether requests have times of their own. Full speed is measured without looks at the clock.
    #[inline]
    fn is_paced(&self) -> bool {
        self.gap_ns > 0.0
    }

    /// Waits until a request is due.
    #[inline]
    fn wait(&self, request: u64) {
        let due = self.due_ns(request);
        while self.now_ns() < due {
            std::hint::spin_loop();
        }
    }

    #[inline]
    fn record(&self, latency: &mut Histogram<u64>, request: u64, now_ns: u64) {
        latency.saturating_record(now_ns.saturating_sub(self.due_ns(request)).max(1));
    }
}

/// What came of an open loop.
#[derive(Clone, Debug)]
pub struct OpenLoop {
    /// Requests that were done.
    pub done: u64,
    /// Nanoseconds from when a request was due until it was done; empty at full speed.
    pub latency: Histogram<u64>,
    /// From the first request to the last answer.
    pub duration: Duration,
}

impl OpenLoop {
    /// Adds what came of another one.
    pub fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.duration += other.duration;
        self.latency.add(&other.latency).expect("histograms of the same bounds");
    }

    /// Requests that were done in a second.
    pub fn rate(&self) -> f64 {
        self.done as f64 / self.duration.as_secs_f64().max(f64::EPSILON)
    }
}

/// Commands applied in this thread.
pub fn engine(instruments: u32, commands: &[Command], rate: f64) -> OpenLoop {
    let (mut engine, mut sequencer) = prepared_engine(instruments);
    let mut sink = CountingSink::default();
    let mut latency = latency_histogram();
    let schedule = Schedule::per_second(rate);
    for (number, command) in (0..).zip(commands) {
        schedule.wait(number);
        let stamp = sequencer.stamp(Timestamp(number));
        sequencer.resume_at(engine.apply(stamp, command, &mut sink));
        schedule.record(&mut latency, number, schedule.now_ns());
    }
    OpenLoop { done: commands.len() as u64, latency, duration: schedule.start.elapsed() }
}

/// Commands through the ring to a core on another processor that journals everything in `dir`; a
/// command is done when its events are published.
///
/// # Errors
/// When the journal can't be opened in `dir`.
pub fn pipeline(
    instruments: u32,
    commands: Vec<Command>,
    dir: &Path,
    options: Options,
    rate: f64,
) -> Result<OpenLoop, MeasureError> {
    let mut core = Core::start(instruments, commands.len() as u64, dir, options)?;
    let schedule = core.begin(rate);
    for (number, command) in (0..).zip(commands) {
        if schedule.is_paced() && schedule.now_ns() < schedule.due_ns(number) {
            core.inputs.flush();
            schedule.wait(number);
        }
        core.push(command);
    }
    core.inputs.flush();
    core.end()
}

/// As [`pipeline`] at full speed, so many commands in a turn. `each` hears how many commands a turn had, and how long
/// it was until the last one's events were published, and may measure something else before the next.
///
/// # Errors
/// When the journal can't be opened in `dir`.
pub fn pipeline_in_turns(
    instruments: u32,
    commands: Vec<Command>,
    dir: &Path,
    options: Options,
    turn: usize,
    mut each: impl FnMut(usize, Duration),
) -> Result<(), MeasureError> {
    let mut core = Core::start(instruments, commands.len() as u64, dir, options)?;
    core.begin(f64::INFINITY);
    let mut commands = commands.into_iter();
    let mut pushed = 0;
    while commands.len() > 0 {
        let part = commands.by_ref().take(turn.max(1));
        let (before, begun) = (pushed, Instant::now());
        for command in part {
            core.push(command);
            pushed += 1;
        }
        core.inputs.flush();
        while core.taken.load(Ordering::Acquire) < pushed && !core.thread.is_finished() {
            std::hint::spin_loop();
        }
        each((pushed - before) as usize, begun.elapsed());
    }
    core.end()?;
    Ok(())
}

/// A core that journals what it takes, on a thread of the far processor, until it has taken all.
struct Core {
    inputs: InputSender,
    begun: Arc<OnceLock<Schedule>>,
    /// Commands whose events are published.
    taken: Arc<AtomicU64>,
    thread: JoinHandle<io::Result<OpenLoop>>,
}

impl Core {
    /// Comes back when the journal's segments are ready and the thread is awake.
    fn start(
        instruments: u32,
        count: u64,
        dir: &Path,
        options: Options,
    ) -> Result<Self, MeasureError> {
        let (journal, _) = ready_journal(dir, options)?;
        let (inputs, outputs) = ring(4_096);
        let engine = Engine::new(EngineLimits::default());
        let mut core = CoreAgent::new(outputs, Sequencer::default(), engine, journal, SystemClock);
        core.touch_memory();
        for command in preparation(instruments) {
            core.apply_now(command);
        }
        let begun = Arc::new(OnceLock::new());
        let (is_awake, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let run = {
            let (begun, is_awake, taken) = (begun.clone(), is_awake.clone(), taken.clone());
            move || take_all(core, count, &begun, &is_awake, &taken)
        };
        let thread = thread::Builder::new().name("core".to_owned()).spawn(run)?;
        // It has a processor of its own, which may have to wake up.
        while !is_awake.load(Ordering::Acquire) && !thread.is_finished() {
            std::hint::spin_loop();
        }
        Ok(Self { inputs, begun, taken, thread })
    }

    /// Requests are due from now on.
    fn begin(&self, rate: f64) -> Schedule {
        *self.begun.get_or_init(|| Schedule::per_second(rate))
    }

    /// Waits for room, unless the core has gone.
    #[inline]
    fn push(&mut self, command: Command) {
        let mut input = Input::Command(command);
        while let Err(back) = self.inputs.try_push(input)
            && !self.thread.is_finished()
        {
            input = back;
            std::hint::spin_loop();
        }
    }

    fn end(self) -> Result<OpenLoop, MeasureError> {
        Ok(self.thread.join().map_err(|_| io::Error::other("the core panicked"))??)
    }
}

/// What the thread of a [`Core`] does.
fn take_all(
    mut core: CoreAgent<SystemClock>,
    count: u64,
    begun: &OnceLock<Schedule>,
    is_awake: &AtomicBool,
    all_taken: &AtomicU64,
) -> io::Result<OpenLoop> {
    pin(FAR_CPU);
    let (mut idle, mut since) = (0_u64, Instant::now());
    let mut latency = latency_histogram();
    is_awake.store(true, Ordering::Release);
    let schedule = loop {
        match begun.get() {
            Some(schedule) => break *schedule,
            None => std::hint::spin_loop(),
        }
    };
    let mut taken = 0;
    while taken < count {
        let done = core.do_work() as u64;
        if done == 0 {
            std::hint::spin_loop();
            idle += 1;
            if idle == STEPS_PER_LOOK {
                since = Instant::now();
            } else if idle.is_multiple_of(STEPS_PER_LOOK) && since.elapsed() > STALL_MAX {
                return Err(io::Error::other("the core stands still: is the disk full?"));
            }
            continue;
        }
        idle = 0;
        if schedule.is_paced() {
            let now = schedule.now_ns();
            let all = taken..taken + done;
            all.for_each(|request| schedule.record(&mut latency, request, now));
        }
        taken += done;
        all_taken.store(taken, Ordering::Release);
    }
    let duration = schedule.start.elapsed();
    drop(core.into_journal());
    Ok(OpenLoop { done: count, latency, duration })
}

/// Requests and reports of the workload's sizes over loopback TCP, echoed without a thought, both
/// ends spinning: the floor of FIX at this rate. At most `in_flight_max` requests wait for their
/// answers, and the latencies of the first `warm_up` are not recorded.
///
/// # Errors
/// When the system refuses a socket.
pub fn echo(
    count: u64,
    rate: f64,
    in_flight_max: u64,
    warm_up: u64,
) -> Result<OpenLoop, MeasureError> {
    let (mut stream, far) = connect_to_echo(count)?;
    let mut latency = latency_histogram();
    let mut bytes = vec![0; REPORT_BYTES * ECHO_BATCH];
    let requests = [7; REQUEST_BYTES * ECHO_BATCH];
    let (mut sent, mut got, mut answered) = (0, 0, 0);
    let schedule = Schedule::per_second(rate);
    while answered < count {
        let now = schedule.now_ns();
        let room = count.min(answered + in_flight_max).min(sent + ECHO_BATCH as u64);
        let due = (sent..room).take_while(|&request| schedule.due_ns(request) <= now).count();
        write_spinning(&mut stream, &requests[..due * REQUEST_BYTES])?;
        sent += due as u64;
        got += read_some(&mut stream, &mut bytes)?;
        let whole = (got / REPORT_BYTES) as u64;
        if whole > answered {
            let now = schedule.now_ns();
            (answered.max(warm_up)..whole)
                .for_each(|request| schedule.record(&mut latency, request, now));
            answered = whole;
        }
    }
    let duration = schedule.start.elapsed();
    far.join().map_err(|_| io::Error::other("the echo panicked"))??;
    Ok(OpenLoop { done: count, latency, duration })
}
