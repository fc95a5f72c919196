//! The index of a journal: where which keys are, and states to go on from.
//!
//! It is kept beside the journal, never inside: in `<journal>.index` where nothing else is said. It is
//! made in one pass, brought up to date whenever it is opened, and built anew where it is not of the
//! journal. Everything in it can be removed at any time.
//!
//! - *Runs* (drawn in `run.rs`): for each block of [`BLOCK_FRAMES`] frames where it begins, and when,
//!   and a filter (`filter.rs`) that tells which keys it may hold. A look-up decodes the blocks that
//!   may hold its key.
//! - *Checkpoints*: snapshots as the venue writes them; `checkpoint.rs` has the rule which are kept.
//!   That the newest good one fits the journal, by sequence, position and running hash, is what shows
//!   that the index is the journal's.
//!
//! Memory: a run's filters while it is built, 4 MiB; 16 bytes for each block, which is 1 MiB for a
//! billion frames; one state. An index that can't be written is kept in memory as a whole, once for
//! its bytes and once more for its pages: 3 % of the journal's size, and its checkpoints.

mod checkpoint;
mod filter;
mod key;
mod pass;
mod run;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use ironbook_engine::Event;
use ironbook_gateway::{
    replay::{PlayError, Replayed},
    retention::describe_gone,
    sessions::SessionTable,
    snapshot::{self as state, Restored},
};
use ironbook_journal::{
    FileStorage, Frame, Lock, LockError, Position, Reader, SegmentInfo, Storage, segment_files,
    snapshot::{self, check_place},
};

pub use checkpoint::{CHECKPOINT_BYTES_MIN, CHECKPOINT_FRAMES, JOURNAL_SHARE};
pub use key::Key;
pub use run::Block;

use crate::{Damage, Fault};
use pass::{Begin, Passed, State, Target, memory, pass};
use run::{Draft, End, Run};

/// Frames of a block: a look-up decodes so many, in a millisecond, for each block that it looks at.
pub const BLOCK_FRAMES: u64 = 1 << 14;
/// Blocks of a run, and so of a file.
pub const RUN_BLOCKS: usize = 128;
/// New frames from which on an index is written again; fewer are read faster than they are written.
const FRAMES_MIN: u64 = 1 << 18;

/// The index of a journal, up to the last frame that was committed when it was opened.
pub struct Index {
    dir: PathBuf,
    kept_in: PathBuf,
    journal: Arc<dyn Storage>,
    segment_bytes: u64,
    runs: Vec<Run>,
    /// Sequences and places, ascending.
    checkpoints: Vec<Stored>,
    end: End,
    damage: Option<Damage>,
    gone: Option<String>,
    notes: Vec<String>,
    frames_read: u64,
}

/// Where the index of a journal is kept where nothing else is said: beside the journal.
pub fn default_dir(journal: &Path) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    let trimmed = journal.components().as_path();
    if trimmed.file_name().is_some() {
        name = trimmed.as_os_str().to_owned();
    }
    name.push(".index");
    name.into()
}

/// How far a pass is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the journal that it has passed.
    pub done: u64,
    /// Bytes that it will have passed at the end.
    pub total: u64,
}

/// What there is of an index, and where it goes on.
struct Found {
    runs: Vec<Run>,
    checkpoints: Vec<Stored>,
    begin: Begin,
    /// Whether there was one.
    resumed: bool,
    /// The venue's snapshot that it begins at, to be kept with it.
    first_state: Option<State>,
}

/// A checkpoint's sequence and where it is.
type Stored = (u64, Arc<dyn Storage>);

