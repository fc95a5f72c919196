use ironbook_benches::book::Request;
use ironbook_engine::Side;
use matchcore::{
    CancelCmd, Command, CommandKind, CommandMeta, CommandOutcome, CommandReport, LimitOrder,
    NewOrder, OrderBook, OrderFlags, OrderId, OrderKind, Price, Quantity, QuantityPolicy,
    SequenceNumber, SubmitCmd, TimeInForce, Timestamp,
};

use super::{Book, Trades};
use crate::Engine;

/// It names an order by the sequence number of the command that entered it: which one that was is kept beside it.
pub struct Matchcore {
    books: Vec<OrderBook>,
    /// Number of the next command of each book.
    next: Vec<u64>,
    /// What the engine calls each order.
    names: Vec<u64>,
}

impl Matchcore {
    pub fn new(instruments: u32, order_max: u64) -> Self {
        let book = |number| OrderBook::new(&format!("SYM{number}"));
        Self {
            books: (1..=instruments).map(book).collect(),
            next: vec![0; instruments as usize],
            // A number that no command has: such an order is not found.
            names: vec![u64::MAX; order_max as usize + 1],
        }
    }

    #[inline(always)]
    fn execute(&mut self, instrument: u32, kind: CommandKind) -> CommandOutcome {
        let at = instrument as usize;
        let number = self.next[at];
        self.next[at] += 1;
        let meta =
            CommandMeta { sequence_number: SequenceNumber(number), timestamp: Timestamp(number) };
        self.books[at].execute(&Command { meta, kind })
    }
}

impl Book for Matchcore {
    fn engine(&self) -> Engine {
        Engine { name: "matchcore", licence: "MIT OR Apache-2.0" }
    }

    fn known_fault(&self) -> Option<&'static str> {
        Some("an order that crosses trades beyond its own limit")
    }

    #[inline(always)]
    fn enter(&mut self, request: &Request, rests: bool, trades: &mut Trades) {
        let time_in_force = if rests { TimeInForce::Gtc } else { TimeInForce::Ioc };
        let side = match request.side {
            Side::Buy => matchcore::Side::Buy,
            Side::Sell => matchcore::Side::Sell,
        };
        let quantity = Quantity(u64::from(request.qty));
        let order = NewOrder::Limit(LimitOrder::new(
            Price(request.ticks),
            QuantityPolicy::Standard { quantity },
            OrderFlags::new(side, false, time_in_force),
        ));
        self.names[request.order as usize] = self.next[request.instrument as usize];
        let outcome = self.execute(request.instrument, CommandKind::Submit(SubmitCmd { order }));
        if let CommandOutcome::Applied(CommandReport::Submit(effects)) = outcome
            && let Some(result) = effects.target_order().match_result()
        {
            for trade in result.trades() {
                trades.add(trade.price().0, trade.quantity().0);
            }
        }
    }

    #[inline(always)]
    fn cancel(&mut self, request: &Request) -> bool {
        let order_id = OrderId(self.names[request.order as usize]);
        let cancel = CancelCmd { order_id, order_kind: OrderKind::Limit };
        let outcome = self.execute(request.instrument, CommandKind::Cancel(cancel));
        matches!(outcome, CommandOutcome::Applied(_))
    }
}
