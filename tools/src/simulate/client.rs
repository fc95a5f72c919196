//! A simulated client: an initiator's session over a simulated connection, what it knows, and what
//! it does to a venue. What it asks for is in `actions.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr},
};

use ironbook_fix::{
    codec::{Framed, frame},
    field::{MsgSeqNum, parse_timestamp},
    message::{Fields, Message, MsgType},
    session::{DisconnectReason, Handled, Output, Role, Session, SessionConfig, State},
};
use ironbook_gateway::{
    random::Random,
    simulated_network::{SimulatedNetwork, SimulatedStream},
};

use super::{
    audit::{Audit, session_id},
    inbox::Inbox,
    market::VENUE,
    model::{Facts, Model},
    violation::{Checked, Oracle, Violation, ensure},
};

/// One millisecond in ns.
pub const MS: u64 = 1_000_000;

/// One second in ns.
pub const SECOND: u64 = 1_000 * MS;

/// Bytes that a client reads at once.
const READ_BYTES: usize = 4_096;

/// Time after which nothing of what was broken on purpose is felt any more, ns.
const CALM_NS: u64 = 12 * SECOND;

/// Patience with questions that are not answered, ns.
const ASK_AGAIN_NS: u64 = 30 * SECOND;

/// Most new orders that may be without an answer; more is a client that waits.
pub const UNANSWERED_MAX: usize = 64;

/// How a refusal begins that says that a session may only cancel.
const SHUT_OUT: [&[u8]; 2] = [b"the session is tripped", b"the venue takes no orders of this"];

/// How a refusal by a throttle begins.
const THROTTLED: &[u8] = b"throttle: ";

/// What a client does when it connects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Plan {
    /// Asks for numbers that start anew.
    reset: bool,
    /// Logs on with a number that it has used.
    low: bool,
    /// MsgSeqNum of the Logon.
    number: u64,
    /// The venue has had that number and must refuse it.
    must_be_refused: bool,
}

/// A request that must be answered.
#[derive(Clone, Debug)]
struct Asked {
    msg_type: MsgType,
    /// ClOrdID (11)
    cl_ord_id: Vec<u8>,
    /// OrderID (37), where the request names it.
    order_id: Option<u64>,
}

/// An order as a status request names it.
#[derive(Clone, Debug)]
pub struct Named {
    /// OrderID (37), if it is known.
    pub order_id: Option<u64>,
    /// Number of the instrument, from 1.
    pub instrument: u32,
    /// Side (54)
    pub side: u8,
}

/// What clients did and met.
#[derive(Clone, Debug, Default)]
pub struct ClientCounts {
    /// Connections made.
    pub connections: u64,
    /// Logons answered.
    pub logons: u64,
    /// Logons with a used number, refused as they must be.
    pub refused: u64,
    /// Logons that asked for new numbers.
    pub resets: u64,
    /// Orders sent.
    pub orders: u64,
    /// All other requests sent.
    pub requests: u64,
    /// Reports received, without repetitions.
    pub reports: u64,
    /// Messages received again.
    pub repeated: u64,
    /// Times that an operator set it back to what the journal says.
    pub rolled_back: u64,
    /// New orders and replaces that a throttle refused.
    pub throttled: u64,
    /// Bytes sent that are no message, and messages that were damaged or left out on purpose.
    pub garbage: u64,
}

impl ClientCounts {
    /// Adds those of another client.
    pub fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.logons += other.logons;
        self.refused += other.refused;
        self.resets += other.resets;
        self.orders += other.orders;
        self.requests += other.requests;
        self.reports += other.reports;
        self.repeated += other.repeated;
        self.rolled_back += other.rolled_back;
        self.throttled += other.throttled;
        self.garbage += other.garbage;
    }
}