impl Index {
    /// Opens the index of the journal in `dir`, kept in `index_dir` or in the [default](default_dir)
    /// place, and brings it up to date. `progress` hears now and then how far that is.
    ///
    /// # Errors
    /// [`Fault`]: the journal can't be opened, or not played back from anywhere. A journal that is
    /// damaged further on has an index up to there: see [`Index::damage`].
    pub fn open(
        dir: &Path,
        index_dir: Option<&Path>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, Fault> {
        let journal: Arc<dyn Storage> = Arc::new(FileStorage::new(dir));
        let reader = Reader::open(dir)?;
        let index_dir = index_dir.map_or_else(|| default_dir(dir), Path::to_owned);
        let on_disk: Arc<dyn Storage> = Arc::new(FileStorage::new(&index_dir));
        if !segment_files(&*on_disk).unwrap_or_default().is_empty() {
            let dir = index_dir.display();
            let what = format!("{dir} holds a journal; an index needs a directory of its own");
            return Err(Fault::Question(what));
        }
        if holds_snapshots_of_others(&*on_disk) {
            let dir = index_dir.display();
            let what = format!(
                "{dir} holds snapshots that are of no index; an index needs a directory of its own"
            );
            return Err(Fault::Question(what));
        }
        let mut notes = Vec::new();
        let lock = lock(&*on_disk, &mut notes);
        let storage = if lock.is_some() { on_disk.clone() } else { memory() };
        let found = find(&journal, &on_disk, reader.first_sequence(), &mut notes);
        let Found { runs, mut checkpoints, begin, resumed, first_state } = match found {
            Some(found) => found,
            None => from_scratch(dir, &reader, [&journal, &on_disk])?,
        };
        let from = begin.draft.end();
        let bytes = Bytes::of(&reader, &*journal)?;
        let mut target = Target { storage, segment_bytes: bytes.segment, failure: None };
        checkpoints.extend(first_state.map(|state| target.write_state(&state)));
        let readers = [open_at(dir, from.position, false)?, open_at(dir, from.position, true)?];
        let passed = pass(begin, readers, &mut target, &mut |done| {
            progress(Progress { done: done.saturating_sub(bytes.first), total: bytes.total });
        });
        let mut index = Self {
            dir: dir.to_owned(),
            kept_in: index_dir,
            journal,
            segment_bytes: bytes.segment,
            runs,
            checkpoints,
            end: from,
            damage: None,
            gone: describe_gone(dir, reader.first_sequence()),
            notes,
            frames_read: 0,
        };
        index.take(passed.map_err(PlayError::from)?, &mut target, resumed);
        if lock.is_some() {
            index.tidy(&on_disk);
        }
        Ok(index)
    }

    /// Takes what a pass has found, and writes what goes on.
    fn take(&mut self, passed: Passed, target: &mut Target, resumed: bool) {
        let Passed { runs, mut draft, checkpoints, last, damage } = passed;
        self.runs.extend(runs);
        self.checkpoints.extend(checkpoints);
        self.frames_read = draft.end().sequence - self.end.sequence;
        self.end = draft.end();
        let is_small = resumed && self.frames_read < FRAMES_MIN;
        if is_small {
            target.storage = memory();
        }
        if !draft.is_empty() {
            self.runs.push(target.write(|storage| draft.write(storage)));
        }
        if let Some(state) = last.filter(|_| !is_small) {
            let newest = self.checkpoints.last().map_or(0, |(newest, _)| *newest);
            if newest < state.checkpoint.sequence {
                self.checkpoints.push(target.write_state(&state));
            }
        }
        self.damage = damage.map(|error| Damage::behind(self.end.sequence, error));
        self.notes.extend(target.failure.take());
    }

    /// Removes checkpoints that are not kept, and files that are not of this index.
    fn tidy(&mut self, on_disk: &Arc<dyn Storage>) {
        let size = |(sequence, storage): &Stored| {
            let bytes = snapshot::path(storage.dir(), *sequence).metadata();
            (*sequence, bytes.map_or(0, |bytes| bytes.len()))
        };
        let sizes: Vec<_> = self.checkpoints.iter().map(size).collect();
        let gone = checkpoint::superfluous(&sizes, checkpoint::bytes_max(self.end.position.get()));
        self.checkpoints.retain(|(sequence, _)| gone.binary_search(sequence).is_err());
        let is_ours = |sequence: u64| self.checkpoints.iter().any(|(ours, _)| *ours == sequence);
        let is_run = |first: u64| self.runs.iter().any(|run| run.first_sequence == first);
        let removed = remove_others(&**on_disk, is_ours, is_run);
        if let Err(error) = removed {
            self.notes.push(format!("{} can't be tidied: {error}", on_disk.dir().display()));
        }
    }

    /// The journal's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the index is kept, if it can be.
    pub fn kept_in(&self) -> &Path {
        &self.kept_in
    }

    /// Bytes of the journal's segments.
    pub fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// The first frame that is indexed; one behind the last when there is none.
    pub fn first_sequence(&self) -> u64 {
        self.runs.first().map_or(self.end.sequence + 1, |run| run.first_sequence)
    }

    /// The last frame that is indexed.
    pub fn last_sequence(&self) -> u64 {
        self.end.sequence
    }

    /// Time of the first frame that is indexed, 0 when there is none.
    pub fn first_time_ns(&self) -> u64 {
        self.blocks().next().map_or(0, |block| block.time_ns)
    }

    /// Time of the last frame that is indexed.
    pub fn last_time_ns(&self) -> u64 {
        self.end.time_ns
    }

    /// Where the last frame that is indexed ends.
    pub fn end(&self) -> Position {
        self.end.position
    }

    /// Why the index ends before the journal does, if it does.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// What to say of the journal's first frames and how to get them back, where they are gone. The index
    /// begins at a snapshot then.
    pub fn gone(&self) -> Option<&str> {
        self.gone.as_deref()
    }

    /// What whoever uses the index should be told about it, a line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Frames that were played back to open it.
    pub fn frames_read(&self) -> u64 {
        self.frames_read
    }

    /// Sequences of its checkpoints, ascending.
    pub fn checkpoints(&self) -> impl ExactSizeIterator<Item = u64> {
        self.checkpoints.iter().map(|(sequence, _)| *sequence)
    }

    /// All blocks, in the sequence of the journal.
    pub fn blocks(&self) -> impl DoubleEndedIterator<Item = Block> {
        self.runs.iter().flat_map(|run| (0..run.blocks()).map(|number| run.block(number)))
    }

    /// The block that holds a frame.
    pub fn block_of(&self, sequence: u64) -> Option<Block> {
        let after = self.runs.partition_point(|run| run.first_sequence <= sequence);
        let run = &self.runs[after.checked_sub(1)?];
        let number = (sequence - run.first_sequence) / BLOCK_FRAMES;
        (sequence <= run.end.sequence).then(|| run.block(number as usize))
    }

    /// The block that holds the last frame at or before a time.
    pub fn block_at(&self, time_ns: u64) -> Option<Block> {
        let starts = |run: &Run| run.block(0).time_ns <= time_ns;
        let run = &self.runs[self.runs.partition_point(starts).checked_sub(1)?];
        let numbers: Vec<_> = (0..run.blocks()).collect();
        let after = numbers.partition_point(|&number| run.block(number).time_ns <= time_ns);
        Some(run.block(after - 1))
    }

    /// The blocks that may hold all of some keys, in the sequence of the journal.
    pub fn blocks_with<'a>(
        &'a self,
        keys: &'a [Key],
    ) -> impl DoubleEndedIterator<Item = Block> + 'a {
        self.runs.iter().flat_map(move |run| {
            let holds =
                move |number: usize| keys.iter().all(|key| run.may_hold(number, key.hash()));
            (0..run.blocks()).filter(move |&number| holds(number)).map(|number| run.block(number))
        })
    }

    /// Shows each frame of a block, until `each` says false.
    ///
    /// # Errors
    /// The journal can't be read there any more.
    pub fn read_block(
        &self,
        block: &Block,
        mut each: impl FnMut(&Frame<'_>) -> bool,
    ) -> Result<(), Fault> {
        let mut reader = open_at(&self.dir, block.position, true)?;
        // Not one frame further: that may be where the damage is.
        for _ in block.first_sequence..=block.last_sequence {
            let Some(frame) = reader.next().map_err(PlayError::from)? else { break };
            if !each(&frame) {
                break;
            }
        }
        Ok(())
    }

    /// Sequence of the input that is, or has brought about, a frame.
    ///
    /// # Errors
    /// [`Fault::NotFound`]: no such frame is indexed.
    pub fn input_of(&self, sequence: u64) -> Result<u64, Fault> {
        let mut block = self.block_of(sequence);
        while let Some(at) = block {
            let mut input = None;
            self.read_block(&at, |frame| {
                if !Event::is_kind(frame.kind) && frame.sequence <= sequence {
                    input = Some(frame.sequence);
                }
                frame.sequence < sequence
            })?;
            if let Some(input) = input {
                return Ok(input);
            }
            block = self.block_of(at.first_sequence - 1);
        }
        Err(Fault::NotFound(format!(
            "there is no sequence {sequence}: the journal holds {} to {}",
            self.first_sequence(),
            self.last_sequence()
        )))
    }

    /// A reader in front of the frame that begins at a position.
    ///
    /// # Errors
    /// The journal can't be opened any more.
    pub fn reader(&self, position: Position) -> Result<Reader, Fault> {
        open_at(&self.dir, position, true)
    }

    /// The state of the newest good checkpoint, of the index or of the venue, at or before a frame;
    /// none where only the first frame is.
    ///
    /// # Errors
    /// [`Fault::Gone`]: there is none, and the journal's first frames are gone.
    pub fn restore(&self, at_most: u64) -> Result<Option<Restored>, Fault> {
        let venues = snapshot::list(&*self.journal).unwrap_or_default();
        let venues = venues.into_iter().map(|sequence| (sequence, self.journal.clone()));
        let mut all: Vec<Stored> = self.checkpoints.iter().cloned().chain(venues).collect();
        all.retain(|(sequence, _)| *sequence <= at_most);
        all.sort_by_key(|(sequence, _)| std::cmp::Reverse(*sequence));
        for (sequence, storage) in all {
            match restore_from(&*storage, sequence, &*self.journal) {
                Ok(restored) => return Ok(Some(restored)),
                Err(reason) => log::info!("{reason}; an earlier checkpoint is used"),
            }
        }
        match self.first_sequence() {
            1 => Ok(None),
            first => Err(Fault::Gone(format!(
                "no good checkpoint is left at or before sequence {at_most}, and the journal can be \
                 played back from sequence {first} on only"
            ))),
        }
    }
}

