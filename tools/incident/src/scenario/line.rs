//! Commands as lines of text: a word for the command, then what it says as `key=value`. A value with a space,
//! a quote or bytes that are no text stands in quotes, with `\xHH` for what can't be seen.

use std::{
    collections::HashMap,
    fmt::{Debug, Display, Write as _},
};

use ironbook_engine::{
    Account, ClOrdId, Command, CompId, Engine, EngineLimits, InstrumentId, InstrumentStatus,
    OrdType, OrderId, SessionId, Side, SideFilter, Symbol, Text, TimeInForce, Timestamp,
    TradingStatus,
    command::{
        CancelOnDisconnect, CancelOrder, DefineInstrument, DefineSession, MassCancel, NewOrder,
        OrderTerms, Origin, QueryOrder, ReplaceOrder, RiskLimits, SetInstrumentStatus,
        SetRiskLimits, SetTradingStatus,
    },
    domain::{DisconnectCause, DisconnectScope},
};
use ironbook_fix::field::Decimal;
use ironbook_gateway::config::notional;

use crate::{
    show::{number, risk_limits},
    whatif::NO_ORDER,
};

/// What a line calls things: sessions and instruments as an engine knows them, orders by number.
pub(super) struct Known<'a> {
    /// None before the first command.
    pub engine: Option<&'a Engine>,
    /// OrderIDs by number, from 1.
    pub orders: &'a [OrderId],
    /// The same the other way.
    pub by_id: &'a HashMap<OrderId, u64>,
}

/// A line that is being written.
struct Words(String);

impl Words {
    fn put(mut self, key: &str, value: impl Display) -> Self {
        let _ = write!(self.0, " {key}={value}");
        self
    }

    fn code(self, key: &str, code: impl Debug) -> Self {
        let word = format!("{code:?}");
        self.put(key, word)
    }

    fn text<const N: usize>(self, key: &str, text: &Text<N>) -> Self {
        if text.is_empty() { self } else { self.put(key, quoted(text.as_bytes())) }
    }

    fn session(self, session: SessionId, known: &Known<'_>) -> Self {
        if session == SessionId::VENUE { self } else { self.of(session, known) }
    }

    /// The session that something is done to.
    fn of(self, session: SessionId, known: &Known<'_>) -> Self {
        let view = known.engine.and_then(|engine| engine.session(session));
        match view {
            Some(view) if !view.comp_id.is_empty() => self.text("session", &view.comp_id),
            _ => self.put("session", format_args!("#{session}")),
        }
    }

    fn symbol(self, instrument: InstrumentId, known: &Known<'_>) -> Self {
        let view = known.engine.and_then(|engine| engine.instrument(instrument));
        match view {
            _ if instrument == InstrumentId::NONE => self,
            Some(view) => self.text("symbol", &view.definition.symbol),
            None => self.put("symbol", format_args!("#{instrument}")),
        }
    }

    /// An order by its number; 0 where it was never accepted here.
    fn order(self, order_id: OrderId, known: &Known<'_>) -> Self {
        if order_id == OrderId::NONE {
            return self;
        }
        let number = known.by_id.get(&order_id).copied().unwrap_or_default();
        self.put("order", format_args!("#{number}"))
    }

    fn terms(self, (qty, qty_scale): (i64, u8), price: Option<(i64, u8)>) -> Self {
        let words = self.put("qty", number(qty, qty_scale));
        match price {
            Some((price, scale)) => words.put("price", number(price, scale)),
            None => words,
        }
    }
}

