//! FIX messages.

use std::hint::black_box;

use ironbook_benches::sample::{TIME_NS, order, report};
use ironbook_fix::{
    codec::{Framed, frame},
    encode::{Body, Encoder},
    field::{MsgSeqNum, TimestampText},
    message::{Fields, Message, MsgType},
    order::OrderMessage,
    report::ExecutionReport,
    session::{Handled, Output, Role, Session, SessionConfig},
    version::{ApplVerId, Version},
};

use crate::{COUNTED, ROUND_MAX, counted};

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
