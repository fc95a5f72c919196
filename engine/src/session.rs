//! A session: who it is, and the chain of its live orders in the order of acceptance.

use crate::{
    CompId, SessionId,
    order::{NIL, Orders},
};

/// A session of the venue.
#[derive(Debug)]
pub(crate) struct Session {
    pub id: SessionId,
    pub comp_id: CompId,
    /// Its resting orders.
    pub live: u32,
    /// The one accepted first.
    head: u32,
    /// The one accepted last.
    tail: u32,
}

impl Session {
    /// A session without orders.
    pub(crate) fn new(id: SessionId, comp_id: CompId) -> Self {
        Self { id, comp_id, live: 0, head: NIL, tail: NIL }
    }

    /// Adds an order at the end of the chain.
    #[inline]
    pub(crate) fn link(&mut self, orders: &mut Orders, slot: u32) {
        let hot = orders.hot_mut(slot);
        hot.session_prev = self.tail;
        hot.session_next = NIL;
        match self.tail {
            NIL => self.head = slot,
            tail => orders.hot_mut(tail).session_next = slot,
        }
        self.tail = slot;
        self.live += 1;
    }

    /// Takes an order out of the chain.
    #[inline]
    pub(crate) fn unlink(&mut self, orders: &mut Orders, slot: u32) {
        let hot = *orders.hot(slot);
        match hot.session_prev {
            NIL => self.head = hot.session_next,
            prev => orders.hot_mut(prev).session_next = hot.session_next,
        }
        match hot.session_next {
            NIL => self.tail = hot.session_prev,
            next => orders.hot_mut(next).session_prev = hot.session_prev,
        }
        self.live -= 1;
    }

    /// The first of its orders.
    pub(crate) fn first(&self) -> Option<u32> {
        (self.head != NIL).then_some(self.head)
    }
}

/// The order that a session had accepted after this one.
pub(crate) fn next_of(orders: &Orders, slot: u32) -> Option<u32> {
    let next = orders.hot(slot).session_next;
    (next != NIL).then_some(next)
}
