//! When sessions may be logged on, and when their numbers start anew: hours of a day in a time zone.
//!
//! ```text
//!        mon 08:00        mon 17:00        tue 08:00
//!  closed ──┬────── open ────┬─── closed ─────┬────── open ──
//!           opening          logout           opening
//!           └─ daily: both numbers start at 1 ┘
//! ```
//!
//! A window opens on each of the days at `start` and closes when the clock shows `end` next. Windows that
//! touch are one, unless numbers start anew between them. Where a clock skips a time, it is the moment of the
//! skip; where it shows one twice, the first.
//!
//! Time zones are computed here alone, when a boundary is passed, from a database that is part of the program.
//! What follows from it, a reset, is journaled: whoever reads the journal knows of no time zone.

use ironbook_engine::Timestamp;
use jiff::{
    ToSpan,
    civil::{Date, Time},
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};

use crate::config::{ConfigError, Day, ResetConfig, ScheduleConfig, value};

/// Days behind today on which a window that is open now may have begun: it has a day at the most, and
/// today's date may be a day off where the clock is set.
const DAYS_BACK: i64 = 2;

/// Days on which windows are looked for: a week with one window that a skip of the clock swallows, and the
/// next.
const DAYS: usize = 18;

/// The hours of sessions.
#[derive(Clone, Debug)]
pub struct Schedule {
    start: Time,
    end: Time,
    /// Days on which windows open; a week begins with the first.
    days: Vec<Day>,
    zone: TimeZone,
    reset: ResetConfig,
}

/// What holds until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Sessions may be logged on.
    pub open: bool,
    /// The next boundary: from here on another phase holds, or the same one goes on.
    pub until: Timestamp,
    /// When numbers were to start anew last, if they are to at all and it is open.
    pub period: Option<Timestamp>,
}

/// A time in which it is open.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: Timestamp,
    to: Timestamp,
    period: Option<Timestamp>,
}

impl Schedule {
    /// As configured, if there are hours; `whose` is for messages.
    ///
    /// # Errors
    /// [`ConfigError::Value`] names what is wrong.
    pub fn new(config: &ScheduleConfig, whose: &str) -> Result<Option<Self>, ConfigError> {
        let key = |name: &str| format!("{whose}{name}");
        let time = |name: &str, text: &str| {
            let reason = "must be a time of the day such as \"08:00\" or \"17:30:15\"";
            text.parse::<Time>().map_err(|_| value(&key(name), text, &reason))
        };
        let zone = TimeZoneDatabase::bundled().get(&config.time_zone);
        let zone = zone.map_err(|_| {
            let reason = "is no time zone of the IANA database, such as America/New_York";
            value(&key("time_zone"), &config.time_zone, &reason)
        })?;
        let (start, end) = match (&config.start, &config.end) {
            (Some(start), Some(end)) => (time("start", start)?, time("end", end)?),
            (None, None) if config.reset == ResetConfig::Never && config.days.is_empty() => {
                return Ok(None);
            }
            (Some(start), None) => {
                return Err(value(&key("start"), start, &"needs end beside it"));
            }
            (None, Some(end)) => return Err(value(&key("end"), end, &"needs start beside it")),
            (None, None) => {
                let reason = "days and reset need start and end beside them";
                return Err(value(&key("start"), "", &reason));
            }
        };
        for (at, day) in config.days.iter().enumerate() {
            if config.days[..at].contains(day) {
                return Err(value(&key("days"), &format!("{day:?}"), &"is listed twice"));
            }
        }
        let days = if config.days.is_empty() { Day::ALL.into() } else { config.days.clone() };
        Ok(Some(Self { start, end, days, zone, reset: config.reset }))
    }

    /// What holds at a time.
    pub fn at(&self, now: Timestamp) -> Phase {
        let mut windows = self.windows(now).filter(|window| window.to > now).peekable();
        let Some(mut window) = windows.next() else {
            unreachable!("a window is open within every two weeks")
        };
        if window.from > now {
            return Phase { open: false, until: window.from, period: None };
        }
        while let Some(next) =
            windows.next_if(|next| next.from == window.to && next.period == window.period)
        {
            window.to = next.to;
        }
        Phase { open: true, until: window.to, period: window.period }
    }

    /// Windows around a time, from one that has begun before it on.
    fn windows(&self, now: Timestamp) -> impl Iterator<Item = Window> {
        let first = self.local(now).date().saturating_sub(DAYS_BACK.days());
        let days = first.series(1.day()).take(DAYS);
        let days = days.filter(|day| self.days.contains(&Day::of(day.weekday())));
        let windows = days.map(|day| {
            let next = if self.end > self.start { day } else { day.saturating_add(1.day()) };
            let from = self.instant(day, self.start);
            let period = match self.reset {
                ResetConfig::Never => None,
                ResetConfig::Daily => Some(from),
                ResetConfig::Weekly => Some(self.instant(self.week_of(day), self.start)),
            };
            Window { from, to: self.instant(next, self.end), period }
        });
        windows.filter(|window| window.from < window.to)
    }

