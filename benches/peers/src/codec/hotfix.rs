use hotfix_message::{
    MessageBuilder, Part,
    dict::Dictionary,
    field_types::Timestamp,
    fix44,
    message::{Config, Message},
    parsed_message::ParsedMessage,
    session_fields::{MSG_SEQ_NUM, MSG_TYPE, SENDER_COMP_ID, SENDING_TIME, TARGET_COMP_ID},
};

use super::{CLIENT, Checks, Codec, Moment, Number, Order, Report, VENUE};
use crate::Engine;

/// What ends a field.
const SEPARATOR: u8 = 1;

/// The messages of hotfix, a crate of their own that needs no session. A dictionary knows which fields a message
/// must and may have.
pub struct Hotfix {
    builder: MessageBuilder,
    config: Config,
    output: Vec<u8>,
}

impl Hotfix {
    pub fn new() -> Self {
        let config = Config::with_separator(SEPARATOR);
        let builder = MessageBuilder::new(Dictionary::fix44(), config)
            .unwrap_or_else(|error| panic!("its own dictionary is good: {error}"));
        Self { builder, config, output: Vec::new() }
    }
}

impl Codec for Hotfix {
    fn engine(&self) -> Engine {
        Engine { name: "hotfix-message", licence: "MIT" }
    }

    fn checks(&self) -> Checks {
        let remark = "fields by its dictionary; numbers as floats";
        Checks { body_length: true, checksum: true, remark }
    }

    #[inline(always)]
    fn decode(&mut self, bytes: &[u8], read: &mut dyn FnMut(&Order<'_>)) -> bool {
        let ParsedMessage::Valid(message) = self.builder.build(bytes) else { return false };
        let order = || {
            let time: Timestamp = message.get(fix44::TRANSACT_TIME).ok()?;
            let (date, time) = (time.date(), time.time());
            Some(Order {
                cl_ord_id: message.get::<&str>(fix44::CL_ORD_ID).ok()?.as_bytes(),
                account: message.get::<&str>(fix44::ACCOUNT).ok()?.as_bytes(),
                symbol: message.get::<&str>(fix44::SYMBOL).ok()?.as_bytes(),
                side: match message.get(fix44::SIDE).ok()? {
                    fix44::Side::Buy => b'1',
                    fix44::Side::Sell => b'2',
                    _ => return None,
                },
                ord_type: match message.get(fix44::ORD_TYPE).ok()? {
                    fix44::OrdType::Limit => b'2',
                    _ => return None,
                },
                time_in_force: match message.get(fix44::TIME_IN_FORCE).ok()? {
                    fix44::TimeInForce::Day => b'0',
                    _ => return None,
                },
                price: Number::Float(message.get(fix44::PRICE).ok()?),
                order_qty: Number::Float(message.get(fix44::ORDER_QTY).ok()?),
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
        let is_order = matches!(message.header().get::<&str>(MSG_TYPE), Ok("D"));
        let Some(order) = order().filter(|_| is_order) else { return false };
        read(&order);
        true
    }

    #[inline(always)]
    fn encode(&mut self, seq: u64, report: &Report) -> &[u8] {
        let mut out = Message::new("FIX.4.4", "8");
        out.set(SENDER_COMP_ID, VENUE);
        out.set(TARGET_COMP_ID, CLIENT);
        out.set(MSG_SEQ_NUM, seq);
        out.set(SENDING_TIME, report.time_text.as_str());
        out.set(fix44::ORDER_ID, report.order_id.as_str());
        out.set(fix44::EXEC_ID, report.exec_id.as_str());
        out.set(fix44::CL_ORD_ID, report.cl_ord_id.as_str());
        out.set(fix44::EXEC_TYPE, "0");
        out.set(fix44::ORD_STATUS, "0");
        out.set(fix44::ACCOUNT, report.account);
        out.set(fix44::SYMBOL, report.symbol);
        out.set(fix44::SIDE, "1");
        out.set(fix44::ORDER_QTY, report.order_qty);
        out.set(fix44::ORD_TYPE, "2");
        out.set(fix44::PRICE, report.price_text.as_str());
        out.set(fix44::TIME_IN_FORCE, "0");
        out.set(fix44::LEAVES_QTY, report.order_qty);
        out.set(fix44::CUM_QTY, 0_u64);
        out.set(fix44::AVG_PX, 0_u64);
        out.set(fix44::TRANSACT_TIME, report.time_text.as_str());
        self.output = out.encode(&self.config).unwrap_or_default();
        &self.output
    }
}
