//! Accepts connections, reads messages for sessions, writes what these have to say.
//!
//! It reads sockets without waiting. Connections that were busy a moment ago are hot: they are read directly, and
//! the system's poll need not know of them. All others are looked at through it, which costs the same for one as
//! for a thousand; while the gateway [waits](Acceptor::wait) these are all.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ironbook_engine::Timestamp;
use ironbook_fix::{
    codec::{Framed, Garbled, frame},
    message::{Fields, Message},
    session::DisconnectReason,
};

use crate::{
    access::Guard,
    admission::NotAdmitted,
    clock::Clock,
    config::FixConfig,
    connection::{Connection, ReadOutcome, WriteFailure},
    counters::PortCounters,
    credentials::{Checker, Claim, Handed, Verdict},
    hand_over::{self, HandOver},
    network::{Handshake, Network, Ready, Security},
    stages::{Stage, StageWatch},
};

/// The sessions that connections are of, as the acceptor sees them: by their place in the configuration.
pub trait Sessions {
    /// Whether there is room for what one message can bring about.
    fn has_room(&self) -> bool;

    /// The session that a first message is to log on to, if that may be from there.
    ///
    /// # Errors
    /// Why it may not; nothing is answered then, so that a stranger learns nothing.
    fn find(
        &self,
        message: &Message<'_>,
        peer: IpAddr,
        security: Security,
    ) -> Result<usize, NotAdmitted>;

