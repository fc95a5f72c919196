//! Ratios to a floor that was measured side by side.
//!
//! The host of a virtual machine changes its speed within seconds, and gives some of them to others. What was
//! measured within the same tenth of a second met the same host, so each ratio is of turns side by side, and the
//! figure is the middle one of many: what hits a few turns of either shows in latencies and maxima, not here.

use hdrhistogram::Histogram;
use ironbook_benches::load::latency_histogram;

use super::suite::{QUANTILES, is_enough, median};

/// Half the width of a normal distribution's middle 95 %, in standard deviations.
const LIKELY: f64 = 1.96;

/// Ratios of the same thing, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Ratios(Vec<f64>);

impl Ratios {
    /// Adds one.
    pub fn add(&mut self, ratio: f64) {
        self.0.push(ratio);
    }

    /// The middle one; `None` of none.
    pub fn median(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| median(&self.0))
    }

    /// Between which of them the true median is with a probability of 95 %: by their ranks, whatever their
    /// distribution is (a binomial one says how many are below it). Of ten or fewer all are within.
    pub fn likely(&self) -> Option<(f64, f64)> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len() as f64;
        let below = (((count - LIKELY * count.sqrt()) / 2.0) as usize).saturating_sub(1);
        Some((*sorted.get(below)?, *sorted.get(sorted.len() - 1 - below)?))
    }
}

/// Latencies of a venue and of its floor, turn by turn, as ratios of each of the [`QUANTILES`]: of as few turns in
/// a row as have enough samples to tell it.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    ratios: [Ratios; QUANTILES.len()],
}

/// Turns of a run that are not enough yet for a quantile.
pub struct Stretches<'p> {
    pairs: &'p mut Pairs,
    begun: Vec<(Histogram<u64>, Histogram<u64>)>,
}

impl Pairs {
    /// A run begins: its turns are its own.
    pub fn begin_run(&mut self) -> Stretches<'_> {
        let begun = QUANTILES.map(|_| (latency_histogram(), latency_histogram()));
        Stretches { pairs: self, begun: begun.into() }
    }

    /// Ratios of one of the [`QUANTILES`].
    pub fn of(&self, quantile: f64) -> &Ratios {
        let place = QUANTILES.iter().position(|&(_, at)| at == quantile);
        &self.ratios[place.expect("one of the quantiles of every table")]
    }
}

impl Stretches<'_> {
    /// Adds a turn of both.
    pub fn add(&mut self, venue: &Histogram<u64>, floor: &Histogram<u64>) {
        let of = QUANTILES.iter().zip(&mut self.begun).zip(&mut self.pairs.ratios);
        for ((&(_, at), (venues, floors)), ratios) in of {
            *venues += venue;
            *floors += floor;
            if is_enough(venues, at) && is_enough(floors, at) {
                let ns = |latency: &Histogram<u64>| latency.value_at_quantile(at).max(1) as f64;
                ratios.add(ns(venues) / ns(floors));
                venues.reset();
                floors.reset();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(samples: u64, ns: u64) -> Histogram<u64> {
        let mut latency = latency_histogram();
        latency.record_n(ns, samples).unwrap();
        latency
    }

    #[test]
    fn a_ratio_is_of_as_few_turns_as_tell_its_quantile_and_of_one_run() {
        let mut pairs = Pairs::default();
        for _ in 0..2 {
            let mut run = pairs.begin_run();
            // The fifth turn is hit by something.
            for ns in [300, 300, 300, 300, 9_000] {
                run.add(&turn(500, ns), &turn(500, 100));
            }
        }
        let counts = QUANTILES.map(|(_, at)| pairs.of(at).0.len());
        assert_eq!(
            counts,
            [10, 10, 4, 0, 0],
            "1,000 samples tell p99; a run's fifth turn is left over"
        );
        assert_eq!(pairs.of(0.5).0.iter().filter(|&&ratio| ratio > 80.0).count(), 2);
        assert_eq!(
            [0.5, 0.99, 0.999].map(|at| pairs.of(at).median()),
            [Some(3.0), Some(3.0), None]
        );
        // Turns in which either has too few samples wait for more.
        let mut pairs = Pairs::default();
        let mut run = pairs.begin_run();
        run.add(&turn(20, 200), &turn(10, 100));
        run.add(&turn(20, 200), &turn(10, 100));
        assert_eq!(pairs.of(0.5).0, [2.0]);
    }

    #[test]
    fn the_likely_range_leaves_out_as_many_at_both_ends_as_chance_does() {
        let ratios = |count: i32| Ratios((1..=count).map(f64::from).collect());
        assert_eq!(ratios(0).likely(), None);
        assert_eq!(ratios(1).likely(), Some((1.0, 1.0)));
        assert_eq!(ratios(10).likely(), Some((1.0, 10.0)));
        // As tables of the binomial distribution have it.
        assert_eq!(ratios(100).likely(), Some((40.0, 61.0)));
    }
}
