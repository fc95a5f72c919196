//! The book of one instrument: two sides of price levels, each a queue of orders.

mod level;
mod trie;

pub(crate) use level::{Level, Levels};
use trie::{Pages, PriceIndex};

use crate::{Side, command::TICKS_MAX, order::Orders};

/// What the books of all instruments share.
#[derive(Debug)]
pub(crate) struct Pools {
    pub orders: Orders,
    pub levels: Levels,
    pages: Pages,
}

impl Pools {
    /// Room for `orders_max` orders.
    pub(crate) fn new(orders_max: u32) -> Self {
        Self {
            orders: Orders::new(orders_max),
            levels: Levels::new(orders_max),
            pages: Pages::new(orders_max),
        }
    }

    /// Makes room for `orders_max` orders, no fewer than before.
    pub(crate) fn grow(&mut self, orders_max: u32) {
        self.orders.grow(orders_max);
        self.levels.grow(orders_max);
    }

    /// Lowers what a resting order has left; it keeps its place.
    #[inline]
    pub(crate) fn shrink(&mut self, slot: u32, leaves_qty: i64) {
        let hot = self.orders.hot_mut(slot);
        let less = hot.leaves_qty - leaves_qty;
        assert!(less >= 0 && leaves_qty > 0);
        hot.leaves_qty = leaves_qty;
        let level = hot.level;
        self.levels.get_mut(level).subtract(less);
    }

    /// Price of a resting order in ticks.
    #[inline]
    pub(crate) fn ticks(&self, slot: u32) -> u64 {
        let hot = self.orders.hot(slot);
        key(hot.side, self.levels.get(hot.level).key)
    }

    /// Bytes reserved.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.orders.memory_bytes() + self.levels.memory_bytes() + self.pages.memory_bytes()
    }
}

/// Where a side's orders are. An index orders keys so that smaller is better on both sides; a buy's
/// key is its price in ticks with all bits flipped, a sell's is the price itself. The same step
/// leads back.
#[inline]
pub(crate) fn key(side: Side, ticks: u64) -> u64 {
    ticks ^ [0, TICKS_MAX as u64][side as usize & 1]
}

/// A key that no level is worse than: the limit of a market order.
pub(crate) const NO_LIMIT: u64 = u64::MAX;

/// The orders of one instrument.
#[derive(Debug)]
pub(crate) struct Book {
    /// Sells, buys.
    sides: [PriceIndex; 2],
}

impl Book {
    /// A book without orders.
    pub(crate) const EMPTY: Self = Self { sides: [PriceIndex::EMPTY, PriceIndex::EMPTY] };

    /// The best level of a side that is no worse than the key `limit`.
    #[inline]
    pub(crate) fn best_within(&self, side: Side, limit: u64) -> Option<u32> {
        self.side(side).best_within(limit)
    }

    /// Whether `qty` can trade against a side at once at keys up to `limit`. Looks at levels only.
    pub(crate) fn can_fill(&self, pools: &Pools, side: Side, limit: u64, qty: i64) -> bool {
        let mut found = 0;
        for level in self.levels(pools, side) {
            if level.key > limit {
                return false;
            }
            found += level.total();
            if found >= qty as u128 {
                return true;
            }
        }
        false
    }

    /// Puts an order at the end of the queue at its price.
    #[inline]
    pub(crate) fn rest(&mut self, pools: &mut Pools, slot: u32, ticks: u64) {
        let side = pools.orders.hot(slot).side;
        let key = key(side, ticks);
        let index = &mut self.sides[side as usize & 1];
        let level = index.find(&pools.pages, key).unwrap_or_else(|| {
            let level = pools.levels.open(key);
            index.insert(&mut pools.pages, key, level);
            level
        });
        pools.levels.get_mut(level).push(level, &mut pools.orders, slot);
    }

    /// Takes an order out of its queue, and its level out of the book if it was the last one.
    #[inline]
    pub(crate) fn unlink(&mut self, pools: &mut Pools, slot: u32) {
        let hot = pools.orders.hot(slot);
        let (side, number) = (hot.side, hot.level);
        let level = pools.levels.get_mut(number);
        level.unlink(&mut pools.orders, slot);
        if level.count == 0 {
            let key = level.key;
            self.sides[side as usize & 1].remove(&mut pools.pages, key);
            pools.levels.close(number);
        }
    }

    /// Sends an order to the end of its own queue with another quantity left.
    #[inline]
    pub(crate) fn requeue(&mut self, pools: &mut Pools, slot: u32, leaves_qty: i64) {
        let number = pools.orders.hot(slot).level;
        let level = pools.levels.get_mut(number);
        level.unlink(&mut pools.orders, slot);
        pools.orders.hot_mut(slot).leaves_qty = leaves_qty;
        level.push(number, &mut pools.orders, slot);
    }

    /// Levels of a side, best first.
    pub(crate) fn levels<'a>(
        &'a self,
        pools: &'a Pools,
        side: Side,
    ) -> impl Iterator<Item = &'a Level> + use<'a> {
        let index = self.side(side);
        let level = |number: u32| pools.levels.get(number);
        std::iter::successors(index.best_within(NO_LIMIT).map(level), move |before| {
            index.next_after(&pools.pages, before.key).map(level)
        })
    }

    /// Whether the best buy is at or above the best sell.
    #[inline]
    pub(crate) fn is_crossed(&self) -> bool {
        let [sells, buys] = &self.sides;
        // The key of an empty side is above all prices; flipped, it is below none, so it needs a
        // look of its own.
        buys.best_key() != u64::MAX && key(Side::Buy, buys.best_key()) >= sells.best_key()
    }

    #[inline]
    fn side(&self, side: Side) -> &PriceIndex {
        &self.sides[side as usize & 1]
    }
}
