//! What rested in a book over time, as a heat map under the best prices and the trades.

use std::fmt::Write as _;

use ironbook_incident::picture::Depth;

use crate::chart::{Axis, Line, Plot, Scale, draw_over};

/// Shades from little to much; grey and not dark, so that lines and trades stand out.
const SHADES: [&str; 7] =
    ["#f3f3f3", "#e6e6e6", "#d6d6d6", "#c4c4c4", "#b1b1b1", "#9c9c9c", "#868686"];
/// Trades that buyers took, and that sellers took; told apart by people who see fewer colors.
const BOUGHT: &str = "#00704f";
const SOLD: &str = "#c51b7d";
/// Radius of a trade, from the smallest to the largest, in pixels.
const RADIUS: (f64, f64) = (1.8, 5.0);

/// Draws a book over time.
pub(super) fn draw(symbol: &str, depth: &Depth) -> String {
    let columns = depth.columns;
    let seconds = |column: usize| columns.seconds(column);
    let prices = Scale::Between(depth.price(0), depth.price(depth.rows));
    let time = Scale::Between(0.0, seconds(columns.count));
    let x = Axis { name: super::html::SECONDS, scale: time, mark: super::html::short };
    let y = Axis { name: "price", scale: prices, mark: super::html::short };
    let line = |name: &str, best: &dyn Fn(usize) -> Option<i64>| {
        let points = (0..columns.count).filter_map(|column| {
            let price = depth.unit(best(column)? as f64);
            Some([(seconds(column), price), (seconds(column + 1), price)])
        });
        Line { name: name.to_owned(), dashed: false, points: points.flatten().collect() }
    };
    let lines = [
        line("best bid", &|column| depth.best[column].0),
        line("best ask", &|column| depth.best[column].1),
    ];
    draw_over(symbol, &x, &y, &lines, |plot| cells(depth, plot) + &dots(depth, plot))
}

/// A path for each shade: cells of a row that have the same one and follow each other are one box.
fn cells(depth: &Depth, plot: &Plot) -> String {
    let most = depth.cells.iter().copied().max().unwrap_or(0);
    let mut paths: [String; SHADES.len()] = Default::default();
    for row in 0..depth.rows {
        let (top, bottom) = (plot.at_y(depth.price(row + 1)), plot.at_y(depth.price(row)));
        let shade_at = |column: usize| shade(depth.cells[column * depth.rows + row], most);
        let mut column = 0;
        while column < depth.columns.count {
            let (from, here) = (column, shade_at(column));
            while column < depth.columns.count && shade_at(column) == here {
                column += 1;
            }
            let Some(here) = here else { continue };
            let left = plot.at_x(depth.columns.seconds(from));
            let width = plot.at_x(depth.columns.seconds(column)) - left;
            let _ = write!(
                paths[here],
                "M{left:.1} {top:.1}h{width:.1}v{:.1}h-{width:.1}z",
                bottom - top
            );
        }
    }
    let mut out = String::new();
    for (path, color) in paths.iter().zip(SHADES).filter(|(path, _)| !path.is_empty()) {
        let _ = writeln!(out, "<path d=\"{path}\" fill=\"{color}\"/>");
    }
    out
}

/// The shade of a quantity: one less for each half of the most.
fn shade(qty: u128, most: u128) -> Option<usize> {
    let halvings = (most / qty.max(1)).max(1).ilog2() as usize;
    (qty > 0).then(|| (SHADES.len() - 1).saturating_sub(halvings))
}

/// A circle for each cell with trades: its area goes with their quantity.
fn dots(depth: &Depth, plot: &Plot) -> String {
    let qty = |bought: i128, sold: i128| (bought + sold).unsigned_abs() as f64;
    let most = depth.dots.values().map(|dot| qty(dot.bought, dot.sold)).fold(1.0, f64::max);
    let mut out = String::new();
    for (&(column, row), dot) in &depth.dots {
        let middle = (depth.price(row) + depth.price(row + 1)) / 2.0;
        let half = depth.columns.width_ns as f64 / 2e9;
        let x = plot.at_x(depth.columns.seconds(column) + half);
        let share = (qty(dot.bought, dot.sold) / most).sqrt();
        let radius = RADIUS.0 + (RADIUS.1 - RADIUS.0) * share;
        let color = if dot.bought >= dot.sold { BOUGHT } else { SOLD };
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\" fill=\"{color}\" stroke=\"#fff\" \
             stroke-width=\".5\"/>",
            plot.at_y(middle)
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_are_halvings() {
        assert_eq!(shade(0, 100), None);
        assert_eq!(shade(100, 100), Some(6));
        assert_eq!((shade(51, 100), shade(50, 100)), (Some(6), Some(5)));
        assert_eq!(shade(1, 1 << 40), Some(0));
    }
}
