//! Messages to and from clients, made again from what is journaled of them.

use ironbook_engine::{Command, Sequence, SessionId, Timestamp};
use ironbook_fix::{
    encode::{Body, Encoder},
    field::{MsgSeqNum, Precision, TimestampText},
    message::MsgType,
    version::Version,
};
use ironbook_gateway::{
    replay::{PlayError, fold},
    session_record::SessionRecord,
    sessions::{Audience, SessionTable, audience},
    translate::{MessageVisitor, report},
};
use ironbook_journal::Frame;

use crate::{
    Fault,
    index::Index,
    moment::Moment,
    names::Names,
    request,
    show::{Content, Entry, comp_id},
};

/// What stands for the venue: the journal does not know its comp id.
const VENUE: &str = "VENUE";

/// A message that a client sent, or was sent.
pub(super) struct Sent<'a> {
    /// Sequence of its frame.
    pub sequence: u64,
    /// Time of its frame.
    pub time_ns: u64,
    /// Whose it is.
    pub session: SessionId,
    /// Whether the venue sent it.
    pub to_client: bool,
    /// The message; empty where there are no words for it.
    pub bytes: &'a [u8],
}

/// Makes messages. What clients sent that is no command is not journaled, and not there.
pub(super) struct Messages {
    names: Names,
    /// As it is before the frame at hand: how many messages were sent.
    sessions: SessionTable,
    /// The message at hand.
    bytes: Vec<u8>,
}

impl Messages {
    /// Before a frame.
    pub(super) fn before(index: &Index, names: Names, sequence: u64) -> Result<Self, Fault> {
        let sequence = sequence.min(index.last_sequence() + 1);
        let input =
            if sequence > index.last_sequence() { sequence } else { index.input_of(sequence)? };
        let mut sessions = Moment::before(index, input)?.sessions().clone();
        let mut problem = Ok(());
        let span = crate::question::Span { first: input, last: sequence - 1 };
        crate::question::scan(index, &[], span, |frame| {
            if problem.is_ok() {
                problem = fold(&mut sessions, frame);
            }
        })?;
        problem.map_err(PlayError::from)?;
        Ok(Self { names, sessions, bytes: Vec::new() })
    }

    /// Shows the messages of a frame, if it is `wanted`, and takes it into account.
    pub(super) fn take(
        &mut self,
        frame: &Frame<'_>,
        wanted: bool,
        each: &mut dyn FnMut(&Sent<'_>),
    ) -> Result<(), Fault> {
        if wanted {
            let mut entry = Entry::of(frame);
            self.names.redact(&mut entry);
            let entry = &entry;
            match &entry.content {
                Content::Command(command) => {
                    let origin = command.origin().filter(|origin| origin.msg_seq_num != 0);
                    if let Some(origin) = origin {
                        let way = (false, origin.msg_seq_num);
                        self.make(entry, origin.session, way, &Message::Request(command), each);
                    }
                }
                Content::Event(event) => {
                    self.for_clients(frame, entry, &Message::Report(event), each);
                }
                Content::Session(SessionRecord::Outbound { msg_type, body, .. }) => {
                    self.for_clients(frame, entry, &Message::Stored(msg_type, body), each);
                }
                _ => {}
            }
        }
        fold(&mut self.sessions, frame).map_err(PlayError::from)?;
        Ok(())
    }

    /// A message for each session that gets it, with its number there.
    fn for_clients(
        &mut self,
        frame: &Frame<'_>,
        entry: &Entry,
        message: &Message<'_>,
        each: &mut dyn FnMut(&Sent<'_>),
    ) {
        let (one, copies) = match audience(frame) {
            Ok(Audience::Session(session)) => (session, 0),
            Ok(Audience::SessionAndCopies(session)) => (session, self.sessions.drop_copies()),
            Ok(Audience::Nobody) | Err(_) => return,
        };
        let copies = (0..copies).filter_map(|index| self.sessions.copy_to(index, one));
        let sessions: Vec<_> = std::iter::once(one).chain(copies).collect();
        for session in sessions {
            let next = self.sessions.get(session).map_or(1, |numbers| numbers.next_out.max(1));
            self.make(entry, session, (true, next), message, each);
        }
    }

    /// Makes a message with its number, one way or the other.
    fn make(
        &mut self,
        entry: &Entry,
        session: SessionId,
        (to_client, number): (bool, u64),
        message: &Message<'_>,
        each: &mut dyn FnMut(&Sent<'_>),
    ) {
        let client = comp_id(self.names.engine(), session);
        let (sender, target) = if to_client { (VENUE, &*client) } else { (&*client, VENUE) };
        let time = TimestampText::new(Precision::Nanos);
        let encoder = Encoder::new(Version::FIX44, sender, target, time);
        self.bytes.clear();
        let mut writer = Written { encoder, number, time_ns: entry.time_ns, out: &mut self.bytes };
        match message {
            Message::Request(command) => request::tell(command, self.names.symbols(), &mut writer),
            Message::Report(event) => {
                let (sequence, time) = (Sequence(entry.sequence), Timestamp(entry.time_ns));
                report(event, sequence, time, self.names.symbols(), &mut writer);
            }
            Message::Stored(msg_type, body) => {
                if let Some(msg_type) = MsgType::parse(msg_type) {
                    writer.stored(msg_type, body);
                }
            }
        }
        let (sequence, time_ns) = (entry.sequence, entry.time_ns);
        each(&Sent { sequence, time_ns, session, to_client, bytes: &self.bytes });
    }
}

/// What a message is made of.
enum Message<'a> {
    Request(&'a Command),
    Report(&'a ironbook_engine::Event),
    Stored(&'a [u8], &'a [u8]),
}

/// A message that is being written.
struct Written<'a> {
    encoder: Encoder,
    number: u64,
    time_ns: u64,
    out: &'a mut Vec<u8>,
}

impl MessageVisitor for Written<'_> {
    fn typed<B: Body>(&mut self, message: &B) {
        self.encoder.typed(MsgSeqNum::new(self.number), self.time_ns, message, self.out);
    }

    fn stored(&mut self, msg_type: MsgType, body: &[u8]) {
        self.encoder.message(MsgSeqNum::new(self.number), self.time_ns, msg_type, body, self.out);
    }

    fn nothing(&mut self) {}
}
