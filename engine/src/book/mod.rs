//! Price-time books: orders rest in queues, queues in price levels, levels in an index by price.
//!
//! This is the part of the engine that a venue, a simulator or a benchmark can use by itself. It
//! knows no client, no name and no report: who uses it keeps what belongs to an order under the
//! order's slot, and hears of each fill while it happens.
//!
//! ```
//! use ironbook_engine::{Side, book::{Books, Fill, Resting}, command::TICKS_MAX};
//!
//! let mut books = Books::new(1_000);
//! let book = books.open_book(TICKS_MAX as u64);
//! let slot = books.reserve();
//! books.rest(book, slot, Resting { id: 1, side: Side::Sell, ticks: 100, leaves_qty: 5, tag: 0 });
//!
//! let mut fills: Vec<Fill> = Vec::new();
//! let left = books.take(book, Side::Sell, Some(101), 8, |fill| fills.push(fill));
//! assert_eq!((left, fills.len(), fills[0].ticks, fills[0].maker_id), (3, 1, 100, 1));
//! ```
//!
//! # Bounds
//! [`Books::rest`], [`Books::remove`] and [`Books::best`] walk a path of the index, which has six pages
//! at the most, a few times, whatever the book holds. [`Books::crosses`] walks one where a level went
//! that was the best, else nowhere. [`Books::take`] costs what it fills.

mod band;
mod index;
mod level;
mod trie;

use band::BAND_TICKS;
use index::PriceIndex;
use level::{Level, Levels};
use trie::Pages;

use crate::{Side, command::TICKS_MAX, memory::touch_reserved, processor::prefetch};

/// No slot, level or page.
pub(crate) const NIL: u32 = u32::MAX;

/// Orders from which on it pays to look ahead: 256 KiB at 32 bytes each.
const LOOK_AHEAD_ORDERS_MIN: u32 = 8_192;

/// A book, by the count of books opened before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookId(pub u32);

/// An order as it comes to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    /// The user's id of the order; not 0, which marks a free slot.
    pub id: u64,
    /// The side that it rests on.
    pub side: Side,
    /// Its limit price in ticks, 0 to [`TICKS_MAX`].
    pub ticks: u64,
    /// What is left of it to trade; above 0.
    pub leaves_qty: i64,
    /// The user's; the book doesn't look at it.
    pub tag: u8,
}

/// A fill of a resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Slot of the resting order. It is free for the next order once `maker_leaves_qty` is 0.
    pub maker: u32,
    /// Id of the resting order.
    pub maker_id: u64,
    /// Tag of the resting order.
    pub maker_tag: u8,
    /// Its price, which is the price of the trade, in ticks.
    pub ticks: u64,
    /// What trades.
    pub qty: i64,
    /// What the resting order has left afterwards.
    pub maker_leaves_qty: i64,
}

/// What matching touches of an order. Two share a cache line.
///
/// ```text
/// 0 id   8 leaves_qty   16 prev   20 next   24 level   28 side   29 tag
/// ```
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Node {
    /// The user's id, or 0 in a free slot: an id that was used before never finds a later order.
    id: u64,
    /// What is still to be traded; above zero while the order rests.
    leaves_qty: i64,
    /// The order before it in its level's queue.
    prev: u32,
    /// The order behind it in its level's queue; in a free slot, the next free slot.
    next: u32,
    /// Its level while it rests, else [`NIL`].
    level: u32,
    side: Side,
    tag: u8,
}

const _: () = assert!(size_of::<Node>() == 32);

impl Node {
    const BLANK: Self =
        Self { id: 0, leaves_qty: 0, prev: NIL, next: NIL, level: NIL, side: Side::Buy, tag: 0 };
}

/// Most books whose levels are in arrays. With a hundred of them the trie is faster by a tenth.
const BANDS_MAX: u32 = 16;

/// The levels of a book.
#[derive(Debug)]
struct Book {
    /// Sells, buys.
    sides: [PriceIndex; 2],
    /// No order rests at a higher price.
    ticks_max: u64,
}

/// The books of any number of instruments, which share their memory.
///
/// All of it is reserved by [`Books::new`] and [`Books::open_book`], except pages of the index where
/// prices lie far apart.
#[derive(Debug)]
pub struct Books {
    nodes: Vec<Node>,
    levels: Levels,
    pages: Pages,
    books: Vec<Book>,
    /// Books whose levels are in arrays.
    bands: u32,
    /// Head of the free slots, last freed first.
    free: u32,
    /// Slots that are taken.
    taken: u32,
    orders_max: u32,
}

