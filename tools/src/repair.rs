//! `ironbook repair`: what a damaged journal can be brought back to, and at what price.

use std::path::{Path, PathBuf};

use ironbook_journal::{Diagnosis, Repair, RepairError, diagnose, repair};

use crate::{
    output::{Exit, Failure, Outcome, grouped, say},
    verify::LAST_WHOLE,
};

/// Say what is wrong with a damaged journal, what can be kept and what is lost without the rest; with
/// --to and --yes, put the rest aside so that the venue starts.
///
/// Changes nothing without --yes, and never deletes: what is taken away is in a directory
/// `damaged-<number>` inside the journal's. An unfinished write at the end needs no repair. Exit
/// status: 0 nothing to do, or done; 1 damage that can be repaired; 2 wrong usage; 3 damage that
/// can't; 4 a journal of another version.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory of the journal
    dir: PathBuf,
    /// The last sequence to keep, as the command without this option says it
    #[arg(long, value_name = "SEQ")]
    to: Option<u64>,
    /// Do it
    #[arg(long, requires = "to")]
    yes: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let dir = &arguments.dir;
    let plan = match diagnose(dir)? {
        Diagnosis::Damaged(plan) => plan,
        Diagnosis::Sound => {
            say!("Nothing is wrong with {}: nothing to repair.\n", dir.display());
            say!("Next: ironbook verify {}", dir.display());
            return Ok(Exit::Fine);
        }
        Diagnosis::TornTail { last_good_sequence } => {
            say!(
                "{} ends with an unfinished write after sequence {last_good_sequence}: nothing to \
                 repair, the next start cuts it and keeps a copy aside.\n",
                dir.display()
            );
            say!("Next: ironbook start --data {}", dir.display());
            return Ok(Exit::Fine);
        }
        Diagnosis::Irreparable { what } => return Err(irreparable(dir, &what)),
        other => return Err(irreparable(dir, &format!("{other:?}"))),
    };
    if let Some(to) = arguments.to {
        plan.check(to).map_err(failure)?;
    }
    match arguments.to {
        Some(to) if arguments.yes => {
            let done = repair(dir, to).map_err(failure)?;
            print(&done);
            say!("\nRepaired: the journal ends with sequence {to}, and a start is possible again.");
            say!("What was taken away is in {}.\n", done.aside.display());
            say!("Next: ironbook verify {}", dir.display());
            say!("      ironbook replay {}", dir.display());
            say!("      ironbook start --data {}", dir.display());
            Ok(Exit::Fine)
        }
        _ => {
            print(&plan);
            say!("\nNothing was changed. Make a copy of {} before anything else.\n", dir.display());
            say!("Next: ironbook repair {} --to {} --yes", dir.display(), plan.last_sequence);
            Ok(Exit::Finding)
        }
    }
}

fn irreparable(dir: &Path, what: &str) -> Failure {
    let message = format!(
        "{} can't be repaired: {what}; nothing was changed, ironbook verify {} shows what is readable",
        dir.display(),
        dir.display()
    );
    Failure::new(Exit::Corrupt, message)
}

fn failure(error: RepairError) -> Failure {
    match error {
        RepairError::Open(error) => error.into(),
        RepairError::HalfWay { .. } => Failure::new(Exit::Finding, error),
        other => Failure::new(Exit::Usage, other),
    }
}

fn print(plan: &Repair) {
    let last = plan.last_sequence;
    say!("Damage       {}", plan.damage);
    if last < plan.first_sequence {
        say!("Kept         nothing: the damage is in the first frames");
    } else {
        say!(
            "Kept         {} frames, sequence {} to {last}{LAST_WHOLE}, the last of {} ns since 1970",
            grouped(last + 1 - plan.first_sequence),
            plan.first_sequence,
            plan.last_time_ns
        );
    }
    print_lost(plan);
    for (number, step) in plan.steps().enumerate() {
        say!(
            "{}{:>2}. {step}",
            if number == 0 { "Steps       " } else { "            " },
            number + 1
        );
    }
}

fn print_lost(plan: &Repair) {
    let lost = &plan.lost;
    let from = plan.last_sequence + 1;
    if lost.last_sequence < from {
        say!("Lost         nothing that can be read");
        if !lost.durable {
            return;
        }
    } else {
        say!(
            "Lost         sequence {from} to {} or later; {} of these frames can be read{}",
            lost.last_sequence,
            grouped(lost.frames),
            match lost.frames {
                0 => String::new(),
                _ => format!(", of {} to {} ns since 1970", lost.first_time_ns, lost.last_time_ns),
            }
        );
    }
    say!(
        "WARNING      Clients may have been told what is lost{}: orders, trades, message numbers.\n\
         \x20            After the repair the venue knows nothing of it.",
        if lost.durable { ", and the disk had confirmed it" } else { "" }
    );
}
