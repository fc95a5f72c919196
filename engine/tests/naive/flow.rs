//! Seeded random commands, and how many runs of them a test does.

use std::ops::RangeInclusive;

use ironbook_engine::{
    Account, ClOrdId, Command, CompId, EngineLimits, Event, InstrumentId, InstrumentStatus,
    OrdType, OrderId, ReasonText, SessionId, Side, SideFilter, Symbol, TimeInForce, Timestamp,
    TradingStatus,
    command::{
        CancelOnDisconnect, CancelOrder, DefineInstrument, DefineSession, MANTISSA_MAX, MassCancel,
        NewOrder, OrderTerms, Origin, QueryOrder, ReplaceOrder, RiskLimits, SetInstrumentStatus,
        SetRiskLimits, SetTradingStatus,
    },
    domain::{DisconnectCause, DisconnectScope},
    event::Execution,
};

/// SplitMix64.
#[derive(Clone, Copy, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// 0 to `below` - 1.
    pub fn below(&mut self, below: u64) -> u64 {
        self.next() % below
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// The place of one of the weights, each as likely as it is heavy.
    pub fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut at = self.below(weights.iter().sum());
        let mut place = 0;
        while at >= weights[place] {
            at -= weights[place];
            place += 1;
        }
        place
    }
}

/// How many times as many seeds `LONG=1` plays. Runs stay as long as they are without it, so that
/// `SEED=..` alone repeats one that failed.
const LONG_TIMES: u64 = 20;

/// The seeds of a test's runs: 1 to `count`, many more with `LONG=1`, one alone with `SEED=..`.
pub fn seeds(count: u64) -> RangeInclusive<u64> {
    if let Ok(seed) = std::env::var("SEED") {
        let seed = seed.parse().expect("SEED is a number");
        return seed..=seed;
    }
    match std::env::var_os("LONG") {
        Some(_) => 1..=count * LONG_TIMES,
        None => 1..=count,
    }
}

/// Orders that a flow knows at most.
const KNOWN_MAX: usize = 500;

/// What a flow is like.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    pub name: &'static str,
    pub limits: EngineLimits,
    pub instruments: u32,
    pub sessions: u32,
    /// Prices are this far from the middle at most, in ticks.
    pub spread: i64,
    /// Quantities are this many lots at most.
    pub lots: i64,
    /// Scale, tick and lot of the instruments.
    pub steps: (u8, i64, i64),
    /// Weights of new orders, cancels, replaces, queries, mass cancels, status changes.
    pub weights: [u64; 6],
    /// Weight of risk limits and trading statuses.
    pub risk: u64,
    /// One value in so many is absurd.
    pub hostile: u64,
    /// ClOrdIDs that a session draws from: few make duplicates likely.
    pub names: u64,
}

pub struct Flow {
    pub profile: Profile,
    pub random: Random,
    middle: i64,
    /// Reports of orders that were live not long ago.
    known: Vec<Execution>,
    setup: Vec<Command>,
}

impl Flow {
    pub fn new(profile: Profile, seed: u64) -> Self {
        let mut setup: Vec<Command> = vec![profile.limits.into()];
        let middle = profile.spread.max(500);
        for id in 1..=profile.sessions {
            let comp_id = CompId::try_from(format!("C{id}").as_str()).unwrap();
            setup.push(DefineSession::new(SessionId(id), comp_id).into());
        }
        for id in 1..=profile.instruments {
            let symbol = Symbol::try_from(format!("S{id}").as_str()).unwrap();
            let (scale, tick, lot) = profile.steps;
            let mut definition =
                DefineInstrument::new(InstrumentId(id), symbol, scale, scale % 4, tick, lot);
            // Every second one has a hard bound on prices, most often one that is close.
            if id % 2 == 0 {
                definition.price_max = definition.price_max.min(middle.saturating_mul(4 * tick));
            }
            setup.push(definition.into());
        }
        setup.reverse();
        Self { profile, random: Random(seed), middle, known: Vec::new(), setup }
    }

    /// Learns of orders from reports, so that later commands can name them. A few closed orders
    /// and superseded names stay known.
    pub fn learn(&mut self, event: &Event) {
        let Event::Execution(report) = event else { return };
        let known = self.known.iter().position(|order| order.order_id == report.order_id);
        let stale = self.random.once_in(24);
        match known {
            _ if stale && self.known.len() < KNOWN_MAX => self.known.push(*report),
            Some(at) if report.leaves_qty == 0 => drop(self.known.swap_remove(at)),
            Some(at) => self.known[at] = *report,
            None if report.leaves_qty == 0 => {}
            None if self.known.len() < KNOWN_MAX => self.known.push(*report),
            None => {
                let at = self.random.below(KNOWN_MAX as u64) as usize;
                self.known[at] = *report;
            }
        }
    }

