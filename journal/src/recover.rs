//! Brings a directory to a state from which a writer can go on.

use std::io;
use std::time::Duration;

use crate::checking::Checking;
use crate::epoch;
use crate::error::{OpenError, SnapshotError};
use crate::format::{
    CUT_LEN, DURABLE_OFFSET, HEADER_BYTES, HeaderFault, Position, SECTOR_BYTES, SegmentHeader,
    durable_word, segment_bytes_valid,
};
use crate::map::Map;
use crate::scan::{Chain, Scan, StopAt, Verdict, Walk, is_zero};
use crate::segment;
use crate::snapshot::{self, Checkpoint};
use crate::storage::{Blocks, Placement, Storage};

/// A writer past the lock stops when it sees the new epoch, so the second scan finds it stopped. One
/// that goes on knows no epochs.
const EPOCH_ATTEMPTS: u32 = 3;

/// What [`open`](crate::open) found. It tells of the whole directory, also where segments before the
/// start were not read: then by the header of the oldest one from which no other is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Frames in the journal's segments.
    pub frames: u64,
    /// Sequence of the first frame the directory holds: 1, unless older segments were moved away.
    /// For an empty journal the sequence its first frame will have.
    pub first_sequence: u64,
    /// Sequence of the last frame, one less than `first_sequence` when there is none.
    pub last_sequence: u64,
    /// Time of the last frame in ns, 0 when there is none.
    pub last_time_ns: u64,
    /// Bytes from the start of the first segment to the end of the last frame.
    pub bytes: u64,
    /// Segments with frames, or about to get the next.
    pub segments: u64,
    /// The tail that was cut, if there was one.
    pub torn: Option<Torn>,
    /// Running hash over all frames.
    pub running_hash: u64,
}

/// A tail that was written, but not committed, or did not reach the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The segment in which the tail was cut.
    pub segment: u64,
    /// Where in it, in bytes.
    pub offset: u64,
    /// Bytes put aside, up to the last that isn't zero in each segment concerned.
    pub bytes_cut: u64,
    /// Sequence of the last frame kept.
    pub last_good_sequence: u64,
}

/// Where the writer goes on. Everything before `tail` is durable.
pub(crate) struct State {
    pub segment_bytes: u64,
    pub base: u64,
    pub tail: Position,
    pub chain: Chain,
    /// Whether the tail's segment has a header.
    pub tail_begun: bool,
    /// Of the writer that goes on; stored in the tail's segment, if that is begun.
    pub epoch: u32,
    pub recovery: Recovery,
}

pub(crate) fn recover(
    storage: &dyn Storage,
    new_segment_bytes: u64,
    blocks: Blocks,
    start: Option<&Checkpoint>,
    checking: Option<&Checking>,
) -> Result<State, OpenError> {
    storage
        .check_writable()
        .map_err(|source| OpenError::NotWritable { dir: storage.dir().into(), source })?;
    for _ in 0..EPOCH_ATTEMPTS {
        let segments = segment::list(storage)?;
        let from = start.map_or(Ok(0), |start| locate(storage, &segments, start))?;
        let Some(found) = examine(storage, &segments[from..], checking)? else {
            refuse_lost_frames(storage, 0)?;
            remove_all(storage, &segments)?;
            return create(storage, new_segment_bytes, blocks);
        };
        // Read a second time, it need not be what it was.
        if let Some(start) = start.filter(|start| found.scan.tail() < start.position) {
            return Err(mismatch(storage, start, "the journal ends before"));
        }
        let verdict = found.scan.verdict();
        if verdict == Verdict::Corrupt {
            return Err(found.corrupt(storage));
        }
        if found.has_no_frames() {
            refuse_lost_frames(storage, found.scan.walk.tail.chain.last_sequence())?;
        }
        let epoch = next_epoch(storage, &found.scan, &segments[..from]);
        if !take_over(storage, &found, &segments, epoch)? {
            continue;
        }
        let torn = match verdict {
            Verdict::Torn => Some(cut(storage, &found, &segments)?),
            _ => None,
        };
        let mut state = found.state(torn, epoch);
        make_whole(storage, &state)?;
        make_durable(storage, &found, &state)?;
        count_older(storage, &segments[..from], &mut state);
        return Ok(state);
    }
    Err(OpenError::InUse { dir: storage.dir().into(), pid: "of unknown id".into() })
}

