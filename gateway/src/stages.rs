//! What an order takes its time for, stage by stage.
//!
//! | stage | agent | one value for | from, to |
//! |---|---|---|---|
//! | [`Read`](Stage::Read) | gateway | a read that brings bytes, of however many messages | the system call |
//! | [`Decode`](Stage::Decode) | gateway | a message of a session that is logged on | framed, checked, made a command, put into the ring's batch |
//! | [`Ring`](Stage::Ring) | core | an input | its batch handed over, until the core begins with it |
//! | [`Core`](Stage::Core) | core | an input | its frame written, matched, the frames of its events written |
//! | [`Match`](Stage::Match) | core | a command, one in [`COMMANDS_PER_SPLIT`] | of that, what the engine takes |
//! | [`Append`](Stage::Append) | core | the same command | of that, what writing the frames takes |
//! | [`Publish`](Stage::Publish) | core | a turn's inputs, 64 at the most | released to all who follow the journal |
//! | [`Encode`](Stage::Encode) | gateway | a frame that somebody is told of | taken off the journal, made messages of |
//! | [`Write`](Stage::Write) | gateway | a write, of however many messages | the system call |
//! | [`Respond`](Stage::Respond) | gateway | a frame that somebody is told of | the core's stamp, until its messages were given to the system |
//!
//! Append and Publish are what the journal takes. What is done for a batch is measured and counted once for it, as
//! its cost is the batch's. Respond is no stage beside the others but what those from Core on come to, with the wait
//! for the gateway, and under `acknowledge = "durable"` for the disk; before the stamp, the journal itself says
//! when a message was received. A message that its client does not take at once is written when it is put aside.
//! In no stage are the wait of an input for the others of its batch, up to the hand-over, and the frames that nobody
//! is told of.
//!
//! The end of a stage is the beginning of the next, so that a stage takes one reading of the processor's counter, and
//! two beside a system call: a reading is 11 ns where this was written, and 15 with the counting. Each value has one
//! reading in it. On a machine whose clock takes longer than [`READING_NS_MAX`] one turn of the gateway in
//! [`TURNS_PER_SAMPLE`] is measured, and as many of the batches: their inputs in ring and core, whatever turn of the
//! core they are in, and the turns that end with one in publish.
//!
//! Times are measured beside the venue's clock and get into no journal, message or decision.

use std::sync::Arc;

use crossbeam_channel::Receiver;
use quanta::Clock;

use crate::{
    histogram::{Distribution, Histogram, Recorder, histogram},
    slowest::{Slow, Slowest},
};

/// Parts of an order's way that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Bytes are read from a socket.
    Read,
    /// A message becomes an input.
    Decode,
    /// An input waits for the core.
    Ring,
    /// An input is carried out.
    Core,
    /// The engine's part of that, for one command in [`COMMANDS_PER_SPLIT`].
    Match,
    /// The journal's part of that, for the same commands.
    Append,
    /// What was carried out in a turn is released.
    Publish,
    /// A frame becomes messages.
    Encode,
    /// Bytes are written to a socket.
    Write,
    /// From the core's stamp to the message given to the system.
    Respond,
}

impl Stage {
    /// All of them, in the sequence of an order's way.
    pub const ALL: [Self; 10] = [
        Self::Read,
        Self::Decode,
        Self::Ring,
        Self::Core,
        Self::Match,
        Self::Append,
        Self::Publish,
        Self::Encode,
        Self::Write,
        Self::Respond,
    ];

    /// Its name, for tables and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Decode => "decode",
            Self::Ring => "ring",
            Self::Core => "core",
            Self::Match => "match",
            Self::Append => "append",
            Self::Publish => "publish",
            Self::Encode => "encode",
            Self::Write => "write",
            Self::Respond => "respond",
        }
    }

    /// What one value is of, in a few words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Read => "a read of a socket that brings bytes",
            Self::Decode => "a message, until it is in the ring",
            Self::Ring => "an input, until the core begins with it",
            Self::Core => "an input, carried out and written",
            Self::Match => "  of that the engine, one command in 17",
            Self::Append => "  of that the journal, the same command",
            Self::Publish => "a turn's inputs, released",
            Self::Encode => "a frame, made messages of",
            Self::Write => "a write to a socket",
            Self::Respond => "from the core's stamp to the end of the write",
        }
    }
}

