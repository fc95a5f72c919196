//! Which checkpoints are kept.
//!
//! One is taken behind the first group that ends in each cell of [`CHECKPOINT_FRAMES`] frames, so a
//! moment is a restore and at most so many frames away: below a second. Where the state is large,
//! cells of twice that size keep one, or of four times, until what is kept has room in a
//! [quarter](JOURNAL_SHARE) of the journal's size, but at least [`CHECKPOINT_BYTES_MIN`]. The newest
//! one is always kept: the index goes on there.

/// Frames of the smallest cell: 0.3 s of replay.
pub const CHECKPOINT_FRAMES: u64 = 1 << 21;
/// Bytes of checkpoints that are always allowed.
pub const CHECKPOINT_BYTES_MIN: u64 = 64 << 20;
/// Of how many bytes of the journal one may be a checkpoint's.
pub const JOURNAL_SHARE: u64 = 4;

/// Bytes of checkpoints that are kept for a journal of so many bytes.
pub(super) fn bytes_max(journal_bytes: u64) -> u64 {
    (journal_bytes / JOURNAL_SHARE).max(CHECKPOINT_BYTES_MIN)
}

/// Whether the frame `sequence`, the end of a group, is the first such place in its cell, when the
/// last checkpoint is that of `before`.
pub(super) fn is_due(sequence: u64, before: u64) -> bool {
    sequence / CHECKPOINT_FRAMES > before / CHECKPOINT_FRAMES
}

/// The checkpoints that are not kept, of some with these sequences, ascending, and sizes.
pub(super) fn superfluous(checkpoints: &[(u64, u64)], bytes_max: u64) -> Vec<u64> {
    let mut spacing = CHECKPOINT_FRAMES;
    loop {
        let is_kept = |at: usize| {
            let cell = |at: usize| checkpoints[at].0 / spacing;
            at == 0 || at + 1 == checkpoints.len() || cell(at) > cell(at - 1)
        };
        let (kept, superfluous): (Vec<_>, Vec<_>) =
            (0..checkpoints.len()).partition(|&at| is_kept(at));
        let bytes: u64 = kept.iter().map(|&at| checkpoints[at].1).sum();
        if bytes <= bytes_max || kept.len() <= 2 {
            return superfluous.into_iter().map(|at| checkpoints[at].0).collect();
        }
        spacing *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_cell_and_the_newest_stay() {
        let cell = CHECKPOINT_FRAMES;
        let some: Vec<_> =
            [5, cell + 1, cell + 9, cell + 10, 2 * cell + 3, 2 * cell + 7].map(|at| (at, 1)).into();
        assert_eq!(superfluous(&some, 100), [cell + 9, cell + 10]);
        assert_eq!(superfluous(&[], 100), Vec::<u64>::new());
        assert!(is_due(cell, cell - 1) && !is_due(2 * cell - 1, cell));
    }

    #[test]
    fn large_states_are_kept_less_often() {
        let all: Vec<_> = (0..64).map(|cell| (cell * CHECKPOINT_FRAMES + 1, 10)).collect();
        let gone = superfluous(&all, 330);
        // Every second cell, and the newest.
        assert_eq!(all.len() - gone.len(), 33);
        assert!(!gone.contains(&(63 * CHECKPOINT_FRAMES + 1)));
        assert_eq!(superfluous(&all, 0).len(), 62, "the first and the newest always stay");
        assert_eq!((bytes_max(0), bytes_max(1 << 40)), (CHECKPOINT_BYTES_MIN, 1 << 38));
    }
}
