//! FIX messages to engine commands, engine events to FIX messages.
//!
//! The only file that names both. Nothing is judged here but what the engine's types can't express:
//! an order type, side or time in force that the venue does not have.

use ironbook_engine::{
    Account, CancelRejectTo, ClOrdId, Command, Event, ExecType, InstrumentId, InstrumentStatus,
    LastLiquidity, OrdStatus, OrdType, OrderId, Sequence, SessionId, Side, SideFilter, Symbol,
    TimeInForce, Timestamp,
    command::{
        CancelOrder, DefineInstrument, MassCancel, NewOrder, OrderTerms, Origin, QueryOrder,
        ReplaceOrder,
    },
    domain::{ExecReason, RejectReason},
    engine::InstrumentView,
    event::{CancelRejected, Execution, MassCanceled, OrderRejected},
};
use ironbook_fix::{
    encode::Body,
    field::{Decimal, INTEGER_TEXT_MAX, MANTISSA_MAX, parse_u64, write_u64},
    market_data::{PriceLevel, Trade},
    message::{BusinessReject, BusinessRejectReason, Message, MsgType, Refusal},
    order::{
        self as fix, MassCancelRequestType, NewOrderSingle, OrderCancelReplaceRequest,
        OrderCancelRequest, OrderMassCancelRequest, OrderMessage, OrderStatusRequest,
    },
    reference::{Security, TradingStatus},
    report::{
        CxlRejResponseTo, ExecutionReport, MassCancelResponse, OrderCancelReject,
        OrderMassCancelReport,
    },
    version::ApplVerId,
};

use crate::{rights::Rights, symbols::SymbolTable, throttle::Throttled};

/// A request that the venue understands and does not serve.
#[derive(Clone, Copy, Debug)]
pub enum Unserved<'a> {
    /// A new order with something that the venue does not have.
    Order(NewOrderSingle<'a>, Unsupported),
    /// A cancel of something that the venue does not have.
    Cancel(OrderCancelRequest<'a>, Unsupported),
    /// A replace with something that the venue does not have.
    Replace(OrderCancelReplaceRequest<'a>, Unsupported),
    /// A mass cancel of a kind that the venue does not have.
    MassCancel(OrderMassCancelRequest<'a>),
    /// A message that is refused with a Reject or BusinessMessageReject.
    Message(Refusal<'a>),
}

/// What the venue does not have, or the session may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// This Side (54).
    Side,
    /// This OrdType (40).
    OrdType,
    /// This TimeInForce (59).
    TimeInForce,
    /// This ExecInst (18).
    ExecInst,
    /// MinQty (110).
    MinQty,
    /// MaxFloor (111).
    MaxFloor,
    /// CxlType (125) that asks for a part of the order.
    CxlType,
    /// This Symbol (55), by the rights of the session.
    Symbol,
    /// This Account (1), or none, by the rights of the session.
    Account,
    /// Another order now, by a bound on orders.
    Throttled(Throttled),
}

impl Unsupported {
    /// What to tell the client.
    pub fn text(self) -> ReasonText {
        let text = match self {
            Self::Side => "Side(54) is not supported here: 1 (buy) and 2 (sell) are",
            Self::OrdType => "OrdType(40) is not supported here: 1 (market) and 2 (limit) are",
            Self::TimeInForce => {
                "TimeInForce(59) is not supported here: 0 (day), 1 (GTC), 3 (IOC) and 4 (FOK) are"
            }
            Self::ExecInst => "ExecInst(18) is not supported here; leave it out",
            Self::MinQty => "MinQty(110) is not supported here; leave it out",
            Self::MaxFloor => "MaxFloor(111) is not supported here; leave it out",
            Self::CxlType => "CxlType(125) P is not supported here; replace the order instead",
            Self::Symbol => "this session may not trade this Symbol(55): it is not in its symbols",
            Self::Account => {
                "this session may not trade for this Account(1): it is not in its accounts"
            }
            Self::Throttled(throttled) => return ReasonText::new(format_args!("{throttled}")),
        };
        ReasonText::new(format_args!("{text}"))
    }

    /// OrdRejReason (103): unsupported order characteristic, other, unknown account, or too many orders.
    fn ord_rej_reason(self) -> u8 {
        match self {
            Self::Symbol => OTHER,
            Self::Account => 15,
            Self::Throttled(_) => EXCEEDS_LIMIT,
            _ => 11,
        }
    }
}

impl<'a> From<Refusal<'a>> for Box<Unserved<'a>> {
    fn from(refusal: Refusal<'a>) -> Self {
        Self::new(Unserved::Message(refusal))
    }
}

/// The command that an application message of a version asks for; `admit` is asked for every new order and
/// replace.
///
/// # Errors
/// [`Unserved`] when the engine has no words for it, or the session no right to it.
#[inline]
pub fn command<'a>(
    message: &Message<'a>,
    version: ApplVerId,
    origin: Origin,
    symbols: &SymbolTable,
    rights: &Rights,
    admit: impl FnOnce() -> Result<(), Throttled>,
) -> Result<Command, Box<Unserved<'a>>> {
    match OrderMessage::parse(message, version)? {
        OrderMessage::New(_) | OrderMessage::Replace(_) if !rights.may_trade() => {
            Err(Box::new(Unserved::Message(may_not_trade(message))))
        }
        OrderMessage::New(order) => match admit() {
            Ok(()) => new_order(&order, origin, symbols, rights),
            Err(early) => Err(Box::new(Unserved::Order(order, Unsupported::Throttled(early)))),
        },
        OrderMessage::Cancel(request) if request.partial => {
            Err(Box::new(Unserved::Cancel(request, Unsupported::CxlType)))
        }
        OrderMessage::Cancel(request) => Ok(cancel(&request, origin, symbols)),
        OrderMessage::Replace(request) => match admit() {
            Ok(()) => replace(&request, origin, symbols, rights),
            Err(early) => Err(Box::new(Unserved::Replace(request, Unsupported::Throttled(early)))),
        },
        OrderMessage::MassCancel(request) => mass_cancel(&request, origin, symbols),
        OrderMessage::Status(request) => Ok(query(&request, origin, symbols)),
    }
}

