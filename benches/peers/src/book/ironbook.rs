use ironbook_benches::book::{Desk, Request, SlotArray};
use ironbook_engine::command::TICKS_MAX;

use super::{Book, Trades};
use crate::Engine;

/// Room for live orders; the flow keeps at most 2,000 for each instrument.
const ORDERS_MAX: u32 = 1 << 20;

/// Books for prices anywhere, without a look ahead at the requests that wait: what a stranger's program gets with
/// no more knowledge than the other engines ask for.
pub struct Ironbook(Desk<SlotArray>);

impl Ironbook {
    pub fn new(instruments: u32, order_max: u64) -> Self {
        let slots = SlotArray::new(order_max as usize);
        Self(Desk::new(instruments, TICKS_MAX as u64, ORDERS_MAX, slots))
    }
}

impl Book for Ironbook {
    fn engine(&self) -> Engine {
        Engine::IRONBOOK
    }

    #[inline(always)]
    fn apply(&mut self, request: &Request, trades: &mut Trades) {
        self.0.apply(request, |fill| trades.add(fill.ticks, fill.qty as u64));
    }
}
