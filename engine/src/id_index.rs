//! From a hash to a small number, by buckets of one cache line.
//!
//! ```text
//! bucket  | 8 tags: 32 bits of the hash each | 8 places, plus one: 0 is free |       64 bytes
//!
//! table   | 0 1 2 ...        half-1 | half ...  homes-1 | ... size-1 |     half = size / 2
//!           ^ split ^ to be split     ^ split off         ^ not yet homes
//! ```
//!
//! A tag names its home bucket; a pair whose home is full goes to the next bucket that is not, and
//! every bucket that it passed counts it, so that a search knows when to end: there, or where it
//! began, as whoever chooses the names can have every bucket passed. A table is at most five eighths
//! full; most searches see one cache line, and nothing degrades over a venue's life. Who asks must
//! check the name itself: tags can collide.
//!
//! All memory is reserved at the start, but the table begins small and doubles as pairs come: a
//! venue with room for a million orders and three thousand alive should touch what three thousand
//! need. It doubles in its place, by linear hashing (W. Litwin, *Linear hashing: a new tool for file
//! and table addressing*, 1980): each insertion splits one bucket in two, so no insertion waits for
//! a whole table, and no table is left behind. Once doubling begins it goes on to its end, as
//! buckets that wait for it are twice as full as the others.

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

/// Pairs that a bucket is split by in one go without asking for memory: of full buckets one behind the
/// other, it may be any number.
const MOVING: usize = 64;

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
    /// Homes, and what pairs have been put into behind them.
    buckets: Vec<Bucket>,
    /// By bucket, for all that there may be: pairs whose home is here or before and that were put
    /// behind it.
    passed: Vec<u32>,
    len: usize,
    /// Homes of the table when it has doubled, a power of two.
    size: usize,
    /// Homes of the table: from half its size on.
    homes: usize,
    /// An insertion that finds so many pairs splits a bucket: 0 while the table doubles.
    grows_from: usize,
    /// Pairs on their way from a bucket that is split.
    moving: Vec<(u32, u32)>,
}

impl IdIndex {
    /// A table with room for `len_max` pairs.
    pub fn new(len_max: usize) -> Self {
        Self::beginning_with(FIRST_TABLE, len_max)
    }

    fn beginning_with(first_table: usize, len_max: usize) -> Self {
        let capacity = len_max.div_ceil(LEN_PER_BUCKET).next_power_of_two();
        assert!(capacity <= 1 << 32, "the home of a pair must follow from its tag");
        let size = capacity.min(first_table);
        let mut buckets = Vec::with_capacity(capacity);
        buckets.resize(size, Bucket::EMPTY);
        Self {
            buckets,
            passed: vec![0; capacity],
            len: 0,
            size,
            homes: size,
            grows_from: size * LEN_PER_BUCKET,
            moving: Vec::with_capacity(MOVING),
        }
    }

    /// The place of a pair with this tag that `is_it` recognizes.
    #[inline(always)]
    pub fn find(&self, tag: u32, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.search(tag, is_it).map(|(_, _, place)| place)
    }

