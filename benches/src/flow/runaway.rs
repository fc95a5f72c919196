//! A client that has lost count, among ordinary flow: what Knight Capital's router did on 1 August 2012, by the
//! SEC's order of 16 October 2013 (Release 34-70694, File 3-15570).
//!
//! 212 parent orders came to a server with code of before. It sent child orders for each without end, as nothing
//! counted what they had filled: more than four million executions in 154 stocks and 397 million shares within
//! 45 minutes, which is 1,500 executions a second of 100 shares each; in the end long in 80 stocks and short
//! in 74.
//!
//! Here each parent has an instrument and a side, and its children buy at the ask or sell at the bid, one after
//! another, for the day: who finds nobody there waits, and is met by what comes. Prices give way to them, down to
//! the lowest around which ordinary orders have room: there a runaway that sells goes on, and the price stays.
//! How many instruments there are is up to who asks for the flow. What the order does not tell is chosen here: the
//! share of the flow, how fast prices give way, and that sides take turns.

use ironbook_engine::{Side, TimeInForce};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::{FlowEvent, Synthetic};

/// Shares of a child order.
const CHILD_QTY: i64 = 100;

/// Steps from the middle to the touch that a child order goes to.
const REACH_TICKS: i64 = 1;

/// Child orders for each step by which a price gives way to them, on average.
const CHILDREN_PER_TICK: u32 = 16;

/// What kind of runaway.
#[derive(Clone, Copy, Debug)]
pub struct RunawayTerms {
    /// Parent orders that are worked on without end, at least 1.
    pub parents: usize,
    /// Its part of the requests, in percent.
    pub share: u32,
    /// Requests of ordinary flow before it begins.
    pub after: u64,
}

impl Default for RunawayTerms {
    /// The parents as they were; a third of the requests.
    fn default() -> Self {
        Self { parents: 212, share: 33, after: 1_000 }
    }
}

/// The client of the flow that runs away; all others are client 0.
const RUNAWAY: u32 = 1;

/// An endless flow with a runaway in it; the same seed gives the same one.
#[derive(Clone, Debug)]
pub struct Runaway {
    ordinary: Synthetic,
    rng: Pcg64Mcg,
    terms: RunawayTerms,
    parents: Vec<Parent>,
    /// Steps so far.
    count: u64,
}

/// An order that is never done.
#[derive(Clone, Copy, Debug)]
struct Parent {
    instrument: usize,
    side: Side,
}

impl Runaway {
    /// A runaway among this flow over this many instruments.
    ///
    /// # Panics
    /// When there is no parent order.
    pub fn new(seed: u64, ordinary: Synthetic, terms: RunawayTerms) -> Self {
        assert!(terms.parents > 0, "a runaway has an order to work on");
        let instruments = ordinary.instruments();
        let side = |number| if number % 2 == 0 { Side::Buy } else { Side::Sell };
        let parent = |number| {
            let instrument = number % instruments;
            // All parents of an instrument on one side: it ends far long or far short.
            Parent { instrument, side: side(instrument) }
        };
        let parents = (0..terms.parents).map(parent).collect();
        Self { ordinary, rng: Pcg64Mcg::seed_from_u64(seed), terms, parents, count: 0 }
    }

    fn child(&mut self) -> FlowEvent {
        let Parent { instrument, side } =
            self.parents[self.rng.random_range(0..self.parents.len())];
        if self.rng.random_range(0..CHILDREN_PER_TICK) == 0 {
            let step = if side == Side::Buy { 1 } else { -1 };
            self.ordinary.move_middle(instrument, step);
        }
        let away = -REACH_TICKS;
        let order =
            self.ordinary.order((instrument, side), (away, CHILD_QTY), TimeInForce::Day).event;
        FlowEvent { client: RUNAWAY, ..order }
    }
}

impl Iterator for Runaway {
    type Item = FlowEvent;

    fn next(&mut self) -> Option<FlowEvent> {
        self.count += 1;
        let has_begun = self.count > self.terms.after;
        if has_begun && self.rng.random_range(0..100) < self.terms.share {
            Some(self.child())
        } else {
            self.ordinary.next()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::flow::{FlowAction, Mix};

    fn flow(seed: u64, instruments: usize, terms: RunawayTerms) -> Runaway {
        Runaway::new(seed, Synthetic::new(seed, instruments, Mix::default(), (2, 0)), terms)
    }

    #[test]
    fn a_runaway_begins_late_and_never_ends() {
        let terms = RunawayTerms { parents: 5, share: 40, after: 500 };
        let events: Vec<_> = flow(3, 4, terms).take(20_500).collect();
        assert!(events[..500].iter().all(|event| event.client == 0));
        let children: Vec<_> = events.iter().filter(|event| event.client == RUNAWAY).collect();
        assert!((7_500..8_500).contains(&children.len()), "{}", children.len());
        // No child is taken back, and nobody else does that either.
        let own: BTreeSet<_> = children.iter().map(|event| event.order).collect();
        assert_eq!(own.len(), children.len());
        for event in &events {
            let is_new = matches!(event.action, FlowAction::New { .. });
            assert!(event.client == RUNAWAY || is_new || !own.contains(&event.order), "{event:?}");
        }
        // One side in each instrument, and both in all.
        let sides: BTreeMap<_, BTreeSet<_>> =
            children.iter().fold(BTreeMap::new(), |mut sides, event| {
                sides.entry(event.instrument).or_default().insert(event.side);
                sides
            });
        assert_eq!(sides.len(), 4);
        assert!(sides.values().all(|sides| sides.len() == 1));
        assert_eq!(sides.values().flatten().collect::<BTreeSet<_>>().len(), 2);
        assert!(flow(3, 4, terms).take(20_500).eq(events));
    }

    #[test]
    fn prices_give_way_to_it() {
        let terms = RunawayTerms { parents: 1, share: 50, after: 0 };
        let price = |event: FlowEvent| match event.action {
            FlowAction::New { price, .. } => price.0,
            _ => 0,
        };
        let children = flow(1, 1, terms).filter(|event| event.client == RUNAWAY);
        let prices: Vec<_> = children.map(price).take(16_000).collect();
        let moved = prices[15_999] - prices[0];
        assert!((700..1_300).contains(&moved), "{moved}");
    }
}
