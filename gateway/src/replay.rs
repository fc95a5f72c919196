//! The journal played back: state rebuilt, every event computed again and compared byte for byte;
//! and the sequence numbers of its sessions, which need no engine.
//!
//! A start, the follower of a running venue, `ironbook replay` and tests all come through here, so a
//! venue that starts has proved that its program still decides as the one that wrote the journal: as
//! far as it plays it back, which from a snapshot is the rest of it.

use std::{io, thread};

use ironbook_engine::{
    Command, CommandRef, Engine, Event, EventRecord, LastLiquidity, Sequence, Sequencer, Stamp,
    Timestamp,
    command::RULES_VERSION,
    event::{CancelRejected, Execution, OrderRejected},
    record::{DecodeError, Record, RecordBuffer},
    sink::EventSink,
};
use ironbook_journal::{Frame, Position, ReadError, Reader, Tail};
use thiserror::Error;

use crate::{agent, session_record::SessionRecord, sessions::SessionTable};

/// What has been played back so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames of all kinds.
    pub frames: u64,
    /// Commands.
    pub commands: u64,
    /// Events.
    pub events: u64,
    /// Trades.
    pub trades: u64,
    /// Rejected orders, cancels and replaces.
    pub rejects: u64,
    /// Records of FIX sessions.
    pub session_records: u64,
}

/// Why a journal does not play back.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// The journal does not begin with the engine's limits.
    #[error(
        "the journal does not begin with the engine's limits (sequence {sequence} is of kind {kind:#06x}); it was not written by a venue"
    )]
    NoLimits {
        /// Sequence of the first frame.
        sequence: Sequence,
        /// Its kind.
        kind: u16,
    },
    /// The rules of matching are not those of this program.
    #[error(
        "the journal follows version {found} of the matching rules, this program version {RULES_VERSION}; use the program that wrote it"
    )]
    Rules {
        /// Version in the journal.
        found: u64,
    },
    /// The engine's limits are none.
    #[error(
        "sequence {sequence}: limits that no engine has; the journal was written by another program"
    )]
    Limits {
        /// Sequence of the frame.
        sequence: Sequence,
    },
    /// A frame that is intact but makes no sense.
    #[error("sequence {sequence}: {source}; the journal was written by another program")]
    Decode {
        /// Sequence of the frame.
        sequence: Sequence,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The engine decides otherwise than the journal says.
    #[error("sequence {sequence} differs: {}", describe(.computed, .journaled))]
    Diverged {
        /// Sequence of the first event that differs.
        sequence: Sequence,
        /// The event as it was computed, if there is one.
        computed: Box<Option<Event>>,
        /// The event as it was journaled, if there is one.
        journaled: Box<Option<Event>>,
    },
}

/// Where the frames of a journal come from, one after the other.
pub trait Frames {
    /// The next frame; none when no more is committed now.
    ///
    /// # Errors
    /// [`PlayError`]: what is there can't be read, or makes no sense.
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, PlayError>;
}

impl Frames for Reader {
    #[inline(always)]
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, PlayError> {
        Ok(self.next()?)
    }
}

impl Frames for Tail {
    #[inline(always)]
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, PlayError> {
        Ok(self.next()?)
    }
}

impl<F: Frames> Frames for &mut F {
    #[inline(always)]
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, PlayError> {
        F::next_frame(self)
    }
}

/// Reads on the sequence numbers of all sessions from a journal, from where the reader stands and
/// `sessions` tell of, up to the frame `until` as [`play`] does.
///
/// # Errors
/// [`PlayError`]: damage, or a frame that this program did not write.
pub fn read_sessions(
    reader: &mut Reader,
    mut sessions: SessionTable,
    until: Option<Sequence>,
) -> Result<SessionTable, PlayError> {
    let until = until.map_or(u64::MAX, |until| until.0);
    while let Some(frame) = reader.next()?
        && frame.sequence <= until
    {
        fold(&mut sessions, &frame)?;
        if frame.sequence == until {
            break;
        }
    }
    Ok(sessions)
}

/// Takes a frame into account in a table of sessions.
///
/// # Errors
/// A frame that this program did not write.
#[inline]
pub fn fold(sessions: &mut SessionTable, frame: &Frame<'_>) -> Result<(), ReplayError> {
    sessions.fold(frame).map(drop).map_err(|source| undecoded(frame, source))
}

