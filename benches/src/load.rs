//! Sends a flow to a venue over FIX and measures how long each answer takes.
//!
//! Open loop: each request has an intended time, and its latency counts from there, whether or not
//! it could be sent then; a venue that stalls can't hide it. It ends when the bytes of the answer have
//! been read off the socket. What is due soon is encoded ahead, and where requests are far apart a block
//! of them, or all of a flow, with the answers to the last block decoded before, when nothing is waited
//! for. So between the two are sockets and the venue, and neither the client's own work on its messages
//! nor what that leaves in the caches, but for the first request of a block.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use hdrhistogram::Histogram;
use ironbook_fix::{
    field::{Decimal, parse_u64},
    message::{Message, MsgType},
    order::{
        NewOrderSingle, OrdType, OrderCancelReplaceRequest, OrderCancelRequest, Side, TimeInForce,
    },
};
use ironbook_gateway::{
    client::{Access, Client, ClientError},
    clock::{Clock, SystemClock},
};
use thiserror::Error;

use crate::{
    flow::{FlowAction, FlowEvent, Scaled},
    reasons::Reasons,
    workload::{RequestId, Requests},
};

/// Requests that wait for their answers at full speed: enough that a venue never waits for its client.
const IN_FLIGHT: u64 = 4_096;

/// How a flow is sent.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The venue.
    pub address: SocketAddr,
    /// Comp ids to log on as, one for each client of the flow; more clients than comp ids share them.
    pub comp_ids: Vec<String>,
    /// Comp id of the venue.
    pub venue: String,
    /// How to reach the venue, and to prove who it is.
    pub access: Access,
    /// Symbols of the flow's instruments; more instruments than symbols share them.
    pub symbols: Vec<String>,
    /// When each request is meant to be sent.
    pub pace: Pace,
    /// Requests that may wait for their answers when the pace is unlimited.
    pub in_flight_max: u64,
    /// Begins every ClOrdID; a venue refuses one that it saw before.
    pub prefix: String,
    /// Longest wait for any answer before the load gives up; [`SILENCE_MAX`] is long enough for most venues.
    pub silence_max: Duration,
}

impl LoadOptions {
    /// For one client on a venue whose sessions and instruments are those of the default configuration.
    pub fn new(address: SocketAddr, pace: Pace, prefix: &str) -> Self {
        Self {
            address,
            comp_ids: vec!["LOADGEN".to_owned()],
            venue: "IRONBOOK".to_owned(),
            access: Access::default(),
            symbols: vec!["AAPL".to_owned()],
            pace,
            in_flight_max: IN_FLIGHT,
            prefix: prefix.to_owned(),
            silence_max: SILENCE_MAX,
        }
    }
}

/// When each request is meant to be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As soon as the one before is sent and few enough wait for their answers.
    Unlimited,
    /// So many a second, evenly.
    PerSecond(f64),
    /// By the flow's own times, so many times faster.
    Recorded(f64),
}

/// How far ahead of their time requests are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ahead {
    /// Requests at the most.
    requests: usize,
    /// Time at the most, ns.
    ns: u64,
}

impl Ahead {
    /// A block, where there is time for one between two requests.
    fn of(pace: Pace) -> Self {
        match pace {
            Pace::PerSecond(rate) if 1e9 / rate >= BLOCK_GAP_MIN_NS => {
                let requests = (rate * BLOCK_NS as f64 / 1e9) as usize;
                Self { requests: requests.clamp(1, BLOCK_MAX), ns: BLOCK_NS }
            }
            _ => Self { requests: 1, ns: ENCODED_AHEAD_NS },
        }
    }

