//! Journals played into sandboxes.

mod fixtures;
mod story;

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    process::{Output, Stdio},
};

use fixtures::{
    common::{
        FixClient, Msg, SECRET_HASH, TestVenue, cancel, limit, replace, session,
        valve::{Then, Valve},
        wait_for,
    },
    expect_exit, ironbook, json, stderr, stdout, text,
};
use ironbook_engine::{Command, Event, InstrumentStatus, Side};
use ironbook_journal::Reader;
use serde_json::json;
use story::script::{AAPL, C1, C2, Script, churn, churn_from, memory_dir};

/// A venue with the sessions TESTA, TESTB and TESTC.
fn sandbox() -> TestVenue {
    TestVenue::start_with(|config| {
        config.sessions = ["TESTA", "TESTB", "TESTC"].map(session).into();
    })
}

fn arguments<'a>(dir: &'a str, into: &'a str, more: &'a [&'a str]) -> Vec<&'a str> {
    let first = ["play", dir, "--into", into];
    first.into_iter().chain(more.iter().copied()).collect()
}

/// Plays a journal into a sandbox.
#[track_caller]
fn play(dir: &Path, sandbox: &TestVenue, more: &[&str], status: i32) -> Output {
    let (dir, into) = (text(dir), sandbox.address().to_string());
    expect_exit(&arguments(&dir, &into, more), status)
}

/// All that a journal holds by now.
fn contents(dir: &Path) -> (Vec<Command>, Vec<Event>) {
    let mut reader = Reader::open(dir).expect("a journal");
    let (mut commands, mut events) = (Vec::new(), Vec::new());
    while let Some(frame) = reader.next().expect("a good frame") {
        commands.extend(Command::decode(frame.kind, frame.payload).ok());
        events.extend(Event::decode(frame.kind, frame.payload).ok());
    }
    (commands, events)
}

/// ClOrdIDs of the orders, cancels and replaces that a journal holds.
fn names(dir: &Path) -> Vec<String> {
    let name = |command: &Command| match command {
        Command::NewOrder(order) => Some(order.cl_ord_id.to_string()),
        Command::CancelOrder(request) => Some(request.cl_ord_id.to_string()),
        Command::ReplaceOrder(request) => Some(request.cl_ord_id.to_string()),
        _ => None,
    };
    contents(dir).0.iter().filter_map(name).collect()
}

/// Spoils the frame of a command in the first segment of a journal.
fn damage(dir: &Path, cl_ord_id: &str) {
    let path = dir.join("0000000000.seg");
    let bytes = fs::read(&path).expect("a segment");
    let found = bytes.windows(cl_ord_id.len()).position(|bytes| bytes == cl_ord_id.as_bytes());
    let segment = File::options().write(true).open(&path).expect("a segment");
    segment.write_all_at(b"?", found.expect("the command") as u64).expect("a byte");
}

/// What traded in a journal: quantity and price of each, in sequence.
fn trades(dir: &Path) -> Vec<(i64, i64)> {
    let trade = |event: &Event| match event {
        Event::Execution(event) if event.last_liquidity.code() == b'2' => {
            Some((event.last_qty, event.last_px))
        }
        _ => None,
    };
    contents(dir).1.iter().filter_map(trade).collect()
}

/// Requests of all kinds, with answers of all kinds; what is refused before the engine comes last.
fn trade(a: &mut FixClient, b: &mut FixClient) {
    let uuid = "123e4567-e89b-12d3-a456-426614174000";
    let id = a.rest(uuid, "AAPL", "2", "100", "100.50");
    b.rest("b1", "AAPL", "1", "70", "100.00");
    b.send("D", &format!("{}|1=DESK", limit("b2", "AAPL", "1", "30", "101.00")));
    b.expect("150=0");
    b.expect("150=F|32=30");
    a.expect("150=F|32=30");
    a.send("G", &replace("a2", uuid, ("AAPL", "2"), "90", "100.25"));
    a.expect("150=5|11=a2");
    // By OrderID too, which the sandbox has another for.
    let order_id = id.get(37).expect("an OrderID");
    a.send("G", &format!("{}|37={order_id}", replace("a3", "a2", ("AAPL", "2"), "80", "100.25")));
    a.expect("150=5|11=a3");
    b.send("D", &limit("b3", "AAPL", "1", "1.5", "100.00"));
    b.expect("150=8");
    b.send("D", &limit("b1", "AAPL", "1", "1", "100.00"));
    b.expect("150=8");
    b.send("D", &limit("b4", "NONE", "1", "1", "100.00"));
    b.expect("150=8");
    b.send("F", &cancel("b5", "nothing", "AAPL", "1"));
    b.expect("35=9");
    b.send("H", "11=b1|55=AAPL|54=1");
    b.expect("150=I");
    b.send("H", "11=nothing|55=AAPL|54=1");
    b.expect("150=I|39=8");
    // To no more than has traded.
    a.send("G", &replace("a4", "a3", ("AAPL", "2"), "30", "100.25"));
    a.expect("150=4|11=a4");
    b.send("D", &limit("b6", "AAPL", "2", "7", "100.00").replace("|40=2|44=100.00", "|40=1"));
    b.expect("150=0");
    b.expect("150=F|32=7");
    b.expect("150=F|32=7");
    a.rest("a5", "BTC-USD", "1", "0.12345678", "30000.01");
    b.send("D", &format!("{}|59=3", limit("b7", "BTC-USD", "2", "0.5", "30000")));
    b.expect("150=0");
    b.expect("150=F|32=0.12345678");
    b.expect("150=4");
    a.expect("150=F");
    b.send("q", "11=b8|530=7|60=20260302-14:30:00");
    b.expect("35=r");
    b.expect("150=4|11=b1");
    b.send("D", &format!("{}|110=1", limit("b9", "AAPL", "1", "1", "100.00")));
    b.expect("150=8");
}

#[test]
fn a_sandbox_does_what_was_recorded() {
    let recorded = TestVenue::start();
    let (mut a, mut b) = (recorded.client("A"), recorded.client("B"));
    trade(&mut a, &mut b);
    a.log_out();
    let address = recorded.address().to_string();
    for (comp_id, seed) in [("A", "1"), ("C", "2")] {
        let flow = ["load", "--fix", &address, "--as", comp_id, "--orders", "1000", "--seed", seed];
        expect_exit(&flow, 0);
    }
    let sandbox = sandbox();
    // So that orders get other OrderIDs there.
    sandbox.client("TESTC").rest("REPLAY-older", "AAPL", "1", "1", "0.01");
    // The recorded venue runs on.
    let more = ["--map", "*=TEST*", "--map", "C=TESTC", "--speed", "max", "--json"];
    let told = json(&play(&recorded.journal(), &sandbox, &more, 0));
    b.ping();
    for field in ["differences", "first_difference", "stopped"] {
        assert!(told[field].is_null() || told[field] == json!([]), "{told:#}");
    }
    assert_eq!(told["sent"], 2_016);
    assert_eq!(told["unanswered"], 0);
    assert_eq!(told["left_out"], json!({ "requests that the gateway refused": 1 }));
    assert_eq!(told["recorded"], told["sandbox"]);
    assert_eq!(told["sandbox"]["symbols"]["BTC-USD"], json!({ "trades": 1, "qty": "0.12345678" }));
    assert_eq!(told["sandbox"]["rejected"], told["recorded"]["rejected"]);
    let found = trades(&sandbox.journal());
    assert!(found.len() > 20, "{}", found.len());
    assert_eq!(found, trades(&recorded.journal()));
    assert_eq!(told["sandbox"]["trades"], found.len());
    let names = names(&sandbox.journal());
    assert_eq!(names.len(), 2_014);
    assert!(names.iter().all(|name| name.starts_with("REPLAY-")), "{names:?}");

    // Once more into the same: under the same names nothing is new, under those of another run it is.
    let again = json(&play(&recorded.journal(), &sandbox, &more, 1));
    let refusal = again["first_difference"]["refusal"].as_str().expect("a refusal");
    assert!(refusal.contains("this ClOrdID was used before"), "{refusal}");
    let more: Vec<_> = more.into_iter().chain(["--run", "2"]).collect();
    play(&recorded.journal(), &sandbox, &more, 1);
    let run = |name: &&String| name.starts_with("REPLAY2-");
    assert_eq!(self::names(&sandbox.journal()).iter().filter(run).count(), names.len() - 1);
}

#[test]
fn what_a_stretch_lacks_is_told() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    day.order((C1, "before"), AAPL, Side::Buy, (10, 10_000));
    let first = day.order((C2, "sell"), AAPL, Side::Sell, (4, 10_000));
    let missed = day.cancel(C1, ("gone", "before"), (AAPL, Side::Buy));
    day.set_status(AAPL, InstrumentStatus::Halted);
    day.order((C2, "late"), AAPL, Side::Sell, (4, 10_000));
    day.close();
    let sandbox = sandbox();
    let from = format!("seq:{first}");
    let more = ["--from", &from, "--map", "C1=TESTA", "--map", "C2=TESTB", "--speed", "max"];
    let told = stdout(&play(&dir, &sandbox, &more, 1));
    for expected in [
        "Session      C1 as TESTA, 1 requests",
        "Session      C2 as TESTB, 2 requests",
        "Sent         3 requests",
        "Not sent     1 instrument statuses set by the venue",
        "Accepted                  2              2",
        "Rejected                  1              1",
        "Trades                    1              0",
        "Differs      AAPL: 1 trades of 4 recorded, 0 trades of 0 in the sandbox",
        &format!(
            "First        sequence {missed}, REPLAY-gone: refused in the sandbox alone: this session has no such order"
        ),
        &format!("Next: ironbook replay {} --at seq:{missed}", text(&dir)),
    ] {
        assert!(told.contains(expected), "{expected}\n{told}");
    }
}

