//! The levels of one side of a book whose prices may lie anywhere: a trie of 64-way bitmap pages
//! over keys.
//!
//! A key is a price in ticks that is ordered so that smaller is better. Six bits of it choose a
//! place in a page. The root is the lowest page that covers all levels, so a book whose prices lie
//! close together is one or two pages high whatever its prices are, and a far price only stacks
//! pages on top. A level stands in the highest page in which it has a place to itself; only where
//! another one comes to the same place do they get a page below:
//!
//! ```text
//!  key          | prefix, the same for all | 6 bits | 6 bits |
//!                                             root     page     -> level
//!                                             root  -> level
//! ```
//!
//! The work of every operation is bounded by the height, at most [`HEIGHT_MAX`] pages, which it
//! walks a few times, whatever the book holds. The leaves used lately are remembered: work near the touch walks nowhere.

use super::{NIL, level::Levels};
use crate::memory::touch_reserved;

/// Bits of a key that a page resolves.
const BITS: u32 = 6;
/// Pages from the root to a leaf at most: keys have 36 bits.
const HEIGHT_MAX: usize = 6;

/// What a place of a page holds: a page below, a level, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry(u32);

impl Entry {
    /// Marks levels, and places without anything.
    const LEVEL: u32 = 1 << 31;
    const NONE: Self = Self(NIL);

    #[inline(always)]
    fn of_level(level: u32) -> Self {
        Self(level | Self::LEVEL)
    }

    #[inline(always)]
    fn of_page(page: u32) -> Self {
        Self(page)
    }

    /// Whether nothing is below: it is a level, or nothing.
    #[inline(always)]
    fn is_end(self) -> bool {
        self.0 & Self::LEVEL != 0
    }

    /// The number of the page or level.
    #[inline(always)]
    fn number(self) -> u32 {
        self.0 & !Self::LEVEL
    }
}

/// A page: 64 places.
#[derive(Clone, Copy, Debug)]
struct Page {
    /// Bit `i`: place `i` is taken.
    bitmap: u64,
    /// The page above; above a root, none; of a free page, the next free one.
    parent: u32,
    places: [Entry; 64],
}

impl Page {
    /// A page without entries.
    fn below(parent: u32) -> Self {
        Self { bitmap: 0, parent, places: [Entry::NONE; 64] }
    }

    #[inline(always)]
    fn set(&mut self, place: usize, to: Entry) {
        self.bitmap |= 1 << place;
        self.places[place] = to;
    }

    /// Clears a place that is taken and returns whether the page is now empty.
    #[inline(always)]
    fn clear(&mut self, place: usize) -> bool {
        assert!(self.bitmap >> place & 1 == 1, "a place of the index is cleared twice");
        self.bitmap &= !(1 << place);
        self.places[place] = Entry::NONE;
        self.bitmap == 0
    }

    /// What is at the first place that is taken.
    #[inline(always)]
    fn first(&self) -> Entry {
        self.places[self.bitmap.trailing_zeros() as usize & 63]
    }

    /// Whether there is one entry and no other.
    #[inline(always)]
    fn has_one(&self) -> bool {
        self.bitmap.is_power_of_two()
    }
}

/// Pages of the indexes of all books.
#[derive(Debug)]
pub(super) struct Pages {
    pages: Vec<Page>,
    free: u32,
}

impl Pages {
    /// Pages for `orders_max` orders. Books rarely need a page for every four orders; where they
    /// do, the pool grows by [`Pages::CHUNK`].
    ///
    /// # Panics
    /// When there may be more levels than an entry can tell apart.
    pub(super) fn new(orders_max: u32) -> Self {
        assert!(orders_max < Entry::LEVEL, "{orders_max} orders are more than entries tell apart");
        Self { pages: Vec::with_capacity(orders_max as usize / 4 + Self::CHUNK), free: NIL }
    }

    /// Pages by which the pool grows.
    const CHUNK: usize = 1024;

