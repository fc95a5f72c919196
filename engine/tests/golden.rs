//! Journaled bytes of every record kind: a change of layout breaks journals that are already
//! written, so it must not slip in. A record that has to change gets a new kind.

use ironbook_engine::{
    Account, CancelRejectTo, ClOrdId, Command, CompId, EngineLimits, Event, ExecType, InstrumentId,
    InstrumentStatus, LastLiquidity, OrdStatus, OrdType, OrderId, ReasonText, SessionId, Side,
    SideFilter, Symbol, TimeInForce, Timestamp, TradeId, TradingStatus,
    command::{
        CancelOnDisconnect, CancelOrder, DefineInstrument, DefineSession, MassCancel, NewOrder,
        OrderTerms, Origin, QueryOrder, ReplaceOrder, RiskLimits, SetInstrumentStatus,
        SetRiskLimits, SetTradingStatus,
    },
    domain::{DisconnectCause, DisconnectScope, ExecReason, RejectReason},
    event::{
        CancelRejected, Execution, MassCanceled, OrderRejected, SessionTripped, StateHashed,
        StatusChanged, TradingStatusChanged,
    },
};

fn hex(bytes: &[u8]) -> String {
    bytes
        .chunks(8)
        .map(|word| word.iter().map(|b| format!("{b:02x}")).collect::<String>())
        .collect::<Vec<_>>()
        .join(" ")
}

fn name(text: &str) -> ClOrdId {
    ClOrdId::try_from(text).unwrap()
}

fn origin() -> Origin {
    Origin::new(SessionId(0x11), 0x12, Timestamp(0x13))
}

const TERMS: OrderTerms = OrderTerms {
    side: Side::Sell,
    ord_type: OrdType::Limit,
    time_in_force: TimeInForce::Gtc,
    price: (0x21, 0x22),
    order_qty: (0x23, 0x24),
};

fn commands() -> Vec<Command> {
    let (account, symbol) = (Account::try_from("ACC").unwrap(), Symbol::try_from("SYM").unwrap());
    let (id, instrument) = (OrderId(0x31), InstrumentId(0x32));
    let limits = EngineLimits {
        orders_max: 0x41,
        instruments_max: 0x42,
        sessions_max: 0x43,
        closed_orders_kept: 0x44,
        state_hash_interval: 0x45,
        reserved: 0,
        rules_version: 0x46,
    };
    vec![
        NewOrder::new(origin(), instrument, TERMS, account, name("ID")).into(),
        CancelOrder::new(origin(), id, instrument, Side::Buy, name("ID"), name("ORIG")).into(),
        ReplaceOrder::new(origin(), id, instrument, TERMS, (name("ID"), name("ORIG"))).into(),
        MassCancel::new(origin(), instrument, SideFilter::Buy, b'7', name("ID")).into(),
        QueryOrder::new(origin(), id, instrument, Side::Buy, name("ID")).into(),
        CancelOnDisconnect::new(
            SessionId(0x11),
            Timestamp(0x13),
            DisconnectCause::Disconnect,
            DisconnectScope::All,
        )
        .into(),
        limits.into(),
        DefineInstrument::new(instrument, symbol, 2, 3, 5, 7).into(),
        SetInstrumentStatus::new(origin(), instrument, InstrumentStatus::Halted).into(),
        DefineSession::new(SessionId(0x11), CompId::try_from("COMP").unwrap()).into(),
        SetRiskLimits::new(origin(), SessionId(0x51), risk_limits()).into(),
        SetTradingStatus::new(origin(), SessionId(0x51), TradingStatus::CancelOnly, why()).into(),
        QueryOrder {
            ord_status_req_id: name("REQ"),
            ..QueryOrder::new(origin(), id, instrument, Side::Buy, name("ID"))
        }
        .into(),
    ]
}

fn risk_limits() -> RiskLimits {
    RiskLimits {
        order_notional: 0x52,
        open_notional: 0x53,
        traded_notional: 0x54,
        loss: 0x55,
        open_orders: 0x56,
        price_deviation: 0x57,
        window_ms: 0x58,
        reserved: 0,
    }
}

fn why() -> ReasonText {
    ReasonText::try_from("WHY").unwrap()
}

