//! Field values: what the bytes after `=` mean, and back.
//!
//! The data types are those of the FIX 4.4 specification, volume 1, "FIX data types". A value is checked
//! once, here, into a type; nothing is converted through floating point.

use std::ops::Range;
use thiserror::Error;

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Significant digits a [`Decimal`] can hold, and the largest number of digits after its point. Eighteen
/// nines are the most that always fit an `i64`.
pub const DECIMAL_DIGITS_MAX: usize = 18;

/// Largest mantissa of a [`Decimal`] by magnitude: eighteen nines.
pub const MANTISSA_MAX: i64 = 999_999_999_999_999_999;

/// Most bytes an integer of this module takes as text: the twenty digits of `u64::MAX`.
pub const INTEGER_TEXT_MAX: usize = 20;

/// Most bytes a [`Decimal`] takes as text: sign, leading zero, point and eighteen digits.
pub const DECIMAL_TEXT_MAX: usize = DECIMAL_DIGITS_MAX + 3;

/// Most bytes a UTCTimestamp takes as text: `YYYYMMDD-HH:MM:SS.nnnnnnnnn`.
pub const TIMESTAMP_TEXT_MAX: usize = 27;

/// Bytes of a UTCTimestamp without a fraction of the second.
const SECOND_TEXT: usize = 17;

const _: () = assert!(10_i64.pow(DECIMAL_DIGITS_MAX as u32) - 1 == MANTISSA_MAX);

/// Why a field value was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ValueError {
    /// The bytes don't have the syntax of the data type. SessionRejectReason(373) 6.
    #[error("Incorrect data format for value")]
    Format,
    /// The syntax is right and the value can't be used: too large, too long, not in the code set.
    /// SessionRejectReason(373) 5.
    #[error("Value is incorrect (out of range) for this tag")]
    Range,
}

/// MsgSeqNum(34) and every other field of data type SeqNum.
///
/// A sequence number of one direction of one session; the first message is 1. Zero never numbers a message
/// but appears in EndSeqNo(16), where it means "all", and in a SequenceReset sent outside the sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MsgSeqNum(u64);

impl MsgSeqNum {
    /// The number of the first message of a session.
    pub const FIRST: Self = Self(1);

    /// The largest number accepted from a counterparty: eighteen nines, so that counting on from it can't
    /// wrap a `u64`.
    pub const MAX: Self = Self(MANTISSA_MAX as u64);

    /// A number as it is.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The bare number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number after this one. Stays at `u64::MAX`, which no session lives long enough to see.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number before this one; zero stays zero.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Reads a field of data type SeqNum.
    ///
    /// # Errors
    /// As for [`parse_u64`].
    pub fn parse(value: &[u8]) -> Result<Self, ValueError> {
        parse_u64(value).map(Self)
    }
}

impl std::fmt::Display for MsgSeqNum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Reads a field of data type int that can't be negative: digits only, leading zeros allowed.
///
/// # Errors
/// [`ValueError::Format`] when a byte isn't a digit or there are none, [`ValueError::Range`] past 18 digits.
pub fn parse_u64(value: &[u8]) -> Result<u64, ValueError> {
    if value.is_empty() {
        return Err(ValueError::Format);
    }
    let mut number = 0_u64;
    for &byte in value {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(ValueError::Format);
        }
        number = number * 10 + u64::from(digit);
        if number > MANTISSA_MAX as u64 {
            return Err(ValueError::Range);
        }
    }
    Ok(number)
}

/// [`parse_u64`] of a part of a message, quicker where it is short.
#[inline]
pub(crate) fn parse_u64_in(message: &[u8], value: Range<usize>) -> Result<u64, ValueError> {
    match short(message, &value) {
        Some(digits) if are_digits(digits) => Ok(number_of(digits)),
        _ => parse_u64(&message[value]),
    }
}

/// A value of one to eight bytes that stands in a message, as if it were digits in their bytes: the last one is
/// the highest byte, and there are zeros below the first. `None` says nothing.
#[inline]
fn short(message: &[u8], value: &Range<usize>) -> Option<u64> {
    let eight = message.get(value.start..)?.first_chunk()?;
    let behind = 8_usize.wrapping_sub(value.end.wrapping_sub(value.start));
    (behind < 8).then(|| (u64::from_le_bytes(*eight) ^ ZEROS) << (behind * 8))
}

/// The number that eight digits in their bytes make, the first one lowest.
#[inline]
const fn number_of(digits: u64) -> u64 {
    const ONE_OF_FOUR: u64 = 0x0000_00FF_0000_00FF;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let (high, low) = (pairs & ONE_OF_FOUR, pairs >> 16 & ONE_OF_FOUR);
    let high = high.wrapping_mul(100 + (1_000_000 << 32));
    high.wrapping_add(low.wrapping_mul(1 + (10_000 << 32))) >> 32
}