/// A client.
pub struct Client {
    /// Its comp id.
    pub name: &'static str,
    /// It only listens.
    pub is_copy: bool,
    /// How many times as much it does as one that thinks.
    pub(super) temper: u64,
    pub(super) random: Random,
    /// Of this connection, or of the last one.
    pub(super) session: Session,
    stream: Option<SimulatedStream>,
    /// Of this connection.
    plan: Plan,
    /// Logons answered before this connection.
    logons_before: u64,
    pub(super) output: Vec<u8>,
    input: Vec<u8>,
    /// What one read brings.
    buffer: Vec<u8>,
    /// Lent out while a message is taken.
    fields: Option<Box<Fields>>,
    pub(super) inbox: Inbox,
    /// Open orders as reported.
    pub model: Model,
    /// Reports up to this number are in `model`.
    applied: u64,
    /// New orders without an answer, by ClOrdID.
    pub(super) unanswered: BTreeMap<Vec<u8>, Named>,
    /// Requests without an answer, by MsgSeqNum, but for those that the venue was told will not come.
    asked: BTreeMap<u64, Asked>,
    /// Orders to be asked about after numbers started anew, and not answered yet.
    pub(super) doubtful: BTreeMap<Vec<u8>, Named>,
    /// The venue must be asked about all of `doubtful`.
    pub(super) asks: bool,
    /// When that was done last.
    pub(super) asked_at: u64,
    /// Every Logon asks for numbers that start anew, until one is answered.
    reset_wanted: bool,
    /// MsgSeqNum to expect, and to use, on the next connection.
    next_in: u64,
    next_out: u64,
    connect_at: u64,
    /// When it asks for something again.
    pub(super) act_at: u64,
    /// Reads nothing before.
    pub(super) read_from: u64,
    /// Closes once all is written.
    pub(super) closing: bool,
    /// Since when it does nothing but listen, and behaves.
    calm_since: Option<u64>,
    /// The venue was silent, though nothing disturbed it.
    deserted: bool,
    /// ClOrdIDs used.
    pub(super) ids: u64,
    /// ClOrdIDs that stood in two orders.
    pub(super) used_twice: BTreeSet<Vec<u8>>,
    /// ClOrdIDs of orders that a throttle refused.
    throttled: BTreeSet<Vec<u8>>,
    /// It may only cancel, as it was told at that time, ms since 1970, and nothing since then says otherwise.
    pub(super) shut_out_ms: Option<u64>,
    /// What it did and met.
    pub counts: ClientCounts,
}

impl Client {
    /// A client that has never connected.
    ///
    /// `temper`: how many times as much it does as one that thinks.
    pub fn new(
        name: &'static str,
        is_copy: bool,
        temper: u64,
        mut random: Random,
        now: u64,
    ) -> Self {
        let session = Session::new(config(name, 30, false), MsgSeqNum::FIRST, MsgSeqNum::FIRST);
        let connect_at = now + random.below(2 * SECOND);
        Self {
            name,
            is_copy,
            temper,
            random,
            session,
            stream: None,
            plan: Plan::default(),
            logons_before: 0,
            output: Vec::new(),
            input: Vec::new(),
            buffer: vec![0; READ_BYTES],
            fields: None,
            inbox: Inbox::default(),
            model: Model::default(),
            applied: 0,
            unanswered: BTreeMap::new(),
            asked: BTreeMap::new(),
            doubtful: BTreeMap::new(),
            asks: false,
            asked_at: 0,
            reset_wanted: false,
            next_in: 1,
            next_out: 1,
            connect_at,
            act_at: 0,
            read_from: 0,
            closing: false,
            calm_since: None,
            deserted: false,
            ids: 0,
            used_twice: BTreeSet::new(),
            throttled: BTreeSet::new(),
            shut_out_ms: None,
            counts: ClientCounts::default(),
        }
    }

    /// Behaves from now on, or no longer.
    pub fn set_calm(&mut self, calm: bool, now: u64) {
        self.calm_since = calm.then_some(now);
        if calm {
            self.read_from = 0;
            self.connect_at = self.connect_at.min(now + SECOND);
        } else {
            self.act_at = now;
        }
    }

    fn is_calm(&self) -> bool {
        self.calm_since.is_some()
    }

    /// Whether both ends are logged on.
    pub fn is_logged_on(&self) -> bool {
        self.stream.is_some() && self.session.state() == State::LoggedOn
    }

