//! Valid messages of each type in each version, mutated by a seed: whatever becomes of them, nothing
//! panics, answers stay small and are themselves valid, and sequence numbers go back by a reset alone.
//!
//! The way of a message is that of the venue, without sockets and journal: framing, session, dictionary,
//! translation, engine, report. How far mutated messages came is counted, so that a mutator whose
//! messages all end at the first look would be noticed.
//!
//! `FUZZ_SEED` repeats a run, `FUZZ_ITERATIONS` makes it longer.

use std::{collections::BTreeMap, env, time::Instant};

use ironbook_engine::{
    Command, CompId, Engine, Event, InstrumentId, Sequencer, SessionId, Symbol, Timestamp,
    command::{DefineInstrument, DefineSession, Origin},
    sink::VecSink,
};
use ironbook_fix::{
    codec::{Framed, MESSAGE_MAX, SOH, checksum, checksum_text, frame},
    dictionary::Strictness,
    encode::{Body, Encoder},
    field::{Decimal, MANTISSA_MAX, MsgSeqNum, Precision, TimestampText},
    message::{Fields, Message, MsgType},
    order::{
        MassCancelRequestType, NewOrderSingle, OrdType, OrderCancelReplaceRequest,
        OrderCancelRequest, OrderMassCancelRequest, OrderStatusRequest, Side, TimeInForce,
    },
    report::ReportMessage,
    session::{BODY_MAX, Handled, OUTPUTS_MAX, Output, Role, Session, SessionConfig, State},
    version::Version,
};
use ironbook_gateway::{
    config::Config,
    random::Random,
    rights::Rights,
    symbols::SymbolTable,
    translate::{self, MessageVisitor, Unserved},
};

/// Messages of a run unless `FUZZ_ITERATIONS` asks for more: some seconds, not optimized. Fewer may not
/// come everywhere.
const ITERATIONS: u64 = 40_000;

/// 2026-01-01, ns.
const START_NS: u64 = 1_767_225_600_000_000_000;

/// Most bytes of header and trailer of what a session sends.
const ENVELOPE_MAX: usize = 256;

/// Most messages that a session keeps past a gap.
const HELD_MAX: usize = 512;

const VENUE: &str = "IRONBOOK";
const CLIENT: &str = "A";
const SYMBOL: &str = "AAPL";

/// Values that are read as another type, are too large, too long, or end early.
const ODD_VALUES: [&[u8]; 24] = [
    b"1",
    b"3",
    b"5",
    b"P",
    b"",
    b"0",
    b"-1",
    b"-0",
    b"1e9",
    b"0.000000000000000001",
    b"999999999999999999",
    b"1000000000000000000",
    b"9223372036854775807",
    b"18446744073709551615",
    b"340282366920938463463374607431768211456",
    b"00000000000000000000000000000000000000001",
    b".",
    b"Y",
    b"N",
    b"20260230-25:61:61",
    b"20260101-00:00:00.000",
    b"\x00\xff\x7f",
    b"=",
    b"a b c",
];

/// Tags that mean something, and some that do not.
const TAGS: [u32; 40] = [
    0, 1, 7, 8, 9, 10, 11, 16, 18, 34, 35, 36, 37, 38, 40, 41, 43, 44, 45, 49, 52, 54, 55, 56, 58,
    59, 60, 95, 96, 97, 108, 110, 112, 122, 123, 141, 530, 1128, 1137, 99_999,
];

/// How far mutated messages came, and what became of them.
#[derive(Debug, Default)]
struct Reached {
    garbled: u64,
    framed: u64,
    /// Split into fields and handled by the session.
    session: u64,
    logons: u64,
    /// Accepted by the session and valid by the dictionary.
    application: u64,
    /// Commands of the engine.
    commands: u64,
    refused: u64,
    unserved: u64,
    /// Messages of the session layer that answer.
    answers: u64,
    held: u64,
    resends: u64,
    resets: u64,
    ended: u64,
    /// Reports of the engine.
    reports: u64,
}

