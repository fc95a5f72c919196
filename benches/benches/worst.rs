//! The worst cases of the engine, one command at a time: what each costs at p50, p99, p99.9, p99.99
//! and at most, beside the same number of looks at the clock with nothing between them.
//!
//! `cargo bench -p ironbook-benches --bench worst -- [--quick]`. Figures contain one look at the
//! clock. A command's events are built and dropped.

use std::time::Instant;

use hdrhistogram::Histogram;
use ironbook_benches::{
    distance::{self, FAR_CPU},
    load::latency_histogram,
    workload,
};
use ironbook_engine::{
    Account, ClOrdId, Command, Engine, EngineLimits, Event, EventRecord, InstrumentId, OrdType,
    OrderId, Sequencer, SessionId, Side, SideFilter, Stamp, TimeInForce, Timestamp,
    command::{CancelOrder, MassCancel, NewOrder, OrderTerms, Origin, ReplaceOrder},
    event::{CancelRejected, OrderRejected},
    record::Record,
    sink::EventSink,
};

/// Middle of all prices: far prices lie ten million ticks away.
const MIDDLE: i64 = 20_000_000;
const FAR: i64 = 10_000_000;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick" || argument == "--test");
    let scale = if quick { 100 } else { 1 };
    distance::pin(FAR_CPU);
    // First, as what others freed would be used again and not counted.
    memory(1_000_000 / scale);
    println!("ns for a single command         p50      p99    p99.9   p99.99        max    count");
    noise(1_000_000 / scale);
    normal(2_000_000 / scale);
    far_prices(500_000 / scale);
    one_level(1_000_000 / scale, 200_000 / scale);
    many_levels(1_000_000 / scale, 200_000 / scale);
    alternating_extremes(500_000 / scale);
    names_used_again(500_000 / scale);
    sweeps(2_000 / scale, 200);
    sweeps(5_000 / scale, 100);
    mass_cancel(100_000 / scale, 10);
}

/// An engine with one instrument and one session, whose memory is there.
struct Bench {
    engine: Engine,
    sequencer: Sequencer,
    rejects: Rejects,
    names: u64,
}

/// Counts rejects: a case that is rejected would be measured as something cheap.
#[derive(Default)]
struct Rejects(u64);

impl EventSink for Rejects {
    #[inline]
    fn emit<E: EventRecord + Into<Event>>(&mut self, _stamp: Stamp, event: &E) {
        self.0 += u64::from([OrderRejected::KIND, CancelRejected::KIND].contains(&E::KIND));
        std::hint::black_box(event);
    }
}

impl Bench {
    fn new(orders_max: u32) -> Self {
        let mut bench = Self {
            engine: Engine::new(EngineLimits::default()),
            sequencer: Sequencer::default(),
            rejects: Rejects::default(),
            names: 0,
        };
        let limits = EngineLimits { orders_max, state_hash_interval: 0, ..EngineLimits::default() };
        bench.apply(&limits.into());
        for command in &workload::preparation(1)[1..] {
            bench.apply(command);
        }
        bench.engine.touch_memory();
        bench
    }

    fn apply(&mut self, command: &Command) {
        let stamp = self.sequencer.stamp(Timestamp(0));
        self.sequencer.resume_at(self.engine.apply(stamp, command, &mut self.rejects));
    }

    /// Applies a command and records what it took.
    fn time(&mut self, command: &Command, into: &mut Histogram<u64>) {
        let start = Instant::now();
        self.apply(command);
        into.saturating_record(start.elapsed().as_nanos() as u64);
    }

    /// Ends a case: nothing was rejected, and so much is left and has traded.
    fn expect(&self, live_orders: usize, trades: usize) {
        let totals = self.engine.totals();
        assert_eq!(self.rejects.0, 0, "a rejected command is no measure");
        assert_eq!((totals.live_orders, totals.trades), (live_orders as u32, trades as u64));
    }

    fn name(&mut self) -> ClOrdId {
        self.names += 1;
        name(self.names)
    }

    fn order(&mut self, side: Side, price: i64, qty: i64) -> (Command, ClOrdId) {
        let name = self.name();
        (order(side, price, qty, TimeInForce::Day, name), name)
    }
}

fn origin() -> Origin {
    Origin::new(SessionId(1), 0, Timestamp(0))
}

fn name(number: u64) -> ClOrdId {
    workload::RequestId::new(b"W", number).as_bytes().try_into().unwrap_or_default()
}

