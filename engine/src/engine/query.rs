//! Status requests.

use super::{Engine, report::Out};
use crate::{
    Account, ExecType, InstrumentId, OrdType, Side, TimeInForce,
    closed::Named,
    command::QueryOrder,
    domain::RejectReason,
    event::{Execution, OrderRejected},
    sink::EventSink,
};

impl Engine {
    /// Reports an order that lives or closed lately, or that there is none.
    ///
    /// An OrderID decides alone while its order lives; a closed order is found by its ClOrdID. A
    /// ClOrdID that a replace superseded names no order. A refusal carries the codes of a limit order for the day where
    /// the request has none.
    pub(super) fn query_order<S: EventSink>(&mut self, command: &QueryOrder, out: &mut Out<'_, S>) {
        let session = command.origin.session;
        let named = self.find_named(command.order_id, session, &command.cl_ord_id);
        let is_named = |instrument: InstrumentId, side: Side| {
            let any = command.instrument == InstrumentId::NONE;
            side == command.side && (any || instrument == command.instrument)
        };
        match named {
            Some(Named::Live(slot)) if self.orders.get(slot).session == session => {
                let mut report = self.report_of(slot);
                if !is_named(report.instrument, report.side) {
                    return out.emit(&query_rejected(command, RejectReason::OrderMismatch));
                }
                report.exec_type = ExecType::OrderStatus;
                report.other_id = command.ord_status_req_id;
                out.emit(&report);
            }
            Some(Named::Closed(closed)) if closed.session == session && !closed.superseded => {
                if !is_named(closed.instrument, closed.side) {
                    return out.emit(&query_rejected(command, RejectReason::OrderMismatch));
                }
                let other_id = command.ord_status_req_id;
                out.emit(&Execution { other_id, ..self.status_of_closed(closed) });
            }
            _ => out.emit(&query_rejected(command, RejectReason::UnknownOrder)),
        }
    }
}

/// The refusal of a status request.
fn query_rejected(command: &QueryOrder, reason: RejectReason) -> OrderRejected {
    OrderRejected {
        price: 0,
        order_qty: 0,
        limit: 0,
        observed: 0,
        session: command.origin.session,
        instrument: command.instrument,
        exec_type: ExecType::OrderStatus,
        side: command.side,
        ord_type: OrdType::Limit,
        time_in_force: TimeInForce::Day,
        price_scale: 0,
        qty_scale: 0,
        reason,
        limit_scale: 0,
        observed_scale: 0,
        reserved: [0; 3],
        account: Account::EMPTY,
        cl_ord_id: command.cl_ord_id,
        unknown_symbol: command.unknown_symbol,
        ord_status_req_id: command.ord_status_req_id,
    }
}
