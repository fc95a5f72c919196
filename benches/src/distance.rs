//! The three distances, and beside each the floor of the machine.
//!
//! | distance | what is inside | its floor |
//! |---|---|---|
//! | [`engine`] | commands applied, events built and dropped | |
//! | [`pipeline`](crate::open_loop::pipeline) | ring, engine, journal: commands in at one thread, frames out at another | [`ring_hop`], [`Copies`] |
//! | [`socket`] | FIX socket to FIX socket | [`echo`]: the same sizes, echoed without a thought |

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use ironbook_engine::{Command, Engine, EngineLimits, Sequencer, Timestamp, sink::CountingSink};
use ironbook_fix::{
    field::Decimal,
    order::{NewOrderSingle, Side},
};
use ironbook_gateway::{
    client::{Access, Client, ClientError},
    clock::{Clock, SystemClock},
    config::{Config, Cpu},
    network,
    venue::{StartError, Venue},
};
use ironbook_journal::{OpenError, Options, Writer};
use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;

use crate::{
    load::{LoadError, latency_histogram},
    workload::{RequestId, preparation},
};

/// Why a measurement could not be made.
#[derive(Debug, Error)]
pub enum MeasureError {
    /// The system refused something.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The journal can't be opened.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The venue does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The client can't go on.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A load is not complete.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Pins this thread to a processor, if the machine has it.
pub fn pin(cpu: usize) {
    core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
}

/// Processor time of this thread in seconds.
pub fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Processor of the measuring side.
pub const NEAR_CPU: usize = 0;
/// Processor of what is measured.
pub const FAR_CPU: usize = 1;

/// An engine with its instruments defined, and the sequencer behind it.
pub fn prepared_engine(instruments: u32) -> (Engine, Sequencer) {
    let mut sequencer = Sequencer::default();
    let mut engine = Engine::new(EngineLimits::default());
    let mut sink = CountingSink::default();
    for command in preparation(instruments) {
        let stamp = sequencer.stamp(Timestamp(1));
        sequencer.resume_at(engine.apply(stamp, &command, &mut sink));
    }
    assert_eq!(engine.instruments().count(), instruments as usize, "all are defined");
    (engine, sequencer)
}

/// Applies commands in this thread; returns the time and the number of events.
pub fn engine(instruments: u32, commands: &[Command]) -> (Duration, u64) {
    let mut time = Duration::ZERO;
    let events = engine_in_turns(instruments, commands, commands.len(), |_, took| time += took);
    (time, events)
}

/// Applies commands in this thread, so many in a turn; returns the number of events. `each` hears how many commands a
/// turn had, and how long they took, and may measure something else before the next.
pub fn engine_in_turns(
    instruments: u32,
    commands: &[Command],
    turn: usize,
    mut each: impl FnMut(usize, Duration),
) -> u64 {
    let (mut engine, mut sequencer) = prepared_engine(instruments);
    let mut sink = CountingSink::default();
    let mut number = 0;
    for part in commands.chunks(turn.max(1)) {
        let start = Instant::now();
        for command in part {
            engine.look_ahead(|ahead| commands.get(number + ahead));
            let stamp = sequencer.stamp(Timestamp(number as u64));
            sequencer.resume_at(engine.apply(stamp, command, &mut sink));
            number += 1;
        }
        each(part.len(), start.elapsed());
    }
    sink.events
}

/// Longest wait for segments to be made ready.
const READY_MAX: Duration = Duration::from_secs(30);

/// Opens a journal in `dir`, whose helpers stay on the near processor, and waits until its segments are
/// ready: making them takes time from the processor that they are made on. Tells how long it took.
///
/// # Errors
/// When the journal can't be opened, or its segments don't get ready.
pub fn ready_journal(dir: &Path, options: Options) -> Result<(Writer, Duration), MeasureError> {
    pin(NEAR_CPU);
    let opened = Instant::now();
    let ahead = options.prepared_ahead;
    let (journal, _) = ironbook_journal::open(dir, options)?;
    wait_until_ready(ahead, || journal.prepared_ahead(), || journal.status())?;
    Ok((journal, opened.elapsed()))
}

/// Waits until so many segments are ready: what prepares them takes its time from what is measured.
fn wait_until_ready(
    ahead: u32,
    ready: impl Fn() -> u64,
    status: impl Fn() -> Option<String>,
) -> io::Result<()> {
    let begun = Instant::now();
    while ready() < u64::from(ahead) {
        if begun.elapsed() > READY_MAX {
            let status = status().unwrap_or_default();
            return Err(io::Error::other(format!("segments don't get ready: {status}")));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Round trips over two rings between two processors, nothing else: the floor of a hand-over.
///
/// # Errors
/// When the other thread fails.
pub fn ring_hop(rounds: u64) -> Result<Histogram<u64>, MeasureError> {
    let (to, at_far) = crossbeam_ring::<u64>();
    let (back, at_near) = crossbeam_ring::<u64>();
    let far = thread::spawn(move || {
        pin(FAR_CPU);
        for _ in 0..rounds {
            let value = spin_receive(&at_far);
            while back.try_send(value).is_err() {
                std::hint::spin_loop();
            }
        }
    });
    pin(NEAR_CPU);
    let mut latency = latency_histogram();
    for round in 0..rounds {
        let start = Instant::now();
        while to.try_send(round).is_err() {
            std::hint::spin_loop();
        }
        spin_receive(&at_near);
        latency.saturating_record(start.elapsed().as_nanos() as u64);
    }
    far.join().map_err(|_| io::Error::other("the other thread panicked"))?;
    Ok(latency)
}

fn crossbeam_ring<T>() -> (crossbeam_channel::Sender<T>, crossbeam_channel::Receiver<T>) {
    crossbeam_channel::bounded(1_024)
}

fn spin_receive<T: Default>(from: &crossbeam_channel::Receiver<T>) -> T {
    loop {
        match from.try_recv() {
            Ok(value) => return value,
            Err(crossbeam_channel::TryRecvError::Empty) => std::hint::spin_loop(),
            Err(crossbeam_channel::TryRecvError::Disconnected) => return T::default(),
        }
    }
}

/// Memory that a processor's own caches don't hold, for [`Copies`].
pub const FAR_MEMORY: usize = 64 << 20;
/// Memory that they hold wherever its pages are: of a megabyte a second-level cache loses some, or all where it is smaller.
pub const NEAR_MEMORY: usize = 128 << 10;

/// Copies of so many bytes into memory that was written before, one behind the other: the floor of an append.
pub struct Copies {
    source: Vec<u8>,
    target: Vec<u8>,
    at: usize,
}

impl Copies {
    /// Of so many bytes each, through so much memory again and again.
    ///
    /// # Panics
    /// When a copy has no bytes, or more than the memory.
    pub fn new(bytes: usize, memory: usize) -> Self {
        assert!((1..=memory).contains(&bytes), "copies of {bytes} bytes in {memory}");
        Self { source: vec![7; bytes], target: vec![1; memory], at: 0 }
    }

    /// Nanoseconds that a copy takes, of so many.
    pub fn ns(&mut self, rounds: usize) -> f64 {
        let bytes = self.source.len();
        let start = Instant::now();
        for _ in 0..rounds {
            let place = &mut self.target[self.at..self.at + bytes];
            place.copy_from_slice(std::hint::black_box(&self.source));
            std::hint::black_box(&self.target);
            self.at += bytes;
            if self.at + bytes > self.target.len() {
                self.at = 0;
            }
        }
        start.elapsed().as_nanos() as f64 / rounds as f64
    }
}

/// Nanoseconds between two looks at the clock in a loop that does nothing else: what the machine
/// takes away by itself.
pub fn noise(duration: Duration) -> Histogram<u64> {
    let mut gaps = latency_histogram();
    let start = Instant::now();
    let mut last = start;
    while last - start < duration {
        let now = Instant::now();
        gaps.saturating_record((now - last).as_nanos() as u64);
        last = now;
    }
    gaps
}

/// Pages that [`pages_in_use`] touches in a round, which takes some microseconds where all of them are there.
pub const PAGES: usize = 1_000;

/// Bytes of a page of memory.
const PAGE_BYTES: usize = 4_096;

/// Bytes of a line of the caches.
const LINE_BYTES: usize = 64;

/// Time between two of its rounds.
const ROUND: Duration = Duration::from_micros(100);

/// Nanoseconds for a word of each of [`PAGES`] pages, again and again. A host that puts memory of its guests away, or
/// moves it, shows here and nowhere else: the guest sees no fault, and an empty loop needs no memory.
pub fn pages_in_use(duration: Duration) -> Histogram<u64> {
    let mut rounds = latency_histogram();
    // Written, so that the system gives a page for each.
    let mut pages = vec![[1_u8; PAGE_BYTES]; PAGES];
    let start = Instant::now();
    let mut due = start;
    while due - start < duration {
        let begun = Instant::now();
        if begun < due {
            std::hint::spin_loop();
            continue;
        }
        // Not all in the same lines of the cache.
        for (page, line) in pages.iter_mut().zip((0..PAGE_BYTES / LINE_BYTES).cycle()) {
            page[line * LINE_BYTES] = page[line * LINE_BYTES].wrapping_add(1);
        }
        std::hint::black_box(&pages);
        rounds.saturating_record(begun.elapsed().as_nanos() as u64);
        due = (due + ROUND).max(begun);
    }
    rounds
}

/// Bytes of the workload's NewOrderSingle and of its report, which the echo takes over.
pub const REQUEST_BYTES: usize = 160;
/// See [`REQUEST_BYTES`].
pub const REPORT_BYTES: usize = 250;

/// Round trips of a request and a report over loopback TCP, both ends spinning: the floor of
/// [`socket`].
///
/// # Errors
/// When the system refuses a socket.
pub fn echo(rounds: u64) -> Result<Histogram<u64>, MeasureError> {
    let (mut stream, far) = connect_to_echo(rounds)?;
    let mut latency = latency_histogram();
    let mut bytes = [0; 4_096];
    let request = [7; REQUEST_BYTES];
    for _ in 0..rounds {
        let start = Instant::now();
        write_spinning(&mut stream, &request)?;
        read_spinning(&mut stream, &mut bytes, REPORT_BYTES)?;
        latency.saturating_record(start.elapsed().as_nanos() as u64);
    }
    far.join().map_err(|_| io::Error::other("the echo panicked"))??;
    Ok(latency)
}

/// Requests that the echo answers at once at the most.
pub(crate) const ECHO_BATCH: usize = 64;

/// Starts the other end of an echo on the far processor, for so many requests, and connects to it. It has answered
/// a request more by then: a host may take tens of milliseconds to wake a processor that was idle.
pub(crate) fn connect_to_echo(
    count: u64,
) -> Result<(TcpStream, thread::JoinHandle<io::Result<()>>), MeasureError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let far = thread::spawn(move || -> io::Result<()> {
        pin(FAR_CPU);
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut bytes = vec![0; REQUEST_BYTES * ECHO_BATCH];
        let reports = [7; REPORT_BYTES * ECHO_BATCH];
        let (mut got, mut answered) = (0, 0);
        while answered < count + 1 {
            got += read_some(&mut stream, &mut bytes)?;
            let whole = (got / REQUEST_BYTES) as u64 - answered;
            write_spinning(&mut stream, &reports[..whole as usize * REPORT_BYTES])?;
            answered += whole;
        }
        Ok(())
    });
    pin(NEAR_CPU);
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    write_spinning(&mut stream, &[7; REQUEST_BYTES])?;
    read_spinning(&mut stream, &mut [0; REPORT_BYTES], REPORT_BYTES)?;
    Ok((stream, far))
}

/// What there is to read, which may be nothing.
pub(crate) fn read_some(stream: &mut TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
    match network::receive(stream, bytes) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(read) => Ok(read),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error),
    }
}

/// Writes all. Both ends have fewer bytes under way than their sockets hold, so neither waits for
/// the other for ever.
pub(crate) fn write_spinning(stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match network::send(stream, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn read_spinning(stream: &mut TcpStream, bytes: &mut [u8], wanted: usize) -> io::Result<()> {
    let mut got = 0;
    while got < wanted {
        got += read_some(stream, bytes)?;
    }
    Ok(())
}

/// A venue for measuring, in this process: pinned, on a free port, with its journal in `dir`.
///
/// # Errors
/// When the venue does not start.
pub fn venue(dir: &Path) -> Result<Venue, MeasureError> {
    ready_venue(&config(dir), false)
}

/// A venue that has nothing left to do for its start, with stages measured or not.
///
/// # Errors
/// When the venue does not start, or its journal doesn't get ready.
pub fn ready_venue(config: &Config, stages: bool) -> Result<Venue, MeasureError> {
    let venue = Venue::start_and_measure(config, stages)?;
    let ahead = config.journal.prepared_ahead;
    wait_until_ready(ahead, || venue.segments_ahead(), || venue.storage_status())?;
    Ok(venue)
}

/// Configuration of [`venue`].
pub fn config(dir: &Path) -> Config {
    let mut config = Config::default();
    config.venue.data_dir = dir.to_owned();
    config.fix.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.threads.core_cpu = Cpu::Index(FAR_CPU);
    config
}

/// Round trips from a NewOrderSingle to its report, one at a time, both ends spinning: from the first byte
/// written until the last is read. Every order rests, so that each has one report; at the end a mass of them is left in the book.
///
/// # Errors
/// When the venue refuses the client.
pub fn socket(address: SocketAddr, rounds: u64) -> Result<Histogram<u64>, MeasureError> {
    pin(NEAR_CPU);
    let mut client =
        Client::log_on(address, "LOADGEN", "IRONBOOK", &Access::default(), Duration::from_secs(5))?;
    let mut latency = latency_histogram();
    let run = SystemClock.now().0 / 1_000_000 % 1_000_000_000;
    let prefix = format!("R{run}-");
    for round in 0..rounds {
        let id = RequestId::new(prefix.as_bytes(), round);
        let encoded = SystemClock.now().0;
        client.queue(&resting_order(id.as_bytes(), round, encoded), encoded);
        let (start, mut answered) = (SystemClock.now().0, 0);
        client.flush()?;
        while answered == 0 {
            client.poll_timed(|message, read| {
                if message.get(11) == Some(id.as_bytes()) {
                    answered = read;
                }
            })?;
        }
        latency.saturating_record(answered.saturating_sub(start).max(1));
    }
    client.log_out(Duration::from_secs(5))?;
    Ok(latency)
}

/// A limit order that rests, on changing levels.
fn resting_order(cl_ord_id: &[u8], round: u64, now: u64) -> NewOrderSingle<'_> {
    let buy = round.is_multiple_of(2);
    let away = (round / 2 % 50) as i64;
    let price = Decimal::new(if buy { 18_900 - away } else { 19_000 + away }, 2);
    let side = if buy { Side::Buy } else { Side::Sell };
    NewOrderSingle::limit(cl_ord_id, b"AAPL", side, Decimal::new(100, 0), price, now)
}
