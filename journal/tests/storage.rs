//! Storage that refuses: a full disk, a read-only directory.
//!
//! Some of these tests mount file systems of their own, so they need root; without it they print NOT
//! RUN.

mod common;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use common::*;
use ironbook_journal::{OpenError, Options, Reader, open, verify};

struct Mount(tempfile::TempDir);

impl Mount {
    /// None, and a word about it past the harness, which shows no output of tests that pass, where
    /// this process may not mount.
    fn tmpfs(test: &str, options: &str) -> Option<Mount> {
        let dir = tempfile::tempdir().unwrap();
        match run("mount", &["-t", "tmpfs", "-o", options, "none"], dir.path()) {
            Ok(()) => Some(Mount(dir)),
            Err(reason) => {
                let reason = format!("it needs root and the right to mount ({reason})");
                let _ = writeln!(io::stderr(), "\nNOT RUN: {test}: {reason}");
                None
            }
        }
    }

    fn remount(&self, options: &str) {
        run("mount", &["-o", options], self.path()).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let unmounted = run("umount", &[], self.0.path());
        assert!(unmounted.is_ok() || thread::panicking(), "{unmounted:?}");
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) -> Result<(), String> {
    let output = Command::new(program).args(arguments).arg(path).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = said.lines().next().unwrap_or_default().to_owned();
    if output.status.success() { Ok(()) } else { Err(reason) }
}

#[test]
fn a_full_disk_is_back_pressure_and_loses_nothing() {
    let name = "a_full_disk_is_back_pressure_and_loses_nothing";
    let Some(mount) = Mount::tmpfs(name, "size=1m") else { return };
    let dir = mount.path().join("journal");
    let (mut writer, _) = open(&dir, small()).unwrap();
    fs::write(mount.path().join("ballast"), vec![1; 512 * 1024]).unwrap();
    let (kind, bytes) = (1, [9; 1_000]);
    let needed = ironbook_journal::frame_bytes(bytes.len());
    let append = |writer: &mut ironbook_journal::Writer| {
        writer.append(kind, writer.next_sequence(), 5, &bytes);
        writer.commit();
    };
    wait_for("back-pressure", || {
        for _ in 0..100 {
            if writer.has_room(needed) {
                append(&mut writer);
            }
        }
        !writer.has_room(needed) && writer.status().is_some()
    });
    let status = writer.status().unwrap();
    assert!(status.contains("can't be prepared in"), "{status}");
    assert!(status.contains("No space left on device"), "{status}");
    let full = writer.next_sequence() - 1;
    assert!(full > 100);
    let durable = writer.durable();
    wait_for("what was written to become durable", || durable.get() == durable.written());

    fs::remove_file(mount.path().join("ballast")).unwrap();
    wait_for("room", || writer.has_room(needed));
    wait_for("a clear status", || writer.status().is_none());
    append(&mut writer);
    writer.close().unwrap();
    let report = verify(&dir).unwrap();
    assert_eq!((report.frames, report.findings), (full + 1, vec![]));
}

#[test]
fn a_writer_that_waits_for_a_segment_amid_a_group_gives_up_when_patience_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path(), small()).unwrap();
    fill(&mut writer, 100, 1);
    let durable = writer.durable();
    let in_the_way = block_next_segment(dir.path(), &durable);
    let (say, told) = channel();
    let waiting = thread::spawn(move || {
        while writer.given_up().is_none() {
            writer.append(9, writer.next_sequence(), 5_000, &[9; 1_000]);
        }
        say.send(()).unwrap();
        writer
    });
    wait_for("the writer to wait", || durable.prepared_ahead() == 0 && durable.status().is_some());
    let waits = told.recv_timeout(Duration::from_millis(100)).is_err();
    assert!(waits, "as long as nobody says that it is enough");
    durable.end_patience();
    told.recv_timeout(Duration::from_secs(10)).expect("it waits no longer");
    let mut writer = waiting.join().unwrap();
    let committed = writer.position();
    assert!(!writer.has_room(1));
    assert!(writer.waits_in_vain());
    writer.append(9, writer.next_sequence(), 5_000, b"behind what was given up");
    writer.commit();
    assert_eq!(writer.position(), committed, "nothing of the group is told");
    assert_eq!(writer.taken_over(), None);
    let message = writer.close().unwrap_err().to_string();
    assert!(message.contains("waiting has ended for room"), "{message}");
    assert!(message.contains("segment 3 can't be prepared in"), "{message}");
    assert_eq!(durable.get(), committed, "what was committed before is synced");

    fs::remove_dir(&in_the_way).unwrap();
    let (mut writer, recovery) = open(dir.path(), small()).unwrap();
    assert_eq!(recovery.frames, 100);
    assert!(recovery.torn.is_some(), "the group is put aside");
    fill(&mut writer, 110, 1);
    writer.close().unwrap();
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.frames, report.findings), (110, vec![]));
}

