//! What rested in a book over time, and where trades were.

use std::collections::BTreeMap;

use ironbook_engine::{
    Engine, Event, ExecType, InstrumentId, LastLiquidity, Side, event::Execution,
};

use super::Columns;
use crate::{
    Fault,
    index::Index,
    moment::Moment,
    place,
    question::{Span, scan},
};

/// Rows of prices that are drawn.
const ROWS: usize = 64;
/// Prices of which the range is made; of more trades every second one is taken, and so on.
const PRICES_MAX: usize = 1 << 14;
/// The range leaves out so many of a thousand prices at either end: a trade far away would leave no room
/// for the others.
const OUTSIDE_PER_MILLE: usize = 5;

/// What rested in a book over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Depth {
    /// The instrument.
    pub instrument: InstrumentId,
    /// Its columns.
    pub columns: Columns,
    /// Lowest and highest price, mantissas.
    pub prices: (i64, i64),
    /// Decimals of prices.
    pub price_scale: u8,
    /// Rows of prices.
    pub rows: usize,
    /// What rested behind the first input of each column, of a column after the other, lowest row first:
    /// quantity mantissas. A column in which nothing came is as the one before it.
    pub cells: Vec<u128>,
    /// Best bid and ask of each column.
    pub best: Vec<(Option<i64>, Option<i64>)>,
    /// Trades by column and row.
    pub dots: BTreeMap<(usize, usize), Dot>,
    /// Trades outside the range, which are in the first and the last row too.
    pub outside: u64,
}

/// Trades of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dot {
    /// What buyers took.
    pub bought: i128,
    /// What sellers took.
    pub sold: i128,
}

/// The depth of some books over a part of a journal, which is played back for it.
///
/// # Errors
/// [`Fault`]: the journal can't be read.
pub fn depths(
    index: &Index,
    span: Span,
    columns: Columns,
    instruments: &[InstrumentId],
) -> Result<Vec<Depth>, Fault> {
    let mut samples: BTreeMap<_, Prices> =
        instruments.iter().map(|instrument| (*instrument, Prices::default())).collect();
    scan(index, &[], span, |frame| {
        if let Some(Event::Execution(event)) = place::event(frame)
            && event.exec_type == ExecType::Trade
            && let Some(prices) = samples.get_mut(&event.instrument)
        {
            prices.take(event.last_px);
        }
    })?;
    let mut moment = Moment::before(index, index.input_of(span.first)?)?;
    let mut found: Vec<_> = instruments
        .iter()
        .map(|instrument| Depth::new(*instrument, columns, samples[instrument].range()))
        .collect();
    let mut next = 0;
    while moment.sequence() < span.last && moment.step()? {
        let column = columns.at(moment.time_ns());
        for depth in &mut found {
            let Some(engine) = moment.engine() else { continue };
            if column >= next {
                depth.sample(engine, next, column);
            }
        }
        next = next.max(column + 1);
        for noted in moment.noted() {
            let Ok(Event::Execution(event)) = Event::decode(noted.kind, moment.payload(noted))
            else {
                continue;
            };
            let is_trade = event.last_liquidity == LastLiquidity::Removed;
            let depth = found.iter_mut().find(|depth| depth.instrument == event.instrument);
            if let Some(depth) = depth.filter(|_| is_trade) {
                depth.trade(&event, column);
            }
        }
    }
    Ok(found)
}

/// Prices of which a range is made, thinned out.
#[derive(Default)]
struct Prices {
    kept: Vec<i64>,
    seen: u64,
    /// Every so many-th is kept, as a power of two.
    stride: u32,
}

impl Prices {
    fn take(&mut self, price: i64) {
        if self.seen.trailing_zeros() >= self.stride || self.seen == 0 {
            self.kept.push(price);
            if self.kept.len() == PRICES_MAX {
                let mut number = 0;
                self.kept.retain(|_| {
                    number += 1;
                    number % 2 == 1
                });
                self.stride += 1;
            }
        }
        self.seen += 1;
    }

