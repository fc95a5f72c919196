//! What the journal holds of FIX sessions beside commands and events.
//!
//! MsgSeqNum of a session is a count of journaled frames, in both directions:
//!
//! - *in*: a command carries the MsgSeqNum of its message; [`Inbound`](SessionRecord::Inbound)
//!   says it of a message that is no command.
//! - *out*: every event for the session and every [`Outbound`](SessionRecord::Outbound) is one
//!   message, in the order of the journal.
//!
//! So sequence numbers survive whatever the journal survives, and a resend reads the journal.
//!
//! # What is journaled of a message, whatever its version
//!
//! - An event is in no version; its report is written in that of the connection it goes to, live or again.
//! - An answer that is no event (a reject of what the engine has no words for) is journaled with the fields
//!   of FIX 4.4 and the codes of its request, and written with the fields of the connection's version. A
//!   BusinessMessageReject has the same fields in all versions that have it. Answers about instruments are
//!   journaled with the fields of FIX 5.0 SP2, which has all of them.
//! - A session message is journaled as it is sent. It is never sent again.
//!
//! So a message that is sent again is the same bytes as long as the client logs on with the same version,
//! and the same content in another. An answer is a filled gap in a version that has no such message, or
//! lacks one of its codes.
//!
//! ```text
//! 0x0301 inbound    session u32, reserved u32, next MsgSeqNum u64
//! 0x0302 outbound   session u32, MsgType length u16, reserved u16, MsgType, body
//! 0x0303 reset      session u32, reserved u32
//! 0x0304 role       session u32, copies u8 (0 none, 1 of all, 2 of those that follow), reserved [u8; 3],
//!                   sessions u32 each
//! 0x0305 lost       session u32, cause u8, reserved [u8; 3]
//! 0x0306 throttle   session u32, scope u8 (1 session, 2 firm), action u8 (0 reject, 1 delay), reserved u16,
//!                   orders a second u32 (0 for no bound), burst u32, name of the firm (none: of no firm)
//! 0x0307 operator   session u32 (0 for none), action u8, length of the name u8, reserved u16, instrument u32
//!                   (0 for none or all), commands u32, asked at u64, name, reason
//! ```

use std::{collections::BTreeSet, sync::Arc};

use ironbook_engine::{SessionId, Timestamp, domain::DisconnectCause};
use ironbook_fix::{codec::SOH, field::parse_timestamp};
use ironbook_journal::PAYLOAD_MAX;

use crate::{
    operator::OperatorRecord,
    session_throttles::FIRM_NAME_BYTES_MAX,
    throttle::{ThrottleAction, ThrottleScope, ThrottleTerms},
};

/// A frame that concerns a session and not the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionRecord {
    /// A message was taken that is no command; `next` is the MsgSeqNum that must come now.
    Inbound {
        /// The session.
        session: SessionId,
        /// MsgSeqNum expected next.
        next: u64,
    },
    /// A message that goes to the client and is no report of an event.
    Outbound {
        /// The session.
        session: SessionId,
        /// MsgType (tag 35).
        msg_type: Vec<u8>,
        /// The fields between header and trailer, of an application message as FIX 4.4 has them,
        /// of one about instruments as FIX 5.0 SP2 has them.
        body: Vec<u8>,
    },
    /// Both sequence numbers start again at 1.
    Reset {
        /// The session.
        session: SessionId,
    },
    /// What the session gets of what others get.
    Role {
        /// The session.
        session: SessionId,
        /// Copies of whose reports.
        copies: Copies,
    },
    /// A session that was logged on lost its connection.
    Lost {
        /// The session.
        session: SessionId,
        /// How.
        cause: DisconnectCause,
    },
    /// How many orders the session may send from here on, by its own throttle or by that of its firm. The
    /// configuration decides; this says what it was.
    Throttle {
        /// The session.
        session: SessionId,
        /// Whose throttle.
        scope: ThrottleScope,
        /// Name of its firm, where it is the firm's; empty when it is of no firm any more.
        firm: String,
        /// The throttle; none for no bound.
        terms: Option<ThrottleTerms>,
    },
    /// What an operator asked for, who it was, and why. The commands that carry it out follow, perhaps with others
    /// in between; they have the same time of receipt, and no message that they came in.
    Operator(OperatorRecord),
}

