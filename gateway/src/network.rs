//! Where connections come from: the system's sockets, or pipes of a simulation.
//!
//! Everything here is static dispatch; the gateway over [`TcpNetwork`] is the code that one with
//! sockets of its own would be.

use std::{
    fmt::Debug,
    fs::File,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr},
    os::fd::AsFd,
    sync::Arc,
    time::Duration,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

use rustix::{
    net::{self, RecvFlags, SendFlags},
    process::{Resource, getrlimit},
};
use rustls::ServerConfig;

use crate::{
    config::{Config, Sha256},
    tls::{self, TlsStream},
    venue::StartError,
};

/// A listener, its connections, and a way to ask which of them have something.
///
/// Readiness is told once, when it begins: whoever is told reads until there is nothing, and writes
/// again after [`io::ErrorKind::WouldBlock`] only when he is told.
pub trait Network: Send + 'static {
    /// A connection: neither reads nor writes wait.
    type Stream: Read + Write + Debug + Send;

    /// Where it listens; of no meaning for one that does not.
    fn address(&self) -> SocketAddr;

    /// Where it listens for TLS, if it does.
    fn tls_address(&self) -> Option<SocketAddr> {
        None
    }

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

    /// From now on [`poll`](Self::poll) tells under this number when this connection has something to read, if it
    /// has already, too. The connection may come from another network of the same kind that told of it before.
    ///
    /// # Errors
    /// What the system says; the connection is of no use then.
    fn register(&mut self, stream: &mut Self::Stream, number: usize) -> io::Result<()>;

    /// Whether [`poll`](Self::poll) is to tell when this connection takes bytes again; not before it was
    /// asked for, as the system would tell it with every answer of the other end.
    ///
    /// # Errors
    /// What the system says; the connection is of no use then.
    fn tell_of_room(
        &mut self,
        stream: &mut Self::Stream,
        number: usize,
        wanted: bool,
    ) -> io::Result<()>;

    /// Nothing more is told of this connection.
    fn deregister(&mut self, stream: &mut Self::Stream);

    /// What a connection is beside its bytes.
    fn security(_: &Self::Stream) -> Security {
        Security::default()
    }

    /// How far a connection is from carrying messages.
    fn handshake(_: &Self::Stream) -> Handshake {
        Handshake::Done
    }
}

/// How far a connection is from carrying messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// It carries messages, or needs nothing first.
    Done,
    /// Not a byte of it has come.
    Awaited,
    /// It has begun, and takes time with what is read; it has failed when the connection ends now.
    UnderWay,
}

/// What clients connect for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// To send orders.
    Orders,
    /// To be told of the market, at this address.
    MarketData(SocketAddr),
    /// To send orders, and another network has accepted them: nothing is listened on.
    HandedOver,
}

/// What a connection is beside its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// Nobody reads or writes in between.
    pub encrypted: bool,
    /// Fingerprint of the certificate that the other end has proved to have, if it has.
    pub certificate: Option<Sha256>,
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
    /// None where connections are only handed over.
    plain: Option<Listener>,
    tls: Option<(Listener, Arc<ServerConfig>)>,
    /// Whether the listener over TLS was asked first the last time.
    tls_first: bool,
    poll: Poll,
    events: Events,
}

/// A socket that is listened on.
#[derive(Debug)]
struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// A connection as it is, or over TLS.
#[derive(Debug)]
pub enum Socket {
    /// As it is.
    Plain(TcpStream),
    /// Over TLS.
    Tls(Box<TlsStream>),
}

const LISTENER: Token = Token(usize::MAX);

const TLS_LISTENER: Token = Token(usize::MAX - 1);

/// Events that one poll returns at the most.
const EVENTS_MAX: usize = 256;

impl Listener {
    fn new(poll: &Poll, token: Token, address: SocketAddr) -> Result<Self, StartError> {
        let failed = |source| StartError::Listen { address, source };
        let mut socket = TcpListener::bind(address).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        poll.registry().register(&mut socket, token, Interest::READABLE)?;
        Ok(Self { socket, address })
    }
}

/// Descriptors of a venue that are no connections: segments, snapshots, listeners, polls.
const OTHER_DESCRIPTORS: usize = 128;

/// Makes room for the descriptors of so many connections, as far as the system allows that many. The system's
/// table of descriptors grows when it is full, and in a process with several threads whoever opens that descriptor
/// waits until no processor looks at the old table, 10 to 40 ms: the gateway, as clients connect. It never shrinks.
pub(crate) fn reserve_descriptors(connections: usize) {
    let wanted = (connections + OTHER_DESCRIPTORS) as u64;
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let highest = wanted.min(allowed).saturating_sub(1).min(i32::MAX as u64) as i32;
    let reserved = File::open("/dev/null")
        .and_then(|file| Ok(rustix::io::fcntl_dupfd_cloexec(&file, highest)?));
    if let Err(error) = reserved {
        log::debug!("the table of descriptors grows as they are needed: {error}");
    }
}

