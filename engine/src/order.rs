//! What a report tells of a live order, beside what its book holds.
//!
//! An order is two records with the same slot number, so that matching touches only what it needs:
//! 32 bytes in its [book](crate::book), and these:
//!
//! ```text
//! 0 priority   8 session  12 instrument  16 session_prev  20 session_next
//! 24 traded   28 account  40 cl_ord_id                                       76 bytes
//! ```
//!
//! An order that has traded in part has a third, of 24 bytes, until it leaves its book: most never
//! do, or trade whole at once, and the OrderQty of an order that has not traded is what it has left.

use crate::{
    Account, ClOrdId, InstrumentId, OrdType, OrderId, Sequence, SessionId, TimeInForce,
    book::{Books, NIL, Resting},
    event::Execution,
    hash::{mix, mix_name},
    memory::touch_reserved,
    processor::prefetch,
};

/// A live order's terms and owner. Nothing of it is meant in a free slot.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed(4))]
pub(crate) struct Details {
    /// The command that gave the order its place in the queue; smaller trades first.
    pub priority: Sequence,
    pub session: SessionId,
    pub instrument: InstrumentId,
    /// The session's order accepted before it.
    pub session_prev: u32,
    /// The session's order accepted after it.
    pub session_next: u32,
    /// Where its [`Progress`] is, or [`NIL`] while it has not traded.
    traded: u32,
    pub account: Account,
    pub cl_ord_id: ClOrdId,
}

const _: () = assert!(size_of::<Details>() == 76);

impl Details {
    const BLANK: Self = Self::new(
        Sequence(0),
        SessionId::VENUE,
        InstrumentId::NONE,
        Account::EMPTY,
        ClOrdId::EMPTY,
    );

    /// Those of an order that is in no chain and has not traded.
    #[inline(always)]
    pub(crate) const fn new(
        priority: Sequence,
        session: SessionId,
        instrument: InstrumentId,
        account: Account,
        cl_ord_id: ClOrdId,
    ) -> Self {
        Self {
            priority,
            session,
            instrument,
            session_prev: NIL,
            session_next: NIL,
            traded: NIL,
            account,
            cl_ord_id,
        }
    }

    /// Hash of the order's name.
    #[inline]
    pub(crate) fn name_hash(&self) -> u64 {
        mix_name(self.session, &self.cl_ord_id)
    }

    /// What a resting order adds to the state hash.
    #[inline(always)]
    pub(crate) fn contribution(&self, order: &Resting, progress: &Progress, name_hash: u64) -> u64 {
        let [notional_low, notional_high] = progress.cum_notional;
        let codes = u64::from(order.side.code()) << 8 | u64::from(order.tag);
        mix(
            1,
            [
                order.id ^ account_word(&self.account),
                name_hash,
                codes << 32 | u64::from(self.instrument.0),
                order.ticks,
                order.leaves_qty as u64,
                progress.order_qty as u64,
                self.priority.0,
                notional_low ^ notional_high.rotate_left(32),
            ],
        )
    }
}

/// What an order was to trade, and has traded.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Progress {
    /// OrderQty: leaves_qty + cum_qty.
    pub order_qty: i64,
    /// Sum of LastPx × LastQty, low word first.
    pub cum_notional: [u64; 2],
}

const _: () = assert!(size_of::<Progress>() == 24);

impl Progress {
    /// That of an order that has not traded.
    #[inline(always)]
    const fn untraded(order_qty: i64) -> Self {
        Self { order_qty, cum_notional: [0; 2] }
    }

    /// That of the order that a report tells of.
    #[inline(always)]
    pub(crate) fn of(report: &Execution) -> Self {
        Self { order_qty: report.order_qty, cum_notional: report.cum_notional }
    }
}

/// Adds a trade of `qty` at `price` to a sum of LastPx × LastQty.
#[inline]
pub(crate) fn add_notional(sum: &mut [u64; 2], price: i64, qty: i64) {
    let notional = u128::from(sum[1]) << 64 | u128::from(sum[0]);
    let notional = notional + price as u128 * qty as u128;
    *sum = [notional as u64, (notional >> 64) as u64];
}

/// Details of live orders by slot.
#[derive(Debug)]
pub(crate) struct Orders {
    details: Vec<Details>,
    /// Of those that have traded in part.
    traded: Vec<Progress>,
    /// Head of the free places of `traded`; each names the next in its quantity.
    traded_free: u32,
}

impl Orders {
    /// Room for `max` orders.
    pub(crate) fn new(max: u32) -> Self {
        Self {
            details: Vec::with_capacity(max as usize),
            traded: Vec::with_capacity(max as usize),
            traded_free: NIL,
        }
    }

