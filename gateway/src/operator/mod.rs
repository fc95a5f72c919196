//! What a person may do to a running venue: halt and resume instruments, suspend and open sessions, cancel orders.
//!
//! ```text
//! ironbook operator ⇄ socket.rs ⇄ agent.rs ──ring──▶ core ──▶ journal
//!                                     ▲                          │
//!                                     └── standing.rs ◀──tail────┘
//! ```
//!
//! The socket is a file of the data directory ([`SOCKET`]) that its owner alone may use: who that is, is the
//! operator. Requests and answers are JSON, a line each. An action is a [record](OperatorRecord) of who asked and
//! why, and the commands that carry it out, all of them journaled by the core; the answer comes when the journal has
//! them, and, where clients wait for the disk, when the disk has. Nobody waits for this agent but who asked.

mod agent;
mod client;
mod socket;
mod standing;

use std::io;

use ironbook_engine::{InstrumentId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

pub use agent::{ANSWER_NS_MAX, Lines, OperatorAgent, OperatorParts, PARK_MAX, SLOTS};
pub use client::{AskError, ask};
pub use socket::{CONNECTIONS_MAX, IDLE_NS_MAX, Socket};
pub use standing::Standing;

/// Name of the socket in the data directory.
pub const SOCKET: &str = "operator";

/// Longest request with its end of line, bytes: each text as long as it may be, every character escaped.
pub const REQUEST_BYTES_MAX: usize = 4_096;

/// Longest name of an operator, bytes: that of a user.
pub const NAME_BYTES_MAX: usize = 32;

/// Longest reason, characters: a line of a log.
pub const REASON_CHARS_MAX: usize = 60;

// A character is six bytes for each of its two units at the most, where JSON escapes it.
const _: () = assert!(12 * (2 * NAME_BYTES_MAX + REASON_CHARS_MAX) + 512 <= REQUEST_BYTES_MAX);

/// Target of an action that is for every instrument.
pub const ALL: &str = "all";

/// What an operator can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Orders in an instrument, or in all that are open, are refused from here on; cancels go on.
    Halt,
    /// An instrument, or each that is halted, is open again.
    Resume,
    /// A session may only cancel from here on, and its orders are canceled.
    Suspend,
    /// A session may trade again after a suspension or a trip.
    Open,
    /// The orders of a session are canceled; it may send others.
    Cancel,
}

impl Action {
    /// All of them.
    pub const EACH: [Self; 5] = [Self::Halt, Self::Resume, Self::Suspend, Self::Open, Self::Cancel];

    /// Its word in requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Halt => "halt",
            Self::Resume => "resume",
            Self::Suspend => "suspend",
            Self::Open => "open",
            Self::Cancel => "cancel",
        }
    }

    /// Its code in the journal.
    const fn code(self) -> u8 {
        match self {
            Self::Halt => 1,
            Self::Resume => 2,
            Self::Suspend => 3,
            Self::Open => 4,
            Self::Cancel => 5,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::EACH.into_iter().find(|action| action.code() == code)
    }

    /// Whether it is about instruments; else it is about a session.
    pub const fn is_of_instruments(self) -> bool {
        matches!(self, Self::Halt | Self::Resume)
    }
}

/// An action as the journal has it, before the commands that carry it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorRecord {
    /// What was asked for.
    pub action: Action,
    /// The session that it is about; the venue for an action about instruments.
    pub session: SessionId,
    /// The instrument that it is about; none for an action about all, or about a session.
    pub instrument: InstrumentId,
    /// Commands that follow.
    pub commands: u32,
    /// When it was asked for: the time of receipt of the commands that follow, and of those of no other action.
    pub asked: Timestamp,
    /// Who asked, as he calls himself, 1 to [`NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// Why, 1 to [`REASON_CHARS_MAX`] characters.
    pub reason: String,
}

impl OperatorRecord {
    /// Appends what follows the session.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend([self.action.code(), self.name.len() as u8, 0, 0]);
        bytes.extend(self.instrument.0.to_le_bytes());
        bytes.extend(self.commands.to_le_bytes());
        bytes.extend(self.asked.0.to_le_bytes());
        bytes.extend(self.name.as_bytes());
        bytes.extend(self.reason.as_bytes());
    }

    /// The record of which this follows the session.
    pub(crate) fn read(session: SessionId, rest: &[u8]) -> Option<Self> {
        let ([action, name_len, 0, 0], rest) = rest.split_first_chunk::<4>()? else { return None };
        let (instrument, rest) = rest.split_first_chunk::<4>()?;
        let (commands, rest) = rest.split_first_chunk::<4>()?;
        let (asked, rest) = rest.split_first_chunk::<8>()?;
        let (name, reason) = rest.split_at_checked((*name_len).into())?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let record = Self {
            action: Action::from_code(*action)?,
            session,
            instrument: InstrumentId(u32::from_le_bytes(*instrument)),
            commands: u32::from_le_bytes(*commands),
            asked: Timestamp(u64::from_le_bytes(*asked)),
            name: text(name)?,
            reason: text(reason)?,
        };
        let is_of_session = record.session != SessionId::VENUE;
        let fits = record.action.is_of_instruments() != is_of_session
            && (record.instrument == InstrumentId::NONE || !is_of_session)
            && check_name(&record.name).is_ok()
            && check_reason(&record.reason).is_ok();
        fits.then_some(record)
    }
}

