//! Messages as the venue reads and writes most of them, for measuring the parts that do.

use ironbook_fix::{
    field::Decimal,
    order::{NewOrderSingle, OrdType, Side, TimeInForce},
    report::{ExecType, ExecutionReport, OrdStatus},
};

/// When they are sent, ns since 1970.
pub const TIME_NS: u64 = 1_430_438_404_518_000_000;

/// An order as clients send many.
pub fn order(cl_ord_id: &[u8]) -> NewOrderSingle<'_> {
    let (qty, price) = (Decimal::new(100, 0), Decimal::new(18_950, 2));
    let limit = NewOrderSingle::limit(cl_ord_id, b"AAPL", Side::Buy, qty, price, TIME_NS);
    NewOrderSingle { account: Some(b"ACCOUNT1"), ..limit }
}

/// A report of a new order.
pub fn report() -> ExecutionReport<'static> {
    ExecutionReport {
        order_id: b"16777216",
        exec_id: b"123456",
        secondary_exec_id: None,
        cl_ord_id: Some(b"ORDER-0000123456"),
        orig_cl_ord_id: None,
        ord_status_req_id: None,
        exec_type: ExecType::New,
        ord_status: OrdStatus::New,
        ord_rej_reason: None,
        exec_restatement_reason: None,
        account: Some(b"ACCOUNT1"),
        symbol: b"AAPL",
        side: Side::Buy,
        order_qty: Some(Decimal::new(100, 0)),
        ord_type: Some(OrdType::Limit),
        price: Some(Decimal::new(18_950, 2)),
        stop_px: None,
        time_in_force: Some(TimeInForce::Day),
        last_qty: None,
        last_px: None,
        last_liquidity_ind: None,
        leaves_qty: Decimal::new(100, 0),
        cum_qty: Decimal::ZERO,
        avg_px: Decimal::ZERO,
        transact_time_ns: Some(TIME_NS),
        text: None,
    }
}
