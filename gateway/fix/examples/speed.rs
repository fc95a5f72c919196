//! What one message costs, in nanoseconds: `cargo run --release --example speed [rounds]`.
//!
//! Each figure is a median, with the 10th and 90th percentile, over rounds of some thousand messages that
//! are already in memory. No I/O is inside.

use ironbook_fix::codec::{Framed, checksum, frame};
use ironbook_fix::dictionary::Strictness;
use ironbook_fix::field::{Decimal, MsgSeqNum};
use ironbook_fix::message::{Fields, Message, MsgType};
use ironbook_fix::order::{NewOrderSingle, OrdType, OrderMessage, Side, TimeInForce};
use ironbook_fix::report::{ExecType, ExecutionReport, OrdStatus};
use ironbook_fix::session::{Handled, Role, Session, SessionConfig};
use ironbook_fix::version::{ApplVerId, Version};
use std::hint::black_box;
use std::time::Instant;

const BATCH: usize = 2_000;
const NOW_NS: u64 = 1_709_251_200_123_000_000;

fn main() {
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(400);
    let order = order();
    let mut fields = Fields::new();
    println!("order: {} bytes", order.len());

    measure("checksum", rounds, |_| {
        black_box(checksum(black_box(&order)));
    });
    measure("frame + checksum", rounds, |_| {
        black_box(frame(black_box(&order)));
    });
    measure("split into fields", rounds, |_| {
        black_box(Message::parse(black_box(&order), &mut fields).unwrap().len());
    });
    measure("frame + split + typed", rounds, |_| {
        let Framed::Message { len } = frame(black_box(&order)) else { unreachable!() };
        let message = Message::parse(&order[..len], &mut fields).unwrap();
        black_box(OrderMessage::parse(&message, ApplVerId::Fix44).unwrap());
    });
    {
        let message = Message::parse(&order, &mut fields).unwrap();
        let dictionary = Version::FIX44.dictionary();
        measure("dictionary check", rounds, |_| {
            assert!(dictionary.check(black_box(&message), Strictness::Strict).is_ok());
        });
        measure("typed", rounds, |_| {
            black_box(OrderMessage::parse(black_box(&message), ApplVerId::Fix44).unwrap());
        });
        measure("bytes to typed order, no session", rounds, |_| {
            let Framed::Message { len } = frame(black_box(&order)) else { unreachable!() };
            let message = Message::parse(&order[..len], &mut fields).unwrap();
            assert!(dictionary.check(&message, Strictness::Strict).is_ok());
            black_box(OrderMessage::parse(&message, ApplVerId::Fix44).unwrap());
        });
    }
    measure_session(rounds, &mut fields);
    measure_report(rounds);
}

/// A NewOrderSingle as a client sends it.
fn order() -> Vec<u8> {
    let mut client = logged_on(Role::Initiator);
    let (id, symbol) = (b"ORD-20240301-000001", b"BTC-USD");
    let (qty, price) = (Decimal::new(150_000, 3), Decimal::new(6_251_250, 2));
    let limit = NewOrderSingle::limit(id, symbol, Side::Buy, qty, price, NOW_NS);
    let order = NewOrderSingle { account: Some(b"ACCOUNT01"), exec_inst: Some(b"6"), ..limit };
    let mut out = Vec::new();
    client.transmit_typed(NOW_NS, &order, &mut out);
    out
}

fn logged_on(role: Role) -> Session {
    let (sender, target) = match role {
        Role::Acceptor => ("IRONBOOK", "CLIENT01"),
        Role::Initiator => ("CLIENT01", "IRONBOOK"),
    };
    let next = MsgSeqNum::new(123_456);
    let mut session = Session::new(SessionConfig::new(role, sender, target), next, next);
    session.handle_connected(NOW_NS);
    session
}