/// Bytes as a value.
fn quoted(bytes: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"\\#".contains(byte);
    if bytes.iter().all(is_plain) && !bytes.is_empty() {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let mut text = "\"".to_owned();
    for &byte in bytes {
        match byte {
            b' '..=b'~' if !b"\"\\".contains(&byte) => text.push(byte as char),
            _ => drop(write!(text, "\\x{byte:02x}")),
        }
    }
    text + "\""
}

/// A command as a line.
pub(super) fn write(command: &Command, known: &Known<'_>) -> String {
    let words = |word: &str| Words(word.to_owned());
    let words = match command {
        Command::Limits(limits) => words("limits")
            .put("orders_max", limits.orders_max)
            .put("instruments_max", limits.instruments_max)
            .put("sessions_max", limits.sessions_max)
            .put("closed_orders_kept", limits.closed_orders_kept),
        Command::DefineInstrument(of) => words("instrument")
            .put("id", of.instrument)
            .text("symbol", &of.symbol)
            .put("tick", number(of.tick, of.price_scale))
            .put("lot", number(of.lot, of.qty_scale))
            .put("price_max", number(of.price_max, of.price_scale))
            .put("qty_max", number(of.order_qty_max, of.qty_scale)),
        Command::DefineSession(of) => {
            words("session").put("id", of.session).text("comp_id", &of.comp_id)
        }
        Command::SetInstrumentStatus(of) => words("status")
            .session(of.origin.session, known)
            .symbol(of.instrument, known)
            .code("status", of.status),
        Command::NewOrder(of) => words("new")
            .session(of.origin.session, known)
            .text("id", &of.cl_ord_id)
            .code("side", of.side)
            .symbol(of.instrument, known)
            .text("unknown_symbol", &of.unknown_symbol)
            .code("type", of.ord_type)
            .terms(
                (of.order_qty, of.qty_scale),
                (of.ord_type == OrdType::Limit).then_some((of.price, of.price_scale)),
            )
            .code("tif", of.time_in_force)
            .text("account", &of.account),
        Command::ReplaceOrder(of) => words("replace")
            .session(of.origin.session, known)
            .text("id", &of.cl_ord_id)
            .order(of.order_id, known)
            .text("orig", &of.orig_cl_ord_id)
            .code("side", of.side)
            .symbol(of.instrument, known)
            .code("type", of.ord_type)
            .terms((of.order_qty, of.qty_scale), Some((of.price, of.price_scale))),
        Command::CancelOrder(of) => words("cancel")
            .session(of.origin.session, known)
            .text("id", &of.cl_ord_id)
            .order(of.order_id, known)
            .text("orig", &of.orig_cl_ord_id)
            .code("side", of.side)
            .symbol(of.instrument, known),
        Command::MassCancel(of) => words("mass-cancel")
            .session(of.origin.session, known)
            .text("id", &of.cl_ord_id)
            .code("side", of.side)
            .symbol(of.instrument, known)
            .put("request_type", of.request_type),
        Command::QueryOrder(of) => words("query")
            .session(of.origin.session, known)
            .text("id", &of.cl_ord_id)
            .order(of.order_id, known)
            .code("side", of.side)
            .symbol(of.instrument, known)
            .text("unknown_symbol", &of.unknown_symbol)
            .text("req", &of.ord_status_req_id),
        Command::CancelOnDisconnect(of) => words("disconnect")
            .session(of.origin.session, known)
            .code("cause", of.cause)
            .code("scope", of.scope),
        Command::SetRiskLimits(of) => {
            let words = words("risk").of(of.session, known);
            risk_limits(&of.limits)
                .into_iter()
                .fold(words, |words, (key, limit)| words.put(key, limit))
        }
        Command::SetTradingStatus(of) => words("trading")
            .of(of.session, known)
            .code("status", of.status)
            .text("reason", &of.reason),
    };
    words.0
}

/// A line, split.
struct Fields {
    /// Keys and values; each is taken once.
    left: Vec<(String, Vec<u8>)>,
}

impl Fields {
    fn split(mut rest: &str) -> Result<Self, String> {
        let mut left = Vec::new();
        while let Some((key, value)) = rest.trim_start().split_once('=') {
            let (bytes, after) = value_of(value).ok_or_else(|| format!("{key}: no such value"))?;
            left.push((key.to_owned(), bytes));
            rest = after;
        }
        match rest.trim() {
            "" => Ok(Self { left }),
            word => Err(format!("{word:?}: KEY=VALUE is expected")),
        }
    }

    fn bytes(&mut self, key: &str) -> Option<Vec<u8>> {
        let at = self.left.iter().position(|(other, _)| other == key)?;
        Some(self.left.swap_remove(at).1)
    }

    fn word(&mut self, key: &str) -> Result<String, String> {
        let bytes = self.bytes(key).ok_or_else(|| format!("{key} is missing"))?;
        String::from_utf8(bytes).map_err(|_| format!("{key} is no text"))
    }

    fn number<T: std::str::FromStr>(&mut self, key: &str) -> Result<T, String> {
        let word = self.word(key)?;
        word.parse().map_err(|_| format!("{key}={word} is no such number"))
    }

    fn decimal(&mut self, key: &str) -> Result<(i64, u8), String> {
        let word = self.word(key)?;
        let decimal = Decimal::parse(word.as_bytes());
        let decimal = decimal.map_err(|_| format!("{key}={word} is no decimal"))?;
        Ok((decimal.mantissa, decimal.scale))
    }

    /// A decimal above 0, in its own scale.
    fn positive(&mut self, key: &str) -> Result<Decimal, String> {
        let (mantissa, scale) = self.decimal(key)?;
        let decimal = Decimal::new(mantissa, scale);
        if mantissa > 0 { Ok(decimal) } else { Err(format!("{key}={decimal} is not above 0")) }
    }

    /// The mantissa of a decimal above 0 in this scale.
    fn positive_in(&mut self, key: &str, scale: u8) -> Result<i64, String> {
        let decimal = self.positive(key)?;
        decimal.rescale(scale).ok_or_else(|| {
            format!("{key}={decimal}: no more than {scale} decimals, and 18 digits with those")
        })
    }

    fn code<T: Copy + Debug>(&mut self, key: &str, all: &[T]) -> Result<T, String> {
        let word = self.word(key)?;
        let found = all.iter().find(|code| format!("{code:?}") == word);
        found.copied().ok_or_else(|| format!("{key}={word}: give one of {all:?}"))
    }

    fn text<const N: usize>(&mut self, key: &str) -> Result<Text<N>, String> {
        let bytes = self.bytes(key).unwrap_or_default();
        Text::try_from(&*bytes).map_err(|error| format!("{key}: {error}"))
    }

    /// A notional; 0 where there is none.
    fn notional(&mut self, key: &str) -> Result<i64, String> {
        let Some(bytes) = self.bytes(key) else { return Ok(0) };
        let word = String::from_utf8_lossy(&bytes).into_owned();
        notional(&word).ok_or_else(|| format!("{key}={word} is no notional"))
    }

    /// A whole number; 0 where there is none.
    fn count(&mut self, key: &str) -> Result<u32, String> {
        if self.left.iter().any(|(other, _)| other == key) { self.number(key) } else { Ok(0) }
    }

    fn risk_limits(&mut self) -> Result<RiskLimits, String> {
        Ok(RiskLimits {
            order_notional: self.notional("order_notional")?,
            open_notional: self.notional("open_notional")?,
            traded_notional: self.notional("traded_notional")?,
            loss: self.notional("loss")?,
            open_orders: self.count("open_orders")?,
            price_deviation: self.count("price_deviation_bps")?,
            window_ms: self.count("window_ms")?,
            reserved: 0,
        })
    }

    fn origin(&mut self, known: &Known<'_>) -> Result<Origin, String> {
        let session = match self.left.iter().any(|(key, _)| key == "session") {
            false => SessionId::VENUE,
            true => {
                let name: CompId = self.text("session")?;
                let mut views = known.engine.into_iter().flat_map(|engine| engine.sessions());
                let found = views.find(|view| view.comp_id == name).map(|view| view.session);
                let by_id = || name.as_str().strip_prefix('#')?.parse().ok().map(SessionId);
                found.or_else(by_id).ok_or_else(|| format!("there is no session {name}"))?
            }
        };
        Ok(Origin::new(session, 0, Timestamp(0)))
    }

    fn instrument(&mut self, known: &Known<'_>) -> Result<InstrumentId, String> {
        let symbol: Symbol = self.text("symbol")?;
        if symbol.is_empty() {
            return Ok(InstrumentId::NONE);
        }
        let found = known.engine.and_then(|engine| engine.instrument_by_symbol(&symbol));
        let by_id = || symbol.as_str().strip_prefix('#')?.parse().ok().map(InstrumentId);
        let found = found.map(|view| view.definition.instrument).or_else(by_id);
        found.ok_or_else(|| format!("there is no symbol {symbol}"))
    }

    fn order(&mut self, known: &Known<'_>) -> Result<OrderId, String> {
        let Some(bytes) = self.bytes("order") else { return Ok(OrderId::NONE) };
        let word = String::from_utf8_lossy(&bytes).into_owned();
        let number = word.strip_prefix('#').and_then(|digits| digits.parse::<usize>().ok());
        match number.ok_or_else(|| format!("order={word}: give #N"))? {
            0 => Ok(NO_ORDER),
            number => {
                known.orders.get(number - 1).copied().ok_or_else(|| {
                    format!("order={word}: only {} were accepted", known.orders.len())
                })
            }
        }
    }
}

/// The first value of a text, and what comes behind it.
fn value_of(text: &str) -> Option<(Vec<u8>, &str)> {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find(' ').unwrap_or(text.len());
        return Some((text.as_bytes()[..end].to_vec(), &text[end..]));
    };
    let (inner, rest) = inner.split_once('"')?;
    let mut parts = inner.split("\\x");
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    Some((bytes, rest))
}

