//! The names that a condition may use, and what they stand for in a frame.

use ironbook_engine::{
    Account, ClOrdId, Command, Engine, Event, ExecType, InstrumentId, InstrumentStatus,
    LastLiquidity, OrdStatus, OrdType, OrderId, SessionId, Side, TimeInForce, TradingStatus,
    command::NewOrder,
    domain::{ExecReason, RejectReason},
    event::{Execution, SessionTripped},
};
use ironbook_fix::field::Decimal;

use super::exact::Exact;
use crate::show::Judged;

/// A name.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    /// As it is written.
    pub name: &'static str,
    /// What it stands for, with its unit.
    pub meaning: &'static str,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Number(Number),
    Text(Text),
    Code(Code),
    Flag(Flag),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Sequence,
    Time,
    Latency,
    MsgSeqNum,
    OrderId,
    Price,
    OrderQty,
    LeavesQty,
    CumQty,
    TradePx,
    TradeQty,
    TradeId,
    TradeNotional,
    RejectLimit,
    RejectObserved,
    TripLimit,
    TripObserved,
    Affected,
    LiveOrders,
    BookBid,
    BookAsk,
    BookBidQty,
    BookAskQty,
    BookSpread,
    BookMid,
    Ref,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Session,
    Symbol,
    ClOrdId,
    OrigClOrdId,
    Account,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Kind,
    Side,
    OrdType,
    TimeInForce,
    OrdStatus,
    ExecType,
    Liquidity,
    Reason,
    RejectRule,
    TripRule,
    TradingStatus,
    Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    Trade,
    Reject,
    Tripped,
    Refused,
    Crossed,
    Halted,
}

const fn number(name: &'static str, number: Number, meaning: &'static str) -> Name {
    Name { name, meaning, kind: Kind::Number(number) }
}

const fn text(name: &'static str, text: Text, meaning: &'static str) -> Name {
    Name { name, meaning, kind: Kind::Text(text) }
}

const fn code(name: &'static str, code: Code, meaning: &'static str) -> Name {
    Name { name, meaning, kind: Kind::Code(code) }
}

const fn flag(name: &'static str, flag: Flag, meaning: &'static str) -> Name {
    Name { name, meaning, kind: Kind::Flag(flag) }
}

/// Every name.
pub const NAMES: &[Name] = &[
    number("seq", Number::Sequence, "sequence of the frame"),
    number("time", Number::Time, "its time: ns since 1970, or a text, '14:30:00.5'"),
    code("kind", Code::Kind, "what it is: 'NewOrder', 'Trade', 'Rejected' ..."),
    text("session", Text::Session, "comp id of who asked or is told"),
    number("msg_seq_num", Number::MsgSeqNum, "MsgSeqNum (34) of a request"),
    number("latency", Number::Latency, "of a request: from read to sequenced, in ns; 50us, 2ms"),
    text("symbol", Text::Symbol, "Symbol (55)"),
    number("order_id", Number::OrderId, "OrderID (37)"),
    text("cl_ord_id", Text::ClOrdId, "ClOrdID (11)"),
    text("orig_cl_ord_id", Text::OrigClOrdId, "OrigClOrdID (41)"),
    text("account", Text::Account, "Account (1)"),
    code("side", Code::Side, "Side (54)"),
    code("ord_type", Code::OrdType, "OrdType (40)"),
    code("time_in_force", Code::TimeInForce, "TimeInForce (59)"),
    number("price", Number::Price, "Price (44) of a limit order"),
    number("order_qty", Number::OrderQty, "OrderQty (38)"),
    number("leaves_qty", Number::LeavesQty, "LeavesQty (151)"),
    number("cum_qty", Number::CumQty, "CumQty (14)"),
    code("ord_status", Code::OrdStatus, "OrdStatus (39)"),
    code("exec_type", Code::ExecType, "ExecType (150)"),
    code("reason", Code::Reason, "why the venue canceled: 'ImmediateOrCancel', 'MassCancel' ..."),
    flag("trade", Flag::Trade, "whether it is a side of a trade"),
    number("trade.px", Number::TradePx, "LastPx (31)"),
    number("trade.qty", Number::TradeQty, "LastQty (32)"),
    number("trade.notional", Number::TradeNotional, "LastPx times LastQty"),
    number("trade.id", Number::TradeId, "number of the trade (880)"),
    code("trade.liquidity", Code::Liquidity, "LastLiquidityInd (851): 'Added', 'Removed'"),
    flag("reject", Flag::Reject, "whether it refuses an order, a cancel or a replace"),
    code("reject.rule", Code::RejectRule, "the rule; the start of a name will do: 'DUP'"),
    number("reject.limit", Number::RejectLimit, "what the rule allows"),
    number("reject.observed", Number::RejectObserved, "what was seen instead"),
    flag(
        "refused",
        Flag::Refused,
        "whether the gateway refused what a client sent, before the engine saw it: a throttle, a right",
    ),
    flag("tripped", Flag::Tripped, "whether a session is tripped by it"),
    code("trip.rule", Code::TripRule, "the rule that a session is tripped by"),
    number("trip.limit", Number::TripLimit, "what that allows"),
    number("trip.observed", Number::TripObserved, "what the window came to instead"),
    number("affected", Number::Affected, "orders that a mass cancel or a trip cancels"),
    code("status", Code::Status, "the status that an instrument gets"),
    code("trading_status", Code::TradingStatus, "the status that a session gets"),
    flag("halted", Flag::Halted, "whether its instrument is not open, behind the input"),
    number("book.bid", Number::BookBid, "best bid of its instrument, behind the input"),
    number("book.ask", Number::BookAsk, "best ask"),
    number("book.bid_qty", Number::BookBidQty, "quantity at the best bid"),
    number("book.ask_qty", Number::BookAskQty, "quantity at the best ask"),
    number("book.spread", Number::BookSpread, "best ask less best bid"),
    number("book.mid", Number::BookMid, "middle of both"),
    flag("book.crossed", Flag::Crossed, "whether the best bid is at or above the best ask"),
    number(
        "ref",
        Number::Ref,
        "reference price: middle of the book before the input, or its one side",
    ),
    number("live_orders", Number::LiveOrders, "orders of all books, behind the input"),
];

