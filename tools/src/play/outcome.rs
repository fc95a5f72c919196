//! What became of requests, as it was recorded and in the sandbox, and where the two differ.

use std::collections::{BTreeMap, HashMap};

use ironbook_benches::reasons::Reasons;
use ironbook_engine::{Event, ExecType, LastLiquidity};
use ironbook_fix::{
    field::{Decimal, parse_u64},
    report::{ExecType as FixExecType, MassCancelResponse, OrdStatus, ReportMessage},
};
use ironbook_gateway::{symbols::SymbolTable, translate::reject_text};
use ironbook_incident::{
    show::Judged,
    text::{grouped, signed_decimal},
};
use serde_json::{Map, Value, json};

/// LastLiquidityInd (851) of the side that came last; each trade has one such report.
const REMOVED: u8 = 2;

/// Quantity in words where there is no trade.
const NO_QTY: Sum = Sum { mantissa: 0, scale: 0 };

/// An exact sum of decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    mantissa: i128,
    scale: u8,
}

impl Sum {
    /// The sum at a scale that is not smaller. A quantity has 18 digits at the most, so that 10^20 of them fit.
    fn at(self, scale: u8) -> i128 {
        self.mantissa.saturating_mul(10_i128.saturating_pow((scale - self.scale).into()))
    }

    fn add(&mut self, decimal: Decimal) {
        let scale = self.scale.max(decimal.scale);
        let more = Self { mantissa: decimal.mantissa.into(), scale: decimal.scale }.at(scale);
        *self = Self { mantissa: self.at(scale).saturating_add(more), scale };
    }

    /// Whether it is as much, whatever the decimals.
    fn equals(self, other: Self) -> bool {
        let scale = self.scale.max(other.scale);
        self.at(scale) == other.at(scale)
    }

    fn text(self) -> String {
        signed_decimal(self.mantissa, self.scale)
    }
}

/// Trades in one symbol.
#[derive(Clone, Copy, Debug, Default)]
struct Traded {
    trades: u64,
    qty: Sum,
}

/// What became of requests.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Requests that were not refused.
    pub accepted: u64,
    /// Requests that were, by their Text (58).
    refused: Reasons,
    /// By symbol; the venue's instruments bound them.
    traded: BTreeMap<String, Traded>,
}

impl Outcome {
    /// Counts a refusal.
    pub fn reject(&mut self, text: &str) {
        self.refused.count(text);
    }

    /// Requests that were refused.
    pub fn rejected(&self) -> u64 {
        self.refused.total()
    }

    /// Counts a trade, by its side that came last.
    pub fn trade(&mut self, symbol: &str, qty: Decimal) {
        // Not by `entry`, which would need a text of its own for each trade.
        if !self.traded.contains_key(symbol) {
            self.traded.insert(symbol.to_owned(), Traded::default());
        }
        let traded = self.traded.get_mut(symbol).expect("it is there");
        traded.trades += 1;
        traded.qty.add(qty);
    }

    /// Trades in all symbols.
    pub fn trades(&self) -> u64 {
        self.traded.values().map(|traded| traded.trades).sum()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let traded: Map<_, _> = self
            .traded
            .iter()
            .map(|(symbol, Traded { trades, qty })| {
                (symbol.clone(), json!({ "trades": trades, "qty": qty.text() }))
            })
            .collect();
        json!({
            "accepted": self.accepted,
            "rejected": self.rejected(),
            "reasons": self.refused.counts(),
            "trades": self.trades(),
            "symbols": traded,
        })
    }

    /// What is not the same in the sandbox, a line each.
    pub fn differences(&self, sandbox: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut count = |what: &str, recorded: u64, found: u64| {
            if recorded != found {
                let (recorded, found) = (grouped(recorded), grouped(found));
                lines.push(format!("{what}: {recorded} recorded, {found} in the sandbox"));
            }
        };
        count("accepted", self.accepted, sandbox.accepted);
        count("rejected", self.rejected(), sandbox.rejected());
        let (recorded, found) = (self.refused.counts(), sandbox.refused.counts());
        for reason in keys(recorded, found) {
            let of = |counts: &BTreeMap<_, _>| counts.get(reason).copied().unwrap_or_default();
            count(&format!("rejected, {reason:?}"), of(recorded), of(found));
        }
        for symbol in keys(&self.traded, &sandbox.traded) {
            let of = |outcome: &Self| outcome.traded.get(symbol).copied().unwrap_or_default();
            let (recorded, found) = (of(self), of(sandbox));
            if recorded.trades != found.trades || !recorded.qty.equals(found.qty) {
                let text = |traded: Traded| {
                    let qty = if traded.trades == 0 { NO_QTY } else { traded.qty };
                    format!("{} trades of {}", grouped(traded.trades), qty.text())
                };
                lines.push(format!(
                    "{symbol}: {} recorded, {} in the sandbox",
                    text(recorded),
                    text(found)
                ));
            }
        }
        lines
    }
}

/// TradeIDs that were counted, a bit each: a venue numbers its trades one by one. The trades that are played bound
/// it.
#[derive(Debug, Default)]
pub struct TradeIds(HashMap<u64, u64>);

