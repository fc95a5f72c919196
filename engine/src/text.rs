//! Short texts of bounded length, stored in place.

use std::fmt;

use thiserror::Error;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A text of at most `N` bytes, padded with NUL bytes, so that a record's size is fixed and an
/// unused tail is zero.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(transparent)]
pub struct Text<const N: usize>([u8; N]);

/// ClOrdID (tag 11): the client's id of a request, at most 36 bytes (a UUID fits).
pub type ClOrdId = Text<36>;
/// Account (tag 1), at most 12 bytes.
pub type Account = Text<12>;
/// Symbol (tag 55): the human ticker of an instrument, at most 24 bytes.
pub type Symbol = Text<24>;
/// SenderCompID or TargetCompID (tags 49 and 56), at most 32 bytes.
pub type CompId = Text<32>;

/// Why an operator did something, for people, at most 32 bytes.
pub type ReasonText = Text<32>;

/// Why bytes are not a [`Text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TextError {
    /// More bytes than the text holds.
    #[error("{found} bytes, at most {limit} are allowed")]
    TooLong {
        /// Bytes given.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A control character, which would corrupt a FIX message or a log.
    #[error("control character {byte:#04x} at position {position}")]
    Control {
        /// The character.
        byte: u8,
        /// Its position, from 0.
        position: usize,
    },
}

impl<const N: usize> Text<N> {
    /// No text.
    pub const EMPTY: Self = Self([0; N]);
    /// Most bytes that fit.
    pub const MAX: usize = N;

    /// The text as bytes, without its padding.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0[..self.len()]
    }

    /// The text as a string; a journal written by a damaged program may hold other bytes, which
    /// show as the empty string.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        let (words, rest) = self.0.as_chunks();
        for (index, word) in words.iter().enumerate() {
            if let Some(at) = first_zero(u64::from_le_bytes(*word)) {
                return index * 8 + at;
            }
        }
        N - rest.len() + rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len())
    }

    /// Whether there is no text.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0[0] == 0
    }

    /// The text with its padding.
    #[inline]
    pub fn padded(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> TryFrom<&[u8]> for Text<N> {
    type Error = TextError;

    #[inline]
    fn try_from(bytes: &[u8]) -> Result<Self, TextError> {
        if bytes.len() > N {
            return Err(TextError::TooLong { found: bytes.len(), limit: N });
        }
        let mut text = [0; N];
        text[..bytes.len()].copy_from_slice(bytes);
        // Without a branch for each byte; the padding is no character either.
        const { assert!(N <= u8::MAX as usize) };
        let characters = text.iter().fold(0, |sum, &byte| sum + u8::from(!is_control(byte)));
        if usize::from(characters) == bytes.len() { Ok(Self(text)) } else { Err(control(bytes)) }
    }
}

#[inline]
fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

/// The error that the first control character of these bytes is.
#[cold]
fn control(bytes: &[u8]) -> TextError {
    let position = bytes.iter().position(|&byte| is_control(byte));
    let position = position.expect("one was seen");
    TextError::Control { byte: bytes[position], position }
}

/// The place of the first byte that is zero, counted from the lowest.
#[inline]
const fn first_zero(bytes: u64) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    match bytes.wrapping_sub(ONES) & !bytes & ONES << 7 {
        0 => None,
        zeros => Some(zeros.trailing_zeros() as usize / 8),
    }
}

impl<const N: usize> TryFrom<&str> for Text<N> {
    type Error = TextError;

    fn try_from(text: &str) -> Result<Self, TextError> {
        Self::try_from(text.as_bytes())
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_fits_and_refuses_the_rest() {
        assert_eq!(Text::<4>::try_from("AAPL").unwrap().as_str(), "AAPL");
        assert_eq!(Text::<8>::try_from("AAPL").unwrap().len(), 4);
        assert!(Text::<8>::EMPTY.is_empty());
        assert_eq!(Text::<3>::try_from("AAPL"), Err(TextError::TooLong { found: 4, limit: 3 }));
        assert_eq!(
            Text::<8>::try_from("A\u{1}B"),
            Err(TextError::Control { byte: 1, position: 1 })
        );
    }

    fn every_byte_at_every_place<const N: usize>() {
        for length in 0..=N {
            let plain = vec![b'a'; length];
            let text = Text::<N>::try_from(&plain[..]).unwrap();
            assert_eq!((text.as_bytes(), text.len()), (&plain[..], length));
            assert_eq!(text.padded()[length..], vec![0; N - length]);
            for position in 0..length {
                for byte in 0..=u8::MAX {
                    let mut bytes = plain.clone();
                    bytes[position] = byte;
                    let expected = match byte {
                        0..0x20 | 0x7f => Err(TextError::Control { byte, position }),
                        _ => Ok(bytes.clone()),
                    };
                    let text = Text::<N>::try_from(&bytes[..]);
                    assert_eq!(text.map(|text| text.as_bytes().to_vec()), expected);
                }
            }
        }
    }

    #[test]
    fn every_byte_at_every_place_is_taken_or_refused() {
        every_byte_at_every_place::<12>();
        every_byte_at_every_place::<24>();
        every_byte_at_every_place::<36>();
    }

    #[test]
    fn a_text_ends_at_its_first_zero_whatever_a_record_holds_behind() {
        for length in 0..36 {
            let mut bytes = [0xFF; 36];
            bytes[length] = 0;
            assert_eq!(Text(bytes).len(), length);
            bytes[length + 1..].fill(1);
            assert_eq!(Text(bytes).len(), length);
        }
        assert_eq!(Text([0xFF; 36]).len(), 36);
        assert_eq!(Text([0x80; 12]).len(), 12);
    }
}