/// Reads a field of data type Boolean: `Y` or `N`.
///
/// # Errors
/// [`ValueError::Format`] for anything else.
pub fn parse_bool(value: &[u8]) -> Result<bool, ValueError> {
    match value {
        b"Y" => Ok(true),
        b"N" => Ok(false),
        _ => Err(ValueError::Format),
    }
}

/// Reads a field of data type char: one printable byte.
///
/// # Errors
/// [`ValueError::Format`] for anything else.
pub fn parse_char(value: &[u8]) -> Result<u8, ValueError> {
    match value {
        [byte] if !byte.is_ascii_control() => Ok(*byte),
        _ => Err(ValueError::Format),
    }
}

/// Checks a field of data type String against a bound in bytes and returns it.
///
/// # Errors
/// [`ValueError::Range`] when longer than `length_max`, [`ValueError::Format`] when empty or with a control
/// character inside.
pub fn parse_text(value: &[u8], length_max: usize) -> Result<&[u8], ValueError> {
    if value.len() > length_max {
        return Err(ValueError::Range);
    }
    if value.is_empty() || value.iter().any(u8::is_ascii_control) {
        return Err(ValueError::Format);
    }
    Ok(value)
}

/// A price or a quantity exactly as sent: `mantissa` divided by ten to the power `scale`.
///
/// `12.50` is mantissa 1250 at scale 2 and stays so: trailing zeros are not trimmed, and two decimals are
/// equal as values only after [`Decimal::rescale`] to one scale. The derived equality compares spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Decimal {
    /// Signed digits, at most [`MANTISSA_MAX`] by magnitude.
    pub mantissa: i64,
    /// Digits after the point, 0 to [`DECIMAL_DIGITS_MAX`].
    pub scale: u8,
}

impl Decimal {
    /// Zero, without a point.
    pub const ZERO: Self = Self { mantissa: 0, scale: 0 };

    /// A decimal from its parts.
    #[must_use]
    pub const fn new(mantissa: i64, scale: u8) -> Self {
        Self { mantissa, scale }
    }

    /// Reads a field of data type float (Price, Qty, Amt, ...): an optional `-`, digits, an optional point.
    /// Leading zeros don't count towards the 18 digits; there is no exponent and no `+`.
    ///
    /// # Errors
    /// [`ValueError::Format`] on any other syntax, [`ValueError::Range`] past 18 significant digits or 18
    /// digits after the point.
    #[inline]
    pub fn parse(value: &[u8]) -> Result<Self, ValueError> {
        let (negative, digits) = match value {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        // Unsigned, as ten times the largest mantissa doesn't fit an i64.
        let mut mantissa = 0_u64;
        let mut point = None;
        for (at, &byte) in digits.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 {
                mantissa = mantissa * 10 + u64::from(digit);
                if mantissa > MANTISSA_MAX as u64 {
                    return Err(Self::overflow(digits));
                }
            } else if byte == b'.' && point.is_none() {
                point = Some(at);
            } else {
                return Err(ValueError::Format);
            }
        }
        let scale = point.map_or(0, |at| digits.len() - at - 1);
        if digits.len() == usize::from(point.is_some()) {
            return Err(ValueError::Format);
        }
        if scale > DECIMAL_DIGITS_MAX {
            return Err(ValueError::Range);
        }
        let mantissa = mantissa as i64;
        Ok(Self { mantissa: if negative { -mantissa } else { mantissa }, scale: scale as u8 })
    }

    /// [`Decimal::parse`] of a part of a message, quicker where it is short.
    #[inline]
    pub(crate) fn parse_in(message: &[u8], value: Range<usize>) -> Result<Self, ValueError> {
        const POINTS: u64 = ZEROS ^ u64::from_le_bytes([b'.'; 8]);
        let Some(digits) = short(message, &value) else { return Self::parse(&message[value]) };
        if are_digits(digits) {
            return Ok(Self { mantissa: number_of(digits) as i64, scale: 0 });
        }
        if let Some(place) = lowest_zero_byte(digits ^ POINTS)
            && value.end > value.start + 1
        {
            // The digits before the point move to those behind it.
            let before = (1 << place) - 1;
            let joined = (digits & before) << 8 | digits & !before & !(0xFF << place);
            if are_digits(joined) {
                let scale = (56 - place) as u8 / 8;
                return Ok(Self { mantissa: number_of(joined) as i64, scale });
            }
        }
        Self::parse(&message[value])
    }

    /// Too many digits are out of range only when the rest of the value is a number at all.
    #[cold]
    fn overflow(digits: &[u8]) -> ValueError {
        if is_unsigned_float(digits) { ValueError::Range } else { ValueError::Format }
    }

