//! How close a client came to its bounds, over time: the tokens that its throttles had left, what was left up to its
//! risk limits, and its open orders.

use std::{collections::BTreeMap, fmt};

use ironbook_engine::{
    Command, Event, ExecType, SessionId, Timestamp, command::RiskLimits, domain::DisconnectCause,
};
use ironbook_gateway::{
    session_record::SessionRecord,
    session_throttles::{FirmThrottle, SessionThrottles},
    sessions::SessionTable,
    throttle::{ThrottleScope, ThrottleTerms, Throttled},
};
use serde_json::{Value, json};

use super::risk_room::{FirstSet, LeastRooms, LimitRoom, Rooms, follow, lesser, rooms_json};
use crate::{
    Fault,
    buckets::{Buckets, terms_json},
    index::Index,
    moment::Moment,
    phases::Place,
    question::{clock, place_json},
    text::{duration, grouped},
};

/// Most rows.
pub const ROWS_MAX: u64 = 24;

/// Lengths of a row in ns, each a multiple of the one before, so that rows can be joined: from a millisecond to
/// 24 rows for all time that there is.
const ROW_NS: [u64; 22] = {
    const MS: u64 = 1_000_000;
    const S: u64 = 1_000 * MS;
    const DAY: u64 = 86_400 * S;
    [
        MS,
        5 * MS,
        10 * MS,
        50 * MS,
        100 * MS,
        500 * MS,
        S,
        5 * S,
        10 * S,
        30 * S,
        60 * S,
        300 * S,
        600 * S,
        1_800 * S,
        3_600 * S,
        21_600 * S,
        43_200 * S,
        DAY,
        10 * DAY,
        100 * DAY,
        1_000 * DAY,
        10_000 * DAY,
    ]
};
const _: () = {
    let mut at = 1;
    while at < ROW_NS.len() {
        assert!(ROW_NS[at].is_multiple_of(ROW_NS[at - 1]));
        at += 1;
    }
    // One more, as rows begin at multiples of their length.
    assert!(u64::MAX / ROW_NS[ROW_NS.len() - 1] < ROWS_MAX);
};

/// What happened in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Requests of the client, those too that its gateway refused.
    pub requests: u64,
    /// Orders accepted and replaced.
    pub accepted: u64,
    /// Requests refused, by gateway or engine.
    pub refused: u64,
    /// Most open orders of the client at once; none where nothing of it happened.
    pub open: Option<u32>,
    /// Fewest tokens that an order left in the client's own bucket; none where no order asked.
    pub left_own: Option<i64>,
    /// The same of its firm's, whoever of the firm asked.
    pub left_firm: Option<i64>,
    /// The least that was left up to its risk limits.
    pub risk: Rooms,
}

/// A throttle, and how close its bucket came to be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Whose.
    pub scope: ThrottleScope,
    /// Name of the firm; empty for the client's own.
    pub firm: String,
    /// The throttle as it was in the end.
    pub terms: ThrottleTerms,
    /// Fewest tokens left, and where that first was; none where no order asked.
    pub least: Option<(i64, Place)>,
}

/// How close a client came to its bounds.
#[derive(Clone, Debug, Default)]
pub struct HeadRoom {
    /// Its own throttle and its firm's, as far as there are any.
    pub bounds: Vec<Bound>,
    /// The frame before which their buckets are taken for full, where they need not have been: the first one, if it
    /// is not the journal's.
    pub full_before: Option<u64>,
    /// The risk limits that it was held against, or has in the end, with the place of each in [`Row::risk`].
    pub risk: Vec<(usize, LimitRoom)>,
    /// Most open orders of the client at once, and where that first was.
    pub most_open: Option<(u32, Place)>,
    /// Open orders that the venue takes of all clients together.
    pub orders_max: u32,
    /// Length of a row, in ns.
    pub row_ns: u64,
    /// Rows by where they begin, in ns since 1970; no row is left out between the first and the last.
    pub rows: Vec<(u64, Row)>,
}

/// Frames so far.
pub(super) struct Watch {
    session: SessionId,
    buckets: Buckets,
    open: u32,
    /// Where it last changed, amid an input.
    changed: Option<Place>,
    most_open: Option<(u32, Place)>,
    least: [Option<(i64, Place)>; 2],
    first_set: FirstSet,
    least_room: LeastRooms,
    /// Length of a row, by its place in [`ROW_NS`].
    length: usize,
    /// Rows by number: where they begin, in their lengths.
    rows: BTreeMap<u64, Row>,
}