#[test]
fn recorded_times_are_kept() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    for number in 0..4 {
        day.order((C1, &format!("n{number}")), AAPL, Side::Buy, (10, 10_000));
        day.wait(100_000_000);
    }
    day.close();
    let sandbox = sandbox();
    let more = ["--map", "*=TESTA", "--speed", "10", "--json"];
    let told = json(&play(&dir, &sandbox, &more, 0));
    let ns = |key: &str| told[key].as_u64().expect("a number");
    assert_eq!(ns("recorded_ns"), 303_000_000);
    // It can be late, but not early.
    assert!(ns("played_ns") >= ns("recorded_ns") / 10, "{told:#}");
}

#[test]
fn a_sandbox_may_stop_in_the_middle() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    churn(&mut day, 10);
    day.wait(3_600_000_000_000);
    churn(&mut day, 1);
    day.close();
    let mut sandbox = sandbox();
    let (journal, into) = (text(&dir), sandbox.address().to_string());
    let more = ["--map", "C1=TESTA", "--map", "C2=TESTB", "--json"];
    let mut command = ironbook();
    command.args(arguments(&journal, &into, &more)).stdout(Stdio::piped()).stderr(Stdio::piped());
    let playing = command.spawn().expect("the program runs");
    wait_for("twenty requests are there", || names(&sandbox.journal()).len() == 20);
    sandbox.stop();
    let output = playing.wait_with_output().expect("the player ends");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let told = json(&output);
    assert_eq!(told["sent"], 20);
    assert!(told["stopped"].as_str().is_some_and(|text| text.starts_with("TEST")), "{told:#}");
    assert_eq!(told["recorded"]["trades"], 10);
    assert_eq!(told["sandbox"], told["recorded"]);
}

