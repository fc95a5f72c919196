//! Sequence numbers of all sessions, as the journal tells them, and where in the journal each
//! outbound message stands.

use ironbook_engine::{
    Command, SessionId,
    command::{
        CancelOnDisconnect, CancelOrder, MassCancel, NewOrder, Origin, QueryOrder, ReplaceOrder,
    },
    domain::DisconnectCause,
    event::{CancelRejected, Execution, MassCanceled, OrderRejected},
    record::{DecodeError, Record},
};
use ironbook_journal::{Frame, Position};

use crate::{
    session_record::{Copies, SessionRecord},
    session_throttles::SessionThrottles,
};

/// What the journal says of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionNumbers {
    /// MsgSeqNum expected next from the client.
    pub next_in: u64,
    /// MsgSeqNum of the next message to the client.
    pub next_out: u64,
    /// When both started at 1 last, ns; 0 for a session that never was reset.
    pub reset_ns: u64,
    /// What it gets of what others get.
    pub copies: Copies,
    /// Whether it is logged on.
    pub presence: Presence,
    /// What bounds its orders.
    pub throttles: SessionThrottles,
    /// Where its outbound messages stand.
    pub sent: SentIndex,
    /// Each change of `copies`, and the outbound number from which on it holds.
    roles: Vec<(u64, Copies)>,
}

/// Whether a session is logged on, and what its orders wait for if not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// It never was, or its orders were canceled since.
    #[default]
    Away,
    /// It is logged on.
    LoggedOn,
    /// It lost its connection.
    Lost(DisconnectCause),
}

impl Presence {
    /// As a word of a snapshot; a cause is its code behind this.
    const LOST: u64 = 0x100;

    fn word(self) -> u64 {
        match self {
            Self::Away => 0,
            Self::LoggedOn => 1,
            Self::Lost(cause) => Self::LOST + u64::from(cause.code()),
        }
    }

    fn from_word(word: u64) -> Option<Self> {
        match word {
            0 => Some(Self::Away),
            1 => Some(Self::LoggedOn),
            _ => {
                let code = u8::try_from(word.checked_sub(Self::LOST)?).ok()?;
                DisconnectCause::from_code(code).map(Self::Lost)
            }
        }
    }
}

impl SessionNumbers {
    /// What the session got of what others got when message `msg_seq_num` was sent to it.
    pub fn copies_at(&self, msg_seq_num: u64) -> Copies {
        let before = self.roles.iter().rev().find(|(from, _)| *from <= msg_seq_num);
        before.map_or(Copies::None, |(_, copies)| copies.clone())
    }

    fn read(words: &mut impl Iterator<Item = u64>, has_throttles: bool) -> Option<Self> {
        let (next_in, next_out, reset_ns) = (words.next()?, words.next()?, words.next()?);
        let copies = read_copies(words)?;
        let mut word = || words.next();
        let presence = Presence::from_word(word()?)?;
        let (stride, positions, roles) = (word()?, word()?, word()?);
        let sent = SentIndex { stride, ..SentIndex::default() };
        let mut numbers = Self {
            next_in,
            next_out,
            reset_ns,
            copies,
            presence,
            throttles: SessionThrottles::default(),
            sent,
            roles: Vec::new(),
        };
        if !stride.is_power_of_two() || positions != next_out.checked_sub(1)?.div_ceil(stride) {
            return None;
        }
        for _ in 0..positions {
            let fits = numbers.sent.positions.len() < POSITIONS_MAX;
            numbers.sent.positions.push(fits.then(|| word().map(Position::new))??);
        }
        for _ in 0..roles {
            let from = words.next()?;
            numbers.roles.push((from, read_copies(words)?));
        }
        if has_throttles {
            numbers.throttles = SessionThrottles::read(words)?;
        }
        Some(numbers)
    }
}

/// Appends copies as words: their code, and for those of some sessions how many, and each.
fn write_copies(copies: &Copies, mut put: impl FnMut(u64)) {
    put(copies.code().into());
    if let Copies::Of(sessions) = copies {
        put(sessions.len() as u64);
        sessions.iter().for_each(|session| put(session.0.into()));
    }
}

fn read_copies(words: &mut impl Iterator<Item = u64>) -> Option<Copies> {
    let code = u8::try_from(words.next()?).ok()?;
    let mut listed = Vec::new();
    if code == Copies::of([]).code() {
        for _ in 0..words.next()? {
            listed.push(SessionId(words.next()?.try_into().ok()?));
        }
    }
    Copies::from_code(code, listed)
}

