//! The state as bytes.

use thiserror::Error;

/// Why bytes are not the state of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StateError {
    /// Fewer or more bytes than the state has.
    #[error("the state has another length than it says")]
    Length,
}
