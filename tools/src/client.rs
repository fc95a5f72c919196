//! `ironbook client`: what a client did, and what it holds.

use ironbook_incident::question::client::client;

use crate::{
    indexed::{Source, Stretch},
    output::Outcome,
};

/// Show what a client asked for, what became of it, and what it holds and made or lost.
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
        let reject = found.first_reject().map(|reject| format!("ironbook why {dir} {reject}"));
        let trades = format!("ironbook trades {dir} --client {}", found.comp_id);
        [trades].into_iter().chain(reject).collect()
    })
}
