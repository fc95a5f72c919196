//! Snapshots: what somebody has made of the frames up to a place in the journal, kept beside its
//! segments so that nobody has to read from the first frame again. What that is stays the affair of
//! whoever writes it; here it is bytes.
//!
//! ```text
//! directory   ...   snapshot-<sequence, 20 digits>.snap
//!
//! snapshot    0            72                     72 + payload_len
//!             +------------+----------------------+
//!             | header     | payload              |
//!             +------------+----------------------+
//!
//! header      0        8         12           16         24         32        40
//!             +--------+---------+------------+----------+----------+---------+
//!             | magic  | version | header_len | sequence | position | time_ns |
//!             +--------+---------+------------+----------+----------+---------+
//!             40             48              56            64            68           72
//!             +--------------+---------------+-------------+-------------+------------+
//!             | running_hash | segment_bytes | payload_len | payload_crc | header_crc |
//!             +--------------+---------------+-------------+-------------+------------+
//! ```
//!
//! `sequence` and `time_ns` are those of the last frame covered, `position` is where it ends, and
//! `running_hash` the journal's hash behind it. A snapshot is built under a temporary name and
//! renamed when its bytes are on the disk, so it is there whole or not at all.

use std::path::{Path, PathBuf};

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::error::{OpenError, SnapshotError};
use crate::format::{Position, segment_bytes_valid};
use crate::storage::Storage;
use crate::{recover, segment};

/// The version of the layout this package writes, and the only one it reads.
pub const SNAPSHOT_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"IRONSNAP";
const HEADER_BYTES: usize = 72;
const PREFIX: &str = "snapshot-";
const SUFFIX: &str = ".snap";
/// Digits of a sequence in a name, so that names sort as sequences do.
const DIGITS: usize = 20;

/// A place in a journal, with what proves that a journal is the one it was taken from.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Sequence of the last frame before it.
    pub sequence: u64,
    /// Where that frame ends, which is the end of a group.
    pub position: Position,
    /// The journal's running hash there.
    pub running_hash: u64,
    /// Bytes of the journal's segments.
    pub segment_bytes: u64,
}

impl Checkpoint {
    /// The segment that holds it: the oldest one needed to go on from there.
    pub fn segment(&self) -> u64 {
        self.position.get() / self.segment_bytes
    }
}

/// A snapshot that was read and is as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The place in the journal up to which it tells.
    pub checkpoint: Checkpoint,
    /// Time of the last frame before that, in ns.
    pub time_ns: u64,
    /// What was written.
    pub payload: Vec<u8>,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Copy, Clone)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: U32,
    header_len: U32,
    sequence: U64,
    position: U64,
    time_ns: U64,
    running_hash: U64,
    segment_bytes: U64,
    payload_len: U64,
    payload_crc: U32,
    /// CRC32C of everything before it.
    header_crc: U32,
}

const _: () = assert!(size_of::<Header>() == HEADER_BYTES);

/// Where the snapshot of a sequence is kept.
pub fn path(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(name(sequence))
}

pub(crate) fn name(sequence: u64) -> String {
    format!("{PREFIX}{sequence:0width$}{SUFFIX}", width = DIGITS)
}

/// The sequences of all snapshots in a directory, ascending. None is looked into.
///
/// # Errors
/// When the directory can't be read.
pub fn list(storage: &dyn Storage) -> Result<Vec<u64>, SnapshotError> {
    Ok(sequences(&names(storage)?))
}

/// The sequences of the snapshots among these files, ascending.
pub(crate) fn sequences(names: &[String]) -> Vec<u64> {
    let mut sequences: Vec<_> = names.iter().filter_map(|name| sequence_of(name)).collect();
    sequences.sort_unstable();
    sequences
}

/// Reads a snapshot and checks every byte of it.
///
/// # Errors
/// What is wrong, in which file.
pub fn read(storage: &dyn Storage, sequence: u64) -> Result<Snapshot, SnapshotError> {
    let (name, file) = (name(sequence), path(storage.dir(), sequence));
    let read = || {
        let mut bytes = vec![0; storage.file_len(&name)? as usize];
        let count = storage.read_at(&name, &mut bytes, 0)?;
        bytes.truncate(count);
        Ok(bytes)
    };
    let mut bytes = read().map_err(SnapshotError::io("read", &file))?;
    let header = check(&bytes, sequence, &file)?;
    bytes.drain(..HEADER_BYTES);
    Ok(Snapshot {
        checkpoint: Checkpoint {
            sequence,
            position: Position::new(header.position.get()),
            running_hash: header.running_hash.get(),
            segment_bytes: header.segment_bytes.get(),
        },
        time_ns: header.time_ns.get(),
        payload: bytes,
    })
}

