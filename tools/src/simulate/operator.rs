//! A simulated operator: what he asks a venue for, what he is told, and what must hold of that.

use std::{
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
    time::Duration,
};

use ironbook_engine::{InstrumentId, Timestamp};
use ironbook_gateway::{
    operator::{ALL, Action, Answer, Lines, Outcome, PARK_MAX, Request, STATUS, Status},
    random::Random,
};

use super::{
    audit::{Audit, session_id},
    carried_out::Carried,
    client::{MS, SECOND},
    market::{INSTRUMENTS, TRADERS},
    violation::{Checked, Oracle, Violation, ensure},
};

/// Requests of which a planted bug answers one by itself.
const REQUESTS_PER_BUG: u64 = 8;

/// What operators did and were told.
#[derive(Clone, Debug, Default)]
pub struct OperatorCounts {
    /// Actions answered as done.
    pub done: u64,
    /// Requests answered as refused.
    pub refused: u64,
    /// Requests without an answer, or with one that does not say whether it was done.
    pub unknown: u64,
    /// Statuses told.
    pub statuses: u64,
    /// Of these, compared with the journal.
    pub compared: u64,
}

impl OperatorCounts {
    /// Adds those of another operator.
    pub fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.statuses += other.statuses;
        self.compared += other.compared;
    }
}

/// The venue's end of the lines of all operators.
pub struct SimulatedLines {
    lines: Vec<Line>,
    /// Answers requests by itself, as a bug would.
    lies: Option<Random>,
}

struct Line {
    requests: Receiver<Vec<u8>>,
    answers: Sender<Answer>,
    /// An answer is due, and the next request waits for it.
    asked: bool,
}

impl SimulatedLines {
    /// Connects these operators to a venue that starts; with `lies` requests are answered that nobody heard.
    pub fn connect(operators: &mut [Operator], lies: Option<Random>) -> Self {
        Self { lines: operators.iter_mut().map(Operator::connect).collect(), lies }
    }
}

impl Lines for SimulatedLines {
    type Asker = usize;

    fn turn(&mut self, _now: Timestamp) -> usize {
        0
    }

    fn next_request(&mut self) -> Option<(usize, Vec<u8>)> {
        let mut idle = self.lines.iter_mut().enumerate().filter(|(_, line)| !line.asked);
        let (place, line, request) = idle.find_map(|(place, line)| {
            let request = line.requests.try_recv().ok()?;
            Some((place, line, request))
        })?;
        if self.lies.as_mut().is_some_and(|random| random.one_in(REQUESTS_PER_BUG)) {
            let outcome = Some(Outcome::default());
            let _ = line.answers.send(Answer { done: true, outcome, ..Answer::default() });
            return None;
        }
        line.asked = true;
        Some((place, request))
    }

    fn answer(&mut self, asker: usize, answer: &Answer, _now: Timestamp) {
        let line = &mut self.lines[asker];
        line.asked = false;
        // The operator lives longer than the venue.
        let _ = line.answers.send(answer.clone());
    }

    fn park(&mut self, _limit: Duration) {}

    /// Who is connected stays so.
    fn close(&mut self) {}
}

/// The operator's end.
struct Connection {
    requests: Sender<Vec<u8>>,
    answers: Receiver<Answer>,
}

/// An action that was answered as done.
#[derive(Clone, Debug)]
struct Done {
    reason: String,
    sequence: u64,
}

/// An operator, who outlives every venue.
pub struct Operator {
    name: String,
    random: Random,
    connection: Option<Connection>,
    /// What he asked for and has no answer to.
    asked: Option<Request>,
    /// When he asks for something again.
    act_at: u64,
    calm: bool,
    /// Requests that he ever made: no reason is given twice.
    number: u64,
    /// What would open what is not open, as far as he knows.
    shut: Vec<(Action, String)>,
    /// Actions that were done.
    done: Vec<Done>,
    /// Reasons of actions that were refused.
    refused: Vec<String>,
    /// Reasons of actions that this venue has promised to carry out.
    promised: Vec<String>,
    /// What he did and was told.
    pub counts: OperatorCounts,
}

