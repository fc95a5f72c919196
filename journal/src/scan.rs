//! The recovery rules: pure judgement on bytes, without a file.
//!
//! A scan walks the frames of all segments and stops at the first place that is no good frame. The
//! tail is the end of the last whole group before it. What stands at the stop, and whether a valid
//! frame with a later sequence follows anywhere, decides:
//!
//! | the tail is | at the stop | a later valid frame | other bytes | verdict |
//! |---|---|---|---|---|
//! | before the durable position | anything | any | any | Corrupt |
//! | durable position or later | zeros | none | none | Clean |
//! | " | zeros | none | some | Torn |
//! | " | zeros | any | any | Corrupt |
//! | " | uncommitted frame | none, or members of its group | any | Torn |
//! | " | uncommitted frame | first frame of a committed group | any | Corrupt |
//! | " | damaged | none | any | Torn |
//! | " | damaged | any | any | Corrupt |
//! | " | anything stale | any | any | as if none followed |
//!
//! Stale is what the disk had before the last writing: a power failure lets some sectors of a
//! journal reach the disk and others not, in any sequence. A prepared segment is zeros, a sector of
//! it is only ever added to, and a commit changes the first frame of its group. So these are stale:
//! - zeros up to the end of their sector,
//! - an uncommitted frame in whose sector no later group begins,
//! - a damaged frame that lacks a sector altogether, or only the size of its group, if that lies in
//!   a sector behind the one with its length,
//! - a damaged frame with a sector that ends in zeros, of its own or behind it: the disk took the
//!   sector while the frame was written,
//! - a damaged header that has no checksum, for the same reason.
//!
//! A flipped bit of a frame whose last word in a sector is zero anyway is taken for such a sector: behind
//! the durable position alone, in frames that no one was promised to outlive a power failure.
//!
//! Torn is what an interrupted writer leaves and nobody was promised; it may be cut. Corrupt is
//! never touched.

use std::io;
use std::ops::{Range, RangeInclusive};

use zerocopy::little_endian::{U32, U64};

use crate::format::{
    CUT_LEN, DURABLE_OFFSET, END_BYTES, END_LEN, FORMAT_VERSION, FRAME_BYTES_MAX,
    FRAME_HEADER_BYTES, FrameHead, GENESIS_HASH, HEADER_BYTES, HeaderFault, MAGIC, Position,
    SECTOR_BYTES, SegmentHeader, UNCOMMITTED, durable_bytes, end_word, fold, read_u64, seal,
    sealed_with, word_crc, word_len,
};

/// What the next frame continues.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub next_sequence: u64,
    /// Time of the last frame, 0 before the first.
    pub time_ns: u64,
    /// Running hash over all frames so far.
    pub hash: u64,
}

impl Chain {
    pub const GENESIS: Chain = Chain { next_sequence: 1, time_ns: 0, hash: GENESIS_HASH };

    pub fn of(header: &SegmentHeader) -> Chain {
        Chain {
            next_sequence: header.first_sequence.get(),
            time_ns: header.previous_time_ns.get(),
            hash: header.running_hash.get(),
        }
    }

    /// The header of a segment whose frames continue this. Who begins it, and when, is left open, and
    /// it is not sealed.
    pub fn header(&self, index: u64, segment_bytes: u64) -> SegmentHeader {
        SegmentHeader {
            magic: MAGIC,
            version: U32::new(FORMAT_VERSION),
            header_len: U32::new(DURABLE_OFFSET as u32),
            index: U64::new(index),
            segment_bytes: U64::new(segment_bytes),
            first_sequence: U64::new(self.next_sequence),
            created_ns: U64::new(0),
            build_id: [0; 32],
            config_hash: U64::new(0),
            running_hash: U64::new(self.hash),
            previous_time_ns: U64::new(self.time_ns),
            epoch_word: U64::new(0),
            reserved: [0; 12],
            header_crc: U32::new(0),
        }
    }

    pub fn last_sequence(&self) -> u64 {
        self.next_sequence - 1
    }
}