    /// Whether requests are encoded, and answers decoded, more than one at a time.
    #[inline]
    fn is_block(self) -> bool {
        self.requests > 1
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct LoadReport {
    /// New orders sent.
    pub orders: u64,
    /// Replaces sent.
    pub replaces: u64,
    /// Cancels sent.
    pub cancels: u64,
    /// Execution reports and refusals received.
    pub reports: u64,
    /// Fills reported to the sessions of the load; a trade between two of their orders has two.
    pub fills: u64,
    /// Refusals by their Text (58).
    pub rejects: Reasons,
    /// Requests that were never answered.
    pub unanswered: u64,
    /// From the first request to the last answer.
    pub duration: Duration,
    /// Nanoseconds from the intended time of a request until its first answer was read.
    pub latency: Histogram<u64>,
    /// The longest of them among the requests of each [`SLICE_NS`] since the start, by intended time.
    pub slowest: Vec<u64>,
}

/// Nanoseconds of a slice of [`LoadReport::slowest`].
pub const SLICE_NS: u64 = 10_000_000;

/// Longest silence of a venue that still works.
pub const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Longest wait for the answer to a Logon, and to a Logout.
const SESSION_ANSWER_MAX: Duration = Duration::from_secs(10);

/// Bytes that may wait to be sent: more would only hide how late requests are.
const QUEUED_BYTES_MAX: usize = 32 * 1024;

/// How long ahead of its time a request is encoded, ns: so short that nothing minds waiting behind it.
const ENCODED_AHEAD_NS: u64 = 1_000_000;

/// The same for a block of requests.
const BLOCK_NS: u64 = 20_000_000;

/// Most requests of a block: they and the answers to as many take 20 to 40 µs.
const BLOCK_MAX: usize = 64;

/// Longest time that encoding a request of a flow takes that is encoded whole, ns: its time begins so much later.
const ENCODING_NS_MAX: u64 = 2_000;

/// Room for the answers to a request of such a flow, bytes; with less they are decoded between two requests.
const ANSWERS_BYTES: usize = 1_024;

/// How long before its first request is due a block is encoded at the latest, ns, though nothing has come back.
const BLOCK_LATEST_NS: u64 = 50_000;

/// Least time between two requests where a block fits between the answer to one and the next, ns.
const BLOCK_GAP_MIN_NS: f64 = 100_000.0;

/// Longest latency that the histogram tells apart, ns.
const LATENCY_MAX_NS: u64 = 600_000_000_000;

/// Steps between two reports of progress, and looks at timeouts.
const STEPS_PER_PROGRESS: u64 = 1_024;

impl LoadReport {
    fn new() -> Self {
        Self {
            orders: 0,
            replaces: 0,
            cancels: 0,
            reports: 0,
            fills: 0,
            rejects: Reasons::default(),
            unanswered: 0,
            duration: Duration::ZERO,
            latency: latency_histogram(),
            slowest: Vec::new(),
        }
    }

    /// Records a latency; `intended_ns` counts from the start, pauses between flows left out.
    fn record(&mut self, intended_ns: u64, latency_ns: u64) {
        self.latency.saturating_record(latency_ns);
        let slice = (intended_ns / SLICE_NS) as usize;
        if slice >= self.slowest.len() {
            self.slowest.resize(slice + 1, 0);
        }
        self.slowest[slice] = self.slowest[slice].max(latency_ns);
    }

    /// Requests of all kinds.
    pub fn requests(&self) -> u64 {
        self.orders + self.replaces + self.cancels
    }
}

/// A histogram of nanoseconds with three significant digits.
///
/// # Panics
/// Never: the bounds are constants that the library allows.
pub fn latency_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3).expect("bounds that the library allows")
}

/// Why a load is not complete.
#[derive(Debug, Error)]
pub enum LoadError {
    /// A session can't be logged on; no request was sent.
    #[error(transparent)]
    LogOn(ClientError),
    /// The venue stopped answering, or a connection ended.
    #[error("{reason}, with {} requests sent, {} of them unanswered", .report.requests(), .report.unanswered)]
    Stopped {
        /// What came of it up to there.
        report: Box<LoadReport>,
        /// Why it stopped; [`ClientError::Timeout`] when the venue was silent.
        reason: ClientError,
    },
}

