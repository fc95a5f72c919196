//! Giving a damaged journal back to a writer, at the price of what stands behind the damage.
//!
//! [`diagnose`] says what is wrong, what could be kept and what would be lost; [`repair`] does it,
//! and only when it is told the last sequence that stays. Nothing is ever deleted: whole segments
//! move to a directory `damaged-<number>` inside the journal's, with the snapshots that tell of what
//! is lost, and a segment that is changed is copied there before.
//!
//! | what is wrong | what is done |
//! |---|---|
//! | a header, and the frames behind it continue those before | the header is made again; nothing is lost |
//! | frames, or a header without such frames | cut behind the last whole group before |
//! | a segment is missing | cut behind the last whole group before; an empty one takes its place |
//! | a torn tail | nothing: the next `open` cuts it |
//! | the first header of a journal that begins later than segment 0, sizes unknown | can't be repaired |
//!
//! The steps are a list. Nothing before the tail is touched (but a header that is no good), and
//! segments go from the last to the first, so whatever step is the last one, the same tail is found
//! again, and the list made for what is left.

use std::path::{Path, PathBuf};
use std::time::Duration;

use zerocopy::IntoBytes;

use crate::error::OpenError;
use crate::format::{
    CUT_LEN, DURABLE_OFFSET, HEADER_BYTES, HeaderFault, Position, SegmentHeader, durable_bytes,
    durable_word, read_u64, segment_bytes_valid, word_len,
};
use crate::recover::{describe, mark_cut, missing, zero_from};
use crate::scan::{Chain, Scan, Verdict, check_frame, frame_extent, frames_behind, is_zero};
use crate::storage::{Blocks, FileStorage, LockError, Storage};
use crate::writer::lock_error;
use crate::{segment, snapshot};

/// What [`diagnose`] found.
#[derive(Debug)]
#[non_exhaustive]
pub enum Diagnosis {
    /// Nothing is wrong.
    Sound,
    /// An unfinished write at the end, which [`open`](crate::open) cuts by itself.
    TornTail {
        /// Sequence of the last frame that stays.
        last_good_sequence: u64,
    },
    /// Damage that [`repair`] can cut or mend.
    Damaged(Box<Repair>),
    /// Damage that leaves nothing to go on from.
    Irreparable {
        /// What is missing.
        what: String,
    },
}

/// A repair: what is wrong, what it keeps and what it costs.
#[derive(Debug)]
pub struct Repair {
    /// What is wrong, as [`open`](crate::open) says it.
    pub damage: OpenError,
    /// Sequence of the first frame kept, or of the first the journal will get.
    pub first_sequence: u64,
    /// Sequence of the last frame kept, one less than `first_sequence` when there is none.
    pub last_sequence: u64,
    /// Time of the last frame kept in ns, 0 when there is none.
    pub last_time_ns: u64,
    /// What stands behind it.
    pub lost: Lost,
    /// Where that is kept.
    pub aside: PathBuf,
    steps: Vec<Step>,
    place: Place,
}

/// Frames that a repair puts aside, as far as they can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Frames that can be read.
    pub frames: u64,
    /// Highest sequence that was there: of a frame that can be read, or from a later header. 0: none
    /// is known.
    pub last_sequence: u64,
    /// Time of the earliest readable frame in ns, 0 when there is none.
    pub first_time_ns: u64,
    /// Time of the latest readable frame in ns, 0 when there is none.
    pub last_time_ns: u64,
    /// Whether the headers say that something of it was durable.
    pub durable: bool,
}

/// Why a journal is not repaired.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// It can't be opened or read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A step failed. What was done until then is kept, and the same repair goes on from there.
    #[error(
        "the repair stopped half-way: {source}; what was done is kept: mend that, then run ironbook \
         repair {dir} --to {to} --yes again",
        dir = dir.display()
    )]
    HalfWay {
        /// The journal's directory.
        dir: PathBuf,
        /// What was asked for.
        to: u64,
        /// Why the step failed.
        source: OpenError,
    },
    /// The sequence to keep is not the last one that can be kept.
    #[error(
        "{dir} can't be repaired to sequence {to}: {can}; nothing was changed, see `ironbook repair \
         {dir}`",
        dir = dir.display()
    )]
    WrongSequence {
        /// The journal's directory.
        dir: PathBuf,
        /// What was asked for.
        to: u64,
        /// What can be done.
        can: String,
    },
}

