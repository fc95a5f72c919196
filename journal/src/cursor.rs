//! Reading: [`Tail`] in the writer's process, [`Reader`] in any.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::checking::Checked;
use crate::error::{OpenError, ReadError};
use crate::format::{
    DURABLE_OFFSET, END_BYTES, END_LEN, FRAME_HEADER_BYTES, FrameHead, HEADER_BYTES, HeaderFault,
    Position, UNCOMMITTED, durable_bytes, durable_bytes_beside, end_word, fold, seal, word_crc,
    word_len,
};
use crate::map::Map;
use crate::scan::{check_frame, frame_extent};
use crate::segment::{self, SegmentInfo};
use crate::shared::Shared;
use crate::storage::{FileStorage, Storage};

/// A committed frame, in the reader's map.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// 1 for the first frame of a journal, one more for each.
    pub sequence: u64,
    /// The writer's clock in ns; never less than in the frame before.
    pub time_ns: u64,
    /// The writer's meaning of the payload.
    pub kind: u16,
    /// 0 in this format version.
    pub flags: u16,
    /// Frames committed together, in the first of them; 0 in the others.
    pub group_frames: u32,
    /// The CRC as it stands before the frame, with the group's size mixed in.
    pub crc: u32,
    /// What the writer appended.
    pub payload: &'a [u8],
    /// Where the frame begins.
    pub position: Position,
    /// Where it ends: it is durable when the durable position has reached this.
    pub end: Position,
}

impl Frame<'_> {
    /// The journal's running hash behind this frame, if it was `before` in front of it.
    pub fn running_hash(&self, before: u64) -> u64 {
        fold(before, seal(self.crc, self.group_frames))
    }
}

/// Follows the journal of a [`Writer`](crate::Writer) in the same process.
///
/// It trusts the memory it shares with the writer and checks no CRC, except at the first frame
/// after a [`seek`](Self::seek).
pub struct Tail(Cursor);

impl Tail {
    pub(crate) fn new(shared: Arc<Shared>) -> Tail {
        let (base, bytes) = (shared.base, shared.segment_bytes);
        Tail(Cursor::new(Source::Shared(shared), base, bytes, None))
    }

    /// The next frame; `None`: nothing more is committed yet.
    ///
    /// # Errors
    /// See [`Reader::next`].
    #[inline(always)]
    #[expect(clippy::should_implement_trait, reason = "the frame borrows from the reader")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, ReadError> {
        self.0.next()
    }

    /// Continues at `position`: [`Position::START`] or a frame's position or end.
    pub fn seek(&mut self, position: Position) {
        self.0.seek(position);
    }

    /// Where the next frame begins, or will.
    pub fn position(&self) -> Position {
        self.0.position()
    }

    /// Whether to check every frame's CRC; off at first.
    pub fn set_verify(&mut self, verify: bool) {
        self.0.verify = verify;
    }
}

/// Follows a journal from any process. Takes no lock and never writes; a writer may be at work or
/// not.
///
/// Checks every frame's CRC unless told otherwise.
pub struct Reader {
    cursor: Cursor,
    first_sequence: u64,
}

impl Reader {
    /// Opens the journal in `dir`, at its first frame.
    ///
    /// # Errors
    /// When `dir` holds no journal, or its first segment's header is damaged or of another version.
    pub fn open(dir: &Path) -> Result<Reader, OpenError> {
        Reader::open_in(Arc::new(FileStorage::new(dir)))
    }

