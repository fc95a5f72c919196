//! What a report draws of a journal, in memory that does not grow with it: activity over time, the depth
//! of books over time.

mod activity;
mod depth;

pub use activity::{Activity, Gap, Rates, activity};
pub use depth::{Depth, Dot, depths};

/// Parts of time that are drawn, at the most.
pub const COLUMNS: usize = 240;

/// Columns over a time, all of the same width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    /// Where the first one begins, in ns since 1970.
    pub first_ns: u64,
    /// How wide each is.
    pub width_ns: u64,
    /// How many they are.
    pub count: usize,
}

/// Widths of columns: 1, 2 or 5 times a power of ten, from a microsecond on.
const WIDTH_NS_MIN: u64 = 1_000;

impl Columns {
    /// Over a time, both ends included.
    pub fn over(first_ns: u64, last_ns: u64) -> Self {
        let length = last_ns.saturating_sub(first_ns) + 1;
        let mut power = WIDTH_NS_MIN;
        loop {
            for step in [1, 2, 5] {
                let width_ns = power * step;
                let count = length.div_ceil(width_ns);
                if count <= COLUMNS as u64 {
                    return Self { first_ns, width_ns, count: count as usize };
                }
            }
            power *= 10;
        }
    }

    /// The column that holds a time.
    pub fn at(&self, time_ns: u64) -> usize {
        let number = time_ns.saturating_sub(self.first_ns) / self.width_ns;
        (number as usize).min(self.count - 1)
    }

    /// Where a column begins, in seconds from the first.
    pub fn seconds(&self, column: usize) -> f64 {
        column as f64 * self.width_ns as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_round_and_cover_the_time() {
        for (last_ns, width_ns, count) in [
            (1_000, 1_000, 1),
            (1_000 + 239_999, 1_000, 240),
            (1_000 + 240_000, 2_000, 121),
            (1_000 + 86_400_000_000_000, 500_000_000_000, 173),
        ] {
            let columns = Columns::over(1_000, last_ns);
            assert_eq!((columns.width_ns, columns.count), (width_ns, count), "{last_ns}");
            assert_eq!((columns.at(0), columns.at(1_000)), (0, 0));
            assert_eq!((columns.at(last_ns), columns.at(u64::MAX)), (count - 1, count - 1));
            assert_eq!(columns.at(1_000 + width_ns), 1.min(count - 1));
        }
    }
}
