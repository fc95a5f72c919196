//! A mapped segment: the one module with unsafe code.
//!
//! What makes it sound, for every map of one file:
//! - one [`Writer`](crate::Writer) stores; the directory's lock keeps other processes from it;
//! - a frame's first word is only touched atomically, and published with release after the rest;
//! - bytes behind a published word never change again, so slices of them may be handed out;
//! - files keep their length while mapped: recovery sets it before, nothing shortens them later.
//!
//! The frames of a map are those of the file, or memory beside it that a sync copies to the file; the
//! header is the file's own in both.
//!
//! The last is a promise of the directory, not of the kernel: somebody who truncates a segment
//! under a running process kills it with SIGBUS.

use std::fs::File;
use std::io::{self, IoSlice};
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::{Advice, MmapMut, MmapOptions, MmapRaw, UncheckedAdvice};

use crate::format::{EPOCH_OFFSET, FRAME_HEADER_BYTES, HEADER_BYTES};

pub(crate) const PAGE_BYTES: usize = 4096;

/// A segment in memory.
pub struct Map {
    /// Start and length of the memory that `backing` keeps. It starts on a page.
    base: *mut u8,
    /// The header: `base`, or the file's where the frames are beside it. A page, and starts on one.
    header: *mut u8,
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
    Beside(Box<Beside>),
    Simulated { _memory: Arc<Memory>, pages: Arc<dyn SimulatedPages> },
    SimulatedBeside { memory: Arc<Memory>, _header: Arc<Memory>, pages: Arc<dyn SimulatedPages> },
}

/// Memory for frames beside a file.
struct Beside {
    memory: MmapRaw,
    header: MmapRaw,
    /// Whether the header has been synced since the segment was begun.
    header_synced: AtomicBool,
    /// What is written to it is durable when the call returns.
    file: File,
    /// Where the page in which a sync ends is made whole with zeros: what is behind it is none of the
    /// sync's business, and may be half written.
    last_page: Mutex<MmapMut>,
}

/// Synced at a time where a map is synced: what the system takes to write it, 0.1 ms, whoever shares the processor waits
/// for.
const SYNCED_BYTES: usize = 1024 * 1024;

/// Takes the kernel's part for a map of [`Memory`].
pub(crate) trait SimulatedPages: Send + Sync {
    /// The pages from byte `from` to byte `to` are made present, writable and dirty.
    fn populate(&self, from: usize, to: usize) -> io::Result<()>;

    /// The pages before byte `to` are made durable.
    fn sync(&self, to: usize) -> io::Result<()>;

    /// Whole pages are written from byte `from` on, past the page cache, and are durable on return.
    fn write_durably(&self, from: usize, bytes: &[u8]) -> io::Result<()>;
}

impl Map {
    pub(crate) fn writable(file: &File, len: usize) -> io::Result<Map> {
        check_len(file.metadata()?.len(), len)?;
        let raw = MmapOptions::new().len(len).map_raw(file)?;
        // Else the system reads ahead when a part is populated, up to megabytes of zeros (`read_ahead_kb`), and whoever
        // shares the processor waits for all of them.
        let _ = raw.advise(Advice::Random);
        Ok(Map::of_file(raw, true))
    }

    pub(crate) fn read_only(file: &File, len: usize) -> io::Result<Map> {
        check_len(file.metadata()?.len(), len)?;
        Ok(Map::of_file(MmapOptions::new().len(len).map_raw_read_only(file)?, false))
    }

    fn of_file(raw: MmapRaw, writable: bool) -> Map {
        assert!(raw.len() >= HEADER_BYTES);
        let base = raw.as_mut_ptr();
        Map { base, header: base, len: raw.len(), writable, backing: Backing::File(raw) }
    }

