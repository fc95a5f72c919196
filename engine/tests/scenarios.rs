//! Scenarios as text: a row is a command and what it must report, or the book as a picture.
//!
//! ```text
//! A new a1 buy 10@100 ioc     => report; report          session A, ClOrdID a1
//! A cancel c1 a1              => c1/a1 canceled          request c1 for order a1
//! A cancel c1 #2              => ..                      request c1 for the second accepted order
//! A replace a2 a1 12@101      => a2/a1 replaced 12@101 left 12
//! book 4@100 a1:4 | 7@101 b1:3 b2:4                      buys | sells, each best level first
//! A limits traded=500 window=32                          risk limits: whole notionals, milliseconds
//! A status open               => A Open                  trading status
//! after 10                                               milliseconds go by
//! ```

use std::collections::HashMap;

use ironbook_engine::{
    Account, ClOrdId, Command, CompId, Engine, EngineLimits, Event, ExecType, InstrumentId,
    InstrumentStatus, OrdType, OrderId, ReasonText, Sequencer, SessionId, Side, SideFilter, Symbol,
    TimeInForce, Timestamp, TradingStatus,
    command::{
        CancelOnDisconnect, CancelOrder, DefineInstrument, DefineSession, MassCancel,
        NOTIONAL_SCALE, NewOrder, OrderTerms, Origin, QueryOrder, ReplaceOrder, RiskLimits,
        SetInstrumentStatus, SetRiskLimits, SetTradingStatus,
    },
    domain::{DisconnectCause, DisconnectScope, ExecReason},
    sink::VecSink,
};

const ONE: InstrumentId = InstrumentId(1);

fn name(text: &str) -> ClOrdId {
    ClOrdId::try_from(text).unwrap()
}

/// A venue with one instrument, whose prices and quantities are whole, and sessions A, B and C.
struct Stage {
    engine: Engine,
    sequencer: Sequencer,
    /// Milliseconds since the beginning.
    now_ms: u64,
    /// Sides by ClOrdID, and OrderIDs by count.
    sides: HashMap<String, Side>,
    ids: HashMap<u64, OrderId>,
}

impl Stage {
    fn new(limits: EngineLimits) -> Self {
        let engine = Engine::new(limits);
        let (sequencer, sides, ids) = (Sequencer::default(), HashMap::new(), HashMap::new());
        let mut stage = Self { engine, sequencer, now_ms: 0, sides, ids };
        stage.apply(limits.into());
        for id in 1..=3 {
            stage.apply(DefineSession::new(SessionId(id), CompId::EMPTY).into());
        }
        let symbol = Symbol::try_from("ONE").unwrap();
        stage.apply(DefineInstrument::new(ONE, symbol, 0, 0, 1, 1).into());
        stage
    }

    fn apply(&mut self, command: Command) -> Vec<Event> {
        let mut sink = VecSink::default();
        let stamp = self.sequencer.stamp(Timestamp(self.now_ms * 1_000_000));
        let next = self.engine.apply(stamp, &command, &mut sink);
        self.sequencer.resume_at(next);
        assert_eq!(self.engine.state_hash(), self.engine.recompute_state_hash());
        let events: Vec<Event> = sink.events.into_iter().map(|(_, event)| event).collect();
        for event in &events {
            if let Event::Execution(report) = event {
                self.ids.insert(report.order_id.count(), report.order_id);
            }
        }
        events
    }

    fn play(&mut self, script: &str) {
        for row in script.lines().map(str::trim).filter(|row| !row.is_empty()) {
            if let Some(picture) = row.strip_prefix("book") {
                assert_eq!(squeeze(&self.book()), squeeze(picture), "{row}\n{script}");
                continue;
            }
            if let Some(pause) = row.strip_prefix("after") {
                self.now_ms += pause.trim().parse::<u64>().unwrap();
                continue;
            }
            let (command, expected) = row.split_once("=>").unwrap_or((row, ""));
            let command = self.command(command.trim());
            let reports: Vec<String> = self.apply(command).iter().map(tell).collect();
            assert_eq!(squeeze(&reports.join("; ")), squeeze(expected), "{row}\n{script}");
        }
    }

    fn command(&mut self, row: &str) -> Command {
        let words: Vec<&str> = row.split_whitespace().collect();
        let status =
            |status| SetInstrumentStatus::new(Origin::venue(Timestamp(0)), ONE, status).into();
        match words[..] {
            ["halt"] => return status(InstrumentStatus::Halted),
            ["close"] => return status(InstrumentStatus::Closed),
            ["open"] => return status(InstrumentStatus::Open),
            _ => {}
        }
        let session = SessionId(u32::from(words[0].as_bytes()[0] - b'A') + 1);
        let origin = Origin::new(session, 0, Timestamp(0));
        match words[1..] {
            ["new", id, side, terms] => self.new_order(origin, id, side, terms, "day"),
            ["new", id, side, terms, tif] => self.new_order(origin, id, side, terms, tif),
            ["cancel", id, order] => {
                let (order_id, side, orig) = self.order(order);
                CancelOrder::new(origin, order_id, ONE, side, name(id), orig).into()
            }
            ["replace", id, order, terms] => {
                let (order_id, side, orig) = self.order(order);
                self.sides.entry(id.to_owned()).or_insert(side);
                let ids = (name(id), orig);
                ReplaceOrder::new(origin, order_id, ONE, parse(side, terms, "day"), ids).into()
            }
            ["query", order, ref request @ ..] => {
                let (order_id, side, orig) = self.order(order);
                let mut query = QueryOrder::new(origin, order_id, ONE, side, orig);
                query.ord_status_req_id = request.first().map_or(ClOrdId::EMPTY, |id| name(id));
                query.into()
            }
            ["mass", id, ref side @ ..] => {
                let side = match side {
                    ["buy"] => SideFilter::Buy,
                    ["sell"] => SideFilter::Sell,
                    _ => SideFilter::Both,
                };
                MassCancel::new(origin, ONE, side, b'1', name(id)).into()
            }
            ["limits", ref limits @ ..] => {
                SetRiskLimits::new(Origin::venue(Timestamp(0)), session, parse_limits(limits))
                    .into()
            }
            ["status", status] => {
                let status = match status {
                    "open" => TradingStatus::Open,
                    _ => TradingStatus::CancelOnly,
                };
                let (origin, reason) = (Origin::venue(Timestamp(0)), ReasonText::EMPTY);
                SetTradingStatus::new(origin, session, status, reason).into()
            }
            ["disconnect", scope] => {
                let scope = match scope {
                    "all" => DisconnectScope::All,
                    _ => DisconnectScope::Day,
                };
                let (session, cause) = (origin.session, DisconnectCause::Disconnect);
                CancelOnDisconnect::new(session, Timestamp(0), cause, scope).into()
            }
            _ => panic!("no such command: {row}"),
        }
    }

