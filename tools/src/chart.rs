//! Charts as SVG, self-contained: what a report of figures needs and no more.

use std::fmt::Write as _;

/// Pixels of a chart.
const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 360.0;
/// Pixels beside the plot, for what stands at the axes; on the right, for the legend.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;
/// Colors of the lines, in turn; told apart by people who see fewer colors (Okabe and Ito).
const COLORS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999"];

/// How an axis is divided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Even steps from zero.
    Linear,
    /// Even steps from one value to another.
    Between(f64, f64),
    /// A decade as wide as another. What is not greater than zero is left out.
    Log,
}

/// An axis: its name with its unit, its scale, and how a place on it is written.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Name and unit.
    pub name: &'static str,
    /// How it is divided.
    pub scale: Scale,
    /// Writes a mark.
    pub mark: fn(f64) -> String,
}

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Line {
    /// What the legend says.
    pub name: String,
    /// Drawn with gaps: what something is compared with.
    pub dashed: bool,
    /// Ascending by x.
    pub points: Vec<(f64, f64)>,
}

/// Where values are in a chart.
pub struct Plot {
    across: Range,
    up: Range,
}

impl Plot {
    /// Pixels from the left to a value.
    pub fn at_x(&self, value: f64) -> f64 {
        LEFT + self.across.share(value) * (WIDTH - LEFT - RIGHT)
    }

    /// Pixels from the top to a value.
    pub fn at_y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.up.share(value) * (HEIGHT - TOP - BOTTOM)
    }

    /// Lines at round values, with what stands at them, and the names of the axes.
    fn axes(&self, x: &Axis, y: &Axis) -> String {
        let mut out = String::new();
        for mark in self.up.marks() {
            let (at, right, text) = (self.at_y(mark), WIDTH - RIGHT, escape(&(y.mark)(mark)));
            let _ = writeln!(
                out,
                "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{text}</text>",
                LEFT - 6.0,
                at + 4.0
            );
        }
        for mark in self.across.marks() {
            let (at, bottom, text) = (self.at_x(mark), HEIGHT - BOTTOM, escape(&(x.mark)(mark)));
            let _ = writeln!(
                out,
                "<path d=\"M{at:.1} {TOP}V{bottom}\" stroke=\"#ddd\"/><text x=\"{at:.1}\" y=\"{}\" \
                 text-anchor=\"middle\">{text}</text>",
                bottom + 16.0
            );
        }
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text><text transform=\"rotate(-90)\" \
             x=\"{}\" y=\"14\" text-anchor=\"middle\">{}</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 8.0,
            escape(x.name),
            -(HEIGHT - BOTTOM + TOP) / 2.0,
            escape(y.name)
        );
        out
    }
}

/// Draws a chart. Lines without a point that can be drawn are in the legend only.
pub fn draw(title: &str, x: &Axis, y: &Axis, lines: &[Line]) -> String {
    draw_over(title, x, y, lines, |_| String::new())
}

/// Draws a chart over something else, which is told where values are.
pub fn draw_over(
    title: &str,
    x: &Axis,
    y: &Axis,
    lines: &[Line],
    under: impl FnOnce(&Plot) -> String,
) -> String {
    let drawn = |line: &Line| -> Vec<(f64, f64)> {
        let fits = |axis: &Axis, value: f64| match axis.scale {
            Scale::Linear => value.is_finite(),
            Scale::Between(from, to) => (from..=to).contains(&value),
            Scale::Log => value.is_finite() && value > 0.0,
        };
        let points = line.points.iter().copied();
        points.filter(|&(at, value)| fits(x, at) && fits(y, value)).collect()
    };
    let all: Vec<_> = lines.iter().flat_map(drawn).collect();
    let plot = Plot {
        across: Range::of(x, all.iter().map(|point| point.0)),
        up: Range::of(y, all.iter().map(|point| point.1)),
    };
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\" \
         font-family=\"sans-serif\" font-size=\"12\"><title>{}</title>\n",
        escape(title)
    );
    out.push_str(&under(&plot));
    out.push_str(&plot.axes(x, y));
    for (number, line) in lines.iter().enumerate() {
        let color = COLORS[number % COLORS.len()];
        let dashes = if line.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        let points: Vec<_> = drawn(line)
            .into_iter()
            .map(|(at, value)| format!("{:.1},{:.1}", plot.at_x(at), plot.at_y(value)))
            .collect();
        let legend = TOP + 12.0 + 18.0 * number as f64;
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.8\"{dashes}/>\
             <path d=\"M{} {}h22\" stroke=\"{color}\" stroke-width=\"2.5\"{dashes}/>\
             <text x=\"{}\" y=\"{legend}\">{}</text>",
            points.join(" "),
            WIDTH - RIGHT + 12.0,
            legend - 4.0,
            WIDTH - RIGHT + 40.0,
            escape(&line.name)
        );
    }
    out.push_str("</svg>\n");
    out
}