    #[inline(always)]
    fn get(&self, page: u32) -> &Page {
        &self.pages[page as usize]
    }

    #[inline(always)]
    fn get_mut(&mut self, page: u32) -> &mut Page {
        &mut self.pages[page as usize]
    }

    /// An empty page below another.
    #[inline]
    fn open(&mut self, parent: u32) -> u32 {
        let page = self.free;
        if page == NIL {
            return self.open_another(parent);
        }
        self.free = std::mem::replace(&mut self.get_mut(page).parent, parent);
        page
    }

    /// An empty page that was never used.
    #[cold]
    fn open_another(&mut self, parent: u32) -> u32 {
        if self.pages.len() == self.pages.capacity() {
            self.pages.reserve_exact(Self::CHUNK);
        }
        self.pages.push(Page::below(parent));
        self.pages.len() as u32 - 1
    }

    /// Frees an empty page and returns the one above it.
    #[inline]
    fn close(&mut self, page: u32) -> u32 {
        let free = self.free;
        let closed = self.get_mut(page);
        assert!(closed.bitmap == 0);
        let parent = std::mem::replace(&mut closed.parent, free);
        self.free = page;
        parent
    }

    /// The first level of an entry.
    #[inline(always)]
    fn first_level(&self, mut entry: Entry) -> u32 {
        while !entry.is_end() {
            entry = self.get(entry.number()).first();
        }
        entry.number()
    }

    /// Pages that are free.
    #[cfg(test)]
    fn free_count(&self) -> usize {
        let first = (self.free != NIL).then_some(self.free);
        let next = |&page: &u32| Some(self.get(page).parent).filter(|&next| next != NIL);
        std::iter::successors(first, next).count()
    }

    /// Whether no page is used.
    #[cfg(test)]
    pub(super) fn are_all_free(&self) -> bool {
        self.free_count() == self.pages.len()
    }

    /// Touches the memory that is reserved.
    pub(super) fn touch_memory(&mut self) {
        touch_reserved(&mut self.pages, Page::below(NIL));
    }

    /// Bytes reserved.
    pub(super) fn memory_bytes(&self) -> usize {
        self.pages.capacity() * size_of::<Page>()
    }
}

/// Leaves that an index remembers: a thousand ticks around the touch, in four cache lines.
const LEAVES: usize = 16;

/// A page of 64 keys, and the part of the key above it.
#[derive(Clone, Copy, Debug)]
struct Leaf {
    prefix: u64,
    page: u32,
}

impl Leaf {
    /// No key has this prefix.
    const NONE: Self = Self { prefix: u64::MAX, page: NIL };
}

/// Where the leaf of a key is remembered.
#[inline(always)]
fn leaf_at(key: u64) -> usize {
    (key >> BITS) as usize & (LEAVES - 1)
}

/// Which levels a side has, by price.
#[derive(Debug)]
pub(super) struct Trie {
    root: u32,
    /// Bits of a key below the root.
    shift: u32,
    /// The part of the key above the root, the same for all levels; of no key where there is none.
    prefix: u64,
    /// Leaves that were used lately, each at the place that the low bits of its prefix choose.
    leaves: [Leaf; LEAVES],
}

/// A page on the way to a key, and the bits of the key below it.
type Reached = (u32, u32);

impl Trie {
    /// A trie without levels.
    pub(super) const EMPTY: Self =
        Self { root: NIL, shift: 0, prefix: u64::MAX, leaves: [Leaf::NONE; LEAVES] };

    /// The level at a key, opened where there is none.
    #[inline(always)]
    pub(super) fn find_or_open(&mut self, pages: &mut Pages, levels: &mut Levels, key: u64) -> u32 {
        let leaf = self.leaves[leaf_at(key)];
        if leaf.prefix != key >> BITS {
            return self.find_or_open_from_root(pages, levels, key);
        }
        let leaf = pages.get_mut(leaf.page);
        let entry = leaf.places[place(key, 0)];
        if entry != Entry::NONE {
            return entry.number();
        }
        let level = levels.open(key);
        leaf.set(place(key, 0), Entry::of_level(level));
        level
    }