#[test]
fn a_storage_that_works_is_waited_for_when_patience_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path(), small()).unwrap();
    writer.durable().end_patience();
    assert!(!writer.waits_in_vain());
    // Over many segments in one group, faster than they can be prepared.
    for sequence in 1..=2_000 {
        writer.append(9, sequence, 5_000, &[9; 1_000]);
    }
    writer.close().unwrap();
    assert_eq!(verify(dir.path()).unwrap().frames, 2_000);
}

#[test]
fn a_journal_reopens_on_a_full_disk() {
    let name = "a_journal_reopens_on_a_full_disk";
    let Some(mount) = Mount::tmpfs(name, "size=1m") else { return };
    let dir = mount.path().join("journal");
    let (mut writer, _) = open(&dir, small()).unwrap();
    fill(&mut writer, 100, 1);
    writer.close().unwrap();
    let ballast = fs::write(mount.path().join("ballast"), vec![1; 1024 * 1024]);
    assert!(ballast.is_err(), "the disk is full");
    let (mut writer, recovery) = open(&dir, small()).unwrap();
    assert_eq!(recovery.frames, 100);
    fill(&mut writer, 110, 1);
    writer.close().unwrap();
    assert_eq!(verify(&dir).unwrap().frames, 110);
}

#[test]
fn a_disk_too_small_for_the_first_segments_is_refused() {
    let name = "a_disk_too_small_for_the_first_segments_is_refused";
    let Some(mount) = Mount::tmpfs(name, "size=1m") else { return };
    let dir = mount.path().join("journal");
    let options = Options { segment_bytes: 1024 * 1024, ..Options::default() };
    let refused = open(&dir, options).err().expect("no room");
    assert!(matches!(refused, OpenError::DiskFull { needed: 2_097_152, .. }), "{refused}");
    let left: Vec<_> = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["LOCK"]);
}

#[test]
fn a_read_only_file_system_is_refused_but_readable() {
    let name = "a_read_only_file_system_is_refused_but_readable";
    let Some(mount) = Mount::tmpfs(name, "size=4m") else { return };
    let (mut writer, _) = open(mount.path(), small()).unwrap();
    fill(&mut writer, 50, 1);
    writer.close().unwrap();
    mount.remount("remount,ro");
    let refused = open(mount.path(), small()).err().expect("read-only");
    assert!(matches!(refused, OpenError::NotWritable { .. }), "{refused}");
    assert!(refused.to_string().contains("Read-only file system"), "{refused}");
    assert_eq!(read_all(&mut Reader::open(mount.path()).unwrap()).0, 50);
    assert_eq!(verify(mount.path()).unwrap().findings, []);
}

#[test]
fn options_out_of_range_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for segment_bytes in [0, 1 << 15, 100_000, 1 << 31] {
        let refused = open(dir.path(), Options { segment_bytes, ..small() }).err().unwrap();
        assert!(matches!(refused, OpenError::InvalidOptions { .. }), "{refused}");
    }
    let none_ahead = Options { prepared_ahead: 0, ..small() };
    assert!(matches!(open(dir.path(), none_ahead), Err(OpenError::InvalidOptions { .. })));
}

#[test]
fn the_segment_size_of_the_journal_wins() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(dir.path(), small()).unwrap();
    fill(&mut writer, 10, 1);
    writer.close().unwrap();
    let larger = Options { segment_bytes: 4 * SEGMENT_BYTES, ..Options::default() };
    let (mut writer, _) = open(dir.path(), larger).unwrap();
    fill(&mut writer, 1_000, 1);
    assert!(writer.position().get() > 2 * SEGMENT_BYTES);
    writer.close().unwrap();
    assert_eq!(fs::metadata(segment(dir.path(), 1)).unwrap().len(), SEGMENT_BYTES);
    assert_eq!(verify(dir.path()).unwrap().findings, []);
}
