//! The sessions of a gateway: what a message asks for goes into the ring, what the journal says
//! goes out.
//!
//! ```text
//! message -> fix::Session -> command -> ring            (handle_message)
//!                 \-> request (Logon, Heartbeat, Reject ...) -> ring
//! journal frame -> number of the session -> message     (deliver)
//! ```
//!
//! Nothing is sent that the journal does not hold, so a MsgSeqNum is the same before and after a
//! restart, and a resend reads the journal.

use std::{
    collections::{HashMap, VecDeque},
    error::Error,
    mem,
    net::IpAddr,
    sync::Arc,
};

use ironbook_engine::{
    Event, Sequence, SessionId, Timestamp,
    command::{CancelOnDisconnect, Origin},
    domain::DisconnectCause,
    engine::InstrumentView,
    event::{SessionTripped, StatusChanged},
    record::Record,
};
use ironbook_fix::{
    codec::SOH,
    encode::Body,
    field::{Decimal, MsgSeqNum, Precision, TimestampText, write_u64},
    message::{BusinessReject, BusinessRejectReason, Fields, Message, MsgType, Refusal},
    reference::{
        self, ReferenceRequest, SecurityList, SecurityStatus, SecurityStatusRequest,
        SubscriptionRequestType,
    },
    report::ReportMessage,
    session::{
        DisconnectReason, Handled, Output, Role, Session, SessionConfig as FixSessionConfig, State,
    },
    version::{ApplVerId, Version},
};
use ironbook_journal::{Frame, Position, ReadError, Reader};

use crate::{
    absence::{self, Absence, Step},
    acceptor::{Outputs, Sessions},
    admission::{self, NotAdmitted},
    config::{Config, ConfigError, GATEWAYS_MAX, Login, SessionConfig},
    counters::PortCounters,
    credentials::Claim,
    dealing::Hand,
    network::Security,
    rights::Rights,
    ring::{Input, InputSender},
    schedule::{Hours, Phase},
    security_lists::SecurityLists,
    session_record::{Copies, SessionRecord, VENUE_STOPS},
    sessions::{Audience, Presence, SessionTable},
    symbols::SymbolTable,
    throttle::{Bucket, Throttle},
    translate::{self, MessageVisitor, Unserved, Unsupported},
};

/// Inputs that one message, or one timeout, can bring about at the most: a reset by schedule and one by the
/// Logon, a command, one for each output of the session, and what an earlier connection of the session left
/// to be told.
pub const INPUTS_PER_TURN: usize = 3 + ironbook_fix::session::OUTPUTS_MAX + absence::STEPS_MAX;

/// Sessions that one look is at: a thousand of them are looked at once in eight milliseconds.
const SESSIONS_PER_LOOK: usize = 128;

/// ResendRequests of one session that may wait, that in progress included; one more joins the last.
const RESENDS_MAX: usize = 8;
const _: () = assert!(RESENDS_MAX > 1, "that in progress is joined by none");

/// Messages of lists that one session gets in one turn, so that others get their turn.
const LIST_MESSAGES_PER_TURN: usize = 4;

/// The place of a session that this gateway does not have.
const NOWHERE: u32 = u32::MAX;

/// A session as the venue knows it.
#[derive(Clone, Debug)]
pub struct SessionSetup {
    /// Its number.
    pub id: SessionId,
    /// Its configuration.
    pub config: SessionConfig,
}

/// A session and where it stands.
#[derive(Debug)]
struct Slot {
    setup: SessionSetup,
    /// What a Logon has to prove.
    login: Option<Login>,
    rights: Rights,
    throttle: Throttle,
    fix: Session,
    /// The connection that the session is bound to.
    connection: Option<usize>,
    /// Whether the journal has passed the answer to this connection's Logon: what the journal says
    /// from there on goes to this connection.
    live: bool,
    /// Requested messages that are in the ring or the journal ahead.
    sends_ahead: u32,
    /// Those of them that earlier connections requested: they go to nobody.
    stale_ahead: u32,
    /// Set when the connection ends once everything requested is out.
    closing: Option<DisconnectReason>,
    /// MsgSeqNum expected next, as it was last put into the ring.
    told_next_in: u64,
    /// Resets of its numbers that are in the ring or the journal ahead.
    resets_ahead: u32,
    /// Its schedule, by place.
    hours: Option<usize>,
    /// Its numbers are those of the period that began then, or of a later one.
    period: Timestamp,
    /// What becomes of its orders without a connection.
    absence: Absence,
    /// Lists of securities that it is to be sent.
    lists: SecurityLists,
    resends: VecDeque<Resend>,
    /// It stands in the queue of those that messages are sent again to.
    is_resending: bool,
    /// From where on messages are sent again when the answer to the Logon is out.
    resend_through_logon: Option<u64>,
    /// Whether headers say what has been processed.
    tells_processed: bool,
}

/// A range of messages to be sent again.
#[derive(Clone, Debug)]
struct Resend {
    /// The next message to send.
    next: u64,
    /// The last one.
    end: u64,
    /// Where to read on.
    at: Option<ResendAt>,
    /// First of a run of messages that are not sent again but filled as a gap.
    gap_from: Option<u64>,
}

impl Resend {
    fn new(next: u64, end: u64) -> Self {
        Self { next, end, at: None, gap_from: None }
    }
}

/// A place in the journal from which a resend reads on.
#[derive(Clone, Debug)]
struct ResendAt {
    position: Position,
    /// Number of the first outbound message from there on.
    number: u64,
    /// What the session got copies of there; a record of its role changes that on the way.
    copies: Copies,
}

/// A session of another gateway, as far as it is known where connections are taken.
#[derive(Debug)]
struct Elsewhere {
    config: SessionConfig,
    /// What a Logon has to prove.
    login: Option<Login>,
    /// The number of its gateway.
    gateway: usize,
}

/// All sessions of a gateway.
pub struct Desk {
    slots: Vec<Slot>,
    /// Place in `slots` by session id; `NOWHERE` for sessions of others.
    places: Vec<u32>,
    /// Sessions of other gateways that are logged on to here first. Their indices follow those of `slots`.
    elsewhere: Vec<Elsewhere>,
    table: SessionTable,
    inputs: InputSender,
    symbols: SymbolTable,
    /// Schedules of sessions, each once.
    hours: Vec<Hours>,
    /// All instruments by id, as far as the journal was delivered.
    instruments: Vec<InstrumentView>,
    /// What firms may send that have a bound, in the order of the configuration.
    firms: Vec<Bucket>,
    resend_reader: Reader,
    resend_per_turn: u32,
    /// Sessions that messages are sent again to, in turn.
    resending: VecDeque<usize>,
    /// The session that the next look begins with.
    next_look: usize,
    text: TimestampText,
    answer_ids: AnswerIds,
    /// The venue stops.
    stopping: bool,
    /// What it keeps count of.
    counters: Arc<PortCounters>,
}