/// An instrument that no order has; `NONE` would be any.
const NO_ORDERS_INSTRUMENT: InstrumentId = InstrumentId(u32::MAX);

/// What the refusal of a request names it by, BusinessRejectRefID (379): its ClOrdID, where it has one that can be.
pub fn ref_id<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    message.get(11).filter(|id| id.len() <= fix::CL_ORD_ID_MAX)
}

/// The refusal of what a session may not send at all.
#[cold]
fn may_not_trade<'a>(message: &Message<'a>) -> Refusal<'a> {
    Refusal::Business(BusinessReject {
        reason: BusinessRejectReason::NotAuthorized,
        ref_id: ref_id(message),
        text: "this session may not trade: it may cancel orders and ask for their status",
    })
}

fn new_order<'a>(
    order: &NewOrderSingle<'a>,
    origin: Origin,
    symbols: &SymbolTable,
    rights: &Rights,
) -> Result<Command, Box<Unserved<'a>>> {
    let unserved = |unsupported| Box::new(Unserved::Order(*order, unsupported));
    let terms = terms(order).map_err(unserved)?;
    let (instrument, unknown_symbol) = instrument(order.symbol, symbols);
    let account = account(order.account);
    if !rights.may_trade_in(instrument) {
        return Err(unserved(Unsupported::Symbol));
    }
    if !rights.may_trade_for(&account) {
        return Err(unserved(Unsupported::Account));
    }
    let mut command = NewOrder::new(origin, instrument, terms, account, cl_ord_id(order.cl_ord_id));
    command.unknown_symbol = unknown_symbol;
    Ok(command.into())
}

fn replace<'a>(
    request: &OrderCancelReplaceRequest<'a>,
    origin: Origin,
    symbols: &SymbolTable,
    rights: &Rights,
) -> Result<Command, Box<Unserved<'a>>> {
    let order = &request.order;
    let unserved = |unsupported| Box::new(Unserved::Replace(*request, unsupported));
    let terms = terms(order).map_err(unserved)?;
    let (instrument, _) = instrument(order.symbol, symbols);
    if !rights.may_trade_in(instrument) {
        return Err(unserved(Unsupported::Symbol));
    }
    let instrument = instrument_of_order(order.symbol, order.side, symbols);
    // The order keeps its account; one that is named must be a right one all the same.
    if order.account.is_some() && !rights.may_trade_for(&account(order.account)) {
        return Err(unserved(Unsupported::Account));
    }
    let ids = (cl_ord_id(order.cl_ord_id), cl_ord_id(request.orig_cl_ord_id));
    Ok(ReplaceOrder::new(origin, order_id(request.order_id), instrument, terms, ids).into())
}

fn cancel(request: &OrderCancelRequest<'_>, origin: Origin, symbols: &SymbolTable) -> Command {
    CancelOrder::new(
        origin,
        order_id(request.order_id),
        instrument_of_order(request.symbol, request.side, symbols),
        side(request.side).unwrap_or(Side::Buy),
        cl_ord_id(request.cl_ord_id),
        cl_ord_id(request.orig_cl_ord_id),
    )
    .into()
}

fn query(request: &OrderStatusRequest<'_>, origin: Origin, symbols: &SymbolTable) -> Command {
    let (instrument, unknown_symbol) = instrument(request.symbol, symbols);
    let mut query = QueryOrder::new(
        origin,
        order_id(request.order_id),
        instrument,
        side(request.side).unwrap_or(Side::Buy),
        cl_ord_id(request.cl_ord_id),
    );
    query.unknown_symbol = unknown_symbol;
    query.ord_status_req_id = cl_ord_id(request.ord_status_req_id.unwrap_or_default());
    query.into()
}

fn mass_cancel<'a>(
    request: &OrderMassCancelRequest<'a>,
    origin: Origin,
    symbols: &SymbolTable,
) -> Result<Command, Box<Unserved<'a>>> {
    let unserved = || Box::new(Unserved::MassCancel(*request));
    let instrument = match (request.request_type, request.symbol) {
        (MassCancelRequestType::All, _) => InstrumentId::NONE,
        (MassCancelRequestType::Security, Some(symbol)) => match instrument(symbol, symbols).0 {
            InstrumentId::NONE => return Err(unserved()),
            known => known,
        },
        _ => return Err(unserved()),
    };
    let side = match request.side.map(side) {
        None => SideFilter::Both,
        Some(Some(Side::Buy)) => SideFilter::Buy,
        Some(Some(Side::Sell)) => SideFilter::Sell,
        Some(None) => return Err(unserved()),
    };
    let request_type = request.request_type.code();
    let id = cl_ord_id(request.cl_ord_id);
    Ok(MassCancel::new(origin, instrument, side, request_type, id).into())
}

