//! A moment as people see it: where it is, what happened, the books before and after.

use std::{collections::BTreeMap, fmt};

use ironbook_engine::{Engine, Event, InstrumentId, OrderId, Side};
use serde_json::{Value, json};

use crate::{
    Fault,
    book::{BookView, Change, LevelView, book, books, level_at},
    index::Index,
    moment::{Cost, Moment},
    show::{Content, Entry},
    text::{grouped, hash, utc},
};

/// What is to be seen at a moment.
#[derive(Clone, Debug)]
pub struct View {
    /// The frame that was asked for.
    pub sequence: u64,
    /// Its time in ns since 1970.
    pub time_ns: u64,
    /// The segment that holds it, by file name.
    pub segment: String,
    /// Bytes from the start of the segment to its input.
    pub offset: u64,
    /// The input and its events, each as people and as programs read it.
    pub entries: Vec<Shown>,
    /// Books that the input concerns, or all with orders where it concerns none.
    pub books: Vec<BookView>,
    /// Live orders of all sessions.
    pub live_orders: u64,
    /// Sessions, by comp id.
    pub sessions: Vec<SessionRow>,
    /// Hash of the engine's state.
    pub state_hash: u64,
    /// What it took.
    pub cost: Cost,
}

/// A frame as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its sequence.
    pub sequence: u64,
    /// What FIX calls it.
    pub name: &'static str,
    /// What it says.
    pub text: String,
    /// All of it.
    pub json: Value,
}

/// A session at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Its comp id.
    pub comp_id: String,
    /// MsgSeqNum expected next from the client.
    pub next_in: u64,
    /// MsgSeqNum of the next message to the client.
    pub next_out: u64,
    /// Its live orders.
    pub live_orders: u32,
}

/// A level by instrument, side (buy first) and price.
type LevelKey = (u32, bool, i64);

impl View {
    /// The moment behind the input that is, or has brought about, a frame, with books of `depth`
    /// levels. Gives the moment itself too, to go on from.
    ///
    /// # Errors
    /// [`Fault`]: there is no such frame, or no way there.
    pub fn at(index: &Index, sequence: u64, depth: usize) -> Result<(Self, Moment<'_>), Fault> {
        let input = index.input_of(sequence)?;
        let mut moment = Moment::before(index, input)?;
        let view = Self::step(&mut moment, depth)?;
        let view = view.ok_or_else(|| Fault::NotFound(format!("no sequence {sequence}")))?;
        Ok((view.about(sequence), moment))
    }

    /// Goes behind the next input and shows it; none when there is no other.
    ///
    /// # Errors
    /// As for [`Moment::step`].
    pub fn step(moment: &mut Moment<'_>, depth: usize) -> Result<Option<Self>, Fault> {
        let index = moment.index();
        let next = moment.sequence() + 1;
        let prices = match moment.engine() {
            Some(engine) => touched(&read_input(index, next)?, engine),
            None => Vec::new(),
        };
        let before = moment.engine().map(|engine| levels(engine, &prices)).unwrap_or_default();
        if !moment.step()? {
            return Ok(None);
        }
        Ok(Some(Self::of(moment, &before, depth)))
    }

    /// The same about another frame of the input.
    fn about(self, sequence: u64) -> Self {
        Self { sequence, ..self }
    }

    fn of(moment: &Moment<'_>, before: &BTreeMap<LevelKey, LevelView>, depth: usize) -> Self {
        let segment_bytes = moment.index().segment_bytes().max(1);
        let position = moment.noted().first().map_or(0, |input| input.position.get());
        let entries: Vec<_> = moment.entries().collect();
        let shown = |engine: &Engine| {
            let show = |entry: &Entry| Shown {
                sequence: entry.sequence,
                name: entry.name(),
                text: entry.text(engine),
                json: entry.json(engine),
            };
            entries.iter().map(show).collect()
        };
        Self {
            sequence: moment.input_sequence(),
            time_ns: moment.time_ns(),
            segment: format!("{:010}.seg", position / segment_bytes),
            offset: position % segment_bytes,
            entries: moment.engine().map(shown).unwrap_or_default(),
            books: moment
                .engine()
                .map_or_else(Vec::new, |engine| books_after(engine, &entries, before, depth)),
            live_orders: moment.engine().map_or(0, |engine| engine.totals().live_orders.into()),
            sessions: moment.engine().map_or_else(Vec::new, |engine| sessions(engine, moment)),
            state_hash: moment.engine().map_or(0, Engine::state_hash),
            cost: moment.cost(),
        }
    }

    /// For programs. What it took is not in it: that depends on what was asked before.
    pub fn json(&self) -> Value {
        let session = |row: &SessionRow| {
            json!({
                "comp_id": row.comp_id,
                "next_in": row.next_in,
                "next_out": row.next_out,
                "live_orders": row.live_orders,
            })
        };
        json!({
            "sequence": self.sequence,
            "time_ns": self.time_ns,
            "time": utc(self.time_ns),
            "segment": self.segment,
            "offset": self.offset,
            "entries": self.entries.iter().map(|entry| entry.json.clone()).collect::<Vec<_>>(),
            "books": self.books.iter().map(BookView::json).collect::<Vec<_>>(),
            "live_orders": self.live_orders,
            "sessions": self.sessions.iter().map(session).collect::<Vec<_>>(),
            "state_hash": hash(self.state_hash),
        })
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Sequence     {} at {}, in {} at offset {}",
            self.sequence,
            utc(self.time_ns),
            self.segment,
            self.offset
        )?;
        for (number, entry) in self.entries.iter().enumerate() {
            let label = if number == 0 { "Input" } else { "" };
            let mark = if entry.sequence == self.sequence { ">" } else { " " };
            writeln!(f, "{label:<12}{mark}{:<10} {}: {}", entry.sequence, entry.name, entry.text)?;
        }
        for book in &self.books {
            writeln!(f, "\n{book}")?;
        }
        writeln!(f, "\nOrders       {} live", grouped(self.live_orders))?;
        for (number, row) in self.sessions.iter().enumerate() {
            let label = if number == 0 { "Sessions" } else { "" };
            writeln!(
                f,
                "{label:<12} {:<16} next in {}, next out {}, {} live orders",
                row.comp_id, row.next_in, row.next_out, row.live_orders
            )?;
        }
        write!(f, "State        {}", hash(self.state_hash))
    }
}