    #[inline(never)]
    fn find_or_open_from_root(&mut self, pages: &mut Pages, levels: &mut Levels, key: u64) -> u32 {
        if !self.covers(key) {
            self.cover(pages, levels, key);
        }
        let root = pages.get(self.root);
        if root.has_one() && root.places[place(key, self.shift)] != Entry::NONE {
            self.narrow(pages, levels, key);
        }
        let (mut page, mut shift) = self.descend(pages, key);
        let entry = pages.get(page).places[place(key, shift)];
        if entry != Entry::NONE {
            let other = levels.get(entry.number()).key;
            if other == key {
                self.remember((page, shift), key);
                return entry.number();
            }
            (page, shift) = part(pages, (page, shift), (other, entry), key);
        }
        let level = levels.open(key);
        pages.get_mut(page).set(place(key, shift), Entry::of_level(level));
        self.remember((page, shift), key);
        level
    }

    /// The level at a key.
    #[inline]
    pub(super) fn look_up(&self, pages: &Pages, levels: &Levels, key: u64) -> Option<u32> {
        if !self.covers(key) {
            return None;
        }
        let (page, shift) = self.descend(pages, key);
        let entry = pages.get(page).places[place(key, shift)];
        let is_it = entry != Entry::NONE && levels.get(entry.number()).key == key;
        is_it.then(|| entry.number())
    }

    /// Removes the level at a key that has one.
    #[inline(always)]
    pub(super) fn remove(&mut self, pages: &mut Pages, key: u64) {
        let leaf = self.leaves[leaf_at(key)];
        if leaf.prefix != key >> BITS {
            return self.remove_from_root(pages, key);
        }
        if pages.get_mut(leaf.page).clear(place(key, 0)) {
            self.prune(pages, (leaf.page, 0), key);
        }
    }

    #[inline(never)]
    fn remove_from_root(&mut self, pages: &mut Pages, key: u64) {
        let (page, shift) = self.descend(pages, key);
        if pages.get_mut(page).clear(place(key, shift)) {
            return self.prune(pages, (page, shift), key);
        }
        self.remember((page, shift), key);
    }

    /// Frees a page on the way to a key, which is empty, and every page that is left without places.
    #[inline(never)]
    fn prune(&mut self, pages: &mut Pages, (mut page, mut shift): Reached, key: u64) {
        self.forget(shift, key);
        loop {
            page = pages.close(page);
            shift += BITS;
            if page == NIL {
                *self = Self::EMPTY;
                return;
            }
            if !pages.get_mut(page).clear(place(key, shift)) {
                return;
            }
        }
    }

    /// The level with the smallest key, and that key. No level's is below `bound`, so if its leaf is
    /// remembered, the first one there is it.
    #[inline(always)]
    pub(super) fn first(&self, pages: &Pages, levels: &Levels, bound: u64) -> Option<(u32, u64)> {
        let leaf = self.leaves[leaf_at(bound)];
        if leaf.prefix == bound >> BITS {
            let page = pages.get(leaf.page);
            let key = bound & !63 | u64::from(page.bitmap.trailing_zeros());
            return Some((page.first().number(), key));
        }
        let level = (self.root != NIL).then(|| pages.first_level(Entry::of_page(self.root)))?;
        Some((level, levels.get(level).key))
    }

    /// The best level whose key is above `key`, which the root covers.
    pub(super) fn next_after(&self, pages: &Pages, levels: &Levels, key: u64) -> Option<u32> {
        let mut path = [(NIL, 0); HEIGHT_MAX];
        let mut height = 0;
        path[0] = (self.root, self.shift);
        let mut entry = pages.get(self.root).places[place(key, self.shift)];
        while !entry.is_end() {
            let shift = path[height].1 - BITS;
            height += 1;
            path[height] = (entry.number(), shift);
            entry = pages.get(entry.number()).places[place(key, shift)];
        }
        if entry != Entry::NONE && levels.get(entry.number()).key > key {
            return Some(entry.number());
        }
        path[..=height].iter().rev().find_map(|&(page, shift)| {
            let page = pages.get(page);
            let above = page.bitmap & (!1 << place(key, shift));
            let at = (above != 0).then(|| above.trailing_zeros() as usize)?;
            Some(pages.first_level(page.places[at]))
        })
    }

