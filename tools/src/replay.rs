//! `ironbook replay`: rebuilds the state from a journal and proves it.

use std::fmt::Write as _;

use ironbook_engine::{Engine, Sequence};
use ironbook_gateway::{
    replay::{Counts, Replayed, replay_on_two_threads},
    retention::describe_gone,
    snapshot::{Restored, oldest_usable},
};
use ironbook_incident::{
    Fault,
    book::{BookView, books},
    condition::{Condition, NAMES},
    index::Index,
    moment::Moment,
    place::What,
    view::View,
};
use ironbook_journal::{FileStorage, Position, Reader};
use serde_json::{Value, json};

use crate::{
    indexed::{Source, exit, note_damage, with_gone},
    output::{Exit, Failure, Outcome, grouped, hash, say},
};

/// Rebuild the state from a journal: every event is computed again and compared byte for byte.
///
/// Works on a stopped venue's journal and on a running one's; never writes. Where the first segments
/// are gone it begins at the oldest good snapshot.
///
/// With --at it goes to a moment and shows it: the input there with its events, the books with what has
/// changed in them, orders, sessions. WHAT is seq:N, time:T (RFC 3339 or HH:MM:SS[.fraction] on the
/// journal's day, UTC, or ns since 1970), order:ORDERID, clordid:[COMPID/]X, trade:N, start or end. A
/// number without a prefix is a sequence, else an OrderID or a time; a word is a ClOrdID.
///
/// With --break it goes on from there to the first moment behind which a condition holds for a frame,
/// with --back as well to the last one before.
#[derive(Debug, clap::Args)]
#[command(after_long_help = condition_help())]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Stop after the frame with this sequence
    #[arg(long, value_name = "SEQ", conflicts_with = "at")]
    until: Option<u64>,
    /// Go to this moment, and show it
    #[arg(long, value_name = "WHAT")]
    at: Option<String>,
    /// Go on to where this condition holds, from the start or from --at
    #[arg(long = "break", value_name = "CONDITION", conflicts_with = "until")]
    condition: Option<String>,
    /// Go back to where it held last
    #[arg(long, requires = "condition")]
    back: bool,
    /// Price levels to print for each side; 0 for all
    #[arg(long, value_name = "N", default_value_t = 5)]
    depth: usize,
}

impl Arguments {
    /// Levels to print.
    fn levels(&self) -> usize {
        if self.depth == 0 { usize::MAX } else { self.depth }
    }
}

/// What a condition is made of, for the long help.
fn condition_help() -> String {
    let mut text = String::from(
        "Conditions: comparisons (= != < <= > >=) of names with numbers or with texts in quotes, joined by \
         and, or, not and parentheses; + - * between numbers. A frame that lacks what a name stands for \
         makes a comparison false. For example:\n  trade.px < 0.95 * ref\n  session = 'C7' and cum_qty > \
         1e6\n  reject.rule = 'DUP' or latency > 50us\n\nNames:\n",
    );
    for name in NAMES {
        let _ = writeln!(text, "  {:<16} {}", name.name, name.meaning);
    }
    text
}

pub fn run(arguments: &Arguments) -> Outcome {
    match (&arguments.at, &arguments.condition) {
        (None, None) => replay_all(arguments),
        _ => show_moment(arguments),
    }
}

fn show_moment(arguments: &Arguments) -> Outcome {
    let source = &arguments.source;
    let index = source.open()?;
    let found =
        find(arguments, &index).and_then(|sequence| View::at(&index, sequence, arguments.levels()));
    let (view, moment) = found.map_err(|fault| note_damage(&index, fault))?;
    if source.json {
        say!("{:#}", with_gone(&index, view.json()));
    } else {
        say!("{view}");
        print_next(arguments, &index, &view);
    }
    source.tell_cost(moment.cost());
    Ok(exit(&index))
}

/// The frame that is asked for: at a place, or from there on or back where a condition holds.
fn find(arguments: &Arguments, index: &Index) -> Result<u64, Fault> {
    let find = |word: &String| What::parse(word, index).and_then(|what| what.find(index));
    let from = arguments.at.as_ref().map(find).transpose()?;
    let Some(text) = &arguments.condition else { return Ok(from.unwrap_or_default()) };
    let condition = Condition::parse(text, index.first_time_ns())?;
    let mut moment = match from {
        Some(from) => Moment::at(index, from)?,
        None if arguments.back => Moment::end(index)?,
        None => Moment::before(index, index.first_sequence())?,
    };
    let found = if arguments.back {
        moment.run_back_until(&mut condition.watch())?
    } else {
        moment.run_until(&mut condition.watch())?
    };
    found.ok_or_else(|| {
        let place = match (from, arguments.back) {
            (None, _) => String::new(),
            (Some(from), true) => format!(" before sequence {from}"),
            (Some(from), false) => format!(" after sequence {from}"),
        };
        Fault::NotFound(format!("there is no frame{place} with {text}"))
    })
}

/// What may be asked next.
fn print_next(arguments: &Arguments, index: &Index, view: &View) {
    let dir = arguments.source.dir.display();
    let first = view.entries.first().map_or(view.sequence, |entry| entry.sequence);
    let last = view.entries.last().map_or(view.sequence, |entry| entry.sequence);
    let mut hints = Vec::new();
    if last < index.last_sequence() {
        hints.push(format!("ironbook replay {dir} --at {}   the moment after", last + 1));
    }
    if first > index.first_sequence() {
        hints.push(format!("ironbook replay {dir} --at {}   the moment before", first - 1));
    }
    if let Some(text) = &arguments.condition {
        let quoted = text.replace('"', "'");
        let back = if arguments.back { " --back" } else { "" };
        let at = view.sequence;
        hints.push(format!(
            "ironbook replay {dir} --at {at} --break \"{quoted}\"{back}   once more"
        ));
    }
    hints.push(format!("ironbook book {dir} --at {} --orders", view.sequence));
    say!("\nNext: {}", hints.join("\n      "));
}

