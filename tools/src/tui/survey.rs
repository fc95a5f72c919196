//! What a whole journal looks like from far: rates over time, silences, halts, latency.
//!
//! Every frame is read once, in slices, so that whoever asks something meanwhile is answered first. What
//! is kept has a bound: cells of time become twice as wide whenever the journal outgrows them.

use std::collections::BTreeMap;

use ironbook_engine::{
    Command, Event, ExecType, InstrumentId, InstrumentStatus, LastLiquidity, SessionId,
    TradingStatus,
};
use ironbook_gateway::{session_record::SessionRecord, translate::reject_text};
use ironbook_incident::{
    Fault,
    index::Index,
    moment::Moment,
    question::{
        Span,
        latency::{Quantiles, Slow, Waits},
        stages::{StageSum, kept},
    },
    show::Judged as _,
};
use ironbook_journal::{Frame, Position, Reader};

/// Cells of time at the most: more than a wide terminal has columns. Even, as pairs of them are joined.
const CELLS_MAX: usize = 256;
/// Width of a cell at first, in ns.
const CELL_NS_MIN: u64 = 1_000_000;
/// The longest silences that are kept.
const SILENCES_MAX: usize = 3;
/// Marks that are kept, the first ones; the rest is counted.
const MARKS_MAX: usize = 1_000;
/// The slowest commands that are kept.
const SLOWEST_MAX: usize = 100;

/// How far a journal that is followed goes on until its stage times are read again, in ns.
const STAGES_EVERY_NS: u64 = 10_000_000_000;

const _: () = assert!(CELLS_MAX.is_multiple_of(2));

/// What happened in a cell of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Requests of clients, those too that the gateway refused.
    pub messages: u64,
    /// Requests that were refused.
    pub rejects: u64,
    /// Trades, each counted once.
    pub trades: u64,
    /// The longest latency, in ns.
    pub latency_ns: u64,
}

/// Something that is worth a mark on the time line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its frame.
    pub sequence: u64,
    /// Its time in ns since 1970.
    pub time_ns: u64,
    /// What it was.
    pub what: Happening,
    /// What it was, for people.
    pub text: String,
}

/// What a mark stands for; of several in one place the least one is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    /// An instrument stopped trading.
    Halt,
    /// A session went beyond a risk limit that trips.
    Trip,
    /// A session was suspended, or all its orders were killed.
    Kill,
    /// An instrument trades again, or a session.
    Open,
}

/// Time in which the journal got no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Silence {
    /// How long, in ns.
    pub ns: u64,
    /// The frame that ended it.
    pub sequence: u64,
    /// The time of that frame, in ns since 1970.
    pub time_ns: u64,
}

/// What is known so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Frames read.
    pub frames: u64,
    /// Of these commands of clients, and answers of the gateway to requests that it refused.
    pub messages: u64,
    /// And refusals, by gateway or engine.
    pub rejects: u64,
    /// And trades.
    pub trades: u64,
    /// Sequence and time of the first frame.
    pub first: (u64, u64),
    /// And of the last one.
    pub last: (u64, u64),
    /// How much time a cell is, in ns.
    pub cell_ns: u64,
    /// What happened in each, from the first frame on.
    pub cells: Vec<Cell>,
    /// Halts, trips, kills, and instruments and sessions that open again.
    pub marks: Vec<Mark>,
    /// Those that had no room.
    pub marks_left: u64,
    /// Longest first.
    pub silences: Vec<Silence>,
    /// Of the commands that clients sent.
    pub latency: Latency,
    /// What is kept beside the journal of the stages of a request's way.
    pub stages: Stages,
    /// Whether all of the journal that is indexed was read.
    pub is_done: bool,
}

/// Stage times that a venue kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// Seconds of which there are some.
    pub seconds: u64,
    /// Each stage that has values, over all of them.
    pub sums: Vec<StageSum>,
    /// What is wrong with the files.
    pub notes: Vec<String>,
}

impl Stages {
    /// What there is beside a journal.
    fn read(index: &Index) -> Self {
        let span = Span { first: index.first_sequence(), last: index.last_sequence() };
        kept(index, span).map_or_else(Self::default, |found| Self {
            seconds: found.seconds.len() as u64,
            sums: found.sums(),
            notes: found.notes,
        })
    }

