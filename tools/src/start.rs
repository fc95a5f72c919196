//! `ironbook start`: runs a venue until it is told to stop.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ironbook_gateway::{
    config::{Config, Cpu, InstrumentConfig, SessionConfig, StatusConfig},
    metrics,
    venue::{Started, Venue, data_dir},
};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::output::{Exit, Failure, Outcome, grouped, hash, mib, say};

/// Start a venue; Ctrl-C or SIGTERM drains it, syncs, and leaves a clean journal.
#[derive(Debug, Default, clap::Args)]
pub struct Arguments {
    /// Configuration file (TOML); without it, a venue for this machine only
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the journal, instead of the configured one
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address and port for FIX, instead of the configured one; port 0 picks a free one
    #[arg(long, value_name = "ADDR")]
    fix: Option<SocketAddr>,
    /// Address and port for market data over FIX, instead of the configured one; without either there is none
    #[arg(long, value_name = "ADDR")]
    market_data: Option<SocketAddr>,
    /// Address and port for metrics over HTTP, instead of the configured one; without either there are none
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
}

/// How often the signals are looked at.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

pub fn run(arguments: &Arguments) -> Outcome {
    let mut config = match &arguments.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    if let Some(data) = &arguments.data {
        config.venue.data_dir = data.clone();
    }
    if let Some(fix) = arguments.fix {
        config.fix.listen = fix;
    }
    if let Some(address) = arguments.market_data {
        config.market_data.listen = Some(address);
    }
    if let Some(address) = arguments.metrics {
        config.metrics.listen = Some(address);
    }
    let stop = stop_on_signals()?;
    let venue = Venue::start(&config)?;
    print_started(&config, &venue);
    let failed = wait(&venue, &stop)?;
    say!("\nStopping: draining, logging clients out, syncing the journal.");
    let Some(ended) = venue.stop() else {
        return Err(Failure::new(Exit::Finding, "the core did not end cleanly; see the log above"));
    };
    ended.sync.map_err(|error| {
        Failure::new(
            Exit::Finding,
            format!("the journal in {} did not end in order: {error}", data_dir(&config).display()),
        )
    })?;
    say!("Stopped at sequence {}, state {}.", grouped(ended.last_sequence), hash(ended.state_hash));
    if ended.left > 0 {
        let problem = format!(
            "{} requests waited in vain for room in the journal: they are not in it, and nobody was \
             told of them; make room, then start again",
            grouped(ended.left as u64)
        );
        return Err(Failure::new(Exit::Finding, problem));
    }
    say!("Next: ironbook replay {}", data_dir(&config).display());
    Ok(if failed { Exit::Finding } else { Exit::Fine })
}

fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())
            .map_err(|error| Failure::new(Exit::Finding, format!("no signal handler: {error}")))?;
    }
    Ok(stop)
}

/// Waits for a signal; returns whether the venue failed by itself before.
///
/// # Errors
/// When another process has taken the journal over. There is nothing to drain then: the process is
/// to end as it is.
fn wait(venue: &Venue, stop: &AtomicBool) -> Result<bool, Failure> {
    let (mut storage, mut audit) = (None, None);
    while !stop.load(Ordering::Relaxed) {
        if venue.has_failed() {
            log::error!("a thread of the venue ended by itself; stopping");
            return Ok(true);
        }
        if let Some(message) = venue.taken_over() {
            return Err(Failure::new(Exit::Finding, message));
        }
        let status = venue.storage_status();
        if status != storage {
            match &status {
                Some(problem) => log::error!("{problem}; trading waits until this is mended"),
                None => log::info!("the journal's storage works again"),
            }
            storage = status;
        }
        let status = venue.audit_status();
        if status != audit {
            if let Some(problem) = &status {
                say!("\nATTENTION: {problem}");
            }
            audit = status;
        }
        std::thread::sleep(SIGNAL_INTERVAL);
    }
    Ok(false)
}

