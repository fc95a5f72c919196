//! What was not as it had been with a client: a few rules that can be explained, each with what was seen and what
//! was usual. They know the client's own past and nothing else, so who begins wild is found by what refused it.
//!
//! | rule | what is told |
//! |---|---|
//! | requests, cancels, refusals | the first second with more than [`FACTOR`] times as many as any second before, and at least [`REQUESTS_MIN`], [`CANCELS_MIN`], [`REFUSALS_MIN`] |
//! | traded | the same of the quantity in a symbol, once something was traded in it |
//! | one side | fills in a symbol that are all buys, or all sells: [`ONE_SIDE_MIN`] in a row, and more than [`FACTOR`] times the longest row before |
//! | first refusal | the first refusal by each rule, but for cancels that came too late |
//! | self-trade | the first trade with itself |
//!
//! Of seconds nothing is told before [`WARM_UP_SECONDS`]: what is usual is not known yet.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use ironbook_engine::{
    Command, Event, ExecType, InstrumentId, Side, TradeId,
    domain::RejectReason,
    event::{CancelRejected, Execution, OrderRejected, SessionTripped},
};
use ironbook_gateway::{
    session_record::SessionRecord, throttle::ThrottleScope, translate::reject_text,
};
use serde_json::{Value, json};

use super::SECOND_NS;
use crate::{
    phases::Place,
    question::{clock, place_json},
    show::{Judged, gateway_rule, number},
    text::{grouped, utc},
};

/// How many times the most of before is too much.
pub const FACTOR: u64 = 3;
/// Seconds from the client's first frame until it is known what is usual.
pub const WARM_UP_SECONDS: u64 = 10;
/// Fewest requests in a second that are told.
pub const REQUESTS_MIN: u64 = 20;
/// Fewest cancels, mass cancels counted as one, in a second that are told.
pub const CANCELS_MIN: u64 = 20;
/// Fewest refusals in a second that are told.
pub const REFUSALS_MIN: u64 = 10;
/// Fewest fills on one side in a row that are told.
pub const ONE_SIDE_MIN: u64 = 100;

/// Something that was not as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// The rule's name.
    pub rule: &'static str,
    /// The frame with which it shows.
    pub place: Place,
    /// What was seen.
    pub seen: String,
    /// What was usual.
    pub usual: String,
    /// The subcommand that shows more, and its words behind the directory.
    pub more: (&'static str, String),
}

/// A refusal by a limit, or a trip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitHit {
    /// The refusal or trip.
    pub place: Place,
    /// The limit's rule.
    pub rule: String,
    /// What the client was told: limit and what was seen.
    pub text: String,
}

impl LimitHit {
    /// That a session was tripped.
    pub(super) fn trip(trip: &SessionTripped, place: Place) -> Self {
        let text = reject_text(trip.rule, trip.limit(), trip.observed()).to_string();
        Self { place, rule: format!("{:?}", trip.rule), text }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "at": place_json(self.place.sequence, self.place.time_ns),
            "rule": self.rule,
            "text": self.text,
        })
    }
}

impl fmt::Display for LimitHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, rule, text } = self;
        write!(f, "by {rule} at sequence {}, {}: {text}", place.sequence, clock(place.time_ns))
    }
}

/// What was looked for.
#[derive(Clone, Debug, Default)]
pub struct Anomalies {
    /// What was found, one of each rule, in the sequence of the journal.
    pub found: Vec<Anomaly>,
    /// The first refusal by a limit.
    pub first_limit: Option<LimitHit>,
    /// Seconds from the client's first frame to its last.
    pub seconds: u64,
}

/// Rules that are limits, beside throttles: of the venue's orders, of what an instrument allows, of a session's risk.
const LIMITS: [RejectReason; 9] = [
    RejectReason::TooManyOrders,
    RejectReason::QtyTooLarge,
    RejectReason::PriceTooHigh,
    RejectReason::OrderNotionalTooLarge,
    RejectReason::PriceFarFromReference,
    RejectReason::TooManyOpenOrders,
    RejectReason::OpenNotionalTooLarge,
    RejectReason::TradedNotionalTooLarge,
    RejectReason::LossTooLarge,
];
/// Rules by which cancels are refused that cross with a fill: nobody's fault.
const LATE: [RejectReason; 2] = [RejectReason::TooLateToCancel, RejectReason::UnknownOrder];

