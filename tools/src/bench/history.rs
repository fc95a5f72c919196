//! Figures of an earlier run beside those of this one, and a place where they are kept.
//!
//! Two runs are compared by their ratios to the floors that each measured itself: a machine that was busier,
//! or is another, has higher floors too. What is within what chance does to such ratios is called so, and what is known to
//! differ in the two machines is told.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ironbook_incident::text::utc;
use serde_json::{Value, json};

/// A ratio of a run to one of its floors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The middle one of those that were measured.
    pub median: f64,
    /// Where the true one is with a probability of about 95 %. Fewer than five runs don't tell it, and figures of
    /// before 2026-11-28 don't either.
    pub likely: Option<(f64, f64)>,
}

/// A ratio that both runs have.
#[derive(Debug, PartialEq)]
pub struct Change {
    /// What it is of.
    pub what: String,
    /// In the earlier run.
    pub before: Ratio,
    /// In this one.
    pub now: Ratio,
}

impl Change {
    /// How much more it is now, as a share of what it was.
    pub fn share(&self) -> f64 {
        self.now.median / self.before.median - 1.0
    }

    /// Whether what is likely in both runs overlaps; `None` where one of them doesn't tell it.
    pub fn may_be_chance(&self) -> Option<bool> {
        let (before, now) = (self.before.likely?, self.now.likely?);
        Some(before.0 <= now.1 && now.0 <= before.1)
    }

    /// The change in a machine's words.
    pub fn to_json(&self) -> Value {
        let Self { what, before, now } = self;
        json!({
            "what": what, "before": before.median, "now": now.median, "change": self.share(),
            "may_be_chance": self.may_be_chance(),
        })
    }
}

/// What decides how fast the same program is, of what a run tells of its machine.
const DECIDES: [&str; 9] = [
    "layout",
    "processor",
    "processors",
    "pinning",
    "kernel",
    "clock source",
    "frequency",
    "huge pages",
    "congestion control",
];

/// In what of that two runs differ, each with what is found of it: their figures differ by that, too.
pub fn differences(before: &Value, now: &Value) -> Vec<(&'static str, String, String)> {
    let found = |figures: &Value, what: &str| {
        let checks = figures["machine"].as_array().map_or(&[][..], Vec::as_slice);
        let check = checks.iter().find(|check| check["what"] == what);
        check.and_then(|check| check["found"].as_str()).unwrap_or("not told").to_owned()
    };
    let both = DECIDES.map(|what| (what, found(before, what), found(now, what)));
    both.into_iter().filter(|(_, before, now)| before != now).collect()
}

/// Reads the figures of an earlier run.
///
/// # Errors
/// What is wrong with the file, for people.
pub fn read(file: &Path) -> Result<Value, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let figures: Value = serde_json::from_str(&text)
        .map_err(|error| format!("{}: {error}; it must be a figures.json", file.display()))?;
    match ratios(&figures).is_empty() {
        true => Err(format!("{}: no figures of a bench are in it", file.display())),
        false => Ok(figures),
    }
}

/// Ratios that both figures have, in the sequence of this run's.
pub fn compare(before: &Value, now: &Value) -> Vec<Change> {
    let known = ratios(before);
    let find = |what: &str| known.iter().find(|(of, _)| of == what).map(|&(_, ratio)| ratio);
    ratios(now)
        .into_iter()
        .filter_map(|(what, now)| Some(Change { before: find(&what)?, what, now }))
        .collect()
}

