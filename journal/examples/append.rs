//! Nanoseconds per append and commit, beside a bare copy of the same bytes in the same run.
//!
//! `cargo run --release -p ironbook-journal --example append [DIR]`

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ironbook_journal::{Options, PAYLOAD_MAX, Reader, frame_bytes, open};

const FRAMES: u64 = 2_000_000;
const PAYLOAD: [u8; 128] = [0x5A; 128];
/// Large enough for all frames, so that no roll is measured.
const SEGMENT_BYTES: u64 = 512 * 1024 * 1024;

fn main() {
    let parent = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    println!("{FRAMES} frames of {} bytes", PAYLOAD.len());
    copy();
    checksum();
    append(&parent, "append+commit, no sync meanwhile", Duration::from_secs(3600), 1);
    append(&parent, "append+commit, groups of 4, no sync", Duration::from_secs(3600), 4);
    append(&parent, "append+commit, synced continuously", Duration::ZERO, 1);
}

fn copy() {
    let bytes = frame_bytes(PAYLOAD.len());
    let mut target = vec![1u8; FRAMES as usize * bytes];
    let start = Instant::now();
    for frame in target.chunks_exact_mut(bytes) {
        frame[32..32 + PAYLOAD.len()].copy_from_slice(black_box(&PAYLOAD));
    }
    report("bare copy", start.elapsed());
    black_box(target);
}

fn checksum() {
    let start = Instant::now();
    for seed in 0..FRAMES {
        black_box(crc32c::crc32c_append(seed as u32, black_box(&PAYLOAD)));
    }
    report("bare CRC32C", start.elapsed());
}

fn append(parent: &Path, name: &str, sync_interval: Duration, group: u64) {
    let dir = tempfile::tempdir_in(parent).expect("a directory to write in");
    let options = Options {
        segment_bytes: SEGMENT_BYTES,
        prepared_ahead: 1,
        sync_interval,
        ..Options::default()
    };
    let (mut writer, _) = open(dir.path(), options).expect("a new journal");
    while !writer.has_room(SEGMENT_BYTES as usize - PAYLOAD_MAX) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let start = Instant::now();
    for sequence in 1..=FRAMES {
        writer.append(1, sequence, sequence, black_box(&PAYLOAD));
        if sequence % group == 0 {
            writer.commit();
        }
    }
    writer.commit();
    report(name, start.elapsed());
    let mut tail = writer.tail();
    let start = Instant::now();
    while let Some(frame) = tail.next().expect("good frames") {
        black_box(frame.payload);
    }
    report("    tail", start.elapsed());
    let mut reader = Reader::open(dir.path()).expect("the same journal");
    let start = Instant::now();
    while let Some(frame) = reader.next().expect("good frames") {
        black_box(frame.payload);
    }
    report("    reader with CRC", start.elapsed());
    writer.close().expect("synced");
}

fn report(name: &str, elapsed: Duration) {
    let ns = elapsed.as_nanos() as f64 / FRAMES as f64;
    println!("{name:40} {ns:7.1} ns  {:7.1} M/s", 1_000.0 / ns);
}