/// Whose reports a session gets copies of; it only listens if it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Copies {
    /// Of nobody's: it is no drop copy.
    #[default]
    None,
    /// Of everybody's.
    All,
    /// Of those of these sessions, in ascending order.
    Of(Arc<[SessionId]>),
}

impl Copies {
    /// Of the reports of these sessions.
    pub fn of(sessions: impl IntoIterator<Item = SessionId>) -> Self {
        Self::Of(BTreeSet::from_iter(sessions).into_iter().collect())
    }

    /// Whether reports of a session are among them.
    #[inline]
    pub fn cover(&self, session: SessionId) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Of(sessions) => sessions.binary_search(&session).is_ok(),
        }
    }

    /// The code that tells the three apart.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::All => 1,
            Self::Of(_) => 2,
        }
    }

    /// The sessions that are listed.
    pub(crate) fn listed(&self) -> &[SessionId] {
        match self {
            Self::None | Self::All => &[],
            Self::Of(sessions) => sessions,
        }
    }

    /// The copies with this code; none when it is no code.
    pub(crate) fn from_code(code: u8, listed: impl IntoIterator<Item = SessionId>) -> Option<Self> {
        match code {
            0 => Some(Self::None),
            1 => Some(Self::All),
            2 => Some(Self::of(listed)),
            _ => None,
        }
    }
}

/// MsgTypes (35) of answers that refuse what a client sent: Reject, ExecutionReport, OrderCancelReject,
/// BusinessMessageReject and OrderMassCancelReport. What else those tell is an event.
const REFUSALS: [u8; 5] = *b"389jr";

/// Text (58) of the Logout by which a venue that stops ends its sessions.
pub const VENUE_STOPS: &str = "the venue stops";

/// Bytes of the payload of a [`Role`](SessionRecord::Role) before the sessions that it lists.
const ROLE_HEAD_BYTES: usize = 8;

/// Most sessions that a drop copy may follow by name or by its firm: a frame has room for no more.
pub const COPIES_MAX: usize = (PAYLOAD_MAX - ROLE_HEAD_BYTES) / size_of::<SessionId>();

/// Longest MsgType.
const MSG_TYPE_MAX: usize = 16;

impl SessionRecord {
    const INBOUND: u16 = 0x0301;
    pub(crate) const OUTBOUND: u16 = 0x0302;
    const RESET: u16 = 0x0303;
    pub(crate) const ROLE: u16 = 0x0304;
    const LOST: u16 = 0x0305;
    const THROTTLE: u16 = 0x0306;
    const OPERATOR: u16 = 0x0307;

    /// Kinds of these records: 0x0300 to 0x03ff.
    pub const fn is_kind(kind: u16) -> bool {
        kind >> 8 == 3
    }

    /// Kind of the record in the journal.
    pub fn kind(&self) -> u16 {
        match self {
            Self::Inbound { .. } => Self::INBOUND,
            Self::Outbound { .. } => Self::OUTBOUND,
            Self::Reset { .. } => Self::RESET,
            Self::Role { .. } => Self::ROLE,
            Self::Lost { .. } => Self::LOST,
            Self::Throttle { .. } => Self::THROTTLE,
            Self::Operator(_) => Self::OPERATOR,
        }
    }

    /// The session that it concerns; the venue for what concerns instruments.
    pub fn session(&self) -> SessionId {
        match self {
            Self::Inbound { session, .. }
            | Self::Outbound { session, .. }
            | Self::Reset { session }
            | Self::Role { session, .. }
            | Self::Lost { session, .. }
            | Self::Throttle { session, .. } => *session,
            Self::Operator(record) => record.session,
        }
    }

