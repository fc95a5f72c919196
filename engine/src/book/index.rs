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
///
/// The best one is looked for when an order may trade with it, not when a cancel takes away the one
/// before: until then it is known that no level is better than that was, which is all that most orders
/// ask.
#[derive(Debug)]
pub(super) struct PriceIndex {
    /// No level has a smaller key; if one has this key, it is the best. Above every key only when there
    /// is no level.
    bound: u64,
    /// Key of `found`; above every key since a level went.
    found_key: u64,
    /// The level that was the best when it was looked for last. It is as long as `bound` is its key.
    found: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Trie(Box<Trie>),
    Band(Box<Band>),
}

impl Kind {
    #[inline(always)]
    fn remove(&mut self, pages: &mut Pages, key: u64) {
        match self {
            Self::Band(band) => band.remove(key),
            Self::Trie(trie) => trie.remove(pages, key),
        }
    }
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
        Self { bound: u64::MAX, found_key: u64::MAX, found: NIL, kind }
    }

    /// The best level, if it is no worse than `limit`, which is below [`u64::MAX`].
    #[inline(always)]
    pub(super) fn best_within(
        &mut self,
        pages: &Pages,
        levels: &Levels,
        limit: u64,
    ) -> Option<u32> {
        if self.bound > limit {
            return None;
        }
        if self.found_key != self.bound {
            self.find_best(pages, levels);
        }
        (self.bound <= limit).then_some(self.found)
    }

    /// Looks for the best level.
    #[inline]
    fn find_best(&mut self, pages: &Pages, levels: &Levels) {
        (self.found, self.found_key) = self.best(pages, levels).unwrap_or((NIL, u64::MAX));
        self.bound = self.found_key;
    }

    /// Removes the best level, which has this key, and looks for the next one: where orders trade they
    /// soon do so again, and what tells it is in the processor's cache.
    #[inline(always)]
    pub(super) fn remove_best(&mut self, pages: &mut Pages, levels: &Levels, key: u64) {
        self.kind.remove(pages, key);
        self.find_best(pages, levels);
    }

    /// The best level, and its key.
    #[inline(always)]
    pub(super) fn best(&self, pages: &Pages, levels: &Levels) -> Option<(u32, u64)> {
        match &self.kind {
            Kind::Band(band) => band.first(self.bound),
            Kind::Trie(trie) => trie.first(pages, levels, self.bound),
        }
    }

    /// A key that no level's is below; above every key only when there is no level.
    #[inline]
    pub(super) fn bound(&self) -> u64 {
        self.bound
    }

    /// The level at a key, opened where there is none. The trie remembers where it stands.
    #[inline]
    pub(super) fn find_or_open(&mut self, pages: &mut Pages, levels: &mut Levels, key: u64) -> u32 {
        self.bound = self.bound.min(key);
        match &mut self.kind {
            Kind::Band(band) => band.find_or_open(levels, key),
            Kind::Trie(_) if key == self.found_key => self.found,
            Kind::Trie(trie) => trie.find_or_open(pages, levels, key),
        }
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
    pub(super) fn remove(&mut self, pages: &mut Pages, key: u64) {
        self.found_key = u64::MAX;
        self.kind.remove(pages, key);
    }

    /// The best level whose key is above that of a level, `key`.
    pub(super) fn next_after(&self, pages: &Pages, levels: &Levels, key: u64) -> Option<u32> {
        match &self.kind {
            Kind::Band(band) => band.next_after(key),
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

    /// Levels are asked for up to `limit`: the best one stays unknown where it is beyond.
    fn check(
        (index, pages, levels): (&mut PriceIndex, &Pages, &Levels),
        naive: &BTreeMap<u64, u32>,
        limit: u64,
    ) {
        let best = naive.first_key_value().map(|(_, &level)| level);
        let best_key = naive.first_key_value().map_or(u64::MAX, |(&key, _)| key);
        assert!(index.bound() <= best_key, "a level is better than the bound");
        assert_eq!(index.best(pages, levels), best.map(|level| (level, best_key)));
        let is_within = best_key <= limit;
        assert_eq!(index.best_within(pages, levels, limit), best.filter(|_| is_within));
        assert!(index.bound() <= best_key && (!is_within || index.bound() == best_key));
    }

    /// Levels come and go at `spread` keys from `base` on, and those so far from there that `far`
    /// has a bit.
    fn agrees_with_an_ordered_map(is_band: bool, base: u64, spread: u64, far: u64) {
        let (mut pages, mut levels) = (Pages::new(64), Levels::new(400));
        let mut index = PriceIndex::new(is_band);
        let (mut naive, mut random) = (BTreeMap::new(), 7u64);
        let remove =
            |index: &mut PriceIndex, pages: &mut Pages, levels: &mut Levels, key, level| {
                index.remove(pages, key);
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
            let limit = base + (random >> 30) % spread + (random >> 7 & far);
            check((&mut index, &pages, &levels), &naive, limit);
        }
        while let Some((key, level)) = naive.pop_last() {
            remove(&mut index, &mut pages, &mut levels, key, level);
            check((&mut index, &pages, &levels), &naive, key);
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
