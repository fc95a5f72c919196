//! A client that has lost count, and what the tools say of it.

mod fixtures;

use std::path::Path;

use fixtures::{
    common::{FixClient, TestVenue, now, session},
    expect_exit, json, stdout, text,
};
use ironbook_engine::{
    Account, ClOrdId, Command, CompId, Engine, EngineLimits, Event, ExecType, InstrumentId,
    OrdType, OrderId, Sequencer, SessionId, Side, Symbol, TimeInForce, Timestamp,
    command::{
        CancelOrder, DefineInstrument, DefineSession, NOTIONAL_SCALE, NewOrder, OrderTerms, Origin,
        QueryOrder, RiskLimits, SetRiskLimits,
    },
    domain::{ExecReason, RejectReason},
    event::SessionTripped,
    sink::VecSink,
};
use ironbook_journal::{Options, SEGMENT_BYTES_MIN, Writer, open};
use serde_json::Value;

/// Orders that the runaway may send at once.
const BURST: u32 = 200;
/// Live orders that the engine takes.
const ORDERS_MAX: u32 = 150;

fn ask(dir: &Path, words: &[&str]) -> String {
    let dir = text(dir);
    let arguments: Vec<_> =
        [words[0], &dir].into_iter().chain(words[1..].iter().copied()).collect();
    stdout(&expect_exit(&arguments, 0))
}

fn ask_json(dir: &Path, words: &[&str]) -> Value {
    let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&ask(dir, &words)).expect("JSON")
}

/// Where a condition first holds, which is the same however often somebody asks.
fn first(dir: &Path, condition: &str) -> u64 {
    let found = || ask_json(dir, &["replay", "--break", condition]);
    let (one, other) = (found(), found());
    assert_eq!(one, other);
    one["sequence"].as_u64().expect("a sequence")
}

/// The runaway's first refusal for want of room in the engine, if it met one.
fn full_of(dir: &Path) -> u64 {
    let condition = "reject.rule = 'TooManyOrders' and session = 'RUNAWAY'";
    let dir = text(dir);
    let output = fixtures::tool(&["replay", &dir, "--break", condition, "--json"]);
    serde_json::from_slice::<Value>(&output.stdout)
        .ok()
        .and_then(|found| found["sequence"].as_u64())
        .unwrap_or(u64::MAX)
}