/// The command of a line.
pub(super) fn parse(line: &str, known: &Known<'_>) -> Result<Command, String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut fields = Fields::split(rest)?;
    let of = &mut fields;
    let command = match word {
        "limits" => Command::from(EngineLimits {
            orders_max: of.number("orders_max")?,
            instruments_max: of.number("instruments_max")?,
            sessions_max: of.number("sessions_max")?,
            closed_orders_kept: of.number("closed_orders_kept")?,
            state_hash_interval: 0,
            ..EngineLimits::default()
        }),
        "instrument" => {
            let id = InstrumentId(of.number("id")?);
            let symbol = of.text("symbol")?;
            let (tick, lot) = (of.positive("tick")?, of.positive("lot")?);
            let price_max = of.positive_in("price_max", tick.scale)?;
            let order_qty_max = of.positive_in("qty_max", lot.scale)?;
            let (tick, price_scale) = (tick.mantissa, tick.scale);
            let (lot, qty_scale) = (lot.mantissa, lot.scale);
            let of = DefineInstrument::new(id, symbol, price_scale, qty_scale, tick, lot);
            DefineInstrument { price_max, order_qty_max, ..of }.into()
        }
        "session" => DefineSession::new(SessionId(of.number("id")?), of.text("comp_id")?).into(),
        "status" => {
            let (origin, instrument) = (of.origin(known)?, of.instrument(known)?);
            let status = of.code("status", InstrumentStatus::ALL)?;
            SetInstrumentStatus::new(origin, instrument, status).into()
        }
        "new" => new_order(of, known)?.into(),
        "replace" => {
            let (origin, order_id) = (of.origin(known)?, of.order(known)?);
            let instrument = of.instrument(known)?;
            let terms = OrderTerms {
                side: of.code("side", Side::ALL)?,
                ord_type: of.code("type", OrdType::ALL)?,
                time_in_force: TimeInForce::Day,
                price: of.decimal("price")?,
                order_qty: of.decimal("qty")?,
            };
            let ids: (ClOrdId, ClOrdId) = (of.text("id")?, of.text("orig")?);
            ReplaceOrder::new(origin, order_id, instrument, terms, ids).into()
        }
        "cancel" => {
            let (origin, order_id) = (of.origin(known)?, of.order(known)?);
            let (instrument, side) = (of.instrument(known)?, of.code("side", Side::ALL)?);
            let (id, orig) = (of.text("id")?, of.text("orig")?);
            CancelOrder::new(origin, order_id, instrument, side, id, orig).into()
        }
        "mass-cancel" => {
            let (origin, instrument) = (of.origin(known)?, of.instrument(known)?);
            let side = of.code("side", SideFilter::ALL)?;
            let request_type = of.number("request_type")?;
            MassCancel::new(origin, instrument, side, request_type, of.text("id")?).into()
        }
        "query" => {
            let (origin, order_id) = (of.origin(known)?, of.order(known)?);
            let (instrument, side) = (of.instrument(known)?, of.code("side", Side::ALL)?);
            let query = QueryOrder::new(origin, order_id, instrument, side, of.text("id")?);
            let (unknown_symbol, ord_status_req_id) = (of.text("unknown_symbol")?, of.text("req")?);
            QueryOrder { unknown_symbol, ord_status_req_id, ..query }.into()
        }
        "disconnect" => {
            let session = of.origin(known)?.session;
            let cause = of.code("cause", DisconnectCause::ALL)?;
            let scope = of.code("scope", DisconnectScope::ALL)?;
            CancelOnDisconnect::new(session, Timestamp(0), cause, scope).into()
        }
        "risk" => {
            let session = of.origin(known)?.session;
            SetRiskLimits::new(Origin::venue(Timestamp(0)), session, of.risk_limits()?).into()
        }
        "trading" => {
            let session = of.origin(known)?.session;
            let status = of.code("status", TradingStatus::ALL)?;
            let reason = of.text("reason")?;
            SetTradingStatus::new(Origin::venue(Timestamp(0)), session, status, reason).into()
        }
        _ => return Err(format!("{word:?} is no command")),
    };
    match fields.left.first() {
        Some((key, _)) => Err(format!("{key} has no meaning for {word}")),
        None => Ok(command),
    }
}

