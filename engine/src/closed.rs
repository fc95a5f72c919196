//! The names of orders: which live or remembered order a ClOrdID means.
//!
//! Names of live orders are kept while they live. A closed order is remembered, with all that a
//! status report tells, until [`EngineLimits::closed_orders_kept`](crate::EngineLimits) others have
//! closed after it; the same goes for a ClOrdID that a replace superseded, which then is only good
//! for being refused.

use crate::{
    Account, ClOrdId, InstrumentId, OrdStatus, OrdType, OrderId, SessionId, Side, TimeInForce,
    book::Books,
    event::Execution,
    hash::{NameKey, mix, mix_name},
    id_index::IdIndex,
    memory::touch_reserved,
    order::{Orders, account_word},
    processor::prefetch,
};

/// A closed order as it is remembered. 128 bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct ClosedOrder {
    pub order_id: OrderId,
    /// Limit price; 0 for a market order.
    pub price: i64,
    pub order_qty: i64,
    pub cum_qty: i64,
    pub cum_notional: [u64; 2],
    /// What it adds to the state hash.
    pub contribution: u64,
    pub session: SessionId,
    pub instrument: InstrumentId,
    /// Its tag in the index of names.
    pub name_tag: u32,
    pub side: Side,
    pub ord_type: OrdType,
    pub time_in_force: TimeInForce,
    /// How it ended; for a superseded name, the status of its order then, which was live.
    pub ord_status: OrdStatus,
    pub account: Account,
    pub cl_ord_id: ClOrdId,
    /// Not an order: a ClOrdID that its order lost in a replace.
    pub superseded: bool,
}

const _: () = assert!(size_of::<ClosedOrder>() == 128);

impl ClosedOrder {
    const BLANK: Self = Self {
        order_id: OrderId::NONE,
        price: 0,
        order_qty: 0,
        cum_qty: 0,
        cum_notional: [0; 2],
        contribution: 0,
        session: SessionId::VENUE,
        instrument: InstrumentId::NONE,
        name_tag: 0,
        side: Side::Buy,
        ord_type: OrdType::Limit,
        time_in_force: TimeInForce::Day,
        ord_status: OrdStatus::New,
        account: Account::EMPTY,
        cl_ord_id: ClOrdId::EMPTY,
        superseded: false,
    };

    /// The order that a report tells of, as it is remembered under a name.
    #[inline(always)]
    pub(crate) fn of(
        report: &Execution,
        cl_ord_id: &ClOrdId,
        ord_status: OrdStatus,
        superseded: bool,
    ) -> Self {
        Self {
            order_id: report.order_id,
            price: report.price,
            order_qty: report.order_qty,
            cum_qty: report.cum_qty,
            cum_notional: report.cum_notional,
            contribution: 0,
            session: report.session,
            instrument: report.instrument,
            name_tag: 0,
            side: report.side,
            ord_type: report.ord_type,
            time_in_force: report.time_in_force,
            ord_status,
            account: report.account,
            cl_ord_id: *cl_ord_id,
            superseded,
        }
    }

    /// What the `number`-th remembered order adds to the state hash.
    #[inline]
    fn hash(&self, number: u64, name_hash: u64) -> u64 {
        let codes = [
            self.side.code(),
            self.ord_type.code(),
            self.time_in_force.code(),
            self.ord_status.code(),
        ];
        let [notional_low, notional_high] = self.cum_notional;
        mix(
            3,
            [
                self.order_id.0 ^ account_word(&self.account),
                name_hash,
                u64::from(u32::from_le_bytes(codes)) << 32 | u64::from(self.instrument.0),
                self.price as u64,
                self.order_qty as u64,
                self.cum_qty as u64,
                number << 1 | u64::from(self.superseded),
                notional_low ^ notional_high.rotate_left(32),
            ],
        )
    }
}

/// What a name goes by.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    /// In the state hash: the same in every engine.
    pub hash: u64,
    /// In [`Names`]: another in every engine.
    pub tag: u32,
}

/// What a name means.
pub(crate) enum Named<'a> {
    /// A live order, by slot.
    Live(u32),
    /// A closed order, or a superseded name of one that may still live.
    Closed(&'a ClosedOrder),
}

/// The names in use, and the closed orders that are remembered.
#[derive(Debug)]
pub(crate) struct Names {
    /// (session, ClOrdID) of live and remembered orders.
    by_name: IdIndex,
    key: NameKey,
    /// A ring: once full, the oldest gives its place to the next.
    closed: Vec<ClosedOrder>,
    kept_max: u32,
    /// Where the next one goes once the ring is full: the place of the oldest.
    oldest: u32,
    /// Orders and names that were ever closed.
    pub closed_total: u64,
    /// Sum of the contributions of remembered orders to the state hash.
    pub hash: u64,
}

/// How many closings ahead of its use a place in the ring is asked for, and the name in it.
const PLACES_AHEAD: usize = 8;
const NAMES_AHEAD: usize = 4;