/// Something counted by seconds.
#[derive(Clone, Debug)]
struct Series {
    /// The least that is told; none where there has to be something before.
    min: Option<u64>,
    second: u64,
    in_second: u64,
    /// Most of a second before this one.
    most: u64,
    told: Option<Told>,
}

/// The second that is told.
#[derive(Clone, Copy, Debug)]
struct Told {
    place: Place,
    second: u64,
    /// All of it.
    count: u64,
    most: u64,
    /// Seconds that are known before it.
    known: u64,
}

/// Fills in a symbol.
#[derive(Clone, Debug)]
struct Fills {
    traded: Series,
    qty_scale: u8,
    side: Side,
    /// Fills on that side in a row, and the longest row before.
    in_row: u64,
    longest: u64,
    /// Where a row became too long, how long it became, and the longest before it.
    told: Option<(Place, Side, u64, u64)>,
}

/// Frames so far.
pub(super) struct Watch {
    first_ns: Option<u64>,
    last_ns: u64,
    requests: Series,
    cancels: Series,
    refusals: Series,
    fills: BTreeMap<InstrumentId, Fills>,
    /// Rules of refusals that were met.
    met: BTreeSet<String>,
    asked: u64,
    last_trade: TradeId,
    self_trade: Option<(Place, TradeId)>,
    /// First refusals by rule, and how much was asked before each.
    first_refusals: Vec<(LimitHit, u64)>,
    first_limit: Option<LimitHit>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            first_ns: None,
            last_ns: 0,
            requests: Series::new(Some(REQUESTS_MIN)),
            cancels: Series::new(Some(CANCELS_MIN)),
            refusals: Series::new(Some(REFUSALS_MIN)),
            fills: BTreeMap::new(),
            met: BTreeSet::new(),
            asked: 0,
            last_trade: TradeId(0),
            self_trade: None,
            first_refusals: Vec::new(),
            first_limit: None,
        }
    }

    /// Seconds that are known when something happens now.
    fn known(&mut self, here: Place) -> u64 {
        self.last_ns = here.time_ns;
        let first = *self.first_ns.get_or_insert(here.time_ns);
        (here.time_ns / SECOND_NS).saturating_sub(first / SECOND_NS)
    }

    /// Takes a request of the client.
    pub(super) fn command(&mut self, command: &Command, here: Place) {
        let known = self.known(here);
        self.asked += 1;
        self.requests.add(1, here, known);
        if let Command::CancelOrder(_) | Command::MassCancel(_) = command {
            self.cancels.add(1, here, known);
        }
    }

    /// Takes an event for the client.
    pub(super) fn event(&mut self, event: &Event, here: Place) {
        match event {
            Event::OrderRejected(event) => {
                let OrderRejected { reason, .. } = *event;
                self.judged(reason, reject_text(reason, event.limit(), event.observed()), here);
            }
            Event::CancelRejected(event) => {
                let CancelRejected { reason, .. } = *event;
                self.judged(reason, reject_text(reason, event.limit(), event.observed()), here);
            }
            Event::Execution(event) if event.exec_type == ExecType::Trade => {
                self.fill(event, here);
            }
            _ => {}
        }
    }

    /// Takes a record of the client's session.
    pub(super) fn record(&mut self, record: &SessionRecord, here: Place) {
        let Some(rule) = gateway_rule(record) else { return };
        let known = self.known(here);
        self.asked += 1;
        self.requests.add(1, here, known);
        let text = record.text().unwrap_or_default();
        let is_limit = ThrottleScope::of_refusal(text).is_some();
        self.refused(rule.to_owned(), String::from_utf8_lossy(text).into_owned(), is_limit, here);
    }

    fn judged(&mut self, reason: RejectReason, text: impl fmt::Display, here: Place) {
        if LATE.contains(&reason) {
            let known = self.known(here);
            return self.refusals.add(1, here, known);
        }
        let is_limit = LIMITS.contains(&reason);
        self.refused(format!("{reason:?}"), text.to_string(), is_limit, here);
    }

    fn refused(&mut self, rule: String, text: String, is_limit: bool, place: Place) {
        let known = self.known(place);
        self.refusals.add(1, place, known);
        if !self.met.insert(rule.clone()) {
            return;
        }
        let hit = LimitHit { place, rule, text };
        if is_limit {
            self.first_limit.get_or_insert_with(|| hit.clone());
        }
        self.first_refusals.push((hit, self.asked.saturating_sub(1)));
    }

    fn fill(&mut self, event: &Execution, here: Place) {
        let known = self.known(here);
        if event.trade_id == self.last_trade {
            self.self_trade.get_or_insert((here, event.trade_id));
        }
        self.last_trade = event.trade_id;
        let new = || Fills::new(event);
        let fills = self.fills.entry(event.instrument).or_insert_with(new);
        fills.traded.add(event.last_qty.max(0) as u64, here, known);
        fills.side(event.side, here);
    }

    /// What was found from the sequence `from` on; `symbol` has the symbols, and `comp_id` is the client's.
    pub(super) fn end(
        self,
        comp_id: &str,
        from: u64,
        symbol: impl Fn(InstrumentId) -> String,
    ) -> Anomalies {
        // What came before was not looked at.
        let since = if from > 1 { format!(" since sequence {from}") } else { String::new() };
        let mut found = Vec::new();
        let named =
            [("requests", self.requests), ("cancels", self.cancels), ("refusals", self.refusals)];
        for (rule, series) in named {
            found.extend(series.told.map(|told| told.anomaly(rule, "", comp_id, grouped)));
        }
        for (instrument, fills) in self.fills {
            let symbol = symbol(instrument);
            let qty = |of: u64| number(i64::try_from(of).unwrap_or(i64::MAX), fills.qty_scale);
            let of = format!(" of {symbol}");
            found.extend(fills.traded.told.map(|told| told.anomaly("traded", &of, comp_id, qty)));
            found.extend(fills.told.map(|(place, side, count, longest)| Anomaly {
                rule: "one side",
                place,
                seen: format!("{} fills in {symbol} in a row, all {side:?}", grouped(count)),
                usual: match longest {
                    0 => format!("none of the other side{since}"),
                    longest => format!("{} in a row at most", grouped(longest)),
                },
                more: ("trades", format!("--client {comp_id} --symbol {symbol}")),
            }));
        }
        found.extend(self.first_refusals.into_iter().map(|(hit, asked)| Anomaly {
            rule: "first refusal",
            place: hit.place,
            seen: format!("{}: {}", hit.rule, hit.text),
            usual: format!("none of {} requests{since} was refused by that", grouped(asked)),
            more: ("why", format!("seq:{}", hit.place.sequence)),
        }));
        found.extend(self.self_trade.map(|(place, trade)| Anomaly {
            rule: "self-trade",
            place,
            seen: format!("trade {trade} with itself"),
            usual: format!("none{since}"),
            more: ("replay", format!("--at trade:{trade}")),
        }));
        // One journal, one answer: what shows with the same frame is in the sequence of the rules.
        found.sort_by_key(|anomaly| anomaly.place.sequence);
        let first = self.first_ns.unwrap_or(self.last_ns);
        let seconds = self.last_ns.saturating_sub(first) / SECOND_NS;
        Anomalies { found, first_limit: self.first_limit, seconds }
    }
}

