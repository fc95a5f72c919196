//! `ironbook report`: a part of a journal as one HTML file.

mod heat;
mod html;

use std::{fmt::Write as _, io::Write as _, path::PathBuf};

use ironbook_engine::Event;
use ironbook_gateway::replay::{PlayError, ReplayError};
use ironbook_incident::{
    Fault,
    book::{BookView, book},
    index::Index,
    moment::Moment,
    names::Names,
    picture::{Activity, Columns, Depth, activity, depths},
    place::What,
    question::{
        Span,
        top::{Top, top},
        trades::{Trades, Wanted, trades},
    },
    show::{Content, symbol},
};
use ironbook_journal::{Reader, Report};
use serde_json::json;

use crate::{
    indexed::{Source, Stretch, exit, note_damage},
    output::{Exit, Failure, Outcome, build, create, grouped, hash, say},
    trades::percent,
    verify::{self, describe},
};

/// Symbols whose prices are drawn, those with the most trades.
const SYMBOLS_DRAWN: usize = 2;
/// Rows of each table.
const ROWS: usize = 10;
/// Trades far from the market that are listed.
const AWAY_LISTED: usize = 50;
/// Books that are shown at a moment.
const BOOKS_SHOWN: usize = 10;
/// Levels of a book on each side.
const LEVELS: usize = 10;

/// Write a part of a journal as one HTML file that needs nothing else: what it is, how much came when, the
/// books over time with their trades, the books at a moment, clients, findings, and the commands that say more.
///
/// Comp ids are replaced by C1, C2 ... and the journal's directory by DIR, as such files are passed on;
/// --no-redact writes them.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    stretch: Stretch,
    /// Show the books at this place [default: the last one]
    #[arg(long, value_name = "WHAT")]
    at: Option<String>,
    /// List trades at least so many percent from the middle of the book
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    away: Option<f64>,
    /// Replace names, which is the default
    #[arg(long, overrides_with = "no_redact")]
    redact: bool,
    /// Write the names of clients and of the directory
    #[arg(long)]
    no_redact: bool,
    /// Write to this file, which must not be there yet
    #[arg(long, value_name = "FILE.html")]
    out: PathBuf,
}

/// All that a page tells.
struct Facts {
    /// The journal, as it may be named.
    dir: String,
    names: Names,
    build: String,
    span: Span,
    times: (u64, u64),
    state_hash: u64,
    verified: Report,
    /// What is wrong, a line each.
    findings: Vec<String>,
    top: Top,
    activity: Activity,
    depths: Vec<Depth>,
    moment: MomentFacts,
    /// With how far they were asked to be away.
    away: Option<(f64, Trades)>,
}

/// What was there at the moment that was asked for.
struct MomentFacts {
    sequence: u64,
    time_ns: u64,
    /// The input and its events: sequence and text.
    entries: Vec<(u64, String)>,
    /// First those that the input is about, then those with the most trades in the part.
    books: Vec<BookView>,
    /// How many more have orders.
    more_books: usize,
}

impl Facts {
    fn gather(arguments: &Arguments, index: &Index, verified: Report) -> Result<Self, Fault> {
        let span = arguments.stretch.find(index)?;
        let at = match &arguments.at {
            Some(word) => What::parse(word, index)?.find(index)?,
            None => span.last,
        };
        let mut names = Names::of(index, !arguments.no_redact)?;
        let mut top = top(index, span, ROWS)?;
        top.trips.rows.iter_mut().for_each(|row| row.comp_id = names.comp_id(&row.comp_id));
        for (_, _, row) in &mut top.operators.rows {
            (row.name, row.reason) = names.operator(&row.name, &row.reason);
            if row.is_of_session {
                row.target = names.comp_id(&row.target);
            }
        }
        let (_, first_ns, last_ns) = top.span;
        let columns = Columns::over(first_ns, last_ns);
        let drawn: Vec<_> = top.symbols.iter().take(SYMBOLS_DRAWN).map(|row| &row.symbol).collect();
        let known = names.engine().instruments().map(|view| view.definition);
        let mut drawn: Vec<_> = known
            .filter_map(|known| {
                let place = drawn.iter().position(|symbol| **symbol == *known.symbol.as_str())?;
                Some((place, known.instrument))
            })
            .collect();
        drawn.sort_unstable_by_key(|(place, _)| *place);
        let drawn: Vec<_> = drawn.into_iter().map(|(_, instrument)| instrument).collect();
        let away = arguments.away.map(|percent| {
            let (symbol, comp_id, away) = (None, None, Some(percent));
            let wanted = Wanted { span, symbol, comp_id, away, only: &[], limit: AWAY_LISTED };
            trades(index, &wanted).map(|found| (percent, found))
        });
        let end = Moment::at(index, span.last)?;
        let traded: Vec<_> = top.symbols.iter().map(|row| row.symbol.as_str()).collect();
        let moment = MomentFacts::at(index, at, &mut names, &traded)?;
        Ok(Self {
            dir: arguments.dir(),
            build: builds(index),
            span,
            times: (first_ns, last_ns),
            state_hash: end.engine().map_or(0, ironbook_engine::Engine::state_hash),
            findings: findings(arguments, index, &verified),
            verified,
            activity: activity(index, span, columns)?,
            depths: depths(index, span, columns, &drawn)?,
            top,
            away: away.transpose()?,
            moment,
            names,
        })
    }
}

