//! Market data over FIX: what is told of books, trades and statuses, to whom and when.

mod common;

use std::{collections::BTreeMap, time::Duration};

use common::{
    FixClient, Flaw, Msg, SECRET_HASH, TestVenue, assert_valid, fix_time, instrument, limit,
    session,
    stepped::{SECOND, START, Stepped},
    wait_for,
};
use ironbook_engine::{
    Account, ClOrdId, Command, Engine, InstrumentId, InstrumentStatus, OrdType, SessionId, Side,
    SideFilter, TimeInForce, Timestamp,
    command::{
        CancelOrder, MassCancel, NewOrder, OrderTerms, Origin, QueryOrder, ReplaceOrder,
        SetInstrumentStatus,
    },
    engine::OrderView,
};
use ironbook_fix::version::{ApplVerId, Version};
use ironbook_gateway::{
    config::{Acknowledge, Config},
    market_data::TRADES_KEPT,
    random::Random,
};
use ironbook_journal::Position;

/// Time in which everything that changed is told: several intervals.
const TOLD: u64 = 50_000_000;

const AAPL: InstrumentId = InstrumentId(1);

fn with_market_data(config: &mut Config) {
    config.market_data.listen = Some("127.0.0.1:0".parse().expect("an address"));
}

fn start(change: impl FnOnce(&mut Config)) -> Stepped {
    Stepped::start(|config| {
        with_market_data(config);
        change(config);
    })
}

/// Body of a MarketDataRequest: `types` are characters of MDEntryType.
fn request(id: &str, kind: u8, depth: u32, update: &str, types: &str, symbols: &[&str]) -> String {
    let types: String = types.chars().map(|kind| format!("|269={kind}")).collect();
    let symbols: Vec<_> = symbols.iter().map(|symbol| format!("|55={symbol}")).collect();
    let update = if update.is_empty() { String::new() } else { format!("|265={update}") };
    format!(
        "262={id}|263={kind}|264={depth}{update}|267={}{types}|146={}{}",
        types.len() / 6,
        symbols.len(),
        symbols.concat()
    )
}

/// A number without its point: prices and sizes of one instrument have the same decimals.
fn digits(text: &str) -> i64 {
    text.replace('.', "").parse().expect("a number")
}

/// Price, quantity and number of orders, best first.
type Levels = Vec<(i64, i64, u32)>;

fn engine_levels(engine: &Engine, instrument: InstrumentId, side: Side, depth: usize) -> Levels {
    let book = engine.book(instrument).expect("an instrument");
    let levels = book.levels(side).take(depth);
    levels.map(|level| (level.price, level.qty() as i64, level.order_count())).collect()
}

/// An entry of a message.
#[derive(Clone, Debug, Default)]
struct Entry {
    action: Option<String>,
    kind: String,
    symbol: String,
    price: i64,
    size: i64,
    orders: u32,
    id: Option<String>,
    rpt_seq: Option<u64>,
}

fn entries(message: &Msg) -> Vec<Entry> {
    let first = if message.kind() == "X" { 279 } else { 269 };
    let mut entries: Vec<Entry> = Vec::new();
    let symbol = message.get(55).unwrap_or_default();
    for (tag, value) in message.fields() {
        if tag == first {
            entries.push(Entry { symbol: symbol.to_owned(), ..Entry::default() });
        }
        let Some(entry) = entries.last_mut() else { continue };
        match tag {
            279 => entry.action = Some(value.to_owned()),
            269 => entry.kind = value.to_owned(),
            55 => entry.symbol = value.to_owned(),
            270 => entry.price = digits(value),
            271 => entry.size = digits(value),
            346 => entry.orders = value.parse().expect("a number"),
            278 => entry.id = Some(value.to_owned()),
            83 => entry.rpt_seq = Some(value.parse().expect("a number")),
            _ => {}
        }
    }
    assert_eq!(entries.len() as u64, message.number(268), "{message:?}");
    entries
}

/// What a client knows of one instrument by one request.
#[derive(Debug, Default)]
struct Known {
    sides: [BTreeMap<i64, (i64, u32)>; 2],
    trades: Vec<u64>,
    rpt_seq: Option<u64>,
    messages: usize,
}

/// A client who folds what he is told, and finds fault with what does not fit what he knows.
struct Watcher {
    fix: FixClient,
    depth: usize,
    known: BTreeMap<(String, String), Known>,
}

impl Watcher {
    fn new(fix: FixClient, depth: usize) -> Self {
        Self { fix, depth, known: BTreeMap::new() }
    }

    /// Takes what has come; gives what is none of it.
    fn take(&mut self) -> Vec<Msg> {
        let mut others = Vec::new();
        for message in self.fix.pending() {
            match message.kind() {
                "W" => self.refresh(&message),
                "X" => self.update(&message),
                _ => others.push(message),
            }
        }
        others
    }

    fn refresh(&mut self, message: &Msg) {
        let text = |tag| message.get(tag).expect("a field").to_owned();
        let known = self.known.entry((text(262), text(55))).or_default();
        known.messages += 1;
        known.sides = Default::default();
        for entry in entries(message) {
            known.rpt_seq = entry.rpt_seq;
            if entry.kind == "2" {
                known.trades.extend(entry.id.iter().map(|id| id.parse::<u64>().expect("a number")));
                continue;
            }
            let side = &mut known.sides[usize::from(entry.kind == "1")];
            assert!(side.insert(entry.price, (entry.size, entry.orders)).is_none(), "{message:?}");
        }
    }

    fn update(&mut self, message: &Msg) {
        let req_id = message.get(262).expect("MDReqID").to_owned();
        for entry in entries(message) {
            let at = (req_id.clone(), entry.symbol.clone());
            let known = self.known.get_mut(&at).expect("a snapshot came before");
            known.messages += 1;
            if let (Some(before), Some(now)) = (known.rpt_seq, entry.rpt_seq) {
                assert_eq!(now, before + 1, "{message:?}");
            }
            known.rpt_seq = entry.rpt_seq.or(known.rpt_seq);
            if entry.kind == "2" {
                known.trades.push(entry.id.expect("MDEntryID").parse().expect("a number"));
                continue;
            }
            let side = &mut known.sides[usize::from(entry.kind == "1")];
            let level = (entry.size, entry.orders);
            let before = match entry.action.as_deref() {
                Some("2") => side.remove(&entry.price),
                _ => side.insert(entry.price, level),
            };
            match entry.action.as_deref() {
                Some("0") => assert_eq!(before, None, "{message:?}"),
                Some("1") => assert!(before.is_some_and(|it| it != level), "{message:?}"),
                Some("2") => assert!(before.is_some(), "{message:?}"),
                other => panic!("{other:?} in {message:?}"),
            }
            assert!(side.len() <= self.depth, "never more than the depth: {message:?}");
        }
    }

