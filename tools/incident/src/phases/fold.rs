//! Phases as a fold over frames.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ironbook_engine::{
    Command, Engine, Event, InstrumentId, InstrumentStatus, SessionId, command::Origin,
    domain::DisconnectCause, event::StatusChanged, record::Record,
};
use ironbook_gateway::{operator::OperatorRecord, session_record::SessionRecord};
use ironbook_journal::Frame;

use crate::operators::Operators;

use super::{
    ACTIONS_MAX, Action, By, Instrument, Latest, Place, RUNS_MAX, Rates, Run, SILENCE_NS_MIN,
    SILENCES_MAX, Sign, Silence, Status,
};

const SECOND_NS: u64 = 1_000_000_000;

/// What a start journals, in this sequence; what comes before its turn is of another start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Limits,
    Instruments,
    Sessions,
    Roles,
}

/// Frames so far.
#[derive(Default)]
pub(super) struct Fold {
    pub(super) first: Option<Place>,
    pub(super) last: Place,
    pub(super) frames: u64,
    pub(super) runs: Latest<Run, RUNS_MAX>,
    pub(super) silences: Vec<Silence>,
    /// Those that are not kept.
    pub(super) silences_left: u64,
    pub(super) actions: Latest<Action, ACTIONS_MAX>,
    pub(super) instruments: BTreeMap<InstrumentId, Instrument>,
    pub(super) requests: Rates,
    comp_ids: HashMap<SessionId, String>,
    /// Where the start is that is being journaled.
    step: Option<Step>,
    /// How often the journal was opened to be written, where that is known: there were no more starts.
    opened: Option<u32>,
    /// Statuses that the venue sets one after the other: it may be about to start.
    action: Option<Action>,
    /// Sessions that were told that the venue stops, and have not lost their connection since.
    leaving: BTreeSet<SessionId>,
    /// Who sets the status that comes next.
    by: By,
    operators: Operators,
}

impl Fold {
    /// From the first frame of a journal that was opened so often.
    pub(super) fn new(opened: Option<u32>) -> Self {
        Self { opened, ..Self::default() }
    }

    /// Goes on from a state of before the first frame.
    pub(super) fn from_state(engine: &Engine) -> Self {
        let instrument = |view: ironbook_engine::engine::InstrumentView| {
            let symbol = view.definition.symbol.to_string();
            (view.definition.instrument, Instrument::new(symbol, view.status, None))
        };
        Self {
            instruments: engine.instruments().map(instrument).collect(),
            comp_ids: engine
                .sessions()
                .map(|view| (view.session, view.comp_id.to_string()))
                .collect(),
            ..Self::default()
        }
    }

    pub(super) fn take(&mut self, frame: &Frame<'_>) {
        let here = Place { sequence: frame.sequence, time_ns: frame.time_ns };
        let before = self.first.map(|_| self.last);
        if self.first.is_none() {
            self.first = Some(here);
            // The venue that wrote the first frame of a journal tells what it starts with.
            let sign = if here.sequence == 1 { Sign::First } else { Sign::Unknown };
            self.begin_run(here, sign, None);
        }
        if let Some(from) = before.filter(|from| here.since(*from) >= SILENCE_NS_MIN) {
            self.silent(Silence { from, to: here });
        }
        self.frames += 1;
        if Event::is_kind(frame.kind) {
            // Of all the events only this one matters, and the others need not be decoded.
            if frame.kind == StatusChanged::KIND
                && let Ok(changed) = StatusChanged::read(frame.payload)
            {
                self.status(&changed, here);
            }
        } else if Command::is_kind(frame.kind) {
            match Command::decode(frame.kind, frame.payload) {
                Ok(command) => self.command(&command, here, before),
                Err(_) => self.other(),
            }
        } else if let Some(record) = SessionRecord::decode(frame.kind, frame.payload) {
            let is_logon = SessionRecord::is_logon(frame.kind, frame.payload);
            self.operators.take(frame);
            self.record(&record, is_logon, here, before);
        }
        self.last = here;
        if let Some(run) = self.runs.last_mut() {
            run.last = here;
        }
    }

    fn status(&mut self, changed: &StatusChanged, here: Place) {
        let by = self.by.clone();
        let unknown = || Instrument::unknown(changed.instrument);
        let instrument = self.instruments.entry(changed.instrument).or_insert_with(unknown);
        instrument.statuses.push(Status { status: changed.status, from: Some(here), by });
    }

