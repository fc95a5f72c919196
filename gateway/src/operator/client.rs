//! The other end of the socket, for tools.

use std::{
    io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use thiserror::Error;

use super::{ANSWER_NS_MAX, Answer, REQUEST_BYTES_MAX, Request, SOCKET};

/// Longest wait for an answer: twice the time in which a venue has one.
const WAIT_MAX: Duration = Duration::from_nanos(2 * ANSWER_NS_MAX);

/// Longest answer, bytes: a status with all rows that it may have.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Why a venue does not answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// Nobody listens.
    #[error("nobody listens to operators: {0}")]
    Nobody(io::Error),
    /// The request is longer than any.
    #[error("the request is longer than {REQUEST_BYTES_MAX} bytes; nothing was done")]
    TooLong,
    /// The socket is another user's.
    #[error("{0}; who may act on a venue is who owns it: run this as the venue's user")]
    Denied(io::Error),
    /// The connection broke, or what came is no answer.
    #[error("no answer: {0}; whether it was done, the journal says: ironbook inspect")]
    Lost(#[from] io::Error),
}

/// Asks the venue that runs on a data directory.
///
/// # Errors
/// [`AskError`]: it gave no answer. A refusal is an answer.
pub fn ask(dir: &Path, request: &Request) -> Result<Answer, AskError> {
    let mut line = serde_json::to_vec(request).map_err(io::Error::from)?;
    line.push(b'\n');
    if line.len() > REQUEST_BYTES_MAX {
        return Err(AskError::TooLong);
    }
    let mut stream = UnixStream::connect(dir.join(SOCKET)).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => AskError::Denied(error),
        _ => AskError::Nobody(error),
    })?;
    stream.set_read_timeout(Some(WAIT_MAX))?;
    stream.set_write_timeout(Some(WAIT_MAX))?;
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    BufReader::new(stream.take(ANSWER_BYTES_MAX)).read_until(b'\n', &mut answer)?;
    if answer.is_empty() {
        return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
    }
    Ok(serde_json::from_slice(&answer).map_err(io::Error::from)?)
}
