//! Which trades would be busted, and what that comes to for both sides. It is a plan: nothing is sent, and
//! nothing is changed.
//!
//! The plan is also lines of JSON, an object each, every one with `"mark": "PLAN"`:
//!
//! | `what` | fields |
//! |---|---|
//! | `plan`, the first line | `format` (1), `first_sequence`, `last_sequence` and `state_hash` of the journal that was read, `damaged` where it is not all of it, `trades`, `redacted` |
//! | `bust`, for each trade by sequence | `trade_id`, `sequence`, `time`, `symbol`, `price`, `qty`, `notional`, `buyer` and `seller` with `comp_id` and `order_id`, `aggressor` |
//! | `effect`, for each party and symbol | `comp_id`, `symbol`, `trades`, `position_before` and `_after`, `position_change`, `cash_before` and `_after`, `cash_change`, `fees` (0: the venue has none) |
//!
//! Positions are what the party bought less what it sold, in all of the journal that was read; cash is what it
//! got for that less what it paid, price times quantity. Both count from `first_sequence`: where that is not 1,
//! older segments are gone, and what was traded in those is not known here.

use std::{collections::BTreeMap, fmt};

use ironbook_engine::{Engine, InstrumentId, SessionId, TradeId, event::Execution};
use serde_json::{Value, json};

use super::{
    Span, clock, engine,
    trades::{Sides, Sums, Wanted, find},
};
use crate::{
    Fault,
    index::Index,
    moment::Moment,
    names::Names,
    place::What,
    show::{comp_id, number, symbol},
    text::{grouped, hash, signed_decimal, utc},
};

/// The word that stands beside everything that is planned.
pub const MARK: &str = "PLAN";
/// Version of the lines of a plan.
const FORMAT: u64 = 1;

/// A trade that would be busted.
#[derive(Clone, Debug)]
pub struct Bust {
    /// Number of the trade.
    pub trade_id: TradeId,
    /// Sequence of the aggressor's report.
    pub sequence: u64,
    /// Its time in ns since 1970.
    pub time_ns: u64,
    /// Symbol.
    pub symbol: String,
    /// Price.
    pub price: String,
    /// Quantity.
    pub qty: String,
    /// Price times quantity.
    pub notional: String,
    /// Who bought: comp id and OrderID.
    pub buyer: (String, u64),
    /// Who sold.
    pub seller: (String, u64),
    /// Whether the buyer took the seller's liquidity.
    pub buyer_took: bool,
}

/// What it comes to for a party in a symbol.
#[derive(Clone, Debug)]
pub struct Effect {
    /// Its comp id.
    pub comp_id: String,
    /// Symbol.
    pub symbol: String,
    /// Trades that would be busted.
    pub trades: u64,
    /// What it holds.
    pub position_before: String,
    /// What it would hold.
    pub position_after: String,
    /// The difference.
    pub position_change: String,
    /// What it got for what it sold, less what it paid.
    pub cash_before: String,
    /// What that would be.
    pub cash_after: String,
    /// What it gets, or pays where it is negative.
    pub cash_change: String,
}

/// A plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The first frame that there is; positions and cash count from it.
    pub first_sequence: u64,
    /// The last frame that was read.
    pub last_sequence: u64,
    /// Hash of the state there.
    pub state_hash: u64,
    /// Whether the journal is damaged behind the last frame.
    pub is_damaged: bool,
    /// Whether comp ids are replaced.
    pub is_redacted: bool,
    /// The trades, by sequence.
    pub busts: Vec<Bust>,
    /// The parties, by session and instrument.
    pub effects: Vec<Effect>,
}

