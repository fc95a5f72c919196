//! How long requests waited before the core: from the turn in which the gateway read them to the core's stamp.
//!
//! That is what a journal holds of latency, as both times are in the frame of a command. What comes behind the
//! stamp is in the file beside it where the venue kept [stage times](super::stages), and in the metrics of one that
//! runs.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    fmt, mem,
};

use hdrhistogram::Histogram;
use ironbook_engine::{Command, Engine, Event, ExecType, LastLiquidity, SessionId};
use ironbook_gateway::core::BATCH_MAX;
use ironbook_journal::Frame;
use serde_json::{Map, Value, json};

use super::{
    Span, clock, place_json, scan,
    stages::{NONE, Stages, stages},
};
use crate::{
    Fault,
    index::Index,
    moment::Moment,
    show::{Content, Entry, comp_id},
    text::{grouped, micros, utc},
};

/// The longest wait that is told apart, in ns: an hour.
const WAIT_NS_MAX: u64 = 3_600_000_000_000;

/// Significant digits of a wait.
const DIGITS: u8 = 3;

const SECOND_NS: u64 = 1_000_000_000;

/// Inputs of a turn, on each side of a slow one, that are told.
const NEIGHBORS: usize = 2;

/// Shares that are told of waits, in percent; the last one is the longest.
pub const PERCENTILES: [(&str, f64); 5] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("longest", 100.0)];

/// What is in a wait, and what is not.
const MEASURED: &str = "from the turn in which the gateway read a request to the core's stamp: reading, decoding and \
                        the ring are in it";
const NOT_HELD: &str = "matching, journal, reports and network are not in the journal; they are in the stage times \
                        beside it, in the metrics of a running venue, and in the report of ironbook bench";

/// A request that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slow {
    /// From its message received to its frame stamped, in ns.
    pub ns: u64,
    /// Its frame.
    pub sequence: u64,
    /// Its time in ns since 1970.
    pub time_ns: u64,
}

/// How some requests waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// How many they are.
    pub requests: u64,
    /// A value for each of [`PERCENTILES`], in ns; the last is exact, the others to three digits.
    pub ns: [u64; PERCENTILES.len()],
}

/// Waits that are being collected.
pub struct Waits {
    histogram: Histogram<u64>,
    longest_ns: u64,
    /// The slowest, as many as are kept; the first to give way on top.
    slowest: BinaryHeap<Reverse<Slow>>,
    keep: usize,
}

impl Waits {
    /// None yet; so many of the slowest will be kept.
    pub fn new(keep: usize) -> Self {
        let histogram = Histogram::new_with_max(WAIT_NS_MAX, DIGITS);
        let histogram = histogram.expect("bounds that fit each other");
        Self { histogram, longest_ns: 0, slowest: BinaryHeap::new(), keep }
    }

    /// How long the request of a frame waited, if it is a client's; it is counted.
    pub fn take(&mut self, command: &Command, frame: &Frame<'_>) -> Option<Slow> {
        let ns = wait_ns(command, frame.time_ns)?;
        let slow = Slow { ns, sequence: frame.sequence, time_ns: frame.time_ns };
        self.add(slow);
        Some(slow)
    }

    fn add(&mut self, slow: Slow) {
        self.histogram.saturating_record(slow.ns);
        self.longest_ns = self.longest_ns.max(slow.ns);
        if self.slowest.len() < self.keep {
            self.slowest.push(Reverse(slow));
        } else if let Some(mut least) = self.slowest.peek_mut()
            && least.0 < slow
        {
            *least = Reverse(slow);
        }
    }

    /// Whether one that was counted is among the slowest.
    fn is_kept(&self, slow: &Slow) -> bool {
        self.slowest.peek().is_some_and(|Reverse(least)| least <= slow)
    }

