//! The bytes on disk, version 1. All integers are little-endian.
//!
//! ```text
//! directory      LOCK   0000000000.seg   0000000001.seg   ...   torn-<segment>-<offset>.bin
//!
//! segment        0            4096                                         segment_bytes
//!                +------------+-------+-------+-- ... --+-------+-----------+
//!                | header     | frame | frame |         | END   | zeros     |
//!                +------------+-------+-------+-- ... --+-------+-----------+
//!                (no END, only zeros, behind the last frame of the journal)
//!
//! header         0        8         12           16        24              32
//!                +--------+---------+------------+---------+---------------+
//!                | magic  | version | header_len | index   | segment_bytes |
//!                +--------+---------+------------+---------+---------------+
//!                32               40           48                          80
//!                +----------------+------------+---------------------------+
//!                | first_sequence | created_ns | build_id (32 bytes)       |
//!                +----------------+------------+---------------------------+
//!                80            88             96                 104          112     124          128
//!                +-------------+--------------+------------------+------------+-------+------------+
//!                | config_hash | running_hash | previous_time_ns | epoch word | zeros | header_crc |
//!                +-------------+--------------+------------------+------------+-------+------------+
//!                128            136                                      4096
//!                +--------------+----------------------------------------+
//!                | durable word | zeros                                  |
//!                +--------------+----------------------------------------+
//!
//! frame          0     4     8          16        24     26      28             32
//!                +-----+-----+----------+---------+------+-------+--------------+---------+-----+
//!                | len | crc | sequence | time_ns | kind | flags | group_frames | payload | pad |
//!                +-----+-----+----------+---------+------+-------+--------------+---------+-----+
//!
//! END            0            4     8
//!                +------------+-----+
//!                | 0x7fffffff | crc |
//!                +------------+-----+
//! ```
//!
//! `len` counts header and payload; zeros pad a frame to a multiple of 8, so `len` and `crc` are
//! one aligned word and become visible together. The top bit of `len` says *uncommitted*; the
//! first frame of a group carries it until the commit clears it, and the frames behind it can't be
//! reached before. `group_frames` is the number of frames in the group in its first frame and zero
//! in the others, so a group whose end never reached the disk is recognised as incomplete.
//! A `len` of that bit alone, in the place of a frame or at the start of a segment, says that
//! recovery was interrupted while it cut what had been there.
//!
//! The *durable word* tells how many bytes of the segment are on the disk for sure. Its lowest bit says
//! that the frames come from memory beside the file, a sync at a time: behind those bytes a part of a
//! group may be there without the rest, and who reads while the writer lives looks at a group whole
//! before believing any of it. Frames that come through the map are visible as whole groups.
//!
//! The *epoch word* names the writer that may write to the segment: each `open` takes one more than
//! the highest epoch of all headers, and stores it in the segment it goes on in and in each that it
//! begins. A writer that finds another's word stops. The word is stored again while others read the
//! header, so its upper half is chosen such that no epoch changes `header_crc`, which covers it like
//! the rest. Programs that know no epochs wrote zeros here, which is epoch 0, and take any epoch
//! they find: the version stays 1.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The version of the layout this package writes, and the only one it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Bytes of a frame before its payload.
pub const FRAME_HEADER_BYTES: usize = 32;
/// Bytes of the largest frame: header, payload and padding.
pub const FRAME_BYTES_MAX: usize = 32 * 1024;
/// Bytes of the largest payload.
pub const PAYLOAD_MAX: usize = FRAME_BYTES_MAX - FRAME_HEADER_BYTES;
/// Bytes of the smallest segment.
pub const SEGMENT_BYTES_MIN: u64 = 64 * 1024;
/// Bytes of the largest segment.
pub const SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

pub(crate) const MAGIC: [u8; 8] = *b"IRONBOOK";
/// Offset of the first frame of a segment; a page, so that frames never share one with the header.
pub(crate) const HEADER_BYTES: usize = 4096;
/// Offset of the durable word: outside the header's CRC, because the syncer keeps storing it.
pub(crate) const DURABLE_OFFSET: usize = 128;
/// What a disk writes whole or not at all.
pub(crate) const SECTOR_BYTES: usize = 512;
/// Offset of the epoch word: in the header's CRC, see the drawing, and not in the cache line that
/// the syncer stores to, so that a writer looks at it for nothing.
pub(crate) const EPOCH_OFFSET: usize = 104;
pub(crate) const UNCOMMITTED: u32 = 1 << 31;
/// Instead of a frame, or of a header: recovery is at work on cutting what was here.
pub(crate) const CUT_LEN: u32 = UNCOMMITTED;
pub(crate) const END_LEN: u32 = UNCOMMITTED - 1;
pub(crate) const END_BYTES: usize = 8;
const SEAL: u32 = 0x9E37_79B1;
/// Modulo 2^32.
const SEAL_INVERSE: u32 = 0x0E8B_2F51;
/// The running hash before the first frame of a journal.
pub(crate) const GENESIS_HASH: u64 = 0;

