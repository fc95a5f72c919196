//! A message as a table of its fields, and how a message is refused.

use crate::codec::{Garbled, MESSAGE_MAX};
use crate::field::{Decimal, MsgSeqNum, ValueError, parse_timestamp};
use crate::slot::{self, Slots};
use thiserror::Error;

pub use crate::split::{FIELDS_MAX, Fields};

/// MsgType(35): one to four characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MsgType(u32);

impl MsgType {
    /// Heartbeat
    pub const HEARTBEAT: Self = Self::of(b"0");
    /// TestRequest
    pub const TEST_REQUEST: Self = Self::of(b"1");
    /// ResendRequest
    pub const RESEND_REQUEST: Self = Self::of(b"2");
    /// Reject, the session-level one
    pub const REJECT: Self = Self::of(b"3");
    /// SequenceReset
    pub const SEQUENCE_RESET: Self = Self::of(b"4");
    /// Logout
    pub const LOGOUT: Self = Self::of(b"5");
    /// ExecutionReport
    pub const EXECUTION_REPORT: Self = Self::of(b"8");
    /// OrderCancelReject
    pub const ORDER_CANCEL_REJECT: Self = Self::of(b"9");
    /// Logon
    pub const LOGON: Self = Self::of(b"A");
    /// NewOrderSingle
    pub const NEW_ORDER_SINGLE: Self = Self::of(b"D");
    /// OrderCancelRequest
    pub const ORDER_CANCEL_REQUEST: Self = Self::of(b"F");
    /// OrderCancelReplaceRequest
    pub const ORDER_CANCEL_REPLACE_REQUEST: Self = Self::of(b"G");
    /// OrderStatusRequest
    pub const ORDER_STATUS_REQUEST: Self = Self::of(b"H");
    /// BusinessMessageReject
    pub const BUSINESS_MESSAGE_REJECT: Self = Self::of(b"j");
    /// OrderMassCancelRequest
    pub const ORDER_MASS_CANCEL_REQUEST: Self = Self::of(b"q");
    /// OrderMassCancelReport
    pub const ORDER_MASS_CANCEL_REPORT: Self = Self::of(b"r");

    /// MarketDataRequest
    pub const MARKET_DATA_REQUEST: Self = Self::of(b"V");
    /// MarketDataSnapshotFullRefresh
    pub const MARKET_DATA_SNAPSHOT: Self = Self::of(b"W");
    /// MarketDataIncrementalRefresh
    pub const MARKET_DATA_INCREMENTAL: Self = Self::of(b"X");
    /// MarketDataRequestReject
    pub const MARKET_DATA_REQUEST_REJECT: Self = Self::of(b"Y");
    /// SecurityStatusRequest
    pub const SECURITY_STATUS_REQUEST: Self = Self::of(b"e");
    /// SecurityStatus
    pub const SECURITY_STATUS: Self = Self::of(b"f");
    /// SecurityListRequest
    pub const SECURITY_LIST_REQUEST: Self = Self::of(b"x");
    /// SecurityList
    pub const SECURITY_LIST: Self = Self::of(b"y");

    /// A type known when the program is written.
    ///
    /// # Panics
    /// Unless the text has one to four bytes.
    #[must_use]
    pub const fn of(text: &[u8]) -> Self {
        assert!(matches!(text.len(), 1..=4), "MsgType is one to four characters");
        let mut packed = 0;
        let mut at = text.len();
        while at > 0 {
            at -= 1;
            packed = packed << 8 | text[at] as u32;
        }
        Self(packed)
    }

    /// A type as it came; `None` for texts no version of FIX uses.
    #[inline]
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if let [letter] = text {
            return letter.is_ascii_graphic().then(|| Self(u32::from(*letter)));
        }
        let printable = text.iter().all(u8::is_ascii_graphic);
        (matches!(text.len(), 1..=4) && printable).then(|| Self::of(text))
    }

    /// The characters, one to four.
    #[must_use]
    pub fn text(self) -> MsgTypeText {
        let bytes = self.0.to_le_bytes();
        let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        MsgTypeText { bytes, length }
    }

    /// The character of a type that has one.
    #[inline]
    pub(crate) fn letter(self) -> Option<u8> {
        u8::try_from(self.0).ok()
    }

    /// Whether this is one of the seven session-level types, which are never resent.
    #[inline]
    #[must_use]
    pub fn is_admin(self) -> bool {
        matches!(self.0 as u8, b'0'..=b'5' | b'A') && self.0 < 256
    }
}

