//! Messages from the venue to a client: what became of an order.
//!
//! Fields are those of the FIX 4.4 specification, volume 4. The venue writes them in any version, a client
//! reads them as FIX 4.4 has them.
//!
//! What the other versions say otherwise (appendix D of each, "order state changes"):
//!
//! | versions | what |
//! |---|---|
//! | to 4.3 | fewer reasons: what a version lacks is "broker option", or left out |
//! | to 4.2 | ExecTransType(20); OrdStatus 5 of a replaced order without fills |
//! | to 4.2 | ExecType(150) of a trade is 1 or 2, that of a status is OrdStatus(39) |
//! | to 4.2 | no SecondaryExecID(527), no OrderMassCancelReport |
//! | to 4.1 | OrderQty, LastShares and LastPx are always there; times without a fraction |
//! | to 4.1 | in an OrderCancelReject neither account, TransactTime nor CxlRejResponseTo(434) |
//! | 4.0 | neither ExecType, LeavesQty nor OrigClOrdID; OrdStatus and OrigClOrdID in no OrderCancelReject |
//! | from 4.4 | LastLiquidityInd(851), OrdStatusReqID(790) |
//! | from 5.0 SP1 | TrdMatchID(880) beside SecondaryExecID(527); MassActionReportID(1369) |
//!
//! Two things have no good words in the oldest versions:
//! - Quantities are integers before FIX 4.2. Whole ones are written so; of an instrument whose lot has
//!   decimals they are written with these, which a strict client refuses.
//! - ExecID is a number in FIX 4.0, for clients that read it into 32 bits: the last nine digits of the id. It
//!   is unique for a thousand million frames of the journal, not for the life of the venue.

use crate::encode::{Body, FIELD_MAX, Writer, text_len};
use crate::field::{Decimal, MsgSeqNum, TimestampText, ValueError, parse_timestamp, parse_u64};
use crate::message::{Message, MsgType, Refusal, Reject};
use crate::order::{MassCancelRequestType, OrdType, Side, TimeInForce, codes, required};
use crate::version::{ApplVerId, Version};

codes! {
    /// ExecType(150)
    ExecType {
        /// New
        New = b'0',
        /// Done for day
        DoneForDay = b'3',
        /// Canceled
        Canceled = b'4',
        /// Replaced
        Replaced = b'5',
        /// Pending cancel
        PendingCancel = b'6',
        /// Stopped
        Stopped = b'7',
        /// Rejected
        Rejected = b'8',
        /// Suspended
        Suspended = b'9',
        /// Pending new
        PendingNew = b'A',
        /// Calculated
        Calculated = b'B',
        /// Expired
        Expired = b'C',
        /// Restated: changed by the venue, ExecRestatementReason(378) says why.
        Restated = b'D',
        /// Pending replace
        PendingReplace = b'E',
        /// Trade: a partial fill or fill
        Trade = b'F',
        /// Trade correct
        TradeCorrect = b'G',
        /// Trade cancel
        TradeCancel = b'H',
        /// Order status
        OrderStatus = b'I',
        /// Triggered or activated by the system (extension pack 28)
        Triggered = b'L',
    }
}

codes! {
    /// OrdStatus(39)
    OrdStatus {
        /// New
        New = b'0',
        /// Partially filled
        PartiallyFilled = b'1',
        /// Filled
        Filled = b'2',
        /// Done for day
        DoneForDay = b'3',
        /// Canceled
        Canceled = b'4',
        /// Pending cancel
        PendingCancel = b'6',
        /// Stopped
        Stopped = b'7',
        /// Rejected
        Rejected = b'8',
        /// Suspended
        Suspended = b'9',
        /// Pending new
        PendingNew = b'A',
        /// Calculated
        Calculated = b'B',
        /// Expired
        Expired = b'C',
        /// Accepted for bidding
        AcceptedForBidding = b'D',
        /// Pending replace
        PendingReplace = b'E',
    }
}

codes! {
    /// CxlRejResponseTo(434)
    CxlRejResponseTo {
        /// OrderCancelRequest
        Cancel = b'1',
        /// OrderCancelReplaceRequest
        Replace = b'2',
    }
}

