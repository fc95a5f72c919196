//! Core and follower stepped by hand: what the audit does when something differs, and when it writes
//! snapshots.

mod common;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use common::small_config;
use ironbook_engine::{
    Account, ClOrdId, Command, CompId, Engine, EngineLimits, InstrumentId, InstrumentStatus,
    OrdType, OrderId, Sequencer, SessionId, Side, Symbol, TimeInForce, Timestamp,
    command::{CancelOrder, DefineInstrument, DefineSession, NewOrder, OrderTerms, Origin},
    event::{Execution, StateHashed},
    record::Record,
};
use ironbook_gateway::{
    agent::Agent,
    audit::Audit,
    clock::{Clock, ManualClock},
    config::OldSegments,
    core::CoreAgent,
    follower::{Follower, STEPS_PER_LOOK, STOP_NS_MAX, Settings, Start, TURN_NS},
    replay::{Frames, PlayError, Replayed, play},
    retention::{Delivered, Retention},
    ring::{Input, InputSender, ring},
    sessions::SessionTable,
};
use ironbook_journal::{
    FileStorage, Frame, Options, Position, Reader, Tail, segment_files, snapshot,
};

/// A journal's frames, one of which is not what the journal holds.
struct Altered {
    tail: Tail,
    /// Alters the `nth` frame of this kind, from 1.
    kind: u16,
    nth: usize,
    payload: Vec<u8>,
    /// Its sequence, once it has come.
    sequence: Arc<std::sync::Mutex<Option<u64>>>,
}

impl Frames for Altered {
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, PlayError> {
        let Some(frame) = self.tail.next()? else { return Ok(None) };
        if frame.kind != self.kind {
            return Ok(Some(frame));
        }
        self.nth = self.nth.wrapping_sub(1);
        if self.nth != 0 {
            return Ok(Some(frame));
        }
        *self.sequence.lock().unwrap() = Some(frame.sequence);
        self.payload = frame.payload.to_vec();
        self.payload[0] ^= 1;
        Ok(Some(Frame { payload: &self.payload, ..frame }))
    }
}

/// A core and a follower without threads.
struct Stepped<F> {
    core: CoreAgent<ManualClock>,
    inputs: InputSender,
    follower: Follower<F, ManualClock>,
    clock: ManualClock,
    audit: Arc<Audit>,
    orders: u64,
    /// How far a gateway would be.
    delivered: Delivered,
    dir: tempfile::TempDir,
}

const EVERY: u64 = 50;