    /// What a Logon to a session claims and has to prove first, if the session has a password.
    fn claim(&self, index: usize, message: &Message<'_>) -> Option<Claim>;

    /// The gateway that has a session, if it is another one: it gets the connection once that has proved what its
    /// Logon claims.
    fn elsewhere(&self, _index: usize) -> Option<usize> {
        None
    }

    /// Gives a connection the session that its Logon is to, and takes the Logon, or refuses it where what it
    /// claimed did not prove to be true.
    ///
    /// # Errors
    /// Another connection came first.
    fn log_on(
        &mut self,
        index: usize,
        connection: usize,
        message: &Message<'_>,
        proved: bool,
        now: Timestamp,
    ) -> Result<(), NotAdmitted>;

    /// Messages of a session wait that are not read, as one among them has to wait: it isn't silent.
    fn note_waiting(&mut self, index: usize, now: Timestamp);

    /// When a message of a session may be read, if it has to wait.
    fn wait_of(&mut self, index: usize, message: &[u8], now: Timestamp) -> Option<Timestamp>;

    /// Takes a message of a session.
    fn handle_message(&mut self, index: usize, message: &Message<'_>, now: Timestamp);

    /// Bytes came that are no message.
    fn handle_garbled(&mut self, index: usize, now: Timestamp);

    /// The connection of a session is gone.
    fn handle_disconnected(&mut self, index: usize, now: Timestamp);

    /// Whether the connection of a session is to be closed, and everything requested is out.
    fn wants_close(&self, index: usize) -> Option<DisconnectReason>;

    /// Name of a session, for the log.
    fn comp_id(&self, index: usize) -> &str;
}

/// Bytes that go out on each connection; the acceptor owns the connections.
pub trait Outputs {
    /// Buffer of a connection; marks it to be written.
    fn output(&mut self, connection: usize) -> Option<&mut Vec<u8>>;
    /// Bytes that wait on a connection.
    fn waiting(&self, connection: usize) -> usize;
}

/// Bytes that may wait for a client.
#[derive(Clone, Copy, Debug)]
pub struct OutputBound {
    /// How many.
    pub bytes: usize,
    /// The key that says so, and what becomes of them: for the log.
    pub reason: &'static str,
}

/// Owns the sockets of one network.
pub struct Acceptor<C, N: Network> {
    clock: C,
    network: N,
    guard: Guard,
    checker: Checker,
    tickets: u64,
    /// The connections.
    pub lines: Lines<N::Stream>,
    /// What becomes of those whose session is with another gateway.
    hand_over: HandOver<Line<N::Stream>>,
    /// What its stages are measured with; nothing, until one is put here.
    pub watch: StageWatch,
    /// What it keeps count of.
    pub counters: Arc<PortCounters>,
    fields: Box<Fields>,
    /// More connections may wait to be accepted; the poll tells of new ones only.
    accepting: bool,
    /// When it is accepted again after the system had no place for one.
    accept_after: Timestamp,
    /// Where the look at connections that wait for a token begins.
    first_wait: usize,
    /// Why no connection is accepted any more.
    refuses: Option<&'static str>,
    /// When the venue began to stop.
    closing_since: Option<Timestamp>,
    /// Handshakes that may go on in this turn.
    handshakes_left: usize,
    logon_timeout_ns: u64,
    logout_timeout_ns: u64,
    message_bytes_max: usize,
    output_bound: OutputBound,
}

/// Connections by number. Lists hold numbers, each at most once, so that a turn looks only at
/// connections with something to do.
#[derive(Debug)]
pub struct Lines<S> {
    lines: Vec<Option<Line<S>>>,
    /// Connections that have something to write.
    dirty: Vec<usize>,
    /// Connections to be read without asking the system first.
    hot: Vec<usize>,
    /// Other connections with bytes in the socket, or with messages that had to wait.
    ready: VecDeque<usize>,
    output_max: usize,
    message_max: usize,
}

/// A connection and whose it is.
#[derive(Debug)]
struct Line<S> {
    io: Connection<S>,
    /// The session, once it is known.
    session: Option<usize>,
    accepted: Timestamp,
    last_read: Timestamp,
    hold: Hold,
    /// Names the connection, as numbers come again.
    ticket: u64,
    /// Whether what its Logon claimed is true, once that was checked.
    proved: Option<bool>,
    /// When the session was found to have ended, with bytes that the client had not taken yet.
    ending: Option<Timestamp>,
    /// The socket takes no more bytes until the system says so.
    blocked: bool,
    /// The system was asked to say so.
    waits_for_room: bool,
    /// The poll tells of it.
    registered: bool,
    dirty: bool,
    hot: bool,
    /// When it became hot the last time.
    hot_since: Timestamp,
    ready: bool,
}

/// Why a connection is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// It is read.
    None,
    /// There are unused messages that the ring, or the turn, had no room for.
    Room,
    /// What its Logon claims is being checked.
    Check,
    /// The next message is an order that may not be taken before.
    Token(Timestamp),
}

/// Time between two looks at timeouts and ended sessions: short beside the shortest timeout, long
/// beside a turn.
pub(crate) const LOOK_NS: u64 = 1_000_000;

/// Longest wait for clients when the venue stops, less than an agent is given to finish.
pub(crate) const CLOSING_NS_MAX: u64 = 3_000_000_000;

/// Messages that one connection may have handled in one turn, so that all are served alike.
const MESSAGES_PER_TURN: usize = 64;

/// Connections that are accepted in one turn: whoever connects without end must not keep the gateway from
/// everybody else.
pub const ACCEPTS_PER_TURN: usize = 16;

/// Handshakes of TLS that go on in one turn: each step takes as long as hundreds of orders, and whoever begins
/// many must not keep the gateway from everybody else.
pub const HANDSHAKES_PER_TURN: usize = 2;

/// When connections are accepted again after the system gave none for want of something, files perhaps.
const ACCEPT_RETRY_NS: u64 = 100_000_000;

/// Connections that are read directly at the most: a read that finds nothing costs about as much
/// as asking the system about all of them.
const HOT_MAX: usize = 4;

/// How long a connection stays hot after its last bytes.
const HOT_NS: u64 = 2_000_000;

impl<C: Clock, N: Network> Acceptor<C, N> {
    /// Accepts whoever connects over this network.
    pub fn new(config: &FixConfig, output_bound: OutputBound, clock: C, network: N) -> Self {
        let lines = (0..config.connections_max).map(|_| None).collect();
        Self {
            clock,
            network,
            guard: Guard::new(config),
            checker: Checker::Inline,
            tickets: 0,
            lines: Lines {
                lines,
                dirty: Vec::with_capacity(config.connections_max),
                hot: Vec::with_capacity(HOT_MAX),
                ready: VecDeque::with_capacity(config.connections_max),
                output_max: output_bound.bytes,
                message_max: config.message_bytes_max,
            },
            hand_over: HandOver::None,
            watch: StageWatch::default(),
            counters: Arc::default(),
            fields: Fields::new(),
            accepting: false,
            accept_after: Timestamp(0),
            first_wait: 0,
            refuses: None,
            closing_since: None,
            handshakes_left: 0,
            logon_timeout_ns: config.logon_timeout_ms * 1_000_000,
            logout_timeout_ns: config.logout_timeout_ms * 1_000_000,
            message_bytes_max: config.message_bytes_max,
            output_bound,
        }
    }

    /// Lets the first of these hand connections over to the others. They have the same configuration.
    pub fn hand_over_between(acceptors: &mut [&mut Self]) {
        let connections_max = acceptors.first().map_or(0, |first| first.lines.lines.len());
        let parts = hand_over::between(acceptors.len(), connections_max);
        for (acceptor, part) in acceptors.iter_mut().zip(parts) {
            acceptor.hand_over = part;
        }
    }

    /// Checks passwords of Logons with this; until it is said, at once.
    pub fn check_passwords_with(&mut self, checker: Checker) {
        self.checker = checker;
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.network.address()
    }

    /// Where it listens for TLS, if it does.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.network.tls_address()
    }

    /// Tells the time.
    #[inline]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Accepts nobody any more.
    pub fn stop_accepting(&mut self, reason: &'static str) {
        self.refuses = Some(reason);
    }

