//! A file of the index: the blocks of a run of frames.
//!
//! ```text
//! directory   LOCK   blocks-<first sequence, 20 digits>.idx ...   snapshot-<sequence>.snap ...
//!
//! run         0        80              4096
//!             +--------+-------+-------+-------------------------+
//!             | header | table | zeros | filters, 32 KiB each    |
//!             +--------+-------+-------+-------------------------+
//!
//! header      0       8         12           16               24              32         40
//!             +-------+---------+------------+----------------+---------------+----------+
//!             | magic | version | header_len | first_sequence | last_sequence | position |
//!             +-------+---------+------------+----------------+---------------+----------+
//!             40    48             56             64       72          76           80
//!             +-----+--------------+--------------+--------+-----------+------------+
//!             | end | running_hash | last_time_ns | blocks | table_crc | header_crc |
//!             +-----+--------------+--------------+--------+-----------+------------+
//!
//! table       of each block: position, time_ns (of its first frame)
//! ```
//!
//! `position` is where the first frame begins, `end` where the last one ends, `running_hash` the
//! journal's hash behind that. A run whose header or table is not as it was written is refused; what
//! a filter says is checked line by line when it is asked. The last run is written anew as it grows; the
//! filter of a block stays where it was and only gets more keys, so whoever has the older run may read the
//! newer one's filters.

use std::{io, sync::Arc};

use ironbook_journal::{Position, Storage, create_whole};
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout,
    little_endian::{U32, U64},
};

use super::{
    BLOCK_FRAMES, RUN_BLOCKS,
    filter::{self, FILTER_BYTES, LINE_BYTES},
};

/// Version of the layout; a run of another one is built again.
pub(super) const INDEX_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"IRONINDX";
const HEADER_BYTES: usize = 80;
const ENTRY_BYTES: usize = 16;
/// Where filters begin, however many there are: a page, so that no line lies in two.
const FILTERS_OFFSET: usize = 4096;
const PREFIX: &str = "blocks-";
const SUFFIX: &str = ".idx";
const DIGITS: usize = 20;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Copy, Clone)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: U32,
    header_len: U32,
    first_sequence: U64,
    last_sequence: U64,
    position: U64,
    end: U64,
    running_hash: U64,
    last_time_ns: U64,
    blocks: U64,
    table_crc: U32,
    /// CRC32C of everything before it.
    header_crc: U32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Copy, Clone)]
#[repr(C)]
struct Entry {
    position: U64,
    time_ns: U64,
}

const _: () = assert!(size_of::<Header>() == HEADER_BYTES && size_of::<Entry>() == ENTRY_BYTES);
const _: () = assert!(HEADER_BYTES + RUN_BLOCKS * ENTRY_BYTES <= FILTERS_OFFSET);

/// A block of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Sequence of its first frame.
    pub first_sequence: u64,
    /// Sequence of its last frame.
    pub last_sequence: u64,
    /// Where its first frame begins.
    pub position: Position,
    /// Time of its first frame.
    pub time_ns: u64,
}

/// Where a row of frames ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Sequence of the last frame; one less than the first one's when there is none.
    pub sequence: u64,
    /// Where it ends.
    pub position: Position,
    /// The journal's running hash there.
    pub running_hash: u64,
    /// Its time.
    pub time_ns: u64,
}

/// A run that was read or written.
#[derive(Clone)]
pub(super) struct Run {
    storage: Arc<dyn Storage>,
    pub first_sequence: u64,
    pub end: End,
    /// Position and time of each block's first frame.
    entries: Vec<(Position, u64)>,
}

impl Run {
    /// The sequences of the first frames of all runs in a directory, ascending.
    pub fn list(storage: &dyn Storage) -> io::Result<Vec<u64>> {
        let names = storage.names()?;
        let mut found: Vec<_> = names.iter().filter_map(|name| sequence_of(name)).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// Reads the run that begins at a sequence: its header and its table.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(storage: &Arc<dyn Storage>, first_sequence: u64) -> Result<Self, String> {
        let name = name(first_sequence);
        let refused = |what: &str| format!("{}: {what}", storage.dir().join(&name).display());
        let read = |bytes: &mut [u8], offset: usize| {
            let read = storage.read_at(&name, bytes, offset as u64);
            let read = read.map_err(|error| refused(&error.to_string()))?;
            if read == bytes.len() { Ok(()) } else { Err(refused("it is cut short")) }
        };
        let mut bytes = [0; HEADER_BYTES];
        read(&mut bytes, 0)?;
        let header = check(&bytes, first_sequence).map_err(refused)?;
        let mut table = vec![0; header.blocks.get() as usize * ENTRY_BYTES];
        read(&mut table, HEADER_BYTES)?;
        if crc32c::crc32c(&table) != header.table_crc.get() {
            return Err(refused("its table fails its CRC"));
        }
        let length = storage.file_len(&name).map_err(|error| refused(&error.to_string()))?;
        if length < (FILTERS_OFFSET + header.blocks.get() as usize * FILTER_BYTES) as u64 {
            return Err(refused("bytes are missing"));
        }
        let entry = |bytes: &[u8; ENTRY_BYTES]| {
            let entry = Entry::read_from_bytes(bytes).expect("as many bytes");
            (Position::new(entry.position.get()), entry.time_ns.get())
        };
        Ok(Self {
            storage: storage.clone(),
            first_sequence,
            end: End {
                sequence: header.last_sequence.get(),
                position: Position::new(header.end.get()),
                running_hash: header.running_hash.get(),
                time_ns: header.last_time_ns.get(),
            },
            entries: table.as_chunks().0.iter().map(entry).collect(),
        })
    }