/// What is wrong with a name, if anything.
fn check_name(name: &str) -> Result<(), String> {
    match name {
        "" => Err("by is missing: say who asks".to_owned()),
        _ if name.len() > NAME_BYTES_MAX => {
            Err(format!("by has {} bytes, at most {NAME_BYTES_MAX} are allowed", name.len()))
        }
        _ if name.chars().any(char::is_control) => Err("by has control characters".to_owned()),
        _ => Ok(()),
    }
}

/// What is wrong with a reason, if anything.
fn check_reason(reason: &str) -> Result<(), String> {
    let chars = reason.chars().count();
    match reason.trim() {
        "" => Err("reason is missing: say why, for who reads the journal".to_owned()),
        _ if chars > REASON_CHARS_MAX => {
            Err(format!("reason has {chars} characters, at most {REASON_CHARS_MAX} are allowed"))
        }
        _ if reason.chars().any(char::is_control) => {
            Err("reason has control characters".to_owned())
        }
        _ => Ok(()),
    }
}

/// A request, as it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Name of an [`Action`], or [`STATUS`].
    pub action: String,
    /// A symbol or [`ALL`], or a comp id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// Who asks.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Action of a request that asks how things are.
pub const STATUS: &str = "status";

/// A request that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Status,
    Action { action: Action, target: String, name: String, reason: String },
}

impl Request {
    /// The request that a line holds, without its end.
    fn parse(line: &[u8]) -> Result<Asked, String> {
        let request = serde_json::from_slice::<Self>(line).map_err(|error| {
            format!(
                "this is no request: {error}; a request is one line such as \
                 {{\"action\":\"halt\",\"target\":\"AAPL\",\"by\":\"ann\",\"reason\":\"news\"}}"
            )
        })?;
        request.understand()
    }

    /// Says what is wrong with it, if that shows without a venue.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        self.clone().understand().map(drop)
    }

    fn understand(self) -> Result<Asked, String> {
        if self.action == STATUS {
            return Ok(Asked::Status);
        }
        let Self { action, target, by, reason } = self;
        let known = Action::EACH.into_iter().find(|known| known.name() == action);
        let Some(known) = known else {
            let names = Action::EACH.map(Action::name).join(", ");
            return Err(format!("action {action:?} is unknown; there are {names} and {STATUS}"));
        };
        check_name(&by)?;
        check_reason(&reason)?;
        if target.is_empty() {
            let what = if known.is_of_instruments() { "a symbol, or all" } else { "a comp id" };
            return Err(format!("target is missing: {action} needs {what}"));
        }
        Ok(Asked::Action { action: known, target, name: by, reason })
    }
}

/// What is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// Whether the action was carried out.
    pub done: bool,
    /// Why it was not, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What came of it.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// How things are, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// What came of an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Sequence of the record of who and why; the commands follow it.
    pub sequence: u64,
    /// When the core took it, ns since 1970.
    pub time_ns: u64,
    /// Instruments, or sessions, whose status is another now.
    pub changed: u32,
    /// Orders that were canceled.
    pub canceled: u32,
}

impl Answer {
    fn refused(error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), ..Self::default() }
    }

    fn outcome(outcome: Outcome) -> Self {
        Self { done: true, outcome: Some(outcome), ..Self::default() }
    }

    fn status(status: Status) -> Self {
        Self { done: true, status: Some(status), ..Self::default() }
    }
}

/// Rows of each list of a [`Status`] at the most.
pub const STATUS_ROWS_MAX: usize = 1_000;

/// How things are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Instruments that are not open, up to [`STATUS_ROWS_MAX`].
    pub instruments: Vec<InstrumentRow>,
    /// How many these are in all.
    pub instruments_not_open: u64,
    /// Sessions that are not open or have live orders, up to [`STATUS_ROWS_MAX`].
    pub sessions: Vec<SessionRow>,
    /// Sessions that are not open, in all.
    pub sessions_not_open: u64,
    /// Live orders of all sessions.
    pub live_orders: u64,
    /// Sequence of the last frame that this takes into account.
    pub sequence: u64,
    /// Bytes of the journal that are written.
    pub written: u64,
    /// Bytes of the journal that a loss of power does not take.
    pub durable: u64,
    /// What the audit found wrong, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<String>,
}

/// An instrument that is not open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstrumentRow {
    /// Its symbol.
    pub symbol: String,
    /// `halted` or `closed`.
    pub status: String,
    /// Why, as far as an operator said it since the start.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// A session that is not open, or has live orders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// Its comp id.
    pub comp_id: String,
    /// `open` or `cancel only`.
    pub status: String,
    /// The risk limit that it is tripped by, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trip: Option<String>,
    /// Why, as far as an operator said it since the start.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Its live orders.
    pub live_orders: u32,
}

