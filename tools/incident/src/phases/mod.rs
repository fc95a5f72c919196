//! When the venue ran, when instruments were open, and when nothing happened: a journal from one end to the
//! other, by its frames and the headers of its segments alone.
//!
//! It needs no index and no engine, so it answers for journals of other rules too, and for a damaged one up to
//! the damage. One pass; the bounds of what is kept are constants here.
//!
//! No frame says that a venue starts. A start is seen by what it journals: limits, instruments, sessions,
//! risk limits, roles and throttles that are new, sessions that were logged on when the venue before it died; by a
//! status that no operator asked for, unless it is of a halt of all instruments, as the audit does it; or by a session
//! that begins behind a stop.
//! One that had nothing to say leaves no frame, but an epoch in the header of a segment.

mod fold;

use std::{collections::VecDeque, fmt, path::Path};

use ironbook_engine::{InstrumentId, InstrumentStatus, Sequence};
use ironbook_gateway::{operator, replay::PlayError, snapshot::oldest_usable};
use ironbook_journal::{FileStorage, Reader, SegmentInfo};
use serde_json::{Value, json};

use crate::{
    Damage, Fault,
    question::place_json,
    text::{build, duration, grouped, hash, utc},
};
use fold::Fold;

/// Without a frame for so long nothing ran, or nobody was logged on: twice the longest heartbeat interval that a
/// venue grants where nothing else is configured.
pub const SILENCE_NS_MIN: u64 = 120_000_000_000;
/// Starts that are kept, the latest.
pub const RUNS_MAX: usize = 1_000;
/// Silences that are kept, the longest.
pub const SILENCES_MAX: usize = 100;
/// Actions of the venue that are kept, the latest.
pub const ACTIONS_MAX: usize = 1_000;
/// Statuses of each instrument that are kept, the latest.
pub const STATUSES_MAX: usize = 64;
/// Changes of the program or its configuration that are kept, the latest.
pub const WRITERS_MAX: usize = 1_000;

/// Rows of each kind for people; programs get all that is kept.
const LISTED_MAX: usize = 10;

/// A frame's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its sequence.
    pub sequence: u64,
    /// Its time, in ns since 1970.
    pub time_ns: u64,
}

/// The latest of many, `MAX` at the most, and how many there were before.
#[derive(Clone, Debug)]
pub struct Latest<T, const MAX: usize> {
    /// In the sequence of the journal.
    pub kept: VecDeque<T>,
    /// Those before, which are not kept.
    pub before: u64,
}

/// By what a start is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The journal begins with it.
    First,
    /// The journal's beginning is gone: the venue may have run before.
    Unknown,
    /// It journaled what was new, or whom the venue before it lost.
    Announced,
    /// A session began after the venue had said that it stops.
    Session,
}

/// A time in which the venue ran, from one start that is seen to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its first frame.
    pub first: Place,
    /// Its last frame.
    pub last: Place,
    /// By what its start is seen.
    pub sign: Sign,
    /// From the frame before it, in ns; none where there is none.
    pub silence_ns: Option<u64>,
    /// Whether its start set limits.
    pub limits: bool,
    /// Instruments that its start made known.
    pub instruments: u64,
    /// Statuses that its start set.
    pub statuses: u64,
    /// Sessions that its start made known.
    pub sessions: u64,
    /// Roles that its start gave to sessions.
    pub roles: u64,
    /// Sessions whose risk limits its start changed.
    pub risk_limits: u64,
    /// Throttles that its start gave to sessions, or took from them.
    pub throttles: u64,
    /// Sessions that were logged on when the venue before it died.
    pub lost: u64,
    /// Where it first told a client that it stops.
    pub stop: Option<Place>,
    /// Requests of clients.
    pub requests: Rates,
}

/// Requests, and the second that had most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// All of them.
    pub all: u64,
    /// Those of the second that had most, the first of such.
    pub peak: u64,
    /// When it began, in ns since 1970.
    pub peak_ns: u64,
    /// Sequence of its first request.
    pub peak_sequence: u64,
    second_ns: u64,
    in_second: u64,
    first_in_second: u64,
}

/// A time without frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// The frame before it.
    pub from: Place,
    /// The frame behind it.
    pub to: Place,
}

