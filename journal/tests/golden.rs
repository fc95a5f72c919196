//! The bytes of format version 1. A change here is a new format version.

mod common;

use std::fs;

use common::*;
use ironbook_journal::{FORMAT_VERSION, Options, Reader, open, verify};

/// Two groups: one frame; then two, the second of them empty.
fn golden_journal(dir: &std::path::Path) {
    let options = Options { build_id: [0xB1; 32], config_hash: 0x0C0F_F1C0, ..small() };
    let (mut writer, _) = open(dir, options).unwrap();
    writer.append(1, 1, 1_000, b"one");
    writer.commit();
    writer.append(2, 2, 2_000, b"two, eight bytes longer");
    writer.append(3, 3, 2_000, b"");
    writer.close().unwrap();
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .chunks(16)
        .map(|row| row.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n")
        .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

const HEADER: &str = "\
49524f4e424f4f4b0100000080000000
00000000000000000000010000000000
010000000000000083c182ffb5c2ea18
b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1
b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1
c0f10f0c000000000000000000000000
000000000000000001000000b8aa45dd
00000000000000000000000057870b10
8010000072ff656a
";

const FRAMES: &str = "\
230000003bbfe8100100000000000000
e8030000000000000100000001000000
6f6e6500000000003700000082f9a402
0200000000000000d007000000000000
020000000200000074776f2c20656967
6874206279746573206c6f6e67657200
20000000ae6ef2560300000000000000
d0070000000000000300000000000000
";

#[test]
fn version_1_is_written_as_it_was() {
    assert_eq!(FORMAT_VERSION, 1);
    let dir = tempfile::tempdir().unwrap();
    golden_journal(dir.path());
    let mut bytes = fs::read(segment(dir.path(), 0)).unwrap();
    // The wall clock, and the header's CRC, which covers it.
    bytes[40..48].fill(0);
    bytes[124..128].fill(0);
    let mut header = unhex(HEADER);
    header[40..48].fill(0);
    header[124..128].fill(0);
    assert_eq!(hex(&bytes[..136]), hex(&header));
    let frames = unhex(FRAMES);
    assert_eq!(hex(&bytes[FRAMES_OFFSET..FRAMES_OFFSET + frames.len()]), hex(&frames));
    assert!(bytes[FRAMES_OFFSET + frames.len()..].iter().all(|&byte| byte == 0));
}

/// Where the header has the epoch word.
const EPOCH: std::ops::Range<usize> = 104..112;

#[test]
fn version_1_is_read_as_it_was() {
    let header = unhex(HEADER);
    read(&header, 1);
    // Written by a program that knew no epochs: the same bytes, and the same CRC over them.
    let mut without_epoch = header;
    without_epoch[EPOCH].fill(0);
    read(&without_epoch, 0);
}

fn read(header: &[u8], epoch: u32) {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = vec![0; SEGMENT_BYTES as usize];
    let frames = unhex(FRAMES);
    bytes[..header.len()].copy_from_slice(header);
    bytes[FRAMES_OFFSET..FRAMES_OFFSET + frames.len()].copy_from_slice(&frames);
    fs::write(segment(dir.path(), 0), bytes).unwrap();
    assert_eq!(verify(dir.path()).unwrap().findings, []);
    let mut reader = Reader::open(dir.path()).unwrap();
    let info = reader.segments().unwrap()[0];
    assert_eq!((info.build_id, info.config_hash), ([0xB1; 32], 0x0C0F_F1C0));
    assert_eq!(info.epoch, epoch);
    let mut frames = Vec::new();
    while let Some(frame) = reader.next().unwrap() {
        frames.push((frame.kind, frame.sequence, frame.time_ns, frame.payload.to_vec()));
    }
    let expected: [(u16, u64, u64, &[u8]); 3] =
        [(1, 1, 1_000, b"one"), (2, 2, 2_000, b"two, eight bytes longer"), (3, 3, 2_000, b"")];
    assert_eq!(frames.len(), 3);
    for (frame, (kind, sequence, time_ns, payload)) in frames.into_iter().zip(expected) {
        assert_eq!(frame, (kind, sequence, time_ns, payload.to_vec()));
    }
    let (_, recovery) = open(dir.path(), small()).unwrap();
    assert_eq!((recovery.frames, recovery.torn), (3, None));
    assert_eq!(reader.segments().unwrap()[0].epoch, epoch + 1);
}
