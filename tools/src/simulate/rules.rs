//! Which orders the venue may take and keep, worked out from the journal as naively as can be: halts, suspensions,
//! trips, risk limits, throttles, and sessions that lost their connection.

use std::collections::{BTreeMap, VecDeque};

use ironbook_engine::{
    Command, Engine, Event, ExecType, InstrumentId, InstrumentStatus, OrdType, SessionId,
    TimeInForce, Timestamp, TradingStatus,
    command::{NOTIONAL_SCALE, RiskLimits},
    domain::{DisconnectCause, DisconnectScope, RejectReason},
    event::{Execution, SessionTripped},
};
use ironbook_gateway::{
    config::{CancelOnDisconnect, Config},
    session_record::SessionRecord,
    throttle::ThrottleTerms,
};

use super::{
    client::{MS, SECOND},
    market::INSTRUMENTS,
};

/// How long a gateway that nothing holds up may take to look at an absent session, and the core to take what comes
/// of it, ns.
const LATE_NS: u64 = 2 * SECOND;

/// What the journal has of the rules.
#[derive(Clone, Debug, Default)]
pub struct RuleCounts {
    /// Halts of an instrument.
    pub halts: u64,
    /// Suspensions of a session.
    pub suspensions: u64,
    /// Sessions tripped.
    pub trips: u64,
    /// Orders and replaces refused because of a halt, a suspension or a trip.
    pub shut_out: u64,
    /// Orders and replaces refused because of a risk limit.
    pub beyond_limit: u64,
    /// Times that the orders of an absent session were canceled.
    pub absences: u64,
}

/// Whether a session is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Presence {
    /// It never was, or its orders were canceled since.
    #[default]
    Away,
    LoggedOn,
    /// The journal knows of it since then.
    Lost(Timestamp, DisconnectCause),
}

/// A live order.
#[derive(Clone, Copy, Debug)]
struct Live {
    /// Price times leaves.
    notional: i128,
    good_till_canceled: bool,
}

/// A session: what bounds it, and how it stands.
struct Session {
    limits: RiskLimits,
    cancels: CancelOnDisconnect,
    grace_ns: u64,
    scope: DisconnectScope,
    /// It may only cancel.
    cancel_only: bool,
    /// Because it was tripped.
    tripped: bool,
    /// When it was opened last.
    opened: Timestamp,
    live: BTreeMap<u64, Live>,
    /// Time and notional of its trades, as far back as a window may reach.
    traded: VecDeque<(u64, i128)>,
    presence: Presence,
    /// When its last request was read.
    heard: Timestamp,
}

/// Orders that a throttle let through: however many in a row one looks at, they are no more than a full bucket and
/// what flowed into it meanwhile.
struct Passed {
    sessions: Vec<SessionId>,
    terms: ThrottleTerms,
    /// Orders so far.
    count: i128,
    /// Least of what each came to: orders before it, less what had flowed by then.
    least: i128,
}

/// What bounds orders, and what the journal has of it.
pub struct Rules {
    /// By id, from 1.
    sessions: Vec<Session>,
    /// By id, from 1.
    halted: [bool; INSTRUMENTS.len()],
    throttles: Vec<Passed>,
    /// When the running venue started.
    since: Timestamp,
    /// Time of the last command.
    now: Timestamp,
    /// Sessions whose orders of this scope the last command must have canceled.
    emptied: Vec<(SessionId, DisconnectScope)>,
    /// Sessions that traded by the last command.
    trading: Vec<SessionId>,
    /// What was seen.
    pub counts: RuleCounts,
}

/// What is against the rules, in words, if anything.
type Found = Result<(), String>;

impl Rules {
    /// Those of a venue with this configuration, which runs since then: throttles begin full there.
    pub fn new(config: &Config, since: Timestamp) -> Self {
        let good = "the configuration of a venue that runs";
        let ids = || (1..).map(SessionId).zip(&config.sessions);
        let sessions = config.sessions.iter().map(|known| Session {
            limits: config.risk_limits_of(known).expect(good),
            cancels: known.cancel_on_disconnect,
            grace_ns: known.cancel_grace_ms * MS,
            scope: if known.cancel_gtc { DisconnectScope::All } else { DisconnectScope::Day },
            cancel_only: false,
            tripped: false,
            opened: Timestamp(0),
            live: BTreeMap::new(),
            traded: VecDeque::new(),
            presence: Presence::Away,
            heard: Timestamp(0),
        });
        let own = ids().filter_map(|(id, known)| Some((vec![id], known.throttle().expect(good)?)));
        let firms = config.firms.iter().filter_map(|firm| {
            let members = ids().filter(|(_, known)| known.firm.as_ref() == Some(&firm.name));
            Some((members.map(|(id, _)| id).collect(), firm.throttle().expect(good)?))
        });
        let passed = |(sessions, terms)| Passed { sessions, terms, count: 0, least: i128::MAX };
        Self {
            sessions: sessions.collect(),
            halted: Default::default(),
            throttles: own.chain(firms).map(passed).collect(),
            since,
            now: Timestamp(0),
            emptied: Vec::new(),
            trading: Vec::new(),
            counts: RuleCounts::default(),
        }
    }