/// Makes ids of answers that are no events: the time, or the number after that of the last one in the same turn,
/// makes one unique in its gateway; the letter tells it from those of events and of other gateways.
pub(crate) struct AnswerIds {
    letter: u8,
    /// Number in the last one.
    last: u64,
}

/// The id of an answer that is no event.
pub(crate) struct AnswerId {
    text: [u8; 21],
    length: usize,
}

/// Letter of the ids of the first gateway; the others have those behind it.
const ANSWER_LETTER: u8 = b'G';
const _: () = assert!(ANSWER_LETTER as usize + GATEWAYS_MAX <= b'Z' as usize + 1);

impl AnswerIds {
    /// Those of a gateway.
    pub(crate) fn of(gateway: usize) -> Self {
        Self { letter: ANSWER_LETTER + gateway as u8, last: 0 }
    }

    /// The next one.
    pub(crate) fn next(&mut self, now: Timestamp) -> AnswerId {
        self.last = now.0.max(self.last + 1);
        let mut text = [self.letter; 21];
        let length = 1 + write_u64(&mut text[1..], self.last);
        AnswerId { text, length }
    }
}

impl AnswerId {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

impl Desk {
    /// The sessions that a gateway is dealt, as the journal left them; `now` is when the venue starts.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for a session that can't be as it is configured.
    pub fn new(
        config: &Config,
        hand: Hand,
        table: SessionTable,
        inputs: InputSender,
        instruments: Vec<InstrumentView>,
        mut resend_reader: Reader,
        now: Timestamp,
    ) -> Result<Self, ConfigError> {
        resend_reader.set_verify(false);
        Version::prepare();
        let named = |known: &InstrumentView| (known.definition.symbol, known.definition.instrument);
        let symbols = SymbolTable::from_iter(instruments.iter().map(named));
        let firms = config.throttled_firms()?;
        let (hours, hours_of) = hours(config, &hand.sessions, now)?;
        let mut places = Vec::new();
        for (setup, place) in hand.sessions.iter().zip(0..) {
            let id = setup.id.0 as usize;
            places.resize(places.len().max(id + 1), NOWHERE);
            places[id] = place;
        }
        let elsewhere = hand.elsewhere.into_iter().map(|(setup, gateway)| {
            let login = setup.config.login()?;
            Ok(Elsewhere { config: setup.config, login, gateway })
        });
        let elsewhere = elsewhere.collect::<Result<_, ConfigError>>()?;
        let slots = hand.sessions.into_iter().zip(hours_of).map(|(setup, hours)| {
            let own = setup.config.throttle()?;
            let is_its = |(name, _): &(&str, _)| setup.config.firm.as_deref() == Some(name);
            let throttle = Throttle::new(own, firms.iter().position(is_its));
            let slot = Slot::new(config, setup, (&table, &symbols), throttle, now)?;
            Ok(Slot { hours, ..slot })
        });
        Ok(Self {
            slots: slots.collect::<Result<_, _>>()?,
            places,
            elsewhere,
            table,
            inputs,
            symbols,
            hours,
            instruments,
            firms: firms.into_iter().map(|(_, terms)| Bucket::new(terms)).collect(),
            resend_reader,
            resend_per_turn: config.fix.resend_messages_per_turn,
            resending: VecDeque::new(),
            next_look: 0,
            text: TimestampText::new(Precision::Millis),
            answer_ids: AnswerIds::of(hand.gateway),
            stopping: false,
            counters: Arc::default(),
        })
    }

    /// Keeps count here.
    pub fn count_with(&mut self, counters: Arc<PortCounters>) {
        self.counters = counters;
    }

    fn put(&mut self, input: Input) {
        self.inputs.push(input);
    }

    /// Hands the core what messages have brought about.
    #[inline]
    pub fn flush(&mut self) {
        self.inputs.flush();
    }

    /// Takes what came past a gap that is filled now, as far as the ring has room.
    #[inline]
    fn release_held(&mut self, index: usize, now: Timestamp) -> usize {
        let (mut held, mut done) = (Vec::new(), 0);
        let before = self.slots[index].fix.next_in();
        while self.has_room() && self.slots[index].fix.release_held(&mut held) {
            self.take_held(index, &held, now);
            done += 1;
        }
        if self.slots[index].fix.next_in() != before {
            // A number without a message may have been passed last.
            self.drain(index);
        }
        done
    }

    /// A message that came past a gap, now that the gap is filled.
    #[cold]
    fn take_held(&mut self, index: usize, bytes: &[u8], now: Timestamp) {
        let mut fields = Fields::new();
        if let Ok(message) = Message::parse(bytes, &mut fields) {
            self.take(index, &message, now);
        }
    }

    #[inline]
    fn take(&mut self, index: usize, message: &Message<'_>, now: Timestamp) {
        if let Handled::Application(msg_seq_num) =
            self.slots[index].fix.handle_message(now.0, message)
        {
            self.take_application(index, message, msg_seq_num, now);
        }
        self.drain(index);
    }

    #[inline]
    fn take_application(
        &mut self,
        index: usize,
        message: &Message<'_>,
        msg_seq_num: MsgSeqNum,
        now: Timestamp,
    ) {
        if let Some(request) = ReferenceRequest::parse(message) {
            self.answer_reference(index, message, request, now);
            return;
        }
        let slot = &mut self.slots[index];
        let origin = Origin::new(slot.setup.id, msg_seq_num.get(), now);
        let version = slot.fix.application_version();
        let unserved = if slot.setup.config.read_only {
            Box::new(Unserved::Message(not_authorized(message)))
        } else if version != slot.fix.version().application
            && let Some(refusal) = unanswerable(message, slot.fix.version())
        {
            Box::new(Unserved::Message(refusal))
        } else {
            let admit = || slot.throttle.admit(&mut self.firms, now);
            match translate::command(message, version, origin, &self.symbols, &slot.rights, admit) {
                Ok(command) => {
                    slot.told_next_in = msg_seq_num.get() + 1;
                    self.put(Input::Command(command));
                    return;
                }
                Err(unserved) => unserved,
            }
        };
        self.refuse(index, message, &unserved, now);
    }

