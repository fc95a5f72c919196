//! Why something was refused, or not filled, and why a session may not trade.

use std::fmt;

use ironbook_engine::{
    Command, Engine, Event, ExecType, InstrumentId, InstrumentStatus, OrdStatus, OrderId,
    SessionId, Side, TimeInForce,
    command::DefineInstrument,
    domain::{ExecReason, RejectReason},
    event::{Execution, SessionTripped},
};
use ironbook_fix::field::Decimal;
use ironbook_gateway::{
    operator::{Action, OperatorRecord},
    session_record::SessionRecord,
    translate::reject_text,
};
use serde_json::{Map, Value};

use super::{
    Span, find_order, input_at,
    life::{Life, life, operator_of},
    nearest::nearest,
    place_json,
    queue::{Ahead, ahead},
    scan, scan_while,
};
use crate::{
    Fault,
    index::{Index, Key},
    moment::Moment,
    operators::{Acted, Operators, by, did},
    place::{self, What, requests},
    show::{Content, Entry, Judged, comp_id, number},
    text::{grouped, utc},
};

/// A name and what it says.
pub type Fact = (&'static str, String);

/// Why something was as it was.
#[derive(Clone, Debug)]
pub struct Why {
    /// Sequence of the refusal, or of the last event of the order.
    pub sequence: u64,
    /// Its time in ns since 1970.
    pub time_ns: u64,
    /// In one line.
    pub verdict: String,
    /// What it rests on: names and what they say.
    pub facts: Vec<Fact>,
    /// Sequence of what was decided before and brought it about: an operator's action, a trip, a status.
    pub cause: Option<u64>,
}

/// Why a request was refused, or an order not filled: whatever `word` names.
///
/// # Errors
/// [`Fault`]: it names nothing, or nothing was refused there and no order is.
pub fn why(index: &Index, word: &str) -> Result<Why, Fault> {
    if let Ok(id) = word.parse()
        && place::order(index, OrderId(id))?.is_some()
    {
        return of_order(index, OrderId(id));
    }
    let sequence = What::parse(word, index)?.find(index)?;
    let entries = input_at(index, sequence)?;
    if let Some(entry) = entries.iter().find(|entry| entry.sequence == sequence)
        && let Some(why) = of_session(index, &entries, entry)?
    {
        return Ok(why);
    }
    let refusal = entries.iter().find(|entry| judged(entry).is_some());
    match (refusal, entries.first()) {
        (Some(refusal), Some(input)) => of_refusal(index, input, refusal),
        (None, Some(Entry { content: Content::Session(record), .. })) if record.refuses() => {
            of_answer(index, &entries[0], record)
        }
        _ => of_order(index, find_order(index, word)?),
    }
}

/// Why a session may not trade, or may again, where a frame says so: its trip, its status, or what an operator asked
/// for.
fn of_session(index: &Index, entries: &[Entry], entry: &Entry) -> Result<Option<Why>, Fault> {
    match &entry.content {
        Content::Event(event) => match &**event {
            Event::SessionTripped(trip) => of_trip(index, entries, entry, trip).map(Some),
            Event::TradingStatusChanged(event) => {
                of_status(index, entries, entry, event.session).map(Some)
            }
            _ => Ok(None),
        },
        Content::Command(command) => match &**command {
            Command::SetTradingStatus(command) => {
                of_status(index, entries, entry, command.session).map(Some)
            }
            _ => Ok(None),
        },
        Content::Session(SessionRecord::Operator(record)) if record.session != SessionId::VENUE => {
            let Entry { sequence, time_ns, .. } = *entry;
            let acted = Acted { sequence, time_ns, record: record.clone() };
            of_operator(index, entry, &acted).map(Some)
        }
        _ => Ok(None),
    }
}

/// Why a session was tripped.
fn of_trip(
    index: &Index,
    entries: &[Entry],
    entry: &Entry,
    trip: &SessionTripped,
) -> Result<Why, Fault> {
    let moment = Moment::before(index, entries[0].sequence)?;
    let engine = super::engine(&moment)?;
    let whose = comp_id(engine, trip.session);
    let text = reject_text(trip.rule, trip.limit(), trip.observed());
    let canceled: Vec<_> = entries
        .iter()
        .filter_map(|entry| match &entry.content {
            Content::Event(event) => match &**event {
                Event::Execution(event) => Some(*event),
                _ => None,
            },
            _ => None,
        })
        .filter(|event| event.reason == ExecReason::SessionTripped)
        .map(|event| event.order_id)
        .collect();
    let facts = vec![
        ("asked", entries[0].text(engine)),
        ("rule", format!("{:?}", trip.rule)),
        ("limit", number(trip.limit, trip.scale)),
        ("observed", number(trip.observed, trip.scale)),
        ("trade", format!("{} of order {}", trip.trade_id, trip.order_id)),
        ("canceled", listed(&canceled)),
    ];
    let verdict = format!("{whose} was tripped by {:?}: {text}", trip.rule);
    let Entry { sequence, time_ns, .. } = *entry;
    Ok(Why { sequence, time_ns, verdict, facts, cause: None })
}

/// Why a session's status is another.
fn of_status(
    index: &Index,
    entries: &[Entry],
    entry: &Entry,
    session: SessionId,
) -> Result<Why, Fault> {
    match operator_of(index, session, entries[0].sequence)? {
        Some(acted) => of_operator(index, entry, &acted),
        None => {
            let moment = Moment::before(index, entries[0].sequence)?;
            let text = entry.text(super::engine(&moment)?);
            let verdict = format!("the venue decided so, and no operator is known: {text}");
            let Entry { sequence, time_ns, .. } = *entry;
            Ok(Why { sequence, time_ns, verdict, facts: Vec::new(), cause: None })
        }
    }
}

/// Why an operator did something to a session, as a frame of that says, and what came of it.
fn of_operator(index: &Index, entry: &Entry, acted: &Acted) -> Result<Why, Fault> {
    let Acted { sequence: asked, record, .. } = acted;
    let moment = Moment::before(index, *asked)?;
    let whose = comp_id(super::engine(&moment)?, record.session);
    let (mut status, mut orders) = (None, Vec::new());
    let (mut operators, mut is_its, mut left) = (Operators::default(), false, record.commands);
    let behind = Span { first: *asked, last: index.last_sequence() };
    scan_while(index, &[Key::Session(record.session)], behind, |frame| {
        if !Event::is_kind(frame.kind) {
            if left == 0 {
                return false;
            }
            operators.take(frame);
            let command = Command::decode(frame.kind, frame.payload).ok();
            let origin = command.as_ref().and_then(Command::origin);
            let of = origin.and_then(|origin| operators.of(origin));
            is_its = of.is_some_and(|of| of.sequence == *asked);
            left -= u32::from(is_its);
        }
        match place::event(frame).filter(|_| is_its) {
            Some(Event::TradingStatusChanged(event)) => status = Some(event.status),
            Some(Event::Execution(event)) if event.reason == ExecReason::MassCancel => {
                orders.push(event.order_id);
            }
            _ => {}
        }
        true
    })?;
    let OperatorRecord { action, name, reason, .. } = record;
    let mut facts = vec![("operator", name.clone()), ("reason", reason.clone())];
    if *action != Action::Cancel {
        let status = status.map_or("as before".to_owned(), |status| format!("{status:?}"));
        facts.push(("status", status));
    }
    if *action != Action::Open {
        facts.push(("canceled", listed(&orders)));
    }
    let verdict = format!("operator {name} {}: {reason}", did(record, &whose));
    let Entry { sequence, time_ns, .. } = *entry;
    let cause = (sequence != *asked).then_some(*asked);
    Ok(Why { sequence, time_ns, verdict, facts, cause })
}

/// Orders that are named at the most.
const ORDERS_LISTED_MAX: usize = 10;

/// How many orders, and which.
fn listed(orders: &[OrderId]) -> String {
    let named: Vec<_> = orders.iter().take(ORDERS_LISTED_MAX).map(OrderId::to_string).collect();
    let more = match orders.len() - named.len() {
        0 => String::new(),
        more => format!(" and {} more", grouped(more as u64)),
    };
    match orders.len() {
        0 => "no order".to_owned(),
        1 => format!("1 order: {}", named[0]),
        count => format!("{} orders: {}{more}", grouped(count as u64), named.join(" ")),
    }
}

/// Fields of an answer that are facts, by their tags.
const ANSWER_FIELDS: [(u32, &str); 9] = [
    (11, "ClOrdID"),
    (41, "OrigClOrdID"),
    (379, "BusinessRejectRefID"),
    (1, "Account"),
    (55, "Symbol"),
    (54, "Side"),
    (38, "OrderQty"),
    (44, "Price"),
    (45, "RefSeqNum"),
];

/// Why the gateway refused something before the engine saw it: its answer is all that is journaled. The text has
/// the rule, the limit and what was seen.
fn of_answer(index: &Index, entry: &Entry, record: &SessionRecord) -> Result<Why, Fault> {
    let moment = Moment::before(index, entry.sequence)?;
    let from = comp_id(super::engine(&moment)?, record.session());
    let SessionRecord::Outbound { body, .. } = record else {
        unreachable!("what refuses is an answer")
    };
    let fields: Vec<_> = String::from_utf8_lossy(body)
        .split('\u{1}')
        .filter_map(|field| field.split_once('='))
        .filter_map(|(tag, value)| Some((tag.parse::<u32>().ok()?, value.to_owned())))
        .collect();
    let value = |wanted: u32| fields.iter().find(|(tag, _)| *tag == wanted).map(|(_, value)| value);
    let text = value(58).map_or("it says no more", String::as_str);
    let mut facts = vec![("session", from)];
    let known = ANSWER_FIELDS.iter().filter_map(|(tag, name)| Some((*name, value(*tag)?.clone())));
    facts.extend(known);
    let verdict = format!("refused by the gateway, before the engine saw it: {text}");
    Ok(Why { sequence: entry.sequence, time_ns: entry.time_ns, verdict, facts, cause: None })
}

/// The refusal that an entry is.
pub(super) struct Refused<'e> {
    pub reason: RejectReason,
    pub limit: Decimal,
    pub observed: Decimal,
    session: SessionId,
    instrument: InstrumentId,
    order_id: OrderId,
    event: &'e Event,
}

