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

#[cfg(test)]
mod tests {
    use ironbook_engine::{
        Account, ClOrdId, Command, EngineLimits, OrdType, OrderId, ReasonText, Sequencer, Side,
        TimeInForce, Timestamp,
        command::{
            CancelOrder, DefineInstrument, DefineSession, NewOrder, OrderTerms, Origin, QueryOrder,
            ReplaceOrder, RiskLimits, SetInstrumentStatus, SetRiskLimits, SetTradingStatus,
        },
        sink::VecSink,
    };

    use super::*;
    use crate::{random::Random, translate};

    const SESSIONS: u32 = 3;

    fn name(number: u64) -> ClOrdId {
        number.to_string().as_str().try_into().expect("a short name")
    }

    /// A command of any kind, with names of `number` commands before it.
    fn any(random: &mut Random, number: u64) -> Command {
        let session = SessionId(1 + random.below(SESSIONS.into()) as u32);
        let origin = Origin::new(session, number, Timestamp(number));
        let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let ord_type = if random.below(4) == 0 { OrdType::Market } else { OrdType::Limit };
        let time_in_force =
            [TimeInForce::Day, TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok]
                [random.below(4) as usize];
        let price = (95 + random.below(10) as i64, 0);
        let order_qty = (1 + random.below(20) as i64, 0);
        let terms = OrderTerms { side, ord_type, time_in_force, price, order_qty };
        let (none, aapl) = (OrderId::NONE, InstrumentId(1));
        let old = name(number.saturating_sub(1 + random.below(10)));
        match random.below(20) {
            0..8 => NewOrder::new(origin, aapl, terms, Account::EMPTY, name(number)).into(),
            8..11 => CancelOrder::new(origin, none, aapl, side, name(number), old).into(),
            11..15 => {
                let terms = OrderTerms { ord_type: OrdType::Limit, ..terms };
                ReplaceOrder::new(origin, none, aapl, terms, (name(number), old)).into()
            }
            15 => QueryOrder::new(origin, none, aapl, side, old).into(),
            16 => translate::mass_cancel_of(session, Timestamp(number)).into(),
            17 => {
                let of = [TradingStatus::Open, TradingStatus::CancelOnly];
                let status = of[random.below(2) as usize];
                let origin = Origin::venue(Timestamp(number));
                SetTradingStatus::new(origin, session, status, ReasonText::EMPTY).into()
            }
            18 => {
                let of = [InstrumentStatus::Halted, InstrumentStatus::Open];
                let status = of[random.below(2) as usize];
                SetInstrumentStatus::new(Origin::venue(Timestamp(number)), aapl, status).into()
            }
            _ => {
                let limit = 1_000 * 10i64.pow(8);
                let limits =
                    RiskLimits { traded_notional: limit, window_ms: 1, ..RiskLimits::NONE };
                SetRiskLimits::new(Origin::venue(Timestamp(number)), session, limits).into()
            }
        }
    }

    #[test]
    fn what_is_folded_is_what_the_engine_has() {
        let (mut engine, mut sequencer) =
            (Engine::new(EngineLimits::default()), Sequencer::default());
        let mut apply = |engine: &mut Engine, number: u64, command: Command| {
            let stamp = sequencer.stamp(Timestamp(number * 100_000));
            let mut sink = VecSink::default();
            sequencer.resume_at(engine.apply(stamp, &command, &mut sink));
            sink.events
        };
        let symbol = "AAPL".try_into().expect("a symbol");
        let aapl = DefineInstrument::new(InstrumentId(1), symbol, 0, 0, 1, 1);
        apply(&mut engine, 0, aapl.into());
        for session in 1..=SESSIONS {
            let comp_id = format!("C{session}").as_str().try_into().expect("a comp id");
            apply(&mut engine, 0, DefineSession::new(SessionId(session), comp_id).into());
        }
        let mut standing = Standing::of(&engine);
        let (mut trips, mut live) = (0, 0);
        let mut random = Random::new(7);
        for number in 1..20_000 {
            let command = any(&mut random, number);
            for (_, event) in apply(&mut engine, number, command) {
                standing.fold(&event, None);
                trips += u64::from(matches!(event, Event::SessionTripped(_)));
            }
            let told = standing.status();
            assert_eq!(told, Standing::of(&engine).status(), "command {number}: {command:?}");
            live = live.max(told.live_orders);
        }
        assert!(trips > 50 && live > 5, "{trips} trips, {live} live orders");
    }
}