    /// Answers a question about instruments, which any session may ask.
    #[cold]
    fn answer_reference(
        &mut self,
        index: usize,
        message: &Message<'_>,
        request: Result<ReferenceRequest<'_>, Refusal<'_>>,
        now: Timestamp,
    ) {
        let spoken = unanswerable(message, self.slots[index].fix.version());
        let request = match (request, spoken) {
            (Ok(request), None) => request,
            (Err(refusal), _) | (Ok(_), Some(refusal)) => {
                return self.refuse_message(index, message, &refusal, now);
            }
        };
        let known = |symbol| {
            let place = self.symbols.named(symbol)?.0 as usize - 1;
            (place < self.instruments.len()).then_some(place)
        };
        match request {
            ReferenceRequest::Status(request)
                if request.request_type != SubscriptionRequestType::Snapshot =>
            {
                self.refuse_message(index, message, &request.no_updates(), now);
            }
            ReferenceRequest::Status(SecurityStatusRequest { req_id, symbol, .. }) => {
                let instrument = known(symbol).map(|place| &self.instruments[place]);
                let status = translate::trading_status(instrument);
                self.send_reference(index, &SecurityStatus { req_id, symbol, status });
            }
            ReferenceRequest::List(request) => {
                let id = self.answer_ids.next(now);
                let lists = &mut self.slots[index].lists;
                let asked = lists.ask(&request, id.as_bytes(), self.instruments.len(), known);
                if let Err(refused) = asked {
                    self.counters.unserved.add(1);
                    self.send_reference(index, &refused);
                }
            }
        }
    }

    /// Puts an answer about instruments into the ring.
    fn send_reference<B: Body>(&mut self, index: usize, answer: &B) {
        let body = encode_reference(answer, &mut self.text);
        self.send(index, B::MSG_TYPE, &body);
    }

    /// Goes on with the lists of securities that a session waits for, as far as the ring has room.
    #[cold]
    fn send_lists_of(&mut self, index: usize) -> usize {
        let mut sent = 0;
        while sent < LIST_MESSAGES_PER_TURN
            && self.has_room()
            && !self.slots[index].lists.is_empty()
        {
            let mut body = Vec::new();
            let security = |place: usize| translate::security(&self.instruments[place]);
            let encode = |list: &SecurityList<'_>| body = encode_reference(list, &mut self.text);
            self.slots[index].lists.send_next(security, encode);
            self.send(index, MsgType::SECURITY_LIST, &body);
            sent += 1;
        }
        sent
    }

    /// Answers a message that is no request of this venue, or of this session.
    #[cold]
    fn refuse_message(
        &mut self,
        index: usize,
        message: &Message<'_>,
        refusal: &Refusal<'_>,
        now: Timestamp,
    ) {
        self.counters.unserved.add(1);
        self.slots[index].fix.refuse(now.0, message, refusal);
    }

    /// Answers a request that the engine has no words for.
    #[cold]
    fn refuse(
        &mut self,
        index: usize,
        message: &Message<'_>,
        unserved: &Unserved<'_>,
        now: Timestamp,
    ) {
        if let Unserved::Message(refusal) = unserved {
            return self.refuse_message(index, message, refusal, now);
        }
        let throttled = matches!(
            unserved,
            Unserved::Order(_, Unsupported::Throttled(_))
                | Unserved::Replace(_, Unsupported::Throttled(_))
        );
        let count = if throttled { &self.counters.throttled } else { &self.counters.unserved };
        count.add(1);
        let id = self.answer_ids.next(now);
        let id = id.as_bytes();
        let (mut body, text) = (Vec::new(), &mut self.text);
        let msg_type = match unserved {
            Unserved::Order(order, unsupported) => {
                let ids = (id, &unsupported.text());
                encode(
                    &translate::unsupported_order(order, *unsupported, ids, now),
                    &mut body,
                    text,
                )
            }
            Unserved::Replace(request, unsupported) => {
                let why = unsupported.text();
                encode(&translate::unsupported_replace(request, &why, now), &mut body, text)
            }
            Unserved::Cancel(request, unsupported) => {
                let why = unsupported.text();
                encode(&translate::unsupported_cancel(request, &why, now), &mut body, text)
            }
            Unserved::MassCancel(request) => {
                encode(&translate::unsupported_mass_cancel(request, id, now), &mut body, text)
            }
            Unserved::Message(_) => return,
        };
        self.send(index, msg_type, &body);
    }

    /// Does what a session wants done.
    #[inline]
    fn drain(&mut self, index: usize) {
        while let Some(output) = self.slots[index].fix.poll() {
            self.carry_out(index, output);
        }
        let slot = &mut self.slots[index];
        let next = slot.fix.next_in().get();
        if next != slot.told_next_in {
            slot.told_next_in = next;
            let session = slot.setup.id;
            self.put(Input::Session(Box::new(SessionRecord::Inbound { session, next })));
        }
    }

    fn carry_out(&mut self, index: usize, output: Output) {
        let slot = &mut self.slots[index];
        match output {
            Output::Send(request) => self.send(index, request.msg_type(), request.body()),
            Output::ResetSequence => {
                slot.told_next_in = 1;
                slot.resends.clear();
                slot.resend_through_logon = None;
                slot.resets_ahead += 1;
                let session = slot.setup.id;
                self.put(Input::Session(Box::new(SessionRecord::Reset { session })));
            }
            // Numbers that begin anew have nothing yet to be sent again, and `end` is one of those before.
            Output::Resend { .. } if slot.resets_ahead > 0 => {}
            Output::Resend { begin, end } => {
                let mut resend = Resend::new(begin.get(), end.get());
                if resend.next > resend.end {
                    return;
                }
                if slot.resends.len() >= RESENDS_MAX
                    && let Some(last) = slot.resends.pop_back()
                {
                    resend = Resend::new(last.next.min(resend.next), last.end.max(resend.end));
                }
                slot.resends.push_back(resend);
                self.take_turns(index);
            }
            Output::ResendThroughLogon { begin } => slot.resend_through_logon = Some(begin.get()),
            Output::LoggedOn => {
                slot.absence.handle_logged_on();
                log::info!("{} logged on, {}", slot.setup.config.comp_id, slot.fix.version());
            }
            Output::LoggedOut => {
                slot.ask_no_more();
                log::info!("{} logged out", slot.setup.config.comp_id);
            }
            Output::Disconnect(reason) => {
                slot.ask_no_more();
                slot.closing = Some(reason);
            }
        }
    }

    /// Puts a message that is no report of an event into the ring; it goes out when the journal
    /// has it.
    fn send(&mut self, index: usize, msg_type: MsgType, body: &[u8]) {
        let slot = &mut self.slots[index];
        slot.sends_ahead += 1;
        let record = SessionRecord::Outbound {
            session: slot.setup.id,
            msg_type: msg_type.text().as_ref().to_vec(),
            body: body.to_vec(),
        };
        self.put(Input::Session(Box::new(record)));
    }