    fn new_order(
        &mut self,
        origin: Origin,
        id: &str,
        side: &str,
        terms: &str,
        tif: &str,
    ) -> Command {
        let side = if side == "buy" { Side::Buy } else { Side::Sell };
        self.sides.entry(id.to_owned()).or_insert(side);
        NewOrder::new(origin, ONE, parse(side, terms, tif), Account::EMPTY, name(id)).into()
    }

    /// `#2` is an OrderID, anything else a ClOrdID.
    fn order(&self, order: &str) -> (OrderId, Side, ClOrdId) {
        match order.strip_prefix('#') {
            Some(count) => {
                let count = count.parse().unwrap();
                let id = self.ids.get(&count).copied().unwrap_or(OrderId::new(count, 0));
                let side = self.engine.order(id).map_or(Side::Buy, |order| order.side);
                (id, side, name("-"))
            }
            None => {
                let side = self.sides.get(order).copied().unwrap_or(Side::Buy);
                (OrderId::NONE, side, name(order))
            }
        }
    }

    fn book(&self) -> String {
        let side = |side| {
            let levels = self.engine.book(ONE).unwrap().levels(side).map(|level| {
                let orders: Vec<String> =
                    level.orders().map(|o| format!("{}:{}", o.cl_ord_id, o.leaves_qty)).collect();
                assert_eq!(level.order_count() as usize, orders.len());
                format!("{}@{} {}", level.qty(), level.price, orders.join(" "))
            });
            levels.collect::<Vec<_>>().join(", ")
        };
        format!("{} | {}", side(Side::Buy), side(Side::Sell))
    }
}

/// `10@100`, or `10` for a market order.
fn parse(side: Side, terms: &str, tif: &str) -> OrderTerms {
    let (qty, price) = terms.split_once('@').unwrap_or((terms, "0"));
    let time_in_force = match tif {
        "gtc" => TimeInForce::Gtc,
        "ioc" => TimeInForce::Ioc,
        "fok" => TimeInForce::Fok,
        _ => TimeInForce::Day,
    };
    OrderTerms {
        side,
        ord_type: if terms.contains('@') { OrdType::Limit } else { OrdType::Market },
        time_in_force,
        price: (price.parse().unwrap(), 0),
        order_qty: (qty.parse().unwrap(), 0),
    }
}

/// `traded=500 window=32`: notionals are whole.
fn parse_limits(words: &[&str]) -> RiskLimits {
    let mut limits = RiskLimits::NONE;
    for word in words {
        let (key, value) = word.split_once('=').unwrap();
        let value: i64 = value.parse().unwrap();
        match key {
            "order" => limits.order_notional = value * NOTIONAL_ONE,
            "open" => limits.open_notional = value * NOTIONAL_ONE,
            "traded" => limits.traded_notional = value * NOTIONAL_ONE,
            "loss" => limits.loss = value * NOTIONAL_ONE,
            "orders" => limits.open_orders = value as u32,
            "bps" => limits.price_deviation = value as u32,
            "window" => limits.window_ms = value as u32,
            _ => panic!("no such limit: {word}"),
        }
    }
    assert!(limits.is_valid(), "{words:?}");
    limits
}

/// A notional of one.
const NOTIONAL_ONE: i64 = 10i64.pow(NOTIONAL_SCALE as u32);

/// A session as a scenario writes it.
fn letter(session: SessionId) -> char {
    char::from(b'A' + session.0 as u8 - 1)
}

/// What a refusal compared, where it did; notionals are whole.
fn compared(limit: i64, observed: i64, scale: u8) -> String {
    let one = 10i64.pow(scale.into());
    assert!(limit % one == 0 && observed % one == 0);
    match (limit, observed) {
        (0, 0) => String::new(),
        _ => format!(" {}>{}", observed / one, limit / one),
    }
}

/// An event as a scenario writes it.
fn tell(event: &Event) -> String {
    match event {
        Event::Execution(e) => {
            let name = match e.orig_cl_ord_id().is_empty() {
                true => e.cl_ord_id.to_string(),
                false => format!("{}/{}", e.cl_ord_id, e.orig_cl_ord_id()),
            };
            let (qty, price, left) = (e.order_qty, e.price, e.leaves_qty);
            assert!(left == 0 || left == qty - e.cum_qty);
            match (e.exec_type, e.reason) {
                (ExecType::New, _) => format!("{name} new"),
                (ExecType::Trade, _) => {
                    format!("{name} {}@{} left {left}", e.last_qty, e.last_px)
                }
                (ExecType::Canceled, ExecReason::None) => format!("{name} canceled"),
                (ExecType::Canceled, reason) => format!("{name} canceled {reason:?}"),
                (ExecType::Replaced, _) => format!("{name} replaced {qty}@{price} left {left}"),
                (_, _) => {
                    let to = answers(e.ord_status_req_id());
                    format!("{name} is {:?} {qty}@{price} left {left}{to}", e.ord_status)
                }
            }
        }
        Event::OrderRejected(e) => {
            let compared = compared(e.limit, e.observed, e.limit_scale);
            let to = answers(&e.ord_status_req_id);
            format!("{} rejected {:?}{compared}{to}", e.cl_ord_id, e.reason)
        }
        Event::CancelRejected(e) => {
            let (name, orig) = (e.cl_ord_id, e.orig_cl_ord_id);
            let compared = compared(e.limit, e.observed, e.limit_scale);
            format!("{name}/{orig} refused {:?}{compared} {:?}", e.reason, e.ord_status)
        }
        Event::SessionTripped(e) => {
            let compared = compared(e.limit, e.observed, e.scale);
            format!("{} tripped {:?}{compared} of {}", letter(e.session), e.rule, e.affected)
        }
        Event::TradingStatusChanged(e) => format!("{} {:?}", letter(e.session), e.status),
        Event::MassCanceled(e) => format!("{} mass canceled {}", e.cl_ord_id, e.affected),
        Event::StatusChanged(e) => format!("{:?}", e.status),
        Event::StateHashed(_) => "hash".to_owned(),
    }
}

