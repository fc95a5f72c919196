//! Connections that are pipes in memory, under virtual time and a seed.
//!
//! What a network may do to bytes, and TCP does not hide, happens here: they come late and in any
//! fragments, a socket takes a part of a write or nothing, a connection breaks with bytes on the
//! way. Readiness is told the way the system tells it with edge triggering: once, when it begins.
//!
//! ```text
//! write ──▶ segments with a time of arrival ──▶ arrived bytes ──▶ read, a part at a time
//!           (at most PIPE_BYTES in a pipe, both together)
//! ```
//!
//! [`SimulatedNetwork`] is the handle of whoever drives the simulation, [`SimulatedListener`] the
//! venue's end, [`SimulatedStream`] either end of a connection.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ironbook_fix::codec::{Framed, frame};

use crate::{
    clock::{Clock, ManualClock},
    network::{Network, Port, Ready},
    random::Random,
};

/// Most bytes on the way in one direction: few enough that a reader who pauses is felt.
const PIPE_BYTES: usize = 16 * 1024;

/// Shortest and longest time that bytes are usually on the way, ns.
const USUAL_DELAY_NS: (u64, u64) = (5_000, 300_000);

/// The same for the bytes that a retransmission holds up, ns.
const LONG_DELAY_NS: (u64, u64) = (20_000_000, 900_000_000);

/// Writes of which one is held up.
const WRITES_PER_LONG_DELAY: u64 = 60;

/// Reads, or writes, of which one gets a part only.
const CALLS_PER_FRAGMENT: u64 = 4;

/// Writes of which one is not taken at all, though there is room.
const WRITES_PER_REFUSAL: u64 = 50;

/// Polls of which one is interrupted.
const POLLS_PER_INTERRUPT: u64 = 200;

/// Sees every whole message from the venue to a client, and may change it; an empty one is lost.
/// A real network does not do that: it is how a simulation is tested.
pub type Interceptor = Box<dyn FnMut(&mut Vec<u8>) + Send>;

/// The handle of whoever drives the simulation; clones are the same network.
#[derive(Clone)]
pub struct SimulatedNetwork(Arc<Mutex<State>>);

/// The venue's end of a network, or one of several: one that listens, and those to which it hands connections over.
pub struct SimulatedListener {
    network: SimulatedNetwork,
    /// Tells it from the others.
    id: u64,
    listens: bool,
}

/// One end of a connection.
pub struct SimulatedStream {
    network: SimulatedNetwork,
    wire: u64,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Client,
    Venue,
}

impl End {
    fn other(self) -> Self {
        match self {
            Self::Client => Self::Venue,
            Self::Venue => Self::Client,
        }
    }
}

struct State {
    clock: ManualClock,
    random: Random,
    wires: BTreeMap<u64, Wire>,
    wires_made: u64,
    /// Connections that the venue has not accepted.
    backlog: VecDeque<u64>,
    /// Somebody connected since the listener was last told of it.
    connected: bool,
    listening: bool,
    /// Ends of the venue that were made.
    ends: u64,
    interceptor: Option<Interceptor>,
    /// Hash of all bytes that the venue wrote.
    sent_hash: u64,
}

/// A connection.
struct Wire {
    peer: SocketAddr,
    /// Which end of the venue registered it, under which number.
    number: Option<(u64, usize)>,
    /// It broke: what was on the way is lost, and both ends learn of it.
    broken: bool,
    /// The venue was not told yet that it broke.
    broken_edge: bool,
    /// The venue wants to know when it may write again.
    tells_of_room: bool,
    to_venue: Pipe,
    to_client: Pipe,
    /// Which ends exist still: client, venue.
    held: [bool; 2],
}

/// One direction of a connection.
#[derive(Default)]
struct Pipe {
    /// On the way, with times of arrival that never fall.
    segments: VecDeque<(u64, Vec<u8>)>,
    arrived: VecDeque<u8>,
    bytes: usize,
    last_due_ns: u64,
    /// The writer has closed; the reader learns of it then.
    end_due_ns: Option<u64>,
    /// Bytes, or the end, arrived since the reader was last told.
    readable_edge: bool,
    end_told: bool,
    /// The writer was refused.
    refused: bool,
    /// Though there is room: until then.
    refused_until_ns: u64,
    /// Written and not yet a whole message, when messages are intercepted.
    partial: Vec<u8>,
}

