//! The world of one seed: time, network, disk, a venue that comes and goes, and its clients.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use ironbook_engine::{Engine, InstrumentStatus, Sequence, SessionId, Timestamp, TradingStatus};
use ironbook_gateway::{
    clock::ManualClock,
    config::{Acknowledge, Config},
    random::Random,
    replay::play,
    simulated_network::{SimulatedNetwork, SimulatedStream},
    venue::StartError,
};
use ironbook_journal::{
    Crash, DurablePosition, FaultRates, OpenError, Reader, SimulatedStorage, Storage as _,
    verify_in,
};

use super::{
    audit::{Audit, Mark, engine_orders, session_id},
    client::{Client, ClientCounts, MS, SECOND},
    market::{self, DROP_COPY, TRADERS},
    operator::{Operator, OperatorCounts, SimulatedLines},
    plant::Plant,
    rules::RuleCounts,
    venue::RunningVenue,
    violation::{Checked, Oracle, Violation, ensure},
};

/// Where time begins: 2026-01-01, ns.
const START_NS: u64 = 1_767_225_600 * SECOND;

/// Turns without work after which everything is quiet: the gateway asks which sockets have
/// something every sixteen turns while it has connections that were just busy.
const QUIET_TURNS: u32 = 18;

/// Most of a turn's time, ns.
const TURN_NS: u64 = 40_000;

/// Virtual time between two rests at which everything is compared, ns.
const REST_EVERY_NS: u64 = 150 * SECOND;

/// Virtual time for which everybody behaves at least, so that heartbeats go to and fro, ns.
const REST_MIN_NS: u64 = 30 * SECOND;

/// Longest virtual time until all is at rest once everybody behaves, ns.
const REST_MAX_NS: u64 = 600 * SECOND;

/// Longest virtual time that a stop takes when everybody behaves, ns.
const STOP_MAX_NS: u64 = 60 * SECOND;

/// Connections of nobody at once.
const STRANGERS_MAX: usize = 4;

/// Names of those who operate the venue.
const OPERATORS: [&str; 2] = ["ann", "bob"];

/// Starts that injected faults may spoil before they are left out.
const SPOILED_STARTS_MAX: u32 = 3;

/// What happened in a simulation.
#[derive(Clone, Debug, Default)]
pub struct Happened {
    /// All clients together.
    pub clients: ClientCounts,
    /// All operators together.
    pub operators: OperatorCounts,
    /// What the journal has of halts, suspensions, trips, limits and absences.
    pub rules: RuleCounts,
    /// Requests that the journal has.
    pub requests: u64,
    /// Trades that the journal has.
    pub trades: u64,
    /// Frames of the journal.
    pub frames: u64,
    /// Starts of the venue, those that faults spoiled included.
    pub starts: u64,
    /// Starts that went on from a snapshot.
    pub from_snapshot: u64,
    /// Deaths of the venue's process.
    pub deaths: u64,
    /// Losses of power.
    pub power_losses: u64,
    /// Stops in order.
    pub stops: u64,
    /// Faults of disk, network and scheduler.
    pub faults: u64,
    /// Times that everything was compared at rest.
    pub rests: u64,
    /// Virtual time, ns.
    pub simulated_ns: u64,
}

/// A seed, and how long to go on.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Decides everything.
    pub seed: u64,
    /// Virtual minutes.
    pub minutes: u64,
    /// A bug to find.
    pub plant: Option<Plant>,
}

/// How a simulation ended.
#[derive(Debug)]
pub struct Ending {
    /// What happened.
    pub happened: Happened,
    /// Hash of all bytes that the venue sent and of the journal.
    pub hash: u64,
    /// Policy that the seed chose.
    pub acknowledge: Acknowledge,
    /// What was violated, if anything.
    pub violation: Option<Violation>,
}

