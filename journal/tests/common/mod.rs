//! What the tests of this folder share.
#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ironbook_journal::{DurablePosition, Frame, Options, Reader, SEGMENT_BYTES_MIN, Writer};

pub const SEGMENT_BYTES: u64 = SEGMENT_BYTES_MIN;
/// Where the format puts the durable word and the first frame of a segment.
pub const DURABLE_OFFSET: usize = 128;
pub const FRAMES_OFFSET: usize = 4096;
/// Bytes of a segment's end mark.
pub const END_BYTES: usize = 8;

/// A frame, taken out of the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub sequence: u64,
    pub time_ns: u64,
    pub kind: u16,
    pub payload: Vec<u8>,
}

impl Record {
    pub fn of(frame: &Frame<'_>) -> Record {
        Record {
            sequence: frame.sequence,
            time_ns: frame.time_ns,
            kind: frame.kind,
            payload: frame.payload.to_vec(),
        }
    }
}

pub fn small() -> Options {
    Options { segment_bytes: SEGMENT_BYTES, ..Options::default() }
}

/// The syncer sleeps, so the durable word stays zero until the journal is closed.
pub fn small_unsynced() -> Options {
    Options { sync_interval: Duration::from_secs(3600), ..small() }
}

/// Payload `sequence` of the tests: everything about it follows from the number.
pub fn payload(sequence: u64) -> Vec<u8> {
    let bytes = (sequence * 37 % 300) as usize;
    (0..bytes).map(|i| (sequence as usize * 31 + i) as u8).collect()
}

/// Puts a directory where the segment behind those that are ready would be made, as if the disk had no room, which
/// only the helpers see; returns it.
pub fn block_next_segment(dir: &Path, durable: &DurablePosition) -> PathBuf {
    let ready = u64::from(small().prepared_ahead);
    wait_for("segments to be ready", || durable.prepared_ahead() == ready);
    let in_the_way = dir.join(format!("{:010}.seg.tmp", ready + 1));
    fs::create_dir(&in_the_way).unwrap();
    in_the_way
}

/// Appends frames up to `last`, in groups of `group`.
pub fn fill(writer: &mut Writer, last: u64, group: u64) {
    while writer.next_sequence() <= last {
        let sequence = writer.next_sequence();
        writer.append(sequence as u16, sequence, sequence * 10, &payload(sequence));
        if sequence.is_multiple_of(group) {
            writer.commit();
        }
    }
    writer.commit();
}

/// Reads to the end or to an error, and checks that every frame is what [`fill`] wrote. Returns
/// the last sequence.
pub fn read_all(reader: &mut Reader) -> (u64, Option<ironbook_journal::ReadError>) {
    let mut last = 0;
    loop {
        match reader.next() {
            Ok(Some(frame)) => {
                last += 1;
                assert_eq!((frame.sequence, frame.time_ns), (last, last * 10));
                assert_eq!((frame.kind, frame.payload), (last as u16, &payload(last)[..]));
            }
            Ok(None) => return (last, None),
            Err(error) => return (last, Some(error)),
        }
    }
}

pub fn segment(dir: &Path, index: u64) -> PathBuf {
    dir.join(format!("{index:010}.seg"))
}

/// In memory where there is such a place: syncs cost nothing there, and thousands of journals are
/// opened. The other tests use the disk.
pub fn memory_dir() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() { tempfile::tempdir_in(shm).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// What a journal would be after a SIGKILL now: the page cache outlives the process.
pub fn crash_image(dir: &Path) -> tempfile::TempDir {
    let image = memory_dir();
    copy(dir, image.path());
    image
}

pub fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // A segment still being prepared may get its name, and lose the old one, meanwhile.
        if entry.path().extension().is_some_and(|extension| extension == "seg") {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Every file of a directory with its bytes, for "nothing was changed".
pub fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap() != "LOCK")
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Polls `done` for at most 20 s.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
