//! What must hold after any flow, told from the commands, the events and the depth alone.
//!
//! A failure prints the seed; `SEED=.. cargo test --release` repeats it.
//! `LONG=1 cargo test --release` plays 20 times as many seeds, 19 million commands.

#[path = "naive/flow.rs"]
#[allow(dead_code)]
mod flow;

use std::collections::HashMap;

use flow::{Flow, Profile, seeds};
use ironbook_engine::{
    Command, Engine, EngineLimits, Event, ExecType, InstrumentId, LastLiquidity, OrderId, Sequence,
    Side, Stamp, Timestamp, TradeId, event::Execution, sink::VecSink,
};

/// Commands per test and seed; a debug build does fewer.
const COMMANDS: u64 = if cfg!(debug_assertions) { 6_000 } else { 60_000 };
const SEEDS: u64 = 4;

/// An order's quantities as its requests and reports tell them.
#[derive(Clone, Copy, Default)]
struct Account {
    /// OrderQty of the last request that was granted.
    asked: i64,
    /// Sum of LastQty.
    traded: i64,
    /// What was left when it was canceled.
    canceled: i64,
    last: Option<Execution>,
}

/// Every order that was ever accepted.
#[derive(Default)]
struct Ledger {
    orders: HashMap<OrderId, Account>,
    /// How many of them have something left by their last report.
    live: usize,
}

fn run(spread: i64, seed: u64) {
    println!("seed {seed}");
    let limits =
        EngineLimits { orders_max: 500, closed_orders_kept: 100, ..EngineLimits::default() };
    let profile = Profile {
        name: "properties",
        limits,
        instruments: 3,
        sessions: 5,
        spread,
        lots: 30,
        steps: (2, 5, 10),
        weights: [500, 250, 200, 10, 2, 2],
        risk: 0,
        hostile: 200,
        names: 1 << 40,
    };
    let (mut flow, mut engine) = (Flow::new(profile, seed), Engine::new(limits));
    let mut ledger = Ledger::default();
    let (mut next, mut last_trade) = (Sequence(1), TradeId(0));
    for number in 0..COMMANDS {
        let (command, mut sink) = (flow.next(), VecSink::default());
        next = engine.apply(Stamp { sequence: next, time: Timestamp(0) }, &command, &mut sink);
        let reports: Vec<Execution> = sink
            .events
            .iter()
            .filter_map(|(_, event)| if let Event::Execution(e) = event { Some(*e) } else { None })
            .collect();
        for report in &reports {
            ledger.follow(report);
            if matches!(report.exec_type, ExecType::New | ExecType::Replaced) {
                ledger.orders.get_mut(&report.order_id).unwrap().asked = asked(&command, report);
            }
        }
        check_trades(&reports, &mut last_trade);
        sink.events.iter().for_each(|(_, event)| flow.learn(event));
        if number % 100 == 0 {
            check_books(&engine, &ledger);
        }
        if number % (COMMANDS / 4) == COMMANDS / 4 - 1 {
            check_sums(&engine, &ledger.orders);
        }
    }
    assert!(last_trade.0 > COMMANDS / 20, "a flow without trades shows nothing");
}

/// OrderQty of the request that a report grants, in the scale of the report.
fn asked(request: &Command, report: &Execution) -> i64 {
    let (mantissa, scale) = match request {
        Command::NewOrder(request) => (request.order_qty, request.qty_scale),
        Command::ReplaceOrder(request) => (request.order_qty, request.qty_scale),
        other => panic!("{report:?} without a request: {other:?}"),
    };
    let (mantissa, scale, to) = (i128::from(mantissa), scale.into(), report.qty_scale.into());
    let qty = mantissa * 10i128.pow(to) / 10i128.pow(scale);
    qty.try_into().expect("a quantity that was granted")
}

impl Ledger {
    /// OrderQty = CumQty + LeavesQty while it lives; CumQty is what its trades add up to.
    fn follow(&mut self, report: &Execution) {
        let order = self.orders.entry(report.order_id).or_default();
        if report.exec_type == ExecType::Trade {
            order.traded += report.last_qty;
            let before = order.last.expect("new before trade");
            let notional = before.cum_notional() + report.last_px as u128 * report.last_qty as u128;
            assert_eq!(report.cum_notional(), notional);
            match report.side {
                _ if report.price == 0 => {}
                Side::Buy => assert!(report.last_px <= report.price),
                Side::Sell => assert!(report.last_px >= report.price),
            }
        }
        if report.exec_type == ExecType::Canceled {
            order.canceled += order.last.expect("new before canceled").leaves_qty;
        }
        assert_eq!(report.cum_qty, order.traded);
        let lives = !matches!(report.ord_status.code(), b'2' | b'4');
        assert_eq!(lives, report.leaves_qty > 0);
        assert!(!lives || report.order_qty == report.cum_qty + report.leaves_qty);
        let lived = order.last.is_some_and(|last| last.leaves_qty > 0);
        self.live = self.live + usize::from(lives) - usize::from(lived);
        order.last = Some(*report);
    }
}

