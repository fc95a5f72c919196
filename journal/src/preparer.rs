//! The helper that keeps segments ready ahead of the writer, a step at a time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::format::Position;
use crate::map::Map;
use crate::segment;
use crate::shared::Shared;
use crate::storage::Placement;

/// How often it looks for work while the writer is fast: above 100 MB/s. Waking it from the writer
/// would cost the writer a system call.
const POLL_FAST: Duration = Duration::from_millis(1);
/// How often it looks otherwise, so that it takes no time from a processor that others spin on.
const POLL_SLOW: Duration = Duration::from_millis(20);
/// More than the writer fills between two fast looks at 1 GB/s, and between two slow ones at
/// 100 MB/s.
const WINDOW_BYTES: usize = 2 * 1024 * 1024;
/// What the writer fills between two fast looks at 100 MB/s.
const FAST_BYTES: u64 = 100 * 1024;
/// Costs the helper 50 µs; an idle writer finds its pages ready after a sync of this age.
const WINDOW_REFRESH: Duration = Duration::from_millis(100);
/// Segments of frames that are in memory alone at the most, beside those that are ready: while the disk
/// is behind by more, none is prepared, and the writer has no room before long.
const UNDURABLE_SEGMENTS_MAX: u64 = 4;
const RETRY: Duration = Duration::from_secs(1);

pub(crate) fn start(mut preparer: Preparer) -> io::Result<JoinHandle<()>> {
    let run = move || {
        while let Some(pause) = preparer.step() {
            thread::park_timeout(pause);
        }
    };
    thread::Builder::new().name("journal-prepare".into()).spawn(run)
}

pub(crate) struct Preparer {
    shared: Arc<Shared>,
    /// Segments kept ready behind the current one.
    ahead: u64,
    window: Window,
    /// Where the writer was when nothing was to be prepared the last time.
    looked_at: Position,
}

impl Preparer {
    pub fn new(shared: Arc<Shared>, ahead: u64) -> Preparer {
        let looked_at = shared.written();
        Preparer { shared, ahead, window: Window::default(), looked_at }
    }

    /// Does what is to be done now: a segment at most. Returns the pause before the next step;
    /// `None` once the journal is closed, or another writer has it.
    pub fn step(&mut self) -> Option<Duration> {
        self.shared.check_epoch();
        if self.shared.stop_preparer.load(Ordering::Acquire) || self.shared.taken_over().is_some() {
            return None;
        }
        self.window.keep_writable(&self.shared);
        let is_ready = self.shared.prepared() > self.shared.current() + self.ahead;
        let pause = match is_ready || self.is_memory_full() {
            true => self.rest(),
            false => self.prepare_next(),
        };
        self.window.age += pause;
        Some(pause)
    }

    fn rest(&mut self) -> Duration {
        self.shared.prune();
        let written = self.shared.written();
        let moved = written.get() - self.looked_at.get();
        self.looked_at = written;
        if moved >= FAST_BYTES { POLL_FAST } else { POLL_SLOW }
    }

    /// Whether as much as may be in memory alone waits for the disk.
    fn is_memory_full(&self) -> bool {
        let shared = &self.shared;
        let waiting = shared.segment_of(shared.written()) - shared.segment_of(shared.durable());
        shared.placement == Placement::InMemory && waiting >= UNDURABLE_SEGMENTS_MAX
    }

    fn prepare_next(&self) -> Duration {
        let index = self.shared.prepared();
        match self.prepare(index) {
            Ok(map) => {
                self.shared.add_prepared(map);
                self.shared.preparer_status.clear();
                Duration::ZERO
            }
            Err(error) => {
                let dir = self.shared.storage.dir().display();
                self.shared
                    .preparer_status
                    .fail(format!("segment {index} can't be prepared in {dir}: {error}"));
                RETRY
            }
        }
    }

    /// Recovery leaves only zeros behind the tail, so a segment that exists is taken unless it is
    /// short. Its name may not be durable: whoever created it was interrupted, or failed at that.
    fn prepare(&self, index: u64) -> io::Result<Map> {
        let (storage, segment_bytes) = (&*self.shared.storage, self.shared.segment_bytes);
        match storage.file_len(&segment::name(index)) {
            Ok(len) if len == segment_bytes => storage.sync_dir()?,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => segment::create(storage, index, segment_bytes, self.shared.placement.blocks())?,
        }
        segment::map_prepared(storage, index, segment_bytes, self.shared.placement, 0)
    }
}

/// The pages just ahead of the writer. The kernel writes prepared pages back when they have been
/// dirty for half a minute, or somebody calls sync, and write-protects them: every new page then
/// costs the writer a page fault, ten times the append. So they are made writable again shortly
/// before they are needed.
struct Window {
    /// Where the writer was the last time.
    from: Position,
    /// Time since then, by the pauses between the steps: as good as a clock here, and the same in
    /// every run of a simulation.
    age: Duration,
}

impl Default for Window {
    fn default() -> Window {
        Window { from: Position::START, age: Duration::ZERO }
    }
}

impl Window {
    fn keep_writable(&mut self, shared: &Shared) {
        let written = shared.written();
        let moved = written.get() - self.from.get() >= WINDOW_BYTES as u64 / 2;
        if !moved && self.age < WINDOW_REFRESH {
            return;
        }
        *self = Window { from: written, age: Duration::ZERO };
        let offset = (written.get() % shared.segment_bytes) as usize;
        let segment = shared.segment_of(written);
        let rest = populate(shared, segment, offset, WINDOW_BYTES);
        populate(shared, segment + 1, 0, rest);
    }
}

/// Makes `bytes` bytes of a segment writable and returns how many of them lie behind its end. A
/// failure only means that the writer takes the page faults.
fn populate(shared: &Shared, segment: u64, from: usize, bytes: usize) -> usize {
    let Some(map) = shared.map(segment) else { return 0 };
    let to = (from + bytes).min(map.len());
    let _ = map.keep_writable(from, to);
    from + bytes - to
}
