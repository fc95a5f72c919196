//! Books against naive ones: the same steps must give the same fills, and leave the same levels,
//! queues and free slots.
//!
//! A failure prints the profile, the seed and the step; `SEED=.. cargo test --release` repeats it.
//! `LONG=1 cargo test --release` plays 20 times as many seeds, 22 million steps.

#[path = "naive/flow.rs"]
#[allow(dead_code)]
mod flow;
#[path = "naive/book.rs"]
mod naive;

use flow::{Random, seeds};
use ironbook_engine::{
    Side,
    book::{BookId, Books, Fill, Resting},
    command,
};
use naive::NaiveBooks;

const TICKS_MAX: u64 = command::TICKS_MAX as u64;

/// Steps per profile and seed; a debug build does fewer.
const STEPS: u32 = if cfg!(debug_assertions) { 6_000 } else { 60_000 };
const SEEDS: u64 = 2;

/// What a run is like.
#[derive(Clone, Copy)]
struct Profile {
    name: &'static str,
    books: u32,
    orders_max: u32,
    /// Prices are fewer than this many ticks from the middle.
    spread: u64,
    /// Quantities are at most this.
    qty_max: i64,
    /// The highest price: below 2^18, an array holds the levels.
    ticks_max: u64,
}

fn profile(name: &'static str) -> Profile {
    Profile { name, books: 3, orders_max: 600, spread: 12, qty_max: 20, ticks_max: TICKS_MAX }
}

/// One change. Orders are named by slot.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A new order takes up to `limit` and then rests there if it may.
    New {
        book: BookId,
        side: Side,
        limit: Option<u64>,
        qty: i64,
        rests: bool,
    },
    /// A new order rests and takes nothing, even where that crosses the book.
    Rest {
        book: BookId,
        side: Side,
        ticks: u64,
        qty: i64,
    },
    Cancel {
        slot: u32,
    },
    Shrink {
        slot: u32,
        leaves_qty: i64,
    },
    Requeue {
        slot: u32,
        leaves_qty: i64,
    },
    /// An order leaves its queue, takes up to its new price, and rests there with what is left.
    Reprice {
        slot: u32,
        ticks: u64,
        leaves_qty: i64,
    },
}

/// The books, the naive ones, and what they are given to do.
struct Stage {
    profile: Profile,
    seed: u64,
    number: u32,
    step: Option<Step>,
    books: Books,
    naive: NaiveBooks,
    random: Random,
    middle: u64,
    /// Slot and id of orders that came to rest; they may be gone.
    known: Vec<(u32, u64)>,
    last_id: u64,
    fills: u64,
}

/// A failure, be it of a comparison or of an assertion in the books, says where the run stands.
impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { profile, seed, number, step, .. } = self;
            eprintln!("{}, seed {seed}, step {number}: {step:?}", profile.name);
        }
    }
}

impl Stage {
    fn new(profile: Profile, seed: u64) -> Self {
        let (mut books, mut naive) =
            (Books::new(profile.orders_max), NaiveBooks::new(profile.orders_max));
        for _ in 0..profile.books {
            assert_eq!(books.open_book(profile.ticks_max), naive.open_book());
        }
        Self {
            profile,
            seed,
            number: 0,
            step: None,
            books,
            naive,
            random: Random(seed),
            middle: 0,
            known: Vec::new(),
            last_id: 0,
            fills: 0,
        }
    }

    /// Plays random steps. From empty books it is the same steps each time, in other slots.
    fn play_round(&mut self, steps: u32) {
        self.random = Random(self.seed);
        let Profile { spread, ticks_max, .. } = self.profile;
        let middles = [spread, 1 << 12, 1 << 24, 1 << 35, ticks_max - spread];
        self.middle = self.random.pick(&middles).min(ticks_max - spread);
        for number in 0..steps {
            self.number = number;
            let step = self.next_step();
            self.play(step);
            if number % 499 == 498 {
                self.compare_all();
            }
        }
        self.compare_all();
    }

    /// Cancels every order.
    fn clear(&mut self) {
        while let Some((slot, _)) = self.pick_order() {
            self.play(Step::Cancel { slot });
        }
        self.compare_all();
        assert_eq!(self.books.taken(), 0);
    }

