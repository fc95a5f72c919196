//! Places in a journal: what people say, and the frame that they mean.
//!
//! | said | means |
//! |---|---|
//! | `seq:N`, or a number that the journal has as a sequence | that frame |
//! | `time:T`: RFC 3339, `HH:MM:SS[.fraction]` on the journal's first day, both UTC, or ns since 1970 | the last frame at or before it |
//! | `order:N` | the acceptance of the order with this OrderID (37) |
//! | `clordid:X`, `clordid:COMPID/X` | the request with this ClOrdID (11) |
//! | `trade:N` | the trade with this number (TrdMatchID 880, SecondaryExecID 527) |
//! | `start`, `end` | the first and the last frame |
//!
//! Without a prefix a number is a sequence, else an OrderID or ns; what looks like a time is one;
//! everything else is a ClOrdID.

use ironbook_engine::{
    ClOrdId, Command, Engine, Event, ExecType, LastLiquidity, OrderId, SessionId, TradeId,
};
use ironbook_journal::Frame;

use crate::{
    Fault,
    index::{Index, Key},
    moment::Moment,
    show::{Content, comp_id},
    text::{parse_utc, utc},
};

/// Most meanings of an ambiguous word that are listed.
const CHOICES_MAX: usize = 20;

/// What somebody said, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The first frame.
    Start,
    /// The last frame.
    End,
    /// A frame.
    Sequence(u64),
    /// The last frame at or before a time, in ns since 1970.
    Time(u64),
    /// An order.
    Order(OrderId),
    /// A ClOrdID, and the comp id of the session that used it.
    Name(Option<String>, ClOrdId),
    /// A trade.
    Trade(TradeId),
}

impl What {
    /// Understands a word, see the table.
    ///
    /// # Errors
    /// [`Fault::Question`]: what would have been understood.
    pub fn parse(word: &str, index: &Index) -> Result<Self, Fault> {
        match word.split_once(':') {
            Some(("seq", rest)) => number(word, rest).map(Self::Sequence),
            Some(("order", rest)) => number(word, rest).map(|id| Self::Order(OrderId(id))),
            Some(("trade", rest)) => number(word, rest).map(|id| Self::Trade(TradeId(id))),
            Some(("clordid", rest)) => match rest.split_once('/') {
                Some((comp_id, name)) => Ok(Self::Name(Some(comp_id.to_owned()), named(name)?)),
                None => Ok(Self::Name(None, named(rest)?)),
            },
            Some(("time", rest)) => {
                time(rest, index).or_else(|| rest.parse().ok()).map(Self::Time).ok_or_else(|| {
                    Fault::Question(format!(
                        "{word}: no time; give 2026-03-02T14:30:00.000001Z, 14:30:00.000001 or ns \
                         since 1970"
                    ))
                })
            }
            _ => Self::guess(word, index),
        }
    }

    fn guess(word: &str, index: &Index) -> Result<Self, Fault> {
        match word {
            "start" => return Ok(Self::Start),
            "end" => return Ok(Self::End),
            _ => {}
        }
        if let Some(time_ns) = time(word, index) {
            return Ok(Self::Time(time_ns));
        }
        match word.parse() {
            Ok(sequence) if sequence <= index.last_sequence() => Ok(Self::Sequence(sequence)),
            Ok(id) if order(index, OrderId(id))?.is_some() => Ok(Self::Order(OrderId(id))),
            Ok(time_ns) if (index.first_time_ns()..=index.last_time_ns()).contains(&time_ns) => {
                Ok(Self::Time(time_ns))
            }
            _ => Ok(Self::Name(None, named(word)?)),
        }
    }