    /// The mantissa of the same value at another scale; `None` when digits other than zero would be lost or
    /// the result has more than 18 digits.
    #[must_use]
    pub fn rescale(self, scale: u8) -> Option<i64> {
        let mantissa = if scale >= self.scale {
            let power = 10_i64.checked_pow(u32::from(scale - self.scale))?;
            self.mantissa.checked_mul(power)?
        } else {
            let power = 10_i64.checked_pow(u32::from(self.scale - scale))?;
            if self.mantissa % power != 0 {
                return None;
            }
            self.mantissa / power
        };
        (mantissa.abs() <= MANTISSA_MAX).then_some(mantissa)
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = [0_u8; DECIMAL_TEXT_MAX];
        let length = write_decimal(&mut text, *self);
        f.write_str(std::str::from_utf8(&text[..length]).expect("a decimal is written in ASCII"))
    }
}

#[inline]
fn is_unsigned_float(digits: &[u8]) -> bool {
    let mut points = 0;
    for &byte in digits {
        if byte == b'.' {
            points += 1;
        } else if !byte.is_ascii_digit() {
            return false;
        }
    }
    points <= 1 && digits.len() > points
}

/// Whether the value has the syntax of data type float, of any length.
#[must_use]
pub fn is_float(value: &[u8]) -> bool {
    is_unsigned_float(value.strip_prefix(b"-").unwrap_or(value))
}

