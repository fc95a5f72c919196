//! The ClOrdID of an order that a recorded request names by its OrderID, as orders have other OrderIDs in the
//! sandbox.
//!
//! | the recorded OrderID names                      | it was then             | named in the sandbox by     |
//! |-------------------------------------------------|-------------------------|-----------------------------|
//! | a live order of the session                     | that order, any ClOrdID | the ClOrdID that it has now |
//! | a closed one, which closed under OrigClOrdID    | too late                | that ClOrdID                |
//! | a closed one that had another name at the end   | no such order           | no name                     |
//! | a forgotten one, one of another session, or none| no such order           | no name                     |

use std::collections::{HashMap, VecDeque};

use ironbook_engine::{
    ClOrdId, EngineLimits, Event, ExecType, OrderId, SessionId, event::Execution,
};

/// Orders of the stretch up to now, as the recorded events tell of them.
#[derive(Debug)]
pub struct Orders {
    /// No more live ones than the recorded venue could hold, and so many closed ones as it remembered.
    known: HashMap<OrderId, Known>,
    /// In the sequence in which they closed; NONE for a name that an order lost, which takes a place as well.
    closed: VecDeque<OrderId>,
    closed_max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    session: SessionId,
    cl_ord_id: ClOrdId,
    is_live: bool,
}

impl Orders {
    /// None yet, of a venue with these limits.
    pub fn new(limits: &EngineLimits) -> Self {
        let closed_max = limits.closed_orders_kept as usize;
        Self { known: HashMap::new(), closed: VecDeque::new(), closed_max }
    }

    /// Takes a recorded event into account, whosever request it followed.
    pub fn learn(&mut self, event: &Event) {
        let Event::Execution(event) = event else { return };
        let Execution { order_id, session, cl_ord_id, .. } = *event;
        match event.exec_type {
            ExecType::New | ExecType::Replaced => {
                self.known.insert(order_id, Known { session, cl_ord_id, is_live: true });
                if event.exec_type == ExecType::Replaced {
                    self.remember(OrderId::NONE);
                }
            }
            ExecType::Trade | ExecType::Canceled if event.leaves_qty == 0 => {
                // A cancel's report has the name of the request; the order closes under its own.
                if let Some(known) = self.known.get_mut(&order_id) {
                    known.is_live = false;
                }
                self.remember(order_id);
            }
            _ => {}
        }
    }

    /// Adds what closed, and forgets the oldest if there is no room.
    fn remember(&mut self, order_id: OrderId) {
        self.closed.push_back(order_id);
        if self.closed.len() > self.closed_max
            && let Some(oldest) = self.closed.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// The recorded name of the order that a request of a session meant by an OrderID and a ClOrdID; empty, if
    /// these meant none.
    pub fn name(&self, session: SessionId, order_id: OrderId, cl_ord_id: &ClOrdId) -> ClOrdId {
        let known = self.known.get(&order_id).filter(|known| {
            known.session == session && (known.is_live || known.cl_ord_id == *cl_ord_id)
        });
        known.map_or(ClOrdId::EMPTY, |known| known.cl_ord_id)
    }
}

#[cfg(test)]
mod tests {
    use ironbook_engine::Side;
    use ironbook_incident::{question::Span, request::frames, show::Content};

    use super::*;
    use crate::script::{AAPL, C1, Script, index, memory_dir, name};

    #[test]
    fn as_many_closed_orders_are_known_as_the_venue_remembers() {
        let place = memory_dir();
        let mut day = Script::new(&place.path().join("data"));
        for id in ["one", "two", "three"] {
            day.order((C1, id), AAPL, Side::Buy, (1, 10_000));
            day.cancel(C1, ("end", id), (AAPL, Side::Buy));
        }
        day.order((C1, "first"), AAPL, Side::Buy, (1, 10_000));
        // The name that is lost takes the place of the order that closed first.
        day.replace(C1, ("lives", "first"), (AAPL, Side::Buy), (2, 10_000));
        let index = index(&day.dir);
        let limits = EngineLimits { closed_orders_kept: 3, ..EngineLimits::default() };
        let (mut orders, mut ids) = (Orders::new(&limits), Vec::new());
        let all = Span { first: 1, last: index.last_sequence() };
        frames(&index, all, |entry| {
            if let Content::Event(event) = &entry.content {
                orders.learn(event);
                if let Event::Execution(event) = &**event
                    && event.exec_type == ExecType::New
                {
                    ids.push((event.order_id, event.cl_ord_id));
                }
            }
            true
        })
        .unwrap();
        let found: Vec<_> = ids.iter().map(|(id, own)| orders.name(C1, *id, own)).collect();
        assert_eq!(found, [ClOrdId::EMPTY, name("two"), name("three"), name("lives")]);
        assert_eq!(orders.known.len(), 3);
        assert_eq!(orders.closed.len(), 3);
    }
}