/// Why a walk can't go on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A word of zeros where a frame could begin.
    Empty,
    /// The first frame of a group without its commit.
    Uncommitted,
    Damaged(&'static str),
}

/// The strongest sign behind a stop that frames were committed there. A member's commit is its
/// group's, so a member proves less than a first frame.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Follower {
    None,
    Member,
    Group,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Clean,
    Torn,
    Corrupt,
}

/// The table above.
pub(crate) fn judge(durable: bool, stop: Stop, follower: Follower, residue: bool) -> Verdict {
    if durable {
        return Verdict::Corrupt;
    }
    match (stop, follower) {
        (Stop::Empty, Follower::None) if residue => Verdict::Torn,
        (Stop::Empty, Follower::None) => Verdict::Clean,
        (Stop::Uncommitted, Follower::None | Follower::Member) => Verdict::Torn,
        (Stop::Damaged(_), Follower::None) => Verdict::Torn,
        _ => Verdict::Corrupt,
    }
}

/// Bytes of a frame with padding, if a frame with this `len` can begin at `offset`.
#[inline]
pub(crate) fn frame_extent(len: u32, offset: usize, segment_bytes: usize) -> Option<usize> {
    let len = len as usize;
    if !(FRAME_HEADER_BYTES..=FRAME_BYTES_MAX).contains(&len) {
        return None;
    }
    let bytes = len.next_multiple_of(8);
    (offset + bytes + END_BYTES <= segment_bytes).then_some(bytes)
}

/// Checks a frame by itself. `frame` has its extent, `word` is its first word, committed. Returns
/// its header and its unsealed CRC.
#[inline]
pub(crate) fn check_frame(word: u64, frame: &[u8]) -> Result<(FrameHead, u32), &'static str> {
    let len = word_len(word) as usize;
    let head = FrameHead::read(frame);
    let crc = head.crc(len as u32, &frame[FRAME_HEADER_BYTES..len]);
    if seal(crc, head.group_frames) != word_crc(word) {
        return Err("frame fails its CRC");
    }
    if frame[len..].iter().any(|&byte| byte != 0) {
        return Err("padding behind the frame is not zero");
    }
    if head.flags != 0 {
        return Err("frame has unknown flags");
    }
    Ok((head, crc))
}

/// Bytes of the frame whose first word stands at `offset`, or why no frame is there.
fn extent_at(offset: usize, word: u64, segment_bytes: usize) -> Result<usize, Stop> {
    let len = word_len(word);
    if word == 0 {
        return Err(Stop::Empty);
    }
    if len == CUT_LEN {
        return Err(Stop::Uncommitted);
    }
    match frame_extent(len & !UNCOMMITTED, offset, segment_bytes) {
        None => Err(Stop::Damaged("frame has an impossible length")),
        Some(_) if len & UNCOMMITTED != 0 => Err(Stop::Uncommitted),
        Some(extent) => Ok(extent),
    }
}

/// Where a walk through a part of a segment ends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// At a frame that goes on behind the part, or begins there.
    Next(usize),
    /// At a good END.
    End(usize),
}

/// The end of the last whole group.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Tail {
    pub chain: Chain,
    pub segment: u64,
    pub offset: usize,
}

/// Follows frames from segment to segment.
#[derive(Copy, Clone)]
pub(crate) struct Walk {
    pub chain: Chain,
    /// Frames the group at hand still lacks.
    remaining: u32,
    /// Whether the frames so far are members of a group that began before the walk: its size isn't
    /// known, and each member may be its last.
    amid_group: bool,
    pub tail: Tail,
}

impl Walk {
    pub fn new(chain: Chain, segment: u64) -> Walk {
        let tail = Tail { chain, segment, offset: HEADER_BYTES };
        Walk { chain, remaining: 0, amid_group: false, tail }
    }