/// What a journal takes.
struct Bytes {
    /// Of a segment.
    segment: u64,
    /// Before the first segment that there is.
    first: u64,
    /// From there to the end, as far as headers tell.
    total: u64,
}

impl Bytes {
    fn of(reader: &Reader, journal: &dyn Storage) -> Result<Self, Fault> {
        let files = segment_files(journal)?;
        let oldest = reader.oldest()?;
        let segment = match files.first() {
            Some((index, _)) if *index > 0 => oldest.get() / index,
            Some((_, name)) => journal.file_len(name).unwrap_or(0),
            None => 0,
        };
        let written = |segments: Vec<SegmentInfo>| {
            segments.last().map(|last| last.index * segment + last.durable_bytes)
        };
        let end = reader.segments().ok().and_then(written).unwrap_or(0);
        Ok(Self { segment, first: oldest.get(), total: end.saturating_sub(oldest.get()) })
    }
}

fn open_at(dir: &Path, position: Position, verify: bool) -> Result<Reader, Fault> {
    let mut reader = Reader::open(dir)?;
    reader.set_verify(verify);
    reader.seek(position);
    Ok(reader)
}

/// Whether a directory has snapshots that no index wrote. One that was not finished may have no runs yet:
/// its checkpoints are beside a lock, and nothing else is.
fn holds_snapshots_of_others(dir: &dyn Storage) -> bool {
    let names = dir.names().unwrap_or_default();
    let is_snapshot = |name: &String| name.ends_with(".snap");
    let is_index = Run::list(dir).is_ok_and(|runs| !runs.is_empty());
    let is_of_index = |name: &String| is_snapshot(name) || name.ends_with(".tmp") || name == "LOCK";
    let is_unfinished = names.iter().all(is_of_index) && names.iter().any(|name| name == "LOCK");
    names.iter().any(is_snapshot) && !is_index && !is_unfinished
}

