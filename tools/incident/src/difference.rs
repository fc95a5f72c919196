//! Where two journals, or a journal and this program, first differ.

use std::{collections::VecDeque, fmt, path::Path};

use ironbook_engine::{Command, Engine, Event, Sequence, Stamp, Timestamp, sink::VecSink};
use ironbook_gateway::{
    replay::{Frames, PlayError, Player, ReplayError, Replayed},
    retention::describe_gone,
    session_record::SessionRecord,
    snapshot::oldest_usable,
};
use ironbook_journal::{FileStorage, Frame, Position, Reader};
use serde_json::{Value, json};

use crate::{
    Fault,
    index::Index,
    moment::Moment,
    show::{Content, Entry},
    text::{build, grouped, hash, utc},
};

/// Tags of times in messages that are journaled as text: SendingTime, TransactTime, OrigSendingTime.
const TIME_TAGS: [&[u8]; 3] = [b"52=", b"60=", b"122="];

/// How two journals are compared.
#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    /// Whether times may differ: of frames, of the gateway, in messages.
    pub ignore_times: bool,
    /// Frames before the difference that are shown.
    pub context: usize,
}

/// What kind of difference it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Other commands came.
    Input,
    /// The same command led to other events.
    Decision,
    /// Records of sessions differ; all commands and events are the same.
    Sessions,
    /// Nothing but the time.
    Time,
    /// One ends where the other goes on.
    End,
}

/// One of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

/// The frames that differ, as people and programs read them; none where a journal has ended.
#[derive(Clone, Debug)]
pub struct Pair {
    /// In the first.
    pub a: Option<Shown>,
    /// In the second.
    pub b: Option<Shown>,
}

/// A frame as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its sequence.
    pub sequence: u64,
    /// Its time in ns since 1970.
    pub time_ns: u64,
    /// Its name and what it says.
    pub text: String,
    /// All of it.
    pub json: Value,
}

/// The first difference.
#[derive(Clone, Debug)]
pub struct Difference {
    /// What kind it is.
    pub class: Class,
    /// The frames.
    pub first: Pair,
    /// Where records of sessions differ first, and commands or events after that: the first of those.
    pub books: Option<Pair>,
    /// The last frames that are the same.
    pub before: Vec<Shown>,
    /// Hash of the state before the input where it is, as this program computes it; none where this
    /// program does not get there.
    pub state_before: Option<u64>,
    /// Hash of the state behind the input of the first and of the second.
    pub states_after: [Option<u64>; 2],
    /// For a decision, whose this program takes.
    pub decides_as: Option<Side>,
}

/// What a comparison came to.
#[derive(Debug)]
pub struct Compared {
    /// The first sequence that both have.
    pub first: u64,
    /// Frames that are the same, from there on.
    pub frames: u64,
    /// The last of them; 0 when there is none.
    pub last_same: u64,
    /// Which programs wrote the first segments.
    pub builds: [String; 2],
    /// The first difference.
    pub difference: Option<Difference>,
    /// What could not be read before there was one.
    pub damage: Option<(Side, PlayError)>,
}

/// Hears now and then at which sequence the work is, and says whether it goes on.
pub type GoesOn<'g> = &'g mut dyn FnMut(u64) -> bool;

/// Frames between two looks at whether the work goes on.
const FRAMES_PER_LOOK: u64 = 16_384;

/// Looks now and then whether the work goes on.
struct Looks<'g> {
    goes_on: GoesOn<'g>,
    frames: u64,
}

impl<'g> Looks<'g> {
    fn new(goes_on: GoesOn<'g>) -> Self {
        Self { goes_on, frames: 0 }
    }

    /// At a frame.
    fn at(&mut self, sequence: u64) -> Result<(), Stopped> {
        let is_time = self.frames.is_multiple_of(FRAMES_PER_LOOK);
        self.frames += 1;
        if is_time && !(self.goes_on)(sequence) { Err(Stopped) } else { Ok(()) }
    }
}

/// Nobody wants it any more.
struct Stopped;

