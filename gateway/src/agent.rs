//! Agents: loops that do a turn of work at a time, so that they can run on a thread each, share
//! one, or be stepped by a test.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{config::ThreadsConfig, counters::TurnCounters};

/// A loop of the venue.
pub trait Agent: Send {
    /// Does what there is to do now, without waiting; returns how much was done, 0 for nothing.
    fn do_work(&mut self) -> usize;

    /// Waits for work, where the agent has something better than sleeping: for at most `limit`, or, where nobody
    /// waits for it, for as long as it knows of nothing to do.
    fn park(&mut self, limit: Duration) {
        thread::sleep(limit);
    }

    /// Leaves the processor to others after a turn with work, where nobody waits for the agent.
    fn rest(&mut self) {}

    /// Whether this waits, or may wait at any time, for something that does not end a [`park`](Self::park), such as
    /// the disk; what an agent of the same thread brings is none. Asked where it may
    /// [sleep longer](IdleStrategy::fed_by_park).
    fn must_look(&self) -> bool;

    /// Finishes what is under way. Called once, after the last turn, until it returns true.
    fn close(&mut self) -> bool {
        true
    }
}

/// Two agents that take turns: what the first brings, the second works off before the first goes on. Otherwise
/// it would pile up between them while there is more than a turn of the second takes, and who comes last
/// would wait for all of it.
pub struct Composed<A, B>(pub A, pub B);

impl<A: Agent, B: Agent> Agent for Composed<A, B> {
    fn do_work(&mut self) -> usize {
        let mut done = self.0.do_work();
        loop {
            let more = self.1.do_work();
            done += more;
            if more == 0 {
                return done;
            }
        }
    }

    /// Waits as the first agent does: what wakes the second one comes from the first.
    fn park(&mut self, limit: Duration) {
        self.0.park(limit);
    }

    fn must_look(&self) -> bool {
        self.0.must_look() || self.1.must_look()
    }

    fn close(&mut self) -> bool {
        let first = self.0.close();
        self.1.do_work();
        first && self.1.close()
    }
}

/// How long an agent without work spins, then yields, before it parks.
///
/// Waking a parked thread costs about ten times a loopback round trip, so a thread that had work a
/// moment ago stays awake; a thread without work for longer leaves the processor to others.
#[derive(Clone, Copy, Debug)]
pub struct IdleStrategy {
    spin: Duration,
    yielding: Duration,
    park_max: Duration,
    /// Longest sleep of an agent that need not look.
    woken_park_max: Duration,
}

/// Shortest sleep of a parked agent; it doubles up to the configured longest.
const PARK_MIN: Duration = Duration::from_micros(20);

/// Longest sleep of an agent that is woken for all that it may get to do: how long its end may take to begin, or what
/// an operator asks for, or a halt that the follower does.
const PARK_WOKEN_MAX: Duration = Duration::from_millis(50);

/// Turns without work between two looks at the clock.
const TURNS_PER_CLOCK: u32 = 64;

/// Times an agent is asked to finish, a millisecond apart, before its thread ends anyway.
pub(crate) const CLOSE_TURNS_MAX: u32 = 5_000;

impl IdleStrategy {
    /// As configured.
    pub fn new(config: &ThreadsConfig) -> Self {
        let park_max = Duration::from_micros(config.park_us);
        Self {
            spin: Duration::from_micros(config.spin_us),
            yielding: Duration::from_micros(config.yield_us),
            park_max,
            woken_park_max: park_max,
        }
    }

    /// The same for a thread to which no other one brings work: what there is to do ends its park, but for what it
    /// [must look](Agent::must_look) for. It sleeps up to 50 ms, if not longer anyway.
    #[must_use]
    pub fn fed_by_park(self) -> Self {
        Self { woken_park_max: self.park_max.max(PARK_WOKEN_MAX), ..self }
    }

    /// Parks at once, for agents that nobody waits for.
    pub fn parking(park_max: Duration) -> Self {
        let (spin, yielding) = (Duration::ZERO, Duration::ZERO);
        Self { spin, yielding, park_max, woken_park_max: park_max }
    }
}

/// Where a thread without work stands.
#[derive(Debug)]
struct Idle {
    strategy: IdleStrategy,
    turns: u32,
    since: Option<Instant>,
    waited: Duration,
    park: Duration,
}