    fn command(&mut self, command: &Command, here: Place, before: Option<Place>) {
        match command {
            Command::Limits(_) => self.step(Step::Limits, here, before).limits = true,
            Command::DefineInstrument(definition) => {
                self.step(Step::Instruments, here, before).instruments += 1;
                let symbol = definition.symbol.to_string();
                let open = InstrumentStatus::Open;
                let new = || Instrument::new(symbol, open, Some(here));
                self.instruments.entry(definition.instrument).or_insert_with(new);
            }
            Command::DefineSession(definition) => {
                self.step(Step::Sessions, here, before).sessions += 1;
                self.comp_ids.insert(definition.session, definition.comp_id.to_string());
            }
            Command::SetRiskLimits(_) => self.step(Step::Sessions, here, before).risk_limits += 1,
            Command::SetInstrumentStatus(command) => {
                let session = command.origin.session;
                if session != SessionId::VENUE {
                    self.by = By::Session(self.comp_id(session));
                    return self.other();
                }
                let operator = self.operator_of(&command.origin);
                if operator.is_none() && self.is_set_again(command.instrument) {
                    self.other();
                }
                // One that has stopped sets a status when it starts again. The audit only halts.
                let starts = self.is_stopped()
                    || self.step.is_some_and(|step| step <= Step::Instruments)
                    || (command.status != InstrumentStatus::Halted && self.may_be_start());
                if operator.is_none() && starts {
                    self.by = By::Start;
                    self.step(Step::Instruments, here, before).statuses += 1;
                } else {
                    self.by = operator.unwrap_or(By::Venue);
                    self.step = None;
                    self.act(command.status, here, before);
                }
            }
            other => {
                self.other();
                if other.client().is_some() {
                    self.requests.count(here);
                    if let Some(run) = self.runs.last_mut() {
                        run.requests.count(here);
                    }
                }
            }
        }
    }

    fn record(
        &mut self,
        record: &SessionRecord,
        is_logon: bool,
        here: Place,
        before: Option<Place>,
    ) {
        match record {
            SessionRecord::Role { .. } => self.step(Step::Roles, here, before).roles += 1,
            SessionRecord::Throttle { .. } => self.step(Step::Roles, here, before).throttles += 1,
            SessionRecord::Lost { session, cause: DisconnectCause::VenueDown }
                if !self.leaving.remove(session) =>
            {
                self.step(Step::Roles, here, before).lost += 1;
            }
            SessionRecord::Operator(record) if record.session != SessionId::VENUE => {
                self.other();
                let by = By::Operator { name: record.name.clone(), reason: record.reason.clone() };
                let session = Some((record.action, self.comp_id(record.session)));
                let (first, last, statuses) = (here, here, [0; 3]);
                self.actions.push(Action { first, last, before, by, statuses, session });
            }
            other => {
                self.other();
                if other.tells_of_stop() {
                    self.leaving.insert(other.session());
                    if let Some(run) = self.runs.last_mut() {
                        run.stop.get_or_insert(here);
                    }
                }
                let begins = is_logon || matches!(other, SessionRecord::Reset { .. });
                if begins && self.is_stopped() {
                    self.begin_run(here, Sign::Session, before);
                }
            }
        }
    }

    /// The operator who asked for a command of this origin, if one did.
    fn operator_of(&self, origin: &Origin) -> Option<By> {
        let OperatorRecord { name, reason, .. } = self.operators.of(origin)?.record.clone();
        Some(By::Operator { name, reason })
    }

    /// Whether the venue has said that it stops; what it does from then on is to end sessions.
    fn is_stopped(&self) -> bool {
        self.runs.last().is_some_and(|run| run.stop.is_some())
    }

    /// Whether there may be a start that is not seen yet.
    fn may_be_start(&self) -> bool {
        self.opened.is_none_or(|opened| self.runs.count() < opened.into())
    }

    /// Whether the start or action at hand has set an instrument's status already, which none does twice.
    fn is_set_again(&self, instrument: InstrumentId) -> bool {
        let action = self.action.as_ref().filter(|action| action.by == By::Venue);
        let start = self.runs.last().filter(|_| self.step.is_some());
        let begun = action.map(|action| action.first).or(start.map(|run| run.first));
        let status = self.instruments.get(&instrument).and_then(|of| of.statuses.last());
        let own = status.filter(|status| matches!(status.by, By::Start | By::Venue));
        let from = own.and_then(|status| status.from);
        begun.zip(from).is_some_and(|(begun, from)| from.sequence >= begun.sequence)
    }

