//! The sessions of the market data port: what they ask for, and when they are told of it.

use std::{mem, net::IpAddr, sync::Arc};

use ironbook_engine::{InstrumentId, Timestamp};
use ironbook_fix::{
    encode::Body,
    field::MsgSeqNum,
    market_data::{
        Change, ENTRIES_MAX, Entry, IncrementalRefresh, MarketDataRequest, Refused, RejectReason,
        RequestReject, Snapshot, UpdateType,
    },
    message::{BusinessReject, BusinessRejectReason, Fields, Message, MsgType, Refusal},
    reference::{
        ReferenceRequest, SecurityListRequest, SecurityStatus, SecurityStatusRequest,
        SubscriptionRequestType, TradingStatus,
    },
    session::{DisconnectReason, Handled, Output, Session, State},
};

use super::{
    board::{Board, Listed},
    subscription::{Refresh, StatusSubscription, Subscription},
};
use crate::{
    acceptor::{Outputs, Sessions},
    admission::{self, NotAdmitted},
    config::{Config, ConfigError, Login, MarketDataConfig, SessionConfig},
    counters::PortCounters,
    credentials::Claim,
    desk::{self, AnswerIds},
    network::Security,
    rights::Rights,
    schedule::Hours,
    security_lists::SecurityLists,
    symbols::SymbolTable,
    translate,
};

/// A session and where it stands.
struct Slot {
    config: SessionConfig,
    /// What a Logon has to prove.
    login: Option<Login>,
    rights: Rights,
    fix: Session,
    /// When it may be logged on, if not always.
    hours: Option<Hours>,
    connection: Option<usize>,
    /// MsgSeqNum of its Logon.
    logon: MsgSeqNum,
    /// Set when the connection is to end.
    closing: Option<DisconnectReason>,
    /// Encoded messages that did not go to the connection yet.
    output: Vec<u8>,
    subscriptions: Vec<Subscription>,
    statuses: Vec<StatusSubscription>,
    lists: SecurityLists,
    /// The subscription that is told of first the next time, so that each has its turn.
    next: usize,
    /// Since when more bytes wait for the client than let him be told of anything.
    stalled_since: Option<Timestamp>,
}

/// All sessions of the port.
pub struct Desk {
    slots: Vec<Slot>,
    symbols: SymbolTable,
    /// How many instruments there are.
    instruments: usize,
    config: MarketDataConfig,
    /// Ids of the lists that it sends.
    answer_ids: AnswerIds,
    /// Somebody has asked for something that he was told nothing of.
    has_new: bool,
    refresh: Refresh,
    changes: Vec<(usize, u64, Change)>,
    counters: Arc<PortCounters>,
}

/// What is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// First snapshots, to those who have asked for them.
    New,
    /// Everything.
    All,
}

impl Desk {
    /// The sessions of a configuration.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for a session that can't be as it is configured.
    pub fn new(config: &Config, board: &Board, now: Timestamp) -> Result<Self, ConfigError> {
        let named =
            |listed: &Listed| (listed.view.definition.symbol, listed.view.definition.instrument);
        let symbols: SymbolTable = board.instruments().iter().map(named).collect();
        let slot = |session| Slot::new(config, session, &symbols, now);
        let slots = config.sessions.iter().map(slot);
        Ok(Self {
            slots: slots.collect::<Result<_, _>>()?,
            symbols,
            instruments: board.instruments().len(),
            config: config.market_data.clone(),
            answer_ids: AnswerIds::of(0),
            has_new: false,
            refresh: Refresh::default(),
            changes: Vec::new(),
            counters: Arc::default(),
        })
    }

    /// Keeps count here.
    pub fn count_with(&mut self, counters: Arc<PortCounters>) {
        self.counters = counters;
    }

    /// Whether somebody waits for a first snapshot.
    pub fn has_new(&self) -> bool {
        self.has_new
    }

    /// Whether somebody is to be told of what changes.
    pub fn has_subscriptions(&self) -> bool {
        let has = |slot: &Slot| !slot.subscriptions.is_empty() || !slot.statuses.is_empty();
        self.slots.iter().any(has)
    }

