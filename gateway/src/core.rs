//! The matching core: takes inputs from the ring, stamps them, applies them, journals everything.
//!
//! It is the only writer of the journal and the only owner of the engine. It does no I/O and waits
//! for nobody; where the journal has no room it leaves the inputs in the ring, and the gateways
//! stop reading their sockets.

use std::sync::Arc;

use ironbook_engine::{
    Command, Engine, Event, EventRecord, InstrumentStatus, Sequencer, Stamp,
    command::{Origin, SetInstrumentStatus},
    event::{StateHashed, StatusChanged},
    sink::EventSink,
};
use ironbook_journal::{Writer, frame_bytes};

use crate::{
    agent::Agent,
    audit::Audit,
    clock::Clock,
    ring::{HandOvers, Input, InputReceiver},
    session_record::SessionRecord,
    stages::{Stage, StageWatch},
};

/// Inputs of a turn, which have one stamp and are published together, at the most: enough to share the cost of
/// publishing, few enough that the first one does not wait long (about 20 µs).
pub const BATCH_MAX: usize = 64;

/// Room in the journal, in bytes, that must be ready before an input is taken: a command with some
/// dozens of events. A longer group waits for the next segment in the middle.
pub const ROOM: usize = 16 * 1024;

/// Bytes of the frames of a changed status and a state hash, at the most.
const FEW_EVENTS: usize = 2 * frame_bytes(32);

const _: () = assert!(size_of::<StatusChanged>() <= 32 && size_of::<StateHashed>() <= 32);

/// The agent that owns engine and journal.
pub struct CoreAgent<C> {
    inputs: InputReceiver,
    /// Taken off the ring and not carried out yet, at most [`BATCH_MAX`]: what is known to come is
    /// looked ahead at.
    waiting: Vec<Input>,
    /// When they were handed over, where that is measured.
    handed_over: HandOvers,
    sequencer: Sequencer,
    engine: Engine,
    journal: Writer,
    clock: C,
    /// Says when trading must not go on.
    audit: Arc<Audit>,
    watch: StageWatch,
}

impl<C: Clock> CoreAgent<C> {
    /// A core that goes on where `sequencer`, `engine` and `journal` stand.
    pub fn new(
        inputs: InputReceiver,
        sequencer: Sequencer,
        engine: Engine,
        journal: Writer,
        clock: C,
    ) -> Self {
        assert_eq!(sequencer.next().0, journal.next_sequence(), "one sequence for all frames");
        let waiting = Vec::with_capacity(BATCH_MAX);
        let handed_over = HandOvers::with_capacity(BATCH_MAX);
        let audit = Arc::new(Audit::default());
        let watch = StageWatch::default();
        Self { inputs, waiting, handed_over, sequencer, engine, journal, clock, audit, watch }
    }

    /// Measures its stages with this; until it is said, nothing is measured.
    pub fn measure_with(&mut self, watch: StageWatch) {
        self.watch = watch;
    }

    /// The engine, for those who step the core themselves.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What the core and its follower share.
    pub fn audit(&self) -> Arc<Audit> {
        self.audit.clone()
    }

    /// Halts every instrument that is open, by a command each in the sequence like any other: orders
    /// are refused from there on, cancels go on.
    #[cold]
    fn halt_all(&mut self) {
        let open = |known: &ironbook_engine::engine::InstrumentView| {
            (known.status == InstrumentStatus::Open).then_some(known.definition.instrument)
        };
        let instruments: Vec<_> =
            self.engine.instruments().filter_map(|known| open(&known)).collect();
        for instrument in instruments {
            if !self.journal.has_room(ROOM) {
                // The next turn goes on.
                return;
            }
            let origin = Origin::venue(self.clock.now());
            let halted = InstrumentStatus::Halted;
            self.apply_now(SetInstrumentStatus::new(origin, instrument, halted).into());
        }
        self.audit.set_halted();
    }

    /// Touches the engine's memory, so that no order pays for a page fault.
    pub fn touch_memory(&mut self) {
        self.engine.touch_memory();
    }