    /// What the frame at `offset` of a segment continues, if good frames lead there from the
    /// segment's header. A group may have begun before.
    pub fn chain_at(chain: Chain, segment: u64, bytes: &[u8], offset: usize) -> Option<Chain> {
        let amid_group = chain != Chain::GENESIS;
        let mut walk = Walk { amid_group, ..Walk::new(chain, segment) };
        let mut at = HEADER_BYTES;
        while at < offset {
            let word = read_u64(bytes, at);
            let extent = extent_at(at, word, bytes.len()).ok()?;
            walk.frame(word, &bytes[at..at + extent]).ok()?;
            at += extent;
        }
        (at == offset && walk.remaining == 0).then_some(walk.chain)
    }

    /// Walks a segment whose header is good, from the frame at `offset` on. `Ok` at a good END, else
    /// where and why it stopped.
    pub fn frames(
        &mut self,
        segment: u64,
        bytes: &[u8],
        offset: usize,
    ) -> Result<(), (usize, Stop)> {
        match self.part(segment, bytes.len(), offset, &bytes[offset..])? {
            Part::End(end) if !is_zero(&bytes[end + END_BYTES..]) => {
                Err((end, Stop::Damaged("bytes behind the end mark are not zero")))
            }
            Part::End(_) => {
                self.end(segment);
                Ok(())
            }
            Part::Next(_) => unreachable!("every frame leaves room for an end mark"),
        }
    }

    /// Walks the frames that lie in a part of a segment. `part` begins at `offset`, where a frame does.
    /// `Err` is where and why it stopped.
    pub fn part(
        &mut self,
        segment: u64,
        segment_bytes: usize,
        offset: usize,
        part: &[u8],
    ) -> Result<Part, (usize, Stop)> {
        let mut at = 0;
        while at + END_BYTES <= part.len() {
            let stopped = |stop| (offset + at, stop);
            let word = read_u64(part, at);
            if word_len(word) == END_LEN {
                if word != end_word(self.chain.next_sequence) {
                    return Err(stopped(Stop::Damaged("end mark fails its CRC")));
                }
                return Ok(Part::End(offset + at));
            }
            let extent = extent_at(offset + at, word, segment_bytes).map_err(stopped)?;
            let Some(frame) = part.get(at..at + extent) else { break };
            self.frame(word, frame).map_err(stopped)?;
            at += extent;
            if self.remaining == 0 {
                self.tail = Tail { chain: self.chain, segment, offset: offset + at };
            }
        }
        Ok(Part::Next(offset + at))
    }

    /// Goes on in the segment behind a good END.
    pub fn end(&mut self, segment: u64) {
        if self.remaining == 0 {
            self.tail = Tail { chain: self.chain, segment: segment + 1, offset: HEADER_BYTES };
        }
    }

    /// Takes the frame with this first word.
    fn frame(&mut self, word: u64, frame: &[u8]) -> Result<(), Stop> {
        let (head, crc) = check_frame(word, frame).map_err(Stop::Damaged)?;
        self.continues(&head).map_err(Stop::Damaged)?;
        self.amid_group &= head.group_frames == 0;
        if !self.amid_group {
            let group = if self.remaining == 0 { head.group_frames } else { self.remaining };
            self.remaining = group - 1;
        }
        self.chain = Chain {
            next_sequence: head.sequence + 1,
            time_ns: head.time_ns,
            hash: fold(self.chain.hash, crc),
        };
        Ok(())
    }

    fn continues(&self, head: &FrameHead) -> Result<(), &'static str> {
        if head.sequence != self.chain.next_sequence || head.sequence == u64::MAX {
            return Err("frame is out of sequence");
        }
        if head.time_ns < self.chain.time_ns {
            return Err("time goes back");
        }
        let fits = match head.group_frames {
            0 => self.remaining > 0 || self.amid_group,
            _ => self.remaining == 0,
        };
        if !fits {
            return Err("frame doesn't fit its group");
        }
        Ok(())
    }
}

/// A segment, read by parts.
pub(crate) trait Parts {
    /// The bytes from `offset` on: at least those of the largest frame and an END, or all that there
    /// are up to the segment's end.
    fn at(&mut self, offset: usize) -> io::Result<&[u8]>;
}

