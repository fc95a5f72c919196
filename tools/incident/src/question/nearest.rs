//! What, closest to what was asked, a rule would have let pass.

use ironbook_engine::{
    Command, Engine, OrderId, Side,
    command::{DefineInstrument, ReplaceOrder},
    domain::RejectReason,
    engine::OrderView,
};
use ironbook_fix::field::Decimal;

use super::why::Refused;
use crate::show::number;

/// Symbols that are named where a symbol is unknown.
const SYMBOLS_SHOWN: usize = 8;

/// What, closest to what was asked, would not have been refused by this rule; none where nothing of the kind would.
/// `engine` is as it was before.
pub(super) fn nearest(
    refused: &Refused<'_>,
    engine: &Engine,
    asked: Option<&Command>,
    definition: Option<&DefineInstrument>,
) -> Option<String> {
    use RejectReason as R;
    let price = || {
        let definition = definition?;
        Some((definition.tick, definition.price_max, definition.price_scale))
    };
    let qty = || {
        let definition = definition?;
        Some((definition.lot, definition.order_qty_max, definition.qty_scale))
    };
    let risk = || Some(Risk { engine, rule: refused.reason, asked: asked?, of: definition? });
    let more = refused.observed.mantissa.saturating_sub(refused.limit.mantissa);
    match refused.reason {
        R::UnknownSymbol => Some(symbols(engine)),
        R::PriceNotPositive | R::PriceOffTick | R::PriceTooHigh => {
            steps(refused.observed, price()?)
        }
        R::QtyNotPositive | R::QtyOffLot | R::QtyTooLarge => steps(refused.observed, qty()?),
        R::DuplicateClOrdId => Some("a ClOrdID that this session has not used".to_owned()),
        R::InstrumentHalted | R::InstrumentClosed => {
            Some("a cancel, in any status; an order once the instrument is open".to_owned())
        }
        R::OrderMismatch => Some("the symbol and side of the order, or none".to_owned()),
        R::ReplaceChangesType => Some("the order's own OrdType".to_owned()),
        R::TooManyOrders if refused.limit.mantissa as u64 == OrderId::COUNT_MAX => {
            Some("a cancel or a replace".to_owned())
        }
        R::TooManyOrders => {
            Some("a cancel or a replace; an order once one of the venue's has ended".to_owned())
        }
        R::OrderNotionalTooLarge => {
            let bound = number(refused.limit.mantissa, refused.limit.scale);
            let at_all = format!("an order whose price times quantity is no more than {bound}");
            Some(match risk()?.largest_qty() {
                Some(qty) => format!("a quantity of {qty}, or {at_all}"),
                None => at_all,
            })
        }
        R::PriceFarFromReference => risk()?.farthest_price(),
        R::TooManyOpenOrders => Some(format!(
            "a cancel or a replace; an order once {more} of the session's open ones {} ended",
            if more == 1 { "has" } else { "have" }
        )),
        R::OpenNotionalTooLarge => {
            let excess = number(more, refused.limit.scale);
            let at_all = format!("as much once the session's open orders come to {excess} less");
            Some(match risk()?.largest_qty() {
                Some(qty) => format!("a quantity of {qty}; {at_all}"),
                None => at_all,
            })
        }
        R::TradedNotionalTooLarge | R::LossTooLarge | R::SessionCancelOnly => {
            Some("a cancel; an order once the venue has opened the session for trading".to_owned())
        }
        R::UnknownOrder | R::TooLateToCancel | R::UnknownSession => None,
    }
}

/// The symbols that there are.
fn symbols(engine: &Engine) -> String {
    let all = engine.instruments();
    let more = all.len().saturating_sub(SYMBOLS_SHOWN);
    let shown: Vec<_> =
        all.take(SYMBOLS_SHOWN).map(|view| view.definition.symbol.to_string()).collect();
    match more {
        0 => format!("one of {}", shown.join(", ")),
        _ => format!("one of {} and {more} more", shown.join(", ")),
    }
}

/// The multiples of a step around a value, from the step to the maximum.
fn steps(observed: Decimal, (step, max, scale): (i64, i64, u8)) -> Option<String> {
    // At the finer scale of both, where neither loses a digit.
    let fine = observed.scale.max(scale);
    let rescaled = |mantissa: i64, from: u8| {
        i128::from(mantissa).checked_mul(10i128.checked_pow((fine - from).into())?)
    };
    let (value, step_fine) = (rescaled(observed.mantissa, observed.scale)?, rescaled(step, scale)?);
    let below = value.div_euclid(step_fine);
    let steps_max = i128::from(max / step);
    let clamp = |steps: i128| i64::try_from(steps.clamp(1, steps_max)).ok();
    let exact = value.rem_euclid(step_fine) == 0;
    let (low, high) = (clamp(below)?, clamp(if exact { below } else { below + 1 })?);
    let show = |steps: i64| number(steps * step, scale);
    Some(if low == high { show(low) } else { format!("{} or {}", show(low), show(high)) })
}