    /// Books fill until about full, then lose more orders than they gain, in turn.
    fn next_step(&mut self) -> Step {
        let steps_to_fill = 4 * self.profile.orders_max.max(100);
        let kind = self.random.weighted(match self.number / steps_to_fill % 2 {
            0 => &[55, 3, 5, 1, 12, 8, 8, 8],
            _ => &[22, 6, 8, 1, 36, 8, 8, 9],
        });
        if (kind > 3 || self.books.is_full())
            && let Some((slot, order)) = self.pick_order()
        {
            return self.change(kind, slot, order);
        }
        let book = BookId(self.random.below(self.profile.books.into()) as u32);
        let side = match self.random.once_in(4) {
            true => self.random.pick(Side::ALL),
            false => Side::ALL[self.number as usize / 1_000 % 2],
        };
        let (ticks, qty) = (self.price(side), self.qty());
        match kind {
            1 => Step::New { book, side, limit: None, qty, rests: false },
            2 => Step::New { book, side, limit: Some(ticks), qty, rests: false },
            3 => Step::Rest { book, side, ticks, qty },
            _ => Step::New { book, side, limit: Some(ticks), qty, rests: true },
        }
    }

    fn change(&mut self, kind: usize, slot: u32, order: Resting) -> Step {
        let leaves_qty = self.qty();
        match kind {
            5 => Step::Shrink { slot, leaves_qty: 1 + leaves_qty % order.leaves_qty },
            6 => Step::Requeue { slot, leaves_qty },
            7 => Step::Reprice { slot, ticks: self.price(order.side), leaves_qty },
            _ => Step::Cancel { slot },
        }
    }

    /// Mostly on its own side of the middle, closer more often than far; now and then the price of
    /// another order, so that queues form at any spread, and the ends of the domain.
    fn price(&mut self, side: Side) -> u64 {
        match self.random.below(32) {
            0 => {
                let highest = self.profile.ticks_max;
                return self.random.pick(&[0, 1, highest - 1, highest]);
            }
            1..8 => {
                if let Some((_, other)) = self.pick_order()
                    && other.side == side
                {
                    return other.ticks;
                }
            }
            8 if self.profile.spread > 1 => {
                self.middle = (self.middle + self.random.below(7)).saturating_sub(3);
            }
            _ => {}
        }
        let spread = self.profile.spread;
        let away = self.random.below(spread).min(self.random.below(spread));
        let passive = !self.random.once_in(8);
        let price = match (side == Side::Buy) == passive {
            true => self.middle.saturating_sub(away),
            false => self.middle + away,
        };
        price.min(self.profile.ticks_max)
    }

    fn qty(&mut self) -> i64 {
        1 + self.random.below(self.profile.qty_max as u64) as i64
    }

    /// A resting order. Orders that are gone must not be found, and are forgotten.
    fn pick_order(&mut self) -> Option<(u32, Resting)> {
        while !self.known.is_empty() {
            let at = self.random.below(self.known.len() as u64) as usize;
            let (slot, id) = self.known[at];
            let order = self.naive.order(slot).map(|(_, order)| order).filter(|o| o.id == id);
            self.books.prefetch(slot);
            self.books.prefetch_queue(slot);
            assert_eq!(self.books.find(slot, id), order.map(|_| slot));
            if let Some(order) = order {
                assert_eq!(self.books.order(slot), order);
                return Some((slot, order));
            }
            self.known.swap_remove(at);
        }
        None
    }

