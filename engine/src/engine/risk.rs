//! Risk limits of sessions: judged before an order is accepted or replaced, counted with each trade.
//!
//! | # | rule                                            | reason                 | limit, observed        |
//! |---|-------------------------------------------------|------------------------|------------------------|
//! | 1 | the session is not tripped                      | TradedNotionalTooLarge, LossTooLarge | those of the trip |
//! | 2 | the session is open                             | SessionCancelOnly      |                        |
//! | 3 | the order's notional is within its limit        | OrderNotionalTooLarge  | notionals              |
//! | 4 | a limit price is near enough to the reference   | PriceFarFromReference  | basis points           |
//! | 5 | there is room for another live order            | TooManyOpenOrders      | orders                 |
//! | 6 | so there is for what it adds to those           | OpenNotionalTooLarge   | notionals              |
//!
//! The first that an order breaks is reported, once it has kept the rules of its instrument. A replace
//! is judged by all but the fifth, one to no more than has traded, which is a cancel, by the first two.
//! What the limits mean, and their units, is said at [`RiskLimits`].
//!
//! A trade is counted when it is made. The order whose trade goes beyond a limit is carried out to its
//! end, as are those of others; then the session is tripped. So a trip is late by one order at most.
//!
//! Sessions have a record here once they had limits or a status. Before the first of them, nothing of
//! this is looked at but whether there is one.

use super::{
    Engine,
    entry::Terms,
    report::{Out, Request, order_rejected},
    view::RiskMeasure,
};
use crate::{
    InstrumentId, OrdType, OrderId, SessionId, Side, Stamp, Timestamp, TradeId, TradingStatus,
    book::NIL,
    command::{
        NOTIONAL_MAX, NOTIONAL_SCALE, NewOrder, ReplaceOrder, RiskLimits, SetRiskLimits,
        SetTradingStatus,
    },
    domain::{ExecReason, RejectReason},
    event::{Execution, SessionTripped, TradingStatusChanged},
    hash::{mix, mix_bytes},
    instrument::{Decimal, Instrument, Refusal},
    session::{self, Session},
    sink::{CountingSink, EventSink},
};
use zerocopy::IntoBytes;

/// Parts of a window: what is counted reaches back for one of them more at most.
const WINDOW_PARTS: u64 = 32;
/// Buckets of a window: its parts, and the one that is being filled.
pub(super) const BUCKETS: usize = WINDOW_PARTS as usize + 1;

/// Nanoseconds of a millisecond.
const NS_PER_MS: u64 = 1_000_000;
/// Basis points of the whole.
const BASIS_POINTS: i128 = 10_000;

/// Domains of the state hash.
const RECORD: u64 = 7;
const BUCKET: u64 = 8;
const LAST_PX: u64 = 9;

/// Risk records, and what is known of the command that is being carried out.
#[derive(Debug, Default)]
pub(super) struct Risk {
    records: Vec<SessionRisk>,
    /// Sum over instruments of what their last prices add to the state hash.
    last_px_hash: u64,
    /// Time of the command.
    now: Timestamp,
    /// Twice the reference price before the order, so that a middle is exact; 0 for none.
    reference: i64,
    /// Price of the command's last trade; 0 without one.
    last_px: i64,
    /// Trips that have to be reported, at most one for each record.
    trips: Vec<Breach>,
}

/// The limits of a session, and where it stands.
#[derive(Debug)]
pub(super) struct SessionRisk {
    pub session: SessionId,
    pub limits: RiskLimits,
    pub status: TradingStatus,
    /// Why it is tripped, if it is.
    pub trip: Option<Trip>,
    /// Sum over its resting orders of price × leaves.
    pub open_notional: i128,
    pub window: Window,
}

/// The rule that a session is tripped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trip {
    pub rule: RejectReason,
    pub limit: i64,
    pub observed: i64,
}

/// A trade that went beyond a limit.
#[derive(Clone, Copy, Debug)]
struct Breach {
    /// Place of the record.
    at: u32,
    order_id: OrderId,
    trade_id: TradeId,
    instrument: InstrumentId,
}

/// What trades came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    pub notional: i128,
    pub loss: i128,
}

