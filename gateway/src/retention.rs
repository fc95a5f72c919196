//! What becomes of old snapshots and of segments that no kept snapshot needs.
//!
//! A start needs one good snapshot and the segments from the one that holds its place on. So many
//! snapshots are kept as are configured, each with what it needs; until there are as many good ones,
//! nothing is touched. Nor is a segment that a port still has to read.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ironbook_journal::{
    Position, Storage, segment_files,
    snapshot::{self, check_place},
};

use crate::{config::OldSegments, snapshot::check_version};

/// Level of zstd: the fastest that gets most of what there is to get.
const LEVEL: i32 = 3;

/// Bytes that are packed or compared at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// How far a port has delivered what the journal says, for whoever removes what is before.
#[derive(Clone, Debug, Default)]
pub struct Delivered(Arc<AtomicU64>);

impl Delivered {
    /// Everything before `position` is delivered.
    #[inline]
    pub fn set(&self, position: Position) {
        self.0.store(position.get(), Ordering::Relaxed);
    }

    /// The port reads the journal no more.
    pub fn end(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }

    /// The latest position that was set.
    pub fn get(&self) -> Position {
        Position::new(self.0.load(Ordering::Relaxed))
    }
}

/// What of snapshots and segments is kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Snapshots kept, at least one.
    pub keep: usize,
    /// What becomes of segments before them.
    pub old_segments: OldSegments,
}

/// A snapshot as retention sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// Sequence of the last frame covered.
    pub sequence: u64,
    /// The oldest segment that a start from there needs.
    pub segment: u64,
    /// Whether a start from there would succeed.
    pub is_good: bool,
}

/// What may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disposal {
    /// Sequences of snapshots.
    pub snapshots: Vec<u64>,
    /// Indices of segments, ascending.
    pub segments: Vec<u64>,
}

/// Decides what may go when the newest `keep` good snapshots stay, and segments from the one that is
/// `being_read` on. Nothing goes while there are fewer snapshots.
pub fn disposal(snapshots: &[Covered], segments: &[u64], keep: usize, being_read: u64) -> Disposal {
    let mut good: Vec<_> = snapshots.iter().filter(|snapshot| snapshot.is_good).collect();
    good.sort_unstable_by_key(|snapshot| std::cmp::Reverse(snapshot.sequence));
    good.truncate(keep);
    let (Some(oldest), true) = (good.last(), good.len() == keep) else {
        return Disposal::default();
    };
    let needed = good.iter().map(|snapshot| snapshot.segment).min().unwrap_or(0);
    let needed = needed.min(being_read);
    let older = snapshots.iter().map(|snapshot| snapshot.sequence);
    let mut segments: Vec<_> = segments.iter().copied().filter(|&index| index < needed).collect();
    segments.sort_unstable();
    Disposal { snapshots: older.filter(|&sequence| sequence < oldest.sequence).collect(), segments }
}

impl Retention {
    /// Does in a directory what is due there, and says in the log what was done. The segment that is
    /// `being_read`, and those behind it, stay.
    pub fn apply(&self, storage: &dyn Storage, being_read: u64) {
        if let Err(problem) = self.try_apply(storage, being_read) {
            log::error!("{problem}; old snapshots and segments stay for now");
        }
    }

