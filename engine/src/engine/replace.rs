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
    book::Resting,
    closed::ClosedOrder,
    command::ReplaceOrder,
    domain::{ExecReason, RejectReason},
    event::Execution,
    instrument::{Decimal, Refusal},
    order::{Progress, RESTING_TYPE},
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
            Ok(terms) if self.risk.is_active() => self.replace_watched(command, slot, &terms, out),
            Ok(terms) => self.replace(command, slot, &terms, out),
            Err(refusal) => out.emit(&self.rejected_for(&request, slot, refusal)),
        }
    }

    /// Judges new terms: the OrdType stays, the instrument trades, the ClOrdID is not in use,
    /// quantity and price are allowed. The first rule broken is reported.
    #[inline]
    pub(super) fn judge_replace(
        &self,
        command: &ReplaceOrder,
        slot: u32,
    ) -> Result<Terms, Refusal> {
        if command.ord_type != RESTING_TYPE {
            return Err(Refusal::plain(RejectReason::ReplaceChangesType));
        }
        let instrument = self.instrument_of(slot);
        instrument.must_trade()?;
        let session = command.origin.session;
        let name = self.names.name(session, &command.cl_ord_id);
        if self.names.find(&self.orders, name.tag, session, &command.cl_ord_id).is_some() {
            return Err(Refusal::plain(RejectReason::DuplicateClOrdId));
        }
        let order_qty = instrument
            .judge_qty(Decimal { mantissa: command.order_qty, scale: command.qty_scale })?;
        let price = instrument
            .judge_price(Decimal { mantissa: command.price, scale: command.price_scale })?;
        Ok(Terms { price, ticks: instrument.ticks(price), order_qty, name })
    }

    #[inline(always)]
    pub(super) fn replace<S: EventSink>(
        &mut self,
        command: &ReplaceOrder,
        slot: u32,
        terms: &Terms,
        out: &mut Out<'_, S>,
    ) {
        let order = self.books.order(slot);
        let mut report = self.report_of(slot);
        let old_name = report.cl_ord_id;
        if terms.order_qty <= report.cum_qty {
            (report.cl_ord_id, report.other_id) = (command.cl_ord_id, old_name);
            report.cancel(ExecReason::ReplacedBelowCumQty);
            out.emit(&report);
            return self.end_resting(slot, &order, &old_name, &report);
        }
        self.rename(slot, &order, &report, (&command.cl_ord_id, terms.name.tag));
        let moves = self.change(slot, &order, terms, out.last());

        report.exec_type = ExecType::Replaced;
        (report.cl_ord_id, report.other_id) = (command.cl_ord_id, old_name);
        (report.price, report.order_qty) = (terms.price, terms.order_qty);
        report.leaves_qty = terms.order_qty - report.cum_qty;
        out.emit(&report);
        report.other_id = ClOrdId::EMPTY;
        if !moves {
            let order = self.books.order(slot);
            let progress = self.orders.progress(slot, order.leaves_qty);
            let contribution =
                self.orders.get(slot).contribution(&order, &progress, terms.name.hash);
            self.orders_hash = self.orders_hash.wrapping_add(contribution);
            return;
        }
        self.trade(Some(terms.ticks), &mut report, out);
        if report.leaves_qty > 0 {
            return self.rest(slot, terms.ticks, terms.name.hash, &report);
        }
        self.sessions[report.session.0 as usize - 1].unlink(&mut self.orders, slot);
        self.orders.end_progress(slot);
        let filled = ClosedOrder::of(&report, &report.cl_ord_id, OrdStatus::Filled, false);
        self.names.close(terms.name, slot, filled);
        self.books.release(slot);
    }

    /// Gives a resting order another ClOrdID and takes it out of the state hash; the one that it
    /// loses is remembered. `report` tells of the order as it was.
    fn rename(&mut self, slot: u32, order: &Resting, report: &Execution, new: (&ClOrdId, u32)) {
        let progress = self.orders.progress(slot, order.leaves_qty);
        let details = self.orders.get_mut(slot);
        let old_name = self.names.name(details.session, &details.cl_ord_id);
        let contribution = details.contribution(order, &progress, old_name.hash);
        self.orders_hash = self.orders_hash.wrapping_sub(contribution);
        details.cl_ord_id = *new.0;
        let old = ClosedOrder::of(report, &report.cl_ord_id, report.ord_status, true);
        self.names.close(old_name, slot, old);
        self.names.open(new.1, slot);
    }

    /// Gives a resting order its new quantity and place. Returns whether its price changes: then it
    /// is in no queue now.
    fn change(&mut self, slot: u32, order: &Resting, terms: &Terms, priority: Sequence) -> bool {
        let book = self.instrument_of(slot).book;
        let before = self.orders.progress(slot, order.leaves_qty);
        let cum_qty = before.order_qty - order.leaves_qty;
        let leaves_qty = terms.order_qty - cum_qty;
        let moves = terms.ticks != order.ticks;
        let keeps_place = !moves && terms.order_qty <= before.order_qty;
        if cum_qty > 0 {
            self.orders.keep_progress(slot, Progress { order_qty: terms.order_qty, ..before });
        }
        if keeps_place {
            self.books.shrink(slot, leaves_qty);
            return false;
        }
        self.orders.get_mut(slot).priority = priority;
        if moves {
            self.books.remove(book, slot);
        } else {
            self.books.requeue(slot, leaves_qty);
        }
        moves
    }
}
