//! `ironbook export`: a journal as files that other programs read.

use std::{
    io::{self, IsTerminal as _, Write, stdout},
    path::PathBuf,
};

use ironbook_incident::{
    Fault,
    export::{self, COLUMNS, Exported, Kinds, Wanted, export},
    index::Index,
    scenario::{self, Written},
};
use serde_json::json;

use crate::{
    indexed::{Source, Stretch, exit, note_damage, with_gone},
    output::{Exit, Failure, Outcome, create, grouped, say},
};

/// Write a journal, or a part of it, as CSV, JSON lines, a FIX log, a packet capture, ITCH or
/// Parquet.
///
/// Names are replaced, as such files are passed on: comp ids by C1, C2 ..., accounts by A1 ..., ClOrdIDs by
/// O1 ..., each always by the same within a file; text of clients by REDACTED. A comp id has its number in
/// all files of a journal. --no-redact writes the names.
#[derive(Debug, clap::Args)]
#[command(after_long_help = columns())]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// What to write: csv, a row a frame; jsonl, an object a frame; fix-log, a FIX 4.4 message a line with |
    /// for SOH; pcap, the same messages as TCP packets; itch, Nasdaq TotalView-ITCH 5.0; parquet, the
    /// rows of csv with types
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    #[command(flatten)]
    stretch: Stretch,
    /// Write a test instead, which `ironbook scenario` plays: the orders that rest at --from, the commands up to
    /// --to, and what came of them
    #[arg(long, conflicts_with_all = ["format", "kinds", "symbol"])]
    as_scenario: bool,
    /// Only these kinds of frames, separated by commas
    #[arg(long, value_enum, value_name = "LIST", value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// Only this symbol, with --format itch
    #[arg(long)]
    symbol: Option<String>,
    /// Replace names by pseudonyms, which is the default
    #[arg(long, overrides_with = "no_redact")]
    redact: bool,
    /// Write the names of clients, accounts and orders
    #[arg(long)]
    no_redact: bool,
    /// Write to this file, which must not be there yet [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Csv,
    Jsonl,
    FixLog,
    Pcap,
    Itch,
    #[cfg(feature = "parquet")]
    Parquet,
}

impl Format {
    /// As the library has it; of rows that are made elsewhere it doesn't matter.
    fn of_library(self) -> export::Format {
        match self {
            Self::Csv => export::Format::Csv,
            Self::Jsonl => export::Format::JsonLines,
            Self::FixLog => export::Format::FixLog,
            Self::Pcap => export::Format::Pcap,
            Self::Itch => export::Format::Itch,
            #[cfg(feature = "parquet")]
            Self::Parquet => export::Format::Csv,
        }
    }

    /// Whether people can read it.
    fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::Jsonl | Self::FixLog)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Commands,
    Events,
    Sessions,
}

/// The columns, for the long help.
fn columns() -> String {
    format!(
        "Columns of csv:\n  {}\nTimes are UTC to the nanosecond; what a frame has not is empty. A line of \
         fix-log is its time, its sequence, < from a client or > to one, and the message.\n\n\
         pcap: the venue is 192.0.2.1, port 9878; a client is 10.0.0.0 plus the number of its session, which \
         is one TCP connection. Times are those of frames, to the nanosecond.\n\n\
         itch: each message behind two bytes of length. Stock locate is the instrument's number, the order \
         reference the sequence of the command that gave the order its place, the match number the trade's. \
         Times count from 00:00 UTC of the first day. Amid a journal it begins with the orders that rest. \
         Prices that need more than four decimals or are above 200,000, quantities that are not whole, and \
         symbols with the same first eight bytes are refused.\n\n\
         parquet: the columns of csv; ids INT64, time TIMESTAMP in ns, prices and quantities DECIMAL(38, 18).",
        COLUMNS.map(|(name, _)| name).join(", ")
    )
}

