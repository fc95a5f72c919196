//! The file of stage times, beside the journal: what orders took their time for, second by second, for whoever asks
//! when the venue is gone. No part of the journal: it may be missing, end early or be removed, and nothing changes.
//!
//! ```text
//! stages       0        4        8
//! record       +--------+--------+---------------------------+
//!              | length | CRC32C | numbers, length - 8 bytes |     length and CRC little-endian
//!              +--------+--------+---------------------------+
//! numbers      version, from, time, first sequence, frames, turns per sample,
//!              stages, of each: values, p50, p90, p99, p99.9, longest
//!              inputs, of each: sequence, stamp, in the ring, in the core
//!              frames, of each: sequence, stamp, encoded, until written
//! ```
//!
//! The CRC is of length and numbers. A number is in LEB128: seven bits in a byte, the lowest first, the highest bit
//! says that more follow. Times of records and stamps are ns since 1970, all others ns.
//!
//! Records are appended by one thread and never synced. When the file has half of the bytes that it may have, it
//! becomes `stages.old` in the place of the one before. A record that a death has cut is taken off at the next
//! start; a file that is damaged otherwise becomes the old one at once, so nothing stands behind damage.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use ironbook_engine::Timestamp;

use crate::{
    histogram::Distribution,
    slowest::{SLOWEST_KEPT, Slow},
    stages::{Stage, StageTimes},
};

/// Name of the file in the journal's directory.
pub const STAGE_LOG: &str = "stages";
/// Name of the one before.
pub const STAGE_LOG_OLD: &str = "stages.old";

/// Bytes of both files when nothing else is configured: some days of a busy venue.
pub const BYTES_DEFAULT: u64 = 64 << 20;
/// Fewest bytes that can be configured, but for none: room for some records in each half.
pub const BYTES_MIN: u64 = 64 << 10;
/// Most bytes that can be configured: whoever reads them keeps them in memory.
pub const BYTES_MAX: u64 = 1 << 30;

/// Version of a record.
const VERSION: u64 = 1;
/// Bytes before the numbers.
const HEAD_BYTES: usize = 8;
/// Longest number.
const NUMBER_BYTES_MAX: usize = 10;
/// Longest record: the numbers that it can have at the most.
const RECORD_BYTES_MAX: usize =
    HEAD_BYTES + NUMBER_BYTES_MAX * (6 + 1 + Stage::ALL.len() * 6 + 2 * (1 + SLOWEST_KEPT * 4));
const _: () = assert!(RECORD_BYTES_MAX as u64 * 4 <= BYTES_MIN);

/// Between two records.
const INTERVAL_NS: u64 = 1_000_000_000;

/// What a stage took in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageSecond {
    /// Values.
    pub count: u64,
    /// What half of them, 90 %, 99 % and 99.9 % of them did not exceed, and the longest, ns; to 3 %.
    pub ns: [u64; 5],
}

/// Shares of [`StageSecond::ns`], the longest aside.
pub const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];
/// Names of all of them.
pub const QUANTILE_NAMES: [&str; 5] = ["p50", "p90", "p99", "p99.9", "longest"];

/// A record: a second in which something was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageRecord {
    /// When it began, ns since 1970.
    pub from_ns: u64,
    /// How long it was, ns: a second, and what its writer was late.
    pub length_ns: u64,
    /// The first frame that was followed in it.
    pub first_sequence: u64,
    /// How many frames were.
    pub frames: u64,
    /// Turns for one that was measured.
    pub every: u64,
    /// Stages, in the sequence of [`Stage::ALL`].
    pub stages: [StageSecond; Stage::ALL.len()],
    /// The inputs that were slowest in ring and core together, slowest first: both times.
    pub inputs: Vec<Slow>,
    /// The frames whose messages were written latest behind the core's stamp, slowest first: the time to make
    /// messages of each, and that up to its write.
    pub told: Vec<Slow>,
}

/// Why not all of a file was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageLogDamage {
    /// The file.
    pub file: PathBuf,
    /// Where the record begins that is damaged.
    pub offset: u64,
    /// Whether it is cut, as by a death amid its write.
    pub is_cut: bool,
}

