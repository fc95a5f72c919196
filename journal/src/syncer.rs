//! The helper thread that makes committed frames durable, many with one sync.

use std::hint;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::format::{DURABLE_OFFSET, Position, durable_word};
use crate::map::Map;
use crate::shared::Shared;

/// Looks at the written position this often before it sleeps: some microseconds.
const SPINS: u32 = 100;
/// The longest a frame waits for an idle syncer to notice it.
const IDLE_SLEEP: Duration = Duration::from_micros(50);
/// Pages made writable again after a sync: the writer's, and what it may have reached meanwhile.
const TAIL_BYTES: usize = 64 * 1024;
const RETRY: Duration = Duration::from_secs(1);
/// Bytes that the kernel writes back together.
const PAGE_BYTES: u64 = 4096;

/// `interval` zero: as fast as the disk allows.
pub(crate) fn start(shared: Arc<Shared>, interval: Duration) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("journal-sync".into()).spawn(move || run(&shared, interval))
}

fn run(shared: &Shared, interval: Duration) {
    let mut failed = false;
    let mut seen = shared.durable();
    loop {
        // Read before the work: what was committed before the stop is synced in the last round.
        let stopping = shared.stop_syncer.load(Ordering::Acquire);
        if shared.taken_over().is_some() {
            return;
        }
        let written = shared.written();
        let whole = stopping || interval.is_zero() || written == seen;
        let target = if whole { written } else { behind_the_writer(seen, written) };
        seen = written;
        let worked = target > shared.durable();
        failed = worked && !sync_reporting(shared, target, failed);
        if stopping && shared.taken_over().is_none() {
            mark_durable_word(shared);
            return;
        }
        match () {
            () if failed => thread::park_timeout(RETRY),
            // What was seen in one round is synced in the next: two rounds an interval.
            () if !interval.is_zero() => thread::park_timeout(interval / 2),
            () if !worked => idle(shared),
            () => {}
        }
    }
}

/// How far a sync between two others goes while the writer is at work: to where it was a round
/// ago, if it has left that page since. A page that is being written to disk can't be written to
/// by the writer, which would stand still for milliseconds; so it never meets one.
fn behind_the_writer(seen: Position, written: Position) -> Position {
    let page = |position: Position| position.get() / PAGE_BYTES;
    if page(seen) < page(written) { seen } else { Position::START }
}

fn idle(shared: &Shared) {
    for _ in 0..SPINS {
        if shared.written() > shared.durable() {
            return;
        }
        hint::spin_loop();
    }
    thread::park_timeout(IDLE_SLEEP);
}

fn sync_reporting(shared: &Shared, target: Position, failed_before: bool) -> bool {
    match sync(shared, target, failed_before) {
        Ok(()) => {
            shared.syncer_status.clear();
            true
        }
        Err(error) => {
            let dir = shared.dir.display();
            shared.syncer_status.fail(format!("journal can't be synced in {dir}: {error}"));
            false
        }
    }
}

/// Moves the durable position to `target`, the end of a commit.
///
/// The kernel tells of a failed write once and takes its pages for clean: another sync would
/// succeed without them. So after a failure all pages are made dirty before they are synced again.
fn sync(shared: &Shared, target: Position, failed_before: bool) -> io::Result<()> {
    let last = shared.segment_of(target);
    for index in shared.segment_of(shared.durable())..=last {
        let end = if index == last { offset(shared, target) } else { shared.segment_bytes };
        let map = shared.map(index).expect("maps are kept until they are durable");
        if failed_before {
            map.populate(0, end as usize)?;
        }
        map.sync(end as usize)?;
        if !shared.is_ours(&map) {
            // The durable word there is another's. The next round ends the thread.
            shared.note_taken_over();
            return Ok(());
        }
        map.publish(DURABLE_OFFSET, durable_word(end));
        if index == last {
            keep_writable(&map, end as usize);
        }
    }
    shared.set_durable(target);
    Ok(())
}

/// The sync has write-protected the page the writer is in, and the next append would take the page
/// fault: 2.5 µs. A failure only means that it does.
fn keep_writable(map: &Map, from: usize) {
    let _ = map.populate(from, (from + TAIL_BYTES).min(map.len()));
}

/// Brings the durable word itself to the disk. A failure costs nothing but knowledge: recovery
/// then takes less for durable than is.
fn mark_durable_word(shared: &Shared) {
    let durable = shared.durable();
    if let Some(map) = shared.map(shared.segment_of(durable))
        && let Err(error) = map.sync(DURABLE_OFFSET + 8)
    {
        log::warn!("durable mark can't be synced in {}: {error}", shared.dir.display());
    }
}

fn offset(shared: &Shared, position: Position) -> u64 {
    position.get() % shared.segment_bytes
}