    /// Instruments that somebody is told of, once for each who is.
    pub fn subscriptions(&self) -> usize {
        self.slots.iter().map(Slot::followed).sum()
    }

    fn take(&mut self, index: usize, message: &Message<'_>, now: Timestamp) {
        let Slot { fix, logon, .. } = &mut self.slots[index];
        let handled = fix.handle_message(now.0, message);
        fix.note_processed(fix.next_in().previous());
        // One that starts the numbers anew amid the session.
        if message.msg_type() == Some(MsgType::LOGON) && message.get(141) == Some(b"Y") {
            *logon = message.msg_seq_num().unwrap_or(MsgSeqNum::FIRST);
        }
        // What stands before the Logon was asked on another connection, whose requests have ended with it.
        if let Handled::Application(seq) = handled
            && seq > self.slots[index].logon
        {
            self.take_application(index, message, now);
        }
        self.slots[index].drain(now);
    }

    fn take_application(&mut self, index: usize, message: &Message<'_>, now: Timestamp) {
        let Err(refused) = self.answer(index, message, now) else { return };
        self.counters.unserved.add(1);
        let slot = &mut self.slots[index];
        match refused {
            Refused::Message(refusal) => slot.fix.refuse(now.0, message, &refusal),
            Refused::Request(reject) => slot.send(now, &reject),
        }
    }