    /// Breaks its connection, if it has one; both ends learn of it.
    pub fn break_off(&mut self) {
        if let Some(stream) = &self.stream {
            stream.break_off();
        }
    }

    /// The venue's machine is gone, and the connection with it.
    pub fn lose_connection(&mut self, now: u64) {
        if self.stream.is_some() {
            self.disconnected(now);
        }
    }

    /// Takes a turn; returns whether it did anything.
    ///
    /// # Errors
    /// What the venue must never say.
    pub fn turn(&mut self, now: u64, network: &SimulatedNetwork, audit: &Audit) -> Checked<bool> {
        if self.stream.is_none() {
            if now < self.connect_at {
                return Ok(false);
            }
            self.connect(now, network, audit);
            return Ok(true);
        }
        let mut worked = self.read_from <= now && self.receive(now, audit)?;
        if self.session.next_deadline().is_some_and(|due| due <= now) {
            self.session.handle_timeout(now);
            self.drain(now);
            ensure(Oracle::Liveness, !self.deserted, || {
                format!("{}: the venue says nothing any more", self.name)
            })?;
            worked = true;
        }
        if self.is_logged_on() && !self.closing {
            if self.asks || self.ask_again_at() <= now {
                self.ask_about_doubtful(now);
                worked = true;
            } else if !self.is_calm() && self.act_at <= now {
                self.act(now);
                worked = true;
            }
        }
        worked |= self.write(now);
        Ok(worked)
    }

    /// When it does something by itself.
    pub fn next_event_ns(&self, now: u64) -> u64 {
        if self.stream.is_none() {
            return self.connect_at;
        }
        let session = self.session.next_deadline().unwrap_or(u64::MAX);
        let acts = self.is_logged_on() && !self.is_calm() && !self.closing;
        let act = if acts { self.act_at } else { u64::MAX };
        let read = if self.read_from > now { self.read_from } else { u64::MAX };
        let ask = if self.is_logged_on() { self.ask_again_at() } else { u64::MAX };
        session.min(act).min(read).min(ask)
    }

    /// When questions without an answer are asked again: a damaged message may have hidden them.
    fn ask_again_at(&self) -> u64 {
        if self.doubtful.is_empty() { u64::MAX } else { self.asked_at + ASK_AGAIN_NS }
    }

    // ---- connection ----------------------------------------------------------------------------

    fn connect(&mut self, now: u64, network: &SimulatedNetwork, audit: &Audit) {
        let Ok(stream) = network.connect(IpAddr::V4(Ipv4Addr::LOCALHOST)) else {
            self.connect_at = now + self.random.between(50 * MS, 2 * SECOND);
            return;
        };
        self.counts.connections += 1;
        self.logons_before = self.counts.logons;
        self.plan = self.make_plan();
        let (mut next_in, mut next_out) = (self.next_in, self.next_out);
        if self.plan.low {
            next_out -= self.random.between(1, next_out - 1);
            // What the venue expects never gets smaller while this connection lives.
            self.plan.must_be_refused = next_out < audit.session_of(self.name).next_in;
        } else if !self.is_calm() && next_in > 1 && self.random.one_in(6) {
            // A client that lost what it had received last.
            next_in -= self.random.between(1, (next_in - 1).min(40));
        }
        self.plan.number = next_out;
        let heart_bt_int = *self.random.choose(&[2, 10, 30]);
        let config = config(self.name, heart_bt_int, self.plan.reset);
        self.session = Session::new(config, MsgSeqNum::new(next_in), MsgSeqNum::new(next_out));
        self.stream = Some(stream);
        (self.closing, self.read_from) = (false, 0);
        self.input.clear();
        self.output.clear();
        self.inbox.connected(self.plan.reset);
        self.session.handle_connected(now);
        self.session.logon(now);
        self.drain(now);
    }

