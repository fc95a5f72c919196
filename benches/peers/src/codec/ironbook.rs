use ironbook_benches::sample;
use ironbook_fix::{
    codec::{Framed, frame},
    field::{Decimal, MsgSeqNum},
    message::{Fields, Message},
    order::OrderMessage,
    report::ExecutionReport,
    session::{Role, Session, SessionConfig},
    version::ApplVerId,
};

use super::{CLIENT, Checks, Codec, Moment, Number, Order, Report, VENUE};
use crate::Engine;

/// As the gateway does it: a message is framed, split into fields and read into the type of an order; a report is
/// written by a session, which numbers it.
pub struct Ironbook {
    fields: Box<Fields>,
    session: Session,
    output: Vec<u8>,
}

impl Ironbook {
    pub fn new() -> Self {
        let config = SessionConfig::new(Role::Acceptor, VENUE, CLIENT);
        Self {
            fields: Fields::new(),
            session: Session::new(config, MsgSeqNum::FIRST, MsgSeqNum::FIRST),
            output: Vec::with_capacity(1_024),
        }
    }
}

impl Codec for Ironbook {
    fn engine(&self) -> Engine {
        Engine::IRONBOOK
    }

    fn checks(&self) -> Checks {
        let remark = "fields that an order must have, every value, fields twice; exact numbers";
        Checks { body_length: true, checksum: true, remark }
    }

    #[inline(always)]
    fn decode(&mut self, bytes: &[u8], read: &mut dyn FnMut(&Order<'_>)) -> bool {
        let Framed::Message { len } = frame(bytes) else { return false };
        let Ok(message) = Message::parse(&bytes[..len], &mut self.fields) else { return false };
        let parsed = OrderMessage::parse(&message, ApplVerId::Fix44);
        let Ok(OrderMessage::New(order)) = parsed else { return false };
        let (Some(account), Some(price)) = (order.account, order.price) else { return false };
        let number = |decimal: Decimal| Number::Exact(decimal.mantissa, decimal.scale.into());
        read(&Order {
            cl_ord_id: order.cl_ord_id,
            account,
            symbol: order.symbol,
            side: order.side.code(),
            ord_type: order.ord_type.code(),
            time_in_force: order.time_in_force.code(),
            price: number(price),
            order_qty: number(order.order_qty),
            transact_time: Moment::Ns(order.transact_time_ns),
        });
        true
    }

    #[inline(always)]
    fn encode(&mut self, _: u64, report: &Report) -> &[u8] {
        let order_qty = Decimal::new(report.order_qty as i64, 0);
        let report = ExecutionReport {
            order_id: report.order_id.as_bytes(),
            exec_id: report.exec_id.as_bytes(),
            cl_ord_id: Some(report.cl_ord_id.as_bytes()),
            account: Some(report.account.as_bytes()),
            symbol: report.symbol.as_bytes(),
            order_qty: Some(order_qty),
            price: Some(report.price),
            leaves_qty: order_qty,
            transact_time_ns: Some(report.time_ns),
            ..sample::report()
        };
        self.output.clear();
        self.session.transmit_typed(sample::TIME_NS, &report, &mut self.output);
        &self.output
    }
}