/// What all steps are about.
#[derive(Clone, Debug)]
struct Place {
    storage: FileStorage,
    aside: FileStorage,
    segment_bytes: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    MakeDirectory,
    Copy {
        segment: u64,
    },
    /// The new first page.
    Header {
        segment: u64,
        page: Vec<u8>,
    },
    Move {
        segment: u64,
    },
    /// A snapshot that tells of frames behind the new end.
    MoveSnapshot {
        sequence: u64,
    },
    /// What is behind `offset` is durable no more.
    Durable {
        segment: u64,
        offset: u64,
    },
    Cut {
        segment: u64,
        offset: u64,
    },
    /// An empty segment, for the one before ends with a mark that another follows.
    Create {
        segment: u64,
    },
}

/// Says what is wrong with a journal and what a repair would do. Changes nothing.
///
/// # Errors
/// When a writer has the journal open, when there is none, when it is of another version, or can't be
/// read.
pub fn diagnose(dir: &Path) -> Result<Diagnosis, OpenError> {
    let storage = FileStorage::new(dir);
    match storage.lock_holder() {
        Some(holder) => Err(lock_error(&storage, LockError::Held { holder })),
        None => examine(&storage),
    }
}

/// Repairs the journal in `dir` so that `to` is its last sequence, which must be what
/// [`Repair::last_sequence`] says. Returns what was done.
///
/// # Errors
/// [`RepairError`]. An interrupted repair can be run again.
pub fn repair(dir: &Path, to: u64) -> Result<Repair, RepairError> {
    // Looked at first, so that no LOCK is made where there is no journal.
    diagnose(dir)?;
    let storage = FileStorage::new(dir);
    let _lock = storage.lock().map_err(|error| lock_error(&storage, error))?;
    let plan = match examine(&storage)? {
        Diagnosis::Damaged(plan) => plan,
        Diagnosis::Irreparable { what } => return Err(wrong(dir, to, what)),
        _ => return Err(wrong(dir, to, "it is not damaged".into())),
    };
    plan.check(to)?;
    for step in &plan.steps {
        let taken = plan.place.take(step);
        taken.map_err(|source| RepairError::HalfWay { dir: dir.into(), to, source })?;
    }
    Ok(*plan)
}

fn wrong(dir: &Path, to: u64, can: String) -> RepairError {
    RepairError::WrongSequence { dir: dir.into(), to, can }
}

impl Repair {
    /// Whether a sequence is the last one that can be kept.
    ///
    /// # Errors
    /// [`RepairError::WrongSequence`] says which one is.
    pub fn check(&self, to: u64) -> Result<(), RepairError> {
        if to == self.last_sequence {
            return Ok(());
        }
        let can = format!("the last sequence to keep is {}", self.last_sequence);
        Err(wrong(self.place.storage.dir(), to, can))
    }

    /// What is done, step by step, in words.
    pub fn steps(&self) -> impl Iterator<Item = String> {
        let aside = self.aside.file_name().unwrap_or_default().display();
        self.steps.iter().map(move |step| match step {
            Step::MakeDirectory => format!("make the directory {aside}"),
            Step::Copy { segment } => format!("copy segment {segment} to {aside}"),
            Step::Header { segment, .. } => {
                format!("make the header of segment {segment} again from the frames before it")
            }
            Step::Move { segment } => format!("move segment {segment} to {aside}"),
            Step::MoveSnapshot { sequence } => {
                format!("move the snapshot of sequence {sequence} to {aside}")
            }
            Step::Durable { segment, offset } => {
                format!("take back that segment {segment} is durable behind offset {offset}")
            }
            Step::Cut { segment, offset } => {
                format!("write zeros over segment {segment} from offset {offset} on")
            }
            Step::Create { segment } => format!("make an empty segment {segment}"),
        })
    }
}

/// A journal walked as far as it goes, with headers made again where that helps.
struct Survey {
    place: Place,
    segments: Vec<u64>,
    scan: Scan,
    first_sequence: u64,
    /// Segments with their new first pages.
    headers: Vec<(u64, Vec<u8>)>,
    /// The first segment that should be there and is not.
    gap: Option<u64>,
    /// The first damage, if it is not the scan's stop.
    damage: Option<OpenError>,
}