    fn make_plan(&mut self) -> Plan {
        if !self.is_calm() && !self.is_copy && self.random.one_in(8) {
            self.reset_wanted = true;
        }
        let reset = self.reset_wanted;
        let low = !reset && !self.is_calm() && self.next_out > 2 && self.random.one_in(12);
        Plan { reset, low, ..Plan::default() }
    }

    /// The connection is gone.
    fn disconnected(&mut self, now: u64) {
        self.stream = None;
        // A number that the venue refused is not where the client stands.
        if !self.plan.low || self.counts.logons > self.logons_before {
            self.next_out = self.session.next_out().get();
        }
        self.next_in = self.session.next_in().get();
        self.session.handle_disconnected();
        let pause = if self.is_calm() {
            self.random.between(MS, SECOND)
        } else {
            self.random.between(MS, 15 * SECOND)
        };
        self.connect_at = now + pause;
    }

    fn write(&mut self, now: u64) -> bool {
        let mut worked = false;
        while let Some(stream) = &mut self.stream
            && !self.output.is_empty()
        {
            match stream.write(&self.output) {
                Ok(count) => {
                    let written: Vec<u8> = self.output.drain(..count).collect();
                    self.trace(now, ">", &written);
                    worked = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.disconnected(now);
                    return true;
                }
            }
        }
        if self.closing && self.output.is_empty() && self.stream.is_some() {
            self.disconnected(now);
            worked = true;
        }
        worked
    }

    /// For the log, which is off unless IRONBOOK_LOG says otherwise.
    fn trace(&self, now: u64, direction: &str, bytes: &[u8]) {
        log::trace!("{now} {} {direction} {}", self.name, readable(bytes));
    }

    fn receive(&mut self, now: u64, audit: &Audit) -> Checked<bool> {
        let mut worked = false;
        while let Some(stream) = &mut self.stream {
            match stream.read(&mut self.buffer) {
                Ok(0) => {
                    self.disconnected(now);
                    return Ok(true);
                }
                Ok(count) => {
                    worked = true;
                    self.input.extend_from_slice(&self.buffer[..count]);
                    self.take_messages(now, audit)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.disconnected(now);
                    return Ok(true);
                }
            }
        }
        Ok(worked)
    }

    fn take_messages(&mut self, now: u64, audit: &Audit) -> Checked {
        loop {
            match frame(&self.input) {
                Framed::Incomplete => return Ok(()),
                Framed::Garbled { reason, .. } => {
                    let what = format!("{}: the venue sent no message: {reason}", self.name);
                    return Err(Violation::new(Oracle::Sequence, what));
                }
                Framed::Message { len } => {
                    let bytes: Vec<u8> = self.input.drain(..len).collect();
                    self.trace(now, "<", &bytes);
                    self.take_message(now, &bytes, audit)?;
                }
            }
        }
    }

    // ---- session -------------------------------------------------------------------------------

    fn take_message(&mut self, now: u64, bytes: &[u8], audit: &Audit) -> Checked {
        let mut fields = self.fields.take().unwrap_or_else(Fields::new);
        let result = self.take_parsed(now, bytes, &mut fields, audit);
        self.fields = Some(fields);
        result?;
        self.drain(now);
        let mut held = Vec::new();
        while self.session.release_held(&mut held) {
            let mut fields = Fields::new();
            let message = Message::parse(&held, &mut fields).map_err(|reason| {
                Violation::new(Oracle::Sequence, format!("{}: {reason}", self.name))
            })?;
            self.hand_over(now, &message, audit)?;
            self.drain(now);
        }
        Ok(())
    }

    fn take_parsed(
        &mut self,
        now: u64,
        bytes: &[u8],
        fields: &mut Fields,
        audit: &Audit,
    ) -> Checked {
        let message = Message::parse(bytes, fields).map_err(|reason| {
            Violation::new(Oracle::Sequence, format!("{}: {reason}", self.name))
        })?;
        if message.poss_dup() {
            self.counts.repeated += 1;
        }
        self.inbox.take(self.name, &message, audit)?;
        if self.session.state() == State::AwaitingLogon {
            self.check_logon_answer(&message)?;
        }
        self.hand_over(now, &message, audit)
    }