/// Everything.
struct World {
    settings: Settings,
    clock: ManualClock,
    now: u64,
    random: Random,
    config: Config,
    /// What the venue is started with: the same, unless a bug is planted.
    started_with: Config,
    network: SimulatedNetwork,
    storage: SimulatedStorage,
    venue: Option<RunningVenue>,
    /// When the venue is started again, when it is down.
    start_at: u64,
    spoiled_starts: u32,
    /// What must be there after the next start.
    kept: Kept,
    /// The power was lost since the last start.
    lost_power: bool,
    /// Connections of nobody.
    strangers: Vec<SimulatedStream>,
    audit: Option<Audit>,
    clients: Vec<Client>,
    operators: Vec<Operator>,
    /// Since when nothing has held the venue up.
    undisturbed_since: u64,
    next_fault: u64,
    /// When faults of the disk end.
    mend_at: u64,
    /// Nothing is broken on purpose any more.
    calm: bool,
    idle_turns: u32,
    happened: Happened,
}

/// What must outlive the end of a venue.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    /// When the process died or stopped.
    written: Mark,
    /// When the power was lost.
    durable: Mark,
}

/// Runs a simulation to its end, or to the first violation.
pub fn simulate(settings: Settings) -> Ending {
    World::new(settings).go()
}

impl World {
    fn new(settings: Settings) -> Self {
        let mut random = Random::new(settings.seed);
        let config = market::config(&mut random);
        let started_with = match settings.plant {
            Some(Plant::LooseBounds) => market::unbound(&config),
            _ => config.clone(),
        };
        let clock = ManualClock::default();
        clock.set(Timestamp(START_NS));
        let network = SimulatedNetwork::new(clock.clone(), random.split());
        let storage = SimulatedStorage::new(random.next_u64());
        if let Some(interceptor) =
            settings.plant.and_then(|plant| plant.interceptor(random.split()))
        {
            network.intercept(interceptor);
        }
        let temper = *random.choose(&[1, 1, 1, 2, 6]);
        let names = TRADERS.iter().chain([&DROP_COPY]);
        let clients = names
            .map(|name| Client::new(name, *name == DROP_COPY, temper, random.split(), START_NS))
            .collect();
        let operators = OPERATORS.map(|name| Operator::new(name, random.split(), START_NS)).into();
        let world = Self {
            settings,
            clock,
            now: START_NS,
            random,
            config,
            started_with,
            network,
            storage,
            venue: None,
            start_at: START_NS,
            spoiled_starts: 0,
            kept: Kept::default(),
            lost_power: false,
            strangers: Vec::new(),
            audit: None,
            clients,
            operators,
            undisturbed_since: START_NS,
            next_fault: START_NS + 5 * SECOND,
            mend_at: u64::MAX,
            calm: false,
            idle_turns: 0,
            happened: Happened::default(),
        };
        world.set_disk_faults(FaultRates::default());
        world
    }

    /// Runs to its end.
    fn go(mut self) -> Ending {
        let violation = self.run().err();
        self.sum_up();
        let journal = self.audit.as_ref().map_or(0, |audit| audit.mark.hash);
        Ending {
            hash: self.network.sent_hash().rotate_left(1) ^ journal,
            acknowledge: self.config.venue.acknowledge,
            happened: self.happened,
            violation,
        }
    }

    fn run(&mut self) -> Checked {
        let end = START_NS + self.settings.minutes * 60 * SECOND;
        while self.now < end {
            let rest_at = (self.now + REST_EVERY_NS).min(end);
            while self.now < rest_at {
                self.step()?;
            }
            self.come_to_rest()?;
            self.check_at_rest()?;
            self.set_calm(false);
        }
        self.set_calm(true);
        self.finish_stop()?;
        self.set_time(self.start_at);
        self.start_venue()?;
        self.damage()
    }

    /// Everybody takes a turn, and time goes on: a little, or to where something happens.
    fn step(&mut self) -> Checked {
        self.storage.set_clock_ns(self.now);
        let mut worked = self.turn_venue()?;
        if let Some(audit) = &self.audit {
            for client in &mut self.clients {
                worked |= client.turn(self.now, &self.network, audit)?;
            }
            for operator in &mut self.operators {
                worked |= operator.turn(self.now, audit)?;
            }
            if self.venue.is_some() && self.mend_at == u64::MAX {
                let overdue = audit.rules.overdue(self.now, self.undisturbed_since);
                ensure(Oracle::Bounds, overdue.is_none(), || overdue.unwrap_or_default())?;
            }
        }
        self.make_trouble()?;
        self.idle_turns = if worked { 0 } else { self.idle_turns + 1 };
        let next = self.now + 1 + self.random.below(TURN_NS);
        let next =
            if self.idle_turns < QUIET_TURNS { next } else { next.max(self.next_event_ns()) };
        self.set_time(next);
        Ok(())
    }