/// Why a journal could not be played back.
#[derive(Debug, Error)]
pub enum PlayError {
    /// Its bytes can't be read, or are damaged.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its bytes are intact and tell something else than this program computes.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The second reader has no thread, or panicked.
    #[error("the second reader of the journal: {0}")]
    Thread(#[from] io::Error),
}

fn describe(computed: &Option<Event>, journaled: &Option<Event>) -> String {
    match (computed, journaled) {
        (Some(computed), Some(journaled)) => {
            format!("computed {computed:?}\n                    journaled {journaled:?}")
        }
        (Some(computed), None) => format!("computed {computed:?}, journaled nothing"),
        (None, Some(journaled)) => format!("computed nothing, journaled {journaled:?}"),
        (None, None) => "neither side can be read".to_owned(),
    }
}

/// What a journal came to.
#[derive(Debug, Default)]
pub struct Replayed {
    /// The engine, or none when the journal is empty.
    pub engine: Option<Engine>,
    /// Goes on behind the last frame.
    pub sequencer: Sequencer,
    /// What was played back.
    pub counts: Counts,
    /// Sequence of the last frame, 0 when there is none.
    pub last_sequence: Sequence,
    /// Time of the last frame, 0 when there is none.
    pub last_time: Timestamp,
    /// Where the last frame ends, or none when the journal is empty.
    pub end: Option<Position>,
}

/// Plays a journal back from where the reader stands, its first frame, up to the frame `until` if
/// that is given: not one frame further is looked at, it may be damage that somebody stops before.
///
/// When `until` lies among the events of a command, the state is the one after that command.
///
/// # Errors
/// [`PlayError`]: damage, or the first thing that differs.
pub fn play(reader: &mut Reader, until: Option<Sequence>) -> Result<Replayed, PlayError> {
    play_from(Replayed::default(), reader, until)
}

/// Plays a journal back as [`play`] does, from a state on: the reader stands where that ends.
///
/// # Errors
/// As for [`play`].
pub fn play_from(
    from: Replayed,
    reader: &mut Reader,
    until: Option<Sequence>,
) -> Result<Replayed, PlayError> {
    let mut player = Player::new(from, reader, until);
    while player.step()? {}
    Ok(player.into_replayed())
}

/// Plays back what the journal holds behind a state, up to the frame `until` if that is given, and
/// reads the sequence numbers of its sessions meanwhile: both readers stand where the state ends.
/// What is wrong with what the second one reads speaks first; where it checks the bytes, what the
/// other computed from damaged ones means nothing. The calling thread plays back, and from then on only runs on
/// `processor`, if one is given.
///
/// # Errors
/// As for [`play`], or that the system gives no thread.
pub fn replay_on_two_threads(
    [mut reader, mut second]: [Reader; 2],
    from: Replayed,
    sessions: SessionTable,
    until: Option<Sequence>,
    processor: Option<usize>,
) -> Result<(Replayed, SessionTable), PlayError> {
    // The second one has less to do.
    reader.follow(&mut second);
    thread::scope(|scope| {
        let sessions = thread::Builder::new()
            .name("sessions".to_owned())
            .spawn_scoped(scope, move || read_sessions(&mut second, sessions, until))?;
        agent::pin("playback", processor);
        let replayed = play_from(from, &mut reader, until);
        // Where that ended early, the other one need not wait for it to follow.
        drop(reader);
        let sessions = sessions.join().map_err(|_| io::Error::other("it panicked"))??;
        Ok((replayed?, sessions))
    })
}

/// The same one after the other, for a simulation: it has no thread but its own.
///
/// # Errors
/// As for [`play`].
pub fn replay_on_one(
    [mut reader, mut second]: [Reader; 2],
    from: Replayed,
    sessions: SessionTable,
) -> Result<(Replayed, SessionTable), PlayError> {
    Ok((play_from(from, &mut reader, None)?, read_sessions(&mut second, sessions, None)?))
}

/// A journal being played back, input by input: as fast as [`play`] does, or behind a core.
pub struct Player<F> {
    engine: Option<Engine>,
    /// Where the command at hand is read.
    buffer: RecordBuffer,
    comparison: Comparison<F>,
}

impl<F: Frames> Player<F> {
    /// Goes on from a state with the frames that follow it, up to `until` if that is given.
    pub fn new(mut from: Replayed, frames: F, until: Option<Sequence>) -> Self {
        let engine = from.engine.take();
        let until = until.unwrap_or(Sequence(u64::MAX));
        let comparison = Comparison { frames, until, replayed: from, failure: None };
        Self { engine, buffer: RecordBuffer::default(), comparison }
    }

