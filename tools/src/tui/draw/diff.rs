//! Two journals side by side, or a journal and what this program computes, around where they first differ.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Stylize as _},
    text::Line,
    widgets::Paragraph,
};

use super::{cut, cut_front, draw_rows, heading, wrapped};
use crate::tui::{
    app::{App, Screen},
    desk::{DiffCell, DiffRow},
};

/// Lines that say what the comparison came to at the most.
const FACTS_MAX: usize = 5;
/// Lines for all of one side of the row that is chosen.
const DETAIL: u16 = 3;
/// Between the two sides.
const BETWEEN: &str = " | ";

pub fn draw(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let Some(page) = &app.diff else {
        let text = "Nothing was compared yet: / asks for the directory of another journal,\n\
                    Enter computes this journal again and compares every event.";
        return frame.render_widget(Paragraph::new(text), area);
    };
    let width = usize::from(area.width);
    let mut facts: Vec<_> = page.lines.iter().flat_map(|line| wrapped(line, width)).collect();
    facts.truncate(FACTS_MAX);
    let parts = [facts.len() as u16, 1, 0, 2 * DETAIL].map(|rows| match rows {
        0 => Constraint::Fill(1),
        rows => Constraint::Length(rows),
    });
    let [top, title, middle, detail] = Layout::vertical(parts).areas(area);
    frame.render_widget(Paragraph::new(facts.into_iter().map(Line::from).collect::<Vec<_>>()), top);
    let side = (width - BETWEEN.len()) / 2;
    let names = [&app.journal, &page.other].map(|name| cut_front(name, side - 2));
    let names = format!("A {:<left$}{BETWEEN}B {}", names[0], names[1], left = side - 2);
    frame.render_widget(heading(names), title);
    let rows = page.rows.iter().map(|row| {
        let [a, b] = [&row.a, &row.b].map(|cell| words(cell.as_ref(), app.side, side));
        let line =
            Line::from(format!("{a:<side$}{}{b}", if row.is_same { BETWEEN } else { " # " }));
        if row.is_same { line } else { line.fg(Color::Yellow).bold() }
    });
    let chosen = app.chosen(Screen::Diff);
    draw_rows(frame, middle, chosen, rows.collect::<Vec<_>>().into_iter());
    if let Some(row) = page.rows.get(chosen) {
        draw_detail(frame, row, detail);
    }
}

/// A side of a row, moved as far as both are.
fn words(cell: Option<&DiffCell>, moved: usize, width: usize) -> String {
    let Some(cell) = cell else { return "-".to_owned() };
    let text: String = cell.text.chars().skip(moved).collect();
    cut(&format!("{:>8} {text}", cell.sequence), width)
}

/// Both sides of a row whole.
fn draw_detail(frame: &mut Frame<'_>, row: &DiffRow, area: Rect) {
    let parts = Layout::vertical([Constraint::Length(DETAIL); 2]).split(area);
    for ((label, cell), area) in [("A", &row.a), ("B", &row.b)].into_iter().zip(parts.iter()) {
        let text = cell.as_ref().map_or("nothing", |cell| &cell.text);
        let lines = wrapped(&format!("{label} {text}"), usize::from(area.width));
        let lines: Vec<_> = lines.into_iter().map(Line::from).collect();
        frame.render_widget(Paragraph::new(lines), *area);
    }
}
