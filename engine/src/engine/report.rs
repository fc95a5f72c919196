//! Building events.

use super::Engine;
use crate::{
    CancelRejectTo, ClOrdId, ExecType, InstrumentId, LastLiquidity, OrdStatus, OrderId, Sequence,
    SessionId, Stamp, Timestamp, TradeId,
    book::Resting,
    closed::ClosedOrder,
    command::{CancelOrder, NewOrder, ReplaceOrder},
    domain::ExecReason,
    event::{CancelRejected, Event, EventRecord, Execution, OrderRejected},
    instrument::{Instrument, Refusal},
    order::{Details, Progress, RESTING_TYPE, time_in_force},
    sink::EventSink,
};

/// Where the events of one command go.
pub(super) struct Out<'a, S> {
    sink: &'a mut S,
    last: Sequence,
    time: Timestamp,
}

impl<'a, S: EventSink> Out<'a, S> {
    pub(super) fn new(stamp: Stamp, sink: &'a mut S) -> Self {
        Self { sink, last: stamp.sequence, time: stamp.time }
    }

    /// Reports an event under the next sequence.
    #[inline]
    pub(super) fn emit<E: EventRecord + Into<Event>>(&mut self, event: &E) {
        self.last.0 += 1;
        self.sink.emit(Stamp { sequence: self.last, time: self.time }, event);
    }

    /// Time of the command.
    #[inline]
    pub(super) fn time(&self) -> Timestamp {
        self.time
    }

    /// Sequence of the command or of its last event.
    #[inline]
    pub(super) fn last(&self) -> Sequence {
        self.last
    }

    /// Sequence that comes after the last event.
    #[inline]
    pub(super) fn next(&self) -> Sequence {
        Sequence(self.last.0 + 1)
    }
}

impl Engine {
    /// A report of a resting order that says nothing new; ExecType is for the caller to say.
    #[inline(always)]
    pub(super) fn report_of(&self, slot: u32) -> Execution {
        let (order, details) = (self.books.order(slot), self.orders.get(slot));
        let instrument = &self.instruments[details.instrument.0 as usize - 1];
        let (price, scales) = (instrument.price(order.ticks), Scales::of(instrument));
        let progress = self.orders.progress(slot, order.leaves_qty);
        resting_report(&order, details, &progress, price, scales)
    }

    /// The answer to a status request for a remembered order.
    pub(super) fn status_of_closed(&self, closed: &ClosedOrder) -> Execution {
        let definition = &self.instruments[closed.instrument.0 as usize - 1].definition;
        Execution {
            order_id: closed.order_id,
            contra_order_id: OrderId::NONE,
            trade_id: TradeId(0),
            price: closed.price,
            order_qty: closed.order_qty,
            leaves_qty: 0,
            cum_qty: closed.cum_qty,
            last_px: 0,
            last_qty: 0,
            cum_notional: closed.cum_notional,
            session: closed.session,
            instrument: closed.instrument,
            exec_type: ExecType::OrderStatus,
            ord_status: closed.ord_status,
            side: closed.side,
            ord_type: closed.ord_type,
            time_in_force: closed.time_in_force,
            price_scale: definition.price_scale,
            qty_scale: definition.qty_scale,
            reason: ExecReason::None,
            last_liquidity: LastLiquidity::None,
            reserved: [0; 3],
            account: closed.account,
            cl_ord_id: closed.cl_ord_id,
            other_id: ClOrdId::EMPTY,
        }
    }
}

/// Decimals of prices and quantities in an instrument's reports.
#[derive(Clone, Copy)]
pub(super) struct Scales {
    price: u8,
    qty: u8,
}

impl Scales {
    #[inline]
    pub(super) fn of(instrument: &Instrument) -> Self {
        let definition = &instrument.definition;
        Self { price: definition.price_scale, qty: definition.qty_scale }
    }
}

