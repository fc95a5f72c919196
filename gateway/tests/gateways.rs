//! Several gateways and one core: who is handed over to whom, with what, and what stays one for all of them.

mod common;

use std::{collections::BTreeMap, sync::Arc};

use common::{
    FixClient, Flaw, Msg, SECRET_HASH, assert_same, cancel, fix_time, limit, resend, session,
    small_config,
    stepped::{LOOK, SECOND, START, Stepped},
    wait_for,
};
use ironbook_engine::Timestamp;
use ironbook_gateway::{
    acceptor::ACCEPTS_PER_TURN,
    agent::Agent,
    clock::ManualClock,
    config::{Config, FirmConfig, OldSegments},
    gateway::GatewayAgent,
    network::TcpNetwork,
    opening::{Playback, open_journal},
    stages::StageWatches,
    throttle::ThrottleAction,
    venue::{Parts, Place, assemble},
};
use ironbook_journal::{Options, Storage, open_stepped, segment_files, snapshot};

/// Three gateways: C's is the first, which takes all connections, B's the second, A's and COPY's the third.
fn three(config: &mut Config) {
    config.threads.gateways = 3;
}

/// Sessions that log on to so many gateways.
fn sessions(gateways: usize, count: usize) -> impl FnOnce(&mut Config) {
    move |config| {
        config.threads.gateways = gateways;
        config.sessions = (0..count).map(|number| session(&format!("S{number}"))).collect();
    }
}

fn connect(venue: &Stepped, comp_id: &str) -> FixClient {
    FixClient::connect(venue.gateway.address(), comp_id)
}

/// Bytes of a Logon that begins with number 1.
fn logon(venue: &Stepped, client: &mut FixClient) -> Vec<u8> {
    client.sending_time = Some(fix_time(std::time::Duration::from_nanos(venue.now)));
    client.next_out = 2;
    client.build("A", 1, "98=0|108=30|141=Y", Flaw::None)
}

/// Whether a client is let on, or closed without a word.
fn is_let_on(venue: &mut Stepped, client: &mut FixClient, more: &str) -> bool {
    venue.send(client, "A", &format!("98=0|108=30|141=Y{more}"));
    let mut answer = None;
    wait_for("an answer, or the end", || {
        venue.settle();
        answer = client.pending().pop();
        answer.is_some() || client.is_closed()
    });
    answer.is_some_and(|answer| answer.kind() == "A")
}

/// Connections that are open, as the one gateway knows it that takes them.
fn open(venue: &Stepped) -> u64 {
    venue.gateway.counters().open.get()
}

/// Whether a connection waits for a gateway, which has to take a turn as long as one does.
fn waits_for(gateway: &GatewayAgent<ManualClock, TcpNetwork>) -> bool {
    gateway.next_deadline() == Some(Timestamp(0))
}

#[test]
fn sessions_of_all_gateways_trade_with_each_other() {
    let mut venue = Stepped::start(three);
    let [mut a, mut b, mut c, mut copy] =
        ["A", "B", "C", "COPY"].map(|name| venue.log_on(name, 30));
    venue.ask(&mut a, "D", &limit("a1", "AAPL", "2", "5", "1.00"), "35=8|150=0|11=a1");
    venue.send(&mut b, "D", &limit("b1", "AAPL", "1", "2", "1.00"));
    let got = venue.receive(&mut b, 2);
    assert!(got[0].matches("150=0|11=b1") && got[1].matches("150=F|11=b1|32=2"), "{got:?}");
    venue.send(&mut c, "D", &limit("c1", "AAPL", "1", "3", "1.00"));
    assert!(venue.receive(&mut c, 2)[1].matches("150=F|39=2|11=c1|32=3"));
    let got = venue.receive(&mut a, 2);
    assert!(got[0].matches("150=F|39=1|32=2") && got[1].matches("150=F|39=2|32=3"), "{got:?}");
    // The drop copy of all has each report of each gateway once, in the journal's sequence.
    let told = venue.receive(&mut copy, 7);
    let told: Vec<_> = told.iter().map(|it| (it.get(11).unwrap(), it.get(150).unwrap())).collect();
    let expected =
        [("a1", "0"), ("b1", "0"), ("a1", "F"), ("b1", "F"), ("c1", "0"), ("a1", "F"), ("c1", "F")];
    for report in expected {
        let count = |of: &[_]| of.iter().filter(|it| **it == report).count();
        assert_eq!(count(&told), count(&expected), "{report:?} in {told:?}");
    }
    assert_eq!(open(&venue), 4);
    let own = |agents: &mut Stepped| {
        agents.others.iter().map(|agent| agent.counters().accepted.get()).sum::<u64>()
    };
    assert_eq!(own(&mut venue), 0, "one gateway counts connections");
    common::replay(&venue.config.venue.data_dir);
}

