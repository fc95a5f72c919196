//! Numbers and times as people write them.

use ironbook_fix::field::{Precision, TIMESTAMP_TEXT_MAX, TimestampText, parse_timestamp};

/// A whole number with separators: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A mantissa with its decimals: `(18950, 2)` is `189.50`.
pub fn decimal(mantissa: u128, scale: u8) -> String {
    let digits = format!("{mantissa:0width$}", width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    let point = if scale == 0 { "" } else { "." };
    format!("{whole}{point}{fraction}")
}

/// A mantissa that may be negative, with its decimals: `(-5, 2)` is `-0.05`.
pub fn signed_decimal(mantissa: i128, scale: u8) -> String {
    let sign = if mantissa < 0 { "-" } else { "" };
    format!("{sign}{}", decimal(mantissa.unsigned_abs(), scale))
}

/// Bytes in MiB.
pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / (1 << 20) as f64)
}

/// A time in µs, to a tenth.
pub fn micros(ns: u64) -> String {
    format!("{}.{} us", grouped(ns / 1_000), ns % 1_000 / 100)
}

/// A length of time in its two largest units: `2 d 3 h`, `4 min 5 s`; below a minute `6.789 s`.
pub fn duration(ns: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = ns / 1_000_000_000;
    let Some(at) = UNITS[..3].iter().position(|(unit, _)| seconds >= *unit) else {
        return format!("{seconds}.{:03} s", ns / 1_000_000 % 1_000);
    };
    let [(large, of_large), (small, of_small)] = [UNITS[at], UNITS[at + 1]];
    format!("{} {of_large} {} {of_small}", seconds / large, seconds % large / small)
}

/// A hash as sixteen hexadecimal digits.
pub fn hash(hash: u64) -> String {
    format!("{hash:016x}")
}

/// The program that wrote a segment, by the id in its header.
pub fn build(id: &[u8]) -> String {
    match String::from_utf8_lossy(id).trim_end_matches('\0') {
        "" => "unknown".to_owned(),
        known => known.to_owned(),
    }
}

/// A time as RFC 3339 has it, UTC, to the nanosecond: `2026-03-02T14:30:00.000000001Z`.
pub fn utc(time_ns: u64) -> String {
    let mut text = [0; TIMESTAMP_TEXT_MAX];
    let length = TimestampText::new(Precision::Nanos).write(&mut text, time_ns);
    let text = String::from_utf8_lossy(&text[..length]);
    let (date, time) = text.split_at(8);
    format!("{}-{}-{}T{}Z", &date[..4], &date[4..6], &date[6..], &time[1..])
}

/// The time that a text names, in ns since 1970, UTC: RFC 3339 with `Z` or without, or `HH:MM:SS`
/// with an optional fraction on the day of `day_ns`.
pub fn parse_utc(text: &str, day_ns: u64) -> Option<u64> {
    let text = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let fix = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => {
            let plain =
                date.len() == 10 && date.as_bytes()[4] == b'-' && date.as_bytes()[7] == b'-';
            plain.then(|| format!("{}-{time}", date.replace('-', "")))?
        }
        None => format!("{}-{text}", utc(day_ns).split_once('T')?.0.replace('-', "")),
    };
    parse_timestamp(fix.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_legible() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(12), "12");
        assert_eq!(decimal(18_950, 2), "189.50");
        assert_eq!(decimal(5, 2), "0.05");
        assert_eq!(decimal(7, 0), "7");
        assert_eq!(signed_decimal(-5, 2), "-0.05");
        for (seconds, expected) in
            [(6, "6.789 s"), (245, "4 min 5 s"), (7_261, "2 h 1 min"), (183_600, "2 d 3 h")]
        {
            assert_eq!(duration(seconds * 1_000_000_000 + 789_999_999), expected);
        }
    }

    #[test]
    fn times_go_there_and_back() {
        let time_ns = 1_772_461_800_000_000_001;
        assert_eq!(utc(time_ns), "2026-03-02T14:30:00.000000001Z");
        assert_eq!(parse_utc("2026-03-02T14:30:00.000000001Z", 0), Some(time_ns));
        assert_eq!(parse_utc("2026-03-02 14:30:00.000000001", 0), Some(time_ns));
        assert_eq!(parse_utc("14:30:00.000000001", time_ns), Some(time_ns));
        assert_eq!(parse_utc("14:30:00", time_ns), Some(time_ns - 1));
        for wrong in ["14:30", "2026-3-02T14:30:00", "20260302T14:30:00", "x", ""] {
            assert_eq!(parse_utc(wrong, time_ns), None, "{wrong}");
        }
    }
}