    fn levels(&self, req_id: &str, symbol: &str, side: Side) -> Levels {
        let known = &self.known[&(req_id.to_owned(), symbol.to_owned())];
        let level = |(price, (size, orders)): (&i64, &(i64, u32))| (*price, *size, *orders);
        match side {
            Side::Buy => known.sides[0].iter().rev().map(level).collect(),
            Side::Sell => known.sides[1].iter().map(level).collect(),
        }
    }
}

/// Everything that was told up to now has come.
fn catch_up(venue: &mut Stepped, watcher: &mut Watcher) {
    venue.advance(TOLD);
    let id = format!("c{}", watcher.fix.next_out);
    venue.send(&mut watcher.fix, "1", &format!("112={id}"));
    wait_for("the client has read all", || {
        venue.turn();
        watcher.take().iter().any(|message| message.matches(&format!("35=0|112={id}")))
    });
}

fn terms(
    side: Side,
    ord_type: OrdType,
    time_in_force: TimeInForce,
    price: i64,
    qty: i64,
) -> OrderTerms {
    OrderTerms { side, ord_type, time_in_force, price: (price, 2), order_qty: (qty, 0) }
}

fn name(text: &str) -> ClOrdId {
    ClOrdId::try_from(text).expect("a ClOrdID")
}

/// A stream of commands of two sessions in one instrument, around a price that moves.
struct Flow {
    random: Random,
    number: u64,
    center: i64,
}

impl Flow {
    fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), number: 0, center: 1_000 }
    }

    fn origin(&mut self) -> Origin {
        Origin::new(SessionId(self.random.between(1, 2) as u32), 0, Timestamp(0))
    }

    fn live(&mut self, engine: &Engine) -> Option<OrderView> {
        let instrument = InstrumentId(self.random.between(1, 2) as u32);
        let book = engine.book(instrument)?;
        let sides = [Side::Buy, Side::Sell].into_iter();
        let orders: Vec<_> = sides
            .flat_map(|side| book.levels(side))
            .flat_map(|level| level.orders().collect::<Vec<_>>())
            .collect();
        (!orders.is_empty()).then(|| *self.random.choose(&orders))
    }

    fn next(&mut self, engine: &Engine) -> Command {
        self.number += 1;
        let id = name(&format!("f{}", self.number));
        let side = *self.random.choose(&[Side::Buy, Side::Sell]);
        let instrument = InstrumentId(self.random.between(1, 2) as u32);
        // Eight decimals of quantity, and none.
        let qty = self.random.between(1, 9) as i64;
        self.center += self.random.below(3) as i64 - 1;
        let price = self.center + self.random.below(24) as i64 - 12;
        let origin = self.origin();
        let found = self.live(engine);
        match (self.random.below(10), found) {
            (0..=1, Some(order)) => CancelOrder::new(
                Origin::new(order.session, 0, Timestamp(0)),
                order.order_id,
                order.instrument,
                order.side,
                id,
                order.cl_ord_id,
            )
            .into(),
            (2..=3, Some(order)) => ReplaceOrder::new(
                Origin::new(order.session, 0, Timestamp(0)),
                order.order_id,
                order.instrument,
                OrderTerms {
                    order_qty: (qty, if order.instrument == AAPL { 0 } else { 8 }),
                    price: (if qty > 6 { order.price } else { price }, 2),
                    ..terms(order.side, OrdType::Limit, TimeInForce::Day, 0, 0)
                },
                (id, order.cl_ord_id),
            )
            .into(),
            (4, Some(order)) if self.number.is_multiple_of(5) => {
                let origin = Origin::new(order.session, 0, Timestamp(0));
                QueryOrder::new(origin, order.order_id, order.instrument, order.side, id).into()
            }
            (4, _) if self.number.is_multiple_of(13) => {
                MassCancel::new(origin, instrument, SideFilter::Both, b'1', id).into()
            }
            _ => {
                let (ord_type, time_in_force) = *self.random.choose(&[
                    (OrdType::Limit, TimeInForce::Day),
                    (OrdType::Limit, TimeInForce::Day),
                    (OrdType::Limit, TimeInForce::Gtc),
                    (OrdType::Limit, TimeInForce::Ioc),
                    (OrdType::Limit, TimeInForce::Fok),
                    (OrdType::Market, TimeInForce::Day),
                ]);
                let terms = OrderTerms {
                    order_qty: (qty, if instrument == AAPL { 0 } else { 8 }),
                    ..terms(side, ord_type, time_in_force, price, qty)
                };
                NewOrder::new(origin, instrument, terms, Account::EMPTY, id).into()
            }
        }
    }
}

fn apply(venue: &mut Stepped, command: Command) {
    venue.core.as_mut().expect("a core").apply_now(command);
}

fn order(venue: &mut Stepped, id: &str, side: Side, price: i64, qty: i64) {
    let terms = terms(side, OrdType::Limit, TimeInForce::Day, price, qty);
    let origin = Origin::new(SessionId(1), 0, Timestamp(0));
    apply(venue, NewOrder::new(origin, AAPL, terms, Account::EMPTY, name(id)).into());
}

fn cancel(venue: &mut Stepped, id: &str, side: Side) {
    let origin = Origin::new(SessionId(1), 0, Timestamp(0));
    let request = CancelOrder::new(
        origin,
        ironbook_engine::OrderId::NONE,
        AAPL,
        side,
        name(&format!("{id}c")),
        name(id),
    );
    apply(venue, request.into());
}

