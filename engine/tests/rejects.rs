//! Every reject reason, with the limit and what was seen instead.

use std::collections::BTreeSet;

use ironbook_engine::{
    Account, ClOrdId, Command, CompId, Engine, EngineLimits, Event, InstrumentId, InstrumentStatus,
    OrdType, OrderId, ReasonText, Sequence, SessionId, Side, Stamp, Symbol, TimeInForce, Timestamp,
    TradingStatus,
    command::{
        CancelOrder, DefineInstrument, DefineSession, NOTIONAL_SCALE, NewOrder, OrderTerms, Origin,
        QueryOrder, ReplaceOrder, RiskLimits, SetInstrumentStatus, SetRiskLimits, SetTradingStatus,
    },
    domain::RejectReason::{self, *},
    sink::VecSink,
};

/// A mantissa and its decimals.
type Number = (i64, u8);
const NONE: Number = (0, 0);

struct Venue {
    engine: Engine,
    next: Sequence,
    seen: BTreeSet<RejectReason>,
}

fn name(text: &str) -> ClOrdId {
    ClOrdId::try_from(text).unwrap()
}

const SESSION: SessionId = SessionId(1);

fn origin(session: SessionId) -> Origin {
    Origin::new(session, 0, Timestamp(0))
}

/// Ten at 1.00, which every test varies.
const GOOD: OrderTerms = OrderTerms {
    side: Side::Buy,
    ord_type: OrdType::Limit,
    time_in_force: TimeInForce::Day,
    price: (100, 2),
    order_qty: (10, 0),
};

impl Venue {
    /// Three orders have room. Instrument 1: tick 0.05 up to 2.00, lot 10 up to 500. 2 is halted,
    /// 3 is closed.
    fn new() -> Self {
        let limits = EngineLimits { orders_max: 3, ..Default::default() };
        let mut venue =
            Self { engine: Engine::new(limits), next: Sequence(1), seen: BTreeSet::new() };
        venue.apply(DefineSession::new(SESSION, CompId::EMPTY).into());
        venue.apply(DefineSession::new(SessionId(2), CompId::EMPTY).into());
        for id in 1..=3 {
            let symbol = Symbol::try_from(format!("S{id}").as_str()).unwrap();
            let mut definition = DefineInstrument::new(InstrumentId(id), symbol, 2, 0, 5, 10);
            (definition.price_max, definition.order_qty_max) = (200, 500);
            venue.apply(definition.into());
        }
        venue.set(2, InstrumentStatus::Halted);
        venue.set(3, InstrumentStatus::Closed);
        venue
    }

    fn set(&mut self, instrument: u32, status: InstrumentStatus) {
        let origin = Origin::venue(Timestamp(0));
        self.apply(SetInstrumentStatus::new(origin, InstrumentId(instrument), status).into());
    }

    fn apply(&mut self, command: Command) -> Vec<Event> {
        let mut sink = VecSink::default();
        let stamp = Stamp { sequence: self.next, time: Timestamp(0) };
        self.next = self.engine.apply(stamp, &command, &mut sink);
        sink.events.into_iter().map(|(_, event)| event).collect()
    }

    fn new_order(&mut self, instrument: u32, id: &str, terms: OrderTerms) -> Vec<Event> {
        let (origin, instrument) = (origin(SESSION), InstrumentId(instrument));
        self.apply(NewOrder::new(origin, instrument, terms, Account::EMPTY, name(id)).into())
    }

    fn replace(&mut self, ids: (&str, &str), terms: OrderTerms) -> Vec<Event> {
        let ids = (name(ids.0), name(ids.1));
        let command =
            ReplaceOrder::new(origin(SESSION), OrderId::NONE, InstrumentId::NONE, terms, ids);
        self.apply(command.into())
    }

    /// The only event is a reject with this reason, limit and observed value.
    #[track_caller]
    fn expect(&mut self, events: &[Event], reason: RejectReason, limit: Number, observed: Number) {
        let found = match events {
            [Event::OrderRejected(e)] => {
                (e.reason, (e.limit, e.limit_scale), (e.observed, e.observed_scale))
            }
            [Event::CancelRejected(e)] => {
                (e.reason, (e.limit, e.limit_scale), (e.observed, e.observed_scale))
            }
            other => panic!("expected {reason:?}, found {other:?}"),
        };
        assert_eq!(found, (reason, limit, observed));
        self.seen.insert(reason);
    }
}

