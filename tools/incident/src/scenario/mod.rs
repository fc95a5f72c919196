//! A part of a journal as a test: a text that builds the books as they were, carries out the commands that
//! came, and says what came of each. It needs no journal, and is played on the engine of this program.
//!
//! ```text
//! # Ironbook scenario 1
//! limits orders_max=4096 ...
//! session id=1 comp_id=C1
//! new session=C1 id=O1 side=Buy symbol=AAPL type=Limit qty=100 price=100.00 tif=Day
//! > New to C1 O1, order 1: Buy 100 AAPL at 100.00; New, done 0, left 100
//! ```
//!
//! A line is a command (`line.rs`), and each `>` behind it an event that it must bring, with all of them in
//! their sequence, to the last blank; a `#` begins a line that is not looked at. Orders are numbered as they are accepted, from 1,
//! trades in each command.
//!
//! What comes before the commands themselves is told in [`write()`]. A command that the engine does not apply
//! brings no event.

mod line;
mod setup;

use std::{
    collections::HashMap,
    fmt,
    io::{BufRead, BufWriter, Read as _, Write},
};

use ironbook_engine::{
    Command, Engine, EngineLimits, Event, ExecType, OrderId, Sequencer, Timestamp, TradeId,
    sink::VecSink,
};
use ironbook_journal::Frame;
use serde_json::{Value, json};

use crate::{
    Fault,
    index::Index,
    moment::Moment,
    names::Names,
    question::{Span, scan_while},
    show::{Content, Entry},
    text::{grouped, utc},
    view::read_input,
    whatif::{NO_ORDER, accepted},
};
use line::Known;

/// The first line of a scenario; the number is the format's.
const TITLE: &str = "# Ironbook scenario 1";
/// What it begins with in every format.
const TITLE_OF_ANY: &str = "# Ironbook scenario ";
/// Bytes of a line that is read; the longest that is written has fewer than half as many.
const LINE_BYTES_MAX: u64 = 4_096;
/// Events that are read of those expected of a command beyond those that came: enough to show the difference, and
/// a bound on the memory that a scenario takes.
const EVENTS_BEYOND_MAX: usize = 1_024;
/// Begins a line with an event.
const EVENT: &str = "> ";

/// An engine that scenarios are played on.
#[derive(Default)]
struct Stage {
    engine: Option<Engine>,
    sequencer: Sequencer,
    numbers: Numbers,
}

/// Numbers of orders.
#[derive(Default)]
struct Numbers {
    /// Orders by number, from 1.
    orders: Vec<OrderId>,
    /// The same the other way.
    by_id: HashMap<OrderId, u64>,
}

impl Numbers {
    fn add(&mut self, order_id: OrderId) {
        self.orders.push(order_id);
        self.by_id.insert(order_id, self.orders.len() as u64);
    }

    /// The number of an order, 0 for none, in the place of its id.
    fn of(&self, order_id: OrderId) -> OrderId {
        OrderId(self.by_id.get(&order_id).copied().unwrap_or_default())
    }

    /// Tells the events of a command by number.
    fn tell(&self, events: &[Event], names: &Engine) -> Vec<String> {
        let mut trades: Vec<TradeId> = Vec::new();
        let tell = |event: &Event| {
            let mut event = *event;
            match &mut event {
                Event::Execution(event) => {
                    event.order_id = self.of(event.order_id);
                    event.contra_order_id = self.of(event.contra_order_id);
                    if event.exec_type == ExecType::Trade {
                        if !trades.contains(&event.trade_id) {
                            trades.push(event.trade_id);
                        }
                        event.trade_id.0 = trades.len() as u64;
                    }
                }
                Event::CancelRejected(event) => event.order_id = self.of(event.order_id),
                Event::SessionTripped(event) => {
                    event.order_id = self.of(event.order_id);
                    event.trade_id = TradeId(0);
                }
                _ => {}
            }
            let content = Content::Event(Box::new(event));
            Entry { sequence: 0, time_ns: 0, content }.text(names) + &more(&event)
        };
        events.iter().map(tell).collect()
    }
}

/// What the words of an event leave out.
fn more(event: &Event) -> String {
    let event = match event {
        Event::Execution(event) => event,
        Event::MassCanceled(event) => return format!("; request type {}", event.request_type),
        _ => return String::new(),
    };
    let mut more = format!("; {:?}", event.time_in_force);
    for (label, text) in [
        ("replaces", event.orig_cl_ord_id().to_string()),
        ("answers", event.ord_status_req_id().to_string()),
        ("account", event.account.to_string()),
    ] {
        if !text.is_empty() {
            more += &format!(", {label} {text}");
        }
    }
    more
}

