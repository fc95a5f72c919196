//! A FIX client made of bytes, and venues to try it on.
//!
//! The client shares no code with the venue: it builds and takes apart messages by itself, can build
//! them wrong on purpose, and keeps its own sequence numbers.
#![allow(dead_code, reason = "each test file uses its own part of these helpers")]

pub mod logged;
pub mod stepped;
pub mod valve;

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use ironbook_fix::{
    dictionary::Strictness,
    message::{Fields, Message},
    version::Version,
};
use ironbook_gateway::{
    config::{Config, Cpu, InstrumentConfig, Layout, SessionConfig},
    replay::{Replayed, play},
    venue::{Ended, StartError, Venue},
};
use ironbook_journal::{FileStorage, Reader};

/// Longest wait for a condition. Generous: the machine may be busy with other things.
pub const WAIT_MAX: Duration = Duration::from_secs(30);

/// Waits until a condition holds.
///
/// # Panics
/// When it does not hold within [`WAIT_MAX`].
#[track_caller]
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < WAIT_MAX, "waited {WAIT_MAX:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A message as it stood on the wire.
#[derive(Clone, PartialEq, Eq)]
pub struct Msg(pub Vec<u8>);

impl Msg {
    /// Its fields in their order.
    pub fn fields(&self) -> impl Iterator<Item = (u32, &str)> {
        self.0.split(|byte| *byte == 1).filter(|field| !field.is_empty()).map(|field| {
            let field = std::str::from_utf8(field).expect("ASCII");
            let (tag, value) = field.split_once('=').expect("tag=value");
            (tag.parse().expect("a number as tag"), value)
        })
    }

    /// First value of a tag.
    pub fn get(&self, tag: u32) -> Option<&str> {
        self.fields().find(|(found, _)| *found == tag).map(|(_, value)| value)
    }

    /// MsgType (35).
    pub fn kind(&self) -> &str {
        self.get(35).expect("a message has a MsgType")
    }

    /// MsgSeqNum (34).
    pub fn seq(&self) -> u64 {
        self.number(34)
    }

    /// A value as a whole number.
    #[track_caller]
    pub fn number(&self, tag: u32) -> u64 {
        let value = self.get(tag).unwrap_or_else(|| panic!("tag {tag} is missing in {self:?}"));
        value.parse().unwrap_or_else(|_| panic!("tag {tag} is no whole number in {self:?}"))
    }

    /// PossDupFlag (43).
    pub fn is_dup(&self) -> bool {
        self.get(43) == Some("Y")
    }

    /// Whether it has all of these fields, written `tag=value|tag=value`; a value `*` stands for any.
    pub fn matches(&self, spec: &str) -> bool {
        spec.split('|').filter(|part| !part.is_empty()).all(|part| {
            let (tag, wanted) = part.split_once('=').expect("tag=value in the expectation");
            let found = self.get(tag.parse().expect("a number as tag"));
            if wanted == "*" { found.is_some() } else { found == Some(wanted) }
        })
    }

    /// The message without what a resend may change: BodyLength, PossDupFlag, both sending times
    /// and CheckSum.
    pub fn content(&self) -> String {
        let kept = self.fields().filter(|(tag, _)| !matches!(tag, 9 | 43 | 52 | 122 | 10));
        kept.map(|(tag, value)| format!("{tag}={value}|")).collect()
    }
}

impl fmt::Debug for Msg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0).replace('\u{1}', "|"))
    }
}

/// What is wrong with a message on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    #[default]
    None,
    /// CheckSum is one too high.
    CheckSum,
    /// BodyLength is one too small.
    BodyLength,
}

/// The bytes of a message from its MsgType on; BodyLength and CheckSum are added.
pub fn assemble(from_msg_type: &str, flaw: Flaw) -> Vec<u8> {
    assemble_as("FIX.4.4", from_msg_type, flaw)
}

/// [`assemble`] with another BeginString than that of FIX 4.4.
pub fn assemble_as(begin_string: &str, from_msg_type: &str, flaw: Flaw) -> Vec<u8> {
    let body = from_msg_type.replace('|', "\u{1}");
    let length = if flaw == Flaw::BodyLength { body.len() - 1 } else { body.len() };
    let mut bytes = format!("8={begin_string}\u{1}9={length}\u{1}{body}").into_bytes();
    let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
    let sum = if flaw == Flaw::CheckSum { sum + 1 } else { sum } % 256;
    bytes.extend(format!("10={sum:03}\u{1}").bytes());
    bytes
}

