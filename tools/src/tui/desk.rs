//! Answers what the interface asks about a journal, one request after the other.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use ironbook_engine::{Engine, Event, InstrumentId};
use ironbook_incident::{
    Fault,
    book::{BookView, book},
    condition::Condition,
    difference::{Comparison, GoesOn, Shown, compare, compute, following},
    index::Index,
    moment::{Moment, Watch},
    place::What,
    question::{Span, client::client, find_order, life::life},
    show::{Entry, symbol},
    text::grouped,
    view::View,
};

/// Levels of a side that are shown at the most: more than a tall terminal has lines.
const LEVELS_MAX: usize = 100;
/// Events before the input that are shown.
pub const EVENTS_BEFORE: usize = 20;
/// Frames on each side of a difference that are shown.
const DIFF_FRAMES: usize = 50;
/// What begins the lines of a comparison that are facts and no frames.
const DIFF_FACTS: [&str; 6] = ["Same ", "Damaged ", "Differs ", "Books ", "State ", "Program  "];
/// Inputs between two looks at whether the work goes on.
const INPUTS_PER_LOOK: u64 = 4_096;

/// What the interface asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Go to a place, as people name it.
    Go(String),
    /// Go to the end, of a running venue's journal as it is now.
    End,
    /// So many inputs on, or back.
    Step(i64),
    /// On, or back, to where a condition holds.
    Search {
        /// The condition.
        condition: String,
        /// Whether it is looked for before this moment.
        back: bool,
    },
    /// Show the book of the next instrument.
    NextBook,
    /// The life of an order, by any word that names it.
    Order(String),
    /// What a client did, by its comp id.
    Client(String),
    /// Where another journal, by its directory, or this program first differs.
    Diff(Option<String>),
}

/// What it is told.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A moment.
    Scene(Box<Scene>),
    /// The life of an order.
    Order(Page),
    /// What a client did.
    Client(Page),
    /// What was compared.
    Diff(DiffPage),
    /// Nothing came of it, which is no fault.
    Told(String),
    /// Why there is no answer.
    Failed(String),
}

/// A moment, ready to be drawn.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What is to be seen there.
    pub view: View,
    /// The last events before the input, then the input and its own events.
    pub rows: Vec<Row>,
    /// The book that is shown.
    pub book: Option<BookView>,
    /// Whether it stays that one, wherever one goes.
    pub is_pinned: bool,
    /// The last frame that is indexed.
    pub last_sequence: u64,
    /// Whether it goes on by itself when the journal does.
    pub follows: bool,
}

/// A frame, ready to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its sequence.
    pub sequence: u64,
    /// Its time in ns since 1970.
    pub time_ns: u64,
    /// What FIX calls it.
    pub name: &'static str,
    /// What it says.
    pub text: String,
    /// The client that it concerns.
    pub client: Option<String>,
    /// Whether it is of the input behind which the moment is.
    pub is_here: bool,
}

/// A text that leads to places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What it is about: an OrderID, a comp id.
    pub about: String,
    /// The client that it concerns.
    pub client: String,
    /// Its lines.
    pub lines: Vec<PageLine>,
}

/// A line of a text, and the frame that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageLine {
    /// What it says.
    pub text: String,
    /// The frame.
    pub place: Option<u64>,
}

/// A journal beside another, or beside what this program computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffPage {
    /// What stands on the right: a directory, or this program.
    pub other: String,
    /// What the comparison came to, a line each.
    pub lines: Vec<String>,
    /// Frames around the first difference.
    pub rows: Vec<DiffRow>,
}

/// Frames side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffRow {
    /// Of the journal that is looked at.
    pub a: Option<DiffCell>,
    /// Of the other.
    pub b: Option<DiffCell>,
    /// Whether they say the same.
    pub is_same: bool,
}

/// A frame, told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffCell {
    /// Its sequence.
    pub sequence: u64,
    /// What it says.
    pub text: String,
}

/// What is remembered when the index is opened again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// The instrument whose book is shown wherever one goes.
    pinned: Option<InstrumentId>,
    /// The instrument whose book was shown last.
    shown: Option<InstrumentId>,
    /// Whether the venue is followed while the moment is its end.
    pub follow: bool,
    /// Whether it is followed now.
    pub follows: bool,
}

impl Memory {
    /// Before anything was asked of a journal, whose venue is to be followed or not.
    pub fn new(follow: bool) -> Self {
        Self { follow, ..Self::default() }
    }
}

