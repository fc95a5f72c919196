//! Messages to and from clients, made again from what is journaled of them.

use ironbook_engine::{
    Account, Command, InstrumentId, OrdType, OrderId, Sequence, SessionId, Side, SideFilter,
    Symbol, TimeInForce, Timestamp,
    command::{NewOrder, ReplaceOrder},
};
use ironbook_fix::{
    encode::{Body, Encoder},
    field::{Decimal, MsgSeqNum, Precision, TimestampText},
    message::MsgType,
    order::{
        self as fix, MassCancelRequestType, NewOrderSingle, OrderCancelReplaceRequest,
        OrderCancelRequest, OrderMassCancelRequest, OrderStatusRequest,
    },
    version::Version,
};
use ironbook_gateway::{
    replay::{PlayError, fold},
    session_record::SessionRecord,
    sessions::{Audience, SessionTable, audience},
    translate::{MessageVisitor, SymbolTable, report},
};
use ironbook_journal::Frame;

use crate::{
    Fault,
    index::Index,
    moment::Moment,
    names::Names,
    show::{Content, Entry, comp_id},
};

/// What stands for the venue: the journal does not know its comp id.
const VENUE: &str = "VENUE";

/// A message that a client sent, or was sent.
pub(super) struct Sent<'a> {
    /// Sequence of its frame.
    pub sequence: u64,
    /// Time of its frame.
    pub time_ns: u64,
    /// Whose it is.
    pub session: SessionId,
    /// Whether the venue sent it.
    pub to_client: bool,
    /// The message; empty where there are no words for it.
    pub bytes: &'a [u8],
}

/// Makes messages. What clients sent that is no command is not journaled, and not there.
pub(super) struct Messages {
    names: Names,
    /// As it is before the frame at hand: how many messages were sent.
    sessions: SessionTable,
    /// The message at hand.
    bytes: Vec<u8>,
}

impl Messages {
    /// Before a frame.
    pub(super) fn before(index: &Index, names: Names, sequence: u64) -> Result<Self, Fault> {
        let sequence = sequence.min(index.last_sequence() + 1);
        let input =
            if sequence > index.last_sequence() { sequence } else { index.input_of(sequence)? };
        let mut sessions = Moment::before(index, input)?.sessions().clone();
        let mut problem = Ok(());
        let span = crate::question::Span { first: input, last: sequence - 1 };
        crate::question::scan(index, &[], span, |frame| {
            if problem.is_ok() {
                problem = fold(&mut sessions, frame);
            }
        })?;
        problem.map_err(PlayError::from)?;
        Ok(Self { names, sessions, bytes: Vec::new() })
    }

