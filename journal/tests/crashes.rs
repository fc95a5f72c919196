//! One simulated disk, many lives: a writer with stepped helpers appends, commits and syncs at
//! random, the disk fails at random, processes are killed and the power is cut, in the middle of
//! recovery as well. A plain model knows what was promised each time.
//!
//! `LONG=1` plays 100 times as many seeds, `SEED=..` one alone; a failure prints its seed.

mod common;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use ironbook_journal::{
    Crash, Fault, FaultRates, Finding, Helpers, OpenError, Options, PAYLOAD_MAX, Placement,
    Position, Reader, Recovery, SimulatedStorage, Storage, Writer, frame_bytes, open_stepped,
    verify_in,
};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

const LONG_TIMES: u64 = 100;
/// What a life does before it ends.
const STEPS_MAX: u32 = 60;
const LIVES: u32 = 6;
/// Seeds of the promises: enough to meet each kind of stale sector, a header taken half written last.
const PROMISES: u64 = 400;
/// Openings that may fail before the disk is made to work.
const OPENINGS_MAX: u32 = 8;

fn seeds(count: u64) -> RangeInclusive<u64> {
    if let Ok(seed) = std::env::var("SEED") {
        let seed = seed.parse().expect("SEED is a number");
        return seed..=seed;
    }
    match std::env::var_os("LONG") {
        Some(_) => 1..=count * LONG_TIMES,
        None => 1..=count,
    }
}

/// What a commit released.
struct Group {
    records: Vec<Record>,
    end: Position,
}

/// A disk, the journal on it, and what the journal has promised.
struct World {
    random: Pcg64,
    storage: SimulatedStorage,
    options: Options,
    rates: FaultRates,
    /// Whether lives are stopped at any operation.
    stops: bool,
    committed: Vec<Group>,
    pending: Vec<Record>,
    /// So many groups have to be there when the journal is opened the next time.
    must_keep: usize,
    /// Everything up to here was said to be durable.
    durable: Position,
    /// What recoveries have found, for comparing two runs.
    recoveries: Vec<Recovery>,
}

type Life = (Writer, Helpers);

/// A broken promise.
type Broken = String;

macro_rules! hold {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err(format!($($message)*));
        }
    };
}