/// Where the first message of these bytes ends, if it is there whole.
fn message_end(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|bytes| bytes == b"\x0110=")? + 8;
    (end <= bytes.len()).then_some(end)
}

/// A time as FIX writes it, to the millisecond.
pub fn fix_time(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    // Days since 1970-01-01 to a date: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let second = seconds % 86_400;
    format!(
        "{year:04}{month:02}{day:02}-{:02}:{:02}:{:02}.{:03}",
        second / 3_600,
        second / 60 % 60,
        second % 60,
        since_epoch.subsec_millis()
    )
}

/// Now, as FIX writes it.
pub fn now() -> String {
    fix_time(SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970"))
}

/// Body of a limit order for the day.
pub fn limit(cl_ord_id: &str, symbol: &str, side: &str, qty: &str, price: &str) -> String {
    format!("11={cl_ord_id}|55={symbol}|54={side}|60={}|38={qty}|40=2|44={price}", now())
}

/// Body of a cancel.
pub fn cancel(cl_ord_id: &str, orig: &str, symbol: &str, side: &str) -> String {
    format!("41={orig}|11={cl_ord_id}|55={symbol}|54={side}|60={}", now())
}

/// Body of a replace.
pub fn replace(cl_ord_id: &str, orig: &str, terms: (&str, &str), qty: &str, price: &str) -> String {
    let (symbol, side) = terms;
    format!("41={orig}|11={cl_ord_id}|55={symbol}|54={side}|60={}|38={qty}|40=2|44={price}", now())
}

/// Bytes that a client reads at once.
const READ_BYTES: usize = 65_536;

/// A client's end of a session; numbers may outlive a connection.
pub struct FixClient {
    stream: TcpStream,
    pub comp_id: String,
    pub venue: String,
    /// BeginString of both ends.
    pub begin_string: &'static str,
    /// MsgSeqNum of the next message sent.
    pub next_out: u64,
    /// MsgSeqNum of the next message expected.
    pub next_in: u64,
    /// SendingTime, where it is not the system's time.
    pub sending_time: Option<String>,
    /// Most bytes that one read takes.
    pub read_max: usize,
    input: Vec<u8>,
    /// Bytes of `input` that were taken.
    used: usize,
}

impl FixClient {
    /// A connection on which nothing was said yet.
    #[track_caller]
    pub fn connect(address: SocketAddr, comp_id: &str) -> Self {
        let stream = TcpStream::connect_timeout(&address, WAIT_MAX).expect("a connection");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_read_timeout(Some(WAIT_MAX)).expect("a read timeout");
        stream.set_write_timeout(Some(WAIT_MAX)).expect("a write timeout");
        Self {
            stream,
            comp_id: comp_id.to_owned(),
            venue: "IRONBOOK".to_owned(),
            begin_string: "FIX.4.4",
            next_out: 1,
            next_in: 1,
            sending_time: None,
            read_max: READ_BYTES,
            input: Vec::new(),
            used: 0,
        }
    }

    /// Connects and logs on with numbers that start at 1.
    #[track_caller]
    pub fn log_on(address: SocketAddr, comp_id: &str) -> Self {
        Self::resume(address, comp_id, (1, 1)).0
    }

    /// Connects and logs on with these numbers, in and out; gives the venue's answer too, whose
    /// number may be ahead.
    #[track_caller]
    pub fn resume(
        address: SocketAddr,
        comp_id: &str,
        (next_out, next_in): (u64, u64),
    ) -> (Self, Msg) {
        let mut client = Self::connect(address, comp_id);
        (client.next_out, client.next_in) = (next_out, next_in);
        client.send("A", "98=0|108=60");
        let answer = client.receive().expect("an answer to the Logon");
        assert_eq!(answer.kind(), "A", "{answer:?}");
        if answer.seq() == client.next_in {
            client.next_in += 1;
        }
        (client, answer)
    }

    /// Both numbers, out and in, for the next [`FixClient::resume`].
    pub fn numbers(&self) -> (u64, u64) {
        (self.next_out, self.next_in)
    }

    /// The bytes of a message with a number of choice.
    pub fn build(&self, kind: &str, seq: u64, body: &str, flaw: Flaw) -> Vec<u8> {
        let time = self.sending_time.clone().unwrap_or_else(now);
        let bar = if body.is_empty() { "" } else { "|" };
        assemble_as(
            self.begin_string,
            &format!(
                "35={kind}|34={seq}|49={}|56={}|52={time}|{body}{bar}",
                self.comp_id, self.venue
            ),
            flaw,
        )
    }

    /// The bytes of messages with the next numbers, to be sent together.
    pub fn build_next(&mut self, kind: &str, bodies: impl IntoIterator<Item = String>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for body in bodies {
            bytes.extend(self.build(kind, self.next_out, &body, Flaw::None));
            self.next_out += 1;
        }
        bytes
    }

    /// Sends a message with the next number; returns the number.
    #[track_caller]
    pub fn send(&mut self, kind: &str, body: &str) -> u64 {
        let seq = self.next_out;
        let bytes = self.build(kind, seq, body, Flaw::None);
        self.next_out += 1;
        self.send_raw(&bytes);
        seq
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.try_send_raw(bytes).expect("the venue takes bytes");
    }

    /// Sends bytes where the venue may have closed already.
    pub fn try_send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The socket itself.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The next message, whatever it is; none when the venue closed the connection.
    ///
    /// # Panics
    /// When nothing came within [`WAIT_MAX`], or what came is no message.
    #[track_caller]
    pub fn receive(&mut self) -> Option<Msg> {
        let start = Instant::now();
        loop {
            if let Some(message) = self.split() {
                return Some(message);
            }
            assert!(start.elapsed() < WAIT_MAX, "nothing came within {WAIT_MAX:?}");
            self.fill()?;
        }
    }

    /// Takes the first message off the input, checking its length and sum.
    fn split(&mut self) -> Option<Msg> {
        let rest = &self.input[self.used..];
        let end = message_end(rest)?;
        let bytes = rest[..end].to_vec();
        self.used += end;
        let message = Msg(bytes);
        let body = message.fields().skip(2).map(|(tag, value)| format!("{tag}={value}|"));
        let body: String = body.filter(|field| !field.starts_with("10=")).collect();
        let rebuilt = Msg(assemble_as(self.begin_string, &body, Flaw::None));
        assert_eq!(message, rebuilt, "BodyLength and CheckSum are right");
        Some(message)
    }

    fn fill(&mut self) -> Option<()> {
        self.input.drain(..self.used);
        self.used = 0;
        let mut bytes = [0; READ_BYTES];
        match self.stream.read(&mut bytes[..self.read_max]) {
            Ok(0) => None,
            Ok(count) => {
                self.input.extend_from_slice(&bytes[..count]);
                Some(())
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => None,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Some(()),
            Err(error) => panic!("nothing came: {error}"),
        }
    }

    /// What came by now, without waiting for more than a moment.
    pub fn pending(&mut self) -> Vec<Msg> {
        self.stream.set_nonblocking(true).expect("a non-blocking socket");
        let mut bytes = [0; READ_BYTES];
        while let Ok(count @ 1..) = self.stream.read(&mut bytes) {
            self.input.extend_from_slice(&bytes[..count]);
        }
        self.stream.set_nonblocking(false).expect("a blocking socket");
        std::iter::from_fn(|| self.split()).collect()
    }

    /// Whether the venue has closed the connection by now, and nothing came before.
    pub fn is_closed(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("a non-blocking socket");
        let closed = match self.stream.peek(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        };
        self.stream.set_nonblocking(false).expect("a blocking socket");
        closed
    }

    /// The next message that is no Heartbeat, in sequence, with these fields.
    #[track_caller]
    pub fn expect(&mut self, spec: &str) -> Msg {
        let message = self.next_in_sequence();
        let Some(message) = message else { panic!("the connection ended before {spec}") };
        assert!(message.matches(spec), "expected {spec}\n     got {message:?}");
        message
    }

    /// The next message that is no Heartbeat; its number must be the expected one.
    #[track_caller]
    pub fn next_in_sequence(&mut self) -> Option<Msg> {
        loop {
            let message = self.receive()?;
            if !message.is_dup() {
                assert_eq!(message.seq(), self.next_in, "in sequence: {message:?}");
                self.next_in += 1;
            }
            if message.kind() != "0" || message.get(112).is_some() {
                return Some(message);
            }
        }
    }

    /// The venue closes the connection without another word.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        let message = self.receive();
        assert!(message.is_none(), "expected the end of the connection, got {message:?}");
    }

    /// Proves that the session works: a TestRequest has its answer next, so nothing else was sent.
    #[track_caller]
    pub fn ping(&mut self) {
        let id = format!("ping{}", self.next_out);
        self.send("1", &format!("112={id}"));
        self.expect(&format!("35=0|112={id}"));
    }

    /// Sends a limit order that the venue must accept.
    #[track_caller]
    pub fn rest(
        &mut self,
        cl_ord_id: &str,
        symbol: &str,
        side: &str,
        qty: &str,
        price: &str,
    ) -> Msg {
        self.send("D", &limit(cl_ord_id, symbol, side, qty, price));
        self.expect(&format!("35=8|150=0|39=0|11={cl_ord_id}"))
    }

    /// Trades: an order is accepted and canceled.
    #[track_caller]
    pub fn trade(&mut self) {
        let id = format!("t{}", self.next_out);
        self.rest(&id, "AAPL", "1", "1", "1.00");
        self.send("F", &cancel(&format!("{id}c"), &id, "AAPL", "1"));
        self.expect(&format!("35=8|150=4|39=4|41={id}"));
    }

    /// Logs out in order.
    #[track_caller]
    pub fn log_out(mut self) -> (u64, u64) {
        self.send("5", "");
        self.expect("35=5");
        self.expect_closed();
        self.numbers()
    }
}

/// Asks for messages again and takes what comes up to number `last`: the message, or none where a
/// gap was filled. Messages that are sent for the first time meanwhile are added to `live`.
#[track_caller]
pub fn resend(
    client: &mut FixClient,
    (begin, end): (u64, u64),
    last: u64,
    live: &mut Vec<Msg>,
) -> BTreeMap<u64, Option<Msg>> {
    client.send("2", &format!("7={begin}|16={end}"));
    let (mut again, mut next, mut after_gap) = (BTreeMap::new(), begin, false);
    while next <= last {
        let message = client.receive().expect("the session goes on");
        if !message.is_dup() {
            live.push(message);
            continue;
        }
        assert_eq!(message.seq(), next, "in sequence: {message:?}");
        assert!(message.get(122).is_some(), "OrigSendingTime: {message:?}");
        if message.kind() == "4" {
            assert_eq!(message.get(123), Some("Y"), "{message:?}");
            assert!(!after_gap, "one gap fill for a run: {message:?}");
            let new_seq_no = message.number(36);
            again.extend((next..new_seq_no).map(|seq| (seq, None)));
            next = new_seq_no;
            after_gap = true;
        } else {
            again.insert(next, Some(message));
            next += 1;
            after_gap = false;
        }
    }
    assert_eq!(next, last + 1, "no gap fill passes the end");
    again
}

/// The messages resent are those that were sent, but for what a resend must change.
#[track_caller]
pub fn assert_same(again: &BTreeMap<u64, Option<Msg>>, originals: &BTreeMap<u64, Msg>) {
    for (seq, message) in again {
        let original = originals.get(seq).unwrap_or_else(|| panic!("{seq} was never sent"));
        let admin = matches!(original.kind(), "0" | "1" | "2" | "3" | "4" | "5" | "A");
        match message {
            // A Reject may be sent again or not; this venue counts it among the admin messages.
            None => assert!(admin, "{original:?} was not sent again"),
            Some(message) => {
                assert!(!admin, "{message:?} must not be sent again");
                assert_eq!(message.content(), original.content());
                assert_eq!(message.get(122), original.get(52), "{message:?}");
            }
        }
    }
}

/// A message is strictly one of a version.
#[track_caller]
pub fn assert_valid(version: Version, message: &Msg) {
    let mut fields = Fields::new();
    let parsed = Message::parse(&message.0, &mut fields).expect("fields");
    let checked = version.dictionary().check(&parsed, Strictness::Strict);
    assert_eq!(checked.map_err(|reject| (reject, format!("{message:?}"))), Ok(()));
}

/// Expects a message and keeps it.
#[track_caller]
pub fn keep(client: &mut FixClient, originals: &mut BTreeMap<u64, Msg>, spec: &str) {
    let message = client.expect(spec);
    originals.insert(message.seq(), message);
}

/// A hash of "secret" that costs next to nothing to check.
pub const SECRET_HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$QQCd8VPOryZiCF3MtwQnPTK7odKCaPcXJGplgNEuj1A";

/// A session that may log on from this machine.
pub fn session(comp_id: &str) -> SessionConfig {
    SessionConfig {
        comp_id: comp_id.to_owned(),
        allow_from: vec![Ipv4Addr::LOCALHOST.into()],
        ..Config::default().sessions[0].clone()
    }
}

/// Gateways of a small venue: several where the tests of other files run again for that.
pub fn gateways() -> usize {
    if module_path!().starts_with("several_gateways") { 3 } else { 1 }
}

/// Layouts that a venue with so many gateways may have.
pub fn layouts() -> &'static [Layout] {
    match gateways() {
        1 => &[Layout::Shared, Layout::Dedicated],
        _ => &[Layout::Dedicated],
    }
}

