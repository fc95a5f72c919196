//! How long commands took from the gateway to their frame.

use ironbook_incident::{
    question::{latency::PERCENTILES, stages::StageSum},
    text::{grouped, utc},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Stylize as _},
    text::Line,
    widgets::Paragraph,
};

use super::{clock, draw_bars, draw_rows, duration, heading, wrapped};
use crate::tui::{
    app::{App, Screen},
    survey::Stages,
};

/// Lines of bars, and beside stages.
const BARS: u16 = 4;
const BARS_BESIDE_STAGES: u16 = 2;
/// Lines of what is wrong with stage times, so that the slowest have room.
const NOTES_MAX: usize = 3;
/// Columns of the waits before the core, where stages stand beside them.
const WAITS: u16 = 26;

pub fn draw(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let survey = &app.survey;
    let latency = &survey.latency;
    let has_stages = !survey.stages.is_empty();
    let what: &[&str] = match has_stages {
        true => {
            &["From read by the gateway to stamped by the core, and what is kept of each stage"]
        }
        false => &[
            "From a message read by the gateway to its command stamped by the core: what the",
            "journal holds of latency. Syncs, reports and the network are not in it.",
            "",
        ],
    };
    let mut what: Vec<_> = what.iter().copied().map(Line::from).collect();
    what.extend(notes(&survey.stages, area.width));
    let so_far = if survey.is_done { "" } else { ", so far" };
    let mut waits = vec![heading(format!("{} commands{so_far}", grouped(latency.waits.requests)))];
    for ((name, _), ns) in PERCENTILES.iter().zip(latency.waits.ns) {
        if latency.waits.requests > 0 {
            waits.push(Line::from(format!("{name:<10}{:>12}", duration(ns))));
        }
    }
    let stages = if has_stages { stages(&survey.stages) } else { Vec::new() };
    let parts = [
        Constraint::Length(what.len() as u16),
        Constraint::Length(waits.len().max(stages.len()) as u16),
        Constraint::Length(1),
        Constraint::Length(if has_stages { BARS_BESIDE_STAGES } else { BARS }),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
    ];
    let [text, top, title, bars, axis, heads, list] = Layout::vertical(parts).areas(area);
    frame.render_widget(Paragraph::new(what), text);
    let columns = [Constraint::Length(WAITS), Constraint::Fill(1)];
    let [left, right] = Layout::horizontal(columns).areas(top);
    frame.render_widget(Paragraph::new(waits), left);
    frame.render_widget(Paragraph::new(stages), right);
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

/// What is wrong with the files of stage times, so that nobody takes a part for all.
fn notes(stages: &Stages, width: u16) -> Vec<Line<'static>> {
    let wrapped = stages.notes.iter().flat_map(|note| wrapped(note, usize::from(width)));
    wrapped.take(NOTES_MAX).map(|line| Line::from(line).fg(Color::Red)).collect()
}

/// Each stage over all seconds of which the venue kept some.
fn stages(stages: &Stages) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let seconds = format!("{} s", grouped(stages.seconds));
    lines.push(heading(format!(
        "{seconds:<10}{:>12}{:>12}{:>12}",
        "usual p50", "worst p99", "longest"
    )));
    for StageSum { stage, p50_ns, p99_ns, longest, .. } in &stages.sums {
        let [p50, p99, longest] = [*p50_ns, *p99_ns, longest.0].map(duration);
        lines.push(Line::from(format!("{:<10}{p50:>12}{p99:>12}{longest:>12}", stage.name())));
    }
    lines
}
