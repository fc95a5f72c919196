//! Where an order stands in its queue.

use ironbook_engine::{Engine, OrderId, Side};
use serde_json::{Value, json};

use crate::show::qty;

/// What has to trade before an order does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// Orders before it at its price.
    pub orders: u64,
    /// What they have left.
    pub qty: String,
    /// Orders at better prices of its side.
    pub better_orders: u64,
    /// What they have left.
    pub better_qty: String,
}

/// What is ahead of an order; none when it does not rest. The walk is as long as the queue.
pub fn ahead(engine: &Engine, order_id: OrderId) -> Option<Ahead> {
    let order = engine.order(order_id)?;
    let (view, book) = (engine.instrument(order.instrument)?, engine.book(order.instrument)?);
    let scale = view.definition.qty_scale;
    let is_better = |price: i64| match order.side {
        Side::Buy => price > order.price,
        Side::Sell => price < order.price,
    };
    let better = book.levels(order.side).take_while(|level| is_better(level.price));
    let (better_orders, better_qty) = better.fold((0, 0), |(orders, sum), level| {
        (orders + u64::from(level.order_count()), sum + level.qty())
    });
    let level = book.level(order.side, order.price)?;
    let before = level.orders().take_while(|other| other.order_id != order_id);
    let (orders, sum) = before.fold((0, 0), |(orders, sum), other| {
        (orders + 1, sum + u128::from(other.leaves_qty.unsigned_abs()))
    });
    Some(Ahead { orders, qty: qty(sum, scale), better_orders, better_qty: qty(better_qty, scale) })
}

impl Ahead {
    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "orders": self.orders,
            "qty": self.qty,
            "better_orders": self.better_orders,
            "better_qty": self.better_qty,
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let here = match self.orders {
            0 => "first at its price".to_owned(),
            1 => format!("1 order ahead with {}", self.qty),
            orders => format!("{orders} orders ahead with {}", self.qty),
        };
        match self.better_orders {
            0 => here,
            orders => format!("{here}, {orders} at better prices with {}", self.better_qty),
        }
    }
}