/// An input and its events, read but not carried out.
pub(crate) fn read_input(index: &Index, input: u64) -> Result<Vec<Entry>, Fault> {
    let mut entries = Vec::new();
    let mut at = input;
    while let Some(block) = index.block_of(at) {
        let mut ended = false;
        index.read_block(&block, |frame| {
            ended = frame.sequence > input && !Event::is_kind(frame.kind);
            if frame.sequence >= input && !ended {
                entries.push(Entry::of(frame));
            }
            !ended
        })?;
        if ended {
            break;
        }
        at = block.last_sequence + 1;
    }
    Ok(entries)
}

/// The levels that an input's events are about: of their orders' prices now and before, of what they
/// traded against.
fn touched(entries: &[Entry], engine: &Engine) -> Vec<LevelKey> {
    let mut found = Vec::new();
    for entry in entries {
        let Content::Event(event) = &entry.content else { continue };
        let Event::Execution(event) = &**event else { continue };
        let key = |side, price| (event.instrument.0, side != Side::Buy, price);
        found.push(key(event.side, event.price));
        if event.contra_order_id != OrderId::NONE {
            found.push(key(event.side.opposite(), event.last_px));
        }
        if let Some(order) = engine.order(event.order_id) {
            found.push(key(order.side, order.price));
        }
    }
    found.retain(|(_, _, price)| *price > 0);
    found.sort_unstable();
    found.dedup();
    found
}

fn levels(engine: &Engine, keys: &[LevelKey]) -> BTreeMap<LevelKey, LevelView> {
    keys.iter().filter_map(|key| Some((*key, level_of(engine, *key)?))).collect()
}

fn level_of(engine: &Engine, (instrument, sells, price): LevelKey) -> Option<LevelView> {
    let instrument = InstrumentId(instrument);
    let (view, book) = (engine.instrument(instrument)?, engine.book(instrument)?);
    Some(level_at((&view, &book), side_of(sells), price))
}

fn side_of(sells: bool) -> Side {
    if sells { Side::Sell } else { Side::Buy }
}

fn books_after(
    engine: &Engine,
    entries: &[Entry],
    before: &BTreeMap<LevelKey, LevelView>,
    depth: usize,
) -> Vec<BookView> {
    let mut concerned: Vec<_> = entries.iter().filter_map(concerns).collect();
    concerned.sort_unstable_by_key(|instrument| instrument.0);
    concerned.dedup();
    if concerned.is_empty() {
        let mut all = books(engine, depth);
        all.retain(|book| book.live_orders > 0);
        return all;
    }
    let with_changes = |instrument: InstrumentId| {
        let mut view = book(engine, instrument, depth)?;
        let here = before.iter().filter(|((of, ..), _)| *of == instrument.0);
        view.changes = here
            .filter_map(|(key, level)| {
                let after = level_of(engine, *key)?;
                let (side, price) = (side_of(key.1), after.price.clone());
                let changed = after != *level;
                changed.then(|| Change { side, price, before: level.clone(), after })
            })
            .collect();
        Some(view)
    };
    concerned.into_iter().filter_map(with_changes).collect()
}

/// The instrument that a frame is about.
fn concerns(entry: &Entry) -> Option<InstrumentId> {
    use ironbook_engine::Command;
    let instrument = match &entry.content {
        Content::Command(command) => match &**command {
            Command::NewOrder(order) => order.instrument,
            Command::CancelOrder(request) => request.instrument,
            Command::ReplaceOrder(request) => request.instrument,
            Command::QueryOrder(request) => request.instrument,
            Command::MassCancel(request) => request.instrument,
            Command::SetInstrumentStatus(request) => request.instrument,
            Command::DefineInstrument(definition) => definition.instrument,
            Command::Limits(_)
            | Command::DefineSession(_)
            | Command::CancelOnDisconnect(_)
            | Command::SetRiskLimits(_)
            | Command::SetTradingStatus(_) => InstrumentId::NONE,
        },
        Content::Event(event) => match &**event {
            Event::Execution(event) => event.instrument,
            _ => InstrumentId::NONE,
        },
        _ => InstrumentId::NONE,
    };
    (instrument != InstrumentId::NONE).then_some(instrument)
}

fn sessions(engine: &Engine, moment: &Moment<'_>) -> Vec<SessionRow> {
    let row = |view: ironbook_engine::engine::SessionView| {
        let numbers = moment.sessions().get(view.session);
        SessionRow {
            comp_id: view.comp_id.to_string(),
            next_in: numbers.map_or(1, |numbers| numbers.next_in),
            next_out: numbers.map_or(1, |numbers| numbers.next_out),
            live_orders: view.live_orders,
        }
    };
    let mut rows: Vec<_> = engine.sessions().map(row).collect();
    rows.sort_by(|a, b| a.comp_id.cmp(&b.comp_id));
    rows
}