/// A venue and its client, in one place.
struct Pair {
    random: Random,
    now: u64,
    version: Version,
    session: Session,
    encoder: Encoder,
    input: Vec<u8>,
    fields: Box<Fields>,
    engine: Engine,
    sequencer: Sequencer,
    symbols: SymbolTable,
    rights: Rights,
    ids: u64,
    /// Bodies of what the venue sent last, by ApplVerID and type: a client may send that too.
    sent: BTreeMap<(u8, Vec<u8>), Vec<u8>>,
    /// What arrives was mutated.
    mutated: bool,
    /// A bug that must be found: see [`is_canary`].
    has_canary: bool,
    reached: Reached,
}

fn config() -> SessionConfig {
    SessionConfig::new(Role::Acceptor, VENUE, CLIENT)
}

impl Pair {
    fn new(seed: u64) -> Self {
        Version::prepare();
        let mut small = Config::default();
        small.engine.orders_max = 4_096;
        small.engine.closed_orders_kept = 256;
        small.engine.state_hash_interval = 1_000;
        let limits = small.engine_limits();
        let symbol = Symbol::try_from(SYMBOL).expect("a symbol");
        let symbols: SymbolTable = [(symbol, InstrumentId(1))].into_iter().collect();
        let version = Version::FIX44;
        let mut pair = Self {
            random: Random::new(seed),
            now: START_NS,
            version,
            session: Session::new(config(), MsgSeqNum::FIRST, MsgSeqNum::FIRST),
            encoder: encoder(version),
            input: Vec::new(),
            fields: Fields::new(),
            engine: Engine::new(limits),
            sequencer: Sequencer::default(),
            rights: Rights::new(&Config::default().sessions[0], &symbols).expect("all rights"),
            symbols,
            ids: 0,
            sent: BTreeMap::new(),
            mutated: false,
            has_canary: false,
            reached: Reached::default(),
        };
        let comp_id = CompId::try_from(CLIENT).expect("a comp id");
        pair.apply(&Command::Limits(limits));
        pair.apply(&DefineInstrument::new(InstrumentId(1), symbol, 2, 0, 1, 1).into());
        pair.apply(&DefineSession::new(SessionId(1), comp_id).into());
        pair.session.handle_connected(pair.now);
        pair
    }

    /// One message, mutated for the most part.
    fn step(&mut self) {
        self.now += self.random.between(1_000, 2_000_000);
        if self.random.one_in(200) {
            self.now += self.random.below(40_000_000_000);
        }
        if self.session.next_deadline().is_some_and(|due| due <= self.now) {
            self.session.handle_timeout(self.now);
            self.drain();
        }
        if self.session.state() == State::Closing {
            self.reconnect();
        }
        let logs_on = self.session.state() == State::AwaitingLogon;
        let mut message = if logs_on { self.logon() } else { self.sample() };
        // Most connections begin well.
        self.mutated = if logs_on { self.random.one_in(4) } else { !self.random.one_in(8) };
        if self.mutated {
            let other = self.sample();
            mutate(&mut self.random, &mut message, &other);
        }
        self.receive(&message);
    }

    fn reconnect(&mut self) {
        self.reached.ended += 1;
        self.session.handle_disconnected();
        self.session.handle_connected(self.now);
        self.input.clear();
        self.version = *self.random.choose(&Version::ALL);
        self.encoder = encoder(self.version);
    }

    // ---- what a client says ------------------------------------------------------------------------

    /// Mostly the number that is expected.
    fn number(&mut self) -> MsgSeqNum {
        let next = self.session.next_in();
        match self.random.below(40) {
            0 => MsgSeqNum::new(next.get() + self.random.between(1, 3)),
            1 => MsgSeqNum::new(next.get().saturating_sub(self.random.below(4)).max(1)),
            _ => next,
        }
    }