    /// Those that were counted.
    pub fn quantiles(&self) -> Quantiles {
        let requests = self.histogram.len();
        if requests == 0 {
            return Quantiles::default();
        }
        // A bucket is told by its end.
        let value = |percentile| self.histogram.value_at_percentile(percentile);
        let mut ns = PERCENTILES.map(|(_, at)| value(at).min(self.longest_ns));
        ns[PERCENTILES.len() - 1] = self.longest_ns;
        Quantiles { requests, ns }
    }

    /// Forgets all.
    fn clear(&mut self) {
        self.histogram.reset();
        self.longest_ns = 0;
        self.slowest.clear();
    }

    /// Those that waited longest, slowest first.
    pub fn slowest(&self) -> Vec<Slow> {
        let ascending = self.slowest.clone().into_sorted_vec();
        ascending.into_iter().map(|Reverse(slow)| slow).collect()
    }
}

/// From a client's message received to its command stamped, in ns; none for what no client sent.
pub fn wait_ns(command: &Command, stamp_ns: u64) -> Option<u64> {
    command.received().map(|received| stamp_ns.saturating_sub(received.0))
}

/// How long requests waited.
#[derive(Clone, Debug)]
pub struct Latency {
    /// The part that was looked at.
    pub span: Span,
    /// All of it.
    pub all: Quantiles,
    /// Each second with requests: when it began, in ns since 1970.
    pub seconds: Vec<(u64, Quantiles)>,
    /// Slowest first.
    pub slowest: Vec<Row>,
    /// Stage times, where the venue kept them.
    pub stages: Option<Stages>,
    /// Rows for people at the most.
    limit: usize,
}

/// An input, as it is told.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its frame.
    pub sequence: u64,
    /// How long it waited, in ns, if a client sent it.
    pub wait_ns: Option<u64>,
    /// Who, then.
    pub comp_id: Option<String>,
    /// What it is.
    pub what: String,
}

/// A slow request, and what was around it.
#[derive(Clone, Debug)]
pub struct Row {
    /// How long it waited, and where it is.
    pub slow: Slow,
    /// What it is, and whose.
    pub own: Input,
    /// The turn of the core that it was carried out in.
    pub turn: Turn,
    /// Its neighbors in that turn.
    pub neighbors: Vec<Input>,
}

/// What the core carried out in a turn, as far as a journal tells: inputs that have one stamp, [`BATCH_MAX`] at the
/// most. While a clock that was set back has not caught up, shorter turns are told as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Its stamp, in ns since 1970.
    pub time_ns: u64,
    /// Time since the stamp of the turn before, in ns; none for the first one.
    pub since_last_ns: Option<u64>,
    /// Sequences of its inputs.
    pub inputs: Vec<u64>,
    /// Whose they are, each once.
    pub clients: BTreeSet<SessionId>,
    /// Events that followed.
    pub events: u64,
    /// Trades among them.
    pub trades: u64,
}

impl Turn {
    /// Place of an input in it, from 1.
    fn place_of(&self, sequence: u64) -> usize {
        self.inputs.partition_point(|input| *input <= sequence)
    }

    /// The inputs beside one.
    fn around(&self, sequence: u64) -> impl Iterator<Item = u64> {
        let at = self.place_of(sequence);
        let (from, to) = (at.saturating_sub(NEIGHBORS + 1), self.inputs.len().min(at + NEIGHBORS));
        self.inputs[from..to].iter().copied().filter(move |input| *input != sequence)
    }
}

struct Counting {
    all: Waits,
    second_ns: u64,
    second: Waits,
    seconds: Vec<(u64, Quantiles)>,
    /// The turn that is being read, and the request in it that waited longest.
    turn: Turn,
    longest: Option<Slow>,
    /// By their first sequence, those whose longest wait is among the slowest, with that.
    turns: BTreeMap<u64, (Slow, Turn)>,
}

