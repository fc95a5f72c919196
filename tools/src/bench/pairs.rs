//! Ratios to a floor that was measured side by side.
//!
//! The host of a virtual machine changes its speed within seconds, and gives some of them to others. What was
//! measured within the same tenth of a second met the same host, so the ratio of a run is the middle one of those of
//! turns side by side: what hits a few turns of either shows in latencies and maxima, not there. What lasts longer
//! is the same for all turns of a run, so how far the ratio can be trusted is told by how far the runs are apart.

use hdrhistogram::Histogram;
use ironbook_benches::load::latency_histogram;

use super::suite::{QUANTILES, is_enough, median};

/// Half the width of a normal distribution's middle 95 %, in standard deviations.
const LIKELY: f64 = 1.96;
/// Fewer runs than this tell no range: the true ratio is outside all of four as often as one time in eight.
const LIKELY_RUNS_MIN: usize = 5;

/// Ratios of the same thing, one of each run.
#[derive(Clone, Debug, Default)]
pub struct Ratios(Vec<f64>);

impl Ratios {
    /// Adds that of a run.
    pub fn add(&mut self, ratio: f64) {
        self.0.push(ratio);
    }

    /// Adds that of a run which has one for each of its turns: the middle one, and nothing where there is none.
    pub fn add_median(&mut self, turns: &[f64]) {
        if !turns.is_empty() {
            self.add(median(turns));
        }
    }

    /// The middle one; `None` of none.
    pub fn median(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| median(&self.0))
    }

    /// Between which of them the true median is with a probability of about 95 %: by their ranks, whatever their
    /// distribution is (a binomial one says how many are below it). Of ten or fewer all are within; `None` of fewer
    /// than five.
    pub fn likely(&self) -> Option<(f64, f64)> {
        if self.0.len() < LIKELY_RUNS_MIN {
            return None;
        }
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
pub struct Pairs([Ratios; QUANTILES.len()]);

impl Pairs {
    /// Adds a run.
    pub fn add(&mut self, run: &Turns) {
        for (ratios, stretches) in self.0.iter_mut().zip(&run.0) {
            ratios.add_median(&stretches.ratios);
        }
    }

    /// Ratios of one of the [`QUANTILES`].
    pub fn of(&self, quantile: f64) -> &Ratios {
        let place = QUANTILES.iter().position(|&(_, at)| at == quantile);
        &self.0[place.expect("one of the quantiles of every table")]
    }
}

/// The turns of a run.
pub struct Turns([Stretches; QUANTILES.len()]);

/// Turns in a row, which tell a quantile.
struct Stretches {
    quantile: f64,
    ratios: Vec<f64>,
    /// What isn't enough yet.
    venue: Histogram<u64>,
    floor: Histogram<u64>,
}

impl Default for Turns {
    fn default() -> Self {
        Self(QUANTILES.map(|(_, quantile)| Stretches {
            quantile,
            ratios: Vec::new(),
            venue: latency_histogram(),
            floor: latency_histogram(),
        }))
    }
}

impl Turns {
    /// Adds a turn of both.
    pub fn add(&mut self, venue: &Histogram<u64>, floor: &Histogram<u64>) {
        for stretches in &mut self.0 {
            stretches.venue += venue;
            stretches.floor += floor;
            let at = stretches.quantile;
            if is_enough(&stretches.venue, at) && is_enough(&stretches.floor, at) {
                let ns = |latency: &Histogram<u64>| latency.value_at_quantile(at).max(1) as f64;
                stretches.ratios.push(ns(&stretches.venue) / ns(&stretches.floor));
                stretches.venue.reset();
                stretches.floor.reset();
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
    fn a_run_has_the_middle_one_of_ratios_of_as_few_turns_as_tell_the_quantile() {
        let mut pairs = Pairs::default();
        for times in [1, 2, 3, 1, 3] {
            let mut run = Turns::default();
            // The machine is slower in two turns, and the fifth is hit by something.
            for (ns, floor_ns) in [(300, 100), (600, 200), (300, 100), (600, 200), (9_000, 100)] {
                run.add(&turn(500, times * ns), &turn(500, floor_ns));
            }
            let counts = run.0.each_ref().map(|stretches| stretches.ratios.len());
            assert_eq!(
                counts,
                [5, 5, 2, 0, 0],
                "1,000 samples tell p99; the fifth turn is left over"
            );
            assert!(run.0[0].ratios[4] > 80.0);
            pairs.add(&run);
        }
        let told = [0.5, 0.9, 0.99, 0.999].map(|at| pairs.of(at).median());
        assert_eq!(told, [Some(6.0), Some(6.0), Some(6.0), None]);
        assert_eq!(pairs.of(0.5).likely(), Some((3.0, 9.0)));
        // Turns in which either has too few samples wait for more.
        let mut run = Turns::default();
        run.add(&turn(20, 200), &turn(10, 100));
        assert!(run.0[0].ratios.is_empty());
        run.add(&turn(20, 200), &turn(10, 100));
        assert_eq!(run.0[0].ratios, [2.0]);
    }

    #[test]
    fn the_likely_range_leaves_out_as_many_at_both_ends_as_chance_does() {
        let ratios = |count: i32| Ratios((1..=count).map(f64::from).collect());
        assert_eq!([0, 1, 4].map(|count| ratios(count).likely()), [None; 3]);
        assert_eq!(ratios(5).likely(), Some((1.0, 5.0)));
        assert_eq!(ratios(10).likely(), Some((1.0, 10.0)));
        // As tables of the binomial distribution have it.
        assert_eq!(ratios(100).likely(), Some((40.0, 61.0)));
    }
}
