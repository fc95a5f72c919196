//! `ironbook why`: why something was refused, or not filled.

use ironbook_incident::question::why::why;

use crate::{
    indexed::{Source, exit, note_damage},
    output::{Outcome, say},
};

/// Say why a request was refused - the rule, its limit, what was seen and what would have passed - or
/// why an order was not filled: its price never reached, others ahead, halted.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// OrderID, ClOrdID ([clordid:[COMPID/]]X) or sequence (seq:N) of a request, a report or an order
    #[arg(value_name = "WHAT")]
    what: String,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let source = &arguments.source;
    let index = source.open()?;
    let why = why(&index, &arguments.what).map_err(|fault| note_damage(&index, fault))?;
    if source.json {
        say!("{:#}", why.json());
    } else {
        let dir = source.dir.display();
        say!("{why}\n\nNext: ironbook replay {dir} --at {}", why.sequence);
    }
    Ok(exit(&index))
}