impl From<Stopped> for Fault {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

/// Why reading ended early.
enum Ended {
    Damaged(Side, PlayError),
    Stopped,
}

impl From<(Side, PlayError)> for Ended {
    fn from((side, error): (Side, PlayError)) -> Self {
        Self::Damaged(side, error)
    }
}

impl From<Stopped> for Ended {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

/// Compares two journals from the first frame that both have.
///
/// # Errors
/// [`Fault`]: one can't be opened; [`Fault::Stopped`].
pub fn compare(
    dirs: [&Path; 2],
    index_dir: Option<&Path>,
    how: Comparison,
    goes_on: GoesOn<'_>,
) -> Result<Compared, Fault> {
    let looks = &mut Looks::new(goes_on);
    let mut readers = [Reader::open(dirs[0])?, Reader::open(dirs[1])?];
    let builds = readers.each_ref().map(build_of);
    let first = readers.each_ref().map(Reader::first_sequence).into_iter().max().unwrap_or(1);
    for (side, reader) in [Side::A, Side::B].into_iter().zip(&mut readers) {
        match skip_to((side, reader), first, looks) {
            Ok(()) => {}
            Err(Ended::Stopped) => return Err(Fault::Stopped),
            Err(Ended::Damaged(side, error)) => {
                let damage = Some((side, error));
                let (frames, last_same, difference) = (0, 0, None);
                return Ok(Compared { first, frames, last_same, builds, difference, damage });
            }
        }
    }
    let mut same = Same { frames: 0, last: 0, recent: VecDeque::new(), input: first };
    let found = same.go(&mut readers, how, looks);
    let mut compared = Compared {
        first,
        frames: same.frames,
        last_same: same.last,
        builds,
        difference: None,
        damage: None,
    };
    match found {
        Err(Ended::Stopped) => return Err(Fault::Stopped),
        Err(Ended::Damaged(side, error)) => compared.damage = Some((side, error)),
        Ok(None) => {}
        Ok(Some(raw)) => {
            let names = State::before(dirs[0], index_dir, same.input, &raw)?;
            compared.difference = Some(same.difference(dirs[0], raw, &names)?);
        }
    }
    Ok(compared)
}

/// Which program wrote the first segment.
fn build_of(reader: &Reader) -> String {
    let segments = reader.segments().unwrap_or_default();
    build(segments.first().map_or(&[][..], |first| &first.build_id))
}

/// A difference before anybody shows it.
struct Raw {
    class: Class,
    first: [Option<Entry>; 2],
    books: Option<[Option<Entry>; 2]>,
    /// The input at hand of each, where the difference is about commands or events.
    inputs: [Option<Entry>; 2],
}

/// What is the same so far.
struct Same {
    frames: u64,
    last: u64,
    /// Where the last frames are, in the first journal.
    recent: VecDeque<Position>,
    /// The input at hand.
    input: u64,
}

impl Same {
    /// Goes on to the first difference.
    fn go(
        &mut self,
        readers: &mut [Reader; 2],
        how: Comparison,
        looks: &mut Looks<'_>,
    ) -> Result<Option<Raw>, Ended> {
        let mut input: Option<Entry> = None;
        loop {
            let [a, b] = readers;
            let a = a.next().map_err(|error| (Side::A, PlayError::from(error)))?;
            let b = b.next().map_err(|error| (Side::B, PlayError::from(error)))?;
            if let (Some(a), Some(b)) = (&a, &b)
                && are_same(a, b, how.ignore_times)
            {
                looks.at(a.sequence)?;
                self.take(a, how.context, &mut input);
                continue;
            }
            let (Some(one), Some(other)) = (&a, &b) else {
                let ended = a.is_some() || b.is_some();
                let first = [a, b].map(|frame| frame.map(|frame| Entry::of(&frame)));
                let raw = Raw { class: Class::End, first, books: None, inputs: [None, None] };
                return Ok(ended.then_some(raw));
            };
            let mut raw = Raw {
                class: class_of(one, other),
                first: [Some(Entry::of(one)), Some(Entry::of(other))],
                books: None,
                inputs: [input.clone(), input],
            };
            if raw.class == Class::Sessions {
                let pending = [a, b].map(|frame| frame.map(Owned::of));
                raw.look_behind_sessions(readers, pending, how, looks)?;
            } else if raw.class == Class::Input {
                self.input = raw.first[0].as_ref().map_or(0, |entry| entry.sequence);
                raw.inputs = raw.first.clone();
            }
            return Ok(Some(raw));
        }
    }

