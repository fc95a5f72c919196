//! Journals made by a script: what the core would write, without a venue.
#![allow(dead_code, reason = "each test file uses its own part of these helpers")]

use std::path::{Path, PathBuf};

use ironbook_engine::{
    Account, ClOrdId, Command, Engine, EngineLimits, Event, InstrumentId, InstrumentStatus,
    OrdType, OrderId, ReasonText, Sequencer, SessionId, Side, SideFilter, TimeInForce, Timestamp,
    TradingStatus,
    command::{
        CancelOrder, DefineInstrument, DefineSession, MassCancel, NewOrder, OrderTerms, Origin,
        ReplaceOrder, RiskLimits, SetInstrumentStatus, SetRiskLimits, SetTradingStatus,
    },
    sink::VecSink,
};
use ironbook_gateway::{
    operator::{Action, OperatorRecord},
    random::Random,
    session_record::{Copies, SessionRecord},
    throttle::{ThrottleAction, ThrottleScope, ThrottleTerms},
};
use ironbook_incident::{condition::Condition, index::Index, moment::Moment};
use ironbook_journal::{Options, SEGMENT_BYTES_MIN, Writer, open};

/// 2026-03-02 14:30:00 UTC in ns.
pub const START_NS: u64 = 1_772_461_800_000_000_000;
/// Between two commands.
pub const STEP_NS: u64 = 1_000_000;
/// From a message read to its command stamped.
pub const GATEWAY_NS: u64 = 5_000;

pub const AAPL: InstrumentId = InstrumentId(1);
pub const MSFT: InstrumentId = InstrumentId(2);
pub const C1: SessionId = SessionId(1);
pub const C2: SessionId = SessionId(2);
pub const C7: SessionId = SessionId(3);

/// In memory where there is such a place: syncs cost nothing there.
pub fn memory_dir() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    let made = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
    made.expect("a directory")
}

/// A journal that is being written.
pub struct Script {
    pub dir: PathBuf,
    engine: Engine,
    writer: Writer,
    sequencer: Sequencer,
    now_ns: u64,
    seq_nums: [u64; 8],
    /// Of the orders that follow.
    pub account: Account,
}

pub fn name(text: &str) -> ClOrdId {
    ClOrdId::try_from(text).expect("a short name")
}

impl Script {
    /// A venue with the instruments AAPL (tick 0.01) and MSFT (tick 0.05, lot 10), and the sessions C1,
    /// C2 and C7.
    pub fn new(dir: &Path) -> Self {
        Self::with_segments(dir, SEGMENT_BYTES_MIN)
    }

    pub fn with_segments(dir: &Path, segment_bytes: u64) -> Self {
        Self::with_clients(dir, segment_bytes, ["C1", "C2", "C7"])
    }

    /// The same with other comp ids.
    pub fn with_clients(dir: &Path, segment_bytes: u64, comp_ids: [&str; 3]) -> Self {
        let options = Options { segment_bytes, prepared_ahead: 1, ..Options::default() };
        let (writer, _) = open(dir, options).expect("a journal");
        let limits = EngineLimits {
            orders_max: 4_096,
            closed_orders_kept: 512,
            state_hash_interval: 0,
            ..EngineLimits::default()
        };
        let mut script = Self {
            dir: dir.to_owned(),
            engine: Engine::new(limits),
            writer,
            sequencer: Sequencer::default(),
            now_ns: START_NS,
            seq_nums: [0; 8],
            account: Account::EMPTY,
        };
        script.command(limits);
        let symbol = |text: &str| text.try_into().expect("a symbol");
        script.command(DefineInstrument::new(AAPL, symbol("AAPL"), 2, 0, 1, 1));
        script.command(DefineInstrument::new(MSFT, symbol("MSFT"), 2, 0, 5, 10));
        for (session, comp_id) in [C1, C2, C7].into_iter().zip(comp_ids) {
            script.command(DefineSession::new(session, comp_id.try_into().expect("a comp id")));
        }
        script
    }

    /// Appends a command and its events as a group; gives the command's sequence.
    pub fn command(&mut self, command: impl Into<Command>) -> u64 {
        self.command_with_lies(command.into(), |_| {})
    }

    /// The same with events that are not what the engine says.
    pub fn command_with_lies(&mut self, command: Command, lie: impl Fn(&mut Event)) -> u64 {
        self.now_ns += STEP_NS;
        let sequence = self.append(command, lie);
        self.writer.commit();
        sequence
    }

