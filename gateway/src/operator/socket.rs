//! The socket of operators: lines in, lines out, everything bounded. It waits for nobody.

use std::{
    fs,
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use ironbook_engine::Timestamp;
use mio::{
    Events, Interest, Poll, Token,
    net::{UnixListener, UnixStream},
};

use super::{Answer, Lines, REQUEST_BYTES_MAX, SOCKET, SocketError};

/// Connections at once; one more is told so and closed.
pub const CONNECTIONS_MAX: usize = 8;

/// How long a connection may be without a request, or leave an answer unread.
pub const IDLE_NS_MAX: u64 = 60_000_000_000;

/// Of the socket: its owner may use it, nobody else.
const MODE: u32 = 0o600;

/// Events of one poll at the most: more are told by the next one.
const EVENTS_MAX: usize = CONNECTIONS_MAX + 1;

/// Token of the listener; a connection's is its place.
const LISTENER: Token = Token(CONNECTIONS_MAX);

/// A connection, told from those that had its place before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    place: usize,
    number: u64,
}

/// A connection.
#[derive(Debug)]
struct Line {
    stream: UnixStream,
    number: u64,
    /// Bytes that were read and not taken.
    input: Vec<u8>,
    /// Bytes that the socket did not take yet.
    output: Vec<u8>,
    /// When it is closed, however far it is.
    until: Timestamp,
    /// An answer is due, and the next request waits for it.
    asked: bool,
    /// It is closed once its output is written: the client has ended, or said what is no request.
    ends: bool,
}

/// Listens in a directory until it is closed.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    poll: Poll,
    events: Events,
    listener: UnixListener,
    lines: [Option<Line>; CONNECTIONS_MAX],
    /// Connections that were ever accepted.
    accepted: u64,
    /// Place whose turn it is to be heard first.
    first: usize,
}

impl Socket {
    /// Listens in a data directory whose lock is held: a socket that is there is of a venue that ended.
    ///
    /// # Errors
    /// [`SocketError`] says what is wrong, and what to do.
    pub fn listen(dir: &Path) -> Result<Self, SocketError> {
        let path = dir.join(SOCKET);
        let shown = path.display().to_string();
        match fs::symlink_metadata(&path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(SocketError::Taken { path: shown });
            }
            _ => {}
        }
        Self::bind(path).map_err(|source| SocketError::System { path: shown, source })
    }

    fn bind(path: PathBuf) -> io::Result<Self> {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(MODE))?;
        // Who came before that may be anybody.
        while listener.accept().is_ok() {}
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            path,
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            listener,
            lines: [const { None }; CONNECTIONS_MAX],
            accepted: 0,
            first: 0,
        })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn accept(&mut self, now: Timestamp) -> usize {
        let mut count = 0;
        while count < CONNECTIONS_MAX {
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(stream, now),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    if error.kind() != ErrorKind::WouldBlock {
                        log::warn!("a connection of an operator can't be accepted: {error}");
                    }
                    return count;
                }
            }
            count += 1;
        }
        count
    }

    fn admit(&mut self, mut stream: UnixStream, now: Timestamp) {
        let Some(place) = self.lines.iter().position(Option::is_none) else {
            let text = format!("{CONNECTIONS_MAX} operators are connected, as many as may be");
            let _ = stream.write(&line_of(&Answer::refused(text)));
            return;
        };
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut stream, Token(place), interest) {
            log::warn!("an operator can't be heard: {error}");
            return;
        }
        self.accepted += 1;
        self.lines[place] = Some(Line {
            stream,
            number: self.accepted,
            input: Vec::new(),
            output: Vec::new(),
            until: Timestamp(now.0 + IDLE_NS_MAX),
            asked: false,
            ends: false,
        });
    }
}

impl Lines for Socket {
    type Asker = Asker;

    /// Accepts, reads, writes and closes.
    fn turn(&mut self, now: Timestamp) -> usize {
        let mut done = 0;
        for place in &mut self.lines {
            let Some(line) = place else { continue };
            // The clock may have been set back meanwhile.
            line.until = line.until.min(Timestamp(now.0 + IDLE_NS_MAX));
            let went = line.read().and_then(|read| Ok(read + line.write()?));
            done += *went.as_ref().unwrap_or(&0);
            let has_more = !line.output.is_empty() || line.input.contains(&b'\n');
            let is_over = line.ends && !has_more && !line.asked;
            if went.is_err() || is_over || (line.until < now && !line.asked) {
                *place = None;
            }
        }
        // Last, when those who have gone have left their places.
        done + self.accept(now)
    }

    /// One that is too long is answered here.
    fn next_request(&mut self) -> Option<(Asker, Vec<u8>)> {
        for step in 0..CONNECTIONS_MAX {
            let place = (self.first + step) % CONNECTIONS_MAX;
            let Some(line) = &mut self.lines[place] else { continue };
            if let Some(request) = line.next_request() {
                self.first = (place + 1) % CONNECTIONS_MAX;
                return Some((Asker { place, number: line.number }, request));
            }
        }
        None
    }

    fn answer(&mut self, asker: Asker, answer: &Answer, now: Timestamp) {
        let line = self.lines[asker.place].as_mut().filter(|line| line.number == asker.number);
        if let Some(line) = line {
            line.asked = false;
            line.until = Timestamp(now.0 + IDLE_NS_MAX);
            line.output.extend(line_of(answer));
            // What fails fails again in the next turn, which closes it.
            let _ = line.write();
        }
    }

    fn park(&mut self, limit: Duration) {
        if let Err(error) = self.poll.poll(&mut self.events, Some(limit))
            && error.kind() != ErrorKind::Interrupted
        {
            log::error!("poll for operators: {error}");
        }
    }

    /// Nobody finds it any more.
    fn close(&mut self) {
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != ErrorKind::NotFound
        {
            log::warn!("{} can't be removed: {error}", self.path.display());
        }
    }
}

fn line_of(answer: &Answer) -> Vec<u8> {
    let mut line = serde_json::to_vec(answer).expect("an answer is plain data");
    line.push(b'\n');
    line
}

impl Line {
    /// Reads as much as a request may have; returns how much.
    fn read(&mut self) -> io::Result<usize> {
        let mut bytes = [0; REQUEST_BYTES_MAX];
        let room = REQUEST_BYTES_MAX - self.input.len();
        if room == 0 || self.ends {
            return Ok(0);
        }
        match self.stream.read(&mut bytes[..room]) {
            Ok(0) => {
                self.ends = true;
                Ok(1)
            }
            Ok(count) => {
                self.input.extend_from_slice(&bytes[..count]);
                Ok(count)
            }
            Err(error) if is_later(&error) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Writes what the socket takes; returns how much.
    fn write(&mut self) -> io::Result<usize> {
        let mut written = 0;
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(count) => {
                    self.output.drain(..count);
                    written += count;
                }
                Err(error) if is_later(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// The next request, unless one is under way or its answer is not taken.
    fn next_request(&mut self) -> Option<Vec<u8>> {
        if self.asked || !self.output.is_empty() {
            return None;
        }
        let Some(end) = self.input.iter().position(|byte| *byte == b'\n') else {
            if self.input.len() == REQUEST_BYTES_MAX {
                let text = format!("a request is one line of at most {REQUEST_BYTES_MAX} bytes");
                self.output.extend(line_of(&Answer::refused(text)));
                self.input.clear();
                self.ends = true;
            }
            return None;
        };
        let mut request: Vec<u8> = self.input.drain(..=end).collect();
        request.pop();
        self.asked = true;
        Some(request)
    }
}

/// Whether the same may succeed later.
fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
