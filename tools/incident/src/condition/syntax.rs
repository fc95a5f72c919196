//! Conditions as they are written: text to a tree that knows no types.
//!
//! ```text
//! any     = all { ("or" | "||") all }
//! all     = one { ("and" | "&&") one }
//! one     = ("not" | "!") one | sum [ ("=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=") sum ]
//! sum     = product { ("+" | "-") product }
//! product = sign { "*" sign }
//! sign    = "-" sign | "(" any ")" | number | text | name
//! number  = digits [ "." digits ] [ "e" [ "-" ] digits ] [ "ns" | "us" | "ms" | "s" ]
//! text    = "'" ... "'" | '"' ... '"'
//! name    = a letter, then letters, digits, "_" and "."
//! ```

use std::ops::Range;

use winnow::{
    LocatingSlice, ModalResult, Parser,
    ascii::{digit1, multispace0},
    combinator::{alt, cut_err, delimited, fail, opt, preceded, repeat},
    error::{ContextError, StrContext, StrContextValue},
    stream::AsChar,
    token::{one_of, take_till, take_while},
};

use super::exact::Exact;

/// Longest condition.
pub(super) const TEXT_MAX: usize = 1_000;
/// Parentheses, signs and negations in each other at the most: each takes some stack.
const NESTING_MAX: usize = 32;

/// A part of a condition and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub what: What,
    pub span: Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Number(Exact),
    Text(String),
    Name(String),
    Minus(Box<Node>),
    Not(Box<Node>),
    Calculate(Calculation, Box<[Node; 2]>),
    Compare(Comparison, Box<[Node; 2]>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calculation {
    Add,
    Subtract,
    Multiply,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

type Input<'i> = LocatingSlice<&'i str>;

/// Reads a condition.
///
/// # Errors
/// What was expected, and where.
pub(super) fn parse(text: &str) -> Result<Node, (String, usize)> {
    if text.len() > TEXT_MAX {
        return Err((format!("it is longer than {TEXT_MAX} bytes"), TEXT_MAX));
    }
    if let Some(at) = too_deep(text) {
        return Err((format!("more than {NESTING_MAX} parentheses and signs in each other"), at));
    }
    delimited(multispace0, any, multispace0).parse(LocatingSlice::new(text)).map_err(|error| {
        let what = match error.inner().context().find_map(expectation) {
            None => "this does not go on from what is before it; `and`, `or` or nothing would"
                .to_owned(),
            Some(expected) => format!("{expected} is expected here"),
        };
        (what, error.offset())
    })
}

fn expectation(context: &StrContext) -> Option<&'static str> {
    match context {
        StrContext::Expected(StrContextValue::Description(text)) => Some(text),
        _ => None,
    }
}

/// Where nesting is too deep, counted generously: what closes nothing counts as open.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'!' | b'-' => depth += 1,
            b'n' if text[at..].starts_with("not") => depth += 1,
            b')' | b'=' | b'<' | b'>' | b'&' | b'|' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_MAX {
            return Some(at);
        }
    }
    None
}

/// What is between spaces.
fn token<'i, O>(
    parser: impl Parser<Input<'i>, O, winnow::error::ErrMode<ContextError>>,
) -> impl Parser<Input<'i>, O, winnow::error::ErrMode<ContextError>> {
    delimited(multispace0, parser, multispace0)
}

/// A word that is not the start of a longer one.
fn word<'i>(
    text: &'static str,
) -> impl Parser<Input<'i>, (), winnow::error::ErrMode<ContextError>> {
    move |input: &mut Input<'i>| {
        let name = take_while(1.., is_in_name).parse_next(input)?;
        if name.eq_ignore_ascii_case(text) { Ok(()) } else { fail.parse_next(input) }
    }
}

fn is_in_name(c: char) -> bool {
    c.is_alphanum() || c == '_' || c == '.'
}

fn join(make: impl Fn(Box<[Node; 2]>) -> What) -> impl Fn(Node, Node) -> Node {
    move |left, right| {
        let span = left.span.start..right.span.end;
        Node { what: make(Box::new([left, right])), span }
    }
}

fn any(input: &mut Input<'_>) -> ModalResult<Node> {
    let first = all.parse_next(input)?;
    let or = token(alt((word("or"), "||".void())));
    let rest: Vec<Node> = repeat(0.., preceded(or, cut_err(all))).parse_next(input)?;
    Ok(rest.into_iter().fold(first, join(What::Or)))
}

fn all(input: &mut Input<'_>) -> ModalResult<Node> {
    let first = one.parse_next(input)?;
    let and = token(alt((word("and"), "&&".void())));
    let rest: Vec<Node> = repeat(0.., preceded(and, cut_err(one))).parse_next(input)?;
    Ok(rest.into_iter().fold(first, join(What::And)))
}

