//! What may be other than it was: `KEY=VALUE`.

use std::fmt::Write as _;

use ironbook_engine::{
    Command, Engine, EngineLimits,
    command::{DefineInstrument, TICKS_MAX},
};
use ironbook_fix::field::Decimal;

use crate::Fault;

/// A bound of the engine and its field.
type Limit = (&'static str, &'static str, fn(&mut EngineLimits) -> &mut u32);

/// Bounds of the engine; at a checkpoint they may only grow.
const LIMITS: [Limit; 4] = [
    ("engine.orders_max", "live orders", |limits| &mut limits.orders_max),
    ("engine.closed_orders_kept", "closed orders remembered", |limits| {
        &mut limits.closed_orders_kept
    }),
    ("engine.instruments_max", "instruments", |limits| &mut limits.instruments_max),
    ("engine.sessions_max", "sessions", |limits| &mut limits.sessions_max),
];

/// A term of an instrument, whether it is a price, and its field.
type Term = (&'static str, &'static str, bool, fn(&mut DefineInstrument) -> &mut i64);

/// Terms of an instrument, which it keeps once it is defined.
const TERMS: [Term; 4] = [
    ("tick", "price step; a finer one lowers price_max to what it reaches", true, |definition| {
        &mut definition.tick
    }),
    ("lot", "quantity step", false, |definition| &mut definition.lot),
    ("order_qty_max", "largest quantity of an order", false, |definition| {
        &mut definition.order_qty_max
    }),
    ("price_max", "largest price", true, |definition| &mut definition.price_max),
];

/// All keys with their meaning, a line each.
pub fn keys() -> String {
    let mut text = String::new();
    for (key, meaning, _) in LIMITS {
        let _ = writeln!(text, "  {key:<26} {meaning}");
    }
    for (key, meaning, ..) in TERMS {
        let _ = writeln!(text, "  {:<26} {meaning}", format!("SYMBOL.{key}"));
    }
    text
}

/// A setting, understood.
#[derive(Clone, Debug)]
enum Setting {
    Limit(usize, u32),
    /// Of the instrument with this symbol.
    Term(String, usize, Decimal),
}

/// Settings that commands are changed by.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings(Vec<(String, Setting)>);

impl Settings {
    /// Understands settings; `names` knows the symbols.
    ///
    /// # Errors
    /// [`Fault::Question`] with the keys that there are.
    pub(super) fn parse(words: &[String], names: &Engine) -> Result<Self, Fault> {
        let each = words.iter().map(|word| Ok((word.clone(), parse(word, names)?)));
        each.collect::<Result<_, _>>().map(Self)
    }

    /// Changes a command that defines something.
    ///
    /// # Errors
    /// [`Fault::Question`]: no engine has such limits, or no instrument such terms.
    pub(super) fn change(&self, command: &mut Command) -> Result<(), Fault> {
        match command {
            Command::Limits(limits) => {
                self.change_limits(limits);
                self.check(limits.is_valid(), "no engine can have")
            }
            Command::DefineInstrument(definition) => {
                let mut changed = false;
                for (word, setting) in &self.0 {
                    let Setting::Term(symbol, at, value) = setting else { continue };
                    if definition.symbol.as_str() == symbol {
                        let (_, _, is_price, field) = TERMS[*at];
                        let scale =
                            if is_price { definition.price_scale } else { definition.qty_scale };
                        *field(definition) = value.rescale(scale).ok_or_else(|| {
                            Fault::Question(format!("{word}: {symbol} has {scale} decimals there"))
                        })?;
                        changed = true;
                    }
                }
                if changed && !self.is_set(definition, "price_max") {
                    // A finer tick does not reach as far.
                    let reach = definition.tick.saturating_mul(TICKS_MAX);
                    definition.price_max = definition.price_max.min(reach);
                }
                self.check(!changed || definition.is_valid(), "no instrument can have")
            }
            _ => Ok(()),
        }
    }

    /// Whether somebody asks for a term of an instrument.
    fn is_set(&self, definition: &DefineInstrument, term: &str) -> bool {
        self.0.iter().any(|(_, setting)| match setting {
            Setting::Term(symbol, at, _) => {
                definition.symbol.as_str() == symbol && TERMS[*at].0 == term
            }
            Setting::Limit(..) => false,
        })
    }

    fn check(&self, fine: bool, why: &str) -> Result<(), Fault> {
        let words: Vec<_> = self.0.iter().map(|(word, _)| word.as_str()).collect();
        if fine { Ok(()) } else { Err(Fault::Question(format!("{why} {}", words.join(" ")))) }
    }

    fn change_limits(&self, limits: &mut EngineLimits) {
        for (_, setting) in &self.0 {
            if let Setting::Limit(at, value) = setting {
                *LIMITS[*at].2(limits) = *value;
            }
        }
    }

    /// The command that changes an engine which is there already, if there is something to change.
    ///
    /// # Errors
    /// [`Fault::Question`]: it can't be changed any more.
    pub(super) fn late(&self, engine: &Engine) -> Result<Option<Command>, Fault> {
        let begin = "play from the start instead";
        for (word, setting) in &self.0 {
            if let Setting::Term(symbol, ..) = setting
                && engine.instruments().any(|view| view.definition.symbol.as_str() == symbol)
            {
                return Err(Fault::Question(format!(
                    "{word}: {symbol} is defined before --from, and keeps its terms; {begin}"
                )));
            }
        }
        let mut limits = *engine.limits();
        self.change_limits(&mut limits);
        if limits == *engine.limits() {
            return Ok(None);
        }
        self.check(limits.is_valid(), "no engine can have")?;
        let grows = limits.only_grow(engine.limits());
        self.check(grows, &format!("limits of an engine that runs only grow; {begin}:"))?;
        Ok(Some(limits.into()))
    }
}

fn parse(word: &str, names: &Engine) -> Result<Setting, Fault> {
    let unknown = || {
        let symbols: Vec<_> =
            names.instruments().map(|view| view.definition.symbol.to_string()).collect();
        Fault::Question(format!(
            "{word}: there is no such key; there are\n{}  with the symbols {}",
            keys(),
            symbols.join(" ")
        ))
    };
    let (key, value) = word.split_once('=').ok_or_else(|| {
        Fault::Question(format!("{word}: give KEY=VALUE; the keys are\n{}", keys().trim_end()))
    })?;
    let no_number = |what: &str| Fault::Question(format!("{word}: {value:?} is no {what}"));
    if let Some(at) = LIMITS.iter().position(|(name, ..)| *name == key) {
        let value = value.parse().map_err(|_| no_number("whole number"))?;
        return Ok(Setting::Limit(at, value));
    }
    let (symbol, term) = key.rsplit_once('.').ok_or_else(unknown)?;
    let is_known = names.instruments().any(|view| view.definition.symbol.as_str() == symbol);
    let at = TERMS.iter().position(|(name, ..)| *name == term).filter(|_| is_known);
    let at = at.ok_or_else(unknown)?;
    let value = Decimal::parse(value.as_bytes()).map_err(|_| no_number("number"))?;
    Ok(Setting::Term(symbol.to_owned(), at, value))
}
