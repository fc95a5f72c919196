//! Frames in memory beside the files: what the files get of them, and when.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::*;
use ironbook_journal::{
    FileStorage, Helpers, Options, Placement, Reader, Writer, open, open_stepped, verify,
};

fn in_memory() -> Options {
    Options { placement: Placement::InMemory, ..small() }
}

fn stepped(dir: &Path) -> (Writer, Helpers) {
    let (writer, _, helpers) = open_stepped(Arc::new(FileStorage::new(dir)), in_memory()).unwrap();
    (writer, helpers)
}

/// All bytes of the frames of a journal.
fn frames(dir: &Path) -> Vec<Vec<u8>> {
    (0..)
        .map_while(|index| fs::read(segment(dir, index)).ok())
        .map(|bytes| bytes[FRAMES_OFFSET..].to_vec())
        .collect()
}

fn sequences(dir: &Path) -> u64 {
    let (last, error) = read_all(&mut Reader::open(dir).unwrap());
    assert!(error.is_none(), "{error:?}");
    last
}

#[test]
fn the_files_are_the_same_in_the_end_and_each_goes_on_with_the_others() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for round in 1..=4 {
        for (number, dir) in dirs.iter().enumerate() {
            let options = if (round + number) % 2 == 0 { in_memory() } else { small() };
            let (mut writer, recovery) = open(dir.path(), options).unwrap();
            assert_eq!(recovery.last_sequence, 500 * (round as u64 - 1));
            fill(&mut writer, 500 * round as u64, 7);
            let mut tail = writer.tail();
            for sequence in 1..writer.next_sequence() {
                assert_eq!(tail.next().unwrap().unwrap().payload, payload(sequence));
            }
            assert!(tail.next().unwrap().is_none());
            writer.close().unwrap();
            assert_eq!(verify(dir.path()).unwrap().findings, []);
            assert_eq!(sequences(dir.path()), 500 * round as u64);
        }
        let [first, second] = [0, 1].map(|number: usize| frames(dirs[number].path()));
        let used = first.len().min(second.len());
        assert!(used > round && first[..used] == second[..used], "round {round}");
    }
}

#[test]
fn a_file_gets_frames_by_a_sync_and_only_what_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, helpers) = stepped(dir.path());
    let mut tail = writer.tail();
    fill(&mut writer, 50, 7);
    assert!(tail.next().unwrap().is_some(), "a tail reads the memory");
    assert_eq!(sequences(dir.path()), 0);
    let is_zero = || frames(dir.path())[0].iter().all(|&byte| byte == 0);
    assert!(is_zero());

    // An open group in the page in which the sync ends.
    writer.append(51, 51, 510, &payload(51));
    helpers.step_syncer();
    assert_eq!(writer.durable().get(), writer.position());
    assert_eq!(sequences(dir.path()), 50);
    let end = (writer.position().get() - FRAMES_OFFSET as u64) as usize;
    let bytes = &frames(dir.path())[0];
    assert!(bytes[end - 8..end].iter().any(|&byte| byte != 0));
    assert!(bytes[end..].iter().all(|&byte| byte == 0), "nothing of the open group");

    writer.commit();
    fill(&mut writer, 1_000, 7);
    helpers.step_syncer();
    assert_eq!(sequences(dir.path()), 1_000, "over several segments");
    let live = verify(dir.path()).unwrap();
    assert_eq!((live.last_sequence, live.findings), (1_000, vec![]));
}

#[test]
fn what_was_not_synced_is_gone_with_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, helpers) = stepped(dir.path());
    fill(&mut writer, 50, 7);
    helpers.step_syncer();
    fill(&mut writer, 70, 7);
    let image = crash_image(dir.path());
    let (writer, recovery) = open(image.path(), in_memory()).unwrap();
    assert_eq!((recovery.last_sequence, recovery.torn.is_none()), (50, true));
    assert_eq!(writer.next_sequence(), 51);
}

#[test]
fn a_disk_that_is_behind_leaves_no_room_and_memory_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, helpers) = stepped(dir.path());
    let go_on = |writer: &mut Writer| {
        let before = writer.next_sequence();
        for _ in 0..100 {
            helpers.step_preparer();
            if writer.has_room(4_000) {
                let last = writer.next_sequence() + 9;
                fill(writer, last, 5);
            }
        }
        writer.next_sequence() - before
    };
    while go_on(&mut writer) > 0 {
        let segments = writer.position().get() / SEGMENT_BYTES;
        assert!(segments < 20, "it goes on and on: {segments} segments");
    }
    assert!(writer.position().get() / SEGMENT_BYTES >= 4, "some may wait");
    helpers.step_syncer();
    assert!(go_on(&mut writer) > 0, "it goes on with the disk");
    let last = writer.next_sequence() - 1;
    writer.close().unwrap();
    assert_eq!(sequences(dir.path()), last, "nothing is lost");
}