    /// The venue stops: no connection is accepted any more, and those that are left are closed when their clients
    /// had time enough to log out. Whether they had.
    pub fn wind_up(&mut self, sessions: &mut impl Sessions, now: Timestamp) -> bool {
        self.stop_accepting("the venue stops");
        let since = *self.closing_since.get_or_insert(now);
        let late = since.0 + CLOSING_NS_MAX < now.0;
        if late {
            let reason = "the venue stops and can't wait any longer";
            for number in 0..self.lines.lines.len() {
                self.close(sessions, number, reason);
            }
        }
        late
    }

    /// Whether the venue began to stop.
    pub fn is_winding_up(&self) -> bool {
        self.closing_since.is_some()
    }

    /// Whether connections wait to be accepted, or another gateway has to do with some, and from when on they are
    /// looked at.
    pub fn accepts_at(&self) -> Option<Timestamp> {
        if self.hand_over.has_news() {
            return Some(Timestamp(0));
        }
        self.accepting.then_some(self.accept_after)
    }

    /// Whether something of the venue's own is, or may be, waited for: room in the ring, a check of a password,
    /// another gateway.
    pub fn waits_inside(&self) -> bool {
        let is_held = |line: &Line<N::Stream>| matches!(line.hold, Hold::Room | Hold::Check);
        self.hand_over.has_others() || self.lines.lines.iter().flatten().any(is_held)
    }