impl Watch {
    /// A client with so many open orders, whose venue's sessions have these throttles.
    pub(super) fn new(session: SessionId, open: u32, sessions: &SessionTable) -> Self {
        let mut buckets = Buckets::default();
        let ids = (1..).map(SessionId).map_while(|id| Some((id, sessions.get(id)?)));
        ids.for_each(|(id, numbers)| buckets.set(id, numbers.throttles.clone()));
        Self {
            session,
            buckets,
            open,
            changed: None,
            most_open: None,
            least: Default::default(),
            first_set: FirstSet::default(),
            least_room: Default::default(),
            length: 0,
            rows: BTreeMap::new(),
        }
    }

    /// Takes a request of any session.
    pub(super) fn command(&mut self, command: &Command, here: Place) {
        self.end_input();
        self.first_set.take(command, self.session, here.sequence);
        if command.client() == Some(self.session) {
            self.row(here).requests += 1;
            self.changed = Some(here);
        }
        if let (Some(session), Some(read), Command::NewOrder(_) | Command::ReplaceOrder(_)) =
            (command.client(), command.received(), command)
        {
            self.take_tokens(session, here, |buckets| buckets.take(session, read));
        }
    }

    /// An order of a session has taken its tokens.
    fn take_tokens(
        &mut self,
        session: SessionId,
        here: Place,
        take: impl Fn(&mut Buckets) -> Option<Result<(), Throttled>>,
    ) {
        let Some(outcome) = take(&mut self.buckets) else { return };
        // What passed had a token: if there is none here, a start of the venue has filled its buckets.
        if outcome.is_err() || self.buckets.left(session).any(|(_, left)| left < 0) {
            self.fill(session);
            take(&mut self.buckets);
        }
        let left: Vec<_> = self.buckets.left(session).collect();
        left.into_iter().for_each(|(scope, left)| self.note_left(session, (scope, left), here));
    }

    /// Takes an event for the client.
    pub(super) fn event(&mut self, event: &Event, here: Place) {
        let row = self.row(here);
        match event {
            Event::OrderRejected(_) | Event::CancelRejected(_) => row.refused += 1,
            Event::Execution(event) => match event.exec_type {
                ExecType::New => {
                    row.accepted += 1;
                    self.open += 1;
                }
                ExecType::OrderStatus => {}
                of => {
                    row.accepted += u64::from(of == ExecType::Replaced);
                    self.open = self.open.saturating_sub(u32::from(event.leaves_qty == 0));
                }
            },
            _ => {}
        }
        self.changed = Some(here);
    }

    /// Takes a record of any session.
    pub(super) fn record(&mut self, record: &SessionRecord, here: Place) {
        self.end_input();
        let session = record.session();
        match record {
            SessionRecord::Throttle { scope, firm, terms, .. } => {
                let mut throttles = self.buckets.throttles(session).cloned().unwrap_or_default();
                throttles.set(*scope, firm, *terms);
                self.buckets.set(session, throttles);
            }
            SessionRecord::Lost { cause: DisconnectCause::VenueDown, .. } => self.fill(session),
            _ if record.refuses() => {
                if session == self.session {
                    let row = self.row(here);
                    row.requests += 1;
                    row.refused += 1;
                }
                if let Some(scope) = record.text().and_then(ThrottleScope::of_refusal) {
                    self.buckets.note_refusal(session, scope, Timestamp(here.time_ns));
                    self.note_left(session, (scope, 0), here);
                }
                if let Some(told) = record.token_taken() {
                    self.take_tokens(session, here, |buckets| buckets.take_refused(session, told));
                }
            }
            _ => {}
        }
    }

    /// The venue has started anew.
    fn fill(&mut self, session: SessionId) {
        if let Some(throttles) = self.buckets.throttles(session).cloned() {
            self.buckets.set(session, throttles);
        }
    }

    /// Notes what somebody left in a bucket, if it is the client's own or its firm's.
    fn note_left(&mut self, session: SessionId, (scope, left): (ThrottleScope, i64), here: Place) {
        let is_ours = match scope {
            ThrottleScope::Session => session == self.session,
            ThrottleScope::Firm => {
                let firm = |of| self.firm(of).map(|firm| &firm.name);
                firm(session).is_some() && firm(session) == firm(self.session)
            }
        };
        if !is_ours {
            return;
        }
        let row = self.row(here);
        let in_row = match scope {
            ThrottleScope::Session => &mut row.left_own,
            ThrottleScope::Firm => &mut row.left_firm,
        };
        *in_row = Some(in_row.map_or(left, |least| least.min(left)));
        let least = &mut self.least[scope as usize];
        if least.is_none_or(|(before, _)| left < before) {
            *least = Some((left, here));
        }
    }