fn events() -> Vec<Event> {
    let account = Account::try_from("ACC").unwrap();
    let (session, instrument) = (SessionId(0x11), InstrumentId(0x32));
    let execution = Execution {
        order_id: OrderId(1),
        contra_order_id: OrderId(2),
        trade_id: TradeId(3),
        price: 4,
        order_qty: 5,
        leaves_qty: 6,
        cum_qty: 7,
        last_px: 8,
        last_qty: 9,
        cum_notional: [10, 11],
        session,
        instrument,
        exec_type: ExecType::Trade,
        ord_status: OrdStatus::PartiallyFilled,
        side: Side::Buy,
        ord_type: OrdType::Limit,
        time_in_force: TimeInForce::Day,
        price_scale: 12,
        qty_scale: 13,
        reason: ExecReason::MassCancel,
        last_liquidity: LastLiquidity::Added,
        reserved: [0; 3],
        account,
        cl_ord_id: name("ID"),
        other_id: name("ORIG"),
    };
    let order_rejected = OrderRejected {
        price: 1,
        order_qty: 2,
        limit: 3,
        observed: 4,
        session,
        instrument,
        exec_type: ExecType::Rejected,
        side: Side::Sell,
        ord_type: OrdType::Market,
        time_in_force: TimeInForce::Ioc,
        price_scale: 5,
        qty_scale: 6,
        reason: RejectReason::TooManyOrders,
        limit_scale: 7,
        observed_scale: 8,
        reserved: [0; 3],
        account,
        cl_ord_id: name("ID"),
        unknown_symbol: Symbol::try_from("SYM").unwrap(),
        ord_status_req_id: ClOrdId::EMPTY,
    };
    let cancel_rejected = CancelRejected {
        order_id: OrderId(1),
        limit: 2,
        observed: 3,
        session,
        instrument,
        ord_status: OrdStatus::Filled,
        response_to: CancelRejectTo::Replace,
        reason: RejectReason::TooLateToCancel,
        limit_scale: 4,
        observed_scale: 5,
        reserved: [0; 3],
        account,
        cl_ord_id: name("ID"),
        orig_cl_ord_id: name("ORIG"),
        reserved_tail: [0; 4],
    };
    let mass_canceled = MassCanceled {
        session,
        instrument,
        affected: 1,
        request_type: b'7',
        reserved: [0; 3],
        cl_ord_id: name("ID"),
        reserved_tail: [0; 4],
    };
    let session_tripped = SessionTripped {
        order_id: OrderId(1),
        trade_id: TradeId(2),
        limit: 3,
        observed: 4,
        session,
        instrument,
        affected: 5,
        rule: RejectReason::LossTooLarge,
        scale: 8,
        reserved: [0; 2],
    };
    let trading_status_changed = TradingStatusChanged {
        session,
        status: TradingStatus::Open,
        reserved: [0; 3],
        reason: why(),
    };
    let status = InstrumentStatus::Closed;
    vec![
        execution.into(),
        order_rejected.into(),
        cancel_rejected.into(),
        mass_canceled.into(),
        StatusChanged { instrument, status, reserved: [0; 3] }.into(),
        StateHashed { state_hash: 1, commands: 2, live_orders: 3 }.into(),
        session_tripped.into(),
        trading_status_changed.into(),
        OrderRejected { ord_status_req_id: name("REQ"), ..order_rejected }.into(),
    ]
}

#[test]
fn bytes_are_those_of_the_journals_already_written() {
    let mut lines = Vec::new();
    for command in commands() {
        let (kind, payload) = (command.kind(), command.payload());
        lines.push(format!("{} {kind:04x} {}", command.name(), hex(payload)));
        assert_eq!(Command::decode(kind, payload), Ok(command));
        assert!(Command::is_kind(kind) && !Event::is_kind(kind));
    }
    for event in events() {
        let (kind, payload) = (event.kind(), event.payload());
        lines.push(format!("{} {kind:04x} {}", event.name(), hex(payload)));
        assert_eq!(Event::decode(kind, payload), Ok(event));
        assert!(Event::is_kind(kind) && !Command::is_kind(kind));
    }
    let golden: Vec<&str> = include_str!("golden.txt").lines().collect();
    assert_eq!(lines, golden, "\n{}\n", lines.join("\n"));
}
