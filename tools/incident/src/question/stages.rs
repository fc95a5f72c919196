//! What orders took their time for, stage by stage: from the file that a venue keeps beside its journal, which need
//! not be there.

use std::{cmp::Reverse, collections::BTreeMap, fmt};

use ironbook_engine::Engine;
use ironbook_gateway::{
    slowest::Slow,
    stage_log::{self, QUANTILE_NAMES, StageRecord, StageSecond},
    stages::Stage,
};
use serde_json::{Map, Value, json};

use super::{Span, clock, latency::Input};
use crate::{
    Fault,
    index::Index,
    show::Entry,
    text::{grouped, micros, utc},
};

/// What is said where a venue kept no stage times.
pub const NONE: &str = "none beside the journal: a venue keeps them where it has metrics.listen, unless metrics.stages is \
                        false or metrics.stages_bytes 0";

/// Places of quantiles in a record.
const P50: usize = 0;
const P99: usize = 2;
const LONGEST: usize = 4;

/// What is known of an input that was among the slowest of its second, in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// In the ring, and in the core, if it was among the slowest there.
    pub core: Option<[u64; 2]>,
    /// To make messages of a frame of it, and from the core's stamp until they were written, if that was among the
    /// slowest.
    pub told: Option<[u64; 2]>,
}

/// An input that was among the slowest of its second.
#[derive(Clone, Debug)]
pub struct SlowInput {
    /// What it is, whose, and how long it waited before the core, which the ring is a part of.
    pub own: Input,
    /// The core's stamp, in ns since 1970.
    pub time_ns: u64,
    /// What it took.
    pub taken: Taken,
    /// The inputs before and behind it.
    pub neighbors: Vec<Input>,
}

/// A stage over some seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageSum {
    /// Which.
    pub stage: Stage,
    /// Its values.
    pub count: u64,
    /// The p50 of the second in the middle, by p50, in ns.
    pub p50_ns: u64,
    /// The p99 of the worst second, in ns.
    pub p99_ns: u64,
    /// The longest value, in ns, and the second that has it.
    pub longest: (u64, u64),
}

/// Stage times of a part of a journal.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    /// Seconds in which frames of that part were followed.
    pub seconds: Vec<StageRecord>,
    /// What is wrong with the files.
    pub notes: Vec<String>,
    /// Slowest first, by the time from being read to the last that is known.
    pub slowest: Vec<SlowInput>,
    /// Rows for people at the most.
    limit: usize,
}

/// All records beside a journal, and what is wrong with the files.
fn records(index: &Index, mut each: impl FnMut(StageRecord)) -> Vec<String> {
    match stage_log::read(index.dir(), &mut each) {
        Ok(damaged) => damaged.iter().map(ToString::to_string).collect(),
        Err(error) => vec![format!("stage times can't be read: {error}")],
    }
}

/// The seconds of a part of a journal, without the slowest inputs; none where no venue kept any.
pub fn kept(index: &Index, span: Span) -> Option<Stages> {
    let mut found = Stages::default();
    found.notes = records(index, |record| {
        let last = record.first_sequence.saturating_add(record.frames);
        if record.first_sequence <= span.last && last > span.first {
            found.seconds.push(record);
        }
    });
    (!found.seconds.is_empty() || !found.notes.is_empty()).then_some(found)
}

/// Stage times of a part of a journal, with the `limit` slowest inputs that are known; none where no venue kept any.
///
/// # Errors
/// [`Fault`]: the journal can't be read.
pub fn stages(
    index: &Index,
    names: &Engine,
    span: Span,
    limit: usize,
) -> Result<Option<Stages>, Fault> {
    let Some(mut found) = kept(index, span) else { return Ok(None) };
    found.limit = limit;
    found.find_slowest(index, names, span)?;
    Ok(Some(found))
}

/// What is known of inputs and the frames that followed from them, by the sequences of both and the core's stamp.
///
/// Stage times are not synced with the journal: after a loss of power they may be of frames that it has no more, and
/// whose sequences others have.
#[derive(Default)]
pub(super) struct Known {
    inputs: BTreeMap<(u64, u64), [u64; 2]>,
    told: BTreeMap<(u64, u64), [u64; 2]>,
}

impl Known {
    /// All that is known beside a journal.
    pub(super) fn of(index: &Index) -> Self {
        let mut known = Self::default();
        records(index, |record| known.add(&record));
        known
    }

    fn add(&mut self, record: &StageRecord) {
        let pair = |slow: &Slow| ((slow.sequence, slow.time_ns), slow.ns);
        self.inputs.extend(record.inputs.iter().map(pair));
        self.told.extend(record.told.iter().map(pair));
    }

    /// What is known of an input by its frames, its own first.
    pub(super) fn taken(&self, frames: &[Entry]) -> Taken {
        let place = |entry: &Entry| (entry.sequence, entry.time_ns);
        let told = frames.iter().filter_map(|entry| self.told.get(&place(entry)));
        Taken {
            core: frames.first().and_then(|input| self.inputs.get(&place(input))).copied(),
            told: told.copied().max_by_key(|ns| ns[1]),
        }
    }
}

