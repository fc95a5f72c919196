//! A client: what it asked for, what became of that, what it holds, how close it came to its bounds, and what was
//! not as before.

mod anomaly;
mod head_room;
mod risk_room;

use std::{collections::BTreeMap, fmt};

use ironbook_engine::{
    Engine, Event, ExecType, InstrumentId, LastLiquidity, OrdType, SessionId, command::RiskLimits,
};
use ironbook_gateway::{operator::OperatorRecord, session_record::SessionRecord};
use ironbook_journal::Frame;
use serde_json::{Value, json};

pub use anomaly::{
    Anomalies, Anomaly, CANCELS_MIN, FACTOR, LimitHit, ONE_SIDE_MIN, REFUSALS_MIN, REQUESTS_MIN,
    WARM_UP_SECONDS,
};
use head_room::needs_others;
pub use head_room::{Bound, HeadRoom, ROWS_MAX, Row};
pub use risk_room::{LimitRoom, Room, Rooms};

use super::{
    Span, clock, place_json, scan,
    trades::{Party, Sums, middle},
};
use crate::{
    Fault,
    index::{Index, Key},
    moment::Moment,
    operators::Acted,
    phases::Place,
    place::session,
    show::{Content, gateway_rule, symbol},
    text::{grouped, signed_decimal, utc},
};

/// Nanoseconds of a second.
const SECOND_NS: u64 = 1_000_000_000;

/// What is known of a client in a part of a journal.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// Its comp id.
    pub comp_id: String,
    /// First and last frame that concern it, with their times.
    pub active: Option<((u64, u64), (u64, u64))>,
    /// Requests by name, and those that the gateway refused.
    pub requests: BTreeMap<&'static str, u64>,
    /// Requests of its busiest second, and when that began, in ns.
    pub busiest: (u64, u64),
    /// Orders accepted, replaced, canceled.
    pub reports: BTreeMap<&'static str, u64>,
    /// Fills of its resting orders, and of its aggressive ones.
    pub fills: (u64, u64),
    /// Refusals by rule, with the first sequence of each.
    pub rejects: BTreeMap<String, (u64, u64)>,
    /// What it traded, by symbol, and what that is worth.
    pub positions: Vec<Position>,
    /// Its live orders at the end of the part.
    pub live_orders: u32,
    /// Frames at which its sequence numbers began again.
    pub resets: Vec<u64>,
    /// How close it came to its bounds.
    pub head_room: HeadRoom,
    /// What stopped it, and what was not as before.
    pub anomalies: Anomalies,
    /// Where it was tripped, and by which rule.
    pub trips: Vec<LimitHit>,
    /// What operators did to it: suspended it, opened it, canceled its orders.
    pub(crate) operators: Vec<Acted>,
}

/// What a client traded in a symbol.
#[derive(Clone, Debug)]
pub struct Position {
    /// The sums.
    pub party: Party,
    /// Price that the position is valued at: the middle of the book at the end, its one side, or the
    /// client's last trade.
    pub mark: String,
    /// Cash and the position at that price.
    pub pnl: String,
}

/// A part of a journal as a client sees it.
///
/// # Errors
/// [`Fault`]: no session has the comp id, or the journal can't be read.
pub fn client(index: &Index, wanted: &str, span: Span) -> Result<Client, Fault> {
    let end = Moment::at(index, span.last)?;
    let names = super::engine(&end)?;
    let id = session(names, wanted)?;
    let begin = Moment::before(index, index.input_of(span.first)?)?;
    let before = begin.engine().and_then(|engine| engine.session(id));
    let open = before.map_or(0, |view| view.live_orders);
    let mut found = Counting {
        client: Client::default(),
        sums: BTreeMap::new(),
        second: (0, 0),
        head_room: head_room::Watch::new(id, open, begin.sessions()),
        anomaly: anomaly::Watch::new(),
    };
    let own = [Key::Session(id)];
    let shares = [begin.sessions(), end.sessions()].map(|table| needs_others(table, id));
    let keys = if shares.contains(&true) { &[][..] } else { &own };
    scan(index, keys, span, |frame| found.take(frame, id))?;
    let mut client = found.client;
    if let Some((_, (last, _))) = client.active {
        found.head_room.follow_risk(index, begin, last)?;
    }
    client.comp_id = wanted.to_owned();
    let limits = names.session(id).map_or(RiskLimits::NONE, |view| view.risk.limits);
    client.head_room = found.head_room.end(span.first, names.limits().orders_max, &limits);
    client.anomalies =
        found.anomaly.end(wanted, span.first, |instrument| symbol(names, instrument));
    client.live_orders = names.session(id).map_or(0, |view| view.live_orders);
    let position = |(instrument, (sums, last_px)): (&InstrumentId, &(Sums, i64))| {
        position(names, wanted, *instrument, sums, *last_px)
    };
    client.positions = found.sums.iter().map(position).collect();
    Ok(client)
}