/// Whether the value has the syntax of data type int, of any length.
#[must_use]
pub fn is_integer(value: &[u8]) -> bool {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// The hundred two-digit numbers, one after another.
const PAIRS: [u8; 200] = {
    let mut pairs = [0; 200];
    let mut number = 0;
    while number < 100 {
        pairs[number * 2] = b'0' + (number / 10) as u8;
        pairs[number * 2 + 1] = b'0' + (number % 10) as u8;
        number += 1;
    }
    pairs
};

#[inline]
fn pair(number: u64) -> [u8; 2] {
    let at = (number as usize % 100) * 2;
    [PAIRS[at], PAIRS[at + 1]]
}

/// Powers of ten that fit into 64 bits.
const POWERS_OF_TEN: [u64; 20] = {
    let mut powers = [1; 20];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// How many decimal digits a number has; zero has one.
#[inline]
#[must_use]
pub const fn digits_of(number: u64) -> usize {
    let number = number | 1;
    let bits = (u64::BITS - number.leading_zeros()) as usize;
    // Bits times the logarithm of two, which is the digits or one less.
    let digits = (bits * 1_233) >> 12;
    digits + (number >= POWERS_OF_TEN[digits]) as usize
}

/// Below it a number has eight digits.
const EIGHT_DIGITS_END: u64 = 100_000_000;

/// The eight digits of a number below [`EIGHT_DIGITS_END`], zeros in front, as values in the bytes of a word, the
/// first one lowest. Halves, pairs and digits are told apart for all of the word at once, by multiplication with
/// the inverse: exact for what fits into each part.
#[inline]
const fn eight_digits(number: u64) -> u64 {
    debug_assert!(number < EIGHT_DIGITS_END);
    let high = number / 10_000;
    let halves = high | (number - high * 10_000) << 32;
    let high = ((halves * 10_486) >> 20) & 0x7F_0000_007F;
    let pairs = high | (halves - high * 100) << 16;
    let high = ((pairs * 103) >> 10) & 0x000F_000F_000F_000F;
    high | (pairs - high * 10) << 8
}

/// How many zeros stand in front of the last `last` of eight digits at the most.
#[inline]
const fn zeros_in_front(digits: u64, last: u32) -> u32 {
    (digits | 1 << (u64::BITS - 8 * last)).trailing_zeros() / 8
}

/// Writes a number at the start of `out` and returns its length. Up to eight bytes behind it may become zero.
///
/// # Panics
/// When `out` is shorter than the number, which [`INTEGER_TEXT_MAX`] bytes never are.
#[inline]
pub fn write_u64(out: &mut [u8], number: u64) -> usize {
    if let Some((first, behind)) = out.split_first_chunk_mut() {
        if number < EIGHT_DIGITS_END {
            return write_short(first, number);
        }
        let high = number / EIGHT_DIGITS_END;
        if high < EIGHT_DIGITS_END && behind.len() >= 8 {
            let length = write_short(first, high);
            let low = eight_digits(number - high * EIGHT_DIGITS_END) | ZEROS;
            out[length..length + 8].copy_from_slice(&low.to_le_bytes());
            return length + 8;
        }
    }
    write_long(out, number)
}

/// Writes a number below [`EIGHT_DIGITS_END`], zeros behind it.
#[inline]
fn write_short(out: &mut [u8; 8], number: u64) -> usize {
    let digits = eight_digits(number);
    let zeros = zeros_in_front(digits, 1);
    *out = ((digits | ZEROS) >> (8 * zeros)).to_le_bytes();
    8 - zeros as usize
}

/// Writes any number into as many bytes as it has digits.
#[inline(never)]
fn write_long(out: &mut [u8], number: u64) -> usize {
    let length = digits_of(number);
    write_digits(&mut out[..length], number);
    length
}

/// Fills `out` from the right with the digits of `number`, zeros in front; returns what is left of it.
#[inline]
fn write_digits(out: &mut [u8], mut number: u64) -> u64 {
    let mut end = out.len();
    while end >= 2 {
        out[end - 2..end].copy_from_slice(&pair(number % 100));
        number /= 100;
        end -= 2;
    }
    if end == 1 {
        out[0] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    number
}

/// Room that [`write_decimal`] needs for its short way: eight bytes each for what stands before and behind the
/// point, which is the eighth character at the latest.
const DECIMAL_ROOM: usize = 8 + 8;

/// Writes a decimal at the start of `out` and returns its length. Up to eight bytes behind it may become zero.
///
/// # Panics
/// When `out` is shorter than [`DECIMAL_TEXT_MAX`] needs for this value, or `scale` is past its range.
#[inline]
pub fn write_decimal(out: &mut [u8], decimal: Decimal) -> usize {
    let magnitude = decimal.mantissa as u64;
    let scale = u32::from(decimal.scale);
    if magnitude >= EIGHT_DIGITS_END || scale > 7 {
        return write_long_decimal(out, decimal);
    }
    if scale == 0 {
        return write_u64(out, magnitude);
    }
    let Some(out) = out.first_chunk_mut::<DECIMAL_ROOM>() else {
        return write_long_decimal(out, decimal);
    };
    let digits = eight_digits(magnitude);
    let text = digits | ZEROS;
    // At least one digit stands before the point.
    let zeros = zeros_in_front(digits, scale + 1);
    let point = (8 - scale - zeros) as usize;
    out[..8].copy_from_slice(&(text >> (8 * zeros)).to_le_bytes());
    out[point] = b'.';
    out[point + 1..point + 9].copy_from_slice(&(text >> (8 * (8 - scale))).to_le_bytes());
    point + 1 + scale as usize
}

/// Writes any decimal, and nothing behind it.
#[inline(never)]
fn write_long_decimal(out: &mut [u8], decimal: Decimal) -> usize {
    let scale = usize::from(decimal.scale);
    assert!(scale <= DECIMAL_DIGITS_MAX, "scale of a decimal is at most 18");
    let mut at = 0;
    if decimal.mantissa < 0 {
        out[0] = b'-';
        at = 1;
    }
    let magnitude = decimal.mantissa.unsigned_abs();
    if scale == 0 {
        return at + write_long(&mut out[at..], magnitude);
    }
    // At least one digit stands before the point, so a small mantissa gets zeros in front.
    let point = at + digits_of(magnitude).max(scale + 1) - scale;
    let end = point + 1 + scale;
    let whole = write_digits(&mut out[point + 1..end], magnitude);
    out[point] = b'.';
    write_digits(&mut out[at..point], whole);
    end
}

/// How many digits of the second a timestamp is written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// `YYYYMMDD-HH:MM:SS`
    Seconds,
    /// Three digits, the FIX 4.4 default.
    #[default]
    Millis,
    /// Six digits.
    Micros,
    /// Nine digits.
    Nanos,
}

/// Days before each month of a year that begins in March, so that the leap day is its last; January is 1.
const DAYS_BEFORE_MONTH: [u32; 13] = [0, 306, 337, 0, 31, 61, 92, 122, 153, 184, 214, 245, 275];

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// Days from 1970-01-01 to a civil date of the proleptic Gregorian calendar, years 0 to 9999.
#[inline]
const fn days_from_civil(Civil { year, month, day }: Civil) -> i64 {
    if year == 0 && month <= 2 {
        // The one year before the count begins is a leap year.
        return days_from_civil(Civil { year: 400, month, day }) - 146_097;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let centuries = year / 100;
    let days = year * 365 + year / 4 - centuries + centuries / 4;
    (days + DAYS_BEFORE_MONTH[month as usize] + day) as i64 - 1 - EPOCH_DAYS
}

/// The civil date `(year, month, day)` of a day counted from 1970-01-01.
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

const fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

/// A day of the calendar.
#[derive(Debug, Clone, Copy)]
struct Civil {
    year: u32,
    month: u32,
    day: u32,
}

const ZEROS: u64 = 0x3030_3030_3030_3030;
const HIGH_HALVES: u64 = 0xF0F0_F0F0_F0F0_F0F0;
const SIXES: u64 = 0x0606_0606_0606_0606;

/// How many bits are below the lowest byte that is zero, if one is.
#[inline]
const fn lowest_zero_byte(bytes: u64) -> Option<u32> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    match bytes.wrapping_sub(ONES) & !bytes & ONES << 7 {
        0 => None,
        zeros => Some(zeros.trailing_zeros() - 7),
    }
}

/// Whether each byte is at most nine.
#[inline]
const fn are_digits(values: u64) -> bool {
    // Nothing above nine: the high half of each byte is zero, and stays so when six is added.
    (values | values.wrapping_add(SIXES)) & HIGH_HALVES == 0
}

/// Of digits in their bytes, the first one lowest, the number that those at `at` and behind it make.
#[inline]
const fn two_of(digits: u64, at: u32) -> u32 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    (pairs >> (at * 8) & 0xFF) as u32
}

/// The day that `YYYYMMDD` names, if there is one.
#[inline]
fn civil(text: [u8; 8]) -> Option<Civil> {
    let digits = u64::from_le_bytes(text) ^ ZEROS;
    let year = two_of(digits, 0) * 100 + two_of(digits, 2);
    let (month, day) = (two_of(digits, 4), two_of(digits, 6));
    let short = (1..=28).contains(&day) && (1..=12).contains(&month);
    let exists =
        short || (1..=12).contains(&month) && (29..=days_in_month(year, month)).contains(&day);
    (are_digits(digits) && exists).then_some(Civil { year, month, day })
}

/// The second of the day that `HH:MM:SS` names, if there is one; a leap second is the last of its minute.
#[inline]
fn second_of_day(text: [u8; 8]) -> Option<u32> {
    const COLONS: u64 = 0x0000_FF00_00FF_0000;
    let digits = u64::from_le_bytes(text) ^ u64::from_le_bytes(*b"00:00:00");
    let (hour, minute, second) = (two_of(digits, 0), two_of(digits, 3), two_of(digits, 6));
    let exists =
        digits & COLONS == 0 && are_digits(digits) && hour <= 23 && minute <= 59 && second <= 60;
    exists.then_some(hour * 3600 + minute * 60 + second.min(59))
}

/// Reads `YYYYMMDD` (data types LocalMktDate and UTCDateOnly) as days since 1970-01-01.
///
/// # Errors
/// [`ValueError::Format`] for another syntax or a day that isn't in the calendar.
#[inline]
pub fn parse_date(value: &[u8]) -> Result<i64, ValueError> {
    let civil = value.try_into().ok().and_then(civil).ok_or(ValueError::Format)?;
    Ok(days_from_civil(civil))
}

/// Reads `HH:MM:SS` with an optional fraction of 1 to 9 digits (data type UTCTimeOnly) as nanoseconds since
/// midnight. Second 60, a leap second, is read as the last second of its minute.
///
/// # Errors
/// [`ValueError::Format`] for another syntax.
#[inline]
pub fn parse_time(value: &[u8]) -> Result<u64, ValueError> {
    let (time, fraction) = value.split_first_chunk().ok_or(ValueError::Format)?;
    let second = second_of_day(*time).ok_or(ValueError::Format)?;
    Ok(u64::from(second) * NANOS_PER_SECOND + parse_fraction(fraction)?)
}

/// Nanoseconds of a fraction of a second: a point and digits, or nothing.
#[inline]
fn parse_fraction(value: &[u8]) -> Result<u64, ValueError> {
    match value {
        [] => Ok(0),
        &[point, a, b, c] => {
            let digits = u64::from(u32::from_le_bytes([point, a, b, c]) ^ 0x3030_302E);
            if digits & 0xFF != 0 || !are_digits(digits) {
                return Err(ValueError::Format);
            }
            let millis = u64::from(two_of(digits, 1)) * 10 + (digits >> 24);
            Ok(millis * 1_000_000)
        }
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
            let mut nanos = parse_u64(digits)?;
            for _ in digits.len()..9 {
                nanos *= 10;
            }
            Ok(nanos)
        }
        _ => Err(ValueError::Format),
    }
}