/// How requests in a part of a journal waited, with the `limit` slowest and their neighbors.
///
/// Takes memory for each second of it in which something happened: 5 MiB a day.
///
/// # Errors
/// [`Fault`]: the journal can't be read, or holds no command.
pub fn latency(index: &Index, span: Span, limit: usize) -> Result<Latency, Fault> {
    let mut found = Counting {
        all: Waits::new(limit),
        second_ns: 0,
        second: Waits::new(0),
        seconds: Vec::new(),
        turn: Turn::default(),
        longest: None,
        turns: BTreeMap::new(),
    };
    scan(index, &[], span, |frame| found.take(frame))?;
    found.end_turn(0);
    found.end_second();
    let end = Moment::end(index)?;
    let names = super::engine(&end)?;
    let rows: Vec<_> =
        found.all.slowest().into_iter().map(|slow| (slow, found.turn_of(&slow))).collect();
    let around =
        rows.iter().flat_map(|(slow, turn)| turn.around(slow.sequence).chain([slow.sequence]));
    let inputs = Input::read_all(index, names, &around.collect())?;
    let input = |sequence: u64| inputs.get(&sequence).cloned().ok_or_else(|| gone(sequence));
    let mut slowest = Vec::new();
    for (slow, turn) in rows {
        let neighbors = turn.around(slow.sequence).map(input).collect::<Result<_, _>>()?;
        slowest.push(Row { slow, own: input(slow.sequence)?, turn, neighbors });
    }
    let stages = stages(index, names, span, limit)?;
    let all = found.all.quantiles();
    Ok(Latency { span, all, seconds: found.seconds, slowest, stages, limit })
}

impl Input {
    pub(super) fn read(index: &Index, names: &Engine, sequence: u64) -> Result<Self, Fault> {
        let entries = super::input_at(index, sequence)?;
        let entry = entries.first().ok_or_else(|| gone(sequence))?;
        Ok(Self::of(entry, names))
    }

    /// Inputs by their sequences, in one pass over the blocks that hold some of them.
    fn read_all(
        index: &Index,
        names: &Engine,
        wanted: &BTreeSet<u64>,
    ) -> Result<BTreeMap<u64, Self>, Fault> {
        let mut found = BTreeMap::new();
        for block in index.blocks() {
            let here = wanted.range(block.first_sequence..=block.last_sequence);
            let Some(&last) = here.clone().next_back() else { continue };
            let mut here = here.peekable();
            index.read_block(&block, |frame| {
                if here.next_if(|wanted| **wanted == frame.sequence).is_some() {
                    found.insert(frame.sequence, Self::of(&Entry::of(frame), names));
                }
                frame.sequence < last
            })?;
        }
        Ok(found)
    }

    fn of(entry: &Entry, names: &Engine) -> Self {
        let command = match &entry.content {
            Content::Command(command) => Some(&**command),
            _ => None,
        };
        let client = command.and_then(Command::client);
        Self {
            sequence: entry.sequence,
            wait_ns: command.and_then(|command| wait_ns(command, entry.time_ns)),
            comp_id: client.map(|session| comp_id(names, session)),
            what: format!("{}: {}", entry.name(), entry.text(names)),
        }
    }
}

fn gone(sequence: u64) -> Fault {
    Fault::NotFound(format!("sequence {sequence} is not in the journal any more"))
}

impl Counting {
    /// The turn in which a slow request was carried out.
    fn turn_of(&self, slow: &Slow) -> Turn {
        let before = self.turns.range(..=slow.sequence).next_back();
        before.map(|(_, (_, turn))| turn.clone()).unwrap_or_default()
    }