/// What was done outside of a start: statuses of instruments that the venue set by itself or an operator with one
/// action, one after the other, or what an operator did to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The first frame.
    pub first: Place,
    /// The last command.
    pub last: Place,
    before: Option<Place>,
    /// Who set them.
    pub by: By,
    /// How many became open, halted, closed.
    pub statuses: [u64; 3],
    /// What was done to which session, by comp id.
    pub session: Option<(operator::Action, String)>,
}

/// Who set a status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// It is so from the definition on, or was so before the first frame.
    #[default]
    Nobody,
    /// The venue, by the configuration of a start.
    Start,
    /// The venue by itself.
    Venue,
    /// The session with this comp id.
    Session(String),
    /// An operator.
    Operator {
        /// Who.
        name: String,
        /// Why.
        reason: String,
    },
}

/// A status from one place on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The status; it lasts until the next one.
    pub status: InstrumentStatus,
    /// Since when; none where it was so before the first frame.
    pub from: Option<Place>,
    /// Who set it.
    pub by: By,
}

/// An instrument over time.
#[derive(Clone, Debug)]
pub struct Instrument {
    /// Its symbol.
    pub symbol: String,
    /// Its statuses.
    pub statuses: Latest<Status, STATUSES_MAX>,
}

/// Who wrote segments: a program under a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenBy {
    /// The first segment that was begun so.
    pub segment: u64,
    /// Sequence of its first frame.
    pub first_sequence: u64,
    /// When it was begun, in ns since 1970.
    pub created_ns: u64,
    /// The program.
    pub build: String,
    /// Hash of the configuration.
    pub config_hash: u64,
}

/// A journal over time.
#[derive(Clone, Debug)]
pub struct Phases {
    /// Sequence of the first frame that the directory holds, or will.
    pub first_sequence: u64,
    /// First and last frame; none where there is no frame.
    pub ends: Option<(Place, Place)>,
    /// Frames.
    pub frames: u64,
    /// Requests of clients.
    pub requests: Rates,
    /// Starts that are seen, and what came of them.
    pub runs: Latest<Run, RUNS_MAX>,
    /// How often the journal was opened to be written, by the epochs of segments; none where they do not tell.
    pub opened: Option<u32>,
    /// Times without frames, and how many more there are.
    pub silences: (Vec<Silence>, u64),
    /// What the venue did by itself.
    pub actions: Latest<Action, ACTIONS_MAX>,
    /// Instruments, by number.
    pub instruments: Vec<Instrument>,
    /// Programs and configurations.
    pub writers: Latest<WrittenBy, WRITERS_MAX>,
    /// Why it ends before the journal does, if it does.
    pub damage: Option<String>,
}

/// A journal over time, and its damage, if it has some.
///
/// # Errors
/// [`Fault::Open`]: there is no journal, or its first header can't be read.
pub fn phases(dir: &Path) -> Result<(Phases, Option<Damage>), Fault> {
    let mut reader = Reader::open(dir)?;
    let segments = reader.segments()?;
    let opened = opened(&segments);
    let mut fold = begin(dir, &mut reader, opened);
    let error = loop {
        match reader.next() {
            Ok(Some(frame)) => fold.take(&frame),
            Ok(None) => break None,
            Err(error) => break Some(PlayError::Read(error)),
        }
    };
    fold.end_action();
    let damage = error.map(|error| Damage { error, last_good: fold.last.sequence });
    let found = Phases {
        first_sequence: reader.first_sequence(),
        ends: fold.first.map(|first| (first, fold.last)),
        frames: fold.frames,
        requests: fold.requests,
        runs: fold.runs,
        opened,
        silences: (fold.silences, fold.silences_left),
        actions: fold.actions,
        instruments: fold.instruments.into_values().collect(),
        writers: writers(&segments),
        damage: damage.as_ref().map(ToString::to_string),
    };
    Ok((found, damage))
}

/// Nothing, or where the first frames are gone the oldest snapshot, behind which the reader goes on.
fn begin(dir: &Path, reader: &mut Reader, opened: Option<u32>) -> Fold {
    if reader.first_sequence() <= 1 {
        return Fold::new(opened);
    }
    // Without a good one statuses are known from their first change on.
    let oldest = oldest_usable(&FileStorage::new(dir), Sequence(u64::MAX)).ok().flatten();
    let Some(oldest) = oldest else { return Fold::default() };
    let Some(engine) = &oldest.replayed.engine else { return Fold::default() };
    reader.seek(oldest.checkpoint.position);
    Fold::from_state(engine)
}