impl World {
    fn new(seed: u64, rates: FaultRates) -> World {
        let mut random = Pcg64::seed_from_u64(seed);
        let interval = [Duration::ZERO, Duration::from_millis(10)][random.random_range(0..2)];
        let options = Options {
            prepared_ahead: random.random_range(1..=3),
            sync_interval: interval,
            placement: [Placement::InFile, Placement::InMemory][random.random_range(0..2)],
            ..small()
        };
        World {
            storage: SimulatedStorage::new(random.random()),
            random,
            options,
            rates,
            stops: true,
            committed: Vec::new(),
            pending: Vec::new(),
            must_keep: 0,
            durable: Position::START,
            recoveries: Vec::new(),
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn play(&mut self) -> Result<(), Broken> {
        for life in 0..LIVES {
            self.storage.set_clock_ns(u64::from(life));
            let (mut writer, helpers) = self.open()?;
            for _ in 0..self.random.random_range(0..STEPS_MAX) {
                self.step(&mut writer, &helpers)?;
            }
            match self.random.random_range(0..5) {
                0 => self.close(writer)?,
                // Dropped: an open group is left behind, as by a panic.
                1 => {
                    drop(writer);
                    self.lose_memory();
                }
                _ => self.any_crash(),
            }
            self.pending.clear();
        }
        self.open().map(drop)
    }

    /// Opens the journal, in as many attempts as it takes, some of them stopped on the way.
    fn open(&mut self) -> Result<Life, Broken> {
        for attempt in 0.. {
            self.judge()?;
            let rates = if attempt < OPENINGS_MAX { self.rates } else { self.only_lies() };
            self.storage.set_fault_rates(rates);
            if self.stops && attempt < OPENINGS_MAX && self.chance(30) {
                self.storage.stop_after(self.random.random_range(0..60));
            }
            match open_stepped(Arc::new(self.storage.clone()), self.options.clone()) {
                Ok((writer, recovery, helpers)) => {
                    self.check(&writer, recovery)?;
                    self.storage.set_fault_rates(self.rates);
                    return Ok((writer, helpers));
                }
                Err(OpenError::Io { .. } | OpenError::DiskFull { .. }) if self.may_fail() => {}
                Err(error) => return Err(format!("refused: {error}")),
            }
            if self.storage.is_stopped() || self.chance(30) {
                self.any_crash();
            }
        }
        unreachable!("the loop has no end")
    }

    fn may_fail(&self) -> bool {
        self.rates != FaultRates::default() || self.storage.is_stopped()
    }

    /// The rates of a disk that doesn't fail, but lies if it has lied before.
    fn only_lies(&self) -> FaultRates {
        FaultRates { lies_about_sync: self.rates.lies_about_sync, ..FaultRates::default() }
    }

    /// What `verify` says before anybody repairs anything.
    fn judge(&mut self) -> Result<(), Broken> {
        if self.must_keep == 0 || self.storage.is_stopped() {
            return Ok(());
        }
        self.storage.set_fault_rates(self.only_lies());
        let report = verify_in(&self.storage).map_err(|error| error.to_string())?;
        let torn = |finding: &Finding| matches!(finding, Finding::TornTail { .. });
        hold!(report.findings.iter().all(torn), "verify: {:?}", report.findings);
        let kept = self.last_sequence(self.must_keep);
        hold!(report.last_sequence >= kept, "verify: {report:?} but {kept} must be kept");
        Ok(())
    }

    /// Compares what recovery has found with what it had to find, and goes on from there.
    fn check(&mut self, writer: &Writer, recovery: Recovery) -> Result<(), Broken> {
        self.storage.set_fault_rates(self.only_lies());
        let found = read(&self.storage)?;
        let records = self.committed.iter().flat_map(|group| &group.records);
        hold!(found.iter().eq(records.take(found.len())), "other frames than were committed");
        let groups = (0..=self.committed.len())
            .find(|&groups| self.last_sequence(groups) == found.len() as u64);
        let Some(groups) = groups else {
            return Err(format!("{} frames are no whole groups", found.len()));
        };
        hold!(
            groups >= self.must_keep,
            "{groups} groups are left of {} that must be kept",
            self.must_keep
        );
        hold!(recovery.last_sequence == found.len() as u64, "{recovery:?}");
        hold!(writer.next_sequence() == recovery.last_sequence + 1, "{recovery:?}");
        let report = verify_in(&self.storage).map_err(|error| error.to_string())?;
        hold!(report.live && report.findings.is_empty(), "verify: {:?}", report.findings);
        self.committed.truncate(groups);
        self.must_keep = groups;
        self.durable = writer.durable().get();
        hold!(self.durable == writer.position(), "opened, but not all is durable");
        self.recoveries.push(recovery);
        Ok(())
    }

    fn last_sequence(&self, groups: usize) -> u64 {
        self.committed[..groups].iter().map(|group| group.records.len() as u64).sum()
    }

    fn step(&mut self, writer: &mut Writer, helpers: &Helpers) -> Result<(), Broken> {
        match self.random.random_range(0..12) {
            0..5 => self.append(writer),
            5..8 => self.commit(writer),
            8 => drop(helpers.step_preparer()),
            9 | 10 => drop(helpers.step_syncer()),
            _ => self.storage.write_back(),
        }
        let durable = writer.durable().get();
        hold!(durable >= self.durable, "durable went back from {:?} to {durable:?}", self.durable);
        hold!(durable <= writer.position(), "durable {durable:?} is ahead of what is written");
        self.durable = durable;
        Ok(())
    }

    fn append(&mut self, writer: &mut Writer) {
        let bytes_max = if self.chance(10) { PAYLOAD_MAX } else { 2_000 };
        let mut payload = vec![0; self.random.random_range(0..=bytes_max)];
        self.random.fill(&mut payload[..]);
        if !writer.has_room(frame_bytes(payload.len())) {
            return;
        }
        let record = Record {
            sequence: writer.next_sequence(),
            time_ns: writer.last_time_ns() + self.random.random_range(0..3),
            kind: self.random.random(),
            payload,
        };
        writer.append(record.kind, record.sequence, record.time_ns, &record.payload);
        self.pending.push(record);
    }

    fn commit(&mut self, writer: &mut Writer) {
        writer.commit();
        if !self.pending.is_empty() {
            let records = std::mem::take(&mut self.pending);
            self.committed.push(Group { records, end: writer.position() });
            self.must_keep = self.committed.len();
        }
    }

    fn close(&mut self, mut writer: Writer) -> Result<(), Broken> {
        self.commit(&mut writer);
        let end = writer.position();
        match writer.close() {
            Ok(()) => self.durable = end,
            Err(error) => {
                hold!(self.may_fail(), "closing failed: {error}");
                self.lose_memory();
            }
        }
        Ok(())
    }

    fn any_crash(&mut self) {
        let kind = [Crash::ProcessDeath, Crash::PowerLoss][self.random.random_range(0..2)];
        self.crash(kind);
    }

    /// Ends the life, and with it the open group.
    fn crash(&mut self, kind: Crash) {
        self.pending.clear();
        self.storage = self.storage.crash(kind);
        match kind {
            Crash::ProcessDeath => self.lose_memory(),
            Crash::PowerLoss => self.lose_undurable(),
        }
    }

    /// What becomes of memory beside the files when its process ends.
    fn lose_memory(&mut self) {
        if self.options.placement == Placement::InMemory {
            self.lose_undurable();
        }
    }

    fn lose_undurable(&mut self) {
        let durable = self.committed.iter().filter(|group| group.end <= self.durable).count();
        self.must_keep = self.must_keep.min(durable);
    }
}

fn read(storage: &SimulatedStorage) -> Result<Vec<Record>, Broken> {
    let mut records = Vec::new();
    let mut reader =
        Reader::open_in(Arc::new(storage.clone())).map_err(|error| error.to_string())?;
    while let Some(frame) = reader.next().map_err(|error| error.to_string())? {
        records.push(Record::of(&frame));
    }
    Ok(records)
}

fn play(seed: u64, rates: FaultRates) -> Result<World, Broken> {
    let mut world = World::new(seed, rates);
    world.play().map(|()| world)
}

/// All files with their bytes.
fn contents(storage: &SimulatedStorage) -> Vec<(String, Vec<u8>)> {
    let with_bytes = |name: String| {
        let mut bytes = vec![0; storage.file_len(&name).unwrap() as usize];
        storage.read_at(&name, &mut bytes, 0).unwrap();
        (name, bytes)
    };
    storage.names().unwrap().into_iter().map(with_bytes).collect()
}

const FAILING: FaultRates = FaultRates {
    sync: 100,
    read: 10,
    allocation: 100,
    write: 30,
    read_only: false,
    lies_about_sync: false,
};

#[test]
fn promises_are_kept_over_crashes() {
    for seed in seeds(PROMISES) {
        if let Err(broken) = play(seed, FaultRates::default()) {
            panic!("SEED={seed}: {broken}");
        }
    }
}

#[test]
fn promises_are_kept_over_crashes_on_a_disk_that_fails() {
    for seed in seeds(PROMISES) {
        if let Err(broken) = play(seed, FAILING) {
            panic!("SEED={seed}: {broken}");
        }
    }
}

#[test]
fn a_disk_that_lies_about_syncs_is_found_out() {
    let lying = FaultRates { lies_about_sync: true, ..FaultRates::default() };
    let found_out = (1..=10).filter(|&seed| play(seed, lying).is_err()).count();
    assert!(found_out >= 5, "only {found_out} of 10 runs have found out");
}

#[test]
fn a_seed_gives_the_same_run_to_the_byte() {
    for seed in 1..=5 {
        let [first, second] = [(); 2]
            .map(|()| play(seed, FAILING).unwrap_or_else(|broken| panic!("SEED={seed}: {broken}")));
        assert_eq!(first.recoveries, second.recoveries, "seed {seed}");
        let worlds = [first, second].map(|world| {
            world.storage.set_fault_rates(FaultRates::default());
            contents(&world.storage.crash(Crash::PowerLoss))
        });
        assert!(worlds[0] == worlds[1], "seed {seed}: other bytes");
    }
}

/// A journal of some segments, not synced since the first frames, and what was committed.
fn unsynced_journal(seed: u64) -> World {
    let mut world = World::new(seed, FaultRates::default());
    world.options.prepared_ahead = 3;
    world.options.placement = Placement::InFile;
    world.stops = false;
    let (mut writer, helpers) = world.open().unwrap();
    for _ in 0..3 {
        helpers.step_preparer();
    }
    for step in 0..60 {
        world.append(&mut writer);
        if world.chance(50) {
            world.commit(&mut writer);
        }
        if step == 10 {
            while writer.durable().get() < writer.position() {
                helpers.step_syncer();
            }
        }
    }
    world.durable = writer.durable().get();
    world
}

/// Recovery is stopped before its first change, before its second, and so on, and whatever has
/// reached the disk then is recovered like the first time.
#[test]
fn recovery_can_be_interrupted_at_every_change() {
    let mut changes = 0;
    for seed in seeds(2) {
        for kind in [Crash::PowerLoss, Crash::ProcessDeath] {
            for operations in 0.. {
                let mut world = unsynced_journal(seed);
                world.crash(Crash::PowerLoss);
                world.storage.stop_after(operations);
                let storage = Arc::new(world.storage.clone());
                let stopped = open_stepped(storage, world.options.clone()).is_err();
                world.crash(kind);
                if let Err(broken) = world.open() {
                    panic!("SEED={seed}, {kind:?} after {operations} changes: {broken}");
                }
                if !stopped {
                    changes += operations;
                    break;
                }
            }
        }
    }
    assert!(changes > 30, "recoveries change something");
}

/// The disk goes bad behind the journal's back, in what it was promised.
#[test]
fn a_flipped_bit_in_durable_bytes_is_always_reported() {
    for seed in seeds(10) {
        let mut world = unsynced_journal(seed);
        world.crash(Crash::ProcessDeath);
        let (writer, _) = world.open().unwrap_or_else(|broken| panic!("SEED={seed}: {broken}"));
        world.close(writer).unwrap();
        // A segment that has no frame yet has nothing to lose: its header is made again.
        let end = match world.durable.get() {
            begun if begun % SEGMENT_BYTES <= FRAMES_OFFSET as u64 => begun - begun % SEGMENT_BYTES,
            end => end,
        };
        let at = world.random.random_range(0..end);
        // Nothing of a header page is without meaning: it has to be zeros behind the header.
        let (name, offset) = (format!("{:010}.seg", at / SEGMENT_BYTES), at % SEGMENT_BYTES);
        world.storage.flip(&name, offset, 1 << world.random.random_range(0..8));
        let before = world.storage.crash(Crash::PowerLoss);
        let report = verify_in(&before).unwrap();
        let corrupt = |finding: &Finding| !matches!(finding, Finding::TornTail { .. });
        assert!(report.findings.iter().any(corrupt), "SEED={seed}: {name} {offset}: {report:?}");
        let bytes = contents(&before);
        let refused = open_stepped(Arc::new(before.clone()), world.options.clone());
        let refused = refused.err().unwrap_or_else(|| panic!("SEED={seed}: {name} {offset}"));
        assert!(
            matches!(refused, OpenError::Corrupt { .. } | OpenError::VersionMismatch { .. }),
            "SEED={seed}: {refused}"
        );
        assert!(contents(&before) == bytes, "SEED={seed}: changed");
        if let Ok(mut reader) = Reader::open_in(Arc::new(before)) {
            let mut records = world.committed.iter().flat_map(|group| &group.records);
            while let Ok(Some(frame)) = reader.next() {
                let record = records.next().expect("no more frames than were committed");
                assert_eq!((frame.sequence, frame.payload), (record.sequence, &record.payload[..]));
            }
        }
    }
}

#[test]
fn no_space_is_back_pressure_until_there_is_some() {
    let storage = SimulatedStorage::new(1);
    storage.set_capacity(Some(3 * SEGMENT_BYTES));
    let (mut writer, _, helpers) = open_stepped(Arc::new(storage.clone()), small()).unwrap();
    let needed = frame_bytes(1_000);
    let fill = |writer: &mut Writer| {
        let mut written = 0;
        loop {
            helpers.step_preparer();
            helpers.step_syncer();
            if !writer.has_room(needed) {
                return written;
            }
            writer.append(1, writer.next_sequence(), 5, &[9; 1_000]);
            writer.commit();
            written += 1;
        }
    };
    let first = fill(&mut writer);
    assert!(first as usize * needed > 2 * SEGMENT_BYTES as usize);
    let status = writer.status().expect("it says why");
    assert!(status.contains("segment 3 can't be prepared in simulated"), "{status}");
    assert!(status.contains("No space left on device"), "{status}");
    assert_eq!(writer.durable().get(), writer.position());

    storage.set_capacity(Some(4 * SEGMENT_BYTES));
    let second = fill(&mut writer);
    assert!(second as usize * needed > SEGMENT_BYTES as usize / 2);
    storage.set_capacity(None);
    helpers.step_preparer();
    assert!(writer.has_room(needed) && writer.status().is_none());
    writer.close().unwrap();
    let report = verify_in(&storage).unwrap();
    assert_eq!((report.frames, report.findings), (first + second, vec![]));
}

/// What a sync failed to write counts as written with the kernel. The durable position must not.
#[test]
fn a_failed_sync_promises_nothing() {
    for seed in seeds(10) {
        for interval in [Duration::ZERO, Duration::from_millis(10)] {
            let storage = SimulatedStorage::new(seed);
            let options = Options { sync_interval: interval, ..small() };
            let (mut writer, _, helpers) =
                open_stepped(Arc::new(storage.clone()), options.clone()).unwrap();
            fill(&mut writer, 20, 1);
            let before = writer.durable().get();
            storage.fail_next(Fault::Sync);
            while writer.status().is_none() {
                helpers.step_syncer();
            }
            assert_eq!(writer.durable().get(), before, "SEED={seed}");
            // One more frame in the same page, so that the syncer has nothing to do at first.
            fill(&mut writer, 21, 1);
            let promised = writer.position();
            while writer.durable().get() < promised {
                helpers.step_syncer();
            }
            assert!(writer.status().is_none());
            let storage = storage.crash(Crash::PowerLoss);
            let (writer, recovery, _) = open_stepped(Arc::new(storage), options).unwrap();
            assert_eq!(recovery.last_sequence, 21, "SEED={seed}");
            assert_eq!(writer.position(), promised, "SEED={seed}");
        }
    }
}

/// A segment whose name could not be synced is prepared again before it is used.
#[test]
fn a_segment_without_a_durable_name_is_not_used() {
    let storage = SimulatedStorage::new(2);
    let (mut writer, _, helpers) = open_stepped(Arc::new(storage.clone()), small()).unwrap();
    let prepared = writer.prepared_ahead();
    assert_eq!(prepared, 0);
    helpers.step_preparer();
    assert_eq!(writer.prepared_ahead(), 1);
    // Segment 2: its bytes are synced, its name is not, and the process ends.
    storage.stop_after(3);
    helpers.step_preparer();
    assert_eq!(writer.prepared_ahead(), 1);
    assert!(storage.is_stopped() && !writer.has_room(3 * SEGMENT_BYTES as usize));
    let storage = storage.crash(Crash::ProcessDeath);
    assert!(storage.names().unwrap().contains(&"0000000002.seg".into()));

    let (mut next, _, helpers) = open_stepped(Arc::new(storage.clone()), small()).unwrap();
    for _ in 0..3 {
        helpers.step_preparer();
    }
    fill(&mut next, 900, 1);
    assert!(next.position().get() > 2 * SEGMENT_BYTES);
    while next.durable().get() < next.position() {
        helpers.step_syncer();
    }
    let storage = storage.crash(Crash::PowerLoss);
    let (_, recovery, _) = open_stepped(Arc::new(storage), small()).unwrap();
    assert_eq!(recovery.last_sequence, 900);
    writer.append(1, 1, 1, b"of a life that has ended");
}

#[test]
fn a_read_only_directory_is_refused_but_readable() {
    let storage = SimulatedStorage::new(3);
    let (mut writer, _, helpers) = open_stepped(Arc::new(storage.clone()), small()).unwrap();
    helpers.step_preparer();
    fill(&mut writer, 50, 1);
    let held = open_stepped(Arc::new(storage.clone()), small()).err().expect("a second writer");
    assert!(matches!(held, OpenError::InUse { .. }), "{held}");
    writer.close().unwrap();
    storage.set_fault_rates(FaultRates { read_only: true, ..FaultRates::default() });
    let refused = open_stepped(Arc::new(storage.clone()), small()).err().expect("read-only");
    assert!(matches!(refused, OpenError::NotWritable { .. }), "{refused}");
    assert_eq!(read_all(&mut Reader::open_in(Arc::new(storage.clone())).unwrap()).0, 50);
    assert_eq!(verify_in(&storage).unwrap().findings, []);
}

#[test]
#[should_panic(expected = "no segment is prepared: ask has_room first")]
fn a_roll_that_nobody_can_help_does_not_wait_for_ever() {
    let storage = SimulatedStorage::new(4);
    let (mut writer, ..) = open_stepped(Arc::new(storage.clone()), small()).unwrap();
    storage.set_capacity(Some(0));
    storage.remove("0000000001.seg").unwrap();
    fill(&mut writer, 1_000, 1);
}

/// Commits 20 frames, and a group that begins in segment 0 and ends in segment 2.
fn group_over_a_roll(storage: &SimulatedStorage) -> (Writer, Helpers) {
    let (mut writer, _, helpers) = open_stepped(Arc::new(storage.clone()), small()).unwrap();
    helpers.step_preparer();
    helpers.step_preparer();
    fill(&mut writer, 20, 1);
    helpers.step_syncer();
    for sequence in 21..=230 {
        writer.append(sequence as u16, sequence, sequence * 10, &[7; 600]);
    }
    writer.commit();
    assert_eq!(writer.position().get() / SEGMENT_BYTES, 2);
    (writer, helpers)
}

/// More changes than a recovery of three segments makes.
const RECOVERY_CHANGES_MAX: u64 = 100;

/// The durable word of a full segment says that its last group is durable, wherever that ends.
#[test]
fn a_group_over_a_roll_is_marked_durable_when_all_of_it_is() {
    for seed in seeds(3) {
        let storage = SimulatedStorage::new(seed);
        let (writer, helpers) = group_over_a_roll(&storage);
        // The sync of segment 0 is the last thing that works.
        storage.stop_after(1);
        helpers.step_syncer();
        assert!(writer.durable().get() < writer.position());
        let storage = storage.crash(Crash::PowerLoss);
        let (_, recovery, _) = open_stepped(Arc::new(storage), small())
            .unwrap_or_else(|error| panic!("SEED={seed}: {error}"));
        assert!([20, 230].contains(&recovery.last_sequence), "SEED={seed}: {recovery:?}");
        drop(writer);

        // The same in recovery, after any of its changes, up to one that gets to its end.
        for kind in [Crash::ProcessDeath, Crash::PowerLoss] {
            for changes in 0.. {
                let case = format!("SEED={seed}, {kind:?}, after {changes} changes");
                assert!(changes < RECOVERY_CHANGES_MAX, "{case}: recovery has no end");
                let storage = SimulatedStorage::new(seed);
                let life = group_over_a_roll(&storage);
                let storage = storage.crash(kind);
                drop(life);
                storage.stop_after(changes);
                let opened = open_stepped(Arc::new(storage.clone()), small());
                let promised = opened.ok().map(|(_, recovery, _)| recovery.last_sequence);
                let whole = !storage.is_stopped();
                let storage = storage.crash(Crash::PowerLoss);
                let (_, recovery, _) = open_stepped(Arc::new(storage), small())
                    .unwrap_or_else(|error| panic!("{case}: {error}"));
                assert!([20, 230].contains(&recovery.last_sequence), "{case}: {recovery:?}");
                if let Some(promised) = promised {
                    assert_eq!(recovery.last_sequence, promised, "{case}: what was recovered");
                }
                if whole {
                    assert!(promised.is_some(), "{case}: nothing was in its way");
                    assert!(kind == Crash::PowerLoss || promised == Some(230), "{case}");
                    break;
                }
            }
        }
    }
}

/// A sync fails while a journal is opened; the next attempt is told that all is well.
#[test]
fn recovery_does_not_trust_a_sync_after_a_failed_one() {
    for seed in seeds(4) {
        let storage = SimulatedStorage::new(seed);
        let (mut writer, ..) = open_stepped(Arc::new(storage.clone()), small()).unwrap();
        fill(&mut writer, 100, 1);
        let storage = storage.crash(Crash::ProcessDeath);
        storage.fail_next(Fault::Sync);
        let refused = open_stepped(Arc::new(storage.clone()), small()).err().expect("EIO");
        assert!(matches!(refused, OpenError::Io { .. }), "{refused}");
        let (_, recovery, _) = open_stepped(Arc::new(storage.clone()), small()).unwrap();
        assert_eq!(recovery.last_sequence, 100);
        let storage = storage.crash(Crash::PowerLoss);
        let (_, recovery, _) = open_stepped(Arc::new(storage), small())
            .unwrap_or_else(|error| panic!("SEED={seed}: {error}"));
        assert_eq!(recovery.last_sequence, 100, "SEED={seed}");
    }
}
