//! The way of reports from the thread that matches to the one that publishes them.
//!
//! One thread pushes, one drains. What such a ring costs is lines of the cache that change hands:
//!
//! - A report takes 16 bytes where its ids and its price leave that room, and up to 48 else, within
//!   one chunk of 4 KiB.
//! - Reports are written past the caches of the pushing thread, which never reads them: it doesn't
//!   wait until a line that the drain has read is its own again.
//! - They are shown to the drain a chunk at a time, and the drain's progress is asked for once a chunk.
//!   A chunk that was drained is used again next; new ones are touched only when the drain falls behind.
//! - Who finds nothing takes a breath before it looks again: whoever looks at a position all the time
//!   keeps its owner from writing it.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Words of an entry.
const ENTRY_WORDS: usize = 2;
/// Entries of a chunk, and those that are shown together, at the latest.
const CHUNK_ENTRIES: usize = 256;
/// Pauses of the processor after a look that found nothing, about a microsecond.
const PAUSES: u32 = 64;

/// Codes of reports are below this.
pub const CODES: u8 = 1 << 6;
/// Bit of the first word: another entry follows, with the maker.
const HAS_MAKER: u64 = 1 << 6;
/// Bit of the first word: ids and price follow in entries of their own.
const IS_WIDE: u64 = 1 << 7;
/// Where the price begins in the first word of a report that is not wide, and where it ends.
const TICKS_AT: u32 = 8;
const QTY_AT: u32 = 32;
/// First word of a place that holds no entry; a report that is wide has no price there.
const SKIPPED: u64 = u64::MAX;

/// A report. It travels in one of three forms:
///
/// ```text
/// entry 1   0 code   8 price   32 quantity | 0 sequence   32 order
/// entry 1   the same, with a bit           | the same
/// entry 2   maker                          | 0
///
/// entry 1   0 code             32 quantity | 0
/// entry 2   sequence                       | order
/// entry 3   price                          | maker
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it says, below [`CODES`]; only its user understands it.
    pub code: u8,
    /// Quantity.
    pub qty: u32,
    /// Number of the message that it answers.
    pub sequence: u64,
    /// The order that it is about.
    pub order: u64,
    /// Price in ticks.
    pub ticks: u64,
    /// The other order of a trade.
    pub maker: Option<u64>,
}

/// An entry.
type Entry = [u64; ENTRY_WORDS];

