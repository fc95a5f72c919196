//! Plays the acceptance scripts of the folder of this name.
//!
//! A line of a script opens or closes a connection (`iCONNECT`, `i2,DISCONNECT`), waits until the
//! acceptor closes one (`eDISCONNECT`), sends a message (`I8=...`) or expects one (`E8=...`). What is
//! sent gets its BodyLength and CheckSum where the script has none, and `<TIME-10>` becomes the time
//! ten seconds ago. What comes must have the fields of the script with their values, header fields
//! first; times must be times, and Text (58) is the acceptor's own.

mod common;

#[allow(dead_code, reason = "its main is for the command line")]
#[path = "../fix/examples/acceptor.rs"]
mod acceptor;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use common::fix_time;
use ironbook_gateway::{config::Config, venue::Venue};

/// Scripts that do not pass, with what their acceptor does otherwise, and why.
const EXPECTED_FAILURES: [(&str, &str, &str, &str); 1] = [(
    "fix50sp2",
    "2r_UnregisteredMsgType.def",
    "1137",
    "it wants DefaultApplVerID in a BusinessMessageReject; FIX 5.0 SP2 has that field in the Logon only",
)];

/// Fields of the standard header.
const HEADER: [u32; 32] = [
    8, 9, 35, 1128, 1156, 1129, 49, 56, 115, 128, 90, 91, 34, 50, 142, 57, 143, 116, 144, 129, 145,
    43, 97, 52, 122, 212, 213, 347, 369, 370, 627, 628,
];
/// Fields that hold a time.
const TIMES: [u32; 4] = [42, 52, 60, 122];
/// Fields that are the acceptor's own business, or checked against the bytes.
const NOT_COMPARED: [u32; 3] = [9, 10, 58];
/// Farthest that SendingTime may be from now.
const SKEW_MAX: Duration = Duration::from_secs(60);
/// Longest wait for what a script expects, beside the times of its heartbeats.
const WAIT: Duration = Duration::from_secs(20);
/// Scripts that wait for heartbeats have no longer interval.
const HEARTBEAT_MAX: u64 = 10;
/// After an acceptor has closed its end of a connection, until its session is free again.
const GAP: Duration = Duration::from_millis(20);
const SOH: u8 = 1;

/// What an acceptor must be able to do for a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// Answer session messages.
    Session,
    /// Refuse application messages by its dictionary.
    Dictionary,
    /// Send application messages back.
    Echo,
}

#[derive(Clone, Debug)]
enum Step {
    Connect,
    Disconnect,
    ExpectDisconnect,
    Send(Vec<u8>),
    Expect(Vec<u8>),
}

/// A script: each step with its line and its connection.
#[derive(Debug)]
struct Script(Vec<(usize, usize, Step)>);

impl Script {
    fn read(path: &Path) -> Self {
        let bytes = fs::read(path).expect("a script");
        let lines = (1..).zip(bytes.split(|&byte| byte == b'\n'));
        let steps = lines.filter_map(|(number, line)| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let is_step = !line.trim_ascii().is_empty() && !line.starts_with(b"#");
            is_step.then(|| {
                let (connection, step) = parse(line)
                    .unwrap_or_else(|| panic!("{}:{number}: {}", path.display(), readable(line)));
                (number, connection, step)
            })
        });
        Self(steps.collect())
    }

    fn class(&self) -> Class {
        let classes = self.0.iter().map(|(_, _, step)| match step {
            Step::Send(message) if is_application(message) => Class::Dictionary,
            Step::Expect(message) if is_application(message) => Class::Echo,
            _ => Class::Session,
        });
        classes.max().expect("a script has steps")
    }
}

