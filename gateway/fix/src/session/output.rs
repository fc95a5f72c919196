//! What a session wants done.

use super::COMP_ID_MAX;
use crate::dictionary::Dictionary;
use crate::encode::Writer;
use crate::field::{MsgSeqNum, NANOS_PER_SECOND};
use crate::message::{BusinessReject, Message, MsgType, Reject};
use crate::report::write_reason;
use std::collections::VecDeque;

/// Most bytes of the body of a request. The longest is a BusinessMessageReject with six reversed routing
/// fields of [`COMP_ID_MAX`] bytes, a reference of 64 and a text of 128.
pub const BODY_MAX: usize = 512;

/// Longest Text(58) of a request in bytes; longer ones are cut.
const TEXT_MAX: usize = 128;

/// Longest BusinessRejectRefID(379); a longer one is left out.
const REF_ID_MAX: usize = 64;

/// Longest RefMsgType(372); a longer one is left out.
const REF_MSG_TYPE_MAX: usize = 8;

const _: () = assert!(
    6 * (COMP_ID_MAX + 5) + (TEXT_MAX + 4) + (REF_ID_MAX + 5) + (REF_MSG_TYPE_MAX + 5) + 40
        <= BODY_MAX
);
const _: () = assert!(super::TEST_REQ_ID_MAX + 5 <= BODY_MAX);

/// Most outputs that wait to be polled. One `handle_*` call makes at most six: ResetSequence, Logon,
/// LoggedOn, ResendThroughLogon, ResendRequest; or Reject, Logout, LoggedOut, Disconnect.
pub const OUTPUTS_MAX: usize = 16;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a request needs no allocation; outputs are few and taken at once"
)]
pub enum Output {
    /// Transmit this message, now or when the journal has it: see
    /// [`Session::transmit`](super::Session::transmit).
    Send(Request),
    /// Send the messages of this range again: application messages with
    /// [`encode_resend`](super::Session::encode_resend), each run of others as one
    /// [`encode_gap_fill`](super::Session::encode_gap_fill).
    Resend {
        /// The first one, at least 1.
        begin: MsgSeqNum,
        /// The last one, at most the last transmitted.
        end: MsgSeqNum,
    },
    /// Send the messages from this one up to and with the Logon requested before again, as for
    /// [`Output::Resend`], once that Logon is transmitted: the counterparty's says that it expects this one
    /// next. With the Logon, so that whoever didn't count it when it came goes on behind it. Nothing, if the
    /// Logon turns out to be this one: an acceptor says it of every such Logon, as reports may be on their way.
    ResendThroughLogon {
        /// The first one, at least 1 and at most the Logon.
        begin: MsgSeqNum,
    },
    /// Both sequence numbers start at 1: call [`reset_outbound`](super::Session::reset_outbound) before
    /// transmitting what follows, and forget what was kept for resending. The inbound number is reset.
    ResetSequence,
    /// The session is up: application messages may be transmitted.
    LoggedOn,
    /// The session is no longer up: application messages wait for the next Logon.
    LoggedOut,
    /// Close the connection once everything requested before is sent.
    Disconnect(DisconnectReason),
}

/// Why a session ends its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisconnectReason {
    /// The first message wasn't a Logon of this session; nothing was answered.
    NotLogon,
    /// The Logon was refused with a Logout that says why.
    BadLogon,
    /// The counterparty refused our Logon.
    LogonRefused,
    /// No Logon came in time.
    LogonTimeout,
    /// The counterparty logged out, and was answered.
    LoggedOut,
    /// Our Logout was answered.
    LogoutAnswered,
    /// Our Logout wasn't answered in time.
    LogoutTimeout,
    /// The counterparty was silent, after a TestRequest too.
    HeartbeatTimeout,
    /// A message had a number used before.
    MsgSeqNumTooLow,
    /// A message that leaves nothing to go on with.
    BadMessage,
    /// The driver wanted it.
    Requested,
}

/// A message to transmit: its type and its body, bounded so that it needs no allocation.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    msg_type: MsgType,
    length: usize,
    body: [u8; BODY_MAX],
}