    /// Whether a key is below the root.
    #[inline(always)]
    fn covers(&self, key: u64) -> bool {
        key >> self.shift >> BITS == self.prefix
    }

    /// Makes the root cover a key that it doesn't cover.
    #[inline(never)]
    fn cover(&mut self, pages: &mut Pages, levels: &Levels, key: u64) {
        if self.root == NIL {
            (self.root, self.shift, self.prefix) = (pages.open(NIL), 0, key >> BITS);
        }
        self.narrow(pages, levels, key);
        while !self.covers(key) {
            let (root, old) = (pages.open(NIL), self.root);
            pages.get_mut(root).set((self.prefix & 63) as usize, Entry::of_page(old));
            pages.get_mut(old).parent = root;
            (self.root, self.shift, self.prefix) = (root, self.shift + BITS, self.prefix >> BITS);
        }
    }

    /// Makes a root that has one entry the page in which what is below it and a key part, as far as
    /// that can be: pages that only lead to another are left out, and a level that is alone is moved
    /// within its page, up or down. Not done when an entry goes, because another one often comes to the
    /// same place.
    #[inline(never)]
    fn narrow(&mut self, pages: &mut Pages, levels: &Levels, key: u64) {
        if !pages.get(self.root).has_one() {
            return;
        }
        let other = levels.get(pages.first_level(Entry::of_page(self.root))).key;
        let shift = parting(key, other);
        let mut entry = pages.get(self.root).first();
        while self.shift > shift && !entry.is_end() {
            pages.get_mut(self.root).clear(place(other, self.shift));
            pages.close(self.root);
            self.root = entry.number();
            pages.get_mut(self.root).parent = NIL;
            self.prefix = other >> self.shift;
            self.shift -= BITS;
            if !pages.get(self.root).has_one() {
                return;
            }
            entry = pages.get(self.root).first();
        }
        if entry.is_end() {
            self.forget(self.shift, other);
            let root = pages.get_mut(self.root);
            root.clear(place(other, self.shift));
            root.set(place(other, shift), entry);
            (self.shift, self.prefix) = (shift, other >> shift >> BITS);
        }
    }

    /// Remembers a page that has a place for a key, if it is a leaf.
    #[inline(always)]
    fn remember(&mut self, (page, shift): Reached, key: u64) {
        if shift == 0 {
            self.leaves[leaf_at(key)] = Leaf { prefix: key >> BITS, page };
        }
    }

    /// Forgets the page that has a place for a key, if it is a leaf.
    #[inline(always)]
    fn forget(&mut self, shift: u32, key: u64) {
        if shift == 0 {
            self.leaves[leaf_at(key)] = Leaf::NONE;
        }
    }

    /// The lowest page on the way to a key that the root covers.
    #[inline(always)]
    fn descend(&self, pages: &Pages, key: u64) -> Reached {
        let (mut page, mut shift) = (self.root, self.shift);
        loop {
            let entry = pages.get(page).places[place(key, shift)];
            if entry.is_end() {
                return (page, shift);
            }
            (page, shift) = (entry.number(), shift - BITS);
        }
    }
}

/// Makes pages below one, down to where a key and a level that has the key's place there part.
#[inline(never)]
fn part(
    pages: &mut Pages,
    (mut page, mut shift): Reached,
    (other, level): (u64, Entry),
    key: u64,
) -> Reached {
    let end = parting(key, other);
    while shift > end {
        let child = pages.open(page);
        pages.get_mut(page).set(place(key, shift), Entry::of_page(child));
        (page, shift) = (child, shift - BITS);
    }
    pages.get_mut(page).set(place(other, shift), level);
    (page, shift)
}

