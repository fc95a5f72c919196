//! `ironbook trades`: trades, and what they come to.

use ironbook_incident::question::trades::{Wanted, trades};

use crate::{
    indexed::{Source, Stretch},
    output::Outcome,
};

/// List trades with both sides, and what they come to for each party.
///
/// With --away the journal is played back, and only trades are taken whose price is that far from the
/// middle of the book before them.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    stretch: Stretch,
    /// Only in this symbol
    #[arg(long)]
    symbol: Option<String>,
    /// Only with this comp id on one side
    #[arg(long, value_name = "COMPID")]
    client: Option<String>,
    /// Only at least so many percent from the middle of the book
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    away: Option<f64>,
    /// Trades to list at the most; all are counted
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// How far from the market, in percent.
pub fn percent(text: &str) -> Result<f64, String> {
    let percent = text.parse().ok().filter(|percent: &f64| percent.is_finite() && *percent >= 0.0);
    percent.ok_or_else(|| "give a number of percent from 0 on, as 2.5".to_owned())
}

pub fn run(arguments: &Arguments) -> Outcome {
    let index = arguments.source.open()?;
    let span = arguments.stretch.find(&index);
    let found = span.and_then(|span| {
        let (symbol, comp_id) = (arguments.symbol.as_deref(), arguments.client.as_deref());
        let (away, limit) = (arguments.away, arguments.limit);
        trades(&index, &Wanted { span, symbol, comp_id, away, only: &[], limit })
    });
    arguments.source.tell(&index, found, |found, dir| match found.trades.first() {
        Some(first) => vec![
            format!("ironbook replay {dir} --at trade:{}", first.trade_id),
            format!("ironbook order {dir} {}", first.buyer.1),
        ],
        None => vec![format!("ironbook top {dir}")],
    })
}