    /// Journals what is due of a session that lost its connection, as far as the ring has room.
    fn journal_absence(&mut self, index: usize, now: Timestamp) -> usize {
        let mut done = 0;
        while self.inputs.room() >= absence::STEPS_MAX
            && let Some(step) = self.slots[index].absence.poll(now)
        {
            let session = self.slots[index].setup.id;
            self.put(match step {
                Step::Tell(cause) => {
                    Input::Session(Box::new(SessionRecord::Lost { session, cause }))
                }
                Step::Cancel(cause, scope) => {
                    let comp_id = &self.slots[index].setup.config.comp_id;
                    log::info!("{comp_id}: its orders are canceled, cause {cause:?}");
                    Input::Command(CancelOnDisconnect::new(session, now, cause, scope).into())
                }
            });
            done += 1;
        }
        done
    }

    /// Looks after some sessions, in turn: their hours, heartbeats, test requests and timeouts, what is due of
    /// those that are gone, what they hold, and lists of securities, where no more than `waiting_max` bytes wait
    /// to be read. A look takes no longer with ten thousand sessions than with `SESSIONS_PER_LOOK`.
    pub fn look_after(
        &mut self,
        outputs: &impl Outputs,
        now: Timestamp,
        waiting_max: usize,
    ) -> usize {
        let mut done = 0;
        self.counters.resending.set(self.resending.len() as u64);
        for _ in 0..self.slots.len().min(SESSIONS_PER_LOOK) {
            let index = self.next_look;
            self.next_look = (index + 1) % self.slots.len();
            done += self.keep_hours_of(index, now);
            done += self.handle_timeouts_of(index, now);
            let slot = &self.slots[index];
            let reads = |number| outputs.waiting(number) <= waiting_max;
            if !slot.lists.is_empty() && slot.connection.is_some_and(reads) {
                done += self.send_lists_of(index);
            }
        }
        done
    }

    fn handle_timeouts_of(&mut self, index: usize, now: Timestamp) -> usize {
        let mut done = 0;
        let due = self.slots[index].fix.next_deadline().is_some_and(|due| due <= now.0);
        if due && self.has_room() {
            self.slots[index].fix.handle_timeout(now.0);
            self.drain(index);
            done += 1;
        }
        let absent = self.slots[index].absence.next_deadline();
        if absent.is_some_and(|due| due <= now) {
            done += self.journal_absence(index, now);
        }
        if self.slots[index].fix.holds_next() {
            done += self.release_held(index, now);
        }
        done
    }

    /// Does what the schedule of a session asks for, as far as the ring has room: it is logged out when its
    /// hours end or its numbers are to start anew, which they do when its connection is gone.
    fn keep_hours_of(&mut self, index: usize, now: Timestamp) -> usize {
        let Some(place) = self.slots[index].hours else { return 0 };
        let Phase { open, period, .. } = self.hours[place].at(now);
        let slot = &self.slots[index];
        let due = period.filter(|period| *period > slot.period);
        if (open && due.is_none()) || !self.has_room() {
            return 0;
        }
        let slot = &mut self.slots[index];
        if slot.connection.is_some() {
            if slot.fix.state() != State::LoggedOn {
                return 0;
            }
            slot.fix.logout(now.0, Some(&self.hours[place].reason()));
            self.drain(index);
        } else if let Some(period) = due {
            slot.period = period;
            slot.fix.reset_inbound();
            self.carry_out(index, Output::ResetSequence);
            log::info!("{}: its numbers start at 1 by schedule", self.comp_id(index));
        } else {
            return 0;
        }
        1
    }