impl TcpNetwork {
    /// Listens on an address; port 0 takes a free one.
    ///
    /// # Errors
    /// [`StartError::Listen`] when the address is taken or not ours.
    pub fn listen(address: SocketAddr) -> Result<Self, StartError> {
        let mut network = Self::without_listener()?;
        network.plain = Some(Listener::new(&network.poll, LISTENER, address)?);
        Ok(network)
    }

    /// For connections that another network has accepted.
    fn without_listener() -> Result<Self, StartError> {
        Ok(Self {
            plain: None,
            tls: None,
            tls_first: false,
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_MAX),
        })
    }

    /// Listens for clients of a port, for TLS too where the configuration says so.
    ///
    /// # Errors
    /// As [`listen`](Self::listen), and [`StartError::Config`] for certificates and keys that are none.
    pub fn listen_as(config: &Config, port: Port) -> Result<Self, StartError> {
        let (listen, tls_listen) = match port {
            Port::Orders => (config.fix.listen, config.fix.tls_listen),
            Port::MarketData(listen) => (listen, config.market_data.tls_listen),
            Port::HandedOver => return Self::without_listener(),
        };
        let mut network = Self::listen(listen)?;
        if let (Some(listen), Some(tls)) = (tls_listen, config.fix.tls()?) {
            let encrypted = tls::server_config(&tls)?;
            let listener = Listener::new(&network.poll, TLS_LISTENER, listen)?;
            network.tls = Some((listener, encrypted));
        }
        Ok(network)
    }
}

impl Socket {
    fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.socket_mut(),
        }
    }
}

/// Reads what a socket has, by the system call itself: around the C library's, which is what [`Read`] calls, a
/// thread says that it may be canceled meanwhile, and then that it may not, in two locked instructions.
///
/// # Errors
/// As for [`Read::read`].
#[inline]
pub fn receive(socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let (count, _) = net::recv(socket, buffer, RecvFlags::empty())?;
    Ok(count)
}

/// Writes what a socket takes, by the system call itself, as [`receive`] reads.
///
/// # Errors
/// As for [`Write::write`].
#[inline]
pub fn send(socket: &impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(net::send(socket, bytes, SendFlags::NOSIGNAL)?)
}

impl Read for Socket {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => receive(socket, buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => send(socket, bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl TcpNetwork {
    fn accept_from(&self, over_tls: bool) -> io::Result<(Socket, SocketAddr)> {
        match &self.tls {
            Some((listener, config)) if over_tls => {
                let (socket, peer) = listener.socket.accept()?;
                let stream = TlsStream::new(socket, config.clone())?;
                Ok((Socket::Tls(Box::new(stream)), peer))
            }
            _ => {
                let listener = self.plain.as_ref().ok_or(io::ErrorKind::WouldBlock)?;
                let (socket, peer) = listener.socket.accept()?;
                Ok((Socket::Plain(socket), peer))
            }
        }
    }
}

impl Network for TcpNetwork {
    type Stream = Socket;

    fn address(&self) -> SocketAddr {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        self.plain.as_ref().map_or(nowhere, |listener| listener.address)
    }

    fn tls_address(&self) -> Option<SocketAddr> {
        self.tls.as_ref().map(|(listener, _)| listener.address)
    }

    #[inline]
    fn poll(&mut self, limit: Duration, mut ready: impl FnMut(Ready)) -> io::Result<()> {
        self.poll.poll(&mut self.events, Some(limit))?;
        for event in &self.events {
            if event.token() >= TLS_LISTENER {
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

    fn accept(&mut self) -> io::Result<(Socket, SocketAddr)> {
        // In turn, so that neither keeps the other from being heard.
        self.tls_first = !self.tls_first && self.tls.is_some();
        let first = self.accept_from(self.tls_first);
        match first {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.tls.is_some() => {
                self.accept_from(!self.tls_first)
            }
            first => first,
        }
    }

    fn register(&mut self, stream: &mut Socket, number: usize) -> io::Result<()> {
        let socket = stream.tcp();
        socket.set_nodelay(true)?;
        self.poll.registry().register(socket, Token(number), Interest::READABLE)
    }

    fn tell_of_room(&mut self, stream: &mut Socket, number: usize, wanted: bool) -> io::Result<()> {
        let interest = match wanted {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        self.poll.registry().reregister(stream.tcp(), Token(number), interest)
    }

    fn deregister(&mut self, stream: &mut Socket) {
        let _ = self.poll.registry().deregister(stream.tcp());
    }

    fn security(stream: &Socket) -> Security {
        match stream {
            Socket::Plain(_) => Security::default(),
            Socket::Tls(stream) => Security { encrypted: true, certificate: stream.certificate() },
        }
    }

    #[inline]
    fn handshake(stream: &Socket) -> Handshake {
        match stream {
            Socket::Plain(_) => Handshake::Done,
            Socket::Tls(stream) => stream.handshake(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_reserved_as_far_as_the_limit_goes() {
        let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        for connections in [1_000, 100_000] {
            reserve_descriptors(connections);
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let table = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
            let table: u64 = table.trim().parse().unwrap();
            let wanted = (connections as u64).min(allowed);
            assert!(table >= wanted, "{table} of {wanted}");
        }
    }
}