#[test]
fn every_reason_with_limit_and_observed() {
    let mut venue = Venue::new();
    let price = |price| OrderTerms { price, ..GOOD };
    let qty = |order_qty| OrderTerms { order_qty, ..GOOD };
    let rows: [(OrderTerms, RejectReason, Number, Number); 16] = [
        (price((0, 0)), PriceNotPositive, (5, 2), (0, 0)),
        (price((-100, 2)), PriceNotPositive, (5, 2), (-100, 2)),
        (price((101, 2)), PriceOffTick, (5, 2), (101, 2)),
        (price((1_0001, 4)), PriceOffTick, (5, 2), (1_0001, 4)),
        (price((i64::MAX, 18)), PriceOffTick, (5, 2), (i64::MAX, 18)),
        (price((205, 2)), PriceTooHigh, (200, 2), (205, 2)),
        (price((3, 0)), PriceTooHigh, (200, 2), (3, 0)),
        (price((i64::MAX, 0)), PriceTooHigh, (200, 2), (i64::MAX, 0)),
        (qty((0, 0)), QtyNotPositive, (10, 0), (0, 0)),
        (qty((-1, 3)), QtyNotPositive, (10, 0), (-1, 3)),
        (qty((i64::MIN, 0)), QtyNotPositive, (10, 0), (i64::MIN, 0)),
        (qty((15, 0)), QtyOffLot, (10, 0), (15, 0)),
        (qty((105, 1)), QtyOffLot, (10, 0), (105, 1)),
        (qty((510, 0)), QtyTooLarge, (500, 0), (510, 0)),
        (qty((5_100, 1)), QtyTooLarge, (500, 0), (5_100, 1)),
        (qty((i64::MAX, 0)), QtyTooLarge, (500, 0), (i64::MAX, 0)),
    ];
    assert_eq!(venue.new_order(1, "live", GOOD).len(), 1);
    for (terms, reason, limit, observed) in rows {
        let events = venue.new_order(1, "bad", terms);
        venue.expect(&events, reason, limit, observed);
        let events = venue.replace(("bad", "live"), terms);
        venue.expect(&events, reason, limit, observed);
    }
    let other = Command::from(NewOrder::new(
        origin(SessionId(9)),
        InstrumentId(1),
        GOOD,
        Account::EMPTY,
        name("x"),
    ));
    let events = venue.apply(other);
    venue.expect(&events, UnknownSession, (2, 0), (9, 0));
    for (instrument, reason) in [(0, UnknownSymbol), (4, UnknownSymbol), (2, InstrumentHalted)] {
        let events = venue.new_order(instrument, "x", GOOD);
        venue.expect(&events, reason, NONE, NONE);
    }
    let events = venue.new_order(3, "x", GOOD);
    venue.expect(&events, InstrumentClosed, NONE, NONE);
    let events = venue.new_order(1, "live", GOOD);
    venue.expect(&events, DuplicateClOrdId, NONE, NONE);
    venue.new_order(1, "second", GOOD);
    venue.new_order(1, "third", GOOD);
    let events = venue.new_order(1, "fourth", GOOD);
    venue.expect(&events, TooManyOrders, (3, 0), (4, 0));
    let market = OrderTerms { ord_type: OrdType::Market, ..GOOD };
    let events = venue.replace(("x", "live"), market);
    venue.expect(&events, ReplaceChangesType, NONE, NONE);
    let events = cancel(&mut venue, (SESSION, InstrumentId(2), Side::Buy));
    venue.expect(&events, OrderMismatch, NONE, NONE);
    let events = cancel(&mut venue, (SESSION, InstrumentId(1), Side::Sell));
    venue.expect(&events, OrderMismatch, NONE, NONE);
    let events = cancel(&mut venue, (SessionId(2), InstrumentId(1), Side::Buy));
    venue.expect(&events, UnknownOrder, NONE, NONE);
    assert_eq!(cancel(&mut venue, (SESSION, InstrumentId(1), Side::Buy)).len(), 1);
    let events = cancel(&mut venue, (SESSION, InstrumentId(1), Side::Buy));
    venue.expect(&events, TooLateToCancel, NONE, NONE);
    let query =
        QueryOrder::new(origin(SESSION), OrderId::NONE, InstrumentId(2), Side::Buy, name("second"));
    let events = venue.apply(query.into());
    venue.expect(&events, OrderMismatch, NONE, NONE);

    let mut risky = Venue { seen: venue.seen, ..Venue::new() };
    break_risk_limits(&mut risky);

    let missing: Vec<_> = RejectReason::ALL.iter().filter(|r| !risky.seen.contains(r)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}

/// Breaks each rule of risk, mostly with ten at 1.00, which come to ten.
fn break_risk_limits(venue: &mut Venue) {
    const ONE: i64 = 10i64.pow(NOTIONAL_SCALE as u32);
    let notional = |notional| (notional, NOTIONAL_SCALE);
    let set = |venue: &mut Venue, limits| {
        venue.apply(SetRiskLimits::new(origin(SessionId::VENUE), SESSION, limits).into());
    };
    let status = |venue: &mut Venue, status| {
        let origin = origin(SessionId::VENUE);
        venue.apply(SetTradingStatus::new(origin, SESSION, status, ReasonText::EMPTY).into());
    };
    let sell = OrderTerms { side: Side::Sell, ..GOOD };
    set(venue, RiskLimits { order_notional: 9 * ONE, ..RiskLimits::NONE });
    let events = venue.new_order(1, "risky", GOOD);
    venue.expect(&events, OrderNotionalTooLarge, notional(9 * ONE), notional(10 * ONE));

    set(venue, RiskLimits { price_deviation: 499, ..RiskLimits::NONE });
    venue.new_order(1, "a", GOOD);
    venue.new_order(1, "b", sell);
    let events = venue.new_order(1, "risky", OrderTerms { price: (105, 2), ..GOOD });
    venue.expect(&events, PriceFarFromReference, (499, 0), (500, 0));

    venue.new_order(1, "c", GOOD);
    set(venue, RiskLimits { open_orders: 1, ..RiskLimits::NONE });
    let events = venue.new_order(1, "risky", GOOD);
    venue.expect(&events, TooManyOpenOrders, (1, 0), (2, 0));
    set(venue, RiskLimits { open_notional: 19 * ONE, ..RiskLimits::NONE });
    let events = venue.new_order(1, "risky", GOOD);
    venue.expect(&events, OpenNotionalTooLarge, notional(19 * ONE), notional(20 * ONE));

    status(venue, TradingStatus::CancelOnly);
    let events = venue.new_order(1, "risky", GOOD);
    venue.expect(&events, SessionCancelOnly, NONE, NONE);
    status(venue, TradingStatus::Open);

    set(venue, RiskLimits { traded_notional: 9 * ONE, window_ms: 1, ..RiskLimits::NONE });
    venue.new_order(1, "d", sell);
    let events = venue.new_order(1, "risky", GOOD);
    venue.expect(&events, TradedNotionalTooLarge, notional(9 * ONE), notional(10 * ONE));
    status(venue, TradingStatus::Open);

    set(venue, RiskLimits { loss: ONE / 4, window_ms: 1, ..RiskLimits::NONE });
    let low = |terms| OrderTerms { price: (95, 2), ..terms };
    venue.new_order(1, "e", low(GOOD));
    venue.new_order(1, "f", low(sell));
    let events = venue.new_order(1, "risky", GOOD);
    venue.expect(&events, LossTooLarge, notional(ONE / 4), notional(ONE / 2));
}

fn cancel(
    venue: &mut Venue,
    (session, instrument, side): (SessionId, InstrumentId, Side),
) -> Vec<Event> {
    let origin = origin(session);
    let command =
        CancelOrder::new(origin, OrderId::NONE, instrument, side, name("c"), name("live"));
    venue.apply(command.into())
}

/// A request that breaks all rules is refused by the first; with that one kept, by the next.
#[test]
fn rules_are_judged_in_the_documented_order() {
    let mut venue = Venue::new();
    for id in ["1", "2", "3"] {
        venue.new_order(1, id, GOOD);
    }
    let bad = OrderTerms { price: (-1, 0), order_qty: (-1, 0), ..GOOD };
    let mut command =
        NewOrder::new(origin(SessionId(7)), InstrumentId(9), bad, Account::EMPTY, name("1"));
    let first = |venue: &mut Venue, command: NewOrder| match venue.apply(command.into())[..] {
        [Event::OrderRejected(e)] => e.reason,
        ref other => panic!("{other:?}"),
    };
    assert_eq!(first(&mut venue, command), UnknownSession);
    command.origin = origin(SESSION);
    assert_eq!(first(&mut venue, command), UnknownSymbol);
    command.instrument = InstrumentId(2);
    assert_eq!(first(&mut venue, command), InstrumentHalted);
    command.instrument = InstrumentId(1);
    assert_eq!(first(&mut venue, command), DuplicateClOrdId);
    command.cl_ord_id = name("new");
    assert_eq!(first(&mut venue, command), QtyNotPositive);
    command.order_qty = 10;
    assert_eq!(first(&mut venue, command), PriceNotPositive);
    (command.price, command.price_scale) = GOOD.price;
    let origin = origin(SessionId::VENUE);
    let limits = RiskLimits { open_orders: 1, ..RiskLimits::NONE };
    venue.apply(SetRiskLimits::new(origin, SESSION, limits).into());
    assert_eq!(first(&mut venue, command), TooManyOrders);
    venue.apply(EngineLimits { orders_max: 4, ..*venue.engine.limits() }.into());
    assert_eq!(first(&mut venue, command), TooManyOpenOrders);
}

#[test]
fn numbers_with_other_decimals_are_the_same_numbers() {
    let mut venue = Venue::new();
    for (id, price) in [("1", (1, 0)), ("2", (10, 1)), ("3", (100_000_000, 8))] {
        let events = venue.new_order(1, id, OrderTerms { price, order_qty: (100, 1), ..GOOD });
        let [Event::Execution(e)] = events[..] else { panic!("{events:?}") };
        assert_eq!((e.price, e.price_scale, e.order_qty, e.qty_scale), (100, 2, 10, 0));
    }
}
