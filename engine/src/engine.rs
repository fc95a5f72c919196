//! The engine: one command in, its events out.

use crate::{Command, EngineLimits, Sequence, Stamp, sink::EventSink};

/// Matching for all instruments of a venue.
#[derive(Debug)]
pub struct Engine {
    limits: EngineLimits,
}

impl Engine {
    /// An engine without instruments, sessions or orders, with room for what `limits` say.
    pub fn new(limits: EngineLimits) -> Self {
        Self { limits }
    }

    /// Carries out a command and returns the sequence that comes after its last event.
    pub fn apply(
        &mut self,
        stamp: Stamp,
        _command: &Command,
        _sink: &mut impl EventSink,
    ) -> Sequence {
        Sequence(stamp.sequence.0 + 1)
    }

    /// Bounds of the engine.
    pub fn limits(&self) -> &EngineLimits {
        &self.limits
    }
}
