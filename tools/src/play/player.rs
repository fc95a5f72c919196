//! Sends recorded requests again, each by the session that plays its own, and hears what becomes of them.
//!
//! Requests are taken in the sequence of the journal, whoever sent them: one is sent when those of all other
//! sessions are answered. Requests of one session need not wait, as its connection keeps them in their sequence.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    thread,
    time::Duration,
};

use ironbook_engine::{ClOrdId, Command, OrderId, SessionId};
use ironbook_fix::{
    encode::Body,
    message::{Message, MsgType},
    report::{ExecType, ExecutionReport, ReportMessage},
};
use ironbook_gateway::{
    client::{Access, Client, ClientError},
    clock::{Clock, SystemClock},
    symbols::SymbolTable,
    translate::MessageVisitor,
};
use ironbook_incident::{
    names::Names,
    request::{cl_ord_ids, order_named, tell},
    show::{Content, Entry},
};

use super::{
    cast::{Mark, Part},
    orders::Orders,
    outcome::{Outcome, Says, Trade, TradeIds, recorded, says},
};

/// Longest silence of the sandbox before the player gives up.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Requests of one session that may wait for their answers; so many wait until half of them are answered.
const IN_FLIGHT_MAX: usize = 1_024;

/// Bytes of requests that are gathered at full speed before they are sent.
const GATHERED_BYTES: usize = 8 * 1_024;

/// Between two looks at the connections of sessions that say nothing.
const SWEEP_NS: u64 = 1_000_000;

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// By the recorded times, so many times faster.
    Times(f64),
    /// As fast as the sandbox answers.
    Max,
}

impl Speed {
    /// Reads `max`, or a number above 0.
    pub fn parse(word: &str) -> Result<Self, String> {
        match word.parse() {
            _ if word == "max" => Ok(Self::Max),
            Ok(times) if f64::is_finite(times) && times > 0.0 => Ok(Self::Times(times)),
            _ => Err("give a number above 0, such as 1 or 10, or max".into()),
        }
    }
}

/// Where to, as whom, and how.
pub struct Sandbox<'a> {
    /// Its address.
    pub address: SocketAddr,
    /// Its comp id.
    pub venue: &'a str,
    /// How to reach it.
    pub access: &'a Access,
    /// Who plays whom.
    pub parts: &'a [Part],
    /// How fast.
    pub speed: Speed,
    /// How requests are named there.
    pub mark: &'a Mark,
}

/// Why the player can't go on.
#[derive(Debug)]
pub enum Stop {
    /// A session's connection failed.
    Client(String, ClientError),
    /// A request was not answered.
    Silence(u64, ClOrdId),
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Client(comp_id, error) => write!(f, "{comp_id}: {error}"),
            Self::Silence(sequence, id) => write!(
                f,
                "no answer within {SILENCE_MAX:?} to {id}, the request of sequence {sequence}"
            ),
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Played {
    /// Requests sent.
    pub sent: u64,
    /// Requests that were never answered.
    pub unanswered: u64,
    /// What became of them when they were recorded.
    pub recorded: Outcome,
    /// What became of them in the sandbox.
    pub sandbox: Outcome,
    /// The first request that one venue refused and the other did not.
    pub first_difference: Option<Differing>,
    /// From the first recorded request to the last that was sent, ns.
    pub recorded_ns: u64,
    /// The same in the sandbox.
    pub played_ns: u64,
    /// By how much a request was sent after its time, at the most, ns.
    pub late_ns: u64,
}

/// A request that one venue refused and the other did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    /// Sequence of the recorded request.
    pub sequence: u64,
    /// How it is called in the sandbox.
    pub cl_ord_id: ClOrdId,
    /// What the sandbox said, where it refused it.
    pub refusal: Option<String>,
}

/// A request that is not answered.
struct Waiting {
    sequence: u64,
    msg_seq_num: u64,
    cl_ord_id: ClOrdId,
    kind: Kind,
    /// Whether it was refused when it was recorded.
    refused: bool,
}

/// What a request asks for, as far as answers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    New,
    Replace,
    Cancel,
    MassCancel,
    Query,
}

impl Kind {
    fn of(command: &Command) -> Self {
        match command {
            Command::ReplaceOrder(_) => Self::Replace,
            Command::CancelOrder(_) => Self::Cancel,
            Command::MassCancel(_) => Self::MassCancel,
            Command::QueryOrder(_) => Self::Query,
            _ => Self::New,
        }
    }

