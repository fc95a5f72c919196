//! The agent that follows the journal for metrics and hands them out.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

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
    stage_log::StageLog,
    stages::StageTimes,
};

/// Sessions that are told of one by one; of a configuration with more, only the first.
pub const SESSIONS_SHOWN_MAX: usize = 1_000;
const _: () =
    assert!(SESSIONS_SHOWN_MAX == 1_000, "what the help of ironbook_session_logged_on says");

/// Frames that are counted in one turn, so that sockets are read in between.
const FRAMES_PER_TURN: usize = 4_096;

/// Longest sleep: how far the counts may be behind, and what a stop may have to wait for.
pub const PARK_MAX: Duration = Duration::from_millis(50);

/// Name of the port of orders; it alone has throttles.
pub const PORT_OF_ORDERS: &str = "fix";

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
    pub followers: Vec<(String, Delivered)>,
    /// The ring between gateways and core.
    pub ring: RingLevel,
    /// The ports, by name; each counts where it has an agent, and what is shown is the sum.
    pub ports: Vec<(&'static str, Vec<Arc<PortCounters>>)>,
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
    /// Where stage times are kept, if they are and it can be written.
    stage_log: Option<StageLog>,
}

impl<C: Clock, N: Network> MetricsAgent<C, N> {
    /// Metrics for whoever connects over this network. `followed` is told how far the journal is read.
    pub fn new(sources: Sources, followed: Delivered, clock: C, network: N) -> Self {
        let http = Http::new(network);
        let mut tally = Tally::default();
        tally.sequence = sources.sequence;
        Self { clock, http, sources, followed, tally, stage_log: None }
    }

    /// Keeps the times of stages in files of a directory, of so many bytes at the most. A directory that does not
    /// take them is told in the log: no more depends on it.
    pub fn keep_stages(&mut self, dir: &Path, bytes_max: u64) {
        let at = (self.clock.now(), self.tally.sequence);
        match StageLog::open(dir, bytes_max, self.sources.stages.clone(), at) {
            Ok(log) => self.stage_log = Some(log),
            Err(error) => log::warn!("stage times can't be kept in {}: {error}", dir.display()),
        }
    }