/// A report of an order that rests, or did until now, that says nothing new.
#[inline(always)]
pub(super) fn resting_report(
    order: &Resting,
    details: &Details,
    progress: &Progress,
    price: i64,
    scales: Scales,
) -> Execution {
    let cum_qty = progress.order_qty - order.leaves_qty;
    Execution {
        order_id: OrderId(order.id),
        contra_order_id: OrderId::NONE,
        trade_id: TradeId(0),
        price,
        order_qty: progress.order_qty,
        leaves_qty: order.leaves_qty,
        cum_qty,
        last_px: 0,
        last_qty: 0,
        cum_notional: progress.cum_notional,
        session: details.session,
        instrument: details.instrument,
        exec_type: ExecType::OrderStatus,
        ord_status: if cum_qty == 0 { OrdStatus::New } else { OrdStatus::PartiallyFilled },
        side: order.side,
        ord_type: RESTING_TYPE,
        time_in_force: time_in_force(order.tag),
        price_scale: scales.price,
        qty_scale: scales.qty,
        reason: ExecReason::None,
        last_liquidity: LastLiquidity::None,
        reserved: [0; 3],
        account: details.account,
        cl_ord_id: details.cl_ord_id,
        other_id: ClOrdId::EMPTY,
    }
}

impl Execution {
    /// Tells that what is left of the order is canceled.
    #[inline]
    pub(super) fn cancel(&mut self, reason: ExecReason) {
        self.exec_type = ExecType::Canceled;
        self.ord_status = OrdStatus::Canceled;
        self.leaves_qty = 0;
        self.reason = reason;
    }

    /// Tells of no trade any more.
    #[inline]
    pub(super) fn end_trade(&mut self) {
        self.contra_order_id = OrderId::NONE;
        self.trade_id = TradeId(0);
        (self.last_px, self.last_qty) = (0, 0);
        self.last_liquidity = LastLiquidity::None;
    }
}

/// The refusal of a new order.
pub(super) fn order_rejected(command: &NewOrder, refusal: Refusal) -> OrderRejected {
    OrderRejected {
        price: command.price,
        order_qty: command.order_qty,
        limit: refusal.limit.mantissa,
        observed: refusal.observed.mantissa,
        session: command.origin.session,
        instrument: command.instrument,
        exec_type: ExecType::Rejected,
        side: command.side,
        ord_type: command.ord_type,
        time_in_force: command.time_in_force,
        price_scale: command.price_scale,
        qty_scale: command.qty_scale,
        reason: refusal.reason,
        limit_scale: refusal.limit.scale,
        observed_scale: refusal.observed.scale,
        reserved: [0; 3],
        account: command.account,
        cl_ord_id: command.cl_ord_id,
        unknown_symbol: command.unknown_symbol,
        ord_status_req_id: ClOrdId::EMPTY,
    }
}

/// A cancel or replace request, as far as its refusal repeats it.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub session: SessionId,
    pub order_id: OrderId,
    pub instrument: InstrumentId,
    pub side: crate::Side,
    pub cl_ord_id: &'a ClOrdId,
    pub orig_cl_ord_id: &'a ClOrdId,
    pub response_to: CancelRejectTo,
}

impl<'a> From<&'a CancelOrder> for Request<'a> {
    #[inline]
    fn from(command: &'a CancelOrder) -> Self {
        Self {
            session: command.origin.session,
            order_id: command.order_id,
            instrument: command.instrument,
            side: command.side,
            cl_ord_id: &command.cl_ord_id,
            orig_cl_ord_id: &command.orig_cl_ord_id,
            response_to: CancelRejectTo::Cancel,
        }
    }
}

impl<'a> From<&'a ReplaceOrder> for Request<'a> {
    #[inline]
    fn from(command: &'a ReplaceOrder) -> Self {
        Self {
            session: command.origin.session,
            order_id: command.order_id,
            instrument: command.instrument,
            side: command.side,
            cl_ord_id: &command.cl_ord_id,
            orig_cl_ord_id: &command.orig_cl_ord_id,
            response_to: CancelRejectTo::Replace,
        }
    }
}

impl Request<'_> {
    /// The refusal of the request, which names no order.
    pub(super) fn rejected(&self, refusal: Refusal) -> CancelRejected {
        CancelRejected {
            order_id: OrderId::NONE,
            limit: refusal.limit.mantissa,
            observed: refusal.observed.mantissa,
            session: self.session,
            instrument: InstrumentId::NONE,
            ord_status: OrdStatus::Rejected,
            response_to: self.response_to,
            reason: refusal.reason,
            limit_scale: refusal.limit.scale,
            observed_scale: refusal.observed.scale,
            reserved: [0; 3],
            account: crate::Account::EMPTY,
            cl_ord_id: *self.cl_ord_id,
            orig_cl_ord_id: *self.orig_cl_ord_id,
            reserved_tail: [0; 4],
        }
    }
}
