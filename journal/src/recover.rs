//! Brings a directory to a state from which a writer can go on.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, FallocateFlags};

use crate::epoch;
use crate::error::OpenError;
use crate::format::{
    DURABLE_OFFSET, HEADER_BYTES, HeaderFault, Position, SegmentHeader, UNCOMMITTED, durable_word,
    segment_bytes_valid,
};
use crate::map::Map;
use crate::scan::{Chain, Scan, StopAt, Verdict, is_zero};
use crate::segment::{self, Blocks};

/// A writer past the lock stops when it sees the new epoch, so the second scan finds it stopped. One
/// that goes on knows no epochs.
const EPOCH_ATTEMPTS: u32 = 3;

/// What [`open`](crate::open) found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Frames in the journal.
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
    dir: &Path,
    new_segment_bytes: u64,
    blocks: Blocks,
) -> Result<State, OpenError> {
    rustix::fs::access(dir, Access::WRITE_OK)
        .map_err(|source| OpenError::NotWritable { dir: dir.into(), source: source.into() })?;
    let mut attempts = EPOCH_ATTEMPTS;
    let (segments, found, verdict, epoch) = loop {
        let segments = segment::list(dir).map_err(OpenError::io("list", dir))?;
        let Some(found) = examine(dir, &segments)? else {
            remove_all(dir, &segments)?;
            return create(dir, new_segment_bytes, blocks);
        };
        let verdict = found.scan.verdict();
        if verdict == Verdict::Corrupt {
            return Err(found.corrupt(dir));
        }
        let epoch = next_epoch(&found.scan);
        if !found.scan.tail_begun {
            break (segments, found, verdict, epoch);
        }
        epoch::store(dir, found.scan.walk.tail.segment, epoch)?;
        // A writer that the lock did not keep away may have committed between scan and store.
        if !epoch::has_moved(dir, &found.scan, found.segment_bytes)? {
            break (segments, found, verdict, epoch);
        }
        attempts -= 1;
        if attempts == 0 {
            return Err(OpenError::InUse { dir: dir.into(), pid: "of unknown id".into() });
        }
    };
    let torn = match verdict {
        Verdict::Torn => Some(cut(dir, &found, &segments)?),
        _ => None,
    };
    let state = found.state(torn, epoch);
    make_whole(dir, &state)?;
    make_durable(dir, &found, &state)?;
    Ok(state)
}

fn next_epoch(scan: &Scan) -> u32 {
    scan.epoch.checked_add(1).expect("no journal is opened four billion times")
}

pub(crate) fn map_tail(dir: &Path, state: &State) -> Result<Map, OpenError> {
    let index = state.tail.get() / state.segment_bytes;
    segment::open_writable(dir, index)
        .and_then(|file| segment::map_prepared(&file, state.segment_bytes))
        .map_err(OpenError::io("map", segment::path(dir, index)))
}

/// A directory with segments, walked to the end.
pub(crate) struct Found {
    pub segment_bytes: u64,
    pub base: u64,
    pub first_sequence: u64,
    pub scan: Scan,
}

/// Reads all segments. `None`: there is none, or only zeros of a creation that was interrupted.
pub(crate) fn examine(dir: &Path, segments: &[u64]) -> Result<Option<Found>, OpenError> {
    let Some(&base) = segments.first() else { return Ok(None) };
    let Some((segment_bytes, chain)) = first_header(dir, base)? else {
        if all_zero(dir, segments)? {
            return Ok(None);
        }
        return Err(corrupt(dir, base, 0, 0, "the first segment has no good header"));
    };
    let mut scan = Scan::new(segment_bytes, segments.len() as u64, base, chain);
    let mut image = vec![0; segment_bytes as usize];
    for (index, &found) in (base..).zip(segments) {
        if found != index {
            return Err(missing(dir, index, &scan));
        }
        let file_bytes = segment::read_image(dir, index, &mut image)?;
        scan.segment(index, &image, file_bytes).map_err(|found| OpenError::VersionMismatch {
            file: segment::path(dir, index),
            found,
        })?;
    }
    if scan.stop.is_none() {
        // The last segment ends with END, so the next was there once.
        return Err(missing(dir, base + segments.len() as u64, &scan));
    }
    Ok(Some(Found { segment_bytes, base, first_sequence: chain.next_sequence, scan }))
}