#[test]
fn a_runaway_trips_and_is_explained() {
    let mut venue = TestVenue::start_with(|config| {
        config.sessions = ["LOADGEN", "RUNAWAY"].map(session).into();
        config.sessions[1].orders_per_second = 1;
        config.sessions[1].orders_burst = BURST;
        config.engine.orders_max = ORDERS_MAX;
    });
    venue.client("RUNAWAY").rest("far", "AAPL", "1", "1", "0.01");
    let address = venue.address().to_string();
    let load = ["load", "--fix", &address, "--flow", "runaway", "--as", "LOADGEN,RUNAWAY"];
    let more = ["--symbols", "AAPL,BTC-USD", "--orders", "700", "--after", "100"];
    // Few at a time, so that both clients take turns whichever socket is read first.
    let turns = ["--share", "60", "--in-flight", "8", "--json"];
    let load = [&load[..], &more, &turns].concat();
    let told = json(&expect_exit(&load, 0));
    assert_eq!(told["unanswered"], 0);
    // Who may not send another order gets his orders back.
    let mut runaway = FixClient::connect(venue.address(), "RUNAWAY");
    runaway.send("A", "98=0|108=60|141=Y");
    runaway.expect("35=A");
    runaway.send("q", &format!("11=stop|530=7|60={}", now()));
    let canceled = runaway.expect("35=r|11=stop|531=7").number(533);
    assert!(canceled > 0, "one is far away at least");
    for _ in 0..canceled {
        runaway.expect("35=8|150=4|58=mass cancel");
    }
    venue.stop();
    let dir = venue.journal();

    // The gateway's throttle: as many orders as it allows, and not one more.
    let tripped = first(&dir, "refused and session = 'RUNAWAY'");
    let before = ask_json(&dir, &["client", "RUNAWAY", "--to", &format!("seq:{tripped}")]);
    let sent = before["requests"]["NewOrder"].as_u64().expect("orders");
    // Some seconds may have passed, and brought an order each.
    let limit = u64::from(BURST);
    let seconds = told["seconds"].as_f64().expect("a time") as u64 + 1;
    assert!((limit..=limit + seconds).contains(&sent), "{sent}");
    let why = ask(&dir, &["why", &format!("seq:{tripped}")]);
    for expected in [
        "refused by the gateway, before the engine saw it: throttle: this session may send 1 orders \
         and replaces a second, 200 at once; this is ",
        "us too early",
        "session               RUNAWAY",
        "ClOrdID               L",
    ] {
        assert!(why.contains(expected), "{expected}\n{why}");
    }

    // The engine's bound on live orders.
    let full = first(&dir, "reject.rule = 'TooManyOrders'");
    let why = ask(&dir, &["why", &format!("seq:{full}")]);
    for expected in [
        "refused by TooManyOrders",
        "rule                  TooManyOrders",
        "limit                 150",
    ] {
        assert!(why.contains(expected), "{expected}\n{why}");
    }
    assert!(why.contains("\n  observed "), "{why}");
    let halved = format!("engine.orders_max={}", ORDERS_MAX / 2);
    let earlier = ask_json(&dir, &["whatif", "--set", &halved]);
    let earlier = earlier["first_difference"]["sequence"].as_u64().expect("a sequence");
    assert!(earlier < full, "{earlier} {full}");

    // Under the throttle that it had, all that got through gets through. Its rate is journaled.
    let throttled = |burst: u32| {
        ["whatif", "--set", &format!("RUNAWAY.orders_burst={burst}")].map(str::to_owned)
    };
    let words = throttled(BURST);
    let same = ask_json(&dir, &words.each_ref().map(String::as_str));
    assert_eq!(same["throttles"][0]["refused"], 0, "{same:#}");
    let journaled = &same["throttles"][0]["journaled"];
    assert_eq!(
        (&journaled["orders_per_second"], &journaled["orders_burst"]),
        (&1.into(), &BURST.into())
    );
    let whole = ask_json(&dir, &["client", "RUNAWAY"]);
    assert_eq!(same["throttles"][0]["orders"], whole["requests"]["NewOrder"], "{same:#}");
    assert_eq!(same["first_difference"], Value::Null);
    assert_eq!(same["states"]["real"], same["states"]["COUNTERFACTUAL"]);
    let refused_then = same["refused_by_the_gateway_then"].as_u64().expect("a count");
    assert!(refused_then > 0);
    // Half of it trips earlier, and says the same whenever somebody asks.
    let words = throttled(BURST / 2);
    let words = words.each_ref().map(String::as_str);
    let half = ask(&dir, &words);
    assert_eq!(half, ask(&dir, &words));
    for expected in [
        "orders and replaces refused by throttles, by when the gateway had read each",
        "that the gateway refused then: only answers to them are journaled",
        "throttle: this session may send 1 orders and replaces a second, 100 at once; this is ",
    ] {
        assert!(half.contains(expected), "{expected}\n{half}");
    }
    let half = ask_json(&dir, &words);
    let earlier = half["throttles"][0]["first_refused"]["sequence"].as_u64().expect("a sequence");
    assert!(earlier < tripped, "{earlier} {tripped}");
    let to_there = ask_json(&dir, &["client", "RUNAWAY", "--to", &format!("seq:{earlier}")]);
    // With the one that it refuses.
    let sent = to_there["requests"]["NewOrder"].as_u64().expect("orders");
    let half = limit / 2 + 1;
    assert!((half..=half + seconds).contains(&sent), "{sent}");

    // How it came to its bounds, and what was first.
    let bound = &whole["head_room"]["throttles"][0];
    assert_eq!(
        (&bound["scope"], &bound["least"]["left"]),
        (&"session".into(), &0.into()),
        "{bound}"
    );
    let rows = whole["head_room"]["rows"].as_array().expect("rows");
    assert!((1..=24).contains(&rows.len()), "{whole:#}");
    let sum = |name: &str| rows.iter().map(|row| row[name].as_u64().expect("a count")).sum::<u64>();
    let all = whole["requests"].as_object().expect("requests").values();
    let all: u64 = all.map(|count| count.as_u64().expect("a count")).sum();
    assert_eq!(sum("requests"), all, "{whole:#}");
    assert_eq!(whole["requests"]["refused by the gateway"], refused_then, "{whole:#}");
    let count = |list: &Value, name: &str, wanted: &str, field: &str| {
        let rows = list.as_array().expect("rows");
        rows.iter().find(|row| row[name] == wanted).expect(wanted)[field].clone()
    };
    let throttle = "throttle of the session";
    assert_eq!(count(&whole["rejects"], "rule", throttle, "count"), refused_then, "{whole:#}");
    // And for all at a glance alike.
    let top = ask_json(&dir, &["top"]);
    assert_eq!(count(&top["clients"], "comp_id", "RUNAWAY", "requests"), all, "{top:#}");
    assert_eq!(count(&top["clients"], "comp_id", "RUNAWAY", "rejects"), sum("refused"), "{top:#}");
    assert_eq!(count(&top["rules"], "rule", throttle, "count"), refused_then, "{top:#}");
    assert_eq!(count(&top["rules"], "rule", throttle, "first_sequence"), tripped, "{top:#}");
    let found = &whole["anomalies"];
    let limit = found["first_limit"]["at"]["sequence"].as_u64().expect("a limit");
    assert_eq!(limit, tripped.min(full_of(&dir)), "{found:#}");
    let throttle = found["found"].as_array().expect("anomalies").iter().find(|anomaly| {
        anomaly["seen"].as_str().is_some_and(|seen| seen.starts_with("throttle of the session"))
    });
    assert_eq!(throttle.expect("it")["at"]["sequence"], tripped, "{found:#}");
    let text = ask(&dir, &["client", "RUNAWAY"]);
    for expected in
        ["\nHead-room    0 left in its throttle at sequence ", "\nLimits       first refused by "]
    {
        assert!(text.contains(expected), "{expected}\n{text}");
    }

    // It buys one symbol and sells the other.
    assert_eq!(whole["live_orders"], 0);
    let positions = whole["positions"].as_array().expect("positions");
    let none = |position: &Value, side: &str| {
        position[side].as_str().and_then(|qty| qty.parse().ok()) == Some(0.0)
    };
    let sides = positions.iter().map(|position| (none(position, "bought"), none(position, "sold")));
    assert_eq!(sides.collect::<Vec<_>>(), [(false, true), (true, false)], "{whole:#}");
}