    /// The day that the week of a day begins with.
    fn week_of(&self, day: Date) -> Date {
        let first = self.days[0].weekday();
        day.saturating_sub(i64::from(day.weekday().since(first)).days())
    }

    /// When the clock shows a time.
    fn instant(&self, day: Date, time: Time) -> Timestamp {
        let ambiguous = self.zone.to_ambiguous_timestamp(day.to_datetime(time));
        let skips = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
        let instant = ambiguous.earlier().unwrap_or(jiff::Timestamp::MAX);
        let skip = self.zone.following(instant).next().filter(|_| skips);
        let instant = skip.map_or(instant, |skip| skip.timestamp());
        Timestamp(instant.as_nanosecond().try_into().unwrap_or_default())
    }

    fn local(&self, time: Timestamp) -> jiff::Zoned {
        let time = jiff::Timestamp::from_nanosecond(time.0.into());
        time.unwrap_or(jiff::Timestamp::MAX).to_zoned(self.zone.clone())
    }

    /// A time as people there write it, with its distance from UTC and the zone.
    pub fn text(&self, time: Timestamp) -> String {
        self.local(time).to_string()
    }
}

/// A schedule and the phase that holds.
#[derive(Clone, Debug)]
pub struct Hours {
    schedule: Schedule,
    phase: Phase,
}

impl Hours {
    /// From now on.
    pub fn new(schedule: Schedule, now: Timestamp) -> Self {
        Self { phase: schedule.at(now), schedule }
    }

    /// What holds now: computed anew once a boundary is passed.
    #[inline]
    pub fn at(&mut self, now: Timestamp) -> Phase {
        if self.phase.until <= now {
            self.phase = self.schedule.at(now);
        }
        self.phase
    }