/// Commands for one whose time is split into the engine's and the journal's: that takes two readings of the clock for
/// each event. A prime: flows of orders repeat themselves, batches have a fixed size, and what comes every so many
/// commands must not be all that is split, or never be.
pub const COMMANDS_PER_SPLIT: u32 = 17;
const _: () = assert!(COMMANDS_PER_SPLIT == 17, "what Stage::meaning says");

/// Dearest reading of the clock, ns, with which every turn is measured.
pub const READING_NS_MAX: u64 = 20;

/// Turns, and batches for the core, for one that is measured where the clock is dearer. A prime: what the gateway does
/// every so many turns must not fall between the samples for ever.
pub const TURNS_PER_SAMPLE: u32 = 17;

/// What the agents of a venue measure with.
pub struct StageWatches {
    /// Those of each gateway.
    pub gateways: Vec<GatewayWatches>,
    /// The core's.
    pub core: StageWatch,
}

/// What a gateway measures with.
#[derive(Debug, Default)]
pub struct GatewayWatches {
    /// Its own.
    pub turns: StageWatch,
    /// That of its end of the ring.
    pub hand_over: Stamper,
}

/// The times of a venue, to be read whenever somebody asks.
#[derive(Clone, Debug, Default)]
pub struct StageTimes {
    agents: Vec<Arc<[Histogram; Stage::ALL.len()]>>,
    /// What took longest, of the core and of each gateway.
    inputs: Option<Receiver<Slow>>,
    told: Vec<Receiver<Slow>>,
    pace: Pace,
}

/// What is measured, and what that takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Turns for one that is measured; 0 when nothing is.
    pub every: u32,
    /// What a reading of the clock takes, ns; 0 when there is none.
    pub reading_ns: u64,
}

impl StageWatches {
    /// Measures so many gateways and a core, as often as this machine's clock allows, or not at all.
    pub fn new(on: bool, gateways: usize) -> (Self, StageTimes) {
        if !on {
            return Self::off(gateways);
        }
        let every = |reading_ns| if reading_ns <= READING_NS_MAX { 1 } else { TURNS_PER_SAMPLE };
        Self::now_and_then(every, gateways)
    }

    /// Measures every turn, whatever the clock takes.
    pub fn every_turn(gateways: usize) -> (Self, StageTimes) {
        Self::now_and_then(|_| 1, gateways)
    }

    /// Measures nothing.
    pub fn off(gateways: usize) -> (Self, StageTimes) {
        let watches = Self {
            gateways: (0..gateways).map(|_| GatewayWatches::default()).collect(),
            core: StageWatch::default(),
        };
        (watches, StageTimes::default())
    }

    /// Measures one turn of as many as is said for what a reading of the clock takes, ns.
    fn now_and_then(every: impl FnOnce(u64) -> u32, gateways: usize) -> (Self, StageTimes) {
        let clock = Clock::new();
        let reading_ns = reading_ns(&clock);
        Self::with(&clock, Pace { every: every(reading_ns), reading_ns }, gateways)
    }

    /// Measures by this clock, so often.
    pub(crate) fn with(clock: &Clock, pace: Pace, gateways: usize) -> (Self, StageTimes) {
        let (core, at_core, inputs) = StageWatch::new(clock.clone(), pace);
        let mut agents = vec![at_core.into()];
        let mut told = Vec::new();
        let gateways = (0..gateways).map(|_| {
            let (turns, times, slowest) = StageWatch::new(clock.clone(), pace);
            agents.push(times.into());
            told.push(slowest);
            let hand_over = Stamper { clock: Some(clock.clone()), turns: Turns::new(pace.every) };
            GatewayWatches { turns, hand_over }
        });
        let watches = Self { gateways: gateways.collect(), core };
        (watches, StageTimes { agents, inputs: Some(inputs), told, pace })
    }
}

