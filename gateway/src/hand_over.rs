//! Connections on their way from the gateway that takes them to the gateway of their session.
//!
//! ```text
//! clients ──▶ first gateway ──connection, with what was read of it──▶ gateway of the session
//!                           ◀────its number, once it is closed───────
//! ```
//!
//! The first gateway keeps count of all connections, so their bounds are those of the venue. It gives each its
//! number, which no other one has until it is told that the connection is closed; so numbers come back through a
//! channel that is never full, and a connection finds its place in the other gateway free. A hand-over happens
//! once, before the session has seen anything of it, and is on the way of no order.

use std::net::IpAddr;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::acceptor::ACCEPTS_PER_TURN;

/// Connections that wait for one gateway at the most; others wait with their Logon where they are.
const WAITING_MAX: usize = ACCEPTS_PER_TURN;

/// A gateway's part in it; `L` is a connection.
#[derive(Debug)]
pub(crate) enum HandOver<L> {
    /// There is no other gateway.
    None,
    /// It takes all connections, and gives away those of others.
    Gives(Giving<L>),
    /// It is given what is its own.
    Takes(Taking<L>),
}

#[derive(Debug)]
pub(crate) struct Giving<L> {
    /// By gateway, from the second one on.
    to: Vec<Sender<(usize, L)>>,
    closed: Receiver<usize>,
    /// Addresses of those that were given away and are not closed, by number.
    given: Vec<Option<IpAddr>>,
}

#[derive(Debug)]
pub(crate) struct Taking<L> {
    from: Receiver<(usize, L)>,
    closed: Sender<usize>,
}

/// The parts of so many gateways, which have so many connections together at the most.
pub(crate) fn between<L>(gateways: usize, connections_max: usize) -> Vec<HandOver<L>> {
    let (closes, closed) = bounded(connections_max);
    let mut giving = Giving { to: Vec::new(), closed, given: vec![None; connections_max] };
    let takes = (1..gateways).map(|_| {
        let (to, from) = bounded(WAITING_MAX);
        giving.to.push(to);
        HandOver::Takes(Taking { from, closed: closes.clone() })
    });
    let takes: Vec<_> = takes.collect();
    if takes.is_empty() {
        vec![HandOver::None]
    } else {
        [HandOver::Gives(giving)].into_iter().chain(takes).collect()
    }
}

impl<L> HandOver<L> {
    /// Whether a connection of this number is with another gateway.
    pub(crate) fn has_given(&self, number: usize) -> bool {
        matches!(self, Self::Gives(giving) if giving.given[number].is_some())
    }

    /// Whether a gateway takes another connection now.
    pub(crate) fn has_room(&self, gateway: usize) -> bool {
        matches!(self, Self::Gives(giving) if !giving.to[gateway - 1].is_full())
    }

    /// Gives a connection from an address to a gateway that has [room](Self::has_room).
    ///
    /// # Errors
    /// The connection comes back when the gateway has gone.
    pub(crate) fn give(
        &mut self,
        gateway: usize,
        number: usize,
        peer: IpAddr,
        connection: L,
    ) -> Result<(), L> {
        let Self::Gives(giving) = self else { return Err(connection) };
        match giving.to[gateway - 1].try_send((number, connection)) {
            Ok(()) => {
                giving.given[number] = Some(peer);
                Ok(())
            }
            // There was room, and nobody else gives.
            Err(error) => Err(error.into_inner().1),
        }
    }

    /// Connections that this gateway was given and has not taken.
    pub(crate) fn waiting(&self) -> usize {
        match self {
            Self::Takes(taking) => taking.from.len(),
            _ => 0,
        }
    }

    /// The next of those, and its number.
    pub(crate) fn take(&self) -> Option<(usize, L)> {
        match self {
            Self::Takes(taking) => taking.from.try_recv().ok(),
            _ => None,
        }
    }

