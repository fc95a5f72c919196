//! The engine: one command in, its events out.

mod cancel;
mod configure;
mod entry;
mod lookahead;
mod matching;
mod query;
mod replace;
mod report;
mod risk;
mod state;
mod view;

use std::collections::BTreeMap;

pub use state::{STATE_VERSION, StateError};
pub use view::{
    BookView, InstrumentView, LevelView, OrderView, RiskMeasure, RiskView, SessionView, Totals,
};

use crate::{
    CommandRef, EngineLimits, InstrumentId, Sequence, SessionId, Stamp, book::Books, closed::Names,
    event::StateHashed, hash::mix, instrument::Instrument, order::Orders, session::Session,
    sink::EventSink,
};
use report::Out;
use risk::Risk;

/// Matching for all instruments of a venue.
///
/// All memory is reserved by [`Engine::new`] from the limits, except what instruments and sessions
/// need when they are defined and pages of the price indexes where prices lie far apart.
#[derive(Debug)]
pub struct Engine {
    limits: EngineLimits,
    books: Books,
    orders: Orders,
    names: Names,
    /// By id - 1.
    instruments: Vec<Instrument>,
    /// By id - 1.
    sessions: Vec<Session>,
    risk: Risk,
    /// Instruments by padded symbol.
    symbols: BTreeMap<[u8; 24], InstrumentId>,
    /// Sequence of the last command or event.
    last_sequence: Sequence,
    /// Commands applied.
    commands: u64,
    /// How many commands will have been applied when the next state hash is journaled.
    next_state_hash_at: u64,
    /// Orders accepted, which is the count in the latest OrderID.
    orders_accepted: u64,
    /// Trades, which is the latest TradeId.
    trades: u64,
    /// Sum over resting orders of what each adds to the state hash.
    orders_hash: u64,
    /// Sum over instruments and sessions of what each adds to the state hash.
    configuration_hash: u64,
}

impl Engine {
    /// An engine without instruments, sessions or orders, with room for what `limits` say.
    ///
    /// # Panics
    /// When the limits are not [valid](EngineLimits::is_valid).
    pub fn new(limits: EngineLimits) -> Self {
        assert!(limits.is_valid(), "limits that no engine can be built with: {limits:?}");
        let mut engine = Self {
            limits,
            books: Books::new(limits.orders_max),
            orders: Orders::new(limits.orders_max),
            names: Names::new(limits.orders_max, limits.closed_orders_kept),
            instruments: Vec::new(),
            sessions: Vec::new(),
            risk: Risk::default(),
            symbols: BTreeMap::new(),
            last_sequence: Sequence(0),
            commands: 0,
            next_state_hash_at: 0,
            orders_accepted: 0,
            trades: 0,
            orders_hash: 0,
            configuration_hash: 0,
        };
        engine.schedule_state_hash();
        engine
    }

