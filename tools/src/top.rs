//! `ironbook top`: a journal at a glance.

use ironbook_incident::question::top::top;

use crate::{
    indexed::{Source, Stretch, exit, note_damage},
    output::{Outcome, say},
};

/// Show a journal at a glance: clients, symbols, rules that refused, the busiest seconds, the largest
/// trades, halts.
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
    let source = &arguments.source;
    let index = source.open()?;
    let span = arguments.stretch.find(&index);
    let found = span.and_then(|span| top(&index, span, arguments.limit));
    let found = found.map_err(|fault| note_damage(&index, fault))?;
    if source.json {
        say!("{:#}", found.json());
    } else {
        let dir = source.dir.display();
        say!("{found}");
        match (found.trades.first(), found.clients.first()) {
            (Some(trade), _) => say!("\nNext: ironbook replay {dir} --at {}", trade.sequence),
            (None, Some(row)) => say!("\nNext: ironbook client {dir} {}", row.comp_id),
            (None, None) => say!("\nNext: ironbook inspect {dir}"),
        }
    }
    Ok(exit(&index))
}
