use nanofix::{parser::FixParser, serializer::FixSerializer};

use super::{CLIENT, Checks, Codec, Moment, Number, Order, Report, VENUE};
use crate::Engine;

/// Room for a message.
const MESSAGE_MAX: usize = 1_024;

/// It knows no types for orders, and no decimals: whole numbers are read, prices, times and codes stay text.
pub struct Nanofix {
    parser: FixParser,
    output: [u8; MESSAGE_MAX],
}

impl Nanofix {
    pub fn new() -> Self {
        Self { parser: FixParser::new(), output: [0; MESSAGE_MAX] }
    }
}

impl Codec for Nanofix {
    fn engine(&self) -> Engine {
        Engine { name: "nanofix", licence: "MIT" }
    }

    fn checks(&self) -> Checks {
        let remark = "prices, times and codes stay text";
        Checks { body_length: true, checksum: true, remark }
    }

    #[inline(always)]
    fn decode(&mut self, bytes: &[u8], read: &mut dyn FnMut(&Order<'_>)) -> bool {
        let Ok((message, _)) = self.parser.parse(bytes) else { return false };
        let text = |tag| message.get_field(tag);
        let code = |tag| match message.get_field(tag)? {
            [code] => Some(*code),
            _ => None,
        };
        let order = || {
            Some(Order {
                cl_ord_id: text(11)?,
                account: text(1)?,
                symbol: text(55)?,
                side: code(54)?,
                ord_type: code(40)?,
                time_in_force: code(59)?,
                price: Number::Text(text(44)?),
                order_qty: Number::Exact(message.get_field_i64(38)?, 0),
                transact_time: Moment::Text(text(60)?),
            })
        };
        let Some(order) = order().filter(|_| message.msg_type() == Some(&b"D"[..])) else {
            return false;
        };
        read(&order);
        true
    }

    #[inline(always)]
    fn encode(&mut self, seq: u64, report: &Report) -> &[u8] {
        let mut out = FixSerializer::new(&mut self.output);
        out.begin(b"FIX.4.4", b"8")
            .add_str(49, VENUE.as_bytes())
            .add_str(56, CLIENT.as_bytes())
            .add_u64(34, seq)
            .add_str(52, report.time_text.as_bytes())
            .add_str(37, report.order_id.as_bytes())
            .add_str(17, report.exec_id.as_bytes())
            .add_str(11, report.cl_ord_id.as_bytes())
            .add_str(150, b"0")
            .add_str(39, b"0")
            .add_str(1, report.account.as_bytes())
            .add_str(55, report.symbol.as_bytes())
            .add_str(54, b"1")
            .add_u64(38, report.order_qty)
            .add_str(40, b"2")
            .add_str(44, report.price_text.as_bytes())
            .add_str(59, b"0")
            .add_u64(151, report.order_qty)
            .add_u64(14, 0)
            .add_u64(6, 0)
            .add_str(60, report.time_text.as_bytes());
        let length = out.finalize();
        &self.output[..length]
    }
}
