//! Open orders as somebody knows them who only has reports.

use std::collections::BTreeMap;

use ironbook_engine::{engine::OrderView, event::Execution as ExecutionEvent};
use ironbook_fix::{field::Decimal, message::Message};

use super::market::INSTRUMENTS;

/// ExecType (150): accepted.
const NEW: u8 = b'0';
/// ExecType (150): price or quantity changed.
const REPLACED: u8 = b'5';
/// ExecType (150): traded.
const TRADE: u8 = b'F';
/// ExecType (150): the answer to a status request.
const STATUS: u8 = b'I';

/// What an execution report says: from a message, or from the event that it stands for.
///
/// Prices and quantities are in the scale of their instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// OrderID (37)
    pub order_id: u64,
    /// ClOrdID (11)
    pub cl_ord_id: Vec<u8>,
    /// Number of the instrument, from 1.
    pub instrument: u32,
    /// Side (54)
    pub side: u8,
    /// ExecType (150)
    pub exec_type: u8,
    /// OrdStatus (39)
    pub ord_status: u8,
    /// Price (44), 0 for a market order.
    pub price: i64,
    /// OrderQty (38)
    pub order_qty: i64,
    /// LeavesQty (151)
    pub leaves_qty: i64,
    /// CumQty (14)
    pub cum_qty: i64,
    /// LastQty (32) of a trade, else 0.
    pub last_qty: i64,
    /// LastPx (31) of a trade, else 0.
    pub last_px: i64,
    /// SecondaryExecID (527) of a trade, else 0.
    pub trade_id: u64,
}

impl Facts {
    /// Of an event.
    pub fn of_event(event: &ExecutionEvent) -> Self {
        Self {
            order_id: event.order_id.0,
            cl_ord_id: event.cl_ord_id.as_bytes().to_vec(),
            instrument: event.instrument.0,
            side: event.side.code(),
            exec_type: event.exec_type.code(),
            ord_status: event.ord_status.code(),
            price: event.price,
            order_qty: event.order_qty,
            leaves_qty: event.leaves_qty,
            cum_qty: event.cum_qty,
            last_qty: event.last_qty,
            last_px: event.last_px,
            trade_id: event.trade_id.0,
        }
    }

    /// Of an ExecutionReport (8); none when a field is missing or no instrument has the symbol.
    pub fn of_message(message: &Message<'_>) -> Option<Self> {
        let symbol = message.get(55)?;
        let index = INSTRUMENTS.iter().position(|known| known.symbol.as_bytes() == symbol)?;
        let instrument = &INSTRUMENTS[index];
        let decimal = |tag, scale| Decimal::parse(message.get(tag)?).ok()?.rescale(scale);
        let price = |tag| decimal(tag, instrument.price_scale);
        let qty = |tag| decimal(tag, instrument.qty_scale);
        let number = |tag| std::str::from_utf8(message.get(tag)?).ok()?.parse().ok();
        let code = |tag| message.get(tag)?.first().copied();
        Some(Self {
            order_id: number(37)?,
            cl_ord_id: message.get(11)?.to_vec(),
            instrument: index as u32 + 1,
            side: code(54)?,
            exec_type: code(150)?,
            ord_status: code(39)?,
            price: price(44).unwrap_or(0),
            order_qty: qty(38)?,
            leaves_qty: qty(151)?,
            cum_qty: qty(14)?,
            last_qty: qty(32).unwrap_or(0),
            last_px: price(31).unwrap_or(0),
            trade_id: number(527).unwrap_or(0),
        })
    }
}

/// An order that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    /// ClOrdID (11) that it has now.
    pub cl_ord_id: Vec<u8>,
    /// Number of the instrument, from 1.
    pub instrument: u32,
    /// Side (54)
    pub side: u8,
    /// Price (44)
    pub price: i64,
    /// OrderQty (38)
    pub order_qty: i64,
    /// LeavesQty (151)
    pub leaves_qty: i64,
    /// CumQty (14)
    pub cum_qty: i64,
}

impl OpenOrder {
    fn of_facts(facts: &Facts) -> Self {
        Self {
            cl_ord_id: facts.cl_ord_id.clone(),
            instrument: facts.instrument,
            side: facts.side,
            price: facts.price,
            order_qty: facts.order_qty,
            leaves_qty: facts.leaves_qty,
            cum_qty: facts.cum_qty,
        }
    }

    /// As the engine has it.
    pub fn of_view(view: &OrderView) -> Self {
        Self {
            cl_ord_id: view.cl_ord_id.as_bytes().to_vec(),
            instrument: view.instrument.0,
            side: view.side.code(),
            price: view.price,
            order_qty: view.order_qty,
            leaves_qty: view.leaves_qty,
            cum_qty: view.cum_qty,
        }
    }
}

/// Open orders, by OrderID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// By OrderID (37).
    pub orders: BTreeMap<u64, OpenOrder>,
}

impl Model {
    /// Takes a report into account and gives back the order as it was before, if it was known.
    ///
    /// `complete`: every report so far has come, so an order that is not known is none.
    ///
    /// # Errors
    /// What can't be after what was reported before.
    pub fn apply(&mut self, facts: &Facts, complete: bool) -> Result<Option<OpenOrder>, String> {
        let before = self.orders.get(&facts.order_id).cloned();
        let wrong = |why: &str| Err(format!("{why}: {facts:?}, known {before:?}"));
        if facts.leaves_qty > 0 && facts.order_qty != facts.cum_qty + facts.leaves_qty {
            return wrong("OrderQty is not CumQty and LeavesQty");
        }
        match (&before, facts.exec_type) {
            (None, NEW) if facts.cum_qty == 0 => {}
            (_, NEW) => return wrong("an order is new twice, or has traded before"),
            (None, STATUS) if !complete => {}
            (None, STATUS) if facts.leaves_qty == 0 => {}
            // A report between the question and the answer, of which the answer tells more.
            (None, _) if !complete => return Ok(None),
            (None, _) => return wrong("a report of an order that is not open"),
            (Some(known), TRADE) => {
                let cum_qty = known.cum_qty + facts.last_qty;
                let leaves_qty = known.leaves_qty - facts.last_qty;
                if (facts.cum_qty, facts.leaves_qty) != (cum_qty, leaves_qty) {
                    return wrong("a trade does not add up");
                }
            }
            (Some(known), STATUS) => {
                if *known != OpenOrder::of_facts(facts) {
                    return wrong("the status is another than was reported");
                }
            }
            (Some(known), REPLACED) if facts.cum_qty == known.cum_qty => {}
            (Some(known), _) if facts.cum_qty == known.cum_qty && facts.leaves_qty == 0 => {}
            (Some(_), _) => return wrong("a quantity changed without a trade"),
        }
        if facts.leaves_qty > 0 {
            self.orders.insert(facts.order_id, OpenOrder::of_facts(facts));
        } else {
            self.orders.remove(&facts.order_id);
        }
        Ok(before)
    }

    /// What differs from another view, in words; none when nothing does.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let ids = self.orders.keys().chain(other.orders.keys());
        let differs = |id: &&u64| self.orders.get(id) != other.orders.get(id);
        let id = ids.filter(differs).min()?;
        Some(format!(
            "order {id} is {:?} here and {:?} there",
            self.orders.get(id),
            other.orders.get(id)
        ))
    }
}