/// How often a journal was opened: the highest epoch, if its first segment is there and knows epochs.
fn opened(segments: &[SegmentInfo]) -> Option<u32> {
    let first = segments.first().filter(|first| first.index == 0 && first.epoch > 0);
    first.and(segments.iter().map(|segment| segment.epoch).max())
}

/// The segments at which program or configuration are others than before.
fn writers(segments: &[SegmentInfo]) -> Latest<WrittenBy, WRITERS_MAX> {
    let mut found = Latest::<WrittenBy, WRITERS_MAX>::default();
    for segment in segments {
        let (build, config_hash) = (build(&segment.build_id), segment.config_hash);
        if found.last().is_none_or(|by| (&by.build, by.config_hash) != (&build, config_hash)) {
            found.push(WrittenBy {
                segment: segment.index,
                first_sequence: segment.first_sequence,
                created_ns: segment.created_ns,
                build,
                config_hash,
            });
        }
    }
    found
}

impl Place {
    /// Time since another place, in ns.
    fn since(self, before: Self) -> u64 {
        self.time_ns.saturating_sub(before.time_ns)
    }

    fn json(self) -> Value {
        place_json(self.sequence, self.time_ns)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (seq:{})", utc(self.time_ns), self.sequence)
    }
}

impl<T, const MAX: usize> Default for Latest<T, MAX> {
    fn default() -> Self {
        Self { kept: VecDeque::new(), before: 0 }
    }
}

impl<T, const MAX: usize> Latest<T, MAX> {
    fn push(&mut self, one: T) {
        if self.kept.len() == MAX {
            self.kept.pop_front();
            self.before += 1;
        }
        self.kept.push_back(one);
    }

    fn last(&self) -> Option<&T> {
        self.kept.back()
    }

    fn last_mut(&mut self) -> Option<&mut T> {
        self.kept.back_mut()
    }

    /// All, kept or not.
    pub fn count(&self) -> u64 {
        self.before + self.kept.len() as u64
    }

    /// The latest for people, and how many come before.
    fn listed(&self) -> (impl Iterator<Item = (usize, &T)>, u64) {
        let left = self.kept.len().saturating_sub(LISTED_MAX);
        (self.kept.iter().enumerate().skip(left), self.before + left as u64)
    }

    fn json(&self, of: impl Fn(usize, &T) -> Value) -> Value {
        let kept: Vec<_> = self.kept.iter().enumerate().map(|(at, one)| of(at, one)).collect();
        json!({ "count": self.count(), "not_listed": self.before, "listed": kept })
    }
}

impl Run {
    fn new(first: Place, sign: Sign, silence_ns: Option<u64>) -> Self {
        Self {
            first,
            last: first,
            sign,
            silence_ns,
            limits: false,
            instruments: 0,
            statuses: 0,
            sessions: 0,
            roles: 0,
            risk_limits: 0,
            throttles: 0,
            lost: 0,
            stop: None,
            requests: Rates::default(),
        }
    }