    fn set_time(&mut self, now: u64) {
        self.now = now;
        self.clock.set(Timestamp(now));
    }

    fn next_event_ns(&self) -> u64 {
        let venue = self.venue.as_ref().map_or(self.start_at, RunningVenue::next_event_ns);
        let clients = self.clients.iter().map(|client| client.next_event_ns(self.now));
        let operators = self.operators.iter().map(|operator| operator.next_event_ns(self.now));
        let network = self.network.next_event_ns().unwrap_or(u64::MAX);
        let trouble = if self.calm { u64::MAX } else { self.next_fault.min(self.mend_at) };
        clients.chain(operators).chain([venue, network, trouble]).min().unwrap_or(u64::MAX)
    }

    // ---- the venue -----------------------------------------------------------------------------

    fn turn_venue(&mut self) -> Checked<bool> {
        let Some(venue) = &mut self.venue else {
            if self.start_at <= self.now {
                self.start_venue()?;
            }
            return Ok(self.venue.is_some());
        };
        let done = venue.turn(&mut self.random, &self.storage);
        if self.storage.is_stopped() {
            let kind = self.any_crash();
            self.crash(kind)?;
            return Ok(true);
        }
        if let (Some(venue), Some(audit)) = (&self.venue, &mut self.audit) {
            audit.follow(&venue.durable)?;
            let wrong = venue.audit_status();
            ensure(Oracle::Replay, wrong.is_none(), || wrong.unwrap_or_default())?;
        }
        if self.venue.as_ref().is_some_and(RunningVenue::is_stopping) {
            self.go_on_stopping()?;
        }
        Ok(done > 0)
    }

    /// Starts the venue; what was acknowledged before must be there again.
    fn start_venue(&mut self) -> Checked {
        self.happened.starts += 1;
        let spoiled = self.mend_at < u64::MAX || self.spoil_start();
        let started = self.start();
        self.mend();
        if self.storage.is_stopped() {
            drop(started);
            let kind = self.any_crash();
            self.end_life(kind);
            self.go_down();
            return Ok(());
        }
        match started {
            Ok(venue) => {
                self.tell("the venue has started");
                self.spoiled_starts = 0;
                self.happened.from_snapshot += u64::from(venue.snapshot.is_some());
                self.venue = Some(venue);
                self.check_after_start()
            }
            Err(error) if spoiled => {
                self.tell(&format!("a spoiled start: {error}"));
                self.spoiled_starts += 1;
                self.go_down();
                Ok(())
            }
            Err(error) => {
                // Nobody has damaged the files, so what they had is lost.
                let is_lost = matches!(
                    error,
                    StartError::Journal(
                        OpenError::Corrupt { .. }
                            | OpenError::MissingSegment { .. }
                            | OpenError::VersionMismatch { .. }
                    )
                );
                let oracle = if is_lost { Oracle::Acknowledged } else { Oracle::Liveness };
                Err(Violation::new(oracle, format!("the venue does not start: {error}")))
            }
        }
    }

    /// A venue on the disk as it is, if it starts.
    fn start(&mut self) -> Result<RunningVenue, StartError> {
        let plant = self.settings.plant;
        let lies = (plant == Some(Plant::FalseAnswer)).then(|| self.random.split());
        let lines = SimulatedLines::connect(&mut self.operators, lies);
        let config = &self.started_with;
        let clock = self.clock.clone();
        RunningVenue::start(config, clock, &self.network, &self.storage, (lines, plant))
    }

    /// Makes a start fail, perhaps.
    fn spoil_start(&mut self) -> bool {
        let may = !self.calm && self.spoiled_starts < SPOILED_STARTS_MAX;
        if !may || !self.random.one_in(4) {
            return false;
        }
        let rate = self.random.between(10, 300) as u32;
        let none = FaultRates::default();
        match self.random.below(5) {
            // Counted as what it comes to.
            0 => {
                self.storage.stop_after(self.random.below(40));
                return true;
            }
            1 => self.set_disk_faults(FaultRates { read: rate, ..none }),
            2 => self.set_disk_faults(FaultRates { write: rate, ..none }),
            3 => self.set_disk_faults(FaultRates { sync: rate, ..none }),
            _ => self.set_disk_faults(FaultRates { allocation: rate, ..none }),
        }
        self.happened.faults += 1;
        true
    }

