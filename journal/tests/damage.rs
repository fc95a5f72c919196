//! Flipped bits and truncated files: found, named, never accepted, never worsened.

mod common;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use common::*;
use ironbook_journal::{Finding, OpenError, Reader, frame_bytes, open, verify};

const LAST: u64 = 24;

/// A closed journal of one and a bit segments: all of it is durable.
fn closed_journal() -> tempfile::TempDir {
    let dir = memory_dir();
    let (mut writer, _) = open(dir.path(), small()).unwrap();
    fill(&mut writer, LAST, 3);
    writer.close().unwrap();
    dir
}

fn flip(dir: &Path, index: u64, offset: usize, mask: u8) {
    let file = fs::OpenOptions::new().read(true).write(true).open(segment(dir, index)).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset as u64).unwrap();
    file.write_all_at(&[byte[0] ^ mask], offset as u64).unwrap();
}

fn used_bytes(last: u64) -> usize {
    FRAMES_OFFSET + (1..=last).map(|sequence| frame_bytes(payload(sequence).len())).sum::<usize>()
}

#[test]
fn every_flipped_byte_is_found_and_refused() {
    let dir = closed_journal();
    let frames = FRAMES_OFFSET..used_bytes(LAST);
    let header = 0..DURABLE_OFFSET + 64;
    for (i, offset) in header.chain(frames.clone()).enumerate() {
        // Every bit gets its turn; over all bits of all bytes the test would take minutes.
        let mask = 1 << (i % 8);
        flip(dir.path(), 0, offset, mask);
        let report = verify(dir.path()).unwrap();
        let corrupt = |finding: &Finding| !matches!(finding, Finding::TornTail { .. });
        assert!(report.findings.iter().any(corrupt), "offset {offset} mask {mask:#x}: {report:?}");
        if let Ok(mut reader) = Reader::open(dir.path()) {
            let (last, _) = read_all(&mut reader);
            assert!(last <= LAST);
        }
        if i % 16 == 0 {
            let before = contents(dir.path());
            let refused = open(dir.path(), small()).err().expect("damage is refused");
            assert!(
                matches!(refused, OpenError::Corrupt { .. } | OpenError::VersionMismatch { .. }),
                "{refused}"
            );
            assert_eq!(contents(dir.path()), before, "offset {offset}");
        }
        flip(dir.path(), 0, offset, mask);
    }
    assert_eq!(verify(dir.path()).unwrap().findings, []);
}

#[test]
fn a_flipped_byte_behind_the_tail_is_reported() {
    let dir = closed_journal();
    for offset in (used_bytes(LAST)..SEGMENT_BYTES as usize).step_by(997) {
        flip(dir.path(), 0, offset, 0x10);
        let report = verify(dir.path()).unwrap();
        assert!(
            matches!(report.findings[..], [Finding::TornTail { last_good_sequence: LAST, .. }]),
            "offset {offset}: {report:?}"
        );
        flip(dir.path(), 0, offset, 0x10);
    }
}

