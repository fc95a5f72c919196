//! A venue without threads on a simulated machine: the agents of a real one, stepped by hand.

use std::sync::Arc;

use ironbook_engine::{
    ClOrdId, InstrumentId, ReasonText, SessionId, SideFilter, Timestamp, TradingStatus,
    command::{MassCancel, Origin, SetTradingStatus},
};
use ironbook_gateway::{
    agent::Agent,
    audit::Audit,
    clock::{Clock, ManualClock},
    config::Config,
    core::CoreAgent,
    follower::Follower,
    gateway::GatewayAgent,
    opening::{Playback, open_journal},
    operator::OperatorAgent,
    random::Random,
    simulated_network::{SimulatedListener, SimulatedNetwork},
    stages::StageWatches,
    venue::{Parts, Place, StartError, assemble},
};
use ironbook_journal::{DurablePosition, Helpers, SimulatedStorage, Storage, Tail, open_stepped};

use super::{
    client::{MS, SECOND},
    operator::SimulatedLines,
    plant::Plant,
};

/// Shortest and longest time that a sync takes, ns.
const SYNC_NS: (u64, u64) = (100_000, 8 * MS);

/// A running venue.
pub struct RunningVenue {
    clock: ManualClock,
    gateways: Vec<GatewayAgent<ManualClock, SimulatedListener>>,
    /// Engine and journal.
    pub core: CoreAgent<ManualClock>,
    helpers: Helpers,
    follower: Follower<Tail, ManualClock>,
    audit: Arc<Audit>,
    operator: OperatorAgent<ManualClock, SimulatedLines>,
    /// The operator's agent has finished.
    operator_closed: bool,
    /// The snapshot that it started from.
    pub snapshot: Option<u64>,
    /// How far the journal is durable.
    pub durable: DurablePosition,
    next_sync: u64,
    next_prepare: u64,
    /// The disk is full, or fails: the preparer tries again by itself.
    prepare_failed: bool,
    /// The core does not get its processor before.
    core_stalled_until: u64,
    stopping: bool,
}

impl RunningVenue {
    /// Starts a venue as [`Venue::start`](ironbook_gateway::venue::Venue::start) does, which hears operators over
    /// these lines, and may have a bug planted.
    ///
    /// # Errors
    /// Why it does not start.
    pub fn start(
        config: &Config,
        clock: ManualClock,
        network: &SimulatedNetwork,
        storage: &SimulatedStorage,
        (lines, plant): (SimulatedLines, Option<Plant>),
    ) -> Result<Self, StartError> {
        let storage: Arc<dyn Storage> = Arc::new(storage.clone());
        let open = |storage, options| {
            open_stepped(storage, options)
                .map(|(journal, recovery, helpers)| ((journal, helpers), recovery))
        };
        let (opened, helpers) = open_journal(config, &storage, Playback::Behind, open)?.split();
        let (watches, _) = StageWatches::new(config.metrics.stages, config.threads.gateways);
        let place = Place {
            clock: clock.clone(),
            watches,
            storage,
            listen: |port| Ok(network.listen_as(port)),
        };
        let Parts { gateways, core, follower, audit, durable, started, operated, .. } =
            assemble(config, opened, place)?;
        let mut operated = operated.expect("every simulated venue has operators");
        operated.waits_for_disk &= plant != Some(Plant::HastyAnswer);
        let operator = OperatorAgent::new(operated, clock.clone(), lines);
        let mut venue = Self {
            clock,
            gateways,
            core,
            helpers,
            follower,
            audit,
            operator,
            operator_closed: false,
            snapshot: started.snapshot,
            durable,
            next_sync: 0,
            next_prepare: 0,
            prepare_failed: false,
            core_stalled_until: 0,
            stopping: false,
        };
        if plant == Some(Plant::OpeningStart) {
            venue.open_sessions();
        }
        Ok(venue)
    }

    /// All agents take a turn, until the disk ends their life; returns how much was done.
    pub fn turn(&mut self, random: &mut Random, storage: &SimulatedStorage) -> usize {
        let now = self.clock.now().0;
        let mut done = self.help(now, random);
        if storage.is_stopped() {
            return done;
        }
        // It sleeps most of the time. Before the gateways: the disk may end this life here, and what is
        // told afterwards would be judged by how durable it was before.
        if random.one_in(16) {
            done += self.follower.do_work();
            if storage.is_stopped() {
                return done;
            }
        }
        done += self.turn_gateways(random);
        if self.core_stalled_until <= now {
            done += self.core.do_work();
        }
        if !storage.is_stopped() && random.one_in(2) {
            done += self.turn_gateways(random);
        }
        if !storage.is_stopped() && random.one_in(8) {
            done += self.operator.do_work();
        }
        done
    }

