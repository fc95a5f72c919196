//! Messages from a client to the venue: orders and everything asked about them.
//!
//! Fields are those of the FIX 4.4 specification, volume 4; code sets are those of all versions together, as
//! the dictionary has already asked what a version knows. Texts are borrowed from the message they came in.
//! Parsing checks what the venue needs beyond the dictionary: bounds of identifiers, numbers that fit,
//! prices where the order type calls for them.

use crate::encode::{Body, FIELD_MAX, Writer, text_len};
use crate::field::{Decimal, TimestampText, ValueError, parse_text, parse_timestamp};
use crate::message::{
    BusinessReject, BusinessRejectReason, Message, MsgType, Refusal, Reject, SessionRejectReason,
};
use crate::version::ApplVerId;

/// Longest ClOrdID(11) and OrigClOrdID(41) in bytes: a UUID as text.
pub const CL_ORD_ID_MAX: usize = 36;
/// Longest OrderID(37) in bytes, as a client quotes it.
pub const ORDER_ID_MAX: usize = 36;
/// Longest Account(1) in bytes.
pub const ACCOUNT_MAX: usize = 12;
/// Longest Symbol(55) in bytes.
pub const SYMBOL_MAX: usize = 24;

/// An enumeration of one-character codes.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$code_doc:meta])* $code:ident = $byte:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$code_doc])* $code = $byte,)+
        }

        impl $name {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// The code as sent.
            #[inline]
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// Reads a value of this field.
            ///
            /// # Errors
            /// [`ValueError::Format`] unless it's one character, [`ValueError::Range`] when that
            /// isn't a code.
            #[inline]
            pub fn parse(value: &[u8]) -> Result<Self, $crate::field::ValueError> {
                match value {
                    $([$byte] => Ok(Self::$code),)+
                    [_] => Err($crate::field::ValueError::Range),
                    _ => Err($crate::field::ValueError::Format),
                }
            }
        }
    };
}
pub(crate) use codes;

codes! {
    /// Side(54)
    Side {
        /// Buy
        Buy = b'1',
        /// Sell
        Sell = b'2',
        /// Buy minus: not above the last sale, or after a downtick.
        BuyMinus = b'3',
        /// Sell plus: not below the last sale, or after an uptick.
        SellPlus = b'4',
        /// Sell short
        SellShort = b'5',
        /// Sell short exempt
        SellShortExempt = b'6',
        /// Undisclosed
        Undisclosed = b'7',
        /// Cross
        Cross = b'8',
        /// Cross short
        CrossShort = b'9',
        /// Cross short exempt
        CrossShortExempt = b'A',
        /// As defined, for multileg
        AsDefined = b'B',
        /// Opposite, for multileg
        Opposite = b'C',
        /// Subscribe
        Subscribe = b'D',
        /// Redeem
        Redeem = b'E',
        /// Lend
        Lend = b'F',
        /// Borrow
        Borrow = b'G',
        /// Sell undisclosed
        SellUndisclosed = b'H',
    }
}

codes! {
    /// OrdType(40)
    OrdType {
        /// Market
        Market = b'1',
        /// Limit
        Limit = b'2',
        /// Stop
        Stop = b'3',
        /// Stop limit
        StopLimit = b'4',
        /// Market on close, deprecated
        MarketOnClose = b'5',
        /// With or without
        WithOrWithout = b'6',
        /// Limit or better, deprecated
        LimitOrBetter = b'7',
        /// Limit with or without
        LimitWithOrWithout = b'8',
        /// On basis
        OnBasis = b'9',
        /// On close, deprecated
        OnClose = b'A',
        /// Limit on close, deprecated
        LimitOnClose = b'B',
        /// Forex market, deprecated
        ForexMarket = b'C',
        /// Previously quoted
        PreviouslyQuoted = b'D',
        /// Previously indicated
        PreviouslyIndicated = b'E',
        /// Forex limit, deprecated
        ForexLimit = b'F',
        /// Forex swap
        ForexSwap = b'G',
        /// Forex previously quoted, deprecated
        ForexPreviouslyQuoted = b'H',
        /// Funari: limit day, market at close
        Funari = b'I',
        /// Market if touched
        MarketIfTouched = b'J',
        /// Market with leftover as limit
        MarketWithLeftoverAsLimit = b'K',
        /// Previous fund valuation point
        PreviousFundValuationPoint = b'L',
        /// Next fund valuation point
        NextFundValuationPoint = b'M',
        /// Pegged
        Pegged = b'P',
        /// Counter-order selection
        CounterOrderSelection = b'Q',
        /// Stop on bid or offer
        StopOnBidOrOffer = b'R',
        /// Stop limit on bid or offer
        StopLimitOnBidOrOffer = b'S',
    }
}