impl Operator {
    /// An operator who has asked for nothing yet.
    pub fn new(name: &str, random: Random, now: u64) -> Self {
        Self {
            name: name.to_owned(),
            random,
            connection: None,
            asked: None,
            act_at: now + SECOND,
            calm: false,
            number: 0,
            shut: Vec::new(),
            done: Vec::new(),
            refused: Vec::new(),
            promised: Vec::new(),
            counts: OperatorCounts::default(),
        }
    }

    fn connect(&mut self) -> Line {
        let ((requests, to_hear), (to_answer, answers)) = (channel(), channel());
        self.connection = Some(Connection { requests, answers });
        Line { requests: to_hear, answers: to_answer, asked: false }
    }

    /// Asks for nothing from now on, or does again.
    pub fn set_calm(&mut self, calm: bool, now: u64) {
        self.calm = calm;
        self.act_at = self.act_at.max(now);
    }

    /// When he does something, or looks for an answer.
    pub fn next_event_ns(&self, now: u64) -> u64 {
        match (&self.connection, &self.asked) {
            (None, _) => u64::MAX,
            (Some(_), Some(_)) => now + PARK_MAX.as_nanos() as u64,
            (Some(_), None) if self.calm => u64::MAX,
            (Some(_), None) => self.act_at,
        }
    }

    /// Takes a turn; returns whether he did anything.
    ///
    /// # Errors
    /// What he must never be told.
    pub fn turn(&mut self, now: u64, audit: &Audit) -> Checked<bool> {
        let mut worked = false;
        while let Some(connection) = &self.connection {
            match connection.answers.try_recv() {
                Ok(answer) => self.hear(&answer, audit)?,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => self.disconnected(),
            }
            worked = true;
        }
        if !self.calm && self.asked.is_none() && self.act_at <= now && self.connection.is_some() {
            self.act_at = now + self.random.between(200 * MS, 12 * SECOND);
            self.ask();
            worked = true;
        }
        Ok(worked)
    }

    /// The venue is gone: nobody knows what becomes of what was asked.
    fn disconnected(&mut self) {
        self.connection = None;
        self.counts.unknown += u64::from(self.asked.take().is_some());
        self.promised.clear();
    }

    // ---- what he asks for ----------------------------------------------------------------------

    fn ask(&mut self) {
        let line = match self.random.below(20) {
            0..4 => self.send_status(),
            4 => self.send_nonsense(),
            _ => self.send_action(),
        };
        if let Some(connection) = &self.connection {
            // A venue that is gone is noticed in the next turn.
            let _ = connection.requests.send(line);
        }
    }

    fn send_status(&mut self) -> Vec<u8> {
        self.line_of(Request { action: STATUS.to_owned(), ..Request::default() })
    }

    fn send_action(&mut self) -> Vec<u8> {
        let (action, target) = if !self.shut.is_empty() && !self.random.one_in(3) {
            self.random.choose(&self.shut).clone()
        } else {
            let action = *self.random.choose(&Action::EACH);
            (action, self.any_target(action))
        };
        let request = self.request(action.name(), &target);
        self.line_of(request)
    }

    fn any_target(&mut self, action: Action) -> String {
        let target = match action.is_of_instruments() {
            true if self.random.one_in(4) => ALL,
            true => self.random.choose(&INSTRUMENTS).symbol,
            false => *self.random.choose(&TRADERS),
        };
        target.to_owned()
    }

    /// What must be refused.
    fn send_nonsense(&mut self) -> Vec<u8> {
        let request = match self.random.below(4) {
            0 => self.request(Action::Halt.name(), "NONE"),
            1 => self.request(Action::Suspend.name(), INSTRUMENTS[0].symbol),
            2 => self.request("explode", ALL),
            _ => Request { by: String::new(), ..self.request(Action::Halt.name(), ALL) },
        };
        self.line_of(request)
    }