/// The ratios of a run to its own floors.
fn ratios(figures: &Value) -> Vec<(String, Ratio)> {
    let mut found = Vec::new();
    for distance in figures["distances"].as_array().into_iter().flatten() {
        let Some(name) = distance["name"].as_str() else { continue };
        let points = distance["points"].as_array().map_or(&[][..], Vec::as_slice);
        let has_echo = points.iter().any(|point| point["ratio"]["p50"].is_number());
        if let Some(median) = full_speed(distance, &figures["floors"], has_echo) {
            let floor = match has_echo {
                true => "echoes",
                false if figures["floors"]["near_copy_ns"].is_number() => "near copies",
                // Earlier runs copied through more memory than caches hold.
                false => "copies",
            };
            let likely = range(&distance["likely_full_speed_ratio"]);
            found.push((format!("{name}, full speed, {floor} each"), Ratio { median, likely }));
        }
        // Behind the knee a queue grows, and it is no multiple of a floor.
        let knee = distance["knee"].as_f64().unwrap_or(f64::INFINITY);
        let is_before = |point: &&Value| point["rate"].as_f64().is_some_and(|rate| rate <= knee);
        for point in points.iter().filter(is_before) {
            // A rate chosen by the full speed is another in each run.
            let rate = match (point["load"].as_f64(), point["rate"].as_f64()) {
                (Some(load), _) => format!("{:.0} % load", load * 100.0),
                (None, Some(rate)) => format!("{rate:.0}/s"),
                _ => continue,
            };
            for (quantile, ratio) in point["ratio"].as_object().into_iter().flatten() {
                if let Some(median) = ratio.as_f64() {
                    let likely = range(&point["likely_ratio"][quantile]);
                    let what = format!("{name}, {rate}, {quantile}, echoes");
                    found.push((what, Ratio { median, likely }));
                }
            }
        }
    }
    found
}

/// How many times its floor a request takes at full speed: told, or as runs of before 2026-11-28 have it.
fn full_speed(distance: &Value, floors: &Value, has_echo: bool) -> Option<f64> {
    if let Some(ratio) = distance["full_speed_ratio"].as_f64() {
        return Some(ratio);
    }
    let speed = distance["full_speed"].as_f64()?;
    Some(match has_echo {
        true => floors["echo_per_second"].as_f64()? / speed,
        false => 1e9 / speed / floors["copy_ns"].as_f64()?,
    })
}

fn range(value: &Value) -> Option<(f64, f64)> {
    Some((value[0].as_f64()?, value[1].as_f64()?))
}

/// Which run figures are of, and how much was measured in it.
pub fn describe(figures: &Value) -> String {
    let name = figures["name"].as_str().unwrap_or("no name");
    let time = figures["time_ns"].as_u64().map_or("an unknown time".to_owned(), utc);
    let build = figures["build"].as_str().unwrap_or("unknown");
    format!("{name}, {time}, version {build}, {} runs of {} s", figures["runs"], figures["seconds"])
}

/// The file in which the figures of a run are kept: by its date and a name.
///
/// # Errors
/// When it is there already, or the directory can't be made.
pub fn place(dir: &Path, name: &str, time_ns: u64) -> io::Result<PathBuf> {
    fs::create_dir_all(dir)?;
    let file = dir.join(format!("{}-{name}.json", &utc(time_ns)[..10]));
    match file.try_exists()? {
        true => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{} is kept already: choose another --name", file.display()),
        )),
        false => Ok(file),
    }
}