    fn logon(&mut self) -> Vec<u8> {
        let reset = self.random.one_in(4);
        let number = if reset { MsgSeqNum::FIRST } else { self.number() };
        let mut body = "98=0\x01108=30\x01".to_owned();
        if reset {
            body += "141=Y\x01";
        }
        if self.version.fixt {
            body += &format!("1137={}\x01", char::from(self.version.application.code()));
        }
        let mut out = Vec::new();
        self.encoder.message(number, self.now, MsgType::LOGON, body.as_bytes(), &mut out);
        out
    }

    /// A message of any type that the version has.
    fn sample(&mut self) -> Vec<u8> {
        let (known, next) = (self.ids, self.ids + 1);
        let orig = format!("o{}", self.random.between(known.saturating_sub(20), known));
        let (id, orig) = (format!("o{next}"), orig.as_bytes());
        let id = id.as_bytes();
        let (symbol, now) = (SYMBOL.as_bytes(), self.now);
        let side = *self.random.choose(&[Side::Buy, Side::Sell]);
        let price = Decimal::new(10_000 + self.random.below(20) as i64, 2);
        let qty = Decimal::new(self.random.between(1, 50) as i64, 0);
        let mut order = NewOrderSingle::limit(id, symbol, side, qty, price, now);
        match self.random.below(40) {
            0..12 => {
                self.ids = next;
                if self.random.one_in(8) {
                    (order.ord_type, order.price) = (OrdType::Market, None);
                }
                order.time_in_force = *self.random.choose(&[
                    TimeInForce::Day,
                    TimeInForce::GoodTillCancel,
                    TimeInForce::ImmediateOrCancel,
                    TimeInForce::FillOrKill,
                ]);
                order.account = self.random.one_in(2).then_some(b"ACCOUNT");
                self.typed(&order)
            }
            12..16 => self.typed(&OrderCancelRequest {
                cl_ord_id: id,
                orig_cl_ord_id: orig,
                order_id: None,
                account: None,
                symbol,
                side,
                order_qty: Some(qty),
                partial: false,
                transact_time_ns: now,
            }),
            16..20 => {
                self.ids = next;
                self.typed(&OrderCancelReplaceRequest {
                    orig_cl_ord_id: orig,
                    order_id: None,
                    order,
                })
            }
            20..22 => {
                let kinds = [MassCancelRequestType::All, MassCancelRequestType::Security];
                let request_type = *self.random.choose(&kinds);
                let one = request_type == MassCancelRequestType::Security;
                self.typed(&OrderMassCancelRequest {
                    cl_ord_id: id,
                    request_type,
                    symbol: one.then_some(symbol),
                    side: None,
                    transact_time_ns: now,
                })
            }
            22..24 => self.typed(&OrderStatusRequest {
                cl_ord_id: orig,
                order_id: None,
                ord_status_req_id: None,
                account: None,
                symbol,
                side,
            }),
            24..32 => self.session_message(),
            32 => self.logon(),
            33 => self.message(MsgType::LOGOUT, "58=bye\x01"),
            _ => self.report(),
        }
    }

    fn session_message(&mut self) -> Vec<u8> {
        let (next, sent) = (self.session.next_in().get(), self.session.next_out().get());
        let begin = self.random.between(1, sent);
        match self.random.below(6) {
            0 => self.message(MsgType::HEARTBEAT, ""),
            1 => self.message(MsgType::TEST_REQUEST, "112=are you there\x01"),
            2 => self.message(MsgType::RESEND_REQUEST, &format!("7={begin}\x0116=0\x01")),
            3 => self.message(MsgType::REJECT, "45=1\x0158=no\x01"),
            4 => {
                let body = format!("123=Y\x0136={}\x01", next + self.random.between(1, 3));
                self.message(MsgType::SEQUENCE_RESET, &body)
            }
            _ => {
                let body = format!("36={}\x01", next + self.random.below(3));
                self.message(MsgType::SEQUENCE_RESET, &body)
            }
        }
    }

