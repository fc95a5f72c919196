//! Rows of a table: a frame each, as CSV and Parquet have them.

use std::fmt::Debug;

use ironbook_engine::{
    ClOrdId, Command, Event, ExecType, InstrumentId, OrdType, OrderId, SessionId,
    domain::ExecReason, event::Execution,
};
use ironbook_fix::field::Decimal;
use ironbook_gateway::session_record::SessionRecord;
use ironbook_journal::Frame;

use crate::{
    names::Names,
    show::{Content, Entry, comp_id, symbol},
};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A whole number.
    Number,
    /// A time in ns since 1970, UTC.
    Time,
    /// A text.
    Text,
    /// An exact decimal.
    Decimal,
}

/// Columns.
pub const COLUMNS: [(&str, Type); 22] = [
    ("sequence", Type::Number),
    ("time", Type::Time),
    // The FIX name of the message.
    ("kind", Type::Text),
    ("session", Type::Text),
    ("symbol", Type::Text),
    ("order_id", Type::Number),
    ("cl_ord_id", Type::Text),
    ("orig_cl_ord_id", Type::Text),
    ("account", Type::Text),
    ("side", Type::Text),
    ("ord_type", Type::Text),
    ("time_in_force", Type::Text),
    ("price", Type::Decimal),
    ("order_qty", Type::Decimal),
    ("leaves_qty", Type::Decimal),
    ("cum_qty", Type::Decimal),
    ("last_px", Type::Decimal),
    ("last_qty", Type::Decimal),
    ("trade_id", Type::Number),
    ("exec_type", Type::Text),
    ("ord_status", Type::Text),
    // The rule of a reject, or why an order was canceled; a status; what a record of a session is.
    ("reason", Type::Text),
];

/// A cell.
#[derive(Clone, Copy, Debug)]
pub enum Cell<'a> {
    /// The frame has no such thing.
    Nothing,
    /// A whole number.
    Number(u64),
    /// A time in ns since 1970, UTC.
    Time(u64),
    /// A text.
    Text(&'a [u8]),
    /// A text: the name of a code.
    Code(&'a dyn Debug),
    /// An exact decimal.
    Decimal(Decimal),
}

/// A frame in columns.
#[derive(Default)]
struct Row<'a> {
    sequence: u64,
    time_ns: u64,
    kind: &'a str,
    session: &'a str,
    symbol: &'a str,
    order_id: Option<u64>,
    cl_ord_id: &'a [u8],
    orig_cl_ord_id: &'a [u8],
    account: &'a [u8],
    side: Option<&'a dyn Debug>,
    ord_type: Option<&'a dyn Debug>,
    time_in_force: Option<&'a dyn Debug>,
    price: Option<Decimal>,
    order_qty: Option<Decimal>,
    leaves_qty: Option<Decimal>,
    cum_qty: Option<Decimal>,
    last_px: Option<Decimal>,
    last_qty: Option<Decimal>,
    trade_id: Option<u64>,
    exec_type: Option<&'a dyn Debug>,
    ord_status: Option<&'a dyn Debug>,
    reason: Option<&'a dyn Debug>,
    label: &'static str,
}

/// Makes rows.
pub(super) struct Rows {
    names: Names,
    /// By id; the first is that of none.
    symbols: Vec<String>,
    comp_ids: Vec<String>,
}

impl Rows {
    pub(super) fn new(names: Names) -> Self {
        let engine = names.engine();
        let symbols = 1..=engine.instruments().len() as u32;
        let symbols = symbols.map(|id| symbol(engine, InstrumentId(id)));
        let comp_ids = 0..=engine.sessions().len() as u32;
        let comp_ids = comp_ids.map(|id| comp_id(engine, SessionId(id))).collect();
        let symbols = std::iter::once(String::new()).chain(symbols).collect();
        Self { symbols, comp_ids, names }
    }