#[test]
fn a_clients_book_is_that_of_the_engine() {
    /// Depth and MDUpdateType of each client's request.
    const REQUESTS: [(&str, u32, &str); 6] =
        [("A", 1, "0"), ("B", 5, "0"), ("C", 0, "0"), ("D", 1, "1"), ("E", 5, "1"), ("F", 0, "1")];
    const DEPTH_MAX: usize = 8;
    for seed in 1..=6 {
        println!("seed {seed}");
        let mut venue = start(|config| {
            config.market_data.depth_max = DEPTH_MAX;
            config.sessions.extend(["D", "E", "F"].map(session));
        });
        let mut flow = Flow::new(seed);
        for _ in 0..flow.random.below(60) {
            let command = flow.next(venue.core.as_ref().expect("a core").engine());
            apply(&mut venue, command);
        }
        let version = *flow.random.choose(&[Version::FIX44, Version::of(ApplVerId::Fix50Sp2)]);
        let mut watchers = Vec::new();
        for (comp_id, depth, update) in REQUESTS {
            let fix = venue.watch_in(comp_id, version);
            let depth_told = if depth == 0 { DEPTH_MAX } else { depth as usize };
            let mut watcher = Watcher::new(fix, depth_told);
            let symbols = ["AAPL", "BTC-USD"];
            let body = request("m", 1, depth, update, "012", &symbols);
            venue.send(&mut watcher.fix, "V", &body);
            catch_up(&mut venue, &mut watcher);
            watchers.push(watcher);
        }
        let trades_before = venue.core.as_ref().expect("a core").engine().totals().trades;
        let told_before: Vec<Vec<u64>> = watchers.iter().map(all_trades).collect();
        for _ in 0..60 {
            for _ in 0..flow.random.below(8) {
                let command = flow.next(venue.core.as_ref().expect("a core").engine());
                apply(&mut venue, command);
                if flow.random.one_in(3) {
                    venue.turn();
                }
            }
            venue.now += 5_000_000;
            venue.clock.set(Timestamp(venue.now));
            venue.turn();
            watchers.iter_mut().for_each(|watcher| drop(watcher.take()));
        }
        for (watcher, before) in watchers.iter_mut().zip(told_before) {
            catch_up(&mut venue, watcher);
            let engine = venue.core.as_ref().expect("a core").engine();
            for (symbol, instrument) in [("AAPL", AAPL), ("BTC-USD", InstrumentId(2))] {
                for side in [Side::Buy, Side::Sell] {
                    let expected = engine_levels(engine, instrument, side, watcher.depth);
                    assert_eq!(watcher.levels("m", symbol, side), expected, "{symbol} {side:?}");
                }
            }
            // Snapshots have ids of trades from FIX 5.0 on only.
            if watcher.known.values().any(|known| !known.trades.is_empty()) {
                let mut told = all_trades(watcher);
                told.retain(|id| !before.contains(id));
                told.sort_unstable();
                let expected = trades_before + 1..=engine.totals().trades;
                assert!(told.into_iter().eq(expected), "every trade once");
            }
        }
        assert!(engine_trades(&venue) > trades_before + 10, "the flow trades");
    }
}

fn engine_trades(venue: &Stepped) -> u64 {
    venue.core.as_ref().expect("a core").engine().totals().trades
}

fn all_trades(watcher: &Watcher) -> Vec<u64> {
    watcher.known.values().flat_map(|known| known.trades.clone()).collect()
}

/// The entries of an incremental refresh: action, type, price, size and orders.
fn told(message: &Msg) -> Vec<String> {
    let text = |entry: Entry| {
        let action = entry.action.unwrap_or_default();
        format!("{action} {} {} {} {}", entry.kind, entry.price, entry.size, entry.orders)
    };
    entries(message).into_iter().map(text).collect()
}

/// Asks for changes and takes the snapshot.
#[track_caller]
fn subscribe(venue: &mut Stepped, client: &mut FixClient, depth: u32, types: &str) {
    venue.ask(client, "V", &request("m", 1, depth, "1", types, &["AAPL"]), "35=W|262=m|55=AAPL");
}

#[test]
fn what_happens_within_an_interval_is_told_as_its_outcome() {
    let mut venue = start(|_| {});
    let mut a = venue.watch("A");
    subscribe(&mut venue, &mut a, 5, "012");
    // Many orders at one price are one entry; one that came and went is none.
    for number in 0..20 {
        order(&mut venue, &format!("b{number}"), Side::Buy, 1_000, 5);
    }
    order(&mut venue, "gone", Side::Sell, 1_010, 5);
    cancel(&mut venue, "gone", Side::Sell);
    order(&mut venue, "s1", Side::Sell, 1_005, 7);
    venue.advance(TOLD);
    let got = venue.receive(&mut a, 1);
    assert_eq!(told(&got[0]), ["0 0 1000 100 20", "0 1 1005 7 1"]);
    // Two trades, what they left, and nothing of an aggressor that never rested.
    order(&mut venue, "s2", Side::Sell, 1_000, 8);
    venue.advance(TOLD);
    let got = venue.receive(&mut a, 1);
    assert_eq!(told(&got[0]), ["0 2 1000 5 0", "0 2 1000 3 0", "1 0 1000 92 19"]);
    assert!(got[0].matches("278=1|272=20260101"), "{got:?}");
    // Nothing new, nothing told.
    order(&mut venue, "x1", Side::Buy, 990, 1);
    cancel(&mut venue, "x1", Side::Buy);
    venue.advance(TOLD);
    venue.expect_silence(&mut a);
}

#[test]
fn there_is_an_interval_between_two_messages() {
    let mut venue = start(|config| config.market_data.interval_ms = 1_000);
    let mut a = venue.watch("A");
    venue.advance(2 * SECOND);
    subscribe(&mut venue, &mut a, 5, "01");
    venue.advance(SECOND);
    order(&mut venue, "b1", Side::Buy, 1_000, 5);
    venue.advance(SECOND);
    assert_eq!(told(&venue.receive(&mut a, 1)[0]), ["0 0 1000 5 1"]);
    order(&mut venue, "b2", Side::Buy, 1_000, 5);
    venue.advance(SECOND / 2);
    order(&mut venue, "b3", Side::Buy, 1_001, 5);
    // Somebody else's request makes nobody else's interval shorter.
    let mut b = venue.watch("B");
    let snapshot = request("m", 0, 1, "", "0", &["AAPL"]);
    venue.ask(&mut b, "V", &snapshot, "35=W|270=10.01");
    venue.expect_silence(&mut a);
    venue.advance(SECOND);
    assert_eq!(told(&venue.receive(&mut a, 1)[0]), ["0 0 1001 5 1", "1 0 1000 10 2"]);
}