/// What a reading of a clock takes at best: somebody else may have the processor in between.
fn reading_ns(clock: &Clock) -> u64 {
    const READINGS: u64 = 64;
    const ROUNDS: usize = 64;
    let round = || {
        let start = clock.raw();
        let end = (0..READINGS).fold(start, |_, _| std::hint::black_box(clock.raw()));
        clock.delta_as_nanos(start, end) / READINGS
    };
    (0..ROUNDS).map(|_| round()).min().unwrap_or(0)
}

impl StageTimes {
    /// The times of each stage, in the sequence of an order's way; of no stage when nothing is measured.
    pub fn read(&self) -> Vec<(Stage, Distribution)> {
        if self.agents.is_empty() {
            return Vec::new();
        }
        let all = |stage: Stage| {
            let mut all = Distribution::default();
            self.agents.iter().for_each(|agent| all.add(&agent[stage as usize].read()));
            all
        };
        Stage::ALL.map(|stage| (stage, all(stage))).into()
    }

    /// Takes what was found to be slow since somebody asked last: inputs in ring and core, and frames until those
    /// who are told of them were. Among them are the slowest of each second by the core's stamps.
    pub fn take_slowest(&self, inputs: &mut Vec<Slow>, told: &mut Vec<Slow>) {
        inputs.extend(self.inputs.iter().flat_map(Receiver::try_iter));
        told.extend(self.told.iter().flat_map(Receiver::try_iter));
    }

    /// How often it is measured.
    pub fn pace(&self) -> Pace {
        self.pace
    }
}

/// Picks one turn of so many.
#[derive(Clone, Debug, Default)]
struct Turns {
    /// 0: none.
    every: u32,
    left: u32,
}

impl Turns {
    fn new(every: u32) -> Self {
        Self { every, left: 0 }
    }

    #[inline]
    fn pick(&mut self) -> bool {
        if self.left == 0 {
            self.left = self.every.saturating_sub(1);
            return self.every > 0;
        }
        self.left -= 1;
        false
    }
}

/// Says when batches are handed over.
#[derive(Clone, Debug, Default)]
pub struct Stamper {
    clock: Option<Clock>,
    turns: Turns,
}

/// A reading of the processor's counter; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticks(u64);

impl Ticks {
    /// Whether it is a reading.
    #[inline]
    pub fn is_some(self) -> bool {
        self != Self::default()
    }
}

impl Stamper {
    /// Now; none when this is not to be measured.
    #[inline]
    pub fn stamp(&mut self) -> Ticks {
        match &self.clock {
            Some(clock) if self.turns.pick() => Ticks(clock.raw()),
            _ => Ticks::default(),
        }
    }
}

/// An agent's watch: measures from the end of a stage to that of the next.
#[derive(Debug, Default)]
pub struct StageWatch {
    parts: Option<Box<Parts>>,
    turns: Turns,
    /// This turn is measured; there are parts then.
    is_on: bool,
}

#[derive(Debug)]
struct Parts {
    clock: Clock,
    recorders: [Recorder; Stage::ALL.len()],
    /// When the last stage ended.
    at: u64,
    /// What a reading of the clock takes.
    reading_ns: u64,
    commands: Turns,
    /// The engine's and the journal's times of the command that is split.
    split: [u64; 2],
    /// What the input at hand has taken in the ring, and what the last stage took.
    ring_ns: u64,
    last_ns: u64,
    slowest: Slowest,
}

impl StageWatch {
    fn new(clock: Clock, pace: Pace) -> (Self, [Histogram; Stage::ALL.len()], Receiver<Slow>) {
        let (slowest, found) = Slowest::new();
        let pairs = Stage::ALL.map(|_| histogram());
        let histograms = std::array::from_fn(|at| pairs[at].1.clone());
        let parts = Parts {
            clock,
            recorders: pairs.map(|(recorder, _)| recorder),
            at: 0,
            reading_ns: pace.reading_ns,
            commands: Turns::new(COMMANDS_PER_SPLIT),
            split: [0; 2],
            ring_ns: 0,
            last_ns: 0,
            slowest,
        };
        let watch =
            Self { parts: Some(Box::new(parts)), turns: Turns::new(pace.every), is_on: false };
        (watch, histograms, found)
    }