    /// Does what a request asks for.
    fn answer<'a>(
        &mut self,
        index: usize,
        message: &Message<'a>,
        now: Timestamp,
    ) -> Result<(), Refused<'a>> {
        if let Some(refusal) = desk::unanswerable(message, self.slots[index].fix.version()) {
            return Err(Refused::Message(refusal));
        }
        if let Some(request) = MarketDataRequest::parse(message) {
            return self.follow(index, &request?).map_err(Refused::Request);
        }
        let request = ReferenceRequest::parse(message).unwrap_or(Err(Refusal::unsupported()));
        match request.map_err(Refused::Message)? {
            ReferenceRequest::List(request) => self.list(index, &request, now),
            ReferenceRequest::Status(request) => {
                self.follow_status(index, &request).map_err(Refused::Message)?;
            }
        }
        Ok(())
    }

    /// Takes a request for a list of securities; what it can't have is told in words of its own.
    fn list(&mut self, index: usize, request: &SecurityListRequest<'_>, now: Timestamp) {
        let id = self.answer_ids.next(now);
        let find = |symbol: &[u8]| self.symbols.named(symbol).map(place_of);
        let slot = &mut self.slots[index];
        match slot.lists.ask(request, id.as_bytes(), self.instruments, find) {
            Ok(()) => self.has_new = true,
            Err(refused) => {
                self.counters.unserved.add(1);
                slot.send(now, &refused);
            }
        }
    }

    /// Begins a subscription, or ends one.
    fn follow<'a>(
        &mut self,
        index: usize,
        request: &MarketDataRequest<'a>,
    ) -> Result<(), RequestReject<'a>> {
        let slot = &mut self.slots[index];
        let req_id = request.req_id;
        let reject = |reason, text| RequestReject { req_id, reason, text };
        let refuse = |reason, text| Err(reject(Some(reason), text));
        let known = slot.subscriptions.iter().position(|known| known.req_id == req_id);
        if request.request_type == SubscriptionRequestType::Unsubscribe {
            let text = || "no subscription has this MDReqID(262)".to_owned();
            let known = known.ok_or_else(|| reject(None, text()))?;
            slot.subscriptions.remove(known);
            return Ok(());
        }
        if known.is_some() {
            let text = "a subscription has this MDReqID(262): end it first, or choose another";
            return refuse(RejectReason::DuplicateReqId, text.to_owned());
        }
        let depth_max = self.config.depth_max;
        let depth = match usize::try_from(request.depth) {
            Ok(0) => depth_max,
            Ok(depth) if depth <= depth_max => depth,
            _ => {
                let text = format!("MarketDepth(264) is at most {depth_max} here, or 0 for that");
                return refuse(RejectReason::UnsupportedDepth, text);
            }
        };
        let mut places = Vec::with_capacity(request.symbols.len());
        for symbol in &request.symbols {
            let shown = String::from_utf8_lossy(symbol);
            let Some(instrument) = self.symbols.named(symbol) else {
                let text = format!("Symbol(55) {shown} is no instrument of this venue");
                return refuse(RejectReason::UnknownSymbol, text);
            };
            if !slot.rights.may_trade_in(instrument) {
                let text = format!("this session may not see Symbol(55) {shown}");
                return refuse(RejectReason::InsufficientPermissions, text);
            }
            places.push(place_of(instrument));
        }
        let most = self.config.subscriptions_max;
        if slot.followed() + places.len() > most {
            let text =
                format!("a session may follow {most} instruments at once, each time counted");
            return refuse(RejectReason::InsufficientBandwidth, text);
        }
        slot.subscriptions.push(Subscription::new(request, depth, places));
        self.has_new = true;
        Ok(())
    }

    /// The same for the status of an instrument.
    fn follow_status<'a>(
        &mut self,
        index: usize,
        request: &SecurityStatusRequest<'a>,
    ) -> Result<(), Refusal<'a>> {
        let slot = &mut self.slots[index];
        let SecurityStatusRequest { req_id, request_type, symbol } = *request;
        let refuse =
            |reason, text| Refusal::Business(BusinessReject { reason, ref_id: Some(req_id), text });
        let known = slot.statuses.iter().position(|known| known.req_id == req_id);
        match (request_type, known) {
            (SubscriptionRequestType::Unsubscribe, Some(known)) => {
                slot.statuses.remove(known);
                return Ok(());
            }
            (SubscriptionRequestType::Unsubscribe, None) => {
                let text = "no subscription has this SecurityStatusReqID(324)";
                return Err(refuse(BusinessRejectReason::UnknownId, text));
            }
            (_, Some(_)) => {
                let text = "a subscription has this SecurityStatusReqID(324): choose another";
                return Err(refuse(BusinessRejectReason::Other, text));
            }
            (_, None) => {}
        }
        let instrument = self.symbols.named(symbol);
        if instrument.is_some_and(|instrument| !slot.rights.may_trade_in(instrument)) {
            let text = "this session may not see this instrument";
            return Err(refuse(BusinessRejectReason::NotAuthorized, text));
        }
        if slot.followed() == self.config.subscriptions_max {
            let text = "market_data.subscriptions_max instruments are followed already";
            return Err(refuse(BusinessRejectReason::Other, text));
        }
        slot.statuses.push(StatusSubscription {
            req_id: req_id.to_vec(),
            symbol: symbol.to_vec(),
            place: instrument.map(place_of),
            updates: request_type == SubscriptionRequestType::Subscribe,
            told: None,
        });
        self.has_new = true;
        Ok(())
    }

    /// Tells everybody who has room what he does not know; returns how many messages that took.
    pub fn publish(
        &mut self,
        scope: Scope,
        board: &mut Board,
        outputs: &impl Outputs,
        now: Timestamp,
    ) -> usize {
        let Self { slots, refresh, changes, config, .. } = self;
        let waiting_max = config.out_buffer_bytes_max / 2;
        let mut told = 0;
        for slot in slots.iter_mut().filter(|slot| slot.fix.state() == State::LoggedOn) {
            let Some(connection) = slot.connection else { continue };
            let waiting = outputs.waiting(connection);
            let mut teller = Teller {
                room: waiting_max.saturating_sub(waiting),
                board: &mut *board,
                refresh: &mut *refresh,
                changes: &mut *changes,
                scope,
                now,
                told: 0,
            };
            teller.tell(slot);
            told += teller.told;
            slot.note_waiting_bytes(waiting >= waiting_max, config, now);
        }
        let waits = |slot: &Slot| {
            let mut books = slot.subscriptions.iter();
            !slot.lists.is_empty()
                || slot.statuses.iter().any(|status| status.told.is_none())
                || books.any(|known| (0..known.books.len()).any(|book| known.is_new(book)))
        };
        self.has_new = self.slots.iter().any(waits);
        told
    }

    /// Moves what was encoded to the connections.
    pub fn move_output(&mut self, outputs: &mut impl Outputs) {
        for slot in self.slots.iter_mut().filter(|slot| !slot.output.is_empty()) {
            if let Some(output) = slot.connection.and_then(|number| outputs.output(number)) {
                output.append(&mut slot.output);
            }
            slot.output.clear();
        }
    }

    /// Heartbeats, test requests and timeouts that are due.
    pub fn handle_timeouts(&mut self, now: Timestamp) -> usize {
        let is_due = |slot: &&mut Slot| slot.fix.next_deadline().is_some_and(|due| due <= now.0);
        let mut done = 0;
        for slot in self.slots.iter_mut().filter(is_due) {
            slot.fix.handle_timeout(now.0);
            slot.drain(now);
            done += 1;
        }
        for slot in &mut self.slots {
            if slot.fix.state() == State::LoggedOn
                && let Some(reason) = slot.closed(now)
            {
                slot.fix.logout(now.0, Some(&reason));
                slot.drain(now);
                done += 1;
            }
        }
        done
    }

    /// Logs everybody out, and says why. Whether nobody has a connection any more.
    pub fn logout_all(&mut self, now: Timestamp, text: &str) -> bool {
        let connected = self.slots.iter_mut().filter(|slot| slot.connection.is_some());
        let mut is_done = true;
        for slot in connected {
            slot.fix.logout(now.0, Some(text));
            slot.drain(now);
            is_done = false;
        }
        is_done
    }
}