    /// Memory beside the file, which has `filled` bytes of it; the rest is zeros in both. `durable` is
    /// the file opened so that what is written is durable when the call returns.
    pub(crate) fn beside(file: &File, durable: File, len: usize, filled: usize) -> io::Result<Map> {
        check_len(file.metadata()?.len(), len)?;
        assert!(len >= HEADER_BYTES && filled <= len);
        let header = MmapOptions::new().len(HEADER_BYTES).map_raw(file)?;
        let mut memory = MmapMut::map_anon(len)?;
        // Fewer faults to come; no harm where the system has none.
        let _ = memory.advise(Advice::HugePage);
        if filled > HEADER_BYTES {
            let bytes = &mut memory[HEADER_BYTES..filled];
            std::os::unix::fs::FileExt::read_exact_at(file, bytes, HEADER_BYTES as u64)?;
        }
        let memory = MmapRaw::from(memory);
        let (base, page) = (memory.as_mut_ptr(), header.as_mut_ptr());
        let last_page = Mutex::new(MmapMut::map_anon(PAGE_BYTES)?);
        let header_synced = AtomicBool::new(false);
        let beside = Beside { memory, header, header_synced, file: durable, last_page };
        Ok(Map { base, header: page, len, writable: true, backing: Backing::Beside(beside.into()) })
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
        let backing = Backing::Simulated { _memory: memory, pages };
        Map { base, header: base, len, writable, backing }
    }

