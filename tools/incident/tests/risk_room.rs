//! How close a client came to its risk limits, beside a model that keeps every order and every trade.

mod common;

use std::{collections::BTreeMap, path::Path};

use common::{AAPL, C1, C2, C7, MSFT, Script, index, memory_dir, random_day};
use ironbook_engine::{
    Command, Event, ExecType, InstrumentId, LastLiquidity, OrdType, OrderId, Side, TradingStatus,
    command::RiskLimits,
    domain::{ExecReason, RejectReason},
    event::Execution,
};
use ironbook_gateway::random::Random;
use ironbook_incident::{
    index::Index,
    question::{
        Span,
        client::{Client, Room, client},
    },
};
use ironbook_journal::Reader;

/// A notional of one, at the scale of limits.
const ONE: i64 = 100_000_000;
/// Of a cent times a share, which all instruments here have.
const OF_A_CENT: i128 = 1_000_000;

/// What is left up to each limit: of an order, of its price, orders, open, traded, lost.
type Rooms = [Option<(i64, i64)>; 6];

/// Orders and trades of a journal, and what they come to for C1.
#[derive(Default)]
struct Model {
    limits: Option<RiskLimits>,
    orders: BTreeMap<OrderId, Execution>,
    last_px: BTreeMap<InstrumentId, i64>,
    /// Time, notional and loss of each trade of C1.
    trades: Vec<(u64, i128, i128)>,
}

impl Model {
    fn best(&self, instrument: InstrumentId, side: Side) -> Option<i64> {
        let prices =
            self.orders.values().filter(|of| of.instrument == instrument && of.side == side);
        let prices = prices.map(|of| of.price);
        if side == Side::Buy { prices.max() } else { prices.min() }
    }

    /// Twice the reference price.
    fn reference(&self, instrument: InstrumentId) -> Option<i64> {
        let bid = self.best(instrument, Side::Buy).zip(self.best(instrument, Side::Sell));
        let last = self.last_px.get(&instrument);
        last.map(|last| 2 * last).or(bid.map(|(bid, ask)| bid + ask))
    }

    fn open(&self) -> (i128, i128) {
        let own = self.orders.values().filter(|of| of.session == C1);
        own.fold((0, 0), |(count, sum), of| {
            (count + 1, sum + i128::from(of.price) * i128::from(of.leaves_qty) * OF_A_CENT)
        })
    }

    /// What a request of C1 comes to, by the limits that came to judge it.
    fn asked(&self, command: &Command, events: &[Event]) -> Vec<(usize, i128)> {
        const RULES: [RejectReason; 4] = [
            RejectReason::OrderNotionalTooLarge,
            RejectReason::PriceFarFromReference,
            RejectReason::TooManyOpenOrders,
            RejectReason::OpenNotionalTooLarge,
        ];
        let reason = match events.first() {
            Some(Event::OrderRejected(event)) => Some(event.reason),
            Some(Event::CancelRejected(event)) => Some(event.reason),
            Some(Event::Execution(of)) if of.reason == ExecReason::ReplacedBelowCumQty => {
                return Vec::new();
            }
            _ => None,
        };
        let last = match reason.map(|reason| RULES.iter().position(|rule| *rule == reason)) {
            Some(None) => return Vec::new(),
            Some(Some(last)) => last,
            None => RULES.len(),
        };
        let (side, ord_type, price, qty, instrument, old) = match command {
            Command::NewOrder(of) => {
                (of.side, of.ord_type, of.price, of.order_qty, of.instrument, None)
            }
            Command::ReplaceOrder(of) => {
                let old = self
                    .orders
                    .values()
                    .find(|old| old.session == C1 && old.cl_ord_id == of.orig_cl_ord_id);
                let old = old.expect("an order that is replaced");
                (old.side, of.ord_type, of.price, of.order_qty, old.instrument, Some(old))
            }
            _ => return Vec::new(),
        };
        let last_px = self.last_px.get(&instrument).copied();
        let price = match ord_type {
            OrdType::Limit => price,
            OrdType::Market => self.best(instrument, side.opposite()).or(last_px).unwrap_or(0),
        };
        let of = |price: i64, qty: i64| i128::from(price) * i128::from(qty) * OF_A_CENT;
        let (orders, open) = self.open();
        let replaced = old.map_or(0, |old| of(old.price, old.leaves_qty));
        let added = of(price, qty - old.map_or(0, |old| old.cum_qty));
        let mut asked = vec![(0, of(price, qty))];
        if let Some(reference) = self.reference(instrument).filter(|_| ord_type == OrdType::Limit) {
            let beyond = i128::from(2 * price - reference) * if side == Side::Buy { 1 } else { -1 };
            let reference = i128::from(reference);
            asked.push((1, (beyond.max(0) * 10_000 + reference - 1) / reference));
        }
        if old.is_none() {
            asked.push((2, orders + 1));
        }
        if added > replaced {
            asked.push((3, open - replaced + added));
        }
        asked.retain(|(at, _)| *at <= last);
        asked
    }