    /// What a venue says, said by a client.
    fn report(&mut self) -> Vec<u8> {
        let version = self.version.application.code();
        let known: Vec<_> = self.sent.keys().filter(|(of, _)| *of == version).cloned().collect();
        if known.is_empty() {
            return self.session_message();
        }
        let key = self.random.choose(&known);
        let msg_type = MsgType::parse(&key.1).expect("it was sent");
        let (body, number, mut out) = (self.sent[key].clone(), self.number(), Vec::new());
        self.encoder.message(number, self.now, msg_type, &body, &mut out);
        out
    }

    fn message(&mut self, msg_type: MsgType, body: &str) -> Vec<u8> {
        let (number, mut out) = (self.number(), Vec::new());
        self.encoder.message(number, self.now, msg_type, body.as_bytes(), &mut out);
        out
    }

    fn typed<B: Body>(&mut self, body: &B) -> Vec<u8> {
        if self.version.application < B::SINCE {
            return self.session_message();
        }
        let (number, mut out) = (self.number(), Vec::new());
        self.encoder.typed(number, self.now, body, &mut out);
        out
    }

    // ---- what the venue makes of it ------------------------------------------------------------------

    fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        loop {
            match frame(&self.input) {
                Framed::Incomplete => {
                    assert!(self.input.len() < MESSAGE_MAX, "it waits for more than a message");
                    return;
                }
                Framed::Garbled { skip, .. } => {
                    assert!((1..=self.input.len()).contains(&skip), "{skip} bytes skipped");
                    self.input.drain(..skip);
                    self.reached.garbled += u64::from(self.mutated);
                    self.session.handle_garbled(self.now);
                    self.drain();
                }
                Framed::Message { len } => {
                    let message: Vec<u8> = self.input.drain(..len).collect();
                    self.reached.framed += u64::from(self.mutated);
                    self.handle(&message);
                    self.release_held();
                }
            }
        }
    }

    fn release_held(&mut self) {
        let mut held = Vec::new();
        for _ in 0..=HELD_MAX {
            let before = self.session.next_in();
            if !self.session.release_held(&mut held) {
                assert!(self.session.next_in() >= before);
                return;
            }
            self.handle(&held);
        }
        panic!("more is held than there is room for");
    }

    fn handle(&mut self, bytes: &[u8]) {
        let mut fields = std::mem::replace(&mut self.fields, Fields::new());
        let parsed = Message::parse(bytes, &mut fields);
        match parsed {
            Ok(message) => self.take(&message),
            Err(_) => {
                self.session.handle_garbled(self.now);
                self.drain();
            }
        }
        self.fields = fields;
    }

    fn take(&mut self, message: &Message<'_>) {
        let (numbers, before) = (self.numbers(), self.session.state());
        let handled = self.session.handle_message(self.now, message);
        let mutated = u64::from(self.mutated);
        self.reached.session += mutated;
        match handled {
            Handled::Application(seq) => {
                assert_eq!(seq, numbers.0, "in sequence");
                self.reached.application += mutated;
                self.take_application(message, seq);
            }
            Handled::Held => self.reached.held += mutated,
            Handled::Consumed | Handled::Ignored => {}
        }
        let reset = self.drain();
        let now = self.numbers();
        assert!(reset || (now.0 >= numbers.0 && now.1 >= numbers.1), "{numbers:?}, then {now:?}");
        let logged_on = before == State::AwaitingLogon && self.session.state() == State::LoggedOn;
        self.reached.logons += mutated * u64::from(logged_on);
    }

    fn numbers(&self) -> (MsgSeqNum, MsgSeqNum) {
        (self.session.next_in(), self.session.next_out())
    }

    fn take_application(&mut self, message: &Message<'_>, seq: MsgSeqNum) {
        let mutated = u64::from(self.mutated);
        // Nobody asks a client's reports for anything; reading them must do no harm either.
        let _ = ReportMessage::parse(message);
        let origin = Origin::new(SessionId(1), seq.get(), Timestamp(self.now));
        let version = self.session.application_version();
        let admit = || Ok(());
        match translate::command(message, version, origin, &self.symbols, &self.rights, admit) {
            Ok(command) => {
                self.reached.commands += mutated;
                assert!(!self.has_canary || !is_canary(&command), "the canary sings");
                self.apply(&command);
            }
            Err(unserved) => match *unserved {
                Unserved::Message(refusal) => {
                    self.reached.refused += mutated;
                    self.session.refuse(self.now, message, &refusal);
                }
                _ => self.reached.unserved += mutated,
            },
        }
    }

    /// The engine takes a command, and its reports are sent.
    fn apply(&mut self, command: &Command) {
        let stamp = self.sequencer.stamp(Timestamp(self.now));
        let mut sink = VecSink::default();
        let next = self.engine.apply(stamp, command, &mut sink);
        self.sequencer.resume_at(next);
        for (stamp, event) in &sink.events {
            if matches!(event, Event::StatusChanged(_) | Event::StateHashed(_)) {
                continue;
            }
            self.reached.reports += u64::from(self.mutated);
            let mut out = Vec::new();
            let mut transmit =
                Transmit { session: &mut self.session, now: self.now, out: &mut out };
            translate::report(event, stamp.sequence, stamp.time, &self.symbols, &mut transmit);
            self.check_sent(&out, 1);
        }
    }

    /// Does what the session asks for; true when its numbers start anew.
    fn drain(&mut self) -> bool {
        let (mut reset, mut out, mut messages) = (false, Vec::new(), 0);
        for outputs in 0.. {
            let Some(output) = self.session.poll() else { break };
            assert!(outputs < OUTPUTS_MAX, "it has more to say than it may");
            match output {
                Output::Send(request) => {
                    assert!(request.body().len() <= BODY_MAX);
                    self.reached.answers += u64::from(self.mutated);
                    messages += 1;
                    let msg_type = request.msg_type();
                    self.session.transmit(self.now, msg_type, request.body(), &mut out);
                }
                Output::Resend { begin, end } => {
                    assert!(begin >= MsgSeqNum::FIRST && begin <= end);
                    assert!(
                        end < self.session.next_out(),
                        "nothing is sent again that was not sent"
                    );
                    self.reached.resends += u64::from(self.mutated);
                    messages += 1;
                    self.session.encode_gap_fill(begin, end.next(), self.now, &mut out);
                }
                Output::ResendThroughLogon { begin } => {
                    let next = self.session.next_out();
                    assert!(begin >= MsgSeqNum::FIRST && begin < next);
                    messages += 1;
                    self.session.encode_gap_fill(begin, next, self.now, &mut out);
                }
                Output::ResetSequence => {
                    reset = true;
                    self.reached.resets += u64::from(self.mutated);
                    self.session.reset_outbound();
                }
                Output::LoggedOn | Output::LoggedOut | Output::Disconnect(_) => {}
            }
        }
        assert!(out.len() <= messages * (BODY_MAX + ENVELOPE_MAX), "{} bytes", out.len());
        self.check_sent(&out, messages);
        reset
    }

    /// What the venue sends is so many messages, each valid in the version of the session.
    fn check_sent(&mut self, mut bytes: &[u8], messages: usize) {
        let (mut fields, version) = (Fields::new(), self.session.version());
        for _ in 0..messages {
            let shown = String::from_utf8_lossy(bytes).replace('\x01', "|");
            let Framed::Message { len } = frame(bytes) else { panic!("no message: {shown}") };
            let message = Message::parse(&bytes[..len], &mut fields).expect(&shown);
            let checked = version.dictionary().check(&message, Strictness::Strict);
            assert!(checked.is_ok(), "{version}: {checked:?}: {shown}");
            let (msg_type, body) = content(&message);
            if !MsgType::parse(&msg_type).is_some_and(MsgType::is_admin) {
                self.sent.insert((version.application.code(), msg_type), body);
            }
            bytes = &bytes[len..];
        }
        assert!(bytes.is_empty(), "{} bytes too many", bytes.len());
    }
}

