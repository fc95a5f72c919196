//! The one writer of a journal.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use zerocopy::IntoBytes;
use zerocopy::little_endian::U64;

use crate::checking::Checking;
use crate::cursor::Tail;
use crate::error::OpenError;
use crate::format::{
    DURABLE_OFFSET, END_BYTES, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FrameHead, HEADER_BYTES,
    NO_EPOCH, PAYLOAD_MAX, Position, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, SegmentHeader,
    UNCOMMITTED, end_word, epoch_word, fold, frame_bytes, seal, segment_bytes_valid, word,
};
use crate::map::Map;
use crate::preparer::{self, Preparer};
use crate::recover::{self, Recovery};
use crate::scan::Chain;
use crate::shared::{DurablePosition, Shared};
use crate::snapshot::Checkpoint;
use crate::storage::{FileStorage, Lock, LockError, Placement, Storage};
use crate::syncer::{self, Syncer};

/// All of them are mapped and in memory.
const PREPARED_AHEAD_MAX: u32 = 64;

/// How a journal is written.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of a segment: a power of two from [`SEGMENT_BYTES_MIN`] to [`SEGMENT_BYTES_MAX`]. Only
    /// for a new journal; an existing one keeps the size it was created with.
    pub segment_bytes: u64,
    /// Segments kept ready behind the current one: 1 to 64.
    pub prepared_ahead: u32,
    /// Time between two syncs; zero syncs as fast as the disk allows.
    pub sync_interval: Duration,
    /// Where frames are until they are durable.
    pub placement: Placement,
    /// Build of this program, for the headers of the segments it begins.
    pub build_id: [u8; 32],
    /// Hash of the configuration, for the headers of the segments this program begins.
    pub config_hash: u64,
    /// Where recovery starts: segments before the one that holds this place are not read. `None`
    /// reads all.
    pub start: Option<Checkpoint>,
    /// Is told how far the opening is, so that what is checked can be read meanwhile.
    pub checking: Option<Checking>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_bytes: 64 * 1024 * 1024,
            prepared_ahead: 2,
            sync_interval: Duration::ZERO,
            placement: Placement::InFile,
            build_id: [0; 32],
            config_hash: 0,
            start: None,
            checking: None,
        }
    }
}

impl Options {
    fn check(&self) -> Result<(), OpenError> {
        if !segment_bytes_valid(self.segment_bytes) {
            let what = format!(
                "segment size {} is not a power of two from {SEGMENT_BYTES_MIN} to \
                 {SEGMENT_BYTES_MAX}",
                self.segment_bytes
            );
            return Err(OpenError::InvalidOptions { what });
        }
        if !(1..=PREPARED_AHEAD_MAX).contains(&self.prepared_ahead) {
            let ahead = self.prepared_ahead;
            let what = format!("{ahead} segments prepared ahead is not 1 to {PREPARED_AHEAD_MAX}");
            return Err(OpenError::InvalidOptions { what });
        }
        Ok(())
    }
}

/// Opens the journal in `dir` for writing, and creates it when there is none.
///
/// Recovers first: a group that was not committed or never reached the disk is cut, its bytes are
/// put aside in `torn-<segment>-<offset>.bin`. Damage that isn't such a tail is refused, and
/// nothing is changed. On return everything the journal holds is durable.
///
/// With a [start](Options::start) the segments before it are not read, and damage there is not seen:
/// [`verify`](crate::verify) reads all. The place must be of this journal, and the journal must
/// reach it; otherwise this is refused with [`OpenError::StartMismatch`].
///
/// # Errors
/// See [`OpenError`].
pub fn open(dir: &Path, options: Options) -> Result<(Writer, Recovery), OpenError> {
    open_in(Arc::new(FileStorage::new(dir)), options)
}