impl Idle {
    fn new(strategy: IdleStrategy) -> Self {
        Self { strategy, turns: 0, since: None, waited: Duration::ZERO, park: PARK_MIN }
    }

    fn reset(&mut self) {
        self.turns = 0;
        self.since = None;
        self.waited = Duration::ZERO;
        self.park = PARK_MIN;
    }

    fn wait(&mut self, agent: &mut impl Agent, counters: &TurnCounters) {
        if self.turns.is_multiple_of(TURNS_PER_CLOCK) {
            self.waited = self.since.get_or_insert_with(Instant::now).elapsed();
        }
        self.turns = self.turns.wrapping_add(1);
        if self.waited < self.strategy.spin {
            std::hint::spin_loop();
        } else if self.waited < self.strategy.spin + self.strategy.yielding {
            thread::yield_now();
        } else {
            counters.parks.add(1);
            let park_max = match agent.must_look() {
                true => self.strategy.park_max,
                false => self.strategy.woken_park_max,
            };
            agent.park(self.park.min(park_max));
            self.park = (self.park * 2).min(park_max);
        }
    }
}

/// A running agent's thread.
#[derive(Debug)]
pub struct AgentThread {
    name: String,
    thread: thread::JoinHandle<()>,
    counters: Arc<TurnCounters>,
}

/// Starts a thread that runs an agent until `stop` is set, pinned to `cpu` if one is given.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn(
    name: &str,
    agent: impl Agent + 'static,
    idle: IdleStrategy,
    cpu: Option<usize>,
    stop: Arc<AtomicBool>,
) -> io::Result<AgentThread> {
    let owned = name.to_owned();
    spawn_with(name, move || pin(&owned, cpu), agent, idle, stop)
}

/// Starts a thread as [`spawn`] does that gets only the time that nobody else wants.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn_lowest(
    name: &str,
    agent: impl Agent + 'static,
    idle: IdleStrategy,
    stop: Arc<AtomicBool>,
) -> io::Result<AgentThread> {
    let owned = name.to_owned();
    spawn_with(name, move || lowest_priority(&owned), agent, idle, stop)
}

fn spawn_with(
    name: &str,
    begin: impl FnOnce() + Send + 'static,
    mut agent: impl Agent + 'static,
    idle: IdleStrategy,
    stop: Arc<AtomicBool>,
) -> io::Result<AgentThread> {
    let counters = Arc::new(TurnCounters::default());
    let counted = counters.clone();
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        begin();
        run(&mut agent, idle, &stop, &counted);
    })?;
    Ok(AgentThread { name: name.to_owned(), thread, counters })
}

/// The nice value that yields to all others; on Linux a thread has its own.
const NICE_MAX: i32 = 19;

fn lowest_priority(name: &str) {
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), NICE_MAX) {
        log::debug!("thread {name} keeps its priority: {error}");
    }
}

/// Pins this thread to a processor, if one is given.
pub(crate) fn pin(name: &str, cpu: Option<usize>) {
    let Some(id) = cpu else { return };
    let can_be = id < rustix::thread::CpuSet::MAX_CPU;
    if !can_be || !core_affinity::set_for_current(core_affinity::CoreId { id }) {
        log::warn!(
            "thread {name} can't be pinned to processor {id}; it runs where the system puts it"
        );
    }
}

/// Keeps this thread, and the threads that it starts from now on, off a processor: the journal's
/// helpers must not take time from the core. Without another processor it does nothing.
pub fn keep_off(cpu: usize) {
    let Ok(mut allowed) = rustix::thread::sched_getaffinity(None) else { return };
    if cpu < rustix::thread::CpuSet::MAX_CPU && allowed.is_set(cpu) && allowed.count() > 1 {
        allowed.unset(cpu);
        if let Err(error) = rustix::thread::sched_setaffinity(None, &allowed) {
            log::debug!("helper threads can't be kept off processor {cpu}: {error}");
        }
    }
}