    /// [`open`](Self::open) in any storage.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_in(storage: Arc<dyn Storage>) -> Result<Reader, OpenError> {
        let segments = segment::list(&*storage)?;
        let no_journal = || OpenError::NoJournal { dir: storage.dir().into() };
        let base = *segments.first().ok_or_else(no_journal)?;
        let info = match segment::read_info(&*storage, base)? {
            Ok(info) => info,
            Err(HeaderFault::Unused) => return Err(no_journal()),
            Err(fault) => return Err(header_error(&*storage, base, fault)),
        };
        let source = Source::Storage(storage);
        let mut cursor = Cursor::new(source, base, info.segment_bytes, Some(info.first_sequence));
        cursor.verify = true;
        Ok(Reader { cursor, first_sequence: info.first_sequence })
    }

    /// The next frame; `None`: nothing more is committed yet.
    ///
    /// # Errors
    /// Damage, a segment of another version, or a file that can't be read. The reader stays where
    /// it is.
    #[inline(always)]
    #[expect(clippy::should_implement_trait, reason = "the frame borrows from the reader")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, ReadError> {
        self.cursor.next()
    }

    /// Continues at `position`: [`Position::START`] or a frame's position or end.
    pub fn seek(&mut self, position: Position) {
        self.cursor.seek(position);
    }

    /// Where the next frame begins, or will.
    pub fn position(&self) -> Position {
        self.cursor.position()
    }

    /// Whether to check every frame's CRC; on at first.
    pub fn set_verify(&mut self, verify: bool) {
        self.cursor.verify = verify;
    }

    /// Reads from now on what `leader` has read, in the same memory, so that the system maps each page once. Both
    /// read the same journal, each on a thread of its own: this one waits before each segment until the leader has
    /// begun it or is gone, and the leader when it would be three segments ahead. Where the leader reads what an
    /// opening has checked, this one ends with it.
    pub fn follow(&mut self, leader: &mut Reader) {
        let (give, take) = sync_channel(1);
        leader.cursor.company = Company::Follower(give);
        self.cursor.company =
            Company::Leader { maps: take, alone: leader.cursor.opening.is_none() };
    }

    /// Trusts what an opening has checked, and reads on as that goes on.
    pub(crate) fn read_checked(&mut self, checked: Checked) {
        self.cursor.verify = false;
        self.cursor.opening = Some(checked);
    }

    /// The place before the first segment the directory holds now. Segments may have been moved
    /// away since this reader was opened; it can't go back to them.
    ///
    /// # Errors
    /// When the directory can't be listed, or holds no segment any more.
    pub fn oldest(&self) -> Result<Position, OpenError> {
        let storage = self.cursor.source.storage();
        let segments = segment::list(storage)?;
        let no_journal = || OpenError::NoJournal { dir: storage.dir().into() };
        let oldest = segments.first().ok_or_else(no_journal)?;
        Ok(Position::at(*oldest, 0, self.cursor.segment_bytes))
    }

    /// Sequence of the first frame the directory holds, or will.
    pub fn first_sequence(&self) -> u64 {
        self.first_sequence
    }

    /// The headers of all segments begun so far, ascending. Reads a page of each.
    ///
    /// # Errors
    /// As for [`Reader::open`].
    pub fn segments(&self) -> Result<Vec<SegmentInfo>, OpenError> {
        let storage = self.cursor.source.storage();
        let mut infos = Vec::new();
        for index in segment::list(storage)? {
            match segment::read_info(storage, index)? {
                Ok(info) => infos.push(info),
                Err(HeaderFault::Unused) => break,
                Err(fault) => return Err(header_error(storage, index, fault)),
            }
        }
        Ok(infos)
    }
}

enum Source {
    Shared(Arc<Shared>),
    Storage(Arc<dyn Storage>),
}

impl Source {
    fn storage(&self) -> &dyn Storage {
        match self {
            Source::Shared(shared) => &*shared.storage,
            Source::Storage(storage) => &**storage,
        }
    }
}

/// A map, and the segment that it is of.
type Mapped = (u64, Arc<Map>);

/// Who reads the same.
enum Company {
    Nobody,
    /// Gets what this one maps, as long as it wants it.
    Follower(SyncSender<Mapped>),
    /// Gives what it has mapped, as long as it goes on.
    Leader {
        maps: Receiver<Mapped>,
        /// Whether this one goes on alone behind that.
        alone: bool,
    },
}

