//! The helper that makes committed frames durable, many with one sync, a step at a time.

use std::hint;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::format::{DURABLE_OFFSET, Position};
use crate::map::Map;
use crate::precedence::{Precedence, come_first};
use crate::shared::Shared;
use crate::storage::Placement;

/// Looks at the written position this often before it sleeps: some microseconds.
const SPINS: u32 = 100;
/// The longest a frame waits for an idle syncer to notice it, where the writer wakes it: should that
/// cross with its falling asleep.
const IDLE_SLEEP: Duration = Duration::from_millis(1);
/// The same where nobody wakes it.
const IDLE_SLEEP_UNWOKEN: Duration = Duration::from_micros(50);
/// Pages made writable again after a sync: the writer's, and what it may have reached meanwhile.
const TAIL_BYTES: usize = 64 * 1024;
const RETRY: Duration = Duration::from_secs(1);
/// Bytes that the kernel writes back together.
const PAGE_BYTES: u64 = 4096;

pub(crate) fn start(mut syncer: Syncer) -> io::Result<JoinHandle<()>> {
    let run = move || {
        if syncer.shared.placement == Placement::InMemory {
            come_first_reporting();
        }
        while let Some(pause) = syncer.step() {
            match pause {
                Duration::ZERO => {}
                pause if pause == syncer.idle_sleep => syncer.wait_for_work(),
                pause => thread::park_timeout(pause),
            }
        }
    };
    thread::Builder::new().name("journal-sync".into()).spawn(run)
}

/// Where the system allows it, this thread comes before others that want its processor: everybody
/// waits for what it syncs.
fn come_first_reporting() {
    if come_first() != Precedence::RealTime {
        log::info!(
            "thread journal-sync gets no real-time priority: what is durable may be told some \
             milliseconds later where programs keep its processor busy; RLIMIT_RTPRIO of 1 allows it"
        );
    }
}

pub(crate) struct Syncer {
    shared: Arc<Shared>,
    /// Time between two syncs; zero: as fast as the disk allows.
    interval: Duration,
    /// The pause when there is nothing to do.
    idle_sleep: Duration,
    /// Where the writer was in the step before.
    seen: Position,
    /// Whether the last sync failed, however many steps ago.
    failed: bool,
    /// Whether the last step was the last.
    ended: bool,
}

impl Syncer {
    pub fn new(shared: Arc<Shared>, interval: Duration) -> Syncer {
        let seen = shared.durable();
        let idle_sleep = match shared.placement {
            Placement::InFile => IDLE_SLEEP_UNWOKEN,
            Placement::InMemory => IDLE_SLEEP,
        };
        Syncer { shared, interval, idle_sleep, seen, failed: false, ended: false }
    }

    /// Does what is to be done now: one sync at most. Returns the pause before the next step;
    /// `None` once the journal is closed, and what was committed before is synced, or once another
    /// writer has it.
    pub fn step(&mut self) -> Option<Duration> {
        if self.ended || self.shared.taken_over().is_some() {
            return None;
        }
        // Read before the work: what was committed before the stop is synced in the last step.
        let stopping = self.shared.stop_syncer.load(Ordering::Acquire);
        let written = self.shared.written();
        let whole = stopping || self.interval.is_zero() || written == self.seen;
        let target = if whole { written } else { behind_the_writer(self.seen, written) };
        self.seen = written;
        let worked = target > self.shared.durable();
        if worked {
            self.failed = !sync_reporting(&self.shared, target, self.failed);
        }
        if stopping {
            if self.shared.taken_over().is_none() {
                mark_durable_word(&self.shared);
            }
            self.ended = true;
            return None;
        }
        Some(match () {
            () if self.failed => RETRY,
            // What was seen in one step is synced in the next: two steps an interval.
            () if !self.interval.is_zero() => self.interval / 2,
            () if !worked => self.idle_sleep,
            () => Duration::ZERO,
        })
    }

    fn wait_for_work(&self) {
        let has_work = || self.shared.written() > self.shared.durable();
        for _ in 0..SPINS {
            if has_work() {
                return;
            }
            hint::spin_loop();
        }
        self.shared.syncer_idle.store(true, Ordering::SeqCst);
        if !has_work() {
            thread::park_timeout(self.idle_sleep);
        }
        self.shared.syncer_idle.store(false, Ordering::Relaxed);
    }
}

/// How far a sync between two others goes while the writer is at work: to where it was a round
/// ago, if it has left that page since. A page that is being written to disk can't be written to
/// by the writer, which would stand still for milliseconds; so it never meets one.
fn behind_the_writer(seen: Position, written: Position) -> Position {
    let page = |position: Position| position.get() / PAGE_BYTES;
    if page(seen) < page(written) { seen } else { Position::START }
}

fn sync_reporting(shared: &Shared, target: Position, failed_before: bool) -> bool {
    match sync(shared, target, failed_before) {
        Ok(()) => {
            shared.syncer_status.clear();
            true
        }
        Err(error) => {
            let dir = shared.storage.dir().display();
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
    let end = |index| if index == last { offset(shared, target) } else { shared.segment_bytes };
    let maps: Vec<_> = (shared.segment_of(shared.durable())..=last)
        .map(|index| (shared.map(index).expect("maps are kept until they are durable"), end(index)))
        .collect();
    let mut from = offset(shared, shared.durable()) as usize;
    for (map, end) in &maps {
        if failed_before {
            map.dirty_again(*end as usize)?;
        }
        if !shared.is_ours(map) {
            shared.note_taken_over();
            return Ok(());
        }
        map.sync(from, *end as usize)?;
        from = 0;
    }
    // Not before: the last group of a segment may go on in the next.
    for (map, end) in &maps {
        if !shared.is_ours(map) {
            // The durable word there is another's. The next step is the last.
            shared.note_taken_over();
            return Ok(());
        }
        map.publish_header(DURABLE_OFFSET, shared.durable_word(*end));
    }
    if let Some((map, end)) = maps.last() {
        keep_writable(map, *end as usize);
    }
    shared.set_durable(target);
    Ok(())
}

/// The sync has write-protected the page the writer is in, and the next append would take the page
/// fault: 2.5 µs. A failure only means that it does.
fn keep_writable(map: &Map, from: usize) {
    let _ = map.keep_writable(from, (from + TAIL_BYTES).min(map.len()));
}

/// Brings the durable word itself to the disk. A failure costs nothing but knowledge: recovery
/// then takes less for durable than is.
fn mark_durable_word(shared: &Shared) {
    let durable = shared.durable();
    if let Some(map) = shared.map(shared.segment_of(durable))
        && let Err(error) = map.sync_header()
    {
        log::warn!("durable mark can't be synced in {}: {error}", shared.storage.dir().display());
    }
}

fn offset(shared: &Shared, position: Position) -> u64 {
    position.get() % shared.segment_bytes
}