    /// From where most of them are, half as far again to both sides.
    fn range(&self) -> Option<(i64, i64)> {
        let mut sorted = self.kept.clone();
        sorted.sort_unstable();
        let cut = sorted.len() * OUTSIDE_PER_MILLE / 1_000;
        let (low, high) = (*sorted.get(cut)?, *sorted.get(sorted.len() - 1 - cut)?);
        let margin = ((high - low) / 2).max(low / 1_000).max(1);
        Some(((low - margin).max(0), high + margin))
    }
}

impl Depth {
    fn new(instrument: InstrumentId, columns: Columns, range: Option<(i64, i64)>) -> Self {
        let prices = range.unwrap_or((0, 1));
        // No more rows than there are prices.
        let rows = ROWS.min((prices.1 - prices.0 + 1) as usize);
        Self {
            instrument,
            columns,
            prices,
            price_scale: 0,
            rows,
            cells: vec![0; columns.count * rows],
            best: vec![(None, None); columns.count],
            dots: BTreeMap::new(),
            outside: 0,
        }
    }

    /// The row of a price, and whether the price is in the range.
    fn row(&self, price: i64) -> (usize, bool) {
        let (low, high) = self.prices;
        let at = price.clamp(low, high) - low;
        let row = i128::from(at) * self.rows as i128 / i128::from(high - low + 1);
        (row as usize, (low..=high).contains(&price))
    }

    /// Takes the book as that of the columns from `from` to `to`.
    fn sample(&mut self, engine: &Engine, from: usize, to: usize) {
        let (Some(view), Some(book)) =
            (engine.instrument(self.instrument), engine.book(self.instrument))
        else {
            return;
        };
        self.price_scale = view.definition.price_scale;
        // Nothing came in between: there it was as it was before.
        for column in from..to {
            if column > 0 {
                let (before, here) = self.cells.split_at_mut(column * self.rows);
                here[..self.rows].copy_from_slice(&before[(column - 1) * self.rows..]);
                self.best[column] = self.best[column - 1];
            }
        }
        let best = |side| book.best(side).map(|level| level.price);
        self.best[to] = (best(Side::Buy), best(Side::Sell));
        let (low, high) = self.prices;
        for side in [Side::Buy, Side::Sell] {
            let is_beyond = |price: i64| match side {
                Side::Buy => price < low,
                Side::Sell => price > high,
            };
            for level in book.levels(side).take_while(|level| !is_beyond(level.price)) {
                if let (row, true) = self.row(level.price) {
                    self.cells[to * self.rows + row] += level.qty();
                }
            }
        }
    }

    fn trade(&mut self, event: &Execution, column: usize) {
        let (row, inside) = self.row(event.last_px);
        self.outside += u64::from(!inside);
        let dot = self.dots.entry((column, row)).or_default();
        match event.side {
            Side::Buy => dot.bought += i128::from(event.last_qty),
            Side::Sell => dot.sold += i128::from(event.last_qty),
        }
    }

    /// The lowest price of a row, in the unit of prices; that of the row behind the last is the end.
    pub fn price(&self, row: usize) -> f64 {
        let (low, high) = self.prices;
        let mantissa = low as f64 + row as f64 * (high - low + 1) as f64 / self.rows as f64;
        self.unit(mantissa)
    }

    /// A price mantissa in the unit of prices.
    pub fn unit(&self, mantissa: f64) -> f64 {
        mantissa / 10_f64.powi(self.price_scale.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_leaves_out_what_is_far() {
        let mut prices = Prices::default();
        assert_eq!(prices.range(), None);
        (0..100_000).for_each(|number| prices.take(10_000 + number % 101));
        prices.take(1);
        prices.take(1_000_000);
        assert!(prices.kept.len() < PRICES_MAX);
        assert_eq!(prices.range(), Some((9_950, 10_150)));
    }

    #[test]
    fn rows_cover_the_range() {
        let columns = Columns::over(0, 1);
        let depth = Depth::new(InstrumentId(1), columns, Some((9_950, 10_150)));
        assert_eq!(depth.row(9_950), (0, true));
        assert_eq!(depth.row(10_150), (ROWS - 1, true));
        assert_eq!((depth.row(9_949), depth.row(i64::MAX)), ((0, false), (ROWS - 1, false)));
        assert_eq!(Depth::new(InstrumentId(1), columns, Some((7, 9))).rows, 3);
    }
}