    pub fn next(&mut self) -> Command {
        if let Some(command) = self.setup.pop() {
            return command;
        }
        let [new, cancel, replace, query, mass_cancel, status] = self.profile.weights;
        let weights = [new, cancel, replace, query, mass_cancel, status, self.profile.risk];
        match self.random.weighted(&weights) {
            0 => self.new_order(),
            1 => self.cancel(),
            2 => self.replace(),
            3 => self.query(),
            4 => self.mass_cancel(),
            5 => self.configure(),
            _ => self.limit(),
        }
    }

    /// Risk limits near what a session's orders and trades come to, or a trading status.
    fn limit(&mut self) -> Command {
        let (session, origin) = (self.session(), Origin::venue(Timestamp(0)));
        if self.random.once_in(2) {
            let status = self.random.pick(&[
                TradingStatus::Open,
                TradingStatus::Open,
                TradingStatus::Open,
                TradingStatus::CancelOnly,
            ]);
            let reason = ReasonText::try_from("by the operator").unwrap();
            return SetTradingStatus::new(origin, session, status, reason).into();
        }
        let (scale, tick, lot) = self.profile.steps;
        let decimals = u32::from(scale) + u32::from(scale % 4);
        // What an average order comes to.
        let order = i128::from(self.middle) * i128::from(tick * lot * self.profile.lots / 2);
        let order = order * 10i128.pow(8) / 10i128.pow(decimals);
        let mut notional = |percent: u64| {
            let notional = order * i128::from(self.random.below(percent)) / 100;
            let notional = i64::try_from(notional).unwrap_or(i64::MAX - 1);
            if self.random.once_in(3) { 0 } else { notional }
        };
        let mut limits = RiskLimits {
            order_notional: notional(400),
            open_notional: notional(3_000),
            traded_notional: notional(3_000),
            loss: notional(4),
            ..RiskLimits::NONE
        };
        limits.open_orders = self.random.pick(&[0, 0, 5, 20, 60]);
        limits.price_deviation = self.random.pick(&[0, 0, 10, 100, 1_000, u32::MAX]);
        limits.window_ms = self.random.pick(&[0, 1, 1, 1, 2, 7, 100]);
        if self.hostile() {
            limits.traded_notional = self.absurd();
            limits.window_ms = self.absurd() as u32;
        }
        SetRiskLimits::new(origin, session, limits).into()
    }

    fn hostile(&mut self) -> bool {
        self.random.once_in(self.profile.hostile)
    }

    fn absurd(&mut self) -> i64 {
        let random = self.random.next() as i64;
        self.random.pick(&[
            0,
            -1,
            1,
            i64::MIN,
            i64::MAX,
            MANTISSA_MAX,
            MANTISSA_MAX + 1,
            (1 << 36) - 1,
            1 << 36,
            random,
            random >> 20,
        ])
    }

    fn session(&mut self) -> SessionId {
        if self.hostile() {
            return SessionId(self.random.pick(&[0, u32::MAX, self.profile.sessions + 1]));
        }
        SessionId(1 + self.random.below(self.profile.sessions.into()) as u32)
    }

    fn instrument(&mut self) -> InstrumentId {
        if self.hostile() {
            return InstrumentId(self.random.pick(&[0, u32::MAX, self.profile.instruments + 1]));
        }
        InstrumentId(1 + self.random.below(self.profile.instruments.into()) as u32)
    }

    fn side(&mut self) -> Side {
        self.random.pick(Side::ALL)
    }

    fn name(&mut self) -> ClOrdId {
        let number = self.random.below(self.profile.names);
        ClOrdId::try_from(format!("N{number}").as_str()).unwrap()
    }

    fn origin(&mut self, session: SessionId) -> Origin {
        Origin::new(session, self.random.below(1000), Timestamp(self.random.below(1000)))
    }

    fn terms(&mut self, side: Side) -> OrderTerms {
        let (scale, tick, lot) = self.profile.steps;
        let spread = self.profile.spread;
        let away = self.random.below(spread as u64 + 1).min(self.random.below(spread as u64 + 1));
        // One order in eight reaches over the middle.
        let passive = !self.random.once_in(8);
        let sign = if (side == Side::Buy) == passive { -1 } else { 1 };
        let ticks = (self.middle + sign * away as i64).max(1);
        if self.random.once_in(16) {
            self.middle = (self.middle + self.random.below(7) as i64 - 3).max(spread);
        }
        let mut terms = OrderTerms {
            side,
            ord_type: if self.random.once_in(24) { OrdType::Market } else { OrdType::Limit },
            time_in_force: self.random.pick(&[
                TimeInForce::Day,
                TimeInForce::Day,
                TimeInForce::Gtc,
                TimeInForce::Gtc,
                TimeInForce::Day,
                TimeInForce::Ioc,
                TimeInForce::Fok,
            ]),
            price: (ticks * tick, scale),
            order_qty: ((1 + self.random.below(self.profile.lots as u64) as i64) * lot, scale % 4),
        };
        if self.random.once_in(64) {
            // The same number with more decimals.
            terms.price = (terms.price.0 * 10, terms.price.1 + 1);
        }
        if self.hostile() {
            terms.price = (self.absurd(), self.random.below(22) as u8);
        }
        if self.hostile() {
            terms.order_qty = (self.absurd(), self.random.below(22) as u8);
        }
        if self.hostile() {
            terms.price.0 = terms.price.0.wrapping_add(1);
            terms.order_qty.1 = self.random.pick(&[0, 1, 4, 255]);
        }
        terms
    }