    /// What held when it was asked last.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Why a session that was logged on is not to be any longer, or can't log on.
    pub fn reason(&self) -> String {
        match self.phase.open {
            true => "a new session begins: log on again, with numbers from 1".to_owned(),
            false => {
                format!("closed until {} by schedule", self.schedule.text(self.phase.until))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000_000_000;

    /// A schedule from `start-end days zone reset`.
    fn schedule(text: &str) -> Schedule {
        let words: Vec<_> = text.split(' ').collect();
        let (start, end) = words[0].split_once('-').unwrap();
        let config = ScheduleConfig {
            start: Some(start.to_owned()),
            end: Some(end.to_owned()),
            days: match words[1] {
                "all" => Vec::new(),
                days => days.split(',').map(day).collect(),
            },
            time_zone: words[2].to_owned(),
            reset: match words[3] {
                "daily" => ResetConfig::Daily,
                "weekly" => ResetConfig::Weekly,
                _ => ResetConfig::Never,
            },
        };
        Schedule::new(&config, "").unwrap().unwrap()
    }

    fn day(name: &str) -> Day {
        Day::ALL.into_iter().find(|day| format!("{day:?}").to_lowercase() == name).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        let time: jiff::Timestamp = text.parse().unwrap();
        Timestamp(time.as_nanosecond().try_into().unwrap())
    }

    fn show(time: Timestamp) -> String {
        let time = jiff::Timestamp::from_nanosecond(time.0.into()).unwrap();
        time.strftime("%m-%d %H:%M").to_string()
    }

    /// The phases from a time on, one by one, and what they are as text.
    fn phases(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
        let mut now = at(from);
        let phases = (0..count).map(|_| {
            let phase = schedule.at(now);
            assert!(phase.until > now, "time goes on: {phase:?}");
            // The same holds to the last moment.
            let last = schedule.at(Timestamp(phase.until.0 - 1));
            assert_eq!((last.open, last.period), (phase.open, phase.period));
            now = phase.until;
            let period =
                phase.period.map_or(String::new(), |period| format!(" of {}", show(period)));
            format!("{}{period} to {}", if phase.open { "open" } else { "closed" }, show(now))
        });
        phases.collect()
    }

    #[test]
    fn windows_follow_each_other() {
        for (text, from, expected) in [
            // Within a day; 2026-01-02 is a Friday.
            (
                "08:00-17:30 mon,tue,wed,thu,fri UTC daily",
                "2026-01-02T07:59:59Z",
                &[
                    "closed to 01-02 08:00",
                    "open of 01-02 08:00 to 01-02 17:30",
                    "closed to 01-05 08:00",
                    "open of 01-05 08:00 to 01-05 17:30",
                ][..],
            ),
            // Over midnight: the day is that of the opening.
            (
                "22:00-02:00 fri UTC daily",
                "2026-01-03T01:00:00Z",
                &["open of 01-02 22:00 to 01-03 02:00", "closed to 01-09 22:00"],
            ),
            // All day, with an end to log out at.
            (
                "00:00-00:00 all UTC daily",
                "2026-01-01T12:00:00Z",
                &["open of 01-01 00:00 to 01-02 00:00", "open of 01-02 00:00 to 01-03 00:00"],
            ),
            // A week that begins on Sunday evening, without an end between its days.
            (
                "17:00-17:00 sun,mon,tue,wed,thu America/New_York weekly",
                "2026-01-07T00:00:00Z",
                &[
                    "open of 01-04 22:00 to 01-09 22:00",
                    "closed to 01-11 22:00",
                    "open of 01-11 22:00 to 01-16 22:00",
                ],
            ),
            // The same days in another order: another week.
            (
                "08:00-09:00 wed,sun UTC weekly",
                "2026-01-04T08:30:00Z",
                &[
                    "open of 12-31 08:00 to 01-04 09:00",
                    "closed to 01-07 08:00",
                    "open of 01-07 08:00 to 01-07 09:00",
                ],
            ),
            (
                "08:00-09:00 sun,wed UTC weekly",
                "2026-01-04T08:30:00Z",
                &[
                    "open of 01-04 08:00 to 01-04 09:00",
                    "closed to 01-07 08:00",
                    "open of 01-04 08:00 to 01-07 09:00",
                ],
            ),
            // Spring in New York, 2026-03-08: half past two is skipped, at 07:00 UTC.
            (
                "02:30-04:00 all America/New_York daily",
                "2026-03-07T12:00:00Z",
                &[
                    "closed to 03-08 07:00",
                    "open of 03-08 07:00 to 03-08 08:00",
                    "closed to 03-09 06:30",
                ],
            ),
            // A window that is skipped whole.
            (
                "02:10-02:50 all America/New_York daily",
                "2026-03-07T12:00:00Z",
                &["closed to 03-09 06:10", "open of 03-09 06:10 to 03-09 06:50"],
            ),
            // The end is skipped: it is before the next start.
            (
                "03:00-02:30 all America/New_York daily",
                "2026-03-07T12:00:00Z",
                &[
                    "open of 03-07 08:00 to 03-08 07:00",
                    "open of 03-08 07:00 to 03-09 06:30",
                    "closed to 03-09 07:00",
                ],
            ),
            // Autumn in New York, 2026-11-01: half past one comes at 05:30 and 06:30 UTC.
            (
                "01:30-03:00 all America/New_York daily",
                "2026-10-31T12:00:00Z",
                &["closed to 11-01 05:30", "open of 11-01 05:30 to 11-01 08:00"],
            ),
            // The night has an hour more, and a day 25.
            (
                "17:00-17:00 all America/New_York daily",
                "2026-10-31T22:00:00Z",
                &["open of 10-31 21:00 to 11-01 22:00", "open of 11-01 22:00 to 11-02 22:00"],
            ),
        ] {
            assert_eq!(phases(&schedule(text), from, expected.len()), expected, "{text}");
        }
    }

    #[test]
    fn what_never_closes_is_one_phase() {
        let always = schedule("12:00-12:00 all Europe/Berlin never");
        let mut now = at("2026-01-01T00:00:00Z");
        for _ in 0..100 {
            let phase = always.at(now);
            assert!(phase.open && phase.until.0 > now.0 + 7 * 1_440 * MINUTE, "{phase:?}");
            assert_eq!(phase.period, None);
            now = phase.until;
        }
    }

    #[test]
    fn the_next_opening_is_told_in_its_zone() {
        let mut hours = Hours::new(
            schedule("08:00-17:00 mon America/New_York daily"),
            at("2026-03-02T22:00:00Z"),
        );
        let text = "closed until 2026-03-09T08:00:00-04:00[America/New_York] by schedule";
        assert_eq!(hours.reason(), text);
        assert!(!hours.at(at("2026-03-09T11:59:59Z")).open);
        assert!(hours.at(at("2026-03-09T12:00:00Z")).open);
    }

    #[test]
    fn bad_schedules_are_refused() {
        for (config, expected) in [
            ("start = \"08:00\"", "schedule.start = 08:00: needs end"),
            ("end = \"08:00\"", "schedule.end = 08:00: needs start"),
            ("reset = \"daily\"", "days and reset need start and end"),
            ("days = [\"mon\"]", "days and reset need start and end"),
            ("start = \"25:00\"\nend = \"08:00\"", "schedule.start = 25:00: must be a time"),
            ("start = \"8\"\nend = \"08:00\"", "schedule.start = 8: must be a time"),
            ("time_zone = \"Mars/Olympus\"", "schedule.time_zone = Mars/Olympus: is no time zone"),
            (
                "start = \"08:00\"\nend = \"09:00\"\ndays = [\"mon\", \"mon\"]",
                "schedule.days = Mon: is listed twice",
            ),
        ] {
            let config: ScheduleConfig = toml::from_str(config).unwrap();
            let error = Schedule::new(&config, "schedule.").unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(Schedule::new(&ScheduleConfig::default(), "").unwrap().is_none());
    }
}
