//! Random appends, commits, crashes and reopenings against a plain vector.

mod common;

use common::*;
use ironbook_journal::{Position, Reader, Tail, open, verify};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Append {
        kind: u16,
        time: u64,
        bytes: usize,
    },
    Commit,
    /// Close, which commits, and open again.
    Reopen,
    /// Go on with what the page cache has of the files.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<u16>(), 0u64..3, 0usize..3_000)
            .prop_map(|(kind, time, bytes)| Step::Append { kind, time, bytes }),
        1 => (any::<u16>(), Just(1u64), 30_000usize..ironbook_journal::PAYLOAD_MAX + 1)
            .prop_map(|(kind, time, bytes)| Step::Append { kind, time, bytes }),
        3 => Just(Step::Commit),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

fn drain(tail: &mut Tail, seen: &mut Vec<Record>) -> Vec<Position> {
    let mut ends = Vec::new();
    while let Some(frame) = tail.next().unwrap() {
        ends.push(frame.end);
        seen.push(Record::of(&frame));
    }
    ends
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_journal_is_a_vector(steps in prop::collection::vec(step(), 1..120)) {
        let mut dir = memory_dir();
        let (mut writer, _) = open(dir.path(), small()).unwrap();
        let mut tail = writer.tail();
        let (mut seen, mut committed, mut pending) = (Vec::new(), Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Append { kind, time, bytes } => {
                    let record = Record {
                        sequence: writer.next_sequence(),
                        time_ns: writer.last_time_ns() + time,
                        kind,
                        payload: (0..bytes).map(|i| (i as u64 ^ kind as u64) as u8).collect(),
                    };
                    writer.append(kind, record.sequence, record.time_ns, &record.payload);
                    pending.push(record);
                }
                Step::Commit => {
                    writer.commit();
                    committed.append(&mut pending);
                }
                Step::Reopen => {
                    writer.close().unwrap();
                    committed.append(&mut pending);
                    let (reopened, recovery) = open(dir.path(), small()).unwrap();
                    prop_assert!(recovery.torn.is_none());
                    writer = reopened;
                    seen.clear();
                    tail = writer.tail();
                }
                Step::Crash => {
                    let image = crash_image(dir.path());
                    drop(writer);
                    dir = image;
                    let (reopened, recovery) = open(dir.path(), small()).unwrap();
                    prop_assert_eq!(recovery.torn.is_some(), !pending.is_empty());
                    pending.clear();
                    writer = reopened;
                    seen.clear();
                    tail = writer.tail();
                }
            }
            drain(&mut tail, &mut seen);
            prop_assert_eq!(&seen, &committed);
            prop_assert_eq!(
                writer.next_sequence(),
                (committed.len() + pending.len()) as u64 + 1
            );
        }
        writer.close().unwrap();
        committed.append(&mut pending);
        check_reader(dir.path(), &committed)?;
    }
}

/// The reader sees the same, from the start and from every end of a frame.
fn check_reader(dir: &std::path::Path, committed: &[Record]) -> Result<(), TestCaseError> {
    let report = verify(dir).unwrap();
    prop_assert_eq!(report.findings, vec![]);
    prop_assert_eq!(report.frames, committed.len() as u64);
    let mut reader = Reader::open(dir).unwrap();
    let mut ends = vec![Position::START];
    for record in committed {
        let frame = reader.next().unwrap().unwrap();
        prop_assert_eq!((frame.sequence, frame.time_ns), (record.sequence, record.time_ns));
        prop_assert_eq!((frame.kind, frame.payload), (record.kind, &record.payload[..]));
        ends.push(frame.end);
    }
    for (end, record) in ends.into_iter().zip(committed) {
        reader.seek(end);
        prop_assert_eq!(reader.next().unwrap().unwrap().sequence, record.sequence);
    }
    Ok(())
}