/// Sends a flow and waits for all answers; `progress` hears now and then how many requests are
/// sent.
///
/// # Errors
/// [`LoadError`] with what was sent and answered.
///
/// # Panics
/// When there is no comp id.
pub fn run(
    flow: impl Iterator<Item = FlowEvent>,
    options: &LoadOptions,
    progress: impl FnMut(u64),
) -> Result<LoadReport, LoadError> {
    let mut load = Load::log_on(options)?;
    match load.send(flow, 0, progress) {
        Ok(()) => load.log_out(),
        Err(reason) => Err(load.stopped(reason)),
    }
}

/// A request that waits until it is due.
struct Held {
    client: usize,
    action: FlowAction,
    /// When, ns since 1970.
    due: u64,
    /// Where in the stream of the client's bytes it ends.
    end: u64,
}

/// Sessions that send flows, one after the other.
pub struct Load<'a> {
    clients: Vec<Client>,
    options: &'a LoadOptions,
    requests: Requests,
    /// When the first request of the flow under way was due, ns since 1970.
    start: u64,
    /// Requests before it.
    numbered_before: u64,
    /// Nanoseconds that the flows before it took.
    took_before: u64,
    /// Latencies of requests up to this one are not recorded.
    warm_up_to: u64,
    /// Intended time of each request, ns; 0 once it is answered.
    intended: Vec<u64>,
    /// Requests that are encoded and held back until they are due, earliest first.
    held: VecDeque<Held>,
    /// Which these may be.
    ahead: Ahead,
    /// Whether anything has been read since a request was sent.
    has_read: bool,
    answered: u64,
    report: LoadReport,
}

impl<'a> Load<'a> {
    /// Logs all sessions on.
    ///
    /// # Errors
    /// [`LoadError::LogOn`].
    ///
    /// # Panics
    /// When there is no comp id.
    pub fn log_on(options: &'a LoadOptions) -> Result<Self, LoadError> {
        let LoadOptions { address, comp_ids, venue, access, .. } = options;
        assert!(!comp_ids.is_empty(), "somebody has to send the flow");
        let log_on =
            |comp_id: &String| Client::log_on(*address, comp_id, venue, access, SESSION_ANSWER_MAX);
        let clients = comp_ids.iter().map(log_on).collect::<Result<_, _>>();
        Ok(Self {
            clients: clients.map_err(LoadError::LogOn)?,
            options,
            requests: Requests::default(),
            start: 0,
            numbered_before: 0,
            took_before: 0,
            warm_up_to: 0,
            intended: Vec::new(),
            held: VecDeque::new(),
            ahead: Ahead::of(options.pace),
            has_read: false,
            answered: 0,
            report: LoadReport::new(),
        })
    }

    /// Waits until the venue has answered each session, so that it is awake for what is sent next: a thread that sleeps
    /// takes long to wake up, and where its processor was idle a host may take tens of milliseconds.
    ///
    /// # Errors
    /// As for [`Load::send`].
    pub fn wake_venue(&mut self) -> Result<(), ClientError> {
        let begun = SystemClock.now().0;
        self.clients.iter_mut().try_for_each(|client| client.send_test_request(begun))?;
        while self.clients.iter().any(Client::awaits_heartbeat) {
            self.clients.iter_mut().try_for_each(Client::flush)?;
            self.receive().map_err(|reason| self.last_words(reason))?;
            if SystemClock.now().0 - begun > self.options.silence_max.as_nanos() as u64 {
                return Err(ClientError::Timeout(self.options.silence_max));
            }
        }
        Ok(())
    }

    /// Sends a flow, whose time begins now, and waits for all answers. Its first `warm_up` requests count, but
    /// their latencies are not recorded: where the venue slept, or the caches hold something else, they say how
    /// long waking up takes. `progress` hears now and then how many requests are sent, of all flows together.
    ///
    /// # Errors
    /// [`ClientError`] when the venue stops answering, or a connection ends: see [`Load::stopped`].
    pub fn send(
        &mut self,
        flow: impl Iterator<Item = FlowEvent>,
        warm_up: u64,
        progress: impl FnMut(u64),
    ) -> Result<(), ClientError> {
        self.send_from(SystemClock.now().0, flow, warm_up, progress)
    }

