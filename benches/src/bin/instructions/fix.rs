//! FIX messages.

use std::hint::black_box;

use ironbook_fix::{
    codec::{Framed, frame},
    encode::{Body, Encoder},
    field::{Decimal, MsgSeqNum, TimestampText},
    message::{Fields, Message, MsgType},
    order::{NewOrderSingle, OrderMessage, Side, TimeInForce},
    report::{ExecType, ExecutionReport, OrdStatus},
    session::{Handled, Output, Role, Session, SessionConfig},
    version::{ApplVerId, Version},
};

use crate::{COUNTED, ROUND_MAX, counted};

const TIME_NS: u64 = 1_430_438_404_518_000_000;

/// A venue's session of a client who has logged on, and what the client numbers next.
fn logged_on() -> (Session, Encoder, MsgSeqNum) {
    let config = SessionConfig::new(Role::Acceptor, "IRONBOOK", "TRADER1");
    let mut session = Session::new(config, MsgSeqNum::FIRST, MsgSeqNum::FIRST);
    let text = TimestampText::default();
    let mut client = Encoder::new(Version::FIX44, "TRADER1", "IRONBOOK", text);
    let mut bytes = Vec::new();
    let body = b"98=0\x01108=30\x01";
    client.message(MsgSeqNum::FIRST, TIME_NS, MsgType::LOGON, body, &mut bytes);
    session.handle_connected(TIME_NS);
    let mut fields = Fields::new();
    let message = Message::parse(&bytes, &mut fields).expect("a message");
    assert_eq!(session.handle_message(TIME_NS, &message), Handled::Consumed);
    let outputs: Vec<_> = std::iter::from_fn(|| session.poll()).collect();
    assert!(outputs.iter().any(|output| matches!(output, Output::LoggedOn)), "{outputs:?}");
    (session, client, MsgSeqNum::FIRST.next())
}

fn order(cl_ord_id: &[u8]) -> NewOrderSingle<'_> {
    let (qty, price) = (Decimal::new(100, 0), Decimal::new(18_950, 2));
    let limit = NewOrderSingle::limit(cl_ord_id, b"AAPL", Side::Buy, qty, price, TIME_NS);
    NewOrderSingle { account: Some(b"ACCOUNT1"), ..limit }
}

/// From bytes to a typed order: framing, checksum, fields, the session's look at it, the dictionary's, and
/// every value.
pub fn read_new_order_single() -> u64 {
    let (mut session, mut client, mut seq) = logged_on();
    let mut fields = Fields::new();
    for _ in 0..COUNTED / ROUND_MAX {
        let mut bytes = Vec::new();
        for number in 0..ROUND_MAX {
            let id = format!("ORDER-{:010}", seq.get() as usize + number);
            client.typed(seq, TIME_NS, &order(id.as_bytes()), &mut bytes);
            seq = seq.next();
        }
        let read = counted(|| read_orders(&mut session, &mut fields, &bytes));
        assert_eq!(read, ROUND_MAX);
    }
    COUNTED as u64
}

fn read_orders(session: &mut Session, fields: &mut Fields, mut bytes: &[u8]) -> usize {
    let mut read = 0;
    while let Framed::Message { len } = frame(bytes) {
        let message = Message::parse(&bytes[..len], fields).expect("fields");
        assert!(matches!(session.handle_message(TIME_NS, &message), Handled::Application(_)));
        let order = OrderMessage::parse(&message, ApplVerId::Fix44);
        assert!(matches!(black_box(order), Ok(OrderMessage::New(_))));
        bytes = &bytes[len..];
        read += 1;
    }
    read
}

fn report() -> ExecutionReport<'static> {
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
        ord_type: Some(ironbook_fix::order::OrdType::Limit),
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

/// A report as it goes out: header, body, BodyLength and CheckSum.
pub fn write_execution_report() -> u64 {
    let (mut session, ..) = logged_on();
    let report = report();
    assert_eq!(ExecutionReport::MSG_TYPE, MsgType::EXECUTION_REPORT);
    for _ in 0..COUNTED / ROUND_MAX {
        let mut out = Vec::with_capacity(ROUND_MAX * 1_024);
        counted(|| {
            for _ in 0..ROUND_MAX {
                session.transmit_typed(TIME_NS, black_box(&report), &mut out);
            }
        });
        let mut rest = &out[..];
        let mut written = 0;
        while let Framed::Message { len } = frame(rest) {
            (rest, written) = (&rest[len..], written + 1);
        }
        assert_eq!((written, rest.len()), (ROUND_MAX, 0));
    }
    COUNTED as u64
}
