//! Sixty-four bytes at a time: where the fields of a message end, and whether a byte is in it that text has not.

#![allow(unsafe_code)]

use crate::codec::SOH;

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// What is in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Marks {
    /// Where SOH is, a bit for each byte, the first one lowest.
    separators: u64,
    /// Whether there is a control character other than SOH; as a word it goes through a register.
    controls: u64,
}

/// Looks at the block that begins at `base`; behind the end of `bytes` nothing is marked.
#[inline(never)]
fn marks(bytes: &[u8], base: usize) -> Marks {
    let rest = bytes.get(base..).unwrap_or_default();
    if let Some(block) = rest.first_chunk() {
        return block_marks(block);
    }
    if let Some(block) = bytes.last_chunk()
        && !rest.is_empty()
    {
        let Marks { separators, controls } = block_marks(block);
        return Marks { separators: separators >> (BLOCK - rest.len()), controls };
    }
    let mut block = [b' '; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block_marks(&block)
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
        _mm_set_epi64x, _mm_set1_epi8, _mm_setzero_si128,
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
    let (mut separators, mut controls) = (0, _mm_setzero_si128());
    for (place, bytes) in block.as_chunks().0.iter().enumerate() {
        let bytes = lane(bytes);
        let is_separator = _mm_cmpeq_epi8(bytes, separator);
        let is_low = _mm_cmpeq_epi8(_mm_max_epu8(bytes, last_low), last_low);
        let is_control = _mm_or_si128(is_low, _mm_cmpeq_epi8(bytes, delete));
        separators |= bits(is_separator) << (place * LANE);
        controls = _mm_or_si128(controls, _mm_andnot_si128(is_separator, is_control));
    }
    Marks { separators, controls: u64::from(bits(controls) != 0) }
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
        marks.controls |= u64::from(is_control);
    }
    marks
}

/// Blocks that are looked at before the first separator is asked for: all of most messages.
const AHEAD: usize = 4;

/// Finds the ends of the fields of a message, one after another.
#[derive(Clone, Copy)]
pub(crate) struct Separators<'a> {
    bytes: &'a [u8],
    /// Separators of the first blocks.
    ahead: [u64; AHEAD],
    /// Bits of all of these, an odd number of them if there is an odd number of separators.
    parity: u64,
    /// Where the block begins.
    base: usize,
    /// Separators of the block that are still to come.
    left: u64,
    /// Whether there was a control character in any block so far.
    controls: u64,
}

impl<'a> Separators<'a> {
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        let (mut ahead, mut parity, mut controls) = ([0; AHEAD], 0, 0);
        for (number, word) in ahead.iter_mut().enumerate() {
            if number * BLOCK >= bytes.len() {
                break;
            }
            let marks = marks(bytes, number * BLOCK);
            *word = marks.separators;
            parity ^= marks.separators;
            controls |= marks.controls;
        }
        Self { bytes, ahead, parity, base: 0, left: ahead[0], controls }
    }

    /// Whether the number of separators in the first blocks is odd.
    #[inline]
    pub fn is_odd(&self) -> bool {
        self.parity.count_ones() & 1 == 1
    }

    /// Begins anew.
    #[inline]
    pub fn restart(&mut self) {
        (self.base, self.left) = (0, self.ahead[0]);
    }

    /// The second separator, if it is in the first block.
    #[inline]
    pub fn second(&self) -> Option<usize> {
        let behind = self.ahead[0] & self.ahead[0].wrapping_sub(1);
        (behind != 0).then_some(behind.trailing_zeros() as usize)
    }

    /// The next separator.
    #[inline]
    pub fn next(&mut self) -> Option<usize> {
        let next = self.peek()?;
        self.left &= self.left - 1;
        Some(next)
    }

    /// The next separator, if it is behind a place; otherwise it stays the next.
    #[inline]
    pub fn next_behind(&mut self, place: usize) -> Option<usize> {
        let next = self.peek().filter(|next| *next > place)?;
        self.left &= self.left - 1;
        Some(next)
    }

    #[inline]
    fn peek(&mut self) -> Option<usize> {
        while self.left == 0 {
            self.base += BLOCK;
            if self.base >= self.bytes.len() {
                return None;
            }
            self.left = match self.ahead.get(self.base / BLOCK) {
                Some(word) => *word,
                None => self.look_on(),
            };
        }
        Some(self.base + self.left.trailing_zeros() as usize)
    }

    #[cold]
    fn look_on(&mut self) -> u64 {
        let Marks { separators, controls } = marks(self.bytes, self.base);
        self.controls |= controls;
        separators
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
        fn marks_are_those_found_one_by_one(bytes in bytes(), base in 0_usize..310) {
            let rest = bytes.get(base..).unwrap_or_default();
            let mut block = [b' '; BLOCK];
            let length = rest.len().min(BLOCK);
            block[..length].copy_from_slice(&rest[..length]);
            let mut expected = one_by_one(&block);
            if (1..BLOCK).contains(&length) && let Some(last) = bytes.last_chunk() {
                expected.controls = one_by_one(last).controls;
            }
            prop_assert_eq!(marks(&bytes, base), expected);
        }

        #[test]
        fn every_separator_is_found(bytes in bytes()) {
            let mut found = Separators::new(&bytes);
            let places = bytes.iter().enumerate().filter(|(_, byte)| **byte == SOH);
            let in_first_blocks = places.clone().filter(|(at, _)| *at < AHEAD * BLOCK).count();
            prop_assert_eq!(found.is_odd(), in_first_blocks % 2 == 1);
            let second = places.clone().nth(1).map(|(at, _)| at);
            prop_assert_eq!(found.second(), second.filter(|at| *at < BLOCK));
            for _ in 0..2 {
                for (at, _) in places.clone() {
                    prop_assert_eq!(found.next_behind(at), None);
                    prop_assert_eq!(found.next(), Some(at));
                }
                prop_assert_eq!(found.next(), None);
                found.restart();
            }
            let is_control = |byte: &u8| byte.is_ascii_control() && *byte != SOH;
            prop_assert_eq!(found.is_printable(), !bytes.iter().any(is_control));
        }
    }

    #[test]
    fn every_byte_is_marked_as_what_it_is() {
        for byte in 0..=u8::MAX {
            let block = [byte; BLOCK];
            assert_eq!(marks(&block, 0), one_by_one(&block), "{byte:#04x}");
        }
    }
}
