//! What a client asks of instruments, and the answers: security list and security status.
//!
//! They are journaled in the words of [`JOURNALED`], which has all of their fields.

use crate::encode::{Body, FIELD_MAX, Writer};
use crate::field::{Decimal, TimestampText, parse_u64};
use crate::message::{
    BusinessReject, BusinessRejectReason, Message, MsgType, Refusal, Reject, SessionRejectReason,
};
use crate::order::SYMBOL_MAX;
use crate::version::ApplVerId;

/// The version that holds every field of the answers here.
pub const JOURNALED: ApplVerId = ApplVerId::Fix50Sp2;

/// Longest id of a request.
pub const REQ_ID_MAX: usize = 64;

/// Most securities in one [`SecurityList`]: a client may have no more room for fields than we have.
pub const SECURITIES_MAX: usize = 40;

const _: () = assert!(SECURITIES_MAX * SECURITY_FIELDS + 32 <= crate::message::FIELDS_MAX);

/// Most fields of one security in a list.
const SECURITY_FIELDS: usize = 6;

/// What a client asks of instruments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceRequest<'a> {
    /// SecurityListRequest(x)
    List(SecurityListRequest<'a>),
    /// SecurityStatusRequest(e)
    Status(SecurityStatusRequest<'a>),
}

/// SecurityListRequest(x)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecurityListRequest<'a> {
    /// SecurityReqID(320)
    pub req_id: &'a [u8],
    /// What is asked for; none when this is nothing that is known here.
    pub scope: Option<ListScope<'a>>,
}

/// SecurityListRequestType(559), as far as it is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListScope<'a> {
    /// One Symbol(55).
    Symbol(&'a [u8]),
    /// All securities.
    All,
}

/// SubscriptionRequestType(263)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionRequestType {
    /// 0: how it is now, and no more.
    Snapshot,
    /// 1: how it is now, and what changes from then on.
    Subscribe,
    /// 2: no more of an earlier request.
    Unsubscribe,
}

impl SubscriptionRequestType {
    /// What a message asks for; [`SubscriptionRequestType::Snapshot`] where it does not say.
    #[must_use]
    pub fn of(message: &Message<'_>) -> Self {
        match message.get(263) {
            Some(b"1") => Self::Subscribe,
            Some(b"2") => Self::Unsubscribe,
            _ => Self::Snapshot,
        }
    }
}

/// SecurityStatusRequest(e)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecurityStatusRequest<'a> {
    /// SecurityStatusReqID(324)
    pub req_id: &'a [u8],
    /// SubscriptionRequestType(263)
    pub request_type: SubscriptionRequestType,
    /// Symbol(55)
    pub symbol: &'a [u8],
}

impl<'a> ReferenceRequest<'a> {
    /// Reads a message that a session accepted; none when it is of another type.
    ///
    /// # Errors
    /// How to refuse it.
    #[inline]
    pub fn parse(message: &Message<'a>) -> Option<Result<Self, Refusal<'a>>> {
        match message.msg_type() {
            Some(MsgType::SECURITY_LIST_REQUEST) => Some(list(message).map(Self::List)),
            Some(MsgType::SECURITY_STATUS_REQUEST) => Some(status(message).map(Self::Status)),
            _ => None,
        }
    }
}

fn list<'a>(message: &Message<'a>) -> Result<SecurityListRequest<'a>, Refusal<'a>> {
    let req_id = req_id(message, 320)?;
    let scope = match (message.get(559), symbol(message)?) {
        _ if SubscriptionRequestType::of(message) != SubscriptionRequestType::Snapshot => None,
        (Some(b"0"), Some(symbol)) => Some(ListScope::Symbol(symbol)),
        (Some(b"4"), _) => Some(ListScope::All),
        _ => None,
    };
    Ok(SecurityListRequest { req_id, scope })
}

