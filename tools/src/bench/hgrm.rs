//! Percentile distributions in the text form that HdrHistogram's plotters read.

use std::fmt::Write as _;

use hdrhistogram::Histogram;

/// Lines for each halving of the distance to 100 %.
const TICKS_PER_HALF: u32 = 5;
/// Nanoseconds of a unit: values are told in µs.
const UNIT_NS: f64 = 1e3;

/// A distribution of nanoseconds, told in µs.
pub fn distribution(latency: &Histogram<u64>) -> String {
    let mut out = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    let mut count = 0;
    for at in latency.iter_quantiles(TICKS_PER_HALF) {
        count += at.count_since_last_iteration();
        let (value, quantile) =
            (at.value_iterated_to() as f64 / UNIT_NS, at.quantile_iterated_to());
        let _ = match quantile < 1.0 {
            true => {
                let beyond = 1.0 / (1.0 - quantile);
                writeln!(out, "{value:12.3} {quantile:2.12} {count:10} {beyond:14.2}")
            }
            false => writeln!(out, "{value:12.3} {quantile:2.12} {count:10}"),
        };
    }
    let _ = writeln!(
        out,
        "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]\n#[Max     = {:12.3}, Total count    = {:12}]\n\
         #[Buckets = {:12}, SubBuckets     = {:12}]",
        latency.mean() / UNIT_NS,
        latency.stdev() / UNIT_NS,
        latency.max() as f64 / UNIT_NS,
        latency.len(),
        latency.buckets(),
        2048
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_ends_with_all_values_and_the_highest() {
        let mut latency = Histogram::new_with_bounds(1, 1_000_000_000, 3).unwrap();
        (1..=1_000_u64).for_each(|us| latency.record(us * 1_000).unwrap());
        let text = distribution(&latency);
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .take_while(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().map(|word| word.parse().unwrap()).collect())
            .collect();
        assert!(rows.windows(2).all(|two| two[0][0] <= two[1][0] && two[0][2] <= two[1][2]));
        let half = rows.iter().find(|row| row[1] >= 0.5).unwrap();
        assert!((half[0] - 500.0).abs() < 2.0, "{half:?}");
        let last = rows.last().unwrap();
        assert!((last[0] - 1_000.0).abs() < 1.0 && last[1..] == [1.0, 1_000.0], "{last:?}");
    }
}
