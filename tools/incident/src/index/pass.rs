//! The pass over a journal that makes its index: played back, so that the index is of good frames.
//!
//! ```text
//! player    frames ──▶ engine, every event compared ──▶ checkpoints
//!              │ marks: so far            ▲ sessions and running hash there
//!              ▼                          │
//! scanner   frames ──▶ checksums, sessions, filters ──▶ runs
//! ```
//!
//! The scanner reads the same frames on a thread of its own, never past the player, so both end at
//! the same frame of a journal that grows.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use ironbook_engine::record::RecordBuffer;
use ironbook_gateway::{
    replay::{Frames, PlayError, Player, Replayed, fold},
    sessions::SessionTable,
    snapshot::{Restored, encode},
};
use ironbook_journal::{
    Frame, Reader, SimulatedStorage, Storage,
    snapshot::{self, Checkpoint},
};

use super::{
    Stored,
    checkpoint::is_due,
    filter, key,
    run::{Draft, End, Run},
};

/// Inputs between two marks.
const INPUTS_PER_MARK: usize = 16_384;
/// Marks that the scanner may be behind.
const MARKS_AHEAD: usize = 4;

/// Where a pass begins.
pub(super) struct Begin {
    /// The state there.
    pub replayed: Replayed,
    /// Sessions there.
    pub sessions: SessionTable,
    /// The run that ends there.
    pub draft: Draft,
    /// Sequence of the last checkpoint.
    pub checkpoint: u64,
}

/// Where a pass writes: to a directory, or to memory where that fails.
pub(super) struct Target {
    /// Takes runs and checkpoints.
    pub storage: Arc<dyn Storage>,
    /// Bytes of the journal's segments.
    pub segment_bytes: u64,
    /// Why it is memory, if it became that on the way.
    pub failure: Option<String>,
}

/// What a pass came to.
pub(super) struct Passed {
    /// Runs that are full, and the one that may go on.
    pub runs: Vec<Run>,
    pub draft: Draft,
    /// Checkpoints written on the way.
    pub checkpoints: Vec<Stored>,
    /// A checkpoint at the end, if that is the end of a group; not written.
    pub last: Option<State>,
    /// Why it ended before the journal does.
    pub damage: Option<PlayError>,
}

/// A checkpoint with what it holds.
pub(super) struct State {
    pub checkpoint: Checkpoint,
    time_ns: u64,
    payload: Vec<u8>,
}

impl State {
    /// The same as it was restored from; none where there is no engine.
    pub(super) fn of(restored: &Restored) -> Option<Self> {
        let Restored { checkpoint, replayed, sessions } = restored;
        let payload = encode(replayed.engine.as_ref()?, sessions, &replayed.counts);
        Some(Self { checkpoint: *checkpoint, time_ns: replayed.last_time.0, payload })
    }
}

/// Storage in memory, for one process.
pub(super) fn memory() -> Arc<dyn Storage> {
    Arc::new(SimulatedStorage::new(0))
}

impl Target {
    /// Writes something; where the system refuses, to memory from now on.
    pub(super) fn write<T>(
        &mut self,
        mut write: impl FnMut(&Arc<dyn Storage>) -> io::Result<T>,
    ) -> T {
        write(&self.storage).unwrap_or_else(|error| {
            let dir = self.storage.dir().display();
            self.failure = Some(format!("the index {dir} can't be written: {error}"));
            self.storage = memory();
            write(&self.storage).expect("memory takes everything")
        })
    }

    /// Writes a checkpoint.
    pub(super) fn write_state(&mut self, state: &State) -> Stored {
        let State { checkpoint, time_ns, payload } = state;
        self.write(|storage| {
            snapshot::write(&**storage, checkpoint, *time_ns, payload).map_err(io::Error::other)
        });
        (checkpoint.sequence, self.storage.clone())
    }
}

/// Plays back what both readers are in front of, and indexes it. `progress` hears now and then where
/// it is, in bytes.
///
/// # Errors
/// That the system gives no thread. What is wrong with the journal is in the result.
pub(super) fn pass(
    begin: Begin,
    [reader, second]: [Reader; 2],
    target: &mut Target,
    progress: &mut dyn FnMut(u64),
) -> io::Result<Passed> {
    let Begin { replayed, sessions, draft, checkpoint } = begin;
    let (marks, to_scan) = sync_channel(MARKS_AHEAD);
    let (to_tell, told) = sync_channel(1);
    let scanner = Scanner {
        reader: second,
        sessions,
        draft,
        runs: Vec::new(),
        target: Target {
            storage: target.storage.clone(),
            segment_bytes: target.segment_bytes,
            failure: None,
        },
        buffer: RecordBuffer::default(),
    };
    let mut walk = Walk {
        player: Player::new(replayed, Grouped { reader, group_left: 0, last_given: 0 }, None),
        marks,
        told,
        target,
        checkpoint,
        checkpoints: Vec::new(),
    };
    thread::scope(|scope| {
        let scanning = thread::Builder::new()
            .name("scanner".to_owned())
            .spawn_scoped(scope, move || scanner.run(&to_scan, &to_tell))?;
        let played = walk.run(progress);
        let last = walk.state_here();
        let Walk { checkpoints, target, marks, .. } = walk;
        // The scanner ends when no mark can come any more.
        drop(marks);
        let scanned = scanning.join().map_err(|_| io::Error::other("the scanner panicked"))?;
        target.failure = target.failure.take().or(scanned.scanner.target.failure);
        Ok(Passed {
            runs: scanned.scanner.runs,
            draft: scanned.scanner.draft,
            checkpoints,
            last,
            // What is wrong with the bytes speaks first.
            damage: scanned.damage.or(played.err()),
        })
    })
}