/// A small venue on a free port: sessions A, B and C, a drop copy COPY, instruments AAPL (0.01 by 1)
/// and BTC-USD (0.01 by 0.00000001).
pub fn small_config(dir: &Path) -> Config {
    let mut config = Config::default();
    config.venue.data_dir = dir.to_owned();
    config.fix.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.threads.gateways = gateways();
    config.threads.core_cpu = Cpu::None;
    config.threads.gateway_cpu = Cpu::None;
    // Polite to the tests beside this one.
    config.threads.spin_us = 20;
    config.threads.yield_us = 500;
    config.journal.segment_bytes = 1 << 20;
    config.engine.orders_max = 65_536;
    config.engine.state_hash_interval = 1_000;
    config.instruments.retain(|known| matches!(known.symbol.as_str(), "AAPL" | "BTC-USD"));
    config.sessions = ["A", "B", "C", "COPY"].map(session).into();
    config.sessions[3].read_only = true;
    config
}

/// Another instrument for a configuration.
pub fn instrument(symbol: &str, tick: &str, lot: &str) -> InstrumentConfig {
    InstrumentConfig {
        symbol: symbol.to_owned(),
        tick: tick.to_owned(),
        lot: lot.to_owned(),
        ..Config::default().instruments[0].clone()
    }
}

