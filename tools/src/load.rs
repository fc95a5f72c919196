//! `ironbook load`: sends order flow over FIX and measures the answers.

use std::{net::SocketAddr, path::PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use ironbook_benches::{
    flow::{self, FileFormat, FlowEvent, Mix, Runaway, RunawayTerms, Synthetic},
    load::{self, LoadError, LoadOptions, LoadReport, Pace},
    workload::SCALES,
};
use ironbook_gateway::{
    client::ClientError,
    clock::{Clock, SystemClock},
};
use serde_json::json;

use crate::{
    access::AccessArguments,
    output::{Exit, Failure, Outcome, grouped, replay_of, say},
};

/// Send order flow to a venue over FIX, open loop, and print throughput, rejects and latency.
///
/// Latency counts from the intended time of each request, so a venue that stalls can't hide it.
/// Files keep their own sequence of events: created becomes a new order, changed a replace, deleted
/// a cancel.
///
/// The flow `runaway` has a second client in it that has lost count, as Knight Capital's router had on 1 August
/// 2012 (SEC Release 34-70694): 212 parent orders, whose child orders of 100 buy at the ask or sell at the bid,
/// each symbol on one side, without end. It was in 154 symbols; give as many as the venue has, and a comp id for
/// each client: --flow runaway --as LOADGEN,TRADER1 --symbols AAPL,MSFT.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Address of the venue
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9878")]
    fix: SocketAddr,
    /// Comp ids to log on as, separated by commas: one for each client of the flow, or one for all
    #[arg(long = "as", value_name = "LIST", value_delimiter = ',', default_value = "LOADGEN")]
    comp_ids: Vec<String>,
    /// Comp id of the venue
    #[arg(long, value_name = "COMP_ID", default_value = "IRONBOOK")]
    venue: String,
    /// What is sent, where it is no file
    #[arg(long, value_enum, default_value_t = Flow::Exchange, conflicts_with = "file")]
    flow: Flow,
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=PARENTS_MAX),
        help = format!("Parent orders of the runaway [default: {}]", RunawayTerms::default().parents),
    )]
    parents: Option<u64>,
    #[arg(
        long,
        value_name = "PERCENT",
        value_parser = clap::value_parser!(u32).range(0..=100),
        help = format!("The runaway's part of the requests, in percent [default: {}]", RunawayTerms::default().share),
    )]
    share: Option<u32>,
    #[arg(
        long,
        value_name = "N",
        help = format!("Requests before the runaway begins [default: {}]", RunawayTerms::default().after),
    )]
    after: Option<u64>,
    #[arg(
        long,
        value_name = "N",
        help = format!("Requests of the synthetic flow [default: {}]; with --file, the first so many events", grouped(ORDERS as u64)),
    )]
    orders: Option<usize>,
    /// Seed of the synthetic flow
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Symbols to trade, separated by commas; with --file the first one [default: AAPL, or BTC-USD
    /// with a Bitstamp file]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    symbols: Vec<String>,
    /// File of real level-3 events; a name that ends in .xz is unpacked
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Format of the file
    #[arg(long, value_enum, default_value_t = Format::Bitstamp)]
    format: Format,
    /// Requests a second; without it, full speed
    #[arg(long, value_name = "N", conflicts_with = "speed")]
    rate: Option<f64>,
    /// Send a file by its own times, so many times faster
    #[arg(long, value_name = "FACTOR", requires = "file")]
    speed: Option<f64>,
    /// Requests that may wait for their answers at full speed
    #[arg(long, value_name = "N", default_value_t = 4_096, value_parser = clap::value_parser!(u64).range(1..))]
    in_flight: u64,
    /// Begins every ClOrdID, which a venue takes only once [default: from the clock]
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: AccessArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Flow {
    /// As an exchange has it: most orders rest near the touch and are canceled
    Exchange,
    /// The same with a client in it that buys and sells without end
    Runaway,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Bitstamp,
    Lobster,
}

/// Requests of a synthetic flow when none are asked for.
const ORDERS: usize = 100_000;

/// Most parent orders of a runaway.
const PARENTS_MAX: u64 = 1_000_000;

/// Longest prefix: with twenty digits behind it a ClOrdID has its 36 characters.
const PREFIX_MAX: usize = 16;

pub fn run(arguments: &Arguments) -> Outcome {
    arguments.check_flow()?;
    let options = options(arguments)?;
    let (report, stopped) = match &arguments.file {
        Some(file) => {
            let format = match arguments.format {
                Format::Bitstamp => FileFormat::Bitstamp,
                Format::Lobster => FileFormat::Lobster,
            };
            let mut events =
                flow::read_file(file, format).map_err(|error| Failure::new(Exit::Usage, error))?;
            events.truncate(arguments.orders.unwrap_or(usize::MAX));
            send(events.len(), events.into_iter(), &options, arguments.json)?
        }
        None => {
            let count = arguments.orders.unwrap_or(ORDERS);
            let seed = arguments.seed;
            let flow = Synthetic::new(seed, options.symbols.len(), Mix::default(), SCALES);
            match arguments.flow {
                Flow::Exchange => send(count, flow.take(count), &options, arguments.json)?,
                Flow::Runaway => {
                    let flow = Runaway::new(seed, flow, arguments.runaway());
                    send(count, flow.take(count), &options, arguments.json)?
                }
            }
        }
    };
    let stopped = stopped.map(|reason| why_stopped(&reason));
    if arguments.json {
        print_json(&report, stopped.as_deref());
    } else {
        print(&report, stopped.as_deref());
        let options = if is_tripped(&report) { TO_THE_TRIP } else { "" };
        say!("\nNext: {}", replay_of(arguments.fix, options));
        if is_tripped(&report) {
            say!(
                "      ironbook operator open COMP_ID --data DIR --reason TEXT lets a session trade again"
            );
        }
    }
    Ok(if stopped.is_none() { Exit::Fine } else { Exit::Finding })
}

/// Options of a replay that ends at the trade beyond a risk limit.
const TO_THE_TRIP: &str = " --break tripped";

/// Whether orders were refused because a risk limit had tripped a session.
fn is_tripped(report: &LoadReport) -> bool {
    report.rejects.counts().keys().any(|text| text.starts_with("the session is tripped"))
}

fn why_stopped(reason: &ClientError) -> String {
    match reason {
        ClientError::Timeout(waited) => {
            format!("the venue stopped answering: nothing came within {waited:?}")
        }
        other => other.to_string(),
    }
}

impl Arguments {
    /// Refuses what is said of a runaway where there is none.
    fn check_flow(&self) -> Result<(), Failure> {
        let Self { parents, share, after, .. } = self;
        let said = [
            ("--parents", parents.is_some()),
            ("--share", share.is_some()),
            ("--after", after.is_some()),
        ];
        match said.into_iter().find(|(_, is_said)| *is_said) {
            Some((name, _)) if self.flow != Flow::Runaway => {
                let message =
                    format!("{name} tells of a runaway: give --flow runaway, or leave it out");
                Err(Failure::new(Exit::Usage, message))
            }
            _ => Ok(()),
        }
    }

    fn runaway(&self) -> RunawayTerms {
        let usual = RunawayTerms::default();
        RunawayTerms {
            parents: self.parents.map_or(usual.parents, |parents| parents as usize),
            share: self.share.unwrap_or(usual.share),
            after: self.after.unwrap_or(usual.after),
        }
    }
}

fn options(arguments: &Arguments) -> Result<LoadOptions, Failure> {
    let positive = |name: &str, value: f64| {
        if value.is_finite() && value > 0.0 {
            Ok(value)
        } else {
            Err(Failure::new(Exit::Usage, format!("{name} must be greater than zero")))
        }
    };
    let pace = match (arguments.rate, arguments.speed) {
        (Some(rate), _) => Pace::PerSecond(positive("--rate", rate)?),
        (None, Some(speed)) => Pace::Recorded(positive("--speed", speed)?),
        (None, None) => Pace::Unlimited,
    };
    let prefix = arguments
        .prefix
        .clone()
        .unwrap_or_else(|| format!("L{:x}-", SystemClock.now().0 / 1_000_000));
    if prefix.len() > PREFIX_MAX {
        let message = format!("--prefix may have {PREFIX_MAX} characters at the most");
        return Err(Failure::new(Exit::Usage, message));
    }
    let mut symbols = arguments.symbols.clone();
    if symbols.is_empty() {
        let bitstamp = arguments.file.is_some() && matches!(arguments.format, Format::Bitstamp);
        symbols.push(if bitstamp { "BTC-USD" } else { "AAPL" }.to_owned());
    }
    if symbols.iter().any(String::is_empty) {
        let message = "--symbols has an empty symbol: separate symbols by one comma each";
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(LoadOptions {
        address: arguments.fix,
        comp_ids: arguments.comp_ids.clone(),
        venue: arguments.venue.clone(),
        access: arguments.access.access(arguments.fix)?,
        symbols,
        pace,
        in_flight_max: arguments.in_flight,
        prefix,
        silence_max: load::SILENCE_MAX,
    })
}

/// Sends a flow; gives what came of it, and why it ended before its time, if it did.
fn send(
    count: usize,
    flow: impl Iterator<Item = FlowEvent>,
    options: &LoadOptions,
    quiet: bool,
) -> Result<(LoadReport, Option<ClientError>), Failure> {
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(count as u64) };
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {per_sec} {eta}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    let sent = load::run(flow, options, |sent| bar.set_position(sent));
    bar.finish_and_clear();
    match sent {
        Ok(report) => Ok((report, None)),
        Err(LoadError::Stopped { report, reason }) => Ok((*report, Some(reason))),
        Err(LoadError::LogOn(error)) => Err(error.into()),
    }
}

/// Quantiles of the latency table.
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

fn rate(report: &LoadReport) -> f64 {
    report.requests() as f64 / report.duration.as_secs_f64().max(f64::EPSILON)
}

/// A quantile of the latencies, ns; none where nothing was answered.
fn latency_ns(report: &LoadReport, quantile: f64) -> Option<u64> {
    (!report.latency.is_empty()).then(|| report.latency.value_at_quantile(quantile))
}

fn print(report: &LoadReport, stopped: Option<&str>) {
    say!(
        "Requests     {} ({} orders, {} replaces, {} cancels)",
        grouped(report.requests()),
        grouped(report.orders),
        grouped(report.replaces),
        grouped(report.cancels)
    );
    say!("Reports      {}", grouped(report.reports));
    say!(
        "Fills        {} ({} trades with both sides here)",
        grouped(report.fills),
        grouped(report.fills / 2)
    );
    say!("Rejects      {}", grouped(report.rejects.total()));
    for (text, count) in report.rejects.counts() {
        say!("             {:>10}  {text}", grouped(*count));
    }
    if report.unanswered > 0 {
        say!("Unanswered   {}", grouped(report.unanswered));
    }
    say!("Time         {:.3} s", report.duration.as_secs_f64());
    say!("Throughput   {} requests/s", grouped(rate(report) as u64));
    say!("Latency      from the intended time of a request to its first report, µs");
    for (name, quantile) in QUANTILES {
        let latency = match latency_ns(report, quantile) {
            Some(ns) => format!("{:.1}", ns as f64 / 1e3),
            None => "–".to_owned(),
        };
        say!("             {name:>6} {latency:>12}");
    }
    if let Some(stopped) = stopped {
        say!("Stopped      {stopped}");
    }
}

fn print_json(report: &LoadReport, stopped: Option<&str>) {
    let latency: serde_json::Map<_, _> = QUANTILES
        .iter()
        .map(|(name, quantile)| ((*name).to_owned(), json!(latency_ns(report, *quantile))))
        .collect();
    let value = json!({
        "orders": report.orders,
        "replaces": report.replaces,
        "cancels": report.cancels,
        "reports": report.reports,
        "fills": report.fills,
        "rejects": report.rejects.counts(),
        "unanswered": report.unanswered,
        "stopped": stopped,
        "seconds": report.duration.as_secs_f64(),
        "requests_per_second": rate(report),
        "latency_ns": latency,
    });
    say!("{value:#}");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn silence_is_told_apart_from_an_end() {
        let silence = why_stopped(&ClientError::Timeout(Duration::from_secs(10)));
        assert_eq!(silence, "the venue stopped answering: nothing came within 10s");
        let text = "bye".to_owned();
        let end = ClientError::Ended { reason: None, text, was_logged_on: true };
        assert_eq!(why_stopped(&end), "the venue ended the session: \"bye\"");
    }
}
