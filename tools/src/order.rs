//! `ironbook order`: the life of an order.

use ironbook_incident::question::{find_order, life::life};

use crate::{indexed::Source, output::Outcome};

/// Show the life of an order: each event with its place in the queue, who was on the other side, whether
/// a replace kept its priority, and how it ended.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// OrderID, ClOrdID ([clordid:[COMPID/]]X), or a place where the order is: seq:N, trade:N
    #[arg(value_name = "ORDER")]
    order: String,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let index = arguments.source.open()?;
    let found = find_order(&index, &arguments.order).and_then(|id| life(&index, id));
    arguments.source.tell(&index, found, |life, dir| {
        let last = life.steps.last();
        let last = last.map(|step| format!("ironbook replay {dir} --at {}", step.sequence));
        let why = format!("ironbook why {dir} {}", life.order_id);
        let client = format!("ironbook client {dir} {}", life.comp_id);
        [why].into_iter().chain(last).chain([client]).collect()
    })
}