    /// What its start made known, in words.
    fn news(&self) -> Option<String> {
        let counts = [
            (self.instruments, "instrument", "instruments"),
            (self.statuses, "status", "statuses"),
            (self.sessions, "session", "sessions"),
            (self.roles, "role", "roles"),
            (self.risk_limits, "session's risk limits", "sessions' risk limits"),
            (self.throttles, "throttle", "throttles"),
        ];
        let told = counts.into_iter().filter(|(count, ..)| *count > 0);
        let counts = told.map(|(count, one, many)| counted(count, one, many));
        let words: Vec<_> =
            self.limits.then(|| "limits".to_owned()).into_iter().chain(counts).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// How a run ended, which the next one's start may tell.
fn end_of(run: &Run, next: Option<&Run>) -> (&'static str, String) {
    match (run.stop, next) {
        (Some(stop), _) => ("stopped", format!("it stopped: told clients so at {stop}")),
        (None, None) => ("end_of_journal", "the journal ends there".to_owned()),
        (None, Some(next)) if next.lost > 0 => {
            let lost = counted(next.lost, "session", "sessions");
            ("died", format!("it died: {lost} logged on"))
        }
        (None, Some(_)) => ("unknown", "it ended, with nobody logged on".to_owned()),
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

impl Rates {
    fn json(&self) -> Value {
        let peak = (self.all > 0).then(|| {
            json!({
                "requests": self.peak,
                "time_ns": self.peak_ns,
                "time": utc(self.peak_ns),
                "first_sequence": self.peak_sequence,
            })
        });
        json!({ "requests": self.all, "peak_second": peak })
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", counted(self.all, "request", "requests"))?;
        match self.all {
            0 => Ok(()),
            _ => {
                let (peak, time, at) = (grouped(self.peak), utc(self.peak_ns), self.peak_sequence);
                write!(f, ", at most {peak} in a second: {}Z (seq:{at})", &time[..19])
            }
        }
    }
}

impl Silence {
    /// How long it is, in ns.
    pub fn ns(&self) -> u64 {
        self.to.since(self.from)
    }
}

impl Action {
    const WORDS: [(InstrumentStatus, &'static str); 3] = [
        (InstrumentStatus::Open, "open"),
        (InstrumentStatus::Halted, "halted"),
        (InstrumentStatus::Closed, "closed"),
    ];

    fn at(status: InstrumentStatus) -> usize {
        Self::WORDS.iter().position(|(of, _)| *of == status).expect("a word for each status")
    }

    fn count(&self) -> u64 {
        self.statuses.iter().sum()
    }

    fn json(&self) -> Value {
        let (first, last) = (self.first.json(), self.last.json());
        let mut value = json!({ "first": first, "last": last, "by": self.by.json() });
        for ((_, word), count) in Self::WORDS.iter().zip(self.statuses) {
            value[word] = count.into();
        }
        if let Some((action, comp_id)) = &self.session {
            value["session"] = json!({ "action": action.name(), "comp_id": comp_id });
        }
        value
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = Self::WORDS.iter().zip(self.statuses).filter(|(_, count)| *count > 0);
        let words = words.map(|((_, word), count)| {
            format!("{} {word}", counted(count, "instrument", "instruments"))
        });
        let session = self.session.iter().map(|(did, whom)| format!("{} {whom}", did.name()));
        let words = words.chain(session);
        write!(f, "{}  {}{}", self.first, words.collect::<Vec<_>>().join(", "), self.by)
    }
}

impl Instrument {
    fn new(symbol: String, status: InstrumentStatus, from: Option<Place>) -> Self {
        let mut statuses = Latest::default();
        statuses.push(Status { status, from, by: By::Nobody });
        Self { symbol, statuses }
    }

    /// One whose definition is gone.
    fn unknown(instrument: InstrumentId) -> Self {
        let symbol = format!("instrument {instrument}");
        Self { symbol, statuses: Latest::default() }
    }

    fn json(&self) -> Value {
        let status = |at: usize, status: &Status| {
            let to = self.statuses.kept.get(at + 1).and_then(|next| next.from);
            json!({
                "status": format!("{:?}", status.status),
                "from": status.from.map(Place::json),
                "to": to.map(Place::json),
                "by": status.by.json(),
            })
        };
        json!({ "symbol": self.symbol, "statuses": self.statuses.json(status) })
    }
}

impl Status {
    /// From when on, for how long if there is a next one, and by whom.
    fn when(&self, next: Option<Place>) -> String {
        let by = &self.by;
        match (self.from, next) {
            (None, None) => "since before the first frame".to_owned(),
            (None, Some(next)) => format!("since before the first frame, until {next}"),
            (Some(from), None) => format!("since {from}{by}"),
            (Some(from), Some(next)) => {
                format!("from {from} for {}{by}", duration(next.since(from)))
            }
        }
    }
}

impl fmt::Display for By {
    /// Behind what they did.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => Ok(()),
            Self::Start => f.write_str(", by the venue at a start"),
            Self::Venue => f.write_str(", by the venue"),
            Self::Session(comp_id) => write!(f, ", by {comp_id}"),
            Self::Operator { name, reason } => write!(f, ", by operator {name}: {reason}"),
        }
    }
}

impl By {
    fn json(&self) -> Value {
        match self {
            Self::Nobody => Value::Null,
            Self::Start => json!({ "venue": "start" }),
            Self::Venue => json!({ "venue": "running" }),
            Self::Session(comp_id) => json!({ "comp_id": comp_id }),
            Self::Operator { name, reason } => json!({ "operator": name, "reason": reason }),
        }
    }
}

impl Phases {
    /// For programs: all that is kept.
    pub fn json(&self) -> Value {
        let run = |at: usize, run: &Run| {
            let mut value = run.requests.json();
            let sign = match run.sign {
                Sign::First => "first_frame",
                Sign::Unknown => "beginning_gone",
                Sign::Announced => "announced",
                Sign::Session => "session",
            };
            value["first"] = run.first.json();
            value["last"] = run.last.json();
            value["seen_by"] = sign.into();
            value["silence_before_ns"] = run.silence_ns.into();
            value["limits"] = run.limits.into();
            value["instruments"] = run.instruments.into();
            value["statuses"] = run.statuses.into();
            value["sessions"] = run.sessions.into();
            value["roles"] = run.roles.into();
            value["risk_limits"] = run.risk_limits.into();
            value["throttles"] = run.throttles.into();
            value["sessions_lost"] = run.lost.into();
            value["stop"] = run.stop.map(Place::json).into();
            value["end"] = end_of(run, self.runs.kept.get(at + 1)).0.into();
            value
        };
        let silence = |silence: &Silence| {
            json!({
                "from": silence.from.json(),
                "to": silence.to.json(),
                "ns": silence.ns(),
                "ends_with_start": self.ends_with_start(silence),
            })
        };
        let writer = |_: usize, by: &WrittenBy| {
            json!({
                "segment": by.segment,
                "first_sequence": by.first_sequence,
                "created_ns": by.created_ns,
                "created": utc(by.created_ns),
                "build": by.build,
                "config_hash": hash(by.config_hash),
            })
        };
        let (silences, left) = &self.silences;
        json!({
            "first": self.ends.map(|(first, _)| first.json()),
            "last": self.ends.map(|(_, last)| last.json()),
            "frames": self.frames,
            "rates": self.requests.json(),
            "opened_to_be_written": self.opened,
            "starts": self.runs.json(run),
            "silence_ns_min": SILENCE_NS_MIN,
            "silences": {
                "count": silences.len() as u64 + left,
                "not_listed": left,
                "listed": silences.iter().map(silence).collect::<Vec<_>>(),
            },
            "venue_actions": self.actions.json(|_, action| action.json()),
            "instruments": self.instruments.iter().map(Instrument::json).collect::<Vec<_>>(),
            "written_by": self.writers.json(writer),
            "damage": self.damage,
        })
    }

    fn ends_with_start(&self, silence: &Silence) -> bool {
        let at = self.runs.kept.partition_point(|run| run.first.sequence < silence.to.sequence);
        self.runs.kept.get(at).is_some_and(|run| run.first == silence.to)
    }

    fn print_writers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (listed, before) = self.writers.listed();
        note_before(f, before, "changes")?;
        for (_, by) in listed {
            let WrittenBy { segment, first_sequence, created_ns, build, config_hash } = by;
            write!(
                f,
                "\n  from segment {segment} on, {} (seq:{first_sequence}): build {build}, configuration {}",
                utc(*created_ns),
                hash(*config_hash)
            )?;
        }
        Ok(())
    }

    fn print_runs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n\nStarts       {} seen", grouped(self.runs.count()))?;
        if let Some(opened) = self.opened {
            let opened = u64::from(opened);
            write!(f, "; opened to be written {}", counted(opened, "time", "times"))?;
            if opened > self.runs.count() {
                write!(f, ": a start with nothing new, and nobody to miss, leaves no frame")?;
            }
        }
        let (listed, before) = self.runs.listed();
        note_before(f, before, "starts")?;
        for (at, run) in listed {
            let seen = match run.sign {
                Sign::First => "new journal",
                Sign::Unknown => "the beginning is gone",
                Sign::Announced => "start",
                Sign::Session => "start behind a stop",
            };
            write!(f, "\n  {}  {seen}", run.first)?;
            if let Some(ns) = run.silence_ns {
                write!(f, " after {} without a frame", duration(ns))?;
            }
            if let Some(news) = run.news() {
                write!(f, "; new: {news}")?;
            }
            let (_, end) = end_of(run, self.runs.kept.get(at + 1));
            let ran = duration(run.last.since(run.first));
            write!(f, "\n    to {}, {ran}; {}", run.last, run.requests)?;
            write!(f, "\n    {end}")?;
        }
        Ok(())
    }

    fn print_silences(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kept, left) = &self.silences;
        let (count, least) = (kept.len() as u64 + left, duration(SILENCE_NS_MIN));
        write!(f, "\n\nSilences     {} of {least} and more", grouped(count))?;
        let mut listed = kept.clone();
        listed.sort_by_key(|silence| std::cmp::Reverse(silence.ns()));
        for silence in listed.iter().take(LISTED_MAX) {
            let Silence { from, to } = silence;
            let start = if self.ends_with_start(silence) { ", where it started" } else { "" };
            write!(f, "\n  {:>12}  {from} to {to}{start}", duration(silence.ns()))?;
        }
        let more = count - listed.len().min(LISTED_MAX) as u64;
        if more > 0 { write!(f, "\n  and {} shorter", grouped(more)) } else { Ok(()) }
    }

