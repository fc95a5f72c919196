//! Where connections come from: the system's sockets, or pipes of a simulation.
//!
//! Everything here is static dispatch; the gateway over [`TcpNetwork`] is the code that one with
//! sockets of its own would be.

use std::{
    fmt::Debug,
    io::{self, Read, Write},
    net::SocketAddr,
    time::Duration,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

use crate::venue::StartError;

/// A listener, its connections, and a way to ask which of them have something.
///
/// Readiness is told once, when it begins: whoever is told reads until there is nothing, and writes
/// again after [`io::ErrorKind::WouldBlock`] only when he is told.
pub trait Network: Send + 'static {
    /// A connection: neither reads nor writes wait.
    type Stream: Read + Write + Debug + Send;

    /// Where it listens.
    fn address(&self) -> SocketAddr;

    /// Tells what has become ready; waits for at most `limit` when nothing has.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::Interrupted`] means nothing.
    fn poll(&mut self, limit: Duration, ready: impl FnMut(Ready)) -> io::Result<()>;

    /// The next connection that somebody made.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is none.
    fn accept(&mut self) -> io::Result<(Self::Stream, SocketAddr)>;

    /// From now on [`poll`](Self::poll) tells of this connection under this number.
    ///
    /// # Errors
    /// What the system says; the connection is of no use then.
    fn register(&mut self, stream: &mut Self::Stream, number: usize) -> io::Result<()>;

    /// Nothing more is told of this connection.
    fn deregister(&mut self, stream: &mut Self::Stream);
}

/// What has become ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Somebody made a connection: accept until there is none.
    Listener,
    /// A connection has something.
    Connection {
        /// The number that it was registered under.
        number: usize,
        /// There are bytes, or an end, to be read.
        readable: bool,
        /// It takes bytes again.
        writable: bool,
    },
}

/// The system's sockets.
#[derive(Debug)]
pub struct TcpNetwork {
    listener: TcpListener,
    address: SocketAddr,
    poll: Poll,
    events: Events,
}

const LISTENER: Token = Token(usize::MAX);

/// Events that one poll returns at the most.
const EVENTS_MAX: usize = 256;

impl TcpNetwork {
    /// Listens on an address; port 0 takes a free one.
    ///
    /// # Errors
    /// [`StartError::Listen`] when the address is taken or not ours.
    pub fn listen(address: SocketAddr) -> Result<Self, StartError> {
        let failed = |source| StartError::Listen { address, source };
        let mut listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self { listener, address, poll, events: Events::with_capacity(EVENTS_MAX) })
    }
}

impl Network for TcpNetwork {
    type Stream = TcpStream;

    fn address(&self) -> SocketAddr {
        self.address
    }

    #[inline]
    fn poll(&mut self, limit: Duration, mut ready: impl FnMut(Ready)) -> io::Result<()> {
        self.poll.poll(&mut self.events, Some(limit))?;
        for event in &self.events {
            if event.token() == LISTENER {
                ready(Ready::Listener);
            } else {
                ready(Ready::Connection {
                    number: event.token().0,
                    readable: event.is_readable() || event.is_error() || event.is_read_closed(),
                    writable: event.is_writable(),
                });
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.listener.accept()
    }

    fn register(&mut self, stream: &mut TcpStream, number: usize) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(stream, Token(number), interest)
    }

    fn deregister(&mut self, stream: &mut TcpStream) {
        let _ = self.poll.registry().deregister(stream);
    }
}
