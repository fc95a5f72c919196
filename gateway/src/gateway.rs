//! The gateway: hands sessions what sockets bring, and sockets what the journal says.
//!
//! There may be several, a thread each, with sessions of their own and the core in common. The first one takes all
//! connections and has those of the others' sessions [handed over](GatewayAgent::hand_over_between), once they have
//! proved who they are.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ironbook_engine::{Timestamp, engine::InstrumentView};
use ironbook_journal::{DurablePosition, Reader, Tail};

use crate::{
    acceptor::{Acceptor, LOOK_NS, OutputBound},
    agent::Agent,
    clock::Clock,
    config::{Config, ConfigError},
    counters::PortCounters,
    credentials::Checker,
    dealing::Hand,
    desk::Desk,
    network::Network,
    retention::Delivered,
    ring::InputSender,
    sessions::SessionTable,
    stages::{Stage, StageWatch},
};

/// What a gateway is made of.
pub struct GatewayParts {
    /// Its end of the ring.
    pub inputs: InputSender,
    /// The journal, from where its sessions stand.
    pub tail: Tail,
    /// What reports wait for, or none when they wait for nothing but the journal.
    pub durable: Option<DurablePosition>,
    /// Sequence numbers of all sessions.
    pub sessions: SessionTable,
    /// Its sessions.
    pub hand: Hand,
    /// All instruments.
    pub instruments: Vec<InstrumentView>,
    /// The journal, for resends.
    pub resend: Reader,
    /// What its stages are measured with.
    pub watch: StageWatch,
}

/// The agent of the sessions that send orders.
pub struct GatewayAgent<C, N: Network> {
    acceptor: Acceptor<C, N>,
    tail: Tail,
    delivered: Delivered,
    durable: Option<DurablePosition>,
    desk: Desk,
    turns: u32,
    /// When timeouts and endings are looked at next, ns.
    next_look: u64,
    output_max: usize,
    /// Frames that were told in this turn and are to be written, by their times; where that is measured.
    told: Vec<Told>,
}

/// Frames of the same time that were told.
struct Told {
    /// Their time.
    time_ns: u64,
    /// How many they are.
    frames: u64,
    /// The first of them, and what it took to make messages of it.
    sequence: u64,
    encode_ns: u64,
}

/// Frames of the journal that are delivered in one turn, so that sockets are read in between.
const FRAMES_PER_TURN: usize = 256;

/// Turns between two polls while there are hot connections.
const TURNS_PER_POLL: u32 = 16;

impl<C: Clock, N: Network> GatewayAgent<C, N> {
    /// A gateway for whoever connects over this network.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for a session that can't be as it is configured.
    pub fn new(
        config: &Config,
        parts: GatewayParts,
        clock: C,
        network: N,
    ) -> Result<Self, ConfigError> {
        let now = clock.now();
        let output_bound = OutputBound {
            bytes: config.fix.out_buffer_bytes_max,
            reason: "fix.out_buffer_bytes_max; it gets them resent",
        };
        let mut acceptor = Acceptor::new(&config.fix, output_bound, clock, network);
        acceptor.watch = parts.watch;
        let mut desk = Desk::new(
            config,
            parts.hand,
            parts.sessions,
            parts.inputs,
            parts.instruments,
            parts.resend,
            now,
        )?;
        desk.count_with(acceptor.counters.clone());
        let delivered = Delivered::default();
        delivered.set(parts.tail.position());
        Ok(Self {
            acceptor,
            delivered,
            tail: parts.tail,
            durable: parts.durable,
            desk,
            turns: 0,
            next_look: 0,
            output_max: output_bound.bytes,
            told: Vec::with_capacity(FRAMES_PER_TURN),
        })
    }

    /// Lets the first of these take connections for all of them.
    pub fn hand_over_between(gateways: &mut [Self]) {
        let mut acceptors: Vec<_> = gateways.iter_mut().map(|it| &mut it.acceptor).collect();
        Acceptor::hand_over_between(&mut acceptors);
    }

    /// Checks passwords of Logons with this; until it is said, at once.
    pub fn check_passwords_with(&mut self, checker: Checker) {
        self.acceptor.check_passwords_with(checker);
    }

    /// How far it has delivered the journal, at any time from now on.
    pub fn delivered(&self) -> Delivered {
        self.delivered.clone()
    }

    /// What it keeps count of, at any time from now on.
    pub fn counters(&self) -> Arc<PortCounters> {
        self.acceptor.counters.clone()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.acceptor.address()
    }