    /// A good Logon is answered by a Logon, one with a used number by a Logout.
    fn check_logon_answer(&mut self, message: &Message<'_>) -> Checked {
        let refused = message.msg_type() == Some(MsgType::LOGOUT);
        ensure(Oracle::Liveness, !refused || self.plan.low, || {
            let text = String::from_utf8_lossy(message.get(58).unwrap_or_default()).into_owned();
            format!("{}: a good Logon is refused: {text}", self.name)
        })?;
        if self.plan.must_be_refused {
            ensure(Oracle::Sequence, refused, || {
                let (text, used) = (readable(message.bytes()), self.plan.number);
                format!("{}: a Logon with the used number {used} is not refused: {text}", self.name)
            })?;
            self.counts.refused += 1;
        }
        Ok(())
    }

    /// The beginning of a message that never comes takes the bytes of those behind it. One time in 256 they have
    /// the checksum of one message, which is refused for its second BeginString (8) under the number of the first
    /// one that it took: that is the answer to it.
    fn take_reject(&mut self, message: &Message<'_>) {
        let is_swallowed = message.msg_type() == Some(MsgType::REJECT)
            && message.get(371) == Some(b"8")
            && self.counts.garbage > 0;
        if is_swallowed && let Some(seq) = number(message, 45) {
            self.asked.remove(&seq);
        }
    }

    fn hand_over(&mut self, now: u64, message: &Message<'_>, audit: &Audit) -> Checked {
        self.take_reject(message);
        if let Handled::Application(seq) = self.session.handle_message(now, message)
            && seq.get() > self.applied
        {
            self.applied = seq.get();
            self.counts.reports += 1;
            self.take_answer(message);
            self.take_bounds(message, audit)?;
            self.apply(message)?;
        }
        Ok(())
    }

    /// A request goes out under the next number, and is to be answered.
    pub(super) fn asks_for(&mut self, msg_type: MsgType, cl_ord_id: &[u8], order_id: Option<u64>) {
        let asked = Asked { msg_type, cl_ord_id: cl_ord_id.to_vec(), order_id };
        self.asked.insert(self.session.next_out().get(), asked);
    }

    /// Takes the request off the list that a message answers, if it answers one.
    fn take_answer(&mut self, message: &Message<'_>) {
        let number = |tag| number(message, tag);
        let cl_ord_id = message.get(11).unwrap_or_default();
        let answered = |asked: &Asked| {
            let same = asked.cl_ord_id == cl_ord_id;
            let (msg_type, exec_type) = (asked.msg_type, message.get(150));
            match message.msg_type() {
                Some(MsgType::EXECUTION_REPORT) => match exec_type {
                    Some(b"I") => {
                        let named = asked.order_id.is_some() && asked.order_id == number(37);
                        msg_type == MsgType::ORDER_STATUS_REQUEST && (same || named)
                    }
                    Some(b"0" | b"8") => msg_type == MsgType::NEW_ORDER_SINGLE && same,
                    _ => {
                        let cancel = MsgType::ORDER_CANCEL_REQUEST;
                        let replace = MsgType::ORDER_CANCEL_REPLACE_REQUEST;
                        [cancel, replace].contains(&msg_type) && same
                    }
                },
                _ => msg_type != MsgType::NEW_ORDER_SINGLE && same,
            }
        };
        let answered = match message.msg_type() {
            Some(MsgType::BUSINESS_MESSAGE_REJECT) => number(45),
            _ => self.asked.iter().find(|(_, asked)| answered(asked)).map(|(seq, _)| *seq),
        };
        if let Some(seq) = answered {
            self.asked.remove(&seq);
        }
    }

