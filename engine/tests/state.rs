//! Saved states that are damaged, cut or forged are refused, and never cause a panic.

#[path = "naive/flow.rs"]
#[allow(dead_code)]
mod flow;

use flow::{Flow, Profile, Random};
use ironbook_engine::{
    Engine, EngineLimits, Sequence, Stamp, Timestamp,
    engine::{STATE_VERSION, StateError},
    sink::VecSink,
};

/// A state with risk records.
fn some_state() -> Vec<u8> {
    let limits =
        EngineLimits { orders_max: 100, closed_orders_kept: 40, ..EngineLimits::default() };
    let profile = Profile {
        name: "state",
        limits,
        instruments: 2,
        sessions: 2,
        spread: 30,
        lots: 9,
        steps: (2, 1, 1),
        weights: [500, 200, 150, 0, 0, 0],
        risk: 3,
        hostile: 1 << 40,
        names: 1 << 40,
    };
    let (mut flow, mut engine) = (Flow::new(profile, 4), Engine::new(limits));
    let mut next = Sequence(1);
    for _ in 0..2_000 {
        let (command, mut sink) = (flow.next(), VecSink::default());
        next = engine.apply(Stamp { sequence: next, time: Timestamp(0) }, &command, &mut sink);
        sink.events.iter().for_each(|(_, event)| flow.learn(event));
    }
    assert!(engine.totals().live_orders > 20 && engine.totals().remembered == 40);
    assert!(engine.sessions().any(|session| session.risk.traded_notional > 0));
    let mut bytes = Vec::new();
    engine.write_state(&mut bytes);
    bytes
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let bytes = some_state();
    assert!(Engine::read_state(&bytes).is_ok());
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(Engine::read_state(&damaged).is_err(), "byte {at}");
    }
    for length in (0..bytes.len()).step_by(7) {
        assert!(Engine::read_state(&bytes[..length]).is_err(), "cut at {length}");
    }
    assert_eq!(Engine::read_state(b"").unwrap_err(), StateError::Magic);
}

#[test]
fn another_version_is_named() {
    let mut bytes = some_state();
    bytes[8] = 77;
    let error = Engine::read_state(&bytes).unwrap_err();
    assert_eq!(error, StateError::Version { found: 77, known: STATE_VERSION });
    assert_eq!(error.to_string(), "state of version 77, this program reads version 3");
}

#[test]
fn a_state_without_risk_records_is_of_the_version_that_had_none() {
    let engine = Engine::new(EngineLimits::default());
    let mut bytes = Vec::new();
    engine.write_state(&mut bytes);
    assert_eq!(bytes[8..16], [2, 0, 0, 0, 0, 0, 0, 0]);
    assert!(Engine::read_state(&bytes).is_ok());
    assert_eq!(some_state()[8..12], [3, 0, 0, 0]);
}

#[test]
fn noise_is_refused() {
    let mut random = Random(11);
    for length in 0..2_000 {
        let mut bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        assert!(Engine::read_state(&bytes).is_err());
        if length >= 12 {
            bytes[..12].copy_from_slice(b"IRONBOOK\x01\0\0\0");
            assert!(Engine::read_state(&bytes).is_err());
        }
    }
}
