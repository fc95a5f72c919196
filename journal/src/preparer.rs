//! The helper that keeps segments ready ahead of the writer, a step at a time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

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
/// Made present and writable in a step: 16 pages, 0.1 ms where a new page is dear. All of a segment at once take a tenth
/// of a second from whoever shares the processor.
const POPULATED_BYTES: usize = 64 * 1024;
/// Between two steps of a segment that has time: ready in some seconds.
const PART_PAUSE: Duration = Duration::from_millis(5);
/// Between two steps of one that is behind its pace, at least: whoever shares the processor is kept off it for a step, and
/// not for as long as the system lets a thread run that does not pause, 20 ms.
const PART_PAUSE_BEHIND: Duration = Duration::from_micros(200);
/// Where a step that may wait took longer than usual, as on a host whose pages are dear, the thread rests for so many times
/// that before the next, up to [`PART_PAUSE`]: it takes a third of the processor at the most.
const REST: u32 = 2;
/// A segment is behind where less of it is present than this times what the writer has used of its own: it is ready by
/// the time the writer is half through, and there is another before that.
const PACE: u64 = 2;
const RETRY: Duration = Duration::from_secs(1);

pub(crate) fn start(mut preparer: Preparer) -> io::Result<JoinHandle<()>> {
    let run = move || {
        let mut begun = Instant::now();
        while let Some(pause) = preparer.step() {
            if !pause.is_zero() {
                thread::park_timeout(
                    pause.max(begun.elapsed().saturating_mul(REST).min(PART_PAUSE)),
                );
            }
            begun = Instant::now();
        }
    };
    thread::Builder::new().name("journal-prepare".into()).spawn(run)
}

pub(crate) struct Preparer {
    shared: Arc<Shared>,
    /// Segments kept ready behind the current one.
    ahead: u64,
    /// The next segment, where it is mapped and not all present.
    begun: Option<Begun>,
    /// Whether as many as wanted have been ready, ever: at a start nothing waits.
    has_been_ready: bool,
    window: Window,
    /// Where the writer was when nothing was to be prepared the last time.
    looked_at: Position,
}

/// A segment that is not ready yet.
struct Begun {
    map: Map,
    /// Bytes that will cause no fault.
    present: usize,
}

impl Preparer {
    pub fn new(shared: Arc<Shared>, ahead: u64) -> Preparer {
        let looked_at = shared.written();
        let window = Window::default();
        Preparer { shared, ahead, begun: None, has_been_ready: false, window, looked_at }
    }

