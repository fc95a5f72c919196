//! Sequence numbers of all sessions, as the journal tells them, and where in the journal each
//! outbound message stands.

use ironbook_engine::{
    Command, SessionId,
    command::{CancelOrder, MassCancel, NewOrder, Origin, QueryOrder, ReplaceOrder},
    event::{CancelRejected, Execution, MassCanceled, OrderRejected},
    record::{DecodeError, Record},
};
use ironbook_journal::{Frame, Position};

use crate::session_record::SessionRecord;

/// What the journal says of one session.
#[derive(Clone, Debug, Default)]
pub struct SessionNumbers {
    /// MsgSeqNum expected next from the client.
    pub next_in: u64,
    /// MsgSeqNum of the next message to the client.
    pub next_out: u64,
    /// Whether the session only listens.
    pub read_only: bool,
    /// Where its outbound messages stand.
    pub sent: SentIndex,
    /// Each change of `read_only`, and the outbound number from which on it holds.
    roles: Vec<(u64, bool)>,
}

impl SessionNumbers {
    /// Whether the session only listened when message `msg_seq_num` was sent to it.
    pub fn was_read_only(&self, msg_seq_num: u64) -> bool {
        let before = self.roles.iter().rev().find(|(from, _)| *from <= msg_seq_num);
        before.is_some_and(|(_, read_only)| *read_only)
    }
}

/// Numbers of all sessions; a fold over the journal.
#[derive(Clone, Debug, Default)]
pub struct SessionTable {
    /// By session id; the first entry stands for the venue itself and stays empty.
    sessions: Vec<SessionNumbers>,
    drop_copies: Vec<SessionId>,
}

/// Who gets a message because of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Nobody.
    Nobody,
    /// One session.
    Session(SessionId),
    /// One session, and every drop copy.
    SessionAndCopies(SessionId),
}

impl SessionTable {
    /// Numbers of a session.
    pub fn get(&self, session: SessionId) -> Option<&SessionNumbers> {
        self.sessions.get(session.0 as usize)
    }

    /// Sessions that get copies of all reports.
    pub fn drop_copies(&self) -> &[SessionId] {
        &self.drop_copies
    }

    fn entry(&mut self, session: SessionId) -> &mut SessionNumbers {
        let index = session.0 as usize;
        if self.sessions.len() <= index {
            let first = SessionNumbers { next_in: 1, next_out: 1, ..SessionNumbers::default() };
            self.sessions.resize(index + 1, first);
        }
        &mut self.sessions[index]
    }

    /// Takes the next frame of the journal into account.
    ///
    /// # Errors
    /// When the frame's payload is not what its kind says.
    #[inline]
    pub fn fold(&mut self, frame: &Frame<'_>) -> Result<Audience, DecodeError> {
        let audience = audience(frame)?;
        match audience {
            Audience::Nobody => self.fold_inbound(frame)?,
            Audience::Session(session) => self.sent(session, frame.position),
            Audience::SessionAndCopies(session) => {
                self.sent(session, frame.position);
                for index in 0..self.drop_copies.len() {
                    self.sent(self.drop_copies[index], frame.position);
                }
            }
        }
        Ok(audience)
    }

    #[inline]
    fn sent(&mut self, session: SessionId, position: Position) {
        let entry = self.entry(session);
        entry.sent.push(entry.next_out, position);
        entry.next_out += 1;
    }

    #[inline]
    fn fold_inbound(&mut self, frame: &Frame<'_>) -> Result<(), DecodeError> {
        if Command::is_kind(frame.kind) {
            if let Some((session, msg_seq_num)) = asked_in(frame)? {
                self.entry(session).next_in = msg_seq_num + 1;
            }
        } else if SessionRecord::is_kind(frame.kind) {
            match read_session_record(frame)? {
                SessionRecord::Inbound { session, next } => self.entry(session).next_in = next,
                SessionRecord::Reset { session } => {
                    let entry = self.entry(session);
                    (entry.next_in, entry.next_out) = (1, 1);
                    entry.sent.clear();
                    entry.roles.clear();
                    entry.roles.push((1, entry.read_only));
                }
                SessionRecord::Role { session, read_only } => self.set_role(session, read_only),
                SessionRecord::Outbound { .. } => {}
            }
        }
        Ok(())
    }

    fn set_role(&mut self, session: SessionId, read_only: bool) {
        let entry = self.entry(session);
        entry.read_only = read_only;
        entry.roles.push((entry.next_out, read_only));
        self.drop_copies.retain(|&other| other != session);
        if read_only {
            self.drop_copies.push(session);
        }
    }
}