    /// A command with its events.
    fn take(&mut self, command: &Command, events: &[Event], time_ns: u64) -> Rooms {
        match command {
            Command::SetRiskLimits(set) if set.session == C1 => {
                if self.limits.is_none_or(|limits| limits.window_ms != set.limits.window_ms) {
                    self.trades.clear();
                }
                self.limits = Some(set.limits);
            }
            Command::SetTradingStatus(set) if set.session == C1 => self.trades.clear(),
            _ => {}
        }
        let is_own = command.client() == Some(C1);
        let references = [AAPL, MSFT].map(|instrument| self.reference(instrument));
        let mut seen = if is_own { self.asked(command, events) } else { Vec::new() };
        let (mut is_about, mut has_traded, mut last_px) = (is_own, false, None);
        for event in events {
            let Event::Execution(of) = event else { continue };
            is_about |= of.session == C1;
            if of.exec_type == ExecType::OrderStatus {
                continue;
            }
            if of.exec_type == ExecType::Trade {
                last_px = Some((of.instrument, of.last_px));
                if of.session == C1 {
                    has_traded = true;
                    self.trade(of, references[of.instrument.0 as usize - 1], time_ns);
                }
            }
            self.orders.insert(of.order_id, *of);
            if of.leaves_qty == 0 {
                self.orders.remove(&of.order_id);
            }
        }
        self.last_px.extend(last_px);
        if is_about {
            let (orders, open) = self.open();
            seen.extend([(2, orders), (3, open)]);
        }
        if has_traded {
            let sum = |of: fn(&(u64, i128, i128)) -> i128| self.trades.iter().map(of).sum::<i128>();
            seen.extend([(4, sum(|trade| trade.1)), (5, sum(|trade| trade.2).max(0))]);
        }
        self.rooms(&seen)
    }

    /// A window has 32 parts; what was traded in this part and in the 32 before it counts.
    /// The reference is that before the order.
    fn trade(&mut self, of: &Execution, reference: Option<i64>, time_ns: u64) {
        let Some(limits) = self.limits.filter(|limits| limits.window_ms > 0) else { return };
        let sign = if of.side == Side::Buy { 1 } else { -1 };
        let taker = reference.filter(|_| of.last_liquidity == LastLiquidity::Removed);
        let worse = taker.map_or(0, |reference| i128::from(sign * (2 * of.last_px - reference)));
        let (px, qty) = (i128::from(of.last_px), i128::from(of.last_qty));
        self.trades.push((time_ns, px * qty * OF_A_CENT, worse * qty * OF_A_CENT / 2));
        let part = (u64::from(limits.window_ms) * 1_000_000).div_ceil(32);
        self.trades.retain(|trade| time_ns / part - trade.0 / part <= 32);
    }

    fn rooms(&self, seen: &[(usize, i128)]) -> Rooms {
        let mut rooms = Rooms::default();
        let Some(limits) = self.limits else { return rooms };
        let values = [
            limits.order_notional,
            limits.price_deviation.into(),
            limits.open_orders.into(),
            limits.open_notional,
            limits.traded_notional,
            limits.loss,
        ];
        for (at, observed) in seen {
            if values[*at] > 0 {
                let left = values[*at] - *observed as i64;
                rooms[*at] = least(rooms[*at], Some((left, values[*at])));
            }
        }
        rooms
    }
}

