//! The agent that carries out what operators ask for.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use ironbook_engine::{
    Command, Event, InstrumentId, InstrumentStatus, ReasonText, SessionId, Timestamp,
    TradingStatus,
    command::{Origin, SetInstrumentStatus, SetTradingStatus},
    record::DecodeError,
};
use ironbook_journal::{DurablePosition, Frame, Position, Tail};

use super::{
    ALL, Action, Answer, Asked, Cause, OperatorRecord, Outcome, Request, Standing, Status,
};
use crate::{
    agent::Agent,
    audit::Audit,
    clock::Clock,
    retention::Delivered,
    ring::{Input, InputSender},
    session_record::SessionRecord,
    translate,
};

/// Slots in the ring: what halts every instrument of most venues at once; more go in turn.
pub const SLOTS: usize = 64;

/// Longest sleep: how long a request may wait for the journal, and what a stop may have to wait for.
pub const PARK_MAX: Duration = Duration::from_millis(50);

/// How long an operator waits for the journal before he is told that it goes on without him.
pub const ANSWER_NS_MAX: u64 = 5_000_000_000;

/// Frames that are followed in one turn, so that sockets are read in between.
const FRAMES_PER_TURN: usize = 4_096;

/// Why nothing is resumed.
const AUDIT_DIFFERS: &str = "the audit found a difference, and trading must not go on; nothing is open: stop the \
                             venue and run ironbook replay on its data directory";

/// Turns of a stop, a millisecond apart, in which what is under way may still come.
const STOP_TURNS: u32 = 200;

/// Where requests come from and answers go: the [socket](super::Socket), or whoever steps the agent. It waits for
/// nobody, and everything in it is bounded.
pub trait Lines: Send {
    /// Who asked, told from all who did before.
    type Asker: Copy + Send;

    /// Takes in and sends what there is to; returns how much was done.
    fn turn(&mut self, now: Timestamp) -> usize;

    /// The next request, without its end of line, and who asks. Everybody has his turn, and nobody has two requests
    /// that are not answered.
    fn next_request(&mut self) -> Option<(Self::Asker, Vec<u8>)>;

    /// Answers who asked, if he is still there.
    fn answer(&mut self, asker: Self::Asker, answer: &Answer, now: Timestamp);

    /// Waits for at most `limit` until somebody has something. What it is, a turn finds.
    fn park(&mut self, limit: Duration);

    /// Nobody new is heard from here on; who was heard is still answered.
    fn close(&mut self);
}

/// What a venue gives to the agent of its operators.
pub struct OperatorParts {
    /// A sender of the ring, of [`SLOTS`].
    pub inputs: InputSender,
    /// The journal, from where `standing` is.
    pub tail: Tail,
    /// Instruments and sessions there.
    pub standing: Standing,
    /// Sequence of the last frame before that.
    pub sequence: u64,
    /// How far the journal is written and durable.
    pub durable: DurablePosition,
    /// Whether answers wait for the disk, as reports do.
    pub waits_for_disk: bool,
    /// What the follower finds wrong.
    pub audit: Arc<Audit>,
    /// To be told how far the agent is: no segment is removed that it has not read.
    pub followed: Delivered,
}

/// Listens to operators, and follows the journal for what came of what they asked.
pub struct OperatorAgent<C, L: Lines> {
    clock: C,
    lines: L,
    parts: OperatorParts,
    /// Why the journal can't be followed any more, if it can't: nothing more is carried out then.
    ended: Option<String>,
    under_way: Option<UnderWay<L::Asker>>,
    /// When the last action was asked for.
    asked: Timestamp,
    /// Turns of a stop.
    stop_turns: u32,
}

/// An action that the journal does not have yet.
struct UnderWay<A> {
    /// Who waits for the answer; nobody once he was told to look later.
    asker: Option<A>,
    record: OperatorRecord,
    /// What the ring has had no room for.
    waiting: VecDeque<Input>,
    /// Commands that the journal has.
    seen: u32,
    /// Where the last of its frames ends that the journal has.
    end: Position,
    /// The last frame was one of its commands, or an event of one.
    is_here: bool,
    outcome: Outcome,
}

