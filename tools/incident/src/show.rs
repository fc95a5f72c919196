//! Frames in the words of FIX.

use ironbook_engine::domain::DisconnectCause;
use ironbook_engine::{
    ClOrdId, Command, Engine, Event, ExecType, InstrumentId, OrdType, OrderId, ReasonText,
    Sequence, SessionId, SideFilter, Timestamp,
    command::{NOTIONAL_SCALE, RiskLimits},
    domain::ExecReason,
    event::{CancelRejected, Execution, OrderRejected, SessionTripped},
};
use ironbook_fix::{
    encode::{Body, Writer},
    field::{Decimal, TimestampText},
    message::MsgType,
    version::ApplVerId,
};
use ironbook_gateway::{
    operator::{ALL, OperatorRecord},
    session_record::{Copies, SessionRecord},
    symbols::SymbolTable,
    throttle::{ThrottleAction, ThrottleScope, ThrottleTerms},
    translate::{MessageVisitor, exec_reason_text, reject_text, report},
};
use ironbook_journal::Frame;
use serde_json::{Map, Value, json};

use crate::text::{decimal, signed_decimal, utc};

/// A frame, decoded.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its sequence.
    pub sequence: u64,
    /// Its time in ns since 1970.
    pub time_ns: u64,
    /// What it holds.
    pub content: Content,
}

/// What a frame holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// An input of the engine.
    Command(Box<Command>),
    /// What the engine made of it.
    Event(Box<Event>),
    /// A record of a session.
    Session(SessionRecord),
    /// A frame of no kind that this program writes.
    Unknown {
        /// Its kind.
        kind: u16,
        /// Bytes of its payload.
        bytes: usize,
    },
}

impl Content {
    /// What a frame of this kind holds.
    pub fn decode(kind: u16, payload: &[u8]) -> Self {
        let decoded = if Command::is_kind(kind) {
            Command::decode(kind, payload).ok().map(|command| Self::Command(Box::new(command)))
        } else if Event::is_kind(kind) {
            Event::decode(kind, payload).ok().map(|event| Self::Event(Box::new(event)))
        } else {
            SessionRecord::decode(kind, payload).map(Self::Session)
        };
        decoded.unwrap_or(Self::Unknown { kind, bytes: payload.len() })
    }
}

/// The symbol of an instrument, for people.
pub fn symbol(engine: &Engine, instrument: InstrumentId) -> String {
    match engine.instrument(instrument) {
        Some(view) => view.definition.symbol.to_string(),
        None if instrument == InstrumentId::NONE => "any symbol".to_owned(),
        None => format!("instrument {instrument}"),
    }
}

/// The comp id of a session, for people.
pub fn comp_id(engine: &Engine, session: SessionId) -> String {
    match engine.session(session) {
        Some(view) => view.comp_id.to_string(),
        None if session == SessionId::VENUE => "the venue".to_owned(),
        None => format!("session {session}"),
    }
}

/// A price or quantity that a record holds.
pub fn number(mantissa: i64, scale: u8) -> String {
    signed_decimal(mantissa.into(), scale)
}

impl Entry {
    /// A frame as it was read.
    pub fn of(frame: &Frame<'_>) -> Self {
        let content = Content::decode(frame.kind, frame.payload);
        Self { sequence: frame.sequence, time_ns: frame.time_ns, content }
    }

