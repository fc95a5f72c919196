//! Judging a journal without changing it.

use std::path::{Path, PathBuf};

use crate::error::OpenError;
use crate::format::{
    FORMAT_VERSION, FrameHead, HEADER_BYTES, HeaderFault, Position, SegmentHeader,
};
use crate::recover::{describe, first_header};
use crate::scan::{Chain, Scan, Stop, StopAt, Verdict};
use crate::segment;
use crate::storage::{FileStorage, Storage};

/// More findings than anybody reads; a journal with as many has no segment without one.
const FINDINGS_MAX: usize = 100;

/// What [`verify`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Good frames, in groups that are whole.
    pub frames: u64,
    /// Segments with a good header.
    pub segments: u64,
    /// Sequence of the first frame, 0 when there is none.
    pub first_sequence: u64,
    /// Sequence of the last good frame, 0 when there is none.
    pub last_sequence: u64,
    /// Time of the first frame in ns, 0 when there is none.
    pub first_time_ns: u64,
    /// Time of the last good frame in ns, 0 when there is none.
    pub last_time_ns: u64,
    /// Bytes from the start of the first segment to the end of the last good frame.
    pub bytes: u64,
    /// How far the headers say that the journal is durable.
    pub durable: Position,
    /// Running hash behind the last good frame.
    pub running_hash: u64,
    /// Whether a writer had the journal open. Then only what was durable is judged: the rest moves.
    pub live: bool,
    /// What is wrong, in the sequence of the journal; empty for a clean one. At most 100.
    pub findings: Vec<Finding>,
}

/// Something wrong with a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A tail that was not committed or never became durable. [`open`](crate::open) cuts it;
    /// nothing acknowledged as durable is lost with it.
    TornTail {
        /// The segment in which it would be cut.
        file: PathBuf,
        /// Bytes from the start of the segment.
        offset: u64,
        /// Sequence of the last frame that stays.
        last_good_sequence: u64,
        /// What stands there.
        what: &'static str,
    },
    /// Damage. [`open`](crate::open) refuses the journal.
    Corrupt {
        /// The segment.
        file: PathBuf,
        /// Bytes from the start of the segment.
        offset: u64,
        /// Sequence of the last good frame before.
        last_good_sequence: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// A segment in another format version; nothing behind its header was looked at.
    VersionMismatch {
        /// The segment.
        file: PathBuf,
        /// The version in its header.
        found: u32,
        /// The version this program reads.
        supported: u32,
    },
}

/// Checks headers, every CRC, sequences, times, groups and the chain of running hashes. Changes
/// nothing, and holds at most one segment in memory. Behind damage it goes on with the next
/// segment whose header is good.
///
/// # Errors
/// When `dir` holds no journal or can't be read. What is wrong with the journal is in the report.
pub fn verify(dir: &Path) -> Result<Report, OpenError> {
    verify_in(&FileStorage::new(dir))
}

/// [`verify`] in any storage.
///
/// # Errors
/// As for [`verify`].
pub fn verify_in(storage: &dyn Storage) -> Result<Report, OpenError> {
    let live = storage.lock_holder().is_some();
    let mut segments = segment::list(storage)?;
    let Some(&base) = segments.first() else {
        return Err(OpenError::NoJournal { dir: storage.dir().into() });
    };
    let mut verifier = Verifier::new(storage, live);
    if live {
        let durable = durable_now(storage, &segments)?;
        verifier.report.durable = durable;
        match first_header(storage, base) {
            Ok(Some((bytes, _))) => segments.retain(|&index| index * bytes < durable.get().max(1)),
            _ => segments.truncate(1),
        }
    }
    verifier.run(&segments)?;
    Ok(verifier.report)
}

/// The durable position before anything else is read: everything before it is there by then.
fn durable_now(storage: &dyn Storage, segments: &[u64]) -> Result<Position, OpenError> {
    for &index in segments.iter().rev() {
        if let Ok(info) = segment::read_info(storage, index)?
            && info.durable_bytes > 0
        {
            return Ok(Position::at(index, info.durable_bytes as usize, info.segment_bytes));
        }
    }
    Ok(Position::START)
}

struct Verifier<'a> {
    storage: &'a dyn Storage,
    report: Report,
    /// The scan that walks.
    scan: Option<Scan>,
    /// Scans that stopped, until later segments tell what that means.
    stopped: Vec<Scan>,
}

