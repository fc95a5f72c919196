//! Walks the product of everything that can be said of a segment in which a journal ends or is
//! damaged: its state, its header, the checksum and the sequence of the frame at hand, what follows
//! it, and whether it was durable. Each cell is made of real files, and judged by `open` and
//! `verify`; [`Cell::expected`] says what must come out, as the table of `scan.rs` does in words.
//!
//! The segment at hand holds group B of two frames and group C of one. It is the first of the
//! journal, or follows a full one with group A of one frame; another segment follows it where the
//! cell needs one.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use zerocopy::IntoBytes;

use crate::format::{
    DURABLE_OFFSET, END_BYTES, FRAME_HEADER_BYTES, FrameHead, HEADER_BYTES, SEGMENT_BYTES_MIN,
    durable_word, end_word, fold,
};
use crate::recovery_files::{FRAME, crc_of, goes_on, options, put, put_frame};
use crate::scan::{Chain, Follower, Verdict};
use crate::{FileStorage, Finding, OpenError, open, segment, verify};

const TIME_NS: u64 = 100;

#[derive(Copy, Clone, Debug, PartialEq)]
enum State {
    /// Only zeros, or a header page that is neither.
    NeverBegun,
    Begun,
    /// Ends with END; the next segment is begun.
    Full,
    Missing,
    /// The file ends behind its last byte that isn't zero.
    Short,
}

#[derive(Copy, Clone, Debug, PartialEq)]
enum Sequence {
    Good,
    /// Of a frame before: proves nothing.
    Before,
    /// Of a frame later than the next: proves that others were there.
    After,
}

#[derive(Copy, Clone, Debug)]
struct Cell {
    /// Whether the segment is the journal's first.
    first: bool,
    state: State,
    header_good: bool,
    checksum_good: bool,
    sequence: Sequence,
    follower: Follower,
    /// Whether the headers say that all of it is durable.
    durable: bool,
}

/// What must come of a cell.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// Frames up to here are kept.
    Opens {
        torn: bool,
        last_sequence: u64,
    },
    Corrupt {
        segment: u64,
        offset: usize,
        last_good_sequence: u64,
    },
    Missing {
        segment: u64,
        last_good_sequence: u64,
    },
}

fn cells() -> Vec<Cell> {
    let states = [State::NeverBegun, State::Begun, State::Full, State::Missing, State::Short];
    let mut cells = Vec::new();
    for first in [false, true] {
        for state in states {
            for header_good in [true, false] {
                for checksum_good in [true, false] {
                    for sequence in [Sequence::Good, Sequence::Before, Sequence::After] {
                        for follower in [Follower::None, Follower::Member, Follower::Group] {
                            for durable in [false, true] {
                                cells.push(Cell {
                                    first,
                                    state,
                                    header_good,
                                    checksum_good,
                                    sequence,
                                    follower,
                                    durable,
                                });
                            }
                        }
                    }
                }
            }
        }
    }
    // Without its first segments a directory is a journal whose past was moved away, see `open`.
    cells.retain(|cell| !(cell.first && cell.state == State::Missing));
    cells
}

impl Cell {
    fn index(&self) -> u64 {
        u64::from(!self.first)
    }

    fn expected(&self) -> Outcome {
        let (segment, before) = (self.index(), self.index());
        let corrupt =
            |offset, last_good_sequence| Outcome::Corrupt { segment, offset, last_good_sequence };
        let judged = |damage: bool, offset, last_good, torn, last_sequence| match damage {
            true => corrupt(offset, last_good),
            false => Outcome::Opens { torn, last_sequence },
        };
        if self.state == State::Missing {
            return Outcome::Missing { segment, last_good_sequence: before };
        }
        let followed = self.follower != Follower::None;
        if self.state == State::NeverBegun {
            // Zeros to the end of their sector are stale: what follows them proves nothing, but goes.
            let stale = self.header_good;
            let damage = self.durable || followed && !stale;
            return judged(damage, 0, before, followed || !stale, before);
        }
        if self.first && self.state == State::Short && !self.header_good {
            // Neither header nor length tells the size of a segment.
            return corrupt(0, 0);
        }
        let frame_good = self.checksum_good && self.sequence == Sequence::Good;
        // A good frame proves that it was there, unless its number is not a later one.
        let proves = self.checksum_good && self.sequence != Sequence::Before;
        if !self.header_good {
            return judged(self.durable || followed || proves, 0, before, true, before);
        }
        if !frame_good {
            let damage = self.durable || followed || proves;
            return judged(damage, HEADER_BYTES, before, true, before);
        }
        match self.follower {
            // Half a group.
            Follower::None => judged(self.durable, HEADER_BYTES + FRAME, before + 1, true, before),
            // C is not there: the end of the journal, but for an END mark that may follow.
            Follower::Member => {
                let offset = HEADER_BYTES + 2 * FRAME;
                let torn = self.state == State::Full;
                judged(self.durable, offset, before + 2, torn, before + 2)
            }
            Follower::Group => judged(false, 0, 0, false, before + 3),
        }
    }

