//! Numbers of conditions: decimals, so that a price at a limit is at it and not a bit beside it.

use std::cmp::Ordering;

/// A decimal number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exact {
    mantissa: i128,
    scale: u8,
}

/// Most digits of a number that is written.
const DIGITS_MAX: usize = 30;

impl Exact {
    pub fn new(mantissa: impl Into<i128>, scale: u8) -> Self {
        Self { mantissa: mantissa.into(), scale }
    }

    /// A number that is written with these digits before and behind its point, times ten to the power
    /// of `exponent`; none when it has too many.
    pub fn parse(whole: &str, fraction: &str, exponent: i32) -> Option<Self> {
        let digits = format!("{whole}{fraction}");
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        let zeros = usize::try_from(scale.saturating_neg()).unwrap_or(0);
        let fits = digits.len() + zeros <= DIGITS_MAX && scale <= DIGITS_MAX as i32;
        let mantissa: i128 = fits.then(|| digits.parse().ok())??;
        let mantissa = mantissa.checked_mul(10i128.checked_pow(zeros as u32)?)?;
        Some(Self { mantissa, scale: u8::try_from(scale.max(0)).ok()? })
    }

    pub fn negate(self) -> Self {
        Self { mantissa: -self.mantissa, ..self }
    }

    /// None when it does not fit.
    pub fn add(self, other: Self) -> Option<Self> {
        let (left, right, scale) = self.align(other)?;
        Some(Self { mantissa: left.checked_add(right)?, scale })
    }

    /// None when it does not fit.
    pub fn multiply(self, other: Self) -> Option<Self> {
        let mantissa = self.mantissa.checked_mul(other.mantissa)?;
        Some(Self { mantissa, scale: self.scale.checked_add(other.scale)? })
    }

    /// Half of it.
    pub fn half(self) -> Option<Self> {
        self.multiply(Self { mantissa: 5, scale: 1 })
    }

    pub fn compare(self, other: Self) -> Ordering {
        match self.align(other) {
            Some((left, right, _)) => left.cmp(&right),
            // The one that has fewer decimals is larger, by so much that its sign decides.
            None if self.scale < other.scale => self.mantissa.cmp(&0),
            None => 0.cmp(&other.mantissa),
        }
    }

    /// Both with the same number of decimals.
    fn align(self, other: Self) -> Option<(i128, i128, u8)> {
        let scale = self.scale.max(other.scale);
        let to = |number: Self| {
            number.mantissa.checked_mul(10i128.checked_pow((scale - number.scale).into())?)
        };
        Some((to(self)?, to(other)?, scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> Exact {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        Exact::parse(whole, fraction, 0).unwrap()
    }

    #[test]
    fn a_limit_is_met_exactly() {
        let limit = exact("0.95").multiply(exact("199.47")).unwrap();
        assert_eq!(limit.compare(exact("189.4965")), Ordering::Equal);
        assert_eq!(exact("189.49").compare(limit), Ordering::Less);
        assert_eq!(exact("189.50").compare(limit), Ordering::Greater);
        assert_eq!(exact("1.10").compare(exact("1.1")), Ordering::Equal);
        assert_eq!(
            exact("0.3").add(exact("0.1").negate()).unwrap().compare(exact("0.2")),
            Ordering::Equal
        );
        assert_eq!(exact("3").half().unwrap().compare(exact("1.5")), Ordering::Equal);
    }

    #[test]
    fn numbers_are_read_with_their_exponents_or_refused() {
        assert_eq!(Exact::parse("1", "", 6).unwrap().compare(exact("1000000")), Ordering::Equal);
        assert_eq!(Exact::parse("1", "5", -2).unwrap().compare(exact("0.015")), Ordering::Equal);
        assert_eq!(Exact::parse("1", "25", 1).unwrap().compare(exact("12.5")), Ordering::Equal);
        for (whole, exponent) in [("1", 30), ("1", -31), ("1", i32::MAX)] {
            assert!(Exact::parse(whole, "", exponent).is_none(), "{whole}e{exponent}");
        }
    }

    #[test]
    fn what_does_not_fit_still_compares() {
        let (large, small) = (Exact::new(i128::MAX / 2, 0), Exact::new(1, 30));
        assert_eq!(large.compare(small), Ordering::Greater);
        assert_eq!(small.compare(large), Ordering::Less);
        assert_eq!(large.negate().compare(small), Ordering::Less);
        assert!(large.multiply(large).is_none() && large.add(small).is_none());
    }
}