/// Walks a whole journal, one segment after the other, and judges it.
pub(crate) struct Scan {
    segment_bytes: u64,
    /// An upper limit for sequences that can be in the journal behind a stop.
    frames_max: u64,
    first_sequence: u64,
    pub walk: Walk,
    pub stop: Option<StopAt>,
    pub follower: Follower,
    /// Whether what stands at the stop is stale.
    stale: bool,
    /// Whether anything but zeros lies behind the tail.
    pub residue: bool,
    /// The highest durable position any header tells.
    pub durable: Position,
    /// The highest epoch of any good header.
    pub epoch: u32,
    /// Whether the tail's segment has a good header.
    pub tail_begun: bool,
}

#[derive(Copy, Clone, Debug)]
pub(crate) struct StopAt {
    pub segment: u64,
    /// 0: the header is what is wrong.
    pub offset: usize,
    pub stop: Stop,
}

impl Scan {
    /// Begins at segment `base`, the first of `segments`, whose frames continue `chain`.
    pub fn new(segment_bytes: u64, segments: u64, base: u64, chain: Chain) -> Scan {
        let frames_max = segments.saturating_mul(segment_bytes) / FRAME_HEADER_BYTES as u64;
        Scan {
            segment_bytes,
            frames_max,
            first_sequence: chain.next_sequence,
            walk: Walk::new(chain, base),
            stop: None,
            follower: Follower::None,
            stale: false,
            residue: false,
            durable: Position::START,
            epoch: 0,
            tail_begun: false,
        }
    }

    /// Begins behind frames that aren't there any more: a group may have begun among them. What they
    /// lacked nobody can tell, so this is for the first segment of a directory only.
    pub fn behind_older(mut self) -> Scan {
        self.walk.amid_group = self.first_sequence != Chain::GENESIS.next_sequence;
        self
    }

    /// Takes the next segment: `bytes` is a whole segment, `file_bytes` what the file had of it.
    /// `Err` is another format version.
    pub fn segment(&mut self, index: u64, bytes: &[u8], file_bytes: u64) -> Result<(), u32> {
        let header = SegmentHeader::read(bytes);
        if let Err(HeaderFault::Version(found)) = header {
            return Err(found);
        }
        self.note_header(index, &header, bytes);
        if self.stop.is_some() {
            self.behind(bytes);
            return Ok(());
        }
        let stop = match self.header(index, header, file_bytes) {
            Err(_) if word_len(read_u64(bytes, 0)) == CUT_LEN => Some((0, Stop::Uncommitted)),
            Err(stop) => Some((0, stop)),
            Ok(()) => self.walk.frames(index, bytes, HEADER_BYTES).err(),
        };
        self.tail_begun = match stop {
            Some((0, _)) => self.walk.tail.segment != index,
            Some(_) => true,
            None => false,
        };
        if let Some((offset, stop)) = stop {
            self.stop = Some(StopAt { segment: index, offset, stop });
            self.stale = self.is_stale(bytes, offset, stop);
            self.look_behind(index, bytes, offset);
        }
        Ok(())
    }

    /// Takes the next segment as [`segment`](Self::segment) does, if it is full and all is right with
    /// it, and never has more of it in memory than `parts` gives. False: it has to be looked at as a
    /// whole; it is not taken.
    pub fn full_segment(
        &mut self,
        index: u64,
        file_bytes: u64,
        parts: &mut impl Parts,
    ) -> io::Result<bool> {
        let first = parts.at(0)?;
        let header = SegmentHeader::read(first);
        if self.stop.is_some() || self.header(index, header, file_bytes).is_err() {
            return Ok(false);
        }
        let mut walk = self.walk;
        let segment_bytes = self.segment_bytes();
        let mut offset = HEADER_BYTES;
        let mut rest = loop {
            match walk.part(index, segment_bytes, offset, parts.at(offset)?) {
                Ok(Part::Next(next)) => offset = next,
                Ok(Part::End(end)) => break end + END_BYTES,
                Err(_) => return Ok(false),
            }
        };
        while rest < segment_bytes {
            let part = parts.at(rest)?;
            if !is_zero(part) {
                return Ok(false);
            }
            rest += part.len();
        }
        walk.end(index);
        self.walk = walk;
        self.tail_begun = false;
        let first = parts.at(0)?;
        self.note_header(index, &SegmentHeader::read(first), first);
        Ok(true)
    }

