//! What the interface looks like. Everything is drawn from [`App`] alone.
//!
//! ```text
//! title    journal, screens, where one is
//! body     the screen
//! status   what is typed, done or told; longer ones stand in a box above it
//! help     the keys that matter here
//! ```

mod diff;
mod latency;
mod moment;
mod page;
mod triage;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style, Stylize as _},
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph},
};

use super::app::{App, Asking, Message, Prompt, Screen};
use ironbook_incident::condition::ConditionError;

/// Columns that everything has room in.
pub const WIDTH_MIN: u16 = 80;
/// Lines that everything has room in.
pub const HEIGHT_MIN: u16 = 24;
/// Columns between two that belong together.
const GAP: u16 = 1;

/// What the keys do.
pub const KEYS: &[(&str, &str)] = &[
    ("1 ... 6", "Triage, Moment, Order, Client, Latency, Diff"),
    ("] [", "one input on, or back"),
    ("} {", "1,000 inputs on, or back"),
    ("Home End", "the first input, the last one (a venue's now)"),
    ("b", "a condition: trade.px < 0.95 * ref, session = 'C7'"),
    ("n N", "on, or back, to where it holds"),
    ("/", "a place: seq:N time:T order:N clordid:X trade:N"),
    ("", "on 3 an order, on 4 a client, on 6 another journal"),
    ("t", "a time: 14:30:00.5, or with its day"),
    ("s", "the book of the next symbol; of each input's"),
    ("↑ ↓ PgUp PgDn", "choose a row"),
    ("← →", "move a text that is too wide"),
    ("Enter", "of an event its order, of another row its moment"),
    ("c", "the client of the row"),
    ("Esc", "stop what takes long; leave a line"),
    ("q Ctrl-C", "quit"),
];

/// Draws the interface.
pub fn draw(frame: &mut Frame<'_>, app: &App) {
    let area = frame.area();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        let text = format!(
            "The terminal has {} columns and {} lines; {WIDTH_MIN} and {HEIGHT_MIN} are needed.",
            area.width, area.height
        );
        let text = Paragraph::new(text).wrap(ratatui::widgets::Wrap { trim: true });
        return frame.render_widget(text, area);
    }
    let parts = [1, 0, 1, 1].map(|rows| match rows {
        0 => Constraint::Fill(1),
        rows => Constraint::Length(rows),
    });
    let [title, body, status, help] = Layout::vertical(parts).areas(area);
    draw_title(frame, app, title);
    match app.screen {
        Screen::Triage => triage::draw(frame, app, body),
        Screen::Moment => moment::draw(frame, app, body),
        Screen::Order | Screen::Client => page::draw(frame, app, body),
        Screen::Latency => latency::draw(frame, app, body),
        Screen::Diff => diff::draw(frame, app, body),
    }
    draw_status(frame, app, body, status);
    frame.render_widget(Line::from(app.keys()).dim(), help);
    if app.help {
        draw_help(frame, body);
    }
}

fn draw_title(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let mut spans = Vec::new();
    for (number, screen) in Screen::ALL.iter().enumerate() {
        let text = format!(" {} {} ", number + 1, screen.name());
        let style = if *screen == app.screen { inverse() } else { Style::new() };
        spans.push(Span::styled(text, style));
    }
    let screens = Line::from(spans);
    let width = screens.width() as u16;
    let parts = [Constraint::Length(width + GAP), Constraint::Fill(1)];
    let [left, right] = Layout::horizontal(parts).areas(area);
    frame.render_widget(screens, left);
    let place = app.place();
    let room = usize::from(right.width).saturating_sub(place.chars().count() + 2);
    let journal = cut_front(&app.journal, room);
    frame.render_widget(Line::from(format!("{journal}  {place}")).right_aligned(), right);
}

