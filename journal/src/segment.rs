//! Segment files: names, listing, preparing, reading into memory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FallocateFlags;

use crate::error::OpenError;
use crate::format::{
    DURABLE_OFFSET, HEADER_BYTES, HeaderFault, SEGMENT_BYTES_MIN, SegmentHeader, read_u64,
};
use crate::map::Map;

/// Written at a time when a segment is filled with zeros; divides every segment size.
const ZEROS_BYTES: usize = 64 * 1024;
const _: () = assert!(SEGMENT_BYTES_MIN.is_multiple_of(ZEROS_BYTES as u64));

/// What a segment's header says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// 0 for the first segment of a journal.
    pub index: u64,
    /// Bytes of the file.
    pub segment_bytes: u64,
    /// The sequence number of the segment's first frame.
    pub first_sequence: u64,
    /// Wall clock when the segment was begun, ns since 1970.
    pub created_ns: u64,
    /// Build of the process that began the segment.
    pub build_id: [u8; 32],
    /// Configuration of the process that began the segment.
    pub config_hash: u64,
    /// Over all frames before this segment.
    pub running_hash: u64,
    /// Bytes of the segment known durable; the whole segment once it is finished.
    pub durable_bytes: u64,
    /// Epoch of the writer that may write to the segment: one more with each
    /// [`open`](crate::open), 0 for writers that knew no epochs.
    pub epoch: u32,
}

impl SegmentInfo {
    pub(crate) fn new(header: &SegmentHeader, durable_bytes: u64) -> SegmentInfo {
        SegmentInfo {
            index: header.index.get(),
            segment_bytes: header.segment_bytes.get(),
            first_sequence: header.first_sequence.get(),
            created_ns: header.created_ns.get(),
            build_id: header.build_id,
            config_hash: header.config_hash.get(),
            running_hash: header.running_hash.get(),
            durable_bytes,
            epoch: header.epoch(),
        }
    }
}

pub(crate) fn path(dir: &Path, index: u64) -> PathBuf {
    dir.join(format!("{index:010}.seg"))
}

/// The indices of all segments in `dir`, ascending.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let mut indices = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".seg"));
        // Other names are not ours to judge: torn bytes put aside, half prepared files, notes.
        if let Some(digits) = digits
            && digits.len() == 10
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(index) = digits.parse()
        {
            indices.push(index);
        }
    }
    indices.sort_unstable();
    Ok(indices)
}

/// How the blocks of a new segment come to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocks {
    /// Reserved on the disk, to be written with the frames: half the writing, for a journal that is
    /// synced now and then. A sync then also records which blocks are in use.
    Reserved,
    /// Written with zeros and synced, so that a later sync has frames to write and nothing else:
    /// for a journal that is synced all the time.
    Written,
}

impl Blocks {
    /// The better kind for this interval between syncs.
    pub(crate) fn for_interval(interval: Duration) -> Self {
        if interval.is_zero() { Self::Written } else { Self::Reserved }
    }
}

/// Creates segment `index` full of zeros, with its blocks on the disk and its name in the
/// directory before it returns. It is built under a temporary name: a segment is there whole or
/// not at all.
pub(crate) fn create(
    dir: &Path,
    index: u64,
    segment_bytes: u64,
    blocks: Blocks,
) -> io::Result<File> {
    let temporary = dir.join(format!("{index:010}.seg.tmp"));
    let created = create_as(&temporary, segment_bytes, blocks).and_then(|file| {
        fs::rename(&temporary, path(dir, index))?;
        sync_dir(dir)?;
        Ok(file)
    });
    if created.is_err() {
        // Gives the blocks back; when that fails too the next attempt truncates the file.
        let _ = fs::remove_file(&temporary);
    }
    created
}

fn create_as(path: &Path, segment_bytes: u64, blocks: Blocks) -> io::Result<File> {
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, segment_bytes)?;
    if blocks == Blocks::Written {
        let zeros = vec![0; ZEROS_BYTES];
        for _ in 0..segment_bytes / ZEROS_BYTES as u64 {
            file.write_all(&zeros)?;
        }
    }
    file.sync_all()?;
    Ok(file)
}

/// Opens segment `index` for the writer and maps it with all pages present.
pub(crate) fn map_prepared(file: &File, segment_bytes: u64) -> io::Result<Map> {
    let map = Map::writable(file, segment_bytes as usize)?;
    map.populate(0, map.len())?;
    Ok(map)
}

pub(crate) fn open_writable(dir: &Path, index: u64) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path(dir, index))
}

pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The first page of a segment; bytes a short file lacks are zeros.
pub(crate) fn read_page(dir: &Path, index: u64) -> Result<[u8; HEADER_BYTES], OpenError> {
    let mut page = [0; HEADER_BYTES];
    let path = path(dir, index);
    let mut file = File::open(&path).map_err(OpenError::io("open", &path))?;
    read_up_to(&mut file, &mut page).map_err(OpenError::io("read", &path))?;
    Ok(page)
}

/// The first page of segment `index`, judged.
pub(crate) fn read_header(
    dir: &Path,
    index: u64,
) -> Result<Result<SegmentHeader, HeaderFault>, OpenError> {
    Ok(SegmentHeader::read(&read_page(dir, index)?))
}

/// Length of a segment's file.
pub(crate) fn file_bytes(dir: &Path, index: u64) -> Result<u64, OpenError> {
    let path = path(dir, index);
    Ok(fs::metadata(&path).map_err(OpenError::io("read", &path))?.len())
}

/// The header of segment `index`; `Unused` when it was never begun.
pub(crate) fn read_info(
    dir: &Path,
    index: u64,
) -> Result<Result<SegmentInfo, HeaderFault>, OpenError> {
    let page = read_page(dir, index)?;
    Ok(SegmentHeader::read(&page).map(|header| {
        let durable = crate::format::durable_bytes(read_u64(&page, DURABLE_OFFSET));
        SegmentInfo::new(&header, durable.unwrap_or(0))
    }))
}

/// Reads segment `index` into `image`, which has a segment's length. Returns the file's length;
/// bytes a short file lacks are zeros.
pub(crate) fn read_image(dir: &Path, index: u64, image: &mut [u8]) -> Result<u64, OpenError> {
    let path = path(dir, index);
    let mut file = File::open(&path).map_err(OpenError::io("open", &path))?;
    let read = read_up_to(&mut file, image).map_err(OpenError::io("read", &path))?;
    image[read..].fill(0);
    Ok(file.metadata().map_err(OpenError::io("read", &path))?.len())
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