/// A venue in this process with a directory of its own; stops when it is dropped.
pub struct TestVenue {
    pub config: Config,
    dir: tempfile::TempDir,
    venue: Option<Venue>,
}

impl TestVenue {
    /// Starts the small venue.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// Starts the small venue with a changed configuration.
    #[track_caller]
    pub fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut config = small_config(&dir.path().join("journal"));
        change(&mut config);
        let venue = Venue::start(&config).expect("the venue starts");
        Self { config, dir, venue: Some(venue) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.venue().address()
    }

    /// The running venue.
    pub fn venue(&self) -> &Venue {
        self.venue.as_ref().expect("the venue runs")
    }

    /// The same as the journal knows it.
    pub fn storage(&self) -> FileStorage {
        FileStorage::new(self.journal())
    }

    /// Directory of the journal.
    pub fn journal(&self) -> PathBuf {
        self.config.venue.data_dir.clone()
    }

    /// A place for other files.
    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// Stops the venue, which must end in order.
    #[track_caller]
    pub fn stop(&mut self) -> Ended {
        let ended = self.end().expect("the core ends in order");
        assert_eq!(ended.left, 0, "all that came is in the journal");
        ended.sync.as_ref().expect("the journal is synced");
        ended
    }

    /// Stops the venue, however it ends.
    #[track_caller]
    pub fn end(&mut self) -> Option<Ended> {
        let venue = self.venue.take().expect("the venue runs");
        assert!(!venue.has_failed(), "no thread of the venue ended by itself");
        venue.stop()
    }