impl SimulatedNetwork {
    /// A network without connections.
    pub fn new(clock: ManualClock, random: Random) -> Self {
        Self(Arc::new(Mutex::new(State {
            clock,
            random,
            wires: BTreeMap::new(),
            wires_made: 0,
            backlog: VecDeque::new(),
            connected: false,
            listening: false,
            ends: 0,
            interceptor: None,
            sent_hash: FNV_BASIS,
        })))
    }

    /// Lets somebody see, and change, all messages from the venue.
    pub fn intercept(&self, interceptor: Interceptor) {
        self.state().interceptor = Some(interceptor);
    }

    /// The end of the network for a venue that starts. The one before must be gone.
    pub fn listen(&self) -> SimulatedListener {
        self.listen_as(Port::Orders)
    }

    /// The end of the network for a port of a venue that starts.
    pub fn listen_as(&self, port: Port) -> SimulatedListener {
        let mut state = self.state();
        let listens = port != Port::HandedOver;
        assert!(!(listens && state.listening), "one venue listens at a time");
        state.listening |= listens;
        state.ends += 1;
        SimulatedListener { network: self.clone(), id: state.ends, listens }
    }

    /// A connection from this address.
    ///
    /// # Errors
    /// [`io::ErrorKind::ConnectionRefused`] when no venue listens.
    pub fn connect(&self, from: IpAddr) -> io::Result<SimulatedStream> {
        let mut state = self.state();
        if !state.listening {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let wire = state.wires_made;
        state.wires_made += 1;
        let peer = SocketAddr::new(from, 10_000 + (wire % 50_000) as u16);
        let made = Wire {
            peer,
            number: None,
            broken: false,
            broken_edge: false,
            tells_of_room: false,
            to_venue: Pipe::default(),
            to_client: Pipe::default(),
            held: [true, true],
        };
        state.wires.insert(wire, made);
        state.backlog.push_back(wire);
        state.connected = true;
        drop(state);
        Ok(SimulatedStream { network: self.clone(), wire, end: End::Client })
    }

    /// Breaks all connections: the machine at one end of them is gone.
    pub fn break_all(&self) {
        self.state().wires.values_mut().for_each(Wire::break_off);
    }

    /// When bytes, or an end, arrive next, or a socket takes bytes again; now, while the venue was not
    /// told of one that did: a poll may be interrupted.
    pub fn next_event_ns(&self) -> Option<u64> {
        let mut state = self.state();
        let now = state.clock.now().0;
        if state.connected || state.wires.values_mut().any(|wire| wire.has_news(now)) {
            return Some(now);
        }
        let pipes = state.wires.values_mut();
        let pipes = pipes.flat_map(|wire| [&mut wire.to_venue, &mut wire.to_client]);
        pipes.filter_map(|pipe| pipe.next_event_ns(now)).min()
    }

    /// Hash of all bytes that the venue wrote, on which connection, and where the writes ended.
    pub fn sent_hash(&self) -> u64 {
        self.state().sent_hash
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn delay_ns(&mut self) -> u64 {
        let long = self.random.one_in(WRITES_PER_LONG_DELAY);
        let (least, most) = if long { LONG_DELAY_NS } else { USUAL_DELAY_NS };
        self.random.between(least, most)
    }

    /// All of `most`, or now and then a part.
    fn fragment(&mut self, most: usize) -> usize {
        if most > 1 && self.random.one_in(CALLS_PER_FRAGMENT) {
            self.random.between(1, most as u64 - 1) as usize
        } else {
            most
        }
    }

    fn read(&mut self, number: u64, end: End, buffer: &mut [u8]) -> io::Result<usize> {
        let now = self.clock.now().0;
        let Some(wire) = self.wires.get_mut(&number) else {
            return Err(io::ErrorKind::ConnectionReset.into());
        };
        if wire.broken {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let pipe = wire.incoming(end);
        pipe.arrive(now);
        if pipe.arrived.is_empty() {
            return match pipe.end_due_ns {
                Some(due) if due <= now && pipe.segments.is_empty() => Ok(0),
                _ => Err(io::ErrorKind::WouldBlock.into()),
            };
        }
        let most = pipe.arrived.len().min(buffer.len());
        let count = self.fragment(most);
        let wire = self.wires.get_mut(&number).expect("found above");
        let pipe = wire.incoming(end);
        for (place, byte) in buffer.iter_mut().zip(pipe.arrived.drain(..count)) {
            *place = byte;
        }
        pipe.bytes -= count;
        Ok(count)
    }

    fn write(&mut self, number: u64, end: End, bytes: &[u8]) -> io::Result<usize> {
        let now = self.clock.now().0;
        let refuse = self.random.one_in(WRITES_PER_REFUSAL);
        let delay = self.delay_ns();
        let most = self.fragment(bytes.len());
        let Some(wire) = self.wires.get_mut(&number) else {
            return Err(io::ErrorKind::ConnectionReset.into());
        };
        if wire.broken || !wire.held[end.other() as usize] {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let pipe = wire.incoming(end.other());
        let count = most.min(PIPE_BYTES.saturating_sub(pipe.bytes));
        if count == 0 || refuse {
            pipe.refused = true;
            pipe.refused_until_ns = if count == 0 { now } else { now + delay };
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let bytes = &bytes[..count];
        match (&mut self.interceptor, end) {
            (Some(interceptor), End::Venue) => {
                pipe.partial.extend_from_slice(bytes);
                let passed = intercept(&mut pipe.partial, interceptor);
                pipe.send(now + delay, passed);
            }
            _ => pipe.send(now + delay, bytes.to_vec()),
        }
        if end == End::Venue {
            let position = number.to_le_bytes().into_iter().chain(bytes.iter().copied());
            self.sent_hash = fnv(self.sent_hash, position);
        }
        Ok(count)
    }

    /// An end is closed in order: the other learns of it behind the bytes on the way.
    fn close(&mut self, number: u64, end: End) {
        let now = self.clock.now().0;
        let delay = self.delay_ns();
        let Some(wire) = self.wires.get_mut(&number) else { return };
        wire.held[end as usize] = false;
        if wire.held == [false, false] {
            self.wires.remove(&number);
            self.backlog.retain(|waiting| *waiting != number);
            return;
        }
        // Bytes that nobody will read make it a break, as they do with TCP.
        if wire.incoming(end).bytes > 0 {
            wire.break_off();
            return;
        }
        let pipe = wire.incoming(end.other());
        pipe.end_due_ns = Some(pipe.last_due_ns.max(now + delay));
    }
}

/// Takes whole messages off `partial` and gives back what becomes of them.
fn intercept(partial: &mut Vec<u8>, interceptor: &mut Interceptor) -> Vec<u8> {
    let mut passed = Vec::new();
    while let Framed::Message { len } = frame(partial) {
        let mut message: Vec<u8> = partial.drain(..len).collect();
        interceptor(&mut message);
        passed.append(&mut message);
    }
    passed
}

impl Wire {
    /// The pipe that this end reads.
    fn incoming(&mut self, end: End) -> &mut Pipe {
        match end {
            End::Client => &mut self.to_client,
            End::Venue => &mut self.to_venue,
        }
    }

    fn break_off(&mut self) {
        self.broken = true;
        self.broken_edge = true;
        for pipe in [&mut self.to_venue, &mut self.to_client] {
            *pipe = Pipe::default();
        }
    }

    /// Whoever registers it is told what was told already to whoever had it before.
    fn tell_again(&mut self, now: u64) {
        self.to_venue.arrive(now);
        self.to_venue.readable_edge |= !self.to_venue.arrived.is_empty() || self.to_venue.end_told;
        self.broken_edge |= self.broken;
        self.tells_of_room = false;
    }

    /// Whether there is something to tell the venue of this connection.
    fn has_news(&mut self, now: u64) -> bool {
        self.to_venue.arrive(now);
        let news = self.broken_edge || self.to_venue.readable_edge || self.has_room(now);
        self.number.is_some() && self.held[End::Venue as usize] && news
    }

    /// Whether it takes bytes of the venue again, who wants to know.
    fn has_room(&self, now: u64) -> bool {
        self.tells_of_room && self.to_client.is_free(now)
    }

    /// What an end of the venue is to be told of this connection, once.
    fn ready(&mut self, end: u64, now: u64) -> Option<Ready> {
        let (_, number) = self.number.filter(|(of, _)| *of == end)?;
        if self.broken {
            let told = !std::mem::take(&mut self.broken_edge);
            return (!told).then_some(Ready::Connection { number, readable: true, writable: true });
        }
        self.to_venue.arrive(now);
        let readable = std::mem::take(&mut self.to_venue.readable_edge);
        let writable = self.has_room(now);
        self.to_client.refused &= !writable;
        (readable || writable).then_some(Ready::Connection { number, readable, writable })
    }
}

impl Pipe {
    fn send(&mut self, due_ns: u64, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        self.last_due_ns = self.last_due_ns.max(due_ns);
        self.bytes += bytes.len();
        self.segments.push_back((self.last_due_ns, bytes));
    }

    /// Whether it takes bytes again, and the writer was refused before.
    fn is_free(&self, now: u64) -> bool {
        self.refused && self.bytes < PIPE_BYTES && self.refused_until_ns <= now
    }

    fn next_event_ns(&mut self, now: u64) -> Option<u64> {
        self.arrive(now);
        let segment = self.segments.front().map(|(due, _)| *due);
        let refused = self.refused.then_some(self.refused_until_ns);
        let times = [segment, self.end_due_ns, refused];
        times.into_iter().flatten().filter(|due| *due > now).min()
    }

    fn arrive(&mut self, now: u64) {
        while self.segments.front().is_some_and(|(due, _)| *due <= now) {
            let (_, bytes) = self.segments.pop_front().expect("there is one");
            self.arrived.extend(bytes);
            self.readable_edge = true;
        }
        if self.end_due_ns.is_some_and(|due| due <= now) && !self.end_told {
            self.end_told = true;
            self.readable_edge = true;
        }
    }
}

impl SimulatedStream {
    /// Breaks the connection: both ends learn of it, and what was on the way is lost.
    pub fn break_off(&self) {
        if let Some(wire) = self.network.state().wires.get_mut(&self.wire) {
            wire.break_off();
        }
    }
}

impl Read for SimulatedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.network.state().read(self.wire, self.end, buffer)
    }
}

impl Write for SimulatedStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.network.state().write(self.wire, self.end, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for SimulatedStream {
    fn drop(&mut self) {
        self.network.state().close(self.wire, self.end);
    }
}

impl fmt::Debug for SimulatedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimulatedStream({}, {:?})", self.wire, self.end)
    }
}

impl Network for SimulatedListener {
    type Stream = SimulatedStream;

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 9_878))
    }

    fn poll(&mut self, _: Duration, mut ready: impl FnMut(Ready)) -> io::Result<()> {
        let mut state = self.network.state();
        let now = state.clock.now().0;
        if state.random.one_in(POLLS_PER_INTERRUPT) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if self.listens && std::mem::take(&mut state.connected) {
            ready(Ready::Listener);
        }
        state.wires.values_mut().filter_map(|wire| wire.ready(self.id, now)).for_each(ready);
        Ok(())
    }

    fn accept(&mut self) -> io::Result<(SimulatedStream, SocketAddr)> {
        let mut state = self.network.state();
        let wire = state.backlog.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        let peer = state.wires[&wire].peer;
        drop(state);
        Ok((SimulatedStream { network: self.network.clone(), wire, end: End::Venue }, peer))
    }

    fn register(&mut self, stream: &mut SimulatedStream, number: usize) -> io::Result<()> {
        let mut state = self.network.state();
        let now = state.clock.now().0;
        if let Some(wire) = state.wires.get_mut(&stream.wire) {
            wire.number = Some((self.id, number));
            wire.tell_again(now);
        }
        Ok(())
    }

    fn tell_of_room(
        &mut self,
        stream: &mut SimulatedStream,
        _: usize,
        wanted: bool,
    ) -> io::Result<()> {
        if let Some(wire) = self.network.state().wires.get_mut(&stream.wire) {
            wire.tells_of_room = wanted;
        }
        Ok(())
    }

    fn deregister(&mut self, stream: &mut SimulatedStream) {
        if let Some(wire) = self.network.state().wires.get_mut(&stream.wire) {
            wire.number = None;
        }
    }
}