fn judged(entry: &Entry) -> Option<Refused<'_>> {
    let Content::Event(event) = &entry.content else { return None };
    let (reason, limit, observed, session, instrument, order_id) = match &**event {
        Event::OrderRejected(event) => (
            event.reason,
            event.limit(),
            event.observed(),
            event.session,
            event.instrument,
            OrderId::NONE,
        ),
        Event::CancelRejected(event) => (
            event.reason,
            event.limit(),
            event.observed(),
            event.session,
            event.instrument,
            event.order_id,
        ),
        _ => return None,
    };
    Some(Refused { reason, limit, observed, session, instrument, order_id, event })
}

fn of_refusal(index: &Index, input: &Entry, entry: &Entry) -> Result<Why, Fault> {
    let moment = Moment::before(index, input.sequence)?;
    let engine = super::engine(&moment)?;
    let refused = judged(entry).expect("a refusal");
    let text = reject_text(refused.reason, refused.limit, refused.observed);
    let mut facts = vec![
        ("asked", input.text(engine)),
        ("rule", format!("{:?}", refused.reason)),
        ("told", text.clone()),
    ];
    if compares(refused.reason) {
        facts.push(("limit", number(refused.limit.mantissa, refused.limit.scale)));
        facts.push(("observed", number(refused.observed.mantissa, refused.observed.scale)));
    }
    let definition = engine.instrument(refused.instrument).map(|view| view.definition);
    if let Some(definition) = definition {
        facts.push(("instrument", terms(&definition)));
    }
    let asked = match &input.content {
        Content::Command(command) => Some(&**command),
        _ => None,
    };
    if let Some(passes) = nearest(&refused, engine, asked, definition.as_ref()) {
        facts.push(("would have passed", passes));
    }
    let history = history(index, engine, input, &refused)?;
    let cause = history.as_ref().and_then(|(_, cause)| *cause);
    facts.extend(history.map(|(fact, _)| fact));
    let verdict = format!("refused by {:?}: {text}", refused.reason);
    Ok(Why { sequence: entry.sequence, time_ns: entry.time_ns, verdict, facts, cause })
}