    /// Bytes of a segment.
    pub fn segment_bytes(&self) -> usize {
        self.segment_bytes as usize
    }

    pub fn verdict(&self) -> Verdict {
        let Some(at) = self.stop else { return Verdict::Clean };
        let follower = if self.stale { Follower::None } else { self.follower };
        judge(self.tail() < self.durable, at.stop, follower, self.residue)
    }

    /// Good frames in whole groups.
    pub fn frames(&self) -> u64 {
        self.walk.tail.chain.next_sequence - self.first_sequence
    }

    pub fn tail(&self) -> Position {
        let tail = &self.walk.tail;
        Position::at(tail.segment, tail.offset, self.segment_bytes)
    }

    /// Checks that a header continues the frames before it.
    fn header(
        &self,
        index: u64,
        header: Result<SegmentHeader, HeaderFault>,
        file_bytes: u64,
    ) -> Result<(), Stop> {
        let header = match header {
            Ok(header) => header,
            Err(HeaderFault::Unused | HeaderFault::Version(_)) => return Err(Stop::Empty),
            Err(HeaderFault::Damaged(what)) => return Err(Stop::Damaged(what)),
        };
        if header.index.get() != index || header.segment_bytes.get() != self.segment_bytes {
            return Err(Stop::Damaged("segment header belongs to another segment"));
        }
        if Chain::of(&header) != self.walk.chain {
            return Err(Stop::Damaged("segment header doesn't continue the segment before"));
        }
        if file_bytes > self.segment_bytes {
            return Err(Stop::Damaged("file is longer than a segment"));
        }
        Ok(())
    }

    /// Takes over what a segment's header tells beside the frames.
    fn note_header(
        &mut self,
        index: u64,
        header: &Result<SegmentHeader, HeaderFault>,
        bytes: &[u8],
    ) {
        // A damaged word is found as a damaged header.
        if let Some(durable) = durable_bytes(read_u64(bytes, DURABLE_OFFSET))
            && durable > 0
        {
            let position = Position::at(index, durable as usize, self.segment_bytes);
            self.durable = self.durable.max(position);
        }
        if let Ok(header) = header {
            self.epoch = self.epoch.max(header.epoch());
        }
    }

    /// Looks at the rest of the segment in which the walk stopped.
    fn look_behind(&mut self, index: u64, bytes: &[u8], offset: usize) {
        let tail = self.walk.tail;
        let rest = match (tail.segment == index, offset) {
            (true, 0) => 0,
            (true, _) => tail.offset,
            // A group that began in an earlier segment is cut there.
            (false, _) => 0,
        };
        self.residue |= tail.segment != index || !is_zero(&bytes[rest..]);
        let rest = offset.max(HEADER_BYTES)..bytes.len();
        self.follower = self.follower.max(self.search(bytes, rest));
    }

    /// Whether a power failure explains what stands at the stop.
    fn is_stale(&self, bytes: &[u8], offset: usize, stop: Stop) -> bool {
        let sector = offset..(offset + 1).next_multiple_of(SECTOR_BYTES);
        match stop {
            Stop::Empty => is_zero(&bytes[sector]),
            Stop::Uncommitted => self.search(bytes, sector) != Follower::Group,
            // A header is in one sector, its magic is written first and its checksum last.
            Stop::Damaged(_) if offset == 0 => {
                bytes.starts_with(&MAGIC) && is_zero(&bytes[DURABLE_OFFSET - 8..SECTOR_BYTES])
            }
            Stop::Damaged(_) => {
                self.lacks_a_sector(bytes, offset, sector.end) || is_half_written(bytes, offset)
            }
        }
    }