/// Whoever waits to be accepted is turned away.
impl Drop for SimulatedListener {
    fn drop(&mut self) {
        let mut state = self.network.state();
        if !self.listens {
            return;
        }
        state.listening = false;
        state.connected = false;
        for number in std::mem::take(&mut state.backlog) {
            if let Some(wire) = state.wires.get_mut(&number) {
                wire.held[End::Venue as usize] = false;
                wire.break_off();
            }
        }
    }
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, gone on with.
fn fnv(hash: u64, bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use ironbook_engine::Timestamp;

    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    struct World {
        clock: ManualClock,
        network: SimulatedNetwork,
        listener: SimulatedListener,
    }

    impl World {
        fn new(seed: u64) -> Self {
            let clock = ManualClock::default();
            let network = SimulatedNetwork::new(clock.clone(), Random::new(seed));
            let listener = network.listen();
            Self { clock, network, listener }
        }

        fn connect(&mut self) -> (SimulatedStream, SimulatedStream) {
            let client = self.network.connect(LOCAL).expect("a venue");
            assert!(self.poll().contains(&Ready::Listener));
            let (mut venue, _) = self.listener.accept().expect("a connection");
            self.listener.register(&mut venue, 7).expect("registered");
            (client, venue)
        }

        /// What is told now, past an interruption.
        fn poll(&mut self) -> Vec<Ready> {
            let mut told = Vec::new();
            while self.listener.poll(Duration::ZERO, |ready| told.push(ready)).is_err() {}
            told
        }

        /// Moves the clock to where something happens; false when nothing will.
        fn next(&self) -> bool {
            let next = self.network.next_event_ns();
            next.into_iter().for_each(|at| self.clock.set(Timestamp(at)));
            next.is_some()
        }
    }

    /// Reads what is there, as the parts that it came in.
    fn read_parts(stream: &mut SimulatedStream) -> io::Result<Vec<Vec<u8>>> {
        let (mut parts, mut buffer) = (Vec::new(), [0; 1_000]);
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(parts),
                Ok(count) => parts.push(buffer[..count].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(parts),
                Err(error) => return Err(error),
            }
        }
    }