impl<C: Clock, L: Lines> OperatorAgent<C, L> {
    /// An agent that listens to these.
    pub fn new(parts: OperatorParts, clock: C, lines: L) -> Self {
        let asked = Timestamp(0);
        Self { clock, lines, parts, ended: None, under_way: None, asked, stop_turns: 0 }
    }

    /// Takes in what the journal has; says whether that was all.
    fn follow(&mut self) -> bool {
        let mut taken = 0;
        while taken < FRAMES_PER_TURN && self.ended.is_none() {
            let folded = match self.parts.tail.next() {
                Ok(Some(frame)) => fold(
                    &frame,
                    &mut self.parts.standing,
                    &mut self.parts.sequence,
                    self.under_way.as_mut(),
                )
                .map_err(|error| error.to_string()),
                Ok(None) => break,
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = folded {
                log::error!("operators can't be heard any more: {error}; trading goes on");
                self.ended = Some(format!("the journal can't be followed: {error}"));
                self.parts.followed.end();
            }
            taken += 1;
        }
        if taken > 0 && self.ended.is_none() {
            self.parts.followed.set(self.parts.tail.position());
        }
        taken < FRAMES_PER_TURN
    }

    /// Takes in all that the journal has by now, so that who was told something by the venue finds it so.
    fn catch_up(&mut self) {
        let written = self.parts.durable.written();
        while self.parts.tail.position() < written && !self.follow() {}
    }

    /// Hands over what there is room for; says how much that was.
    fn push(&mut self) -> usize {
        let Some(under_way) = &mut self.under_way else { return 0 };
        let mut pushed = 0;
        while self.parts.inputs.room() > 0
            && let Some(input) = under_way.waiting.pop_front()
        {
            self.parts.inputs.push(input);
            pushed += 1;
        }
        self.parts.inputs.flush();
        pushed
    }

    /// Answers an action that the journal has, or that it does not have in time.
    fn settle(&mut self, all_read: bool, now: Timestamp) {
        let Some(under_way) = &mut self.under_way else { return };
        let is_whole = under_way.seen == under_way.record.commands
            && under_way.outcome.sequence > 0
            && (all_read || !under_way.is_here);
        // What comes behind it is not waited for.
        let is_safe = !self.parts.waits_for_disk || self.parts.durable.get() >= under_way.end;
        if is_whole && is_safe {
            log_outcome(&under_way.record, &under_way.outcome);
            let answer = if under_way.record.action == Action::Resume
                && self.parts.audit.found_difference()
            {
                // It was found when this was under way: what was opened is halted again.
                self.parts.audit.halt_again();
                Answer::refused(AUDIT_DIFFERS.to_owned())
            } else {
                Answer::outcome(under_way.outcome)
            };
            if let Some(asker) = under_way.asker {
                self.lines.answer(asker, &answer, now);
            }
            self.under_way = None;
        } else if let Some(error) = &self.ended {
            let asker = under_way.asker.take();
            let answer = Answer::refused(format!("{error}; whether it was done is not known"));
            asker.into_iter().for_each(|asker| self.lines.answer(asker, &answer, now));
            self.under_way = None;
        } else if now.0.saturating_sub(under_way.record.asked.0) > ANSWER_NS_MAX
            && let Some(asker) = under_way.asker.take()
        {
            let text = "the journal does not have it yet, its disk may be full; it is under way and will be \
                        carried out: look at the status before you try again";
            self.lines.answer(asker, &Answer::refused(text), now);
        }
    }

    /// Hears operators, one action after the other.
    fn hear(&mut self, now: Timestamp) -> usize {
        let mut heard = 0;
        while self.under_way.as_ref().is_none_or(|it| it.asker.is_none())
            && let Some((asker, line)) = self.lines.next_request()
        {
            heard += 1;
            self.catch_up();
            let begun = Request::parse(&line).and_then(|asked| match asked {
                Asked::Status => Ok(Some(Answer::status(self.status()))),
                Asked::Action { action, target, name, reason } => {
                    let (record, commands) = self.plan(action, &target, name, reason, now)?;
                    self.begin(asker, record, commands);
                    Ok(None)
                }
            });
            if let Some(answer) = begun.unwrap_or_else(|error| Some(Answer::refused(error))) {
                self.lines.answer(asker, &answer, now);
            }
        }
        heard
    }

    fn begin(&mut self, asker: L::Asker, record: OperatorRecord, commands: Vec<Command>) {
        let asked = Input::Session(Box::new(SessionRecord::Operator(record.clone())));
        let commands = commands.into_iter().map(Input::Command);
        self.under_way = Some(UnderWay {
            asker: Some(asker),
            record,
            waiting: std::iter::once(asked).chain(commands).collect(),
            seen: 0,
            end: Position::START,
            is_here: false,
            outcome: Outcome::default(),
        });
        self.push();
    }

    /// How things are.
    fn status(&self) -> Status {
        Status {
            sequence: self.parts.sequence,
            // Read in this order, so that what is durable is never ahead.
            durable: self.parts.durable.get().get(),
            written: self.parts.durable.written().get(),
            audit: self.parts.audit.status(),
            ..self.parts.standing.status()
        }
    }

    /// The record and the commands of an action, or why there is none.
    fn plan(
        &mut self,
        action: Action,
        target: &str,
        name: String,
        reason: String,
        now: Timestamp,
    ) -> Result<(OperatorRecord, Vec<Command>), String> {
        if let Some(error) = &self.ended {
            return Err(format!("{error}; restart the venue"));
        }
        if self.stop_turns > 0 {
            return Err("the venue stops; nothing was done".to_owned());
        }
        if self.under_way.is_some() {
            return Err(
                "the journal does not have an earlier action yet; nothing was done, try again"
                    .to_owned(),
            );
        }
        if action == Action::Resume && self.parts.audit.found_difference() {
            return Err(AUDIT_DIFFERS.to_owned());
        }
        let asked = Timestamp(now.0.max(self.asked.0 + 1));
        let planned = Plan { standing: &self.parts.standing, asked, reason: &reason };
        let (session, instrument, commands) = match action {
            Action::Halt | Action::Resume => planned.of_instruments(action, target)?,
            Action::Suspend | Action::Open | Action::Cancel => {
                planned.of_session(action, target)?
            }
        };
        self.asked = asked;
        let count = commands.len() as u32;
        let record =
            OperatorRecord { action, session, instrument, commands: count, asked, name, reason };
        Ok((record, commands))
    }
}

/// What an action comes to.
struct Plan<'a> {
    standing: &'a Standing,
    asked: Timestamp,
    reason: &'a str,
}

