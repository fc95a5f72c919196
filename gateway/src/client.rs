//! A FIX client: the initiator's end of a session over one TCP connection, without waiting of its
//! own. For tools, tests and benchmarks.
//!
//! It keeps no messages: when the venue asks for a resend it fills the gap, because an order that
//! did not arrive in time is not wanted later.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use ironbook_fix::{
    codec::{Framed, frame},
    encode::Body,
    field::MsgSeqNum,
    message::{Fields, Message, MsgType},
    session::{DisconnectReason, Handled, Output, Role, Session, SessionConfig, State},
};
use thiserror::Error;

use crate::{
    clock::{Clock, SystemClock},
    network::Socket,
    tls::{ClientTls, TlsStream},
};

/// Room for what comes in.
const IN_BYTES: usize = 256 * 1024;

/// Room for what goes out.
const OUT_BYTES: usize = 64 * 1024;

/// Room that a client wants before it reads on: with less it should decode what has come.
const READ_BYTES_MIN: usize = IN_BYTES / 4;

/// TestReqID (112) of [`Client::send_test_request`].
const TEST_REQ_ID: &[u8] = b"TEST";

/// How a client reaches a venue, and proves who it is: as it is and by its name alone, if nothing is said.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Over TLS.
    pub tls: Option<ClientTls>,
    /// What its Logon has to prove.
    pub login: Option<Login>,
}

/// Username (553) and Password (554) of a Logon.
#[derive(Clone)]
pub struct Login {
    /// Left out, if there is none.
    pub username: Option<String>,
    /// Shown to nobody but the venue.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Login {
    /// The fields behind those of the session.
    fn fields(&self) -> String {
        let username =
            self.username.as_ref().map_or(String::new(), |name| format!("553={name}\x01"));
        format!("{username}554={}\x01", self.password)
    }
}

