//! The engine again, as plainly as it can be written: lists that are searched from end to end, and
//! big integers. Slow, and meant to be obviously right.

#[path = "risk.rs"]
mod risk;

use std::collections::VecDeque;

use ironbook_engine::{
    CancelRejectTo, ClOrdId, Command, EngineLimits, Event, ExecType, InstrumentId,
    InstrumentStatus, LastLiquidity, OrdStatus, OrdType, OrderId, SessionId, Side, Stamp,
    TimeInForce, TradeId,
    command::{
        CancelOnDisconnect, CancelOrder, DefineInstrument, MassCancel, NewOrder, QueryOrder,
        ReplaceOrder, SetInstrumentStatus, SetTradingStatus,
    },
    domain::{DisconnectCause, DisconnectScope, ExecReason, RejectReason},
    event::{
        CancelRejected, Execution, MassCanceled, OrderRejected, StateHashed, StatusChanged,
        TradingStatusChanged,
    },
};
use risk::Risk;

/// An order, live or closed.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    pub execution: Execution,
    pub priority: u64,
}

/// A closed order, or a ClOrdID that its order lost.
#[derive(Clone, Copy, Debug)]
struct Closed {
    execution: Execution,
    superseded: bool,
}

/// A rule that a request broke, with limit and observed value.
type Refusal = (RejectReason, (i64, u8), (i64, u8));

pub struct Naive {
    limits: EngineLimits,
    instruments: Vec<(DefineInstrument, InstrumentStatus)>,
    sessions: u32,
    /// Live orders in the order of acceptance.
    pub live: Vec<Order>,
    closed: VecDeque<Closed>,
    free_slots: Vec<u32>,
    slots: u32,
    accepted: u64,
    trades: u64,
    commands: u64,
    now: u64,
    risk: Risk,
    events: Vec<Event>,
}

impl Naive {
    pub fn new(limits: EngineLimits) -> Self {
        Self {
            limits,
            instruments: Vec::new(),
            sessions: 0,
            live: Vec::new(),
            closed: VecDeque::new(),
            free_slots: Vec::new(),
            slots: 0,
            accepted: 0,
            trades: 0,
            commands: 0,
            now: 0,
            risk: Risk::default(),
            events: Vec::new(),
        }
    }

    /// The events of a command. A state hash is left 0.
    pub fn apply(&mut self, stamp: Stamp, command: &Command) -> Vec<Event> {
        self.now = stamp.sequence.0;
        self.risk.time = stamp.time.0;
        match command {
            Command::NewOrder(command) => self.new_order(command),
            Command::CancelOrder(command) => self.cancel(command),
            Command::ReplaceOrder(command) => self.replace(command),
            Command::MassCancel(command) => self.mass_cancel(command),
            Command::QueryOrder(command) => self.query(command),
            Command::CancelOnDisconnect(command) => self.cancel_on_disconnect(command),
            Command::Limits(limits) => self.set_limits(limits),
            Command::DefineInstrument(definition) => self.define(definition),
            Command::SetInstrumentStatus(command) => self.set_status(command),
            Command::SetRiskLimits(command) => {
                self.set_risk_limits(command.session, command.limits);
            }
            Command::SetTradingStatus(command) => {
                let SetTradingStatus { session, status, reason, .. } = *command;
                let changed = TradingStatusChanged { session, status, reserved: [0; 3], reason };
                self.set_trading_status(changed);
            }
            Command::DefineSession(definition) => {
                if definition.session.0 == self.sessions + 1
                    && self.sessions < self.limits.sessions_max
                {
                    self.sessions += 1;
                }
            }
        }
        self.settle_risk();
        self.commands += 1;
        let interval = u64::from(self.limits.state_hash_interval);
        if interval > 0 && self.commands.is_multiple_of(interval) {
            let (commands, live_orders) = (self.commands, self.live.len() as u64);
            self.events.push(StateHashed { state_hash: 0, commands, live_orders }.into());
        }
        std::mem::take(&mut self.events)
    }

    fn set_limits(&mut self, limits: &EngineLimits) {
        if limits.is_valid() && (self.commands == 0 || limits.only_grow(&self.limits)) {
            self.limits = *limits;
        }
    }