impl std::fmt::Display for StageLogDamage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.is_cut { "is cut" } else { "is damaged" };
        let (file, offset) = (self.file.display(), self.offset);
        write!(
            f,
            "the record of stage times at byte {offset} of {file} {what}; those before it are used"
        )
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for at in 0..NUMBER_BYTES_MAX {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        let shifted = bits << (7 * at);
        if shifted >> (7 * at) != bits {
            return None;
        }
        number |= shifted;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

impl StageRecord {
    /// As bytes, with length and CRC.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; HEAD_BYTES];
        for number in [
            VERSION,
            self.from_ns,
            self.length_ns,
            self.first_sequence,
            self.frames,
            self.every,
            self.stages.len() as u64,
        ] {
            put(&mut out, number);
        }
        for stage in &self.stages {
            put(&mut out, stage.count);
            stage.ns.iter().for_each(|ns| put(&mut out, *ns));
        }
        for slowest in [&self.inputs, &self.told] {
            put(&mut out, slowest.len() as u64);
            for slow in slowest {
                [slow.sequence, slow.time_ns, slow.ns[0], slow.ns[1]]
                    .into_iter()
                    .for_each(|number| put(&mut out, number));
            }
        }
        let length = u32::try_from(out.len()).expect("a short record");
        out[..4].copy_from_slice(&length.to_le_bytes());
        let crc = crc(length, &out[HEAD_BYTES..]);
        out[4..HEAD_BYTES].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The numbers of a record whose CRC is right; none when they are no record of this version.
    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        if take(bytes)? != VERSION {
            return None;
        }
        let mut record = Self {
            from_ns: take(bytes)?,
            length_ns: take(bytes)?,
            first_sequence: take(bytes)?,
            frames: take(bytes)?,
            every: take(bytes)?,
            ..Self::default()
        };
        if take(bytes)? != record.stages.len() as u64 {
            return None;
        }
        for stage in &mut record.stages {
            stage.count = take(bytes)?;
            for ns in &mut stage.ns {
                *ns = take(bytes)?;
            }
        }
        record.inputs = read_slowest(bytes, |ns| ns[0].saturating_add(ns[1]))?;
        record.told = read_slowest(bytes, |ns| ns[1])?;
        bytes.is_empty().then_some(record)
    }

    /// Where it ends, ns since 1970.
    pub fn end_ns(&self) -> u64 {
        self.from_ns.saturating_add(self.length_ns)
    }

    /// What a stage took.
    pub fn stage(&self, stage: Stage) -> &StageSecond {
        &self.stages[stage as usize]
    }
}

fn read_slowest(bytes: &mut &[u8], total: fn([u64; 2]) -> u64) -> Option<Vec<Slow>> {
    let count = take(bytes)?;
    if count > SLOWEST_KEPT as u64 {
        return None;
    }
    let mut slowest = Vec::new();
    for _ in 0..count {
        let (sequence, time_ns) = (take(bytes)?, take(bytes)?);
        let ns = [take(bytes)?, take(bytes)?];
        slowest.push(Slow { total_ns: total(ns), sequence, time_ns, ns });
    }
    Some(slowest)
}

fn crc(length: u32, numbers: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length.to_le_bytes()), numbers)
}

/// Shows each record of a file up to its end or its damage; gives where the good ones end, and the damage.
fn read_file(
    path: &Path,
    each: &mut dyn FnMut(StageRecord),
) -> io::Result<(u64, Option<StageLogDamage>)> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, None)),
        Err(error) => return Err(error),
    };
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let damage = |is_cut| StageLogDamage { file: path.into(), offset: at as u64, is_cut };
        let Some((head, _)) = rest.split_first_chunk::<4>() else {
            return Ok((at as u64, Some(damage(true))));
        };
        let length = u32::from_le_bytes(*head);
        let fits = (HEAD_BYTES..=RECORD_BYTES_MAX).contains(&(length as usize));
        let record = match rest.get(..length as usize) {
            _ if !fits => return Ok((at as u64, Some(damage(false)))),
            None => return Ok((at as u64, Some(damage(true)))),
            Some(record) => record,
        };
        let found = u32::from_le_bytes(*record[4..].first_chunk::<4>().expect("a whole head"));
        let numbers = &record[HEAD_BYTES..];
        let good = (found == crc(length, numbers)).then(|| StageRecord::decode(numbers)).flatten();
        match good {
            Some(good) => each(good),
            None => return Ok((at as u64, Some(damage(false)))),
        }
        at += record.len();
    }
    Ok((at as u64, None))
}

/// Shows each record that a journal's directory has, the oldest first, and gives what is damaged. Of a damaged file
/// those before the damage are shown. There is none where no stages were measured.
///
/// # Errors
/// A file can't be read.
pub fn read(dir: &Path, mut each: impl FnMut(StageRecord)) -> io::Result<Vec<StageLogDamage>> {
    let mut damaged = Vec::new();
    for name in [STAGE_LOG_OLD, STAGE_LOG] {
        damaged.extend(read_file(&dir.join(name), &mut each)?.1);
    }
    Ok(damaged)
}

