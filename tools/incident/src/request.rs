//! The messages that clients sent, made again from the commands that are journaled of them.

use ironbook_engine::{
    Account, ClOrdId, Command, InstrumentId, OrdType, OrderId, Side, SideFilter, Symbol,
    TimeInForce,
    command::{NewOrder, ReplaceOrder},
};
use ironbook_fix::{
    field::Decimal,
    order::{
        self as fix, MassCancelRequestType, NewOrderSingle, OrderCancelReplaceRequest,
        OrderCancelRequest, OrderMassCancelRequest, OrderStatusRequest,
    },
};
use ironbook_gateway::{symbols::SymbolTable, translate::MessageVisitor};

use crate::{
    Fault,
    index::Index,
    question::{Span, scan_while},
    show::Entry,
};

/// Stands for the symbol of a cancel or replace that named none of the venue's: which it was is not journaled.
const UNKNOWN_SYMBOL: &str = "UNKNOWN";

/// Shows the frames of a span, decoded, until `each` says false.
///
/// # Errors
/// The journal can't be read any more.
pub fn frames(index: &Index, span: Span, mut each: impl FnMut(Entry) -> bool) -> Result<(), Fault> {
    scan_while(index, &[], span, |frame| each(Entry::of(frame)))
}

/// The ClOrdIDs of a request: its own, and that of the order which it names.
pub fn cl_ord_ids(command: &mut Command) -> impl Iterator<Item = &mut ClOrdId> {
    let (own, orig) = match command {
        Command::NewOrder(order) => (Some(&mut order.cl_ord_id), None),
        Command::CancelOrder(request) => {
            (Some(&mut request.cl_ord_id), Some(&mut request.orig_cl_ord_id))
        }
        Command::ReplaceOrder(request) => {
            (Some(&mut request.cl_ord_id), Some(&mut request.orig_cl_ord_id))
        }
        Command::MassCancel(request) => (Some(&mut request.cl_ord_id), None),
        Command::QueryOrder(request) => (Some(&mut request.cl_ord_id), None),
        Command::Limits(_)
        | Command::DefineInstrument(_)
        | Command::SetInstrumentStatus(_)
        | Command::CancelOnDisconnect(_)
        | Command::DefineSession(_)
        | Command::SetRiskLimits(_)
        | Command::SetTradingStatus(_) => (None, None),
    };
    own.into_iter().chain(orig)
}

/// How a request names its order, if it names one: the OrderID, if it has one, and the ClOrdID.
pub fn order_named(command: &mut Command) -> Option<(&mut OrderId, &mut ClOrdId)> {
    match command {
        Command::CancelOrder(request) => Some((&mut request.order_id, &mut request.orig_cl_ord_id)),
        Command::ReplaceOrder(request) => {
            Some((&mut request.order_id, &mut request.orig_cl_ord_id))
        }
        Command::QueryOrder(request) => Some((&mut request.order_id, &mut request.cl_ord_id)),
        _ => None,
    }
}

/// Shows the message that a command came in, if it came in one, as far as the command tells: without what the
/// venue does not look at. TransactTime (60) is when it was read, as what the client wrote is not journaled.
pub fn tell(command: &Command, symbols: &SymbolTable, visitor: &mut impl MessageVisitor) {
    let text = |order_id: OrderId| order_id.0.to_string();
    let named = |order_id: OrderId| (order_id != OrderId::NONE).then(|| text(order_id));
    let symbol = |instrument: InstrumentId, unknown: Symbol| {
        let known = symbols.symbol(instrument).copied().unwrap_or(unknown);
        let none = Symbol::try_from(UNKNOWN_SYMBOL).expect("a short word");
        if known.is_empty() { none } else { known }
    };
    match command {
        Command::NewOrder(order) => {
            let symbol = symbol(order.instrument, order.unknown_symbol);
            visitor.typed(&new_order(order, symbol.as_bytes()));
        }
        Command::ReplaceOrder(request) => {
            let symbol = symbol(request.instrument, Symbol::EMPTY);
            let order_id = named(request.order_id);
            visitor.typed(&OrderCancelReplaceRequest {
                orig_cl_ord_id: request.orig_cl_ord_id.as_bytes(),
                order_id: order_id.as_deref().map(str::as_bytes),
                order: replacement(request, symbol.as_bytes()),
            });
        }
        Command::CancelOrder(request) => {
            let symbol = symbol(request.instrument, Symbol::EMPTY);
            let order_id = named(request.order_id);
            visitor.typed(&OrderCancelRequest {
                cl_ord_id: request.cl_ord_id.as_bytes(),
                orig_cl_ord_id: request.orig_cl_ord_id.as_bytes(),
                order_id: order_id.as_deref().map(str::as_bytes),
                account: None,
                symbol: symbol.as_bytes(),
                side: side(request.side),
                order_qty: None,
                partial: false,
                transact_time_ns: request.origin.received.0,
            });
        }
        Command::MassCancel(request) => {
            let symbol = symbols.symbol(request.instrument).map(Symbol::as_bytes);
            let all = request.request_type == MassCancelRequestType::All.code();
            visitor.typed(&OrderMassCancelRequest {
                cl_ord_id: request.cl_ord_id.as_bytes(),
                request_type: if all {
                    MassCancelRequestType::All
                } else {
                    MassCancelRequestType::Security
                },
                symbol,
                side: match request.side {
                    SideFilter::Both => None,
                    SideFilter::Buy => Some(fix::Side::Buy),
                    SideFilter::Sell => Some(fix::Side::Sell),
                },
                transact_time_ns: request.origin.received.0,
            });
        }
        Command::QueryOrder(request) => {
            let symbol = symbol(request.instrument, request.unknown_symbol);
            let order_id = named(request.order_id);
            visitor.typed(&OrderStatusRequest {
                cl_ord_id: request.cl_ord_id.as_bytes(),
                order_id: order_id.as_deref().map(str::as_bytes),
                ord_status_req_id: Some(request.ord_status_req_id.as_bytes()),
                account: None,
                symbol: symbol.as_bytes(),
                side: side(request.side),
            });
        }
        Command::Limits(_)
        | Command::DefineInstrument(_)
        | Command::SetInstrumentStatus(_)
        | Command::CancelOnDisconnect(_)
        | Command::DefineSession(_)
        | Command::SetRiskLimits(_)
        | Command::SetTradingStatus(_) => {}
    }
}

