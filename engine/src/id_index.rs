//! From a hash to a small number, by buckets of one cache line.
//!
//! ```text
//! bucket  | 8 tags: 32 bits of the hash each | 8 places, plus one: 0 is free |       64 bytes
//!
//! memory  |-|1|2 2|4 4 4 4|8 8 8 8 8 8 8 8|...   the table of 2^k buckets begins at bucket 2^k
//! ```
//!
//! A tag names its home bucket; a pair whose home is full goes to the next bucket that is not, and
//! every bucket that it passed counts it, so that a search knows when to end. A table is at most
//! five eighths full; most searches see one cache line, and nothing degrades over a venue's life.
//! Who asks must check the name itself: tags can collide.
//!
//! All memory is reserved at the start, but the table begins small and doubles as pairs come: a
//! venue with room for a million orders and three thousand alive should touch what three thousand
//! need. Each insertion moves a bucket from the old table to the new one and empties one for the
//! table after that, so no insertion waits for a whole table.

use crate::{
    memory::{touch_all, touch_reserved},
    processor::{equal_lanes, prefetch},
};

/// Pairs of a bucket.
const LANES: usize = 8;
/// Buckets of the first table.
const FIRST_TABLE: usize = 128;
/// A table has at most so many pairs for each of its buckets: five eighths of them.
const LEN_PER_BUCKET: usize = LANES * 5 / 8;

/// Pairs of one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Bucket {
    /// What a tag was stays when its pair goes.
    tags: [u32; LANES],
    /// The place plus one; 0 where there is no pair.
    places: [u32; LANES],
}

const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    const EMPTY: Self = Self { tags: [0; LANES], places: [0; LANES] };

    /// Lanes whose pairs have this tag, as bits; free ones may be among them.
    #[inline(always)]
    fn lanes_with(&self, tag: u32) -> u32 {
        equal_lanes(&self.tags, tag)
    }

    /// The lane that is taken by this pair, as a bit.
    #[inline(always)]
    fn lane_of(&self, tag: u32, place: u32) -> u32 {
        equal_lanes(&self.tags, tag) & equal_lanes(&self.places, place + 1)
    }

    /// Lanes without pairs, as bits.
    #[inline(always)]
    fn free_lanes(&self) -> u32 {
        equal_lanes(&self.places, 0)
    }

    /// The place of a lane, if it has a pair.
    #[inline(always)]
    fn place(&self, lane: usize) -> Option<u32> {
        self.places[lane % LANES].checked_sub(1)
    }
}

/// A set of (tag, place) pairs of which no two are the same.
#[derive(Debug)]
pub struct IdIndex {
    /// Those of all tables up to the one in use, and of the next one as far as it is made.
    buckets: Vec<Bucket>,
    /// By bucket: pairs whose home is here or before and that were put behind it.
    passed: Vec<u32>,
    len: usize,
    /// Buckets of the table in use, a power of two.
    size: usize,
    /// Buckets of the table that is being left, or 0 when everything has moved.
    old_size: usize,
    /// Buckets of the old table below this are empty.
    moved: usize,
    /// Whether there is an old table, or the next one is not made.
    grows: bool,
}

impl IdIndex {
    /// A table with room for `len_max` pairs.
    pub fn new(len_max: usize) -> Self {
        // Doubling ends at or above five eighths.
        let capacity = (len_max.max(LANES) * 8 / 5 / LANES + 1).next_power_of_two();
        assert!(capacity <= 1 << 32, "the home of a pair must follow from its tag");
        let size = capacity.min(FIRST_TABLE);
        let mut buckets = Vec::with_capacity(capacity * 2);
        buckets.resize(size * 2, Bucket::EMPTY);
        let passed = vec![0; capacity * 2];
        Self { buckets, passed, len: 0, size, old_size: 0, moved: 0, grows: true }
    }

    /// The place of a pair with this tag that `is_it` recognizes.
    #[inline(always)]
    pub fn find(&self, tag: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let found = self.find_in(self.size, tag, &mut is_it);
        if found.is_none() && self.old_size != 0 {
            return self.find_in(self.old_size, tag, &mut is_it);
        }
        found
    }