/// Writes a snapshot; on return it survives a power failure. The frames before the checkpoint must do
/// so already, or a power failure leaves a snapshot that nobody can use, and where it takes all frames
/// [`open`](crate::open) refuses the journal as lost.
///
/// # Errors
/// When the system refuses; a snapshot that was there before is as it was.
pub fn write(
    storage: &dyn Storage,
    checkpoint: &Checkpoint,
    time_ns: u64,
    payload: &[u8],
) -> Result<PathBuf, SnapshotError> {
    let (name, file) = (name(checkpoint.sequence), path(storage.dir(), checkpoint.sequence));
    let mut bytes = header(checkpoint, time_ns, payload).as_bytes().to_vec();
    bytes.extend_from_slice(payload);
    segment::create_whole(storage, &name, |unfinished| storage.create(unfinished, &bytes))
        .map_err(SnapshotError::io("write", &file))?;
    Ok(file)
}

/// Removes a snapshot.
///
/// # Errors
/// When the system refuses.
pub fn remove(storage: &dyn Storage, sequence: u64) -> Result<(), SnapshotError> {
    remove_file(storage, &name(sequence))
}

/// Removes what writers of snapshots left that were killed. For whoever holds the journal's lock:
/// then nobody is writing one.
///
/// # Errors
/// When the system refuses.
pub fn remove_unfinished(storage: &dyn Storage) -> Result<(), SnapshotError> {
    for name in names(storage)? {
        if name.strip_suffix(segment::UNFINISHED).and_then(sequence_of).is_some() {
            remove_file(storage, &name)?;
        }
    }
    Ok(())
}

fn remove_file(storage: &dyn Storage, name: &str) -> Result<(), SnapshotError> {
    storage.remove(name).map_err(SnapshotError::io("remove", storage.dir().join(name)))
}

/// Checks that a checkpoint is of the journal in a directory: that good frames lead to it from the start
/// of its segment, and to its sequence and running hash. [`open`](crate::open) checks the same when
/// it starts there.
///
/// # Errors
/// [`OpenError::StartMismatch`] when it is not, others when the segment can't be read.
pub fn check_place(storage: &dyn Storage, checkpoint: &Checkpoint) -> Result<(), OpenError> {
    let segments = segment::list(storage)?;
    recover::locate(storage, &segments, checkpoint).map(drop)
}

fn names(storage: &dyn Storage) -> Result<Vec<String>, SnapshotError> {
    storage.names().map_err(SnapshotError::io("list", storage.dir()))
}

fn sequence_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let plain = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

fn header(checkpoint: &Checkpoint, time_ns: u64, payload: &[u8]) -> Header {
    let mut header = Header {
        magic: MAGIC,
        version: U32::new(SNAPSHOT_VERSION),
        header_len: U32::new(HEADER_BYTES as u32),
        sequence: U64::new(checkpoint.sequence),
        position: U64::new(checkpoint.position.get()),
        time_ns: U64::new(time_ns),
        running_hash: U64::new(checkpoint.running_hash),
        segment_bytes: U64::new(checkpoint.segment_bytes),
        payload_len: U64::new(payload.len() as u64),
        payload_crc: U32::new(crc32c::crc32c(payload)),
        header_crc: U32::new(0),
    };
    header.header_crc = U32::new(header_crc(&header));
    header
}

fn header_crc(header: &Header) -> u32 {
    crc32c::crc32c(&header.as_bytes()[..HEADER_BYTES - 4])
}

/// Judges the bytes of the snapshot that is named after `sequence`.
fn check(bytes: &[u8], sequence: u64, file: &Path) -> Result<Header, SnapshotError> {
    let damaged = |what| SnapshotError::Damaged { file: file.into(), what };
    let Ok((header, payload)) = Header::read_from_prefix(bytes) else {
        return Err(damaged("its header is cut short"));
    };
    if header.magic != MAGIC {
        return Err(damaged("its header has no magic"));
    }
    if header.version.get() != SNAPSHOT_VERSION {
        let found = header.version.get();
        return Err(SnapshotError::VersionMismatch { file: file.into(), found });
    }
    if header.header_crc.get() != header_crc(&header) {
        return Err(damaged("its header fails its CRC"));
    }
    let sizes = header.header_len.get() as usize == HEADER_BYTES
        && segment_bytes_valid(header.segment_bytes.get());
    if !sizes {
        return Err(damaged("its header has impossible sizes"));
    }
    if header.sequence.get() != sequence {
        return Err(damaged("it has the name of another"));
    }
    if header.payload_len.get() != payload.len() as u64 {
        return Err(damaged("bytes are missing or left over"));
    }
    if header.payload_crc.get() != crc32c::crc32c(payload) {
        return Err(damaged("its payload fails its CRC"));
    }
    Ok(header)
}
