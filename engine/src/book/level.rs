//! Price levels: a queue of orders at one price.

use super::{NIL, Node};
use crate::{memory::touch_reserved, processor::prefetch};

/// One price of one side.
///
/// ```text
/// 0 key   8 total_low   16 total_high   20 count   24 head   28 tail
/// ```
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Level {
    /// Price as the index of its side orders it: smaller is better.
    pub key: u64,
    /// Low half of the sum of leaves_qty of its orders. 2^24 orders of 10^18 need 84 bits.
    total_low: u64,
    total_high: u32,
    /// Orders in the queue. Without any, in a free slot and in a level that was just opened, the total
    /// is zero as well.
    pub count: u32,
    /// The order that trades first, if there is one; in a free slot, the next free slot.
    pub head: u32,
    /// The order that trades last, if there is one.
    pub tail: u32,
}

const _: () = assert!(size_of::<Level>() == 32);

impl Level {
    /// A level without orders.
    const EMPTY: Self =
        Self { key: 0, total_low: 0, total_high: 0, count: 0, head: NIL, tail: NIL };

    /// Sum of leaves_qty of the orders.
    #[inline]
    pub(super) fn total(&self) -> u128 {
        u128::from(self.total_high) << 64 | u128::from(self.total_low)
    }

    #[inline]
    pub(super) fn add(&mut self, qty: i64) {
        let (low, carry) = self.total_low.overflowing_add(qty as u64);
        self.total_low = low;
        self.total_high += u32::from(carry);
    }

    #[inline]
    pub(super) fn subtract(&mut self, qty: i64) {
        let (low, borrow) = self.total_low.overflowing_sub(qty as u64);
        assert!(self.total_high >= u32::from(borrow), "a level's total went below zero");
        self.total_low = low;
        self.total_high -= u32::from(borrow);
    }

    /// Puts an order at the end of the queue of this level, whose number is `level`. Most orders are
    /// the only ones of their levels, here and when they go, so that is a case of its own.
    #[inline(always)]
    pub(super) fn push(&mut self, level: u32, nodes: &mut [Node], slot: u32) {
        let node = &mut nodes[slot as usize];
        let leaves_qty = node.leaves_qty;
        (node.level, node.prev, node.next) = (level, NIL, NIL);
        let tail = std::mem::replace(&mut self.tail, slot);
        if self.count == 0 {
            (self.head, self.count, self.total_low) = (slot, 1, leaves_qty as u64);
            return;
        }
        node.prev = tail;
        nodes[tail as usize].next = slot;
        self.count += 1;
        self.add(leaves_qty);
    }

    /// Takes an order out of the queue.
    #[inline(always)]
    pub(super) fn unlink(&mut self, nodes: &mut [Node], slot: u32) {
        let Node { prev, next, leaves_qty, .. } = nodes[slot as usize];
        if self.count == 1 {
            assert!(self.total() == leaves_qty as u128, "a level's total is not that of its order");
            (self.count, self.total_low) = (0, 0);
            return;
        }
        *next_of(nodes, prev, &mut self.head) = next;
        *prev_of(nodes, next, &mut self.tail) = prev;
        self.count -= 1;
        self.subtract(leaves_qty);
    }
}

/// The link from an order to the one behind it, or `head` when there is no such order. Whether an
/// order is the first or the last is anybody's guess, so this chooses an address and not a branch:
/// [`NIL`] is no element of any slice.
#[inline(always)]
fn next_of<'a>(nodes: &'a mut [Node], slot: u32, head: &'a mut u32) -> &'a mut u32 {
    // Not by `get_mut` and `map_or`, which choose twice.
    if (slot as usize) < nodes.len() { &mut nodes[slot as usize].next } else { head }
}

/// The link from an order to the one before it, or `tail` when there is no such order.
#[inline(always)]
fn prev_of<'a>(nodes: &'a mut [Node], slot: u32, tail: &'a mut u32) -> &'a mut u32 {
    if (slot as usize) < nodes.len() { &mut nodes[slot as usize].prev } else { tail }
}

/// The slab of levels of all books.
#[derive(Debug)]
pub(super) struct Levels {
    levels: Vec<Level>,
    free: u32,
}

impl Levels {
    /// Room for `max` levels; there are never more levels than orders.
    pub(super) fn new(max: u32) -> Self {
        Self { levels: Vec::with_capacity(max as usize), free: NIL }
    }

    /// Makes room for `max` levels.
    pub(super) fn grow(&mut self, max: u32) {
        self.levels.reserve_exact(max as usize - self.levels.len());
    }

    /// A new level without orders. What was freed has none, and no total: see [`Levels::close`].
    #[inline]
    pub(super) fn open(&mut self, key: u64) -> u32 {
        let slot = self.free;
        if slot == NIL {
            return self.open_another(key);
        }
        let level = self.get_mut(slot);
        level.key = key;
        self.free = level.head;
        slot
    }

    /// A level in a slot that was never used.
    #[cold]
    #[inline(never)]
    fn open_another(&mut self, key: u64) -> u32 {
        self.levels.push(Level { key, ..Level::EMPTY });
        self.levels.len() as u32 - 1
    }

    /// Frees a level that has lost its last order.
    #[inline]
    pub(super) fn close(&mut self, slot: u32) {
        let free = self.free;
        let level = self.get_mut(slot);
        assert!(
            level.count == 0 && level.total_low == 0 && level.total_high == 0,
            "a level's total is not that of its orders"
        );
        level.head = free;
        self.free = slot;
    }

    #[inline]
    pub(super) fn get(&self, slot: u32) -> &Level {
        &self.levels[slot as usize]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> &mut Level {
        &mut self.levels[slot as usize]
    }

    /// Asks the processor for a level.
    #[inline]
    pub(super) fn prefetch(&self, slot: u32) {
        prefetch(&self.levels, slot as usize);
    }

    /// Touches the memory that is reserved.
    pub(super) fn touch_memory(&mut self) {
        touch_reserved(&mut self.levels, Level::EMPTY);
    }

    /// Bytes reserved.
    pub(super) fn memory_bytes(&self) -> usize {
        self.levels.capacity() * size_of::<Level>()
    }
}
