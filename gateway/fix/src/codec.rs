//! Framing: where one FIX message ends in a stream of bytes, and whether it arrived whole.
//!
//! The rules are those of the FIX 4.4 specification, volume 2, "Message format": BeginString(8),
//! BodyLength(9) and MsgType(35) come first and in this order, CheckSum(10) is last and has three digits. A
//! message that breaks one of them is *garbled*: it's skipped whole, it consumes no sequence number, and the
//! gap it leaves is asked for again later.

use memchr::memchr;
use memchr::memmem;
use thiserror::Error;

/// The byte that ends every field.
pub const SOH: u8 = 1;

/// Longest message in bytes, BeginString and CheckSum included. Offsets into a message are `u16`.
pub const MESSAGE_MAX: usize = u16::MAX as usize;

/// Bytes of the trailer `10=nnn` and its SOH.
pub const TRAILER_LEN: usize = 7;

/// Longest BeginString(8) with its SOH: `8=FIX.5.0SP2` leaves room to spare.
const BEGIN_MAX: usize = 20;

/// Most digits of a BodyLength(9). Five can be within [`MESSAGE_MAX`]; some engines put zeros in front, to
/// know its place before its value, and an int of FIX may have them.
const LENGTH_DIGITS_MAX: usize = 16;

const BEGIN: &[u8] = b"8=FIX";

/// What stands at the start of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framed {
    /// Not yet a whole message: read more. A buffer of [`MESSAGE_MAX`] bytes is never incomplete.
    Incomplete,
    /// A message whose length and checksum are right.
    Message {
        /// Its bytes are `buf[..len]`.
        len: usize,
    },
    /// Bytes that are no message; go on after them.
    Garbled {
        /// How many bytes to skip, at least 1.
        skip: usize,
        /// What was wrong with them.
        reason: Garbled,
    },
}

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Garbled {
    /// BeginString(8) isn't the first field.
    #[error("BeginString is not the first field")]
    BeginString,
    /// BodyLength(9) isn't the second field, isn't a number, or doesn't lead to CheckSum(10).
    #[error("BodyLength does not lead to CheckSum")]
    BodyLength,
    /// MsgType(35) isn't the third field.
    #[error("MsgType is not the third field")]
    MsgType,
    /// CheckSum(10) hasn't three digits or isn't the sum.
    #[error("CheckSum is not the sum of the message")]
    CheckSum,
    /// Longer than [`MESSAGE_MAX`].
    #[error("message is too long")]
    TooLong,
    /// A field that isn't `tag=value`, or a data field whose length is wrong.
    #[error("field is not tag=value")]
    Field,
}

/// The sum of all bytes modulo 256, as CheckSum(10) wants it.
#[inline]
#[must_use]
pub fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// Looks at the start of `buf` for one message.
///
/// Garbled bytes are skipped up to the end of the first CheckSum(10) at or after the place BodyLength(9)
/// points to, as the counterparty's next message starts there; without a usable BodyLength, up to the next
/// `8=FIX`.
#[inline]
#[must_use]
pub fn frame(buf: &[u8]) -> Framed {
    if !buf.starts_with(BEGIN) {
        return not_a_beginning(buf);
    }
    let mut begin_end = BEGIN.len();
    while buf.get(begin_end) != Some(&SOH) {
        begin_end += 1;
        if begin_end >= buf.len().min(BEGIN_MAX) {
            return wait_or(buf, BEGIN_MAX, Garbled::BeginString);
        }
    }
    let length_at = begin_end + 1;
    let (length, body_at) = match body_length(buf, length_at) {
        Ok(Some(found)) => found,
        Ok(None) => return Framed::Incomplete,
        Err(reason) => return resynchronise(buf, reason),
    };
    let body = &buf[body_at..];
    if !body.starts_with(b"35=") {
        return if body.len() < 3 && b"35=".starts_with(body) {
            Framed::Incomplete
        } else {
            resynchronise(buf, Garbled::MsgType)
        };
    }
    let trailer_at = body_at + length;
    let len = trailer_at + TRAILER_LEN;
    if len > MESSAGE_MAX {
        return resynchronise(buf, Garbled::TooLong);
    }
    if buf.len() < len {
        return Framed::Incomplete;
    }
    let &[b'1', b'0', b'=', a, b, c, SOH] = &buf[trailer_at..len] else {
        return skip_to_checksum(buf, trailer_at);
    };
    if buf[trailer_at - 1] != SOH {
        return skip_to_checksum(buf, trailer_at);
    }
    if checksum_text(checksum(&buf[..trailer_at])) != [a, b, c] {
        return Framed::Garbled { skip: len, reason: Garbled::CheckSum };
    }
    Framed::Message { len }
}

