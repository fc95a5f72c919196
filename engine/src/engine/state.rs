//! The state as bytes, for snapshots.
//!
//! ```text
//! header      magic, version, counters, limits, counts                         136 bytes
//! instruments definition and status, by id                                      72 bytes each
//! sessions    id and comp id, by id                                             40 bytes each
//! risk        records of sessions, in the order in which they were made      1,136 bytes each
//! last prices of instruments that have one, by id                               16 bytes each
//! orders      live orders, by slot                                             120 bytes each
//! free slots  the one that is taken next first, in pairs                         4 bytes each
//! closed      remembered orders and names, oldest first                        112 bytes each
//! hashes      state hash, hash of all bytes before                              16 bytes
//! ```
//!
//! A state without risk records is one of version 2, which has none; programs of before read it.
//!
//! Queues, chains, indexes and sums are not saved: they follow from the orders. A queue is in the
//! order of priority, a session's chain in the order of OrderID. The free slots are saved because
//! later OrderIDs depend on them.

use thiserror::Error;
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

use super::{
    Engine, configure,
    risk::{BUCKETS, Bucket, SessionRisk, Trip, words},
};
use crate::{
    Account, ClOrdId, EngineLimits, InstrumentId, InstrumentStatus, OrdStatus, OrdType, OrderId,
    Sequence, SessionId, Side, TimeInForce, TradingStatus,
    book::{NIL, Resting},
    closed::ClosedOrder,
    command::{DefineInstrument, DefineSession, MANTISSA_MAX, RiskLimits},
    domain::RejectReason,
    hash::mix_bytes,
    order::{self, Details, Progress, RESTING_TYPE, time_in_force},
};

/// Version of the layout.
pub const STATE_VERSION: u32 = 3;

/// Version of the layout without risk records.
const WITHOUT_RISK: u32 = 2;

const MAGIC: [u8; 8] = *b"IRONBOOK";
/// Domain of the hash of the bytes.
const BYTES: u64 = 6;

/// Why bytes are not the state of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StateError {
    /// The bytes do not begin like a state.
    #[error("these bytes are not the state of an engine")]
    Magic,
    /// Another program wrote it.
    #[error("state of version {found}, this program reads version {known}")]
    Version {
        /// Version of the state.
        found: u32,
        /// Version that this program reads.
        known: u32,
    },
    /// Bytes are missing or left over.
    #[error("state of {found} bytes, by its own counts it has another length")]
    Length {
        /// Bytes found.
        found: usize,
    },
    /// The bytes changed since they were written.
    #[error("the state's bytes do not have the hash that was written with them")]
    Hash,
    /// The bytes are as they were written, but no engine has such a state.
    #[error("the state contradicts itself: {rule}")]
    Contradiction {
        /// What must hold and does not.
        rule: &'static str,
    },
}

