//! Where events go.

use crate::{Event, EventRecord, Stamp};

/// Takes the events of a command, in sequence.
pub trait EventSink {
    /// Takes one event. `stamp` is its own sequence and the time of its command.
    fn emit<E: EventRecord + Into<Event>>(&mut self, stamp: Stamp, event: &E);
}

/// Counts events and keeps none.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingSink {
    /// Events taken.
    pub events: u64,
}

impl EventSink for CountingSink {
    #[inline]
    fn emit<E: EventRecord + Into<Event>>(&mut self, _stamp: Stamp, event: &E) {
        std::hint::black_box(event);
        self.events += 1;
    }
}

/// Keeps every event, for tests and tools.
#[derive(Clone, Debug, Default)]
pub struct VecSink {
    /// Events taken, with their stamps.
    pub events: Vec<(Stamp, Event)>,
}

impl EventSink for VecSink {
    fn emit<E: EventRecord + Into<Event>>(&mut self, stamp: Stamp, event: &E) {
        self.events.push((stamp, (*event).into()));
    }
}
