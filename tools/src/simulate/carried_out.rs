//! What operators asked for, as the journal has it: each record with the commands and events that carry it out, and
//! no command of the venue that nobody asked for.

use std::collections::BTreeMap;

use ironbook_engine::{
    Command, Event, ExecType, InstrumentId, InstrumentStatus, Timestamp, TradingStatus,
    command::Origin,
};
use ironbook_gateway::operator::{Action, OperatorRecord};
use ironbook_journal::{Frame, Position};

use super::market::INSTRUMENTS;

/// An action that the journal has, or the beginning of it.
#[derive(Clone, Debug)]
pub struct Carried {
    /// Who asked for what, and why.
    pub record: OperatorRecord,
    /// Sequence of the record.
    pub sequence: u64,
    /// Its time, ns.
    pub time_ns: u64,
    /// Where the last frame of it ends.
    pub end: Position,
    /// Commands that are there.
    pub commands: u32,
    /// Statuses that they changed.
    pub changed: u32,
    /// Orders that they canceled.
    pub canceled: u32,
}

impl Carried {
    /// Whether all of it is there.
    pub fn is_whole(&self) -> bool {
        self.commands == self.record.commands
    }
}

/// All actions of a journal.
pub struct CarriedOut {
    actions: Vec<Carried>,
    /// By what the operators of a simulation never say twice.
    by_reason: BTreeMap<String, usize>,
    /// That of the command whose events come.
    current: Option<usize>,
    /// When the running venue started.
    since: Timestamp,
}

impl CarriedOut {
    /// None, of a venue that runs since then.
    pub fn new(since: Timestamp) -> Self {
        Self { actions: Vec::new(), by_reason: BTreeMap::new(), current: None, since }
    }

    /// The action that was asked for with a reason, if the journal has it.
    pub fn find(&self, reason: &str) -> Option<&Carried> {
        self.by_reason.get(reason).map(|index| &self.actions[*index])
    }

    /// Takes the record of an action, where so many instruments are halted.
    pub fn take_record(
        &mut self,
        record: &OperatorRecord,
        frame: &Frame<'_>,
        halted: u32,
    ) -> Result<(), String> {
        self.current = None;
        let all = record.instrument == InstrumentId::NONE;
        let expected = match record.action {
            Action::Halt if all => INSTRUMENTS.len() as u32 - halted,
            Action::Resume if all => halted,
            Action::Suspend => 2,
            Action::Halt | Action::Resume | Action::Open | Action::Cancel => 1,
        };
        if record.commands != expected {
            return Err(format!("{record:?} should have {expected} commands"));
        }
        let place = self.actions.len();
        if let Some(before) = self.by_reason.insert(record.reason.clone(), place) {
            return Err(format!("{record:?} is there twice, as {:?}", self.actions[before]));
        }
        self.actions.push(Carried {
            record: record.clone(),
            sequence: frame.sequence,
            time_ns: frame.time_ns,
            end: frame.end,
            commands: 0,
            changed: 0,
            canceled: 0,
        });
        Ok(())
    }

    /// Takes a command, which may be of an action.
    pub fn take_command(&mut self, command: &Command, frame: &Frame<'_>) -> Result<(), String> {
        self.current = None;
        let Some(origin) = command.origin().filter(|origin| is_of_operator(command, origin)) else {
            return Ok(());
        };
        let place = self.actions.iter().rposition(|known| known.record.asked == origin.received);
        let Some(place) = place else {
            return match command {
                // A start gives instruments the status that they are configured with, which is open.
                Command::SetInstrumentStatus(it)
                    if it.status == InstrumentStatus::Open && origin.received <= self.since =>
                {
                    Ok(())
                }
                _ => Err(format!("nobody asked for {command:?}")),
            };
        };
        let action = &mut self.actions[place];
        if action.is_whole() || !fits(&action.record, action.commands, command) {
            return Err(format!("{command:?} does not carry out {action:?}"));
        }
        action.commands += 1;
        action.end = frame.end;
        self.current = Some(place);
        Ok(())
    }

    /// Takes an event of the last command.
    pub fn take_event(&mut self, event: &Event, frame: &Frame<'_>) {
        let Some(place) = self.current else { return };
        let action = &mut self.actions[place];
        action.end = frame.end;
        match event {
            Event::StatusChanged(_) | Event::TradingStatusChanged(_) => action.changed += 1,
            Event::Execution(it) if it.exec_type == ExecType::Canceled => action.canceled += 1,
            _ => {}
        }
    }
}

/// Whether only an operator, or a start, brings this about.
fn is_of_operator(command: &Command, origin: &Origin) -> bool {
    match command {
        Command::SetInstrumentStatus(_) | Command::SetTradingStatus(_) => true,
        Command::MassCancel(_) => origin.msg_seq_num == 0,
        _ => false,
    }
}

/// Whether a command is the one of an action that comes behind so many.
fn fits(record: &OperatorRecord, before: u32, command: &Command) -> bool {
    match (record.action, before, command) {
        (Action::Halt | Action::Resume, _, Command::SetInstrumentStatus(it)) => {
            let halts = it.status == InstrumentStatus::Halted;
            let all = record.instrument == InstrumentId::NONE;
            halts == (record.action == Action::Halt) && (all || it.instrument == record.instrument)
        }
        (Action::Suspend, 0, Command::SetTradingStatus(it)) => {
            it.session == record.session && it.status == TradingStatus::CancelOnly
        }
        (Action::Open, 0, Command::SetTradingStatus(it)) => {
            it.session == record.session && it.status == TradingStatus::Open
        }
        (Action::Suspend, 1, Command::MassCancel(it))
        | (Action::Cancel, 0, Command::MassCancel(it)) => {
            it.origin.session == record.session && it.instrument == InstrumentId::NONE
        }
        _ => false,
    }
}