    fn play(&mut self, step: Step) {
        self.step = Some(step);
        match step {
            Step::New { book, side, limit, qty, rests } => {
                let slot = self.reserve();
                let left = self.take(book, side, limit, qty);
                let rests = if rests { left } else { 0 };
                self.rest_or_release(book, slot, (side, limit.unwrap_or(0), rests));
                self.compare(book, limit.unwrap_or(0));
            }
            Step::Rest { book, side, ticks, qty } => {
                let slot = self.reserve();
                self.rest_or_release(book, slot, (side, ticks, qty));
                self.compare(book, ticks);
            }
            Step::Cancel { slot } => {
                let (book, order) = self.naive.order(slot).unwrap();
                self.books.cancel(book, slot);
                self.naive.remove(slot);
                self.naive.release(slot);
                self.compare(book, order.ticks);
                assert_eq!(self.books.find(slot, order.id), None);
            }
            Step::Shrink { slot, leaves_qty } => {
                let (book, order) = self.naive.order(slot).unwrap();
                self.books.shrink(slot, leaves_qty);
                self.naive.shrink(slot, leaves_qty);
                self.compare(book, order.ticks);
            }
            Step::Requeue { slot, leaves_qty } => {
                let (book, order) = self.naive.order(slot).unwrap();
                self.books.requeue(slot, leaves_qty);
                self.naive.requeue(slot, leaves_qty);
                self.compare(book, order.ticks);
            }
            Step::Reprice { slot, ticks, leaves_qty } => {
                let (book, order) = self.naive.order(slot).unwrap();
                self.books.remove(book, slot);
                self.naive.remove(slot);
                self.compare(book, order.ticks);
                let left = self.take(book, order.side, Some(ticks), leaves_qty);
                self.rest_or_release(book, slot, (order.side, ticks, left));
                self.compare(book, ticks);
            }
        }
    }

    fn reserve(&mut self) -> u32 {
        let (slot, expected) = (self.books.reserve(), self.naive.reserve());
        assert_eq!(slot, expected);
        slot
    }

    /// An order of `side` takes from the other side.
    fn take(&mut self, book: BookId, side: Side, limit: Option<u64>, qty: i64) -> i64 {
        let maker_side = side.opposite();
        let can_fill = self.naive.can_fill(book, maker_side, limit, qty);
        assert_eq!(self.books.can_fill(book, maker_side, limit, qty), can_fill);
        let mut fills: Vec<Fill> = Vec::new();
        let left = self.books.take(book, maker_side, limit, qty, |fill| fills.push(fill));
        let expected = self.naive.take(book, maker_side, limit, qty);
        assert_eq!((&fills, left), (&expected.0, expected.1));
        assert_eq!(left == 0, can_fill);
        self.fills += fills.len() as u64;
        for fill in fills.iter().filter(|fill| fill.maker_leaves_qty == 0) {
            assert_eq!(self.books.find(fill.maker, fill.maker_id), None);
        }
        left
    }

    fn rest_or_release(&mut self, book: BookId, slot: u32, order: (Side, u64, i64)) {
        let (side, ticks, leaves_qty) = order;
        if leaves_qty == 0 {
            self.books.release(slot);
            return self.naive.release(slot);
        }
        self.last_id += 1;
        let order = Resting { id: self.last_id, side, ticks, leaves_qty, tag: self.last_id as u8 };
        self.books.rest(book, slot, order);
        self.naive.rest(book, slot, order);
        self.known.push((slot, order.id));
    }

    /// What a step can have changed at once: the touch, the level at its price, the counts.
    fn compare(&self, book: BookId, ticks: u64) {
        let (books, naive) = (&self.books, &self.naive);
        for &side in Side::ALL {
            assert_eq!(books.best(book, side), naive.best(book, side));
            let qty = naive.qty_at(book, side, ticks);
            assert_eq!(books.qty_at(book, side, ticks), qty);
        }
        assert_eq!(books.is_crossed(book), naive.is_crossed(book));
        assert_eq!((books.taken(), books.slots()), (naive.taken(), naive.slots()));
        assert_eq!(books.is_full(), naive.taken() == naive.orders_max);
    }