fn order(side: Side, price: i64, qty: i64, tif: TimeInForce, name: ClOrdId) -> Command {
    let terms = OrderTerms {
        side,
        ord_type: OrdType::Limit,
        time_in_force: tif,
        price: (price, workload::SCALES.0),
        order_qty: (qty, workload::SCALES.1),
    };
    NewOrder::new(origin(), InstrumentId(1), terms, Account::EMPTY, name).into()
}

fn cancel(side: Side, name: ClOrdId) -> Command {
    let (none, instrument) = (OrderId::NONE, InstrumentId(1));
    CancelOrder::new(origin(), none, instrument, side, ClOrdId::EMPTY, name).into()
}

fn print(what: &str, of: &Histogram<u64>) {
    let at = |quantile| of.value_at_quantile(quantile);
    println!(
        "{what:<26} {:>8} {:>8} {:>8} {:>8} {:>10} {:>8}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(0.9999),
        of.max(),
        of.len()
    );
}

/// What the machine takes by itself: over a look at the clock, and over as many steps as take about as
/// long as a command, since what interrupts a machine meets a longer stretch more often.
fn noise(count: usize) {
    let spans: [(&str, u32); 2] = [("nothing (noise)", 0), ("250 steps (noise)", 250)];
    for (what, steps) in spans {
        let mut found = latency_histogram();
        for _ in 0..count {
            let start = Instant::now();
            for step in 0..steps {
                std::hint::black_box(step);
            }
            found.saturating_record(start.elapsed().as_nanos() as u64);
        }
        print(what, &found);
    }
}

/// An ITCH-like flow, cancels by OrigClOrdID.
fn normal(count: usize) {
    let mut bench = Bench::new(1 << 18);
    let mut found = latency_histogram();
    for command in &workload::commands(20_150_501, 1, count) {
        bench.time(command, &mut found);
    }
    print("normal flow", &found);
}

/// Orders ten million ticks apart come and go in a book that holds many.
fn far_prices(count: usize) {
    let mut bench = Bench::new(1 << 20);
    let (mut adds, mut cancels) = (latency_histogram(), latency_histogram());
    let mut random = 1u64;
    let mut price = |side| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let away = (random >> 33) as i64 % FAR + 1;
        if side == Side::Buy { MIDDLE - away } else { MIDDLE + away }
    };
    let mut live = std::collections::VecDeque::new();
    for number in 0..count {
        let side = if number % 2 == 0 { Side::Buy } else { Side::Sell };
        let (command, name) = bench.order(side, price(side), 1);
        bench.time(&command, &mut adds);
        live.push_back((side, name));
        if live.len() > 50_000
            && let Some((side, name)) = live.pop_front()
        {
            bench.time(&cancel(side, name), &mut cancels);
        }
    }
    bench.expect(live.len(), 0);
    print("add at a far price", &adds);
    print("cancel at a far price", &cancels);
}

/// Orders of a queue `depth` deep.
fn one_level(depth: usize, count: usize) {
    let mut bench = Bench::new(1 << 20 | 1 << 19);
    let names: Vec<ClOrdId> = (0..depth)
        .map(|_| {
            let (command, name) = bench.order(Side::Buy, MIDDLE, 1);
            bench.apply(&command);
            name
        })
        .collect();
    let (mut adds, mut cancels) = (latency_histogram(), latency_histogram());
    let mut replaces = latency_histogram();
    for number in 0..count {
        let (command, _) = bench.order(Side::Buy, MIDDLE, 1);
        bench.time(&command, &mut adds);
        // All over the queue.
        let old = names[number * 2 % depth.max(1)];
        if number % 2 == 0 {
            bench.time(&cancel(Side::Buy, old), &mut cancels);
        } else {
            let new = bench.name();
            let terms = OrderTerms {
                side: Side::Buy,
                ord_type: OrdType::Limit,
                time_in_force: TimeInForce::Day,
                price: (MIDDLE, workload::SCALES.0),
                order_qty: (2, workload::SCALES.1),
            };
            let instrument = InstrumentId(1);
            let ids = (new, old);
            let replace = ReplaceOrder::new(origin(), OrderId::NONE, instrument, terms, ids);
            bench.time(&replace.into(), &mut replaces);
        }
    }
    bench.expect(depth + count - count.div_ceil(2), 0);
    print("add, 1M in the queue", &adds);
    print("cancel, 1M in the queue", &cancels);
    print("replace, 1M in the queue", &replaces);
}