impl<F: Frames + Send> Stepped<F> {
    /// `sync_interval`: how long frames stay undurable.
    fn start(sync_interval: Duration, frames: impl FnOnce(Tail) -> F) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let options = Options { segment_bytes: 1 << 16, sync_interval, ..Options::default() };
        let (journal, _) = ironbook_journal::open(dir.path(), options).expect("a new journal");
        let (durable, tail) = (journal.durable(), journal.tail());
        let delivered = Delivered::default();
        let settings = Settings {
            every_commands: EVERY,
            storage: Arc::new(FileStorage::new(dir.path())),
            segment_bytes: journal.segment_bytes(),
            retention: Retention { keep: 2, old_segments: OldSegments::Remove },
            delivered: vec![delivered.clone()],
            lock: journal.hold_lock(),
        };
        let limits = EngineLimits { state_hash_interval: 20, ..limits() };
        let clock = ManualClock::default();
        clock.set(Timestamp(1_000));
        let (inputs, outputs) = ring(64);
        let engine = Engine::new(limits);
        let mut core =
            CoreAgent::new(outputs, Sequencer::default(), engine, journal, clock.clone());
        let audit = core.audit();
        let start = Start {
            replayed: Replayed::default(),
            state: None,
            sessions: SessionTable::default(),
            running_hash: 0,
            snapshot_commands: 0,
        };
        let (frames, audited) = (frames(tail), audit.clone());
        let follower = Follower::new(start, frames, clock.clone(), audited, durable, settings);
        core.apply_now(Command::Limits(limits));
        for (id, symbol) in [(1, "AAPL"), (2, "MSFT")] {
            let symbol = Symbol::try_from(symbol).expect("a symbol");
            core.apply_now(DefineInstrument::new(InstrumentId(id), symbol, 2, 0, 1, 1).into());
        }
        let comp_id = CompId::try_from("A").expect("a comp id");
        core.apply_now(DefineSession::new(SessionId(1), comp_id).into());
        Self { core, inputs, follower, clock, audit, orders: 0, delivered, dir }
    }

    /// Orders that rest, each a group of its own.
    fn order(&mut self, count: u64) {
        for _ in 0..count {
            let order = self.next_order();
            self.core.apply_now(order);
        }
    }

    fn next_order(&mut self) -> Command {
        self.orders += 1;
        let cl_ord_id = ClOrdId::try_from(format!("o{}", self.orders).as_str()).unwrap();
        let terms = OrderTerms {
            side: Side::Buy,
            ord_type: OrdType::Limit,
            time_in_force: TimeInForce::Day,
            price: (100 + self.orders as i64 % 50, 2),
            order_qty: (10, 0),
        };
        let origin = Origin::new(SessionId(1), self.orders, Timestamp(1_000));
        let instrument = InstrumentId(1 + (self.orders % 2) as u32);
        NewOrder::new(origin, instrument, terms, Account::default(), cl_ord_id).into()
    }

    /// Lets the follower take turns until it finds nothing more.
    fn follow(&mut self) {
        while self.follower.do_work() > 0 {}
    }

    fn snapshots(&self) -> Vec<u64> {
        snapshot::list(&FileStorage::new(self.dir.path())).unwrap()
    }

    fn statuses(&self) -> Vec<InstrumentStatus> {
        self.core.engine().instruments().map(|known| known.status).collect()
    }
}

fn limits() -> EngineLimits {
    small_config(std::path::Path::new("unused")).engine_limits()
}

/// A follower that sees one frame otherwise halts everything, says where, and writes no snapshot.
#[track_caller]
fn halts_all_instruments(kind: u16, nth: usize, expected: &str) {
    let sequence = Arc::new(std::sync::Mutex::new(None));
    let noted = sequence.clone();
    let mut venue = Stepped::start(Duration::ZERO, |tail| Altered {
        tail,
        kind,
        nth,
        payload: Vec::new(),
        sequence: noted,
    });
    venue.order(30);
    venue.follow();
    assert_eq!(venue.audit.status(), None, "nothing was altered so far");
    venue.core.do_work();
    assert_eq!(venue.statuses(), [InstrumentStatus::Open; 2]);
    venue.order(10);
    venue.follow();
    let status = venue.audit.status().expect("the difference is told");
    let sequence = sequence.lock().unwrap().expect("the frame has come");
    assert!(status.contains(&format!("sequence {sequence} differs")), "{status}");
    assert!(status.contains(expected), "{status}");

    // The core halts in its next turn, by commands like any other.
    let before = venue.core.engine().totals();
    assert!(venue.audit.wants_halt());
    venue.core.do_work();
    assert_eq!(venue.statuses(), [InstrumentStatus::Halted; 2]);
    assert!(!venue.audit.wants_halt());
    assert_eq!(venue.core.engine().totals().commands, before.commands + 2, "one for each");
    venue.order(5);
    assert_eq!(venue.core.engine().totals().live_orders, before.live_orders, "no order any more");
    let origin = Origin::new(SessionId(1), 99, Timestamp(1_000));
    let name = |text: &str| ClOrdId::try_from(text).unwrap();
    let (unknown, side) = (OrderId(0), Side::Buy);
    let cancel = CancelOrder::new(origin, unknown, InstrumentId(2), side, name("c1"), name("o1"));
    venue.core.apply_now(cancel.into());
    assert_eq!(venue.core.engine().totals().live_orders + 1, before.live_orders, "cancels go on");

    // However much comes now: no snapshot.
    venue.order(3 * EVERY);
    venue.follow();
    assert!(venue.follower.close());
    assert_eq!(venue.snapshots(), [0; 0]);
    let mut reader = Reader::open(venue.dir.path()).unwrap();
    let replayed = play(&mut reader, None).expect("the journal itself is as it should be");
    assert_eq!(
        replayed.engine.unwrap().state_hash(),
        venue.core.engine().state_hash(),
        "halts are in the sequence"
    );
}

