//! Sixty-four bytes at a time: where the fields of a message end, and whether a byte is in it that text has not.

#![allow(unsafe_code)]

use crate::codec::SOH;

/// Bytes that are looked at together.
pub(crate) const BLOCK: usize = 64;

/// What is in a block, a bit for each byte, the first one lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    /// SOH
    pub separators: u64,
    /// Control characters other than SOH.
    pub controls: u64,
}

/// Looks at a block; behind the end of `bytes` nothing is marked.
#[inline]
pub(crate) fn marks(bytes: &[u8]) -> Marks {
    match bytes.first_chunk::<BLOCK>() {
        Some(block) => block_marks(block),
        None => {
            let mut block = [b' '; BLOCK];
            block[..bytes.len()].copy_from_slice(bytes);
            block_marks(&block)
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn block_marks(block: &[u8; BLOCK]) -> Marks {
    // SAFETY: every processor of this architecture has SSE2.
    unsafe { marks_by_lanes(block) }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn marks_by_lanes(block: &[u8; BLOCK]) -> Marks {
    use std::arch::x86_64::{
        __m128i, _mm_andnot_si128, _mm_cmpeq_epi8, _mm_max_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set_epi64x, _mm_set1_epi8,
    };

    const LANE: usize = 16;
    #[inline]
    #[target_feature(enable = "sse2")]
    fn lane(bytes: &[u8; LANE]) -> __m128i {
        let both = u128::from_le_bytes(*bytes);
        _mm_set_epi64x((both >> 64) as i64, both as i64)
    }
    #[inline]
    #[target_feature(enable = "sse2")]
    fn bits(bytes: __m128i) -> u64 {
        u64::from(_mm_movemask_epi8(bytes) as u16)
    }

    let separator = _mm_set1_epi8(SOH as i8);
    // Not above the last control character before the blank, or the one above the printable ones.
    let (last_low, delete) = (_mm_set1_epi8(b' ' as i8 - 1), _mm_set1_epi8(DELETE as i8));
    let mut marks = Marks { separators: 0, controls: 0 };
    for (place, bytes) in block.as_chunks().0.iter().enumerate() {
        let bytes = lane(bytes);
        let separators = _mm_cmpeq_epi8(bytes, separator);
        let low = _mm_cmpeq_epi8(_mm_max_epu8(bytes, last_low), last_low);
        let controls = _mm_or_si128(low, _mm_cmpeq_epi8(bytes, delete));
        marks.separators |= bits(separators) << (place * LANE);
        marks.controls |= bits(_mm_andnot_si128(separators, controls)) << (place * LANE);
    }
    marks
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn block_marks(block: &[u8; BLOCK]) -> Marks {
    one_by_one(block)
}

/// The control character above the printable ones.
const DELETE: u8 = 0x7f;

/// The marks of a block where nothing quicker is known.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn one_by_one(block: &[u8; BLOCK]) -> Marks {
    let mut marks = Marks { separators: 0, controls: 0 };
    for (place, &byte) in block.iter().enumerate() {
        let is_control = (byte < b' ' && byte != SOH) || byte == DELETE;
        marks.separators |= u64::from(byte == SOH) << place;
        marks.controls |= u64::from(is_control) << place;
    }
    marks
}

/// Finds the ends of the fields of a message, one after another.
pub(crate) struct Separators<'a> {
    bytes: &'a [u8],
    /// Where the block begins.
    base: usize,
    /// Separators of the block that are still to come.
    left: u64,
    /// Control characters of all blocks so far.
    controls: u64,
}

impl<'a> Separators<'a> {
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        let Marks { separators, controls } = marks(bytes);
        Self { bytes, base: 0, left: separators, controls }
    }

    /// The next separator.
    #[inline]
    pub fn next(&mut self) -> Option<usize> {
        while self.left == 0 {
            self.base += BLOCK;
            let Marks { separators, controls } = marks(self.bytes.get(self.base..)?);
            self.left = separators;
            self.controls |= controls;
        }
        let place = self.left.trailing_zeros() as usize;
        self.left &= self.left - 1;
        Some(self.base + place)
    }

    /// Whether there is no control character other than SOH up to the end of the block of the last separator:
    /// in all of the message, if that is its last byte.
    #[inline]
    pub fn is_printable(&self) -> bool {
        self.controls == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![4 => b' '..=b'~', 1 => Just(SOH), 1 => any::<u8>()];
        prop::collection::vec(byte, 0..300)
    }

    proptest! {
        #[test]
        fn marks_are_those_found_one_by_one(bytes in bytes()) {
            let mut block = [b' '; BLOCK];
            let length = bytes.len().min(BLOCK);
            block[..length].copy_from_slice(&bytes[..length]);
            prop_assert_eq!(marks(&bytes), one_by_one(&block));
        }

        #[test]
        fn every_separator_is_found(bytes in bytes()) {
            let mut found = Separators::new(&bytes);
            for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == SOH) {
                prop_assert_eq!(found.next(), Some(at));
            }
            prop_assert_eq!(found.next(), None);
            let is_control = |byte: &u8| byte.is_ascii_control() && *byte != SOH;
            prop_assert_eq!(found.is_printable(), !bytes.iter().any(is_control));
        }
    }

    #[test]
    fn every_byte_is_marked_as_what_it_is() {
        for byte in 0..=u8::MAX {
            let block = [byte; BLOCK];
            assert_eq!(marks(&block), one_by_one(&block), "{byte:#04x}");
        }
    }
}