impl std::fmt::Debug for MsgType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MsgType({self})")
    }
}

impl std::fmt::Display for MsgType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        String::from_utf8_lossy(self.text().as_ref()).fmt(f)
    }
}

/// The characters of a [`MsgType`].
#[derive(Debug, Clone, Copy)]
pub struct MsgTypeText {
    bytes: [u8; 4],
    length: usize,
}

impl AsRef<[u8]> for MsgTypeText {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// One framed message, split into fields. A view: no text is copied.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    fields: &'a Fields,
}

impl std::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({:?})", String::from_utf8_lossy(self.bytes))
    }
}

impl<'a> Message<'a> {
    /// Splits a message that [`frame`](crate::codec::frame) found whole.
    ///
    /// Tags that are numbers but can't name a field (zero, negative, too long) don't stop the reading; they
    /// are remembered for [`Message::syntax`].
    ///
    /// # Errors
    /// [`Garbled::Field`] for bytes that aren't `tag=value`, or a data field (RawData(96), EncodedText(355),
    /// ...) whose length field is wrong; [`Garbled::TooLong`] past [`MESSAGE_MAX`].
    #[inline]
    pub fn parse(bytes: &'a [u8], fields: &'a mut Fields) -> Result<Self, Garbled> {
        if bytes.len() > MESSAGE_MAX {
            return Err(Garbled::TooLong);
        }
        fields.split(bytes)?;
        Ok(Self { bytes, fields })
    }

    /// [`Message::parse`], but whatever is there to make it and all later looks quick is left out.
    #[cfg(test)]
    pub(crate) fn parse_in_full(bytes: &'a [u8], fields: &'a mut Fields) -> Result<Self, Garbled> {
        fields.split_in_full(bytes)?;
        Ok(Self { bytes, fields })
    }

    /// The message as it came.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether it is known that no byte of the message is a control character other than SOH. One vectorized
    /// look at all of it is cheaper than a look at each text field.
    #[inline]
    #[must_use]
    pub fn is_printable(&self) -> bool {
        self.fields.printable
    }

