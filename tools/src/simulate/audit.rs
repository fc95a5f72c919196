//! Reads the journal from its start, as an auditor would: what was told to whom, where quantity
//! and money went, and what had become durable.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
};

use ironbook_engine::{
    Command, Event, InstrumentId, Sequence, SessionId, Side, Symbol, Timestamp, command::Origin,
    engine::Engine,
};
use ironbook_fix::{
    encode::Body,
    field::{INTEGER_TEXT_MAX, Precision, TimestampText, write_u64},
    message::{Message, MsgType},
    version::ApplVerId,
};
use ironbook_gateway::{
    config::{Acknowledge, Config},
    session_record::{Copies, SessionRecord},
    symbols::SymbolTable,
    translate::{self, MessageVisitor},
};
use ironbook_journal::{DurablePosition, Frame, Position, Reader};

use super::{
    carried_out::CarriedOut,
    client::readable,
    market::{DROP_COPY, INSTRUMENTS, TRADERS},
    model::{Facts, Model, OpenOrder},
    rules::Rules,
    violation::{Checked, Oracle, Violation, ensure},
};

/// Where the journal stands at a frame: two journals that agree here agree before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Sequence of the frame, 0 before the first.
    pub sequence: u64,
    /// Hash of all frames up to it.
    pub hash: u64,
}

/// A message to a session, as the journal has it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Time of the frame, which is SendingTime (52).
    pub time_ns: u64,
    /// Where the frame ends.
    end: Position,
    msg_type: MsgType,
    /// All of it but its header and trailer.
    body: Vec<u8>,
    /// What an ExecutionReport (8) of an order says, read from the event without the venue's help.
    facts: Option<Facts>,
}

impl Sent {
    /// Whether it is a message of the session layer, which is not sent again.
    pub fn is_admin(&self) -> bool {
        self.msg_type.is_admin()
    }

    /// Whether a message with this type and body says this.
    pub fn is(&self, msg_type: &[u8], body: &[u8]) -> bool {
        self.msg_type.text().as_ref() == msg_type && self.body == body
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.msg_type.text();
        let msg_type = String::from_utf8_lossy(text.as_ref());
        write!(f, "35={msg_type}|{} of {} ns", readable(&self.body), self.time_ns)
    }
}

/// Keeps the message that an event stands for.
#[derive(Default)]
struct Kept(Option<(MsgType, Vec<u8>)>);

impl MessageVisitor for Kept {
    fn typed<B: Body>(&mut self, message: &B) {
        let mut body = Vec::new();
        let mut text = TimestampText::new(Precision::Millis);
        message.encode_body(&mut body, &mut text, ApplVerId::Fix44);
        self.0 = Some((B::MSG_TYPE, body));
    }

    fn stored(&mut self, msg_type: MsgType, body: &[u8]) {
        self.0 = Some((msg_type, body.to_vec()));
    }

    fn nothing(&mut self) {}
}

/// What the journal says of a session.
#[derive(Clone, Debug, Default)]
pub struct SessionAudit {
    /// How many times its numbers started anew.
    pub epoch: u64,
    /// Messages to it since then, by MsgSeqNum from 1.
    pub sent: Vec<Sent>,
    /// MsgSeqNum expected from it.
    pub next_in: u64,
    copies: Copies,
}

/// Where quantity and money of an instrument went, in its last decimals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Flow {
    /// Of accepted orders, by what replaces added and took.
    entered: i128,
    /// Of both sides of all trades.
    traded: i128,
    /// What was left of orders that closed.
    withdrawn: i128,
    /// Sum of quantity times price of all buys, and of all sells.
    money: [i128; 2],
}

/// What frames change.
struct Books {
    symbols: SymbolTable,
    /// By session id; the first entry is the venue's.
    sessions: Vec<SessionAudit>,
    /// All open orders.
    orders: Model,
    /// Session of each order that was ever accepted.
    owners: BTreeMap<u64, SessionId>,
    flows: Vec<Flow>,
    /// The first side of a trade whose second has not come.
    half_trade: Option<Facts>,
    /// Trades, each counted once.
    trades: u64,
    /// Commands of clients.
    requests: u64,
}

/// What a frame holds.
enum Known {
    Record(SessionRecord),
    Command(Command),
    Event(Event),
}