codes! {
    /// MassCancelResponse(531)
    MassCancelResponse {
        /// Rejected; MassCancelRejectReason(532) says why.
        Rejected = b'0',
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

/// ExecutionReport(8)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutionReport<'a> {
    /// OrderID(37), `NONE` when there is no such order.
    pub order_id: &'a [u8],
    /// ExecID(17), unique in the life of the venue; `0` in answers to a status request.
    pub exec_id: &'a [u8],
    /// SecondaryExecID(527) of a trade: the trade's own number, the same on both sides; from FIX 5.0 SP1 on
    /// TrdMatchID(880) too.
    pub secondary_exec_id: Option<&'a [u8]>,
    /// ClOrdID(11) of the last request the order accepted.
    pub cl_ord_id: Option<&'a [u8]>,
    /// OrigClOrdID(41): what ClOrdID was before a cancel or replace.
    pub orig_cl_ord_id: Option<&'a [u8]>,
    /// OrdStatusReqID(790) of the status request this answers.
    pub ord_status_req_id: Option<&'a [u8]>,
    /// ExecType(150)
    pub exec_type: ExecType,
    /// OrdStatus(39)
    pub ord_status: OrdStatus,
    /// OrdRejReason(103), 0 to 15 or 99.
    pub ord_rej_reason: Option<u8>,
    /// ExecRestatementReason(378), 0 to 10 or 99.
    pub exec_restatement_reason: Option<u8>,
    /// Account(1)
    pub account: Option<&'a [u8]>,
    /// Symbol(55)
    pub symbol: &'a [u8],
    /// Side(54)
    pub side: Side,
    /// OrderQty(38)
    pub order_qty: Option<Decimal>,
    /// OrdType(40)
    pub ord_type: Option<OrdType>,
    /// Price(44)
    pub price: Option<Decimal>,
    /// StopPx(99)
    pub stop_px: Option<Decimal>,
    /// TimeInForce(59)
    pub time_in_force: Option<TimeInForce>,
    /// LastQty(32) of a trade.
    pub last_qty: Option<Decimal>,
    /// LastPx(31) of a trade.
    pub last_px: Option<Decimal>,
    /// LastLiquidityInd(851): 1 added, 2 removed liquidity, 3 routed out.
    pub last_liquidity_ind: Option<u8>,
    /// LeavesQty(151)
    pub leaves_qty: Decimal,
    /// CumQty(14)
    pub cum_qty: Decimal,
    /// AvgPx(6)
    pub avg_px: Decimal,
    /// TransactTime(60) in nanoseconds since the Unix epoch.
    pub transact_time_ns: Option<u64>,
    /// Text(58)
    pub text: Option<&'a [u8]>,
}

/// OrderCancelReject(9)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderCancelReject<'a> {
    /// OrderID(37), `NONE` when there is no such order.
    pub order_id: &'a [u8],
    /// ClOrdID(11) of the refused request.
    pub cl_ord_id: &'a [u8],
    /// OrigClOrdID(41) of the order.
    pub orig_cl_ord_id: &'a [u8],
    /// OrdStatus(39) of the order as it stays.
    pub ord_status: OrdStatus,
    /// Account(1)
    pub account: Option<&'a [u8]>,
    /// TransactTime(60) in nanoseconds since the Unix epoch.
    pub transact_time_ns: Option<u64>,
    /// CxlRejResponseTo(434)
    pub response_to: CxlRejResponseTo,
    /// CxlRejReason(102), 0 to 6 or 99.
    pub cxl_rej_reason: Option<u8>,
    /// Text(58)
    pub text: Option<&'a [u8]>,
}

/// OrderMassCancelReport(r)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderMassCancelReport<'a> {
    /// ClOrdID(11) of the request.
    pub cl_ord_id: Option<&'a [u8]>,
    /// OrderID(37), the venue's identifier of the request.
    pub order_id: &'a [u8],
    /// MassCancelRequestType(530) of the request.
    pub request_type: MassCancelRequestType,
    /// MassCancelResponse(531)
    pub response: MassCancelResponse,
    /// MassCancelRejectReason(532), 0 to 6 or 99.
    pub reject_reason: Option<u8>,
    /// TotalAffectedOrders(533)
    pub total_affected_orders: Option<u64>,
    /// Symbol(55)
    pub symbol: Option<&'a [u8]>,
    /// Side(54)
    pub side: Option<Side>,
    /// TransactTime(60) in nanoseconds since the Unix epoch.
    pub transact_time_ns: Option<u64>,
    /// Text(58)
    pub text: Option<&'a [u8]>,
}

/// BusinessMessageReject(j)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusinessMessageReject<'a> {
    /// RefSeqNum(45), the MsgSeqNum of the refused message.
    pub ref_seq_num: Option<MsgSeqNum>,
    /// RefMsgType(372)
    pub ref_msg_type: &'a [u8],
    /// BusinessRejectRefID(379)
    pub ref_id: Option<&'a [u8]>,
    /// BusinessRejectReason(380), 0 to 9 or 99.
    pub reason: u8,
    /// Text(58)
    pub text: Option<&'a [u8]>,
}

/// Reject(3): a message that the session refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionReject<'a> {
    /// RefSeqNum(45), the MsgSeqNum of the refused message.
    pub ref_seq_num: MsgSeqNum,
    /// Text(58)
    pub text: Option<&'a [u8]>,
}