struct Cursor {
    source: Source,
    base: u64,
    segment_bytes: u64,
    segment: u64,
    /// In the segment; possibly no frame boundary while `seeking`.
    offset: usize,
    /// The segment's map; `None` until the segment is there.
    map: Option<Arc<Map>>,
    /// Frames of this segment before this offset are of whole groups.
    whole: usize,
    /// The next frame's sequence; `None` after a seek.
    expected: Option<u64>,
    /// Sequence of the last frame read, 0 for none.
    last_sequence: u64,
    /// The position came from outside: the frame there has to prove itself.
    seeking: bool,
    verify: bool,
    company: Company,
    /// How far the journal's opening is, where that goes on.
    opening: Option<Checked>,
}

impl Cursor {
    fn new(source: Source, base: u64, segment_bytes: u64, expected: Option<u64>) -> Cursor {
        Cursor {
            source,
            base,
            segment_bytes,
            segment: base,
            offset: HEADER_BYTES,
            map: None,
            whole: 0,
            expected,
            last_sequence: 0,
            seeking: true,
            verify: false,
            company: Company::Nobody,
            opening: None,
        }
    }

    fn seek(&mut self, position: Position) {
        let first = Position::at(self.base, HEADER_BYTES, self.segment_bytes);
        let position = position.max(first).get();
        let segment = position / self.segment_bytes;
        if segment != self.segment {
            self.map = None;
        }
        self.segment = segment;
        self.offset = ((position % self.segment_bytes) as usize).max(HEADER_BYTES);
        self.expected = None;
        self.seeking = true;
    }

    fn position(&self) -> Position {
        Position::at(self.segment, self.offset, self.segment_bytes)
    }

    #[inline(always)]
    fn next(&mut self) -> Result<Option<Frame<'_>>, ReadError> {
        // Nearly every frame lies behind one of the same map, and is believed.
        let (word, extent) = match self.follows() {
            Some(found) => found,
            None => match self.find_and_check()? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        let (start, end) = (self.offset, self.offset + extent);
        self.offset = end;
        let map = self.map.as_ref().expect("found in a map");
        let bytes = map.bytes(start, extent);
        let head = FrameHead::read(bytes);
        self.expected = Some(head.sequence.wrapping_add(1));
        self.last_sequence = head.sequence;
        Ok(Some(Frame {
            sequence: head.sequence,
            time_ns: head.time_ns,
            kind: head.kind,
            flags: head.flags,
            group_frames: head.group_frames,
            crc: word_crc(word),
            payload: &bytes[FRAME_HEADER_BYTES..word_len(word) as usize],
            position: Position::at(self.segment, start, self.segment_bytes),
            end: Position::at(self.segment, end, self.segment_bytes),
        }))
    }

    /// The first word and the extent of the frame at the cursor, if it is committed, nothing about it has to be
    /// checked but its sequence, and that is right.
    #[inline(always)]
    fn follows(&self) -> Option<(u64, usize)> {
        let map = self.map.as_deref()?;
        if self.verify || self.seeking || self.offset >= self.whole {
            return None;
        }
        let word = map.load(self.offset);
        // An uncommitted frame, an END and no frame at all have no length of a frame.
        let extent = frame_extent(word_len(word), self.offset, map.len())?;
        let sequence = FrameHead::read(map.bytes(self.offset, extent)).sequence;
        (self.expected == Some(sequence)).then_some((word, extent))
    }

    /// The first word and the extent of the next frame, which is what it must be.
    #[inline(never)]
    fn find_and_check(&mut self) -> Result<Option<(u64, usize)>, ReadError> {
        let Some((word, extent)) = self.find()? else { return Ok(None) };
        if self.seeking && !self.is_written(self.offset + extent) {
            return Ok(None);
        }
        let map = self.map.as_ref().expect("found in a map");
        let bytes = map.bytes(self.offset, extent);
        if (self.verify || self.seeking)
            && let Err(what) = check_frame(word, bytes)
        {
            return Err(self.corrupt(what));
        }
        let sequence = FrameHead::read(bytes).sequence;
        if self.expected.is_some_and(|expected| expected != sequence) {
            return Err(self.corrupt("frame is out of sequence"));
        }
        self.seeking = false;
        Ok(Some((word, extent)))
    }

