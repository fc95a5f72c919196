//! The journal from far: what it holds, whether it is whole, how busy it was when.

use ironbook_incident::text::{grouped, utc};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize as _},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{clock, cut, draw_bars, draw_rows, duration, heading, wrapped};
use crate::tui::{
    app::{App, Health, Screen},
    survey::{Happening, Survey},
};

/// Columns of labels beside bars.
const LABEL: u16 = 24;
/// Lines of bars.
const BARS: u16 = 2;
/// Lines of what is known and wrong at the most, so that the rates have room.
const FACTS_MAX: usize = 9;

pub fn draw(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let Some(health) = &app.health else { return };
    let survey = &app.survey;
    let facts = facts(health, survey, usize::from(area.width));
    let rates = 3 * BARS + 3;
    let parts =
        [Constraint::Length(facts.len() as u16), Constraint::Length(rates), Constraint::Fill(1)];
    let [top, middle, bottom] = Layout::vertical(parts).areas(area);
    frame.render_widget(Paragraph::new(facts), top);
    draw_rates(frame, survey, middle);
    draw_list(frame, app, bottom);
}

fn facts<'f>(health: &Health, survey: &Survey, width: usize) -> Vec<Line<'f>> {
    let mut lines = Vec::new();
    for damage in &health.damage {
        let label = if lines.is_empty() { "DAMAGED" } else { "" };
        lines.extend(labeled(label, damage, width).map(|line| line.fg(Color::Red).bold()));
    }
    for (label, text) in &health.lines {
        lines.extend(labeled(label, text, width));
    }
    if lines.len() >= FACTS_MAX {
        let more = lines.len() - (FACTS_MAX - 2);
        lines.truncate(FACTS_MAX - 2);
        lines.extend(labeled("", &format!("and {more} lines more: ironbook doctor"), width));
    }
    let so_far = if survey.is_done { "" } else { ", so far" };
    let counts = format!(
        "{} messages, {} rejects, {} trades in {}{so_far}",
        grouped(survey.messages),
        grouped(survey.rejects),
        grouped(survey.trades),
        duration(survey.span_ns()),
    );
    lines.extend(labeled("Counts", &counts, width));
    lines
}

fn labeled<'f>(label: &str, text: &str, width: usize) -> impl Iterator<Item = Line<'f>> {
    let texts = wrapped(text, width - 10).into_iter().enumerate();
    let label = label.to_owned();
    texts.map(move |(number, text)| {
        let label = if number == 0 { &*label } else { "" };
        Line::from(format!("{label:<10}{text}"))
    })
}

fn draw_rates(frame: &mut Frame<'_>, survey: &Survey, area: Rect) {
    let [title, area] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    let cells = match survey.frames {
        0 => String::new(),
        _ => format!(", the highest of each {} or more", duration(survey.cell_ns)),
    };
    frame.render_widget(heading(format!("Rates{cells}")), title);
    let split = [Constraint::Length(LABEL), Constraint::Fill(1)];
    let rows = [BARS, BARS, BARS, 1, 1].map(Constraint::Length);
    let rows: [Rect; 5] = Layout::vertical(rows).areas(area);
    let columns = usize::from(area.width - LABEL);
    let values = [
        ("msgs/s", survey.columns(columns, |cell| cell.messages)),
        ("rejects/s", survey.columns(columns, |cell| cell.rejects)),
        ("trades/s", survey.columns(columns, |cell| cell.trades)),
    ];
    for ((name, values), row) in values.into_iter().zip(rows) {
        let [left, right] = Layout::horizontal(split).areas(row);
        let highest = survey.rate(values.iter().copied().max().unwrap_or(0));
        let text = vec![Line::from(name), Line::from(format!("  max {}", grouped(highest))).dim()];
        frame.render_widget(Paragraph::new(text), left);
        draw_bars(frame, right, &values);
    }
    let [left, right] = Layout::horizontal(split).areas(rows[3]);
    frame.render_widget("Halt Trip Kill Open", left);
    frame.render_widget(marks(survey, columns), right);
    let [_, right] = Layout::horizontal(split).areas(rows[4]);
    if survey.frames > 0 {
        let [left, last] = Layout::horizontal([Constraint::Fill(1); 2]).areas(right);
        frame.render_widget(Line::from(clock(survey.first.1)).dim(), left);
        frame.render_widget(Line::from(clock(survey.last.1)).dim().right_aligned(), last);
    }
}

/// The line of marks: the first letter of each, the gravest where there are several.
fn marks(survey: &Survey, columns: usize) -> Line<'static> {
    let mut line: Vec<Option<Happening>> = vec![None; columns];
    for mark in &survey.marks {
        let place = &mut line[survey.column_of(mark.time_ns, columns)];
        *place = Some(place.map_or(mark.what, |other| other.min(mark.what)));
    }
    let span = |what: &Option<Happening>| match what {
        None => Span::raw(" "),
        Some(what) => Span::styled(letter(*what), Style::new().fg(color(*what)).bold()),
    };
    line.iter().map(span).collect::<Vec<_>>().into()
}

fn letter(what: Happening) -> &'static str {
    match what {
        Happening::Halt => "H",
        Happening::Trip => "T",
        Happening::Kill => "K",
        Happening::Open => "O",
    }
}

fn color(what: Happening) -> Color {
    match what {
        Happening::Halt => Color::Red,
        Happening::Trip => Color::Yellow,
        Happening::Kill => Color::Magenta,
        Happening::Open => Color::Green,
    }
}

/// Marks and silences, each of which leads to its moment.
fn draw_list(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let survey = &app.survey;
    let [title, area] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    let more = match survey.marks_left {
        0 => String::new(),
        left => format!(" and {} more", grouped(left)),
    };
    let text = format!("{} marks{more}, the longest silences", grouped(survey.marks.len() as u64));
    frame.render_widget(heading(text), title);
    let width = usize::from(area.width);
    let row = |what: &str, sequence: u64, time_ns: u64, text: &str| {
        let text = format!("{what} {:>11} {} {text}", grouped(sequence), utc(time_ns));
        Line::from(cut(&text, width))
    };
    let marks = survey.marks.iter();
    let marks = marks.map(|of| row(letter(of.what), of.sequence, of.time_ns, &of.text));
    let silences = survey.silences.iter().map(|of| {
        row("-", of.sequence, of.time_ns, &format!("after {} of silence", duration(of.ns)))
    });
    let rows: Vec<_> = marks.chain(silences).collect();
    draw_rows(frame, area, app.chosen(Screen::Triage), rows.into_iter());
}