/// Numbers of all sessions; a fold over the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionTable {
    /// By session id; the first entry stands for the venue itself and stays empty.
    sessions: Vec<SessionNumbers>,
    /// Sessions that get copies, and of whose reports.
    drop_copies: Vec<(SessionId, Copies)>,
}

/// Who gets a message because of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Nobody.
    Nobody,
    /// One session.
    Session(SessionId),
    /// One session, and every drop copy of its reports.
    SessionAndCopies(SessionId),
}

impl SessionTable {
    /// Numbers of a session.
    pub fn get(&self, session: SessionId) -> Option<&SessionNumbers> {
        self.sessions.get(session.0 as usize)
    }

    /// The table for whoever tells nothing but these sessions: of others it keeps count, but not of where their
    /// messages stand, which is half a megabyte for each, nor of what they get copies of.
    pub fn for_sessions(&self, told: &[SessionId]) -> Self {
        let mut told = told.to_vec();
        told.sort_unstable();
        let is_told = |session: &SessionId| told.binary_search(session).is_ok();
        let of = |(numbers, id): (&SessionNumbers, u32)| match is_told(&SessionId(id)) {
            true => numbers.clone(),
            false => SessionNumbers {
                copies: numbers.copies.clone(),
                sent: SentIndex::none(),
                roles: Vec::new(),
                throttles: numbers.throttles.clone(),
                ..*numbers
            },
        };
        let drop_copies = self.drop_copies.iter().filter(|(copy, _)| is_told(copy));
        Self {
            sessions: self.sessions.iter().zip(0..).map(of).collect(),
            drop_copies: drop_copies.cloned().collect(),
        }
    }

    /// How many sessions get copies of reports.
    pub fn drop_copies(&self) -> usize {
        self.drop_copies.len()
    }

    /// A drop copy by number, if it gets a copy of a report to `session`. What it is told itself, of orders
    /// from a time when it sent some, it is told once.
    #[inline]
    pub fn copy_to(&self, index: usize, session: SessionId) -> Option<SessionId> {
        let (copy, copies) = &self.drop_copies[index];
        (*copy != session && copies.cover(session)).then_some(*copy)
    }