/// The input that is, or has brought about, a frame; none where the journal does not hold it any more.
fn input_of(index: &Index, sequence: u64) -> Result<Option<u64>, Fault> {
    match index.input_of(sequence) {
        Err(Fault::NotFound(_)) => Ok(None),
        found => found.map(Some),
    }
}

impl Stages {
    fn find_slowest(&mut self, index: &Index, names: &Engine, span: Span) -> Result<(), Fault> {
        let mut known = Known::default();
        self.seconds.iter().for_each(|record| known.add(record));
        let slowest = |of: fn(&StageRecord) -> &[Slow]| {
            let mut all: Vec<_> = self.seconds.iter().flat_map(of).collect();
            all.retain(|slow| span.holds(slow.sequence) && slow.sequence <= index.last_sequence());
            all.sort_by_key(|slow| Reverse(**slow));
            all.truncate(self.limit);
            all.iter().map(|slow| slow.sequence).collect::<Vec<_>>()
        };
        let places =
            slowest(|record| &record.told).into_iter().chain(slowest(|record| &record.inputs));
        let inputs = places.map(|sequence| input_of(index, sequence));
        let mut inputs: Vec<_> =
            inputs.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        inputs.sort_unstable();
        inputs.dedup();
        for input in inputs {
            let entries = super::input_at(index, input)?;
            let taken = known.taken(&entries);
            if !taken.is_known() {
                continue;
            }
            let behind = input + entries.len() as u64;
            let around = [input.checked_sub(1), Some(behind)].into_iter().flatten();
            let around =
                around.filter(|at| (index.first_sequence()..=index.last_sequence()).contains(at));
            let mut neighbors = Vec::new();
            for at in around {
                if let Some(at) = input_of(index, at)? {
                    neighbors.push(Input::read(index, names, at)?);
                }
            }
            self.slowest.push(SlowInput {
                own: Input::read(index, names, input)?,
                time_ns: entries.first().map_or(0, |entry| entry.time_ns),
                taken,
                neighbors,
            });
        }
        self.slowest.sort_by_key(|slow| (Reverse(slow.total_ns()), slow.own.sequence));
        self.slowest.truncate(self.limit);
        Ok(())
    }

    /// Each stage over all seconds; those that have no values are left out.
    pub fn sums(&self) -> Vec<StageSum> {
        let sum = |stage: Stage| {
            let mut seconds: Vec<(u64, &StageSecond)> = self
                .seconds
                .iter()
                .map(|record| (record.from_ns, record.stage(stage)))
                .filter(|(_, of)| of.count > 0)
                .collect();
            seconds.sort_by_key(|(_, of)| of.ns[P50]);
            let middle = seconds.get(seconds.len().checked_sub(1)? / 2)?;
            let longest = seconds.iter().max_by_key(|(at, of)| (of.ns[LONGEST], Reverse(*at)))?;
            Some(StageSum {
                stage,
                count: seconds.iter().map(|(_, of)| of.count).sum(),
                p50_ns: middle.1.ns[P50],
                p99_ns: seconds.iter().map(|(_, of)| of.ns[P99]).max()?,
                longest: (longest.1.ns[LONGEST], longest.0),
            })
        };
        Stage::ALL.into_iter().filter_map(sum).collect()
    }

    /// The seconds in which clients were told latest, by p99, as many as rows are told.
    fn worst_seconds(&self) -> Vec<&StageRecord> {
        let mut worst: Vec<_> = self.seconds.iter().collect();
        worst.sort_by_key(|record| {
            Reverse([Stage::Respond, Stage::Core].map(|stage| record.stage(stage).ns[P99]))
        });
        worst.truncate(self.limit);
        worst
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let stage = |of: &StageSecond| {
            let mut value: Map<_, _> = QUANTILE_NAMES
                .iter()
                .zip(of.ns)
                .map(|(name, ns)| (format!("{}_ns", name.replace('.', "_")), ns.into()))
                .collect();
            value.insert("count".into(), of.count.into());
            Value::from(value)
        };
        let second = |record: &StageRecord| {
            let stages = Stage::ALL.into_iter().filter(|of| record.stage(*of).count > 0);
            let stages = stages.map(|of| (of.name().to_owned(), stage(record.stage(of))));
            json!({
                "time_ns": record.from_ns,
                "time": utc(record.from_ns),
                "length_ns": record.length_ns,
                "first_sequence": record.first_sequence,
                "frames": record.frames,
                "turns_per_sample": record.every,
                "stages": stages.collect::<Map<_, _>>(),
            })
        };
        let sum = |sum: &StageSum| {
            json!({
                "stage": sum.stage.name(),
                "count": sum.count,
                "p50_ns_of_the_middle_second": sum.p50_ns,
                "p99_ns_of_the_worst_second": sum.p99_ns,
                "longest_ns": sum.longest.0,
                "longest_in_the_second_ns": sum.longest.1,
            })
        };
        json!({
            "notes": self.notes,
            "stages": self.sums().iter().map(sum).collect::<Vec<_>>(),
            "seconds": self.seconds.iter().map(second).collect::<Vec<_>>(),
            "slowest": self.slowest.iter().map(SlowInput::json).collect::<Vec<_>>(),
        })
    }
}