    /// What a report says of the bounds of this session: who may only cancel has no order taken before an operator
    /// opens the session, and what a throttle refused never becomes an order.
    fn take_bounds(&mut self, message: &Message<'_>, audit: &Audit) -> Checked {
        if self.is_copy {
            return Ok(());
        }
        let orig = message.get(122).and_then(|time| parse_timestamp(time).ok());
        let told_ms = orig.or(message.sending_time_ns()).unwrap_or(0) / MS;
        let text = message.get(58).unwrap_or_default();
        let cl_ord_id = message.get(11).unwrap_or_default();
        if SHUT_OUT.iter().any(|begin| text.starts_with(begin)) {
            self.shut_out_ms.get_or_insert(told_ms);
        } else if text.starts_with(THROTTLED) {
            self.counts.throttled += 1;
            if !self.used_twice.contains(cl_ord_id) {
                self.throttled.insert(cl_ord_id.to_vec());
            }
        }
        if message.get(150) != Some(b"0") {
            return Ok(());
        }
        let wrong = |what: &str| {
            let text = readable(message.bytes());
            Violation::new(Oracle::Bounds, format!("{}: {what}: {text}", self.name))
        };
        if self.throttled.contains(cl_ord_id) {
            return Err(wrong("a throttle refused it, and it is taken"));
        }
        let opened = audit.rules.opened(session_id(self.name)).0 / MS;
        if self.shut_out_ms.is_some_and(|since| opened < since) {
            return Err(wrong("nobody opened the session, and it is taken"));
        }
        self.shut_out_ms = None;
        Ok(())
    }

    /// Takes a report into the model.
    fn apply(&mut self, message: &Message<'_>) -> Checked {
        let cl_ord_id = message.get(11).unwrap_or_default();
        let own = !self.is_copy;
        if own && message.msg_type() == Some(MsgType::EXECUTION_REPORT) {
            self.unanswered.remove(cl_ord_id);
        }
        let Some(facts) = Facts::of_message(message).filter(|facts| facts.exec_type != b'8') else {
            // A refusal, or "no such order" in answer to a status request.
            self.doubtful.remove(cl_ord_id);
            return Ok(());
        };
        let complete = self.doubtful.is_empty() && !self.asks;
        self.model
            .apply(&facts, complete)
            .map_err(|what| Violation::new(Oracle::Views, format!("{}: {what}", self.name)))?;
        if facts.exec_type == b'I' {
            let id = facts.order_id;
            self.doubtful.retain(|name, named| name != cl_ord_id && named.order_id != Some(id));
        }
        Ok(())
    }