impl Request {
    fn new(msg_type: MsgType, write: impl FnOnce(&mut Writer<'_>)) -> Self {
        let mut request = Self { msg_type, length: 0, body: [0; BODY_MAX] };
        let mut writer = Writer::new(&mut request.body);
        write(&mut writer);
        request.length = writer.len();
        request
    }

    /// MsgType(35)
    #[must_use]
    pub fn msg_type(&self) -> MsgType {
        self.msg_type
    }

    /// The fields after the header.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body[..self.length]
    }

    /// FIX 4.0 has no ResetSeqNumFlag(141): both ends are configured to start anew, or neither.
    /// NextExpectedMsgSeqNum(789) stands where the version has it.
    pub(super) fn logon(
        dictionary: &Dictionary,
        heart_bt_int: u64,
        reset: bool,
        next_expected: Option<MsgSeqNum>,
    ) -> Self {
        let version = dictionary.version();
        Self::new(MsgType::LOGON, |out| {
            out.raw(b"98=0\x01");
            out.number(b"108=", heart_bt_int);
            if reset && dictionary.has(MsgType::LOGON, 141) {
                out.raw(b"141=Y\x01");
            }
            if let Some(expected) = next_expected.filter(|_| dictionary.has(MsgType::LOGON, 789)) {
                out.number(b"789=", expected.get());
            }
            if version.fixt {
                out.char(b"1137=", version.application.code());
            }
        })
    }

    pub(super) fn logout(text: &str) -> Self {
        Self::new(MsgType::LOGOUT, |out| out.text_if(b"58=", Some(cut(text))))
    }

    /// A Logout with SessionStatus(1409), where the version has it.
    pub(super) fn logout_with(dictionary: &Dictionary, text: &str, status: Option<u64>) -> Self {
        let status = status.filter(|_| dictionary.has(MsgType::LOGOUT, 1409));
        Self::new(MsgType::LOGOUT, |out| {
            out.text_if(b"58=", Some(cut(text)));
            if let Some(status) = status {
                out.number(b"1409=", status);
            }
        })
    }

    pub(super) fn logout_too_low(expected: MsgSeqNum, received: MsgSeqNum) -> Self {
        let text = format!("MsgSeqNum too low, expecting {expected} but received {received}");
        Self::logout(&text)
    }

    /// The counterparty expects a message that was never sent: it is not of this session, or it is ours that
    /// has forgotten something.
    pub(super) fn logout_next_expected(next_out: MsgSeqNum, received: MsgSeqNum) -> Self {
        let text = format!(
            "NextExpectedMsgSeqNum (789) too high, expecting {next_out} but received {received}"
        );
        Self::logout(&text)
    }

    pub(super) fn heartbeat(test_req_id: &[u8]) -> Self {
        Self::new(MsgType::HEARTBEAT, |out| out.text_if(b"112=", Some(test_req_id)))
    }

    /// TestReqID is the second of the clock, so that a log of both ends can be read side by side.
    pub(super) fn test_request(now_ns: u64) -> Self {
        Self::new(MsgType::TEST_REQUEST, |out| out.number(b"112=", now_ns / NANOS_PER_SECOND))
    }

    pub(super) fn resend_request(begin: MsgSeqNum, end: u64) -> Self {
        Self::new(MsgType::RESEND_REQUEST, |out| {
            out.number(b"7=", begin.get());
            out.number(b"16=", end);
        })
    }

    pub(super) fn gap_fill_body(new_seq_no: MsgSeqNum) -> Self {
        Self::new(MsgType::SEQUENCE_RESET, |out| {
            out.number(b"36=", new_seq_no.get());
            out.raw(b"123=Y\x01");
        })
    }

    /// RefTagID(371), RefMsgType(372) and SessionRejectReason(373) are left out where the version has none;
    /// before them, the text names the tag.
    pub(super) fn reject(dictionary: &Dictionary, message: &Message<'_>, reject: &Reject) -> Self {
        if !dictionary.has(MsgType::REJECT, 371)
            && let Some(tag) = &reject.ref_tag
        {
            let text = format!("{} ({})", reject.text(), String::from_utf8_lossy(tag.as_ref()));
            return Self::reject_with_text(dictionary, message, &text);
        }
        Self::new(MsgType::REJECT, |out| {
            begin_reject(dictionary, message, reject.text(), out);
            if let Some(tag) = &reject.ref_tag {
                out.text(b"371=", tag.as_ref());
            }
            ref_msg_type(dictionary, message, out);
            let code = reject.reason as u64;
            if dictionary.allows_number(373, code) {
                out.number(b"373=", code);
            }
        })
    }

