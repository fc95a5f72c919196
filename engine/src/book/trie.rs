//! The levels of one side of a book whose prices may lie anywhere: a trie of 64-way bitmap pages
//! over keys.
//!
//! A key is a price in ticks that is ordered so that smaller is better. Six bits of it choose a
//! place in a page; a page at height 0 (a leaf) holds levels, one above holds pages. The root is
//! the lowest page that covers all levels, so a book whose prices lie close together is one or two
//! pages high whatever its prices are, and a far price only stacks pages on top:
//!
//! ```text
//!  key          | prefix, the same for all | 6 bits | 6 bits |
//!                                             root     leaf    -> level
//! ```
//!
//! The work of every operation is bounded by the height, at most [`HEIGHT_MAX`] pages, whatever
//! the book holds. The leaves used lately are remembered: work near the touch walks nowhere.

use super::NIL;
use crate::memory::touch_reserved;

/// Bits of a key that a page resolves.
const BITS: u32 = 6;
/// Pages from the root to a leaf at most: keys have 36 bits.
const HEIGHT_MAX: usize = 6;

/// Pages of the indexes of all books.
#[derive(Debug)]
pub(super) struct Pages {
    /// Bit `i` of a page: place `i` is taken.
    bitmaps: Vec<u64>,
    /// Levels of a leaf, pages of any other page.
    places: Vec<[u32; 64]>,
    /// The page above each; above a root, none; of a free page, the next free one.
    parents: Vec<u32>,
    free: u32,
}

impl Pages {
    /// Pages for `orders_max` orders. Books rarely need a page for every four orders; where they
    /// do, the pool grows by [`Pages::CHUNK`].
    pub(super) fn new(orders_max: u32) -> Self {
        let room = orders_max as usize / 4 + Self::CHUNK;
        Self {
            bitmaps: Vec::with_capacity(room),
            places: Vec::with_capacity(room),
            parents: Vec::with_capacity(room),
            free: NIL,
        }
    }

    /// Pages by which the pool grows.
    const CHUNK: usize = 1024;

    /// An empty page below another.
    #[inline]
    fn open(&mut self, parent: u32) -> u32 {
        let page = self.free;
        if page == NIL {
            return self.open_another(parent);
        }
        self.free = std::mem::replace(&mut self.parents[page as usize], parent);
        page
    }

    /// An empty page that was never used.
    #[cold]
    fn open_another(&mut self, parent: u32) -> u32 {
        if self.bitmaps.len() == self.bitmaps.capacity() {
            self.bitmaps.reserve_exact(Self::CHUNK);
            self.places.reserve_exact(Self::CHUNK);
            self.parents.reserve_exact(Self::CHUNK);
        }
        self.bitmaps.push(0);
        self.places.push([NIL; 64]);
        self.parents.push(parent);
        self.bitmaps.len() as u32 - 1
    }

    /// Frees an empty page and returns the one above it.
    #[inline]
    fn close(&mut self, page: u32) -> u32 {
        assert!(self.bitmaps[page as usize] == 0);
        let parent = std::mem::replace(&mut self.parents[page as usize], self.free);
        self.free = page;
        parent
    }

    #[inline]
    fn get(&self, page: u32, place: usize) -> Option<u32> {
        let taken = self.bitmaps[page as usize] >> place & 1 == 1;
        taken.then(|| self.places[page as usize][place & 63])
    }

    #[inline]
    fn set(&mut self, page: u32, place: usize, to: u32) {
        self.bitmaps[page as usize] |= 1 << place;
        self.places[page as usize][place & 63] = to;
    }

    /// Clears a place that is taken and returns whether the page is now empty.
    #[inline]
    fn clear(&mut self, page: u32, place: usize) -> bool {
        let bitmap = &mut self.bitmaps[page as usize];
        assert!(*bitmap >> place & 1 == 1, "a place of the index is cleared twice");
        *bitmap &= !(1 << place);
        *bitmap == 0
    }

    /// Pages that are free.
    #[cfg(test)]
    fn free_count(&self) -> usize {
        let first = (self.free != NIL).then_some(self.free);
        let next = |&page: &u32| Some(self.parents[page as usize]).filter(|&next| next != NIL);
        std::iter::successors(first, next).count()
    }

    /// Whether no page is used.
    #[cfg(test)]
    pub(super) fn are_all_free(&self) -> bool {
        self.free_count() == self.bitmaps.len()
    }

    /// Touches the memory that is reserved.
    pub(super) fn touch_memory(&mut self) {
        touch_reserved(&mut self.bitmaps, 0);
        touch_reserved(&mut self.places, [NIL; 64]);
        touch_reserved(&mut self.parents, NIL);
    }