    /// Appends the table, for snapshots: words of eight bytes, little-endian.
    ///
    /// ```text
    /// sessions, then of each: next in, next out, reset time, copies, presence, stride, positions,
    ///                         roles, each position, each role (from, copies), throttles
    /// drop copies, then the id of each
    /// ```
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut put = |word: u64| out.extend_from_slice(&word.to_le_bytes());
        put(self.sessions.len() as u64);
        for session in &self.sessions {
            let sent = &session.sent;
            put(session.next_in);
            put(session.next_out);
            put(session.reset_ns);
            write_copies(&session.copies, &mut put);
            put(session.presence.word());
            put(sent.stride);
            put(sent.positions.len() as u64);
            put(session.roles.len() as u64);
            sent.positions.iter().for_each(|position| put(position.get()));
            for (from, copies) in &session.roles {
                put(*from);
                write_copies(copies, &mut put);
            }
            session.throttles.write(&mut put);
        }
        put(self.drop_copies.len() as u64);
        self.drop_copies.iter().for_each(|(session, _)| put(session.0.into()));
    }

    /// The table that [`write`](Self::write) wrote; none when the bytes are no such table. One that was written
    /// before there were throttles in it has none.
    pub fn read(bytes: &[u8], has_throttles: bool) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let mut table = Self::default();
        for _ in 0..words.next()? {
            table.sessions.push(SessionNumbers::read(&mut words, has_throttles)?);
        }
        for _ in 0..words.next()? {
            let session = SessionId(words.next()?.try_into().ok()?);
            let copies = table.get(session)?.copies.clone();
            table.drop_copies.push((copies != Copies::None).then_some((session, copies))?);
        }
        let whole = rest.is_empty() && words.next().is_none();
        whole.then_some(table)
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
            Audience::Session(session) => {
                self.sent(session, frame.position);
                if SessionRecord::is_logon(frame.kind, frame.payload) {
                    self.entry(session).presence = Presence::LoggedOn;
                }
            }
            Audience::SessionAndCopies(session) => {
                self.sent(session, frame.position);
                for index in 0..self.drop_copies.len() {
                    if let Some(copy) = self.copy_to(index, session) {
                        self.sent(copy, frame.position);
                    }
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
            } else if frame.kind == CancelOnDisconnect::KIND {
                let session = session_at(frame, std::mem::offset_of!(Origin, session))?;
                self.entry(session).presence = Presence::Away;
            }
        } else if SessionRecord::is_kind(frame.kind) {
            match read_session_record(frame)? {
                SessionRecord::Inbound { session, next } => self.entry(session).next_in = next,
                SessionRecord::Reset { session } => {
                    let entry = self.entry(session);
                    (entry.next_in, entry.next_out) = (1, 1);
                    entry.reset_ns = frame.time_ns;
                    entry.sent.clear();
                    entry.roles.clear();
                    entry.roles.push((1, entry.copies.clone()));
                }
                SessionRecord::Role { session, copies } => self.set_role(session, copies),
                SessionRecord::Throttle { session, scope, firm, terms } => {
                    self.entry(session).throttles.set(scope, &firm, terms);
                }
                SessionRecord::Lost { session, cause } => {
                    self.entry(session).presence = Presence::Lost(cause);
                }
                SessionRecord::Outbound { .. } | SessionRecord::Operator(_) => {}
            }
        }
        Ok(())
    }

    fn set_role(&mut self, session: SessionId, copies: Copies) {
        let entry = self.entry(session);
        entry.copies = copies.clone();
        entry.roles.push((entry.next_out, copies.clone()));
        self.drop_copies.retain(|(other, _)| *other != session);
        if copies != Copies::None {
            self.drop_copies.push((session, copies));
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
#[derive(Debug, PartialEq, Eq)]
pub struct SentIndex {
    /// Messages between two that are kept, a power of two; 0 when none is.
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

impl Clone for SentIndex {
    /// With room for all positions, too, so that the order that needs it doesn't wait for it.
    fn clone(&self) -> Self {
        let mut copy = Self { stride: self.stride, ..Self::default() };
        copy.positions.extend_from_slice(&self.positions);
        copy
    }
}

impl SentIndex {
    /// One that keeps nothing.
    fn none() -> Self {
        Self { stride: 0, positions: Vec::new() }
    }

    /// Notes that message `msg_seq_num`, the next one, stands at `position`.
    #[inline]
    pub fn push(&mut self, msg_seq_num: u64, position: Position) {
        if self.stride == 0 || !(msg_seq_num - 1).is_multiple_of(self.stride) {
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
        let index = msg_seq_num.checked_sub(1)?.checked_div(self.stride)? as usize;
        let index = index.min(self.positions.len().checked_sub(1)?);
        Some((index as u64 * self.stride + 1, self.positions[index]))
    }

    /// The first message whose position is known to be at or behind `position`, and that position.
    pub fn at_or_behind(&self, position: Position) -> Option<(u64, Position)> {
        let index = self.positions.partition_point(|known| *known < position);
        Some((index as u64 * self.stride + 1, *self.positions.get(index)?))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.stride = self.stride.min(1);
        self.positions.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::throttle::{ThrottleAction, ThrottleScope, ThrottleTerms};

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

    /// A table with an index that was thinned, roles that changed and a reset.
    fn table() -> SessionTable {
        let mut table = SessionTable::default();
        for (session, messages) in [(1, 5), (2, POSITIONS_MAX as u64 + 3), (4, 0)] {
            let session = SessionId(session);
            table.entry(session).next_in = messages * 2 + 1;
            for message in 0..messages {
                table.sent(session, Position::new(message * 64));
            }
        }
        table.set_role(SessionId(4), Copies::of([SessionId(2), SessionId(1)]));
        table.set_role(SessionId(1), Copies::All);
        table.set_role(SessionId(1), Copies::None);
        table.entry(SessionId(2)).reset_ns = 77;
        table.entry(SessionId(1)).presence = Presence::Lost(DisconnectCause::VenueDown);
        table.entry(SessionId(2)).presence = Presence::LoggedOn;
        let terms = ThrottleTerms { per_second: 5, burst: 9, action: ThrottleAction::Reject };
        table.entry(SessionId(2)).throttles.set(ThrottleScope::Session, "", Some(terms));
        table.entry(SessionId(4)).throttles.set(ThrottleScope::Firm, "ACME", None);
        table
    }

    #[test]
    fn a_table_reads_back_what_it_writes() {
        let table = table();
        let mut bytes = Vec::new();
        table.write(&mut bytes);
        let read = SessionTable::read(&bytes, true).unwrap();
        assert_eq!(read, table);
        assert_eq!(read.drop_copies, [(SessionId(4), Copies::of([SessionId(1), SessionId(2)]))]);
        assert_eq!(read.get(SessionId(2)).unwrap().sent.stride, 2);
        // It goes on as the one that was written.
        let (mut table, mut read) = (table, read);
        for position in 0..10 {
            table.sent(SessionId(2), Position::new(position));
            read.sent(SessionId(2), Position::new(position));
        }
        assert_eq!(read, table);
    }

    #[test]
    fn a_table_for_some_counts_all_and_knows_where_theirs_stand() {
        let all = table();
        let mut some = all.for_sessions(&[SessionId(1), SessionId(3)]);
        let copies = all.get(SessionId(4)).unwrap().copies.clone();
        for session in [2, 4].map(SessionId) {
            some.sent(session, Position::new(7));
            let known = some.get(session).unwrap();
            assert_eq!(known.next_out, all.get(session).unwrap().next_out + 1);
            assert_eq!(known.sent.positions.capacity(), 0, "{session}");
            assert_eq!(
                (known.sent.at_or_before(1), known.sent.at_or_behind(Position::START)),
                (None, None)
            );
        }
        // A reset changes nothing of that.
        some.entry(SessionId(2)).sent.clear();
        some.sent(SessionId(2), Position::new(8));
        assert_eq!(some.get(SessionId(2)).unwrap().sent.positions, []);
        assert_eq!(some.get(SessionId(1)), all.get(SessionId(1)));
        assert_eq!(some.get(SessionId(4)).unwrap().copies, copies);
        assert_eq!(some.drop_copies, [], "nobody there gets copies");
        assert_eq!(all.for_sessions(&[4].map(SessionId)).drop_copies, all.drop_copies);
    }

    #[test]
    fn a_table_from_before_throttles_has_none() {
        /// Words of a session without positions, roles and throttles, and of throttles that are none.
        const SESSION: usize = 8;
        const THROTTLES: usize = 7;
        let mut table = SessionTable::default();
        table.entry(SessionId(2)).next_in = 7;
        let mut bytes = Vec::new();
        table.write(&mut bytes);
        assert_eq!(SessionTable::read(&bytes, false), None);
        // Of the venue itself and two sessions; the count comes first.
        for session in (0..3).rev() {
            let at = 8 * (1 + session * (SESSION + THROTTLES) + SESSION);
            bytes.drain(at..at + 8 * THROTTLES);
        }
        assert_eq!(SessionTable::read(&bytes, false), Some(table));
        assert_eq!(SessionTable::read(&bytes, true), None);
    }

    #[test]
    fn bytes_that_are_no_table_are_refused() {
        let mut small = SessionTable::default();
        (0..3).for_each(|at| small.sent(SessionId(1), Position::new(at)));
        small.set_role(SessionId(1), Copies::All);
        let mut bytes = Vec::new();
        small.write(&mut bytes);
        for length in 0..bytes.len() {
            assert_eq!(SessionTable::read(&bytes[..length], true), None, "{length}");
        }
        bytes.push(0);
        assert_eq!(SessionTable::read(&bytes, true), None, "longer");
        bytes.pop();
        // Of session 1: next out, copies, presence, stride, positions, roles, throttle; then the number of
        // drop copies.
        for word in [17, 19, 20, 21, 22, 23, 29, 36] {
            let mut forged = bytes.clone();
            forged[word * 8] = 0xff;
            assert_eq!(SessionTable::read(&forged, true), None, "word {word}");
        }
    }

    #[test]
    fn sent_index_tells_what_is_left() {
        let mut index = SentIndex::default();
        (1..=10).for_each(|number| index.push(number, Position::new(number * 100)));
        assert_eq!(index.at_or_behind(Position::START), Some((1, Position::new(100))));
        assert_eq!(index.at_or_behind(Position::new(250)), Some((3, Position::new(300))));
        assert_eq!(index.at_or_behind(Position::new(300)), Some((3, Position::new(300))));
        assert_eq!(index.at_or_behind(Position::new(1_001)), None);
    }
}