/// Trades come in pairs, maker first, at the maker's price, and numbers have no holes.
fn check_trades(reports: &[Execution], last_trade: &mut TradeId) {
    let trades: Vec<_> = reports.iter().filter(|e| e.exec_type == ExecType::Trade).collect();
    assert!(trades.len().is_multiple_of(2));
    for pair in trades.chunks(2) {
        let (maker, taker) = (pair[0], pair[1]);
        last_trade.0 += 1;
        assert_eq!((maker.trade_id, taker.trade_id), (*last_trade, *last_trade));
        assert_eq!(maker.last_liquidity, LastLiquidity::Added);
        assert_eq!(taker.last_liquidity, LastLiquidity::Removed);
        assert_eq!(maker.last_px, maker.price);
        assert_eq!((maker.last_px, maker.last_qty), (taker.last_px, taker.last_qty));
        assert_eq!(maker.contra_order_id, taker.order_id);
        assert_eq!(taker.contra_order_id, maker.order_id);
        assert_eq!(maker.side, taker.side.opposite());
    }
}

/// No crossed book, levels in order, queues by priority, totals that add up, and exactly the orders
/// that live by their reports.
fn check_books(engine: &Engine, ledger: &Ledger) {
    let mut resting = 0;
    for instrument in (1..=engine.instruments().len() as u32).map(InstrumentId) {
        let book = engine.book(instrument).unwrap();
        let best = |side| book.best(side).map(|level| level.price);
        if let (Some(bid), Some(ask)) = (best(Side::Buy), best(Side::Sell)) {
            assert!(bid < ask);
        }
        for &side in Side::ALL {
            let prices: Vec<i64> = book.levels(side).map(|level| level.price).collect();
            let sorted = |a: &i64, b: &i64| if side == Side::Buy { a > b } else { a < b };
            assert!(prices.is_sorted_by(sorted));
            for level in book.levels(side) {
                assert!(level.orders().is_sorted_by(|a, b| a.priority < b.priority));
                assert_eq!(level.qty(), level.orders().map(|o| o.leaves_qty as u128).sum());
                for order in level.orders() {
                    let last = ledger.orders[&order.order_id].last.unwrap();
                    assert_eq!((order.leaves_qty, order.price), (last.leaves_qty, last.price));
                    assert_eq!(order.order_qty, order.cum_qty + order.leaves_qty);
                    resting += 1;
                }
            }
        }
    }
    assert_eq!((resting, ledger.live), (ledger.live, engine.totals().live_orders as usize));
}

/// Quantity is conserved: what an order asked for has traded, was canceled or rests; in each
/// instrument as much was bought as was sold, for as much money.
fn check_sums(engine: &Engine, orders: &HashMap<OrderId, Account>) {
    let mut resting: HashMap<OrderId, i64> = HashMap::new();
    for instrument in (1..=engine.instruments().len() as u32).map(InstrumentId) {
        let book = engine.book(instrument).unwrap();
        for order in Side::ALL.iter().flat_map(|&side| book.levels(side)).flat_map(|l| l.orders()) {
            assert!(resting.insert(order.order_id, order.leaves_qty).is_none(), "rests twice");
        }
    }
    let mut sums: HashMap<(InstrumentId, Side), (i128, u128)> = HashMap::new();
    for (id, order) in orders {
        let rests = resting.remove(id).unwrap_or(0);
        assert_eq!(order.asked, order.traded + order.canceled + rests, "{:?}", order.last);
        let last = order.last.unwrap();
        let (qty, notional) = sums.entry((last.instrument, last.side)).or_default();
        *qty += i128::from(order.traded);
        *notional += last.cum_notional();
    }
    assert!(resting.is_empty(), "orders rest that were never reported: {resting:?}");
    for (&(instrument, side), &sum) in &sums {
        let other = sums.get(&(instrument, side.opposite())).copied().unwrap_or_default();
        assert_eq!(sum, other, "{side:?} and its contra side in {instrument}");
    }
}

#[test]
fn one_price() {
    seeds(SEEDS).for_each(|seed| run(1, seed));
}

#[test]
fn close_prices() {
    seeds(SEEDS).for_each(|seed| run(15, seed));
}

#[test]
fn scattered_prices() {
    seeds(SEEDS).for_each(|seed| run(1_000, seed));
}

#[test]
fn far_prices() {
    seeds(SEEDS).for_each(|seed| run(100_000, seed));
}
