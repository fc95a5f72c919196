//! A journal at a glance: who and what was in it most, and what stands out.

use std::{cmp::Reverse, collections::BTreeMap, fmt};

use ironbook_engine::{
    Command, Engine, Event, ExecType, InstrumentId, InstrumentStatus, LastLiquidity, SessionId,
    event::{Execution, SessionTripped},
};
use ironbook_gateway::{operator::OperatorRecord, session_record::SessionRecord};
use ironbook_journal::Frame;
use serde_json::{Value, json};

use super::{Span, clock, place_json, scan};
use crate::{
    Fault,
    index::Index,
    moment::Moment,
    show::{comp_id, gateway_rule, number, symbol, target},
    text::{grouped, signed_decimal, utc},
};

const SECOND_NS: u64 = 1_000_000_000;

/// A journal at a glance.
#[derive(Clone, Debug)]
pub struct Top {
    /// The part that was looked at, and the times of its ends.
    pub span: (Span, u64, u64),
    /// Clients, by requests.
    pub clients: Vec<ClientRow>,
    /// Symbols, by trades.
    pub symbols: Vec<SymbolRow>,
    /// Rules that refused, by refusals, with the first sequence of each.
    pub rules: Vec<(String, u64, u64)>,
    /// The seconds with the most requests: when they began, in ns, requests, rejects, trades.
    pub seconds: Vec<(u64, Second)>,
    /// The largest trades by price times quantity, of all symbols.
    pub trades: Vec<TradeRow>,
    /// Sessions that went beyond a risk limit that trips.
    pub trips: Firsts<TripRow>,
    /// Changes of an instrument's status: sequence, time, symbol, status.
    pub changes: Firsts<(u64, u64, String, String)>,
    /// Actions of operators: sequence, time, what, by whom and why.
    pub operators: Firsts<(u64, u64, OperatorRow)>,
}

/// The first ones of something, in the sequence of the journal, and how many more there are.
#[derive(Clone, Debug)]
pub struct Firsts<T> {
    /// The first ones.
    pub rows: Vec<T>,
    /// Those that had no room.
    pub more: u64,
}

impl<T> Default for Firsts<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), more: 0 }
    }
}

impl<T> Firsts<T> {
    fn push(&mut self, row: T, limit: usize) {
        if self.rows.len() < limit {
            self.rows.push(row);
        } else {
            self.more += 1;
        }
    }

    fn map<U>(self, each: impl FnMut(T) -> U) -> Firsts<U> {
        Firsts { rows: self.rows.into_iter().map(each).collect(), more: self.more }
    }
}

/// A session that was tripped.
#[derive(Clone, Debug)]
pub struct TripRow {
    /// Sequence of the trip.
    pub sequence: u64,
    /// Its time in ns since 1970.
    pub time_ns: u64,
    /// Whose session.
    pub comp_id: String,
    /// The rule of the limit.
    pub rule: String,
    /// The limit.
    pub limit: String,
    /// What was seen.
    pub observed: String,
    /// Its orders, which were canceled.
    pub canceled: u32,
}

impl fmt::Display for TripRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { comp_id, rule, limit, observed, canceled, .. } = self;
        let orders = grouped(u64::from(*canceled));
        write!(
            f,
            "{comp_id} by {rule}: limit {limit}, observed {observed}, {orders} orders canceled;"
        )
    }
}

/// What an operator asked for.
#[derive(Clone, Debug)]
pub struct OperatorRow {
    /// What.
    pub action: &'static str,
    /// Whether the target is a session.
    pub is_of_session: bool,
    /// A symbol or all, or a comp id.
    pub target: String,
    /// Who.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What happened in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Requests of clients, those too that the gateway refused.
    pub requests: u64,
    /// Refusals, by gateway or engine.
    pub rejects: u64,
    /// Trades.
    pub trades: u64,
}

/// A client.
#[derive(Clone, Debug, Default)]
pub struct ClientRow {
    /// Its comp id.
    pub comp_id: String,
    /// Requests, those too that the gateway refused.
    pub requests: u64,
    /// Refusals, by gateway or engine.
    pub rejects: u64,
    /// Sides of trades.
    pub fills: u64,
}