    /// Bytes of the record in the journal.
    pub fn payload(&self) -> Vec<u8> {
        let mut bytes = self.session().0.to_le_bytes().to_vec();
        match self {
            Self::Inbound { next, .. } => {
                bytes.extend([0; 4]);
                bytes.extend(next.to_le_bytes());
            }
            Self::Outbound { msg_type, body, .. } => {
                bytes.extend((msg_type.len() as u16).to_le_bytes());
                bytes.extend([0; 2]);
                bytes.extend(msg_type);
                bytes.extend(body);
            }
            Self::Reset { .. } => bytes.extend([0; 4]),
            Self::Role { copies, .. } => {
                bytes.extend([copies.code(), 0, 0, 0]);
                copies.listed().iter().for_each(|session| bytes.extend(session.0.to_le_bytes()));
            }
            Self::Lost { cause, .. } => bytes.extend([cause.code(), 0, 0, 0]),
            Self::Throttle { scope, firm, terms, .. } => {
                let action = terms.map_or_else(ThrottleAction::default, |terms| terms.action);
                bytes.extend([scope.code(), action.code(), 0, 0]);
                let numbers = terms.map_or((0, 0), |terms| (terms.per_second, terms.burst));
                bytes.extend(numbers.0.to_le_bytes());
                bytes.extend(numbers.1.to_le_bytes());
                bytes.extend(firm.as_bytes());
            }
            Self::Operator(record) => record.write(&mut bytes),
        }
        bytes
    }

    /// The record that a journaled frame holds, or none when it is not one of these.
    pub fn decode(kind: u16, payload: &[u8]) -> Option<Self> {
        let (session, rest) = payload.split_first_chunk::<4>()?;
        let session = SessionId(u32::from_le_bytes(*session));
        match kind {
            Self::INBOUND => {
                let next = rest.get(4..12)?.first_chunk::<8>()?;
                Some(Self::Inbound { session, next: u64::from_le_bytes(*next) })
            }
            Self::OUTBOUND => {
                let length = usize::from(u16::from_le_bytes(*rest.first_chunk::<2>()?));
                let (msg_type, body) = rest.get(4..)?.split_at_checked(length)?;
                (length <= MSG_TYPE_MAX).then(|| Self::Outbound {
                    session,
                    msg_type: msg_type.to_vec(),
                    body: body.to_vec(),
                })
            }
            Self::RESET => Some(Self::Reset { session }),
            Self::ROLE => {
                let (sessions, _) = rest.get(4..)?.as_chunks::<4>();
                let listed = sessions.iter().map(|id| SessionId(u32::from_le_bytes(*id)));
                let copies = Copies::from_code(*rest.first()?, listed)?;
                Some(Self::Role { session, copies })
            }
            Self::LOST => {
                let cause = DisconnectCause::from_code(*rest.first()?)?;
                Some(Self::Lost { session, cause })
            }
            Self::THROTTLE => Self::decode_throttle(session, rest),
            Self::OPERATOR => OperatorRecord::read(session, rest).map(Self::Operator),
            _ => None,
        }
    }

    fn decode_throttle(session: SessionId, rest: &[u8]) -> Option<Self> {
        let ([scope, action, ..], rest) = rest.split_first_chunk::<4>()?;
        let scope = ThrottleScope::from_code(*scope)?;
        let (per_second, rest) = rest.split_first_chunk::<4>()?;
        let (burst, firm) = rest.split_first_chunk::<4>()?;
        let numbers = (u32::from_le_bytes(*per_second), u32::from_le_bytes(*burst));
        let action = ThrottleAction::from_code(*action)?;
        let terms = ThrottleTerms::journaled(numbers.0, numbers.1, action)?;
        let firm = std::str::from_utf8(firm).ok()?.to_owned();
        let fits = match scope {
            ThrottleScope::Session => firm.is_empty(),
            ThrottleScope::Firm => !firm.is_empty() || terms.is_none(),
        };
        (fits && firm.len() <= FIRM_NAME_BYTES_MAX).then_some(Self::Throttle {
            session,
            scope,
            firm,
            terms,
        })
    }