/// Why a client can't go on.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No connection.
    #[error("no connection to {address}: {source}; is the venue running (ironbook start)?")]
    Connect {
        /// The venue.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// The venue ended the session.
    #[error("the venue ended the session: {}", describe(.reason, .text, *.was_logged_on))]
    Ended {
        /// Why the session ended here, if it is known.
        reason: Option<DisconnectReason>,
        /// Text (58) of the venue's Logout.
        text: String,
        /// Whether the session was logged on before.
        was_logged_on: bool,
    },
    /// Nothing came in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

impl ClientError {
    /// Whether the connection ended without a word of the venue: after a Logon, one that does not know the comp id,
    /// or takes no more connections, ends it so.
    pub fn is_wordless(&self) -> bool {
        match self {
            Self::Broken(_) => true,
            Self::Ended { text, .. } => text.is_empty(),
            Self::Connect { .. } | Self::Timeout(_) => false,
        }
    }
}

fn describe(reason: &Option<DisconnectReason>, text: &str, was_logged_on: bool) -> String {
    match (reason, text.is_empty()) {
        (_, false) => format!("\"{text}\""),
        (Some(reason), true) => format!("{reason:?}"),
        (None, true) if was_logged_on => "it closed the connection without a word".to_owned(),
        (None, true) => {
            "it closed the connection without a word: check the comp id (--as, --map) and the venue's (--venue), whether \
             TLS is wanted there (--tls-ca), and that it is not logged on elsewhere; the venue's log says why"
                .to_owned()
        }
    }
}

/// A FIX client.
pub struct Client {
    stream: Socket,
    /// Fields of its Logon beside those of the session.
    login: Vec<u8>,
    session: Session,
    input: Vec<u8>,
    used: usize,
    filled: usize,
    /// Reads that brought what is not decoded: where in `input` each ended, and when it was, ns since 1970.
    reads: VecDeque<(usize, u64)>,
    /// Whether the venue has closed the connection.
    is_closed: bool,
    output: Vec<u8>,
    written: usize,
    /// Bytes that were queued before those in `output`.
    queued_before: u64,
    /// Where in the stream of all bytes that were queued begins what is held back.
    held_from: Option<u64>,
    fields: Box<Fields>,
    logout_text: String,
    ended: Option<DisconnectReason>,
    was_logged_on: bool,
    /// Whether that of [`Client::send_test_request`] is still to come.
    awaits_heartbeat: bool,
}

impl Client {
    /// Connects and logs on, starting both sequence numbers at 1.
    ///
    /// # Errors
    /// [`ClientError`] when the venue is not there, does not know the comp id, or does not answer
    /// within `timeout`.
    pub fn log_on(
        address: SocketAddr,
        comp_id: &str,
        venue: &str,
        access: &Access,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Connect { address, source };
        let stream = TcpStream::connect_timeout(&address, timeout).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_nonblocking(true).map_err(failed)?;
        let stream = mio::net::TcpStream::from_std(stream);
        let stream = match &access.tls {
            None => Socket::Plain(stream),
            Some(tls) => Socket::Tls(Box::new(TlsStream::connect(stream, tls).map_err(failed)?)),
        };
        let config = SessionConfig {
            reset_on_logon: true,
            ..SessionConfig::new(Role::Initiator, comp_id, venue)
        };
        let mut client = Self {
            stream,
            login: access.login.as_ref().map_or_else(Vec::new, |login| login.fields().into()),
            session: Session::new(config, MsgSeqNum::FIRST, MsgSeqNum::FIRST),
            input: vec![0; IN_BYTES],
            used: 0,
            filled: 0,
            reads: VecDeque::new(),
            is_closed: false,
            output: Vec::with_capacity(OUT_BYTES),
            written: 0,
            queued_before: 0,
            held_from: None,
            fields: Fields::new(),
            logout_text: String::new(),
            ended: None,
            was_logged_on: false,
            awaits_heartbeat: false,
        };
        let now = SystemClock.now().0;
        client.session.handle_connected(now);
        client.session.logon(now);
        client.drain(now);
        client.wait_until(timeout, |client| client.session.state() == State::LoggedOn, |_| {})?;
        Ok(client)
    }

    /// Numbers and encodes a message, to be sent with the next [`Client::flush`]; returns its
    /// MsgSeqNum.
    #[inline]
    pub fn queue<B: Body>(&mut self, message: &B, sending_time_ns: u64) -> u64 {
        self.session.transmit_typed(sending_time_ns, message, &mut self.output).get()
    }

    /// Holds back all that is queued from here on, until [`Client::release`]: a request that is encoded ahead
    /// goes out the moment it is due. What the session itself has to say waits behind it.
    pub fn hold(&mut self) {
        self.held_from.get_or_insert(self.queued_before + self.output.len() as u64);
    }

    /// Holds nothing back any more.
    pub fn release(&mut self) {
        self.held_from = None;
    }

    /// Holds back only what was queued behind a [position](Client::position).
    pub fn release_to(&mut self, position: u64) {
        if let Some(from) = &mut self.held_from {
            *from = position.max(*from);
        }
    }

    /// Bytes that were queued since the beginning, those of the session included.
    pub fn position(&self) -> u64 {
        self.queued_before + self.output.len() as u64
    }

    /// Bytes that wait to be sent.
    pub fn queued_bytes(&self) -> usize {
        self.output.len() - self.written
    }

    /// Sends what the connection takes and nothing [holds back](Client::hold).
    ///
    /// # Errors
    /// [`ClientError::Broken`].
    #[inline]
    pub fn flush(&mut self) -> Result<(), ClientError> {
        let end = match self.held_from {
            Some(from) => ((from - self.queued_before) as usize).min(self.output.len()),
            None => self.output.len(),
        };
        while self.written < end {
            match self.stream.write(&self.output[self.written..end]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        // What is left moves to the front where it is worth it, but not what is held back: it goes out soon, and
        // whoever holds it back has better things to do between two requests.
        let is_all = self.written == self.output.len();
        if is_all || (self.held_from.is_none() && self.written >= OUT_BYTES / 2) {
            self.output.drain(..self.written);
            self.queued_before += self.written as u64;
            self.written = 0;
        }
        Ok(())
    }

    /// Reads what is there, hands every application message and every Reject (35=3) to `on_message`, and answers
    /// what the session has to answer. Returns the bytes read.
    ///
    /// # Errors
    /// [`ClientError`] when the connection or the session has ended.
    #[inline]
    pub fn poll(&mut self, mut on_message: impl FnMut(&Message<'_>)) -> Result<usize, ClientError> {
        self.poll_timed(|message, _| on_message(message))
    }

    /// The same; `on_message` hears when the last byte of the message was read, too, ns since 1970.
    ///
    /// # Errors
    /// As for [`Client::poll`].
    #[inline]
    pub fn poll_timed(
        &mut self,
        on_message: impl FnMut(&Message<'_>, u64),
    ) -> Result<usize, ClientError> {
        let count = self.read()?;
        if self.has_read() {
            self.decode(on_message)?;
        }
        Ok(count)
    }

    /// Reads what is there, to be [decoded](Client::decode) later: between two moments that are measured, a client
    /// has better things to do. Returns the bytes read.
    ///
    /// # Errors
    /// [`ClientError::Broken`].
    #[inline]
    pub fn read(&mut self) -> Result<usize, ClientError> {
        if self.is_closed || self.filled == self.input.len() {
            return Ok(0);
        }
        match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => {
                self.is_closed = true;
                Ok(0)
            }
            Ok(count) => {
                self.filled += count;
                self.reads.push_back((self.filled, SystemClock.now().0));
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether there is anything to [decode](Client::decode), the end of the connection included.
    #[inline]
    pub fn has_read(&self) -> bool {
        !self.reads.is_empty() || self.is_closed
    }

    /// Makes room for so many bytes that are [read](Client::read) before any of them [must](Client::must_decode) be
    /// decoded.
    pub fn make_room(&mut self, bytes: usize) {
        let room = self.filled + bytes + READ_BYTES_MIN;
        if self.input.len() < room {
            self.input.resize(room, 0);
        }
    }

    /// Whether what was read should be decoded before more is: there is little room left, or no more will come.
    #[inline]
    pub fn must_decode(&self) -> bool {
        self.input.len() - self.filled < READ_BYTES_MIN || self.is_closed
    }

    /// Hands every application message and every Reject (35=3) that was [read](Client::read) to `on_message`, with
    /// when its last byte was, ns since 1970, and answers what the session has to answer.
    ///
    /// # Errors
    /// [`ClientError`] when the connection or the session has ended.
    pub fn decode(
        &mut self,
        mut on_message: impl FnMut(&Message<'_>, u64),
    ) -> Result<(), ClientError> {
        while let Some((end, now)) = self.reads.pop_front() {
            loop {
                match frame(&self.input[self.used..end]) {
                    Framed::Incomplete => break,
                    Framed::Garbled { skip, .. } => self.used += skip,
                    Framed::Message { len } => {
                        let bytes = &self.input[self.used..self.used + len];
                        if let Ok(message) = Message::parse(bytes, &mut self.fields) {
                            if message.msg_type() == Some(MsgType::LOGOUT) {
                                let text = message.get(58).unwrap_or_default();
                                self.logout_text = String::from_utf8_lossy(text).into_owned();
                            }
                            if message.msg_type() == Some(MsgType::HEARTBEAT) {
                                self.awaits_heartbeat &= message.get(112) != Some(TEST_REQ_ID);
                            }
                            match self.session.handle_message(now, &message) {
                                Handled::Application(_) => on_message(&message, now),
                                Handled::Consumed
                                    if message.msg_type() == Some(MsgType::REJECT) =>
                                {
                                    on_message(&message, now);
                                }
                                _ => {}
                            }
                        }
                        self.used += len;
                        self.drain(now);
                    }
                }
            }
        }
        if self.is_closed {
            let text = std::mem::take(&mut self.logout_text);
            let Self { ended: reason, was_logged_on, .. } = *self;
            return Err(ClientError::Ended { reason, text, was_logged_on });
        }
        // The beginning of a message that is not complete moves to the front.
        if self.used > 0 {
            self.input.copy_within(self.used..self.filled, 0);
            (self.used, self.filled) = (0, self.filled - self.used);
        }
        self.flush()
    }

    /// Sends the Heartbeats that are due at a time, ns since 1970, and ends what takes too long; call it now and
    /// then.
    ///
    /// # Errors
    /// [`ClientError::Broken`].
    pub fn keep_alive(&mut self, now: u64) -> Result<(), ClientError> {
        if self.session.next_deadline().is_some_and(|due| due <= now) {
            self.session.handle_timeout(now);
            self.drain(now);
            self.flush()?;
        }
        Ok(())
    }

    /// Sends a TestRequest at a time, ns since 1970, whose Heartbeat shows that the venue is awake.
    ///
    /// # Errors
    /// [`ClientError::Broken`].
    pub fn send_test_request(&mut self, now: u64) -> Result<(), ClientError> {
        let test_req_id = [b"112=", TEST_REQ_ID, b"\x01"].concat();
        self.session.transmit(now, MsgType::TEST_REQUEST, &test_req_id, &mut self.output);
        self.awaits_heartbeat = true;
        self.flush()
    }

    /// Whether the Heartbeat that answers a [TestRequest](Client::send_test_request) is still to come, as far as
    /// messages are decoded.
    pub fn awaits_heartbeat(&self) -> bool {
        self.awaits_heartbeat
    }

    fn drain(&mut self, now: u64) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send(request) => {
                    let (msg_type, mut body) = (request.msg_type(), request.body().to_vec());
                    if msg_type == MsgType::LOGON {
                        body.extend_from_slice(&self.login);
                    }
                    self.session.transmit(now, msg_type, &body, &mut self.output);
                }
                Output::Resend { begin, end } => {
                    self.session.encode_gap_fill(begin, end.next(), now, &mut self.output);
                }
                Output::ResendThroughLogon { begin } => {
                    let next = self.session.next_out();
                    self.session.encode_gap_fill(begin, next, now, &mut self.output);
                }
                Output::ResetSequence => self.session.reset_outbound(),
                Output::Disconnect(reason) => self.ended = Some(reason),
                Output::LoggedOn => self.was_logged_on = true,
                Output::LoggedOut => {}
            }
        }
    }

    /// Logs out and waits for the answer.
    ///
    /// # Errors
    /// [`ClientError::Timeout`] when the venue does not answer.
    pub fn log_out(self, timeout: Duration) -> Result<(), ClientError> {
        self.log_out_with(timeout, |_| {})
    }

    /// The same, with every application message that comes before the answer: all that the venue had to say.
    ///
    /// # Errors
    /// As for [`Client::log_out`].
    pub fn log_out_with(
        mut self,
        timeout: Duration,
        on_message: impl FnMut(&Message<'_>),
    ) -> Result<(), ClientError> {
        let now = SystemClock.now().0;
        self.session.logout(now, None);
        self.drain(now);
        match self.wait_until(timeout, |client| client.ended.is_some(), on_message) {
            Ok(()) | Err(ClientError::Ended { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn wait_until(
        &mut self,
        timeout: Duration,
        done: impl Fn(&Self) -> bool,
        mut on_message: impl FnMut(&Message<'_>),
    ) -> Result<(), ClientError> {
        let deadline = Instant::now() + timeout;
        loop {
            self.flush()?;
            let count = self.poll(&mut on_message)?;
            if done(self) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(ClientError::Timeout(timeout));
            }
            if count == 0 {
                std::thread::yield_now();
            }
        }
    }
}