impl Books {
    /// Room for `orders_max` orders in all books together.
    pub fn new(orders_max: u32) -> Self {
        Self {
            nodes: Vec::with_capacity(orders_max as usize),
            levels: Levels::new(orders_max),
            pages: Pages::new(orders_max),
            books: Vec::new(),
            bands: 0,
            free: NIL,
            taken: 0,
            orders_max,
        }
    }

    /// Makes room for `orders_max` orders, no fewer than before.
    pub fn grow(&mut self, orders_max: u32) {
        self.nodes.reserve_exact(orders_max as usize - self.nodes.len());
        self.levels.grow(orders_max);
        self.orders_max = orders_max;
    }

    /// A new book without orders, for prices up to `ticks_max`. The first 16 books with fewer than
    /// 2^18 ticks hold their levels in an array of all prices: two megabytes each, of which the
    /// system gives what is used. More of them would crowd the processor's cache of addresses.
    ///
    /// # Panics
    /// When `ticks_max` is above [`TICKS_MAX`].
    pub fn open_book(&mut self, ticks_max: u64) -> BookId {
        assert!(ticks_max <= TICKS_MAX as u64, "prices have keys up to {TICKS_MAX}");
        let is_band = ticks_max < BAND_TICKS && self.bands < BANDS_MAX;
        self.bands += u32::from(is_band);
        let sides = [PriceIndex::new(is_band), PriceIndex::new(is_band)];
        self.books.push(Book { sides, ticks_max });
        BookId(self.books.len() as u32 - 1)
    }

    /// Slots that are taken: by resting orders, and by those that are about to rest.
    #[inline]
    pub fn taken(&self) -> u32 {
        self.taken
    }

