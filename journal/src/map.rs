//! A mapped segment: the one module with unsafe code.
//!
//! What makes it sound, for every map of one file:
//! - one [`Writer`](crate::Writer) stores; the directory's lock keeps other processes from it;
//! - a frame's first word is only touched atomically, and published with release after the rest;
//! - bytes behind a published word never change again, so slices of them may be handed out;
//! - files keep their length while mapped: recovery sets it before, nothing shortens them later.
//!
//! The last is a promise of the directory, not of the kernel: somebody who truncates a segment
//! under a running process kills it with SIGBUS.

use std::fs::File;
use std::io;
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{Advice, MmapMut, MmapOptions, MmapRaw};

use crate::format::{EPOCH_OFFSET, FRAME_HEADER_BYTES, HEADER_BYTES};

pub(crate) const PAGE_BYTES: usize = 4096;

/// A segment in memory.
pub struct Map {
    /// Start and length of the memory that `backing` keeps. It starts on a page.
    base: *mut u8,
    len: usize,
    /// False: a store would be a fault, so it panics instead.
    writable: bool,
    backing: Backing,
}

// SAFETY: the memory belongs to the map; what threads may do with it at a time stands above.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

/// What the memory of a map is. Of no interest to appends, commits and loads.
enum Backing {
    File(MmapRaw),
    Simulated { _memory: Arc<Memory>, pages: Arc<dyn SimulatedPages> },
}

/// Takes the kernel's part for a map of [`Memory`].
pub(crate) trait SimulatedPages: Send + Sync {
    /// The pages from byte `from` to byte `to` are made present, writable and dirty.
    fn populate(&self, from: usize, to: usize) -> io::Result<()>;

    /// The pages before byte `to` are made durable.
    fn sync(&self, to: usize) -> io::Result<()>;
}

impl Map {
    pub(crate) fn writable(file: &File, len: usize) -> io::Result<Map> {
        check_len(file.metadata()?.len(), len)?;
        Ok(Map::of_file(MmapOptions::new().len(len).map_raw(file)?, true))
    }

    pub(crate) fn read_only(file: &File, len: usize) -> io::Result<Map> {
        check_len(file.metadata()?.len(), len)?;
        Ok(Map::of_file(MmapOptions::new().len(len).map_raw_read_only(file)?, false))
    }

    fn of_file(raw: MmapRaw, writable: bool) -> Map {
        assert!(raw.len() >= HEADER_BYTES);
        Map { base: raw.as_mut_ptr(), len: raw.len(), writable, backing: Backing::File(raw) }
    }

