//! New orders.

use super::{
    Engine,
    report::{Out, order_rejected},
};
use crate::{
    ExecType, OrdStatus, OrdType, OrderId, SessionId, TimeInForce,
    book::{NO_LIMIT, key},
    command::NewOrder,
    domain::{ExecReason, RejectReason},
    hash::mix_name,
    instrument::{Decimal, Refusal},
    order::{Cold, Hot, NIL},
    sink::EventSink,
};

/// What the engine makes of an order's price and quantity, and the hash of its name.
pub(super) struct Terms {
    /// Limit price in the instrument's scale; 0 for a market order.
    pub price: i64,
    /// The price in ticks.
    pub ticks: u64,
    /// OrderQty in the instrument's scale.
    pub order_qty: i64,
    pub name_hash: u64,
}

impl Engine {
    /// Rejects an order, or accepts it, trades it, and rests or cancels what is left.
    pub(super) fn new_order<S: EventSink>(&mut self, command: &NewOrder, out: &mut Out<'_, S>) {
        match self.judge_new(command) {
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
    ///
    /// A replace is judged by rules 3 to 6, too. The last rule covers orders that would not rest:
    /// an order has a slot while it trades.
    #[inline]
    fn judge_new(&self, command: &NewOrder) -> Result<Terms, Refusal> {
        let session = command.origin.session;
        self.must_know(session)?;
        let instrument = self
            .instrument_at(command.instrument)
            .ok_or(Refusal::plain(RejectReason::UnknownSymbol))?;
        instrument.must_trade()?;
        let name_hash = mix_name(session, &command.cl_ord_id);
        if self.names.find(&self.pools.orders, name_hash, session, &command.cl_ord_id).is_some() {
            return Err(Refusal::plain(RejectReason::DuplicateClOrdId));
        }
        let order_qty = instrument
            .judge_qty(Decimal { mantissa: command.order_qty, scale: command.qty_scale })?;
        let price = match command.ord_type {
            OrdType::Market => 0,
            OrdType::Limit => instrument
                .judge_price(Decimal { mantissa: command.price, scale: command.price_scale })?,
        };
        if self.pools.orders.is_full() {
            let max = u64::from(self.limits.orders_max);
            return Err(Refusal::count(RejectReason::TooManyOrders, max, max + 1));
        }
        Ok(Terms { price, ticks: instrument.ticks(price), order_qty, name_hash })
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
    #[inline]
    fn enter<S: EventSink>(&mut self, command: &NewOrder, terms: &Terms, out: &mut Out<'_, S>) {
        let slot = self.accept(command, terms, out);
        out.emit(&self.execution(slot, terms.price, ExecType::New, OrdStatus::New));

        let limit = match command.ord_type {
            OrdType::Market => NO_LIMIT,
            OrdType::Limit => key(command.side.opposite(), terms.ticks),
        };
        if command.time_in_force == TimeInForce::Fok && !self.can_fill(slot, limit) {
            return self.cancel_rest(slot, terms, ExecReason::FillOrKill, out);
        }
        self.trade_up_to(slot, limit, terms.price, out);
        if self.pools.orders.hot(slot).leaves_qty == 0 {
            return self.close(slot, terms.price, OrdStatus::Filled, terms.name_hash);
        }
        match (command.ord_type, command.time_in_force) {
            (OrdType::Market, _) => self.cancel_rest(slot, terms, ExecReason::NoLiquidity, out),
            (OrdType::Limit, TimeInForce::Day | TimeInForce::Gtc) => {
                self.rest(slot, terms.ticks, terms.name_hash);
                let at = command.origin.session.0 as usize - 1;
                self.sessions[at].link(&mut self.pools.orders, slot);
            }
            (OrdType::Limit, TimeInForce::Ioc | TimeInForce::Fok) => {
                self.cancel_rest(slot, terms, ExecReason::ImmediateOrCancel, out);
            }
        }
    }

    /// Gives an order its id, its slot and its name.
    #[inline(always)]
    fn accept<S: EventSink>(&mut self, command: &NewOrder, terms: &Terms, out: &Out<'_, S>) -> u32 {
        self.orders_accepted += 1;
        let hot = Hot {
            leaves_qty: terms.order_qty,
            prev: NIL,
            next: NIL,
            level: NIL,
            session_prev: NIL,
            session_next: NIL,
            side: command.side,
            ord_type: command.ord_type,
            time_in_force: command.time_in_force,
        };
        let cold = Cold {
            order_id: OrderId::new(self.orders_accepted, self.pools.orders.next_slot()),
            priority: out.last(),
            order_qty: terms.order_qty,
            cum_notional: [0; 2],
            session: command.origin.session,
            instrument: command.instrument,
            account: command.account,
            cl_ord_id: command.cl_ord_id,
        };
        let slot = self.pools.orders.put(hot, cold);
        self.names.open(terms.name_hash, slot);
        slot
    }

    /// Cancels what is left of an order that never rested.
    fn cancel_rest<S: EventSink>(
        &mut self,
        slot: u32,
        terms: &Terms,
        reason: ExecReason,
        out: &mut Out<'_, S>,
    ) {
        out.emit(&self.canceled(slot, terms.price, reason));
        self.close(slot, terms.price, OrdStatus::Canceled, terms.name_hash);
    }
}