/// The first day whose nanoseconds don't fit 64 bits: 2554-07-21.
const DAYS_END: u64 = 213_503;

/// Reads a UTCTimestamp, `YYYYMMDD-HH:MM:SS` with an optional fraction of 1 to 9 digits, as nanoseconds
/// since the Unix epoch.
///
/// # Errors
/// [`ValueError::Format`] for another syntax, [`ValueError::Range`] before 1970 or past 2553.
#[inline]
pub fn parse_timestamp(value: &[u8]) -> Result<u64, ValueError> {
    let Some((date, [b'-', time @ ..])) = value.split_first_chunk() else {
        return Err(ValueError::Format);
    };
    let civil = civil(*date).ok_or(ValueError::Format)?;
    let within = parse_time(time)?;
    match u64::try_from(days_from_civil(civil)) {
        Ok(days) if days < DAYS_END => Ok(days * 86_400 * NANOS_PER_SECOND + within),
        _ => Err(ValueError::Range),
    }
}

/// Reads UTCTimestamps, remembering the last second: most of what comes together is of one.
#[derive(Debug, Clone)]
pub(crate) struct TimestampReader {
    text: [u8; SECOND_TEXT],
    /// Its nanoseconds since the Unix epoch.
    second_ns: u64,
}

impl TimestampReader {
    pub const fn new() -> Self {
        Self { text: *b"19700101-00:00:00", second_ns: 0 }
    }

