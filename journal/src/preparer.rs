//! The helper that keeps segments ready ahead of the writer, a step at a time.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::format::Position;
use crate::map::Map;
use crate::segment;
use crate::shared::Shared;
use crate::storage::{Blocks, Placement, Storage};

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
/// Made present and writable in a step: 16 pages, 0.1 ms where a new page is dear. All at once they take a tenth of a
/// second from whoever shares the processor.
const POPULATED_BYTES: usize = 64 * 1024;
/// Written with zeros and synced in a step: a sync of the journal finds the disk busy with so much at the most.
const FILLED_BYTES: u64 = 256 * 1024;
/// Between two steps of a segment that is not urgent: ready in some seconds.
const PART_PAUSE: Duration = Duration::from_millis(5);
/// A segment is urgent where less of it is done than this times what the writer has used of its own: it is done by the
/// time the writer is half through, and there is another before that.
const PACE: u64 = 2;
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
    /// The next segment, where it is begun.
    begun: Option<Begun>,
    window: Window,
    /// Where the writer was when nothing was to be prepared the last time.
    looked_at: Position,
}

/// A segment that is not ready yet.
enum Begun {
    /// Under its temporary name; `filled` bytes are written with zeros and synced.
    Filling { filled: u64 },
    /// Mapped; `present` bytes will cause no fault.
    Populating { map: Map, present: usize },
}

impl Preparer {
    pub fn new(shared: Arc<Shared>, ahead: u64) -> Preparer {
        let looked_at = shared.written();
        Preparer { shared, ahead, begun: None, window: Window::default(), looked_at }
    }

