//! `ironbook verify`: judges a journal's bytes.

use std::path::{Path, PathBuf};

use ironbook_gateway::retention::describe_gone;
use ironbook_journal::{
    FileStorage, Finding, Report,
    snapshot::{self, check_place},
};
use serde_json::json;

use crate::output::{Exit, Failure, Outcome, grouped, mib, say};

/// Check every byte of a journal and of its snapshots: headers, checksums, sequence, times, the chain
/// of hashes.
///
/// Changes nothing; works while the venue runs. Exit status: 0 fine, 1 an unfinished write at the
/// end, a snapshot that is no good, or nothing that a venue could start from, 3 corrupt, 4 another version.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory of the journal
    dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let report = ironbook_journal::verify(&arguments.dir)?;
    let exit = gravest(&report);
    let gone = describe_gone(&arguments.dir, report.first_sequence);
    let snapshots = judge_snapshots(&arguments.dir)?;
    let all_good = snapshots.iter().all(|(_, problem)| problem.is_none());
    let starts = gone.is_none() || snapshots.iter().any(|(_, problem)| problem.is_none());
    let is_fine = exit == Exit::Fine && all_good && starts;
    let outcome = if exit == Exit::Fine && !is_fine { Exit::Finding } else { exit };
    let judged = Judged { report, gone, snapshots, starts };
    if arguments.json {
        print_json(&judged, outcome);
    } else {
        print(&judged, arguments, exit);
    }
    Ok(outcome)
}

/// What was found.
struct Judged {
    report: Report,
    /// What is missing before the first frame, if anything.
    gone: Option<String>,
    snapshots: Vec<(u64, Option<String>)>,
    /// Whether all frames are here, or a snapshot that stands for those that are not.
    starts: bool,
}

/// The sequence of each snapshot, and what is wrong with it, if anything.
fn judge_snapshots(dir: &Path) -> Result<Vec<(u64, Option<String>)>, Failure> {
    let storage = FileStorage::new(dir);
    let sequences = snapshot::list(&storage).map_err(|error| Failure::new(Exit::Finding, error))?;
    let judge = |sequence| {
        let read = snapshot::read(&storage, sequence).map_err(|problem| problem.to_string());
        let fits = read.and_then(|snapshot| {
            check_place(&storage, &snapshot.checkpoint).map_err(|problem| problem.to_string())
        });
        // A running venue may have removed it meanwhile.
        let is_there = snapshot::path(dir, sequence).exists();
        is_there.then_some((sequence, fits.err()))
    };
    Ok(sequences.into_iter().filter_map(judge).collect())
}

/// What the gravest of all findings is.
pub fn gravest(report: &Report) -> Exit {
    report.findings.iter().map(exit_of).max().unwrap_or(Exit::Fine)
}

fn exit_of(finding: &Finding) -> Exit {
    match finding {
        Finding::VersionMismatch { .. } => Exit::Version,
        Finding::TornTail { .. } => Exit::Finding,
        _ => Exit::Corrupt,
    }
}

fn print(judged: &Judged, arguments: &Arguments, exit: Exit) {
    let Judged { report, gone, snapshots, starts } = judged;
    let dir = arguments.dir.display();
    say!("Journal      {dir}{}", if report.live { " (a venue is writing it)" } else { "" });
    say!("Frames       {} in {} segments", grouped(report.frames), grouped(report.segments));
    let is_damaged = report.findings.iter().any(|of| matches!(of, Finding::Corrupt { .. }));
    let end = if is_damaged { LAST_WHOLE } else { "" };
    say!("Sequence     {} to {}{end}", report.first_sequence, report.last_sequence);
    say!("Time         {} to {} ns since 1970", report.first_time_ns, report.last_time_ns);
    say!("Size         {}", mib(report.bytes));
    say!("Hash         {:016x}", report.running_hash);
    if let Some(gone) = gone {
        say!("Begins       at sequence {}; {gone}", report.first_sequence);
    }
    for (sequence, problem) in snapshots {
        match problem {
            None => say!("Snapshot     up to sequence {sequence}, good"),
            Some(problem) => {
                say!("Finding      {problem}; a start passes it over, it may be removed")
            }
        }
    }
    if !starts {
        say!("Finding      no venue can start from this journal: {NO_START}");
    }
    for finding in &report.findings {
        say!("Finding      {}", describe(finding));
    }
    match exit {
        Exit::Fine => {
            say!("Every byte of the segments is as it was written.\n\nNext: ironbook replay {dir}");
        }
        Exit::Version => say!("Nothing was changed.\n\nNext: the program that wrote the journal"),
        Exit::Finding => say!(
            "An unfinished write at the end; the next start cuts it and keeps a copy aside.\n\nNext: ironbook replay {dir}"
        ),
        _ => say!(
            "Nothing was changed. Make a copy of {dir} before anything else.\n\nNext: ironbook repair {dir}\n      ironbook replay {dir} --until {}",
            last_before_damage(report)
        ),
    }
}

/// Why there is nothing to start from.
const NO_START: &str = "its first frames are not here, nor is a good snapshot that stands for them";

/// Behind the last sequence of a damaged journal: frames that are good may follow, of a group that is not whole.
pub const LAST_WHOLE: &str = ", where the last whole group ends";

/// The last sequence that a replay reaches.
fn last_before_damage(report: &Report) -> u64 {
    let first = report.findings.iter().find_map(|finding| match finding {
        Finding::Corrupt { last_good_sequence, .. } => Some(*last_good_sequence),
        _ => None,
    });
    first.unwrap_or(report.last_sequence)
}

/// A finding in words.
pub fn describe(finding: &Finding) -> String {
    match finding {
        Finding::TornTail { file, offset, last_good_sequence, .. } => format!(
            "unfinished write in {} at offset {offset}, after sequence {last_good_sequence}",
            file.display()
        ),
        Finding::Corrupt { file, offset, last_good_sequence, what } => format!(
            "{} is corrupt at offset {offset}, after sequence {last_good_sequence}: {what}",
            file.display()
        ),
        Finding::VersionMismatch { file, found, supported } => format!(
            "{} has format version {found}, this program reads version {supported}",
            file.display()
        ),
        other => format!("{other:?}"),
    }
}

fn print_json(judged: &Judged, exit: Exit) {
    let Judged { report, gone, snapshots, starts } = judged;
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|finding| json!({ "exit": exit_of(finding) as u8, "text": describe(finding) }))
        .collect();
    let value = json!({
        "frames": report.frames,
        "segments": report.segments,
        "first_sequence": report.first_sequence,
        "last_sequence": report.last_sequence,
        "first_time_ns": report.first_time_ns,
        "last_time_ns": report.last_time_ns,
        "bytes": report.bytes,
        "running_hash": format!("{:016x}", report.running_hash),
        "live": report.live,
        "gone": gone,
        "snapshots": snapshots
            .iter()
            .map(|(sequence, problem)| json!({ "sequence": sequence, "problem": problem }))
            .collect::<Vec<_>>(),
        "starts": starts,
        "findings": findings,
        "exit": exit as u8,
    });
    say!("{value:#}");
}
