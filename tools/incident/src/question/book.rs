//! The books at a moment, level by level or order by order.

use std::fmt;

use ironbook_engine::{Engine, InstrumentId, OrderId, Side};
use serde_json::{Value, json};

use super::{engine, instrument, place_json};
use crate::{
    Fault,
    book::{BookView, book},
    index::Index,
    moment::Moment,
    show::{comp_id, number},
    text::utc,
};

/// Books at a moment.
#[derive(Clone, Debug)]
pub struct Books {
    /// The last frame before the moment.
    pub sequence: u64,
    /// Its time in ns since 1970.
    pub time_ns: u64,
    /// The books that have orders, or the one that was asked for, each with its orders if they were.
    pub books: Vec<(BookView, Vec<OrderRow>)>,
}

/// A resting order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRow {
    /// OrderID.
    pub order_id: OrderId,
    /// Its owner.
    pub comp_id: String,
    /// ClOrdID.
    pub cl_ord_id: String,
    /// Side.
    pub side: Side,
    /// Price.
    pub price: String,
    /// What it has left.
    pub leaves_qty: String,
    /// What it has traded.
    pub cum_qty: String,
    /// Sequence of the command that gave it its place.
    pub priority: u64,
}

/// The books behind the input of a frame: of one symbol or of all, with so many levels, and whether with
/// their orders.
///
/// # Errors
/// [`Fault`]: there is no such frame or symbol.
pub fn books(
    index: &Index,
    sequence: u64,
    symbol: Option<&str>,
    (depth, with_orders): (usize, bool),
) -> Result<Books, Fault> {
    let moment = Moment::at(index, sequence)?;
    let state = engine(&moment)?;
    let only = symbol.map(|symbol| instrument(state, symbol)).transpose()?;
    let wanted = state.instruments().map(|view| view.definition.instrument);
    let wanted = wanted.filter(|instrument| only.is_none_or(|only| only == *instrument));
    let show = |instrument| {
        let view = book(state, instrument, depth)?;
        let is_shown = view.live_orders > 0 || only.is_some();
        let orders = if with_orders { orders(state, instrument, depth) } else { Vec::new() };
        is_shown.then_some((view, orders))
    };
    let books = wanted.filter_map(show).collect();
    Ok(Books { sequence: moment.sequence(), time_ns: moment.time_ns(), books })
}

fn orders(state: &Engine, instrument: InstrumentId, depth: usize) -> Vec<OrderRow> {
    let (Some(view), Some(book)) = (state.instrument(instrument), state.book(instrument)) else {
        return Vec::new();
    };
    let scales = view.definition;
    let row = |order: ironbook_engine::engine::OrderView| OrderRow {
        order_id: order.order_id,
        comp_id: comp_id(state, order.session),
        cl_ord_id: order.cl_ord_id.to_string(),
        side: order.side,
        price: number(order.price, scales.price_scale),
        leaves_qty: number(order.leaves_qty, scales.qty_scale),
        cum_qty: number(order.cum_qty, scales.qty_scale),
        priority: order.priority.0,
    };
    let side = |side| book.levels(side).take(depth).flat_map(|level| level.orders()).map(row);
    side(Side::Buy).chain(side(Side::Sell)).collect()
}

impl Books {
    /// An order of the books, to ask about.
    pub fn first_order(&self) -> Option<OrderId> {
        self.books.iter().flat_map(|(_, orders)| orders).map(|order| order.order_id).next()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let order = |order: &OrderRow| {
            json!({
                "order_id": order.order_id.0,
                "comp_id": order.comp_id,
                "cl_ord_id": order.cl_ord_id,
                "side": format!("{:?}", order.side),
                "price": order.price,
                "leaves_qty": order.leaves_qty,
                "cum_qty": order.cum_qty,
                "priority": order.priority,
            })
        };
        let mut value = place_json(self.sequence, self.time_ns);
        value["books"] = self
            .books
            .iter()
            .map(|(book, orders)| {
                let mut value = book.json();
                if !orders.is_empty() {
                    value["orders"] = orders.iter().map(order).collect();
                }
                value
            })
            .collect();
        value
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sequence     {} at {}", self.sequence, utc(self.time_ns))?;
        for (book, orders) in &self.books {
            write!(f, "\n\n{book}")?;
            if orders.is_empty() {
                continue;
            }
            write!(
                f,
                "\n\n  {:<4} {:>14} {:>14} {:>14} {:>12} {:<20} client, ClOrdID",
                "side", "price", "left", "done", "place since", "order"
            )?;
            for order in orders {
                write!(
                    f,
                    "\n  {:<4} {:>14} {:>14} {:>14} {:>12} {:<20} {} {}",
                    format!("{:?}", order.side),
                    order.price,
                    order.leaves_qty,
                    order.cum_qty,
                    order.priority,
                    order.order_id.to_string(),
                    order.comp_id,
                    order.cl_ord_id
                )?;
            }
        }
        Ok(())
    }
}
