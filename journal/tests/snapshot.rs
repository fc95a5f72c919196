//! Snapshots as files, and journals that are opened from the place of one.

mod common;

use std::fs;
use std::path::Path;

use common::*;
use ironbook_journal::snapshot::{self, Checkpoint, SNAPSHOT_VERSION, Snapshot};
use ironbook_journal::{
    FileStorage, OpenError, Options, Position, Reader, SnapshotError, open, verify,
};

const PAYLOAD: &[u8] = b"what was made of it";

fn checkpoint() -> Checkpoint {
    Checkpoint {
        sequence: 7,
        position: Position::new(65_536 + 4_200),
        running_hash: 0x1122_3344_5566_7788,
        segment_bytes: 65_536,
    }
}

/// Version 1: header, then the payload.
const GOLDEN: &str = "\
49524f4e534e4150 0100000048000000
0700000000000000 6810010000000000
e803000000000000 8877665544332211
0000010000000000 1300000000000000
f303e8c4 8bc275a1";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn version_1_is_as_it_was() {
    assert_eq!(SNAPSHOT_VERSION, 1);
    let dir = memory_dir();
    let file =
        snapshot::write(&FileStorage::new(dir.path()), &checkpoint(), 1_000, PAYLOAD).unwrap();
    assert_eq!(file.file_name().unwrap(), "snapshot-00000000000000000007.snap");
    let bytes = fs::read(file).unwrap();
    let golden: String = GOLDEN.chars().filter(char::is_ascii_hexdigit).collect();
    assert_eq!(hex(&bytes), golden + &hex(PAYLOAD));
    let read = snapshot::read(&FileStorage::new(dir.path()), 7).unwrap();
    let written = Snapshot { checkpoint: checkpoint(), time_ns: 1_000, payload: PAYLOAD.to_vec() };
    assert_eq!(read, written);
    assert_eq!(read.checkpoint.segment(), 1);
}

