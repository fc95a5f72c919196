//! The index: that it finds everything, goes on, and is not believed when it should not be.

mod common;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use common::{AAPL, C1, C2, STEP_NS, Script, churn, churn_from, index};
use ironbook_engine::{
    ClOrdId, Command, Event, InstrumentId, SessionId, Side, SideFilter, Timestamp, TradeId,
    command::{MassCancel, Origin},
};
use ironbook_gateway::{
    replay::{PlayError, ReplayError},
    session_record::SessionRecord,
};
use ironbook_incident::{
    Fault,
    index::{BLOCK_FRAMES, Block, CHECKPOINT_FRAMES, Index, Key, default_dir},
    moment::Moment,
};
use ironbook_journal::{FileStorage, Reader};

/// Enough rounds for some blocks.
const ROUNDS: u64 = 8_000;

fn journal() -> (tempfile::TempDir, PathBuf) {
    let place = common::memory_dir();
    let dir = place.path().join("data");
    (place, dir)
}

fn churned(dir: &Path, rounds: u64) -> u64 {
    let mut script = Script::with_segments(dir, 1 << 20);
    churn(&mut script, rounds);
    let last = script.next_sequence() - 1;
    script.close();
    last
}

/// Where each ClOrdID stands, by reading all.
fn names(dir: &Path) -> HashMap<ClOrdId, Vec<u64>> {
    let mut reader = Reader::open(dir).unwrap();
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    while let Some(frame) = reader.next().unwrap() {
        let name = match Command::decode(frame.kind, frame.payload) {
            Ok(Command::NewOrder(command)) => Some(command.cl_ord_id),
            _ => match Event::decode(frame.kind, frame.payload) {
                Ok(Event::Execution(event)) => Some(event.cl_ord_id),
                _ => None,
            },
        };
        if let Some(name) = name {
            found.entry(name).or_default().push(frame.sequence);
        }
    }
    found
}

#[test]
fn every_key_is_found_in_the_block_that_holds_it() {
    let (_place, dir) = journal();
    let last = churned(&dir, ROUNDS);
    let index = index(&dir);
    assert_eq!((index.first_sequence(), index.last_sequence()), (1, last));
    assert!(index.damage().is_none() && index.notes().is_empty(), "{:?}", index.notes());
    let blocks: Vec<_> = index.blocks().collect();
    assert_eq!(blocks.len() as u64, last.div_ceil(BLOCK_FRAMES));
    for (number, block) in blocks.iter().enumerate() {
        assert_eq!(block.first_sequence, number as u64 * BLOCK_FRAMES + 1);
        let mut sequences = Vec::new();
        index
            .read_block(block, |frame| {
                sequences.push((frame.sequence, frame.time_ns));
                true
            })
            .unwrap();
        assert_eq!(sequences.first(), Some(&(block.first_sequence, block.time_ns)));
        assert_eq!(sequences.last().unwrap().0, block.last_sequence);
    }
    let mut looked_at = 0;
    let names = names(&dir);
    assert_eq!(names.len() as u64, 2 * ROUNDS);
    for (name, holding) in &names {
        let keys = [Key::Name(*name)];
        let found: Vec<_> = index.blocks_with(&keys).collect();
        looked_at += found.len();
        let covers = |sequence: &u64| {
            found
                .iter()
                .any(|block| (block.first_sequence..=block.last_sequence).contains(sequence))
        };
        assert!(holding.iter().all(covers), "{name}");
    }
    for trade in (1..=ROUNDS).step_by(97) {
        assert!(index.blocks_with(&[Key::Trade(TradeId(trade))]).count() >= 1, "trade {trade}");
    }
    // One block each, but for names on both sides of a block's end and a few false finds.
    assert!(looked_at < names.len() + names.len() / 5, "{looked_at} of {} names", names.len());
    let nobody = [Key::Session(SessionId(77))];
    assert!(index.blocks_with(&nobody).count() <= 1);
    assert_eq!(index.blocks_with(&[Key::Session(C1)]).count(), blocks.len());
}