impl Found {
    pub fn corrupt(&self, dir: &Path) -> OpenError {
        let at = self.scan.stop.expect("a verdict needs a stop");
        let last = self.scan.walk.chain.last_sequence();
        corrupt(dir, at.segment, at.offset as u64, last, describe(&at))
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
pub(crate) fn first_header(dir: &Path, base: u64) -> Result<Option<(u64, Chain)>, OpenError> {
    let page = segment::read_page(dir, base)?;
    match SegmentHeader::read(&page) {
        Ok(header) if base == 0 => Ok(Some((header.segment_bytes.get(), Chain::GENESIS))),
        Ok(header) if header.first_sequence.get() == 0 => Ok(None),
        Ok(header) => Ok(Some((header.segment_bytes.get(), Chain::of(&header)))),
        Err(HeaderFault::Version(found)) => {
            Err(OpenError::VersionMismatch { file: segment::path(dir, base), found })
        }
        Err(HeaderFault::Damaged(_)) if base == 0 => {
            let path = segment::path(dir, base);
            let len = fs::metadata(&path).map_err(OpenError::io("read", &path))?.len();
            Ok(segment_bytes_valid(len).then_some((len, Chain::GENESIS)))
        }
        Err(_) => Ok(None),
    }
}

fn all_zero(dir: &Path, segments: &[u64]) -> Result<bool, OpenError> {
    let mut buffer = vec![0; 1 << 20];
    for &index in segments {
        let path = segment::path(dir, index);
        let file = File::open(&path).map_err(OpenError::io("open", &path))?;
        let mut offset = 0;
        loop {
            let read = file.read_at(&mut buffer, offset).map_err(OpenError::io("read", &path))?;
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
fn create(dir: &Path, segment_bytes: u64, blocks: Blocks) -> Result<State, OpenError> {
    for index in 0..2 {
        if let Err(source) = segment::create(dir, index, segment_bytes, blocks) {
            remove_all(dir, &(0..index).collect::<Vec<_>>())?;
            return Err(create_error(dir, 2 * segment_bytes, source));
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

fn create_error(dir: &Path, needed: u64, source: io::Error) -> OpenError {
    let dir = PathBuf::from(dir);
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

/// Cuts the torn tail, so that an interruption at any point leaves something that is recognised as
/// torn again: the bytes are put aside; what is left of the first group is marked uncommitted, so
/// that its members prove nothing; the last segment is zeroed first, and the mark last.
fn cut(dir: &Path, found: &Found, segments: &[u64]) -> Result<Torn, OpenError> {
    let tail = found.scan.walk.tail;
    // A header that is no good goes with the frames it should have announced.
    let from = if found.scan.tail_begun { tail.offset as u64 } else { 0 };
    let start = |index| if index == tail.segment { from } else { 0 };
    let concerned = segments.iter().rev().filter(|&&index| index >= tail.segment);
    let mut used = Vec::new();
    let mut bytes_cut = 0;
    for &index in concerned {
        let bytes = put_aside(dir, index, start(index))?;
        if bytes > 0 || index == tail.segment {
            used.push(index);
        }
        bytes_cut += bytes;
    }
    if found.scan.tail_begun {
        mark_uncommitted(dir, tail.segment, from)?;
    }
    for index in used {
        zero_from(dir, index, start(index), found.segment_bytes)?;
    }
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
        dir.display(),
        torn.last_good_sequence
    );
    Ok(torn)
}

/// Copies what is behind `from` in a segment, up to the last byte that isn't zero, to a file of its
/// own. Returns the bytes copied.
fn put_aside(dir: &Path, index: u64, from: u64) -> Result<u64, OpenError> {
    let path = segment::path(dir, index);
    let bytes = fs::read(&path).map_err(OpenError::io("read", &path))?;
    let rest = bytes.get(from as usize..).unwrap_or(&[]);
    let Some(last) = rest.iter().rposition(|&byte| byte != 0) else { return Ok(0) };
    let aside = unused_name(dir, index, from);
    fs::write(&aside, &rest[..=last])
        .and_then(|()| File::open(&aside)?.sync_all())
        .and_then(|()| segment::sync_dir(dir))
        .map_err(OpenError::io("put torn bytes aside in", &aside))?;
    Ok(last as u64 + 1)
}

/// The same place can be torn again by a later run; its bytes are kept as well.
fn unused_name(dir: &Path, index: u64, from: u64) -> PathBuf {
    let mut path = dir.join(format!("torn-{index}-{from}.bin"));
    for copy in 1.. {
        if !path.exists() {
            break;
        }
        path = dir.join(format!("torn-{index}-{from}.{copy}.bin"));
    }
    path
}

pub(crate) fn mark_uncommitted(dir: &Path, index: u64, offset: u64) -> Result<(), OpenError> {
    let mark = || {
        let file = segment::open_writable(dir, index)?;
        let mut len = [0; 4];
        // Nothing there, not even a length: nothing to mark.
        if file.read_at(&mut len, offset)? == len.len() && len != [0; 4] {
            let len = u32::from_le_bytes(len) | UNCOMMITTED;
            file.write_all_at(&len.to_le_bytes(), offset)?;
            file.sync_data()?;
        }
        Ok(())
    };
    mark().map_err(OpenError::io("cut the torn tail of", segment::path(dir, index)))
}

/// Zeros a segment from an offset on, the word there last.
pub(crate) fn zero_from(
    dir: &Path,
    index: u64,
    from: u64,
    segment_bytes: u64,
) -> Result<(), OpenError> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    let path = segment::path(dir, index);
    let zero = || {
        let file = segment::open_writable(dir, index)?;
        let end = file.metadata()?.len().min(segment_bytes);
        let mut offset = from + 8;
        while offset < end {
            let bytes = ZEROS.len().min((end - offset) as usize);
            file.write_all_at(&ZEROS[..bytes], offset)?;
            offset += bytes as u64;
        }
        file.sync_data()?;
        if from < end {
            file.write_all_at(&ZEROS[..8.min((end - from) as usize)], from)?;
        }
        file.sync_data()
    };
    zero().map_err(OpenError::io("cut the torn tail of", path))
}

/// Gives the tail's segment its length and its blocks back, if the file was cut short.
fn make_whole(dir: &Path, state: &State) -> Result<(), OpenError> {
    let index = state.tail.get() / state.segment_bytes;
    let path = segment::path(dir, index);
    let file = segment::open_writable(dir, index).map_err(OpenError::io("open", &path))?;
    let set = || {
        file.set_len(state.segment_bytes)?;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, state.segment_bytes)?;
        file.sync_all()
    };
    set().map_err(|source| create_error(dir, state.segment_bytes, source))
}

/// Syncs what only the page cache may have had, and marks it.
fn make_durable(dir: &Path, found: &Found, state: &State) -> Result<(), OpenError> {
    let tail = found.scan.walk.tail;
    let first = (found.scan.durable.get() / state.segment_bytes).clamp(found.base, tail.segment);
    for index in first..=tail.segment {
        let bytes = match index == tail.segment {
            true if !state.tail_begun => continue,
            true => tail.offset as u64,
            false => state.segment_bytes,
        };
        let mark = || {
            let file = segment::open_writable(dir, index)?;
            file.sync_all()?;
            file.write_all_at(&durable_word(bytes).to_le_bytes(), DURABLE_OFFSET as u64)?;
            file.sync_data()
        };
        mark().map_err(OpenError::io("sync", segment::path(dir, index)))?;
    }
    Ok(())
}

fn remove_all(dir: &Path, segments: &[u64]) -> Result<(), OpenError> {
    for &index in segments {
        let path = segment::path(dir, index);
        fs::remove_file(&path).map_err(OpenError::io("remove", &path))?;
    }
    Ok(())
}

pub(crate) fn missing(dir: &Path, index: u64, scan: &Scan) -> OpenError {
    OpenError::MissingSegment {
        file: segment::path(dir, index),
        last_good_sequence: scan.walk.chain.last_sequence(),
    }
}

fn corrupt(dir: &Path, index: u64, offset: u64, last: u64, what: &'static str) -> OpenError {
    OpenError::Corrupt {
        dir: dir.into(),
        file: segment::path(dir, index),
        offset,
        last_good_sequence: last,
        what,
    }
}