    fn stop_venue(&mut self) {
        if let Some(venue) = &mut self.venue {
            venue.stop();
        }
    }

    /// Stops the venue, and goes on until it has stopped.
    fn finish_stop(&mut self) -> Checked {
        self.stop_venue();
        let end = self.now + STOP_MAX_NS;
        while self.venue.is_some() {
            ensure(Oracle::Liveness, self.now < end, || {
                format!("the venue has not stopped within {} s", STOP_MAX_NS / SECOND)
            })?;
            self.step()?;
        }
        Ok(())
    }

    fn go_on_stopping(&mut self) -> Checked {
        let Some(mut venue) = self.venue.take() else { return Ok(()) };
        self.undisturbed_since = self.now;
        if !venue.stop() {
            if !self.storage.is_stopped()
                && let Some(audit) = &mut self.audit
            {
                audit.follow(&venue.durable)?;
            }
            self.venue = Some(venue);
            return Ok(());
        }
        self.follow_to_the_end(&venue.durable)?;
        let (durable, live) = (venue.durable.clone(), state_of(venue.core.engine()));
        let all_durable = venue.close(&self.storage);
        if !self.storage.is_stopped() {
            self.follow_to_the_end(&durable)?;
            if all_durable || self.config.venue.acknowledge == Acknowledge::Written {
                self.check_replay(live)?;
            }
        }
        if all_durable {
            self.kept.durable = self.kept.written;
        }
        self.happened.stops += 1;
        self.tell("the venue has stopped");
        self.go_down();
        Ok(())
    }

    /// Reads what the files of a venue have that ends, and keeps in mind what must be there again.
    fn follow_to_the_end(&mut self, durable: &DurablePosition) -> Checked {
        let audit = self.audit.as_mut().expect("a venue that runs is audited");
        audit.follow(durable)?;
        self.kept = Kept { written: audit.mark, durable: audit.durable };
        Ok(())
    }

    fn go_down(&mut self) {
        let down = if self.calm { SECOND } else { self.random.between(MS, 20 * SECOND) };
        self.start_at = self.now + down;
    }

    /// The venue ends without warning.
    fn crash(&mut self, kind: Crash) -> Checked {
        let Some(mut venue) = self.venue.take() else { return Ok(()) };
        let audit = self.audit.as_mut().expect("a venue that runs is audited");
        if !self.storage.is_stopped() {
            audit.follow(&venue.durable)?;
        }
        self.kept = Kept { written: audit.mark, durable: audit.durable };
        let sound = !self.storage.is_stopped() && self.mend_at == u64::MAX;
        if sound && self.random.one_in(2) {
            let session = SessionId(1 + self.random.below(TRADERS.len() as u64) as u32);
            venue.begin_mass_cancel(session);
        }
        self.end_life(kind);
        drop(venue);
        self.go_down();
        Ok(())
    }

    fn any_crash(&mut self) -> Crash {
        *self.random.choose(&[Crash::ProcessDeath, Crash::PowerLoss])
    }

    /// The process, or the whole machine, is gone; the disk stays.
    fn end_life(&mut self, kind: Crash) {
        self.storage = self.storage.crash(kind);
        match kind {
            Crash::ProcessDeath => {
                self.happened.deaths += 1;
                self.tell("the venue's process dies");
            }
            Crash::PowerLoss => {
                self.happened.power_losses += 1;
                self.tell("the power is lost");
                self.lost_power = true;
                self.network.break_all();
                self.clients.iter_mut().for_each(|client| client.lose_connection(self.now));
            }
        }
    }

    /// For the log, which is off unless IRONBOOK_LOG says otherwise.
    fn tell(&self, what: &str) {
        log::info!("{:.6} s: {what}", (self.now - START_NS) as f64 / 1e9);
    }

    // ---- trouble -------------------------------------------------------------------------------