    fn print_actions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = match self.actions.count() {
            0 => "none".to_owned(),
            count => grouped(count),
        };
        write!(f, "\n\nActions      {count}: outside of starts")?;
        let (listed, before) = self.actions.listed();
        note_before(f, before, "actions")?;
        listed.into_iter().try_for_each(|(_, action)| write!(f, "\n  {action}"))
    }

    fn print_instruments(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.instruments.len() as u64;
        write!(f, "\n\nStatuses     of {}", counted(count, "instrument", "instruments"))?;
        let changed = |of: &&Instrument| of.statuses.count() > 1 || of.is_not_open();
        let (changed, same): (Vec<_>, Vec<_>) = self.instruments.iter().partition(changed);
        for instrument in changed.iter().take(LISTED_MAX) {
            let (listed, before) = instrument.statuses.listed();
            let mut symbol = instrument.symbol.as_str();
            if before > 0 {
                write!(f, "\n  {symbol:<16} and {} before", grouped(before))?;
                symbol = "";
            }
            for (at, status) in listed {
                let next = instrument.statuses.kept.get(at + 1).and_then(|next| next.from);
                let name = format!("{:?}", status.status);
                write!(f, "\n  {symbol:<16} {name:<8} {}", status.when(next))?;
                symbol = "";
            }
        }
        let more = changed.len().saturating_sub(LISTED_MAX);
        if more > 0 {
            write!(f, "\n  and {} more that changed", grouped(more as u64))?;
        }
        if !same.is_empty() {
            let symbols = same.iter().take(LISTED_MAX).map(|of| &*of.symbol).collect::<Vec<_>>();
            let dots = if same.len() > LISTED_MAX { " ..." } else { "" };
            write!(
                f,
                "\n  {:<16} {:<8} all the time: {}{dots}",
                counted(same.len() as u64, "instrument", "instruments"),
                "Open",
                symbols.join(" ")
            )?;
        }
        Ok(())
    }
}