fn examine(storage: &FileStorage) -> Result<Diagnosis, OpenError> {
    let segments = segment::list(storage)?;
    let Some(&base) = segments.first() else {
        return Err(OpenError::NoJournal { dir: storage.dir().into() });
    };
    let Some(segment_bytes) = segment_bytes(storage, &segments)? else {
        let what = "no header tells the size of its segments, and no file's length does";
        return Ok(Diagnosis::Irreparable { what: what.into() });
    };
    let chain = match segment::read_header(storage, base)? {
        _ if base == 0 => Chain::GENESIS,
        Ok(header) if header.first_sequence.get() > 0 => Chain::of(&header),
        _ => {
            let what = format!(
                "its first segment, {}, has no good header, and the segments before it, which tell \
                 what it must say, are not there; put one of them back from a copy",
                segment::path(storage, base).display()
            );
            return Ok(Diagnosis::Irreparable { what });
        }
    };
    let aside = storage.subdirectory(&unused_name(storage)?);
    let mut scan = Scan::new(segment_bytes, segments.len() as u64, base, chain).behind_older();
    scan.durable = durable(storage, &segments, segment_bytes)?;
    let mut survey = Survey {
        scan,
        place: Place { storage: storage.clone(), aside, segment_bytes },
        segments,
        first_sequence: chain.next_sequence,
        headers: Vec::new(),
        gap: None,
        damage: None,
    };
    survey.walk()?;
    survey.diagnosis()
}

/// As the first good header says it, or else the length of the first file that can be a segment.
fn segment_bytes(storage: &dyn Storage, segments: &[u64]) -> Result<Option<u64>, OpenError> {
    let mut of_file = None;
    for &index in segments {
        match segment::read_header(storage, index)? {
            Ok(header) => return Ok(Some(header.segment_bytes.get())),
            Err(HeaderFault::Version(found)) => {
                let file = segment::path(storage, index);
                return Err(OpenError::VersionMismatch { file, found });
            }
            Err(_) => {}
        }
        let bytes = segment::file_bytes(storage, index)?;
        of_file = of_file.or(segment_bytes_valid(bytes).then_some(bytes));
    }
    Ok(of_file)
}

/// How far the headers say that the journal is durable.
fn durable(
    storage: &dyn Storage,
    segments: &[u64],
    segment_bytes: u64,
) -> Result<Position, OpenError> {
    let mut durable = Position::START;
    for &index in segments {
        let page = segment::read_page(storage, index)?;
        if let Some(bytes @ 1..) = durable_bytes(read_u64(&page, DURABLE_OFFSET)) {
            durable = durable.max(Position::at(index, bytes as usize, segment_bytes));
        }
    }
    Ok(durable)
}

impl Survey {
    fn walk(&mut self) -> Result<(), OpenError> {
        let storage = self.place.storage.clone();
        let mut image = vec![0; self.place.segment_bytes as usize];
        let mut next = self.segments[0];
        for index in self.segments.clone() {
            if index != next && self.gap.is_none() {
                self.gap = Some(next);
                if self.scan.stop.is_none() {
                    return Ok(());
                }
            }
            next = index + 1;
            let file_bytes = segment::read_image(&storage, index, &mut image)?;
            if self.scan.stop.is_none() {
                self.mend_header(index, &mut image);
            }
            self.scan.segment(index, &image, file_bytes).map_err(|found| {
                OpenError::VersionMismatch { file: segment::path(&storage, index), found }
            })?;
        }
        if self.scan.stop.is_none() {
            self.gap = Some(next);
        }
        Ok(())
    }

    /// Makes a header again that is no good, if the frame behind it is the next one: everything that
    /// it must say follows from the frames before. Not where the next `open` cuts the journal: at a
    /// header that is stale, or its mark, behind what is durable.
    fn mend_header(&mut self, index: u64, image: &mut [u8]) {
        let what = match SegmentHeader::read(image) {
            Err(HeaderFault::Damaged(what)) => what,
            Err(HeaderFault::Unused) => "the segment header is gone",
            Ok(_) | Err(HeaderFault::Version(_)) => return,
        };
        let chain = self.scan.walk.chain;
        let torn = is_zero(&image[..HEADER_BYTES]) || word_len(read_u64(image, 0)) == CUT_LEN;
        if torn && self.scan.tail() >= self.scan.durable
            || first_frame(image) != Some(chain.next_sequence)
        {
            return;
        }
        let page = header_page(index, self.place.segment_bytes, chain, image);
        image[..HEADER_BYTES].copy_from_slice(&page);
        self.headers.push((index, page));
        self.damage.get_or_insert_with(|| OpenError::Corrupt {
            dir: self.place.storage.dir().into(),
            file: segment::path(&self.place.storage, index),
            offset: 0,
            last_good_sequence: chain.last_sequence(),
            what,
        });
    }