impl Verifier<'_> {
    fn new(storage: &dyn Storage, live: bool) -> Verifier<'_> {
        let report = Report {
            frames: 0,
            segments: 0,
            first_sequence: 0,
            last_sequence: 0,
            first_time_ns: 0,
            last_time_ns: 0,
            bytes: 0,
            durable: Position::START,
            running_hash: Chain::GENESIS.hash,
            live,
            findings: Vec::new(),
        };
        Verifier { storage, report, scan: None, stopped: Vec::new() }
    }

    fn run(&mut self, segments: &[u64]) -> Result<(), OpenError> {
        let base = segments[0];
        let (segment_bytes, chain) = match first_header(self.storage, base) {
            Ok(Some(found)) => found,
            Ok(None) => {
                self.corrupt(base, 0, "the first segment has no good header");
                return Ok(());
            }
            Err(OpenError::VersionMismatch { found, .. }) => {
                self.version(base, found);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let count = segments.len() as u64;
        self.scan = Some(Scan::new(segment_bytes, count, base, chain).behind_older());
        let mut image = vec![0; segment_bytes as usize];
        let mut next = base;
        for &index in segments {
            if index != next {
                self.missing(next);
            }
            next = index + 1;
            if self.full_segment(index)? {
                continue;
            }
            let file_bytes = segment::read_image(self.storage, index, &mut image)?;
            self.segment(index, &image, file_bytes, count);
        }
        let is_torn = |scan: &Scan| self.verdict(scan) == Verdict::Torn;
        if self.scan.is_some() && !self.report.live && !self.stopped.first().is_some_and(is_torn) {
            // The last segment ends with END, so there was another; but for a member of a torn group, which
            // is cut with it.
            self.missing(next);
        }
        self.retire();
        self.settle(true);
        self.report.bytes = self.report.bytes.saturating_sub(base * segment_bytes);
        Ok(())
    }

    /// Takes a segment that is full and all right; false says that it must be looked at as a whole. So
    /// must the first, of which more is told, and all behind a stop.
    fn full_segment(&mut self, index: u64) -> Result<bool, OpenError> {
        match &mut self.scan {
            Some(scan) if self.stopped.is_empty() && self.report.first_sequence > 0 => {
                let taken = segment::take_full(self.storage, index, scan)?;
                self.report.segments += u64::from(taken);
                Ok(taken)
            }
            _ => Ok(false),
        }
    }

    fn segment(&mut self, index: u64, bytes: &[u8], file_bytes: u64, count: u64) {
        let header = SegmentHeader::read(bytes);
        if let Err(HeaderFault::Version(found)) = header {
            self.retire();
            self.settle(true);
            self.version(index, found);
            return;
        }
        for scan in &mut self.stopped {
            // Another version was dealt with above.
            let _ = scan.segment(index, bytes, file_bytes);
        }
        if let Ok(header) = header {
            self.report.segments += 1;
            let chain = Chain::of(&header);
            if self.scan.is_none() && chain.next_sequence > 0 {
                self.scan = Some(Scan::new(bytes.len() as u64, count, index, chain));
            }
        }
        if let Some(scan) = &mut self.scan {
            let _ = scan.segment(index, bytes, file_bytes);
            if self.report.first_sequence == 0 && scan.frames() > 0 {
                let first = FrameHead::read(&bytes[HEADER_BYTES..]);
                self.report.first_sequence = first.sequence;
                self.report.first_time_ns = first.time_ns;
            }
            if scan.stop.is_some() {
                self.retire();
            }
        }
        self.settle(false);
    }

    /// Ends the walk: takes its sums over, and leaves its verdict to the segments behind.
    fn retire(&mut self) {
        let Some(scan) = self.scan.take() else { return };
        let chain = scan.walk.tail.chain;
        if scan.frames() > 0 {
            self.report.frames += scan.frames();
            self.report.last_sequence = chain.last_sequence();
            self.report.last_time_ns = chain.time_ns;
            self.report.running_hash = chain.hash;
        }
        self.report.bytes = scan.tail().get();
        if scan.stop.is_some() {
            self.stopped.push(scan);
        }
    }

    /// Turns verdicts that can't change any more into findings; at the `end`, all.
    ///
    /// A scan that began behind another's stop counts only once that stop is damage: behind a torn
    /// group it has met nothing but the group's own members, which are cut with it.
    fn settle(&mut self, end: bool) {
        for scan in std::mem::take(&mut self.stopped) {
            if !self.stopped.is_empty() {
                self.stopped.push(scan);
                continue;
            }
            let at = scan.stop.expect("it stopped");
            if !self.report.live {
                self.report.durable = self.report.durable.max(scan.durable);
            }
            match self.verdict(&scan) {
                Verdict::Corrupt => {
                    let last_good_sequence = scan.walk.chain.last_sequence();
                    self.push(Finding::Corrupt {
                        file: segment::path(self.storage, at.segment),
                        offset: at.offset as u64,
                        last_good_sequence,
                        what: describe(&at),
                    });
                }
                Verdict::Torn if end => {
                    let tail = scan.walk.tail;
                    self.push(Finding::TornTail {
                        file: segment::path(self.storage, tail.segment),
                        offset: tail.offset as u64,
                        last_good_sequence: tail.chain.last_sequence(),
                        what: describe_torn(&at),
                    });
                    // What the torn group left in later segments is cut with it.
                    return;
                }
                _ if end => {}
                _ => self.stopped.push(scan),
            }
        }
    }

    /// A live journal is judged only before the position that was durable at the start.
    fn verdict(&self, scan: &Scan) -> Verdict {
        if !self.report.live {
            return scan.verdict();
        }
        match scan.tail() < self.report.durable {
            true => Verdict::Corrupt,
            false => Verdict::Clean,
        }
    }

    fn missing(&mut self, index: u64) {
        self.retire();
        self.settle(true);
        self.corrupt(index, 0, "the segment is missing");
    }

    fn corrupt(&mut self, index: u64, offset: u64, what: &'static str) {
        self.push(Finding::Corrupt {
            file: segment::path(self.storage, index),
            offset,
            last_good_sequence: self.report.last_sequence,
            what,
        });
    }

    fn version(&mut self, index: u64, found: u32) {
        let file = segment::path(self.storage, index);
        self.push(Finding::VersionMismatch { file, found, supported: FORMAT_VERSION });
    }

    fn push(&mut self, finding: Finding) {
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(finding);
        }
    }
}

fn describe_torn(at: &StopAt) -> &'static str {
    match at.stop {
        Stop::Empty => "bytes of a group that isn't whole",
        Stop::Uncommitted => "a group without its commit",
        Stop::Damaged(what) => what,
    }
}
