//! The helper thread that keeps segments ready ahead of the writer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::format::Position;
use crate::map::Map;
use crate::segment::{self, Blocks};
use crate::shared::Shared;

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
const RETRY: Duration = Duration::from_secs(1);

pub(crate) fn start(shared: Arc<Shared>, ahead: u64, blocks: Blocks) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("journal-prepare".into()).spawn(move || run(&shared, ahead, blocks))
}

fn run(shared: &Shared, ahead: u64, blocks: Blocks) {
    let mut window = Window::default();
    let mut looked_at = shared.written();
    while !shared.stop_preparer.load(Ordering::Acquire) {
        shared.check_epoch();
        if shared.taken_over().is_some() {
            return;
        }
        window.keep_writable(shared);
        if shared.prepared() > shared.current() + ahead {
            shared.prune();
            let moved = shared.written().get() - looked_at.get();
            looked_at = shared.written();
            let fast = moved >= FAST_BYTES;
            thread::park_timeout(if fast { POLL_FAST } else { POLL_SLOW });
        } else {
            prepare_next(shared, blocks);
        }
    }
}

/// The pages just ahead of the writer. The kernel writes prepared pages back when they have been
/// dirty for half a minute, or somebody calls sync, and write-protects them: every new page then
/// costs the writer a page fault, ten times the append. So they are made writable again shortly
/// before they are needed.
struct Window {
    /// Where the writer was the last time.
    from: Position,
    at: Instant,
}

impl Default for Window {
    fn default() -> Window {
        Window { from: Position::START, at: Instant::now() }
    }
}

impl Window {
    fn keep_writable(&mut self, shared: &Shared) {
        let written = shared.written();
        let moved = written.get() - self.from.get() >= WINDOW_BYTES as u64 / 2;
        if !moved && self.at.elapsed() < WINDOW_REFRESH {
            return;
        }
        *self = Window { from: written, at: Instant::now() };
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
    let _ = map.populate(from, to);
    from + bytes - to
}

fn prepare_next(shared: &Shared, blocks: Blocks) {
    let index = shared.prepared();
    match prepare(shared, index, blocks) {
        Ok(map) => {
            shared.add_prepared(map);
            shared.preparer_status.clear();
        }
        Err(error) => {
            let dir = shared.dir.display();
            shared
                .preparer_status
                .fail(format!("segment {index} can't be prepared in {dir}: {error}"));
            thread::park_timeout(RETRY);
        }
    }
}

/// Recovery leaves only zeros behind the tail, so a segment that exists is taken unless it is short.
fn prepare(shared: &Shared, index: u64, blocks: Blocks) -> io::Result<Map> {
    let file = match segment::open_writable(&shared.dir, index) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            segment::create(&shared.dir, index, shared.segment_bytes, blocks)?
        }
        Ok(file) if file.metadata()?.len() != shared.segment_bytes => {
            segment::create(&shared.dir, index, shared.segment_bytes, blocks)?
        }
        opened => opened?,
    };
    segment::map_prepared(&file, shared.segment_bytes)
}
