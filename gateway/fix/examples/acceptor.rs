//! A small acceptor of every version for trying a client, and for acceptance scripts: it echoes orders.
//!
//! `cargo run --example acceptor -- 5001` listens on 127.0.0.1 and knows the sessions of ISLD with TW40 to
//! TW44 and TW50 to TW50SP2, each of which may speak what it likes. Every Logon starts both sequence numbers
//! at 1. NewOrderSingle, SecurityDefinition and Email come back with a new header, an order with PossResend
//! and a known ClOrdID is ignored, everything else is unsupported. What is sent is kept in memory for
//! resending.

use ironbook_fix::codec::{Framed, frame};
use ironbook_fix::field::MsgSeqNum;
use ironbook_fix::message::{Fields, Message, MsgType, Refusal};
use ironbook_fix::session::{Handled, Output, Role, Session, SessionConfig};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SENDER: &str = "ISLD";
const TARGETS: [&str; 8] = ["TW40", "TW41", "TW42", "TW43", "TW44", "TW50", "TW50SP1", "TW50SP2"];
/// How long a read waits before the clock is looked at.
const TICK: Duration = Duration::from_millis(50);

/// Whether a connection holds each session.
static TAKEN: [AtomicBool; TARGETS.len()] = [const { AtomicBool::new(false) }; TARGETS.len()];

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(5001);
    serve(&TcpListener::bind(("127.0.0.1", port))?)
}

/// Serves connections until the listener fails.
pub fn serve(listener: &TcpListener) -> std::io::Result<()> {
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || {
            let mut connection = Connection::new(stream);
            if let Err(error) = connection.run() {
                eprintln!("connection lost: {error}");
            }
            connection.give_back();
        });
    }
    Ok(())
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    since.as_nanos() as u64
}

fn session(target: &str) -> Session {
    let config = SessionConfig {
        reset_on_logon: true,
        ..SessionConfig::new(Role::Acceptor, SENDER, target)
    };
    Session::new(config, MsgSeqNum::FIRST, MsgSeqNum::FIRST)
}

/// What was sent, for resending; its place is its MsgSeqNum less one.
struct Sent {
    msg_type: MsgType,
    body: Vec<u8>,
    time_ns: u64,
}

