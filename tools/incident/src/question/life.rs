//! The life of an order: every event of it, with its place in the queue, and how it ended.

use std::fmt;

use ironbook_engine::{
    Command, Engine, Event, ExecType, OrdStatus, OrderId, SessionId, domain::ExecReason,
    engine::OrderView, event::Execution,
};
use ironbook_gateway::translate::exec_reason_text;
use serde_json::{Value, json};

use super::{
    Span, clock,
    latency::wait_ns,
    place_json,
    queue::{Ahead, ahead},
    scan,
    stages::{Known, Taken},
};
use crate::{
    Fault,
    index::{Index, Key},
    moment::Moment,
    operators::{Acted, Operators, did},
    place::event,
    show::{Content, Entry, comp_id, number, symbol},
    text::micros,
};

/// The life of an order.
#[derive(Clone, Debug)]
pub struct Life {
    /// OrderID.
    pub order_id: OrderId,
    /// Its owner.
    pub comp_id: String,
    /// Its instrument.
    pub symbol: String,
    /// The terms that it came with.
    pub terms: String,
    /// What happened to it.
    pub steps: Vec<Step>,
    /// How it ended, or how it stands.
    pub end: String,
    /// Whether it lives at the end of the journal.
    pub is_live: bool,
    /// The operator's action that canceled it, if one did.
    pub(super) canceled_by: Option<Acted>,
    /// The last report that changed it.
    pub(super) report: Execution,
    /// The input that brought that about, and the report's sequence and time.
    pub(super) reported: (u64, u64, u64),
}

/// An event of an order's life.
#[derive(Clone, Debug)]
pub struct Step {
    /// Sequence of the event.
    pub sequence: u64,
    /// Its time in ns since 1970.
    pub time_ns: u64,
    /// Sequence of the input that brought it about.
    pub input: u64,
    /// From that input read by the gateway to the event, in ns; none for an input of no client.
    pub latency_ns: Option<u64>,
    /// What happened.
    pub what: String,
    /// The other side of a trade.
    pub contra: Option<Contra>,
    /// Whether a replace left the order its place in the queue, and why or why not.
    pub priority: Option<(bool, &'static str)>,
    /// What is ahead of it behind the input; none when it does not rest.
    pub ahead: Option<Ahead>,
    /// With its input's first step: what that took, as far as the venue kept it, which is of the slowest of each
    /// second.
    pub taken: Taken,
    /// All of the event.
    pub json: Value,
}

/// The other side of a trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contra {
    /// Its order.
    pub order_id: OrderId,
    /// Who owns it.
    pub comp_id: String,
}

/// The life of an order.
///
/// # Errors
/// [`Fault`]: there is no such order, or the journal can't be read.
pub fn life(index: &Index, order_id: OrderId) -> Result<Life, Fault> {
    let inputs = inputs(index, order_id)?;
    let mut moment = match inputs.first() {
        Some(&first) => Moment::before(index, first)?,
        None => {
            let last = index.last_sequence();
            let what = format!("no order {order_id} was accepted up to sequence {last}");
            return Err(Fault::NotFound(what));
        }
    };
    let known = Known::of(index);
    let mut steps = Vec::new();
    let mut last = None;
    for input in inputs {
        moment.go_on_before(input)?;
        let before = moment.engine().and_then(|engine| engine.order(order_id));
        moment.step()?;
        let entries: Vec<_> = moment.entries().collect();
        let Some(engine) = moment.engine() else { continue };
        let first = steps.len();
        for entry in &entries {
            steps.extend(step(engine, &entries, entry, order_id, before.as_ref()));
            if let Some(event) = execution_of(entry, order_id)
                && event.exec_type != ExecType::OrderStatus
            {
                last = Some((input, entry.clone(), *event));
            }
        }
        if let Some(step) = steps.get_mut(first) {
            step.taken = known.taken(&entries);
        }
    }
    let Some((input, entry, event)) = last else {
        return Err(Fault::NotFound(format!("nothing is told of order {order_id}")));
    };
    let end = Moment::end(index)?;
    let engine = super::engine(&end)?;
    let is_live = engine.order(order_id).is_some();
    let comp_id = comp_id(engine, event.session);
    let canceled_by = match event.reason {
        ExecReason::MassCancel => operator_of(index, event.session, input)?,
        _ => None,
    };
    let end = match &canceled_by {
        _ if is_live => standing(engine, order_id),
        Some(acted) => canceled(&entry, &event, acted, &comp_id),
        None => ending(&entry, &event),
    };
    let first = steps.first().map(|step| step.json.clone()).unwrap_or_default();
    let word = |name: &str| first[name].as_str().unwrap_or("").to_owned();
    Ok(Life {
        order_id,
        comp_id,
        symbol: symbol(engine, event.instrument),
        terms: format!(
            "{} {} {}, {}",
            word("side"),
            word("order_qty"),
            first["price"].as_str().map_or("at market".to_owned(), |price| format!("at {price}")),
            word("time_in_force"),
        ),
        steps,
        end,
        is_live,
        canceled_by,
        report: event,
        reported: (input, entry.sequence, entry.time_ns),
    })
}