    /// Adds a pair that is not in the table.
    ///
    /// # Panics
    /// When the table holds as many pairs as it was built for.
    #[inline]
    pub fn insert(&mut self, tag: u32, place: u32) {
        if self.grows {
            self.grow();
        }
        if self.len >= self.size * LEN_PER_BUCKET {
            self.double();
        }
        self.put(tag, place);
        self.len += 1;
    }

    /// Gives a pair of the table another place.
    ///
    /// # Panics
    /// When the pair is not in the table.
    #[inline]
    pub fn relocate(&mut self, tag: u32, from: u32, to: u32) {
        let (_, bucket, lane) = self.position(tag, from);
        self.set(bucket, lane, tag, to);
    }

    /// Removes the pair with this tag that `is_it` recognizes, and returns its place.
    #[inline(always)]
    pub fn take(&mut self, tag: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut size = self.size;
        loop {
            let mut at = home(size, tag);
            loop {
                let bucket = &self.buckets[at];
                let mut lanes = bucket.lanes_with(tag);
                while lanes != 0 {
                    let lane = lanes.trailing_zeros() as usize;
                    match bucket.place(lane) {
                        Some(place) if is_it(place) => {
                            self.clear(size, at, lane, tag);
                            self.len -= 1;
                            return Some(place);
                        }
                        _ => lanes &= lanes - 1,
                    }
                }
                if self.passed[at] == 0 {
                    break;
                }
                at = after(size, at);
            }
            if size != self.size || self.old_size == 0 {
                return None;
            }
            size = self.old_size;
        }
    }

    /// Removes a pair of the table.
    ///
    /// # Panics
    /// When the pair is not in the table.
    #[inline(never)]
    pub fn remove(&mut self, tag: u32, place: u32) {
        let (size, bucket, lane) = self.position(tag, place);
        self.clear(size, bucket, lane, tag);
        self.len -= 1;
    }

    /// Asks the processor for where the search for a tag begins.
    #[inline]
    pub fn prefetch(&self, tag: u32) {
        prefetch(&self.buckets, home(self.size, tag));
    }

    /// Touches the memory that is reserved.
    pub fn touch_memory(&mut self) {
        touch_all(&mut self.buckets);
        touch_reserved(&mut self.buckets, Bucket::EMPTY);
        touch_all(&mut self.passed);
    }