    /// Does what is to be done now: a part of a segment at most. Returns the pause before the next step;
    /// `None` once the journal is closed, or another writer has it.
    pub fn step(&mut self) -> Option<Duration> {
        self.shared.check_epoch();
        if self.shared.stop_preparer.load(Ordering::Acquire) || self.shared.taken_over().is_some() {
            return None;
        }
        self.window.keep_writable(&self.shared);
        let is_ready = self.shared.prepared() > self.shared.current() + self.ahead;
        self.has_been_ready |= is_ready;
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

    /// Whether a segment is begun and not ready.
    pub fn is_amid_segment(&self) -> bool {
        self.begun.is_some()
    }

    fn prepare_next(&mut self) -> Duration {
        let index = self.shared.prepared();
        match self.prepare_part(index) {
            Ok(Some(map)) => {
                self.shared.add_prepared(map);
                self.shared.preparer_status.clear();
                Duration::ZERO
            }
            Ok(None) => self.part_pause(),
            Err(error) => {
                let dir = self.shared.storage.dir().display();
                self.shared
                    .preparer_status
                    .fail(format!("segment {index} can't be prepared in {dir}: {error}"));
                RETRY
            }
        }
    }

    /// How long the segment that is begun can wait for its next part.
    fn part_pause(&self) -> Duration {
        let present = self.begun.as_ref().map_or(0, |begun| begun.present as u64);
        let used = self.shared.written().get() % self.shared.segment_bytes;
        let none_is_ready = self.shared.prepared() <= self.shared.current() + 1;
        match () {
            () if !self.has_been_ready || none_is_ready => Duration::ZERO,
            () if present < used * PACE => PART_PAUSE_BEHIND,
            () => PART_PAUSE,
        }
    }

    /// Begins a segment, or makes more of it present; gives it when it is ready. After an error it begins anew.
    fn prepare_part(&mut self, index: u64) -> io::Result<Option<Map>> {
        let Begun { map, present } = match self.begun.take() {
            None => Begun { map: self.map(index)?, present: 0 },
            Some(begun) => begun,
        };
        let to = (present + POPULATED_BYTES).min(map.len());
        map.populate(present, to)?;
        if to == map.len() {
            return Ok(Some(map));
        }
        self.begun = Some(Begun { map, present: to });
        Ok(None)
    }

    /// Recovery leaves only zeros behind the tail, so a segment that exists is taken unless it is
    /// short. Its name may not be durable: whoever created it was interrupted, or failed at that.
    fn map(&self, index: u64) -> io::Result<Map> {
        let (storage, segment_bytes) = (&*self.shared.storage, self.shared.segment_bytes);
        match storage.file_len(&segment::name(index)) {
            Ok(len) if len == segment_bytes => storage.sync_dir()?,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {
                // Where blocks are written, it is in parts, too.
                let (blocks, pause) = (self.shared.placement.blocks(), self.part_pause());
                let pause = pause.min(PART_PAUSE_BEHIND);
                segment::create(storage, index, segment_bytes, blocks, pause)?;
            }
        }
        segment::map(storage, index, segment_bytes, self.shared.placement, 0)
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

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;
    use crate::{FileStorage, Options, Writer, open_stepped};

    const SEGMENT_BYTES: u64 = 1 << 20;
    const PARTS: usize = SEGMENT_BYTES as usize / (64 * 1024);

    /// What the thread would do until the next segment is ready: the pause behind each part.
    fn pauses_until_ready(preparer: &Mutex<Preparer>) -> Vec<Duration> {
        let mut preparer = preparer.lock().unwrap_or_else(PoisonError::into_inner);
        let before = preparer.shared.prepared();
        let mut pauses = Vec::new();
        while preparer.shared.prepared() == before {
            pauses.push(preparer.step().expect("an open journal"));
        }
        assert!(pauses.len() >= PARTS, "{pauses:?}");
        pauses
    }

    fn append_kilobyte(writer: &mut Writer) {
        writer.append(1, writer.next_sequence(), 1, &[7; 1000]);
        writer.commit();
    }

    #[test]
    fn a_segment_is_made_in_parts_that_wait_as_long_as_they_can() {
        for placement in [Placement::InFile, Placement::InMemory] {
            let dir = tempfile::tempdir().unwrap();
            let options = Options { segment_bytes: SEGMENT_BYTES, placement, ..Options::default() };
            let storage = Arc::new(FileStorage::new(dir.path()));
            let (mut writer, _, helpers) = open_stepped(storage, options).unwrap();
            // At a start nothing waits.
            for _ in 0..2 {
                let pauses = pauses_until_ready(&helpers.preparer);
                assert!(pauses.iter().all(Duration::is_zero), "{placement:?}: {pauses:?}");
            }
            assert_eq!(helpers.step_preparer(), Some(POLL_SLOW), "{placement:?}: enough is ready");
            // The writer has just begun the next: what comes behind it has time.
            while writer.prepared_ahead() == 2 {
                append_kilobyte(&mut writer);
            }
            let pauses = pauses_until_ready(&helpers.preparer);
            let (last, parts) = pauses.split_last().unwrap();
            assert!(parts.iter().all(|&pause| pause == PART_PAUSE), "{placement:?}: {pauses:?}");
            assert!(last.is_zero(), "{placement:?}");
            let file = dir.path().join(segment::name(3));
            assert_eq!(std::fs::read(file).unwrap(), vec![0; SEGMENT_BYTES as usize]);
            // The writer is half through the next, and nothing is done of what comes behind it.
            while writer.prepared_ahead() == 2 {
                append_kilobyte(&mut writer);
            }
            (0..SEGMENT_BYTES / 2048).for_each(|_| append_kilobyte(&mut writer));
            let pauses = pauses_until_ready(&helpers.preparer);
            let (last, parts) = pauses.split_last().unwrap();
            let is_short = |&pause| pause == PART_PAUSE_BEHIND;
            assert!(parts.iter().all(is_short), "{placement:?}: {pauses:?}");
            assert!(last.is_zero(), "{placement:?}");
            // Nothing is left behind the one that the writer is in: nothing waits.
            while writer.prepared_ahead() > 0 {
                append_kilobyte(&mut writer);
            }
            // What is in memory alone is bounded.
            helpers.step_syncer();
            helpers.step_syncer();
            let pauses = pauses_until_ready(&helpers.preparer);
            assert!(pauses.iter().all(Duration::is_zero), "{placement:?}: {pauses:?}");
            writer.close().unwrap();
        }
    }
}