/// The one of which a lesser part is left; of the lesser limit where these are alike.
fn least(one: Option<(i64, i64)>, other: Option<(i64, i64)>) -> Option<(i64, i64)> {
    let share = |(left, limit): (i64, i64)| left as f64 / limit as f64;
    let order = |one: &(i64, i64), other: &(i64, i64)| {
        share(*one).total_cmp(&share(*other)).then(one.1.cmp(&other.1))
    };
    one.into_iter().chain(other).min_by(order)
}

/// The rooms of each row, and the least of all.
fn model(dir: &Path, row_ns: u64) -> (BTreeMap<u64, Rooms>, Rooms) {
    let mut inputs: Vec<(u64, Command, Vec<Event>)> = Vec::new();
    let mut reader = Reader::open(dir).expect("a journal");
    while let Some(frame) = reader.next().expect("a good journal") {
        if let Ok(command) = Command::decode(frame.kind, frame.payload) {
            inputs.push((frame.time_ns, command, Vec::new()));
        } else if let Ok(event) = Event::decode(frame.kind, frame.payload) {
            inputs.last_mut().expect("an input").2.push(event);
        }
    }
    let (mut model, mut rows, mut all) = (Model::default(), BTreeMap::new(), Rooms::default());
    for (time_ns, command, events) in &inputs {
        let rooms = model.take(command, events, *time_ns);
        let row: &mut Rooms = rows.entry(time_ns / row_ns).or_default();
        for (at, room) in rooms.into_iter().enumerate() {
            row[at] = least(row[at], room);
            all[at] = least(all[at], room);
        }
    }
    rows.retain(|_, rooms| *rooms != Rooms::default());
    (rows, all)
}

fn ask(index: &Index, first: u64) -> Client {
    client(index, "C1", Span { first, last: index.last_sequence() }).expect("an answer")
}

fn told(room: Option<Room>) -> Option<(i64, i64)> {
    room.map(|room| (room.left, room.limit))
}

/// Limits that a random day comes near to; which of them stops it first differs with the seed.
fn near(seed: u64) -> RiskLimits {
    let one_in_two = i64::from(seed.is_multiple_of(2));
    RiskLimits {
        order_notional: 8_800 * ONE,
        open_notional: 32_000 * ONE,
        traded_notional: 60_000 * ONE,
        loss: 60 * ONE * one_in_two,
        open_orders: if seed.is_multiple_of(3) { 3 } else { 17 },
        price_deviation: 150,
        window_ms: 100,
        ..RiskLimits::NONE
    }
}

#[test]
fn rooms_are_those_of_a_model_that_keeps_every_order_and_trade() {
    let place = memory_dir();
    let (mut beyond, mut within) = ([0; 6], [0; 6]);
    for seed in 1..=6 {
        let dir = place.path().join(format!("data{seed}"));
        let mut day = Script::new(&dir);
        day.limit(C1, near(seed));
        random_day(&mut day, &mut Random::new(seed), 500);
        day.set_trading(C1, TradingStatus::Open, "");
        // Others, of which one is gone, for what is open too.
        let wider = RiskLimits {
            order_notional: 0,
            open_orders: 12,
            traded_notional: 2_000_000 * ONE,
            loss: 2_000 * ONE,
            window_ms: 5_000,
            ..near(seed)
        };
        day.limit(C1, wider);
        random_day(&mut day, &mut Random::new(seed + 100), 500);
        day.close();
        let index = index(&dir);
        let found = ask(&index, 1).head_room;
        let (rows, all) = model(&dir, found.row_ns);
        let own = found
            .rows
            .iter()
            .map(|(begins_ns, row)| (begins_ns / found.row_ns, row.risk.map(told)));
        let own: BTreeMap<u64, Rooms> = own.filter(|(_, of)| *of != Rooms::default()).collect();
        for (number, rooms) in &rows {
            assert_eq!(own.get(number), Some(rooms), "seed {seed}, row {number}");
        }
        assert_eq!(own.len(), rows.len(), "seed {seed}");
        assert!(rows.len() > 5, "{rows:?}");
        for (at, limit) in &found.risk {
            assert_eq!(limit.least.map(|(room, _)| (room.left, room.limit)), all[*at], "{limit:?}");
        }
        let ends: Vec<_> = found.risk.iter().map(|(at, limit)| (*at, limit.limit)).collect();
        assert_eq!(ends[0], (0, 0), "the limit that is gone is told");
        assert_eq!((ends.len(), ends[2]), (6, (2, 12)));
        for (at, room) in rows.values().flat_map(|rooms| rooms.iter().enumerate()) {
            let Some((left, _)) = room else { continue };
            let count = if *left < 0 { &mut beyond } else { &mut within };
            count[at] += 1;
        }
        // From the middle on: as it was left there.
        let half = index.input_of(index.last_sequence() / 2).expect("an input");
        let part = ask(&index, half).head_room;
        let last = |of: &ironbook_incident::question::client::HeadRoom| {
            of.rows.iter().rev().find_map(|(_, row)| row.risk[2].map(|room| room.limit))
        };
        assert_eq!((last(&part), last(&found)), (Some(12), Some(12)));
        let least = |of: &ironbook_incident::question::client::HeadRoom| {
            of.rows.iter().filter_map(|(_, row)| row.risk[4]).min()
        };
        assert!(least(&part) >= least(&found), "{part:?}");
    }
    assert!(beyond.iter().all(|times| *times > 0), "each is broken: {beyond:?}");
    assert!(within.iter().all(|times| *times > 0), "each is kept: {within:?}");
}