/// What the venue may say of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "lives on the stack of the reader")]
pub enum ReportMessage<'a> {
    /// ExecutionReport(8)
    Execution(ExecutionReport<'a>),
    /// OrderCancelReject(9)
    CancelReject(OrderCancelReject<'a>),
    /// OrderMassCancelReport(r)
    MassCancel(OrderMassCancelReport<'a>),
    /// BusinessMessageReject(j)
    BusinessReject(BusinessMessageReject<'a>),
    /// Reject(3)
    SessionReject(SessionReject<'a>),
}

impl<'a> ReportMessage<'a> {
    /// Reads an application message or a Reject that a session accepted.
    ///
    /// # Errors
    /// How to refuse the message, see [`OrderMessage::parse`](crate::order::OrderMessage::parse).
    pub fn parse(message: &Message<'a>) -> Result<Self, Refusal<'a>> {
        let found = Found::new(message);
        match message.msg_type() {
            Some(MsgType::EXECUTION_REPORT) => found.execution().map(Self::Execution),
            Some(MsgType::ORDER_CANCEL_REJECT) => found.cancel_reject().map(Self::CancelReject),
            Some(MsgType::ORDER_MASS_CANCEL_REPORT) => found.mass_cancel().map(Self::MassCancel),
            Some(MsgType::BUSINESS_MESSAGE_REJECT) => {
                found.business_reject().map(Self::BusinessReject)
            }
            Some(MsgType::REJECT) => found.session_reject().map(Self::SessionReject),
            _ => Err(Refusal::unsupported()),
        }
    }
}

/// Typed access to the fields of one message.
struct Found<'a, 'm> {
    message: &'m Message<'a>,
}

impl<'a, 'm> Found<'a, 'm> {
    fn new(message: &'m Message<'a>) -> Self {
        Self { message }
    }

    fn text(&self, tag: u32) -> Option<&'a [u8]> {
        self.message.get(tag)
    }

    fn value<T>(
        &self,
        tag: u32,
        parse: impl FnOnce(&'a [u8]) -> Result<T, ValueError>,
    ) -> Result<Option<T>, Refusal<'a>> {
        let parsed = self.message.get(tag).map(parse).transpose();
        parsed.map_err(|error| Reject::value(tag, error).into())
    }

    fn must<T>(
        &self,
        tag: u32,
        parse: impl FnOnce(&'a [u8]) -> Result<T, ValueError>,
    ) -> Result<T, Refusal<'a>> {
        required(tag, self.value(tag, parse)?)
    }

    fn execution(&self) -> Result<ExecutionReport<'a>, Refusal<'a>> {
        Ok(ExecutionReport {
            order_id: required(37, self.text(37))?,
            exec_id: required(17, self.text(17))?,
            secondary_exec_id: self.text(527),
            cl_ord_id: self.text(11),
            orig_cl_ord_id: self.text(41),
            ord_status_req_id: self.text(790),
            exec_type: self.must(150, ExecType::parse)?,
            ord_status: self.must(39, OrdStatus::parse)?,
            ord_rej_reason: self.value(103, parse_reason)?,
            exec_restatement_reason: self.value(378, parse_reason)?,
            account: self.text(1),
            symbol: required(55, self.text(55))?,
            side: self.must(54, Side::parse)?,
            order_qty: self.value(38, Decimal::parse)?,
            ord_type: self.value(40, OrdType::parse)?,
            price: self.value(44, Decimal::parse)?,
            stop_px: self.value(99, Decimal::parse)?,
            time_in_force: self.value(59, TimeInForce::parse)?,
            last_qty: self.value(32, Decimal::parse)?,
            last_px: self.value(31, Decimal::parse)?,
            last_liquidity_ind: self.value(851, parse_reason)?,
            leaves_qty: self.must(151, Decimal::parse)?,
            cum_qty: self.must(14, Decimal::parse)?,
            avg_px: self.must(6, Decimal::parse)?,
            transact_time_ns: self.value(60, parse_timestamp)?,
            text: self.text(58),
        })
    }

    fn cancel_reject(&self) -> Result<OrderCancelReject<'a>, Refusal<'a>> {
        Ok(OrderCancelReject {
            order_id: required(37, self.text(37))?,
            cl_ord_id: required(11, self.text(11))?,
            orig_cl_ord_id: required(41, self.text(41))?,
            ord_status: self.must(39, OrdStatus::parse)?,
            account: self.text(1),
            transact_time_ns: self.value(60, parse_timestamp)?,
            response_to: self.must(434, CxlRejResponseTo::parse)?,
            cxl_rej_reason: self.value(102, parse_reason)?,
            text: self.text(58),
        })
    }

    fn mass_cancel(&self) -> Result<OrderMassCancelReport<'a>, Refusal<'a>> {
        Ok(OrderMassCancelReport {
            cl_ord_id: self.text(11),
            order_id: required(37, self.text(37))?,
            request_type: self.must(530, MassCancelRequestType::parse)?,
            response: self.must(531, MassCancelResponse::parse)?,
            reject_reason: self.value(532, parse_reason)?,
            total_affected_orders: self.value(533, parse_u64)?,
            symbol: self.text(55),
            side: self.value(54, Side::parse)?,
            transact_time_ns: self.value(60, parse_timestamp)?,
            text: self.text(58),
        })
    }

    fn business_reject(&self) -> Result<BusinessMessageReject<'a>, Refusal<'a>> {
        Ok(BusinessMessageReject {
            ref_seq_num: self.value(45, MsgSeqNum::parse)?,
            ref_msg_type: required(372, self.text(372))?,
            ref_id: self.text(379),
            reason: self.must(380, parse_reason)?,
            text: self.text(58),
        })
    }

    fn session_reject(&self) -> Result<SessionReject<'a>, Refusal<'a>> {
        Ok(SessionReject { ref_seq_num: self.must(45, MsgSeqNum::parse)?, text: self.text(58) })
    }
}

/// Reads a reason code, 0 to 255.
fn parse_reason(value: &[u8]) -> Result<u8, ValueError> {
    u8::try_from(parse_u64(value)?).map_err(|_| ValueError::Range)
}

impl Body for ExecutionReport<'_> {
    const MSG_TYPE: MsgType = MsgType::EXECUTION_REPORT;

    #[inline]
    fn len_max(&self) -> usize {
        let texts = [
            Some(self.order_id),
            Some(self.exec_id),
            self.secondary_exec_id,
            self.cl_ord_id,
            self.orig_cl_ord_id,
            self.ord_status_req_id,
            self.account,
            Some(self.symbol),
            self.text,
        ];
        // The number of a trade may be there twice.
        28 * FIELD_MAX + text_len(&texts) + text_len(&[self.secondary_exec_id])
    }

    #[inline]
    fn write(&self, out: &mut Writer<'_>, text: &mut TimestampText, version: ApplVerId) {
        if version < ApplVerId::Fix43 {
            return self.write_before_43(out, text, version);
        }
        let since_44 = version >= ApplVerId::Fix44;
        out.text(b"37=", self.order_id);
        out.text_if(b"11=", self.cl_ord_id);
        out.text_if(b"41=", self.orig_cl_ord_id);
        out.text_if(b"790=", self.ord_status_req_id.filter(|_| since_44));
        out.text(b"17=", self.exec_id);
        out.text_if(b"527=", self.secondary_exec_id);
        if version >= ApplVerId::Fix50Sp1 {
            out.text_if(b"880=", self.secondary_exec_id);
        }
        out.char(b"150=", self.exec_type_in(version).code());
        out.char(b"39=", self.ord_status.code());
        write_reason(b"103=", self.ord_rej_reason, out, version);
        write_reason(b"378=", self.exec_restatement_reason, out, version);
        self.write_terms(self.order_qty, out);
        out.decimal_if(b"32=", self.last_qty);
        out.decimal_if(b"31=", self.last_px);
        if let Some(indicator) = self.last_liquidity_ind.filter(|_| since_44) {
            out.number(b"851=", u64::from(indicator));
        }
        out.decimal(b"151=", self.leaves_qty);
        out.decimal(b"14=", self.cum_qty);
        out.decimal(b"6=", self.avg_px);
        if let Some(transact_time_ns) = self.transact_time_ns {
            out.time(b"60=", transact_time_ns, text);
        }
        out.text_if(b"58=", self.text);
    }
}

impl ExecutionReport<'_> {
    /// What was ordered.
    #[inline]
    fn write_terms(&self, order_qty: Option<Decimal>, out: &mut Writer<'_>) {
        out.text_if(b"1=", self.account);
        out.text(b"55=", self.symbol);
        out.char(b"54=", self.side.code());
        out.decimal_if(b"38=", order_qty);
        if let Some(ord_type) = self.ord_type {
            out.char(b"40=", ord_type.code());
        }
        out.decimal_if(b"44=", self.price);
        out.decimal_if(b"99=", self.stop_px);
        if let Some(time_in_force) = self.time_in_force {
            out.char(b"59=", time_in_force.code());
        }
    }

    /// FIX 4.3 has no word for an order that was triggered; its status says it.
    #[inline]
    fn exec_type_in(&self, version: ApplVerId) -> ExecType {
        match self.exec_type {
            ExecType::Triggered if version < ApplVerId::Fix44 => ExecType::OrderStatus,
            other => other,
        }
    }

    /// The report in the words of FIX 4.0 to 4.2.
    #[inline(never)]
    fn write_before_43(&self, out: &mut Writer<'_>, text: &mut TimestampText, version: ApplVerId) {
        let (before_42, exec_type) =
            (version < ApplVerId::Fix42, self.exec_type_before_43(version));
        let always = |value: Option<Decimal>| value.or(before_42.then_some(Decimal::ZERO));
        // A quantity was an integer before FIX 4.2; one that isn't whole has no other words.
        let qty = |qty: Decimal| match before_42.then(|| qty.rescale(0)).flatten() {
            Some(whole) => Decimal::new(whole, 0),
            None => qty,
        };
        out.text(b"37=", self.order_id);
        out.text_if(b"11=", self.cl_ord_id);
        if version > ApplVerId::Fix40 {
            out.text_if(b"41=", self.orig_cl_ord_id);
            out.text(b"17=", self.exec_id);
        } else {
            /// Digits that fit into the 32 bits clients read an int into.
            const DIGITS: usize = 9;
            let digits = self.exec_id.iter().position(u8::is_ascii_digit).unwrap_or_default();
            let least = self.exec_id.len().saturating_sub(DIGITS);
            out.text(b"17=", &self.exec_id[digits.max(least)..]);
        }
        out.char(b"20=", self.exec_trans_type());
        if version > ApplVerId::Fix40 {
            out.char(b"150=", exec_type);
        }
        out.char(b"39=", self.ord_status_before_43(version));
        write_reason(b"103=", self.ord_rej_reason, out, version);
        if !before_42 {
            write_reason(b"378=", self.exec_restatement_reason, out, version);
        }
        self.write_terms(always(self.order_qty).map(qty), out);
        out.decimal_if(b"32=", always(self.last_qty).map(qty));
        out.decimal_if(b"31=", always(self.last_px));
        if version > ApplVerId::Fix40 {
            out.decimal(b"151=", qty(self.leaves_qty));
        }
        out.decimal(b"14=", qty(self.cum_qty));
        out.decimal(b"6=", self.avg_px);
        if let Some(transact_time_ns) = self.transact_time_ns {
            out.time(b"60=", transact_time_ns, text);
        }
        out.text_if(b"58=", self.text);
    }

    /// ExecTransType(20)
    fn exec_trans_type(&self) -> u8 {
        match self.exec_type {
            ExecType::TradeCancel => b'1',
            ExecType::TradeCorrect => b'2',
            ExecType::OrderStatus => b'3',
            _ => b'0',
        }
    }

    fn exec_type_before_43(&self, version: ApplVerId) -> u8 {
        match self.exec_type {
            ExecType::Trade if self.leaves_qty.mantissa == 0 => OrdStatus::Filled.code(),
            ExecType::Trade => OrdStatus::PartiallyFilled.code(),
            ExecType::TradeCancel
            | ExecType::TradeCorrect
            | ExecType::OrderStatus
            | ExecType::Triggered => self.ord_status_before_43(version),
            ExecType::Restated if version < ApplVerId::Fix42 => self.ord_status_before_43(version),
            // "Pending cancel/replace" in one.
            ExecType::PendingReplace if version < ApplVerId::Fix42 => {
                ExecType::PendingCancel.code()
            }
            other => other.code(),
        }
    }

    fn ord_status_before_43(&self, version: ApplVerId) -> u8 {
        /// OrdStatus(39) of an order that was replaced and has no fills.
        const REPLACED: u8 = b'5';
        match self.ord_status {
            OrdStatus::New if self.exec_type == ExecType::Replaced => REPLACED,
            other => other.code_in(version),
        }
    }
}

impl OrdStatus {
    /// The code, or that of the nearest status that a version knows.
    #[inline]
    fn code_in(self, version: ApplVerId) -> u8 {
        match self {
            Self::PendingReplace if version < ApplVerId::Fix42 => Self::PendingCancel.code(),
            Self::AcceptedForBidding if version < ApplVerId::Fix42 => Self::PendingNew.code(),
            other => other.code(),
        }
    }
}

/// Writes a reason. FIX 4.4 and later know all that are used here; where an earlier version has "broker
/// option" it stands for those it doesn't know, else they are left out.
#[inline]
pub(crate) fn write_reason<const N: usize>(
    tag: &[u8; N],
    reason: Option<u8>,
    out: &mut Writer<'_>,
    version: ApplVerId,
) {
    let reason = match reason {
        Some(reason) if version < ApplVerId::Fix44 => older_reason(tag, reason, version),
        known => known,
    };
    if let Some(reason) = reason {
        out.number(tag, u64::from(reason));
    }
}

#[cold]
fn older_reason(tag: &[u8], reason: u8, version: ApplVerId) -> Option<u8> {
    let dictionary = Version::of(version).dictionary();
    let (number, broker_option) = match tag {
        b"103=" => (103, Some(0)),
        b"102=" => (102, Some(2)),
        b"378=" => (378, None),
        b"532=" => (532, None),
        b"380=" => (380, Some(0)),
        _ => unreachable!("not the tag of a reason"),
    };
    let allowed = |reason: u8| dictionary.allows_number(number, u64::from(reason));
    [Some(reason), broker_option].into_iter().flatten().find(|reason| allowed(*reason))
}

impl Body for OrderCancelReject<'_> {
    const MSG_TYPE: MsgType = MsgType::ORDER_CANCEL_REJECT;

    fn len_max(&self) -> usize {
        let texts = [
            Some(self.order_id),
            Some(self.cl_ord_id),
            Some(self.orig_cl_ord_id),
            self.account,
            self.text,
        ];
        9 * FIELD_MAX + text_len(&texts)
    }

    fn write(&self, out: &mut Writer<'_>, text: &mut TimestampText, version: ApplVerId) {
        out.text(b"37=", self.order_id);
        out.text(b"11=", self.cl_ord_id);
        if version > ApplVerId::Fix40 {
            out.text(b"41=", self.orig_cl_ord_id);
            out.char(b"39=", self.ord_status.code_in(version));
        }
        if version >= ApplVerId::Fix42 {
            out.text_if(b"1=", self.account);
            if let Some(transact_time_ns) = self.transact_time_ns {
                out.time(b"60=", transact_time_ns, text);
            }
            out.char(b"434=", self.response_to.code());
        }
        write_reason(b"102=", self.cxl_rej_reason, out, version);
        out.text_if(b"58=", self.text);
    }
}

impl Body for OrderMassCancelReport<'_> {
    const MSG_TYPE: MsgType = MsgType::ORDER_MASS_CANCEL_REPORT;
    const SINCE: ApplVerId = ApplVerId::Fix43;

    fn len_max(&self) -> usize {
        // The number of the report may be there twice.
        let id = Some(self.order_id);
        let texts = [self.cl_ord_id, id, id, self.symbol, self.text];
        11 * FIELD_MAX + text_len(&texts)
    }

    fn write(&self, out: &mut Writer<'_>, text: &mut TimestampText, version: ApplVerId) {
        out.text_if(b"11=", self.cl_ord_id);
        out.text(b"37=", self.order_id);
        if version >= ApplVerId::Fix50Sp1 {
            out.text(b"1369=", self.order_id);
        }
        out.char(b"530=", self.request_type.code());
        out.char(b"531=", self.response.code());
        write_reason(b"532=", self.reject_reason, out, version);
        if let Some(total) = self.total_affected_orders {
            out.number(b"533=", total);
        }
        out.text_if(b"55=", self.symbol);
        if let Some(side) = self.side {
            out.char(b"54=", side.code());
        }
        if let Some(transact_time_ns) = self.transact_time_ns {
            out.time(b"60=", transact_time_ns, text);
        }
        out.text_if(b"58=", self.text);
    }
}