impl Stage {
    fn known(&self) -> Known<'_> {
        let Numbers { orders, by_id } = &self.numbers;
        Known { engine: self.engine.as_ref(), orders, by_id }
    }

    /// Carries out a command; gives its events, told.
    ///
    /// # Errors
    /// There is no engine yet, or none can have these limits.
    fn apply(&mut self, command: &Command) -> Result<Vec<String>, String> {
        let engine = match (&mut self.engine, command) {
            (Some(engine), _) => engine,
            (none, Command::Limits(limits)) if limits.is_valid() => {
                none.insert(Engine::new(*limits))
            }
            (None, Command::Limits(_)) => return Err("no engine can have these limits".into()),
            (None, _) => return Err("limits come first".into()),
        };
        let mut sink = VecSink::default();
        let stamp = self.sequencer.stamp(Timestamp(0));
        self.sequencer.resume_at(engine.apply(stamp, command, &mut sink));
        let events: Vec<_> = sink.events.into_iter().map(|(_, event)| event).collect();
        accepted(&events).into_iter().for_each(|order_id| self.numbers.add(order_id));
        Ok(self.numbers.tell(&events, engine))
    }
}

/// State hashes are of a journal, not of its books.
fn counts(event: &Event) -> bool {
    !matches!(event, Event::StateHashed(_))
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// From where to where.
    pub span: Span,
    /// Commands that build the books.
    pub setup: u64,
    /// Commands of the part.
    pub commands: u64,
    /// Events that are expected of those.
    pub events: u64,
    /// Commands that bring something else here than they did.
    pub differing: u64,
}

/// Writes a part of a journal as a scenario.
///
/// It begins with the definitions and the resting orders of the moment before: each with what it had traded, in
/// its place in the queue. Closed orders of before are not there, so a late request to one finds nothing, and its
/// name is free; averages of what was traded before differ as well, and are not looked at. A command that brings
/// something else for that reason has, behind `# journaled`, what it brought; what is expected is what this
/// program computes.
///
/// # Errors
/// [`Fault`]: the journal can't be read, or `out` takes no more.
pub fn write(
    index: &Index,
    span: Span,
    redact: bool,
    out: &mut impl Write,
) -> Result<Written, Fault> {
    let span = span.of_inputs(index)?;
    let names = Names::of(index, redact)?;
    let moment = Moment::before(index, span.first)?;
    let stage = Stage::default();
    let out = &mut BufWriter::new(out);
    let mut writer =
        Writer { names, stage, journal: Numbers::default(), written: Written::of(span), out };
    writer.title(index, redact)?;
    if let Some(engine) = moment.engine() {
        writer.set_up(engine)?;
    }
    writer.stretch(index)?;
    writer.out.flush().map_err(Fault::Write)?;
    Ok(writer.written)
}

impl Written {
    fn of(span: Span) -> Self {
        Self { span, setup: 0, commands: 0, events: 0, differing: 0 }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "first_sequence": self.span.first,
            "last_sequence": self.span.last,
            "setup_commands": self.setup,
            "commands": self.commands,
            "events": self.events,
            "differing_commands": self.differing,
        })
    }
}

/// Writes a scenario while it plays it.
struct Writer<'w, W> {
    names: Names,
    stage: Stage,
    /// Numbers of the journal's orders and trades: the same orders have the same.
    journal: Numbers,
    written: Written,
    out: &'w mut W,
}

