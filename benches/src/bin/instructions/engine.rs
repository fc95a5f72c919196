//! Commands to an engine.

use ironbook_benches::workload::{RequestId, preparation};
use ironbook_engine::{
    Account, ClOrdId, Command, Engine, EngineLimits, Event, InstrumentId, OrdType, OrderId,
    Sequence, SessionId, Side, Stamp, TimeInForce, Timestamp,
    command::{CancelOrder, NewOrder, OrderTerms, Origin, ReplaceOrder},
    sink::{CountingSink, VecSink},
};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::{COUNTED, ROUND_MAX, counted, draw};

const INSTRUMENT: InstrumentId = InstrumentId(1);
const SESSION: SessionId = SessionId(1);
/// Sells rest above this price, buys below.
const MIDDLE: i64 = 1_000_000;
/// Prices next to the middle that orders don't rest at.
const SPREAD: i64 = 100;
const QTY: i64 = 10;
/// Orders of one side at a price.
const LEVEL_ORDERS: i64 = 15;

/// An order as its client knows it.
#[derive(Clone, Copy)]
struct Order {
    order_id: OrderId,
    cl_ord_id: ClOrdId,
    side: Side,
    price: i64,
}

/// An engine with a book full of orders and with as many closed orders as it remembers.
struct Venue {
    engine: Engine,
    next: Sequence,
    /// Requests that got a ClOrdID.
    requests: u64,
    live: Vec<Order>,
    rng: Pcg64Mcg,
}

impl Venue {
    fn new(live_orders: usize) -> Self {
        let orders_max = 1 << 20;
        let limits = EngineLimits { orders_max, ..EngineLimits::default() };
        let mut venue = Self {
            engine: Engine::new(limits),
            next: Sequence(1),
            requests: 0,
            live: Vec::with_capacity(live_orders),
            rng: Pcg64Mcg::seed_from_u64(1),
        };
        // All but the limits, which are above.
        let definitions = &preparation(1)[1..];
        apply_all(&mut venue.engine, &mut venue.next, definitions);
        for number in 0..live_orders as i64 {
            let (side, away) = match number % 2 {
                0 => (Side::Sell, 1),
                _ => (Side::Buy, -1),
            };
            let price = MIDDLE + away * (SPREAD + number / 2 / LEVEL_ORDERS);
            let order = venue.rest(side, price);
            venue.live.push(order);
        }
        while venue.engine.totals().remembered < limits.closed_orders_kept {
            venue.draw();
            let cancels = venue.cancels();
            venue.play(&cancels);
            venue.rest_again();
        }
        venue
    }

    /// Commands of a round.
    fn round(&self) -> usize {
        ROUND_MAX.min(self.live.len() / 4)
    }

    /// Rounds to carry out.
    fn rounds(&self) -> usize {
        COUNTED / self.round()
    }

    /// Brings random orders to the front, those of the next round.
    fn draw(&mut self) {
        let round = self.round();
        draw(&mut self.live, round, &mut self.rng);
    }

    /// A ClOrdID that was not used before.
    fn name(&mut self) -> ClOrdId {
        self.requests += 1;
        ClOrdId::try_from(RequestId::new(b"L", self.requests).as_bytes()).expect("a short name")
    }

    fn new_order(&mut self, side: Side, price: i64) -> NewOrder {
        let name = self.name();
        NewOrder::new(origin(), INSTRUMENT, terms(side, price), Account::EMPTY, name)
    }

    /// New orders with the terms of the orders of this round, which are theirs from now on.
    fn new_orders(&mut self) -> Vec<Command> {
        (0..self.round())
            .map(|at| {
                let Order { side, price, .. } = self.live[at];
                let command = self.new_order(side, price);
                self.live[at] =
                    Order { order_id: OrderId::NONE, cl_ord_id: command.cl_ord_id, side, price };
                command.into()
            })
            .collect()
    }

    /// Cancels of the orders of this round; by OrderID when they have one.
    fn cancels(&mut self) -> Vec<Command> {
        (0..self.round())
            .map(|at| {
                let Order { order_id, cl_ord_id, side, .. } = self.live[at];
                let own = self.name();
                CancelOrder::new(origin(), order_id, INSTRUMENT, side, own, cl_ord_id).into()
            })
            .collect()
    }

    /// Replaces of the orders of this round, each to the price of another order of its side.
    fn replaces(&mut self) -> Vec<Command> {
        (0..self.round())
            .map(|at| {
                let old = self.live[at];
                let price = loop {
                    let other = self.live[self.rng.random_range(0..self.live.len())];
                    if other.side == old.side && other.price != old.price {
                        break other.price;
                    }
                };
                let cl_ord_id = self.name();
                self.live[at] = Order { cl_ord_id, price, ..old };
                let terms = terms(old.side, price);
                let ids = (cl_ord_id, old.cl_ord_id);
                ReplaceOrder::new(origin(), OrderId::NONE, INSTRUMENT, terms, ids).into()
            })
            .collect()
    }