    /// A request with a reason that was never given before.
    fn request(&mut self, action: &str, target: &str) -> Request {
        self.number += 1;
        Request {
            action: action.to_owned(),
            target: target.to_owned(),
            by: self.name.clone(),
            reason: format!("{} {}", self.name, self.number),
        }
    }

    fn line_of(&mut self, request: Request) -> Vec<u8> {
        let line = serde_json::to_vec(&request).expect("a request is plain data");
        log::debug!("{} asks {}", self.name, String::from_utf8_lossy(&line));
        self.asked = Some(request);
        line
    }

    // ---- what he is told -----------------------------------------------------------------------

    fn hear(&mut self, answer: &Answer, audit: &Audit) -> Checked {
        log::debug!("{} hears {answer:?}", self.name);
        let wrong = |oracle, what: &str| {
            Err(Violation::new(oracle, format!("{}: {what}: {answer:?}", self.name)))
        };
        let Some(request) = self.asked.take() else {
            return wrong(Oracle::Operators, "an answer that nobody asked for");
        };
        match (answer.done, &answer.error, &answer.status, &answer.outcome) {
            (true, None, Some(status), None) => self.hear_status(status, audit),
            (true, None, None, Some(outcome)) => {
                let carried = self.carried_out(&request, audit)?;
                let told = (outcome.sequence, outcome.time_ns, outcome.changed, outcome.canceled);
                let is = (carried.sequence, carried.time_ns, carried.changed, carried.canceled);
                ensure(Oracle::Operators, told == is, || {
                    format!("{}: told {answer:?}, the journal has {carried:?}", self.name)
                })?;
                self.counts.done += 1;
                self.note(&request);
                self.done.push(Done { reason: request.reason, sequence: outcome.sequence });
                Ok(())
            }
            (false, Some(error), None, None) => {
                self.hear_refusal(request, error);
                Ok(())
            }
            _ => wrong(Oracle::Operators, "neither done nor refused"),
        }
    }

    /// What is shut and what is open by something that was done.
    fn note(&mut self, done: &Request) {
        let is_done = |(action, target): &(Action, String)| {
            action.name() == done.action && (*target == done.target || done.target == ALL)
        };
        self.shut.retain(|opening| !is_done(opening));
        let by = [(Action::Halt, Action::Resume), (Action::Suspend, Action::Open)];
        let opening = by.into_iter().find(|(shuts, _)| shuts.name() == done.action);
        self.shut.extend(opening.map(|(_, opens)| (opens, done.target.clone())));
    }

