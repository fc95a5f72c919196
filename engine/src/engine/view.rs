//! Reading the state, for tools and tests. Nothing here changes it, or is on the path of an order.

use super::{
    Engine,
    risk::{SessionRisk, Trip},
};
use crate::{
    Account, ClOrdId, Command, CompId, InstrumentId, InstrumentStatus, OrdType, OrderId, Sequence,
    SessionId, Side, Symbol, TimeInForce, TradingStatus, book,
    closed::Named,
    command::{DefineInstrument, RiskLimits},
    domain::RejectReason,
    instrument::Instrument,
    order::{self, RESTING_TYPE, time_in_force},
    session::Session,
};

/// An instrument as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstrumentView {
    /// What it was defined as.
    pub definition: DefineInstrument,
    /// Its status.
    pub status: InstrumentStatus,
}

/// A session as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// Its id.
    pub session: SessionId,
    /// Comp id of the client.
    pub comp_id: CompId,
    /// Its live orders.
    pub live_orders: u32,
    /// Its risk limits, and how far it is from them.
    pub risk: RiskView,
}

/// The risk record of a session. Notionals are at [`NOTIONAL_SCALE`](crate::command::NOTIONAL_SCALE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RiskView {
    /// Its limits.
    pub limits: RiskLimits,
    /// What it may do.
    pub status: TradingStatus,
    /// The rule that it is tripped by, with limit and observed value.
    pub trip: Option<(RejectReason, i64, i64)>,
    /// Price × leaves of its live orders; 0 for a session that never had limits or a status.
    pub open_notional: i128,
    /// Notional of its trades in the window that its last trade ended.
    pub traded_notional: i128,
    /// Loss in the same window, no less than zero.
    pub loss: i128,
}

/// What an order or a session comes to by a risk limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RiskMeasure {
    /// The rule, as a refusal names it.
    pub rule: RejectReason,
    /// Its limit, above zero, with [`RiskMeasure::scale`] decimals: a notional, orders, or basis points.
    pub limit: i64,
    /// What there would be, in the same unit; above the limit where the rule is broken.
    pub observed: i64,
}

/// A live order as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderView {
    /// OrderID (tag 37).
    pub order_id: OrderId,
    /// The command that gave the order its place in the queue.
    pub priority: Sequence,
    /// Its owner.
    pub session: SessionId,
    /// Its instrument.
    pub instrument: InstrumentId,
    /// Side (tag 54).
    pub side: Side,
    /// OrdType (tag 40).
    pub ord_type: OrdType,
    /// TimeInForce (tag 59).
    pub time_in_force: TimeInForce,
    /// Limit price in the instrument's scale.
    pub price: i64,
    /// OrderQty (tag 38) in the instrument's scale.
    pub order_qty: i64,
    /// LeavesQty (tag 151) in the instrument's scale.
    pub leaves_qty: i64,
    /// CumQty (tag 14) in the instrument's scale.
    pub cum_qty: i64,
    /// Sum of LastPx × LastQty over all its trades.
    pub cum_notional: u128,
    /// Account (tag 1).
    pub account: Account,
    /// ClOrdID (tag 11).
    pub cl_ord_id: ClOrdId,
}

/// Counters of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Commands applied.
    pub commands: u64,
    /// Orders accepted.
    pub orders_accepted: u64,
    /// Trades.
    pub trades: u64,
    /// Orders that live.
    pub live_orders: u32,
    /// Closed orders and superseded ClOrdIDs that are remembered.
    pub remembered: u32,
}

/// The book of one instrument.
#[derive(Clone, Copy, Debug)]
pub struct BookView<'a> {
    engine: &'a Engine,
    instrument: &'a Instrument,
}

/// A price level of a book.
#[derive(Clone, Copy, Debug)]
pub struct LevelView<'a> {
    engine: &'a Engine,
    level: book::LevelView<'a>,
    /// Price in the instrument's scale.
    pub price: i64,
}

impl Engine {
    /// Instruments, by id.
    pub fn instruments(&self) -> impl ExactSizeIterator<Item = InstrumentView> {
        self.instruments.iter().map(Instrument::view)
    }

    /// An instrument, or none when no instrument has this id.
    pub fn instrument(&self, instrument: InstrumentId) -> Option<InstrumentView> {
        self.instrument_at(instrument).map(Instrument::view)
    }

    /// The instrument with this symbol.
    pub fn instrument_by_symbol(&self, symbol: &Symbol) -> Option<InstrumentView> {
        self.instrument(*self.symbols.get(symbol.padded())?)
    }

    /// Sessions, by id.
    pub fn sessions(&self) -> impl ExactSizeIterator<Item = SessionView> {
        self.sessions.iter().map(|session| self.session_view(session))
    }

    /// A session, or none when no session has this id.
    pub fn session(&self, session: SessionId) -> Option<SessionView> {
        self.session_at(session).map(|session| self.session_view(session))
    }

