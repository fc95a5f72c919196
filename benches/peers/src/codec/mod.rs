//! FIX codecs: the bytes of a NewOrderSingle in, its fields out; the fields of an ExecutionReport in, its bytes out.

#[cfg(feature = "fefix")]
mod fefix;
mod fixlite;
mod hotfix;
mod ironbook;
mod ironfix;
mod nanofix;

use std::hint::black_box;

use ironbook_benches::sample;
use ironbook_fix::{
    codec::checksum,
    field::{Decimal, MsgSeqNum, Precision, TIMESTAMP_TEXT_MAX, TimestampText, parse_timestamp},
    order::{NewOrderSingle, Side},
    session::{Role, Session, SessionConfig},
};

use crate::Engine;

/// Who sends the orders.
pub const CLIENT: &str = "TRADER1";
/// Who sends the reports.
pub const VENUE: &str = "IRONBOOK";

/// A price or a quantity as an engine reads it.
#[derive(Clone, Copy, Debug)]
pub enum Number<'a> {
    /// Exactly: mantissa and decimals.
    Exact(i64, u32),
    /// As the nearest binary fraction.
    Float(f64),
    /// Not at all: its text.
    Text(&'a [u8]),
}

/// A time as an engine reads it.
#[derive(Clone, Copy, Debug)]
pub enum Moment<'a> {
    /// Nanoseconds since 1970.
    Ns(u64),
    /// Year, month, day, hour, minute, second, millisecond.
    Parts([u32; 7]),
    /// Not at all: its text.
    Text(&'a [u8]),
}

impl Number<'_> {
    /// The number; none when its text is none.
    pub fn value(&self) -> Option<f64> {
        match *self {
            Self::Exact(mantissa, scale) => Some(mantissa as f64 / 10_f64.powi(scale as i32)),
            Self::Float(value) => Some(value),
            Self::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        }
    }
}

impl Moment<'_> {
    /// Nanoseconds since 1970; none when its text is no time.
    pub fn ns(&self) -> Option<u64> {
        match *self {
            Self::Ns(ns) => Some(ns),
            Self::Parts([year, month, day, hour, minute, second, milli]) => {
                let text = format!(
                    "{year:04}{month:02}{day:02}-{hour:02}:{minute:02}:{second:02}.{milli:03}"
                );
                parse_timestamp(text.as_bytes()).ok()
            }
            Self::Text(text) => parse_timestamp(text).ok(),
        }
    }
}

/// What is read of an order, in the types that the engine has for it.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// ClOrdID(11)
    pub cl_ord_id: &'a [u8],
    /// Account(1)
    pub account: &'a [u8],
    /// Symbol(55)
    pub symbol: &'a [u8],
    /// Side(54), its code.
    pub side: u8,
    /// OrdType(40), its code.
    pub ord_type: u8,
    /// TimeInForce(59), its code.
    pub time_in_force: u8,
    /// Price(44)
    pub price: Number<'a>,
    /// OrderQty(38)
    pub order_qty: Number<'a>,
    /// TransactTime(60)
    pub transact_time: Moment<'a>,
}

/// A report of a new limit order to buy, for the day, of which nothing is filled.
#[derive(Clone, Debug)]
pub struct Report {
    /// OrderID(37)
    pub order_id: String,
    /// ExecID(17)
    pub exec_id: String,
    /// ClOrdID(11)
    pub cl_ord_id: String,
    /// Account(1)
    pub account: &'static str,
    /// Symbol(55)
    pub symbol: &'static str,
    /// OrderQty(38) and LeavesQty(151)
    pub order_qty: u64,
    /// Price(44) for engines that know decimals.
    pub price: Decimal,
    /// Price(44) as text.
    pub price_text: String,
    /// SendingTime(52) and TransactTime(60) for engines that write times.
    pub time_ns: u64,
    /// SendingTime(52) and TransactTime(60) as text.
    pub time_text: String,
}

/// What an engine finds out by itself about a message that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks {
    /// Whether BodyLength(9) is right.
    pub body_length: bool,
    /// Whether CheckSum(10) is right.
    pub checksum: bool,
    /// What else, or what is left out, for people.
    pub remark: &'static str,
}

/// The codec of an engine.
pub trait Codec {
    /// Whose.
    fn engine(&self) -> Engine;

    /// What it checks; the tests hold this against the engine.
    fn checks(&self) -> Checks;

