//! Rows of a table: a frame each.

use std::io::Write as _;

use ironbook_engine::{
    ClOrdId, Command, Event, ExecType, InstrumentId, OrdType, OrderId, SessionId,
    domain::ExecReason,
};
use ironbook_fix::field::{
    DECIMAL_TEXT_MAX, Decimal, Precision, TIMESTAMP_TEXT_MAX, TimestampText, write_decimal,
};
use ironbook_gateway::session_record::SessionRecord;
use ironbook_journal::Frame;

use super::{Form, Out};
use crate::{
    Fault,
    names::Names,
    show::{Content, Entry, comp_id, symbol},
};

/// The columns. Times are UTC to the nanosecond, prices and quantities exact decimals; what a frame has
/// not is empty. `kind` is the FIX name of the message; `reason` is the rule of a reject, or why an order
/// was canceled.
pub const HEADER: &str = "sequence,time,kind,session,symbol,order_id,cl_ord_id,orig_cl_ord_id,\
    account,side,ord_type,time_in_force,price,order_qty,leaves_qty,cum_qty,last_px,last_qty,\
    trade_id,exec_type,ord_status,reason";

/// Makes rows.
pub(super) struct Csv {
    names: Names,
    /// By id; the first is that of none.
    symbols: Vec<String>,
    comp_ids: Vec<String>,
    time: TimestampText,
}

impl Csv {
    pub(super) fn new(names: Names) -> Self {
        let engine = names.engine();
        let symbols = 1..=engine.instruments().len() as u32;
        let symbols = symbols.map(|id| symbol(engine, InstrumentId(id)));
        let comp_ids = 0..=engine.sessions().len() as u32;
        let comp_ids = comp_ids.map(|id| comp_id(engine, SessionId(id))).collect();
        Self {
            symbols: std::iter::once(String::new()).chain(symbols).collect(),
            comp_ids,
            time: TimestampText::new(Precision::Nanos),
            names,
        }
    }

    fn row<'a>(&'a mut self, entry: &Entry, out: &'a mut Vec<u8>) -> Row<'a> {
        let mut text = [0; TIMESTAMP_TEXT_MAX];
        let length = self.time.write(&mut text, entry.time_ns);
        let _ = write!(out, "{},", entry.sequence);
        // 20260302-14:30:00.000000001 as RFC 3339 has it.
        for part in [&text[..4], b"-", &text[4..6], b"-", &text[6..8], b"T", &text[9..length]] {
            out.extend_from_slice(part);
        }
        let _ = write!(out, "Z,{}", entry.name());
        Row { csv: self, out }
    }
}

impl Form for Csv {
    fn begin(&mut self, out: &mut Out) -> Result<(), Fault> {
        out.bytes.extend_from_slice(HEADER.as_bytes());
        out.bytes.push(b'\n');
        Ok(())
    }

    fn take(&mut self, frame: &Frame<'_>, wanted: bool, out: &mut Out) -> Result<(), Fault> {
        if !wanted {
            return Ok(());
        }
        let mut entry = Entry::of(frame);
        self.names.redact(&mut entry);
        let mut row = self.row(&entry, &mut out.bytes);
        match &entry.content {
            Content::Command(command) => row.command(command),
            Content::Event(event) => row.event(event),
            Content::Session(record) => {
                row.session(Some(record.session()));
                row.empty(17);
                row.label(session_label(record));
            }
            Content::Unknown { .. } => row.empty(19),
        }
        out.bytes.push(b'\n');
        out.lines += 1;
        Ok(())
    }
}

/// What a record of a session says.
fn session_label(record: &SessionRecord) -> &'static str {
    match record {
        SessionRecord::Inbound { .. } => "Inbound",
        SessionRecord::Outbound { .. } => "Outbound",
        SessionRecord::Reset { .. } => "Reset",
        SessionRecord::Role { .. } => "Role",
        SessionRecord::Lost { .. } => "Lost",
    }
}

