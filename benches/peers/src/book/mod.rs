//! Books: price-time priority, requests in, trades out.

mod ironbook;
mod lobster;
mod matchcore;
mod orderbook_rs;

use ironbook_benches::{
    book::{Action, Request},
    flow::{FlowAction, FlowEvent, Mix, Synthetic},
    workload::SCALES,
};
use ironbook_engine::TimeInForce;

use crate::Engine;

/// What was traded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trades {
    /// Trades.
    pub count: u64,
    /// Sum of their quantities.
    pub qty: u64,
    /// Sum of their quantities, each times its price in ticks.
    pub value: u64,
}

impl Trades {
    /// Takes a trade.
    #[inline(always)]
    pub fn add(&mut self, ticks: u64, qty: u64) {
        self.count += 1;
        self.qty += qty;
        self.value += ticks * qty;
    }
}

/// Books of an engine, one for each instrument of a flow.
pub trait Book {
    /// Whose.
    fn engine(&self) -> Engine;

    /// What it is known to trade wrong, if anything; the tests hold it against the engine.
    fn known_fault(&self) -> Option<&'static str> {
        None
    }

    /// Enters an order; what of it does not trade rests, unless it is an immediate one.
    fn enter(&mut self, request: &Request, rests: bool, trades: &mut Trades);

    /// Cancels an order; whether it was there.
    fn cancel(&mut self, request: &Request) -> bool;

    /// Carries a request out. A replace is a cancel and, when that found the order, the same order entered again:
    /// engines differ in when a replace keeps its place, and in this none can.
    #[inline(always)]
    fn apply(&mut self, request: &Request, trades: &mut Trades) {
        match request.action {
            Action::New => self.enter(request, true, trades),
            Action::Ioc => self.enter(request, false, trades),
            Action::Cancel => {
                self.cancel(request);
            }
            Action::Replace => {
                if self.cancel(request) {
                    self.enter(request, true, trades);
                }
            }
        }
    }

    /// Carries many out. Each engine has its own copy of this loop, so that no call within is indirect.
    fn play(&mut self, requests: &[Request]) -> Trades {
        let mut trades = Trades::default();
        for request in requests {
            self.apply(request, &mut trades);
        }
        trades
    }
}

/// Makes empty books for so many instruments, and orders up to this number.
pub type MakeBook = fn(instruments: u32, order_max: u64) -> Box<dyn Book>;

/// All engines, Ironbook first.
pub const BOOKS: [MakeBook; 4] = [
    |instruments, _| Box::new(ironbook::Ironbook::new(instruments)),
    |instruments, order_max| Box::new(matchcore::Matchcore::new(instruments, order_max)),
    |instruments, order_max| Box::new(lobster::Lobster::new(instruments, order_max)),
    |instruments, _| Box::new(orderbook_rs::OrderbookRs::new(instruments)),
];

/// The flow of Ironbook's own benchmarks as requests for books: 45 % new orders, 40 % cancels, 10 % replaces, 5 %
/// immediate orders that cross. The same seed gives the same one.
pub fn flow(seed: u64, instruments: u32, count: usize) -> Vec<Request> {
    Synthetic::new(seed, instruments as usize, Mix::default(), SCALES)
        .take(count)
        .map(|event| request(&event))
        .collect()
}

/// The highest number of an order in a flow.
pub fn order_max(flow: &[Request]) -> u64 {
    flow.iter().map(|request| request.order).max().unwrap_or(0)
}

fn request(event: &FlowEvent) -> Request {
    let (action, ticks, qty) = match event.action {
        FlowAction::New { time_in_force, price, order_qty, .. } => {
            let rests = time_in_force == TimeInForce::Day;
            (if rests { Action::New } else { Action::Ioc }, price.0, order_qty.0)
        }
        FlowAction::Replace { price, order_qty } => (Action::Replace, price.0, order_qty.0),
        FlowAction::Cancel => (Action::Cancel, 0, 0),
    };
    Request {
        order: event.order,
        ticks: ticks as u64,
        qty: qty as u32,
        instrument: event.instrument,
        action,
        side: event.side,
    }
}
