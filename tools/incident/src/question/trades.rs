//! Trades, with both sides, how far from the market they were, and what they come to for each party.

use std::{collections::BTreeMap, fmt};

use ironbook_engine::{
    Engine, Event, ExecType, InstrumentId, LastLiquidity, OrderId, SessionId, Side, TradeId,
    event::Execution,
};
use serde_json::{Value, json};

use super::{Span, clock, engine, instrument, place_json, scan};
use crate::{
    Fault,
    index::Index,
    moment::Moment,
    place::{self, session},
    show::{comp_id, number, symbol},
    text::signed_decimal,
};

/// Which trades are asked for.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// Where.
    pub span: Span,
    /// Only in this symbol.
    pub symbol: Option<&'a str>,
    /// Only with this comp id on one side.
    pub comp_id: Option<&'a str>,
    /// Only those whose price is at least so many percent from the middle of the book before them.
    pub away: Option<f64>,
    /// Only these; all where there is none.
    pub only: &'a [TradeId],
    /// Most trades that are listed; all are counted.
    pub limit: usize,
}

/// A trade.
#[derive(Clone, Debug)]
pub struct Trade {
    /// Sequence of the aggressor's report.
    pub sequence: u64,
    /// Its time in ns since 1970.
    pub time_ns: u64,
    /// Number of the trade.
    pub trade_id: TradeId,
    /// Symbol.
    pub symbol: String,
    /// Price.
    pub price: String,
    /// Quantity.
    pub qty: String,
    /// Who bought: comp id and OrderID.
    pub buyer: (String, OrderId),
    /// Who sold.
    pub seller: (String, OrderId),
    /// Whether the buyer took the seller's liquidity.
    pub buyer_took: bool,
    /// Middle of the book before the input, and how far the price is from it in percent, where that was
    /// asked for.
    pub away: Option<(String, f64)>,
}

/// What trades come to for a party in a symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its comp id.
    pub comp_id: String,
    /// Symbol.
    pub symbol: String,
    /// Trades.
    pub trades: u64,
    /// Bought.
    pub bought: String,
    /// Sold.
    pub sold: String,
    /// Bought less sold.
    pub net: String,
    /// Price times quantity, sold less bought.
    pub cash: String,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Trades {
    /// Trades found, those that are not listed too.
    pub count: u64,
    /// The first of them.
    pub trades: Vec<Trade>,
    /// What all of them come to.
    pub parties: Vec<Party>,
}

/// Both sides of a trade as they were reported.
pub(super) struct Sides {
    pub sequence: u64,
    pub time_ns: u64,
    pub maker: Execution,
    pub taker: Execution,
}

impl Sides {
    /// Who bought, and who sold.
    pub fn parties(&self) -> [&Execution; 2] {
        match self.taker.side {
            Side::Buy => [&self.taker, &self.maker],
            Side::Sell => [&self.maker, &self.taker],
        }
    }
}

/// Sums of a party in an instrument.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums {
    pub trades: u64,
    pub bought: i128,
    pub sold: i128,
    pub cash: i128,
}

impl Sums {
    /// Takes one side of a trade into account.
    pub fn add(&mut self, event: &Execution) {
        let (qty, px) = (i128::from(event.last_qty), i128::from(event.last_px));
        self.trades += 1;
        match event.side {
            Side::Buy => {
                self.bought += qty;
                self.cash -= qty * px;
            }
            Side::Sell => {
                self.sold += qty;
                self.cash += qty * px;
            }
        }
    }
}

/// Finds trades.
///
/// # Errors
/// [`Fault`]: a symbol or comp id that there is not, or a journal that can't be read.
pub fn trades(index: &Index, wanted: &Wanted<'_>) -> Result<Trades, Fault> {
    let end = Moment::end(index)?;
    let names = engine(&end)?;
    let mut found =
        Found { names, limit: wanted.limit, count: 0, trades: Vec::new(), sums: BTreeMap::new() };
    find(index, names, wanted, |sides, away| found.take(sides, away))?;
    Ok(found.answer())
}