fn place_of(instrument: InstrumentId) -> usize {
    instrument.0 as usize - 1
}

/// Tells one session what it does not know.
struct Teller<'a> {
    /// Bytes that may still be written.
    room: usize,
    board: &'a mut Board,
    refresh: &'a mut Refresh,
    changes: &'a mut Vec<(usize, u64, Change)>,
    scope: Scope,
    now: Timestamp,
    /// Messages written.
    told: usize,
}

impl Teller<'_> {
    fn tell(&mut self, slot: &mut Slot) {
        self.tell_statuses(slot);
        let mut subscriptions = mem::take(&mut slot.subscriptions);
        let count = subscriptions.len();
        for turn in 0..count {
            let at = (slot.next + turn) % count;
            if !self.has_room(slot) {
                slot.next = at;
                break;
            }
            self.tell_subscription(&mut subscriptions[at], slot);
        }
        subscriptions.retain(|known| {
            let is_told = (0..known.books.len()).all(|book| !known.is_new(book));
            known.updates.is_some() || !is_told
        });
        slot.next = if subscriptions.is_empty() { 0 } else { slot.next % subscriptions.len() };
        slot.subscriptions = subscriptions;
        self.tell_lists(slot);
    }

    fn has_room(&self, slot: &Slot) -> bool {
        slot.output.len() < self.room
    }

    /// Instrument by instrument, as long as there is room: what was told of is known to be.
    fn tell_subscription(&mut self, known: &mut Subscription, slot: &mut Slot) {
        self.changes.clear();
        let count = known.books.len();
        for book in (known.next..count).chain(0..known.next) {
            let place = known.books[book].place;
            let is_new = known.is_new(book);
            if !known.lags(book, self.board.listed_mut(place))
                || self.scope == Scope::New && !is_new
            {
                continue;
            }
            if !self.has_room(slot) {
                known.next = book;
                break;
            }
            let is_whole = self.board.is_whole();
            let listed = self.board.listed_mut(place);
            if is_new || known.updates == Some(UpdateType::FullRefresh) {
                if is_whole && known.refresh(book, listed, self.refresh) {
                    self.send_refresh(&known.req_id, place, slot);
                }
                continue;
            }
            known.changes(book, listed, is_whole, self.changes);
            if self.changes.len() >= ENTRIES_MAX {
                self.send_changes(&known.req_id, slot);
            }
        }
        self.send_changes(&known.req_id, slot);
    }

    fn send_refresh(&mut self, req_id: &[u8], place: usize, slot: &mut Slot) {
        let Refresh { levels: [bids, offers], trades, rpt_seq } = &*self.refresh;
        let message = Snapshot {
            req_id,
            symbol: self.board.instruments()[place].symbol(),
            updated_ns: self.board.time_ns(),
            rpt_seq: *rpt_seq,
            bids,
            offers,
            trades,
        };
        slot.send(self.now, &message);
        self.told += 1;
    }

    fn send_changes(&mut self, req_id: &[u8], slot: &mut Slot) {
        let instruments = self.board.instruments();
        for changes in self.changes.chunks(ENTRIES_MAX) {
            let entry = |&(place, rpt_seq, change): &(usize, u64, Change)| Entry {
                symbol: instruments[place].symbol(),
                rpt_seq,
                change,
            };
            let entries: Vec<_> = changes.iter().map(entry).collect();
            slot.send(self.now, &IncrementalRefresh { req_id, entries: &entries });
            self.told += 1;
        }
        self.changes.clear();
    }

    fn tell_statuses(&mut self, slot: &mut Slot) {
        let mut statuses = mem::take(&mut slot.statuses);
        for known in &mut statuses {
            if known.told.is_some() && self.scope == Scope::New || !self.has_room(slot) {
                continue;
            }
            let listed = known.place.map(|place| &self.board.instruments()[place]);
            let status = listed.map_or(TradingStatus::Unknown, Listed::status);
            if known.told != Some(status) {
                known.told = Some(status);
                let symbol = &known.symbol;
                slot.send(self.now, &SecurityStatus { req_id: &known.req_id, symbol, status });
                self.told += 1;
            }
        }
        statuses.retain(|known| known.updates || known.told.is_none());
        slot.statuses = statuses;
    }

    fn tell_lists(&mut self, slot: &mut Slot) {
        let mut lists = mem::take(&mut slot.lists);
        while !lists.is_empty() && self.has_room(slot) {
            let instruments = self.board.instruments();
            let security = |place: usize| translate::security(&instruments[place].view);
            lists.send_next(security, |list| slot.send(self.now, list));
            self.told += 1;
        }
        slot.lists = lists;
    }
}

