//! Numbers that an agent keeps of itself, for whoever wants to know how it is: written by one thread, where there
//! is time for it, and read by others.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread writes.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    #[inline]
    pub fn add(&self, what: u64) {
        self.set(self.get().wrapping_add(what));
    }

    /// Takes from it.
    #[inline]
    pub fn take(&self, what: u64) {
        self.set(self.get().wrapping_sub(what));
    }

    /// Sets it.
    #[inline]
    pub fn set(&self, to: u64) {
        self.0.store(to, Ordering::Relaxed);
    }

    /// What it is.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a port keeps count of. None of it is on the way of an order that is served.
#[derive(Debug, Default)]
pub struct PortCounters {
    /// Connections that are open.
    pub open: Counter,
    /// Connections that were accepted.
    pub accepted: Counter,
    /// Connections that were closed at once: from where none may be, or one too many.
    pub refused: Counter,
    /// Logons and handshakes that count against their address: see `fix.logon_failures_max`.
    pub failures: Counter,
    /// Messages that were none.
    pub garbled: Counter,
    /// Orders refused by a throttle.
    pub throttled: Counter,
    /// Other requests refused before they became commands: what the venue does not have, or the session may not do.
    pub unserved: Counter,
    /// Sessions that messages are sent again to.
    pub resending: Counter,
    /// Subscriptions to instruments.
    pub subscriptions: Counter,
}

/// What the loop of an agent keeps count of.
#[derive(Debug, Default)]
pub struct TurnCounters {
    /// Turns.
    pub turns: Counter,
    /// Those of them with something to do.
    pub busy: Counter,
    /// Times that it slept.
    pub parks: Counter,
}