/// Orders of a book of so many levels of one order.
fn many_levels(levels: usize, count: usize) {
    let mut bench = Bench::new(1 << 20 | 1 << 19);
    let price = |number: usize| MIDDLE - (number * 7_919 % levels) as i64 * 3;
    let names: Vec<ClOrdId> = (0..levels)
        .map(|number| {
            let (command, name) = bench.order(Side::Buy, price(number), 1);
            bench.apply(&command);
            name
        })
        .collect();
    let (mut adds, mut cancels) = (latency_histogram(), latency_histogram());
    for (number, &name) in names.iter().enumerate().take(count) {
        bench.time(&cancel(Side::Buy, name), &mut cancels);
        let (command, _) = bench.order(Side::Buy, price(number), 1);
        bench.time(&command, &mut adds);
    }
    bench.expect(levels, 0);
    print("add, 1M levels", &adds);
    print("cancel, 1M levels", &cancels);
}

/// The lowest and the highest price in turn: the index grows to its full height and shrinks.
fn alternating_extremes(count: usize) {
    let mut bench = Bench::new(1 << 18);
    let (near, _) = bench.order(Side::Buy, MIDDLE, 1);
    bench.apply(&near);
    let highest = ironbook_engine::command::TICKS_MAX;
    let (mut adds, mut cancels) = (latency_histogram(), latency_histogram());
    for number in 0..count {
        let (side, price) = if number % 2 == 0 { (Side::Buy, 1) } else { (Side::Sell, highest) };
        let (command, name) = bench.order(side, price, 1);
        bench.time(&command, &mut adds);
        bench.time(&cancel(side, name), &mut cancels);
    }
    bench.expect(1, 0);
    print("add at an extreme price", &adds);
    print("cancel at an extreme price", &cancels);
}

/// ClOrdIDs come again as soon as they are forgotten.
fn names_used_again(count: usize) {
    let mut bench = Bench::new(1 << 18);
    let kept = u64::from(EngineLimits::default().closed_orders_kept);
    let mut found = latency_histogram();
    for number in 0..count as u64 {
        let name = name(number % (kept + 1));
        bench.time(&order(Side::Buy, MIDDLE, 1, TimeInForce::Day, name), &mut found);
        bench.time(&cancel(Side::Buy, name), &mut found);
    }
    bench.expect(0, 0);
    print("a ClOrdID used again", &found);
}

/// One order takes so many levels of one order each.
fn sweeps(levels: usize, count: usize) {
    let mut bench = Bench::new(1 << 18);
    let mut found = latency_histogram();
    for _ in 0..count {
        for number in 0..levels as i64 {
            let (command, _) = bench.order(Side::Sell, MIDDLE + number, 1);
            bench.apply(&command);
        }
        let name = bench.name();
        let price = MIDDLE + levels as i64;
        let sweep = order(Side::Buy, price, levels as i64, TimeInForce::Ioc, name);
        bench.time(&sweep, &mut found);
    }
    bench.expect(0, levels * count);
    print(&format!("sweep of {levels} levels"), &found);
    println!("  a level: {} ns", found.value_at_quantile(0.5) / (levels as u64).max(1));
}

/// One request cancels all orders of a session.
fn mass_cancel(orders: usize, count: usize) {
    let mut bench = Bench::new(1 << 18);
    let mut found = latency_histogram();
    for _ in 0..count {
        for number in 0..orders {
            let (command, _) = bench.order(Side::Sell, MIDDLE + (number % 500) as i64, 1);
            bench.apply(&command);
        }
        let (all, name) = (InstrumentId::NONE, bench.name());
        let request = MassCancel::new(origin(), all, SideFilter::Both, b'7', name);
        bench.time(&request.into(), &mut found);
    }
    bench.expect(0, 0);
    print(&format!("mass cancel of {orders}"), &found);
    println!("  an order: {} ns", found.value_at_quantile(0.5) / (orders as u64).max(1));
}

/// Bytes that a resting order costs, by what the process has in memory.
fn memory(orders: usize) {
    let before = resident_bytes();
    let limits = EngineLimits {
        orders_max: orders as u32,
        closed_orders_kept: 0,
        state_hash_interval: 0,
        ..EngineLimits::default()
    };
    let mut bench = Bench::new(1);
    bench.engine = Engine::new(limits);
    bench.sequencer = Sequencer::default();
    for command in &workload::preparation(1)[1..] {
        bench.apply(command);
    }
    for number in 0..orders {
        let (command, _) = bench.order(Side::Sell, MIDDLE + (number % 5_000) as i64, 1);
        bench.apply(&command);
    }
    bench.expect(orders, 0);
    let each = resident_bytes().saturating_sub(before) / orders.max(1);
    println!("memory: a resting order is 32 bytes hot and 76 cold; {each} bytes in all with its");
    println!(
        "part of levels and index, by what the process has in memory, and 24 more once it has traded"
    );
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}