/// Refuses a journal without frames beside a good snapshot of frames behind this one. A snapshot is written when what
/// it covers is durable, so those frames were there, and are lost.
fn refuse_lost_frames(storage: &dyn Storage, last_sequence: u64) -> Result<(), OpenError> {
    let names = storage.names().map_err(OpenError::io("list", storage.dir()))?;
    let newest_first = snapshot::sequences(&names).into_iter().rev();
    for sequence in newest_first.take_while(|&sequence| sequence > last_sequence) {
        match snapshot::read(storage, sequence) {
            Ok(_) => {
                let (dir, snapshot) = (storage.dir(), snapshot::path(storage.dir(), sequence));
                return Err(OpenError::FramesGone { dir: dir.into(), snapshot, sequence });
            }
            Err(SnapshotError::Io { what, file, source }) => {
                return Err(OpenError::Io { what, path: file, source });
            }
            // What is damaged proves nothing.
            Err(_) => {}
        }
    }
    Ok(())
}

/// One more than the highest of all headers, also of the segments that are not read otherwise. One of
/// those that can't be read is no reason not to start: its writers have gone on to later ones.
fn next_epoch(storage: &dyn Storage, scan: &Scan, older: &[u64]) -> u32 {
    let headers = older.iter().filter_map(|&index| segment::read_header(storage, index).ok()?.ok());
    let highest = headers.map(|header| header.epoch()).fold(scan.epoch, u32::max);
    highest.checked_add(1).expect("no journal is opened four billion times")
}

/// Stores the epoch in every segment that is begun, from the tail's on: a writer that the lock did
/// not keep away may have an open group that goes on in later ones, which it still has when they are
/// removed. False: it has come between the scan and this.
fn take_over(
    storage: &dyn Storage,
    found: &Found,
    segments: &[u64],
    epoch: u32,
) -> Result<bool, OpenError> {
    if !found.scan.tail_begun {
        return Ok(true);
    }
    let tail = found.scan.walk.tail.segment;
    for &index in segments.iter().filter(|&&index| index >= tail) {
        if segment::read_header(storage, index)?.is_ok() {
            epoch::store(storage, index, epoch)?;
        }
    }
    Ok(!epoch::has_moved(storage, &found.scan, found.segment_bytes)?)
}

/// Finds the segment that holds a checkpoint among `segments`, and walks to it.
pub(crate) fn locate(
    storage: &dyn Storage,
    segments: &[u64],
    start: &Checkpoint,
) -> Result<usize, OpenError> {
    let index = start.segment();
    let Ok(from) = segments.binary_search(&index) else {
        return Err(mismatch(storage, start, "the segment that holds it is missing"));
    };
    let Some((segment_bytes, chain)) = first_header(storage, index)? else {
        return Err(mismatch(storage, start, "the segment that holds it has no good header"));
    };
    if segment_bytes != start.segment_bytes {
        return Err(mismatch(storage, start, "the journal's segments have another size"));
    }
    let mut image = vec![0; segment_bytes as usize];
    segment::read_image(storage, index, &mut image)?;
    let offset = (start.position.get() % segment_bytes) as usize;
    match Walk::chain_at(chain, index, &image, offset) {
        None => Err(mismatch(storage, start, "no good frames lead to it")),
        Some(found)
            if found.last_sequence() != start.sequence || found.hash != start.running_hash =>
        {
            Err(mismatch(storage, start, "other frames lead to it"))
        }
        Some(_) => Ok(from),
    }
}