/// Bits below the page in which two keys have different places, or the same key its own.
#[inline(always)]
fn parting(key: u64, other: u64) -> u32 {
    (key ^ other).checked_ilog2().unwrap_or(0) / BITS * BITS
}

/// The place of a key in a page with so many bits below it.
#[inline(always)]
fn place(key: u64, shift: u32) -> usize {
    (key >> shift & 63) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::TICKS_MAX;

    const KEY_MAX: u64 = TICKS_MAX as u64;

    /// A trie with its pages and levels.
    struct Side {
        pages: Pages,
        levels: Levels,
        trie: Trie,
    }

    impl Side {
        fn new(orders_max: u32) -> Self {
            let (pages, levels) = (Pages::new(orders_max), Levels::new(orders_max));
            Self { pages, levels, trie: Trie::EMPTY }
        }

        fn open(&mut self, key: u64) -> u32 {
            self.trie.find_or_open(&mut self.pages, &mut self.levels, key)
        }

        fn close(&mut self, key: u64) {
            let level = self.trie.look_up(&self.pages, &self.levels, key).expect("it is there");
            self.trie.remove(&mut self.pages, key);
            self.levels.close(level);
        }

        fn pages_used(&self) -> usize {
            self.pages.pages.len() - self.pages.free_count()
        }
    }

    /// The next number of a sequence, well mixed.
    fn next(random: &mut u64) -> u64 {
        *random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        *random >> 20
    }

    #[test]
    fn pages_are_bounded_and_all_come_back() {
        const LEVELS: usize = 100_000;
        let mut side = Side::new(LEVELS as u32);
        let mut most = Vec::new();
        for _ in 0..2 {
            let (mut random, mut keys) = (7, std::collections::BTreeSet::new());
            while keys.len() < LEVELS {
                let key = next(&mut random) & KEY_MAX;
                keys.insert(key);
                side.open(key);
            }
            most.push(side.pages_used());
            let mut keys = Vec::from_iter(keys);
            while !keys.is_empty() {
                let at = next(&mut random) as usize % keys.len();
                side.close(keys.swap_remove(at));
            }
            assert!(side.pages.are_all_free(), "pages leak");
        }
        assert_eq!((most[0], side.pages.pages.len()), (most[1], most[0]), "a round needs more");
        assert!(most[0] <= LEVELS / 4, "{} pages", most[0]);
    }

    #[test]
    fn extreme_keys_in_turn_share_a_page() {
        let mut side = Side::new(1);
        for stays in [0, KEY_MAX / 2, KEY_MAX] {
            side.open(stays);
            for _ in 0..100 {
                for key in [0, KEY_MAX].into_iter().filter(|&key| key != stays) {
                    side.open(key);
                    assert_eq!(
                        (side.pages_used(), side.trie.shift),
                        (1, (HEIGHT_MAX as u32 - 1) * BITS)
                    );
                    side.close(key);
                    assert_eq!(side.pages_used(), 1);
                }
            }
            side.close(stays);
        }
        assert_eq!((side.trie.root, side.pages.pages.len()), (NIL, 1));
    }

    #[test]
    fn levels_that_part_late_get_a_page_for_each_height() {
        let mut side = Side::new(4);
        for key in [0, 1, KEY_MAX - 1, KEY_MAX] {
            side.open(key);
        }
        assert_eq!(side.pages_used(), 2 * HEIGHT_MAX - 1);
        for key in [0, 1, KEY_MAX - 1] {
            side.close(key);
        }
        side.open(KEY_MAX - 64);
        assert_eq!((side.pages_used(), side.trie.shift), (2, BITS));
        for key in [KEY_MAX, KEY_MAX - 64] {
            side.close(key);
        }
        assert_eq!((side.pages_used(), side.trie.root), (0, NIL));
    }
}
