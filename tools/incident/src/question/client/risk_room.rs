//! How close a session came to its risk limits: the journal's commands in an engine, which says of each order what it
//! comes to by them, and behind it how the session stands. Nothing is computed here but what is left.

use std::cmp::Ordering;

use ironbook_engine::{
    Command, Engine, Event, EventRecord, ExecType, Sequence, SessionId, Stamp, Timestamp,
    command::{NOTIONAL_SCALE, RiskLimits},
    domain::RejectReason,
    engine::RiskMeasure,
    sink::EventSink,
};
use serde_json::{Value, json};

use crate::{
    Fault,
    index::Index,
    moment::Moment,
    phases::Place,
    question::{Span, place_json, scan},
    show::number,
    text::signed_decimal,
};

/// A risk limit: its rule, its key in the configuration, its decimals, and its value.
type Rule = (RejectReason, &'static str, u8, fn(&RiskLimits) -> i64);

/// Risk limits, in the order in which an order is held against them.
const RULES: [Rule; 6] = [
    (RejectReason::OrderNotionalTooLarge, "order_notional", NOTIONAL_SCALE, |limits| {
        limits.order_notional
    }),
    (RejectReason::PriceFarFromReference, "price_deviation_bps", 0, |limits| {
        limits.price_deviation.into()
    }),
    (RejectReason::TooManyOpenOrders, "open_orders", 0, |limits| limits.open_orders.into()),
    (RejectReason::OpenNotionalTooLarge, "open_notional", NOTIONAL_SCALE, |limits| {
        limits.open_notional
    }),
    (RejectReason::TradedNotionalTooLarge, "traded_notional", NOTIONAL_SCALE, |limits| {
        limits.traded_notional
    }),
    (RejectReason::LossTooLarge, "loss", NOTIONAL_SCALE, |limits| limits.loss),
];

/// What is left up to a risk limit, in the unit of the configuration; less is what is less of the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Up to the limit; below zero what was beyond it, which was refused, or tripped the session.
    pub left: i64,
    /// The limit then, above zero.
    pub limit: i64,
}

/// The least that was left up to each risk limit, by its place in `RULES`; none where nothing was held against it.
pub type Rooms = [Option<Room>; RULES.len()];

/// The same of all of the journal, and where that first was.
pub(super) type LeastRooms = [Option<(Room, Place)>; RULES.len()];

/// A risk limit, and how close a session came to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitRoom {
    /// Its key in the configuration.
    pub key: &'static str,
    /// Its value in the end, with [`LimitRoom::scale`] decimals; 0 for none.
    pub limit: i64,
    /// Decimals.
    pub scale: u8,
    /// The least that was left, and where that first was.
    pub least: Option<(Room, Place)>,
}

impl Room {
    fn of(measure: &RiskMeasure) -> Self {
        Self { left: measure.limit.saturating_sub(measure.observed), limit: measure.limit }
    }

    /// Tenths of a percent of the limit that are left, rounded down.
    pub fn permille(&self) -> i64 {
        let permille = (i128::from(self.left) * 1_000).div_euclid(self.limit.into());
        i64::try_from(permille).unwrap_or(i64::MIN)
    }

    /// The percentage, for people.
    pub(super) fn percent(&self) -> String {
        signed_decimal(self.permille().into(), 1)
    }

    fn json(&self, scale: u8) -> Value {
        json!({
            "left": number(self.left, scale),
            "of": number(self.limit, scale),
            "percent": self.permille() as f64 / 10.0,
        })
    }
}

impl PartialOrd for Room {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Both numbers are within 64 bits, so the products are within 128.
impl Ord for Room {
    fn cmp(&self, other: &Self) -> Ordering {
        let share = |room: &Self, of: &Self| i128::from(room.left) * i128::from(of.limit);
        share(self, other).cmp(&share(other, self)).then(self.limit.cmp(&other.limit))
    }
}

/// The lesser of two, where there are two.
pub(super) fn lesser<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The rooms of a row, for programs; none where there are none.
pub(super) fn rooms_json(rooms: &Rooms) -> Option<Value> {
    let told = RULES.iter().zip(rooms).filter_map(|((_, key, scale, _), room)| {
        Some(((*key).to_owned(), room.as_ref()?.json(*scale)))
    });
    let told: serde_json::Map<_, _> = told.collect();
    (!told.is_empty()).then(|| told.into())
}

impl LimitRoom {
    /// The limits that a session has in the end, and those that it was held against before, with the place of each in
    /// [`RULES`].
    pub(super) fn each(limits: &RiskLimits, least: &LeastRooms) -> Vec<(usize, Self)> {
        let of = |(at, (_, key, scale, value)): (usize, &Rule)| {
            let (limit, least) = (value(limits), least[at]);
            let (key, scale) = (*key, *scale);
            (limit > 0 || least.is_some()).then_some((at, Self { key, limit, scale, least }))
        };
        RULES.iter().enumerate().filter_map(of).collect()
    }

    pub(super) fn json(&self) -> Value {
        let least = self.least.map(|(room, at)| {
            let mut value = room.json(self.scale);
            value["at"] = place_json(at.sequence, at.time_ns);
            value
        });
        let limit = (self.limit > 0).then(|| number(self.limit, self.scale));
        json!({ "key": self.key, "limit": limit, "least": least })
    }