fn position(
    engine: &Engine,
    comp_id: &str,
    instrument: InstrumentId,
    sums: &Sums,
    last_px: i64,
) -> Position {
    let scales = engine.instrument(instrument).map(|view| view.definition);
    let (price, qty) = scales.map_or((0, 0), |of| (of.price_scale, of.qty_scale));
    // Twice the price, so that the middle is exact.
    let twice = middle(engine, instrument).unwrap_or(2 * i128::from(last_px));
    let pnl = 2 * sums.cash + (sums.bought - sums.sold) * twice;
    Position {
        party: Party::of(comp_id.to_owned(), symbol(engine, instrument), sums, (price, qty)),
        mark: signed_decimal(twice * 5, price + 1),
        pnl: signed_decimal(pnl * 5, price + qty + 1),
    }
}

struct Counting {
    client: Client,
    /// With the price of the last trade.
    sums: BTreeMap<InstrumentId, (Sums, i64)>,
    /// The second at hand, and its requests.
    second: (u64, u64),
    head_room: head_room::Watch,
    anomaly: anomaly::Watch,
}

impl Counting {
    fn take(&mut self, frame: &Frame<'_>, id: SessionId) {
        let here = Place { sequence: frame.sequence, time_ns: frame.time_ns };
        match Content::decode(frame.kind, frame.payload) {
            Content::Command(command) => {
                self.head_room.command(&command, here);
                if command.client() == Some(id) {
                    self.anomaly.command(&command, here);
                    self.request(command.name(), frame);
                }
            }
            // What stops a client has its place here: refusals, and whatever else the engine says to it.
            Content::Event(event) if event.session() == Some(id) => {
                self.head_room.event(&event, here);
                self.anomaly.event(&event, here);
                self.event(&event, frame);
            }
            Content::Event(event) => {
                if let Event::SessionTripped(trip) = *event
                    && trip.session == id
                {
                    self.client.trips.push(LimitHit::trip(&trip, here));
                    self.touch(frame);
                }
            }
            Content::Session(record) => {
                self.head_room.record(&record, here);
                if record.session() == id {
                    self.anomaly.record(&record, here);
                    if let Some(rule) = gateway_rule(&record) {
                        self.request("refused by the gateway", frame);
                        self.reject(rule.to_owned(), frame);
                    }
                }
                self.session(record, frame, id);
            }
            _ => {}
        }
    }

    fn session(&mut self, record: SessionRecord, frame: &Frame<'_>, id: SessionId) {
        match record {
            SessionRecord::Reset { session } if session == id => {
                self.client.resets.push(frame.sequence);
                self.touch(frame);
            }
            SessionRecord::Operator(record) if record.session == id => {
                let Frame { sequence, time_ns, .. } = *frame;
                self.client.operators.push(Acted { sequence, time_ns, record });
            }
            _ => {}
        }
    }

    fn touch(&mut self, frame: &Frame<'_>) {
        let here = (frame.sequence, frame.time_ns);
        self.client.active = Some((self.client.active.map_or(here, |(first, _)| first), here));
    }

    fn request(&mut self, name: &'static str, frame: &Frame<'_>) {
        self.touch(frame);
        *self.client.requests.entry(name).or_default() += 1;
        let second = frame.time_ns / SECOND_NS;
        if self.second.0 != second {
            self.second = (second, 0);
        }
        self.second.1 += 1;
        if self.second.1 > self.client.busiest.0 {
            self.client.busiest = (self.second.1, second * SECOND_NS);
        }
    }

    fn event(&mut self, event: &Event, frame: &Frame<'_>) {
        self.touch(frame);
        let rule = match event {
            Event::OrderRejected(event) => format!("{:?}", event.reason),
            Event::CancelRejected(event) => format!("{:?}", event.reason),
            Event::Execution(event) if event.exec_type == ExecType::Trade => {
                let (sums, last_px) = self.sums.entry(event.instrument).or_default();
                sums.add(event);
                *last_px = event.last_px;
                match event.last_liquidity {
                    LastLiquidity::Added => self.client.fills.0 += 1,
                    _ => self.client.fills.1 += 1,
                }
                return;
            }
            Event::Execution(event) => {
                let name = match (event.exec_type, event.ord_type) {
                    (ExecType::New, OrdType::Limit) => "limit orders accepted",
                    (ExecType::New, OrdType::Market) => "market orders accepted",
                    (ExecType::Replaced, _) => "replaced",
                    (ExecType::Canceled, _) => "canceled",
                    (ExecType::OrderStatus, _) => "status told",
                    _ => "other",
                };
                *self.client.reports.entry(name).or_default() += 1;
                return;
            }
            _ => return,
        };
        self.reject(rule, frame);
    }