    fn take(&mut self, frame: &Frame<'_>) {
        let is_event = Event::is_kind(frame.kind);
        let is_full = !is_event && self.turn.inputs.len() == BATCH_MAX;
        if frame.time_ns != self.turn.time_ns || is_full {
            self.end_turn(frame.time_ns);
        }
        let second_ns = frame.time_ns / SECOND_NS * SECOND_NS;
        if second_ns != self.second_ns {
            self.end_second();
            self.second_ns = second_ns;
        }
        if is_event {
            self.turn.events += 1;
            if let Ok(Event::Execution(event)) = Event::decode(frame.kind, frame.payload) {
                let removed = event.last_liquidity == LastLiquidity::Removed;
                self.turn.trades += u64::from(event.exec_type == ExecType::Trade && removed);
            }
            return;
        }
        self.turn.inputs.push(frame.sequence);
        if let Ok(command) = Command::decode(frame.kind, frame.payload)
            && let Some(slow) = self.all.take(&command, frame)
        {
            self.longest = self.longest.max(Some(slow));
            self.second.take(&command, frame);
            self.turn.clients.extend(command.client());
        }
    }

    fn end_second(&mut self) {
        let quantiles = self.second.quantiles();
        if quantiles.requests > 0 {
            self.seconds.push((self.second_ns, quantiles));
            self.second.clear();
        }
    }

    /// Keeps the turn that was read, if a request in it is among the slowest, and begins the next.
    fn end_turn(&mut self, next_ns: u64) {
        let last_ns = self.turn.time_ns;
        let since_last_ns = (last_ns > 0).then(|| next_ns.saturating_sub(last_ns));
        let next = Turn { time_ns: next_ns, since_last_ns, ..Turn::default() };
        let turn = mem::replace(&mut self.turn, next);
        if let (Some(longest), Some(first)) = (self.longest.take(), turn.inputs.first())
            && self.all.is_kept(&longest)
        {
            self.turns.insert(*first, (longest, turn));
            // Now and then, so that it costs no more than to keep them.
            if self.turns.len() > 2 * self.all.keep {
                self.turns.retain(|_, (longest, _)| self.all.is_kept(longest));
            }
        }
    }
}

impl Quantiles {
    fn json(&self) -> Value {
        let told = PERCENTILES.iter().zip(self.ns);
        let mut fields: Map<_, _> = told
            .map(|((name, _), ns)| (format!("{}_ns", name.replace('.', "_")), ns.into()))
            .collect();
        fields.insert("requests".into(), self.requests.into());
        fields.into()
    }

    fn row(&self) -> String {
        let ns = self.ns.map(|ns| format!(" {:>12}", micros(ns))).concat();
        format!("{:>12}{ns}", grouped(self.requests))
    }
}

impl Latency {
    /// The seconds in which requests waited longest, by p99, as many as rows are told.
    fn worst_seconds(&self) -> Vec<(u64, Quantiles)> {
        const P99: usize = 2;
        let mut worst = self.seconds.clone();
        worst.sort_by_key(|(_, quantiles)| Reverse((quantiles.ns[P99], quantiles.ns)));
        worst.truncate(self.limit);
        worst
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let second = |(time_ns, quantiles): &(u64, Quantiles)| {
            let mut value = quantiles.json();
            value["time_ns"] = (*time_ns).into();
            value["time"] = utc(*time_ns).into();
            value
        };
        json!({
            "first_sequence": self.span.first,
            "last_sequence": self.span.last,
            "measured": MEASURED,
            "not_in_the_journal": NOT_HELD,
            "all": self.all.json(),
            "seconds": self.seconds.iter().map(second).collect::<Vec<_>>(),
            "slowest": self.slowest.iter().map(Row::json).collect::<Vec<_>>(),
            "stages": self.stages.as_ref().map(Stages::json),
        })
    }
}