    /// Where it listens for TLS, if it does.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.acceptor.tls_address()
    }

    /// When to take a turn at the latest, however quiet journal and sockets are, for those who step
    /// the gateway themselves.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        if let Some(at) = self.acceptor.accepts_at() {
            return Some(at);
        }
        let due = [self.acceptor.next_deadline(), self.desk.next_deadline()];
        let due = due.into_iter().flatten().min()?;
        Some(Timestamp(due.0.max(self.next_look)))
    }

    /// Delivers what the journal has, and writes it.
    #[inline]
    fn deliver(&mut self) -> usize {
        let mut delivered = 0;
        let Acceptor { watch, lines, .. } = &mut self.acceptor;
        watch.mark();
        while delivered < FRAMES_PER_TURN {
            if let Some(durable) = &self.durable
                && self.tail.position() >= durable.get()
            {
                break;
            }
            match self.tail.next() {
                Ok(Some(frame)) => {
                    if !self.desk.deliver(&frame, lines) {
                        watch.mark();
                    } else if watch.is_on() {
                        watch.lap(Stage::Encode);
                        match self.told.last_mut() {
                            Some(told) if told.time_ns == frame.time_ns => told.frames += 1,
                            _ => self.told.push(Told {
                                time_ns: frame.time_ns,
                                frames: 1,
                                sequence: frame.sequence,
                                encode_ns: watch.last_ns(),
                            }),
                        }
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    log::error!("the gateway can't follow the journal: {error}");
                    break;
                }
            }
            delivered += 1;
        }
        if delivered > 0 {
            self.delivered.set(self.tail.position());
        }
        delivered
    }

    /// Counts how long it took until what was told was written.
    #[inline]
    fn count_responses(&mut self, now: Timestamp) {
        let watch = &mut self.acceptor.watch;
        for Told { time_ns, frames, sequence, encode_ns } in self.told.drain(..) {
            let ns = now.0.saturating_sub(time_ns);
            watch.record_n(Stage::Respond, ns, frames);
            watch.end_response(sequence, time_ns, [encode_ns, ns]);
        }
    }

    /// What is done now and then: timeouts, endings, orders that waited.
    fn keep_time(&mut self, now: Timestamp) -> usize {
        if now.0 < self.next_look {
            return 0;
        }
        self.next_look = now.0 + LOOK_NS;
        self.acceptor.close_ended(&mut self.desk, now);
        self.acceptor.end_waits(&mut self.desk, now);
        let half = self.output_max / 2;
        self.desk.look_after(&self.acceptor.lines, now, half)
    }
}

impl<C: Clock, N: Network> Agent for GatewayAgent<C, N> {
    #[inline]
    fn do_work(&mut self) -> usize {
        self.acceptor.watch.begin_turn();
        let mut done = self.deliver();
        self.acceptor.flush(&mut self.desk);
        let now = self.acceptor.now();
        self.count_responses(now);
        self.turns = self.turns.wrapping_add(1);
        let poll = !self.acceptor.has_hot() || self.turns.is_multiple_of(TURNS_PER_POLL);
        if poll {
            done += self.acceptor.poll(now);
            done += self.acceptor.take_verdicts();
            done += self.keep_time(now);
            let half = self.output_max / 2;
            done += self.desk.resend(&mut self.acceptor.lines, now, half);
        }
        done += self.acceptor.read_all(&mut self.desk, now);
        self.desk.flush();
        done
    }

    fn park(&mut self, limit: Duration) {
        let now = self.acceptor.now();
        let until_due =
            self.next_deadline().map(|due| Duration::from_nanos(due.0.saturating_sub(now.0)));
        let limit = until_due.map_or(limit, |due| due.min(limit));
        self.acceptor.wait(&mut self.desk, limit, now);
    }

    /// The core's frames end no park: they are no matter only where the core is on the same thread.
    fn must_look(&self) -> bool {
        let waits_for_disk = |durable: &DurablePosition| self.tail.position() < durable.written();
        self.durable.as_ref().is_some_and(waits_for_disk) || self.acceptor.waits_inside()
    }

    fn close(&mut self) -> bool {
        let now = self.acceptor.now();
        if !self.acceptor.is_winding_up() {
            // Whoever is gone already is not logged out, which would take a number of his session.
            self.acceptor.poll(now);
            self.acceptor.read_all(&mut self.desk, now);
        }
        let late = self.acceptor.wind_up(&mut self.desk, now);
        // Again in each turn: the ring may have had no room for all of them.
        let is_done = self.desk.logout_all(now);
        self.desk.flush();
        is_done || late
    }
}