    /// Writes the files.
    fn build(&self, dir: &Path) {
        let (index, mut chain) = (self.index(), Chain::GENESIS);
        if !self.first {
            let mut a = Image::begin(0, chain);
            a.frame(1, |_| {});
            a.end();
            chain = a.chain;
            a.write(dir);
        }
        let apart = matches!(self.state, State::NeverBegun | State::Missing);
        // The image that holds what follows B, and the place of B.
        let mut at_hand = Image::begin(index, chain);
        at_hand.frame(2, |head| match self.sequence {
            Sequence::Good => {}
            Sequence::Before => head.sequence -= 1,
            Sequence::After => head.sequence += 2,
        });
        let (mut next, followers) = if apart {
            (Some(Image::begin(index + 1, at_hand.chain)), HEADER_BYTES)
        } else {
            (None, HEADER_BYTES + FRAME)
        };
        let target = next.as_mut().unwrap_or(&mut at_hand);
        target.frame(0, |_| {});
        target.frame(1, |_| {});
        let durable = target.offset;
        match self.follower {
            Follower::None => target.bytes[followers..].fill(0),
            Follower::Member => target.bytes[followers + FRAME..].fill(0),
            Follower::Group => {}
        }
        if self.durable {
            put(&mut target.bytes, DURABLE_OFFSET, durable_word(durable as u64));
        } else if apart && self.follower == Follower::None {
            target.bytes.fill(0);
        }
        if self.state == State::Full {
            at_hand.end();
            Image::begin(index + 1, at_hand.chain).write(dir);
        }
        if let Some(next) = next {
            next.write(dir);
        }
        if !self.checksum_good {
            at_hand.bytes[HEADER_BYTES + FRAME_HEADER_BYTES] ^= 1;
        }
        if self.state == State::NeverBegun {
            at_hand.bytes.fill(0);
        }
        if !self.header_good {
            at_hand.bytes[50] ^= 1;
        }
        if self.state == State::Short {
            let used = at_hand.bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
            at_hand.bytes.truncate(used);
        }
        if self.state != State::Missing {
            at_hand.write(dir);
        }
    }
}

/// A segment being made.
struct Image {
    index: u64,
    bytes: Vec<u8>,
    offset: usize,
    chain: Chain,
}

impl Image {
    fn begin(index: u64, chain: Chain) -> Image {
        let header = chain.header(index, SEGMENT_BYTES_MIN);
        let mut bytes = vec![0; SEGMENT_BYTES_MIN as usize];
        bytes[..DURABLE_OFFSET].copy_from_slice(header.seal().as_bytes());
        Image { index, bytes, offset: HEADER_BYTES, chain }
    }

    /// Appends the next frame, whose header may be changed before it is sealed.
    fn frame(&mut self, group_frames: u32, change: impl Fn(&mut FrameHead)) {
        let sequence = self.chain.next_sequence;
        let mut head = FrameHead { sequence, time_ns: TIME_NS, kind: 7, flags: 0, group_frames };
        let good = crc_of(&head);
        change(&mut head);
        put_frame(&mut self.bytes, self.offset, head, 0);
        self.offset += FRAME;
        let hash = fold(self.chain.hash, good);
        self.chain = Chain { next_sequence: sequence + 1, time_ns: TIME_NS, hash };
    }

    fn end(&mut self) {
        assert!(self.offset + END_BYTES <= self.bytes.len());
        put(&mut self.bytes, self.offset, end_word(self.chain.next_sequence));
    }

    fn write(&self, dir: &Path) {
        fs::write(dir.join(segment::name(self.index)), &self.bytes).unwrap();
    }
}

/// The files of a journal, without LOCK.
fn contents(dir: &Path) -> Vec<(u64, Vec<u8>)> {
    let read = |index| (index, fs::read(dir.join(segment::name(index))).unwrap());
    segment::list(&FileStorage::new(dir)).unwrap().into_iter().map(read).collect()
}