    /// What FIX calls it.
    pub fn name(&self) -> &'static str {
        match &self.content {
            Content::Command(command) => match &**command {
                Command::NewOrder(_) => "NewOrderSingle",
                Command::CancelOrder(_) => "OrderCancelRequest",
                Command::ReplaceOrder(_) => "OrderCancelReplaceRequest",
                Command::MassCancel(_) => "OrderMassCancelRequest",
                Command::QueryOrder(_) => "OrderStatusRequest",
                other => other.name(),
            },
            Content::Event(event) => match &**event {
                Event::Execution(_) | Event::OrderRejected(_) => "ExecutionReport",
                Event::CancelRejected(_) => "OrderCancelReject",
                Event::MassCanceled(_) => "OrderMassCancelReport",
                other => other.name(),
            },
            Content::Session(_) => "Session",
            Content::Unknown { .. } => "unknown",
        }
    }

    /// What it says, for people; `engine` knows symbols and comp ids.
    pub fn text(&self, engine: &Engine) -> String {
        match &self.content {
            Content::Command(command) => command_text(command, engine),
            Content::Event(event) => event_text(event, engine),
            Content::Session(record) => session_text(record, engine),
            Content::Unknown { kind, bytes } => format!("kind {kind:#06x}, {bytes} bytes"),
        }
    }

    /// All of it, for programs. Prices and quantities are texts, so that no digit is lost.
    pub fn json(&self, engine: &Engine) -> Value {
        let known = engine.instruments().map(|view| view.definition);
        self.json_with(engine, &known.map(|known| (known.symbol, known.instrument)).collect())
    }

    /// The same with the symbols of the engine, for many frames.
    pub fn json_with(&self, engine: &Engine, symbols: &SymbolTable) -> Value {
        let mut fields = Map::new();
        fields.insert("sequence".into(), self.sequence.into());
        fields.insert("time_ns".into(), self.time_ns.into());
        fields.insert("time".into(), utc(self.time_ns).into());
        fields.insert("name".into(), self.name().into());
        let more = match &self.content {
            Content::Command(command) => command_json(command, engine),
            Content::Event(event) => event_json(event, engine),
            Content::Session(record) => session_json(record, engine),
            Content::Unknown { kind, .. } => json!({ "kind": kind }),
        };
        if let Value::Object(more) = more {
            fields.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
        }
        fields.insert("text".into(), self.text(engine).into());
        if let Some(fix) = self.fix(symbols) {
            fields.insert("fix".into(), fix.into());
        }
        Value::Object(fields)
    }

    /// The FIX 4.4 message that tells a client of it, from MsgType on and without MsgSeqNum, comp ids
    /// and SendingTime; `|` stands for SOH.
    fn fix(&self, symbols: &SymbolTable) -> Option<String> {
        let mut message = FixText(None);
        match &self.content {
            Content::Event(event) => {
                let (sequence, time) = (Sequence(self.sequence), Timestamp(self.time_ns));
                report(event, sequence, time, symbols, &mut message);
            }
            Content::Session(SessionRecord::Outbound { msg_type, body, .. }) => {
                message.set(msg_type, body);
            }
            _ => {}
        }
        message.0
    }
}

/// A message as text.
struct FixText(Option<String>);

impl FixText {
    fn set(&mut self, msg_type: &[u8], body: &[u8]) {
        let body = String::from_utf8_lossy(body).replace('\u{1}', "|");
        self.0 = Some(format!("35={}|{body}", String::from_utf8_lossy(msg_type)));
    }
}

impl MessageVisitor for FixText {
    fn typed<B: Body>(&mut self, message: &B) {
        let mut bytes = vec![0; message.len_max()];
        let mut writer = Writer::new(&mut bytes);
        message.write(&mut writer, &mut TimestampText::default(), ApplVerId::Fix44);
        let length = writer.len();
        self.set(B::MSG_TYPE.text().as_ref(), &bytes[..length]);
    }

    fn stored(&mut self, msg_type: MsgType, body: &[u8]) {
        self.set(msg_type.text().as_ref(), body);
    }

    fn nothing(&mut self) {}
}

fn price_text(ord_type: OrdType, price: String) -> String {
    match ord_type {
        OrdType::Market => "at market".to_owned(),
        OrdType::Limit => format!("at {price}"),
    }
}

/// How a request names its order.
fn named(order_id: OrderId, cl_ord_id: &ClOrdId) -> String {
    match order_id {
        OrderId::NONE => cl_ord_id.to_string(),
        known => format!("{cl_ord_id} (order {known})"),
    }
}