/// How work that takes long is watched.
pub struct Control<'c> {
    /// Set when nobody wants the answer any more.
    pub stop: &'c AtomicBool,
    /// Hears how far the work is.
    pub tell: &'c mut dyn FnMut(String),
}

/// A journal, and where one is in it.
pub struct Desk<'i> {
    index: &'i Index,
    /// What is remembered when the index is opened again.
    pub memory: Memory,
    moment: Option<Moment<'i>>,
    /// The input behind which the interface is.
    input: Option<u64>,
}

impl<'i> Desk<'i> {
    /// Nowhere yet.
    pub fn new(index: &'i Index, memory: Memory) -> Self {
        Self { index, memory, moment: None, input: None }
    }

    /// Answers a request.
    pub fn answer(&mut self, request: &Request, control: &mut Control<'_>) -> Answer {
        let answer = match request {
            Request::Go(word) => self.find(word).and_then(|sequence| self.scene(sequence)),
            Request::End => self.find("end").and_then(|sequence| self.scene(sequence)),
            Request::Step(inputs) => self.step(*inputs),
            Request::Search { condition, back } => self.search(condition, *back, control),
            Request::NextBook => self.next_book(),
            Request::Order(word) => self.order(word),
            Request::Client(comp_id) => self.client(comp_id),
            Request::Diff(other) => self.diff(other.as_deref(), control),
        };
        answer.unwrap_or_else(|fault| {
            // It may be anywhere.
            self.moment = None;
            Answer::Failed(self.because_of_damage(fault))
        })
    }

    /// What was asked for may be behind damage.
    fn because_of_damage(&self, fault: Fault) -> String {
        match (self.index.damage(), &fault) {
            (Some(damage), Fault::NotFound(_)) => format!("{fault}\n{damage}"),
            _ => fault.to_string(),
        }
    }

    fn find(&self, word: &str) -> Result<u64, Fault> {
        What::parse(word, self.index)?.find(self.index)
    }

    /// The moment behind the input that is, or has brought about, a frame.
    fn scene(&mut self, sequence: u64) -> Result<Answer, Fault> {
        let input = self.index.input_of(sequence)?;
        let view = self.go(input)?;
        let view = View { sequence, ..view };
        self.input = Some(input);
        let behind = self.moment.as_ref().map(Moment::sequence);
        let is_last = behind == Some(self.index.last_sequence());
        self.memory.follows = self.memory.follow && is_last;
        let rows = self.rows(input, &view)?;
        let book = self.book(&view);
        Ok(Answer::Scene(Box::new(Scene {
            view,
            rows,
            book,
            is_pinned: self.memory.pinned.is_some(),
            last_sequence: self.index.last_sequence(),
            follows: self.memory.follows,
        })))
    }

    /// Goes behind an input, by a way on which its changes are seen: from the one before it.
    fn go(&mut self, input: u64) -> Result<View, Fault> {
        let before = self.index.first_sequence().max(1);
        let mut moment = match self.moment.take() {
            Some(mut moment) if moment.sequence() < input => {
                moment.go_on_before(input)?;
                moment
            }
            Some(mut moment) if input > before => {
                moment.go(self.index.input_of(input - 1)?)?;
                moment
            }
            _ => Moment::before(self.index, input)?,
        };
        let view = View::step(&mut moment, LEVELS_MAX)?;
        self.moment = Some(moment);
        view.ok_or_else(|| Fault::NotFound(format!("there is no input at sequence {input}")))
    }

    /// The events before an input, then what is there.
    fn rows(&self, input: u64, view: &View) -> Result<Vec<Row>, Fault> {
        let Some(engine) = self.moment.as_ref().and_then(Moment::engine) else {
            return Ok(Vec::new());
        };
        let row = |entry: &Entry, is_here| {
            let client = entry.json(engine)["session"].as_str().map(str::to_owned);
            Row {
                sequence: entry.sequence,
                time_ns: entry.time_ns,
                name: entry.name(),
                text: entry.text(engine),
                // A command of the venue's operator is of no client.
                client: client.filter(|name| is_comp_id(engine, name)),
                is_here,
            }
        };
        let before = self.events_before(input)?;
        let here = self.moment.iter().flat_map(Moment::entries);
        let rows: Vec<_> = before
            .iter()
            .map(|entry| row(entry, false))
            .chain(here.map(|entry| row(&entry, true)))
            .collect();
        debug_assert!(rows.iter().any(|row| row.sequence == view.sequence));
        Ok(rows)
    }

