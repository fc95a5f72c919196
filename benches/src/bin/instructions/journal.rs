//! Frames of a journal.

use std::{hint::black_box, thread, time::Duration};

use ironbook_journal::{Options, Writer, open};

use crate::{COUNTED, counted};

const PAYLOAD: [u8; 128] = [0x5a; 128];
const FRAMES: u64 = COUNTED as u64;
/// Frames before them.
const WARM_UP: u64 = 1_000;
/// Room for all frames: no roll is counted.
const SEGMENT_BYTES: u64 = 1 << 24;

/// Appends frames and commits each by itself.
pub(crate) fn append_and_commit() -> u64 {
    let dir = tempfile::tempdir().expect("a directory to write in");
    let options = Options {
        segment_bytes: SEGMENT_BYTES,
        sync_interval: Duration::from_secs(3_600),
        ..Options::default()
    };
    let (mut writer, _) = open(dir.path(), options).expect("a new journal");
    while !writer.has_room(SEGMENT_BYTES as usize) {
        thread::sleep(Duration::from_millis(1));
    }
    append(&mut writer, WARM_UP);
    counted(|| append(&mut writer, FRAMES));
    assert_eq!(writer.next_sequence(), WARM_UP + FRAMES + 1);
    writer.close().expect("everything is on disk");
    FRAMES
}

fn append(writer: &mut Writer, frames: u64) {
    let first = writer.next_sequence();
    for sequence in first..first + frames {
        writer.append(1, sequence, sequence, black_box(&PAYLOAD));
        writer.commit();
    }
}