fn command_text(command: &Command, engine: &Engine) -> String {
    let from = command.origin().map(|origin| comp_id(engine, origin.session)).unwrap_or_default();
    let symbol = |instrument| symbol(engine, instrument);
    match command {
        Command::NewOrder(order) => {
            let name = match order.instrument {
                InstrumentId::NONE => format!("{} (unknown)", order.unknown_symbol),
                known => symbol(known),
            };
            format!(
                "{from} {}: {:?} {} {name} {}, {:?}",
                order.cl_ord_id,
                order.side,
                number(order.order_qty, order.qty_scale),
                price_text(order.ord_type, number(order.price, order.price_scale)),
                order.time_in_force,
            )
        }
        Command::CancelOrder(request) => format!(
            "{from} {}: cancel {}, {:?} {}",
            request.cl_ord_id,
            named(request.order_id, &request.orig_cl_ord_id),
            request.side,
            symbol(request.instrument),
        ),
        Command::ReplaceOrder(request) => format!(
            "{from} {}: replace {} by {:?} {} {} at {}",
            request.cl_ord_id,
            named(request.order_id, &request.orig_cl_ord_id),
            request.side,
            number(request.order_qty, request.qty_scale),
            symbol(request.instrument),
            number(request.price, request.price_scale),
        ),
        Command::MassCancel(request) => format!(
            "{from} {}: cancel all{} of {}",
            request.cl_ord_id,
            match request.side {
                SideFilter::Both => "",
                SideFilter::Buy => " buys",
                SideFilter::Sell => " sells",
            },
            symbol(request.instrument),
        ),
        Command::CancelOnDisconnect(command) => format!(
            "{from}: cancel {:?} orders, after {}",
            command.scope,
            cause_text(command.cause)
        ),
        Command::QueryOrder(request) => {
            format!("{from}: status of {}", named(request.order_id, &request.cl_ord_id))
        }
        Command::Limits(limits) => format!(
            "{} live orders, {} instruments, {} sessions, rules version {}",
            limits.orders_max, limits.instruments_max, limits.sessions_max, limits.rules_version
        ),
        Command::DefineInstrument(definition) => format!(
            "{}: tick {}, lot {}",
            definition.symbol,
            number(definition.tick, definition.price_scale),
            number(definition.lot, definition.qty_scale),
        ),
        Command::SetInstrumentStatus(request) => {
            format!("{from}: {} {:?}", symbol(request.instrument), request.status)
        }
        Command::DefineSession(definition) => {
            format!("session {}: {}", definition.session, definition.comp_id)
        }
        Command::SetRiskLimits(command) => format!(
            "{from}: risk limits of {}: {}",
            comp_id(engine, command.session),
            limits_text(&command.limits)
        ),
        Command::SetTradingStatus(command) => format!(
            "{from}: {} {:?}{}",
            comp_id(engine, command.session),
            command.status,
            because(&command.reason)
        ),
    }
}

/// Limits that there are, by the keys of the configuration.
fn limits_text(limits: &RiskLimits) -> String {
    let limits: Vec<_> =
        risk_limits(limits).into_iter().map(|(key, value)| format!("{key} {value}")).collect();
    if limits.is_empty() { "none".to_owned() } else { limits.join(", ") }
}

/// Risk limits that are not 0, by the keys that the configuration has for them.
pub fn risk_limits(limits: &RiskLimits) -> Vec<(&'static str, String)> {
    let notional = |notional: i64| number(notional, NOTIONAL_SCALE);
    let all = [
        ("order_notional", limits.order_notional, notional(limits.order_notional)),
        ("price_deviation_bps", limits.price_deviation.into(), limits.price_deviation.to_string()),
        ("open_orders", limits.open_orders.into(), limits.open_orders.to_string()),
        ("open_notional", limits.open_notional, notional(limits.open_notional)),
        ("traded_notional", limits.traded_notional, notional(limits.traded_notional)),
        ("loss", limits.loss, notional(limits.loss)),
        ("window_ms", limits.window_ms.into(), limits.window_ms.to_string()),
    ];
    let set = all.into_iter().filter(|&(_, limit, _)| limit != 0);
    set.map(|(key, _, text)| (key, text)).collect()
}

/// Why an operator did something, if he said so.
fn because(reason: &ReasonText) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}

