//! Why there is no answer, or only a part of one.

use ironbook_gateway::replay::PlayError;
use ironbook_journal::{OpenError, ReadError};
use thiserror::Error;

use crate::condition::ConditionError;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum Fault {
    /// The journal can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The journal is damaged or differs where the answer is.
    #[error(transparent)]
    Play(#[from] PlayError),
    /// The first segments are gone, and no snapshot stands in for them.
    #[error("{0}")]
    Gone(String),
    /// The question names something that the journal does not hold.
    #[error("{0}")]
    NotFound(String),
    /// The answer can't be written.
    #[error("the output can't be written: {0}")]
    Write(std::io::Error),
    /// The question can't be understood.
    #[error("{0}")]
    Question(String),
    /// What is asked about is of another version.
    #[error("{0}")]
    Version(String),
    /// Nobody wants the answer any more.
    #[error("stopped")]
    Stopped,
    /// The question names more than one thing.
    #[error("{what} means more than one thing; give one of\n{}", .choices.join("\n"))]
    Ambiguous {
        /// What was asked for.
        what: String,
        /// Each meaning, as it is asked for, with what it is.
        choices: Vec<String>,
    },
}

/// Why an index, and with it every answer, ends before its journal does.
#[derive(Debug, Error)]
#[error("{error}\nup to sequence {last_good} the journal is good, and indexed")]
pub struct Damage {
    /// What is wrong behind it.
    pub error: PlayError,
    /// The last frame that is good.
    pub last_good: u64,
}

impl Damage {
    /// What is wrong behind a frame. A reader that began there has not read it, and takes none for good.
    pub(crate) fn behind(last_good: u64, mut error: PlayError) -> Self {
        if let PlayError::Read(ReadError::Corrupt { last_good_sequence, .. }) = &mut error {
            *last_good_sequence = last_good.max(*last_good_sequence);
        }
        Self { error, last_good }
    }
}

impl From<ConditionError> for Fault {
    fn from(error: ConditionError) -> Self {
        Self::Question(error.to_string())
    }
}