/// Whether a rule compares numbers.
fn compares(reason: RejectReason) -> bool {
    use RejectReason as R;
    matches!(
        reason,
        R::PriceNotPositive
            | R::PriceOffTick
            | R::PriceTooHigh
            | R::QtyNotPositive
            | R::QtyOffLot
            | R::QtyTooLarge
            | R::TooManyOrders
            | R::UnknownSession
            | R::OrderNotionalTooLarge
            | R::PriceFarFromReference
            | R::TooManyOpenOrders
            | R::OpenNotionalTooLarge
            | R::TradedNotionalTooLarge
            | R::LossTooLarge
    )
}

fn terms(definition: &DefineInstrument) -> String {
    let price = |mantissa| number(mantissa, definition.price_scale);
    let qty = |mantissa| number(mantissa, definition.qty_scale);
    format!(
        "{}: tick {}, largest price {}, lot {}, largest quantity {}",
        definition.symbol,
        price(definition.tick),
        price(definition.price_max),
        qty(definition.lot),
        qty(definition.order_qty_max),
    )
}

/// What in the past explains a refusal, and the sequence of what brought it about.
fn history(
    index: &Index,
    engine: &Engine,
    input: &Entry,
    refused: &Refused<'_>,
) -> Result<Option<(Fact, Option<u64>)>, Fault> {
    use RejectReason as R;
    Ok(match (refused.reason, refused.event) {
        (R::DuplicateClOrdId, event) => {
            let name = match event {
                Event::OrderRejected(event) => event.cl_ord_id,
                Event::CancelRejected(event) => event.cl_ord_id,
                _ => return Ok(None),
            };
            let mut before = requests(index, &name)?;
            before.retain(|request| {
                request.session == refused.session && request.sequence < input.sequence
            });
            before
                .last()
                .map(|request| (("used before", format!("at sequence {}", request.sequence)), None))
        }
        (R::InstrumentHalted | R::InstrumentClosed, _) => {
            let before = Span { first: index.first_sequence(), last: input.sequence };
            let (mut since, mut operators) = (None, Operators::default());
            scan(index, &[Key::Session(SessionId::VENUE)], before, |frame| {
                operators.take(frame);
                if let Ok(Command::SetInstrumentStatus(change)) =
                    Command::decode(frame.kind, frame.payload)
                    && change.instrument == refused.instrument
                {
                    let by = operators.of(&change.origin).map_or(String::new(), by);
                    since = Some((frame.sequence, frame.time_ns, change.status, by));
                }
            })?;
            since.map(|(sequence, time_ns, status, by)| {
                let text = format!("{status:?} at sequence {sequence}, {}{by}", utc(time_ns));
                (("since", text), Some(sequence))
            })
        }
        (R::TradedNotionalTooLarge | R::LossTooLarge | R::SessionCancelOnly, _) => {
            let trading = trading(index, refused.session, input.sequence)?;
            trading.map(|(entry, by)| (("since", at(&entry, engine) + &by), Some(entry.sequence)))
        }
        (R::TooLateToCancel, _) => Some((("the order", life(index, refused.order_id)?.end), None)),
        (R::UnknownOrder, Event::CancelRejected(event)) => {
            let mut others = requests(index, &event.orig_cl_ord_id)?;
            others.retain(|request| request.sequence < input.sequence);
            let own = others.iter().rev().find(|request| request.session == refused.session);
            let text = match (own, others.last()) {
                (Some(own), _) => {
                    format!("the session used this ClOrdID at sequence {}", own.sequence)
                }
                (None, Some(other)) => format!(
                    "{} used this ClOrdID at sequence {}, this session never did",
                    comp_id(engine, other.session),
                    other.sequence
                ),
                (None, None) => "nobody has used this ClOrdID".to_owned(),
            };
            Some((("the name", text), None))
        }
        _ => None,
    })
}