    /// The parts, in a turn that is measured.
    #[inline]
    fn running(&mut self) -> Option<&mut Parts> {
        if self.is_on { self.parts.as_deref_mut() } else { None }
    }

    /// Begins a turn, and decides whether it is measured.
    #[inline]
    pub fn begin_turn(&mut self) {
        self.is_on = self.turns.pick();
    }

    /// An input begins, of a batch that was handed over then: it is measured, up to the next one, if that is known, and
    /// its wait in the ring ends here.
    #[inline]
    pub fn begin_input(&mut self, handed_over: Ticks) {
        let goes_on = self.is_on;
        self.is_on = handed_over.is_some() && self.parts.is_some();
        if !goes_on {
            self.mark();
        }
        if let Some(parts) = self.running() {
            let ns = parts.clock.delta_as_nanos(handed_over.0, parts.at.max(handed_over.0));
            parts.recorders[Stage::Ring as usize].record(ns);
            parts.ring_ns = ns;
        }
    }

    /// An input was carried out: it may be one of the slowest in ring and core.
    #[inline]
    pub fn end_input(&mut self, sequence: u64, time_ns: u64) {
        if let Some(parts) = self.running() {
            let ns = [parts.ring_ns, parts.last_ns];
            parts.slowest.offer(ns[0] + ns[1], sequence, time_ns, ns);
        }
    }

    /// A frame was told so long after the core's stamp: it may be one of the slowest.
    #[inline]
    pub fn end_response(&mut self, sequence: u64, time_ns: u64, ns: [u64; 2]) {
        if let Some(parts) = self.running() {
            parts.slowest.offer(ns[1], sequence, time_ns, ns);
        }
    }

    /// What the last stage took, ns.
    #[inline]
    pub fn last_ns(&self) -> u64 {
        self.parts.as_ref().map_or(0, |parts| parts.last_ns)
    }

    /// Ends a turn: nothing is measured before the next.
    #[inline]
    pub fn end_turn(&mut self) {
        self.is_on = false;
    }

    /// Whether this turn is measured.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// A stage begins here.
    #[inline]
    pub fn mark(&mut self) {
        if let Some(parts) = self.running() {
            parts.at = parts.clock.raw();
        }
    }

    /// A stage ends here, and the next one begins.
    #[inline]
    pub fn lap(&mut self, stage: Stage) {
        if let Some(parts) = self.running() {
            let ns = parts.lap();
            parts.recorders[stage as usize].record(ns);
            parts.last_ns = ns;
        }
    }

    /// A stage has taken so long, so many times, by another clock.
    #[inline]
    pub fn record_n(&mut self, stage: Stage, ns: u64, times: u64) {
        if let Some(parts) = self.running() {
            parts.recorders[stage as usize].record_n(ns, times);
        }
    }

    /// A command begins: the watch, if its time is to be split, by [`appended`](Self::appended) and
    /// [`matched`](Self::matched) in turn, to be ended by [`end_split`](Self::end_split). What came since the input
    /// before it, to look ahead and to give it a stamp, is the engine's.
    #[inline]
    pub fn split(&mut self) -> Option<&mut Self> {
        let parts = self.running()?;
        if !parts.commands.pick() {
            return None;
        }
        parts.split = [0; 2];
        self.matched();
        Some(self)
    }

    /// The journal's part of a command's time goes to here.
    #[inline]
    pub fn appended(&mut self) {
        self.add(0);
    }

    /// The engine's part goes to here.
    #[inline]
    pub fn matched(&mut self) {
        self.add(1);
    }

    #[inline]
    fn add(&mut self, part: usize) {
        if let Some(parts) = self.running() {
            let ns = parts.lap();
            // A command has some dozens of these readings, all other stages have one.
            parts.split[part] += ns.saturating_sub(parts.reading_ns);
        }
    }