fn print_started(config: &Config, venue: &Venue) {
    let Started { counts, snapshot, replayed_frames, torn_bytes, live_orders, state_hash, .. } =
        venue.started();
    let address = venue.address();
    let names = |list: Vec<&str>| list.join(" ");
    let symbols = names(config.instruments.iter().map(|known| known.symbol.as_str()).collect());
    let comp_ids = names(config.sessions.iter().map(|known| known.comp_id.as_str()).collect());
    say!("Ironbook {} is ready.\n", env!("CARGO_PKG_VERSION"));
    say!("  FIX          {address}, FIX.4.0 to FIX.5.0SP2, venue comp id {}", config.venue.comp_id);
    if let Some(address) = venue.tls_address() {
        say!("               {address} over TLS");
    }
    if let Some(address) = venue.market_data_address() {
        say!("  Market data  {address}, the same comp ids");
    }
    if let Some(address) = venue.market_data_tls_address() {
        say!("               {address} over TLS");
    }
    if let Some(address) = venue.metrics_address() {
        say!("  Metrics      http://{address}{}", metrics::http::PATH);
    }
    if let Some(path) = venue.operator_path() {
        say!("  Operators    {}, its owner alone", path.display());
    }
    say!("  Instruments  {symbols}");
    say!("  Comp ids     {comp_ids}");
    say!("  Journal      {}", data_dir(config).display());
    if counts.frames == 0 {
        say!("               new");
    } else {
        if let Some(sequence) = snapshot {
            say!("               snapshot up to sequence {}", grouped(*sequence));
        }
        say!(
            "               {} frames replayed, {} live orders, state {}",
            grouped(*replayed_frames),
            grouped(*live_orders),
            hash(*state_hash)
        );
    }
    if let Some(bytes) = torn_bytes {
        say!("               {bytes} bytes of an unfinished write were cut and moved aside");
    }
    print_machine(config, venue.started());
    say!("\nNext, in another terminal (cargo run --release -- in place of ironbook works too):");
    for line in first_orders(config) {
        say!("  ironbook {line}", line = line.replace("ADDRESS", &address.to_string()));
    }
    say!("  ironbook replay {}", data_dir(config).display());
    if venue.operator_path().is_some() {
        say!("  ironbook operator status --data {}", data_dir(config).display());
    }
    say!("\nCtrl-C stops the venue.");
}

/// Commands that send orders to a venue of this configuration, as far as it has somebody who may, without a password.
fn first_orders(config: &Config) -> Vec<String> {
    let is_trader = |session: &&SessionConfig| {
        session.trade && !session.read_only && session.password.is_none() && !session.tls
    };
    let traders: Vec<_> = config.sessions.iter().filter(is_trader).collect();
    let open = |known: &&InstrumentConfig| known.status == StatusConfig::Open;
    let (Some(first), Some(instrument)) = (traders.first(), config.instruments.iter().find(open))
    else {
        return Vec::new();
    };
    let is_usual = |comp_id: &str| traders.iter().any(|session| session.comp_id == comp_id);
    let comp_id = |usual: &str| match is_usual(usual) {
        true => String::new(),
        false => format!(" --as {}", first.comp_id),
    };
    let venue = match config.venue.comp_id.as_str() {
        "IRONBOOK" => String::new(),
        other => format!(" --venue {other}"),
    };
    let InstrumentConfig { symbol, lot, tick, .. } = instrument;
    let (order, symbols) = match symbol.as_str() {
        "AAPL" => ("buy 100 AAPL 189.50".to_owned(), String::new()),
        _ => (format!("buy {lot} {symbol} {tick}"), format!(" --symbols {symbol}")),
    };
    vec![
        format!("send --fix ADDRESS{}{venue} {order}", comp_id("TRADER1")),
        format!("load --fix ADDRESS{}{venue}{symbols} --orders 100000", comp_id("LOADGEN")),
    ]
}

fn print_machine(config: &Config, started: &Started) {
    let threads: Vec<_> = started
        .threads
        .iter()
        .map(|(name, cpu)| match cpu {
            Some(cpu) => format!("{name} on processor {cpu}"),
            None => format!("{name} not pinned"),
        })
        .collect();
    let pinned = config.threads.core_cpu != Cpu::None;
    say!("  Threads      {}{}", threads.join(", "), if pinned { "" } else { " (core_cpu = none)" });
    say!(
        "  Reserved     {} for orders and ring, {} of journal segments",
        mib(started.reserved_bytes),
        mib(started.journal_bytes)
    );
}
