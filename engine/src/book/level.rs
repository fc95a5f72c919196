//! Price levels: a queue of orders at one price.

use crate::order::{NIL, Orders};

/// One price of one side.
///
/// ```text
/// 0 key   8 total_low   16 total_high   20 count   24 head   28 tail
/// ```
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Level {
    /// Price as the index of its side orders it: smaller is better.
    pub key: u64,
    /// Low half of the sum of leaves_qty of its orders. 2^24 orders of 10^18 need 84 bits.
    total_low: u64,
    total_high: u32,
    /// Orders in the queue; above zero.
    pub count: u32,
    /// The order that trades first; in a free slot, the next free slot.
    pub head: u32,
    /// The order that trades last.
    pub tail: u32,
}

const _: () = assert!(size_of::<Level>() == 32);

impl Level {
    /// Sum of leaves_qty of the orders.
    #[inline]
    pub(crate) fn total(&self) -> u128 {
        u128::from(self.total_high) << 64 | u128::from(self.total_low)
    }

    #[inline]
    pub(crate) fn add(&mut self, qty: i64) {
        let (low, carry) = self.total_low.overflowing_add(qty as u64);
        self.total_low = low;
        self.total_high += u32::from(carry);
    }

    #[inline]
    pub(crate) fn subtract(&mut self, qty: i64) {
        let (low, borrow) = self.total_low.overflowing_sub(qty as u64);
        assert!(self.total_high >= u32::from(borrow), "a level's total went below zero");
        self.total_low = low;
        self.total_high -= u32::from(borrow);
    }

    /// Puts an order, which is in this level's slot `level`, at the end of the queue.
    #[inline]
    pub(crate) fn push(&mut self, level: u32, orders: &mut Orders, slot: u32) {
        let hot = orders.hot_mut(slot);
        hot.level = level;
        hot.prev = self.tail;
        hot.next = NIL;
        let qty = hot.leaves_qty;
        match self.tail {
            NIL => self.head = slot,
            tail => orders.hot_mut(tail).next = slot,
        }
        self.tail = slot;
        self.count += 1;
        self.add(qty);
    }

    /// Takes an order out of the queue.
    #[inline]
    pub(crate) fn unlink(&mut self, orders: &mut Orders, slot: u32) {
        let hot = *orders.hot(slot);
        match hot.prev {
            NIL => self.head = hot.next,
            prev => orders.hot_mut(prev).next = hot.next,
        }
        match hot.next {
            NIL => self.tail = hot.prev,
            next => orders.hot_mut(next).prev = hot.prev,
        }
        self.count -= 1;
        self.subtract(hot.leaves_qty);
    }
}

/// The slab of levels of all books.
#[derive(Debug)]
pub(crate) struct Levels {
    levels: Vec<Level>,
    free: u32,
}

impl Levels {
    /// Room for `max` levels; there are never more levels than orders.
    pub(crate) fn new(max: u32) -> Self {
        Self { levels: Vec::with_capacity(max as usize), free: NIL }
    }

    /// Makes room for `max` levels.
    pub(crate) fn grow(&mut self, max: u32) {
        self.levels.reserve_exact(max as usize - self.levels.len());
    }

    /// A new level without orders.
    #[inline]
    pub(crate) fn open(&mut self, key: u64) -> u32 {
        let level = Level { key, total_low: 0, total_high: 0, count: 0, head: NIL, tail: NIL };
        match self.free {
            NIL => {
                self.levels.push(level);
                self.levels.len() as u32 - 1
            }
            slot => {
                self.free = self.get(slot).head;
                *self.get_mut(slot) = level;
                slot
            }
        }
    }

    /// Frees a level that has lost its last order.
    #[inline]
    pub(crate) fn close(&mut self, slot: u32) {
        let free = self.free;
        let level = self.get_mut(slot);
        assert!(
            level.count == 0 && level.total() == 0,
            "a level's total is not that of its orders"
        );
        level.head = free;
        self.free = slot;
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32) -> &Level {
        &self.levels[slot as usize]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut Level {
        &mut self.levels[slot as usize]
    }

    /// Bytes reserved.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.levels.capacity() * size_of::<Level>()
    }
}
