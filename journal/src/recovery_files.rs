//! What the walks of `recovery_table.rs` and `recovery_cells.rs` make journals of: frames put into the
//! bytes of a segment by hand, and what must hold of a journal that opens.

use std::path::Path;
use std::time::Duration;

use crate::format::{
    FRAME_HEADER_BYTES, FrameHead, SEGMENT_BYTES_MIN, frame_bytes, seal, word as frame_word,
};
use crate::{Options, Writer, open, verify};

/// Payload of every frame.
pub(crate) const PAYLOAD: [u8; 40] = [0xA5; 40];

/// Bytes of every frame.
pub(crate) const FRAME: usize = frame_bytes(PAYLOAD.len());

/// Length of a frame as its first word tells it.
const LEN: u32 = (FRAME_HEADER_BYTES + PAYLOAD.len()) as u32;

/// Small segments; nothing becomes durable by itself.
pub(crate) fn options() -> Options {
    Options {
        segment_bytes: SEGMENT_BYTES_MIN,
        sync_interval: Duration::from_secs(3600),
        ..Options::default()
    }
}

/// Stores a word.
pub(crate) fn put(bytes: &mut [u8], offset: usize, word: u64) {
    bytes[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
}

/// Stores a frame with this header and a good checksum; `flag` is set in its length.
pub(crate) fn put_frame(bytes: &mut [u8], offset: usize, head: FrameHead, flag: u32) {
    let crc = seal(crc_of(&head), head.group_frames);
    put(bytes, offset, frame_word(LEN | flag, crc));
    for (i, word) in head.words().into_iter().enumerate() {
        put(bytes, offset + 8 + i * 8, word);
    }
    let payload = offset + FRAME_HEADER_BYTES;
    bytes[payload..payload + PAYLOAD.len()].copy_from_slice(&PAYLOAD);
}

/// Checksum of a frame with this header, before it is sealed.
pub(crate) fn crc_of(head: &FrameHead) -> u32 {
    head.crc(LEN, &PAYLOAD)
}

/// A journal that was opened behind frame `last` takes another frame, and holds it from then on.
#[track_caller]
pub(crate) fn goes_on(mut writer: Writer, dir: &Path, last: u64) {
    writer.append(8, last + 1, 200, b"goes on");
    writer.close().unwrap();
    let report = verify(dir).unwrap();
    assert_eq!((report.findings, report.last_sequence), (vec![], last + 1));
    let (_, recovery) = open(dir, options()).unwrap();
    assert_eq!((recovery.last_sequence, recovery.torn), (last + 1, None));
}