    /// The frame that is meant.
    ///
    /// # Errors
    /// [`Fault::NotFound`], or [`Fault::Ambiguous`] with all that may be meant.
    pub fn find(&self, index: &Index) -> Result<u64, Fault> {
        let last = index.last_sequence();
        if last < index.first_sequence() {
            return Err(Fault::NotFound("the journal holds nothing yet".to_owned()));
        }
        match self {
            Self::Start => Ok(index.first_sequence()),
            Self::End => Ok(last),
            Self::Sequence(sequence) => index.input_of(*sequence).map(|_| *sequence),
            Self::Time(time_ns) => at_time(index, *time_ns),
            Self::Order(id) => {
                order(index, *id)?.ok_or_else(|| Fault::NotFound(no_order(index, *id)))
            }
            Self::Name(comp_id, name) => named_request(index, comp_id.as_deref(), name),
            Self::Trade(id) => trade(index, *id),
        }
    }
}

fn no_order(index: &Index, id: OrderId) -> String {
    format!("no order {id} was accepted up to sequence {}", index.last_sequence())
}

fn number(word: &str, digits: &str) -> Result<u64, Fault> {
    let number = digits.replace(',', "");
    number.parse().map_err(|_| Fault::Question(format!("{word}: {digits:?} is no whole number")))
}

fn named(name: &str) -> Result<ClOrdId, Fault> {
    let parsed = ClOrdId::try_from(name).ok().filter(|name| !name.is_empty());
    parsed.ok_or_else(|| {
        Fault::Question(format!(
            "{name:?} is no ClOrdID, nor a number or a time; give seq:N, time:T, order:N, \
             clordid:[COMPID/]X or trade:N"
        ))
    })
}

fn time(word: &str, index: &Index) -> Option<u64> {
    parse_utc(word, index.first_time_ns())
}