/// The inputs that brought about events of an order.
fn inputs(index: &Index, order_id: OrderId) -> Result<Vec<u64>, Fault> {
    let all = Span { first: index.first_sequence(), last: index.last_sequence() };
    let mut found = Vec::new();
    scan(index, &[Key::Order(order_id)], all, |frame| {
        let named = match event(frame) {
            Some(Event::Execution(event)) => event.order_id == order_id,
            Some(Event::CancelRejected(event)) => event.order_id == order_id,
            _ => false,
        };
        if named {
            found.push(frame.sequence);
        }
    })?;
    let mut inputs =
        found.into_iter().map(|at| index.input_of(at)).collect::<Result<Vec<_>, _>>()?;
    inputs.dedup();
    Ok(inputs)
}

fn execution_of(entry: &Entry, order_id: OrderId) -> Option<&Execution> {
    let Content::Event(event) = &entry.content else { return None };
    let Event::Execution(event) = &**event else { return None };
    (event.order_id == order_id).then_some(event)
}

fn step(
    engine: &Engine,
    entries: &[Entry],
    entry: &Entry,
    order_id: OrderId,
    before: Option<&OrderView>,
) -> Option<Step> {
    let input = entries.first()?;
    let Content::Event(event) = &entry.content else { return None };
    let (what, contra, priority) = match &**event {
        Event::Execution(event) if event.order_id == order_id => {
            let contra = (event.contra_order_id != OrderId::NONE).then(|| Contra {
                order_id: event.contra_order_id,
                comp_id: owner(engine, entries, event.contra_order_id),
            });
            (happened(event), contra, priority(engine, event, before))
        }
        Event::CancelRejected(event) if event.order_id == order_id => {
            (format!("{:?} refused: {:?}", event.response_to, event.reason), None, None)
        }
        _ => return None,
    };
    Some(Step {
        sequence: entry.sequence,
        time_ns: entry.time_ns,
        input: input.sequence,
        latency_ns: latency(input, entry.time_ns),
        what,
        contra,
        priority,
        ahead: ahead(engine, order_id),
        taken: Taken::default(),
        json: entry.json(engine),
    })
}

/// From a client's message received to its command stamped.
fn latency(input: &Entry, time_ns: u64) -> Option<u64> {
    let Content::Command(command) = &input.content else { return None };
    wait_ns(command, time_ns)
}

/// Who owns the other order of a trade: its own report is beside this one.
fn owner(engine: &Engine, entries: &[Entry], order_id: OrderId) -> String {
    let session = entries.iter().find_map(|entry| execution_of(entry, order_id));
    comp_id(engine, session.map_or(SessionId::VENUE, |event| event.session))
}

fn happened(event: &Execution) -> String {
    let qty = |mantissa| number(mantissa, event.qty_scale);
    let price = |mantissa| number(mantissa, event.price_scale);
    match event.exec_type {
        ExecType::Trade => format!(
            "traded {} at {}, done {}, left {}",
            qty(event.last_qty),
            price(event.last_px),
            qty(event.cum_qty),
            qty(event.leaves_qty)
        ),
        ExecType::New => "accepted".to_owned(),
        ExecType::Replaced => format!(
            "replaced: {} at {}, left {}",
            qty(event.order_qty),
            price(event.price),
            qty(event.leaves_qty)
        ),
        ExecType::OrderStatus => "status told".to_owned(),
        other => match exec_reason_text(event.reason) {
            Some(text) => {
                format!(
                    "{}: {}",
                    format!("{other:?}").to_lowercase(),
                    String::from_utf8_lossy(text)
                )
            }
            None => format!("{} on request", format!("{other:?}").to_lowercase()),
        },
    }
}

/// What a replace did to the order's place.
fn priority(
    engine: &Engine,
    event: &Execution,
    before: Option<&OrderView>,
) -> Option<(bool, &'static str)> {
    let before = before.filter(|_| event.exec_type == ExecType::Replaced)?;
    let kept = engine.order(event.order_id).is_some_and(|now| now.priority == before.priority);
    let why = if event.price != before.price {
        "another price"
    } else if event.order_qty > before.order_qty {
        "a larger quantity"
    } else {
        "the same price and no larger quantity"
    };
    Some((kept, why))
}

