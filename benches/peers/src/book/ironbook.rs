use ironbook_benches::book::{Desk, Request, SlotIndex};
use ironbook_engine::{book::BookId, command::TICKS_MAX};

use super::{Book, Trades};
use crate::Engine;

/// Room for live orders of each instrument; the flow keeps at most 2,000.
const ORDERS_MAX: u32 = 4_096;

/// Books for prices anywhere, with an index of order ids as they come, and without a look ahead at the requests that
/// wait: what a stranger's program gets with no more knowledge than the other engines ask for.
pub struct Ironbook(Desk<SlotIndex>);

impl Ironbook {
    pub fn new(instruments: u32) -> Self {
        let orders_max = ORDERS_MAX * instruments;
        Self(Desk::new(instruments, TICKS_MAX as u64, orders_max, SlotIndex::new(orders_max)))
    }
}

impl Book for Ironbook {
    fn engine(&self) -> Engine {
        Engine::IRONBOOK
    }

    #[inline(always)]
    fn enter(&mut self, request: &Request, rests: bool, trades: &mut Trades) {
        let book = BookId(request.instrument);
        self.0.enter(book, request, rests, |fill| trades.add(fill.ticks, fill.qty as u64));
    }

    #[inline(always)]
    fn cancel(&mut self, request: &Request) -> bool {
        self.0.cancel(BookId(request.instrument), request.order).is_some()
    }
}
