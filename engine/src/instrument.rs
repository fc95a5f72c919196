//! An instrument: its definition, its status, which book is its own, and the judgment of prices and quantities.

use crate::{InstrumentStatus, book::BookId, command::DefineInstrument, domain::RejectReason};

/// An instrument of the venue.
#[derive(Debug)]
pub(crate) struct Instrument {
    pub definition: DefineInstrument,
    /// Open once defined.
    pub status: InstrumentStatus,
    pub book: BookId,
    /// Price of the last trade; 0 before the first, and while no session has a risk record.
    pub last_px: i64,
}

/// Why a request is refused: the rule, its limit and what was seen instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub reason: RejectReason,
    pub limit: Decimal,
    pub observed: Decimal,
}

/// A number as a message shows it: mantissa and decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub mantissa: i64,
    pub scale: u8,
}

impl Refusal {
    /// A rule that compares nothing.
    pub(crate) const fn plain(reason: RejectReason) -> Self {
        let none = Decimal { mantissa: 0, scale: 0 };
        Self { reason, limit: none, observed: none }
    }

    /// A rule that counts.
    pub(crate) fn count(reason: RejectReason, limit: u64, observed: u64) -> Self {
        let decimal = |mantissa: u64| Decimal { mantissa: mantissa as i64, scale: 0 };
        Self { reason, limit: decimal(limit), observed: decimal(observed) }
    }
}

/// How a price or a quantity is judged: in this order, the first rule broken is reported.
///
/// | rule                              | price            | quantity       | limit   |
/// |-----------------------------------|------------------|----------------|---------|
/// | above zero                        | PriceNotPositive | QtyNotPositive | step    |
/// | exact in the instrument's scale   | PriceOffTick     | QtyOffLot      | step    |
/// | not above the maximum             | PriceTooHigh     | QtyTooLarge    | maximum |
/// | a multiple of the step            | PriceOffTick     | QtyOffLot      | step    |
///
/// The limit is in the instrument's scale, the observed value as the client sent it.
struct Rules {
    not_positive: RejectReason,
    off_step: RejectReason,
    too_large: RejectReason,
    step: i64,
    max: i64,
    scale: u8,
}

impl Rules {
    /// The value in the instrument's scale, a positive multiple of the step.
    #[inline]
    fn judge(&self, value: Decimal) -> Result<i64, Refusal> {
        // Most numbers come in the instrument's scale and break no rule.
        let mantissa = value.mantissa;
        let plain = value.scale == self.scale && mantissa > 0 && mantissa <= self.max;
        if plain && (self.step == 1 || mantissa % self.step == 0) {
            return Ok(mantissa);
        }
        self.judge_closely(value)
    }

    #[cold]
    fn judge_closely(&self, value: Decimal) -> Result<i64, Refusal> {
        let limit = |mantissa| Decimal { mantissa, scale: self.scale };
        let refuse = |reason, limit: Decimal| Err(Refusal { reason, limit, observed: value });
        if value.mantissa <= 0 {
            return refuse(self.not_positive, limit(self.step));
        }
        let mantissa = match rescale(value, self.scale) {
            Rescaled::Exact(mantissa) => mantissa,
            Rescaled::Inexact => return refuse(self.off_step, limit(self.step)),
            Rescaled::TooLarge => return refuse(self.too_large, limit(self.max)),
        };
        if mantissa > self.max {
            return refuse(self.too_large, limit(self.max));
        }
        if self.step != 1 && mantissa % self.step != 0 {
            return refuse(self.off_step, limit(self.step));
        }
        Ok(mantissa)
    }
}

/// A number in another scale.
#[derive(Debug, PartialEq, Eq)]
enum Rescaled {
    Exact(i64),
    Inexact,
    TooLarge,
}

#[inline]
fn rescale(value: Decimal, scale: u8) -> Rescaled {
    if value.scale == scale {
        return Rescaled::Exact(value.mantissa);
    }
    // Ten to more than eighteen does not fit: a number that is not zero is too large, or has
    // decimals that are lost.
    let power = |exponent: u8| 10i64.checked_pow(exponent.into());
    if value.scale < scale {
        let scaled = power(scale - value.scale).and_then(|p| value.mantissa.checked_mul(p));
        scaled.map_or(Rescaled::TooLarge, Rescaled::Exact)
    } else {
        match power(value.scale - scale) {
            Some(p) if value.mantissa % p == 0 => Rescaled::Exact(value.mantissa / p),
            _ => Rescaled::Inexact,
        }
    }
}

impl Instrument {
    /// A new instrument, open, without orders.
    pub(crate) fn new(definition: DefineInstrument, book: BookId) -> Self {
        Self { definition, status: InstrumentStatus::Open, book, last_px: 0 }
    }

    /// Judges a limit price and returns it in the instrument's scale.
    #[inline]
    pub(crate) fn judge_price(&self, price: Decimal) -> Result<i64, Refusal> {
        let rules = Rules {
            not_positive: RejectReason::PriceNotPositive,
            off_step: RejectReason::PriceOffTick,
            too_large: RejectReason::PriceTooHigh,
            step: self.definition.tick,
            max: self.definition.price_max,
            scale: self.definition.price_scale,
        };
        rules.judge(price)
    }

    /// Judges an OrderQty and returns it in the instrument's scale.
    #[inline]
    pub(crate) fn judge_qty(&self, order_qty: Decimal) -> Result<i64, Refusal> {
        let rules = Rules {
            not_positive: RejectReason::QtyNotPositive,
            off_step: RejectReason::QtyOffLot,
            too_large: RejectReason::QtyTooLarge,
            step: self.definition.lot,
            max: self.definition.order_qty_max,
            scale: self.definition.qty_scale,
        };
        rules.judge(order_qty)
    }

    /// A refusal unless the instrument trades.
    #[inline]
    pub(crate) fn must_trade(&self) -> Result<(), Refusal> {
        match self.status {
            InstrumentStatus::Open => Ok(()),
            InstrumentStatus::Halted => Err(Refusal::plain(RejectReason::InstrumentHalted)),
            InstrumentStatus::Closed => Err(Refusal::plain(RejectReason::InstrumentClosed)),
        }
    }

    /// A price in ticks.
    #[inline]
    pub(crate) fn ticks(&self, price: i64) -> u64 {
        let tick = self.definition.tick;
        if tick == 1 { price as u64 } else { (price / tick) as u64 }
    }

    /// The price of so many ticks.
    #[inline]
    pub(crate) fn price(&self, ticks: u64) -> i64 {
        ticks as i64 * self.definition.tick
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rescaled(mantissa: i64, from: u8, to: u8) -> Rescaled {
        rescale(Decimal { mantissa, scale: from }, to)
    }

    #[test]
    fn rescales_only_what_is_exact() {
        assert_eq!(rescaled(1895, 1, 2), Rescaled::Exact(18950));
        assert_eq!(rescaled(189_500, 3, 2), Rescaled::Exact(18950));
        assert_eq!(rescaled(189_505, 3, 2), Rescaled::Inexact);
        assert_eq!(rescaled(10, 0, 18), Rescaled::TooLarge);
        assert_eq!(rescaled(9, 0, 18), Rescaled::Exact(9_000_000_000_000_000_000));
        assert_eq!(rescaled(i64::MAX, 255, 0), Rescaled::Inexact);
        assert_eq!(rescaled(1_000_000_000_000_000_000, 18, 0), Rescaled::Exact(1));
    }
}
