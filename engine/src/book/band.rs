//! The levels of one side of a book whose prices have a hard bound: an array of all of them under
//! three heights of bitmaps.
//!
//! ```text
//! top       bit i: a word of `middle` has a bit
//! middle    64 words, bit: a word of `bottom` has a bit
//! bottom    4,096 words, bit: a price has a level
//! levels    262,144 prices: the level, plus one
//! ```
//!
//! The part of a key above the band is the same for all its keys (all bits are set for buys, none
//! for sells), so the low bits are the place. All of it is one piece of memory, which comes zeroed
//! from the system and is used a page of 1,024 prices at a time.

use zerocopy::FromZeros;

use super::level::Levels;

/// Prices of a band: as many as three heights of words tell apart.
pub(super) const BAND_TICKS: u64 = 1 << (3 * BITS);
/// Bits of a place that a word tells apart.
const BITS: u32 = 6;
const MIDDLE: usize = 1 << BITS;
const BOTTOM: usize = 1 << (2 * BITS);

/// Which levels a side has, by price.
#[derive(Debug, FromZeros)]
#[repr(C)]
pub(super) struct Band {
    top: u64,
    middle: [u64; MIDDLE],
    bottom: [u64; BOTTOM],
    /// By place: the level plus one, 0 where there is none.
    levels: [u32; BAND_TICKS as usize],
}

impl Band {
    pub(super) fn new() -> Box<Self> {
        Self::new_box_zeroed().expect("no memory for the levels of a book")
    }

    /// The level at a key.
    #[inline(always)]
    pub(super) fn look_up(&self, key: u64) -> Option<u32> {
        self.levels[place(key)].checked_sub(1)
    }

    /// The level at a key, opened where there is none.
    #[inline(always)]
    pub(super) fn find_or_open(&mut self, levels: &mut Levels, key: u64) -> u32 {
        let at = place(key);
        self.levels[at].checked_sub(1).unwrap_or_else(|| {
            self.bottom[at >> BITS] |= bit(at);
            self.middle[at >> (2 * BITS)] |= bit(at >> BITS);
            self.top |= bit(at >> (2 * BITS));
            let level = levels.open(key);
            self.levels[at] = level + 1;
            level
        })
    }

    /// Removes the level at a key that has one. Whether that leaves a word without bits is anybody's
    /// guess, so each height is written, and none is branched upon.
    #[inline(always)]
    pub(super) fn remove(&mut self, key: u64) {
        let at = place(key);
        self.levels[at] = 0;
        let bottom = &mut self.bottom[at >> BITS];
        *bottom &= !bit(at);
        let middle = &mut self.middle[at >> (2 * BITS)];
        *middle &= !(u64::from(*bottom == 0) << (at >> BITS & 63));
        self.top &= !(u64::from(*middle == 0) << (at >> (2 * BITS) & 63));
    }

    /// The level with the smallest key, and that key. No level's is below `bound`, so if its word has a
    /// bit, the first one there is it.
    #[inline(always)]
    pub(super) fn first(&self, bound: u64) -> Option<(u32, u64)> {
        let mut word = place(bound) >> BITS;
        if self.bottom[word] == 0 {
            let middle = (self.top != 0).then(|| first(self.top))?;
            word = middle << BITS | first(self.middle[middle]);
        }
        let found = word << BITS | first(self.bottom[word]);
        Some((self.levels[found] - 1, bound & !(BAND_TICKS - 1) | found as u64))
    }

    /// The level with the smallest key above `key`.
    pub(super) fn next_after(&self, key: u64) -> Option<u32> {
        let at = place(key);
        let found = match above(self.bottom[at >> BITS], at) {
            Some(place) => at >> BITS << BITS | place,
            None => self.next_word(at >> BITS)?,
        };
        Some(self.levels[found] - 1)
    }

    /// The first place in a word of the bottom behind this one.
    fn next_word(&self, word: usize) -> Option<usize> {
        let word = match above(self.middle[word >> BITS], word) {
            Some(place) => word >> BITS << BITS | place,
            None => {
                let middle = above(self.top, word >> BITS)?;
                middle << BITS | first(self.middle[middle])
            }
        };
        Some(word << BITS | first(self.bottom[word]))
    }
}

/// The place of a key among the prices of the band.
#[inline(always)]
fn place(key: u64) -> usize {
    (key & (BAND_TICKS - 1)) as usize
}

/// The bit of a place in its word.
#[inline(always)]
fn bit(at: usize) -> u64 {
    1 << (at & 63)
}

/// The first bit of a word above that of a place.
#[inline(always)]
fn above(word: u64, at: usize) -> Option<usize> {
    let bits = word & (!1 << (at & 63));
    (bits != 0).then(|| first(bits))
}

/// The first bit of a word that has one.
#[inline(always)]
fn first(word: u64) -> usize {
    (word.trailing_zeros() & 63) as usize
}
