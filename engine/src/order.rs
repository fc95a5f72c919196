//! Live orders in slots.
//!
//! An order is two records with the same slot number, so that a walk along a queue touches only
//! what it needs:
//!
//! ```text
//! hot, 32 bytes    0 leaves_qty   8 prev  12 next  16 level  20 session_prev  24 session_next
//!                 28 side  29 ord_type  30 time_in_force
//! cold, 96 bytes   0 order_id  8 priority  16 order_qty  24 cum_notional  40 session
//!                 44 instrument  48 account  60 cl_ord_id
//! ```

use crate::{
    Account, ClOrdId, InstrumentId, OrdStatus, OrdType, OrderId, Sequence, SessionId, Side,
    TimeInForce,
    hash::{mix, mix_name},
};

/// No slot, level or page.
pub(crate) const NIL: u32 = u32::MAX;

/// What matching touches.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Hot {
    /// What is still to be traded; above zero while the order rests.
    pub leaves_qty: i64,
    /// The order before it in its level's queue.
    pub prev: u32,
    /// The order behind it in its level's queue; in a free slot, the next free slot.
    pub next: u32,
    /// Its level while it rests.
    pub level: u32,
    /// The session's order accepted before it.
    pub session_prev: u32,
    /// The session's order accepted after it.
    pub session_next: u32,
    pub side: Side,
    pub ord_type: OrdType,
    pub time_in_force: TimeInForce,
}

/// What reports tell.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Cold {
    /// The order, or none in a free slot: an id that was used before never finds a later order.
    pub order_id: OrderId,
    /// The command that gave the order its place in the queue; smaller trades first.
    pub priority: Sequence,
    /// OrderQty: leaves_qty + cum_qty.
    pub order_qty: i64,
    /// Sum of LastPx × LastQty, low word first.
    pub cum_notional: [u64; 2],
    pub session: SessionId,
    pub instrument: InstrumentId,
    pub account: Account,
    pub cl_ord_id: ClOrdId,
}

const _: () = assert!(size_of::<Hot>() == 32 && size_of::<Cold>() == 96);

impl Cold {
    /// CumQty of the order whose hot half this is.
    #[inline]
    pub(crate) fn cum_qty(&self, hot: &Hot) -> i64 {
        self.order_qty - hot.leaves_qty
    }

    /// Hash of the order's name.
    #[inline]
    pub(crate) fn name_hash(&self) -> u64 {
        mix_name(self.session, &self.cl_ord_id)
    }
}

/// The slab of live orders.
#[derive(Debug)]
pub(crate) struct Orders {
    hot: Vec<Hot>,
    cold: Vec<Cold>,
    /// Head of the free slots, last freed first.
    free: u32,
    live: u32,
    max: u32,
}

impl Orders {
    /// Room for `max` orders.
    pub(crate) fn new(max: u32) -> Self {
        let room = max as usize;
        let (hot, cold) = (Vec::with_capacity(room), Vec::with_capacity(room));
        Self { hot, cold, free: NIL, live: 0, max }
    }

    /// Makes room for `max` orders, no fewer than before.
    pub(crate) fn grow(&mut self, max: u32) {
        let more = max as usize - self.hot.len();
        self.hot.reserve_exact(more);
        self.cold.reserve_exact(more);
        self.max = max;
    }