impl Plan<'_> {
    fn of_instruments(
        &self,
        action: Action,
        target: &str,
    ) -> Result<(SessionId, InstrumentId, Vec<Command>), String> {
        let (before, after) = match action {
            Action::Halt => (InstrumentStatus::Open, InstrumentStatus::Halted),
            _ => (InstrumentStatus::Halted, InstrumentStatus::Open),
        };
        let command = |instrument: InstrumentId| {
            SetInstrumentStatus::new(Origin::venue(self.asked), instrument, after).into()
        };
        // A symbol of that name comes first.
        match self.standing.instrument(target) {
            Some((_, InstrumentStatus::Closed)) => Err(format!(
                "{target} is closed by the configuration; nothing was done: change its status there"
            )),
            Some((instrument, _)) => Ok((SessionId::VENUE, instrument, vec![command(instrument)])),
            None if target == ALL => {
                let all = self.standing.instruments_that_are(before);
                let commands = all.into_iter().map(command).collect();
                Ok((SessionId::VENUE, InstrumentId::NONE, commands))
            }
            None => Err(format!("symbol {target:?} is unknown; nothing was done")),
        }
    }

    fn of_session(
        &self,
        action: Action,
        target: &str,
    ) -> Result<(SessionId, InstrumentId, Vec<Command>), String> {
        let session = self.standing.session(target);
        let session =
            session.ok_or_else(|| format!("comp id {target:?} is unknown; nothing was done"))?;
        let set = |status| {
            let origin = Origin::venue(self.asked);
            SetTradingStatus::new(origin, session, status, short(self.reason)).into()
        };
        let cancel = || translate::mass_cancel_of(session, self.asked).into();
        let commands = match action {
            Action::Suspend => vec![set(TradingStatus::CancelOnly), cancel()],
            Action::Open => vec![set(TradingStatus::Open)],
            _ => vec![cancel()],
        };
        Ok((session, InstrumentId::NONE, commands))
    }
}