    /// Shows the row of a frame.
    pub(super) fn show<T>(
        &mut self,
        frame: &Frame<'_>,
        each: impl FnOnce(&[Cell<'_>; COLUMNS.len()]) -> T,
    ) -> T {
        let mut entry = Entry::of(frame);
        self.names.redact(&mut entry);
        let row = match &entry.content {
            Content::Command(command) => self.command(command),
            Content::Event(event) => self.event(event),
            Content::Session(record) => {
                let session = self.comp_id(record.session());
                Row { session, label: session_label(record), ..Row::default() }
            }
            Content::Unknown { .. } => Row::default(),
        };
        let (sequence, time_ns) = (entry.sequence, entry.time_ns);
        each(&Row { sequence, time_ns, kind: entry.name(), ..row }.cells())
    }

    fn symbol(&self, instrument: InstrumentId) -> &str {
        self.symbols.get(instrument.0 as usize).map_or("", String::as_str)
    }

    fn comp_id(&self, session: SessionId) -> &str {
        self.comp_ids.get(session.0 as usize).map_or("", String::as_str)
    }

    fn command<'a>(&'a self, command: &'a Command) -> Row<'a> {
        let row = match command {
            Command::NewOrder(order) => Row {
                symbol: self.symbol(order.instrument),
                cl_ord_id: order.cl_ord_id.as_bytes(),
                account: order.account.as_bytes(),
                side: Some(&order.side),
                ord_type: Some(&order.ord_type),
                time_in_force: Some(&order.time_in_force),
                price: limit(order.ord_type, order.price, order.price_scale),
                order_qty: Some(Decimal::new(order.order_qty, order.qty_scale)),
                ..Row::default()
            },
            Command::ReplaceOrder(request) => Row {
                ord_type: Some(&request.ord_type),
                price: Some(Decimal::new(request.price, request.price_scale)),
                order_qty: Some(Decimal::new(request.order_qty, request.qty_scale)),
                side: Some(&request.side),
                ..self.named(
                    (request.instrument, request.order_id),
                    (&request.cl_ord_id, &request.orig_cl_ord_id),
                )
            },
            Command::CancelOrder(request) => Row {
                side: Some(&request.side),
                ..self.named(
                    (request.instrument, request.order_id),
                    (&request.cl_ord_id, &request.orig_cl_ord_id),
                )
            },
            Command::QueryOrder(request) => Row {
                side: Some(&request.side),
                ..self.named(
                    (request.instrument, request.order_id),
                    (&request.cl_ord_id, &ClOrdId::EMPTY),
                )
            },
            Command::MassCancel(request) => Row {
                side: Some(&request.side),
                ..self.named(
                    (request.instrument, OrderId::NONE),
                    (&request.cl_ord_id, &ClOrdId::EMPTY),
                )
            },
            Command::SetInstrumentStatus(request) => Row {
                symbol: self.symbol(request.instrument),
                reason: Some(&request.status),
                ..Row::default()
            },
            Command::DefineInstrument(definition) => {
                Row { symbol: self.symbol(definition.instrument), ..Row::default() }
            }
            Command::SetTradingStatus(request) => {
                Row { reason: Some(&request.status), ..Row::default() }
            }
            Command::Limits(_)
            | Command::DefineSession(_)
            | Command::CancelOnDisconnect(_)
            | Command::SetRiskLimits(_) => Row::default(),
        };
        // Of what the venue does to a session, the session.
        let session = match command {
            Command::DefineSession(definition) => Some(definition.session),
            Command::SetRiskLimits(request) => Some(request.session),
            Command::SetTradingStatus(request) => Some(request.session),
            command => command.origin().map(|origin| origin.session),
        };
        Row { session: session.map_or("", |session| self.comp_id(session)), ..row }
    }

    fn event<'a>(&'a self, event: &'a Event) -> Row<'a> {
        let row = match event {
            Event::Execution(event) => self.execution(event),
            Event::OrderRejected(event) => Row {
                symbol: self.symbol(event.instrument),
                cl_ord_id: event.cl_ord_id.as_bytes(),
                account: event.account.as_bytes(),
                side: Some(&event.side),
                ord_type: Some(&event.ord_type),
                time_in_force: Some(&event.time_in_force),
                price: limit(event.ord_type, event.price, event.price_scale),
                order_qty: Some(Decimal::new(event.order_qty, event.qty_scale)),
                exec_type: Some(&event.exec_type),
                reason: Some(&event.reason),
                ..Row::default()
            },
            Event::CancelRejected(event) => Row {
                account: event.account.as_bytes(),
                ord_status: Some(&event.ord_status),
                reason: Some(&event.reason),
                ..self.named(
                    (event.instrument, event.order_id),
                    (&event.cl_ord_id, &event.orig_cl_ord_id),
                )
            },
            Event::MassCanceled(event) => {
                self.named((event.instrument, OrderId::NONE), (&event.cl_ord_id, &ClOrdId::EMPTY))
            }
            Event::StatusChanged(event) => Row {
                symbol: self.symbol(event.instrument),
                reason: Some(&event.status),
                ..Row::default()
            },
            Event::SessionTripped(event) => Row {
                session: self.comp_id(event.session),
                trade_id: Some(event.trade_id.0),
                reason: Some(&event.rule),
                ..self.named((event.instrument, event.order_id), (&ClOrdId::EMPTY, &ClOrdId::EMPTY))
            },
            Event::TradingStatusChanged(event) => Row {
                session: self.comp_id(event.session),
                reason: Some(&event.status),
                ..Row::default()
            },
            Event::StateHashed(_) => Row::default(),
        };
        match event.session() {
            Some(session) => Row { session: self.comp_id(session), ..row },
            None => row,
        }
    }

    fn execution<'a>(&'a self, event: &'a Execution) -> Row<'a> {
        let qty = |qty| Some(Decimal::new(qty, event.qty_scale));
        let is_trade = event.exec_type == ExecType::Trade;
        let trade = |of: Option<Decimal>| of.filter(|_| is_trade);
        Row {
            account: event.account.as_bytes(),
            side: Some(&event.side),
            ord_type: Some(&event.ord_type),
            time_in_force: Some(&event.time_in_force),
            price: limit(event.ord_type, event.price, event.price_scale),
            order_qty: qty(event.order_qty),
            leaves_qty: qty(event.leaves_qty),
            cum_qty: qty(event.cum_qty),
            last_px: trade(Some(Decimal::new(event.last_px, event.price_scale))),
            last_qty: trade(qty(event.last_qty)),
            trade_id: is_trade.then_some(event.trade_id.0),
            exec_type: Some(&event.exec_type),
            ord_status: Some(&event.ord_status),
            reason: match event.reason {
                ExecReason::None => None,
                _ => Some(&event.reason),
            },
            ..self.named(
                (event.instrument, event.order_id),
                (&event.cl_ord_id, event.orig_cl_ord_id()),
            )
        }
    }

    /// A row with what names an order.
    fn named<'a>(
        &'a self,
        (instrument, order_id): (InstrumentId, OrderId),
        (cl_ord_id, orig_cl_ord_id): (&'a ClOrdId, &'a ClOrdId),
    ) -> Row<'a> {
        Row {
            symbol: self.symbol(instrument),
            order_id: (order_id != OrderId::NONE).then_some(order_id.0),
            cl_ord_id: cl_ord_id.as_bytes(),
            orig_cl_ord_id: orig_cl_ord_id.as_bytes(),
            ..Row::default()
        }
    }
}

