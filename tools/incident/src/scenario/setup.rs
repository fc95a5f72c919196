//! The commands that build what was before a scenario.
//!
//! Orders are entered as they were accepted, as mass cancels go by that. One that had traded trades, while its
//! book is empty where it is, against another of its own session. Where it would not stand in its place in the
//! queue, an order is put aside, at the far end of its side, where nothing trades with it; at last those come
//! to their places in the sequence of their priority, by a replace, which sends them to the end of the queue.

use std::{collections::HashMap, io::Write};

use ironbook_engine::{
    ClOrdId, Command, Engine, InstrumentId, InstrumentStatus, OrdType, OrderId, ReasonText, Side,
    TimeInForce, Timestamp, TradingStatus,
    command::{
        DefineSession, NewOrder, OrderTerms, Origin, ReplaceOrder, RiskLimits, SetInstrumentStatus,
        SetRiskLimits, SetTradingStatus,
    },
    engine::OrderView,
};

use super::Writer;
use crate::{
    Fault,
    show::{Content, Entry},
};

/// Begins the names that orders have while they are put in their places.
const NAME: &str = "before";

impl<W: Write> Writer<'_, W> {
    /// Builds what an engine holds.
    pub(super) fn set_up(&mut self, engine: &Engine) -> Result<(), Fault> {
        self.heading("What was defined")?;
        self.setup(&(*engine.limits()).into())?;
        for view in engine.instruments() {
            self.setup(&view.definition.into())?;
        }
        for view in engine.sessions() {
            let known = self.names.engine().session(view.session);
            let comp_id = known.map_or(view.comp_id, |known| known.comp_id);
            self.setup(&DefineSession::new(view.session, comp_id).into())?;
        }
        let mut orders = resting(engine);
        orders.sort_unstable_by_key(|order| order.priority);
        self.heading("The orders that rest")?;
        let places = places(&orders);
        let mut accepted: Vec<_> = orders.iter().zip(&places).collect();
        accepted.sort_unstable_by_key(|(order, _)| order.order_id);
        for (order, is_in_place) in accepted {
            self.enter(engine, order, *is_in_place)?;
        }
        for (order, _) in orders.iter().zip(&places).filter(|(_, is_in_place)| !**is_in_place) {
            let scales = scales(engine, order.instrument);
            let own = self.as_new(scales, order);
            let ids = (own.cl_ord_id, name("aside", order));
            self.setup(&replace(&own, scales, (order.order_qty, order.price), ids))?;
        }
        for view in engine.instruments().filter(|view| view.status != InstrumentStatus::Open) {
            let instrument = view.definition.instrument;
            let venue = Origin::venue(Timestamp(0));
            self.setup(&SetInstrumentStatus::new(venue, instrument, view.status).into())?;
        }
        for view in engine.sessions() {
            let (venue, session) = (Origin::venue(Timestamp(0)), view.session);
            if view.risk.limits != RiskLimits::NONE {
                self.setup(&SetRiskLimits::new(venue, session, view.risk.limits).into())?;
            }
            if view.risk.status != TradingStatus::Open {
                let (status, reason) = (view.risk.status, ReasonText::EMPTY);
                self.setup(&SetTradingStatus::new(venue, session, status, reason).into())?;
            }
        }
        self.check(engine)
    }

    /// Enters an order, in its place or aside, and lets it trade what it had traded.
    fn enter(
        &mut self,
        engine: &Engine,
        order: &OrderView,
        is_in_place: bool,
    ) -> Result<(), Fault> {
        let scales = scales(engine, order.instrument);
        let own = self.as_new(scales, order);
        let (far, mut first) = (far(engine, order), own);
        if order.cum_qty > 0 {
            let mut other = own;
            (other.side, other.order_qty) = (order.side.opposite(), order.cum_qty);
            other.cl_ord_id = name("other", order);
            self.setup(&other.into())?;
            first.cl_ord_id = name("own", order);
        } else if !is_in_place {
            (first.cl_ord_id, first.price) = (name("aside", order), far);
        }
        self.setup(&first.into())?;
        let number = self.stage.numbers.orders.len() as u64;
        self.journal.by_id.insert(order.order_id, number);
        if order.cum_qty > 0 {
            let ids = (name("aside", order), first.cl_ord_id);
            self.setup(&replace(&own, scales, (order.order_qty, far), ids))?;
        }
        Ok(())
    }

    /// A new order with the terms and names of one that rests.
    fn as_new(&mut self, (price_scale, qty_scale): (u8, u8), order: &OrderView) -> NewOrder {
        let terms = OrderTerms {
            side: order.side,
            ord_type: OrdType::Limit,
            time_in_force: order.time_in_force,
            price: (order.price, price_scale),
            order_qty: (order.order_qty, qty_scale),
        };
        let origin = Origin::new(order.session, 0, Timestamp(0));
        let new = NewOrder::new(origin, order.instrument, terms, order.account, order.cl_ord_id);
        let content = Content::Command(Box::new(new.into()));
        let mut entry = Entry { sequence: 0, time_ns: 0, content };
        self.names.redact(&mut entry);
        match entry.content {
            Content::Command(command) => match *command {
                Command::NewOrder(new) => new,
                _ => new,
            },
            _ => new,
        }
    }

    /// What was built is what was to be built: the same queues, in the same sequence of acceptance.
    fn check(&self, engine: &Engine) -> Result<(), Fault> {
        let terms = |order: &OrderView| {
            let of = (order.session, order.instrument, order.side, order.time_in_force);
            (of, order.price, order.order_qty, order.leaves_qty)
        };
        let mut built = self.stage.engine.as_ref().map(resting).unwrap_or_default();
        let mut wanted = resting(engine);
        let are_queued = built.iter().map(terms).eq(wanted.iter().map(terms));
        built.sort_unstable_by_key(|order| order.order_id);
        wanted.sort_unstable_by_key(|order| order.order_id);
        if are_queued && built.iter().map(terms).eq(wanted.iter().map(terms)) {
            return Ok(());
        }
        Err(Fault::NotFound(format!(
            "the books before sequence {} can't be built by commands: an order that has traded rests at \
             the lowest or highest price there is, or there is no room for one order more; begin \
             elsewhere with --from",
            self.written.span.first
        )))
    }
}

