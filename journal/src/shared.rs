//! What the writer, its helper threads and the tails of one process share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::epoch;
use crate::format::{Position, durable_word, durable_word_beside, epoch_word};
use crate::map::Map;
use crate::storage::{Placement, Storage};

/// Maps of finished segments kept for tails that lag; those that lag more map the file again.
const FINISHED_MAPS: u64 = 4;
/// The same where they are memory that the system can't take back.
const FINISHED_IN_MEMORY: u64 = 1;

/// Own cache line (and its prefetched neighbour), so that polling one word doesn't slow another.
#[repr(align(128))]
pub(crate) struct Line<T>(pub T);

pub(crate) struct Shared {
    pub storage: Arc<dyn Storage>,
    pub segment_bytes: u64,
    /// The first segment the directory holds.
    pub base: u64,
    /// The writer's; the segments it writes to hold it.
    pub epoch: u32,
    pub placement: Placement,
    /// Set once another's epoch was found: nothing is written any more.
    taken_over: OnceLock<String>,
    /// Set once: who waits for the storage is to wait no longer while it is in trouble.
    patience_ended: AtomicBool,
    /// Set once the writer has given up a group because of that: it writes nothing more.
    given_up: OnceLock<String>,
    /// The segment the writer appends to; ahead of `written` while a group is open over a roll.
    current: Line<AtomicU64>,
    /// End of the last committed frame. Only the writer stores it.
    written: Line<AtomicU64>,
    /// Never beyond `written`. Only the syncer stores it.
    durable: Line<AtomicU64>,
    /// All segments before this index are prepared. Only the preparer stores it.
    prepared: Line<AtomicU64>,
    /// Set once; the preparer ends before the syncer, which still has to sync.
    pub stop_preparer: AtomicBool,
    pub stop_syncer: AtomicBool,
    /// Segments from a few before the durable one up to the last prepared, by ascending index. The
    /// lock is touched at rolls, never between them.
    maps: Mutex<VecDeque<(u64, Arc<Map>)>>,
    /// Set while the syncer sleeps, for a writer that wakes it.
    pub syncer_idle: AtomicBool,
    pub preparer_status: Status,
    pub syncer_status: Status,
}

impl Shared {
    /// A journal whose frames all are durable up to `tail`, in the segment that `map` maps.
    pub fn new(
        storage: Arc<dyn Storage>,
        segment_bytes: u64,
        base: u64,
        epoch: u32,
        tail: Position,
        map: Arc<Map>,
        placement: Placement,
    ) -> Shared {
        let index = tail.get() / segment_bytes;
        Shared {
            storage,
            segment_bytes,
            base,
            epoch,
            placement,
            taken_over: OnceLock::new(),
            patience_ended: AtomicBool::new(false),
            given_up: OnceLock::new(),
            current: Line(AtomicU64::new(index)),
            written: Line(AtomicU64::new(tail.get())),
            durable: Line(AtomicU64::new(tail.get())),
            prepared: Line(AtomicU64::new(index + 1)),
            stop_preparer: AtomicBool::new(false),
            stop_syncer: AtomicBool::new(false),
            maps: Mutex::new(VecDeque::from([(index, map)])),
            syncer_idle: AtomicBool::new(false),
            preparer_status: Status::default(),
            syncer_status: Status::default(),
        }
    }

    #[inline]
    pub fn written(&self) -> Position {
        Position::new(self.written.0.load(Ordering::Acquire))
    }

    #[inline]
    pub fn set_written(&self, position: Position) {
        self.written.0.store(position.get(), Ordering::Release);
    }

    #[inline]
    pub fn durable(&self) -> Position {
        Position::new(self.durable.0.load(Ordering::Acquire))
    }

    pub fn set_durable(&self, position: Position) {
        debug_assert!(self.durable() <= position && position <= self.written());
        self.durable.0.store(position.get(), Ordering::Release);
    }

    /// The segment the writer appends to. Whoever followed an END mark to it sees it here.
    pub fn current(&self) -> u64 {
        self.current.0.load(Ordering::Relaxed)
    }

    pub fn set_current(&self, index: u64) {
        self.current.0.store(index, Ordering::Relaxed);
    }

    /// The index behind the last prepared segment.
    #[inline]
    pub fn prepared(&self) -> u64 {
        self.prepared.0.load(Ordering::Acquire)
    }

    pub fn segment_of(&self, position: Position) -> u64 {
        position.get() / self.segment_bytes
    }

    /// Hands the next prepared segment over.
    pub fn add_prepared(&self, map: Map) {
        let mut maps = lock(&self.maps);
        let index = self.prepared();
        maps.push_back((index, Arc::new(map)));
        self.prepared.0.store(index + 1, Ordering::Release);
    }

    /// The map of a segment, unless it was finished too long ago or isn't prepared.
    pub fn map(&self, index: u64) -> Option<Arc<Map>> {
        let maps = lock(&self.maps);
        let first = maps.front()?.0;
        let (_, map) = maps.get(usize::try_from(index.checked_sub(first)?).ok()?)?;
        Some(map.clone())
    }