    fn take(&mut self, frame: &Frame<'_>, context: usize, input: &mut Option<Entry>) {
        if !Event::is_kind(frame.kind) {
            self.input = frame.sequence;
            *input = Command::is_kind(frame.kind).then(|| Entry::of(frame));
        }
        self.frames += 1;
        self.last = frame.sequence;
        if self.recent.len() == context {
            self.recent.pop_front();
        }
        if context > 0 {
            self.recent.push_back(frame.position);
        }
    }

    fn difference(self, dir: &Path, raw: Raw, state: &State) -> Result<Difference, Fault> {
        let shown = |entry: &Entry| state.show(entry);
        let pair = |pair: &[Option<Entry>; 2]| Pair {
            a: pair[0].as_ref().map(shown),
            b: pair[1].as_ref().map(shown),
        };
        let after = raw.inputs.each_ref().map(|input| state.after(input.as_ref()));
        let decides_as = match raw.class {
            Class::Decision => state.decision(&raw),
            _ => None,
        };
        Ok(Difference {
            class: raw.class,
            first: pair(&raw.first),
            books: raw.books.as_ref().map(pair),
            before: read_at(dir, self.recent)?.iter().map(shown).collect(),
            state_before: state.hash,
            states_after: after.map(|after| after.map(|(hash, _)| hash)),
            decides_as,
        })
    }
}

impl Raw {
    /// Whether commands or events differ too, where records of sessions are the first that do: sequences
    /// differ from there on, so state hashes do as well and are left out.
    fn look_behind_sessions(
        &mut self,
        [a, b]: &mut [Reader; 2],
        [mut first, mut second]: [Option<Owned>; 2],
        how: Comparison,
        looks: &mut Looks<'_>,
    ) -> Result<(), Ended> {
        let mut input: Option<Entry> = None;
        loop {
            let one = next_of_books(a, &mut first).map_err(|error| (Side::A, error))?;
            let other = next_of_books(b, &mut second).map_err(|error| (Side::B, error))?;
            match (one, other) {
                (None, None) => return Ok(()),
                (Some(one), Some(other)) if one.is_same_content(&other, how.ignore_times) => {
                    looks.at(one.sequence)?;
                    if Command::is_kind(one.kind) {
                        input = Some(one.entry());
                    }
                }
                (one, other) => {
                    let kinds = [&one, &other].map(|frame| frame.as_ref().map(|frame| frame.kind));
                    self.class = match kinds {
                        [Some(one), Some(other)]
                            if Event::is_kind(one) && Event::is_kind(other) =>
                        {
                            Class::Decision
                        }
                        [Some(_), Some(_)] => Class::Input,
                        _ => Class::End,
                    };
                    let entries = [one, other].map(|frame| frame.map(|frame| frame.entry()));
                    self.inputs = match self.class {
                        Class::Decision => [input.clone(), input],
                        _ => [None, None],
                    };
                    self.books = Some(entries);
                    return Ok(());
                }
            }
        }
    }
}

/// A frame that outlives its reader's next step.
struct Owned {
    sequence: u64,
    time_ns: u64,
    kind: u16,
    payload: Vec<u8>,
}

impl Owned {
    fn of(frame: Frame<'_>) -> Self {
        let Frame { sequence, time_ns, kind, payload, .. } = frame;
        Self { sequence, time_ns, kind, payload: payload.to_vec() }
    }

    fn entry(&self) -> Entry {
        let content = Content::decode(self.kind, &self.payload);
        Entry { sequence: self.sequence, time_ns: self.time_ns, content }
    }

