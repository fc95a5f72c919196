//! As much of HTTP/1.1 as it takes to hand out one page: GET and HEAD, one request for each connection, everything
//! bounded. It waits for nobody.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::SocketAddr,
    time::Duration,
};

use ironbook_engine::Timestamp;

use super::text::CONTENT_TYPE;
use crate::{
    connection::{Connection, ReadOutcome},
    network::{Network, Ready},
};

/// Where the page is.
pub const PATH: &str = "/metrics";

/// Connections at once; one more is told so and closed.
pub const CONNECTIONS_MAX: usize = 16;

/// Longest request, with all its headers, bytes.
pub const REQUEST_BYTES_MAX: usize = 8_192;

/// Headers of a request at the most.
const HEADERS_MAX: usize = 64;

/// How long a client has from connecting until it has taken its answer.
pub const TIME_NS_MAX: u64 = 5_000_000_000;

/// How long a connection then stays for the client to close it, who would lose the answer if it was closed while bytes
/// of his were unread.
pub const LINGER_NS: u64 = 1_000_000_000;

/// Reads of one connection in one turn, so that whoever sends without end has no more than his turns.
const READS_PER_TURN: usize = 4;

/// Connections accepted in one turn.
const ACCEPTS_PER_TURN: usize = CONNECTIONS_MAX;

/// The status of an answer, and the text that comes with it; that of the page is the page.
#[derive(Debug, PartialEq, Eq)]
struct Status(&'static str, &'static str);

const OK: Status = Status("200 OK", "");
const MALFORMED: Status = Status("400 Bad Request", "this is no HTTP/1 request\n");
const NOT_FOUND: Status = Status("404 Not Found", "metrics are at /metrics\n");
const NOT_ALLOWED: Status = Status("405 Method Not Allowed", "only GET and HEAD are served\n");
const TOO_LONG: Status =
    Status("431 Request Header Fields Too Large", "a request has at most 8192 bytes, 64 headers\n");
const TOO_MANY: Status =
    Status("503 Service Unavailable", "16 connections are open, as many as may be\n");

// As the texts say.
const _: () = assert!(REQUEST_BYTES_MAX == 8_192 && HEADERS_MAX == 64 && CONNECTIONS_MAX == 16);

/// How a request is answered.
#[derive(Debug, PartialEq, Eq)]
struct Reply {
    status: Status,
    /// Not for HEAD, which asks for the length of the text alone.
    with_text: bool,
}

/// What is answered to these bytes; nothing yet, when more of them are needed.
fn parse(bytes: &[u8]) -> Option<Reply> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let status = match request.parse(bytes) {
        Ok(httparse::Status::Partial) if bytes.len() >= REQUEST_BYTES_MAX => TOO_LONG,
        Ok(httparse::Status::Partial) => return None,
        Err(httparse::Error::TooManyHeaders) => TOO_LONG,
        Err(_) => MALFORMED,
        Ok(httparse::Status::Complete(_)) => {
            let path = request.path.unwrap_or_default();
            let path = path.split_once('?').map_or(path, |(path, _)| path);
            match request.method {
                _ if path != PATH => NOT_FOUND,
                Some("GET" | "HEAD") => OK,
                _ => NOT_ALLOWED,
            }
        }
    };
    Some(Reply { status, with_text: request.method != Some("HEAD") })
}

impl Reply {
    /// Writes it; `page` gives the text of the page.
    fn write(&self, out: &mut Vec<u8>, page: impl FnOnce() -> String) {
        let Status(status, text) = self.status;
        let (content_type, text) = match self.status {
            OK => (CONTENT_TYPE, page()),
            _ => ("text/plain; charset=utf-8", text.to_owned()),
        };
        let allow = if self.status == NOT_ALLOWED { "Allow: GET, HEAD\r\n" } else { "" };
        let length = text.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n{allow}\r\n"
        );
        out.extend(head.as_bytes());
        if self.with_text {
            out.extend(text.as_bytes());
        }
    }
}

