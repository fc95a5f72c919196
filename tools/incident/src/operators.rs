//! Which command is of which action of an operator.

use ironbook_engine::command::Origin;
use ironbook_gateway::{
    operator::{Action, OperatorRecord},
    session_record::SessionRecord,
};
use ironbook_journal::Frame;
use serde_json::Value;

use crate::question::place_json;

/// An action of an operator, and where its record stands.
#[derive(Clone, Debug)]
pub(crate) struct Acted {
    pub sequence: u64,
    /// In ns since 1970.
    pub time_ns: u64,
    pub record: OperatorRecord,
}

impl Acted {
    /// For programs; `target` is what it is about, as the operator named it.
    pub(crate) fn json(&self, target: &str) -> Value {
        let mut value = place_json(self.sequence, self.time_ns);
        value["action"] = self.record.action.name().into();
        value["target"] = target.into();
        value["by"] = self.record.name.as_str().into();
        value["reason"] = self.record.reason.as_str().into();
        value
    }
}

/// Actions of operators, of which the last one is known; a fold over frames, or over those that are about one session.
#[derive(Default)]
pub(crate) struct Operators {
    last: Option<Acted>,
}

impl Operators {
    /// Takes the next frame into account.
    pub(crate) fn take(&mut self, frame: &Frame<'_>) {
        if let Some(SessionRecord::Operator(record)) =
            SessionRecord::decode(frame.kind, frame.payload)
        {
            let Frame { sequence, time_ns, .. } = *frame;
            self.last = Some(Acted { sequence, time_ns, record });
        }
    }

    /// The action that a command of this origin carries out, if an operator asked for it.
    pub(crate) fn of(&self, origin: &Origin) -> Option<&Acted> {
        let is_its =
            |acted: &&Acted| origin.msg_seq_num == 0 && acted.record.asked == origin.received;
        self.last.as_ref().filter(is_its)
    }
}

/// Who did something and why, behind what it is.
pub(crate) fn by(acted: &Acted) -> String {
    format!(", by operator {}: {}", acted.record.name, acted.record.reason)
}

/// What an operator did to a session.
pub(crate) fn did(record: &OperatorRecord, whose: &str) -> String {
    match record.action {
        Action::Suspend => format!("suspended {whose}"),
        Action::Open => format!("opened {whose}"),
        _ => format!("canceled the orders of {whose}"),
    }
}