/// The client's, for a version.
fn encoder(version: Version) -> Encoder {
    let precision = version.precision(Precision::Millis);
    Encoder::new(version, CLIENT, VENUE, TimestampText::new(precision))
}

/// Sends the report of an event.
struct Transmit<'a> {
    session: &'a mut Session,
    now: u64,
    out: &'a mut Vec<u8>,
}

impl MessageVisitor for Transmit<'_> {
    fn typed<B: Body>(&mut self, message: &B) {
        self.session.transmit_typed(self.now, message, self.out);
    }

    fn stored(&mut self, msg_type: MsgType, body: &[u8]) {
        self.session.transmit(self.now, msg_type, body, self.out);
    }

    fn nothing(&mut self) {
        self.session.transmit_gap(self.now, self.out);
    }
}

/// Type and body of a message.
fn content(message: &Message<'_>) -> (Vec<u8>, Vec<u8>) {
    const ENVELOPE: [u32; 10] = [8, 9, 35, 34, 43, 49, 52, 56, 122, 10];
    let mut body = Vec::new();
    for (tag, value) in message.iter().filter(|(tag, _)| !ENVELOPE.contains(tag)) {
        body.extend_from_slice(format!("{tag}=").as_bytes());
        body.extend_from_slice(value);
        body.push(SOH);
    }
    (message.get(35).unwrap_or_default().to_vec(), body)
}