    /// The first field with this tag.
    #[inline]
    #[must_use]
    pub fn get(&self, tag: u32) -> Option<&'a [u8]> {
        self.fields.first(self.bytes, tag)
    }

    /// Whether nothing is unusual about the message as far as that can be said without the tables of a version:
    /// no field with a slot is there twice, in the wrong part or empty, all counts, times and decimals among
    /// them are some, and no byte is a control character. A look at its slots is one at their fields then.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.fields.plain
    }

    /// Slots of the fields.
    #[inline]
    pub(crate) fn seen(&self) -> Slots {
        self.fields.seen
    }

    /// The value of a slot whose field is there.
    #[inline]
    pub(crate) fn in_slot(&self, slot: usize) -> &'a [u8] {
        self.fields.span(slot).of(self.bytes)
    }

    /// How long the value of a field of a plain message is; 0 when it isn't there.
    #[inline]
    pub(crate) fn length(&self, tag: u32) -> usize {
        let slot = slot::of(tag);
        if self.fields.has(slot) { self.fields.span(slot).len() } else { 0 }
    }

    /// The last field with a tag that has a slot.
    #[inline]
    pub(crate) fn last(&self, tag: u32) -> Option<&'a [u8]> {
        if !self.is_plain() {
            return self.find_last(tag);
        }
        let slot = slot::of(tag);
        self.fields.has(slot).then(|| self.in_slot(slot))
    }

    #[cold]
    fn find_last(&self, tag: u32) -> Option<&'a [u8]> {
        self.iter().filter(|(other, _)| *other == tag).map(|(_, value)| value).last()
    }

    /// The last time with a tag that has a slot, in nanoseconds since the Unix epoch; none when it is wrong.
    #[inline]
    pub(crate) fn time_ns(&self, tag: u32) -> Option<u64> {
        if !self.is_plain() {
            return self.find_last(tag).and_then(|value| parse_timestamp(value).ok());
        }
        let slot = slot::of(tag);
        self.fields.has(slot).then(|| self.fields.time_ns(slot))
    }

    /// The last decimal with a tag that has a slot; none when it is wrong.
    #[inline]
    pub(crate) fn decimal(&self, tag: u32) -> Option<Decimal> {
        if !self.is_plain() {
            return self.find_last(tag).and_then(|value| Decimal::parse(value).ok());
        }
        let slot = slot::of(tag);
        self.fields.has(slot).then(|| self.fields.decimal(slot))
    }

    /// Number of fields.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.tags().len()
    }

    /// Whether there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.tags().is_empty()
    }

    /// The tag of the field at a place in the message.
    #[inline]
    #[must_use]
    pub fn tag(&self, at: usize) -> u32 {
        self.fields.tags()[at]
    }

    /// The value of the field at a place in the message.
    #[inline]
    #[must_use]
    pub fn value(&self, at: usize) -> &'a [u8] {
        self.fields.spans()[at].of(self.bytes)
    }

    /// Tags and values in the order sent.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (u32, &'a [u8])> + use<'a> {
        let bytes = self.bytes;
        self.fields
            .tags()
            .iter()
            .zip(self.fields.spans())
            .map(move |(tag, span)| (*tag, span.of(bytes)))
    }

    /// MsgType(35); `None` when no version of FIX has such a type.
    #[inline]
    #[must_use]
    pub fn msg_type(&self) -> Option<MsgType> {
        self.fields.msg_type
    }

    /// BeginString(8).
    #[inline]
    #[must_use]
    pub fn begin_string(&self) -> &'a [u8] {
        self.get(8).unwrap_or_default()
    }

    /// SenderCompID(49).
    #[inline]
    #[must_use]
    pub fn sender_comp_id(&self) -> Option<&'a [u8]> {
        self.get(49)
    }

    /// TargetCompID(56).
    #[inline]
    #[must_use]
    pub fn target_comp_id(&self) -> Option<&'a [u8]> {
        self.get(56)
    }

    /// MsgSeqNum(34), if it is there and is a number.
    #[inline]
    #[must_use]
    pub fn msg_seq_num(&self) -> Option<MsgSeqNum> {
        if self.is_plain() {
            let slot = slot::of(34);
            return self.fields.has(slot).then(|| MsgSeqNum::new(self.fields.count(slot)));
        }
        self.get(34).and_then(|value| MsgSeqNum::parse(value).ok())
    }

    /// SendingTime(52) in nanoseconds since the Unix epoch, if it is there and is a time.
    #[inline]
    #[must_use]
    pub fn sending_time_ns(&self) -> Option<u64> {
        if self.is_plain() {
            return self.time_ns(52);
        }
        self.get(52).and_then(|value| parse_timestamp(value).ok())
    }

    /// Whether PossDupFlag(43) says the same MsgSeqNum may have been sent before.
    #[inline]
    #[must_use]
    pub fn poss_dup(&self) -> bool {
        self.get(43) == Some(b"Y")
    }

    /// Whether PossResend(97) says the same content may have been sent under another MsgSeqNum.
    #[inline]
    #[must_use]
    pub fn poss_resend(&self) -> bool {
        self.get(97) == Some(b"Y")
    }

    /// Faults of the syntax alone, whatever the version: a tag that can't name a field, too many fields.
    ///
    /// # Errors
    /// The first such fault.
    #[inline]
    pub fn syntax(&self) -> Result<(), Reject> {
        if self.fields.bad_tag.is_none() && !self.fields.overflowed {
            return Ok(());
        }
        Err(self.syntax_fault())
    }

    #[cold]
    fn syntax_fault(&self) -> Reject {
        match self.fields.bad_tag {
            Some(tag) => Reject {
                reason: SessionRejectReason::InvalidTagNumber,
                ref_tag: Some(tag.of(self.bytes)),
                text: None,
            },
            None => Reject::new(SessionRejectReason::Other, None).with_text("Too many fields"),
        }
    }
}