impl<W: Write> Writer<'_, W> {
    fn print(&mut self, line: fmt::Arguments<'_>) -> Result<(), Fault> {
        writeln!(self.out, "{line}").map_err(Fault::Write)
    }

    fn title(&mut self, index: &Index, redact: bool) -> Result<(), Fault> {
        let Span { first, last } = self.written.span;
        self.print(format_args!("{TITLE}"))?;
        let names = if redact { "names are replaced" } else { "names are as they were" };
        let end = Moment::at(index, last)?.time_ns();
        let from = read_input(index, first)?.first().map_or(0, |entry| entry.time_ns);
        self.print(format_args!(
            "# Sequence {first} to {last}, {} to {}; {names}",
            utc(from),
            utc(end)
        ))
    }

    fn heading(&mut self, text: &str) -> Result<(), Fault> {
        self.print(format_args!("\n# {text}"))
    }

    /// A command that builds what was before. Its names are replaced already.
    fn setup(&mut self, command: &Command) -> Result<(), Fault> {
        self.written.setup += 1;
        let command = without_hashes(command);
        let line = line::write(&command, &self.stage.known());
        self.print(format_args!("{line}"))?;
        let events = self.play(&command)?;
        for event in events {
            self.print(format_args!("{EVENT}{event}"))?;
        }
        Ok(())
    }

    fn play(&mut self, command: &Command) -> Result<Vec<String>, Fault> {
        // What a journal holds was applied once.
        self.stage.apply(command).map_err(Fault::NotFound)
    }

    /// The commands of the part, with what came of them.
    fn stretch(&mut self, index: &Index) -> Result<(), Fault> {
        self.heading("The commands, with what came of them")?;
        let mut input: Option<(Command, Vec<Event>)> = None;
        let mut problem = Ok(());
        scan_while(index, &[], self.written.span, |frame| {
            problem = self.take(frame, &mut input);
            problem.is_ok()
        })?;
        problem?;
        self.end_input(&mut input)
    }

    fn take(
        &mut self,
        frame: &Frame<'_>,
        input: &mut Option<(Command, Vec<Event>)>,
    ) -> Result<(), Fault> {
        if !Event::is_kind(frame.kind) {
            self.end_input(input)?;
        }
        let mut entry = Entry::of(frame);
        self.names.redact(&mut entry);
        match (entry.content, input) {
            (Content::Command(command), input) => {
                self.print(format_args!("# seq:{}", frame.sequence))?;
                *input = Some((*command, Vec::new()));
            }
            (Content::Event(event), Some((_, events))) if counts(&event) => events.push(*event),
            _ => {}
        }
        Ok(())
    }

    fn end_input(&mut self, input: &mut Option<(Command, Vec<Event>)>) -> Result<(), Fault> {
        let Some((command, journaled)) = input.take() else { return Ok(()) };
        let command = self.by_number(without_hashes(&command));
        let line = line::write(&command, &self.stage.known());
        self.print(format_args!("{line}"))?;
        let before = self.stage.numbers.orders.len();
        let events = self.play(&command)?;
        let here = self.stage.numbers.orders.len();
        if let Some(order_id) = accepted(&journaled) {
            // Where it was not accepted here, there is no such order.
            self.journal.by_id.insert(order_id, if here > before { here as u64 } else { 0 });
        }
        let engine = self.stage.engine.as_ref();
        let journaled = engine.map(|engine| self.journal.tell(&journaled, engine));
        let journaled = journaled.unwrap_or_default();
        self.written.commands += 1;
        self.written.events += events.len() as u64;
        if events != journaled {
            self.written.differing += 1;
            for event in &journaled {
                self.print(format_args!("# journaled {event}"))?;
            }
        }
        for event in events {
            self.print(format_args!("{EVENT}{event}"))?;
        }
        Ok(())
    }

    /// Orders of the journal as orders of this engine.
    fn by_number(&self, mut command: Command) -> Command {
        let here = |order_id: OrderId| match order_id {
            OrderId::NONE => OrderId::NONE,
            known => {
                let number = self.journal.of(known).0 as usize;
                let order = number.checked_sub(1).and_then(|at| self.stage.numbers.orders.get(at));
                order.copied().unwrap_or(NO_ORDER)
            }
        };
        match &mut command {
            Command::CancelOrder(request) => request.order_id = here(request.order_id),
            Command::ReplaceOrder(request) => request.order_id = here(request.order_id),
            Command::QueryOrder(request) => request.order_id = here(request.order_id),
            _ => {}
        }
        command
    }
}

/// The same without state hashes, which nobody expects.
fn without_hashes(command: &Command) -> Command {
    match command {
        Command::Limits(limits) => EngineLimits { state_hash_interval: 0, ..*limits }.into(),
        other => *other,
    }
}

/// What a scenario came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// Commands carried out.
    pub commands: u64,
    /// Events that were as expected.
    pub events: u64,
    /// The first command that brought something else.
    pub difference: Option<Difference>,
}

/// A command that brought something else than is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Line of the command, from 1.
    pub line: usize,
    /// The command.
    pub command: String,
    /// What is expected.
    pub expected: Vec<String>,
    /// What came.
    pub computed: Vec<String>,
}