/// What a frame is, in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum FrameKind {
    NewOrder,
    Cancel,
    Replace,
    MassCancel,
    CancelOnDisconnect,
    Query,
    Limits,
    DefineInstrument,
    DefineSession,
    SetInstrumentStatus,
    New,
    Trade,
    Canceled,
    Replaced,
    Expired,
    OrderStatus,
    Rejected,
    CancelRejected,
    MassCanceled,
    StatusChanged,
    StateHashed,
    Session,
    SetRiskLimits,
    SetTradingStatus,
    SessionTripped,
    TradingStatusChanged,
}

impl FrameKind {
    const ALL: &'static [Self] = &[
        Self::NewOrder,
        Self::Cancel,
        Self::Replace,
        Self::MassCancel,
        Self::CancelOnDisconnect,
        Self::Query,
        Self::Limits,
        Self::DefineInstrument,
        Self::DefineSession,
        Self::SetInstrumentStatus,
        Self::New,
        Self::Trade,
        Self::Canceled,
        Self::Replaced,
        Self::Expired,
        Self::OrderStatus,
        Self::Rejected,
        Self::CancelRejected,
        Self::MassCanceled,
        Self::StatusChanged,
        Self::StateHashed,
        Self::Session,
        Self::SetRiskLimits,
        Self::SetTradingStatus,
        Self::SessionTripped,
        Self::TradingStatusChanged,
    ];

    fn code(self) -> u8 {
        self as u8
    }
}

impl Code {
    /// Every value with its code.
    pub fn values(self) -> Vec<(String, u8)> {
        macro_rules! values {
            ($type:ty) => {
                <$type>::ALL.iter().map(|value| (format!("{value:?}"), value.code())).collect()
            };
        }
        match self {
            Self::Kind => values!(FrameKind),
            Self::Side => values!(Side),
            Self::OrdType => values!(OrdType),
            Self::TimeInForce => values!(TimeInForce),
            Self::OrdStatus => values!(OrdStatus),
            Self::ExecType => values!(ExecType),
            Self::Liquidity => values!(LastLiquidity),
            Self::Reason => values!(ExecReason),
            Self::RejectRule | Self::TripRule => values!(RejectReason),
            Self::TradingStatus => values!(TradingStatus),
            Self::Status => values!(InstrumentStatus),
        }
    }
}

