//! A connection's bytes: what came in and was not used yet, what goes out and was not taken
//! yet. Bounded both ways, and no waiting.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
};

/// Room for bytes that came in: several messages, so that one read serves a burst.
const IN_BYTES: usize = 64 * 1024;

/// Room for bytes going out that every connection starts with.
const OUT_BYTES: usize = 64 * 1024;

/// A connection and its buffers.
#[derive(Debug)]
pub struct Connection<S> {
    stream: S,
    peer: SocketAddr,
    input: Vec<u8>,
    /// Bytes of `input` that were used; those behind them came later.
    used: usize,
    filled: usize,
    /// What goes out.
    pub output: Vec<u8>,
    taken: usize,
    output_max: usize,
}

/// What became of a look at the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// This many bytes came.
    Bytes(usize),
    /// Nothing there now.
    Nothing,
    /// The buffer is full: use what is there first.
    Full,
    /// The client closed, or the connection broke.
    Closed,
}

/// Why a connection can't be written to any more.
#[derive(Debug)]
pub enum WriteFailure {
    /// The connection broke.
    Broken(io::Error),
    /// More bytes wait for the client than are allowed: he reads too slowly.
    TooSlow {
        /// Bytes that wait.
        waiting: usize,
    },
}

impl<S: Read + Write> Connection<S> {
    /// A connection that may have `output_max` bytes waiting, and messages of up to
    /// `message_max` bytes.
    pub fn new(stream: S, peer: SocketAddr, message_max: usize, output_max: usize) -> Self {
        Self {
            stream,
            peer,
            input: vec![0; IN_BYTES.max(2 * message_max)],
            used: 0,
            filled: 0,
            output: Vec::with_capacity(OUT_BYTES),
            taken: 0,
            output_max,
        }
    }

    /// The socket.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// The socket, to be registered.
    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The other end.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Reads what is there.
    #[inline]
    pub fn read(&mut self) -> ReadOutcome {
        if self.used == self.filled {
            (self.used, self.filled) = (0, 0);
        } else if self.filled == self.input.len() {
            if self.used == 0 {
                return ReadOutcome::Full;
            }
            self.input.copy_within(self.used..self.filled, 0);
            (self.used, self.filled) = (0, self.filled - self.used);
        }
        loop {
            match self.stream.read(&mut self.input[self.filled..]) {
                Ok(0) => return ReadOutcome::Closed,
                Ok(count) => {
                    self.filled += count;
                    return ReadOutcome::Bytes(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return ReadOutcome::Nothing;
                }
                Err(_) => return ReadOutcome::Closed,
            }
        }
    }

    /// Bytes that came in and were not used yet.
    #[inline]
    pub fn unused(&self) -> &[u8] {
        &self.input[self.used..self.filled]
    }

    /// Marks bytes as used.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        debug_assert!(self.used + count <= self.filled);
        self.used += count;
    }

    /// Whether bytes wait to go out.
    #[inline]
    pub fn has_output(&self) -> bool {
        self.taken < self.output.len()
    }

    /// Writes what the socket takes.
    ///
    /// # Errors
    /// [`WriteFailure`]; the connection is of no use then.
    #[inline]
    pub fn write(&mut self) -> Result<(), WriteFailure> {
        while self.has_output() {
            match self.stream.write(&self.output[self.taken..]) {
                Ok(count) => self.taken += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.make_space();
                    return self.check_waiting();
                }
                Err(error) => return Err(WriteFailure::Broken(error)),
            }
        }
        self.output.clear();
        self.taken = 0;
        Ok(())
    }

    /// Refuses to keep more waiting than is allowed.
    ///
    /// # Errors
    /// [`WriteFailure::TooSlow`].
    pub fn check_waiting(&self) -> Result<(), WriteFailure> {
        let waiting = self.waiting();
        if waiting > self.output_max { Err(WriteFailure::TooSlow { waiting }) } else { Ok(()) }
    }

    /// Drops bytes that were taken once they are the larger part.
    fn make_space(&mut self) {
        if self.taken > self.waiting() {
            self.output.drain(..self.taken);
            self.taken = 0;
        }
    }

    /// Bytes that wait to go out.
    pub fn waiting(&self) -> usize {
        self.output.len() - self.taken
    }
}
