//! Writers that the lock did not keep apart: the later one goes on, the earlier one stops.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use common::*;
use ironbook_journal::snapshot::Checkpoint;
use ironbook_journal::{
    Crash, FileStorage, Options, Placement, Reader, SimulatedStorage, Writer, open, open_stepped,
    verify,
};

/// Longest that a writer takes to see that it was taken over.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// A second writer where somebody has deleted the first one's lock.
fn open_past_the_lock(dir: &Path) -> Writer {
    fs::remove_file(dir.join("LOCK")).unwrap();
    open(dir, small()).unwrap().0
}

/// What the journal holds in the end: all that `second` wrote, and nothing behind it.
fn assert_only_from_the_second(dir: &Path, second: Writer, last: u64) {
    second.close().unwrap();
    assert_eq!(verify(dir).unwrap().findings, []);
    let (read, error) = read_all(&mut Reader::open(dir).unwrap());
    assert!(error.is_none(), "{error:?}");
    assert_eq!(read, last);
}

/// The first writer appends something of its own, which must not appear.
fn assert_stopped(mut first: Writer, dir: &Path) {
    for _ in 0..3 {
        first.append(9, first.next_sequence(), u64::MAX / 2, b"of the first");
        first.commit();
    }
    assert!(!first.has_room(0));
    let message = first.taken_over().expect("it knows").to_owned();
    for part in ["another process", &dir.display().to_string(), "epoch 1", "ironbook verify"] {
        assert!(message.contains(part), "{part:?} is missing in {message}");
    }
    let closed = first.close().expect_err("it is no writer any more");
    assert_eq!(closed.to_string(), message);
}

#[test]
fn a_writer_whose_lock_was_deleted_stops_at_its_next_commit() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, _) = open(dir.path(), small()).unwrap();
    fill(&mut first, 100, 1);
    let mut second = open_past_the_lock(dir.path());
    assert_eq!(second.next_sequence(), 101);
    let position = first.position();
    fill(&mut second, 120, 3);
    // The same numbers, at the same place.
    assert_eq!(first.next_sequence(), 101);
    first.append(9, 101, 5_000, b"of the first");
    first.commit();
    assert_eq!(first.position(), position);
    assert_stopped(first, dir.path());
    fill(&mut second, 130, 1);
    assert_only_from_the_second(dir.path(), second, 130);
}

#[test]
fn a_writer_in_memory_leaves_nothing_of_its_own_in_another_ones_file() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { placement: Placement::InMemory, ..small() };
    let storage = Arc::new(FileStorage::new(dir.path()));
    let (mut first, _, helpers) = open_stepped(storage, options).unwrap();
    fill(&mut first, 100, 1);
    helpers.step_syncer();
    fill(&mut first, 110, 1);
    let mut second = open_past_the_lock(dir.path());
    assert_eq!(second.next_sequence(), 101, "what was in memory alone is nobody's");
    fill(&mut second, 120, 3);
    while helpers.step_syncer().is_some() {}
    assert_stopped(first, dir.path());
    fill(&mut second, 130, 1);
    assert_only_from_the_second(dir.path(), second, 130);
}

#[test]
fn an_open_group_of_a_writer_that_is_taken_over_is_cut_and_never_committed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, _) = open(dir.path(), small()).unwrap();
    fill(&mut first, 100, 1);
    let committed = first.position();
    first.append(9, 101, 5_000, b"of the first");
    let mut second = open_past_the_lock(dir.path());
    fill(&mut second, 110, 1);
    first.commit();
    assert_eq!(first.position(), committed);
    assert_stopped(first, dir.path());
    assert_only_from_the_second(dir.path(), second, 110);
}

#[test]
fn a_writer_that_is_taken_over_amid_a_group_writes_no_further_frame_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, _) = open(dir.path(), small()).unwrap();
    fill(&mut first, 100, 1);
    first.append(9, 101, 5_000, b"of the first");
    let mut second = open_past_the_lock(dir.path());
    // To where the rest of the first one's group would come to stand.
    fill(&mut second, 110, 1);
    let written = fs::read(segment(dir.path(), 0)).unwrap();
    for sequence in 102..110 {
        first.append(9, sequence, 5_000, b"of the first");
    }
    assert!(fs::read(segment(dir.path(), 0)).unwrap() == written, "bytes of the first");
    first.commit();
    assert_stopped(first, dir.path());
    assert_only_from_the_second(dir.path(), second, 110);
}

#[test]
fn a_group_that_has_rolled_into_segments_of_its_own_is_cut_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, _) = open(dir.path(), small()).unwrap();
    fill(&mut first, 100, 1);
    while fs::read(segment(dir.path(), 1)).unwrap()[FRAMES_OFFSET..].iter().all(|byte| *byte == 0) {
        first.append(9, first.next_sequence(), 5_000, &[9; 1_000]);
    }
    let mut second = open_past_the_lock(dir.path());
    fill(&mut second, 2_000, 7);
    assert!(second.position().get() > 2 * SEGMENT_BYTES);
    assert_stopped(first, dir.path());
    assert_only_from_the_second(dir.path(), second, 2_000);
}