codes! {
    /// TimeInForce(59)
    TimeInForce {
        /// Day
        Day = b'0',
        /// Good till cancel
        GoodTillCancel = b'1',
        /// At the opening
        AtTheOpening = b'2',
        /// Immediate or cancel
        ImmediateOrCancel = b'3',
        /// Fill or kill
        FillOrKill = b'4',
        /// Good till crossing
        GoodTillCrossing = b'5',
        /// Good till date
        GoodTillDate = b'6',
        /// At the close
        AtTheClose = b'7',
        /// Good through crossing
        GoodThroughCrossing = b'8',
        /// At crossing
        AtCrossing = b'9',
        /// Good for time
        GoodForTime = b'A',
        /// Good for auction
        GoodForAuction = b'B',
        /// Good for this month
        GoodForMonth = b'C',
    }
}

codes! {
    /// MassCancelRequestType(530)
    MassCancelRequestType {
        /// Orders of one security
        Security = b'1',
        /// Orders of an underlying
        Underlying = b'2',
        /// Orders of a product
        Product = b'3',
        /// Orders of a CFI code
        CfiCode = b'4',
        /// Orders of a security type
        SecurityType = b'5',
        /// Orders of a trading session
        TradingSession = b'6',
        /// All orders
        All = b'7',
        /// Orders of a market
        Market = b'8',
        /// Orders of a market segment
        MarketSegment = b'9',
        /// Orders of a group of securities
        SecurityGroup = b'A',
        /// Orders of an issuer's securities
        Issuer = b'B',
        /// Orders of securities with an underlying of an issuer
        UnderlyingIssuer = b'C',
    }
}

/// NewOrderSingle(D)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewOrderSingle<'a> {
    /// ClOrdID(11), up to [`CL_ORD_ID_MAX`] bytes.
    pub cl_ord_id: &'a [u8],
    /// Account(1), up to [`ACCOUNT_MAX`] bytes.
    pub account: Option<&'a [u8]>,
    /// Symbol(55), up to [`SYMBOL_MAX`] bytes.
    pub symbol: &'a [u8],
    /// Side(54)
    pub side: Side,
    /// OrderQty(38)
    pub order_qty: Decimal,
    /// OrdType(40)
    pub ord_type: OrdType,
    /// Price(44); there for limit and stop limit orders.
    pub price: Option<Decimal>,
    /// StopPx(99); there for stop and stop limit orders.
    pub stop_px: Option<Decimal>,
    /// TimeInForce(59), Day when the message has none.
    pub time_in_force: TimeInForce,
    /// ExecInst(18), characters separated by spaces.
    pub exec_inst: Option<&'a [u8]>,
    /// MinQty(110)
    pub min_qty: Option<Decimal>,
    /// MaxFloor(111), the displayed quantity.
    pub max_floor: Option<Decimal>,
    /// ExpireTime(126) in nanoseconds since the Unix epoch.
    pub expire_time_ns: Option<u64>,
    /// TransactTime(60) in nanoseconds since the Unix epoch; before FIX 4.2, which has none, SendingTime(52).
    pub transact_time_ns: u64,
    /// PossResend(97): the order may have been sent before under another MsgSeqNum.
    pub poss_resend: bool,
}

impl<'a> NewOrderSingle<'a> {
    /// A limit order for the day of which nothing more is said.
    #[must_use]
    pub const fn limit(
        cl_ord_id: &'a [u8],
        symbol: &'a [u8],
        side: Side,
        order_qty: Decimal,
        price: Decimal,
        transact_time_ns: u64,
    ) -> Self {
        Self {
            cl_ord_id,
            account: None,
            symbol,
            side,
            order_qty,
            ord_type: OrdType::Limit,
            price: Some(price),
            stop_px: None,
            time_in_force: TimeInForce::Day,
            exec_inst: None,
            min_qty: None,
            max_floor: None,
            expire_time_ns: None,
            transact_time_ns,
            poss_resend: false,
        }
    }
}

/// OrderCancelRequest(F)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderCancelRequest<'a> {
    /// ClOrdID(11) of this request.
    pub cl_ord_id: &'a [u8],
    /// OrigClOrdID(41) of the order.
    pub orig_cl_ord_id: &'a [u8],
    /// OrderID(37) of the order.
    pub order_id: Option<&'a [u8]>,
    /// Account(1)
    pub account: Option<&'a [u8]>,
    /// Symbol(55)
    pub symbol: &'a [u8],
    /// Side(54)
    pub side: Side,
    /// OrderQty(38)
    pub order_qty: Option<Decimal>,
    /// CxlType(125) of FIX 4.0 says that the order is only to become smaller.
    pub partial: bool,
    /// TransactTime(60) in nanoseconds since the Unix epoch; before FIX 4.2, which has none, SendingTime(52).
    pub transact_time_ns: u64,
}