    fn diagnosis(mut self) -> Result<Diagnosis, OpenError> {
        let tail = self.scan.walk.tail;
        let last_sequence = tail.chain.last_sequence();
        let verdict = self.scan.verdict();
        let damage = self.damage.take().or_else(|| self.damage_at_stop(verdict));
        let Some(damage) = damage else {
            return Ok(match verdict {
                Verdict::Torn => Diagnosis::TornTail { last_good_sequence: last_sequence },
                _ => Diagnosis::Sound,
            });
        };
        let cut = verdict == Verdict::Corrupt || self.scan.stop.is_none();
        let lost = if cut { self.lost()? } else { Lost::default() };
        let steps = self.steps(cut)?;
        Ok(Diagnosis::Damaged(Box::new(Repair {
            damage,
            first_sequence: self.first_sequence,
            last_sequence,
            last_time_ns: tail.chain.time_ns,
            lost,
            aside: self.place.aside.dir().into(),
            steps,
            place: self.place,
        })))
    }

    fn damage_at_stop(&self, verdict: Verdict) -> Option<OpenError> {
        match (self.scan.stop, self.gap) {
            (Some(at), _) if verdict == Verdict::Corrupt => Some(OpenError::Corrupt {
                dir: self.place.storage.dir().into(),
                file: segment::path(&self.place.storage, at.segment),
                offset: at.offset as u64,
                last_good_sequence: self.scan.walk.chain.last_sequence(),
                what: describe(&at),
            }),
            (_, Some(gap)) => Some(missing(&self.place.storage, gap, &self.scan)),
            _ => None,
        }
    }

    /// Whether the tail's segment is there with a good header.
    fn tail_begun(&self) -> bool {
        let tail = self.scan.walk.tail.segment;
        match self.scan.stop {
            Some(at) => at.segment != tail || at.offset != 0,
            None => self.gap.is_some_and(|gap| tail < gap),
        }
    }

    fn steps(&self, cut: bool) -> Result<Vec<Step>, OpenError> {
        let tail = self.scan.walk.tail;
        let (segment, offset) = (tail.segment, tail.offset as u64);
        let begun = self.tail_begun();
        let mut steps = vec![Step::MakeDirectory];
        let kept = |index: u64| index < segment || begun && index == segment;
        let headers: Vec<_> = self.headers.iter().filter(|(index, _)| kept(*index)).collect();
        let changed = |index: u64| headers.iter().any(|(mended, _)| *mended == index);
        for &index in &self.segments {
            if changed(index) || cut && begun && index == segment {
                steps.push(Step::Copy { segment: index });
            }
        }
        if cut {
            let last = tail.chain.last_sequence();
            let snapshots = self.snapshots()?.into_iter();
            let lost = snapshots.filter(|&sequence| sequence > last);
            steps.extend(lost.map(|sequence| Step::MoveSnapshot { sequence }));
        }
        // The last first: a segment is left alone by those behind it, never orphaned.
        let moved =
            |index: u64| if cut { !kept(index) } else { self.gap.is_some_and(|gap| gap < index) };
        let moved = self.segments.iter().rev().filter(|&&index| moved(index));
        steps.extend(moved.map(|&segment| Step::Move { segment }));
        steps.extend(
            headers
                .into_iter()
                .map(|(segment, page)| Step::Header { segment: *segment, page: page.clone() }),
        );
        if cut && begun {
            let page = segment::read_page(&self.place.storage, segment)?;
            let durable = durable_bytes(read_u64(&page, DURABLE_OFFSET));
            if durable.is_none_or(|bytes| bytes > offset) {
                steps.push(Step::Durable { segment, offset });
            }
            steps.push(Step::Cut { segment, offset });
        } else if cut {
            steps.push(Step::Create { segment });
        }
        Ok(steps)
    }

