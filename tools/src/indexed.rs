//! What the subcommands that ask questions of a journal have in common: where it is, and its index.

use std::{
    fmt,
    io::{IsTerminal as _, stderr},
    path::{Display, PathBuf},
};

use indicatif::{ProgressBar, ProgressStyle};
use ironbook_incident::{
    Fault,
    index::{Index, Progress},
    moment::Cost,
    question::{
        Span, book::Books, bust::Plan, client::Client, latency::Latency, life::Life, top::Top,
        trades::Trades, why::Why,
    },
    whatif::WhatIf,
};
use serde_json::Value;

use crate::output::{Exit, Failure, Outcome, grouped, say};

/// Bytes of a journal from which on progress is shown: smaller ones are read at once.
const PROGRESS_BYTES_MIN: u64 = 64 << 20;

/// A journal that is asked, and how the answer is printed.
#[derive(Debug, clap::Args)]
pub struct Source {
    /// Directory of the journal
    pub dir: PathBuf,
    /// Keep the index of the journal here [default: DIR.index, beside the journal]
    #[arg(long, value_name = "DIR")]
    pub index: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Source {
    /// Opens the journal's index, which is made or brought up to date, and says on standard error what
    /// there is to say about it.
    pub fn open(&self) -> Result<Index, Failure> {
        let mut bar: Option<ProgressBar> = None;
        let shown = stderr().is_terminal();
        let index = Index::open(&self.dir, self.index.as_deref(), &mut |progress| {
            if shown && progress.total >= PROGRESS_BYTES_MIN {
                show(progress, bar.get_or_insert_with(|| new_bar(progress)));
            }
        });
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        let index = index?;
        for note in index.notes() {
            eprintln!("ironbook: {note}");
        }
        if let Some(gone) = index.gone() {
            eprintln!(
                "ironbook: {gone}\nironbook: what is told begins at the snapshot of sequence {}",
                index.first_sequence() - 1
            );
        }
        if let Some(damage) = index.damage() {
            eprintln!("ironbook: {damage}");
        }
        Ok(index)
    }

    /// Says on standard error what it took to get to a moment: it depends on what was asked before,
    /// which no answer does.
    pub fn tell_cost(&self, cost: Cost) {
        let inputs = grouped(cost.inputs);
        match cost.checkpoint {
            Some(sequence) => eprintln!(
                "ironbook: the state of sequence {} restored, {inputs} inputs played back",
                grouped(sequence)
            ),
            None => eprintln!("ironbook: {inputs} inputs played back from the first frame"),
        }
    }
}

/// What a question comes to, for people by its [`Display`](fmt::Display), and for programs.
pub trait Answer: fmt::Display {
    /// For programs.
    fn json(&self) -> Value;
}

macro_rules! answers {
    ($($name:ty,)+) => {
        $(impl Answer for $name {
            fn json(&self) -> Value {
                <$name>::json(self)
            }
        })+
    };
}

answers! {
    Plan,
    Books,
    Client,
    Latency,
    Life,
    Top,
    Trades,
    WhatIf,
    Why,
}

impl Source {
    /// Prints an answer and the commands that come next, and ends with what is wrong with the journal.
    pub fn tell<A: Answer>(
        &self,
        index: &Index,
        found: Result<A, Fault>,
        next: impl FnOnce(&A, Display<'_>) -> Vec<String>,
    ) -> Outcome {
        let found = found.map_err(|fault| note_damage(index, fault))?;
        if self.json {
            say!("{:#}", with_gone(index, found.json()));
        } else {
            say!("{found}\n\nNext: {}", next(&found, self.dir.display()).join("\n      "));
        }
        Ok(exit(index))
    }
}

/// The part of a journal that is asked about.
#[derive(Debug, clap::Args)]
pub struct Stretch {
    /// From this place on, as replay --at has them
    #[arg(long, value_name = "WHAT")]
    pub from: Option<String>,
    /// Up to this place
    #[arg(long, value_name = "WHAT")]
    pub to: Option<String>,
}

impl Stretch {
    /// Where it is in a journal.
    pub fn find(&self, index: &Index) -> Result<Span, Fault> {
        Span::parse(index, self.from.as_deref(), self.to.as_deref())
    }
}

/// How an answer about a whole journal ends: with the journal's damage, where it has some.
pub fn exit(index: &Index) -> Exit {
    index.damage().map_or(Exit::Fine, Exit::of_damage)
}

/// An answer for programs, with `gone` where the journal's first frames are: what verify has there, without
/// the journal's place, which may be a name.
pub fn with_gone(index: &Index, mut value: Value) -> Value {
    if let Some(gone) = index.gone() {
        value["gone"] = gone.replace(&index.dir().join("").display().to_string(), "").into();
    }
    value
}

/// Why there is no answer; what was asked for may be in what is gone of the journal or, where that is
/// damaged, behind the damage.
pub fn note_damage(index: &Index, fault: Fault) -> Failure {
    let is_missing = matches!(fault, Fault::NotFound(_));
    let mut failure = Failure::from(fault);
    if is_missing && index.gone().is_some() {
        let first = index.first_sequence();
        failure = failure.and(format!("it may have been before sequence {first}, which is gone"));
    }
    match index.damage() {
        Some(damage) if is_missing => failure.because(damage),
        _ => failure,
    }
}

fn new_bar(progress: Progress) -> ProgressBar {
    let style = "Indexing {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} to go";
    let style = ProgressStyle::with_template(style).expect("a good template");
    ProgressBar::new(progress.total).with_style(style)
}

fn show(progress: Progress, bar: &ProgressBar) {
    bar.set_length(progress.total.max(progress.done));
    bar.set_position(progress.done);
}