    /// Whether every slot is taken.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.taken == self.orders_max
    }

    /// Slots that were ever used; each is taken or free.
    pub fn slots(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// Takes a slot for an order.
    ///
    /// # Panics
    /// When every slot is taken: see [`Books::is_full`].
    #[inline(always)]
    pub fn reserve(&mut self) -> u32 {
        assert!(!self.is_full(), "no room for another order");
        self.taken += 1;
        let slot = self.free;
        if slot == NIL {
            return self.reserve_another();
        }
        self.free = self.nodes[slot as usize].next;
        slot
    }

    /// A slot that was never used.
    #[cold]
    #[inline(never)]
    fn reserve_another(&mut self) -> u32 {
        self.nodes.push(Node::BLANK);
        self.nodes.len() as u32 - 1
    }

    /// Frees the slot of an order that rests in no queue.
    #[inline(always)]
    pub fn release(&mut self, slot: u32) {
        let node = &mut self.nodes[slot as usize];
        assert!(node.level == NIL, "a slot is freed while its order rests");
        node.id = 0;
        node.next = self.free;
        self.free = slot;
        self.taken -= 1;
    }

    /// Puts an order, which has this slot, at the end of the queue at its price.
    ///
    /// # Panics
    /// When the order has no quantity, no id, or a price above the book's highest, or rests already.
    #[inline(always)]
    pub fn rest(&mut self, book: BookId, slot: u32, order: Resting) {
        let book = &mut self.books[book.0 as usize];
        assert!(order.leaves_qty > 0 && order.id != 0 && order.ticks <= book.ticks_max);
        let key = key(order.side, order.ticks);
        let index = &mut book.sides[at(order.side)];
        let number = index.find_or_open(&mut self.pages, &mut self.levels, key);
        let node = &mut self.nodes[slot as usize];
        assert!(node.level == NIL, "an order rests twice");
        node.id = order.id;
        node.leaves_qty = order.leaves_qty;
        node.side = order.side;
        node.tag = order.tag;
        self.levels.get_mut(number).push(number, &mut self.nodes, slot);
    }

    /// Takes an order out of its queue, and its level out of the book if it was the last one. The
    /// order keeps its slot.
    #[inline(always)]
    pub fn remove(&mut self, book: BookId, slot: u32) {
        let node = &mut self.nodes[slot as usize];
        let side = node.side;
        let number = std::mem::replace(&mut node.level, NIL);
        let level = self.levels.get_mut(number);
        level.unlink(&mut self.nodes, slot);
        if level.count == 0 {
            let key = level.key;
            let index = &mut self.books[book.0 as usize].sides[at(side)];
            index.remove(&mut self.pages, key);
            self.levels.close(number);
        }
    }

    /// Takes an order out of its queue and frees its slot.
    #[inline(always)]
    pub fn cancel(&mut self, book: BookId, slot: u32) {
        self.remove(book, slot);
        self.release(slot);
    }

    /// Gives a resting order less to trade; it keeps its place.
    #[inline]
    pub fn shrink(&mut self, slot: u32, leaves_qty: i64) {
        let node = &mut self.nodes[slot as usize];
        let less = node.leaves_qty - leaves_qty;
        assert!(less >= 0 && leaves_qty > 0);
        node.leaves_qty = leaves_qty;
        self.levels.get_mut(node.level).subtract(less);
    }

    /// Sends a resting order to the end of its own queue with another quantity left.
    #[inline]
    pub fn requeue(&mut self, slot: u32, leaves_qty: i64) {
        assert!(leaves_qty > 0);
        let number = self.nodes[slot as usize].level;
        let level = self.levels.get_mut(number);
        level.unlink(&mut self.nodes, slot);
        self.nodes[slot as usize].leaves_qty = leaves_qty;
        level.push(number, &mut self.nodes, slot);
    }

    /// Whether an order rests on a side at a price up to `limit` (in ticks; none is a market order's).
    /// Remembers the best level where it has to look for it.
    ///
    /// # Panics
    /// When `limit` is above [`TICKS_MAX`].
    #[inline(always)]
    pub fn crosses(&mut self, book: BookId, maker_side: Side, limit: Option<u64>) -> bool {
        let limit = limit_key(maker_side, limit);
        let index = &mut self.books[book.0 as usize].sides[at(maker_side)];
        index.best_within(&self.pages, &self.levels, limit).is_some()
    }

    /// Fills resting orders of one side, best price first and at one price first come first
    /// served, until `qty` is used up or no level is left at prices up to `limit` (in ticks; none
    /// is a market order's). Returns what is left of `qty`.
    ///
    /// `on_fill` hears of each fill; an order that is filled has left its queue and its slot.
    ///
    /// It becomes a part of its caller. Most orders trade with nothing: whoever asks
    /// [`Books::crosses`] first, and keeps this in a function apart, lets them carry nothing of it.
    ///
    /// # Panics
    /// When `limit` is above [`TICKS_MAX`].
    #[inline(always)]
    pub fn take(
        &mut self,
        book: BookId,
        maker_side: Side,
        limit: Option<u64>,
        qty: i64,
        mut on_fill: impl FnMut(Fill),
    ) -> i64 {
        let limit = limit_key(maker_side, limit);
        let index = &mut self.books[book.0 as usize].sides[at(maker_side)];
        let mut left = qty;
        while left > 0 {
            let Some(number) = index.best_within(&self.pages, &self.levels, limit) else {
                break;
            };
            let level = self.levels.get_mut(number);
            let (level_key, free) = (level.key, (&mut self.free, &mut self.taken));
            let ticks = key(maker_side, level_key);
            left = fill_level(level, ticks, &mut self.nodes, free, left, &mut on_fill);
            if level.count == 0 {
                self.levels.close(number);
                index.remove_best(&mut self.pages, &self.levels, level_key);
            }
        }
        left
    }

    /// Whether `qty` can trade against a side at once at prices up to `limit`. Looks at levels
    /// only.
    ///
    /// # Panics
    /// When `limit` is above [`TICKS_MAX`].
    pub fn can_fill(&self, book: BookId, maker_side: Side, limit: Option<u64>, qty: i64) -> bool {
        let limit = limit_key(maker_side, limit);
        let mut found = 0;
        for level in self.walk(book, maker_side) {
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

    /// The slot, if the order that has it is the one with this id.
    #[inline]
    pub fn find(&self, slot: u32, id: u64) -> Option<u32> {
        let node = self.nodes.get(slot as usize)?;
        (node.id == id && id != 0).then_some(slot)
    }

    /// A resting order.
    ///
    /// # Panics
    /// When no order rests in this slot.
    #[inline]
    pub fn order(&self, slot: u32) -> Resting {
        let Node { id, leaves_qty, level, side, tag, .. } = self.nodes[slot as usize];
        let ticks = key(side, self.levels.get(level).key);
        Resting { id, side, ticks, leaves_qty, tag }
    }

    /// The best price of a side in ticks.
    #[inline]
    pub fn best(&self, book: BookId, side: Side) -> Option<u64> {
        let (_, best_key) = self.side(book, side).best(&self.pages, &self.levels)?;
        Some(key(side, best_key))
    }

    /// Whether the best buy is at or above the best sell.
    #[inline]
    pub fn is_crossed(&self, book: BookId) -> bool {
        let [sells, buys] = &self.books[book.0 as usize].sides;
        // The bound of a side known to be empty is above all prices; flipped, it is below none, so it
        // needs a look of its own. Bounds cross only where an order rests that nobody asked
        // `crosses` for.
        buys.bound() != u64::MAX
            && key(Side::Buy, buys.bound()) >= sells.bound()
            && self.best_prices_cross(book)
    }

    #[cold]
    fn best_prices_cross(&self, book: BookId) -> bool {
        let best = |side| self.best(book, side);
        best(Side::Buy).zip(best(Side::Sell)).is_some_and(|(buy, sell)| buy >= sell)
    }

    /// Sum of what the orders at one price have left.
    pub fn qty_at(&self, book: BookId, side: Side, ticks: u64) -> u128 {
        self.level(book, side, ticks).map_or(0, |level| level.qty())
    }

    /// The level at one price, or none when no order rests there.
    pub fn level(&self, book: BookId, side: Side, ticks: u64) -> Option<LevelView<'_>> {
        if ticks > self.books[book.0 as usize].ticks_max {
            return None;
        }
        let number = self.side(book, side).look_up(&self.pages, &self.levels, key(side, ticks))?;
        Some(LevelView { books: self, level: self.levels.get(number), ticks })
    }

    /// Levels of a side, best first.
    pub fn levels(&self, book: BookId, side: Side) -> impl Iterator<Item = LevelView<'_>> {
        self.walk(book, side).map(move |level| LevelView {
            books: self,
            level,
            ticks: key(side, level.key),
        })
    }

    /// Asks the processor for an order's memory, ahead of a request about it. Like all the
    /// `prefetch` functions this changes nothing, and pays only where the books are larger than
    /// the caches: see [`Books::pays_to_look_ahead`].
    #[inline]
    pub fn prefetch(&self, slot: u32) {
        prefetch(&self.nodes, slot as usize);
    }

    /// Asks for an order's level and its neighbors in the queue, once [`Books::prefetch`] has had
    /// its time.
    #[inline]
    pub fn prefetch_queue(&self, slot: u32) {
        // Half of the slots asked about are none: that is no branch either, but another node.
        let Some(last) = self.nodes.len().checked_sub(1) else { return };
        let Node { prev, next, level, .. } = self.nodes[last.min(slot as usize)];
        prefetch(&self.nodes, prev as usize);
        prefetch(&self.nodes, next as usize);
        self.levels.prefetch(level);
    }

    /// Whether the orders, with their levels, fill more than half of a second-level cache of
    /// 512 KiB. Below that, asking for memory costs more than it saves (measured: 30 % at 3,000
    /// orders).
    #[inline]
    pub fn pays_to_look_ahead(&self) -> bool {
        self.taken > LOOK_AHEAD_ORDERS_MIN
    }

    /// Free slots, the one that is taken next first; those never used follow by number.
    pub fn free_slots(&self) -> impl Iterator<Item = u32> + '_ {
        let first = (self.free != NIL).then_some(self.free);
        std::iter::successors(first, |&slot| {
            let next = self.nodes[slot as usize].next;
            (next != NIL).then_some(next)
        })
    }

    /// Slots in which an order rests, by number.
    pub fn resting_slots(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.slots()).filter(|&slot| self.nodes[slot as usize].level != NIL)
    }

    /// Makes slots of books that never had any: `slots` of them, of which those in `free` are free,
    /// in the order in which [`Books::free_slots`] gave them, and all others are taken.
    pub(crate) fn restore_slots(&mut self, slots: u32, free: &[u32]) {
        assert!(self.nodes.is_empty() && slots <= self.orders_max);
        self.nodes.resize(slots as usize, Node::BLANK);
        for &slot in free.iter().rev() {
            self.nodes[slot as usize].next = self.free;
            self.free = slot;
        }
        self.taken = slots - free.len() as u32;
    }

    /// Touches the memory that is reserved, so that its first use is no page fault.
    pub fn touch_memory(&mut self) {
        touch_reserved(&mut self.nodes, Node::BLANK);
        self.levels.touch_memory();
        self.pages.touch_memory();
    }

    /// Bytes reserved.
    pub fn memory_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.levels.memory_bytes()
            + self.pages.memory_bytes()
            + self.books.capacity() * size_of::<Book>()
            + self
                .books
                .iter()
                .flat_map(|book| &book.sides)
                .map(PriceIndex::memory_bytes)
                .sum::<usize>()
    }

    #[inline]
    fn side(&self, book: BookId, side: Side) -> &PriceIndex {
        &self.books[book.0 as usize].sides[at(side)]
    }

    /// Levels of a side, best first.
    fn walk(&self, book: BookId, side: Side) -> impl Iterator<Item = &Level> {
        let index = self.side(book, side);
        let level = |number: u32| self.levels.get(number);
        let best = index.best(&self.pages, &self.levels).map(|(number, _)| level(number));
        std::iter::successors(best, move |before| {
            index.next_after(&self.pages, &self.levels, before.key).map(level)
        })
    }
}