/// A frame, decoded where it stands on the stack.
pub(super) enum Decoded {
    Command(Command),
    Event(Event),
    /// A record of a session, and whether it is the answer to something that the gateway refused.
    Session {
        session: SessionId,
        refuses: bool,
    },
}

/// A frame and what is around it.
pub(super) struct Facts<'a> {
    pub sequence: u64,
    pub time_ns: u64,
    pub decoded: Decoded,
    pub engine: &'a Engine,
    /// Best bids and asks before the input, by instrument id - 1.
    pub before: &'a [Touch],
}

/// Best bid and ask of a book.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Touch {
    pub bid: Option<i64>,
    pub ask: Option<i64>,
}

impl Touch {
    pub fn of(engine: &Engine, instrument: InstrumentId) -> Self {
        let best = |side| Some(engine.book(instrument)?.best(side)?.price);
        Self { bid: best(Side::Buy), ask: best(Side::Sell) }
    }

    /// Middle of both, or the one there is.
    fn middle(self, scale: u8) -> Option<Exact> {
        let exact = |price: i64| Exact::new(price, scale);
        match (self.bid.map(exact), self.ask.map(exact)) {
            (Some(bid), Some(ask)) => bid.add(ask)?.half(),
            (one, other) => one.or(other),
        }
    }
}

/// Decimals of an instrument.
#[derive(Clone, Copy)]
struct Scales {
    price: u8,
    qty: u8,
}

