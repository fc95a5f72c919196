//! Histograms of nanoseconds that one thread writes while others read them: no lock, no allocation, and no
//! instruction that would wait for another processor.
//!
//! ```text
//! up to 63 ns     a bucket for each nanosecond
//! 64 to 127       32 buckets of 2 ns
//! 128 to 255      32 buckets of 4 ns, and so on: a bucket is at most 1/32 of its values wide
//! ```

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Buckets of each doubling, as a power of two: a value is known to 3 %.
const SPLIT_BITS: u32 = 5;
const SPLIT: usize = 1 << SPLIT_BITS;

/// Values have so many bits at the most: those from 17 s on count as the longest.
const VALUE_BITS: u32 = 34;

/// The longest value that has a bucket of its own, ns.
pub const NS_MAX: u64 = (1 << VALUE_BITS) - 1;

/// The highest power of two, in ns, of which it is known what is below it: 8.6 s. Values from twice that on count as
/// the longest.
pub const POWER_MAX: u32 = VALUE_BITS - 1;

const BUCKETS: usize = SPLIT * (VALUE_BITS - SPLIT_BITS + 1) as usize;

/// The bucket of a value.
#[inline]
fn bucket(ns: u64) -> usize {
    let ns = ns.min(NS_MAX);
    let shift = (ns | SPLIT as u64).ilog2() - SPLIT_BITS;
    shift as usize * SPLIT + (ns >> shift) as usize
}

/// The longest value of a bucket.
fn longest_of(bucket: usize) -> u64 {
    let shift = (bucket / SPLIT).saturating_sub(1);
    (((bucket - shift * SPLIT) as u64 + 1) << shift) - 1
}

/// What a histogram has counted, for those who read it.
#[derive(Debug)]
struct Counts {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
    max_ns: AtomicU64,
}

/// The one writer of a histogram.
#[derive(Debug)]
pub struct Recorder(Arc<Counts>);

/// A histogram to be read at any time.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Counts>);

/// An empty histogram: its writer, and what reads it.
pub fn histogram() -> (Recorder, Histogram) {
    let counts = Arc::new(Counts {
        buckets: [const { AtomicU64::new(0) }; BUCKETS],
        sum_ns: AtomicU64::new(0),
        max_ns: AtomicU64::new(0),
    });
    (Recorder(counts.clone()), Histogram(counts))
}

impl Recorder {
    /// Counts a value.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.record_n(ns, 1);
    }

    /// Counts a value so many times.
    #[inline]
    pub fn record_n(&mut self, ns: u64, times: u64) {
        let Counts { buckets, sum_ns, max_ns } = &*self.0;
        add(&buckets[bucket(ns)], times);
        add(sum_ns, ns.saturating_mul(times));
        if ns > max_ns.load(Ordering::Relaxed) {
            max_ns.store(ns, Ordering::Relaxed);
        }
    }
}

/// Adds to what only this thread writes.
#[inline]
fn add(to: &AtomicU64, what: u64) {
    to.store(to.load(Ordering::Relaxed).wrapping_add(what), Ordering::Relaxed);
}

impl Histogram {
    /// What was counted up to now. A value that is recorded meanwhile may be in a part of it: the longest value,
    /// the sum and the buckets are not of one moment.
    pub fn read(&self) -> Distribution {
        let load = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let Counts { buckets, sum_ns, max_ns } = &*self.0;
        Distribution {
            buckets: buckets.iter().map(load).collect(),
            sum_ns: load(sum_ns),
            max_ns: load(max_ns),
        }
    }
}

/// How values are distributed: what a histogram had counted at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    buckets: Vec<u64>,
    sum_ns: u64,
    max_ns: u64,
}

impl Default for Distribution {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], sum_ns: 0, max_ns: 0 }
    }
}