#[test]
fn what_came_with_the_logon_comes_along() {
    let mut venue = Stepped::start(three);
    for name in ["A", "B", "C"] {
        // All in one piece, and the Logon in pieces with the beginning of the next message behind.
        for cut in [usize::MAX, 1, 40, 100] {
            let mut client = connect(&venue, name);
            let mut bytes = logon(&venue, &mut client);
            let logon = bytes.len();
            let order = limit(&format!("{name}{cut}"), "AAPL", "1", "1", "1.00");
            bytes.extend(client.build("D", 2, &order, Flaw::None));
            bytes.extend(client.build("1", 3, "112=x", Flaw::None));
            let (first, rest) = match cut {
                usize::MAX => (&bytes[..], &bytes[..0]),
                100 => bytes.split_at(logon + 30),
                cut => bytes.split_at(cut),
            };
            client.send_raw(first);
            venue.settle();
            client.send_raw(rest);
            let got = venue.receive(&mut client, 3);
            assert!(got[0].matches("35=A|34=1"), "{got:?}");
            let order = format!("35=8|34=2|150=0|11={name}{cut}");
            assert!(got[1].matches(&order), "{order}: {got:?}");
            assert!(got[2].matches("35=0|34=3|112=x"), "{got:?}");
            // Nor is anything lost of what comes later.
            client.next_out = 4;
            venue.ask(&mut client, "1", "112=y", "35=0|34=4|112=y");
            drop(client);
            venue.advance(LOOK);
        }
    }
}

#[test]
fn a_session_has_one_connection_wherever_it_is() {
    let mut venue = Stepped::start(three);
    for name in ["A", "B", "C"] {
        let mut first = venue.log_on(name, 30);
        let mut second = connect(&venue, name);
        assert!(!is_let_on(&mut venue, &mut second, ""), "{name}");
        venue.ask(&mut first, "1", "112=x", "35=0|112=x");
        venue.settle();
        assert_eq!(open(&venue), 1, "{name}");
        // Whoever is back in the moment in which he has gone is let on.
        for _ in 0..3 {
            drop(first);
            first = connect(&venue, name);
            assert!(is_let_on(&mut venue, &mut first, ""), "{name}");
        }
        drop(first);
        venue.advance(LOOK);
    }
}

#[test]
fn bounds_of_connections_are_those_of_the_venue() {
    for change in [
        |config: &mut Config| config.fix.connections_per_address_max = 3,
        |config: &mut Config| config.fix.connections_max = 3,
    ] {
        let mut venue = Stepped::start(|config| {
            three(config);
            change(config);
        });
        let mut clients = Vec::from(["A", "B", "C"].map(|name| venue.log_on(name, 30)));
        for round in 0..10 {
            let mut more = connect(&venue, "COPY");
            wait_for("it is refused", || {
                venue.settle();
                more.is_closed()
            });
            // Each place that is given back is one, whoever had it.
            let client = clients.remove(0);
            let name = client.comp_id.clone();
            drop(client);
            wait_for("its place is free", || {
                venue.advance(LOOK);
                open(&venue) == 2
            });
            let mut next = connect(&venue, &name);
            assert!(is_let_on(&mut venue, &mut next, ""), "round {round}");
            clients.push(next);
            assert_eq!(open(&venue), 3);
        }
        assert_eq!(venue.gateway.counters().refused.get(), 10);
    }
}