impl Instrument {
    /// Whether its last status is another than open.
    fn is_not_open(&self) -> bool {
        self.statuses.last().is_some_and(|status| status.status != InstrumentStatus::Open)
    }
}

fn note_before(f: &mut fmt::Formatter<'_>, before: u64, what: &str) -> fmt::Result {
    if before > 0 { write!(f, "\n  {} {what} before", grouped(before)) } else { Ok(()) }
}

impl fmt::Display for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ends {
            None => write!(f, "Sequence     no frame yet")?,
            Some((first, last)) => {
                let frames = counted(self.frames, "frame", "frames");
                let long = duration(last.since(first));
                write!(f, "Sequence     {} to {}, {frames}", first.sequence, last.sequence)?;
                write!(
                    f,
                    "\nTime         {} to {}, {long}",
                    utc(first.time_ns),
                    utc(last.time_ns)
                )?;
            }
        }
        write!(f, "\nRate         {}", self.requests)?;
        write!(f, "\nWritten by")?;
        self.print_writers(f)?;
        self.print_runs(f)?;
        self.print_silences(f)?;
        self.print_actions(f)?;
        self.print_instruments(f)?;
        match &self.damage {
            Some(damage) => write!(f, "\n\nDamaged      {damage}"),
            None => Ok(()),
        }
    }
}