    /// An action that was answered as done is in the journal, all of it, and as safe as reports are.
    fn carried_out<'a>(&self, request: &Request, audit: &'a Audit) -> Checked<&'a Carried> {
        let wrong = |what: &str| Violation::new(Oracle::Operators, format!("{request:?}: {what}"));
        let carried = audit.carried_out.find(&request.reason);
        let carried = carried.ok_or_else(|| wrong("the journal has nothing of it"))?;
        let record = &carried.record;
        let target = match record.action.is_of_instruments() {
            true if record.instrument == InstrumentId::NONE => ALL,
            true => INSTRUMENTS[record.instrument.0 as usize - 1].symbol,
            false => TRADERS[record.session.0 as usize - 1],
        };
        let is_as_asked = record.action.name() == request.action
            && target == request.target
            && record.name == request.by;
        if !carried.is_whole() || !is_as_asked {
            return Err(wrong(&format!("the journal has {carried:?}")));
        }
        if !audit.is_safe(carried.end) {
            return Err(wrong("told before it is durable"));
        }
        Ok(carried)
    }

    fn hear_refusal(&mut self, request: Request, error: &str) {
        if error.contains("will be carried out") {
            self.counts.unknown += 1;
            self.promised.push(request.reason);
        } else if error.contains("whether it was done") {
            self.counts.unknown += 1;
        } else {
            self.counts.refused += 1;
            self.refused.push(request.reason);
        }
    }

    /// What he is told of the venue is what the journal says, where both are at the same frame.
    fn hear_status(&mut self, status: &Status, audit: &Audit) -> Checked {
        self.counts.statuses += 1;
        let symbols = status.instruments.iter().map(|row| (Action::Resume, row.symbol.clone()));
        let shut = status.sessions.iter().filter(|row| row.status != "open");
        self.shut = symbols.chain(shut.map(|row| (Action::Open, row.comp_id.clone()))).collect();
        if status.sequence != audit.mark.sequence {
            return Ok(());
        }
        self.counts.compared += 1;
        let ids = || (1..).map(InstrumentId).zip(&INSTRUMENTS);
        let halted = ids().filter(|(id, _)| audit.rules.is_halted(*id));
        let halted: Vec<_> = halted.map(|(_, known)| known.symbol).collect();
        let told: Vec<_> = status.instruments.iter().map(|row| row.symbol.as_str()).collect();
        let standing_of = |comp_id: &str| audit.rules.standing_of(session_id(comp_id));
        let expected = TRADERS.into_iter().filter_map(|comp_id| {
            let (cancel_only, tripped, live) = standing_of(comp_id);
            let is_told = cancel_only || live > 0;
            is_told.then_some((comp_id, cancel_only, tripped, live))
        });
        let expected: Vec<_> = expected.collect();
        let rows = status.sessions.iter().map(|row| {
            (row.comp_id.as_str(), row.status != "open", row.trip.is_some(), row.live_orders)
        });
        let rows: Vec<_> = rows.collect();
        let is_same = halted == told
            && expected == rows
            && status.audit.is_none()
            && status.durable <= status.written;
        ensure(Oracle::Operators, is_same, || {
            format!("{}: told {status:?}, halted {halted:?}, {expected:?}", self.name)
        })
    }

    // ---- oracles -------------------------------------------------------------------------------

    /// After a restart: what was done is there, and what was refused is not. With `may_lose` what a loss of power
    /// took is forgotten.
    ///
    /// # Errors
    /// What was told and is not so.
    pub fn check_after_restart(&mut self, audit: &Audit, may_lose: bool) -> Checked {
        if may_lose {
            self.done.retain(|done| audit.carried_out.find(&done.reason).is_some());
        }
        self.check(audit)
    }

    /// At rest: what was promised is there as well, and nothing is asked.
    ///
    /// # Errors
    /// What was told and is not so.
    pub fn check_at_rest(&self, audit: &Audit) -> Checked {
        self.check(audit)?;
        for reason in &self.promised {
            let is_there = audit.carried_out.find(reason).is_some_and(Carried::is_whole);
            ensure(Oracle::Operators, is_there, || {
                format!("{reason}: it was to be carried out, and was not")
            })?;
        }
        Ok(())
    }

    fn check(&self, audit: &Audit) -> Checked {
        for done in &self.done {
            let is_there = audit
                .carried_out
                .find(&done.reason)
                .is_some_and(|found| found.is_whole() && found.sequence == done.sequence);
            ensure(Oracle::Operators, is_there, || format!("{done:?}: it was done, and is lost"))?;
        }
        for reason in &self.refused {
            let found = audit.carried_out.find(reason);
            ensure(Oracle::Operators, found.is_none(), || {
                format!("{reason} was refused, and the journal has {found:?}")
            })?;
        }
        Ok(())
    }

    /// What still keeps him from rest, in words.
    pub fn unrest(&self) -> Option<String> {
        self.asked.as_ref().map(|request| format!("{}: no answer to {request:?}", self.name))
    }
}
