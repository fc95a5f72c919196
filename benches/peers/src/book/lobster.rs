use std::mem;

use ironbook_benches::book::Request;
use ironbook_engine::Side;
use lobster::{FillMetadata, OrderBook, OrderEvent, OrderType};

use super::{Book, Trades};
use crate::Engine;

/// Orders for which the arena of each book has room at once; it grows beyond.
const ORDERS_MAX: usize = 4_096;
/// Orders for which the queue of a new level has room at once; the engine's own default.
const QUEUE_MAX: usize = 10;

/// It has no immediate orders with a limit: those are entered and what rests of them is canceled. Nor does it say
/// whether a cancel found the order: which are live is kept beside it.
pub struct Lobster {
    books: Vec<OrderBook>,
    live: Vec<bool>,
}

impl Lobster {
    pub fn new(instruments: u32, order_max: u64) -> Self {
        let book = |_| OrderBook::new(ORDERS_MAX, QUEUE_MAX, false);
        Self {
            books: (0..instruments).map(book).collect(),
            live: vec![false; order_max as usize + 1],
        }
    }

    fn count(&mut self, fills: &[FillMetadata], trades: &mut Trades) {
        for fill in fills {
            trades.add(fill.price, fill.qty);
            if fill.total_fill {
                self.live[fill.order_2 as usize] = false;
            }
        }
    }
}

impl Book for Lobster {
    fn engine(&self) -> Engine {
        Engine { name: "lobster", licence: "ISC" }
    }

    #[inline(always)]
    fn enter(&mut self, request: &Request, rests: bool, trades: &mut Trades) {
        let event = self.books[request.instrument as usize].execute(OrderType::Limit {
            id: u128::from(request.order),
            side: match request.side {
                Side::Buy => lobster::Side::Bid,
                Side::Sell => lobster::Side::Ask,
            },
            qty: u64::from(request.qty),
            price: request.ticks,
        });
        let is_left = match event {
            OrderEvent::PartiallyFilled { fills, .. } => {
                self.count(&fills, trades);
                true
            }
            OrderEvent::Filled { fills, .. } => {
                self.count(&fills, trades);
                false
            }
            OrderEvent::Placed { .. } => true,
            OrderEvent::Unfilled { .. } | OrderEvent::Canceled { .. } => false,
        };
        self.live[request.order as usize] = is_left;
        if is_left && !rests {
            self.cancel(request);
        }
    }

    #[inline(always)]
    fn cancel(&mut self, request: &Request) -> bool {
        let cancel = OrderType::Cancel { id: u128::from(request.order) };
        self.books[request.instrument as usize].execute(cancel);
        mem::take(&mut self.live[request.order as usize])
    }
}
