//! The journal played back: state rebuilt, every event computed again and compared byte for byte.
//!
//! A start, `ironbook replay` and tests all come through here, so a venue that starts has proved
//! that its program still decides as the one that wrote the journal.

use ironbook_engine::{
    Command, Engine, Event, EventRecord, LastLiquidity, Sequence, Sequencer, Stamp, Timestamp,
    command::RULES_VERSION, event::Execution, record::DecodeError, sink::EventSink,
};
use ironbook_journal::{Frame, Position};
use thiserror::Error;

use crate::{session_record::SessionRecord, sessions::SessionTable};

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

/// Plays a journal back, frame by frame.
#[derive(Debug, Default)]
pub struct Replayer {
    engine: Option<Engine>,
    sequencer: Sequencer,
    sessions: SessionTable,
    expected: Expected,
    counts: Counts,
    end: Option<Position>,
}

/// What a journal came to.
#[derive(Debug)]
pub struct Replayed {
    /// The engine, or none when the journal is empty.
    pub engine: Option<Engine>,
    /// Goes on behind the last frame.
    pub sequencer: Sequencer,
    /// Sequence numbers of all sessions.
    pub sessions: SessionTable,
    /// What was played back.
    pub counts: Counts,
    /// Where the last frame ends, or none when the journal is empty.
    pub end: Option<Position>,
}

impl Replayer {
    /// Takes the next frame.
    ///
    /// # Errors
    /// [`ReplayError`]; the replay can't go on then.
    #[inline]
    pub fn step(&mut self, frame: &Frame<'_>) -> Result<(), ReplayError> {
        self.counts.frames += 1;
        if Event::is_kind(frame.kind) {
            self.expected.compare(frame)?;
            self.counts.events += 1;
        } else {
            self.expected.finish()?;
            self.step_input(frame)?;
        }
        let sequence = Sequence(frame.sequence);
        self.sessions.fold(frame).map_err(|source| ReplayError::Decode { sequence, source })?;
        self.end = Some(frame.end);
        Ok(())
    }

    fn step_input(&mut self, frame: &Frame<'_>) -> Result<(), ReplayError> {
        let sequence = Sequence(frame.sequence);
        let time = Timestamp(frame.time_ns);
        if SessionRecord::is_kind(frame.kind) {
            self.sequencer = Sequencer::new(Sequence(frame.sequence + 1), time);
            self.counts.session_records += 1;
            return Ok(());
        }
        let command = Command::decode(frame.kind, frame.payload)
            .map_err(|source| ReplayError::Decode { sequence, source })?;
        if self.engine.is_none() {
            self.engine = Some(first_engine(sequence, &command)?);
        }
        if let Some(engine) = &mut self.engine {
            self.expected.clear();
            let mut sink = ExpectedSink { expected: &mut self.expected, counts: &mut self.counts };
            let next = engine.apply(Stamp { sequence, time }, &command, &mut sink);
            self.sequencer = Sequencer::new(next, time);
        }
        self.counts.commands += 1;
        Ok(())
    }

    /// The engine as it stands after the last frame.
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// What was played back so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Ends the replay.
    ///
    /// # Errors
    /// [`ReplayError::Diverged`] when events of the last command are missing.
    pub fn finish(self) -> Result<Replayed, ReplayError> {
        self.expected.finish()?;
        Ok(self.stop())
    }

    /// Ends the replay in the middle of a command's events.
    pub fn stop(self) -> Replayed {
        Replayed {
            engine: self.engine,
            sequencer: self.sequencer,
            sessions: self.sessions,
            counts: self.counts,
            end: self.end,
        }
    }
}

fn first_engine(sequence: Sequence, command: &Command) -> Result<Engine, ReplayError> {
    let Command::Limits(limits) = command else {
        return Err(ReplayError::NoLimits { sequence, kind: command.kind() });
    };
    if limits.rules_version != RULES_VERSION {
        return Err(ReplayError::Rules { found: limits.rules_version });
    }
    Ok(Engine::new(*limits))
}

/// Events computed for the current command that the journal has yet to show.
#[derive(Debug, Default)]
struct Expected {
    bytes: Vec<u8>,
    events: Vec<ExpectedEvent>,
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct ExpectedEvent {
    kind: u16,
    stamp: Stamp,
    start: usize,
    end: usize,
}

impl Expected {
    fn clear(&mut self) {
        self.bytes.clear();
        self.events.clear();
        self.next = 0;
    }

    #[inline]
    fn compare(&mut self, frame: &Frame<'_>) -> Result<(), ReplayError> {
        if let Some(event) = self.events.get(self.next)
            && event.kind == frame.kind
            && event.stamp.sequence.0 == frame.sequence
            && event.stamp.time.0 == frame.time_ns
            && self.bytes[event.start..event.end] == *frame.payload
        {
            self.next += 1;
            return Ok(());
        }
        Err(ReplayError::Diverged {
            sequence: Sequence(frame.sequence),
            computed: Box::new(self.decode_next()),
            journaled: Box::new(Event::decode(frame.kind, frame.payload).ok()),
        })
    }

    fn finish(&self) -> Result<(), ReplayError> {
        match self.events.get(self.next) {
            None => Ok(()),
            Some(event) => Err(ReplayError::Diverged {
                sequence: event.stamp.sequence,
                computed: Box::new(self.decode_next()),
                journaled: Box::new(None),
            }),
        }
    }

    fn decode_next(&self) -> Option<Event> {
        let event = self.events.get(self.next)?;
        Event::decode(event.kind, &self.bytes[event.start..event.end]).ok()
    }
}

struct ExpectedSink<'a> {
    expected: &'a mut Expected,
    counts: &'a mut Counts,
}

impl EventSink for ExpectedSink<'_> {
    #[inline]
    fn emit<E: EventRecord + Into<Event>>(&mut self, stamp: Stamp, event: &E) {
        let start = self.expected.bytes.len();
        self.expected.bytes.extend_from_slice(event.payload());
        let end = self.expected.bytes.len();
        self.expected.events.push(ExpectedEvent { kind: E::KIND, stamp, start, end });
        match (*event).into() {
            Event::Execution(Execution { last_liquidity: LastLiquidity::Removed, .. }) => {
                self.counts.trades += 1;
            }
            Event::OrderRejected(_) | Event::CancelRejected(_) => self.counts.rejects += 1,
            _ => {}
        }
    }
}
