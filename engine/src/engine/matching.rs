//! Trades, and how orders come to rest and to their end.

use super::{
    Engine,
    report::{Out, Scales, resting_report},
};
use crate::{
    ClOrdId, ExecType, LastLiquidity, OrdStatus, OrderId, Sequence, TradeId,
    book::{Fill, Resting},
    closed::{ClosedOrder, Name},
    event::Execution,
    order::{Details, Progress, add_notional},
    sink::EventSink,
};

impl Engine {
    /// Trades an aggressor against the other side, best price first, at one price first come first
    /// served, until it is filled or no level is left at prices up to `limit` (in ticks).
    ///
    /// `report` is the aggressor's last one; each trade brings it up to date and sends it.
    #[inline(always)]
    pub(super) fn trade<S: EventSink>(
        &mut self,
        limit: Option<u64>,
        report: &mut Execution,
        out: &mut Out<'_, S>,
    ) {
        let book = self.instruments[report.instrument.0 as usize - 1].book;
        if self.books.crosses(book, report.side.opposite(), limit) {
            self.trade_crossing(limit, report, out);
        }
    }

    /// The same where there is something to trade with. By itself, so that orders which rest at once
    /// don't carry along what the others need.
    #[inline(never)]
    fn trade_crossing<S: EventSink>(
        &mut self,
        limit: Option<u64>,
        report: &mut Execution,
        out: &mut Out<'_, S>,
    ) {
        let Self { books, orders, names, instruments, sessions, trades, orders_hash, risk, .. } =
            self;
        let instrument = &instruments[report.instrument.0 as usize - 1];
        let scales = Scales::of(instrument);
        let maker_side = report.side.opposite();
        let (book, qty) = (instrument.book, report.leaves_qty);
        let on_fill = |fill: Fill| {
            *trades += 1;
            let price = instrument.price(fill.ticks);
            let mut progress = orders.progress(fill.maker, fill.qty + fill.maker_leaves_qty);
            let details = orders.get(fill.maker);
            let name_hash = details.name_hash();
            let mut order = Resting {
                id: fill.maker_id,
                side: maker_side,
                ticks: fill.ticks,
                leaves_qty: fill.qty + fill.maker_leaves_qty,
                tag: fill.maker_tag,
            };
            let contribution = details.contribution(&order, &progress, name_hash);
            *orders_hash = orders_hash.wrapping_sub(contribution);
            add_notional(&mut progress.cum_notional, price, fill.qty);
            order.leaves_qty = fill.maker_leaves_qty;
            let filled = order.leaves_qty == 0;

            let maker = Execution {
                contra_order_id: report.order_id,
                trade_id: TradeId(*trades),
                exec_type: ExecType::Trade,
                ord_status: status_after(order.leaves_qty),
                last_px: price,
                last_qty: fill.qty,
                last_liquidity: LastLiquidity::Added,
                ..resting_report(&order, details, &progress, price, scales)
            };
            out.emit(&maker);

            report.contra_order_id = OrderId(fill.maker_id);
            report.trade_id = TradeId(*trades);
            report.exec_type = ExecType::Trade;
            report.leaves_qty -= fill.qty;
            report.cum_qty += fill.qty;
            report.ord_status = status_after(report.leaves_qty);
            report.last_px = price;
            report.last_qty = fill.qty;
            report.last_liquidity = LastLiquidity::Removed;
            add_notional(&mut report.cum_notional, price, fill.qty);
            out.emit(report);
            if risk.is_active() {
                risk.count(sessions, &maker, report);
            }

            if filled {
                sessions[maker.session.0 as usize - 1].unlink(orders, fill.maker);
                orders.end_progress(fill.maker);
                let status = OrdStatus::Filled;
                let closed = ClosedOrder::of(&maker, &maker.cl_ord_id, status, false);
                let tag = names.tag(closed.session, &closed.cl_ord_id);
                names.close(Name { hash: name_hash, tag }, fill.maker, closed);
            } else {
                let contribution = details.contribution(&order, &progress, name_hash);
                *orders_hash = orders_hash.wrapping_add(contribution);
                orders.keep_progress(fill.maker, progress);
            }
        };
        books.take(book, maker_side, limit, qty, on_fill);
        assert!(
            report.order_qty == report.cum_qty + report.leaves_qty && report.leaves_qty >= 0,
            "an order traded more than it had left"
        );
    }

    /// Puts what an order has left, by its report, at the end of the queue at its price, and keeps
    /// what it has traded.
    #[inline]
    pub(super) fn rest(&mut self, slot: u32, ticks: u64, name_hash: u64, report: &Execution) {
        let book = self.instruments[report.instrument.0 as usize - 1].book;
        let order = Resting {
            id: report.order_id.0,
            side: report.side,
            ticks,
            leaves_qty: report.leaves_qty,
            tag: report.time_in_force.code(),
        };
        self.books.rest(book, slot, order);
        assert!(!self.books.is_crossed(book), "crossed book");
        let progress = Progress::of(report);
        if report.cum_qty > 0 {
            self.orders.keep_progress(slot, progress);
        }
        let contribution = self.orders.get(slot).contribution(&order, &progress, name_hash);
        self.orders_hash = self.orders_hash.wrapping_add(contribution);
    }

    /// Gives an order that comes to rest for the first time its details, its name and its place in
    /// its session's chain.
    #[inline]
    pub(super) fn settle(
        &mut self,
        slot: u32,
        name_tag: u32,
        report: &Execution,
        priority: Sequence,
    ) {
        let Execution { session, instrument, account, cl_ord_id, .. } = *report;
        *self.orders.get_mut(slot) =
            Details::new(priority, session, instrument, account, cl_ord_id);
        self.names.open(name_tag, slot);
        self.sessions[report.session.0 as usize - 1].link(&mut self.orders, slot);
    }

    /// Takes a resting order out of its book, its session's chain and the state hash, frees its
    /// slot, and remembers it as canceled. `report` tells of its cancel, `cl_ord_id` is its name.
    #[inline]
    pub(super) fn end_resting(
        &mut self,
        slot: u32,
        order: &Resting,
        cl_ord_id: &ClOrdId,
        report: &Execution,
    ) {
        let (details, progress) =
            (self.orders.get(slot), self.orders.progress(slot, order.leaves_qty));
        let name = self.names.name(details.session, &details.cl_ord_id);
        let contribution = details.contribution(order, &progress, name.hash);
        self.orders_hash = self.orders_hash.wrapping_sub(contribution);
        self.orders.end_progress(slot);
        self.books.cancel(self.instruments[report.instrument.0 as usize - 1].book, slot);
        let session = &mut self.sessions[report.session.0 as usize - 1];
        session.unlink(&mut self.orders, slot);
        if self.risk.is_active() {
            self.risk.close(session, report, order.leaves_qty);
        }
        let closed = ClosedOrder::of(report, cl_ord_id, OrdStatus::Canceled, false);
        self.names.close(name, slot, closed);
    }
}

/// OrdStatus of an order that traded and has so much left.
#[inline]
fn status_after(leaves_qty: i64) -> OrdStatus {
    if leaves_qty == 0 { OrdStatus::Filled } else { OrdStatus::PartiallyFilled }
}
