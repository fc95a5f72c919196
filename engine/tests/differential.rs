//! The engine against a naive one: the same commands must give the same events, byte for byte, and
//! the same books.
//!
//! A failure prints the profile, the seed and the command; `SEED=.. cargo test --release` repeats
//! it. `LONG=1 cargo test --release` plays 20 times as many seeds, 60 million commands.

#[path = "naive/flow.rs"]
mod flow;
mod naive;

use std::collections::BTreeMap;

use flow::{Flow, Profile, seeds};
use ironbook_engine::{
    Engine, EngineLimits, Event, InstrumentId, Sequence, Side, Stamp, Timestamp,
    domain::RejectReason, engine::RiskMeasure, sink::VecSink,
};
use naive::Naive;

/// Commands per profile and seed; a debug build does fewer.
const COMMANDS: u64 = if cfg!(debug_assertions) { 6_000 } else { 120_000 };
const SEEDS: u64 = 2;

fn limits(orders_max: u32, closed_orders_kept: u32, state_hash_interval: u32) -> EngineLimits {
    EngineLimits { orders_max, closed_orders_kept, state_hash_interval, ..EngineLimits::default() }
}

const BASE: (u8, i64, i64) = (2, 1, 1);

fn profile(name: &'static str) -> Profile {
    Profile {
        name,
        limits: limits(400, 300, 1000),
        instruments: 2,
        sessions: 4,
        spread: 12,
        lots: 20,
        steps: BASE,
        weights: [500, 300, 150, 30, 1, 4],
        risk: 0,
        hostile: 500,
        names: 1 << 40,
    }
}

fn run_all(profile: Profile) {
    seeds(SEEDS).for_each(|seed| drop(run(profile, seed)));
}

#[test]
fn tight_book() {
    run_all(profile("tight book"));
}

#[test]
fn deep_book() {
    let weights = [600, 200, 100, 10, 0, 1];
    run_all(Profile { limits: limits(900, 500, 5000), weights, ..profile("deep book") });
}

#[test]
fn one_price() {
    run_all(Profile { spread: 1, ..profile("one price") });
}

#[test]
fn wide_prices() {
    let steps = (4, 25, 10);
    run_all(Profile { spread: 5_000_000, steps, ..profile("wide prices") });
}

#[test]
fn prices_over_the_whole_domain() {
    let spread = (1 << 35) - 1;
    run_all(Profile { spread, lots: 5, ..profile("prices over the whole domain") });
}

#[test]
fn many_instruments() {
    run_all(Profile { instruments: 60, sessions: 20, ..profile("many instruments") });
}

#[test]
fn halts() {
    run_all(Profile { weights: [500, 300, 150, 30, 1, 100], ..profile("halts") });
}

#[test]
fn many_replaces() {
    run_all(Profile { weights: [300, 100, 600, 30, 1, 4], ..profile("many replaces") });
}

#[test]
fn mass_cancels() {
    run_all(Profile { weights: [500, 300, 150, 30, 40, 4], ..profile("mass cancels") });
}

#[test]
fn hostile_values() {
    let weights = [500, 250, 150, 80, 1, 20];
    run_all(Profile { hostile: 8, weights, ..profile("hostile values") });
}

#[test]
fn names_used_again() {
    run_all(Profile { names: 400, ..profile("names used again") });
}

#[test]
fn tiny_limits() {
    run_all(Profile { limits: limits(12, 5, 7), names: 60, ..profile("tiny limits") });
}

#[test]
fn one_order_and_nothing_remembered() {
    run_all(Profile { limits: limits(1, 0, 0), ..profile("one order, nothing remembered") });
}

#[test]
fn risk_limits() {
    run_all(Profile { risk: 12, ..profile("risk limits") });
}