/// What an axis covers.
struct Range {
    scale: Scale,
    from: f64,
    to: f64,
}

impl Range {
    fn of(axis: &Axis, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        let is_empty = low > high;
        match axis.scale {
            Scale::Between(from, to) => Self { scale: axis.scale, from, to },
            Scale::Linear if is_empty || high <= 0.0 => {
                Self { scale: Scale::Linear, from: 0.0, to: 1.0 }
            }
            Scale::Linear => Self { scale: Scale::Linear, from: 0.0, to: high },
            Scale::Log if is_empty => Self { scale: Scale::Log, from: 1.0, to: 10.0 },
            Scale::Log => {
                let from = 10_f64.powf(low.log10().floor());
                let to = 10_f64.powf(high.log10().ceil());
                Self { scale: Scale::Log, from, to: if to > from { to } else { from * 10.0 } }
            }
        }
    }

    /// Where a value is, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear | Scale::Between(..) => (value - self.from) / (self.to - self.from),
            Scale::Log => (value / self.from).log10() / (self.to / self.from).log10(),
        }
    }

    fn marks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear | Scale::Between(..) => {
                let step = round_step((self.to - self.from) / 6.0);
                let first = (self.from / step - 1e-9).ceil();
                (0..)
                    .map(|number| (first + f64::from(number)) * step)
                    .take_while(|&mark| mark <= self.to + step * 1e-9)
                    .collect()
            }
            Scale::Log => {
                let decades = (self.to / self.from).log10().round() as i32;
                (0..=decades).map(|decade| self.from * 10_f64.powi(decade)).collect()
            }
        }
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below.
fn round_step(wanted: f64) -> f64 {
    let power = 10_f64.powf(wanted.log10().floor());
    let found =
        [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * power >= wanted * (1.0 - 1e-9));
    found.unwrap_or(10.0) * power
}

/// Text that is safe in HTML and SVG.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(scale: Scale) -> Axis {
        Axis { name: "x < y", scale, mark: |value| format!("{value}") }
    }

    fn points_of(svg: &str) -> Vec<(f64, f64)> {
        let (_, rest) = svg.split_once("points=\"").unwrap();
        let (points, _) = rest.split_once('"').unwrap();
        let point = |text: &str| {
            let (at, value) = text.split_once(',').unwrap();
            (at.parse().unwrap(), value.parse().unwrap())
        };
        points.split_whitespace().map(point).collect()
    }

    #[test]
    fn corners_of_the_plot_are_the_ends_of_the_scales() {
        let line = |points: &[(f64, f64)]| {
            [Line { name: "a & b".to_owned(), dashed: false, points: points.to_vec() }]
        };
        let (left, right) = (LEFT, WIDTH - RIGHT);
        let (top, bottom) = (TOP, HEIGHT - BOTTOM);
        let linear = draw(
            "t",
            &axis(Scale::Linear),
            &axis(Scale::Linear),
            &line(&[(0.0, 0.0), (6.0, 12.0)]),
        );
        assert_eq!(points_of(&linear), [(left, bottom), (right, top)]);
        let log =
            draw("t", &axis(Scale::Log), &axis(Scale::Log), &line(&[(1.0, 10.0), (100.0, 1e4)]));
        assert_eq!(points_of(&log), [(left, bottom), (right, top)]);
        assert!(log.contains("a &amp; b") && log.contains("x &lt; y"), "{log}");
        // Nothing that a logarithm has no place for.
        let beside = line(&[(0.0, 5.0), (1.0, 10.0), (10.0, f64::NAN), (100.0, 1e4)]);
        assert_eq!(points_of(&draw("t", &axis(Scale::Log), &axis(Scale::Log), &beside)).len(), 2);
        draw("t", &axis(Scale::Log), &axis(Scale::Linear), &[]);
    }

    #[test]
    fn marks_are_round_and_inside() {
        assert_eq!(round_step(0.8), 1.0);
        assert_eq!(round_step(13.0), 20.0);
        assert_eq!(round_step(2_001.0), 5_000.0);
        let range = Range { scale: Scale::Linear, from: 0.0, to: 30.0 };
        assert_eq!(range.marks(), [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        let range = Range { scale: Scale::Log, from: 1.0, to: 1e3 };
        assert_eq!(range.marks().len(), 4);
        let range = Range { scale: Scale::Between(99.0, 101.0), from: 99.0, to: 101.0 };
        assert_eq!(range.marks(), [99.0, 99.5, 100.0, 100.5, 101.0]);
    }
}