#[test]
fn an_event_that_differs_halts_all_instruments() {
    halts_all_instruments(Execution::KIND, 35, "Execution");
}

#[test]
fn a_state_hash_that_differs_halts_all_instruments() {
    halts_all_instruments(StateHashed::KIND, 2, "StateHashed");
}

#[test]
fn a_snapshot_waits_until_what_it_covers_is_durable() {
    let mut venue = Stepped::start(Duration::from_secs(86_400), |tail| tail);
    venue.order(3 * EVERY);
    venue.follow();
    assert_eq!(venue.snapshots(), [0; 0], "nothing is durable yet");
    // Closing the journal makes it durable: the one that waited is written, and one of the end.
    let Stepped { core, mut follower, dir, .. } = venue;
    let (engine, journal) = core.into_journal();
    journal.close().expect("synced");
    while follower.do_work() > 0 {}
    assert!(follower.close());
    let written = snapshot::list(&FileStorage::new(dir.path())).unwrap();
    assert_eq!(written.len(), 2);
    let restored =
        ironbook_gateway::snapshot::read(&FileStorage::new(dir.path()), written[0]).unwrap();
    assert_eq!(restored.replayed.counts.commands, EVERY);
    let restored =
        ironbook_gateway::snapshot::read(&FileStorage::new(dir.path()), written[1]).unwrap();
    assert_eq!(restored.replayed.engine.unwrap().state_hash(), engine.state_hash());
    snapshot::check_place(&FileStorage::new(dir.path()), &restored.checkpoint).unwrap();
}

#[test]
fn a_snapshot_is_taken_between_two_groups() {
    let mut venue = Stepped::start(Duration::ZERO, |tail| tail);
    venue.order(EVERY - 14);
    // One group of 64 commands, in which the snapshot falls due.
    for _ in 0..64 {
        let order = venue.next_order();
        venue.inputs.push(Input::Command(order));
    }
    venue.inputs.flush();
    assert_eq!(venue.core.do_work(), 64);
    common::wait_for("a snapshot", || {
        venue.follow();
        !venue.snapshots().is_empty()
    });
    let restored =
        ironbook_gateway::snapshot::read(&FileStorage::new(venue.dir.path()), venue.snapshots()[0]);
    let restored = restored.unwrap();
    assert_eq!(restored.replayed.counts.commands, 4 + EVERY - 14 + 64);
    snapshot::check_place(&FileStorage::new(venue.dir.path()), &restored.checkpoint).unwrap();
}

#[test]
fn segments_stay_until_the_gateway_has_delivered_them() {
    let mut venue = Stepped::start(Duration::ZERO, |tail| tail);
    let first =
        |venue: &Stepped<Tail>| segment_files(&FileStorage::new(venue.dir.path())).unwrap()[0].0;
    // A snapshot waits until it is durable, and none is begun meanwhile: go on until there are.
    common::wait_for("snapshots in later segments", || {
        venue.order(EVERY);
        venue.follow();
        let oldest = *venue.snapshots().first().unwrap_or(&0);
        let read = snapshot::read(&FileStorage::new(venue.dir.path()), oldest);
        read.is_ok_and(|snapshot| snapshot.checkpoint.segment() >= 3)
    });
    assert_eq!(first(&venue), 0, "nobody has delivered anything");
    venue.delivered.set(Position::new(2 << 16));
    common::wait_for("the next snapshot disposes of what is delivered", || {
        venue.order(EVERY);
        venue.follow();
        first(&venue) != 0
    });
    assert_eq!(first(&venue), 2);
}