/// Fills the orders of a level, which has this price, in turn. Returns what is left of `left`.
/// Filled orders leave the queue, their slots join the free ones.
#[inline(always)]
fn fill_level(
    level: &mut Level,
    ticks: u64,
    nodes: &mut [Node],
    (free, taken): (&mut u32, &mut u32),
    mut left: i64,
    on_fill: &mut impl FnMut(Fill),
) -> i64 {
    let before = left;
    let mut slot = level.head;
    loop {
        let node = &mut nodes[slot as usize];
        let qty = left.min(node.leaves_qty);
        assert!(qty > 0, "a resting order has nothing left");
        left -= qty;
        node.leaves_qty -= qty;
        let fill = Fill {
            maker: slot,
            maker_id: node.id,
            maker_tag: node.tag,
            ticks,
            qty,
            maker_leaves_qty: node.leaves_qty,
        };
        let mut next = slot;
        if fill.maker_leaves_qty == 0 {
            next = std::mem::replace(&mut node.next, *free);
            (node.id, node.level) = (0, NIL);
            *free = slot;
            *taken -= 1;
            level.count -= 1;
        }
        on_fill(fill);
        if next == NIL || left == 0 {
            slot = next;
            break;
        }
        slot = next;
    }
    level.subtract(before - left);
    level.head = slot;
    if slot != NIL {
        nodes[slot as usize].prev = NIL;
    }
    left
}