    fn read(stream: &mut SimulatedStream) -> io::Result<Vec<u8>> {
        read_parts(stream).map(|parts| parts.concat())
    }

    /// Sends bytes to the venue, which reads only when it is told to; gives back the sizes of the
    /// parts that came.
    fn transfer(seed: u64) -> Vec<usize> {
        let mut world = World::new(seed);
        let (mut client, mut venue) = world.connect();
        let sent: Vec<u8> = (0..100_000_u32).map(|byte| (byte * 7 % 251) as u8).collect();
        let (mut written, mut got, mut sizes) = (0, Vec::new(), Vec::new());
        while got.len() < sent.len() {
            while written < sent.len()
                && let Ok(count) = client.write(&sent[written..])
            {
                written += count;
            }
            let readable = Ready::Connection { number: 7, readable: true, writable: false };
            if world.poll().contains(&readable) {
                for part in read_parts(&mut venue).expect("no break") {
                    sizes.push(part.len());
                    got.extend(part);
                }
            }
            world.next();
        }
        assert!(got == sent, "in order, and nothing else");
        sizes
    }

    #[test]
    fn nothing_that_the_venue_was_not_told_of_is_slept_through() {
        let mut refusals = 0;
        for seed in 0..200 {
            let mut world = World::new(seed);
            let (mut client, mut venue) = world.connect();
            world.listener.tell_of_room(&mut venue, 7, true).expect("a connection");
            assert_eq!(world.network.next_event_ns(), None, "all is told");
            let refused = (0..100).any(|_| venue.write(b"x").is_err());
            if !refused {
                continue;
            }
            refusals += 1;
            // To where the socket takes bytes again, and past it: the poll that would have told was not
            // made, or interrupted.
            while world.network.next_event_ns().is_some_and(|at| at > world.clock.now().0) {
                world.next();
            }
            let now = world.clock.now().0;
            world.clock.set(Timestamp(now + 1));
            assert_eq!(world.network.next_event_ns(), Some(now + 1), "seed {seed}");
            let writable = Ready::Connection { number: 7, readable: false, writable: true };
            assert!(world.poll().contains(&writable), "seed {seed}");
            assert_ne!(world.network.next_event_ns(), Some(now + 1), "told once");
            drop(read(&mut client));
        }
        assert!(refusals > 20, "{refusals}");
    }