fn status<'a>(message: &Message<'a>) -> Result<SecurityStatusRequest<'a>, Refusal<'a>> {
    let req_id = req_id(message, 324)?;
    let symbol = symbol(message)?.ok_or(Refusal::Business(BusinessReject {
        reason: BusinessRejectReason::ConditionallyRequiredFieldMissing,
        ref_id: Some(req_id),
        text: "Symbol(55) is missing",
    }))?;
    let request_type = SubscriptionRequestType::of(message);
    Ok(SecurityStatusRequest { req_id, request_type, symbol })
}

impl<'a> SecurityStatusRequest<'a> {
    /// How to refuse one for updates, where there are none.
    #[must_use]
    pub fn no_updates(&self) -> Refusal<'a> {
        Refusal::Business(BusinessReject {
            reason: BusinessRejectReason::Other,
            ref_id: Some(self.req_id),
            text: "SubscriptionRequestType(263) is not supported here but for 0: ask again",
        })
    }
}

/// Symbol(55), which is sent back, too.
fn symbol<'a>(message: &Message<'a>) -> Result<Option<&'a [u8]>, Refusal<'a>> {
    match message.get(55) {
        Some(symbol) if symbol.len() > SYMBOL_MAX => {
            let reject = Reject::new(SessionRejectReason::ValueIncorrect, Some(55));
            Err(reject.with_text("a symbol has at most 24 characters here").into())
        }
        symbol => Ok(symbol),
    }
}

/// The id of a request, which is sent back.
pub(crate) fn req_id<'a>(message: &Message<'a>, tag: u32) -> Result<&'a [u8], Refusal<'a>> {
    match message.get(tag) {
        None => Err(Reject::new(SessionRejectReason::RequiredTagMissing, Some(tag)).into()),
        Some(id) if id.len() > REQ_ID_MAX => {
            let reject = Reject::new(SessionRejectReason::ValueIncorrect, Some(tag));
            Err(reject.with_text("an id has at most 64 characters here").into())
        }
        Some(id) => Ok(id),
    }
}

/// A security of a [`SecurityList`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Security<'a> {
    /// Symbol(55)
    pub symbol: &'a [u8],
    /// MinPriceIncrement(969), from FIX 5.0 on.
    pub tick: Decimal,
    /// RoundLot(561) and MinTradeVol(562)
    pub lot: Decimal,
    /// MaxTradeVol(1140), from FIX 5.0 SP1 on.
    pub order_qty_max: Decimal,
    /// HighLimitPrice(1149), from FIX 5.0 SP1 on.
    pub price_max: Decimal,
}

/// SecurityList(y), one of the messages that an answer consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityList<'a> {
    /// SecurityReqID(320)
    pub req_id: &'a [u8],
    /// SecurityResponseID(322)
    pub response_id: &'a [u8],
    /// SecurityRequestResult(560): 0 valid, 1 not supported, 2 none found, 4 not available now.
    pub result: u8,
    /// TotNoRelatedSym(393): securities in all messages of the answer.
    pub total: u64,
    /// LastFragment(893), from FIX 4.4 on.
    pub last: bool,
    /// Securities in this message, at most [`SECURITIES_MAX`].
    pub securities: Vec<Security<'a>>,
}

impl<'a> SecurityList<'a> {
    /// Reads one that was written in [`JOURNALED`]; none when it was not.
    #[must_use]
    pub fn parse(message: &Message<'a>) -> Option<Self> {
        let number = |tag| parse_u64(message.get(tag)?).ok();
        let mut securities: Vec<Security<'a>> = Vec::new();
        for (tag, value) in message.iter() {
            if tag == 55 {
                let (tick, lot) = (Decimal::ZERO, Decimal::ZERO);
                let (order_qty_max, price_max) = (lot, tick);
                securities.push(Security { symbol: value, tick, lot, order_qty_max, price_max });
            } else if let Some(security) = securities.last_mut() {
                let place = match tag {
                    969 => &mut security.tick,
                    561 => &mut security.lot,
                    1140 => &mut security.order_qty_max,
                    1149 => &mut security.price_max,
                    _ => continue,
                };
                *place = Decimal::parse(value).ok()?;
            }
        }
        Some(Self {
            req_id: message.get(320)?,
            response_id: message.get(322)?,
            result: number(560)?.try_into().ok()?,
            total: number(393)?,
            last: message.get(893)? == b"Y",
            securities,
        })
    }
}