    /// Whether a message about a ClOrdID can answer such a request: more is told of an order than answers.
    fn is_answered_by(self, report: &ReportMessage<'_>) -> bool {
        match report {
            ReportMessage::Execution(report) => match self {
                Self::New => matches!(report.exec_type, ExecType::New | ExecType::Rejected),
                // One by no more than had traded cancels the order.
                Self::Replace => {
                    matches!(report.exec_type, ExecType::Replaced | ExecType::Canceled)
                        && is_asked_for(report)
                }
                Self::Cancel => report.exec_type == ExecType::Canceled && is_asked_for(report),
                Self::Query => report.exec_type == ExecType::OrderStatus,
                Self::MassCancel => false,
            },
            ReportMessage::CancelReject(_) => matches!(self, Self::Replace | Self::Cancel),
            ReportMessage::MassCancel(_) => self == Self::MassCancel,
            ReportMessage::BusinessReject(_) | ReportMessage::SessionReject(_) => true,
        }
    }
}

/// Whether an order was canceled or replaced because a request said so. One that ends by itself has no
/// OrigClOrdID, though its ClOrdID may be that of a cancel too: the venue does not judge that one.
fn is_asked_for(report: &ExecutionReport<'_>) -> bool {
    report.orig_cl_ord_id.is_some_and(|id| !id.is_empty())
}

/// What is known of the play, beside the connections.
struct Ledger<'a> {
    mark: &'a Mark,
    /// Of the session that spoke last, in their sequence.
    waiting: VecDeque<Waiting>,
    /// Trades of the sandbox that are counted.
    trades: TradeIds,
    played: Played,
}

impl Ledger<'_> {
    /// Takes a message; the session that spoke last may have its answer in it.
    fn take(&mut self, message: &Message<'_>, from_speaker: bool) {
        let Ok(report) = ReportMessage::parse(message) else { return };
        let id = match &report {
            ReportMessage::Execution(report) => report.cl_ord_id,
            ReportMessage::CancelReject(reject) => Some(reject.cl_ord_id),
            ReportMessage::MassCancel(report) => report.cl_ord_id,
            ReportMessage::BusinessReject(reject) => reject.ref_id,
            ReportMessage::SessionReject(_) => None,
        };
        let seq_num = match &report {
            ReportMessage::BusinessReject(reject) => reject.ref_seq_num,
            ReportMessage::SessionReject(reject) => Some(reject.ref_seq_num),
            _ => None,
        };
        let seq_num = seq_num.map(|number| number.get());
        // A session that gets copies of what others get is told of their trades once more.
        if let Says::Traded(Trade { id: trade, symbol, qty }) = says(&report)
            && id.is_some_and(|id| id.starts_with(self.mark.as_str().as_bytes()))
            && self.trades.insert(trade)
        {
            self.played.sandbox.trade(&String::from_utf8_lossy(symbol), qty);
        }
        let is_answered = |waiting: &Waiting| {
            Some(waiting.msg_seq_num) == seq_num
                || (id == Some(waiting.cl_ord_id.as_bytes())
                    && waiting.kind.is_answered_by(&report))
        };
        if let Some(at) = self.waiting.iter().position(is_answered).filter(|_| from_speaker)
            && let Some(waiting) = self.waiting.remove(at)
        {
            self.answer(&waiting, says(&report));
        }
    }

    fn answer(&mut self, waiting: &Waiting, says: Says<'_>) {
        let refusal = match says {
            Says::Refused(text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        };
        match &refusal {
            Some(text) => self.played.sandbox.reject(text),
            None => self.played.sandbox.accepted += 1,
        }
        if refusal.is_some() != waiting.refused && self.played.first_difference.is_none() {
            let Waiting { sequence, cl_ord_id, .. } = *waiting;
            self.played.first_difference = Some(Differing { sequence, cl_ord_id, refusal });
        }
    }
}

/// Plays requests.
pub struct Player<'a> {
    sandbox: Sandbox<'a>,
    symbols: &'a SymbolTable,
    /// The orders of the journal.
    orders: Orders,
    clients: Vec<Client>,
    by_session: HashMap<SessionId, usize>,
    /// The session that spoke last.
    speaker: usize,
    ledger: Ledger<'a>,
    /// Whether the frames at hand follow a request that was sent.
    follows: bool,
    /// Time of the first request, recorded and in the sandbox.
    start_ns: Option<(u64, u64)>,
    swept_ns: u64,
}