type Chunk = [[AtomicU64; ENTRY_WORDS]; CHUNK_ENTRIES];

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
    /// Room for at least `reports` reports of the longest form.
    pub fn new(reports: usize) -> Self {
        // One chunk is being written, one being drained.
        let count = (3 * reports).div_ceil(CHUNK_ENTRIES).next_power_of_two() + 2;
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

/// Stores a word that this processor will not read again, and another will: past its own caches, so
/// that it doesn't wait until the line is its own. Others see it after [`end_stores_past_caches`].
#[inline(always)]
fn store_past_caches(word: &AtomicU64, value: u64) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: the place is that of the word, and every processor of this architecture has SSE2.
    // Nobody else reads or writes the word before it is shown, and a fence comes before that.
    unsafe {
        std::arch::x86_64::_mm_stream_si64(word.as_ptr().cast(), value as i64);
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    word.store(value, Ordering::Relaxed);
}

/// Lets what comes next wait for [stores past the caches](store_past_caches).
#[inline(always)]
fn end_stores_past_caches() {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a fence, which every processor of this architecture has.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

/// Takes a breath after a look that found nothing.
fn pause() {
    (0..PAUSES).for_each(|_| std::hint::spin_loop());
}

/// The pushing end. There is one.
#[derive(Debug)]
pub struct Producer {
    /// Places used before the chunk being written.
    before: u64,
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
            before: 0,
            chunk: 0,
            at: 0,
            reclaimed: 0,
            free: Vec::with_capacity(ring.chunks.len()),
            touched: 1,
        }
    }

    /// Pushes into the ring that this is the end of.
    #[inline(always)]
    pub fn pusher<'a>(&'a mut self, ring: &'a ReportRing) -> Pusher<'a> {
        let place = Place { chunk: &ring.chunks[self.chunk as usize], at: self.at };
        Pusher { ring, place, producer: self }
    }

    #[inline(always)]
    fn put<'a, const N: usize>(
        &mut self,
        ring: &'a ReportRing,
        mut place: Place<'a>,
        report: [Entry; N],
    ) -> Place<'a> {
        if place.at > CHUNK_ENTRIES - N {
            place = self.leave_chunk(ring, place);
        }
        let entries = place.chunk[place.at..].first_chunk::<N>().expect("there is room");
        for (words, values) in entries.iter().zip(report) {
            for (word, value) in words.iter().zip(values) {
                store_past_caches(word, value);
            }
        }
        Place { at: place.at + N, ..place }
    }

    #[cold]
    #[inline(never)]
    fn put_wide<'a>(
        &mut self,
        ring: &'a ReportRing,
        place: Place<'a>,
        report: [Entry; 3],
    ) -> Place<'a> {
        self.put(ring, place, report)
    }

    /// Shows the drain everything that was pushed.
    #[inline]
    fn show(&mut self, ring: &ReportRing) {
        end_stores_past_caches();
        ring.shown.0.store(self.before + self.at as u64, Ordering::Release);
    }

    /// Shows what was pushed, and goes on in another chunk; places that are left in this one are marked
    /// as skipped.
    #[inline(never)]
    fn leave_chunk<'a>(&mut self, ring: &'a ReportRing, place: Place<'a>) -> Place<'a> {
        for words in &place.chunk[place.at..] {
            store_past_caches(&words[0], SKIPPED);
        }
        self.before += CHUNK_ENTRIES as u64;
        self.at = 0;
        self.show(ring);
        let stretch = self.before / CHUNK_ENTRIES as u64;
        self.chunk = self.take_chunk(ring, stretch);
        // The drain asks for it when it is shown an entry there, which is later.
        ring.order_at(stretch).store(self.chunk, Ordering::Relaxed);
        Place { chunk: &ring.chunks[self.chunk as usize], at: 0 }
    }

    fn take_chunk(&mut self, ring: &ReportRing, stretch: u64) -> u32 {
        loop {
            let drained = ring.drained.0.load(Ordering::Acquire) / CHUNK_ENTRIES as u64;
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
            pause();
        }
    }
}

/// Pushes reports. What was pushed is shown to the drain with its chunk, and the rest when this goes.
#[derive(Debug)]
pub struct Pusher<'a> {
    ring: &'a ReportRing,
    producer: &'a mut Producer,
    place: Place<'a>,
}

/// The chunk being written, and the next place in it. It is given and returned by value where the
/// call is rare, so that it can stay in registers.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    chunk: &'a Chunk,
    at: usize,
}

impl<'a> Pusher<'a> {
    /// Pushes a report. Waits for the drain when there is no room.
    ///
    /// # Panics
    /// When its code is not below [`CODES`].
    #[inline(always)]
    pub fn push(&mut self, report: Report) {
        let Report { code, qty, sequence, order, ticks, maker } = report;
        assert!(code < CODES, "code {code}");
        let first = u64::from(code) | u64::from(qty) << QTY_AT;
        let is_wide = (sequence | order) >> 32 != 0 || ticks >> (QTY_AT - TICKS_AT) != 0;
        if is_wide {
            let maker_bit = if maker.is_some() { HAS_MAKER } else { 0 };
            let rest = [[sequence, order], [ticks, maker.unwrap_or(0)]];
            let report = [[first | maker_bit | IS_WIDE, 0], rest[0], rest[1]];
            self.place = self.producer.put_wide(self.ring, self.place, report);
            return;
        }
        let (first, ids) = (first | ticks << TICKS_AT, sequence | order << 32);
        self.place = match maker {
            None => self.producer.put(self.ring, self.place, [[first, ids]]),
            Some(maker) => {
                let report = [[first | HAS_MAKER, ids], [maker, 0]];
                self.producer.put(self.ring, self.place, report)
            }
        };
    }
}

impl Drop for Pusher<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.producer.at = self.place.at;
        self.producer.show(self.ring);
    }
}

/// The draining end. There is one.
#[derive(Debug, Default)]
pub struct Consumer {
    drained: u64,
    chunk: u32,
}