    /// Makes room for `max` orders, no fewer than before.
    pub(crate) fn grow(&mut self, max: u32) {
        self.details.reserve_exact(max as usize - self.details.len());
        self.traded.reserve_exact(max as usize - self.traded.len());
    }

    /// Follows the books: a slot that they use for the first time is here, too.
    #[inline]
    pub(crate) fn cover(&mut self, slot: u32) {
        if slot as usize == self.details.len() {
            self.details.push(Details::BLANK);
        }
    }

    /// Sets what belongs to slots that [`Books::restore_slots`] made.
    pub(crate) fn restore(&mut self, slots: u32) {
        self.details.resize(slots as usize, Details::BLANK);
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32) -> &Details {
        &self.details[slot as usize]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut Details {
        &mut self.details[slot as usize]
    }

    /// What the order in a slot, which has so much left, was to trade and has traded.
    #[inline(always)]
    pub(crate) fn progress(&self, slot: u32, leaves_qty: i64) -> Progress {
        match self.get(slot).traded {
            NIL => Progress::untraded(leaves_qty),
            place => self.traded[place as usize],
        }
    }

    /// Keeps the progress of an order that has traded in part.
    #[inline]
    pub(crate) fn keep_progress(&mut self, slot: u32, progress: Progress) {
        let details = &mut self.details[slot as usize];
        if details.traded != NIL {
            self.traded[details.traded as usize] = progress;
        } else if self.traded_free != NIL {
            details.traded = self.traded_free;
            let place = &mut self.traded[self.traded_free as usize];
            self.traded_free = place.order_qty as u32;
            *place = progress;
        } else {
            details.traded = self.traded.len() as u32;
            self.traded.push(progress);
            assert!(
                self.traded.len() <= self.details.len(),
                "the progress of an order was not ended"
            );
        }
    }

    /// Ends the progress of an order that leaves its book.
    #[inline]
    pub(crate) fn end_progress(&mut self, slot: u32) {
        let details = &mut self.details[slot as usize];
        if details.traded != NIL {
            let place = std::mem::replace(&mut details.traded, NIL);
            self.traded[place as usize].order_qty = self.traded_free.into();
            self.traded_free = place;
        }
    }

    /// How many orders have progress.
    pub(crate) fn traded_count(&self) -> usize {
        let first = (self.traded_free != NIL).then_some(self.traded_free);
        let free = std::iter::successors(first, |&place| {
            let next = self.traded[place as usize].order_qty as u32;
            (next != NIL).then_some(next)
        });
        self.traded.len() - free.count()
    }

    /// Asks the processor for a slot's details, which lie on two cache lines, but for one slot in
    /// eight, of which the first eight bytes lie on a third.
    #[inline]
    pub(crate) fn prefetch(&self, slot: u32) {
        if let Some(details) = self.details.get(slot as usize) {
            prefetch(std::slice::from_ref(&details.session), 0);
            prefetch(details.cl_ord_id.padded(), ClOrdId::MAX - 1);
        }
    }

    /// Asks the processor for the links of the orders before and behind this one in its session's
    /// chain.
    #[inline]
    pub(crate) fn prefetch_chain(&self, slot: u32) {
        if let Some(details) = self.details.get(slot as usize) {
            prefetch(&self.details, details.session_prev as usize);
            prefetch(&self.details, details.session_next as usize);
        }
    }

    /// Touches the memory that is reserved.
    pub(crate) fn touch_memory(&mut self) {
        touch_reserved(&mut self.details, Details::BLANK);
        touch_reserved(&mut self.traded, Progress::untraded(0));
    }

    /// Bytes reserved.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.details.capacity() * size_of::<Details>()
            + self.traded.capacity() * size_of::<Progress>()
    }
}

/// The slot of the live order with this id.
#[inline]
pub(crate) fn find(books: &Books, order_id: OrderId) -> Option<u32> {
    books.find(order_id.slot(), order_id.0)
}

/// An order that rests is a limit order, and its tag in the book is its TimeInForce.
pub(crate) const RESTING_TYPE: OrdType = OrdType::Limit;

/// The TimeInForce of a resting order.
#[inline]
pub(crate) fn time_in_force(tag: u8) -> TimeInForce {
    if tag == TimeInForce::Gtc.code() { TimeInForce::Gtc } else { TimeInForce::Day }
}

/// An account as one word of a hash.
#[inline]
pub(crate) fn account_word(account: &Account) -> u64 {
    let text = account.padded();
    let low = u64::from_le_bytes(std::array::from_fn(|i| text[i]));
    let high = u32::from_le_bytes(std::array::from_fn(|i| text[8 + i]));
    (low ^ u64::from(high)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