    /// As [`beside`](Self::beside), with the first `filled` bytes of a simulated page cache.
    pub(crate) fn simulated_beside(
        cached: Arc<Memory>,
        len: usize,
        filled: usize,
        pages: Arc<dyn SimulatedPages>,
    ) -> io::Result<Map> {
        assert!(len >= HEADER_BYTES && len <= cached.0.len() && filled <= len);
        let memory = Arc::new(Memory::zeros(len)?);
        let mut bytes = vec![0; filled];
        cached.read(0, &mut bytes);
        memory.write(0, &bytes);
        let (base, header) = (memory.0.as_mut_ptr(), cached.0.as_mut_ptr());
        let backing = Backing::SimulatedBeside { memory, _header: cached, pages };
        Ok(Map { base, header, len, writable: true, backing })
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
            Backing::Beside(beside) => &beside.memory,
            Backing::Simulated { pages, .. } => return pages.populate(from, to),
            Backing::SimulatedBeside { .. } => return Ok(()),
        };
        match raw.advise_range(Advice::PopulateWrite, from, to - from) {
            // Kernels before 5.14 don't know the advice.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                for page in (from..to).step_by(PAGE_BYTES) {
                    // SAFETY: in bounds by the assertion, and on a page.
                    let word = unsafe { &*self.base.add(page).cast::<AtomicU64>() };
                    word.fetch_add(0, Ordering::Relaxed);
                }
                Ok(())
            }
            done => done,
        }
    }

    /// Makes pages writable again that a sync or the kernel's writing back has protected. Memory
    /// beside the file never is.
    pub(crate) fn keep_writable(&self, from: usize, to: usize) -> io::Result<()> {
        match self.backing {
            Backing::File(_) | Backing::Simulated { .. } => self.populate(from, to),
            Backing::Beside(_) | Backing::SimulatedBeside { .. } => Ok(()),
        }
    }

    /// Takes the frames between `from` and `to` out of the process's page table, but for the page in which `to` lies:
    /// the page cache has them, and whoever reads them again finds them there. A sync protects each page that it
    /// finds in the table by itself, and has every processor that runs this process forget it at once, the core's
    /// tens of thousands of times; from pages that are in no table it takes nothing. It is advice: where it fails,
    /// they stay.
    fn let_go(&self, raw: &MmapRaw, from: usize, to: usize) {
        let first = from.next_multiple_of(PAGE_BYTES).max(HEADER_BYTES);
        let Some(len) = (to / PAGE_BYTES * PAGE_BYTES).checked_sub(first).filter(|&len| len > 0)
        else {
            return;
        };
        assert!(self.writable && first + len <= self.len);
        // SAFETY: the map is a file's and shared, so its bytes are the page cache's, which this advice leaves alone;
        // pages are only mapped anew when they are used.
        let _ = unsafe { raw.unchecked_advise_range(UncheckedAdvice::DontNeed, first, len) };
    }

    /// After a failed sync: what it should have written is to be written by the next one.
    pub(crate) fn dirty_again(&self, to: usize) -> io::Result<()> {
        match &self.backing {
            Backing::File(_) => self.populate(0, to),
            Backing::Simulated { pages, .. } => pages.populate(0, to),
            // The frames are written from memory again anyway.
            Backing::Beside(beside) => {
                self.header_word(0).fetch_add(0, Ordering::Relaxed);
                beside.header_synced.store(false, Ordering::Relaxed);
                Ok(())
            }
            Backing::SimulatedBeside { pages, .. } => pages.populate(0, HEADER_BYTES),
        }
    }

    /// Makes header and frames before `to`, where a commit ends, durable. Those before `from` are.
    pub(crate) fn sync(&self, from: usize, to: usize) -> io::Result<()> {
        assert!(from <= to && to <= self.len);
        match &self.backing {
            Backing::File(raw) => {
                let mut part = from;
                while to - part > SYNCED_BYTES {
                    // The page in which a part ends would stay in the table.
                    let end = (part + SYNCED_BYTES) / PAGE_BYTES * PAGE_BYTES;
                    self.let_go(raw, part, end);
                    raw.flush_range(part, end - part)?;
                    part = end;
                }
                self.let_go(raw, part, to);
                raw.flush_range(0, to)
            }
            Backing::Simulated { pages, .. } => pages.sync(to),
            Backing::Beside(beside) => {
                if !beside.header_synced.swap(true, Ordering::Relaxed) {
                    self.sync_header()?;
                }
                beside.write(self, from, to)
            }
            Backing::SimulatedBeside { memory, pages, .. } => {
                self.sync_header()?;
                let from = (from / PAGE_BYTES * PAGE_BYTES).max(HEADER_BYTES);
                let Some(len) = to.checked_sub(from) else { return Ok(()) };
                let mut bytes = vec![0; len];
                memory.read(from, &mut bytes);
                bytes.resize(len.next_multiple_of(PAGE_BYTES), 0);
                pages.write_durably(from, &bytes)
            }
        }
    }

    /// Makes the header durable.
    pub(crate) fn sync_header(&self) -> io::Result<()> {
        match &self.backing {
            Backing::File(raw) => raw.flush_range(0, HEADER_BYTES),
            Backing::Beside(beside) => beside.header.flush(),
            Backing::Simulated { pages, .. } | Backing::SimulatedBeside { pages, .. } => {
                pages.sync(HEADER_BYTES)
            }
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

    /// As [`load`](Self::load), of the header.
    #[inline]
    pub(crate) fn load_header(&self, offset: usize) -> u64 {
        u64::from_le(self.header_word(offset).load(Ordering::Acquire))
    }

    /// As [`publish`](Self::publish), in the header.
    pub(crate) fn publish_header(&self, offset: usize, word: u64) {
        assert!(self.writable);
        self.header_word(offset).store(word.to_le(), Ordering::Release);
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
            self.publish_header(i * 8, crate::format::read_u64(bytes, 0));
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
        let word = unsafe { &*self.header.add(EPOCH_OFFSET).cast::<AtomicU64>() };
        u64::from_le(word.load(Ordering::Acquire))
    }

    #[inline]
    fn header_word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= HEADER_BYTES);
        // SAFETY: in bounds and aligned (the header is a page and starts on one); words are only
        // touched atomically while they can change.
        unsafe { &*self.header.add(offset).cast::<AtomicU64>() }
    }

    /// A word among the frames.
    #[inline]
    fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len());
        // SAFETY: in bounds and aligned (the map starts on a page); words are only touched
        // atomically while they can change.
        unsafe { &*self.base.add(offset).cast::<AtomicU64>() }
    }
}