#[test]
fn levels_come_into_the_depth_and_leave_it() {
    let mut venue = start(|_| {});
    for (id, price) in [("b1", 1_000), ("b2", 999), ("b3", 998)] {
        order(&mut venue, id, Side::Buy, price, 1);
    }
    let mut a = venue.watch("A");
    let body = request("m", 1, 2, "1", "0", &["AAPL"]);
    venue.ask(&mut a, "V", &body, "35=W|262=m|268=2|269=0|270=10.00|271=1|346=1");
    let mut step = |id: &str, price: Option<i64>, expected: &[&str]| {
        match price {
            Some(price) => order(&mut venue, id, Side::Buy, price, 1),
            None => cancel(&mut venue, id, Side::Buy),
        }
        venue.advance(TOLD);
        let expected_messages = usize::from(!expected.is_empty());
        let got: Vec<_> = venue.receive(&mut a, expected_messages);
        assert_eq!(got.iter().flat_map(told).collect::<Vec<_>>(), expected, "{id}");
    };
    // Beyond the depth nobody is told of anything.
    step("b4", Some(997), &[]);
    step("b5", Some(998), &[]);
    step("b6", Some(1_001), &["2 0 999 0 0", "0 0 1001 1 1"]);
    step("b6", None, &["2 0 1001 0 0", "0 0 999 1 1"]);
    step("b1", None, &["2 0 1000 0 0", "0 0 998 2 2"]);
    step("b2", None, &["2 0 999 0 0", "0 0 997 1 1"]);
    step("b3", None, &["1 0 998 1 1"]);
    step("b5", None, &["2 0 998 0 0"]);
    step("b4", None, &["2 0 997 0 0"]);
}

#[test]
fn a_client_has_what_it_asked_for_and_no_more() {
    let mut venue = start(|_| {});
    order(&mut venue, "b1", Side::Buy, 1_000, 5);
    order(&mut venue, "s1", Side::Sell, 1_005, 7);
    order(&mut venue, "b2", Side::Buy, 1_005, 2);
    let mut a = venue.watch("A");
    // Once, and then no more; a full book, and one of an instrument where nothing is.
    venue.ask(&mut a, "V", &request("once", 0, 1, "", "1", &["AAPL"]), "35=W|268=1|269=1|271=5");
    venue.ask(
        &mut a,
        "V",
        &request("once", 0, 1, "", "2", &["AAPL"]),
        "268=1|269=2|270=10.05|271=2",
    );
    venue.ask(
        &mut a,
        "V",
        &request("none", 0, 0, "", "012", &["BTC-USD"]),
        "35=W|55=BTC-USD|268=0",
    );
    subscribe(&mut venue, &mut a, 0, "0");
    venue.ask(&mut a, "V", &request("full", 1, 0, "0", "0", &["AAPL"]), "35=W|262=full|268=1");
    order(&mut venue, "b3", Side::Buy, 1_001, 1);
    order(&mut venue, "s3", Side::Sell, 1_009, 1);
    venue.advance(TOLD);
    let got = venue.receive(&mut a, 2);
    assert!(got[0].matches("35=X|262=m|268=1|279=0|269=0|270=10.01"), "{got:?}");
    assert!(got[1].matches("35=W|262=full|268=2|269=0|270=10.01"), "{got:?}");
    // On the other side nothing is seen, and nothing told.
    cancel(&mut venue, "s3", Side::Sell);
    venue.advance(TOLD);
    venue.expect_silence(&mut a);
    // No more of one of them, then of none.
    venue.send(&mut a, "V", &request("full", 2, 0, "0", "0", &["AAPL"]));
    order(&mut venue, "b4", Side::Buy, 1_002, 1);
    venue.advance(TOLD);
    assert!(venue.receive(&mut a, 1)[0].matches("35=X|262=m"));
    venue.send(&mut a, "V", &request("m", 2, 0, "1", "0", &["AAPL"]));
    order(&mut venue, "b5", Side::Buy, 1_003, 1);
    venue.advance(TOLD);
    venue.expect_silence(&mut a);
}

#[test]
fn refusals_have_their_reason() {
    let mut venue = start(|config| {
        config.market_data.subscriptions_max = 3;
        config.market_data.depth_max = 20;
        config.sessions[0].symbols = vec!["AAPL".to_owned()];
    });
    let mut a = venue.watch("A");
    let mut b = venue.watch("B");
    subscribe(&mut venue, &mut b, 5, "0");
    let good = "264=1|265=1|267=1|269=0|146=1|55=AAPL";
    for (body, expected) in [
        (
            "262=x|263=1|264=1|265=1|267=1|269=0|146=1|55=GOOG",
            "281=0|58=Symbol(55) GOOG is no instrument of this venue",
        ),
        (
            "262=m|263=1|264=1|265=1|267=1|269=0|146=1|55=AAPL",
            "281=1|58=a subscription has this MDReqID(262): end it first, or choose another",
        ),
        (
            "262=x|263=1|264=21|265=1|267=1|269=0|146=1|55=AAPL",
            "281=5|58=MarketDepth(264) is at most 20 here, or 0 for that",
        ),
        (
            "262=x|263=1|264=-1|265=1|267=1|269=0|146=1|55=AAPL",
            "281=5|58=MarketDepth(264) is 0 for all levels, or how many of a side",
        ),
        (
            "262=x|263=1|264=1|267=1|269=0|146=1|55=AAPL",
            "281=6|58=MDUpdateType(265) is needed for updates: 0 for all again, 1 for changes",
        ),
        (
            "262=x|263=1|264=1|265=1|266=N|267=1|269=0|146=1|55=AAPL",
            "281=7|58=AggregatedBook(266) must be Y: books are told by price level",
        ),
        (
            "262=x|263=1|264=1|265=1|267=2|269=0|269=4|146=1|55=AAPL",
            "281=8|58=MDEntryType(269) is 0 for bids, 1 for offers or 2 for trades here",
        ),
        (
            "262=x|263=1|264=1|265=1|547=Y|267=1|269=0|146=1|55=AAPL",
            "281=C|58=MDImplicitDelete(547) must be N: levels that leave the depth are deleted",
        ),
        ("262=x|263=1|264=1|265=1|267=1|269=0|146=0", "281=0|58=Symbol(55) is missing"),
        (
            "262=x|263=2|264=1|265=1|267=1|269=0|146=1|55=AAPL",
            "58=no subscription has this MDReqID(262)",
        ),
    ] {
        let id = &body[..5];
        venue.ask(&mut b, "V", body, &format!("35=Y|{id}|{expected}"));
    }
    // As messages.
    for (body, expected) in [
        (format!("263=1|{good}"), "35=3|372=V|371=262|373=1"),
        (format!("262={}|263=1|{good}", "x".repeat(65)), "35=3|372=V|371=262|373=5"),
        (format!("262=x|263=3|{good}"), "35=3|372=V|371=263|373=5"),
        (format!("262=x|263=1|{good}").replace("265=1", "265=2"), "35=3|372=V|371=265|373=5"),
        (format!("262=x|263=1|{good}").replace("146=1", "146=2"), "35=3|372=V|371=146|373=16"),
    ] {
        venue.ask(&mut b, "V", &body, expected);
    }
    // What the session may not see, and more than it may follow.
    let both = request("x", 1, 1, "1", "0", &["AAPL", "BTC-USD"]);
    let expected = "35=Y|281=3|58=this session may not see Symbol(55) BTC-USD";
    venue.ask(&mut a, "V", &both, expected);
    let text = "this session may not see this instrument";
    venue.ask(&mut a, "e", "324=s|55=BTC-USD|263=1", &format!("35=j|372=e|380=6|379=s|58={text}"));
    venue.ask(&mut a, "e", "324=s|55=AAPL|263=0", "35=f|324=s|55=AAPL");
    venue.send(&mut b, "V", &both);
    venue.receive(&mut b, 2);
    let text = "a session may follow 3 instruments at once, each time counted";
    let more = request("y", 1, 1, "1", "0", &["AAPL"]);
    venue.ask(&mut b, "V", &more, &format!("35=Y|262=y|281=2|58={text}"));
    // The same as if nothing had been asked.
    order(&mut venue, "b1", Side::Buy, 1_000, 5);
    venue.advance(TOLD);
    assert_eq!(venue.receive(&mut b, 2).len(), 2);
    // Orders have another port.
    venue.ask(&mut b, "D", &limit("d1", "AAPL", "1", "1", "1.00"), "35=j|372=D|380=3");
}