    /// The first word and the extent of the committed frame at the cursor, which follows END marks.
    fn find(&mut self) -> Result<Option<(u64, usize)>, ReadError> {
        loop {
            let Some(map) = &self.map else {
                if !self.map_segment()? {
                    return Ok(None);
                }
                continue;
            };
            if self.seeking
                && (!self.offset.is_multiple_of(8) || self.offset + END_BYTES > map.len())
            {
                return Err(self.corrupt("position is not between two frames"));
            }
            let word = map.load(self.offset);
            let len = word_len(word);
            if word == 0 || len & UNCOMMITTED != 0 {
                match self.verify && self.is_lost(map) {
                    true => return Err(self.corrupt("frames that were here are gone")),
                    false => return Ok(None),
                }
            }
            if let Some(extent) = frame_extent(len, self.offset, map.len()) {
                if self.offset >= self.whole && !self.group_is_whole()? {
                    return Ok(None);
                }
                return Ok(Some((word, extent)));
            }
            if len != END_LEN {
                return Err(self.corrupt("frame has an impossible length"));
            }
            self.follow_end(word)?;
        }
    }

    /// Whether all of the group at the cursor is there, where frames come in any sequence: in a segment
    /// that gets them from memory beside it.
    #[cold]
    fn group_is_whole(&mut self) -> Result<bool, ReadError> {
        let first = self.map.clone().expect("a frame was found in it");
        self.whole = known_whole(&first);
        if self.offset < self.whole {
            return Ok(true);
        }
        let (mut map, mut offset, mut left) = (first, self.offset, 1);
        for segment in self.segment.. {
            while let Some((extent, head)) = whole_frame(&map, offset) {
                // Zero in a frame amid a group: who has come here has seen its first one.
                left = left.max(head.group_frames) - 1;
                offset += extent;
                if left == 0 {
                    self.whole = if segment == self.segment { offset } else { usize::MAX };
                    return Ok(true);
                }
            }
            let goes_on = offset + END_BYTES <= map.len() && word_len(map.load(offset)) == END_LEN;
            if !goes_on {
                break;
            }
            let name = segment::name(segment + 1);
            match self.source.storage().map_read_only(&name, self.segment_bytes as usize) {
                Ok(next) => (map, offset) = (Arc::new(next), HEADER_BYTES),
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(self.io(error)),
            }
        }
        Ok(false)
    }

    /// Whether nothing committed stands where the header says that something durable is.
    fn is_lost(&self, map: &Map) -> bool {
        let Some(durable) = durable_bytes(map.load_header(DURABLE_OFFSET)) else { return false };
        if self.offset as u64 >= durable || self.offset + END_BYTES > map.len() {
            return false;
        }
        // It may have been committed and synced since the first look.
        let len = word_len(map.load(self.offset));
        len == 0 || len & UNCOMMITTED != 0
    }

    /// A frame of the same process that ends behind the written position isn't one.
    fn is_written(&self, end: usize) -> bool {
        match &self.source {
            Source::Shared(shared) => {
                Position::at(self.segment, end, self.segment_bytes) <= shared.written()
            }
            Source::Storage(_) => true,
        }
    }

    #[cold]
    fn follow_end(&mut self, word: u64) -> Result<(), ReadError> {
        if self.expected.is_some_and(|expected| word != end_word(expected)) {
            return Err(self.corrupt("end mark fails its CRC"));
        }
        let full = (self.segment, self.offset, self.map.take());
        self.segment += 1;
        self.offset = HEADER_BYTES;
        match self.map_segment() {
            Ok(true) => Ok(()),
            missing => {
                (self.segment, self.offset, self.map) = full;
                Err(missing.err().unwrap_or_else(|| self.gone(self.segment + 1)))
            }
        }
    }