    fn define(&mut self, definition: &DefineInstrument) {
        let known = self.instruments.len() as u32;
        let same_symbol = |(other, _): &(DefineInstrument, _)| other.symbol == definition.symbol;
        if definition.is_valid()
            && definition.instrument.0 == known + 1
            && known < self.limits.instruments_max
            && !self.instruments.iter().any(same_symbol)
        {
            self.instruments.push((*definition, InstrumentStatus::Open));
        }
    }

    fn set_status(&mut self, command: &SetInstrumentStatus) {
        let Some(at) = self.at(command.instrument) else { return };
        if self.instruments[at].1 != command.status {
            self.instruments[at].1 = command.status;
            let (instrument, status) = (command.instrument, command.status);
            self.events.push(StatusChanged { instrument, status, reserved: [0; 3] }.into());
        }
    }

    fn at(&self, instrument: InstrumentId) -> Option<usize> {
        let at = (instrument.0 as usize).checked_sub(1)?;
        (at < self.instruments.len()).then_some(at)
    }

    // Judging.

    fn may_trade(&self, at: usize) -> Result<(), Refusal> {
        match self.instruments[at].1 {
            InstrumentStatus::Open => Ok(()),
            InstrumentStatus::Halted => Err(plain(RejectReason::InstrumentHalted)),
            InstrumentStatus::Closed => Err(plain(RejectReason::InstrumentClosed)),
        }
    }

    fn may_use(&self, session: SessionId, cl_ord_id: &ClOrdId) -> Result<(), Refusal> {
        let is_it = |e: &Execution| e.session == session && e.cl_ord_id == *cl_ord_id;
        let used = self.live.iter().any(|order| is_it(&order.execution))
            || self.closed.iter().any(|closed| is_it(&closed.execution));
        if used { Err(plain(RejectReason::DuplicateClOrdId)) } else { Ok(()) }
    }

    fn judge_qty(&self, at: usize, qty: (i64, u8)) -> Result<i64, Refusal> {
        let rules = &self.instruments[at].0;
        let reasons =
            [RejectReason::QtyNotPositive, RejectReason::QtyOffLot, RejectReason::QtyTooLarge];
        judge(qty, rules.qty_scale, rules.lot, rules.order_qty_max, reasons)
    }

    fn judge_price(&self, at: usize, price: (i64, u8)) -> Result<i64, Refusal> {
        let rules = &self.instruments[at].0;
        let reasons = [
            RejectReason::PriceNotPositive,
            RejectReason::PriceOffTick,
            RejectReason::PriceTooHigh,
        ];
        judge(price, rules.price_scale, rules.tick, rules.price_max, reasons)
    }

    fn judge_new(&self, command: &NewOrder) -> Result<(i64, i64), Refusal> {
        let session = command.origin.session;
        if session.0 == 0 || session.0 > self.sessions {
            let known = (i64::from(self.sessions), 0);
            return Err((RejectReason::UnknownSession, known, (session.0.into(), 0)));
        }
        let at = self.at(command.instrument).ok_or(plain(RejectReason::UnknownSymbol))?;
        self.may_trade(at)?;
        self.may_use(session, &command.cl_ord_id)?;
        let qty = self.judge_qty(at, (command.order_qty, command.qty_scale))?;
        let price = match command.ord_type {
            OrdType::Market => 0,
            OrdType::Limit => self.judge_price(at, (command.price, command.price_scale))?,
        };
        if self.live.len() as u32 == self.limits.orders_max {
            let max = i64::from(self.limits.orders_max);
            return Err((RejectReason::TooManyOrders, (max, 0), (max + 1, 0)));
        }
        Ok((price, qty))
    }

    // Orders.

