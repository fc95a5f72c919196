//! What may be other than it was: `KEY=VALUE`.

use std::fmt::Write as _;

use ironbook_engine::{
    Command, Engine, EngineLimits, SessionId, Timestamp,
    command::{DefineInstrument, Origin, RISK_WINDOW_MS_MAX, RiskLimits, SetRiskLimits, TICKS_MAX},
};
use ironbook_fix::field::Decimal;
use ironbook_gateway::{
    config::{RISK_WINDOW_MS, notional},
    session_throttles::SessionThrottles,
    sessions::SessionTable,
    throttle::{ThrottleAction, ThrottleTerms},
};

use super::throttles::{Firms, Terms, Throttles};
use crate::{Fault, place::session};

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

/// A risk limit of a session.
enum RiskField {
    /// An amount, written as in the configuration.
    Notional(fn(&mut RiskLimits) -> &mut i64),
    /// A whole number.
    Count(fn(&mut RiskLimits) -> &mut u32),
}

impl RiskField {
    /// Sets it; none when the text is no such number.
    fn set(&self, limits: &mut RiskLimits, text: &str) -> Option<()> {
        match self {
            Self::Notional(field) => *field(limits) = notional(text)?,
            Self::Count(field) => *field(limits) = text.parse().ok()?,
        }
        Some(())
    }
}

/// The key of the window that two of them are counted over, which can't be left out.
const WINDOW: &str = "window_ms";

/// Risk limits, by the keys that the configuration has for them.
const RISK: [(&str, &str, RiskField); 7] = [
    (
        "order_notional",
        "largest price x quantity of an order, of each session; 0 for no limit",
        RiskField::Notional(|limits| &mut limits.order_notional),
    ),
    (
        "price_deviation_bps",
        "how far a price may be beyond the reference, in basis points",
        RiskField::Count(|limits| &mut limits.price_deviation),
    ),
    ("open_orders", "most live orders", RiskField::Count(|limits| &mut limits.open_orders)),
    (
        "open_notional",
        "largest sum of price x leaves of live orders",
        RiskField::Notional(|limits| &mut limits.open_notional),
    ),
    (
        "traded_notional",
        "what may be traded in window_ms before it trips",
        RiskField::Notional(|limits| &mut limits.traded_notional),
    ),
    (
        "loss",
        "what may be lost in window_ms before it trips",
        RiskField::Notional(|limits| &mut limits.loss),
    ),
    (
        WINDOW,
        "milliseconds, 1 to 86,400,000; 60,000 where there was no window",
        RiskField::Count(|limits| &mut limits.window_ms),
    ),
];

/// Numbers of a throttle, as the configuration has them.
const RATE: &str = "orders_per_second";
const BURST: &str = "orders_burst";
/// What a throttle does, which can't be chosen here.
const ACTION: &str = "throttle";

/// Keys of throttles.
const THROTTLES: [(&str, &str); 8] = [
    (
        "session.orders_per_second",
        "new orders and replaces in a second, of each session; 0 for no bound",
    ),
    ("session.orders_burst", "how many of them at once after a pause; 0: as many as in a second"),
    ("COMPID.orders_per_second", "the same of one session, before that of each"),
    ("COMPID.orders_burst", ""),
    ("firm.orders_per_second", "of all sessions of a firm together, for each firm"),
    ("firm.orders_burst", ""),
    ("firm.NAME.orders_per_second", "of one firm, before that of each"),
    ("firm.NAME.orders_burst", ""),
];

/// All keys with their meaning, a line each.
pub fn keys() -> String {
    let limits = LIMITS.map(|(key, meaning, _)| (key.to_owned(), meaning));
    let terms = TERMS.map(|(key, meaning, ..)| (format!("SYMBOL.{key}"), meaning));
    let throttles = THROTTLES.map(|(key, meaning)| (key.to_owned(), meaning));
    let mut text = String::new();
    let risk = RISK.map(|(key, meaning, _)| (format!("session.{key}"), meaning));
    let of_one = RISK.map(|(key, ..)| (format!("COMPID.{key}"), ""));
    let risk = risk.into_iter().chain(of_one);
    for (key, meaning) in limits.into_iter().chain(terms).chain(throttles).chain(risk) {
        let _ = writeln!(text, "{}", format!("  {key:<28} {meaning}").trim_end());
    }
    text
}