#[test]
fn risk_limits_often_set() {
    let weights = [500, 100, 150, 10, 1, 0];
    let limits = limits(400, 300, 50);
    let profile = Profile { risk: 60, weights, limits, sessions: 3, ..profile("limits often set") };
    let mut seen: BTreeMap<RejectReason, u64> = BTreeMap::new();
    for seed in seeds(SEEDS) {
        run(profile, seed)
            .into_iter()
            .for_each(|(rule, times)| *seen.entry(rule).or_default() += times);
    }
    let often: u64 = if cfg!(debug_assertions) { 20 } else { 400 };
    for rule in [
        RejectReason::OrderNotionalTooLarge,
        RejectReason::PriceFarFromReference,
        RejectReason::TooManyOpenOrders,
        RejectReason::OpenNotionalTooLarge,
        RejectReason::TradedNotionalTooLarge,
        RejectReason::LossTooLarge,
        RejectReason::SessionCancelOnly,
    ] {
        assert!(seen.get(&rule).is_some_and(|&times| times > often), "{rule:?} of {seen:?}");
    }
}

#[test]
fn risk_limits_of_many_sessions() {
    run_all(Profile { risk: 60, instruments: 30, sessions: 40, ..profile("many limits") });
}

#[test]
fn risk_limits_with_hostile_values() {
    let steps = (4, 25, 10);
    let spread = 5_000_000;
    run_all(Profile { risk: 20, hostile: 8, steps, spread, ..profile("hostile limits") });
}

#[test]
fn risk_limits_beyond_the_largest_notional() {
    let (spread, steps) = ((1 << 35) - 1, (0, 1, 1_000_000));
    run_all(Profile { risk: 20, spread, steps, ..profile("huge notionals") });
}

/// Nanoseconds between two commands: a window of a millisecond has a hundred of them.
const STEP_NS: u64 = 10_000;

/// Returns how often each rule refused an order or tripped a session.
fn run(profile: Profile, seed: u64) -> BTreeMap<RejectReason, u64> {
    let mut seen: BTreeMap<RejectReason, u64> = BTreeMap::new();
    let mut flow = Flow::new(profile, seed);
    let mut engine = Engine::new(EngineLimits::default());
    let mut naive = Naive::new(EngineLimits::default());
    let mut next = Sequence(1);
    for number in 0..COMMANDS {
        let command = flow.next();
        let stamp = Stamp { sequence: next, time: Timestamp(number * STEP_NS) };
        let mut sink = VecSink::default();
        let measures = engine.risk_of(&command);
        next = engine.apply(stamp, &command, &mut sink);
        let expected = naive.apply(stamp, &command);
        let at = format!("{}, seed {seed}, command {number}: {command:?}", profile.name);
        compare_measures(&measures, &expected, &at);
        compare(&engine, stamp, &sink, &expected, &at);
        assert_eq!(next.0, stamp.sequence.0 + 1 + expected.len() as u64, "{at}");
        expected.iter().for_each(|event| flow.learn(event));
        for rule in expected.iter().filter_map(rule_of) {
            *seen.entry(rule).or_default() += 1;
        }
        if number % 499 == 498 {
            compare_books(&engine, &naive, profile.instruments, &at);
            assert_eq!(engine.state_hash(), engine.recompute_state_hash(), "{at}");
        }
        if number % (COMMANDS / 4) == 100 {
            engine = reread(&engine, &at);
        }
    }
    seen
}

/// The rule that an order broke, or that tripped a session.
fn rule_of(event: &Event) -> Option<RejectReason> {
    match event {
        Event::OrderRejected(event) => Some(event.reason),
        Event::CancelRejected(event) => Some(event.reason),
        Event::SessionTripped(event) => Some(event.rule),
        _ => None,
    }
}