    /// Adds a pair that is not in the table.
    ///
    /// # Panics
    /// When the table holds as many pairs as it was built for.
    #[inline]
    pub fn insert(&mut self, tag: u32, place: u32) {
        if self.len >= self.grows_from {
            self.grow();
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
        let (bucket, lane) = self.position(tag, from);
        self.set(bucket, lane, tag, to);
    }

    /// Removes the pair with this tag that `is_it` recognizes, and returns its place.
    #[inline(always)]
    pub fn take(&mut self, tag: u32, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let (bucket, lane, place) = self.search(tag, is_it)?;
        self.clear(self.home(tag), bucket, lane);
        self.len -= 1;
        Some(place)
    }

    /// Removes a pair of the table.
    ///
    /// # Panics
    /// When the pair is not in the table.
    #[inline(never)]
    pub fn remove(&mut self, tag: u32, place: u32) {
        let (bucket, lane) = self.position(tag, place);
        self.clear(self.home(tag), bucket, lane);
        self.len -= 1;
    }

    /// Buckets in the longest run of those that are passed.
    #[cfg(test)]
    pub(crate) fn longest_search(&self) -> usize {
        self.passed.split(|&passed| passed == 0).map(<[u32]>::len).max().unwrap_or(0)
    }

    /// Asks the processor for where the search for a tag begins.
    #[inline]
    pub fn prefetch(&self, tag: u32) {
        prefetch(&self.buckets, self.home(tag));
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

    /// The bucket in which the search for a tag begins.
    #[inline(always)]
    fn home(&self, tag: u32) -> usize {
        let at = tag as usize & (self.size - 1);
        if at < self.homes {
            return at;
        }
        // A table seldom doubles, and a branch that is foreseen delays an address less than a choice.
        std::hint::cold_path();
        at - self.size / 2
    }

    /// The bucket behind this one; behind the last that there may be is the first.
    #[inline(always)]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.passed.len() { 0 } else { at + 1 }
    }

    /// Bucket, lane and place of a pair with this tag that `is_it` recognizes.
    #[inline(always)]
    fn search(&self, tag: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<(usize, usize, u32)> {
        let mut at = self.home(tag);
        loop {
            let bucket = &self.buckets[at];
            let mut lanes = bucket.lanes_with(tag);
            while lanes != 0 {
                let lane = lanes.trailing_zeros() as usize;
                match bucket.place(lane) {
                    Some(place) if is_it(place) => return Some((at, lane, place)),
                    _ => lanes &= lanes - 1,
                }
            }
            if self.passed[at] == 0 {
                return None;
            }
            at = self.after(at);
            if at == self.home(tag) {
                return None;
            }
        }
    }

    /// Bucket and lane of a pair: like [`IdIndex::search`], of which it would be 17 instructions more.
    #[inline(always)]
    fn position(&self, tag: u32, place: u32) -> (usize, usize) {
        let mut at = self.home(tag);
        loop {
            let lanes = self.buckets[at].lane_of(tag, place);
            if lanes != 0 {
                return (at, lanes.trailing_zeros() as usize);
            }
            let goes_on = self.passed[at] != 0;
            at = self.after(at);
            assert!(goes_on && at != self.home(tag), "the id index lost a pair");
        }
    }

    /// Puts a pair into the first bucket from its home on that has room.
    #[inline(always)]
    fn put(&mut self, tag: u32, place: u32) {
        let mut at = self.home(tag);
        loop {
            let free = self.buckets[at].free_lanes();
            if free != 0 {
                return self.set(at, free.trailing_zeros() as usize, tag, place);
            }
            self.passed[at] += 1;
            at = self.after(at);
            self.cover(at);
        }
    }

    #[inline(always)]
    fn set(&mut self, bucket: usize, lane: usize, tag: u32, place: u32) {
        let bucket = &mut self.buckets[bucket];
        bucket.tags[lane % LANES] = tag;
        bucket.places[lane % LANES] = place + 1;
    }

    /// Empties a lane of a bucket; the buckets that its pair had passed from its home on count it no
    /// more.
    #[inline(always)]
    fn clear(&mut self, home: usize, bucket: usize, lane: usize) {
        self.buckets[bucket].places[lane % LANES] = 0;
        let mut at = home;
        while at != bucket {
            self.passed[at] -= 1;
            at = self.after(at);
        }
    }

    /// Makes a bucket, if it is the next one to be made.
    #[inline]
    fn cover(&mut self, bucket: usize) {
        if bucket == self.buckets.len() {
            self.buckets.push(Bucket::EMPTY);
        }
    }

    /// A step of doubling. Two and a half insertions for each bucket come between the end of one
    /// doubling and the next.
    #[cold]
    fn grow(&mut self) {
        if self.homes == self.size {
            assert!(self.size * 2 <= self.passed.len(), "the id index was built too small");
            self.size *= 2;
            self.grows_from = 0;
        }
        self.split();
        if self.homes == self.size {
            self.grows_from = self.size * LEN_PER_BUCKET;
        }
    }

    /// Makes the next bucket a home: of those pairs whose tags lead there, and that had one half of
    /// the table before until now.
    fn split(&mut self) {
        let new = self.homes;
        let old = new - self.size / 2;
        self.cover(new);
        let mut at = old;
        loop {
            let bucket = self.buckets[at];
            for (lane, tag) in bucket.tags.into_iter().enumerate() {
                if let Some(place) = bucket.place(lane)
                    && tag as usize & (self.size - 1) == new
                {
                    self.clear(old, at, lane);
                    self.moving.push((tag, place));
                }
            }
            let is_passed = self.passed[at] != 0;
            at = self.after(at);
            if !is_passed || at == old {
                break;
            }
        }
        self.homes += 1;
        // All are out of the table before the first is put: some were behind their new home.
        while let Some((tag, place)) = self.moving.pop() {
            self.put(tag, place);
        }
    }
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

    /// Whatever the tags, pairs are found until they are removed, and what is passed is counted.
    fn agrees_with_a_plain_list(seed: u64, len_max: usize, tag_of: impl Fn(usize) -> u32) {
        let mut index = IdIndex::beginning_with(2, len_max);
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        let mut random = seed;
        for step in 0..1_500u32 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let pick = (random >> 33) as usize;
            if pairs.len() < len_max && pick % 5 < 4 {
                let pair = (tag_of(pick / 5), step);
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
        for (tag, place) in pairs {
            index.remove(tag, place);
        }
        assert_eq!((index.len, index.homes), (0, index.passed.len()), "all doublings came");
        assert!(index.passed.iter().all(|&passed| passed == 0));
    }

    #[test]
    fn agrees_with_a_plain_list_under_collisions() {
        for seed in 1..=4 {
            agrees_with_a_plain_list(seed, 80, |pick| (pick as u32).wrapping_mul(0x9e37_79b9));
            // Five tags share a home or two at the end of the table, so that what passes them goes
            // on at its beginning.
            agrees_with_a_plain_list(seed, 80, |pick| [14, 15, 31, 47, 63][pick % 5]);
            // All have one home until the last doublings.
            agrees_with_a_plain_list(seed, 160, |pick| (pick as u32 % 4) << 4 | 13);
            agrees_with_a_plain_list(seed, 160, |_| 7);
        }
    }

    #[test]
    fn a_search_ends_where_every_bucket_is_passed() {
        let mut index = IdIndex::new(80);
        let half = index.homes / 2;
        for begin in [0, half] {
            let fillers = (begin..begin + half).flat_map(|home| (0..LANES).map(move |_| home));
            let fillers: Vec<(u32, u32)> =
                fillers.enumerate().map(|(place, home)| (home as u32, place as u32)).collect();
            fillers.iter().for_each(|&(tag, place)| index.insert(tag, place));
            index.insert(begin as u32, 1000 + begin as u32);
            fillers.iter().for_each(|&(tag, place)| index.remove(tag, place));
        }
        assert!(index.passed.iter().all(|&passed| passed == 1));
        assert_eq!(index.find(5, |_| true), None);
        assert_eq!(index.take(0, |place| place == 7), None);
        assert_eq!(index.find(0, |_| true), Some(1000));
        assert_eq!(index.find(half as u32, |_| true), Some(1000 + half as u32));
        let missing = std::panic::AssertUnwindSafe(|| index.remove(5, 5));
        assert!(std::panic::catch_unwind(missing).is_err());
    }
}