impl<'a> Player<'a> {
    /// Logs all sessions on.
    ///
    /// # Errors
    /// [`Stop::Client`]: the sandbox is not there, or does not know one.
    pub fn log_on(sandbox: Sandbox<'a>, names: &'a Names) -> Result<Self, Stop> {
        let mut clients = Vec::with_capacity(sandbox.parts.len());
        for Part { plays, .. } in sandbox.parts {
            let Sandbox { address, venue, access, .. } = sandbox;
            let client = Client::log_on(address, plays, venue, access, SILENCE_MAX);
            clients.push(client.map_err(|error| Stop::Client(plays.clone(), error))?);
        }
        let parts = sandbox.parts.iter().enumerate();
        let by_session = parts.map(|(at, part)| (part.session, at)).collect();
        let mark = sandbox.mark;
        Ok(Self {
            sandbox,
            symbols: names.symbols(),
            orders: Orders::new(names.limits()),
            clients,
            by_session,
            speaker: 0,
            ledger: Ledger {
                mark,
                waiting: VecDeque::new(),
                trades: TradeIds::default(),
                played: Played::default(),
            },
            follows: false,
            start_ns: None,
            swept_ns: 0,
        })
    }

    /// What came of it up to now.
    pub fn played(&self) -> &Played {
        &self.ledger.played
    }