impl Known {
    fn decode(frame: &Frame<'_>) -> Result<Self, String> {
        if SessionRecord::is_kind(frame.kind) {
            let record = SessionRecord::decode(frame.kind, frame.payload);
            Ok(Self::Record(record.ok_or("an unknown session record")?))
        } else if Event::is_kind(frame.kind) {
            let event = Event::decode(frame.kind, frame.payload);
            Ok(Self::Event(event.map_err(|error| error.to_string())?))
        } else {
            let command = Command::decode(frame.kind, frame.payload);
            Ok(Self::Command(command.map_err(|error| error.to_string())?))
        }
    }
}

/// Everything that the journal says.
pub struct Audit {
    reader: Reader,
    /// The last frame.
    pub mark: Mark,
    last_time_ns: u64,
    books: Books,
    /// What bounds orders.
    pub rules: Rules,
    /// What operators asked for.
    pub carried_out: CarriedOut,
    /// Frames that are not known to be durable.
    not_durable: VecDeque<(Position, Mark)>,
    /// The last frame that was said to be durable.
    pub durable: Mark,
    durable_position: Position,
    /// Reports wait until they are durable.
    durable_policy: bool,
}

impl Audit {
    /// Of a journal that is read from its first frame on, of a venue with this configuration that runs since then.
    pub fn new(reader: Reader, config: &Config, since: Timestamp) -> Self {
        Self {
            reader,
            mark: Mark::default(),
            last_time_ns: 0,
            books: Books::new(),
            rules: Rules::new(config, since),
            carried_out: CarriedOut::new(since),
            not_durable: VecDeque::new(),
            durable: Mark::default(),
            durable_position: Position::START,
            durable_policy: config.venue.acknowledge == Acknowledge::Durable,
        }
    }

    /// Whether what ends there may be told, as far as the policy asks.
    pub fn is_safe(&self, end: Position) -> bool {
        !self.durable_policy || end <= self.durable_position
    }

    /// The session with this comp id.
    pub fn session_of(&self, comp_id: &str) -> &SessionAudit {
        &self.books.sessions[session_id(comp_id).0 as usize]
    }

    /// Trades, each counted once.
    pub fn trades(&self) -> u64 {
        self.books.trades
    }

    /// Commands of clients.
    pub fn requests(&self) -> u64 {
        self.books.requests
    }

    /// Open orders that this session hears of: its own, or all if it is a drop copy.
    pub fn orders_of(&self, comp_id: &str) -> Model {
        let (all, session) = (comp_id == DROP_COPY, session_id(comp_id));
        let own = |id: &u64| all || self.books.owners.get(id) == Some(&session);
        let orders = self.books.orders.orders.iter().filter(|(id, _)| own(id));
        Model { orders: orders.map(|(id, order)| (*id, order.clone())).collect() }
    }

    /// Reads what is new, and learns how far the journal is durable.
    pub fn follow(&mut self, durable: &DurablePosition) -> Checked {
        self.read(None)?;
        self.durable_position = durable.get();
        while let Some((end, mark)) = self.not_durable.front()
            && *end <= self.durable_position
        {
            self.durable = *mark;
            self.not_durable.pop_front();
        }
        Ok(())
    }