/// Takes the segments before the first one read into account, by the header of the oldest.
fn count_older(storage: &dyn Storage, older: &[u64], state: &mut State) {
    let expected = (0..state.base).rev();
    let unbroken = older.iter().rev().zip(expected).take_while(|(found, next)| *found == next);
    let Some((&base, _)) = unbroken.last() else { return };
    // Whoever wants to know what is wrong with it asks `verify`.
    let Ok(Some((_, chain))) = first_header(storage, base) else { return };
    let segments = state.base - base;
    state.base = base;
    let recovery = &mut state.recovery;
    recovery.first_sequence = chain.next_sequence;
    recovery.frames = recovery.last_sequence + 1 - chain.next_sequence;
    recovery.bytes += segments * state.segment_bytes;
    recovery.segments += segments;
}

fn mismatch(storage: &dyn Storage, start: &Checkpoint, what: &'static str) -> OpenError {
    OpenError::StartMismatch { dir: storage.dir().into(), sequence: start.sequence, what }
}

pub(crate) fn map_tail(
    storage: &dyn Storage,
    state: &State,
    placement: Placement,
) -> Result<Map, OpenError> {
    let (bytes, tail) = (state.segment_bytes, state.tail.get());
    let index = tail / bytes;
    segment::map_prepared(storage, index, bytes, placement, tail % bytes)
        .map_err(OpenError::io("map", segment::path(storage, index)))
}

/// A directory with segments, walked to the end.
pub(crate) struct Found {
    pub segment_bytes: u64,
    pub base: u64,
    pub first_sequence: u64,
    pub scan: Scan,
}

/// Reads all segments, and says so of those that stay as they are whatever comes behind them. `None`: there is
/// none, or only zeros of a creation that was interrupted.
pub(crate) fn examine(
    storage: &dyn Storage,
    segments: &[u64],
    checking: Option<&Checking>,
) -> Result<Option<Found>, OpenError> {
    let Some(&base) = segments.first() else { return Ok(None) };
    if all_zero(storage, segments)? {
        return Ok(None);
    }
    let Some((segment_bytes, chain)) = first_header(storage, base)? else {
        return Err(corrupt(storage, base, 0, 0, "the first segment has no good header"));
    };
    let count = segments.len() as u64;
    let mut scan = Scan::new(segment_bytes, count, base, chain).behind_older();
    let mut image = vec![0; segment_bytes as usize];
    for (index, &found) in (base..).zip(segments) {
        if found != index {
            return Err(missing(storage, index, &scan));
        }
        if segment::take_full(storage, index, &mut scan)? {
            if let Some(checking) = checking {
                // A group that goes on in the next segment may still be cut.
                checking.say_before(scan.walk.tail.segment);
            }
            continue;
        }
        let file_bytes = segment::read_image(storage, index, &mut image)?;
        scan.segment(index, &image, file_bytes).map_err(|found| OpenError::VersionMismatch {
            file: segment::path(storage, index),
            found,
        })?;
    }
    if scan.stop.is_none() {
        // The last segment ends with END, so the next was there once.
        return Err(missing(storage, base + segments.len() as u64, &scan));
    }
    Ok(Some(Found { segment_bytes, base, first_sequence: chain.next_sequence, scan }))
}

impl Found {
    fn has_no_frames(&self) -> bool {
        self.scan.walk.tail.chain.next_sequence == self.first_sequence
    }

    pub fn corrupt(&self, storage: &dyn Storage) -> OpenError {
        let at = self.scan.stop.expect("a verdict needs a stop");
        let last = self.scan.walk.chain.last_sequence();
        corrupt(storage, at.segment, at.offset as u64, last, describe(&at))
    }

    fn state(&self, torn: Option<Torn>, epoch: u32) -> State {
        let chain = self.scan.walk.tail.chain;
        let tail = self.scan.tail();
        let frames = chain.next_sequence - self.first_sequence;
        State {
            segment_bytes: self.segment_bytes,
            base: self.base,
            tail,
            chain,
            tail_begun: self.scan.tail_begun,
            epoch,
            recovery: Recovery {
                frames,
                first_sequence: self.first_sequence,
                last_sequence: chain.last_sequence(),
                last_time_ns: chain.time_ns,
                bytes: tail.get() - self.base * self.segment_bytes,
                segments: self.scan.walk.tail.segment - self.base + 1,
                torn,
                running_hash: chain.hash,
            },
        }
    }
}

