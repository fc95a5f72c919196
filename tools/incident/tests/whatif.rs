//! Throttles that were not there, on journals of days decided by chance.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{AAPL, C1, C2, C7, Script, TOKEN, Tokens, index, memory_dir, random_day};
use ironbook_engine::{Command, SessionId, Side};
use ironbook_gateway::{
    random::Random,
    session_record::SessionRecord,
    throttle::{ThrottleScope, ThrottleTerms},
};
use ironbook_incident::{
    index::Index,
    question::Span,
    text::utc,
    whatif::{Firms, Wanted, WhatIf, what_if},
};
use ironbook_journal::Reader;

fn ask(index: &Index, settings: &[&str], firms: Option<Firms>) -> WhatIf {
    let settings = settings.iter().map(|word| word.to_string()).collect();
    let span = Span { first: index.first_sequence(), last: index.last_sequence() };
    what_if(index, Wanted { span, dropped: Vec::new(), settings, firms }).expect("an answer")
}

/// Firms of these sessions.
fn firms(of: &[(&str, &[&str])]) -> Firms {
    let names = |comp_ids: &[&str]| comp_ids.iter().map(|name| name.to_string()).collect();
    of.iter().map(|(name, comp_ids)| (name.to_string(), names(comp_ids))).collect()
}

/// A journal's new orders and replaces: sequence, who, and when the gateway had read it.
fn orders(dir: &std::path::Path) -> Vec<(u64, SessionId, u64)> {
    let mut reader = Reader::open(dir).expect("a journal");
    let mut found = Vec::new();
    while let Some(frame) = reader.next().expect("a good journal") {
        let Ok(command) = Command::decode(frame.kind, frame.payload) else { continue };
        if let Command::NewOrder(_) | Command::ReplaceOrder(_) = command {
            let origin = command.origin().expect("a client");
            found.push((frame.sequence, origin.session, origin.received.0));
        }
    }
    found
}

/// What a throttle of each session and one of some sessions refuse, by name, with the first sequence of each.
fn refused(
    orders: &[(u64, SessionId, u64)],
    own: (i128, i128),
    (members, firm): (&[SessionId], (i128, i128)),
) -> BTreeMap<String, (u64, u64)> {
    let mut sessions: BTreeMap<_, _> = [(C1, "C1"), (C2, "C2"), (C7, "C7")]
        .map(|(id, name)| (id, (name, Tokens::new(own))))
        .into();
    let mut of_firm = Tokens::new(firm);
    let mut found: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for &(sequence, session, received) in orders {
        let (name, tokens) = sessions.get_mut(&session).expect("a known session");
        let is_member = members.contains(&session);
        let who = match tokens.has_one(received) {
            false => *name,
            true if is_member && !of_firm.has_one(received) => "ACME",
            true => {
                tokens.parts -= TOKEN;
                of_firm.parts -= if is_member { TOKEN } else { 0 };
                continue;
            }
        };
        found.entry(who.to_owned()).or_insert((0, sequence)).0 += 1;
    }
    found
}

#[test]
fn throttles_refuse_what_tokens_do_not_cover() {
    let place = memory_dir();
    let mut met = BTreeSet::new();
    for seed in 1..=3 {
        let dir = place.path().join(format!("data{seed}"));
        let mut day = Script::new(&dir);
        random_day(&mut day, &mut Random::new(seed), 1_000);
        day.close();
        let (index, orders) = (index(&dir), orders(&dir));
        // Three clients send an order in some two milliseconds, together.
        for (own, firm) in [((100, 5), (190, 9)), ((180, 1), (1_000, 40)), ((5, 200), (3, 180))] {
            let settings = [
                format!("session.orders_per_second={}", own.0),
                format!("session.orders_burst={}", own.1),
                format!("firm.orders_per_second={}", firm.0),
                format!("firm.ACME.orders_burst={}", firm.1),
            ];
            let settings: Vec<_> = settings.iter().map(String::as_str).collect();
            let members = firms(&[("ACME", &["C1", "C7", "C9"])]);
            let found = ask(&index, &settings, Some(members));
            let expected = refused(&orders, own, (&[C1, C7], firm));
            let rows = found.throttles.iter().filter(|row| row.refused > 0);
            let first = |row: &ironbook_incident::whatif::ThrottleRow| {
                (row.refused, row.first.as_ref().map_or(0, |first| first.sequence))
            };
            let rows: BTreeMap<_, _> = rows.map(|row| (row.name.clone(), first(row))).collect();
            assert_eq!(rows, expected, "seed {seed}, {settings:?}");
            met.extend(expected.keys().cloned());
            let all: u64 = expected.values().map(|(count, _)| count).sum();
            assert_eq!(found.commands.1, all, "seed {seed}");
            let least = expected.values().map(|(_, first)| *first).min();
            assert_eq!(found.first_refused().map(|first| first.sequence), least);
            let scopes = found.throttles.iter().filter(|row| row.scope == ThrottleScope::Firm);
            assert_eq!(scopes.map(|row| &*row.name).collect::<Vec<_>>(), ["ACME"]);
            let again = ask(&index, &settings, Some(firms(&[("ACME", &["C7", "C1"])])));
            assert_eq!(again.to_string(), found.to_string());
        }
    }
    assert_eq!(met.iter().collect::<Vec<_>>(), ["ACME", "C1", "C2", "C7"], "all are met");
}