    fn firm(&self, session: SessionId) -> Option<&FirmThrottle> {
        self.buckets.throttles(session)?.firm.as_ref()
    }

    /// Orders that were open amid an input alone never waited for anybody.
    fn end_input(&mut self) {
        let Some(here) = self.changed.take() else { return };
        let open = self.open;
        let row = self.row(here);
        row.open = row.open.max(Some(open));
        if self.most_open.is_none_or(|(most, _)| open > most) {
            self.most_open = Some((open, here));
        }
    }

    /// The row of a place. Rows become longer until there are few enough.
    fn row(&mut self, here: Place) -> &mut Row {
        loop {
            let number = here.time_ns / ROW_NS[self.length];
            let first = self.rows.first_key_value().map_or(number, |(first, _)| *first);
            let last = self.rows.last_key_value().map_or(number, |(last, _)| *last);
            if last.max(number) - first.min(number) < ROWS_MAX {
                return self.rows.entry(number).or_default();
            }
            let factor = ROW_NS[self.length + 1] / ROW_NS[self.length];
            let rows = std::mem::take(&mut self.rows);
            for (number, row) in rows {
                self.rows.entry(number / factor).or_default().join(&row);
            }
            self.length += 1;
        }
    }

    /// Notes what was left up to the risk limits from a moment on, which is before the first frame that was taken, up
    /// to the last one.
    ///
    /// # Errors
    /// [`Fault`]: the journal can't be read.
    pub(super) fn follow_risk(
        &mut self,
        index: &Index,
        begin: Moment<'_>,
        last: u64,
    ) -> Result<(), Fault> {
        follow(index, begin, self.session, (self.first_set, last), |at, room, here| {
            let in_row = &mut self.row(here).risk[at];
            *in_row = lesser(*in_row, Some(room));
            let least = &mut self.least_room[at];
            if least.is_none_or(|(before, _)| room < before) {
                *least = Some((room, here));
            }
        })
    }

    /// What came of it from this frame on, in a venue that takes so many open orders, of a client that has these
    /// limits in the end.
    pub(super) fn end(
        mut self,
        first_sequence: u64,
        orders_max: u32,
        limits: &RiskLimits,
    ) -> HeadRoom {
        self.end_input();
        let throttles = self.buckets.throttles(self.session).cloned().unwrap_or_default();
        let SessionThrottles { own, firm } = throttles;
        let of = |scope: ThrottleScope, firm: String, terms| Bound {
            scope,
            firm,
            terms,
            least: self.least[scope as usize],
        };
        let own = own.map(|terms| of(ThrottleScope::Session, String::new(), terms));
        let firm = firm.and_then(|firm| Some(of(ThrottleScope::Firm, firm.name, firm.terms?)));
        let row_ns = ROW_NS[self.length];
        let ends = self.rows.first_key_value().zip(self.rows.last_key_value());
        let numbers = ends.map(|((first, _), (last, _))| *first..=*last);
        let row = |number| (number * row_ns, self.rows.get(&number).copied().unwrap_or_default());
        HeadRoom {
            bounds: own.into_iter().chain(firm).collect(),
            full_before: (first_sequence > 1).then_some(first_sequence),
            risk: LimitRoom::each(limits, &self.least_room),
            most_open: self.most_open,
            orders_max,
            row_ns,
            rows: numbers.into_iter().flatten().map(row).collect(),
        }
    }
}

impl Row {
    /// Takes another row into this one.
    fn join(&mut self, other: &Self) {
        self.requests += other.requests;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.open = self.open.max(other.open);
        self.left_own = lesser(self.left_own, other.left_own);
        self.left_firm = lesser(self.left_firm, other.left_firm);
        for (room, other) in self.risk.iter_mut().zip(other.risk) {
            *room = lesser(*room, other);
        }
    }
}