/// [`open`] in any storage.
///
/// # Errors
/// See [`OpenError`].
pub fn open_in(
    storage: Arc<dyn Storage>,
    options: Options,
) -> Result<(Writer, Recovery), OpenError> {
    let (mut writer, recovery, preparer, syncer) = recover_in(storage, options)?;
    writer
        .start(preparer, syncer)
        .map_err(OpenError::io("start the helper threads for", writer.shared.storage.dir()))?;
    Ok((writer, recovery))
}

/// [`open`] in any storage and without threads: the caller steps the helpers. The same calls give
/// the same journal to the byte, if the storage does the same too.
///
/// # Errors
/// See [`OpenError`].
pub fn open_stepped(
    storage: Arc<dyn Storage>,
    options: Options,
) -> Result<(Writer, Recovery, Helpers), OpenError> {
    let (mut writer, recovery, preparer, syncer) = recover_in(storage, options)?;
    let helpers =
        Helpers { preparer: Arc::new(Mutex::new(preparer)), syncer: Arc::new(Mutex::new(syncer)) };
    writer.helping = Helping::Stepped(helpers.clone());
    Ok((writer, recovery, helpers))
}

/// The writer, without the help it needs, and its helpers.
fn recover_in(
    storage: Arc<dyn Storage>,
    options: Options,
) -> Result<(Writer, Recovery, Preparer, Syncer), OpenError> {
    options.check()?;
    let lock = storage.lock().map_err(|error| lock_error(&*storage, error))?;
    let Options { segment_bytes, placement, ref start, ref checking, .. } = options;
    let (blocks, checking) = (placement.blocks(), checking.as_ref());
    let state = recover::recover(&*storage, segment_bytes, blocks, start.as_ref(), checking)?;
    let map = Arc::new(recover::map_tail(&*storage, &state, placement)?);
    let shared = Arc::new(Shared::new(
        storage,
        state.segment_bytes,
        state.base,
        state.epoch,
        state.tail,
        map.clone(),
        placement,
    ));
    let mut writer = Writer {
        map,
        offset: (state.tail.get() % state.segment_bytes) as usize,
        chain: state.chain,
        group: Group::default(),
        epoch_word: epoch_word(shared.epoch),
        index: shared.segment_of(state.tail),
        shared: shared.clone(),
        build_id: options.build_id,
        config_hash: options.config_hash,
        wakes_syncer: placement == Placement::InMemory,
        helping: Helping::None,
        lock: Arc::new(lock),
    };
    if !state.tail_begun {
        writer.begin_segment();
    } else if placement == Placement::InMemory {
        // Recovery has left the word of a map.
        writer.map.publish_header(DURABLE_OFFSET, shared.durable_word(writer.offset as u64));
        let dir = shared.storage.dir();
        writer.map.sync_header().map_err(OpenError::io("sync the journal in", dir))?;
    }
    if let Some(checking) = checking
        && state.recovery.frames > 0
    {
        checking.say_all();
    }
    let preparer = Preparer::new(shared.clone(), u64::from(options.prepared_ahead));
    let syncer = Syncer::new(shared, options.sync_interval);
    Ok((writer, state.recovery, preparer, syncer))
}

pub(crate) fn lock_error(storage: &dyn Storage, error: LockError) -> OpenError {
    let dir = storage.dir().into();
    match error {
        LockError::Held { holder } => OpenError::InUse { dir, pid: holder },
        LockError::NotWritable(source) => OpenError::NotWritable { dir, source },
        LockError::Failed(source) => OpenError::Io { what: "lock", path: dir, source },
    }
}

/// Appends frames and commits them in groups. There is one per journal.
pub struct Writer {
    map: Arc<Map>,
    /// Where the next frame goes in the current segment; END always fits behind it.
    offset: usize,
    /// Sequence, time and running hash behind the last appended frame.
    chain: Chain,
    group: Group,
    /// What the segment's header must hold as long as this writer may write to it; [`NO_EPOCH`] when it has given up.
    epoch_word: u64,
    index: u64,
    shared: Arc<Shared>,
    build_id: [u8; 32],
    config_hash: u64,
    /// Whether a commit wakes the syncer, should it sleep.
    wakes_syncer: bool,
    helping: Helping,
    /// Released last, when no thread touches the files any more.
    lock: Arc<Lock>,
}