    fn try_apply(&self, storage: &dyn Storage, being_read: u64) -> Result<(), String> {
        let sequences = snapshot::list(storage).map_err(|error| error.to_string())?;
        if sequences.len() < self.keep {
            return Ok(());
        }
        let snapshots: Vec<_> =
            sequences.into_iter().filter_map(|sequence| look_at(storage, sequence)).collect();
        let files = segment_files(storage).map_err(|error| error.to_string())?;
        let indices: Vec<_> = files.iter().map(|(index, _)| *index).collect();
        let disposal = disposal(&snapshots, &indices, self.keep, being_read);
        for (index, name) in files {
            if disposal.segments.binary_search(&index).is_ok() {
                self.dispose(storage, &name).map_err(|error| format!("{name}: {error}"))?;
            }
        }
        for sequence in disposal.snapshots {
            snapshot::remove(storage, sequence).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn dispose(&self, storage: &dyn Storage, name: &str) -> io::Result<()> {
        match self.old_segments {
            OldSegments::Keep => return Ok(()),
            OldSegments::Compress => {
                let packed = compress(storage.dir(), &storage.dir().join(name))?;
                log::info!("{name} is packed into {}", packed.display());
            }
            OldSegments::Remove => log::info!("{name} is removed"),
        }
        storage.remove(name)?;
        storage.sync_dir()
    }
}

/// Judges a snapshot: whole, of this program's versions, and of this journal. One that can't even be
/// read tells nothing of its place; it stays.
fn look_at(storage: &dyn Storage, sequence: u64) -> Option<Covered> {
    let snapshot = match snapshot::read(storage, sequence) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            log::warn!("{error}; it does not count among those that are kept");
            return Some(Covered { sequence, segment: 0, is_good: false });
        }
    };
    let is_good = check_version(storage, &snapshot).is_ok()
        && check_place(storage, &snapshot.checkpoint)
            .inspect_err(|error| log::warn!("{error}; it does not count among those kept"))
            .is_ok();
    Some(Covered { sequence, segment: snapshot.checkpoint.segment(), is_good })
}

/// Where a segment is packed to.
fn packed_path(file: &Path) -> PathBuf {
    file.with_extension("seg.zst")
}

/// Packs a segment into a file beside it, which is there whole or not at all, and compares it with
/// what it was made from.
fn compress(dir: &Path, file: &Path) -> io::Result<PathBuf> {
    let packed = packed_path(file);
    let unfinished = file.with_extension("seg.zst.tmp");
    let made = pack(file, &unfinished).and_then(|()| match unpacks_to(&unfinished, file)? {
        true => fs::rename(&unfinished, &packed),
        false => Err(io::Error::other("its packed bytes are not what was packed")),
    });
    if made.is_err() {
        // Gives the blocks back; when that fails too the next attempt truncates the file.
        let _ = fs::remove_file(&unfinished);
    }
    made?;
    sync_dir(dir)?;
    Ok(packed)
}

fn pack(file: &Path, to: &Path) -> io::Result<()> {
    let mut encoder = zstd::Encoder::new(File::create(to)?, LEVEL)?;
    encoder.include_checksum(true)?;
    let mut source = File::open(file)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match source.read(&mut chunk)? {
            0 => break,
            count => encoder.write_all(&chunk[..count])?,
        }
    }
    encoder.finish()?.sync_all()
}