    /// When a connection without a Logon is closed, one that waits for a token is looked at, or all are closed
    /// as the venue stops, if there is one.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let lines = || self.lines.lines.iter().flatten();
        let strangers = lines().filter(|line| line.session.is_none());
        let logons = strangers.map(|line| Timestamp(line.accepted.0 + self.logon_timeout_ns + 1));
        let waits = lines().filter_map(|line| match line.hold {
            Hold::Token(until) => Some(until),
            _ => None,
        });
        let end = self.closing_since.map(|since| Timestamp(since.0 + CLOSING_NS_MAX + 1));
        logons.chain(waits).chain(end).min()
    }

    /// Writes to every connection that has something to write and takes it.
    #[inline]
    pub fn flush(&mut self, sessions: &mut impl Sessions) {
        let mut index = 0;
        while index < self.lines.dirty.len() {
            let number = self.lines.dirty[index];
            let Some(line) = &mut self.lines.lines[number] else {
                self.lines.dirty.swap_remove(index);
                continue;
            };
            let outcome = if line.blocked {
                line.io.check_waiting()
            } else {
                self.watch.mark();
                let written = line.io.write();
                self.watch.lap(Stage::Write);
                written
            };
            let waits = outcome.is_ok() && line.io.has_output();
            let outcome = match outcome {
                Ok(()) if waits != line.waits_for_room => {
                    line.waits_for_room = waits;
                    let registered = line.register(&mut self.network, number);
                    let told = registered.and_then(|()| {
                        self.network.tell_of_room(line.io.stream_mut(), number, waits)
                    });
                    told.map_err(WriteFailure::Broken)
                }
                outcome => outcome,
            };
            match outcome {
                Ok(()) if waits => {
                    line.blocked = true;
                    index += 1;
                }
                Ok(()) => {
                    line.dirty = false;
                    self.lines.dirty.swap_remove(index);
                }
                // Leaves the list with the connection.
                Err(failure) => {
                    let reason = describe(&failure, self.output_bound);
                    self.close(sessions, number, &reason);
                }
            }
        }
    }

    /// Asks the system which sockets have something, and the other gateways.
    pub fn poll(&mut self, now: Timestamp) -> usize {
        self.deregister_hot();
        self.poll_within(Duration::ZERO, now)
    }

    /// Waits until a socket has something, or another gateway, for at most `limit`. Nobody reads meanwhile, so all
    /// connections are left to the poll; where some were not, it does not wait, as they are to be read once more.
    pub fn wait(&mut self, sessions: &mut impl Sessions, limit: Duration, now: Timestamp) {
        if !self.has_hot() {
            self.poll_within(limit, now);
            return;
        }
        while self.has_hot() {
            self.cool(sessions, 0);
        }
    }

    fn poll_within(&mut self, timeout: Duration, now: Timestamp) -> usize {
        // Whoever is back has closed his connection before: the end of that is found first.
        let given = self.hand_over.waiting();
        let timeout = if self.hand_over.has_news() { Duration::ZERO } else { timeout };
        let mut found = 0;
        let accepting = &mut self.accepting;
        let lines = &mut self.lines;
        let polled = self.network.poll(timeout, |ready| {
            found += 1;
            match ready {
                Ready::Listener => *accepting = true,
                Ready::Connection { number, readable, writable } => {
                    if writable && let Some(Some(line)) = lines.lines.get_mut(number) {
                        line.blocked = false;
                    }
                    if readable {
                        lines.make_ready(number);
                    }
                }
            }
        });
        if let Err(error) = polled
            && error.kind() != io::ErrorKind::Interrupted
        {
            log::error!("poll: {error}");
        }
        found += self.take_given(given, now) + self.count_closed();
        if self.accepting && self.accept_after <= now { found + self.accept(now) } else { found }
    }

    /// Lets the poll tell nothing of connections that go on having something while they are hot, as they are read
    /// anyway: the system would note each of their messages for the poll before the read gets it.
    fn deregister_hot(&mut self) {
        for &number in &self.lines.hot {
            if let Some(line) = &mut self.lines.lines[number]
                && line.last_read > line.hot_since
                && !line.waits_for_room
            {
                line.deregister(&mut self.network);
            }
        }
    }

    /// Takes so many connections that another gateway has accepted; returns how many. Their Logons are handled
    /// when they are read.
    fn take_given(&mut self, most: usize, now: Timestamp) -> usize {
        for taken in 0..most {
            let Some((number, mut line)) = self.hand_over.take() else { return taken };
            assert!(self.lines.lines[number].is_none(), "numbers are of all gateways");
            if let Err(error) = line.register(&mut self.network, number) {
                let peer = line.io.peer();
                self.guard.log(now, format_args!("{peer} can't be handed over: {error}"));
                self.hand_over.tell_closed(number);
                continue;
            }
            self.lines.lines[number] = Some(line);
            self.lines.make_ready(number);
        }
        most
    }

    /// Counts connections that another gateway has closed; returns how many.
    fn count_closed(&mut self) -> usize {
        let mut closed = 0;
        while let Some(peer) = self.hand_over.next_closed() {
            self.guard.closed(peer);
            self.counters.open.take(1);
            closed += 1;
        }
        closed
    }

    /// Accepts some of the connections that wait; returns how many.
    fn accept(&mut self, now: Timestamp) -> usize {
        for accepted in 0..ACCEPTS_PER_TURN {
            let (mut stream, peer) = match self.network.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    if error.kind() == io::ErrorKind::WouldBlock {
                        self.accepting = false;
                    } else {
                        self.guard
                            .log(now, format_args!("a connection can't be accepted: {error}"));
                        self.accept_after = Timestamp(now.0 + ACCEPT_RETRY_NS);
                    }
                    return accepted;
                }
            };
            let number = match self.place(peer, now) {
                Ok(number) => number,
                Err(reason) => {
                    self.counters.refused.add(1);
                    self.guard.log(now, format_args!("{peer} refused: {reason}"));
                    continue;
                }
            };
            if let Err(error) = self.network.register(&mut stream, number) {
                self.guard.log(now, format_args!("{peer} refused: {error}"));
                continue;
            }
            let (message_max, output_max) = (self.lines.message_max, self.lines.output_max);
            let io = Connection::new(stream, peer, message_max, output_max);
            self.tickets += 1;
            self.guard.opened(peer.ip());
            self.counters.accepted.add(1);
            self.counters.open.add(1);
            self.lines.lines[number] = Some(Line::new(io, self.tickets, now));
            self.lines.make_ready(number);
        }
        ACCEPTS_PER_TURN
    }

    /// The number of a new connection, if it may be; nothing but what TLS takes is allocated for one that may not.
    fn place(&self, peer: SocketAddr, now: Timestamp) -> Result<usize, &'static str> {
        self.guard.admit(peer.ip(), now)?;
        if let Some(reason) = self.refuses {
            return Err(reason);
        }
        let mut lines = self.lines.lines.iter().enumerate();
        let free =
            lines.position(|(number, line)| line.is_none() && !self.hand_over.has_given(number));
        free.ok_or("fix.connections_max connections are open")
    }

    /// Reads the connections that may have something.
    #[inline]
    pub fn read_all(&mut self, sessions: &mut impl Sessions, now: Timestamp) -> usize {
        let mut done = 0;
        let mut index = 0;
        self.handshakes_left = HANDSHAKES_PER_TURN;
        while index < self.lines.hot.len() {
            let number = self.lines.hot[index];
            done += self.read(sessions, number, now).0;
            // A connection that was closed has left the list already.
            let Some(line) = &self.lines.lines[number] else { continue };
            if line.hold == Hold::Room || line.last_read.0 + HOT_NS > now.0 {
                index += 1;
            } else {
                self.cool(sessions, index);
            }
        }
        // Each once, and who has to wait is before those that come later.
        for _ in 0..self.lines.ready.len() {
            let Some(number) = self.lines.ready.pop_front() else { break };
            let (handled, more) = self.read(sessions, number, now);
            done += handled;
            // Unless it was closed.
            if let Some(line) = &mut self.lines.lines[number] {
                line.ready = more && !line.hot;
                if line.ready {
                    self.lines.ready.push_back(number);
                }
            }
        }
        done
    }

    /// Leaves a connection to the poll again.
    fn cool(&mut self, sessions: &mut impl Sessions, index: usize) {
        let number = self.lines.cool(index);
        let Some(line) = &mut self.lines.lines[number] else { return };
        if let Err(error) = line.register(&mut self.network, number) {
            self.close(sessions, number, &format!("the system can't tell of it: {error}"));
        }
    }

    /// Reads a connection and handles its messages; returns how many, and whether there may be
    /// more.
    #[inline]
    fn read(
        &mut self,
        sessions: &mut impl Sessions,
        number: usize,
        now: Timestamp,
    ) -> (usize, bool) {
        let Some(line) = &mut self.lines.lines[number] else { return (0, false) };
        match line.hold {
            Hold::Room => self.watch.mark(),
            Hold::Token(until) if until <= now => self.watch.mark(),
            Hold::Check | Hold::Token(_) => return (0, false),
            Hold::None => {
                let shakes_hands = N::handshake(line.io.stream()) != Handshake::Done;
                if shakes_hands && self.handshakes_left == 0 {
                    return (0, true);
                }
                self.watch.mark();
                let outcome = line.io.read();
                let goes_on = shakes_hands && N::handshake(line.io.stream()) != Handshake::Awaited;
                self.handshakes_left -= usize::from(goes_on);
                match outcome {
                    ReadOutcome::Bytes(_) => {
                        self.watch.lap(Stage::Read);
                        line.last_read = now;
                        self.lines.heat(number, now);
                    }
                    ReadOutcome::Nothing => return (usize::from(goes_on), false),
                    ReadOutcome::Full => {}
                    ReadOutcome::Closed => {
                        self.close(sessions, number, "the client closed the connection");
                        return (1, false);
                    }
                }
            }
        }
        (self.handle(sessions, number, now), true)
    }

    /// Handles the messages that a connection has.
    #[inline]
    fn handle(&mut self, sessions: &mut impl Sessions, number: usize, now: Timestamp) -> usize {
        for handled in 0..MESSAGES_PER_TURN {
            let Some(line) = &mut self.lines.lines[number] else { return handled };
            if !sessions.has_room() {
                line.hold = Hold::Room;
                return handled;
            }
            // One byte past the bound tells that a message has no end within it, however much has come.
            let bytes = line.io.unused();
            let bytes = &bytes[..bytes.len().min(self.message_bytes_max + 1)];
            match frame(bytes) {
                Framed::Incomplete if bytes.len() > self.message_bytes_max => {
                    self.close(sessions, number, "a message longer than fix.message_bytes_max");
                    return handled;
                }
                Framed::Incomplete => {
                    line.hold = Hold::None;
                    return handled;
                }
                Framed::Garbled { skip, reason } => {
                    log::debug!("{}: {reason}; {skip} bytes skipped", line.io.peer());
                    self.counters.garbled.add(1);
                    let too_long = reason == Garbled::TooLong;
                    line.io.consume(skip);
                    let session = line.session;
                    match session {
                        Some(session) if !too_long => sessions.handle_garbled(session, now),
                        _ => self.close(sessions, number, &format!("no FIX message: {reason}")),
                    }
                    self.watch.mark();
                }
                Framed::Message { len } if len > self.message_bytes_max => {
                    self.close(sessions, number, "a message longer than fix.message_bytes_max");
                    return handled;
                }
                Framed::Message { len } => {
                    let session = line.session;
                    if let Some(session) = session
                        && let Some(until) = sessions.wait_of(session, &bytes[..len], now)
                    {
                        line.hold = Hold::Token(until);
                        return handled;
                    }
                    if !self.handle_message(sessions, number, len, now) {
                        return handled;
                    }
                    // A Logon is no part of an order's way.
                    match session {
                        Some(_) => self.watch.lap(Stage::Decode),
                        None => self.watch.mark(),
                    }
                }
            }
        }
        if let Some(line) = &mut self.lines.lines[number] {
            line.hold = Hold::Room;
        }
        MESSAGES_PER_TURN
    }

    /// Handles a message, and says whether it is done with.
    #[inline]
    fn handle_message(
        &mut self,
        sessions: &mut impl Sessions,
        number: usize,
        len: usize,
        now: Timestamp,
    ) -> bool {
        let Some(line) = &mut self.lines.lines[number] else { return true };
        let Some(session) = line.session else {
            return self.handle_first(sessions, number, len, now);
        };
        match Message::parse(&line.io.unused()[..len], &mut self.fields) {
            Ok(message) => sessions.handle_message(session, &message, now),
            Err(reason) => {
                log::debug!("{}: {reason}", line.io.peer());
                self.counters.garbled.add(1);
                sessions.handle_garbled(session, now);
            }
        }
        line.io.consume(len);
        true
    }

    /// Handles the first message of a connection: it must be a Logon, perhaps with a password. While that is
    /// checked the message stays where it is, and the connection is not read.
    #[cold]
    fn handle_first(
        &mut self,
        sessions: &mut impl Sessions,
        number: usize,
        len: usize,
        now: Timestamp,
    ) -> bool {
        let Some(line) = &mut self.lines.lines[number] else { return true };
        let peer = line.io.peer().ip();
        let Ok(message) = Message::parse(&line.io.unused()[..len], &mut self.fields) else {
            self.close(sessions, number, "the first message is garbled");
            return true;
        };
        let security = N::security(line.io.stream());
        let found = self.guard.check_failures(peer, now).map_err(NotAdmitted::reason);
        let found = found.and_then(|()| sessions.find(&message, peer, security));
        if found.is_ok() && line.proved.is_none() && !self.checker.has_room() {
            line.hold = Hold::Room;
            return false;
        }
        let logged_on = found.and_then(|session| {
            let claim = match line.proved {
                Some(_) => None,
                None => sessions.claim(session, &message),
            };
            let handed = match claim {
                None => Handed::Checked(line.proved.unwrap_or(true)),
                Some(claim) => self.checker.hand_in(line.ticket, claim),
            };
            let Handed::Checked(proved) = handed else { return Ok((handed, None)) };
            line.proved = Some(proved);
            if let Some(gateway) = sessions.elsewhere(session) {
                return Ok((handed, Some(gateway)));
            }
            line.session = Some(session);
            let logged_on = sessions.log_on(session, number, &message, proved, now);
            logged_on.inspect_err(|_| line.session = None).map(|()| (handed, None))
        });
        match logged_on {
            Ok((Handed::Checked(proved), Some(gateway))) => {
                if !self.hand_over.has_room(gateway) {
                    line.hold = Hold::Room;
                    return false;
                }
                if !proved {
                    self.note_failure(peer, now);
                }
                self.hand_over(number, gateway);
                true
            }
            Ok((Handed::Checked(proved), None)) => {
                line.io.consume(len);
                // Of one that was given it was noted where its password was checked.
                if !proved && !self.hand_over.is_given() {
                    self.note_failure(peer, now);
                }
                true
            }
            Ok((Handed::Waits, _)) => {
                line.hold = Hold::Check;
                false
            }
            Ok((Handed::Full, _)) => {
                line.hold = Hold::Room;
                false
            }
            Err(not_admitted) => {
                if not_admitted.is_failure {
                    self.note_failure(peer, now);
                }
                self.close(sessions, number, not_admitted.reason);
                true
            }
        }
    }

    /// Hands a connection over to a gateway that has room for it, with its Logon and what came behind that.
    fn hand_over(&mut self, number: usize, gateway: usize) {
        let Some(mut line) = self.lines.lines[number].take() else { return };
        line.deregister(&mut self.network);
        self.lines.forget(number);
        let peer = line.io.peer();
        // The other gateway reads what is there before it asks the socket for more.
        (line.hold, line.hot, line.ready) = (Hold::Room, false, false);
        if self.hand_over.give(gateway, number, peer.ip(), line).is_err() {
            log::info!("{peer} disconnected: the venue stops");
            self.guard.closed(peer.ip());
            self.counters.open.take(1);
        }
    }

    /// Goes on with connections whose passwords were checked.
    #[inline]
    pub fn take_verdicts(&mut self) -> usize {
        let mut taken = 0;
        while let Some(Verdict { ticket, passed }) = self.checker.verdict() {
            taken += 1;
            let mut lines = self.lines.lines.iter_mut();
            // The connection may be gone, and another have its number.
            let found = lines.position(|line| line.as_ref().is_some_and(|it| it.ticket == ticket));
            if let Some(number) = found
                && let Some(line) = &mut self.lines.lines[number]
            {
                line.proved = Some(passed);
                line.hold = Hold::Room;
                self.lines.make_ready(number);
            }
        }
        taken
    }

    /// Somebody is not who he says he is, or can't say it.
    fn note_failure(&mut self, peer: IpAddr, now: Timestamp) {
        self.guard.failed(peer, now);
        self.counters.failures.add(1);
    }

    fn close(&mut self, sessions: &mut impl Sessions, number: usize, reason: &str) {
        let Some(mut line) = self.lines.lines[number].take() else { return };
        line.deregister(&mut self.network);
        let peer = line.io.peer();
        if !self.hand_over.tell_closed(number) {
            self.guard.closed(peer.ip());
            self.counters.open.take(1);
        }
        let comp_id = line.session.map_or("", |session| sessions.comp_id(session));
        let now = self.clock.now();
        if N::handshake(line.io.stream()) == Handshake::UnderWay {
            self.note_failure(peer.ip(), now);
        }
        if line.session.is_some() && line.proved != Some(false) {
            log::info!("{comp_id} disconnected from {peer}: {reason}");
        } else {
            self.guard.log(now, format_args!("{peer} disconnected: {reason} {comp_id}"));
        }
        if let Some(session) = line.session {
            sessions.handle_disconnected(session, now);
        }
        self.lines.forget(number);
    }

    /// Whether connections wait to be read that had no turn yet.
    pub fn has_ready(&self) -> bool {
        !self.lines.ready.is_empty()
    }

    /// Whether connections were busy a moment ago: they are read without a poll.
    #[inline]
    pub fn has_hot(&self) -> bool {
        !self.lines.hot.is_empty()
    }

    /// Closes connections whose session has ended, or that never began one.
    pub fn close_ended(&mut self, sessions: &mut impl Sessions, now: Timestamp) {
        for number in 0..self.lines.lines.len() {
            let Some(line) = &mut self.lines.lines[number] else { continue };
            match line.session {
                Some(session) => {
                    let Some(reason) = sessions.wants_close(session) else { continue };
                    // A client that was silent for so long does not read the rest either.
                    let silent = |reason| {
                        let timeouts =
                            [DisconnectReason::HeartbeatTimeout, DisconnectReason::LogoutTimeout];
                        timeouts.contains(&reason)
                    };
                    // Nor may one who does not read keep the session from his next connection.
                    let since = *line.ending.get_or_insert(now);
                    let waits = line.io.has_output() && since.0 + self.logout_timeout_ns >= now.0;
                    if !waits || silent(reason) {
                        self.close(sessions, number, &format!("{reason:?}"));
                    }
                }
                None if line.accepted.0 + self.logon_timeout_ns < now.0 => {
                    self.close(sessions, number, "no Logon in time");
                }
                None => {}
            }
        }
    }

    /// Looks again at connections whose next order may be taken now.
    ///
    /// A look begins behind the connection that came first in the one before, so that none takes all tokens
    /// of its firm.
    pub fn end_waits(&mut self, sessions: &mut impl Sessions, now: Timestamp) {
        let mut first = None;
        for number in (self.first_wait..self.lines.lines.len()).chain(0..self.first_wait) {
            let Some(line) = &self.lines.lines[number] else { continue };
            let Hold::Token(until) = line.hold else { continue };
            if let Some(session) = line.session {
                sessions.note_waiting(session, now);
            }
            if until <= now {
                self.lines.make_ready(number);
                first.get_or_insert(number);
            }
        }
        if let Some(number) = first {
            self.first_wait = (number + 1) % self.lines.lines.len();
        }
    }
}