/// What was traded lately, in a ring of buckets, each for a part of the window.
#[derive(Debug)]
pub(super) struct Window {
    /// Nanoseconds of a bucket; 0 when nothing is counted.
    bucket_ns: u64,
    /// Number of the newest bucket, counted from the beginning of time.
    pub newest: u64,
    pub buckets: [Bucket; BUCKETS],
    /// Sum of the buckets.
    pub total: Bucket,
}

impl Window {
    /// An empty window of so many milliseconds.
    pub(super) fn new(window_ms: u32) -> Self {
        let bucket_ns = (u64::from(window_ms) * NS_PER_MS).div_ceil(WINDOW_PARTS);
        let empty = Bucket::default();
        Self { bucket_ns, newest: 0, buckets: [empty; BUCKETS], total: empty }
    }

    /// Counts a trade at a time; what is too old goes.
    fn add(&mut self, now: Timestamp, trade: Bucket) {
        let Some(number) = now.0.checked_div(self.bucket_ns) else { return };
        for step in 1..=number.saturating_sub(self.newest).min(BUCKETS as u64) {
            let old = std::mem::take(self.bucket(self.newest + step));
            self.total.subtract(old);
        }
        self.newest = self.newest.max(number);
        self.bucket(self.newest).add(trade);
        self.total.add(trade);
    }

    fn bucket(&mut self, number: u64) -> &mut Bucket {
        &mut self.buckets[(number % BUCKETS as u64) as usize]
    }
}

impl Bucket {
    pub(super) fn add(&mut self, other: Self) {
        self.notional += other.notional;
        self.loss += other.loss;
    }

    fn subtract(&mut self, other: Self) {
        self.notional -= other.notional;
        self.loss -= other.loss;
    }
}

/// A new order, or new terms of one, as the limits see them.
struct Asked {
    side: Side,
    /// Twice the limit price; none for a market order.
    limit: Option<i64>,
    /// Price × OrderQty.
    notional: i64,
    /// Price × leaves once it is accepted.
    open_notional: i128,
    /// Price × leaves of the order that it replaces; none for a new order.
    replaced: Option<i128>,
}

impl SessionRisk {
    /// A session that is open and has no limit.
    pub(super) fn new(session: SessionId) -> Self {
        Self {
            session,
            limits: RiskLimits::NONE,
            status: TradingStatus::Open,
            trip: None,
            open_notional: 0,
            window: Window::new(0),
        }
    }

    /// Sets limits; a window of another length begins empty.
    pub(super) fn set_limits(&mut self, limits: RiskLimits) {
        if limits.window_ms != self.limits.window_ms {
            self.window = Window::new(limits.window_ms);
        }
        self.limits = limits;
    }

    /// A refusal unless the session may trade.
    fn must_trade(&self) -> Result<(), Refusal> {
        match (self.trip, self.status) {
            (Some(trip), _) => Err(notional_refusal(trip.rule, trip.limit, trip.observed)),
            (None, TradingStatus::CancelOnly) => {
                Err(Refusal::plain(RejectReason::SessionCancelOnly))
            }
            (None, TradingStatus::Open) => Ok(()),
        }
    }

    /// Judges an order by rules 3 to 6, with `live` orders of the session.
    fn judge(&self, asked: &Asked, reference: i64, live: u32) -> Result<(), Refusal> {
        let measures = self.measures(asked, reference, live);
        match measures.into_iter().flatten().find(RiskMeasure::is_broken) {
            None => Ok(()),
            Some(broken) => {
                let decimal = |mantissa| Decimal { mantissa, scale: broken.scale() };
                let (limit, observed) = (decimal(broken.limit), decimal(broken.observed));
                Err(Refusal { reason: broken.rule, limit, observed })
            }
        }
    }

