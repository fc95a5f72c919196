//! From a hash to a small number, by open addressing.
//!
//! ```text
//! entry   | tag: 32 bits of the hash | place + 1: 32 bits |     0 is a free entry
//!
//! memory  |-|1|2 2|4 4 4 4|8 8 8 8 8 8 8 8|...    the table of 2^k entries begins at entry 2^k
//! ```
//!
//! Linear probing, at most five eighths full, and deletion that shifts the entries behind it back, so that
//! nothing degrades over a venue's life. Who asks must check the name itself: tags can collide.
//!
//! All memory is reserved at the start, but the table begins small and doubles as entries come: a
//! venue with room for a million orders and three thousand alive should touch what three thousand
//! need. Each insertion moves a few entries from the old table to the new one, so no insertion
//! waits for a whole table to move.

use crate::{memory::touch_all, prefetch::prefetch};

/// Entries of the first table.
const FIRST_TABLE: usize = 1024;
/// Entries or free places of the old table that an insertion leaves behind. Half a table of
/// insertions passes before the next doubling; three each would do.
const MOVES_PER_INSERTION: u32 = 8;

/// A set of (tag, place) pairs of which no two are the same.
#[derive(Debug)]
pub(crate) struct IdIndex {
    entries: Vec<u64>,
    len: usize,
    /// Entries of the table in use, a power of two.
    size: usize,
    /// Entries of the table that is being left, or 0 when everything has moved.
    old_size: usize,
    /// Places of the old table below this are empty.
    moved: usize,
}

impl IdIndex {
    /// A table with room for `len_max` pairs.
    pub(crate) fn new(len_max: usize) -> Self {
        let capacity = (len_max.max(4) * 2).next_power_of_two();
        assert!(capacity <= 1 << 32, "the home of an entry must follow from its tag");
        let size = capacity.min(FIRST_TABLE);
        Self { entries: vec![0; capacity * 2], len: 0, size, old_size: 0, moved: 0 }
    }

    /// The place of an entry with this tag that `is_it` recognizes.
    #[inline]
    pub(crate) fn find(&self, tag: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let found = self.find_in(self.size, tag, &mut is_it);
        if found.is_none() && self.old_size != 0 {
            return self.find_in(self.old_size, tag, &mut is_it);
        }
        found
    }

    /// Adds a pair that is not in the table.
    #[inline]
    pub(crate) fn insert(&mut self, tag: u32, place: u32) {
        if self.old_size != 0 {
            self.move_some();
        }
        if self.len * 8 >= self.size * 5 {
            self.double();
        }
        self.put(pack(tag, place));
        self.len += 1;
    }

    /// Gives a pair of the table another place.
    #[inline]
    pub(crate) fn relocate(&mut self, tag: u32, from: u32, to: u32) {
        let (_, at) = self.position(tag, from);
        self.entries[at] = pack(tag, to);
    }

    /// Removes a pair of the table.
    #[inline]
    pub(crate) fn remove(&mut self, tag: u32, place: u32) {
        let (size, at) = self.position(tag, place);
        self.clear(size, at);
        self.len -= 1;
    }

    /// Asks the processor for where the search for a tag begins.
    #[inline]
    pub(crate) fn prefetch(&self, tag: u32) {
        prefetch(&self.entries, home(self.size, tag));
    }

    /// Touches the memory that is reserved.
    pub(crate) fn touch_memory(&mut self) {
        touch_all(&mut self.entries);
    }

