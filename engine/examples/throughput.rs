//! How many commands per second the engine applies, on an ITCH-like flow: 45 % new orders that
//! rest, 40 % cancels, 10 % replaces, 5 % new orders that trade.
//!
//! ```text
//! cargo run --release -p ironbook-engine --example throughput [-- commands]
//! ```
//!
//! The flow is made beforehand, the books are filled, and the events are counted and dropped: inside
//! the measurement is the engine alone. Each line is the median of five runs, each on a fresh engine.

use std::time::Instant;

use ironbook_engine::{
    Account, ClOrdId, Command, CompId, Engine, EngineLimits, Event, InstrumentId, OrdType, OrderId,
    Sequence, Sequencer, SessionId, Side, Stamp, Symbol, TimeInForce, Timestamp,
    command::{
        CancelOrder, DefineInstrument, DefineSession, NewOrder, OrderTerms, Origin, ReplaceOrder,
    },
    sink::{CountingSink, VecSink},
};

const SESSIONS: u32 = 8;

fn main() {
    let commands = std::env::args().nth(1).map_or(2_000_000, |arg| arg.parse().expect("a number"));
    println!("{commands} commands, median of 5; M commands/s");
    for (instruments, depth) in [(1, 3_000), (100, 1_500)] {
        for by_order_id in [true, false] {
            let (flow, warm_up) = Flow::new(instruments, by_order_id).make(depth, commands);
            let mut rates: Vec<(f64, Run)> = (0..5).map(|_| measure(&flow, warm_up)).collect();
            rates.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (rate, run) = &rates[2];
            let names = if by_order_id { "OrderID" } else { "ClOrdID" };
            println!(
                "{instruments:4} instruments, cancels by {names}: {rate:6.2}   \
                 ({} events, {} trades, {} live orders per book)",
                run.events, run.trades, run.live_orders
            );
        }
    }
}

/// What a run did, to tell one flow from another.
struct Run {
    events: u64,
    trades: u64,
    live_orders: u32,
}

fn measure(flow: &[Command], warm_up: usize) -> (f64, Run) {
    let limits = EngineLimits { state_hash_interval: 0, ..EngineLimits::default() };
    let (mut engine, mut sink) = (Engine::new(limits), CountingSink::default());
    let mut next = Sequence(1);
    for command in &flow[..warm_up] {
        next = engine.apply(Stamp { sequence: next, time: Timestamp(0) }, command, &mut sink);
    }
    let start = Instant::now();
    for (number, command) in flow[warm_up..].iter().enumerate() {
        engine.look_ahead(|ahead| flow.get(warm_up + number + ahead));
        next = engine.apply(Stamp { sequence: next, time: Timestamp(0) }, command, &mut sink);
    }
    let seconds = start.elapsed().as_secs_f64();
    let totals = engine.totals();
    assert_eq!(engine.state_hash(), engine.recompute_state_hash());
    let run = Run {
        events: sink.events,
        trades: totals.trades,
        live_orders: totals.live_orders / engine.instruments().len() as u32,
    };
    ((flow.len() - warm_up) as f64 / seconds / 1e6, run)
}

/// A live order as the maker of the flow knows it.
#[derive(Clone, Copy)]
struct Live {
    order_id: OrderId,
    cl_ord_id: ClOrdId,
    session: SessionId,
    side: Side,
    price: i64,
    qty: i64,
}

/// Makes a flow by playing it to an engine, so that cancels name orders that live.
struct Flow {
    engine: Engine,
    sequencer: Sequencer,
    random: u64,
    by_order_id: bool,
    names: u64,
    /// Orders by instrument.
    live: Vec<Vec<Live>>,
    /// Middle price by instrument.
    middle: Vec<i64>,
    commands: Vec<Command>,
}

impl Flow {
    fn new(instruments: u32, by_order_id: bool) -> Self {
        let mut flow = Self {
            engine: Engine::new(EngineLimits::default()),
            sequencer: Sequencer::default(),
            random: 42,
            by_order_id,
            names: 0,
            live: vec![Vec::new(); instruments as usize],
            middle: vec![100_000; instruments as usize],
            commands: Vec::new(),
        };
        for id in 1..=SESSIONS {
            let comp_id = CompId::try_from(format!("CLIENT{id}").as_str()).unwrap();
            flow.play(DefineSession::new(SessionId(id), comp_id).into());
        }
        for id in 1..=instruments {
            let symbol = Symbol::try_from(format!("SYM{id}").as_str()).unwrap();
            flow.play(DefineInstrument::new(InstrumentId(id), symbol, 2, 0, 1, 1).into());
        }
        flow
    }