fn terms(order: &NewOrderSingle<'_>) -> Result<OrderTerms, Unsupported> {
    let none = |qty: Option<Decimal>| qty.is_none_or(|qty| qty.mantissa == 0);
    if !none(order.min_qty) {
        return Err(Unsupported::MinQty);
    }
    if !none(order.max_floor) {
        return Err(Unsupported::MaxFloor);
    }
    if !order.exec_inst.is_none_or(harmless) {
        return Err(Unsupported::ExecInst);
    }
    let price = order.price.unwrap_or_default();
    Ok(OrderTerms {
        side: side(order.side).ok_or(Unsupported::Side)?,
        ord_type: match order.ord_type {
            fix::OrdType::Market => OrdType::Market,
            fix::OrdType::Limit => OrdType::Limit,
            _ => return Err(Unsupported::OrdType),
        },
        time_in_force: match order.time_in_force {
            fix::TimeInForce::Day => TimeInForce::Day,
            fix::TimeInForce::GoodTillCancel => TimeInForce::Gtc,
            fix::TimeInForce::ImmediateOrCancel => TimeInForce::Ioc,
            fix::TimeInForce::FillOrKill => TimeInForce::Fok,
            _ => return Err(Unsupported::TimeInForce),
        },
        price: (price.mantissa, price.scale),
        order_qty: (order.order_qty.mantissa, order.order_qty.scale),
    })
}

/// ExecInst values that ask for nothing of an electronic book: not held, work, held.
fn harmless(exec_inst: &[u8]) -> bool {
    exec_inst.iter().all(|value| matches!(value, b'1' | b'2' | b'5' | b' '))
}

fn side(side: fix::Side) -> Option<Side> {
    match side {
        fix::Side::Buy => Some(Side::Buy),
        fix::Side::Sell => Some(Side::Sell),
        _ => None,
    }
}

/// The instrument with this symbol; without one, the symbol itself for the answer.
fn instrument(symbol: &[u8], symbols: &SymbolTable) -> (InstrumentId, Symbol) {
    let symbol = Symbol::try_from(symbol).unwrap_or_default();
    match symbols.instrument(&symbol) {
        Some(instrument) => (instrument, Symbol::EMPTY),
        None => (InstrumentId::NONE, symbol),
    }
}

/// The instrument that a request says its order has: [`NO_ORDERS_INSTRUMENT`] for an unknown symbol or a side that no
/// order here has, so that the engine answers with a mismatch.
fn instrument_of_order(symbol: &[u8], of_side: fix::Side, symbols: &SymbolTable) -> InstrumentId {
    match instrument(symbol, symbols).0 {
        known if known != InstrumentId::NONE && side(of_side).is_some() => known,
        _ => NO_ORDERS_INSTRUMENT,
    }
}

// Lengths and characters of these texts were checked when the message was parsed.
fn cl_ord_id(text: &[u8]) -> ClOrdId {
    ClOrdId::try_from(text).unwrap_or_default()
}

fn account(text: Option<&[u8]>) -> Account {
    text.map_or(Account::EMPTY, |text| Account::try_from(text).unwrap_or_default())
}

/// OrderID (37) is the venue's number; anything else leaves it to OrigClOrdID to name the order.
fn order_id(text: Option<&[u8]>) -> OrderId {
    text.and_then(|text| parse_u64(text).ok()).map_or(OrderId::NONE, OrderId)
}

/// A number as text, on the stack.
#[derive(Clone, Copy, Debug)]
struct NumberText {
    text: [u8; INTEGER_TEXT_MAX],
    length: usize,
}

impl NumberText {
    /// No number.
    const NONE: Self = Self { text: [0; INTEGER_TEXT_MAX], length: 0 };

    #[inline]
    fn new(number: u64) -> Self {
        let mut text = [0; INTEGER_TEXT_MAX];
        let length = write_u64(&mut text, number);
        Self { text, length }
    }