    /// Whether it is the answer to something that the gateway refused before the engine saw it: an order beyond a
    /// throttle or without the right to it, or what is no order.
    pub fn refuses(&self) -> bool {
        match self {
            Self::Outbound { msg_type, .. } => match **msg_type {
                [code] => REFUSALS.contains(&code),
                _ => false,
            },
            _ => false,
        }
    }

    /// The same of a frame.
    #[inline]
    pub fn is_refusal(kind: u16, payload: &[u8]) -> bool {
        kind == Self::OUTBOUND
            && payload.get(4..8) == Some(b"\x01\0\0\0")
            && payload.get(8).is_some_and(|code| REFUSALS.contains(code))
    }

    /// Whether it tells a client that the venue stops.
    pub fn tells_of_stop(&self) -> bool {
        match self {
            Self::Outbound { msg_type, .. } => {
                msg_type == b"5" && self.text() == Some(VENUE_STOPS.as_bytes())
            }
            _ => false,
        }
    }

    /// Text (58) of a message, if it has one.
    pub fn text(&self) -> Option<&[u8]> {
        self.field(b"58=")
    }

    /// When the gateway had read a new order or replace that it refused with a token of the session's throttles, which
    /// was taken: one of a kind that the venue does not have, or for an instrument or account that the session has no
    /// right to. As its answer says it, which is to the millisecond. None for everything else: what a throttle
    /// refuses takes no token.
    pub fn token_taken(&self) -> Option<Timestamp> {
        let Self::Outbound { msg_type, .. } = self else { return None };
        let is_of_order = match &msg_type[..] {
            b"8" => true,
            // CxlRejResponseTo: a replace.
            b"9" => self.field(b"434=") == Some(b"2"),
            _ => false,
        };
        if !is_of_order || self.text().and_then(ThrottleScope::of_refusal).is_some() {
            return None;
        }
        parse_timestamp(self.field(b"60=")?).ok().map(Timestamp)
    }

