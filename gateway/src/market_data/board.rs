//! Books by price level, trades and statuses as a fold over the journal.

use std::collections::{BTreeMap, VecDeque};

use ironbook_engine::{
    Engine, Event, ExecType, LastLiquidity, OrdStatus, OrdType, OrderId, Side, TimeInForce,
    Timestamp,
    engine::InstrumentView,
    event::{Execution, StatusChanged},
    record::{DecodeError, Record},
};
use ironbook_fix::{
    market_data::{PriceLevel, Trade},
    reference::TradingStatus,
};
use ironbook_journal::Frame;
use thiserror::Error;

use crate::translate;

/// Trades of an instrument that are remembered, for those that were not told of them yet. Whoever reads is
/// told of every trade; who does not read misses those before the last so many.
pub const TRADES_KEPT: usize = 1_024;

/// Why the board can't follow the journal.
#[derive(Debug, Error)]
pub enum BoardError {
    /// An event that this program does not know.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// An order is told to have rested where the orders of its level come to something else.
    #[error("an order does not go with the orders of its level")]
    Inconsistent,
}

/// All instruments as the journal has them, up to some place in it.
pub struct Board {
    instruments: Vec<Listed>,
    /// What rests of each live order, by its slot: 16 bytes for each order that ever lived at once.
    resting: Vec<Resting>,
    /// Frames that the group at hand still has.
    group_left: u32,
    /// The largest number of trades of an instrument since [`Board::note_told`].
    fresh_trades: usize,
    /// Time of the last frame.
    time_ns: u64,
}

/// What rests of an order; all zero when nothing does.
#[derive(Clone, Copy, Default)]
struct Resting {
    price: i64,
    leaves_qty: i64,
}

/// An instrument with its book and its trades.
pub struct Listed {
    /// Terms and status.
    pub view: InstrumentView,
    depth_max: usize,
    sides: [BTreeMap<i64, Level>; 2],
    /// Counts what has changed, levels, trades and status alike.
    version: u64,
    trades: VecDeque<Trade>,
    /// Trades since the start, the last of which are in `trades`.
    trade_count: u64,
    /// The same as of [`Board::note_told`].
    trades_before: u64,
    /// The levels that are told, as they were at a version.
    cache: [Vec<PriceLevel>; 2],
    cached: Option<u64>,
}

#[derive(Clone, Copy, Default)]
struct Level {
    /// Sum of the leaves.
    qty: u128,
    orders: u32,
}

impl Board {
    /// The state of an engine, of whose books so many levels of a side are told.
    pub fn new(engine: &Engine, depth_max: usize) -> Self {
        let mut board = Self {
            instruments: engine.instruments().map(|view| Listed::new(view, depth_max)).collect(),
            resting: Vec::new(),
            group_left: 0,
            fresh_trades: 0,
            time_ns: 0,
        };
        for view in engine.instruments() {
            let Some(book) = engine.book(view.definition.instrument) else { continue };
            for side in [Side::Buy, Side::Sell] {
                for order in book.levels(side).flat_map(|level| level.orders()) {
                    let now = Resting { price: order.price, leaves_qty: order.leaves_qty };
                    let place = view.definition.instrument.0 as usize - 1;
                    let set = board.set(place, side, order.order_id, now);
                    set.expect("an empty level takes every order");
                }
            }
        }
        board
    }