impl Arguments {
    /// Not every option goes with every format.
    fn check(&self) -> Result<(), Failure> {
        let is_itch = matches!(self.format, Format::Itch);
        let wrong = if is_itch && !self.kinds.is_empty() {
            "ITCH is made of all frames; leave --kinds out"
        } else if !is_itch && self.symbol.is_some() {
            "--symbol goes with --format itch only"
        } else if !self.format.is_text() && self.out.is_none() && stdout().is_terminal() {
            "this format is not for a terminal; give --out FILE, or redirect"
        } else {
            return Ok(());
        };
        Err(Failure::new(Exit::Usage, wrong))
    }

    fn kinds(&self) -> Kinds {
        if self.kinds.is_empty() {
            return Kinds::ALL;
        }
        let has = |kind| self.kinds.contains(&kind);
        Kinds {
            commands: has(Kind::Commands),
            events: has(Kind::Events),
            sessions: has(Kind::Sessions),
        }
    }

    fn write(&self, index: &Index, mut out: &mut (dyn Write + Send)) -> Result<Exported, Fault> {
        let wanted = Wanted {
            format: self.format.of_library(),
            span: self.stretch.find(index)?,
            kinds: self.kinds(),
            symbol: self.symbol.as_deref(),
            redact: !self.no_redact,
        };
        match self.format {
            #[cfg(feature = "parquet")]
            Format::Parquet => ironbook_parquet::export(index, &wanted, out),
            _ => export(index, &wanted, &mut out),
        }
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    arguments.check()?;
    let index = arguments.source.open()?;
    if arguments.as_scenario {
        let written = arguments.write_to(&index, |mut out| {
            let span = arguments.stretch.find(&index)?;
            scenario::write(&index, span, !arguments.no_redact, &mut out)
        })?;
        if let Some((file, written)) = written {
            arguments.tell_scenario(&index, &file, &written);
        }
    } else {
        let written = arguments.write_to(&index, |out| arguments.write(&index, out))?;
        if let Some((file, exported)) = written {
            arguments.tell(&index, &file, exported);
        }
    }
    Ok(exit(&index))
}

impl Arguments {
    /// Writes to the file that is asked for, whose name it gives, or to standard output.
    fn write_to<T>(
        &self,
        index: &Index,
        write: impl FnOnce(&mut (dyn Write + Send)) -> Result<T, Fault>,
    ) -> Result<Option<(String, T)>, Failure> {
        let failed = |fault| note_damage(index, fault);
        let Some(path) = &self.out else {
            return match write(&mut stdout()) {
                // Nobody reads any more: whoever did has enough.
                Err(Fault::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(None),
                written => written.map(|_| None).map_err(failed),
            };
        };
        let written = create(path, |file| write(file).map_err(failed))?;
        Ok(Some((path.display().to_string(), written)))
    }

    fn names(&self) -> &'static str {
        if self.no_redact { "as they are" } else { "replaced by pseudonyms" }
    }

    fn tell(&self, index: &Index, file: &str, Exported { frames, lines }: Exported) {
        if self.source.json {
            let redacted = !self.no_redact;
            let value =
                json!({ "file": file, "frames": frames, "lines": lines, "redacted": redacted });
            return say!("{:#}", with_gone(index, value));
        }
        say!("File         {file}");
        say!("Frames       {}, {} lines", grouped(frames), grouped(lines));
        say!("Names        {}", self.names());
        say!("\nNext: ironbook report {} --out report.html", self.source.dir.display());
    }

    fn tell_scenario(&self, index: &Index, file: &str, written: &Written) {
        if self.source.json {
            let mut value = written.json();
            value["file"] = file.into();
            value["redacted"] = (!self.no_redact).into();
            return say!("{:#}", with_gone(index, value));
        }
        say!("File         {file}");
        let (setup, commands) = (grouped(written.setup), grouped(written.commands));
        say!("Commands     {commands} with {} events, {setup} before", grouped(written.events));
        if written.differing > 0 {
            say!(
                "Differing    {} commands bring something else, as closed orders of before are not there",
                grouped(written.differing)
            );
        }
        say!("Names        {}", self.names());
        say!("\nNext: ironbook scenario {file}");
    }
}