fn replay_all(arguments: &Arguments) -> Outcome {
    let (replayed, snapshot) = replay(arguments)?;
    let summary = Summary {
        snapshot,
        counts: replayed.counts,
        last_sequence: replayed.last_sequence.0,
        last_time_ns: replayed.last_time.0,
        state_hash: replayed.engine.as_ref().map_or(0, Engine::state_hash),
        books: replayed.engine.as_ref().map(|engine| books(engine, arguments.levels())),
    };
    if arguments.source.json {
        say!("{:#}", summary.json());
    } else {
        summary.print(arguments);
    }
    Ok(Exit::Fine)
}

/// Plays the journal back on this thread while another one checks its bytes and its sessions; tells
/// the sequence of the snapshot where it began, if that was necessary.
fn replay(arguments: &Arguments) -> Result<(Replayed, Option<u64>), Failure> {
    let until = arguments.until.map(Sequence);
    let mut reader = Reader::open(&arguments.source.dir)?;
    reader.set_verify(false);
    let mut checker = Reader::open(&arguments.source.dir)?;
    let restored = begin(arguments, reader.first_sequence())?;
    let snapshot = restored.as_ref().map(|restored| restored.checkpoint.sequence);
    let (from, sessions) =
        restored.map_or_else(Default::default, |known| (known.replayed, known.sessions));
    for reader in [&mut reader, &mut checker] {
        reader.seek(from.end.unwrap_or(Position::START));
    }
    let (replayed, _) = replay_on_two_threads([reader, checker], from, sessions, until, None)?;
    Ok((replayed, snapshot))
}

/// Where a journal that has not its first frames is played back from.
fn begin(arguments: &Arguments, first_sequence: u64) -> Result<Option<Restored>, Failure> {
    let Some(gone) = describe_gone(&arguments.source.dir, first_sequence) else { return Ok(None) };
    let until = arguments.until.map_or(Sequence(u64::MAX), Sequence);
    let storage = FileStorage::new(&arguments.source.dir);
    let found =
        oldest_usable(&storage, until).map_err(|error| Failure::new(Exit::Finding, error))?;
    let Some(restored) = found else {
        let oldest = oldest_usable(&storage, Sequence(u64::MAX));
        let oldest = oldest.map_err(|error| Failure::new(Exit::Finding, error))?;
        return Err(match (arguments.until, oldest) {
            (Some(until), Some(oldest)) => Failure::new(
                Exit::Usage,
                format!(
                    "{gone}; --until {until} is before the oldest good snapshot, which is of \
                     sequence {}",
                    oldest.checkpoint.sequence
                ),
            ),
            _ => Failure::new(
                Exit::Corrupt,
                format!("{gone}; there is no good snapshot to begin at"),
            ),
        });
    };
    eprintln!(
        "ironbook: {gone}\nironbook: the replay begins at the snapshot of sequence {}",
        restored.checkpoint.sequence
    );
    Ok(Some(restored))
}

/// What a replay came to.
struct Summary {
    /// Sequence of the snapshot that the replay began at.
    snapshot: Option<u64>,
    counts: Counts,
    last_sequence: u64,
    last_time_ns: u64,
    state_hash: u64,
    books: Option<Vec<BookView>>,
}

impl Summary {
    fn json(&self) -> Value {
        json!({
            "snapshot_sequence": self.snapshot,
            "frames": self.counts.frames,
            "commands": self.counts.commands,
            "events": self.counts.events,
            "trades": self.counts.trades,
            "rejects": self.counts.rejects,
            "session_records": self.counts.session_records,
            "last_sequence": self.last_sequence,
            "last_time_ns": self.last_time_ns,
            "state_hash": hash(self.state_hash),
            "identical": true,
            "books": self.books.iter().flatten().map(BookView::json).collect::<Vec<_>>(),
        })
    }

    fn print(&self, arguments: &Arguments) {
        let Counts { frames, commands, events, trades, rejects, session_records } = self.counts;
        say!("Journal      {}", arguments.source.dir.display());
        if let Some(sequence) = self.snapshot {
            say!(
                "Snapshot     sequence {}; what came before is counted as it says, and was not computed again",
                grouped(sequence)
            );
        }
        say!("Frames       {} up to sequence {}", grouped(frames), grouped(self.last_sequence));
        say!("Commands     {}", grouped(commands));
        let computed = match self.snapshot {
            None => "each".to_owned(),
            Some(sequence) => format!("those after sequence {}", grouped(sequence)),
        };
        say!("Events       {}, {computed} computed again and identical", grouped(events));
        say!("Trades       {}", grouped(trades));
        say!("Rejects      {}", grouped(rejects));
        say!("Sessions     {} records", grouped(session_records));
        say!("State        {}", hash(self.state_hash));
        for book in self.books.iter().flatten().filter(|book| book.live_orders > 0) {
            say!("\n{book}");
        }
        let dir = arguments.source.dir.display();
        say!("\nNext: ironbook inspect {dir} --from {}", self.last_sequence.saturating_sub(20));
    }
}