impl Body for BusinessMessageReject<'_> {
    const MSG_TYPE: MsgType = MsgType::BUSINESS_MESSAGE_REJECT;
    const SINCE: ApplVerId = ApplVerId::Fix42;

    fn len_max(&self) -> usize {
        5 * FIELD_MAX + text_len(&[Some(self.ref_msg_type), self.ref_id, self.text])
    }

    fn write(&self, out: &mut Writer<'_>, _: &mut TimestampText, version: ApplVerId) {
        if let Some(seq) = self.ref_seq_num {
            out.number(b"45=", seq.get());
        }
        out.text(b"372=", self.ref_msg_type);
        out.text_if(b"379=", self.ref_id);
        write_reason(b"380=", Some(self.reason), out, version);
        out.text_if(b"58=", self.text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Framed, frame};
    use crate::dictionary::Strictness;
    use crate::encode::Encoder;
    use crate::field::{MANTISSA_MAX, Precision};
    use crate::message::Fields;
    use proptest::prelude::*;

    /// A body as a whole message that is strictly one of its version.
    fn encoded<B: Body>(body: &B, version: Version) -> Vec<u8> {
        let time = TimestampText::new(version.precision(Precision::Millis));
        let mut encoder = Encoder::new(version, "VENUE", "CLIENT", time);
        let mut out = Vec::new();
        encoder.typed(MsgSeqNum::new(7), 1_709_251_200_123_000_000, body, &mut out);
        assert_eq!(frame(&out), Framed::Message { len: out.len() });
        let mut fields = Fields::new();
        let message = Message::parse(&out, &mut fields).unwrap();
        if let Err(reject) = version.dictionary().check(&message, Strictness::Strict) {
            panic!("{version}: {reject} {:?} in {}", reject.ref_tag, shown(&out));
        }
        out
    }

    fn shown(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).replace('\x01', "|")
    }

    /// [`sent_in`] for all versions.
    fn sent<B: Body>(body: &B, check: impl Fn(&ReportMessage<'_>)) -> String {
        sent_in(&[], body, check)
    }

    /// A body as a message of every version that has it and knows its codes; of FIX 4.4 and later split and
    /// typed again. Gives the message of FIX 4.4 as text.
    fn sent_in<B: Body>(
        codes: &[(u32, u8)],
        body: &B,
        check: impl Fn(&ReportMessage<'_>),
    ) -> String {
        let knows = |version: &Version| {
            let allows = |(tag, code): &(u32, u8)| version.dictionary().allows(*tag, &[*code]);
            version.application >= B::SINCE && codes.iter().all(allows)
        };
        for version in Version::ALL.into_iter().filter(knows) {
            let bytes = encoded(body, version);
            if version.application >= ApplVerId::Fix44 {
                let mut fields = Fields::new();
                check(
                    &ReportMessage::parse(&Message::parse(&bytes, &mut fields).unwrap()).unwrap(),
                );
            }
        }
        if knows(&Version::FIX44) { shown(&encoded(body, Version::FIX44)) } else { String::new() }
    }

    fn acknowledgement<'a>() -> ExecutionReport<'a> {
        ExecutionReport {
            order_id: b"O1",
            exec_id: b"E1",
            secondary_exec_id: None,
            cl_ord_id: Some(b"C1"),
            orig_cl_ord_id: None,
            ord_status_req_id: None,
            exec_type: ExecType::New,
            ord_status: OrdStatus::New,
            ord_rej_reason: None,
            exec_restatement_reason: None,
            account: None,
            symbol: b"ABC",
            side: Side::Buy,
            order_qty: Some(Decimal::new(100, 0)),
            ord_type: Some(OrdType::Limit),
            price: Some(Decimal::new(1050, 2)),
            stop_px: None,
            time_in_force: None,
            last_qty: None,
            last_px: None,
            last_liquidity_ind: None,
            leaves_qty: Decimal::new(100, 0),
            cum_qty: Decimal::ZERO,
            avg_px: Decimal::ZERO,
            transact_time_ns: Some(1_709_251_200_000_000_000),
            text: None,
        }
    }

    #[test]
    fn a_report_byte_by_byte() {
        let report = acknowledgement();
        assert_eq!(
            sent(&report, |got| assert_eq!(*got, ReportMessage::Execution(report))),
            "8=FIX.4.4|9=158|35=8|34=7|49=VENUE|52=20240301-00:00:00.123|56=CLIENT|37=O1|11=C1|17=E1|150=0|39=0|\
             55=ABC|54=1|38=100|40=2|44=10.50|151=100|14=0|6=0|60=20240301-00:00:00.000|10=236|"
        );
    }

    /// What one trade, one replace, one status and one reject say, by version.
    #[test]
    fn each_version_has_its_words() {
        let trade = ExecutionReport {
            secondary_exec_id: Some(b"77"),
            exec_type: ExecType::Trade,
            ord_status: OrdStatus::PartiallyFilled,
            orig_cl_ord_id: Some(b"C0"),
            last_qty: Some(Decimal::new(4000, 2)),
            last_px: Some(Decimal::new(1050, 2)),
            last_liquidity_ind: Some(1),
            leaves_qty: Decimal::new(60, 0),
            cum_qty: Decimal::new(40, 0),
            avg_px: Decimal::new(1050, 2),
            ..acknowledgement()
        };
        let fill =
            ExecutionReport { leaves_qty: Decimal::ZERO, ord_status: OrdStatus::Filled, ..trade };
        let replaced = ExecutionReport { exec_type: ExecType::Replaced, ..acknowledgement() };
        let status = ExecutionReport {
            exec_type: ExecType::OrderStatus,
            exec_id: b"0",
            ..acknowledgement()
        };
        let refused = ExecutionReport {
            exec_id: b"G1709251200123456789",
            exec_type: ExecType::Rejected,
            ord_status: OrdStatus::Rejected,
            ord_rej_reason: Some(99),
            order_qty: None,
            ..acknowledgement()
        };
        let cancel = OrderCancelReject {
            order_id: b"O1",
            cl_ord_id: b"C1",
            orig_cl_ord_id: b"C0",
            ord_status: OrdStatus::New,
            account: Some(b"A"),
            transact_time_ns: None,
            response_to: CxlRejResponseTo::Cancel,
            cxl_rej_reason: Some(6),
            text: None,
        };
        let tags = [20, 150, 39, 17, 41, 38, 32, 31, 151, 103, 527, 880, 851, 60];
        let fields = |report: &ExecutionReport<'_>, version, tags: &[u32]| {
            let (bytes, mut fields) = (encoded(report, version), Fields::new());
            let message = Message::parse(&bytes, &mut fields).unwrap();
            let found = tags.iter().filter_map(|tag| Some((tag, message.get(*tag)?)));
            let found =
                found.map(|(tag, value)| format!("{tag}={}", String::from_utf8_lossy(value)));
            found.collect::<Vec<_>>().join(" ")
        };
        for (version, expected) in Version::ALL.into_iter().zip([
            "20=0 39=1 17=E1 38=100 32=40 31=10.50 60=20240301-00:00:00",
            "20=0 150=1 39=1 17=E1 41=C0 38=100 32=40 31=10.50 151=60 60=20240301-00:00:00",
            "20=0 150=1 39=1 17=E1 41=C0 38=100 32=40.00 31=10.50 151=60 60=20240301-00:00:00.000",
            "150=F 39=1 17=E1 41=C0 38=100 32=40.00 31=10.50 151=60 527=77 60=20240301-00:00:00.000",
            "150=F 39=1 17=E1 41=C0 38=100 32=40.00 31=10.50 151=60 527=77 851=1 60=20240301-00:00:00.000",
            "150=F 39=1 17=E1 41=C0 38=100 32=40.00 31=10.50 151=60 527=77 851=1 60=20240301-00:00:00.000",
            "150=F 39=1 17=E1 41=C0 38=100 32=40.00 31=10.50 151=60 527=77 880=77 851=1 60=20240301-00:00:00.000",
            "150=F 39=1 17=E1 41=C0 38=100 32=40.00 31=10.50 151=60 527=77 880=77 851=1 60=20240301-00:00:00.000",
        ]) {
            // ExecID is a number in FIX 4.0.
            let expected = if expected.contains("150=") { expected.to_owned() } else { expected.replace("17=E1", "17=1") };
            assert_eq!(fields(&trade, version, &tags), expected, "{version}");
        }
        for (version, expected) in Version::ALL.into_iter().zip([
            ["20=0 39=2", "20=0 39=5", "20=3 39=0", "20=0 39=8 17=123456789 38=0 32=0 31=0 103=0"],
            [
                "20=0 150=2 39=2",
                "20=0 150=5 39=5",
                "20=3 150=0 39=0",
                "20=0 150=8 39=8 17=G1709251200123456789 38=0 32=0 31=0 103=0",
            ],
            [
                "20=0 150=2 39=2",
                "20=0 150=5 39=5",
                "20=3 150=0 39=0",
                "20=0 150=8 39=8 17=G1709251200123456789 103=0",
            ],
            ["150=F 39=2", "150=5 39=0", "150=I 39=0", "150=8 39=8 17=G1709251200123456789 103=0"],
            ["150=F 39=2", "150=5 39=0", "150=I 39=0", "150=8 39=8 17=G1709251200123456789 103=99"],
            ["150=F 39=2", "150=5 39=0", "150=I 39=0", "150=8 39=8 17=G1709251200123456789 103=99"],
            ["150=F 39=2", "150=5 39=0", "150=I 39=0", "150=8 39=8 17=G1709251200123456789 103=99"],
            ["150=F 39=2", "150=5 39=0", "150=I 39=0", "150=8 39=8 17=G1709251200123456789 103=99"],
        ]) {
            for (report, expected) in [&fill, &replaced, &status].into_iter().zip(expected) {
                assert_eq!(fields(report, version, &[20, 150, 39]), expected, "{version}");
            }
            let tags = [20, 150, 39, 17, 38, 32, 31, 103];
            assert_eq!(fields(&refused, version, &tags), expected[3], "{version}");
        }
        for (version, expected) in Version::ALL.into_iter().zip([
            "37=O1|11=C1|10=",
            "37=O1|11=C1|41=C0|39=0|10=",
            "37=O1|11=C1|41=C0|39=0|1=A|434=1|102=2|10=",
            "37=O1|11=C1|41=C0|39=0|1=A|434=1|102=6|10=",
            "37=O1|11=C1|41=C0|39=0|1=A|434=1|102=6|10=",
            "37=O1|11=C1|41=C0|39=0|1=A|434=1|102=6|10=",
            "37=O1|11=C1|41=C0|39=0|1=A|434=1|102=6|10=",
            "37=O1|11=C1|41=C0|39=0|1=A|434=1|102=6|10=",
        ]) {
            let text = shown(&encoded(&cancel, version));
            assert!(text.contains(expected), "{version}: {text}");
        }
    }

    /// BodyLength takes two to five digits.
    #[test]
    fn any_length_of_body() {
        let reject = BusinessMessageReject {
            ref_seq_num: None,
            ref_msg_type: b"D",
            ref_id: None,
            reason: 3,
            text: None,
        };
        let short = sent(&reject, |got| assert_eq!(*got, ReportMessage::BusinessReject(reject)));
        assert!(short.starts_with("8=FIX.4.4|9=66|"), "{short}");
        for length in [1, 30, 31, 32, 100, 899, 931, 932, 9_930, 9_931, 9_932, 60_000] {
            let text = vec![b'x'; length];
            let report = ExecutionReport { text: Some(&text), ..acknowledgement() };
            sent(&report, |got| assert_eq!(*got, ReportMessage::Execution(report)));
            let reject = BusinessMessageReject { text: Some(&text), ..reject };
            sent(&reject, |got| assert_eq!(*got, ReportMessage::BusinessReject(reject)));
        }
    }

    /// What a session refuses is told by its number; there is nothing else that names it.
    #[test]
    fn a_reject_of_the_session_names_a_number() {
        let mut fields = Fields::new();
        let number = MsgSeqNum::new(7);
        for (bytes, text) in
            [(&b"35=3\x0145=7\x0158=no\x01"[..], Some(&b"no"[..])), (b"35=3\x0145=7\x01", None)]
        {
            let message = Message::parse(bytes, &mut fields).unwrap();
            let reject = SessionReject { ref_seq_num: number, text };
            assert_eq!(ReportMessage::parse(&message), Ok(ReportMessage::SessionReject(reject)));
        }
        let message = Message::parse(b"35=3\x0158=no\x01", &mut fields).unwrap();
        assert!(ReportMessage::parse(&message).is_err());
    }

    /// No text is longer than what is reserved for it, nor any number.
    #[test]
    fn the_largest_report_fits() {
        let (id, most) = ([b'x'; 36], Decimal::new(-MANTISSA_MAX, 18));
        let report = ExecutionReport {
            order_id: &id,
            exec_id: &id,
            secondary_exec_id: None,
            cl_ord_id: Some(&id),
            orig_cl_ord_id: Some(&id),
            ord_status_req_id: Some(&id),
            exec_type: ExecType::Rejected,
            ord_status: OrdStatus::Rejected,
            ord_rej_reason: Some(99),
            exec_restatement_reason: Some(99),
            account: Some(&id),
            symbol: &id,
            side: Side::Sell,
            order_qty: Some(most),
            ord_type: Some(OrdType::StopLimit),
            price: Some(most),
            stop_px: Some(most),
            time_in_force: Some(TimeInForce::GoodTillDate),
            last_qty: Some(most),
            last_px: Some(most),
            last_liquidity_ind: Some(3),
            leaves_qty: most,
            cum_qty: most,
            avg_px: most,
            transact_time_ns: Some(4_000_000_000_000_000_000),
            text: Some(&id),
        };
        sent(&report, |got| assert_eq!(*got, ReportMessage::Execution(report)));
    }

    fn decimal() -> impl Strategy<Value = Decimal> {
        (-MANTISSA_MAX..=MANTISSA_MAX, 0_u8..=18)
            .prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale))
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(b' '..=b'~', 1..40)
    }

    proptest! {
        #[test]
        fn reports_arrive_as_sent(
            (order_id, exec_id, id) in (text(), text(), prop::option::of(text())),
            (exec_type, ord_status, side) in (prop::sample::select(ExecType::ALL), prop::sample::select(OrdStatus::ALL), prop::sample::select(Side::ALL)),
            (last_qty, last_px, leaves_qty, cum_qty, avg_px) in (prop::option::of(decimal()), prop::option::of(decimal()), decimal(), decimal(), decimal()),
            (reason, total) in (prop::option::of(0_u8..=6), prop::option::of(0_u64..1_000_000)),
            response in prop::sample::select(MassCancelResponse::ALL),
        ) {
            let report = ExecutionReport {
                order_id: &order_id,
                exec_id: &exec_id,
                secondary_exec_id: None,
                cl_ord_id: id.as_deref(),
                exec_type,
                ord_status,
                side,
                ord_rej_reason: reason,
                last_qty,
                last_px,
                leaves_qty,
                cum_qty,
                avg_px,
                text: id.as_deref(),
                ..acknowledgement()
            };
            sent_in(&[(54, side.code())], &report, |got| assert_eq!(*got, ReportMessage::Execution(report)));
            let reject = OrderCancelReject {
                order_id: &order_id,
                cl_ord_id: &exec_id,
                orig_cl_ord_id: &order_id,
                ord_status,
                account: id.as_deref(),
                transact_time_ns: None,
                response_to: CxlRejResponseTo::Replace,
                cxl_rej_reason: reason,
                text: None,
            };
            sent(&reject, |got| assert_eq!(*got, ReportMessage::CancelReject(reject)));
            let mass = OrderMassCancelReport {
                cl_ord_id: id.as_deref(),
                order_id: &order_id,
                request_type: MassCancelRequestType::All,
                response,
                reject_reason: reason,
                total_affected_orders: total,
                symbol: id.as_deref(),
                side: Some(side),
                transact_time_ns: Some(1_709_251_200_000_000_000),
                text: None,
            };
            sent_in(&[(54, side.code()), (531, response.code())], &mass, |got| assert_eq!(*got, ReportMessage::MassCancel(mass)));
        }
    }
}
