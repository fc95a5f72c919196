//! Questions to a journal, each with an answer for people ([`Display`](std::fmt::Display)) and one for
//! programs (`json`). The same journal gives the same answer, byte for byte.

pub mod book;
pub mod bust;
pub mod client;
pub mod latency;
pub mod life;
mod nearest;
pub mod queue;
pub mod stages;
pub mod top;
pub mod trades;
pub mod why;

use ironbook_engine::{ClOrdId, Engine, Event, InstrumentId, OrderId, Symbol};
use ironbook_journal::Frame;
use serde_json::{Value, json};

use crate::{
    Fault,
    index::{Index, Key},
    moment::Moment,
    place::{self, What},
    show::{Content, Entry, comp_id},
    text::utc,
};

/// A part of a journal, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first frame.
    pub first: u64,
    /// The last frame.
    pub last: u64,
}

impl Span {
    /// From one place to another, as people name them; all of the journal where nothing is said. A time
    /// as the first place means the first frame that is not before it.
    ///
    /// # Errors
    /// As for [`What::find`]; [`Fault::NotFound`] when nothing lies between the places.
    pub fn parse(index: &Index, from: Option<&str>, to: Option<&str>) -> Result<Self, Fault> {
        let first = match from.map(|word| What::parse(word, index)).transpose()? {
            None => index.first_sequence(),
            Some(What::Time(time_ns)) if time_ns <= index.first_time_ns() => index.first_sequence(),
            Some(What::Time(time_ns)) => What::Time(time_ns - 1).find(index)? + 1,
            Some(what) => what.find(index)?,
        };
        let last = match to {
            None => index.last_sequence(),
            Some(word) => What::parse(word, index)?.find(index)?,
        };
        if first > last && (from, to) != (None, None) {
            let (held, end) = (index.first_sequence(), index.last_sequence());
            return Err(Fault::NotFound(format!(
                "nothing lies between {} and {}, which is sequence {first} to {last}; the journal holds \
                 {held} to {end}, {} to {}",
                from.unwrap_or("start"),
                to.unwrap_or("end"),
                utc(index.first_time_ns()),
                utc(index.last_time_ns()),
            )));
        }
        Ok(Self { first, last })
    }

    /// The same from its first frame's input to the last event of its last frame's.
    ///
    /// # Errors
    /// [`Fault`]: there are no such frames.
    pub fn of_inputs(self, index: &Index) -> Result<Self, Fault> {
        let last = Moment::at(index, self.last)?.sequence();
        Ok(Self { first: index.input_of(self.first)?, last })
    }

    fn holds(self, sequence: u64) -> bool {
        (self.first..=self.last).contains(&sequence)
    }
}

