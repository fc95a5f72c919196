//! What the path of an order costs beside time: one read and one write for what came together, and no memory.

mod common;
#[path = "../../engine/tests/counting/mod.rs"]
mod counting;

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use common::{
    FixClient, Flaw, Msg, cancel, fix_time, limit, replace, small_config,
    stepped::{SECOND, START, open},
    wait_for,
};
use counting::allocations;
use ironbook_engine::Timestamp;
use ironbook_gateway::{
    agent::Agent,
    clock::ManualClock,
    core::CoreAgent,
    gateway::GatewayAgent,
    network::{Network, Ready, TcpNetwork},
};

/// Calls to the system, as the network makes them.
#[derive(Debug, Default)]
struct Calls {
    /// Reads that brought something.
    reads: AtomicU64,
    /// Reads that found nothing: an agent that waits asks again and again.
    looks: AtomicU64,
    writes: AtomicU64,
    /// Changes of what the system is to tell of.
    interests: AtomicU64,
    /// Connections that it told of.
    told: AtomicU64,
    /// Whether the system refuses to tell of any more.
    refuses: AtomicBool,
}

impl Calls {
    fn get(&self) -> [u64; 5] {
        [&self.reads, &self.looks, &self.writes, &self.interests, &self.told]
            .map(|count| count.load(Ordering::Relaxed))
    }
}

fn count(of: &AtomicU64) {
    of.fetch_add(1, Ordering::Relaxed);
}

#[derive(Debug)]
struct Counted<S> {
    inner: S,
    calls: Arc<Calls>,
}

type TcpStream = <TcpNetwork as Network>::Stream;

impl Read for Counted<TcpStream> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        count(if read.is_ok() { &self.calls.reads } else { &self.calls.looks });
        read
    }
}

impl Write for Counted<TcpStream> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        count(&self.calls.writes);
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Network for Counted<TcpNetwork> {
    type Stream = Counted<TcpStream>;

    fn address(&self) -> SocketAddr {
        self.inner.address()
    }

    fn poll(&mut self, limit: Duration, mut ready: impl FnMut(Ready)) -> io::Result<()> {
        let calls = self.calls.clone();
        self.inner.poll(limit, |what| {
            if let Ready::Connection { .. } = what {
                count(&calls.told);
            }
            ready(what);
        })
    }

    fn accept(&mut self) -> io::Result<(Self::Stream, SocketAddr)> {
        let (inner, peer) = self.inner.accept()?;
        Ok((Counted { inner, calls: self.calls.clone() }, peer))
    }

    fn register(&mut self, stream: &mut Self::Stream, number: usize) -> io::Result<()> {
        count(&self.calls.interests);
        if self.calls.refuses.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.inner.register(&mut stream.inner, number)
    }

    fn tell_of_room(
        &mut self,
        stream: &mut Self::Stream,
        number: usize,
        wanted: bool,
    ) -> io::Result<()> {
        count(&self.calls.interests);
        self.inner.tell_of_room(&mut stream.inner, number, wanted)
    }

    fn deregister(&mut self, stream: &mut Self::Stream) {
        count(&self.calls.interests);
        self.inner.deregister(&mut stream.inner);
    }
}

/// Orders of a batch, each of which is replaced, and canceled unless it is filled: fewer messages than a turn
/// handles.
const ORDERS: u64 = 8;
/// Reports of a batch: one for each request, and two for each trade.
const ANSWERS: u64 = 3 * ORDERS + 2 * ORDERS / 4;
/// Batches before the counting begins, so that all room is made that is kept.
const WARM_UP: u64 = 300;
/// Batches that are counted.
const BATCHES: u64 = 500;

