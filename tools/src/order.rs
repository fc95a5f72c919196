//! `ironbook order`: the life of an order.

use ironbook_incident::question::{find_order, life::life};

use crate::{
    indexed::{Source, exit, note_damage},
    output::{Outcome, say},
};

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
    let source = &arguments.source;
    let index = source.open()?;
    let found = find_order(&index, &arguments.order).and_then(|id| life(&index, id));
    let life = found.map_err(|fault| note_damage(&index, fault))?;
    if source.json {
        say!("{:#}", life.json());
    } else {
        let dir = source.dir.display();
        say!("{life}\n\nNext: ironbook why {dir} {}", life.order_id);
        if let Some(step) = life.steps.last() {
            say!("      ironbook replay {dir} --at {}", step.sequence);
        }
        say!("      ironbook client {dir} {}", life.comp_id);
    }
    Ok(exit(&index))
}