    /// What goes wrong now, if it is time.
    fn make_trouble(&mut self) -> Checked {
        if self.mend_at <= self.now {
            self.mend();
        }
        if self.calm || self.now < self.next_fault {
            return Ok(());
        }
        self.next_fault = self.now + self.random.between(2 * SECOND, 30 * SECOND);
        let mend_at = self.now + self.random.between(SECOND, 20 * SECOND);
        match self.random.below(20) {
            // Deaths, losses and stops are counted where they happen, and are nothing else.
            0..3 => return self.crash(Crash::ProcessDeath),
            3..5 => return self.crash(Crash::PowerLoss),
            5 => {
                self.storage.stop_after(self.random.below(20));
                return Ok(());
            }
            6..8 => {
                self.stop_venue();
                return Ok(());
            }
            8..10 => {
                let sync = self.random.between(100, 1_000) as u32;
                self.set_disk_faults(FaultRates { sync, ..FaultRates::default() });
                self.mend_at = mend_at;
            }
            10..12 => {
                self.set_disk_faults(FaultRates { allocation: 1_000, ..FaultRates::default() });
                self.mend_at = mend_at;
            }
            12 => self.storage.write_back(),
            13..15 => {
                let until = self.now + self.random.between(MS, 3 * SECOND);
                if let Some(venue) = &mut self.venue {
                    venue.stall_core(until);
                    self.undisturbed_since = until;
                }
            }
            15..17 => self.bother(),
            _ => {
                let index = self.random.below(self.clients.len() as u64) as usize;
                self.clients[index].break_off();
            }
        }
        self.happened.faults += 1;
        Ok(())
    }

    /// Somebody connects who is no client, says something, and stays or goes.
    fn bother(&mut self) {
        let far = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        let near = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let Ok(mut stream) = self.network.connect(*self.random.choose(&[far, near])) else {
            return;
        };
        let words: [&[u8]; 3] = [b"", b"GET / HTTP/1.1\r\n\r\n", b"8=FIX.4.4\x019=5\x0135=A\x01"];
        let words = self.random.choose::<&[u8]>(&words);
        let _ = stream.write(words);
        if self.random.one_in(2) {
            self.strangers.push(stream);
            self.strangers.truncate(STRANGERS_MAX);
        }
    }

    fn mend(&mut self) {
        self.mend_at = u64::MAX;
        self.undisturbed_since = self.undisturbed_since.max(self.now);
        self.set_disk_faults(FaultRates::default());
    }

    /// Faults of the disk from now on, and the planted one always.
    fn set_disk_faults(&self, rates: FaultRates) {
        let lies_about_sync = self.settings.plant == Some(Plant::LostSync);
        self.storage.set_fault_rates(FaultRates { lies_about_sync, ..rates });
    }

    fn set_calm(&mut self, calm: bool) {
        self.calm = calm;
        if calm {
            self.mend();
            self.strangers.clear();
            self.start_at = self.start_at.min(self.now + SECOND);
        }
        self.clients.iter_mut().for_each(|client| client.set_calm(calm, self.now));
        self.operators.iter_mut().for_each(|operator| operator.set_calm(calm, self.now));
    }

    /// The last act: a byte on the disk changes. The venue must notice, or have lost nothing.
    fn damage(&mut self) -> Checked {
        self.finish_stop()?;
        if self.storage.is_stopped() {
            self.end_life(Crash::ProcessDeath);
        }
        let mut names = self.storage.names().map_err(unreadable)?;
        names.retain(|name| name.ends_with(".seg") || name.ends_with(".snap"));
        let name = self.random.choose(&names);
        let length = self.storage.file_len(name).map_err(unreadable)?;
        let mask = self.random.between(1, 255) as u8;
        let offset = self.random.below(length);
        self.tell(&format!("byte {offset} of {name} changes by {mask:#04x}"));
        self.storage.flip(name, offset, mask);
        self.end_life(Crash::PowerLoss);
        self.happened.starts += 1;
        match self.start() {
            Ok(venue) if venue.snapshot.is_some() && self.is_found_by_verify()? => {
                // A start reads nothing before its snapshot's segment; it must have lost nothing but what was only
                // written when the power went.
                let audit = self.audit.as_ref().expect("a venue ran before");
                match self.kept.durable == self.kept.written {
                    true => audit.check_engine(venue.core.engine()),
                    false => Ok(()),
                }
            }
            Ok(venue) => {
                self.venue = Some(venue);
                self.check_after_start()
            }
            Err(StartError::Journal(
                OpenError::Corrupt { .. } | OpenError::VersionMismatch { .. },
            )) => Ok(()),
            Err(error) => {
                let what = format!("a changed byte is not called damage: {error}");
                Err(Violation::new(Oracle::Acknowledged, what))
            }
        }
    }