/// Requests that come together: orders that rest or trade, replaces and cancels of those that rest.
fn batch(client: &FixClient, number: u64, mut seq: u64) -> (Vec<u8>, u64) {
    let mut bytes = Vec::new();
    let mut add = |kind: &str, body: &str| {
        bytes.extend(client.build(kind, seq, body, Flaw::None));
        seq += 1;
    };
    let id = |what: &str, order: u64| format!("{what}{number}-{order}");
    let side = |order: u64| if order.is_multiple_of(2) { ("1", "100") } else { ("2", "200") };
    for order in 0..ORDERS {
        let (side, price) = side(order);
        add("D", &limit(&id("N", order), "AAPL", side, "10", price));
    }
    for order in 0..ORDERS {
        let (side, price) = side(order);
        // Every other pair meets and trades.
        let price = if order % 4 < 2 { "150" } else { price };
        add("G", &replace(&id("R", order), &id("N", order), ("AAPL", side), "11", price));
    }
    for order in 0..ORDERS {
        add("F", &cancel(&id("C", order), &id("R", order), "AAPL", side(order).0));
    }
    (bytes, seq)
}

/// Gateways and a core that are stepped by hand, with a client of the last gateway's.
struct Venue {
    gateways: Vec<GatewayAgent<ManualClock, Counted<TcpNetwork>>>,
    core: CoreAgent<ManualClock>,
    clock: ManualClock,
    now: u64,
    calls: Arc<Calls>,
    client: FixClient,
    /// Number of the client's next message.
    seq: u64,
    /// Number of the last message that the client got.
    received: u64,
    /// Batches that were sent.
    batches: u64,
    _dir: tempfile::TempDir,
}

impl Venue {
    fn start(gateways: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut config = small_config(&dir.path().join("journal"));
        config.threads.gateways = gateways;
        // No segment is begun meanwhile: that takes memory, once in many thousands of orders.
        config.journal.segment_bytes = 64 << 20;
        let clock = ManualClock::default();
        clock.set(Timestamp(START));
        let calls = Arc::new(Calls::default());
        let (parts, _stages) = open(&config, &clock, |port| {
            let inner = TcpNetwork::listen_as(&config, port)?;
            Ok(Counted { inner, calls: calls.clone() })
        });
        let client = FixClient::connect(parts.gateways[0].address(), "A");
        let (gateways, core) = (parts.gateways, parts.core);
        let mut venue = Self {
            gateways,
            core,
            clock,
            now: START,
            calls,
            client,
            seq: 1,
            received: 0,
            batches: 0,
            _dir: dir,
        };
        venue.pass(0);
        venue.log_on();
        venue
    }

    /// Logs the client on, who goes on with his numbers.
    fn log_on(&mut self) {
        self.client.next_out = self.seq;
        self.client.send("A", "98=0|108=30");
        self.seq += 1;
        wait_for("the logon is answered", || {
            self.turn();
            self.pending().iter().any(|message| message.kind() == "A")
        });
    }

    /// What the client got since he looked last.
    fn pending(&mut self) -> Vec<Msg> {
        let pending = self.client.pending();
        self.received = pending.last().map_or(self.received, Msg::seq);
        pending
    }

    /// Two turns of each gateway and one of the core between them; returns the allocations in them.
    fn turn(&mut self) -> u64 {
        let before = allocations();
        for core_too in [true, false] {
            for gateway in &mut self.gateways {
                gateway.do_work();
            }
            if core_too {
                self.core.do_work();
            }
        }
        allocations() - before
    }

    /// Changes of what the system is to tell of, and connections that it told of.
    fn polled(&self) -> (u64, u64) {
        let [.., interests, told] = self.calls.get();
        (interests, told)
    }

    /// So much time passes.
    fn pass(&mut self, ns: u64) {
        self.now += ns;
        self.clock.set(Timestamp(self.now));
        self.client.sending_time = Some(fix_time(Duration::from_nanos(self.now)));
    }