    /// How many blocks it has.
    pub fn blocks(&self) -> usize {
        self.entries.len()
    }

    /// Whether no other frame fits.
    pub fn is_full(&self) -> bool {
        self.end.sequence + 1 - self.first_sequence == RUN_BLOCKS as u64 * BLOCK_FRAMES
    }

    /// One of its blocks.
    pub fn block(&self, number: usize) -> Block {
        let (position, time_ns) = self.entries[number];
        let first_sequence = self.first_sequence + number as u64 * BLOCK_FRAMES;
        let last_sequence = (first_sequence + BLOCK_FRAMES - 1).min(self.end.sequence);
        Block { first_sequence, last_sequence, position, time_ns }
    }

    /// Whether a block may hold a key: false is certain. A filter that can't be read, or is not as it
    /// was written, knows nothing, so its block may hold it.
    pub fn may_hold(&self, number: usize, hash: u64) -> bool {
        let mut line = [0; LINE_BYTES];
        let offset = FILTERS_OFFSET + number * FILTER_BYTES + filter::line_of(hash);
        let name = name(self.first_sequence);
        let read = self.storage.read_at(&name, &mut line, offset as u64);
        let intact = read.is_ok_and(|read| read == LINE_BYTES) && filter::is_intact(&line);
        if !intact {
            let file = self.storage.dir().join(name);
            log::warn!("{} is damaged: answers take longer; remove it", file.display());
        }
        !intact || filter::may_hold(&line, hash)
    }

    /// All filters, to go on with; none when one of them is not as it was written.
    fn filters(&self) -> Option<Vec<u8>> {
        let mut filters = vec![0; self.blocks() * FILTER_BYTES];
        let name = name(self.first_sequence);
        let read = self.storage.read_at(&name, &mut filters, FILTERS_OFFSET as u64).ok()?;
        let intact = filters.chunks_exact(LINE_BYTES).all(filter::is_intact);
        (read == filters.len() && intact).then_some(filters)
    }

    /// Removes the file of the run that begins at a sequence.
    pub fn remove(storage: &dyn Storage, first_sequence: u64) -> io::Result<()> {
        storage.remove(&name(first_sequence))
    }
}

/// A run that is being built.
pub(super) struct Draft {
    first_sequence: u64,
    end: End,
    entries: Vec<(Position, u64)>,
    /// One for each entry.
    filters: Vec<u8>,
}

impl Draft {
    /// A run without frames that goes on behind `end`.
    pub fn behind(end: End) -> Self {
        let first_sequence = end.sequence + 1;
        Self { first_sequence, end, entries: Vec::new(), filters: Vec::new() }
    }

    /// The run as it was up to `end`, a frame of it; none when its filters are damaged. They may go
    /// on to hold keys of frames behind that.
    pub fn resume(run: &Run, end: End) -> Option<Self> {
        let blocks = (end.sequence - run.first_sequence) / BLOCK_FRAMES + 1;
        let mut filters = run.filters()?;
        filters.truncate(blocks as usize * FILTER_BYTES);
        let entries = run.entries[..blocks as usize].to_vec();
        Some(Self { first_sequence: run.first_sequence, end, entries, filters })
    }

    /// Where it ends.
    pub fn end(&self) -> End {
        self.end
    }

    /// Whether no other frame fits.
    pub fn is_full(&self) -> bool {
        self.end.sequence + 1 - self.first_sequence == RUN_BLOCKS as u64 * BLOCK_FRAMES
    }

    /// Whether it has no frame.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes the next frame: where it begins, and what is behind it. Gives the filter for its keys.
    #[inline]
    pub fn push(&mut self, position: Position, end: End) -> &mut [u8] {
        if (end.sequence - self.first_sequence).is_multiple_of(BLOCK_FRAMES) {
            self.entries.push((position, end.time_ns));
            self.filters.resize(self.entries.len() * FILTER_BYTES, 0);
        }
        self.end = end;
        let at = self.filters.len() - FILTER_BYTES;
        &mut self.filters[at..]
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&mut self, storage: &Arc<dyn Storage>) -> io::Result<Run> {
        filter::seal(&mut self.filters);
        let entry = |&(position, time_ns): &(Position, u64)| Entry {
            position: U64::new(position.get()),
            time_ns: U64::new(time_ns),
        };
        let table: Vec<_> = self.entries.iter().map(entry).collect();
        let mut bytes = self.header(table.as_bytes()).as_bytes().to_vec();
        bytes.extend_from_slice(table.as_bytes());
        bytes.resize(FILTERS_OFFSET, 0);
        bytes.extend_from_slice(&self.filters);
        let name = name(self.first_sequence);
        create_whole(&**storage, &name, |unfinished| storage.create(unfinished, &bytes))?;
        Ok(Run {
            storage: storage.clone(),
            first_sequence: self.first_sequence,
            end: self.end,
            entries: self.entries.clone(),
        })
    }

