//! The agent of the market data port.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ironbook_engine::{Engine, Timestamp};
use ironbook_journal::{DurablePosition, Tail};

use super::{
    board::Board,
    desk::{Desk, Scope},
};
use crate::{
    acceptor::{Acceptor, LOOK_NS, OutputBound},
    agent::Agent,
    clock::Clock,
    config::{Config, ConfigError},
    counters::PortCounters,
    credentials::Checker,
    network::Network,
    retention::Delivered,
};

/// Frames that are taken in one turn, so that sockets are read in between.
const FRAMES_PER_TURN: usize = 4_096;

/// What clients are told when the journal can't be followed.
const NOT_AVAILABLE: &str = "market data is not available";

/// Longest sleep: what a stop, a heartbeat or the check of a password may have to wait for.
const PARK_MAX: Duration = Duration::from_millis(50);

/// What the agent is made of.
pub struct MarketDataParts<'a> {
    /// The state where `tail` stands.
    pub engine: &'a Engine,
    /// The journal.
    pub tail: Tail,
    /// What is told waits for this, or for nothing but the journal.
    pub durable: Option<DurablePosition>,
}

/// Follows the journal, and tells whoever asks what the market is like.
pub struct MarketDataAgent<C, N: Network> {
    acceptor: Acceptor<C, N>,
    tail: Tail,
    delivered: Delivered,
    durable: Option<DurablePosition>,
    board: Board,
    desk: Desk,
    interval_ns: u64,
    /// When changes are told next.
    next_publication: Timestamp,
    /// When timeouts and endings are looked at next.
    next_look: Timestamp,
    /// The journal can't be followed any more: nobody is told of what is out of date.
    broken: bool,
}

impl<C: Clock, N: Network> MarketDataAgent<C, N> {
    /// Market data for whoever connects over this network.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for a session that can't be as it is configured.
    pub fn new(
        config: &Config,
        parts: MarketDataParts<'_>,
        clock: C,
        network: N,
    ) -> Result<Self, ConfigError> {
        let now = clock.now();
        let board = Board::new(parts.engine, config.market_data.depth_max);
        let output_bound = OutputBound {
            bytes: config.market_data.out_buffer_bytes_max,
            reason: "market_data.out_buffer_bytes_max",
        };
        let delivered = Delivered::default();
        delivered.set(parts.tail.position());
        let acceptor = Acceptor::new(&config.fix, output_bound, clock, network);
        let mut desk = Desk::new(config, &board, now)?;
        desk.count_with(acceptor.counters.clone());
        Ok(Self {
            acceptor,
            tail: parts.tail,
            delivered,
            durable: parts.durable,
            desk,
            board,
            interval_ns: config.market_data.interval_ms * 1_000_000,
            next_publication: Timestamp(0),
            next_look: Timestamp(0),
            broken: false,
        })
    }

    /// Checks passwords of Logons with this; until it is said, at once.
    pub fn check_passwords_with(&mut self, checker: Checker) {
        self.acceptor.check_passwords_with(checker);
    }

    /// How far it has read the journal, at any time from now on.
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

    /// Bytes that wait for clients: no more than configured for each, and what one message has.
    pub fn waiting_bytes(&self) -> usize {
        self.acceptor.lines.waiting_bytes()
    }

    /// Takes what the journal has, and may be told; says whether there may be more.
    fn follow(&mut self) -> bool {
        let mut taken = 0;
        // A group that began is taken to its end, as books are told between groups.
        while (taken < FRAMES_PER_TURN || !self.board.is_whole())
            && !self.board.has_many_trades()
            && !self.broken
        {
            if let Some(durable) = &self.durable
                && self.tail.position() >= durable.get()
            {
                break;
            }
            let applied = match self.tail.next() {
                Ok(Some(frame)) => self.board.apply(&frame).map_err(|error| error.to_string()),
                Ok(None) => break,
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = applied {
                log::error!(
                    "market data can't follow the journal: {error}; its clients are logged out, trading goes on"
                );
                self.broken = true;
                self.delivered.end();
                self.acceptor.stop_accepting(NOT_AVAILABLE);
            }
            taken += 1;
        }
        if taken > 0 && !self.broken {
            self.delivered.set(self.tail.position());
        }
        taken >= FRAMES_PER_TURN || self.board.has_many_trades()
    }

    /// Tells what is due.
    fn publish(&mut self, now: Timestamp) -> usize {
        if self.broken {
            self.desk.logout_all(now, NOT_AVAILABLE);
            return 0;
        }
        let whole = self.board.is_whole();
        let due = whole && now >= self.next_publication || self.board.has_many_trades();
        let scope = match due {
            true => Scope::All,
            false if whole && self.desk.has_new() => Scope::New,
            false => return 0,
        };
        let told = self.desk.publish(scope, &mut self.board, &self.acceptor.lines, now);
        if due {
            self.board.note_told();
            self.next_publication = Timestamp(now.0 + self.interval_ns);
        }
        told
    }
}

impl<C: Clock, N: Network> Agent for MarketDataAgent<C, N> {
    /// Frames alone are no reason not to park: what follows from them is told at the next interval.
    fn do_work(&mut self) -> usize {
        let more = self.follow();
        let now = self.acceptor.now();
        let mut done = usize::from(more) + self.acceptor.poll(now);
        done += self.acceptor.take_verdicts();
        done += self.acceptor.read_all(&mut self.desk, now);
        if now >= self.next_look {
            self.next_look = Timestamp(now.0 + LOOK_NS);
            self.acceptor.close_ended(&mut self.desk, now);
            done += self.desk.handle_timeouts(now);
            self.acceptor.counters.subscriptions.set(self.desk.subscriptions() as u64);
        }
        done += self.publish(now);
        self.desk.move_output(&mut self.acceptor.lines);
        self.acceptor.flush(&mut self.desk);
        done
    }

    /// Until a socket has something, or the next publication.
    fn park(&mut self, limit: Duration) {
        if self.acceptor.has_ready() {
            return;
        }
        let now = self.acceptor.now();
        let due = match self.desk.has_subscriptions() {
            true => Duration::from_nanos(self.next_publication.0.saturating_sub(now.0)),
            false => PARK_MAX,
        };
        self.acceptor.wait(&mut self.desk, limit.max(due).min(PARK_MAX), now);
    }

    /// The journal wakes nobody.
    fn must_look(&self) -> bool {
        true
    }

    fn close(&mut self) -> bool {
        let now = self.acceptor.now();
        let late = self.acceptor.wind_up(&mut self.desk, now);
        self.desk.logout_all(now, "the venue stops") || late
    }
}