    /// Reads what is new, which must agree with what was read before a crash.
    pub fn read(&mut self, before: Option<Mark>) -> Checked {
        loop {
            let frame = match self.reader.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return Err(Violation::new(Oracle::Acknowledged, error.to_string())),
            };
            let mark = Mark { sequence: frame.sequence, hash: hash_of(self.mark.hash, &frame) };
            ensure(Oracle::Sequence, frame.sequence == self.mark.sequence + 1, || {
                format!("frame {} follows {}", frame.sequence, self.mark.sequence)
            })?;
            ensure(Oracle::Sequence, frame.time_ns >= self.last_time_ns, || {
                format!("time goes back at frame {}", frame.sequence)
            })?;
            self.mark = mark;
            self.last_time_ns = frame.time_ns;
            self.not_durable.push_back((frame.end, mark));
            fold(&mut self.books, &mut self.rules, &mut self.carried_out, &frame)
                .map_err(|violation| violation.of(&format!("frame {}", mark.sequence)))?;
            if let Some(before) = before
                && before.sequence == mark.sequence
            {
                ensure(Oracle::Acknowledged, before == mark, || {
                    format!("up to frame {} the journal is not what it was", mark.sequence)
                })?;
            }
        }
        let lost = before.is_some_and(|before| before.sequence > self.mark.sequence);
        ensure(Oracle::Acknowledged, !lost, || {
            let kept = before.map_or(0, |before| before.sequence);
            format!("frame {kept} should be there, the last one is {}", self.mark.sequence)
        })
    }

    /// A message that a client is just told must be in the journal, as far as the policy asks.
    pub fn check_told(&self, session: &SessionAudit, seq: u64, message: &Message<'_>) -> Checked {
        self.check_content(session, seq, message, message.sending_time_ns())?;
        let sent = &session.sent[seq as usize - 1];
        ensure(Oracle::Acknowledged, self.is_safe(sent.end), || {
            format!("told before it is durable: {}", readable(message.bytes()))
        })
    }

    /// A message that comes for the first time or again must be what the journal has under its
    /// number, first sent at `time_ns`.
    pub fn check_content(
        &self,
        session: &SessionAudit,
        seq: u64,
        message: &Message<'_>,
        time_ns: Option<u64>,
    ) -> Checked {
        let wrong = |what: String| {
            let text = readable(message.bytes());
            Violation::new(Oracle::Acknowledged, format!("{what}: {text}"))
        };
        let Some(sent) = session.sent.get(seq as usize - 1) else {
            return Err(wrong("the journal has no such message".to_owned()));
        };
        if time_ns.map(|time| time / 1_000_000) != Some(sent.time_ns / 1_000_000) {
            return Err(wrong(format!("SendingTime is not that of {sent}")));
        }
        if sent.facts.is_some() && Facts::of_message(message) != sent.facts {
            return Err(wrong(format!("the journal says {:?}", sent.facts)));
        }
        let (msg_type, body) = content(message);
        if !sent.is(&msg_type, &body) {
            return Err(wrong(format!("the journal says {sent}")));
        }
        Ok(())
    }

    /// What the journal says must be what the engine has.
    pub fn check_engine(&self, engine: &Engine) -> Checked {
        let all = |_: SessionId| true;
        let difference = self.books.orders.difference(&engine_orders(engine, all));
        ensure(Oracle::Views, difference.is_none(), || {
            format!("journal and engine: {}", difference.unwrap_or_default())
        })?;
        ensure(Oracle::Conservation, self.books.half_trade.is_none(), || {
            format!("half a trade: {:?}", self.books.half_trade)
        })?;
        if engine.last_sequence().0 <= self.mark.sequence {
            let difference = self.rules.difference(engine);
            ensure(Oracle::Bounds, difference.is_none(), || {
                format!("engine and journal: {}", difference.unwrap_or_default())
            })?;
        }
        for (flow, instrument) in self.books.flows.iter().zip(engine.instruments()) {
            let id = instrument.definition.instrument;
            let book = engine.book(id);
            let side = |side| book.iter().flat_map(move |book| book.levels(side));
            let levels = || side(Side::Buy).chain(side(Side::Sell));
            let resting: i128 = levels().map(|level| level.qty() as i128).sum();
            let symbol = instrument.definition.symbol;
            ensure(
                Oracle::Conservation,
                flow.entered == flow.traded + flow.withdrawn + resting,
                || format!("{symbol}: {flow:?}, resting {resting}"),
            )?;
            ensure(Oracle::Conservation, flow.money[0] == flow.money[1], || {
                format!("{symbol}: bought for {}, sold for {}", flow.money[0], flow.money[1])
            })?;
            let best = |of| side(of).next().map(|level| level.price);
            let crossed = matches!(
                (best(Side::Buy), best(Side::Sell)), (Some(bid), Some(ask)) if bid >= ask
            );
            ensure(Oracle::Conservation, !crossed, || format!("{symbol}: the book is crossed"))?;
        }
        Ok(())
    }
}

