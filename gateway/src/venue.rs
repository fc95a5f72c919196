//! The composition root: a configuration becomes a running venue.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use ironbook_engine::{
    Command, CompId, Engine, EngineLimits, InstrumentId, InstrumentStatus, SessionId, Symbol,
    command::{DefineInstrument, DefineSession, Origin, SetInstrumentStatus},
};
use ironbook_journal::{DurablePosition, OpenError, Options, Reader, Recovery, Writer};
use thiserror::Error;

use crate::{
    acceptor::{GatewayAgent, GatewayParts},
    agent::{Agent, AgentThread, Composed, IdleStrategy, keep_off, spawn},
    clock::{Clock, SystemClock},
    config::{Acknowledge, Config, Cpu, Layout, StatusConfig},
    core::CoreAgent,
    desk::SessionSetup,
    replay::{Counts, PlayError, ReplayError, Replayed, play, read_sessions},
    ring::ring,
    session_record::SessionRecord,
    sessions::SessionTable,
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
    /// The journal does not play back.
    #[error("{0}\nnothing was changed; details: ironbook replay DIR")]
    Replay(#[from] ReplayError),
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
    #[error("can't listen on {address}: {source}; choose another with --fix or stop what uses it")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No thread, or no way to wait for sockets.
    #[error("the system refuses a thread or a poll: {0}")]
    System(#[from] io::Error),
}

impl From<PlayError> for StartError {
    fn from(error: PlayError) -> Self {
        match error {
            PlayError::Read(error) => error.into(),
            PlayError::Replay(error) => error.into(),
        }
    }
}

/// A venue that runs until it is stopped.
pub struct Venue {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<AgentThread>,
    ended: Arc<Mutex<Option<Ended>>>,
    durable: DurablePosition,
    started: Started,
}

/// What a venue found and made at its start.
#[derive(Clone, Debug)]
pub struct Started {
    /// What the journal held.
    pub counts: Counts,
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

/// What a venue was when it ended.
#[derive(Debug)]
pub struct Ended {
    /// Hash of the final state.
    pub state_hash: u64,
    /// Last sequence of the journal.
    pub last_sequence: u64,
    /// What went wrong with the last sync, if anything.
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
    /// [`StartError`] says what is wrong, where, and what to do; the journal is left as it was.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        config.check()?;
        let clock = SystemClock;
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let core_cpu = cpu(config.threads.core_cpu, processors.checked_sub(1));
        core_cpu.into_iter().for_each(keep_off);
        let (journal, recovery) = open_journal(config)?;
        let (replayed, mut sessions) = replay(&config.venue.data_dir, &recovery)?;
        let counts = replayed.counts;
        let (inputs, outputs) = ring(config.threads.ring_slots);
        let durable = journal.durable();
        let mut tail = journal.tail();
        let limits = config.engine_limits();
        let engine = replayed.engine.unwrap_or_else(|| Engine::new(limits));
        let mut core = CoreAgent::new(outputs, replayed.sequencer, engine, journal, clock);
        announce(&mut core, config, &limits, counts.commands == 0)?;
        tail.seek(replayed.end.unwrap_or(ironbook_journal::Position::START));
        let setups = announce_sessions(&mut core, &sessions, config)?;
        while let Some(frame) = tail.next()? {
            let _ = sessions.fold(&frame);
        }
        core.touch_memory();
        let engine = core.engine();
        let mut started = Started {
            counts,
            torn_bytes: recovery.torn.as_ref().map(|torn| torn.bytes_cut),
            live_orders: engine.totals().live_orders.into(),
            state_hash: engine.state_hash(),
            reserved_bytes: engine.memory_bytes() as u64,
            journal_bytes: config.journal.segment_bytes
                * (1 + u64::from(config.journal.prepared_ahead)),
            threads: Vec::new(),
        };
        let symbols = engine
            .instruments()
            .map(|known| (known.definition.symbol, known.definition.instrument))
            .collect();
        let parts = GatewayParts {
            inputs,
            tail,
            durable: (config.venue.acknowledge == Acknowledge::Durable).then(|| durable.clone()),
            sessions,
            setups,
            symbols,
            resend: Reader::open(&config.venue.data_dir)?,
        };
        let gateway = GatewayAgent::new(config, parts, clock)?;
        let address = gateway.address();
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::new(Mutex::new(None));
        let core = CoreThread { core: Some(core), ended: ended.clone() };
        let cpus = (core_cpu, processors);
        let threads = start_threads(config, gateway, core, &stop, &mut started, cpus)?;
        Ok(Self { address, stop, threads, ended, durable, started })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it found and made at its start.
    pub fn started(&self) -> &Started {
        &self.started
    }

    /// What the storage can't do at the moment, in words, if anything.
    pub fn storage_status(&self) -> Option<String> {
        self.durable.status()
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

    /// Drains, logs clients out, syncs and closes the journal.
    pub fn stop(self) -> Option<Ended> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join();
        }
        self.ended.lock().ok()?.take()
    }
}

fn open_journal(config: &Config) -> Result<(Writer, Recovery), StartError> {
    let sync_interval = match config.venue.acknowledge {
        Acknowledge::Durable => Duration::ZERO,
        Acknowledge::Written => Duration::from_millis(config.journal.sync_interval_ms),
    };
    let mut build_id = [0; 32];
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    build_id[..version.len()].copy_from_slice(version);
    let options = Options {
        segment_bytes: config.journal.segment_bytes,
        prepared_ahead: config.journal.prepared_ahead,
        sync_interval,
        build_id,
        config_hash: config_hash(config),
    };
    Ok(ironbook_journal::open(&config.venue.data_dir, options)?)
}

/// Tells configurations apart in segment headers: FNV-1a over the effective configuration as text.
fn config_hash(config: &Config) -> u64 {
    let text = crate::config::render(config);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Plays back what the journal holds, and reads the sequence numbers of its sessions meanwhile.
fn replay(dir: &Path, recovery: &Recovery) -> Result<(Replayed, SessionTable), StartError> {
    if recovery.frames == 0 {
        return Ok(Default::default());
    }
    let (mut reader, mut second) = (Reader::open(dir)?, Reader::open(dir)?);
    // Opening the journal has just checked every byte.
    reader.set_verify(false);
    second.set_verify(false);
    thread::scope(|scope| {
        let sessions = thread::Builder::new()
            .name("sessions".to_owned())
            .spawn_scoped(scope, move || read_sessions(&mut second, None))?;
        let replayed = play(&mut reader, None)?;
        let sessions = sessions.join().map_err(|_| io::Error::other("a reader panicked"))?;
        Ok((replayed, sessions?))
    })
}

/// Journals limits and instruments that the journal does not know yet.
fn announce<C: Clock>(
    core: &mut CoreAgent<C>,
    config: &Config,
    limits: &EngineLimits,
    fresh: bool,
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
        core.apply_now(Command::Limits(grown));
    }
    for instrument in &config.instruments {
        announce_instrument(core, instrument)?;
    }
    Ok(())
}

fn announce_instrument<C: Clock>(
    core: &mut CoreAgent<C>,
    config: &crate::config::InstrumentConfig,
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
        None => core.apply_now(Command::DefineInstrument(definition)),
        Some(known) if known != definition => {
            return Err(StartError::Contradiction {
                key: format!("instrument {}", config.symbol),
                configured: format!("{terms:?}"),
                journaled: format!("{known:?}"),
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
        let origin = Origin::venue(SystemClock.now());
        core.apply_now(SetInstrumentStatus::new(origin, id, status).into());
    }
    Ok(())
}

/// Journals sessions and roles that the journal does not know yet.
fn announce_sessions<C: Clock>(
    core: &mut CoreAgent<C>,
    table: &SessionTable,
    config: &Config,
) -> Result<Vec<SessionSetup>, StartError> {
    let mut setups = Vec::new();
    for session in &config.sessions {
        let comp_id = CompId::try_from(session.comp_id.as_str()).unwrap_or_default();
        let known = core.engine().sessions().find(|known| known.comp_id == comp_id);
        let id = match known {
            Some(known) => known.session,
            None => {
                let id = SessionId(core.engine().sessions().len() as u32 + 1);
                core.apply_now(DefineSession::new(id, comp_id).into());
                id
            }
        };
        if table.get(id).is_some_and(|known| known.read_only) != session.read_only {
            core.record_now(SessionRecord::Role { session: id, read_only: session.read_only });
        }
        setups.push(SessionSetup { id, config: session.clone() });
    }
    Ok(setups)
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

    fn close(&mut self) -> bool {
        let Some(mut core) = self.core.take() else { return true };
        if !core.close() {
            self.core = Some(core);
            return false;
        }
        let (engine, journal) = core.into_journal();
        let ended = Ended {
            state_hash: engine.state_hash(),
            last_sequence: journal.next_sequence() - 1,
            sync: journal.close(),
        };
        if let Ok(mut place) = self.ended.lock() {
            *place = Some(ended);
        }
        true
    }
}

fn start_threads<C: Clock>(
    config: &Config,
    gateway: GatewayAgent<C>,
    core: CoreThread<C>,
    stop: &Arc<AtomicBool>,
    started: &mut Started,
    (core_cpu, processors): (Option<usize>, usize),
) -> Result<Vec<AgentThread>, StartError> {
    let threads = &config.threads;
    let idle = IdleStrategy::new(threads);
    let shared = match threads.layout {
        Layout::Shared => true,
        Layout::Dedicated => false,
        Layout::Auto => processors < DEDICATED_FROM,
    };
    if shared {
        started.threads = vec![("gateway+core".to_owned(), core_cpu)];
        return Ok(vec![spawn(
            "gateway+core",
            Composed(gateway, core),
            idle,
            core_cpu,
            stop.clone(),
        )?]);
    }
    let gateway_cpu = cpu(threads.gateway_cpu, processors.checked_sub(2));
    started.threads = vec![("gateway".to_owned(), gateway_cpu), ("core".to_owned(), core_cpu)];
    let gateway_stopped = Arc::new(AtomicBool::new(false));
    let last = Last { agent: gateway, stopped: gateway_stopped.clone() };
    Ok(vec![
        spawn("gateway", last, idle, gateway_cpu, stop.clone())?,
        spawn("core", core, idle, core_cpu, gateway_stopped)?,
    ])
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
    stopped: Arc<AtomicBool>,
}

impl<A> Drop for Last<A> {
    /// Whatever ended the agent, the one it feeds may end now.
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
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

    fn close(&mut self) -> bool {
        self.agent.close()
    }
}

/// The journal's directory of a configuration, as an absolute path where there is one.
pub fn data_dir(config: &Config) -> PathBuf {
    std::path::absolute(&config.venue.data_dir).unwrap_or_else(|_| config.venue.data_dir.clone())
}