/// Appends a record for each second.
#[derive(Debug)]
pub struct StageLog {
    dir: PathBuf,
    file: File,
    /// Bytes of the file, and how many make it the old one.
    bytes: u64,
    bytes_max: u64,
    times: StageTimes,
    /// What had been measured by the last record.
    before: Vec<(Stage, Distribution)>,
    from_ns: u64,
    sequence: u64,
    inputs: Vec<Slow>,
    told: Vec<Slow>,
}

impl StageLog {
    /// Goes on with the file in a journal's directory. Both files together have `bytes_max` at the most. `sequence` is
    /// that of the last frame before now.
    ///
    /// # Errors
    /// The file can't be read or written.
    pub fn open(
        dir: &Path,
        bytes_max: u64,
        times: StageTimes,
        (now, sequence): (Timestamp, u64),
    ) -> io::Result<Self> {
        let path = dir.join(STAGE_LOG);
        let (good, damage) = read_file(&path, &mut |_| {})?;
        if damage.as_ref().is_some_and(|damage| !damage.is_cut) {
            fs::rename(&path, dir.join(STAGE_LOG_OLD))?;
        }
        // Of a time when more was kept.
        for path in [&path, &dir.join(STAGE_LOG_OLD)] {
            if fs::metadata(path).is_ok_and(|file| file.len() > bytes_max / 2) {
                fs::remove_file(path)?;
            }
        }
        let good = good.min(fs::metadata(&path).map_or(0, |file| file.len()));
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        let bytes = match damage {
            Some(StageLogDamage { is_cut: false, .. }) => 0,
            Some(_) => {
                file.set_len(good)?;
                good
            }
            None => good,
        };
        file.flush()?;
        let before = times.read();
        // What was found before now is of no second that is written.
        let (mut inputs, mut told) = (Vec::new(), Vec::new());
        times.take_slowest(&mut inputs, &mut told);
        inputs.clear();
        told.clear();
        Ok(Self {
            dir: dir.into(),
            file,
            bytes,
            bytes_max: bytes_max / 2,
            times,
            before,
            from_ns: now.0,
            sequence,
            inputs,
            told,
        })
    }

    /// Writes a record, if a second is over and something was measured in it. `sequence` is that of the last frame
    /// that was followed.
    ///
    /// # Errors
    /// The file can't be written; it may have a part of the record.
    pub fn turn(&mut self, now: Timestamp, sequence: u64) -> io::Result<()> {
        // By whole seconds, as the slowest are kept; a clock that is set back ends one, too.
        if now.0 / INTERVAL_NS == self.from_ns / INTERVAL_NS {
            return Ok(());
        }
        self.end(now, sequence)
    }

    /// The same before a second is over.
    ///
    /// # Errors
    /// As of [`turn`](Self::turn).
    pub fn end(&mut self, now: Timestamp, sequence: u64) -> io::Result<()> {
        self.times.take_slowest(&mut self.inputs, &mut self.told);
        let all = self.times.read();
        let mut record = StageRecord {
            from_ns: self.from_ns,
            length_ns: now.0.saturating_sub(self.from_ns),
            first_sequence: self.sequence + 1,
            frames: sequence.saturating_sub(self.sequence),
            every: self.times.pace().every.into(),
            ..StageRecord::default()
        };
        for ((stage, now), (_, before)) in all.iter().zip(&self.before) {
            let since = now.since(before);
            let mut ns = [since.max_ns(); 5];
            for (of, share) in ns.iter_mut().zip(QUANTILES) {
                *of = since.quantile_ns(share);
            }
            record.stages[*stage as usize] = StageSecond { count: since.count(), ns };
        }
        for (slowest, into) in
            [(&mut self.inputs, &mut record.inputs), (&mut self.told, &mut record.told)]
        {
            slowest.sort_unstable_by(|one, other| other.cmp(one));
            slowest.truncate(SLOWEST_KEPT);
            into.append(slowest);
        }
        (self.before, self.from_ns, self.sequence) = (all, now.0, sequence);
        if record.stages.iter().all(|stage| stage.count == 0) {
            return Ok(());
        }
        self.append(&record.encode())
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let path = self.dir.join(STAGE_LOG);
        if self.bytes + record.len() as u64 > self.bytes_max {
            fs::rename(&path, self.dir.join(STAGE_LOG_OLD))?;
            self.file = OpenOptions::new().create(true).append(true).open(&path)?;
            self.bytes = 0;
        }
        self.file.write_all(record)?;
        self.bytes += record.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        random::Random,
        stages::{Pace, StageWatches},
    };