    fn new_order(&mut self) -> Command {
        let (session, side) = (self.session(), self.side());
        let terms = self.terms(side);
        let account = Account::try_from(format!("A{}", self.random.below(9)).as_str()).unwrap();
        let (origin, instrument) = (self.origin(session), self.instrument());
        let mut command = NewOrder::new(origin, instrument, terms, account, self.name());
        if command.instrument == InstrumentId::NONE {
            command.unknown_symbol = Symbol::try_from("NOSUCH").unwrap();
        }
        command.into()
    }

    /// An order to name, with ids that mostly are its own: session, OrderID, instrument, side,
    /// ClOrdID.
    fn order(&mut self) -> (SessionId, OrderId, InstrumentId, Side, ClOrdId) {
        if self.known.is_empty() || self.hostile() {
            let id = OrderId(self.random.next() >> self.random.below(64));
            return (self.session(), id, self.instrument(), self.side(), self.name());
        }
        let order = self.known[self.random.below(self.known.len() as u64) as usize];
        let mut id = if self.random.once_in(2) { order.order_id } else { OrderId::NONE };
        let (mut session, mut side, mut name) = (order.session, order.side, order.cl_ord_id);
        let mut instrument =
            if self.random.once_in(2) { order.instrument } else { InstrumentId::NONE };
        match self.random.below(120) {
            0 => session = self.session(),
            1 => side = side.opposite(),
            2 => instrument = self.instrument(),
            3 => name = self.name(),
            4 => id.0 ^= 1 << self.random.below(40),
            _ => {}
        }
        (session, id, instrument, side, name)
    }

    fn cancel(&mut self) -> Command {
        let (session, id, instrument, side, name) = self.order();
        let origin = self.origin(session);
        CancelOrder::new(origin, id, instrument, side, self.name(), name).into()
    }

    fn replace(&mut self) -> Command {
        let (session, id, instrument, side, name) = self.order();
        let mut terms = self.terms(side);
        let known = self.known.iter().find(|order| order.order_id == id || order.cl_ord_id == name);
        if let Some(order) = known.copied() {
            // Mostly one thing changes.
            if !self.random.once_in(3) {
                terms.price = (order.price, order.price_scale);
            }
            if !self.random.once_in(3) {
                let change = self.random.below(5) as i64 - 2;
                let qty = order.order_qty + change * self.profile.steps.2;
                terms.order_qty = (qty, order.qty_scale);
            }
        }
        let (origin, new_name) = (self.origin(session), self.name());
        ReplaceOrder::new(origin, id, instrument, terms, (new_name, name)).into()
    }

    fn query(&mut self) -> Command {
        let (session, id, instrument, side, name) = self.order();
        let mut query = QueryOrder::new(self.origin(session), id, instrument, side, name);
        if self.random.once_in(2) {
            query.ord_status_req_id = self.name();
        }
        query.into()
    }

    fn mass_cancel(&mut self) -> Command {
        let session = self.session();
        if self.random.once_in(4) {
            let cause = self.random.pick(DisconnectCause::ALL);
            let scope = self.random.pick(DisconnectScope::ALL);
            return CancelOnDisconnect::new(session, Timestamp(0), cause, scope).into();
        }
        let instrument =
            if self.random.once_in(2) { InstrumentId::NONE } else { self.instrument() };
        let side = self.random.pick(SideFilter::ALL);
        MassCancel::new(self.origin(session), instrument, side, b'7', self.name()).into()
    }

    fn configure(&mut self) -> Command {
        let instrument = self.instrument();
        match self.random.below(32) {
            0 => {
                let mut limits = self.profile.limits;
                limits.orders_max += self.random.below(4) as u32;
                limits.closed_orders_kept += self.random.below(4) as u32;
                self.profile.limits = limits;
                limits.into()
            }
            1 => EngineLimits { orders_max: self.absurd() as u32, ..self.profile.limits }.into(),
            2 => {
                let symbol = Symbol::try_from("AGAIN").unwrap();
                let tick = self.random.pick(&[0, 1, -5, i64::MAX]);
                let mut definition = DefineInstrument::new(instrument, symbol, 2, 0, 1, 1);
                definition.tick = tick;
                definition.into()
            }
            3 => DefineSession::new(self.session(), CompId::EMPTY).into(),
            pick => {
                let status = match pick % 8 {
                    0 => InstrumentStatus::Halted,
                    1 => InstrumentStatus::Closed,
                    _ => InstrumentStatus::Open,
                };
                SetInstrumentStatus::new(Origin::venue(Timestamp(0)), instrument, status).into()
            }
        }
    }
}