    #[test]
    fn bytes_arrive_whole_in_fragments_that_the_seed_decides() {
        let sizes = transfer(1);
        assert!(sizes.iter().any(|&size| size < 1_000), "{sizes:?}");
        assert_eq!(sizes, transfer(1));
        assert_ne!(sizes, transfer(2));
    }

    #[test]
    fn readiness_is_told_once_when_it_begins() {
        let mut world = World::new(3);
        let (mut client, mut venue) = world.connect();
        while client.write(b"abc").is_err() {
            world.next();
        }
        assert_eq!(world.poll(), [], "nothing has arrived");
        world.next();
        let readable = Ready::Connection { number: 7, readable: true, writable: false };
        assert_eq!(world.poll(), [readable]);
        assert_eq!(world.poll(), [], "told already");
        // A full pipe: the writer is told when the reader has made room, and not before.
        while venue.write(&[0; 1_000]).is_ok() || world.next() {
            world.poll();
        }
        assert_eq!(world.poll(), []);
        assert!(!read(&mut client).expect("no break").is_empty());
        assert_eq!(world.poll(), [], "nobody wants to know");
        world.listener.tell_of_room(&mut venue, 7, true).expect("a connection");
        let writable = Ready::Connection { number: 7, readable: false, writable: true };
        assert_eq!(world.poll(), [writable]);
        assert_eq!(world.poll(), []);
    }