    /// A Reject that says everything in words.
    pub(super) fn reject_with_text(
        dictionary: &Dictionary,
        message: &Message<'_>,
        text: &str,
    ) -> Self {
        Self::new(MsgType::REJECT, |out| {
            begin_reject(dictionary, message, text, out);
            ref_msg_type(dictionary, message, out);
        })
    }

    pub(super) fn business_reject(
        dictionary: &Dictionary,
        message: &Message<'_>,
        reject: &BusinessReject<'_>,
    ) -> Self {
        Self::new(MsgType::BUSINESS_MESSAGE_REJECT, |out| {
            begin_reject(dictionary, message, reject.text, out);
            ref_msg_type(dictionary, message, out);
            out.text_if(b"379=", quoted(reject.ref_id, REF_ID_MAX));
            let version = dictionary.version().application;
            write_reason(b"380=", Some(reject.reason as u8), out, version);
        })
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(self.body()).replace('\x01', "|");
        write!(f, "Request({} {body})", self.msg_type)
    }
}

/// The start of a text up to [`TEXT_MAX`] bytes, without what can't stand in a field.
fn cut(text: &str) -> &[u8] {
    let bytes = text.as_bytes();
    let end = bytes.iter().position(u8::is_ascii_control).unwrap_or(bytes.len());
    &bytes[..end.min(TEXT_MAX)]
}

/// What the counterparty said, where it may be said back: not too long, and nothing that would make the
/// answer a bad message itself.
fn quoted(value: Option<&[u8]>, length_max: usize) -> Option<&[u8]> {
    value.filter(|value| value.len() <= length_max && !value.iter().any(u8::is_ascii_control))
}

fn ref_seq_num(message: &Message<'_>, out: &mut Writer<'_>) {
    if let Some(seq) = message.msg_seq_num() {
        out.number(b"45=", seq.get());
    }
}

/// RefMsgType(372), where the version has it.
fn ref_msg_type(dictionary: &Dictionary, message: &Message<'_>, out: &mut Writer<'_>) {
    let known = dictionary.field(372).and_then(|_| message.get(35));
    out.text_if(b"372=", quoted(known, REF_MSG_TYPE_MAX));
}

/// What rejects of both kinds begin with: the way back, the number of the message, the text.
fn begin_reject(dictionary: &Dictionary, message: &Message<'_>, text: &str, out: &mut Writer<'_>) {
    reverse_route(dictionary, message, out);
    ref_seq_num(message, out);
    out.text_if(b"58=", Some(cut(text)));
}

/// Where a message came from on behalf of someone, its answer goes to them: OnBehalfOf and DeliverTo fields
/// change places (specification volume 2, "Routing").
fn reverse_route(dictionary: &Dictionary, message: &Message<'_>, out: &mut Writer<'_>) {
    let part = |tag| quoted(message.get(tag), COMP_ID_MAX).filter(|_| dictionary.is_header(tag));
    out.text_if(b"128=", part(115));
    out.text_if(b"129=", part(116));
    out.text_if(b"145=", part(144));
    out.text_if(b"115=", part(128));
    out.text_if(b"116=", part(129));
    out.text_if(b"144=", part(145));
}

/// Outputs in the order they are to be done.
#[derive(Debug)]
pub(super) struct Outputs(VecDeque<Output>);

impl Default for Outputs {
    fn default() -> Self {
        Self(VecDeque::with_capacity(OUTPUTS_MAX))
    }
}

impl Outputs {
    pub(super) fn push(&mut self, output: Output) {
        assert!(self.0.len() < OUTPUTS_MAX, "poll() is called until None after every handle_*");
        self.0.push_back(output);
    }

    pub(super) fn pop(&mut self) -> Option<Output> {
        self.0.pop_front()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
