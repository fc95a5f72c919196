//! A journal as files that other programs read. Frames are written as they are read, so memory does
//! not grow with the journal; pseudonyms take some for each name.

mod csv;
mod fix;
mod fix_log;
mod itch;
mod pcap;
mod row;

use std::io::{self, Write};

use ironbook_engine::{Command, Event};
use ironbook_journal::Frame;

pub use row::{COLUMNS, Cell, Type};

use crate::{
    Fault,
    index::Index,
    names::Names,
    question::{Span, scan_while},
    show::Entry,
};
use csv::Csv;
use fix::Messages;
use fix_log::FixLog;
use itch::Itch;
use pcap::Pcap;
use row::Rows;

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 1 << 16;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A row a frame under the names of [`COLUMNS`].
    Csv,
    /// A JSON object a frame, as [`Entry::json`] has it.
    JsonLines,
    /// A FIX 4.4 message a line, to and from clients; `|` stands for SOH. What clients sent that is no
    /// command is not journaled, and not there. The journal does not know the venue's comp id, which
    /// is `VENUE` here.
    FixLog,
    /// The messages of a FIX log as packets of a capture (pcap, times in nanoseconds), see `pcap.rs`.
    Pcap,
    /// Nasdaq TotalView-ITCH 5.0: what everybody may know of the books, see `itch.rs`.
    Itch,
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
pub struct Wanted<'a> {
    /// How.
    pub format: Format,
    /// From where to where.
    pub span: Span,
    /// Which frames. [`Format::Itch`] needs all.
    pub kinds: Kinds,
    /// Only this symbol; [`Format::Itch`] alone can tell one from the others.
    pub symbol: Option<&'a str>,
    /// Whether names are replaced by pseudonyms.
    pub redact: bool,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Frames.
    pub frames: u64,
    /// Lines, packets or messages, without a header.
    pub lines: u64,
}

/// What is to be written.
#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    /// Lines, packets or messages so far, without a header.
    lines: u64,
}

/// Makes an output of frames.
trait Form {
    /// Appends what comes before all frames.
    fn begin(&mut self, _out: &mut Out) -> Result<(), Fault> {
        Ok(())
    }

    /// Appends what there is to say of a frame. `wanted` says whether it is asked for: there may be
    /// something to learn from others too.
    fn take(&mut self, frame: &Frame<'_>, wanted: bool, out: &mut Out) -> Result<(), Fault>;

    /// Appends what comes behind all frames.
    fn end(&mut self, _out: &mut Out) -> Result<(), Fault> {
        Ok(())
    }
}

/// Writes frames of a journal.
///
/// # Errors
/// [`Fault::Write`] when `out` takes no more; others when the journal can't be read.
pub fn export(index: &Index, wanted: &Wanted<'_>, out: &mut impl Write) -> Result<Exported, Fault> {
    let names = Names::of(index, wanted.redact)?;
    let span = wanted.span;
    match wanted.format {
        Format::Csv => write(index, wanted, &mut Csv::new(Rows::new(names)), out),
        Format::JsonLines => write(index, wanted, &mut JsonLines(names), out),
        Format::FixLog => {
            let messages = Messages::before(index, names, span.first)?;
            write(index, wanted, &mut FixLog(messages), out)
        }
        Format::Pcap => {
            let messages = Messages::before(index, names, span.first)?;
            write(index, wanted, &mut Pcap::new(messages), out)
        }
        Format::Itch => {
            let span = span.of_inputs(index)?;
            let mut itch = Itch::before(index, names, wanted.symbol, span.first)?;
            write(index, &Wanted { span, ..*wanted }, &mut itch, out)
        }
    }
}

/// Shows the frames of a journal as rows, in the order of [`COLUMNS`], for formats that are made elsewhere;
/// of what is wanted the format plays no part.
///
/// # Errors
/// As for [`export`], and what `each` says.
pub fn rows(
    index: &Index,
    wanted: &Wanted<'_>,
    each: impl FnMut(&[Cell<'_>; COLUMNS.len()]) -> Result<(), Fault>,
) -> Result<Exported, Fault> {
    let rows = Rows::new(Names::of(index, wanted.redact)?);
    write(index, wanted, &mut Elsewhere { rows, each }, &mut io::sink())
}

/// Shows rows to whoever writes them.
struct Elsewhere<E> {
    rows: Rows,
    each: E,
}

impl<E: FnMut(&[Cell<'_>; COLUMNS.len()]) -> Result<(), Fault>> Form for Elsewhere<E> {
    fn take(&mut self, frame: &Frame<'_>, wanted: bool, out: &mut Out) -> Result<(), Fault> {
        if wanted {
            out.lines += 1;
            self.rows.show(frame, &mut self.each)?;
        }
        Ok(())
    }
}

fn write(
    index: &Index,
    wanted: &Wanted<'_>,
    form: &mut impl Form,
    out: &mut impl Write,
) -> Result<Exported, Fault> {
    let mut frames = 0;
    let mut buffer = Out { bytes: Vec::with_capacity(2 * BUFFER_BYTES), lines: 0 };
    form.begin(&mut buffer)?;
    let mut problem = Ok(());
    scan_while(index, &[], wanted.span, |frame| {
        let is_wanted = wanted.kinds.hold(frame.kind);
        frames += u64::from(is_wanted);
        problem = form.take(frame, is_wanted, &mut buffer).and_then(|()| {
            let is_full = buffer.bytes.len() >= BUFFER_BYTES;
            if is_full { flush(&mut buffer, out).map_err(Fault::Write) } else { Ok(()) }
        });
        problem.is_ok()
    })?;
    problem?;
    form.end(&mut buffer)?;
    flush(&mut buffer, out).and_then(|()| out.flush()).map_err(Fault::Write)?;
    Ok(Exported { frames, lines: buffer.lines })
}

fn flush(buffer: &mut Out, out: &mut impl Write) -> io::Result<()> {
    out.write_all(&buffer.bytes)?;
    buffer.bytes.clear();
    Ok(())
}

struct JsonLines(Names);

impl Form for JsonLines {
    fn take(&mut self, frame: &Frame<'_>, wanted: bool, out: &mut Out) -> Result<(), Fault> {
        if !wanted {
            return Ok(());
        }
        let mut entry = Entry::of(frame);
        self.0.redact(&mut entry);
        let value = entry.json_with(self.0.engine(), self.0.symbols());
        let written = serde_json::to_writer(&mut out.bytes, &value);
        written.map_err(io::Error::from).map_err(Fault::Write)?;
        out.bytes.push(b'\n');
        out.lines += 1;
        Ok(())
    }
}