#[test]
fn a_restart_shows_the_resting_orders_at_once() {
    let mut venue = start(|_| {});
    for (id, side, price) in
        [("b1", Side::Buy, 1_000), ("b2", Side::Buy, 1_000), ("s1", Side::Sell, 1_010)]
    {
        order(&mut venue, id, side, price, 3);
    }
    order(&mut venue, "s2", Side::Sell, 1_000, 4);
    venue = venue.crash(|_| {});
    let mut a = Watcher::new(venue.watch("A"), 40);
    venue.send(&mut a.fix, "V", &request("m", 1, 0, "1", "012", &["AAPL"]));
    catch_up(&mut venue, &mut a);
    assert_eq!(a.levels("m", "AAPL", Side::Buy), [(1_000, 2, 1)]);
    assert_eq!(a.levels("m", "AAPL", Side::Sell), [(1_010, 3, 1)]);
    // What rested before is known order by order.
    cancel(&mut venue, "b2", Side::Buy);
    order(&mut venue, "b3", Side::Buy, 1_010, 1);
    catch_up(&mut venue, &mut a);
    assert_eq!(a.levels("m", "AAPL", Side::Buy), []);
    assert_eq!(a.levels("m", "AAPL", Side::Sell), [(1_010, 2, 1)]);
}

#[test]
fn nothing_is_told_that_is_not_durable() {
    let mut venue = Stepped::start_waiting(with_market_data, true);
    let mut a = FixClient::connect(venue.market_data.as_ref().expect("market data").address(), "A");
    // The session itself needs no journal.
    venue.ask(&mut a, "A", "98=0|108=30", "35=A|34=1");
    subscribe(&mut venue, &mut a, 5, "012");
    order(&mut venue, "b1", Side::Buy, 1_000, 5);
    order(&mut venue, "s1", Side::Sell, 1_000, 2);
    venue.advance(TOLD);
    assert!(venue.durable.written() > venue.durable.get(), "written, and not durable");
    venue.expect_silence(&mut a);
    venue.ask(&mut a, "V", &request("n", 0, 5, "", "012", &["AAPL"]), "35=W|262=n|268=0");
    // Closing the journal makes it durable.
    venue.core.take().expect("a core").into_journal().1.close().expect("a sync");
    venue.advance(TOLD);
    assert_eq!(told(&venue.receive(&mut a, 1)[0]), ["0 2 1000 2 0", "0 0 1000 3 1"]);
}

#[test]
fn a_change_of_status_is_told() {
    let mut venue = start(|_| {});
    let mut a = venue.watch("A");
    let halt = |venue: &mut Stepped, status| {
        let origin = Origin::venue(Timestamp(0));
        apply(venue, SetInstrumentStatus::new(origin, AAPL, status).into());
        venue.advance(TOLD);
    };
    venue.ask(&mut a, "e", "324=s1|55=AAPL|263=1", "35=f|324=s1|55=AAPL|326=17");
    venue.ask(&mut a, "e", "324=s2|55=AAPL|263=0", "35=f|324=s2|55=AAPL|326=17");
    venue.ask(&mut a, "e", "324=s2|55=NOSUCH|263=0", "35=f|324=s2|55=NOSUCH|326=20");
    halt(&mut venue, InstrumentStatus::Halted);
    assert!(venue.receive(&mut a, 1)[0].matches("35=f|324=s1|55=AAPL|326=2"));
    halt(&mut venue, InstrumentStatus::Open);
    assert!(venue.receive(&mut a, 1)[0].matches("35=f|324=s1|326=17"));
    venue.ask(&mut a, "e", "324=s1|55=AAPL|263=1", "35=j|372=e|380=0|379=s1");
    venue.ask(&mut a, "e", "324=s9|55=AAPL|263=2", "35=j|372=e|380=1|379=s9");
    venue.send(&mut a, "e", "324=s1|55=AAPL|263=2");
    halt(&mut venue, InstrumentStatus::Halted);
    venue.expect_silence(&mut a);
}