    /// The same, with all of the flow encoded before its time begins, and its answers decoded when it is over,
    /// where requests are so far apart that they would be encoded by blocks. There are no first requests of a
    /// block then, which take longer: there would be more than one in a hundred.
    ///
    /// # Errors
    /// As for [`Load::send`].
    ///
    /// # Panics
    /// When such a flow takes [`LoadOptions::silence_max`] or longer: as nothing is decoded meanwhile, the venue would
    /// seem to be silent.
    pub fn send_encoded(
        &mut self,
        flow: impl Iterator<Item = FlowEvent>,
        warm_up: u64,
        progress: impl FnMut(u64),
    ) -> Result<(), ClientError> {
        let block = self.ahead;
        let rate = match self.options.pace {
            Pace::PerSecond(rate) if block.is_block() => rate,
            _ => return self.send(flow, warm_up, progress),
        };
        let flow: Vec<_> = flow.collect();
        let (takes, silence_max) = (flow.len() as f64 / rate, self.options.silence_max);
        assert!(
            takes < silence_max.as_secs_f64(),
            "{takes} s without a word, {silence_max:?} at the most"
        );
        self.clients.iter_mut().for_each(|client| client.make_room(flow.len() * ANSWERS_BYTES));
        // At least two, as with a block.
        self.ahead = Ahead { requests: flow.len().max(2), ns: u64::MAX };
        let start = SystemClock.now().0 + flow.len() as u64 * ENCODING_NS_MAX;
        let ended = self.send_from(start, flow.into_iter(), warm_up, progress);
        self.ahead = block;
        ended
    }

    /// Sends a flow whose time begins at `start`, ns since 1970.
    fn send_from(
        &mut self,
        start: u64,
        flow: impl Iterator<Item = FlowEvent>,
        warm_up: u64,
        mut progress: impl FnMut(u64),
    ) -> Result<(), ClientError> {
        self.start = start;
        self.numbered_before = self.intended.len() as u64;
        self.warm_up_to = self.numbered_before + warm_up;
        let ended = self.send_all(flow, &mut progress).map_err(|reason| self.last_words(reason));
        self.took_before += SystemClock.now().0.saturating_sub(start);
        self.report.duration = Duration::from_nanos(self.took_before);
        self.report.unanswered = self.waiting();
        progress(self.report.requests());
        ended
    }

    /// The latencies recorded since this was asked last, which the report will not have.
    pub fn take_latency(&mut self) -> Histogram<u64> {
        std::mem::replace(&mut self.report.latency, latency_histogram())
    }

    /// Takes what was read of a block and not decoded yet, before the load ends. The reason for which it ends is
    /// the venue's, where that has said one.
    fn last_words(&mut self, reason: ClientError) -> ClientError {
        match (reason, self.decode(|_| true)) {
            (ClientError::Broken(_), Err(ended @ ClientError::Ended { .. })) => ended,
            (reason, _) => reason,
        }
    }

    /// Logs out, and says what came of all flows.
    ///
    /// # Errors
    /// [`LoadError::Stopped`] when a session does not end in order.
    pub fn log_out(self) -> Result<LoadReport, LoadError> {
        let Self { clients, report, .. } = self;
        match clients.into_iter().try_for_each(|client| client.log_out(SESSION_ANSWER_MAX)) {
            Ok(()) => Ok(report),
            Err(reason) => Err(LoadError::Stopped { report: Box::new(report), reason }),
        }
    }

    /// What came of all flows up to where one of them stopped.
    pub fn stopped(self, reason: ClientError) -> LoadError {
        LoadError::Stopped { report: Box::new(self.report), reason }
    }