    /// Definitions and resting orders first, `depth` per book; then `commands` of the mix, in which
    /// orders trade as long as the books are full. Returns all, and how many come before the mix.
    fn make(mut self, depth: usize, commands: usize) -> (Vec<Command>, usize) {
        for at in 0..self.live.len() {
            (0..depth).for_each(|_| self.add(at));
        }
        let warm_up = self.commands.len();
        while self.commands.len() < warm_up + commands {
            let at = self.pick(self.live.len() as u64) as usize;
            match self.pick(100) {
                0..45 => self.add(at),
                45..85 => self.cancel(at),
                85..95 => self.replace(at),
                _ if self.engine.totals().live_orders as usize >= depth * self.live.len() => {
                    self.cross(at);
                }
                _ => self.add(at),
            }
        }
        (self.commands, warm_up)
    }

    /// Applies a command and returns the live order that its first report tells of.
    fn play(&mut self, command: Command) -> Option<OrderId> {
        let (stamp, mut sink) = (self.sequencer.stamp(Timestamp(0)), VecSink::default());
        let next = self.engine.apply(stamp, &command, &mut sink);
        self.sequencer.resume_at(next);
        self.commands.push(command);
        let Some((_, Event::Execution(report))) = sink.events.first() else { return None };
        self.engine.order(report.order_id).map(|order| order.order_id)
    }

    fn pick(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % below
    }

    fn name(&mut self) -> ClOrdId {
        self.names += 1;
        ClOrdId::try_from(format!("{:012}", self.names).as_str()).unwrap()
    }

    fn side(&mut self) -> Side {
        if self.pick(2) == 0 { Side::Buy } else { Side::Sell }
    }

    /// A price on the passive side of the middle, most often close to it.
    fn price(&mut self, at: usize, side: Side) -> i64 {
        let far = 1 + (self.pick(64) * self.pick(64) / 32) as i64;
        match side {
            Side::Buy => self.middle[at] - far,
            Side::Sell => self.middle[at] + far,
        }
    }

    fn add(&mut self, at: usize) {
        let side = self.side();
        let (price, qty) = (self.price(at, side), 1 + self.pick(100) as i64);
        self.order(at, side, price, qty, TimeInForce::Day);
    }

    /// An immediate order through the best few levels, which also lets the middle wander.
    fn cross(&mut self, at: usize) {
        let side = self.side();
        let drift = self.pick(3) as i64 - 1;
        let price = match side {
            Side::Buy => self.middle[at] + 4,
            Side::Sell => self.middle[at] - 4,
        };
        let qty = 1 + self.pick(60) as i64;
        self.order(at, side, price, qty, TimeInForce::Ioc);
        self.middle[at] += drift;
    }

    fn order(&mut self, at: usize, side: Side, price: i64, qty: i64, tif: TimeInForce) {
        let session = SessionId(1 + self.pick(SESSIONS.into()) as u32);
        let cl_ord_id = self.name();
        let terms = OrderTerms {
            side,
            ord_type: OrdType::Limit,
            time_in_force: tif,
            price: (price, 2),
            order_qty: (qty, 0),
        };
        let origin = Origin::new(session, 0, Timestamp(0));
        let instrument = InstrumentId(at as u32 + 1);
        let new = NewOrder::new(origin, instrument, terms, Account::EMPTY, cl_ord_id);
        if let Some(order_id) = self.play(new.into()) {
            self.live[at].push(Live { order_id, cl_ord_id, session, side, price, qty });
        }
    }

    /// Takes any order that still lives off the list.
    fn take(&mut self, at: usize) -> Live {
        loop {
            let pick = self.pick(self.live[at].len() as u64) as usize;
            let live = self.live[at].swap_remove(pick);
            if self.engine.order(live.order_id).is_some() {
                return live;
            }
        }
    }

    /// The OrderID that a request names, or none: then its OrigClOrdID counts.
    fn order_id(&self, live: &Live) -> OrderId {
        if self.by_order_id { live.order_id } else { OrderId::NONE }
    }

    fn cancel(&mut self, at: usize) {
        let live = self.take(at);
        let cancel = CancelOrder::new(
            Origin::new(live.session, 0, Timestamp(0)),
            self.order_id(&live),
            InstrumentId(at as u32 + 1),
            live.side,
            self.name(),
            live.cl_ord_id,
        );
        self.play(cancel.into());
    }

    /// Half of the replaces change the price, a quarter each raises or lowers the quantity.
    fn replace(&mut self, at: usize) {
        let mut live = self.take(at);
        match self.pick(4) {
            0 => live.qty += 10,
            1 => live.qty = (live.qty - 10).max(1),
            _ => live.price = self.price(at, live.side),
        }
        let terms = OrderTerms {
            side: live.side,
            ord_type: OrdType::Limit,
            time_in_force: TimeInForce::Day,
            price: (live.price, 2),
            order_qty: (live.qty, 0),
        };
        let (origin, new_id) = (Origin::new(live.session, 0, Timestamp(0)), self.name());
        let (order_id, instrument) = (self.order_id(&live), InstrumentId(at as u32 + 1));
        let ids = (new_id, live.cl_ord_id);
        let replace = ReplaceOrder::new(origin, order_id, instrument, terms, ids);
        if self.play(replace.into()).is_some() {
            self.live[at].push(Live { cl_ord_id: new_id, ..live });
        }
    }
}
