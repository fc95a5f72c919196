//! What is appended comes back: to tails, to readers, after a restart.

mod common;

use std::time::Duration;

use common::*;
use ironbook_journal::{Position, Reader, open, verify};

#[test]
fn frames_come_back_from_tail_reader_and_reopened_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, recovery) = open(dir.path(), small()).unwrap();
    assert_eq!(recovery.frames, 0);
    let mut tail = writer.tail();
    for sequence in 1..=2_000 {
        writer.append(sequence as u16, sequence, sequence * 10, &payload(sequence));
        if sequence % 3 == 0 {
            writer.commit();
        }
    }
    writer.commit();
    let mut reader = Reader::open(dir.path()).unwrap();
    for sequence in 1..=2_000 {
        let frame = tail.next().unwrap().unwrap();
        assert_eq!(reader.next().unwrap().unwrap(), frame);
        assert_eq!((frame.sequence, frame.time_ns), (sequence, sequence * 10));
        assert_eq!(frame.payload, payload(sequence));
    }
    assert!(tail.next().unwrap().is_none() && reader.next().unwrap().is_none());
    let end = writer.position();
    assert_eq!((tail.position(), reader.position()), (end, end));
    writer.close().unwrap();

    let report = verify(dir.path()).unwrap();
    assert_eq!((report.frames, report.first_sequence, report.last_sequence), (2_000, 1, 2_000));
    assert_eq!(report.findings, []);
    assert_eq!(report.durable, end);

    let (writer, recovery) = open(dir.path(), small()).unwrap();
    assert_eq!((recovery.frames, recovery.last_time_ns), (2_000, 20_000));
    assert_eq!((writer.next_sequence(), writer.position()), (2_001, end));
    assert!(recovery.torn.is_none());
    let mut tail = writer.tail();
    tail.seek(Position::START);
    assert_eq!(tail.next().unwrap().unwrap().sequence, 1);
}

#[test]
fn an_open_group_is_invisible_and_cut_on_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path(), small()).unwrap();
    let mut tail = writer.tail();
    writer.append(1, 1, 5, b"first");
    writer.commit();
    writer.append(2, 2, 6, b"second");
    // The group rolls over two segments before it is dropped.
    for sequence in 3..=600 {
        writer.append(2, sequence, 6, &[7; 200]);
    }
    assert_eq!(tail.next().unwrap().unwrap().group_frames, 1);
    assert!(tail.next().unwrap().is_none());
    let mut reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().payload, b"first");
    assert!(reader.next().unwrap().is_none());
    drop(writer);

    let (mut writer, recovery) = open(dir.path(), small()).unwrap();
    let torn = recovery.torn.expect("the open group is cut");
    assert_eq!((torn.segment, torn.last_good_sequence), (0, 1));
    assert!(torn.bytes_cut > 600 * 200);
    assert_eq!(writer.next_sequence(), 2);
    writer.append(3, 2, 7, b"instead");
    writer.commit();
    assert_eq!(reader.next().unwrap().unwrap().payload, b"instead");
    writer.close().unwrap();
    assert_eq!(verify(dir.path()).unwrap().findings, []);
}

#[test]
fn the_durable_position_follows_the_written_one() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path(), small()).unwrap();
    let durable = writer.durable();
    for sequence in 1..=1_000 {
        writer.append(1, sequence, sequence, &payload(sequence));
        writer.commit();
    }
    assert_eq!(durable.written(), writer.position());
    for _ in 0..1_000 {
        if durable.get() == durable.written() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not durable after 10 s: {:?}", durable.status());
}

#[test]
fn readers_wait_in_a_new_segment_whose_first_group_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path(), small()).unwrap();
    let mut tail = writer.tail();
    writer.append(1, 1, 1, &[1; 30_000]);
    writer.append(1, 2, 2, &[2; 30_000]);
    writer.commit();
    // Doesn't fit: the roll ends segment 0 before anything is committed in segment 1.
    writer.append(1, 3, 3, &[3; 30_000]);
    let mut reader = Reader::open(dir.path()).unwrap();
    for _ in 0..2 {
        assert!(tail.next().unwrap().is_some() && reader.next().unwrap().is_some());
    }
    assert!(tail.next().unwrap().is_none() && reader.next().unwrap().is_none());
    writer.commit();
    assert_eq!(tail.next().unwrap().unwrap().payload, [3; 30_000]);
    assert_eq!(reader.next().unwrap().unwrap().payload, [3; 30_000]);
}

/// Sequence and address of what a reader reads, up to so many frames.
fn read_addresses(mut reader: Reader, frames: usize) -> Vec<(u64, usize)> {
    let mut read = Vec::new();
    while read.len() < frames
        && let Some(frame) = reader.next().unwrap()
    {
        read.push((frame.sequence, frame.payload.as_ptr().addr()));
    }
    read
}

#[test]
fn who_follows_a_reader_reads_its_memory_wherever_both_begin_and_end() {
    const LAST: usize = 3_000;
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path(), small()).unwrap();
    fill(&mut writer, LAST as u64, 3);
    writer.close().unwrap();
    let mut places = vec![Position::START];
    let mut reader = Reader::open(dir.path()).unwrap();
    while let Some(frame) = reader.next().unwrap() {
        places.push(frame.end);
    }
    assert!(reader.segments().unwrap().len() > 5);
    drop(reader);
    // Where the leader begins, how many frames it reads, and the same of the one behind it.
    for (leads, follows) in [
        ((0, LAST), (0, LAST)),
        ((0, LAST), (2_000, LAST)),
        ((2_000, LAST), (0, LAST)),
        ((0, 1), (0, LAST)),
        ((0, 1_500), (0, LAST)),
        ((0, LAST), (0, 1)),
        ((0, LAST), (0, 1_500)),
    ] {
        let read = |(from, frames): (usize, usize)| {
            let mut reader = Reader::open(dir.path()).unwrap();
            reader.seek(places[from]);
            (reader, frames)
        };
        let ((mut leader, to_lead), (mut reader, to_follow)) = (read(leads), read(follows));
        reader.follow(&mut leader);
        let (led, followed) = std::thread::scope(|scope| {
            let led = scope.spawn(|| read_addresses(leader, to_lead));
            let followed = read_addresses(reader, to_follow);
            (led.join().unwrap(), followed)
        });
        for (read, (from, frames)) in [(&led, leads), (&followed, follows)] {
            let expected = from as u64 + 1..=(from + frames).min(LAST) as u64;
            assert!(read.iter().map(|read| read.0).eq(expected));
        }
        if leads == follows {
            assert!(led == followed, "another map than the leader's");
        }
    }
}