/// Connection and step of a line.
fn parse(line: &[u8]) -> Option<(usize, Step)> {
    let (&who, rest) = line.split_first()?;
    let comma = rest.iter().position(|&byte| byte == b',');
    let number = comma.and_then(|at| std::str::from_utf8(&rest[..at]).ok()?.parse().ok());
    let (connection, rest) = match (number, comma) {
        (Some(number), Some(at)) => (number, &rest[at + 1..]),
        _ => (1, rest),
    };
    let step = match (who, rest) {
        (b'i', b"CONNECT") => Step::Connect,
        (b'i', b"DISCONNECT") => Step::Disconnect,
        (b'e', b"DISCONNECT") => Step::ExpectDisconnect,
        (b'I', message) => Step::Send(message.to_vec()),
        (b'E', message) => Step::Expect(message.to_vec()),
        _ => return None,
    };
    Some((connection, step))
}

/// Tags and values; a tag that is no number is 0.
fn fields(message: &[u8]) -> Vec<(u32, &[u8])> {
    let pieces = message.split(|&byte| byte == SOH).filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| {
            let at = piece.iter().position(|&byte| byte == b'=').unwrap_or(piece.len());
            let tag = std::str::from_utf8(&piece[..at]).ok().and_then(|tag| tag.parse().ok());
            (tag.unwrap_or(0), piece.get(at + 1..).unwrap_or(b""))
        })
        .collect()
}

fn value(message: &[u8], tag: u32) -> Option<&[u8]> {
    fields(message).into_iter().find(|(found, _)| *found == tag).map(|(_, value)| value)
}

/// An application message that only an application sends; a BusinessMessageReject any acceptor can.
fn is_application(message: &[u8]) -> bool {
    value(message, 35).is_some_and(|msg_type| !matches!(msg_type, [b'0'..=b'5'] | b"A" | b"j"))
}

fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\u{1}', "|")
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// Nothing has come yet; a process that was stopped for a while is interrupted where it waits.
fn is_no_news(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock")
}

/// A message with its times, and with BodyLength and CheckSum where it has none.
fn complete(message: &[u8]) -> Vec<u8> {
    let mut text = String::from_utf8_lossy(message).into_owned();
    // One for all times of a message: what was sent first was not sent later.
    let now = now();
    while let Some(at) = text.find("<TIME") {
        let end = at + text[at..].find('>').expect("it is closed");
        let offset = &text[at + "<TIME".len()..end];
        let seconds = |digits: &str| Duration::from_secs(digits.parse().expect("seconds"));
        let time = match offset.split_at(offset.len().min(1)) {
            ("+", later) => now + seconds(later),
            ("-", earlier) => now - seconds(earlier),
            _ => now,
        };
        text.replace_range(at..=end, &fix_time(time));
    }
    let bytes = text.into_bytes();
    if !bytes.starts_with(b"8=") {
        return bytes;
    }
    let head_end = bytes.iter().position(|&byte| byte == SOH).map_or(bytes.len(), |at| at + 1);
    let (head, rest) = bytes.split_at(head_end);
    let (body, trailer) = match rest.windows(4).rposition(|four| four == b"\x0110=") {
        Some(at) => rest.split_at(at + 1),
        None => (rest, &b""[..]),
    };
    let mut out = head.to_vec();
    if value(rest, 9).is_none() {
        out.extend_from_slice(format!("9={}\u{1}", body.len()).as_bytes());
    }
    out.extend_from_slice(body);
    match trailer {
        b"" => out.extend_from_slice(format!("10={:03}\u{1}", checksum(&out)).as_bytes()),
        given => out.extend_from_slice(given),
    }
    out
}