/// A price level.
#[derive(Clone, Copy, Debug)]
pub struct LevelView<'a> {
    books: &'a Books,
    level: &'a Level,
    /// Price in ticks.
    pub ticks: u64,
}

impl<'a> LevelView<'a> {
    /// Sum of what the orders have left.
    pub fn qty(&self) -> u128 {
        self.level.total()
    }

    /// Orders at this price.
    pub fn order_count(&self) -> u32 {
        self.level.count
    }

    /// Slots of the orders at this price, the one that trades first first.
    pub fn slots(&self) -> impl Iterator<Item = u32> + use<'a> {
        let (books, head) = (self.books, self.level.head);
        std::iter::successors((head != NIL).then_some(head), move |&slot| {
            let next = books.nodes[slot as usize].next;
            (next != NIL).then_some(next)
        })
    }
}

/// Where a side's orders are. An index orders keys so that smaller is better on both sides; a buy's
/// key is its price in ticks with all bits flipped, a sell's is the price itself. The same step
/// leads back.
#[inline]
fn key(side: Side, ticks: u64) -> u64 {
    ticks ^ (TICKS_MAX as u64 & (at(side) as u64).wrapping_neg())
}

/// A key that no level is worse than: the limit of a market order. It is below that of an empty side.
const NO_LIMIT: u64 = u64::MAX - 1;

/// The key that levels of a side may have up to a limit.
#[inline]
fn limit_key(maker_side: Side, limit: Option<u64>) -> u64 {
    limit.map_or(NO_LIMIT, |ticks| {
        assert!(ticks <= TICKS_MAX as u64, "a limit above every price has no key");
        key(maker_side, ticks)
    })
}

/// The place of a side.
#[inline]
fn at(side: Side) -> usize {
    side as usize & 1
}