    /// When the first of the timeouts is due, or an ending that waits for its last message, or what the
    /// ring had no room for; none when only a message can bring something about.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let due = |slot: &Slot| match slot.closing {
            Some(_) => Some(0),
            None if slot.fix.holds_next() || !slot.lists.is_empty() => Some(0),
            None => {
                let absent = slot.absence.next_deadline().map(|due| due.0);
                slot.fix.next_deadline().into_iter().chain(absent).min()
            }
        };
        let boundaries = self.hours.iter().map(|hours| hours.phase().until.0);
        self.slots.iter().filter_map(due).chain(boundaries).min().map(Timestamp)
    }

    /// Logs everybody out: the venue stops. Says whether nobody has a connection any more, and the core was
    /// told all that is due.
    pub fn logout_all(&mut self, now: Timestamp) -> bool {
        self.stopping = true;
        for index in 0..self.slots.len() {
            if self.slots[index].connection.is_some() && self.has_room() {
                self.slots[index].fix.logout(now.0, Some(VENUE_STOPS));
                self.drain(index);
            }
            self.journal_absence(index, now);
        }
        let is_done = |slot: &Slot| {
            let absent = slot.absence.next_deadline();
            slot.connection.is_none() && absent.is_none_or(|due| due > now)
        };
        self.slots.iter().all(is_done)
    }

    /// Sends what a frame of the journal has to say to sessions of this gateway; says whether anybody was told.
    #[inline]
    pub fn deliver(&mut self, frame: &Frame<'_>, outputs: &mut impl Outputs) -> bool {
        let Ok(audience) = self.table.fold(frame) else {
            log::error!("sequence {}: a frame that this program did not write", frame.sequence);
            return false;
        };
        match audience {
            Audience::Nobody => {
                self.pass(frame);
                false
            }
            Audience::Session(session) => self.deliver_to(session, frame, outputs),
            Audience::SessionAndCopies(session) => {
                let mut told = self.deliver_to(session, frame, outputs);
                for index in 0..self.table.drop_copies() {
                    if let Some(copy) = self.table.copy_to(index, session) {
                        told |= self.deliver_to(copy, frame, outputs);
                    }
                }
                told
            }
        }
    }

    /// What a frame without a message says: that the outbound numbers of a session start anew, what the
    /// status of an instrument is, or that a session is tripped.
    #[inline]
    fn pass(&mut self, frame: &Frame<'_>) {
        if frame.kind == StatusChanged::KIND
            && let Ok(Event::StatusChanged(changed)) = Event::decode(frame.kind, frame.payload)
            && let Some(known) = self.instruments.get_mut(changed.instrument.0 as usize - 1)
        {
            known.status = changed.status;
        }
        if frame.kind == SessionTripped::KIND
            && let Ok(Event::SessionTripped(trip)) = Event::decode(frame.kind, frame.payload)
        {
            self.warn_of(&trip, frame.sequence);
        }
        if !SessionRecord::is_kind(frame.kind) {
            return;
        }
        if let Some(SessionRecord::Reset { session }) =
            SessionRecord::decode(frame.kind, frame.payload)
            && let Some(index) = self.slot_of(session)
        {
            let slot = &mut self.slots[index];
            slot.fix.reset_outbound();
            slot.resets_ahead = slot.resets_ahead.saturating_sub(1);
        }
    }

    /// Says that a session is tripped, which somebody has to look at.
    #[cold]
    fn warn_of(&self, trip: &SessionTripped, sequence: u64) {
        // Only one gateway has it, and says so.
        let Some(index) = self.slot_of(trip.session) else { return };
        let comp_id = self.comp_id(index);
        let (limit, observed) =
            (Decimal::new(trip.limit, trip.scale), Decimal::new(trip.observed, trip.scale));
        log::warn!(
            "{comp_id}, sequence {sequence}, order {}: {}; {} orders are canceled",
            trip.order_id,
            translate::reject_text(trip.rule, limit, observed),
            trip.affected
        );
    }

    /// The place of a session, if it is one of this gateway.
    #[inline]
    fn slot_of(&self, session: SessionId) -> Option<usize> {
        let place = self.places.get(session.0 as usize).copied()?;
        (place != NOWHERE).then_some(place as usize)
    }

    #[inline]
    fn deliver_to(
        &mut self,
        session: SessionId,
        frame: &Frame<'_>,
        outputs: &mut impl Outputs,
    ) -> bool {
        let Some(index) = self.slot_of(session) else { return false };
        if SessionRecord::is_kind(frame.kind) {
            self.come_alive(index, frame);
        }
        let slot = &mut self.slots[index];
        if !slot.live || (slot.has_said_all() && !SessionRecord::is_kind(frame.kind)) {
            return false;
        }
        let Some(output) = slot.connection.and_then(|connection| outputs.output(connection)) else {
            return false;
        };
        let time = Timestamp(frame.time_ns);
        let version = slot.fix.version();
        if slot.tells_processed {
            note_processed(&mut slot.fix, &self.table, session);
        }
        visit(frame, &self.symbols, version, &mut Transmit { fix: &mut slot.fix, time, output });
        true
    }

    /// A requested message has come through the journal. The first one that this connection
    /// requested is the answer to its Logon, or the Logout that refuses it, and opens the way for
    /// everything behind it.
    fn come_alive(&mut self, index: usize, frame: &Frame<'_>) {
        if frame.kind != SessionRecord::OUTBOUND {
            return;
        }
        let slot = &mut self.slots[index];
        let numbers = self.table.get(slot.setup.id).map_or(1, |numbers| numbers.next_out);
        slot.sends_ahead = slot.sends_ahead.saturating_sub(1);
        if slot.stale_ahead > 0 {
            slot.stale_ahead -= 1;
        } else if slot.connection.is_some() {
            slot.live = true;
            // The answer to the Logon is message `numbers - 1`.
            if let Some(next) = slot.resend_through_logon.take()
                && next < numbers - 1
            {
                slot.resends.push_back(Resend::new(next, numbers - 1));
                self.take_turns(index);
            }
        }
        // The table has counted this message already.
        self.slots[index].fix.resume_outbound(MsgSeqNum::new(numbers - 1));
    }

    /// Sends messages again to one session that asked for them, a bounded number; then it is the turn of the
    /// next. So a turn takes as long for one resend as for a thousand, and nothing without one.
    pub fn resend(
        &mut self,
        outputs: &mut impl Outputs,
        now: Timestamp,
        waiting_max: usize,
    ) -> usize {
        for _ in 0..self.resending.len() {
            let index = self.resending.pop_front().expect("so many stand in it");
            self.slots[index].is_resending = false;
            let done = match self.slots[index].live {
                true => self.resend_turn(index, outputs, now, waiting_max),
                false => 0,
            };
            if !self.slots[index].resends.is_empty() {
                self.take_turns(index);
            }
            if done > 0 {
                return done;
            }
        }
        0
    }

    /// Puts a session into the queue of those that messages are sent again to, if it isn't there.
    fn take_turns(&mut self, index: usize) {
        if !mem::replace(&mut self.slots[index].is_resending, true) {
            self.resending.push_back(index);
        }
    }

    #[cold]
    fn resend_turn(
        &mut self,
        index: usize,
        outputs: &mut impl Outputs,
        now: Timestamp,
        waiting_max: usize,
    ) -> usize {
        let slot = &mut self.slots[index];
        let (Some(resend), Some(connection)) = (slot.resends.front_mut(), slot.connection) else {
            return 0;
        };
        if outputs.waiting(connection) > waiting_max {
            return 0;
        }
        let Some(output) = outputs.output(connection) else { return 0 };
        let session = slot.setup.id;
        if slot.tells_processed {
            note_processed(&mut slot.fix, &self.table, session);
        }
        let start = resend.at.clone().or_else(|| {
            let numbers = self.table.get(session)?;
            let (number, position) = numbers.sent.at_or_before(resend.next)?;
            Some(ResendAt { position, number, copies: numbers.copies_at(number) })
        });
        let Some(start) = start else {
            slot.resends.pop_front();
            return 1;
        };
        let mut run = ResendRun {
            fix: &mut slot.fix,
            symbols: &self.symbols,
            bytes_max: output.len() + waiting_max / 2,
            output,
            now,
        };
        let (reader, comp_id) = (&mut self.resend_reader, &slot.setup.config.comp_id);
        let at = start.position;
        reader.seek(at);
        // The reader can't go back behind the first segment there was when it was opened.
        let read = match reader.position() == at {
            true => run.read(reader, session, start, resend, self.resend_per_turn),
            false => Ok(None),
        };
        let progress = match read {
            Ok(Some(progress)) => progress,
            missing => match what_is_left(reader, missing.err()) {
                Ok(oldest) => {
                    let left = self.table.get(session).and_then(|numbers| {
                        let (number, position) = numbers.sent.at_or_behind(oldest)?;
                        Some(ResendAt { position, number, copies: numbers.copies_at(number) })
                    });
                    let next = resend.next;
                    log::info!(
                        "{comp_id}: messages from {next} on are in segments that are gone; \
                         a gap is filled"
                    );
                    run.pass_gone(left, resend)
                }
                Err(error) => {
                    let next = resend.next;
                    log::error!("{comp_id}: messages from {next} on are not sent again: {error}");
                    Progress::Done
                }
            },
        };
        if progress == Progress::Done {
            slot.resends.pop_front();
        }
        1
    }
}