/// Plays a scenario, which is read by lines.
///
/// # Errors
/// [`Fault::Version`]: it is of another format; [`Fault::Question`]: a line that is none or can't be read, with
/// its number.
pub fn play(input: impl BufRead) -> Result<Played, Fault> {
    let mut lines = Lines { input, number: 0, ahead: None };
    let title = lines.read()?.unwrap_or_default();
    if title != TITLE {
        let what = format!("the first line of a scenario that this program knows is {TITLE:?}");
        return Err(match title.starts_with(TITLE_OF_ANY) {
            true => Fault::Version(format!("this is a scenario of another version: {what}")),
            false => Fault::Question(format!("this is no scenario: {what}")),
        });
    }
    let mut stage = Stage::default();
    let mut played = Played { commands: 0, events: 0, difference: None };
    while let Some((number, line)) = lines.next_if(|_| true)? {
        let wrong = |what: String| Fault::Question(format!("line {number}: {what}"));
        let command = line::parse(line.trim(), &stage.known()).map_err(wrong)?;
        let computed = stage.apply(&command).map_err(wrong)?;
        let mut expected = Vec::new();
        // A name at the end of an event may end in blanks.
        while let Some((_, event)) = lines.next_if(|line| line.starts_with(EVENT))? {
            expected.push(event[EVENT.len()..].to_owned());
            if expected.len() > computed.len() + EVENTS_BEYOND_MAX {
                return Err(wrong(format!(
                    "{} events came, and more than {EVENTS_BEYOND_MAX} others are expected; is there a command \
                     missing between them?",
                    computed.len()
                )));
            }
        }
        played.commands += 1;
        if expected != computed {
            let command = line;
            played.difference = Some(Difference { line: number, command, expected, computed });
            break;
        }
        played.events += computed.len() as u64;
    }
    Ok(played)
}

/// The lines of a scenario.
struct Lines<R> {
    input: R,
    /// Of the line that was read last, from 1.
    number: usize,
    /// A line that was read, and not taken.
    ahead: Option<(usize, String)>,
}

impl<R: BufRead> Lines<R> {
    /// The next line, whatever it says.
    fn read(&mut self) -> Result<Option<String>, Fault> {
        self.number += 1;
        let number = self.number;
        let wrong = |what: String| Fault::Question(format!("line {number}: {what}"));
        let mut bytes = Vec::new();
        let mut input = (&mut self.input).take(LINE_BYTES_MAX + 1);
        if input.read_until(b'\n', &mut bytes).map_err(|error| wrong(error.to_string()))? == 0 {
            return Ok(None);
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        } else if bytes.len() as u64 > LINE_BYTES_MAX {
            return Err(wrong(format!("no line has more than {LINE_BYTES_MAX} bytes")));
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        String::from_utf8(bytes).map(Some).map_err(|_| wrong("it is no text".into()))
    }

    /// The next line that is a command or an event, with its number, where it is as wanted.
    fn next_if(
        &mut self,
        is_wanted: impl FnOnce(&str) -> bool,
    ) -> Result<Option<(usize, String)>, Fault> {
        while self.ahead.is_none() {
            let Some(line) = self.read()? else { return Ok(None) };
            let trimmed = line.trim();
            if !trimmed.is_empty() && !trimmed.starts_with('#') {
                self.ahead = Some((self.number, line));
            }
        }
        Ok(self.ahead.take_if(|(_, line)| is_wanted(line)))
    }
}

impl Played {
    /// For programs.
    pub fn json(&self) -> Value {
        let difference = self.difference.as_ref().map(|found| {
            json!({
                "line": found.line,
                "command": found.command,
                "expected": found.expected,
                "computed": found.computed,
            })
        });
        json!({ "commands": self.commands, "events": self.events, "difference": difference })
    }
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (commands, events) = (grouped(self.commands), grouped(self.events));
        write!(f, "Played       {commands} commands, {events} events as expected")?;
        let Some(found) = &self.difference else { return write!(f, "\nDiffers      nowhere") };
        write!(f, "\nDiffers      line {}: {}", found.line, found.command)?;
        let longest = found.expected.len().max(found.computed.len());
        for number in 0..longest {
            let [expected, computed] =
                [&found.expected, &found.computed].map(|events| events.get(number));
            if expected == computed {
                write!(f, "\nSame         {}", expected.map_or("", String::as_str))?;
                continue;
            }
            for (label, event) in [("Expected", expected), ("Computed", computed)] {
                write!(f, "\n{label:<12} {}", event.map_or("no event", String::as_str))?;
            }
        }
        Ok(())
    }
}