fn event_text(event: &Event, engine: &Engine) -> String {
    match event {
        Event::Execution(event) => execution_text(event, engine),
        Event::OrderRejected(event) => format!(
            "Rejected to {} {}: {:?}: {}",
            comp_id(engine, event.session),
            event.cl_ord_id,
            event.reason,
            reject_text(event.reason, event.limit(), event.observed()),
        ),
        Event::CancelRejected(event) => format!(
            "{:?} refused to {} {} of {}: {:?}: {}",
            event.response_to,
            comp_id(engine, event.session),
            event.cl_ord_id,
            event.orig_cl_ord_id,
            event.reason,
            reject_text(event.reason, event.limit(), event.observed()),
        ),
        Event::MassCanceled(event) => format!(
            "{} orders to be canceled for {} {}",
            event.affected,
            comp_id(engine, event.session),
            event.cl_ord_id
        ),
        Event::StatusChanged(event) => {
            format!("{} is {:?}", symbol(engine, event.instrument), event.status)
        }
        Event::SessionTripped(event) => format!(
            "{} by trade {} of order {} in {}: {:?}: {}; {} orders to be canceled",
            comp_id(engine, event.session),
            event.trade_id,
            event.order_id,
            symbol(engine, event.instrument),
            event.rule,
            reject_text(event.rule, event.limit(), event.observed()),
            event.affected,
        ),
        Event::TradingStatusChanged(event) => format!(
            "{} is {:?}{}",
            comp_id(engine, event.session),
            event.status,
            because(&event.reason)
        ),
        Event::StateHashed(event) => format!(
            "state {:016x} after {} commands, {} live orders",
            event.state_hash, event.commands, event.live_orders
        ),
    }
}

fn execution_text(event: &Execution, engine: &Engine) -> String {
    let qty = |mantissa| number(mantissa, event.qty_scale);
    let price = |mantissa| number(mantissa, event.price_scale);
    let who =
        format!("{} {}, order {}", comp_id(engine, event.session), event.cl_ord_id, event.order_id);
    let what = match event.exec_type {
        ExecType::Trade => format!(
            "{:?} {} {} at {}, trade {} against order {}, {}",
            event.side,
            qty(event.last_qty),
            symbol(engine, event.instrument),
            price(event.last_px),
            event.trade_id,
            event.contra_order_id,
            match event.last_liquidity.code() {
                b'1' => "resting",
                _ => "aggressor",
            },
        ),
        _ => format!(
            "{:?} {} {} {}",
            event.side,
            qty(event.order_qty),
            symbol(engine, event.instrument),
            price_text(event.ord_type, price(event.price)),
        ),
    };
    let why = match exec_reason_text(event.reason) {
        Some(text) => format!(" ({})", String::from_utf8_lossy(text)),
        None => String::new(),
    };
    format!(
        "{:?} to {who}: {what}; {:?}, done {}, left {}{why}",
        event.exec_type,
        event.ord_status,
        qty(event.cum_qty),
        qty(event.leaves_qty),
    )
}

fn session_text(record: &SessionRecord, engine: &Engine) -> String {
    let who = comp_id(engine, record.session());
    match record {
        SessionRecord::Inbound { next, .. } => format!("{who}: MsgSeqNum {next} comes next"),
        SessionRecord::Outbound { msg_type, body, .. } => {
            let mut message = FixText(None);
            message.set(msg_type, body);
            format!("to {who}: {}", message.0.unwrap_or_default())
        }
        SessionRecord::Reset { .. } => format!("{who}: both sequence numbers start again at 1"),
        SessionRecord::Role { copies, .. } => match copies {
            Copies::None => format!("{who}: trades"),
            Copies::All => format!("{who}: drop copy of all sessions"),
            Copies::Of(sessions) => {
                let names: Vec<_> = sessions.iter().map(|id| comp_id(engine, *id)).collect();
                format!("{who}: drop copy of {}", names.join(", "))
            }
        },
        SessionRecord::Lost { cause, .. } => {
            format!("{who}: lost its connection by {}", cause_text(*cause))
        }
        SessionRecord::Throttle { scope, firm, terms, .. } => {
            format!("{who}: {}", throttle_text(*scope, firm, *terms))
        }
        SessionRecord::Operator(record) => {
            let OperatorRecord { action, name, reason, .. } = record;
            format!("operator {name}: {} {}: {reason}", action.name(), target(record, engine))
        }
    }
}

/// What an operator's action is about, as he named it.
pub(crate) fn target(record: &OperatorRecord, engine: &Engine) -> String {
    match (record.action.is_of_instruments(), record.instrument) {
        (false, _) => comp_id(engine, record.session),
        (true, InstrumentId::NONE) => ALL.to_owned(),
        (true, instrument) => symbol(engine, instrument),
    }
}