    /// The first field of a message that begins with a tag and its `=`, without these.
    fn field(&self, tag: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Outbound { body, .. } => {
                body.split(|byte| *byte == SOH).find_map(|field| field.strip_prefix(tag))
            }
            _ => None,
        }
    }

    /// Whether a frame is the answer to a Logon.
    #[inline]
    pub fn is_logon(kind: u16, payload: &[u8]) -> bool {
        kind == Self::OUTBOUND && payload.get(4..9) == Some(b"\x01\0\0\0A")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_copies_fill_a_frame() {
        let role = |sessions: usize| {
            let copies = Copies::of((1..=sessions as u32).map(SessionId));
            SessionRecord::Role { session: SessionId(7), copies }
        };
        let most = role(COPIES_MAX);
        assert_eq!(SessionRecord::decode(most.kind(), &most.payload()), Some(most.clone()));
        assert!(most.payload().len() <= PAYLOAD_MAX);
        assert!(role(COPIES_MAX + 1).payload().len() > PAYLOAD_MAX);
    }

    #[test]
    fn reads_back_what_it_writes() {
        let session = SessionId(7);
        for record in [
            SessionRecord::Inbound { session, next: 12 },
            SessionRecord::Outbound {
                session,
                msg_type: b"j".to_vec(),
                body: b"45=3\x01".to_vec(),
            },
            SessionRecord::Reset { session },
            SessionRecord::Role { session, copies: Copies::None },
            SessionRecord::Role { session, copies: Copies::All },
            SessionRecord::Role { session, copies: Copies::of([SessionId(9), SessionId(2)]) },
            SessionRecord::Role { session, copies: Copies::of([]) },
            SessionRecord::Lost { session, cause: DisconnectCause::Disconnect },
        ] {
            let read = SessionRecord::decode(record.kind(), &record.payload());
            assert_eq!(read, Some(record));
        }
        for (msg_type, is_logon) in
            [(&b"A"[..], true), (b"AB", false), (b"8", false), (b"8A", false)]
        {
            let of_type = msg_type.to_vec();
            let record =
                SessionRecord::Outbound { session, msg_type: of_type, body: b"A".to_vec() };
            assert_eq!(SessionRecord::is_logon(record.kind(), &record.payload()), is_logon);
            let refuses = SessionRecord::is_refusal(record.kind(), &record.payload());
            assert_eq!((record.refuses(), refuses), (msg_type == b"8", msg_type == b"8"));
        }
        let token = |msg_type: &[u8], body: &[u8]| {
            let (msg_type, body) = (msg_type.to_vec(), body.to_vec());
            let record = SessionRecord::Outbound { session, msg_type, body };
            record.token_taken().map(|read| read.0)
        };
        let time = b"60=19700101-00:00:01.5\x01";
        let body = |more: &[u8]| [time, more].concat();
        assert_eq!(token(b"8", &body(b"")), Some(1_500_000_000));
        assert_eq!(token(b"9", &body(b"434=2\x01")), Some(1_500_000_000));
        assert_eq!(token(b"9", &body(b"434=1\x01")), None, "cancels need none");
        assert_eq!(token(b"j", &body(b"")), None);
        assert_eq!(token(b"8", b"60=x\x01"), None);
        let told = |msg_type: &[u8], body: &[u8]| {
            let (msg_type, body) = (msg_type.to_vec(), body.to_vec());
            SessionRecord::Outbound { session, msg_type, body }.tells_of_stop()
        };
        assert!(told(b"5", b"1409=4\x0158=the venue stops\x01"));
        assert!(!told(b"5", b"58=the venue stops here\x01") && !told(b"5", b""));
        assert!(!told(b"j", b"58=the venue stops\x01"));
        assert_eq!(SessionRecord::decode(SessionRecord::LOST, &[7, 0, 0, 0, 9, 0, 0, 0]), None);
        assert_eq!(SessionRecord::decode(SessionRecord::INBOUND, &[1, 2, 3]), None);
    }

    /// The layout, which journals have: to the byte.
    #[test]
    fn a_throttle_has_its_place_for_each_byte() {
        let terms = ThrottleTerms { per_second: 258, burst: 3, action: ThrottleAction::Delay };
        let record = SessionRecord::Throttle {
            session: SessionId(7),
            scope: ThrottleScope::Firm,
            firm: "ACME".to_owned(),
            terms: Some(terms),
        };
        let bytes = b"\x07\0\0\0\x02\x01\0\0\x02\x01\0\0\x03\0\0\0ACME";
        assert_eq!((record.kind(), &record.payload()[..]), (0x0306, &bytes[..]));
        assert_eq!(SessionRecord::decode(0x0306, bytes), Some(record));
        // A scope and an action that are none, a rate without a burst, a firm where none can be, and letters that
        // are none.
        for (at, forged) in [(4, 0), (4, 3), (5, 2), (12, 0), (4, 1), (16, 0xff)] {
            let mut bytes = bytes.to_vec();
            bytes[at] = forged;
            assert_eq!(SessionRecord::decode(0x0306, &bytes), None, "byte {at}");
        }
        assert_eq!(SessionRecord::decode(0x0306, &bytes[..16]), None, "a bound of no firm");
        assert_eq!(SessionRecord::decode(0x0306, &bytes[..15]), None, "too short");
        let long = [&bytes[..16], &[b'A'; FIRM_NAME_BYTES_MAX + 1]].concat();
        assert_eq!(SessionRecord::decode(0x0306, &long), None, "too long");
    }
}