    /// Takes the next frame: a request is sent, once it is time; an event is what became of the last one.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn take(&mut self, entry: Entry) -> Result<(), Stop> {
        match entry.content {
            Content::Event(event) => {
                self.orders.learn(&event);
                let Played { recorded: outcome, .. } = &mut self.ledger.played;
                if self.follows && recorded(&event, self.symbols, outcome) {
                    outcome.accepted -= 1;
                    if let Some(waiting) = self.ledger.waiting.back_mut() {
                        waiting.refused = true;
                    }
                }
            }
            Content::Command(command) => {
                let at = command.client().and_then(|client| self.by_session.get(&client).copied());
                self.follows = at.is_some();
                if let Some(at) = at {
                    self.request(at, (entry.sequence, entry.time_ns), *command)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn request(
        &mut self,
        at: usize,
        (sequence, time_ns): (u64, u64),
        mut command: Command,
    ) -> Result<(), Stop> {
        if at != self.speaker {
            self.wait_for_answers(0)?;
        } else if self.ledger.waiting.len() == IN_FLIGHT_MAX {
            self.wait_for_answers(IN_FLIGHT_MAX / 2)?;
        }
        self.speaker = at;
        let now = self.wait_until_due(time_ns)?;
        let session = self.sandbox.parts[at].session;
        if let Some((order_id, name)) = order_named(&mut command)
            && *order_id != OrderId::NONE
        {
            *name = self.orders.name(session, *order_id, name);
            *order_id = OrderId::NONE;
        }
        let mut named = ClOrdId::EMPTY;
        for name in cl_ord_ids(&mut command) {
            // The mark alone, where there is no name, is the name of no order.
            *name = self.sandbox.mark.name(name);
            if named.is_empty() {
                named = *name;
            }
        }
        let client = &mut self.clients[at];
        let mut queue = Queue { client, now, msg_seq_num: 0 };
        tell(&command, self.symbols, &mut queue);
        let msg_seq_num = queue.msg_seq_num;
        if self.sandbox.speed != Speed::Max || client.queued_bytes() >= GATHERED_BYTES {
            client.flush().map_err(|error| self.failed(at, error))?;
        }
        let waiting = Waiting {
            sequence,
            msg_seq_num,
            cl_ord_id: named,
            kind: Kind::of(&command),
            refused: false,
        };
        self.ledger.waiting.push_back(waiting);
        let played = &mut self.ledger.played;
        played.sent += 1;
        played.recorded.accepted += 1;
        let (first_recorded, first) = *self.start_ns.get_or_insert((time_ns, now));
        played.recorded_ns = time_ns.saturating_sub(first_recorded);
        played.played_ns = now.saturating_sub(first);
        Ok(())
    }

    /// Sends what was gathered, and waits until no more than so many requests wait for their answers.
    fn wait_for_answers(&mut self, most: usize) -> Result<(), Stop> {
        let mut last = SystemClock.now().0;
        while self.ledger.waiting.len() > most {
            let at = self.speaker;
            self.clients[at].flush().map_err(|error| self.failed(at, error))?;
            let before = self.ledger.waiting.len();
            let now = SystemClock.now().0;
            let count = self.listen(now)?;
            if self.ledger.waiting.len() < before {
                last = now;
            } else if now.saturating_sub(last) > SILENCE_MAX.as_nanos() as u64 {
                let waiting = &self.ledger.waiting[0];
                return Err(Stop::Silence(waiting.sequence, waiting.cl_ord_id));
            } else if count == 0 {
                thread::yield_now();
            }
        }
        Ok(())
    }

    /// Waits until it is time for what was recorded then; gives the time.
    fn wait_until_due(&mut self, time_ns: u64) -> Result<u64, Stop> {
        loop {
            let now = SystemClock.now().0;
            let due = match (self.sandbox.speed, self.start_ns) {
                (Speed::Times(times), Some((first_recorded, first))) => {
                    let since = time_ns.saturating_sub(first_recorded);
                    first.saturating_add((since as f64 / times) as u64)
                }
                (Speed::Times(_), None) => now,
                (Speed::Max, _) => return Ok(now),
            };
            let count = self.listen(now)?;
            if due <= now {
                let late = &mut self.ledger.played.late_ns;
                *late = (*late).max(now - due);
                return Ok(now);
            }
            if due - now > SWEEP_NS {
                thread::sleep(Duration::from_nanos(SWEEP_NS));
            } else if count == 0 {
                thread::yield_now();
            }
        }
    }

    /// Reads what came: to the session that spoke last, and now and then to all others. Gives the bytes.
    fn listen(&mut self, now: u64) -> Result<usize, Stop> {
        let speaker = self.speaker;
        let is_sweep = now.saturating_sub(self.swept_ns) >= SWEEP_NS;
        let all = if is_sweep { 0..self.clients.len() } else { speaker..speaker + 1 };
        let mut count = 0;
        for at in all {
            let Self { clients, ledger, .. } = self;
            let read = clients[at].poll(|message| ledger.take(message, at == speaker));
            count += read.map_err(|error| self.failed(at, error))?;
            if is_sweep {
                self.clients[at].keep_alive(now).map_err(|error| self.failed(at, error))?;
                self.swept_ns = now;
            }
        }
        Ok(count)
    }

    fn failed(&self, at: usize, error: ClientError) -> Stop {
        Stop::Client(self.sandbox.parts[at].plays.clone(), error)
    }

    /// Waits for the last answers and logs out; gives what came of it, and why it ended before, if it did.
    pub fn end(mut self, mut stopped: Option<Stop>) -> (Played, Option<Stop>) {
        if stopped.is_none() {
            stopped = self.wait_for_answers(0).err();
        }
        let Self { clients, mut ledger, speaker, sandbox, .. } = self;
        for (at, client) in clients.into_iter().enumerate() {
            if stopped.is_none() {
                // What is told behind the last answer, a trade of it, comes before the Logout.
                let ended =
                    client.log_out_with(SILENCE_MAX, |message| ledger.take(message, at == speaker));
                let part = &sandbox.parts[at];
                stopped = ended.err().map(|error| Stop::Client(part.plays.clone(), error));
            }
        }
        ledger.played.unanswered = ledger.waiting.len() as u64;
        (ledger.played, stopped)
    }
}

/// Queues a message at a client.
struct Queue<'a> {
    client: &'a mut Client,
    now: u64,
    msg_seq_num: u64,
}

impl MessageVisitor for Queue<'_> {
    fn typed<B: Body>(&mut self, message: &B) {
        self.msg_seq_num = self.client.queue(message, self.now);
    }

    fn stored(&mut self, _: MsgType, _: &[u8]) {
        unreachable!("a request is told field by field");
    }

    fn nothing(&mut self) {
        unreachable!("FIX 4.4 has words for every request");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_numbers_or_max() {
        assert_eq!(Speed::parse("max"), Ok(Speed::Max));
        assert_eq!(Speed::parse("10"), Ok(Speed::Times(10.0)));
        assert_eq!(Speed::parse("0.5"), Ok(Speed::Times(0.5)));
        for wrong in ["0", "-1", "inf", "nan", "fast", ""] {
            assert!(Speed::parse(wrong).is_err(), "{wrong}");
        }
    }
}
