//! What would have been: the commands of a journal carried out once more, without those of some clients
//! or under other limits, and what came otherwise. Everything that it says is COUNTERFACTUAL.
//!
//! Only the engine decides anew, and the gateway's throttles. Clients send what they sent: see
//! [`NOT_SIMULATED`] and [`THROTTLES_NOT_SIMULATED`].

mod settings;
mod tally;
mod throttles;

use std::{collections::HashMap, fmt};

use ironbook_engine::{
    Command, Engine, Event, ExecType, OrderId, Sequence, SessionId, Stamp, Timestamp, TradeId,
    record::Record, sink::VecSink,
};
use ironbook_gateway::{
    replay::{PlayError, ReplayError},
    session_record::SessionRecord,
};
use ironbook_journal::Frame;
use serde_json::{Value, json};

pub use settings::keys;
pub use tally::{ClientRow, TradedRow};
pub use throttles::{Firms, FirstRefused, THROTTLES_NOT_SIMULATED, ThrottleRow};

use crate::{
    Fault,
    index::Index,
    moment::Moment,
    names::Names,
    place::session,
    question::{Span, scan_while},
    show::{Content, Entry},
    text::{grouped, hash},
};
use settings::Settings;
use tally::Tally;
use throttles::Throttles;

/// The word that stands beside everything that did not happen.
pub const LABEL: &str = "COUNTERFACTUAL";

/// What the answer leaves out, a line each.
pub const NOT_SIMULATED: [&str; 4] = [
    "clients would have done something else: each one sends here what it sent",
    "a cancel or replace of an order that is not there any more is refused, and counted",
    "orders of a dropped client from before the first frame stay, and nobody cancels them",
    "an OrderID in a request means the order of the same request here",
];

/// Rejects that are listed, of those that appear and of those that vanish.
const LISTED_MAX: usize = 10;

/// An OrderID that no order has: the highest count there is.
pub(crate) const NO_ORDER: OrderId = OrderId(u64::MAX << OrderId::SLOT_BITS);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// From where to where.
    pub span: Span,
    /// Comp ids of clients whose requests are left out.
    pub dropped: Vec<String>,
    /// What is other than it was, see [`keys`].
    pub settings: Vec<String>,
    /// Which sessions are of which firm, where the journal does not say it; for throttles of firms.
    pub firms: Option<Firms>,
}

/// Something real, and what would have been.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Both<T> {
    /// As journaled.
    pub real: T,
    /// As computed.
    pub counterfactual: T,
}

/// The first input that led to something else.
#[derive(Clone, Debug)]
pub struct First {
    /// Its sequence.
    pub sequence: u64,
    /// What it asked for.
    pub input: String,
    /// The first event that differs; none where there is no event.
    pub events: Both<Option<String>>,
}

/// A reject that is in one and not in the other.
#[derive(Clone, Debug)]
pub struct RejectRow {
    /// Sequence of the request.
    pub sequence: u64,
    /// The rule.
    pub rule: String,
    /// The request.
    pub request: String,
}

/// Rejects that are in one and not in the other.
#[derive(Clone, Debug, Default)]
pub struct Rejects {
    /// How many, by rule.
    pub rules: std::collections::BTreeMap<String, u64>,
    /// The first of them.
    pub first: Vec<RejectRow>,
}

/// What would have been.
#[derive(Clone, Debug)]
pub struct WhatIf {
    /// What was asked.
    pub wanted: Wanted,
    /// Commands carried out, and left out.
    pub commands: (u64, u64),
    /// Throttles, and what they refused of those that are left out.
    pub throttles: Vec<ThrottleRow>,
    /// Requests that the gateway had refused, so that the journal has none of them.
    pub refused_then: u64,
    /// Live orders of dropped clients before the first frame.
    pub left_resting: u64,
    /// Trades, by symbol.
    pub trades: Vec<(String, Both<TradedRow>)>,
    /// Clients, by comp id.
    pub clients: Vec<(String, Both<ClientRow>)>,
    /// The first input that led to something else, those of dropped clients aside.
    pub first: Option<First>,
    /// Rejects that were not there.
    pub appear: Rejects,
    /// Rejects that were there.
    pub vanish: Rejects,
    /// Cancels and replaces among those that appear.
    pub lost_cancels: u64,
    /// Hash of the state at the end.
    pub states: Both<u64>,
}

