//! Moments: that each way to one leads to the same state.

mod common;

use common::{Script, churn, index, memory_dir, story};
use ironbook_engine::{Engine, Event};
use ironbook_incident::{
    Fault,
    index::Index,
    moment::{Moment, Watch},
    show::Content,
};

/// Input, last frame and state hash.
type Seen = (u64, u64, u64);

fn seen(moment: &Moment<'_>) -> Seen {
    let hash = moment.engine().map_or(0, Engine::state_hash);
    (moment.input_sequence(), moment.sequence(), hash)
}

/// All moments of a journal, one step after the other.
fn all(index: &Index) -> Vec<Seen> {
    let mut moment = Moment::before(index, 1).unwrap();
    let mut all = Vec::new();
    while moment.step().unwrap() {
        all.push(seen(&moment));
    }
    all
}

#[test]
fn every_frame_leads_to_the_moment_behind_its_input() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let end = story(&dir);
    let index = index(&dir);
    let all = all(&index);
    assert_eq!(all.last().unwrap().2, end.state_hash());
    let mut frames = 0;
    for (input, last, hash) in all {
        for sequence in input..=last {
            assert_eq!(seen(&Moment::at(&index, sequence).unwrap()), (input, last, hash));
            frames += 1;
        }
        let before = Moment::before(&index, input).unwrap();
        assert_eq!(before.sequence(), input - 1);
    }
    assert_eq!(frames, index.last_sequence());
    // From one to another, forward and back.
    let mut moment = Moment::before(&index, 20).unwrap();
    for input in [29, 29, 43, 9, 1, 41] {
        moment.go_on_before(input).unwrap();
        assert_eq!((moment.sequence(), moment.noted().len()), (input - 1, 0));
    }
    for wrong in [0, index.last_sequence() + 1] {
        assert!(matches!(Moment::at(&index, wrong), Err(Fault::NotFound(_))), "{wrong}");
    }
}

#[test]
fn steps_back_are_steps_forward_in_reverse() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut script = Script::with_segments(&dir, 1 << 20);
    churn(&mut script, 3_000);
    script.close();
    let index = index(&dir);
    let all = all(&index);
    // From the end, where the first step restores a state, and those that follow use one nearby.
    let mut moment = Moment::at(&index, index.last_sequence()).unwrap();
    for expected in all.iter().rev().skip(1).take(40) {
        assert!(moment.back().unwrap());
        assert_eq!(seen(&moment), *expected);
    }
    assert!(moment.cost().inputs < 9_000, "{:?}", moment.cost());
    assert!(moment.step().unwrap());
    assert_eq!(seen(&moment), all[all.len() - 40]);
    // Further away than what is nearby.
    moment.go(all[100].0).unwrap();
    assert_eq!(seen(&moment), all[100]);
    for expected in all[..100].iter().rev() {
        assert!(moment.back().unwrap());
        assert_eq!(seen(&moment), *expected);
    }
    assert!(!moment.back().unwrap(), "this is the first one");
    assert_eq!(seen(&moment), all[0]);
}

/// Looks for inputs with so many trades.
struct Trades(usize);

impl Watch for Trades {
    fn begin(&mut self, _: &Moment<'_>) {}

    fn look(&mut self, moment: &Moment<'_>) -> Option<u64> {
        let trades = moment.entries().filter_map(|entry| match entry.content {
            Content::Event(event) => match *event {
                Event::Execution(event) if event.last_qty > 0 => Some(entry.sequence),
                _ => None,
            },
            _ => None,
        });
        let trades: Vec<_> = trades.collect();
        (trades.len() == self.0).then(|| trades[0])
    }
}

#[test]
fn a_search_ends_at_the_first_and_backwards_at_the_last() {
    let place = memory_dir();
    let dir = place.path().join("data");
    story(&dir);
    let index = index(&dir);
    let mut forward = Moment::at(&index, 1).unwrap();
    let mut found = Vec::new();
    while let Some(sequence) = forward.run_until(&mut Trades(2)).unwrap() {
        assert!(forward.noted().iter().any(|noted| noted.sequence == sequence));
        found.push(sequence);
    }
    assert_eq!(forward.sequence(), index.last_sequence());
    let mut moment = Moment::end(&index).unwrap();
    let mut back = Vec::new();
    while let Some(sequence) = moment.run_back_until(&mut Trades(2)).unwrap() {
        assert!(moment.noted().iter().any(|noted| noted.sequence == sequence));
        back.push(sequence);
    }
    back.reverse();
    assert!(found.len() > 1, "{found:?}");
    assert_eq!(found, back);
    let here = seen(&moment);
    assert_eq!(moment.run_back_until(&mut Trades(9)).unwrap(), None);
    assert_eq!(seen(&moment), here, "nothing found, nothing moved");
}