/// The right to write in the index's directory, which is created; without it a note why not.
fn lock(on_disk: &dyn Storage, notes: &mut Vec<String>) -> Option<Lock> {
    let dir = on_disk.dir().display();
    let why = match on_disk.lock() {
        Ok(lock) => return Some(lock),
        Err(LockError::Held { holder }) => format!("is in use by process {holder}"),
        Err(LockError::NotWritable(error) | LockError::Failed(error)) => {
            format!("can't be written ({error})")
        }
    };
    notes.push(format!("the index {dir} {why}; this answer works from memory"));
    None
}

fn restore_from(
    storage: &dyn Storage,
    sequence: u64,
    journal: &dyn Storage,
) -> Result<Restored, String> {
    let restored = state::read(storage, sequence).map_err(|refused| refused.to_string())?;
    check_place(journal, &restored.checkpoint).map_err(|mismatch| mismatch.to_string())?;
    Ok(restored)
}

/// What can be used of the index in a directory; a note where there is one that can't.
fn find(
    journal: &Arc<dyn Storage>,
    on_disk: &Arc<dyn Storage>,
    first_sequence: u64,
    notes: &mut Vec<String>,
) -> Option<Found> {
    let firsts = Run::list(&**on_disk).ok().filter(|firsts| !firsts.is_empty())?;
    let checkpoints = snapshot::list(&**on_disk).unwrap_or_default();
    if checkpoints.is_empty() {
        // That of a journal that is damaged before the first one.
        return None;
    }
    match try_find((journal, on_disk), first_sequence, &firsts, &checkpoints) {
        Ok(found) => Some(found),
        Err(reason) => {
            notes.push(format!("the index {} is built anew: {reason}", on_disk.dir().display()));
            None
        }
    }
}