    /// Sends a flow, and waits until all of it is answered.
    fn send_all(
        &mut self,
        flow: impl Iterator<Item = FlowEvent>,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), ClientError> {
        let silence_max = self.options.silence_max;
        let mut flow = flow.peekable();
        let mut last_report = self.start;
        let mut steps = 0_u64;
        loop {
            let now = SystemClock.now().0;
            self.send_due(&mut flow, now)?;
            let reports = self.report.reports;
            self.receive()?;
            steps += 1;
            if steps.is_multiple_of(STEPS_PER_PROGRESS) {
                progress(self.report.requests());
                self.clients.iter_mut().try_for_each(|client| client.keep_alive(now))?;
            }
            let is_waiting = self.waiting() > 0 || !self.held.is_empty();
            if !is_waiting || self.report.reports > reports {
                last_report = now;
            } else if now.saturating_sub(last_report) > silence_max.as_nanos() as u64 {
                return Err(ClientError::Timeout(silence_max));
            }
            let is_sent = |client: &Client| client.queued_bytes() == 0;
            if !is_waiting && flow.peek().is_none() && self.clients.iter().all(is_sent) {
                return Ok(());
            }
        }
    }

    /// Sends what is due, and encodes what is due soon.
    #[inline]
    fn send_due(
        &mut self,
        flow: &mut std::iter::Peekable<impl Iterator<Item = FlowEvent>>,
        now: u64,
    ) -> Result<(), ClientError> {
        // What is due goes out before anything else is encoded.
        if !self.release_due(now) && self.held.is_empty() {
            self.encode_due(flow, now);
        }
        self.clients.iter_mut().try_for_each(Client::flush)
    }

    /// Lets requests go that are due, and says whether there are any.
    #[inline]
    fn release_due(&mut self, now: u64) -> bool {
        let held = self.held.len();
        while let Some(&Held { client, action, end, .. }) =
            self.held.front().filter(|held| held.due <= now)
        {
            self.held.pop_front();
            self.clients[client].release_to(end);
            self.count(action);
            if self.held.is_empty() {
                self.clients.iter_mut().for_each(Client::release);
            }
        }
        self.held.len() < held
    }

    /// Encodes what is due, and holds back what is due soon.
    fn encode_due(
        &mut self,
        flow: &mut std::iter::Peekable<impl Iterator<Item = FlowEvent>>,
        now: u64,
    ) {
        let mut is_any_late = false;
        while let Some(event) = flow.peek() {
            let client = self.client_of(event);
            let is_full =
                self.held.is_empty() && self.clients[client].queued_bytes() >= QUEUED_BYTES_MAX;
            if is_full || self.held.len() >= self.ahead.requests {
                break;
            }
            let number = self.intended.len() as u64 - self.numbered_before;
            let intended = match self.options.pace {
                Pace::Unlimited if self.waiting() >= self.options.in_flight_max => break,
                Pace::Unlimited => now,
                Pace::PerSecond(rate) => self.start + (number as f64 * 1e9 / rate) as u64,
                Pace::Recorded(speed) => self.start + (event.at_ns as f64 / speed) as u64,
            };
            let is_late = intended <= now;
            if intended > now.saturating_add(self.ahead.ns)
                || (!is_late && is_any_late)
                || self.is_too_early_for_a_block(intended, now)
            {
                break;
            }
            is_any_late |= is_late;
            self.intended.push(intended);
            let event = *event;
            flow.next();
            if is_late {
                self.queue(&event, client, now);
                self.count(event.action);
            } else {
                self.clients[client].hold();
                self.queue(&event, client, intended);
                let (action, end) = (event.action, self.clients[client].position());
                self.held.push_back(Held { client, action, due: intended, end });
            }
        }
    }

    /// Whether a block has to wait: nothing has come back since a request was sent, and its own first one is not
    /// due soon.
    fn is_too_early_for_a_block(&self, due: u64, now: u64) -> bool {
        self.ahead.is_block()
            && self.held.is_empty()
            && self.waiting() > 0
            && !self.has_read
            && due > now + BLOCK_LATEST_NS
    }