    /// OrderID (37): `NONE` where there is no order.
    #[inline]
    fn order_id(&self, id: OrderId) -> &[u8] {
        if id == OrderId::NONE { b"NONE" } else { &self.text[..self.length] }
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

/// Longest Text (58) of a reject.
const REASON_TEXT_MAX: usize = 200;

/// A short text made without allocation; what does not fit is cut.
#[derive(Clone, Copy, Debug)]
pub struct ReasonText {
    text: [u8; REASON_TEXT_MAX],
    length: usize,
}

impl ReasonText {
    fn new(arguments: std::fmt::Arguments<'_>) -> Self {
        let mut text = Self { text: [0; REASON_TEXT_MAX], length: 0 };
        let _ = std::fmt::write(&mut text, arguments);
        text
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

impl std::fmt::Write for ReasonText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = REASON_TEXT_MAX - self.length;
        let taken = text.len().min(room);
        self.text[self.length..self.length + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.length += taken;
        if taken < text.len() { Err(std::fmt::Error) } else { Ok(()) }
    }
}

/// Texts that a report borrows.
#[derive(Debug)]
struct ReportTexts {
    order_id: NumberText,
    exec_id: NumberText,
    trade_id: NumberText,
    reason: Option<ReasonText>,
}

impl ReportTexts {
    /// Texts of the report of an execution.
    #[inline]
    fn of_execution(event: &Execution, sequence: Sequence) -> Self {
        let asked = event.exec_type == ExecType::OrderStatus;
        Self {
            order_id: NumberText::new(event.order_id.0),
            exec_id: NumberText::new(if asked { 0 } else { sequence.0 }),
            trade_id: match is_trade(event) {
                true => NumberText::new(event.trade_id.0),
                false => NumberText::NONE,
            },
            reason: None,
        }
    }

    /// Texts of the report of a reject.
    fn of_order_rejected(event: &OrderRejected, sequence: Sequence) -> Self {
        Self {
            order_id: NumberText::NONE,
            exec_id: NumberText::new(sequence.0),
            trade_id: NumberText::NONE,
            reason: Some(reason_text(
                event.reason,
                Decimal::new(event.limit, event.limit_scale),
                Decimal::new(event.observed, event.observed_scale),
            )),
        }
    }

    /// Texts of the report of a refused cancel or replace.
    fn of_cancel_rejected(event: &CancelRejected) -> Self {
        Self {
            order_id: NumberText::new(event.order_id.0),
            exec_id: NumberText::NONE,
            trade_id: NumberText::NONE,
            reason: Some(reason_text(
                event.reason,
                Decimal::new(event.limit, event.limit_scale),
                Decimal::new(event.observed, event.observed_scale),
            )),
        }
    }

    /// Texts of the report of a mass cancel.
    fn of_mass_canceled(sequence: Sequence) -> Self {
        let number = NumberText::new(sequence.0);
        Self { order_id: number, exec_id: number, trade_id: NumberText::NONE, reason: None }
    }
}

/// A decimal as people write it.
struct Shown(Decimal);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = [0; ironbook_fix::field::DECIMAL_TEXT_MAX];
        let length = ironbook_fix::field::write_decimal(&mut text, self.0);
        f.write_str(std::str::from_utf8(&text[..length]).unwrap_or_default())
    }
}

/// What a client is told of a reject: the rule, the limit, and what was seen.
pub fn reject_text(reason: RejectReason, limit: Decimal, observed: Decimal) -> String {
    String::from_utf8_lossy(reason_text(reason, limit, observed).as_bytes()).into_owned()
}

/// The rule, the limit, and what was seen.
fn reason_text(reason: RejectReason, limit: Decimal, observed: Decimal) -> ReasonText {
    let (limit, observed) = (Shown(limit), Shown(observed));
    match reason {
        RejectReason::UnknownSymbol => ReasonText::new(format_args!("unknown symbol")),
        RejectReason::UnknownSession => {
            ReasonText::new(format_args!("the session is not defined at this venue"))
        }
        RejectReason::InstrumentHalted => {
            ReasonText::new(format_args!("the instrument is halted; cancels are accepted"))
        }
        RejectReason::InstrumentClosed => {
            ReasonText::new(format_args!("the instrument is closed; cancels are accepted"))
        }
        RejectReason::PriceNotPositive => {
            ReasonText::new(format_args!("price {observed} is not greater than zero"))
        }
        RejectReason::PriceOffTick => {
            ReasonText::new(format_args!("price {observed} is not a multiple of the tick {limit}"))
        }
        RejectReason::PriceTooHigh => {
            ReasonText::new(format_args!("price {observed} is above the largest price {limit}"))
        }
        RejectReason::QtyNotPositive => {
            ReasonText::new(format_args!("quantity {observed} is not greater than zero"))
        }
        RejectReason::QtyOffLot => ReasonText::new(format_args!(
            "quantity {observed} is not a multiple of the lot {limit}"
        )),
        RejectReason::QtyTooLarge => ReasonText::new(format_args!(
            "quantity {observed} is above the largest quantity {limit}"
        )),
        RejectReason::DuplicateClOrdId => {
            ReasonText::new(format_args!("this ClOrdID was used before by this session"))
        }
        RejectReason::UnknownOrder => {
            ReasonText::new(format_args!("this session has no such order"))
        }
        RejectReason::TooLateToCancel => {
            ReasonText::new(format_args!("the order is closed already"))
        }
        RejectReason::OrderMismatch => {
            ReasonText::new(format_args!("the order has another symbol or side"))
        }
        RejectReason::TooManyOrders if limit.0.mantissa as u64 == OrderId::COUNT_MAX => {
            ReasonText::new(format_args!("the venue has given out all of its {limit} OrderIDs"))
        }
        RejectReason::TooManyOrders => {
            ReasonText::new(format_args!("the venue holds its limit of {limit} live orders"))
        }
        RejectReason::ReplaceChangesType => {
            ReasonText::new(format_args!("a replace can't change OrdType or TimeInForce"))
        }
        RejectReason::OrderNotionalTooLarge => ReasonText::new(format_args!(
            "risk limit: the order comes to {observed}, at most {limit} is allowed"
        )),
        RejectReason::PriceFarFromReference => ReasonText::new(format_args!(
            "risk limit: the price is {observed} basis points beyond the reference, at most {limit} are allowed"
        )),
        RejectReason::TooManyOpenOrders => ReasonText::new(format_args!(
            "risk limit: this would be open order {observed} of the session, at most {limit} are allowed"
        )),
        RejectReason::OpenNotionalTooLarge => ReasonText::new(format_args!(
            "risk limit: open orders of the session would come to {observed}, at most {limit} is allowed"
        )),
        RejectReason::TradedNotionalTooLarge => ReasonText::new(format_args!(
            "the session is tripped: it traded {observed} in its window, limit {limit}; cancels are accepted"
        )),
        RejectReason::LossTooLarge => ReasonText::new(format_args!(
            "the session is tripped: it lost {observed} in its window, limit {limit}; cancels are accepted"
        )),
        RejectReason::SessionCancelOnly => ReasonText::new(format_args!(
            "the venue takes no orders of this session; cancels are accepted"
        )),
    }
}

/// OrdRejReason (103). FIX 4.4 has 0 to 15 and 99: a client that validates would refuse a report
/// with a code of a later version, and never learn of the reject.
fn ord_rej_reason(reason: RejectReason) -> u8 {
    match reason {
        RejectReason::UnknownSymbol => 1,
        RejectReason::InstrumentHalted | RejectReason::InstrumentClosed => 2,
        RejectReason::TooManyOrders
        | RejectReason::QtyTooLarge
        | RejectReason::OrderNotionalTooLarge
        | RejectReason::TooManyOpenOrders
        | RejectReason::OpenNotionalTooLarge
        | RejectReason::TradedNotionalTooLarge
        | RejectReason::LossTooLarge => 3,
        RejectReason::UnknownOrder => 5,
        RejectReason::DuplicateClOrdId => 6,
        RejectReason::QtyNotPositive | RejectReason::QtyOffLot => 13,
        RejectReason::PriceTooHigh
        | RejectReason::PriceOffTick
        | RejectReason::PriceNotPositive
        | RejectReason::TooLateToCancel
        | RejectReason::OrderMismatch
        | RejectReason::ReplaceChangesType
        | RejectReason::UnknownSession
        | RejectReason::PriceFarFromReference
        | RejectReason::SessionCancelOnly => 99,
    }
}

/// CxlRejReason (102).
fn cxl_rej_reason(reason: RejectReason) -> u8 {
    match reason {
        RejectReason::TooLateToCancel => 0,
        RejectReason::UnknownOrder => 1,
        RejectReason::DuplicateClOrdId => 6,
        RejectReason::InstrumentHalted
        | RejectReason::InstrumentClosed
        | RejectReason::UnknownSymbol
        | RejectReason::PriceNotPositive
        | RejectReason::PriceOffTick
        | RejectReason::PriceTooHigh
        | RejectReason::QtyNotPositive
        | RejectReason::QtyOffLot
        | RejectReason::QtyTooLarge
        | RejectReason::OrderMismatch
        | RejectReason::TooManyOrders
        | RejectReason::ReplaceChangesType
        | RejectReason::UnknownSession
        | RejectReason::OrderNotionalTooLarge
        | RejectReason::PriceFarFromReference
        | RejectReason::TooManyOpenOrders
        | RejectReason::OpenNotionalTooLarge
        | RejectReason::TradedNotionalTooLarge
        | RejectReason::LossTooLarge
        | RejectReason::SessionCancelOnly => 99,
    }
}

/// Text (58) where nobody asked for what happened.
pub fn exec_reason_text(reason: ExecReason) -> Option<&'static [u8]> {
    match reason {
        ExecReason::None => None,
        ExecReason::ImmediateOrCancel => Some(b"rest of an immediate-or-cancel order"),
        ExecReason::FillOrKill => Some(b"fill-or-kill order can't be filled whole"),
        ExecReason::NoLiquidity => Some(b"market order: nothing left on the other side"),
        ExecReason::MassCancel => Some(b"mass cancel"),
        ExecReason::ReplacedBelowCumQty => Some(b"replaced to no more than had traded"),
        ExecReason::LoggedOut => Some(b"cancel on disconnect: the session logged out"),
        ExecReason::Disconnected => Some(b"cancel on disconnect: the session lost its connection"),
        ExecReason::VenueDown => Some(b"cancel on disconnect: the venue was down"),
        ExecReason::SessionTripped => Some(b"the session is tripped by a risk limit"),
    }
}