/// Carries out the commands of a part of a journal as somebody wants them.
///
/// Takes 48 bytes of memory for each order that was accepted in that part.
///
/// # Errors
/// [`Fault`]: a comp id or key that there is not, a change that is not possible, or a journal that
/// can't be read.
pub fn what_if(index: &Index, wanted: Wanted) -> Result<WhatIf, Fault> {
    let names = Names::of(index, false)?;
    let settings = Settings::parse(&wanted.settings, names.engine())?;
    let dropped = wanted.dropped.iter().map(|comp_id| session(names.engine(), comp_id));
    let dropped = dropped.collect::<Result<Vec<_>, _>>()?;
    // To the end of the last input: its events are computed whole.
    let span = wanted.span.of_inputs(index)?;
    let real = Moment::at(index, span.last)?;
    let throttles = settings.throttles(names.engine(), real.sessions(), wanted.firms.as_ref())?;
    let real = real.engine().map_or(0, Engine::state_hash);
    let mut play = Play::before(index, &names, (settings, throttles), dropped, span.first)?;
    let mut problem = Ok(());
    scan_while(index, &[], span, |frame| {
        problem = play.take(frame);
        problem.is_ok()
    })?;
    problem?;
    play.end_input();
    Ok(play.answer(wanted, real))
}

/// The other run, beside the journal.
struct Play<'n> {
    names: &'n Names,
    settings: Settings,
    throttles: Throttles,
    dropped: Vec<SessionId>,
    engine: Option<Engine>,
    next: Sequence,
    /// What orders of the journal are here; none where they are not.
    orders: HashMap<OrderId, Option<OrderId>>,
    input: Option<Input>,
    commands: (u64, u64),
    refused_then: u64,
    left_resting: u64,
    tallies: Both<Tally>,
    first: Option<First>,
    appear: Rejects,
    vanish: Rejects,
    lost_cancels: u64,
}

/// The command at hand and what became of it.
struct Input {
    entry: Entry,
    left_out: bool,
    real: Vec<Event>,
    counterfactual: Vec<Event>,
}

impl<'n> Play<'n> {
    fn before(
        index: &Index,
        names: &'n Names,
        (settings, throttles): (Settings, Throttles),
        dropped: Vec<SessionId>,
        from: u64,
    ) -> Result<Self, Fault> {
        let moment = Moment::before(index, from)?;
        let mut engine = moment.engine().map(|engine| {
            let mut state = Vec::new();
            engine.write_state(&mut state);
            Engine::read_state(&state).expect("a state that was written")
        });
        let (mut left_resting, mut next) = (0, Sequence(from));
        if let Some(engine) = &mut engine {
            let views = dropped.iter().filter_map(|&session| engine.session(session));
            left_resting = views.map(|view| u64::from(view.live_orders)).sum();
            for command in settings.late(engine)? {
                let stamp = Stamp { sequence: next, time: Timestamp(moment.time_ns()) };
                next = engine.apply(stamp, &command, &mut VecSink::default());
            }
        }
        Ok(Self {
            names,
            settings,
            throttles,
            dropped,
            engine,
            next,
            orders: HashMap::new(),
            input: None,
            commands: (0, 0),
            refused_then: 0,
            left_resting,
            tallies: Both::default(),
            first: None,
            appear: Rejects::default(),
            vanish: Rejects::default(),
            lost_cancels: 0,
        })
    }