/// Everything from bytes to a typed order, every message with its own number.
fn measure_session(rounds: usize, fields: &mut Fields) {
    let mut client = logged_on(Role::Initiator);
    let mut venue = logged_on(Role::Acceptor);
    let mut bytes = Vec::new();
    client.transmit(NOW_NS, MsgType::LOGON, b"98=0\x01108=30\x01", &mut bytes);
    venue.handle_message(NOW_NS, &Message::parse(&bytes, fields).unwrap());
    while venue.poll().is_some() {}
    let text = order();
    let message = Message::parse(&text, fields).unwrap();
    let body_at =
        message.get(56).map(|v| v.as_ptr() as usize - text.as_ptr() as usize + v.len() + 1);
    let body = text[body_at.unwrap()..text.len() - 7].to_vec();
    let mut messages = Vec::new();
    let mut means = Vec::new();
    for _ in 0..rounds {
        messages.clear();
        for _ in 0..BATCH {
            client.transmit(NOW_NS, MsgType::NEW_ORDER_SINGLE, &body, &mut messages);
        }
        let mut rest = &messages[..];
        means.push(mean(|_| {
            let Framed::Message { len } = frame(black_box(rest)) else { unreachable!() };
            let message = Message::parse(&rest[..len], fields).unwrap();
            let handled = venue.handle_message(NOW_NS, &message);
            assert!(matches!(handled, Handled::Application(_)));
            black_box(OrderMessage::parse(&message, venue.application_version()).unwrap());
            rest = &rest[len..];
        }));
    }
    print("bytes to typed order, whole session", means);
}

fn measure_report(rounds: usize) {
    let report = ExecutionReport {
        order_id: b"1000000001",
        exec_id: b"2000000001",
        secondary_exec_id: None,
        cl_ord_id: Some(b"ORD-20240301-000001"),
        orig_cl_ord_id: None,
        ord_status_req_id: None,
        exec_type: ExecType::Trade,
        ord_status: OrdStatus::PartiallyFilled,
        ord_rej_reason: None,
        exec_restatement_reason: None,
        account: Some(b"ACCOUNT01"),
        symbol: b"BTC-USD",
        side: Side::Buy,
        order_qty: Some(Decimal::new(150_000, 3)),
        ord_type: Some(OrdType::Limit),
        price: Some(Decimal::new(6_251_250, 2)),
        stop_px: None,
        time_in_force: Some(TimeInForce::Day),
        last_qty: Some(Decimal::new(50_000, 3)),
        last_px: Some(Decimal::new(6_251_200, 2)),
        last_liquidity_ind: Some(1),
        leaves_qty: Decimal::new(100_000, 3),
        cum_qty: Decimal::new(50_000, 3),
        avg_px: Decimal::new(6_251_200, 2),
        transact_time_ns: Some(NOW_NS),
        text: None,
    };
    let mut venue = logged_on(Role::Acceptor);
    let mut out = Vec::with_capacity(2048);
    venue.transmit_typed(NOW_NS, &report, &mut out);
    println!("report: {} bytes", out.len());
    measure("encode report", rounds, |n| {
        out.clear();
        venue.transmit_typed(NOW_NS + n as u64 * 1_000, black_box(&report), &mut out);
        black_box(&out);
    });
}

/// Runs `rounds` batches and prints the distribution of their means.
fn measure(name: &str, rounds: usize, mut run: impl FnMut(usize)) {
    print(name, (0..rounds).map(|round| mean(|n| run(round * BATCH + n))).collect());
}

/// Nanoseconds per call over one batch.
fn mean(mut run: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    for n in 0..BATCH {
        run(n);
    }
    start.elapsed().as_nanos() as f64 / BATCH as f64
}

fn print(name: &str, mut means: Vec<f64>) {
    means.sort_by(f64::total_cmp);
    let at = |part: usize| means[(means.len() - 1) * part / 100];
    println!("{name:40} p10 {:7.1}  p50 {:7.1}  p90 {:7.1} ns", at(10), at(50), at(90));
}