/// ExecRestatementReason (378) of a cancel that nobody asked for while the order was in the book.
fn exec_restatement_reason(reason: ExecReason) -> Option<u8> {
    /// Cancel on system failure.
    const SYSTEM_FAILURE: u8 = 7;
    /// Market (exchange) option.
    const MARKET_OPTION: u8 = 8;
    match reason {
        ExecReason::VenueDown => Some(SYSTEM_FAILURE),
        ExecReason::LoggedOut | ExecReason::Disconnected | ExecReason::SessionTripped => {
            Some(MARKET_OPTION)
        }
        ExecReason::None
        | ExecReason::ImmediateOrCancel
        | ExecReason::FillOrKill
        | ExecReason::NoLiquidity
        | ExecReason::MassCancel
        | ExecReason::ReplacedBelowCumQty => None,
    }
}

/// Takes the message that an event or record stands for.
pub trait MessageVisitor {
    /// A report that is written field by field.
    fn typed<B: Body>(&mut self, message: &B);
    /// A message whose body was stored.
    fn stored(&mut self, msg_type: MsgType, body: &[u8]);
    /// A message that the session's version has no words for.
    fn nothing(&mut self);
}

/// Shows a visitor the report of an event, if it has one.
#[inline]
pub fn report(
    event: &Event,
    sequence: Sequence,
    time: Timestamp,
    symbols: &SymbolTable,
    visitor: &mut impl MessageVisitor,
) {
    match event {
        Event::Execution(event) => {
            let texts = ReportTexts::of_execution(event, sequence);
            visitor.typed(&execution(event, time, symbols, &texts));
        }
        Event::OrderRejected(event) => {
            let texts = ReportTexts::of_order_rejected(event, sequence);
            visitor.typed(&order_rejected(event, time, symbols, &texts));
        }
        Event::CancelRejected(event) => {
            let texts = ReportTexts::of_cancel_rejected(event);
            visitor.typed(&cancel_rejected(event, time, &texts));
        }
        Event::MassCanceled(event) => {
            let texts = ReportTexts::of_mass_canceled(sequence);
            visitor.typed(&mass_canceled(event, time, symbols, &texts));
        }
        Event::StatusChanged(_)
        | Event::StateHashed(_)
        | Event::SessionTripped(_)
        | Event::TradingStatusChanged(_) => {}
    }
}

