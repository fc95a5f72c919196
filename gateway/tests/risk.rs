//! Risk limits: what a configuration makes of them, what clients are told, and that a trip outlives the process.

mod common;

use common::{
    FixClient, cancel, limit, replace,
    stepped::{SECOND, Stepped},
};
use ironbook_engine::{
    Command, ReasonText, SessionId, Timestamp, TradingStatus,
    command::{Origin, RiskLimits, SetTradingStatus},
    engine::RiskView,
};
use ironbook_gateway::config::{Config, RiskConfig};

/// Session A may trade 1,000 in ten seconds, and have three orders open; the others what `[risk]` says.
fn limited(config: &mut Config) {
    config.risk.order_notional = "5000".to_owned();
    config.sessions[0].risk = Some(RiskConfig {
        order_notional: "500.5".to_owned(),
        price_deviation_bps: 100,
        open_orders: 3,
        open_notional: "1200".to_owned(),
        traded_notional: "1000".to_owned(),
        window_ms: 10_000,
        ..RiskConfig::default()
    });
}

fn risk_of(venue: &Stepped, session: u32) -> RiskView {
    venue.core.as_ref().unwrap().engine().session(SessionId(session)).unwrap().risk
}

/// Commands that the journal holds.
fn commands(venue: &Stepped) -> u64 {
    venue.core.as_ref().unwrap().engine().totals().commands
}

fn accepted(venue: &mut Stepped, client: &mut FixClient, body: &str) {
    venue.ask(client, "D", body, "35=8|150=0|39=0");
}

#[track_caller]
fn refused(venue: &mut Stepped, client: &mut FixClient, body: &str, code: u8, text: &str) {
    venue.ask(client, "D", body, &format!("35=8|150=8|39=8|103={code}|58={text}"));
}

/// A buys ten at 100.00 of B, which is its limit.
fn trade_to_the_limit(venue: &mut Stepped, a: &mut FixClient, b: &mut FixClient) {
    for id in ["t1", "t2"] {
        accepted(venue, b, &limit(id, "AAPL", "2", "5", "100.00"));
        venue.send(a, "D", &limit(id, "AAPL", "1", "5", "100.00"));
        assert!(venue.receive(a, 2)[1].matches("35=8|150=F|39=2"));
        assert!(venue.receive(b, 1)[0].matches("35=8|150=F|39=2"));
    }
}

#[test]
fn orders_beyond_a_limit_are_refused_with_rule_limit_and_what_was_seen() {
    let mut venue = Stepped::start(limited);
    let (mut a, mut b) = (venue.log_on("A", 30), venue.log_on("B", 30));
    let order = |id: &str, qty: &str, price: &str| limit(id, "AAPL", "1", qty, price);
    refused(
        &mut venue,
        &mut a,
        &order("a1", "6", "100.00"),
        3,
        "risk limit: the order comes to 600.00000000, at most 500.50000000 is allowed",
    );
    refused(
        &mut venue,
        &mut b,
        &order("b1", "51", "100.00"),
        3,
        "risk limit: the order comes to 5100.00000000, at most 5000.00000000 is allowed",
    );
    trade_to_the_limit(&mut venue, &mut a, &mut b);
    refused(
        &mut venue,
        &mut a,
        &order("a2", "1", "101.01"),
        99,
        "risk limit: the price is 101 basis points beyond the reference, at most 100 are allowed",
    );
    for id in ["a3", "a4"] {
        accepted(&mut venue, &mut a, &order(id, "5", "99.00"));
    }
    refused(
        &mut venue,
        &mut a,
        &order("a5", "5", "99.00"),
        3,
        "risk limit: open orders of the session would come to 1485.00000000, at most 1200.00000000 is allowed",
    );
    accepted(&mut venue, &mut a, &order("a6", "1", "1.00"));
    refused(
        &mut venue,
        &mut a,
        &order("a7", "1", "1.00"),
        3,
        "risk limit: this would be open order 4 of the session, at most 3 are allowed",
    );
    let text = "58=risk limit: the order comes to 600.00000000, at most 500.50000000 is allowed";
    let body = replace("r1", "a3", ("AAPL", "1"), "6", "100.00");
    venue.ask(&mut a, "G", &body, &format!("35=9|434=2|102=99|11=r1|41=a3|{text}"));
    common::replay(&venue.config.venue.data_dir);
}

