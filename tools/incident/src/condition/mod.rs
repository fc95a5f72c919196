//! Conditions on frames and on what is around them: `trade.px < 0.95 * ref`, `session = 'C7' and
//! cum_qty > 1e6`, `reject.rule = 'DUP'`.
//!
//! `syntax.rs` has the grammar, [`NAMES`] the names. A frame that lacks what a name stands for makes
//! every comparison with it false: `price < 10` is false for a trade report of a market order, and so
//! is `price >= 10`; `not price < 10` is true. Numbers are decimals and exact; one that becomes larger
//! than 38 digits is lacking as well. Texts are compared as they are, values such as a side or a rule in
//! any case and by any start that only one of them has.
//!
//! A condition is understood once, into a tree without texts to look up; then it is asked of millions of
//! frames, and allocates nothing.

mod exact;
mod name;
mod syntax;

use std::{cmp::Ordering, fmt, ops::Range};

use ironbook_engine::{Command, Event, InstrumentId, SessionId};
use ironbook_gateway::session_record::SessionRecord;

pub use name::{NAMES, Name};

use crate::{
    moment::{Moment, Noted, Watch},
    text::parse_utc,
};
use exact::Exact;
use name::{Code, Decoded, Facts, Flag, Kind, Number, Text, Touch};
use syntax::{Calculation, Comparison, Node, What};

/// A condition that was understood.
#[derive(Clone, Debug)]
pub struct Condition {
    test: Test,
    /// Whether it asks for the reference price.
    uses_ref: bool,
}

#[derive(Clone, Debug)]
enum Test {
    Flag(Flag),
    Numbers(Comparison, Value, Value),
    /// A text, whether it has to be equal, and to what.
    Text(Text, bool, Vec<u8>),
    Code(Code, bool, u8),
    Not(Box<Test>),
    And(Box<[Test; 2]>),
    Or(Box<[Test; 2]>),
}

#[derive(Clone, Debug)]
enum Value {
    Constant(Exact),
    Number(Number),
    Minus(Box<Value>),
    Calculate(Calculation, Box<[Value; 2]>),
}

/// Why a text is no condition: what, where, and what would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionError {
    /// The text.
    pub text: String,
    /// The bytes that are meant.
    pub span: Range<usize>,
    /// What is wrong with them.
    pub what: String,
}

impl std::error::Error for ConditionError {}

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.text[..self.span.start].chars().count();
        let marked = self.text[self.span.clone()].chars().count().max(1);
        writeln!(f, "the condition can't be understood: {}", self.what)?;
        write!(f, "  {}\n  {}{}", self.text, " ".repeat(before), "^".repeat(marked))
    }
}

impl Condition {
    /// Understands a condition; times of day are on the day of `day_ns`.
    ///
    /// # Errors
    /// [`ConditionError`] says what is wrong, where, and what would be right.
    pub fn parse(text: &str, day_ns: u64) -> Result<Self, ConditionError> {
        let error = |(what, span)| ConditionError { text: text.to_owned(), span, what };
        let node = syntax::parse(text).map_err(|(what, at)| error((what, word_at(text, at))))?;
        let reader = Typing { day_ns };
        let test = reader.test(&node).map_err(error)?;
        // One that only has the letters somewhere takes longer, and says the same.
        let uses_ref = text.to_ascii_lowercase().contains("ref");
        Ok(Self { test, uses_ref })
    }

    /// What looks for frames at which it holds.
    pub fn watch(&self) -> Search<'_> {
        Search { condition: self, before: Vec::new() }
    }
}