#[test]
fn passwords_are_proved_and_failures_counted_where_connections_are_taken() {
    for (index, name) in [(0, "A"), (1, "B"), (2, "C")] {
        let mut venue = Stepped::start(|config| {
            three(config);
            config.sessions[index].password = Some(SECRET_HASH.into());
            config.fix.logon_failures_max = 3;
        });
        for failed in 1..=2 {
            let mut client = connect(&venue, name);
            venue.send(&mut client, "A", "98=0|108=30|141=Y|554=wrong");
            assert!(
                venue.receive(&mut client, 1)[0]
                    .matches("35=5|58=Username (553) or Password (554) is wrong"),
                "{name}"
            );
            venue.expect_closed(&mut client);
            assert_eq!(venue.gateway.counters().failures.get(), failed, "{name}");
        }
        let mut client = connect(&venue, name);
        assert!(is_let_on(&mut venue, &mut client, "|554=secret"), "{name}");
        drop(client);
        venue.advance(LOOK);
        let mut client = connect(&venue, name);
        assert!(!is_let_on(&mut venue, &mut client, ""), "{name}: none is wrong as well");
        let mut client = connect(&venue, name);
        assert!(
            !is_let_on(&mut venue, &mut client, "|554=secret"),
            "{name}: the address is locked"
        );
        let others = venue.others.iter().map(|agent| agent.counters().failures.get());
        assert_eq!(others.sum::<u64>() + venue.gateway.counters().failures.get(), 3);
    }
}

#[test]
fn a_gateway_that_takes_nothing_lets_its_clients_wait_and_nobody_else() {
    const SESSIONS: usize = 3 * (ACCEPTS_PER_TURN + 8);
    let mut venue = Stepped::start(sessions(3, SESSIONS));
    // Dealt in turn, the last gateway first.
    let of = |gateway: usize| (0..SESSIONS).filter(move |number| 2 - number % 3 == gateway);
    let mut waiting: Vec<_> = of(2)
        .map(|number| {
            let mut client = connect(&venue, &format!("S{number}"));
            let bytes = logon(&venue, &mut client);
            client.send_raw(&bytes);
            client
        })
        .collect();
    let mut served = ["S1", "S2"].map(|name| {
        let mut client = connect(&venue, name);
        let bytes = logon(&venue, &mut client);
        client.send_raw(&bytes);
        client
    });
    let turn = |venue: &mut Stepped, all: bool| {
        venue.gateway.do_work();
        venue.others[0].do_work();
        if all {
            venue.others[1].do_work();
        }
        venue.core.as_mut().expect("a core").do_work();
    };
    let mut got = 0;
    wait_for("others are served", || {
        (0..200).for_each(|_| turn(&mut venue, false));
        got += served.iter_mut().map(|client| client.pending().len()).sum::<usize>();
        got == 2
    });
    assert!(waiting.iter_mut().all(|client| client.pending().is_empty()));
    assert!(waiting.iter_mut().all(|client| !client.is_closed()));
    let mut answered = 0;
    wait_for("each one is answered", || {
        (0..200).for_each(|_| turn(&mut venue, true));
        let got = waiting.iter_mut().flat_map(FixClient::pending).inspect(|answer| {
            assert!(answer.matches("35=A|34=1"), "{answer:?}");
        });
        answered += got.count();
        answered == waiting.len()
    });
    assert_eq!(open(&venue), waiting.len() as u64 + 2);
}

#[test]
fn who_waits_to_be_handed_over_must_have_logged_on_in_time() {
    let mut venue = Stepped::start(three);
    let mut late = connect(&venue, "A");
    let bytes = logon(&venue, &mut late);
    late.send_raw(&bytes);
    wait_for("it is handed over", || {
        venue.gateway.do_work();
        venue.gateway.next_deadline().is_none() && open(&venue) == 1
    });
    assert!(waits_for(&venue.others[1]));
    venue.now += 11 * SECOND;
    venue.clock.set(Timestamp(venue.now));
    venue.expect_closed(&mut late);
    assert_eq!(open(&venue), 0, "its place is free");
    let mut next = connect(&venue, "B");
    let bytes = logon(&venue, &mut next);
    next.send_raw(&bytes);
    wait_for("it waits", || {
        venue.gateway.do_work();
        waits_for(&venue.others[0])
    });
    assert!(venue.receive(&mut next, 1)[0].matches("35=A"));
    assert!(!waits_for(&venue.others[0]));
}

