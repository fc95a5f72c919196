//! Building events.

use super::Engine;
use crate::{
    CancelRejectTo, ClOrdId, ExecType, InstrumentId, LastLiquidity, OrdStatus, OrderId, Sequence,
    SessionId, Stamp, Timestamp, TradeId,
    closed::ClosedOrder,
    command::{CancelOrder, NewOrder, ReplaceOrder},
    domain::ExecReason,
    event::{CancelRejected, Event, EventRecord, Execution, OrderRejected},
    instrument::Refusal,
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
    /// A report of a live order that answers no request and is no trade; `price` is its limit.
    #[inline(always)]
    pub(super) fn execution(
        &self,
        slot: u32,
        price: i64,
        exec_type: ExecType,
        ord_status: OrdStatus,
    ) -> Execution {
        let (hot, cold) = (self.pools.orders.hot(slot), self.pools.orders.cold(slot));
        let definition = &self.instrument_of(slot).definition;
        Execution {
            order_id: cold.order_id,
            contra_order_id: OrderId::NONE,
            trade_id: TradeId(0),
            price,
            order_qty: cold.order_qty,
            leaves_qty: hot.leaves_qty,
            cum_qty: cold.cum_qty(hot),
            last_px: 0,
            last_qty: 0,
            cum_notional: cold.cum_notional,
            session: cold.session,
            instrument: cold.instrument,
            exec_type,
            ord_status,
            side: hot.side,
            ord_type: hot.ord_type,
            time_in_force: hot.time_in_force,
            price_scale: definition.price_scale,
            qty_scale: definition.qty_scale,
            reason: ExecReason::None,
            last_liquidity: LastLiquidity::None,
            reserved: [0; 3],
            account: cold.account,
            cl_ord_id: cold.cl_ord_id,
            orig_cl_ord_id: ClOrdId::EMPTY,
        }
    }

    /// A report that what is left of a live order is canceled.
    #[inline(always)]
    pub(super) fn canceled(&self, slot: u32, price: i64, reason: ExecReason) -> Execution {
        Execution {
            leaves_qty: 0,
            reason,
            ..self.execution(slot, price, ExecType::Canceled, OrdStatus::Canceled)
        }
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
            orig_cl_ord_id: ClOrdId::EMPTY,
        }
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
        reserved_tail: [0; 4],
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