/// Marks a place in the ring, where the index of names also holds slots.
const CLOSED: u32 = 1 << 31;

impl Names {
    /// Room for the names of `orders_max` live and `kept_max` remembered orders.
    pub(crate) fn new(orders_max: u32, kept_max: u32) -> Self {
        Self {
            by_name: IdIndex::new(orders_max as usize + kept_max as usize),
            key: NameKey::random(),
            closed: Vec::with_capacity(kept_max as usize),
            kept_max,
            oldest: 0,
            closed_total: 0,
            hash: 0,
        }
    }

    /// The same names with more room.
    pub(crate) fn grow(&mut self, books: &Books, orders: &Orders, orders_max: u32, kept_max: u32) {
        let mut grown = Self::new(orders_max, kept_max);
        grown.closed_total = self.closed_total;
        grown.hash = self.hash;
        for slot in books.resting_slots() {
            let details = orders.get(slot);
            grown.open(grown.tag(details.session, &details.cl_ord_id), slot);
        }
        for &closed in self.remembered() {
            let name_tag = grown.tag(closed.session, &closed.cl_ord_id);
            grown.append(ClosedOrder { name_tag, ..closed });
        }
        *self = grown;
    }

    /// What a name goes by in here.
    #[inline(always)]
    pub(crate) fn tag(&self, session: SessionId, cl_ord_id: &ClOrdId) -> u32 {
        self.key.tag(session, cl_ord_id)
    }

    /// What a name goes by, here and in the state hash.
    #[inline(always)]
    pub(crate) fn name(&self, session: SessionId, cl_ord_id: &ClOrdId) -> Name {
        Name { hash: mix_name(session, cl_ord_id), tag: self.tag(session, cl_ord_id) }
    }

