//! Gateways and core stepped by hand on one thread, under a clock that only the test moves.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ironbook_engine::Timestamp;
use ironbook_fix::version::Version;
use ironbook_gateway::{
    agent::Agent,
    clock::ManualClock,
    config::{Acknowledge, Config},
    core::{CoreAgent, ROOM},
    gateway::GatewayAgent,
    market_data::MarketDataAgent,
    network::{Network, Port, TcpNetwork},
    opening::{Playback, open_journal},
    operator::OperatorParts,
    stages::{StageTimes, StageWatches},
    venue::{Parts, Place, StartError, assemble},
};
use ironbook_journal::{DurablePosition, FileStorage, Options, Placement, Storage};

use super::{FixClient, Msg, fix_time, small_config, wait_for};

pub const SECOND: u64 = 1_000_000_000;

/// Where the clock starts: 2026-01-01.
pub const START: u64 = 1_767_225_600 * SECOND;

/// Time in which the gateway looks at endings several times.
pub const LOOK: u64 = 100_000_000;

/// A venue without threads, but for those that prepare and sync segments.
pub struct Stepped {
    pub config: Config,
    pub clock: ManualClock,
    pub now: u64,
    /// The one that takes connections.
    pub gateway: GatewayAgent<ManualClock, TcpNetwork>,
    /// Those that it hands connections over to.
    pub others: Vec<GatewayAgent<ManualClock, TcpNetwork>>,
    /// None where it is not configured.
    pub market_data: Option<MarketDataAgent<ManualClock, TcpNetwork>>,
    /// None once the journal was closed under the gateway.
    pub core: Option<CoreAgent<ManualClock>>,
    pub durable: DurablePosition,
    /// What operators act by, where that is configured.
    pub operated: Option<OperatorParts>,
    /// Of every turn, unless it is turned off.
    pub stages: StageTimes,
    pub dir: tempfile::TempDir,
}

impl Stepped {
    pub fn start(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_waiting(change, false)
    }

