//! What durability costs: single appends while the journal is synced, and the way of a frame to the
//! disk, beside the disk's own sync of a page.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use ironbook_gateway::{
    config::{Acknowledge, Config},
    venue::Venue,
};
use ironbook_journal::{FRAME_HEADER_BYTES, Options, Placement, Writer};

use crate::{
    distance::{self, MeasureError},
    load::latency_histogram,
};

/// Bytes of a page, which is what a disk writes at the least here.
const PAGE_BYTES: usize = 4096;
/// Pages of the file that is synced page by page.
const PAGES: u64 = 1_024;
/// Bytes of a frame whose append is measured, header and payload.
const FRAME_BYTES: usize = 128;
/// Nanoseconds of a step that is long enough to be somebody's fault.
pub const LONG_STEP_NS: u64 = 5_000;

/// Overwrites a page of a file whose blocks are there, and syncs its data: the floor of every
/// durable acknowledgement on this disk.
///
/// # Errors
/// When the system refuses a file in `dir`.
pub fn sync_of_a_page(dir: &Path, rounds: u64) -> Result<Histogram<u64>, MeasureError> {
    let file = File::create(dir.join("floor"))?;
    file.write_all_at(&vec![0; PAGE_BYTES * PAGES as usize], 0)?;
    file.sync_all()?;
    let mut latency = latency_histogram();
    for round in 0..rounds {
        let page = [round as u8; PAGE_BYTES];
        let start = Instant::now();
        file.write_all_at(&page, round % PAGES * PAGE_BYTES as u64)?;
        file.sync_data()?;
        latency.saturating_record(start.elapsed().as_nanos() as u64);
    }
    Ok(latency)
}

/// Appends and commits frames one after the other, and tells what each took, one look at the clock
/// included.
///
/// # Errors
/// When the journal can't be opened in `dir`.
pub fn append_steps(
    dir: &Path,
    sync_interval: Duration,
    placement: Placement,
    count: u64,
) -> Result<Histogram<u64>, MeasureError> {
    let mut writer = open(dir, sync_interval, placement)?;
    let mut steps = latency_histogram();
    let mut last = Instant::now();
    for _ in 0..count {
        // Where the disk is slower than this loop the venue would not read; that is no append.
        while !writer.has_room(FRAME_BYTES) {
            std::thread::yield_now();
            last = Instant::now();
        }
        append(&mut writer);
        let now = Instant::now();
        steps.saturating_record((now - last).as_nanos() as u64);
        last = now;
    }
    writer.close()?;
    Ok(steps)
}

/// Appends a frame, commits it and waits until it is durable.
///
/// # Errors
/// When the journal can't be opened in `dir`.
pub fn durable_frames(dir: &Path, rounds: u64) -> Result<Histogram<u64>, MeasureError> {
    let mut writer = open(dir, Duration::ZERO, Placement::InMemory)?;
    let durable = writer.durable();
    let mut latency = latency_histogram();
    for _ in 0..rounds {
        let start = Instant::now();
        append(&mut writer);
        while durable.get() < writer.position() {
            std::hint::spin_loop();
        }
        latency.saturating_record(start.elapsed().as_nanos() as u64);
    }
    writer.close()?;
    Ok(latency)
}

/// Appends frames as fast as they go, while the journal is synced all the time, and waits until the
/// last one is durable.
///
/// # Errors
/// When the journal can't be opened in `dir`.
pub fn durable_stream(dir: &Path, count: u64) -> Result<Duration, MeasureError> {
    let mut writer = open(dir, Duration::ZERO, Placement::InMemory)?;
    let start = Instant::now();
    for _ in 0..count {
        while !writer.has_room(FRAME_BYTES) {
            std::thread::yield_now();
        }
        append(&mut writer);
    }
    writer.close()?;
    Ok(start.elapsed())
}

/// A venue whose reports wait for the disk.
///
/// # Errors
/// When the venue does not start.
pub fn durable_venue(dir: &Path) -> Result<Venue, MeasureError> {
    let mut config: Config = distance::config(dir);
    config.venue.acknowledge = Acknowledge::Durable;
    distance::ready_venue(&config, false)
}

fn open(dir: &Path, sync_interval: Duration, placement: Placement) -> Result<Writer, MeasureError> {
    let options = Options { sync_interval, placement, ..Options::default() };
    let (writer, _) = distance::ready_journal(dir, options)?;
    distance::pin(distance::FAR_CPU);
    Ok(writer)
}

#[inline]
fn append(writer: &mut Writer) {
    const PAYLOAD: [u8; FRAME_BYTES - FRAME_HEADER_BYTES] = [7; FRAME_BYTES - FRAME_HEADER_BYTES];
    let sequence = writer.next_sequence();
    writer.append(1, sequence, sequence, &PAYLOAD);
    writer.commit();
}