/// Plans to bust the trades that are `wanted`; its limit plays no part.
///
/// # Errors
/// [`Fault::NotFound`]: there is no such trade, symbol or comp id; others when the journal can't be read.
pub fn bust(index: &Index, wanted: &Wanted<'_>, redact: bool) -> Result<Plan, Fault> {
    for id in wanted.only {
        What::Trade(*id).find(index)?;
    }
    let end = Moment::end(index)?;
    let known = engine(&end)?;
    let names = Names::of(index, redact)?;
    let names = names.engine();
    let mut busts = Vec::new();
    let mut sums: BTreeMap<(SessionId, InstrumentId), [Sums; 2]> = BTreeMap::new();
    find(index, known, wanted, |sides, _| {
        busts.push(Bust::of(sides, names));
        let [buyer, seller] = sides.parties();
        for event in [buyer, seller] {
            sums.entry((event.session, event.instrument)).or_default()[0].add(event);
        }
        if buyer.session == seller.session
            && let Some([busted, _]) = sums.get_mut(&(buyer.session, buyer.instrument))
        {
            // With itself it was one trade.
            busted.trades -= 1;
        }
    })?;
    if busts.is_empty() {
        return Err(Fault::NotFound(
            "no trade is as asked for, so none is to be busted".to_owned(),
        ));
    }
    let all = Span { first: index.first_sequence(), last: index.last_sequence() };
    let all = Wanted { span: all, symbol: None, comp_id: None, away: None, only: &[], limit: 0 };
    find(index, known, &all, |sides, _| {
        for event in sides.parties() {
            if let Some(sums) = sums.get_mut(&(event.session, event.instrument)) {
                sums[1].add(event);
            }
        }
    })?;
    let effects = sums.iter().map(|(of, sums)| Effect::of(*of, sums, names)).collect();
    Ok(Plan {
        first_sequence: index.first_sequence(),
        last_sequence: index.last_sequence(),
        state_hash: known.state_hash(),
        is_damaged: index.damage().is_some(),
        is_redacted: redact,
        busts,
        effects,
    })
}

impl Bust {
    fn of(sides: &Sides, names: &Engine) -> Self {
        let taker = &sides.taker;
        let notional = i128::from(taker.last_px) * i128::from(taker.last_qty);
        let party = |event: &Execution| (comp_id(names, event.session), event.order_id.0);
        let [buyer, seller] = sides.parties();
        Self {
            trade_id: taker.trade_id,
            sequence: sides.sequence,
            time_ns: sides.time_ns,
            symbol: symbol(names, taker.instrument),
            price: number(taker.last_px, taker.price_scale),
            qty: number(taker.last_qty, taker.qty_scale),
            notional: signed_decimal(notional, taker.price_scale + taker.qty_scale),
            buyer: party(buyer),
            seller: party(seller),
            buyer_took: buyer.order_id == taker.order_id,
        }
    }

    fn json(&self) -> Value {
        let party = |(comp_id, order_id): &(String, u64)| json!({ "comp_id": comp_id, "order_id": order_id });
        json!({
            "mark": MARK,
            "what": "bust",
            "trade_id": self.trade_id.0,
            "sequence": self.sequence,
            "time": utc(self.time_ns),
            "symbol": self.symbol,
            "price": self.price,
            "qty": self.qty,
            "notional": self.notional,
            "buyer": party(&self.buyer),
            "seller": party(&self.seller),
            "aggressor": if self.buyer_took { "buyer" } else { "seller" },
        })
    }
}

impl Effect {
    fn of(
        (session, instrument): (SessionId, InstrumentId),
        [busted, all]: &[Sums; 2],
        names: &Engine,
    ) -> Self {
        let view = names.instrument(instrument).map(|view| view.definition);
        let (price_scale, qty_scale) = view.map_or((0, 0), |of| (of.price_scale, of.qty_scale));
        let [change, before] = [busted.sold - busted.bought, all.bought - all.sold];
        let qty = |mantissa| signed_decimal(mantissa, qty_scale);
        let cash = |mantissa| signed_decimal(mantissa, price_scale + qty_scale);
        Self {
            comp_id: comp_id(names, session),
            symbol: symbol(names, instrument),
            trades: busted.trades,
            position_before: qty(before),
            position_after: qty(before + change),
            position_change: qty(change),
            cash_before: cash(all.cash),
            cash_after: cash(all.cash - busted.cash),
            cash_change: cash(-busted.cash),
        }
    }

    fn json(&self) -> Value {
        json!({
            "mark": MARK,
            "what": "effect",
            "comp_id": self.comp_id,
            "symbol": self.symbol,
            "trades": self.trades,
            "position_before": self.position_before,
            "position_after": self.position_after,
            "position_change": self.position_change,
            "cash_before": self.cash_before,
            "cash_after": self.cash_after,
            "cash_change": self.cash_change,
            "fees": "0",
        })
    }
}