/// Shows the trades that are wanted, and how far from the market they were where that is asked for.
pub(super) fn find(
    index: &Index,
    names: &Engine,
    wanted: &Wanted<'_>,
    mut each: impl FnMut(&Sides, Option<(String, f64)>),
) -> Result<(), Fault> {
    let only = wanted.symbol.map(|wanted| instrument(names, wanted)).transpose()?;
    let party = wanted.comp_id.map(|wanted| session(names, wanted)).transpose()?;
    let is_wanted = |sides: &Sides| {
        let (maker, taker) = (&sides.maker, &sides.taker);
        wanted.span.holds(sides.sequence)
            && only.is_none_or(|only| only == taker.instrument)
            && (wanted.only.is_empty() || wanted.only.contains(&taker.trade_id))
            && party.is_none_or(|party| [maker.session, taker.session].contains(&party))
    };
    match wanted.away {
        Some(percent) => with_reference(index, wanted.span, |sides, middle| {
            let away = middle.and_then(|middle| away(sides, middle));
            if is_wanted(sides)
                && let Some((text, away)) = away
                && away.abs() >= percent
            {
                each(sides, Some((text, away)));
            }
        })?,
        None => {
            let mut maker = None;
            // An aggressor's report follows that of the order it took: in another block, it may be, so
            // no block is left out.
            let span = Span { first: wanted.span.first.saturating_sub(1), ..wanted.span };
            scan(index, &[], span, |frame| {
                let Some(Event::Execution(event)) = place::event(frame) else { return };
                if let Some(sides) = pair(&mut maker, &event, frame.sequence, frame.time_ns)
                    && is_wanted(&sides)
                {
                    each(&sides, None);
                }
            })?;
        }
    }
    Ok(())
}

/// Pairs the two reports of a trade, which follow each other.
fn pair(
    maker: &mut Option<Execution>,
    event: &Execution,
    sequence: u64,
    time_ns: u64,
) -> Option<Sides> {
    if event.exec_type != ExecType::Trade {
        return None;
    }
    if event.last_liquidity == LastLiquidity::Added {
        *maker = Some(*event);
        return None;
    }
    let maker = maker.take().filter(|maker| maker.trade_id == event.trade_id)?;
    Some(Sides { sequence, time_ns, maker, taker: *event })
}

/// Shows each trade with twice the middle of its book before the input.
fn with_reference(
    index: &Index,
    span: Span,
    mut each: impl FnMut(&Sides, Option<i128>),
) -> Result<(), Fault> {
    let mut moment = Moment::before(index, index.input_of(span.first)?)?;
    let (mut middles, mut touched) = (Vec::new(), Vec::new());
    while moment.sequence() < span.last {
        let known = moment.engine().map_or(0, |engine| engine.instruments().len());
        while middles.len() < known {
            let instrument = InstrumentId(middles.len() as u32 + 1);
            middles.push(moment.engine().and_then(|engine| middle(engine, instrument)));
        }
        if !moment.step()? {
            break;
        }
        let mut maker = None;
        touched.clear();
        for noted in moment.noted() {
            let Ok(Event::Execution(event)) = Event::decode(noted.kind, moment.payload(noted))
            else {
                continue;
            };
            touched.push(event.instrument);
            if let Some(sides) = pair(&mut maker, &event, noted.sequence, noted.time_ns) {
                each(&sides, middles.get(event.instrument.0 as usize - 1).copied().flatten());
            }
        }
        touched.dedup();
        for &instrument in &touched {
            if let Some(place) = middles.get_mut(instrument.0 as usize - 1) {
                *place = moment.engine().and_then(|engine| middle(engine, instrument));
            }
        }
    }
    Ok(())
}

/// Twice the middle of a book, or twice the best price of its one side.
pub(super) fn middle(engine: &Engine, instrument: InstrumentId) -> Option<i128> {
    let book = engine.book(instrument)?;
    let best = |side| book.best(side).map(|level| i128::from(level.price));
    match (best(Side::Buy), best(Side::Sell)) {
        (Some(bid), Some(ask)) => Some(bid + ask),
        (one, other) => one.or(other).map(|price| 2 * price),
    }
}

/// The middle as text, and how far a trade is from it in percent.
fn away(sides: &Sides, middle: i128) -> Option<(String, f64)> {
    let scale = sides.taker.price_scale;
    let distance = 2 * i128::from(sides.taker.last_px) - middle;
    // Twice the middle is ten times a fifth of it: one decimal more, and exact.
    let text = signed_decimal(middle * 5, scale + 1);
    (middle > 0).then(|| (text, distance as f64 / middle as f64 * 100.0))
}

struct Found<'e> {
    names: &'e Engine,
    limit: usize,
    count: u64,
    trades: Vec<Trade>,
    sums: BTreeMap<(SessionId, InstrumentId), Sums>,
}

