//! How many orders a session, or all sessions of a firm, may send.
//!
//! A bucket of tokens: it fills at a rate up to its size, and each new order or replace takes one token.
//! Cancels and requests for status take none, as who sends too much must be able to take it back. A throttle
//! is of the configuration and begins full; what it refused is in the journal as the answer that was given,
//! so a replay does not ask for it.
//!
//! Without a token an order is refused, or it waits: then the socket is not read on before a token is there,
//! and what comes behind the order waits with it.

use std::fmt;

use ironbook_engine::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What happens to an order without a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThrottleAction {
    /// It is refused.
    #[default]
    Reject,
    /// It is not read before a token is there.
    Delay,
}

impl ThrottleAction {
    /// Its code in the journal.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Reject => 0,
            Self::Delay => 1,
        }
    }

    /// Its name, as configured.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Delay => "delay",
        }
    }

    /// The action with this code; none when it is no code.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Reject),
            1 => Some(Self::Delay),
            _ => None,
        }
    }
}

/// A throttle as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleTerms {
    /// Tokens that come in a second, 1 to [`ORDERS_MAX`].
    pub per_second: u32,
    /// Tokens that a full bucket has, 1 to [`ORDERS_MAX`].
    pub burst: u32,
    /// What happens without one.
    pub action: ThrottleAction,
}

/// Largest rate and largest bucket, so that numbers stay far below 2^63.
pub const ORDERS_MAX: u32 = 1_000_000;

/// A number that no throttle can have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{key} = {found}: {reason}")]
pub struct TermsError {
    /// Key of the configuration.
    pub key: &'static str,
    /// The number.
    pub found: u32,
    /// What is wrong with it, and what is allowed.
    pub reason: String,
}

impl ThrottleTerms {
    /// Terms by the numbers that a configuration has: a rate of 0 is no bound at all, a burst of 0 is as many as
    /// in a second.
    ///
    /// # Errors
    /// [`TermsError`] for a number out of bounds, and for a burst without a rate.
    pub fn configured(
        per_second: u32,
        burst: u32,
        action: ThrottleAction,
    ) -> Result<Option<Self>, TermsError> {
        for (key, found) in [("orders_per_second", per_second), ("orders_burst", burst)] {
            if found > ORDERS_MAX {
                let reason = format!("0 to {ORDERS_MAX} is allowed");
                return Err(TermsError { key, found, reason });
            }
        }
        match (per_second, burst) {
            (0, 0) => Ok(None),
            (0, found) => {
                let reason = "needs orders_per_second beside it".to_owned();
                Err(TermsError { key: "orders_burst", found, reason })
            }
            (_, 0) => Ok(Some(Self { per_second, burst: per_second, action })),
            _ => Ok(Some(Self { per_second, burst, action })),
        }
    }

    /// Terms by the numbers that a journal has, where a rate of 0 is no bound; none outside when no throttle can
    /// have them.
    pub(crate) fn journaled(
        per_second: u32,
        burst: u32,
        action: ThrottleAction,
    ) -> Option<Option<Self>> {
        let is_whole = (per_second == 0) == (burst == 0);
        Self::configured(per_second, burst, action).ok().filter(|_| is_whole)
    }
}

impl fmt::Display for ThrottleTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { per_second, burst, .. } = self;
        write!(f, "{per_second} orders and replaces a second, {burst} at once")
    }
}

/// A token in the unit of a bucket: what flows into it in a second at a rate of one.
const TOKEN: i64 = 1_000_000_000;

/// Tokens, in parts of which one comes in a nanosecond for each order a second.
#[derive(Clone, Debug)]
pub struct Bucket {
    terms: ThrottleTerms,
    /// Below zero when orders were taken that had no token.
    parts: i64,
    filled: Timestamp,
}

impl Bucket {
    /// A full one.
    pub fn new(terms: ThrottleTerms) -> Self {
        Self { terms, parts: i64::from(terms.burst) * TOKEN, filled: Timestamp(0) }
    }

    /// Whole tokens that were left when it was last asked; below zero when orders were taken that had none.
    pub fn tokens_left(&self) -> i64 {
        self.parts.div_euclid(TOKEN)
    }