    /// [`parse_timestamp`]
    #[inline]
    pub fn parse(&mut self, value: &[u8]) -> Result<u64, ValueError> {
        match value.split_first_chunk() {
            Some((text, fraction)) if *text == self.text => {
                Ok(self.second_ns + parse_fraction(fraction)?)
            }
            Some((text, _)) => self.turn(*text, value),
            None => Err(ValueError::Format),
        }
    }

    #[cold]
    fn turn(&mut self, text: [u8; SECOND_TEXT], value: &[u8]) -> Result<u64, ValueError> {
        let time_ns = parse_timestamp(value)?;
        self.text = text;
        self.second_ns = time_ns - time_ns % NANOS_PER_SECOND;
        Ok(time_ns)
    }
}

/// UTCTimestamps as text, remembering the text of the last second so that within one second only the
/// fraction is written anew.
#[derive(Debug, Clone)]
pub struct TimestampText {
    precision: Precision,
    second: u64,
    text: [u8; SECOND_TEXT],
}

impl TimestampText {
    /// A writer of timestamps at one precision.
    #[must_use]
    pub fn new(precision: Precision) -> Self {
        Self { precision, second: 0, text: *b"19700101-00:00:00" }
    }

    /// Writes a time in nanoseconds since the Unix epoch at the start of `out` and returns its length.
    ///
    /// # Panics
    /// When `out` is shorter than [`TIMESTAMP_TEXT_MAX`].
    #[inline]
    pub fn write(&mut self, out: &mut [u8], time_ns: u64) -> usize {
        let second = time_ns / NANOS_PER_SECOND;
        if second != self.second {
            self.turn(second);
        }
        let out: &mut [u8; TIMESTAMP_TEXT_MAX] =
            out.first_chunk_mut().expect("room for a timestamp of nanoseconds");
        out[..17].copy_from_slice(&self.text);
        let nanos = time_ns % NANOS_PER_SECOND;
        let (digits, fraction) = match self.precision {
            Precision::Seconds => return 17,
            Precision::Millis => (3, nanos / 1_000_000),
            Precision::Micros => (6, nanos / 1_000),
            Precision::Nanos => (9, nanos),
        };
        out[17] = b'.';
        if digits == 3 {
            out[18] = b'0' + (fraction / 100) as u8;
            out[19..21].copy_from_slice(&pair(fraction % 100));
            return 21;
        }
        write_digits(&mut out[18..18 + digits], fraction);
        18 + digits
    }

    fn turn(&mut self, second: u64) {
        self.second = second;
        let (year, month, day) = civil_from_days((second / 86_400) as i64);
        let within = second % 86_400;
        let pairs = [
            (0, year as u64 / 100),
            (2, year as u64 % 100),
            (4, month as u64),
            (6, day as u64),
            (9, within / 3600),
            (12, within / 60 % 60),
            (15, within % 60),
        ];
        for (at, number) in pairs {
            self.text[at..at + 2].copy_from_slice(&pair(number));
        }
    }
}

