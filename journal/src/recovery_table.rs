//! Walks the table of `scan.rs`: every combination of header, durable position, what stands at the
//! stop and what follows, made of real files and judged by [`recover`].
//!
//! The journal has three groups: A of two frames, B of two, C of one. The cases spoil B, and keep
//! or wipe what follows it.

use std::fs;

use crate::format::{
    DURABLE_OFFSET, FRAME_HEADER_BYTES, FrameHead, HEADER_BYTES, SECTOR_BYTES, SEGMENT_BYTES_MIN,
    UNCOMMITTED, durable_word, frame_bytes,
};
use crate::recovery_files::{FRAME, PAYLOAD, goes_on, options, put, put_frame};
use crate::scan::{Follower, Stop, Verdict, judge};
use crate::{Finding, OpenError, open, verify};

const B: usize = HEADER_BYTES + 2 * FRAME;
const C: usize = B + 2 * FRAME;
const END: usize = C + FRAME;

#[derive(Copy, Clone, Debug, PartialEq)]
enum AtStop {
    Zeros,
    Uncommitted,
    BadCrc,
    BadLength,
    WrongSequence,
}

const AT_STOP: [AtStop; 5] =
    [AtStop::Zeros, AtStop::Uncommitted, AtStop::BadCrc, AtStop::BadLength, AtStop::WrongSequence];

#[derive(Copy, Clone, Debug, PartialEq)]
enum Header {
    Good,
    BadCrc,
    /// As the disk took it while it was written, at its latest and at its earliest.
    Half,
    MagicOnly,
    Zeros,
}

/// Groups A, B and C as a killed process leaves them, nothing marked durable.
fn journal() -> Vec<u8> {
    let bytes = journal_of(&PAYLOAD);
    assert!(bytes[END - FRAME..END].iter().any(|&byte| byte != 0));
    assert!(bytes[END..].iter().all(|&byte| byte == 0));
    bytes
}

fn journal_of(payload: &[u8]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path(), options()).unwrap();
    for sequence in 1..=5 {
        writer.append(7, sequence, 100, payload);
        if sequence != 1 && sequence != 3 {
            writer.commit();
        }
    }
    fs::read(dir.path().join(crate::segment::name(0))).unwrap()
}

fn spoil(bytes: &mut [u8], at: AtStop) {
    let head = FrameHead::read(&bytes[B..]);
    assert_eq!((head.sequence, head.group_frames), (3, 2));
    match at {
        AtStop::Zeros => bytes[B..B + FRAME].fill(0),
        AtStop::Uncommitted => {
            put_frame(bytes, B, FrameHead { group_frames: 0, ..head }, UNCOMMITTED);
        }
        AtStop::BadCrc => bytes[B + FRAME_HEADER_BYTES] ^= 1,
        AtStop::BadLength => bytes[B..B + 4].copy_from_slice(&5u32.to_le_bytes()),
        AtStop::WrongSequence => put_frame(bytes, B, FrameHead { sequence: 2, ..head }, 0),
    }
}

fn leave(bytes: &mut [u8], follower: Follower) {
    match follower {
        Follower::None => bytes[B + FRAME..].fill(0),
        Follower::Member => bytes[C..].fill(0),
        Follower::Group => {}
    }
}

fn expected(durable: bool, at: AtStop, follower: Follower) -> Verdict {
    match (durable, at, follower) {
        (true, _, _) => Verdict::Corrupt,
        (_, AtStop::Zeros, Follower::None) => Verdict::Clean,
        (_, AtStop::Uncommitted, Follower::None | Follower::Member) => Verdict::Torn,
        (_, _, Follower::None) => Verdict::Torn,
        _ => Verdict::Corrupt,
    }
}

