//! The operations whose instructions `.ci/instructions` counts and holds against limits.
//!
//! ```text
//! instructions            prints the names of the operations
//! instructions NAME       carries one out and prints how many times
//! ```
//!
//! An operation sets up a warm state, then works in rounds. What a round needs beforehand, and what
//! leads back to where it began, happens outside of [`counted`], so only the operation itself is
//! counted. Each checks that it did what its name says.

mod book;
mod engine;
mod fix;
mod journal;

use std::{hint::black_box, process::ExitCode};

use rand::{Rng, RngExt};

/// Operations of a round at most; a fourth of the orders when that is less, so that a book stays
/// about what it is.
const ROUND_MAX: usize = 1_000;
/// Operations that are counted, in as many whole rounds as they fill.
const COUNTED: usize = 10_000;

/// Carries an operation out and returns how many times.
type Operation = fn() -> u64;

/// A name that ends in a number has a counterpart with another number: the same operation among so
/// many orders.
const OPERATIONS: [(&str, Operation); 25] = [
    ("engine/new-order-rests", || engine::new_order_rests(3_000)),
    ("engine/new-order-trades", || engine::new_order_trades(3_000)),
    ("engine/cancel-by-order-id", || engine::cancel_by_order_id(3_000)),
    ("engine/cancel-by-cl-ord-id", || engine::cancel_by_cl_ord_id(3_000)),
    ("engine/replace-loses-priority", || engine::replace_loses_priority(3_000)),
    ("book/add-at-a-level", || book::add(400, 10)),
    ("book/add-opens-a-level", || book::add_opens_a_level(400, 10)),
    ("book/cancel", || book::cancel(400, 10)),
    ("book/sweep-per-level", || book::take(2_000, 1)),
    ("book/fill-per-order-of-a-level", || book::take(1, 2_000)),
    ("journal/append-and-commit-128-bytes", journal::append_and_commit),
    ("fix/read-new-order-single", fix::read_new_order_single),
    ("fix/write-execution-report", fix::write_execution_report),
    ("growth/engine-new-order-rests/1000", || engine::new_order_rests(1_000)),
    ("growth/engine-new-order-rests/1000000", || engine::new_order_rests(1_000_000)),
    ("growth/engine-cancel-by-cl-ord-id/1000", || engine::cancel_by_cl_ord_id(1_000)),
    ("growth/engine-cancel-by-cl-ord-id/1000000", || engine::cancel_by_cl_ord_id(1_000_000)),
    ("growth/book-add-one-level/1000", || book::add(1, 1_000)),
    ("growth/book-add-one-level/1000000", || book::add(1, 1_000_000)),
    ("growth/book-cancel-one-level/1000", || book::cancel(1, 1_000)),
    ("growth/book-cancel-one-level/1000000", || book::cancel(1, 1_000_000)),
    ("growth/book-add-a-level-each/1000", || book::add(1_000, 1)),
    ("growth/book-add-a-level-each/1000000", || book::add(1_000_000, 1)),
    ("growth/book-cancel-a-level-each/1000", || book::cancel(1_000, 1)),
    ("growth/book-cancel-a-level-each/1000000", || book::cancel(1_000_000, 1)),
];

fn main() -> ExitCode {
    let Some(wanted) = std::env::args().nth(1) else {
        OPERATIONS.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let Some((_, operation)) = OPERATIONS.iter().find(|(name, _)| *name == wanted) else {
        eprintln!("no operation is called {wanted}");
        return ExitCode::from(2);
    };
    println!("{}", operation());
    ExitCode::SUCCESS
}

/// Does work whose instructions are counted: they are, between its entry and its return, in this
/// thread.
#[inline(never)]
fn counted<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

/// Brings this many random items to the front.
fn draw<T>(items: &mut [T], count: usize, rng: &mut impl Rng) {
    for at in 0..count {
        let other = rng.random_range(at..items.len());
        items.swap(at, other);
    }
}
