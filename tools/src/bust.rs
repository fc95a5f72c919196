//! `ironbook bust`: a plan which trades to bust.

use std::{io::Write as _, path::PathBuf};

use ironbook_engine::TradeId;
use ironbook_incident::{
    Fault,
    index::Index,
    question::{
        bust::{Plan, bust},
        trades::Wanted,
    },
};

use crate::{
    indexed::{Source, Stretch, note_damage},
    output::{Exit, Failure, Outcome, create},
    trades::percent,
};

/// Most trades that the command which writes the plan names.
const NAMED_MAX: usize = 10;

/// Plan which trades to bust, and say what that comes to for both sides.
///
/// It is a PLAN: nothing is sent, and nothing is changed. --out writes it as lines of JSON, for whoever carries it
/// out: the journal it is of, each trade, and what each party's position and cash become. Comp ids are replaced
/// by C1, C2 ... as in an export; trades and orders are named by their numbers.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// This trade, by its number; may be given again
    #[arg(
        long,
        value_name = "ID",
        conflicts_with_all = ["client", "symbol", "outside", "from", "to"]
    )]
    trade: Vec<u64>,
    /// Trades with this comp id on one side
    #[arg(long, value_name = "COMPID")]
    client: Option<String>,
    /// Trades in this symbol
    #[arg(long)]
    symbol: Option<String>,
    /// Trades at least so many percent from the middle of the book before them
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    outside: Option<f64>,
    #[command(flatten)]
    stretch: Stretch,
    /// Write the plan to this file, which must not be there yet
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the names of clients
    #[arg(long)]
    no_redact: bool,
}

impl Arguments {
    /// Nobody busts all trades there are by leaving a word out.
    fn check(&self) -> Result<(), Failure> {
        let stretch = [&self.stretch.from, &self.stretch.to];
        let names = [&self.client, &self.symbol];
        let all = [stretch, names].concat();
        if self.trade.is_empty() && self.outside.is_none() && all.iter().all(|of| of.is_none()) {
            let what = "say which trades: --trade, or --client, --symbol, --outside, --from, --to";
            return Err(Failure::new(Exit::Usage, what));
        }
        Ok(())
    }

    fn plan(&self, index: &Index) -> Result<Plan, Fault> {
        let only: Vec<_> = self.trade.iter().copied().map(TradeId).collect();
        let wanted = Wanted {
            span: self.stretch.find(index)?,
            symbol: self.symbol.as_deref(),
            comp_id: self.client.as_deref(),
            away: self.outside,
            only: &only,
            limit: 0,
        };
        bust(index, &wanted, !self.no_redact)
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    arguments.check()?;
    let source = &arguments.source;
    let index = source.open()?;
    let plan = arguments.plan(&index).map_err(|fault| note_damage(&index, fault))?;
    if let Some(path) = &arguments.out {
        create(path, |file| {
            file.write_all(plan.lines().as_bytes()).map_err(|error| Fault::Write(error).into())
        })?;
    }
    source.tell(&index, Ok(plan), |plan, dir| {
        let few = arguments.out.is_none() && plan.busts.len() <= NAMED_MAX;
        let write = few.then(|| {
            let ids = plan.busts.iter().map(|bust| format!(" --trade {}", bust.trade_id));
            let names = if arguments.no_redact { " --no-redact" } else { "" };
            format!("ironbook bust {dir}{}{names} --out plan.jsonl", ids.collect::<String>())
        });
        let first = plan.busts.iter().take(1).flat_map(|first| {
            let replay = format!("ironbook replay {dir} --at trade:{}", first.trade_id);
            [replay, format!("ironbook order {dir} {}", first.buyer.1)]
        });
        write.into_iter().chain(first).collect()
    })
}
