//! Messages to and from clients, as a FIX log has them.

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

use super::Lines;
use crate::{
    Fault,
    index::Index,
    moment::Moment,
    names::Names,
    show::{Content, Entry, comp_id},
    text::utc,
};

/// What stands for the venue: the journal does not know its comp id.
const VENUE: &str = "VENUE";

/// Makes lines.
pub(super) struct FixLog {
    names: Names,
    /// As it is before the frame at hand: how many messages were sent.
    sessions: SessionTable,
}

impl FixLog {
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
        Ok(Self { names, sessions })
    }

    /// Appends a line: when, which way, the message.
    fn line(
        &self,
        entry: &Entry,
        session: SessionId,
        (to_client, number): (bool, u64),
        message: &Message<'_>,
        out: &mut Vec<u8>,
    ) {
        let client = comp_id(self.names.engine(), session);
        let (sender, target, way) =
            if to_client { (VENUE, &*client, '>') } else { (&*client, VENUE, '<') };
        out.extend_from_slice(
            format!("{} {} {way} ", utc(entry.time_ns), entry.sequence).as_bytes(),
        );
        let time = TimestampText::new(Precision::Nanos);
        let encoder = Encoder::new(Version::FIX44, sender, target, time);
        let from = out.len();
        let mut writer = Written { encoder, number, time_ns: entry.time_ns, out };
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
        out[from..].iter_mut().filter(|byte| **byte == 1).for_each(|byte| *byte = b'|');
        out.push(b'\n');
    }
}

/// What a line holds.
enum Message<'a> {
    Request(&'a Command),
    Report(&'a ironbook_engine::Event),
    Stored(&'a [u8], &'a [u8]),
}

impl Lines for FixLog {
    fn take(&mut self, frame: &Frame<'_>, wanted: bool, out: &mut Vec<u8>) -> Result<u64, Fault> {
        let mut lines = 0;
        if wanted {
            let mut entry = Entry::of(frame);
            self.names.redact(&mut entry);
            let entry = &entry;
            match &entry.content {
                Content::Command(command) => {
                    let origin = command.origin().filter(|origin| origin.msg_seq_num != 0);
                    if let Some(origin) = origin {
                        let way = (false, origin.msg_seq_num);
                        self.line(entry, origin.session, way, &Message::Request(command), out);
                        lines += 1;
                    }
                }
                Content::Event(event) => {
                    lines += self.to_clients(frame, entry, &Message::Report(event), out)?;
                }
                Content::Session(SessionRecord::Outbound { msg_type, body, .. }) => {
                    let message = Message::Stored(msg_type, body);
                    lines += self.to_clients(frame, entry, &message, out)?;
                }
                _ => {}
            }
        }
        fold(&mut self.sessions, frame).map_err(PlayError::from)?;
        Ok(lines)
    }
}

impl FixLog {
    /// A line for each session that gets the message, with its number there.
    fn to_clients(
        &self,
        frame: &Frame<'_>,
        entry: &Entry,
        message: &Message<'_>,
        out: &mut Vec<u8>,
    ) -> Result<u64, Fault> {
        let (one, copies) = match audience(frame) {
            Ok(Audience::Session(session)) => (session, 0),
            Ok(Audience::SessionAndCopies(session)) => (session, self.sessions.drop_copies()),
            Ok(Audience::Nobody) | Err(_) => return Ok(0),
        };
        let mut lines = 0;
        let copies = (0..copies).filter_map(|index| self.sessions.copy_to(index, one));
        for session in std::iter::once(one).chain(copies) {
            let next = self.sessions.get(session).map_or(1, |numbers| numbers.next_out.max(1));
            self.line(entry, session, (true, next), message, out);
            lines += 1;
        }
        Ok(lines)
    }
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
