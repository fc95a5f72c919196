//! What a report draws, beside the moments that it is drawn of.

mod common;

use common::{AAPL, C1, C2, MSFT, START_NS, STEP_NS, Script, index, story_in};
use ironbook_engine::{Event, ExecType, LastLiquidity, Side};
use ironbook_incident::{
    index::Index,
    moment::Moment,
    picture::{Columns, activity, depths},
    question::Span,
};

fn span(index: &Index) -> Span {
    Span { first: index.first_sequence(), last: index.last_sequence() }
}

/// Columns of five commands.
fn columns(index: &Index) -> Columns {
    let (first_ns, last_ns) = (index.first_time_ns(), index.last_time_ns());
    let width_ns = 5 * STEP_NS;
    let count = ((last_ns - first_ns) / width_ns + 1) as usize;
    Columns { first_ns, width_ns, count }
}

#[test]
fn a_column_is_the_book_behind_its_first_input() {
    let dir = common::memory_dir();
    let mut day = Script::new(dir.path());
    day.order((C1, "low"), AAPL, Side::Buy, (7, 9_990));
    day.order((C1, "far"), AAPL, Side::Buy, (9, 1));
    day.wait(5 * STEP_NS);
    day.order((C2, "more"), AAPL, Side::Buy, (3, 9_991));
    day.wait(40 * STEP_NS);
    story_in(day);
    let index = index(dir.path());
    let columns = columns(&index);
    let [aapl, msft]: [_; 2] =
        depths(&index, span(&index), columns, &[AAPL, MSFT]).unwrap().try_into().unwrap();
    assert_eq!(msft.best, vec![(None, None); columns.count], "nothing came in MSFT");
    let mut moment = Moment::before(&index, index.first_sequence()).unwrap();
    let (mut last, mut checked) = (None, 0);
    while moment.step().unwrap() {
        let column = columns.at(moment.time_ns());
        if last == Some(column) {
            continue;
        }
        let skipped = last.map_or(0, |last| last + 1)..column;
        last = Some(column);
        let Some(book) = moment.engine().and_then(|engine| engine.book(AAPL)) else { continue };
        let best = |side| book.best(side).map(|level| level.price);
        assert_eq!(aapl.best[column], (best(Side::Buy), best(Side::Sell)), "column {column}");
        let (low, high) = aapl.prices;
        let both = book.levels(Side::Buy).chain(book.levels(Side::Sell));
        let inside = both.filter(|level| (low..=high).contains(&level.price));
        let cells = &aapl.cells[column * aapl.rows..][..aapl.rows];
        assert_eq!(cells.iter().sum::<u128>(), inside.map(|level| level.qty()).sum::<u128>());
        // Where nothing came it is as before.
        for column in skipped.filter(|column| *column > 0) {
            assert_eq!(aapl.best[column], aapl.best[column - 1]);
            checked += 1;
        }
    }
    assert!(checked >= 7, "{checked} columns without an input");
    let traded: i128 = aapl.dots.values().map(|dot| dot.bought + dot.sold).sum();
    assert_eq!((traded, aapl.outside), (405, 0));
}

#[test]
fn rates_add_up_and_gaps_are_the_longest() {
    const SECOND_NS: u64 = 1_000_000_000;
    let dir = common::memory_dir();
    let mut day = Script::new(dir.path());
    for gap in [1, 7, 2, 3, 9, 4, 5] {
        day.order((C2, &format!("g{gap}")), AAPL, Side::Buy, (1, 100));
        day.wait(gap * SECOND_NS);
    }
    story_in(day);
    let index = index(dir.path());
    let columns = Columns::over(index.first_time_ns(), index.last_time_ns());
    let found = activity(&index, span(&index), columns).unwrap();
    let lengths: Vec<_> = found.gaps.iter().map(|gap| gap.length_ns / SECOND_NS).collect();
    assert_eq!(lengths, [7, 3, 9, 4, 5], "in the sequence of the journal");
    assert_eq!(found.gaps[0].time_ns, START_NS + 8 * STEP_NS + SECOND_NS);
    let sum = |of: fn(&ironbook_incident::picture::Rates) -> u64| -> u64 {
        found.rates.iter().map(of).sum()
    };
    let (mut trades, mut rejects, mut requests) = (0, 0, 0);
    let mut moment = Moment::before(&index, index.first_sequence()).unwrap();
    while moment.step().unwrap() {
        for entry in moment.entries() {
            match entry.content {
                ironbook_incident::show::Content::Event(event) => match *event {
                    Event::Execution(event) if event.exec_type == ExecType::Trade => {
                        trades += u64::from(event.last_liquidity == LastLiquidity::Removed);
                    }
                    Event::OrderRejected(_) | Event::CancelRejected(_) => rejects += 1,
                    _ => {}
                },
                ironbook_incident::show::Content::Command(command) => {
                    let origin = command.origin().filter(|origin| origin.session.0 != 0);
                    requests += u64::from(origin.is_some());
                }
                _ => {}
            }
        }
    }
    assert_eq!(sum(|rates| rates.trades), trades);
    assert_eq!(sum(|rates| rates.rejects), rejects);
    assert_eq!(sum(|rates| rates.requests), requests);
    assert!(trades > 0 && rejects > 0);
}