fn new_order<'a>(order: &'a NewOrder, symbol: &'a [u8]) -> NewOrderSingle<'a> {
    let limited = order.ord_type == OrdType::Limit;
    let price = Decimal::new(order.price, order.price_scale);
    let qty = Decimal::new(order.order_qty, order.qty_scale);
    let id = order.cl_ord_id.as_bytes();
    let received = order.origin.received.0;
    NewOrderSingle {
        account: (order.account != Account::EMPTY).then_some(order.account.as_bytes()),
        ord_type: ord_type(order.ord_type),
        price: limited.then_some(price),
        time_in_force: match order.time_in_force {
            TimeInForce::Day => fix::TimeInForce::Day,
            TimeInForce::Gtc => fix::TimeInForce::GoodTillCancel,
            TimeInForce::Ioc => fix::TimeInForce::ImmediateOrCancel,
            TimeInForce::Fok => fix::TimeInForce::FillOrKill,
        },
        ..NewOrderSingle::limit(id, symbol, side(order.side), qty, price, received)
    }
}

fn replacement<'a>(request: &'a ReplaceOrder, symbol: &'a [u8]) -> NewOrderSingle<'a> {
    let price = Decimal::new(request.price, request.price_scale);
    let qty = Decimal::new(request.order_qty, request.qty_scale);
    let id = request.cl_ord_id.as_bytes();
    let received = request.origin.received.0;
    NewOrderSingle {
        ord_type: ord_type(request.ord_type),
        price: (request.ord_type == OrdType::Limit).then_some(price),
        ..NewOrderSingle::limit(id, symbol, side(request.side), qty, price, received)
    }
}

fn side(side: Side) -> fix::Side {
    match side {
        Side::Buy => fix::Side::Buy,
        Side::Sell => fix::Side::Sell,
    }
}

fn ord_type(ord_type: OrdType) -> fix::OrdType {
    match ord_type {
        OrdType::Market => fix::OrdType::Market,
        OrdType::Limit => fix::OrdType::Limit,
    }
}

#[cfg(test)]
mod tests {
    use ironbook_engine::{
        SessionId, Timestamp,
        command::{CancelOrder, OrderTerms, Origin, SetInstrumentStatus},
    };
    use ironbook_fix::{
        encode::{Body, Writer},
        field::{Precision, TimestampText},
        message::MsgType,
        version::ApplVerId,
    };

    use super::*;

    /// Messages as text.
    #[derive(Default)]
    struct Told(Vec<String>);

    impl MessageVisitor for Told {
        fn typed<B: Body>(&mut self, message: &B) {
            let mut bytes = vec![0; message.len_max()];
            let mut writer = Writer::new(&mut bytes);
            let mut time = TimestampText::new(Precision::Millis);
            message.write(&mut writer, &mut time, ApplVerId::Fix44);
            let length = writer.len();
            self.0.push(String::from_utf8_lossy(&bytes[..length]).replace('\u{1}', "|"));
        }

        fn stored(&mut self, _: MsgType, _: &[u8]) {}

        fn nothing(&mut self) {}
    }

    fn told(mut command: Command) -> String {
        cl_ord_ids(&mut command).for_each(|name| {
            *name = ClOrdId::try_from(format!("X{name}").as_str()).unwrap();
        });
        if let Some((order_id, _)) = order_named(&mut command) {
            *order_id = OrderId::NONE;
        }
        let mut told = Told::default();
        tell(&command, &SymbolTable::default(), &mut told);
        told.0.concat()
    }

    #[test]
    fn requests_keep_their_terms_and_their_time() {
        // 2026-03-02 14:30:00.123 UTC
        let origin = Origin::new(SessionId(1), 7, Timestamp(1_772_461_800_123_000_000));
        let name = |text: &str| ClOrdId::try_from(text).unwrap();
        let terms = OrderTerms {
            side: Side::Sell,
            ord_type: OrdType::Limit,
            time_in_force: TimeInForce::Ioc,
            price: (10_050, 2),
            order_qty: (70, 1),
        };
        let mut order = NewOrder::new(origin, InstrumentId::NONE, terms, Account::EMPTY, name("a"));
        order.unknown_symbol = Symbol::try_from("ODD").unwrap();
        assert_eq!(
            told(order.into()),
            "11=Xa|55=ODD|54=2|60=20260302-14:30:00.123|38=7.0|40=2|44=100.50|59=3|"
        );
        let (id, none) = (OrderId(33_554_433), InstrumentId::NONE);
        let cancel = CancelOrder::new(origin, id, none, Side::Buy, name("b"), name("a"));
        // Which symbol it was is not known any more, but a message has to have one.
        assert_eq!(told(cancel.into()), "41=Xa|11=Xb|55=UNKNOWN|54=1|60=20260302-14:30:00.123|");
        let venue = Origin::venue(Timestamp(0));
        let halt = SetInstrumentStatus::new(venue, none, ironbook_engine::InstrumentStatus::Halted);
        assert_eq!(told(halt.into()), "");
    }
}