// ---- mutations -----------------------------------------------------------------------------------------

/// Changes a message in one to three ways; mostly length and checksum are right afterwards, so that
/// the change is not found at the first look.
fn mutate(random: &mut Random, message: &mut Vec<u8>, other: &[u8]) {
    let times = *random.choose(&[1, 1, 1, 2, 3]);
    for _ in 0..times {
        if random.one_in(8) {
            mutate_bytes(random, message, other);
        } else {
            mutate_fields(random, message, other);
        }
    }
    if !random.one_in(16) {
        seal(message);
    }
}

fn at(random: &mut Random, length: usize) -> usize {
    random.below(length as u64) as usize
}

fn mutate_bytes(random: &mut Random, message: &mut Vec<u8>, other: &[u8]) {
    if message.is_empty() {
        return;
    }
    let place = at(random, message.len());
    match random.below(4) {
        0 => message[place] ^= 1 << random.below(8),
        1 => message.truncate(place),
        // The beginning of one, the end of another.
        2 => {
            message.truncate(place);
            message.extend_from_slice(&other[at(random, other.len())..]);
        }
        _ => {
            let bytes: Vec<u8> =
                (0..random.between(1, 20)).map(|_| random.next_u64() as u8).collect();
            message.splice(place..place, bytes);
        }
    }
}

/// The fields of a message, without the bytes that end them.
fn fields_of(message: &[u8]) -> Vec<Vec<u8>> {
    let fields = message.strip_suffix(&[SOH]).unwrap_or(message);
    fields.split(|byte| *byte == SOH).map(<[u8]>::to_vec).collect()
}

/// Fields of a header, from BeginString (8) to TargetCompID (56).
const HEADER_FIELDS: usize = 7;