    /// Every level of every book, every order in its place, and every slot.
    fn compare_all(&self) {
        let (books, naive) = (&self.books, &self.naive);
        let mut resting = Vec::new();
        for book in (0..self.profile.books).map(BookId) {
            self.compare(book, self.middle);
            for &side in Side::ALL {
                let mut expected = naive.levels(book, side).into_iter();
                for level in books.levels(book, side) {
                    let (ticks, slots) = expected.next().unwrap();
                    let qty = naive.qty(slots);
                    assert_eq!(level.ticks, ticks);
                    assert_eq!(level.order_count() as usize, slots.len());
                    assert_eq!(level.qty(), qty);
                    assert_eq!(books.qty_at(book, side, ticks), qty);
                    let found = books.level(book, side, ticks).unwrap();
                    assert!(found.slots().eq(level.slots()) && found.ticks == ticks);
                    assert!(level.slots().eq(slots.iter().copied()));
                    for &slot in slots {
                        assert_eq!(Some((book, books.order(slot))), naive.order(slot));
                        resting.push(slot);
                    }
                }
                assert_eq!(expected.next(), None);
            }
        }
        resting.sort_unstable();
        assert!(books.resting_slots().eq(resting));
        assert!(books.free_slots().eq(naive.free_slots()));
    }
}

fn run_all(profile: Profile) {
    for seed in seeds(SEEDS) {
        let mut stage = Stage::new(profile, seed);
        stage.play_round(STEPS / 2);
        stage.clear();
        let before = stage.books.memory_bytes();
        stage.play_round(STEPS / 2);
        stage.clear();
        assert_eq!(stage.books.memory_bytes(), before, "memory leaks");
        assert!(stage.fills > u64::from(STEPS / 100), "{} fills show little", stage.fills);
    }
}

#[test]
fn one_price() {
    run_all(Profile { spread: 1, ..profile("one price") });
}

/// Totals of levels go beyond 64 bits.
#[test]
fn one_price_and_large_quantities() {
    let qty_max = command::MANTISSA_MAX;
    run_all(Profile { spread: 1, qty_max, ..profile("one price and large quantities") });
}

#[test]
fn close_prices() {
    run_all(profile("close prices"));
}

#[test]
fn scattered_prices() {
    run_all(Profile { spread: 5_000, ..profile("scattered prices") });
}

#[test]
fn prices_with_a_hard_bound() {
    for ticks_max in [900, (1 << 18) - 1] {
        let bounded = profile("prices with a hard bound");
        run_all(Profile { ticks_max, ..bounded });
        run_all(Profile { ticks_max, spread: 400, ..bounded });
        run_all(Profile { ticks_max, spread: ticks_max / 2, ..bounded });
    }
}

#[test]
fn far_prices() {
    run_all(Profile { spread: 20_000_000, ..profile("far prices") });
}

#[test]
fn prices_over_the_whole_domain() {
    run_all(Profile { spread: 1 << 35, ..profile("prices over the whole domain") });
}

#[test]
fn many_books() {
    run_all(Profile { books: 60, ..profile("many books") });
}

#[test]
fn deep_book() {
    run_all(Profile { books: 1, orders_max: 4_000, ..profile("deep book") });
}

#[test]
fn two_slots() {
    run_all(Profile { books: 1, orders_max: 2, ..profile("two slots") });
}

#[test]
fn books_that_grow() {
    for seed in seeds(SEEDS) {
        let mut stage = Stage::new(Profile { orders_max: 60, ..profile("books that grow") }, seed);
        for orders_max in [61, 200, 3_000] {
            stage.play_round(STEPS / 20);
            stage.books.grow(orders_max);
            stage.naive.orders_max = orders_max;
        }
        stage.play_round(STEPS / 20);
        stage.clear();
    }
}

/// An order above the highest price of its book would have the place of another price.
#[test]
fn no_order_is_above_the_highest_price() {
    for ticks_max in [0, 1_000, (1 << 18) - 1, 1 << 18, TICKS_MAX] {
        let mut books = Books::new(2);
        let (book, slot) = (books.open_book(ticks_max), books.reserve());
        let order = Resting { id: 1, side: Side::Buy, ticks: ticks_max, leaves_qty: 1, tag: 0 };
        assert!(refuses(|| books.rest(book, slot, Resting { ticks: ticks_max + 1, ..order })));
        books.rest(book, slot, order);
        assert_eq!(books.qty_at(book, Side::Buy, ticks_max), 1);
        assert_eq!(books.qty_at(book, Side::Buy, ticks_max + (1 << 18)), 0);
    }
    assert!(refuses(|| Books::new(1).open_book(TICKS_MAX + 1)));
}

