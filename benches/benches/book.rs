//! The book alone, in one thread: million requests per second of processor time, on flows that
//! other books can be measured on.
//!
//! `cargo bench -p ironbook-benches --bench book -- [--quick] [--export DIR] [flow ...]`; each
//! figure is the median of five runs.
//! `--export` writes the flows as files and measures nothing.

use std::{
    fs::File,
    io::{self, BufWriter},
    path::PathBuf,
    time::Instant,
};

use ironbook_benches::{
    book::{Action, Desk, Flow, Request, SHAPES, SlotArray, TradeHash, flow, write_flow},
    distance::{self, cpu_seconds},
};
use ironbook_engine::{Side, command::TICKS_MAX};

/// Runs of each way.
const RUNS: usize = 5;
/// Seed of the flows.
const SEED: u64 = 20_150_501;

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let quick = words.iter().any(|word| word == "--quick" || word == "--test");
    let export = words.iter().position(|word| word == "--export");
    let dir = export.and_then(|at| words.get(at + 1)).map(PathBuf::from);
    let chosen: Vec<_> = SHAPES.iter().filter(|s| words.iter().any(|w| w == s.name)).collect();
    let shapes = if chosen.is_empty() { SHAPES.iter().collect() } else { chosen };
    let (runs, count) = if quick { (1, 20_000) } else { (RUNS, 2_000_000) };
    distance::pin(distance::FAR_CPU);
    if dir.is_none() {
        let count = if quick { 5 } else { 501 };
        println!(
            "book sweep of 2,000 levels: {:.1} µs; hard bound on prices {:.1} µs",
            sweep(2_000, TICKS_MAX as u64, count),
            sweep(2_000, 200_000, count)
        );
    }
    for shape in shapes {
        let flow = flow(shape, SEED, count);
        match &dir {
            Some(dir) => {
                let path = dir.join(format!("{}.bin", flow.name));
                write_flow(&flow, &mut BufWriter::new(File::create(path)?))?;
            }
            None => measure(&flow, runs),
        }
    }
    Ok(())
}

/// Measures a flow in books of both kinds: for prices anywhere, and, where its prices allow that, for
/// prices with a hard bound.
fn measure(flow: &Flow, runs: usize) {
    let (anywhere, bounded) = (TICKS_MAX as u64, flow.ticks_max());
    let ways = [(anywhere, false), (anywhere, true), (bounded, false), (bounded, true)];
    // In turn, so that no way has a better hour than another.
    let mut rates = [const { Vec::new() }; 4];
    let mut sums = Vec::new();
    for _ in 0..runs {
        for (rates, (ticks_max, looks_ahead)) in rates.iter_mut().zip(ways) {
            let (rate, sum) = play(flow, ticks_max, looks_ahead);
            rates.push(rate);
            sums.push(sum);
        }
    }
    assert!(sums.windows(2).all(|pair| pair[0] == pair[1]), "all ways trade the same");
    let [plain, ahead, bounded, bounded_ahead] = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[runs / 2]
    });
    let TradeHash { trades, hash } = sums[0];
    println!(
        "book {:<6} {plain:>6.2}, looking ahead {ahead:>6.2}; hard bound on prices {bounded:>6.2}, \
         looking ahead {bounded_ahead:>6.2}   M requests per CPU second; {trades} trades, hash \
         {hash:016x}",
        flow.name
    );
}

fn play(flow: &Flow, ticks_max: u64, looks_ahead: bool) -> (f64, TradeHash) {
    let slots = SlotArray::new(flow.order_max() as usize);
    let mut desk = Desk::new(flow.instruments, ticks_max, 1 << 20, slots);
    let mut sum = TradeHash::default();
    let (warm, measured) = flow.requests.split_at(flow.warm);
    for request in warm {
        desk.apply(request, |fill| sum.add(request.order, fill));
    }
    let start = cpu_seconds();
    if looks_ahead {
        for (at, request) in measured.iter().enumerate() {
            desk.look_ahead(|ahead| measured.get(at + ahead));
            desk.apply(request, |fill| sum.add(request.order, fill));
        }
    } else {
        for request in measured {
            desk.apply(request, |fill| sum.add(request.order, fill));
        }
    }
    (measured.len() as f64 / (cpu_seconds() - start) / 1e6, sum)
}

/// Microseconds in which one order takes so many levels of one order each: the median of many.
fn sweep(levels: u64, ticks_max: u64, count: usize) -> f64 {
    let mut desk = Desk::new(1, ticks_max, 1 << 16, SlotArray::new((levels as usize + 1) * count));
    let (mut order, mut sum) = (0, TradeHash::default());
    let mut request = |ticks, qty, action, side| {
        order += 1;
        Request { order, ticks, qty, instrument: 0, action, side }
    };
    let mut times: Vec<f64> = (0..count)
        .map(|_| {
            for level in 0..levels {
                let add = request(100_000 + level, 1, Action::New, Side::Sell);
                desk.apply(&add, |fill| sum.add(add.order, fill));
            }
            let sweep = request(100_000 + levels, levels as u32, Action::Ioc, Side::Buy);
            let start = Instant::now();
            desk.apply(&sweep, |fill| sum.add(sweep.order, fill));
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    assert_eq!(sum.trades, levels * count as u64);
    times.sort_by(f64::total_cmp);
    times[count / 2]
}