    /// Stops the venue and starts it again.
    #[track_caller]
    pub fn restart(&mut self) {
        self.restart_with(|_| {}).expect("the venue starts again");
    }

    /// Stops the venue and starts it with a changed configuration.
    pub fn restart_with(&mut self, change: impl FnOnce(&mut Config)) -> Result<(), StartError> {
        if self.venue.is_some() {
            self.stop();
        }
        change(&mut self.config);
        self.venue = Some(Venue::start(&self.config)?);
        Ok(())
    }

    /// Logs a client on with numbers that start at 1.
    #[track_caller]
    pub fn client(&self, comp_id: &str) -> FixClient {
        FixClient::log_on(self.address(), comp_id)
    }

    /// Logs a client on with its numbers.
    #[track_caller]
    pub fn resume(&self, comp_id: &str, numbers: (u64, u64)) -> (FixClient, Msg) {
        FixClient::resume(self.address(), comp_id, numbers)
    }
}

impl Drop for TestVenue {
    fn drop(&mut self) {
        if let Some(venue) = self.venue.take() {
            venue.stop();
        }
    }
}

/// Plays a journal back; every event must come out as it is journaled.
#[track_caller]
pub fn replay(dir: &Path) -> Replayed {
    let mut reader = Reader::open(dir).expect("a journal");
    play(&mut reader, None).expect("the journal plays back")
}