    /// Maps the cursor's segment. False: it isn't begun yet.
    #[cold]
    fn map_segment(&mut self) -> Result<bool, ReadError> {
        if let Source::Shared(shared) = &self.source {
            if self.segment > shared.current() {
                return Ok(false);
            }
            if let Some(map) = shared.map(self.segment) {
                self.map = Some(map);
                // The writer's own memory.
                self.whole = usize::MAX;
                return Ok(true);
            }
        }
        if let Some(checked) = &mut self.opening
            && !checked.wait_for(self.segment)
        {
            return Ok(false);
        }
        if !self.check_header()? {
            return Ok(false);
        }
        let map = match (self.given(), &self.company) {
            (Some(map), _) => map,
            (None, Company::Leader { alone: false, .. }) => return Ok(false),
            (None, _) => {
                let name = segment::name(self.segment);
                let map = self.source.storage().map_read_only(&name, self.segment_bytes as usize);
                Arc::new(map.map_err(|source| self.io(source))?)
            }
        };
        if let Company::Follower(follower) = &self.company {
            // One that is gone wants nothing more.
            let _ = follower.send((self.segment, map.clone()));
        }
        self.whole = known_whole(&map);
        self.map = Some(map);
        Ok(true)
    }

    /// The map of the cursor's segment that a leader gives.
    fn given(&self) -> Option<Arc<Map>> {
        let Company::Leader { maps, .. } = &self.company else { return None };
        let (segment, map) = maps.iter().find(|(segment, _)| *segment >= self.segment)?;
        (segment == self.segment).then_some(map)
    }

    /// False: the segment isn't there or isn't begun.
    fn check_header(&mut self) -> Result<bool, ReadError> {
        let file = || self.path(self.segment);
        match segment::read_info(self.source.storage(), self.segment) {
            Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(false)
            }
            Err(OpenError::Io { source, .. }) => Err(self.io(source)),
            Err(_) => Err(self.header_corrupt("segment header can't be read")),
            Ok(Err(HeaderFault::Unused)) => Ok(false),
            Ok(Err(HeaderFault::Version(found))) => {
                Err(ReadError::VersionMismatch { file: file(), found })
            }
            Ok(Err(HeaderFault::Damaged(what))) => Err(self.header_corrupt(what)),
            Ok(Ok(info)) if !self.fits(&info) => {
                Err(self.header_corrupt("segment header doesn't continue the segment before"))
            }
            Ok(Ok(_)) => Ok(true),
        }
    }

    fn fits(&self, info: &SegmentInfo) -> bool {
        info.index == self.segment
            && info.segment_bytes == self.segment_bytes
            && (self.offset != HEADER_BYTES
                || self.expected.is_none_or(|expected| expected == info.first_sequence))
    }

    #[cold]
    fn corrupt(&self, what: &'static str) -> ReadError {
        ReadError::Corrupt {
            file: self.path(self.segment),
            offset: self.offset as u64,
            last_good_sequence: self.last_sequence,
            what,
        }
    }

    fn header_corrupt(&self, what: &'static str) -> ReadError {
        ReadError::Corrupt {
            file: self.path(self.segment),
            offset: 0,
            last_good_sequence: self.last_sequence,
            what,
        }
    }

    fn gone(&self, index: u64) -> ReadError {
        ReadError::Corrupt {
            file: self.path(index),
            offset: 0,
            last_good_sequence: self.last_sequence,
            what: "the segment is missing or was never begun",
        }
    }

    fn path(&self, index: u64) -> PathBuf {
        segment::path(self.source.storage(), index)
    }

    fn io(&self, source: io::Error) -> ReadError {
        ReadError::Io { file: self.path(self.segment), source }
    }
}

/// Bytes of a segment in which frames are of whole groups, whatever stands behind them.
fn known_whole(map: &Map) -> usize {
    durable_bytes_beside(map.load_header(DURABLE_OFFSET)).map_or(usize::MAX, |bytes| bytes as usize)
}

