//! Segment files: names, listing, preparing, reading into memory.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::OpenError;
use crate::format::{
    DURABLE_OFFSET, END_BYTES, FRAME_BYTES_MAX, HEADER_BYTES, HeaderFault, SegmentHeader, read_u64,
};
use crate::map::Map;
use crate::scan::{Parts, Scan};
use crate::storage::{Blocks, Placement, Storage};

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

pub(crate) fn name(index: u64) -> String {
    format!("{index:010}.seg")
}

/// What messages call the segment.
pub(crate) fn path(storage: &dyn Storage, index: u64) -> PathBuf {
    storage.dir().join(name(index))
}

/// The segments that a directory holds, ascending: index and name.
///
/// # Errors
/// When the directory can't be read.
pub fn segment_files(storage: &dyn Storage) -> Result<Vec<(u64, String)>, OpenError> {
    Ok(list(storage)?.into_iter().map(|index| (index, name(index))).collect())
}

/// The indices of all segments, ascending.
pub(crate) fn list(storage: &dyn Storage) -> Result<Vec<u64>, OpenError> {
    let names = storage.names().map_err(OpenError::io("list", storage.dir()))?;
    let mut indices: Vec<u64> = names.iter().filter_map(|name| index_of(name)).collect();
    indices.sort_unstable();
    Ok(indices)
}

/// Other names are not ours to judge: torn bytes put aside, half prepared files, notes.
fn index_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let ours = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
    ours.then(|| digits.parse().ok())?
}

/// Creates segment `index` full of zeros, with its blocks on the disk and its name in the
/// directory before it returns; `pause` as in [`Storage::create_zeros`].
pub(crate) fn create(
    storage: &dyn Storage,
    index: u64,
    segment_bytes: u64,
    blocks: Blocks,
    pause: Duration,
) -> io::Result<()> {
    create_whole(storage, &name(index), |temporary| {
        storage.create_zeros(temporary, segment_bytes, blocks, pause)
    })
}

/// Behind the name of a file that is being made.
pub(crate) const UNFINISHED: &str = ".tmp";

/// Creates a file that is there whole or not at all: `create` builds it under a temporary name. It
/// is durable on return.
///
/// # Errors
/// When the system refuses; a file that had the name is as it was.
pub fn create_whole(
    storage: &dyn Storage,
    name: &str,
    create: impl FnOnce(&str) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = format!("{name}{UNFINISHED}");
    let created = create(&temporary)
        .and_then(|()| storage.sync(&temporary))
        .and_then(|()| storage.rename(&temporary, name))
        .and_then(|()| storage.sync_dir());
    if created.is_err() {
        // Gives the blocks back; when that fails too the next attempt truncates the file.
        let _ = storage.remove(&temporary);
    }
    created
}

/// Maps segment `index` for the writer. Behind `filled` it has only zeros.
pub(crate) fn map(
    storage: &dyn Storage,
    index: u64,
    segment_bytes: u64,
    placement: Placement,
    filled: u64,
) -> io::Result<Map> {
    let (name, len) = (name(index), segment_bytes as usize);
    match placement {
        Placement::InFile => storage.map_writable(&name, len),
        Placement::InMemory => storage.map_beside(&name, len, filled as usize),
    }
}

/// As [`map`], with all pages present.
pub(crate) fn map_prepared(
    storage: &dyn Storage,
    index: u64,
    segment_bytes: u64,
    placement: Placement,
    filled: u64,
) -> io::Result<Map> {
    let map = map(storage, index, segment_bytes, placement, filled)?;
    map.populate(0, map.len())?;
    Ok(map)
}

/// The first page of a segment; bytes a short file lacks are zeros.
pub(crate) fn read_page(
    storage: &dyn Storage,
    index: u64,
) -> Result<[u8; HEADER_BYTES], OpenError> {
    let mut page = [0; HEADER_BYTES];
    storage
        .read_at(&name(index), &mut page, 0)
        .map_err(OpenError::io("read", path(storage, index)))?;
    Ok(page)
}

/// The first page of segment `index`, judged.
pub(crate) fn read_header(
    storage: &dyn Storage,
    index: u64,
) -> Result<Result<SegmentHeader, HeaderFault>, OpenError> {
    Ok(SegmentHeader::read(&read_page(storage, index)?))
}

/// Length of a segment's file.
pub(crate) fn file_bytes(storage: &dyn Storage, index: u64) -> Result<u64, OpenError> {
    storage.file_len(&name(index)).map_err(OpenError::io("read", path(storage, index)))
}

/// The header of segment `index`; `Unused` when it was never begun.
pub(crate) fn read_info(
    storage: &dyn Storage,
    index: u64,
) -> Result<Result<SegmentInfo, HeaderFault>, OpenError> {
    let page = read_page(storage, index)?;
    Ok(SegmentHeader::read(&page).map(|header| {
        let durable = crate::format::durable_bytes(read_u64(&page, DURABLE_OFFSET));
        SegmentInfo::new(&header, durable.unwrap_or(0))
    }))
}