/// Whether an execution has a trade's number, quantity and price.
#[inline]
fn is_trade(event: &Execution) -> bool {
    event.last_liquidity != LastLiquidity::None
}

/// The report of an execution.
#[inline]
fn execution<'a>(
    event: &'a Execution,
    time: Timestamp,
    symbols: &'a SymbolTable,
    texts: &'a ReportTexts,
) -> ExecutionReport<'a> {
    let price = |mantissa| Decimal::new(mantissa, event.price_scale);
    let qty = |mantissa| Decimal::new(mantissa, event.qty_scale);
    let trade = is_trade(event);
    let (avg_px, avg_px_scale) = event.avg_px();
    ExecutionReport {
        order_id: texts.order_id.order_id(event.order_id),
        exec_id: texts.exec_id.as_bytes(),
        secondary_exec_id: trade.then(|| texts.trade_id.as_bytes()),
        cl_ord_id: Some(event.cl_ord_id.as_bytes()),
        orig_cl_ord_id: Some(event.orig_cl_ord_id().as_bytes()),
        ord_status_req_id: Some(event.ord_status_req_id().as_bytes()),
        exec_type: exec_type(event.exec_type),
        ord_status: ord_status(event.ord_status),
        ord_rej_reason: None,
        exec_restatement_reason: exec_restatement_reason(event.reason),
        account: Some(event.account.as_bytes()),
        symbol: symbols.symbol(event.instrument).map_or(b"".as_slice(), Symbol::as_bytes),
        side: fix_side(event.side),
        order_qty: Some(qty(event.order_qty)),
        ord_type: Some(fix_ord_type(event.ord_type)),
        price: (event.ord_type == OrdType::Limit).then(|| price(event.price)),
        stop_px: None,
        time_in_force: Some(fix_time_in_force(event.time_in_force)),
        last_qty: trade.then(|| qty(event.last_qty)),
        last_px: trade.then(|| price(event.last_px)),
        last_liquidity_ind: trade.then(|| event.last_liquidity.code() - b'0'),
        leaves_qty: qty(event.leaves_qty),
        cum_qty: qty(event.cum_qty),
        avg_px: Decimal::new(avg_px, avg_px_scale),
        transact_time_ns: Some(time.0),
        text: exec_reason_text(event.reason),
    }
}

/// The report of a reject.
fn order_rejected<'a>(
    event: &'a OrderRejected,
    time: Timestamp,
    symbols: &'a SymbolTable,
    texts: &'a ReportTexts,
) -> ExecutionReport<'a> {
    let symbol = symbols.symbol(event.instrument).unwrap_or(&event.unknown_symbol);
    let qty = |mantissa| Decimal::new(mantissa, event.qty_scale);
    let status = event.exec_type == ExecType::OrderStatus;
    ExecutionReport {
        order_id: b"NONE",
        exec_id: if status { b"0" } else { texts.exec_id.as_bytes() },
        secondary_exec_id: None,
        cl_ord_id: Some(event.cl_ord_id.as_bytes()),
        orig_cl_ord_id: None,
        ord_status_req_id: Some(event.ord_status_req_id.as_bytes()),
        exec_type: exec_type(event.exec_type),
        ord_status: ironbook_fix::report::OrdStatus::Rejected,
        ord_rej_reason: Some(ord_rej_reason(event.reason)),
        exec_restatement_reason: None,
        account: Some(event.account.as_bytes()),
        symbol: symbol.as_bytes(),
        side: fix_side(event.side),
        order_qty: (!status).then(|| qty(event.order_qty)),
        ord_type: (!status).then(|| fix_ord_type(event.ord_type)),
        price: (!status && event.ord_type == OrdType::Limit)
            .then(|| Decimal::new(event.price, event.price_scale)),
        stop_px: None,
        time_in_force: (!status).then(|| fix_time_in_force(event.time_in_force)),
        last_qty: None,
        last_px: None,
        last_liquidity_ind: None,
        leaves_qty: Decimal::ZERO,
        cum_qty: Decimal::ZERO,
        avg_px: Decimal::ZERO,
        transact_time_ns: Some(time.0),
        text: texts.reason.as_ref().map(ReasonText::as_bytes),
    }
}