    fn reject(&mut self, rule: String, frame: &Frame<'_>) {
        self.client.rejects.entry(rule).or_insert((0, frame.sequence)).0 += 1;
    }
}

impl Client {
    /// For programs.
    pub fn json(&self) -> Value {
        let rejects = self.rejects.iter().map(|(rule, (count, first))| {
            json!({ "rule": rule, "count": count, "first_sequence": first })
        });
        let position = |position: &Position| {
            let mut value = position.party.json();
            value["mark"] = position.mark.as_str().into();
            value["pnl"] = position.pnl.as_str().into();
            value
        };
        let place = |(sequence, time_ns): (u64, u64)| place_json(sequence, time_ns);
        json!({
            "comp_id": self.comp_id,
            "first": self.active.map(|(first, _)| place(first)),
            "last": self.active.map(|(_, last)| place(last)),
            "requests": self.requests,
            "busiest_second": { "requests": self.busiest.0, "time_ns": self.busiest.1 },
            "reports": self.reports,
            "fills": { "resting": self.fills.0, "aggressive": self.fills.1 },
            "rejects": rejects.collect::<Vec<_>>(),
            "positions": self.positions.iter().map(position).collect::<Vec<_>>(),
            "live_orders": self.live_orders,
            "resets": self.resets,
            "head_room": self.head_room.json(),
            "anomalies": self.anomalies.json(),
            "trips": self.trips.iter().map(LimitHit::json).collect::<Vec<_>>(),
            "operators": self.operators.iter().map(|acted| acted.json(&self.comp_id)).collect::<Vec<_>>(),
        })
    }

    /// The first refusal, by sequence.
    pub fn first_reject(&self) -> Option<u64> {
        self.rejects.values().map(|(_, first)| *first).min()
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Client       {}", self.comp_id)?;
        match self.active {
            Some(((first, first_ns), (last, last_ns))) => writeln!(
                f,
                "Active       sequence {first} at {} to {last} at {}",
                utc(first_ns),
                utc(last_ns)
            )?,
            None => writeln!(f, "Active       never")?,
        }
        self.anomalies.print(f)?;
        self.head_room.print(f)?;
        let list = |counts: &BTreeMap<&'static str, u64>| {
            let each = counts.iter().map(|(name, count)| format!("{} {name}", grouped(*count)));
            each.collect::<Vec<_>>().join(", ")
        };
        writeln!(f, "Requests     {}", list(&self.requests))?;
        if self.busiest.0 > 0 {
            let time = clock(self.busiest.1);
            writeln!(
                f,
                "Busiest      {} requests in the second from {time}",
                grouped(self.busiest.0)
            )?;
        }
        writeln!(f, "Reports      {}", list(&self.reports))?;
        let (resting, aggressive) = self.fills;
        writeln!(
            f,
            "Fills        {} resting, {} aggressive",
            grouped(resting),
            grouped(aggressive)
        )?;
        for (rule, (count, first)) in &self.rejects {
            writeln!(f, "Rejects      {} {rule}, first at sequence {first}", grouped(*count))?;
        }
        for trip in &self.trips {
            writeln!(f, "Tripped      {trip}")?;
        }
        for Acted { sequence, time_ns, record } in &self.operators {
            let OperatorRecord { action, name, reason, .. } = record;
            let (action, time) = (action.name(), clock(*time_ns));
            writeln!(
                f,
                "Operator     {action}, by {name}: {reason}; at sequence {sequence}, {time}"
            )?;
        }
        for reset in &self.resets {
            writeln!(f, "Reset        sequence numbers at sequence {reset}")?;
        }
        for Position { party, mark, pnl } in &self.positions {
            writeln!(
                f,
                "Position     {}: bought {}, sold {}, net {}, cash {}; at {mark} a result of {pnl}",
                party.symbol, party.bought, party.sold, party.net, party.cash
            )?;
        }
        write!(f, "Orders       {} live", self.live_orders)?;
        self.head_room.print_rows(f)
    }
}
