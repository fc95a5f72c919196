//! Nanoseconds per append and commit, beside a bare copy and a bare CRC of the same bytes in the
//! same run: the floor. Measured in batches; the median batch is what the code costs, the 99th
//! percentile shows the machine.
//!
//! `cargo run --release -p ironbook-journal --example append [DIR]`

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ironbook_journal::{Options, PAYLOAD_MAX, Reader, frame_bytes, open};

const FRAMES: u64 = 2_000_000;
const BATCH: u64 = 1_000;
const PAYLOAD: [u8; 128] = [0x5A; 128];
/// Large enough for all frames, so that no roll is measured.
const SEGMENT_BYTES: u64 = 512 * 1024 * 1024;
const DURABLE_FRAMES: u64 = 2_000;
const NO_SYNC: Duration = Duration::from_secs(3600);

fn main() {
    let parent = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    println!("{FRAMES} frames of {} bytes, ns per frame in batches of {BATCH}", PAYLOAD.len());
    copy();
    checksum();
    append(&parent, "append+commit, not synced", NO_SYNC, 1);
    append(&parent, "append+commit in groups of 4, not synced", NO_SYNC, 4);
    append(&parent, "append+commit, synced continuously", Duration::ZERO, 1);
    durable(&parent);
}

/// From commit to durable, one frame at a time.
fn durable(parent: &Path) {
    let dir = tempfile::tempdir_in(parent).expect("a directory to write in");
    let (mut writer, _) = open(dir.path(), Options::default()).expect("a new journal");
    while !writer.has_room(100_000_000) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let durable = writer.durable();
    let (mut appends, mut waits) = (Vec::new(), Vec::new());
    for sequence in 1..=DURABLE_FRAMES {
        let start = Instant::now();
        writer.append(1, sequence, sequence, black_box(&PAYLOAD));
        writer.commit();
        appends.push(start.elapsed());
        while durable.get() < writer.position() {
            std::thread::yield_now();
        }
        waits.push(start.elapsed());
    }
    for (name, mut times) in [("append+commit after a sync", appends), ("until durable", waits)] {
        times.sort();
        let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        println!("{name:42} p50 {:6.1}  p99 {:7.1} us", micros(p50), micros(p99));
    }
    writer.close().expect("synced");
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

fn copy() {
    let bytes = frame_bytes(PAYLOAD.len());
    let mut target = vec![1u8; FRAMES as usize * bytes];
    let mut frames = target.chunks_exact_mut(bytes);
    measure("bare copy", |_| {
        let frame = frames.next().expect("a frame for each");
        frame[32..32 + PAYLOAD.len()].copy_from_slice(black_box(&PAYLOAD));
    });
    black_box(target);
}

fn checksum() {
    measure("bare CRC32C", |sequence| {
        black_box(crc32c::crc32c_append(sequence as u32, black_box(&PAYLOAD)));
    });
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
    // The preparer would disturb the first batches.
    while !writer.has_room(SEGMENT_BYTES as usize - PAYLOAD_MAX) {
        std::thread::sleep(Duration::from_millis(10));
    }
    measure(name, |sequence| {
        writer.append(1, sequence, sequence, black_box(&PAYLOAD));
        if sequence.is_multiple_of(group) {
            writer.commit();
        }
    });
    writer.commit();
    let mut tail = writer.tail();
    measure("    tail", |sequence| {
        let frame = tail.next().expect("a good frame").expect("one more frame");
        assert_eq!((frame.sequence, black_box(frame.payload).len()), (sequence, PAYLOAD.len()));
    });
    let mut reader = Reader::open(dir.path()).expect("the same journal");
    measure("    reader with CRC", |sequence| {
        let frame = reader.next().expect("a good frame").expect("one more frame");
        assert_eq!((frame.sequence, black_box(frame.payload).len()), (sequence, PAYLOAD.len()));
    });
    writer.close().expect("synced");
}

/// Calls `step` with 1, 2, ... and prints what a call takes.
fn measure(name: &str, mut step: impl FnMut(u64)) {
    let mut batches = Vec::with_capacity((FRAMES / BATCH) as usize);
    let start = Instant::now();
    for batch in 0..FRAMES / BATCH {
        let start = Instant::now();
        for sequence in batch * BATCH + 1..=(batch + 1) * BATCH {
            step(sequence);
        }
        batches.push(start.elapsed().as_nanos() as f64 / BATCH as f64);
    }
    let mean = start.elapsed().as_nanos() as f64 / FRAMES as f64;
    batches.sort_by(f64::total_cmp);
    let (p50, p99) = (batches[batches.len() / 2], batches[batches.len() * 99 / 100]);
    println!("{name:42} p50 {p50:6.1}  p99 {p99:7.1}  mean {mean:6.1}  {:6.1} M/s", 1e3 / mean);
}