    fn new_order(&mut self, command: &NewOrder) {
        let (price, qty) = match self.judge_new(command) {
            Ok(terms) => terms,
            Err(refusal) => return self.events.push(order_rejected(command, refusal).into()),
        };
        let slot = self.free_slots.last().copied().unwrap_or(self.slots);
        let definition = &self.instruments[command.instrument.0 as usize - 1].0;
        let execution = Execution {
            order_id: OrderId((self.accepted + 1) * (1 << 24) + u64::from(slot)),
            contra_order_id: OrderId::NONE,
            trade_id: TradeId(0),
            price,
            order_qty: qty,
            leaves_qty: qty,
            cum_qty: 0,
            last_px: 0,
            last_qty: 0,
            cum_notional: [0, 0],
            session: command.origin.session,
            instrument: command.instrument,
            exec_type: ExecType::New,
            ord_status: OrdStatus::New,
            side: command.side,
            ord_type: command.ord_type,
            time_in_force: command.time_in_force,
            price_scale: definition.price_scale,
            qty_scale: definition.qty_scale,
            reason: ExecReason::None,
            last_liquidity: LastLiquidity::None,
            reserved: [0; 3],
            account: command.account,
            cl_ord_id: command.cl_ord_id,
            other_id: ClOrdId::EMPTY,
        };
        self.note_reference(command.instrument);
        if let Err(refusal) = self.judge_risk(&execution, None) {
            return self.events.push(order_rejected(command, refusal).into());
        }
        self.accepted += 1;
        if self.free_slots.pop().is_none() {
            self.slots += 1;
        }
        self.events.push(execution.into());
        let mut order = Order { execution, priority: self.now };
        if command.time_in_force == TimeInForce::Fok && self.opposite_qty(&order) < qty as u128 {
            return self.cancel_order(order, ExecReason::FillOrKill);
        }
        self.trade(&mut order);
        if order.execution.leaves_qty == 0 {
            self.close(order.execution, false);
        } else if command.ord_type == OrdType::Market {
            self.cancel_order(order, ExecReason::NoLiquidity);
        } else if matches!(command.time_in_force, TimeInForce::Ioc | TimeInForce::Fok) {
            self.cancel_order(order, ExecReason::ImmediateOrCancel);
        } else {
            self.live.push(order);
        }
    }

    /// Whether an order may trade with another that rests.
    fn crosses(taker: &Execution, maker: &Execution) -> bool {
        taker.instrument == maker.instrument
            && taker.side != maker.side
            && match (taker.ord_type, taker.side) {
                (OrdType::Market, _) => true,
                (OrdType::Limit, Side::Buy) => taker.price >= maker.price,
                (OrdType::Limit, Side::Sell) => taker.price <= maker.price,
            }
    }

    fn opposite_qty(&self, taker: &Order) -> u128 {
        let makers = self.live.iter().map(|order| &order.execution);
        makers
            .filter(|maker| Self::crosses(&taker.execution, maker))
            .map(|maker| maker.leaves_qty as u128)
            .sum()
    }

    /// Trades an order that is not in `live`.
    fn trade(&mut self, taker: &mut Order) {
        while taker.execution.leaves_qty > 0 {
            let better = |maker: &Order| match maker.execution.side {
                Side::Sell => (maker.execution.price, maker.priority),
                Side::Buy => (-maker.execution.price, maker.priority),
            };
            let makers = self.live.iter().enumerate();
            let best = makers
                .filter(|(_, maker)| Self::crosses(&taker.execution, &maker.execution))
                .min_by_key(|(_, maker)| better(maker));
            let Some((at, _)) = best else { return };
            self.trades += 1;
            let price = self.live[at].execution.price;
            let qty = taker.execution.leaves_qty.min(self.live[at].execution.leaves_qty);
            let (taker_id, maker_id) = (taker.execution.order_id, self.live[at].execution.order_id);
            let added = LastLiquidity::Added;
            let maker = fill(&mut self.live[at], self.trades, price, qty, taker_id, added);
            let removed = LastLiquidity::Removed;
            let taken = fill(taker, self.trades, price, qty, maker_id, removed);
            self.events.extend([Event::from(maker), Event::from(taken)]);
            self.count(&maker, false);
            self.count(&taken, true);
            if self.live[at].execution.leaves_qty == 0 {
                let maker = self.live.remove(at);
                self.close(maker.execution, false);
            }
        }
    }

    /// Cancels an order that is not in `live`.
    fn cancel_order(&mut self, order: Order, reason: ExecReason) {
        self.events.push(Execution { reason, ..canceled(&order.execution) }.into());
        self.close(canceled(&order.execution), false);
    }