    /// Orders in slots.
    #[inline]
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    /// Whether every slot is taken.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.live == self.max
    }

    /// Slots that were ever used; each is live or free.
    pub(crate) fn slots(&self) -> u32 {
        self.hot.len() as u32
    }

    /// The slot that [`Orders::put`] takes next. There must be one.
    #[inline]
    pub(crate) fn next_slot(&self) -> u32 {
        assert!(!self.is_full(), "no room for another order");
        if self.free == NIL { self.slots() } else { self.free }
    }

    /// Puts an order into the next slot.
    #[inline(always)]
    pub(crate) fn put(&mut self, hot: Hot, cold: Cold) -> u32 {
        let slot = self.next_slot();
        if self.free == NIL {
            self.hot.push(hot);
            self.cold.push(cold);
        } else {
            self.free = self.hot(slot).next;
            self.hot[slot as usize] = hot;
            self.cold[slot as usize] = cold;
        }
        self.live += 1;
        slot
    }

    /// Frees the slot of an order that is closed.
    #[inline]
    pub(crate) fn release(&mut self, slot: u32) {
        let free = self.free;
        self.cold_mut(slot).order_id = OrderId::NONE;
        self.hot_mut(slot).next = free;
        self.free = slot;
        self.live -= 1;
    }

    /// The slot of a live order.
    #[inline]
    pub(crate) fn find(&self, order_id: OrderId) -> Option<u32> {
        let slot = order_id.slot();
        let cold = self.cold.get(slot as usize)?;
        (cold.order_id == order_id && order_id != OrderId::NONE).then_some(slot)
    }

    #[inline]
    pub(crate) fn hot(&self, slot: u32) -> &Hot {
        &self.hot[slot as usize]
    }

    #[inline]
    pub(crate) fn hot_mut(&mut self, slot: u32) -> &mut Hot {
        &mut self.hot[slot as usize]
    }

    #[inline]
    pub(crate) fn cold(&self, slot: u32) -> &Cold {
        &self.cold[slot as usize]
    }

    #[inline]
    pub(crate) fn cold_mut(&mut self, slot: u32) -> &mut Cold {
        &mut self.cold[slot as usize]
    }

    /// Trades `qty` of an order at `price` and returns its status.
    #[inline]
    pub(crate) fn fill(&mut self, slot: u32, qty: i64, price: i64) -> OrdStatus {
        let hot = &mut self.hot[slot as usize];
        let cold = &mut self.cold[slot as usize];
        assert!(qty > 0 && qty <= hot.leaves_qty, "an order traded more than it had left");
        hot.leaves_qty -= qty;
        let notional = u128::from(cold.cum_notional[1]) << 64 | u128::from(cold.cum_notional[0]);
        let notional = notional + price as u128 * qty as u128;
        cold.cum_notional = [notional as u64, (notional >> 64) as u64];
        if hot.leaves_qty == 0 { OrdStatus::Filled } else { OrdStatus::PartiallyFilled }
    }

    /// OrdStatus of a live order.
    #[inline]
    pub(crate) fn status(&self, slot: u32) -> OrdStatus {
        match self.cold(slot).cum_qty(self.hot(slot)) {
            0 => OrdStatus::New,
            _ => OrdStatus::PartiallyFilled,
        }
    }

    /// What a resting order adds to the state hash.
    #[inline]
    pub(crate) fn hash(&self, slot: u32, ticks: u64, name_hash: u64) -> u64 {
        let (hot, cold) = (self.hot(slot), self.cold(slot));
        let [notional_low, notional_high] = cold.cum_notional;
        let codes = [hot.side.code(), hot.ord_type.code(), hot.time_in_force.code(), 0];
        mix(
            1,
            [
                cold.order_id.0 ^ account_word(&cold.account),
                name_hash,
                u64::from(u32::from_le_bytes(codes)) << 32 | u64::from(cold.instrument.0),
                ticks,
                hot.leaves_qty as u64,
                cold.order_qty as u64,
                cold.priority.0,
                notional_low ^ notional_high.rotate_left(32),
            ],
        )
    }

    /// Free slots, the one that is taken next first; those never used follow by number.
    pub(crate) fn free_slots(&self) -> impl Iterator<Item = u32> + '_ {
        let first = (self.free != NIL).then_some(self.free);
        std::iter::successors(first, |&slot| {
            let next = self.hot(slot).next;
            (next != NIL).then_some(next)
        })
    }

    /// Slots of live orders, by number.
    pub(crate) fn live_slots(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.slots()).filter(|&slot| self.cold(slot).order_id != OrderId::NONE)
    }

    /// Sets the slots of an empty slab: orders by slot, then the free slots in the order in which
    /// [`Orders::free_slots`] gave them. Together they must be every number once.
    pub(crate) fn restore(&mut self, orders: Vec<Option<(Hot, Cold)>>, free: &[u32]) {
        assert!(self.hot.is_empty());
        for order in orders {
            let (hot, cold) = order.unwrap_or((BLANK_HOT, BLANK_COLD));
            self.live += u32::from(cold.order_id != OrderId::NONE);
            self.hot.push(hot);
            self.cold.push(cold);
        }
        for &slot in free.iter().rev() {
            self.hot_mut(slot).next = self.free;
            self.free = slot;
        }
    }

    /// Bytes reserved.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.hot.capacity() * size_of::<Hot>() + self.cold.capacity() * size_of::<Cold>()
    }
}

/// An account as one word of a hash.
#[inline]
pub(crate) fn account_word(account: &Account) -> u64 {
    let text = account.padded();
    let low = u64::from_le_bytes(std::array::from_fn(|i| text[i]));
    let high = u32::from_le_bytes(std::array::from_fn(|i| text[8 + i]));
    (low ^ u64::from(high)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A free slot.
const BLANK_HOT: Hot = Hot {
    leaves_qty: 0,
    prev: NIL,
    next: NIL,
    level: NIL,
    session_prev: NIL,
    session_next: NIL,
    side: Side::Buy,
    ord_type: OrdType::Limit,
    time_in_force: TimeInForce::Day,
};
const BLANK_COLD: Cold = Cold {
    order_id: OrderId::NONE,
    priority: Sequence(0),
    order_qty: 0,
    cum_notional: [0; 2],
    session: SessionId::VENUE,
    instrument: InstrumentId::NONE,
    account: Account::EMPTY,
    cl_ord_id: ClOrdId::EMPTY,
};