/// A limit above every price would have a key that any buy is better than.
#[test]
fn no_limit_is_above_every_price() {
    for side in [Side::Buy, Side::Sell] {
        let mut books = Books::new(1);
        let (book, slot) = (books.open_book(TICKS_MAX), books.reserve());
        books.rest(book, slot, Resting { id: 1, side, ticks: 5, leaves_qty: 1, tag: 0 });
        let limit = Some(TICKS_MAX + 1);
        assert!(refuses(|| books.can_fill(book, side, limit, 1)));
        assert!(refuses(|| books.take(book, side, limit, 1, |_| ())));
        assert_eq!(books.order(slot).leaves_qty, 1);
    }
}

/// An order that has left one queue for another keeps its slot, and rests nowhere in between.
#[test]
fn a_removed_order_does_not_rest() {
    let mut books = Books::new(1);
    let (book, slot) = (books.open_book(TICKS_MAX), books.reserve());
    let order = Resting { id: 7, side: Side::Buy, ticks: 5, leaves_qty: 1, tag: 0 };
    assert_eq!(books.resting_slots().count(), 0);
    books.rest(book, slot, order);
    assert!(books.resting_slots().eq([slot]));
    books.remove(book, slot);
    assert_eq!((books.resting_slots().count(), books.find(slot, 7)), (0, Some(slot)));
    books.rest(book, slot, Resting { ticks: 6, ..order });
    assert!(books.resting_slots().eq([slot]) && books.taken() == 1);
    books.cancel(book, slot);
    assert_eq!((books.resting_slots().count(), books.find(slot, 7)), (0, None));
}

/// Whether a call panics.
fn refuses<T>(call: impl FnOnce() -> T) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err()
}

/// Orders at random prices over the whole domain come and go in random order, twice: the second
/// time needs no more memory than the first.
#[test]
fn far_prices_leave_no_pages_behind() {
    const ORDERS: u32 = 100_000;
    let mut books = Books::new(ORDERS);
    let book = books.open_book(TICKS_MAX);
    let mut memory = Vec::new();
    for _ in 0..2 {
        let mut random = Random(1);
        let mut slots: Vec<u32> = Vec::new();
        for id in 1..=u64::from(ORDERS) {
            let (side, ticks) = (random.pick(Side::ALL), random.next() & TICKS_MAX);
            let slot = books.reserve();
            books.rest(book, slot, Resting { id, side, ticks, leaves_qty: 1, tag: 0 });
            slots.push(slot);
        }
        assert!(books.is_full());
        while !slots.is_empty() {
            let at = random.below(slots.len() as u64) as usize;
            books.cancel(book, slots.swap_remove(at));
        }
        assert!(books.taken() == 0 && !books.is_crossed(book));
        memory.push(books.memory_bytes());
    }
    assert_eq!(memory[0], memory[1]);
}

/// A level that comes and goes at one end of the domain, or at both in turn, while another stays at
/// the other end, stacks pages up to the highest root and takes them down again.
#[test]
fn extreme_prices_in_turn_leave_no_pages_behind() {
    for &side in Side::ALL {
        let mut books = Books::new(10);
        let book = books.open_book(TICKS_MAX);
        let memory = books.memory_bytes();
        let rest = |books: &mut Books, ticks| {
            let slot = books.reserve();
            books.rest(book, slot, Resting { id: 1, side, ticks, leaves_qty: 1, tag: 0 });
            slot
        };
        for stays in [None, Some(0), Some(TICKS_MAX / 2), Some(TICKS_MAX)] {
            let stays = stays.map(|ticks| rest(&mut books, ticks));
            for _ in 0..20_000 {
                let slots = [0, TICKS_MAX].map(|ticks| rest(&mut books, ticks));
                slots.iter().for_each(|&slot| books.cancel(book, slot));
                let slot = rest(&mut books, TICKS_MAX);
                books.cancel(book, slot);
            }
            stays.iter().for_each(|&slot| books.cancel(book, slot));
        }
        assert_eq!((books.memory_bytes(), books.best(book, side)), (memory, None));
    }
}