impl Consumer {
    /// Gives reports to `take` until there is no other or `take` wants no more; a report that it
    /// doesn't want stays. Takes its time where there is none.
    #[inline]
    pub fn drain(&mut self, ring: &ReportRing, mut take: impl FnMut(Report) -> bool) {
        let shown = ring.shown.0.load(Ordering::Acquire);
        let before = self.drained;
        if shown == before {
            return pause();
        }
        while self.drained < shown {
            let at = self.drained as usize % CHUNK_ENTRIES;
            if at == 0 {
                let stretch = self.drained / CHUNK_ENTRIES as u64;
                self.chunk = ring.order_at(stretch).load(Ordering::Relaxed);
            }
            let places = &ring.chunks[self.chunk as usize][at..];
            let entry = |number: usize| -> Entry {
                std::array::from_fn(|word| places[number][word].load(Ordering::Relaxed))
            };
            let [first, ids] = entry(0);
            if first == SKIPPED {
                self.drained += 1;
                continue;
            }
            let mut report = Report {
                code: first as u8 & (CODES - 1),
                qty: (first >> QTY_AT) as u32,
                sequence: ids & u64::from(u32::MAX),
                order: ids >> 32,
                ticks: first >> TICKS_AT & ((1 << (QTY_AT - TICKS_AT)) - 1),
                maker: None,
            };
            let (mut entries, has_maker) = (1, first & HAS_MAKER != 0);
            if first & IS_WIDE != 0 {
                [report.sequence, report.order] = entry(1);
                let [ticks, maker] = entry(2);
                (report.ticks, report.maker) = (ticks, has_maker.then_some(maker));
                entries = 3;
            } else if has_maker {
                report.maker = Some(entry(1)[0]);
                entries = 2;
            }
            if !take(report) {
                break;
            }
            self.drained += entries;
        }
        if self.drained != before {
            ring.drained.0.store(self.drained, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports of all three forms, at the bounds of each field and within.
    fn report(number: u64) -> Report {
        let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let edge = |bits: u32, wide: u64| match random >> 60 {
            0 => (1 << bits) - 1,
            1 => 1 << bits,
            2 => wide,
            _ => number & ((1 << bits) - 1),
        };
        Report {
            code: (number % u64::from(CODES)) as u8,
            qty: if number.is_multiple_of(5) { u32::MAX } else { number as u32 },
            sequence: if number.is_multiple_of(3) { edge(32, u64::MAX) } else { number },
            order: if number % 3 == 1 { edge(32, u64::MAX) } else { !number & 0xffff },
            ticks: if number % 3 == 2 { edge(24, u64::MAX) } else { number % 1_000 },
            maker: (random >> 32 & 1 == 1).then_some(random),
        }
    }

    #[test]
    fn carries_everything_in_order_between_two_threads() {
        let ring = ReportRing::new(1_000);
        let count = 300_000u64;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut producer = Producer::new(&ring);
                let mut pusher = producer.pusher(&ring);
                for number in 0..count {
                    pusher.push(report(number));
                    // Now and then it is let go, and what was pushed is shown.
                    if number.is_multiple_of(1_009) {
                        drop(pusher);
                        pusher = producer.pusher(&ring);
                    }
                }
            });
            let (mut consumer, mut next) = (Consumer::default(), 0);
            // Told at the end: the other thread waits for room as long as there is none.
            let mut first_wrong = None;
            while next < count {
                // Now and then it wants only a few.
                let wanted = if next.is_multiple_of(7) { 3 } else { 1_000 };
                let mut taken = 0;
                consumer.drain(&ring, |found| {
                    if taken == wanted {
                        return false;
                    }
                    if found != report(next) {
                        first_wrong.get_or_insert((found, report(next)));
                    }
                    next += 1;
                    taken += 1;
                    true
                });
                if taken == 0 {
                    std::thread::yield_now();
                }
            }
            assert_eq!(first_wrong, None, "found and pushed");
        });
    }

    #[test]
    fn a_chunk_that_was_drained_is_used_next() {
        let ring = ReportRing::new(100_000);
        let (mut producer, mut consumer) = (Producer::new(&ring), Consumer::default());
        for number in 0..100 * CHUNK_ENTRIES as u64 {
            producer.pusher(&ring).push(report(number));
            consumer.drain(&ring, |_| true);
        }
        assert!(producer.touched <= 3, "{} chunks", producer.touched);
    }
}