/// An order or a replace that a risk limit refused: other terms are tried with the engine as it was.
struct Risk<'a> {
    engine: &'a Engine,
    rule: RejectReason,
    asked: &'a Command,
    of: &'a DefineInstrument,
}

impl Risk<'_> {
    /// Whether the rule lets this pass. The notional of an order is looked at before the other limits: what breaks that
    /// is taken for `beyond` the rule or not.
    fn passes(&self, command: &Command, beyond: bool) -> bool {
        let judged = self.engine.risk_of(command);
        match judged.iter().find(|measure| measure.is_broken()).map(|measure| measure.rule) {
            Some(RejectReason::OrderNotionalTooLarge) => !beyond,
            broken => broken != Some(self.rule),
        }
    }

    fn replaced(&self, replace: &ReplaceOrder) -> Option<OrderView> {
        let named = || self.engine.order_named(replace.origin.session, &replace.orig_cl_ord_id);
        self.engine.order(replace.order_id).or_else(named)
    }

    /// The price that is farthest from the reference, on the side of the order.
    fn farthest_price(&self) -> Option<String> {
        let side = match self.asked {
            Command::NewOrder(order) => order.side,
            Command::ReplaceOrder(replace) => self.replaced(replace)?.side,
            _ => return None,
        };
        let ticks = self.of.price_max / self.of.tick;
        // Counted from the price that is nearest to nothing for the other side.
        let price = |steps: i64| match side {
            Side::Buy => steps * self.of.tick,
            Side::Sell => (ticks + 1 - steps) * self.of.tick,
        };
        let at = |steps: i64| {
            let mut command = *self.asked;
            let Some(Asked { price: asked, .. }) = asked(&mut command) else { return false };
            (*asked.0, *asked.1) = (price(steps), self.of.price_scale);
            // A higher price comes to more: one to buy at is beyond, one to sell at is not.
            self.passes(&command, side == Side::Buy)
        };
        let steps = last_passing(1, ticks, at)?;
        Some(format!("a price of {}", number(price(steps), self.of.price_scale)))
    }

    /// The largest quantity at this price.
    fn largest_qty(&self) -> Option<String> {
        let traded = match self.asked {
            Command::ReplaceOrder(replace) => self.replaced(replace)?.cum_qty,
            _ => 0,
        };
        let at = |lots: i64| {
            let mut command = *self.asked;
            let Some(Asked { order_qty, .. }) = asked(&mut command) else { return false };
            (*order_qty.0, *order_qty.1) = (lots * self.of.lot, self.of.qty_scale);
            self.passes(&command, true)
        };
        // A replace to what has traded would be a cancel.
        let least = traded / self.of.lot + 1;
        let lots = last_passing(least, self.of.order_qty_max / self.of.lot, at)?;
        Some(number(lots * self.of.lot, self.of.qty_scale))
    }
}

/// The terms of an order or a replace that are tried, each with its decimals.
struct Asked<'c> {
    price: (&'c mut i64, &'c mut u8),
    order_qty: (&'c mut i64, &'c mut u8),
}

fn asked(command: &mut Command) -> Option<Asked<'_>> {
    match command {
        Command::NewOrder(order) => Some(Asked {
            price: (&mut order.price, &mut order.price_scale),
            order_qty: (&mut order.order_qty, &mut order.qty_scale),
        }),
        Command::ReplaceOrder(replace) => Some(Asked {
            price: (&mut replace.price, &mut replace.price_scale),
            order_qty: (&mut replace.order_qty, &mut replace.qty_scale),
        }),
        _ => None,
    }
}

/// The last number of a range that passes, where none does behind the first that does not.
fn last_passing(first: i64, last: i64, passes: impl Fn(i64) -> bool) -> Option<i64> {
    if first > last || !passes(first) {
        return None;
    }
    let (mut passing, mut end) = (first, last + 1);
    while end - passing > 1 {
        let middle = passing + (end - passing) / 2;
        if passes(middle) {
            passing = middle;
        } else {
            end = middle;
        }
    }
    Some(passing)
}