    /// Orders of one at 100.00 in AAPL, carried out in one turn of the core, each with how long it waited; gives their
    /// sequences.
    pub fn turn(&mut self, orders: &[(SessionId, &str, Side, u64)]) -> Vec<u64> {
        self.now_ns += STEP_NS;
        let mut sequences = Vec::new();
        for &(session, cl_ord_id, side, waited_ns) in orders {
            let mut origin = self.origin(session);
            origin.received = Timestamp(self.now_ns - waited_ns);
            let terms = OrderTerms {
                side,
                ord_type: OrdType::Limit,
                time_in_force: TimeInForce::Day,
                price: (10_000, 2),
                order_qty: (1, 0),
            };
            let order = NewOrder::new(origin, AAPL, terms, self.account, name(cl_ord_id));
            sequences.push(self.append(order.into(), |_| {}));
        }
        self.writer.commit();
        sequences
    }

    /// Appends a command and its events, now.
    fn append(&mut self, command: Command, lie: impl Fn(&mut Event)) -> u64 {
        let stamp = self.sequencer.stamp(Timestamp(self.now_ns));
        let mut sink = VecSink::default();
        let next = self.engine.apply(stamp, &command, &mut sink);
        self.sequencer.resume_at(next);
        let sequence = stamp.sequence.0;
        self.writer.append(command.kind(), sequence, stamp.time.0, command.payload());
        for (stamp, event) in &mut sink.events {
            lie(event);
            self.writer.append(event.kind(), stamp.sequence.0, stamp.time.0, event.payload());
        }
        sequence
    }

    /// Appends a record of a session.
    pub fn record(&mut self, record: &SessionRecord) -> u64 {
        let stamp = self.sequencer.stamp(Timestamp(self.now_ns));
        self.writer.append(record.kind(), stamp.sequence.0, stamp.time.0, &record.payload());
        self.writer.commit();
        stamp.sequence.0
    }

    /// Appends the record of a throttle that refuses, of orders a second and at once; that of a firm where there is
    /// one.
    pub fn throttle(&mut self, session: SessionId, firm: &str, (per_second, burst): (u32, u32)) {
        let action = ThrottleAction::Reject;
        let terms = (per_second > 0).then_some(ThrottleTerms { per_second, burst, action });
        let scope = if firm.is_empty() { ThrottleScope::Session } else { ThrottleScope::Firm };
        self.record(&SessionRecord::Throttle { session, scope, firm: firm.to_owned(), terms });
    }

    /// Lets time pass.
    pub fn wait(&mut self, time_ns: u64) {
        self.now_ns += time_ns;
    }

    /// The time now.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    fn origin(&mut self, session: SessionId) -> Origin {
        let number = &mut self.seq_nums[session.0 as usize];
        *number += 1;
        Origin::new(session, *number, Timestamp(self.now_ns + STEP_NS - GATEWAY_NS))
    }

    /// A limit order for the day; price and quantity in the instrument's scale.
    pub fn order(
        &mut self,
        (session, cl_ord_id): (SessionId, &str),
        instrument: InstrumentId,
        side: Side,
        (qty, price): (i64, i64),
    ) -> u64 {
        self.order_as((session, cl_ord_id), instrument, side, (qty, price), TimeInForce::Day)
    }

    pub fn order_as(
        &mut self,
        (session, cl_ord_id): (SessionId, &str),
        instrument: InstrumentId,
        side: Side,
        (qty, price): (i64, i64),
        time_in_force: TimeInForce,
    ) -> u64 {
        let ord_type = if price == 0 { OrdType::Market } else { OrdType::Limit };
        let terms =
            OrderTerms { side, ord_type, time_in_force, price: (price, 2), order_qty: (qty, 0) };
        let origin = self.origin(session);
        self.command(NewOrder::new(origin, instrument, terms, self.account, name(cl_ord_id)))
    }

    /// Replaces an order by its ClOrdID.
    pub fn replace(
        &mut self,
        session: SessionId,
        (cl_ord_id, orig): (&str, &str),
        (instrument, side): (InstrumentId, Side),
        (qty, price): (i64, i64),
    ) -> u64 {
        let terms = OrderTerms {
            side,
            ord_type: OrdType::Limit,
            time_in_force: TimeInForce::Day,
            price: (price, 2),
            order_qty: (qty, 0),
        };
        let origin = self.origin(session);
        let ids = (name(cl_ord_id), name(orig));
        self.command(ReplaceOrder::new(origin, OrderId::NONE, instrument, terms, ids))
    }

    /// Cancels an order by its ClOrdID.
    pub fn cancel(
        &mut self,
        session: SessionId,
        (cl_ord_id, orig): (&str, &str),
        (instrument, side): (InstrumentId, Side),
    ) -> u64 {
        let origin = self.origin(session);
        let (id, orig) = (name(cl_ord_id), name(orig));
        self.command(CancelOrder::new(origin, OrderId::NONE, instrument, side, id, orig))
    }

    pub fn mass_cancel(&mut self, session: SessionId, cl_ord_id: &str) -> u64 {
        let origin = self.origin(session);
        let all = InstrumentId::NONE;
        self.command(MassCancel::new(origin, all, SideFilter::Both, b'7', name(cl_ord_id)))
    }

    pub fn set_status(&mut self, instrument: InstrumentId, status: InstrumentStatus) -> u64 {
        let origin = Origin::venue(Timestamp(self.now_ns));
        self.command(SetInstrumentStatus::new(origin, instrument, status))
    }

    /// Sets risk limits of a session.
    pub fn limit(&mut self, session: SessionId, limits: RiskLimits) -> u64 {
        self.command(SetRiskLimits::new(Origin::venue(Timestamp(self.now_ns)), session, limits))
    }

    pub fn set_trading(&mut self, session: SessionId, status: TradingStatus, why: &str) -> u64 {
        let origin = Origin::venue(Timestamp(self.now_ns));
        let reason = ReasonText::try_from(why).expect("a short reason");
        self.command(SetTradingStatus::new(origin, session, status, reason))
    }

    /// An operator asks for an action, which so many commands carry out from here on; gives their origin.
    pub fn operator(
        &mut self,
        action: Action,
        (session, instrument): (SessionId, InstrumentId),
        commands: u32,
        (name, reason): (&str, &str),
    ) -> Origin {
        let asked = Timestamp(self.now_ns);
        let (name, reason) = (name.to_owned(), reason.to_owned());
        let record = OperatorRecord { action, session, instrument, commands, asked, name, reason };
        self.record(&SessionRecord::Operator(record));
        Origin::venue(asked)
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn next_sequence(&self) -> u64 {
        self.sequencer.next().0
    }

    /// Closes the journal; gives the engine as it ended.
    pub fn close(self) -> Engine {
        self.writer.close().expect("a journal that closes");
        self.engine
    }
}