    fn record(random: &mut Random) -> StageRecord {
        let mut number = || {
            let bits = random.below(65) as u32;
            random.below(u64::MAX).checked_shr(64 - bits).unwrap_or(0)
        };
        let mut record = StageRecord {
            from_ns: number(),
            length_ns: number(),
            first_sequence: number(),
            frames: number(),
            every: number(),
            ..StageRecord::default()
        };
        for stage in &mut record.stages {
            stage.count = number();
            stage.ns = [0; 5].map(|_| number());
        }
        let count = number() as usize % (SLOWEST_KEPT + 1);
        for (slowest, own) in [(&mut record.inputs, 1), (&mut record.told, 0)] {
            for _ in 0..count {
                let (sequence, time_ns, ns) = (number(), number(), [number(), number()]);
                let total_ns = if own == 1 { ns[0].saturating_add(ns[1]) } else { ns[1] };
                slowest.push(Slow { total_ns, sequence, time_ns, ns });
            }
        }
        record
    }

    fn all(dir: &Path) -> (Vec<StageRecord>, Vec<StageLogDamage>) {
        let mut found = Vec::new();
        let damaged = read(dir, |record| found.push(record)).expect("files that can be read");
        (found, damaged)
    }

    #[test]
    fn records_are_read_back_up_to_any_cut_and_any_flipped_bit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(STAGE_LOG);
        let mut random = Random::new(1);
        let records: Vec<_> = (0..3).map(|_| record(&mut random)).collect();
        let encoded: Vec<_> = records.iter().map(StageRecord::encode).collect();
        let bytes = encoded.concat();
        let ends: Vec<_> = encoded
            .iter()
            .scan(0, |end, one| {
                *end += one.len();
                Some(*end)
            })
            .collect();
        fs::write(&path, &bytes).unwrap();
        assert_eq!(all(dir.path()), (records.clone(), Vec::new()));
        for cut in 0..bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let (found, damaged) = all(dir.path());
            assert_eq!(found, records[..whole], "cut at {cut}");
            let is_told = cut != 0 && !ends.contains(&cut);
            assert_eq!(damaged.len(), usize::from(is_told), "cut at {cut}");
            assert!(damaged.iter().all(|damage| damage.is_cut));
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << random.below(8);
            fs::write(&path, &flipped).unwrap();
            let whole = ends.iter().filter(|end| **end <= at).count();
            let (found, damaged) = all(dir.path());
            assert_eq!(found, records[..whole], "flipped at {at}");
            let offset = if whole == 0 { 0 } else { ends[whole - 1] as u64 };
            assert_eq!(damaged.iter().map(|of| of.offset).collect::<Vec<_>>(), [offset]);
            assert!(damaged[0].to_string().contains(&format!("at byte {offset} of ")));
        }
    }

    #[test]
    fn numbers_of_any_size_go_there_and_back() {
        for number in (0..64).flat_map(|bits| [(1_u64 << bits) - 1, 1 << bits]).chain([u64::MAX]) {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            assert!(bytes.len() <= NUMBER_BYTES_MAX);
            let mut rest = &bytes[..];
            assert_eq!((take(&mut rest), rest.len()), (Some(number), 0));
        }
        assert_eq!(take(&mut &[0xff; 10][..]), None, "beyond 64 bits");
        assert_eq!(take(&mut &[0x80; 3][..]), None, "no end");
    }

    /// By a clock that stands but for what each part takes.
    #[test]
    fn a_second_has_what_was_measured_in_it() {
        const START: u64 = 5_000_000_000;
        let dir = tempfile::tempdir().unwrap();
        let (clock, counter) = quanta::Clock::mock();
        let (mut watches, times) = StageWatches::with(&clock, Pace { every: 1, reading_ns: 1 }, 1);
        let mut input = |sequence: u64, ring_ns: u64, core_ns: u64| {
            counter.increment(1);
            let handed_over = watches.gateways[0].hand_over.stamp();
            counter.increment(ring_ns);
            watches.core.begin_input(handed_over);
            counter.increment(core_ns);
            watches.core.lap(Stage::Core);
            watches.core.end_input(sequence, START + sequence);
            watches.core.end_turn();
        };
        input(1, 9_000, 9_000);
        let mut log =
            StageLog::open(dir.path(), BYTES_MIN, times.clone(), (Timestamp(START), 2)).unwrap();
        (3..=40).for_each(|sequence| input(sequence, 100 * sequence, 50));
        log.turn(Timestamp(START + 999_999_999), 40).unwrap();
        assert_eq!(all(dir.path()).0, [], "the second is not over");
        log.turn(Timestamp(START + 1_000_000_007), 40).unwrap();
        // Nothing, then one in less than a second, at the end.
        log.turn(Timestamp(START + 2_500_000_000), 41).unwrap();
        input(42, 7, 30);
        log.end(Timestamp(START + 2_600_000_000), 44).unwrap();
        let (found, damaged) = all(dir.path());
        assert_eq!((found.len(), damaged.len()), (2, 0));
        let [first, second] = &found[..] else { panic!("{found:?}") };
        assert_eq!((first.from_ns, first.length_ns, first.every), (START, 1_000_000_007, 1));
        assert_eq!((first.first_sequence, first.frames), (3, 38));
        let ring = first.stage(Stage::Ring);
        assert_eq!(ring.count, 38);
        assert!((4_000..=4_125).contains(&ring.ns[4]), "not that of before: {ring:?}");
        assert!((2_100..=2_200).contains(&ring.ns[0]), "{ring:?}");
        let told: Vec<_> = first.inputs.iter().map(|slow| (slow.sequence, slow.ns)).collect();
        let slowest = (33..=40).rev().map(|sequence| (sequence, [100 * sequence, 50]));
        assert_eq!(told, slowest.collect::<Vec<_>>());
        assert_eq!((second.from_ns, second.length_ns), (START + 2_500_000_000, 100_000_000));
        assert_eq!((second.first_sequence, second.frames), (42, 3));
        // To 3 %, as more was seen before.
        assert_eq!((second.stage(Stage::Core).count, second.stage(Stage::Core).ns[4]), (1, 30));
        assert_eq!(second.stage(Stage::Encode).count, 0);
    }

    /// Something is measured, and a second ends.
    fn second(log: &mut StageLog, watches: &mut StageWatches, number: u64) {
        let [gateway] = &mut watches.gateways[..] else { panic!("one gateway") };
        gateway.turns.begin_turn();
        gateway.turns.mark();
        gateway.turns.lap(Stage::Decode);
        log.end(Timestamp(number * INTERVAL_NS), number).unwrap();
    }

    #[test]
    fn files_are_bounded_and_go_on_behind_a_death() {
        let dir = tempfile::tempdir().unwrap();
        let open = |number: u64| {
            let (watches, times) = StageWatches::every_turn(1);
            let now = (Timestamp(number * INTERVAL_NS), number);
            (StageLog::open(dir.path(), BYTES_MIN, times, now).unwrap(), watches)
        };
        let (mut log, mut watches) = open(0);
        for number in 1..=1_000 {
            second(&mut log, &mut watches, number);
            let length = |name| fs::metadata(dir.path().join(name)).map_or(0, |file| file.len());
            assert!(length(STAGE_LOG) + length(STAGE_LOG_OLD) <= BYTES_MIN, "{number}");
        }
        let kept = all(dir.path()).0;
        assert!(kept.len() > 300, "{}", kept.len());
        let sequences: Vec<_> = kept.iter().map(|record| record.first_sequence).collect();
        let first = 1_000 - kept.len() as u64 + 1;
        assert_eq!(sequences, (first..=1_000).collect::<Vec<_>>(), "the last, without a gap");
        drop(log);
        // A record that is cut is taken off, and what follows can be read.
        let path = dir.path().join(STAGE_LOG);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        let (mut log, mut watches) = open(1_000);
        second(&mut log, &mut watches, 1_001);
        let (found, damaged) = all(dir.path());
        let last: Vec<_> = found.iter().rev().take(2).map(|record| record.first_sequence).collect();
        assert_eq!((last, damaged), (vec![1_001, 999], Vec::new()));
        drop(log);
        // What is damaged is kept as the old one, up to the damage.
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(&path, bytes).unwrap();
        let (mut log, mut watches) = open(1_001);
        second(&mut log, &mut watches, 1_002);
        let (found, damaged) = all(dir.path());
        assert_eq!(found.last().map(|record| record.first_sequence), Some(1_002));
        assert_eq!(damaged.len(), 1);
        assert_eq!(damaged[0].file, dir.path().join(STAGE_LOG_OLD));
    }
}