fn throttle_text(scope: ThrottleScope, firm: &str, terms: Option<ThrottleTerms>) -> String {
    let whose = match scope {
        ThrottleScope::Session => "it".to_owned(),
        ThrottleScope::Firm if firm.is_empty() => return "is of no firm".to_owned(),
        ThrottleScope::Firm => format!("is of the firm {firm}, whose sessions together"),
    };
    match terms {
        None => format!("{whose} may send any number of orders"),
        Some(terms) => {
            let beyond = match terms.action {
                ThrottleAction::Reject => "is refused",
                ThrottleAction::Delay => "waits",
            };
            format!("{whose} may send {terms}; one more {beyond}")
        }
    }
}

fn session_json(record: &SessionRecord, engine: &Engine) -> Value {
    let mut value = json!({ "session": comp_id(engine, record.session()) });
    if let SessionRecord::Throttle { scope, firm, terms, .. } = record {
        value["scope"] = scope.name().into();
        value["firm"] = Some(firm).filter(|firm| !firm.is_empty()).map(String::as_str).into();
        value["orders_per_second"] = terms.map(|terms| terms.per_second).into();
        value["orders_burst"] = terms.map(|terms| terms.burst).into();
        value["throttle"] = terms.map(|terms| terms.action.name()).into();
    }
    if let SessionRecord::Operator(record) = record {
        value["action"] = record.action.name().into();
        value["target"] = target(record, engine).into();
        value["by"] = record.name.as_str().into();
        value["reason"] = record.reason.as_str().into();
        value["commands"] = record.commands.into();
    }
    value
}

fn cause_text(cause: DisconnectCause) -> &'static str {
    match cause {
        DisconnectCause::Logout => "a Logout",
        DisconnectCause::Disconnect => "a disconnect",
        DisconnectCause::VenueDown => "the end of the venue",
    }
}

fn name_json(name: &ClOrdId) -> Value {
    if name.is_empty() { Value::Null } else { name.to_string().into() }
}

fn id_json(order_id: OrderId) -> Value {
    if order_id == OrderId::NONE { Value::Null } else { order_id.0.into() }
}

fn command_json(command: &Command, engine: &Engine) -> Value {
    let session = command.origin().map(|origin| comp_id(engine, origin.session));
    let msg_seq_num = command.origin().map(|origin| origin.msg_seq_num);
    let received_ns = command.origin().map(|origin| origin.received.0);
    let mut value = match command {
        Command::NewOrder(order) => json!({
            "symbol": symbol(engine, order.instrument),
            "side": format!("{:?}", order.side),
            "ord_type": format!("{:?}", order.ord_type),
            "time_in_force": format!("{:?}", order.time_in_force),
            "price": number(order.price, order.price_scale),
            "order_qty": number(order.order_qty, order.qty_scale),
            "cl_ord_id": name_json(&order.cl_ord_id),
            "account": order.account.to_string(),
        }),
        Command::CancelOrder(request) => json!({
            "symbol": symbol(engine, request.instrument),
            "side": format!("{:?}", request.side),
            "order_id": id_json(request.order_id),
            "cl_ord_id": name_json(&request.cl_ord_id),
            "orig_cl_ord_id": name_json(&request.orig_cl_ord_id),
        }),
        Command::ReplaceOrder(request) => json!({
            "symbol": symbol(engine, request.instrument),
            "side": format!("{:?}", request.side),
            "price": number(request.price, request.price_scale),
            "order_qty": number(request.order_qty, request.qty_scale),
            "order_id": id_json(request.order_id),
            "cl_ord_id": name_json(&request.cl_ord_id),
            "orig_cl_ord_id": name_json(&request.orig_cl_ord_id),
        }),
        Command::MassCancel(request) => json!({
            "symbol": symbol(engine, request.instrument),
            "cl_ord_id": name_json(&request.cl_ord_id),
        }),
        Command::CancelOnDisconnect(command) => json!({
            "cause": format!("{:?}", command.cause),
            "scope": format!("{:?}", command.scope),
        }),
        Command::QueryOrder(request) => json!({
            "order_id": id_json(request.order_id),
            "cl_ord_id": name_json(&request.cl_ord_id),
            "ord_status_req_id": name_json(&request.ord_status_req_id),
        }),
        Command::SetInstrumentStatus(request) => json!({
            "symbol": symbol(engine, request.instrument),
            "status": format!("{:?}", request.status),
        }),
        Command::SetRiskLimits(command) => {
            let limits = risk_limits(&command.limits).into_iter();
            json!({
                "limits_of": comp_id(engine, command.session),
                "limits": limits
                    .map(|(key, value)| (key.to_owned(), Value::from(value)))
                    .collect::<Map<_, _>>(),
            })
        }
        Command::SetTradingStatus(command) => json!({
            "status_of": comp_id(engine, command.session),
            "status": format!("{:?}", command.status),
            "reason": command.reason.to_string(),
        }),
        Command::Limits(_) | Command::DefineInstrument(_) | Command::DefineSession(_) => json!({}),
    };
    value["session"] = session.into();
    value["msg_seq_num"] = msg_seq_num.into();
    value["received_ns"] = received_ns.into();
    value
}

