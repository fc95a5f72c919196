//! `ironbook top`: a journal at a glance.

use ironbook_incident::question::top::top;

use crate::{
    indexed::{Source, Stretch},
    output::Outcome,
};

/// Show a journal at a glance: clients, symbols, rules that refused, the busiest seconds, the largest
/// trades, trips by risk limits, halts, actions of operators.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    stretch: Stretch,
    /// Rows of each kind at the most
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: usize,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let index = arguments.source.open()?;
    let span = arguments.stretch.find(&index);
    let found = span.and_then(|span| top(&index, span, arguments.limit));
    arguments.source.tell(&index, found, |found, dir| {
        vec![match (found.trades.first(), found.clients.first()) {
            (Some(trade), _) => format!("ironbook replay {dir} --at {}", trade.sequence),
            (None, Some(row)) => format!("ironbook client {dir} {}", row.comp_id),
            (None, None) => format!("ironbook inspect {dir}"),
        }]
    })
}