#[test]
fn what_was_played_before_the_journal_can_not_be_read_is_told() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    churn(&mut day, 10);
    day.order((C1, "victim"), AAPL, Side::Buy, (1, 10_000));
    churn_from(&mut day, 10, 10);
    day.close();
    let sandbox = sandbox();
    // The first request is not answered before the journal is damaged further on.
    let valve = Valve::after(1, Then::Hold, sandbox.address());
    let (journal, into) = (text(&dir), valve.address().to_string());
    let more = ["--map", "C1=TESTA", "--map", "C2=TESTB", "--speed", "max", "--json"];
    let mut command = ironbook();
    command.args(arguments(&journal, &into, &more)).stdout(Stdio::piped()).stderr(Stdio::piped());
    let playing = command.spawn().expect("the program runs");
    wait_for("a request is there", || names(&sandbox.journal()).len() == 1);
    damage(&dir, "victim");
    valve.open();
    let output = playing.wait_with_output().expect("the player ends");
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let told = json(&output);
    assert_eq!(told["sent"], 20);
    assert_eq!(told["unanswered"], 0);
    assert_eq!(told["recorded"]["trades"], 10);
    assert_eq!(told["sandbox"], told["recorded"]);
    let reason = told["stopped"].as_str().expect("a reason");
    assert!(stderr(&output).contains(reason), "{reason}\n{}", stderr(&output));
}