/// A row that is being written, a cell after the other.
struct Row<'a> {
    csv: &'a Csv,
    out: &'a mut Vec<u8>,
}

/// The terms of a request or an order.
struct Terms<'a> {
    instrument: InstrumentId,
    order_id: OrderId,
    cl_ord_id: &'a ClOrdId,
    orig_cl_ord_id: &'a ClOrdId,
    account: &'a [u8],
}

impl Row<'_> {
    fn command(&mut self, command: &Command) {
        self.session(match command {
            Command::DefineSession(definition) => Some(definition.session),
            command => command.origin().map(|origin| origin.session),
        });
        let terms = |instrument, order_id, cl_ord_id, orig_cl_ord_id| Terms {
            instrument,
            order_id,
            cl_ord_id,
            orig_cl_ord_id,
            account: b"",
        };
        match command {
            Command::NewOrder(order) => {
                self.terms(&Terms {
                    account: order.account.as_bytes(),
                    ..terms(order.instrument, OrderId::NONE, &order.cl_ord_id, &ClOrdId::EMPTY)
                });
                self.code(&order.side);
                self.code(&order.ord_type);
                self.code(&order.time_in_force);
                let limited = order.ord_type == OrdType::Limit;
                self.number_if(limited, order.price, order.price_scale);
                self.number_if(true, order.order_qty, order.qty_scale);
                self.empty(8);
            }
            Command::ReplaceOrder(request) => {
                let ids = (&request.cl_ord_id, &request.orig_cl_ord_id);
                self.terms(&terms(request.instrument, request.order_id, ids.0, ids.1));
                self.code(&request.side);
                self.code(&request.ord_type);
                self.empty(1);
                self.number_if(true, request.price, request.price_scale);
                self.number_if(true, request.order_qty, request.qty_scale);
                self.empty(8);
            }
            Command::CancelOrder(request) => {
                let ids = (&request.cl_ord_id, &request.orig_cl_ord_id);
                self.terms(&terms(request.instrument, request.order_id, ids.0, ids.1));
                self.code(&request.side);
                self.empty(12);
            }
            Command::QueryOrder(request) => {
                let id = &request.cl_ord_id;
                self.terms(&terms(request.instrument, request.order_id, id, &ClOrdId::EMPTY));
                self.code(&request.side);
                self.empty(12);
            }
            Command::MassCancel(request) => {
                let id = &request.cl_ord_id;
                self.terms(&terms(request.instrument, OrderId::NONE, id, &ClOrdId::EMPTY));
                self.code(&request.side);
                self.empty(12);
            }
            Command::SetInstrumentStatus(request) => {
                self.symbol(request.instrument);
                self.empty(16);
                self.code(&request.status);
            }
            Command::DefineInstrument(definition) => {
                self.symbol(definition.instrument);
                self.empty(17);
            }
            Command::Limits(_) | Command::DefineSession(_) | Command::CancelOnDisconnect(_) => {
                self.empty(18);
            }
        }
    }

    fn event(&mut self, event: &Event) {
        self.session(event.session());
        match event {
            Event::Execution(event) => {
                self.terms(&Terms {
                    instrument: event.instrument,
                    order_id: event.order_id,
                    cl_ord_id: &event.cl_ord_id,
                    orig_cl_ord_id: &event.orig_cl_ord_id,
                    account: event.account.as_bytes(),
                });
                self.code(&event.side);
                self.code(&event.ord_type);
                self.code(&event.time_in_force);
                let limited = event.ord_type == OrdType::Limit;
                self.number_if(limited, event.price, event.price_scale);
                for qty in [event.order_qty, event.leaves_qty, event.cum_qty] {
                    self.number_if(true, qty, event.qty_scale);
                }
                let is_trade = event.exec_type == ExecType::Trade;
                self.number_if(is_trade, event.last_px, event.price_scale);
                self.number_if(is_trade, event.last_qty, event.qty_scale);
                self.id(is_trade.then_some(event.trade_id.0));
                self.code(&event.exec_type);
                self.code(&event.ord_status);
                match event.reason {
                    ExecReason::None => self.empty(1),
                    reason => self.code(&reason),
                }
            }
            Event::OrderRejected(event) => {
                self.terms(&Terms {
                    instrument: event.instrument,
                    order_id: OrderId::NONE,
                    cl_ord_id: &event.cl_ord_id,
                    orig_cl_ord_id: &ClOrdId::EMPTY,
                    account: event.account.as_bytes(),
                });
                self.code(&event.side);
                self.code(&event.ord_type);
                self.code(&event.time_in_force);
                let limited = event.ord_type == OrdType::Limit;
                self.number_if(limited, event.price, event.price_scale);
                self.number_if(true, event.order_qty, event.qty_scale);
                self.empty(5);
                self.code(&event.exec_type);
                self.empty(1);
                self.code(&event.reason);
            }
            Event::CancelRejected(event) => {
                self.terms(&Terms {
                    instrument: event.instrument,
                    order_id: event.order_id,
                    cl_ord_id: &event.cl_ord_id,
                    orig_cl_ord_id: &event.orig_cl_ord_id,
                    account: event.account.as_bytes(),
                });
                self.empty(11);
                self.code(&event.ord_status);
                self.code(&event.reason);
            }
            Event::MassCanceled(event) => {
                self.terms(&Terms {
                    instrument: event.instrument,
                    order_id: OrderId::NONE,
                    cl_ord_id: &event.cl_ord_id,
                    orig_cl_ord_id: &ClOrdId::EMPTY,
                    account: b"",
                });
                self.empty(13);
            }
            Event::StatusChanged(event) => {
                self.symbol(event.instrument);
                self.empty(16);
                self.code(&event.status);
            }
            Event::StateHashed(_) => self.empty(18),
        }
    }

    /// The cells from symbol to account.
    fn terms(&mut self, terms: &Terms<'_>) {
        self.symbol(terms.instrument);
        self.id((terms.order_id != OrderId::NONE).then_some(terms.order_id.0));
        self.text(terms.cl_ord_id.as_bytes());
        self.text(terms.orig_cl_ord_id.as_bytes());
        self.text(terms.account);
    }

    fn session(&mut self, session: Option<SessionId>) {
        let csv = self.csv;
        let known = session.and_then(|session| csv.comp_ids.get(session.0 as usize));
        self.text(known.map_or("", String::as_str).as_bytes());
    }

    fn symbol(&mut self, instrument: InstrumentId) {
        let csv = self.csv;
        let known = csv.symbols.get(instrument.0 as usize);
        self.text(known.map_or("", String::as_str).as_bytes());
    }

    fn id(&mut self, id: Option<u64>) {
        self.out.push(b',');
        if let Some(id) = id {
            let _ = write!(self.out, "{id}");
        }
    }

    fn code(&mut self, code: &impl std::fmt::Debug) {
        let _ = write!(self.out, ",{code:?}");
    }

    fn label(&mut self, label: &str) {
        self.text(label.as_bytes());
    }

    /// A number, if the row has it.
    fn number_if(&mut self, there: bool, mantissa: i64, scale: u8) {
        self.out.push(b',');
        if there {
            let mut text = [0; DECIMAL_TEXT_MAX];
            let length = write_decimal(&mut text, Decimal::new(mantissa, scale));
            self.out.extend_from_slice(&text[..length]);
        }
    }

    fn empty(&mut self, cells: usize) {
        self.out.extend(std::iter::repeat_n(b',', cells));
    }

    /// Text of a client, in quotes where it has what separates cells.
    fn text(&mut self, text: &[u8]) {
        self.out.push(b',');
        if !text.iter().any(|byte| b",\"\n\r".contains(byte)) {
            self.out.extend_from_slice(text);
            return;
        }
        self.out.push(b'"');
        for &byte in text {
            if byte == b'"' {
                self.out.push(b'"');
            }
            self.out.push(byte);
        }
        self.out.push(b'"');
    }
}
