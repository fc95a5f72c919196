//! What must hold after any flow, told from the events and the depth alone.

#[path = "naive/flow.rs"]
#[allow(dead_code)]
mod flow;

use std::collections::HashMap;

use flow::{Flow, Profile};
use ironbook_engine::{
    Engine, EngineLimits, Event, ExecType, InstrumentId, LastLiquidity, OrderId, Sequence, Side,
    Stamp, Timestamp, TradeId, event::Execution, sink::VecSink,
};

/// An order's quantities as its reports tell them.
#[derive(Clone, Copy, Default)]
struct Account {
    traded: i64,
    last: Option<Execution>,
}

fn run(seed: u64, spread: i64) {
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
        hostile: 200,
        names: 1 << 40,
    };
    let (mut flow, mut engine) = (Flow::new(profile, seed), Engine::new(limits));
    let mut orders: HashMap<OrderId, Account> = HashMap::new();
    let (mut next, mut last_trade) = (Sequence(1), TradeId(0));
    for number in 0..20_000 {
        let (command, mut sink) = (flow.next(), VecSink::default());
        next = engine.apply(Stamp { sequence: next, time: Timestamp(0) }, &command, &mut sink);
        let reports: Vec<Execution> = sink
            .events
            .iter()
            .filter_map(|(_, event)| if let Event::Execution(e) = event { Some(*e) } else { None })
            .collect();
        for report in &reports {
            follow(&mut orders, report, seed);
        }
        check_trades(&reports, &mut last_trade);
        sink.events.iter().for_each(|(_, event)| flow.learn(event));
        if number % 100 == 0 {
            check_books(&engine, &orders);
        }
    }
    assert!(last_trade.0 > 1_000, "a flow without trades shows nothing");
}

/// OrderQty = CumQty + LeavesQty while it lives; CumQty is what its trades add up to.
fn follow(orders: &mut HashMap<OrderId, Account>, report: &Execution, seed: u64) {
    let order = orders.entry(report.order_id).or_default();
    if report.exec_type == ExecType::Trade {
        order.traded += report.last_qty;
        let before = order.last.expect("new before trade");
        let notional = before.cum_notional() + report.last_px as u128 * report.last_qty as u128;
        assert_eq!(report.cum_notional(), notional, "seed {seed}");
        match report.side {
            _ if report.price == 0 => {}
            Side::Buy => assert!(report.last_px <= report.price, "seed {seed}"),
            Side::Sell => assert!(report.last_px >= report.price, "seed {seed}"),
        }
    }
    assert_eq!(report.cum_qty, order.traded, "seed {seed}");
    let lives = !matches!(report.ord_status.code(), b'2' | b'4');
    assert_eq!(lives, report.leaves_qty > 0, "seed {seed}");
    assert!(!lives || report.order_qty == report.cum_qty + report.leaves_qty, "seed {seed}");
    order.last = Some(*report);
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
fn check_books(engine: &Engine, orders: &HashMap<OrderId, Account>) {
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
                    let last = orders[&order.order_id].last.unwrap();
                    assert_eq!((order.leaves_qty, order.price), (last.leaves_qty, last.price));
                    assert_eq!(order.order_qty, order.cum_qty + order.leaves_qty);
                    resting += 1;
                }
            }
        }
    }
    let live = orders.values().filter(|order| order.last.unwrap().leaves_qty > 0).count();
    assert_eq!((resting, live), (live, engine.totals().live_orders as usize));
}

#[test]
fn quantities_are_conserved_and_books_are_sane() {
    for seed in 1..=3 {
        run(seed, 15);
        run(seed, 100_000);
    }
}
