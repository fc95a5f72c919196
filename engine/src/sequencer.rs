//! One sequence and one clock for everything that is journaled.

use crate::{Sequence, Timestamp};

/// Place of a command in the sequence, and the time at which it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Number of the command; its events have the numbers that follow.
    pub sequence: Sequence,
    /// Time of the command and of all its events (TransactTime, tag 60).
    pub time: Timestamp,
}

/// Gives out sequence numbers without holes and times that never go back.
#[derive(Clone, Copy, Debug)]
pub struct Sequencer {
    next: Sequence,
    last_time: Timestamp,
}

impl Default for Sequencer {
    fn default() -> Self {
        Self::new(Sequence(1), Timestamp(0))
    }
}

impl Sequencer {
    /// Goes on with `next`, no earlier than `last_time`.
    pub fn new(next: Sequence, last_time: Timestamp) -> Self {
        Self { next, last_time }
    }

    /// The number that the next stamp has.
    #[inline]
    pub fn next(&self) -> Sequence {
        self.next
    }

    /// Stamps a command. A clock that was set back does not turn time back: the last time stands
    /// until the clock has caught up.
    #[inline]
    pub fn stamp(&mut self, now: Timestamp) -> Stamp {
        let stamp = Stamp { sequence: self.next, time: self.last_time.max(now) };
        self.next.0 += 1;
        self.last_time = stamp.time;
        stamp
    }

    /// Goes on behind the events of a command; `next` is what
    /// [`Engine::apply`](crate::Engine::apply) returned.
    ///
    /// # Panics
    /// When the sequence would go back.
    #[inline]
    pub fn resume_at(&mut self, next: Sequence) {
        assert!(next >= self.next, "sequence {next} is already used, {} comes next", self.next);
        self.next = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_sequence_nor_time_goes_back() {
        let mut sequencer = Sequencer::default();
        assert_eq!(
            sequencer.stamp(Timestamp(50)),
            Stamp { sequence: Sequence(1), time: Timestamp(50) }
        );
        sequencer.resume_at(Sequence(4));
        assert_eq!(
            sequencer.stamp(Timestamp(40)),
            Stamp { sequence: Sequence(4), time: Timestamp(50) }
        );
    }
}