#[test]
fn damage_in_one_segment_leaves_the_others_readable_for_verify() {
    let dir = memory_dir();
    let (mut writer, _) = open(dir.path(), small()).unwrap();
    fill(&mut writer, 2_000, 1);
    let end = writer.position();
    writer.close().unwrap();
    assert!(end.get() > 4 * SEGMENT_BYTES);
    flip(dir.path(), 1, 30_000, 1);
    flip(dir.path(), 3, 30_000, 1);
    let report = verify(dir.path()).unwrap();
    let files: Vec<_> = report
        .findings
        .iter()
        .map(|finding| match finding {
            Finding::Corrupt { file, .. } => file.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(files, [segment(dir.path(), 1), segment(dir.path(), 3)]);
    assert_eq!((report.first_sequence, report.last_sequence), (1, 2_000));
    assert_eq!(report.durable, end);
}

#[test]
fn flips_in_an_end_mark_and_in_later_headers_are_found() {
    let dir = memory_dir();
    let (mut writer, _) = open(dir.path(), small()).unwrap();
    fill(&mut writer, 500, 1);
    writer.close().unwrap();
    let bytes = fs::read(segment(dir.path(), 0)).unwrap();
    let end = bytes
        .chunks_exact(8)
        .rposition(|word| word[..4] == [0xFF, 0xFF, 0xFF, 0x7F])
        .expect("segment 0 ends with END")
        * 8;
    let places = (end..end + 8).map(|offset| (0, offset));
    for (index, offset) in places.chain((0..136).map(|offset| (1, offset))) {
        flip(dir.path(), index, offset, 0x04);
        let report = verify(dir.path()).unwrap();
        assert!(!report.findings.is_empty(), "segment {index} offset {offset}");
        assert!(open(dir.path(), small()).is_err(), "segment {index} offset {offset}");
        flip(dir.path(), index, offset, 0x04);
    }
    assert_eq!(verify(dir.path()).unwrap().findings, []);
}

#[test]
fn truncation_at_every_byte_of_the_last_frames_keeps_whole_groups() {
    let dir = memory_dir();
    let (mut writer, _) = open(dir.path(), small_unsynced()).unwrap();
    fill(&mut writer, LAST, 3);
    let image = crash_image(dir.path());
    drop(writer);
    let whole = fs::read(segment(image.path(), 0)).unwrap();
    let (first, end) = (used_bytes(LAST - 6), used_bytes(LAST));
    for cut in first..=end {
        let image = memory_dir();
        fs::write(segment(image.path(), 0), &whole[..cut]).unwrap();
        let (writer, recovery) = open(image.path(), small_unsynced()).unwrap();
        // Bytes a file lacks are zeros, so lost padding is no loss.
        let kept = cut + whole[cut..].iter().take_while(|&&byte| byte == 0).count();
        let groups = (0..=LAST).rev().find(|last| last % 3 == 0 && used_bytes(*last) <= kept);
        assert_eq!(recovery.last_sequence, groups.unwrap(), "cut at {cut}");
        assert_eq!(writer.next_sequence(), recovery.last_sequence + 1);
        let mut reader = Reader::open(image.path()).unwrap();
        let (last, error) = read_all(&mut reader);
        assert!(error.is_none() && last == recovery.last_sequence, "{error:?}");
    }
}

#[test]
fn truncation_of_durable_bytes_is_refused() {
    let dir = closed_journal();
    let whole = fs::read(segment(dir.path(), 0)).unwrap();
    for cut in (used_bytes(LAST - 3)..used_bytes(LAST)).step_by(5) {
        let image = memory_dir();
        // The last payload ends before its frame's padding does.
        fs::write(segment(image.path(), 0), &whole[..cut]).unwrap();
        if whole[cut..used_bytes(LAST)].iter().all(|&byte| byte == 0) {
            continue;
        }
        let refused = open(image.path(), small()).err().expect("durable bytes are gone");
        assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused}");
        assert!(refused.to_string().contains("ironbook verify"), "{refused}");
        assert_eq!(fs::read(segment(image.path(), 0)).unwrap().len(), cut);
    }
}

#[test]
fn a_missing_segment_is_named() {
    let dir = memory_dir();
    let (mut writer, _) = open(dir.path(), small()).unwrap();
    fill(&mut writer, 1_500, 1);
    writer.close().unwrap();
    fs::remove_file(segment(dir.path(), 1)).unwrap();
    let before = contents(dir.path());
    let refused = open(dir.path(), small()).err().expect("a gap");
    assert!(refused.to_string().contains("0000000001.seg is missing"), "{refused}");
    assert_eq!(contents(dir.path()), before);
    let report = verify(dir.path()).unwrap();
    assert!(matches!(report.findings[..], [Finding::Corrupt { .. }]), "{report:?}");
}

#[test]
fn another_format_version_is_refused_and_named() {
    let dir = closed_journal();
    let file = fs::OpenOptions::new().write(true).open(segment(dir.path(), 0)).unwrap();
    file.write_all_at(&7u32.to_le_bytes(), 8).unwrap();
    let before = contents(dir.path());
    let refused = open(dir.path(), small()).err().expect("version 7");
    let text = refused.to_string();
    assert!(text.contains("version 7") && text.contains("version 1"), "{text}");
    assert!(text.contains("0000000000.seg"), "{text}");
    assert_eq!(contents(dir.path()), before);
    let report = verify(dir.path()).unwrap();
    assert!(matches!(
        report.findings[..],
        [Finding::VersionMismatch { found: 7, supported: 1, .. }]
    ));
    assert!(matches!(Reader::open(dir.path()), Err(OpenError::VersionMismatch { .. })));
}

#[test]
fn torn_bytes_are_put_aside() {
    let dir = memory_dir();
    let (mut writer, _) = open(dir.path(), small_unsynced()).unwrap();
    fill(&mut writer, 9, 3);
    writer.append(77, 10, 100, b"never committed");
    let image = crash_image(dir.path());
    let report = verify(image.path()).unwrap();
    assert!(matches!(report.findings[..], [Finding::TornTail { last_good_sequence: 9, .. }]));
    let (_, recovery) = open(image.path(), small_unsynced()).unwrap();
    let torn = recovery.torn.unwrap();
    let aside = fs::read(image.path().join(format!("torn-0-{}.bin", torn.offset))).unwrap();
    assert_eq!(aside.len() as u64, torn.bytes_cut);
    assert!(aside.ends_with(b"never committed"));
    assert_eq!(torn.offset as usize, used_bytes(9));
}

#[test]
fn an_interrupted_cut_is_taken_up_again() {
    let dir = memory_dir();
    let (mut writer, _) = open(dir.path(), small_unsynced()).unwrap();
    fill(&mut writer, 9, 3);
    for sequence in 10..=400 {
        writer.append(1, sequence, 100, &[3; 300]);
    }
    let torn = crash_image(dir.path());
    // The same group, committed, but the disk lost its last segment.
    writer.commit();
    let incomplete = crash_image(dir.path());
    fs::write(segment(incomplete.path(), 2), vec![0; SEGMENT_BYTES as usize]).unwrap();

    for image in [torn, incomplete] {
        let (first, tail) = (segment(image.path(), 0), used_bytes(9));
        let mut bytes = fs::read(&first).unwrap();
        bytes[tail + 3] |= 0x80;
        fs::write(&first, &bytes).unwrap();
        assert_opens_at(&crash_image(image.path()), 9);
        // The zeros may reach the disk in any sequence.
        for hole in [tail + 8..tail + 400, tail + 400..tail + 800, tail + 8..bytes.len()] {
            bytes[hole].fill(0);
            fs::write(&first, &bytes).unwrap();
            assert_opens_at(&image, 9);
        }
    }
}

fn assert_opens_at(image: &tempfile::TempDir, last: u64) {
    let image = crash_image(image.path());
    let (_, recovery) = open(image.path(), small_unsynced()).unwrap();
    assert_eq!(recovery.last_sequence, last);
    assert!(recovery.torn.is_some());
}

/// A process that dies in the middle of a group that goes on in the next segment: its members
/// there are no damage, and `verify` must not say so.
#[test]
fn a_torn_group_over_a_roll_is_one_unfinished_write() {
    let dir = memory_dir();
    let (mut writer, _) = open(dir.path(), small_unsynced()).unwrap();
    fill(&mut writer, LAST, 3);
    let segment_bytes = small_unsynced().segment_bytes;
    for sequence in LAST + 1.. {
        writer.append(sequence as u16, sequence, sequence * 10, &payload(sequence));
        let image = crash_image(dir.path());
        let header = fs::read(segment(image.path(), writer_segment(&writer) + 1)).unwrap();
        if header[FRAMES_OFFSET..].iter().any(|&byte| byte != 0) {
            let report = verify(image.path()).unwrap();
            assert!(
                matches!(report.findings[..], [Finding::TornTail { last_good_sequence: LAST, .. }]),
                "{:?}",
                report.findings
            );
            assert_eq!(report.last_sequence, LAST);
            assert_opens_at(&image, LAST);
            return;
        }
        assert!((sequence - LAST) * 8 < 2 * segment_bytes, "the group rolls at some time");
    }
}

/// A power failure keeps a segment whole and not the last commit before it, so all from there on is cut; the
/// segment behind is not missed.
#[test]
fn what_would_follow_a_torn_tail_is_not_missed() {
    let dir = memory_dir();
    let (mut writer, _) = open(dir.path(), small_unsynced()).unwrap();
    let segment_bytes = small_unsynced().segment_bytes as usize;
    let last =
        (1..).take_while(|&last| used_bytes(last) + END_BYTES <= segment_bytes).count() as u64;
    while writer_segment(&writer) < 2 {
        let next = writer.next_sequence();
        fill(&mut writer, next, 1);
    }
    let image = crash_image(dir.path());
    for index in 2.. {
        match fs::remove_file(segment(image.path(), index)) {
            Ok(()) => {}
            Err(_) if index > 2 => break,
            Err(error) => panic!("{error}"),
        }
    }
    let missed = verify(image.path()).unwrap().findings;
    assert!(matches!(missed[..], [Finding::Corrupt { .. }]), "{missed:?}");

    // The commit of the last group.
    flip(image.path(), 0, used_bytes(last - 1) + 3, 0x80);
    let findings = verify(image.path()).unwrap().findings;
    let [Finding::TornTail { last_good_sequence, .. }] = findings[..] else {
        panic!("{findings:?}")
    };
    assert_eq!(last_good_sequence, last - 1);
    assert_opens_at(&image, last - 1);
}

/// The segment of the last commit.
fn writer_segment(writer: &ironbook_journal::Writer) -> u64 {
    writer.position().get() / small_unsynced().segment_bytes
}