    /// The last events before an input, in sequence.
    fn events_before(&self, input: u64) -> Result<Vec<Entry>, Fault> {
        let mut found: Vec<Entry> = Vec::new();
        let mut block = input.checked_sub(1).and_then(|before| self.index.block_of(before));
        while let Some(at) = block.filter(|_| found.len() < EVENTS_BEFORE) {
            let mut events = Vec::new();
            self.index.read_block(&at, |frame| {
                if frame.sequence < input && Event::is_kind(frame.kind) {
                    events.push(frame.sequence);
                }
                frame.sequence < input
            })?;
            let wanted = events.len().saturating_sub(EVENTS_BEFORE - found.len());
            let wanted = &events[wanted..];
            let mut here = Vec::new();
            self.index.read_block(&at, |frame| {
                if wanted.binary_search(&frame.sequence).is_ok() {
                    here.push(Entry::of(frame));
                }
                wanted.last().is_some_and(|last| frame.sequence < *last)
            })?;
            here.append(&mut found);
            found = here;
            block = at.first_sequence.checked_sub(1).and_then(|of| self.index.block_of(of));
        }
        Ok(found)
    }

    /// The pinned book, else that of the input, else the one that was shown before.
    fn book(&mut self, view: &View) -> Option<BookView> {
        let engine = self.moment.as_ref()?.engine()?;
        let named = view.entries.iter().find_map(|entry| entry.json["symbol"].as_str());
        let is_named = |instrument: &InstrumentId| named == Some(&*symbol(engine, *instrument));
        let of_input = || ids(engine).find(is_named);
        let first = || ids(engine).next();
        let instrument =
            self.memory.pinned.or_else(of_input).or(self.memory.shown).or_else(first)?;
        self.memory.shown = Some(instrument);
        let shown = symbol(engine, instrument);
        let with_changes = view.books.iter().find(|book| book.symbol == shown).cloned();
        with_changes.or_else(|| book(engine, instrument, LEVELS_MAX))
    }

    /// Pins the next instrument; after the last one none.
    fn next_book(&mut self) -> Result<Answer, Fault> {
        let engine = self.moment.as_ref().and_then(Moment::engine);
        let next = |engine: &Engine| match self.memory.pinned {
            None => ids(engine).next(),
            Some(pinned) => ids(engine).skip_while(|id| *id != pinned).nth(1),
        };
        self.memory.pinned = engine.and_then(next);
        match self.input {
            Some(input) => self.scene(input),
            None => Ok(Answer::Told("there is no moment yet, and so no book".to_owned())),
        }
    }

    fn step(&mut self, inputs: i64) -> Result<Answer, Fault> {
        let Some(here) = self.input else { return self.scene(self.index.first_sequence()) };
        let there = if inputs < 0 {
            self.inputs_back(here, inputs.unsigned_abs())?
        } else {
            self.inputs_on(here, inputs.unsigned_abs())?
        };
        match there {
            Some(there) => self.scene(there),
            None if inputs < 0 => Ok(Answer::Told("this is the first input".to_owned())),
            None => Ok(Answer::Told(match self.memory.follow {
                true => "this is the last input that is indexed; End goes on".to_owned(),
                false => "this is the last input".to_owned(),
            })),
        }
    }

    /// The input so many after one, or the last one.
    fn inputs_on(&self, here: u64, count: u64) -> Result<Option<u64>, Fault> {
        let (mut found, mut left) = (None, count);
        let mut block = self.index.block_of(here);
        while let Some(at) = block.filter(|_| left > 0) {
            self.index.read_block(&at, |frame| {
                if frame.sequence > here && !Event::is_kind(frame.kind) {
                    found = Some(frame.sequence);
                    left -= 1;
                }
                left > 0
            })?;
            block = self.index.block_of(at.last_sequence + 1);
        }
        Ok(found)
    }

    /// The input so many before one, or the first one.
    fn inputs_back(&self, here: u64, count: u64) -> Result<Option<u64>, Fault> {
        let (mut found, mut left) = (None, count as usize);
        let mut block = self.index.block_of(here);
        while let Some(at) = block.filter(|_| left > 0) {
            let mut inputs = Vec::new();
            self.index.read_block(&at, |frame| {
                if frame.sequence < here && !Event::is_kind(frame.kind) {
                    inputs.push(frame.sequence);
                }
                frame.sequence < here
            })?;
            let taken = left.min(inputs.len());
            found = inputs.get(inputs.len() - taken).copied().or(found);
            left -= taken;
            block = at.first_sequence.checked_sub(1).and_then(|of| self.index.block_of(of));
        }
        Ok(found)
    }

