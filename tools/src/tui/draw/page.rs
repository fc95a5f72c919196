//! An answer in words: the life of an order, or what a client did.

use ratatui::{Frame, layout::Rect, text::Line};

use super::{cut, draw_rows};
use crate::tui::app::{App, Screen};

pub fn draw(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let Some(page) = app.page(app.screen) else {
        let text = match app.screen {
            Screen::Order => {
                "There is no order yet: / asks for one (OrderID, ClOrdID, seq:N, trade:N),\n\
                 Enter on an event of a moment as well."
            }
            _ => {
                "There is no client yet: / asks for one (its comp id),\n\
                 c on an event of a moment as well."
            }
        };
        return frame.render_widget(ratatui::widgets::Paragraph::new(text), area);
    };
    let width = usize::from(area.width) - 2;
    let rows = page.lines.iter().map(|line| {
        let mark = if line.place.is_some() { ">" } else { " " };
        let text: String = line.text.chars().skip(app.side).collect();
        Line::from(format!("{mark} {}", cut(&text, width)))
    });
    draw_rows(frame, area, app.chosen(app.screen), rows);
}
