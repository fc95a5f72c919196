//! `ironbook why`: why something was refused, or not filled.

use ironbook_incident::question::why::why;

use crate::{indexed::Source, output::Outcome};

/// Say why a request was refused - the rule, its limit, what was seen and what would have passed - or
/// why an order was not filled: its price never reached, others ahead, halted, canceled by a trip or an operator.
///
/// At the sequence of a trip, or of what an operator did to a session, it says why that was.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// OrderID, ClOrdID ([clordid:[COMPID/]]X) or sequence (seq:N) of a request, a report, an order or a trip
    #[arg(value_name = "WHAT")]
    what: String,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let index = arguments.source.open()?;
    let why = why(&index, &arguments.what);
    arguments.source.tell(&index, why, |why, dir| {
        let places = [why.sequence].into_iter().chain(why.cause);
        places.map(|at| format!("ironbook replay {dir} --at {at}")).collect()
    })
}