#[test]
fn every_cut_and_every_flipped_bit_is_refused_by_name() {
    let dir = memory_dir();
    let file =
        snapshot::write(&FileStorage::new(dir.path()), &checkpoint(), 1_000, PAYLOAD).unwrap();
    let bytes = fs::read(&file).unwrap();
    let refused = |bytes: &[u8], case: &str| {
        fs::write(&file, bytes).unwrap();
        let error = snapshot::read(&FileStorage::new(dir.path()), 7).expect_err(case);
        assert!(error.to_string().contains("snapshot-00000000000000000007.snap"), "{error}");
        error
    };
    for length in 0..bytes.len() {
        let error = refused(&bytes[..length], "cut");
        assert!(matches!(error, SnapshotError::Damaged { .. }), "{length}: {error}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = refused(&flipped, "flipped");
        // The version tells of itself.
        let versioned = matches!(error, SnapshotError::VersionMismatch { .. });
        assert_eq!(versioned, (8..12).contains(&(bit / 8)), "{bit}: {error}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    refused(&longer, "longer");
    fs::write(&file, &bytes).unwrap();
    assert_eq!(snapshot::read(&FileStorage::new(dir.path()), 7).unwrap().payload, PAYLOAD);
    // The right bytes under the name of another are refused, too.
    fs::rename(&file, snapshot::path(dir.path(), 8)).unwrap();
    assert!(
        snapshot::read(&FileStorage::new(dir.path()), 8)
            .unwrap_err()
            .to_string()
            .contains("name of another")
    );
    assert!(matches!(
        snapshot::read(&FileStorage::new(dir.path()), 7),
        Err(SnapshotError::Io { .. })
    ));
}

#[test]
fn snapshots_are_listed_by_sequence_and_unfinished_ones_swept() {
    let dir = memory_dir();
    for sequence in [100, 7, 20] {
        let checkpoint = Checkpoint { sequence, ..checkpoint() };
        snapshot::write(&FileStorage::new(dir.path()), &checkpoint, 1, PAYLOAD).unwrap();
    }
    let others = [
        "snapshot-7.snap",
        "snapshot-0000000000000000007x.snap",
        "notes.snap.tmp",
        "0000000000.seg",
    ];
    let unfinished = "snapshot-00000000000000000300.snap.tmp";
    for name in others.iter().chain([&unfinished]) {
        fs::write(dir.path().join(name), b"").unwrap();
    }
    assert_eq!(snapshot::list(&FileStorage::new(dir.path())).unwrap(), [7, 20, 100]);
    snapshot::remove(&FileStorage::new(dir.path()), 20).unwrap();
    snapshot::remove_unfinished(&FileStorage::new(dir.path())).unwrap();
    assert_eq!(snapshot::list(&FileStorage::new(dir.path())).unwrap(), [7, 100]);
    assert!(!dir.path().join(unfinished).exists());
    assert!(others.iter().all(|name| dir.path().join(name).exists()));
}

const LAST: u64 = 2_000;
const GROUP: u64 = 40;

/// A journal of several segments, closed.
fn journal(dir: &Path) {
    let (mut writer, _) = open(dir, small()).unwrap();
    fill(&mut writer, LAST, GROUP);
    writer.close().unwrap();
}

/// The checkpoints at the ends of all groups, found by reading.
fn checkpoints(dir: &Path) -> Vec<Checkpoint> {
    let mut reader = Reader::open(dir).unwrap();
    let (mut found, mut running_hash) = (Vec::new(), 0);
    while let Some(frame) = reader.next().unwrap() {
        running_hash = frame.running_hash(running_hash);
        if frame.sequence.is_multiple_of(GROUP) {
            found.push(Checkpoint {
                sequence: frame.sequence,
                position: frame.end,
                running_hash,
                segment_bytes: SEGMENT_BYTES,
            });
        }
    }
    found
}

fn from(start: Checkpoint) -> Options {
    Options { start: Some(start), ..small() }
}

#[test]
fn a_journal_opened_from_any_checkpoint_is_the_same() {
    let dir = memory_dir();
    journal(dir.path());
    let (writer, whole) = open(dir.path(), small()).unwrap();
    assert_eq!(writer.running_hash(), whole.running_hash);
    drop(writer);
    let checkpoints = checkpoints(dir.path());
    assert_eq!(checkpoints.last().unwrap().running_hash, whole.running_hash);
    assert!(checkpoints.iter().any(|checkpoint| checkpoint.segment() == 2));
    for start in checkpoints {
        snapshot::check_place(&FileStorage::new(dir.path()), &start).unwrap();
        let (writer, recovery) = open(dir.path(), from(start)).unwrap();
        assert_eq!(recovery, whole, "from {start:?}");
        assert_eq!(writer.next_sequence(), LAST + 1);
    }
    let start = checkpoints_of_last_segment(dir.path());
    let (mut writer, _) = open(dir.path(), from(start)).unwrap();
    fill(&mut writer, LAST + 100, GROUP);
    writer.close().unwrap();
    assert_eq!(read_all(&mut Reader::open(dir.path()).unwrap()).0, LAST + 100);
    assert_eq!(verify(dir.path()).unwrap().findings, []);
}

fn checkpoints_of_last_segment(dir: &Path) -> Checkpoint {
    *checkpoints(dir).last().unwrap()
}

#[test]
fn segments_before_the_start_are_neither_read_nor_needed() {
    let dir = memory_dir();
    journal(dir.path());
    let whole = open(dir.path(), small()).unwrap().1;
    let start = checkpoints_of_last_segment(dir.path());
    let first_of = |dir: &Path, index: usize| {
        Reader::open(dir).unwrap().segments().unwrap()[index].first_sequence
    };
    let second = first_of(dir.path(), 1);
    // Damage there is verify's to find.
    let mut bytes = fs::read(segment(dir.path(), 0)).unwrap();
    bytes[FRAMES_OFFSET + 40] ^= 1;
    fs::write(segment(dir.path(), 0), &bytes).unwrap();
    assert_eq!(open(dir.path(), from(start)).unwrap().1, whole);
    assert!(!verify(dir.path()).unwrap().findings.is_empty());
    assert!(matches!(open(dir.path(), small()), Err(OpenError::Corrupt { .. })));
    // Without the first segment the directory begins with the second.
    fs::remove_file(segment(dir.path(), 0)).unwrap();
    let recovery = open(dir.path(), from(start)).unwrap().1;
    assert_eq!(recovery.first_sequence, second);
    assert_eq!(recovery.frames, LAST + 1 - second);
    assert_eq!(recovery.segments, whole.segments - 1);
    assert_eq!(recovery.bytes, whole.bytes - SEGMENT_BYTES);
    assert_eq!((recovery.last_sequence, recovery.running_hash), (LAST, whole.running_hash));
    assert_eq!(open(dir.path(), small()).unwrap().1, recovery);
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.findings, report.first_sequence), (vec![], second));
    // With a hole it begins behind the hole.
    let last = start.segment();
    assert!(last >= 3);
    fs::remove_file(segment(dir.path(), last - 1)).unwrap();
    let recovery = open(dir.path(), from(start)).unwrap().1;
    assert_eq!(recovery.segments, 1);
    assert_eq!(recovery.frames, LAST + 1 - recovery.first_sequence);
}

#[test]
fn groups_that_reach_over_segments_need_no_first_half() {
    let dir = memory_dir();
    let (mut writer, _) = open(dir.path(), small()).unwrap();
    let segment_of = |writer: &ironbook_journal::Writer| writer.position().get() / SEGMENT_BYTES;
    fill(&mut writer, 10, 10);
    // One group from segment 0 to segment 2.
    while segment_of(&writer) < 2 {
        let last = writer.next_sequence() + 799;
        fill(&mut writer, last, 10_000);
    }
    let (sequence, running_hash) = (writer.next_sequence() - 1, writer.running_hash());
    let start = Checkpoint {
        sequence,
        position: writer.position(),
        running_hash,
        segment_bytes: SEGMENT_BYTES,
    };
    writer.close().unwrap();
    let whole = open(dir.path(), from(start)).unwrap().1;
    for index in 0..start.segment() {
        fs::remove_file(segment(dir.path(), index)).unwrap();
        assert_eq!(verify(dir.path()).unwrap().findings, [], "without {index}");
        let recovery = open(dir.path(), from(start)).unwrap().1;
        assert_eq!(recovery.last_sequence, sequence);
        assert_eq!(recovery.running_hash, whole.running_hash);
        assert_eq!(open(dir.path(), small()).unwrap().1, recovery);
    }
    // But a journal that has its first frame begins with a group.
    let (mut writer, _) = open(dir.path(), from(start)).unwrap();
    fill(&mut writer, sequence + 10, 5);
    writer.close().unwrap();
    assert_eq!(verify(dir.path()).unwrap().findings, []);
}

#[test]
fn a_torn_tail_is_cut_behind_the_start() {
    let dir = memory_dir();
    let (mut writer, _) = open(dir.path(), small_unsynced()).unwrap();
    fill(&mut writer, LAST, GROUP);
    let image = crash_image(dir.path());
    let start = checkpoints(image.path())[40];
    writer.append(1, LAST + 1, LAST * 10, b"never committed");
    let image = crash_image(dir.path());
    let (_, recovery) = open(image.path(), from(start)).unwrap();
    assert_eq!(recovery.torn.as_ref().map(|torn| torn.last_good_sequence), Some(LAST));
    assert_eq!(recovery.last_sequence, LAST);
    assert_eq!(verify(image.path()).unwrap().findings, []);
}

#[test]
fn places_of_other_journals_are_refused_and_nothing_is_changed() {
    let dir = memory_dir();
    journal(dir.path());
    let good = checkpoints(dir.path())[20];
    let end = checkpoints_of_last_segment(dir.path());
    let before = contents(dir.path());
    let at = |bytes: u64| Position::new(good.position.get() + bytes);
    let cases = [
        ("other frames", Checkpoint { running_hash: good.running_hash ^ 1, ..good }),
        ("other frames", Checkpoint { sequence: good.sequence + 1, ..good }),
        ("no good frames", Checkpoint { position: at(8), ..good }),
        ("no good frames", Checkpoint { position: at(32), ..good }),
        ("no good frames", Checkpoint { position: Position::new(end.position.get() + 64), ..end }),
        ("is missing", Checkpoint { position: Position::new(99 << 16), ..good }),
        ("another size", Checkpoint { segment_bytes: SEGMENT_BYTES * 2, ..good }),
        ("is missing", Checkpoint { position: at(0), segment_bytes: 1 << 10, ..good }),
    ];
    for (expected, start) in cases {
        let error = open(dir.path(), from(start)).err().expect("refused");
        assert!(matches!(error, OpenError::StartMismatch { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{start:?}: {error}");
        assert_eq!(
            snapshot::check_place(&FileStorage::new(dir.path()), &start).unwrap_err().to_string(),
            error.to_string()
        );
    }
    // A place within a group is one that a torn group can't take back.
    let inside = checkpoint_inside_a_group(dir.path());
    assert!(matches!(open(dir.path(), from(inside)), Err(OpenError::StartMismatch { .. })));
    assert_eq!(contents(dir.path()), before);
}

fn checkpoint_inside_a_group(dir: &Path) -> Checkpoint {
    let mut reader = Reader::open(dir).unwrap();
    let mut running_hash = 0;
    loop {
        let frame = reader.next().unwrap().unwrap();
        running_hash = frame.running_hash(running_hash);
        if frame.sequence == GROUP + 3 {
            return Checkpoint {
                sequence: frame.sequence,
                position: frame.end,
                running_hash,
                segment_bytes: SEGMENT_BYTES,
            };
        }
    }
}

#[test]
fn a_journal_without_frames_is_refused_beside_a_good_snapshot_of_some() {
    let dir = memory_dir();
    journal(dir.path());
    let (early, late) = (checkpoints(dir.path())[5], checkpoints_of_last_segment(dir.path()));
    for start in [early, late] {
        snapshot::write(&FileStorage::new(dir.path()), &start, 1_000, PAYLOAD).unwrap();
    }
    // The newest one proves nothing when it is damaged; the one before does.
    fs::write(snapshot::path(dir.path(), late.sequence), b"IRONSNAP").unwrap();
    let nothing = vec![0; SEGMENT_BYTES as usize];
    (0..=late.segment() + 3).for_each(|index| {
        let file = segment(dir.path(), index);
        if file.exists() {
            fs::write(file, &nothing).unwrap();
        }
    });
    let before = contents(dir.path());
    match open(dir.path(), small()).err().expect("refused") {
        OpenError::FramesGone { sequence, .. } => assert_eq!(sequence, early.sequence),
        other => panic!("{other}"),
    }
    assert_eq!(contents(dir.path()), before);
    snapshot::remove(&FileStorage::new(dir.path()), early.sequence).unwrap();
    assert_eq!(open(dir.path(), small()).unwrap().1.frames, 0);
}

#[test]
fn a_journal_cut_before_the_start_refuses_it_unchanged() {
    let dir = memory_dir();
    let (mut writer, _) = open(dir.path(), small_unsynced()).unwrap();
    fill(&mut writer, 80, GROUP);
    let image = crash_image(dir.path());
    let start = checkpoints(image.path())[1];
    // Power fails: the second group never reached the disk.
    let file = segment(image.path(), 0);
    let mut bytes = fs::read(&file).unwrap();
    let first = checkpoints(image.path())[0].position.get() as usize;
    bytes[first + 8..].fill(0);
    fs::write(&file, &bytes).unwrap();
    let before = contents(image.path());
    let refused = open(image.path(), from(start));
    assert!(matches!(refused, Err(OpenError::StartMismatch { .. })));
    drop(refused);
    assert_eq!(contents(image.path()), before);
    assert_eq!(open(image.path(), small()).unwrap().1.last_sequence, GROUP);
}

#[test]
fn a_held_lock_outlasts_the_writer() {
    let dir = memory_dir();
    let (writer, _) = open(dir.path(), small()).unwrap();
    let held = writer.hold_lock();
    writer.close().unwrap();
    assert!(matches!(open(dir.path(), small()), Err(OpenError::InUse { .. })));
    drop(held);
    open(dir.path(), small()).unwrap();
}

#[test]
fn a_reader_knows_what_has_gone() {
    let dir = memory_dir();
    journal(dir.path());
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.oldest().unwrap(), Position::START);
    fs::remove_file(segment(dir.path(), 0)).unwrap();
    assert_eq!(reader.oldest().unwrap(), Position::new(SEGMENT_BYTES));
}