    /// Reads a NewOrderSingle and hands its fields on; whether it is one.
    fn decode(&mut self, bytes: &[u8], read: &mut dyn FnMut(&Order<'_>)) -> bool;

    /// Writes an ExecutionReport with this MsgSeqNum. Ironbook counts by itself, and formats prices and times; other
    /// engines get those as text, made beforehand.
    fn encode(&mut self, seq: u64, report: &Report) -> &[u8];

    /// Reads all messages, `rounds` times; how many were orders. Each engine has its own copy of this loop.
    fn decode_all(&mut self, messages: &[Vec<u8>], rounds: usize) -> usize {
        let mut orders = 0;
        for _ in 0..rounds {
            for message in messages {
                let read = &mut |order: &Order<'_>| {
                    black_box(order);
                };
                orders += usize::from(self.decode(black_box(message), read));
            }
        }
        orders
    }

    /// Writes all reports, `rounds` times, numbered from `seq`; how many bytes that came to.
    fn encode_all(&mut self, mut seq: u64, reports: &[Report], rounds: usize) -> usize {
        let mut bytes = 0;
        for _ in 0..rounds {
            for report in reports {
                bytes += black_box(self.encode(seq, black_box(report))).len();
                seq += 1;
            }
        }
        bytes
    }
}

/// Codecs of all engines, Ironbook first.
pub fn codecs() -> Vec<Box<dyn Codec>> {
    vec![
        Box::new(ironbook::Ironbook::new()),
        Box::new(fixlite::Fixlite::new()),
        Box::new(ironfix::Ironfix::new()),
        Box::new(nanofix::Nanofix::new()),
        #[cfg(feature = "fefix")]
        Box::new(fefix::Fefix::new()),
        Box::new(hotfix::Hotfix::new()),
    ]
}

/// Orders of about 190 bytes that differ in identifiers, side, quantity and price.
pub fn orders(count: u64) -> Vec<Vec<u8>> {
    let config = SessionConfig::new(Role::Initiator, CLIENT, VENUE);
    let mut session = Session::new(config, MsgSeqNum::FIRST, MsgSeqNum::FIRST);
    let order = |number| {
        let id = cl_ord_id(number);
        let order = NewOrderSingle {
            side: if number % 3 == 0 { Side::Sell } else { Side::Buy },
            order_qty: Decimal::new(order_qty(number) as i64, 0),
            price: Some(price(number)),
            ..sample::order(id.as_bytes())
        };
        let mut bytes = Vec::new();
        session.transmit_typed(sample::TIME_NS, &order, &mut bytes);
        bytes
    };
    (1..=count).map(order).collect()
}

/// Fields of an order that are its session's, from MsgType (35) on.
const SESSION_FIELDS: usize = 5;

/// The same orders in more layouts than an engine may remember, no two alike in a row: fields stand in another
/// sequence, and every other order has one more.
pub fn mixed_orders(count: u64) -> Vec<Vec<u8>> {
    let mix = |(number, bytes): (usize, Vec<u8>)| {
        let fields: Vec<_> = bytes.split_inclusive(|byte| *byte == 1).collect();
        // BeginString and BodyLength before, CheckSum behind.
        let (session, body) = fields[2..fields.len() - 1].split_at(SESSION_FIELDS);
        let mut body = body.to_vec();
        if number % 2 == 0 {
            // HandlInst
            body.push(b"21=1\x01");
        }
        if number % 3 == 0 {
            body.reverse();
        }
        let first = number % body.len();
        body.rotate_left(first);
        let content = [session, &body].concat().concat();
        let mut mixed = format!("8=FIX.4.4\x019={}\x01", content.len()).into_bytes();
        mixed.extend(content);
        let sum = checksum(&mixed);
        mixed.extend(format!("10={sum:03}\x01").bytes());
        mixed
    };
    orders(count).into_iter().enumerate().map(mix).collect()
}

/// Reports on those orders.
pub fn reports(count: u64) -> Vec<Report> {
    let mut text = [0; TIMESTAMP_TEXT_MAX];
    let length = TimestampText::new(Precision::Millis).write(&mut text, sample::TIME_NS);
    let time_text = String::from_utf8_lossy(&text[..length]).into_owned();
    let report = |number: u64| Report {
        order_id: (16_777_216 + number).to_string(),
        exec_id: (123_456 + number).to_string(),
        cl_ord_id: cl_ord_id(number),
        account: "ACCOUNT1",
        symbol: "AAPL",
        order_qty: order_qty(number),
        price: price(number),
        price_text: format!("{:.2}", price(number).mantissa as f64 / 100.0),
        time_ns: sample::TIME_NS,
        time_text: time_text.clone(),
    };
    (1..=count).map(report).collect()
}

/// ClOrdID of an order.
pub fn cl_ord_id(number: u64) -> String {
    format!("ORDER-{number:010}")
}

/// Quantity of an order.
pub fn order_qty(number: u64) -> u64 {
    100 + 7 * (number % 100)
}

/// Price of an order.
pub fn price(number: u64) -> Decimal {
    Decimal::new(18_900 + (number * 37 % 100) as i64, 2)
}