impl Series {
    fn new(min: Option<u64>) -> Self {
        Self { min, second: 0, in_second: 0, most: 0, told: None }
    }

    fn add(&mut self, count: u64, here: Place, known: u64) {
        let second = here.time_ns / SECOND_NS;
        if second != self.second {
            self.most = self.most.max(self.in_second);
            (self.second, self.in_second) = (second, 0);
        }
        self.in_second = self.in_second.saturating_add(count);
        let (in_second, most) = (self.in_second, self.most);
        match &mut self.told {
            Some(told) if told.second == second => told.count = in_second,
            Some(_) => {}
            None => {
                let is_known = known >= WARM_UP_SECONDS && (most > 0 || self.min.is_some());
                let is_many = in_second >= self.min.unwrap_or(1);
                if is_known && is_many && in_second > most.saturating_mul(FACTOR) {
                    let place = here;
                    self.told = Some(Told { place, second, count: in_second, most, known });
                }
            }
        }
    }
}

impl Told {
    fn anomaly(
        &self,
        rule: &'static str,
        of: &str,
        comp_id: &str,
        number: impl Fn(u64) -> String,
    ) -> Anomaly {
        let second = clock(self.second * SECOND_NS);
        Anomaly {
            rule,
            place: self.place,
            seen: format!("{}{of} in the second from {second}", number(self.count)),
            usual: format!(
                "{} at most in a second of the {} before",
                number(self.most),
                grouped(self.known)
            ),
            more: (
                "client",
                format!(
                    "{comp_id} --from {} --to {}",
                    utc(self.second * SECOND_NS),
                    utc((self.second + 1) * SECOND_NS)
                ),
            ),
        }
    }
}