/// The word that begins at a byte.
fn word_at(text: &str, at: usize) -> Range<usize> {
    let at = (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    let length = text[at..].find(char::is_whitespace).unwrap_or(text.len() - at);
    at..at + length
}

/// Gives a tree its types.
struct Typing {
    day_ns: u64,
}

type Wrong = (String, Range<usize>);

impl Typing {
    fn test(&self, node: &Node) -> Result<Test, Wrong> {
        let pair = |sides: &[Node; 2]| {
            let [left, right] = sides;
            Ok::<_, Wrong>(Box::new([self.test(left)?, self.test(right)?]))
        };
        match &node.what {
            What::And(sides) => pair(sides).map(Test::And),
            What::Or(sides) => pair(sides).map(Test::Or),
            What::Not(inner) => self.test(inner).map(|test| Test::Not(Box::new(test))),
            What::Compare(comparison, sides) => self.comparison(*comparison, sides),
            What::Name(name) => match find(name, &node.span)?.kind {
                Kind::Flag(flag) => Ok(Test::Flag(flag)),
                _ => {
                    let what =
                        format!("{name} is no yes or no by itself; compare it: {name} = ...");
                    Err((what, node.span.clone()))
                }
            },
            _ => Err(("this is no yes or no; compare it with something".into(), node.span.clone())),
        }
    }

    fn comparison(&self, comparison: Comparison, sides: &[Node; 2]) -> Result<Test, Wrong> {
        let [left, right] = sides;
        match (&left.what, &right.what) {
            (What::Name(name), What::Text(text)) => {
                self.text(comparison, (name, left), (text, right))
            }
            (What::Text(text), What::Name(name)) => {
                self.text(comparison.turned(), (name, right), (text, left))
            }
            _ => Ok(Test::Numbers(comparison, self.value(left)?, self.value(right)?)),
        }
    }

    /// A name compared with a text.
    fn text(
        &self,
        comparison: Comparison,
        (name, at): (&str, &Node),
        (text, text_at): (&str, &Node),
    ) -> Result<Test, Wrong> {
        let kind = find(name, &at.span)?.kind;
        if let Kind::Number(Number::Time) = kind {
            let time = parse_utc(text, self.day_ns).ok_or_else(|| {
                ("this is no time; '14:30:00.5' is one".to_owned(), text_at.span.clone())
            })?;
            let (left, right) = (Value::Number(Number::Time), Value::Constant(Exact::new(time, 0)));
            return Ok(Test::Numbers(comparison, left, right));
        }
        let equal = match comparison {
            Comparison::Equal => true,
            Comparison::NotEqual => false,
            _ => {
                let what = format!("{name} is a text: it can be = or !=, and not more or less");
                return Err((
                    what,
                    at.span.start.min(text_at.span.start)..at.span.end.max(text_at.span.end),
                ));
            }
        };
        match kind {
            Kind::Text(field) => Ok(Test::Text(field, equal, text.as_bytes().to_vec())),
            Kind::Code(code) => {
                let value = value_of(code, text).map_err(|what| (what, text_at.span.clone()))?;
                Ok(Test::Code(code, equal, value))
            }
            Kind::Number(_) => {
                let what = format!("{name} is a number; compare it with one, without quotes");
                Err((what, text_at.span.clone()))
            }
            Kind::Flag(_) => {
                let what = format!("{name} is a yes or no by itself; write {name} or not {name}");
                Err((what, at.span.clone()))
            }
        }
    }

    fn value(&self, node: &Node) -> Result<Value, Wrong> {
        match &node.what {
            What::Number(number) => Ok(Value::Constant(*number)),
            What::Minus(inner) => self.value(inner).map(|value| Value::Minus(Box::new(value))),
            What::Calculate(calculation, sides) => {
                let [left, right] = &**sides;
                let sides = Box::new([self.value(left)?, self.value(right)?]);
                Ok(Value::Calculate(*calculation, sides))
            }
            What::Name(name) => match find(name, &node.span)?.kind {
                Kind::Number(number) => Ok(Value::Number(number)),
                Kind::Flag(_) => {
                    let what =
                        format!("{name} is a yes or no by itself; write {name} or not {name}");
                    Err((what, node.span.clone()))
                }
                Kind::Text(_) | Kind::Code(_) => {
                    let what = format!("{name} is compared with a text in quotes: {name} = 'X'");
                    Err((what, node.span.clone()))
                }
            },
            _ => Err(("a number is expected here".to_owned(), node.span.clone())),
        }
    }
}

fn find(name: &str, span: &Range<usize>) -> Result<&'static Name, Wrong> {
    NAMES.iter().find(|known| known.name == name).ok_or_else(|| {
        let family = name.split('.').next().unwrap_or(name);
        let start = family.get(..3).unwrap_or(family);
        let mut similar: Vec<_> =
            NAMES.iter().map(|known| known.name).filter(|known| known.contains(start)).collect();
        if similar.is_empty() {
            similar = NAMES.iter().map(|known| known.name).collect();
        }
        (format!("there is no {name}; there is {}", similar.join(", ")), span.clone())
    })
}