impl Sessions for Desk {
    /// Whether the ring has room for what one message can bring about.
    #[inline]
    fn has_room(&self) -> bool {
        self.inputs.room() >= INPUTS_PER_TURN
    }

    fn find(
        &self,
        message: &Message<'_>,
        peer: IpAddr,
        security: Security,
    ) -> Result<usize, NotAdmitted> {
        let own = self.slots.iter().map(|slot| &slot.setup.config);
        let all = own.chain(self.elsewhere.iter().map(|other| &other.config));
        let index = admission::find(all, message, peer, security)?;
        // Of those of others their gateways know whether they are connected.
        match self.slots.get(index).and_then(|slot| slot.connection) {
            Some(_) => Err(NotAdmitted::CONNECTED),
            None => Ok(index),
        }
    }

    fn claim(&self, index: usize, message: &Message<'_>) -> Option<Claim> {
        let login = match self.slots.get(index) {
            Some(slot) => &slot.login,
            None => &self.elsewhere[index - self.slots.len()].login,
        };
        login.as_ref().map(|login| admission::claim(login, message))
    }

    fn elsewhere(&self, index: usize) -> Option<usize> {
        let other = self.elsewhere.get(index.checked_sub(self.slots.len())?)?;
        Some(other.gateway)
    }

    fn log_on(
        &mut self,
        index: usize,
        connection: usize,
        message: &Message<'_>,
        proved: bool,
        now: Timestamp,
    ) -> Result<(), NotAdmitted> {
        if self.slots[index].connection.is_some() {
            return Err(NotAdmitted::CONNECTED);
        }
        self.keep_hours_of(index, now);
        let closed = self.slots[index].hours.map(|place| &self.hours[place]);
        let closed = closed.filter(|hours| !hours.phase().open).map(Hours::reason);
        let slot = &mut self.slots[index];
        slot.connection = Some(connection);
        slot.live = false;
        slot.closing = None;
        self.journal_absence(index, now);
        let slot = &mut self.slots[index];
        // Reports that came while nobody was connected were counted by the table alone, and it knows of no
        // reset ahead.
        let next_out = match self.table.get(slot.setup.id) {
            Some(numbers) if slot.resets_ahead == 0 => numbers.next_out,
            _ => 1,
        };
        slot.fix.resume_outbound(MsgSeqNum::new(next_out));
        slot.stale_ahead = slot.sends_ahead;
        slot.fix.handle_connected(now.0);
        if admission::refuse_logon(&mut slot.fix, message, proved, closed.as_deref(), now) {
            self.drain(index);
        } else {
            self.handle_message(index, message, now);
        }
        Ok(())
    }

    fn note_waiting(&mut self, index: usize, now: Timestamp) {
        self.slots[index].fix.note_received(now.0);
    }

    /// Orders wait for a token.
    #[inline]
    fn wait_of(&mut self, index: usize, message: &[u8], now: Timestamp) -> Option<Timestamp> {
        let until = self.slots[index].throttle.wait(&mut self.firms, now)?;
        // MsgType is the third field of every message.
        let msg_type = message.split(|byte| *byte == SOH).nth(2);
        matches!(msg_type, Some(b"35=D" | b"35=G")).then_some(until)
    }

    #[inline]
    fn handle_message(&mut self, index: usize, message: &Message<'_>, now: Timestamp) {
        self.take(index, message, now);
        self.release_held(index, now);
    }

    fn handle_garbled(&mut self, index: usize, now: Timestamp) {
        self.slots[index].fix.handle_garbled(now.0);
        self.drain(index);
    }

    fn handle_disconnected(&mut self, index: usize, now: Timestamp) {
        let slot = &mut self.slots[index];
        let cause = match slot.closing {
            Some(DisconnectReason::LoggedOut) => DisconnectCause::Logout,
            _ if self.stopping => DisconnectCause::VenueDown,
            _ => DisconnectCause::Disconnect,
        };
        slot.absence.handle_lost(cause, now);
        slot.ask_no_more();
        slot.fix.handle_disconnected();
        slot.connection = None;
        slot.live = false;
        slot.closing = None;
    }

    fn wants_close(&self, index: usize) -> Option<DisconnectReason> {
        let slot = &self.slots[index];
        slot.closing.filter(|_| slot.has_said_all())
    }

    fn comp_id(&self, index: usize) -> &str {
        &self.slots[index].setup.config.comp_id
    }
}

/// How far a turn of a resend came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// The range is sent, or given up.
    Done,
    /// The next turn goes on.
    More,
}

/// Where the journal begins now, for a reader that found nothing at its place, or an error: what lies
/// before is gone.
///
/// # Errors
/// What is wrong when nothing is gone. The messages are there, so no gap may be filled: the client asks
/// again.
#[cold]
fn what_is_left(reader: &Reader, error: Option<ReadError>) -> Result<Position, Box<dyn Error>> {
    let oldest = reader.oldest()?;
    match error {
        Some(error) if oldest <= reader.position() => Err(error.into()),
        _ => Ok(oldest),
    }
}

/// One turn of a resend.
struct ResendRun<'a> {
    fix: &'a mut Session,
    symbols: &'a SymbolTable,
    output: &'a mut Vec<u8>,
    /// Length of `output` at which the turn ends: a resend must not make its client too slow.
    bytes_max: usize,
    now: Timestamp,
}