    /// Carries out a command and returns the sequence that comes after its last event.
    ///
    /// Event `i` of the command, from 0, has the sequence `stamp.sequence + 1 + i` and the time of
    /// the command. Nothing but the commands decides what happens.
    ///
    /// # Panics
    /// When the stamp's sequence was used before: then commands are lost or repeated, and going on
    /// would make the journal a lie. The same goes for any invariant of the book that fails.
    pub fn apply<'c>(
        &mut self,
        stamp: Stamp,
        command: impl Into<CommandRef<'c>>,
        sink: &mut impl EventSink,
    ) -> Sequence {
        assert!(stamp.sequence > self.last_sequence, "sequence {} comes again", stamp.sequence);
        let mut out = Out::new(stamp, sink);
        match command.into() {
            CommandRef::NewOrder(command) => self.new_order(command, &mut out),
            CommandRef::CancelOrder(command) => self.cancel_order(command, &mut out),
            CommandRef::ReplaceOrder(command) => self.replace_order(command, &mut out),
            CommandRef::MassCancel(command) => self.mass_cancel(command, &mut out),
            CommandRef::QueryOrder(command) => self.query_order(command, &mut out),
            CommandRef::CancelOnDisconnect(command) => self.cancel_on_disconnect(command, &mut out),
            CommandRef::Limits(limits) => self.set_limits(*limits),
            CommandRef::DefineInstrument(definition) => self.define_instrument(definition),
            CommandRef::SetInstrumentStatus(command) => self.set_status(command, &mut out),
            CommandRef::DefineSession(definition) => self.define_session(definition),
            CommandRef::SetRiskLimits(command) => self.set_risk_limits(command),
            CommandRef::SetTradingStatus(command) => self.set_trading_status(command, &mut out),
        }
        self.commands += 1;
        if self.commands == self.next_state_hash_at {
            self.schedule_state_hash();
            out.emit(&StateHashed {
                state_hash: self.state_hash(),
                commands: self.commands,
                live_orders: self.books.taken().into(),
            });
        }
        self.last_sequence = out.last();
        out.next()
    }

    /// Touches all memory that is reserved, so that no order pays for a page fault: once, before
    /// the first order, where that matters.
    pub fn touch_memory(&mut self) {
        self.books.touch_memory();
        self.orders.touch_memory();
        self.names.touch_memory();
    }

    /// Bounds of the engine.
    pub fn limits(&self) -> &EngineLimits {
        &self.limits
    }

    /// Hash of the whole state but the sequence: all orders with their places in the queues, all
    /// that is remembered, all definitions and counters. It is kept up to date with every change, so
    /// asking costs nothing, but for risk records: these are hashed when asked.
    pub fn state_hash(&self) -> u64 {
        let configuration = self.configuration_hash.wrapping_add(self.risk.hash());
        self.hash_of(self.orders_hash, self.names.hash, configuration)
    }

    /// The state hash computed afresh from every order, for audits: it must be equal.
    ///
    /// # Panics
    /// When something is kept of trades of an order that does not rest.
    pub fn recompute_state_hash(&self) -> u64 {
        let mut traded = 0;
        let orders = self.books.resting_slots().fold(0u64, |sum, slot| {
            let (order, details) = (self.books.order(slot), self.orders.get(slot));
            let progress = self.orders.progress(slot, order.leaves_qty);
            traded += usize::from(progress.order_qty != order.leaves_qty);
            sum.wrapping_add(details.contribution(&order, &progress, details.name_hash()))
        });
        assert!(traded == self.orders.traded_count(), "the progress of an order was not ended");
        let instruments = self.instruments.iter().map(configure::hash_of_instrument);
        let sessions = self.sessions.iter().map(configure::hash_of_session);
        let configuration = instruments
            .chain(sessions)
            .chain([self.recompute_risk_hash()])
            .fold(0, u64::wrapping_add);
        self.hash_of(orders, self.names.recompute_hash(), configuration)
    }

    fn hash_of(&self, orders: u64, closed: u64, configuration: u64) -> u64 {
        let limits = &self.limits;
        let pair = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        mix(
            0,
            [
                orders,
                closed,
                configuration,
                self.commands,
                self.orders_accepted,
                self.trades,
                self.names.closed_total,
                self.books.taken().into(),
                pair(limits.orders_max, limits.closed_orders_kept),
                pair(limits.instruments_max, limits.sessions_max),
                pair(limits.state_hash_interval, 0),
                limits.rules_version,
            ],
        )
    }

    /// State hashes are journaled after every multiple of the interval.
    fn schedule_state_hash(&mut self) {
        let interval = u64::from(self.limits.state_hash_interval);
        self.next_state_hash_at = match self.commands.checked_div(interval) {
            Some(passed) => (passed + 1) * interval,
            None => 0,
        };
    }

    #[inline]
    fn instrument_at(&self, instrument: InstrumentId) -> Option<&Instrument> {
        self.instruments.get(instrument.0.wrapping_sub(1) as usize)
    }

    #[inline]
    fn session_at(&self, session: SessionId) -> Option<&Session> {
        self.sessions.get(session.0.wrapping_sub(1) as usize)
    }

    /// The instrument of a live order.
    #[inline]
    fn instrument_of(&self, slot: u32) -> &Instrument {
        &self.instruments[self.orders.get(slot).instrument.0 as usize - 1]
    }
}
