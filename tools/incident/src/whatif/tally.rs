//! What is counted on both sides.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use ironbook_engine::{Engine, Event, ExecType, InstrumentId, LastLiquidity, SessionId, Side};
use serde_json::{Value, json};

use super::{Both, LABEL};
use crate::{
    show::{comp_id, symbol},
    text::{grouped, signed_decimal},
};

/// Counts of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    traded: BTreeMap<InstrumentId, Traded>,
    clients: BTreeMap<SessionId, ClientRow>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Traded {
    trades: u64,
    qty: i128,
    notional: i128,
}

/// What was traded in a symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TradedRow {
    /// Trades.
    pub trades: u64,
    /// Quantity.
    pub qty: String,
    /// Sum of price times quantity.
    pub notional: String,
}

/// What a client did and got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientRow {
    /// Requests.
    pub requests: u64,
    /// Orders accepted.
    pub orders: u64,
    /// Sides of trades, buys and sells.
    pub fills: (u64, u64),
    /// Refusals.
    pub rejects: u64,
}

impl Tally {
    pub(super) fn request(&mut self, session: SessionId) {
        self.clients.entry(session).or_default().requests += 1;
    }

    pub(super) fn event(&mut self, event: &Event) {
        let Some(session) = event.session() else { return };
        match event {
            Event::Execution(event) if event.exec_type == ExecType::Trade => {
                let fills = &mut self.clients.entry(session).or_default().fills;
                match event.side {
                    Side::Buy => fills.0 += 1,
                    Side::Sell => fills.1 += 1,
                }
                if event.last_liquidity == LastLiquidity::Removed {
                    let traded = self.traded.entry(event.instrument).or_default();
                    traded.trades += 1;
                    traded.qty += i128::from(event.last_qty);
                    traded.notional += i128::from(event.last_qty) * i128::from(event.last_px);
                }
            }
            Event::Execution(event) if event.exec_type == ExecType::New => {
                self.clients.entry(session).or_default().orders += 1;
            }
            Event::OrderRejected(_) | Event::CancelRejected(_) => {
                self.clients.entry(session).or_default().rejects += 1;
            }
            _ => {}
        }
    }
}

/// Both sides of each symbol that was traded on one of them.
pub(super) fn trades(tallies: &Both<Tally>, names: &Engine) -> Vec<(String, Both<TradedRow>)> {
    let Both { real, counterfactual } = tallies;
    let row = |tally: &Tally, instrument| {
        let traded = tally.traded.get(instrument).copied().unwrap_or_default();
        let scales = names.instrument(*instrument).map(|view| view.definition);
        let (price, qty) = scales.map_or((0, 0), |of| (of.price_scale, of.qty_scale));
        TradedRow {
            trades: traded.trades,
            qty: signed_decimal(traded.qty, qty),
            notional: signed_decimal(traded.notional, price + qty),
        }
    };
    let all: BTreeSet<_> = real.traded.keys().chain(counterfactual.traded.keys()).collect();
    all.into_iter()
        .map(|instrument| {
            let both = Both {
                real: row(real, instrument),
                counterfactual: row(counterfactual, instrument),
            };
            (symbol(names, *instrument), both)
        })
        .collect()
}

/// Both sides of each client that did something on one of them, by comp id.
pub(super) fn clients(tallies: &Both<Tally>, names: &Engine) -> Vec<(String, Both<ClientRow>)> {
    let Both { real, counterfactual } = tallies;
    let row = |tally: &Tally, session| tally.clients.get(session).cloned().unwrap_or_default();
    let all: BTreeSet<_> = real.clients.keys().chain(counterfactual.clients.keys()).collect();
    let mut rows: Vec<_> = all
        .into_iter()
        .map(|session| {
            let both =
                Both { real: row(real, session), counterfactual: row(counterfactual, session) };
            (comp_id(names, *session), both)
        })
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows
}

impl TradedRow {
    pub(super) fn json(&self) -> Value {
        json!({ "trades": self.trades, "qty": self.qty, "notional": self.notional })
    }
}

impl ClientRow {
    pub(super) fn json(&self) -> Value {
        json!({
            "requests": self.requests,
            "orders": self.orders,
            "buys": self.fills.0,
            "sells": self.fills.1,
            "rejects": self.rejects,
        })
    }
}

pub(super) fn print_trades(
    f: &mut fmt::Formatter<'_>,
    rows: &[(String, Both<TradedRow>)],
) -> fmt::Result {
    write!(f, "\n\n  {:<33} {:>12} {:>18} {:>20}", "symbol", "trades", "qty", "notional")?;
    for (symbol, both) in rows {
        for (side, row) in [("real", &both.real), (LABEL, &both.counterfactual)] {
            let trades = grouped(row.trades);
            write!(
                f,
                "\n  {symbol:<16} {side:<16} {trades:>12} {:>18} {:>20}",
                row.qty, row.notional
            )?;
        }
    }
    Ok(())
}

pub(super) fn print_clients(
    f: &mut fmt::Formatter<'_>,
    rows: &[(String, Both<ClientRow>)],
) -> fmt::Result {
    write!(
        f,
        "\n\n  {:<33} {:>12} {:>12} {:>12} {:>12} {:>12}",
        "client", "requests", "orders", "buys", "sells", "rejects"
    )?;
    for (comp_id, both) in rows {
        for (side, row) in [("real", &both.real), (LABEL, &both.counterfactual)] {
            let counts = [row.requests, row.orders, row.fills.0, row.fills.1, row.rejects];
            let [requests, orders, buys, sells, rejects] = counts.map(grouped);
            write!(
                f,
                "\n  {comp_id:<16} {side:<16} {requests:>12} {orders:>12} {buys:>12} {sells:>12} \
                 {rejects:>12}"
            )?;
        }
    }
    Ok(())
}