/// What a stop that can't be cut means.
pub(crate) fn describe(at: &StopAt) -> &'static str {
    match at.stop {
        crate::scan::Stop::Empty => "frames that were here are gone",
        crate::scan::Stop::Uncommitted => "a frame lost its commit mark",
        crate::scan::Stop::Damaged(what) => what,
    }
}

/// Segment size and starting point from the header of the first segment. Segment 0 can do without:
/// what it must say is known, and its length is the size.
pub(crate) fn first_header(
    storage: &dyn Storage,
    base: u64,
) -> Result<Option<(u64, Chain)>, OpenError> {
    let page = segment::read_page(storage, base)?;
    match SegmentHeader::read(&page) {
        Ok(header) if base == 0 => Ok(Some((header.segment_bytes.get(), Chain::GENESIS))),
        Ok(header) if header.first_sequence.get() == 0 => Ok(None),
        Ok(header) => Ok(Some((header.segment_bytes.get(), Chain::of(&header)))),
        Err(HeaderFault::Version(found)) => {
            Err(OpenError::VersionMismatch { file: segment::path(storage, base), found })
        }
        Err(_) if base == 0 => {
            let len = storage
                .file_len(&segment::name(base))
                .map_err(OpenError::io("read", segment::path(storage, base)))?;
            Ok(segment_bytes_valid(len).then_some((len, Chain::GENESIS)))
        }
        Err(_) => Ok(None),
    }
}

fn all_zero(storage: &dyn Storage, segments: &[u64]) -> Result<bool, OpenError> {
    let mut buffer = vec![0; 1 << 20];
    for &index in segments {
        let mut offset = 0;
        loop {
            let read = storage
                .read_at(&segment::name(index), &mut buffer, offset)
                .map_err(OpenError::io("read", segment::path(storage, index)))?;
            if read == 0 {
                break;
            }
            if !is_zero(&buffer[..read]) {
                return Ok(false);
            }
            offset += read as u64;
        }
    }
    Ok(true)
}

/// A new journal, with two segments, so that a disk too small is found now.
fn create(storage: &dyn Storage, segment_bytes: u64, blocks: Blocks) -> Result<State, OpenError> {
    for index in 0..2 {
        if let Err(source) = segment::create(storage, index, segment_bytes, blocks, Duration::ZERO)
        {
            remove_all(storage, &(0..index).collect::<Vec<_>>())?;
            return Err(create_error(storage, 2 * segment_bytes, source));
        }
    }
    let chain = Chain::GENESIS;
    Ok(State {
        segment_bytes,
        base: 0,
        tail: Position::at(0, HEADER_BYTES, segment_bytes),
        chain,
        tail_begun: false,
        epoch: 1,
        recovery: Recovery {
            frames: 0,
            first_sequence: 1,
            last_sequence: 0,
            last_time_ns: 0,
            bytes: HEADER_BYTES as u64,
            segments: 1,
            torn: None,
            running_hash: chain.hash,
        },
    })
}

fn create_error(storage: &dyn Storage, needed: u64, source: io::Error) -> OpenError {
    let dir = storage.dir().into();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            OpenError::DiskFull { dir, needed, source }
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::NotWritable { dir, source }
        }
        _ => OpenError::Io { what: "prepare segments in", path: dir, source },
    }
}