    /// What an order comes to by rules 3 to 6, in their order; none by one that it is not held against.
    #[inline]
    fn measures(&self, asked: &Asked, reference: i64, live: u32) -> [Option<RiskMeasure>; 4] {
        use RejectReason as R;
        let limits = &self.limits;
        let limit_price = asked.limit.filter(|_| reference > 0 && limits.price_deviation > 0);
        let deviation = limit_price.map(|price| deviation(asked.side, price, reference).max(0));
        let orders = asked.replaced.is_none().then(|| i128::from(live) + 1);
        let replaced = asked.replaced.unwrap_or(0);
        let adds = asked.open_notional > replaced;
        let open = adds.then(|| self.open_notional - replaced + asked.open_notional);
        let notional = Some(asked.notional.into());
        [
            RiskMeasure::of(R::OrderNotionalTooLarge, limits.order_notional, notional),
            RiskMeasure::of(R::PriceFarFromReference, limits.price_deviation.into(), deviation),
            RiskMeasure::of(R::TooManyOpenOrders, limits.open_orders.into(), orders),
            RiskMeasure::of(R::OpenNotionalTooLarge, limits.open_notional, open),
        ]
    }

    /// The same up to the first that is broken.
    fn judged(&self, asked: &Asked, reference: i64, live: u32) -> Vec<RiskMeasure> {
        let mut measures: Vec<_> =
            self.measures(asked, reference, live).into_iter().flatten().collect();
        if let Some(broken) = measures.iter().position(RiskMeasure::is_broken) {
            measures.truncate(broken + 1);
        }
        measures
    }

    /// Counts a trade, and returns whether the session is tripped by it.
    fn count(&mut self, now: Timestamp, trade: Bucket) -> bool {
        self.window.add(now, trade);
        if self.trip.is_some() {
            return false;
        }
        let (limits, total) = (&self.limits, &self.window.total);
        let rules = [
            (RejectReason::TradedNotionalTooLarge, limits.traded_notional, total.notional),
            (RejectReason::LossTooLarge, limits.loss, total.loss),
        ];
        let broken = rules.into_iter().find(|&(_, limit, observed)| exceeds(observed, limit));
        self.trip = broken.map(|(rule, limit, observed)| {
            self.status = TradingStatus::CancelOnly;
            Trip { rule, limit, observed: saturated(observed) }
        });
        self.trip.is_some()
    }

    /// What the record adds to the state hash, with this sum of its resting orders.
    fn contribution(&self, open_notional: i128) -> u64 {
        let session = u64::from(self.session.0);
        let [open_low, open_high] = words(open_notional);
        let (rule, limit, observed) = match self.trip {
            Some(Trip { rule, limit, observed }) => (rule.code(), limit, observed),
            None => (0, 0, 0),
        };
        let codes = u64::from(self.status.code()) << 8 | u64::from(rule);
        let record = mix(
            RECORD,
            [
                session,
                mix_bytes(RECORD, self.limits.as_bytes()),
                codes,
                limit as u64,
                observed as u64,
                self.window.newest,
                open_low,
                open_high,
            ],
        );
        // A bucket that a trade was counted in has a notional.
        let used = self.window.buckets.iter().enumerate().filter(|(_, b)| b.notional > 0);
        used.fold(record, |sum, (place, bucket)| {
            let [notional_low, notional_high] = words(bucket.notional);
            let [loss_low, loss_high] = words(bucket.loss);
            let place = session << 32 | place as u64;
            let words = [place, notional_low, notional_high, loss_low, loss_high];
            sum.wrapping_add(mix(BUCKET, words))
        })
    }
}

impl Risk {
    /// Whether any session has a record.
    #[inline(always)]
    pub(super) fn is_active(&self) -> bool {
        !self.records.is_empty()
    }

    /// Records in the order in which they were made.
    pub(super) fn records(&self) -> &[SessionRisk] {
        &self.records
    }

    /// Bytes reserved.
    pub(super) fn memory_bytes(&self) -> usize {
        self.records.capacity() * size_of::<SessionRisk>()
    }

    /// The record of a session, if it has one.
    pub(super) fn record(&self, session: &Session) -> Option<&SessionRisk> {
        self.records.get(session.risk as usize)
    }

    /// Takes in a record; the session knows where it is then.
    pub(super) fn push(&mut self, session: &mut Session, record: SessionRisk) {
        assert!(session.risk == NIL, "a session has one risk record");
        session.risk = self.records.len() as u32;
        self.records.push(record);
        self.trips.reserve(self.records.len());
    }

    /// What all of this adds to the state hash.
    pub(super) fn hash(&self) -> u64 {
        let contribution = |record: &SessionRisk| record.contribution(record.open_notional);
        self.records.iter().map(contribution).fold(self.last_px_hash, u64::wrapping_add)
    }