/// A connection.
#[derive(Debug)]
struct Line<S> {
    io: Connection<S>,
    /// When it is closed, however far it is.
    until: Timestamp,
    /// It has its answer, all but what the socket did not take yet.
    answered: bool,
    /// The client says nothing more, and may still read.
    is_read: bool,
    /// The system was asked to say when the socket takes bytes again.
    waits_for_room: bool,
    /// It has its whole answer, and may close.
    lingers: bool,
}

/// What became of a look at a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// It stays.
    Open,
    /// It stays, and there may be more to read.
    More,
    /// It is of no use any more.
    Over,
}

/// Hands out a page to whoever connects over a network.
#[derive(Debug)]
pub struct Http<N: Network> {
    network: N,
    lines: [Option<Line<N::Stream>>; CONNECTIONS_MAX],
    /// More connections may wait to be accepted; the poll tells of new ones only.
    accepting: bool,
    /// Those of the connections that have something to read, or take bytes again.
    ready: [bool; CONNECTIONS_MAX],
}

impl<N: Network> Http<N> {
    /// Listens on this network.
    pub fn new(network: N) -> Self {
        let lines = [const { None }; CONNECTIONS_MAX];
        Self { network, lines, accepting: false, ready: [false; CONNECTIONS_MAX] }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.network.address()
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.lines.iter().flatten().count()
    }

    /// Waits for at most `limit` until a socket has something.
    pub fn poll(&mut self, limit: Duration) {
        let (accepting, ready) = (&mut self.accepting, &mut self.ready);
        let polled = self.network.poll(limit, |what| match what {
            Ready::Listener => *accepting = true,
            Ready::Connection { number, .. } => ready[number] = true,
        });
        if let Err(error) = polled
            && error.kind() != ErrorKind::Interrupted
        {
            log::error!("poll for metrics: {error}");
        }
    }

    /// Accepts, reads, answers and closes what there is to; `page` gives the text of the page. Returns how much was
    /// done.
    pub fn turn(&mut self, now: Timestamp, mut page: impl FnMut() -> String) -> usize {
        self.poll(Duration::ZERO);
        let mut done = if self.accepting { self.accept(now) } else { 0 };
        for number in 0..CONNECTIONS_MAX {
            let Some(line) = &mut self.lines[number] else { continue };
            // The clock may have been set back meanwhile.
            line.until = line.until.min(Timestamp(now.0 + TIME_NS_MAX));
            let mut look = if line.until < now { Look::Over } else { Look::Open };
            if look == Look::Open && std::mem::take(&mut self.ready[number]) {
                done += 1;
                look = line.go_on(now, &mut page);
                self.ready[number] = look == Look::More;
                // Once: to ask again tells of the end of the request again.
                if line.io.has_output() && !line.waits_for_room {
                    line.waits_for_room = true;
                    let told = self.network.tell_of_room(line.io.stream_mut(), number, true);
                    if told.is_err() {
                        look = Look::Over;
                    }
                }
            }
            if look == Look::Over {
                self.close(number);
            }
        }
        done
    }