/// The three digits of CheckSum(10).
#[inline]
#[must_use]
pub const fn checksum_text(sum: u8) -> [u8; 3] {
    [b'0' + sum / 100, b'0' + sum / 10 % 10, b'0' + sum % 10]
}

/// BodyLength(9) at `at` and where the body starts; `None` when the field isn't complete yet.
#[inline]
fn body_length(buf: &[u8], at: usize) -> Result<Option<(usize, usize)>, Garbled> {
    let rest = &buf[at..];
    if !rest.starts_with(b"9=") {
        return if rest.len() < 2 && b"9=".starts_with(rest) {
            Ok(None)
        } else {
            Err(Garbled::BodyLength)
        };
    }
    let mut length = 0;
    for (digits, &byte) in rest[2..].iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                length = length * 10 + usize::from(byte - b'0');
                if length > MESSAGE_MAX {
                    return Err(Garbled::TooLong);
                }
                if digits == LENGTH_DIGITS_MAX {
                    return Err(Garbled::BodyLength);
                }
            }
            SOH if digits > 0 => return Ok(Some((length, at + 2 + digits + 1))),
            _ => return Err(Garbled::BodyLength),
        }
    }
    Ok(None)
}

#[cold]
fn not_a_beginning(buf: &[u8]) -> Framed {
    if BEGIN.starts_with(buf) {
        return Framed::Incomplete;
    }
    resynchronise(buf, Garbled::BeginString)
}

#[cold]
fn wait_or(buf: &[u8], bound: usize, reason: Garbled) -> Framed {
    if buf.len() < bound { Framed::Incomplete } else { resynchronise(buf, reason) }
}

/// Skips to the next `8=FIX` after the first byte, keeping a tail that may become one.
#[cold]
fn resynchronise(buf: &[u8], reason: Garbled) -> Framed {
    let skip = match memmem::find(&buf[1..], BEGIN) {
        Some(at) => 1 + at,
        None => {
            let tail = (1..BEGIN.len().min(buf.len()))
                .rev()
                .find(|length| buf.ends_with(&BEGIN[..*length]))
                .unwrap_or(0);
            buf.len() - tail
        }
    };
    Framed::Garbled { skip, reason }
}