    /// Makes an order that rests.
    fn rest(&mut self, side: Side, price: i64) -> Order {
        let command = self.new_order(side, price);
        let mut sink = VecSink::default();
        let stamp = Stamp { sequence: self.next, time: Timestamp(0) };
        self.next = self.engine.apply(stamp, &command.into(), &mut sink);
        let [(_, Event::Execution(report)), ..] = sink.events[..] else {
            panic!("an order did not rest: {:?}", sink.events);
        };
        Order { order_id: report.order_id, cl_ord_id: command.cl_ord_id, side, price }
    }

    /// Makes the orders of this round again.
    fn rest_again(&mut self) {
        for at in 0..self.round() {
            let Order { side, price, .. } = self.live[at];
            self.live[at] = self.rest(side, price);
        }
    }

    /// Forgets OrderIDs, so that cancels name their orders by ClOrdID.
    fn forget_order_ids(&mut self) {
        self.live.iter_mut().for_each(|order| order.order_id = OrderId::NONE);
    }

    fn play(&mut self, commands: &[Command]) -> u64 {
        apply_all(&mut self.engine, &mut self.next, commands)
    }

    /// Plays commands and counts their instructions.
    fn play_counted(&mut self, commands: &[Command]) -> u64 {
        counted(|| apply_all(&mut self.engine, &mut self.next, commands))
    }

    fn live_orders(&self) -> usize {
        self.engine.totals().live_orders as usize
    }
}

/// New orders that rest.
pub(crate) fn new_order_rests(live_orders: usize) -> u64 {
    let mut venue = Venue::new(live_orders);
    for _ in 0..venue.rounds() {
        venue.draw();
        let (cancels, orders) = (venue.cancels(), venue.new_orders());
        venue.play(&cancels);
        venue.play_counted(&orders);
        assert_eq!(venue.live_orders(), live_orders);
    }
    (venue.rounds() * venue.round()) as u64
}

/// New orders that each trade with one resting order; both are filled.
pub(crate) fn new_order_trades(live_orders: usize) -> u64 {
    let mut venue = Venue::new(live_orders);
    for round in 1..=venue.rounds() {
        let price = |number: usize| MIDDLE + number as i64 / LEVEL_ORDERS;
        for number in 0..venue.round() {
            venue.rest(Side::Sell, price(number));
        }
        let takers: Vec<Command> = (0..venue.round())
            .map(|number| venue.new_order(Side::Buy, price(number)).into())
            .collect();
        venue.play_counted(&takers);
        assert_eq!(venue.engine.totals().trades as usize, round * venue.round());
        assert_eq!(venue.live_orders(), live_orders);
    }
    (venue.rounds() * venue.round()) as u64
}

/// Cancels that name their order by OrderID.
pub(crate) fn cancel_by_order_id(live_orders: usize) -> u64 {
    cancel(live_orders, |_| {})
}

/// Cancels that name their order by OrigClOrdID alone.
pub(crate) fn cancel_by_cl_ord_id(live_orders: usize) -> u64 {
    cancel(live_orders, Venue::forget_order_ids)
}

fn cancel(live_orders: usize, prepare: fn(&mut Venue)) -> u64 {
    let mut venue = Venue::new(live_orders);
    for _ in 0..venue.rounds() {
        venue.draw();
        prepare(&mut venue);
        let cancels = venue.cancels();
        venue.play_counted(&cancels);
        assert_eq!(venue.live_orders(), live_orders - venue.round());
        venue.rest_again();
    }
    (venue.rounds() * venue.round()) as u64
}

/// Replaces that take their order to another price, named by OrigClOrdID.
pub(crate) fn replace_loses_priority(live_orders: usize) -> u64 {
    let mut venue = Venue::new(live_orders);
    for _ in 0..venue.rounds() {
        venue.draw();
        let before = venue.engine.totals();
        let replaces = venue.replaces();
        let events = venue.play_counted(&replaces);
        let after = venue.engine.totals();
        assert_eq!(events as usize, replaces.len());
        assert_eq!((after.live_orders, after.trades), (before.live_orders, 0));
        for order in &venue.live[..venue.round()] {
            let moved = venue.engine.order(order.order_id).expect("it lives");
            assert_eq!((moved.cl_ord_id, moved.price), (order.cl_ord_id, order.price));
        }
    }
    (venue.rounds() * venue.round()) as u64
}

/// Applies commands and returns how many events they had.
fn apply_all(engine: &mut Engine, next: &mut Sequence, commands: &[Command]) -> u64 {
    let mut sink = CountingSink::default();
    for command in commands {
        let stamp = Stamp { sequence: *next, time: Timestamp(0) };
        *next = engine.apply(stamp, command, &mut sink);
    }
    sink.events
}

fn origin() -> Origin {
    Origin::new(SESSION, 0, Timestamp(0))
}

fn terms(side: Side, price: i64) -> OrderTerms {
    OrderTerms {
        side,
        ord_type: OrdType::Limit,
        time_in_force: TimeInForce::Day,
        price: (price, 2),
        order_qty: (QTY, 0),
    }
}