impl Plan {
    fn title(&self) -> Value {
        json!({
            "mark": MARK,
            "what": "plan",
            "format": FORMAT,
            "first_sequence": self.first_sequence,
            "last_sequence": self.last_sequence,
            "state_hash": hash(self.state_hash),
            "damaged": self.is_damaged,
            "trades": self.busts.len(),
            "redacted": self.is_redacted,
        })
    }

    /// The plan as lines of JSON.
    pub fn lines(&self) -> String {
        let busts = self.busts.iter().map(Bust::json);
        let effects = self.effects.iter().map(Effect::json);
        let all = std::iter::once(self.title()).chain(busts).chain(effects);
        all.map(|line| format!("{line}\n")).collect()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let mut value = self.title();
        value["busts"] = self.busts.iter().map(Bust::json).collect();
        value["effects"] = self.effects.iter().map(Effect::json).collect();
        value
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trades = grouped(self.busts.len() as u64);
        let last = grouped(self.last_sequence);
        writeln!(f, "{MARK} to bust {trades} trades; nothing is sent, nothing is changed")?;
        writeln!(
            f,
            "{MARK} by the journal up to sequence {last}, state {}",
            hash(self.state_hash)
        )?;
        if self.first_sequence > 1 {
            let first = grouped(self.first_sequence);
            writeln!(
                f,
                "{MARK} positions and cash count from sequence {first}, older trades are gone"
            )?;
        }
        if self.is_damaged {
            writeln!(
                f,
                "{MARK} the journal is damaged behind that: what it held there is not known"
            )?;
        }
        writeln!(
            f,
            "\n  {:>8} {:>10} {:<15} {:<8} {:>10} {:>12} {:>16}  buyer, seller (* took)",
            "trade", "sequence", "time", "symbol", "qty", "price", "notional"
        )?;
        for bust in &self.busts {
            let mark = |took| if took { "*" } else { "" };
            writeln!(
                f,
                "  {:>8} {:>10} {:<15} {:<8} {:>10} {:>12} {:>16}  {}{} {}, {}{} {}",
                bust.trade_id,
                bust.sequence,
                clock(bust.time_ns),
                bust.symbol,
                bust.qty,
                bust.price,
                bust.notional,
                bust.buyer.0,
                mark(bust.buyer_took),
                bust.buyer.1,
                bust.seller.0,
                mark(!bust.buyer_took),
                bust.seller.1,
            )?;
        }
        for (number, effect) in self.effects.iter().enumerate() {
            let label = if number == 0 { "Effects" } else { "" };
            write!(
                f,
                "\n{label:<12} {:<16} {:<8} {} trades, position {} to {} ({}), cash {} to {} ({}), no fees",
                effect.comp_id,
                effect.symbol,
                effect.trades,
                effect.position_before,
                effect.position_after,
                effect.position_change,
                effect.cash_before,
                effect.cash_after,
                effect.cash_change,
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan says where what it knows begins, and where it ends early.
    #[test]
    fn what_is_missing_is_part_of_the_plan() {
        for (first_sequence, is_damaged, expected) in [
            (1, false, &[][..]),
            (1_001, false, &["count from sequence 1,001,"][..]),
            (1, true, &["damaged"][..]),
            (1_001, true, &["count from sequence 1,001,", "damaged"][..]),
        ] {
            let plan = Plan {
                first_sequence,
                last_sequence: 2_000,
                state_hash: 7,
                is_damaged,
                is_redacted: true,
                busts: Vec::new(),
                effects: Vec::new(),
            };
            let text = plan.to_string();
            let marked: Vec<_> = text.lines().filter(|line| line.starts_with(MARK)).collect();
            assert_eq!(marked.len(), 2 + expected.len(), "{text}");
            for (line, expected) in marked[2..].iter().zip(expected) {
                assert!(line.contains(expected), "{line}");
            }
            let first: Value = serde_json::from_str(plan.lines().lines().next().unwrap()).unwrap();
            assert_eq!(first["first_sequence"], first_sequence);
            assert_eq!(first["damaged"], is_damaged);
        }
    }
}
