//! What a client was told, and what he is to be told next: the difference between that and the board.
//!
//! Nothing is queued for anybody. Whenever a client has room for more he is told the net change since he was
//! told last, so one who reads slowly gets fewer and larger steps to the same book.

use ironbook_fix::{
    market_data::{
        BookSide, Change, EntryTypes, MarketDataRequest, PriceLevel, SNAPSHOT_TRADES_MAX, Trade,
        UpdateAction, UpdateType,
    },
    reference::{SubscriptionRequestType, TradingStatus},
};

use super::board::Listed;

/// A request for market data that is not done with.
#[derive(Debug)]
pub struct Subscription {
    /// MDReqID (262)
    pub req_id: Vec<u8>,
    /// How changes are told; none when they are not.
    pub updates: Option<UpdateType>,
    depth: usize,
    entry_types: EntryTypes,
    /// What it is about.
    pub books: Vec<Followed>,
    /// The book that is told of first the next time, so that each has its turn.
    pub next: usize,
}

/// An instrument of a subscription.
#[derive(Debug)]
pub struct Followed {
    /// Its place on the board.
    pub place: usize,
    /// None before the first snapshot.
    told: Option<Told>,
}

/// What a client knows of an instrument.
#[derive(Debug, Default)]
struct Told {
    version: u64,
    /// His bids and offers.
    levels: [Vec<PriceLevel>; 2],
    /// Trades of the instrument, up to the last one that he was told of.
    trades: u64,
    /// Entries of incremental refreshes.
    rpt_seq: u64,
}

/// What is to be told.
#[derive(Debug, Default)]
pub struct Refresh {
    /// Bids and offers.
    pub levels: [Vec<PriceLevel>; 2],
    /// Trades, the last one last.
    pub trades: Vec<Trade>,
    /// RptSeq (83)
    pub rpt_seq: u64,
}

impl Subscription {
    /// One that nobody was told of yet; `depth` is at least one.
    pub fn new(request: &MarketDataRequest<'_>, depth: usize, places: Vec<usize>) -> Self {
        let updates = request.request_type == SubscriptionRequestType::Subscribe;
        Self {
            req_id: request.req_id.to_vec(),
            updates: updates.then_some(request.update_type),
            depth,
            entry_types: request.entry_types,
            books: places.into_iter().map(|place| Followed { place, told: None }).collect(),
            next: 0,
        }
    }

    /// Whether a snapshot of an instrument is due that was never told.
    pub fn is_new(&self, book: usize) -> bool {
        self.books[book].told.is_none()
    }

    /// Whether there may be something to tell of an instrument.
    pub fn lags(&self, book: usize, listed: &Listed) -> bool {
        let told = self.books[book].told.as_ref();
        told.is_none_or(|told| told.version != listed.version())
    }

    /// What the client sees of an instrument's book now.
    fn view<'a>(&self, listed: &'a mut Listed) -> [&'a [PriceLevel]; 2] {
        let shown = [self.entry_types.bids, self.entry_types.offers];
        let levels = listed.levels();
        let seen = |at: usize| match shown[at] {
            true => &levels[at][..levels[at].len().min(self.depth)],
            false => &[],
        };
        [seen(0), seen(1)]
    }

    /// Fills in a snapshot; whether the client does not know all of it yet.
    pub fn refresh(&mut self, book: usize, listed: &mut Listed, refresh: &mut Refresh) -> bool {
        let view = self.view(listed);
        for (copy, levels) in refresh.levels.iter_mut().zip(view) {
            copy.clear();
            copy.extend_from_slice(levels);
        }
        refresh.trades.clear();
        let told = &mut self.books[book].told;
        let trade_count = listed.trade_count();
        if self.entry_types.trades {
            // Of what was before his request, the last one.
            let before = told.as_ref().map_or(trade_count.saturating_sub(1), |told| told.trades);
            let behind = listed.trades_since(before);
            let skipped = behind.len().saturating_sub(SNAPSHOT_TRADES_MAX);
            refresh.trades.extend(behind.skip(skipped));
        }
        let is_news = told.as_ref().is_none_or(|told| told.levels != refresh.levels)
            || !refresh.trades.is_empty();
        let told = told.get_or_insert_default();
        told.version = listed.version();
        told.trades = trade_count;
        told.levels.clone_from(&refresh.levels);
        refresh.rpt_seq = told.rpt_seq;
        is_news
    }

    /// Appends what has changed since the client was told last, with the number of each entry: trades, and
    /// where the board `is_whole` his book. Before the first snapshot there is nothing.
    pub fn changes(
        &mut self,
        book: usize,
        listed: &mut Listed,
        is_whole: bool,
        changes: &mut Vec<(usize, u64, Change)>,
    ) {
        let view = self.view(listed).map(<[PriceLevel]>::to_vec);
        let Followed { place, told: Some(told) } = &mut self.books[book] else { return };
        let Told { version, levels, trades, rpt_seq } = told;
        let mut add = |change| {
            *rpt_seq += 1;
            changes.push((*place, *rpt_seq, change));
        };
        if self.entry_types.trades {
            listed.trades_since(*trades).map(Change::Trade).for_each(&mut add);
        }
        *trades = listed.trade_count();
        if !is_whole {
            return;
        }
        *version = listed.version();
        for (side, (before, now)) in SIDES.into_iter().zip(levels.iter_mut().zip(view)) {
            tell_side(side, before, &now, &mut add);
            *before = now;
        }
    }
}

const SIDES: [BookSide; 2] = [BookSide::Bid, BookSide::Offer];

/// What makes one side of another: levels that go come first, so that there are never more than the depth.
fn tell_side(
    side: BookSide,
    before: &[PriceLevel],
    now: &[PriceLevel],
    mut add: impl FnMut(Change),
) {
    for level in before.iter().filter(|level| find(side, now, level).is_none()) {
        add(Change::Level(UpdateAction::Delete, side, *level));
    }
    for level in now {
        match find(side, before, level) {
            None => add(Change::Level(UpdateAction::New, side, *level)),
            Some(known) if known != level => {
                add(Change::Level(UpdateAction::Change, side, *level));
            }
            Some(_) => {}
        }
    }
}

/// The level at the price of another.
fn find<'a>(
    side: BookSide,
    levels: &'a [PriceLevel],
    wanted: &PriceLevel,
) -> Option<&'a PriceLevel> {
    let found = levels.binary_search_by(|level| {
        let order = level.price.mantissa.cmp(&wanted.price.mantissa);
        if side == BookSide::Bid { order.reverse() } else { order }
    });
    found.ok().map(|at| &levels[at])
}

/// A request for the status of an instrument that is not done with.
#[derive(Debug)]
pub struct StatusSubscription {
    /// SecurityStatusReqID (324)
    pub req_id: Vec<u8>,
    /// Symbol (55) as it was asked for.
    pub symbol: Vec<u8>,
    /// Its place on the board, if there is such an instrument.
    pub place: Option<usize>,
    /// Whether changes are told.
    pub updates: bool,
    /// What was told last.
    pub told: Option<TradingStatus>,
}