/// What is typed, done or told: in the status line where it has room, else in a box above it.
fn draw_status(frame: &mut Frame<'_>, app: &App, body: Rect, status: Rect) {
    let width = usize::from(status.width);
    if let Some(message) = &app.message {
        let lines = message_lines(message, width - 4);
        let is_short = lines.len() == 1 && app.prompt.is_none() && app.work.is_none();
        if is_short {
            let line = Line::from(lines[0].clone()).bold();
            let is_failed = !matches!(message, Message::Told(_));
            frame.render_widget(if is_failed { line.fg(Color::Red) } else { line }, status);
        } else {
            draw_box(frame, body, &lines);
        }
    }
    match (&app.prompt, &app.work) {
        (Some(prompt), _) => draw_prompt(frame, prompt, status),
        (None, Some(work)) => {
            frame.render_widget(Line::from(format!("{work} ...")).bold(), status);
        }
        (None, None) if app.message.is_none() => {
            if let Some(condition) = &app.condition {
                let text = cut(&format!("Break: {condition}"), width);
                frame.render_widget(Line::from(text), status);
            }
        }
        _ => {}
    }
}

fn draw_prompt(frame: &mut Frame<'_>, prompt: &Prompt, area: Rect) {
    let label = match prompt.asking {
        Asking::Place => "Go to: ",
        Asking::Time => "Time: ",
        Asking::Order => "Order: ",
        Asking::Client => "Client: ",
        Asking::Condition => "Break where: ",
        Asking::Journal => "Compare with: ",
    };
    // Its end is where one types; the cursor takes a column.
    let room = usize::from(area.width) - label.len() - 1;
    let text = cut_front(&prompt.text, room);
    let at = area.x + (label.len() + text.chars().count()) as u16;
    frame.render_widget(Line::from(vec![label.bold(), text.into()]), area);
    frame.set_cursor_position((at, area.y));
}

/// Lines of a message, none wider than `width`.
fn message_lines(message: &Message, width: usize) -> Vec<String> {
    match message {
        Message::Told(text) | Message::Failed(text) => {
            text.lines().flat_map(|line| wrapped(line, width)).collect()
        }
        Message::Condition(error) => {
            let mut lines = wrapped(&error.what, width);
            lines.extend(marked(error, width));
            lines
        }
    }
}

/// A condition with what is wrong in it marked, or the part of it where that is.
fn marked(error: &ConditionError, width: usize) -> [String; 2] {
    let before = error.text[..error.span.start].chars().count();
    let marked = error.text[error.span.clone()].chars().count().max(1).min(width);
    // As much of what is before as leaves room for the mark.
    let skipped = (before + marked).saturating_sub(width);
    let text = error.text.chars().skip(skipped).take(width).collect();
    [text, " ".repeat(before - skipped) + &"^".repeat(marked)]
}

/// Breaks a line at spaces; a word that is too long is broken anywhere.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in line.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        if used > 0 && used + length > width {
            lines.push(String::new());
            used = 0;
        }
        for character in word.chars() {
            if used == width && character == ' ' {
                continue;
            }
            if used == width {
                lines.push(String::new());
                used = 0;
            }
            lines.last_mut().expect("one line at least").push(character);
            used += 1;
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// A box at the foot of the body.
fn draw_box(frame: &mut Frame<'_>, body: Rect, lines: &[String]) {
    let height = (lines.len() as u16 + 2).min(body.height);
    let area = Rect { y: body.bottom() - height, height, ..body };
    let shown = usize::from(height) - 2;
    let mut text: Vec<Line<'_>> = lines.iter().take(shown).map(|of| Line::from(&**of)).collect();
    if lines.len() > shown {
        text[shown - 1] = Line::from(format!("and {} lines more", lines.len() - shown + 1));
    }
    let block = Block::bordered().padding(ratatui::widgets::Padding::horizontal(1));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(text).block(block), area);
}

fn draw_help(frame: &mut Frame<'_>, body: Rect) {
    let mut lines: Vec<_> = KEYS.iter().map(|(key, what)| format!("{key:<16}{what}")).collect();
    lines.push(String::new());
    lines.push("Any key leaves this.".to_owned());
    draw_box(frame, body, &lines);
}

/// Text that is chosen.
fn inverse() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

/// A text of so many columns at the most; `…` stands for the rest.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept = text.chars().take(width.saturating_sub(1)).collect::<String>();
    kept + "…"
}

/// The same of its end.
fn cut_front(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let kept = text.chars().skip(length + 1 - width.max(1));
    "…".chars().chain(kept).collect()
}