    /// The book of an instrument, or none when no instrument has this id.
    pub fn book(&self, instrument: InstrumentId) -> Option<BookView<'_>> {
        Some(BookView { engine: self, instrument: self.instrument_at(instrument)? })
    }

    /// A live order.
    pub fn order(&self, order_id: OrderId) -> Option<OrderView> {
        order::find(&self.books, order_id).map(|slot| self.order_view(slot))
    }

    /// The live order of a session that has this ClOrdID.
    pub fn order_named(&self, session: SessionId, cl_ord_id: &ClOrdId) -> Option<OrderView> {
        match self.find_named(OrderId::NONE, session, cl_ord_id)? {
            Named::Live(slot) => Some(self.order_view(slot)),
            Named::Closed(_) => None,
        }
    }

    /// What a new order or a replace would come to by the risk limits that are looked at before it is accepted, one
    /// after the other, up to the first that it breaks. Nothing by a limit that does not judge it, for one that is
    /// refused for another reason first, and for other commands.
    pub fn risk_of(&self, command: &Command) -> Vec<RiskMeasure> {
        match command {
            Command::NewOrder(command) => self.risk_of_new(command),
            Command::ReplaceOrder(command) => self.risk_of_replace(command),
            _ => Vec::new(),
        }
    }

    /// Counters.
    pub fn totals(&self) -> Totals {
        Totals {
            commands: self.commands,
            orders_accepted: self.orders_accepted,
            trades: self.trades,
            live_orders: self.books.taken(),
            remembered: self.names.remembered_count() as u32,
        }
    }

    /// Sequence of the last command or event; 0 before the first.
    pub fn last_sequence(&self) -> Sequence {
        self.last_sequence
    }

    /// Bytes reserved for orders, levels, price indexes, names and risk records.
    pub fn memory_bytes(&self) -> usize {
        self.books.memory_bytes()
            + self.orders.memory_bytes()
            + self.names.memory_bytes()
            + self.instruments.capacity() * size_of::<Instrument>()
            + self.sessions.capacity() * size_of::<Session>()
            + self.risk.memory_bytes()
    }

    fn session_view(&self, session: &Session) -> SessionView {
        let none = || SessionRisk::new(session.id).view();
        SessionView {
            session: session.id,
            comp_id: session.comp_id,
            live_orders: session.live,
            risk: self.risk.record(session).map_or_else(none, SessionRisk::view),
        }
    }

    fn order_view(&self, slot: u32) -> OrderView {
        let (order, details) = (self.books.order(slot), self.orders.get(slot));
        let progress = self.orders.progress(slot, order.leaves_qty);
        let [low, high] = progress.cum_notional;
        OrderView {
            order_id: OrderId(order.id),
            priority: details.priority,
            session: details.session,
            instrument: details.instrument,
            side: order.side,
            ord_type: RESTING_TYPE,
            time_in_force: time_in_force(order.tag),
            price: self.instrument_of(slot).price(order.ticks),
            order_qty: progress.order_qty,
            leaves_qty: order.leaves_qty,
            cum_qty: progress.order_qty - order.leaves_qty,
            cum_notional: u128::from(high) << 64 | u128::from(low),
            account: details.account,
            cl_ord_id: details.cl_ord_id,
        }
    }
}

impl SessionRisk {
    fn view(&self) -> RiskView {
        RiskView {
            limits: self.limits,
            status: self.status,
            trip: self.trip.map(|Trip { rule, limit, observed }| (rule, limit, observed)),
            open_notional: self.open_notional,
            traded_notional: self.window.total.notional,
            loss: self.window.total.loss.max(0),
        }
    }
}

impl SessionView {
    /// What its live orders come to by the risk limits that bound them.
    pub fn open_measures(&self) -> impl Iterator<Item = RiskMeasure> {
        use RejectReason as R;
        let RiskView { limits, open_notional, .. } = &self.risk;
        measures_of([
            (R::TooManyOpenOrders, limits.open_orders.into(), self.live_orders.into()),
            (R::OpenNotionalTooLarge, limits.open_notional, *open_notional),
        ])
    }

    /// What its trades come to by the risk limits that trip it, in the window that the last of them ended.
    pub fn traded_measures(&self) -> impl Iterator<Item = RiskMeasure> {
        use RejectReason as R;
        let RiskView { limits, traded_notional, loss, .. } = &self.risk;
        measures_of([
            (R::TradedNotionalTooLarge, limits.traded_notional, *traded_notional),
            (R::LossTooLarge, limits.loss, *loss),
        ])
    }
}

fn measures_of(of: [(RejectReason, i64, i128); 2]) -> impl Iterator<Item = RiskMeasure> {
    let measure = |(rule, limit, observed)| RiskMeasure::of(rule, limit, Some(observed));
    of.into_iter().filter_map(measure)
}

impl Instrument {
    fn view(&self) -> InstrumentView {
        InstrumentView { definition: self.definition, status: self.status }
    }
}

impl<'a> BookView<'a> {
    /// Levels of a side, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = LevelView<'a>> + use<'a> {
        let (engine, instrument) = (self.engine, self.instrument);
        engine.books.levels(instrument.book, side).map(move |level| LevelView {
            engine,
            level,
            price: instrument.price(level.ticks),
        })
    }

    /// The level at one price, in the instrument's scale, or none when no order rests there.
    pub fn level(&self, side: Side, price: i64) -> Option<LevelView<'a>> {
        let (engine, instrument) = (self.engine, self.instrument);
        let ticks = instrument.ticks(price);
        let level = engine.books.level(instrument.book, side, ticks)?;
        Some(LevelView { engine, level, price: instrument.price(ticks) })
    }

    /// Sum of leaves_qty of the orders at one price, in the instrument's scale.
    pub fn qty_at(&self, side: Side, price: i64) -> u128 {
        let (engine, instrument) = (self.engine, self.instrument);
        engine.books.qty_at(instrument.book, side, instrument.ticks(price))
    }

    /// The best level of a side.
    pub fn best(&self, side: Side) -> Option<LevelView<'a>> {
        self.levels(side).next()
    }
}

impl<'a> LevelView<'a> {
    /// Sum of leaves_qty of the orders, in the instrument's scale.
    pub fn qty(&self) -> u128 {
        self.level.qty()
    }

    /// Orders at this price.
    pub fn order_count(&self) -> u32 {
        self.level.order_count()
    }

    /// Orders at this price, the one that trades first first.
    pub fn orders(&self) -> impl Iterator<Item = OrderView> + use<'a> {
        let engine = self.engine;
        self.level.slots().map(move |slot| engine.order_view(slot))
    }
}