/// The last that was decided about the trading of a session up to a place, a trip or a status, and the operator who
/// did, if one did.
fn trading(index: &Index, session: SessionId, last: u64) -> Result<Option<(Entry, String)>, Fault> {
    let before = Span { first: index.first_sequence(), last };
    let (mut found, mut operators, mut by_whom) = (None, Operators::default(), String::new());
    scan(index, &[Key::Session(session)], before, |frame| {
        operators.take(frame);
        if Command::is_kind(frame.kind) {
            let command = Command::decode(frame.kind, frame.payload).ok();
            let origin = command.as_ref().and_then(Command::origin);
            by_whom = origin.and_then(|origin| operators.of(origin)).map_or(String::new(), by);
        }
        match place::event(frame) {
            // Nobody's doing: it may even be of a command that is not among these frames.
            Some(Event::SessionTripped(event)) if event.session == session => {
                found = Some((Entry::of(frame), String::new()));
            }
            Some(Event::TradingStatusChanged(event)) if event.session == session => {
                found = Some((Entry::of(frame), by_whom.clone()));
            }
            _ => {}
        }
    })?;
    Ok(found)
}

/// What an entry says, and where it stands.
fn at(entry: &Entry, engine: &Engine) -> String {
    format!("sequence {}, {}: {}", entry.sequence, utc(entry.time_ns), entry.text(engine))
}

