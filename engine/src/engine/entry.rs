//! New orders.

use super::{
    Engine,
    report::{Out, order_rejected},
};
use crate::{
    ExecType, LastLiquidity, OrdStatus, OrdType, OrderId, SessionId, TimeInForce, TradeId,
    closed::{ClosedOrder, Name},
    command::NewOrder,
    domain::{ExecReason, RejectReason},
    event::Execution,
    instrument::{Decimal, Refusal},
    sink::EventSink,
};

/// What the engine makes of an order's price, quantity and name.
pub(super) struct Terms {
    /// Limit price in the instrument's scale; 0 for a market order.
    pub price: i64,
    /// The price in ticks.
    pub ticks: u64,
    /// OrderQty in the instrument's scale.
    pub order_qty: i64,
    pub name: Name,
}

impl Engine {
    /// Rejects an order, or accepts it, trades it, and rests or cancels what is left.
    pub(super) fn new_order<S: EventSink>(&mut self, command: &NewOrder, out: &mut Out<'_, S>) {
        match self.judge_new(command) {
            Ok(terms) if self.risk.is_active() => self.enter_watched(command, &terms, out),
            Ok(terms) => self.enter(command, &terms, out),
            Err(refusal) => out.emit(&order_rejected(command, refusal)),
        }
    }

    /// Judges a new order by these rules; the first that it breaks is reported:
    ///
    /// | # | rule                                      | reason            | limit, observed     |
    /// |---|-------------------------------------------|-------------------|---------------------|
    /// | 1 | the session is defined                    | UnknownSession    | sessions, session   |
    /// | 2 | the instrument is known                   | UnknownSymbol     |                     |
    /// | 3 | the instrument is open                    | InstrumentHalted, InstrumentClosed |    |
    /// | 4 | the session has no such ClOrdID in use    | DuplicateClOrdId  |                     |
    /// | 5 | the quantity is allowed                   | QtyNotPositive, QtyOffLot, QtyTooLarge |
    /// | 6 | a limit order's price is allowed          | PriceNotPositive, PriceOffTick, PriceTooHigh |
    /// | 7 | there is room for another live order      | TooManyOrders     | orders_max, one more |
    /// | 8 | there is an OrderID left                  | TooManyOrders     | [`OrderId::COUNT_MAX`], one more |
    ///
    /// A replace is judged by rules 3 to 6, too. Rule 7 covers orders that would not rest: an order
    /// has a slot while it trades. The rules of risk come after these (`risk.rs`).
    #[inline]
    pub(super) fn judge_new(&self, command: &NewOrder) -> Result<Terms, Refusal> {
        let session = command.origin.session;
        self.must_know(session)?;
        let instrument = self
            .instrument_at(command.instrument)
            .ok_or(Refusal::plain(RejectReason::UnknownSymbol))?;
        instrument.must_trade()?;
        let name = self.names.name(session, &command.cl_ord_id);
        if self.names.find(&self.orders, name.tag, session, &command.cl_ord_id).is_some() {
            return Err(Refusal::plain(RejectReason::DuplicateClOrdId));
        }
        let order_qty = instrument
            .judge_qty(Decimal { mantissa: command.order_qty, scale: command.qty_scale })?;
        let price = match command.ord_type {
            OrdType::Market => 0,
            OrdType::Limit => instrument
                .judge_price(Decimal { mantissa: command.price, scale: command.price_scale })?,
        };
        if self.books.is_full() {
            let max = u64::from(self.limits.orders_max);
            return Err(Refusal::count(RejectReason::TooManyOrders, max, max + 1));
        }
        if self.orders_accepted >= OrderId::COUNT_MAX {
            let max = OrderId::COUNT_MAX;
            return Err(Refusal::count(RejectReason::TooManyOrders, max, max + 1));
        }
        Ok(Terms { price, ticks: instrument.ticks(price), order_qty, name })
    }

    /// A refusal unless the session is defined.
    #[inline]
    fn must_know(&self, session: SessionId) -> Result<(), Refusal> {
        match self.session_at(session) {
            Some(_) => Ok(()),
            None => Err(Refusal::count(
                RejectReason::UnknownSession,
                self.sessions.len() as u64,
                session.0.into(),
            )),
        }
    }

    /// Accepts an order and carries it out.
    #[inline(always)]
    pub(super) fn enter<S: EventSink>(
        &mut self,
        command: &NewOrder,
        terms: &Terms,
        out: &mut Out<'_, S>,
    ) {
        let priority = out.last();
        let slot = self.books.reserve();
        self.orders.cover(slot);
        self.orders_accepted += 1;
        let order_id = OrderId::new(self.orders_accepted, slot);
        let mut report = self.accepted(command, terms, order_id);
        out.emit(&report);

        let limit = match command.ord_type {
            OrdType::Market => None,
            OrdType::Limit => Some(terms.ticks),
        };
        if command.time_in_force == TimeInForce::Fok && !self.can_fill(limit, &report) {
            return self.end_unrested(slot, terms, ExecReason::FillOrKill, &mut report, out);
        }
        self.trade(limit, &mut report, out);
        if report.leaves_qty == 0 {
            let filled = ClosedOrder::of(&report, &report.cl_ord_id, OrdStatus::Filled, false);
            self.names.close_unopened(terms.name, filled);
            return self.books.release(slot);
        }
        let reason = match (command.ord_type, command.time_in_force) {
            (OrdType::Market, _) => ExecReason::NoLiquidity,
            (OrdType::Limit, TimeInForce::Ioc | TimeInForce::Fok) => ExecReason::ImmediateOrCancel,
            (OrdType::Limit, TimeInForce::Day | TimeInForce::Gtc) => {
                self.settle(slot, terms.name.tag, &report, priority);
                return self.rest(slot, terms.ticks, terms.name.hash, &report);
            }
        };
        self.end_unrested(slot, terms, reason, &mut report, out);
    }

    /// The report that an order is accepted.
    #[inline(always)]
    fn accepted(&self, command: &NewOrder, terms: &Terms, order_id: OrderId) -> Execution {
        let definition = &self.instruments[command.instrument.0 as usize - 1].definition;
        Execution {
            order_id,
            contra_order_id: OrderId::NONE,
            trade_id: TradeId(0),
            price: terms.price,
            order_qty: terms.order_qty,
            leaves_qty: terms.order_qty,
            cum_qty: 0,
            last_px: 0,
            last_qty: 0,
            cum_notional: [0; 2],
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
            other_id: crate::ClOrdId::EMPTY,
        }
    }

    /// Whether the other side can fill an order whole at once, at prices up to `limit`.
    fn can_fill(&self, limit: Option<u64>, report: &Execution) -> bool {
        let book = self.instruments[report.instrument.0 as usize - 1].book;
        self.books.can_fill(book, report.side.opposite(), limit, report.leaves_qty)
    }

    /// Cancels what is left of an order that never rested.
    fn end_unrested<S: EventSink>(
        &mut self,
        slot: u32,
        terms: &Terms,
        reason: ExecReason,
        report: &mut Execution,
        out: &mut Out<'_, S>,
    ) {
        report.end_trade();
        report.cancel(reason);
        out.emit(report);
        let canceled = ClosedOrder::of(report, &report.cl_ord_id, OrdStatus::Canceled, false);
        self.names.close_unopened(terms.name, canceled);
        self.books.release(slot);
    }
}
