//! Risk limits again: every trade is kept, and everything is summed up whenever it is asked for.

use std::collections::HashMap;

use ironbook_engine::{
    Event, InstrumentId, OrdType, SessionId, Side, TradingStatus,
    command::{NOTIONAL_MAX, NOTIONAL_SCALE, RiskLimits},
    domain::{ExecReason, RejectReason},
    event::{Execution, SessionTripped, TradingStatusChanged},
};

use super::{Naive, Order, Refusal, plain};

/// A session with limits or a status.
pub struct Record {
    session: SessionId,
    limits: RiskLimits,
    status: TradingStatus,
    trip: Option<Refusal>,
    /// Time, notional and loss of each trade.
    trades: Vec<(u64, i128, i128)>,
}

#[derive(Default)]
pub struct Risk {
    records: Vec<Record>,
    last_px: HashMap<InstrumentId, i64>,
    /// Time of the command.
    pub time: u64,
    /// Twice the reference price before the command.
    reference: Option<i128>,
    /// Trips of the command, to be reported.
    trips: Vec<SessionTripped>,
}

impl Naive {
    fn record(&mut self, session: SessionId) -> Option<&mut Record> {
        if session.0 == 0 || session.0 > self.sessions {
            return None;
        }
        let records = &mut self.risk.records;
        let at = records.iter().position(|r| r.session == session).unwrap_or_else(|| {
            let (limits, status) = (RiskLimits::NONE, TradingStatus::Open);
            records.push(Record { session, limits, status, trip: None, trades: Vec::new() });
            records.len() - 1
        });
        Some(&mut records[at])
    }

    pub fn set_risk_limits(&mut self, session: SessionId, limits: RiskLimits) {
        if !limits.is_valid() {
            return;
        }
        let Some(record) = self.record(session) else { return };
        if record.limits.window_ms != limits.window_ms {
            record.trades.clear();
        }
        record.limits = limits;
    }

    pub fn set_trading_status(&mut self, changed: TradingStatusChanged) {
        let Some(record) = self.record(changed.session) else { return };
        if record.status == changed.status {
            return;
        }
        record.status = changed.status;
        if changed.status == TradingStatus::Open {
            record.trip = None;
            record.trades.clear();
        }
        self.events.push(changed.into());
    }

    /// Orders of a session that rest.
    fn of(&self, session: SessionId) -> impl Iterator<Item = &Order> {
        self.live.iter().filter(move |order| order.execution.session == session)
    }

    fn best(&self, instrument: InstrumentId, side: Side) -> Option<i64> {
        let orders = self.live.iter().map(|order| &order.execution);
        let prices = orders.filter(|e| e.instrument == instrument && e.side == side);
        let prices = prices.map(|e| e.price);
        if side == Side::Buy { prices.max() } else { prices.min() }
    }

    /// Notes the reference price before an order.
    pub fn note_reference(&mut self, instrument: InstrumentId) {
        let best = |side| self.best(instrument, side).map(i128::from);
        let last = self.risk.last_px.get(&instrument).map(|&last| 2 * i128::from(last));
        let middle = best(Side::Buy).zip(best(Side::Sell)).map(|(bid, offer)| bid + offer);
        self.risk.reference = last.or(middle);
    }

    /// Judges an order that would rest as this execution tells, in place of another if it replaces
    /// one.
    pub fn judge_risk(&self, new: &Execution, old: Option<&Execution>) -> Result<(), Refusal> {
        let Some(record) = self.risk.records.iter().find(|r| r.session == new.session) else {
            return Ok(());
        };
        if let Some(trip) = record.trip {
            return Err(trip);
        }
        if record.status == TradingStatus::CancelOnly {
            return Err(plain(RejectReason::SessionCancelOnly));
        }
        if new.leaves_qty <= 0 {
            return Ok(());
        }
        let limits = &record.limits;
        let market = self.best(new.instrument, new.side.opposite());
        let last = self.risk.last_px.get(&new.instrument).copied();
        let price = match new.ord_type {
            OrdType::Limit => new.price,
            OrdType::Market => market.or(last).unwrap_or(0),
        };
        let scale = new.price_scale + new.qty_scale;
        let order_notional = notional(price, new.order_qty, scale);
        if limits.order_notional > 0 && order_notional > limits.order_notional.into() {
            let reason = RejectReason::OrderNotionalTooLarge;
            return Err(too_large(reason, limits.order_notional, order_notional));
        }
        if let Some(reference) = self.risk.reference
            && new.ord_type == OrdType::Limit
            && limits.price_deviation > 0
        {
            let sign = if new.side == Side::Buy { 1 } else { -1 };
            let beyond = sign * (2 * i128::from(price) - reference) * 10_000;
            if beyond > reference * i128::from(limits.price_deviation) {
                let observed = ((beyond + reference - 1) / reference).min(NOTIONAL_MAX.into());
                let (limit, observed) = (limits.price_deviation.into(), observed as i64);
                return Err((RejectReason::PriceFarFromReference, (limit, 0), (observed, 0)));
            }
        }
        let live = self.of(new.session).count() as i64;
        if old.is_none() && limits.open_orders > 0 && live + 1 > limits.open_orders.into() {
            let limit = limits.open_orders.into();
            return Err((RejectReason::TooManyOpenOrders, (limit, 0), (live + 1, 0)));
        }
        let of = |e: &Execution| notional(e.price, e.leaves_qty, e.price_scale + e.qty_scale);
        let others = self.of(new.session).map(|order| of(&order.execution)).sum::<i128>();
        let (added, replaced) = (notional(price, new.leaves_qty, scale), old.map_or(0, of));
        let open = others - replaced + added;
        if limits.open_notional > 0 && open > limits.open_notional.into() && added > replaced {
            return Err(too_large(RejectReason::OpenNotionalTooLarge, limits.open_notional, open));
        }
        Ok(())
    }

