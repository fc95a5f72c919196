//! Stage times that a venue kept beside its journal, in answers.

mod common;

use std::{fs, path::Path};

use common::{AAPL, C1, C2, Script, index, memory_dir};
use ironbook_engine::Side;
use ironbook_gateway::{
    slowest::Slow,
    stage_log::{STAGE_LOG, StageRecord, StageSecond},
    stages::Stage,
};
use ironbook_incident::{
    index::Index,
    question::{
        Span, find_order,
        latency::{Latency, latency},
        life::life,
        stages::Taken,
    },
};

fn of(index: &Index, from: u64, to: u64) -> Latency {
    latency(index, Span { first: from, last: to }, 3).expect("an answer")
}

fn slow(sequence: u64, time_ns: u64, ns: [u64; 2]) -> Slow {
    Slow { total_ns: 0, sequence, time_ns, ns }
}

/// A second with so many values of a stage, all of which took `ns`.
fn second(from_ns: u64, (first_sequence, frames): (u64, u64), ns: u64) -> StageRecord {
    let mut record = StageRecord {
        from_ns,
        length_ns: 1_000_000_000,
        first_sequence,
        frames,
        every: 1,
        ..StageRecord::default()
    };
    for stage in [Stage::Ring, Stage::Core, Stage::Respond] {
        record.stages[stage as usize] =
            StageSecond { count: frames, ns: [ns, 2 * ns, 3 * ns, 4 * ns, 5 * ns] };
    }
    record
}

/// A resting order and one that trades with it: sequences of both inputs, and their times.
fn written(dir: &Path) -> [(u64, u64); 2] {
    let mut day = Script::new(dir);
    let rests = day.order((C1, "rests"), AAPL, Side::Buy, (10, 10_000));
    let first = (rests, day.now_ns());
    let takes = day.order((C2, "takes"), AAPL, Side::Sell, (10, 10_000));
    let second = (takes, day.now_ns());
    day.order((C1, "last"), AAPL, Side::Buy, (10, 9_000));
    day.close();
    [first, second]
}

#[test]
fn the_slowest_have_their_stages_from_both_threads() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let [(rests, rests_ns), (takes, takes_ns)] = written(&dir);
    let index = index(&dir);
    assert!(of(&index, 1, takes).stages.is_none());
    assert!(of(&index, 1, takes).to_string().contains("Stages       none beside the journal"));

    let mut early = second(rests_ns, (1, takes - 1), 1_000);
    early.inputs = vec![slow(rests, rests_ns, [7_000, 2_000])];
    let mut late = second(rests_ns + 1_000_000_000, (takes, 20), 3_000);
    late.inputs = vec![
        slow(takes, takes_ns, [9_000, 1_000]),
        // Of a journal that lost its end: this sequence has another frame now.
        slow(rests, rests_ns + 5, [1_000_000, 1_000_000]),
    ];
    // The trade's report for the order that rested.
    late.told = vec![slow(takes + 2, takes_ns, [800, 44_000])];
    fs::write(dir.join(STAGE_LOG), [early.encode(), late.encode()].concat()).unwrap();

    let found = of(&index, 1, index.last_sequence()).stages.expect("stages");
    let waited = found.slowest[0].own.wait_ns.expect("a client's");
    assert_eq!(found.slowest.len(), 2, "{found}");
    let taken = |at: usize| (found.slowest[at].own.sequence, found.slowest[at].taken);
    let both = Taken { core: Some([9_000, 1_000]), told: Some([800, 44_000]) };
    assert_eq!(taken(0), (takes, both));
    assert_eq!(found.slowest[0].total_ns(), waited + 44_000);
    assert_eq!(taken(1), (rests, Taken { core: Some([7_000, 2_000]), told: None }));
    assert_eq!(found.slowest[1].total_ns(), waited + 2_000);
    let around =
        |at: usize| found.slowest[at].neighbors.iter().map(|of| of.sequence).collect::<Vec<_>>();
    assert_eq!(around(0), [rests, takes + 4], "the inputs before and behind");
    let sums: Vec<_> = found
        .sums()
        .into_iter()
        .map(|sum| (sum.stage, sum.count, sum.p50_ns, sum.p99_ns, sum.longest))
        .collect();
    let expected = [Stage::Ring, Stage::Core, Stage::Respond]
        .map(|stage| (stage, takes - 1 + 20, 1_000, 9_000, (15_000, late.from_ns)));
    assert_eq!(sums, expected);
    // Only what is asked for.
    let part = of(&index, 1, rests).stages.expect("stages");
    assert_eq!((part.seconds.len(), part.slowest.len()), (1, 1));
    let before = of(&index, 1, rests - 1).stages.expect("stages");
    assert_eq!((before.seconds.len(), before.slowest.len()), (1, 0));
    assert_eq!(of(&index, takes, takes + 1).stages.expect("stages").seconds.len(), 1);

    // The life of an order.
    let order = find_order(&index, "rests").expect("an order");
    let life = life(&index, order).expect("an order");
    let taken: Vec<_> = life.steps.iter().map(|step| step.taken).collect();
    assert_eq!(taken, [Taken { core: Some([7_000, 2_000]), told: None }, both], "{life}");
    let line = "ring 9.0 us, core 1.0 us, encode 0.8 us, respond 44.0 us";
    assert!(life.to_string().contains(line), "{life}");
    assert_eq!(life.json()["steps"][1]["stages"]["respond_ns"], 44_000);
}

#[test]
fn damaged_stage_times_are_told_and_the_rest_is_used() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let [(rests, rests_ns), (takes, takes_ns)] = written(&dir);
    let index = index(&dir);
    let mut records = [second(rests_ns, (1, 5), 10), second(takes_ns, (6, 50), 20)];
    records[0].inputs = vec![slow(rests, rests_ns, [5, 5])];
    records[1].inputs = vec![slow(takes, takes_ns, [5, 5])];
    let whole = records[0].encode().len();
    let bytes = records.each_ref().map(StageRecord::encode).concat();
    let path = dir.join(STAGE_LOG);
    for at in (0..bytes.len()).step_by(7) {
        for is_cut in [true, false] {
            let mut damaged = bytes.clone();
            if is_cut {
                damaged.truncate(at);
            } else {
                damaged[at] ^= 0x10;
            }
            fs::write(&path, &damaged).unwrap();
            let found = of(&index, 1, index.last_sequence());
            let text = found.to_string();
            let seconds = found.stages.as_ref().map_or(0, |stages| stages.seconds.len());
            assert_eq!(seconds, usize::from(at >= whole), "at {at}");
            let is_told = !is_cut || ![0, whole].contains(&at);
            let told =
                format!("at byte {} of {}", if at < whole { 0 } else { whole }, path.display());
            assert_eq!(text.contains(&told), is_told, "at {at}: {text}");
        }
    }
    // A file that can't be read is told too.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let found = of(&index, 1, index.last_sequence());
    assert!(found.to_string().contains("stage times can't be read: "), "{found}");
}