    /// Accepts some of the connections that wait; returns how many.
    fn accept(&mut self, now: Timestamp) -> usize {
        for accepted in 0..ACCEPTS_PER_TURN {
            match self.network.accept() {
                Ok((stream, peer)) => self.admit(stream, peer, now),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.accepting = false;
                    if error.kind() != ErrorKind::WouldBlock {
                        log::warn!("a connection for metrics can't be accepted: {error}");
                    }
                    return accepted;
                }
            }
        }
        ACCEPTS_PER_TURN
    }

    fn admit(&mut self, mut stream: N::Stream, peer: SocketAddr, now: Timestamp) {
        let Some(number) = self.lines.iter().position(Option::is_none) else {
            let mut out = Vec::new();
            Reply { status: TOO_MANY, with_text: true }.write(&mut out, String::new);
            // A request that is there is read, as one that is not read takes the answer away; and the answer is
            // written as far as the socket takes it at once.
            let _ = stream.read(&mut [0; REQUEST_BYTES_MAX]);
            let _ = stream.write(&out);
            return;
        };
        let registered: io::Result<()> = self.network.register(&mut stream, number);
        if let Err(error) = registered {
            log::warn!("{peer} gets no metrics: {error}");
            return;
        }
        self.lines[number] = Some(Line {
            io: Connection::new(stream, peer, REQUEST_BYTES_MAX, usize::MAX),
            until: Timestamp(now.0 + TIME_NS_MAX),
            answered: false,
            is_read: false,
            waits_for_room: false,
            lingers: false,
        });
        // What came before it was registered is not told of.
        self.ready[number] = true;
    }

    fn close(&mut self, number: usize) {
        if let Some(mut line) = self.lines[number].take() {
            self.network.deregister(line.io.stream_mut());
        }
    }
}

impl<S: io::Read + io::Write> Line<S> {
    /// Goes on with what the socket has.
    fn go_on(&mut self, now: Timestamp, page: &mut impl FnMut() -> String) -> Look {
        let mut look = if self.is_read { Look::Open } else { Look::More };
        for _ in 0..READS_PER_TURN {
            if self.is_read {
                break;
            }
            if self.answered {
                // Whatever else it says, it has had its answer.
                self.io.consume(self.io.unused().len());
            } else {
                self.answer(page);
            }
            match self.io.read() {
                ReadOutcome::Bytes(_) => {}
                ReadOutcome::Nothing => {
                    look = Look::Open;
                    break;
                }
                // Whoever has said all that he has to say may still wait for his answer.
                ReadOutcome::Closed => {
                    self.is_read = true;
                    look = Look::Open;
                }
                ReadOutcome::Full => return Look::Over,
            }
        }
        if self.io.write().is_err() || self.is_read && !self.io.has_output() {
            return Look::Over;
        }
        if self.answered && !self.io.has_output() && !self.lingers {
            self.lingers = true;
            self.until = Timestamp(now.0 + LINGER_NS);
        }
        look
    }

    /// Answers what has come, if that is a request.
    fn answer(&mut self, page: &mut impl FnMut() -> String) {
        let unused = self.io.unused();
        let bytes = &unused[..unused.len().min(REQUEST_BYTES_MAX)];
        if let Some(reply) = if bytes.is_empty() { None } else { parse(bytes) } {
            reply.write(&mut self.io.output, page);
            self.answered = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        let get = |status| Some(Reply { status, with_text: true });
        let head = |status| Some(Reply { status, with_text: false });
        let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(REQUEST_BYTES_MAX));
        let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(HEADERS_MAX + 1));
        for (bytes, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", get(OK)),
            ("GET /metrics HTTP/1.0\r\n\r\n", get(OK)),
            ("GET /metrics?x=1 HTTP/1.1\r\n\r\nmore", get(OK)),
            ("HEAD /metrics HTTP/1.1\r\n\r\n", head(OK)),
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n", None),
            ("G", None),
            ("POST /metrics HTTP/1.1\r\n\r\n", get(NOT_ALLOWED)),
            ("GET / HTTP/1.1\r\n\r\n", get(NOT_FOUND)),
            ("HEAD / HTTP/1.1\r\n\r\n", head(NOT_FOUND)),
            ("GET /metrics/x HTTP/1.1\r\n\r\n", get(NOT_FOUND)),
            ("8=FIX.4.4\u{1}9=5\u{1}", get(MALFORMED)),
            ("GET /metrics HTTP/2.0\r\n\r\n", get(MALFORMED)),
            (&long[..REQUEST_BYTES_MAX], get(TOO_LONG)),
            (&long[..REQUEST_BYTES_MAX - 1], None),
            (&many, get(TOO_LONG)),
        ] {
            assert_eq!(parse(bytes.as_bytes()), expected, "{bytes:.60}");
        }
    }
}
