//! Books as people see them.

use std::fmt;

use ironbook_engine::{
    Engine, InstrumentId, Side,
    engine::{BookView as EngineBook, InstrumentView, LevelView as EngineLevel},
};
use serde_json::{Value, json};

use crate::text::{decimal, grouped};

/// The book of an instrument at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookView {
    /// Symbol of the instrument.
    pub symbol: String,
    /// Its status, in small letters.
    pub status: String,
    /// Orders on both sides.
    pub live_orders: u64,
    /// Buys, best first.
    pub bids: Vec<LevelView>,
    /// Sells, best first.
    pub asks: Vec<LevelView>,
    /// Levels that an input has changed, as far as somebody asked for that.
    pub changes: Vec<Change>,
}

/// A price level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelView {
    /// Price.
    pub price: String,
    /// Sum of what the orders have left.
    pub qty: String,
    /// How many they are.
    pub orders: u64,
}

/// A level before and after an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Side.
    pub side: Side,
    /// Price.
    pub price: String,
    /// Before it, with quantity `0` where there was none.
    pub before: LevelView,
    /// After it.
    pub after: LevelView,
}

/// The books of all instruments, up to `depth` levels a side.
pub fn books(engine: &Engine, depth: usize) -> Vec<BookView> {
    let views = engine.instruments();
    views.filter_map(|view| book(engine, view.definition.instrument, depth)).collect()
}

/// The book of one instrument, up to `depth` levels a side.
pub fn book(engine: &Engine, instrument: InstrumentId, depth: usize) -> Option<BookView> {
    let (view, book) = (engine.instrument(instrument)?, engine.book(instrument)?);
    let side = |side| book.levels(side).take(depth).map(|of| level(&view, &of)).collect();
    let orders = |side| book.levels(side).map(|of| u64::from(of.order_count())).sum::<u64>();
    Some(BookView {
        symbol: view.definition.symbol.to_string(),
        status: format!("{:?}", view.status).to_lowercase(),
        live_orders: orders(Side::Buy) + orders(Side::Sell),
        bids: side(Side::Buy),
        asks: side(Side::Sell),
        changes: Vec::new(),
    })
}

fn level(view: &InstrumentView, level: &EngineLevel<'_>) -> LevelView {
    LevelView {
        price: price(view, level.price),
        qty: decimal(level.qty(), view.definition.qty_scale),
        orders: level.order_count().into(),
    }
}

fn price(view: &InstrumentView, mantissa: i64) -> String {
    decimal(mantissa.unsigned_abs().into(), view.definition.price_scale)
}

/// The level at a price, whether orders rest there or not.
pub(crate) fn level_at(
    (view, book): (&InstrumentView, &EngineBook<'_>),
    side: Side,
    mantissa: i64,
) -> LevelView {
    match book.level(side, mantissa) {
        Some(found) => level(view, &found),
        None => {
            let qty = decimal(0, view.definition.qty_scale);
            LevelView { price: price(view, mantissa), qty, orders: 0 }
        }
    }
}

impl LevelView {
    fn json(&self) -> Value {
        json!([self.price, self.qty, self.orders])
    }

    fn amount(&self) -> String {
        match self.orders {
            0 => "nothing".to_owned(),
            1 => format!("{} in 1 order", self.qty),
            orders => format!("{} in {orders} orders", self.qty),
        }
    }
}

impl BookView {
    /// For programs; a level is price, quantity and number of orders.
    pub fn json(&self) -> Value {
        let levels = |levels: &[LevelView]| levels.iter().map(LevelView::json).collect::<Vec<_>>();
        let change = |change: &Change| {
            json!({
                "side": format!("{:?}", change.side),
                "price": change.price,
                "before": [change.before.qty, change.before.orders],
                "after": [change.after.qty, change.after.orders],
            })
        };
        let mut value = json!({
            "symbol": self.symbol,
            "status": self.status,
            "live_orders": self.live_orders,
            "bids": levels(&self.bids),
            "asks": levels(&self.asks),
        });
        if !self.changes.is_empty() {
            value["changes"] = self.changes.iter().map(change).collect();
        }
        value
    }

    /// Whether an input has changed a level.
    pub fn is_changed(&self, side: Side, level: &LevelView) -> bool {
        self.changes.iter().any(|change| change.side == side && change.price == level.price)
    }
}

/// As a table: bids left, asks right, best first; `*` marks levels that changed.
impl fmt::Display for BookView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let live = grouped(self.live_orders);
        writeln!(f, "{} ({}, {live} live orders)", self.symbol, self.status)?;
        write!(
            f,
            "  {:>6} {:>18} {:>14} | {:<14} {:<18} {:<6}",
            "orders", "qty", "bid", "ask", "qty", "orders"
        )?;
        let none = LevelView { price: String::new(), qty: String::new(), orders: 0 };
        for row in 0..self.bids.len().max(self.asks.len()) {
            let bid = self.bids.get(row).unwrap_or(&none);
            let ask = self.asks.get(row).unwrap_or(&none);
            let orders = |level: &LevelView| match level.orders {
                0 => String::new(),
                orders => orders.to_string(),
            };
            let mark = |side, level| if self.is_changed(side, level) { "*" } else { " " };
            let (left, right) = (mark(Side::Buy, bid), mark(Side::Sell, ask));
            let text = format!(
                "\n{left} {:>6} {:>18} {:>14} | {:<14} {:<18} {:<6}{right}",
                orders(bid),
                bid.qty,
                bid.price,
                ask.price,
                ask.qty,
                orders(ask)
            );
            f.write_str(text.trim_end())?;
        }
        for change in &self.changes {
            write!(f, "\n{change}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.side == Side::Buy { "bid" } else { "ask" };
        let (before, after) = (self.before.amount(), self.after.amount());
        write!(f, "* {side} {}: {before} before, {after} now", self.price)
    }
}
