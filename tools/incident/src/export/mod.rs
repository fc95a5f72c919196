//! A journal as files that other programs read. Frames are written as they are read, so memory does
//! not grow with the journal; pseudonyms take some for each name.

mod csv;
mod fix_log;

use std::io::{self, Write};

use ironbook_engine::{Command, Event};
use ironbook_journal::Frame;

pub use csv::HEADER;

use crate::{
    Fault,
    index::Index,
    names::Names,
    question::{Span, scan_while},
    show::Entry,
};
use csv::Csv;
use fix_log::FixLog;

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 1 << 16;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A row a frame under [`HEADER`].
    Csv,
    /// A JSON object a frame, as [`Entry::json`] has it.
    JsonLines,
    /// A FIX 4.4 message a line, to and from clients; `|` stands for SOH. What clients sent that is no
    /// command is not journaled, and not there. The journal does not know the venue's comp id, which
    /// is `VENUE` here.
    FixLog,
}

/// Which kinds of frames are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds {
    /// What was asked of the engine.
    pub commands: bool,
    /// What it made of it.
    pub events: bool,
    /// Records of sessions.
    pub sessions: bool,
}

impl Kinds {
    /// All of them.
    pub const ALL: Self = Self { commands: true, events: true, sessions: true };

    fn hold(self, kind: u16) -> bool {
        if Command::is_kind(kind) {
            self.commands
        } else if Event::is_kind(kind) {
            self.events
        } else {
            self.sessions
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// How.
    pub format: Format,
    /// From where to where.
    pub span: Span,
    /// Which frames.
    pub kinds: Kinds,
    /// Whether names are replaced by pseudonyms.
    pub redact: bool,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Frames.
    pub frames: u64,
    /// Lines, without a header.
    pub lines: u64,
}

/// Makes lines of frames.
trait Lines {
    /// Appends the lines of a frame and tells how many they are. `wanted` says whether it is asked for:
    /// there may be something to learn from others too.
    fn take(&mut self, frame: &Frame<'_>, wanted: bool, out: &mut Vec<u8>) -> Result<u64, Fault>;
}

/// Writes frames of a journal.
///
/// # Errors
/// [`Fault::Write`] when `out` takes no more; others when the journal can't be read.
pub fn export(index: &Index, wanted: &Wanted, out: &mut impl Write) -> Result<Exported, Fault> {
    let names = Names::of(index, wanted.redact)?;
    match wanted.format {
        Format::Csv => {
            writeln!(out, "{HEADER}").map_err(Fault::Write)?;
            write(index, wanted, &mut Csv::new(names), out)
        }
        Format::JsonLines => write(index, wanted, &mut JsonLines(names), out),
        Format::FixLog => {
            let mut lines = FixLog::before(index, names, wanted.span.first)?;
            write(index, wanted, &mut lines, out)
        }
    }
}

fn write(
    index: &Index,
    wanted: &Wanted,
    lines: &mut impl Lines,
    out: &mut impl Write,
) -> Result<Exported, Fault> {
    let mut exported = Exported::default();
    let mut buffer = Vec::with_capacity(2 * BUFFER_BYTES);
    let mut problem = None;
    scan_while(index, &[], wanted.span, |frame| {
        let is_wanted = wanted.kinds.hold(frame.kind);
        let taken = lines.take(frame, is_wanted, &mut buffer).and_then(|lines| {
            exported.frames += u64::from(is_wanted);
            exported.lines += lines;
            if buffer.len() >= BUFFER_BYTES {
                flush(&mut buffer, out).map_err(Fault::Write)?;
            }
            Ok(())
        });
        problem = taken.err();
        problem.is_none()
    })?;
    match problem {
        Some(fault) => Err(fault),
        None => {
            flush(&mut buffer, out).and_then(|()| out.flush()).map_err(Fault::Write)?;
            Ok(exported)
        }
    }
}

fn flush(buffer: &mut Vec<u8>, out: &mut impl Write) -> io::Result<()> {
    out.write_all(buffer)?;
    buffer.clear();
    Ok(())
}

struct JsonLines(Names);

impl Lines for JsonLines {
    fn take(&mut self, frame: &Frame<'_>, wanted: bool, out: &mut Vec<u8>) -> Result<u64, Fault> {
        if !wanted {
            return Ok(0);
        }
        let mut entry = Entry::of(frame);
        self.0.redact(&mut entry);
        let value = entry.json(self.0.engine());
        serde_json::to_writer(&mut *out, &value).map_err(io::Error::from).map_err(Fault::Write)?;
        out.push(b'\n');
        Ok(1)
    }
}
