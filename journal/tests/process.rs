//! Two processes at one journal: a writer that is killed, a reader that follows, a second writer.
//!
//! The other process is this test binary again, told by its environment which part to play.

mod common;

use std::env;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use common::*;
use ironbook_journal::{OpenError, Options, Placement, Reader, open, verify};

const PART: &str = "JOURNAL_TEST_PART";
const DIR: &str = "JOURNAL_TEST_DIR";
const GROUP: u64 = 5;
/// Frames of a group that is followed; the last one of a round may have less.
const FOLLOWED_GROUP: u64 = 7;
const ROUND: u64 = 100;

fn options(placement: Placement) -> Options {
    Options { placement, ..small() }
}

fn play(part: &str, dir: &std::path::Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["the_other_process", "--exact", "--ignored", "--nocapture"])
        .env(PART, part)
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "the other process of the tests in this file, started by them"]
fn the_other_process() {
    let dir = PathBuf::from(env::var_os(DIR).expect("started by another test of this file"));
    match env::var(PART).unwrap().as_str() {
        "write" => write_for_ever(&dir, Placement::InFile),
        "write beside" => write_for_ever(&dir, Placement::InMemory),
        "follow" => follow_to(&dir, 20_000),
        part => panic!("no part {part}"),
    }
}

/// Appends groups until it is killed; says now and then how far it would survive that.
fn write_for_ever(dir: &std::path::Path, placement: Placement) {
    let (mut writer, _) = open(dir, options(placement)).unwrap();
    let durable = writer.durable();
    loop {
        let last = writer.next_sequence() - 1 + GROUP;
        fill(&mut writer, last, GROUP);
        if last.is_multiple_of(1_000) {
            while placement == Placement::InMemory && durable.get() < writer.position() {
                thread::yield_now();
            }
            println!("committed {last}");
        }
    }
}

fn follow_to(dir: &std::path::Path, last: u64) {
    wait_for("a journal", || Reader::open(dir).is_ok());
    let mut reader = Reader::open(dir).unwrap();
    let mut sequence = 0;
    wait_for("all frames", || {
        while let Some(frame) = reader.next().unwrap() {
            sequence += 1;
            assert_eq!(frame.sequence, sequence);
            assert_eq!(frame.payload, payload(sequence));
        }
        let whole = sequence.is_multiple_of(FOLLOWED_GROUP) || sequence.is_multiple_of(ROUND);
        assert!(whole, "the group of {sequence} has more");
        sequence == last
    });
    println!("followed {sequence}");
}

/// The number behind `word` in the child's next such line.
fn next_number(lines: &mut impl Iterator<Item = std::io::Result<String>>, word: &str) -> u64 {
    lines
        .find_map(|line| Some(line.unwrap().split(word).nth(1)?.trim().parse().unwrap()))
        .expect("the other process says a number")
}

#[test]
fn a_reader_in_another_process_follows_a_live_writer() {
    follows(Placement::InFile);
}

/// What it finds is written a sync at a time, in pages that come in any order.
#[test]
fn a_reader_in_another_process_follows_a_writer_in_memory() {
    follows(Placement::InMemory);
}

fn follows(placement: Placement) {
    let dir = tempfile::tempdir().unwrap();
    let mut child = play("follow", dir.path());
    let (mut writer, _) = open(dir.path(), options(placement)).unwrap();
    for last in (ROUND..=20_000).step_by(ROUND as usize) {
        fill(&mut writer, last, FOLLOWED_GROUP);
        thread::sleep(Duration::from_micros(200));
    }
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(next_number(&mut lines, "followed "), 20_000);
    // It reports its own test as passed before it ends.
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_killed_writer_leaves_whole_groups_and_all_it_committed() {
    is_killed("write");
}

#[test]
fn a_killed_writer_in_memory_leaves_whole_groups_and_all_that_was_durable() {
    is_killed("write beside");
}

fn is_killed(part: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut known = 0;
    for _ in 0..5 {
        let mut child = play(part, dir.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..3 {
            known = next_number(&mut lines, "committed ");
        }
        let live = verify(dir.path()).unwrap();
        assert!(live.live && live.findings.is_empty(), "{live:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        let (writer, recovery) = open(dir.path(), small()).unwrap();
        assert!(recovery.last_sequence >= known, "{recovery:?} but {known} was committed");
        assert_eq!(recovery.last_sequence % GROUP, 0, "{recovery:?}");
        let (last, error) = read_all(&mut Reader::open(dir.path()).unwrap());
        assert!(error.is_none(), "{error:?}");
        assert_eq!(last, recovery.last_sequence);
        writer.close().unwrap();
        assert_eq!(verify(dir.path()).unwrap().findings, []);
    }
}

#[test]
fn a_second_writer_is_refused_with_the_pid_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = play("write", dir.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    next_number(&mut lines, "committed ");
    let refused = open(dir.path(), small()).err().expect("the journal is in use");
    child.kill().unwrap();
    child.wait().unwrap();
    let OpenError::InUse { pid, .. } = &refused else { panic!("{refused}") };
    assert_eq!(*pid, child.id().to_string());
    assert!(refused.to_string().contains("in use by process"), "{refused}");
}
