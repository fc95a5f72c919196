//! The slowest of each second: found by the agent that is measured, with a comparison or two for each, and sent to
//! whoever keeps them. What is not fetched in time is lost.

use crossbeam_channel::{Receiver, Sender, bounded};

const SECOND_NS: u64 = 1_000_000_000;

/// So many of each second are kept.
pub const SLOWEST_KEPT: usize = 8;

/// How many may wait to be fetched: some seconds, in each of which a few more are sent than are kept in the end.
const WAITING_MAX: usize = 1_024;

/// An input or a frame that took long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slow {
    /// By what it is compared, ns.
    pub total_ns: u64,
    /// Its sequence.
    pub sequence: u64,
    /// The core's stamp, ns since 1970.
    pub time_ns: u64,
    /// What it took: an input in the ring and in the core, a frame to be made messages of and from the core's stamp
    /// until they were written. Nanoseconds.
    pub ns: [u64; 2],
}

/// Finds the slowest of each second.
#[derive(Debug)]
pub(crate) struct Slowest {
    found: Sender<Slow>,
    /// Where the second at hand ends. Those of a clock that was set back are of that second.
    end_ns: u64,
    /// What the slowest of it took; what is not longer than the first of these is none.
    kept: [u64; SLOWEST_KEPT],
}

impl Slowest {
    /// The one that finds, and where what it found can be fetched.
    pub(crate) fn new() -> (Self, Receiver<Slow>) {
        let (found, receiver) = bounded(WAITING_MAX);
        (Self { found, end_ns: 0, kept: [0; SLOWEST_KEPT] }, receiver)
    }

    /// Takes one into account.
    #[inline]
    pub(crate) fn offer(&mut self, total_ns: u64, sequence: u64, time_ns: u64, ns: [u64; 2]) {
        if time_ns >= self.end_ns {
            self.end_ns = (time_ns / SECOND_NS + 1) * SECOND_NS;
            self.kept = [0; SLOWEST_KEPT];
        }
        if total_ns > self.kept[0] {
            self.keep(Slow { total_ns, sequence, time_ns, ns });
        }
    }

    #[cold]
    fn keep(&mut self, slow: Slow) {
        self.kept[0] = slow.total_ns;
        self.kept.sort_unstable();
        let _ = self.found.try_send(slow);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Whatever comes, the longest of a second are among those that are sent, which are not many.
    #[test]
    fn the_longest_of_each_second_are_found() {
        let (mut slowest, found) = Slowest::new();
        let mut random = Random::new(1);
        for second in 1..=20_u64 {
            let mut all = Vec::new();
            for number in 0..5_000 {
                let (ns, time_ns) = (1 + random.below(1 << 40), second * SECOND_NS + number);
                slowest.offer(ns, second * 10_000 + number, time_ns, [ns, 0]);
                all.push((ns, second * 10_000 + number));
            }
            let mut sent: Vec<_> =
                found.try_iter().map(|slow| (slow.total_ns, slow.sequence)).collect();
            assert!(sent.len() < 200, "{}", sent.len());
            for of in [&mut all, &mut sent] {
                of.sort_unstable();
                of.drain(..of.len() - SLOWEST_KEPT);
            }
            assert_eq!(sent, all, "second {second}");
        }
    }

    #[test]
    fn what_nobody_fetches_is_lost_and_stops_nobody() {
        let (mut slowest, found) = Slowest::new();
        let many = 3 * WAITING_MAX as u64;
        (1..=many).for_each(|number| slowest.offer(number, number, SECOND_NS, [number, 0]));
        assert_eq!(found.try_iter().count(), WAITING_MAX);
        drop(found);
        slowest.offer(many + 1, many + 1, SECOND_NS, [0; 2]);
    }
}
