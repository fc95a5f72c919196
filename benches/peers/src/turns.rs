//! Several contestants in turn.

/// The median of each contestant's figures over `runs` runs. In each run all have their turn, so that none has
/// a better hour than another.
///
/// # Panics
/// Without runs.
pub fn in_turns<C>(
    contestants: &mut [C],
    runs: usize,
    mut figure: impl FnMut(&mut C) -> f64,
) -> Vec<f64> {
    let mut figures = vec![Vec::with_capacity(runs); contestants.len()];
    for _ in 0..runs {
        for (contestant, figures) in contestants.iter_mut().zip(&mut figures) {
            figures.push(figure(contestant));
        }
    }
    figures
        .into_iter()
        .map(|mut figures| {
            figures.sort_by(f64::total_cmp);
            figures[runs / 2]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_turn_and_its_median() {
        let mut turns = Vec::new();
        let mut contestants = [(0, [9.0, 1.0, 5.0].iter()), (1, [2.0, 8.0, 4.0].iter())];
        let medians = in_turns(&mut contestants, 3, |(name, figures)| {
            turns.push(*name);
            *figures.next().unwrap()
        });
        assert_eq!((medians, turns), (vec![5.0, 4.0], vec![0, 1, 0, 1, 0, 1]));
    }
}