/// Orders that the router of Knight Capital had to fill on 1 August 2012, and in how many symbols.
const PARENTS: u32 = 212;
const SYMBOLS: u32 = 154;
/// What one of its child orders asks for, and between two requests: 10,000 a second.
const CHILD_QTY: i64 = 100;
const STEP_NS: u64 = 100_000;
/// The makers' prices, in cents.
const BID: i64 = 9_990;
const ASK: i64 = 10_010;
/// Child orders that are sent, whatever comes of them.
const CHILDREN: u32 = 8_000;

const KNIGHT: SessionId = SessionId(1);
const MAKER: SessionId = SessionId(2);
/// A notional of one.
const ONE: i64 = 10i64.pow(NOTIONAL_SCALE as u32);
/// The most that a child order trades.
const CHILD_NOTIONAL: i64 = CHILD_QTY * ASK / 100 * ONE;

/// A market, journaled as a venue does it.
struct Market {
    engine: Engine,
    writer: Writer,
    sequencer: Sequencer,
    now_ns: u64,
    orders: u32,
}

/// What the market told of the runaway.
#[derive(Debug, Default)]
struct Told {
    trip: Option<(u64, SessionTripped)>,
    accepted_before: u64,
    accepted_after: u64,
    rejected_after: u64,
    first_rejected: u64,
    canceled_by_trip: u32,
}

impl Market {
    /// Makers stand on both sides of each symbol.
    fn open(dir: &Path, limits: RiskLimits) -> Self {
        let options = Options {
            segment_bytes: 64 * SEGMENT_BYTES_MIN,
            prepared_ahead: 1,
            ..Options::default()
        };
        let (writer, _) = open(dir, options).expect("a journal");
        let bounds = EngineLimits { orders_max: 4_096, ..EngineLimits::default() };
        let (engine, sequencer) = (Engine::new(bounds), Sequencer::default());
        let mut market =
            Self { engine, writer, sequencer, now_ns: 1_343_827_800_000_000_000, orders: 0 };
        market.send(bounds);
        for (session, comp_id) in [(KNIGHT, "KNIGHT"), (MAKER, "MAKER")] {
            market.send(DefineSession::new(session, CompId::try_from(comp_id).expect("a comp id")));
        }
        for id in 1..=SYMBOLS {
            let symbol = Symbol::try_from(format!("S{id}").as_str()).expect("a symbol");
            market.send(DefineInstrument::new(InstrumentId(id), symbol, 2, 0, 1, 1));
        }
        market.send(SetRiskLimits::new(Origin::venue(Timestamp(0)), KNIGHT, limits));
        for id in 1..=SYMBOLS {
            market.order(MAKER, id, Side::Buy, BID, 2 * CHILD_QTY);
            market.order(MAKER, id, Side::Sell, ASK, 2 * CHILD_QTY);
        }
        market
    }