/// The status request that an event answers, where it had an id.
fn answers(request: &ClOrdId) -> String {
    if request.is_empty() { String::new() } else { format!(" to {request}") }
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn play(script: &str) {
    let limits = EngineLimits { orders_max: 64, closed_orders_kept: 64, ..Default::default() };
    Stage::new(limits).play(script);
}

#[test]
fn cancel_head_and_middle_then_sweep() {
    play(
        "A new a1 sell 5@100 => a1 new
         A new a2 sell 5@100 => a2 new
         A new a3 sell 5@100 => a3 new
         A new a4 sell 5@100 => a4 new
         A cancel c1 a1      => c1/a1 canceled
         A cancel c2 #3      => c2/a3 canceled
         book | 10@100 a2:5 a4:5
         B new b1 buy 10@100 => b1 new; a2 5@100 left 0; b1 5@100 left 5; a4 5@100 left 0; b1 5@100 left 0
         book |",
    );
}

#[test]
fn cancel_tail_then_join_then_sweep() {
    play(
        "A new a1 buy 5@100  => a1 new
         A new a2 buy 6@100  => a2 new
         A new a3 buy 7@100  => a3 new
         A cancel c1 a3      => c1/a3 canceled
         A new a4 buy 8@100  => a4 new
         book 19@100 a1:5 a2:6 a4:8 |
         A cancel c2 a4      => c2/a4 canceled
         A cancel c3 a1      => c3/a1 canceled
         A new a5 buy 2@100  => a5 new
         B new b1 sell 8@100 => b1 new; a2 6@100 left 0; b1 6@100 left 2; a5 2@100 left 0; b1 2@100 left 0
         book |",
    );
}

#[test]
fn cancel_of_a_head_that_became_it_by_fills() {
    play(
        "A new a1 sell 1@100 => a1 new
         A new a2 sell 2@100 => a2 new
         A new a3 sell 3@100 => a3 new
         B new b1 buy 2@100  => b1 new; a1 1@100 left 0; b1 1@100 left 1; a2 1@100 left 1; b1 1@100 left 0
         A new a4 sell 4@101 => a4 new
         A cancel c1 a2      => c1/a2 canceled
         book | 3@100 a3:3, 4@101 a4:4
         B new b2 buy 5@101  => b2 new; a3 3@100 left 0; b2 3@100 left 2; a4 2@101 left 2; b2 2@101 left 0
         book | 2@101 a4:2",
    );
}

#[test]
fn immediate_sweep_stops_at_the_exact_boundary() {
    play(
        "A new a1 sell 5@100 => a1 new
         A new a2 sell 5@101 => a2 new
         A new a3 sell 5@102 => a3 new
         B new b1 buy 10@105 ioc => b1 new; a1 5@100 left 0; b1 5@100 left 5; a2 5@101 left 0; b1 5@101 left 0
         book                 | 5@102 a3:5
         B new b2 buy 9@101 ioc  => b2 new; b2 canceled ImmediateOrCancel
         B new b3 buy 9@102 ioc  => b3 new; a3 5@102 left 0; b3 5@102 left 4; b3 canceled ImmediateOrCancel
         book                 |",
    );
}

#[test]
fn immediate_sweep_of_all_levels_never_rests() {
    play(
        "A new a1 buy 4@100      => a1 new
         A new a2 buy 3@99       => a2 new
         A new a3 buy 2@97       => a3 new
         B new b1 sell 50@98 ioc => b1 new; a1 4@100 left 0; b1 4@100 left 46; a2 3@99 left 0; b1 3@99 left 43; b1 canceled ImmediateOrCancel
         book 2@97 a3:2 |
         B new b2 sell 50@1 ioc  => b2 new; a3 2@97 left 0; b2 2@97 left 48; b2 canceled ImmediateOrCancel
         book |
         A new a4 buy 5@200      => a4 new
         B query b2              => b2 is Canceled 50@1 left 0
         B query b2 q1           => b2 is Canceled 50@1 left 0 to q1
         A query a4 q1           => a4 is New 5@200 left 5 to q1
         book 5@200 a4:5 |",
    );
}

#[test]
fn limit_fills_to_the_last_lot_of_the_last_level() {
    play(
        "A new a1 buy 4@100      => a1 new
         A new a2 buy 3@99       => a2 new
         A new a3 buy 2@98       => a3 new
         B new b1 sell 7@99      => b1 new; a1 4@100 left 0; b1 4@100 left 3; a2 3@99 left 0; b1 3@99 left 0
         book 2@98 a3:2 |
         B new b2 sell 1@99      => b2 new
         book 2@98 a3:2 | 1@99 b2:1",
    );
}

#[test]
fn market_order_walks_all_levels() {
    play(
        "A new a1 sell 4@100     => a1 new
         A new a2 sell 3@5000    => a2 new
         B new b1 buy 6          => b1 new; a1 4@100 left 0; b1 4@100 left 2; a2 2@5000 left 1; b1 2@5000 left 0
         B new b2 buy 6          => b2 new; a2 1@5000 left 0; b2 1@5000 left 5; b2 canceled NoLiquidity
         book |",
    );
}

#[test]
fn limit_stops_at_its_own_price_and_the_rest_becomes_the_best() {
    play(
        "A new a1 sell 5@100 => a1 new
         A new a2 sell 5@102 => a2 new
         B new b0 buy 1@99   => b0 new
         B new b1 buy 8@101  => b1 new; a1 5@100 left 0; b1 5@100 left 3
         book 3@101 b1:3, 1@99 b0:1 | 5@102 a2:5
         C new c1 sell 2@101 => c1 new; b1 2@101 left 1; c1 2@101 left 0",
    );
}

#[test]
fn new_orders_trade_at_the_makers_price_on_both_sides() {
    play(
        "A new a1 sell 5@100 => a1 new
         B new b1 buy 2@130  => b1 new; a1 2@100 left 3; b1 2@100 left 0
         B new b2 buy 9@99   => b2 new
         A new a2 sell 4@70  => a2 new; b2 4@99 left 5; a2 4@99 left 0
         book 5@99 b2:5 | 3@100 a1:3",
    );
}

#[test]
fn a_better_price_goes_before_an_earlier_order() {
    play(
        "A new a1 sell 1@102 => a1 new
         A new a2 sell 1@101 => a2 new
         A new a3 sell 1@102 => a3 new
         A new a4 sell 1@100 => a4 new
         A new a5 sell 1@101 => a5 new
         book | 1@100 a4:1, 2@101 a2:1 a5:1, 2@102 a1:1 a3:1
         B new b1 buy 4@102  => b1 new; a4 1@100 left 0; b1 1@100 left 3; a2 1@101 left 0; b1 1@101 left 2; a5 1@101 left 0; b1 1@101 left 1; a1 1@102 left 0; b1 1@102 left 0
         A new a6 buy 1@98   => a6 new
         A new a7 buy 1@99   => a7 new
         A new a8 buy 1@98   => a8 new
         B new b2 sell 2@98  => b2 new; a7 1@99 left 0; b2 1@99 left 1; a6 1@98 left 0; b2 1@98 left 0
         book 1@98 a8:1 | 1@102 a3:1",
    );
}

#[test]
fn replaced_order_sweeps_levels_and_rests_at_its_new_price() {
    play(
        "A new a1 sell 2@100     => a1 new
         A new a2 sell 2@101     => a2 new
         A new a3 sell 2@103     => a3 new
         B new b1 buy 9@99       => b1 new
         C new c1 sell 1@99      => c1 new; b1 1@99 left 8; c1 1@99 left 0
         B replace b2 b1 9@102   => b2/b1 replaced 9@102 left 8; a1 2@100 left 0; b2 2@100 left 6; a2 2@101 left 0; b2 2@101 left 4
         book 4@102 b2:4 | 2@103 a3:2
         B query b2              => b2 is PartiallyFilled 9@102 left 4",
    );
}

#[test]
fn replace_into_cross_trades_at_the_makers_price_on_both_sides() {
    play(
        "A new a1 sell 5@100     => a1 new
         B new b1 buy 5@90       => b1 new
         B replace b2 b1 7@105   => b2/b1 replaced 7@105 left 7; a1 5@100 left 0; b2 5@100 left 2
         book 2@105 b2:2 |
         A new a2 sell 3@110     => a2 new
         A replace a3 a2 3@95    => a3/a2 replaced 3@95 left 3; b2 2@105 left 0; a3 2@105 left 1
         book | 1@95 a3:1",
    );
}

#[test]
fn one_of_two_siblings_is_replaced() {
    play(
        "A new a1 buy 5@100      => a1 new
         A new a2 buy 5@100      => a2 new
         A replace a3 a1 5@101   => a3/a1 replaced 5@101 left 5
         book 5@101 a3:5, 5@100 a2:5 |
         A replace a4 a3 5@100   => a4/a3 replaced 5@100 left 5
         book 10@100 a2:5 a4:5 |",
    );
}

#[test]
fn replace_keeps_or_loses_the_place() {
    play(
        "A new a1 buy 5@100      => a1 new
         A new a2 buy 5@100      => a2 new
         A replace a3 a1 4@100   => a3/a1 replaced 4@100 left 4
         book 9@100 a3:4 a2:5 |
         A replace a4 a3 4@100   => a4/a3 replaced 4@100 left 4
         book 9@100 a4:4 a2:5 |
         A replace a5 a4 5@100   => a5/a4 replaced 5@100 left 5
         book 10@100 a2:5 a5:5 |",
    );
}

#[test]
fn replace_counts_what_has_traded() {
    play(
        "A new a1 buy 10@100     => a1 new
         B new b1 sell 4@100     => b1 new; a1 4@100 left 6; b1 4@100 left 0
         A replace a2 a1 7@100   => a2/a1 replaced 7@100 left 3
         A query a2              => a2 is PartiallyFilled 7@100 left 3
         A replace a3 a2 4@100   => a3/a2 canceled ReplacedBelowCumQty
         book |
         A query a2              => a2 is Canceled 7@100 left 0
         A replace a4 a2 9@100   => a4/a2 refused TooLateToCancel Canceled
         A new a3 buy 1@100      => a3 new",
    );
}

#[test]
fn superseded_names_are_good_for_nothing_but_refusal() {
    play(
        "A new a1 buy 5@100      => a1 new
         A replace a2 a1 4@100   => a2/a1 replaced 4@100 left 4
         A cancel c1 a1          => c1/a1 refused UnknownOrder Rejected
         A replace a3 a1 3@100   => a3/a1 refused UnknownOrder Rejected
         A query a1              => a1 rejected UnknownOrder
         A query a1 q1           => a1 rejected UnknownOrder to q1
         A new a1 buy 1@1        => a1 rejected DuplicateClOrdId
         A replace a1 a2 3@100   => a1/a2 refused DuplicateClOrdId New
         A replace a2 a2 3@100   => a2/a2 refused DuplicateClOrdId New
         A cancel c2 #1          => c2/a2 canceled",
    );
}

#[test]
fn late_requests_are_refused_and_ids_are_never_taken_for_others() {
    play(
        "A new a1 buy 5@100      => a1 new
         B new b1 sell 5@100     => b1 new; a1 5@100 left 0; b1 5@100 left 0
         A cancel c1 a1          => c1/a1 refused TooLateToCancel Filled
         A cancel c2 #1          => c2/- refused UnknownOrder Rejected
         A replace a2 a1 6@100   => a2/a1 refused TooLateToCancel Filled
         A new a3 buy 5@100      => a3 new
         A cancel c3 #1          => c3/- refused UnknownOrder Rejected
         A cancel c4 a3          => c4/a3 canceled
         A cancel c5 a3          => c5/a3 refused TooLateToCancel Canceled
         A cancel c6 #99         => c6/- refused UnknownOrder Rejected
         A cancel c7 no          => c7/no refused UnknownOrder Rejected
         A new a1 buy 1@1        => a1 rejected DuplicateClOrdId
         B new a1 buy 1@1        => a1 new
         A cancel c8 a1          => c8/a1 refused TooLateToCancel Filled
         A cancel c9 #4          => c9/- refused UnknownOrder Rejected
         book 1@1 a1:1 |",
    );
}

#[test]
fn partial_fill_then_cancel_and_replace() {
    play(
        "A new a1 sell 10@100    => a1 new
         B new b1 buy 3@100      => b1 new; a1 3@100 left 7; b1 3@100 left 0
         A replace a2 a1 10@101  => a2/a1 replaced 10@101 left 7
         book | 7@101 a2:7
         A cancel c1 a2          => c1/a2 canceled
         book |",
    );
}

#[test]
fn a_partial_fill_stays_traded_after_the_cancel() {
    play(
        "A new a1 buy 10@100     => a1 new
         B new b1 sell 4@90      => b1 new; a1 4@100 left 6; b1 4@100 left 0
         A cancel c1 a1          => c1/a1 canceled
         A query a1              => a1 is Canceled 10@100 left 0
         A cancel c2 a1          => c2/a1 refused TooLateToCancel Canceled
         A replace a2 a1 12@100  => a2/a1 refused TooLateToCancel Canceled
         B new b2 sell 1@100     => b2 new
         book | 1@100 b2:1",
    );
}

#[test]
fn a_name_is_used_up_by_its_order_until_it_is_forgotten() {
    let limits = EngineLimits { orders_max: 9, closed_orders_kept: 2, ..Default::default() };
    Stage::new(limits).play(
        "A new a1 buy 5@100      => a1 new
         A new a1 buy 5@100      => a1 rejected DuplicateClOrdId
         A new a2 buy 5@100      => a2 new
         A cancel c1 a1          => c1/a1 canceled
         A new a1 buy 5@100      => a1 rejected DuplicateClOrdId
         A replace a1 a2 4@100   => a1/a2 refused DuplicateClOrdId New
         B new a1 buy 5@100      => a1 new
         B cancel a1 a1          => a1/a1 canceled
         A new c1 buy 1@1        => c1 new
         A new a1 buy 5@100      => a1 rejected DuplicateClOrdId
         A cancel c2 c1          => c2/c1 canceled
         A cancel c3 a1          => c3/a1 refused UnknownOrder Rejected
         A replace a1 a2 4@100   => a1/a2 replaced 4@100 left 4
         book 4@100 a1:4 |",
    );
}

#[test]
fn no_phantom_level_after_the_best_is_canceled() {
    play(
        "A new a1 buy 5@100      => a1 new
         A new a2 buy 5@37       => a2 new
         A cancel c1 a1          => c1/a1 canceled
         book 5@37 a2:5 |
         B new b1 sell 5@38      => b1 new
         book 5@37 a2:5 | 5@38 b1:5
         B new b2 sell 5@4000000 => b2 new
         B cancel c2 b1          => c2/b1 canceled
         A new a3 buy 5@3999999  => a3 new
         book 5@3999999 a3:5, 5@37 a2:5 | 5@4000000 b2:5
         A replace a4 a3 5@36    => a4/a3 replaced 5@36 left 5
         B new b3 sell 1@38      => b3 new
         book 5@37 a2:5, 5@36 a4:5 | 1@38 b3:1, 5@4000000 b2:5",
    );
}

#[test]
fn first_come_first_served_across_calls() {
    play(
        "A new a1 buy 2@100      => a1 new
         B new b1 buy 2@100      => b1 new
         C new c1 sell 1@100     => c1 new; a1 1@100 left 1; c1 1@100 left 0
         A new a2 buy 2@100      => a2 new
         C new c2 sell 2@100     => c2 new; a1 1@100 left 0; c2 1@100 left 1; b1 1@100 left 1; c2 1@100 left 0
         book 3@100 b1:1 a2:2 |",
    );
}

#[test]
fn fill_or_kill_trades_whole_or_leaves_the_book_alone() {
    play(
        "A new a1 sell 5@100     => a1 new
         A new a2 sell 5@101     => a2 new
         B new b1 buy 11@101 fok => b1 new; b1 canceled FillOrKill
         B new b2 buy 6@100 fok  => b2 new; b2 canceled FillOrKill
         B new b3 buy 11 fok     => b3 new; b3 canceled FillOrKill
         book | 5@100 a1:5, 5@101 a2:5
         B new b4 buy 10@101 fok => b4 new; a1 5@100 left 0; b4 5@100 left 5; a2 5@101 left 0; b4 5@101 left 0
         book |",
    );
}

#[test]
fn market_orders_never_rest() {
    play(
        "B new b1 buy 5          => b1 new; b1 canceled NoLiquidity
         A new a1 sell 3@100     => a1 new
         B new b2 buy 5 gtc      => b2 new; a1 3@100 left 0; b2 3@100 left 2; b2 canceled NoLiquidity
         book |
         B query b2              => b2 is Canceled 5@0 left 0",
    );
}

#[test]
fn halt_refuses_all_but_cancels() {
    play(
        "A new a1 buy 5@100      => a1 new
         A new a2 buy 5@99       => a2 new
         A new a3 buy 5@98       => a3 new
         halt                    => Halted
         halt                    =>
         A new a4 buy 5@100      => a4 rejected InstrumentHalted
         A replace a5 a1 4@100   => a5/a1 refused InstrumentHalted New
         A query a1              => a1 is New 5@100 left 5
         A cancel c1 a1          => c1/a1 canceled
         close                   => Closed
         A new a6 buy 5@100      => a6 rejected InstrumentClosed
         A replace a7 a2 4@99    => a7/a2 refused InstrumentClosed New
         A cancel c2 a2          => c2/a2 canceled
         A mass m1               => m1 mass canceled 1; a3 canceled MassCancel
         open                    => Open
         A new a4 buy 5@100      => a4 new",
    );
}

#[test]
fn mass_cancel_goes_by_acceptance_and_by_filter() {
    play(
        "A new a1 buy 5@100      => a1 new
         B new b1 buy 5@100      => b1 new
         A new a2 sell 5@103     => a2 new
         A new a3 buy 5@101      => a3 new
         A replace a4 a1 6@102   => a4/a1 replaced 6@102 left 6
         A mass m1 sell          => m1 mass canceled 1; a2 canceled MassCancel
         A mass m2               => m2 mass canceled 2; a4 canceled MassCancel; a3 canceled MassCancel
         C mass m3               => m3 mass canceled 0
         book 5@100 b1:5 |",
    );
}

#[test]
fn a_lost_connection_takes_orders_for_the_day_or_all() {
    play(
        "A new a1 buy 5@100      => a1 new
         B new b1 buy 5@100      => b1 new
         A new a2 buy 5@99 gtc   => a2 new
         A new a3 sell 5@103     => a3 new
         B new b2 buy 2@103      => b2 new; a3 2@103 left 3; b2 2@103 left 0
         C disconnect all        =>
         halt                    => Halted
         A disconnect day        => a1 canceled Disconnected; a3 canceled Disconnected
         A disconnect day        =>
         book 5@100 b1:5, 5@99 a2:5 |
         A disconnect all        => a2 canceled Disconnected
         A cancel c1 a1          => c1/a1 refused TooLateToCancel Canceled
         book 5@100 b1:5 |",
    );
}

#[test]
fn replace_may_not_change_the_type() {
    play(
        "A new a1 buy 5@100      => a1 new
         A replace a2 a1 5       => a2/a1 refused ReplaceChangesType New
         book 5@100 a1:5 |",
    );
}

#[test]
fn price_at_the_ceiling() {
    play(
        "A new a1 sell 5@68719476735 => a1 new
         A new a2 sell 5@68719476736 => a2 rejected PriceTooHigh 68719476736>68719476735
         B new b1 buy 5@1        => b1 new
         book 5@1 b1:5 | 5@68719476735 a1:5
         B new b2 buy 2@68719476735  => b2 new; a1 2@68719476735 left 3; b2 2@68719476735 left 0
         A new a3 sell 6@1       => a3 new; b1 5@1 left 0; a3 5@1 left 1
         book | 1@1 a3:1, 3@68719476735 a1:3",
    );
}

#[test]
fn extreme_prices_in_turn() {
    play(
        "A new a1 sell 1@68719476735 => a1 new
         B new b1 buy 1@1            => b1 new
         A new a2 sell 1@2           => a2 new
         A cancel c1 a2              => c1/a2 canceled
         B new b2 buy 1@68719476734  => b2 new
         book 1@68719476734 b2:1, 1@1 b1:1 | 1@68719476735 a1:1
         B cancel c1 b2              => c1/b2 canceled
         A cancel c2 a1              => c2/a1 canceled
         A new a3 sell 1@2           => a3 new
         book 1@1 b1:1 | 1@2 a3:1
         A replace a4 a3 1@68719476735 => a4/a3 replaced 1@68719476735 left 1
         B replace b3 b1 1@68719476734 => b3/b1 replaced 1@68719476734 left 1
         A new a5 sell 3@1           => a5 new; b3 1@68719476734 left 0; a5 1@68719476734 left 2
         B new b4 buy 9@68719476735 ioc => b4 new; a5 2@1 left 0; b4 2@1 left 7; a4 1@68719476735 left 0; b4 1@68719476735 left 6; b4 canceled ImmediateOrCancel
         book |",
    );
}

#[test]
fn a_full_venue_still_cancels() {
    let limits = EngineLimits { orders_max: 2, closed_orders_kept: 1, ..Default::default() };
    Stage::new(limits).play(
        "A new a1 buy 5@100      => a1 new
         A new a2 buy 5@100      => a2 new
         A new a3 sell 5@100     => a3 rejected TooManyOrders 3>2
         A cancel c1 a1          => c1/a1 canceled
         A new a3 sell 5@100     => a3 new; a2 5@100 left 0; a3 5@100 left 0
         A cancel c2 a1          => c2/a1 refused UnknownOrder Rejected
         A cancel c3 a3          => c3/a3 refused TooLateToCancel Filled
         A new a1 buy 1@1        => a1 new",
    );
}

#[test]
fn sweep_of_five_thousand_orders() {
    let mut stage = Stage::new(EngineLimits { orders_max: 6_000, ..Default::default() });
    for number in 0..5_000 {
        let price = 100 + number % 50;
        let command = stage.command(&format!("A new a{number} sell 1@{price}"));
        stage.apply(command);
    }
    let command = stage.command("B new b1 buy 5000@149");
    let events = stage.apply(command);
    assert_eq!(events.len(), 1 + 2 * 5_000);
    let prices: Vec<i64> = events
        .iter()
        .filter_map(|event| match event {
            Event::Execution(e) if e.exec_type == ExecType::Trade => Some(e.last_px),
            _ => None,
        })
        .collect();
    assert!(prices.is_sorted() && prices[0] == 100 && prices[9_999] == 149);
    assert_eq!(stage.book(), " | ");
    let Some(Event::Execution(last)) = events.last() else { panic!("no trade") };
    assert_eq!((last.leaves_qty, last.cum_qty), (0, 5_000));
    assert_eq!(last.cum_notional(), (100..150u128).sum::<u128>() * 100);
}

#[test]
fn deep_queue_with_cancels_all_over() {
    const ORDERS: usize = 500;
    let mut stage = Stage::new(EngineLimits { orders_max: 600, ..Default::default() });
    let qty = |number: usize| 1 + number % 7;
    for number in 0..ORDERS {
        stage.play(&format!("A new a{number} buy {}@100 => a{number} new", qty(number)));
    }
    // Both ends, neighbors and single ones in between; the last first.
    let is_canceled =
        |number: &usize| !(3..ORDERS - 3).contains(number) || [2, 3, 8].contains(&(number % 11));
    for number in (0..ORDERS).rev().filter(is_canceled) {
        stage.play(&format!("A cancel c{number} a{number} => c{number}/a{number} canceled"));
    }
    let rest: Vec<usize> = (0..ORDERS).filter(|number| !is_canceled(number)).collect();
    let total: usize = rest.iter().map(|&number| qty(number)).sum();
    let queue: String = rest.iter().map(|&n| format!(" a{n}:{}", qty(n))).collect();
    stage.play(&format!("book {total}@100 {queue} |"));

    // One more than all of them have.
    let (mut left, mut reports) = (total + 1, String::from("b1 new"));
    for number in rest {
        let qty = qty(number);
        left -= qty;
        reports += &format!("; a{number} {qty}@100 left 0; b1 {qty}@100 left {left}");
    }
    stage.play(&format!("B new b1 sell {}@100 => {reports}", total + 1));
    stage.play("book | 1@100 b1:1");
}

#[test]
fn an_order_is_judged_by_its_notional() {
    play(
        "A limits order=1000
         A new a1 buy 10@100      => a1 new
         A new a2 buy 11@100      => a2 rejected OrderNotionalTooLarge 1100>1000
         A new a3 buy 11@100 ioc  => a3 rejected OrderNotionalTooLarge 1100>1000
         A replace a4 a1 10@101   => a4/a1 refused OrderNotionalTooLarge 1010>1000 New
         A replace a5 a1 20@50    => a5/a1 replaced 20@50 left 20
         B new b1 buy 9999@100    => b1 new
         A cancel c1 a5           => c1/a5 canceled
         A new a6 sell 11         => a6 rejected OrderNotionalTooLarge 1100>1000
         A new a7 sell 10         => a7 new; b1 10@100 left 9989; a7 10@100 left 0
         B cancel c2 b1           => c2/b1 canceled
         A new a8 sell 11         => a8 rejected OrderNotionalTooLarge 1100>1000
         A new a9 buy 10          => a9 new; a9 canceled NoLiquidity",
    );
}

#[test]
fn a_price_is_judged_on_the_aggressive_side_only() {
    play(
        "A limits bps=500
         A new a1 buy 1@9999      => a1 new
         A cancel c1 a1           => c1/a1 canceled
         B new b1 buy 1@90        => b1 new
         B new b2 sell 1@110      => b2 new
         A new a2 buy 1@106       => a2 rejected PriceFarFromReference 600>500
         A new a3 sell 1@94       => a3 rejected PriceFarFromReference 600>500
         A new a4 buy 1@105       => a4 new
         A new a5 sell 1@200      => a5 new
         A replace a6 a4 1@113    => a6/a4 refused PriceFarFromReference 512>500 New
         C new d1 buy 1@110       => d1 new; b2 1@110 left 0; d1 1@110 left 0
         A replace a7 a4 1@115    => a7/a4 replaced 1@115 left 1
         A replace a8 a7 1@116    => a8/a7 refused PriceFarFromReference 546>500 New
         A new a9 sell 1          => a9 new; a7 1@115 left 0; a9 1@115 left 0",
    );
}

#[test]
fn live_orders_and_what_they_come_to_are_limited() {
    play(
        "A new a1 buy 10@10       => a1 new
         A limits orders=2 open=300
         A new a2 buy 21@10       => a2 rejected OpenNotionalTooLarge 310>300
         A new a3 buy 20@10       => a3 new
         A new a4 buy 1@1         => a4 rejected TooManyOpenOrders 3>2
         A replace a5 a3 21@10    => a5/a3 refused OpenNotionalTooLarge 310>300 New
         B new b1 sell 15@10      => b1 new; a1 10@10 left 0; b1 10@10 left 5; a3 5@10 left 15; b1 5@10 left 0
         A replace a6 a3 20@20    => a6/a3 replaced 20@20 left 15
         A new a7 buy 1@1 ioc     => a7 rejected OpenNotionalTooLarge 301>300
         A limits open=100
         A replace a8 a6 15@20    => a8/a6 replaced 15@20 left 10
         A replace a9 a8 15@21    => a9/a8 refused OpenNotionalTooLarge 210>100 PartiallyFilled
         A replace aa a8 5@20     => aa/a8 canceled ReplacedBelowCumQty
         A new ab buy 10@10       => ab new",
    );
}

#[test]
fn what_is_traded_in_the_window_trips_both_sides() {
    play(
        "A limits traded=1000 window=32
         A new a1 sell 4@100      => a1 new
         A new a2 sell 50@200     => a2 new
         A new a3 buy 5@1 gtc     => a3 new
         B new b1 buy 4@100       => b1 new; a1 4@100 left 0; b1 4@100 left 0
         A new a4 sell 6@100      => a4 new
         B new b2 buy 6@100       => b2 new; a4 6@100 left 0; b2 6@100 left 0
         A new a5 sell 1@100      => a5 new
         B new b3 buy 9@100       => b3 new; a5 1@100 left 0; b3 1@100 left 8; A tripped TradedNotionalTooLarge 1100>1000 of 2; a2 canceled SessionTripped; a3 canceled SessionTripped
         book 8@100 b3:8 |
         A new a6 sell 1@100      => a6 rejected TradedNotionalTooLarge 1100>1000
         A replace a7 a2 1@100    => a7/a2 refused TooLateToCancel Canceled
         A cancel c1 a2           => c1/a2 refused TooLateToCancel Canceled
         A query a2               => a2 is Canceled 50@200 left 0
         A mass c2                => c2 mass canceled 0
         after 100
         A new a8 sell 1@100      => a8 rejected TradedNotionalTooLarge 1100>1000
         A limits traded=9999 window=32
         A status cancel-only     =>
         A new a9 sell 1@100      => a9 rejected TradedNotionalTooLarge 1100>1000
         A status open            => A Open
         A limits traded=100 window=32
         A new aa sell 1@100      => aa new; b3 1@100 left 7; aa 1@100 left 0
         A new ab sell 9@99       => ab new; b3 7@100 left 0; ab 7@100 left 2; A tripped TradedNotionalTooLarge 800>100 of 1; ab canceled SessionTripped
         book |",
    );
}

#[test]
fn what_was_traded_before_the_window_does_not_count() {
    play(
        "A limits traded=1000 window=32
         B new b1 buy 99@100      => b1 new
         A new a1 sell 6@100      => a1 new; b1 6@100 left 93; a1 6@100 left 0
         after 32
         A new a2 sell 4@100      => a2 new; b1 4@100 left 89; a2 4@100 left 0
         after 1
         A new a3 sell 6@100      => a3 new; b1 6@100 left 83; a3 6@100 left 0
         after 999999
         A new a4 sell 10@100     => a4 new; b1 10@100 left 73; a4 10@100 left 0
         after 32
         A new a5 sell 1@100      => a5 new; b1 1@100 left 72; a5 1@100 left 0; A tripped TradedNotionalTooLarge 1100>1000 of 0",
    );
}

/// Ten bought one above the last price and sold one below it, time and again.
#[test]
fn a_loss_against_the_price_before_the_order_trips() {
    play(
        "A limits loss=25 window=1000
         B new b1 buy 90@99       => b1 new
         B new b2 sell 20@101     => b2 new
         B new b3 sell 20@102     => b3 new
         A new a1 buy 10@101      => a1 new; b2 10@101 left 10; a1 10@101 left 0
         A new a2 sell 5@99       => a2 new; b1 5@99 left 85; a2 5@99 left 0
         A new a3 sell 5@99       => a3 new; b1 5@99 left 80; a3 5@99 left 0
         C new d1 sell 10@97 ioc  => d1 new; b1 10@99 left 70; d1 10@99 left 0
         C new d2 buy 10@98       => d2 new
         A new a4 sell 1@200      => a4 new
         A new a5 sell 75@98      => a5 new; b1 70@99 left 0; a5 70@99 left 5; d2 5@98 left 5; a5 5@98 left 0
         A new a6 buy 2@102       => a6 new; b2 2@101 left 8; a6 2@101 left 0; A tripped LossTooLarge 31>25 of 1; a4 canceled SessionTripped",
    );
}

#[test]
fn gains_are_set_off_against_losses_of_the_same_window() {
    play(
        "A limits loss=10 window=1000
         B new b1 buy 10@100      => b1 new
         C new d1 sell 10@100     => d1 new; b1 10@100 left 0; d1 10@100 left 0
         B new b2 buy 5@103       => b2 new
         A new a1 sell 5@100      => a1 new; b2 5@103 left 0; a1 5@103 left 0
         B new b3 buy 25@102      => b3 new
         A new a2 sell 25@100     => a2 new; b3 25@102 left 0; a2 25@102 left 0
         B new b4 buy 1@101       => b4 new
         A new a3 sell 1@101      => a3 new; b4 1@101 left 0; a3 1@101 left 0; A tripped LossTooLarge 11>10 of 0",
    );
}

#[test]
fn a_session_that_may_cancel_only_keeps_its_orders() {
    play(
        "A new a1 buy 5@100       => a1 new
         A new a2 buy 5@100       => a2 new
         A status cancel-only     => A CancelOnly
         A status cancel-only     =>
         A new a3 buy 5@100       => a3 rejected SessionCancelOnly
         A replace a4 a1 4@100    => a4/a1 refused SessionCancelOnly New
         book 10@100 a1:5 a2:5 |
         A cancel c1 a1           => c1/a1 canceled
         B new b1 sell 2@100      => b1 new; a2 2@100 left 3; b1 2@100 left 0
         A mass c2                => c2 mass canceled 1; a2 canceled MassCancel
         A status open            => A Open
         A new a5 buy 5@100       => a5 new",
    );
}

#[test]
fn two_sessions_trip_with_one_order() {
    play(
        "A limits traded=99 window=10
         B limits traded=99 window=10
         A new a1 sell 1@100      => a1 new
         A new a2 sell 1@100      => a2 new
         B new b1 buy 5@100       => b1 new; a1 1@100 left 0; b1 1@100 left 4; a2 1@100 left 0; b1 1@100 left 3; A tripped TradedNotionalTooLarge 100>99 of 0; B tripped TradedNotionalTooLarge 100>99 of 1; b1 canceled SessionTripped",
    );
}