fn event_json(event: &Event, engine: &Engine) -> Value {
    match event {
        Event::Execution(event) => execution_json(event, engine),
        Event::OrderRejected(event) => json!({
            "session": comp_id(engine, event.session),
            "symbol": symbol(engine, event.instrument),
            "exec_type": format!("{:?}", event.exec_type),
            "side": format!("{:?}", event.side),
            "cl_ord_id": name_json(&event.cl_ord_id),
            "ord_status_req_id": name_json(&event.ord_status_req_id),
            "rule": format!("{:?}", event.reason),
            "limit": number(event.limit, event.limit_scale),
            "observed": number(event.observed, event.observed_scale),
        }),
        Event::CancelRejected(event) => json!({
            "session": comp_id(engine, event.session),
            "order_id": id_json(event.order_id),
            "ord_status": format!("{:?}", event.ord_status),
            "response_to": format!("{:?}", event.response_to),
            "cl_ord_id": name_json(&event.cl_ord_id),
            "orig_cl_ord_id": name_json(&event.orig_cl_ord_id),
            "rule": format!("{:?}", event.reason),
            "limit": number(event.limit, event.limit_scale),
            "observed": number(event.observed, event.observed_scale),
        }),
        Event::MassCanceled(event) => json!({
            "session": comp_id(engine, event.session),
            "affected": event.affected,
            "cl_ord_id": name_json(&event.cl_ord_id),
        }),
        Event::StatusChanged(event) => json!({
            "symbol": symbol(engine, event.instrument),
            "status": format!("{:?}", event.status),
        }),
        Event::SessionTripped(event) => json!({
            "session": comp_id(engine, event.session),
            "symbol": symbol(engine, event.instrument),
            "order_id": event.order_id.0,
            "trade_id": event.trade_id.0,
            "rule": format!("{:?}", event.rule),
            "limit": number(event.limit, event.scale),
            "observed": number(event.observed, event.scale),
            "affected": event.affected,
        }),
        Event::TradingStatusChanged(event) => json!({
            "session": comp_id(engine, event.session),
            "status": format!("{:?}", event.status),
            "reason": event.reason.to_string(),
        }),
        Event::StateHashed(event) => json!({
            "state_hash": format!("{:016x}", event.state_hash),
            "commands": event.commands,
            "live_orders": event.live_orders,
        }),
    }
}

