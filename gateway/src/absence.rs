//! What becomes of a session's orders when it loses its connection.
//!
//! ```text
//! logged on ──lost──▶ told ──grace over──▶ canceled       told: the journal knows of the loss
//!     ▲                 │                      │          canceled: by a command in the sequence
//!     └─────────────────┴──────── Logon ───────┘
//! ```
//!
//! Losses are journaled for every session, so that a venue that starts knows who was logged on when it died,
//! and whose time to come back was running. That time starts anew with the venue: nobody could come back
//! while it was down.

use ironbook_engine::{
    Timestamp,
    domain::{DisconnectCause, DisconnectScope},
};

use crate::{
    config::{CancelOnDisconnect, SessionConfig},
    sessions::Presence,
};

/// A session's connection as its orders see it: says when they are to be canceled.
#[derive(Clone, Debug)]
pub struct Absence {
    policy: CancelOnDisconnect,
    scope: DisconnectScope,
    grace_ns: u64,
    logged_on: bool,
    /// A loss that the journal is to be told of.
    untold: Option<DisconnectCause>,
    /// When orders are canceled, and because of what, unless a Logon comes before.
    due: Option<(Timestamp, DisconnectCause)>,
}

/// What is to be journaled next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The session lost its connection.
    Tell(DisconnectCause),
    /// Its orders are canceled.
    Cancel(DisconnectCause, DisconnectScope),
}

/// Most steps that can be due at once.
pub const STEPS_MAX: usize = 2;

impl Absence {
    /// As configured, for a session that the journal left like this.
    pub fn new(config: &SessionConfig, left: Presence, now: Timestamp) -> Self {
        let mut absence = Self {
            policy: config.cancel_on_disconnect,
            scope: match config.cancel_gtc {
                false => DisconnectScope::Day,
                true => DisconnectScope::All,
            },
            grace_ns: config.cancel_grace_ms * 1_000_000,
            logged_on: false,
            untold: None,
            due: None,
        };
        if let Presence::Lost(cause) = left {
            absence.schedule(cause, now);
        }
        absence
    }

    /// It is logged on.
    pub fn handle_logged_on(&mut self) {
        self.logged_on = true;
        self.due = None;
    }

    /// Its connection is gone; nothing, if it was not logged on.
    pub fn handle_lost(&mut self, cause: DisconnectCause, now: Timestamp) {
        if std::mem::take(&mut self.logged_on) {
            self.untold = Some(cause);
            self.schedule(cause, now);
        }
    }

    fn schedule(&mut self, cause: DisconnectCause, now: Timestamp) {
        let covered = match cause {
            DisconnectCause::Logout => {
                matches!(self.policy, CancelOnDisconnect::Logout | CancelOnDisconnect::Both)
            }
            DisconnectCause::Disconnect | DisconnectCause::VenueDown => {
                matches!(self.policy, CancelOnDisconnect::Disconnect | CancelOnDisconnect::Both)
            }
        };
        self.due = covered.then(|| (Timestamp(now.0 + self.grace_ns), cause));
    }

    /// What to journal next, if anything is due. Call until there is nothing.
    pub fn poll(&mut self, now: Timestamp) -> Option<Step> {
        if let Some(cause) = self.untold.take() {
            return Some(Step::Tell(cause));
        }
        let (_, cause) = self.due.take_if(|(due, _)| *due <= now)?;
        Some(Step::Cancel(cause, self.scope))
    }

    /// When [`poll`](Self::poll) has something.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match self.untold {
            Some(_) => Some(Timestamp(0)),
            None => self.due.map(|(due, _)| due),
        }
    }
}
