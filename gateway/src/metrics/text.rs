//! The text form of Prometheus, version 0.0.4.

use std::fmt::{Display, Write as _};

use crate::histogram::{Distribution, POWER_MAX};

/// What a page in this form is to HTTP.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Bounds of histograms are powers of two, ns, from 64 ns up to the longest that they tell apart.
const BOUNDS: std::ops::RangeInclusive<u32> = 6..=POWER_MAX;

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, while the process lives.
    Counter,
    /// It comes and goes.
    Gauge,
    /// Counts of times, by their length.
    Histogram,
}

impl Kind {
    /// Its name in the text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Names and values of labels.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// A page that is written.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// Begins a family of metrics: what follows is of it.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {}\n", kind.name());
    }

    /// A value.
    pub fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.line(name, "", labels, None, value);
    }

    /// A histogram of times, in seconds.
    pub fn histogram(&mut self, name: &str, labels: Labels<'_>, times: &Distribution) {
        for power in BOUNDS {
            let bound = seconds(1 << power).to_string();
            self.line(name, "_bucket", labels, Some(&bound), times.count_below(power));
        }
        self.line(name, "_bucket", labels, Some("+Inf"), times.count());
        self.line(name, "_sum", labels, None, seconds(times.sum_ns()));
        self.line(name, "_count", labels, None, times.count());
    }

    fn line(
        &mut self,
        name: &str,
        suffix: &str,
        labels: Labels<'_>,
        le: Option<&str>,
        value: impl Display,
    ) {
        let _ = write!(self.0, "{name}{suffix}");
        let mut begin = '{';
        for (label, value) in labels.iter().copied().chain(le.map(|bound| ("le", bound))) {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{begin}{label}=\"{value}\"");
            begin = ',';
        }
        let end = if begin == ',' { "}" } else { "" };
        let _ = writeln!(self.0, "{end} {value}");
    }

    /// What was written.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// Nanoseconds as seconds.
pub fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::histogram;

    #[test]
    fn a_page_is_as_the_format_says() {
        let mut page = Page::default();
        page.family("a_total", Kind::Counter, "Counts a \\ and\na line.");
        page.sample("a_total", &[], 7_u64);
        page.sample("a_total", &[("who", "say \"x\\y\"\nz"), ("to", "b")], 0.25);
        let expected = "# HELP a_total Counts a \\\\ and\\na line.\n# TYPE a_total counter\n\
                        a_total 7\na_total{who=\"say \\\"x\\\\y\\\"\\nz\",to=\"b\"} 0.25\n";
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn buckets_are_cumulative() {
        let (mut recorder, times) = histogram();
        let times_ns = [10, 63, 64, 1_000_000, 8_000_000_000, 16_000_000_000, 20_000_000_000];
        times_ns.iter().for_each(|ns| recorder.record(*ns));
        let mut page = Page::default();
        page.histogram("t_seconds", &[("stage", "x")], &times.read());
        let text = page.into_text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "t_seconds_bucket{stage=\"x\",le=\"0.000000064\"} 2");
        assert_eq!(lines[1], "t_seconds_bucket{stage=\"x\",le=\"0.000000128\"} 3");
        assert!(lines.contains(&"t_seconds_bucket{stage=\"x\",le=\"0.001048576\"} 4"), "{text}");
        let end = [
            "t_seconds_bucket{stage=\"x\",le=\"8.589934592\"} 5",
            "t_seconds_bucket{stage=\"x\",le=\"+Inf\"} 7",
            "t_seconds_sum{stage=\"x\"} 44.001000137",
            "t_seconds_count{stage=\"x\"} 7",
        ];
        assert_eq!(lines[lines.len() - 4..], end);
        assert_eq!(lines.len(), BOUNDS.count() + 3);
    }
}