    /// Requests that wait for their answers, as far as these are decoded.
    #[inline]
    fn waiting(&self) -> u64 {
        self.report.requests() - self.answered
    }

    #[inline]
    fn count(&mut self, action: FlowAction) {
        self.has_read = false;
        let report = &mut self.report;
        match action {
            FlowAction::New { .. } => report.orders += 1,
            FlowAction::Replace { .. } => report.replaces += 1,
            FlowAction::Cancel => report.cancels += 1,
        }
    }

    #[inline]
    fn client_of(&self, event: &FlowEvent) -> usize {
        event.client as usize % self.clients.len()
    }

    #[inline]
    fn queue(&mut self, event: &FlowEvent, client: usize, now: u64) {
        let client = &mut self.clients[client];
        let (number, named) = self.requests.number(event);
        let prefix = self.options.prefix.as_bytes();
        let (id, orig) = (RequestId::new(prefix, number), RequestId::new(prefix, named));
        let symbols = &self.options.symbols;
        let symbol = symbols[event.instrument as usize % symbols.len()].as_bytes();
        let side = if event.side == ironbook_engine::Side::Buy { Side::Buy } else { Side::Sell };
        let order = |ord_type, time_in_force, price, order_qty| {
            let (qty, price) = (decimal(order_qty), decimal(price));
            let limit = NewOrderSingle::limit(id.as_bytes(), symbol, side, qty, price, now);
            NewOrderSingle { ord_type, time_in_force, ..limit }
        };
        match event.action {
            FlowAction::New { ord_type, time_in_force, price, order_qty } => {
                let ord_type = match ord_type {
                    ironbook_engine::OrdType::Market => OrdType::Market,
                    ironbook_engine::OrdType::Limit => OrdType::Limit,
                };
                let time_in_force = match time_in_force {
                    ironbook_engine::TimeInForce::Day => TimeInForce::Day,
                    ironbook_engine::TimeInForce::Gtc => TimeInForce::GoodTillCancel,
                    ironbook_engine::TimeInForce::Ioc => TimeInForce::ImmediateOrCancel,
                    ironbook_engine::TimeInForce::Fok => TimeInForce::FillOrKill,
                };
                client.queue(&order(ord_type, time_in_force, price, order_qty), now);
            }
            FlowAction::Replace { price, order_qty } => {
                let order = order(OrdType::Limit, TimeInForce::Day, price, order_qty);
                let orig_cl_ord_id = orig.as_bytes();
                let request = OrderCancelReplaceRequest { orig_cl_ord_id, order_id: None, order };
                client.queue(&request, now);
            }
            FlowAction::Cancel => {
                let request = OrderCancelRequest {
                    cl_ord_id: id.as_bytes(),
                    orig_cl_ord_id: orig.as_bytes(),
                    order_id: None,
                    account: None,
                    symbol,
                    side,
                    order_qty: None,
                    partial: false,
                    transact_time_ns: now,
                };
                client.queue(&request, now);
            }
        }
    }

    /// Reads what came. Answers to a block are decoded when something has come after the last of it was sent.
    #[inline]
    fn receive(&mut self) -> Result<(), ClientError> {
        for client in &mut self.clients {
            self.has_read |= client.read()? > 0;
        }
        let is_time = self.is_time_to_decode();
        self.decode(|client| is_time || client.must_decode())
    }

    /// Whether nothing is waited for that decoding would hold up.
    #[inline]
    fn is_time_to_decode(&self) -> bool {
        !self.ahead.is_block() || (self.held.is_empty() && self.has_read)
    }