impl Slot {
    fn new(
        config: &Config,
        session: &SessionConfig,
        symbols: &SymbolTable,
        now: Timestamp,
    ) -> Result<Self, ConfigError> {
        let hours = config.schedule_of(session)?.map(|schedule| Hours::new(schedule, now));
        // Numbers are those of the connection.
        let fix = desk::fix_session(config, session, true)?;
        Ok(Self {
            fix: Session::new(fix, MsgSeqNum::FIRST, MsgSeqNum::FIRST),
            login: session.login()?,
            rights: Rights::new(session, symbols)?,
            config: session.clone(),
            hours,
            connection: None,
            logon: MsgSeqNum::FIRST,
            closing: None,
            output: Vec::new(),
            subscriptions: Vec::new(),
            statuses: Vec::new(),
            lists: SecurityLists::default(),
            next: 0,
            stalled_since: None,
        })
    }

    /// Why it may not be logged on now.
    fn closed(&mut self, now: Timestamp) -> Option<String> {
        let hours = self.hours.as_mut()?;
        (!hours.at(now).open).then(|| hours.reason())
    }

    /// Instruments that it follows, each as often as it does.
    fn followed(&self) -> usize {
        let books = self.subscriptions.iter().map(|known| known.books.len());
        books.sum::<usize>() + self.statuses.len()
    }

    fn send<B: Body>(&mut self, now: Timestamp, message: &B) {
        self.fix.transmit_typed(now.0, message, &mut self.output);
    }

    /// Does what the session wants done.
    fn drain(&mut self, now: Timestamp) {
        let comp_id = &self.config.comp_id;
        while let Some(output) = self.fix.poll() {
            match output {
                Output::Send(request) => {
                    let (msg_type, body) = (request.msg_type(), request.body());
                    self.fix.transmit(now.0, msg_type, body, &mut self.output);
                }
                Output::ResetSequence => self.fix.reset_outbound(),
                // What was is over: nothing is sent again.
                Output::Resend { begin, end } => {
                    self.fix.encode_gap_fill(begin, end.next(), now.0, &mut self.output);
                }
                // Numbers start at 1 with each Logon: nothing came before it.
                Output::ResendThroughLogon { .. } => {}
                Output::LoggedOn => {
                    let version = self.fix.version();
                    log::info!("{comp_id} logged on to market data, {version}");
                }
                Output::LoggedOut => {
                    log::info!("{comp_id} logged out of market data");
                    self.subscriptions.clear();
                    self.statuses.clear();
                    self.lists.clear();
                }
                Output::Disconnect(reason) => self.closing = Some(reason),
            }
        }
    }