#[test]
fn a_tripped_session_stays_so_over_a_restart_until_the_venue_opens_it() {
    const TRIPPED: &str = "the session is tripped: it traded 1100.00000000 in its window, limit 1000.00000000; cancels are accepted";
    let mut venue = Stepped::start(limited);
    let (mut a, mut b) = (venue.log_on("A", 30), venue.log_on("B", 30));
    trade_to_the_limit(&mut venue, &mut a, &mut b);
    accepted(&mut venue, &mut a, &limit("a1", "AAPL", "1", "1", "50.00"));
    accepted(&mut venue, &mut a, &limit("a2", "AAPL", "2", "1", "100.00"));
    venue.advance(SECOND);
    venue.send(&mut b, "D", &limit("b1", "AAPL", "1", "1", "100.00"));
    venue.receive(&mut b, 2);
    let got = venue.receive(&mut a, 2);
    assert!(got[0].matches("35=8|150=F|39=2|11=a2"), "{got:?}");
    let canceled = "35=8|150=4|39=4|11=a1|378=8|58=the session is tripped by a risk limit";
    assert!(got[1].matches(canceled), "{got:?}");
    refused(&mut venue, &mut a, &limit("a3", "AAPL", "1", "1", "1.00"), 3, TRIPPED);
    venue.ask(&mut a, "F", &cancel("c1", "a1", "AAPL", "1"), "35=9|102=0|39=4|11=c1");
    venue.ask(&mut a, "H", "11=a1|55=AAPL|54=1", "35=8|150=I|39=4|11=a1");
    venue.send(&mut a, "q", &format!("11=m1|530=7|60={}", common::now()));
    assert!(venue.receive(&mut a, 1)[0].matches("35=r|533=0"));

    drop((a, b));
    let before = commands(&venue);
    let mut venue = venue.crash(|_| {});
    assert_eq!(commands(&venue), before, "what the journal says is not said again");
    let (status, trip) = (risk_of(&venue, 1).status, risk_of(&venue, 1).trip);
    assert!(status == TradingStatus::CancelOnly && trip.is_some());
    venue.advance(60 * SECOND);
    let mut a = venue.log_on("A", 30);
    refused(&mut venue, &mut a, &limit("a4", "AAPL", "1", "1", "1.00"), 3, TRIPPED);
    let (origin, reason) =
        (Origin::venue(Timestamp(0)), ReasonText::try_from("looked at").unwrap());
    let open = SetTradingStatus::new(origin, SessionId(1), TradingStatus::Open, reason);
    venue.core.as_mut().unwrap().apply_now(Command::from(open));
    accepted(&mut venue, &mut a, &limit("a5", "AAPL", "1", "1", "1.00"));
    let close = SetTradingStatus { status: TradingStatus::CancelOnly, ..open };
    venue.core.as_mut().unwrap().apply_now(close.into());
    let text = "the venue takes no orders of this session; cancels are accepted";
    refused(&mut venue, &mut a, &limit("a6", "AAPL", "1", "1", "1.00"), 99, text);
    let body = replace("r1", "a5", ("AAPL", "1"), "2", "1.00");
    venue.ask(&mut a, "G", &body, &format!("35=9|434=2|102=99|11=r1|41=a5|58={text}"));
    venue.ask(&mut a, "F", &cancel("c2", "a5", "AAPL", "1"), "35=8|150=4|11=c2");
    common::replay(&venue.config.venue.data_dir);
}

#[test]
fn limits_of_the_configuration_are_journaled_when_they_are_others() {
    let venue = Stepped::start(|_| {});
    assert!((1..=4).all(|session| risk_of(&venue, session).limits == RiskLimits::NONE));
    let unlimited = commands(&venue);
    let venue = venue.crash(limited);
    assert_eq!(commands(&venue), unlimited + 4);
    let limits = risk_of(&venue, 1).limits;
    assert_eq!((limits.order_notional, limits.open_orders), (50_050_000_000, 3));
    assert_eq!((limits.traded_notional, limits.window_ms), (100_000_000_000, 10_000));
    // What nothing is counted for has no window.
    let others = RiskLimits { order_notional: 500_000_000_000, window_ms: 0, ..RiskLimits::NONE };
    assert_eq!(risk_of(&venue, 2).limits, others);
    let venue = venue.crash(|config| config.sessions[0].risk = None);
    assert_eq!(commands(&venue), unlimited + 5);
    assert_eq!(risk_of(&venue, 1).limits, others);
    common::replay(&venue.config.venue.data_dir);
}