fn describe(failure: &WriteFailure, bound: OutputBound) -> String {
    match failure {
        WriteFailure::Broken(error) => error.to_string(),
        WriteFailure::TooSlow { waiting } => {
            format!("it reads too slowly: {waiting} bytes wait, more than {}", bound.reason)
        }
    }
}

impl<S: Read + Write> Line<S> {
    fn new(io: Connection<S>, ticket: u64, now: Timestamp) -> Self {
        Self {
            io,
            session: None,
            accepted: now,
            last_read: now,
            hold: Hold::None,
            ticket,
            proved: None,
            ending: None,
            blocked: false,
            waits_for_room: false,
            registered: true,
            dirty: false,
            hot: false,
            hot_since: now,
            ready: false,
        }
    }

    /// Lets the poll tell of it, if it does not yet.
    fn register(
        &mut self,
        network: &mut impl Network<Stream = S>,
        number: usize,
    ) -> io::Result<()> {
        if !self.registered {
            network.register(self.io.stream_mut(), number)?;
            self.registered = true;
        }
        Ok(())
    }

    /// Lets the poll tell nothing of it.
    fn deregister(&mut self, network: &mut impl Network<Stream = S>) {
        if self.registered {
            network.deregister(self.io.stream_mut());
            self.registered = false;
        }
    }
}

