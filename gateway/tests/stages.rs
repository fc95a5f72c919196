//! Every order is measured in every stage of its way, and the journal does not know.

mod common;

use common::{
    cancel, limit,
    stepped::{SECOND, Stepped},
};
use ironbook_engine::{Command, Event};
use ironbook_gateway::{
    histogram::Distribution,
    stages::{COMMANDS_PER_SPLIT, Stage, StageTimes},
};
use ironbook_journal::Reader;

/// What is known of a stage.
fn of(stages: &StageTimes, stage: Stage) -> Distribution {
    let found = stages.read().into_iter().find(|(of, _)| *of == stage);
    found.expect("each stage is there").1
}

/// Sequence, time, kind and payload of each frame in the journal.
fn frames(venue: &Stepped) -> Vec<(u64, u64, u16, Vec<u8>)> {
    let mut reader = Reader::open(&venue.config.venue.data_dir).expect("a journal");
    let mut frames = Vec::new();
    while let Some(frame) = reader.next().expect("good frames") {
        frames.push((frame.sequence, frame.time_ns, frame.kind, frame.payload.to_vec()));
    }
    frames
}

#[test]
fn each_stage_counts_what_it_had() {
    let mut venue = Stepped::start(|_| {});
    let start = frames(&venue).len();
    let mut a = venue.log_on("A", 30);
    let before = venue.stages.read();
    for number in 0..20 {
        let id = format!("A{number}");
        let order = limit(&id, "AAPL", "1", "1", "1.00");
        venue.ask(&mut a, "D", &order, &format!("35=8|150=0|11={id}"));
    }
    // Two messages in one read, of which the second trades with the first: four reports.
    let mut b = venue.log_on("B", 30);
    let copy = venue.log_on("COPY", 30);
    let (rests, trades) =
        (limit("B1", "BTC-USD", "2", "1", "5.00"), limit("B2", "BTC-USD", "1", "1", "5.00"));
    let mut bytes = Vec::new();
    for order in [rests, trades] {
        b.sending_time = a.sending_time.clone();
        bytes.extend(b.build("D", b.next_out, &order, common::Flaw::None));
        b.next_out += 1;
    }
    b.send_raw(&bytes);
    venue.receive(&mut b, 4);
    // A reject of the session layer is decoded like an order, and no command.
    venue.ask(&mut a, "D", "11=X", "35=3");
    let none = cancel("C1", "NONE", "AAPL", "1");
    venue.ask(&mut a, "F", &none, "35=9|11=C1");
    drop(copy);

    let kinds: Vec<_> = frames(&venue)[start..].iter().map(|frame| frame.2).collect();
    let count = |is: &dyn Fn(u16) -> bool| kinds.iter().filter(|kind| is(**kind)).count() as u64;
    let commands = count(&Command::is_kind);
    // Answers to Logons and what was asked for; copies are of the same frames.
    let told = 3 + 20 + 4 + 1 + 1;
    let inputs = count(&|kind| !Event::is_kind(kind));
    assert_eq!(commands, 23, "of {kinds:?}");
    let expected = [
        (Stage::Decode, 20 + 2 + 1 + 1),
        (Stage::Ring, inputs),
        (Stage::Core, inputs),
        (Stage::Match, commands.div_ceil(COMMANDS_PER_SPLIT.into())),
        (Stage::Append, commands.div_ceil(COMMANDS_PER_SPLIT.into())),
        (Stage::Encode, told),
        (Stage::Respond, told),
    ];
    for (stage, count) in expected {
        assert_eq!(of(&venue.stages, stage).count(), count, "{stage:?}");
    }
    // Once for what comes or goes at once.
    assert_eq!(of(&venue.stages, Stage::Read).count(), 3 + 20 + 1 + 1 + 1);
    let publications = of(&venue.stages, Stage::Publish).count();
    assert!((3 + 20 + 1 + 2..=inputs).contains(&publications), "{publications} of {inputs}");
    let writes = of(&venue.stages, Stage::Write).count();
    assert!(writes >= 3 + 20 + 1 + 2 && writes <= told + 5, "{writes}");
    for (stage, times) in venue.stages.read() {
        let is_virtual = stage == Stage::Respond;
        assert_eq!(times.max_ns() == 0, is_virtual, "{stage:?}: the clock of the venue stands");
        assert!(times.sum_ns() >= times.max_ns());
    }
    // Those of a read say more than those before: the same histograms go on.
    for ((stage, early), (_, late)) in before.iter().zip(venue.stages.read()) {
        assert!(early.count() < late.count() || *stage == Stage::Match, "{stage:?}");
    }
}

#[test]
fn a_response_waits_for_the_disk() {
    let mut venue = Stepped::start_waiting(|_| {}, true);
    let mut a = common::FixClient::connect(venue.gateway.address(), "A");
    venue.send(&mut a, "A", "98=0|108=30|141=Y");
    common::wait_for("the Logon is carried out", || {
        venue.settle();
        // Numbers that begin anew, that of the Logon, and the answer to it.
        of(&venue.stages, Stage::Core).count() == 3
    });
    venue.advance(SECOND);
    let told = |venue: &Stepped| {
        let times = of(&venue.stages, Stage::Respond);
        (times.count(), times.sum_ns())
    };
    assert_eq!(told(&venue), (0, 0), "nothing is durable");
    // Closing the journal makes it durable, a second after the core's stamp by the clock of the venue.
    venue.core.take().expect("a core").into_journal().1.close().expect("synced");
    venue.receive(&mut a, 1);
    assert_eq!(told(&venue), (1, SECOND));
}

/// What the journal has of a scripted session.
fn frames_of_a_session(stages: bool) -> Vec<(u64, u64, u16, Vec<u8>)> {
    let mut venue = Stepped::start(|config| config.metrics.stages = stages);
    let mut a = venue.log_on("A", 30);
    for number in 0..40 {
        let id = format!("A{number}");
        venue.ask(&mut a, "D", &limit(&id, "AAPL", "1", "3", "1.00"), &format!("35=8|11={id}"));
        venue.advance(1_000_000);
    }
    assert_eq!(venue.stages.read().is_empty(), !stages);
    frames(&venue)
}

#[test]
fn the_journal_is_the_same_with_and_without() {
    let (with, without) = (frames_of_a_session(true), frames_of_a_session(false));
    assert!(with.len() > 80, "{} frames", with.len());
    assert_eq!(with, without);
}