impl ResendRun<'_> {
    /// Reads on in the journal and sends again what belongs to the range; none when there is nothing at
    /// the place where the next message was.
    ///
    /// # Errors
    /// The place can't be read.
    fn read(
        &mut self,
        reader: &mut Reader,
        session: SessionId,
        ResendAt { mut number, mut copies, .. }: ResendAt,
        resend: &mut Resend,
        mut messages: u32,
    ) -> Result<Option<Progress>, ReadError> {
        /// Frames read in one turn, whoever they are for.
        const FRAMES_MAX: u32 = 4_096;
        for _ in 0..FRAMES_MAX {
            if resend.next > resend.end {
                self.fill_gap(resend);
                return Ok(Some(Progress::Done));
            }
            if messages == 0 || self.output.len() >= self.bytes_max {
                break;
            }
            // What is to be sent again was delivered once, so it is there or gone.
            let Some(frame) = reader.next()? else { return Ok(None) };
            let ours = match crate::sessions::audience(&frame) {
                Ok(Audience::Session(to)) => to == session,
                Ok(Audience::SessionAndCopies(to)) => to == session || copies.cover(to),
                _ => false,
            };
            if frame.kind == SessionRecord::ROLE
                && let Some(SessionRecord::Role { session: of, copies: new }) =
                    SessionRecord::decode(frame.kind, frame.payload)
                && of == session
            {
                copies = new;
            }
            if ours {
                if number == resend.next {
                    self.send_again(&frame, resend);
                    messages -= 1;
                }
                number += 1;
            }
            resend.at = Some(ResendAt { position: frame.end, number, copies: copies.clone() });
        }
        Ok(Some(Progress::More))
    }

    /// Fills the gap of messages that are gone, up to the first one that is `left` and whose place is
    /// known, which the next turn goes on with.
    fn pass_gone(&mut self, left: Option<ResendAt>, resend: &mut Resend) -> Progress {
        resend.gap_from.get_or_insert(resend.next);
        match left.filter(|left| (resend.next + 1..=resend.end).contains(&left.number)) {
            Some(left) => {
                resend.next = left.number;
                resend.at = Some(left);
                Progress::More
            }
            None => {
                resend.next = resend.end + 1;
                self.fill_gap(resend);
                Progress::Done
            }
        }
    }

    fn send_again(&mut self, frame: &Frame<'_>, resend: &mut Resend) {
        let (symbols, version) = (self.symbols, self.fix.version());
        let mut again = Again { run: self, resend, orig_time_ns: frame.time_ns, sent: false };
        visit(frame, symbols, version, &mut again);
        if !again.sent {
            resend.gap_from.get_or_insert(resend.next);
        }
        resend.next += 1;
    }

    fn fill_gap(&mut self, resend: &mut Resend) {
        if let Some(from) = resend.gap_from.take() {
            let (begin, next) = (MsgSeqNum::new(from), MsgSeqNum::new(resend.next));
            self.fix.encode_gap_fill(begin, next, self.now.0, self.output);
        }
    }
}

impl Slot {
    /// Whether its connection ends, and all that was to be said before is out: what the journal has for the session
    /// from there on is sent again when somebody has logged on. He may be none of its own whose Logon was refused.
    fn has_said_all(&self) -> bool {
        self.closing.is_some() && self.sends_ahead == 0
    }

    /// What its client has asked for is not sent any more: he is about to go, or gone.
    fn ask_no_more(&mut self) {
        self.lists.clear();
        self.resends.clear();
        self.resend_through_logon = None;
    }

    fn new(
        config: &Config,
        setup: SessionSetup,
        (table, symbols): (&SessionTable, &SymbolTable),
        throttle: Throttle,
        now: Timestamp,
    ) -> Result<Self, ConfigError> {
        let (next_in, next_out) =
            table.get(setup.id).map_or((1, 1), |numbers| (numbers.next_in, numbers.next_out));
        let presence = table.get(setup.id).map_or(Presence::Away, |known| known.presence);
        let reset = Timestamp(table.get(setup.id).map_or(0, |known| known.reset_ns));
        let fix = fix_session(config, &setup.config, setup.config.reset_on_logon)?;
        Ok(Self {
            fix: Session::new(fix, MsgSeqNum::new(next_in), MsgSeqNum::new(next_out)),
            login: setup.config.login()?,
            lists: SecurityLists::default(),
            absence: Absence::new(&setup.config, presence, now),
            tells_processed: setup.config.last_msg_seq_num_processed,
            rights: Rights::new(&setup.config, symbols)?,
            throttle,
            setup,
            connection: None,
            live: false,
            sends_ahead: 0,
            stale_ahead: 0,
            closing: None,
            told_next_in: next_in,
            resets_ahead: 0,
            hours: None,
            period: reset,
            resends: VecDeque::with_capacity(RESENDS_MAX),
            is_resending: false,
            resend_through_logon: None,
        })
    }
}

/// A session of the configuration as the session layer knows it; `reset` starts both numbers at 1 with each
/// Logon.
///
/// # Errors
/// [`ConfigError::Value`] for versions that are none.
pub(crate) fn fix_session(
    config: &Config,
    session: &SessionConfig,
    reset: bool,
) -> Result<FixSessionConfig, ConfigError> {
    let ms = 1_000_000_u64;
    Ok(FixSessionConfig {
        heart_bt_int: 1..=u64::from(config.fix.heart_bt_int_max_s),
        sending_time_tolerance_ns: u64::from(config.fix.sending_time_tolerance_s) * 1_000 * ms,
        reset_on_logon: reset,
        versions: session.versions()?,
        logon_timeout_ns: config.fix.logon_timeout_ms * ms,
        logout_timeout_ns: config.fix.logout_timeout_ms * ms,
        next_expected_msg_seq_num: session.next_expected_msg_seq_num,
        last_msg_seq_num_processed: session.last_msg_seq_num_processed,
        resend_request_chunk: config.fix.resend_request_chunk.into(),
        ..FixSessionConfig::new(Role::Acceptor, &config.venue.comp_id, &session.comp_id)
    })
}

/// The hours of all schedules, each once, and for each session the place of its own.
fn hours(
    config: &Config,
    setups: &[SessionSetup],
    now: Timestamp,
) -> Result<(Vec<Hours>, Vec<Option<usize>>), ConfigError> {
    let (mut hours, mut places) = (Vec::new(), HashMap::new());
    let mut place_of = |setup: &SessionSetup| {
        let configured = setup.config.schedule.as_ref().unwrap_or(&config.schedule);
        if let Some(place) = places.get(configured) {
            return Ok(Some(*place));
        }
        let Some(schedule) = config.schedule_of(&setup.config)? else { return Ok(None) };
        places.insert(configured.clone(), hours.len());
        hours.push(Hours::new(schedule, now));
        Ok(Some(hours.len() - 1))
    };
    let of = setups.iter().map(&mut place_of).collect::<Result<_, ConfigError>>()?;
    Ok((hours, of))
}

/// Has the next messages say what was processed: what the journal has counted where it was delivered. What is
/// in the ring is not processed yet, as a crash may take it. An answer to a session message stands before
/// the record that counts it, and may name the message before.
#[inline]
fn note_processed(fix: &mut Session, table: &SessionTable, session: SessionId) {
    let next_in = table.get(session).map_or(1, |numbers| numbers.next_in);
    fix.note_processed(MsgSeqNum::new(next_in - 1));
}

fn not_authorized<'a>(message: &Message<'a>) -> Refusal<'a> {
    Refusal::Business(BusinessReject {
        reason: BusinessRejectReason::NotAuthorized,
        ref_id: translate::ref_id(message),
        text: "this session is read-only: it gets copies of reports and sends no requests",
    })
}

/// OrdType, Side, TimeInForce, BusinessRejectReason and MassCancelRequestType: a client's own words in an
/// answer, or one of ours that has no other.
const CODES: [u32; 5] = [40, 54, 59, 380, 530];