impl Found<'_> {
    fn take(&mut self, sides: &Sides, away: Option<(String, f64)>) {
        self.count += 1;
        for event in [&sides.maker, &sides.taker] {
            self.sums.entry((event.session, event.instrument)).or_default().add(event);
        }
        if self.trades.len() == self.limit {
            return;
        }
        let buyer_took = sides.taker.side == Side::Buy;
        let [buyer, seller] = sides.parties();
        let party = |event: &Execution| (comp_id(self.names, event.session), event.order_id);
        self.trades.push(Trade {
            sequence: sides.sequence,
            time_ns: sides.time_ns,
            trade_id: sides.taker.trade_id,
            symbol: symbol(self.names, sides.taker.instrument),
            price: number(sides.taker.last_px, sides.taker.price_scale),
            qty: number(sides.taker.last_qty, sides.taker.qty_scale),
            buyer: party(buyer),
            seller: party(seller),
            buyer_took,
            away,
        });
    }

    fn answer(self) -> Trades {
        let party = |(&(session, instrument), sums): (&(SessionId, InstrumentId), &Sums)| {
            let scales = self.names.instrument(instrument).map(|view| view.definition);
            let scales = scales.map_or((0, 0), |of| (of.price_scale, of.qty_scale));
            let names = (comp_id(self.names, session), symbol(self.names, instrument));
            Party::of(names.0, names.1, sums, scales)
        };
        let mut parties: Vec<_> = self.sums.iter().map(party).collect();
        parties.sort_by(|a, b| (&a.comp_id, &a.symbol).cmp(&(&b.comp_id, &b.symbol)));
        Trades { count: self.count, trades: self.trades, parties }
    }
}

impl Party {
    /// Sums with the decimals of prices and quantities.
    pub(super) fn of(comp_id: String, symbol: String, sums: &Sums, (price, qty): (u8, u8)) -> Self {
        Self {
            comp_id,
            symbol,
            trades: sums.trades,
            bought: signed_decimal(sums.bought, qty),
            sold: signed_decimal(sums.sold, qty),
            net: signed_decimal(sums.bought - sums.sold, qty),
            cash: signed_decimal(sums.cash, price + qty),
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "comp_id": self.comp_id,
            "symbol": self.symbol,
            "trades": self.trades,
            "bought": self.bought,
            "sold": self.sold,
            "net": self.net,
            "cash": self.cash,
        })
    }
}

impl Trades {
    /// For programs.
    pub fn json(&self) -> Value {
        let side = |(comp_id, order_id): &(String, OrderId)| json!({ "comp_id": comp_id, "order_id": order_id.0 });
        let trade = |trade: &Trade| {
            let mut value = place_json(trade.sequence, trade.time_ns);
            value["trade_id"] = trade.trade_id.0.into();
            value["symbol"] = trade.symbol.as_str().into();
            value["price"] = trade.price.as_str().into();
            value["qty"] = trade.qty.as_str().into();
            value["buyer"] = side(&trade.buyer);
            value["seller"] = side(&trade.seller);
            value["aggressor"] = if trade.buyer_took { "buyer" } else { "seller" }.into();
            if let Some((middle, percent)) = &trade.away {
                value["middle"] = middle.as_str().into();
                value["away_percent"] = format!("{percent:.4}").into();
            }
            value
        };
        json!({
            "count": self.count,
            "trades": self.trades.iter().map(trade).collect::<Vec<_>>(),
            "parties": self.parties.iter().map(Party::json).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Trades {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {:>10} {:<15} {:>8} {:<8} {:>12} {:>14}  buyer, seller (* took)",
            "sequence", "time", "trade", "symbol", "qty", "price"
        )?;
        for trade in &self.trades {
            let mark = |took| if took { "*" } else { "" };
            let away = trade.away.as_ref().map_or(String::new(), |(middle, percent)| {
                format!(", {percent:+.2} % from {middle}")
            });
            writeln!(
                f,
                "  {:>10} {:<15} {:>8} {:<8} {:>12} {:>14}  {}{} {}, {}{} {}{away}",
                trade.sequence,
                clock(trade.time_ns),
                trade.trade_id,
                trade.symbol,
                trade.qty,
                trade.price,
                trade.buyer.0,
                mark(trade.buyer_took),
                trade.buyer.1,
                trade.seller.0,
                mark(!trade.buyer_took),
                trade.seller.1,
            )?;
        }
        write!(f, "\nTrades       {}, {} listed", self.count, self.trades.len())?;
        for (number, party) in self.parties.iter().enumerate() {
            let label = if number == 0 { "Parties" } else { "" };
            write!(
                f,
                "\n{label:<12} {:<16} {:<8} bought {}, sold {}, net {}, cash {}",
                party.comp_id, party.symbol, party.bought, party.sold, party.net, party.cash
            )?;
        }
        Ok(())
    }
}