    fn snapshots(&self) -> Result<Vec<u64>, OpenError> {
        let names = self.place.storage.names();
        let names = names.map_err(OpenError::io("list", self.place.storage.dir()))?;
        Ok(snapshot::sequences(&names))
    }

    /// What stands behind the tail.
    fn lost(&self) -> Result<Lost, OpenError> {
        let tail = self.scan.walk.tail;
        let from_tail = if self.tail_begun() { tail.offset } else { HEADER_BYTES };
        let mut lost = Lost::default();
        let mut image = vec![0; self.place.segment_bytes as usize];
        for &index in self.segments.iter().filter(|&&index| index >= tail.segment) {
            segment::read_image(&self.place.storage, index, &mut image)?;
            if index > tail.segment
                && let Ok(header) = SegmentHeader::read(&image)
            {
                lost.last_sequence = lost.last_sequence.max(Chain::of(&header).last_sequence());
            }
            let from = if index == tail.segment { from_tail } else { HEADER_BYTES };
            for head in frames_behind(&image, from..image.len(), self.scan.later_than(&tail.chain))
            {
                let first = if lost.frames == 0 { head.time_ns } else { lost.first_time_ns };
                lost.frames += 1;
                lost.last_sequence = lost.last_sequence.max(head.sequence);
                lost.first_time_ns = first.min(head.time_ns);
                lost.last_time_ns = lost.last_time_ns.max(head.time_ns);
            }
        }
        lost.durable = self.scan.tail() < self.scan.durable;
        Ok(lost)
    }
}

/// The sequence of a good frame that begins a segment's frames.
fn first_frame(image: &[u8]) -> Option<u64> {
    let word = read_u64(image, HEADER_BYTES);
    let extent = frame_extent(word_len(word), HEADER_BYTES, image.len())?;
    let (head, _) = check_frame(word, &image[HEADER_BYTES..HEADER_BYTES + extent]).ok()?;
    Some(head.sequence)
}

/// A header page that continues `chain`. What is good of the old one stays: a header that fits, the
/// durable word. Who began the segment, and when, is lost with a header that fails its CRC.
fn header_page(index: u64, segment_bytes: u64, chain: Chain, old: &[u8]) -> Vec<u8> {
    let made = chain.header(index, segment_bytes);
    let mut page = vec![0; HEADER_BYTES];
    page[..DURABLE_OFFSET].copy_from_slice(&old[..DURABLE_OFFSET]);
    let fits = SegmentHeader::read(&page).is_ok_and(|old| {
        old.index.get() == index
            && old.segment_bytes.get() == segment_bytes
            && Chain::of(&old) == chain
    });
    if !fits {
        page[..DURABLE_OFFSET].copy_from_slice(made.seal().as_bytes());
    }
    let durable = read_u64(old, DURABLE_OFFSET);
    if durable_bytes(durable).is_some_and(|bytes| bytes <= segment_bytes) {
        page[DURABLE_OFFSET..DURABLE_OFFSET + 8].copy_from_slice(&durable.to_le_bytes());
    }
    page
}

fn unused_name(storage: &dyn Storage) -> Result<String, OpenError> {
    let names = storage.names().map_err(OpenError::io("list", storage.dir()))?;
    let mut numbered = (1..).map(|number: u32| format!("damaged-{number}"));
    Ok(numbered.find(|name| !names.contains(name)).expect("numbers enough"))
}

impl Place {
    /// Takes one step; it is on the disk on return.
    fn take(&self, step: &Step) -> Result<(), OpenError> {
        let (storage, aside) = (&self.storage, &self.aside);
        match *step {
            Step::MakeDirectory => {
                storage.create_dir(aside).map_err(OpenError::io("make", aside.dir()))
            }
            Step::Copy { segment } => storage
                .copy_to(&segment::name(segment), aside)
                .map_err(OpenError::io("copy a damaged segment to", segment::path(aside, segment))),
            Step::Header { segment, ref page } => self.write(segment, 0, page),
            Step::MoveSnapshot { sequence } => {
                storage.move_to(&snapshot::name(sequence), aside).map_err(OpenError::io(
                    "move a snapshot to",
                    snapshot::path(aside.dir(), sequence),
                ))
            }
            Step::Move { segment } => storage
                .move_to(&segment::name(segment), aside)
                .map_err(OpenError::io("move a segment to", segment::path(aside, segment))),
            Step::Durable { segment, offset } => {
                self.write(segment, DURABLE_OFFSET as u64, &durable_word(offset).to_le_bytes())
            }
            Step::Cut { segment, offset } => {
                mark_cut(storage, segment, offset)?;
                zero_from(storage, segment, offset, self.segment_bytes)
            }
            Step::Create { segment } => segment::create(
                storage,
                segment,
                self.segment_bytes,
                Blocks::Written,
                Duration::ZERO,
            )
            .map_err(OpenError::io("make", segment::path(storage, segment))),
        }
    }