    /// Writes what a second had; the last time before it is over.
    fn write_stages(&mut self, now: Timestamp, is_last: bool) {
        let Some(log) = &mut self.stage_log else { return };
        let sequence = self.tally.sequence;
        let written = if is_last { log.end(now, sequence) } else { log.turn(now, sequence) };
        if let Err(error) = written {
            log::warn!("stage times are kept no more: {error}; trading goes on");
            self.stage_log = None;
        }
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
        while taken < FRAMES_PER_TURN && !self.tally.has_ended {
            let folded = match self.sources.tail.next() {
                Ok(Some(frame)) => {
                    let sessions = &mut self.sources.sessions;
                    let counted = sessions.fold(&frame).and_then(|_| self.tally.take(&frame));
                    counted.map_err(|error| error.to_string())
                }
                Ok(None) => break,
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = folded {
                log::error!("metrics can't follow the journal: {error}; trading goes on");
                self.tally.has_ended = true;
                self.followed.end();
            }
            taken += 1;
        }
        if taken > 0 && !self.tally.has_ended {
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
        self.write_stages(now, false);
        let (sources, tally) = (&self.sources, &self.tally);
        usize::from(more) + self.http.turn(now, || page(sources, tally))
    }

    /// Until a socket has something, or the journal may have.
    fn park(&mut self, limit: Duration) {
        self.http.poll(limit.min(PARK_MAX));
    }

    /// The journal wakes nobody.
    fn must_look(&self) -> bool {
        true
    }

    fn close(&mut self) -> bool {
        while self.follow() {}
        self.write_stages(self.clock.now(), true);
        true
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
    show: Show,
}

/// How a family is written.
#[derive(Clone, Copy)]
enum Show {
    /// As one number.
    One(fn(&Sources, &Tally) -> u64),
    /// As one for each port.
    EachPort(fn(&PortCounters) -> u64),
    /// As one for each agent.
    EachAgent(fn(&TurnCounters) -> u64),
    /// With labels of its own.
    Labeled(fn(&Sources, &Tally, &str, &mut Page)),
}

const fn family(name: &'static str, kind: Kind, help: &'static str, show: Show) -> Family {
    Family { name, kind, help, show }
}

/// All of them, as they follow each other on the page.
pub const FAMILIES: &[Family] = &[
    family(
        "ironbook_build_info",
        Kind::Gauge,
        "The program that runs; always 1.",
        Show::Labeled(|_, _, name, page| {
            page.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
        }),
    ),
    family(
        "ironbook_start_time_seconds",
        Kind::Gauge,
        "When the venue started, since 1970; all counts begin there.",
        Show::Labeled(|of, _, name, page| page.sample(name, &[], seconds(of.started.0))),
    ),
    family(
        "ironbook_metrics_ok",
        Kind::Gauge,
        "1, or 0 once metrics can't follow the journal: what is counted over it goes on no more.",
        Show::One(|_, tally| u64::from(!tally.has_ended)),
    ),
    family(
        "ironbook_stage_seconds",
        Kind::Histogram,
        "What an order takes its time for, by stage.",
        Show::Labeled(|of, _, name, page| {
            for (stage, times) in of.stages.read() {
                page.histogram(name, &[("stage", stage.name())], &times);
            }
        }),
    ),
    family(
        "ironbook_stage_turns_per_sample",
        Kind::Gauge,
        "Turns of the gateway for one whose stages are measured; 0 when none is.",
        Show::One(|of, _| of.stages.pace().every.into()),
    ),
    family(
        "ironbook_receive_to_stamp_seconds",
        Kind::Histogram,
        "From the turn in which the gateway read a request to the core's stamp, as the journal has both.",
        Show::Labeled(|_, tally, name, page| page.histogram(name, &[], &tally.received_to_stamp())),
    ),
    family(
        "ironbook_commands_total",
        Kind::Counter,
        "Commands carried out by the core, accepted or not, by kind.",
        Show::Labeled(|_, tally, name, page| tally.show_commands(name, page)),
    ),
    family(
        "ironbook_executions_total",
        Kind::Counter,
        "Executions reported, by ExecType; a trade counts for both sides.",
        Show::Labeled(|_, tally, name, page| tally.show_executions(name, page)),
    ),
    family("ironbook_trades_total", Kind::Counter, "Trades.", Show::One(|_, tally| tally.trades())),
    family(
        "ironbook_rejects_total",
        Kind::Counter,
        "Requests rejected by the core, by the rule that they broke.",
        Show::Labeled(|_, tally, name, page| tally.show_rejects(name, page)),
    ),
    family(
        "ironbook_trips_total",
        Kind::Counter,
        "Sessions that went beyond a risk limit which trips, by the rule.",
        Show::Labeled(|_, tally, name, page| tally.show_trips(name, page)),
    ),
    family(
        "ironbook_refusals_total",
        Kind::Counter,
        "Requests refused by the gateway, by a throttle, or as not served: what the venue does not have, or the session may not do.",
        Show::Labeled(|of, _, name, page| {
            for (port, counters) in &of.ports {
                if *port == PORT_OF_ORDERS {
                    let throttled = sum(counters, |agent| agent.throttled.get());
                    page.sample(name, &[("port", port), ("why", "throttle")], throttled);
                }
                let unserved = sum(counters, |agent| agent.unserved.get());
                page.sample(name, &[("port", port), ("why", "not_served")], unserved);
            }
        }),
    ),
    family(
        "ironbook_messages_garbled_total",
        Kind::Counter,
        "Messages that were none.",
        Show::EachPort(|port| port.garbled.get()),
    ),
    family(
        "ironbook_connections",
        Kind::Gauge,
        "Connections that are open.",
        Show::EachPort(|port| port.open.get()),
    ),
    family(
        "ironbook_connections_accepted_total",
        Kind::Counter,
        "Connections accepted.",
        Show::EachPort(|port| port.accepted.get()),
    ),
    family(
        "ironbook_connections_refused_total",
        Kind::Counter,
        "Connections closed at once: from where none may be, or one too many.",
        Show::EachPort(|port| port.refused.get()),
    ),
    family(
        "ironbook_logon_failures_total",
        Kind::Counter,
        "Logons and TLS handshakes that failed and count against their address.",
        Show::EachPort(|port| port.failures.get()),
    ),
    family(
        "ironbook_sessions",
        Kind::Gauge,
        "Sessions configured.",
        Show::One(|of, _| of.comp_ids.len() as u64),
    ),
    family(
        "ironbook_sessions_logged_on",
        Kind::Gauge,
        "Sessions for orders that are logged on.",
        Show::One(|of, _| {
            of.comp_ids.iter().filter(|(id, _)| is_logged_on(of, *id)).count() as u64
        }),
    ),
    family(
        "ironbook_session_logged_on",
        Kind::Gauge,
        "Whether a session for orders is logged on, 1 or 0; of the first 1,000 configured.",
        Show::Labeled(|of, _, name, page| {
            for (id, comp_id) in of.comp_ids.iter().take(SESSIONS_SHOWN_MAX) {
                page.sample(name, &[("comp_id", comp_id)], u8::from(is_logged_on(of, *id)));
            }
        }),
    ),
    family(
        "ironbook_session_next_msg_seq_num",
        Kind::Gauge,
        "MsgSeqNum of the next message of a session for orders, in from the client or out to it.",
        Show::Labeled(|of, _, name, page| {
            for (id, comp_id) in of.comp_ids.iter().take(SESSIONS_SHOWN_MAX) {
                let known = of.sessions.get(*id);
                let (next_in, next_out) = known.map_or((1, 1), |it| (it.next_in, it.next_out));
                page.sample(name, &[("comp_id", comp_id), ("direction", "in")], next_in);
                page.sample(name, &[("comp_id", comp_id), ("direction", "out")], next_out);
            }
        }),
    ),
    family(
        "ironbook_sessions_resending",
        Kind::Gauge,
        "Sessions that messages are sent again to.",
        Show::One(|of, _| {
            of.ports.iter().map(|(_, port)| sum(port, |it| it.resending.get())).sum()
        }),
    ),
    family(
        "ironbook_market_data_subscriptions",
        Kind::Gauge,
        "Instruments that clients of market data follow, each client counted.",
        Show::One(|of, _| {
            of.ports.iter().map(|(_, port)| sum(port, |it| it.subscriptions.get())).sum()
        }),
    ),
    family(
        "ironbook_ring_batches",
        Kind::Gauge,
        "Batches of requests that wait for the core.",
        Show::One(|of, _| of.ring.batches() as u64),
    ),
    family(
        "ironbook_ring_batches_max",
        Kind::Gauge,
        "Batches that the ring has; when all are in use, sockets are not read.",
        Show::One(|of, _| of.ring.capacity().0 as u64),
    ),
    family(
        "ironbook_journal_sequence",
        Kind::Gauge,
        "Sequence of the last frame of the journal that these metrics know of.",
        Show::One(|_, tally| tally.sequence),
    ),
    family(
        "ironbook_journal_position_bytes",
        Kind::Gauge,
        "How far the journal is written, how far it is durable, and how far those are who follow it.",
        Show::Labeled(|of, _, name, page| {
            for (at, position) in positions(of) {
                page.sample(name, &[("at", at)], position);
            }
        }),
    ),
    family(
        "ironbook_journal_lag_bytes",
        Kind::Gauge,
        "How far they are behind what is written.",
        Show::Labeled(|of, _, name, page| {
            // Read last, so that nobody seems to be ahead.
            let known: Vec<_> = positions(of).collect();
            let written = of.durable.written().get();
            for (at, position) in known.into_iter().skip(1) {
                page.sample(name, &[("at", at)], written.saturating_sub(position));
            }
        }),
    ),
    family(
        "ironbook_journal_segments_prepared",
        Kind::Gauge,
        "Segments that are ready behind the one that is written to; at 0 trading waits when it is full.",
        Show::One(|of, _| of.durable.prepared_ahead()),
    ),
    family(
        "ironbook_storage_ok",
        Kind::Gauge,
        "1, or 0 while the journal can't be prepared or synced.",
        Show::One(|of, _| of.durable.status().is_none().into()),
    ),
    family(
        "ironbook_audit_ok",
        Kind::Gauge,
        "1, or 0 once the audit has found a difference, or ended: then there are no snapshots any more.",
        Show::One(|of, _| of.audit.status().is_none().into()),
    ),
    family(
        "ironbook_agent_turns_total",
        Kind::Counter,
        "Turns of the loop of an agent.",
        Show::EachAgent(|agent| agent.turns.get()),
    ),
    family(
        "ironbook_agent_busy_turns_total",
        Kind::Counter,
        "Those of them with something to do.",
        Show::EachAgent(|agent| agent.busy.get()),
    ),
    family(
        "ironbook_agent_parks_total",
        Kind::Counter,
        "Times that an agent slept.",
        Show::EachAgent(|agent| agent.parks.get()),
    ),
];

fn page(sources: &Sources, tally: &Tally) -> String {
    let mut page = Page::default();
    for Family { name, kind, help, show } in FAMILIES {
        page.family(name, *kind, help);
        match show {
            Show::One(value) => page.sample(name, &[], value(sources, tally)),
            Show::EachPort(count) => {
                for (port, counters) in &sources.ports {
                    page.sample(name, &[("port", port)], sum(counters, count));
                }
            }
            Show::EachAgent(count) => {
                for (agent, counters) in &sources.agents {
                    page.sample(name, &[("agent", agent)], count(counters));
                }
            }
            Show::Labeled(show) => show(sources, tally, name, &mut page),
        }
    }
    page.into_text()
}

/// What all agents of a port have counted.
fn sum(agents: &[Arc<PortCounters>], count: impl Fn(&PortCounters) -> u64) -> u64 {
    agents.iter().map(|agent| count(agent)).sum()
}

fn is_logged_on(of: &Sources, session: SessionId) -> bool {
    of.sessions.get(session).is_some_and(|known| known.presence == Presence::LoggedOn)
}

/// What is written, what is durable, and how far followers are.
fn positions(of: &Sources) -> impl Iterator<Item = (&str, u64)> {
    let journal = [("written", of.durable.written()), ("durable", of.durable.get())];
    // Who has ended reads nothing more.
    let followers = of.followers.iter().map(|(name, position)| (name.as_str(), position.get()));
    let all = journal.into_iter().chain(followers).map(|(name, position)| (name, position.get()));
    all.filter(|(_, position)| *position < u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, net::Ipv4Addr};

    use ironbook_engine::{Command, command::DefineSession};
    use ironbook_journal::{Fault, Options, SimulatedStorage, Writer, open_stepped};

    use super::*;
    use crate::{
        clock::ManualClock,
        counters::Counter,
        network::TcpNetwork,
        ring::{Input, ring},
        session_record::SessionRecord,
        stages::{Pace, Stage, StageWatches},
    };

    /// All series but buckets that are not 0.
    fn shown(agent: &MetricsAgent<ManualClock, TcpNetwork>) -> BTreeMap<String, f64> {
        let text = page(&agent.sources, &agent.tally);
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket"));
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ').expect("a series and a value");
            let series = series.strip_prefix("ironbook_").expect("a name of ours");
            (series.replace('"', ""), value.parse().expect("a number"))
        };
        lines.map(sample).filter(|(_, value)| *value != 0.0).collect()
    }

    fn append(writer: &mut Writer, kind: u16, payload: &[u8]) {
        writer.append(kind, writer.next_sequence(), 1, payload);
        writer.commit();
    }

    /// Sets each to another number, from this one on.
    fn number(counters: &[&Counter], first: u64) {
        counters.iter().zip(first..).for_each(|(counter, value)| counter.set(value));
    }

    #[test]
    fn each_number_is_that_of_its_source() {
        let storage = SimulatedStorage::new(1);
        let options = Options { segment_bytes: 1 << 16, ..Options::default() };
        let (mut writer, _, helpers) =
            open_stepped(Arc::new(storage.clone()), options).expect("a journal");
        let port_agent = |first: u64| {
            let port = Arc::new(PortCounters::default());
            let PortCounters { open, accepted, refused, failures, garbled, .. } = &*port;
            let PortCounters { throttled, unserved, resending, subscriptions, .. } = &*port;
            number(&[open, accepted, refused, failures, garbled], first);
            number(&[throttled, unserved, resending, subscriptions], first + 5);
            port
        };
        let ports = vec![
            (PORT_OF_ORDERS, vec![port_agent(10), port_agent(100)]),
            ("market_data", vec![port_agent(20)]),
        ];
        let agents: Vec<_> = [("gateway", 30), ("core", 40)]
            .map(|(name, first)| {
                let agent = Arc::new(TurnCounters::default());
                number(&[&agent.turns, &agent.busy, &agent.parks], first);
                (name.to_owned(), agent)
            })
            .into();
        let (mut inputs, _core) = ring(64);
        let session = SessionId(1);
        inputs.push(Input::Session(Box::new(SessionRecord::Reset { session })));
        inputs.flush();
        let (clock, mock) = quanta::Clock::mock();
        let (mut watches, stages) =
            StageWatches::with(&clock, Pace { every: 17, reading_ns: 1 }, 1);
        watches.gateways[0].turns.begin_turn();
        mock.increment(500_000_000);
        watches.gateways[0].turns.lap(Stage::Read);
        let (gateway, market_data, followed) =
            (Delivered::default(), Delivered::default(), Delivered::default());
        market_data.end();
        let sources = Sources {
            tail: writer.tail(),
            sequence: 0,
            sessions: SessionTable::default(),
            comp_ids: vec![(session, "A".to_owned()), (SessionId(2), "B".to_owned())],
            started: Timestamp(1_500_000_000),
            stages,
            durable: writer.durable(),
            followers: vec![
                ("gateway".to_owned(), gateway.clone()),
                ("market_data".to_owned(), market_data),
                ("metrics".to_owned(), followed.clone()),
            ],
            ring: inputs.level(),
            ports,
            agents,
            audit: Arc::default(),
        };
        let network = TcpNetwork::listen((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
        let mut agent = MetricsAgent::new(sources, followed, ManualClock::default(), network);

        let msg_type = b"A".to_vec();
        for record in [
            SessionRecord::Outbound { session, msg_type, body: Vec::new() },
            SessionRecord::Inbound { session, next: 7 },
        ] {
            append(&mut writer, record.kind(), &record.payload());
        }
        helpers.step_syncer();
        helpers.step_preparer();
        let comp_id = "A".try_into().expect("a comp id");
        let command = Command::from(DefineSession::new(session, comp_id));
        append(&mut writer, command.kind(), command.payload());
        gateway.set(writer.durable().get());
        append(&mut writer, command.kind(), command.payload());
        assert!(!agent.follow(), "that is all");
        append(&mut writer, command.kind(), command.payload());

        let durable = writer.durable();
        let (written, synced) = (durable.written().get() as f64, durable.get().get() as f64);
        let known = agent.sources.tail.position().get() as f64;
        assert!(synced < known && known < written);
        let expected = [
            (concat!("build_info{version=", env!("CARGO_PKG_VERSION"), "}"), 1.0),
            ("start_time_seconds", 1.5),
            ("metrics_ok", 1.0),
            ("stage_seconds_sum{stage=read}", 0.5),
            ("stage_seconds_count{stage=read}", 1.0),
            ("stage_turns_per_sample", 17.0),
            ("commands_total{kind=configuration}", 2.0),
            ("refusals_total{port=fix,why=throttle}", 15.0 + 105.0),
            ("refusals_total{port=fix,why=not_served}", 16.0 + 106.0),
            ("refusals_total{port=market_data,why=not_served}", 26.0),
            ("messages_garbled_total{port=fix}", 14.0 + 104.0),
            ("messages_garbled_total{port=market_data}", 24.0),
            ("connections{port=fix}", 10.0 + 100.0),
            ("connections{port=market_data}", 20.0),
            ("connections_accepted_total{port=fix}", 11.0 + 101.0),
            ("connections_accepted_total{port=market_data}", 21.0),
            ("connections_refused_total{port=fix}", 12.0 + 102.0),
            ("connections_refused_total{port=market_data}", 22.0),
            ("logon_failures_total{port=fix}", 13.0 + 103.0),
            ("logon_failures_total{port=market_data}", 23.0),
            ("sessions", 2.0),
            ("sessions_logged_on", 1.0),
            ("session_logged_on{comp_id=A}", 1.0),
            ("session_next_msg_seq_num{comp_id=A,direction=in}", 7.0),
            ("session_next_msg_seq_num{comp_id=A,direction=out}", 2.0),
            ("session_next_msg_seq_num{comp_id=B,direction=in}", 1.0),
            ("session_next_msg_seq_num{comp_id=B,direction=out}", 1.0),
            ("sessions_resending", 17.0 + 107.0 + 27.0),
            ("market_data_subscriptions", 18.0 + 108.0 + 28.0),
            ("ring_batches", 1.0),
            ("ring_batches_max", 4.0),
            ("journal_sequence", 4.0),
            ("journal_position_bytes{at=written}", written),
            ("journal_position_bytes{at=durable}", synced),
            ("journal_position_bytes{at=gateway}", synced),
            ("journal_position_bytes{at=metrics}", known),
            ("journal_lag_bytes{at=durable}", written - synced),
            ("journal_lag_bytes{at=gateway}", written - synced),
            ("journal_lag_bytes{at=metrics}", written - known),
            ("journal_segments_prepared", 1.0),
            ("storage_ok", 1.0),
            ("audit_ok", 1.0),
            ("agent_turns_total{agent=gateway}", 30.0),
            ("agent_turns_total{agent=core}", 40.0),
            ("agent_busy_turns_total{agent=gateway}", 31.0),
            ("agent_busy_turns_total{agent=core}", 41.0),
            ("agent_parks_total{agent=gateway}", 32.0),
            ("agent_parks_total{agent=core}", 42.0),
        ];
        let expected: BTreeMap<_, _> =
            expected.into_iter().map(|(series, value)| (series.to_owned(), value)).collect();
        assert_eq!(shown(&agent), expected);

        // What is wrong is told, and only that.
        let is_ok = |agent: &_| {
            let shown = shown(agent);
            ["metrics_ok", "storage_ok", "audit_ok"].map(|series| shown.contains_key(series))
        };
        agent.sources.audit.report_difference("a test");
        assert_eq!(is_ok(&agent), [true, true, false]);
        storage.fail_next(Fault::Sync);
        helpers.step_syncer();
        assert_eq!(is_ok(&agent), [true, false, false]);
        helpers.step_syncer();
        assert_eq!(is_ok(&agent), [true, true, false]);
        // A record that says nothing; what is behind it is not counted.
        append(&mut writer, SessionRecord::OUTBOUND, &[]);
        append(&mut writer, command.kind(), command.payload());
        agent.follow();
        assert_eq!(is_ok(&agent), [false, true, false]);
        let shown = shown(&agent);
        assert_eq!(shown["commands_total{kind=configuration}"], 3.0);
        assert_eq!(shown["journal_sequence"], 5.0);
        assert!(!shown.contains_key("journal_lag_bytes{at=metrics}"), "nothing waits for it");
    }
}