/// Whether a packed file unpacks to exactly the bytes of another.
fn unpacks_to(packed: &Path, file: &Path) -> io::Result<bool> {
    let mut unpacked = zstd::Decoder::new(File::open(packed)?)?;
    let mut original = File::open(file)?;
    let (mut left, mut right) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    loop {
        let count = read_full(&mut unpacked, &mut left)?;
        if count != read_full(&mut original, &mut right)? || left[..count] != right[..count] {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// What to say of a journal whose first frame is not the first there ever was, and how to get back
/// what is gone; none when nothing is.
pub fn describe_gone(dir: &Path, first_sequence: u64) -> Option<String> {
    if first_sequence <= 1 {
        return None;
    }
    let mut packed: Vec<_> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_str().is_some_and(|path| path.ends_with(".seg.zst")))
        .collect();
    packed.sort();
    let gone = format!("frames 1 to {} are not here", first_sequence - 1);
    Some(match packed.as_slice() {
        [] => format!("{gone}: their segments were removed or moved away"),
        [one] => format!("{gone}; `zstd -d {}` brings a segment back", one.display()),
        [first, .., last] => format!(
            "{gone}; {} segments are packed, from {} to {}: `zstd -d FILE` brings one back",
            packed.len(),
            first.display(),
            last.display()
        ),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEGMENTS: u64 = 24;

    /// Snapshots of a journal with a snapshot at most every tenth sequence, by ascending sequence and
    /// segment; each is good or not. The directory begins anywhere, and may have holes.
    fn directory() -> impl Strategy<Value = (Vec<Covered>, Vec<u64>, usize, u64)> {
        let places = prop::collection::btree_map(1..200_u64, any::<bool>(), 0..9);
        let segments = prop::collection::btree_set(0..SEGMENTS, 0..SEGMENTS as usize);
        let read = prop_oneof![Just(SEGMENTS), 0..SEGMENTS];
        (places, segments, 1..4_usize, read).prop_map(|(places, segments, keep, being_read)| {
            let covered = |(place, is_good)| Covered {
                sequence: place * 10,
                segment: place * SEGMENTS / 200,
                is_good,
            };
            let places = places.into_iter().map(covered).collect();
            (places, segments.into_iter().collect(), keep, being_read)
        })
    }

    /// Whether a start from this snapshot has all that it needs.
    fn usable(snapshot: &Covered, segments: &[u64]) -> bool {
        snapshot.is_good && (snapshot.segment..SEGMENTS).all(|index| segments.contains(&index))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        #[test]
        fn nothing_goes_that_a_kept_snapshot_or_the_gateway_needs(
            (snapshots, segments, keep, being_read) in directory()
        ) {
            let gone = disposal(&snapshots, &segments, keep, being_read);
            let left: Vec<_> =
                snapshots.iter().filter(|known| !gone.snapshots.contains(&known.sequence)).collect();
            let segments_left: Vec<_> =
                segments.iter().copied().filter(|index| !gone.segments.contains(index)).collect();
            let good = |list: &[&Covered]| list.iter().filter(|known| known.is_good).count();
            let all: Vec<_> = snapshots.iter().collect();

            // What could be started from before can be still, but for what is older than those kept.
            let newest = snapshots.iter().rev().filter(|known| known.is_good).take(keep);
            for snapshot in newest {
                prop_assert!(left.contains(&snapshot), "a kept one is gone");
                prop_assert_eq!(usable(snapshot, &segments), usable(snapshot, &segments_left));
            }
            prop_assert_eq!(good(&left), good(&all).min(keep));
            for snapshot in left.iter().filter(|known| known.is_good) {
                prop_assert!(gone.segments.iter().all(|&index| index < snapshot.segment));
            }
            prop_assert!(gone.segments.iter().all(|&index| index < being_read));
            // Too few: nothing goes. Enough: everything goes that may.
            if good(&all) < keep {
                prop_assert_eq!(gone, Disposal::default());
            } else {
                let oldest = left.iter().find(|known| known.is_good).unwrap();
                let needed = oldest.segment.min(being_read);
                prop_assert!(segments_left.iter().all(|&index| index >= needed));
                prop_assert!(left.iter().all(|known| known.sequence >= oldest.sequence));
                prop_assert!(gone.segments.is_sorted(), "oldest first");
            }
        }
    }

    #[test]
    fn a_segment_that_can_not_be_packed_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("0000000000.seg");
        fs::write(&file, vec![7; 3 * CHUNK_BYTES + 5]).unwrap();
        let packed = compress(dir.path(), &file).unwrap();
        assert_eq!(packed.file_name().unwrap(), "0000000000.seg.zst");
        assert!(unpacks_to(&packed, &file).unwrap());
        // A byte more, less, or other is not the same.
        for bytes in [3 * CHUNK_BYTES + 6, 3 * CHUNK_BYTES + 4] {
            fs::write(&file, vec![7; bytes]).unwrap();
            assert!(!unpacks_to(&packed, &file).unwrap());
        }
        let mut other = vec![7; 3 * CHUNK_BYTES + 5];
        other[2 * CHUNK_BYTES] = 8;
        fs::write(&file, other).unwrap();
        assert!(!unpacks_to(&packed, &file).unwrap());
        // Where the packed file can't be made, the error leaves the original.
        let missing = dir.path().join("0000000001.seg");
        assert!(compress(dir.path(), &missing).is_err());
        assert!(!dir.path().join("0000000001.seg.zst.tmp").exists());
    }

    #[test]
    fn what_is_gone_is_told_with_the_way_back() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(describe_gone(dir.path(), 1), None);
        let removed = describe_gone(dir.path(), 101).unwrap();
        assert!(removed.contains("frames 1 to 100 are not here: their segments were removed"));
        for index in 0..3 {
            fs::write(dir.path().join(format!("000000000{index}.seg.zst")), b"").unwrap();
            let packed = describe_gone(dir.path(), 101).unwrap();
            assert!(
                packed.contains("`zstd -d ") && packed.contains("0000000000.seg.zst"),
                "{packed}"
            );
        }
    }
}