fn try_find(
    (journal, on_disk): (&Arc<dyn Storage>, &Arc<dyn Storage>),
    first_sequence: u64,
    firsts: &[u64],
    sequences: &[u64],
) -> Result<Found, String> {
    let mut runs: Vec<Run> = Vec::new();
    for &first in firsts {
        let run = Run::read(on_disk, first)?;
        if first < first_sequence && runs.is_empty() {
            return Err(format!(
                "it begins at sequence {first}, and the journal at {first_sequence} by now"
            ));
        }
        let fits = match runs.last() {
            None => first == 1 || first_sequence > 1,
            Some(before) => before.end.sequence + 1 == first && before.is_full(),
        };
        if !fits {
            return Err(format!("the frames before sequence {first} are missing in it"));
        }
        runs.push(run);
    }
    let last = runs.last().ok_or("it is empty")?.end.sequence;
    let mut reason = "its checkpoints are behind its end".to_owned();
    for (at, &sequence) in sequences.iter().enumerate().rev().filter(|(_, of)| **of <= last) {
        match restore_from(&**on_disk, sequence, &**journal) {
            Ok(restored) => {
                let checkpoints = sequences[..=at].iter().map(|&at| (at, on_disk.clone()));
                return go_on(runs, checkpoints.collect(), restored);
            }
            Err(refused) => reason = refused,
        }
    }
    Err(reason)
}