#[test]
fn places_are_found_by_sequence_and_by_time() {
    let (_place, dir) = journal();
    let last = churned(&dir, ROUNDS);
    let index = index(&dir);
    for sequence in [1, 2, BLOCK_FRAMES, BLOCK_FRAMES + 1, last] {
        let block = index.block_of(sequence).unwrap();
        assert!((block.first_sequence..=block.last_sequence).contains(&sequence));
    }
    assert_eq!((index.block_of(0), index.block_of(last + 1)), (None, None));
    let blocks: Vec<_> = index.blocks().collect();
    for block in &blocks {
        assert_eq!(index.block_at(block.time_ns).unwrap().time_ns, block.time_ns);
        let before = index.block_at(block.time_ns - STEP_NS).map(|block| block.first_sequence);
        assert!(before.is_none_or(|before| before < block.first_sequence));
    }
    assert_eq!(index.block_at(u64::MAX), blocks.last().copied());
}

#[test]
fn it_goes_on_where_it_was_and_says_the_same_as_one_built_at_once() {
    let (_place, dir) = journal();
    let mut script = Script::with_segments(&dir, 1 << 20);
    churn(&mut script, 200);
    let end = script.next_sequence() - 1;
    // The venue is running.
    let first = index(&dir);
    assert_eq!((first.frames_read(), first.last_sequence()), (end, end));
    drop(first);
    let again = index(&dir);
    assert_eq!((again.frames_read(), again.last_sequence()), (0, end));
    drop(again);
    churn_from(&mut script, 200, ROUNDS);
    let last = script.next_sequence() - 1;
    let more = index(&dir);
    assert_eq!((more.frames_read(), more.last_sequence()), (last - end, last));
    let blocks: Vec<_> = more.blocks().collect();
    drop(more);
    // So few frames are not written: the next one reads them again.
    assert_eq!(index(&dir).frames_read(), last - end);
    fs::remove_dir_all(default_dir(&dir)).unwrap();
    let anew = index(&dir);
    assert_eq!(anew.blocks().collect::<Vec<_>>(), blocks);
    assert_eq!(anew.frames_read(), last);
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(default_dir(dir))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap() != "LOCK")
        .collect();
    files.sort();
    files
}

/// What an index says of its journal, for comparisons.
fn answers(index: &Index) -> (Vec<Block>, u64, Option<u64>, Vec<usize>) {
    let restored = index.restore(u64::MAX).unwrap();
    let hash = restored.map(|restored| restored.replayed.engine.unwrap().state_hash());
    let found = (0..40).map(|trade| index.blocks_with(&[Key::Trade(TradeId(trade * 5))]).count());
    (index.blocks().collect(), index.last_sequence(), hash, found.collect())
}

#[test]
fn torn_truncated_and_flipped_files_change_no_answer() {
    let (_place, dir) = journal();
    churned(&dir, 100);
    let good = answers(&index(&dir));
    let kept: Vec<_> =
        files(&dir).into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    assert_eq!(kept.len(), 2, "a run and a checkpoint: {kept:?}");
    let mut rebuilt = 0;
    for (bytes, path) in &kept {
        let lengths = [0, 1, 79, 80, 95, 96, 4_096, bytes.len() / 2, bytes.len() - 1];
        let cuts = lengths.map(|length| bytes[..length].to_vec());
        let spread = (0..bytes.len()).step_by(bytes.len() / 20).chain(0..112);
        let flips = spread.map(|at| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            bytes
        });
        let longer = [[bytes.as_slice(), &[0; 8]].concat()];
        for damaged in cuts.into_iter().chain(flips).chain(longer) {
            fs::write(path, damaged).unwrap();
            let index = index(&dir);
            assert_eq!(answers(&index), good, "{}", path.display());
            rebuilt += usize::from(index.notes().iter().any(|note| note.contains("built anew")));
            for (bytes, path) in &kept {
                fs::write(path, bytes).unwrap();
            }
        }
    }
    assert!(rebuilt > 200, "{rebuilt}");
    fs::remove_file(&kept[1].1).unwrap();
    assert_eq!(answers(&index(&dir)), good, "without its checkpoint");
}

#[test]
fn the_index_of_another_journal_is_built_anew() {
    let (_place, dir) = journal();
    churned(&dir, 300);
    drop(index(&dir));
    fs::remove_dir_all(&dir).unwrap();
    let mut script = Script::with_segments(&dir, 1 << 20);
    churn_from(&mut script, 1, 300);
    let last = script.next_sequence() - 1;
    let other = index(&dir);
    assert!(other.notes()[0].contains("built anew"), "{:?}", other.notes());
    assert_eq!((other.frames_read(), other.last_sequence()), (last, last));
    assert!(index(&dir).notes().is_empty());
}