    /// When a session was last opened by a command.
    pub fn opened(&self, session: SessionId) -> Timestamp {
        self.sessions[session.0 as usize - 1].opened
    }

    /// Whether an instrument is halted.
    pub fn is_halted(&self, instrument: InstrumentId) -> bool {
        self.halted[instrument.0 as usize - 1]
    }

    /// Instruments that are halted.
    pub fn halted(&self) -> u32 {
        self.halted.iter().map(|halted| u32::from(*halted)).sum()
    }

    /// Whether a session may only cancel, whether it is tripped, and its live orders.
    pub fn standing_of(&self, session: SessionId) -> (bool, bool, u32) {
        let known = &self.sessions[session.0 as usize - 1];
        (known.cancel_only, known.tripped, known.live.len() as u32)
    }

    fn session(&mut self, id: SessionId) -> &mut Session {
        &mut self.sessions[id.0 as usize - 1]
    }

    /// Takes a session record at a time.
    pub fn take_record(&mut self, record: &SessionRecord, time: Timestamp) -> Found {
        match record {
            SessionRecord::Outbound { session, msg_type, .. } if msg_type == b"A" => {
                self.session(*session).presence = Presence::LoggedOn;
            }
            SessionRecord::Lost { session, cause } => {
                self.session(*session).presence = Presence::Lost(time, *cause);
            }
            _ => {}
        }
        self.end_command()
    }

