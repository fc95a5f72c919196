use fefix::{
    Dictionary,
    definitions::fix44,
    fix_values::Timestamp,
    tagvalue::{Config, Decoder, Encoder, FieldAccess},
};

use super::{CLIENT, Checks, Codec, Moment, Number, Order, Report, VENUE};
use crate::Engine;

/// FerrumFIX, without its sessions.
pub struct Fefix {
    decoder: Decoder<Config>,
    encoder: Encoder<Config>,
    output: Vec<u8>,
}

impl Fefix {
    pub fn new() -> Self {
        Self {
            decoder: Decoder::new(Dictionary::fix44()),
            encoder: Encoder::default(),
            output: Vec::with_capacity(1_024),
        }
    }
}

impl Codec for Fefix {
    fn engine(&self) -> Engine {
        Engine { name: "fefix", licence: "MIT OR Apache-2.0" }
    }

    fn checks(&self) -> Checks {
        Checks { body_length: true, checksum: true, remark: "numbers as floats" }
    }

    #[inline(always)]
    fn decode(&mut self, bytes: &[u8], read: &mut dyn FnMut(&Order<'_>)) -> bool {
        let Ok(message) = self.decoder.decode(bytes) else { return false };
        let order = || {
            let time: Timestamp = message.fv(fix44::TRANSACT_TIME).ok()?;
            let (date, time) = (time.date(), time.time());
            Some(Order {
                cl_ord_id: message.fv::<&str>(fix44::CL_ORD_ID).ok()?.as_bytes(),
                account: message.fv::<&str>(fix44::ACCOUNT).ok()?.as_bytes(),
                symbol: message.fv::<&str>(fix44::SYMBOL).ok()?.as_bytes(),
                side: match message.fv(fix44::SIDE).ok()? {
                    fix44::Side::Buy => b'1',
                    fix44::Side::Sell => b'2',
                    _ => return None,
                },
                ord_type: match message.fv(fix44::ORD_TYPE).ok()? {
                    fix44::OrdType::Limit => b'2',
                    _ => return None,
                },
                time_in_force: match message.fv(fix44::TIME_IN_FORCE).ok()? {
                    fix44::TimeInForce::Day => b'0',
                    _ => return None,
                },
                price: Number::Float(message.fv(fix44::PRICE).ok()?),
                order_qty: Number::Float(message.fv(fix44::ORDER_QTY).ok()?),
                transact_time: Moment::Parts([
                    date.year(),
                    date.month(),
                    date.day(),
                    time.hour(),
                    time.minute(),
                    time.second(),
                    time.milli(),
                ]),
            })
        };
        let is_order = matches!(message.fv::<&str>(fix44::MSG_TYPE), Ok("D"));
        let Some(order) = order().filter(|_| is_order) else { return false };
        read(&order);
        true
    }

    #[inline(always)]
    fn encode(&mut self, seq: u64, report: &Report) -> &[u8] {
        self.output.clear();
        let mut out = self.encoder.start_message(b"FIX.4.4", &mut self.output, b"8");
        out.set(fix44::SENDER_COMP_ID, VENUE);
        out.set(fix44::TARGET_COMP_ID, CLIENT);
        out.set(fix44::MSG_SEQ_NUM, seq);
        out.set(fix44::SENDING_TIME, report.time_text.as_str());
        out.set(fix44::ORDER_ID, report.order_id.as_str());
        out.set(fix44::EXEC_ID, report.exec_id.as_str());
        out.set(fix44::CL_ORD_ID, report.cl_ord_id.as_str());
        out.set(fix44::EXEC_TYPE, fix44::ExecType::New);
        out.set(fix44::ORD_STATUS, fix44::OrdStatus::New);
        out.set(fix44::ACCOUNT, report.account);
        out.set(fix44::SYMBOL, report.symbol);
        out.set(fix44::SIDE, fix44::Side::Buy);
        out.set(fix44::ORDER_QTY, report.order_qty);
        out.set(fix44::ORD_TYPE, fix44::OrdType::Limit);
        out.set(fix44::PRICE, report.price_text.as_str());
        out.set(fix44::TIME_IN_FORCE, fix44::TimeInForce::Day);
        out.set(fix44::LEAVES_QTY, report.order_qty);
        out.set(fix44::CUM_QTY, 0_u64);
        out.set(fix44::AVG_PX, 0_u64);
        out.set(fix44::TRANSACT_TIME, report.time_text.as_str());
        out.wrap()
    }
}
