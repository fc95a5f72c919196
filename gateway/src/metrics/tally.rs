//! What the journal says of the orders of a running venue, counted.

use ironbook_engine::{
    Command, Event, ExecType, LastLiquidity, domain::RejectReason, record::DecodeError,
};
use ironbook_journal::Frame;

use super::text::Page;
use crate::histogram::{Distribution, Histogram, Recorder, histogram};

/// Counts of commands and of what came of them, from where it began to follow.
#[derive(Debug)]
pub struct Tally {
    /// Sequence of the last frame.
    pub sequence: u64,
    /// The journal can't be followed: nothing more is counted.
    pub has_ended: bool,
    commands: [u64; COMMANDS.len()],
    executions: Vec<u64>,
    rejects: [Vec<u64>; 2],
    trades: u64,
    /// Sessions that were tripped, by rule.
    trips: Vec<u64>,
    recorder: Recorder,
    received_to_stamp: Histogram,
}

/// Names of commands that somebody asks for, or that are carried out for somebody.
const COMMANDS: [&str; 7] = [
    "new_order",
    "cancel_order",
    "replace_order",
    "mass_cancel",
    "query_order",
    "cancel_on_disconnect",
    "configuration",
];

/// Rules of risk that trip a session.
const RULES_THAT_TRIP: [RejectReason; 2] =
    [RejectReason::TradedNotionalTooLarge, RejectReason::LossTooLarge];

/// What was rejected, by place in [`Tally::rejects`].
const REQUESTS: [&str; 2] = ["new_order", "cancel_or_replace"];

fn place_of_command(command: &Command) -> usize {
    match command {
        Command::NewOrder(_) => 0,
        Command::CancelOrder(_) => 1,
        Command::ReplaceOrder(_) => 2,
        Command::MassCancel(_) => 3,
        Command::QueryOrder(_) => 4,
        Command::CancelOnDisconnect(_) => 5,
        Command::Limits(_)
        | Command::DefineInstrument(_)
        | Command::SetInstrumentStatus(_)
        | Command::DefineSession(_)
        | Command::SetRiskLimits(_)
        | Command::SetTradingStatus(_) => 6,
    }
}

/// Adds to the count of a value among all there are.
fn count<T: PartialEq>(counts: &mut [u64], all: &[T], value: &T) {
    if let Some(place) = all.iter().position(|known| known == value) {
        counts[place] += 1;
    }
}

impl Default for Tally {
    fn default() -> Self {
        let (recorder, received_to_stamp) = histogram();
        Self {
            sequence: 0,
            has_ended: false,
            commands: [0; COMMANDS.len()],
            executions: vec![0; ExecType::ALL.len()],
            rejects: [(); 2].map(|()| vec![0; RejectReason::ALL.len()]),
            trades: 0,
            trips: vec![0; RULES_THAT_TRIP.len()],
            recorder,
            received_to_stamp,
        }
    }
}

impl Tally {
    /// Counts a frame.
    ///
    /// # Errors
    /// [`DecodeError`]: it is none that this program wrote.
    pub fn take(&mut self, frame: &Frame<'_>) -> Result<(), DecodeError> {
        if Command::is_kind(frame.kind) {
            let command = Command::decode(frame.kind, frame.payload)?;
            self.commands[place_of_command(&command)] += 1;
            if let Some(received) = command.received() {
                self.recorder.record(frame.time_ns.saturating_sub(received.0));
            }
        } else if Event::is_kind(frame.kind) {
            self.take_event(&Event::decode(frame.kind, frame.payload)?);
        }
        self.sequence = frame.sequence;
        Ok(())
    }

    fn take_event(&mut self, event: &Event) {
        match event {
            Event::Execution(event) => {
                count(&mut self.executions, ExecType::ALL, &event.exec_type);
                // Both sides of a trade are told of it.
                let removed = event.last_liquidity == LastLiquidity::Removed;
                self.trades += u64::from(event.exec_type == ExecType::Trade && removed);
            }
            Event::OrderRejected(event) => {
                count(&mut self.rejects[0], RejectReason::ALL, &event.reason);
            }
            Event::SessionTripped(event) => {
                count(&mut self.trips, &RULES_THAT_TRIP, &event.rule);
            }
            Event::CancelRejected(event) => {
                count(&mut self.rejects[1], RejectReason::ALL, &event.reason);
            }
            _ => {}
        }
    }

    /// From a client's message received to its command stamped.
    pub fn received_to_stamp(&self) -> Distribution {
        self.received_to_stamp.read()
    }

    /// Commands by kind.
    pub fn show_commands(&self, name: &str, page: &mut Page) {
        for (kind, count) in COMMANDS.iter().zip(self.commands) {
            page.sample(name, &[("kind", kind)], count);
        }
    }

    /// Executions by what they report.
    pub fn show_executions(&self, name: &str, page: &mut Page) {
        for (exec_type, count) in ExecType::ALL.iter().zip(&self.executions) {
            page.sample(name, &[("exec_type", &snake_case(&format!("{exec_type:?}")))], count);
        }
    }

    /// Requests that were rejected, by the rule that they broke.
    pub fn show_rejects(&self, name: &str, page: &mut Page) {
        for (request, counts) in REQUESTS.iter().zip(&self.rejects) {
            for (rule, count) in RejectReason::ALL.iter().zip(counts) {
                let rule = snake_case(&format!("{rule:?}"));
                page.sample(name, &[("request", request), ("rule", &rule)], count);
            }
        }
    }

    /// Sessions that were tripped, by the rule.
    pub fn show_trips(&self, name: &str, page: &mut Page) {
        for (rule, count) in RULES_THAT_TRIP.iter().zip(&self.trips) {
            page.sample(name, &[("rule", &snake_case(&format!("{rule:?}")))], count);
        }
    }

    /// Trades.
    pub fn trades(&self) -> u64 {
        self.trades
    }
}

/// `TooLateToCancel` as `too_late_to_cancel`.
fn snake_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}