impl Body for SecurityList<'_> {
    const MSG_TYPE: MsgType = MsgType::SECURITY_LIST;
    const SINCE: ApplVerId = ApplVerId::Fix43;

    fn len_max(&self) -> usize {
        let texts: usize = self.securities.iter().map(|security| security.symbol.len()).sum();
        let fields = 6 + self.securities.len() * SECURITY_FIELDS;
        fields * FIELD_MAX + texts + self.req_id.len() + self.response_id.len()
    }

    fn write(&self, out: &mut Writer<'_>, _: &mut TimestampText, version: ApplVerId) {
        out.text(b"320=", self.req_id);
        out.text(b"322=", self.response_id);
        out.number(b"560=", self.result.into());
        out.number(b"393=", self.total);
        if version >= ApplVerId::Fix44 {
            out.char(b"893=", if self.last { b'Y' } else { b'N' });
        }
        if self.securities.is_empty() {
            return;
        }
        out.number(b"146=", self.securities.len() as u64);
        for security in &self.securities {
            out.text(b"55=", security.symbol);
            if version >= ApplVerId::Fix50 {
                out.decimal(b"969=", security.tick);
            }
            out.decimal(b"561=", security.lot);
            out.decimal(b"562=", security.lot);
            if version >= ApplVerId::Fix50Sp1 {
                out.decimal(b"1140=", security.order_qty_max);
                out.decimal(b"1149=", security.price_max);
            }
        }
    }
}

/// SecurityTradingStatus(326), as far as it is used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TradingStatus {
    /// 2: trading halt.
    Halted,
    /// 17: ready to trade.
    Open,
    /// 18: not available for trading.
    Closed,
    /// 20: unknown or invalid.
    Unknown,
}

impl TradingStatus {
    const ALL: [Self; 4] = [Self::Halted, Self::Open, Self::Closed, Self::Unknown];

    fn code(self) -> u64 {
        match self {
            Self::Halted => 2,
            Self::Open => 17,
            Self::Closed => 18,
            Self::Unknown => 20,
        }
    }
}

/// SecurityStatus(f)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecurityStatus<'a> {
    /// SecurityStatusReqID(324)
    pub req_id: &'a [u8],
    /// Symbol(55)
    pub symbol: &'a [u8],
    /// SecurityTradingStatus(326)
    pub status: TradingStatus,
}

impl<'a> SecurityStatus<'a> {
    /// Reads one that was written in [`JOURNALED`]; none when it was not.
    #[must_use]
    pub fn parse(message: &Message<'a>) -> Option<Self> {
        let code = parse_u64(message.get(326)?).ok()?;
        Some(Self {
            req_id: message.get(324)?,
            symbol: message.get(55)?,
            status: TradingStatus::ALL.into_iter().find(|status| status.code() == code)?,
        })
    }
}

impl Body for SecurityStatus<'_> {
    const MSG_TYPE: MsgType = MsgType::SECURITY_STATUS;
    const SINCE: ApplVerId = ApplVerId::Fix42;

    fn len_max(&self) -> usize {
        3 * FIELD_MAX + self.req_id.len() + self.symbol.len()
    }

    fn write(&self, out: &mut Writer<'_>, _: &mut TimestampText, _: ApplVerId) {
        out.text(b"324=", self.req_id);
        out.text(b"55=", self.symbol);
        out.number(b"326=", self.status.code());
    }
}
