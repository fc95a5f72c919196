//! How long commands took from the gateway to their frame.

use ironbook_incident::{
    question::latency::PERCENTILES,
    text::{grouped, utc},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Stylize as _,
    text::Line,
    widgets::Paragraph,
};

use super::{clock, draw_bars, draw_rows, duration, heading};
use crate::tui::app::{App, Screen};

/// Lines of bars.
const BARS: u16 = 4;

pub fn draw(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let survey = &app.survey;
    let latency = &survey.latency;
    let mut lines = vec![
        Line::from(
            "From a message read by the gateway to its command stamped by the core: what the",
        ),
        Line::from("journal holds of latency. Syncs, reports and the network are not in it."),
        Line::default(),
    ];
    let so_far = if survey.is_done { "" } else { ", so far" };
    lines.push(heading(format!("{} commands{so_far}", grouped(latency.waits.requests))));
    for ((name, _), ns) in PERCENTILES.iter().zip(latency.waits.ns) {
        if latency.waits.requests > 0 {
            lines.push(Line::from(format!("{name:<10}{:>12}", duration(ns))));
        }
    }
    let parts = [
        Constraint::Length(lines.len() as u16),
        Constraint::Length(1),
        Constraint::Length(BARS),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
    ];
    let [top, title, bars, axis, heads, list] = Layout::vertical(parts).areas(area);
    frame.render_widget(Paragraph::new(lines), top);
    let cell = duration(survey.cell_ns);
    frame.render_widget(heading(format!("The longest of each {cell} or more")), title);
    let values = survey.columns(usize::from(bars.width), |cell| cell.latency_ns);
    draw_bars(frame, bars, &values);
    if survey.frames > 0 {
        let [left, right] = Layout::horizontal([Constraint::Fill(1); 2]).areas(axis);
        frame.render_widget(Line::from(clock(survey.first.1)).dim(), left);
        frame.render_widget(Line::from(clock(survey.last.1)).dim().right_aligned(), right);
    }
    frame.render_widget(heading("The slowest"), heads);
    let rows = latency.slowest.iter().map(|slow| {
        let (ns, sequence) = (duration(slow.ns), grouped(slow.sequence));
        Line::from(format!("{ns:>12} {sequence:>13} {}", utc(slow.time_ns)))
    });
    draw_rows(frame, list, app.chosen(Screen::Latency), rows);
}