#[test]
fn numbers_are_those_of_the_connection() {
    let mut venue = start(|_| {});
    // Beside the session that sends orders.
    let mut orders = venue.log_on("A", 30);
    let mut a = venue.watch("A");
    subscribe(&mut venue, &mut a, 5, "0");
    let mut second = FixClient::connect(venue.market_data.as_ref().expect("it").address(), "A");
    second.send("A", "98=0|108=30");
    venue.expect_closed(&mut second);
    venue.send(&mut orders, "D", &limit("b1", "AAPL", "1", "5", "10.00"));
    venue.advance(TOLD);
    assert!(venue.receive(&mut orders, 1)[0].matches("35=8|34=2|150=0"));
    assert!(venue.receive(&mut a, 1)[0].matches("35=X|34=3"));
    // What was is over: a gap is filled, and what follows has the next number.
    venue.ask(&mut a, "2", "7=1|16=0", "35=4|34=1|43=Y|123=Y|36=4");
    venue.ask(&mut a, "1", "112=x", "35=0|34=4|112=x");
    drop(a);
    venue.settle();
    // A Logon with another number than 1 is asked for what is missing, and what it repeats is not done.
    let mut a = FixClient::connect(venue.market_data.as_ref().expect("it").address(), "A");
    a.next_out = 3;
    venue.send(&mut a, "A", "98=0|108=30");
    let got = venue.receive(&mut a, 2);
    assert!(got[0].matches("35=A|34=1") && got[1].matches("35=2|34=2|7=1|16=0"), "{got:?}");
    a.next_out = 1;
    venue.send(&mut a, "4", "43=Y|36=2|123=Y");
    let body = request("m", 1, 5, "1", "0", &["AAPL"]);
    let time = a.sending_time.clone().expect("a time");
    venue.send(&mut a, "V", &format!("43=Y|122={time}|{body}"));
    venue.send(&mut a, "4", "43=Y|36=4|123=Y");
    venue.ask(&mut a, "1", "112=y", "35=0|34=3|112=y");
    venue.advance(TOLD);
    venue.expect_silence(&mut a);
    venue.ask(&mut a, "A", "98=0|108=30", "35=5|58=Logon while logged on");
    venue.expect_closed(&mut a);
    let mut a = FixClient::connect(venue.market_data.as_ref().expect("it").address(), "A");
    venue.ask(&mut a, "A", "98=0|108=30|141=Y", "35=A|34=1|141=Y");
    venue.ask(&mut a, "5", "", "35=5|34=2");
    venue.expect_closed(&mut a);
    // Numbers that begin anew after a Logon with a higher one.
    let mut a = FixClient::connect(venue.market_data.as_ref().expect("it").address(), "A");
    a.next_out = 57;
    venue.send(&mut a, "A", "98=0|108=30");
    assert_eq!(venue.receive(&mut a, 2)[1].kind(), "2");
    (a.next_out, a.next_in) = (1, 1);
    venue.ask(&mut a, "A", "98=0|108=30|141=Y", "35=A|34=1|141=Y");
    venue.ask(&mut a, "e", "324=s|55=AAPL|263=0", "35=f|34=2|324=s|55=AAPL");
    // A refusal of what the venue said is taken, and not refused in turn.
    venue.send(&mut a, "j", "45=2|372=f|380=0");
    venue.ask(&mut a, "1", "112=z", "35=0|34=3|112=z");
}

/// Messages of market data are strictly those of each version.
#[test]
fn every_version_is_told_in_its_words() {
    let over_fixt = Version { fixt: true, ..Version::FIX44 };
    for version in Version::ALL.into_iter().chain([over_fixt]) {
        println!("{version}");
        let mut venue = start(|_| {});
        order(&mut venue, "b1", Side::Buy, 1_000, 5);
        order(&mut venue, "s1", Side::Sell, 1_000, 2);
        let mut a = venue.watch_in("A", version);
        let since = |first: ApplVerId| version.application >= first;
        let expect = |venue: &mut Stepped, a: &mut FixClient, spec: &str, absent: &[u32]| {
            let got = venue.receive(a, 1).remove(0);
            assert!(got.matches(spec), "{version}: expected {spec}, got {got:?}");
            assert!(absent.iter().all(|tag| got.get(*tag).is_none()), "{version}: {got:?}");
            assert_valid(version, &got);
        };
        if !since(ApplVerId::Fix42) {
            venue.send(&mut a, "V", &request("m", 1, 5, "1", "012", &["AAPL"]));
            let got = venue.receive(&mut a, 1).remove(0);
            assert!(got.matches("35=3|58=Invalid MsgType"), "{version}: {got:?}");
            assert_valid(version, &got);
            continue;
        }
        venue.send(&mut a, "V", &request("m", 1, 5, "1", "012", &["AAPL"]));
        let mut absent: Vec<u32> = Vec::new();
        let mut text = "35=W|262=m|55=AAPL|268=2|269=0|270=10.00|271=3|346=1".to_owned();
        for (first, tag, value) in [
            (ApplVerId::Fix50, 83, "0"),
            (ApplVerId::Fix50, 278, "1"),
            (ApplVerId::Fix50Sp2, 779, "*"),
            (ApplVerId::Fix50Sp2, 1003, "1"),
        ] {
            match since(first) {
                true => text += &format!("|{tag}={value}"),
                false => absent.push(tag),
            }
        }
        expect(&mut venue, &mut a, &text, &absent);
        order(&mut venue, "s2", Side::Sell, 1_000, 1);
        order(&mut venue, "s3", Side::Sell, 1_001, 1);
        venue.advance(TOLD);
        let mut text =
            "35=X|262=m|268=3|279=0|269=2|278=2|55=AAPL|270=10.00|271=1|272=20260101|273=*"
                .to_owned();
        let mut absent = Vec::new();
        for (first, tag, value) in [(ApplVerId::Fix50, 83, "1"), (ApplVerId::Fix50Sp1, 1003, "2")] {
            match since(first) {
                true => text += &format!("|{tag}={value}"),
                false => absent.push(tag),
            }
        }
        expect(&mut venue, &mut a, &text, &absent);
        venue.send(&mut a, "V", &request("m", 1, 5, "1", "012", &["AAPL"]));
        expect(&mut venue, &mut a, "35=Y|262=m|281=1", &[]);
        venue.send(&mut a, "V", &request("n", 0, 5, "", "012", &["BTC-USD"]));
        expect(&mut venue, &mut a, "35=W|262=n|55=BTC-USD|268=0", &[]);
        venue.send(&mut a, "e", "324=s|55=AAPL|263=0");
        expect(&mut venue, &mut a, "35=f|324=s|55=AAPL|326=17", &[]);
    }
}

#[test]
fn a_request_over_fixt_must_have_an_answer_in_the_sessions_version() {
    let mut venue = start(|_| {});
    let mut a = venue.watch_in("A", Version { application: ApplVerId::Fix41, fixt: true });
    let body = format!("1128=9|{}", request("m", 1, 5, "1", "012", &["AAPL"]));
    venue.send(&mut a, "V", &body);
    assert!(venue.receive(&mut a, 1)[0].matches(
        "35=3|58=the session's version has no words for the answer; log on with the request's"
    ));
}

