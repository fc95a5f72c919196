//! Epochs: a writer whose place another has taken finds out, and stops.
//!
//! The lock on `LOCK` keeps two writers apart, unless somebody deletes the file or the file system
//! does not honour locks. So whoever opens a journal stores its epoch in the header of the segment
//! it goes on in, and in those into which an open group has gone on, before it touches anything
//! else, and the writer before sees it there: both map the same headers. What its files have until then
//! counts; it is looked for once more behind the store.
//!
//! What is left is a writer that is stopped in the middle of one frame, between its look at the word
//! and its last store, and wakes when the other has written to the same place; where frames come from
//! memory beside the files, a syncer that is stopped in the middle of one write. `verify` finds that
//! as damage. Only a lock that holds closes the gap.

use std::path::Path;

use crate::error::OpenError;
use crate::format::{EPOCH_OFFSET, epoch_word};
use crate::scan::{Scan, Walk};
use crate::segment;
use crate::storage::Storage;

/// Stores an epoch in the header of a segment that is begun, on the disk before it returns.
pub(crate) fn store(storage: &dyn Storage, index: u64, epoch: u32) -> Result<(), OpenError> {
    let (name, word) = (segment::name(index), epoch_word(epoch).to_le_bytes());
    storage
        .write_all_at(&name, &word, EPOCH_OFFSET as u64)
        .and_then(|()| storage.sync(&name))
        .map_err(OpenError::io("store the epoch in", segment::path(storage, index)))
}

/// Whether anything has come behind the tail, whose segment is begun, since it was scanned.
pub(crate) fn has_moved(
    storage: &dyn Storage,
    scan: &Scan,
    segment_bytes: u64,
) -> Result<bool, OpenError> {
    let tail = scan.walk.tail;
    let mut image = vec![0; segment_bytes as usize];
    segment::read_image(storage, tail.segment, &mut image)?;
    let mut walk = Walk::new(tail.chain, tail.segment);
    walk.tail = tail;
    let stop = walk.frames(tail.segment, &image, tail.offset).err();
    let before = scan.stop.filter(|at| at.segment == tail.segment).map(|at| (at.offset, at.stop));
    Ok(stop != before || (walk.tail.segment, walk.tail.offset) != (tail.segment, tail.offset))
}

/// What a writer says that finds another's epoch.
pub(crate) fn taken_over(dir: &Path, own: u32) -> String {
    format!(
        "another process has opened journal {} for writing since (this one has epoch {own}): this \
         one stops and writes nothing more. Two venues were started on one directory, and LOCK in it \
         was deleted or its file system does not honour locks; stop one, then run `ironbook verify \
         {}`",
        dir.display(),
        dir.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recover::examine;
    use crate::{FileStorage, Options, SEGMENT_BYTES_MIN, open};

    /// What a writer past the lock does between the scan and the store of the epoch.
    #[test]
    fn a_tail_that_moves_or_gets_bytes_behind_it_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes: SEGMENT_BYTES_MIN, ..Options::default() };
        let (mut writer, _) = open(dir.path(), options).unwrap();
        let storage = FileStorage::new(dir.path());
        let mut append = |sequence| writer.append(1, sequence, 1, &[7; 20_000]);
        append(1);
        let moved = |scanned: &Scan| has_moved(&storage, scanned, SEGMENT_BYTES_MIN).unwrap();
        let scan =
            || examine(&storage, &segment::list(&storage).unwrap(), None).unwrap().unwrap().scan;
        let open_group = scan();
        assert!(!moved(&open_group));
        append(2);
        append(3);
        // The group goes on in the next segment.
        append(4);
        let rolled = scan();
        assert!(!moved(&rolled));
        writer.commit();
        let committed = scan();
        assert!(moved(&open_group) && moved(&rolled) && !moved(&committed));
        writer.append(1, 5, 1, b"");
        assert!(moved(&committed));
    }
}
