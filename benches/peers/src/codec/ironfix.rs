use ironfix_tagvalue::{Decoder, Encoder, FieldIndex};

use super::{CLIENT, Checks, Codec, Moment, Number, Order, Report, VENUE};
use crate::Engine;

/// Fields for which the index has room.
const FIELDS_MAX: usize = 64;

/// It knows no types for orders: fields are found by their numbers, codes are characters, times stay text.
pub struct Ironfix {
    index: FieldIndex,
    encoder: Encoder,
}

impl Ironfix {
    pub fn new() -> Self {
        Self { index: FieldIndex::with_capacity(FIELDS_MAX), encoder: Encoder::new("FIX.4.4") }
    }
}

impl Codec for Ironfix {
    fn engine(&self) -> Engine {
        Engine { name: "ironfix-tagvalue", licence: "MIT" }
    }

    fn checks(&self) -> Checks {
        let remark = "codes as characters, times stay text; exact numbers";
        Checks { body_length: true, checksum: true, remark }
    }

    #[inline(always)]
    fn decode(&mut self, bytes: &[u8], read: &mut dyn FnMut(&Order<'_>)) -> bool {
        let Ok(message) = Decoder::new(bytes).decode_into(&mut self.index) else { return false };
        let text = |tag| Some(message.get_field(tag)?.as_str().ok()?.as_bytes());
        let code = |tag| Some(message.get_field(tag)?.as_char().ok()? as u8);
        let number = |tag| {
            let decimal = message.get_field(tag)?.as_decimal().ok()?;
            Some(Number::Exact(decimal.mantissa() as i64, decimal.scale()))
        };
        let order = || {
            Some(Order {
                cl_ord_id: text(11)?,
                account: text(1)?,
                symbol: text(55)?,
                side: code(54)?,
                ord_type: code(40)?,
                time_in_force: code(59)?,
                price: number(44)?,
                order_qty: number(38)?,
                transact_time: Moment::Text(text(60)?),
            })
        };
        let Some(order) = order().filter(|_| text(35) == Some(&b"D"[..])) else { return false };
        read(&order);
        true
    }

    #[inline(always)]
    fn encode(&mut self, seq: u64, report: &Report) -> &[u8] {
        let out = &mut self.encoder;
        out.clear();
        out.put_str(35, "8");
        out.put_str(49, VENUE);
        out.put_str(56, CLIENT);
        out.put_uint(34, seq);
        out.put_str(52, &report.time_text);
        out.put_str(37, &report.order_id);
        out.put_str(17, &report.exec_id);
        out.put_str(11, &report.cl_ord_id);
        out.put_char(150, '0');
        out.put_char(39, '0');
        out.put_str(1, report.account);
        out.put_str(55, report.symbol);
        out.put_char(54, '1');
        out.put_uint(38, report.order_qty);
        out.put_char(40, '2');
        out.put_str(44, &report.price_text);
        out.put_char(59, '0');
        out.put_uint(151, report.order_qty);
        out.put_uint(14, 0);
        out.put_uint(6, 0);
        out.put_str(60, &report.time_text);
        out.finish().unwrap_or_default()
    }
}