/// Whether orders, sorted by priority, can be entered where they stand: they have not traded, none of the same
/// instrument trades after them, and those ahead of them were accepted before and stand there already.
fn places(orders: &[OrderView]) -> Vec<bool> {
    let mut last_traded: HashMap<InstrumentId, OrderId> = HashMap::new();
    for order in orders.iter().filter(|order| order.cum_qty > 0) {
        let last = last_traded.entry(order.instrument).or_default();
        *last = order.order_id.max(*last);
    }
    // The last that was accepted of a queue, none where one is aside.
    let mut queues: HashMap<_, Option<OrderId>> = HashMap::new();
    let is_in_place = |order: &OrderView| {
        let traded = last_traded.get(&order.instrument).copied().unwrap_or_default();
        let queue = queues.entry((order.instrument, order.side, order.price));
        let last = queue.or_insert(Some(OrderId::NONE));
        let is_behind = last.is_some_and(|last| order.order_id > last.max(traded));
        *last = is_behind.then_some(order.order_id);
        is_behind
    };
    orders.iter().map(is_in_place).collect()
}

/// The name that an order has on its way to its place.
fn name(kind: &str, order: &OrderView) -> ClOrdId {
    let name = format!("{NAME}-{kind}-{}", order.priority);
    name.as_str().try_into().expect("room for two words and a number")
}

/// All orders that rest.
fn resting(engine: &Engine) -> Vec<OrderView> {
    let instruments = engine.instruments().map(|view| view.definition.instrument);
    let books = instruments.filter_map(|instrument| engine.book(instrument));
    let levels = books.flat_map(|book| Side::ALL.iter().flat_map(move |side| book.levels(*side)));
    levels.flat_map(|level| level.orders()).collect()
}

fn scales(engine: &Engine, instrument: InstrumentId) -> (u8, u8) {
    let view = engine.instrument(instrument);
    view.map_or((0, 0), |view| (view.definition.price_scale, view.definition.qty_scale))
}

/// The price at which an order of its side trades last.
fn far(engine: &Engine, order: &OrderView) -> i64 {
    let view = engine.instrument(order.instrument);
    view.map_or(order.price, |view| match order.side {
        Side::Buy => view.definition.tick,
        Side::Sell => view.definition.price_max / view.definition.tick * view.definition.tick,
    })
}

fn replace(
    order: &NewOrder,
    (price_scale, qty_scale): (u8, u8),
    (qty, price): (i64, i64),
    ids: (ClOrdId, ClOrdId),
) -> Command {
    let terms = OrderTerms {
        side: order.side,
        ord_type: OrdType::Limit,
        time_in_force: TimeInForce::Day,
        price: (price, price_scale),
        order_qty: (qty, qty_scale),
    };
    ReplaceOrder::new(order.origin, OrderId::NONE, order.instrument, terms, ids).into()
}