    /// Sends a batch; `turned` hears how many allocations each turn made until it is answered. Returns the answers.
    fn send(&mut self, mut turned: impl FnMut(u64)) -> u64 {
        let (bytes, next) = batch(&self.client, self.batches, self.seq);
        (self.seq, self.batches) = (next, self.batches + 1);
        self.client.send_raw(&bytes);
        // The system may take its time to bring the bytes.
        let mut answers = 0;
        wait_for("all is answered", || {
            turned(self.turn());
            answers += self.pending().len() as u64;
            answers >= ANSWERS
        });
        answers
    }
}

#[test]
fn what_comes_together_takes_one_read_one_write_and_no_memory() {
    what_comes_together_takes_little(1);
}

#[test]
fn who_was_handed_over_takes_no_more() {
    what_comes_together_takes_little(3);
}

/// The client's session is with the last of so many gateways.
#[track_caller]
fn what_comes_together_takes_little(gateways: usize) {
    let mut venue = Venue::start(gateways);
    let mut before = [0; 5];
    let (mut turns, mut reports) = (0, 0);
    for number in 0..WARM_UP + BATCHES {
        if number == WARM_UP {
            (before, turns, reports) = (venue.calls.get(), 0, 0);
        }
        reports += venue.send(|allocated| {
            turns += 1;
            assert!(
                number < WARM_UP || allocated == 0,
                "{allocated} allocations in batch {number}"
            );
        });
        venue.pass(SECOND / 1_000);
    }
    assert_eq!(reports, BATCHES * ANSWERS);
    let after = venue.calls.get();
    let [reads, looks, writes, interests, told] = std::array::from_fn(|at| after[at] - before[at]);
    // Two turns of the gateway each.
    assert!(reads + looks <= 2 * turns, "{reads} reads and {looks} looks in {turns} turns");
    assert_eq!((reads, writes), (BATCHES, BATCHES), "one each for a batch");
    assert_eq!((interests, told), (0, 0), "the poll has nothing to do with it");
}

#[test]
fn the_poll_tells_of_a_busy_connection_when_it_pauses_or_nobody_reads() {
    /// Longer than a connection stays hot.
    const PAUSE: u64 = SECOND / 100;
    /// Turns among which the gateway polls, though connections are hot.
    const POLLED: u32 = 100;
    let mut venue = Venue::start(1);
    for parks in [false, true] {
        venue.pass(PAUSE);
        venue.turn();
        let (interests, told) = venue.polled();
        // Who has something once and no more stays where he is.
        assert_eq!(venue.send(|_| {}), ANSWERS);
        for _ in 0..POLLED {
            venue.turn();
        }
        assert_eq!(venue.polled(), (interests, told + 1));
        venue.pass(SECOND / 1_000);
        assert_eq!(venue.send(|_| {}), ANSWERS);
        for _ in 0..POLLED {
            venue.turn();
        }
        assert_eq!(venue.polled(), (interests + 1, told + 1), "it is left to the reads");
        if parks {
            venue.gateways[0].park(Duration::ZERO);
        } else {
            venue.pass(PAUSE);
            venue.turn();
        }
        assert_eq!(venue.polled().0, interests + 2, "it is left to the poll");
    }
}

#[test]
fn a_connection_that_the_system_cannot_tell_of_any_more_is_closed_and_loses_nothing() {
    let mut venue = Venue::start(1);
    let (interests, _) = venue.polled();
    for _ in 0..WARM_UP {
        venue.pass(SECOND / 1_000);
        assert_eq!(venue.send(|_| {}), ANSWERS);
    }
    assert_eq!(venue.polled().0, interests + 1, "it is left to the reads");
    venue.calls.refuses.store(true, Ordering::Relaxed);
    venue.gateways[0].park(Duration::ZERO);
    assert!(venue.client.is_closed());
    venue.calls.refuses.store(false, Ordering::Relaxed);
    venue.client = FixClient::connect(venue.gateways[0].address(), "A");
    let received = venue.received;
    venue.pass(SECOND);
    venue.log_on();
    assert_eq!(venue.received, received + 1, "the answer to the Logon comes next");
    assert_eq!(venue.send(|_| {}), ANSWERS);
}