/// The session and MsgSeqNum of the message that a command came in, if it came in one. Commands of
/// clients begin with their [`Origin`].
#[inline]
fn asked_in(frame: &Frame<'_>) -> Result<Option<(SessionId, u64)>, DecodeError> {
    let from_client = matches!(
        frame.kind,
        NewOrder::KIND
            | CancelOrder::KIND
            | ReplaceOrder::KIND
            | MassCancel::KIND
            | QueryOrder::KIND
    );
    if !from_client {
        return Ok(None);
    }
    let session = session_at(frame, std::mem::offset_of!(Origin, session))?;
    let offset = std::mem::offset_of!(Origin, msg_seq_num);
    let bytes = frame.payload.get(offset..).and_then(|rest| rest.first_chunk::<8>());
    let msg_seq_num = u64::from_le_bytes(*bytes.ok_or(DecodeError::Code { kind: frame.kind })?);
    Ok((session != SessionId::VENUE && msg_seq_num != 0).then_some((session, msg_seq_num)))
}

fn read_session_record(frame: &Frame<'_>) -> Result<SessionRecord, DecodeError> {
    let record = SessionRecord::decode(frame.kind, frame.payload);
    record.ok_or(DecodeError::Kind { kind: frame.kind })
}

/// Who gets a message because of this frame: a property of the frame alone, so that every reader
/// of the journal counts alike.
#[inline]
pub fn audience(frame: &Frame<'_>) -> Result<Audience, DecodeError> {
    let session = match frame.kind {
        Execution::KIND => session_at(frame, std::mem::offset_of!(Execution, session)),
        OrderRejected::KIND => session_at(frame, std::mem::offset_of!(OrderRejected, session)),
        CancelRejected::KIND => session_at(frame, std::mem::offset_of!(CancelRejected, session)),
        MassCanceled::KIND => session_at(frame, std::mem::offset_of!(MassCanceled, session)),
        SessionRecord::OUTBOUND => return Ok(Audience::Session(session_at(frame, 0)?)),
        _ => return Ok(Audience::Nobody),
    };
    Ok(match session? {
        SessionId::VENUE => Audience::Nobody,
        session => Audience::SessionAndCopies(session),
    })
}

/// The session id at this offset of the payload.
#[inline]
fn session_at(frame: &Frame<'_>, offset: usize) -> Result<SessionId, DecodeError> {
    let bytes = frame.payload.get(offset..).and_then(|rest| rest.first_chunk::<4>());
    let bytes = bytes.ok_or(DecodeError::Code { kind: frame.kind })?;
    Ok(SessionId(u32::from_le_bytes(*bytes)))
}

/// Where each outbound message of a session stands in the journal, in bounded memory: every
/// `stride`-th position is kept, and the stride doubles when there are too many.
#[derive(Clone, Debug)]
pub struct SentIndex {
    stride: u64,
    positions: Vec<Position>,
}

/// Positions kept for a session: 512 KiB.
const POSITIONS_MAX: usize = 65_536;

impl Default for SentIndex {
    fn default() -> Self {
        Self { stride: 1, positions: Vec::with_capacity(POSITIONS_MAX) }
    }
}

impl SentIndex {
    /// Notes that message `msg_seq_num`, the next one, stands at `position`.
    #[inline]
    pub fn push(&mut self, msg_seq_num: u64, position: Position) {
        if !(msg_seq_num - 1).is_multiple_of(self.stride) {
            return;
        }
        if self.positions.len() == POSITIONS_MAX {
            self.thin();
            if !(msg_seq_num - 1).is_multiple_of(self.stride) {
                return;
            }
        }
        self.positions.push(position);
    }

    /// Keeps every other position.
    fn thin(&mut self) {
        let mut index = 0;
        self.positions.retain(|_| {
            index += 1;
            index % 2 == 1
        });
        self.stride *= 2;
    }

    /// The last message at or before `msg_seq_num` whose position is known, and that position.
    pub fn at_or_before(&self, msg_seq_num: u64) -> Option<(u64, Position)> {
        let index = (msg_seq_num.checked_sub(1)? / self.stride) as usize;
        let index = index.min(self.positions.len().checked_sub(1)?);
        Some((index as u64 * self.stride + 1, self.positions[index]))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.stride = 1;
        self.positions.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sent_index_stays_bounded_and_near() {
        let mut index = SentIndex::default();
        let count = 3 * POSITIONS_MAX as u64;
        let mut at = vec![Position::START];
        for msg_seq_num in 1..=count {
            let position = Position::new(msg_seq_num * 64);
            at.push(position);
            index.push(msg_seq_num, position);
        }
        assert!(index.positions.len() <= POSITIONS_MAX);
        for msg_seq_num in [1, 2, 3, 4, 5, 1_000, 65_536, 65_537, 131_073, count] {
            let (found, position) = index.at_or_before(msg_seq_num).unwrap();
            assert!(found <= msg_seq_num && msg_seq_num - found < 4, "{found} {msg_seq_num}");
            assert_eq!(position, at[found as usize]);
        }
    }
}
