//! Looking ahead at commands that wait: their memory is asked for while others are carried out.
//!
//! Beyond the second-level cache a command is mostly waiting: for where its name stands, for the
//! order, for the order's neighbors in its queue. Each can be asked for once the one before has
//! arrived, so the three are asked for at three distances. Nothing is decided by it, and nothing
//! changes: an engine that never looks ahead gives the same events.

use super::Engine;
use crate::{
    ClOrdId, Command, OrderId, SessionId,
    command::{CancelOrder, ReplaceOrder},
};

/// Commands between asking for where a name stands and carrying the command out.
const NAME_AHEAD: usize = 6;
/// The same for the order that the name means.
const ORDER_AHEAD: usize = 4;
/// The same for the order's neighbors.
const NEIGHBORS_AHEAD: usize = 2;

impl Engine {
    /// Asks for the memory of commands that wait. `waiting` gives the command that will be carried
    /// out after so many others, if it is known already; to be called once for each command,
    /// before it is carried out.
    #[inline]
    pub fn look_ahead<'c>(&self, waiting: impl Fn(usize) -> Option<&'c Command>) {
        // The names of remembered orders alone are more than the second-level cache holds.
        if let Some(command) = waiting(NAME_AHEAD) {
            self.prefetch_names(command);
        }
        if !self.books.pays_to_look_ahead() {
            return;
        }
        if let Some(slot) = waiting(ORDER_AHEAD).and_then(|command| self.guess(command)) {
            self.books.prefetch(slot);
            self.orders.prefetch(slot);
        }
        if let Some(slot) = waiting(NEIGHBORS_AHEAD).and_then(|command| self.guess(command)) {
            self.books.prefetch_queue(slot);
            self.orders.prefetch_chain(slot);
        }
    }

    #[inline]
    fn prefetch_names(&self, command: &Command) {
        let prefetch = |session: SessionId, name: &ClOrdId| {
            self.names.prefetch(session, name);
        };
        match command {
            Command::NewOrder(new) => prefetch(new.origin.session, &new.cl_ord_id),
            Command::CancelOrder(cancel) if cancel.order_id == OrderId::NONE => {
                prefetch(cancel.origin.session, &cancel.orig_cl_ord_id);
            }
            Command::ReplaceOrder(replace) => {
                prefetch(replace.origin.session, &replace.cl_ord_id);
                prefetch(replace.origin.session, &replace.orig_cl_ord_id);
            }
            _ => {}
        }
    }

    /// The slot of the order that a command seems to name.
    #[inline]
    fn guess(&self, command: &Command) -> Option<u32> {
        let (session, order_id, name) = match command {
            Command::CancelOrder(CancelOrder { origin, order_id, orig_cl_ord_id, .. })
            | Command::ReplaceOrder(ReplaceOrder { origin, order_id, orig_cl_ord_id, .. }) => {
                (origin.session, *order_id, orig_cl_ord_id)
            }
            _ => return None,
        };
        if order_id != OrderId::NONE {
            return Some(order_id.slot());
        }
        self.names.guess(session, name)
    }
}