impl<S> Lines<S> {
    #[inline]
    fn heat(&mut self, number: usize, now: Timestamp) {
        if let Some(line) = &mut self.lines[number]
            && !line.hot
            && self.hot.len() < HOT_MAX
        {
            (line.hot, line.hot_since) = (true, now);
            self.hot.push(number);
        }
    }

    fn cool(&mut self, index: usize) -> usize {
        let number = self.hot.swap_remove(index);
        if let Some(line) = &mut self.lines[number] {
            line.hot = false;
        }
        // Bytes may have come since the last look; the poll tells of new ones only.
        self.make_ready(number);
        number
    }

    fn make_ready(&mut self, number: usize) {
        if let Some(Some(line)) = self.lines.get_mut(number)
            && !line.ready
            && !line.hot
        {
            line.ready = true;
            self.ready.push_back(number);
        }
    }

    fn forget(&mut self, number: usize) {
        for list in [&mut self.dirty, &mut self.hot] {
            list.retain(|&other| other != number);
        }
        self.ready.retain(|&other| other != number);
    }
}

impl<S: Read + Write> Lines<S> {
    /// Bytes that wait on all connections.
    pub fn waiting_bytes(&self) -> usize {
        self.lines.iter().flatten().map(|line| line.io.waiting()).sum()
    }
}