fn ending(entry: &Entry, event: &Execution) -> String {
    match event.ord_status {
        OrdStatus::Filled => {
            format!("filled by trade {} at sequence {}", event.trade_id, entry.sequence)
        }
        _ => {
            let done = number(event.cum_qty, event.qty_scale);
            let why = match event.reason {
                ExecReason::None => format!("on request {}", event.cl_ord_id),
                reason => String::from_utf8_lossy(exec_reason_text(reason).unwrap_or_default())
                    .into_owned(),
            };
            let status = format!("{:?}", event.ord_status).to_lowercase();
            format!("{status} at sequence {}, {why}; done {done}", entry.sequence)
        }
    }
}

/// How an order ended that an operator canceled.
fn canceled(entry: &Entry, event: &Execution, acted: &Acted, whose: &str) -> String {
    let done = number(event.cum_qty, event.qty_scale);
    let Acted { sequence, record, .. } = acted;
    let (name, reason, did) = (&record.name, &record.reason, did(record, whose));
    format!(
        "canceled at sequence {}, done {done}, by operator {name}, who {did} at sequence {sequence}: {reason}",
        entry.sequence
    )
}

/// The operator's action that a command about a session carries out, if one does.
pub(super) fn operator_of(
    index: &Index,
    session: SessionId,
    input: u64,
) -> Result<Option<Acted>, Fault> {
    let before = Span { first: index.first_sequence(), last: input };
    let (mut operators, mut found) = (Operators::default(), None);
    scan(index, &[Key::Session(session)], before, |frame| {
        operators.take(frame);
        if frame.sequence == input {
            let command = Command::decode(frame.kind, frame.payload).ok();
            let origin = command.as_ref().and_then(Command::origin);
            found = origin.and_then(|origin| operators.of(origin)).cloned();
        }
    })?;
    Ok(found)
}

fn standing(engine: &Engine, order_id: OrderId) -> String {
    let ahead = ahead(engine, order_id).map(|ahead| ahead.text()).unwrap_or_default();
    format!("lives at the end of the journal: {ahead}")
}

impl Life {
    /// For programs.
    pub fn json(&self) -> Value {
        let step = |step: &Step| {
            let mut value = place_json(step.sequence, step.time_ns);
            value["input"] = step.input.into();
            value["latency_ns"] = step.latency_ns.into();
            value["what"] = step.what.as_str().into();
            value["contra"] = step.contra.as_ref().map_or(
                Value::Null,
                |contra| json!({ "order_id": contra.order_id.0, "comp_id": contra.comp_id }),
            );
            value["priority"] = step
                .priority
                .map_or(Value::Null, |(kept, why)| json!({ "kept": kept, "why": why }));
            value["ahead"] = step.ahead.as_ref().map_or(Value::Null, Ahead::json);
            if step.taken.is_known() {
                value["stages"] = step.taken.json();
            }
            value["event"] = step.json.clone();
            value
        };
        json!({
            "order_id": self.order_id.0,
            "comp_id": self.comp_id,
            "symbol": self.symbol,
            "terms": self.terms,
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
            "end": self.end,
            "is_live": self.is_live,
            "canceled_by": self.canceled_by.as_ref().map(|acted| acted.json(&self.comp_id)),
        })
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Order        {} of {}", self.order_id, self.comp_id)?;
        writeln!(f, "Terms        {} {}\n", self.symbol, self.terms)?;
        writeln!(f, "  {:>10} {:<15} {:>9}  event", "sequence", "time", "latency")?;
        for step in &self.steps {
            let latency = step.latency_ns.map(micros).unwrap_or_default();
            let name = step.json["cl_ord_id"].as_str().unwrap_or("");
            writeln!(
                f,
                "  {:>10} {:<15} {latency:>9}  {name}: {}",
                step.sequence,
                clock(step.time_ns),
                step.what
            )?;
            let more = |f: &mut fmt::Formatter<'_>, text: &str| writeln!(f, "{:>40}{text}", "");
            if let Some(contra) = &step.contra {
                more(f, &format!("against order {} of {}", contra.order_id, contra.comp_id))?;
            }
            if let Some((kept, why)) = step.priority {
                more(f, &format!("priority {}: {why}", if kept { "kept" } else { "lost" }))?;
            }
            if let Some(ahead) = &step.ahead {
                more(f, &ahead.text())?;
            }
            if step.taken.is_known() {
                more(f, &step.taken.to_string())?;
            }
        }
        write!(f, "\nEnd          {}", self.end)
    }
}