fn run(agent: &mut impl Agent, strategy: IdleStrategy, stop: &AtomicBool, counters: &TurnCounters) {
    let mut idle = Idle::new(strategy);
    while !stop.load(Ordering::Relaxed) {
        counters.turns.add(1);
        if agent.do_work() > 0 {
            counters.busy.add(1);
            idle.reset();
            agent.rest();
        } else {
            idle.wait(agent, counters);
        }
    }
    for _ in 0..CLOSE_TURNS_MAX {
        agent.do_work();
        if agent.close() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    log::warn!("an agent had work left when its thread ended");
}

impl AgentThread {
    /// Its name, and what its loop keeps count of, at any time from now on.
    pub fn counters(&self) -> (String, Arc<TurnCounters>) {
        (self.name.clone(), self.counters.clone())
    }

    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end of the thread.
    ///
    /// # Panics
    /// When the agent panicked.
    pub fn join(self) {
        if self.thread.join().is_err() {
            panic!("thread {} panicked; the journal holds what was acknowledged", self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use super::*;

    /// Brings so many in a turn.
    struct Brings(usize, Arc<AtomicUsize>);

    impl Agent for Brings {
        fn do_work(&mut self) -> usize {
            self.1.fetch_add(self.0, Relaxed);
            self.0
        }

        fn must_look(&self) -> bool {
            true
        }
    }

    /// Takes at most so many in a turn.
    struct Takes(usize, Arc<AtomicUsize>);

    impl Agent for Takes {
        fn do_work(&mut self) -> usize {
            let taken = self.1.load(Relaxed).min(self.0);
            self.1.fetch_sub(taken, Relaxed);
            taken
        }

        fn must_look(&self) -> bool {
            true
        }
    }

    #[test]
    fn what_the_first_brings_does_not_pile_up_before_the_second() {
        let between = Arc::new(AtomicUsize::new(0));
        let mut both = Composed(Brings(5, between.clone()), Takes(2, between.clone()));
        assert_eq!((both.do_work(), between.load(Relaxed)), (10, 0));
    }

    /// Has work in every other turn of six, and notes after which it rests.
    struct Rests(usize, Vec<usize>, Arc<AtomicBool>);

    impl Agent for Rests {
        fn do_work(&mut self) -> usize {
            self.0 += 1;
            self.2.store(self.0 >= 6, Relaxed);
            self.0 % 2
        }

        fn rest(&mut self) {
            self.1.push(self.0);
        }

        fn must_look(&self) -> bool {
            true
        }
    }

    #[test]
    fn an_agent_rests_after_each_turn_with_work() {
        let stop = Arc::new(AtomicBool::new(false));
        let mut agent = Rests(0, vec![], stop.clone());
        let strategy = IdleStrategy::parking(Duration::ZERO);
        run(&mut agent, strategy, &stop, &TurnCounters::default());
        assert_eq!(agent.1, [1, 3, 5]);
    }

    /// Notes how long it may park.
    struct Parks(bool, Vec<Duration>);

    impl Agent for Parks {
        fn do_work(&mut self) -> usize {
            0
        }

        fn park(&mut self, limit: Duration) {
            self.1.push(limit);
        }

        fn must_look(&self) -> bool {
            self.0
        }
    }

    #[test]
    fn who_is_woken_for_all_sleeps_longer_and_looks_again_at_once_when_that_ends() {
        let longest = Duration::from_micros(500);
        let strategy = IdleStrategy::parking(longest);
        let mut both = Composed(Parks(false, vec![]), Parks(false, vec![]));
        let wait = |idle: &mut Idle, both: &mut Composed<Parks, Parks>| {
            (0..20).for_each(|_| idle.wait(both, &TurnCounters::default()));
            std::mem::take(&mut both.0.1)
        };
        // Another thread may bring work at any time.
        assert_eq!(wait(&mut Idle::new(strategy), &mut both)[19], longest);
        let mut idle = Idle::new(strategy.fed_by_park());
        let mut park = |both: &mut Composed<Parks, Parks>| wait(&mut idle, both);
        let parks = park(&mut both);
        assert!(parks.is_sorted() && parks[0] == PARK_MIN && parks[19] == PARK_WOKEN_MAX);
        both.1.0 = true;
        assert_eq!(park(&mut both), [longest; 20]);
        (both.0.0, both.1.0) = (true, false);
        assert_eq!(park(&mut both), [longest; 20]);
        both.0.0 = false;
        assert_eq!(park(&mut both)[19], PARK_WOKEN_MAX);
    }
}