    /// Remembers an order and frees its slot, or remembers a name only.
    fn close(&mut self, execution: Execution, superseded: bool) {
        self.closed.push_back(Closed { execution, superseded });
        if self.closed.len() > self.limits.closed_orders_kept as usize {
            self.closed.pop_front();
        }
        if !superseded {
            self.free_slots.push((execution.order_id.0 % (1 << 24)) as u32);
        }
    }

    // Requests about orders.

    fn find(
        &self,
        session: SessionId,
        order_id: OrderId,
        name: &ClOrdId,
    ) -> (Option<usize>, Option<Execution>) {
        let is_it = |e: &Execution| {
            e.session == session
                && if order_id == OrderId::NONE {
                    e.cl_ord_id == *name
                } else {
                    e.order_id == order_id
                }
        };
        let live = self.live.iter().position(|order| is_it(&order.execution));
        // A closed order is found by its name, and is no other than the OrderID says.
        let closed = self.closed.iter().find(|c| {
            !c.superseded
                && c.execution.session == session
                && c.execution.cl_ord_id == *name
                && (order_id == OrderId::NONE || c.execution.order_id == order_id)
        });
        (live, closed.map(|closed| closed.execution))
    }

    fn find_or_reject(&mut self, request: &Request) -> Option<usize> {
        let (live, closed) = self.find(request.session, request.order_id, &request.orig_cl_ord_id);
        let (order, reason) = match (live, closed) {
            (Some(at), _) => {
                let order = self.live[at].execution;
                if order.side == request.side
                    && [InstrumentId::NONE, order.instrument].contains(&request.instrument)
                {
                    return Some(at);
                }
                (Some(order), RejectReason::OrderMismatch)
            }
            (None, Some(closed)) => (Some(closed), RejectReason::TooLateToCancel),
            (None, None) => (None, RejectReason::UnknownOrder),
        };
        self.events.push(request.rejected(order, plain(reason)).into());
        None
    }

    fn cancel(&mut self, command: &CancelOrder) {
        let request = Request {
            session: command.origin.session,
            order_id: command.order_id,
            instrument: command.instrument,
            side: command.side,
            cl_ord_id: command.cl_ord_id,
            orig_cl_ord_id: command.orig_cl_ord_id,
            response_to: CancelRejectTo::Cancel,
        };
        if let Some(at) = self.find_or_reject(&request) {
            self.cancel_on_request(at, command.cl_ord_id, ExecReason::None);
        }
    }

    fn cancel_on_request(&mut self, at: usize, cl_ord_id: ClOrdId, reason: ExecReason) {
        let order = self.live.remove(at).execution;
        let other_id = order.cl_ord_id;
        let report = Execution { reason, cl_ord_id, other_id, ..canceled(&order) };
        self.events.push(report.into());
        self.close(canceled(&order), false);
    }

    fn judge_replace(&self, command: &ReplaceOrder, at: usize) -> Result<(i64, i64), Refusal> {
        let order = self.live[at].execution;
        if command.ord_type != order.ord_type {
            return Err(plain(RejectReason::ReplaceChangesType));
        }
        let instrument = order.instrument.0 as usize - 1;
        self.may_trade(instrument)?;
        self.may_use(order.session, &command.cl_ord_id)?;
        let qty = self.judge_qty(instrument, (command.order_qty, command.qty_scale))?;
        let price = self.judge_price(instrument, (command.price, command.price_scale))?;
        Ok((price, qty))
    }