/// Keeps the journal's directory locked for as long as it lives, also when the writer is gone.
pub struct DirectoryLock(#[allow(dead_code, reason = "it is there to be dropped")] Arc<Lock>);

/// Who prepares segments and syncs them.
enum Helping {
    None,
    Threads { preparer: JoinHandle<()>, syncer: JoinHandle<()> },
    Stepped(Helpers),
}

/// Prepares segments and syncs them, for a [`Writer`] without threads: see [`open_stepped`].
///
/// The writer steps them by itself in two places: when it is closed or dropped, and when a segment
/// is full and the next is not prepared.
#[derive(Clone)]
pub struct Helpers {
    pub(crate) preparer: Arc<Mutex<Preparer>>,
    syncer: Arc<Mutex<Syncer>>,
}

impl Helpers {
    /// Prepares a segment, if one is needed. Returns the pause before the next step, as the thread
    /// would make it; `None` once the journal is closed.
    pub fn step_preparer(&self) -> Option<Duration> {
        let mut preparer = self.preparer.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let pause = preparer.step();
            // A segment is made in parts for the sake of who shares the thread's processor; nobody does here.
            if !preparer.is_amid_segment() {
                return pause;
            }
        }
    }

    /// Syncs what is committed, by the rule of [`Options::sync_interval`]. Returns the pause before
    /// the next step, as the thread would make it; `None` once the journal is closed.
    pub fn step_syncer(&self) -> Option<Duration> {
        self.syncer.lock().unwrap_or_else(PoisonError::into_inner).step()
    }
}

/// The frames appended since the last commit.
#[derive(Default)]
struct Group {
    /// 0: none is open, and the fields below mean nothing.
    frames: u32,
    first_offset: usize,
    first_len: u32,
    first_crc: u32,
    /// The words behind the first frame's first one, to which the commit adds the group's size.
    first_head: u64,
    /// The segment of the first frame, when the group has rolled into another since.
    first_map: Option<Arc<Map>>,
}