/// A connection of a script.
struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    is_closed: bool,
    /// Of its Logon, seconds.
    heartbeat: u64,
    /// TestReqID of the script, and what the acceptor took.
    test_request: Option<(Vec<u8>, Vec<u8>)>,
}

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_millis(50)))?;
        Ok(Self { stream, input: Vec::new(), is_closed: false, heartbeat: 0, test_request: None })
    }

    /// Ends it, and waits until the acceptor has noticed: it closes its end.
    fn close(mut self) -> Result<(), String> {
        let end = Instant::now() + WAIT;
        // Who was disconnected already hears that there is nothing to end.
        let _ = self.stream.shutdown(Shutdown::Write);
        let mut bytes = [0; 4_096];
        while Instant::now() < end {
            match self.stream.read(&mut bytes) {
                Ok(1..) => {}
                Err(error) if is_no_news(&error) => {}
                Ok(0) | Err(_) => {
                    thread::sleep(GAP);
                    return Ok(());
                }
            }
        }
        Err("the acceptor does not notice that the connection was closed".to_owned())
    }

    fn patience(&self) -> Duration {
        match self.heartbeat {
            short @ 1..=HEARTBEAT_MAX => WAIT.max(Duration::from_secs(3 * short + 3)),
            _ => WAIT,
        }
    }

    /// The next message, or none once the acceptor has closed the connection.
    fn receive(&mut self) -> Result<Option<Vec<u8>>, String> {
        let end = Instant::now() + self.patience();
        loop {
            if let Some(len) = framed(&self.input)? {
                return Ok(Some(self.input.drain(..len).collect()));
            }
            if self.is_closed {
                let rest = readable(&self.input);
                return if rest.is_empty() { Ok(None) } else { Err(format!("closed amid {rest}")) };
            }
            if Instant::now() > end {
                return Err(format!("nothing came in time, but {:?}", readable(&self.input)));
            }
            let mut bytes = [0; 4_096];
            match self.stream.read(&mut bytes) {
                Ok(0) => self.is_closed = true,
                Ok(len) => self.input.extend_from_slice(&bytes[..len]),
                Err(error) if is_no_news(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    self.is_closed = true
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn send(&mut self, message: &[u8]) -> Result<(), String> {
        let mut message = message.to_vec();
        match value(&message, 35) {
            Some(b"A") => {
                let seconds = value(&message, 108).and_then(|text| std::str::from_utf8(text).ok());
                self.heartbeat = seconds.and_then(|text| text.parse().ok()).unwrap_or(0);
            }
            Some(b"0") => {
                if let Some((scripted, taken)) = &self.test_request {
                    message = replace(&message, &tagged(112, scripted), &tagged(112, taken));
                }
            }
            _ => {}
        }
        self.stream.write_all(&complete(&message)).map_err(|error| format!("can't send: {error}"))
    }

    fn expect(&mut self, wanted: &[u8]) -> Result<(), String> {
        let Some(got) = self.receive()? else {
            return Err(format!("closed, expected {}", readable(wanted)));
        };
        let mut wanted = wanted.to_vec();
        if value(&wanted, 35) == Some(b"1")
            && let (Some(scripted), Some(taken)) = (value(&wanted, 112), value(&got, 112))
        {
            let (scripted, taken) = (scripted.to_vec(), taken.to_vec());
            wanted = replace(&wanted, &tagged(112, &scripted), &tagged(112, &taken));
            self.test_request = Some((scripted, taken));
        }
        compare(&wanted, &got).map_err(|what| {
            format!("{what}\n  expected {}\n  received {}", readable(&wanted), readable(&got))
        })
    }

    fn expect_closed(&mut self) -> Result<(), String> {
        while let Some(message) = self.receive()? {
            // It may be a moment late, after a heartbeat.
            if value(&message, 35) != Some(b"0") || value(&message, 112).is_some() {
                return Err(format!("not closed, but {}", readable(&message)));
            }
        }
        Ok(())
    }
}

fn tagged(tag: u32, value: &[u8]) -> Vec<u8> {
    let mut field = format!("\u{1}{tag}=").into_bytes();
    field.extend_from_slice(value);
    field.push(SOH);
    field
}

fn replace(message: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    match message.windows(old.len()).position(|window| window == old) {
        Some(at) => [&message[..at], new, &message[at + old.len()..]].concat(),
        None => message.to_vec(),
    }
}

/// Bytes of the message at the start, if all of it is there; it must be framed right.
fn framed(input: &[u8]) -> Result<Option<usize>, String> {
    let wrong = |what: &str| Err(format!("{what}: {}", readable(input)));
    let mut ends = input.iter().enumerate().filter(|(_, byte)| **byte == SOH).map(|(at, _)| at);
    let (Some(first), Some(second)) = (ends.next(), ends.next()) else { return Ok(None) };
    if !input.starts_with(b"8=") || !input[first + 1..].starts_with(b"9=") {
        return wrong("it does not begin with BeginString and BodyLength");
    }
    let Some(length) = std::str::from_utf8(&input[first + 3..second])
        .ok()
        .and_then(|text| text.parse::<usize>().ok())
    else {
        return wrong("BodyLength is no number");
    };
    let end: usize = second + 1 + length;
    if input.len() < end + 7 {
        return Ok(None);
    }
    let trailer = format!("10={:03}\u{1}", checksum(&input[..end]));
    if &input[end..end + 7] != trailer.as_bytes() || input[end - 1] != SOH {
        return wrong("BodyLength or CheckSum is wrong");
    }
    if !input[second + 1..].starts_with(b"35=") {
        return wrong("MsgType is not the third field");
    }
    Ok(Some(end + 7))
}

fn compare(wanted: &[u8], got: &[u8]) -> Result<(), String> {
    let got_fields = fields(got);
    let body = got_fields.iter().position(|(tag, _)| !HEADER.contains(tag)).unwrap_or(0);
    if let Some((tag, _)) = got_fields[body..].iter().find(|(tag, _)| HEADER.contains(tag)) {
        return Err(format!("header field {tag} is in the body"));
    }
    let collect = |fields: Vec<(u32, &[u8])>| {
        let mut values: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
        for (tag, value) in fields.into_iter().filter(|(tag, _)| !NOT_COMPARED.contains(tag)) {
            let is_time = TIMES.contains(&tag);
            let value = if is_time { b"time".to_vec() } else { value.to_vec() };
            values.entry(tag).or_default().push(value);
        }
        values
    };
    for (tag, value) in &got_fields {
        if TIMES.contains(tag) && ironbook_fix::field::parse_timestamp(value).is_err() {
            return Err(format!("{tag} is no time"));
        }
    }
    let sent = value(got, 52).and_then(|time| ironbook_fix::field::parse_timestamp(time).ok());
    let sent = Duration::from_nanos(sent.ok_or("SendingTime is missing")?);
    if sent.abs_diff(now()) > SKEW_MAX {
        return Err("SendingTime is not now".to_owned());
    }
    let (wanted, found) = (collect(fields(wanted)), collect(got_fields));
    let tags = wanted.keys().chain(found.keys());
    match tags.into_iter().find(|tag| wanted.get(tag) != found.get(tag)) {
        None => Ok(()),
        Some(tag) => Err(format!("field {tag} differs")),
    }
}

/// Plays a script; what went otherwise, with its line.
fn play(script: &Script, address: SocketAddr) -> Result<(), String> {
    let mut connections: BTreeMap<usize, Connection> = BTreeMap::new();
    let mut result = Ok(());
    for (line, number, step) in &script.0 {
        let connection = connections.get_mut(number);
        let done = match (step, connection) {
            (Step::Connect, _) => Connection::open(address)
                .map(|opened| drop(connections.insert(*number, opened)))
                .map_err(|error| error.to_string()),
            (Step::Disconnect, _) => connections.remove(number).map_or(Ok(()), Connection::close),
            (_, None) => Err(format!("connection {number} is not open")),
            (Step::ExpectDisconnect, Some(connection)) => connection.expect_closed(),
            (Step::Send(message), Some(connection)) => connection.send(message),
            (Step::Expect(message), Some(connection)) => connection.expect(message),
        };
        if let Err(what) = done {
            result = Err(format!("line {line}: {what}"));
            break;
        }
    }
    let closed = connections.into_values().try_for_each(Connection::close);
    result.and(closed)
}

/// Plays all scripts of a version of some classes, one after the other: they share a session.
fn play_all(version: &str, classes: &[Class], address: SocketAddr) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/acceptance").join(version);
    let mut paths: Vec<_> =
        fs::read_dir(dir).expect("scripts").map(|entry| entry.expect("a script").path()).collect();
    paths.sort();
    let (mut passed, mut failures) = (0, Vec::new());
    for path in paths {
        let script = Script::read(&path);
        if !classes.contains(&script.class()) {
            continue;
        }
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let known = EXPECTED_FAILURES.iter().find(|known| known.0 == version && known.1 == name);
        match (play(&script, address), known) {
            (Ok(()), None) => passed += 1,
            (Err(what), Some(known)) if what.contains(known.2) => {
                println!("{version}/{name} does not pass: {}", known.3);
            }
            (Ok(()), Some(_)) => failures.push(format!("{name} passes, and is listed as failing")),
            (Err(what), _) => failures.push(format!("{name}: {what}")),
        }
    }
    println!("{version} {classes:?}: {passed} passed, {} failed", failures.len());
    assert!(failures.is_empty(), "{version}:\n{}", failures.join("\n"));
    assert!(passed >= 14, "{version}: only {passed} scripts");
}

fn against_the_venue(version: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/acceptance.toml");
    let mut config = Config::read(&file).expect("a configuration");
    let dir = tempfile::tempdir().expect("a directory");
    config.venue.data_dir = dir.path().to_owned();
    config.fix.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.threads.gateways = common::gateways();
    config.threads.core_cpu = ironbook_gateway::config::Cpu::None;
    let venue = Venue::start(&config).expect("a venue");
    play_all(version, &[Class::Session, Class::Dictionary], venue.address());
    assert!(venue.stop().is_some(), "it ends in order");
}

fn against_the_echo(version: &str) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let address = listener.local_addr().expect("an address");
    // It ends with the process.
    thread::spawn(move || acceptor::serve(&listener));
    play_all(version, &[Class::Echo], address);
}

#[test]
fn fix42_against_the_venue() {
    against_the_venue("fix42");
}

#[test]
fn fix44_against_the_venue() {
    against_the_venue("fix44");
}

#[test]
fn fix50sp2_against_the_venue() {
    against_the_venue("fix50sp2");
}

#[test]
fn fix42_against_the_echo() {
    against_the_echo("fix42");
}

#[test]
fn fix44_against_the_echo() {
    against_the_echo("fix44");
}

#[test]
fn fix50sp2_against_the_echo() {
    against_the_echo("fix50sp2");
}

#[test]
fn the_player_notices_what_is_otherwise() {
    let wanted = b"8=FIX.4.4\x0135=0\x0134=2\x0149=A\x0152=<>\x0156=B\x01112=x\x0110=0\x01";
    let message = |fields: &str| {
        let time = fix_time(now());
        complete(fields.replace("TIME", &time).replace('|', "\u{1}").as_bytes())
    };
    let good = message("8=FIX.4.4|35=0|34=2|49=A|52=TIME|56=B|112=x|");
    assert_eq!(compare(wanted, &good), Ok(()));
    assert_eq!(framed(&good), Ok(Some(good.len())));
    for other in [
        "8=FIX.4.4|35=1|34=2|49=A|52=TIME|56=B|112=x|",
        "8=FIX.4.4|35=0|34=3|49=A|52=TIME|56=B|112=x|",
        "8=FIX.4.4|35=0|34=2|49=A|52=TIME|56=B|",
        "8=FIX.4.4|35=0|34=2|49=A|52=TIME|56=B|112=x|112=x|",
        "8=FIX.4.4|35=0|34=2|49=A|52=TIME|112=x|56=B|",
        "8=FIX.4.4|35=0|34=2|49=A|52=noon|56=B|112=x|",
        "8=FIX.4.4|35=0|34=2|49=A|52=20200101-00:00:00|56=B|112=x|",
        "8=FIX.4.4|35=0|34=2|49=A|56=B|112=x|",
    ] {
        assert!(compare(wanted, &message(other)).is_err(), "{other}");
    }
    let mut damaged = good.clone();
    damaged[12] ^= 1;
    assert!(framed(&damaged).is_err());
    assert_eq!(framed(&good[..good.len() - 1]), Ok(None));
    let early = complete(b"8=FIX.4.2\x0135=0\x0152=<TIME-10>\x01");
    let time = ironbook_fix::field::parse_timestamp(value(&early, 52).unwrap()).unwrap();
    assert!((9..=11).contains(&(now() - Duration::from_nanos(time)).as_secs()));
}