    /// Whether whoever reads all of the journal finds something wrong.
    fn is_found_by_verify(&self) -> Checked<bool> {
        let report = verify_in(&self.storage).map_err(unreadable)?;
        Ok(!report.findings.is_empty())
    }

    // ---- oracles -------------------------------------------------------------------------------

    /// After a start: the journal has what it must have, and what clients were told.
    fn check_after_start(&mut self) -> Checked {
        let venue = self.venue.as_ref().expect("just started");
        let reader = Reader::open_in(Arc::new(self.storage.clone())).map_err(unreadable)?;
        let durable_policy = self.config.venue.acknowledge == Acknowledge::Durable;
        let mut audit = Audit::new(reader, &self.config, Timestamp(self.now));
        let kept = if self.lost_power { self.kept.durable } else { self.kept.written };
        audit.read(Some(kept))?;
        audit.follow(&venue.durable)?;
        let engine = venue.core.engine();
        audit.check_engine(engine)?;
        check_standing_after_start(&audit, engine)?;
        let may_lose = self.lost_power && !durable_policy;
        for client in &mut self.clients {
            client.check_after_restart(&audit, may_lose)?;
        }
        for operator in &mut self.operators {
            operator.check_after_restart(&audit, may_lose)?;
        }
        self.lost_power = false;
        self.audit = Some(audit);
        Ok(())
    }

    /// Everybody behaves for a while, until nothing is under way any more.
    fn come_to_rest(&mut self) -> Checked {
        self.set_calm(true);
        let (least, end) = (self.now + REST_MIN_NS, self.now + REST_MAX_NS);
        while self.now < least {
            self.step()?;
        }
        while let Some(unrest) = self.unrest() {
            ensure(Oracle::Liveness, self.now < end, || format!("no rest: {unrest}"))?;
            self.step()?;
        }
        Ok(())
    }

    fn unrest(&self) -> Option<String> {
        let (Some(venue), Some(audit)) = (&self.venue, &self.audit) else {
            return Some("the venue is down".to_owned());
        };
        if venue.is_stopping() {
            return Some("the venue stops".to_owned());
        }
        let durable = self.config.venue.acknowledge == Acknowledge::Durable;
        if durable && venue.durable.get() < venue.durable.written() {
            // What others read, and compare, is what the files have.
            return Some("the journal is not synced".to_owned());
        }
        let operators = self.operators.iter().find_map(Operator::unrest);
        operators.or_else(|| self.clients.iter().find_map(|client| client.unrest(audit)))
    }

    /// Everything is compared with everything.
    fn check_at_rest(&mut self) -> Checked {
        let venue = self.venue.as_ref().expect("at rest");
        let audit = self.audit.as_ref().expect("at rest");
        let engine = venue.core.engine();
        audit.check_engine(engine)?;
        for client in &self.clients {
            let id = session_id(client.name);
            let orders = engine_orders(engine, |session| client.is_copy || session == id);
            client.check_at_rest(audit, &orders)?;
        }
        self.operators.iter().try_for_each(|operator| operator.check_at_rest(audit))?;
        self.check_replay(state_of(venue.core.engine()))?;
        self.happened.rests += 1;
        Ok(())
    }