/// Takes a frame into everything that is worked out from the journal.
fn fold(
    books: &mut Books,
    rules: &mut Rules,
    carried_out: &mut CarriedOut,
    frame: &Frame<'_>,
) -> Checked {
    let violates = |oracle| move |what: String| Violation::new(oracle, what);
    let known = Known::decode(frame).map_err(violates(Oracle::Conservation))?;
    let time = Timestamp(frame.time_ns);
    let (bounds, asked) = match &known {
        Known::Record(record) => {
            let asked = match record {
                SessionRecord::Operator(record) => {
                    carried_out.take_record(record, frame, rules.halted())
                }
                _ => Ok(()),
            };
            (rules.take_record(record, time), asked)
        }
        Known::Command(command) => {
            (rules.take_command(command, time), carried_out.take_command(command, frame))
        }
        Known::Event(event) => {
            carried_out.take_event(event, frame);
            (rules.take_event(event), Ok(()))
        }
    };
    bounds.map_err(violates(Oracle::Bounds))?;
    asked.map_err(violates(Oracle::Operators))?;
    books.take(known, frame).map_err(violates(Oracle::Conservation))
}

/// The number that the venue gives a session of the market.
pub fn session_id(comp_id: &str) -> SessionId {
    let index = TRADERS.iter().chain([&DROP_COPY]).position(|known| *known == comp_id);
    SessionId(index.expect("a session of the market") as u32 + 1)
}

/// Resting orders of the engine whose session is among these.
pub fn engine_orders(engine: &Engine, whose: impl Fn(SessionId) -> bool) -> Model {
    let mut model = Model::default();
    for instrument in engine.instruments() {
        let book = engine.book(instrument.definition.instrument);
        for side in [Side::Buy, Side::Sell] {
            let levels = book.iter().flat_map(|book| book.levels(side));
            for view in levels.flat_map(|level| level.orders()) {
                if whose(view.session) {
                    model.orders.insert(view.order_id.0, OpenOrder::of_view(&view));
                }
            }
        }
    }
    model
}

/// Fields that are the session's, not the message's.
const HEADER: [u32; 9] = [8, 9, 35, 34, 43, 49, 52, 56, 122];

/// CheckSum (10), the trailer.
const CHECK_SUM: u32 = 10;

/// MsgType (35) of a message, and what it says but for header and trailer.
pub fn content(message: &Message<'_>) -> (Vec<u8>, Vec<u8>) {
    let (mut body, mut digits) = (Vec::with_capacity(message.bytes().len()), [0; INTEGER_TEXT_MAX]);
    for (tag, value) in message.iter() {
        if !HEADER.contains(&tag) && tag != CHECK_SUM {
            let length = write_u64(&mut digits, tag.into());
            body.extend_from_slice(&digits[..length]);
            body.push(b'=');
            body.extend_from_slice(value);
            body.push(1);
        }
    }
    let msg_type = message.msg_type().map(|known| known.text().as_ref().to_vec());
    (msg_type.unwrap_or_default(), body)
}

impl Books {
    fn new() -> Self {
        let symbols = INSTRUMENTS.iter().enumerate().map(|(index, known)| {
            let symbol = Symbol::try_from(known.symbol).expect("a symbol of the market");
            (symbol, InstrumentId(index as u32 + 1))
        });
        let unused = SessionAudit { next_in: 1, ..SessionAudit::default() };
        Self {
            symbols: symbols.collect(),
            sessions: vec![unused; TRADERS.len() + 2],
            orders: Model::default(),
            owners: BTreeMap::new(),
            flows: vec![Flow::default(); INSTRUMENTS.len()],
            half_trade: None,
            trades: 0,
            requests: 0,
        }
    }

    fn take(&mut self, known: Known, frame: &Frame<'_>) -> Result<(), String> {
        match known {
            Known::Record(record) => self.take_record(record, frame),
            Known::Command(command) => {
                self.take_command(&command);
                Ok(())
            }
            Known::Event(event) => self.take_event(&event, frame),
        }
    }