    /// The command is carried out, and the rest was the engine's.
    #[inline]
    pub fn end_split(&mut self) {
        self.matched();
        if let Some(parts) = self.running() {
            let [appended, matched] = parts.split;
            let recorders = &mut parts.recorders;
            recorders[Stage::Append as usize].record(appended);
            recorders[Stage::Match as usize].record(matched);
            parts.last_ns = appended + matched + parts.reading_ns;
            recorders[Stage::Core as usize].record(parts.last_ns);
        }
    }
}

impl Parts {
    /// Time since the end of the last stage, ns.
    #[inline]
    fn lap(&mut self) -> u64 {
        let now = self.clock.raw();
        let ns = self.clock.delta_as_nanos(self.at, now.max(self.at));
        self.at = now;
        ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(times: &StageTimes, stage: Stage) -> u64 {
        times.read().iter().find(|(of, _)| *of == stage).map_or(0, |(_, times)| times.count())
    }

    /// Turns of gateway and core with three inputs each.
    fn turns(watches: &mut StageWatches, turns: u32) {
        let StageWatches { gateways, core } = watches;
        let GatewayWatches { turns: gateway, hand_over } = &mut gateways[0];
        for _ in 0..turns {
            gateway.begin_turn();
            gateway.mark();
            (0..3).for_each(|_| gateway.lap(Stage::Decode));
            let handed_over = hand_over.stamp();
            for _ in 0..3 {
                core.begin_input(handed_over);
                match core.split() {
                    Some(watch) => {
                        watch.appended();
                        watch.matched();
                        watch.appended();
                        watch.end_split();
                    }
                    None => core.lap(Stage::Core),
                }
            }
            core.lap(Stage::Publish);
            core.end_turn();
            // Between turns nothing is measured.
            core.lap(Stage::Core);
        }
    }

    #[test]
    fn all_turns_or_one_of_many_or_none_are_measured() {
        let per_sample = u64::from(TURNS_PER_SAMPLE);
        for every in [1, per_sample] {
            let pace = Pace { every: every as u32, reading_ns: 1 };
            let (mut watches, times) = StageWatches::with(&Clock::new(), pace, 1);
            turns(&mut watches, 8 * TURNS_PER_SAMPLE);
            let measured = 8 * per_sample / every;
            for stage in [Stage::Decode, Stage::Ring, Stage::Core] {
                assert_eq!(count(&times, stage), 3 * measured, "{stage:?}, one in {every}");
            }
            assert_eq!(count(&times, Stage::Publish), measured);
            let split = (3 * measured).div_ceil(COMMANDS_PER_SPLIT.into());
            assert_eq!((count(&times, Stage::Match), count(&times, Stage::Append)), (split, split));
            assert_eq!(times.pace(), pace);
        }
        let (mut watches, times) = StageWatches::new(false, 1);
        turns(&mut watches, 10);
        assert!(times.read().is_empty());
        assert_eq!(times.pace(), Pace::default());
    }

    /// By a clock that stands but for what each part takes: whatever else is in a turn, an input counts as often as any
    /// other, and so does a turn.
    #[test]
    fn of_a_turn_the_batches_that_are_picked_are_measured() {
        let (clock, counter) = Clock::mock();
        let (watches, times) = StageWatches::with(&clock, Pace { every: 3, reading_ns: 1 }, 1);
        let StageWatches { mut core, mut gateways } = watches;
        let hand_over = &mut gateways[0].hand_over;
        let of = |stage: Stage| {
            let all = times.read();
            let (_, times) = &all[stage as usize];
            (times.count(), times.sum_ns())
        };
        let mut turn = |batches: u64, publish_ns: u64| {
            let mut handed_over = Vec::new();
            for _ in 0..batches {
                counter.increment(10);
                handed_over.push(hand_over.stamp());
            }
            counter.increment(1_000);
            for at in handed_over {
                for _ in 0..2 {
                    core.begin_input(at);
                    counter.increment(100);
                    core.lap(Stage::Core);
                }
            }
            counter.increment(publish_ns);
            core.lap(Stage::Publish);
            core.end_turn();
            counter.increment(100_000);
        };
        // The first of three is picked: its inputs wait for none and for one of the same turn.
        turn(3, 50);
        assert_eq!(of(Stage::Ring), (2, 1_020 + 1_120));
        assert_eq!((of(Stage::Core), of(Stage::Publish)), ((2, 200), (0, 0)));
        // It is the last one of a turn, and what was before it in the turn is no part of its time but of its wait.
        turn(1, 60);
        turn(3, 70);
        assert_eq!(of(Stage::Ring), (2 + 2 + 2, 2_140 + 2_100 + 1_400 + 1_500));
        assert_eq!((of(Stage::Core), of(Stage::Publish)), ((6, 600), (2, 130)));
        // Without it nothing is measured.
        turn(2, 80);
        assert_eq!((of(Stage::Ring).0, of(Stage::Core).0, of(Stage::Publish).0), (6, 6, 2));
    }

    #[test]
    fn times_of_all_gateways_are_told_together() {
        let (clock, counter) = Clock::mock();
        let (mut watches, times) = StageWatches::with(&clock, Pace { every: 1, reading_ns: 1 }, 3);
        for (watches, ns) in watches.gateways.iter_mut().zip([10, 200, 3_000]) {
            watches.turns.begin_turn();
            watches.turns.mark();
            counter.increment(ns);
            watches.turns.lap(Stage::Decode);
            assert!(watches.hand_over.stamp().is_some());
        }
        let all = times.read();
        let (_, decode) = &all[Stage::Decode as usize];
        assert_eq!((decode.count(), decode.sum_ns()), (3, 3_210));
    }

    /// By a clock that stands but for what each part takes; a reading of it takes as long as is told.
    #[test]
    fn each_part_of_a_command_has_its_time_and_they_come_to_the_whole() {
        const READING_NS: u64 = 7;
        let (clock, counter) = Clock::mock();
        let (mut watch, histograms, _) =
            StageWatch::new(clock, Pace { every: 1, reading_ns: READING_NS });
        let takes = |ns: u64| counter.increment(ns + READING_NS);
        let of = |stage: Stage| {
            let times = histograms[stage as usize].read();
            (times.count(), times.sum_ns())
        };
        watch.begin_turn();
        counter.increment(1_000_000);
        watch.mark();
        // To look ahead, and the frames of the command and of two events with the engine between them and behind.
        takes(100);
        let split = watch.split().expect("the first command is split");
        takes(20_000);
        split.appended();
        takes(3_000);
        split.matched();
        takes(40_000);
        split.appended();
        takes(500);
        split.end_split();
        assert_eq!((of(Stage::Append), of(Stage::Match)), ((1, 60_000), (1, 3_600)));
        assert_eq!(of(Stage::Core), (1, 63_600 + READING_NS));
        // The others are whole, and no part of what is between them is lost.
        for _ in 1..COMMANDS_PER_SPLIT {
            assert!(watch.split().is_none());
            takes(100);
            watch.lap(Stage::Core);
        }
        let others = u64::from(COMMANDS_PER_SPLIT) - 1;
        assert_eq!(of(Stage::Core), (1 + others, 63_607 + others * (100 + READING_NS)));
        assert_eq!(of(Stage::Append).0, 1);
        assert!(watch.split().is_some());
    }

    /// Whatever its period, each kind of a flow is split as often as the others.
    #[test]
    fn flows_that_repeat_themselves_are_split_evenly() {
        for period in 2..=16 {
            let mut commands = Turns::new(COMMANDS_PER_SPLIT);
            let mut split = vec![0; period];
            for at in 0..10 * period * COMMANDS_PER_SPLIT as usize {
                split[at % period] += u32::from(commands.pick());
            }
            assert_eq!(split, vec![10; period]);
        }
    }

    #[test]
    fn a_reading_takes_its_time() {
        assert!(reading_ns(&Clock::new()) > 0);
    }
}
