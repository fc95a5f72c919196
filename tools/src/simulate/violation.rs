//! What an oracle finds.

use std::fmt;

/// What must hold, whatever happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oracle {
    /// Nothing that was acknowledged is lost, under its policy, nor in files that nobody can open any
    /// more; nothing is told that the journal does not say.
    Acknowledged,
    /// A replay of the journal gives the live state.
    Replay,
    /// What clients know from their reports is what the engine has.
    Views,
    /// No number is missing or comes twice; what is resent is what was sent.
    Sequence,
    /// Quantity and money are conserved; no book is crossed.
    Conservation,
    /// No order is taken, and none stays, against a halt, a suspension, a trip, a risk limit, a throttle, or the end
    /// of a connection; and none of these is told of, or acted by, without reason.
    Bounds,
    /// What an operator is told as done is in the journal, all of it and no more; what he is told as refused is not;
    /// and nobody else does what only operators may.
    Operators,
    /// The venue starts and stops, lets good clients in, answers every request, audits itself, and
    /// comes to rest when its clients do.
    Liveness,
}

impl Oracle {
    /// Its name for people and scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Replay => "replay",
            Self::Views => "views",
            Self::Sequence => "sequence",
            Self::Conservation => "conservation",
            Self::Bounds => "bounds",
            Self::Operators => "operators",
            Self::Liveness => "liveness",
        }
    }
}

/// Something that must never be.
#[derive(Clone, Debug)]
pub struct Violation {
    /// What was violated.
    pub oracle: Oracle,
    /// Who differs from what, and how.
    pub what: String,
}

impl Violation {
    /// A violation, with what differs.
    pub fn new(oracle: Oracle, what: impl Into<String>) -> Self {
        Self { oracle, what: what.into() }
    }

    /// The same, of somebody.
    #[must_use]
    pub fn of(self, who: &str) -> Self {
        Self { what: format!("{who}: {}", self.what), ..self }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.oracle.name(), self.what)
    }
}

/// A result that an oracle may have spoiled.
pub type Checked<T = ()> = Result<T, Violation>;

/// Fails unless a condition holds.
pub fn ensure(oracle: Oracle, holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Violation::new(oracle, what())) }
}