    /// Begins with the trades of an order.
    fn begin(&mut self, now: Timestamp, reference: i64) {
        assert!(self.trips.is_empty(), "every trip is reported with its command");
        (self.now, self.reference, self.last_px) = (now, reference, 0);
    }

    /// Counts a trade for the sessions of both sides; `maker` and `taker` report it.
    pub(super) fn count(&mut self, sessions: &[Session], maker: &Execution, taker: &Execution) {
        self.last_px = taker.last_px;
        for report in [maker, taker] {
            let at = sessions[report.session.0 as usize - 1].risk;
            let Some(record) = self.records.get_mut(at as usize) else { continue };
            let notional = notional_at(report.last_px, report.last_qty, scale_of_report(report));
            let mut trade = Bucket { notional: notional.into(), loss: 0 };
            if std::ptr::eq(report, maker) {
                let before = report.leaves_qty + report.last_qty;
                record.open_notional -= open_notional(report, before);
                record.open_notional += open_notional(report, report.leaves_qty);
            } else if self.reference > 0 {
                trade.loss = loss(report, self.reference).into();
            }
            if record.count(self.now, trade) {
                let Execution { order_id, trade_id, instrument, .. } = *report;
                self.trips.push(Breach { at, order_id, trade_id, instrument });
            }
        }
    }

    /// Takes an order with so much left, which rests no more, off what its session has open.
    pub(super) fn close(&mut self, session: &Session, report: &Execution, leaves_qty: i64) {
        self.change_open(session, -open_notional(report, leaves_qty));
    }

    fn change_open(&mut self, session: &Session, change: i128) {
        if let Some(record) = self.records.get_mut(session.risk as usize) {
            record.open_notional += change;
            assert!(record.open_notional >= 0, "a session has less than nothing open");
        }
    }
}

impl Engine {
    /// Sets the limits of a session.
    pub(super) fn set_risk_limits(&mut self, command: &SetRiskLimits) {
        if command.limits.is_valid()
            && let Some(record) = self.risk_record(command.session)
        {
            record.set_limits(command.limits);
        }
    }

    /// Opens a session, or lets it cancel only, and reports that if it is new.
    pub(super) fn set_trading_status<S: EventSink>(
        &mut self,
        command: &SetTradingStatus,
        out: &mut Out<'_, S>,
    ) {
        let Some(record) = self.risk_record(command.session) else { return };
        let before = std::mem::replace(&mut record.status, command.status);
        if command.status == before {
            return;
        }
        if command.status == TradingStatus::Open {
            record.trip = None;
            record.window = Window::new(record.limits.window_ms);
        }
        let (session, status, reason) = (command.session, command.status, command.reason);
        out.emit(&TradingStatusChanged { session, status, reserved: [0; 3], reason });
    }

    /// The record of a session that is defined, a new one if it has none.
    fn risk_record(&mut self, session: SessionId) -> Option<&mut SessionRisk> {
        let at = session.0.wrapping_sub(1) as usize;
        if self.sessions.get(at)?.risk == NIL {
            let mut record = SessionRisk::new(session);
            record.open_notional = self.open_notional(&self.sessions[at]);
            self.risk.push(&mut self.sessions[at], record);
        }
        self.risk.records.get_mut(self.sessions[at].risk as usize)
    }

    /// What a session has open, from its orders.
    pub(super) fn open_notional(&self, session: &Session) -> i128 {
        let slots =
            std::iter::successors(session.first(), |&slot| session::next_of(&self.orders, slot));
        slots.map(|slot| self.open_notional_of(slot)).sum()
    }

    /// Price × leaves of a resting order.
    fn open_notional_of(&self, slot: u32) -> i128 {
        let report = self.report_of(slot);
        open_notional(&report, report.leaves_qty)
    }

    /// [`Risk::hash`], computed afresh from orders and instruments.
    pub(super) fn recompute_risk_hash(&self) -> u64 {
        let records = self.risk.records.iter().map(|record| {
            let session = &self.sessions[record.session.0 as usize - 1];
            record.contribution(self.open_notional(session))
        });
        records.chain(self.instruments.iter().map(hash_of_last_px)).fold(0, u64::wrapping_add)
    }