    fn search(
        &mut self,
        text: &str,
        back: bool,
        control: &mut Control<'_>,
    ) -> Result<Answer, Fault> {
        let condition = Condition::parse(text, self.index.first_time_ns())?;
        let Some(here) = self.input else {
            return Err(Fault::NotFound("the journal holds nothing to look through".to_owned()));
        };
        if self.moment.is_none() {
            self.go(here)?;
        }
        let Some(mut moment) = self.moment.take() else { return self.scene(here) };
        let last = self.index.last_sequence();
        let mut guard =
            Guard { inner: condition.watch(), control, last, looks: 0, is_stopped: false };
        let found = match back {
            true => moment.run_back_until(&mut guard),
            false => moment.run_until(&mut guard),
        };
        let is_stopped = guard.is_stopped;
        match found? {
            Some(found) if !is_stopped => {
                self.moment = Some(moment);
                self.scene(found)
            }
            _ if is_stopped => Ok(Answer::Told(format!("stopped; still at sequence {here}"))),
            _ => {
                let place = if back { "before" } else { "after" };
                let here = grouped(here);
                Ok(Answer::Told(format!("there is no frame {place} sequence {here} with {text}")))
            }
        }
    }

    fn order(&mut self, word: &str) -> Result<Answer, Fault> {
        let life = life(self.index, find_order(self.index, word)?)?;
        let text = life.to_string();
        let mut lines = page(&text);
        // What is printed of a step begins with its sequence.
        let heading = lines.iter().position(|line| line.text.trim_start().starts_with("sequence"));
        let mut at = heading.map_or(lines.len(), |at| at + 1);
        for step in &life.steps {
            let more = [
                step.contra.is_some(),
                step.priority.is_some(),
                step.ahead.is_some(),
                step.taken.is_known(),
            ];
            let taken = 1 + more.iter().filter(|more| **more).count();
            for line in lines.iter_mut().skip(at).take(taken) {
                line.place = Some(step.sequence);
            }
            at += taken;
        }
        Ok(Answer::Order(Page { about: life.order_id.to_string(), client: life.comp_id, lines }))
    }

    fn client(&mut self, comp_id: &str) -> Result<Answer, Fault> {
        let span = Span::parse(self.index, None, None)?;
        let client = client(self.index, comp_id, span)?;
        let text = client.to_string();
        let mut lines = page(&text);
        let firsts = client.rejects.values().map(|(_, first)| *first);
        let named = |word: &str, places: Vec<u64>, lines: &mut Vec<PageLine>| {
            let those = lines.iter_mut().filter(|line| line.text.starts_with(word));
            those.zip(places).for_each(|(line, place)| line.place = Some(place));
        };
        named("Active", client.active.iter().map(|(first, _)| first.0).collect(), &mut lines);
        named("Rejects", firsts.collect(), &mut lines);
        named("Reset", client.resets.clone(), &mut lines);
        let anomalies = client.anomalies.found.iter().map(|anomaly| anomaly.place.sequence);
        named("Anomaly", anomalies.collect(), &mut lines);
        let limit = client.anomalies.first_limit.iter().map(|hit| hit.place.sequence);
        named("Limits", limit.collect(), &mut lines);
        let about = client.comp_id.clone();
        Ok(Answer::Client(Page { about: about.clone(), client: about, lines }))
    }

    /// Compares with another journal, or with what this program computes. Where they go on, both are shown.
    fn diff(&self, other: Option<&str>, control: &mut Control<'_>) -> Result<Answer, Fault> {
        let last = grouped(self.index.last_sequence());
        let mut goes_on = |sequence| {
            (control.tell)(format!("Comparing at sequence {} of {last}", grouped(sequence)));
            !control.stop.load(Ordering::Relaxed)
        };
        match self.compared(other, &mut goes_on) {
            Err(Fault::Stopped) => Ok(Answer::Told("stopped; not compared to the end".to_owned())),
            answer => answer,
        }
    }

