use ironbook_benches::book::Request;
use ironbook_engine::Side;
use orderbook_rs::{Id, OrderBook, OrderType, TimeInForce, TimestampMs, TradeResult};
use pricelevel::{Hash32, Price, Quantity};

use super::{Book, Trades};
use crate::Engine;

/// Its books may be used by many threads at once; here one does.
pub struct OrderbookRs(Vec<OrderBook<()>>);

impl OrderbookRs {
    pub fn new(instruments: u32) -> Self {
        Self((1..=instruments).map(|number| OrderBook::new(&format!("SYM{number}"))).collect())
    }
}

fn count(result: &TradeResult, trades: &mut Trades) {
    for trade in result.match_result.trades().as_vec() {
        trades.add(trade.price().as_u128() as u64, trade.quantity().as_u64());
    }
}

impl Book for OrderbookRs {
    fn engine(&self) -> Engine {
        Engine { name: "orderbook-rs", licence: "MIT" }
    }

    #[inline(always)]
    fn enter(&mut self, request: &Request, rests: bool, trades: &mut Trades) {
        let order = OrderType::Standard {
            id: Id::Sequential(request.order),
            price: Price::new(u128::from(request.ticks)),
            quantity: Quantity::new(u64::from(request.qty)),
            side: match request.side {
                Side::Buy => orderbook_rs::Side::Buy,
                Side::Sell => orderbook_rs::Side::Sell,
            },
            user_id: Hash32::zero(),
            timestamp: TimestampMs::new(request.order),
            time_in_force: if rests { TimeInForce::Gtc } else { TimeInForce::Ioc },
            extra_fields: (),
        };
        match self.0[request.instrument as usize].add_order_with_committed(order) {
            Ok((_, Some(result))) => count(&result, trades),
            Ok((_, None)) => {}
            // An immediate order with something left is an error, and carries what it traded before.
            Err(failure) => {
                if let Some(result) = &failure.committed {
                    count(result, trades);
                }
            }
        }
    }

    #[inline(always)]
    fn cancel(&mut self, request: &Request) -> bool {
        let book = &self.0[request.instrument as usize];
        matches!(book.cancel_order(Id::Sequential(request.order)), Ok(Some(_)))
    }
}
