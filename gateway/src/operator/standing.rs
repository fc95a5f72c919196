//! How instruments and sessions stand, as the journal says: what a request is checked against, and what a status
//! tells.

use ironbook_engine::{
    CompId, Engine, Event, ExecType, InstrumentId, InstrumentStatus, SessionId, Symbol,
    TradingStatus, domain::RejectReason, event::Execution,
};

use super::{Cause, InstrumentRow, STATUS_ROWS_MAX, SessionRow, Status};

/// Instruments and sessions of a venue; a fold over the events behind a state.
#[derive(Debug)]
pub struct Standing {
    /// By id, from 1.
    instruments: Vec<InstrumentStanding>,
    /// By id, from 1.
    sessions: Vec<SessionStanding>,
}

#[derive(Debug)]
struct InstrumentStanding {
    symbol: Symbol,
    status: InstrumentStatus,
    cause: Option<Cause>,
}

#[derive(Debug)]
struct SessionStanding {
    comp_id: CompId,
    status: TradingStatus,
    trip: Option<RejectReason>,
    cause: Option<Cause>,
    live_orders: u32,
}

impl Standing {
    /// What an engine holds.
    pub fn of(engine: &Engine) -> Self {
        let instruments = engine.instruments().map(|known| InstrumentStanding {
            symbol: known.definition.symbol,
            status: known.status,
            cause: None,
        });
        let sessions = engine.sessions().map(|known| SessionStanding {
            comp_id: known.comp_id,
            status: known.risk.status,
            trip: known.risk.trip.map(|(rule, ..)| rule),
            cause: None,
            live_orders: known.live_orders,
        });
        Self { instruments: instruments.collect(), sessions: sessions.collect() }
    }

    /// Takes the next event into account; `cause` is who asked for the command that it follows from, if an operator
    /// did.
    pub fn fold(&mut self, event: &Event, cause: Option<&Cause>) {
        match event {
            Event::Execution(report) => self.count(report),
            Event::StatusChanged(event) => {
                if let Some(known) = at_mut(&mut self.instruments, event.instrument.0) {
                    known.status = event.status;
                    known.cause = cause.cloned();
                }
            }
            Event::SessionTripped(event) => {
                if let Some(known) = at_mut(&mut self.sessions, event.session.0) {
                    known.status = TradingStatus::CancelOnly;
                    (known.trip, known.cause) = (Some(event.rule), None);
                }
            }
            Event::TradingStatusChanged(event) => {
                if let Some(known) = at_mut(&mut self.sessions, event.session.0) {
                    known.status = event.status;
                    (known.trip, known.cause) = (None, cause.cloned());
                }
            }
            _ => {}
        }
    }

    /// Counts live orders: one more where an order is accepted, one less where it is closed.
    fn count(&mut self, report: &Execution) {
        let Some(known) = at_mut(&mut self.sessions, report.session.0) else { return };
        match report.exec_type {
            ExecType::New => known.live_orders += 1,
            ExecType::OrderStatus => {}
            _ if report.leaves_qty == 0 => known.live_orders -= 1,
            _ => {}
        }
    }

    /// The instrument with a symbol, and its status.
    pub fn instrument(&self, symbol: &str) -> Option<(InstrumentId, InstrumentStatus)> {
        self.instruments().find(|(_, known)| known.symbol.as_str() == symbol).map(status)
    }

    /// Instruments with a status.
    pub fn instruments_that_are(&self, wanted: InstrumentStatus) -> Vec<InstrumentId> {
        let all = self.instruments().map(status);
        all.filter(|(_, status)| *status == wanted).map(|(id, _)| id).collect()
    }

    fn instruments(&self) -> impl Iterator<Item = (InstrumentId, &InstrumentStanding)> {
        (1..).map(InstrumentId).zip(&self.instruments)
    }

    /// The session with a comp id.
    pub fn session(&self, comp_id: &str) -> Option<SessionId> {
        let mut sessions = (1..).map(SessionId).zip(&self.sessions);
        sessions.find(|(_, known)| known.comp_id.as_str() == comp_id).map(|(id, _)| id)
    }

    /// All that is worth telling of them.
    pub fn status(&self) -> Status {
        let not_open = || self.instruments.iter().filter(|of| of.status != InstrumentStatus::Open);
        let suspended = |known: &&SessionStanding| known.status != TradingStatus::Open;
        let told = |known: &&SessionStanding| suspended(known) || known.live_orders > 0;
        let told = self.sessions.iter().filter(told);
        Status {
            instruments: not_open().take(STATUS_ROWS_MAX).map(instrument_row).collect(),
            instruments_not_open: not_open().count() as u64,
            sessions: told.take(STATUS_ROWS_MAX).map(session_row).collect(),
            sessions_not_open: self.sessions.iter().filter(suspended).count() as u64,
            live_orders: self.sessions.iter().map(|known| u64::from(known.live_orders)).sum(),
            ..Status::default()
        }
    }
}

fn at_mut<T>(list: &mut [T], id: u32) -> Option<&mut T> {
    list.get_mut((id as usize).checked_sub(1)?)
}

fn status((id, known): (InstrumentId, &InstrumentStanding)) -> (InstrumentId, InstrumentStatus) {
    (id, known.status)
}

fn instrument_row(known: &InstrumentStanding) -> InstrumentRow {
    let status = match known.status {
        InstrumentStatus::Open => "open",
        InstrumentStatus::Halted => "halted",
        InstrumentStatus::Closed => "closed",
    };
    InstrumentRow {
        symbol: known.symbol.to_string(),
        status: status.to_owned(),
        cause: known.cause.clone(),
    }
}

fn session_row(known: &SessionStanding) -> SessionRow {
    let status = match known.status {
        TradingStatus::Open => "open",
        TradingStatus::CancelOnly => "cancel only",
    };
    let trip = known.trip.map(|rule| match rule {
        RejectReason::TradedNotionalTooLarge => "it traded more in its window than it may",
        RejectReason::LossTooLarge => "it lost more in its window than it may",
        _ => "a risk limit",
    });
    SessionRow {
        comp_id: known.comp_id.to_string(),
        status: status.to_owned(),
        trip: trip.map(str::to_owned),
        cause: known.cause.clone(),
        live_orders: known.live_orders,
    }
}