#[test]
fn a_stop_with_little_new_writes_no_snapshot() {
    let mut venue = Stepped::start(Duration::ZERO, |tail| tail);
    venue.order(EVERY / 2);
    venue.follow();
    let Stepped { core, mut follower, dir, .. } = venue;
    core.into_journal().1.close().expect("synced");
    while follower.do_work() > 0 {}
    assert!(follower.close());
    assert_eq!(snapshot::list(&FileStorage::new(dir.path())).unwrap(), [0; 0]);
}

#[test]
fn a_stop_waits_only_so_long_for_a_follower_that_is_behind() {
    let mut venue = Stepped::start(Duration::ZERO, |tail| tail);
    venue.order(EVERY);
    assert!(venue.follower.do_work() > 0, "there may be more");
    assert!(!venue.follower.close());
    venue.clock.advance_ns(STOP_NS_MAX - 1);
    assert!(!venue.follower.close());
    venue.clock.advance_ns(1);
    assert!(venue.follower.close(), "it gives up");
    assert_eq!(venue.snapshots(), [0; 0]);
}

/// Frames of which each takes its time to read.
struct Slow {
    tail: Tail,
    clock: Arc<OnceLock<ManualClock>>,
}

/// What a turn may take, in frames.
const FRAMES_PER_TURN: u64 = 100;

impl Frames for Slow {
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, PlayError> {
        self.clock.get().expect("a clock").advance_ns(TURN_NS / FRAMES_PER_TURN);
        Ok(self.tail.next()?)
    }
}

#[test]
fn turns_are_short_until_the_venue_stops() {
    let clock = Arc::new(OnceLock::new());
    let mut venue = Stepped::start(Duration::ZERO, |tail| Slow { tail, clock: clock.clone() });
    clock.set(venue.clock.clone()).expect("not set before");
    // Two frames each at the least.
    venue.order(3 * FRAMES_PER_TURN);
    let started = venue.clock.now().0;
    let steps = venue.follower.do_work();
    assert!(steps > 0 && steps.is_multiple_of(STEPS_PER_LOOK), "{steps}");
    let took = venue.clock.now().0 - started;
    assert!((TURN_NS..2 * TURN_NS).contains(&took), "{took} ns");
    assert!(!venue.follower.close(), "it is behind");
    let rest = venue.follower.do_work();
    assert!(rest > 2 * steps, "{rest}");
    assert_eq!(venue.follower.do_work(), 0);
}

#[test]
fn a_follower_goes_on_from_a_state() {
    let mut venue = Stepped::start(Duration::ZERO, |tail| tail);
    venue.order(EVERY - 10);
    let mut state = Vec::new();
    venue.core.engine().write_state(&mut state);
    let mut reader = Reader::open(venue.dir.path()).unwrap();
    let replayed = play(&mut reader, None).unwrap();
    let Stepped { core, clock, dir, orders, delivered, .. } = venue;
    let journal = core.into_journal().1;
    let (running_hash, durable) = (journal.running_hash(), journal.durable());
    let settings = Settings {
        every_commands: 0,
        storage: Arc::new(FileStorage::new(dir.path())),
        segment_bytes: journal.segment_bytes(),
        retention: Retention { keep: 2, old_segments: OldSegments::Keep },
        delivered: vec![Delivered::default()],
        lock: journal.hold_lock(),
    };
    let mut tail = journal.tail();
    tail.seek(replayed.end.unwrap());
    let engine = Engine::read_state(&state).unwrap();
    let (inputs, outputs) = ring(64);
    let core = CoreAgent::new(outputs, replayed.sequencer, engine, journal, clock.clone());
    let start = |state: Vec<u8>| Start {
        replayed: replayed.without_engine(),
        state: Some(state),
        sessions: SessionTable::default(),
        running_hash,
        snapshot_commands: 0,
    };
    let audit = core.audit();
    let (audited, start) = (audit.clone(), start(state));
    let follower = Follower::new(start, tail, clock.clone(), audited, durable, settings);
    let mut venue = Stepped { core, inputs, follower, clock, audit, orders, delivered, dir };
    venue.order(100);
    venue.follow();
    assert_eq!(venue.audit.status(), None);
}