impl Writer {
    fn start(&mut self, preparer: Preparer, syncer: Syncer) -> io::Result<()> {
        let preparer = preparer::start(preparer)?;
        match syncer::start(syncer) {
            Ok(syncer) => self.helping = Helping::Threads { preparer, syncer },
            Err(error) => {
                self.shared.stop_preparer.store(true, Ordering::Release);
                preparer.thread().unpark();
                let _ = preparer.join();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Appends a frame to the open group, or opens one. Nobody sees it before
    /// [`commit`](Self::commit). `time_ns` is the caller's clock and never decreases.
    ///
    /// Waits when the segment is full and no other is prepared, until one is, the journal is
    /// [taken over](Self::taken_over), or this writer [gives up](Self::given_up): ask [`has_room`](Self::has_room)
    /// first.
    ///
    /// # Panics
    /// When `sequence` isn't [`next_sequence`](Self::next_sequence), `time_ns` is less than in the
    /// frame before, or `payload` is longer than [`PAYLOAD_MAX`].
    #[inline]
    pub fn append(&mut self, kind: u16, sequence: u64, time_ns: u64, payload: &[u8]) {
        assert!(sequence == self.chain.next_sequence, "sequence {sequence} is not the next");
        assert!(time_ns >= self.chain.time_ns, "time {time_ns} goes back");
        assert!(payload.len() <= PAYLOAD_MAX, "payload of {} bytes", payload.len());
        if !self.is_ours() {
            return self.refuse(sequence, time_ns);
        }
        let bytes = frame_bytes(payload.len());
        if bytes > self.room() && !self.roll() {
            return self.refuse(sequence, time_ns);
        }
        let head = FrameHead { sequence, time_ns, kind, flags: 0, group_frames: 0 };
        let words = head.words();
        let len = (FRAME_HEADER_BYTES + payload.len()) as u32;
        let crc = head.crc(len, payload);
        let mut first = word(len, crc);
        if self.group.frames == 0 {
            self.group.first_offset = self.offset;
            self.group.first_len = len;
            self.group.first_crc = crc;
            self.group.first_head = words[2];
            first |= u64::from(UNCOMMITTED);
        }
        self.map.put_frame(self.offset, [first, words[0], words[1], words[2]], payload);
        self.group.frames += 1;
        self.offset += bytes;
        self.chain.next_sequence = sequence + 1;
        self.chain.time_ns = time_ns;
        self.chain.hash = fold(self.chain.hash, crc);
    }

    /// Releases the open group to the tails, whole. Does nothing when none is open.
    #[inline]
    pub fn commit(&mut self) {
        if self.group.frames == 0 {
            return;
        }
        if !self.is_ours() {
            self.group = Group::default();
            return self.note_not_ours();
        }
        let group = &mut self.group;
        let head = group.first_head | u64::from(group.frames) << 32;
        let first = word(group.first_len, seal(group.first_crc, group.frames));
        let map = group.first_map.as_ref().unwrap_or(&self.map);
        map.put_word(group.first_offset + 24, head);
        map.publish(group.first_offset, first);
        group.frames = 0;
        if group.first_map.is_some() {
            group.first_map = None;
        }
        self.shared.set_written(self.end());
        if self.wakes_syncer && self.shared.syncer_idle.load(Ordering::Relaxed) {
            self.wake_syncer();
        }
    }

    #[cold]
    fn wake_syncer(&self) {
        self.shared.syncer_idle.store(false, Ordering::Relaxed);
        if let Helping::Threads { syncer, .. } = &self.helping {
            syncer.thread().unpark();
        }
    }

    /// Whether frames of together `bytes` bytes (see [`frame_bytes`]) can be appended without
    /// waiting: in this segment or in prepared ones. False is back-pressure: the disk is full or
    /// the preparer late; [`status`](Self::status) says which. False for ever: see
    /// [`taken_over`](Self::taken_over) and [`given_up`](Self::given_up).
    #[inline]
    pub fn has_room(&mut self, bytes: usize) -> bool {
        if !self.is_ours() {
            self.note_not_ours();
            return false;
        }
        bytes <= self.room() || self.has_room_ahead(bytes)
    }

    /// Waits until frames of together `bytes` bytes can be appended without waiting: where the caller has nothing else
    /// to do, as at a start.
    ///
    /// # Errors
    /// What holds the helpers up, in words, or that the journal was taken over. There may be room later.
    pub fn wait_for_room(&mut self, bytes: usize) -> Result<(), String> {
        while !self.has_room(bytes) {
            if let Some(message) = self.taken_over() {
                return Err(message.to_owned());
            }
            if let Helping::Stepped(helpers) = &self.helping {
                helpers.step_preparer();
                if self.has_room(bytes) {
                    return Ok(());
                }
                return Err(self.status().unwrap_or_else(|| "no segment is prepared".into()));
            }
            if let Some(status) = self.status() {
                return Err(status);
            }
            if let Helping::Threads { preparer, .. } = &self.helping {
                preparer.thread().unpark();
            }
            thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }

    /// Segments behind the current one that are ready.
    pub fn prepared_ahead(&self) -> u64 {
        self.shared.prepared() - self.index - 1
    }

    /// The sequence number the next append must carry. The first is 1.
    #[inline]
    pub fn next_sequence(&self) -> u64 {
        self.chain.next_sequence
    }

    /// The time of the last appended frame, in ns; 0 before the first.
    #[inline]
    pub fn last_time_ns(&self) -> u64 {
        self.chain.time_ns
    }

    /// The running hash over all appended frames.
    pub fn running_hash(&self) -> u64 {
        self.chain.hash
    }

    /// The end of the last committed frame.
    #[inline]
    pub fn position(&self) -> Position {
        self.shared.written()
    }

    /// A reader in this process, from the first frame the journal holds. It shares the writer's
    /// maps, so the pages it reads are there already.
    pub fn tail(&self) -> Tail {
        Tail::new(self.shared.clone())
    }

    /// The written and the durable position, for any thread.
    pub fn durable(&self) -> DurablePosition {
        DurablePosition(self.shared.clone())
    }

    /// Holds the directory's lock together with this writer, for work on the directory that may
    /// outlast it.
    pub fn hold_lock(&self) -> DirectoryLock {
        DirectoryLock(self.lock.clone())
    }

    /// Bytes of each segment.
    pub fn segment_bytes(&self) -> u64 {
        self.shared.segment_bytes
    }

    /// The storage error that holds the helper threads up, `None` when all is well.
    pub fn status(&self) -> Option<String> {
        self.shared.status()
    }

    /// What to tell when another writer has opened the journal since, past the lock. This writer
    /// writes nothing more: it has no room, drops what is appended, and commits nothing. `None`
    /// while the journal is its own.
    pub fn taken_over(&self) -> Option<&str> {
        self.shared.taken_over()
    }

    /// Whether who waits for room waits for a storage that is in trouble, and [has waited
    /// enough](DurablePosition::end_patience). A writer that finds no segment amid a group gives up then.
    #[cold]
    pub fn waits_in_vain(&self) -> bool {
        self.shared.hopeless().is_some()
    }

    /// What to tell when this writer found no segment amid a group and [waited in vain](Self::waits_in_vain): the
    /// group is not in the journal, nor is anything behind it. `None` while that has not been.
    pub fn given_up(&self) -> Option<&str> {
        self.shared.given_up()
    }

    /// Commits the open group, syncs everything and stops the helper threads.
    ///
    /// # Errors
    /// When the last sync fails, another writer has taken over, or a group was [given up](Self::given_up). What was
    /// committed then is in the files, but not known durable where one of the first two is the reason.
    pub fn close(mut self) -> io::Result<()> {
        self.commit();
        self.stop();
        if let Some(message) = self.taken_over() {
            return Err(io::Error::other(message.to_owned()));
        }
        let is_synced = self.shared.durable() == self.shared.written();
        let unsynced = || self.status().unwrap_or_else(|| "not synced".into());
        let mut problems: Vec<_> = self.given_up().map(str::to_owned).into_iter().collect();
        problems.extend((!is_synced).then(unsynced));
        if problems.is_empty() { Ok(()) } else { Err(io::Error::other(problems.join("; "))) }
    }

    #[inline]
    fn is_ours(&self) -> bool {
        self.map.epoch_word() == self.epoch_word
    }

    /// Takes note of what [`is_ours`](Self::is_ours) has found, unless it is that this writer has given up.
    #[cold]
    fn note_not_ours(&self) {
        if self.epoch_word != NO_EPOCH {
            self.shared.note_taken_over();
        }
    }

    /// Takes note of a frame that is not written, so that the caller's numbers stay right until it
    /// looks.
    #[cold]
    fn refuse(&mut self, sequence: u64, time_ns: u64) {
        self.note_not_ours();
        self.chain.next_sequence = sequence + 1;
        self.chain.time_ns = time_ns;
    }

    /// Bytes for frames in this segment, with END kept free.
    #[inline]
    fn room(&self) -> usize {
        self.map.len() - END_BYTES - self.offset
    }

    #[cold]
    fn has_room_ahead(&self, bytes: usize) -> bool {
        let ahead = self.prepared_ahead() as usize;
        let whole = self.map.len() - HEADER_BYTES - END_BYTES;
        // A roll wastes less than the largest frame.
        bytes <= whole && ahead > 0 || bytes <= ahead * (whole - FRAME_BYTES_MAX)
    }

    fn end(&self) -> Position {
        Position::at(self.index, self.offset, self.shared.segment_bytes)
    }

    /// Ends this segment and goes on in the next. The new header is there before the END that
    /// sends readers to it. False: the journal is not ours any more, or this writer has given up, and this segment is
    /// as it was.
    #[cold]
    fn roll(&mut self) -> bool {
        let next = match self.wait_for_next() {
            Ok(Some(next)) => next,
            Ok(None) => return false,
            Err(status) => {
                self.epoch_word = NO_EPOCH;
                self.shared.note_given_up(&status);
                return false;
            }
        };
        let full = std::mem::replace(&mut self.map, next);
        let end_offset = std::mem::replace(&mut self.offset, HEADER_BYTES);
        self.index += 1;
        self.shared.set_current(self.index);
        self.begin_segment();
        full.publish(end_offset, end_word(self.chain.next_sequence));
        if self.group.frames > 0 && self.group.first_map.is_none() {
            self.group.first_map = Some(full);
        }
        true
    }

    /// The next prepared segment. Spins, yields, sleeps: until space is freed if it must. `None` when another writer
    /// has taken over: then nobody prepares one.
    ///
    /// # Errors
    /// What holds the storage up, where it is [waited for in vain](Self::waits_in_vain).
    fn wait_for_next(&self) -> Result<Option<Arc<Map>>, String> {
        for attempt in 0u32.. {
            if let Some(map) = self.shared.map(self.index + 1) {
                return Ok(Some(map));
            }
            if !self.is_ours() {
                return Ok(None);
            }
            if let Some(status) = self.shared.hopeless() {
                return Err(status);
            }
            match &self.helping {
                Helping::Threads { preparer, .. } if attempt == 0 => preparer.thread().unpark(),
                Helping::Stepped(helpers) if attempt == 0 => {
                    helpers.step_preparer();
                    continue;
                }
                // Nobody else will ever prepare it.
                Helping::Stepped(_) => panic!("no segment is prepared: ask has_room first"),
                _ => {}
            }
            match attempt {
                0..100 => std::hint::spin_loop(),
                100..200 => thread::yield_now(),
                _ => thread::sleep(Duration::from_micros(100)),
            }
        }
        unreachable!("the loop has no end")
    }

    fn begin_segment(&mut self) {
        let header = SegmentHeader {
            created_ns: U64::new(self.shared.storage.wall_clock_ns()),
            build_id: self.build_id,
            config_hash: U64::new(self.config_hash),
            epoch_word: U64::new(self.epoch_word),
            ..self.chain.header(self.index, self.shared.segment_bytes)
        };
        // Before the header, which sends readers here.
        self.map.publish_header(DURABLE_OFFSET, self.shared.durable_word(0));
        self.map.put_header(header.seal().as_bytes());
    }

    /// Ends the helpers; the syncer syncs what is committed before it goes.
    fn stop(&mut self) {
        self.shared.stop_preparer.store(true, Ordering::Release);
        self.shared.stop_syncer.store(true, Ordering::Release);
        match std::mem::replace(&mut self.helping, Helping::None) {
            Helping::None => {}
            Helping::Threads { preparer, syncer } => {
                for helper in [preparer, syncer] {
                    helper.thread().unpark();
                    if helper.join().is_err() {
                        log::error!("a journal helper thread has panicked");
                    }
                }
            }
            Helping::Stepped(helpers) => {
                let last = helpers.step_syncer();
                debug_assert!(last.is_none(), "one step syncs all when the journal is closed");
            }
        }
    }
}

/// Leaves an open group uncommitted: dropping without [`Writer::close`] may be the way of a panic
/// through half a group.
impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}