    fn is_same_content(&self, other: &Self, ignore_times: bool) -> bool {
        self.kind == other.kind
            && (ignore_times || self.time_ns == other.time_ns)
            && is_same_payload(self.kind, [&self.payload, &other.payload], ignore_times)
    }
}

/// Goes in front of the frame with this sequence.
fn skip_to(
    (side, reader): (Side, &mut Reader),
    first: u64,
    looks: &mut Looks<'_>,
) -> Result<(), Ended> {
    loop {
        let position = reader.position();
        match reader.next().map_err(|error| (side, PlayError::from(error)))? {
            Some(frame) if frame.sequence < first => looks.at(frame.sequence)?,
            Some(_) => {
                reader.seek(position);
                return Ok(());
            }
            None => return Ok(()),
        }
    }
}

/// The next command or event.
fn next_of_books(
    reader: &mut Reader,
    first: &mut Option<Owned>,
) -> Result<Option<Owned>, PlayError> {
    use ironbook_engine::{event::StateHashed, record::Record};
    let counts = |kind| !SessionRecord::is_kind(kind) && kind != StateHashed::KIND;
    if let Some(first) = first.take().filter(|first| counts(first.kind)) {
        return Ok(Some(first));
    }
    while let Some(frame) = reader.next()? {
        if counts(frame.kind) {
            return Ok(Some(Owned::of(frame)));
        }
    }
    Ok(None)
}

fn are_same(a: &Frame<'_>, b: &Frame<'_>, ignore_times: bool) -> bool {
    a.sequence == b.sequence
        && a.kind == b.kind
        && (ignore_times || a.time_ns == b.time_ns)
        && is_same_payload(a.kind, [a.payload, b.payload], ignore_times)
}

fn is_same_payload(kind: u16, [a, b]: [&[u8]; 2], ignore_times: bool) -> bool {
    a == b
        || (ignore_times
            && without_times(kind, a).is_some_and(|a| Some(a) == without_times(kind, b)))
}

/// What a payload tells beside times; none of an event, which has none.
fn without_times(kind: u16, payload: &[u8]) -> Option<Vec<u8>> {
    match Content::decode(kind, payload) {
        Content::Command(mut command) => {
            let origin = match &mut *command {
                Command::NewOrder(command) => &mut command.origin,
                Command::CancelOrder(command) => &mut command.origin,
                Command::ReplaceOrder(command) => &mut command.origin,
                Command::MassCancel(command) => &mut command.origin,
                Command::CancelOnDisconnect(command) => &mut command.origin,
                Command::QueryOrder(command) => &mut command.origin,
                Command::SetInstrumentStatus(command) => &mut command.origin,
                Command::SetRiskLimits(command) => &mut command.origin,
                Command::SetTradingStatus(command) => &mut command.origin,
                Command::Limits(_) | Command::DefineInstrument(_) | Command::DefineSession(_) => {
                    return None;
                }
            };
            origin.received = Timestamp(0);
            Some(command.payload().to_vec())
        }
        Content::Session(SessionRecord::Outbound { session, msg_type, body }) => {
            let is_time = |field: &&[u8]| TIME_TAGS.iter().any(|tag| field.starts_with(tag));
            let fields = body.split(|&byte| byte == 1).filter(|field| !is_time(field));
            let body = fields.collect::<Vec<_>>().join(&1);
            Some(SessionRecord::Outbound { session, msg_type, body }.payload())
        }
        _ => None,
    }
}

fn class_of(a: &Frame<'_>, b: &Frame<'_>) -> Class {
    let has_time_only = a.kind == b.kind && is_same_payload(a.kind, [a.payload, b.payload], true);
    let is_record = |frame: &Frame<'_>| SessionRecord::is_kind(frame.kind);
    if has_time_only {
        Class::Time
    } else if is_record(a) || is_record(b) {
        Class::Sessions
    } else if Event::is_kind(a.kind) || Event::is_kind(b.kind) {
        Class::Decision
    } else {
        Class::Input
    }
}

/// Frames of a journal, by where they begin.
fn read_at(dir: &Path, positions: impl IntoIterator<Item = Position>) -> Result<Vec<Entry>, Fault> {
    let mut reader = Reader::open(dir)?;
    let mut entries = Vec::new();
    for position in positions {
        reader.seek(position);
        entries.extend(reader.next().map_err(PlayError::from)?.map(|frame| Entry::of(&frame)));
    }
    Ok(entries)
}

/// Frames of a journal behind one, as far as it can be read.
///
/// # Errors
/// [`Fault`]: it can't be opened; [`Fault::Stopped`].
pub fn following(
    dir: &Path,
    sequence: u64,
    count: usize,
    names: &Engine,
    goes_on: GoesOn<'_>,
) -> Result<Vec<Shown>, Fault> {
    let mut reader = Reader::open(dir)?;
    let mut found = Vec::new();
    match skip_to((Side::A, &mut reader), sequence + 1, &mut Looks::new(goes_on)) {
        Ok(()) => {
            while let Ok(Some(frame)) = reader.next()
                && found.len() < count
            {
                found.push(Shown::of(&Entry::of(&frame), names));
            }
        }
        Err(Ended::Stopped) => return Err(Fault::Stopped),
        Err(Ended::Damaged(..)) => {}
    }
    Ok(found)
}

/// The state before the input where a difference is, which both journals lead to.
struct State {
    bytes: Vec<u8>,
    sequence: u64,
    hash: Option<u64>,
    names: Option<Engine>,
}

impl State {
    fn before(dir: &Path, index_dir: Option<&Path>, input: u64, raw: &Raw) -> Result<Self, Fault> {
        let index = Index::open(dir, index_dir, &mut |_| {})?;
        let is_of_books = matches!(raw.class, Class::Input | Class::Decision);
        if !is_of_books || raw.books.is_some() {
            // There are other records of sessions before, or no more input: names are all it takes.
            let moment = Moment::end(&index)?;
            return Ok(Self::of(moment.engine(), moment.sequence(), false));
        }
        // This program may not get there.
        let moment = Moment::before(&index, input.min(index.last_sequence() + 1))?;
        let is_there = moment.sequence() + 1 == input;
        Ok(Self::of(moment.engine(), moment.sequence(), is_there))
    }