/// How to refuse a request of another version than its session's, if the session's has no words for the
/// answer.
#[cold]
pub(crate) fn unanswerable<'a>(message: &Message<'a>, session: Version) -> Option<Refusal<'a>> {
    let answer = match message.msg_type() {
        Some(MsgType::ORDER_MASS_CANCEL_REQUEST) => MsgType::ORDER_MASS_CANCEL_REPORT,
        Some(MsgType::SECURITY_LIST_REQUEST) => MsgType::SECURITY_LIST,
        Some(MsgType::SECURITY_STATUS_REQUEST) => MsgType::SECURITY_STATUS,
        Some(MsgType::MARKET_DATA_REQUEST) => MsgType::MARKET_DATA_SNAPSHOT,
        _ => MsgType::EXECUTION_REPORT,
    };
    (!has_words(session, answer, message)).then(|| {
        Refusal::Business(BusinessReject {
            reason: BusinessRejectReason::Other,
            ref_id: message.get(11),
            text: "the session's version has no words for the answer; log on with the request's",
        })
    })
}

/// Whether a version has a type of message, and the codes that one of the type would take from `message`.
fn has_words(version: Version, msg_type: MsgType, message: &Message<'_>) -> bool {
    let dictionary = version.dictionary();
    let known = |tag| message.get(tag).is_none_or(|value| dictionary.allows(tag, value));
    dictionary.message(msg_type).is_some() && CODES.into_iter().all(known)
}

/// The body of an answer as it is journaled: in the words of FIX 4.4.
fn encode<B: Body>(message: &B, body: &mut Vec<u8>, text: &mut TimestampText) -> MsgType {
    message.encode_body(body, text, JOURNALED);
    B::MSG_TYPE
}

/// The same of an answer about instruments.
fn encode_reference<B: Body>(answer: &B, text: &mut TimestampText) -> Vec<u8> {
    let mut body = Vec::new();
    answer.encode_body(&mut body, text, reference::JOURNALED);
    body
}

/// The version of journaled answers, whatever the session speaks, but for those about instruments, which
/// are in the words of [`reference::JOURNALED`]; it has words for all of the others.
const JOURNALED: ApplVerId = ApplVerId::Fix44;

/// Sends the message that a frame stands for, with the session's next number. SendingTime is the
/// frame's time, so that the message is the same whenever it is made.
struct Transmit<'a> {
    fix: &'a mut Session,
    time: Timestamp,
    output: &'a mut Vec<u8>,
}

impl MessageVisitor for Transmit<'_> {
    #[inline]
    fn typed<B: Body>(&mut self, message: &B) {
        self.fix.transmit_typed(self.time.0, message, self.output);
    }

    fn stored(&mut self, msg_type: MsgType, body: &[u8]) {
        self.fix.transmit(self.time.0, msg_type, body, self.output);
    }

    fn nothing(&mut self) {
        self.fix.transmit_gap(self.time.0, self.output);
    }
}

/// Sends a message again under the number it had; leaves out session messages and what the version has no
/// words for.
struct Again<'a, 'b> {
    run: &'a mut ResendRun<'b>,
    resend: &'a mut Resend,
    orig_time_ns: u64,
    sent: bool,
}

impl MessageVisitor for Again<'_, '_> {
    fn typed<B: Body>(&mut self, message: &B) {
        if self.run.fix.version().application < B::SINCE {
            return;
        }
        self.run.fill_gap(self.resend);
        let ResendRun { fix, now, output, .. } = &mut *self.run;
        let seq = MsgSeqNum::new(self.resend.next);
        fix.encode_resend_typed(seq, self.orig_time_ns, now.0, message, output);
        self.sent = true;
    }

    fn stored(&mut self, msg_type: MsgType, body: &[u8]) {
        if msg_type.is_admin() {
            return;
        }
        self.run.fill_gap(self.resend);
        let ResendRun { fix, now, output, .. } = &mut *self.run;
        let seq = MsgSeqNum::new(self.resend.next);
        fix.encode_resend(seq, self.orig_time_ns, now.0, msg_type, body, output);
        self.sent = true;
    }

    fn nothing(&mut self) {}
}

/// Shows a visitor the message that a frame stands for in a version, if it stands for one.
#[inline]
fn visit(
    frame: &Frame<'_>,
    symbols: &SymbolTable,
    version: Version,
    visitor: &mut impl MessageVisitor,
) {
    if SessionRecord::is_kind(frame.kind) {
        if let Some(SessionRecord::Outbound { msg_type, body, .. }) =
            SessionRecord::decode(frame.kind, frame.payload)
            && let Some(msg_type) = MsgType::parse(&msg_type)
        {
            if msg_type.is_admin() {
                visitor.stored(msg_type, &body);
            } else {
                visit_answer(msg_type, &body, version, visitor);
            }
        }
    } else if let Ok(event) = Event::decode(frame.kind, frame.payload) {
        let (time, sequence) = (Timestamp(frame.time_ns), Sequence(frame.sequence));
        translate::report(&event, sequence, time, symbols, visitor);
    }
}

/// Shows a visitor a journaled answer in the words of a version. An answer that names a code the version
/// doesn't have, as it was given when the session spoke a later one, is nothing there.
#[cold]
fn visit_answer(
    msg_type: MsgType,
    body: &[u8],
    version: Version,
    visitor: &mut impl MessageVisitor,
) {
    let bytes = [b"35=", msg_type.text().as_ref(), b"\x01", body].concat();
    let mut fields = Fields::new();
    let message = Message::parse(&bytes, &mut fields).ok();
    let known = message.filter(|message| has_words(version, msg_type, message));
    match (msg_type, &known) {
        (MsgType::SECURITY_LIST, Some(message)) => {
            return SecurityList::parse(message).iter().for_each(|list| visitor.typed(list));
        }
        (MsgType::SECURITY_STATUS, Some(message)) => {
            return SecurityStatus::parse(message).iter().for_each(|status| visitor.typed(status));
        }
        _ => {}
    }
    match known.map(|message| ReportMessage::parse(&message)) {
        Some(Ok(ReportMessage::Execution(report))) => visitor.typed(&report),
        Some(Ok(ReportMessage::CancelReject(reject))) => visitor.typed(&reject),
        Some(Ok(ReportMessage::MassCancel(report))) => visitor.typed(&report),
        // The same in every version that has it.
        Some(Ok(ReportMessage::BusinessReject(_))) => visitor.stored(msg_type, body),
        _ => visitor.nothing(),
    }
}
