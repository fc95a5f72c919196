//! `ironbook book`: the books at a moment, order by order.

use ironbook_incident::{
    Fault,
    index::Index,
    place::What,
    question::book::{Books, books},
};

use crate::{indexed::Source, output::Outcome};

/// Show the books at a moment, level by level or order by order.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// The moment, as replay --at has them
    #[arg(long, value_name = "WHAT", default_value = "end")]
    at: String,
    /// Only of this symbol
    #[arg(long)]
    symbol: Option<String>,
    /// Price levels to print for each side; 0 for all
    #[arg(long, value_name = "N", default_value_t = 10)]
    depth: usize,
    /// Print each order, in the order in which they trade
    #[arg(long)]
    orders: bool,
}

fn find(arguments: &Arguments, index: &Index) -> Result<Books, Fault> {
    let sequence = What::parse(&arguments.at, index)?.find(index)?;
    let depth = if arguments.depth == 0 { usize::MAX } else { arguments.depth };
    books(index, sequence, arguments.symbol.as_deref(), (depth, arguments.orders))
}

pub fn run(arguments: &Arguments) -> Outcome {
    let index = arguments.source.open()?;
    arguments.source.tell(&index, find(arguments, &index), |found, dir| {
        let order = found.first_order().map(|order| format!("ironbook order {dir} {order}"));
        let replay = format!("ironbook replay {dir} --at {}", found.sequence);
        [replay].into_iter().chain(order).collect()
    })
}