/// A symbol.
#[derive(Clone, Debug)]
pub struct SymbolRow {
    /// Symbol.
    pub symbol: String,
    /// Trades.
    pub trades: u64,
    /// Quantity traded.
    pub qty: String,
    /// First, lowest, highest and last price.
    pub prices: [String; 4],
}

/// A large trade.
#[derive(Clone, Debug)]
pub struct TradeRow {
    /// Sequence of the aggressor's report.
    pub sequence: u64,
    /// Its time in ns since 1970.
    pub time_ns: u64,
    /// Symbol.
    pub symbol: String,
    /// Price and quantity.
    pub price: String,
    /// Quantity.
    pub qty: String,
    /// Price times quantity.
    pub notional: String,
    /// Who took.
    pub comp_id: String,
}

#[derive(Default)]
struct Traded {
    trades: u64,
    qty: i128,
    /// First, lowest, highest, last.
    prices: [i64; 4],
}

#[derive(Default)]
struct Counting {
    clients: BTreeMap<SessionId, ClientRow>,
    symbols: BTreeMap<InstrumentId, Traded>,
    rules: BTreeMap<String, (u64, u64)>,
    seconds: BTreeMap<u64, Second>,
    trades: Vec<(i128, u64, u64, Execution)>,
    trips: Firsts<(u64, u64, SessionTripped)>,
    changes: Firsts<(u64, u64, InstrumentId, InstrumentStatus)>,
    limit: usize,
    operators: Firsts<(u64, u64, OperatorRecord)>,
}

/// A part of a journal at a glance: at most `limit` rows of each kind.
///
/// Takes memory for each second of it in which something happened: 5 MiB a day.
///
/// # Errors
/// [`Fault`]: the journal can't be read, or holds no command.
pub fn top(index: &Index, span: Span, limit: usize) -> Result<Top, Fault> {
    let mut found = Counting { limit, ..Counting::default() };
    let mut times = (u64::MAX, 0);
    scan(index, &[], span, |frame| {
        times = (times.0.min(frame.time_ns), frame.time_ns);
        found.take(frame);
    })?;
    let end = Moment::end(index)?;
    Ok(found.answer(super::engine(&end)?, (span, times.0.min(times.1), times.1)))
}

impl Counting {
    fn take(&mut self, frame: &Frame<'_>) {
        if Event::is_kind(frame.kind) {
            if let Ok(event) = Event::decode(frame.kind, frame.payload) {
                self.event(&event, frame);
            }
        } else if let Some(record) = SessionRecord::decode(frame.kind, frame.payload) {
            self.record(record, frame);
        } else if let Ok(command) = Command::decode(frame.kind, frame.payload)
            && let Some(session) = command.client()
        {
            self.request(session, frame);
        }
    }

    fn record(&mut self, record: SessionRecord, frame: &Frame<'_>) {
        if let Some(rule) = gateway_rule(&record) {
            self.request(record.session(), frame);
            self.reject(record.session(), rule.to_owned(), frame);
        }
        if let SessionRecord::Operator(record) = record {
            self.operators.push((frame.sequence, frame.time_ns, record), self.limit);
        }
    }

    fn request(&mut self, session: SessionId, frame: &Frame<'_>) {
        self.clients.entry(session).or_default().requests += 1;
        self.second(frame).requests += 1;
    }

    fn second(&mut self, frame: &Frame<'_>) -> &mut Second {
        self.seconds.entry(frame.time_ns / SECOND_NS).or_default()
    }

    fn event(&mut self, event: &Event, frame: &Frame<'_>) {
        match event {
            Event::Execution(event) if event.exec_type == ExecType::Trade => {
                self.clients.entry(event.session).or_default().fills += 1;
                if event.last_liquidity == LastLiquidity::Removed {
                    self.trade(event, frame);
                }
            }
            Event::OrderRejected(event) => {
                self.reject(event.session, format!("{:?}", event.reason), frame);
            }
            Event::CancelRejected(event) => {
                self.reject(event.session, format!("{:?}", event.reason), frame);
            }
            Event::StatusChanged(event) => {
                let change = (frame.sequence, frame.time_ns, event.instrument, event.status);
                self.changes.push(change, self.limit);
            }
            Event::SessionTripped(event) => {
                self.trips.push((frame.sequence, frame.time_ns, *event), self.limit);
            }
            _ => {}
        }
    }