/// Up to which frame to scan, and whether to tell of the state there.
struct Mark {
    until: u64,
    tell: bool,
}

/// Frames that keep count of their groups.
struct Grouped {
    reader: Reader,
    /// Frames that the group at hand still has.
    group_left: u32,
    /// Sequence of the last frame.
    last_given: u64,
}

impl Frames for Grouped {
    #[inline]
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, PlayError> {
        let Some(frame) = self.reader.next()? else { return Ok(None) };
        if frame.group_frames > 0 {
            self.group_left = frame.group_frames;
        }
        self.group_left = self.group_left.saturating_sub(1);
        self.last_given = frame.sequence;
        Ok(Some(frame))
    }
}

/// The player's side.
struct Walk<'a> {
    player: Player<Grouped>,
    marks: SyncSender<Mark>,
    told: Receiver<(SessionTable, End)>,
    target: &'a mut Target,
    /// Sequence of the last checkpoint.
    checkpoint: u64,
    checkpoints: Vec<Stored>,
}

impl Walk<'_> {
    fn run(&mut self, progress: &mut dyn FnMut(u64)) -> Result<(), PlayError> {
        loop {
            for _ in 0..INPUTS_PER_MARK {
                if !self.player.step()? {
                    return Ok(());
                }
                let sequence = self.player.replayed().last_sequence.0;
                if is_due(sequence, self.checkpoint) && self.player.frames().group_left == 0 {
                    let Some(state) = self.state_here() else { return Ok(()) };
                    self.checkpoints.push(self.target.write_state(&state));
                    self.checkpoint = sequence;
                }
            }
            let replayed = self.player.replayed();
            progress(replayed.end.map_or(0, |end| end.get()));
            let mark = Mark { until: replayed.last_sequence.0, tell: false };
            // A scanner that has found damage is gone, and says so in the end.
            if self.marks.send(mark).is_err() {
                return Ok(());
            }
        }
    }

    /// The state behind the last frame, if that is the end of a group and the scanner, who knows the
    /// rest of it, gets there.
    fn state_here(&mut self) -> Option<State> {
        let replayed = self.player.replayed();
        let engine = self.player.engine()?;
        let mark = Mark { until: replayed.last_sequence.0, tell: true };
        self.marks.send(mark).ok()?;
        let (sessions, end) = self.told.recv().ok()?;
        // A frame that was given and not taken is one that differs.
        let Grouped { group_left, last_given, .. } = *self.player.frames();
        if group_left > 0 || last_given > end.sequence {
            return None;
        }
        let checkpoint = Checkpoint {
            sequence: end.sequence,
            position: end.position,
            running_hash: end.running_hash,
            segment_bytes: self.target.segment_bytes,
        };
        let payload = encode(engine, &sessions, &replayed.counts);
        Some(State { checkpoint, time_ns: end.time_ns, payload })
    }
}

/// The other side.
struct Scanner {
    reader: Reader,
    sessions: SessionTable,
    draft: Draft,
    runs: Vec<Run>,
    target: Target,
    buffer: RecordBuffer,
}

struct Scanned {
    scanner: Scanner,
    damage: Option<PlayError>,
}

impl Scanner {
    fn run(mut self, marks: &Receiver<Mark>, tell: &SyncSender<(SessionTable, End)>) -> Scanned {
        let damage = self.scan(marks, tell).err();
        Scanned { scanner: self, damage }
    }

    fn scan(
        &mut self,
        marks: &Receiver<Mark>,
        tell: &SyncSender<(SessionTable, End)>,
    ) -> Result<(), PlayError> {
        for mark in marks {
            while self.draft.end().sequence < mark.until && self.take()? {}
            if mark.tell && tell.send((self.sessions.clone(), self.draft.end())).is_err() {
                return Ok(());
            }
        }
        // What follows the player's last frame may be why it was the last.
        self.reader.next()?;
        Ok(())
    }

    /// Takes the next frame; false when there is none.
    fn take(&mut self) -> Result<bool, PlayError> {
        if self.draft.is_full() {
            self.end_run();
        }
        let Some(frame) = self.reader.next()? else { return Ok(false) };
        fold(&mut self.sessions, &frame)?;
        let end = End {
            sequence: frame.sequence,
            position: frame.end,
            running_hash: frame.running_hash(self.draft.end().running_hash),
            time_ns: frame.time_ns,
        };
        let bits = self.draft.push(frame.position, end);
        key::keys(&frame, &mut self.buffer, |key| filter::add(bits, key.hash()))
            .map_err(|source| undecoded(&frame, source))?;
        Ok(true)
    }

    fn end_run(&mut self) {
        let behind = Draft::behind(self.draft.end());
        let mut full = std::mem::replace(&mut self.draft, behind);
        self.runs.push(self.target.write(|storage| full.write(storage)));
    }
}

/// A frame that is intact, and of no kind that this program writes.
fn undecoded(frame: &Frame<'_>, source: ironbook_engine::record::DecodeError) -> PlayError {
    let sequence = ironbook_engine::Sequence(frame.sequence);
    ironbook_gateway::replay::ReplayError::Decode { sequence, source }.into()
}
