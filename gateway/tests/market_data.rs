//! Market data over FIX: what is told of books, trades and statuses, to whom and when.

mod common;

use std::collections::BTreeMap;

use common::{
    FixClient, Msg, SECRET_HASH, TestVenue, assert_valid, limit, session,
    stepped::{SECOND, Stepped},
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
    agent::Agent,
    config::{Acknowledge, Config},
    random::Random,
};

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
