//! Other open engines beside Ironbook, in the same run: books in million requests per CPU second, FIX codecs in
//! nanoseconds of processor time per message.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml -- [--quick] [book] [fix]`; each figure is the
//! median of five runs, the engines take turns within a run.

use ironbook_benches::{
    book::Request,
    distance::{self, cpu_seconds},
};
use ironbook_peers::{
    Engine,
    book::{self, BOOKS, MakeBook, Trades},
    codec::{self, Codec, Report},
    in_turns,
};

/// Runs of each engine.
const RUNS: usize = 5;
/// Seed of the flows.
const SEED: u64 = 20_150_501;
/// Numbers of instruments of the flows.
const INSTRUMENTS: [u32; 2] = [1, 100];
/// Requests of a flow that are measured.
const REQUESTS: usize = 500_000;
/// Requests before them for each instrument: the flow is in balance at 2,000 live orders.
const WARM_REQUESTS: usize = 10_000;
/// Messages that are read and written, and how often in a run.
const MESSAGES: u64 = 64;
const ROUNDS: usize = 2_000;
/// A quick run is so much shorter.
const QUICK: usize = 20;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|given| given == word);
    if let Some(unknown) = words.iter().find(|w| !["--quick", "book", "fix"].contains(&w.as_str()))
    {
        eprintln!("{unknown} is none of --quick, book, fix");
        std::process::exit(2);
    }
    let (runs, shorter) = if has("--quick") { (1, QUICK) } else { (RUNS, 1) };
    let all = !has("book") && !has("fix");
    distance::pin(distance::FAR_CPU);
    if all || has("book") {
        for instruments in INSTRUMENTS {
            books(instruments, WARM_REQUESTS / shorter, REQUESTS / shorter, runs);
        }
    }
    if all || has("fix") {
        for (layouts, orders) in [
            ("one layout", codec::orders(MESSAGES)),
            ("mixed layouts", codec::mixed_orders(MESSAGES)),
        ] {
            let bytes = orders.iter().map(Vec::len).sum::<usize>() / orders.len();
            let title = format!("FIX 4.4 NewOrderSingle of {bytes} bytes decoded, {layouts}");
            fix(&title, runs, read_remark, |codec| decode_ns(codec, &orders, ROUNDS / shorter));
        }
        let reports = codec::reports(MESSAGES);
        let title = "FIX 4.4 ExecutionReport of a new order encoded";
        fix(title, runs, written_remark, |codec| encode_ns(codec, &reports, ROUNDS / shorter));
    }
}

/// Measures the books on a flow and prints a table.
fn books(instruments: u32, warm: usize, count: usize, runs: usize) {
    let warm = warm * instruments as usize;
    let flow = book::flow(SEED, instruments, warm + count);
    let order_max = book::order_max(&flow);
    let (warm, measured) = flow.split_at(warm);
    let mut contestants = BOOKS.map(|make| (make, Trades::default()));
    let rates = in_turns(&mut contestants, runs, |(make, trades)| {
        let (rate, traded) = play(*make, (instruments, order_max), warm, measured);
        *trades = traded;
        rate
    });
    println!(
        "\nbook, {instruments} instruments, {} requests: M requests per CPU second",
        measured.len()
    );
    let (ours, right) = (rates[0], contestants[0].1);
    for ((make, traded), rate) in contestants.iter().zip(rates) {
        let engine = make(1, 1).engine();
        let remark = if *traded == right {
            format!(
                "ours {:>5.1} times as fast; {} trades, {} shares",
                ours / rate,
                traded.count,
                traded.qty
            )
        } else {
            format!(
                "NO RESULT, it trades wrong: {:+} trades, {:+} shares, {:+} value",
                traded.count as i64 - right.count as i64,
                traded.qty as i64 - right.qty as i64,
                traded.value as i64 - right.value as i64,
            )
        };
        println!("  {:<26} {:<20} {rate:>9.3}   {remark}", engine.title(), engine.licence);
    }
}

/// Million requests per CPU second, and what was traded in them.
fn play(
    make: MakeBook,
    (instruments, order_max): (u32, u64),
    warm: &[Request],
    measured: &[Request],
) -> (f64, Trades) {
    let mut book = make(instruments, order_max);
    book.play(warm);
    let start = cpu_seconds();
    let trades = book.play(measured);
    (measured.len() as f64 / (cpu_seconds() - start) / 1e6, trades)
}

/// Measures the codecs and prints a table.
fn fix(
    title: &str,
    runs: usize,
    remark: fn(&dyn Codec) -> String,
    mut ns: impl FnMut(&mut dyn Codec) -> f64,
) {
    let mut codecs = codec::codecs();
    for codec in &mut codecs {
        // Not counted: memory is asked for, branches are learned.
        ns(codec.as_mut());
    }
    let medians = in_turns(&mut codecs, runs, |codec| ns(codec.as_mut()));
    println!("\n{title}: ns of processor time per message");
    for (codec, median) in codecs.iter().zip(&medians) {
        let (engine, times) = (codec.engine(), median / medians[0]);
        println!(
            "  {:<26} {:<20} {median:>9.1}   {times:>5.2} times ours; {}",
            engine.title(),
            engine.licence,
            remark(codec.as_ref())
        );
    }
}

/// What a decoder does and leaves out.
fn read_remark(codec: &dyn Codec) -> String {
    let checks = codec.checks();
    let verified = match (checks.body_length, checks.checksum) {
        (true, true) => "length and checksum",
        (true, false) => "length",
        (false, true) => "checksum",
        (false, false) => "neither length nor checksum",
    };
    format!("checks {verified}; {}", checks.remark)
}

/// What an encoder is spared.
fn written_remark(codec: &dyn Codec) -> String {
    match codec.engine() {
        Engine::IRONBOOK => "writes prices and times, counts".to_owned(),
        _ => "prices and times given as text".to_owned(),
    }
}

fn decode_ns(codec: &mut dyn Codec, orders: &[Vec<u8>], rounds: usize) -> f64 {
    let start = cpu_seconds();
    let read = codec.decode_all(orders, rounds);
    let seconds = cpu_seconds() - start;
    assert_eq!(read, orders.len() * rounds, "{} reads every order", codec.engine().title());
    seconds * 1e9 / read as f64
}

fn encode_ns(codec: &mut dyn Codec, reports: &[Report], rounds: usize) -> f64 {
    let start = cpu_seconds();
    let bytes = codec.encode_all(1, reports, rounds);
    let seconds = cpu_seconds() - start;
    assert!(bytes > 0, "{} writes reports", codec.engine().title());
    seconds * 1e9 / (reports.len() * rounds) as f64
}