struct Connection {
    stream: TcpStream,
    session: Session,
    /// Which of the sessions the connection holds.
    held: Option<usize>,
    sent: Vec<Sent>,
    cl_ord_ids: HashSet<Vec<u8>>,
    out: Vec<u8>,
    open: bool,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            session: session(TARGETS[0]),
            held: None,
            sent: Vec::new(),
            cl_ord_ids: HashSet::new(),
            out: Vec::new(),
            open: true,
        }
    }

    fn give_back(&mut self) {
        if let Some(held) = self.held {
            TAKEN[held].store(false, Ordering::Release);
        }
    }

    fn run(&mut self) -> std::io::Result<()> {
        self.stream.set_nodelay(true)?;
        self.stream.set_read_timeout(Some(TICK))?;
        self.session.handle_connected(now_ns());
        let (mut input, mut chunk) = (Vec::new(), [0; 16 * 1024]);
        let mut fields = Fields::new();
        while self.open {
            match self.stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => input.extend_from_slice(&chunk[..length]),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
            self.read_messages(&mut input, &mut fields);
            if self.session.next_deadline().is_some_and(|deadline| now_ns() >= deadline) {
                self.session.handle_timeout(now_ns());
                self.poll();
            }
            self.flush()?;
        }
        self.session.handle_disconnected();
        Ok(())
    }

    fn read_messages(&mut self, input: &mut Vec<u8>, fields: &mut Fields) {
        let mut at = 0;
        while self.open {
            match frame(&input[at..]) {
                Framed::Incomplete => break,
                Framed::Garbled { skip, .. } => {
                    self.session.handle_garbled(now_ns());
                    at += skip;
                }
                Framed::Message { len } => {
                    self.read_message(&input[at..at + len], fields);
                    at += len;
                }
            }
            self.poll();
        }
        input.drain(..at);
    }

    /// One message, and those it was the missing one for.
    fn read_message(&mut self, bytes: &[u8], fields: &mut Fields) {
        match Message::parse(bytes, fields) {
            Ok(message) => self.handle(&message),
            Err(_) => self.session.handle_garbled(now_ns()),
        }
        self.poll();
        let mut held = Vec::new();
        while self.session.release_held(&mut held) {
            if let Ok(message) = Message::parse(&held, fields) {
                self.handle(&message);
            }
            self.poll();
        }
    }

    fn handle(&mut self, message: &Message<'_>) {
        if !self.take_session(message) {
            self.open = false;
            return;
        }
        if let Handled::Application(_) = self.session.handle_message(now_ns(), message) {
            self.application(message);
        }
    }

    /// The first Logon takes its session; a second connection gets nothing.
    fn take_session(&mut self, message: &Message<'_>) -> bool {
        if self.held.is_some() || message.msg_type() != Some(MsgType::LOGON) {
            return true;
        }
        let sender = message.sender_comp_id().unwrap_or_default();
        let Some(index) = TARGETS.iter().position(|target| target.as_bytes() == sender) else {
            return false;
        };
        if TAKEN[index].swap(true, Ordering::AcqRel) {
            return false;
        }
        self.held = Some(index);
        self.session = session(TARGETS[index]);
        self.session.handle_connected(now_ns());
        true
    }

    fn application(&mut self, message: &Message<'_>) {
        let echoed = [MsgType::NEW_ORDER_SINGLE, MsgType::of(b"d"), MsgType::of(b"C")];
        let Some(msg_type) = message.msg_type().filter(|msg_type| echoed.contains(msg_type)) else {
            self.session.refuse(now_ns(), message, &Refusal::unsupported());
            return;
        };
        if let Some(id) = message.get(11) {
            let new = self.cl_ord_ids.insert(id.to_vec());
            if !new && message.poss_resend() {
                return;
            }
        }
        let dictionary = self.session.version().dictionary();
        let mut body = Vec::new();
        for (tag, value) in message.iter() {
            if tag == 97 || !dictionary.is_header(tag) && !dictionary.is_trailer(tag) {
                body.extend_from_slice(format!("{tag}=").as_bytes());
                body.extend_from_slice(value);
                body.push(1);
            }
        }
        self.send(msg_type, body);
    }

    fn poll(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send(request) => self.send(request.msg_type(), request.body().to_vec()),
                Output::Resend { begin, end } => self.resend(begin, end),
                Output::ResendThroughLogon { begin } => {
                    self.resend(begin, self.session.next_out().previous());
                }
                Output::ResetSequence => {
                    self.session.reset_outbound();
                    self.sent.clear();
                }
                Output::LoggedOn | Output::LoggedOut => {}
                Output::Disconnect(_) => self.open = false,
            }
        }
    }

    fn send(&mut self, msg_type: MsgType, body: Vec<u8>) {
        let time_ns = now_ns();
        self.session.transmit(time_ns, msg_type, &body, &mut self.out);
        self.sent.push(Sent { msg_type, body, time_ns });
    }

    /// Application messages again, session messages as gaps.
    fn resend(&mut self, begin: MsgSeqNum, end: MsgSeqNum) {
        let mut gap = None;
        let mut seq = begin;
        while seq <= end {
            let sent = &self.sent[seq.previous().get() as usize];
            if sent.msg_type.is_admin() {
                gap.get_or_insert(seq);
            } else {
                if let Some(from) = gap.take() {
                    self.session.encode_gap_fill(from, seq, now_ns(), &mut self.out);
                }
                let Sent { msg_type, body, time_ns } = sent;
                self.session.encode_resend(seq, *time_ns, now_ns(), *msg_type, body, &mut self.out);
            }
            seq = seq.next();
        }
        if let Some(from) = gap {
            self.session.encode_gap_fill(from, seq, now_ns(), &mut self.out);
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}