    /// A connection is closed; says whether another gateway keeps count of it.
    pub(crate) fn tell_closed(&self, number: usize) -> bool {
        match self {
            Self::Takes(taking) => {
                // There is a place for every number, unless the first gateway has gone.
                let _ = taking.closed.try_send(number);
                true
            }
            _ => false,
        }
    }

    /// The address of the next one that was given away and is closed; its number is free again.
    pub(crate) fn next_closed(&mut self) -> Option<IpAddr> {
        let Self::Gives(giving) = self else { return None };
        let number = giving.closed.try_recv().ok()?;
        giving.given[number].take()
    }

    /// Whether another gateway has given or told something that is to be looked at.
    pub(crate) fn has_news(&self) -> bool {
        match self {
            Self::None => false,
            Self::Gives(giving) => !giving.closed.is_empty(),
            Self::Takes(taking) => !taking.from.is_empty(),
        }
    }

    /// Whether there are other gateways, which end nobody's sleep.
    pub(crate) fn has_others(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether failed Logons are counted by another gateway, as is all that happens before a hand-over.
    pub(crate) fn is_given(&self) -> bool {
        matches!(self, Self::Takes(_))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_connection_goes_to_its_gateway_and_its_number_comes_back() {
        let mut parts = between::<&str>(3, 8);
        let [first, second, third] = &mut parts[..] else { panic!("three parts") };
        assert_eq!(first.give(1, 5, PEER, "one"), Ok(()));
        assert_eq!(first.give(2, 2, PEER, "other"), Ok(()));
        assert!(first.has_given(5) && first.has_given(2) && !first.has_given(0));
        assert!(second.has_news() && third.has_news() && !first.has_news());
        assert_eq!((second.waiting(), second.take()), (1, Some((5, "one"))));
        assert_eq!((third.take(), third.take()), (Some((2, "other")), None));
        assert!(!second.has_news() && second.waiting() == 0);
        assert!(second.tell_closed(5) && first.has_news());
        assert_eq!((first.next_closed(), first.next_closed()), (Some(PEER), None));
        assert!(!first.has_given(5) && first.has_given(2));
        assert!(!first.tell_closed(0), "its own are counted by itself");
    }

    #[test]
    fn who_has_no_room_gets_nothing_and_who_has_gone_gives_it_back() {
        let mut parts = between::<usize>(2, 100);
        for number in 0..WAITING_MAX {
            assert!(parts[0].has_room(1));
            assert_eq!(parts[0].give(1, number, PEER, number), Ok(()));
        }
        assert!(!parts[0].has_room(1));
        assert_eq!(parts[1].take(), Some((0, 0)));
        assert!(parts[0].has_room(1));
        parts.truncate(1);
        assert_eq!(parts[0].give(1, 50, PEER, 50), Err(50));
        assert!(!parts[0].has_given(50));
    }

    #[test]
    fn all_may_close_at_once() {
        const CONNECTIONS: usize = 100;
        let mut parts = between::<usize>(2, CONNECTIONS);
        for number in 0..CONNECTIONS {
            parts[0].give(1, number, PEER, number).expect("room");
            assert_eq!(parts[1].take(), Some((number, number)));
        }
        (0..CONNECTIONS).for_each(|number| assert!(parts[1].tell_closed(number)));
        let closed = std::iter::from_fn(|| parts[0].next_closed()).count();
        assert_eq!(closed, CONNECTIONS);
        assert!((0..CONNECTIONS).all(|number| !parts[0].has_given(number)));
    }

    #[test]
    fn one_gateway_hands_nothing_over() {
        let mut parts = between::<&str>(1, 8);
        assert_eq!(parts.len(), 1);
        let alone = &mut parts[0];
        assert!(!alone.has_others() && !alone.has_news() && !alone.has_given(0));
        assert_eq!((alone.take(), alone.next_closed(), alone.tell_closed(0)), (None, None, false));
        assert_eq!(alone.give(1, 0, PEER, "it"), Err("it"));
    }
}