#[test]
fn a_full_ring_is_that_of_its_gateway() {
    const ORDERS: usize = 400;
    let mut venue = Stepped::start(|config| {
        three(config);
        config.threads.ring_slots = 32;
    });
    let (mut a, mut b) = (venue.log_on("A", 30), venue.log_on("B", 30));
    for number in 0..ORDERS {
        venue.send(&mut b, "D", &limit(&format!("b{number}"), "AAPL", "1", "1", "1.00"));
    }
    (0..400).for_each(|_| venue.turn_gateways());
    venue.send(&mut a, "D", &limit("a1", "AAPL", "1", "1", "1.00"));
    (0..400).for_each(|_| venue.turn_gateways());
    // What the core takes in one turn is less than what B has sent.
    venue.core.as_mut().expect("a core").do_work();
    let mut got = Vec::new();
    wait_for("the other one's order is told", || {
        // The core does nothing more.
        venue.turn_gateways();
        got.extend(a.pending());
        !got.is_empty()
    });
    assert!(got[0].matches("35=8|150=0|11=a1"), "{got:?}");
    let early = b.pending().len();
    assert!(early <= 64, "{early}");
    let rest = venue.receive(&mut b, ORDERS - early);
    assert!(rest.last().expect("some").matches(&format!("11=b{}", ORDERS - 1)));
}

#[test]
fn a_firm_has_one_throttle() {
    for gateways in [2, 3, 8] {
        let mut venue = Stepped::start(|config| {
            config.threads.gateways = gateways;
            config.sessions = (0..6).map(|number| session(&format!("S{number}"))).collect();
            for number in [1, 2, 5] {
                config.sessions[number].firm = Some("ACME".to_owned());
            }
            config.firms.push(FirmConfig {
                name: "ACME".to_owned(),
                orders_per_second: 1,
                orders_burst: 2,
                throttle: ThrottleAction::Reject,
            });
        });
        let mut clients: Vec<_> =
            (0..6).map(|number| venue.log_on(&format!("S{number}"), 30)).collect();
        let mut accepted = 0;
        for number in [1, 2, 5, 1] {
            let client = &mut clients[number];
            venue.send(client, "D", &limit(&client.comp_id.clone(), "AAPL", "1", "1", "1.00"));
            accepted += usize::from(venue.receive(client, 1)[0].matches("150=0"));
        }
        assert_eq!(accepted, 2, "of {gateways} gateways");
        for number in [0, 3, 4] {
            let client = &mut clients[number];
            let order = limit("x", "AAPL", "1", "1", "1.00");
            venue.ask(client, "D", &order, "35=8|150=0");
        }
    }
}

#[test]
fn an_answer_of_each_gateway_has_an_exec_id_of_its_own() {
    let mut venue = Stepped::start(three);
    let mut clients = ["A", "B", "C"].map(|name| venue.log_on(name, 30));
    let mut ids = Vec::new();
    for client in &mut clients {
        for number in 0..3 {
            let order = format!("{}|110=1", limit(&format!("r{number}"), "AAPL", "1", "1", "1.00"));
            venue.send(client, "D", &order);
        }
        let got = venue.receive(client, 3);
        ids.extend(got.iter().map(|answer| answer.get(17).expect("an ExecID").to_owned()));
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 9, "at one time: {ids:?}");
}

/// Asks for all that a client was told; it must be what is known.
#[track_caller]
fn assert_told(venue: &mut Stepped, client: &mut FixClient, told: &BTreeMap<u64, Msg>) {
    let last = told.keys().max().copied().unwrap_or(0);
    venue.send(client, "2", &format!("7=1|16={last}"));
    let mut again = BTreeMap::new();
    wait_for("all is told again", || {
        venue.settle();
        for message in client.pending() {
            assert!(message.is_dup(), "{message:?}");
            let next = if message.kind() == "4" { message.number(36) } else { message.seq() + 1 };
            let fill = message.kind() == "4";
            for number in message.seq()..next {
                again.insert(number, (!fill).then(|| message.clone()));
            }
        }
        again.keys().max() == Some(&last)
    });
    assert_eq!(again.len() as u64, last);
    assert_same(&again, told);
}