/// OrderCancelReplaceRequest(G)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderCancelReplaceRequest<'a> {
    /// OrigClOrdID(41) of the order.
    pub orig_cl_ord_id: &'a [u8],
    /// OrderID(37) of the order.
    pub order_id: Option<&'a [u8]>,
    /// What the order is to become; OrderQty(38) is the total, filled quantity included.
    pub order: NewOrderSingle<'a>,
}

/// OrderMassCancelRequest(q)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderMassCancelRequest<'a> {
    /// ClOrdID(11) of this request.
    pub cl_ord_id: &'a [u8],
    /// MassCancelRequestType(530)
    pub request_type: MassCancelRequestType,
    /// Symbol(55); there when the request is for one security.
    pub symbol: Option<&'a [u8]>,
    /// Side(54): only orders of this side.
    pub side: Option<Side>,
    /// TransactTime(60) in nanoseconds since the Unix epoch.
    pub transact_time_ns: u64,
}

/// OrderStatusRequest(H)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderStatusRequest<'a> {
    /// ClOrdID(11) of the order.
    pub cl_ord_id: &'a [u8],
    /// OrderID(37) of the order.
    pub order_id: Option<&'a [u8]>,
    /// OrdStatusReqID(790), given back in the answer.
    pub ord_status_req_id: Option<&'a [u8]>,
    /// Account(1)
    pub account: Option<&'a [u8]>,
    /// Symbol(55)
    pub symbol: &'a [u8],
    /// Side(54)
    pub side: Side,
}