const _: () = {
    assert!(SEAL.wrapping_mul(SEAL_INVERSE) == 1);
    // The header and its durable word reach the disk together.
    assert!(DURABLE_OFFSET + 8 <= SECTOR_BYTES && HEADER_BYTES.is_multiple_of(SECTOR_BYTES));
    assert!(size_of::<SegmentHeader>() == DURABLE_OFFSET);
    assert!(DURABLE_OFFSET.is_multiple_of(8) && DURABLE_OFFSET + 8 <= HEADER_BYTES);
    assert!(std::mem::offset_of!(SegmentHeader, epoch_word) == EPOCH_OFFSET);
    assert!(EPOCH_OFFSET.is_multiple_of(8) && EPOCH_OFFSET / 64 != DURABLE_OFFSET / 64);
    assert!(FRAME_HEADER_BYTES == size_of::<[u64; 4]>());
    assert!(FRAME_BYTES_MAX.is_multiple_of(8));
    // The largest frame and an END fit the smallest segment.
    assert!(HEADER_BYTES + FRAME_BYTES_MAX + END_BYTES <= SEGMENT_BYTES_MIN as usize);
    // No length of a frame or a segment is mistaken for END, or reaches the uncommitted bit.
    assert!((SEGMENT_BYTES_MAX as usize) < END_LEN as usize);
};

/// A place between two frames: segment index * segment bytes + offset in the segment.
///
/// Positions of one journal compare as the frames follow each other. A frame is durable when the
/// durable position has reached [`Frame::end`](crate::Frame::end).
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Position(u64);

impl Position {
    /// Before the first frame a journal holds, whatever it is.
    pub const START: Position = Position(0);

    /// The position that [`Position::get`] returned.
    pub const fn new(bytes: u64) -> Position {
        Position(bytes)
    }

    /// Bytes from the start of segment 0, for storing and for differences.
    pub const fn get(self) -> u64 {
        self.0
    }

    pub(crate) const fn at(segment: u64, offset: usize, segment_bytes: u64) -> Position {
        Position(segment * segment_bytes + offset as u64)
    }
}

/// Bytes a frame with `payload_bytes` takes in a segment: header, payload and padding.
#[inline]
pub const fn frame_bytes(payload_bytes: usize) -> usize {
    (FRAME_HEADER_BYTES + payload_bytes).next_multiple_of(8)
}

/// The three words of a frame behind `len` and `crc`.
#[derive(Copy, Clone)]
pub(crate) struct FrameHead {
    pub sequence: u64,
    pub time_ns: u64,
    pub kind: u16,
    pub flags: u16,
    pub group_frames: u32,
}

impl FrameHead {
    #[inline]
    pub fn words(&self) -> [u64; 3] {
        let tail =
            u64::from(self.kind) | u64::from(self.flags) << 16 | u64::from(self.group_frames) << 32;
        [self.sequence, self.time_ns, tail]
    }

    /// Reads the words behind `len` and `crc`; `bytes` starts with the frame and holds a header.
    #[inline]
    pub fn read(bytes: &[u8]) -> FrameHead {
        let tail = read_u64(bytes, 24);
        FrameHead {
            sequence: read_u64(bytes, 8),
            time_ns: read_u64(bytes, 16),
            kind: tail as u16,
            flags: (tail >> 16) as u16,
            group_frames: (tail >> 32) as u32,
        }
    }

    /// CRC32C over the header as if `group_frames` were zero, then the payload. `len` seeds it, so
    /// it is covered too. The group's size is not known while its first frame is written: [`seal`]
    /// adds it.
    #[inline]
    pub fn crc(&self, len: u32, payload: &[u8]) -> u32 {
        let words = FrameHead { group_frames: 0, ..*self }.words();
        crate::crc::frame(len, words, payload)
    }
}

/// Mixes the group's size into a frame's CRC. Multiplying by an odd number maps different sizes to
/// different masks, so a flipped size never goes unseen; zero leaves the CRC as it is.
#[inline]
pub(crate) fn seal(crc: u32, group_frames: u32) -> u32 {
    crc ^ group_frames.wrapping_mul(SEAL)
}

/// The group's size with which `crc` was sealed, if it was.
pub(crate) fn sealed_with(sealed: u32, crc: u32) -> u32 {
    (sealed ^ crc).wrapping_mul(SEAL_INVERSE)
}