impl<S: Read + Write> Outputs for Lines<S> {
    #[inline]
    fn output(&mut self, connection: usize) -> Option<&mut Vec<u8>> {
        let line = self.lines.get_mut(connection)?.as_mut()?;
        if !line.dirty {
            line.dirty = true;
            self.dirty.push(connection);
        }
        Some(&mut line.io.output)
    }

    fn waiting(&self, connection: usize) -> usize {
        self.lines.get(connection).and_then(Option::as_ref).map_or(0, |line| line.io.waiting())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use quanta::Mock;

    use super::*;
    use crate::{
        clock::ManualClock,
        config::Config,
        stages::{Pace, StageWatches},
    };

    /// What a write takes, ns, and what anything else does.
    const WRITE_NS: u64 = 100;
    const ELSE_NS: u64 = 1_000_000;

    /// How a connection takes bytes.
    #[derive(Clone, Copy, Debug)]
    enum Takes {
        All,
        Nothing,
        Breaks,
    }

    /// A connection on which the clock of stages goes on with what is done.
    #[derive(Debug)]
    struct Pipe(Arc<Mock>, Takes);

    impl Read for Pipe {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.increment(WRITE_NS);
            match self.1 {
                Takes::All => Ok(bytes.len()),
                Takes::Nothing => Err(io::ErrorKind::WouldBlock.into()),
                Takes::Breaks => Err(io::ErrorKind::BrokenPipe.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Pipes that wait to be accepted.
    struct Pipes(Vec<Pipe>);

    impl Network for Pipes {
        type Stream = Pipe;

        fn address(&self) -> SocketAddr {
            SocketAddr::from((Ipv4Addr::LOCALHOST, 1))
        }

        fn poll(&mut self, _: Duration, mut ready: impl FnMut(Ready)) -> io::Result<()> {
            ready(Ready::Listener);
            Ok(())
        }

        fn accept(&mut self) -> io::Result<(Pipe, SocketAddr)> {
            let pipe = self.0.pop().ok_or(io::ErrorKind::WouldBlock)?;
            Ok((pipe, self.address()))
        }

        fn register(&mut self, _: &mut Pipe, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn tell_of_room(&mut self, pipe: &mut Pipe, _: usize, _: bool) -> io::Result<()> {
            pipe.0.increment(ELSE_NS);
            Ok(())
        }

        fn deregister(&mut self, pipe: &mut Pipe) {
            pipe.0.increment(ELSE_NS);
        }
    }

    /// Nobody logs on.
    struct Nobody;

    impl Sessions for Nobody {
        fn has_room(&self) -> bool {
            unreachable!("nothing is read")
        }

        fn find(&self, _: &Message<'_>, _: IpAddr, _: Security) -> Result<usize, NotAdmitted> {
            unreachable!("nothing is read")
        }

        fn claim(&self, _: usize, _: &Message<'_>) -> Option<Claim> {
            unreachable!("nothing is read")
        }

        fn log_on(
            &mut self,
            _: usize,
            _: usize,
            _: &Message<'_>,
            _: bool,
            _: Timestamp,
        ) -> Result<(), NotAdmitted> {
            unreachable!("nothing is read")
        }

        fn note_waiting(&mut self, _: usize, _: Timestamp) {}

        fn wait_of(&mut self, _: usize, _: &[u8], _: Timestamp) -> Option<Timestamp> {
            unreachable!("nothing is read")
        }

        fn handle_message(&mut self, _: usize, _: &Message<'_>, _: Timestamp) {}

        fn handle_garbled(&mut self, _: usize, _: Timestamp) {}

        fn handle_disconnected(&mut self, _: usize, _: Timestamp) {}

        fn wants_close(&self, _: usize) -> Option<DisconnectReason> {
            None
        }

        fn comp_id(&self, _: usize) -> &str {
            ""
        }
    }

    #[test]
    fn a_write_is_what_the_system_takes_for_it() {
        let (clock, mock) = quanta::Clock::mock();
        let (mut watches, times) = StageWatches::with(&clock, Pace { every: 1, reading_ns: 1 }, 1);
        let written = || {
            let all = times.read();
            let (_, times) = &all[Stage::Write as usize];
            (times.count(), times.sum_ns())
        };
        let pipes = [Takes::All, Takes::Nothing, Takes::All, Takes::Breaks, Takes::All];
        let network = Pipes(pipes.map(|takes| Pipe(mock.clone(), takes)).into());
        let bound = OutputBound { bytes: 1_000, reason: "a test" };
        let mut config = Config::default().fix;
        config.connections_max = pipes.len();
        let mut acceptor = Acceptor::new(&config, bound, ManualClock::default(), network);
        acceptor.watch = watches.gateways.remove(0).turns;
        acceptor.watch.begin_turn();
        acceptor.poll(Timestamp(1));
        let tell = |acceptor: &mut Acceptor<_, _>| {
            let mut tell = |number| acceptor.lines.output(number).map(|output| output.push(b'x'));
            (0..pipes.len()).filter_map(&mut tell).count()
        };
        assert_eq!(tell(&mut acceptor), 5);
        mock.increment(ELSE_NS);
        acceptor.flush(&mut Nobody);
        assert_eq!(written(), (5, 5 * WRITE_NS));
        // The one that broke is gone, and the one that took nothing is not asked before it says so.
        assert_eq!(tell(&mut acceptor), 4);
        mock.increment(ELSE_NS);
        acceptor.flush(&mut Nobody);
        assert_eq!(written(), (5 + 3, 8 * WRITE_NS));
    }
}
