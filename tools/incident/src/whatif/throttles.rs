//! Throttles that were not there, or were others: the gateway's own, asked with the times at which it had read
//! each request.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    fmt,
};

use ironbook_engine::{Command, Engine, SessionId};
use ironbook_gateway::{
    session_record::SessionRecord,
    session_throttles::{FirmThrottle, SessionThrottles},
    throttle::{ThrottleScope, ThrottleTerms, Throttled},
};
use ironbook_journal::Frame;
use serde_json::{Value, json};

use super::LABEL;
use crate::{
    buckets::{Asked, Buckets, terms_json},
    question::clock,
    show::{Entry, comp_id},
    text::{grouped, utc},
};

/// Firms by name, with the comp ids of their sessions.
pub type Firms = BTreeMap<String, Vec<String>>;

/// What the answer about a throttle leaves out, a line each.
pub const THROTTLES_NOT_SIMULATED: [&str; 3] = [
    "what the gateway refused then is in the journal only as the answer that it got: what a throttle refused does \
     not come back under a looser one, and takes nothing from it; what was refused for a right or for its kind takes \
     a token as it did",
    "a throttle that delays: all that a client sends behind an order would wait with it, and nothing tells what \
     it had done then; only the one that refuses is carried out",
    "a throttle is full before the first frame; a start of the venue in between does not fill it",
];

/// Throttles that are listed for people.
const LISTED_MAX: usize = 10;

/// A throttle and what it refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThrottleRow {
    /// Whether it is a session's own or a firm's.
    pub scope: ThrottleScope,
    /// Comp id or name of the firm.
    pub name: String,
    /// The limit.
    pub terms: ThrottleTerms,
    /// What the journal says it was, which is where the parts of `terms` come from that nobody set; none for no
    /// bound, and in journals of before throttles were in them.
    pub journaled: Option<ThrottleTerms>,
    /// New orders and replaces of those whom it bounds.
    pub orders: u64,
    /// Those of them that it refused.
    pub refused: u64,
    /// The first of these.
    pub first: Option<FirstRefused>,
}

/// The first request that a throttle refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstRefused {
    /// Its sequence.
    pub sequence: u64,
    /// Its time, in ns since 1970.
    pub time_ns: u64,
    /// When the venue had read it, in ns since 1970: what the throttle goes by.
    pub received_ns: u64,
    /// Who sent it.
    pub comp_id: String,
    /// Its ClOrdID.
    pub cl_ord_id: String,
    /// What it asked for.
    pub request: String,
    /// What its client would have been told.
    pub throttled: Throttled,
}

/// The throttles of all sessions, and what became of requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Throttles {
    buckets: Buckets,
    rows: Vec<ThrottleRow>,
    /// The rows of sessions.
    bounded: HashMap<SessionId, Bounded>,
}

/// The rows of a session's own throttle and of its firm's.
#[derive(Clone, Copy, Debug, Default)]
struct Bounded {
    own: Option<usize>,
    firm: Option<usize>,
}

/// The terms of a throttle, and what the journal says they were.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub terms: ThrottleTerms,
    pub journaled: Option<ThrottleTerms>,
}

impl Throttles {
    /// Throttles of sessions, with the name of each, and of firms, with the sessions of each.
    pub(super) fn new(
        sessions: Vec<(SessionId, String, Terms)>,
        firms: Vec<(String, Vec<SessionId>, Terms)>,
    ) -> Self {
        let (mut all, mut throttles) = (Self::default(), HashMap::new());
        for (session, name, terms) in sessions {
            all.bounded.entry(session).or_default().own = Some(all.rows.len());
            all.rows.push(ThrottleRow::new(ThrottleScope::Session, name, terms));
            throttles.insert(session, SessionThrottles { own: Some(terms.terms), firm: None });
        }
        for (name, members, terms) in firms {
            let row = all.rows.len();
            all.rows.push(ThrottleRow::new(ThrottleScope::Firm, name.clone(), terms));
            for session in members {
                all.bounded.entry(session).or_default().firm = Some(row);
                let firm = FirmThrottle { name: name.clone(), terms: Some(terms.terms) };
                throttles.entry(session).or_default().firm = Some(firm);
            }
        }
        throttles.into_iter().for_each(|(session, throttles)| all.buckets.set(session, throttles));
        all
    }

    /// Whether a request passes. All do but new orders and replaces.
    pub(super) fn admit(&mut self, command: &Command, frame: &Frame<'_>, names: &Engine) -> bool {
        let Some(asked) = self.buckets.admit(command) else { return true };
        let Asked { session, cl_ord_id, received, outcome } = asked;
        let bounded = self.bounded[&session];
        for row in [bounded.own, bounded.firm].into_iter().flatten() {
            self.rows[row].orders += 1;
        }
        let Err(throttled) = outcome else { return true };
        let row = match throttled.scope {
            ThrottleScope::Session => bounded.own,
            ThrottleScope::Firm => bounded.firm,
        };
        let row = &mut self.rows[row.expect("a row for each throttle")];
        row.refused += 1;
        row.first.get_or_insert_with(|| FirstRefused {
            sequence: frame.sequence,
            time_ns: frame.time_ns,
            received_ns: received.0,
            comp_id: comp_id(names, session),
            cl_ord_id: cl_ord_id.to_string(),
            request: Entry::of(frame).text(names),
            throttled,
        });
        false
    }

