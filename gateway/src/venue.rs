//! The composition root: a configuration becomes a running venue.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ironbook_engine::{
    Command, CompId, Engine, EngineLimits, InstrumentId, InstrumentStatus, SessionId, Symbol,
    Timestamp,
    command::{DefineInstrument, DefineSession, Origin, SetInstrumentStatus, SetRiskLimits},
    domain::DisconnectCause,
};
use ironbook_fix::field::Decimal;
use ironbook_journal::{
    DurablePosition, FileStorage, OpenError, Position, Reader, Recovery, SnapshotError, Storage,
    Tail, Writer,
};
use thiserror::Error;

use crate::{
    acceptor::CLOSING_NS_MAX,
    agent::{
        Agent, AgentThread, CLOSE_TURNS_MAX, Composed, IdleStrategy, keep_off, spawn, spawn_lowest,
    },
    audit::Audit,
    clock::{Clock, SystemClock},
    config::{Acknowledge, Config, Cpu, InstrumentConfig, Layout, SessionConfig, StatusConfig},
    core::CoreAgent,
    credentials::Checker,
    dealing::deal,
    desk::SessionSetup,
    follower::{self, Follower},
    gateway::{GatewayAgent, GatewayParts},
    market_data::{MarketDataAgent, MarketDataParts},
    metrics::{self, MetricsAgent},
    network::{Network, Port, TcpNetwork, reserve_descriptors},
    opening::{Opened, Playback, open_journal},
    operator::{self, OperatorAgent, OperatorParts, Socket, SocketError, Standing},
    replay::{Counts, ReplayError, Replayed},
    retention::{Delivered, Retention},
    ring::{RingLevel, ring_for},
    session_record::{Copies, SessionRecord},
    session_throttles::{FirmThrottle, SessionThrottles},
    sessions::{Presence, SessionTable},
    stages::{StageTimes, StageWatches},
    throttle::ThrottleTerms,
};