    /// Bytes reserved.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<u64>()
    }

    #[inline]
    fn find_in(&self, size: usize, tag: u32, is_it: &mut impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = home(size, tag);
        loop {
            let entry = self.entries[at];
            if entry == 0 {
                return None;
            }
            if tag_of(entry) == tag && is_it(place_of(entry)) {
                return Some(place_of(entry));
            }
            at = after(size, at);
        }
    }

    /// Where a pair is, and in a table of which size.
    #[inline]
    fn position(&self, tag: u32, place: u32) -> (usize, usize) {
        let wanted = pack(tag, place);
        let mut size = self.size;
        let mut at = home(size, tag);
        while self.entries[at] != wanted {
            if self.entries[at] != 0 {
                at = after(size, at);
                continue;
            }
            assert!(size == self.size && self.old_size != 0, "the id index lost an entry");
            size = self.old_size;
            at = home(size, tag);
        }
        (size, at)
    }

    #[inline]
    fn put(&mut self, entry: u64) {
        let mut at = home(self.size, tag_of(entry));
        while self.entries[at] != 0 {
            at = after(self.size, at);
        }
        self.entries[at] = entry;
    }

    /// Empties a place of the table of this size, and closes the gap.
    #[inline]
    fn clear(&mut self, size: usize, mut hole: usize) {
        let mask = size - 1;
        let mut at = hole;
        loop {
            at = after(size, at);
            let entry = self.entries[at];
            if entry == 0 {
                break;
            }
            // An entry may fill the hole unless its home lies between the hole and itself.
            let from_home = at.wrapping_sub(home(size, tag_of(entry))) & mask;
            if from_home >= at.wrapping_sub(hole) & mask {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = 0;
    }

    #[cold]
    fn double(&mut self) {
        assert!(self.old_size == 0, "a table fills up before the one before it is left");
        assert!(self.size * 4 <= self.entries.len(), "the id index was built too small");
        (self.old_size, self.size, self.moved) = (self.size, self.size * 2, 0);
    }

    /// Moves a few entries from the old table.
    #[cold]
    fn move_some(&mut self) {
        for _ in 0..MOVES_PER_INSERTION {
            if self.moved == self.old_size {
                self.old_size = 0;
                return;
            }
            let at = self.old_size + self.moved;
            match self.entries[at] {
                0 => self.moved += 1,
                entry => {
                    // The entry that closes the gap, if any, goes next.
                    self.clear(self.old_size, at);
                    self.put(entry);
                }
            }
        }
    }
}

/// Where the search for a tag begins in the table of this size.
#[inline]
fn home(size: usize, tag: u32) -> usize {
    size | (tag as usize & (size - 1))
}

/// The place behind this one in the table of this size.
#[inline]
fn after(size: usize, at: usize) -> usize {
    size | ((at + 1) & (size - 1))
}

#[inline]
fn pack(tag: u32, place: u32) -> u64 {
    u64::from(tag) << 32 | (u64::from(place) + 1)
}

#[inline]
fn tag_of(entry: u64) -> u32 {
    (entry >> 32) as u32
}

#[inline]
fn place_of(entry: u64) -> u32 {
    (entry as u32).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_while_it_is_used() {
        let mut index = IdIndex::new(100_000);
        let tag = |number: u32| number.wrapping_mul(0x9e37_79b9) & !0x30;
        let (mut first, mut last) = (0, 0);
        while last < 250_000 {
            index.insert(tag(last), last);
            last += 1;
            // Two come and one goes, up to the most that fit; then one comes and one goes.
            if last % 2 == 0 || last - first > 99_999 {
                index.remove(tag(first), first);
                first += 1;
            }
            for probe in [first, (first + last) / 2, last - 1] {
                assert_eq!(index.find(tag(probe), |place| place == probe), Some(probe));
            }
            assert_eq!(index.find(tag(last), |place| place == last), None);
        }
        assert_eq!(index.len, (last - first) as usize);
        let left = index.entries.iter().filter(|&&entry| entry != 0).count();
        assert_eq!(left, index.len);
    }

    #[test]
    fn agrees_with_a_plain_list_under_collisions() {
        let mut index = IdIndex::new(24);
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        let mut random = 1u64;
        for step in 0..20_000u32 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let pick = (random >> 33) as usize;
            if pairs.len() < 24 && pick & 1 == 0 {
                // Five tags share a home at the end of the table, so that runs wrap around.
                let pair = ([62, 63, 127, 191, 255][pick / 2 % 5], step);
                index.insert(pair.0, pair.1);
                pairs.push(pair);
            } else if !pairs.is_empty() {
                let (tag, place) = pairs.swap_remove(pick / 2 % pairs.len());
                index.remove(tag, place);
                assert_eq!(index.find(tag, |found| found == place), None);
            }
            for &(tag, place) in &pairs {
                assert_eq!(index.find(tag, |found| found == place), Some(place));
            }
        }
    }
}