    /// Carries out a command and journals it; gives its events.
    fn send(&mut self, command: impl Into<Command>) -> (u64, Vec<Event>) {
        let command = command.into();
        self.now_ns += STEP_NS;
        let stamp = self.sequencer.stamp(Timestamp(self.now_ns));
        let mut sink = VecSink::default();
        self.sequencer.resume_at(self.engine.apply(stamp, &command, &mut sink));
        let sequence = stamp.sequence.0;
        self.writer.append(command.kind(), sequence, stamp.time.0, command.payload());
        for (stamp, event) in &sink.events {
            self.writer.append(event.kind(), stamp.sequence.0, stamp.time.0, event.payload());
        }
        self.writer.commit();
        (sequence, sink.events.into_iter().map(|(_, event)| event).collect())
    }

    fn order(
        &mut self,
        session: SessionId,
        symbol: u32,
        side: Side,
        price: i64,
        qty: i64,
    ) -> (u64, Vec<Event>) {
        let terms = OrderTerms {
            side,
            ord_type: OrdType::Limit,
            time_in_force: TimeInForce::Day,
            price: (price, 2),
            order_qty: (qty, 0),
        };
        self.orders += 1;
        let name = ClOrdId::try_from(format!("N{}", self.orders).as_str()).expect("a name");
        let origin = Origin::new(session, self.orders.into(), Timestamp(self.now_ns));
        let symbol = InstrumentId(symbol);
        self.send(NewOrder::new(origin, symbol, terms, Account::EMPTY, name))
    }

    /// The router sends child orders for its parents in turn and never counts what they did: it buys at the offer and
    /// sells at the bid, where a symbol has two parents for the one and the other, and leaves an order behind now and
    /// then. Makers put back what it takes.
    fn run(&mut self) -> Told {
        let mut told = Told::default();
        for number in 0..CHILDREN {
            let parent = number % PARENTS;
            let (symbol, round) = (parent % SYMBOLS + 1, parent / SYMBOLS);
            let side = Side::ALL[(parent + round) as usize % 2];
            let touch = if side == Side::Buy { ASK } else { BID };
            let rests = number % 40 == 0;
            let away = if side == Side::Buy { -1_000 } else { 1_000 };
            let price = if rests { touch + away } else { touch };
            let (sequence, events) = self.order(KNIGHT, symbol, side, price, CHILD_QTY);
            told.take(sequence, &events);
            let traded = events.iter().any(
                |event| matches!(event, Event::Execution(e) if e.exec_type == ExecType::Trade),
            );
            if traded {
                let back = if side == Side::Buy { Side::Sell } else { Side::Buy };
                self.order(MAKER, symbol, back, touch, CHILD_QTY);
            }
        }
        told
    }
}

impl Told {
    fn take(&mut self, sequence: u64, events: &[Event]) {
        let accepted = events
            .iter()
            .any(|event| matches!(event, Event::Execution(e) if e.exec_type == ExecType::New));
        match self.trip {
            None => self.accepted_before += u64::from(accepted),
            Some(_) => {
                self.accepted_after += u64::from(accepted);
                self.rejected_after += 1;
                self.first_rejected =
                    self.first_rejected.max(sequence * u64::from(self.rejected_after == 1));
            }
        }
        for (index, event) in events.iter().enumerate() {
            match event {
                Event::SessionTripped(trip) => {
                    assert!(self.trip.is_none(), "a session trips once");
                    self.trip = Some((sequence + 1 + index as u64, *trip));
                }
                Event::Execution(report) if report.reason == ExecReason::SessionTripped => {
                    assert_eq!(report.session, KNIGHT);
                    self.canceled_by_trip += 1;
                }
                _ => {}
            }
        }
    }
}