    fn header(&self, table: &[u8]) -> Header {
        let position = self.entries.first().map_or(0, |(position, _)| position.get());
        let mut header = Header {
            magic: MAGIC,
            version: U32::new(INDEX_VERSION),
            header_len: U32::new(HEADER_BYTES as u32),
            first_sequence: U64::new(self.first_sequence),
            last_sequence: U64::new(self.end.sequence),
            position: U64::new(position),
            end: U64::new(self.end.position.get()),
            running_hash: U64::new(self.end.running_hash),
            last_time_ns: U64::new(self.end.time_ns),
            blocks: U64::new(self.entries.len() as u64),
            table_crc: U32::new(crc32c::crc32c(table)),
            header_crc: U32::new(0),
        };
        header.header_crc = U32::new(header_crc(&header));
        header
    }
}

fn name(first_sequence: u64) -> String {
    format!("{PREFIX}{first_sequence:0width$}{SUFFIX}", width = DIGITS)
}

fn sequence_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let plain = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

fn header_crc(header: &Header) -> u32 {
    crc32c::crc32c(&header.as_bytes()[..HEADER_BYTES - 4])
}

fn check(bytes: &[u8; HEADER_BYTES], first_sequence: u64) -> Result<Header, &'static str> {
    let header = Header::read_from_bytes(bytes).map_err(|_| "its header is cut short")?;
    if header.magic != MAGIC {
        return Err("its header has no magic");
    }
    if header.version.get() != INDEX_VERSION {
        return Err("it is of another version");
    }
    if header.header_crc.get() != header_crc(&header) {
        return Err("its header fails its CRC");
    }
    let (first, last) = (header.first_sequence.get(), header.last_sequence.get());
    let blocks = header.blocks.get();
    let fits = header.header_len.get() as usize == HEADER_BYTES
        && (1..=RUN_BLOCKS as u64).contains(&blocks)
        && last.checked_sub(first).is_some_and(|more| more / BLOCK_FRAMES + 1 == blocks);
    if !fits {
        return Err("its header has impossible sizes");
    }
    if first != first_sequence {
        return Err("it has the name of another");
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{key::mix, pass::memory},
        *,
    };

    #[test]
    fn a_run_reads_back_and_every_flipped_bit_before_its_filters_is_refused() {
        let end = End { sequence: 4, position: Position::new(9_000), running_hash: 5, time_ns: 6 };
        let mut draft = Draft::behind(end);
        for more in 1..=2 * BLOCK_FRAMES {
            let sequence = end.sequence + more;
            let position = Position::new(9_000 + more * 64);
            let filter =
                draft.push(Position::new(position.get() - 64), End { sequence, position, ..end });
            filter::add(filter, mix(sequence));
        }
        let storage = memory();
        let written = draft.write(&storage).unwrap();
        let name = name(5);
        let read = Run::read(&storage, 5).unwrap();
        assert_eq!((read.end, read.blocks(), read.is_full()), (written.end, 2, false));
        assert_eq!(read.block(1), written.block(1));
        assert!(read.may_hold(0, mix(5)) && read.may_hold(1, mix(5 + BLOCK_FRAMES)));
        assert_eq!(Run::list(&*storage).unwrap(), [5]);
        for bit in 0..(HEADER_BYTES + 2 * ENTRY_BYTES) * 8 {
            let mut byte = [0];
            storage.read_at(&name, &mut byte, bit as u64 / 8).unwrap();
            byte[0] ^= 1 << (bit % 8);
            storage.write_all_at(&name, &byte, bit as u64 / 8).unwrap();
            assert!(Run::read(&storage, 5).is_err(), "bit {bit}");
            byte[0] ^= 1 << (bit % 8);
            storage.write_all_at(&name, &byte, bit as u64 / 8).unwrap();
        }
        // Whoever has the run as it is may look into one that has grown.
        for more in 2 * BLOCK_FRAMES + 1..=5 * BLOCK_FRAMES {
            let sequence = end.sequence + more;
            let position = Position::new(9_000 + more * 64);
            let begin = Position::new(position.get() - 64);
            filter::add(draft.push(begin, End { sequence, position, ..end }), mix(sequence));
        }
        draft.write(&storage).unwrap();
        let may_hold = |block: u64| read.may_hold(block as usize, mix(7 + block * BLOCK_FRAMES));
        assert!(may_hold(0) && may_hold(1) && !read.may_hold(0, mix(7 + BLOCK_FRAMES)));
        assert!(Run::read(&storage, 5).is_ok());
    }
}