    /// What the ClOrdID of a session means.
    #[inline]
    pub(crate) fn find(
        &self,
        orders: &Orders,
        tag: u32,
        session: SessionId,
        cl_ord_id: &ClOrdId,
    ) -> Option<Named<'_>> {
        let place = self.by_name.find(tag, |place| {
            if place & CLOSED == 0 {
                let details = orders.get(place);
                details.session == session && details.cl_ord_id == *cl_ord_id
            } else {
                let closed = &self.closed[(place & !CLOSED) as usize];
                closed.session == session && closed.cl_ord_id == *cl_ord_id
            }
        })?;
        Some(match place & CLOSED {
            0 => Named::Live(place),
            _ => Named::Closed(&self.closed[(place & !CLOSED) as usize]),
        })
    }

    /// Names a new order.
    #[inline]
    pub(crate) fn open(&mut self, tag: u32, slot: u32) {
        self.by_name.insert(tag, slot);
    }

    /// Remembers an order that leaves its slot, or a name that it loses, and forgets the oldest if
    /// there is no room.
    #[inline(always)]
    pub(crate) fn close(&mut self, name: Name, slot: u32, closed: ClosedOrder) {
        match self.remember(name, closed) {
            Some(place) => self.by_name.relocate(name.tag, slot, place | CLOSED),
            None => self.by_name.remove(name.tag, slot),
        }
    }

    /// Remembers an order that never rested, so that its name was never open.
    #[inline(always)]
    pub(crate) fn close_unopened(&mut self, name: Name, closed: ClosedOrder) {
        if let Some(place) = self.remember(name, closed) {
            self.by_name.insert(name.tag, place | CLOSED);
        }
    }

    /// Puts a closed order into the ring and returns its place, if any are kept.
    #[inline(always)]
    fn remember(&mut self, name: Name, mut closed: ClosedOrder) -> Option<u32> {
        self.closed_total += 1;
        if self.kept_max == 0 {
            return None;
        }
        closed.name_tag = name.tag;
        closed.contribution = closed.hash(self.closed_total, name.hash);
        self.hash = self.hash.wrapping_add(closed.contribution);
        let place = self.make_room();
        self.keep(place, closed);
        self.prefetch_oldest();
        Some(place)
    }

    /// Adds a closed order to the remembered ones as they were saved, oldest first. There must be
    /// room, and its name must be free.
    pub(crate) fn restore(&mut self, number: u64, mut closed: ClosedOrder) {
        let name_hash = mix_name(closed.session, &closed.cl_ord_id);
        closed.name_tag = self.tag(closed.session, &closed.cl_ord_id);
        closed.contribution = closed.hash(number, name_hash);
        self.hash = self.hash.wrapping_add(closed.contribution);
        self.append(closed);
    }

    /// Remembered orders and names, oldest first.
    pub(crate) fn remembered(&self) -> impl Iterator<Item = &ClosedOrder> {
        let (newer, older) = self.closed.split_at(self.oldest as usize);
        older.iter().chain(newer)
    }

    /// How many closed orders and names are remembered.
    pub(crate) fn remembered_count(&self) -> usize {
        self.closed.len()
    }

    /// Sum of the contributions to the state hash, computed afresh.
    pub(crate) fn recompute_hash(&self) -> u64 {
        let first = self.closed_total - self.closed.len() as u64 + 1;
        self.remembered().zip(first..).fold(0u64, |sum, (closed, number)| {
            let name_hash = mix_name(closed.session, &closed.cl_ord_id);
            sum.wrapping_add(closed.hash(number, name_hash))
        })
    }

    /// Asks the processor for where a name would be.
    #[inline]
    pub(crate) fn prefetch(&self, session: SessionId, cl_ord_id: &ClOrdId) {
        self.by_name.prefetch(self.tag(session, cl_ord_id));
    }

    /// The slot of the live order that seems to have this name: enough to ask for its memory, not
    /// to act on.
    #[inline]
    pub(crate) fn guess(&self, session: SessionId, cl_ord_id: &ClOrdId) -> Option<u32> {
        let place = self.by_name.find(self.tag(session, cl_ord_id), |_| true)?;
        (place & CLOSED == 0).then_some(place)
    }

    /// Touches the memory that is reserved.
    pub(crate) fn touch_memory(&mut self) {
        self.by_name.touch_memory();
        touch_reserved(&mut self.closed, ClosedOrder::BLANK);
    }

    /// Bytes reserved.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.by_name.memory_bytes() + self.closed.capacity() * size_of::<ClosedOrder>()
    }

    /// The place of the next closed order. If it is the oldest's, that one is forgotten.
    #[inline]
    fn make_room(&mut self) -> u32 {
        if self.closed.len() < self.kept_max as usize {
            return self.closed.len() as u32;
        }
        let place = self.oldest;
        let closed = &self.closed[place as usize];
        self.hash = self.hash.wrapping_sub(closed.contribution);
        self.by_name.remove(closed.name_tag, place | CLOSED);
        self.oldest = if place + 1 == self.kept_max { 0 } else { place + 1 };
        place
    }

    /// Asks the processor for what the next few orders that close will find in their places: first
    /// the places themselves, then where the names of those that are forgotten stand.
    #[inline]
    fn prefetch_oldest(&self) {
        let places = self.closed.len();
        let ahead = |count: usize| {
            let place = self.oldest as usize + count;
            if place < places { place } else { place - places }
        };
        if places < PLACES_AHEAD {
            return;
        }
        prefetch(&self.closed, ahead(PLACES_AHEAD));
        prefetch(self.closed[ahead(PLACES_AHEAD)].cl_ord_id.padded(), ClOrdId::MAX - 1);
        self.by_name.prefetch(self.closed[ahead(NAMES_AHEAD)].name_tag);
    }

    #[inline(always)]
    fn keep(&mut self, place: u32, closed: ClosedOrder) {
        match self.closed.get_mut(place as usize) {
            Some(oldest) => *oldest = closed,
            None => self.closed.push(closed),
        }
    }

    /// Adds a closed order behind the others while the ring has never been full.
    fn append(&mut self, closed: ClosedOrder) {
        let place = self.closed.len() as u32;
        self.by_name.insert(closed.name_tag, place | CLOSED);
        self.keep(place, closed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::names_that_share_a_hash;

    /// Names under a key that is always the same: how full its buckets get is the same as well.
    fn names_with_key(seed: u64, orders_max: u32) -> Names {
        Names { key: NameKey::of_seed(seed), ..Names::new(orders_max, 0) }
    }

    #[test]
    fn names_in_a_row_are_spread_by_any_key() {
        for seed in 0..200 {
            let mut names = names_with_key(seed, 2_500);
            for slot in 0..2_500u32 {
                let text = format!("ORDER-{slot}");
                let cl_ord_id = ClOrdId::try_from(text.as_str()).unwrap();
                names.open(names.tag(SessionId(1 + slot % 4), &cl_ord_id), slot);
            }
            assert!(names.by_name.longest_search() < 16, "{}", names.by_name.longest_search());
        }
    }

    #[test]
    fn names_that_share_a_hash_are_spread_by_any_key() {
        const COUNT: u32 = 2_000;
        let chosen: Vec<(SessionId, ClOrdId)> =
            names_that_share_a_hash().take(COUNT as usize).collect();
        let hash = mix_name(chosen[0].0, &chosen[0].1);
        for seed in 0..200 {
            let mut names = names_with_key(seed, COUNT);
            let mut tags: Vec<u32> = Vec::new();
            for (slot, (session, cl_ord_id)) in (0..).zip(&chosen) {
                let name = names.name(*session, cl_ord_id);
                assert_eq!(name.hash, hash, "chosen for what everybody knows");
                tags.push(name.tag);
                names.open(name.tag, slot);
            }
            tags.sort_unstable();
            tags.dedup();
            assert!(tags.len() > chosen.len() - 10, "{} tags", tags.len());
            // Of names in one bucket, 250 would be passed.
            assert!(names.by_name.longest_search() < 16, "{}", names.by_name.longest_search());
        }
    }
}
