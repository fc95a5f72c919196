//! A flow as engine commands.

use std::collections::HashMap;

use ironbook_engine::{
    Account, ClOrdId, Command, EngineLimits, InstrumentId, OrdType, OrderId, SessionId, Symbol,
    TimeInForce, Timestamp,
    command::{
        CancelOrder, DefineInstrument, DefineSession, NewOrder, OrderTerms, Origin, ReplaceOrder,
    },
};

use crate::flow::{FlowAction, FlowEvent, Mix, Synthetic};

/// Decimals of price and quantity of the workload's instruments.
pub const SCALES: (u8, u8) = (2, 0);

/// Numbers the requests of a flow and knows each order's last ClOrdID.
#[derive(Debug, Default)]
pub struct Requests {
    count: u64,
    named: HashMap<u64, u64>,
}

impl Requests {
    /// Number of this request, and of the one that named the order before; both from 1, the latter
    /// 0 when there is none.
    pub fn number(&mut self, event: &FlowEvent) -> (u64, u64) {
        self.count += 1;
        let named = match event.action {
            FlowAction::Cancel => self.named.remove(&event.order),
            _ => self.named.insert(event.order, self.count),
        };
        (self.count, named.unwrap_or(0))
    }
}

/// ClOrdID of a request: a prefix and its number.
#[derive(Clone, Copy, Debug)]
pub struct RequestId {
    text: [u8; 36],
    length: usize,
}

impl RequestId {
    /// The id of request `number`.
    #[inline]
    pub fn new(prefix: &[u8], number: u64) -> Self {
        let mut text = [0; 36];
        text[..prefix.len()].copy_from_slice(prefix);
        let length = ironbook_fix::field::write_u64(&mut text[prefix.len()..], number);
        Self { text, length: prefix.len() + length }
    }

    /// The id as bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

/// Commands that make the engine ready for a flow over this many instruments.
pub fn preparation(instruments: u32) -> Vec<Command> {
    let limits = EngineLimits::default();
    let instruments_max = limits.instruments_max.max(instruments);
    let mut commands = vec![Command::from(EngineLimits { instruments_max, ..limits })];
    let client = b"LOADGEN".as_slice().try_into().unwrap_or_default();
    commands.push(DefineSession::new(SessionId(1), client).into());
    for number in 1..=instruments {
        let symbol = Symbol::try_from(format!("SYM{number}").as_str()).unwrap_or_default();
        let instrument = InstrumentId(number);
        commands.push(DefineInstrument::new(instrument, symbol, SCALES.0, SCALES.1, 1, 1).into());
    }
    commands
}

/// The seeded workload: `count` commands of an ITCH-like flow over `instruments` instruments;
/// cancels and replaces name the order by OrigClOrdID, as clients do.
pub fn commands(seed: u64, instruments: u32, count: usize) -> Vec<Command> {
    let mut requests = Requests::default();
    Synthetic::new(seed, instruments as usize, Mix::default(), SCALES)
        .take(count)
        .map(|event| command(&event, &mut requests))
        .collect()
}

/// The command that a step of a flow asks for, in session 1.
pub fn command(event: &FlowEvent, requests: &mut Requests) -> Command {
    let (number, named) = requests.number(event);
    let id =
        |number| ClOrdId::try_from(RequestId::new(b"L", number).as_bytes()).unwrap_or_default();
    let origin = Origin::new(SessionId(1), number, Timestamp(number));
    let instrument = InstrumentId(event.instrument + 1);
    let terms = |ord_type, time_in_force, price, order_qty| OrderTerms {
        side: event.side,
        ord_type,
        time_in_force,
        price,
        order_qty,
    };
    match event.action {
        FlowAction::New { ord_type, time_in_force, price, order_qty } => {
            let terms = terms(ord_type, time_in_force, price, order_qty);
            NewOrder::new(origin, instrument, terms, Account::EMPTY, id(number)).into()
        }
        FlowAction::Replace { price, order_qty } => {
            let terms = terms(OrdType::Limit, TimeInForce::Day, price, order_qty);
            let ids = (id(number), id(named));
            ReplaceOrder::new(origin, OrderId::NONE, instrument, terms, ids).into()
        }
        FlowAction::Cancel => {
            let (own, orig) = (id(number), id(named));
            CancelOrder::new(origin, OrderId::NONE, instrument, event.side, own, orig).into()
        }
    }
}