/// As much of a reason as a command has room for; the record before it has all.
fn short(reason: &str) -> ReasonText {
    let end = reason.floor_char_boundary(ReasonText::MAX);
    reason[..end].try_into().unwrap_or_default()
}

/// Takes a frame into account.
fn fold<A>(
    frame: &Frame<'_>,
    standing: &mut Standing,
    sequence: &mut u64,
    under_way: Option<&mut UnderWay<A>>,
) -> Result<(), DecodeError> {
    *sequence = frame.sequence;
    if Event::is_kind(frame.kind) {
        let event = Event::decode(frame.kind, frame.payload)?;
        let under_way = under_way.filter(|it| it.is_here);
        let cause = under_way.as_ref().map(|it| it.cause());
        standing.fold(&event, cause.as_ref());
        if let Some(it) = under_way {
            it.count(&event);
            it.end = frame.end;
        }
    } else if let Some(it) = under_way {
        it.look_at(frame)?;
    }
    Ok(())
}

impl<A> UnderWay<A> {
    fn cause(&self) -> Cause {
        Cause { by: self.record.name.clone(), reason: self.record.reason.clone() }
    }

    /// Looks whether a record or a command is of it.
    fn look_at(&mut self, frame: &Frame<'_>) -> Result<(), DecodeError> {
        self.is_here = false;
        if SessionRecord::is_kind(frame.kind) {
            let record = SessionRecord::decode(frame.kind, frame.payload);
            if record.is_some_and(|it| it == SessionRecord::Operator(self.record.clone())) {
                (self.outcome.sequence, self.outcome.time_ns) = (frame.sequence, frame.time_ns);
                self.end = frame.end;
            }
        } else if Command::is_kind(frame.kind) {
            let command = Command::decode(frame.kind, frame.payload)?;
            let is_ours =
                |origin: &Origin| origin.msg_seq_num == 0 && origin.received == self.record.asked;
            self.is_here = self.outcome.sequence > 0
                && self.seen < self.record.commands
                && command.origin().is_some_and(is_ours);
            if self.is_here {
                self.seen += 1;
                self.end = frame.end;
            }
        }
        Ok(())
    }

    fn count(&mut self, event: &Event) {
        match event {
            Event::StatusChanged(_) | Event::TradingStatusChanged(_) => self.outcome.changed += 1,
            Event::MassCanceled(event) => self.outcome.canceled += event.affected,
            _ => {}
        }
    }
}

fn log_outcome(record: &OperatorRecord, outcome: &Outcome) {
    let OperatorRecord { action, name, reason, .. } = record;
    let Outcome { sequence, changed, canceled, .. } = outcome;
    log::info!(
        "operator {name}: {} ({reason}), sequence {sequence}, {changed} changed, {canceled} orders canceled",
        action.name()
    );
}

impl<C: Clock, L: Lines> Agent for OperatorAgent<C, L> {
    /// Frames alone are no reason not to park.
    fn do_work(&mut self) -> usize {
        let all_read = self.follow();
        let now = self.clock.now();
        let pushed = self.push();
        self.settle(all_read, now);
        let done = pushed + self.lines.turn(now) + self.hear(now);
        usize::from(!all_read) + done
    }

    /// Until somebody has something, or the journal may have.
    fn park(&mut self, limit: Duration) {
        self.lines.park(limit.min(PARK_MAX));
    }

    /// The journal wakes nobody.
    fn must_look(&self) -> bool {
        true
    }

    fn close(&mut self) -> bool {
        if self.stop_turns == 0 {
            self.lines.close();
        }
        self.stop_turns += 1;
        let now = self.clock.now();
        let waits =
            self.under_way.as_ref().is_some_and(|it| it.asker.is_some() || !it.waiting.is_empty());
        if waits && self.stop_turns < STOP_TURNS {
            return false;
        }
        if let Some(asker) = self.under_way.take().and_then(|it| it.asker) {
            let text = "the venue stops; whether it was done, the journal says: ironbook inspect";
            self.lines.answer(asker, &Answer::refused(text), now);
        }
        true
    }
}