/// Any message a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderMessage<'a> {
    /// NewOrderSingle(D)
    New(NewOrderSingle<'a>),
    /// OrderCancelRequest(F)
    Cancel(OrderCancelRequest<'a>),
    /// OrderCancelReplaceRequest(G)
    Replace(OrderCancelReplaceRequest<'a>),
    /// OrderMassCancelRequest(q)
    MassCancel(OrderMassCancelRequest<'a>),
    /// OrderStatusRequest(H)
    Status(OrderStatusRequest<'a>),
}

impl<'a> OrderMessage<'a> {
    /// Reads an application message of a version that a session accepted.
    ///
    /// # Errors
    /// How to refuse the message: as another type than these five ("unsupported"), with a Reject(3) for a
    /// missing or bad field, with a BusinessMessageReject(j) for one that other fields call for.
    #[inline]
    pub fn parse(message: &Message<'a>, version: ApplVerId) -> Result<Self, Refusal<'a>> {
        if message.is_plain()
            && texts_are_short(message)
            && let Some(codes) = Codes::of(message)
        {
            return typed(message, version, codes);
        }
        Self::parse_in_full(message, version)
    }

    /// Reads a message that is unusual, or wrong: the first value in it that is wrong is the one to report.
    #[cold]
    fn parse_in_full(message: &Message<'a>, version: ApplVerId) -> Result<Self, Refusal<'a>> {
        for (tag, value) in message.iter() {
            check(tag, value).map_err(|error| refuse_value(tag, error))?;
        }
        let codes = Codes::of(message).expect("all codes were checked");
        typed(message, version, codes)
    }
}

/// What the fields of one character say.
struct Codes {
    ord_type: Option<OrdType>,
    side: Option<Side>,
    time_in_force: Option<TimeInForce>,
    mass_cancel_request_type: Option<MassCancelRequestType>,
}

impl Codes {
    /// `None` when one is wrong; of several fields with a tag the last one counts.
    #[inline]
    fn of(message: &Message<'_>) -> Option<Self> {
        let last = |tag| message.last(tag);
        Some(Self {
            ord_type: last(40).map(OrdType::parse).transpose().ok()?,
            side: last(54).map(Side::parse).transpose().ok()?,
            time_in_force: last(59).map(TimeInForce::parse).transpose().ok()?,
            mass_cancel_request_type: last(530)
                .map(MassCancelRequestType::parse)
                .transpose()
                .ok()?,
        })
    }
}

/// Whether no text of a plain message is too long.
#[inline]
fn texts_are_short(message: &Message<'_>) -> bool {
    message.length(1) <= ACCOUNT_MAX
        && message.length(11) <= CL_ORD_ID_MAX
        && message.length(37) <= ORDER_ID_MAX
        && message.length(41) <= CL_ORD_ID_MAX
        && message.length(55) <= SYMBOL_MAX
        && message.length(790) <= CL_ORD_ID_MAX
}

/// Checks the value of a field that is one of these messages'.
fn check(tag: u32, value: &[u8]) -> Result<(), ValueError> {
    match tag {
        1 => parse_text(value, ACCOUNT_MAX).map(drop),
        11 | 41 | 790 => parse_text(value, CL_ORD_ID_MAX).map(drop),
        37 => parse_text(value, ORDER_ID_MAX).map(drop),
        55 => parse_text(value, SYMBOL_MAX).map(drop),
        38 | 44 | 99 | 110 | 111 => Decimal::parse(value).map(drop),
        40 => OrdType::parse(value).map(drop),
        54 => Side::parse(value).map(drop),
        59 => TimeInForce::parse(value).map(drop),
        60 | 126 => parse_timestamp(value).map(drop),
        530 => MassCancelRequestType::parse(value).map(drop),
        _ => Ok(()),
    }
}

/// Makes a message of values that are right, those that it must have aside.
#[inline(always)]
fn typed<'a>(
    message: &Message<'a>,
    version: ApplVerId,
    codes: Codes,
) -> Result<OrderMessage<'a>, Refusal<'a>> {
    let fields = Values { message, version, codes };
    match message.msg_type() {
        Some(MsgType::NEW_ORDER_SINGLE) => fields.order(OrderMessage::New),
        Some(MsgType::ORDER_CANCEL_REQUEST) => fields.cancel().map(OrderMessage::Cancel),
        Some(MsgType::ORDER_CANCEL_REPLACE_REQUEST) => fields.replace(),
        Some(MsgType::ORDER_MASS_CANCEL_REQUEST) => {
            fields.mass_cancel().map(OrderMessage::MassCancel)
        }
        Some(MsgType::ORDER_STATUS_REQUEST) => fields.status().map(OrderMessage::Status),
        _ => Err(Refusal::unsupported()),
    }
}

/// Values of a message that are right.
struct Values<'a, 'm> {
    message: &'m Message<'a>,
    version: ApplVerId,
    codes: Codes,
}

impl<'a> Values<'a, '_> {
    /// `wrap` says what becomes of the order: it is built in its place.
    #[inline(always)]
    fn order<T>(&self, wrap: impl FnOnce(NewOrderSingle<'a>) -> T) -> Result<T, Refusal<'a>> {
        let message = self.message;
        let cl_ord_id = required(11, message.last(11))?;
        let symbol = required(55, message.last(55))?;
        let side = required(54, self.codes.side)?;
        let order_qty = required(38, message.decimal(38))?;
        let ord_type = required(40, self.codes.ord_type)?;
        let transact_time_ns = required(60, self.transact_time_ns())?;
        let (price, stop_px) = (message.decimal(44), message.decimal(99));
        let limit = matches!(ord_type, OrdType::Limit | OrdType::StopLimit);
        let stop = matches!(ord_type, OrdType::Stop | OrdType::StopLimit);
        if limit && price.is_none() {
            return Err(self.conditional("Price (44) is required for this OrdType"));
        }
        if stop && stop_px.is_none() {
            return Err(self.conditional("StopPx (99) is required for this OrdType"));
        }
        Ok(wrap(NewOrderSingle {
            cl_ord_id,
            account: message.last(1),
            symbol,
            side,
            order_qty,
            ord_type,
            price,
            stop_px,
            time_in_force: self.codes.time_in_force.unwrap_or(TimeInForce::Day),
            exec_inst: message.last(18),
            min_qty: message.decimal(110),
            max_floor: message.decimal(111),
            expire_time_ns: message.time_ns(126),
            transact_time_ns,
            poss_resend: message.last(97) == Some(b"Y"),
        }))
    }

    #[inline(always)]
    fn cancel(&self) -> Result<OrderCancelRequest<'a>, Refusal<'a>> {
        let message = self.message;
        Ok(OrderCancelRequest {
            cl_ord_id: required(11, message.last(11))?,
            orig_cl_ord_id: self.named(41)?,
            order_id: message.last(37),
            account: message.last(1),
            symbol: required(55, message.last(55))?,
            side: required(54, self.codes.side)?,
            order_qty: message.decimal(38),
            partial: message.last(125) == Some(b"P"),
            transact_time_ns: required(60, self.transact_time_ns())?,
        })
    }

    #[inline(always)]
    fn replace(&self) -> Result<OrderMessage<'a>, Refusal<'a>> {
        let orig_cl_ord_id = self.named(41)?;
        let order_id = self.message.last(37);
        self.order(|order| {
            OrderMessage::Replace(OrderCancelReplaceRequest { orig_cl_ord_id, order_id, order })
        })
    }

    fn mass_cancel(&self) -> Result<OrderMassCancelRequest<'a>, Refusal<'a>> {
        let message = self.message;
        let request = OrderMassCancelRequest {
            cl_ord_id: required(11, message.last(11))?,
            request_type: required(530, self.codes.mass_cancel_request_type)?,
            symbol: message.last(55),
            side: self.codes.side,
            transact_time_ns: required(60, self.transact_time_ns())?,
        };
        if request.request_type == MassCancelRequestType::Security && request.symbol.is_none() {
            return Err(self.conditional("Symbol (55) is required for this MassCancelRequestType"));
        }
        Ok(request)
    }

    fn status(&self) -> Result<OrderStatusRequest<'a>, Refusal<'a>> {
        let message = self.message;
        Ok(OrderStatusRequest {
            cl_ord_id: self.named(11)?,
            order_id: message.last(37),
            ord_status_req_id: message.last(790),
            account: message.last(1),
            symbol: required(55, message.last(55))?,
            side: required(54, self.codes.side)?,
        })
    }

    /// TransactTime(60), which requests have from FIX 4.2 on.
    #[inline]
    fn transact_time_ns(&self) -> Option<u64> {
        let time_ns = self.message.time_ns(60);
        if self.version < ApplVerId::Fix42 {
            return time_ns.or(self.message.sending_time_ns());
        }
        time_ns
    }

    /// The name an order is found by. From FIX 5.0 SP1 on a client may give OrderID(37) instead, which this
    /// package doesn't take.
    #[inline]
    fn named(&self, tag: u32) -> Result<&'a [u8], Refusal<'a>> {
        let name = self.message.last(tag);
        if name.is_none() && self.version >= ApplVerId::Fix50Sp1 {
            return Err(self.conditional(if tag == 11 {
                "ClOrdID (11) is required here"
            } else {
                "OrigClOrdID (41) is required here"
            }));
        }
        required(tag, name)
    }

    #[cold]
    fn conditional(&self, text: &'static str) -> Refusal<'a> {
        Refusal::Business(BusinessReject {
            reason: BusinessRejectReason::ConditionallyRequiredFieldMissing,
            ref_id: self.message.last(11),
            text,
        })
    }
}

#[inline]
pub(crate) fn required<'a, T>(tag: u32, value: Option<T>) -> Result<T, Refusal<'a>> {
    value.ok_or_else(|| Reject::new(SessionRejectReason::RequiredTagMissing, Some(tag)).into())
}

/// Says which bound a text passed, as the standard's words don't.
#[cold]
fn refuse_value<'a>(tag: u32, error: ValueError) -> Refusal<'a> {
    let reject = Reject::value(tag, error);
    let reject = match (error, tag) {
        (ValueError::Range, 1) => reject.with_text("Account is longer than 12 characters"),
        (ValueError::Range, 11 | 41 | 790) => {
            reject.with_text("Identifier is longer than 36 characters")
        }
        (ValueError::Range, 37) => reject.with_text("OrderID is longer than 36 characters"),
        (ValueError::Range, 55) => reject.with_text("Symbol is longer than 24 characters"),
        (ValueError::Range, 38 | 44 | 99 | 110 | 111) => {
            reject.with_text("Number has more than 18 significant digits")
        }
        _ => reject,
    };
    reject.into()
}

const _: () = assert!(CL_ORD_ID_MAX == 36 && ORDER_ID_MAX == 36, "the texts name the bounds");
const _: () = assert!(ACCOUNT_MAX == 12 && SYMBOL_MAX == 24, "the texts name the bounds");

/// TransactTime(60), which requests have from FIX 4.2 on.
fn write_transact_time(
    time_ns: u64,
    out: &mut Writer<'_>,
    text: &mut TimestampText,
    version: ApplVerId,
) {
    if version >= ApplVerId::Fix42 {
        out.time(b"60=", time_ns, text);
    }
}

impl Body for NewOrderSingle<'_> {
    const MSG_TYPE: MsgType = MsgType::NEW_ORDER_SINGLE;

    fn len_max(&self) -> usize {
        let texts = [Some(self.cl_ord_id), self.account, Some(self.symbol), self.exec_inst];
        18 * FIELD_MAX + text_len(&texts)
    }

    fn write(&self, out: &mut Writer<'_>, text: &mut TimestampText, version: ApplVerId) {
        if self.poss_resend {
            out.raw(b"97=Y\x01");
        }
        self.write_fields(out, text, version);
    }
}

impl NewOrderSingle<'_> {
    fn write_fields(&self, out: &mut Writer<'_>, text: &mut TimestampText, version: ApplVerId) {
        out.text(b"11=", self.cl_ord_id);
        out.text_if(b"1=", self.account);
        if version < ApplVerId::Fix44 {
            // HandlInst: automated execution, no broker intervention.
            out.raw(b"21=1\x01");
        }
        out.text(b"55=", self.symbol);
        out.char(b"54=", self.side.code());
        write_transact_time(self.transact_time_ns, out, text, version);
        out.decimal(b"38=", self.order_qty);
        out.char(b"40=", self.ord_type.code());
        out.decimal_if(b"44=", self.price);
        out.decimal_if(b"99=", self.stop_px);
        out.char(b"59=", self.time_in_force.code());
        out.text_if(b"18=", self.exec_inst);
        out.decimal_if(b"110=", self.min_qty);
        out.decimal_if(b"111=", self.max_floor);
        if let Some(expire_time_ns) = self.expire_time_ns {
            out.time(b"126=", expire_time_ns, text);
        }
    }
}

impl Body for OrderCancelRequest<'_> {
    const MSG_TYPE: MsgType = MsgType::ORDER_CANCEL_REQUEST;

    fn len_max(&self) -> usize {
        let texts = [Some(self.cl_ord_id), Some(self.orig_cl_ord_id), self.order_id, self.account];
        10 * FIELD_MAX + text_len(&texts) + self.symbol.len()
    }

    fn write(&self, out: &mut Writer<'_>, text: &mut TimestampText, version: ApplVerId) {
        out.text(b"41=", self.orig_cl_ord_id);
        out.text_if(b"37=", self.order_id);
        out.text(b"11=", self.cl_ord_id);
        if version == ApplVerId::Fix40 {
            out.char(b"125=", if self.partial { b'P' } else { b'F' });
        }
        if version >= ApplVerId::Fix42 {
            out.text_if(b"1=", self.account);
        }
        out.text(b"55=", self.symbol);
        out.char(b"54=", self.side.code());
        write_transact_time(self.transact_time_ns, out, text, version);
        out.decimal_if(b"38=", self.order_qty);
    }
}

impl Body for OrderCancelReplaceRequest<'_> {
    const MSG_TYPE: MsgType = MsgType::ORDER_CANCEL_REPLACE_REQUEST;

    fn len_max(&self) -> usize {
        let texts = [Some(self.orig_cl_ord_id), self.order_id];
        2 * FIELD_MAX + text_len(&texts) + self.order.len_max()
    }

    fn write(&self, out: &mut Writer<'_>, text: &mut TimestampText, version: ApplVerId) {
        if self.order.poss_resend {
            out.raw(b"97=Y\x01");
        }
        out.text_if(b"37=", self.order_id);
        out.text(b"41=", self.orig_cl_ord_id);
        self.order.write_fields(out, text, version);
    }
}

impl Body for OrderMassCancelRequest<'_> {
    const MSG_TYPE: MsgType = MsgType::ORDER_MASS_CANCEL_REQUEST;
    const SINCE: ApplVerId = ApplVerId::Fix43;

    fn len_max(&self) -> usize {
        6 * FIELD_MAX + text_len(&[Some(self.cl_ord_id), self.symbol])
    }

    fn write(&self, out: &mut Writer<'_>, text: &mut TimestampText, _: ApplVerId) {
        out.text(b"11=", self.cl_ord_id);
        out.char(b"530=", self.request_type.code());
        out.text_if(b"55=", self.symbol);
        if let Some(side) = self.side {
            out.char(b"54=", side.code());
        }
        out.time(b"60=", self.transact_time_ns, text);
    }
}

impl Body for OrderStatusRequest<'_> {
    const MSG_TYPE: MsgType = MsgType::ORDER_STATUS_REQUEST;

    fn len_max(&self) -> usize {
        let texts = [Some(self.cl_ord_id), self.order_id, self.ord_status_req_id, self.account];
        7 * FIELD_MAX + text_len(&texts) + self.symbol.len()
    }

    fn write(&self, out: &mut Writer<'_>, _: &mut TimestampText, version: ApplVerId) {
        out.text_if(b"37=", self.order_id);
        out.text(b"11=", self.cl_ord_id);
        if version >= ApplVerId::Fix44 {
            out.text_if(b"790=", self.ord_status_req_id);
        }
        if version >= ApplVerId::Fix42 {
            out.text_if(b"1=", self.account);
        }
        out.text(b"55=", self.symbol);
        out.char(b"54=", self.side.code());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Framed, frame};
    use crate::dictionary::Strictness;
    use crate::encode::Encoder;
    use crate::field::{MANTISSA_MAX, MsgSeqNum, Precision};
    use crate::message::Fields;
    use crate::version::Version;
    use proptest::prelude::*;

    /// A body as a whole and strict message of every version, split and typed again; what comes of it is
    /// checked from FIX 4.4 on, as the earlier ones have fewer fields.
    fn sent<B: Body>(versions: &[Version], body: &B, check: impl Fn(&OrderMessage<'_>)) {
        for version in versions.iter().filter(|version| version.application >= B::SINCE) {
            let time = TimestampText::new(version.precision(Precision::Millis));
            let mut encoder = Encoder::new(*version, "CLIENT", "VENUE", time);
            let mut out = Vec::new();
            encoder.typed(MsgSeqNum::new(7), 1_709_251_200_123_000_000, body, &mut out);
            assert_eq!(frame(&out), Framed::Message { len: out.len() });
            let mut fields = Fields::new();
            let message = Message::parse(&out, &mut fields).unwrap();
            if let Err(reject) = version.dictionary().check(&message, Strictness::Strict) {
                panic!("{version}: {reject} {:?} in {message:?}", reject.ref_tag);
            }
            let typed = OrderMessage::parse(&message, version.application).unwrap();
            if version.application >= ApplVerId::Fix44 {
                check(&typed);
            }
        }
    }

    fn refused(row: &str) -> String {
        refused_in(row, ApplVerId::Fix44)
    }

    fn refused_in(row: &str, version: ApplVerId) -> String {
        let bytes = row.replace('|', "\x01").into_bytes();
        let mut fields = Fields::new();
        let message = Message::parse(&bytes, &mut fields).unwrap();
        match OrderMessage::parse(&message, version) {
            Ok(_) => "accepted".to_owned(),
            Err(Refusal::Session(reject)) => {
                let tag =
                    reject.ref_tag.map(|tag| String::from_utf8_lossy(tag.as_ref()).into_owned());
                format!("3 {} {}: {}", reject.reason as u8, tag.unwrap_or_default(), reject.text())
            }
            Err(Refusal::Business(reject)) => format!("j {}: {}", reject.reason as u8, reject.text),
        }
    }

    #[test]
    fn orders_are_refused_with_a_reason() {
        let order = "35=D|11=1|55=A|54=1|60=20240301-00:00:00|38=1|40=2|44=1|";
        let with = |from: &str, to: &str| order.replace(from, to);
        let long = "x".repeat(37);
        for (row, expected) in [
            (order.to_owned(), "accepted"),
            (with("|11=1", ""), "3 1 11: Required tag missing"),
            (with("|55=A", ""), "3 1 55: Required tag missing"),
            (with("|54=1", ""), "3 1 54: Required tag missing"),
            (with("|38=1", ""), "3 1 38: Required tag missing"),
            (with("|40=2", ""), "3 1 40: Required tag missing"),
            (with("|60=20240301-00:00:00", ""), "3 1 60: Required tag missing"),
            (with("|44=1", ""), "j 5: Price (44) is required for this OrdType"),
            (with("40=2", "40=1"), "accepted"),
            (with("40=2", "40=3"), "j 5: StopPx (99) is required for this OrdType"),
            (with("40=2", "40=4"), "j 5: StopPx (99) is required for this OrdType"),
            (with("40=2", "40=4|99=2"), "accepted"),
            (with("54=1", "54=Z"), "3 5 54: Value is incorrect (out of range) for this tag"),
            (with("54=1", "54=11"), "3 6 54: Incorrect data format for value"),
            (with("44=1", "44=1e3"), "3 6 44: Incorrect data format for value"),
            (
                with("44=1", "44=1234567890123456789"),
                "3 5 44: Number has more than 18 significant digits",
            ),
            (
                with("11=1", &format!("11={long}")),
                "3 5 11: Identifier is longer than 36 characters",
            ),
            (with("11=1", &format!("11={}", &long[1..])), "accepted"),
            (with("11=1", "11=a\tb"), "3 6 11: Incorrect data format for value"),
            (
                with("55=A", "55=AAAAAAAAAAAAAAAAAAAAAAAAA"),
                "3 5 55: Symbol is longer than 24 characters",
            ),
            (with("55=A", "55=A|1=1234567890123"), "3 5 1: Account is longer than 12 characters"),
            (with("35=D", "35=G"), "3 1 41: Required tag missing"),
            (with("35=D", "35=F"), "3 1 41: Required tag missing"),
            (with("35=D", "35=q"), "3 1 530: Required tag missing"),
            (
                "35=q|11=1|530=1|60=20240301-00:00:00|".to_owned(),
                "j 5: Symbol (55) is required for this MassCancelRequestType",
            ),
            ("35=q|11=1|530=7|60=20240301-00:00:00|".to_owned(), "accepted"),
            (with("35=D", "35=6"), "j 3: Unsupported Message Type"),
        ] {
            assert_eq!(refused(&row), expected, "{row}");
        }
    }

    #[test]
    fn each_version_asks_for_its_own() {
        use ApplVerId::{Fix41, Fix42, Fix50, Fix50Sp1};
        let order = "35=D|52=20240301-00:00:00|11=1|21=1|55=A|54=1|38=1|40=2|44=1|";
        let cancel = "35=F|52=20240301-00:00:00|11=1|55=A|54=1|38=1|60=20240301-00:00:00|";
        for (version, row, expected) in [
            (Fix41, order, "accepted"),
            (Fix42, order, "3 1 60: Required tag missing"),
            (Fix50, cancel, "3 1 41: Required tag missing"),
            (Fix50Sp1, cancel, "j 5: OrigClOrdID (41) is required here"),
            (Fix50Sp1, "35=H|55=A|54=1|37=9|", "j 5: ClOrdID (11) is required here"),
        ] {
            assert_eq!(refused_in(row, version), expected, "{row}");
        }
    }

    fn decimal() -> impl Strategy<Value = Decimal> {
        (-MANTISSA_MAX..=MANTISSA_MAX, 0_u8..=18)
            .prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale))
    }

    fn text(length_max: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(b' '..=b'~', 1..=length_max)
    }

    /// Milliseconds, as times are written.
    fn time_ns() -> impl Strategy<Value = u64> {
        (0_u64..4_000_000_000_000).prop_map(|millis| millis * 1_000_000)
    }

    proptest! {
        #[test]
        fn orders_arrive_as_sent(
            (id, original, account, symbol) in (text(CL_ORD_ID_MAX), text(CL_ORD_ID_MAX), prop::option::of(text(ACCOUNT_MAX)), text(SYMBOL_MAX)),
            (side, ord_type, time_in_force) in (prop::sample::select(Side::ALL), prop::sample::select(OrdType::ALL), prop::sample::select(TimeInForce::ALL)),
            (order_qty, price, stop_px) in (decimal(), decimal(), decimal()),
            (min_qty, max_floor) in (prop::option::of(decimal()), prop::option::of(decimal())),
            (transact_time_ns, expire_time_ns, poss_resend) in (time_ns(), prop::option::of(time_ns()), any::<bool>()),
        ) {
            let versions: Vec<_> = Version::ALL.into_iter().filter(|version| {
                let dictionary = version.dictionary();
                let codes = [(54, side.code()), (40, ord_type.code()), (59, time_in_force.code())];
                codes.iter().all(|(tag, code)| dictionary.allows(*tag, &[*code]))
            }).collect();
            let order = NewOrderSingle {
                cl_ord_id: &id,
                account: account.as_deref(),
                symbol: &symbol,
                side,
                order_qty,
                ord_type,
                price: Some(price),
                stop_px: Some(stop_px),
                time_in_force,
                exec_inst: Some(b"6 G"),
                min_qty,
                max_floor,
                expire_time_ns,
                transact_time_ns,
                poss_resend,
            };
            sent(&versions, &order, |got| assert_eq!(*got, OrderMessage::New(order)));
            let replace = OrderCancelReplaceRequest { orig_cl_ord_id: &original, order_id: Some(b"9"), order };
            sent(&versions, &replace, |got| assert_eq!(*got, OrderMessage::Replace(replace)));
            let cancel = OrderCancelRequest {
                cl_ord_id: &id,
                orig_cl_ord_id: &original,
                order_id: None,
                account: account.as_deref(),
                symbol: &symbol,
                side,
                order_qty: Some(order_qty),
                partial: false,
                transact_time_ns,
            };
            sent(&versions, &cancel, |got| assert_eq!(*got, OrderMessage::Cancel(cancel)));
            let status = OrderStatusRequest {
                cl_ord_id: &id,
                order_id: Some(b"9"),
                ord_status_req_id: Some(&original),
                account: account.as_deref(),
                symbol: &symbol,
                side,
            };
            sent(&versions, &status, |got| assert_eq!(*got, OrderMessage::Status(status)));
            let mass = OrderMassCancelRequest {
                cl_ord_id: &id,
                request_type: MassCancelRequestType::Security,
                symbol: Some(&symbol),
                side: Some(side),
                transact_time_ns,
            };
            sent(&versions, &mass, |got| assert_eq!(*got, OrderMessage::MassCancel(mass)));
        }
    }
}