#[test]
fn a_writer_that_waits_for_a_segment_amid_a_group_stops_when_it_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, _) = open(dir.path(), small()).unwrap();
    fill(&mut first, 100, 1);
    let durable = first.durable();
    let in_the_way = block_next_segment(dir.path(), &durable);
    let (say, told) = channel();
    thread::spawn(move || {
        while first.taken_over().is_none() {
            first.append(9, first.next_sequence(), 5_000, &[9; 1_000]);
        }
        say.send(first).unwrap();
    });
    wait_for("the writer to wait", || durable.prepared_ahead() == 0 && durable.status().is_some());
    let mut second = open_past_the_lock(dir.path());
    let first = told.recv_timeout(WAIT_MAX).expect("it waits no longer");
    assert_stopped(first, dir.path());
    fs::remove_dir(in_the_way).unwrap();
    fill(&mut second, 110, 1);
    assert_only_from_the_second(dir.path(), second, 110);
}

#[test]
fn a_writer_without_work_learns_by_itself_that_it_was_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, _) = open(dir.path(), small()).unwrap();
    fill(&mut first, 10, 1);
    let durable = first.durable();
    wait_for("everything to be durable", || durable.get() == durable.written());
    let second = open_past_the_lock(dir.path());
    wait_for("a helper thread to look", || durable.taken_over().is_some());
    assert_stopped(first, dir.path());
    assert_only_from_the_second(dir.path(), second, 10);
}

#[test]
fn every_open_takes_a_new_epoch_and_marks_the_segments_it_writes_to() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0;
    for epoch in 1..=3 {
        let (mut writer, _) = open(dir.path(), small()).unwrap();
        let begun_before = writer.position().get() / SEGMENT_BYTES;
        last += 600;
        fill(&mut writer, last, 1);
        let end = writer.position().get() / SEGMENT_BYTES;
        assert!(end > begun_before, "it begins segments of its own");
        writer.close().unwrap();
        let segments = Reader::open(dir.path()).unwrap().segments().unwrap();
        for info in segments {
            let own = info.index >= begun_before;
            assert_eq!(info.epoch == epoch, own, "segment {} in epoch {epoch}", info.index);
        }
    }
    // What counts is the highest of all, wherever it is.
    mark_first_segment(dir.path());
    assert_eq!(verify(dir.path()).unwrap().findings, []);
    open(dir.path(), small()).unwrap().0.close().unwrap();
    assert_eq!(last_epoch(Reader::open(dir.path())), 78);
}

#[test]
fn segments_before_the_start_count_for_the_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path(), small()).unwrap();
    fill(&mut writer, 600, 1);
    let start = Checkpoint {
        sequence: 600,
        position: writer.position(),
        running_hash: writer.running_hash(),
        segment_bytes: SEGMENT_BYTES,
    };
    assert!(start.segment() > 0);
    writer.close().unwrap();
    mark_first_segment(dir.path());
    let options = Options { start: Some(start), ..small() };
    open(dir.path(), options).unwrap().0.close().unwrap();
    assert_eq!(last_epoch(Reader::open(dir.path())), 78);
}

#[test]
fn every_simulated_life_takes_the_next_epoch() {
    let mut storage = SimulatedStorage::new(7);
    for (epoch, end) in (1..).zip([Crash::ProcessDeath, Crash::PowerLoss].repeat(3)) {
        let (mut writer, _, helpers) = open_stepped(Arc::new(storage.clone()), small()).unwrap();
        let last = writer.next_sequence() + 400;
        while writer.next_sequence() < last {
            let sequence = writer.next_sequence();
            writer.append(1, sequence, sequence, &[7; 100]);
            writer.commit();
            helpers.step_preparer();
        }
        helpers.step_syncer();
        assert_eq!(last_epoch(Reader::open_in(Arc::new(storage.clone()))), epoch);
        storage = storage.crash(end);
    }
}

/// The epoch of the last segment.
fn last_epoch(reader: Result<Reader, ironbook_journal::OpenError>) -> u32 {
    reader.unwrap().segments().unwrap().last().unwrap().epoch
}

/// Gives the first segment an epoch higher than all others.
fn mark_first_segment(dir: &Path) {
    let path = segment(dir, 0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[104..112].copy_from_slice(&EPOCH_77);
    fs::write(&path, bytes).unwrap();
}

/// The epoch word of 77.
const EPOCH_77: [u8; 8] = [77, 0, 0, 0, 74, 167, 133, 251];