/// Whose throttle or risk limit.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whose {
    EachSession,
    Session(SessionId),
    EachFirm,
    Firm(String),
}

/// A setting, understood.
#[derive(Clone, Debug)]
enum Setting {
    Limit(usize, u32),
    /// Of the instrument with this symbol.
    Term(String, usize, Decimal),
    /// [`RATE`] or [`BURST`] of a throttle.
    Throttle(Whose, &'static str, u32),
    /// One of [`RISK`], and the number that it gets.
    Risk(Whose, usize, String),
}

impl Setting {
    /// Whether it is a risk limit of this session.
    fn is_risk_of(&self, session: SessionId) -> bool {
        matches!(self, Self::Risk(whose, ..) if *whose == Whose::EachSession || *whose == Whose::Session(session))
    }
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
            Command::SetRiskLimits(command) => {
                command.limits = self.risk_limits(command.session, command.limits);
                self.check(command.limits.is_valid(), "no session can have")
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
            Setting::Limit(..) | Setting::Throttle(..) | Setting::Risk(..) => false,
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

    /// The risk limits of a session that has these without the settings.
    fn risk_limits(&self, session: SessionId, mut limits: RiskLimits) -> RiskLimits {
        // Those of one session go before those of each.
        for wanted in [Whose::EachSession, Whose::Session(session)] {
            for (_, setting) in &self.0 {
                if let Setting::Risk(whose, at, text) = setting
                    && *whose == wanted
                {
                    RISK[*at].2.set(&mut limits, text).expect("a number that was tried");
                }
            }
        }
        if limits.window_ms == 0 && (limits.traded_notional > 0 || limits.loss > 0) {
            limits.window_ms = RISK_WINDOW_MS;
        }
        limits
    }

    /// The command that gives a session of an engine the risk limits that the settings make of its own, if
    /// these are others.
    ///
    /// # Errors
    /// [`Fault::Question`]: no session can have such limits.
    pub(super) fn limit(
        &self,
        engine: &Engine,
        session: SessionId,
    ) -> Result<Option<Command>, Fault> {
        let Some(view) = engine.session(session) else { return Ok(None) };
        let limits = self.risk_limits(session, view.risk.limits);
        self.check(limits.is_valid(), "no session can have")?;
        let origin = Origin::venue(Timestamp(0));
        let command = SetRiskLimits::new(origin, session, limits);
        Ok((limits != view.risk.limits).then(|| command.into()))
    }

    /// Throttles that somebody set, of the sessions that are known and of firms; parts that nobody set are what
    /// `journaled` says. Which sessions are of a firm it says too, if `firms` does not.
    ///
    /// # Errors
    /// [`Fault::Question`]: no throttle has such numbers, or nothing tells whose firms are meant.
    pub(super) fn throttles(
        &self,
        names: &Engine,
        journaled: &SessionTable,
        firms: Option<&Firms>,
    ) -> Result<Throttles, Fault> {
        let of = |session| journaled.get(session).map(|numbers| &numbers.throttles);
        self.check_use_of(firms)?;
        let found = firms.cloned().unwrap_or_else(|| journaled_firms(names, of));
        self.check_firms(&found, firms.is_some())?;
        let mut of_sessions = Vec::new();
        for view in names.sessions() {
            let (one, name) = (Whose::Session(view.session), view.comp_id.to_string());
            let known = of(view.session).and_then(|throttles| throttles.own);
            let whose = (&one, &Whose::EachSession);
            let terms = self.terms(whose, known, &format!("session {name}"))?;
            of_sessions.extend(terms.map(|terms| (view.session, name, terms)));
        }
        let mut of_firms = Vec::new();
        for (name, comp_ids) in found {
            let one = Whose::Firm(name.clone());
            // Those that the journal does not know have sent nothing.
            let members = comp_ids.iter().filter_map(|comp_id| session(names, comp_id).ok());
            let members: Vec<_> = members.collect();
            let firms = members.iter().filter_map(|session| of(*session)?.firm.as_ref());
            let known = firms.filter(|firm| firm.name == name).find_map(|firm| firm.terms);
            let terms = self.terms((&one, &Whose::EachFirm), known, &format!("firm {name}"))?;
            of_firms.extend(terms.map(|terms| (name, members, terms)));
        }
        Ok(Throttles::new(of_sessions, of_firms))
    }

    /// The terms of one throttle, if somebody set a part of it; what is said of one goes before what is said of
    /// each. A burst that was as many as in a second stays so.
    fn terms(
        &self,
        (one, each): (&Whose, &Whose),
        journaled: Option<ThrottleTerms>,
        whose: &str,
    ) -> Result<Option<Terms>, Fault> {
        let last = |of: &Whose, key: &str| {
            self.0.iter().rev().find_map(|(_, setting)| match setting {
                Setting::Throttle(whose, part, number) if whose == of && *part == key => {
                    Some(*number)
                }
                _ => None,
            })
        };
        let set = |key| last(one, key).or_else(|| last(each, key));
        let (rate, burst) = match (set(RATE), set(BURST)) {
            (None, None) => return Ok(None),
            (rate, burst) => {
                let known = |of: fn(&ThrottleTerms) -> u32| journaled.as_ref().map_or(0, of);
                let own_burst = |terms: &ThrottleTerms| match terms.burst {
                    burst if burst == terms.per_second => 0,
                    burst => burst,
                };
                // Without a bound there is nothing at once either.
                let kept = || if rate == Some(0) { 0 } else { known(own_burst) };
                let burst = burst.unwrap_or_else(kept);
                (rate.unwrap_or_else(|| known(|terms| terms.per_second)), burst)
            }
        };
        let terms = ThrottleTerms::configured(rate, burst, ThrottleAction::Reject)
            .map_err(|error| Fault::Question(format!("{whose}: {error}")))?;
        Ok(terms.map(|terms| Terms { terms, journaled }))
    }

    /// The settings about firms, each as it was written.
    fn about_firms(&self) -> impl Iterator<Item = (&str, &Whose)> {
        self.0.iter().filter_map(|(word, setting)| match setting {
            Setting::Throttle(whose @ (Whose::EachFirm | Whose::Firm(_)), ..) => {
                Some((word.as_str(), whose))
            }
            _ => None,
        })
    }

    /// Refuses firms of a configuration that no key is about.
    fn check_use_of(&self, firms: Option<&Firms>) -> Result<(), Fault> {
        if firms.is_some() && self.about_firms().next().is_none() {
            return Err(Fault::Question(format!(
                "the configuration tells which sessions are of a firm, and nothing else of it is used; give \
                 --set firm.{RATE}=N beside it, or leave --config out"
            )));
        }
        Ok(())
    }

    /// Refuses keys of firms that nobody knows.
    fn check_firms(&self, firms: &Firms, are_configured: bool) -> Result<(), Fault> {
        for (word, whose) in self.about_firms() {
            let is_known = match whose {
                Whose::Firm(name) => firms.contains_key(name),
                _ => !firms.is_empty(),
            };
            if is_known {
                continue;
            }
            let known = firms.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
            let known = if known.is_empty() { "no firms" } else { &known };
            return Err(Fault::Question(if are_configured {
                format!(
                    "{word}: no [[session]] of the configuration is of that firm; it has {known}"
                )
            } else {
                format!(
                    "{word}: the journal says of no session that it is of that firm; it has {known}. One of before \
                     firms were journaled has none: give the venue's configuration with --config FILE"
                )
            }));
        }
        Ok(())
    }

    /// The commands that change an engine which is there already, where there is something to change.
    ///
    /// # Errors
    /// [`Fault::Question`]: it can't be changed any more.
    pub(super) fn late(&self, engine: &Engine) -> Result<Vec<Command>, Fault> {
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
        for view in engine.sessions().filter(|view| view.risk.trip.is_some()) {
            if let Some((word, _)) =
                self.0.iter().find(|(_, setting)| setting.is_risk_of(view.session))
            {
                return Err(Fault::Question(format!(
                    "{word}: {} is tripped before --from, and stays so under other limits; {begin}",
                    view.comp_id
                )));
            }
        }
        let sessions = engine.sessions().map(|view| self.limit(engine, view.session));
        let mut commands: Vec<Command> =
            sessions.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        let mut limits = *engine.limits();
        self.change_limits(&mut limits);
        if limits != *engine.limits() {
            self.check(limits.is_valid(), "no engine can have")?;
            let grows = limits.only_grow(engine.limits());
            self.check(grows, &format!("limits of an engine that runs only grow; {begin}:"))?;
            commands.push(limits.into());
        }
        Ok(commands)
    }
}

/// Firms with the comp ids of their sessions, as a journal says it.
fn journaled_firms<'t>(
    names: &Engine,
    of: impl Fn(SessionId) -> Option<&'t SessionThrottles>,
) -> Firms {
    let mut firms = Firms::new();
    for view in names.sessions() {
        if let Some(firm) = of(view.session).and_then(|throttles| throttles.firm.as_ref()) {
            firms.entry(firm.name.clone()).or_default().push(view.comp_id.to_string());
        }
    }
    firms
}

fn parse(word: &str, names: &Engine) -> Result<Setting, Fault> {
    let unknown = || {
        let symbols: Vec<_> =
            names.instruments().map(|view| view.definition.symbol.to_string()).collect();
        let comp_ids: Vec<_> = names.sessions().map(|view| view.comp_id.to_string()).collect();
        Fault::Question(format!(
            "{word}: there is no such key; there are\n{}  with the symbols {}\n  and the comp ids {}",
            keys(),
            symbols.join(" "),
            comp_ids.join(" ")
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
    if term == ACTION {
        return Err(Fault::Question(format!(
            "{word}: a throttle refuses here, as one that delays is not simulated; leave this out"
        )));
    }
    if let Some(part) = [RATE, BURST].into_iter().find(|part| *part == term) {
        let number = value.parse().map_err(|_| no_number("whole number"))?;
        let whose = whose(symbol, names).map_err(|fault| {
            Fault::Question(format!(
                "{word}: {fault}; session.{part} is for each of them, firm.NAME.{part} for a firm"
            ))
        })?;
        return Ok(Setting::Throttle(whose, part, number));
    }
    if let Some(at) = RISK.iter().position(|(name, ..)| *name == term) {
        let mut alone = RiskLimits::NONE;
        RISK[at].2.set(&mut alone, value).ok_or_else(|| no_number("such limit"))?;
        if term == WINDOW && !(1..=RISK_WINDOW_MS_MAX).contains(&alone.window_ms) {
            return Err(Fault::Question(format!(
                "{word}: a window is 1 to {RISK_WINDOW_MS_MAX} milliseconds long; for no limit on what happens in it \
                 give --set {symbol}.traded_notional=0 --set {symbol}.loss=0"
            )));
        }
        let whose = whose(symbol, names)
            .ok()
            .filter(|whose| matches!(whose, Whose::EachSession | Whose::Session(_)));
        let whose = whose.ok_or_else(|| {
            Fault::Question(format!(
                "{word}: risk limits are of a session; give session.{term} for each, or COMPID.{term}"
            ))
        })?;
        return Ok(Setting::Risk(whose, at, value.to_owned()));
    }
    let is_known = names.instruments().any(|view| view.definition.symbol.as_str() == symbol);
    let at = TERMS.iter().position(|(name, ..)| *name == term).filter(|_| is_known);
    let at = at.ok_or_else(unknown)?;
    let value = Decimal::parse(value.as_bytes()).map_err(|_| no_number("number"))?;
    Ok(Setting::Term(symbol.to_owned(), at, value))
}

/// Whose throttle or risk limit a key means by what stands before the last point.
fn whose(word: &str, names: &Engine) -> Result<Whose, Fault> {
    Ok(match word {
        "session" => Whose::EachSession,
        "firm" => Whose::EachFirm,
        other => match other.strip_prefix("firm.") {
            Some(name) => Whose::Firm(name.to_owned()),
            None => Whose::Session(session(names, other)?),
        },
    })
}