/// BodyLength led nowhere: skips past the next CheckSum(10) field from where it led.
#[cold]
fn skip_to_checksum(buf: &[u8], trailer_at: usize) -> Framed {
    let from = trailer_at - 1;
    let end = memmem::find(&buf[from..], b"\x0110=").and_then(|at| {
        let value_at = from + at + 4;
        memchr(SOH, &buf[value_at..]).map(|length| value_at + length + 1)
    });
    match end {
        Some(skip) => {
            let at_its_place = buf[from..].starts_with(b"\x0110=");
            let reason = if at_its_place { Garbled::CheckSum } else { Garbled::BodyLength };
            Framed::Garbled { skip, reason }
        }
        None if buf.len() < MESSAGE_MAX => Framed::Incomplete,
        None => resynchronise(buf, Garbled::BodyLength),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A whole message around `body`, which starts with MsgType.
    pub(crate) fn whole(body: &str) -> Vec<u8> {
        let body = body.replace('|', "\x01");
        let mut out = format!("8=FIX.4.4\x019={}\x01{body}", body.len()).into_bytes();
        let sum = checksum(&out);
        out.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
        out
    }

    fn garbled(skip: usize, reason: Garbled) -> Framed {
        Framed::Garbled { skip, reason }
    }

    #[test]
    fn every_prefix_of_a_message_is_incomplete() {
        let message = whole("35=0|34=2|49=A|52=20240301-00:00:00|56=B|");
        for length in 0..message.len() {
            assert_eq!(frame(&message[..length]), Framed::Incomplete, "{length}");
        }
        assert_eq!(frame(&message), Framed::Message { len: message.len() });
    }

    #[test]
    fn a_length_may_have_zeros_in_front() {
        for zeros in ["0", "000", "00000000000000"] {
            let mut bytes = format!("8=FIX.4.4\x019={zeros}20\x0135=0\x0134=2\x0149=A\x0156=B\x01");
            let sum = checksum(bytes.as_bytes());
            bytes += &format!("10={sum:03}\x01");
            assert_eq!(frame(bytes.as_bytes()), Framed::Message { len: bytes.len() }, "{zeros}");
        }
    }

    #[test]
    fn garbled_bytes_are_skipped_whole() {
        let good = whole("35=0|34=2|49=A|56=B|");
        let table: &[(&str, &str, Garbled)] = &[
            ("wrong sum", "8=FIX.4.4|9=5|35=0|10=000|", Garbled::CheckSum),
            ("sum of one digit", "8=FIX.4.4|9=5|35=0|10=0|", Garbled::CheckSum),
            ("sum over 255", "8=FIX.4.4|9=5|35=0|10=256|", Garbled::CheckSum),
            ("length too short", "8=FIX.4.4|9=5|35=0|34=2|49=A|10=111|", Garbled::BodyLength),
            ("length inside a field", "8=FIX.4.4|9=7|35=0|34=2|49=A|10=111|", Garbled::BodyLength),
            ("no length", "8=FIX.4.4|35=0|34=2|10=111|", Garbled::BodyLength),
            ("empty length", "8=FIX.4.4|9=|35=0|34=2|10=111|", Garbled::BodyLength),
            ("negative length", "8=FIX.4.4|9=-5|35=0|34=2|10=111|", Garbled::BodyLength),
            ("huge length", "8=FIX.4.4|9=999999999|35=0|10=111|", Garbled::TooLong),
            ("long length", "8=FIX.4.4|9=65530|35=0|10=111|", Garbled::TooLong),
            ("length of zeros", "8=FIX.4.4|9=00000000000000005|35=0|10=111|", Garbled::BodyLength),
            ("type not third", "8=FIX.4.4|9=10|34=2|35=0|10=111|", Garbled::MsgType),
            ("something before", "35=0|", Garbled::BeginString),
            ("endless BeginString", "8=FIX.4.4.4.4.4.4.4.4.4.4.4", Garbled::BeginString),
        ];
        for (name, bytes, reason) in table {
            let mut bytes = bytes.replace('|', "\x01").into_bytes();
            let skip = bytes.len();
            bytes.extend_from_slice(&good);
            assert_eq!(frame(&bytes), garbled(skip, *reason), "{name}");
        }
    }

    #[test]
    fn a_length_into_the_next_message_takes_it_along() {
        let mut bytes = b"8=FIX.4.4\x019=20\x0135=0\x0110=111\x01".to_vec();
        let good = whole("35=0|34=2|49=A|56=B|");
        bytes.extend_from_slice(&good);
        assert_eq!(frame(&bytes), garbled(bytes.len(), Garbled::BodyLength));
    }

    #[test]
    fn a_message_without_end_is_given_up() {
        let mut bytes = b"8=FIX.4.4\x019=10\x0135=0\x01".to_vec();
        bytes.resize(MESSAGE_MAX, b'x');
        assert_eq!(frame(&bytes), garbled(MESSAGE_MAX, Garbled::BodyLength));
        bytes.truncate(MESSAGE_MAX - 1);
        assert_eq!(frame(&bytes), Framed::Incomplete);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Framed::Garbled { skip, .. } = frame(&bytes) {
                prop_assert!((1..=bytes.len()).contains(&skip));
            }
        }

        #[test]
        fn bytes_close_to_fix_never_panic(text in "8=FIX(\\.4\\.4)?[\\x01|]?(9=[0-9]{0,6}\\x01)?[0-9=\\x01FIX8]{0,60}(10=[0-9]{0,4}\\x01)?") {
            let bytes = text.as_bytes();
            if let Framed::Garbled { skip, .. } = frame(bytes) {
                prop_assert!((1..=bytes.len()).contains(&skip));
            }
        }

        #[test]
        fn a_message_after_garbage_is_found(garbage in "[0-79A-Z=\\x01]{0,80}", texts in prop::collection::vec("[A-Z]{1,20}", 1..4)) {
            let mut bytes = garbage.into_bytes();
            let mut expected = Vec::new();
            for text in &texts {
                let message = whole(&format!("35=0|58={text}|"));
                bytes.extend_from_slice(&message);
                expected.push(message);
            }
            let mut found = Vec::new();
            let mut rest = &bytes[..];
            loop {
                match frame(rest) {
                    Framed::Incomplete => break,
                    Framed::Message { len } => {
                        found.push(rest[..len].to_vec());
                        rest = &rest[len..];
                    }
                    Framed::Garbled { skip, .. } => rest = &rest[skip..],
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