    fn replace(&mut self, command: &ReplaceOrder) {
        let request = Request {
            session: command.origin.session,
            order_id: command.order_id,
            instrument: command.instrument,
            side: command.side,
            cl_ord_id: command.cl_ord_id,
            orig_cl_ord_id: command.orig_cl_ord_id,
            response_to: CancelRejectTo::Replace,
        };
        let Some(at) = self.find_or_reject(&request) else { return };
        let order = self.live[at].execution;
        let (price, qty) = match self.judge_replace(command, at) {
            Ok(terms) => terms,
            Err(refusal) => {
                return self.events.push(request.rejected(Some(order), refusal).into());
            }
        };
        self.note_reference(order.instrument);
        let (order_qty, leaves_qty) = (qty, qty - order.cum_qty);
        let asked = Execution { price, order_qty, leaves_qty, ..order };
        if let Err(refusal) = self.judge_risk(&asked, Some(&order)) {
            return self.events.push(request.rejected(Some(order), refusal).into());
        }
        if qty <= order.cum_qty {
            let reason = ExecReason::ReplacedBelowCumQty;
            return self.cancel_on_request(at, command.cl_ord_id, reason);
        }
        self.close(order, true);
        let mut replaced = self.live[at];
        replaced.execution = Execution { cl_ord_id: command.cl_ord_id, ..asked };
        if price != order.price || qty > order.order_qty {
            replaced.priority = self.now;
        }
        let report = Execution {
            exec_type: ExecType::Replaced,
            other_id: order.cl_ord_id,
            ..replaced.execution
        };
        self.events.push(report.into());
        self.live.remove(at);
        self.trade(&mut replaced);
        if replaced.execution.leaves_qty == 0 {
            self.close(replaced.execution, false);
        } else {
            // OrderIDs grow with acceptance, and a replaced order keeps its own.
            let id = order.order_id;
            let at = self.live.iter().filter(|other| other.execution.order_id < id).count();
            self.live.insert(at, replaced);
        }
    }

    fn mass_cancel(&mut self, command: &MassCancel) {
        let session = command.origin.session;
        let covered: Vec<OrderId> = self
            .live
            .iter()
            .map(|order| &order.execution)
            .filter(|order| {
                order.session == session
                    && [InstrumentId::NONE, order.instrument].contains(&command.instrument)
                    && [0, order.side.code()].contains(&command.side.code())
            })
            .map(|order| order.order_id)
            .collect();
        let report = MassCanceled {
            session,
            instrument: command.instrument,
            affected: covered.len() as u32,
            request_type: command.request_type,
            reserved: [0; 3],
            cl_ord_id: command.cl_ord_id,
            reserved_tail: [0; 4],
        };
        self.events.push(report.into());
        for id in covered {
            let at = self.live.iter().position(|o| o.execution.order_id == id).unwrap();
            let order = self.live.remove(at);
            self.cancel_order(order, ExecReason::MassCancel);
        }
    }

    fn cancel_on_disconnect(&mut self, command: &CancelOnDisconnect) {
        let reason = match command.cause {
            DisconnectCause::Logout => ExecReason::LoggedOut,
            DisconnectCause::Disconnect => ExecReason::Disconnected,
            DisconnectCause::VenueDown => ExecReason::VenueDown,
        };
        let stays = |order: &Execution| {
            order.session != command.origin.session
                || command.scope == DisconnectScope::Day && order.time_in_force == TimeInForce::Gtc
        };
        let (stay, go) =
            std::mem::take(&mut self.live).into_iter().partition(|order| stays(&order.execution));
        self.live = stay;
        let go: Vec<Order> = go;
        go.into_iter().for_each(|order| self.cancel_order(order, reason));
    }

    fn query(&mut self, command: &QueryOrder) {
        let session = command.origin.session;
        let (live, closed) = self.find(session, command.order_id, &command.cl_ord_id);
        let order = live.map(|at| self.live[at].execution).or(closed);
        let reason = match order {
            None => RejectReason::UnknownOrder,
            Some(order)
                if order.side == command.side
                    && [InstrumentId::NONE, order.instrument].contains(&command.instrument) =>
            {
                let (exec_type, other_id) = (ExecType::OrderStatus, command.ord_status_req_id);
                return self.events.push(Execution { exec_type, other_id, ..order }.into());
            }
            Some(_) => RejectReason::OrderMismatch,
        };
        let report = OrderRejected {
            price: 0,
            order_qty: 0,
            limit: 0,
            observed: 0,
            session,
            instrument: command.instrument,
            exec_type: ExecType::OrderStatus,
            side: command.side,
            ord_type: OrdType::Limit,
            time_in_force: TimeInForce::Day,
            price_scale: 0,
            qty_scale: 0,
            reason,
            limit_scale: 0,
            observed_scale: 0,
            reserved: [0; 3],
            account: ironbook_engine::Account::EMPTY,
            cl_ord_id: command.cl_ord_id,
            unknown_symbol: command.unknown_symbol,
            ord_status_req_id: command.ord_status_req_id,
        };
        self.events.push(report.into());
    }
}

