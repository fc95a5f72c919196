//! A warmed-up engine allocates nothing; books near the touch don't even need to warm up.

mod counting;
#[path = "naive/flow.rs"]
#[allow(dead_code)]
mod flow;

use counting::allocations;
use flow::{Flow, Profile, Random};
use ironbook_engine::{
    Command, Engine, EngineLimits, Sequence, Side, Stamp, Timestamp,
    book::{BookId, Books, Resting},
    command::TICKS_MAX,
    sink::{CountingSink, VecSink},
};

#[test]
fn steady_state_allocates_nothing() {
    assert!(apply_steadily(0) > 5_000);
}

#[test]
fn risk_limits_allocate_nothing() {
    assert!(apply_steadily(20) > 200);
}

/// Applies commands, of which so many in a thousand set risk limits or a trading status, and returns
/// how many trades they made.
fn apply_steadily(risk: u64) -> u64 {
    let limits = EngineLimits {
        orders_max: 2_000,
        closed_orders_kept: 1_000,
        state_hash_interval: 500,
        ..EngineLimits::default()
    };
    let profile = Profile {
        name: "steady state",
        limits,
        instruments: 8,
        sessions: 4,
        spread: 2_000,
        lots: 20,
        steps: (2, 1, 1),
        weights: [500, 300, 150, 30, 2, 2],
        risk,
        hostile: 300,
        names: 1 << 40,
    };
    let commands = make(profile, 60_000);
    let (mut engine, mut sink) = (Engine::new(limits), CountingSink::default());
    let mut next = Sequence(1);
    let mut taken = 0;
    for (number, command) in commands.iter().enumerate() {
        let before = allocations();
        next = engine.apply(Stamp { sequence: next, time: Timestamp(0) }, command, &mut sink);
        if number >= 10_000 {
            taken += allocations() - before;
        }
    }
    assert!(sink.events > 60_000);
    assert_eq!(taken, 0);
    engine.totals().trades
}

#[test]
fn books_near_the_touch_allocate_nothing() {
    const ORDERS: u32 = 2_000;
    let mut books = Books::new(ORDERS);
    let all = [(); 3].map(|()| books.open_book(TICKS_MAX as u64));
    let mut known: Vec<(BookId, u32, u64)> = Vec::with_capacity(ORDERS as usize);
    let (mut random, mut filled, mut canceled) = (Random(9), 0u64, 0u64);
    let before = allocations();
    for id in 1..=200_000 {
        let cancels = random.once_in(3) || known.len() == ORDERS as usize;
        if cancels && !known.is_empty() {
            let at = random.below(known.len() as u64) as usize;
            let (book, slot, id) = known.swap_remove(at);
            if books.find(slot, id).is_some() {
                books.cancel(book, slot);
                canceled += 1;
            }
            continue;
        }
        let (book, side) = (random.pick(&all), random.pick(Side::ALL));
        let away = random.below(200).min(random.below(200));
        let ticks = if side == Side::Buy { 10_000 - away } else { 9_970 + away };
        let (slot, qty) = (books.reserve(), 1 + random.below(20) as i64);
        match books.take(book, side.opposite(), Some(ticks), qty, |_| filled += 1) {
            0 => books.release(slot),
            leaves_qty => {
                books.rest(book, slot, Resting { id, side, ticks, leaves_qty, tag: 0 });
                known.push((book, slot, id));
            }
        }
    }
    assert_eq!(allocations() - before, 0);
    assert!(filled > 20_000 && canceled > 20_000 && books.taken() > 100);
}

/// Commands whose targets live, because an engine played them before. No limits or definitions
/// after the first: those may allocate.
fn make(profile: Profile, count: usize) -> Vec<Command> {
    let (mut flow, mut commands) = (Flow::new(profile, 5), Vec::new());
    let (mut engine, mut next) = (Engine::new(profile.limits), Sequence(1));
    while commands.len() < count {
        let command = flow.next();
        let configures = matches!(
            command,
            Command::Limits(_) | Command::DefineInstrument(_) | Command::DefineSession(_)
        );
        if configures && commands.len() > 100 {
            continue;
        }
        let mut sink = VecSink::default();
        let stamp = Stamp { sequence: next, time: Timestamp(0) };
        next = engine.apply(stamp, &command, &mut sink);
        sink.events.iter().for_each(|(_, event)| flow.learn(event));
        commands.push(command);
    }
    commands
}