    fn of(engine: Option<&Engine>, sequence: u64, is_there: bool) -> Self {
        let mut bytes = Vec::new();
        if let Some(engine) = engine {
            engine.write_state(&mut bytes);
        }
        let names = engine.and_then(|_| Engine::read_state(&bytes).ok());
        let hash = engine.filter(|_| is_there).map(Engine::state_hash);
        Self { bytes, sequence, hash, names }
    }

    fn show(&self, entry: &Entry) -> Shown {
        match &self.names {
            Some(engine) => Shown::of(entry, engine),
            None => {
                let text = format!("{:?}", entry.content);
                let json = json!({ "sequence": entry.sequence, "text": text });
                Shown { sequence: entry.sequence, time_ns: entry.time_ns, text, json }
            }
        }
    }

    /// The state's hash behind an input, and its events.
    fn after(&self, input: Option<&Entry>) -> Option<(u64, Vec<Event>)> {
        self.hash?;
        let input = input?;
        let Content::Command(command) = &input.content else { return None };
        let mut engine = Engine::read_state(&self.bytes).ok()?;
        let mut sink = VecSink::default();
        let sequence = Sequence(self.sequence + 1);
        engine.apply(Stamp { sequence, time: Timestamp(input.time_ns) }, &**command, &mut sink);
        let events = sink.events.into_iter().map(|(_, event)| event).collect();
        Some((engine.state_hash(), events))
    }

