//! The agent that follows the journal for metrics and hands them out.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ironbook_engine::{SessionId, Timestamp};
use ironbook_journal::{DurablePosition, Tail};

use super::{
    http::Http,
    tally::Tally,
    text::{Kind, Page, seconds},
};
use crate::{
    agent::Agent,
    audit::Audit,
    clock::Clock,
    counters::{PortCounters, TurnCounters},
    network::Network,
    retention::Delivered,
    ring::RingLevel,
    sessions::{Presence, SessionTable},
    stages::StageTimes,
};

/// Sessions that are told of one by one; of a configuration with more, only the first.
pub const SESSIONS_SHOWN_MAX: usize = 1_000;

/// Frames that are counted in one turn, so that sockets are read in between.
const FRAMES_PER_TURN: usize = 4_096;

/// Longest sleep: how far the counts may be behind, and what a stop may have to wait for.
pub const PARK_MAX: Duration = Duration::from_millis(50);

/// Where the numbers come from.
pub struct Sources {
    /// The journal, from where `sessions` stand.
    pub tail: Tail,
    /// Sequence of the last frame before that.
    pub sequence: u64,
    /// Sequence numbers of all sessions.
    pub sessions: SessionTable,
    /// Those of the configuration, with their comp ids.
    pub comp_ids: Vec<(SessionId, String)>,
    /// When the process started.
    pub started: Timestamp,
    /// What orders take their time for.
    pub stages: StageTimes,
    /// How far the journal is written and durable.
    pub durable: DurablePosition,
    /// How far those are who follow it, by name.
    pub followers: Vec<(&'static str, Delivered)>,
    /// The ring between gateway and core.
    pub ring: RingLevel,
    /// The ports, by name.
    pub ports: Vec<(&'static str, Arc<PortCounters>)>,
    /// The agents that have a thread, by name.
    pub agents: Vec<(String, Arc<TurnCounters>)>,
    /// What the follower finds wrong.
    pub audit: Arc<Audit>,
}

/// Follows the journal, and hands out what is known of the venue.
pub struct MetricsAgent<C, N: Network> {
    clock: C,
    http: Http<N>,
    sources: Sources,
    followed: Delivered,
    tally: Tally,
    /// The journal can't be followed any more.
    broken: bool,
}

impl<C: Clock, N: Network> MetricsAgent<C, N> {
    /// Metrics for whoever connects over this network. `followed` is told how far the journal is read.
    pub fn new(sources: Sources, followed: Delivered, clock: C, network: N) -> Self {
        let http = Http::new(network);
        let mut tally = Tally::default();
        tally.sequence = sources.sequence;
        Self { clock, http, sources, followed, tally, broken: false }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.http.open()
    }

    /// Counts what the journal has; says whether there may be more.
    fn follow(&mut self) -> bool {
        let mut taken = 0;
        while taken < FRAMES_PER_TURN && !self.broken {
            let folded = match self.sources.tail.next() {
                Ok(Some(frame)) => {
                    self.tally.take(&frame);
                    self.sources.sessions.fold(&frame).map(drop).map_err(|error| error.to_string())
                }
                Ok(None) => break,
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = folded {
                log::error!("metrics can't follow the journal: {error}; trading goes on");
                self.broken = true;
                self.followed.end();
            }
            taken += 1;
        }
        if taken > 0 && !self.broken {
            self.followed.set(self.sources.tail.position());
        }
        taken >= FRAMES_PER_TURN
    }
}

impl<C: Clock, N: Network> Agent for MetricsAgent<C, N> {
    /// Frames alone are no reason not to park.
    fn do_work(&mut self) -> usize {
        let more = self.follow();
        let now = self.clock.now();
        let (sources, tally) = (&self.sources, &self.tally);
        usize::from(more) + self.http.turn(now, || page(sources, tally))
    }

    /// Until a socket has something, or the journal may have.
    fn park(&mut self, limit: Duration) {
        self.http.poll(limit.min(PARK_MAX));
    }
}

/// A family of metrics.
#[derive(Clone, Copy)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What kind of numbers these are.
    pub kind: Kind,
    /// What they mean.
    pub help: &'static str,
    show: fn(&Sources, &Tally, &str, &mut Page),
}

const fn family(
    name: &'static str,
    kind: Kind,
    help: &'static str,
    show: fn(&Sources, &Tally, &str, &mut Page),
) -> Family {
    Family { name, kind, help, show }
}

/// All of them, as they follow each other on the page.
pub const FAMILIES: &[Family] = &[
    family(
        "ironbook_build_info",
        Kind::Gauge,
        "The program that runs; always 1.",
        |_, _, name, page| page.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1),
    ),
    family(
        "ironbook_start_time_seconds",
        Kind::Gauge,
        "When the venue started, since 1970; all counts begin there.",
        |of, _, name, page| page.sample(name, &[], seconds(of.started.0)),
    ),
    family(
        "ironbook_stage_seconds",
        Kind::Histogram,
        "What an order takes its time for, by stage.",
        |of, _, name, page| {
            for (stage, times) in of.stages.read() {
                page.histogram(name, &[("stage", stage.name())], &times);
            }
        },
    ),
    family(
        "ironbook_stage_turns_per_sample",
        Kind::Gauge,
        "Turns of the gateway for one whose stages are measured; 0 when none is.",
        |of, _, name, page| page.sample(name, &[], of.stages.pace().every),
    ),
    family(
        "ironbook_receive_to_stamp_seconds",
        Kind::Histogram,
        "From the turn in which the gateway read a request to the core's stamp, as the journal has both.",
        |_, tally, name, page| page.histogram(name, &[], &tally.received_to_stamp()),
    ),
    family(
        "ironbook_commands_total",
        Kind::Counter,
        "Commands carried out by the core, accepted or not, by kind.",
        |_, tally, name, page| tally.show_commands(name, page),
    ),
    family(
        "ironbook_executions_total",
        Kind::Counter,
        "Executions reported, by ExecType; a trade counts for both sides.",
        |_, tally, name, page| tally.show_executions(name, page),
    ),
    family("ironbook_trades_total", Kind::Counter, "Trades.", |_, tally, name, page| {
        page.sample(name, &[], tally.trades());
    }),
    family(
        "ironbook_rejects_total",
        Kind::Counter,
        "Requests rejected by the core, by the rule that they broke.",
        |_, tally, name, page| tally.show_rejects(name, page),
    ),
    family(
        "ironbook_refusals_total",
        Kind::Counter,
        "Requests refused by the gateway, by a throttle, or as not served: what the venue does not have, or the session may not do.",
        |of, _, name, page| {
            for (port, counters) in &of.ports {
                let (throttled, unserved) = (counters.throttled.get(), counters.unserved.get());
                page.sample(name, &[("port", port), ("why", "throttle")], throttled);
                page.sample(name, &[("port", port), ("why", "not_served")], unserved);
            }
        },
    ),
    family(
        "ironbook_messages_garbled_total",
        Kind::Counter,
        "Messages that were none.",
        |of, _, name, page| each_port(of, name, page, |port| port.garbled.get()),
    ),
    family(
        "ironbook_connections",
        Kind::Gauge,
        "Connections that are open.",
        |of, _, name, page| {
            each_port(of, name, page, |port| port.open.get());
        },
    ),
    family(
        "ironbook_connections_accepted_total",
        Kind::Counter,
        "Connections accepted.",
        |of, _, name, page| each_port(of, name, page, |port| port.accepted.get()),
    ),
    family(
        "ironbook_connections_refused_total",
        Kind::Counter,
        "Connections closed at once: from where none may be, or one too many.",
        |of, _, name, page| each_port(of, name, page, |port| port.refused.get()),
    ),
    family(
        "ironbook_logon_failures_total",
        Kind::Counter,
        "Logons and TLS handshakes that failed and count against their address.",
        |of, _, name, page| each_port(of, name, page, |port| port.failures.get()),
    ),
    family("ironbook_sessions", Kind::Gauge, "Sessions configured.", |of, _, name, page| {
        page.sample(name, &[], of.comp_ids.len());
    }),
    family(
        "ironbook_sessions_logged_on",
        Kind::Gauge,
        "Sessions for orders that are logged on.",
        |of, _, name, page| {
            let logged_on = of.comp_ids.iter().filter(|(id, _)| is_logged_on(of, *id)).count();
            page.sample(name, &[], logged_on);
        },
    ),
    family(
        "ironbook_session_logged_on",
        Kind::Gauge,
        "Whether a session for orders is logged on, 1 or 0; of the first 1,000 configured.",
        |of, _, name, page| {
            for (id, comp_id) in of.comp_ids.iter().take(SESSIONS_SHOWN_MAX) {
                page.sample(name, &[("comp_id", comp_id)], u8::from(is_logged_on(of, *id)));
            }
        },
    ),
    family(
        "ironbook_session_next_msg_seq_num",
        Kind::Gauge,
        "MsgSeqNum of the next message of a session for orders, in from the client or out to it.",
        |of, _, name, page| {
            for (id, comp_id) in of.comp_ids.iter().take(SESSIONS_SHOWN_MAX) {
                let known = of.sessions.get(*id);
                let (next_in, next_out) = known.map_or((1, 1), |it| (it.next_in, it.next_out));
                page.sample(name, &[("comp_id", comp_id), ("direction", "in")], next_in);
                page.sample(name, &[("comp_id", comp_id), ("direction", "out")], next_out);
            }
        },
    ),
    family(
        "ironbook_sessions_resending",
        Kind::Gauge,
        "Sessions that messages are sent again to.",
        |of, _, name, page| {
            page.sample(
                name,
                &[],
                of.ports.iter().map(|(_, port)| port.resending.get()).sum::<u64>(),
            );
        },
    ),
    family(
        "ironbook_market_data_subscriptions",
        Kind::Gauge,
        "Instruments that clients of market data follow, each client counted.",
        |of, _, name, page| {
            let all = of.ports.iter().map(|(_, port)| port.subscriptions.get());
            page.sample(name, &[], all.sum::<u64>());
        },
    ),
    family(
        "ironbook_ring_batches",
        Kind::Gauge,
        "Batches of requests that wait for the core.",
        |of, _, name, page| page.sample(name, &[], of.ring.batches()),
    ),
    family(
        "ironbook_ring_batches_max",
        Kind::Gauge,
        "Batches that the ring has; when all are in use, sockets are not read.",
        |of, _, name, page| page.sample(name, &[], of.ring.capacity().0),
    ),
    family(
        "ironbook_journal_sequence",
        Kind::Gauge,
        "Sequence of the last frame of the journal that these metrics know of.",
        |_, tally, name, page| page.sample(name, &[], tally.sequence),
    ),
    family(
        "ironbook_journal_position_bytes",
        Kind::Gauge,
        "How far the journal is written, how far it is durable, and how far those are who follow it.",
        |of, _, name, page| {
            for (at, position) in positions(of) {
                page.sample(name, &[("at", at)], position);
            }
        },
    ),
    family(
        "ironbook_journal_lag_bytes",
        Kind::Gauge,
        "How far they are behind what is written.",
        |of, _, name, page| {
            // Read last, so that nobody seems to be ahead.
            let known: Vec<_> = positions(of).collect();
            let written = of.durable.written().get();
            for (at, position) in known.into_iter().skip(1) {
                page.sample(name, &[("at", at)], written.saturating_sub(position));
            }
        },
    ),
    family(
        "ironbook_journal_segments_prepared",
        Kind::Gauge,
        "Segments that are ready behind the one that is written to; at 0 trading waits when it is full.",
        |of, _, name, page| page.sample(name, &[], of.durable.prepared_ahead()),
    ),
    family(
        "ironbook_storage_ok",
        Kind::Gauge,
        "1, or 0 while the journal can't be prepared or synced.",
        |of, _, name, page| page.sample(name, &[], u8::from(of.durable.status().is_none())),
    ),
    family(
        "ironbook_audit_ok",
        Kind::Gauge,
        "1, or 0 once the audit has found a difference, or ended: then there are no snapshots any more.",
        |of, _, name, page| page.sample(name, &[], u8::from(of.audit.status().is_none())),
    ),
    family(
        "ironbook_agent_turns_total",
        Kind::Counter,
        "Turns of the loop of an agent.",
        |of, _, name, page| each_agent(of, name, page, |agent| agent.turns.get()),
    ),
    family(
        "ironbook_agent_busy_turns_total",
        Kind::Counter,
        "Those of them with something to do.",
        |of, _, name, page| each_agent(of, name, page, |agent| agent.busy.get()),
    ),
    family(
        "ironbook_agent_parks_total",
        Kind::Counter,
        "Times that an agent slept.",
        |of, _, name, page| each_agent(of, name, page, |agent| agent.parks.get()),
    ),
];

fn page(sources: &Sources, tally: &Tally) -> String {
    let mut page = Page::default();
    for family in FAMILIES {
        page.family(family.name, family.kind, family.help);
        (family.show)(sources, tally, family.name, &mut page);
    }
    page.into_text()
}

fn each_port(of: &Sources, name: &str, page: &mut Page, count: impl Fn(&PortCounters) -> u64) {
    for (port, counters) in &of.ports {
        page.sample(name, &[("port", port)], count(counters));
    }
}

fn each_agent(of: &Sources, name: &str, page: &mut Page, count: impl Fn(&TurnCounters) -> u64) {
    for (agent, counters) in &of.agents {
        page.sample(name, &[("agent", agent)], count(counters));
    }
}

fn is_logged_on(of: &Sources, session: SessionId) -> bool {
    of.sessions.get(session).is_some_and(|known| known.presence == Presence::LoggedOn)
}

/// What is written, what is durable, and how far followers are.
fn positions(of: &Sources) -> impl Iterator<Item = (&'static str, u64)> {
    let journal = [("written", of.durable.written()), ("durable", of.durable.get())];
    // Who has ended reads nothing more.
    let followers = of.followers.iter().map(|(name, position)| (*name, position.get()));
    let all = journal.into_iter().chain(followers).map(|(name, position)| (name, position.get()));
    all.filter(|(_, position)| *position < u64::MAX)
}