/// The report of a refused cancel or replace.
fn cancel_rejected<'a>(
    event: &'a CancelRejected,
    time: Timestamp,
    texts: &'a ReportTexts,
) -> OrderCancelReject<'a> {
    OrderCancelReject {
        order_id: texts.order_id.order_id(event.order_id),
        cl_ord_id: event.cl_ord_id.as_bytes(),
        orig_cl_ord_id: event.orig_cl_ord_id.as_bytes(),
        ord_status: ord_status(event.ord_status),
        account: Some(event.account.as_bytes()),
        transact_time_ns: Some(time.0),
        response_to: match event.response_to {
            CancelRejectTo::Cancel => CxlRejResponseTo::Cancel,
            CancelRejectTo::Replace => CxlRejResponseTo::Replace,
        },
        cxl_rej_reason: Some(cxl_rej_reason(event.reason)),
        text: texts.reason.as_ref().map(ReasonText::as_bytes),
    }
}

/// A cancel of all orders of a session, which nobody asked for in a message; the session gets a report as if it had.
pub fn mass_cancel_of(session: SessionId, now: Timestamp) -> MassCancel {
    let (origin, all) = (Origin::new(session, 0, now), MassCancelRequestType::All.code());
    MassCancel::new(origin, InstrumentId::NONE, SideFilter::Both, all, ClOrdId::EMPTY)
}

/// The report of a mass cancel.
fn mass_canceled<'a>(
    event: &'a MassCanceled,
    time: Timestamp,
    symbols: &'a SymbolTable,
    texts: &'a ReportTexts,
) -> OrderMassCancelReport<'a> {
    let all = event.request_type == MassCancelRequestType::All.code();
    OrderMassCancelReport {
        cl_ord_id: Some(event.cl_ord_id.as_bytes()),
        order_id: texts.order_id.as_bytes(),
        request_type: if all {
            MassCancelRequestType::All
        } else {
            MassCancelRequestType::Security
        },
        response: if all { MassCancelResponse::All } else { MassCancelResponse::Security },
        reject_reason: None,
        total_affected_orders: Some(event.affected.into()),
        symbol: symbols.symbol(event.instrument).map(Symbol::as_bytes),
        side: None,
        transact_time_ns: Some(time.0),
        text: None,
    }
}

/// The report of a new order that the venue has no words for.
pub fn unsupported_order<'a>(
    order: &NewOrderSingle<'a>,
    unsupported: Unsupported,
    (exec_id, text): (&'a [u8], &'a ReasonText),
    time: Timestamp,
) -> ExecutionReport<'a> {
    ExecutionReport {
        order_id: b"NONE",
        exec_id,
        secondary_exec_id: None,
        cl_ord_id: Some(order.cl_ord_id),
        orig_cl_ord_id: None,
        ord_status_req_id: None,
        exec_type: ironbook_fix::report::ExecType::Rejected,
        ord_status: ironbook_fix::report::OrdStatus::Rejected,
        ord_rej_reason: Some(unsupported.ord_rej_reason()),
        exec_restatement_reason: None,
        account: order.account,
        symbol: order.symbol,
        side: order.side,
        order_qty: Some(order.order_qty),
        ord_type: Some(order.ord_type),
        price: order.price,
        stop_px: order.stop_px,
        time_in_force: Some(order.time_in_force),
        last_qty: None,
        last_px: None,
        last_liquidity_ind: None,
        leaves_qty: Decimal::ZERO,
        cum_qty: Decimal::ZERO,
        avg_px: Decimal::ZERO,
        transact_time_ns: Some(time.0),
        text: Some(text.as_bytes()),
    }
}

/// OrdRejReason (103) and CxlRejReason (102) 99: other.
const OTHER: u8 = 99;

/// OrdRejReason (103) 3: order exceeds limit.
const EXCEEDS_LIMIT: u8 = 3;

/// The report of a replace that the venue has no words for.
pub fn unsupported_replace<'a>(
    request: &OrderCancelReplaceRequest<'a>,
    text: &'a ReasonText,
    time: Timestamp,
) -> OrderCancelReject<'a> {
    let order = &request.order;
    OrderCancelReject {
        account: order.account,
        response_to: CxlRejResponseTo::Replace,
        ..refused(request.order_id, (order.cl_ord_id, request.orig_cl_ord_id), text, time)
    }
}

/// The report of a cancel that the venue has no words for.
pub fn unsupported_cancel<'a>(
    request: &OrderCancelRequest<'a>,
    text: &'a ReasonText,
    time: Timestamp,
) -> OrderCancelReject<'a> {
    OrderCancelReject {
        account: request.account,
        response_to: CxlRejResponseTo::Cancel,
        ..refused(request.order_id, (request.cl_ord_id, request.orig_cl_ord_id), text, time)
    }
}