/// The price of a limit order.
fn limit(ord_type: OrdType, price: i64, scale: u8) -> Option<Decimal> {
    (ord_type == OrdType::Limit).then(|| Decimal::new(price, scale))
}

/// What a record of a session says.
fn session_label(record: &SessionRecord) -> &'static str {
    match record {
        SessionRecord::Inbound { .. } => "Inbound",
        SessionRecord::Outbound { .. } => "Outbound",
        SessionRecord::Reset { .. } => "Reset",
        SessionRecord::Role { .. } => "Role",
        SessionRecord::Lost { .. } => "Lost",
        SessionRecord::Throttle { .. } => "Throttle",
        SessionRecord::Operator(_) => "Operator",
    }
}

impl<'a> Row<'a> {
    /// Its cells, by column.
    fn cells(&self) -> [Cell<'a>; COLUMNS.len()] {
        let text = |text: &'a [u8]| if text.is_empty() { Cell::Nothing } else { Cell::Text(text) };
        let number = |of: Option<u64>| of.map_or(Cell::Nothing, Cell::Number);
        let code = |of: Option<&'a dyn Debug>| of.map_or(Cell::Nothing, Cell::Code);
        let decimal = |of: Option<Decimal>| of.map_or(Cell::Nothing, Cell::Decimal);
        [
            Cell::Number(self.sequence),
            Cell::Time(self.time_ns),
            text(self.kind.as_bytes()),
            text(self.session.as_bytes()),
            text(self.symbol.as_bytes()),
            number(self.order_id),
            text(self.cl_ord_id),
            text(self.orig_cl_ord_id),
            text(self.account),
            code(self.side),
            code(self.ord_type),
            code(self.time_in_force),
            decimal(self.price),
            decimal(self.order_qty),
            decimal(self.leaves_qty),
            decimal(self.cum_qty),
            decimal(self.last_px),
            decimal(self.last_qty),
            number(self.trade_id),
            code(self.exec_type),
            code(self.ord_status),
            self.reason.map_or_else(|| text(self.label.as_bytes()), Cell::Code),
        ]
    }
}