    fn take(&mut self, frame: &Frame<'_>) -> Result<(), Fault> {
        if Event::is_kind(frame.kind) {
            if let (Some(input), Ok(event)) =
                (&mut self.input, Event::decode(frame.kind, frame.payload))
            {
                input.real.push(event);
            }
            return Ok(());
        }
        self.end_input();
        if !Command::is_kind(frame.kind) {
            if SessionRecord::is_refusal(frame.kind, frame.payload) {
                self.refused_then += 1;
                self.throttles.note_refused(frame);
            }
            return Ok(());
        }
        let command = Command::decode(frame.kind, frame.payload).map_err(|source| {
            let sequence = Sequence(frame.sequence);
            PlayError::Replay(ReplayError::Decode { sequence, source })
        })?;
        let (client, origin) = (command.client(), command.origin());
        let dropped = origin.is_some_and(|origin| self.dropped.contains(&origin.session));
        let left_out = dropped || !self.throttles.admit(&command, frame, self.names.engine());
        let mut counterfactual = Vec::new();
        if left_out {
            self.commands.1 += 1;
        } else {
            self.commands.0 += 1;
            counterfactual = self.apply(frame, command)?;
        }
        if let Some(session) = client {
            self.tallies.real.request(session);
            if !left_out {
                self.tallies.counterfactual.request(session);
            }
        }
        let entry = Entry::of(frame);
        self.input = Some(Input { entry, left_out, real: Vec::new(), counterfactual });
        Ok(())
    }

    fn apply(&mut self, frame: &Frame<'_>, mut command: Command) -> Result<Vec<Event>, Fault> {
        self.settings.change(&mut command)?;
        match &mut command {
            Command::CancelOrder(request) => request.order_id = self.here(request.order_id),
            Command::ReplaceOrder(request) => request.order_id = self.here(request.order_id),
            Command::QueryOrder(request) => request.order_id = self.here(request.order_id),
            _ => {}
        }
        let engine = match (&mut self.engine, &command) {
            (Some(engine), _) => engine,
            (none, Command::Limits(limits)) => none.insert(Engine::new(*limits)),
            (None, _) => {
                let (sequence, kind) = (Sequence(frame.sequence), frame.kind);
                return Err(PlayError::Replay(ReplayError::NoLimits { sequence, kind }).into());
            }
        };
        let mut sink = VecSink::default();
        // There may be more events here than in the journal.
        let sequence = self.next.max(Sequence(frame.sequence));
        let stamp = Stamp { sequence, time: Timestamp(frame.time_ns) };
        self.next = engine.apply(stamp, &command, &mut sink);
        if let Command::DefineSession(definition) = &command
            && let Some(limits) = self.settings.limit(engine, definition.session)?
        {
            let stamp = Stamp { sequence: self.next, time: stamp.time };
            self.next = engine.apply(stamp, &limits, &mut sink);
        }
        Ok(sink.events.into_iter().map(|(_, event)| event).collect())
    }

    /// What an order of the journal is here.
    fn here(&self, order_id: OrderId) -> OrderId {
        match self.orders.get(&order_id) {
            Some(here) => here.unwrap_or(NO_ORDER),
            // From before the first frame, or none at all.
            None => order_id,
        }
    }

    /// Compares what became of the command at hand.
    fn end_input(&mut self) {
        let Some(input) = self.input.take() else { return };
        input.real.iter().for_each(|event| self.tallies.real.event(event));
        input.counterfactual.iter().for_each(|event| self.tallies.counterfactual.event(event));
        if let Some(real) = accepted(&input.real) {
            self.orders.insert(real, accepted(&input.counterfactual));
        }
        if input.left_out {
            return;
        }
        let rejects = (rejected(&input.real), rejected(&input.counterfactual));
        match rejects {
            (None, Some((rule, of_cancel))) => {
                self.lost_cancels += u64::from(of_cancel);
                self.appear.take(&input, rule, self.names.engine());
            }
            (Some((rule, _)), None) => self.vanish.take(&input, rule, self.names.engine()),
            _ => {}
        }
        if self.first.is_none() {
            self.first = first_difference(&input, self.names.engine());
        }
    }

    fn answer(self, wanted: Wanted, real: u64) -> WhatIf {
        let names = self.names.engine();
        WhatIf {
            wanted,
            commands: self.commands,
            throttles: self.throttles.into_rows(),
            refused_then: self.refused_then,
            left_resting: self.left_resting,
            trades: tally::trades(&self.tallies, names),
            clients: tally::clients(&self.tallies, names),
            first: self.first,
            appear: self.appear,
            vanish: self.vanish,
            lost_cancels: self.lost_cancels,
            states: Both {
                real,
                counterfactual: self.engine.as_ref().map_or(0, Engine::state_hash),
            },
        }
    }
}