    /// Bytes reserved.
    pub(super) fn memory_bytes(&self) -> usize {
        const PAGE: usize = size_of::<u64>() + size_of::<[u32; 64]>() + size_of::<u32>();
        self.bitmaps.capacity() * PAGE
    }
}

/// Leaves that an index remembers: a thousand ticks around the touch, in four cache lines.
const LEAVES: usize = 16;

/// A leaf and the part of the key above it.
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
    /// Height of the root.
    height: u32,
    /// The part of the key above the root, the same for all levels.
    prefix: u64,
    /// Leaves that were used lately, each at the place that the low bits of its prefix choose.
    leaves: [Leaf; LEAVES],
}

impl Trie {
    /// A trie without levels.
    pub(super) const EMPTY: Self =
        Self { root: NIL, height: 0, prefix: 0, leaves: [Leaf::NONE; LEAVES] };

    /// The level at a key; where there is none, the one that `open` makes.
    #[inline]
    pub(super) fn find_or_insert(
        &mut self,
        pages: &mut Pages,
        key: u64,
        open: impl FnOnce() -> u32,
    ) -> u32 {
        let leaf = self.leaves[leaf_at(key)];
        let leaf = if leaf.prefix == key >> BITS { leaf.page } else { self.make_leaf(pages, key) };
        pages.get(leaf, place(key, 0)).unwrap_or_else(|| {
            let level = open();
            pages.set(leaf, place(key, 0), level);
            level
        })
    }

    /// The level at a key.
    #[inline]
    pub(super) fn look_up(&self, pages: &Pages, key: u64) -> Option<u32> {
        pages.get(self.look_up_leaf(pages, key)?, place(key, 0))
    }

    /// The leaf of a key, if there is one.
    #[inline]
    fn look_up_leaf(&self, pages: &Pages, key: u64) -> Option<u32> {
        let leaf = self.leaves[leaf_at(key)];
        if leaf.prefix == key >> BITS {
            return Some(leaf.page);
        }
        if self.root == NIL || key >> shift(self.height + 1) != self.prefix {
            return None;
        }
        let mut page = self.root;
        for height in (1..=self.height).rev() {
            page = pages.get(page, place(key, height))?;
        }
        Some(page)
    }

    /// Removes the level at a key that has one. If that is the first key, returns the level and the
    /// key that are first now.
    #[inline]
    pub(super) fn remove(
        &mut self,
        pages: &mut Pages,
        key: u64,
        is_first: bool,
    ) -> Option<(u32, u64)> {
        let leaf = self.look_up_leaf(pages, key).expect("a level is in the index of its side");
        self.leaves[leaf_at(key)] = Leaf { prefix: key >> BITS, page: leaf };
        // All other keys are larger: what is left of the lowest page comes first.
        if !pages.clear(leaf, place(key, 0)) {
            return if is_first { first(pages, (leaf, 0, key >> BITS)) } else { None };
        }
        let rest = self.prune(pages, leaf, key);
        if is_first { first(pages, rest) } else { None }
    }

    /// The best level whose key is above `key`.
    pub(super) fn next_after(&self, pages: &Pages, key: u64) -> Option<u32> {
        if self.root == NIL {
            return None;
        }
        let mut path = [NIL; HEIGHT_MAX];
        let reached = self.walk(pages, key, &mut path);
        for height in reached..=self.height {
            let page = path[height as usize];
            let above = pages.bitmaps[page as usize] & (!1 << place(key, height));
            if above != 0 {
                let at = above.trailing_zeros() as usize;
                let next = pages.places[page as usize][at];
                return Some(if height == 0 {
                    next
                } else {
                    first(pages, (next, height - 1, 0))?.0
                });
            }
        }
        None
    }

    /// The leaf of a key, made where there is none, and remembered.
    #[inline(never)]
    fn make_leaf(&mut self, pages: &mut Pages, key: u64) -> u32 {
        if self.root == NIL {
            (self.root, self.height, self.prefix) = (pages.open(NIL), 0, key >> BITS);
        }
        while key >> shift(self.height + 1) != self.prefix {
            let root = pages.open(NIL);
            pages.set(root, (self.prefix & 63) as usize, self.root);
            pages.parents[self.root as usize] = root;
            (self.root, self.height, self.prefix) = (root, self.height + 1, self.prefix >> BITS);
        }
        let mut page = self.root;
        for height in (1..=self.height).rev() {
            let at = place(key, height);
            page = pages.get(page, at).unwrap_or_else(|| {
                let child = pages.open(page);
                pages.set(page, at, child);
                child
            });
        }
        self.leaves[leaf_at(key)] = Leaf { prefix: key >> BITS, page };
        page
    }

