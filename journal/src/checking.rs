//! A journal read while it is being opened: how far its segments are checked.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::cursor::Reader;
use crate::error::OpenError;
use crate::storage::Storage;

/// Says how far an opening is: for [`Options::checking`](crate::Options::checking). It is one number for each segment.
/// Who reads waits until the last copy of this is gone.
#[derive(Clone, Debug)]
pub struct Checking(Sender<u64>);

/// What an opening has checked: its frames are good, and no recovery changes them.
#[derive(Debug)]
pub struct Checked {
    told: Receiver<u64>,
    /// Segments before this one are checked.
    before: u64,
}

/// Both ends of what is said about one opening.
pub fn checking() -> (Checking, Checked) {
    let (say, told) = channel();
    (Checking(say), Checked { told, before: 0 })
}

impl Checking {
    /// Says that all segments before this one are checked. Whoever was to read them may be gone.
    pub(crate) fn say_before(&self, segment: u64) {
        let _ = self.0.send(segment);
    }

    /// Says that the journal is open, and has frames.
    pub(crate) fn say_all(&self) {
        self.say_before(u64::MAX);
    }
}

impl Checked {
    /// A reader of the journal, at the first frame that the directory holds, once something is checked. It trusts
    /// that and checks nothing again, and waits where the opening is not further yet. When the opening fails it is
    /// at its end, or says that a segment is gone; then what the opening says counts.
    ///
    /// `None`: the journal has no frames, or can't be opened.
    ///
    /// # Errors
    /// As for [`Reader::open`].
    pub fn reader(mut self, storage: Arc<dyn Storage>) -> Result<Option<Reader>, OpenError> {
        if !self.wait_for(0) {
            return Ok(None);
        }
        let mut reader = Reader::open_in(storage)?;
        reader.read_checked(self);
        Ok(Some(reader))
    }

    /// Waits until a segment is checked; false when that will not be said any more.
    pub(crate) fn wait_for(&mut self, segment: u64) -> bool {
        while self.before <= segment {
            match self.told.recv() {
                Ok(before) => self.before = self.before.max(before),
                Err(_) => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::format::{DURABLE_OFFSET, END_BYTES, HEADER_BYTES, SEGMENT_BYTES_MIN, frame_bytes};
    use crate::{FileStorage, Options, open_in, open_stepped, segment};

    const PAYLOAD: [u8; 1_000] = [7; 1_000];

    /// Opens a journal; what came of it, and the sequences that were read meanwhile.
    fn open_and_read(storage: &Arc<dyn Storage>) -> (Result<u64, String>, Option<Vec<u64>>) {
        let (checking, checked) = checking();
        thread::scope(|scope| {
            let read = scope.spawn(|| {
                let mut reader = checked.reader(storage.clone()).unwrap()?;
                let mut sequences = Vec::new();
                while let Ok(Some(frame)) = reader.next() {
                    sequences.push(frame.sequence);
                }
                Some(sequences)
            });
            let segment_bytes = SEGMENT_BYTES_MIN;
            let options = Options { segment_bytes, checking: Some(checking), ..Options::default() };
            let opened = open_in(storage.clone(), options);
            let opened = opened.map(|(_writer, recovery)| recovery.last_sequence);
            (opened.map_err(|error| error.to_string()), read.join().unwrap())
        })
    }

    /// A journal of four full segments and a part of the next; the last group begins in the fourth one.
    fn write(storage: &Arc<dyn Storage>) {
        let options = Options { segment_bytes: SEGMENT_BYTES_MIN, ..Options::default() };
        let (mut writer, _, helpers) = open_stepped(storage.clone(), options).unwrap();
        for sequence in 1..=LAST_GROUP + 4 {
            helpers.step_preparer();
            writer.append(1, sequence, 1, &PAYLOAD);
            if sequence < LAST_GROUP {
                writer.commit();
            }
        }
        writer.close().unwrap();
    }

    /// The last but one frame of the fourth segment.
    const LAST_GROUP: u64 = 4 * FRAMES - 1;
    /// Frames of a segment.
    const FRAMES: u64 =
        (SEGMENT_BYTES_MIN - (HEADER_BYTES + END_BYTES) as u64) / frame_bytes(PAYLOAD.len()) as u64;

    #[test]
    fn what_is_checked_is_read_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let storage: Arc<dyn Storage> = Arc::new(FileStorage::new(dir.path()));
        assert_eq!(open_and_read(&storage), (Ok(0), None), "a new one has nothing");
        write(&storage);
        let all: Vec<u64> = (1..=LAST_GROUP + 4).collect();
        assert_eq!(open_and_read(&storage), (Ok(LAST_GROUP + 4), Some(all)));

        // A loss of power has taken the fifth segment: the group that begins before it is cut.
        for index in [3, 4] {
            storage.write_all_at(&segment::name(index), &[0; 8], DURABLE_OFFSET as u64).unwrap();
        }
        let nothing = [0; SEGMENT_BYTES_MIN as usize];
        storage.write_all_at(&segment::name(4), &nothing, 0).unwrap();
        let kept: Vec<u64> = (1..LAST_GROUP).collect();
        assert_eq!(open_and_read(&storage), (Ok(LAST_GROUP - 1), Some(kept)));

        // Who reads what an opening refuses comes to the end of what was good before.
        storage.write_all_at(&segment::name(2), &[1; 8], HEADER_BYTES as u64 + 2_000).unwrap();
        let (opened, read) = open_and_read(&storage);
        assert!(opened.unwrap_err().contains("CRC"));
        assert_eq!(read, Some((1..=2 * FRAMES).collect()));
    }
}