    /// Takes a frame of the journal.
    ///
    /// # Errors
    /// The frame is an event, and none that this program knows, or one that the board contradicts.
    pub fn apply(&mut self, frame: &Frame<'_>) -> Result<(), BoardError> {
        if frame.group_frames > 0 {
            self.group_left = frame.group_frames;
        }
        self.group_left = self.group_left.saturating_sub(1);
        self.time_ns = frame.time_ns;
        if frame.kind != Execution::KIND && frame.kind != StatusChanged::KIND {
            return Ok(());
        }
        match Event::decode(frame.kind, frame.payload)? {
            Event::Execution(execution) => self.execute(&execution, frame.time_ns)?,
            Event::StatusChanged(changed) => {
                if let Some(listed) =
                    self.instruments.get_mut((changed.instrument.0 as usize).wrapping_sub(1))
                {
                    listed.view.status = changed.status;
                    listed.version += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the last frame ended a group: between groups books are as the engine has left them.
    pub fn is_whole(&self) -> bool {
        self.group_left == 0
    }

    /// Whether trades are to be told now, lest some are forgotten untold.
    pub fn has_many_trades(&self) -> bool {
        self.fresh_trades > TRADES_KEPT / 2
    }

    /// All trades up to now are told, where somebody reads.
    pub fn note_told(&mut self) {
        self.fresh_trades = 0;
        for listed in &mut self.instruments {
            listed.trades_before = listed.trade_count;
        }
    }

    /// Time of the last frame, ns since 1970.
    pub fn time_ns(&self) -> u64 {
        self.time_ns
    }

    /// Instruments in the order of their ids.
    pub fn instruments(&self) -> &[Listed] {
        &self.instruments
    }

    /// The instrument at a place.
    pub fn listed_mut(&mut self, place: usize) -> &mut Listed {
        &mut self.instruments[place]
    }

    fn execute(&mut self, execution: &Execution, time_ns: u64) -> Result<(), BoardError> {
        let place = (execution.instrument.0 as usize).wrapping_sub(1);
        if execution.exec_type == ExecType::OrderStatus || place >= self.instruments.len() {
            return Ok(());
        }
        // Both sides report a trade; the maker's report comes first.
        if execution.last_liquidity == LastLiquidity::Added
            && execution.exec_type == ExecType::Trade
        {
            let fresh = self.instruments[place].add_trade(execution, time_ns);
            self.fresh_trades = self.fresh_trades.max(fresh);
        }
        // An order is counted from its acceptance on: what it takes from the other side at once, or what of
        // it is canceled at once, goes again before the group is over.
        let rests = execution.ord_type == OrdType::Limit
            && matches!(execution.time_in_force, TimeInForce::Day | TimeInForce::Gtc);
        let lives = matches!(execution.ord_status, OrdStatus::New | OrdStatus::PartiallyFilled);
        let now = match rests && lives {
            true => Resting { price: execution.price, leaves_qty: execution.leaves_qty },
            false => Resting::default(),
        };
        self.set(place, execution.side, execution.order_id, now)
    }

    /// What rests of an order from now on.
    fn set(
        &mut self,
        place: usize,
        side: Side,
        order_id: OrderId,
        now: Resting,
    ) -> Result<(), BoardError> {
        let slot = order_id.slot() as usize;
        if slot >= self.resting.len() {
            if now.leaves_qty == 0 {
                return Ok(());
            }
            self.resting.resize(slot + 1, Resting::default());
        }
        let before = std::mem::replace(&mut self.resting[slot], now);
        if before.leaves_qty == 0 && now.leaves_qty == 0 {
            return Ok(());
        }
        let listed = &mut self.instruments[place];
        listed.version += 1;
        let levels = &mut listed.sides[index(side)];
        if before.leaves_qty > 0 {
            let rest = levels.get(&before.price).and_then(|level| level.without(before.leaves_qty));
            match rest.ok_or(BoardError::Inconsistent)? {
                Level { orders: 0, .. } => levels.remove(&before.price),
                rest => levels.insert(before.price, rest),
            };
        }
        if now.leaves_qty > 0 {
            let level = levels.entry(now.price).or_default();
            level.qty += now.leaves_qty as u128;
            level.orders += 1;
        }
        Ok(())
    }
}

impl Level {
    /// The level without one of its orders, unless they do not go together.
    fn without(self, leaves_qty: i64) -> Option<Self> {
        let qty = self.qty.checked_sub(leaves_qty as u128)?;
        let orders = self.orders.checked_sub(1)?;
        ((orders == 0) == (qty == 0)).then_some(Self { qty, orders })
    }
}

fn index(side: Side) -> usize {
    match side {
        Side::Buy => 0,
        Side::Sell => 1,
    }
}

impl Listed {
    fn new(view: InstrumentView, depth_max: usize) -> Self {
        Self {
            view,
            depth_max,
            sides: [BTreeMap::new(), BTreeMap::new()],
            version: 0,
            trades: VecDeque::new(),
            trade_count: 0,
            trades_before: 0,
            cache: [Vec::new(), Vec::new()],
            cached: None,
        }
    }

    /// Counts what has changed.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Symbol (55).
    pub fn symbol(&self) -> &[u8] {
        self.view.definition.symbol.as_bytes()
    }

    /// Status as a message tells it.
    pub fn status(&self) -> TradingStatus {
        translate::trading_status(Some(&self.view))
    }

    /// Trades since the start.
    pub fn trade_count(&self) -> u64 {
        self.trade_count
    }

    /// Trades behind the first `told`, as far as they are remembered, the oldest first.
    pub fn trades_since(&self, told: u64) -> impl ExactSizeIterator<Item = Trade> + use<'_> {
        let kept = self.trades.len() as u64;
        let wanted = self.trade_count.saturating_sub(told).min(kept);
        self.trades.range((kept - wanted) as usize..).copied()
    }

    fn add_trade(&mut self, execution: &Execution, time_ns: u64) -> usize {
        if self.trades.len() == TRADES_KEPT {
            self.trades.pop_front();
        }
        self.trades.push_back(translate::trade(execution, Timestamp(time_ns)));
        self.trade_count += 1;
        self.version += 1;
        (self.trade_count - self.trades_before) as usize
    }

    /// The levels of both sides, bids and offers, best first, as many as are told at the most.
    pub fn levels(&mut self) -> [&[PriceLevel]; 2] {
        if self.cached != Some(self.version) {
            self.cached = Some(self.version);
            let definition = &self.view.definition;
            let told = |(price, level): (&i64, &Level)| {
                translate::price_level(definition, *price, level.qty, level.orders)
            };
            let [bids, offers] = &mut self.cache;
            bids.clear();
            bids.extend(self.sides[0].iter().rev().take(self.depth_max).map(told));
            offers.clear();
            offers.extend(self.sides[1].iter().take(self.depth_max).map(told));
        }
        [&self.cache[0], &self.cache[1]]
    }
}