impl Beside {
    /// Writes the pages of the frames from `from` to `to`, durable on return; the last one with zeros
    /// behind `to`.
    fn write(&self, map: &Map, from: usize, to: usize) -> io::Result<()> {
        let from = (from / PAGE_BYTES * PAGE_BYTES).max(HEADER_BYTES);
        if to <= from {
            return Ok(());
        }
        let whole = (to / PAGE_BYTES * PAGE_BYTES).max(from);
        let mut last_page = self.last_page.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = to - whole;
        last_page[..rest].copy_from_slice(map.bytes(whole, rest));
        last_page[rest..].fill(0);
        let last = if rest == 0 { &[][..] } else { &last_page[..] };
        let mut parts = [IoSlice::new(map.bytes(from, whole - from)), IoSlice::new(last)];
        let mut parts = &mut parts[usize::from(whole == from)..];
        let mut offset = from as u64;
        while parts.iter().any(|part| !part.is_empty()) {
            match rustix::io::pwritev(&self.file, parts, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut parts, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{Read, Seek, SeekFrom};

    use super::*;

    /// Whether a page is in this process's table, as the system tells.
    fn is_mapped(map: &Map, page: usize) -> bool {
        let mut pages = File::open("/proc/self/pagemap").unwrap();
        let number = (map.base.addr() / PAGE_BYTES + page) as u64;
        let mut entry = [0; 8];
        pages.seek(SeekFrom::Start(number * 8)).unwrap();
        pages.read_exact(&mut entry).unwrap();
        u64::from_le_bytes(entry) >> 63 == 1
    }

    /// A part that is populated would bring as much of the rest as the system reads ahead.
    #[test]
    fn the_writer_s_map_is_read_at_random() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4 * PAGE_BYTES as u64).unwrap();
        let map = Map::writable(&file, 4 * PAGE_BYTES).unwrap();
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let of_it = format!("{:x}-", map.base.addr());
        let mut lines = maps.lines().skip_while(|line| !line.starts_with(&of_it));
        let flags = lines.find_map(|line| line.strip_prefix("VmFlags:")).unwrap();
        assert!(flags.split(' ').any(|flag| flag == "rr"), "{flags}");
    }

    #[test]
    fn a_sync_lets_go_of_what_it_writes_but_not_of_the_writer_s_pages() {
        // More than are synced at a time, twice.
        const PAGES: usize = 600;
        let file = tempfile::tempfile().unwrap();
        file.set_len((PAGES * PAGE_BYTES) as u64).unwrap();
        let map = Map::writable(&file, PAGES * PAGE_BYTES).unwrap();
        map.populate(0, map.len()).unwrap();
        let payload = |page: usize| [page as u8; PAGE_BYTES - FRAME_HEADER_BYTES];
        for page in 1..PAGES {
            map.put_frame(page * PAGE_BYTES, [page as u64; 4], &payload(page));
        }
        let table = || (0..PAGES).map(|page| is_mapped(&map, page)).collect::<Vec<_>>();
        assert_eq!(table(), [true; PAGES]);
        // Synced to the middle of a page, and from the middle of one on.
        const { assert!(280 * PAGE_BYTES > SYNCED_BYTES) };
        for (from, to) in [(0, 300 * PAGE_BYTES + 8), (300 * PAGE_BYTES + 8, 580 * PAGE_BYTES)] {
            map.sync(from, to).unwrap();
            let (first, behind) = (from.div_ceil(PAGE_BYTES).max(1), to / PAGE_BYTES);
            let gone = |page: &usize| (first..behind).contains(page);
            let left: Vec<_> = (0..PAGES).map(|page| !gone(&page)).collect();
            assert_eq!(table()[first - 1..], left[first - 1..], "{from} to {to}");
        }
        for page in 1..PAGES {
            let offset = page * PAGE_BYTES + FRAME_HEADER_BYTES;
            assert_eq!(map.bytes(offset, PAGE_BYTES - FRAME_HEADER_BYTES), payload(page));
        }
    }
}
