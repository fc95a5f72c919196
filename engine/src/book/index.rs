//! The price index of one side of a book: which levels there are, in order of price, and the best.
//!
//! Two structures hold the levels, chosen when the book is opened: an array where a hard bound on
//! prices makes that small, a trie elsewhere. Neither walks, moves or rebalances anything that
//! grows with the book.

use super::{
    NIL,
    band::Band,
    level::Levels,
    trie::{Pages, Trie},
};

/// The levels of one side.
#[derive(Debug)]
pub(super) struct PriceIndex {
    /// The best level, or [`NIL`] when there is none.
    best: u32,
    /// Key of the best level; above every key when there is none.
    best_key: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Trie(Box<Trie>),
    Band(Box<Band>),
}

impl PriceIndex {
    /// An index without levels; `is_band` says that all prices are below [`BAND_TICKS`].
    ///
    /// [`BAND_TICKS`]: super::band::BAND_TICKS
    pub(super) fn new(is_band: bool) -> Self {
        let kind = match is_band {
            true => Kind::Band(Band::new()),
            false => Kind::Trie(Box::new(Trie::EMPTY)),
        };
        Self { best: NIL, best_key: u64::MAX, kind }
    }

    /// The best level, if it is no worse than `limit`, which is below [`u64::MAX`].
    #[inline]
    pub(super) fn best_within(&self, limit: u64) -> Option<u32> {
        (self.best_key <= limit).then_some(self.best)
    }

    /// Key of the best level; above every key when there is none.
    #[inline]
    pub(super) fn best_key(&self) -> u64 {
        self.best_key
    }

    /// The level at a key, opened where there is none. The trie remembers where it stands.
    #[inline]
    pub(super) fn find_or_open(&mut self, pages: &mut Pages, levels: &mut Levels, key: u64) -> u32 {
        let level = match &mut self.kind {
            Kind::Band(band) => band.find_or_open(levels, key),
            Kind::Trie(_) if key == self.best_key => return self.best,
            Kind::Trie(trie) => trie.find_or_open(pages, levels, key),
        };
        if key < self.best_key {
            (self.best, self.best_key) = (level, key);
        }
        level
    }

    /// The level at a key.
    pub(super) fn look_up(&self, pages: &Pages, levels: &Levels, key: u64) -> Option<u32> {
        match &self.kind {
            Kind::Band(band) => band.look_up(key),
            Kind::Trie(trie) => trie.look_up(pages, levels, key),
        }
    }

    /// Removes the level at a key that has one.
    #[inline]
    pub(super) fn remove(&mut self, pages: &mut Pages, levels: &Levels, key: u64) {
        // All other keys are larger than the best one.
        let is_best = key == self.best_key;
        let next = match &mut self.kind {
            Kind::Band(band) => {
                band.remove(key);
                if is_best { band.next_after(key) } else { None }
            }
            Kind::Trie(trie) => {
                let next = trie.remove(pages, key, is_best);
                next.map(|level| (level, levels.get(level).key))
            }
        };
        if is_best {
            (self.best, self.best_key) = next.unwrap_or((NIL, u64::MAX));
        }
    }

    /// The best level whose key is above `key`.
    pub(super) fn next_after(&self, pages: &Pages, levels: &Levels, key: u64) -> Option<u32> {
        match &self.kind {
            Kind::Band(band) => band.next_after(key).map(|(level, _)| level),
            Kind::Trie(trie) => trie.next_after(pages, levels, key),
        }
    }

    /// Bytes reserved for this side alone.
    pub(super) fn memory_bytes(&self) -> usize {
        match &self.kind {
            Kind::Band(_) => size_of::<Band>(),
            Kind::Trie(_) => size_of::<Trie>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{book::band::BAND_TICKS, command::TICKS_MAX};

    fn check(index: &PriceIndex, naive: &BTreeMap<u64, u32>) {
        let best = naive.first_key_value();
        assert_eq!(index.best_within(u64::MAX - 1), best.map(|(_, &level)| level));
        assert_eq!(index.best_key(), best.map_or(u64::MAX, |(&key, _)| key));
    }

    /// Levels come and go at `spread` keys from `base` on, and those so far from there that `far`
    /// has a bit.
    fn agrees_with_an_ordered_map(is_band: bool, base: u64, spread: u64, far: u64) {
        let (mut pages, mut levels) = (Pages::new(64), Levels::new(400));
        let mut index = PriceIndex::new(is_band);
        let (mut naive, mut random) = (BTreeMap::new(), 7u64);
        let remove =
            |index: &mut PriceIndex, pages: &mut Pages, levels: &mut Levels, key, level| {
                index.remove(pages, levels, key);
                levels.close(level);
            };
        for _ in 0..30_000u32 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let key = base + (random >> 20) % spread + (random & far);
            let found = index.look_up(&pages, &levels, key);
            assert_eq!(found, naive.get(&key).copied());
            if let Some(level) = found {
                assert_eq!(index.find_or_open(&mut pages, &mut levels, key), level);
                assert!(naive.remove(&key).is_some());
                remove(&mut index, &mut pages, &mut levels, key, level);
            } else if naive.len() < 300 {
                let level = index.find_or_open(&mut pages, &mut levels, key);
                assert_eq!(levels.get(level).key, key);
                assert!(naive.insert(key, level).is_none());
            } else {
                let key = *naive.range(key..).next().map_or(naive.keys().next().unwrap(), |e| e.0);
                let level = naive.remove(&key).unwrap();
                remove(&mut index, &mut pages, &mut levels, key, level);
            }
            let next = naive.range(key + 1..).next().map(|(_, &level)| level);
            if naive.contains_key(&key) {
                assert_eq!(index.next_after(&pages, &levels, key), next);
            }
            check(&index, &naive);
        }
        while let Some((key, level)) = naive.pop_last() {
            remove(&mut index, &mut pages, &mut levels, key, level);
            check(&index, &naive);
        }
        assert!(pages.are_all_free(), "pages leak");
    }

    #[test]
    fn a_trie_agrees_with_an_ordered_map() {
        for spread in [40, 200, 5_000, 1 << 20, u64::from(u32::MAX)] {
            agrees_with_an_ordered_map(false, 0, spread, 1 << 30);
        }
    }

    #[test]
    fn a_band_agrees_with_an_ordered_map() {
        let band = BAND_TICKS - 1;
        for buys in [0, TICKS_MAX as u64 & !band] {
            for (base, spread) in [(0, 40), (0, 200), (60_000, 5_000), (0, 1 << 17)] {
                agrees_with_an_ordered_map(true, buys + base, spread, 1 << 17);
            }
            agrees_with_an_ordered_map(true, buys, BAND_TICKS, 0);
        }
    }
}