#[test]
fn another_start_may_have_another_number_of_gateways() {
    let mut venue = Stepped::start(three);
    let names = ["A", "B", "C", "COPY"];
    let mut told: [BTreeMap<u64, Msg>; 4] = Default::default();
    let mut numbers = [1; 4];
    for (round, gateways) in [3, 1, 8, 2].into_iter().enumerate() {
        if round > 0 {
            venue = venue.crash(|config| config.threads.gateways = gateways);
        }
        let mut clients: Vec<_> = (0..4)
            .map(|index| {
                let next_in = told[index].len() as u64 + 1;
                let mut client = venue.come_back((names[index], 30), (numbers[index], next_in), "");
                let answer = venue.receive(&mut client, 1).remove(0);
                assert!(answer.matches(&format!("35=A|34={next_in}")), "{answer:?}");
                told[index].insert(next_in, answer);
                client
            })
            .collect();
        let mut keep = |venue: &mut Stepped, index: usize, client: &mut FixClient, count| {
            for message in venue.receive(client, count) {
                assert_eq!(message.seq(), told[index].len() as u64 + 1);
                told[index].insert(message.seq(), message);
            }
        };
        for (index, side) in [(0, "2"), (1, "1"), (2, "1")] {
            let id = format!("{}{round}", names[index]);
            let qty = if index == 0 { "2" } else { "1" };
            let order = limit(&id, "AAPL", side, qty, "1.00");
            venue.send(&mut clients[index], "D", &order);
            keep(&mut venue, index, &mut clients[index], if index == 0 { 1 } else { 2 });
        }
        keep(&mut venue, 0, &mut clients[0], 2);
        keep(&mut venue, 3, &mut clients[3], 7);
        for (index, client) in clients.iter_mut().enumerate() {
            assert_told(&mut venue, client, &told[index]);
            numbers[index] = client.next_out;
        }
    }
    common::replay(&venue.config.venue.data_dir);
}

#[test]
fn each_gateway_logs_its_clients_out_at_the_end() {
    let mut venue = Stepped::start(three);
    let mut clients = ["A", "B", "C"].map(|name| venue.log_on(name, 30));
    // One is on its way.
    let mut late = connect(&venue, "COPY");
    let bytes = logon(&venue, &mut late);
    late.send_raw(&bytes);
    wait_for("it is handed over", || {
        venue.gateway.do_work();
        open(&venue) == 4 && waits_for(&venue.others[1])
    });
    assert!(!venue.close());
    for client in &mut clients {
        assert!(venue.receive(client, 1)[0].matches("35=5|58=the venue stops"));
    }
    assert!(!venue.close(), "{}", open(&venue));
    let got = venue.receive(&mut late, 2);
    assert!(got[0].matches("35=A") && got[1].matches("35=5|58=the venue stops"), "{got:?}");
    for client in clients.iter_mut().chain([&mut late]) {
        venue.send(client, "5", "");
        venue.expect_closed(client);
    }
    wait_for("all gateways end", || {
        venue.settle();
        venue.close()
    });
    assert_eq!(open(&venue), 0);
    // Nobody comes in any more, nor is a connection lost that finds its gateway gone.
    let mut venue = Stepped::start(three);
    venue.others.clear();
    let mut a = connect(&venue, "A");
    let bytes = logon(&venue, &mut a);
    a.send_raw(&bytes);
    wait_for("it is closed", || {
        venue.settle();
        a.is_closed()
    });
    assert_eq!(open(&venue), 0);
}