impl Facts<'_> {
    fn execution(&self) -> Option<&Execution> {
        match &self.decoded {
            Decoded::Event(Event::Execution(event)) => Some(event),
            _ => None,
        }
    }

    fn trade(&self) -> Option<&Execution> {
        self.execution().filter(|event| event.exec_type == ExecType::Trade)
    }

    fn tripped(&self) -> Option<&SessionTripped> {
        match &self.decoded {
            Decoded::Event(Event::SessionTripped(event)) => Some(event),
            _ => None,
        }
    }

    fn new_order(&self) -> Option<&NewOrder> {
        match &self.decoded {
            Decoded::Command(Command::NewOrder(order)) => Some(order),
            _ => None,
        }
    }

    pub fn instrument(&self) -> Option<InstrumentId> {
        let instrument = match &self.decoded {
            Decoded::Event(event) => match event {
                Event::Execution(event) => event.instrument,
                Event::OrderRejected(event) => event.instrument,
                Event::CancelRejected(event) => event.instrument,
                Event::MassCanceled(event) => event.instrument,
                Event::StatusChanged(event) => event.instrument,
                Event::SessionTripped(event) => event.instrument,
                Event::StateHashed(_) | Event::TradingStatusChanged(_) => InstrumentId::NONE,
            },
            Decoded::Command(command) => match command {
                Command::NewOrder(order) => order.instrument,
                Command::CancelOrder(request) => request.instrument,
                Command::ReplaceOrder(request) => request.instrument,
                Command::MassCancel(request) => request.instrument,
                Command::QueryOrder(request) => request.instrument,
                Command::DefineInstrument(definition) => definition.instrument,
                Command::SetInstrumentStatus(request) => request.instrument,
                Command::Limits(_)
                | Command::DefineSession(_)
                | Command::CancelOnDisconnect(_)
                | Command::SetRiskLimits(_)
                | Command::SetTradingStatus(_) => InstrumentId::NONE,
            },
            Decoded::Session { .. } => InstrumentId::NONE,
        };
        (instrument != InstrumentId::NONE).then_some(instrument)
    }

    fn scales(&self) -> Option<Scales> {
        let definition = self.engine.instrument(self.instrument()?)?.definition;
        Some(Scales { price: definition.price_scale, qty: definition.qty_scale })
    }

    fn session(&self) -> Option<SessionId> {
        match &self.decoded {
            Decoded::Command(Command::DefineSession(definition)) => Some(definition.session),
            Decoded::Command(Command::SetRiskLimits(command)) => Some(command.session),
            Decoded::Command(Command::SetTradingStatus(command)) => Some(command.session),
            Decoded::Command(command) => Some(command.origin()?.session),
            Decoded::Event(Event::SessionTripped(event)) => Some(event.session),
            Decoded::Event(Event::TradingStatusChanged(event)) => Some(event.session),
            Decoded::Event(event) => event.session(),
            Decoded::Session { session, .. } => Some(*session),
        }
    }

    pub fn number(&self, number: Number) -> Option<Exact> {
        let whole = |number: u64| Some(Exact::new(number, 0));
        let exact = |decimal: Decimal| Some(Exact::new(decimal.mantissa, decimal.scale));
        let price = |mantissa: i64| Some(Exact::new(mantissa, self.scales()?.price));
        let qty = |mantissa: i64| Some(Exact::new(mantissa, self.scales()?.qty));
        let of_trade = |find: fn(&Execution) -> i64| self.trade().map(find);
        match number {
            Number::Sequence => whole(self.sequence),
            Number::Time => whole(self.time_ns),
            Number::MsgSeqNum => whole(self.origin()?.msg_seq_num),
            Number::Latency => whole(self.time_ns.checked_sub(self.origin()?.received.0)?),
            Number::OrderId => whole(self.order_id().filter(|id| *id != OrderId::NONE)?.0),
            Number::Price => self.price(),
            Number::OrderQty => self.order_qty(),
            Number::LeavesQty => qty(self.execution()?.leaves_qty),
            Number::CumQty => qty(self.execution()?.cum_qty),
            Number::TradePx => price(of_trade(|event| event.last_px)?),
            Number::TradeQty => qty(of_trade(|event| event.last_qty)?),
            Number::TradeNotional => {
                self.number(Number::TradePx)?.multiply(self.number(Number::TradeQty)?)
            }
            Number::TradeId => whole(self.trade().map(|event| event.trade_id)?.0),
            Number::RejectLimit => self.judged().map(|(limit, _)| limit),
            Number::RejectObserved => self.judged().map(|(_, observed)| observed),
            Number::TripLimit => exact(self.tripped()?.limit()),
            Number::TripObserved => exact(self.tripped()?.observed()),
            Number::Affected => match &self.decoded {
                Decoded::Event(Event::SessionTripped(event)) => whole(event.affected.into()),
                Decoded::Event(Event::MassCanceled(event)) => whole(event.affected.into()),
                _ => None,
            },
            Number::LiveOrders => whole(self.engine.totals().live_orders.into()),
            Number::BookBid => price(self.touch()?.bid?),
            Number::BookAsk => price(self.touch()?.ask?),
            Number::BookBidQty => self.best_qty(Side::Buy),
            Number::BookAskQty => self.best_qty(Side::Sell),
            Number::BookSpread => {
                let touch = self.touch()?;
                price(touch.ask?)?.add(price(touch.bid?)?.negate())
            }
            Number::BookMid => {
                let touch = self.touch()?;
                touch.bid.and(touch.ask)?;
                touch.middle(self.scales()?.price)
            }
            Number::Ref => {
                let before = self.before.get(self.instrument()?.0 as usize - 1)?;
                before.middle(self.scales()?.price)
            }
        }
    }

    fn origin(&self) -> Option<&ironbook_engine::command::Origin> {
        match &self.decoded {
            Decoded::Command(command) => command.origin(),
            _ => None,
        }
    }

    fn order_id(&self) -> Option<OrderId> {
        match &self.decoded {
            Decoded::Event(Event::Execution(event)) => Some(event.order_id),
            Decoded::Event(Event::CancelRejected(event)) => Some(event.order_id),
            Decoded::Event(Event::SessionTripped(event)) => Some(event.order_id),
            Decoded::Command(Command::CancelOrder(request)) => Some(request.order_id),
            Decoded::Command(Command::ReplaceOrder(request)) => Some(request.order_id),
            _ => None,
        }
    }

    fn price(&self) -> Option<Exact> {
        let (ord_type, mantissa, scale) = match &self.decoded {
            Decoded::Event(Event::Execution(event)) => {
                (event.ord_type, event.price, event.price_scale)
            }
            Decoded::Event(Event::OrderRejected(event)) => {
                (event.ord_type, event.price, event.price_scale)
            }
            Decoded::Command(Command::NewOrder(order)) => {
                (order.ord_type, order.price, order.price_scale)
            }
            Decoded::Command(Command::ReplaceOrder(request)) => {
                (request.ord_type, request.price, request.price_scale)
            }
            _ => return None,
        };
        (ord_type == OrdType::Limit).then(|| Exact::new(mantissa, scale))
    }

    fn order_qty(&self) -> Option<Exact> {
        let (mantissa, scale) = match &self.decoded {
            Decoded::Event(Event::Execution(event)) => (event.order_qty, event.qty_scale),
            Decoded::Event(Event::OrderRejected(event)) => (event.order_qty, event.qty_scale),
            Decoded::Command(Command::NewOrder(order)) => (order.order_qty, order.qty_scale),
            Decoded::Command(Command::ReplaceOrder(request)) => {
                (request.order_qty, request.qty_scale)
            }
            _ => return None,
        };
        Some(Exact::new(mantissa, scale))
    }

    fn judged(&self) -> Option<(Exact, Exact)> {
        let (limit, observed) = match &self.decoded {
            Decoded::Event(Event::OrderRejected(event)) => {
                ((event.limit, event.limit_scale), (event.observed, event.observed_scale))
            }
            Decoded::Event(Event::CancelRejected(event)) => {
                ((event.limit, event.limit_scale), (event.observed, event.observed_scale))
            }
            _ => return None,
        };
        Some((Exact::new(limit.0, limit.1), Exact::new(observed.0, observed.1)))
    }

    fn touch(&self) -> Option<Touch> {
        Some(Touch::of(self.engine, self.instrument()?))
    }

    fn best_qty(&self, side: Side) -> Option<Exact> {
        let qty = self.engine.book(self.instrument()?)?.best(side)?.qty();
        Some(Exact::new(i128::try_from(qty).ok()?, self.scales()?.qty))
    }

    /// Whether a text is this one; none where the frame has no such text.
    pub fn is_text(&self, text: Text, wanted: &[u8]) -> Option<bool> {
        let id = |id: &ClOrdId| (!id.is_empty()).then(|| id.as_bytes() == wanted);
        match text {
            Text::Session => {
                Some(self.engine.session(self.session()?)?.comp_id.as_bytes() == wanted)
            }
            Text::Symbol => {
                let definition = self.engine.instrument(self.instrument()?)?.definition;
                Some(definition.symbol.as_bytes() == wanted)
            }
            Text::ClOrdId => id(self.cl_ord_id()?),
            Text::OrigClOrdId => id(self.orig_cl_ord_id()?),
            Text::Account => Some(self.account()?.as_bytes() == wanted),
        }
    }

    fn cl_ord_id(&self) -> Option<&ClOrdId> {
        match &self.decoded {
            Decoded::Event(event) => match event {
                Event::Execution(event) => Some(&event.cl_ord_id),
                Event::OrderRejected(event) => Some(&event.cl_ord_id),
                Event::CancelRejected(event) => Some(&event.cl_ord_id),
                Event::MassCanceled(event) => Some(&event.cl_ord_id),
                Event::StatusChanged(_)
                | Event::StateHashed(_)
                | Event::SessionTripped(_)
                | Event::TradingStatusChanged(_) => None,
            },
            Decoded::Command(command) => match command {
                Command::NewOrder(order) => Some(&order.cl_ord_id),
                Command::CancelOrder(request) => Some(&request.cl_ord_id),
                Command::ReplaceOrder(request) => Some(&request.cl_ord_id),
                Command::MassCancel(request) => Some(&request.cl_ord_id),
                Command::QueryOrder(request) => Some(&request.cl_ord_id),
                _ => None,
            },
            Decoded::Session { .. } => None,
        }
    }

    fn orig_cl_ord_id(&self) -> Option<&ClOrdId> {
        match &self.decoded {
            Decoded::Event(Event::Execution(event)) => Some(event.orig_cl_ord_id()),
            Decoded::Event(Event::CancelRejected(event)) => Some(&event.orig_cl_ord_id),
            Decoded::Command(Command::CancelOrder(request)) => Some(&request.orig_cl_ord_id),
            Decoded::Command(Command::ReplaceOrder(request)) => Some(&request.orig_cl_ord_id),
            _ => None,
        }
    }

    fn account(&self) -> Option<&Account> {
        match &self.decoded {
            Decoded::Event(Event::Execution(event)) => Some(&event.account),
            Decoded::Event(Event::OrderRejected(event)) => Some(&event.account),
            Decoded::Command(Command::NewOrder(order)) => Some(&order.account),
            _ => None,
        }
    }

    /// The code of a value; none where the frame has no such value.
    pub fn code(&self, code: Code) -> Option<u8> {
        let execution = self.execution();
        let order = self.new_order();
        match code {
            Code::Kind => Some(self.kind().code()),
            Code::Side => match &self.decoded {
                Decoded::Event(Event::OrderRejected(event)) => Some(event.side),
                Decoded::Command(Command::CancelOrder(request)) => Some(request.side),
                Decoded::Command(Command::ReplaceOrder(request)) => Some(request.side),
                _ => execution.map(|event| event.side).or(order.map(|order| order.side)),
            }
            .map(Side::code),
            Code::OrdType => {
                let of_order = order.map(|order| order.ord_type);
                execution.map(|event| event.ord_type).or(of_order).map(OrdType::code)
            }
            Code::TimeInForce => {
                let of_order = order.map(|order| order.time_in_force);
                execution.map(|event| event.time_in_force).or(of_order).map(TimeInForce::code)
            }
            Code::OrdStatus => execution.map(|event| event.ord_status.code()),
            Code::ExecType => execution.map(|event| event.exec_type.code()),
            Code::Reason => execution.map(|event| event.reason.code()),
            Code::Liquidity => self.trade().map(|event| event.last_liquidity.code()),
            Code::RejectRule => match &self.decoded {
                Decoded::Event(Event::OrderRejected(event)) => Some(event.reason.code()),
                Decoded::Event(Event::CancelRejected(event)) => Some(event.reason.code()),
                _ => None,
            },
            Code::TripRule => self.tripped().map(|event| event.rule.code()),
            Code::TradingStatus => match &self.decoded {
                Decoded::Event(Event::TradingStatusChanged(event)) => Some(event.status.code()),
                _ => None,
            },
            Code::Status => match &self.decoded {
                Decoded::Event(Event::StatusChanged(event)) => Some(event.status.code()),
                _ => None,
            },
        }
    }

    fn kind(&self) -> FrameKind {
        match &self.decoded {
            Decoded::Session { .. } => FrameKind::Session,
            Decoded::Command(command) => match command {
                Command::NewOrder(_) => FrameKind::NewOrder,
                Command::CancelOrder(_) => FrameKind::Cancel,
                Command::ReplaceOrder(_) => FrameKind::Replace,
                Command::MassCancel(_) => FrameKind::MassCancel,
                Command::CancelOnDisconnect(_) => FrameKind::CancelOnDisconnect,
                Command::QueryOrder(_) => FrameKind::Query,
                Command::Limits(_) => FrameKind::Limits,
                Command::DefineInstrument(_) => FrameKind::DefineInstrument,
                Command::SetInstrumentStatus(_) => FrameKind::SetInstrumentStatus,
                Command::DefineSession(_) => FrameKind::DefineSession,
                Command::SetRiskLimits(_) => FrameKind::SetRiskLimits,
                Command::SetTradingStatus(_) => FrameKind::SetTradingStatus,
            },
            Decoded::Event(event) => match event {
                Event::Execution(event) => match event.exec_type {
                    ExecType::New => FrameKind::New,
                    ExecType::Trade => FrameKind::Trade,
                    ExecType::Canceled => FrameKind::Canceled,
                    ExecType::Replaced => FrameKind::Replaced,
                    ExecType::Expired => FrameKind::Expired,
                    ExecType::OrderStatus => FrameKind::OrderStatus,
                    ExecType::Rejected => FrameKind::Rejected,
                },
                Event::OrderRejected(_) => FrameKind::Rejected,
                Event::CancelRejected(_) => FrameKind::CancelRejected,
                Event::MassCanceled(_) => FrameKind::MassCanceled,
                Event::StatusChanged(_) => FrameKind::StatusChanged,
                Event::StateHashed(_) => FrameKind::StateHashed,
                Event::SessionTripped(_) => FrameKind::SessionTripped,
                Event::TradingStatusChanged(_) => FrameKind::TradingStatusChanged,
            },
        }
    }

    pub fn flag(&self, flag: Flag) -> Option<bool> {
        match flag {
            Flag::Trade => Some(self.trade().is_some()),
            Flag::Tripped => Some(self.tripped().is_some()),
            Flag::Reject => Some(self.code(Code::RejectRule).is_some()),
            Flag::Refused => Some(matches!(&self.decoded, Decoded::Session { refuses: true, .. })),
            Flag::Crossed => {
                let touch = self.touch()?;
                Some(touch.bid? >= touch.ask?)
            }
            Flag::Halted => {
                let status = self.engine.instrument(self.instrument()?)?.status;
                Some(status != InstrumentStatus::Open)
            }
        }
    }
}