    /// Counts a trade of an order.
    pub fn count(&mut self, report: &Execution, is_taker: bool) {
        if self.risk.records.is_empty() {
            return;
        }
        self.risk.last_px.insert(report.instrument, report.last_px);
        let Risk { time, reference, .. } = self.risk;
        let record = self.risk.records.iter_mut().find(|r| r.session == report.session);
        let Some(record) = record.filter(|r| r.limits.window_ms > 0) else { return };
        let scale = report.price_scale + report.qty_scale;
        let loss = match reference.filter(|_| is_taker) {
            None => 0,
            Some(reference) => {
                let sign = if report.side == Side::Buy { 1 } else { -1 };
                let worse = sign * (2 * i128::from(report.last_px) - reference);
                at_scale(worse * i128::from(report.last_qty), scale, 2)
            }
        };
        record.trades.push((time, notional(report.last_px, report.last_qty, scale), loss));
        // A window has 32 parts; what was traded in this part and in the 32 before it counts.
        let part = (u64::from(record.limits.window_ms) * 1_000_000).div_ceil(32);
        record.trades.retain(|trade| time / part - trade.0 / part <= 32);
        let trades = record.trades.iter();
        let (traded, lost) = trades.fold((0, 0), |sum, t| (sum.0 + t.1, sum.1 + t.2));
        if record.trip.is_some() {
            return;
        }
        let limits = record.limits;
        let (rule, limit, observed) =
            if limits.traded_notional > 0 && traded > limits.traded_notional.into() {
                (RejectReason::TradedNotionalTooLarge, limits.traded_notional, traded)
            } else if limits.loss > 0 && lost > limits.loss.into() {
                (RejectReason::LossTooLarge, limits.loss, lost)
            } else {
                return;
            };
        record.trip = Some(too_large(rule, limit, observed));
        record.status = TradingStatus::CancelOnly;
        self.risk.trips.push(SessionTripped {
            order_id: report.order_id,
            trade_id: report.trade_id,
            limit,
            observed: observed.min(NOTIONAL_MAX.into()) as i64,
            session: report.session,
            instrument: report.instrument,
            affected: 0,
            rule,
            scale: NOTIONAL_SCALE,
            reserved: [0; 2],
        });
    }

    /// Reports trips and cancels the orders of the sessions.
    pub fn settle_risk(&mut self) {
        for trip in std::mem::take(&mut self.risk.trips) {
            let is_its = |order: &Order| order.execution.session == trip.session;
            let (go, stay): (Vec<Order>, _) =
                std::mem::take(&mut self.live).into_iter().partition(is_its);
            self.live = stay;
            let affected = go.len() as u32;
            self.events.push(Event::from(SessionTripped { affected, ..trip }));
            go.into_iter().for_each(|order| self.cancel_order(order, ExecReason::SessionTripped));
        }
    }
}

fn too_large(reason: RejectReason, limit: i64, observed: i128) -> Refusal {
    let observed = observed.min(NOTIONAL_MAX.into()) as i64;
    (reason, (limit, NOTIONAL_SCALE), (observed, NOTIONAL_SCALE))
}

fn notional(price: i64, qty: i64, scale: u8) -> i128 {
    at_scale(i128::from(price) * i128::from(qty), scale, 1)
}

/// A value with so many decimals, divided, with eight and rounded up, between the bounds.
fn at_scale(value: i128, scale: u8, divisor: i128) -> i128 {
    let (mut value, mut divisor) = (value, divisor);
    for _ in scale..NOTIONAL_SCALE {
        value = value.saturating_mul(10);
    }
    for _ in NOTIONAL_SCALE..scale {
        divisor *= 10;
    }
    let down = value / divisor;
    let up = if value > 0 && value % divisor != 0 { down + 1 } else { down };
    up.clamp((-NOTIONAL_MAX).into(), NOTIONAL_MAX.into())
}