/// What is told of an order before it is carried out is what it is refused by, if it is.
fn compare_measures(measures: &[RiskMeasure], expected: &[Event], at: &str) {
    use RejectReason as R;
    let refused = expected.first().and_then(|event| match event {
        Event::OrderRejected(of) => {
            Some((of.reason, (of.limit, of.limit_scale), (of.observed, of.observed_scale)))
        }
        Event::CancelRejected(of) => {
            Some((of.reason, (of.limit, of.limit_scale), (of.observed, of.observed_scale)))
        }
        _ => None,
    });
    let broken = measures.iter().position(RiskMeasure::is_broken);
    let rules = [
        R::OrderNotionalTooLarge,
        R::PriceFarFromReference,
        R::TooManyOpenOrders,
        R::OpenNotionalTooLarge,
    ];
    let order: Vec<_> = measures
        .iter()
        .map(|measure| rules.iter().position(|rule| *rule == measure.rule).expect(at))
        .collect();
    assert!(order.is_sorted_by(|one, next| one < next), "{at}: {measures:?}");
    match refused.filter(|(reason, ..)| rules.contains(reason)) {
        Some((reason, limit, observed)) => {
            assert_eq!(broken, Some(measures.len() - 1), "{at}: {measures:?}");
            let last = measures[measures.len() - 1];
            let told = (last.rule, (last.limit, last.scale()), (last.observed, last.scale()));
            assert_eq!(told, (reason, limit, observed), "{at}");
        }
        None if refused.is_some() => assert_eq!(measures, [], "{at}: refused before that"),
        None => assert_eq!(broken, None, "{at}: {measures:?}"),
    }
}

fn compare(engine: &Engine, stamp: Stamp, sink: &VecSink, expected: &[Event], at: &str) {
    assert_eq!(sink.events.len(), expected.len(), "{at}: {:?}, expected {expected:?}", sink.events);
    for (index, ((place, event), expected)) in sink.events.iter().zip(expected).enumerate() {
        let sequence = Sequence(stamp.sequence.0 + 1 + index as u64);
        assert_eq!(*place, Stamp { sequence, time: stamp.time }, "{at}");
        let mut expected = *expected;
        if let Event::StateHashed(hashed) = &mut expected {
            hashed.state_hash = engine.recompute_state_hash();
        }
        assert_eq!(*event, expected, "{at}, event {index}");
        assert_eq!(event.payload(), expected.payload(), "{at}, event {index}");
    }
}

/// The depth, and every order in its place.
fn compare_books(engine: &Engine, naive: &Naive, instruments: u32, at: &str) {
    assert_eq!(engine.totals().live_orders as usize, naive.live.len(), "{at}");
    for instrument in (1..=instruments).map(InstrumentId) {
        for &side in Side::ALL {
            let mut expected: Vec<_> = naive
                .live
                .iter()
                .filter(|o| o.execution.instrument == instrument && o.execution.side == side)
                .collect();
            let sign = if side == Side::Buy { -1 } else { 1 };
            expected.sort_by_key(|o| (sign * o.execution.price, o.priority));
            let mut expected = expected.into_iter();
            for level in engine.book(instrument).unwrap().levels(side) {
                let mut qty = 0;
                let mut count = 0;
                for order in level.orders() {
                    let naive = expected.next().expect(at).execution;
                    assert_eq!(order.order_id, naive.order_id, "{at}");
                    assert_eq!(order.price, naive.price, "{at}");
                    assert_eq!(order.leaves_qty, naive.leaves_qty, "{at}");
                    assert_eq!(order.cl_ord_id, naive.cl_ord_id, "{at}");
                    assert_eq!(level.price, order.price, "{at}");
                    qty += order.leaves_qty as u128;
                    count += 1;
                }
                assert_eq!((level.qty(), level.order_count()), (qty, count), "{at}");
                assert!(count > 0, "{at}: a level without orders");
            }
            assert!(expected.next().is_none(), "{at}");
        }
    }
}

/// The engine that its saved state gives.
fn reread(engine: &Engine, at: &str) -> Engine {
    let mut bytes = Vec::new();
    engine.write_state(&mut bytes);
    let restored = Engine::read_state(&bytes).unwrap_or_else(|error| panic!("{at}: {error}"));
    let mut again = Vec::new();
    restored.write_state(&mut again);
    assert!(bytes == again, "{at}: the state changes when it is read and written");
    assert_eq!(restored.state_hash(), engine.state_hash(), "{at}");
    assert_eq!(restored.recompute_state_hash(), engine.state_hash(), "{at}");
    restored
}