    fn reject(&mut self, session: SessionId, rule: String, frame: &Frame<'_>) {
        self.clients.entry(session).or_default().rejects += 1;
        self.second(frame).rejects += 1;
        self.rules.entry(rule).or_insert((0, frame.sequence)).0 += 1;
    }

    fn trade(&mut self, event: &Execution, frame: &Frame<'_>) {
        self.second(frame).trades += 1;
        let px = event.last_px;
        let traded = self.symbols.entry(event.instrument).or_default();
        if traded.trades == 0 {
            traded.prices = [px; 4];
        }
        traded.trades += 1;
        traded.qty += i128::from(event.last_qty);
        let [first, low, high, _] = traded.prices;
        traded.prices = [first, low.min(px), high.max(px), px];
        // Comparable across scales to the ten millionth of a unit, and exact to show.
        let notional = i128::from(px) * i128::from(event.last_qty);
        let weight = scaled(notional, event.price_scale + event.qty_scale);
        let smallest = self.trades.last().map_or(i128::MIN, |(weight, ..)| *weight);
        if self.trades.len() < self.limit || weight > smallest {
            let at = self.trades.partition_point(|(other, ..)| *other >= weight);
            self.trades.insert(at, (weight, frame.sequence, frame.time_ns, *event));
            self.trades.truncate(self.limit);
        }
    }

    fn answer(self, names: &Engine, span: (Span, u64, u64)) -> Top {
        let limit = self.limit;
        let mut clients: Vec<_> = self
            .clients
            .into_iter()
            .map(|(session, row)| ClientRow { comp_id: comp_id(names, session), ..row })
            .collect();
        clients.sort_by_key(|row| Reverse(row.requests));
        let mut symbols: Vec<_> = self.symbols.iter().collect();
        symbols.sort_by_key(|(_, traded)| Reverse(traded.trades));
        let mut rules: Vec<_> =
            self.rules.into_iter().map(|(rule, (count, first))| (rule, count, first)).collect();
        rules.sort_by_key(|(_, count, _)| Reverse(*count));
        let mut seconds: Vec<_> =
            self.seconds.into_iter().map(|(second, row)| (second * SECOND_NS, row)).collect();
        seconds.sort_by_key(|(_, row)| Reverse(row.requests));
        clients.truncate(limit);
        rules.truncate(limit);
        seconds.truncate(limit);
        Top {
            span,
            clients,
            symbols: symbols
                .iter()
                .take(limit)
                .map(|(id, of)| symbol_row(names, **id, of))
                .collect(),
            rules,
            seconds,
            trades: self.trades.iter().map(|row| trade_row(names, row)).collect(),
            trips: self
                .trips
                .map(|(sequence, time_ns, trip)| trip_row(names, (sequence, time_ns), &trip)),
            changes: self.changes.map(|(sequence, time_ns, id, status)| {
                (sequence, time_ns, symbol(names, id), format!("{status:?}"))
            }),
            operators: self.operators.map(|(sequence, time_ns, record)| {
                (sequence, time_ns, operator_row(names, record))
            }),
        }
    }
}

fn operator_row(names: &Engine, record: OperatorRecord) -> OperatorRow {
    let (action, target) = (record.action.name(), target(&record, names));
    let is_of_session = !record.action.is_of_instruments();
    OperatorRow { action, is_of_session, target, name: record.name, reason: record.reason }
}

fn trip_row(names: &Engine, (sequence, time_ns): (u64, u64), trip: &SessionTripped) -> TripRow {
    TripRow {
        sequence,
        time_ns,
        comp_id: comp_id(names, trip.session),
        rule: format!("{:?}", trip.rule),
        limit: number(trip.limit, trip.scale),
        observed: number(trip.observed, trip.scale),
        canceled: trip.affected,
    }
}