/// One who does not read is told the net change when he reads again, while others are told of each.
#[test]
fn a_slow_reader_gets_larger_steps_and_what_waits_is_bounded() {
    const BYTES_MAX: usize = 2 << 20;
    const LEVELS: i64 = 300;
    /// More than waits for anybody: about 25 KB each.
    const STEPS: i64 = 1_000;
    let mut venue = start(|config| {
        config.market_data.depth_max = LEVELS as usize;
        config.market_data.out_buffer_bytes_max = BYTES_MAX;
        config.market_data.slow_timeout_ms = 3_600_000;
        config.fix.heart_bt_int_max_s = 3_600;
    });
    for price in 0..LEVELS {
        order(&mut venue, &format!("b{price}"), Side::Buy, 1_000 + price, 1_000_000);
        order(&mut venue, &format!("s{price}"), Side::Sell, 2_000 + price, 1_000_000);
    }
    let mut clients: Vec<_> = ["A", "B", "C"].map(|comp_id| venue.watch(comp_id)).into();
    for (client, update) in clients.iter_mut().zip(["0", "0", "1"]) {
        venue.send(client, "V", &request("m", 1, 0, update, "01", &["AAPL"]));
    }
    let mut watchers: Vec<_> =
        clients.into_iter().map(|fix| Watcher::new(fix, LEVELS as usize)).collect();
    let [slow, fast, slow_changes] = watchers.as_mut_slice() else { panic!("three clients") };
    wait_for("the first snapshot is there", || {
        venue.settle();
        fast.take();
        !fast.known.is_empty()
    });
    for step in 0..STEPS {
        order(&mut venue, &format!("x{step}"), Side::Buy, 1_000 + step % LEVELS, 1);
        venue.now += 11_000_000;
        venue.clock.set(Timestamp(venue.now));
        venue.turn();
        fast.take();
        let waiting = venue.market_data.as_ref().expect("market data").waiting_bytes();
        // Half of it, and a message.
        assert!(waiting < 2 * (BYTES_MAX / 2 + (64 << 10)), "{waiting} bytes wait");
    }
    for watcher in [&mut *slow, &mut *fast, &mut *slow_changes] {
        // First what waited, then what has changed since.
        catch_up(&mut venue, watcher);
        catch_up(&mut venue, watcher);
        let engine = venue.core.as_ref().expect("a core").engine();
        for side in [Side::Buy, Side::Sell] {
            let expected = engine_levels(engine, AAPL, side, LEVELS as usize);
            assert_eq!(watcher.levels("m", "AAPL", side), expected, "{side:?}");
        }
    }
    let messages = |watcher: &Watcher| watcher.known.values().map(|it| it.messages).sum::<usize>();
    assert_eq!(messages(fast), STEPS as usize + 1);
    assert!(messages(slow) < STEPS as usize / 2, "{}", messages(slow));
}

/// One order may trade more often than trades are remembered: they are told in between, books are not.
#[test]
fn a_sweep_is_told_trade_by_trade_and_its_book_at_the_end() {
    const MAKERS: usize = 3 * TRADES_KEPT;
    let mut venue = start(|_| {});
    for number in 0..MAKERS {
        order(&mut venue, &format!("s{number}"), Side::Sell, 1_000 + number as i64 % 30, 1);
    }
    let mut watcher = Watcher::new(venue.watch("A"), 40);
    venue.send(&mut watcher.fix, "V", &request("m", 1, 0, "1", "012", &["AAPL"]));
    catch_up(&mut venue, &mut watcher);
    order(&mut venue, "b", Side::Buy, 1_100, MAKERS as i64 + 1);
    let mut messages = Vec::new();
    wait_for("the sweep is told", || {
        venue.advance(TOLD);
        messages.extend(watcher.fix.pending().into_iter().filter(|it| it.kind() == "X"));
        messages.last().is_some_and(|message| told(message).contains(&"0 0 1100 1 1".to_owned()))
    });
    let changes: Vec<_> = messages.iter().flat_map(entries).collect();
    let trades = changes.iter().take_while(|entry| entry.kind == "2");
    let ids =
        trades.map(|entry| entry.id.clone().expect("MDEntryID").parse::<usize>().expect("it"));
    assert!(ids.eq(1..=MAKERS), "every trade once, before all levels");
    assert!(messages.iter().all(|message| message.number(268) <= 50), "messages have a bound");
    messages.iter().for_each(|message| watcher.update(message));
    assert_eq!(watcher.levels("m", "AAPL", Side::Sell), []);
}

#[test]
fn one_who_does_not_read_at_all_is_logged_out() {
    let mut venue = start(|config| {
        config.market_data.depth_max = 300;
        config.market_data.out_buffer_bytes_max = 2 << 20;
        config.market_data.slow_timeout_ms = 10_000;
    });
    for price in 0..300 {
        order(&mut venue, &format!("b{price}"), Side::Buy, 1_000 + price, 1_000_000);
    }
    let mut slow = venue.watch("A");
    let mut honest = venue.watch("B");
    for client in [&mut slow, &mut honest] {
        venue.send(client, "V", &request("m", 1, 0, "0", "01", &["AAPL"]));
    }
    venue.settle();
    let (mut number, mut got) = (0, Vec::new());
    let mut step = |venue: &mut Stepped, ns: u64| {
        number += 1;
        order(venue, &format!("x{number}"), Side::Buy, 1_000 + number % 300, 1);
        venue.now += ns;
        venue.clock.set(Timestamp(venue.now));
        venue.turn();
        got.extend(honest.pending());
    };
    let waiting = |venue: &Stepped| venue.market_data.as_ref().expect("it").waiting_bytes();
    while waiting(&venue) < 1 << 20 {
        step(&mut venue, 10_000_000);
    }
    // Not before the time is over.
    (0..9).for_each(|_| step(&mut venue, SECOND));
    assert!(waiting(&venue) >= 1 << 20, "the connection is open");
    // The Logout has its own time to be answered.
    (0..6).for_each(|_| step(&mut venue, SECOND));
    assert_eq!(waiting(&venue), 0, "the connection is closed");
    assert!(
        got.iter().all(|message| message.kind() == "W" || message.kind() == "1"),
        "{}",
        got.len()
    );
    // Whoever is gone may come back at once.
    drop(slow);
    venue.settle();
    let mut again = venue.watch("A");
    venue.ask(&mut again, "V", &request("m", 0, 1, "", "0", &["AAPL"]), "35=W|262=m");
}

