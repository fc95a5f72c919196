//! `ironbook latency`: how long requests waited before the core.

use ironbook_incident::{question::latency::latency, text::utc};

use crate::{
    indexed::{Source, Stretch},
    output::Outcome,
};

/// Show how long requests waited before the core, in all and by second: the quantiles, and the slowest with
/// what else was in their turn; and the stages of their way where the venue kept them.
///
/// A journal holds when the gateway read a request, and when the core stamped it. What comes behind that is in
/// the file of stage times beside it, which a venue with metrics keeps, in the metrics of a running venue, and in the
/// report of ironbook bench.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    stretch: Stretch,
    /// Slowest requests, and seconds, at the most
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    limit: u16,
}

/// What is around the slowest one, ns.
const AROUND_NS: u64 = 1_000_000_000;

pub fn run(arguments: &Arguments) -> Outcome {
    let index = arguments.source.open()?;
    let span = arguments.stretch.find(&index);
    let found = span.and_then(|span| latency(&index, span, arguments.limit.into()));
    arguments.source.tell(&index, found, |found, dir| match found.slowest.first() {
        None => vec![format!("ironbook inspect {dir}")],
        Some(row) => {
            let time_ns = row.slow.time_ns;
            let (from, to) = (time_ns.saturating_sub(AROUND_NS), time_ns + AROUND_NS);
            let client = row.own.comp_id.iter().map(|who| format!("ironbook client {dir} {who}"));
            let at = format!("ironbook replay {dir} --at {}", row.slow.sequence);
            let around = format!("ironbook top {dir} --from {} --to {}", utc(from), utc(to));
            [at, around].into_iter().chain(client).collect()
        }
    })
}