    /// Plays back the next command and its events, or the next session record; false when there is
    /// none now.
    ///
    /// # Errors
    /// [`PlayError`]: damage, or the first thing that differs. There is no way on from there.
    #[inline]
    pub fn step(&mut self) -> Result<bool, PlayError> {
        let Some(input) = self.comparison.next_input(&mut self.buffer)? else { return Ok(false) };
        if let Input::Command(stamp, command) = input {
            let engine = match &mut self.engine {
                Some(engine) => engine,
                none => none.insert(first_engine(stamp.sequence, command)?),
            };
            let next = engine.apply(stamp, command, &mut self.comparison);
            if let Some(failure) = self.comparison.failure.take() {
                return Err(*failure);
            }
            self.comparison.replayed.sequencer = Sequencer::new(next, stamp.time);
        }
        Ok(true)
    }

    /// The engine, or none before the first command.
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// Gives the engine's state later than the rest of where to go on from.
    pub fn set_engine(&mut self, engine: Engine) {
        self.engine = Some(engine);
    }

    /// What has been played back so far; the engine is not in it.
    pub fn replayed(&self) -> &Replayed {
        &self.comparison.replayed
    }

    /// Where the frames come from.
    pub fn frames(&self) -> &F {
        &self.comparison.frames
    }

    /// What it came to.
    pub fn into_replayed(self) -> Replayed {
        Replayed { engine: self.engine, ..self.comparison.replayed }
    }
}

fn first_engine(sequence: Sequence, command: CommandRef<'_>) -> Result<Engine, ReplayError> {
    let CommandRef::Limits(limits) = command else {
        let kind = Command::from(command).kind();
        return Err(ReplayError::NoLimits { sequence, kind });
    };
    if limits.rules_version != RULES_VERSION {
        return Err(ReplayError::Rules { found: limits.rules_version });
    }
    if !limits.is_valid() {
        return Err(ReplayError::Limits { sequence });
    }
    Ok(Engine::new(*limits))
}

/// Frames that the engine's events are compared with as it emits them.
struct Comparison<F> {
    frames: F,
    until: Sequence,
    replayed: Replayed,
    /// The first thing that went wrong among the events of a command.
    failure: Option<Box<PlayError>>,
}

/// A frame that is no event.
enum Input<'b> {
    Command(Stamp, CommandRef<'b>),
    SessionRecord,
}

impl<F: Frames> Comparison<F> {
    /// The next frame, which must be no event: those are taken as the engine emits them.
    #[inline(always)]
    fn next_input<'b>(
        &mut self,
        buffer: &'b mut RecordBuffer,
    ) -> Result<Option<Input<'b>>, PlayError> {
        if self.replayed.last_sequence >= self.until {
            return Ok(None);
        }
        let Some(frame) = self.frames.next_frame()? else { return Ok(None) };
        let stamp = Stamp { sequence: Sequence(frame.sequence), time: Timestamp(frame.time_ns) };
        if stamp.sequence > self.until {
            return Ok(None);
        }
        let input = if SessionRecord::is_kind(frame.kind) {
            self.replayed.counts.session_records += 1;
            self.replayed.sequencer = Sequencer::new(Sequence(frame.sequence + 1), stamp.time);
            Input::SessionRecord
        } else if Event::is_kind(frame.kind) {
            return Err(diverged(None, &frame).into());
        } else {
            self.replayed.counts.commands += 1;
            let command = CommandRef::decode(frame.kind, frame.payload, buffer);
            Input::Command(stamp, command.map_err(|source| undecoded(&frame, source))?)
        };
        self.replayed.count(&frame);
        Ok(Some(input))
    }

    /// Compares an event with the next frame.
    #[inline]
    fn compare<E: EventRecord + Into<Event>>(
        &mut self,
        stamp: Stamp,
        event: &E,
    ) -> Result<(), PlayError> {
        let Some(frame) = self.frames.next_frame()? else {
            return Err(missing(stamp, event).into());
        };
        let same = frame.kind == E::KIND
            && frame.sequence == stamp.sequence.0
            && frame.time_ns == stamp.time.0
            && frame.payload == event.payload();
        if !same {
            return Err(diverged(Some((*event).into()), &frame).into());
        }
        self.replayed.counts.events += 1;
        self.replayed.count(&frame);
        Ok(())
    }
}

