//! Cancels. They work in every status of an instrument.
//!
//! The ClOrdID of a cancel request is not judged: it names no order, and a cancel that is sent
//! twice does no harm.

use super::{
    Engine,
    report::{Out, Request},
};
use crate::{
    ClOrdId, InstrumentId, OrderId, SessionId, SideFilter, TimeInForce,
    closed::Named,
    command::{CancelOnDisconnect, CancelOrder, MassCancel},
    domain::{DisconnectScope, ExecReason, RejectReason},
    event::{CancelRejected, MassCanceled},
    instrument::Refusal,
    order, session,
    sink::EventSink,
};

impl Engine {
    /// Cancels one order, or says why not.
    pub(super) fn cancel_order<S: EventSink>(
        &mut self,
        command: &CancelOrder,
        out: &mut Out<'_, S>,
    ) {
        if let Some(slot) = self.find_or_reject(&command.into(), out) {
            let order = self.books.order(slot);
            let mut report = self.report_of(slot);
            let name = std::mem::replace(&mut report.cl_ord_id, command.cl_ord_id);
            report.other_id = name;
            report.cancel(ExecReason::None);
            out.emit(&report);
            self.end_resting(slot, &order, &name, &report);
        }
    }

    /// Cancels the session's orders that the filters cover, in the order of their acceptance.
    pub(super) fn mass_cancel<S: EventSink>(&mut self, command: &MassCancel, out: &mut Out<'_, S>) {
        let session = command.origin.session;
        let known = self.session_at(session);
        let first = known.and_then(|session| session.first());
        let covers_all =
            command.instrument == InstrumentId::NONE && command.side == SideFilter::Both;
        let affected = match known {
            Some(session) if covers_all => session.live,
            _ => std::iter::successors(first, |&slot| session::next_of(&self.orders, slot))
                .filter(|&slot| self.covers(command, slot))
                .count() as u32,
        };
        out.emit(&MassCanceled {
            session,
            instrument: command.instrument,
            affected,
            request_type: command.request_type,
            reserved: [0; 3],
            cl_ord_id: command.cl_ord_id,
            reserved_tail: [0; 4],
        });
        self.cancel_of_session(first, ExecReason::MassCancel, out, |engine, slot| {
            covers_all || engine.covers(command, slot)
        });
    }

    /// Cancels orders of a session that lost its connection, in the order of their acceptance.
    pub(super) fn cancel_on_disconnect<S: EventSink>(
        &mut self,
        command: &CancelOnDisconnect,
        out: &mut Out<'_, S>,
    ) {
        let first = self.session_at(command.origin.session).and_then(|session| session.first());
        let reason = command.cause.exec_reason();
        self.cancel_of_session(first, reason, out, |engine, slot| match command.scope {
            DisconnectScope::All => true,
            DisconnectScope::Day => {
                order::time_in_force(engine.books.order(slot).tag) == TimeInForce::Day
            }
        });
    }

    /// Cancels those of a session's orders that are covered, from its first on.
    pub(super) fn cancel_of_session<S: EventSink>(
        &mut self,
        first: Option<u32>,
        reason: ExecReason,
        out: &mut Out<'_, S>,
        covers: impl Fn(&Self, u32) -> bool,
    ) {
        let mut next = first;
        while let Some(slot) = next {
            next = session::next_of(&self.orders, slot);
            if covers(self, slot) {
                let order = self.books.order(slot);
                let mut report = self.report_of(slot);
                report.cancel(reason);
                out.emit(&report);
                self.end_resting(slot, &order, &report.cl_ord_id, &report);
            }
        }
    }

    /// Whether the filters of a mass cancel cover an order.
    fn covers(&self, command: &MassCancel, slot: u32) -> bool {
        let any = command.instrument == InstrumentId::NONE;
        (any || self.orders.get(slot).instrument == command.instrument)
            && command.side.covers(self.books.order(slot).side)
    }

    /// The slot of the live order that a cancel or replace means; without one, its refusal:
    ///
    /// | the request names                        | reason          | ord_status      |
    /// |------------------------------------------|-----------------|-----------------|
    /// | no order of this session, or forgotten   | UnknownOrder    | rejected        |
    /// | a ClOrdID that a replace superseded      | UnknownOrder    | rejected        |
    /// | a remembered closed order                | TooLateToCancel | how it ended    |
    /// | another instrument or side than it has   | OrderMismatch   | of the order    |
    ///
    /// An OrderID decides alone while its order lives; OrigClOrdID names the order without one, and
    /// tells a closed order from one that never was.
    #[inline]
    pub(super) fn find_or_reject<S: EventSink>(
        &self,
        request: &Request<'_>,
        out: &mut Out<'_, S>,
    ) -> Option<u32> {
        let named = self.find_named(request.order_id, request.session, request.orig_cl_ord_id);
        match named {
            Some(Named::Live(slot)) if self.orders.get(slot).session == request.session => {
                let details = self.orders.get(slot);
                let instrument = request.instrument;
                let same = (instrument == details.instrument || instrument == InstrumentId::NONE)
                    && request.side == self.books.order(slot).side;
                if same {
                    return Some(slot);
                }
                let mismatch = Refusal::plain(RejectReason::OrderMismatch);
                out.emit(&self.rejected_for(request, slot, mismatch));
            }
            Some(Named::Closed(closed))
                if closed.session == request.session && !closed.superseded =>
            {
                out.emit(&CancelRejected {
                    order_id: closed.order_id,
                    instrument: closed.instrument,
                    ord_status: closed.ord_status,
                    account: closed.account,
                    ..request.rejected(Refusal::plain(RejectReason::TooLateToCancel))
                });
            }
            _ => out.emit(&request.rejected(Refusal::plain(RejectReason::UnknownOrder))),
        }
        None
    }

    /// The order that a request names: by OrderID if it has one, else by ClOrdID.
    ///
    /// Closed orders are found by their ClOrdID only: requests carry it anyway (FIX requires
    /// OrigClOrdID), and a second index would cost every order two cache misses.
    #[inline]
    pub(super) fn find_named(
        &self,
        order_id: OrderId,
        session: SessionId,
        cl_ord_id: &ClOrdId,
    ) -> Option<Named<'_>> {
        if order_id != OrderId::NONE
            && let Some(slot) = order::find(&self.books, order_id)
        {
            return Some(Named::Live(slot));
        }
        let tag = self.names.tag(session, cl_ord_id);
        let named = self.names.find(&self.orders, tag, session, cl_ord_id)?;
        match named {
            _ if order_id == OrderId::NONE => Some(named),
            Named::Closed(closed) if closed.order_id == order_id => Some(named),
            _ => None,
        }
    }

    /// The refusal of a request that names a live order.
    pub(super) fn rejected_for(
        &self,
        request: &Request<'_>,
        slot: u32,
        refusal: Refusal,
    ) -> CancelRejected {
        let report = self.report_of(slot);
        CancelRejected {
            order_id: report.order_id,
            instrument: report.instrument,
            ord_status: report.ord_status,
            account: report.account,
            ..request.rejected(refusal)
        }
    }
}