/// A number of so many decimals with seven of them.
fn scaled(mantissa: i128, scale: u8) -> i128 {
    const DECIMALS: u8 = 7;
    match scale.checked_sub(DECIMALS) {
        Some(more) => mantissa / 10i128.pow(more.into()),
        None => mantissa.saturating_mul(10i128.pow((DECIMALS - scale).into())),
    }
}

fn symbol_row(names: &Engine, instrument: InstrumentId, traded: &Traded) -> SymbolRow {
    let scales = names.instrument(instrument).map(|view| view.definition);
    let (price, qty) = scales.map_or((0, 0), |of| (of.price_scale, of.qty_scale));
    SymbolRow {
        symbol: symbol(names, instrument),
        trades: traded.trades,
        qty: signed_decimal(traded.qty, qty),
        prices: traded.prices.map(|px| number(px, price)),
    }
}

fn trade_row(
    names: &Engine,
    (_, sequence, time_ns, event): &(i128, u64, u64, Execution),
) -> TradeRow {
    let notional = i128::from(event.last_px) * i128::from(event.last_qty);
    TradeRow {
        sequence: *sequence,
        time_ns: *time_ns,
        symbol: symbol(names, event.instrument),
        price: number(event.last_px, event.price_scale),
        qty: number(event.last_qty, event.qty_scale),
        notional: signed_decimal(notional, event.price_scale + event.qty_scale),
        comp_id: comp_id(names, event.session),
    }
}

impl Top {
    /// For programs.
    pub fn json(&self) -> Value {
        let client = |row: &ClientRow| {
            json!({
                "comp_id": row.comp_id,
                "requests": row.requests,
                "rejects": row.rejects,
                "fills": row.fills,
            })
        };
        let symbol = |row: &SymbolRow| {
            let [first, low, high, last] = &row.prices;
            json!({
                "symbol": row.symbol,
                "trades": row.trades,
                "qty": row.qty,
                "first": first,
                "low": low,
                "high": high,
                "last": last,
            })
        };
        let second = |(time_ns, row): &(u64, Second)| {
            json!({
                "time_ns": time_ns,
                "time": utc(*time_ns),
                "requests": row.requests,
                "rejects": row.rejects,
                "trades": row.trades,
            })
        };
        let rule = |(rule, count, first): &(String, u64, u64)| json!({ "rule": rule, "count": count, "first_sequence": first });
        let trade = |row: &TradeRow| {
            let mut value = place_json(row.sequence, row.time_ns);
            value["symbol"] = row.symbol.as_str().into();
            value["price"] = row.price.as_str().into();
            value["qty"] = row.qty.as_str().into();
            value["notional"] = row.notional.as_str().into();
            value["aggressor"] = row.comp_id.as_str().into();
            value
        };
        let change = |(sequence, time_ns, symbol, status): &(u64, u64, String, String)| {
            let mut value = place_json(*sequence, *time_ns);
            value["symbol"] = symbol.as_str().into();
            value["status"] = status.as_str().into();
            value
        };
        let operator = |(sequence, time_ns, row): &(u64, u64, OperatorRow)| {
            let mut value = place_json(*sequence, *time_ns);
            value["action"] = row.action.into();
            value["target"] = row.target.as_str().into();
            value["by"] = row.name.as_str().into();
            value["reason"] = row.reason.as_str().into();
            value
        };
        let trip = |row: &TripRow| {
            let mut value = place_json(row.sequence, row.time_ns);
            value["comp_id"] = row.comp_id.as_str().into();
            value["rule"] = row.rule.as_str().into();
            value["limit"] = row.limit.as_str().into();
            value["observed"] = row.observed.as_str().into();
            value["orders_canceled"] = row.canceled.into();
            value
        };
        let (span, from, to) = self.span;
        json!({
            "first": place_json(span.first, from),
            "last": place_json(span.last, to),
            "clients": self.clients.iter().map(client).collect::<Vec<_>>(),
            "symbols": self.symbols.iter().map(symbol).collect::<Vec<_>>(),
            "rules": self.rules.iter().map(rule).collect::<Vec<_>>(),
            "busiest_seconds": self.seconds.iter().map(second).collect::<Vec<_>>(),
            "largest_trades": self.trades.iter().map(trade).collect::<Vec<_>>(),
            "trips": self.trips.rows.iter().map(trip).collect::<Vec<_>>(),
            "status_changes": self.changes.rows.iter().map(change).collect::<Vec<_>>(),
            "operators": self.operators.rows.iter().map(operator).collect::<Vec<_>>(),
            "left_out": {
                "trips": self.trips.more,
                "status_changes": self.changes.more,
                "operators": self.operators.more,
            },
        })
    }
}