    /// Nanoseconds until it has a token; 0 when it has one.
    #[inline]
    fn wait_ns(&mut self, now: Timestamp) -> u64 {
        let (rate, full) = (i64::from(self.terms.per_second), i64::from(self.terms.burst) * TOKEN);
        let elapsed = now.0.saturating_sub(self.filled.0);
        let flowed = i64::try_from(elapsed).unwrap_or(i64::MAX).saturating_mul(rate);
        self.parts = self.parts.saturating_add(flowed).min(full);
        // A clock that was set back gives nothing for that, and goes on filling from there.
        self.filled = now;
        let missing = (TOKEN - self.parts).max(0) as u64;
        missing.div_ceil(rate as u64)
    }
}

/// Whose bucket has no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleScope {
    /// The session's own.
    Session,
    /// That of all sessions of its firm.
    Firm,
}

impl ThrottleScope {
    /// Its code in the journal.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Session => 1,
            Self::Firm => 2,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Firm => "firm",
        }
    }

    /// How the text of a refusal begins.
    const fn refusal(self) -> &'static str {
        match self {
            Self::Session => "throttle: this session may send ",
            Self::Firm => "throttle: all sessions of this firm may send ",
        }
    }

    /// Whose throttle refused an order with this text, if one did.
    pub fn of_refusal(text: &[u8]) -> Option<Self> {
        let begins = |scope: &Self| text.starts_with(scope.refusal().as_bytes());
        [Self::Session, Self::Firm].into_iter().find(begins)
    }

    /// The scope with this code; none when it is no code.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Session),
            2 => Some(Self::Firm),
            _ => None,
        }
    }
}

/// An order that came too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// Whose limit it is.
    pub scope: ThrottleScope,
    /// The limit.
    pub terms: ThrottleTerms,
    /// Nanoseconds by which it came too early.
    pub early_ns: u64,
}

impl fmt::Display for Throttled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let early_us = self.early_ns.div_ceil(1_000);
        write!(f, "{}{}; this is {early_us} us too early", self.scope.refusal(), self.terms)
    }
}

/// The buckets that an order of a session takes from.
#[derive(Clone, Debug, Default)]
pub struct Throttle {
    own: Option<Bucket>,
    /// Its firm's, by number.
    firm: Option<usize>,
}

impl Throttle {
    /// A session's own bucket, and the number of its firm's.
    pub fn new(own: Option<ThrottleTerms>, firm: Option<usize>) -> Self {
        Self { own: own.map(Bucket::new), firm }
    }

    /// Takes a token for an order from each bucket, or from none.
    ///
    /// # Errors
    /// [`Throttled`] when a bucket that refuses orders has none.
    #[inline]
    pub fn admit(&mut self, firms: &mut [Bucket], now: Timestamp) -> Result<(), Throttled> {
        if self.own.is_none() && self.firm.is_none() {
            return Ok(());
        }
        for (scope, bucket) in self.buckets(firms) {
            let early_ns = bucket.wait_ns(now);
            if early_ns > 0 && bucket.terms.action == ThrottleAction::Reject {
                return Err(Throttled { scope, terms: bucket.terms, early_ns });
            }
        }
        self.buckets(firms).for_each(|(_, bucket)| bucket.parts -= TOKEN);
        Ok(())
    }

    /// When an order may be read, if it has to wait.
    #[inline]
    pub fn wait(&mut self, firms: &mut [Bucket], now: Timestamp) -> Option<Timestamp> {
        let delays = self
            .buckets(firms)
            .filter(|(_, bucket)| bucket.terms.action == ThrottleAction::Delay)
            .map(|(_, bucket)| bucket.wait_ns(now));
        delays.max().filter(|wait| *wait > 0).map(|wait| Timestamp(now.0 + wait))
    }

    /// A bucket has refused an order at this time: it has no whole token then, whatever is known of it.
    pub fn note_refusal(&mut self, firms: &mut [Bucket], of: ThrottleScope, now: Timestamp) {
        for (scope, bucket) in self.buckets(firms) {
            if scope == of && bucket.wait_ns(now) == 0 {
                bucket.parts = TOKEN - 1;
            }
        }
    }

