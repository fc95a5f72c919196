//! Book-level workloads: requests for [`Books`] alone, without clients, names or reports, so that
//! the book can be compared with other books on the same flow.
//!
//! [`write_flow`] puts a flow into a file for programs that measure other books:
//!
//! ```text
//! header   "IBFLOW01"  u64 records  u64 of these that come before the measurement
//! record   u64 order  i64 price in ticks  u32 quantity  u32 instrument  u8 action  u8 side  6 zeros
//!
//! action   0 new limit order   1 cancel   2 replace: cancel and enter again under the same id,
//!          at the end of the queue   3 new immediate-or-cancel order       side  0 buy   1 sell
//! ```
//!
//! All numbers are little-endian; orders count from 1, instruments from 0. Cancels and replaces may
//! name orders that are gone. Who plays a flow sums up its trades as [`TradeHash`] does, so that two
//! books can be seen to agree.

use std::io::{self, Write};

use ironbook_engine::{
    Side,
    book::{BookId, Books, Fill, Resting},
    id_index::IdIndex,
    processor::prefetch,
};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A limit order; what doesn't trade rests.
    New,
    /// A cancel.
    Cancel,
    /// A cancel, and the same order again with another price and quantity.
    Replace,
    /// An immediate-or-cancel order.
    Ioc,
}

/// A request for a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The order, from 1; never used again.
    pub order: u64,
    /// Limit price in ticks.
    pub ticks: u64,
    /// Quantity, above 0.
    pub qty: u32,
    /// The instrument, from 0.
    pub instrument: u32,
    /// What is asked for.
    pub action: Action,
    /// The order's side.
    pub side: Side,
}

/// Requests, and how many of them only fill the books.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Name for people.
    pub name: &'static str,
    /// All requests.
    pub requests: Vec<Request>,
    /// Requests before the measurement.
    pub warm: usize,
    /// Instruments.
    pub instruments: u32,
}

impl Flow {
    /// The highest price.
    pub fn ticks_max(&self) -> u64 {
        self.requests.iter().map(|request| request.ticks).max().unwrap_or(0)
    }

    /// The highest order id.
    pub fn order_max(&self) -> u64 {
        self.requests.iter().map(|request| request.order).max().unwrap_or(0)
    }
}

/// Shape of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Name for people.
    pub name: &'static str,
    /// Instruments, interleaved at random.
    pub instruments: u32,
    /// Live orders in each book, about.
    pub depth: usize,
    /// Ticks from the middle in which orders rest: few near, the most far away.
    pub spread: u64,
    /// How strongly orders crowd around the middle: distances are the product of so many random
    /// numbers.
    pub crowding: u32,
    /// In percent: cancels, replaces, marketable immediate orders; the rest are new orders.
    pub mix: [u32; 3],
    /// Largest quantity of a marketable order.
    pub sweep_qty: u32,
}

/// As an ITCH feed of one symbol has it.
const ITCH: Shape = Shape {
    name: "itch",
    instruments: 1,
    depth: 3_000,
    spread: 400,
    crowding: 2,
    mix: [40, 10, 5],
    sweep_qty: 300,
};

/// The flows that books are compared on.
pub const SHAPES: [Shape; 5] = [
    ITCH,
    // Most requests move an order to another price.
    Shape { name: "move", depth: 1_000, crowding: 1, mix: [6, 83, 3], ..ITCH },
    // A hundred books: nothing is in the near caches when its turn comes.
    Shape { name: "multi", instruments: 100, ..ITCH },
    // Queues a hundred thousand orders deep.
    Shape { name: "deep", depth: 400_000, spread: 2, crowding: 1, mix: [45, 5, 5], ..ITCH },
    // Prices spread over twenty million ticks: nearly every order has a level of its own.
    Shape {
        name: "far",
        depth: 28_000,
        spread: 10_000_000,
        crowding: 1,
        mix: [45, 5, 1],
        sweep_qty: 50,
        ..ITCH
    },
];

/// An order that may be live.
#[derive(Clone, Copy)]
struct Live {
    order: u64,
    side: Side,
}