    /// Takes what was read by those that it is time for.
    #[inline]
    fn decode(&mut self, is_time: impl Fn(&Client) -> bool) -> Result<(), ClientError> {
        let Self { clients, options, intended, answered, report, .. } = self;
        let (start, before, warm_up_to) = (self.start, self.took_before, self.warm_up_to);
        let prefix = options.prefix.as_bytes();
        let mut on_message = |message: &Message<'_>, now: u64| {
            report.reports += 1;
            count_outcome(message, report);
            let Some(number) = request_of(message, prefix) else { return };
            let place = intended.get_mut((number as usize).wrapping_sub(1));
            let Some(place) = place.filter(|place| **place != 0) else { return };
            if number > warm_up_to {
                let latency = now.saturating_sub(*place).clamp(1, LATENCY_MAX_NS);
                report.record(before + place.saturating_sub(start), latency);
            }
            *place = 0;
            *answered += 1;
        };
        let mut ended = Ok(());
        for client in clients.iter_mut().filter(|client| client.has_read() && is_time(client)) {
            ended = ended.and(client.decode(&mut on_message));
        }
        ended
    }
}

fn decimal((mantissa, scale): Scaled) -> Decimal {
    Decimal::new(mantissa, scale)
}

/// Number of the request that a message answers: by ClOrdID, or by the reference of a reject.
#[inline]
fn request_of(message: &Message<'_>, prefix: &[u8]) -> Option<u64> {
    let id = message.get(11).or_else(|| message.get(379))?;
    parse_u64(id.strip_prefix(prefix)?).ok()
}

fn count_outcome(message: &Message<'_>, report: &mut LoadReport) {
    let refused = match message.msg_type() {
        Some(MsgType::EXECUTION_REPORT) => match message.get(150) {
            Some(b"F") => {
                report.fills += 1;
                false
            }
            Some(b"8") => true,
            _ => false,
        },
        _ => true,
    };
    if refused {
        let text = String::from_utf8_lossy(message.get(58).unwrap_or(b"no reason given"));
        report.rejects.count(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        distance,
        flow::{Mix, Synthetic},
        workload::SCALES,
    };

    #[test]
    fn blocks_are_for_rates_that_leave_time_for_them() {
        let per_second = |rate| Ahead::of(Pace::PerSecond(rate)).requests;
        assert_eq!([0.5, 50.0, 100.0, 1_000.0].map(per_second), [1, 1, 2, 20]);
        assert_eq!([3_200.0, 10_000.0, 10_001.0, 1e6].map(per_second), [64, 64, 1, 1]);
        let one = Ahead { requests: 1, ns: ENCODED_AHEAD_NS };
        assert_eq!([Pace::Unlimited, Pace::Recorded(1.0)].map(Ahead::of), [one; 2]);
    }

    #[test]
    fn answers_to_a_block_wait_for_that_to_its_last_request() {
        let dir = tempfile::tempdir().unwrap();
        let venue = distance::venue(dir.path()).expect("a venue");
        let options = LoadOptions::new(venue.address(), Pace::PerSecond(1_000.0), "block-");
        let mut load = Load::log_on(&options).expect("a session");
        load.ahead = Ahead { requests: 3, ns: u64::MAX };
        let flow = Synthetic::new(1, 1, Mix::default(), SCALES);
        // Long before any of them is due.
        load.start = SystemClock.now().0 + 60_000_000_000;
        load.encode_due(&mut flow.take(9).peekable(), load.start - 59_000_000_000);
        let due: Vec<_> = load.held.iter().map(|held| held.due).collect();
        assert_eq!(due.len(), 3, "so many as there may be");
        for now in due {
            assert!(load.release_due(now));
            load.clients[0].flush().expect("a connection");
            assert!(!load.is_time_to_decode(), "nothing came back since");
            while !load.has_read {
                load.has_read |= load.clients[0].read().expect("a connection") > 0;
            }
            assert_eq!(load.is_time_to_decode(), load.held.is_empty());
        }
        while load.waiting() > 0 {
            load.receive().expect("answers");
        }
        assert_eq!(load.answered, 3);
        load.log_out().expect("it ends in order");
        venue.stop().expect("it ends in order");
    }
}