/// Opens and verifies, and checks that both say `expected`.
fn check(bytes: &[u8], expected: Verdict, last: u64, case: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(crate::segment::name(0));
    fs::write(&path, bytes).unwrap();
    let findings = verify(dir.path()).unwrap().findings;
    match expected {
        Verdict::Clean => assert_eq!(findings, [], "{case}"),
        Verdict::Torn => {
            assert!(matches!(findings[..], [Finding::TornTail { .. }]), "{case}: {findings:?}");
        }
        Verdict::Corrupt => {
            assert!(matches!(findings[..], [Finding::Corrupt { .. }]), "{case}: {findings:?}");
        }
    }
    match (expected, open(dir.path(), options())) {
        (Verdict::Corrupt, Err(OpenError::Corrupt { .. })) => {
            assert_eq!(fs::read(&path).unwrap(), bytes, "{case}: changed");
        }
        (Verdict::Clean | Verdict::Torn, Ok((writer, recovery))) => {
            assert_eq!(recovery.torn.is_some(), expected == Verdict::Torn, "{case}");
            assert_eq!(recovery.last_sequence, last, "{case}");
            goes_on(writer, dir.path(), last);
        }
        (_, other) => panic!("{case}: {:?}", other.map(|(_, recovery)| recovery)),
    }
}

#[test]
fn every_case_of_the_table_is_judged_as_it_says() {
    let whole = journal();
    for durable in [false, true] {
        for at in AT_STOP {
            for follower in [Follower::None, Follower::Member, Follower::Group] {
                let mut bytes = whole.clone();
                spoil(&mut bytes, at);
                leave(&mut bytes, follower);
                // Group A alone is durable, or B as well.
                let word = durable_word(if durable { C } else { B } as u64);
                put(&mut bytes, DURABLE_OFFSET, word);
                let case = format!("durable {durable}, {at:?}, {follower:?}");
                check(&bytes, expected(durable, at, follower), 2, &case);
            }
        }
    }
}

#[test]
fn a_first_header_that_is_no_good_is_torn_only_when_nothing_follows() {
    let whole = journal();
    for header in [Header::Good, Header::BadCrc, Header::Half, Header::MagicOnly, Header::Zeros] {
        for frames in [false, true] {
            for durable in [false, true] {
                let mut bytes = whole.clone();
                if !frames {
                    bytes[HEADER_BYTES..].fill(0);
                }
                match header {
                    Header::Good => {}
                    Header::BadCrc => bytes[50] ^= 1,
                    Header::Half => bytes[DURABLE_OFFSET - 8..HEADER_BYTES].fill(0),
                    Header::MagicOnly => bytes[8..HEADER_BYTES].fill(0),
                    Header::Zeros => bytes[..HEADER_BYTES].fill(0),
                }
                if durable {
                    put(&mut bytes, DURABLE_OFFSET, durable_word(END as u64));
                }
                let (verdict, last) = match (header, frames, durable) {
                    (Header::Good, true, _) => (Verdict::Clean, 5),
                    (Header::Good, false, false) => (Verdict::Clean, 0),
                    (Header::BadCrc | Header::Half | Header::MagicOnly, false, false) => {
                        (Verdict::Torn, 0)
                    }
                    // A power failure before the first sync: the header's sector is stale.
                    (Header::Half | Header::MagicOnly | Header::Zeros, true, false) => {
                        (Verdict::Torn, 0)
                    }
                    // Only zeros: a creation that was interrupted.
                    (Header::Zeros, false, false) => continue,
                    _ => (Verdict::Corrupt, 0),
                };
                let case = format!("header {header:?}, frames {frames}, durable {durable}");
                check(&bytes, verdict, last, &case);
            }
        }
    }
}

#[test]
fn a_group_that_is_not_whole_is_cut_at_its_start() {
    let mut bytes = journal();
    bytes[B + FRAME..].fill(0);
    check(&bytes, Verdict::Torn, 2, "second frame of B lost");
    let mut bytes = journal();
    bytes[C + 33] ^= 1;
    check(&bytes, Verdict::Torn, 4, "C damaged");
    bytes[END + 800] = 1;
    check(&bytes, Verdict::Torn, 4, "C damaged, and bytes behind");
}