/// SessionRejectReason(373), the codes this package gives; a version that lacks one gets none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SessionRejectReason {
    /// The tag isn't one of this version of FIX.
    InvalidTagNumber = 0,
    /// A field the message must have isn't there.
    RequiredTagMissing = 1,
    /// The tag exists, and not in this type of message.
    TagNotDefinedForMsgType = 2,
    /// The tag exists in no version.
    UndefinedTag = 3,
    /// The field is empty.
    TagWithoutValue = 4,
    /// The value is out of range or not in the code set.
    ValueIncorrect = 5,
    /// The value doesn't have the syntax of its data type.
    IncorrectDataFormat = 6,
    /// SenderCompID(49) or TargetCompID(56) aren't those of the session.
    CompIdProblem = 9,
    /// SendingTime(52) is too far from the clock, or before OrigSendingTime(122).
    SendingTimeAccuracy = 10,
    /// No such MsgType(35).
    InvalidMsgType = 11,
    /// A tag twice outside a repeating group.
    TagRepeated = 13,
    /// A header field in the body, or the body after the trailer.
    TagOutOfOrder = 14,
    /// Members of a repeating group are out of order.
    GroupOutOfOrder = 15,
    /// The count of a repeating group isn't the number of its instances.
    GroupCount = 16,
    /// ApplVerID(1128) is none, or none the session allows (FIXT.1.1).
    ApplicationVersion = 18,
    /// Something else; Text(58) says what.
    Other = 99,
}

impl SessionRejectReason {
    /// The standard's words for the reason, used as Text(58).
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::InvalidTagNumber => "Invalid tag number",
            Self::RequiredTagMissing => "Required tag missing",
            Self::TagNotDefinedForMsgType => "Tag not defined for this message type",
            Self::UndefinedTag => "Undefined tag",
            Self::TagWithoutValue => "Tag specified without a value",
            Self::ValueIncorrect => "Value is incorrect (out of range) for this tag",
            Self::IncorrectDataFormat => "Incorrect data format for value",
            Self::CompIdProblem => "CompID problem",
            Self::SendingTimeAccuracy => "SendingTime accuracy problem",
            Self::InvalidMsgType => "Invalid MsgType",
            Self::TagRepeated => "Tag appears more than once",
            Self::TagOutOfOrder => "Tag specified out of required order",
            Self::GroupOutOfOrder => "Repeating group fields out of order",
            Self::GroupCount => "Incorrect NumInGroup count for repeating group",
            Self::ApplicationVersion => "Invalid or unsupported application version",
            Self::Other => "Other",
        }
    }
}

/// RefTagID(371): the tag a Reject is about, as the counterparty spelled it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefTag {
    text: [u8; Self::LENGTH_MAX],
    length: u8,
}

impl RefTag {
    /// Longest tag text that is quoted back; a longer one makes the message garbled.
    pub const LENGTH_MAX: usize = 20;

    /// A tag of the dictionary.
    #[must_use]
    pub fn tag(tag: u32) -> Self {
        let mut text = [0; Self::LENGTH_MAX];
        let length = crate::field::write_u64(&mut text, u64::from(tag)) as u8;
        Self { text, length }
    }

    /// A tag as it came, cut at [`RefTag::LENGTH_MAX`].
    #[must_use]
    pub fn text(sent: &[u8]) -> Self {
        let length = sent.len().min(Self::LENGTH_MAX);
        let mut text = [0; Self::LENGTH_MAX];
        text[..length].copy_from_slice(&sent[..length]);
        Self { text, length: length as u8 }
    }
}

impl AsRef<[u8]> for RefTag {
    fn as_ref(&self) -> &[u8] {
        &self.text[..usize::from(self.length)]
    }
}

impl From<u32> for RefTag {
    fn from(tag: u32) -> Self {
        Self::tag(tag)
    }
}

/// A message that is refused at the session level, with a Reject(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", self.text())]
pub struct Reject {
    /// SessionRejectReason(373)
    pub reason: SessionRejectReason,
    /// RefTagID(371)
    pub ref_tag: Option<RefTag>,
    /// Text(58) where the reason's own words say too little.
    pub text: Option<&'static str>,
}