#[test]
fn segments_stay_until_every_gateway_has_delivered_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = small_config(&dir.path().join("journal"));
    three(&mut config);
    config.journal.segment_bytes = 1 << 16;
    config.journal.old_segments = OldSegments::Remove;
    config.snapshot.every_commands = 200;
    config.snapshot.keep = 1;
    let clock = ManualClock::default();
    clock.set(Timestamp(START));
    let storage: Arc<dyn Storage> =
        Arc::new(ironbook_journal::FileStorage::new(&config.venue.data_dir));
    let open = |storage, options| {
        let options = Options { sync_interval: std::time::Duration::ZERO, ..options };
        let (journal, recovery, helpers) = open_stepped(storage, options)?;
        Ok(((journal, helpers), recovery))
    };
    let opened = open_journal(&config, &storage, Playback::Behind, open);
    let (opened, helpers) = opened.unwrap_or_else(|error| panic!("{error}")).split();
    let place = Place {
        clock: clock.clone(),
        watches: StageWatches::off(3).0,
        storage: storage.clone(),
        listen: |port| TcpNetwork::listen_as(&config, port),
    };
    let Parts { mut gateways, mut core, mut follower, .. } =
        assemble(&config, opened, place).unwrap_or_else(|error| panic!("{error}"));
    let first = || segment_files(&*storage).expect("files")[0].0;
    let snapshots = || snapshot::list(&*storage).expect("snapshots");
    let mut c = FixClient::connect(gateways[0].address(), "C");
    c.sending_time = Some(fix_time(std::time::Duration::from_nanos(START)));
    c.send("A", "98=0|108=30");
    // One gateway sleeps, and others deliver all.
    let mut number = 0;
    let mut go_on = |gateways: &mut [GatewayAgent<_, TcpNetwork>], awake: &[usize]| {
        number += 1;
        let id = format!("c{number}");
        c.send("D", &limit(&id, "AAPL", "1", "1", "1.00"));
        c.send("F", &cancel(&format!("{id}c"), &id, "AAPL", "1"));
        for _ in 0..4 {
            helpers.step_preparer();
            for &gateway in awake {
                gateways[gateway].do_work();
            }
            core.do_work();
            helpers.step_syncer();
            follower.do_work();
        }
        c.pending();
    };
    wait_for("there are snapshots that need none of the first segments", || {
        (0..20).for_each(|_| go_on(&mut gateways, &[0, 2]));
        let newest = snapshots().last().copied();
        newest.is_some_and(|newest| {
            let read = ironbook_gateway::snapshot::read(&*storage, newest);
            read.is_ok_and(|snapshot| snapshot.checkpoint.segment() >= 3)
        })
    });
    assert_eq!(first(), 0, "one gateway has not delivered them");
    wait_for("it has", || {
        (0..20).for_each(|_| go_on(&mut gateways, &[0, 1, 2]));
        first() > 0
    });
}

#[test]
fn over_sockets_and_threads_each_session_gets_its_own_again() {
    let mut venue = common::TestVenue::start_with(three);
    let mut originals: BTreeMap<&str, BTreeMap<u64, Msg>> = BTreeMap::new();
    let mut numbers = BTreeMap::new();
    for name in ["A", "B", "C"] {
        let (mut client, answer) = venue.resume(name, (1, 1));
        let kept = originals.entry(name).or_default();
        kept.insert(1, answer);
        for number in 0..20 {
            let order = limit(&format!("{name}{number}"), "AAPL", "1", "1", "1.00");
            client.send("D", &order);
            common::keep(&mut client, kept, "35=8|150=0");
        }
        numbers.insert(name, client.numbers());
    }
    venue.restart();
    for name in ["C", "A", "B"] {
        let (mut client, answer) = venue.resume(name, numbers[name]);
        // Between them is the Logout with which the venue stopped, if the client was there to hear it.
        let last = answer.seq() - 1;
        let again = resend(&mut client, (1, last), last, &mut Vec::new());
        let again: BTreeMap<_, _> =
            again.into_iter().filter(|(seq, _)| originals[name].contains_key(seq)).collect();
        assert_same(&again, &originals[name]);
        assert_eq!(again.values().flatten().count(), 20, "{name}");
    }
    let threads: Vec<_> =
        venue.venue().started().threads.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(threads, ["gateway1", "gateway2", "gateway3", "core"]);
}