#[test]
fn a_client_without_limits_is_told_nothing_of_them() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    day.limit(C2, near(2));
    random_day(&mut day, &mut Random::new(1), 200);
    day.close();
    let found = ask(&index(&dir), 1);
    assert!(!found.to_string().to_lowercase().contains("risk"), "{found}");
    assert!(!found.json().to_string().contains("risk"), "{found}");
    let bounded = client(&index(&dir), "C2", Span { first: 1, last: 50 }).expect("an answer");
    assert!(bounded.to_string().contains("Risk limit   order_notional: "), "{bounded}");
}

#[test]
fn rooms_are_told_in_units_and_percent() {
    use Side::{Buy, Sell};
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    // Before it has limits, nothing is held against any.
    day.order((C1, "before"), AAPL, Buy, (900, 9_000));
    day.cancel(C1, ("gone", "before"), (AAPL, Buy));
    let limits = RiskLimits {
        order_notional: 20_000 * ONE,
        open_orders: 4,
        traded_notional: 15_000 * ONE,
        loss: ONE,
        window_ms: 60_000,
        ..RiskLimits::NONE
    };
    day.limit(C1, limits);
    let buys = day.order((C1, "buys"), AAPL, Buy, (150, 10_000));
    let large = day.order((C1, "large"), AAPL, Buy, (300, 10_000));
    // A trade of the order that rests, by another's.
    let trades = day.order((C7, "sells"), AAPL, Sell, (120, 10_000));
    day.limit(C1, RiskLimits { open_orders: 0, loss: 2 * ONE, ..limits });
    day.order((C1, "last"), AAPL, Buy, (10, 9_000));
    day.close();
    let index = index(&dir);
    let found = ask(&index, 1);
    let text = found.to_string();
    for line in [
        &*format!(
            "Risk limit   order_notional: 10000.00000000 beyond 20000.00000000, -50.0 %; at sequence {large}, "
        ),
        &format!(
            "Risk limit   open_orders: 3 left of 4, 75.0 %; no limit in the end; at sequence {buys}, "
        ),
        &format!(
            "Risk limit   traded_notional: 3000.00000000 left of 15000.00000000, 20.0 %; at sequence {trades}, "
        ),
        &format!(
            "Risk limit   loss: 1.00000000 left of 1.00000000, 100.0 %; 2.00000000 in the end; at sequence {trades}, "
        ),
        "with the least percentage left of each risk limit\n  from            order_notional open_orders traded_notional     loss\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let json = found.json();
    let head_room = &json["head_room"];
    let first = &head_room["risk_limits"][0];
    assert_eq!(
        (first["key"].as_str(), first["limit"].as_str()),
        (Some("order_notional"), Some("20000.00000000"))
    );
    assert_eq!(first["least"]["percent"], -50.0);
    assert_eq!(first["least"]["at"]["sequence"], large);
    let rows = head_room["rows"].as_array().expect("rows");
    let row = rows.iter().rev().find(|row| row["risk"].is_object()).expect("a row with rooms");
    assert_eq!(row["risk"]["order_notional"]["left"], "19100.00000000", "{row}");
    assert_eq!(row["risk"].get("traded_notional"), None, "it did not trade");
}