    /// Gives an instrument its last trade's price.
    pub(super) fn set_last_px(&mut self, instrument: InstrumentId, last_px: i64) {
        let instrument = &mut self.instruments[instrument.0 as usize - 1];
        let before = hash_of_last_px(instrument);
        instrument.last_px = last_px;
        let change = hash_of_last_px(instrument).wrapping_sub(before);
        self.risk.last_px_hash = self.risk.last_px_hash.wrapping_add(change);
    }

    /// Judges an accepted order by the limits of its session, and carries it out.
    #[inline(never)]
    pub(super) fn enter_watched<S: EventSink>(
        &mut self,
        command: &NewOrder,
        terms: &Terms,
        out: &mut Out<'_, S>,
    ) {
        let reference = self.reference(command.instrument);
        if let Err(refusal) = self.judge_new_risk(command, terms, reference) {
            return out.emit(&order_rejected(command, refusal));
        }
        self.risk.begin(out.time(), reference);
        self.enter(command, terms, out);
        let session = &self.sessions[command.origin.session.0 as usize - 1];
        if session.risk != NIL
            && let Some(slot) = session.last()
            && OrderId(self.books.order(slot).id).count() == self.orders_accepted
        {
            let rests = self.open_notional_of(slot);
            self.risk.change_open(session, rests);
        }
        self.settle_risk(command.instrument, out);
    }

    fn judge_new_risk(
        &self,
        command: &NewOrder,
        terms: &Terms,
        reference: i64,
    ) -> Result<(), Refusal> {
        let session = &self.sessions[command.origin.session.0 as usize - 1];
        let Some(record) = self.risk.record(session) else { return Ok(()) };
        record.must_trade()?;
        record.judge(&self.asked_by_new(command, terms), reference, session.live)
    }

    /// A new order as the limits see it.
    #[inline]
    fn asked_by_new(&self, command: &NewOrder, terms: &Terms) -> Asked {
        let instrument = &self.instruments[command.instrument.0 as usize - 1];
        let (price, limit) = match command.ord_type {
            OrdType::Limit => (terms.price, Some(2 * terms.price)),
            OrdType::Market => (self.market_price(instrument, command.side), None),
        };
        let notional = notional_at(price, terms.order_qty, scale_of(instrument));
        let (side, open_notional) = (command.side, notional.into());
        Asked { side, limit, notional, open_notional, replaced: None }
    }

    /// Judges new terms of an order by the limits of its session, and carries them out.
    #[inline(never)]
    pub(super) fn replace_watched<S: EventSink>(
        &mut self,
        command: &ReplaceOrder,
        slot: u32,
        terms: &Terms,
        out: &mut Out<'_, S>,
    ) {
        let order = self.report_of(slot);
        let reference = self.reference(order.instrument);
        if let Err(refusal) = self.judge_replace_risk(&order, terms, reference) {
            let request = Request::from(command);
            return out.emit(&self.rejected_for(&request, slot, refusal));
        }
        if terms.order_qty <= order.cum_qty {
            // It is canceled, which takes it off what is open.
            return self.replace(command, slot, terms, out);
        }
        self.risk.begin(out.time(), reference);
        let session = &self.sessions[order.session.0 as usize - 1];
        self.risk.close(session, &order, order.leaves_qty);
        self.replace(command, slot, terms, out);
        if self.books.find(slot, order.order_id.0).is_some() {
            let rests = self.open_notional_of(slot);
            let session = &self.sessions[order.session.0 as usize - 1];
            self.risk.change_open(session, rests);
        }
        self.settle_risk(order.instrument, out);
    }

    fn judge_replace_risk(
        &self,
        order: &Execution,
        terms: &Terms,
        reference: i64,
    ) -> Result<(), Refusal> {
        let session = &self.sessions[order.session.0 as usize - 1];
        let Some(record) = self.risk.record(session) else { return Ok(()) };
        record.must_trade()?;
        match self.asked_by_replace(order, terms) {
            Some(asked) => record.judge(&asked, reference, session.live),
            None => Ok(()),
        }
    }