#[test]
fn behind_damage_a_venue_is_not_taken_for_a_sandbox() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    churn(&mut day, 10);
    day.order((C1, "victim"), AAPL, Side::Buy, (1, 10_000));
    churn_from(&mut day, 10, 10);
    damage(&dir, "victim");
    let sandbox = sandbox();
    let more = ["--map", "C1=TESTA", "--map", "C2=TESTB", "--speed", "max"];
    let told = stderr(&play(&dir, &sandbox, &more, 3));
    let writer = format!("process {}", std::process::id());
    for expected in ["this may be the venue that writes", &writer, "no request was sent"] {
        assert!(told.contains(expected), "{expected}\n{told}");
    }
    assert_eq!(names(&sandbox.journal()), Vec::<String>::new());
    // Nobody writes it any more.
    day.close();
    let told = stdout(&play(&dir, &sandbox, &more, 3));
    assert!(told.contains("Sent         20 requests"), "{told}");
    assert!(told.contains("Differs      nowhere"), "{told}");
}

#[test]
fn an_order_that_ends_by_itself_answers_no_cancel() {
    let recorded = TestVenue::start();
    let mut client = recorded.client("A");
    client.send("D", &format!("{}|59=3", limit("x", "AAPL", "1", "10", "100.00")));
    client.expect("150=0");
    client.expect("150=4|11=x");
    // By the same ClOrdID, which is not judged of a cancel, and of a replace only where there is an order.
    client.send("F", &cancel("x", "x", "AAPL", "1"));
    client.expect("35=9|11=x");
    client.send("G", &replace("x", "x", ("AAPL", "1"), "20", "100.00"));
    client.expect("35=9|11=x");
    let more = ["--map", "A=TESTA", "--speed", "max", "--json"];
    let told = json(&play(&recorded.journal(), &sandbox(), &more, 0));
    assert_eq!(told["sandbox"]["rejected"], 2);
    assert_eq!(told["sandbox"], told["recorded"]);
}

#[test]
fn an_order_id_names_the_same_order_in_the_sandbox() {
    let recorded = TestVenue::start();
    let (mut a, mut b) = (recorded.client("A"), recorded.client("B"));
    let order_id = |report: &Msg| report.get(37).expect("an OrderID").to_owned();
    let side = ("AAPL", "1");
    let one = order_id(&a.rest("o1", "AAPL", "1", "10", "100.00"));
    let two = order_id(&a.rest("p1", "AAPL", "1", "10", "100.00"));
    let three = order_id(&a.rest("q1", "AAPL", "1", "10", "100.00"));
    let others = order_id(&b.rest("b1", "AAPL", "1", "10", "100.00"));
    a.send("G", &replace("o2", "o1", side, "9", "100.00"));
    a.expect("150=5|11=o2");
    let mut request = |kind: &str, request: String, order_id: &str, expected: &str| {
        a.send(kind, &format!("{request}|37={order_id}"));
        a.expect(expected);
    };
    let to_cancel = |id: &str, orig: &str| cancel(id, orig, "AAPL", "1");
    // A live order's decides alone: with a superseded name, another order's, and one that never was.
    request("F", to_cancel("c1", "o1"), &one, "150=4|11=c1");
    request("F", to_cancel("c2", "q1"), &two, "150=4|11=c2");
    request("G", replace("q2", "never", side, "8", "100.00"), &three, "150=5|11=q2");
    request("H", "11=never|55=AAPL|54=1".into(), &three, "150=I|39=0|11=q2");
    // One that names no order of the session has no good name.
    request("F", to_cancel("c3", "q2"), "999999", "35=9|11=c3|102=1");
    request("F", to_cancel("c4", "q2"), &others, "35=9|11=c4|102=1");
    request("F", to_cancel("c5", "q2"), &two, "35=9|11=c5|102=1");
    request("G", replace("q3", "q2", side, "7", "100.00"), "999999", "35=9|11=q3|102=1");
    request("H", "11=q2|55=AAPL|54=1".into(), "999999", "150=I|39=8");
    // A closed one's tells of the name under which it closed.
    request("F", to_cancel("c6", "o2"), &one, "35=9|11=c6|102=0");
    request("F", to_cancel("c7", "o1"), &one, "35=9|11=c7|102=1");
    request("F", to_cancel("c8", "p1"), &one, "35=9|11=c8|102=1");

    let sandbox = sandbox();
    // So that orders get other OrderIDs there.
    sandbox.client("TESTC").rest("REPLAY-older", "AAPL", "1", "1", "0.01");
    let more = ["--map", "A=TESTA", "--map", "B=TESTB", "--speed", "max", "--json"];
    let told = json(&play(&recorded.journal(), &sandbox, &more, 0));
    assert_eq!(told["sandbox"]["rejected"], 8);
    assert_eq!(told["sandbox"], told["recorded"]);
    assert!(told["first_difference"].is_null(), "{told:#}");
}