/// What happened in the book while an order waited.
#[derive(Default)]
struct Wait {
    /// Most favorable price of the other side, and the frame behind which it was so.
    best: Option<(i64, u64)>,
    /// What others traded at its price or a worse one for the other side, in its scale.
    traded: u128,
    trades: u64,
    /// When the instrument was first not open.
    halted: Option<u64>,
    /// What was ahead of it at last.
    ahead: Option<Ahead>,
}

fn of_order(index: &Index, order_id: OrderId) -> Result<Why, Fault> {
    let life = life(index, order_id)?;
    let Some(first) = life.steps.first() else {
        return Err(Fault::NotFound(format!("nothing is told of order {order_id}")));
    };
    let (event, (ended, sequence, time_ns)) = (&life.report, life.reported);
    let mut moment = Moment::before(index, first.input)?;
    let offered = moment.engine().and_then(|engine| offer(engine, index, first.sequence));
    moment.step()?;
    let until = if life.is_live { index.last_sequence() + 1 } else { ended };
    let mut wait = Wait::default();
    while moment.sequence() + 1 < until {
        wait.look(&moment, order_id);
        moment.step()?;
    }
    wait.look(&moment, order_id);
    wait.ahead = moment.engine().and_then(|engine| ahead(engine, order_id));
    let price = |mantissa| number(mantissa, event.price_scale);
    let opposite = if event.side == Side::Buy { "ask" } else { "bid" };
    let rested = wait.ahead.is_some();
    let mut facts = vec![
        ("order", format!("{} of {}: {} {}", order_id, life.comp_id, life.symbol, life.terms)),
        ("accepted", format!("sequence {}, {}", first.sequence, utc(first.time_ns))),
        ("end", life.end.clone()),
    ];
    if event.cum_qty > 0 {
        facts.push(("done", number(event.cum_qty, event.qty_scale)));
    }
    if let (Some((best, at)), true) = (wait.best, rested) {
        facts.push((
            "best price against it",
            format!("{opposite} {} at sequence {at}", price(best)),
        ));
    }
    if rested && wait.trades > 0 {
        let qty = number(i64::try_from(wait.traded).unwrap_or(i64::MAX), event.qty_scale);
        facts.push(("traded at its price", format!("{qty} in {} trades of others", wait.trades)));
    }
    if let Some(ahead) = &wait.ahead {
        facts.push(("at last", ahead.text()));
    }
    if let Some(sequence) = wait.halted {
        facts.push(("halted", format!("the instrument was not open at sequence {sequence}")));
    }
    if let Some(stopped) = stopped(index, super::engine(&moment)?, &life)? {
        let Stopped { verdict, fact, cause } = stopped;
        facts.push(fact);
        return Ok(Why { sequence, time_ns, verdict, facts, cause: Some(cause) });
    }
    let verdict = match (event.ord_status, rested) {
        (OrdStatus::Filled, _) => "it was filled".to_owned(),
        (_, false) => {
            let offered = offered.as_deref().unwrap_or("nothing on the other side");
            match event.time_in_force {
                TimeInForce::Fok => format!("it could not be filled whole at once: {offered}"),
                _ => format!("nothing more could trade at once: {offered}"),
            }
        }
        (_, true) if wait.trades > 0 => {
            let ahead = wait.ahead.as_ref().map(Ahead::text).unwrap_or_default();
            format!("others were ahead when its price traded: {ahead} at last")
        }
        (_, true) if event.cum_qty > 0 => format!(
            "it was filled in part, {} of {}, and nobody came to its price for the rest",
            number(event.cum_qty, event.qty_scale),
            number(event.order_qty, event.qty_scale)
        ),
        (_, true) => match wait.best {
            Some((best, _)) => format!(
                "its price was never reached: the best {opposite} was {}, its price {}",
                price(best),
                price(event.price)
            ),
            None => format!("nobody was on the other side: there was no {opposite}"),
        },
    };
    Ok(Why { sequence, time_ns, verdict, facts, cause: None })
}

/// Why the venue canceled an order because of its session.
struct Stopped {
    verdict: String,
    fact: Fact,
    /// Sequence of what brought it about: a trip, or what an operator asked for.
    cause: u64,
}

