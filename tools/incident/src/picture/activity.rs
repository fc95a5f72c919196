//! How much happened when.

use ironbook_engine::{
    Command, Event, ExecType, LastLiquidity,
    event::{CancelRejected, Execution, OrderRejected},
    record::Record,
};
use ironbook_gateway::session_record::SessionRecord;
use ironbook_journal::Frame;

use super::Columns;
use crate::{
    Fault,
    index::Index,
    question::{Span, scan},
};

/// Gaps that are kept, the longest.
const GAPS_MAX: usize = 5;
/// What is a gap: no frame for so long.
const GAP_NS_MIN: u64 = 1_000_000_000;

/// What happened in a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Requests of clients, those too that the gateway refused.
    pub requests: u64,
    /// Refusals, by gateway or engine.
    pub rejects: u64,
    /// Trades.
    pub trades: u64,
}

/// A time without a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The frame before it.
    pub sequence: u64,
    /// Its time in ns since 1970.
    pub time_ns: u64,
    /// How long nothing came.
    pub length_ns: u64,
}

/// How much happened when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The columns.
    pub columns: Columns,
    /// What happened in each.
    pub rates: Vec<Rates>,
    /// Frames of all kinds.
    pub frames: u64,
    /// Commands.
    pub commands: u64,
    /// The longest gaps, in the sequence of the journal.
    pub gaps: Vec<Gap>,
}

/// How much happened when in a part of a journal whose first and last times are known.
///
/// # Errors
/// [`Fault`]: the journal can't be read.
pub fn activity(index: &Index, span: Span, columns: Columns) -> Result<Activity, Fault> {
    let rates = vec![Rates::default(); columns.count];
    let mut found = Activity { columns, rates, frames: 0, commands: 0, gaps: Vec::new() };
    let mut before: Option<(u64, u64)> = None;
    scan(index, &[], span, |frame| {
        if let Some((sequence, time_ns)) = before {
            let length_ns = frame.time_ns.saturating_sub(time_ns);
            found.gap(Gap { sequence, time_ns, length_ns });
        }
        before = Some((frame.sequence, frame.time_ns));
        found.take(frame);
    })?;
    found.gaps.sort_by_key(|gap| gap.sequence);
    Ok(found)
}

impl Activity {
    fn take(&mut self, frame: &Frame<'_>) {
        self.frames += 1;
        let rates = &mut self.rates[self.columns.at(frame.time_ns)];
        match frame.kind {
            OrderRejected::KIND | CancelRejected::KIND => rates.rejects += 1,
            Execution::KIND => {
                if let Ok(Event::Execution(event)) = Event::decode(frame.kind, frame.payload) {
                    let is_trade = event.exec_type == ExecType::Trade;
                    let took = event.last_liquidity == LastLiquidity::Removed;
                    rates.trades += u64::from(is_trade && took);
                }
            }
            kind if Command::is_kind(kind) => {
                self.commands += 1;
                let command = Command::decode(kind, frame.payload);
                let is_request = command.is_ok_and(|command| command.client().is_some());
                rates.requests += u64::from(is_request);
            }
            kind if SessionRecord::is_refusal(kind, frame.payload) => {
                rates.requests += 1;
                rates.rejects += 1;
            }
            _ => {}
        }
    }

    fn gap(&mut self, gap: Gap) {
        if gap.length_ns < GAP_NS_MIN {
            return;
        }
        let at = self.gaps.partition_point(|other| other.length_ns >= gap.length_ns);
        self.gaps.insert(at, gap);
        self.gaps.truncate(GAPS_MAX);
    }
}