#[test]
fn what_the_session_refuses_is_told_with_its_text() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    day.order((C1, "one"), AAPL, Side::Buy, (1, 10_000));
    let refused = day.order((C1, "other"), AAPL, Side::Buy, (1, 10_000));
    day.order((C2, "last"), AAPL, Side::Buy, (1, 10_000));
    day.close();
    let sandbox = sandbox();
    let edit = |message: &str| match message.contains("|11=REPLAY-other|") {
        true => message.replace("|54=1|", "|54=wrong|"),
        false => message.to_owned(),
    };
    let valve = Valve::with_edit(sandbox.address(), edit);
    let (dir, into) = (text(&dir), valve.address().to_string());
    let more = ["--map", "C1=TESTA", "--map", "C2=TESTB", "--speed", "max", "--json"];
    let told = json(&expect_exit(&arguments(&dir, &into, &more), 1));
    assert_eq!(told["sent"], 3);
    assert_eq!(told["unanswered"], 0);
    assert!(told["stopped"].is_null(), "{told:#}");
    let first = &told["first_difference"];
    assert_eq!(first["sequence"], refused);
    let text = first["refusal"].as_str().expect("a text").to_owned();
    assert_eq!(text, "Incorrect data format for value");
    assert_eq!(told["sandbox"]["reasons"], json!({ text: 1 }));
}

#[test]
fn as_many_refusals_are_not_the_same_ones() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    day.order((C1, "a"), AAPL, Side::Buy, (1, 10_000));
    let first = day.order((C1, "a"), AAPL, Side::Buy, (1, 10_000));
    day.order((C1, "b"), AAPL, Side::Buy, (1, 10_000));
    day.close();
    let sandbox = sandbox();
    sandbox.client("TESTA").rest("REPLAY-b", "AAPL", "1", "1", "0.01");
    let from = format!("seq:{first}");
    let more = ["--from", &from, "--map", "C1=TESTA", "--speed", "max"];
    let told = stdout(&play(&dir, &sandbox, &more, 1));
    for expected in [
        "Accepted                  1              1",
        "Rejected                  1              1",
        &format!("First        sequence {first}, REPLAY-a: refused when it was recorded alone"),
        "Differs      in which requests were refused, with the same counts",
    ] {
        assert!(told.contains(expected), "{expected}\n{told}");
    }
    assert!(!told.contains("nowhere"), "{told}");
}

#[test]
fn a_sandbox_that_takes_too_few_connections_is_told_apart() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    let first = day.order((C1, "one"), AAPL, Side::Buy, (1, 10_000));
    day.order((C2, "other"), AAPL, Side::Buy, (1, 10_000));
    day.close();
    let sandbox = TestVenue::start_with(|config| {
        config.sessions = ["TESTA", "TESTB"].map(session).into();
        config.fix.connections_per_address_max = 1;
    });
    let bounds = "2 connections from this address, see fix.connections_per_address_max and fix.connections_max";
    let told = stderr(&play(&dir, &sandbox, &["--map", "C1=TESTA", "--map", "C2=TESTB"], 2));
    assert!(told.contains("TESTB: ") && told.contains(bounds), "{told}");
    // One connection it does take.
    let to = format!("seq:{first}");
    let told = stderr(&play(&dir, &sandbox, &["--to", &to, "--map", "C1=TESTX"], 2));
    assert!(told.contains("[[session]]") && !told.contains("connections_"), "{told}");
}