    fn compared(&self, other: Option<&str>, goes_on: GoesOn<'_>) -> Result<Answer, Fault> {
        let dir = self.index.dir();
        let Some(other) = other else {
            let computed = compute(dir, DIFF_FRAMES, goes_on)?;
            let found = computed.divergence.as_ref();
            let before = found.map_or(&[][..], |found| &found.before);
            let first = found.map(|found| [&found.journaled, &found.computed]);
            let behind = found.map_or([0; 2], |of| [of.sequence; 2]);
            let after = self.following([Some(dir), None], behind, goes_on)?;
            return Ok(Answer::Diff(DiffPage {
                other: "this program".to_owned(),
                lines: summary(&computed.to_string()),
                rows: rows(before, first, if found.is_some() { after } else { Vec::new() }),
            }));
        };
        let how = Comparison { ignore_times: false, context: DIFF_FRAMES };
        let compared = compare([dir, Path::new(other)], Some(self.index.kept_in()), how, goes_on)?;
        let found = compared.difference.as_ref();
        let first = found.map(|found| [&found.first.a, &found.first.b]);
        let after = match first {
            Some(first) => {
                let last = first.map(|shown| shown.as_ref().map_or(u64::MAX - 1, |of| of.sequence));
                self.following([Some(dir), Some(Path::new(other))], last, goes_on)?
            }
            None => Vec::new(),
        };
        let before = found.map_or(&[][..], |found| &found.before);
        Ok(Answer::Diff(DiffPage {
            other: other.to_owned(),
            lines: summary(&compared.to_string()),
            rows: rows(before, first, after),
        }))
    }

    /// What comes behind a frame of each, side by side.
    fn following(
        &self,
        dirs: [Option<&Path>; 2],
        behind: [u64; 2],
        goes_on: GoesOn<'_>,
    ) -> Result<Vec<[Option<Shown>; 2]>, Fault> {
        let end = Moment::end(self.index)?;
        let Some(names) = end.engine() else { return Ok(Vec::new()) };
        let mut of = |side: usize| match dirs[side] {
            Some(dir) => following(dir, behind[side], DIFF_FRAMES, names, goes_on),
            None => Ok(Vec::new()),
        };
        let (a, b) = (of(0)?, of(1)?);
        let at = |of: &[Shown], number: usize| of.get(number).cloned();
        let longest = a.len().max(b.len());
        Ok((0..longest).map(|number| [at(&a, number), at(&b, number)]).collect())
    }
}

/// What a comparison came to, without its frames.
fn summary(text: &str) -> Vec<String> {
    let is_fact = |line: &&str| DIFF_FACTS.iter().any(|label| line.starts_with(label));
    text.lines().filter(is_fact).map(str::to_owned).collect()
}

/// Frames that are the same, then those that may not be.
fn rows(
    before: &[Shown],
    first: Option<[&Option<Shown>; 2]>,
    after: Vec<[Option<Shown>; 2]>,
) -> Vec<DiffRow> {
    let cell = |shown: &Shown| DiffCell { sequence: shown.sequence, text: shown.text.clone() };
    let same = before.iter().map(|shown| DiffRow {
        a: Some(cell(shown)),
        b: Some(cell(shown)),
        is_same: true,
    });
    let pair = |[a, b]: [&Option<Shown>; 2]| DiffRow {
        a: a.as_ref().map(cell),
        b: b.as_ref().map(cell),
        is_same: matches!((a, b), (Some(a), Some(b)) if a.text == b.text && a.time_ns == b.time_ns),
    };
    let first = first.map(|first| DiffRow { is_same: false, ..pair(first) });
    same.chain(first).chain(after.iter().map(|[a, b]| pair([a, b]))).collect()
}

fn page(text: &str) -> Vec<PageLine> {
    text.lines().map(|line| PageLine { text: line.to_owned(), place: None }).collect()
}

fn ids(engine: &Engine) -> impl Iterator<Item = InstrumentId> {
    engine.instruments().map(|view| view.definition.instrument)
}

fn is_comp_id(engine: &Engine, name: &str) -> bool {
    engine.sessions().any(|view| view.comp_id.as_str() == name)
}

/// Looks for something until that is found, or nobody wants it any more.
struct Guard<'g, 'c, W> {
    inner: W,
    control: &'g mut Control<'c>,
    last: u64,
    looks: u64,
    is_stopped: bool,
}

impl<W: Watch> Watch for Guard<'_, '_, W> {
    fn begin(&mut self, moment: &Moment<'_>) {
        self.inner.begin(moment);
    }

    fn look(&mut self, moment: &Moment<'_>) -> Option<u64> {
        if self.looks.is_multiple_of(INPUTS_PER_LOOK) {
            self.is_stopped |= self.control.stop.load(Ordering::Relaxed);
            let (here, last) = (grouped(moment.sequence()), grouped(self.last));
            (self.control.tell)(format!("Looking at sequence {here} of {last}"));
        }
        self.looks += 1;
        // Anything that is found ends the run.
        if self.is_stopped { Some(moment.sequence()) } else { self.inner.look(moment) }
    }
}