/// Makes a flow of `count` measured requests; the same seed gives the same one.
pub fn flow(shape: &Shape, seed: u64, count: usize) -> Flow {
    let mut maker = Maker {
        shape: *shape,
        rng: Pcg64Mcg::seed_from_u64(seed),
        live: vec![Vec::new(); shape.instruments as usize],
        // Far enough from zero for the widest spread.
        middle: vec![2 * shape.spread + 100_000; shape.instruments as usize],
        orders: 0,
    };
    let warm = shape.depth * shape.instruments as usize;
    let mut requests = Vec::with_capacity(warm + count);
    requests.extend((0..warm).map(|number| maker.enter(number as u32 % shape.instruments)));
    requests.extend((0..count).map(|_| maker.step()));
    Flow { name: shape.name, requests, warm, instruments: shape.instruments }
}

struct Maker {
    shape: Shape,
    rng: Pcg64Mcg,
    live: Vec<Vec<Live>>,
    middle: Vec<u64>,
    orders: u64,
}

impl Maker {
    fn step(&mut self) -> Request {
        let instrument = self.rng.random_range(0..self.shape.instruments);
        let at = instrument as usize;
        let live = self.live[at].len();
        let [cancels, replaces, marketable] = self.shape.mix;
        let roll = match self.rng.random_range(0..100) {
            _ if live * 10 < self.shape.depth * 9 => 99,
            _ if live * 10 > self.shape.depth * 11 => 0,
            roll => roll,
        };
        if self.rng.random_range(0..64) == 0 {
            self.middle[at] = self.middle[at] + self.rng.random_range(0..3) - 1;
        }
        if roll < cancels {
            let index = self.rng.random_range(0..live);
            let Live { order, side } = self.live[at].swap_remove(index);
            let ticks = self.middle[at];
            Request { order, ticks, qty: 1, instrument, action: Action::Cancel, side }
        } else if roll < cancels + replaces {
            let index = self.rng.random_range(0..live);
            let Live { order, side } = self.live[at][index];
            let (ticks, qty) = (self.price(at, side), self.rng.random_range(1..=100));
            Request { order, ticks, qty, instrument, action: Action::Replace, side }
        } else if roll < cancels + replaces + marketable {
            self.orders += 1;
            let side = self.side();
            let through = self.shape.spread.min(40);
            let ticks = match side {
                Side::Buy => self.middle[at] + through,
                Side::Sell => self.middle[at] - through,
            };
            let qty = self.rng.random_range(1..=self.shape.sweep_qty);
            Request { order: self.orders, ticks, qty, instrument, action: Action::Ioc, side }
        } else {
            self.enter(instrument)
        }
    }

    fn enter(&mut self, instrument: u32) -> Request {
        let at = instrument as usize;
        self.orders += 1;
        let (order, side) = (self.orders, self.side());
        self.live[at].push(Live { order, side });
        let (ticks, qty) = (self.price(at, side), self.rng.random_range(1..=100));
        Request { order, ticks, qty, instrument, action: Action::New, side }
    }

    fn side(&mut self) -> Side {
        if self.rng.random_bool(0.5) { Side::Buy } else { Side::Sell }
    }

    /// A price on an order's own side of the middle.
    fn price(&mut self, at: usize, side: Side) -> u64 {
        let mut away = self.rng.random_range(1..=self.shape.spread);
        for _ in 1..self.shape.crowding {
            away = 1 + away * self.rng.random_range(0..=self.shape.spread) / self.shape.spread;
        }
        match side {
            Side::Buy => self.middle[at] - away,
            Side::Sell => self.middle[at] + away,
        }
    }
}

/// Writes a flow as the head of this module draws it.
///
/// # Errors
/// When `out` can't be written.
pub fn write_flow(flow: &Flow, out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"IBFLOW01")?;
    out.write_all(&(flow.requests.len() as u64).to_le_bytes())?;
    out.write_all(&(flow.warm as u64).to_le_bytes())?;
    for request in &flow.requests {
        let mut record = [0; 32];
        record[..8].copy_from_slice(&request.order.to_le_bytes());
        record[8..16].copy_from_slice(&request.ticks.to_le_bytes());
        record[16..20].copy_from_slice(&request.qty.to_le_bytes());
        record[20..24].copy_from_slice(&request.instrument.to_le_bytes());
        record[24] = request.action as u8;
        record[25] = u8::from(request.side == Side::Sell);
        out.write_all(&record)?;
    }
    Ok(())
}

/// A sum over trades in their order (FNV-1a over words): equal for books that agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeHash {
    /// Trades.
    pub trades: u64,
    /// The hash.
    pub hash: u64,
}