impl TradeIds {
    /// Counts one; whether it is new.
    pub fn insert(&mut self, id: u64) -> bool {
        let bits = self.0.entry(id / u64::from(u64::BITS)).or_default();
        let bit = 1 << (id % u64::from(u64::BITS));
        let is_new = *bits & bit == 0;
        *bits |= bit;
        is_new
    }
}

/// The keys of both, each once.
fn keys<'a, V>(
    one: &'a BTreeMap<String, V>,
    other: &'a BTreeMap<String, V>,
) -> impl Iterator<Item = &'a String> {
    let more = other.keys().filter(|key| !one.contains_key(*key));
    one.keys().chain(more)
}

/// Counts an event that followed a request; whether it refused the request.
pub fn recorded(event: &Event, symbols: &SymbolTable, outcome: &mut Outcome) -> bool {
    let refusal = match event {
        Event::OrderRejected(event) => {
            Some(reject_text(event.reason, event.limit(), event.observed()))
        }
        Event::CancelRejected(event) => {
            Some(reject_text(event.reason, event.limit(), event.observed()))
        }
        Event::Execution(event) => {
            let symbol = symbols.symbol(event.instrument);
            if event.exec_type == ExecType::Trade && event.last_liquidity == LastLiquidity::Removed
            {
                let symbol = symbol.map_or("", |symbol| symbol.as_str());
                outcome.trade(symbol, Decimal::new(event.last_qty, event.qty_scale));
            }
            None
        }
        _ => None,
    };
    if let Some(text) = &refusal {
        outcome.reject(text);
    }
    refusal.is_some()
}

/// A trade, as it is told to the side that came last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade<'a> {
    /// TradeID, the same in all that is told of it.
    pub id: u64,
    /// Symbol (55).
    pub symbol: &'a [u8],
    /// LastQty (32).
    pub qty: Decimal,
}

/// What a message of the sandbox says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says<'a> {
    /// It is accepted.
    Accepted,
    /// It is refused, with this Text (58).
    Refused(&'a [u8]),
    /// An order of it traded, and came last.
    Traded(Trade<'a>),
    /// What does not matter here: the other side of a trade, an order that ended.
    Nothing,
}

/// What a message says.
pub fn says<'a>(report: &ReportMessage<'a>) -> Says<'a> {
    let text = |text: Option<&'a [u8]>| text.unwrap_or(b"no reason given");
    match report {
        ReportMessage::Execution(report) => match report.exec_type {
            FixExecType::Rejected => Says::Refused(text(report.text)),
            FixExecType::OrderStatus if report.ord_status == OrdStatus::Rejected => {
                Says::Refused(text(report.text))
            }
            FixExecType::Trade if report.last_liquidity_ind == Some(REMOVED) => {
                let id = report.secondary_exec_id.and_then(|id| parse_u64(id).ok());
                id.zip(report.last_qty).map_or(Says::Nothing, |(id, qty)| {
                    Says::Traded(Trade { id, symbol: report.symbol, qty })
                })
            }
            FixExecType::Trade => Says::Nothing,
            _ => Says::Accepted,
        },
        ReportMessage::CancelReject(reject) => Says::Refused(text(reject.text)),
        ReportMessage::BusinessReject(reject) => Says::Refused(text(reject.text)),
        ReportMessage::SessionReject(reject) => Says::Refused(text(reject.text)),
        ReportMessage::MassCancel(report) if report.response == MassCancelResponse::Rejected => {
            Says::Refused(text(report.text))
        }
        ReportMessage::MassCancel(_) => Says::Accepted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(trades: &[(&str, Decimal)], rejects: &[&str]) -> Outcome {
        let mut outcome = Outcome { accepted: 3, ..Outcome::default() };
        trades.iter().for_each(|(symbol, qty)| outcome.trade(symbol, *qty));
        rejects.iter().for_each(|text| outcome.reject(text));
        outcome
    }

    #[test]
    fn the_same_quantity_is_the_same_with_other_decimals() {
        let one = outcome(&[("A", Decimal::new(15, 1)), ("A", Decimal::new(5, 1))], &[]);
        let other = outcome(&[("A", Decimal::new(2, 0)), ("A", Decimal::new(0, 8))], &[]);
        assert_eq!(one.differences(&other), Vec::<String>::new());
        assert_eq!(other.differences(&one), Vec::<String>::new());
    }

    #[test]
    fn what_differs_is_told_with_both_numbers() {
        let one = outcome(&[("A", Decimal::new(15, 1))], &["price 1 is wrong", "late"]);
        let mut other = outcome(&[("B", Decimal::new(7, 0))], &["price 2 is wrong", "halted"]);
        other.accepted = 2;
        assert_eq!(
            one.differences(&other),
            [
                "accepted: 3 recorded, 2 in the sandbox",
                "rejected, \"late\": 1 recorded, 0 in the sandbox",
                "rejected, \"halted\": 0 recorded, 1 in the sandbox",
                "A: 1 trades of 1.5 recorded, 0 trades of 0 in the sandbox",
                "B: 0 trades of 0 recorded, 1 trades of 7 in the sandbox",
            ]
        );
    }

    #[test]
    fn each_trade_id_is_new_once() {
        let mut ids = TradeIds::default();
        let edges = [0, 1, 63, 64, 65, 127, 128, u64::MAX];
        for is_new in [true, false] {
            for id in edges {
                assert_eq!(ids.insert(id), is_new, "{id}");
            }
        }
        assert!(ids.insert(2));
    }
}