    /// What is said of it, but for where that was.
    pub(super) fn text(&self) -> String {
        let Self { key, limit, scale, least } = self;
        let now = number(*limit, *scale);
        let Some((room, _)) = least else {
            return format!("{key}: nothing was held against {now}");
        };
        let of = number(room.limit, *scale);
        let left = match room.left {
            0.. => format!("{} left of {of}", number(room.left, *scale)),
            beyond => format!("{} beyond {of}", signed_decimal(-i128::from(beyond), *scale)),
        };
        let later = match *limit {
            0 => "; no limit in the end".to_owned(),
            limit if limit != room.limit => format!("; {now} in the end"),
            _ => String::new(),
        };
        format!("{key}: {left}, {} %{later}", room.percent())
    }
}

/// Where a session's limits are set for the first time, if it had none before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FirstSet(Option<u64>);

impl FirstSet {
    pub(super) fn take(&mut self, command: &Command, session: SessionId, sequence: u64) {
        if let Command::SetRiskLimits(command) = command
            && command.session == session
            && command.limits != RiskLimits::NONE
        {
            self.0.get_or_insert(sequence);
        }
    }
}

/// Tells each room of a session, by the place of its limit in [`RULES`], from a moment before an input up to a frame;
/// plays nothing where it had no limits.
///
/// # Errors
/// [`Fault`]: the journal can't be read.
pub(super) fn follow(
    index: &Index,
    begin: Moment<'_>,
    session: SessionId,
    (first_set, last): (FirstSet, u64),
    mut each: impl FnMut(usize, Room, Place),
) -> Result<(), Fault> {
    let before = begin.engine().and_then(|engine| engine.session(session));
    let begin = match (before.is_some_and(|view| view.risk.limits != RiskLimits::NONE), first_set.0)
    {
        (true, _) => begin,
        (false, Some(first)) => Moment::before(index, first)?,
        (false, None) => return Ok(()),
    };
    let span = Span { first: begin.sequence() + 1, last };
    let Some(engine) = begin.into_engine() else { return Ok(()) };
    let mut following = Following { engine, session };
    scan(index, &[], span, |frame| {
        if let Ok(command) = Command::decode(frame.kind, frame.payload) {
            let here = Place { sequence: frame.sequence, time_ns: frame.time_ns };
            following.take(&command, here, &mut each);
        }
    })
}

/// An engine that carries out the journal's commands.
struct Following {
    engine: Engine,
    session: SessionId,
}

impl Following {
    fn take(&mut self, command: &Command, here: Place, each: &mut impl FnMut(usize, Room, Place)) {
        let session = self.session;
        let mut tell = |measure: RiskMeasure| {
            let at = RULES.iter().position(|(rule, ..)| *rule == measure.rule);
            each(at.expect("a rule of a limit"), Room::of(&measure), here);
        };
        let mut concerned =
            Concerned { session, any: command.client() == Some(session), traded: false };
        if concerned.any {
            self.engine.risk_of(command).into_iter().for_each(&mut tell);
        }
        let stamp = Stamp { sequence: Sequence(here.sequence), time: Timestamp(here.time_ns) };
        self.engine.apply(stamp, command, &mut concerned);
        let Some(view) = self.engine.session(session).filter(|_| concerned.any) else { return };
        view.open_measures().for_each(&mut tell);
        if concerned.traded {
            view.traded_measures().for_each(&mut tell);
        }
    }
}

/// Whether events are of a session.
struct Concerned {
    session: SessionId,
    any: bool,
    traded: bool,
}

impl EventSink for Concerned {
    fn emit<E: EventRecord + Into<Event>>(&mut self, _stamp: Stamp, event: &E) {
        let event: Event = (*event).into();
        if event.session() == Some(self.session) {
            self.any = true;
            self.traded |=
                matches!(event, Event::Execution(event) if event.exec_type == ExecType::Trade);
        }
    }
}

#[cfg(test)]
mod tests {
    use ironbook_engine::command::NOTIONAL_MAX;

    use super::*;

    #[test]
    fn less_room_is_a_lesser_part_of_its_limit() {
        let room = |left, limit| Room { left, limit };
        let max = NOTIONAL_MAX - 1;
        let ascending = [
            room(-max, 1),
            room(-5, 4),
            room(-max, max),
            room(-1, max),
            room(0, 7),
            room(1, max),
            room(1, 1_000),
            room(5, 9),
            room(max, max),
        ];
        assert!(ascending.is_sorted(), "{ascending:?}");
        let permille = ascending.map(|room| room.permille());
        assert_eq!(permille[1..], [-1_250, -1_000, -1, 0, 0, 1, 555, 1_000]);
        assert_eq!((room(1, 3).percent(), room(-1, 3).percent()), ("33.3".into(), "-33.4".into()));
        assert_eq!(lesser(Some(2), Some(1)), Some(1));
        assert_eq!((lesser(None, Some(1)), lesser::<u8>(None, None)), (Some(1), None));
    }
}