    /// The gateway refused something then: an order may have taken a token first, as it does here.
    pub(super) fn note_refused(&mut self, frame: &Frame<'_>) {
        if let Some(record) = SessionRecord::decode(frame.kind, frame.payload)
            && let Some(told) = record.token_taken()
        {
            self.buckets.take_refused(record.session(), told);
        }
    }

    /// What became of requests: sessions by comp id, then firms by name.
    pub(super) fn into_rows(mut self) -> Vec<ThrottleRow> {
        let key = |row: &ThrottleRow| (row.scope == ThrottleScope::Firm, row.name.clone());
        self.rows.sort_by_key(key);
        self.rows
    }
}

impl ThrottleRow {
    fn new(scope: ThrottleScope, name: String, Terms { terms, journaled }: Terms) -> Self {
        Self { scope, name, terms, journaled, orders: 0, refused: 0, first: None }
    }

    fn whose(&self) -> String {
        format!("{} {}", self.scope.name(), self.name)
    }

    pub(super) fn json(&self) -> Value {
        let name = match self.scope {
            ThrottleScope::Session => "comp_id",
            ThrottleScope::Firm => "name",
        };
        json!({
            "scope": self.scope.name(),
            name: self.name,
            "orders_per_second": self.terms.per_second,
            "orders_burst": self.terms.burst,
            "journaled": self.journaled.map(terms_json),
            "orders": self.orders,
            "refused": self.refused,
            "first_refused": self.first.as_ref().map(FirstRefused::json),
        })
    }
}

impl FirstRefused {
    fn json(&self) -> Value {
        json!({
            "sequence": self.sequence,
            "time_ns": self.time_ns,
            "time": utc(self.time_ns),
            "received_ns": self.received_ns,
            "received": utc(self.received_ns),
            "comp_id": self.comp_id,
            "cl_ord_id": self.cl_ord_id,
            "request": self.request,
            "early_ns": self.throttled.early_ns,
            "text": self.throttled.to_string(),
        })
    }
}

/// The first request that any throttle refused.
pub(super) fn first_refused<'r>(
    rows: impl IntoIterator<Item = &'r ThrottleRow>,
) -> Option<&'r FirstRefused> {
    rows.into_iter().filter_map(|row| row.first.as_ref()).min_by_key(|first| first.sequence)
}

/// Throttles by what they refused, most first.
pub(super) fn print(
    f: &mut fmt::Formatter<'_>,
    rows: &[ThrottleRow],
    refused_then: u64,
) -> fmt::Result {
    let refused = grouped(rows.iter().map(|row| row.refused).sum());
    write!(
        f,
        "\n\n{LABEL} {refused} orders and replaces refused by throttles, by when the gateway had read each"
    )?;
    if refused_then > 0 {
        let then = grouped(refused_then);
        write!(
            f,
            "\n{LABEL} without {then} that the gateway refused then: only answers to them are journaled"
        )?;
    }
    let mut rows: Vec<_> = rows.iter().filter(|row| row.orders > 0).collect();
    rows.sort_by_key(|row| Reverse(row.refused));
    write!(
        f,
        "\n  {:<33} {:>12} {:>12} {:>15} {:>12} {:>12}  first refused",
        "throttle", "a second", "at once", "journaled", "orders", "refused"
    )?;
    rows.iter().take(LISTED_MAX).try_for_each(|row| write!(f, "{row}"))?;
    let left = rows.len().saturating_sub(LISTED_MAX);
    if left > 0 {
        write!(f, "\n  and {} more; --json has all", grouped(left as u64))?;
    }
    let Some(first) = first_refused(rows.iter().copied()) else { return Ok(()) };
    let (sequence, read) = (first.sequence, utc(first.received_ns));
    write!(f, "\n{LABEL} the first refused, at sequence {sequence}, read at {read}")?;
    write!(f, "\n  {:<15} {}", "input", first.request)?;
    write!(f, "\n  {LABEL:<15} {}", first.throttled)
}

impl fmt::Display for ThrottleRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts =
            [self.terms.per_second.into(), self.terms.burst.into(), self.orders, self.refused];
        let [per_second, burst, orders, refused] = counts.map(grouped);
        let whose = self.whose();
        let journaled = self
            .journaled
            .map_or("-".to_owned(), |terms| format!("{}/{}", terms.per_second, terms.burst));
        write!(
            f,
            "\n  {whose:<33} {per_second:>12} {burst:>12} {journaled:>15} {orders:>12} {refused:>12}"
        )?;
        match &self.first {
            None => Ok(()),
            Some(first) => {
                let (time, who, name) = (clock(first.time_ns), &first.comp_id, &first.cl_ord_id);
                write!(f, "  seq:{}, {time}, {who} {name}", first.sequence)
            }
        }
    }
}