/// The first frame in the blocks that may hold some keys for which `wanted` says so.
pub(crate) fn first(
    index: &Index,
    keys: &[Key],
    mut wanted: impl FnMut(&Frame<'_>) -> bool,
) -> Result<Option<u64>, Fault> {
    for block in index.blocks_with(keys) {
        let mut found = None;
        index.read_block(&block, |frame| {
            found = wanted(frame).then_some(frame.sequence);
            found.is_none()
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The frame that tells of an order's acceptance.
pub(crate) fn order(index: &Index, id: OrderId) -> Result<Option<u64>, Fault> {
    first(index, &[Key::Order(id)], |frame| match event(frame) {
        Some(Event::Execution(event)) => event.order_id == id && event.exec_type == ExecType::New,
        _ => false,
    })
}

/// The event of a frame that is one.
pub(crate) fn event(frame: &Frame<'_>) -> Option<Event> {
    Event::is_kind(frame.kind).then(|| Event::decode(frame.kind, frame.payload).ok())?
}

/// The frame of the aggressor's side of a trade.
fn trade(index: &Index, id: TradeId) -> Result<u64, Fault> {
    let found = first(index, &[Key::Trade(id)], |frame| match event(frame) {
        Some(Event::Execution(event)) => {
            event.trade_id == id && event.last_liquidity == LastLiquidity::Removed
        }
        _ => false,
    })?;
    found.ok_or_else(|| {
        let last = index.last_sequence();
        Fault::NotFound(format!("there is no trade {id} up to sequence {last}"))
    })
}

/// The last frame at or before a time.
fn at_time(index: &Index, time_ns: u64) -> Result<u64, Fault> {
    let block = index.block_at(time_ns).ok_or_else(|| {
        let first = utc(index.first_time_ns());
        Fault::NotFound(format!("{} is before the journal begins, {first}", utc(time_ns)))
    })?;
    let mut last = block.first_sequence;
    index.read_block(&block, |frame| {
        if frame.time_ns <= time_ns {
            last = frame.sequence;
        }
        frame.time_ns <= time_ns
    })?;
    Ok(last)
}

/// A request with a ClOrdID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub sequence: u64,
    pub session: SessionId,
    /// Whether it is a new order.
    pub is_order: bool,
}

/// All requests with a ClOrdID, in the sequence of the journal.
pub(crate) fn requests(index: &Index, name: &ClOrdId) -> Result<Vec<Named>, Fault> {
    let mut found = Vec::new();
    for block in index.blocks_with(&[Key::Name(*name)]) {
        index.read_block(&block, |frame| {
            found.extend(named_here(frame, name));
            true
        })?;
    }
    Ok(found)
}

fn named_here(frame: &Frame<'_>, name: &ClOrdId) -> Option<Named> {
    let Content::Command(command) =
        Command::is_kind(frame.kind).then(|| Content::decode(frame.kind, frame.payload))?
    else {
        return None;
    };
    let used = match &*command {
        Command::NewOrder(order) => order.cl_ord_id,
        Command::CancelOrder(request) => request.cl_ord_id,
        Command::ReplaceOrder(request) => request.cl_ord_id,
        Command::MassCancel(request) => request.cl_ord_id,
        _ => return None,
    };
    let session = command.origin()?.session;
    let is_order = matches!(*command, Command::NewOrder(_));
    (used == *name).then_some(Named { sequence: frame.sequence, session, is_order })
}

/// The session with a comp id.
///
/// # Errors
/// [`Fault::NotFound`]: no session has it.
pub fn session(engine: &Engine, wanted: &str) -> Result<SessionId, Fault> {
    let found = engine.sessions().find(|view| view.comp_id.as_str() == wanted);
    found.map(|view| view.session).ok_or_else(|| {
        let known: Vec<_> = engine.sessions().map(|view| view.comp_id.to_string()).collect();
        Fault::NotFound(format!(
            "no session has the comp id {wanted}; there are {}",
            known.join(" ")
        ))
    })
}

/// All requests with a ClOrdID, of the session with a comp id if that is given.
///
/// # Errors
/// [`Fault::NotFound`]: there is none.
pub(crate) fn requests_of(
    index: &Index,
    engine: &Engine,
    wanted: Option<&str>,
    name: &ClOrdId,
) -> Result<Vec<Named>, Fault> {
    let mut found = requests(index, name)?;
    if let Some(wanted) = wanted {
        let session = session(engine, wanted)?;
        found.retain(|request| request.session == session);
    }
    if found.is_empty() {
        let whose = wanted.map(|comp_id| format!(" of {comp_id}")).unwrap_or_default();
        return Err(Fault::NotFound(format!(
            "no request{whose} has the ClOrdID {name} up to sequence {}",
            index.last_sequence()
        )));
    }
    Ok(found)
}

fn named_request(index: &Index, wanted: Option<&str>, name: &ClOrdId) -> Result<u64, Fault> {
    let last = Moment::end(index)?;
    let engine = last.engine().ok_or_else(|| Fault::NotFound("no session is defined".into()))?;
    let found = requests_of(index, engine, wanted, name)?;
    match found.as_slice() {
        [one] => Ok(one.sequence),
        [first, rest @ ..] if rest.iter().all(|other| other.session == first.session) => {
            let what = format!("clordid:{}/{name}", comp_id(engine, first.session));
            Err(ambiguous(what, &found, |request| {
                let what = if request.is_order { "new order" } else { "cancel or replace" };
                format!("  seq:{}  {what}", request.sequence)
            }))
        }
        _ => {
            let mut each = found.clone();
            each.sort_by_key(|request| (request.session.0, request.sequence));
            each.dedup_by_key(|request| request.session);
            Err(ambiguous(format!("clordid:{name}"), &each, |request| {
                let who = comp_id(engine, request.session);
                format!("  clordid:{who}/{name}  at sequence {}", request.sequence)
            }))
        }
    }
}

/// Each meaning as it can be asked for.
pub(crate) fn ambiguous<T>(what: String, found: &[T], show: impl Fn(&T) -> String) -> Fault {
    let mut choices: Vec<_> = found.iter().take(CHOICES_MAX).map(show).collect();
    if found.len() > CHOICES_MAX {
        choices.push(format!("  and {} more", found.len() - CHOICES_MAX));
    }
    Fault::Ambiguous { what, choices }
}
