//! `ironbook inspect`: shows what a journal holds, frame by frame or over time.

use std::{path::PathBuf, time::Duration};

use ironbook_engine::{Command, Event};
use ironbook_gateway::{retention::describe_gone, session_record::SessionRecord};
use ironbook_incident::{
    phases::{
        ACTIONS_MAX, Phases, RUNS_MAX, SILENCE_NS_MIN, SILENCES_MAX, STATUSES_MAX, WRITERS_MAX,
        phases,
    },
    text::utc,
};
use ironbook_journal::{Frame, Reader};
use serde_json::json;

use crate::output::{Exit, Outcome, build, say};

/// Show a journal's segments and frames, decoded; with --phases when the venue ran and what was open.
#[derive(Debug, clap::Args)]
#[command(after_long_help = more())]
pub struct Arguments {
    /// Directory of the journal
    dir: PathBuf,
    /// First sequence to show
    #[arg(long, value_name = "SEQ", default_value_t = 1)]
    from: u64,
    /// Frames to show at the most; 0 for the segments only
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u64,
    /// Show the journal over time instead: starts and stops, silences, programs and configurations, busiest
    /// seconds, and each instrument's statuses
    #[arg(long, conflicts_with_all = ["from", "limit"])]
    phases: bool,
    /// Print one JSON object a line; with --phases one for all
    #[arg(long)]
    json: bool,
}

/// What --phases goes by, and its bounds, for the long help.
fn more() -> String {
    format!(
        "--phases reads all of the journal once, and needs no index. No frame says that a venue starts: a start is \
         seen by limits, instruments, sessions, risk limits, roles and throttles that are new, by sessions that were logged on when the \
         venue before it died, by a status that no operator asked for, or by a session that begins behind a stop. A \
         status outside of a start is an operator's, who is named, or the audit's, which halts all instruments when an \
         event differs; a start that sets nothing but such a halt of all can't be told from it. A configuration or program that is another shows with \
         the first segment that it begins. Times without a frame are told from {} s on.\n\nKept for --json, and \
         counted beyond that: {RUNS_MAX} starts, {SILENCES_MAX} silences (the longest), {ACTIONS_MAX} actions of the \
         venue, {WRITERS_MAX} programs and configurations, {STATUSES_MAX} statuses of each instrument.",
        Duration::from_nanos(SILENCE_NS_MIN).as_secs()
    )
}

pub fn run(arguments: &Arguments) -> Outcome {
    if arguments.phases { run_phases(arguments) } else { run_frames(arguments) }
}

fn run_phases(arguments: &Arguments) -> Outcome {
    let (found, damage) = phases(&arguments.dir)?;
    if let Some(gone) = describe_gone(&arguments.dir, found.first_sequence) {
        eprintln!("ironbook: {gone}");
    }
    if arguments.json {
        say!("{:#}", found.json());
    } else {
        say!("{found}\n\nNext: {}", next(&found, arguments).join("\n      "));
    }
    Ok(damage.as_ref().map_or(Exit::Fine, Exit::of_damage))
}

/// The venue's last action, its last start, and the busiest second.
fn next(found: &Phases, arguments: &Arguments) -> Vec<String> {
    let dir = arguments.dir.display();
    let action = found.actions.kept.back();
    let action =
        action.map(|action| format!("ironbook replay {dir} --at seq:{}", action.first.sequence));
    let start = found.runs.kept.back();
    let start = start.map(|run| format!("ironbook inspect {dir} --from {}", run.first.sequence));
    let busiest = (found.requests.all > 0).then(|| {
        let from = found.requests.peak_ns;
        format!("ironbook top {dir} --from {} --to {}", utc(from), utc(from + 1_000_000_000))
    });
    let all: Vec<_> = action.into_iter().chain(start).chain(busiest).collect();
    if all.is_empty() { vec![format!("ironbook verify {dir}")] } else { all }
}

fn run_frames(arguments: &Arguments) -> Outcome {
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
    if !arguments.json {
        let dir = arguments.dir.display();
        let further = next.map(|next| format!("ironbook inspect {dir} --from {next}"));
        let phases = format!("ironbook inspect {dir} --phases");
        let all: Vec<_> = further.into_iter().chain([phases]).collect();
        say!("\nNext: {}", all.join("\n      "));
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