    /// Shows the messages of a frame, if it is `wanted`, and takes it into account.
    pub(super) fn take(
        &mut self,
        frame: &Frame<'_>,
        wanted: bool,
        each: &mut dyn FnMut(&Sent<'_>),
    ) -> Result<(), Fault> {
        if wanted {
            let mut entry = Entry::of(frame);
            self.names.redact(&mut entry);
            let entry = &entry;
            match &entry.content {
                Content::Command(command) => {
                    let origin = command.origin().filter(|origin| origin.msg_seq_num != 0);
                    if let Some(origin) = origin {
                        let way = (false, origin.msg_seq_num);
                        self.make(entry, origin.session, way, &Message::Request(command), each);
                    }
                }
                Content::Event(event) => {
                    self.for_clients(frame, entry, &Message::Report(event), each);
                }
                Content::Session(SessionRecord::Outbound { msg_type, body, .. }) => {
                    self.for_clients(frame, entry, &Message::Stored(msg_type, body), each);
                }
                _ => {}
            }
        }
        fold(&mut self.sessions, frame).map_err(PlayError::from)?;
        Ok(())
    }

    /// A message for each session that gets it, with its number there.
    fn for_clients(
        &mut self,
        frame: &Frame<'_>,
        entry: &Entry,
        message: &Message<'_>,
        each: &mut dyn FnMut(&Sent<'_>),
    ) {
        let (one, copies) = match audience(frame) {
            Ok(Audience::Session(session)) => (session, 0),
            Ok(Audience::SessionAndCopies(session)) => (session, self.sessions.drop_copies()),
            Ok(Audience::Nobody) | Err(_) => return,
        };
        let copies = (0..copies).filter_map(|index| self.sessions.copy_to(index, one));
        let sessions: Vec<_> = std::iter::once(one).chain(copies).collect();
        for session in sessions {
            let next = self.sessions.get(session).map_or(1, |numbers| numbers.next_out.max(1));
            self.make(entry, session, (true, next), message, each);
        }
    }

    /// Makes a message with its number, one way or the other.
    fn make(
        &mut self,
        entry: &Entry,
        session: SessionId,
        (to_client, number): (bool, u64),
        message: &Message<'_>,
        each: &mut dyn FnMut(&Sent<'_>),
    ) {
        let client = comp_id(self.names.engine(), session);
        let (sender, target) = if to_client { (VENUE, &*client) } else { (&*client, VENUE) };
        let time = TimestampText::new(Precision::Nanos);
        let encoder = Encoder::new(Version::FIX44, sender, target, time);
        self.bytes.clear();
        let mut writer = Written { encoder, number, time_ns: entry.time_ns, out: &mut self.bytes };
        match message {
            Message::Request(command) => writer.request(command, self.names.symbols()),
            Message::Report(event) => {
                let (sequence, time) = (Sequence(entry.sequence), Timestamp(entry.time_ns));
                report(event, sequence, time, self.names.symbols(), &mut writer);
            }
            Message::Stored(msg_type, body) => {
                if let Some(msg_type) = MsgType::parse(msg_type) {
                    writer.stored(msg_type, body);
                }
            }
        }
        let (sequence, time_ns) = (entry.sequence, entry.time_ns);
        each(&Sent { sequence, time_ns, session, to_client, bytes: &self.bytes });
    }
}

/// What a message is made of.
enum Message<'a> {
    Request(&'a Command),
    Report(&'a ironbook_engine::Event),
    Stored(&'a [u8], &'a [u8]),
}

/// A message that is being written.
struct Written<'a> {
    encoder: Encoder,
    number: u64,
    time_ns: u64,
    out: &'a mut Vec<u8>,
}

impl MessageVisitor for Written<'_> {
    fn typed<B: Body>(&mut self, message: &B) {
        self.encoder.typed(MsgSeqNum::new(self.number), self.time_ns, message, self.out);
    }

    fn stored(&mut self, msg_type: MsgType, body: &[u8]) {
        self.encoder.message(MsgSeqNum::new(self.number), self.time_ns, msg_type, body, self.out);
    }

    fn nothing(&mut self) {}
}

impl Written<'_> {
    /// The message that a command came in, as far as the command tells: without what the venue does not
    /// look at.
    fn request(&mut self, command: &Command, symbols: &SymbolTable) {
        let text = |order_id: OrderId| order_id.0.to_string();
        let named = |order_id: OrderId| (order_id != OrderId::NONE).then(|| text(order_id));
        let symbol = |instrument: InstrumentId, unknown: &'_ Symbol| {
            symbols.symbol(instrument).unwrap_or(unknown).as_bytes().to_vec()
        };
        match command {
            Command::NewOrder(order) => {
                let symbol = symbol(order.instrument, &order.unknown_symbol);
                self.typed(&new_order(order, &symbol));
            }
            Command::ReplaceOrder(request) => {
                let symbol = symbol(request.instrument, &Symbol::EMPTY);
                let order_id = named(request.order_id);
                self.typed(&OrderCancelReplaceRequest {
                    orig_cl_ord_id: request.orig_cl_ord_id.as_bytes(),
                    order_id: order_id.as_deref().map(str::as_bytes),
                    order: replacement(request, &symbol),
                });
            }
            Command::CancelOrder(request) => {
                let symbol = symbol(request.instrument, &Symbol::EMPTY);
                let order_id = named(request.order_id);
                self.typed(&OrderCancelRequest {
                    cl_ord_id: request.cl_ord_id.as_bytes(),
                    orig_cl_ord_id: request.orig_cl_ord_id.as_bytes(),
                    order_id: order_id.as_deref().map(str::as_bytes),
                    account: None,
                    symbol: &symbol,
                    side: side(request.side),
                    order_qty: None,
                    partial: false,
                    transact_time_ns: request.origin.received.0,
                });
            }
            Command::MassCancel(request) => {
                let symbol = symbol(request.instrument, &Symbol::EMPTY);
                let all = request.request_type == MassCancelRequestType::All.code();
                self.typed(&OrderMassCancelRequest {
                    cl_ord_id: request.cl_ord_id.as_bytes(),
                    request_type: if all {
                        MassCancelRequestType::All
                    } else {
                        MassCancelRequestType::Security
                    },
                    symbol: (!symbol.is_empty()).then_some(&symbol),
                    side: match request.side {
                        SideFilter::Both => None,
                        SideFilter::Buy => Some(fix::Side::Buy),
                        SideFilter::Sell => Some(fix::Side::Sell),
                    },
                    transact_time_ns: request.origin.received.0,
                });
            }
            Command::QueryOrder(request) => {
                let symbol = symbol(request.instrument, &request.unknown_symbol);
                let order_id = named(request.order_id);
                self.typed(&OrderStatusRequest {
                    cl_ord_id: request.cl_ord_id.as_bytes(),
                    order_id: order_id.as_deref().map(str::as_bytes),
                    ord_status_req_id: None,
                    account: None,
                    symbol: &symbol,
                    side: side(request.side),
                });
            }
            Command::Limits(_)
            | Command::DefineInstrument(_)
            | Command::SetInstrumentStatus(_)
            | Command::CancelOnDisconnect(_)
            | Command::DefineSession(_) => {}
        }
    }
}

