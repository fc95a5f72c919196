//! What a report tells of a live order, beside what its book holds.
//!
//! An order is two records with the same slot number, so that matching touches only what it needs:
//! 32 bytes in its [book](crate::book), and these:
//!
//! ```text
//! 0 priority   8 order_qty  16 cum_notional  32 session  36 instrument
//! 40 session_prev  44 session_next  48 account  60 cl_ord_id             96 bytes
//! ```

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
#[repr(C)]
pub(crate) struct Details {
    /// The command that gave the order its place in the queue; smaller trades first.
    pub priority: Sequence,
    /// OrderQty: leaves_qty + cum_qty.
    pub order_qty: i64,
    /// Sum of LastPx × LastQty, low word first.
    pub cum_notional: [u64; 2],
    pub session: SessionId,
    pub instrument: InstrumentId,
    /// The session's order accepted before it.
    pub session_prev: u32,
    /// The session's order accepted after it.
    pub session_next: u32,
    pub account: Account,
    pub cl_ord_id: ClOrdId,
}

const _: () = assert!(size_of::<Details>() == 96);

impl Details {
    const BLANK: Self = Self {
        priority: Sequence(0),
        order_qty: 0,
        cum_notional: [0; 2],
        session: SessionId::VENUE,
        instrument: InstrumentId::NONE,
        session_prev: NIL,
        session_next: NIL,
        account: Account::EMPTY,
        cl_ord_id: ClOrdId::EMPTY,
    };

    /// The terms and the owner of the order that a report tells of.
    #[inline(always)]
    pub(crate) fn of(report: &Execution, priority: Sequence) -> Self {
        Self {
            priority,
            order_qty: report.order_qty,
            cum_notional: report.cum_notional,
            session: report.session,
            instrument: report.instrument,
            session_prev: NIL,
            session_next: NIL,
            account: report.account,
            cl_ord_id: report.cl_ord_id,
        }
    }

    /// Hash of the order's name.
    #[inline]
    pub(crate) fn name_hash(&self) -> u64 {
        mix_name(self.session, &self.cl_ord_id)
    }

    /// What a resting order adds to the state hash.
    #[inline(always)]
    pub(crate) fn contribution(&self, order: &Resting, name_hash: u64) -> u64 {
        let [notional_low, notional_high] = self.cum_notional;
        let codes = u64::from(order.side.code()) << 8 | u64::from(order.tag);
        mix(
            1,
            [
                order.id ^ account_word(&self.account),
                name_hash,
                codes << 32 | u64::from(self.instrument.0),
                order.ticks,
                order.leaves_qty as u64,
                self.order_qty as u64,
                self.priority.0,
                notional_low ^ notional_high.rotate_left(32),
            ],
        )
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
pub(crate) struct Orders(Vec<Details>);

impl Orders {
    /// Room for `max` orders.
    pub(crate) fn new(max: u32) -> Self {
        Self(Vec::with_capacity(max as usize))
    }

    /// Makes room for `max` orders, no fewer than before.
    pub(crate) fn grow(&mut self, max: u32) {
        self.0.reserve_exact(max as usize - self.0.len());
    }

    /// Follows the books: a slot that they use for the first time is here, too.
    #[inline]
    pub(crate) fn cover(&mut self, slot: u32) {
        if slot as usize == self.0.len() {
            self.0.push(Details::BLANK);
        }
    }

    /// Sets what belongs to slots that [`Books::restore_slots`] made.
    pub(crate) fn restore(&mut self, slots: u32) {
        self.0.resize(slots as usize, Details::BLANK);
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32) -> &Details {
        &self.0[slot as usize]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut Details {
        &mut self.0[slot as usize]
    }

    /// Asks the processor for a slot's details, which lie on two cache lines.
    #[inline]
    pub(crate) fn prefetch(&self, slot: u32) {
        if let Some(details) = self.0.get(slot as usize) {
            prefetch(std::slice::from_ref(&details.priority), 0);
            prefetch(details.cl_ord_id.padded(), ClOrdId::MAX - 1);
        }
    }

    /// Asks the processor for the links of the orders before and behind this one in its session's
    /// chain.
    #[inline]
    pub(crate) fn prefetch_chain(&self, slot: u32) {
        if let Some(details) = self.0.get(slot as usize) {
            prefetch(&self.0, details.session_prev as usize);
            prefetch(&self.0, details.session_next as usize);
        }
    }

    /// Touches the memory that is reserved.
    pub(crate) fn touch_memory(&mut self) {
        touch_reserved(&mut self.0, Details::BLANK);
    }

    /// Bytes reserved.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Details>()
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
