//! Replaces.
//!
//! | the new terms                               | the order                                     |
//! |---------------------------------------------|-----------------------------------------------|
//! | quantity not above what has traded          | is canceled                                   |
//! | same price, quantity smaller or the same    | keeps its place                               |
//! | same price, larger quantity                 | goes to the end of its queue                  |
//! | another price                               | trades if it now can, and rests at the end of |
//! |                                             | the queue at the new price with what is left  |
//!
//! It keeps its OrderID and takes the ClOrdID of the request; its old one stays refused like that
//! of a closed order. A replace that is refused leaves the order as it was.

use super::{
    Engine,
    entry::Terms,
    report::{Out, Request},
};
use crate::{
    ClOrdId, ExecType, OrdStatus, Sequence,
    book::key,
    closed::ClosedOrder,
    command::ReplaceOrder,
    domain::{ExecReason, RejectReason},
    event::Execution,
    hash::mix_name,
    instrument::{Decimal, Refusal},
    sink::EventSink,
};

impl Engine {
    /// Changes an order, or says why not.
    pub(super) fn replace_order<S: EventSink>(
        &mut self,
        command: &ReplaceOrder,
        out: &mut Out<'_, S>,
    ) {
        let request = Request::from(command);
        let Some(slot) = self.find_or_reject(&request, out) else { return };
        match self.judge_replace(command, slot) {
            Ok(terms) => self.replace(command, slot, &terms, out),
            Err(refusal) => out.emit(&self.rejected_for(&request, slot, refusal)),
        }
    }

    /// Judges new terms: the OrdType stays, the instrument trades, the ClOrdID is not in use,
    /// quantity and price are allowed. The first rule broken is reported.
    #[inline]
    fn judge_replace(&self, command: &ReplaceOrder, slot: u32) -> Result<Terms, Refusal> {
        let orders = &self.pools.orders;
        if command.ord_type != orders.hot(slot).ord_type {
            return Err(Refusal::plain(RejectReason::ReplaceChangesType));
        }
        let instrument = self.instrument_of(slot);
        instrument.must_trade()?;
        let session = command.origin.session;
        let name_hash = mix_name(session, &command.cl_ord_id);
        if self.names.find(orders, name_hash, session, &command.cl_ord_id).is_some() {
            return Err(Refusal::plain(RejectReason::DuplicateClOrdId));
        }
        let order_qty = instrument
            .judge_qty(Decimal { mantissa: command.order_qty, scale: command.qty_scale })?;
        let price = instrument
            .judge_price(Decimal { mantissa: command.price, scale: command.price_scale })?;
        Ok(Terms { price, ticks: instrument.ticks(price), order_qty, name_hash })
    }

    fn replace<S: EventSink>(
        &mut self,
        command: &ReplaceOrder,
        slot: u32,
        terms: &Terms,
        out: &mut Out<'_, S>,
    ) {
        let (hot, cold) = (self.pools.orders.hot(slot), self.pools.orders.cold(slot));
        let (side, orig_cl_ord_id, cum_qty) = (hot.side, cold.cl_ord_id, cold.cum_qty(hot));
        if terms.order_qty <= cum_qty {
            let price = self.price_of(slot);
            out.emit(&Execution {
                cl_ord_id: command.cl_ord_id,
                orig_cl_ord_id,
                ..self.canceled(slot, price, ExecReason::ReplacedBelowCumQty)
            });
            return self.end_resting(slot, price);
        }
        let sequence = out.last();
        let moves = self.change(slot, &command.cl_ord_id, terms, sequence);
        let status = self.pools.orders.status(slot);
        out.emit(&Execution {
            orig_cl_ord_id,
            ..self.execution(slot, terms.price, ExecType::Replaced, status)
        });
        if !moves {
            let hash = self.pools.orders.hash(slot, terms.ticks, terms.name_hash);
            self.orders_hash = self.orders_hash.wrapping_add(hash);
            return;
        }
        self.trade_up_to(slot, key(side.opposite(), terms.ticks), terms.price, out);
        if self.pools.orders.hot(slot).leaves_qty > 0 {
            self.rest(slot, terms.ticks, terms.name_hash);
        } else {
            self.unchain(slot);
            self.close(slot, terms.price, OrdStatus::Filled, terms.name_hash);
        }
    }

    /// Gives a resting order its new name, quantity and place, and takes it out of the state hash.
    /// Returns whether its price changes: then it is in no queue now.
    fn change(
        &mut self,
        slot: u32,
        cl_ord_id: &ClOrdId,
        terms: &Terms,
        sequence: Sequence,
    ) -> bool {
        let ticks = self.pools.ticks(slot);
        let old_name_hash = self.pools.orders.cold(slot).name_hash();
        let hash = self.pools.orders.hash(slot, ticks, old_name_hash);
        self.orders_hash = self.orders_hash.wrapping_sub(hash);
        self.rename(slot, old_name_hash, (cl_ord_id, terms.name_hash));

        let cum_qty = self.pools.orders.cold(slot).cum_qty(self.pools.orders.hot(slot));
        let leaves_qty = terms.order_qty - cum_qty;
        let moves = terms.ticks != ticks;
        let keeps_place = !moves && terms.order_qty <= self.pools.orders.cold(slot).order_qty;
        let instrument = self.pools.orders.cold(slot).instrument.0 as usize - 1;
        let book = &mut self.instruments[instrument].book;
        if moves {
            book.unlink(&mut self.pools, slot);
            self.pools.orders.hot_mut(slot).leaves_qty = leaves_qty;
        } else if keeps_place {
            self.pools.shrink(slot, leaves_qty);
        } else {
            book.requeue(&mut self.pools, slot, leaves_qty);
        }
        let cold = self.pools.orders.cold_mut(slot);
        cold.order_qty = terms.order_qty;
        if !keeps_place {
            cold.priority = sequence;
        }
        moves
    }

    /// Gives an order another ClOrdID; the one that it loses is remembered.
    fn rename(&mut self, slot: u32, old_name_hash: u64, new: (&ClOrdId, u64)) {
        let (price, status) = (self.price_of(slot), self.pools.orders.status(slot));
        let superseded = ClosedOrder::new(&self.pools.orders, slot, price, status, true);
        self.names.close(old_name_hash, slot, superseded);
        self.pools.orders.cold_mut(slot).cl_ord_id = *new.0;
        self.names.open(new.1, slot);
    }
}