    /// Whether there is nothing to be told.
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty() && self.notes.is_empty()
    }
}

/// How long requests waited before the core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// All of them.
    pub waits: Quantiles,
    /// Slowest first.
    pub slowest: Vec<Slow>,
}

/// Reads a journal, slice by slice.
pub struct Surveyor {
    reader: Reader,
    until: u64,
    /// Time of the journal's last frame when stage times were read.
    stages_ns: Option<u64>,
    survey: Survey,
    waits: Waits,
    names: Names,
}

/// Names that the journal gives to numbers.
#[derive(Default)]
struct Names {
    symbols: BTreeMap<InstrumentId, String>,
    comp_ids: BTreeMap<SessionId, String>,
}

impl Surveyor {
    /// In front of the first frame that is indexed.
    ///
    /// # Errors
    /// The journal can't be opened any more.
    pub fn new(index: &Index) -> Result<Self, Fault> {
        let first = index.blocks().next().map_or(Position::START, |block| block.position);
        let mut reader = index.reader(first)?;
        // Whoever made the index has checked every byte.
        reader.set_verify(false);
        let mut surveyor = Self {
            reader,
            until: 0,
            stages_ns: None,
            survey: Survey { cell_ns: CELL_NS_MIN, ..Survey::default() },
            waits: Waits::new(SLOWEST_MAX),
            names: Names::before(index)?,
        };
        surveyor.extend(index);
        Ok(surveyor)
    }

    /// The index goes further now.
    pub fn extend(&mut self, index: &Index) {
        self.until = index.last_sequence();
        let last_ns = index.last_time_ns();
        if self.stages_ns.is_none_or(|read_ns| last_ns >= read_ns.saturating_add(STAGES_EVERY_NS)) {
            self.survey.stages = Stages::read(index);
            self.stages_ns = Some(last_ns);
        }
        self.survey.is_done = self.is_at_end();
    }

    fn is_at_end(&self) -> bool {
        // An empty journal ends before its first frame.
        self.survey.last.0 >= self.until
    }

    /// Reads up to so many frames more; false when there are no more.
    ///
    /// # Errors
    /// The journal can't be read any more.
    pub fn slice(&mut self, frames: u64) -> Result<bool, Fault> {
        for _ in 0..frames {
            if self.is_at_end() {
                break;
            }
            let next = self.reader.next().map_err(ironbook_gateway::replay::PlayError::from)?;
            let Some(frame) = next else { break };
            self.survey.take(&frame, &mut self.waits, &mut self.names);
        }
        self.survey.is_done = self.is_at_end();
        Ok(!self.survey.is_done)
    }

    /// Whether the journal has a frame more than the index.
    pub fn has_grown(&mut self) -> bool {
        if !self.survey.is_done {
            return false;
        }
        let end = self.reader.position();
        let grown = self.reader.next().is_ok_and(|frame| frame.is_some());
        self.reader.seek(end);
        grown
    }

    /// What is known so far.
    pub fn survey(&self) -> Survey {
        let mut survey = self.survey.clone();
        survey.latency = Latency { waits: self.waits.quantiles(), slowest: self.waits.slowest() };
        survey
    }
}

impl Survey {
    fn take(&mut self, frame: &Frame<'_>, waits: &mut Waits, names: &mut Names) {
        let here = (frame.sequence, frame.time_ns);
        if self.frames == 0 {
            self.first = here;
        } else if frame.time_ns > self.last.1 {
            let ns = frame.time_ns - self.last.1;
            self.keep_silence(Silence { ns, sequence: here.0, time_ns: here.1 });
        }
        self.frames += 1;
        self.last = here;
        if Command::is_kind(frame.kind) {
            if let Ok(command) = Command::decode(frame.kind, frame.payload) {
                self.command(&command, frame, waits, names);
            }
        } else if Event::is_kind(frame.kind)
            && let Ok(event) = Event::decode(frame.kind, frame.payload)
        {
            self.event(&event, here, names);
        } else if SessionRecord::is_refusal(frame.kind, frame.payload) {
            self.messages += 1;
            self.rejects += 1;
            let cell = self.cell(frame.time_ns);
            cell.messages += 1;
            cell.rejects += 1;
        }
    }