fn mutate_fields(random: &mut Random, message: &mut Vec<u8>, other: &[u8]) {
    let (mut fields, others) = (fields_of(message), fields_of(other));
    // Rather in the body: most of what is wrong in a header ends the session.
    let header = if random.one_in(6) { 0 } else { HEADER_FIELDS.min(fields.len() - 1) };
    let mut any = |length: usize| header + at(random, length - header);
    let (place, second) = (any(fields.len()), any(fields.len()));
    let equals = fields[place].iter().position(|byte| *byte == b'=');
    match random.below(10) {
        0 => fields.insert(second, fields[place].clone()),
        1 => drop(fields.remove(place)),
        2 => fields.swap(place, second),
        3..6 => {
            if let Some(equals) = equals {
                fields[place].truncate(equals + 1);
                fields[place].extend_from_slice(random.choose::<&[u8]>(&ODD_VALUES));
            }
        }
        6 => {
            let value = equals.map_or(Vec::new(), |equals| fields[place].split_off(equals));
            fields[place] = random.choose(&TAGS).to_string().into_bytes();
            fields[place].extend_from_slice(&value);
        }
        7 => fields.insert(place, others[at(random, others.len())].clone()),
        // As often as there is room for, and once more.
        8 if random.one_in(10) => {
            let copies = vec![fields[place].clone(); random.between(100, 600) as usize];
            fields.splice(place..place, copies);
        }
        8 => {
            let length = random.between(1, 300) as usize;
            fields[place].extend(std::iter::repeat_n(b'7', length));
        }
        _ => fields.insert(place, format!("{}=1", random.choose(&TAGS)).into_bytes()),
    }
    *message = fields.join(&SOH);
    message.push(SOH);
}

/// Makes BodyLength and CheckSum what they should be, whatever the rest is.
fn seal(message: &mut Vec<u8>) {
    let mut fields = fields_of(message);
    let is = |field: &Vec<u8>, tag: &[u8]| field.starts_with(tag);
    let begin = fields.iter().find(|field| is(field, b"8=")).cloned();
    let begin = begin.unwrap_or_else(|| b"8=FIX.4.4".to_vec());
    fields.retain(|field| !is(field, b"8=") && !is(field, b"9=") && !is(field, b"10="));
    let mut body = fields.join(&SOH);
    body.push(SOH);
    *message = begin;
    message.extend_from_slice(format!("\x019={}\x01", body.len()).as_bytes());
    message.extend_from_slice(&body);
    let sum = checksum_text(checksum(message));
    message.extend_from_slice(b"10=");
    message.extend_from_slice(&sum);
    message.push(SOH);
}

/// What a venue with a planted bug dies of: the largest quantity that can be written. No client sends it that is
/// not mutated, and it has to come through framing, session, dictionary and translation.
fn is_canary(command: &Command) -> bool {
    matches!(command, Command::NewOrder(order) if order.order_qty == MANTISSA_MAX && order.qty_scale == 0)
}

fn number_from(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// The seed of every run that is not told another; all counts of it are above zero.
const SEED: u64 = 1;

#[test]
fn mutated_messages_do_no_harm_and_come_far() {
    let seed = number_from("FUZZ_SEED").unwrap_or(SEED);
    let iterations = number_from("FUZZ_ITERATIONS").unwrap_or(0).max(ITERATIONS);
    println!("FUZZ_SEED={seed} FUZZ_ITERATIONS={iterations} repeats it");
    let (mut pair, start) = (Pair::new(seed), Instant::now());
    for _ in 0..iterations {
        pair.step();
    }
    let reached = &pair.reached;
    let rate = iterations as f64 / start.elapsed().as_secs_f64();
    println!("{rate:.0} messages a second, of them mutated {reached:#?}");
    for (what, count) in [
        ("garbled", reached.garbled),
        ("framed", reached.framed),
        ("session", reached.session),
        ("logons", reached.logons),
        ("application", reached.application),
        ("commands", reached.commands),
        ("refused", reached.refused),
        ("unserved", reached.unserved),
        ("answers", reached.answers),
        ("held", reached.held),
        ("resends", reached.resends),
        ("resets", reached.resets),
        ("ended", reached.ended),
        ("reports", reached.reports),
    ] {
        assert!(count > 0, "no mutated message came to: {what}");
    }
    // In every version.
    for version in Version::ALL {
        let code = version.application.code();
        assert!(pair.sent.contains_key(&(code, b"8".to_vec())), "{version}: no report");
    }
}

#[test]
#[should_panic(expected = "the canary sings")]
fn a_planted_bug_is_found() {
    let mut pair = Pair::new(SEED);
    pair.has_canary = true;
    (0..ITERATIONS).for_each(|_| pair.step());
}