/// Cuts the torn tail, so that an interruption at any point, or a sync that fails and leaves its
/// pages clean, ends in something that is recognised as torn again and cut from the start:
/// 1. The bytes are put aside.
/// 2. A mark and zeros replace the rest of the tail's sector, in one write. From now on nothing
///    behind it proves anything (see `scan.rs`).
/// 3. Segments behind the tail's are removed, the last first, if there is anything in them.
/// 4. The rest of the tail's segment is zeroed.
/// 5. The mark is zeroed. If that doesn't reach the disk, the mark is taken for a torn tail again.
fn cut(storage: &dyn Storage, found: &Found, segments: &[u64]) -> Result<Torn, OpenError> {
    let tail = found.scan.walk.tail;
    // A header that is no good goes with the frames it should have announced.
    let from = if found.scan.tail_begun { tail.offset as u64 } else { 0 };
    let later = segments.iter().copied().filter(|&index| index > tail.segment).rev();
    let mut bytes_cut_later = 0;
    for index in later.clone() {
        bytes_cut_later += put_aside(storage, index, 0)?;
    }
    let bytes_cut = bytes_cut_later + put_aside(storage, tail.segment, from)?;
    mark_cut(storage, tail.segment, from)?;
    if bytes_cut_later > 0 {
        for index in later {
            // Of the names, the last goes first on the disk as well.
            storage.sync_dir().map_err(OpenError::io("sync", storage.dir()))?;
            remove_all(storage, &[index])?;
        }
    }
    storage.sync_dir().map_err(OpenError::io("sync", storage.dir()))?;
    zero_from(storage, tail.segment, from, found.segment_bytes)?;
    let torn = Torn {
        segment: tail.segment,
        offset: tail.offset as u64,
        bytes_cut,
        last_good_sequence: tail.chain.last_sequence(),
    };
    log::warn!(
        "cut a torn tail of {bytes_cut} bytes in segment {} at offset {} of {}; the last sequence \
         kept is {}",
        torn.segment,
        torn.offset,
        storage.dir().display(),
        torn.last_good_sequence
    );
    Ok(torn)
}

/// Puts a mark and zeros over the rest of a sector, in one write.
pub(crate) fn mark_cut(storage: &dyn Storage, index: u64, from: u64) -> Result<(), OpenError> {
    let mut sector = vec![0; (sector_end(from) - from) as usize];
    sector[..4].copy_from_slice(&CUT_LEN.to_le_bytes());
    overwrite(storage, index, from, &sector)
}

/// Zeros a segment behind the sector of a mark, then the mark.
pub(crate) fn zero_from(
    storage: &dyn Storage,
    index: u64,
    from: u64,
    segment_bytes: u64,
) -> Result<(), OpenError> {
    let rest = vec![0; segment_bytes.saturating_sub(sector_end(from)) as usize];
    overwrite(storage, index, sector_end(from), &rest)?;
    overwrite(storage, index, from, &[0; 8])
}

fn sector_end(offset: u64) -> u64 {
    (offset + 1).next_multiple_of(SECTOR_BYTES as u64)
}

/// Copies what is behind `from` in a segment, up to the last byte that isn't zero, to a file of its
/// own. Returns the bytes copied.
fn put_aside(storage: &dyn Storage, index: u64, from: u64) -> Result<u64, OpenError> {
    let name = segment::name(index);
    let read = || {
        let rest = storage.file_len(&name)?.saturating_sub(from);
        let mut rest = vec![0; rest as usize];
        let read = storage.read_at(&name, &mut rest, from)?;
        rest.truncate(read);
        Ok(rest)
    };
    let rest = read().map_err(OpenError::io("read", segment::path(storage, index)))?;
    let Some(last) = rest.iter().rposition(|&byte| byte != 0) else { return Ok(0) };
    let aside = unused_name(storage, index, from)?;
    segment::create_whole(storage, &aside, |name| storage.create(name, &rest[..=last]))
        .map_err(OpenError::io("put torn bytes aside in", storage.dir().join(&aside)))?;
    Ok(last as u64 + 1)
}

/// The same place can be torn again by a later run; its bytes are kept as well.
fn unused_name(storage: &dyn Storage, index: u64, from: u64) -> Result<String, OpenError> {
    let names = storage.names().map_err(OpenError::io("list", storage.dir()))?;
    let mut name = format!("torn-{index}-{from}.bin");
    for copy in 1.. {
        if !names.contains(&name) {
            break;
        }
        name = format!("torn-{index}-{from}.{copy}.bin");
    }
    Ok(name)
}