/// Extent and header of the frame at an offset, if it is there and right.
fn whole_frame(map: &Map, offset: usize) -> Option<(usize, FrameHead)> {
    if offset + END_BYTES > map.len() {
        return None;
    }
    let word = map.load(offset);
    if word_len(word) & UNCOMMITTED != 0 {
        return None;
    }
    let extent = frame_extent(word_len(word), offset, map.len())?;
    let (head, _) = check_frame(word, map.bytes(offset, extent)).ok()?;
    Some((extent, head))
}

fn header_error(storage: &dyn Storage, index: u64, fault: HeaderFault) -> OpenError {
    let (dir, file) = (storage.dir().into(), segment::path(storage, index));
    match fault {
        HeaderFault::Version(found) => OpenError::VersionMismatch { file, found },
        HeaderFault::Damaged(what) => {
            OpenError::Corrupt { dir, file, offset: 0, last_good_sequence: 0, what }
        }
        HeaderFault::Unused => OpenError::NoJournal { dir },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{durable_word, durable_word_beside};
    use crate::{FileStorage, Options, Placement, SEGMENT_BYTES_MIN, open_stepped};

    /// Bytes of a payload, so that a group of three takes several pages.
    const PAYLOAD: [u8; 3_000] = [7; 3_000];

    fn count(storage: &Arc<FileStorage>) -> Result<u64, ReadError> {
        let mut reader = Reader::open_in(storage.clone()).unwrap();
        let mut last = 0;
        while let Some(frame) = reader.next()? {
            last = frame.sequence;
        }
        Ok(last)
    }

    /// A sync of several pages, seen while some of them are in the file, and others are not.
    #[test]
    fn behind_what_is_durable_a_group_counts_when_all_of_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Arc::new(FileStorage::new(dir.path()));
        let options = Options {
            segment_bytes: SEGMENT_BYTES_MIN,
            placement: Placement::InMemory,
            ..Options::default()
        };
        let (mut writer, _, helpers) = open_stepped(storage.clone(), options).unwrap();
        let mut group = |frames: u64| {
            for _ in 0..frames {
                writer.append(1, writer.next_sequence(), 1, &PAYLOAD);
            }
            writer.commit();
            helpers.step_syncer();
            writer.position()
        };
        let durable = group(3).get();
        // The second group of these goes on in the next segment.
        let whole = [group(3), group(15), group(2)];
        assert_eq!(whole[1].get() / SEGMENT_BYTES_MIN, 1);
        assert_eq!(count(&storage).unwrap(), 23);

        let put = |segment: u64, offset: u64, bytes: &[u8]| {
            storage.write_all_at(&segment::name(segment), bytes, offset).unwrap();
        };
        put(0, DURABLE_OFFSET as u64, &durable_word_beside(durable).to_le_bytes());
        put(1, DURABLE_OFFSET as u64, &durable_word_beside(0).to_le_bytes());
        assert_eq!(count(&storage).unwrap(), 23, "all is there, durable or not");
        // Pages of the three groups behind, each missing alone.
        let pages = [(0, durable / 4096 + 1, 3), (0, 6, 6), (0, 14, 6), (1, 1, 6)];
        for (segment, page, last) in pages {
            let mut kept = [0; 4096];
            storage.read_at(&segment::name(segment), &mut kept, page * 4096).unwrap();
            put(segment, page * 4096, &[0; 4096]);
            assert_eq!(count(&storage).unwrap(), last, "without page {page} of segment {segment}");
            put(segment, page * 4096, &kept);
        }
        assert_eq!(count(&storage).unwrap(), 23);

        // The same where frames come through a map is damage.
        put(0, DURABLE_OFFSET as u64, &durable_word(durable).to_le_bytes());
        put(0, (durable / 4096 + 1) * 4096, &[0; 4096]);
        assert!(matches!(count(&storage), Err(ReadError::Corrupt { .. })));
    }
}
