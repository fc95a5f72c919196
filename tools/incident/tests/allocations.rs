//! A search allocates nothing for the frames that it passes.

mod common;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use common::{START_NS, Script, churn, index, memory_dir};
use ironbook_incident::{condition::Condition, moment::Moment};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting per thread.
struct Counting;

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the search itself may take: tables that grow, segments that are opened.
const ALLOWED: u64 = 300;

#[test]
fn a_search_allocates_nothing_per_frame() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut script = Script::with_segments(&dir, 1 << 20);
    churn(&mut script, 3_000);
    script.close();
    let index = index(&dir);
    let text = "trade.px < 0.5 * ref or session = 'C9' or reject.rule = 'DUP' or book.spread > 100 \
                or cl_ord_id = 'x' or latency > 1s or not seq > 0";
    let condition = Condition::parse(text, START_NS).unwrap();
    let mut moment = Moment::before(&index, 1).unwrap();
    let before = ALLOCATIONS.with(Cell::get);
    assert_eq!(moment.run_until(&mut condition.watch()).unwrap(), None);
    let allocations = ALLOCATIONS.with(Cell::get) - before;
    assert!(index.last_sequence() > 12_000);
    assert!(allocations < ALLOWED, "{allocations} allocations");
}