    /// A frame of a start, which begins with it if it is not in one; gives the run.
    fn step(&mut self, step: Step, here: Place, before: Option<Place>) -> &mut Run {
        match self.step {
            Some(at) if at <= step => {}
            _ => {
                // What an operator asked for is no part of a start.
                let statuses = self.action.take_if(|action| action.by == By::Venue);
                self.end_action();
                // The first frame of a journal has begun its run already.
                let is_begun = here.sequence == self.first.map_or(0, |first| first.sequence);
                if !is_begun {
                    let first = statuses.as_ref().map_or(here, |action| action.first);
                    let before = statuses.as_ref().map_or(before, |action| action.before);
                    self.begin_announced(first, before);
                }
                if let Some(action) = statuses {
                    self.give_to_start(&action);
                }
            }
        }
        self.step = Some(step);
        self.runs.last_mut().expect("a start begins a run")
    }

    /// Statuses that turn out to be of a start.
    fn give_to_start(&mut self, action: &Action) {
        for instrument in self.instruments.values_mut() {
            let own = |status: &&mut Status| {
                status.from.is_some_and(|from| from.sequence >= action.first.sequence)
            };
            let statuses = instrument.statuses.kept.iter_mut().rev();
            statuses.take_while(own).for_each(|status| status.by = By::Start);
        }
        if let Some(run) = self.runs.last_mut() {
            run.statuses += action.count();
        }
    }

    /// The venue sets a status, not as part of a start that is known by now.
    fn act(&mut self, status: InstrumentStatus, here: Place, before: Option<Place>) {
        if self.action.as_ref().is_some_and(|action| action.by != self.by) {
            self.end_action();
        }
        let by = self.by.clone();
        let begin =
            || Action { first: here, last: here, before, by, statuses: [0; 3], session: None };
        let action = self.action.get_or_insert_with(begin);
        action.last = here;
        action.statuses[Action::at(status)] += 1;
    }

    /// A frame that no start journals.
    fn other(&mut self) {
        self.step = None;
        self.end_action();
    }

    /// What the venue set ends there. It was the audit's doing if no instrument is open behind it; else a start's that
    /// journaled nothing more.
    pub(super) fn end_action(&mut self) {
        let Some(action) = self.action.take() else { return };
        let is_audit = self.instruments.values().all(Instrument::is_not_open);
        if action.by != By::Venue || is_audit || !self.may_be_start() {
            return self.actions.push(action);
        }
        self.begin_announced(action.first, action.before);
        self.give_to_start(&action);
        if let Some(run) = self.runs.last_mut() {
            run.last = self.last;
        }
    }

    /// A start that is seen by what it journaled, behind the last frame of the run before it.
    fn begin_announced(&mut self, first: Place, before: Option<Place>) {
        if let (Some(run), Some(before)) = (self.runs.last_mut(), before) {
            run.last = before;
        }
        self.begin_run(first, Sign::Announced, before);
    }

    fn begin_run(&mut self, first: Place, sign: Sign, before: Option<Place>) {
        self.leaving.clear();
        let silence_ns = before.map(|before| first.since(before));
        self.runs.push(Run::new(first, sign, silence_ns));
    }

    /// Keeps the longest.
    fn silent(&mut self, silence: Silence) {
        self.silences.push(silence);
        if self.silences.len() > SILENCES_MAX {
            let shortest = self.silences.iter().enumerate().min_by_key(|(_, of)| of.ns());
            let at = shortest.map_or(0, |(at, _)| at);
            self.silences.remove(at);
            self.silences_left += 1;
        }
    }

    fn comp_id(&self, session: SessionId) -> String {
        self.comp_ids.get(&session).cloned().unwrap_or_else(|| format!("session {session}"))
    }
}

impl Rates {
    fn count(&mut self, here: Place) {
        let second_ns = here.time_ns / SECOND_NS * SECOND_NS;
        if self.second_ns != second_ns {
            (self.second_ns, self.in_second, self.first_in_second) = (second_ns, 0, here.sequence);
        }
        self.all += 1;
        self.in_second += 1;
        if self.in_second > self.peak {
            self.peak = self.in_second;
            (self.peak_ns, self.peak_sequence) = (second_ns, self.first_in_second);
        }
    }
}