impl Taken {
    /// Whether anything is known.
    pub fn is_known(&self) -> bool {
        self.core.is_some() || self.told.is_some()
    }

    /// What is known, by its name.
    fn parts(&self) -> [(&'static str, Option<u64>); 4] {
        let (core, told) = (self.core, self.told);
        [
            ("ring", core.map(|ns| ns[0])),
            ("core", core.map(|ns| ns[1])),
            ("encode", told.map(|ns| ns[0])),
            ("respond", told.map(|ns| ns[1])),
        ]
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let parts = self.parts().into_iter();
        parts.map(|(name, ns)| (format!("{name}_ns"), ns.into())).collect::<Map<_, _>>().into()
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.parts().into_iter().filter_map(|(name, ns)| Some((name, ns?)));
        let texts: Vec<_> = known.map(|(name, ns)| format!("{name} {}", micros(ns))).collect();
        f.write_str(&texts.join(", "))
    }
}

impl SlowInput {
    /// From being read to the last that is known, in ns.
    pub fn total_ns(&self) -> u64 {
        let [.., core, _, respond] = self.taken.parts().map(|(_, ns)| ns);
        let behind = respond.or(core).unwrap_or(0);
        // What no client sent was not read: its wait is that in the ring.
        let before = self.own.wait_ns.or(self.taken.core.map(|ns| ns[0])).unwrap_or(0);
        before.saturating_add(behind)
    }

    fn json(&self) -> Value {
        let neighbor = |input: &Input| json!({ "sequence": input.sequence, "what": input.what });
        let mut value = self.taken.json();
        value["sequence"] = self.own.sequence.into();
        value["time_ns"] = self.time_ns.into();
        value["time"] = utc(self.time_ns).into();
        value["wait_ns"] = self.own.wait_ns.into();
        value["total_ns"] = self.total_ns().into();
        value["comp_id"] = self.own.comp_id.as_deref().into();
        value["what"] = self.own.what.as_str().into();
        value["neighbors"] = self.neighbors.iter().map(neighbor).collect();
        value
    }
}

impl fmt::Display for SlowInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const INDENT: usize = 42;
        let (total, time) = (micros(self.total_ns()), clock(self.time_ns));
        write!(f, "\n  {total:>12} {:>12} {time}  {}", self.own.sequence, self.own.what)?;
        let wait = self.own.wait_ns.map_or(String::new(), |ns| format!("waited {}, ", micros(ns)));
        write!(f, "\n{:INDENT$}{wait}{}", "", self.taken)?;
        for input in &self.neighbors {
            let place = if input.sequence < self.own.sequence { "before" } else { "behind" };
            write!(f, "\n{:INDENT$}{place} it: {}", "", input.what)?;
        }
        Ok(())
    }
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let every = self.seconds.iter().map(|record| record.every).max().unwrap_or(1);
        let seconds = grouped(self.seconds.len() as u64);
        write!(f, "Stages       kept beside the journal, of seconds: {seconds}")?;
        if every > 1 {
            write!(f, ", one turn of {every} measured")?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "\n             {note}"))?;
        write!(
            f,
            "\n\n  {:<9} {:>12} {:>12} {:>12} {:>12}  in the second from",
            "stage", "values", "usual p50", "worst p99", "longest"
        )?;
        for StageSum { stage, count, p50_ns, p99_ns, longest } in self.sums() {
            let [p50, p99, most] = [p50_ns, p99_ns, longest.0].map(micros);
            write!(
                f,
                "\n  {:<9} {:>12} {p50:>12} {p99:>12} {most:>12}  {}",
                stage.name(),
                grouped(count),
                clock(longest.1)
            )?;
        }
        let names = Stage::ALL.map(|stage| format!(" {:>11}", stage.name())).concat();
        write!(f, "\n\n  {:<15} {:>8}{names}", "p99 of a second", "inputs")?;
        for record in self.worst_seconds() {
            let inputs = grouped(record.stage(Stage::Core).count);
            let p99 = Stage::ALL.map(|stage| match record.stage(stage) {
                StageSecond { count: 0, .. } => format!(" {:>11}", "-"),
                of => format!(" {:>11}", micros(of.ns[P99])),
            });
            write!(f, "\n  {} {inputs:>8}{}", clock(record.from_ns), p99.concat())?;
        }
        let left = self.seconds.len().saturating_sub(self.limit);
        if left > 0 {
            write!(f, "\n  and {left} more; --json has all")?;
        }
        write!(
            f,
            "\n\n  {:>12} {:>12} {:<15}  slowest, of each second",
            "took", "sequence", "time"
        )?;
        self.slowest.iter().try_for_each(|slow| slow.fmt(f))
    }
}
