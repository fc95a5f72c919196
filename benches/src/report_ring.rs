//! The way of reports from the thread that matches to the one that publishes them.
//!
//! One thread pushes, one drains. Entries are 32 bytes; a report takes one or more, which are shown
//! to the drain together and lie in one chunk. Chunks have 4 KiB; a chunk that was drained is used again next, while it is still in the caches,
//! and new ones are touched only when the drain falls behind. What was pushed is shown to the drain
//! a batch at a time, and the drain's progress is asked for once a chunk: a position changes hands
//! that rarely because each change costs both processors a cache miss.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Words of an entry.
const ENTRY_WORDS: usize = 4;
/// Entries of a chunk.
const CHUNK_ENTRIES: u64 = 128;
/// Entries after which a batch is shown, at the latest.
const BATCH_ENTRIES: u64 = 32;

/// First word of a place that holds no entry.
const SKIPPED: u64 = u64::MAX;

/// An entry: four words. The first must not be [`u64::MAX`]; else only their user understands them.
pub type Entry = [u64; ENTRY_WORDS];

type Chunk = [[AtomicU64; ENTRY_WORDS]; CHUNK_ENTRIES as usize];

/// A position of its own cache lines (the processor fetches lines in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Position(AtomicU64);

/// What both ends share.
#[derive(Debug)]
pub struct ReportRing {
    chunks: Vec<Chunk>,
    /// Chunk of each stretch of positions, by stretch modulo the number of chunks.
    order: Vec<AtomicU32>,
    /// Entries shown to the drain.
    shown: Position,
    /// Entries drained.
    drained: Position,
}

impl ReportRing {
    /// Room for at least `entries` entries.
    pub fn new(entries: usize) -> Self {
        // One chunk is being written, one being drained.
        let count = entries.div_ceil(CHUNK_ENTRIES as usize).next_power_of_two() + 2;
        let chunk = || std::array::from_fn(|_| [const { AtomicU64::new(0) }; ENTRY_WORDS]);
        Self {
            chunks: (0..count).map(|_| chunk()).collect(),
            order: (0..count).map(|_| AtomicU32::new(0)).collect(),
            shown: Position::default(),
            drained: Position::default(),
        }
    }

    fn order_at(&self, stretch: u64) -> &AtomicU32 {
        &self.order[(stretch % self.order.len() as u64) as usize]
    }
}

/// The pushing end. There is one.
#[derive(Debug)]
pub struct Producer {
    /// Places used.
    pushed: u64,
    /// Entries shown.
    shown: u64,
    /// Chunk being written.
    chunk: u32,
    /// Next place in it.
    at: usize,
    /// Stretches whose chunks were taken back.
    reclaimed: u64,
    /// Chunks that were used and are free; the last one freed is used first.
    free: Vec<u32>,
    /// Chunks ever used.
    touched: u32,
}

impl Producer {
    /// The pushing end of a new ring.
    pub fn new(ring: &ReportRing) -> Self {
        ring.order_at(0).store(0, Ordering::Relaxed);
        Self {
            pushed: 0,
            shown: 0,
            chunk: 0,
            at: 0,
            reclaimed: 0,
            free: Vec::with_capacity(ring.chunks.len()),
            touched: 1,
        }
    }

    /// Pushes a report of `N` entries. Waits for the drain when there is no room.
    #[inline(always)]
    pub fn push<const N: usize>(&mut self, ring: &ReportRing, report: [Entry; N]) {
        if self.at + N > CHUNK_ENTRIES as usize {
            self.leave_chunk(ring);
        }
        let chunk = &ring.chunks[self.chunk as usize];
        for (place, entry) in chunk[self.at..self.at + N].iter().zip(report) {
            for (word, value) in place.iter().zip(entry) {
                word.store(value, Ordering::Relaxed);
            }
        }
        self.at += N;
        self.pushed += N as u64;
        if self.pushed - self.shown >= BATCH_ENTRIES {
            self.show(ring);
        }
    }