/// Why a venue does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The journal can't be opened.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The journal can't be read.
    #[error(transparent)]
    Read(#[from] ironbook_journal::ReadError),
    /// The directory's snapshots can't be listed or swept.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The journal has not its first frames, and nothing that makes up for them.
    #[error(
        "journal {dir}: {gone}, and there is no good snapshot to start from; put the segments or a snapshot back",
        dir = dir.display()
    )]
    Gone {
        /// The journal's directory.
        dir: PathBuf,
        /// What is gone.
        gone: String,
    },
    /// The journal does not play back.
    #[error("{source}\nno frame was changed; details: ironbook replay {}", dir.display())]
    Replay {
        /// The journal's directory.
        dir: PathBuf,
        /// What is wrong.
        source: ReplayError,
    },
    /// The configuration contradicts the journal.
    #[error("configuration: {key} is {configured}, but the journal says {journaled}; {advice}")]
    Contradiction {
        /// What differs.
        key: String,
        /// In the configuration.
        configured: String,
        /// In the journal.
        journaled: String,
        /// What to do.
        advice: &'static str,
    },
    /// The configuration itself is wrong.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The port can't be listened on.
    #[error(
        "can't listen on {address}: {source}; choose another with --fix, --market-data or --metrics, or stop what uses it"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The journal has no room for what a start writes into it.
    #[error("{reason}; a start has to write into the journal: make room, then start again")]
    NoRoom {
        /// What holds it up.
        reason: String,
    },
    /// Operators can't be heard.
    #[error(transparent)]
    Operator(#[from] SocketError),
    /// No thread, or no way to wait for sockets.
    #[error("the system refuses a thread or a poll: {0}")]
    System(#[from] io::Error),
}

/// Where a port listens.
#[derive(Clone, Copy, Debug)]
struct Listening {
    address: SocketAddr,
    /// For TLS, if it does.
    tls: Option<SocketAddr>,
}

/// A venue that runs until it is stopped.
pub struct Venue {
    orders: Listening,
    market: Option<Listening>,
    metrics: Option<SocketAddr>,
    operator: Option<PathBuf>,
    stop: Arc<AtomicBool>,
    threads: Vec<AgentThread>,
    ended: Arc<Mutex<Option<Ended>>>,
    durable: DurablePosition,
    audit: Arc<Audit>,
    stages: StageTimes,
    started: Started,
}

/// What a venue found and made at its start.
#[derive(Clone, Debug)]
pub struct Started {
    /// What the journal held, from its first frame on, wherever the replay began.
    pub counts: Counts,
    /// Sequence of the snapshot that the replay began at, if there was a good one.
    pub snapshot: Option<u64>,
    /// Snapshots that were newer and not used, and why.
    pub snapshots_refused: Vec<String>,
    /// Frames that were played back: all, or those behind the snapshot.
    pub replayed_frames: u64,
    /// Bytes of torn frames that were cut off its end, if any.
    pub torn_bytes: Option<u64>,
    /// Live orders brought back.
    pub live_orders: u64,
    /// Hash of the state brought back.
    pub state_hash: u64,
    /// Bytes reserved for the engine and the ring.
    pub reserved_bytes: u64,
    /// Bytes of prepared and mapped journal segments.
    pub journal_bytes: u64,
    /// Agents and the processors that they are pinned to.
    pub threads: Vec<(String, Option<usize>)>,
}

/// How long a stop waits for a storage that is in trouble: longer than for clients to log out, shorter than a thread is
/// asked to finish.
const STORAGE_WAIT_MAX: Duration = Duration::from_secs(4);
const _: () = assert!(STORAGE_WAIT_MAX.as_nanos() > CLOSING_NS_MAX as u128);
const _: () = assert!(STORAGE_WAIT_MAX.as_millis() < CLOSE_TURNS_MAX as u128);

/// What a venue was when it ended.
#[derive(Debug)]
pub struct Ended {
    /// Hash of the final state. Not of what the journal holds where `sync` is an error.
    pub state_hash: u64,
    /// Last sequence of the journal, the same.
    pub last_sequence: u64,
    /// Requests and records that waited for room in the journal in vain: they are not in it, and nobody was told.
    pub left: usize,
    /// What went wrong with the last sync, or before it, if anything.
    pub sync: io::Result<()>,
}

impl Venue {
    /// Starts a venue: opens and replays its journal, makes known what is new in the
    /// configuration, listens.
    ///
    /// Keeps the calling thread off the core's processor from then on ([`keep_off`]): a process
    /// that starts another venue later should name its processors.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong, where, and what to do; no whole frame of the journal is changed.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_and_measure(config, config.metrics.measures_stages())
    }

    /// As [`start`](Self::start), but measures [stages](Self::stages) or not as is said here, for whoever reads them
    /// without metrics.
    ///
    /// # Errors
    /// Those of [`start`](Self::start).
    pub fn start_and_measure(config: &Config, stages: bool) -> Result<Self, StartError> {
        config.check()?;
        // Before there are threads, as it would have to wait for them.
        let ports = 1 + usize::from(config.market_data.listen.is_some());
        reserve_descriptors(ports * config.fix.connections_max);
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let core_cpu = cpu(config.threads.core_cpu, processors.checked_sub(1));
        core_cpu.into_iter().for_each(keep_off);
        let storage: Arc<dyn Storage> = Arc::new(FileStorage::new(&config.venue.data_dir));
        let metrics_network = config.metrics.listen.map(TcpNetwork::listen).transpose()?;
        // Who has the directory open has the ports, too, and says more about it.
        if storage.lock_holder().is_none() {
            try_listening(config)?;
        }
        let playback = Playback::Beside(core_cpu);
        let opened = open_journal(config, &storage, playback, ironbook_journal::open_in)?;
        let (watches, stages) = StageWatches::new(stages, config.threads.gateways);
        let place = Place {
            clock: SystemClock,
            watches,
            storage,
            listen: |port| TcpNetwork::listen_as(config, port),
        };
        let Parts {
            mut gateways,
            mut market_data,
            core,
            follower,
            audit,
            durable,
            mut started,
            watched,
            operated,
        } = assemble(config, opened, place)?;
        let operated = match operated {
            Some(parts) => Some((parts, Socket::listen(&config.venue.data_dir)?)),
            None => None,
        };
        if config.sessions.iter().any(|session| session.password.is_some()) {
            gateways[0].check_passwords_with(Checker::aside()?);
            if let Some(agent) = &mut market_data {
                agent.check_passwords_with(Checker::aside()?);
            }
        }
        let orders = Listening { address: gateways[0].address(), tls: gateways[0].tls_address() };
        let market = market_data
            .as_ref()
            .map(|agent| Listening { address: agent.address(), tls: agent.tls_address() });
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::new(Mutex::new(None));
        let core = CoreThread { core: Some(core), ended: ended.clone() };
        let cpus = (core_cpu, processors);
        let of_orders = gateways.iter().map(GatewayAgent::counters).collect();
        let mut ports = vec![(metrics::PORT_OF_ORDERS, of_orders)];
        ports.extend(market_data.iter().map(|agent| ("market_data", vec![agent.counters()])));
        let agents = Agents { gateways, core, follower };
        let mut threads = start_threads(config, agents, &stop, &mut started, cpus)?;
        if let Some(agent) = market_data {
            let name = "market data";
            let idle = IdleStrategy::parking(Duration::from_millis(config.market_data.interval_ms));
            threads.push(spawn(name, agent, idle, None, stop.clone())?);
            started.threads.push((name.to_owned(), None));
        }
        let mut operator = None;
        if let Some((parts, socket)) = operated {
            let name = "operator";
            operator = Some(socket.path().to_owned());
            let agent = OperatorAgent::new(parts, SystemClock, socket);
            let idle = IdleStrategy::parking(operator::PARK_MAX);
            threads.push(spawn(name, agent, idle, None, stop.clone())?);
            started.threads.push((name.to_owned(), None));
        }
        let mut metrics = None;
        if let (Some(network), Some(watched)) = (metrics_network, watched) {
            let name = "metrics";
            let Watched { tail, sequence, sessions, comp_ids, followers, followed, ring } = watched;
            let sources = metrics::Sources {
                tail,
                sequence,
                sessions,
                comp_ids,
                started: SystemClock.now(),
                stages: stages.clone(),
                durable: durable.clone(),
                followers,
                ring,
                ports,
                agents: threads.iter().map(AgentThread::counters).collect(),
                audit: audit.clone(),
            };
            let mut agent = MetricsAgent::new(sources, followed, SystemClock, network);
            if config.metrics.measures_stages() && config.metrics.stages_bytes > 0 {
                agent.keep_stages(&config.venue.data_dir, config.metrics.stages_bytes);
            }
            metrics = Some(agent.address());
            let idle = IdleStrategy::parking(metrics::PARK_MAX);
            threads.push(spawn(name, agent, idle, None, stop.clone())?);
            started.threads.push((name.to_owned(), None));
        }
        Ok(Self {
            orders,
            market,
            metrics,
            operator,
            stop,
            threads,
            ended,
            durable,
            audit,
            stages,
            started,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.orders.address
    }

    /// Where it listens for TLS, if it does.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.orders.tls
    }

    /// Where it listens for market data, if it does.
    pub fn market_data_address(&self) -> Option<SocketAddr> {
        Some(self.market?.address)
    }

    /// Where it listens for market data over TLS, if it does.
    pub fn market_data_tls_address(&self) -> Option<SocketAddr> {
        self.market?.tls
    }

    /// Where it hands out metrics, if it does.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Where it listens to operators, if it does.
    pub fn operator_path(&self) -> Option<&Path> {
        self.operator.as_deref()
    }

    /// What orders take their time for, at any time from now on, where that is measured.
    pub fn stages(&self) -> &StageTimes {
        &self.stages
    }

    /// What it found and made at its start.
    pub fn started(&self) -> &Started {
        &self.started
    }

    /// Segments of the journal that are ready behind the current one; `journal.prepared_ahead` when nothing is left
    /// to be done.
    pub fn segments_ahead(&self) -> u64 {
        self.durable.prepared_ahead()
    }

    /// What the storage can't do at the moment, in words, if anything.
    pub fn storage_status(&self) -> Option<String> {
        self.durable.status()
    }

    /// What the audit found wrong with this venue, in words, if anything: then all instruments are
    /// halted, or there are no snapshots any more.
    pub fn audit_status(&self) -> Option<String> {
        self.audit.status()
    }

    /// What to tell when another process has taken the journal over, if one has. Nothing is matched
    /// any more then, and nothing said: the venue is to be ended.
    pub fn taken_over(&self) -> Option<&str> {
        self.durable.taken_over()
    }

    /// Whether a thread ended by itself, which only a bug brings about.
    pub fn has_failed(&self) -> bool {
        self.threads.iter().any(AgentThread::is_finished)
    }

    /// Drains, logs clients out, syncs and closes the journal. What waits for a storage that is in trouble is left undone
    /// after 4 s.
    pub fn stop(self) -> Option<Ended> {
        self.stop.store(true, Ordering::Relaxed);
        let since = Instant::now();
        while since.elapsed() < STORAGE_WAIT_MAX
            && !self.threads.iter().all(AgentThread::is_finished)
        {
            thread::sleep(Duration::from_millis(1));
        }
        self.durable.end_patience();
        for thread in self.threads {
            thread.join();
        }
        self.ended.lock().ok()?.take()
    }
}

/// Listens on all ports for a moment, before there is a journal: a start that can't have one of them, or has no good
/// certificate, makes nothing known. Clients are let in when all else is ready.
fn try_listening(config: &Config) -> Result<(), StartError> {
    let _orders = TcpNetwork::listen_as(config, Port::Orders)?;
    let market = config.market_data.listen.map(Port::MarketData);
    let _market = market.map(|port| TcpNetwork::listen_as(config, port)).transpose()?;
    Ok(())
}

/// Where a venue is put together: the machine, or a simulation of one.
pub struct Place<C, L> {
    /// Tells the time.
    pub clock: C,
    /// What stages are measured with.
    pub watches: StageWatches,
    /// Holds the journal.
    pub storage: Arc<dyn Storage>,
    /// Opens a network, once all else is ready.
    pub listen: L,
}

/// A venue put together, to be given threads or to be stepped by hand.
pub struct Parts<C, N: Network> {
    /// Sessions that send orders, and their connections. The first one takes these; its address is the venue's.
    pub gateways: Vec<GatewayAgent<C, N>>,
    /// Those that are told of the market, if there are any.
    pub market_data: Option<MarketDataAgent<C, N>>,
    /// Engine and journal.
    pub core: CoreAgent<C>,
    /// A second engine behind the first, which writes snapshots.
    pub follower: Follower<Tail, C>,
    /// What the follower finds wrong.
    pub audit: Arc<Audit>,
    /// How far the journal is written, and how far it is durable.
    pub durable: DurablePosition,
    /// What was found and made.
    pub started: Started,
    /// What metrics are made of, if they are configured.
    pub watched: Option<Watched>,
    /// What operators act by, if they are configured.
    pub operated: Option<OperatorParts>,
}

/// What a venue is watched by: the journal from its start on, and how far all are who follow it.
pub struct Watched {
    /// The journal, from where `sessions` stand.
    pub tail: Tail,
    /// Sequence of the last frame before that.
    pub sequence: u64,
    /// Sequence numbers of all sessions.
    pub sessions: SessionTable,
    /// Those of the configuration, with their comp ids.
    pub comp_ids: Vec<(SessionId, String)>,
    /// How far those are who follow the journal, by name.
    pub followers: Vec<(String, Delivered)>,
    /// To be told how far the watcher is: no segment is removed that it has not read.
    pub followed: Delivered,
    /// How full the ring is.
    pub ring: RingLevel,
}

/// The start of a venue from an opened journal on: makes known what is new in the configuration, listens.
///
/// # Errors
/// [`StartError`] says what is wrong, where, and what to do.
pub fn assemble<C, N, L>(
    config: &Config,
    opened: Opened<Writer>,
    place: Place<C, L>,
) -> Result<Parts<C, N>, StartError>
where
    C: Clock,
    N: Network,
    L: FnMut(Port) -> Result<N, StartError>,
{
    let Place { clock, watches, storage, mut listen } = place;
    let Opened { journal, recovery, snapshot, refused, before, replayed, mut sessions } = opened;
    let counts = replayed.counts;
    let follower = follower_start(&replayed, &sessions, &recovery, before.commands);
    let mut settings = follower_settings(config, storage.clone(), &journal);
    let mut slots = vec![config.threads.ring_slots; config.threads.gateways];
    slots.extend(config.operator.enabled.then_some(operator::SLOTS));
    let (mut inputs, outputs) = ring_for(&slots);
    let of_operator = inputs.split_off(config.threads.gateways).pop();
    let ring = inputs[0].level();
    let durable = journal.durable();
    let (mut tail, mut followed, mut shown) = (journal.tail(), journal.tail(), journal.tail());
    let tails: Vec<_> = inputs.iter().map(|_| journal.tail()).collect();
    let watching = config.metrics.listen.map(|_| journal.tail());
    let of_operator = of_operator.map(|inputs| (inputs, journal.tail()));
    let limits = config.engine_limits();
    let engine = replayed.engine.unwrap_or_else(|| Engine::new(limits));
    let mut core = CoreAgent::new(outputs, replayed.sequencer, engine, journal, clock.clone());
    core.measure_with(watches.core);
    announce(&mut core, config, &limits, counts.commands == 0, clock.now())?;
    for tail in [&mut tail, &mut followed] {
        tail.seek(replayed.end.unwrap_or(Position::START));
    }
    let setups = announce_sessions(&mut core, &sessions, config, clock.now())?;
    // All that were ever there have numbers from 1 on.
    let mut sequence = counts.frames;
    while let Some(frame) = tail.next()? {
        sequence = frame.sequence;
        let _ = sessions.fold(&frame);
    }
    core.touch_memory();
    let engine = core.engine();
    let started = Started {
        counts,
        snapshot,
        snapshots_refused: refused,
        replayed_frames: counts.frames - before.frames,
        torn_bytes: recovery.torn.as_ref().map(|torn| torn.bytes_cut),
        live_orders: engine.totals().live_orders.into(),
        state_hash: engine.state_hash(),
        reserved_bytes: engine.memory_bytes() as u64,
        journal_bytes: config.journal.segment_bytes
            * (1 + u64::from(config.journal.prepared_ahead)),
        threads: Vec::new(),
    };
    let instruments: Vec<_> = engine.instruments().collect();
    let observed = tail.position();
    let gate = (config.venue.acknowledge == Acknowledge::Durable).then(|| durable.clone());
    let operated = of_operator.map(|(inputs, mut tail)| {
        tail.seek(observed);
        let followed = Delivered::default();
        followed.set(observed);
        OperatorParts {
            inputs,
            tail,
            standing: Standing::of(engine),
            sequence,
            durable: durable.clone(),
            waits_for_disk: gate.is_some(),
            audit: core.audit(),
            followed,
        }
    });
    let mut watched = watching.map(|mut tail| {
        tail.seek(observed);
        let named = |setup: &SessionSetup| (setup.id, setup.config.comp_id.clone());
        let comp_ids = setups.iter().map(named).collect();
        let sessions = sessions.clone();
        let followed = Delivered::default();
        followed.set(observed);
        Watched { tail, sequence, sessions, comp_ids, followers: Vec::new(), followed, ring }
    });
    let mut gateways = Vec::new();
    let hands = deal(setups, inputs.len());
    for (((hand, mut inputs), mut tail), watches) in
        hands.into_iter().zip(inputs).zip(tails).zip(watches.gateways)
    {
        tail.seek(observed);
        inputs.measure_with(watches.hand_over);
        let port = if hand.gateway == 0 { Port::Orders } else { Port::HandedOver };
        let ids: Vec<_> = hand.sessions.iter().map(|setup| setup.id).collect();
        let parts = GatewayParts {
            inputs,
            tail,
            durable: gate.clone(),
            sessions: sessions.for_sessions(&ids),
            hand,
            instruments: instruments.clone(),
            resend: Reader::open_in(storage.clone())?,
            watch: watches.turns,
        };
        gateways.push(GatewayAgent::new(config, parts, clock.clone(), listen(port)?)?);
    }
    GatewayAgent::hand_over_between(&mut gateways);
    settings.delivered.extend(gateways.iter().map(GatewayAgent::delivered));
    let market_data = match config.market_data.listen {
        None => None,
        Some(address) => {
            shown.seek(observed);
            let parts = MarketDataParts { engine: core.engine(), tail: shown, durable: gate };
            let network = listen(Port::MarketData(address))?;
            let agent = MarketDataAgent::new(config, parts, clock.clone(), network)?;
            settings.delivered.push(agent.delivered());
            Some(agent)
        }
    };
    let audit = core.audit();
    let (audited, synced) = (audit.clone(), durable.clone());
    settings.delivered.extend(watched.iter().map(|watched| watched.followed.clone()));
    settings.delivered.extend(operated.iter().map(|operated| operated.followed.clone()));
    let follower = Follower::new(follower, followed, clock, audited, synced, settings);
    if let Some(watched) = &mut watched {
        let of_gateways = gateways.iter().enumerate();
        let of_gateways = of_gateways
            .map(|(number, agent)| (gateway_name(number, gateways.len()), agent.delivered()));
        let of_market = market_data.as_ref().map(|agent| ("market_data", agent.delivered()));
        let of_operator = operated.as_ref().map(|parts| ("operator", parts.followed.clone()));
        let others = [("follower", follower.followed())]
            .into_iter()
            .chain(of_market)
            .chain(of_operator)
            .chain([("metrics", watched.followed.clone())]);
        let others = others.map(|(name, delivered)| (name.to_owned(), delivered));
        watched.followers = of_gateways.chain(others).collect();
    }
    Ok(Parts { gateways, market_data, core, follower, audit, durable, started, watched, operated })
}

/// Name of a gateway by its number, from 0, among so many, for threads and metrics.
fn gateway_name(number: usize, gateways: usize) -> String {
    match gateways {
        1 => "gateway".to_owned(),
        _ => format!("gateway{}", number + 1),
    }
}

/// Where the follower begins: at the end of what was played back.
fn follower_start(
    replayed: &Replayed,
    sessions: &SessionTable,
    recovery: &Recovery,
    snapshot_commands: u64,
) -> follower::Start {
    let state = replayed.engine.as_ref().map(|engine| {
        let mut state = Vec::new();
        engine.write_state(&mut state);
        state
    });
    follower::Start {
        replayed: replayed.without_engine(),
        state,
        sessions: sessions.clone(),
        running_hash: recovery.running_hash,
        snapshot_commands,
    }
}

fn follower_settings(
    config: &Config,
    storage: Arc<dyn Storage>,
    journal: &Writer,
) -> follower::Settings {
    follower::Settings {
        every_commands: config.snapshot.every_commands,
        storage,
        segment_bytes: journal.segment_bytes(),
        retention: Retention {
            keep: config.snapshot.keep,
            old_segments: config.journal.old_segments,
        },
        delivered: Vec::new(),
        lock: journal.hold_lock(),
    }
}

/// Symbols of instruments that are left out, in a warning.
const SYMBOLS_TOLD: usize = 10;

/// Journals limits and instruments that the journal does not know yet.
fn announce<C: Clock>(
    core: &mut CoreAgent<C>,
    config: &Config,
    limits: &EngineLimits,
    fresh: bool,
    now: Timestamp,
) -> Result<(), StartError> {
    let known = *core.engine().limits();
    let grown = EngineLimits {
        orders_max: known.orders_max.max(limits.orders_max),
        instruments_max: known.instruments_max.max(limits.instruments_max),
        sessions_max: known.sessions_max.max(limits.sessions_max),
        closed_orders_kept: known.closed_orders_kept.max(limits.closed_orders_kept),
        ..*limits
    };
    if fresh || grown != known {
        apply_now(core, grown)?;
    }
    for (key, configured, stays) in [
        ("orders_max", limits.orders_max, grown.orders_max),
        ("instruments_max", limits.instruments_max, grown.instruments_max),
        ("sessions_max", limits.sessions_max, grown.sessions_max),
        ("closed_orders_kept", limits.closed_orders_kept, grown.closed_orders_kept),
    ] {
        if configured < stays {
            log::warn!(
                "engine.{key} = {configured}: the journal has {stays}, which stays; limits only grow while a journal lasts"
            );
        }
    }
    for instrument in &config.instruments {
        announce_instrument(core, instrument, now)?;
    }
    let configured: BTreeSet<_> =
        config.instruments.iter().map(|instrument| instrument.symbol.as_bytes()).collect();
    let left_out: Vec<_> = core
        .engine()
        .instruments()
        .map(|known| known.definition.symbol)
        .filter(|symbol| !configured.contains(symbol.as_bytes()))
        .collect();
    if !left_out.is_empty() {
        let named: Vec<_> = left_out.iter().take(SYMBOLS_TOLD).map(Symbol::to_string).collect();
        log::warn!(
            "{} instruments are of the journal, not of the configuration, and keep their status: {}{}; to end trading in one \
             give it status = \"closed\"",
            left_out.len(),
            named.join(", "),
            if left_out.len() > named.len() { ", ..." } else { "" }
        );
    }
    Ok(())
}

fn announce_instrument<C: Clock>(
    core: &mut CoreAgent<C>,
    config: &InstrumentConfig,
    now: Timestamp,
) -> Result<(), StartError> {
    let terms = config.terms()?;
    let symbol = Symbol::try_from(config.symbol.as_str()).unwrap_or_default();
    let known = core.engine().instrument_by_symbol(&symbol).map(|known| known.definition);
    let id = known.map_or_else(
        || InstrumentId(core.engine().instruments().len() as u32 + 1),
        |known| known.instrument,
    );
    let mut definition = DefineInstrument::new(
        id,
        symbol,
        terms.price_scale,
        terms.qty_scale,
        terms.tick,
        terms.lot,
    );
    definition.order_qty_max = terms.order_qty_max;
    definition.price_max = terms.price_max;
    match known {
        None => apply_now(core, definition)?,
        Some(known) if known != definition => {
            let (configured, journaled) = differing(config, &definition, &known);
            return Err(StartError::Contradiction {
                key: format!("instrument {}", config.symbol),
                configured,
                journaled,
                advice: "an instrument keeps its terms while its journal lasts: use the old terms, another symbol, or another data directory",
            });
        }
        Some(_) => {}
    }
    let status = match config.status {
        StatusConfig::Open => InstrumentStatus::Open,
        StatusConfig::Halted => InstrumentStatus::Halted,
        StatusConfig::Closed => InstrumentStatus::Closed,
    };
    if core.engine().instrument(id).is_some_and(|known| known.status != status) {
        let origin = Origin::venue(now);
        apply_now(core, SetInstrumentStatus::new(origin, id, status))?;
    }
    Ok(())
}

/// Terms that differ, as the configuration has them: its own, and those of the journal.
fn differing(
    config: &InstrumentConfig,
    configured: &DefineInstrument,
    journaled: &DefineInstrument,
) -> (String, String) {
    let price = |of: &DefineInstrument, price| Decimal::new(price, of.price_scale);
    let qty = |of: &DefineInstrument, qty| Decimal::new(qty, of.qty_scale);
    let terms = |of: &DefineInstrument| {
        [
            ("tick", price(of, of.tick)),
            ("lot", qty(of, of.lot)),
            ("price_max", price(of, of.price_max)),
            ("order_qty_max", qty(of, of.order_qty_max)),
        ]
    };
    let (ours, theirs) = (terms(configured), terms(journaled));
    // A bound that is not configured follows from its step.
    let is_told = [true, true, config.price_max.is_some(), config.order_qty_max.is_some()];
    let differ: Vec<_> = (0..ours.len()).filter(|&place| ours[place] != theirs[place]).collect();
    let told: Vec<_> = differ.iter().copied().filter(|&place| is_told[place]).collect();
    let told = if told.is_empty() { differ } else { told };
    let words = |terms: [(&str, Decimal); 4]| {
        let words = told.iter().map(|&place| format!("{} {}", terms[place].0, terms[place].1));
        words.collect::<Vec<_>>().join(", ")
    };
    (words(ours), words(theirs))
}

/// Journals sessions, risk limits, roles and throttles that the journal does not know yet, and whose connection was
/// lost with the venue that wrote it. Who may only cancel stays so.
fn announce_sessions<C: Clock>(
    core: &mut CoreAgent<C>,
    table: &SessionTable,
    config: &Config,
    now: Timestamp,
) -> Result<Vec<SessionSetup>, StartError> {
    let mut ids = Vec::new();
    for session in &config.sessions {
        let comp_id = CompId::try_from(session.comp_id.as_str()).unwrap_or_default();
        let known = core.engine().sessions().find(|known| known.comp_id == comp_id);
        let id = match known {
            Some(known) => known.session,
            None => {
                let id = SessionId(core.engine().sessions().len() as u32 + 1);
                apply_now(core, DefineSession::new(id, comp_id))?;
                id
            }
        };
        ids.push(id);
        let limits = config.risk_limits_of(session)?;
        if core.engine().session(id).is_some_and(|known| known.risk.limits != limits) {
            apply_now(core, SetRiskLimits::new(Origin::venue(now), id, limits))?;
        }
    }
    let firms = config.throttled_firms()?;
    let mut setups = Vec::new();
    for (session, &id) in config.sessions.iter().zip(&ids) {
        let known = table.get(id);
        if known.is_some_and(|known| known.presence == Presence::LoggedOn) {
            let cause = DisconnectCause::VenueDown;
            record_now(core, SessionRecord::Lost { session: id, cause })?;
        }
        let copies = copies(config, session, &ids);
        if known.map_or(&Copies::None, |known| &known.copies) != &copies {
            record_now(core, SessionRecord::Role { session: id, copies })?;
        }
        let throttles = throttles(session, &firms)?;
        let before = known.map(|known| known.throttles.clone()).unwrap_or_default();
        for record in throttles.records_since(&before, id) {
            record_now(core, record)?;
        }
        setups.push(SessionSetup { id, config: session.clone() });
    }
    // Who is configured no more bounds nobody, and is of no firm.
    let known = (1..).map(SessionId).map_while(|id| Some((id, table.get(id)?)));
    for (id, known) in known.filter(|(id, _)| !ids.contains(id)) {
        for record in SessionThrottles::default().records_since(&known.throttles, id) {
            record_now(core, record)?;
        }
    }
    Ok(setups)
}

/// Applies a command of a start, if the journal has room for it.
fn apply_now<C: Clock>(
    core: &mut CoreAgent<C>,
    command: impl Into<Command>,
) -> Result<(), StartError> {
    let command = command.into();
    let room = core.wait_for_room(command.payload().len());
    room.map_err(|reason| StartError::NoRoom { reason })?;
    core.apply_now(command);
    Ok(())
}

/// The same with a session record.
fn record_now<C: Clock>(core: &mut CoreAgent<C>, record: SessionRecord) -> Result<(), StartError> {
    let room = core.wait_for_room(record.payload().len());
    room.map_err(|reason| StartError::NoRoom { reason })?;
    core.record_now(record);
    Ok(())
}

/// What bounds the orders of a session; `firms` are those whose sessions have a bound together.
fn throttles(
    session: &SessionConfig,
    firms: &[(&str, ThrottleTerms)],
) -> Result<SessionThrottles, StartError> {
    let firm = session.firm.as_ref().map(|name| {
        let terms = firms.iter().find(|(firm, _)| firm == name).map(|(_, terms)| *terms);
        FirmThrottle { name: name.clone(), terms }
    });
    Ok(SessionThrottles { own: session.throttle()?, firm })
}

/// Whose reports a session gets copies of; `ids` are those of the sessions of the configuration.
fn copies(config: &Config, session: &SessionConfig, ids: &[SessionId]) -> Copies {
    if !session.read_only {
        return Copies::None;
    }
    let is_copied = |other: &SessionConfig| match session.copies.is_empty() {
        true => !other.read_only && other.firm == session.firm,
        false => session.copies.contains(&other.comp_id),
    };
    if session.copies.is_empty() && session.firm.is_none() {
        return Copies::All;
    }
    let all = config.sessions.iter().zip(ids);
    Copies::of(all.filter(|(other, _)| is_copied(other)).map(|(_, id)| *id))
}

/// The core on its thread, which closes the journal at the end.
struct CoreThread<C> {
    core: Option<CoreAgent<C>>,
    ended: Arc<Mutex<Option<Ended>>>,
}

impl<C: Clock> Agent for CoreThread<C> {
    #[inline]
    fn do_work(&mut self) -> usize {
        self.core.as_mut().map_or(0, CoreAgent::do_work)
    }

    fn must_look(&self) -> bool {
        self.core.as_ref().is_some_and(CoreAgent::must_look)
    }

    fn close(&mut self) -> bool {
        let Some(mut core) = self.core.take() else { return true };
        if !core.close() {
            self.core = Some(core);
            return false;
        }
        let left = core.left();
        let (engine, journal) = core.into_journal();
        let ended = Ended {
            state_hash: engine.state_hash(),
            last_sequence: journal.next_sequence() - 1,
            left,
            sync: journal.close(),
        };
        if let Ok(mut place) = self.ended.lock() {
            *place = Some(ended);
        }
        true
    }
}

/// Agents that end one after the other.
struct Agents<C, N: Network> {
    gateways: Vec<GatewayAgent<C, N>>,
    core: CoreThread<C>,
    follower: Follower<Tail, C>,
}

fn start_threads<C: Clock, N: Network>(
    config: &Config,
    Agents { mut gateways, core, follower }: Agents<C, N>,
    stop: &Arc<AtomicBool>,
    started: &mut Started,
    (core_cpu, processors): (Option<usize>, usize),
) -> Result<Vec<AgentThread>, StartError> {
    let threads = &config.threads;
    let idle = IdleStrategy::new(threads);
    let shared = match threads.layout {
        Layout::Shared => true,
        Layout::Dedicated => false,
        Layout::Auto => gateways.len() == 1 && processors < DEDICATED_FROM,
    };
    let core_stopped = Arc::new(AtomicBool::new(false));
    let mut spawned = Vec::new();
    if shared {
        assert_eq!(gateways.len(), 1, "refused by the configuration");
        started.threads = vec![("gateway+core".to_owned(), core_cpu)];
        let both = Composed(gateways.remove(0), core);
        let last = Last { agent: both, _stopped: SetAtEnd(core_stopped.clone()).into() };
        spawned.push(spawn("gateway+core", last, idle.fed_by_park(), core_cpu, stop.clone())?);
    } else {
        let many = gateways.len();
        if many > 1 && many >= processors {
            log::warn!(
                "threads.gateways = {many}: {many} gateways and the core have {processors} processors, and wait for each other"
            );
        }
        let first_cpu = cpu(threads.gateway_cpu, processors.checked_sub(2));
        let gateways_stopped = Arc::new(AtomicBool::new(false));
        let all_stopped = Arc::new(SetAtEnd(gateways_stopped.clone()));
        for (number, gateway) in gateways.into_iter().enumerate() {
            let name = gateway_name(number, many);
            let cpu = first_cpu.and_then(|first| first.checked_sub(number));
            // That of the core is taken; the system places whoever has no other.
            let cpu = cpu.filter(|cpu| number == 0 || Some(*cpu) != core_cpu);
            let last = Last { agent: gateway, _stopped: all_stopped.clone() };
            spawned.push(spawn(&name, last, idle, cpu, stop.clone())?);
            started.threads.push((name, cpu));
        }
        let core = Last { agent: core, _stopped: SetAtEnd(core_stopped.clone()).into() };
        spawned.push(spawn("core", core, idle, core_cpu, gateways_stopped)?);
        started.threads.push(("core".to_owned(), core_cpu));
    }
    let rarely = IdleStrategy::parking(follower::INTERVAL_MAX);
    spawned.push(spawn_lowest("follower", follower, rarely, core_stopped)?);
    Ok(spawned)
}

/// Processors from which on gateway and core have a thread each.
const DEDICATED_FROM: usize = 4;

fn cpu(configured: Cpu, auto: Option<usize>) -> Option<usize> {
    match configured {
        Cpu::Auto => auto,
        Cpu::None => None,
        Cpu::Index(index) => Some(index),
    }
}

/// An agent that says when it has finished, so that the one it feeds can finish after it.
struct Last<A> {
    agent: A,
    /// Of all those who feed the same.
    _stopped: Arc<SetAtEnd>,
}

/// A flag that is set when the last of those who hold it has ended, whatever ended it.
struct SetAtEnd(Arc<AtomicBool>);

impl Drop for SetAtEnd {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<A: Agent> Agent for Last<A> {
    #[inline]
    fn do_work(&mut self) -> usize {
        self.agent.do_work()
    }

    fn park(&mut self, limit: Duration) {
        self.agent.park(limit);
    }

    fn must_look(&self) -> bool {
        self.agent.must_look()
    }

    fn close(&mut self) -> bool {
        self.agent.close()
    }
}

/// The journal's directory of a configuration, as an absolute path where there is one.
pub fn data_dir(config: &Config) -> PathBuf {
    std::path::absolute(&config.venue.data_dir).unwrap_or_else(|_| config.venue.data_dir.clone())
}