impl Fills {
    fn new(event: &Execution) -> Self {
        Self {
            traded: Series::new(None),
            qty_scale: event.qty_scale,
            side: event.side,
            in_row: 0,
            longest: 0,
            told: None,
        }
    }

    fn side(&mut self, side: Side, here: Place) {
        if side != self.side {
            self.longest = self.longest.max(self.in_row);
            (self.side, self.in_row) = (side, 0);
        }
        self.in_row += 1;
        match &mut self.told {
            // The row that is told goes on.
            Some((_, _, count, longest))
                if *count + 1 == self.in_row && *longest == self.longest =>
            {
                *count += 1;
            }
            Some(_) => {}
            None if self.in_row >= ONE_SIDE_MIN && self.in_row > self.longest * FACTOR => {
                self.told = Some((here, side, self.in_row, self.longest));
            }
            None => {}
        }
    }
}

impl Anomalies {
    pub(super) fn json(&self) -> Value {
        let anomaly = |anomaly: &Anomaly| {
            json!({
                "rule": anomaly.rule,
                "at": place_json(anomaly.place.sequence, anomaly.place.time_ns),
                "seen": anomaly.seen,
                "usual": anomaly.usual,
                "more": { "command": anomaly.more.0, "arguments": anomaly.more.1 },
            })
        };
        json!({
            "found": self.found.iter().map(anomaly).collect::<Vec<_>>(),
            "first_limit": self.first_limit.as_ref().map(LimitHit::json),
            "seconds": self.seconds,
            "warm_up_seconds": WARM_UP_SECONDS,
            "factor": FACTOR,
        })
    }

    /// A line for each, the first one first; where there is none, what was looked at.
    pub(super) fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Anomaly { rule, place, seen, usual, .. } in &self.found {
            let (sequence, time) = (place.sequence, clock(place.time_ns));
            writeln!(
                f,
                "Anomaly      {rule} at sequence {sequence}, {time}: {seen}; before, {usual}"
            )?;
        }
        if self.found.is_empty() {
            let seconds = match self.seconds {
                known if known < WARM_UP_SECONDS => format!(
                    "{known} s are too few to know what a second usually has ({WARM_UP_SECONDS} are needed)"
                ),
                known => format!(
                    "no second of {} had over {FACTOR} times the requests, cancels, refusals or quantity of all before",
                    grouped(known)
                ),
            };
            writeln!(
                f,
                "Anomaly      none: {seconds}; no first refusal, no trade with itself, no {ONE_SIDE_MIN} fills on \
                 one side"
            )?;
        }
        match &self.first_limit {
            None => writeln!(f, "Limits       none refused it"),
            Some(hit) => writeln!(f, "Limits       first refused {hit}"),
        }
    }
}