    fn write(&self, segment: u64, offset: u64, bytes: &[u8]) -> Result<(), OpenError> {
        let name = segment::name(segment);
        self.storage
            .write_all_at(&name, bytes, offset)
            .and_then(|()| self.storage.sync(&name))
            .map_err(OpenError::io("mend the header of", segment::path(&self.storage, segment)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::snapshot::Checkpoint;
    use crate::{Options, SEGMENT_BYTES_MIN, open, verify};

    const LAST: u64 = 700;
    /// Sequences of its snapshots, which a repair does not look into.
    const SNAPSHOTS: [u64; 3] = [100, 300, LAST];

    /// A journal of some segments, closed: all of it is durable.
    fn journal(dir: &Path, group: u64) {
        let options = Options {
            segment_bytes: SEGMENT_BYTES_MIN,
            sync_interval: Duration::from_secs(3600),
            ..Options::default()
        };
        let (mut writer, _) = open(dir, options).unwrap();
        for sequence in 1..=LAST {
            writer.append(7, sequence, sequence * 10, &vec![sequence as u8; 500]);
            if sequence.is_multiple_of(group) {
                writer.commit();
            }
        }
        while writer.prepared_ahead() < 2 {
            std::thread::yield_now();
        }
        writer.close().unwrap();
        for sequence in SNAPSHOTS {
            let place = Checkpoint {
                sequence,
                position: Position::START,
                running_hash: 0,
                segment_bytes: SEGMENT_BYTES_MIN,
            };
            snapshot::write(&FileStorage::new(dir), &place, sequence * 10, b"state").unwrap();
        }
    }

    fn change(dir: &Path, index: u64, change: impl Fn(&mut Vec<u8>)) {
        let path = dir.join(segment::name(index));
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    fn list(dir: &Path) -> Vec<u64> {
        segment::list(&FileStorage::new(dir)).unwrap()
    }

    fn flip(dir: &Path, index: u64, offset: usize) {
        change(dir, index, |bytes| bytes[offset] ^= 4);
    }

    fn remove(dir: &Path, index: u64) {
        fs::remove_file(dir.join(segment::name(index))).unwrap();
    }

    /// Frames of these tests in a segment.
    const PER_SEGMENT: u64 =
        ((SEGMENT_BYTES_MIN as usize - HEADER_BYTES - 8) / crate::frame_bytes(500)) as u64;

    /// A kind of damage, and how many frames are good before it, or at all when none are lost.
    type Case = (&'static str, fn(&Path), u64);

    const CASES: [Case; 12] = [
        ("a frame", |dir| flip(dir, 1, HEADER_BYTES + 10 * 536 + 40), PER_SEGMENT + 10),
        (
            "frames of two segments",
            |dir| {
                flip(dir, 1, 30_000);
                flip(dir, 3, 30_000)
            },
            PER_SEGMENT + (30_000 - 4096) / 536,
        ),
        ("the first frame", |dir| flip(dir, 0, HEADER_BYTES + 40), 0),
        ("a missing segment", |dir| remove(dir, 2), 2 * PER_SEGMENT),
        (
            "two missing segments",
            |dir| {
                remove(dir, 2);
                remove(dir, 4)
            },
            2 * PER_SEGMENT,
        ),
        (
            "the last segments missing",
            |dir| {
                for index in list(dir) {
                    if index >= 3 {
                        remove(dir, index)
                    }
                }
            },
            3 * PER_SEGMENT,
        ),
        (
            "a prepared segment missing",
            |dir| {
                let last = *list(dir).last().unwrap();
                remove(dir, last - 1)
            },
            LAST,
        ),
        (
            "a short segment",
            |dir| change(dir, 1, |bytes| bytes.truncate(HEADER_BYTES + 20 * 536 + 8)),
            PER_SEGMENT + 20,
        ),
        ("the first header", |dir| flip(dir, 0, 50), LAST),
        ("a header of zeros", |dir| change(dir, 2, |bytes| bytes[..HEADER_BYTES].fill(0)), LAST),
        (
            "the first header and a later frame",
            |dir| {
                flip(dir, 0, 50);
                flip(dir, 2, HEADER_BYTES + 536 * 3 + 32)
            },
            2 * PER_SEGMENT + 3,
        ),
        (
            "a header and its first frame",
            |dir| {
                flip(dir, 2, 20);
                flip(dir, 2, HEADER_BYTES + 32)
            },
            2 * PER_SEGMENT,
        ),
    ];

    /// In memory where there is such a place: a step is synced, and hundreds are taken.
    fn memory_dir() -> tempfile::TempDir {
        let shm = Path::new("/dev/shm");
        if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap()
    }

    fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files.extend(self::files(&path));
            } else if path.extension().is_some_and(|kind| kind == "seg" || kind == "snap") {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                files.push((name, fs::read(&path).unwrap()));
            }
        }
        files.sort();
        files
    }

    fn plan(dir: &Path) -> Option<Box<Repair>> {
        match diagnose(dir).unwrap() {
            Diagnosis::Damaged(plan) => Some(plan),
            Diagnosis::Irreparable { what } => panic!("{what}"),
            _ => None,
        }
    }

    #[test]
    fn every_damage_is_repaired_from_every_step_on_and_every_byte_is_kept() {
        for group in [1, 7] {
            let whole = tempfile::tempdir().unwrap();
            journal(whole.path(), group);
            assert!(matches!(diagnose(whole.path()), Ok(Diagnosis::Sound)));
            for (name, damage, good) in CASES {
                let last = good / group * group;
                for stop_after in 0.. {
                    let place = memory_dir();
                    let dir = place.path();
                    for (name, bytes) in files(whole.path()) {
                        fs::write(dir.join(name), bytes).unwrap();
                    }
                    damage(dir);
                    let case =
                        format!("{name}, groups of {group}, stopped after {stop_after} steps");
                    let before = files(dir);
                    let first = plan(dir).expect("damage");
                    assert_eq!(first.last_sequence, last, "{case}");
                    assert_eq!(files(dir), before, "{case}: a diagnosis changes nothing");
                    let steps = &first.steps[..stop_after.min(first.steps.len())];
                    steps.iter().for_each(|step| first.place.take(step).unwrap());
                    assert!(diagnose(dir).is_ok(), "{case}");
                    if let Some(rest) = plan(dir) {
                        assert_eq!(rest.last_sequence, last, "{case}");
                        repair(dir, last).unwrap();
                    }
                    let after = files(dir);
                    for file in before {
                        assert!(after.contains(&file), "{case}: {} is nowhere", file.0);
                    }
                    let kept: Vec<_> = SNAPSHOTS.into_iter().filter(|of| *of <= last).collect();
                    assert_eq!(snapshot::list(&FileStorage::new(dir)).unwrap(), kept, "{case}");
                    let (writer, recovery) = open(dir, Options::default()).unwrap();
                    assert_eq!(recovery.last_sequence, last, "{case}");
                    writer.close().unwrap();
                    assert_eq!(verify(dir).unwrap().findings, [], "{case}");
                    if stop_after >= first.steps.len() {
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn a_torn_tail_is_no_damage_whatever_good_frames_follow_it() {
        for mark in [0, CUT_LEN] {
            let place = memory_dir();
            let dir = place.path();
            journal(dir, 7);
            // Nothing is marked durable, and the third header has not reached the disk.
            for index in list(dir) {
                change(dir, index, |bytes| bytes[DURABLE_OFFSET..HEADER_BYTES].fill(0));
            }
            change(dir, 2, |bytes| {
                bytes[..HEADER_BYTES].fill(0);
                bytes[..4].copy_from_slice(&mark.to_le_bytes());
            });
            let last = 2 * PER_SEGMENT / 7 * 7;
            let found = diagnose(dir).unwrap();
            let Diagnosis::TornTail { last_good_sequence } = found else { panic!("{found:?}") };
            assert_eq!(last_good_sequence, last);
            let (_, recovery) = open(dir, Options::default()).unwrap();
            assert_eq!(recovery.last_sequence, last);
            assert!(recovery.torn.is_some());
        }
    }
}