    /// Shows the drain everything that was pushed.
    #[inline]
    pub fn show(&mut self, ring: &ReportRing) {
        self.shown = self.pushed;
        ring.shown.0.store(self.shown, Ordering::Release);
    }

    /// Goes on in another chunk; places that are left in this one are marked as skipped.
    #[inline(never)]
    fn leave_chunk(&mut self, ring: &ReportRing) {
        for place in &ring.chunks[self.chunk as usize][self.at..] {
            place[0].store(SKIPPED, Ordering::Relaxed);
            self.pushed += 1;
        }
        // The drain needs to know the next chunk before it can leave this one.
        let stretch = self.pushed / CHUNK_ENTRIES;
        self.chunk = self.take_chunk(ring, stretch);
        self.at = 0;
        ring.order_at(stretch).store(self.chunk, Ordering::Relaxed);
        self.show(ring);
    }

    fn take_chunk(&mut self, ring: &ReportRing, stretch: u64) -> u32 {
        loop {
            let drained = ring.drained.0.load(Ordering::Acquire) / CHUNK_ENTRIES;
            while self.reclaimed < drained.min(stretch) {
                self.free.push(ring.order_at(self.reclaimed).load(Ordering::Relaxed));
                self.reclaimed += 1;
            }
            if let Some(chunk) = self.free.pop() {
                return chunk;
            }
            if (self.touched as usize) < ring.chunks.len() {
                self.touched += 1;
                return self.touched - 1;
            }
            self.show(ring);
            std::hint::spin_loop();
        }
    }
}

/// The draining end. There is one.
#[derive(Debug, Default)]
pub struct Consumer {
    drained: u64,
    chunk: u32,
}

impl Consumer {
    /// Gives entries to `take` until there is no other or `take` wants no more; an entry that it
    /// doesn't want stays.
    #[inline]
    pub fn drain(&mut self, ring: &ReportRing, mut take: impl FnMut(Entry) -> bool) {
        let shown = ring.shown.0.load(Ordering::Acquire);
        let before = self.drained;
        while self.drained < shown {
            let at = self.drained % CHUNK_ENTRIES;
            if at == 0 {
                let stretch = self.drained / CHUNK_ENTRIES;
                self.chunk = ring.order_at(stretch).load(Ordering::Relaxed);
            }
            let place = &ring.chunks[self.chunk as usize][at as usize];
            let entry: Entry = std::array::from_fn(|word| place[word].load(Ordering::Relaxed));
            if entry[0] != SKIPPED && !take(entry) {
                break;
            }
            self.drained += 1;
        }
        if self.drained != before {
            ring.drained.0.store(self.drained, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_everything_in_order_between_two_threads() {
        let ring = ReportRing::new(1_000);
        let count = 300_000u64;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut producer = Producer::new(&ring);
                for number in (0..count).step_by(3) {
                    let entry = |number: u64| [number, !number, number * 3, 7];
                    producer.push(&ring, [entry(number)]);
                    producer.push(&ring, [entry(number + 1), entry(number + 2)]);
                }
                producer.show(&ring);
            });
            let (mut consumer, mut next) = (Consumer::default(), 0);
            while next < count {
                // Now and then it wants only a few.
                let wanted = if next.is_multiple_of(7) { 3 } else { 1_000 };
                let mut taken = 0;
                consumer.drain(&ring, |entry| {
                    if taken == wanted {
                        return false;
                    }
                    assert_eq!(entry, [next, !next, next * 3, 7]);
                    next += 1;
                    taken += 1;
                    true
                });
                if taken == 0 {
                    std::thread::yield_now();
                }
            }
        });
    }

    #[test]
    fn a_chunk_that_was_drained_is_used_next() {
        let ring = ReportRing::new(100_000);
        let (mut producer, mut consumer) = (Producer::new(&ring), Consumer::default());
        for number in 0..100 * CHUNK_ENTRIES {
            producer.push(&ring, [[number; 4]]);
            consumer.drain(&ring, |_| true);
        }
        assert!(producer.touched <= 3, "{} chunks", producer.touched);
    }
}