    /// New terms of an order as the limits see them; none where they cancel it.
    #[inline]
    fn asked_by_replace(&self, order: &Execution, terms: &Terms) -> Option<Asked> {
        let leaves_qty = terms.order_qty - order.cum_qty;
        if leaves_qty <= 0 {
            return None;
        }
        let scale = scale_of(&self.instruments[order.instrument.0 as usize - 1]);
        Some(Asked {
            side: order.side,
            limit: Some(2 * terms.price),
            notional: notional_at(terms.price, terms.order_qty, scale),
            open_notional: notional_at(terms.price, leaves_qty, scale).into(),
            replaced: Some(open_notional(order, order.leaves_qty)),
        })
    }

    /// See [`Engine::risk_of`].
    pub(super) fn risk_of_new(&self, command: &NewOrder) -> Vec<RiskMeasure> {
        let Ok(terms) = self.judge_new(command) else { return Vec::new() };
        let session = &self.sessions[command.origin.session.0 as usize - 1];
        match self.risk.record(session).filter(|record| record.must_trade().is_ok()) {
            None => Vec::new(),
            Some(record) => {
                let asked = self.asked_by_new(command, &terms);
                record.judged(&asked, self.reference(command.instrument), session.live)
            }
        }
    }

    /// See [`Engine::risk_of`].
    pub(super) fn risk_of_replace(&self, command: &ReplaceOrder) -> Vec<RiskMeasure> {
        // Nobody is told that there is no such order.
        let stamp = Stamp { sequence: self.last_sequence, time: self.risk.now };
        let mut nobody = CountingSink::default();
        let slot = self.find_or_reject(&command.into(), &mut Out::new(stamp, &mut nobody));
        let judged = slot.and_then(|slot| Some((slot, self.judge_replace(command, slot).ok()?)));
        let Some((slot, terms)) = judged else { return Vec::new() };
        let order = self.report_of(slot);
        let session = &self.sessions[order.session.0 as usize - 1];
        let record = self.risk.record(session).filter(|record| record.must_trade().is_ok());
        match record.zip(self.asked_by_replace(&order, &terms)) {
            None => Vec::new(),
            Some((record, asked)) => {
                record.judged(&asked, self.reference(order.instrument), session.live)
            }
        }
    }

    /// Twice the reference price of an instrument: its last trade's, without one the middle of its
    /// book; 0 for none.
    fn reference(&self, instrument: InstrumentId) -> i64 {
        let instrument = &self.instruments[instrument.0 as usize - 1];
        if instrument.last_px > 0 {
            return 2 * instrument.last_px;
        }
        let best =
            |side| self.books.best(instrument.book, side).map(|ticks| instrument.price(ticks));
        match (best(Side::Buy), best(Side::Sell)) {
            (Some(bid), Some(offer)) => bid + offer,
            _ => 0,
        }
    }

    /// The price by which a market order is judged: the best of the other side, without one the last
    /// trade's; 0 for none.
    fn market_price(&self, instrument: &Instrument, side: Side) -> i64 {
        let best = self.books.best(instrument.book, side.opposite());
        best.map_or(instrument.last_px, |ticks| instrument.price(ticks))
    }

    /// What a command's trades leave behind: the instrument's last price, and sessions that are
    /// tripped, which are reported and lose their orders.
    fn settle_risk<S: EventSink>(&mut self, instrument: InstrumentId, out: &mut Out<'_, S>) {
        if self.risk.last_px > 0 {
            self.set_last_px(instrument, self.risk.last_px);
        }
        for index in 0..self.risk.trips.len() {
            let Breach { at, order_id, trade_id, instrument } = self.risk.trips[index];
            let record = &self.risk.records[at as usize];
            let trip = record.trip.expect("a session that is to be reported is tripped");
            let session = &self.sessions[record.session.0 as usize - 1];
            let (first, affected) = (session.first(), session.live);
            out.emit(&SessionTripped {
                order_id,
                trade_id,
                limit: trip.limit,
                observed: trip.observed,
                session: session.id,
                instrument,
                affected,
                rule: trip.rule,
                scale: NOTIONAL_SCALE,
                reserved: [0; 2],
            });
            self.cancel_of_session(first, ExecReason::SessionTripped, out, |_, _| true);
        }
        self.risk.trips.clear();
    }
}