    /// `durable`: reports wait for the disk, and the disk is never asked.
    pub fn start_waiting(change: impl FnOnce(&mut Config), durable: bool) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut config = small_config(&dir.path().join("journal"));
        if durable {
            config.venue.acknowledge = Acknowledge::Durable;
        }
        change(&mut config);
        let clock = ManualClock::default();
        clock.set(Timestamp(START));
        let (parts, stages) = open(&config, &clock, |port| TcpNetwork::listen_as(&config, port));
        let Parts { gateways, market_data, core, durable, operated, .. } = parts;
        let (gateway, others) = split(gateways);
        let core = Some(core);
        Self {
            config,
            clock,
            now: START,
            gateway,
            others,
            market_data,
            core,
            durable,
            operated,
            stages,
            dir,
        }
    }

    /// The process dies and another one starts, perhaps with another configuration.
    pub fn crash(mut self, change: impl FnOnce(&mut Config)) -> Self {
        drop((self.gateway, self.others, self.market_data, self.core, self.operated));
        change(&mut self.config);
        let listen = |port| TcpNetwork::listen_as(&self.config, port);
        let (parts, stages) = open(&self.config, &self.clock, listen);
        let Parts { gateways, market_data, core, durable, operated, .. } = parts;
        let (gateway, others) = split(gateways);
        Self { gateway, others, market_data, core: Some(core), durable, operated, stages, ..self }
    }

    /// Stops in order, with clients that answer the Logout, and starts again.
    #[track_caller]
    pub fn restart(mut self, clients: &mut [&mut FixClient]) -> Self {
        wait_for("the gateways end", || {
            let ended = self.close();
            self.advance(LOOK);
            for client in &mut *clients {
                if client.pending().iter().any(|message| message.kind() == "5") {
                    self.send(client, "5", "");
                }
            }
            ended
        });
        self.settle();
        self.crash(|_| {})
    }

    /// All gateways.
    pub fn gateways(&mut self) -> impl Iterator<Item = &mut GatewayAgent<ManualClock, TcpNetwork>> {
        std::iter::once(&mut self.gateway).chain(&mut self.others)
    }

    /// All gateways go on ending; whether they have.
    pub fn close(&mut self) -> bool {
        self.gateways().fold(true, |all, gateway| gateway.close() & all)
    }

    /// When one of the gateways must take a turn.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let all = std::iter::once(&self.gateway).chain(&self.others);
        all.filter_map(GatewayAgent::next_deadline).min()
    }

    /// The core does nothing meanwhile.
    pub fn turn_gateways(&mut self) {
        for gateway in self.gateways() {
            gateway.do_work();
        }
    }

    pub fn turn(&mut self) {
        self.turn_gateways();
        if let Some(core) = &mut self.core {
            // Segments are prepared by a real thread on a real disk, which the clock of the test does not wait for. What
            // keeps the journal from having room is what some test is about.
            let _ = core.wait_for_room(ROOM);
            core.do_work();
        }
        self.turn_gateways();
        if let Some(market_data) = &mut self.market_data {
            market_data.do_work();
        }
    }

    /// Turns enough for a poll, a look at the time, and what follows from it.
    pub fn settle(&mut self) {
        for _ in 0..200 {
            self.turn();
        }
    }

    /// Moves the clock, in small steps so that nothing falls due twice at once.
    pub fn advance(&mut self, ns: u64) {
        let (end, step) = (self.now + ns, (ns / 16).max(1));
        while self.now < end {
            self.now = (self.now + step).min(end);
            self.clock.set(Timestamp(self.now));
            self.settle();
        }
    }

    /// The client sends with the clock's time.
    pub fn send(&mut self, client: &mut FixClient, kind: &str, body: &str) {
        client.sending_time = Some(fix_time(Duration::from_nanos(self.now)));
        client.send(kind, body);
    }

    /// What comes for the client until `count` messages are there.
    #[track_caller]
    pub fn receive(&mut self, client: &mut FixClient, count: usize) -> Vec<Msg> {
        let mut got = Vec::new();
        wait_for("the messages are there", || {
            self.settle();
            got.extend(client.pending());
            got.len() >= count
        });
        assert_eq!(got.len(), count, "{got:?}");
        got
    }

    /// Sends a request and takes its one answer.
    #[track_caller]
    pub fn ask(&mut self, client: &mut FixClient, kind: &str, body: &str, spec: &str) {
        self.send(client, kind, body);
        let got = self.receive(client, 1);
        assert!(got[0].matches(spec), "expected {spec}, got {got:?}");
    }

    #[track_caller]
    pub fn log_on(&mut self, comp_id: &str, heart_bt_int: u64) -> FixClient {
        let mut client = FixClient::connect(self.gateway.address(), comp_id);
        let body = format!("98=0|108={heart_bt_int}|141=Y");
        self.ask(&mut client, "A", &body, &format!("35=A|108={heart_bt_int}"));
        client
    }

    /// Connects with these numbers, out and in, and sends a Logon with more fields, which begin with `|`.
    pub fn come_back(
        &mut self,
        (comp_id, heart_bt_int): (&str, u64),
        numbers: (u64, u64),
        more: &str,
    ) -> FixClient {
        let mut client = FixClient::connect(self.gateway.address(), comp_id);
        (client.next_out, client.next_in) = numbers;
        self.send(&mut client, "A", &format!("98=0|108={heart_bt_int}{more}"));
        client
    }

    /// Logs on with a version and these numbers, out and in.
    #[track_caller]
    pub fn log_on_with(
        &mut self,
        comp_id: &str,
        version: Version,
        numbers: (u64, u64),
    ) -> FixClient {
        self.log_on_at(self.gateway.address(), comp_id, version, numbers)
    }

    /// Logs on for market data with a version.
    #[track_caller]
    pub fn watch_in(&mut self, comp_id: &str, version: Version) -> FixClient {
        let market_data = self.market_data.as_ref().expect("market data is configured");
        self.log_on_at(market_data.address(), comp_id, version, (1, 1))
    }

    /// The same with FIX 4.4.
    #[track_caller]
    pub fn watch(&mut self, comp_id: &str) -> FixClient {
        self.watch_in(comp_id, Version::FIX44)
    }

    #[track_caller]
    fn log_on_at(
        &mut self,
        address: SocketAddr,
        comp_id: &str,
        version: Version,
        (next_out, next_in): (u64, u64),
    ) -> FixClient {
        let mut client = FixClient::connect(address, comp_id);
        client.begin_string = version.begin_string();
        (client.next_out, client.next_in) = (next_out, next_in);
        let code = char::from(version.application.code());
        let default = if version.fixt { format!("|1137={code}") } else { String::new() };
        self.ask(&mut client, "A", &format!("98=0|108=30{default}"), "35=A");
        client
    }

    /// Nothing comes for the client, however often everybody takes a turn.
    #[track_caller]
    pub fn expect_silence(&mut self, client: &mut FixClient) {
        self.settle();
        let got = client.pending();
        assert!(got.is_empty(), "{got:?}");
    }

    /// The venue has closed the connection.
    #[track_caller]
    pub fn expect_closed(&mut self, client: &mut FixClient) {
        self.advance(LOOK);
        client.expect_closed();
    }
}

/// The gateway that takes connections, and the others.
fn split<T>(mut gateways: Vec<T>) -> (T, Vec<T>) {
    let others = gateways.split_off(1);
    (gateways.remove(0), others)
}

/// A venue on the journal of a configuration, as far as it goes, and on these networks.
pub fn open<N: Network>(
    config: &Config,
    clock: &ManualClock,
    listen: impl FnMut(Port) -> Result<N, StartError>,
) -> (Parts<ManualClock, N>, StageTimes) {
    let (watches, stages) = match config.metrics.stages {
        true => StageWatches::every_turn(config.threads.gateways),
        false => StageWatches::off(config.threads.gateways),
    };
    let storage: Arc<dyn Storage> = Arc::new(FileStorage::new(&config.venue.data_dir));
    let sync_interval = Duration::from_secs(86_400);
    let open = |storage, options| {
        let options = Options { sync_interval, placement: Placement::InFile, ..options };
        ironbook_journal::open_in(storage, options)
    };
    let opened = open_journal(config, &storage, Playback::Behind, open);
    let opened = opened.unwrap_or_else(|error| panic!("{error}"));
    let clock = clock.clone();
    let place = Place { clock, watches, storage, listen };
    (assemble(config, opened, place).unwrap_or_else(|error| panic!("{error}")), stages)
}
