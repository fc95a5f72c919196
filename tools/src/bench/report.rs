//! The report as one HTML file that needs nothing else.

use std::fmt::Write as _;

use hdrhistogram::Histogram;

use super::{
    Machine, STAGE_QUANTILES, measured,
    suite::{
        Distance, Effort, Point, QUANTILES, REQUESTS_MAX, SEED, SLICE_SECONDS, Suite, TOO_FEW,
        TOO_FEW_NOTE, cell, is_enough, median, range_cell, timeline,
    },
};
use crate::{
    chart::{Axis, Line, Scale, draw, escape},
    others::words,
    output::grouped,
    page::{begin, figure},
};

/// Steps of a percentile curve for each halving of the distance to 100 %.
const CURVE_TICKS: u32 = 5;

/// The whole report.
pub fn html(suite: &Suite, effort: &Effort, machine: &Machine) -> String {
    let mut out =
        begin("Ironbook bench", &format!("Ironbook {}, measured", env!("CARGO_PKG_VERSION")));
    let _ = writeln!(
        out,
        "<p>Medians of {} runs at each rate, each of as many requests as come in {} s, but of {} at least and {} \
         at the most; seed {SEED}. Open loop: latency counts from when a request was due. The echo sends and returns as many bytes over loopback TCP at the same \
         rate; it and the venue take turns every {SLICE_SECONDS} s, of which the first tenth is not counted. Times the \
         echo is, of a run, the middle one of the ratios of turns side by side, of as few in a row as tell the \
         quantile, and then the median of the runs; the true one is in the range below it with a probability of about \
         95 %, by how far the runs are apart. Repeat it with <code>ironbook bench --runs {} --seconds {}</code>.</p>",
        effort.runs,
        effort.seconds,
        grouped(effort.requests_min as u64),
        grouped(REQUESTS_MAX as u64),
        effort.runs,
        effort.seconds
    );
    for check in machine.unfit() {
        let _ = writeln!(
            out,
            "<p class=\"warn\">This machine is unfit: {}: {}. {}</p>",
            escape(check.what),
            escape(&check.found),
            escape(check.advice)
        );
    }
    let [engine, journal, fix] = &suite.distances;
    out.push_str("<h2>FIX socket to FIX socket</h2>\n");
    distance_table(&mut out, fix);
    figure(
        &mut out,
        load_chart(fix),
        "Latency against load, up to the full speed. The ordinate is logarithmic.",
    );
    figure(
        &mut out,
        curves(fix),
        "Latency by percentile at each rate. A straight line to the right means that the tail is as the rest.",
    );
    figure(
        &mut out,
        hiccups(fix),
        "The longest latency in each 10 ms of the last run: what stands out is a pause, of the venue, the client, or the machine.",
    );
    stage_table(&mut out, fix);
    for distance in [journal, engine] {
        let _ = writeln!(out, "<h2>{}</h2>", escape(&capital(distance.name)));
        distance_table(&mut out, distance);
        figure(&mut out, curves(distance), "Latency by percentile at each rate.");
    }
    out.push_str("<h2>Floors of the machine</h2>\n");
    floor_table(&mut out, suite);
    out.push_str("<h2>The machine</h2>\n<table>");
    for (what, found) in machine.found() {
        let _ = write!(out, "<tr><td>{}<td>{}", escape(what), escape(found));
    }
    let others = words(&machine.others);
    let _ = write!(out, "<tr><td>others, while all was measured<td>{}", escape(&others));
    out.push_str("</table></html>\n");
    out
}

fn distance_table(out: &mut String, distance: &Distance) {
    let _ = write!(out, "<p>Full speed <b>{}</b>", distance.full_speed_words());
    if let Some(knee) = distance.knee() {
        let _ = write!(out, "; p99 goes up behind <b>{}/s</b>", grouped(knee.rate as u64));
    }
    let us = |ns: f64| ns / 1e3;
    out.push_str(".</p>\n<table><tr><th>requests/s");
    for (name, _) in QUANTILES {
        let _ = write!(out, "<th>{name}");
    }
    out.push_str("<th>max, µs");
    for point in &distance.points {
        let load = point.load.map_or(String::new(), |load| format!(" ({:.0} %)", load * 100.0));
        let _ = write!(out, "<tr><td>{}{load}", grouped(point.rate as u64));
        for (_, at) in QUANTILES {
            let _ = write!(out, "<td>{}", cell(point.shown(at).map(us)));
        }
        let _ = write!(out, "<td>{:.1}", point.max() as f64 / 1e3);
        if !point.floors.is_empty() {
            out.push_str("<tr class=\"floor\"><td>echo");
            for (_, at) in QUANTILES {
                let _ = write!(out, "<td>{}", cell(point.floor(at).map(us)));
            }
            out.push_str("<td><tr class=\"floor\"><td>times the echo");
            for (_, at) in QUANTILES {
                let _ = write!(out, "<td>{}", cell(point.ratio(at)));
                let _ = write!(out, "<br><small>{}</small>", range_cell(point.likely_ratio(at)));
            }
            out.push_str("<td>");
        }
    }
    out.push_str("</table>\n");
    if distance.lacks_samples() {
        let _ = writeln!(out, "<p>{TOO_FEW_NOTE}</p>");
    }
}