    /// Each gateway takes a turn, in any order; of several, one may sleep on.
    fn turn_gateways(&mut self, random: &mut Random) -> usize {
        let (mut done, several) = (0, self.gateways.len() > 1);
        if several {
            let first = random.below(self.gateways.len() as u64) as usize;
            self.gateways.rotate_left(first);
        }
        for gateway in &mut self.gateways {
            if !several || !random.one_in(4) {
                done += gateway.do_work();
            }
        }
        done
    }

    /// Steps the helper threads where they would wake up.
    fn help(&mut self, now: u64, random: &mut Random) -> usize {
        let mut done = 0;
        if self.next_prepare <= now {
            let pause =
                self.helpers.step_preparer().map_or(SECOND, |pause| pause.as_nanos() as u64);
            self.prepare_failed = pause >= SECOND;
            self.next_prepare = now + pause.max(MS);
        }
        if self.next_sync <= now {
            let before = self.durable.get();
            let pause = self.helpers.step_syncer().map_or(SECOND, |pause| pause.as_nanos() as u64);
            self.next_sync = now + pause.max(random.between(SYNC_NS.0, SYNC_NS.1));
            done += usize::from(self.durable.get() > before);
        }
        done
    }

    /// When it does something by itself.
    pub fn next_event_ns(&self) -> u64 {
        let gateways = self.gateways.iter().filter_map(GatewayAgent::next_deadline);
        let gateway = gateways.map(|Timestamp(due)| due).min().unwrap_or(u64::MAX);
        let sync =
            if self.durable.written() > self.durable.get() { self.next_sync } else { u64::MAX };
        let prepare = if self.prepare_failed { self.next_prepare } else { u64::MAX };
        let now = self.clock.now().0;
        let core = if self.core_stalled_until > now { self.core_stalled_until } else { u64::MAX };
        gateway.min(sync).min(prepare).min(core)
    }

    /// The core does not run for a while: the ring fills.
    pub fn stall_core(&mut self, until: u64) {
        self.core_stalled_until = until;
    }

    /// The core takes a command and has not committed it, as when the process dies just there.
    pub fn begin_mass_cancel(&mut self, session: SessionId) {
        let now = self.clock.now();
        let (origin, all) = (Origin::new(session, 1, now), InstrumentId::NONE);
        let request_type = b'7';
        let id = ClOrdId::EMPTY;
        let command = MassCancel::new(origin, all, SideFilter::Both, request_type, id);
        self.core.begin_now(command.into());
    }

    /// What is wrong with the audit, if anything: the follower found something that is not as the
    /// core has it, or could not go on.
    pub fn audit_status(&self) -> Option<String> {
        self.audit.status()
    }

    /// A start that opens sessions, as none may.
    fn open_sessions(&mut self) {
        let shut = self.core.engine().sessions();
        let shut = shut.filter(|known| known.risk.status != TradingStatus::Open);
        let ids: Vec<_> = shut.map(|known| known.session).collect();
        for id in ids {
            let (origin, open) = (Origin::venue(self.clock.now()), TradingStatus::Open);
            self.core.apply_now(SetTradingStatus::new(origin, id, open, ReasonText::EMPTY).into());
        }
    }

    /// Closes the journal and lets the follower write its last snapshot, and the operator's agent tell what came of
    /// what is under way; true when all that was written is durable.
    pub fn close(self, storage: &SimulatedStorage) -> bool {
        let Self { core, mut follower, mut operator, mut operator_closed, .. } = self;
        let is_durable = core.into_journal().1.close().is_ok();
        while !operator_closed && !storage.is_stopped() {
            operator.do_work();
            operator_closed = operator.close();
        }
        loop {
            follower.do_work();
            if follower.close() {
                return is_durable;
            }
        }
    }

    /// Whether it was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Goes on stopping in order; true when all that remains is to close the journal.
    pub fn stop(&mut self) -> bool {
        self.stopping = true;
        let closed = self.gateways.iter_mut().fold(true, |all, gateway| gateway.close() & all);
        self.operator_closed = self.operator_closed || self.operator.close();
        self.core.do_work();
        closed && self.core.close()
    }
}