    /// Forgets maps of segments finished long ago. Called from a helper thread: unmapping a
    /// segment takes milliseconds.
    pub fn prune(&self) {
        let finished = match self.placement {
            Placement::InFile => FINISHED_MAPS,
            Placement::InMemory => FINISHED_IN_MEMORY,
        };
        let keep = self.segment_of(self.durable()).saturating_sub(finished);
        let mut forgotten = Vec::new();
        let mut maps = lock(&self.maps);
        while maps.front().is_some_and(|&(index, _)| index < keep) {
            forgotten.extend(maps.pop_front());
        }
        drop(maps);
    }

    /// What a segment's header says of how far it is durable.
    pub fn durable_word(&self, bytes: u64) -> u64 {
        match self.placement {
            Placement::InFile => durable_word(bytes),
            Placement::InMemory => durable_word_beside(bytes),
        }
    }

    /// Whether a segment that this writer has begun, or went on in, is still its own.
    pub fn is_ours(&self, map: &Map) -> bool {
        map.epoch_word() == epoch_word(self.epoch)
    }

    /// Looks whether another writer has taken the place of this one, for the helper threads.
    pub fn check_epoch(&self) {
        if let Some(map) = self.map(self.segment_of(self.written()))
            && !self.is_ours(&map)
        {
            self.note_taken_over();
        }
    }

    #[cold]
    pub fn note_taken_over(&self) {
        let message = epoch::taken_over(self.storage.dir(), self.epoch);
        if self.taken_over.set(message).is_ok() {
            log::error!("{}", self.taken_over().unwrap_or_default());
        }
    }

    pub fn taken_over(&self) -> Option<&str> {
        self.taken_over.get().map(String::as_str)
    }

    /// What holds the storage up, where nobody is to wait for it any longer.
    pub fn hopeless(&self) -> Option<String> {
        if self.patience_ended.load(Ordering::Acquire) { self.status() } else { None }
    }

    /// Takes note that the open group is given up because of this.
    #[cold]
    pub fn note_given_up(&self, status: &str) {
        let message = format!(
            "waiting has ended for room in journal {} ({status}): a command whose events had begun \
             to be written there is not in it, and nobody was told of any of them; make room, then \
             start again",
            self.storage.dir().display()
        );
        if self.given_up.set(message).is_ok() {
            log::error!("{}", self.given_up().unwrap_or_default());
        }
    }

    pub fn given_up(&self) -> Option<&str> {
        self.given_up.get().map(String::as_str)
    }

    /// What is wrong with the storage now, preparing before syncing.
    pub fn status(&self) -> Option<String> {
        match (self.preparer_status.get(), self.syncer_status.get()) {
            (Some(preparer), Some(syncer)) => Some(format!("{preparer}; {syncer}")),
            (preparer, syncer) => preparer.or(syncer),
        }
    }
}

/// How far the journal is written and durable, for any thread.
#[derive(Clone)]
pub struct DurablePosition(pub(crate) Arc<Shared>);

impl DurablePosition {
    /// Frames that end here or before survive a power failure. Never beyond
    /// [`written`](Self::written), never decreases.
    #[inline]
    pub fn get(&self) -> Position {
        self.0.durable()
    }

    /// Frames that end here or before are committed: tails see them, and in files that are mapped they
    /// survive the end of the process. Never decreases.
    #[inline]
    pub fn written(&self) -> Position {
        self.0.written()
    }

    /// Segments that are prepared behind the current one.
    pub fn prepared_ahead(&self) -> u64 {
        self.0.prepared().saturating_sub(self.0.current() + 1)
    }

    /// The storage error that holds the helper threads up, `None` when all is well.
    pub fn status(&self) -> Option<String> {
        self.0.status()
    }

    /// As [`Writer::taken_over`](crate::Writer::taken_over).
    pub fn taken_over(&self) -> Option<&str> {
        self.0.taken_over()
    }

    /// Lets the writer [wait no longer](crate::Writer::waits_in_vain) for a storage that is in trouble, from now on:
    /// where the process is to end.
    pub fn end_patience(&self) {
        self.0.patience_ended.store(true, Ordering::Release);
    }
}

/// The last error of a helper thread, until what failed works again.
#[derive(Default)]
pub(crate) struct Status(Mutex<Option<String>>);

impl Status {
    pub fn get(&self) -> Option<String> {
        lock(&self.0).clone()
    }

    /// Logs an error when it begins or changes, not when it repeats.
    pub fn fail(&self, message: String) {
        let mut status = lock(&self.0);
        if status.as_ref() != Some(&message) {
            log::error!("{message}");
            *status = Some(message);
        }
    }

    pub fn clear(&self) {
        if let Some(message) = lock(&self.0).take() {
            log::info!("works again: {message}");
        }
    }
}

/// A panic of another thread leaves these values whole: each is changed in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