    /// Takes a command at a time.
    pub fn take_command(&mut self, command: &Command, time: Timestamp) -> Found {
        self.end_command()?;
        self.now = time;
        if let Some(origin) = command.origin().filter(|origin| origin.msg_seq_num > 0) {
            self.session(origin.session).heard = origin.received;
        }
        match command {
            Command::NewOrder(it) => self.pass(it.origin.session, it.origin.received)?,
            Command::ReplaceOrder(it) => self.pass(it.origin.session, it.origin.received)?,
            Command::MassCancel(it) if it.origin.msg_seq_num == 0 => {
                self.emptied.push((it.origin.session, DisconnectScope::All));
            }
            Command::CancelOnDisconnect(it) => {
                self.counts.absences += 1;
                self.take_absence(it.origin.session, it.origin.received, (it.cause, it.scope))?;
            }
            Command::SetInstrumentStatus(it) => {
                let halted = it.status != InstrumentStatus::Open;
                self.halted[it.instrument.0 as usize - 1] = halted;
                self.counts.halts += u64::from(halted);
            }
            Command::SetTradingStatus(it) => {
                let cancel_only = it.status == TradingStatus::CancelOnly;
                self.counts.suspensions += u64::from(cancel_only);
                let session = self.session(it.session);
                if session.cancel_only && !cancel_only {
                    session.traded.clear();
                }
                session.cancel_only = cancel_only;
                session.tripped &= cancel_only;
                if !cancel_only {
                    session.opened = time;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// An order or replace was let through, unless it was in an earlier life of the venue.
    fn pass(&mut self, session: SessionId, received: Timestamp) -> Found {
        if received < self.since {
            return Ok(());
        }
        self.throttles
            .iter_mut()
            .filter(|throttle| throttle.sessions.contains(&session))
            .try_for_each(|throttle| throttle.pass(received))
    }

    /// The orders of an absent session are canceled.
    fn take_absence(
        &mut self,
        id: SessionId,
        received: Timestamp,
        (cause, scope): (DisconnectCause, DisconnectScope),
    ) -> Found {
        let since = self.since;
        let session = self.session(id);
        let Presence::Lost(at, known) = session.presence else {
            return Err(format!("orders of {id} are canceled, and it is {:?}", session.presence));
        };
        // It was connected when it was heard last; what was lost before a start has its time from there on.
        let from = if at <= since && received >= since { since } else { session.heard };
        let early = received.0 < from.0 + session.grace_ns;
        if known != cause || !session.covers(cause) || scope != session.scope || early {
            let grace = session.grace_ns;
            return Err(format!(
                "orders of {id} are canceled at {received} because of {cause:?}, {scope:?}, \
                 after {known:?} at {at}, grace {grace} ns, the venue runs since {since}"
            ));
        }
        session.presence = Presence::Away;
        self.emptied.push((id, scope));
        Ok(())
    }

    /// Takes an event of the last command.
    pub fn take_event(&mut self, event: &Event) -> Found {
        match event {
            Event::Execution(report) => self.take_execution(report),
            Event::OrderRejected(it) => self.take_refusal(it.session, it.instrument, it.reason),
            Event::CancelRejected(it) => self.take_refusal(it.session, it.instrument, it.reason),
            Event::SessionTripped(it) => self.take_trip(it),
            _ => Ok(()),
        }
    }

    fn take_execution(&mut self, report: &Execution) -> Found {
        let (id, order) = (report.session, report.order_id.0);
        let (halted, now) = (self.is_halted(report.instrument), self.now);
        let session = self.session(id);
        let is_new = report.exec_type == ExecType::New;
        match report.exec_type {
            ExecType::OrderStatus => return Ok(()),
            ExecType::New | ExecType::Replaced | ExecType::Trade if halted => {
                return Err(format!("{id} has {:?} in a halted instrument", report.exec_type));
            }
            ExecType::New | ExecType::Replaced if session.cancel_only => {
                return Err(format!("{id} may only cancel, and order {order} is taken"));
            }
            ExecType::New | ExecType::Replaced if session.presence != Presence::LoggedOn => {
                let presence = session.presence;
                return Err(format!("order {order} is taken of {id}, which is {presence:?}"));
            }
            ExecType::New | ExecType::Replaced => session.check_limits(report)?,
            ExecType::Trade => {
                let notional = notional(report, report.last_px, report.last_qty);
                session.traded.push_back((now.0, notional));
                self.trading.push(id);
            }
            _ => {}
        }
        let session = self.session(id);
        if report.leaves_qty == 0 {
            session.live.remove(&order);
        } else if is_new || session.live.contains_key(&order) {
            let notional = notional(report, report.price, report.leaves_qty);
            let good_till_canceled = report.time_in_force == TimeInForce::Gtc;
            session.live.insert(order, Live { notional, good_till_canceled });
        }
        Ok(())
    }

    /// What a refusal says must be so.
    fn take_refusal(
        &mut self,
        id: SessionId,
        instrument: InstrumentId,
        reason: RejectReason,
    ) -> Found {
        let halted = instrument != InstrumentId::NONE && self.is_halted(instrument);
        let session = self.session(id);
        let live = session.live.len() as u32;
        let (holds, count) = match reason {
            RejectReason::InstrumentHalted => (halted, &mut self.counts.shut_out),
            RejectReason::SessionCancelOnly => {
                (session.cancel_only && !session.tripped, &mut self.counts.shut_out)
            }
            RejectReason::TradedNotionalTooLarge | RejectReason::LossTooLarge => {
                (session.tripped, &mut self.counts.shut_out)
            }
            RejectReason::TooManyOpenOrders => {
                (live >= session.limits.open_orders, &mut self.counts.beyond_limit)
            }
            RejectReason::OrderNotionalTooLarge => {
                (session.limits.order_notional > 0, &mut self.counts.beyond_limit)
            }
            RejectReason::OpenNotionalTooLarge => {
                (session.limits.open_notional > 0, &mut self.counts.beyond_limit)
            }
            RejectReason::PriceFarFromReference => {
                (session.limits.price_deviation > 0, &mut self.counts.beyond_limit)
            }
            _ => return Ok(()),
        };
        *count += 1;
        if holds { Ok(()) } else { Err(format!("{id} is refused by {reason:?}, which is not so")) }
    }

    fn take_trip(&mut self, trip: &SessionTripped) -> Found {
        self.counts.trips += 1;
        self.emptied.push((trip.session, DisconnectScope::All));
        let now = self.now;
        let session = self.session(trip.session);
        (session.cancel_only, session.tripped) = (true, true);
        if trip.rule != RejectReason::TradedNotionalTooLarge {
            return Ok(());
        }
        // The window is counted in 32 parts, and reaches back for one of them more at most.
        let window = session.window_ns();
        let most = session.traded_within(now, window + 2 * (window / 32 + 1));
        let limit = session.limits.traded_notional;
        if limit > 0 && most > limit.into() {
            return Ok(());
        }
        Err(format!("{} is tripped for {most} traded, and {limit} is allowed", trip.session))
    }

    /// What must hold once the events of the last command were taken.
    fn end_command(&mut self) -> Found {
        for (id, scope) in std::mem::take(&mut self.emptied) {
            let ends = |order: &&Live| scope == DisconnectScope::All || !order.good_till_canceled;
            let left = self.session(id).live.values().filter(ends).count();
            if left > 0 {
                return Err(format!("{left} orders of {id} are left, which were to be canceled"));
            }
        }
        let now = self.now;
        for id in std::mem::take(&mut self.trading) {
            let session = self.session(id);
            let (limit, window) = (session.limits.traded_notional, session.window_ns());
            let traded = session.traded_within(now, window);
            if limit > 0 && !session.tripped && traded > limit.into() {
                return Err(format!("{id} traded {traded} of {limit}, and is not tripped"));
            }
            while session.traded.front().is_some_and(|(at, _)| at + 2 * window < now.0) {
                session.traded.pop_front();
            }
        }
        Ok(())
    }

    /// An absent session whose orders are still there, though nothing has disturbed the venue since then.
    pub fn overdue(&self, now: u64, undisturbed_since: u64) -> Option<String> {
        let overdue = |session: &&Session| match session.presence {
            Presence::Lost(at, cause) if session.covers(cause) => {
                let from = at.0.max(undisturbed_since).max(self.since.0);
                now > from + session.grace_ns + LATE_NS
            }
            _ => false,
        };
        let place = self.sessions.iter().position(|session| overdue(&session))?;
        Some(format!("session {} is gone for longer than its grace time", place + 1))
    }

    /// What differs from an engine that is here, in words; none when nothing does.
    pub fn difference(&self, engine: &Engine) -> Option<String> {
        let instruments = engine.instruments().zip(&self.halted);
        let halts = instruments.map(|(known, halted)| {
            let is_same = (known.status != InstrumentStatus::Open) == *halted;
            (!is_same).then(|| format!("{} is {:?}", known.definition.symbol, known.status))
        });
        let sessions = engine.sessions().zip(&self.sessions).map(|(known, session)| {
            let (here, there) = (
                (known.risk.status == TradingStatus::CancelOnly, known.risk.trip.is_some()),
                (session.cancel_only, session.tripped),
            );
            let live = (known.live_orders as usize, session.live.len());
            let is_same = here == there && live.0 == live.1;
            (!is_same).then(|| format!("{}: {here:?} {there:?}, {live:?} orders", known.session))
        });
        halts.chain(sessions).flatten().next()
    }
}

impl Session {
    /// Whether its orders end with a loss of this cause.
    fn covers(&self, cause: DisconnectCause) -> bool {
        let by_logout = cause == DisconnectCause::Logout;
        match self.cancels {
            CancelOnDisconnect::None => false,
            CancelOnDisconnect::Logout => by_logout,
            CancelOnDisconnect::Disconnect => !by_logout,
            CancelOnDisconnect::Both => true,
        }
    }

    fn window_ns(&self) -> u64 {
        u64::from(self.limits.window_ms) * MS
    }

    /// What it traded in so much time.
    fn traded_within(&self, now: Timestamp, window_ns: u64) -> i128 {
        let recent = self.traded.iter().filter(|(at, _)| at + window_ns > now.0);
        recent.map(|(_, notional)| notional).sum()
    }

    /// An order is taken, or has new terms: within the limits, but for those on prices.
    fn check_limits(&self, report: &Execution) -> Found {
        let limits = &self.limits;
        let within = |limit: i64, found: i128| limit == 0 || found <= limit.into();
        let before = self.live.get(&report.order_id.0);
        let count = self.live.len() + usize::from(before.is_none());
        let is_new = report.exec_type == ExecType::New;
        if is_new && !within(limits.open_orders.into(), count as i128) {
            return Err(format!("{} has {count} orders, {limits:?}", report.session));
        }
        if report.ord_type == OrdType::Market {
            // It is judged by the price that it would have.
            return Ok(());
        }
        let whole = notional(report, report.price, report.order_qty);
        let before = before.map_or(0, |order| order.notional);
        let added = notional(report, report.price, report.leaves_qty) - before;
        let open = self.live.values().map(|order| order.notional).sum::<i128>() + added;
        let grows = is_new || added > 0;
        if within(limits.order_notional, whole) && (!grows || within(limits.open_notional, open)) {
            return Ok(());
        }
        Err(format!("{}: an order of {whole}, {open} open, {limits:?}", report.session))
    }
}

impl Passed {
    fn pass(&mut self, at: Timestamp) -> Found {
        let (rate, burst) = (i128::from(self.terms.per_second), i128::from(self.terms.burst));
        let second = i128::from(SECOND);
        let came_to = self.count * second - rate * i128::from(at.0);
        self.least = self.least.min(came_to);
        self.count += 1;
        if came_to - self.least <= (burst - 1) * second {
            return Ok(());
        }
        Err(format!("more orders than {} from {:?} by {at}", self.terms, self.sessions))
    }
}

/// Price times quantity of an order of this report, at the scale of notionals; that has room for all of the market.
fn notional(report: &Execution, price: i64, qty: i64) -> i128 {
    let more = NOTIONAL_SCALE - report.price_scale - report.qty_scale;
    i128::from(price) * i128::from(qty) * 10_i128.pow(more.into())
}