/// Shows each frame of a span in blocks that may hold all of some keys.
pub(crate) fn scan(
    index: &Index,
    keys: &[Key],
    span: Span,
    mut each: impl FnMut(&Frame<'_>),
) -> Result<(), Fault> {
    scan_while(index, keys, span, |frame| {
        each(frame);
        true
    })
}

/// The same until `each` says false.
pub(crate) fn scan_while(
    index: &Index,
    keys: &[Key],
    span: Span,
    mut each: impl FnMut(&Frame<'_>) -> bool,
) -> Result<(), Fault> {
    let mut goes_on = true;
    for block in index.blocks_with(keys) {
        if block.last_sequence < span.first || block.first_sequence > span.last {
            continue;
        }
        if !goes_on {
            break;
        }
        index.read_block(&block, |frame| {
            goes_on = !span.holds(frame.sequence) || each(frame);
            goes_on && frame.sequence < span.last
        })?;
    }
    Ok(())
}

/// The engine at the end of a journal, which knows all names.
fn engine<'m>(end: &'m Moment<'_>) -> Result<&'m Engine, Fault> {
    end.engine().ok_or_else(|| Fault::NotFound("the journal holds no command yet".to_owned()))
}

/// The instrument with a symbol.
pub(crate) fn instrument(engine: &Engine, wanted: &str) -> Result<InstrumentId, Fault> {
    let symbol = Symbol::try_from(wanted).ok();
    let found = symbol.and_then(|symbol| engine.instrument_by_symbol(&symbol));
    found.map(|view| view.definition.instrument).ok_or_else(|| {
        let known: Vec<_> =
            engine.instruments().map(|view| view.definition.symbol.to_string()).collect();
        Fault::NotFound(format!("there is no symbol {wanted}; there are {}", known.join(" ")))
    })
}

/// The order that a word names: an OrderID, a ClOrdID, or a place where an order is. Rejected ones have
/// no OrderID and are not found.
///
/// # Errors
/// As for [`What::find`].
pub fn find_order(index: &Index, word: &str) -> Result<OrderId, Fault> {
    if let Ok(id) = word.parse()
        && place::order(index, OrderId(id))?.is_some()
    {
        return Ok(OrderId(id));
    }
    let what = What::parse(word, index)?;
    if let What::Name(wanted, name) = &what {
        return named_order(index, wanted.as_deref(), name);
    }
    let sequence = what.find(index)?;
    if let What::Order(id) = what {
        return Ok(id);
    }
    let entries = input_at(index, sequence)?;
    let own = entries.iter().filter(|entry| entry.sequence == sequence);
    // The frame itself speaks first, then the input's first order.
    own.chain(&entries).find_map(order_of).ok_or_else(|| {
        Fault::NotFound(format!(
            "{word} is sequence {sequence}, where no order was accepted or changed"
        ))
    })
}

/// The order that requests with a ClOrdID made or changed.
fn named_order(index: &Index, wanted: Option<&str>, name: &ClOrdId) -> Result<OrderId, Fault> {
    let end = Moment::end(index)?;
    let requests = place::requests_of(index, engine(&end)?, wanted, name)?;
    let mut orders = Vec::new();
    for request in &requests {
        let entries = input_at(index, request.sequence)?;
        let own = entries.iter().find_map(|entry| match &entry.content {
            Content::Event(event) => match &**event {
                Event::Execution(event) if event.session == request.session => Some(*event),
                _ => None,
            },
            _ => None,
        });
        if let Some(event) = own.filter(|event| event.cl_ord_id == *name) {
            orders.push((event.order_id, comp_id(engine(&end)?, event.session), request.sequence));
        }
    }
    orders.sort_unstable_by_key(|(id, _, sequence)| (id.0, *sequence));
    orders.dedup_by_key(|(id, ..)| *id);
    match orders.as_slice() {
        [(one, ..)] => Ok(*one),
        [] => Err(Fault::NotFound(format!(
            "every request with the ClOrdID {name} was refused, the first at sequence {}; \
             `ironbook why` tells why",
            requests[0].sequence
        ))),
        several => {
            Err(place::ambiguous(format!("clordid:{name}"), several, |(id, who, sequence)| {
                format!("  order:{id}  of {who}, at sequence {sequence}")
            }))
        }
    }
}

fn order_of(entry: &Entry) -> Option<OrderId> {
    let Content::Event(event) = &entry.content else { return None };
    let Event::Execution(event) = &**event else { return None };
    (event.order_id != OrderId::NONE).then_some(event.order_id)
}

/// The input that is, or has brought about, a frame, with its events.
fn input_at(index: &Index, sequence: u64) -> Result<Vec<Entry>, Fault> {
    crate::view::read_input(index, index.input_of(sequence)?)
}

pub(crate) fn place_json(sequence: u64, time_ns: u64) -> Value {
    json!({ "sequence": sequence, "time_ns": time_ns, "time": utc(time_ns) })
}

/// The time of day of a moment, to the microsecond: `14:30:00.000017`.
pub(crate) fn clock(time_ns: u64) -> String {
    utc(time_ns)[11..26].to_owned()
}