    /// Ends the session of a client who has not read for too long, so that what waits for him ends, too.
    fn note_waiting_bytes(&mut self, stalled: bool, config: &MarketDataConfig, now: Timestamp) {
        if !stalled {
            self.stalled_since = None;
            return;
        }
        let since = *self.stalled_since.get_or_insert(now);
        if now.0 - since.0 < config.slow_timeout_ms * 1_000_000 {
            return;
        }
        let comp_id = &self.config.comp_id;
        log::info!("{comp_id} reads its market data too slowly for market_data.slow_timeout_ms");
        let text = format!("market data was not read for {} ms", config.slow_timeout_ms);
        self.fix.logout(now.0, Some(&text));
        self.drain(now);
    }
}

impl Sessions for Desk {
    /// Answers go to the connection at once, which bounds them.
    fn has_room(&self) -> bool {
        true
    }

    fn find(
        &self,
        message: &Message<'_>,
        peer: IpAddr,
        security: Security,
    ) -> Result<usize, NotAdmitted> {
        let configs = self.slots.iter().map(|slot| &slot.config);
        let index = admission::find(configs, message, peer, security)?;
        match self.slots[index].connection {
            Some(_) => Err(NotAdmitted::CONNECTED),
            None => Ok(index),
        }
    }

    fn claim(&self, index: usize, message: &Message<'_>) -> Option<Claim> {
        self.slots[index].login.as_ref().map(|login| admission::claim(login, message))
    }

    fn log_on(
        &mut self,
        index: usize,
        connection: usize,
        message: &Message<'_>,
        proved: bool,
        now: Timestamp,
    ) -> Result<(), NotAdmitted> {
        let slot = &mut self.slots[index];
        if slot.connection.is_some() {
            return Err(NotAdmitted::CONNECTED);
        }
        slot.connection = Some(connection);
        slot.logon = message.msg_seq_num().unwrap_or(MsgSeqNum::FIRST);
        slot.fix.reset_outbound();
        slot.fix.note_processed(MsgSeqNum::new(0));
        slot.fix.handle_connected(now.0);
        let closed = slot.closed(now);
        if admission::refuse_logon(&mut slot.fix, message, proved, closed.as_deref(), now) {
            slot.drain(now);
        } else {
            self.handle_message(index, message, now);
        }
        Ok(())
    }

    fn note_waiting(&mut self, index: usize, now: Timestamp) {
        self.slots[index].fix.note_received(now.0);
    }

    /// Nothing waits here.
    fn wait_of(&mut self, _: usize, _: &[u8], _: Timestamp) -> Option<Timestamp> {
        None
    }

    fn handle_message(&mut self, index: usize, message: &Message<'_>, now: Timestamp) {
        self.take(index, message, now);
        let (mut held, mut fields) = (Vec::new(), None);
        while self.slots[index].fix.release_held(&mut held) {
            let fields = fields.get_or_insert_with(Fields::new);
            if let Ok(message) = Message::parse(&held, fields) {
                self.take(index, &message, now);
            }
        }
        // A number without a message may have been passed last.
        self.slots[index].drain(now);
    }

    fn handle_garbled(&mut self, index: usize, now: Timestamp) {
        self.slots[index].fix.handle_garbled(now.0);
        self.slots[index].drain(now);
    }

    fn handle_disconnected(&mut self, index: usize, _: Timestamp) {
        let slot = &mut self.slots[index];
        slot.fix.handle_disconnected();
        slot.connection = None;
        slot.closing = None;
        slot.output = Vec::new();
        slot.subscriptions.clear();
        slot.statuses.clear();
        slot.lists.clear();
        slot.stalled_since = None;
    }

    fn wants_close(&self, index: usize) -> Option<DisconnectReason> {
        let slot = &self.slots[index];
        slot.closing.filter(|_| slot.output.is_empty())
    }

    fn comp_id(&self, index: usize) -> &str {
        &self.slots[index].config.comp_id
    }
}
