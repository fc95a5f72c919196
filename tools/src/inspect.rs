//! `ironbook inspect`: shows what a journal holds, frame by frame.

use std::path::PathBuf;

use ironbook_engine::{Command, Event};
use ironbook_gateway::{retention::describe_gone, session_record::SessionRecord};
use ironbook_journal::{Frame, Reader};
use serde_json::json;

use crate::output::{Exit, Outcome, build, say};

/// Show a journal's segments and frames, decoded.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory of the journal
    dir: PathBuf,
    /// First sequence to show
    #[arg(long, value_name = "SEQ", default_value_t = 1)]
    from: u64,
    /// Frames to show at the most; 0 for the segments only
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u64,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let mut reader = Reader::open(&arguments.dir)?;
    if !arguments.json {
        print_segments(&reader)?;
    }
    if let Some(gone) = describe_gone(&arguments.dir, reader.first_sequence()) {
        eprintln!("ironbook: {gone}");
    }
    let mut left = arguments.limit;
    let mut next = None;
    while let Some(frame) = reader.next()? {
        if frame.sequence < arguments.from {
            continue;
        }
        if left == 0 {
            next = Some(frame.sequence);
            break;
        }
        left -= 1;
        if arguments.json {
            let (name, text) = decode(&frame);
            say!(
                "{}",
                json!({
                    "sequence": frame.sequence,
                    "time_ns": frame.time_ns,
                    "kind": frame.kind,
                    "name": name,
                    "text": text,
                })
            );
        } else {
            print_frame(&frame);
        }
    }
    if let (Some(next), false) = (next, arguments.json) {
        say!("\nNext: ironbook inspect {} --from {next}", arguments.dir.display());
    }
    Ok(Exit::Fine)
}

fn print_segments(reader: &Reader) -> Result<(), crate::output::Failure> {
    say!(
        "{:>8} {:>12} {:>14} {:>21} {:>6}  build",
        "segment",
        "bytes",
        "first sequence",
        "created ns",
        "epoch"
    );
    for segment in reader.segments()? {
        say!(
            "{:>8} {:>12} {:>14} {:>21} {:>6}  {}",
            segment.index,
            segment.segment_bytes,
            segment.first_sequence,
            segment.created_ns,
            segment.epoch,
            build(&segment.build_id)
        );
    }
    say!("");
    Ok(())
}

fn print_frame(frame: &Frame<'_>) {
    let (name, text) = decode(frame);
    say!("{:>10} {:>20} {name:<16} {text}", frame.sequence, frame.time_ns);
}

/// Name and content of a frame, for people.
fn decode(frame: &Frame<'_>) -> (&'static str, String) {
    if Command::is_kind(frame.kind) {
        if let Ok(command) = Command::decode(frame.kind, frame.payload) {
            return (command.name(), format!("{command:?}"));
        }
    } else if Event::is_kind(frame.kind) {
        if let Ok(event) = Event::decode(frame.kind, frame.payload) {
            return (event.name(), format!("{event:?}"));
        }
    } else if let Some(record) = SessionRecord::decode(frame.kind, frame.payload) {
        return ("Session", describe(&record));
    }
    ("unknown", format!("kind {:#06x}, {} bytes", frame.kind, frame.payload.len()))
}

fn describe(record: &SessionRecord) -> String {
    match record {
        SessionRecord::Outbound { session, msg_type, body } => format!(
            "Outbound to {session}: 35={} {}",
            String::from_utf8_lossy(msg_type),
            String::from_utf8_lossy(body).replace('\u{1}', "|")
        ),
        other => format!("{other:?}"),
    }
}