impl fmt::Display for Top {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (span, from, to) = self.span;
        writeln!(f, "Sequence     {} to {}", span.first, span.last)?;
        write!(f, "Time         {} to {}", utc(from), utc(to))?;
        write!(f, "\n\n  {:<16} {:>12} {:>12} {:>12}", "client", "requests", "rejects", "fills")?;
        for row in &self.clients {
            let [requests, rejects, fills] = [row.requests, row.rejects, row.fills].map(grouped);
            write!(f, "\n  {:<16} {requests:>12} {rejects:>12} {fills:>12}", row.comp_id)?;
        }
        write!(
            f,
            "\n\n  {:<16} {:>12} {:>16} {:>12} {:>12} {:>12} {:>12}",
            "symbol", "trades", "qty", "first", "low", "high", "last"
        )?;
        for row in &self.symbols {
            let [first, low, high, last] = &row.prices;
            write!(
                f,
                "\n  {:<16} {:>12} {:>16} {first:>12} {low:>12} {high:>12} {last:>12}",
                row.symbol,
                grouped(row.trades),
                row.qty
            )?;
        }
        write!(f, "\n\n  {:<24} {:>12} {:>16}", "rule", "rejects", "first sequence")?;
        for (rule, count, first) in &self.rules {
            write!(f, "\n  {rule:<24} {:>12} {first:>16}", grouped(*count))?;
        }
        write!(f, "\n\n  {:<16} {:>12} {:>12} {:>12}", "second", "requests", "rejects", "trades")?;
        for (time_ns, row) in &self.seconds {
            let [requests, rejects, trades] = [row.requests, row.rejects, row.trades].map(grouped);
            let time = &clock(*time_ns)[..8];
            write!(f, "\n  {time:<16} {requests:>12} {rejects:>12} {trades:>12}")?;
        }
        write!(f, "\n\n  {:<16} {:>16}  largest trades", "sequence", "notional")?;
        for row in &self.trades {
            write!(
                f,
                "\n  {:<16} {:>16}  {} {} at {}, taken by {}",
                row.sequence, row.notional, row.qty, row.symbol, row.price, row.comp_id
            )?;
        }
        print(f, "Tripped", &self.trips, |row| (row.sequence, row.time_ns, row.to_string()))?;
        print(f, "Status", &self.changes, |(sequence, time_ns, symbol, status)| {
            (*sequence, *time_ns, format!("{symbol} {status}"))
        })?;
        print(f, "Operators", &self.operators, |(sequence, time_ns, row)| {
            let OperatorRow { action, target, name, reason, .. } = row;
            (*sequence, *time_ns, format!("{action} {target}, by {name}: {reason};"))
        })
    }
}

/// Prints rows, each with its place, under one label, and how many are left out.
fn print<T>(
    f: &mut fmt::Formatter<'_>,
    label: &str,
    firsts: &Firsts<T>,
    row: impl Fn(&T) -> (u64, u64, String),
) -> fmt::Result {
    for (number, of) in firsts.rows.iter().enumerate() {
        let (space, label) = if number == 0 { ("\n", label) } else { ("", "") };
        let (sequence, time_ns, text) = row(of);
        let time = clock(time_ns);
        write!(f, "{space}\n{label:<12} {text} at sequence {sequence}, {time}")?;
    }
    if firsts.more > 0 {
        let space = if firsts.rows.is_empty() { "\n" } else { "" };
        let label = if firsts.rows.is_empty() { label } else { "" };
        write!(f, "{space}\n{label:<12} and {} more", grouped(firsts.more))?;
    }
    Ok(())
}