/// The order that a new order became.
pub(crate) fn accepted(events: &[Event]) -> Option<OrderId> {
    events.iter().find_map(|event| match event {
        Event::Execution(event) if event.exec_type == ExecType::New => Some(event.order_id),
        _ => None,
    })
}

/// The rule by which a request was refused, and whether it was a cancel or replace.
fn rejected(events: &[Event]) -> Option<(String, bool)> {
    events.iter().find_map(|event| match event {
        Event::OrderRejected(event) => Some((format!("{:?}", event.reason), false)),
        Event::CancelRejected(event) => Some((format!("{:?}", event.reason), true)),
        _ => None,
    })
}

/// The first events that differ by more than the numbers of orders and trades.
fn first_difference(input: &Input, names: &Engine) -> Option<First> {
    let matter = |events: &[Event]| -> Vec<Event> {
        let counts = |event: &&Event| event.kind() != ironbook_engine::event::StateHashed::KIND;
        events.iter().filter(counts).copied().collect()
    };
    let (real, counterfactual) = (matter(&input.real), matter(&input.counterfactual));
    let longest = real.len().max(counterfactual.len());
    let differs = |at: &usize| {
        real.get(*at).map(without_numbers) != counterfactual.get(*at).map(without_numbers)
    };
    let at = (0..longest).find(differs)?;
    let show = |event: Option<&Event>| {
        let content = Content::Event(Box::new(*event?));
        let entry = Entry { sequence: 0, time_ns: input.entry.time_ns, content };
        Some(format!("{}: {}", entry.name(), entry.text(names)))
    };
    let events = Both { real: show(real.get(at)), counterfactual: show(counterfactual.get(at)) };
    let asked = format!("{}: {}", input.entry.name(), input.entry.text(names));
    Some(First { sequence: input.entry.sequence, input: asked, events })
}

fn without_numbers(event: &Event) -> Event {
    let mut event = *event;
    match &mut event {
        Event::Execution(event) => {
            event.order_id = OrderId::NONE;
            event.contra_order_id = OrderId::NONE;
            event.trade_id = TradeId(0);
        }
        Event::CancelRejected(event) => event.order_id = OrderId::NONE,
        Event::SessionTripped(event) => {
            (event.order_id, event.trade_id) = (OrderId::NONE, TradeId(0));
        }
        _ => {}
    }
    event
}

impl Rejects {
    fn take(&mut self, input: &Input, rule: String, names: &Engine) {
        if self.first.len() < LISTED_MAX {
            let request = input.entry.text(names);
            let sequence = input.entry.sequence;
            self.first.push(RejectRow { sequence, rule: rule.clone(), request });
        }
        *self.rules.entry(rule).or_default() += 1;
    }

    /// All of them.
    pub fn count(&self) -> u64 {
        self.rules.values().sum()
    }

    fn json(&self) -> Value {
        let row = |row: &RejectRow| json!({ "sequence": row.sequence, "rule": row.rule, "request": row.request });
        json!({
            "count": self.count(),
            "rules": self.rules,
            "first": self.first.iter().map(row).collect::<Vec<_>>(),
        })
    }

    fn print(&self, f: &mut fmt::Formatter<'_>, label: &str) -> fmt::Result {
        write!(f, "\n\n{LABEL} {} rejects {label}", grouped(self.count()))?;
        let rules = self.rules.iter().map(|(rule, count)| format!("{} {rule}", grouped(*count)));
        let rules = rules.collect::<Vec<_>>().join(", ");
        if !rules.is_empty() {
            write!(f, ": {rules}")?;
        }
        for row in &self.first {
            write!(f, "\n  {:<10} {:<20} {}", row.sequence, row.rule, row.request)?;
        }
        Ok(())
    }
}

impl<T> Both<T> {
    fn json(&self, of: impl Fn(&T) -> Value) -> Value {
        json!({ "real": of(&self.real), LABEL: of(&self.counterfactual) })
    }
}