    /// Whose event this program computes.
    fn decision(&self, raw: &Raw) -> Option<Side> {
        let (_, events) = self.after(raw.inputs[0].as_ref())?;
        let differing = raw.books.as_ref().unwrap_or(&raw.first);
        let at = |entry: &Option<Entry>| {
            let entry = entry.as_ref()?;
            let index = entry.sequence.checked_sub(self.sequence + 2)?;
            let computed = events.get(index as usize);
            let journaled = match &entry.content {
                Content::Event(event) => Some(&**event),
                _ => None,
            };
            Some(computed == journaled)
        };
        match [at(&differing[0]), at(&differing[1])] {
            [Some(true), _] => Some(Side::A),
            [_, Some(true)] => Some(Side::B),
            _ => None,
        }
    }
}

impl Shown {
    fn of(entry: &Entry, engine: &Engine) -> Self {
        let text = format!("{}: {}", entry.name(), entry.text(engine));
        let json = entry.json(engine);
        Self { sequence: entry.sequence, time_ns: entry.time_ns, text, json }
    }
}

impl Class {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Decision => "decision",
            Self::Sessions => "sessions",
            Self::Time => "time",
            Self::End => "end",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Input => "the inputs differ",
            Self::Decision => "the input is the same, what became of it is not",
            Self::Sessions => {
                "only records of sessions differ, all commands and events are the same"
            }
            Self::Time => "the time differs, what happened there does not",
            Self::End => "one ends where the other goes on",
        }
    }
}

impl Side {
    /// `A` or `B`.
    pub fn word(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }
}

impl Pair {
    /// The sequence in the first journal, or in the second where that has ended.
    pub fn sequence(&self) -> u64 {
        self.a.as_ref().or(self.b.as_ref()).map_or(0, |shown| shown.sequence)
    }

    fn json(&self) -> Value {
        let of = |shown: &Option<Shown>| shown.as_ref().map(|shown| shown.json.clone());
        json!({ "a": of(&self.a), "b": of(&self.b) })
    }

    fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (label, shown) in [("A", &self.a), ("B", &self.b)] {
            match shown {
                Some(shown) => writeln!(
                    f,
                    "{label:<12} {:<10} {} {}",
                    shown.sequence,
                    utc(shown.time_ns),
                    shown.text
                )?,
                None => writeln!(f, "{label:<12} has ended")?,
            }
        }
        Ok(())
    }
}

impl Compared {
    /// For programs.
    pub fn json(&self) -> Value {
        let difference = self.difference.as_ref().map(|difference| {
            let before: Vec<_> = difference.before.iter().map(|shown| shown.json.clone()).collect();
            json!({
                "class": difference.class.word(),
                "sequence": difference.first.sequence(),
                "first": difference.first.json(),
                "books": difference.books.as_ref().map(Pair::json),
                "before": before,
                "state_before": difference.state_before.map(hash),
                "state_after_a": difference.states_after[0].map(hash),
                "state_after_b": difference.states_after[1].map(hash),
                "this_program_decides_as": difference.decides_as.map(Side::word),
            })
        });
        json!({
            "same": self.difference.is_none() && self.damage.is_none(),
            "frames": self.frames,
            "last_same": self.last_same,
            "builds": self.builds,
            "difference": difference,
            "damage": self.damage.as_ref().map(|(side, error)| {
                json!({ "in": side.word(), "text": error.to_string() })
            }),
        })
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Builds       A {}, B {}", self.builds[0], self.builds[1])?;
        write_same(f, self.frames, self.first, self.last_same)?;
        if let Some((side, error)) = &self.damage {
            return write!(f, "\nDamaged      {} from there on: {error}", side.word());
        }
        let Some(found) = &self.difference else { return write!(f, "\nDiffers      nowhere") };
        writeln!(f, "\nDiffers      {}: {}", found.class.word(), found.class.meaning())?;
        for (number, shown) in found.before.iter().enumerate() {
            let label = if number == 0 { "Before" } else { "" };
            writeln!(f, "{label:<12} {:<10} {}", shown.sequence, shown.text)?;
        }
        found.first.print(f)?;
        if let Some(books) = &found.books {
            writeln!(f, "Books        differ too, first here")?;
            books.print(f)?;
        }
        print_states(f, found.state_before, found.states_after)?;
        match (found.class, found.decides_as) {
            (Class::Decision, _) if found.state_before.is_none() => Ok(()),
            (Class::Decision, Some(side)) => write!(f, "\nProgram      decides as {}", side.word()),
            (Class::Decision, None) => {
                write!(f, "\nProgram      decides as neither")
            }
            _ => Ok(()),
        }
    }
}