    #[test]
    fn a_close_comes_behind_the_bytes_and_a_break_loses_them() {
        let mut world = World::new(4);
        let (client, mut venue) = world.connect();
        while venue.write(b"last").is_err() {
            world.next();
        }
        drop(venue);
        let mut client = client;
        while world.next() {}
        assert_eq!(read(&mut client).expect("no break"), b"last");
        assert_eq!(client.read(&mut [0; 8]).expect("the end"), 0);
        let (mut client, mut venue) = world.connect();
        while client.write(b"lost").is_err() {
            world.next();
        }
        client.break_off();
        assert_eq!(world.poll().len(), 1);
        assert!(read(&mut venue).is_err() && venue.write(b"x").is_err());
        drop(world.listener);
        assert!(world.network.connect(LOCAL).is_err(), "nobody listens");
    }

    #[test]
    fn a_connection_goes_from_one_end_of_the_venue_to_another() {
        let mut world = World::new(6);
        let mut other = world.network.listen_as(Port::HandedOver);
        let (mut client, mut venue) = world.connect();
        let send = |client: &mut SimulatedStream, world: &World| {
            while client.write(b"abc").is_err() {
                world.next();
            }
            world.next();
        };
        let ask = |of: &mut SimulatedListener| {
            let mut told = Vec::new();
            while of.poll(Duration::ZERO, |ready| told.push(ready)).is_err() {}
            told
        };
        send(&mut client, &world);
        assert_eq!(ask(&mut other), [], "it is not its own");
        let readable = |number| Ready::Connection { number, readable: true, writable: false };
        assert_eq!(world.poll(), [readable(7)]);
        // What was told already, and is not read, is told to whoever has it now.
        world.listener.deregister(&mut venue);
        other.register(&mut venue, 3).expect("registered");
        assert_eq!((world.poll(), ask(&mut other)), (vec![], vec![readable(3)]));
        assert_eq!(ask(&mut other), [], "once");
        let mut got = read(&mut venue).expect("no break");
        while got.len() < 3 {
            world.next();
            got.extend(read(&mut venue).expect("no break"));
        }
        send(&mut client, &world);
        assert_eq!((world.poll(), ask(&mut other)), (vec![], vec![readable(3)]));
        // Somebody who connects is told to the one that listens.
        let _more = world.network.connect(LOCAL).expect("a venue");
        assert_eq!((ask(&mut other), world.poll()), (vec![], vec![Ready::Listener]));
        drop(other);
        assert!(world.network.connect(LOCAL).is_ok(), "it still listens");
    }

    #[test]
    fn messages_are_intercepted_whole() {
        let mut world = World::new(5);
        let (mut client, mut venue) = world.connect();
        let message = |text: &str| {
            let body = format!("35=0\x0158={text}\x01");
            let bytes = format!("8=FIX.4.4\x019={}\x01{body}", body.len());
            let sum = ironbook_fix::codec::checksum(bytes.as_bytes());
            format!("{bytes}10={sum:03}\x01").into_bytes()
        };
        let second = message("second");
        world.network.intercept(Box::new(move |bytes| {
            if *bytes == second {
                bytes.clear();
            }
        }));
        let sent = [message("first"), message("second"), message("third")].concat();
        let mut written = 0;
        while written < sent.len() {
            match venue.write(&sent[written..]) {
                Ok(count) => written += count,
                Err(_) => assert!(world.next()),
            }
        }
        while world.next() {}
        let got = read(&mut client).expect("no break");
        let got = String::from_utf8(got).expect("ASCII");
        let expected = [message("first"), message("third")].concat();
        assert_eq!(got, String::from_utf8(expected).expect("ASCII"));
    }
}
