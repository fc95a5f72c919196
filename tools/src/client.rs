//! `ironbook client`: what a client did, and what it holds.

use ironbook_incident::question::client::client;

use crate::{
    indexed::{Source, Stretch},
    output::Outcome,
};

/// Show what a client asked for, what became of it, what it holds and made or lost, how close it came to its
/// throttles and risk limits over time, what operators did to it, and what was not as before.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Comp id of the client
    #[arg(value_name = "COMPID")]
    comp_id: String,
    #[command(flatten)]
    stretch: Stretch,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let index = arguments.source.open()?;
    let span = arguments.stretch.find(&index);
    let found = span.and_then(|span| client(&index, &arguments.comp_id, span));
    arguments.source.tell(&index, found, |found, dir| {
        let first = found.anomalies.found.first();
        let is_told = |reject: &u64| first.is_none_or(|of| of.place.sequence != *reject);
        let reject = found.first_reject().filter(is_told);
        let reject = reject.map(|reject| format!("ironbook why {dir} {reject}"));
        let anomaly = first.map(|of| format!("ironbook {} {dir} {}", of.more.0, of.more.1));
        let trades = format!("ironbook trades {dir} --client {}", found.comp_id);
        anomaly.into_iter().chain([trades]).chain(reject).collect()
    })
}