    /// Whether a sector of the frame at `offset`, from `next_sector` on, is what it was before the
    /// frame was written, or before it was committed.
    fn lacks_a_sector(&self, bytes: &[u8], offset: usize, next_sector: usize) -> bool {
        let word = read_u64(bytes, offset);
        let Some(extent) = frame_extent(word_len(word), offset, bytes.len()) else { return false };
        let mut sectors = (next_sector..offset + extent).step_by(SECTOR_BYTES);
        if sectors.any(|sector| is_zero(&bytes[sector..sector + SECTOR_BYTES])) {
            return true;
        }
        let head = FrameHead::read(&bytes[offset..]);
        let payload = &bytes[offset + FRAME_HEADER_BYTES..offset + word_len(word) as usize];
        let group_frames = sealed_with(word_crc(word), head.crc(word_len(word), payload));
        let has_size_elsewhere = offset + FRAME_HEADER_BYTES > next_sector;
        has_size_elsewhere
            && head.group_frames == 0
            && (1..=self.frames_max).contains(&u64::from(group_frames))
    }

    /// Looks at a segment behind the one in which the walk stopped.
    fn behind(&mut self, bytes: &[u8]) {
        if !is_zero(bytes) {
            self.residue = true;
            self.follower = self.follower.max(self.search(bytes, HEADER_BYTES..bytes.len()));
        }
    }

    /// The strongest valid frame that begins in `range` with a sequence the walk hasn't reached.
    fn search(&self, bytes: &[u8], range: Range<usize>) -> Follower {
        let mut found = Follower::None;
        for head in frames_behind(bytes, range, self.later_than(&self.walk.chain)) {
            if head.group_frames > 0 {
                return Follower::Group;
            }
            found = Follower::Member;
        }
        found
    }

    /// Sequences that can be in the journal behind a place.
    pub fn later_than(&self, chain: &Chain) -> RangeInclusive<u64> {
        chain.next_sequence..=chain.next_sequence.saturating_add(self.frames_max)
    }
}

/// Headers of all valid frames that begin in `range` with a sequence of `sequences`.
pub(crate) fn frames_behind(
    bytes: &[u8],
    range: Range<usize>,
    sequences: RangeInclusive<u64>,
) -> impl Iterator<Item = FrameHead> {
    let Range { start: mut offset, end } = range;
    let end = end.min(bytes.len() - FRAME_HEADER_BYTES);
    std::iter::from_fn(move || {
        while offset < end {
            let at = offset;
            offset += 8;
            let word = read_u64(bytes, at);
            let Some(extent) = frame_extent(word_len(word), at, bytes.len()) else { continue };
            if sequences.contains(&read_u64(bytes, at + 8))
                && let Ok((head, _)) = check_frame(word, &bytes[at..at + extent])
            {
                offset = at + extent;
                return Some(head);
            }
        }
        None
    })
}

/// Whether the frame at `offset` is not whole and a sector of it ends in zeros: all that is behind the
/// frame, where the next one should begin, or the last word that the frame has there.
fn is_half_written(bytes: &[u8], offset: usize) -> bool {
    let word = read_u64(bytes, offset);
    let Some(extent) = frame_extent(word_len(word), offset, bytes.len()) else { return false };
    let end = offset + extent;
    if check_frame(word, &bytes[offset..end]).is_ok() {
        return false;
    }
    let first = (offset + 9).next_multiple_of(SECTOR_BYTES);
    (first..=end.next_multiple_of(SECTOR_BYTES))
        .step_by(SECTOR_BYTES)
        .any(|sector_end| is_zero(&bytes[end.min(sector_end - 8)..sector_end]))
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    let (chunks, rest) = bytes.as_chunks::<64>();
    chunks.iter().all(|chunk| chunk.iter().fold(0, |all, &byte| all | byte) == 0)
        && rest.iter().all(|&byte| byte == 0)
}