impl<F: Frames> EventSink for Comparison<F> {
    #[inline]
    fn emit<E: EventRecord + Into<Event>>(&mut self, stamp: Stamp, event: &E) {
        if self.failure.is_some() || stamp.sequence > self.until {
            return;
        }
        if let Err(failure) = self.compare(stamp, event) {
            self.failure = Some(Box::new(failure));
        }
    }
}

impl Replayed {
    /// All but the engine, for somebody who has one of his own.
    pub fn without_engine(&self) -> Self {
        Self { engine: None, ..*self }
    }

    /// Takes a good frame into account.
    #[inline]
    fn count(&mut self, frame: &Frame<'_>) {
        self.counts.frames += 1;
        self.last_sequence = Sequence(frame.sequence);
        self.last_time = Timestamp(frame.time_ns);
        self.end = Some(frame.end);
        match frame.kind {
            Execution::KIND if took_liquidity(frame.payload) => self.counts.trades += 1,
            OrderRejected::KIND | CancelRejected::KIND => self.counts.rejects += 1,
            _ => {}
        }
    }
}

/// Whether an execution is the aggressor's side of a trade, which counts the trade.
#[inline]
fn took_liquidity(payload: &[u8]) -> bool {
    let code = payload.get(std::mem::offset_of!(Execution, last_liquidity));
    code == Some(&LastLiquidity::Removed.code())
}

#[cold]
fn undecoded(frame: &Frame<'_>, source: DecodeError) -> ReplayError {
    ReplayError::Decode { sequence: Sequence(frame.sequence), source }
}

#[cold]
fn diverged(computed: Option<Event>, frame: &Frame<'_>) -> ReplayError {
    ReplayError::Diverged {
        sequence: Sequence(frame.sequence),
        computed: Box::new(computed),
        journaled: Box::new(Event::decode(frame.kind, frame.payload).ok()),
    }
}

#[cold]
fn missing<E: EventRecord + Into<Event>>(stamp: Stamp, event: &E) -> ReplayError {
    ReplayError::Diverged {
        sequence: stamp.sequence,
        computed: Box::new(Some((*event).into())),
        journaled: Box::new(None),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use ironbook_engine::{EngineLimits, event::StateHashed};
    use ironbook_journal::Options;

    use super::*;

    #[test]
    fn who_reads_on_does_not_wait_for_who_found_a_difference() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes: 64 * 1024, ..Options::default() };
        let (mut journal, _) = ironbook_journal::open(dir.path(), options).unwrap();
        let limits = EngineLimits::default();
        journal.append(EngineLimits::KIND, 1, 1, limits.payload());
        // An event that no command had, and many segments behind it.
        for sequence in 2..=20_000 {
            journal.append(StateHashed::KIND, sequence, 1, &[]);
            journal.commit();
        }
        journal.close().unwrap();
        let open = || Reader::open(dir.path()).unwrap();
        assert!(open().segments().unwrap().len() > 8);
        let readers = [open(), open()];
        let (to_tell, told) = mpsc::channel();
        thread::spawn(move || {
            let (from, sessions) = (Replayed::default(), SessionTable::default());
            to_tell.send(replay_on_two_threads(readers, from, sessions, None, None).map(drop))
        });
        let ended = told.recv_timeout(Duration::from_secs(60)).expect("it ends");
        let Err(PlayError::Replay(ReplayError::Diverged { sequence, .. })) = ended else {
            panic!("it differs: {ended:?}")
        };
        assert_eq!(sequence, Sequence(2));
    }
}