/// The frames that are the same; from which sequence on, where that is not the first.
fn write_same(f: &mut fmt::Formatter<'_>, frames: u64, first: u64, last: u64) -> fmt::Result {
    write!(f, "Same         {} frames", grouped(frames))?;
    if first > 1 {
        write!(f, " from sequence {}", grouped(first))?;
    }
    write!(f, " up to sequence {}", grouped(last))
}

fn print_states(
    f: &mut fmt::Formatter<'_>,
    before: Option<u64>,
    after: [Option<u64>; 2],
) -> fmt::Result {
    match before {
        None => return write!(f, "State        the same before; what follows was not computed"),
        Some(before) => write!(f, "State        {} before the input", hash(before))?,
    }
    match after {
        [Some(a), Some(b)] if a == b => write!(f, ", {} behind it", hash(a)),
        [a, b] => {
            let text = |state: Option<u64>| state.map_or("not computed".to_owned(), hash);
            write!(f, ", {} behind that of A, {} behind that of B", text(a), text(b))
        }
    }
}

/// Where this program first decides otherwise than a journal says.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// The first event that differs.
    pub sequence: u64,
    /// The frames before it, the input among them.
    pub before: Vec<Shown>,
    /// What this program computes, if it is an event.
    pub computed: Option<Shown>,
    /// What the journal says, if it is an event.
    pub journaled: Option<Shown>,
    /// Hash of the state before the input.
    pub state_before: u64,
}

/// What a journal says and this program computes.
#[derive(Clone, Debug)]
pub struct Computed {
    /// Frames that are the same, from the first or behind the snapshot.
    pub frames: u64,
    /// The last of them.
    pub last_same: u64,
    /// Which program wrote the first segment.
    pub build: String,
    /// Hash of the state behind the last one.
    pub state: Option<u64>,
    /// Sequence of the snapshot it began at, where the first frames are gone.
    pub snapshot: Option<u64>,
    /// The first difference.
    pub divergence: Option<Divergence>,
}

/// Computes a journal from its first frame, or from its oldest good snapshot where that is gone, and
/// compares every event. An index is not used: it may have been made by another program.
///
/// # Errors
/// [`Fault`]: the journal can't be opened, is damaged, or was written under other rules; [`Fault::Stopped`].
pub fn compute(dir: &Path, context: usize, goes_on: GoesOn<'_>) -> Result<Computed, Fault> {
    let looks = &mut Looks::new(goes_on);
    let (from, reader, snapshot) = begin(dir)?;
    let frames_before = from.counts.frames;
    let build = build_of(&reader);
    let frames = Recent { reader, positions: VecDeque::new(), context, input: 0 };
    let mut player = Player::new(from, frames, None);
    let divergence = loop {
        match player.step() {
            Ok(true) => looks.at(player.replayed().last_sequence.0)?,
            Ok(false) => break None,
            Err(PlayError::Replay(ReplayError::Diverged { sequence, computed, journaled })) => {
                break Some((sequence, computed, journaled));
            }
            Err(error) => return Err(error.into()),
        }
    };
    let (counts, last) = (player.replayed().counts, player.replayed().last_sequence.0);
    let mut computed = Computed {
        frames: counts.frames - frames_before,
        last_same: last,
        build,
        state: player.engine().map(Engine::state_hash),
        snapshot,
        divergence: None,
    };
    if let Some((sequence, ours, journaled)) = divergence {
        let recent = player.frames();
        let state = state_before(dir, recent.input, looks)?;
        let engine = player.engine().or(state.engine.as_ref());
        let engine = engine.ok_or_else(|| Fault::NotFound("no engine is defined".to_owned()))?;
        let time_ns = player.replayed().last_time.0;
        let show = |event: Option<Event>| {
            let content = Content::Event(Box::new(event?));
            Some(Shown::of(&Entry { sequence: sequence.0, time_ns, content }, engine))
        };
        let before = read_at(dir, recent.positions.iter().copied())?;
        let before = before.iter().filter(|entry| entry.sequence < sequence.0);
        computed.divergence = Some(Divergence {
            sequence: sequence.0,
            before: before.map(|entry| Shown::of(entry, engine)).collect(),
            computed: show(*ours),
            journaled: show(*journaled),
            state_before: state.engine.as_ref().map_or(0, Engine::state_hash),
        });
        computed.state = None;
    }
    Ok(computed)
}