fn assert_refused(dir: &Path, error: &OpenError, expected: &Outcome) {
    let text = error.to_string();
    let (index, last) = match (error, expected) {
        (
            OpenError::Corrupt { offset, last_good_sequence, .. },
            Outcome::Corrupt { segment, offset: at, last_good_sequence: last },
        ) => {
            assert_eq!((*offset as usize, last_good_sequence), (*at, last), "{text}");
            assert!(text.contains(&format!("offset {at}: ")), "{text}");
            (*segment, *last)
        }
        (OpenError::MissingSegment { .. }, Outcome::Missing { segment, last_good_sequence }) => {
            (*segment, *last_good_sequence)
        }
        _ => panic!("{text}"),
    };
    assert!(text.contains(&dir.join(segment::name(index)).display().to_string()), "{text}");
    assert!(
        text.contains(&format!("sequence is {last}"))
            || text.contains(&format!("after sequence {last}")),
        "{text}"
    );
    assert!(text.contains(&format!("ironbook repair {}", dir.display())), "{text}");
}

/// `verify` says the same, in its first finding: behind damage it looks further.
fn assert_verified(findings: &[Finding], dir: &Path, expected: &Outcome) {
    match (expected, findings) {
        (Outcome::Opens { torn: false, .. }, [])
        | (Outcome::Opens { torn: true, .. }, [Finding::TornTail { .. }]) => {}
        (
            Outcome::Corrupt { segment, offset, .. },
            [Finding::Corrupt { file, offset: at, .. }, ..],
        ) => {
            assert_eq!((file, *at as usize), (&dir.join(segment::name(*segment)), *offset));
        }
        (Outcome::Missing { segment, .. }, [Finding::Corrupt { file, .. }, ..]) => {
            assert_eq!(file, &dir.join(segment::name(*segment)));
        }
        _ => panic!("{findings:?}"),
    }
}

fn check(cell: &Cell, dir: &Path) {
    let expected = cell.expected();
    // Nothing but zeros is an interrupted creation, in which there is nothing to verify.
    if !contents(dir).iter().all(|(_, bytes)| bytes.iter().all(|&byte| byte == 0)) {
        assert_verified(&verify(dir).unwrap().findings, dir, &expected);
    }
    let before = contents(dir);
    match (open(dir, options()), &expected) {
        (Ok((writer, recovery)), Outcome::Opens { torn, last_sequence }) => {
            assert_eq!((recovery.torn.is_some(), recovery.last_sequence), (*torn, *last_sequence));
            goes_on(writer, dir, *last_sequence);
        }
        (Err(error), expected) => {
            assert_refused(dir, &error, expected);
            assert_eq!(contents(dir), before, "changed");
        }
        (Ok((_, recovery)), _) => panic!("opened: {recovery:?}"),
    }
}

/// Cells whose files are like no other's: all 72 of each state of a segment that holds something, first
/// or not. Without a frame at hand only what follows it and the durable position tell cells apart, and
/// the header of a segment that was never begun.
const DISTINCT: usize = 2 * 3 * 72 + 2 * 2 * (3 * 2) + 3 * 2;

#[test]
fn every_cell_is_judged_as_the_table_says() {
    let cells = cells();
    assert_eq!(cells.len(), (2 * 5 - 1) * 2 * 2 * 3 * 3 * 2);
    let (mut seen, mut made) = ([0; 3], HashMap::new());
    for cell in &cells {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("journal");
        fs::create_dir(&dir).unwrap();
        cell.build(&dir);
        let expected = cell.expected();
        // The same files were judged already; the cell must not ask for something else.
        if let Some(known) = made.get(&contents(&dir)) {
            assert_eq!(*known, expected, "{cell:?} is made as another cell");
            continue;
        }
        made.insert(contents(&dir), cell.expected());
        let judged = std::panic::catch_unwind(|| check(cell, &dir));
        assert!(judged.is_ok(), "{cell:?}, expected {expected:?}");
        seen[match expected {
            Outcome::Opens { torn: false, .. } => Verdict::Clean,
            Outcome::Opens { torn: true, .. } => Verdict::Torn,
            _ => Verdict::Corrupt,
        } as usize] += 1;
    }
    assert_eq!(seen.iter().sum::<usize>(), DISTINCT, "{seen:?}");
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
}