impl RiskMeasure {
    /// By a limit, if there is one, and something that it judges.
    #[inline]
    pub(super) fn of(rule: RejectReason, limit: i64, observed: Option<i128>) -> Option<Self> {
        let observed = saturated(observed.filter(|_| limit > 0)?);
        Some(Self { rule, limit, observed })
    }

    /// Decimals of limit and observed.
    pub fn scale(&self) -> u8 {
        match self.rule {
            RejectReason::PriceFarFromReference | RejectReason::TooManyOpenOrders => 0,
            _ => NOTIONAL_SCALE,
        }
    }

    /// Whether it is beyond the limit.
    pub fn is_broken(&self) -> bool {
        self.observed > self.limit
    }
}

/// Whether a value is above a limit, where there is one.
fn exceeds(value: i128, limit: i64) -> bool {
    limit > 0 && value > limit.into()
}

fn notional_refusal(reason: RejectReason, limit: i64, observed: i64) -> Refusal {
    let decimal = |mantissa| Decimal { mantissa, scale: NOTIONAL_SCALE };
    Refusal { reason, limit: decimal(limit), observed: decimal(observed) }
}

/// How far a price is on the aggressive side of the reference, in basis points of that, rounded up.
/// Both are doubled.
fn deviation(side: Side, price: i64, reference: i64) -> i128 {
    let beyond = match side {
        Side::Buy => i128::from(price) - i128::from(reference),
        Side::Sell => i128::from(reference) - i128::from(price),
    };
    ceil_div(beyond * BASIS_POINTS, reference.into())
}

/// Price × so much of an order.
fn open_notional(report: &Execution, leaves_qty: i64) -> i128 {
    notional_at(report.price, leaves_qty, scale_of_report(report)).into()
}

/// Price × quantity, whose decimals are `scale` together.
fn notional_at(price: i64, qty: i64, scale: u8) -> i64 {
    at_notional_scale(i128::from(price) * i128::from(qty), scale, 1)
}

/// How much worse than the doubled reference an aggressor's trade was.
fn loss(report: &Execution, reference: i64) -> i64 {
    let worse = match report.side {
        Side::Buy => 2 * report.last_px - reference,
        Side::Sell => reference - 2 * report.last_px,
    };
    let scale = scale_of_report(report);
    at_notional_scale(i128::from(worse) * i128::from(report.last_qty), scale, 2)
}

/// A product with so many decimals, divided, at [`NOTIONAL_SCALE`]: rounded up, and no further from
/// zero than [`NOTIONAL_MAX`].
fn at_notional_scale(product: i128, scale: u8, divisor: i128) -> i64 {
    const TEN: i128 = 10;
    let quotient = match scale.checked_sub(NOTIONAL_SCALE) {
        Some(more) => ceil_div(product, divisor * TEN.pow(more.into())),
        None => {
            let factor = TEN.pow((NOTIONAL_SCALE - scale).into());
            ceil_div(product.saturating_mul(factor), divisor)
        }
    };
    saturated(quotient)
}

/// A quotient rounded up.
fn ceil_div(dividend: i128, divisor: i128) -> i128 {
    // Most notionals have fewer decimals than their scale, and 128 bits divide slowly.
    if divisor == 1 {
        return dividend;
    }
    -dividend.saturating_neg().div_euclid(divisor)
}

fn saturated(value: i128) -> i64 {
    value.clamp((-NOTIONAL_MAX).into(), NOTIONAL_MAX.into()) as i64
}

/// Decimals of a product of price and quantity of an order.
fn scale_of_report(report: &Execution) -> u8 {
    report.price_scale + report.qty_scale
}

/// The same, of an instrument's orders.
fn scale_of(instrument: &Instrument) -> u8 {
    instrument.definition.price_scale + instrument.definition.qty_scale
}

/// What an instrument's last price adds to the state hash: nothing while there is none.
fn hash_of_last_px(instrument: &Instrument) -> u64 {
    match instrument.last_px {
        0 => 0,
        last_px => mix(LAST_PX, [instrument.definition.instrument.0.into(), last_px as u64]),
    }
}

/// The low and the high word.
pub(super) fn words(value: i128) -> [u64; 2] {
    [value as u64, (value >> 64) as u64]
}
