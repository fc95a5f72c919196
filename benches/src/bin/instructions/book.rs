//! Operations of books by themselves.

use std::hint::black_box;

use ironbook_engine::command::TICKS_MAX;
use ironbook_engine::{
    Side,
    book::{BookId, Books, Resting},
};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use crate::{COUNTED, ROUND_MAX, counted, draw};

const FIRST_TICKS: u64 = 1 << 20;
const QTY: i64 = 10;

/// An order that rests or is about to.
#[derive(Clone, Copy)]
struct Order {
    slot: u32,
    ticks: u64,
}

/// Sell orders at every other tick, and those of them in turn that come and go.
struct Market {
    books: Books,
    book: BookId,
    orders: Vec<Order>,
    rng: Pcg64Mcg,
}

impl Market {
    /// Levels of so many orders each. Of several orders at a level all but the first come and go,
    /// so that no level closes.
    fn new(levels: u64, orders_each: usize) -> Self {
        let mut books = Books::new(levels as u32 * orders_each as u32 + ROUND_MAX as u32);
        let book = books.open_book(TICKS_MAX as u64);
        let orders = Vec::new();
        let mut market = Self { books, book, orders, rng: Pcg64Mcg::seed_from_u64(1) };
        for number in 0..orders_each {
            let mut orders = at_ticks((0..levels).map(|level| FIRST_TICKS + 2 * level));
            rest(&mut market.books, book, &mut orders);
            if number > 0 || orders_each == 1 {
                market.orders.append(&mut orders);
            }
        }
        market
    }

    /// Orders of a round.
    fn round(&self) -> usize {
        ROUND_MAX.min(self.orders.len().div_ceil(4))
    }

    /// Rounds to carry out.
    fn rounds(&self) -> usize {
        COUNTED / self.round()
    }

    /// Brings random orders to the front, those of the next round.
    fn draw(&mut self) {
        let round = self.round();
        draw(&mut self.orders, round, &mut self.rng);
    }
}

/// Adds orders to a book of so many levels with so many orders each.
pub(crate) fn add(levels: u64, orders_each: usize) -> u64 {
    let mut market = Market::new(levels, orders_each);
    for _ in 0..market.rounds() {
        market.draw();
        let round = market.round();
        let Market { books, book, orders, .. } = &mut market;
        cancel_all(books, *book, &orders[..round]);
        counted(|| rest(books, *book, &mut orders[..round]));
        assert_eq!(books.taken() as usize, levels as usize * orders_each);
    }
    (market.rounds() * market.round()) as u64
}

/// Adds orders to a book as [`add`] does, each at a price that has none.
pub(crate) fn add_opens_a_level(levels: u64, orders_each: usize) -> u64 {
    let mut market = Market::new(levels, orders_each);
    let mut between = at_ticks((0..levels).map(|level| FIRST_TICKS + 2 * level + 1));
    let rounds = COUNTED / between.len();
    let Market { books, book, rng, .. } = &mut market;
    for _ in 0..rounds {
        let count = between.len();
        draw(&mut between, count, rng);
        counted(|| rest(books, *book, &mut between));
        assert_eq!(books.levels(*book, Side::Sell).count(), 2 * levels as usize);
        cancel_all(books, *book, &between);
    }
    (rounds * between.len()) as u64
}

/// Cancels orders of a book of so many levels with so many orders each.
pub(crate) fn cancel(levels: u64, orders_each: usize) -> u64 {
    let mut market = Market::new(levels, orders_each);
    for _ in 0..market.rounds() {
        market.draw();
        let round = market.round();
        let Market { books, book, orders, .. } = &mut market;
        counted(|| cancel_all(books, *book, &orders[..round]));
        assert_eq!(books.taken() as usize, levels as usize * orders_each - round);
        rest(books, *book, &mut orders[..round]);
    }
    (market.rounds() * market.round()) as u64
}

/// Takes all orders of a book of so many levels with so many orders each, at once.
pub(crate) fn take(levels: u64, orders_each: usize) -> u64 {
    let orders = levels as usize * orders_each;
    let mut books = Books::new(orders as u32);
    let book = books.open_book(TICKS_MAX as u64);
    let mut fills = 0;
    for _ in 0..COUNTED / orders {
        let ticks = (0..orders as u64).map(|number| FIRST_TICKS + number % levels);
        rest(&mut books, book, &mut at_ticks(ticks));
        let qty = QTY * orders as i64;
        let left = counted(|| {
            books.take(book, Side::Sell, None, qty, |fill| {
                black_box(fill);
                fills += 1;
            })
        });
        assert!(left == 0 && books.taken() == 0);
    }
    fills
}

/// Orders that have no slot yet.
fn at_ticks(ticks: impl Iterator<Item = u64>) -> Vec<Order> {
    ticks.map(|ticks| Order { slot: u32::MAX, ticks }).collect()
}

fn rest(books: &mut Books, book: BookId, orders: &mut [Order]) {
    for order in orders {
        order.slot = books.reserve();
        let resting =
            Resting { id: 1, side: Side::Sell, ticks: order.ticks, leaves_qty: QTY, tag: 0 };
        books.rest(book, order.slot, black_box(resting));
    }
}

fn cancel_all(books: &mut Books, book: BookId, orders: &[Order]) {
    for order in orders {
        books.cancel(book, black_box(order.slot));
    }
}