    /// Bytes reserved.
    pub fn memory_bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<Bucket>() + self.passed.capacity() * size_of::<u32>()
    }

    #[inline(always)]
    fn find_in(&self, size: usize, tag: u32, is_it: &mut impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = home(size, tag);
        loop {
            let bucket = &self.buckets[at];
            let mut lanes = bucket.lanes_with(tag);
            while lanes != 0 {
                match bucket.place(lanes.trailing_zeros() as usize) {
                    Some(place) if is_it(place) => return Some(place),
                    _ => lanes &= lanes - 1,
                }
            }
            if self.passed[at] == 0 {
                return None;
            }
            at = after(size, at);
        }
    }

    /// Where a pair is: in the table of which size, its bucket and its lane.
    #[inline(always)]
    fn position(&self, tag: u32, place: u32) -> (usize, usize, usize) {
        let mut size = self.size;
        let mut at = home(size, tag);
        loop {
            let lanes = self.buckets[at].lane_of(tag, place);
            if lanes != 0 {
                return (size, at, lanes.trailing_zeros() as usize);
            }
            if self.passed[at] != 0 {
                at = after(size, at);
                continue;
            }
            assert!(size == self.size && self.old_size != 0, "the id index lost a pair");
            size = self.old_size;
            at = home(size, tag);
        }
    }

    /// Puts a pair into the first bucket from its home on that has room.
    #[inline(always)]
    fn put(&mut self, tag: u32, place: u32) {
        let mut at = home(self.size, tag);
        loop {
            let free = self.buckets[at].free_lanes();
            if free != 0 {
                return self.set(at, free.trailing_zeros() as usize, tag, place);
            }
            self.passed[at] += 1;
            at = after(self.size, at);
        }
    }

    #[inline(always)]
    fn set(&mut self, bucket: usize, lane: usize, tag: u32, place: u32) {
        let bucket = &mut self.buckets[bucket];
        bucket.tags[lane % LANES] = tag;
        bucket.places[lane % LANES] = place + 1;
    }

    /// Empties a lane of a bucket of the table of this size; the buckets that its pair had passed
    /// count it no more.
    #[inline(always)]
    fn clear(&mut self, size: usize, bucket: usize, lane: usize, tag: u32) {
        self.buckets[bucket].places[lane % LANES] = 0;
        let mut at = home(size, tag);
        while at != bucket {
            self.passed[at] -= 1;
            at = after(size, at);
        }
    }

    #[cold]
    fn double(&mut self) {
        assert!(self.old_size == 0, "a table fills up before the one before it is left");
        assert!(self.size * 4 <= self.passed.len(), "the id index was built too small");
        assert!(
            self.buckets.len() >= self.size * 4,
            "a table fills up before the next one is made"
        );
        (self.old_size, self.size, self.moved) = (self.size, self.size * 2, 0);
        self.grows = true;
    }

    /// A step towards the next table: two and a half insertions for each bucket of this one come
    /// between two doublings, and the next one has two.
    #[cold]
    fn grow(&mut self) {
        if self.old_size != 0 {
            self.move_bucket();
        }
        let is_made = self.buckets.len() == self.passed.len().min(self.size * 4);
        if !is_made {
            self.buckets.push(Bucket::EMPTY);
        }
        self.grows = self.old_size != 0 || !is_made;
    }

    /// Moves the pairs of a bucket of the old table.
    fn move_bucket(&mut self) {
        let at = self.old_size + self.moved;
        let bucket = self.buckets[at];
        for (lane, tag) in bucket.tags.into_iter().enumerate() {
            if let Some(place) = bucket.place(lane) {
                self.clear(self.old_size, at, lane, tag);
                self.put(tag, place);
            }
        }
        self.moved += 1;
        if self.moved == self.old_size {
            self.old_size = 0;
        }
    }
}

/// The bucket in which the search for a tag begins in the table of this size.
#[inline(always)]
fn home(size: usize, tag: u32) -> usize {
    size | (tag as usize & (size - 1))
}

/// The bucket behind this one in the table of this size.
#[inline(always)]
fn after(size: usize, at: usize) -> usize {
    size | ((at + 1) & (size - 1))
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
        let pairs = |bucket: &Bucket| LANES as u32 - bucket.free_lanes().count_ones();
        let left: u32 = index.buckets.iter().map(pairs).sum();
        assert_eq!(left as usize, index.len);
    }

    #[test]
    fn agrees_with_a_plain_list_under_collisions() {
        let mut index = IdIndex::new(80);
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        let mut random = 1u64;
        for step in 0..20_000u32 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let pick = (random >> 33) as usize;
            if pairs.len() < 80 && pick % 5 < 3 {
                // Five tags share a home or two at the end of the table, so that what passes them
                // goes on at its beginning.
                let pair = ([14, 15, 31, 47, 63][pick / 5 % 5], step);
                index.insert(pair.0, pair.1);
                pairs.push(pair);
            } else if !pairs.is_empty() {
                let (tag, place) = pairs.swap_remove(pick / 5 % pairs.len());
                if pick.is_multiple_of(3) {
                    assert_eq!(index.take(tag, |found| found == place), Some(place));
                    assert_eq!(index.take(tag, |found| found == place), None);
                } else {
                    index.remove(tag, place);
                }
                assert_eq!(index.find(tag, |found| found == place), None);
            }
            for &(tag, place) in &pairs {
                assert_eq!(index.find(tag, |found| found == place), Some(place));
            }
            if pairs.is_empty() {
                assert!(index.passed.iter().all(|&passed| passed == 0));
            }
        }
    }
}