impl WhatIf {
    /// What was changed, in words.
    fn changes(&self) -> String {
        let mut changes = Vec::new();
        if !self.wanted.dropped.is_empty() {
            changes.push(format!("without the requests of {}", self.wanted.dropped.join(", ")));
        }
        if !self.wanted.settings.is_empty() {
            changes.push(format!("with {}", self.wanted.settings.join(", ")));
        }
        if changes.is_empty() { "with nothing changed".to_owned() } else { changes.join(" and ") }
    }

    /// The first request that a throttle refused.
    pub fn first_refused(&self) -> Option<&FirstRefused> {
        throttles::first_refused(&self.throttles)
    }

    /// What the answer leaves out, a line each.
    fn not_simulated(&self) -> impl Iterator<Item = &'static str> {
        let of_throttles =
            if self.throttles.is_empty() { 0 } else { THROTTLES_NOT_SIMULATED.len() };
        NOT_SIMULATED.into_iter().chain(THROTTLES_NOT_SIMULATED.into_iter().take(of_throttles))
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let first = self.first.as_ref().map(|first| {
            json!({
                "sequence": first.sequence,
                "input": first.input,
                "events": first.events.json(|event| json!(event)),
            })
        });
        let trades = self.trades.iter().map(
            |(symbol, both)| json!({ "symbol": symbol, "trades": both.json(TradedRow::json) }),
        );
        let clients = self.clients.iter().map(
            |(comp_id, both)| json!({ "comp_id": comp_id, "client": both.json(ClientRow::json) }),
        );
        json!({
            "label": LABEL,
            "first_sequence": self.wanted.span.first,
            "last_sequence": self.wanted.span.last,
            "dropped": self.wanted.dropped,
            "settings": self.wanted.settings,
            "commands": self.commands.0,
            "commands_left_out": self.commands.1,
            "throttles": self.throttles.iter().map(ThrottleRow::json).collect::<Vec<_>>(),
            "refused_by_the_gateway_then": self.refused_then,
            "orders_left_resting": self.left_resting,
            "trades": trades.collect::<Vec<_>>(),
            "clients": clients.collect::<Vec<_>>(),
            "first_difference": first,
            "rejects_that_appear": self.appear.json(),
            "rejects_that_vanish": self.vanish.json(),
            "lost_cancels": self.lost_cancels,
            "states": self.states.json(|state| hash(*state).into()),
            "not_simulated": self.not_simulated().collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for WhatIf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Span { first, last } = self.wanted.span;
        writeln!(f, "{LABEL} sequence {first} to {last} {}", self.changes())?;
        let (played, left_out) = self.commands;
        write!(
            f,
            "{LABEL} {} commands carried out, {} left out",
            grouped(played),
            grouped(left_out)
        )?;
        if self.left_resting > 0 {
            write!(
                f,
                "\n{LABEL} {} orders of dropped clients rest from before",
                grouped(self.left_resting)
            )?;
        }
        if !self.throttles.is_empty() {
            throttles::print(f, &self.throttles, self.refused_then)?;
        }
        tally::print_trades(f, &self.trades)?;
        tally::print_clients(f, &self.clients)?;
        match &self.first {
            None => write!(f, "\n\n{LABEL} no event differs")?,
            Some(found) => {
                write!(f, "\n\n{LABEL} the first difference, at sequence {}", found.sequence)?;
                write!(f, "\n  {:<15} {}", "input", found.input)?;
                let nothing = || "nothing".to_owned();
                let Both { real, counterfactual } = found.events.clone();
                write!(f, "\n  {:<15} {}", "real", real.unwrap_or_else(nothing))?;
                write!(f, "\n  {LABEL:<15} {}", counterfactual.unwrap_or_else(nothing))?;
            }
        }
        self.appear.print(f, "appear")?;
        self.vanish.print(f, "vanish")?;
        write!(f, "\n\n{LABEL} {} cancels and replaces lost", grouped(self.lost_cancels))?;
        let Both { real, counterfactual } = self.states;
        write!(f, "\n{LABEL} state {}, real {}", hash(counterfactual), hash(real))?;
        write!(f, "\n\n{LABEL} is not all that would have been:")?;
        self.not_simulated().try_for_each(|line| write!(f, "\n  - {line}"))
    }
}
