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
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{Advice, MmapOptions, MmapRaw};

use crate::format::{FRAME_HEADER_BYTES, HEADER_BYTES};

const PAGE_BYTES: usize = 4096;

pub(crate) struct Map {
    raw: MmapRaw,
    /// False: a store would be a fault, so it panics instead.
    writable: bool,
}

impl Map {
    pub fn writable(file: &File, len: usize) -> io::Result<Map> {
        assert!(len >= HEADER_BYTES);
        check_len(file, len)?;
        Ok(Map { raw: MmapOptions::new().len(len).map_raw(file)?, writable: true })
    }

    pub fn read_only(file: &File, len: usize) -> io::Result<Map> {
        assert!(len >= HEADER_BYTES);
        check_len(file, len)?;
        Ok(Map { raw: MmapOptions::new().len(len).map_raw_read_only(file)?, writable: false })
    }

    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Makes every page present and writable, so that no append takes a page fault.
    pub fn populate(&self, from: usize, to: usize) -> io::Result<()> {
        assert!(self.writable && from <= to && to <= self.len());
        let from = from / PAGE_BYTES * PAGE_BYTES;
        match self.raw.advise_range(Advice::PopulateWrite, from, to - from) {
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
    pub fn sync(&self, to: usize) -> io::Result<()> {
        self.raw.flush_range(0, to)
    }

    /// The word at `offset`; what was stored before it was published is visible afterwards.
    #[inline]
    pub fn load(&self, offset: usize) -> u64 {
        u64::from_le(self.word(offset).load(Ordering::Acquire))
    }

    /// Publishes the word at `offset` and everything stored before.
    #[inline]
    pub fn publish(&self, offset: usize, word: u64) {
        assert!(self.writable);
        self.word(offset).store(word.to_le(), Ordering::Release);
    }

    /// Stores a word that a later publication makes visible.
    #[inline]
    pub fn put_word(&self, offset: usize, word: u64) {
        assert!(self.writable);
        self.word(offset).store(word.to_le(), Ordering::Relaxed);
    }

    /// Stores `words` at `offset` and `payload` behind them. The caller is the writer, and
    /// nothing at or behind `offset` is published.
    #[inline]
    pub fn put_frame(&self, offset: usize, words: [u64; 4], payload: &[u8]) {
        assert!(self.writable && offset.is_multiple_of(8) && offset >= HEADER_BYTES);
        assert!(offset + FRAME_HEADER_BYTES + payload.len() <= self.len());
        for (i, word) in words.into_iter().enumerate() {
            // SAFETY: in bounds and aligned by the assertions (the map starts on a page).
            let slot = unsafe { &*self.raw.as_ptr().add(offset + i * 8).cast::<AtomicU64>() };
            slot.store(word.to_le(), Ordering::Relaxed);
        }
        // SAFETY: in bounds by the assertion; no slice of these bytes exists, because the first
        // word of their group is not published; `payload` can't overlap a map no one else has as
        // `&mut`, and overlapping published bytes of the same map lie before `offset`.
        unsafe {
            let target = self.raw.as_mut_ptr().add(offset + FRAME_HEADER_BYTES);
            ptr::copy_nonoverlapping(payload.as_ptr(), target, payload.len());
        }
    }

    /// Stores the segment's header. The caller is the writer, and no frame of the segment is
    /// published.
    pub fn put_header(&self, header: &[u8]) {
        assert!(self.writable && header.len() <= HEADER_BYTES && header.len().is_multiple_of(8));
        for (i, bytes) in header.chunks_exact(8).enumerate() {
            let word = crate::format::read_u64(bytes, 0);
            self.word(i * 8).store(word.to_le(), Ordering::Release);
        }
    }

    /// Bytes of a published frame. The caller has loaded its first word, and reached `offset` from
    /// another frame, or checks what it got before it believes it.
    #[inline]
    pub fn bytes(&self, offset: usize, len: usize) -> &[u8] {
        assert!(offset <= self.len() && len <= self.len() - offset);
        // SAFETY: in bounds by the assertion; published bytes never change.
        unsafe { slice::from_raw_parts(self.raw.as_ptr().add(offset), len) }
    }

    #[inline]
    fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len());
        // SAFETY: in bounds and aligned (the map starts on a page); words are only touched
        // atomically while they can change.
        unsafe { &*self.raw.as_ptr().add(offset).cast::<AtomicU64>() }
    }
}

/// Refuses a file shorter than its map: touching the missing pages would be a SIGBUS.
fn check_len(file: &File, len: usize) -> io::Result<()> {
    let found = file.metadata()?.len();
    if found == len as u64 {
        return Ok(());
    }
    let message = format!("file has {found} bytes, a segment {len}");
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}
