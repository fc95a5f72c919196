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
    /// Levels of a leaf, pages of any other page; of a free page, the next free one at place 0.
    places: Vec<[u32; 64]>,
    free: u32,
}

impl Pages {
    /// Pages for `orders_max` orders. Books rarely need a page for every four orders; where they
    /// do, the pool grows by [`Pages::CHUNK`].
    pub(super) fn new(orders_max: u32) -> Self {
        let room = orders_max as usize / 4 + Self::CHUNK;
        Self { bitmaps: Vec::with_capacity(room), places: Vec::with_capacity(room), free: NIL }
    }

    /// Pages by which the pool grows.
    const CHUNK: usize = 1024;

    /// An empty page.
    fn open(&mut self) -> u32 {
        if self.free != NIL {
            let page = self.free;
            self.free = self.places[page as usize][0];
            return page;
        }
        if self.bitmaps.len() == self.bitmaps.capacity() {
            self.bitmaps.reserve_exact(Self::CHUNK);
            self.places.reserve_exact(Self::CHUNK);
        }
        self.bitmaps.push(0);
        self.places.push([NIL; 64]);
        self.bitmaps.len() as u32 - 1
    }

    /// Frees an empty page.
    fn close(&mut self, page: u32) {
        assert!(self.bitmaps[page as usize] == 0);
        self.places[page as usize][0] = self.free;
        self.free = page;
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

    /// Clears a place and returns whether the page is now empty.
    #[inline]
    fn clear(&mut self, page: u32, place: usize) -> bool {
        let bitmap = &mut self.bitmaps[page as usize];
        *bitmap &= !(1 << place);
        *bitmap == 0
    }

    /// Pages that are free.
    #[cfg(test)]
    fn free_count(&self) -> usize {
        let first = (self.free != NIL).then_some(self.free);
        let next = |&page: &u32| Some(self.places[page as usize][0]).filter(|&next| next != NIL);
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
    }

    /// Bytes reserved.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bitmaps.capacity() * size_of::<u64>() + self.places.capacity() * size_of::<[u32; 64]>()
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

    /// The level at a key.
    #[inline]
    pub(super) fn find(&mut self, pages: &Pages, key: u64) -> Option<u32> {
        let leaf = self.find_leaf(pages, key)?;
        pages.get(leaf, place(key, 0))
    }

    /// The level at a key, without remembering the leaf.
    #[inline]
    pub(super) fn look_up(&self, pages: &Pages, key: u64) -> Option<u32> {
        pages.get(self.look_up_leaf(pages, key)?, place(key, 0))
    }

    /// The leaf of a key, without remembering it.
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

    /// Adds a level at a key that has none.
    #[inline]
    pub(super) fn insert(&mut self, pages: &mut Pages, key: u64, level: u32) {
        let leaf = match self.find_leaf(pages, key) {
            Some(leaf) => leaf,
            None => self.make_leaf(pages, key),
        };
        pages.set(leaf, place(key, 0), level);
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
        let leaf = self.find_leaf(pages, key).expect("a level is in the index of its side");
        let emptied = pages.clear(leaf, place(key, 0));
        if emptied {
            self.prune(pages, key);
        }
        match (is_first, emptied) {
            (false, _) => None,
            // All other keys are larger: what the leaf still holds comes first.
            (true, false) => first(pages, (leaf, 0, key >> BITS)),
            (true, true) => first(pages, (self.root, self.height, self.prefix)),
        }
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

    /// The leaf of a key, if there is one.
    #[inline]
    fn find_leaf(&mut self, pages: &Pages, key: u64) -> Option<u32> {
        let page = self.look_up_leaf(pages, key)?;
        self.leaves[leaf_at(key)] = Leaf { prefix: key >> BITS, page };
        Some(page)
    }

    /// Makes the leaf of a key that has none.
    fn make_leaf(&mut self, pages: &mut Pages, key: u64) -> u32 {
        if self.root == NIL {
            (self.root, self.height, self.prefix) = (pages.open(), 0, key >> BITS);
        }
        while key >> shift(self.height + 1) != self.prefix {
            let root = pages.open();
            pages.set(root, (self.prefix & 63) as usize, self.root);
            (self.root, self.height, self.prefix) = (root, self.height + 1, self.prefix >> BITS);
        }
        let mut page = self.root;
        for height in (1..=self.height).rev() {
            let at = place(key, height);
            page = pages.get(page, at).unwrap_or_else(|| {
                let child = pages.open();
                pages.set(page, at, child);
                child
            });
        }
        self.leaves[leaf_at(key)] = Leaf { prefix: key >> BITS, page };
        page
    }

    /// Frees the leaf of `key`, which is empty, and every page that is left without places; then
    /// lowers the root to the lowest page that covers what is left.
    fn prune(&mut self, pages: &mut Pages, key: u64) {
        self.leaves[leaf_at(key)] = Leaf::NONE;
        let mut path = [NIL; HEIGHT_MAX];
        let reached = self.walk(pages, key, &mut path);
        assert!(reached == 0);
        let mut height = 0;
        loop {
            pages.close(path[height as usize]);
            height += 1;
            if height > self.height {
                *self = Self::EMPTY;
                return;
            }
            if !pages.clear(path[height as usize], place(key, height)) {
                break;
            }
        }
        while self.height > 0 && pages.bitmaps[self.root as usize].is_power_of_two() {
            let old = self.root;
            let at = pages.bitmaps[old as usize].trailing_zeros() as usize;
            self.root = pages.places[old as usize][at];
            (self.height, self.prefix) = (self.height - 1, self.prefix << BITS | at as u64);
            pages.clear(old, at);
            pages.close(old);
        }
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
                if index.find(&pages, key).is_none() {
                    index.insert(&mut pages, key, keys.len() as u32);
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
            index.insert(&mut pages, stays, 1);
            for _ in 0..100 {
                for key in [0, KEY_MAX].into_iter().filter(|&key| key != stays) {
                    index.insert(&mut pages, key, 2);
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