    /// The buckets that there are, as they were left.
    pub fn bounds<'a>(
        &'a self,
        firms: &'a [Bucket],
    ) -> impl Iterator<Item = (ThrottleScope, &'a Bucket)> {
        let firm = self.firm.and_then(|firm| firms.get(firm));
        let own = self.own.as_ref().map(|bucket| (ThrottleScope::Session, bucket));
        own.into_iter().chain(firm.map(|bucket| (ThrottleScope::Firm, bucket)))
    }

    #[inline]
    fn buckets<'a>(
        &'a mut self,
        firms: &'a mut [Bucket],
    ) -> impl Iterator<Item = (ThrottleScope, &'a mut Bucket)> {
        let firm = self.firm.and_then(|firm| firms.get_mut(firm));
        let own = self.own.as_mut().map(|bucket| (ThrottleScope::Session, bucket));
        own.into_iter().chain(firm.map(|bucket| (ThrottleScope::Firm, bucket)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bucket never gives more than its size and its rate allow, in whatever steps time goes, and all of it.
    #[test]
    fn a_bucket_is_exact() {
        let terms = ThrottleTerms { per_second: 7, burst: 3, action: ThrottleAction::Reject };
        for step in [1_u64, 999, 1_000_003, 142_857_143, 333_333_333, 5_000_000_000] {
            let mut throttle = Throttle::new(Some(terms), None);
            let (mut given, start) = (0_u64, 1_767_225_600_000_000_000_u64);
            for tick in 0..10_000 {
                let elapsed = tick * step;
                while throttle.admit(&mut [], Timestamp(start + elapsed)).is_ok() {
                    given += 1;
                }
                let most = 3 + (u128::from(elapsed) * 7 / 1_000_000_000) as u64;
                assert!(given <= most, "step {step}, tick {tick}: {given} of {most}");
                // With steps below the time of two tokens nothing is lost to a full bucket.
                assert!(step > 285_000_000 || given == most, "step {step}: {given} of {most}");
            }
        }
    }

    #[test]
    fn what_is_left_is_told_and_whose_bound_refused() {
        let terms = ThrottleTerms { per_second: 1, burst: 2, action: ThrottleAction::Reject };
        let mut firms = [Bucket::new(ThrottleTerms { burst: 3, ..terms })];
        let mut throttle = Throttle::new(Some(terms), Some(0));
        let left = |throttle: &Throttle, firms: &[Bucket]| {
            throttle.bounds(firms).map(|(_, bucket)| bucket.tokens_left()).collect::<Vec<_>>()
        };
        assert_eq!(left(&throttle, &firms), [2, 3]);
        for expected in [[1, 2], [0, 1]] {
            assert_eq!(throttle.admit(&mut firms, Timestamp(5)), Ok(()));
            assert_eq!(left(&throttle, &firms), expected);
        }
        let early = throttle.admit(&mut firms, Timestamp(5)).unwrap_err();
        assert_eq!(left(&throttle, &firms), [0, 1], "a refusal takes none");
        for scope in [ThrottleScope::Session, ThrottleScope::Firm] {
            let text = Throttled { scope, ..early }.to_string();
            assert_eq!(ThrottleScope::of_refusal(text.as_bytes()), Some(scope), "{text}");
        }
        assert_eq!(ThrottleScope::of_refusal(b"throttle"), None);
        // Orders that were taken without a token leave a debt.
        let delays = ThrottleTerms { action: ThrottleAction::Delay, ..terms };
        let mut throttle = Throttle::new(Some(delays), None);
        (0..4).for_each(|_| assert_eq!(throttle.admit(&mut [], Timestamp(5)), Ok(())));
        assert_eq!(left(&throttle, &[]), [-2]);
    }

    #[test]
    fn a_clock_that_is_set_back_gives_nothing_and_goes_on() {
        let terms = ThrottleTerms { per_second: 1, burst: 1, action: ThrottleAction::Reject };
        let mut throttle = Throttle::new(Some(terms), None);
        assert_eq!(throttle.admit(&mut [], Timestamp(5_000_000_000)), Ok(()));
        let early = throttle.admit(&mut [], Timestamp(1_000_000_000)).unwrap_err();
        assert_eq!(early.early_ns, 1_000_000_000);
        assert!(throttle.admit(&mut [], Timestamp(1_999_999_999)).is_err());
        assert_eq!(throttle.admit(&mut [], Timestamp(2_000_000_000)), Ok(()));
    }
}