/// Who brought a status about, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A socket that can't be made.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Something else has its name.
    #[error("{path} is no socket; move it away, or set operator.enabled = false")]
    Taken {
        /// The path of the socket.
        path: String,
    },
    /// The system refuses it.
    #[error(
        "no socket for operators at {path}: {source}; a path has at most {PATH_BYTES_MAX} bytes: use a data directory \
         with a shorter one, or set operator.enabled = false"
    )]
    System {
        /// The path of the socket.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Longest path of a socket, bytes; the system's bound.
pub const PATH_BYTES_MAX: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session_record::SessionRecord;

    fn record() -> OperatorRecord {
        OperatorRecord {
            action: Action::Suspend,
            session: SessionId(7),
            instrument: InstrumentId::NONE,
            commands: 2,
            asked: Timestamp(0x0102),
            name: "ann".to_owned(),
            reason: "fat finger".to_owned(),
        }
    }

    /// The layout, which journals have: to the byte.
    #[test]
    fn a_record_has_its_place_for_each_byte() {
        let bytes = b"\x07\0\0\0\x03\x03\0\0\0\0\0\0\x02\0\0\0\x02\x01\0\0\0\0\0\0annfat finger";
        let journaled = SessionRecord::Operator(record());
        assert_eq!((journaled.kind(), &journaled.payload()[..]), (0x0307, &bytes[..]));
        assert_eq!(SessionRecord::decode(0x0307, bytes), Some(journaled));
        let all = OperatorRecord {
            action: Action::Halt,
            session: SessionId::VENUE,
            instrument: InstrumentId(3),
            ..record()
        };
        let journaled = SessionRecord::Operator(all);
        assert_eq!(SessionRecord::decode(0x0307, &journaled.payload()), Some(journaled));
        // No action, one of no session, a name as long as the rest, letters and zeros that are none, an instrument of
        // a session, a control character.
        for (at, forged) in
            [(4, 0), (4, 6), (4, 1), (0, 0), (5, 13), (5, 200), (6, 1), (8, 1), (24, 0xff), (30, 1)]
        {
            let mut bytes = bytes.to_vec();
            bytes[at] = forged;
            assert_eq!(SessionRecord::decode(0x0307, &bytes), None, "byte {at} {forged}");
        }
        for length in 0..24 {
            assert_eq!(SessionRecord::decode(0x0307, &bytes[..length]), None, "{length}");
        }
    }

    #[test]
    fn each_action_has_its_code_and_its_word() {
        for action in Action::EACH {
            assert_eq!(Action::from_code(action.code()), Some(action));
            let line = format!(
                r#"{{"action":"{}","target":"X","by":"ann","reason":"news"}}"#,
                action.name()
            );
            let (target, name) = ("X".to_owned(), "ann".to_owned());
            let asked = Asked::Action { action, target, name, reason: "news".to_owned() };
            assert_eq!(Request::parse(line.as_bytes()), Ok(asked));
        }
        assert_eq!(Request::parse(br#"{"action":"status"}"#), Ok(Asked::Status));
    }

    #[test]
    fn what_is_wrong_with_a_request_is_said() {
        let request = |by: &str, reason: &str| {
            let (action, target) = ("halt".to_owned(), "AAPL".to_owned());
            let request = Request { action, target, by: by.into(), reason: reason.into() };
            serde_json::to_string(&request).expect("JSON")
        };
        let longest = request(&"\u{10ffff}".repeat(8), &"\u{10ffff}".repeat(60));
        assert!(Request::parse(longest.as_bytes()).is_ok() && longest.len() < REQUEST_BYTES_MAX);
        for (line, expected) in [
            (String::new(), "this is no request"),
            ("halt AAPL".to_owned(), "this is no request"),
            (r#"{"action":"halt","targets":"AAPL"}"#.to_owned(), "unknown field `targets`"),
            (r#"{"action":"stop"}"#.to_owned(), "action \"stop\" is unknown; there are halt"),
            ("{}".to_owned(), "action \"\" is unknown"),
            (request("", "news"), "by is missing"),
            (request(&"a".repeat(33), "news"), "by has 33 bytes, at most 32"),
            (request("a\tb", "news"), "by has control characters"),
            (request("ann", ""), "reason is missing"),
            (request("ann", "  "), "reason is missing"),
            (request("ann", &"ä".repeat(61)), "reason has 61 characters, at most 60"),
            (request("ann", "a\u{7f}"), "reason has control characters"),
            (
                r#"{"action":"halt","by":"ann","reason":"x"}"#.to_owned(),
                "target is missing: halt needs a symbol, or all",
            ),
            (
                r#"{"action":"open","by":"ann","reason":"x"}"#.to_owned(),
                "target is missing: open needs a comp id",
            ),
        ] {
            let error = Request::parse(line.as_bytes()).expect_err(&line);
            assert!(error.contains(expected), "{expected:?} in {error:?}");
        }
    }
}