fn execution_json(event: &Execution, engine: &Engine) -> Value {
    let qty = |mantissa| number(mantissa, event.qty_scale);
    let price = |mantissa| number(mantissa, event.price_scale);
    let is_trade = event.exec_type == ExecType::Trade;
    let limited = event.ord_type == OrdType::Limit;
    let (avg_px, avg_px_scale) = event.avg_px();
    json!({
        "session": comp_id(engine, event.session),
        "symbol": symbol(engine, event.instrument),
        "exec_type": format!("{:?}", event.exec_type),
        "ord_status": format!("{:?}", event.ord_status),
        "side": format!("{:?}", event.side),
        "ord_type": format!("{:?}", event.ord_type),
        "time_in_force": format!("{:?}", event.time_in_force),
        "order_id": event.order_id.0,
        "cl_ord_id": name_json(&event.cl_ord_id),
        "orig_cl_ord_id": name_json(event.orig_cl_ord_id()),
        "ord_status_req_id": name_json(event.ord_status_req_id()),
        "price": limited.then(|| price(event.price)),
        "order_qty": qty(event.order_qty),
        "cum_qty": qty(event.cum_qty),
        "leaves_qty": qty(event.leaves_qty),
        "avg_px": (event.cum_qty > 0).then(|| number(avg_px, avg_px_scale)),
        "last_px": is_trade.then(|| price(event.last_px)),
        "last_qty": is_trade.then(|| qty(event.last_qty)),
        "trade_id": is_trade.then_some(event.trade_id.0),
        "contra_order_id": is_trade.then_some(event.contra_order_id.0),
        "liquidity": is_trade.then(|| format!("{:?}", event.last_liquidity)),
        "reason": (event.reason != ExecReason::None).then(|| format!("{:?}", event.reason)),
    })
}

/// How the gateway begins to tell a session that it has no right to what it asks for.
const NO_RIGHT: [&str; 2] = ["this session may not trade", "this session is read-only"];

/// The rule by which the gateway refused something before the engine saw it, where a record is the answer to that: a
/// throttle, a right of the session, or the gateway for all else.
pub fn gateway_rule(record: &SessionRecord) -> Option<&'static str> {
    if !record.refuses() {
        return None;
    }
    let text = record.text().unwrap_or_default();
    Some(match ThrottleScope::of_refusal(text) {
        Some(ThrottleScope::Session) => "throttle of the session",
        Some(ThrottleScope::Firm) => "throttle of the firm",
        None if NO_RIGHT.iter().any(|begins| text.starts_with(begins.as_bytes())) => {
            "right of the session"
        }
        None => "the gateway",
    })
}

/// The numbers of a reject or a trip.
pub trait Judged {
    /// What the rule allows.
    fn limit(&self) -> Decimal;
    /// What was seen instead.
    fn observed(&self) -> Decimal;
}

impl Judged for OrderRejected {
    fn limit(&self) -> Decimal {
        Decimal::new(self.limit, self.limit_scale)
    }

    fn observed(&self) -> Decimal {
        Decimal::new(self.observed, self.observed_scale)
    }
}

impl Judged for SessionTripped {
    fn limit(&self) -> Decimal {
        Decimal::new(self.limit, self.scale)
    }

    fn observed(&self) -> Decimal {
        Decimal::new(self.observed, self.scale)
    }
}

impl Judged for CancelRejected {
    fn limit(&self) -> Decimal {
        Decimal::new(self.limit, self.limit_scale)
    }

    fn observed(&self) -> Decimal {
        Decimal::new(self.observed, self.observed_scale)
    }
}

/// A quantity of a level or an account, which may be larger than an order's.
pub fn qty(mantissa: u128, scale: u8) -> String {
    decimal(mantissa, scale)
}

#[cfg(test)]
mod tests {
    use ironbook_gateway::{throttle::Throttled, translate::Unsupported};

    use super::*;

    #[test]
    fn a_refusal_of_the_gateway_is_by_a_rule() {
        let rule = |msg_type: &[u8], text: &[u8]| {
            let body = [b"58=", text, b"\x01"].concat();
            let session = SessionId(1);
            gateway_rule(&SessionRecord::Outbound { session, msg_type: msg_type.to_vec(), body })
        };
        for right in [Unsupported::Symbol, Unsupported::Account] {
            assert_eq!(rule(b"8", right.text().as_bytes()), Some("right of the session"));
        }
        for (scope, expected) in [
            (ThrottleScope::Session, "throttle of the session"),
            (ThrottleScope::Firm, "throttle of the firm"),
        ] {
            let terms = ThrottleTerms { per_second: 1, burst: 1, action: ThrottleAction::Reject };
            let text = Throttled { scope, terms, early_ns: 5_000 }.to_string();
            assert_eq!(rule(b"9", text.as_bytes()), Some(expected));
        }
        assert_eq!(rule(b"8", Unsupported::Side.text().as_bytes()), Some("the gateway"));
        assert_eq!(rule(b"0", b""), None, "it refuses nothing");
    }
}