fn stage_table(out: &mut String, distance: &Distance) {
    let staged = distance.staged();
    let Some((_, first)) = staged.first() else { return };
    let _ = write!(
        out,
        "<h3>Where the time goes</h3>\n<p>µs, of all runs together, {}.</p>\n<table><tr><th>stage",
        escape(&measured(first))
    );
    for (rate, _) in &staged {
        for (name, _) in STAGE_QUANTILES {
            let _ = write!(out, "<th>{rate}<br>{name}");
        }
    }
    out.push_str("<th>one value is of");
    for (row, (stage, _)) in first.times.iter().enumerate() {
        let _ = write!(out, "<tr><td>{}", stage.name());
        for (_, stages) in &staged {
            for (_, at) in STAGE_QUANTILES {
                let _ = write!(out, "<td>{:.2}", stages.times[row].1.quantile_ns(at) as f64 / 1e3);
            }
        }
        let _ = write!(out, "<td>{}", escape(stage.meaning()));
    }
    out.push_str("</table>\n");
}

fn floor_table(out: &mut String, suite: &Suite) {
    let floors = &suite.floors;
    out.push_str("<table><tr><th>ns");
    for (name, _) in QUANTILES {
        let _ = write!(out, "<th>{name}");
    }
    out.push_str("<th>max");
    for (name, of) in [("empty loop", &floors.noise), ("ring, both ways", &floors.hop)] {
        let _ = write!(out, "<tr><td>{name}");
        for (_, at) in QUANTILES {
            let figure = is_enough(of, at).then(|| grouped(of.value_at_quantile(at)));
            let _ = write!(out, "<td>{}", figure.as_deref().unwrap_or(TOO_FEW));
        }
        let _ = write!(out, "<td>{}", grouped(of.max()));
    }
    let _ = writeln!(
        out,
        "</table><p>Copy of 128 bytes {:.1} ns; near, within a cache, {:.1} ns; echo at full speed {} requests/s.</p>",
        median(&floors.copy_ns),
        median(&floors.near_copy_ns),
        grouped(median(&floors.echo) as u64)
    );
}

const LATENCY: Axis = Axis { name: "latency, µs", scale: Scale::Log, mark: short };

fn load_chart(distance: &Distance) -> String {
    let axis =
        Axis { name: "requests a second", scale: Scale::Linear, mark: |rate| grouped(rate as u64) };
    let mut lines = Vec::new();
    for (name, at) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        let points = distance.points.iter();
        lines.push(Line {
            name: name.to_owned(),
            dashed: false,
            points: points.clone().filter_map(|p| Some((p.rate, p.shown(at)? / 1e3))).collect(),
        });
        let floor = |point: &Point| Some((point.rate, point.floor(at)? / 1e3));
        let floors: Vec<_> = points.filter_map(floor).collect();
        if !floors.is_empty() {
            lines.push(Line { name: format!("echo {name}"), dashed: true, points: floors });
        }
    }
    draw("Latency against load", &axis, &LATENCY, &lines)
}

fn curves(distance: &Distance) -> String {
    let axis = Axis {
        name: "percentile",
        scale: Scale::Log,
        mark: |beyond| match beyond {
            1.0 => "0 %".to_owned(),
            _ => format!("{} %", round(100.0 - 100.0 / beyond)),
        },
    };
    let mut lines: Vec<_> = distance
        .points
        .iter()
        .map(|point| Line {
            name: format!("{}/s", grouped(point.rate as u64)),
            dashed: false,
            points: curve(&point.merged()),
        })
        .collect();
    if let Some(point) = distance.points.iter().rfind(|point| !point.floors.is_empty()) {
        lines.push(Line {
            name: format!("echo {}/s", grouped(point.rate as u64)),
            dashed: true,
            points: curve(&point.merged_floor()),
        });
    }
    draw("Latency by percentile", &axis, &LATENCY, &lines)
}

/// One in how many is slower, and µs.
fn curve(latency: &Histogram<u64>) -> Vec<(f64, f64)> {
    let most = latency.len().max(1) as f64;
    latency
        .iter_quantiles(CURVE_TICKS)
        .map(|at| {
            let beyond = 1.0 / (1.0 - at.quantile_iterated_to()).max(1.0 / most);
            (beyond, at.value_iterated_to() as f64 / 1e3)
        })
        .collect()
}

fn hiccups(distance: &Distance) -> String {
    let seconds = Axis { name: "seconds", scale: Scale::Linear, mark: |s| format!("{}", round(s)) };
    let longest = Axis {
        name: "longest latency, ms",
        scale: Scale::Linear,
        mark: |ms| format!("{}", round(ms)),
    };
    let lines: Vec<_> = distance
        .points
        .iter()
        .map(|point| Line {
            name: format!("{}/s", grouped(point.rate as u64)),
            dashed: false,
            points: timeline(&point.slowest),
        })
        .collect();
    draw("Time line of hiccups", &seconds, &longest, &lines)
}

/// A number without the noise of its binary form.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn short(us: f64) -> String {
    match us {
        us if us >= 1e6 => format!("{} s", round(us / 1e6)),
        us if us >= 1e3 => format!("{} ms", round(us / 1e3)),
        us => format!("{} µs", round(us)),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
