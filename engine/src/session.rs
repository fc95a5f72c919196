//! A session: who it is, and the chain of its live orders in the order of acceptance.

use crate::{CompId, SessionId, book::NIL, order::Orders};

/// A session of the venue.
#[derive(Debug)]
pub(crate) struct Session {
    pub id: SessionId,
    pub comp_id: CompId,
    /// Its resting orders.
    pub live: u32,
    /// Where its risk record is, or [`NIL`].
    pub risk: u32,
    /// The one accepted first.
    head: u32,
    /// The one accepted last.
    tail: u32,
}

impl Session {
    /// A session without orders.
    pub(crate) fn new(id: SessionId, comp_id: CompId) -> Self {
        Self { id, comp_id, live: 0, risk: NIL, head: NIL, tail: NIL }
    }

    /// Adds an order at the end of the chain.
    #[inline]
    pub(crate) fn link(&mut self, orders: &mut Orders, slot: u32) {
        let tail = std::mem::replace(&mut self.tail, slot);
        match tail {
            NIL => self.head = slot,
            tail => orders.get_mut(tail).session_next = slot,
        }
        let details = orders.get_mut(slot);
        (details.session_prev, details.session_next) = (tail, NIL);
        self.live += 1;
    }

    /// Takes an order out of the chain.
    #[inline]
    pub(crate) fn unlink(&mut self, orders: &mut Orders, slot: u32) {
        let details = orders.get(slot);
        let (prev, next) = (details.session_prev, details.session_next);
        match prev {
            NIL => self.head = next,
            prev => orders.get_mut(prev).session_next = next,
        }
        match next {
            NIL => self.tail = prev,
            next => orders.get_mut(next).session_prev = prev,
        }
        self.live -= 1;
    }

    /// The first of its orders.
    pub(crate) fn first(&self) -> Option<u32> {
        (self.head != NIL).then_some(self.head)
    }

    /// The last of its orders.
    pub(crate) fn last(&self) -> Option<u32> {
        (self.tail != NIL).then_some(self.tail)
    }
}

/// The order that a session had accepted after this one.
pub(crate) fn next_of(orders: &Orders, slot: u32) -> Option<u32> {
    let next = orders.get(slot).session_next;
    (next != NIL).then_some(next)
}