    fn command(
        &mut self,
        command: &Command,
        frame: &Frame<'_>,
        waits: &mut Waits,
        names: &mut Names,
    ) {
        match command {
            Command::DefineInstrument(definition) => {
                names.symbols.insert(definition.instrument, definition.symbol.to_string());
            }
            Command::DefineSession(definition) => {
                names.comp_ids.insert(definition.session, definition.comp_id.to_string());
            }
            _ => {}
        }
        let Some(Slow { ns, .. }) = waits.take(command, frame) else { return };
        self.messages += 1;
        let cell = self.cell(frame.time_ns);
        cell.messages += 1;
        cell.latency_ns = cell.latency_ns.max(ns);
    }

    fn event(&mut self, event: &Event, (sequence, time_ns): (u64, u64), names: &Names) {
        match event {
            Event::OrderRejected(_) | Event::CancelRejected(_) => {
                self.rejects += 1;
                self.cell(time_ns).rejects += 1;
            }
            Event::Execution(event)
                if event.exec_type == ExecType::Trade
                    && event.last_liquidity == LastLiquidity::Removed =>
            {
                self.trades += 1;
                self.cell(time_ns).trades += 1;
            }
            Event::StatusChanged(event) => {
                let what = match event.status {
                    InstrumentStatus::Open => Happening::Open,
                    _ => Happening::Halt,
                };
                let text = format!("{} {:?}", names.symbol(event.instrument), event.status);
                self.mark(Mark { sequence, time_ns, what, text });
            }
            Event::SessionTripped(event) => {
                let who = names.comp_id(event.session);
                let text = reject_text(event.rule, event.limit(), event.observed());
                let text = format!("{who} tripped by {:?}: {text}", event.rule);
                self.mark(Mark { sequence, time_ns, what: Happening::Trip, text });
            }
            Event::TradingStatusChanged(event) => {
                let who = names.comp_id(event.session);
                let (what, done) = match event.status {
                    TradingStatus::Open => (Happening::Open, "opened"),
                    _ => (Happening::Kill, "suspended"),
                };
                let text = format!("{who} {done}: {}", event.reason);
                self.mark(Mark { sequence, time_ns, what, text });
            }
            Event::MassCanceled(event) => {
                let who = names.comp_id(event.session);
                let text = format!("{who} mass cancel of {} orders", event.affected);
                self.mark(Mark { sequence, time_ns, what: Happening::Kill, text });
            }
            _ => {}
        }
    }

    fn mark(&mut self, mark: Mark) {
        if self.marks.len() < MARKS_MAX {
            self.marks.push(mark);
        } else {
            self.marks_left += 1;
        }
    }

    fn keep_silence(&mut self, silence: Silence) {
        let at = self.silences.partition_point(|kept| kept.ns >= silence.ns);
        if at < SILENCES_MAX {
            self.silences.insert(at, silence);
            self.silences.truncate(SILENCES_MAX);
        }
    }

    /// The cell of a time that is not before the first frame's.
    fn cell(&mut self, time_ns: u64) -> &mut Cell {
        let since = time_ns.saturating_sub(self.first.1);
        while since / self.cell_ns >= CELLS_MAX as u64 {
            self.cells = self.cells.chunks(2).map(joined).collect();
            self.cell_ns *= 2;
        }
        let at = (since / self.cell_ns) as usize;
        if at >= self.cells.len() {
            self.cells.resize(at + 1, Cell::default());
        }
        &mut self.cells[at]
    }

    /// Time from the first frame to the last, in ns.
    pub fn span_ns(&self) -> u64 {
        self.last.1.saturating_sub(self.first.1)
    }

    /// One number for each of some columns over the whole span: the highest of the cells there.
    pub fn columns(&self, columns: usize, of: impl Fn(&Cell) -> u64) -> Vec<u64> {
        let used = self.used();
        let highest = |column: usize| {
            let from = column * used / columns;
            let to = ((column + 1) * used / columns).max(from + 1);
            let cells = self.cells.iter().take(to).skip(from);
            cells.map(&of).max().unwrap_or(0)
        };
        (0..columns).map(highest).collect()
    }

