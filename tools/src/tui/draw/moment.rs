//! A moment: the book with what changed, the sessions, the input and its events, and those before.

use std::cmp::Reverse;

use ironbook_engine::Side;
use ironbook_incident::{
    book::{Change, LevelView},
    text::{grouped, utc},
    view::SessionRow,
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize as _},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{clock, cut, draw_rows, heading, wrapped};
use crate::tui::{
    app::{App, Screen},
    desk::{Row, Scene},
};

/// Lines that say where one is.
const PLACE: u16 = 2;
/// Lines for levels that changed.
const CHANGES: u16 = 2;
/// Lines for all of the row that is chosen.
const DETAIL: u16 = 3;
/// Columns that sessions need; where the ladder leaves fewer, they are not shown.
const SESSIONS: u16 = 16;
/// Columns that a comp id has, before numbers have room.
const NAME_MIN: usize = 8;

pub fn draw(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let Some(scene) = &app.scene else {
        let text = "There is no moment: / goes to a place.";
        return frame.render_widget(text, area);
    };
    let events = area.height.saturating_sub(PLACE) / 2 + 1;
    let parts = [PLACE, 0, CHANGES, events].map(|rows| match rows {
        0 => Constraint::Fill(1),
        rows => Constraint::Length(rows),
    });
    let [place, middle, changes, events] = Layout::vertical(parts).areas(area);
    frame.render_widget(place_lines(scene), place);
    let ladder = ladder(scene, usize::from(middle.height));
    let width = ladder.iter().map(Line::width).max().unwrap_or(0) as u16;
    let parts = [Constraint::Length(width + super::GAP), Constraint::Fill(1)];
    let [left, right] = Layout::horizontal(parts).areas(middle);
    frame.render_widget(Paragraph::new(ladder), left);
    if right.width >= SESSIONS {
        draw_sessions(frame, &scene.view.sessions, right);
    }
    let book = scene.book.as_ref();
    let changed = book.map_or(&[][..], |book| &book.changes);
    frame.render_widget(change_lines(changed, usize::from(CHANGES)), changes);
    draw_events(frame, app, scene, events);
}

fn place_lines(scene: &Scene) -> Paragraph<'static> {
    let view = &scene.view;
    let live = grouped(view.live_orders);
    Paragraph::new(vec![
        Line::from(vec![
            format!("Sequence {}", grouped(view.sequence)).bold(),
            format!("  {}", utc(view.time_ns)).into(),
        ]),
        Line::from(format!(
            "{} at {}  {live} orders live  state {:016x}",
            view.segment,
            grouped(view.offset),
            view.state_hash
        ))
        .dim(),
    ])
}

/// The book, as wide as its longest numbers: none of them is cut.
fn ladder(scene: &Scene, height: usize) -> Vec<Line<'static>> {
    let Some(book) = &scene.book else { return vec![Line::from("No instrument is defined yet.")] };
    let pinned = if scene.is_pinned { ", stays" } else { "" };
    let title = format!(
        "{} ({}, {} live orders{pinned})",
        book.symbol,
        book.status,
        grouped(book.live_orders)
    );
    let levels = height.saturating_sub(2);
    let (bids, asks) =
        (&book.bids[..book.bids.len().min(levels)], &book.asks[..book.asks.len().min(levels)]);
    let widest = |least: usize, of: fn(&LevelView) -> usize| {
        bids.iter().chain(asks).map(of).max().unwrap_or(0).max(least)
    };
    let widths = [
        widest(6, |level| level.orders.to_string().len()),
        widest(9, |level| level.qty.len()),
        widest(9, |level| level.price.len()),
    ];
    let mut lines = vec![heading(title)];
    lines.push(
        level_line(&["orders", "qty", "bid"], &["ask", "qty", "orders"], widths, [false; 2]).dim(),
    );
    for number in 0..bids.len().max(asks.len()) {
        let bid = bids.get(number).map(words).unwrap_or_default();
        let [orders, qty, price] = asks.get(number).map(words).unwrap_or_default();
        let is_changed = [
            bids.get(number).is_some_and(|level| book.is_changed(Side::Buy, level)),
            asks.get(number).is_some_and(|level| book.is_changed(Side::Sell, level)),
        ];
        let bid = [&*bid[0], &*bid[1], &*bid[2]];
        lines.push(level_line(&bid, &[&price, &qty, &orders], widths, is_changed));
    }
    let left = |side: &[LevelView]| side.len().saturating_sub(levels);
    let (bids, asks) = (left(&book.bids), left(&book.asks));
    if bids + asks > 0 {
        lines[0].push_span(Span::raw(format!("  {bids} | {asks} levels below")));
    }
    lines
}

fn words(level: &LevelView) -> [String; 3] {
    [level.orders.to_string(), level.qty.clone(), level.price.clone()]
}