    /// Takes one input and journals what follows from it; visible with the next commit.
    #[inline]
    fn take(&mut self, stamp: Stamp, input: &Input) {
        match input {
            Input::Command(command) => {
                let split = self.watch.split();
                let mut sink = JournalSink { journal: &mut self.journal, split };
                sink.append(stamp, command.kind(), command.payload());
                let next = self.engine.apply(stamp, command, &mut sink);
                self.sequencer.resume_at(next);
                match sink.split {
                    Some(watch) => watch.end_split(),
                    None => self.watch.lap(Stage::Core),
                }
            }
            Input::Session(record) => {
                let mut sink = JournalSink { journal: &mut self.journal, split: None };
                sink.append(stamp, record.kind(), &record.payload());
                self.watch.lap(Stage::Core);
            }
        }
    }

    /// Applies a command now, past the ring: for a start or a tool, not for trading. It waits where the journal has no
    /// room.
    pub fn apply_now(&mut self, command: Command) {
        self.begin_now(command);
        self.journal.commit();
    }

    /// Waits until the journal has room for a record of so many bytes, and for the few events that a command of a
    /// start has.
    ///
    /// # Errors
    /// What holds the journal up, in words.
    pub fn wait_for_room(&mut self, payload_bytes: usize) -> Result<(), String> {
        self.journal.wait_for_room(frame_bytes(payload_bytes) + FEW_EVENTS)
    }

    /// As [`apply_now`](Self::apply_now), and nobody sees it before the next commit: where a process
    /// may die.
    pub fn begin_now(&mut self, command: Command) {
        let stamp = self.sequencer.stamp(self.clock.now());
        self.take(stamp, &Input::Command(command));
    }

    /// Journals a session record now, past the ring.
    pub fn record_now(&mut self, record: SessionRecord) {
        let stamp = self.sequencer.stamp(self.clock.now());
        self.take(stamp, &Input::Session(Box::new(record)));
        self.journal.commit();
    }

    /// Inputs that the journal had no room for, of which nobody is told anything.
    pub fn left(&mut self) -> usize {
        let mut left = 0;
        loop {
            left += self.waiting.drain(..).len();
            self.inputs.take(&mut self.waiting, &mut self.handed_over);
            if self.waiting.is_empty() {
                return left;
            }
        }
    }

    /// Ends the core and gives its journal back, to be closed.
    pub fn into_journal(self) -> (Engine, Writer) {
        (self.engine, self.journal)
    }
}

impl<C: Clock> Agent for CoreAgent<C> {
    #[inline]
    fn do_work(&mut self) -> usize {
        if self.audit.wants_halt() {
            self.halt_all();
        }
        self.inputs.take(&mut self.waiting, &mut self.handed_over);
        if self.waiting.is_empty() {
            return 0;
        }
        let now = self.clock.now();
        let waiting = std::mem::take(&mut self.waiting);
        let mut taken = 0;
        while let Some(input) = waiting.get(taken)
            && self.journal.has_room(ROOM)
        {
            self.watch.begin_input(self.handed_over.of(taken));
            self.engine.look_ahead(|ahead| waiting.get(taken + ahead).and_then(Input::command));
            let stamp = self.sequencer.stamp(now);
            self.take(stamp, input);
            self.watch.end_input(stamp.sequence.0, stamp.time.0);
            taken += 1;
        }
        self.journal.commit();
        self.watch.lap(Stage::Publish);
        self.watch.end_turn();
        self.waiting = waiting;
        self.waiting.drain(..taken);
        self.handed_over.forget(taken);
        taken
    }

    /// Inputs come from gateways, and seldom from an operator, who can wait; those that wait here wait for the disk.
    fn must_look(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn close(&mut self) -> bool {
        let is_done = self.waiting.is_empty() && self.inputs.is_empty();
        let is_in_vain = self.journal.waits_in_vain() && !self.journal.has_room(ROOM);
        is_done || is_in_vain || self.journal.taken_over().is_some()
    }
}

/// Journals a command and its events as they come.
struct JournalSink<'a> {
    journal: &'a mut Writer,
    /// Tells the engine's time from the journal's.
    split: Option<&'a mut StageWatch>,
}

impl JournalSink<'_> {
    #[inline]
    fn append(&mut self, stamp: Stamp, kind: u16, payload: &[u8]) {
        self.journal.append(kind, stamp.sequence.0, stamp.time.0, payload);
        if let Some(watch) = &mut self.split {
            watch.appended();
        }
    }
}

impl EventSink for JournalSink<'_> {
    #[inline]
    fn emit<E: EventRecord + Into<Event>>(&mut self, stamp: Stamp, event: &E) {
        if let Some(watch) = &mut self.split {
            watch.matched();
        }
        self.append(stamp, E::KIND, event.payload());
    }
}