/// Under real threads and clocks, from a socket to a socket.
#[test]
fn a_running_venue_tells_the_market() {
    for acknowledge in [Acknowledge::Written, Acknowledge::Durable] {
        let mut venue = TestVenue::start_with(|config| {
            with_market_data(config);
            config.venue.acknowledge = acknowledge;
        });
        let mut orders = venue.client("A");
        orders.rest("b1", "AAPL", "1", "5", "10.00");
        let address = venue.venue().market_data_address().expect("market data");
        let mut b = FixClient::log_on(address, "B");
        b.send("V", &request("m", 1, 0, "1", "012", &["AAPL"]));
        b.expect("35=W|262=m|268=1|269=0|270=10.00|271=5|346=1");
        orders.send("D", &limit("s1", "AAPL", "2", "2", "10.00"));
        let change = b.expect("35=X|262=m");
        assert_eq!(told(&change), ["0 2 1000 2 0", "1 0 1000 3 1"]);
        b.log_out();
        venue.restart();
        let address = venue.venue().market_data_address().expect("market data");
        let mut b = FixClient::log_on(address, "B");
        b.send("V", &request("m", 1, 0, "1", "012", &["AAPL"]));
        b.expect("35=W|262=m|268=1|269=0|270=10.00|271=3|346=1");
        // A stop logs out here, too.
        let stopped = std::thread::spawn(move || venue.stop());
        b.expect("35=5|58=the venue stops");
        b.send("5", "");
        b.expect_closed();
        stopped.join().expect("the venue stops");
    }
}

#[test]
fn who_may_connect_is_the_same_as_for_orders() {
    let venue = TestVenue::start_with(|config| {
        with_market_data(config);
        config.fix.logon_failures_max = 3;
        config.sessions[0].password = Some(SECRET_HASH.to_owned());
        config.sessions[1].allow_from = vec!["10.0.0.0/8".parse().expect("a range")];
        config.sessions[2].versions = vec!["FIX.4.2".to_owned()];
    });
    let address = venue.venue().market_data_address().expect("market data");
    let log_on = |comp_id: &str, fields: &str| {
        let mut client = FixClient::connect(address, comp_id);
        client.send("A", &format!("98=0|108=60{fields}"));
        let answer = client.receive();
        (client, answer)
    };
    let refused = "35=5|34=1|58=Username (553) or Password (554) is wrong";
    assert!(log_on("A", "").1.expect("a Logout").matches(refused));
    assert!(log_on("A", "|554=secret").1.expect("an answer").matches("35=A|34=1"));
    assert_eq!(log_on("B", "").1, None, "not from here");
    let version = "35=5|58=This version of FIX is not allowed for this session";
    assert!(log_on("C", "").1.expect("a Logout").matches(version));
    assert_eq!(log_on("NOBODY", "").1, None, "locks the address");
    assert_eq!(log_on("A", "|554=secret").1, None, "not even the right one");
    // Each port counts for itself: who trades is not locked out from here.
    let mut orders = FixClient::connect(venue.address(), "A");
    orders.send("A", "98=0|108=60|554=secret");
    assert!(orders.receive().expect("an answer").matches("35=A"));
}

#[test]
fn a_list_of_securities_comes_as_on_the_other_port() {
    let mut venue = start(|config| {
        config.instruments =
            (0..95).map(|number| instrument(&format!("S{number:02}"), "0.01", "1")).collect();
    });
    let mut a = venue.watch("A");
    venue.send(&mut a, "x", "320=l1|559=4");
    let lists = venue.receive(&mut a, 3);
    for (list, (count, last)) in lists.iter().zip([(40, "N"), (40, "N"), (15, "Y")]) {
        let spec = format!("35=y|320=l1|322=*|560=0|393=95|893={last}|146={count}|561=1|562=1");
        assert!(list.matches(&spec), "{list:?}");
    }
    venue.ask(&mut a, "x", "320=l2|559=0|55=NOSUCH", "35=y|320=l2|560=2|393=0");
    venue.ask(&mut a, "x", "320=l3|559=0|55=S07", "35=y|320=l3|560=0|393=1|146=1|55=S07");
}

/// Nobody is told for true what is out of date.
#[test]
fn who_can_not_be_told_the_truth_is_logged_out() {
    let mut venue = start(|_| {});
    let mut a = venue.watch("A");
    subscribe(&mut venue, &mut a, 5, "0");
    let mut journal = venue.core.take().expect("a core").into_journal().1;
    // An Execution that is none.
    journal.append(0x0207, journal.next_sequence(), venue.now, &[0xff; 16]);
    journal.commit();
    venue.advance(TOLD);
    let got = venue.receive(&mut a, 1);
    assert!(got[0].matches("35=5|58=market data is not available"), "{got:?}");
    let market_data = venue.market_data.as_ref().expect("it");
    // Old segments need not wait for it any more.
    assert!(market_data.delivered().get() > Position::new(1 << 60));
    let mut late = FixClient::connect(market_data.address(), "B");
    venue.settle();
    late.expect_closed();
}

#[test]
fn the_hours_of_a_session_hold_here_too() {
    let mut venue = start(|config| {
        config.schedule.start = Some("00:00".to_owned());
        config.schedule.end = Some("01:00".to_owned());
    });
    let mut a = venue.watch("A");
    subscribe(&mut venue, &mut a, 5, "0");
    venue.send(&mut a, "0", "");
    let closed = "closed until 2026-01-02T00:00:00+00:00[UTC] by schedule";
    while venue.now < START + 3_600 * SECOND {
        venue.advance(20 * SECOND);
        if venue.now < START + 3_600 * SECOND {
            venue.send(&mut a, "0", "");
        }
    }
    let said = a.pending();
    let last = said.last().expect("a Logout");
    assert!(last.matches(&format!("35=5|58={closed}")), "{last:?}");
    drop(a);
    venue.settle();
    let address = venue.market_data.as_ref().expect("it").address();
    let mut a = FixClient::connect(address, "A");
    venue.ask(&mut a, "A", "98=0|108=30", &format!("35=5|58={closed}"));
    venue.expect_closed(&mut a);
}

#[test]
fn a_request_that_came_garbled_is_done_when_it_comes_again() {
    let mut venue = start(|_| {});
    let mut a = venue.watch("A");
    let wanted = request("m", 0, 1, "", "0", &["AAPL"]);
    let seq = a.next_out;
    let time = fix_time(Duration::from_nanos(venue.now));
    a.sending_time = Some(time.clone());
    a.send_raw(&a.build("V", seq, &wanted, Flaw::CheckSum));
    a.next_out = seq + 1;
    venue.send(&mut a, "1", "112=x");
    assert!(venue.receive(&mut a, 1)[0].matches(&format!("35=2|7={seq}")));
    a.next_out = seq;
    venue.send(&mut a, "V", &format!("43=Y|122={time}|{wanted}"));
    let got = venue.receive(&mut a, 2);
    assert!(got.iter().any(|message| message.matches("35=W|262=m")), "{got:?}");
}