impl Distribution {
    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The sum of all, ns.
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// The longest, ns; 0 of none.
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The value that this share of all does not exceed, ns, from 0 for the shortest to 1 for the longest; at
    /// most 3 % above it, and 0 of none.
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        let rank = ((quantile * self.count() as f64).ceil() as u64).max(1);
        let mut below = 0;
        let found = self.buckets.iter().position(|count| {
            below += count;
            below >= rank
        });
        found.map_or(self.max_ns, |bucket| longest_of(bucket).min(self.max_ns))
    }

    /// How many values are below a power of two up to [`POWER_MAX`], in ns: these bounds cut no bucket.
    pub fn count_below(&self, power: u32) -> u64 {
        assert!(power <= POWER_MAX, "2^{power} ns is beyond what is told apart");
        self.buckets[..bucket(1 << power)].iter().sum()
    }

    /// The values that came since an earlier moment of the same histogram. The longest of them is known to 3 %, or
    /// exactly if none before was as long.
    pub fn since(&self, before: &Self) -> Self {
        let buckets = self.buckets.iter().zip(&before.buckets);
        let buckets: Vec<_> = buckets.map(|(now, then)| now.saturating_sub(*then)).collect();
        let last = buckets.iter().rposition(|count| *count > 0);
        Self {
            max_ns: last.map_or(0, |bucket| longest_of(bucket).min(self.max_ns)),
            sum_ns: self.sum_ns.saturating_sub(before.sum_ns),
            buckets,
        }
    }

    /// Adds the values of another.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_touch_each_other_and_are_narrow() {
        let mut first = 0;
        for at in 0..BUCKETS {
            let last = longest_of(at);
            assert_eq!((bucket(first), bucket(last)), (at, at), "{first} to {last}");
            assert!((last - first) * SPLIT as u64 <= first, "{first} to {last}");
            first = last + 1;
        }
        assert_eq!(first, NS_MAX + 1);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn what_came_since_a_moment_is_what_was_recorded_since() {
        let (mut recorder, histogram) = histogram();
        recorder.record_n(70_000, 3);
        let before = histogram.read();
        assert_eq!(before.since(&before), Distribution::default());
        recorder.record_n(30, 2);
        recorder.record(40);
        let since = histogram.read().since(&before);
        assert_eq!((since.count(), since.sum_ns(), since.max_ns()), (3, 100, 40));
        recorder.record(80_000);
        assert_eq!(histogram.read().since(&before).max_ns(), 80_000, "the longest of all is known");
        recorder.record(1_000_003);
        let later = histogram.read();
        recorder.record(80_000);
        let least = histogram.read().since(&later).max_ns();
        assert!((80_000..=82_500).contains(&least), "{least}");
    }

    #[test]
    fn nothing_has_no_quantiles() {
        let (_, histogram) = histogram();
        let nothing = histogram.read();
        assert_eq!(nothing, Distribution::default());
        assert_eq!((nothing.count(), nothing.quantile_ns(0.5), nothing.max_ns()), (0, 0, 0));
    }

    /// Values of all sizes.
    fn values() -> impl Strategy<Value = Vec<(u64, u64)>> {
        let value = (0..40_u32, any::<u64>()).prop_map(|(bits, any)| any & ((1 << bits) - 1));
        prop::collection::vec((value, 1..4_u64), 1..300)
    }

    proptest! {
        /// Against all values, sorted.
        #[test]
        fn a_histogram_is_what_was_recorded(values in values(), split in 0..300_usize) {
            let (mut recorder, first) = histogram();
            let (mut other, second) = histogram();
            let mut naive = Vec::new();
            for (number, &(ns, times)) in values.iter().enumerate() {
                let into = if number < split { &mut recorder } else { &mut other };
                match times {
                    1 => into.record(ns),
                    _ => into.record_n(ns, times),
                }
                naive.extend((0..times).map(|_| ns));
            }
            let mut all = first.read();
            all.add(&second.read());
            naive.sort_unstable();
            prop_assert_eq!(all.count(), naive.len() as u64);
            prop_assert_eq!(all.sum_ns(), naive.iter().sum::<u64>());
            prop_assert_eq!(all.max_ns(), naive[naive.len() - 1]);
            for quantile in [0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0] {
                let rank = ((quantile * naive.len() as f64).ceil() as usize).max(1);
                let (exact, told) = (naive[rank - 1], all.quantile_ns(quantile));
                if exact > NS_MAX {
                    prop_assert!(told >= NS_MAX);
                } else {
                    prop_assert!(told >= exact && told - exact <= exact / 32, "{told}, {exact}");
                }
            }
            for power in 0..=POWER_MAX {
                let below = naive.iter().filter(|&&ns| ns < 1 << power).count() as u64;
                prop_assert_eq!(all.count_below(power), below);
            }
        }
    }
}