    /// Does what is to be done now: a part of a segment at most. Returns the pause before the next step;
    /// `None` once the journal is closed, or another writer has it.
    pub fn step(&mut self) -> Option<Duration> {
        self.shared.check_epoch();
        if self.shared.stop_preparer.load(Ordering::Acquire) || self.shared.taken_over().is_some() {
            self.give_up();
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

    /// Whether a segment is begun and not ready.
    pub fn is_amid_segment(&self) -> bool {
        self.begun.is_some()
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

    fn prepare_next(&mut self) -> Duration {
        let index = self.shared.prepared();
        match self.prepare(index) {
            Ok(Some(map)) => {
                self.shared.add_prepared(map);
                self.shared.preparer_status.clear();
                Duration::ZERO
            }
            Ok(None) if self.is_urgent() => Duration::ZERO,
            Ok(None) => PART_PAUSE,
            Err(error) => {
                self.give_up();
                let dir = self.shared.storage.dir().display();
                self.shared
                    .preparer_status
                    .fail(format!("segment {index} can't be prepared in {dir}: {error}"));
                RETRY
            }
        }
    }

    /// Whether the segment that is begun can't wait.
    fn is_urgent(&self) -> bool {
        let done = match &self.begun {
            Some(Begun::Filling { filled }) => *filled,
            Some(Begun::Populating { present, .. }) => *present as u64,
            None => 0,
        };
        let used = self.shared.written().get() % self.shared.segment_bytes;
        let has_none = self.shared.prepared() <= self.shared.current() + 1;
        has_none || done < used * PACE
    }

    /// Does a part of what makes a segment, and gives it when it is ready.
    ///
    /// Recovery leaves only zeros behind the tail, so a segment that exists is taken unless it is
    /// short. Its name may not be durable: whoever created it was interrupted, or failed at that.
    fn prepare(&mut self, index: u64) -> io::Result<Option<Map>> {
        let shared = &*self.shared;
        let (storage, segment_bytes) = (&*shared.storage, shared.segment_bytes);
        let map = || segment::map(storage, index, segment_bytes, shared.placement, 0);
        match &mut self.begun {
            None => match storage.file_len(&segment::name(index)) {
                Ok(len) if len == segment_bytes => {
                    storage.sync_dir()?;
                    self.begun = Some(Begun::Populating { map: map()?, present: 0 });
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {
                    let filled = match shared.placement.blocks() {
                        Blocks::Reserved => segment_bytes,
                        Blocks::Written => 0,
                    };
                    // Before the file, which is removed when there is no room for all of it.
                    self.begun = Some(Begun::Filling { filled });
                    let temporary = segment::unfinished(&segment::name(index));
                    storage.create_zeros(&temporary, segment_bytes, Blocks::Reserved)?;
                }
            },
            Some(Begun::Filling { filled }) if *filled < segment_bytes => {
                *filled = fill(storage, index, *filled..segment_bytes)?;
            }
            Some(Begun::Filling { .. }) => {
                segment::finish(storage, &segment::name(index))?;
                self.begun = Some(Begun::Populating { map: map()?, present: 0 });
            }
            Some(Begun::Populating { map, present }) => {
                let to = (*present + POPULATED_BYTES).min(map.len());
                map.populate(*present, to)?;
                *present = to;
            }
        }
        let is_ready = |begun: &mut Begun| matches!(begun, Begun::Populating { map, present } if *present == map.len());
        if let Some(Begun::Populating { map, .. }) = self.begun.take_if(is_ready) {
            return Ok(Some(map));
        }
        Ok(None)
    }

    /// Gives the blocks of what has no name yet back; when that fails the next attempt truncates the file. Where another
    /// writer has the journal, the file may be its.
    fn give_up(&mut self) {
        let is_filling = matches!(self.begun.take(), Some(Begun::Filling { .. }));
        if is_filling && self.shared.taken_over().is_none() {
            let unfinished = segment::unfinished(&segment::name(self.shared.prepared()));
            let _ = self.shared.storage.remove(&unfinished);
        }
    }
}

/// Writes the first part of `rest` of an unfinished segment with zeros, durably. Returns where it ends.
fn fill(storage: &dyn Storage, index: u64, rest: Range<u64>) -> io::Result<u64> {
    let temporary = segment::unfinished(&segment::name(index));
    let to = rest.end.min(rest.start + FILLED_BYTES);
    storage.write_all_at(&temporary, &vec![0; (to - rest.start) as usize], rest.start)?;
    storage.sync(&temporary)?;
    Ok(to)
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
    use std::sync::PoisonError;

    use super::*;
    use crate::{FileStorage, Options, open_stepped};

    /// What a thread would do until the next segment is ready: the pause behind each part.
    fn pauses_until_ready(preparer: &mut Preparer) -> Vec<Duration> {
        let before = preparer.shared.prepared();
        let mut pauses = Vec::new();
        while preparer.shared.prepared() == before {
            pauses.push(preparer.step().expect("an open journal"));
        }
        pauses
    }

    #[test]
    fn a_segment_is_made_in_parts_that_wait_unless_it_is_urgent() {
        for placement in [Placement::InFile, Placement::InMemory] {
            let dir = tempfile::tempdir().unwrap();
            let options = Options { segment_bytes: 1 << 20, placement, ..Options::default() };
            let storage = Arc::new(FileStorage::new(dir.path()));
            let (writer, _, helpers) = open_stepped(storage, options).unwrap();
            let mut preparer = helpers.preparer.lock().unwrap_or_else(PoisonError::into_inner);
            let first = pauses_until_ready(&mut preparer);
            let second = pauses_until_ready(&mut preparer);
            // Nothing is behind the writer's segment: no part waits. Then each does, but for the last and those that
            // catch up with the header that the writer has used.
            for pauses in [&first, &second] {
                assert!(pauses.len() >= 16, "{placement:?}: {pauses:?}");
            }
            assert!(first.iter().all(Duration::is_zero), "{placement:?}: {first:?}");
            let (last, parts) = second.split_last().unwrap();
            let waiting = parts.iter().filter(|&&pause| pause == PART_PAUSE);
            assert!(waiting.count() + 2 >= parts.len(), "{placement:?}: {second:?}");
            assert!(last.is_zero(), "{placement:?}");
            let file = dir.path().join(segment::name(2));
            assert_eq!(std::fs::read(file).unwrap(), vec![0; 1 << 20], "{placement:?}");
            assert_eq!(preparer.step(), Some(POLL_SLOW), "enough is ready");
            drop(preparer);
            writer.close().unwrap();
        }
    }
}