impl Reject {
    /// A refusal with the standard's words.
    #[must_use]
    pub fn new(reason: SessionRejectReason, tag: Option<u32>) -> Self {
        Self { reason, ref_tag: tag.map(RefTag::tag), text: None }
    }

    /// The same refusal with clearer words.
    #[must_use]
    pub fn with_text(self, text: &'static str) -> Self {
        Self { text: Some(text), ..self }
    }

    /// Text(58).
    #[must_use]
    pub fn text(&self) -> &'static str {
        self.text.unwrap_or(self.reason.text())
    }

    /// A value refused by [`field`](crate::field).
    #[must_use]
    pub fn value(tag: u32, error: ValueError) -> Self {
        let reason = match error {
            ValueError::Format => SessionRejectReason::IncorrectDataFormat,
            ValueError::Range => SessionRejectReason::ValueIncorrect,
        };
        Self::new(reason, Some(tag))
    }
}

/// BusinessRejectReason(380), the FIX 4.4 codes and the throttle codes of extension pack 116; a version that
/// lacks one gets [`BusinessRejectReason::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BusinessRejectReason {
    /// Something else; Text(58) says what.
    Other = 0,
    /// An identifier in the message is unknown.
    UnknownId = 1,
    /// The security is unknown.
    UnknownSecurity = 2,
    /// The type of message is part of FIX and not supported here.
    UnsupportedMessageType = 3,
    /// The application can't answer now.
    ApplicationNotAvailable = 4,
    /// A field that other fields of the message call for is missing.
    ConditionallyRequiredFieldMissing = 5,
    /// The session may not send this.
    NotAuthorized = 6,
    /// The firm a message is to be delivered to isn't available now.
    DeliverToFirmNotAvailable = 7,
    /// The message rate is over its limit.
    ThrottleLimitExceeded = 8,
    /// The message rate is over its limit and the session will be disconnected.
    ThrottleLimitExceededDisconnect = 9,
}

/// A message that is refused above the session level, with a BusinessMessageReject(j).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{text}")]
pub struct BusinessReject<'a> {
    /// BusinessRejectReason(380)
    pub reason: BusinessRejectReason,
    /// BusinessRejectRefID(379), the ClOrdID or other identifier of the refused message.
    pub ref_id: Option<&'a [u8]>,
    /// Text(58)
    pub text: &'a str,
}

/// How an application message is refused before it means anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal<'a> {
    /// At the session level: the message breaks the rules of the protocol.
    #[error(transparent)]
    Session(Reject),
    /// At the business level: the message is well formed and can't be served.
    #[error("{}", .0.text)]
    Business(BusinessReject<'a>),
}

impl From<Reject> for Refusal<'_> {
    fn from(reject: Reject) -> Self {
        Self::Session(reject)
    }
}

impl<'a> From<BusinessReject<'a>> for Refusal<'a> {
    fn from(reject: BusinessReject<'a>) -> Self {
        Self::Business(reject)
    }
}

