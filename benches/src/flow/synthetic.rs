//! A seeded flow that looks like an exchange's: most orders rest near the touch and are canceled,
//! some are replaced, a few cross. The middle that they are placed around wanders; it stops where the
//! deepest orders to buy are at the lowest price that there is.

use ironbook_engine::{OrdType, Side, TimeInForce};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::{FlowAction, FlowEvent, Scaled};

/// Shares of the steps of a flow, in percent; the rest are new orders that rest.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Cancels.
    pub cancels: u32,
    /// Replaces.
    pub replaces: u32,
    /// New orders that cross the touch.
    pub marketable: u32,
}

impl Default for Mix {
    /// As an ITCH feed has it: 45 % new, 40 % cancels, 10 % replaces, 5 % marketable.
    fn default() -> Self {
        Self { cancels: 40, replaces: 10, marketable: 5 }
    }
}

/// Orders that the flow believes to be live, per instrument; more of them are canceled first.
const LIVE_MAX: usize = 2_000;

/// Steps from the touch within which most orders rest.
const DEPTH_TICKS: i64 = 40;

/// Price around which the flow starts, in ticks.
const MID_TICKS: i64 = 18_950;

/// Lowest middle, in ticks: an order to buy has room for the whole depth below it.
const MID_TICKS_MIN: i64 = DEPTH_TICKS + 1;

/// An endless flow; the same seed gives the same one.
#[derive(Clone, Debug)]
pub struct Synthetic {
    rng: Pcg64Mcg,
    mix: Mix,
    books: Vec<Book>,
    next_order: u64,
    price_scale: u8,
    qty_scale: u8,
}

/// What the flow believes of one instrument.
#[derive(Clone, Debug)]
struct Book {
    mid: i64,
    live: Vec<Live>,
}

/// An order that may be live.
#[derive(Clone, Copy, Debug)]
struct Live {
    order: u64,
    version: u32,
    side: Side,
    price: i64,
    order_qty: i64,
}

/// A new order, and what is remembered of it.
pub(super) struct Entered {
    live: Live,
    pub event: FlowEvent,
}

impl Synthetic {
    /// A flow over `instruments` instruments whose tick is the last of `price_scale` decimals and
    /// whose lot is the last of `qty_scale` decimals.
    pub fn new(
        seed: u64,
        instruments: usize,
        mix: Mix,
        (price_scale, qty_scale): (u8, u8),
    ) -> Self {
        let book = Book { mid: MID_TICKS, live: Vec::with_capacity(LIVE_MAX) };
        Self {
            rng: Pcg64Mcg::seed_from_u64(seed),
            mix,
            books: vec![book; instruments],
            next_order: 1,
            price_scale,
            qty_scale,
        }
    }

    fn price(&self, ticks: i64) -> Scaled {
        (ticks, self.price_scale)
    }

    /// How many instruments it is over.
    pub(super) fn instruments(&self) -> usize {
        self.books.len()
    }

    /// Moves the middle that new orders are placed around, as far down as there is room for the depth.
    pub(super) fn move_middle(&mut self, instrument: usize, ticks: i64) {
        let mid = &mut self.books[instrument].mid;
        *mid = (*mid + ticks).max(MID_TICKS_MIN);
    }

    /// A new order, `away` ticks from the middle on its own side, at most the depth; negative ones cross. The
    /// flow does nothing to it later.
    pub(super) fn order(
        &mut self,
        (instrument, side): (usize, Side),
        (away, order_qty): (i64, i64),
        time_in_force: TimeInForce,
    ) -> Entered {
        let mid = self.books[instrument].mid;
        let price = match side {
            Side::Buy => mid - away,
            Side::Sell => mid + away,
        };
        assert!(price > 0, "there is room for the depth");
        let order = self.next_order;
        self.next_order += 1;
        let live = Live { order, version: 0, side, price, order_qty };
        let action = FlowAction::New {
            ord_type: OrdType::Limit,
            time_in_force,
            price: self.price(price),
            order_qty: (order_qty, self.qty_scale),
        };
        Entered { live, event: Self::event(instrument, &live, 0, action) }
    }