impl MomentFacts {
    fn at(index: &Index, sequence: u64, names: &mut Names, traded: &[&str]) -> Result<Self, Fault> {
        let moment = Moment::at(index, sequence)?;
        let mut entries = Vec::new();
        let mut touched = Vec::new();
        for mut entry in moment.entries() {
            if let Content::Event(event) = &entry.content
                && let Event::Execution(event) = &**event
            {
                touched.push(symbol(names.engine(), event.instrument));
            }
            names.redact(&mut entry);
            let text = format!("{}: {}", entry.name(), entry.text(names.engine()));
            entries.push((entry.sequence, text));
        }
        let mut books: Vec<_> = moment.engine().map_or_else(Vec::new, |engine| {
            let each = engine.instruments().map(|view| view.definition.instrument);
            each.filter_map(|instrument| book(engine, instrument, LEVELS))
                .filter(|book| book.live_orders > 0)
                .collect()
        });
        // Where all are shown they stay in the sequence of the instruments.
        if books.len() > BOOKS_SHOWN {
            let rank = |book: &BookView| {
                let by_trades = traded.iter().position(|symbol| *symbol == book.symbol);
                (!touched.contains(&book.symbol), by_trades.unwrap_or(usize::MAX))
            };
            books.sort_by_key(rank);
        }
        let more_books = books.len().saturating_sub(BOOKS_SHOWN);
        books.truncate(BOOKS_SHOWN);
        Ok(Self { sequence, time_ns: moment.time_ns(), entries, books, more_books })
    }
}

/// Which programs wrote the journal.
fn builds(index: &Index) -> String {
    let segments = Reader::open(index.dir()).and_then(|reader| reader.segments());
    let segments = segments.unwrap_or_default();
    let mut builds: Vec<_> = segments.iter().map(|segment| build(&segment.build_id)).collect();
    builds.dedup();
    if builds.is_empty() { build(&[]) } else { builds.join(", then ") }
}

fn findings(arguments: &Arguments, index: &Index, verified: &Report) -> Vec<String> {
    let mut found: Vec<_> = verified.findings.iter().map(describe).collect();
    found.extend(index.damage().map(|damage| match &damage.error {
        // Both events would be quoted, with the names in them.
        PlayError::Replay(ReplayError::Diverged { sequence, .. }) if !arguments.no_redact => format!(
            "sequence {sequence} differs from what this program computes; ironbook diff tells how\nup \
             to sequence {} the journal is good, and indexed",
            damage.last_good
        ),
        _ => damage.to_string(),
    }));
    let gone = ironbook_gateway::retention::describe_gone(index.dir(), index.first_sequence());
    found.extend(gone);
    if !arguments.no_redact {
        let dir = index.dir().display().to_string();
        found.iter_mut().for_each(|text| *text = without_dir(text, &dir));
    }
    found
}

/// A text without the place of the journal, wherever a word is it or begins with it. A short name may also
/// be a word of its own, and is no secret: only files in it are taken for it.
fn without_dir(text: &str, dir: &str) -> String {
    if dir.contains('/') {
        return text.replace(dir, "DIR");
    }
    let inside = format!("{dir}/");
    let word = |word: &str| match word.strip_prefix(&inside) {
        Some(file) => format!("DIR/{file}"),
        None => word.to_owned(),
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

impl Arguments {
    /// The journal's directory, as it may be named.
    fn dir(&self) -> String {
        match self.no_redact {
            true => self.source.dir.display().to_string(),
            false => "DIR".to_owned(),
        }
    }

    /// The command line that makes this page again.
    fn command(&self) -> String {
        let mut line = format!("ironbook report {}", self.dir());
        let places = [("from", &self.stretch.from), ("to", &self.stretch.to), ("at", &self.at)];
        for (name, word) in places {
            if let Some(word) = word {
                // A place may be a name.
                let word = if self.no_redact { word } else { "WHAT" };
                let _ = write!(line, " --{name} {word}");
            }
        }
        if let Some(percent) = self.away {
            let _ = write!(line, " --away {percent}");
        }
        line + " --out FILE.html"
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    let source = &arguments.source;
    let verified = ironbook_journal::verify(&source.dir)?;
    let found = verify::gravest(&verified);
    let index = source.open()?;
    let path = arguments.out.display().to_string();
    let (facts, page) = create(&arguments.out, |file| {
        let facts = Facts::gather(arguments, &index, verified);
        let facts = facts.map_err(|fault| note_damage(&index, fault))?;
        let page = html::page(&facts, &arguments.command());
        file.write_all(page.as_bytes())
            .map_err(|error| Failure::new(Exit::Finding, format!("{path}: {error}")))?;
        Ok((facts, page))
    })?;
    if source.json {
        let value = json!({
            "file": path,
            "bytes": page.len(),
            "first_sequence": facts.span.first,
            "last_sequence": facts.span.last,
            "state_hash": hash(facts.state_hash),
            "findings": facts.findings.len(),
            "redacted": !arguments.no_redact,
        });
        say!("{value:#}");
    } else {
        let names = if arguments.no_redact { "as they are" } else { "replaced by pseudonyms" };
        say!("File         {path}, {} bytes", grouped(page.len() as u64));
        say!("Sequence     {} to {}", facts.span.first, facts.span.last);
        say!("Names        {names}");
        say!("Findings     {}", facts.findings.len());
        say!("\nNext: ironbook top {}", source.dir.display());
    }
    Ok(found.max(exit(&index)))
}