fn level_line(
    bid: &[&str; 3],
    ask: &[&str; 3],
    [orders, qty, price]: [usize; 3],
    is_changed: [bool; 2],
) -> Line<'static> {
    let mark = |changed| if changed { "*" } else { " " };
    let left =
        format!("{}{:>orders$} {:>qty$} {:>price$}", mark(is_changed[0]), bid[0], bid[1], bid[2]);
    let right =
        format!("{:<price$} {:<qty$} {:<orders$}{}", ask[0], ask[1], ask[2], mark(is_changed[1]));
    let style =
        |changed| if changed { Style::new().fg(Color::Yellow).bold() } else { Style::new() };
    Line::from(vec![
        Span::styled(left, style(is_changed[0])),
        Span::raw(" | "),
        Span::styled(right, style(is_changed[1])),
    ])
}

/// What changed, with what was there before.
fn change_lines(changes: &[Change], rows: usize) -> Paragraph<'static> {
    let mut lines: Vec<_> = changes.iter().map(|change| Line::from(change.to_string())).collect();
    if lines.len() > rows {
        let more = lines.len() + 1 - rows;
        lines.truncate(rows - 1);
        lines.push(Line::from(format!("* and {more} levels more")));
    }
    Paragraph::new(lines)
}

/// Sessions, the busiest first; where there is no room for a column, it is left out.
fn draw_sessions(frame: &mut Frame<'_>, sessions: &[SessionRow], area: Rect) {
    let mut busiest: Vec<_> = sessions.iter().collect();
    busiest.sort_by_key(|row| Reverse(row.next_in + row.next_out));
    let mut columns = vec![
        column("live", &busiest, |row| row.live_orders.into()),
        column("in", &busiest, |row| row.next_in),
        column("out", &busiest, |row| row.next_out),
    ];
    let width = usize::from(area.width);
    let taken = |columns: &[Column]| columns.iter().map(|(width, _)| width + 1).sum::<usize>();
    while columns.len() > 1 && taken(&columns) + NAME_MIN > width {
        columns.pop();
    }
    let name = width.saturating_sub(taken(&columns));
    let row = |number: usize, comp_id: &str| {
        let numbers = columns.iter().map(|(width, words)| format!(" {:>width$}", words[number]));
        Line::from(format!("{:<name$}{}", cut(comp_id, name), numbers.collect::<String>()))
    };
    let mut lines = vec![heading(format!("{} sessions", sessions.len())), row(0, "").dim()];
    lines.extend(busiest.iter().enumerate().map(|(at, session)| row(at + 1, &session.comp_id)));
    let shown = usize::from(area.height);
    if lines.len() > shown {
        let more = lines.len() + 1 - shown;
        lines.truncate(shown - 1);
        lines.push(Line::from(format!("and {more} more")));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// A column of numbers under its name, and how wide it is.
type Column = (usize, Vec<String>);

fn column(name: &str, rows: &[&SessionRow], of: fn(&SessionRow) -> u64) -> Column {
    let numbers = rows.iter().map(|row| of(row).to_string());
    let words: Vec<_> = [name.to_owned()].into_iter().chain(numbers).collect();
    (words.iter().map(String::len).max().unwrap_or(0), words)
}

fn draw_events(frame: &mut Frame<'_>, app: &App, scene: &Scene, area: Rect) {
    let parts = [Constraint::Length(1), Constraint::Fill(1), Constraint::Length(DETAIL)];
    let [title, list, detail] = Layout::vertical(parts).areas(area);
    let here = scene.rows.iter().filter(|row| row.is_here).count();
    let events = here.saturating_sub(1);
    let before = scene.rows.len() - here;
    let plural = if events == 1 { "" } else { "s" };
    let text =
        format!("> the input and its {events} event{plural}, behind the last {before} events");
    frame.render_widget(heading(text), title);
    let (chosen, width) = (app.chosen(Screen::Moment), usize::from(area.width));
    let rows = scene.rows.iter().map(|row| row_line(row, scene.view.sequence, width));
    draw_rows(frame, list, chosen, rows);
    if let Some(row) = scene.rows.get(chosen) {
        let text = format!("{} {}: {}", clock(row.time_ns), row.name, row.text);
        let mut lines = wrapped(&text, width);
        let shown = usize::from(DETAIL);
        if lines.len() > shown {
            lines[shown - 1] = cut(&lines[shown - 1..].join(" "), width);
            lines.truncate(shown);
        }
        let lines: Vec<_> = lines.into_iter().map(Line::from).collect();
        frame.render_widget(Paragraph::new(lines).fg(Color::Cyan), detail);
    }
}

fn row_line(row: &Row, sequence: u64, width: usize) -> Line<'static> {
    let mark = match (row.is_here, row.sequence == sequence) {
        (_, true) => "=>",
        (true, _) => " >",
        _ => "  ",
    };
    let line = Line::from(cut(&format!("{mark} {:>9} {}", row.sequence, row.text), width));
    if row.is_here { line.bold() } else { line.dim() }
}