#[test]
fn a_trade_counts_once_whoever_is_told_of_it() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    for number in 0..3 {
        day.order((C1, &format!("s{number}")), AAPL, Side::Sell, (4, 10_000));
        day.order((C1, &format!("b{number}")), AAPL, Side::Buy, (4, 10_000));
    }
    day.order((C2, "last"), AAPL, Side::Buy, (1, 10_000));
    day.close();
    // Who plays C2 gets copies of what C1 gets.
    let sandbox = TestVenue::start_with(|config| {
        config.sessions = ["TESTA", "TESTB"].map(session).into();
        config.sessions[1].read_only = true;
    });
    let more = ["--map", "C1=TESTA", "--map", "C2=TESTB", "--speed", "max", "--json"];
    let told = json(&play(&dir, &sandbox, &more, 1));
    assert_eq!(told["recorded"]["symbols"]["AAPL"], json!({ "trades": 3, "qty": "12" }));
    assert_eq!(told["sandbox"]["symbols"], told["recorded"]["symbols"]);
}

#[test]
fn nothing_is_played_where_it_could_do_harm() {
    let mut recorded = TestVenue::start_with(|config| {
        config.sessions = ["A", "TESTB"].map(session).into();
    });
    recorded.client("A").rest("a1", "AAPL", "1", "10", "100.00");
    recorded.client("TESTB").rest("b1", "AAPL", "1", "10", "100.00");
    let dir = text(&recorded.journal());
    let sandbox = TestVenue::start_with(|config| {
        config.sessions = ["A", "TESTA", "TESTB", "TESTP"].map(session).into();
        config.sessions[3].password = Some(SECRET_HASH.to_owned());
    });
    let (other, own) = (sandbox.address().to_string(), recorded.address().to_string());
    let nobody = "127.0.0.1:1";
    let before = names(&recorded.journal());
    for (into, more, expected) in [
        ("192.0.2.1:9878", &["--map", "*=TEST*"][..], "a sandbox on this machine only"),
        ("0.0.0.0:9878", &["--map", "*=TEST*"], "a sandbox on this machine only"),
        ("localhost", &["--map", "*=TEST*"], "invalid value 'localhost'"),
        (&other, &[], "--map A=TEST...  (1 requests)"),
        (&other, &["--map", "A=A"], "A, which is to play A, is no test comp id"),
        (&other, &["--map", "*=*"], "A, which is to play A, is no test comp id"),
        (&other, &["--map", "*=TESTA"], "TESTA can't play both A and TESTB"),
        (&other, &["--map", "X=TESTA"], "no session has the comp id X; there are A TESTB"),
        (&other, &["--map", "A=TESTA", "--map", "A=TESTB"], "A is named twice"),
        (&other, &["--map", "A"], "give RECORDED=TEST comp ids"),
        (&other, &["--map", "A=TESTA", "--speed", "0"], "give a number above 0"),
        (&other, &["--map", "A=TESTA", "--run", "a-b"], "letters and digits"),
        // Who is not there, or doesn't know one of the sessions.
        (nobody, &["--map", "A=TESTA"], "TESTA: no connection to 127.0.0.1:1"),
        (&other, &["--map", "A=TESTX"], "TESTX: the venue ended the session"),
        (&other, &["--map", "A=TESTP"], "TESTP: the venue ended the session: \""),
        // The venue that writes the journal, by a session that it knows.
        (&own, &["--map", "TESTB=TESTX", "--map", "A=TESTB"], "TESTX: the venue ended"),
        (&own, &["--from", "clordid:b1"], "no request was sent. Play into another one"),
    ] {
        let told = stderr(&expect_exit(&arguments(&dir, into, more), 2));
        assert!(told.contains(expected), "{into} {more:?}: {expected}\n{told}");
        // Where the venue says why, there is no guess.
        let guess = "has to know the comp id";
        assert_eq!(told.contains(guess), expected.starts_with("TESTX"), "{more:?}\n{told}");
    }
    assert_eq!(names(&recorded.journal()), before);
    assert_eq!(names(&sandbox.journal()), Vec::<String>::new());
    recorded.stop();
    expect_exit(&arguments("/no/such/journal", &other, &[]), 2);
}