/// What both refusals have in common; `ids` are ClOrdID and OrigClOrdID.
fn refused<'a>(
    order_id: Option<&'a [u8]>,
    ids: (&'a [u8], &'a [u8]),
    text: &'a ReasonText,
    time: Timestamp,
) -> OrderCancelReject<'a> {
    OrderCancelReject {
        order_id: order_id.unwrap_or(b"NONE"),
        cl_ord_id: ids.0,
        orig_cl_ord_id: ids.1,
        ord_status: ironbook_fix::report::OrdStatus::New,
        account: None,
        transact_time_ns: Some(time.0),
        response_to: CxlRejResponseTo::Cancel,
        cxl_rej_reason: Some(OTHER),
        text: Some(text.as_bytes()),
    }
}

/// The report of a mass cancel that the venue has no words for.
pub fn unsupported_mass_cancel<'a>(
    request: &OrderMassCancelRequest<'a>,
    order_id: &'a [u8],
    time: Timestamp,
) -> OrderMassCancelReport<'a> {
    let security = request.request_type == MassCancelRequestType::Security;
    let text: &[u8] = if security {
        b"unknown symbol or side; give a Symbol(55) of this venue"
    } else {
        b"MassCancelRequestType(530) is not supported here: 1 (security) and 7 (all) are"
    };
    OrderMassCancelReport {
        cl_ord_id: Some(request.cl_ord_id),
        order_id,
        request_type: request.request_type,
        response: MassCancelResponse::Rejected,
        // 0: not supported, 1: invalid or unknown security.
        reject_reason: Some(u8::from(security)),
        total_affected_orders: None,
        symbol: request.symbol,
        side: request.side,
        transact_time_ns: Some(time.0),
        text: Some(text),
    }
}

/// An instrument as a list tells of it.
pub fn security(known: &InstrumentView) -> Security<'_> {
    let DefineInstrument { price_scale, qty_scale, tick, lot, .. } = known.definition;
    Security {
        symbol: known.definition.symbol.as_bytes(),
        tick: Decimal::new(tick, price_scale),
        lot: Decimal::new(lot, qty_scale),
        order_qty_max: Decimal::new(known.definition.order_qty_max, qty_scale),
        price_max: Decimal::new(known.definition.price_max, price_scale),
    }
}

/// A price level as it is told, of a sum of quantities. More than eighteen digits, which is more than a
/// client's number may hold, are told as eighteen nines.
pub fn price_level(
    definition: &DefineInstrument,
    price: i64,
    qty: u128,
    orders: u32,
) -> PriceLevel {
    let size = qty.min(MANTISSA_MAX as u128) as i64;
    PriceLevel {
        price: Decimal::new(price, definition.price_scale),
        size: Decimal::new(size, definition.qty_scale),
        orders,
    }
}

/// A trade as it is told, from the report of one of its sides.
pub fn trade(execution: &Execution, time: Timestamp) -> Trade {
    Trade {
        id: execution.trade_id.0,
        price: Decimal::new(execution.last_px, execution.price_scale),
        size: Decimal::new(execution.last_qty, execution.qty_scale),
        time_ns: time.0,
    }
}

/// The status of an instrument, or of none.
pub fn trading_status(known: Option<&InstrumentView>) -> TradingStatus {
    match known.map(|known| known.status) {
        Some(InstrumentStatus::Open) => TradingStatus::Open,
        Some(InstrumentStatus::Halted) => TradingStatus::Halted,
        Some(InstrumentStatus::Closed) => TradingStatus::Closed,
        None => TradingStatus::Unknown,
    }
}

fn fix_side(side: Side) -> fix::Side {
    match side {
        Side::Buy => fix::Side::Buy,
        Side::Sell => fix::Side::Sell,
    }
}

fn fix_ord_type(ord_type: OrdType) -> fix::OrdType {
    match ord_type {
        OrdType::Market => fix::OrdType::Market,
        OrdType::Limit => fix::OrdType::Limit,
    }
}

fn fix_time_in_force(time_in_force: TimeInForce) -> fix::TimeInForce {
    match time_in_force {
        TimeInForce::Day => fix::TimeInForce::Day,
        TimeInForce::Gtc => fix::TimeInForce::GoodTillCancel,
        TimeInForce::Ioc => fix::TimeInForce::ImmediateOrCancel,
        TimeInForce::Fok => fix::TimeInForce::FillOrKill,
    }
}

fn exec_type(exec_type: ExecType) -> ironbook_fix::report::ExecType {
    use ironbook_fix::report::ExecType as Fix;
    match exec_type {
        ExecType::New => Fix::New,
        ExecType::Canceled => Fix::Canceled,
        ExecType::Replaced => Fix::Replaced,
        ExecType::Rejected => Fix::Rejected,
        ExecType::Expired => Fix::Expired,
        ExecType::Trade => Fix::Trade,
        ExecType::OrderStatus => Fix::OrderStatus,
    }
}

fn ord_status(ord_status: OrdStatus) -> ironbook_fix::report::OrdStatus {
    use ironbook_fix::report::OrdStatus as Fix;
    match ord_status {
        OrdStatus::New => Fix::New,
        OrdStatus::PartiallyFilled => Fix::PartiallyFilled,
        OrdStatus::Filled => Fix::Filled,
        OrdStatus::Canceled => Fix::Canceled,
        OrdStatus::Rejected => Fix::Rejected,
        OrdStatus::Expired => Fix::Expired,
    }
}