/// Knight with these limits: where it trips, and that no order is taken behind that.
fn knight(dir: &Path, limits: RiskLimits) -> (u64, SessionTripped) {
    let mut market = Market::open(dir, limits);
    let told = market.run();
    let (tripped, trip) = told.trip.expect("it trips");
    assert!(told.accepted_before > 500, "{told:?}");
    assert_eq!(told.accepted_after, 0, "{told:?}");
    assert_eq!(told.accepted_before + told.rejected_after, u64::from(CHILDREN));
    assert!(told.canceled_by_trip > 5 && told.canceled_by_trip == trip.affected, "{told:?}");
    let view = market.engine.session(KNIGHT).expect("a session");
    assert_eq!((view.live_orders, view.risk.open_notional), (0, 0));
    assert_eq!(market.engine.session(MAKER).expect("a session").risk.trip, None);

    // Whoever may send no orders is still answered.
    let origin = Origin::new(KNIGHT, 0, Timestamp(0));
    let name = |name: &str| ClOrdId::try_from(name).expect("a name");
    let first = format!("N{}", 2 * SYMBOLS + 1);
    let (first, any) = (name(&first), InstrumentId::NONE);
    let cancel = CancelOrder::new(origin, OrderId::NONE, any, Side::Buy, name("cancel"), first);
    let (_, events) = market.send(cancel);
    let [Event::CancelRejected(answer)] = events[..] else { panic!("{events:?}") };
    assert_eq!(answer.reason, RejectReason::TooLateToCancel);
    let (_, events) = market.send(QueryOrder::new(origin, OrderId::NONE, any, Side::Buy, first));
    assert!(matches!(events[..], [Event::Execution(_)]), "{events:?}");

    // A replay trips at the same place, and the tools name it.
    drop(market);
    ask(dir, &["replay"]);
    assert_eq!(first_tripped(dir), tripped);
    let why = ask(dir, &["why", &format!("seq:{}", told.first_rejected)]);
    let rule = format!("{:?}", trip.rule);
    for expected in [
        format!("refused by {rule}: the session is tripped"),
        format!("limit                 {}", whole(trip.limit)),
        format!("observed              {}", whole(trip.observed)),
        format!("since                 sequence {tripped}, "),
    ] {
        assert!(why.contains(&expected), "{expected}\n{why}");
    }
    let why = ask(dir, &["why", &format!("seq:{tripped}")]);
    for expected in [
        format!("Sequence     {tripped} at "),
        format!("Why          KNIGHT was tripped by {rule}: the session is tripped"),
        format!("  limit                 {}\n", whole(trip.limit)),
        format!("  observed              {}\n", whole(trip.observed)),
        format!("  trade                 {} of order {}\n", trip.trade_id, trip.order_id),
        format!("  canceled              {} orders: ", trip.affected),
    ] {
        assert!(why.contains(&expected), "{expected}\n{why}");
    }
    let why = ask(dir, &["why", &first.to_string()]);
    assert!(why.contains("it was canceled when its session was tripped"), "{why}");
    assert!(why.contains(&format!("tripped               sequence {tripped}, ")), "{why}");
    (tripped, trip)
}

/// A notional as the tools write it.
fn whole(notional: i64) -> String {
    format!("{}.{:08}", notional / ONE, notional % ONE)
}

fn first_tripped(dir: &Path) -> u64 {
    first(dir, "tripped and session = 'KNIGHT'")
}

/// Where a limit that is half as large trips, were all else the same.
fn tripped_with_half(dir: &Path, key: &str, limit: i64) -> u64 {
    let halved = format!("KNIGHT.{key}={}", whole(limit / 2));
    let earlier = ask_json(dir, &["whatif", "--set", &halved]);
    let first = &earlier["first_difference"];
    let event = first["events"]["COUNTERFACTUAL"].as_str().expect("an event");
    assert!(event.starts_with("SessionTripped: KNIGHT by trade"), "{first:#}");
    let same = format!("KNIGHT.{key}={}", whole(limit));
    let same = ask_json(dir, &["whatif", "--set", &same]);
    assert_eq!(same["first_difference"], Value::Null);
    first["sequence"].as_u64().expect("a sequence")
}

#[test]
fn a_router_that_lost_count_is_stopped_by_what_it_trades() {
    const LIMIT: i64 = 10_000_000 * ONE;
    let dir = tempfile::tempdir().expect("a directory");
    let limits = RiskLimits { traded_notional: LIMIT, window_ms: 60_000, ..RiskLimits::NONE };
    let (tripped, trip) = knight(dir.path(), limits);
    assert_eq!((trip.rule, trip.limit), (RejectReason::TradedNotionalTooLarge, LIMIT));
    assert!((LIMIT + 1..=LIMIT + CHILD_NOTIONAL).contains(&trip.observed), "{trip:?}");
    assert!(tripped_with_half(dir.path(), "traded_notional", LIMIT) < tripped);
}

#[test]
fn a_router_that_lost_count_is_stopped_by_what_it_loses() {
    // The spread is twenty cents, which it pays for each child that trades against the side of the one before.
    const LIMIT: i64 = 10_000 * ONE;
    const CHILD_LOSS: i64 = CHILD_QTY * (ASK - BID) * ONE / 100;
    let dir = tempfile::tempdir().expect("a directory");
    let limits = RiskLimits { loss: LIMIT, window_ms: 60_000, ..RiskLimits::NONE };
    let (tripped, trip) = knight(dir.path(), limits);
    assert_eq!((trip.rule, trip.limit), (RejectReason::LossTooLarge, LIMIT));
    assert!((LIMIT + 1..=LIMIT + CHILD_LOSS).contains(&trip.observed), "{trip:?}");
    assert!(tripped_with_half(dir.path(), "loss", LIMIT) < tripped);
}