#[test]
fn throttles_that_nothing_reaches_change_nothing() {
    let place = memory_dir();
    for seed in 11..=13 {
        let dir = place.path().join(format!("data{seed}"));
        let mut day = Script::new(&dir);
        random_day(&mut day, &mut Random::new(seed), 1_000);
        let engine = day.close();
        let (index, orders) = (index(&dir), orders(&dir));
        // As many at once as come in all, and not one more in the time that there is.
        let burst = format!("firm.ACME.orders_burst={}", orders.len());
        let settings = ["session.orders_per_second=1000000", "firm.orders_per_second=1", &burst];
        let all = firms(&[("ACME", &["C1", "C2", "C7"])]);
        let found = ask(&index, &settings, Some(all.clone()));
        assert_eq!((found.commands.1, found.first.is_none()), (0, true), "seed {seed}");
        assert_eq!(found.states.counterfactual, engine.state_hash(), "seed {seed}");
        assert_eq!(found.states.real, engine.state_hash());
        for (_, both) in &found.clients {
            assert_eq!(both.real, both.counterfactual, "seed {seed}");
        }
        // Some fewer are too few.
        let burst = format!("firm.ACME.orders_burst={}", orders.len() - 20);
        let fewer = ask(&index, &[settings[0], settings[1], &burst], Some(all));
        assert!((1..=20).contains(&fewer.commands.1), "{}", fewer.commands.1);
        assert_ne!(fewer.states.counterfactual, fewer.states.real);
    }
}

#[test]
fn a_throttle_goes_by_when_a_request_was_read() {
    const MS: u64 = 1_000_000;
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    day.wait(10 * MS);
    // One turn of the core took what had come over three milliseconds, and another the same at once.
    let apart = [3, 2, 1].map(|ms| (C1, ["a1", "a2", "a3"][3 - ms as usize], Side::Buy, ms * MS));
    day.turn(&apart);
    day.wait(10 * MS);
    let at_once = day.turn(&["b1", "b2", "b3"].map(|name| (C1, name, Side::Buy, MS)));
    day.close();
    let settings = ["C1.orders_per_second=1000", "C1.orders_burst=1"];
    let found = ask(&index(&dir), &settings, None);
    let [row] = &found.throttles[..] else { panic!("{found}") };
    assert_eq!((row.orders, row.refused), (6, 2), "{found}");
    let first = row.first.as_ref().expect("one that is refused");
    assert_eq!((first.sequence, &*first.cl_ord_id), (at_once[1], "b2"));
    assert_eq!(first.throttled.early_ns, MS);
}

#[test]
fn what_was_refused_for_a_right_takes_a_token_here_too() {
    let place = memory_dir();
    for with_refusal in [false, true] {
        let dir = place.path().join(format!("data{with_refusal}"));
        let mut day = Script::new(&dir);
        day.order((C1, "a"), AAPL, Side::Buy, (1, 10_000));
        if with_refusal {
            let read = utc(day.now_ns()).replace('-', "").replace('T', "-").replace('Z', "");
            let body = format!("11=x\u{1}60={read}\u{1}58=not here\u{1}").into_bytes();
            day.record(&SessionRecord::Outbound { session: C1, msg_type: b"8".to_vec(), body });
        }
        day.order((C1, "b"), AAPL, Side::Buy, (1, 10_000));
        day.close();
        let settings = ["C1.orders_per_second=1", "C1.orders_burst=2"];
        let found = ask(&index(&dir), &settings, None);
        let [row] = &found.throttles[..] else { panic!("{found}") };
        assert_eq!((row.orders, row.refused), (2, u64::from(with_refusal)), "{found}");
    }
}

#[test]
fn what_nobody_sets_is_as_journaled() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    day.throttle(C1, "", (50, 50));
    day.throttle(C2, "", (40, 7));
    for session in [C1, C7] {
        day.throttle(session, "ACME", (30, 9));
    }
    day.throttle(C2, "OTHER", (0, 0));
    random_day(&mut day, &mut Random::new(1), 100);
    day.close();
    let index = index(&dir);
    let terms = |settings: &[&str]| {
        let found = ask(&index, settings, None);
        let numbers = |of: ThrottleTerms| (of.per_second, of.burst);
        let row = |row: &ironbook_incident::whatif::ThrottleRow| {
            (row.name.clone(), numbers(row.terms), row.journaled.map(numbers))
        };
        found.throttles.iter().map(row).collect::<Vec<_>>()
    };
    let row = |name: &str, terms, journaled| (name.to_owned(), terms, journaled);
    // A burst that was as many as in a second goes with the rate.
    assert_eq!(
        terms(&["session.orders_per_second=20"]),
        [
            row("C1", (20, 20), Some((50, 50))),
            row("C2", (20, 7), Some((40, 7))),
            row("C7", (20, 20), None)
        ]
    );
    assert_eq!(terms(&["C2.orders_burst=3"]), [row("C2", (40, 3), Some((40, 7)))]);
    assert_eq!(terms(&["C2.orders_per_second=0"]), []);
    // Who is of a firm it says too.
    assert_eq!(terms(&["firm.ACME.orders_burst=3"]), [row("ACME", (30, 3), Some((30, 9)))]);
    let both = terms(&["firm.orders_per_second=10"]);
    assert_eq!(both, [row("ACME", (10, 9), Some((30, 9))), row("OTHER", (10, 10), None)]);
    assert_eq!(terms(&[]), []);
    let found = ask(&index, &["firm.ACME.orders_burst=3"], None);
    let members = orders(&dir).iter().filter(|(_, session, _)| *session != C2).count();
    assert_eq!(found.throttles[0].orders, members as u64);
}