/// Where a journal is played back from: what is known there, and a reader in front of what follows.
fn begin(dir: &Path) -> Result<(Replayed, Reader, Option<u64>), Fault> {
    let mut reader = Reader::open(dir)?;
    let Some(gone) = describe_gone(dir, reader.first_sequence()) else {
        return Ok((Replayed::default(), reader, None));
    };
    let found = oldest_usable(&FileStorage::new(dir), Sequence(u64::MAX));
    let restored = found.ok().flatten();
    let restored = restored
        .ok_or_else(|| Fault::Gone(format!("{gone}; there is no good snapshot to begin at")))?;
    reader.seek(restored.checkpoint.position);
    Ok((restored.replayed, reader, Some(restored.checkpoint.sequence)))
}

/// What a journal comes to before an input.
fn state_before(dir: &Path, input: u64, looks: &mut Looks<'_>) -> Result<Replayed, Fault> {
    let (from, reader, _) = begin(dir)?;
    let until = Sequence(input.saturating_sub(1));
    if from.last_sequence >= until {
        return Ok(from);
    }
    let mut player = Player::new(from, reader, Some(until));
    while player.step()? {
        looks.at(player.replayed().last_sequence.0)?;
    }
    Ok(player.into_replayed())
}

/// Frames of a reader that remember where the last ones are.
struct Recent {
    reader: Reader,
    positions: VecDeque<Position>,
    context: usize,
    /// The last frame that is no event.
    input: u64,
}

impl Frames for Recent {
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, PlayError> {
        let Some(frame) = self.reader.next()? else { return Ok(None) };
        if !Event::is_kind(frame.kind) {
            self.input = frame.sequence;
        }
        // One more than is shown: the last one may be the one that differs.
        if self.positions.len() > self.context {
            self.positions.pop_front();
        }
        self.positions.push_back(frame.position);
        Ok(Some(frame))
    }
}

impl Computed {
    /// For programs.
    pub fn json(&self) -> Value {
        let of = |shown: &Option<Shown>| shown.as_ref().map(|shown| shown.json.clone());
        let divergence = self.divergence.as_ref().map(|found| {
            json!({
                "sequence": found.sequence,
                "before": found.before.iter().map(|shown| shown.json.clone()).collect::<Vec<_>>(),
                "computed": of(&found.computed),
                "journaled": of(&found.journaled),
                "state_before": hash(found.state_before),
            })
        });
        json!({
            "same": self.divergence.is_none(),
            "frames": self.frames,
            "last_same": self.last_same,
            "build": self.build,
            "snapshot_sequence": self.snapshot,
            "state_hash": self.state.map(hash),
            "difference": divergence,
        })
    }
}

impl fmt::Display for Computed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Written by   {}", self.build)?;
        if let Some(sequence) = self.snapshot {
            writeln!(f, "Snapshot     sequence {sequence}; what came before was not computed")?;
        }
        write_same(f, self.frames, self.snapshot.map_or(1, |before| before + 1), self.last_same)?;
        let Some(found) = &self.divergence else {
            write!(f, "\nDiffers      nowhere")?;
            return match self.state {
                Some(state) => write!(f, "\nState        {}", hash(state)),
                None => Ok(()),
            };
        };
        writeln!(f, "\nDiffers      at sequence {}", found.sequence)?;
        for (number, shown) in found.before.iter().enumerate() {
            let label = if number == 0 { "Before" } else { "" };
            writeln!(f, "{label:<12} {:<10} {}", shown.sequence, shown.text)?;
        }
        for (label, shown) in [("Journal", &found.journaled), ("Program", &found.computed)] {
            let text = shown.as_ref().map_or("no event", |shown| &shown.text);
            writeln!(f, "{label:<12} {:<10} {text}", found.sequence)?;
        }
        write!(f, "State        {} before the input", hash(found.state_before))
    }
}