/// The running hash after a frame whose unsealed CRC is `crc`. For one `crc` it maps different
/// hashes to different hashes, so a difference anywhere in the past stays visible.
#[inline]
pub(crate) fn fold(hash: u64, crc: u32) -> u64 {
    (hash.rotate_left(5) ^ u64::from(crc)).wrapping_mul(0x517C_C1B7_2722_0A95)
}

/// `len` and `crc` as the one word that is stored and loaded atomically.
#[inline]
pub(crate) fn word(len: u32, crc: u32) -> u64 {
    u64::from(len) | u64::from(crc) << 32
}

#[inline]
pub(crate) fn word_len(word: u64) -> u32 {
    word as u32
}

#[inline]
pub(crate) fn word_crc(word: u64) -> u32 {
    (word >> 32) as u32
}

/// The END word behind the frame before `next_sequence`.
pub(crate) fn end_word(next_sequence: u64) -> u64 {
    word(END_LEN, crc32c::crc32c_append(END_LEN, &next_sequence.to_le_bytes()))
}

/// Beside the bytes in a durable word, which are a multiple of eight.
const BESIDE: u32 = 1;

/// The durable word: bytes of the segment known durable, and a check over them. Zero: none.
pub(crate) fn durable_word(bytes: u64) -> u64 {
    checked_word(bytes as u32)
}

/// The same in a segment whose frames come from memory beside it.
pub(crate) fn durable_word_beside(bytes: u64) -> u64 {
    checked_word(bytes as u32 | BESIDE)
}

fn checked_word(value: u32) -> u64 {
    if value == 0 { 0 } else { word(value, crc32c::crc32c(&value.to_le_bytes())) }
}

/// The bytes a durable word stands for; `None` when the word is damaged.
pub(crate) fn durable_bytes(word: u64) -> Option<u64> {
    let value = word_len(word);
    (checked_word(value) == word).then_some((value & !BESIDE).into())
}

/// The bytes a durable word stands for, if it says that what is behind them may come in any sequence.
pub(crate) fn durable_bytes_beside(word: u64) -> Option<u64> {
    durable_bytes(word).filter(|_| word_len(word) & BESIDE != 0)
}

/// The epoch word: the epoch and its CRC32C without the usual inversions, which makes the word a
/// multiple of the CRC's polynomial. So the CRC of bytes that hold it is the same for every epoch.
pub(crate) fn epoch_word(epoch: u32) -> u64 {
    word(epoch, !crc32c::crc32c_append(!0, &epoch.to_le_bytes()))
}

/// In place of an epoch word: no epoch has it.
pub(crate) const NO_EPOCH: u64 = u64::MAX;

/// The epoch a word stands for; `None` when the word is damaged.
pub(crate) fn epoch_of(word: u64) -> Option<u32> {
    let epoch = word_len(word);
    (epoch_word(epoch) == word).then_some(epoch)
}

/// The little-endian u64 at `offset`. Panics when it isn't inside `bytes`.
#[inline]
pub(crate) fn read_u64(bytes: &[u8], offset: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(raw)
}

/// What starts every segment; see the drawing above.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Copy, Clone)]
#[repr(C)]
pub(crate) struct SegmentHeader {
    pub magic: [u8; 8],
    pub version: U32,
    /// Bytes up to the durable word.
    pub header_len: U32,
    pub index: U64,
    pub segment_bytes: U64,
    /// The sequence number of the segment's first frame.
    pub first_sequence: U64,
    /// Wall clock when the segment was begun, ns since 1970.
    pub created_ns: U64,
    /// Build and configuration of the process that began the segment.
    pub build_id: [u8; 32],
    pub config_hash: U64,
    /// Over all frames before this segment, see [`fold`].
    pub running_hash: U64,
    /// Time of the last frame before this segment, so that monotonic time is checked without it.
    pub previous_time_ns: U64,
    /// Of the writer that may write to the segment, see [`epoch_word`].
    pub epoch_word: U64,
    pub reserved: [u8; 12],
    /// CRC32C of everything before it.
    pub header_crc: U32,
}

impl SegmentHeader {
    pub fn seal(mut self) -> SegmentHeader {
        self.header_crc = U32::new(self.computed_crc());
        self
    }

    fn computed_crc(&self) -> u32 {
        crc32c::crc32c(&self.as_bytes()[..DURABLE_OFFSET - 4])
    }

    /// Judges the first [`HEADER_BYTES`] of a segment by themselves.
    pub fn read(page: &[u8]) -> Result<SegmentHeader, HeaderFault> {
        if page[..HEADER_BYTES].iter().all(|&byte| byte == 0) {
            return Err(HeaderFault::Unused);
        }
        let Ok((header, _)) = SegmentHeader::read_from_prefix(page) else {
            return Err(HeaderFault::Damaged("segment header is cut short"));
        };
        if header.magic != MAGIC {
            return Err(HeaderFault::Damaged("segment header has no magic"));
        }
        match header.version.get() {
            FORMAT_VERSION => {}
            // No program's: it is not there.
            0 => return Err(HeaderFault::Damaged("segment header has no version")),
            other => return Err(HeaderFault::Version(other)),
        }
        if header.header_crc.get() != header.computed_crc() {
            return Err(HeaderFault::Damaged("segment header fails its CRC"));
        }
        header.check(page)
    }