impl Row {
    fn json(&self) -> Value {
        let input = |input: &Input| {
            json!({
                "sequence": input.sequence,
                "wait_ns": input.wait_ns,
                "comp_id": input.comp_id,
                "what": input.what,
            })
        };
        let mut value = place_json(self.slow.sequence, self.slow.time_ns);
        value["wait_ns"] = self.slow.ns.into();
        value["comp_id"] = self.own.comp_id.as_deref().into();
        value["what"] = self.own.what.as_str().into();
        value["turn"] = json!({
            "place": self.turn.place_of(self.slow.sequence),
            "inputs": self.turn.inputs.len(),
            "clients": self.turn.clients.len(),
            "events": self.turn.events,
            "trades": self.turn.trades,
            "since_last_ns": self.turn.since_last_ns,
        });
        value["neighbors"] = self.neighbors.iter().map(input).collect();
        value
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const INDENT: &str = "                                          ";
        let Self { slow, own, turn, neighbors } = self;
        let (wait, time) = (micros(slow.ns), clock(slow.time_ns));
        write!(f, "\n  {wait:>12} {:>12} {time}  {}", slow.sequence, own.what)?;
        let since = turn
            .since_last_ns
            .map_or("the first".to_owned(), |ns| format!("{} after the one before", micros(ns)));
        write!(
            f,
            "\n{INDENT}its turn: {since}; this is input {} of {}; clients {}, events {}, trades {}",
            turn.place_of(slow.sequence),
            turn.inputs.len(),
            turn.clients.len(),
            turn.events,
            turn.trades,
        )?;
        for input in neighbors {
            let place = if input.sequence < slow.sequence { "before" } else { "behind" };
            let wait = input.wait_ns.map_or(String::new(), |ns| format!("; waited {}", micros(ns)));
            write!(f, "\n{INDENT}{place} it: {}{wait}", input.what)?;
        }
        Ok(())
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Sequence     {} to {}", self.span.first, self.span.last)?;
        writeln!(f, "Measured     {MEASURED}")?;
        writeln!(f, "Not held     {NOT_HELD}")?;
        let names = PERCENTILES.map(|(name, _)| format!(" {name:>12}")).concat();
        write!(f, "\n  {:<16} {:>12}{names}", "second", "requests")?;
        write!(f, "\n  {:<16} {}", "all", self.all.row())?;
        for (time_ns, quantiles) in self.worst_seconds() {
            write!(f, "\n  {:<16} {}", &clock(time_ns)[..8], quantiles.row())?;
        }
        let left = self.seconds.len().saturating_sub(self.limit);
        if left > 0 {
            write!(f, "\n  and {left} more; --json has all")?;
        }
        write!(f, "\n\n  {:>12} {:>12} {:<15}  slowest", "waited", "sequence", "time")?;
        self.slowest.iter().try_for_each(|row| row.fmt(f))?;
        match &self.stages {
            Some(stages) => write!(f, "\n\n{stages}"),
            None => write!(f, "\n\nStages       {NONE}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_are_kept() {
        const KEEP: u64 = 100;
        let mut waits = Waits::new(KEEP as usize);
        let all = (0..10 * KEEP).map(|at| at * 7_919 % 10_007);
        for (sequence, ns) in (0..).zip(all.clone()) {
            waits.add(Slow { ns, sequence, time_ns: sequence });
        }
        let mut sorted: Vec<_> = all.collect();
        sorted.sort_unstable_by_key(|ns| Reverse(*ns));
        let slowest: Vec<_> = waits.slowest().iter().map(|slow| slow.ns).collect();
        assert_eq!(slowest, sorted[..KEEP as usize]);
        let quantiles = waits.quantiles();
        assert_eq!((quantiles.requests, quantiles.ns[4]), (10 * KEEP, sorted[0]));
        let half = sorted[5 * KEEP as usize];
        assert!(quantiles.ns[0].abs_diff(half) <= half / 1_000 + 1, "{quantiles:?}, {half}");
        let mut none = Waits::new(0);
        none.add(Slow { ns: 5, sequence: 1, time_ns: 1 });
        assert_eq!((none.slowest(), none.quantiles().requests), (Vec::new(), 1));
        assert_eq!(Waits::new(3).quantiles(), Quantiles::default());
    }
}
