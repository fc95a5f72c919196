use chrono::{DateTime, Utc};
use fixlite::{
    AsFixStr, FixBuilder, FixDeserialize,
    builder::SendingTimeStr,
    enums::{ExecType, MsgType, OrdStatus, OrdType, Side, TimeInForce},
    fix::Price,
    fix_tag_registry,
};

use super::{CLIENT, Checks, Codec, Moment, Number, Order, Report, VENUE};
use crate::Engine;

fix_tag_registry! {
    Registry {
        35 => [MsgType],
        38 => [Price],
        40 => [OrdType],
        44 => [Price],
        54 => [Side],
        59 => [TimeInForce],
        60 => [DateTime<Utc>],
    }
}

/// Decimals of its prices.
const PRICE_SCALE: u32 = 8;

/// Its derive macro makes the reader of this type.
#[derive(FixDeserialize)]
#[fix_registry(Registry)]
struct NewOrderSingle<'a> {
    #[fix(tag = 35)]
    msg_type: MsgType,
    #[fix(tag = 11)]
    cl_ord_id: &'a str,
    #[fix(tag = 1)]
    account: &'a str,
    #[fix(tag = 55)]
    symbol: &'a str,
    #[fix(tag = 54)]
    side: Side,
    #[fix(tag = 40)]
    ord_type: OrdType,
    #[fix(tag = 44)]
    price: Price,
    #[fix(tag = 38)]
    order_qty: Price,
    #[fix(tag = 59)]
    time_in_force: TimeInForce,
    #[fix(tag = 60)]
    transact_time: DateTime<Utc>,
}

/// Readers are made for types; what the type has no place for is passed over.
pub struct Fixlite(FixBuilder);

impl Fixlite {
    pub fn new() -> Self {
        Self(FixBuilder::new("FIX.4.4", VENUE, CLIENT))
    }
}

fn code(value: &impl AsFixStr) -> u8 {
    value.as_fix_str().as_bytes()[0]
}

impl Codec for Fixlite {
    fn engine(&self) -> Engine {
        Engine { name: "fixlite", licence: "MIT OR Apache-2.0" }
    }

    fn checks(&self) -> Checks {
        let remark = "fields that the order's type has, ASCII; exact numbers";
        Checks { body_length: true, checksum: true, remark }
    }

    #[inline(always)]
    fn decode(&mut self, bytes: &[u8], read: &mut dyn FnMut(&Order<'_>)) -> bool {
        let Ok(order) = fixlite::decode::<NewOrderSingle<'_>>(bytes) else { return false };
        if order.msg_type != MsgType::NewOrderSingle {
            return false;
        }
        let Some(time) = order.transact_time.timestamp_nanos_opt() else { return false };
        read(&Order {
            cl_ord_id: order.cl_ord_id.as_bytes(),
            account: order.account.as_bytes(),
            symbol: order.symbol.as_bytes(),
            side: code(&order.side),
            ord_type: code(&order.ord_type),
            time_in_force: code(&order.time_in_force),
            price: Number::Exact(order.price.raw(), PRICE_SCALE),
            order_qty: Number::Exact(order.order_qty.raw(), PRICE_SCALE),
            transact_time: Moment::Ns(time as u64),
        });
        true
    }

    #[inline(always)]
    fn encode(&mut self, seq: u64, report: &Report) -> &[u8] {
        self.0
            .begin_with(&seq, &SendingTimeStr(&report.time_text), &MsgType::ExecutionReport)
            .str(37, &report.order_id)
            .str(17, &report.exec_id)
            .str(11, &report.cl_ord_id)
            .field_tagged(ExecType::New)
            .field_tagged(OrdStatus::New)
            .str(1, report.account)
            .str(55, report.symbol)
            .field_tagged(Side::Buy)
            .field(38, report.order_qty)
            .field_tagged(OrdType::Limit)
            .str(44, &report.price_text)
            .field_tagged(TimeInForce::Day)
            .field(151, report.order_qty)
            .field(14, 0_u64)
            .field(6, 0_u64)
            .str(60, &report.time_text)
            .finish()
    }
}