/// The value that a text names, by any start that no other one has.
fn value_of(code: Code, text: &str) -> Result<u8, String> {
    let values = code.values();
    let starts = |(name, _): &&(String, u8)| {
        name.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text))
    };
    if let Some((_, code)) = values.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Ok(*code);
    }
    let found: Vec<_> = values.iter().filter(starts).collect();
    let names = |values: &[&(String, u8)]| {
        values.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    };
    match found.as_slice() {
        [(_, code)] => Ok(*code),
        [] => Err(format!(
            "there is no such value; there is {}",
            names(&values.iter().collect::<Vec<_>>())
        )),
        several => Err(format!("this may be {}; write more of it", names(several))),
    }
}

impl Comparison {
    /// The same with its sides exchanged.
    fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Equal | Self::NotEqual => self,
        }
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Test {
    fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Flag(flag) => facts.flag(*flag).unwrap_or(false),
            Self::Numbers(comparison, left, right) => {
                let sides = left.of(facts).zip(right.of(facts));
                sides.is_some_and(|(left, right)| comparison.holds(left.compare(right)))
            }
            Self::Text(text, equal, wanted) => facts.is_text(*text, wanted) == Some(*equal),
            Self::Code(code, equal, wanted) => {
                facts.code(*code).is_some_and(|found| (found == *wanted) == *equal)
            }
            Self::Not(inner) => !inner.holds(facts),
            Self::And(sides) => sides.iter().all(|side| side.holds(facts)),
            Self::Or(sides) => sides.iter().any(|side| side.holds(facts)),
        }
    }
}

impl Value {
    fn of(&self, facts: &Facts<'_>) -> Option<Exact> {
        match self {
            Self::Constant(number) => Some(*number),
            Self::Number(number) => facts.number(*number),
            Self::Minus(inner) => inner.of(facts).map(Exact::negate),
            Self::Calculate(calculation, sides) => {
                let (left, right) = (sides[0].of(facts)?, sides[1].of(facts)?);
                match calculation {
                    Calculation::Add => left.add(right),
                    Calculation::Subtract => left.add(right.negate()),
                    Calculation::Multiply => left.multiply(right),
                }
            }
        }
    }
}

/// Looks for frames at which a condition holds.
#[derive(Debug)]
pub struct Search<'c> {
    condition: &'c Condition,
    /// Best bids and asks before the input, by instrument id - 1.
    before: Vec<Touch>,
}

impl Search<'_> {
    /// The touch of instruments that came into being.
    fn grow(&mut self, moment: &Moment<'_>) {
        let Some(engine) = moment.engine() else { return };
        for number in self.before.len()..engine.instruments().len() {
            self.before.push(Touch::of(engine, InstrumentId(number as u32 + 1)));
        }
    }

    /// The touch behind the input, for the next one.
    fn refresh(&mut self, moment: &Moment<'_>) {
        self.grow(moment);
        let Some(engine) = moment.engine() else { return };
        for noted in moment.noted() {
            let facts = facts(moment, noted, engine, &[]);
            let Some(instrument) = facts.and_then(|facts| facts.instrument()) else { continue };
            if let Some(touch) = self.before.get_mut(instrument.0 as usize - 1) {
                *touch = Touch::of(engine, instrument);
            }
        }
    }
}

impl Watch for Search<'_> {
    fn begin(&mut self, moment: &Moment<'_>) {
        self.before.clear();
        if self.condition.uses_ref {
            self.grow(moment);
        }
    }

    fn look(&mut self, moment: &Moment<'_>) -> Option<u64> {
        let engine = moment.engine()?;
        let holds = |noted: &&Noted| {
            let facts = facts(moment, noted, engine, &self.before);
            facts.is_some_and(|facts| self.condition.test.holds(&facts))
        };
        let found = moment.noted().iter().find(holds).map(|noted| noted.sequence);
        if self.condition.uses_ref {
            self.refresh(moment);
        }
        found
    }
}

fn facts<'a>(
    moment: &Moment<'_>,
    noted: &Noted,
    engine: &'a ironbook_engine::Engine,
    before: &'a [Touch],
) -> Option<Facts<'a>> {
    let payload = moment.payload(noted);
    let decoded = if Event::is_kind(noted.kind) {
        Decoded::Event(Event::decode(noted.kind, payload).ok()?)
    } else if Command::is_kind(noted.kind) {
        Decoded::Command(Command::decode(noted.kind, payload).ok()?)
    } else {
        let refuses = SessionRecord::is_refusal(noted.kind, payload);
        let session = SessionId(u32::from_le_bytes(*payload.first_chunk()?));
        Decoded::Session { session, refuses }
    };
    let (sequence, time_ns) = (noted.sequence, noted.time_ns);
    Some(Facts { sequence, time_ns, decoded, engine, before })
}