/// Reads segment `index` into `image`, which has a segment's length. Returns the file's length;
/// bytes a short file lacks are zeros.
pub(crate) fn read_image(
    storage: &dyn Storage,
    index: u64,
    image: &mut [u8],
) -> Result<u64, OpenError> {
    let read = storage
        .read_at(&name(index), image, 0)
        .map_err(OpenError::io("read", path(storage, index)))?;
    image[read..].fill(0);
    file_bytes(storage, index)
}

/// Bytes that are read at once of a segment that may be full and all right: they stay in the
/// processor's caches from one part to the next.
const PART_BYTES: usize = 256 * 1024;

const _: () = assert!(PART_BYTES >= FRAME_BYTES_MAX + END_BYTES && PART_BYTES >= HEADER_BYTES);

/// Takes a segment into a scan by parts, if it is full and all is right with it: see
/// [`Scan::full_segment`]. False: read its [image](read_image).
pub(crate) fn take_full(
    storage: &dyn Storage,
    index: u64,
    scan: &mut Scan,
) -> Result<bool, OpenError> {
    let file_bytes = file_bytes(storage, index)?;
    let buffer = vec![0; PART_BYTES];
    let mut parts = FileParts { storage, name: name(index), bytes: scan.segment_bytes(), buffer };
    scan.full_segment(index, file_bytes, &mut parts)
        .map_err(OpenError::io("read", path(storage, index)))
}

/// A segment's file, read by parts.
struct FileParts<'a> {
    storage: &'a dyn Storage,
    name: String,
    /// Length of the segment.
    bytes: usize,
    buffer: Vec<u8>,
}

impl Parts for FileParts<'_> {
    fn at(&mut self, offset: usize) -> io::Result<&[u8]> {
        let part = &mut self.buffer[..PART_BYTES.min(self.bytes - offset)];
        let read = self.storage.read_at(&self.name, part, offset as u64)?;
        part[read..].fill(0);
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::format::PAYLOAD_MAX;
    use crate::scan::Chain;
    use crate::{FileStorage, Options, open_stepped};

    /// Several parts.
    const SEGMENT_BYTES: u64 = 4 * PART_BYTES as u64;
    const SEGMENTS: u64 = 3;

    /// What a scan tells of all segments, and how many of them it took by parts.
    fn scan(storage: &dyn Storage, by_parts: bool) -> (String, u32) {
        let mut scan = Scan::new(SEGMENT_BYTES, SEGMENTS, 0, Chain::GENESIS);
        let mut image = vec![0; SEGMENT_BYTES as usize];
        let mut taken = 0;
        for index in 0..SEGMENTS {
            if by_parts && take_full(storage, index, &mut scan).unwrap() {
                taken += 1;
                continue;
            }
            let file_bytes = read_image(storage, index, &mut image).unwrap();
            scan.segment(index, &image, file_bytes).unwrap();
        }
        let told = (scan.stop, scan.verdict(), scan.tail(), scan.durable, scan.epoch);
        (format!("{told:?} {} {:?}", scan.tail_begun, scan.walk.tail), taken)
    }

    /// Frames of all sizes, so that they lie across the ends of parts in every way, and every kind of
    /// damage: a byte that is another, a sector that is gone.
    #[test]
    fn parts_tell_what_the_whole_tells() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Arc::new(FileStorage::new(dir.path()));
        let options = Options { segment_bytes: SEGMENT_BYTES, ..Options::default() };
        let (mut writer, _, helpers) = open_stepped(storage.clone(), options).unwrap();
        let payload = [7; PAYLOAD_MAX];
        // With this seed a segment ends with a whole group.
        let mut random = 3_u64;
        let mut next = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) as usize % below
        };
        while writer.position().get() < SEGMENT_BYTES * 5 / 2 {
            for _ in 0..=next(3) {
                let len = if next(50) == 0 { next(PAYLOAD_MAX + 1) } else { next(300) };
                writer.append(1, writer.next_sequence(), 1, &payload[..len]);
            }
            writer.commit();
            helpers.step_preparer();
            helpers.step_syncer();
        }
        drop(writer);

        let (whole, _) = scan(&*storage, false);
        assert_eq!(scan(&*storage, true), (whole.clone(), 2));
        let mut differ = 0;
        for trial in 0..80 {
            let place = match trial {
                // The last byte of a full segment, behind its END.
                0 | 1 => (trial + 1) * SEGMENT_BYTES - 1,
                // The header behind one.
                2 => 2 * SEGMENT_BYTES + 32,
                _ => next((SEGMENT_BYTES * SEGMENTS) as usize) as u64,
            };
            let (file, offset) = (name(place / SEGMENT_BYTES), place % SEGMENT_BYTES);
            let len = if trial % 2 == 0 || trial < 2 {
                1
            } else {
                512.min(SEGMENT_BYTES - offset) as usize
            };
            let mut kept = vec![0; len];
            storage.read_at(&file, &mut kept, offset).unwrap();
            let damage: Vec<u8> =
                kept.iter().map(|byte| if len == 1 { byte ^ 4 } else { 0 }).collect();
            storage.write_all_at(&file, &damage, offset).unwrap();
            let (told, _) = scan(&*storage, false);
            assert_eq!(scan(&*storage, true).0, told, "{len} bytes at {offset} of {file}");
            differ += u32::from(told != whole);
            storage.write_all_at(&file, &kept, offset).unwrap();
        }
        assert!(differ > 40, "{differ}");
    }
}
