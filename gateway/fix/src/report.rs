//! Messages from the venue to a client: what became of an order.
//!
//! Fields are those of the FIX 4.4 specification, volume 4. The venue writes them, a client reads them.

use crate::encode::{Body, FIELD_MAX, Writer};
use crate::field::{Decimal, MsgSeqNum, TimestampText, ValueError, parse_timestamp, parse_u64};
use crate::message::{BusinessRejectReason, Message, MsgType, Refusal, Reject};
use crate::order::{MassCancelRequestType, OrdType, Side, TimeInForce, codes, required};

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
    }
}

/// ExecutionReport(8)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutionReport<'a> {
    /// OrderID(37), `NONE` when there is no such order.
    pub order_id: &'a [u8],
    /// ExecID(17), unique in the life of the venue; `0` in answers to a status request.
    pub exec_id: &'a [u8],
    /// SecondaryExecID(527) of a trade: the trade's own number, the same on both sides.
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

/// Any message the venue may send.
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
}

impl<'a> ReportMessage<'a> {
    /// Reads an application message that a session accepted.
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
}

/// Reads a reason code, 0 to 255.
fn parse_reason(value: &[u8]) -> Result<u8, ValueError> {
    u8::try_from(parse_u64(value)?).map_err(|_| ValueError::Range)
}

fn text_len(texts: &[Option<&[u8]>]) -> usize {
    texts.iter().map(|text| text.map_or(0, <[u8]>::len)).sum()
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
        26 * FIELD_MAX + text_len(&texts)
    }

    #[inline]
    fn write(&self, out: &mut Writer<'_>, text: &mut TimestampText) {
        out.text(b"37=", self.order_id);
        out.text_if(b"11=", self.cl_ord_id);
        out.text_if(b"41=", self.orig_cl_ord_id);
        out.text_if(b"790=", self.ord_status_req_id);
        out.text(b"17=", self.exec_id);
        out.text_if(b"527=", self.secondary_exec_id);
        out.char(b"150=", self.exec_type.code());
        out.char(b"39=", self.ord_status.code());
        if let Some(reason) = self.ord_rej_reason {
            out.number(b"103=", u64::from(reason));
        }
        if let Some(reason) = self.exec_restatement_reason {
            out.number(b"378=", u64::from(reason));
        }
        out.text_if(b"1=", self.account);
        out.text(b"55=", self.symbol);
        out.char(b"54=", self.side.code());
        out.decimal_if(b"38=", self.order_qty);
        if let Some(ord_type) = self.ord_type {
            out.char(b"40=", ord_type.code());
        }
        out.decimal_if(b"44=", self.price);
        out.decimal_if(b"99=", self.stop_px);
        if let Some(time_in_force) = self.time_in_force {
            out.char(b"59=", time_in_force.code());
        }
        out.decimal_if(b"32=", self.last_qty);
        out.decimal_if(b"31=", self.last_px);
        if let Some(indicator) = self.last_liquidity_ind {
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

    fn write(&self, out: &mut Writer<'_>, text: &mut TimestampText) {
        out.text(b"37=", self.order_id);
        out.text(b"11=", self.cl_ord_id);
        out.text(b"41=", self.orig_cl_ord_id);
        out.char(b"39=", self.ord_status.code());
        out.text_if(b"1=", self.account);
        if let Some(transact_time_ns) = self.transact_time_ns {
            out.time(b"60=", transact_time_ns, text);
        }
        out.char(b"434=", self.response_to.code());
        if let Some(reason) = self.cxl_rej_reason {
            out.number(b"102=", u64::from(reason));
        }
        out.text_if(b"58=", self.text);
    }
}

impl Body for OrderMassCancelReport<'_> {
    const MSG_TYPE: MsgType = MsgType::ORDER_MASS_CANCEL_REPORT;

    fn len_max(&self) -> usize {
        let texts = [self.cl_ord_id, Some(self.order_id), self.symbol, self.text];
        10 * FIELD_MAX + text_len(&texts)
    }

    fn write(&self, out: &mut Writer<'_>, text: &mut TimestampText) {
        out.text_if(b"11=", self.cl_ord_id);
        out.text(b"37=", self.order_id);
        out.char(b"530=", self.request_type.code());
        out.char(b"531=", self.response.code());
        if let Some(reason) = self.reject_reason {
            out.number(b"532=", u64::from(reason));
        }
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

    fn len_max(&self) -> usize {
        5 * FIELD_MAX + text_len(&[Some(self.ref_msg_type), self.ref_id, self.text])
    }

    fn write(&self, out: &mut Writer<'_>, _: &mut TimestampText) {
        if let Some(seq) = self.ref_seq_num {
            out.number(b"45=", seq.get());
        }
        out.text(b"372=", self.ref_msg_type);
        out.text_if(b"379=", self.ref_id);
        out.number(b"380=", u64::from(self.reason));
        out.text_if(b"58=", self.text);
    }
}

impl BusinessMessageReject<'_> {
    /// The code of a reason this package gives.
    #[must_use]
    pub const fn code(reason: BusinessRejectReason) -> u8 {
        reason as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Framed, frame};
    use crate::dictionary::{Strictness, fix44::FIX44};
    use crate::encode::Encoder;
    use crate::field::MANTISSA_MAX;
    use crate::message::Fields;
    use proptest::prelude::*;

    /// A body as a whole message in strict FIX 4.4, split and typed again; gives the message as text.
    fn sent<B: Body>(body: &B, check: impl FnOnce(&ReportMessage<'_>)) -> String {
        let mut encoder = Encoder::new("FIX.4.4", "VENUE", "CLIENT", TimestampText::default());
        let mut out = Vec::new();
        encoder.typed(MsgSeqNum::new(7), 1_709_251_200_123_000_000, body, &mut out);
        assert_eq!(frame(&out), Framed::Message { len: out.len() });
        let mut fields = Fields::new();
        let message = Message::parse(&out, &mut fields).unwrap();
        FIX44.check(&message, Strictness::Strict).unwrap();
        check(&ReportMessage::parse(&message).unwrap());
        String::from_utf8_lossy(&out).replace('\x01', "|")
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
            sent(&report, |got| assert_eq!(*got, ReportMessage::Execution(report)));
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
            sent(&mass, |got| assert_eq!(*got, ReportMessage::MassCancel(mass)));
        }
    }
}
