//! What a client received in one life of its sequence numbers, and what must hold of it.

use ironbook_fix::{
    field::parse_timestamp,
    message::{Message, MsgType},
};

use super::{
    audit::{Audit, SessionAudit, content},
    client::readable,
    violation::{Checked, Oracle, Violation, ensure},
};

/// A number that came, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Came {
    /// As a message, the first time or again.
    Message { msg_type: Vec<u8>, body: Vec<u8>, time_ms: u64 },
    /// Skipped by a gap fill.
    Filled,
    /// Told by an operator, who read the journal.
    ByOperator,
}

/// Messages of a session since its numbers last started at 1.
#[derive(Clone, Debug, Default)]
pub struct Inbox {
    /// How many times the journal says that the numbers started anew.
    epoch: u64,
    /// By MsgSeqNum, from 1.
    came: Vec<Option<Came>>,
    /// Number that the next message of this connection must have; none before its first.
    next_here: Option<u64>,
    /// Whether this connection asked for numbers that start anew.
    asked_reset: bool,
    /// Whether this connection asked for messages again.
    asked_again: bool,
}

impl Inbox {
    /// A connection begins.
    pub fn connected(&mut self, asked_reset: bool) {
        self.next_here = None;
        self.asked_reset = asked_reset;
        self.asked_again = false;
    }

    /// This connection asks for messages again.
    pub fn asks_again(&mut self) {
        self.asked_again = true;
    }

    /// The highest number that came.
    pub fn last(&self) -> u64 {
        self.came.len() as u64
    }

    /// The life of the numbers that this is about.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// An operator sets the session back: what the journal has is known, and nothing else.
    pub fn roll_back(&mut self, epoch: u64, last: u64) {
        if epoch != self.epoch {
            self.came.clear();
        }
        self.epoch = epoch;
        self.came.resize(last as usize, None);
        self.came.iter_mut().for_each(|came| {
            came.get_or_insert(Came::ByOperator);
        });
    }

    /// Takes a message as it came over the wire.
    pub fn take(&mut self, who: &str, message: &Message<'_>, audit: &Audit) -> Checked {
        let wrong = |what: &str| {
            let text = readable(message.bytes());
            Violation::new(Oracle::Sequence, format!("{who}: {what}: {text}"))
        };
        let session = audit.session_of(who);
        let seq = message.msg_seq_num().ok_or_else(|| wrong("no MsgSeqNum"))?.get();
        let gap_fill = message.msg_type() == Some(MsgType::SEQUENCE_RESET);
        if message.poss_dup() {
            ensure(Oracle::Sequence, self.asked_again, || {
                wrong("a repetition that nobody asked for").what
            })?;
            ensure(Oracle::Sequence, seq < self.next_here.unwrap_or(0), || {
                wrong("a repetition of what was not sent").what
            })?;
            return if gap_fill {
                self.fill(seq, message, &wrong)
            } else {
                self.again(who, seq, message, audit)
            };
        }
        if gap_fill {
            return Err(wrong("a reset of numbers that nobody asked for"));
        }
        if self.next_here.is_none() && message.get(141) == Some(b"Y") {
            if !self.asked_reset {
                return Err(wrong("numbers start anew, though that was not asked for"));
            }
            self.came.clear();
            self.epoch = session.epoch;
        }
        let logon = message.msg_type() == Some(MsgType::LOGON);
        let logout = message.msg_type() == Some(MsgType::LOGOUT);
        match self.next_here {
            None if !logon && !logout => return Err(wrong("the first message is no Logon")),
            Some(_) if logon => return Err(wrong("a second Logon")),
            _ => {}
        }
        let least = self.next_here.unwrap_or(self.last() + 1);
        let exactly = self.next_here.is_some();
        if seq < least || (exactly && seq > least) {
            return Err(wrong(&format!("number {least} is expected")));
        }
        self.next_here = Some(seq + 1);
        audit.check_told(session, seq, message).map_err(|violation| violation.of(who))?;
        self.put(seq, came(message));
        Ok(())
    }

    /// A message that was sent before must be the same but for its header, and what the journal has.
    fn again(&mut self, who: &str, seq: u64, message: &Message<'_>, audit: &Audit) -> Checked {
        let orig = message.get(122).and_then(|time| parse_timestamp(time).ok());
        audit
            .check_content(audit.session_of(who), seq, message, orig)
            .map_err(|violation| violation.of(who))?;
        let (msg_type, body) = content(message);
        let repeated = Came::Message { msg_type, body, time_ms: orig.unwrap_or(0) / 1_000_000 };
        match self.came.get(seq as usize - 1) {
            Some(Some(known @ Came::Message { .. })) if *known != repeated => {
                let text = readable(message.bytes());
                let what = format!("{who}: {text}: it was sent before as {known:?}");
                Err(Violation::new(Oracle::Sequence, what))
            }
            _ => {
                self.put(seq, repeated);
                Ok(())
            }
        }
    }

    /// A gap fill may only stand for messages that are not sent again.
    fn fill(
        &mut self,
        seq: u64,
        message: &Message<'_>,
        wrong: &dyn Fn(&str) -> Violation,
    ) -> Checked {
        let next = message.get(36).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        let next: u64 = next.ok_or_else(|| wrong("no NewSeqNo"))?;
        if next <= seq || next > self.next_here.unwrap_or(0) {
            return Err(wrong("a gap fill that goes nowhere"));
        }
        for number in seq..next {
            match self.came.get(number as usize - 1) {
                Some(Some(Came::Message { msg_type, .. })) => {
                    let admin = MsgType::parse(msg_type).is_some_and(MsgType::is_admin);
                    if !admin {
                        return Err(wrong(&format!("number {number} was a report, not a gap")));
                    }
                }
                Some(Some(Came::Filled | Came::ByOperator)) => {}
                _ => self.put(number, Came::Filled),
            }
        }
        Ok(())
    }

    fn put(&mut self, seq: u64, came: Came) {
        let index = seq as usize - 1;
        if self.came.len() <= index {
            self.came.resize(index + 1, None);
        }
        self.came[index] = Some(came);
    }

    /// Everything that came must be in the journal as it came; with `whole`, everything in the
    /// journal must have come.
    pub fn check(&self, who: &str, session: &SessionAudit, whole: bool) -> Checked {
        let last = self.last().max(if whole { session.sent.len() as u64 } else { 0 });
        for seq in 1..=last {
            let index = seq as usize - 1;
            let came = self.came.get(index).and_then(Option::as_ref);
            let Some(sent) = session.sent.get(index) else {
                let what =
                    format!("{who}: number {seq} came, and the journal has it not: {came:?}");
                return Err(Violation::new(Oracle::Acknowledged, what));
            };
            let same = match came {
                Some(Came::Message { msg_type, body, time_ms }) => {
                    sent.is(msg_type, body) && sent.time_ns / 1_000_000 == *time_ms
                }
                Some(Came::Filled) => sent.is_admin(),
                Some(Came::ByOperator) => true,
                None => !whole,
            };
            ensure(Oracle::Acknowledged, same, || {
                format!("{who}: number {seq} came as {came:?}, the journal has {sent}")
            })?;
        }
        Ok(())
    }
}

fn came(message: &Message<'_>) -> Came {
    let (msg_type, body) = content(message);
    Came::Message { msg_type, body, time_ms: message.sending_time_ns().unwrap_or(0) / 1_000_000 }
}