impl Refusal<'static> {
    /// The answer to a type of message that FIX has and this application hasn't.
    #[must_use]
    pub fn unsupported() -> Self {
        Self::Business(BusinessReject {
            reason: BusinessRejectReason::UnsupportedMessageType,
            ref_id: None,
            text: "Unsupported Message Type",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::SOH;
    use proptest::prelude::*;

    fn read<'a>(
        text: &str,
        bytes: &'a mut Vec<u8>,
        fields: &'a mut Fields,
    ) -> Result<Message<'a>, Garbled> {
        *bytes = text.replace('|', "\x01").into_bytes();
        Message::parse(bytes, fields)
    }

    #[test]
    fn fields_in_the_order_sent() {
        let (mut bytes, mut fields) = (Vec::new(), Fields::new());
        let message = read(
            "8=FIX.4.4|9=5|35=D|34=7|49=A|56=|55=LONGER THAN EIGHT|10=000|",
            &mut bytes,
            &mut fields,
        )
        .unwrap();
        let got: Vec<_> = message.iter().collect();
        assert_eq!(got[2], (35, &b"D"[..]));
        assert_eq!(got[5], (56, &b""[..]));
        assert_eq!(got[6], (55, &b"LONGER THAN EIGHT"[..]));
        assert_eq!(message.msg_type(), Some(MsgType::NEW_ORDER_SINGLE));
        assert_eq!(message.msg_seq_num(), Some(MsgSeqNum::new(7)));
        assert_eq!(message.get(1), None);
        assert_eq!(message.syntax(), Ok(()));
    }

    #[test]
    fn tags_that_cannot_name_a_field() {
        let garbled = Err(Garbled::Field);
        for (text, expected) in [
            ("35=0|0=HI|10=000|", Ok("0")),
            ("35=0|-1=HI|10=000|", Ok("-1")),
            ("35=0|049=HI|10=000|", Ok("049")),
            ("35=0|9999999=HI|10=000|", Ok("9999999")),
            ("35=0|4garbled9=TW|10=000|", garbled),
            ("35=0|=HI|10=000|", garbled),
            ("35=0|HI|10=000|", garbled),
            ("35=0||10=000|", garbled),
            ("35=0|58=no end", garbled),
            ("35=0|999999999999999999999=HI|10=000|", garbled),
        ] {
            let (mut bytes, mut fields) = (Vec::new(), Fields::new());
            let got = read(text, &mut bytes, &mut fields);
            match expected {
                Ok(tag) => {
                    let reject = got.unwrap().syntax().unwrap_err();
                    assert_eq!(reject.reason, SessionRejectReason::InvalidTagNumber, "{text}");
                    assert_eq!(reject.ref_tag.unwrap().as_ref(), tag.as_bytes(), "{text}");
                }
                Err(reason) => assert_eq!(got.err(), Some(reason), "{text}"),
            }
        }
    }

    #[test]
    fn data_may_hold_the_separator() {
        let (mut bytes, mut fields) = (Vec::new(), Fields::new());
        let message = read("35=A|95=5|96=a|b|c|108=30|10=000|", &mut bytes, &mut fields).unwrap();
        assert_eq!(message.get(96), Some(&b"a\x01b\x01c"[..]));
        assert_eq!(message.get(108), Some(&b"30"[..]));
        for text in [
            "35=A|95=4|96=a|b|c|10=000|",
            "35=A|95=999999|96=abc|10=000|",
            "35=A|95=2|96=abc1=1|10=000|",
        ] {
            assert_eq!(read(text, &mut bytes, &mut fields).err(), Some(Garbled::Field), "{text}");
        }
    }

    #[test]
    fn more_fields_than_the_table_holds() {
        let text = "58=x|".repeat(FIELDS_MAX + 1);
        let (mut bytes, mut fields) = (Vec::new(), Fields::new());
        let message = read(&text, &mut bytes, &mut fields).unwrap();
        assert_eq!(message.syntax().unwrap_err().reason, SessionRejectReason::Other);
    }

    #[test]
    fn message_types_pack_and_unpack() {
        for text in [&b"D"[..], b"AF", b"UCA", b"U123"] {
            assert_eq!(MsgType::parse(text).unwrap().text().as_ref(), text);
        }
        assert_eq!(MsgType::parse(b""), None);
        assert_eq!(MsgType::parse(b"TOOLONG"), None);
        assert!(MsgType::LOGON.is_admin() && !MsgType::of(b"AE").is_admin());
        assert!(!MsgType::NEW_ORDER_SINGLE.is_admin());
    }

    proptest! {
        #[test]
        fn splitting_never_panics(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(SOH), Just(b'='), b'0'..=b'9'], 0..120)) {
            let mut fields = Fields::new();
            let _ = Message::parse(&bytes, &mut fields);
        }

        #[test]
        fn splitting_gives_back_what_was_joined(sent in prop::collection::vec((1000_u32..99_999, "[ -~]{0,30}"), 0..40)) {
            let text: String = sent.iter().map(|(tag, value)| format!("{tag}={value}\x01")).collect();
            let mut fields = Fields::new();
            let message = Message::parse(text.as_bytes(), &mut fields).unwrap();
            let got: Vec<_> = message.iter().map(|(tag, value)| (tag, String::from_utf8(value.to_vec()).unwrap())).collect();
            prop_assert_eq!(got, sent);
        }
    }
}
