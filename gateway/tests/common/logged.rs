//! What the venues of this process log, kept. A process has one logger, so one file of tests in it may use this:
//! of those that run together over several gateways, `passwords.rs` does.

use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// A line each: its level and what it says.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Collector;

impl log::Log for Collector {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            lines().push(format!("{} {}", record.level(), record.args()));
        }
    }

    fn flush(&self) {}
}

/// Begins to keep lines up to a level, if nobody has yet.
pub fn keep(level: log::LevelFilter) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Collector).expect("no other file of tests keeps the log of this process");
        log::set_max_level(level);
    });
}

/// The lines so far.
pub fn lines() -> MutexGuard<'static, Vec<String>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}