impl Default for TimestampText {
    fn default() -> Self {
        Self::new(Precision::Millis)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn digits_are_those_of_the_text() {
        let near = |number: u64| [number.wrapping_sub(1), number, number.wrapping_add(1)];
        let powers = (0..64).map(|bit| 1 << bit).chain(POWERS_OF_TEN).chain([u64::MAX]);
        for number in powers.flat_map(near) {
            assert_eq!(digits_of(number), number.to_string().len(), "{number}");
        }
    }

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_read_as_sent() {
        for (text, expected) in [
            ("0", Ok((0, 0))),
            ("12.50", Ok((1250, 2))),
            ("-12.5", Ok((-125, 1))),
            ("002000.00", Ok((200_000, 2))),
            ("23.", Ok((23, 0))),
            (".5", Ok((5, 1))),
            ("999999999999999999", Ok((MANTISSA_MAX, 0))),
            ("0.000000000000000001", Ok((1, 18))),
            ("0000000000000000000000001", Ok((1, 0))),
            ("1000000000000000000", Err(ValueError::Range)),
            ("0.0000000000000000001", Err(ValueError::Range)),
            ("99999999999999999999999999999x", Err(ValueError::Format)),
            ("+200.00", Err(ValueError::Format)),
            ("1e5", Err(ValueError::Format)),
            ("1E5", Err(ValueError::Format)),
            ("", Err(ValueError::Format)),
            ("-", Err(ValueError::Format)),
            (".", Err(ValueError::Format)),
            ("-.", Err(ValueError::Format)),
            ("1.2.3", Err(ValueError::Format)),
            ("1,000", Err(ValueError::Format)),
            (" 1", Err(ValueError::Format)),
            ("--1", Err(ValueError::Format)),
            ("NaN", Err(ValueError::Format)),
        ] {
            let got = Decimal::parse(text.as_bytes()).map(|d| (d.mantissa, d.scale));
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn decimals_write_with_their_scale() {
        for (mantissa, scale, text) in [
            (0, 0, "0"),
            (0, 2, "0.00"),
            (5, 2, "0.05"),
            (-5, 2, "-0.05"),
            (1250, 2, "12.50"),
            (-MANTISSA_MAX, 18, "-0.999999999999999999"),
        ] {
            assert_eq!(Decimal::new(mantissa, scale).to_string(), text);
        }
    }

    #[test]
    fn rescale_never_loses_digits() {
        assert_eq!(Decimal::new(1250, 2).rescale(4), Some(125_000));
        assert_eq!(Decimal::new(1250, 2).rescale(1), Some(125));
        assert_eq!(Decimal::new(1250, 2).rescale(0), None);
        assert_eq!(Decimal::new(MANTISSA_MAX, 0).rescale(1), None);
    }

    #[test]
    fn timestamps_of_every_precision() {
        let mut reader = TimestampReader::new();
        for (text, expected) in [
            ("19700101-00:00:00", Ok(0)),
            ("20240229-23:59:59", Ok(1_709_251_199_000_000_000)),
            ("20240229-23:59:60", Ok(1_709_251_199_000_000_000)),
            ("20240301-00:00:00.1", Ok(1_709_251_200_100_000_000)),
            ("20240301-00:00:00.123", Ok(1_709_251_200_123_000_000)),
            ("20240301-00:00:00.123456", Ok(1_709_251_200_123_456_000)),
            ("20240301-00:00:00.123456789", Ok(1_709_251_200_123_456_789)),
            ("20230229-00:00:00", Err(ValueError::Format)),
            ("20241301-00:00:00", Err(ValueError::Format)),
            ("20240300-00:00:00", Err(ValueError::Format)),
            ("20240301-24:00:00", Err(ValueError::Format)),
            ("20240301-00:00:00.", Err(ValueError::Format)),
            ("20240301-00:00:00.1234567890", Err(ValueError::Format)),
            ("20240301 00:00:00", Err(ValueError::Format)),
            ("2024030-100:00:00", Err(ValueError::Format)),
            ("20240301-00:00:0", Err(ValueError::Format)),
            ("20240301-0000:000", Err(ValueError::Format)),
            ("20240301-00:00:00:000", Err(ValueError::Format)),
            ("20240301-00:00:00.0:0", Err(ValueError::Format)),
            ("20240301-00:60:00", Err(ValueError::Format)),
            ("20240301-00:00:61", Err(ValueError::Format)),
            ("20240230-00:00:00", Err(ValueError::Format)),
            ("20240431-00:00:00", Err(ValueError::Format)),
            ("20240001-00:00:00", Err(ValueError::Format)),
            ("20240132-00:00:00", Err(ValueError::Format)),
            ("19691231-23:59:59", Err(ValueError::Range)),
            ("99991231-23:59:59", Err(ValueError::Range)),
        ] {
            assert_eq!(parse_timestamp(text.as_bytes()), expected, "{text}");
            assert_eq!(reader.parse(text.as_bytes()), expected, "{text}");
            assert_eq!(reader.parse(text.as_bytes()), expected, "{text}, again");
        }
    }

    #[test]
    fn days_follow_each_other() {
        let mut days = parse_date(b"00000101").expect("a day");
        assert_eq!(days, -719_528);
        for (year, month) in (0..=9999).flat_map(|year| (1..=12).map(move |month| (year, month))) {
            let long = days_in_month(year, month);
            for day in 1..=31 {
                let text = format!("{year:04}{month:02}{day:02}");
                let parsed = parse_date(text.as_bytes());
                assert_eq!(
                    parsed,
                    if day <= long { Ok(days) } else { Err(ValueError::Format) },
                    "{text}"
                );
                if day <= long {
                    let (y, m, d) = civil_from_days(days);
                    assert_eq!((y, m, d), (year.into(), month.into(), day.into()));
                    days += 1;
                }
            }
        }
    }

    /// Writes into room that is filled, so that what is changed behind a number is seen.
    fn in_room(room: usize, write: impl FnOnce(&mut [u8]) -> usize) -> String {
        let mut text = [b'~'; 48];
        let length = write(&mut text[..room]);
        assert!(text[length..].iter().all(|&byte| byte == b'~' || byte == 0));
        assert!(text[room.min(length + 8)..].iter().all(|&byte| byte == b'~'));
        String::from_utf8(text[..length].to_vec()).unwrap()
    }

    #[test]
    fn numbers_of_all_lengths_are_written_in_any_room() {
        let powers = POWERS_OF_TEN.iter().flat_map(|&power| [power - 1, power, power + 1]);
        let spread =
            (0..4_000).map(|step: u64| step.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (step % 64));
        for number in (0..20_000).chain(powers).chain(spread).chain([u64::MAX]) {
            let expected = number.to_string();
            for room in [expected.len(), expected.len() + 1, expected.len() + 9, 40] {
                assert_eq!(in_room(room, |out| write_u64(out, number)), expected);
            }
            if number < EIGHT_DIGITS_END {
                let digits = eight_digits(number) | ZEROS;
                assert_eq!(digits.to_le_bytes(), format!("{number:08}").as_bytes());
            }
        }
    }

    #[test]
    fn decimals_are_written_the_short_way_as_the_long_way() {
        let powers = POWERS_OF_TEN[..9].iter().flat_map(|&power| [power - 1, power, power + 1]);
        for mantissa in (0..3_000).chain(powers).chain((0..EIGHT_DIGITS_END).step_by(77_777)) {
            for scale in 0..=9 {
                for mantissa in [mantissa as i64, -(mantissa as i64)] {
                    let decimal = Decimal { mantissa, scale };
                    let expected = in_room(40, |out| write_long_decimal(out, decimal));
                    for room in [expected.len(), DECIMAL_ROOM.max(expected.len()), 40] {
                        assert_eq!(in_room(room, |out| write_decimal(out, decimal)), expected);
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn decimals_round_trip(mantissa in -MANTISSA_MAX..=MANTISSA_MAX, scale in 0_u8..=18) {
            let decimal = Decimal::new(mantissa, scale);
            prop_assert_eq!(Decimal::parse(decimal.to_string().as_bytes()), Ok(decimal));
        }

        #[test]
        fn values_in_a_message_are_what_they_are_alone(
            before in "[0-9.]{0,2}",
            after in "[0-9.\\-]{0,9}",
            value in "[0-9]{0,10}|-?[0-9]{0,6}[.]?[0-9]{0,6}|[ -~]{0,9}",
        ) {
            let message = format!("{before}{value}{after}");
            let place = before.len()..before.len() + value.len();
            let (message, value) = (message.as_bytes(), value.as_bytes());
            prop_assert_eq!(Decimal::parse_in(message, place.clone()), Decimal::parse(value));
            prop_assert_eq!(parse_u64_in(message, place), parse_u64(value));
        }

        #[test]
        fn integers_round_trip(number in 0..=MANTISSA_MAX as u64) {
            let mut text = [0; INTEGER_TEXT_MAX];
            let length = write_u64(&mut text, number);
            prop_assert_eq!(parse_u64(&text[..length]), Ok(number));
            let expected = number.to_string();
            prop_assert_eq!(&text[..length], expected.as_bytes());
        }

        #[test]
        fn timestamps_round_trip(times in prop::collection::vec(0..213_503 * 86_400 * NANOS_PER_SECOND, 1..9)) {
            let mut reader = TimestampReader::new();
            let mut nanos = TimestampText::new(Precision::Nanos);
            let mut millis = TimestampText::new(Precision::Millis);
            let mut text = [0; TIMESTAMP_TEXT_MAX];
            for time in times {
                let length = nanos.write(&mut text, time);
                prop_assert_eq!(parse_timestamp(&text[..length]), Ok(time));
                prop_assert_eq!(reader.parse(&text[..length]), Ok(time));
                let length = millis.write(&mut text, time);
                prop_assert_eq!(parse_timestamp(&text[..length]), Ok(time / 1_000_000 * 1_000_000));
            }
        }

        #[test]
        fn values_never_panic(value in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Decimal::parse(&value);
            let _ = parse_timestamp(&value);
            let _ = parse_date(&value);
            let _ = parse_time(&value);
            let _ = parse_u64(&value);
            prop_assert_eq!(Decimal::parse(&value) == Err(ValueError::Format), !is_float(&value));
        }
    }
}