    pub(super) fn drain(&mut self, now: u64) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send(request) => {
                    let msg_type = request.msg_type();
                    if msg_type == MsgType::RESEND_REQUEST {
                        self.inbox.asks_again();
                    }
                    self.session.transmit(now, msg_type, request.body(), &mut self.output);
                }
                Output::Resend { begin, end } => {
                    self.asked.retain(|seq, _| !(begin.get()..=end.get()).contains(seq));
                    self.session.encode_gap_fill(begin, end.next(), now, &mut self.output);
                }
                Output::ResendThroughLogon { .. } => unreachable!("no Logon here says 789"),
                Output::ResetSequence => self.session.reset_outbound(),
                Output::LoggedOn => self.logged_on(now),
                Output::LoggedOut => {}
                Output::Disconnect(reason) => {
                    let calm = self.calm_since.is_some_and(|since| since + CALM_NS <= now);
                    self.deserted |= calm && reason == DisconnectReason::HeartbeatTimeout;
                    self.closing = true;
                }
            }
        }
    }

    fn logged_on(&mut self, now: u64) {
        self.counts.logons += 1;
        self.act_at = now + self.random.below(SECOND);
        // A number that the venue had not had stands for this Logon now: what had it before is lost.
        self.asked.retain(|seq, _| *seq < self.plan.number);
        if self.plan.reset {
            self.asked.clear();
            self.counts.resets += 1;
            self.reset_wanted = false;
            self.applied = 0;
            self.doubt_orders();
            self.doubt_unanswered();
        }
        // Questions, or their answers, may have been lost with a connection.
        self.asks = !self.doubtful.is_empty();
    }

    /// What came last before the numbers started anew is not known: open orders are asked about.
    fn doubt_orders(&mut self) {
        let orders = std::mem::take(&mut self.model).orders;
        self.doubtful.extend(orders.into_iter().map(|(id, order)| {
            let named =
                Named { order_id: Some(id), instrument: order.instrument, side: order.side };
            (order.cl_ord_id, named)
        }));
    }

    /// Orders without an answer may be lost, or their answers: they are asked about.
    pub(super) fn doubt_unanswered(&mut self) {
        self.doubtful.append(&mut self.unanswered);
        self.asks = !self.doubtful.is_empty();
    }

    // ---- oracles -------------------------------------------------------------------------------

    /// After a restart: what this client was told must be in the journal. With `may_lose` it is
    /// set back to what the journal says, as an operator would do.
    ///
    /// # Errors
    /// What was acknowledged and is lost, or changed.
    pub fn check_after_restart(&mut self, audit: &Audit, may_lose: bool) -> Checked {
        let session = audit.session_of(self.name);
        if session.epoch > self.inbox.epoch() {
            // The journal has a reset whose answer has not come: nothing of that life was told.
            return Ok(());
        }
        let lost =
            session.epoch < self.inbox.epoch() || (session.sent.len() as u64) < self.inbox.last();
        if lost && may_lose {
            self.counts.rolled_back += 1;
            self.roll_back(audit);
            return Ok(());
        }
        self.inbox.check(self.name, session, false)
    }

    /// An operator sets the client back: numbers and orders are those of the journal.
    fn roll_back(&mut self, audit: &Audit) {
        let session = audit.session_of(self.name);
        let last = session.sent.len() as u64;
        // In another life of the numbers only a reset brings both ends together.
        let same_life = session.epoch == self.inbox.epoch();
        self.inbox.roll_back(session.epoch, last);
        self.next_in = last + 1;
        self.applied = last;
        self.next_out = self.next_out.max(session.next_in);
        self.reset_wanted |= !same_life;
        self.model = audit.orders_of(self.name);
        self.unanswered.clear();
        self.asked.clear();
        self.doubtful.clear();
        self.asks = false;
        // What it was told of may be lost.
        self.shut_out_ms = None;
    }

    /// What still keeps this client from rest, in words.
    pub fn unrest(&self, audit: &Audit) -> Option<String> {
        let session = audit.session_of(self.name);
        let (next_in, next_out) = (self.session.next_in().get(), self.session.next_out().get());
        let sent = session.sent.len() as u64;
        let at_rest = self.is_logged_on()
            && !self.asks
            && self.doubtful.is_empty()
            && self.output.is_empty()
            && self.inbox.epoch() == session.epoch
            && (next_in, next_out) == (sent + 1, session.next_in);
        (!at_rest).then(|| {
            format!(
                "{}: {:?}, expects {next_in} of {sent}, will send {next_out}, the venue expects {}, \
                 {} orders in doubt",
                self.name,
                self.session.state(),
                session.next_in,
                self.doubtful.len()
            )
        })
    }

    /// At rest: everything came, every request is answered, and open orders are those of the engine.
    ///
    /// # Errors
    /// What differs.
    pub fn check_at_rest(&self, audit: &Audit, engine_orders: &Model) -> Checked {
        self.inbox.check(self.name, audit.session_of(self.name), true)?;
        ensure(Oracle::Liveness, self.asked.is_empty(), || {
            format!("{}: requests without an answer, by MsgSeqNum: {:?}", self.name, self.asked)
        })?;
        match self.model.difference(engine_orders) {
            None => Ok(()),
            Some(what) => {
                Err(Violation::new(Oracle::Views, format!("{} and engine: {what}", self.name)))
            }
        }
    }
}

/// A message with bars for the bytes that end fields.
pub fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\x01', "|")
}

fn config(name: &str, heart_bt_int: u64, reset: bool) -> SessionConfig {
    SessionConfig {
        reset_on_logon: reset,
        heart_bt_int: 1..=heart_bt_int,
        ..SessionConfig::new(Role::Initiator, name, VENUE)
    }
}

/// A field that is a number.
fn number(message: &Message<'_>, tag: u32) -> Option<u64> {
    std::str::from_utf8(message.get(tag)?).ok()?.parse().ok()
}
