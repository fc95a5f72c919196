//! Trades, and how orders come to rest and to their end.

use super::{Engine, report::Out};
use crate::{
    ExecType, LastLiquidity, OrdStatus, TradeId, closed::ClosedOrder, event::Execution,
    sink::EventSink,
};

/// A trade as both sides report it.
#[derive(Clone, Copy)]
struct Trade {
    id: TradeId,
    price: i64,
    qty: i64,
}

impl Engine {
    /// Whether the other side can fill an order whole at once, at keys up to `limit`.
    pub(super) fn can_fill(&self, slot: u32, limit: u64) -> bool {
        let hot = self.pools.orders.hot(slot);
        let book = &self.instrument_of(slot).book;
        book.can_fill(&self.pools, hot.side.opposite(), limit, hot.leaves_qty)
    }

    /// Trades an aggressor against the other side, best price first, at one price first come first
    /// served, until it is filled or no level is left at keys up to `limit`.
    #[inline]
    pub(super) fn trade_up_to<S: EventSink>(
        &mut self,
        taker: u32,
        limit: u64,
        taker_price: i64,
        out: &mut Out<'_, S>,
    ) {
        let maker_side = self.pools.orders.hot(taker).side.opposite();
        let instrument = self.pools.orders.cold(taker).instrument.0 as usize - 1;
        while let Some(level) = self.instruments[instrument].book.best_within(maker_side, limit) {
            self.trade(taker, taker_price, level, out);
            if self.pools.orders.hot(taker).leaves_qty == 0 {
                break;
            }
        }
    }

    /// Trades an aggressor against the first order of a level, at that order's price.
    fn trade<S: EventSink>(
        &mut self,
        taker: u32,
        taker_price: i64,
        level: u32,
        out: &mut Out<'_, S>,
    ) {
        let maker = self.pools.levels.get(level).head;
        let orders = &mut self.pools.orders;
        let qty = orders.hot(taker).leaves_qty.min(orders.hot(maker).leaves_qty);
        let ticks = self.pools.ticks(maker);
        let price = self.instrument_of(maker).price(ticks);
        self.trades += 1;
        let trade = Trade { id: TradeId(self.trades), price, qty };

        let name_hash = self.pools.orders.cold(maker).name_hash();
        let hash = self.pools.orders.hash(maker, ticks, name_hash);
        let maker_status = self.pools.orders.fill(maker, qty, price);
        let taker_status = self.pools.orders.fill(taker, qty, price);
        self.pools.levels.get_mut(level).subtract(qty);
        self.orders_hash = self.orders_hash.wrapping_sub(hash);

        self.report_trade(maker, taker, trade, (price, maker_status, LastLiquidity::Added), out);
        let removed = LastLiquidity::Removed;
        self.report_trade(taker, maker, trade, (taker_price, taker_status, removed), out);

        if maker_status == OrdStatus::Filled {
            self.unlink(maker);
            self.close(maker, price, OrdStatus::Filled, name_hash);
        } else {
            let hash = self.pools.orders.hash(maker, ticks, name_hash);
            self.orders_hash = self.orders_hash.wrapping_add(hash);
        }
    }

    /// Reports a trade to one side: its limit price, its status and its part in the trade.
    #[inline]
    fn report_trade<S: EventSink>(
        &self,
        slot: u32,
        contra: u32,
        trade: Trade,
        (price, ord_status, last_liquidity): (i64, OrdStatus, LastLiquidity),
        out: &mut Out<'_, S>,
    ) {
        out.emit(&Execution {
            contra_order_id: self.pools.orders.cold(contra).order_id,
            trade_id: trade.id,
            last_px: trade.price,
            last_qty: trade.qty,
            last_liquidity,
            ..self.execution(slot, price, ExecType::Trade, ord_status)
        });
    }

    /// Puts an order at the end of the queue at its price.
    #[inline]
    pub(super) fn rest(&mut self, slot: u32, ticks: u64, name_hash: u64) {
        let instrument = self.pools.orders.cold(slot).instrument.0 as usize - 1;
        let book = &mut self.instruments[instrument].book;
        book.rest(&mut self.pools, slot, ticks);
        assert!(!book.is_crossed(), "crossed book");
        let hash = self.pools.orders.hash(slot, ticks, name_hash);
        self.orders_hash = self.orders_hash.wrapping_add(hash);
    }

    /// Takes a resting order out of the book, out of the state hash and out of its session's chain.
    #[inline]
    pub(super) fn withdraw(&mut self, slot: u32, name_hash: u64) {
        let hash = self.pools.orders.hash(slot, self.pools.ticks(slot), name_hash);
        self.orders_hash = self.orders_hash.wrapping_sub(hash);
        self.unlink(slot);
    }

    /// Takes a resting order out of the book and out of its session's chain.
    #[inline]
    fn unlink(&mut self, slot: u32) {
        let instrument = self.pools.orders.cold(slot).instrument.0 as usize - 1;
        self.instruments[instrument].book.unlink(&mut self.pools, slot);
        self.unchain(slot);
    }

    /// Takes an order out of its session's chain.
    #[inline]
    pub(super) fn unchain(&mut self, slot: u32) {
        let session = self.pools.orders.cold(slot).session.0 as usize - 1;
        self.sessions[session].unlink(&mut self.pools.orders, slot);
    }

    /// Remembers an order that is in no queue any more, and frees its slot.
    #[inline]
    pub(super) fn close(&mut self, slot: u32, price: i64, ord_status: OrdStatus, name_hash: u64) {
        let closed = ClosedOrder::new(&self.pools.orders, slot, price, ord_status, false);
        self.names.close(name_hash, slot, closed);
        self.pools.orders.release(slot);
    }
}
