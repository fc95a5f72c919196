//! Which command is of which action of an operator.

use ironbook_engine::command::Origin;
use ironbook_gateway::{operator::OperatorRecord, session_record::SessionRecord};
use ironbook_journal::Frame;

/// Actions of operators, of which the last one is known; a fold over frames, or over those that are about one session.
#[derive(Default)]
pub(crate) struct Operators {
    last: Option<OperatorRecord>,
}

impl Operators {
    /// Takes the next frame into account.
    pub(crate) fn take(&mut self, frame: &Frame<'_>) {
        if let Some(SessionRecord::Operator(record)) =
            SessionRecord::decode(frame.kind, frame.payload)
        {
            self.last = Some(record);
        }
    }

    /// The action that a command of this origin carries out, if an operator asked for it.
    pub(crate) fn of(&self, origin: &Origin) -> Option<&OperatorRecord> {
        let is_its =
            |record: &&OperatorRecord| origin.msg_seq_num == 0 && record.asked == origin.received;
        self.last.as_ref().filter(is_its)
    }
}

/// Who did something and why, behind what it is.
pub(crate) fn by(record: &OperatorRecord) -> String {
    format!(", by operator {}: {}", record.name, record.reason)
}