/// Whether a name can be part of a file's.
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(speed: f64, p50: f64) -> Value {
        json!({
            "time_ns": 1_400_000_000_000_000_000_u64, "build": "0.1.0", "runs": 5, "seconds": 0.3,
            "floors": { "copy_ns": 10.0, "echo_per_second": 1e6 },
            "distances": [
                { "name": "engine", "full_speed": 5e6, "points": [{ "rate": 1e5, "load": 0.1, "ratio": {} }] },
                { "name": "FIX", "full_speed": speed, "points": [
                    { "rate": 1000.0, "load": null, "ratio": { "p50": p50 },
                      "likely_ratio": { "p50": [p50 - 0.1, p50 + 0.1] } },
                    { "rate": 300000.0, "load": 0.5, "ratio": { "p50": 2.0, "p99": null } },
                ] },
            ],
        })
    }

    #[test]
    fn what_both_runs_have_is_compared_by_ratios_to_floors() {
        let untold = |median| Ratio { median, likely: None };
        let change = |what: &str, before, now| {
            let (before, now) = (untold(before), untold(now));
            Change { what: what.to_owned(), before, now }
        };
        let told = |median| Ratio { median, likely: Some((median - 0.1, median + 0.1)) };
        let p50 = "FIX, 1000/s, p50, echoes".to_owned();
        let mut before = figures(400_000.0, 1.5);
        let changes = compare(&before, &figures(500_000.0, 1.2));
        assert_eq!(
            changes,
            [
                change("engine, full speed, copies each", 20.0, 20.0),
                change("FIX, full speed, echoes each", 2.5, 2.0),
                Change { what: p50, before: told(1.5), now: told(1.2) },
                change("FIX, 50 % load, p50, echoes", 2.0, 2.0),
            ]
        );
        assert_eq!(
            describe(&before),
            "no name, 2014-05-13T16:53:20.000000000Z, version 0.1.0, 5 runs of 0.3 s"
        );
        assert!((changes[2].share() + 0.2).abs() < 1e-9);
        let may_be = |p50| compare(&before, &figures(400_000.0, p50))[2].may_be_chance();
        let all = [1.2, 1.31, 1.5, 1.69, 1.8].map(may_be);
        assert_eq!(all, [false, true, true, true, false].map(Some));
        assert_eq!(changes[1].may_be_chance(), None);
        let knee = |rate| {
            let mut figures = figures(400_000.0, 1.5);
            figures["distances"][1]["knee"] = rate;
            compare(&before, &figures).len()
        };
        let counts = [json!(300_000.0), json!(1_000.0), Value::Null].map(knee);
        assert_eq!(counts, [4, 3, 4], "a point behind the knee of one run is left out");
        let mut near = figures(400_000.0, 1.5);
        near["floors"]["near_copy_ns"] = json!(3.0);
        let of = |change: &Change| change.what.starts_with("engine");
        assert!(!compare(&before, &near).iter().any(of), "copies of another kind");
        assert!(compare(&near, &near).iter().any(of));
        // A run that tells its ratio at full speed is asked for that.
        before["distances"][1]["full_speed_ratio"] = json!(2.25);
        before["distances"][1]["likely_full_speed_ratio"] = json!([2.0, 2.5]);
        let told = compare(&figures(400_000.0, 1.5), &before)[1].now;
        assert_eq!(told, Ratio { median: 2.25, likely: Some((2.0, 2.5)) });
        before["distances"][1]["points"][0]["rate"] = json!(2000.0);
        assert_eq!(compare(&before, &figures(500_000.0, 1.2)).len(), 3);
    }

    #[test]
    fn what_differs_in_the_machines_of_two_runs_is_told() {
        let machine = |checks: &[(&str, &str)]| {
            let told = |(what, found): &(&str, &str)| json!({ "what": what, "found": found });
            json!({ "machine": checks.iter().map(told).collect::<Vec<_>>() })
        };
        let before = machine(&[("processors", "2"), ("kernel", "6.8"), ("load", "0.1")]);
        let now =
            machine(&[("processor", "A"), ("processors", "2"), ("kernel", "6.9"), ("load", "1")]);
        let own = |what, before: &str, now: &str| (what, before.to_owned(), now.to_owned());
        assert_eq!(
            differences(&before, &now),
            [own("processor", "not told", "A"), own("kernel", "6.8", "6.9")]
        );
        assert_eq!(differences(&now, &now), []);
        assert_eq!(differences(&json!({}), &json!({})), []);
    }

    #[test]
    fn figures_are_kept_by_date_and_name_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let figures = figures(1e5, 1.0);
        let runs = dir.path().join("runs");
        let file = place(&runs, "abc", 1_400_000_000_000_000_000).unwrap();
        assert_eq!(file, runs.join("2014-05-13-abc.json"));
        fs::write(&file, figures.to_string()).unwrap();
        assert_eq!(read(&file).as_ref(), Ok(&figures));
        let again = place(&runs, "abc", 1_400_000_000_000_000_000).unwrap_err();
        assert!(again.to_string().ends_with("is kept already: choose another --name"), "{again}");
        fs::write(&file, "{}").unwrap();
        assert!(read(&file).unwrap_err().ends_with("no figures of a bench are in it"));
        assert!(is_name("v0.1-3e19b72") && !is_name("a/b") && !is_name(""));
    }
}