    fn take_record(&mut self, record: SessionRecord, frame: &Frame<'_>) -> Result<(), String> {
        let session = &mut self.sessions[record.session().0 as usize];
        match record {
            SessionRecord::Inbound { next, .. } => session.next_in = next,
            SessionRecord::Outbound { msg_type, body, .. } => {
                let msg_type = MsgType::parse(&msg_type).ok_or("an unknown MsgType")?;
                let (time_ns, end) = (frame.time_ns, frame.end);
                session.sent.push(Sent { time_ns, end, msg_type, body, facts: None });
            }
            SessionRecord::Reset { .. } => {
                session.epoch += 1;
                session.sent.clear();
                session.next_in = 1;
            }
            SessionRecord::Role { copies, .. } => session.copies = copies,
            SessionRecord::Lost { .. }
            | SessionRecord::Throttle { .. }
            | SessionRecord::Operator(_) => {}
        }
        Ok(())
    }

    fn take_command(&mut self, command: &Command) {
        let origin: &Origin = match command {
            Command::NewOrder(command) => &command.origin,
            Command::CancelOrder(command) => &command.origin,
            Command::ReplaceOrder(command) => &command.origin,
            Command::MassCancel(command) => &command.origin,
            Command::QueryOrder(command) => &command.origin,
            _ => return,
        };
        if origin.msg_seq_num == 0 {
            // Asked for in no message.
            return;
        }
        self.requests += 1;
        self.sessions[origin.session.0 as usize].next_in = origin.msg_seq_num + 1;
    }

    fn take_event(&mut self, event: &Event, frame: &Frame<'_>) -> Result<(), String> {
        let (session, facts) = match event {
            Event::Execution(event) => {
                let facts = Facts::of_event(event);
                self.take_execution(&facts)?;
                self.owners.insert(facts.order_id, event.session);
                (event.session, Some(facts))
            }
            Event::OrderRejected(event) => (event.session, None),
            Event::CancelRejected(event) => (event.session, None),
            Event::MassCanceled(event) => (event.session, None),
            Event::StatusChanged(_)
            | Event::StateHashed(_)
            | Event::SessionTripped(_)
            | Event::TradingStatusChanged(_) => return Ok(()),
        };
        let (time_ns, end, mut kept) = (frame.time_ns, frame.end, Kept::default());
        let (sequence, time) = (Sequence(frame.sequence), Timestamp(time_ns));
        translate::report(event, sequence, time, &self.symbols, &mut kept);
        let (msg_type, body) = kept.0.ok_or("an event without a report")?;
        let sent = Sent { time_ns, end, msg_type, body, facts };
        for (index, known) in self.sessions.iter_mut().enumerate() {
            if index == session.0 as usize || known.copies.cover(session) {
                known.sent.push(sent.clone());
            }
        }
        Ok(())
    }

    fn take_execution(&mut self, facts: &Facts) -> Result<(), String> {
        let before = self.orders.apply(facts, true)?;
        let flow = &mut self.flows[facts.instrument as usize - 1];
        let leaves_before = before.map_or(0, |before| i128::from(before.leaves_qty));
        let leaves = i128::from(facts.leaves_qty);
        match facts.exec_type {
            b'0' | b'5' => flow.entered += leaves - leaves_before,
            b'F' => {
                flow.traded += i128::from(facts.last_qty);
                let money = i128::from(facts.last_qty) * i128::from(facts.last_px);
                flow.money[usize::from(facts.side == Side::Sell.code())] += money;
                self.take_trade(facts)?;
            }
            b'I' => {}
            _ => flow.withdrawn += leaves_before,
        }
        Ok(())
    }

    fn take_trade(&mut self, facts: &Facts) -> Result<(), String> {
        let Some(other) = self.half_trade.take() else {
            self.half_trade = Some(facts.clone());
            return Ok(());
        };
        self.trades += 1;
        let same =
            |facts: &Facts| (facts.trade_id, facts.instrument, facts.last_qty, facts.last_px);
        if same(&other) != same(facts) || other.side == facts.side || facts.last_qty <= 0 {
            return Err(format!("two sides of a trade differ: {other:?}, {facts:?}"));
        }
        Ok(())
    }
}

/// Hash of all frames up to this one. Not a checksum of bytes: it says what the journal means.
fn hash_of(hash: u64, frame: &Frame<'_>) -> u64 {
    let mix =
        |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let head = [frame.sequence, frame.time_ns, u64::from(frame.kind)];
    let hash = head.into_iter().fold(hash, mix);
    let (words, rest) = frame.payload.as_chunks::<8>();
    let hash = words.iter().fold(hash, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}