/// Writes into a segment as far as the file goes, and syncs it.
fn overwrite(
    storage: &dyn Storage,
    index: u64,
    offset: u64,
    bytes: &[u8],
) -> Result<(), OpenError> {
    let name = segment::name(index);
    let write = || {
        let room = storage.file_len(&name)?.saturating_sub(offset);
        let bytes = &bytes[..bytes.len().min(room as usize)];
        storage.write_all_at(&name, bytes, offset)?;
        storage.sync(&name)
    };
    write().map_err(OpenError::io("cut the torn tail of", segment::path(storage, index)))
}

/// Gives the tail's segment its length and its blocks back, if the file was cut short.
fn make_whole(storage: &dyn Storage, state: &State) -> Result<(), OpenError> {
    let index = state.tail.get() / state.segment_bytes;
    let name = segment::name(index);
    storage
        .set_len(&name, state.segment_bytes)
        .and_then(|()| storage.sync(&name))
        .map_err(|source| create_error(storage, state.segment_bytes, source))
}

/// Syncs what only the page cache may have had, and marks it.
///
/// A sync that failed before, in this process or another, has left pages that the kernel takes for
/// written. So everything behind the durable position is stored again before it is synced.
fn make_durable(storage: &dyn Storage, found: &Found, state: &State) -> Result<(), OpenError> {
    let tail = found.scan.walk.tail;
    let durable = found.scan.durable.get();
    let first = (durable / state.segment_bytes).clamp(found.base, tail.segment);
    let segments = (first..=tail.segment).filter_map(|index| match index == tail.segment {
        true if !state.tail_begun => None,
        true => Some((index, tail.offset as u64)),
        false => Some((index, state.segment_bytes)),
    });
    let io_error = |index| OpenError::io("sync", segment::path(storage, index));
    for (index, bytes) in segments.clone() {
        let (name, from) =
            (segment::name(index), durable.saturating_sub(index * state.segment_bytes));
        store_again(storage, &name, from, bytes)
            .and_then(|()| storage.sync(&name))
            .map_err(io_error(index))?;
    }
    // Not before: the last group of a segment may go on in the next.
    for (index, bytes) in segments {
        let (name, word) = (segment::name(index), durable_word(bytes).to_le_bytes());
        storage
            .write_all_at(&name, &word, DURABLE_OFFSET as u64)
            .and_then(|()| storage.sync(&name))
            .map_err(io_error(index))?;
    }
    Ok(())
}

/// Writes a file's bytes from `from` to `to` over themselves, which makes their pages dirty.
fn store_again(storage: &dyn Storage, name: &str, from: u64, to: u64) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    let mut offset = from;
    while offset < to {
        let wanted = bytes.len().min((to - offset) as usize);
        let read = storage.read_at(name, &mut bytes[..wanted], offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        storage.write_all_at(name, &bytes[..read], offset)?;
        offset += read as u64;
    }
    Ok(())
}

fn remove_all(storage: &dyn Storage, segments: &[u64]) -> Result<(), OpenError> {
    for &index in segments {
        storage
            .remove(&segment::name(index))
            .map_err(OpenError::io("remove", segment::path(storage, index)))?;
    }
    Ok(())
}

pub(crate) fn missing(storage: &dyn Storage, index: u64, scan: &Scan) -> OpenError {
    OpenError::MissingSegment {
        file: segment::path(storage, index),
        last_good_sequence: scan.walk.chain.last_sequence(),
    }
}

fn corrupt(
    storage: &dyn Storage,
    index: u64,
    offset: u64,
    last: u64,
    what: &'static str,
) -> OpenError {
    OpenError::Corrupt {
        dir: storage.dir().into(),
        file: segment::path(storage, index),
        offset,
        last_good_sequence: last,
        what,
    }
}
