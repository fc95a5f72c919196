//! Micro-benchmarks of the parts: engine, ring, journal append, FIX decode and encode.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ironbook_benches::{distance, sample, workload};
use ironbook_engine::{Command, Timestamp, sink::CountingSink};
use ironbook_fix::{
    codec::{Framed, frame},
    field::MsgSeqNum,
    message::{Fields, Message},
    order::OrderMessage,
    session::{Role, Session, SessionConfig},
    version::ApplVerId,
};

fn engine(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    for instruments in [1, 100] {
        let commands = workload::commands(7, instruments, 100_000);
        group.throughput(Throughput::Elements(commands.len() as u64));
        group.bench_function(format!("{instruments} instruments"), |bencher| {
            bencher.iter_batched_ref(
                || distance::prepared_engine(instruments),
                |(engine, sequencer)| {
                    let mut sink = CountingSink::default();
                    for (number, command) in commands.iter().enumerate() {
                        let stamp = sequencer.stamp(Timestamp(number as u64));
                        sequencer.resume_at(engine.apply(stamp, command, &mut sink));
                    }
                    sink.events
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn ring(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring");
    group.throughput(Throughput::Elements(1));
    let (mut inputs, outputs) = ironbook_gateway::ring::ring(4_096);
    let mut taken = Vec::with_capacity(64);
    let mut handed_over = ironbook_gateway::ring::HandOvers::with_capacity(64);
    let command: Command = workload::commands(7, 1, 1)[0];
    group.bench_function("put and take, one thread", |bencher| {
        bencher.iter(|| {
            let _ = inputs.try_push(ironbook_gateway::ring::Input::Command(command));
            inputs.flush();
            outputs.take(&mut taken, &mut handed_over);
            taken.drain(..).len()
        });
    });
    group.finish();
}

fn journal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("journal");
    group.throughput(Throughput::Elements(1));
    let payload = [7_u8; 128];
    let Ok(dir) = tempfile::tempdir() else { return };
    let Ok((mut journal, _)) = ironbook_journal::open(dir.path(), Default::default()) else {
        return;
    };
    let mut sequence = journal.next_sequence();
    group.bench_function("append and commit 128 bytes", |bencher| {
        bencher.iter(|| {
            journal.append(1, sequence, sequence, &payload);
            journal.commit();
            sequence += 1;
        });
    });
    group.finish();
}

fn fix(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fix");
    group.throughput(Throughput::Elements(1));
    let config = SessionConfig::new(Role::Initiator, "TRADER1", "IRONBOOK");
    let mut session = Session::new(config, MsgSeqNum::FIRST, MsgSeqNum::FIRST);
    let mut bytes = Vec::new();
    session.transmit_typed(sample::TIME_NS, &sample::order(b"ORDER-0000123456"), &mut bytes);
    let mut fields = Fields::new();
    group.bench_function(format!("decode NewOrderSingle, {} bytes", bytes.len()), |bencher| {
        bencher.iter(|| {
            let Framed::Message { len } = frame(&bytes) else { return false };
            let Ok(message) = Message::parse(&bytes[..len], &mut fields) else { return false };
            std::hint::black_box(OrderMessage::parse(&message, ApplVerId::Fix44)).is_ok()
        });
    });
    let report = sample::report();
    let mut output = Vec::with_capacity(1_024);
    session.transmit_typed(sample::TIME_NS, &report, &mut output);
    group.bench_function(format!("encode ExecutionReport, {} bytes", output.len()), |bencher| {
        bencher.iter(|| {
            output.clear();
            session.transmit_typed(sample::TIME_NS, &report, &mut output)
        });
    });
    group.finish();
}

criterion_group!(parts, engine, ring, journal, fix);
criterion_main!(parts);