impl HeadRoom {
    pub(super) fn json(&self) -> Value {
        let place = |(number, place): (i64, Place)| json!({ "left": number, "at": place_json(place.sequence, place.time_ns) });
        let bound = |bound: &Bound| {
            json!({
                "scope": bound.scope.name(),
                "firm": (bound.scope == ThrottleScope::Firm).then_some(&bound.firm),
                "terms": terms_json(bound.terms),
                "least": bound.least.map(place),
            })
        };
        let row = |(begins_ns, row): &(u64, Row)| {
            let mut value = json!({
                "time_ns": begins_ns,
                "requests": row.requests,
                "accepted": row.accepted,
                "refused": row.refused,
                "open_orders": row.open,
                "left_of_session": row.left_own,
                "left_of_firm": row.left_firm,
            });
            if let Some(rooms) = rooms_json(&row.risk) {
                value["risk"] = rooms;
            }
            value
        };
        let mut value = json!({
            "throttles": self.bounds.iter().map(bound).collect::<Vec<_>>(),
            "full_before_sequence": self.full_before,
            "most_open_orders": self.most_open.map(|(most, at)| {
                json!({ "orders": most, "at": place_json(at.sequence, at.time_ns) })
            }),
            "orders_max": self.orders_max,
            "row_ns": self.row_ns,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
        });
        if !self.risk.is_empty() {
            value["risk_limits"] = self.risk.iter().map(|(_, limit)| limit.json()).collect();
        }
        value
    }

    /// A line for each bound.
    pub(super) fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bounds.is_empty() {
            writeln!(f, "Head-room    the journal has no throttle of it")?;
        }
        for bound in &self.bounds {
            let whose = match bound.scope {
                ThrottleScope::Session => "its throttle".to_owned(),
                ThrottleScope::Firm => format!("firm {}", bound.firm),
            };
            match bound.least {
                None => write!(f, "Head-room    no order asked {whose}")?,
                Some((left, at)) => write!(
                    f,
                    "Head-room    {left} left in {whose} at sequence {}, {}",
                    at.sequence,
                    clock(at.time_ns)
                )?,
            }
            write!(f, "; {}", bound.terms)?;
            match self.full_before {
                Some(first) => writeln!(f, "; taken for full before sequence {first}")?,
                None => writeln!(f)?,
            }
        }
        for (_, limit) in &self.risk {
            write!(f, "Risk limit   {}", limit.text())?;
            match limit.least {
                Some((_, at)) => {
                    writeln!(f, "; at sequence {}, {}", at.sequence, clock(at.time_ns))?;
                }
                None => writeln!(f)?,
            }
        }
        if let Some((most, at)) = self.most_open {
            let (venue, time) = (grouped(self.orders_max.into()), clock(at.time_ns));
            writeln!(
                f,
                "Open orders  {} at most, at sequence {}, {time}; the venue takes {venue} of all clients",
                grouped(most.into()),
                at.sequence
            )?;
        }
        Ok(())
    }

    /// A line for each row, below its heading.
    pub(super) fn print_rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        write!(f, "\n\nRows of {}, with the fewest tokens left", duration(self.row_ns))?;
        write!(
            f,
            "\n  {:<15} {:>10} {:>10} {:>10} {:>8} {:>8} {:>8}",
            "from", "requests", "accepted", "refused", "open", "left", "firm's"
        )?;
        for (begins_ns, row) in &self.rows {
            let [requests, accepted, refused] =
                [row.requests, row.accepted, row.refused].map(grouped);
            let or_none = |of: Option<i64>| of.map_or("-".to_owned(), |number| number.to_string());
            let [open, own, firm] =
                [row.open.map(i64::from), row.left_own, row.left_firm].map(or_none);
            write!(
                f,
                "\n  {} {requests:>10} {accepted:>10} {refused:>10} {open:>8} {own:>8} {firm:>8}",
                clock(*begins_ns)
            )?;
        }
        self.print_risk_rows(f)
    }

    /// The same of risk limits.
    fn print_risk_rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.risk.is_empty() {
            return Ok(());
        }
        let length = duration(self.row_ns);
        write!(f, "\n\nRows of {length}, with the least percentage left of each risk limit")?;
        let heads = self.risk.iter().map(|(_, limit)| format!(" {:>8}", limit.key));
        write!(f, "\n  {:<15}{}", "from", heads.collect::<String>())?;
        for (begins_ns, row) in &self.rows {
            write!(f, "\n  {}", clock(*begins_ns))?;
            for (at, limit) in &self.risk {
                let left = row.risk[*at].map_or("-".to_owned(), |room| room.percent());
                write!(f, " {left:>0$}", limit.key.len().max(8))?;
            }
        }
        Ok(())
    }
}

/// Whether a frame is needed of sessions other than the client: one that takes from its firm's bucket, or says what
/// that is.
pub(super) fn needs_others(sessions: &SessionTable, session: SessionId) -> bool {
    let throttles = sessions.get(session).map(|numbers| &numbers.throttles);
    throttles
        .is_some_and(|throttles| throttles.firm.as_ref().is_some_and(|firm| firm.terms.is_some()))
}