/// A buy and a sell that hits it, again and again: six frames, and one trade, a round.
pub fn churn(script: &mut Script, rounds: u64) {
    churn_from(script, 0, rounds);
}

/// The same with names from this number on.
pub fn churn_from(script: &mut Script, first: u64, rounds: u64) {
    for round in first..first + rounds {
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        script.order((C1, &a), AAPL, Side::Buy, (10, 10_000 + (round % 7) as i64));
        script.order((C2, &b), AAPL, Side::Sell, (10, 10_000));
    }
}

/// The index of a journal, in its default place.
pub fn index(dir: &Path) -> Index {
    Index::open(dir, None, &mut |_| {}).expect("an index")
}

/// A day on which C7 sells far through the book, with rejects of several kinds before and after.
pub fn story(dir: &Path) -> Engine {
    story_in(Script::new(dir))
}

/// The same as a script goes on.
pub fn story_in(mut day: Script) -> Engine {
    use Side::{Buy, Sell};
    use TimeInForce::{Fok, Ioc};
    day.record(&SessionRecord::Role { session: C2, copies: Copies::None });
    day.record(&SessionRecord::Outbound {
        session: C1,
        msg_type: b"A".to_vec(),
        body: b"98=0\x01108=30\x01".to_vec(),
    });
    day.order((C1, "a1"), AAPL, Buy, (100, 10_000));
    day.order((C2, "b1"), AAPL, Buy, (50, 10_000));
    day.order((C7, "x1"), AAPL, Buy, (200, 9_900));
    // Less at the same price keeps the place, more gives it up.
    day.replace(C1, ("a2", "a1"), (AAPL, Buy), (80, 10_000));
    day.replace(C2, ("b2", "b1"), (AAPL, Buy), (60, 10_000));
    day.order((C1, "bad"), MSFT, Buy, (15, 1_003));
    day.order((C1, "bad"), MSFT, Buy, (10, 1_003));
    day.order((C1, "a2"), AAPL, Buy, (1, 10_000));
    day.order((C2, "far"), AAPL, Buy, (30, 9_000));
    day.order((C2, "ask"), AAPL, Sell, (40, 10_100));
    // The accident.
    day.order((C7, "fat"), AAPL, Sell, (300, 9_000));
    day.set_status(MSFT, InstrumentStatus::Halted);
    day.order((C2, "late"), MSFT, Sell, (10, 1_000));
    day.cancel(C1, ("c1", "a2"), (AAPL, Buy));
    day.cancel(C1, ("c2", "nothing"), (AAPL, Buy));
    day.set_status(MSFT, InstrumentStatus::Open);
    day.order_as((C1, "ioc"), AAPL, Buy, (50, 10_100), Ioc);
    day.order_as((C1, "fok"), AAPL, Buy, (50, 10_500), Fok);
    day.order((C2, "mkt"), AAPL, Sell, (5, 0));
    day.order((C1, "r1"), AAPL, Buy, (10, 9_500));
    day.replace(C1, ("r2", "r1"), (AAPL, Buy), (10, 9_600));
    day.cancel(C1, ("c3", "r2"), (AAPL, Buy));
    // The same name again, by another session.
    day.order((C2, "x1"), AAPL, Sell, (7, 20_000));
    day.mass_cancel(C2, "m1");
    day.record(&SessionRecord::Reset { session: C2 });
    // Behind another order when its price trades, and through a halt.
    day.order((C1, "p1"), AAPL, Buy, (100, 9_800));
    day.order((C7, "q1"), AAPL, Buy, (50, 9_800));
    day.order((C2, "hit"), AAPL, Sell, (60, 9_800));
    day.set_status(AAPL, InstrumentStatus::Halted);
    day.replace(C7, ("q2", "q1"), (AAPL, Buy), (60, 9_800));
    day.cancel(C2, ("c4", "q1"), (AAPL, Buy));
    day.set_status(AAPL, InstrumentStatus::Open);
    day.close()
}