/// Defines a saved record.
macro_rules! saved {
    ($(#[$doc:meta])* $name:ident, $size:expr; $($field:ident: $type:ty,)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
        #[repr(C)]
        struct $name { $($field: $type,)+ }
        const _: () = assert!(size_of::<$name>() == $size);
    };
}

saved! {
    /// What comes first.
    Header, 136;
    magic: [u8; 8],
    version: u32,
    risks: u32,
    last_sequence: Sequence,
    commands: u64,
    orders_accepted: u64,
    trades: u64,
    closed_total: u64,
    limits: EngineLimits,
    instruments: u64,
    sessions: u64,
    orders: u64,
    free_slots: u64,
    closed: u64,
    last_prices: u64,
}

saved! {
    /// An instrument.
    SavedInstrument, 72;
    definition: DefineInstrument,
    status: InstrumentStatus,
    reserved: [u8; 7],
}

saved! {
    /// A risk record.
    SavedRisk, 1136;
    limits: RiskLimits,
    session: SessionId,
    status: TradingStatus,
    rule: u8,
    reserved: [u8; 2],
    limit: i64,
    observed: i64,
    newest: u64,
    buckets: [SavedBucket; BUCKETS],
}

saved! {
    /// What was traded in a part of a window: notional and loss, the low word first.
    SavedBucket, 32;
    notional: [u64; 2],
    loss: [u64; 2],
}

saved! {
    /// The price of an instrument's last trade.
    SavedPrice, 16;
    instrument: InstrumentId,
    reserved: u32,
    last_px: i64,
}

saved! {
    /// A live order.
    SavedOrder, 120;
    order_id: OrderId,
    priority: Sequence,
    price: i64,
    order_qty: i64,
    leaves_qty: i64,
    cum_notional: [u64; 2],
    session: SessionId,
    instrument: InstrumentId,
    account: Account,
    cl_ord_id: ClOrdId,
    side: Side,
    ord_type: OrdType,
    time_in_force: TimeInForce,
    reserved: [u8; 5],
}

saved! {
    /// A remembered order or name.
    SavedClosed, 112;
    order_id: OrderId,
    price: i64,
    order_qty: i64,
    cum_qty: i64,
    cum_notional: [u64; 2],
    session: SessionId,
    instrument: InstrumentId,
    account: Account,
    cl_ord_id: ClOrdId,
    side: Side,
    ord_type: OrdType,
    time_in_force: TimeInForce,
    ord_status: OrdStatus,
    superseded: u32,
}

impl Engine {
    /// Appends the whole state.
    pub fn write_state(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(self.saved_header().as_bytes());
        for instrument in &self.instruments {
            let (definition, status) = (instrument.definition, instrument.status);
            out.extend_from_slice(
                SavedInstrument { definition, status, reserved: [0; 7] }.as_bytes(),
            );
        }
        for session in &self.sessions {
            out.extend_from_slice(DefineSession::new(session.id, session.comp_id).as_bytes());
        }
        for record in self.risk.records() {
            out.extend_from_slice(saved_risk(record).as_bytes());
        }
        for (instrument, last_px) in self.last_prices() {
            out.extend_from_slice(SavedPrice { instrument, reserved: 0, last_px }.as_bytes());
        }
        for slot in self.books.resting_slots() {
            out.extend_from_slice(self.saved_order(slot).as_bytes());
        }
        for slot in self.books.free_slots() {
            out.extend_from_slice(&slot.to_le_bytes());
        }
        for closed in self.names.remembered() {
            out.extend_from_slice(saved_closed(closed).as_bytes());
        }
        out.extend_from_slice(&self.state_hash().to_le_bytes());
        let hash = mix_bytes(BYTES, &out[start..]);
        out.extend_from_slice(&hash.to_le_bytes());
    }

    /// The engine whose state these bytes are. It goes on exactly as the one that wrote them: with
    /// the same events, ids and state hashes.
    ///
    /// # Errors
    /// [`StateError`] when the bytes are damaged, of another version, or no state of an engine.
    pub fn read_state(bytes: &[u8]) -> Result<Self, StateError> {
        let mut reader = Reader::new(bytes)?;
        let header: Header = reader.record()?;
        must(header.limits.is_valid(), "limits are valid")?;
        reader.must_have_length_of(&header)?;
        let mut engine = Self::new(header.limits);
        engine.restore_counters(&header)?;
        for _ in 0..header.instruments {
            engine.restore_instrument(&reader.record()?)?;
        }
        for _ in 0..header.sessions {
            engine.restore_session(&reader.record()?)?;
        }
        let risks: Vec<SavedRisk> = reader.records(header.risks.into())?;
        engine.restore_last_prices(&reader.records(header.last_prices)?)?;
        let orders: Vec<SavedOrder> = reader.records(header.orders)?;
        let free: Vec<u32> = reader.records(header.free_slots)?;
        engine.restore_slots(&orders, &free)?;
        engine.restore_queues(&orders)?;
        risks.iter().try_for_each(|saved| engine.restore_risk(saved))?;
        for number in 0..header.closed {
            let first = header.closed_total - header.closed + 1;
            engine.restore_closed(first + number, &reader.record()?)?;
        }
        engine.schedule_state_hash();
        must(engine.state_hash() == reader.record()?, "the state has the hash that it had")?;
        Ok(engine)
    }

    fn saved_header(&self) -> Header {
        let live = self.books.taken();
        Header {
            magic: MAGIC,
            version: if self.risk.is_active() { STATE_VERSION } else { WITHOUT_RISK },
            risks: self.risk.records().len() as u32,
            last_sequence: self.last_sequence,
            commands: self.commands,
            orders_accepted: self.orders_accepted,
            trades: self.trades,
            closed_total: self.names.closed_total,
            limits: self.limits,
            instruments: self.instruments.len() as u64,
            sessions: self.sessions.len() as u64,
            orders: live.into(),
            free_slots: (self.books.slots() - live).into(),
            closed: self.names.remembered_count() as u64,
            last_prices: self.last_prices().count() as u64,
        }
    }

    /// Prices of last trades, where there is one.
    fn last_prices(&self) -> impl Iterator<Item = (InstrumentId, i64)> {
        let prices = self.instruments.iter().map(|i| (i.definition.instrument, i.last_px));
        prices.filter(|&(_, last_px)| last_px != 0)
    }

    fn saved_order(&self, slot: u32) -> SavedOrder {
        let (order, details) = (self.books.order(slot), self.orders.get(slot));
        let progress = self.orders.progress(slot, order.leaves_qty);
        SavedOrder {
            order_id: OrderId(order.id),
            priority: details.priority,
            price: self.instrument_of(slot).price(order.ticks),
            order_qty: progress.order_qty,
            leaves_qty: order.leaves_qty,
            cum_notional: progress.cum_notional,
            session: details.session,
            instrument: details.instrument,
            account: details.account,
            cl_ord_id: details.cl_ord_id,
            side: order.side,
            ord_type: RESTING_TYPE,
            time_in_force: time_in_force(order.tag),
            reserved: [0; 5],
        }
    }

    fn restore_counters(&mut self, header: &Header) -> Result<(), StateError> {
        let last = header.last_sequence.0;
        must(
            (header.version == STATE_VERSION) == (header.risks > 0)
                && (header.risks > 0 || header.last_prices == 0),
            "a state with risk records is of the version that has them",
        )?;
        must(last < 1 << 62, "the sequence has a future")?;
        must(header.commands <= last, "every command has a sequence")?;
        must(header.orders_accepted <= header.commands, "every order came with a command")?;
        must(header.orders_accepted <= OrderId::COUNT_MAX, "every order has an OrderID")?;
        must(header.trades <= last, "every trade has a sequence")?;
        must(header.closed_total <= last, "every end of an order has a sequence")?;
        must(header.closed <= header.closed_total, "what is remembered has happened")?;
        must(header.closed <= header.limits.closed_orders_kept.into(), "memory is bounded")?;
        self.last_sequence = header.last_sequence;
        self.commands = header.commands;
        self.orders_accepted = header.orders_accepted;
        self.trades = header.trades;
        self.names.closed_total = header.closed_total;
        Ok(())
    }

    fn restore_instrument(&mut self, saved: &SavedInstrument) -> Result<(), StateError> {
        must(saved.reserved == [0; 7], "what is reserved is zero")?;
        let known = self.instruments.len();
        self.define_instrument(&saved.definition);
        must(self.instruments.len() == known + 1, "instruments can be defined in this order")?;
        let instrument = &mut self.instruments[known];
        let before = configure::hash_of_instrument(instrument);
        instrument.status = saved.status;
        self.configuration_hash = self
            .configuration_hash
            .wrapping_sub(before)
            .wrapping_add(configure::hash_of_instrument(instrument));
        Ok(())
    }

    fn restore_session(&mut self, saved: &DefineSession) -> Result<(), StateError> {
        must(saved.reserved == 0, "what is reserved is zero")?;
        let known = self.sessions.len();
        self.define_session(saved);
        must(self.sessions.len() == known + 1, "sessions can be defined in this order")
    }

    /// Gives instruments the prices of their last trades.
    fn restore_last_prices(&mut self, saved: &[SavedPrice]) -> Result<(), StateError> {
        must(saved.is_sorted_by(|a, b| a.instrument < b.instrument), "prices come by instrument")?;
        for price in saved {
            let instrument = self.instrument_at(price.instrument);
            let definition =
                &instrument.ok_or(contradiction("a price's instrument is defined"))?.definition;
            must(price.reserved == 0, "what is reserved is zero")?;
            must(
                (1..=definition.price_max).contains(&price.last_px)
                    && price.last_px % definition.tick == 0,
                "a last price is allowed",
            )?;
            self.set_last_px(price.instrument, price.last_px);
        }
        Ok(())
    }

    /// Gives a session its risk record, once its orders rest.
    fn restore_risk(&mut self, saved: &SavedRisk) -> Result<(), StateError> {
        must(saved.reserved == [0; 2], "what is reserved is zero")?;
        must(saved.limits.is_valid(), "risk limits are valid")?;
        let session = self.session_at(saved.session);
        let session = session.ok_or(contradiction("a risk record's session is defined"))?;
        must(session.risk == NIL, "a session has one risk record")?;
        let mut record = SessionRisk::new(saved.session);
        record.open_notional = self.open_notional(session);
        record.set_limits(saved.limits);
        record.status = saved.status;
        record.trip = saved.trip()?;
        let counts = saved.limits.window_ms > 0;
        must(counts || saved.newest == 0, "without a window nothing is counted")?;
        record.window.newest = saved.newest;
        for (bucket, saved) in record.window.buckets.iter_mut().zip(&saved.buckets) {
            *bucket = saved.bucket();
            let is_used = bucket.notional > 0 && counts;
            must(is_used || *bucket == Bucket::default(), "what is counted has a notional")?;
            must(
                bucket.notional <= BUCKET_MAX && (-BUCKET_MAX..=BUCKET_MAX).contains(&bucket.loss),
                "what is counted is bounded",
            )?;
            record.window.total.add(*bucket);
        }
        self.risk.push(&mut self.sessions[saved.session.0 as usize - 1], record);
        Ok(())
    }

    /// Takes the slots of the orders and frees the others, in the order in which they were free.
    fn restore_slots(&mut self, orders: &[SavedOrder], free: &[u32]) -> Result<(), StateError> {
        let slots = orders.len() + free.len();
        must(slots <= self.limits.orders_max as usize, "orders have room")?;
        for pair in orders.windows(2) {
            must(pair[0].order_id.slot() < pair[1].order_id.slot(), "orders come by slot")?;
        }
        let mut is_used = vec![false; slots];
        for order in orders {
            self.check_order(order)?;
            let used = is_used.get_mut(order.order_id.slot() as usize);
            *used.ok_or(contradiction("an order's slot was used"))? = true;
        }
        for &slot in free {
            let used = is_used.get_mut(slot as usize).filter(|used| !**used);
            *used.ok_or(contradiction("a free slot is free, once"))? = true;
        }
        self.books.restore_slots(slots as u32, free);
        self.orders.restore(slots as u32);
        Ok(())
    }

    /// Whether an order can be in a book of this engine.
    fn check_order(&self, order: &SavedOrder) -> Result<(), StateError> {
        let instrument = self.instrument_at(order.instrument);
        let definition =
            &instrument.ok_or(contradiction("an order's instrument is defined"))?.definition;
        must(order.reserved == [0; 5], "what is reserved is zero")?;
        must(self.session_at(order.session).is_some(), "an order's session is defined")?;
        must(
            (1..=self.orders_accepted).contains(&order.order_id.count()),
            "an order was accepted",
        )?;
        must(order.priority <= self.last_sequence, "an order's priority is a past command")?;
        must(
            (1..=definition.price_max).contains(&order.price) && order.price % definition.tick == 0,
            "an order's price is allowed",
        )?;
        must(
            order.leaves_qty >= 1
                && order.leaves_qty <= order.order_qty
                && order.order_qty <= definition.order_qty_max,
            "an order's quantity is allowed",
        )?;
        let cum_qty = (order.order_qty - order.leaves_qty) as u128;
        must(
            notional(order.cum_notional) <= cum_qty * MANTISSA_MAX as u128,
            "an order traded at prices",
        )?;
        must(
            order.ord_type == OrdType::Limit
                && matches!(order.time_in_force, TimeInForce::Day | TimeInForce::Gtc),
            "an order may rest",
        )
    }

    /// Puts the orders into their queues, chains and indexes.
    fn restore_queues(&mut self, orders: &[SavedOrder]) -> Result<(), StateError> {
        let mut by_priority: Vec<&SavedOrder> = orders.iter().collect();
        by_priority.sort_by_key(|order| (order.priority, order.order_id));
        for order in by_priority {
            let slot = order.order_id.slot();
            let instrument = &self.instruments[order.instrument.0 as usize - 1];
            let resting = Resting {
                id: order.order_id.0,
                side: order.side,
                ticks: instrument.ticks(order.price),
                leaves_qty: order.leaves_qty,
                tag: order.time_in_force.code(),
            };
            self.books.rest(instrument.book, slot, resting);
            let &SavedOrder { priority, session, instrument, account, cl_ord_id, .. } = order;
            *self.orders.get_mut(slot) =
                Details::new(priority, session, instrument, account, cl_ord_id);
            let progress =
                Progress { order_qty: order.order_qty, cum_notional: order.cum_notional };
            if order.order_qty > order.leaves_qty {
                self.orders.keep_progress(slot, progress);
            }
            let name = self.names.name(order.session, &order.cl_ord_id);
            must(!self.is_named(order.session, &order.cl_ord_id), "an order's name is its own")?;
            self.names.open(name.tag, slot);
            let contribution = self.orders.get(slot).contribution(&resting, &progress, name.hash);
            self.orders_hash = self.orders_hash.wrapping_add(contribution);
        }
        let mut by_acceptance: Vec<&SavedOrder> = orders.iter().collect();
        by_acceptance.sort_by_key(|order| order.order_id);
        for order in by_acceptance {
            let session = &mut self.sessions[order.session.0 as usize - 1];
            session.link(&mut self.orders, order.order_id.slot());
        }
        must(self.instruments.iter().all(|i| !self.books.is_crossed(i.book)), "no book is crossed")
    }

    fn restore_closed(&mut self, number: u64, saved: &SavedClosed) -> Result<(), StateError> {
        must(self.instrument_at(saved.instrument).is_some(), "a closed order's instrument exists")?;
        must(!self.is_named(saved.session, &saved.cl_ord_id), "a closed order's name is its own")?;
        must(saved.superseded <= 1, "a flag is a flag")?;
        let superseded = saved.superseded == 1;
        let lives = order::find(&self.books, saved.order_id).is_some();
        must(superseded || !lives, "a closed order does not live")?;
        self.names.restore(
            number,
            ClosedOrder {
                order_id: saved.order_id,
                price: saved.price,
                order_qty: saved.order_qty,
                cum_qty: saved.cum_qty,
                cum_notional: saved.cum_notional,
                contribution: 0,
                session: saved.session,
                instrument: saved.instrument,
                name_tag: 0,
                side: saved.side,
                ord_type: saved.ord_type,
                time_in_force: saved.time_in_force,
                ord_status: saved.ord_status,
                account: saved.account,
                cl_ord_id: saved.cl_ord_id,
                superseded,
            },
        );
        Ok(())
    }

    fn is_named(&self, session: SessionId, cl_ord_id: &ClOrdId) -> bool {
        let tag = self.names.tag(session, cl_ord_id);
        self.names.find(&self.orders, tag, session, cl_ord_id).is_some()
    }
}

/// No bucket of a window holds more: 2^57 trades of the largest notional. All buckets together fit.
const BUCKET_MAX: i128 = 1 << 120;

impl SavedRisk {
    /// The trip that is saved, if there is one.
    fn trip(&self) -> Result<Option<Trip>, StateError> {
        let &Self { rule, limit, observed, .. } = self;
        if rule == 0 {
            must(limit == 0 && observed == 0, "what did not trip has no limit")?;
            return Ok(None);
        }
        let rule = RejectReason::from_code(rule).ok_or(contradiction("codes are known"))?;
        must(
            matches!(rule, RejectReason::TradedNotionalTooLarge | RejectReason::LossTooLarge)
                && (1..observed).contains(&limit)
                && self.status == TradingStatus::CancelOnly,
            "a trip has a rule that was broken",
        )?;
        Ok(Some(Trip { rule, limit, observed }))
    }
}

impl SavedBucket {
    fn bucket(&self) -> Bucket {
        let value = |[low, high]: [u64; 2]| (u128::from(high) << 64 | u128::from(low)) as i128;
        Bucket { notional: value(self.notional), loss: value(self.loss) }
    }
}

fn saved_risk(record: &SessionRisk) -> SavedRisk {
    let (rule, limit, observed) = match record.trip {
        Some(Trip { rule, limit, observed }) => (rule.code(), limit, observed),
        None => (0, 0, 0),
    };
    SavedRisk {
        limits: record.limits,
        session: record.session,
        status: record.status,
        rule,
        reserved: [0; 2],
        limit,
        observed,
        newest: record.window.newest,
        buckets: record.window.buckets.map(|bucket| SavedBucket {
            notional: words(bucket.notional),
            loss: words(bucket.loss),
        }),
    }
}

fn saved_closed(closed: &ClosedOrder) -> SavedClosed {
    SavedClosed {
        order_id: closed.order_id,
        price: closed.price,
        order_qty: closed.order_qty,
        cum_qty: closed.cum_qty,
        cum_notional: closed.cum_notional,
        session: closed.session,
        instrument: closed.instrument,
        account: closed.account,
        cl_ord_id: closed.cl_ord_id,
        side: closed.side,
        ord_type: closed.ord_type,
        time_in_force: closed.time_in_force,
        ord_status: closed.ord_status,
        superseded: closed.superseded.into(),
    }
}

fn notional([low, high]: [u64; 2]) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

fn contradiction(rule: &'static str) -> StateError {
    StateError::Contradiction { rule }
}

fn must(holds: bool, rule: &'static str) -> Result<(), StateError> {
    if holds { Ok(()) } else { Err(contradiction(rule)) }
}

/// Reads records off bytes whose hash is checked.
struct Reader<'a> {
    rest: &'a [u8],
    found: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, StateError> {
        let found = bytes.len();
        let (magic, after) = bytes.split_first_chunk::<8>().ok_or(StateError::Magic)?;
        if *magic != MAGIC {
            return Err(StateError::Magic);
        }
        let (version, _) = after.split_first_chunk().ok_or(StateError::Length { found })?;
        let version = u32::from_le_bytes(*version);
        if ![WITHOUT_RISK, STATE_VERSION].contains(&version) {
            return Err(StateError::Version { found: version, known: STATE_VERSION });
        }
        let (rest, hash) = bytes.split_last_chunk().ok_or(StateError::Length { found })?;
        if u64::from_le_bytes(*hash) != mix_bytes(BYTES, rest) {
            return Err(StateError::Hash);
        }
        Ok(Self { rest, found })
    }

    /// Checks the counts before anything is reserved for them.
    fn must_have_length_of(&self, header: &Header) -> Result<(), StateError> {
        let parts = [
            (header.instruments, size_of::<SavedInstrument>()),
            (header.sessions, size_of::<DefineSession>()),
            (header.risks.into(), size_of::<SavedRisk>()),
            (header.last_prices, size_of::<SavedPrice>()),
            (header.orders, size_of::<SavedOrder>()),
            (header.free_slots, size_of::<u32>()),
            (header.closed, size_of::<SavedClosed>()),
            (1, size_of::<u64>()),
        ];
        let length: u128 = parts.iter().map(|&(n, size)| u128::from(n) * size as u128).sum();
        match length == self.rest.len() as u128 {
            true => Ok(()),
            false => Err(StateError::Length { found: self.found }),
        }
    }

    fn record<T: TryFromBytes>(&mut self) -> Result<T, StateError> {
        let found = self.found;
        let (bytes, rest) =
            self.rest.split_at_checked(size_of::<T>()).ok_or(StateError::Length { found })?;
        self.rest = rest;
        T::try_read_from_bytes(bytes).map_err(|_| contradiction("codes are known"))
    }

    fn records<T: TryFromBytes>(&mut self, count: u64) -> Result<Vec<T>, StateError> {
        (0..count).map(|_| self.record()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Command, Stamp, Symbol, Timestamp,
        command::{CancelOrder, NewOrder, OrderTerms, Origin, ReplaceOrder, SetRiskLimits},
        event::Event,
        sink::{CountingSink, VecSink},
    };

    fn engine() -> Engine {
        let limits = EngineLimits { orders_max: 8, closed_orders_kept: 4, ..Default::default() };
        let mut engine = Engine::new(limits);
        let instrument = InstrumentId(1);
        let symbol = Symbol::try_from("ONE").unwrap();
        let mut commands: Vec<Command> = vec![
            DefineSession::new(SessionId(1), "A".try_into().unwrap()).into(),
            DefineInstrument::new(instrument, symbol, 2, 0, 1, 1).into(),
        ];
        let origin = Origin::new(SessionId(1), 0, Timestamp(0));
        let terms = |side, price| OrderTerms {
            side,
            ord_type: OrdType::Limit,
            time_in_force: TimeInForce::Day,
            price: (price, 2),
            order_qty: (10, 0),
        };
        let limits = RiskLimits {
            open_notional: 1 << 40,
            loss: 1,
            price_deviation: 20_000,
            window_ms: 1,
            ..RiskLimits::NONE
        };
        commands.push(SetRiskLimits::new(origin, SessionId(1), limits).into());
        let name = |number: i64| ClOrdId::try_from(format!("N{number}").as_str()).unwrap();
        for number in 0..9 {
            let side = if number % 3 == 0 { Side::Sell } else { Side::Buy };
            let terms = terms(side, 100 + number % 4);
            let account = Account::try_from("ACC").unwrap();
            commands.push(NewOrder::new(origin, instrument, terms, account, name(number)).into());
        }
        let (ids, terms) = ((name(90), name(8)), terms(Side::Buy, 99));
        commands
            .push(ReplaceOrder::new(origin, OrderId::NONE, InstrumentId::NONE, terms, ids).into());
        let mut next = Sequence(1);
        for command in &commands {
            let stamp = Stamp { sequence: next, time: Timestamp(0) };
            next = engine.apply(stamp, command, &mut CountingSink::default());
        }
        assert!(engine.books.taken() > 2 && engine.names.remembered_count() == 4);
        engine
    }

    fn written(engine: &Engine) -> Vec<u8> {
        let mut bytes = Vec::new();
        engine.write_state(&mut bytes);
        bytes
    }

    fn state() -> Vec<u8> {
        written(&engine())
    }

    /// Gives bytes the hash that they would have had if they had been written so.
    fn seal(bytes: &mut [u8]) {
        let at = bytes.len() - 8;
        let hash = mix_bytes(BYTES, &bytes[..at]);
        bytes[at..].copy_from_slice(&hash.to_le_bytes());
    }

    #[test]
    fn forged_states_never_panic_and_are_kept_as_they_are_if_taken() {
        let bytes = state();
        for at in 12..bytes.len() - 8 {
            for value in [0, 1, 0x7f, 0x80, 0xff, bytes[at] ^ 1, bytes[at].wrapping_add(1)] {
                let mut forged = bytes.clone();
                forged[at] = value;
                seal(&mut forged);
                if let Ok(engine) = Engine::read_state(&forged) {
                    let mut again = Vec::new();
                    engine.write_state(&mut again);
                    assert!(forged == again, "byte {at}");
                }
            }
        }
    }

    #[test]
    fn the_last_order_id_is_given_out_and_every_state_up_to_there_and_behind_is_read() {
        let mut engine = engine();
        engine.orders_accepted = OrderId::COUNT_MAX - 1;
        engine.commands = OrderId::COUNT_MAX;
        engine.last_sequence = Sequence(1 << 41);
        let origin = Origin::new(SessionId(1), 0, Timestamp(0));
        let name = |text: &str| ClOrdId::try_from(text).unwrap();
        let order = |id| -> Command {
            let terms = OrderTerms {
                side: Side::Buy,
                ord_type: OrdType::Limit,
                time_in_force: TimeInForce::Day,
                price: (1, 2),
                order_qty: (1, 0),
            };
            NewOrder::new(origin, InstrumentId(1), terms, Account::EMPTY, name(id)).into()
        };
        // Each command meets an engine that is read from the state behind the one before.
        let mut first_event = |command: &Command| {
            engine = Engine::read_state(&written(&engine)).unwrap();
            let stamp =
                Stamp { sequence: Sequence(engine.last_sequence.0 + 1), time: Timestamp(0) };
            let mut sink = VecSink::default();
            engine.apply(stamp, command, &mut sink);
            sink.events[0].1
        };
        let Event::Execution(accepted) = first_event(&order("LAST")) else { panic!("a report") };
        assert_eq!(accepted.order_id.count(), OrderId::COUNT_MAX);
        for id in ["BEYOND", "AGAIN"] {
            let Event::OrderRejected(refused) = first_event(&order(id)) else {
                panic!("a refusal")
            };
            assert_eq!(refused.reason, RejectReason::TooManyOrders);
            assert_eq!(refused.limit as u64, OrderId::COUNT_MAX);
        }
        let (none, one) = (OrderId::NONE, InstrumentId(1));
        let cancel = CancelOrder::new(origin, none, one, Side::Buy, name("C"), name("LAST"));
        let Event::Execution(canceled) = first_event(&cancel.into()) else { panic!("a report") };
        assert_eq!(canceled.order_id, accepted.order_id);
        assert!(Engine::read_state(&written(&engine)).is_ok());
    }

    #[test]
    fn contradictions_name_the_rule() {
        let mut bytes = state();
        // The first order's quantity.
        let before = size_of::<Header>() + size_of::<SavedInstrument>() + 40;
        let at = before + size_of::<SavedRisk>() + size_of::<SavedPrice>() + 24;
        bytes[at..at + 8].copy_from_slice(&0i64.to_le_bytes());
        seal(&mut bytes);
        let error = Engine::read_state(&bytes).unwrap_err();
        assert_eq!(error, contradiction("an order's quantity is allowed"));
    }
}