/// The same, if it did.
fn stopped(index: &Index, engine: &Engine, life: &Life) -> Result<Option<Stopped>, Fault> {
    let (_, sequence, _) = life.reported;
    let Execution { session, reason, .. } = life.report;
    Ok(match reason {
        ExecReason::SessionTripped => trading(index, session, sequence)?.map(|(trip, _)| {
            let verdict = "it was canceled when its session was tripped".to_owned();
            Stopped { verdict, fact: ("tripped", at(&trip, engine)), cause: trip.sequence }
        }),
        ExecReason::MassCancel => life.canceled_by.as_ref().map(|acted| {
            let Acted { sequence, time_ns, record } = acted;
            let OperatorRecord { action, name, reason, .. } = record;
            let whose = &life.comp_id;
            let did = did(record, whose);
            let verdict = format!("it was canceled by operator {name}, who {did}: {reason}");
            let action = action.name();
            let asked = format!("sequence {sequence}, {}: {action} {whose}", utc(*time_ns));
            let fact = ("operator", format!("{asked}, by {name}: {reason}"));
            Stopped { verdict, fact, cause: *sequence }
        }),
        _ => None,
    })
}

/// What the other side offered an order before it came.
fn offer(engine: &Engine, index: &Index, accepted: u64) -> Option<String> {
    let entries = input_at(index, accepted).ok()?;
    let event = entries.iter().find_map(|entry| match &entry.content {
        Content::Event(event) => match &**event {
            Event::Execution(event) if event.exec_type == ExecType::New => Some(*event),
            _ => None,
        },
        _ => None,
    })?;
    let book = engine.book(event.instrument)?;
    let side = event.side.opposite();
    let name = if side == Side::Buy { "bid" } else { "ask" };
    let best = book.best(side)?;
    let within = |price: i64| match event.side {
        _ if event.price == 0 => true,
        Side::Buy => price <= event.price,
        Side::Sell => price >= event.price,
    };
    let levels = book.levels(side).take_while(|level| within(level.price));
    let sum: u128 = levels.map(|level| level.qty()).sum();
    Some(format!(
        "the best {name} was {}, and {} of {} were there within its limit",
        number(best.price, event.price_scale),
        crate::show::qty(sum, event.qty_scale),
        number(event.order_qty, event.qty_scale),
    ))
}

impl Wait {
    fn look(&mut self, moment: &Moment<'_>, order_id: OrderId) {
        let Some(engine) = moment.engine() else { return };
        let Some(order) = engine.order(order_id) else { return };
        let is_better = |new: i64, old: i64| match order.side {
            Side::Buy => new < old,
            Side::Sell => new > old,
        };
        let best = engine.book(order.instrument).and_then(|book| book.best(order.side.opposite()));
        if let Some(best) = best
            && self.best.is_none_or(|(old, _)| is_better(best.price, old))
        {
            self.best = Some((best.price, moment.sequence()));
        }
        for noted in moment.noted() {
            if let Ok(Event::Execution(event)) = Event::decode(noted.kind, moment.payload(noted))
                && event.exec_type == ExecType::Trade
                && event.instrument == order.instrument
                && event.side == order.side
                && event.order_id != order_id
                && !is_better(order.price, event.last_px)
            {
                self.traded += u128::from(event.last_qty.unsigned_abs());
                self.trades += 1;
            }
        }
        let status = engine.instrument(order.instrument).map(|view| view.status);
        if status != Some(InstrumentStatus::Open) && self.halted.is_none() {
            self.halted = Some(moment.sequence());
        }
    }
}

impl Why {
    /// For programs.
    pub fn json(&self) -> Value {
        let mut value = place_json(self.sequence, self.time_ns);
        value["verdict"] = self.verdict.as_str().into();
        let facts = self
            .facts
            .iter()
            .map(|(name, text)| (name.replace(' ', "_"), Value::from(text.as_str())));
        value["facts"] = Value::Object(facts.collect::<Map<_, _>>());
        value["cause_sequence"] = self.cause.into();
        value
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Sequence     {} at {}", self.sequence, utc(self.time_ns))?;
        write!(f, "Why          {}", self.verdict)?;
        for (name, text) in &self.facts {
            write!(f, "\n  {name:<21} {text}")?;
        }
        Ok(())
    }
}