    /// A replay of the files gives the state of the engine that wrote them.
    fn check_replay(&self, live: (Sequence, u64)) -> Checked {
        let mut reader = Reader::open_in(Arc::new(self.storage.clone())).map_err(unreadable)?;
        let replayed = play(&mut reader, None)
            .map_err(|error| Violation::new(Oracle::Replay, error.to_string()))?;
        let again = replayed.engine.as_ref().map(state_of);
        ensure(Oracle::Replay, again == Some(live), || {
            format!("the engine is at {live:?}, a replay comes to {again:?}")
        })?;
        let marked = self.audit.as_ref().map(|audit| audit.mark.sequence);
        ensure(Oracle::Replay, marked == Some(replayed.last_sequence.0), || {
            format!("a replay ends at {}, the journal at {marked:?}", replayed.last_sequence)
        })
    }

    /// Adds up what everybody counted.
    fn sum_up(&mut self) {
        for client in &self.clients {
            self.happened.clients.add(&client.counts);
        }
        for operator in &self.operators {
            self.happened.operators.add(&operator.counts);
        }
        if let Some(audit) = &self.audit {
            self.happened.rules = audit.rules.counts.clone();
            self.happened.trades = audit.trades();
            self.happened.requests = audit.requests();
            self.happened.frames = audit.mark.sequence;
        }
        self.happened.simulated_ns = self.now - START_NS;
    }
}

/// A halt ends with its venue; a suspension and a trip do not.
fn check_standing_after_start(audit: &Audit, engine: &Engine) -> Checked {
    let halted = engine.instruments().find(|known| known.status != InstrumentStatus::Open);
    ensure(Oracle::Bounds, halted.is_none(), || format!("halted after a start: {halted:?}"))?;
    for known in engine.sessions() {
        let (cancel_only, tripped, _) = audit.rules.standing_of(known.session);
        let here = (known.risk.status == TradingStatus::CancelOnly, known.risk.trip.is_some());
        ensure(Oracle::Bounds, here == (cancel_only, tripped), || {
            format!("{known:?} after a start, {:?} before", (cancel_only, tripped))
        })?;
    }
    Ok(())
}

fn state_of(engine: &Engine) -> (Sequence, u64) {
    (engine.last_sequence(), engine.state_hash())
}

fn unreadable(error: impl ToString) -> Violation {
    Violation::new(Oracle::Acknowledged, error.to_string())
}

#[cfg(test)]
mod tests {
    use ironbook_gateway::config::{CancelOnDisconnect, SessionConfig};

    use super::*;

    #[test]
    fn measuring_changes_no_byte() {
        for seed in 0..3 {
            let settings = Settings { seed, minutes: 1, plant: None };
            let hash = |stages| {
                let mut world = World::new(settings);
                world.started_with.metrics.stages = stages;
                let ending = world.go();
                assert!(ending.violation.is_none(), "seed {seed}: {:?}", ending.violation);
                assert!(ending.happened.requests > 0, "seed {seed}");
                ending.hash
            };
            assert_eq!(hash(true), hash(false), "seed {seed}");
        }
    }

    /// A venue that does not know of one kind of bound is found by those who do.
    #[test]
    fn each_kind_of_bound_is_missed() {
        const SEEDS: u64 = 20;
        let kinds: [fn(&mut SessionConfig); 6] = [
            |session| session.risk.iter_mut().for_each(|risk| risk.open_orders = 0),
            |session| {
                session.risk.iter_mut().for_each(|risk| risk.open_notional = "0".to_owned());
            },
            |session| {
                session.risk.iter_mut().for_each(|risk| risk.traded_notional = "0".to_owned());
            },
            |session| (session.orders_per_second, session.orders_burst) = (0, 0),
            |session| session.firm = None,
            |session| session.cancel_on_disconnect = CancelOnDisconnect::None,
        ];
        for (kind, loosen) in kinds.into_iter().enumerate() {
            let violation = (0..SEEDS).find_map(|seed| {
                let mut world = World::new(Settings { seed, minutes: 2, plant: None });
                world.started_with.sessions.iter_mut().for_each(loosen);
                if world.started_with.sessions.iter().all(|session| session.firm.is_none()) {
                    world.started_with.firms.clear();
                }
                let is_loose = world.started_with.sessions != world.config.sessions;
                is_loose.then(|| world.go()).and_then(|ending| ending.violation)
            });
            let violation = violation.unwrap_or_else(|| panic!("kind {kind} is not missed"));
            assert_eq!(violation.oracle, Oracle::Bounds, "kind {kind}: {violation}");
        }
    }
}