    fn enter(&mut self, instrument: usize, away: i64, time_in_force: TimeInForce) -> FlowEvent {
        let side = if self.rng.random_bool(0.5) { Side::Buy } else { Side::Sell };
        let order_qty = self.rng.random_range(1..=10) * 100;
        let Entered { live, event } =
            self.order((instrument, side), (away, order_qty), time_in_force);
        if time_in_force == TimeInForce::Day {
            self.books[instrument].live.push(live);
        }
        event
    }

    fn cancel(&mut self, instrument: usize) -> FlowEvent {
        let index = self.rng.random_range(0..self.books[instrument].live.len());
        let live = self.books[instrument].live.swap_remove(index);
        Self::event(instrument, &live, live.version, FlowAction::Cancel)
    }

    fn replace(&mut self, instrument: usize) -> FlowEvent {
        let index = self.rng.random_range(0..self.books[instrument].live.len());
        let smaller = self.rng.random_bool(0.5);
        let step = self.rng.random_range(-2..=2);
        let live = &mut self.books[instrument].live[index];
        if smaller {
            live.order_qty = (live.order_qty / 2).max(1);
        } else {
            live.price = (live.price + step).max(1);
        }
        let (version, changed) = (live.version, *live);
        live.version += 1;
        let action = FlowAction::Replace {
            price: self.price(changed.price),
            order_qty: (changed.order_qty, self.qty_scale),
        };
        Self::event(instrument, &changed, version, action)
    }

    fn event(instrument: usize, live: &Live, version: u32, action: FlowAction) -> FlowEvent {
        FlowEvent {
            at_ns: 0,
            client: 0,
            order: live.order,
            version,
            instrument: instrument as u32,
            side: live.side,
            action,
        }
    }
}

impl Iterator for Synthetic {
    type Item = FlowEvent;

    fn next(&mut self) -> Option<FlowEvent> {
        let instrument = self.rng.random_range(0..self.books.len());
        let live = self.books[instrument].live.len();
        let mut roll = self.rng.random_range(0..100);
        if live >= LIVE_MAX {
            roll = 0;
        } else if live < LIVE_MAX / 10 {
            roll = 99;
        }
        if self.rng.random_range(0..64) == 0 {
            let step = self.rng.random_range(-1..=1);
            self.move_middle(instrument, step);
        }
        let Mix { cancels, replaces, marketable } = self.mix;
        Some(if roll < cancels {
            self.cancel(instrument)
        } else if roll < cancels + replaces {
            self.replace(instrument)
        } else if roll < cancels + replaces + marketable {
            self.enter(instrument, -3, TimeInForce::Ioc)
        } else {
            let near = self.rng.random_range(1..=DEPTH_TICKS);
            let away = self.rng.random_range(1..=near);
            self.enter(instrument, away, TimeInForce::Day)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_flow() {
        let flow = |seed| Synthetic::new(seed, 3, Mix::default(), (2, 0)).take(10_000);
        assert!(flow(1).eq(flow(1)));
        assert!(!flow(1).eq(flow(2)));
    }

    #[test]
    fn the_mix_is_what_was_asked_for() {
        let flow: Vec<_> = Synthetic::new(7, 1, Mix::default(), (2, 0)).take(200_000).collect();
        let share = |of: fn(&FlowAction) -> bool| {
            flow.iter().filter(|event| of(&event.action)).count() * 100 / flow.len()
        };
        assert!((38..=50).contains(&share(|action| matches!(action, FlowAction::Cancel))));
        assert!((8..=12).contains(&share(|action| matches!(action, FlowAction::Replace { .. }))));
    }

    #[test]
    fn a_fallen_market_has_depth() {
        let mut flow = Synthetic::new(5, 1, Mix::default(), (2, 0));
        flow.move_middle(0, -2 * MID_TICKS);
        let mut prices = [BTreeSet::new(), BTreeSet::new()];
        for _ in 0..100_000 {
            flow.move_middle(0, -1);
            let event = flow.next().expect("it is endless");
            assert!(flow.books[0].mid >= MID_TICKS_MIN);
            if let FlowAction::New { price, time_in_force: TimeInForce::Day, .. } = event.action {
                prices[usize::from(event.side == Side::Sell)].insert(price.0);
            }
        }
        let [buys, sells] = prices;
        assert_eq!(buys.first(), Some(&1));
        assert!(
            buys.len() as i64 >= DEPTH_TICKS && sells.len() as i64 >= DEPTH_TICKS,
            "{buys:?} {sells:?}"
        );
    }
}