impl Default for TradeHash {
    fn default() -> Self {
        Self { trades: 0, hash: 0xcbf2_9ce4_8422_2325 }
    }
}

impl TradeHash {
    /// Takes a trade of this aggressor.
    #[inline]
    pub fn add(&mut self, taker: u64, fill: &Fill) {
        self.trades += 1;
        for word in [fill.maker_id, taker, fill.ticks, fill.qty as u64] {
            self.hash = (self.hash ^ word).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Where the user of [`Books`] keeps which slot an order has.
pub trait Slots {
    /// The slot of an order that rests.
    fn get(&self, books: &Books, order: u64) -> Option<u32>;
    /// The order rests in this slot.
    fn insert(&mut self, order: u64, slot: u32);
    /// The slot of an order that rests, and will rest no more.
    fn take(&mut self, books: &Books, order: u64) -> Option<u32>;
    /// The order, which was in this slot, rests no more.
    fn remove(&mut self, order: u64, slot: u32);
    /// Asks the processor for where an order stands.
    fn prefetch(&self, order: u64);
}

/// An array by order id: for ids that are given in the order of arrival, as a venue gives them, so
/// that those in use lie close together.
#[derive(Debug)]
pub struct SlotArray(Vec<u32>);

impl SlotArray {
    /// For ids up to `ids_max`.
    pub fn new(ids_max: usize) -> Self {
        Self(vec![GONE; ids_max + 1])
    }
}

/// No slot: the order is gone.
const GONE: u32 = u32::MAX;

impl Slots for SlotArray {
    #[inline(always)]
    fn get(&self, _: &Books, order: u64) -> Option<u32> {
        self.0.get(order as usize).copied().filter(|&slot| slot != GONE)
    }

    #[inline(always)]
    fn insert(&mut self, order: u64, slot: u32) {
        self.0[order as usize] = slot;
    }

    #[inline(always)]
    fn take(&mut self, _: &Books, order: u64) -> Option<u32> {
        let slot = self.0.get_mut(order as usize)?;
        Some(std::mem::replace(slot, GONE)).filter(|&slot| slot != GONE)
    }

    #[inline(always)]
    fn remove(&mut self, order: u64, _: u32) {
        self.0[order as usize] = GONE;
    }

    #[inline(always)]
    fn prefetch(&self, order: u64) {
        prefetch(&self.0, order as usize);
    }
}

/// The engine's index of names, by order id: for ids that arrive in any order, of which an array
/// would touch a cache line for each.
#[derive(Debug)]
pub struct SlotIndex(IdIndex);

impl SlotIndex {
    /// For `orders_max` orders at the same time.
    pub fn new(orders_max: u32) -> Self {
        let mut index = IdIndex::new(orders_max as usize);
        index.touch_memory();
        Self(index)
    }

    #[inline(always)]
    fn tag(order: u64) -> u32 {
        (order.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }
}

impl Slots for SlotIndex {
    #[inline(always)]
    fn get(&self, books: &Books, order: u64) -> Option<u32> {
        self.0.find(Self::tag(order), |slot| books.find(slot, order).is_some())
    }

    #[inline(always)]
    fn insert(&mut self, order: u64, slot: u32) {
        self.0.insert(Self::tag(order), slot);
    }

    #[inline(always)]
    fn take(&mut self, books: &Books, order: u64) -> Option<u32> {
        self.0.take(Self::tag(order), |slot| books.find(slot, order).is_some())
    }

    #[inline(always)]
    fn remove(&mut self, order: u64, slot: u32) {
        self.0.remove(Self::tag(order), slot);
    }

    #[inline(always)]
    fn prefetch(&self, order: u64) {
        self.0.prefetch(Self::tag(order));
    }
}

/// Books, and which slot each order has.
#[derive(Debug)]
pub struct Desk<S> {
    books: Books,
    slots: S,
}

/// What became of a request, beside its fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out; this much of the order was neither filled nor rests.
    Done {
        /// What is left of an immediate order.
        unfilled: i64,
    },
    /// It names no order that is live.
    Gone,
}

impl<S: Slots> Desk<S> {
    /// Books for so many instruments with prices up to `ticks_max`, and room for `orders_max` live
    /// orders.
    pub fn new(instruments: u32, ticks_max: u64, orders_max: u32, slots: S) -> Self {
        let mut books = Books::new(orders_max);
        (0..instruments).for_each(|_| {
            books.open_book(ticks_max);
        });
        books.touch_memory();
        Self { books, slots }
    }

    /// The books.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Carries a request out.
    #[inline(always)]
    pub fn apply(&mut self, request: &Request, on_fill: impl FnMut(&Fill)) -> Outcome {
        let book = BookId(request.instrument);
        match request.action {
            Action::New => self.enter(book, request, true, on_fill),
            Action::Ioc => self.enter(book, request, false, on_fill),
            Action::Cancel => match self.cancel(book, request.order) {
                Some(_) => Outcome::Done { unfilled: 0 },
                None => Outcome::Gone,
            },
            Action::Replace => self.replace(book, request, on_fill),
        }
    }

    /// Enters an order; what is left rests or not.
    #[inline(always)]
    pub fn enter(
        &mut self,
        book: BookId,
        request: &Request,
        rests: bool,
        on_fill: impl FnMut(&Fill),
    ) -> Outcome {
        let left = self.trade(book, request, on_fill);
        if left == 0 || !rests {
            return Outcome::Done { unfilled: left };
        }
        let slot = self.books.reserve();
        self.rest(book, slot, request, left);
        self.slots.insert(request.order, slot);
        Outcome::Done { unfilled: 0 }
    }

    /// Gives an order another price and quantity, behind all others at that price. It keeps its slot.
    #[inline(always)]
    pub fn replace(
        &mut self,
        book: BookId,
        request: &Request,
        on_fill: impl FnMut(&Fill),
    ) -> Outcome {
        let Some(slot) = self.slots.get(&self.books, request.order) else { return Outcome::Gone };
        self.books.remove(book, slot);
        let left = self.trade(book, request, on_fill);
        if left > 0 {
            self.rest(book, slot, request, left);
        } else {
            self.slots.remove(request.order, slot);
            self.books.release(slot);
        }
        Outcome::Done { unfilled: 0 }
    }

    /// Trades an order and returns what is left of it.
    #[inline(always)]
    fn trade(&mut self, book: BookId, request: &Request, on_fill: impl FnMut(&Fill)) -> i64 {
        if !self.books.crosses(book, request.side.opposite(), Some(request.ticks)) {
            return request.qty.into();
        }
        self.trade_crossing(book, request, on_fill)
    }

    /// The same where there is something to trade with, by itself as in the engine.
    #[inline(never)]
    fn trade_crossing(
        &mut self,
        book: BookId,
        request: &Request,
        mut on_fill: impl FnMut(&Fill),
    ) -> i64 {
        let slots = &mut self.slots;
        let (maker_side, qty) = (request.side.opposite(), i64::from(request.qty));
        self.books.take(book, maker_side, Some(request.ticks), qty, |fill| {
            if fill.maker_leaves_qty == 0 {
                slots.remove(fill.maker_id, fill.maker);
            }
            on_fill(&fill);
        })
    }

    #[inline(always)]
    fn rest(&mut self, book: BookId, slot: u32, request: &Request, leaves_qty: i64) {
        let Request { order: id, side, ticks, .. } = *request;
        self.books.rest(book, slot, Resting { id, side, ticks, leaves_qty, tag: 0 });
    }

    /// Cancels an order and returns it as it was; none when it is gone.
    #[inline(always)]
    pub fn cancel(&mut self, book: BookId, order: u64) -> Option<Resting> {
        let slot = self.slots.take(&self.books, order)?;
        let resting = self.books.order(slot);
        self.books.cancel(book, slot);
        Some(resting)
    }

    /// Asks for the memory of requests that wait: `waiting` gives the one so many places ahead.
    #[inline(always)]
    pub fn look_ahead<'r>(&self, waiting: impl Fn(usize) -> Option<&'r Request>) {
        if !self.books.pays_to_look_ahead() {
            return;
        }
        let slot = |request: &Request| self.slots.get(&self.books, request.order).unwrap_or(GONE);
        if let Some(request) = waiting(16) {
            self.slots.prefetch(request.order);
        }
        if let Some(request) = waiting(10) {
            self.books.prefetch(slot(request));
        }
        if let Some(request) = waiting(5) {
            self.books.prefetch_queue(slot(request));
        }
    }
}