/// Requests of all kinds by three clients in two instruments, decided by chance: orders that rest, trade and
/// are refused, replaces, cancels, mass cancels, halts.
pub fn random_day(day: &mut Script, random: &mut Random, requests: u64) {
    /// How far back the orders are that are replaced and canceled.
    const RECENT: u64 = 30;
    let mut orders: Vec<(SessionId, String, (InstrumentId, Side), i64)> = Vec::new();
    for number in 0..requests {
        let session = *random.choose(&[C1, C2, C7]);
        let place = (*random.choose(&[AAPL, AAPL, MSFT]), *random.choose(&[Side::Buy, Side::Sell]));
        let qty = 10 * random.between(1, 9) as i64 + i64::from(random.one_in(20));
        let price = 9_900 + 5 * random.between(0, 40) as i64;
        let id = format!("n{number}");
        let recent = RECENT.min(orders.len() as u64);
        match random.below(20) {
            0..11 => {
                let tif = [TimeInForce::Day, TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok];
                let tif = tif[random.below(8).saturating_sub(4) as usize];
                let price = if random.one_in(15) { 0 } else { price };
                day.order_as((session, &id), place.0, place.1, (qty, price), tif);
                orders.push((session, id, place, price));
            }
            11..15 if recent > 0 => {
                let of = orders[orders.len() - 1 - random.below(recent) as usize].clone();
                let price = if random.one_in(2) { price } else { of.3 };
                day.replace(of.0, (&id, &of.1), of.2, (qty, price));
                orders.push((of.0, id, of.2, price));
            }
            15..18 if recent > 0 => {
                let of = &orders[orders.len() - 1 - random.below(recent) as usize];
                day.cancel(of.0, (&id, &of.1), of.2);
            }
            18 if random.one_in(4) => {
                day.mass_cancel(session, &id);
            }
            19 => {
                let status = [InstrumentStatus::Open, InstrumentStatus::Halted];
                day.set_status(place.0, status[usize::from(random.one_in(4))]);
            }
            _ => day.wait(random.below(5_000_000)),
        }
    }
}

/// A token, in parts of [`Tokens`].
pub const TOKEN: i128 = 1_000_000_000;

/// Tokens as whoever reads the configuration would count them, in parts of 1 / 10^9.
pub struct Tokens {
    rate: i128,
    full: i128,
    pub parts: i128,
    at: u64,
}

impl Tokens {
    pub fn new((rate, burst): (i128, i128)) -> Self {
        let full = burst * TOKEN;
        Self { rate, full, parts: full, at: 0 }
    }

    pub fn has_one(&mut self, now: u64) -> bool {
        let flowed = i128::from(now - self.at) * self.rate;
        (self.parts, self.at) = ((self.parts + flowed).min(self.full), now);
        self.parts >= TOKEN
    }
}

/// The frames at which a condition holds, one an input.
pub fn frames(index: &Index, text: &str) -> Vec<u64> {
    let condition = Condition::parse(text, START_NS).unwrap_or_else(|error| panic!("{error}"));
    let mut moment = Moment::before(index, 1).unwrap();
    let mut found = Vec::new();
    while let Some(sequence) = moment.run_until(&mut condition.watch()).unwrap() {
        found.push(sequence);
    }
    found
}
