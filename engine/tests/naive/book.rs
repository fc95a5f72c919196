//! Books again, as plainly as they can be written: an ordered map from price to queue for each side,
//! and queues that are searched from end to end.

use std::collections::{BTreeMap, VecDeque};

use ironbook_engine::{
    Side,
    book::{BookId, Fill, Resting},
};

/// Queues of slots by price in ticks, the order that trades first at the front.
type Queues = BTreeMap<u64, VecDeque<u32>>;

pub struct NaiveBooks {
    pub orders_max: u32,
    /// By book: sells, buys.
    sides: Vec<[Queues; 2]>,
    /// By slot: the order that rests in it, and where.
    orders: Vec<Option<(BookId, Resting)>>,
    /// Slots that were used and are free now, the last freed last.
    free: Vec<u32>,
}

impl NaiveBooks {
    pub fn new(orders_max: u32) -> Self {
        Self { orders_max, sides: Vec::new(), orders: Vec::new(), free: Vec::new() }
    }

    pub fn open_book(&mut self) -> BookId {
        self.sides.push(Default::default());
        BookId(self.sides.len() as u32 - 1)
    }

    pub fn slots(&self) -> u32 {
        self.orders.len() as u32
    }

    pub fn taken(&self) -> u32 {
        self.slots() - self.free.len() as u32
    }

    pub fn free_slots(&self) -> Vec<u32> {
        self.free.iter().rev().copied().collect()
    }

    pub fn reserve(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.orders.push(None);
            self.slots() - 1
        })
    }

    pub fn release(&mut self, slot: u32) {
        self.free.push(slot);
    }

    pub fn rest(&mut self, book: BookId, slot: u32, order: Resting) {
        self.queues(book, order.side).entry(order.ticks).or_default().push_back(slot);
        self.orders[slot as usize] = Some((book, order));
    }

    pub fn remove(&mut self, slot: u32) {
        let (book, order) = self.orders[slot as usize].take().unwrap();
        let queues = self.queues(book, order.side);
        let queue = queues.get_mut(&order.ticks).unwrap();
        queue.retain(|&other| other != slot);
        if queue.is_empty() {
            queues.remove(&order.ticks);
        }
    }

    pub fn shrink(&mut self, slot: u32, leaves_qty: i64) {
        self.orders[slot as usize].as_mut().unwrap().1.leaves_qty = leaves_qty;
    }

    pub fn requeue(&mut self, slot: u32, leaves_qty: i64) {
        let (book, order) = self.orders[slot as usize].unwrap();
        self.remove(slot);
        self.rest(book, slot, Resting { leaves_qty, ..order });
    }

    /// The fills, and what is left.
    pub fn take(
        &mut self,
        book: BookId,
        maker_side: Side,
        limit: Option<u64>,
        qty: i64,
    ) -> (Vec<Fill>, i64) {
        let (mut fills, mut left) = (Vec::new(), qty);
        while left > 0 {
            let best = self.best(book, maker_side);
            let Some(ticks) = best.filter(|&ticks| is_within(maker_side, ticks, limit)) else {
                break;
            };
            let maker = self.queues(book, maker_side)[&ticks][0];
            let order = &mut self.orders[maker as usize].as_mut().unwrap().1;
            let qty = left.min(order.leaves_qty);
            left -= qty;
            order.leaves_qty -= qty;
            let Resting { id: maker_id, tag: maker_tag, leaves_qty: maker_leaves_qty, .. } = *order;
            fills.push(Fill { maker, maker_id, maker_tag, ticks, qty, maker_leaves_qty });
            if maker_leaves_qty == 0 {
                self.remove(maker);
                self.release(maker);
            }
        }
        (fills, left)
    }

    pub fn can_fill(&self, book: BookId, maker_side: Side, limit: Option<u64>, qty: i64) -> bool {
        let levels = self.levels(book, maker_side);
        let within = levels.iter().filter(|&&(ticks, _)| is_within(maker_side, ticks, limit));
        within.map(|(_, slots)| self.qty(slots)).sum::<u128>() >= qty as u128
    }

    /// The order that rests in a slot, and its book.
    pub fn order(&self, slot: u32) -> Option<(BookId, Resting)> {
        self.orders[slot as usize]
    }

    pub fn best(&self, book: BookId, side: Side) -> Option<u64> {
        let queues = &self.sides[book.0 as usize][usize::from(side == Side::Buy)];
        match side {
            Side::Sell => queues.keys().next().copied(),
            Side::Buy => queues.keys().next_back().copied(),
        }
    }

    pub fn is_crossed(&self, book: BookId) -> bool {
        match (self.best(book, Side::Buy), self.best(book, Side::Sell)) {
            (Some(bid), Some(ask)) => bid >= ask,
            _ => false,
        }
    }

    pub fn qty_at(&self, book: BookId, side: Side, ticks: u64) -> u128 {
        let queues = &self.sides[book.0 as usize][usize::from(side == Side::Buy)];
        queues.get(&ticks).map_or(0, |queue| self.qty(queue))
    }

    /// Price and queue of each level of a side, best first.
    pub fn levels(&self, book: BookId, side: Side) -> Vec<(u64, &VecDeque<u32>)> {
        let queues = &self.sides[book.0 as usize][usize::from(side == Side::Buy)];
        let mut levels: Vec<_> = queues.iter().map(|(&ticks, queue)| (ticks, queue)).collect();
        if side == Side::Buy {
            levels.reverse();
        }
        levels
    }

    /// What the orders in these slots have left.
    pub fn qty(&self, slots: &VecDeque<u32>) -> u128 {
        slots.iter().map(|&slot| self.orders[slot as usize].unwrap().1.leaves_qty as u128).sum()
    }

    fn queues(&mut self, book: BookId, side: Side) -> &mut Queues {
        &mut self.sides[book.0 as usize][usize::from(side == Side::Buy)]
    }
}

/// Whether an order that takes up to `limit` takes at this price.
fn is_within(maker_side: Side, ticks: u64, limit: Option<u64>) -> bool {
    match (limit, maker_side) {
        (None, _) => true,
        (Some(limit), Side::Sell) => ticks <= limit,
        (Some(limit), Side::Buy) => ticks >= limit,
    }
}