fn new_order(of: &mut Fields, known: &Known<'_>) -> Result<NewOrder, String> {
    let (origin, instrument) = (of.origin(known)?, of.instrument(known)?);
    let ord_type = of.code("type", OrdType::ALL)?;
    let terms = OrderTerms {
        side: of.code("side", Side::ALL)?,
        ord_type,
        time_in_force: of.code("tif", TimeInForce::ALL)?,
        price: match ord_type {
            OrdType::Limit => of.decimal("price")?,
            OrdType::Market => (0, 0),
        },
        order_qty: of.decimal("qty")?,
    };
    let account: Account = of.text("account")?;
    let mut order = NewOrder::new(origin, instrument, terms, account, of.text("id")?);
    order.unknown_symbol = of.text("unknown_symbol")?;
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_there_and_back() {
        for bytes in [&b"plain"[..], b"", b"a b", b"a\"b\\", b"\xff\x80", b"#1", b"x=1"] {
            let text = quoted(bytes);
            assert_eq!(
                value_of(&format!("{text} rest")),
                Some((bytes.to_vec(), " rest")),
                "{text}"
            );
        }
        for wrong in ["\"open", "\"\\x4\"", "\"\\xzz\""] {
            assert_eq!(value_of(wrong), None, "{wrong}");
        }
    }
}