    /// Frees the leaf of `key`, which is empty, and every page that is left without places; then
    /// lowers the root to the lowest page that covers what is left. Returns the lowest page that
    /// was above the leaf and is left, its height and the part of its keys above it.
    #[inline(never)]
    fn prune(&mut self, pages: &mut Pages, leaf: u32, key: u64) -> (u32, u32, u64) {
        self.leaves[leaf_at(key)] = Leaf::NONE;
        let (mut page, mut height) = (leaf, 0);
        loop {
            page = pages.close(page);
            height += 1;
            if page == NIL {
                *self = Self::EMPTY;
                return (NIL, 0, 0);
            }
            if !pages.clear(page, place(key, height)) {
                break;
            }
        }
        if page != self.root || !pages.bitmaps[page as usize].is_power_of_two() {
            return (page, height, key >> shift(height + 1));
        }
        while self.height > 0 && pages.bitmaps[self.root as usize].is_power_of_two() {
            let old = self.root;
            let at = pages.bitmaps[old as usize].trailing_zeros() as usize;
            self.root = pages.places[old as usize][at];
            (self.height, self.prefix) = (self.height - 1, self.prefix << BITS | at as u64);
            pages.parents[self.root as usize] = NIL;
            pages.clear(old, at);
            pages.close(old);
        }
        (self.root, self.height, self.prefix)
    }

    /// Pages on the way to a key, by height, and the lowest height that there is.
    fn walk(&self, pages: &Pages, key: u64, path: &mut [u32; HEIGHT_MAX]) -> u32 {
        let mut page = self.root;
        for height in (0..=self.height).rev() {
            path[height as usize] = page;
            match pages.get(page, place(key, height)) {
                Some(next) if height > 0 => page = next,
                _ => return height,
            }
        }
        0
    }
}

/// The first level below a page, and its key; none below no page.
#[inline]
fn first(pages: &Pages, from: (u32, u32, u64)) -> Option<(u32, u64)> {
    let (mut page, height, mut key) = from;
    if page == NIL {
        return None;
    }
    for _ in 0..=height {
        let at = pages.bitmaps[page as usize].trailing_zeros() as usize;
        page = pages.places[page as usize][at & 63];
        key = key << BITS | at as u64;
    }
    Some((page, key))
}

/// Bits of a key below a page of this height.
#[inline]
fn shift(height: u32) -> u32 {
    BITS * height
}

/// The place of a key in a page of this height.
#[inline]
fn place(key: u64, height: u32) -> usize {
    (key >> shift(height) & 63) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::TICKS_MAX;

    const KEY_MAX: u64 = TICKS_MAX as u64;

    /// The next number of a sequence, well mixed.
    fn next(random: &mut u64) -> u64 {
        *random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        *random >> 20
    }

    #[test]
    fn pages_are_bounded_and_all_come_back() {
        const LEVELS: usize = 100_000;
        let (mut pages, mut index) = (Pages::new(LEVELS as u32), Trie::EMPTY);
        let mut most = Vec::new();
        for _ in 0..2 {
            let (mut random, mut keys) = (7, Vec::new());
            while keys.len() < LEVELS {
                let key = next(&mut random) & KEY_MAX;
                let level = keys.len() as u32;
                if index.look_up(&pages, key).is_none() {
                    assert_eq!(index.find_or_insert(&mut pages, key, || level), level);
                    keys.push(key);
                }
            }
            most.push(pages.bitmaps.len() - pages.free_count());
            while !keys.is_empty() {
                let at = next(&mut random) as usize % keys.len();
                index.remove(&mut pages, keys.swap_remove(at), false);
            }
            assert!(pages.are_all_free(), "pages leak");
        }
        assert_eq!((most[0], pages.bitmaps.len()), (most[1], most[0]), "a round needs more");
        assert!(most[0] <= LEVELS * HEIGHT_MAX);
    }

    #[test]
    fn extreme_keys_in_turn_stack_no_more_than_a_path_each() {
        let (mut pages, mut index) = (Pages::new(1), Trie::EMPTY);
        for stays in [0, KEY_MAX / 2, KEY_MAX] {
            index.find_or_insert(&mut pages, stays, || 1);
            for _ in 0..100 {
                for key in [0, KEY_MAX].into_iter().filter(|&key| key != stays) {
                    index.find_or_insert(&mut pages, key, || 2);
                    assert_eq!(pages.bitmaps.len() - pages.free_count(), 2 * HEIGHT_MAX - 1);
                    index.remove(&mut pages, key, false);
                    assert_eq!(pages.bitmaps.len() - pages.free_count(), 1);
                }
            }
            index.remove(&mut pages, stays, false);
        }
        assert_eq!((index.root, pages.bitmaps.len()), (NIL, 2 * HEIGHT_MAX - 1));
    }
}
