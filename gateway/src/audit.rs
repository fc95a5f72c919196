//! What a core and the follower that audits it share.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// The audit of a running venue: the same commands must bring about the same events.
///
/// The core asks one word in each turn; everything else is touched when something is wrong.
#[derive(Debug, Default)]
pub struct Audit {
    wants_halt: AtomicBool,
    differs: AtomicBool,
    status: Mutex<Option<String>>,
}

impl Audit {
    /// Whether all instruments are to be halted now.
    #[inline]
    pub fn wants_halt(&self) -> bool {
        self.wants_halt.load(Ordering::Relaxed)
    }

    /// All instruments are halted.
    pub fn set_halted(&self) {
        self.wants_halt.store(false, Ordering::Relaxed);
    }

    /// Somebody computed something else than the journal holds: trading must not go on.
    pub fn report_difference(&self, what: &str) {
        self.set_status(format!(
            "the audit found a difference, all instruments are halted: {what}"
        ));
        self.differs.store(true, Ordering::Relaxed);
        self.wants_halt.store(true, Ordering::Relaxed);
    }

    /// Something was opened behind a halt: all that is open is halted once more.
    pub fn halt_again(&self) {
        self.wants_halt.store(true, Ordering::Relaxed);
    }

    /// Whether a difference was found.
    pub fn found_difference(&self) -> bool {
        self.differs.load(Ordering::Relaxed)
    }

    /// The audit can't go on, for a reason that says nothing about trading.
    pub fn report_end(&self, what: &str) {
        self.set_status(format!("the audit has ended, and with it snapshots: {what}"));
    }

    /// What is wrong, if anything.
    pub fn status(&self) -> Option<String> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_status(&self, status: String) {
        log::error!("{status}");
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }
}