/// A power failure: group B or a part of it did not reach the disk, group C did.
#[test]
fn stale_sectors_are_torn_whatever_follows() {
    let b = |payload: usize| HEADER_BYTES + 2 * frame_bytes(payload);
    let sector_end = |offset: usize| (offset + 1).next_multiple_of(SECTOR_BYTES);
    let case = |payload: usize, change: &dyn Fn(&mut [u8]), verdict, name: &str| {
        let mut bytes = journal_of(&vec![0xA5; payload]);
        change(&mut bytes[b(payload)..]);
        check(&bytes, verdict, 2, name);
    };
    let (large, rest) = (600, sector_end(b(600)) - b(600));
    case(large, &|bytes| bytes[..rest].fill(0), Verdict::Torn, "zeros to the sector's end");
    case(large, &|bytes| bytes[..rest - 8].fill(0), Verdict::Corrupt, "zeros, not to the end");
    let uncommit = |bytes: &mut [u8]| bytes[3] |= 0x80;
    case(large, &uncommit, Verdict::Torn, "uncommitted, the next group in another sector");
    case(PAYLOAD.len(), &uncommit, Verdict::Corrupt, "uncommitted, a later group in its sector");
    let lacking = |bytes: &mut [u8]| bytes[rest..rest + SECTOR_BYTES].fill(0);
    case(large, &lacking, Verdict::Torn, "a sector of the frame lacks");
    let partly = |bytes: &mut [u8]| bytes[rest..rest + SECTOR_BYTES - 300].fill(0);
    case(large, &partly, Verdict::Corrupt, "a part of a sector lacks");
    let from = |start: usize| move |bytes: &mut [u8]| bytes[start..rest + SECTOR_BYTES].fill(0);
    case(large, &from(rest + 64), Verdict::Torn, "the end of a sector of the frame lacks");
    case(large, &from(rest + SECTOR_BYTES - 8), Verdict::Torn, "no more than its last word");
    case(large, &from(rest + SECTOR_BYTES - 4), Verdict::Corrupt, "half a word");
    case(large, &|bytes| bytes[64..rest].fill(0), Verdict::Torn, "the end of its first sector");
    // Both frames of B are in one sector here, and C begins in the next.
    let (small, next) = (96, SECTOR_BYTES - b(96) % SECTOR_BYTES);
    assert_eq!(next, 2 * frame_bytes(small));
    case(small, &|bytes| bytes[64..next].fill(0), Verdict::Torn, "what is behind half a frame");
    case(small, &|bytes| bytes[64..next - 8].fill(0), Verdict::Corrupt, "but for a word");
    case(small, &|bytes| bytes[64] ^= 1, Verdict::Corrupt, "a bit of a frame, all else there");

    // The first frame of B has its length at the end of a sector and its group's size in the next.
    let split = 472;
    assert_eq!(b(split) % SECTOR_BYTES, SECTOR_BYTES - 16);
    case(split, &|bytes| bytes[28] = 0, Verdict::Torn, "the size of the group lacks");
    case(split, &|bytes| bytes[28] = 3, Verdict::Corrupt, "another size of the group");
    case(large, &|bytes| bytes[28] = 0, Verdict::Corrupt, "a size in the sector of its length");
}

#[test]
fn segments_of_zeros_are_an_interrupted_creation() {
    let dir = tempfile::tempdir().unwrap();
    for index in 0..2 {
        let zeros = vec![0; SEGMENT_BYTES_MIN as usize];
        fs::write(dir.path().join(crate::segment::name(index)), zeros).unwrap();
    }
    let (writer, recovery) = open(dir.path(), options()).unwrap();
    assert_eq!((recovery.frames, recovery.torn), (0, None));
    goes_on(writer, dir.path(), 0);
}

#[test]
fn durable_damage_is_corrupt_whatever_else_is_so() {
    for stop in [Stop::Empty, Stop::Uncommitted, Stop::Damaged("")] {
        for follower in [Follower::None, Follower::Member, Follower::Group] {
            for residue in [false, true] {
                assert_eq!(judge(true, stop, follower, residue), Verdict::Corrupt);
            }
        }
    }
}