/// A list of which one row is chosen; the part of it that is shown has that row in its middle.
fn draw_rows<'r>(
    frame: &mut Frame<'_>,
    area: Rect,
    chosen: usize,
    rows: impl ExactSizeIterator<Item = Line<'r>>,
) {
    let (length, height) = (rows.len(), usize::from(area.height));
    let first = chosen.saturating_sub(height / 2).min(length.saturating_sub(height));
    let lines: Vec<_> = rows
        .enumerate()
        .skip(first)
        .take(height)
        .map(|(number, row)| if number == chosen { row.patch_style(inverse()) } else { row })
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}

/// The heading of a part of a screen.
fn heading(text: impl Into<String>) -> Line<'static> {
    Line::from(text.into()).bold().underlined()
}

/// The time of day, to the microsecond.
fn clock(time_ns: u64) -> String {
    ironbook_incident::text::utc(time_ns)[11..26].to_owned()
}

/// A duration in a unit that people read.
fn duration(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{}.{} µs", ns / 1_000, ns % 1_000 / 100),
        1_000_000..1_000_000_000 => format!("{}.{} ms", ns / 1_000_000, ns % 1_000_000 / 100_000),
        _ => {
            let seconds = ironbook_incident::text::grouped(ns / 1_000_000_000);
            format!("{seconds}.{} s", ns % 1_000_000_000 / 100_000_000)
        }
    }
}

/// Numbers as bars in a line or more; none that is there vanishes.
fn draw_bars(frame: &mut Frame<'_>, area: Rect, values: &[u64]) {
    let highest = values.iter().copied().max().unwrap_or(0);
    let least = highest.div_ceil(8 * u64::from(area.height.max(1)));
    let bars = values.iter().map(|&value| if value == 0 { 0 } else { value.max(least) });
    let bars: Vec<_> = bars.collect();
    let sparkline = ratatui::widgets::Sparkline::default().data(&bars).max(highest.max(1));
    frame.render_widget(sparkline, area);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_room() {
        assert_eq!((cut("abcdef", 4), cut("abcd", 4)), ("abc…".into(), "abcd".into()));
        assert_eq!((cut_front("abcdef", 4), cut_front("ab", 4)), ("…def".into(), "ab".into()));
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("abcd efgh ij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrapped("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrapped("", 4), [""]);
        let all = [999, 1_234, 1_234_567, 61_234_567_890].map(duration);
        assert_eq!(all, ["999 ns", "1.2 µs", "1.2 ms", "61.2 s"]);
    }

    #[test]
    fn the_mark_stays_under_its_word() {
        let text = format!("{} and wrong = 1", "x".repeat(90));
        let error = ConditionError { text, span: 95..100, what: String::new() };
        let [text, mark] = marked(&error, 40);
        let under: String =
            text.chars().zip(mark.chars()).filter(|of| of.1 == '^').map(|of| of.0).collect();
        assert_eq!((under.as_str(), mark.len()), ("wrong", 40));
        let short = ConditionError { text: "wrong = 1".into(), span: 0..5, what: String::new() };
        assert_eq!(marked(&short, 40), ["wrong = 1".to_owned(), "^^^^^".to_owned()]);
    }

    #[test]
    fn a_small_number_has_a_bar() {
        let mut terminal =
            ratatui::Terminal::new(ratatui::backend::TestBackend::new(3, 2)).unwrap();
        terminal.draw(|frame| draw_bars(frame, frame.area(), &[1, 0, 1_000])).unwrap();
        terminal.backend().assert_buffer_lines(["  █", "▁ █"]);
    }

    #[test]
    fn what_clients_sent_commands_no_terminal() {
        let mut terminal =
            ratatui::Terminal::new(ratatui::backend::TestBackend::new(20, 2)).unwrap();
        let row = || Line::from("a\u{1b}[2Jb\u{9b}c\r\nd\u{7}");
        terminal
            .draw(|frame| draw_rows(frame, frame.area(), 1, [row(), row()].into_iter()))
            .unwrap();
        for cell in terminal.backend().buffer().content() {
            assert!(!cell.symbol().contains(char::is_control), "{:?}", cell.symbol());
        }
    }
}
