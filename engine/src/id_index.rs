//! From a hash to a small number, by open addressing.
//!
//! ```text
//! entry   | tag: 32 bits of the hash | place + 1: 32 bits |     0 is a free entry
//! ```
//!
//! Linear probing, at most half full, and deletion that shifts the entries behind it back, so that
//! nothing degrades over a venue's life. Who asks must check the name itself: tags can collide.

/// A table of (tag, place) pairs of which no two are the same.
#[derive(Debug)]
pub(crate) struct IdIndex {
    entries: Vec<u64>,
    len: usize,
    mask: usize,
}

impl IdIndex {
    /// A table with room for `len_max` pairs.
    pub(crate) fn new(len_max: usize) -> Self {
        let capacity = (len_max.max(4) * 2).next_power_of_two();
        assert!(capacity <= 1 << 32, "the home of an entry must follow from its tag");
        Self { entries: vec![0; capacity], len: 0, mask: capacity - 1 }
    }

    /// The place of an entry with this tag that `is_it` recognizes.
    #[inline]
    pub(crate) fn find(&self, tag: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = tag as usize & self.mask;
        loop {
            let entry = self.entries[at];
            if entry == 0 {
                return None;
            }
            if tag_of(entry) == tag && is_it(place_of(entry)) {
                return Some(place_of(entry));
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Adds a pair that is not in the table.
    #[inline]
    pub(crate) fn insert(&mut self, tag: u32, place: u32) {
        let mut at = tag as usize & self.mask;
        while self.entries[at] != 0 {
            at = (at + 1) & self.mask;
        }
        self.entries[at] = pack(tag, place);
        self.len += 1;
        assert!(self.len * 2 <= self.entries.len(), "the id index was built too small");
    }

    /// Gives a pair of the table another place.
    #[inline]
    pub(crate) fn relocate(&mut self, tag: u32, from: u32, to: u32) {
        let at = self.position(tag, from);
        self.entries[at] = pack(tag, to);
    }

    /// Removes a pair of the table.
    #[inline]
    pub(crate) fn remove(&mut self, tag: u32, place: u32) {
        let mut hole = self.position(tag, place);
        let mut at = hole;
        loop {
            at = (at + 1) & self.mask;
            let entry = self.entries[at];
            if entry == 0 {
                break;
            }
            let home = tag_of(entry) as usize & self.mask;
            // An entry may fill the hole unless its home lies between the hole and itself.
            if (at.wrapping_sub(home) & self.mask) >= (at.wrapping_sub(hole) & self.mask) {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = 0;
        self.len -= 1;
    }

    /// Bytes reserved.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<u64>()
    }

    #[inline]
    fn position(&self, tag: u32, place: u32) -> usize {
        let wanted = pack(tag, place);
        let mut at = tag as usize & self.mask;
        while self.entries[at] != wanted {
            assert!(self.entries[at] != 0, "the id index lost an entry");
            at = (at + 1) & self.mask;
        }
        at
    }
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
