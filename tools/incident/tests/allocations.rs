//! A search allocates nothing for the frames that it passes.

mod common;
#[path = "../../../engine/tests/counting/mod.rs"]
mod counting;

use common::{START_NS, Script, churn, index, memory_dir};
use counting::allocations;
use ironbook_incident::{condition::Condition, moment::Moment};

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
    let before = allocations();
    assert_eq!(moment.run_until(&mut condition.watch()).unwrap(), None);
    let taken = allocations() - before;
    assert!(index.last_sequence() > 12_000);
    assert!(taken < ALLOWED, "{taken} allocations");
}