fn new_order<'a>(order: &'a NewOrder, symbol: &'a [u8]) -> NewOrderSingle<'a> {
    let limited = order.ord_type == OrdType::Limit;
    let price = Decimal::new(order.price, order.price_scale);
    let qty = Decimal::new(order.order_qty, order.qty_scale);
    let id = order.cl_ord_id.as_bytes();
    let received = order.origin.received.0;
    NewOrderSingle {
        account: (order.account != Account::EMPTY).then_some(order.account.as_bytes()),
        ord_type: ord_type(order.ord_type),
        price: limited.then_some(price),
        time_in_force: match order.time_in_force {
            TimeInForce::Day => fix::TimeInForce::Day,
            TimeInForce::Gtc => fix::TimeInForce::GoodTillCancel,
            TimeInForce::Ioc => fix::TimeInForce::ImmediateOrCancel,
            TimeInForce::Fok => fix::TimeInForce::FillOrKill,
        },
        ..NewOrderSingle::limit(id, symbol, side(order.side), qty, price, received)
    }
}

fn replacement<'a>(request: &'a ReplaceOrder, symbol: &'a [u8]) -> NewOrderSingle<'a> {
    let price = Decimal::new(request.price, request.price_scale);
    let qty = Decimal::new(request.order_qty, request.qty_scale);
    let id = request.cl_ord_id.as_bytes();
    let received = request.origin.received.0;
    NewOrderSingle {
        ord_type: ord_type(request.ord_type),
        price: (request.ord_type == OrdType::Limit).then_some(price),
        ..NewOrderSingle::limit(id, symbol, side(request.side), qty, price, received)
    }
}

fn side(side: Side) -> fix::Side {
    match side {
        Side::Buy => fix::Side::Buy,
        Side::Sell => fix::Side::Sell,
    }
}

fn ord_type(ord_type: OrdType) -> fix::OrdType {
    match ord_type {
        OrdType::Market => fix::OrdType::Market,
        OrdType::Limit => fix::OrdType::Limit,
    }
}