    /// Of the writer that may write to the segment; the word of a header that was read is good.
    pub fn epoch(&self) -> u32 {
        word_len(self.epoch_word.get())
    }

    fn check(self, page: &[u8]) -> Result<SegmentHeader, HeaderFault> {
        let bytes = self.segment_bytes.get();
        if !segment_bytes_valid(bytes) || self.header_len.get() as usize != DURABLE_OFFSET {
            return Err(HeaderFault::Damaged("segment header has impossible sizes"));
        }
        match durable_bytes(read_u64(page, DURABLE_OFFSET)) {
            Some(durable) if durable <= bytes => {}
            _ => return Err(HeaderFault::Damaged("durable word fails its check")),
        }
        if epoch_of(self.epoch_word.get()).is_none() {
            return Err(HeaderFault::Damaged("epoch word fails its check"));
        }
        if page[DURABLE_OFFSET + 8..HEADER_BYTES].iter().any(|&byte| byte != 0) {
            return Err(HeaderFault::Damaged("bytes behind the segment header are not zero"));
        }
        Ok(self)
    }
}

/// Why a segment's first page is no header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// All zeros: prepared, never begun.
    Unused,
    /// Another format version.
    Version(u32),
    Damaged(&'static str),
}

pub(crate) fn segment_bytes_valid(bytes: u64) -> bool {
    bytes.is_power_of_two() && (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durable_word_finds_every_flipped_bit() {
        for bytes in [8, HEADER_BYTES as u64, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX] {
            let (in_file, beside) = (durable_word(bytes), durable_word_beside(bytes));
            assert_eq!(durable_bytes_beside(in_file), None);
            assert_eq!(durable_bytes_beside(beside), Some(bytes));
            for word in [in_file, beside] {
                assert_eq!(durable_bytes(word), Some(bytes));
                for bit in 0..64 {
                    assert_eq!(durable_bytes(word ^ 1 << bit), None, "{bytes} bit {bit}");
                }
            }
        }
        assert_eq!((durable_bytes(0), durable_bytes_beside(0)), (Some(0), None));
        assert_eq!(durable_bytes_beside(durable_word_beside(0)), Some(0));
    }

    #[test]
    fn epoch_word_leaves_the_header_crc_as_it_is_and_finds_every_flipped_bit() {
        let header = SegmentHeader::read_from_bytes(&[0x5A; DURABLE_OFFSET]).unwrap();
        let with = |word| SegmentHeader { epoch_word: U64::new(word), ..header }.computed_crc();
        assert_eq!(epoch_word(0), 0);
        assert_eq!(epoch_of(NO_EPOCH), None);
        for epoch in [1, 2, 255, 0x8000_0000, u32::MAX] {
            let word = epoch_word(epoch);
            assert_eq!(epoch_of(word), Some(epoch));
            assert_eq!(with(word), with(0), "epoch {epoch}");
            for bit in 0..64 {
                assert_eq!(epoch_of(word ^ 1 << bit), None, "{epoch} bit {bit}");
                assert_ne!(with(word ^ 1 << bit), with(0), "{epoch} bit {bit}");
            }
        }
    }

    #[test]
    fn frame_crc_covers_length_header_group_and_payload() {
        let head = FrameHead { sequence: 7, time_ns: 9, kind: 3, flags: 0, group_frames: 2 };
        let good = seal(head.crc(36, b"abcd"), head.group_frames);
        let other = [
            seal(head.crc(37, b"abcd"), 2),
            seal(head.crc(36, b"abce"), 2),
            seal(FrameHead { sequence: 6, ..head }.crc(36, b"abcd"), 2),
            seal(FrameHead { time_ns: 8, ..head }.crc(36, b"abcd"), 2),
            seal(FrameHead { kind: 2, ..head }.crc(36, b"abcd"), 2),
            seal(FrameHead { flags: 1, ..head }.crc(36, b"abcd"), 2),
            seal(head.crc(36, b"abcd"), 3),
            seal(head.crc(36, b"abcd"), 0),
        ];
        assert!(other.iter().all(|&crc| crc != good));
    }

    #[test]
    fn frame_bytes_pads_to_eight() {
        assert_eq!([0, 1, 8, 9].map(frame_bytes), [32, 40, 40, 48]);
        assert_eq!(frame_bytes(PAYLOAD_MAX), FRAME_BYTES_MAX);
    }
}