/// A cancel or replace request.
struct Request {
    session: SessionId,
    order_id: OrderId,
    instrument: InstrumentId,
    side: Side,
    cl_ord_id: ClOrdId,
    orig_cl_ord_id: ClOrdId,
    response_to: CancelRejectTo,
}

impl Request {
    fn rejected(&self, order: Option<Execution>, refusal: Refusal) -> CancelRejected {
        let (reason, limit, observed) = refusal;
        CancelRejected {
            order_id: order.map_or(OrderId::NONE, |order| order.order_id),
            limit: limit.0,
            observed: observed.0,
            session: self.session,
            instrument: order.map_or(InstrumentId::NONE, |order| order.instrument),
            ord_status: order.map_or(OrdStatus::Rejected, |order| order.ord_status),
            response_to: self.response_to,
            reason,
            limit_scale: limit.1,
            observed_scale: observed.1,
            reserved: [0; 3],
            account: order.map_or(ironbook_engine::Account::EMPTY, |order| order.account),
            cl_ord_id: self.cl_ord_id,
            orig_cl_ord_id: self.orig_cl_ord_id,
            reserved_tail: [0; 4],
        }
    }
}

fn plain(reason: RejectReason) -> Refusal {
    (reason, (0, 0), (0, 0))
}

fn canceled(order: &Execution) -> Execution {
    Execution {
        exec_type: ExecType::Canceled,
        ord_status: OrdStatus::Canceled,
        leaves_qty: 0,
        ..*order
    }
}

/// Trades some of an order and returns the report; the order itself keeps no trace of the trade but
/// its sums.
fn fill(
    order: &mut Order,
    trade: u64,
    price: i64,
    qty: i64,
    contra: OrderId,
    liquidity: LastLiquidity,
) -> Execution {
    let e = &mut order.execution;
    e.leaves_qty -= qty;
    e.cum_qty += qty;
    let sum = e.cum_notional() + price as u128 * qty as u128;
    e.cum_notional = [sum as u64, (sum >> 64) as u64];
    e.ord_status = if e.leaves_qty == 0 { OrdStatus::Filled } else { OrdStatus::PartiallyFilled };
    Execution {
        exec_type: ExecType::Trade,
        contra_order_id: contra,
        trade_id: TradeId(trade),
        last_px: price,
        last_qty: qty,
        last_liquidity: liquidity,
        ..*e
    }
}

fn judge(
    (mantissa, scale): (i64, u8),
    to: u8,
    step: i64,
    max: i64,
    [not_positive, off_step, too_large]: [RejectReason; 3],
) -> Result<i64, Refusal> {
    let observed = (mantissa, scale);
    if mantissa <= 0 {
        return Err((not_positive, (step, to), observed));
    }
    // As a fraction: numerator over a power of ten, far from the bounds of i128 for sane scales.
    let mut value = i128::from(mantissa);
    if scale > to {
        for _ in to..scale {
            if value % 10 != 0 {
                return Err((off_step, (step, to), observed));
            }
            value /= 10;
        }
    } else {
        value *= 10i128.pow((to - scale).into());
    }
    if value > i128::from(max) {
        return Err((too_large, (max, to), observed));
    }
    if value % i128::from(step) != 0 {
        return Err((off_step, (step, to), observed));
    }
    Ok(value as i64)
}

fn order_rejected(command: &NewOrder, (reason, limit, observed): Refusal) -> OrderRejected {
    OrderRejected {
        price: command.price,
        order_qty: command.order_qty,
        limit: limit.0,
        observed: observed.0,
        session: command.origin.session,
        instrument: command.instrument,
        exec_type: ExecType::Rejected,
        side: command.side,
        ord_type: command.ord_type,
        time_in_force: command.time_in_force,
        price_scale: command.price_scale,
        qty_scale: command.qty_scale,
        reason,
        limit_scale: limit.1,
        observed_scale: observed.1,
        reserved: [0; 3],
        account: command.account,
        cl_ord_id: command.cl_ord_id,
        unknown_symbol: command.unknown_symbol,
        ord_status_req_id: ClOrdId::EMPTY,
    }
}