    /// A map of the first `len` bytes of a simulated page cache.
    pub(crate) fn simulated(
        memory: Arc<Memory>,
        len: usize,
        pages: Arc<dyn SimulatedPages>,
        writable: bool,
    ) -> Map {
        assert!(len >= HEADER_BYTES && len <= memory.0.len());
        let base = memory.0.as_mut_ptr();
        Map { base, len, writable, backing: Backing::Simulated { _memory: memory, pages } }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Makes every page present and writable, so that no append takes a page fault.
    pub(crate) fn populate(&self, from: usize, to: usize) -> io::Result<()> {
        assert!(self.writable && from <= to && to <= self.len());
        let from = from / PAGE_BYTES * PAGE_BYTES;
        let raw = match &self.backing {
            Backing::File(raw) => raw,
            Backing::Simulated { pages, .. } => return pages.populate(from, to),
        };
        match raw.advise_range(Advice::PopulateWrite, from, to - from) {
            // Kernels before 5.14 don't know the advice.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                for page in (from..to).step_by(PAGE_BYTES) {
                    self.word(page).fetch_add(0, Ordering::Relaxed);
                }
                Ok(())
            }
            done => done,
        }
    }

    /// Writes the dirty pages before `to` to the disk and waits for them.
    pub(crate) fn sync(&self, to: usize) -> io::Result<()> {
        match &self.backing {
            Backing::File(raw) => raw.flush_range(0, to),
            Backing::Simulated { pages, .. } => pages.sync(to),
        }
    }

    /// The word at `offset`; what was stored before it was published is visible afterwards.
    #[inline]
    pub(crate) fn load(&self, offset: usize) -> u64 {
        u64::from_le(self.word(offset).load(Ordering::Acquire))
    }

    /// Publishes the word at `offset` and everything stored before.
    #[inline]
    pub(crate) fn publish(&self, offset: usize, word: u64) {
        assert!(self.writable);
        self.word(offset).store(word.to_le(), Ordering::Release);
    }

    /// Stores a word that a later publication makes visible.
    #[inline]
    pub(crate) fn put_word(&self, offset: usize, word: u64) {
        assert!(self.writable);
        self.word(offset).store(word.to_le(), Ordering::Relaxed);
    }

    /// Stores `words` at `offset` and `payload` behind them. The caller is the writer, and
    /// nothing at or behind `offset` is published.
    #[inline]
    pub(crate) fn put_frame(&self, offset: usize, words: [u64; 4], payload: &[u8]) {
        assert!(self.writable && offset.is_multiple_of(8) && offset >= HEADER_BYTES);
        assert!(offset + FRAME_HEADER_BYTES + payload.len() <= self.len());
        for (i, word) in words.into_iter().enumerate() {
            // SAFETY: in bounds and aligned by the assertions (the map starts on a page).
            let slot = unsafe { &*self.base.add(offset + i * 8).cast::<AtomicU64>() };
            slot.store(word.to_le(), Ordering::Relaxed);
        }
        // SAFETY: in bounds by the assertion; no slice of these bytes exists, because the first
        // word of their group is not published; `payload` can't overlap a map no one else has as
        // `&mut`, and overlapping published bytes of the same map lie before `offset`.
        unsafe {
            let target = self.base.add(offset + FRAME_HEADER_BYTES);
            ptr::copy_nonoverlapping(payload.as_ptr(), target, payload.len());
        }
    }

    /// Stores the segment's header. The caller is the writer, and no frame of the segment is
    /// published.
    pub(crate) fn put_header(&self, header: &[u8]) {
        assert!(self.writable && header.len() <= HEADER_BYTES && header.len().is_multiple_of(8));
        for (i, bytes) in header.chunks_exact(8).enumerate() {
            let word = crate::format::read_u64(bytes, 0);
            self.word(i * 8).store(word.to_le(), Ordering::Release);
        }
    }

    /// Bytes of a published frame. The caller has loaded its first word, and reached `offset` from
    /// another frame, or checks what it got before it believes it.
    #[inline]
    pub(crate) fn bytes(&self, offset: usize, len: usize) -> &[u8] {
        assert!(offset <= self.len() && len <= self.len() - offset);
        // SAFETY: in bounds by the assertion; published bytes never change.
        unsafe { slice::from_raw_parts(self.base.add(offset), len) }
    }

    /// The epoch word. The place is known, so a look costs nothing but the load.
    #[inline]
    pub(crate) fn epoch_word(&self) -> u64 {
        // SAFETY: every map holds a header (asserted where it is made) and starts on a page; the
        // word is aligned and only touched atomically.
        let word = unsafe { &*self.base.add(EPOCH_OFFSET).cast::<AtomicU64>() };
        u64::from_le(word.load(Ordering::Acquire))
    }

    #[inline]
    fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len());
        // SAFETY: in bounds and aligned (the map starts on a page); words are only touched
        // atomically while they can change.
        unsafe { &*self.base.add(offset).cast::<AtomicU64>() }
    }
}

/// Memory that the maps of a simulated file share, as those of a real one share the page cache.
///
/// Sound because a simulation runs on one thread: nobody appends while bytes are copied.
pub(crate) struct Memory(MmapRaw);

impl Memory {
    /// Whole pages of zeros, at least `len` bytes.
    pub fn zeros(len: usize) -> io::Result<Memory> {
        let len = len.max(1).next_multiple_of(PAGE_BYTES);
        Ok(Memory(MmapMut::map_anon(len)?.into()))
    }

    /// Copies the bytes from `offset` on.
    pub fn read(&self, offset: usize, buffer: &mut [u8]) {
        assert!(offset <= self.0.len() && buffer.len() <= self.0.len() - offset);
        // SAFETY: in bounds by the assertion; `buffer` is not of this memory, of which nobody has
        // a `&mut`.
        unsafe {
            let source = self.0.as_ptr().add(offset);
            ptr::copy_nonoverlapping(source, buffer.as_mut_ptr(), buffer.len());
        }
    }

    /// Stores `bytes` from `offset` on. As with a file: never where published bytes are in use.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset <= self.0.len() && bytes.len() <= self.0.len() - offset);
        // SAFETY: in bounds by the assertion; no slice of these bytes is in use.
        unsafe {
            let target = self.0.as_mut_ptr().add(offset);
            ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
        }
    }
}

/// Refuses a file shorter than its map: touching the missing pages would be a SIGBUS.
pub(crate) fn check_len(found: u64, len: usize) -> io::Result<()> {
    if found == len as u64 {
        return Ok(());
    }
    let message = format!("file has {found} bytes, a segment {len}");
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}