#[test]
fn a_journal_that_lost_its_end_gets_the_index_of_what_is_left() {
    let (_place, dir) = journal();
    churned(&dir, 300);
    let all = index(&dir).last_sequence();
    // As a repair would leave it: the last frames are gone, zeros follow.
    let frame = frame_at(&dir, all - 10);
    cut(&dir, frame.0);
    let less = index(&dir);
    assert_eq!(less.last_sequence(), all - 11);
    assert!(less.notes()[0].contains("built anew"), "{:?}", less.notes());
}

/// Offset and end of a frame in the first segment.
fn frame_at(dir: &Path, sequence: u64) -> (usize, usize) {
    let mut reader = Reader::open(dir).unwrap();
    loop {
        let frame = reader.next().unwrap().unwrap();
        if frame.sequence == sequence {
            return (frame.position.get() as usize, frame.end.get() as usize);
        }
    }
}

/// Cuts the first segment, as recovery does, with the durable word going back as well.
fn cut(dir: &Path, offset: usize) {
    const DURABLE_OFFSET: usize = 128;
    let path = dir.join("0000000000.seg");
    let mut bytes = fs::read(&path).unwrap();
    bytes[offset..].fill(0);
    bytes[DURABLE_OFFSET..DURABLE_OFFSET + 8].fill(0);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_journal_is_indexed_up_to_the_damage_which_is_named() {
    let (_place, dir) = journal();
    let last = churned(&dir, 300);
    let path = dir.join("0000000000.seg");
    let good = fs::read(&path).unwrap();
    for sequence in [7, 50, 51, 52, 53, last] {
        let (offset, end) = frame_at(&dir, sequence);
        for at in [offset + 4, offset + 8, offset + 16, offset + 24, offset + 40, end - 1] {
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            fs::write(&path, bytes).unwrap();
            let _ = fs::remove_dir_all(default_dir(&dir));
            for attempt in ["anew", "again"] {
                let index = index(&dir);
                assert_eq!(index.last_sequence(), sequence - 1, "{attempt}, byte {at}");
                assert!(index.notes().is_empty(), "{attempt}, byte {at}: {:?}", index.notes());
                let damage = index.damage().expect("damage");
                assert_eq!(damage.last_good, sequence - 1);
                assert!(matches!(damage.error, PlayError::Read(_)), "{damage}");
                let text = damage.to_string();
                assert!(text.contains(&format!("up to sequence {}", sequence - 1)), "{text}");
            }
            // An index that was good goes back as well, and once more when the journal is good.
            fs::write(&path, &good).unwrap();
            let index = index(&dir);
            assert!(index.damage().is_none() && index.last_sequence() == last);
        }
    }
}

#[test]
fn damage_behind_an_index_that_was_whole_is_found_where_it_can_matter() {
    let (_place, dir) = journal();
    churned(&dir, 300);
    drop(index(&dir));
    let path = dir.join("0000000000.seg");
    let mut bytes = fs::read(&path).unwrap();
    bytes[frame_at(&dir, 100).0 + 40] ^= 1;
    fs::write(&path, bytes).unwrap();
    // No good frames lead to the checkpoint in its segment, so the index begins again.
    let index = index(&dir);
    assert_eq!(index.damage().map(|damage| damage.last_good), Some(99));
}

#[test]
fn whoever_goes_on_at_the_damage_names_the_same_last_frame() {
    let (_place, dir) = journal();
    let last = churned(&dir, 300);
    let path = dir.join("0000000000.seg");
    // The segment is longer than what is durable: its frames are gone as a loss of power leaves it.
    let kept = (1..last).rev().find(|&sequence| is_whole_before(&dir, sequence)).unwrap() - 1;
    let mut bytes = fs::read(&path).unwrap();
    bytes[frame_at(&dir, kept + 1).0..].fill(0);
    fs::write(&path, bytes).unwrap();
    for attempt in ["anew", "again"] {
        let index = index(&dir);
        let text = index.damage().expect("damage").to_string();
        assert!(text.contains(&format!("the last good sequence is {kept};")), "{attempt}: {text}");
        assert!(text.contains(&format!("up to sequence {kept} ")), "{attempt}: {text}");
        assert_eq!(index.frames_read() == 0, attempt == "again", "{attempt}");
    }
}

/// Whether a group begins with a frame.
fn is_whole_before(dir: &Path, sequence: u64) -> bool {
    let mut reader = Reader::open(dir).unwrap();
    while let Some(frame) = reader.next().unwrap() {
        if frame.sequence == sequence {
            return frame.group_frames > 0;
        }
    }
    false
}

#[test]
fn an_event_that_differs_ends_the_index_there() {
    let (_place, dir) = journal();
    let mut script = Script::new(&dir);
    churn(&mut script, 3);
    let cancel = MassCancel::new(
        Origin::new(C1, 90, Timestamp(0)),
        InstrumentId::NONE,
        SideFilter::Both,
        b'7',
        common::name("m"),
    );
    let lie = script.command_with_lies(cancel.into(), |event| {
        let Event::MassCanceled(event) = event else { return };
        event.affected += 1;
    });
    script.close();
    let index = index(&dir);
    let damage = index.damage().expect("a difference");
    assert!(matches!(damage.error, PlayError::Replay(ReplayError::Diverged { .. })), "{damage}");
    assert_eq!((damage.last_good, index.last_sequence()), (lie, lie));
}

#[test]
fn without_a_place_to_write_it_works_from_memory() {
    let (_place, dir) = journal();
    let last = churned(&dir, 300);
    // A file in the place of the directory: not even root can write there.
    fs::write(default_dir(&dir), b"").unwrap();
    let index = index(&dir);
    assert!(index.notes()[0].contains("works from memory"), "{:?}", index.notes());
    assert_eq!(index.last_sequence(), last);
    assert!(index.restore(u64::MAX).unwrap().is_some());
    assert!(index.blocks_with(&[Key::Trade(TradeId(5))]).count() == 1);
}

#[test]
fn no_directory_with_a_journal_becomes_an_index() {
    let (_place, dir) = journal();
    churned(&dir, 10);
    let Err(Fault::Question(message)) = Index::open(&dir, Some(&dir), &mut |_| {}) else {
        panic!("it was taken");
    };
    assert!(message.contains("holds a journal"), "{message}");
}

#[test]
fn no_directory_with_the_snapshots_of_a_venue_becomes_an_index() {
    let (place, dir) = journal();
    churned(&dir, 10);
    drop(index(&dir));
    let snapshot = files(&dir).pop().unwrap();
    let name = snapshot.file_name().unwrap().to_owned();
    // Alone, or beside what else a venue leaves in its directory.
    for (other, is_taken) in [(None, false), (Some("stages"), false), (Some("LOCK"), true)] {
        let aside = place.path().join(other.unwrap_or("aside"));
        fs::create_dir(&aside).unwrap();
        fs::copy(&snapshot, aside.join(&name)).unwrap();
        if let Some(other) = other {
            fs::write(aside.join(other), b"").unwrap();
        }
        let opened = Index::open(&dir, Some(&aside), &mut |_| {}).map(drop);
        match opened {
            Err(Fault::Question(message)) => {
                assert!(message.contains("holds snapshots that are of no index"), "{message}");
                assert!(!is_taken);
            }
            // As a pass leaves it that was killed.
            opened => assert!(opened.is_ok() && is_taken, "{other:?}: {opened:?}"),
        }
        assert!(aside.join(&name).exists(), "{other:?}");
    }
}

#[test]
fn the_default_place_is_beside_the_journal() {
    for (journal, expected) in
        [("data", "data.index"), ("/var/x/data/", "/var/x/data.index"), ("./a/", "./a.index")]
    {
        assert_eq!(default_dir(Path::new(journal)), Path::new(expected));
    }
}

#[test]
fn runs_and_checkpoints_follow_each_other_through_a_long_journal() {
    let (_place, dir) = journal();
    let mut script = Script::with_segments(&dir, 1 << 24);
    script.order((C1, "first"), AAPL, Side::Buy, (10, 10_000));
    while script.next_sequence() <= CHECKPOINT_FRAMES + 100_000 {
        script.record(&SessionRecord::Inbound { session: C2, next: 2 });
    }
    script.order((C1, "last"), AAPL, Side::Sell, (10, 10_000));
    let engine = script.close();
    let long = index(&dir);
    assert_eq!(files(&dir).len(), 4, "{:?}", files(&dir));
    let checkpoints: Vec<_> = long.checkpoints().collect();
    assert_eq!(checkpoints, [CHECKPOINT_FRAMES, long.last_sequence()]);
    let restored = long.restore(long.last_sequence()).unwrap().unwrap();
    assert_eq!(restored.replayed.engine.unwrap().state_hash(), engine.state_hash());
    let restored = long.restore(long.last_sequence() - 1).unwrap().unwrap();
    assert_eq!(restored.checkpoint.sequence, CHECKPOINT_FRAMES);
    assert!(long.restore(CHECKPOINT_FRAMES - 1).unwrap().is_none(), "the first frame is nearest");
    let last = [Key::Name(common::name("last"))];
    let blocks: Vec<_> = long.blocks_with(&last).collect();
    assert!(blocks.last().unwrap().last_sequence == long.last_sequence());
    assert!(blocks.len() <= 3, "{blocks:?}");
    // The newest checkpoint is gone: it goes on from the one before, in the first run.
    let all: Vec<_> = long.blocks().collect();
    drop(long);
    fs::remove_file(&files(&dir)[3]).unwrap();
    let again = index(&dir);
    assert_eq!(again.blocks().collect::<Vec<_>>(), all);
    assert_eq!(again.frames_read(), again.last_sequence() - CHECKPOINT_FRAMES);
}

#[test]
fn where_the_first_segments_are_gone_it_begins_at_the_oldest_snapshot() {
    let (_place, dir) = journal();
    let mut script = Script::new(&dir);
    churn(&mut script, 400);
    let middle = script.next_sequence() - 1;
    let early = index(&dir);
    assert_eq!(early.checkpoints().collect::<Vec<_>>(), [middle]);
    drop(early);
    // What the venue would have written there.
    let name = format!("snapshot-{middle:020}.snap");
    fs::copy(default_dir(&dir).join(&name), dir.join(&name)).unwrap();
    churn_from(&mut script, 400, 400);
    let engine = script.close();
    let whole = index(&dir);
    let wanted = Moment::at(&whole, middle + 10).unwrap().engine().unwrap().state_hash();
    drop(whole);
    let covered = ironbook_journal::snapshot::read(&FileStorage::new(&dir), middle).unwrap();
    for segment in 0..covered.checkpoint.segment() {
        fs::remove_file(dir.join(format!("{segment:010}.seg"))).unwrap();
    }
    assert!(covered.checkpoint.segment() > 0, "some are gone");
    // An index that knew them is of no use for what they held; a new one begins at the snapshot.
    let rest = index(&dir);
    assert!(rest.notes()[0].contains("it begins at sequence 1,"), "{:?}", rest.notes());
    assert_eq!(rest.first_sequence(), middle + 1);
    assert_eq!(rest.blocks().next().unwrap().first_sequence, middle + 1);
    let start = Moment::at(&rest, middle + 1).unwrap();
    assert_eq!(start.input_sequence(), middle + 1);
    let mut all = Moment::before(&rest, middle + 1).unwrap();
    while all.step().unwrap() {}
    assert_eq!(all.sequence(), rest.last_sequence());
    drop(rest);
    let rest = index(&dir);
    assert!(rest.notes().is_empty() && rest.frames_read() == 0, "{:?}", rest.notes());
    let end = Moment::end(&rest).unwrap();
    assert_eq!(end.engine().unwrap().state_hash(), engine.state_hash());
    let found = Moment::at(&rest, middle + 10).unwrap().engine().unwrap().state_hash();
    assert_eq!(found, wanted);
    assert!(matches!(Moment::at(&rest, middle), Err(Fault::NotFound(_))));
    drop(rest);
    // The venue's own snapshot goes as well: the index has kept it.
    fs::remove_file(dir.join(&name)).unwrap();
    let kept = index(&dir);
    assert!(kept.notes().is_empty(), "{:?}", kept.notes());
    assert_eq!(Moment::at(&kept, middle + 10).unwrap().engine().unwrap().state_hash(), wanted);
}

#[test]
fn an_index_that_begins_before_its_journal_gives_its_checkpoints_to_the_next_one() {
    let (_place, dir) = journal();
    let mut script = Script::new(&dir);
    churn(&mut script, 400);
    let middle = script.next_sequence() - 1;
    drop(index(&dir));
    churn_from(&mut script, 400, 400);
    script.close();
    let stored = ironbook_journal::snapshot::read(&FileStorage::new(default_dir(&dir)), middle);
    for segment in 0..stored.unwrap().checkpoint.segment() {
        fs::remove_file(dir.join(format!("{segment:010}.seg"))).unwrap();
    }
    // The venue's snapshots did not come along.
    let rest = index(&dir);
    assert_eq!(rest.first_sequence(), middle + 1);
    assert!(Moment::at(&rest, middle + 1).is_ok());
}