/// The index as it was when the checkpoint was taken, the last one of these.
fn go_on(
    mut runs: Vec<Run>,
    checkpoints: Vec<Stored>,
    restored: Restored,
) -> Result<Found, String> {
    let end = end_of(&restored);
    runs.retain(|run| run.first_sequence <= end.sequence);
    let is_whole = |run: &Run| run.end.sequence == end.sequence && run.is_full();
    let draft = match runs.pop() {
        Some(run) if is_whole(&run) => {
            runs.push(run);
            Draft::behind(end)
        }
        Some(run) => Draft::resume(&run, end).ok_or("its last filters are damaged")?,
        None => Draft::behind(end),
    };
    let Restored { checkpoint, replayed, sessions } = restored;
    let begin = Begin { replayed, sessions, draft, checkpoint: checkpoint.sequence };
    Ok(Found { runs, checkpoints, begin, resumed: true, first_state: None })
}

fn end_of(restored: &Restored) -> End {
    End {
        sequence: restored.checkpoint.sequence,
        position: restored.checkpoint.position,
        running_hash: restored.checkpoint.running_hash,
        time_ns: restored.replayed.last_time.0,
    }
}

/// Where an index begins: at the first frame, or at the oldest snapshot where that is gone, of the
/// journal or of the index of before.
fn from_scratch(
    dir: &Path,
    reader: &Reader,
    kept_in: [&Arc<dyn Storage>; 2],
) -> Result<Found, Fault> {
    let start = End { sequence: 0, position: Position::START, running_hash: 0, time_ns: 0 };
    let Some(gone) = describe_gone(dir, reader.first_sequence()) else {
        let (replayed, sessions) = (Replayed::default(), SessionTable::default());
        let begin = Begin { replayed, sessions, draft: Draft::behind(start), checkpoint: 0 };
        return Ok(Found::of(begin, None));
    };
    let oldest = oldest_good(kept_in)
        .ok_or_else(|| Fault::Gone(format!("{gone}; there is no good snapshot to begin at")))?;
    let first_state = State::of(&oldest);
    let draft = Draft::behind(end_of(&oldest));
    let Restored { checkpoint, replayed, sessions } = oldest;
    let begin = Begin { replayed, sessions, draft, checkpoint: checkpoint.sequence };
    Ok(Found::of(begin, first_state))
}

/// The oldest snapshot of a journal that can be gone on from, of those in these directories.
fn oldest_good([journal, index]: [&Arc<dyn Storage>; 2]) -> Option<Restored> {
    let stored = |storage: &Arc<dyn Storage>| -> Vec<Stored> {
        let sequences = snapshot::list(&**storage).unwrap_or_default();
        sequences.into_iter().map(|sequence| (sequence, storage.clone())).collect()
    };
    let mut all = [stored(journal), stored(index)].concat();
    all.sort_by_key(|(sequence, _)| *sequence);
    all.into_iter().find_map(|(sequence, storage)| {
        restore_from(&*storage, sequence, &**journal)
            .inspect_err(|reason| log::info!("{reason}; a newer snapshot is tried"))
            .ok()
    })
}

impl Found {
    /// Nothing yet.
    fn of(begin: Begin, first_state: Option<State>) -> Self {
        Self { runs: Vec::new(), checkpoints: Vec::new(), begin, resumed: false, first_state }
    }
}

/// Removes the files of an index that are not of this one.
fn remove_others(
    storage: &dyn Storage,
    is_ours: impl Fn(u64) -> bool,
    is_run: impl Fn(u64) -> bool,
) -> io::Result<()> {
    snapshot::remove_unfinished(storage).map_err(io::Error::other)?;
    for sequence in snapshot::list(storage).map_err(io::Error::other)? {
        if !is_ours(sequence) {
            snapshot::remove(storage, sequence).map_err(io::Error::other)?;
        }
    }
    for first in Run::list(storage)?.into_iter().filter(|&first| !is_run(first)) {
        Run::remove(storage, first)?;
    }
    Ok(())
}