fn one(input: &mut Input<'_>) -> ModalResult<Node> {
    let not = token(alt((word("not"), ("!", winnow::combinator::not("=")).void()))).span();
    if let Some(not) = opt(not).parse_next(input)? {
        let inner = cut_err(one).parse_next(input)?;
        let span = not.start..inner.span.end;
        return Ok(Node { what: What::Not(Box::new(inner)), span });
    }
    let left = sum.parse_next(input)?;
    let Some(comparison) = opt(token(comparison)).parse_next(input)? else { return Ok(left) };
    let right = cut_err(sum).parse_next(input)?;
    Ok(join(|sides| What::Compare(comparison, sides))(left, right))
}

fn comparison(input: &mut Input<'_>) -> ModalResult<Comparison> {
    alt((
        alt(("==", "=")).value(Comparison::Equal),
        alt(("!=", "<>")).value(Comparison::NotEqual),
        "<=".value(Comparison::LessOrEqual),
        "<".value(Comparison::Less),
        ">=".value(Comparison::GreaterOrEqual),
        ">".value(Comparison::Greater),
    ))
    .parse_next(input)
}

fn sum(input: &mut Input<'_>) -> ModalResult<Node> {
    let first = product.parse_next(input)?;
    let sign = alt(('+'.value(Calculation::Add), '-'.value(Calculation::Subtract)));
    let rest: Vec<_> = repeat(0.., (token(sign), cut_err(product))).parse_next(input)?;
    Ok(calculate(first, rest))
}

fn product(input: &mut Input<'_>) -> ModalResult<Node> {
    let first = sign.parse_next(input)?;
    let times = '*'.value(Calculation::Multiply);
    let rest: Vec<_> = repeat(0.., (token(times), cut_err(sign))).parse_next(input)?;
    Ok(calculate(first, rest))
}

fn calculate(first: Node, rest: Vec<(Calculation, Node)>) -> Node {
    rest.into_iter().fold(first, |left, (calculation, right)| {
        join(|sides| What::Calculate(calculation, sides))(left, right)
    })
}

fn sign(input: &mut Input<'_>) -> ModalResult<Node> {
    multispace0.parse_next(input)?;
    if let Some(minus) = opt('-'.span()).parse_next(input)? {
        let inner = cut_err(sign).parse_next(input)?;
        let span = minus.start..inner.span.end;
        return Ok(Node { what: What::Minus(Box::new(inner)), span });
    }
    let closing = cut_err(')').context(expected("a closing parenthesis"));
    let atom = alt((
        delimited(('(', multispace0), cut_err(any), (multispace0, closing)).map(|node| node.what),
        number.map(What::Number),
        text.map(What::Text),
        name.map(What::Name),
    ));
    let (what, span) = atom
        .with_span()
        .context(expected("a name, a number, a text in quotes or a parenthesis"))
        .parse_next(input)?;
    Ok(Node { what, span })
}

fn expected(what: &'static str) -> StrContext {
    StrContext::Expected(StrContextValue::Description(what))
}

fn number(input: &mut Input<'_>) -> ModalResult<Exact> {
    let whole: &str = digit1.parse_next(input)?;
    let fraction: Option<&str> = opt(preceded('.', digit1)).parse_next(input)?;
    let exponent: Option<(Option<char>, &str)> =
        opt(preceded(one_of(['e', 'E']), (opt('-'), digit1))).parse_next(input)?;
    let unit = take_while(0.., AsChar::is_alpha).parse_next(input)?;
    let shift = match unit {
        "" | "ns" => Some(0),
        "us" => Some(3),
        "ms" => Some(6),
        "s" => Some(9),
        _ => None,
    };
    let exponent = exponent.map_or(Some(0), |(minus, digits)| {
        let digits: i32 = digits.parse().ok()?;
        Some(if minus.is_some() { -digits } else { digits })
    });
    let value = shift.zip(exponent).and_then(|(shift, exponent)| {
        Exact::parse(whole, fraction.unwrap_or_default(), exponent.checked_add(shift)?)
    });
    match value {
        Some(value) => Ok(value),
        None => cut_err(fail)
            .context(expected("a number of at most 30 digits, with ns, us, ms, s or no unit,"))
            .parse_next(input),
    }
}

fn text(input: &mut Input<'_>) -> ModalResult<String> {
    let quoted = |quote: char| {
        let end = cut_err(quote).context(expected("a closing quote"));
        delimited(quote, take_till(0.., quote), end)
    };
    alt((quoted('\''), quoted('"'))).map(str::to_owned).parse_next(input)
}

fn name(input: &mut Input<'_>) -> ModalResult<String> {
    let mut name = (one_of(AsChar::is_alpha), take_while(0.., is_in_name)).take();
    let name: &str = name.parse_next(input)?;
    let reserved = ["and", "or", "not"].iter().any(|word| name.eq_ignore_ascii_case(word));
    if reserved { fail.parse_next(input) } else { Ok(name.to_ascii_lowercase()) }
}