    /// The column of a time, of so many.
    pub fn column_of(&self, time_ns: u64, columns: usize) -> usize {
        let (used, since) = (self.used(), time_ns.saturating_sub(self.first.1));
        let at = ((since / self.cell_ns.max(1)) as usize).min(used - 1);
        // The first one of those that show the cell, where it has more than one.
        let (first, last) = ((at * columns).div_ceil(used), ((at + 1) * columns - 1) / used);
        first.min(last)
    }

    /// Cells from the first frame to the last.
    fn used(&self) -> usize {
        ((self.span_ns() / self.cell_ns.max(1)) as usize + 1).max(self.cells.len())
    }

    /// A count in a cell as a rate, per second.
    pub fn rate(&self, count: u64) -> u64 {
        (u128::from(count) * 1_000_000_000 / u128::from(self.cell_ns.max(1))) as u64
    }
}

fn joined(cells: &[Cell]) -> Cell {
    cells.iter().fold(Cell::default(), |sum, cell| Cell {
        messages: sum.messages + cell.messages,
        rejects: sum.rejects + cell.rejects,
        trades: sum.trades + cell.trades,
        latency_ns: sum.latency_ns.max(cell.latency_ns),
    })
}

impl Names {
    /// Those that were given before the first frame, in a journal that has lost its first segments.
    fn before(index: &Index) -> Result<Self, Fault> {
        let mut names = Self::default();
        if index.first_sequence() <= 1 {
            return Ok(names);
        }
        let end = Moment::end(index)?;
        if let Some(engine) = end.engine() {
            let symbols = engine.instruments().map(|view| view.definition);
            names.symbols.extend(symbols.map(|of| (of.instrument, of.symbol.to_string())));
            let sessions = engine.sessions();
            names.comp_ids.extend(sessions.map(|view| (view.session, view.comp_id.to_string())));
        }
        Ok(names)
    }

    fn symbol(&self, instrument: InstrumentId) -> String {
        let known = self.symbols.get(&instrument).cloned();
        known.unwrap_or_else(|| format!("instrument {instrument}"))
    }

    fn comp_id(&self, session: SessionId) -> String {
        let known = self.comp_ids.get(&session).cloned();
        known.unwrap_or_else(|| format!("session {session}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_widen_and_lose_nothing() {
        let mut survey = Survey { cell_ns: CELL_NS_MIN, first: (1, 5), ..Survey::default() };
        for second in 0..1_000 {
            let time_ns = 5 + second * 1_000_000_000;
            survey.last = (second + 1, time_ns);
            survey.cell(time_ns).messages += 1;
            assert!(survey.cells.len() <= CELLS_MAX);
        }
        assert_eq!(survey.cells.iter().map(|cell| cell.messages).sum::<u64>(), 1_000);
        assert!(survey.cells.len() > CELLS_MAX / 2 - 2, "{}", survey.cells.len());
        assert_eq!(survey.rate(4), 4_000_000_000 / survey.cell_ns);
        for columns in [1, 7, 80, 1_000] {
            let all = survey.columns(columns, |cell| cell.messages);
            assert_eq!(all.len(), columns);
            assert_eq!(survey.column_of(5, columns), 0);
            let last = survey.column_of(u64::MAX, columns);
            assert_eq!(all[last..], vec![all[last]; columns - last], "all of the last cell");
            assert_eq!(last, survey.column_of(survey.last.1, columns));
        }
    }

    #[test]
    fn a_mark_is_in_the_column_of_its_peak() {
        for at in 0..100 {
            let mut survey = Survey { cell_ns: 10, last: (9, 999), ..Survey::default() };
            survey.cell(at * 10).trades = 1;
            for columns in [3, 20, 100, 250] {
                let all = survey.columns(columns, |cell| cell.trades);
                let column = survey.column_of(at * 10, columns);
                assert_eq!(all[column], 1, "{at} of {columns}");
            }
        }
    }

    #[test]
    fn the_longest_are_kept() {
        let mut survey = Survey::default();
        let mut all: Vec<_> = (0..1_000).map(|number| number * 7_919 % 10_007).collect();
        for (number, &ns) in (0..).zip(&all) {
            survey.keep_silence(Silence { ns, sequence: number, time_ns: number });
        }
        all.sort_unstable_by_key(|ns| std::cmp::Reverse(*ns));
        let silences: Vec<_> = survey.silences.iter().map(|silence| silence.ns).collect();
        assert_eq!(silences, all[..SILENCES_MAX]);
    }
}
