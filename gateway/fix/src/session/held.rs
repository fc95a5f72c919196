//! Messages that arrived past a gap, kept until what is missing has come.
//!
//! The counterparty sends them again anyway, so keeping them is a courtesy with a bound: what doesn't fit is
//! dropped.

use crate::field::MsgSeqNum;
use std::collections::VecDeque;

/// Most bytes of messages held per session: some 300 orders of 200 bytes.
pub const HELD_BYTES_MAX: usize = 64 * 1024;

/// Most messages held per session; bounds the search for one.
const HELD_MAX: usize = 512;

/// What was held under the number asked for.
pub(super) enum Taken {
    /// Nothing.
    None,
    /// A message, now in the buffer.
    Message,
    /// Only the number of a message that was served when it came.
    Number,
}

#[derive(Debug, Default)]
pub(super) struct Held {
    /// In the order of arrival, which is nearly that of the numbers; no number twice.
    messages: VecDeque<(MsgSeqNum, Box<[u8]>)>,
    bytes: usize,
}

impl Held {
    /// Keeps a message unless there is no room or its number is already here.
    pub(super) fn keep(&mut self, seq: MsgSeqNum, message: &[u8]) {
        let full = self.messages.len() == HELD_MAX || self.bytes + message.len() > HELD_BYTES_MAX;
        if full || self.has(seq) {
            return;
        }
        self.bytes += message.len();
        self.messages.push_back((seq, message.into()));
    }

    /// Keeps only the number.
    pub(super) fn keep_number(&mut self, seq: MsgSeqNum) {
        self.keep(seq, &[]);
    }

    /// Whether something is held under a number.
    pub(super) fn has(&self, seq: MsgSeqNum) -> bool {
        self.messages.iter().any(|(held, _)| *held == seq)
    }

    /// Takes out what is held under a number.
    pub(super) fn take(&mut self, seq: MsgSeqNum, out: &mut Vec<u8>) -> Taken {
        let Some(at) = self.messages.iter().position(|(held, _)| *held == seq) else {
            return Taken::None;
        };
        let (_, message) = self.messages.remove(at).expect("the position was just found");
        self.bytes -= message.len();
        if message.is_empty() {
            return Taken::Number;
        }
        out.clear();
        out.extend_from_slice(&message);
        Taken::Message
    }

    /// Drops what has come another way.
    pub(super) fn forget_below(&mut self, next: MsgSeqNum) {
        let bytes = &mut self.bytes;
        self.messages.retain(|(seq, message)| {
            let stays = *seq >= next;
            if !stays {
                *bytes -= message.len();
            }
            stays
        });
    }

    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }
}
