//! Operators of a running venue, over its socket: what they can do, what clients see of it, what the journal keeps.

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr},
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::Arc,
    thread,
};

use common::{
    FixClient, TestVenue, cancel, limit,
    stepped::{SECOND, Stepped},
};
use ironbook_engine::{
    Command, InstrumentId, InstrumentStatus, SessionId, Timestamp,
    command::{Origin, SetInstrumentStatus},
};
use ironbook_gateway::{
    agent::Agent as _,
    clock::ManualClock,
    config::{Acknowledge, Config, RiskConfig},
    network::TcpNetwork,
    opening::{Playback, open_journal},
    operator::{
        ANSWER_NS_MAX, Action, CONNECTIONS_MAX, IDLE_NS_MAX, OperatorAgent, OperatorRecord,
        REQUEST_BYTES_MAX, SOCKET, Socket,
    },
    session_record::SessionRecord,
    stages::StageWatches,
    venue::{Parts, Place, StartError, Venue, assemble},
};
use ironbook_journal::{Reader, SimulatedStorage, Storage, open_stepped};
use serde_json::{Value, json};

/// An operator's end of a connection.
struct Operator(BufReader<UnixStream>);

impl Operator {
    #[track_caller]
    fn connect(dir: &Path) -> Self {
        let stream = UnixStream::connect(dir.join(SOCKET)).expect("a connection");
        stream.set_read_timeout(Some(common::WAIT_MAX)).expect("a timeout");
        Self(BufReader::new(stream))
    }

    #[track_caller]
    fn say(&mut self, line: &str) {
        writeln!(self.0.get_mut(), "{line}").expect("the request");
    }

    #[track_caller]
    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
    }

    #[track_caller]
    fn ask(&mut self, line: &str) -> Value {
        self.say(line);
        self.hear()
    }

    /// Whether an answer is there.
    #[track_caller]
    fn is_answered(&mut self) -> bool {
        self.0.get_ref().set_nonblocking(true).expect("a socket");
        let answered = self.0.fill_buf().is_ok_and(|bytes| !bytes.is_empty());
        self.0.get_ref().set_nonblocking(false).expect("a socket");
        answered
    }

    #[track_caller]
    fn status(&mut self) -> Value {
        self.ask(r#"{"action":"status"}"#)["status"].clone()
    }

    /// Asks for what must be done; what came of it.
    #[track_caller]
    fn done(&mut self, action: &str, target: &str) -> Value {
        let answer = self.ask(&request(action, target));
        assert_eq!(answer["done"], true, "{action} {target}: {answer}");
        answer
    }

    #[track_caller]
    fn refused(&mut self, line: &str, expected: &str) {
        let answer = self.ask(line);
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(answer["done"] == false && error.contains(expected), "{expected:?} in {answer}");
    }
}

fn request(action: &str, target: &str) -> String {
    json!({"action": action, "target": target, "by": "ann", "reason": "news is out"}).to_string()
}

fn operated(config: &mut Config) {
    config.operator.enabled = true;
}

fn venue() -> TestVenue {
    TestVenue::start_with(operated)
}

/// What the journal has of operators, and the commands that belong to each.
fn journaled(dir: &Path) -> Vec<(OperatorRecord, Vec<Command>)> {
    let mut reader = Reader::open(dir).expect("a journal");
    let mut found: Vec<(OperatorRecord, Vec<Command>)> = Vec::new();
    while let Some(frame) = reader.next().expect("frames") {
        if let Some(SessionRecord::Operator(record)) =
            SessionRecord::decode(frame.kind, frame.payload)
        {
            found.push((record, Vec::new()));
        } else if Command::is_kind(frame.kind) {
            let command = Command::decode(frame.kind, frame.payload).expect("a command");
            let asked = command.origin().filter(|origin| origin.msg_seq_num == 0);
            for (record, commands) in &mut found {
                if asked.is_some_and(|origin| origin.received == record.asked) {
                    commands.push(command);
                }
            }
        }
    }
    found
}

#[test]
fn clients_see_a_halt_and_its_end_and_the_journal_says_who_and_why() {
    let mut venue = TestVenue::start_with(|config| {
        operated(config);
        config.market_data.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    });
    let mut client = venue.client("A");
    let market = venue.venue().market_data_address().expect("a port");
    let mut watcher = FixClient::log_on(market, "B");
    watcher.send("e", "324=s1|55=AAPL|263=1");
    watcher.expect("35=f|324=s1|326=17");
    client.rest("a1", "AAPL", "1", "10", "100.00");
    let mut operator = Operator::connect(&venue.journal());
    let answer = operator.done("halt", "AAPL");
    assert_eq!((&answer["changed"], &answer["canceled"]), (&json!(1), &json!(0)), "{answer}");
    let sequence = answer["sequence"].as_u64().expect("a sequence");
    watcher.expect("35=f|324=s1|326=2");
    client.send("D", &limit("a2", "AAPL", "1", "10", "100.00"));
    client.expect("35=8|150=8|11=a2|58=the instrument is halted; cancels are accepted");
    client.send("F", &cancel("c1", "a1", "AAPL", "1"));
    client.expect("35=8|150=4|41=a1");
    // Other instruments go on.
    client.rest("b1", "BTC-USD", "1", "1", "1.00");
    let status = operator.status();
    let halted = json!([{
        "symbol": "AAPL", "status": "halted", "by": "ann", "reason": "news is out"
    }]);
    assert_eq!((&status["instruments"], &status["instruments_not_open"]), (&halted, &json!(1)));
    assert_eq!(operator.done("halt", "AAPL")["changed"], 0);
    assert_eq!(operator.done("halt", "all")["changed"], 1);
    client.send("D", &limit("b2", "BTC-USD", "1", "1", "1.00"));
    client.expect("35=8|150=8|11=b2");
    assert_eq!(operator.done("resume", "all")["changed"], 2);
    watcher.expect("35=f|324=s1|326=17");
    client.rest("a3", "AAPL", "1", "10", "100.00");
    assert_eq!(operator.status()["instruments"], json!([]));

    venue.stop();
    let journaled = journaled(&venue.journal());
    let told: Vec<_> = journaled
        .iter()
        .map(|(record, commands)| (record.action, record.instrument, commands.len()))
        .collect();
    let (aapl, all) = (InstrumentId(1), InstrumentId::NONE);
    let expected = [
        (Action::Halt, aapl, 1),
        (Action::Halt, aapl, 1),
        (Action::Halt, all, 1),
        (Action::Resume, all, 2),
    ];
    assert_eq!(told, expected);
    for (record, commands) in &journaled {
        assert_eq!((&*record.name, &*record.reason), ("ann", "news is out"));
        assert_eq!(record.commands as usize, commands.len());
    }
    let mut reader = Reader::open(&venue.journal()).expect("a journal");
    let mut frames = std::iter::from_fn(|| reader.next().unwrap().map(|f| (f.sequence, f.kind)));
    assert_eq!(frames.find(|(found, _)| *found == sequence), Some((sequence, 0x0307)));
    common::replay(&venue.journal());
}

#[test]
fn a_tripped_session_is_opened_and_trades() {
    let venue = TestVenue::start_with(|config| {
        operated(config);
        config.sessions[0].risk = Some(RiskConfig {
            traded_notional: "1000".to_owned(),
            window_ms: 3_600_000,
            ..RiskConfig::default()
        });
    });
    let (mut a, mut b) = (venue.client("A"), venue.client("B"));
    b.rest("b1", "AAPL", "2", "11", "100.00");
    a.send("D", &limit("a1", "AAPL", "1", "11", "100.00"));
    a.expect("35=8|150=0|11=a1");
    a.expect("35=8|150=F|11=a1");
    b.expect("35=8|150=F|11=b1");
    a.send("D", &limit("a2", "AAPL", "1", "1", "1.00"));
    a.expect("35=8|150=8|11=a2");
    let mut operator = Operator::connect(&venue.journal());
    let expected = json!([{
        "comp_id": "A", "status": "cancel only", "live_orders": 0,
        "trip": "it traded more in its window than it may",
    }]);
    assert_eq!(operator.status()["sessions"], expected);
    assert_eq!(operator.done("open", "A")["changed"], 1);
    a.rest("a3", "AAPL", "1", "1", "1.00");
    let expected = json!([{
        "comp_id": "A", "status": "open", "live_orders": 1, "by": "ann", "reason": "news is out"
    }]);
    assert_eq!(operator.status()["sessions"], expected);
    assert_eq!(operator.done("open", "A")["changed"], 0, "it is open already");
}

#[test]
fn a_suspended_session_has_its_orders_canceled_and_may_cancel_but_not_trade() {
    let mut venue = venue();
    let (mut a, mut b) = (venue.client("A"), venue.client("B"));
    a.rest("a1", "AAPL", "1", "10", "100.00");
    a.rest("a2", "BTC-USD", "1", "1", "1.00");
    b.rest("b1", "AAPL", "1", "10", "100.00");
    let mut operator = Operator::connect(&venue.journal());
    assert_eq!(operator.status()["live_orders"], 3);
    let answer = operator.done("suspend", "A");
    assert_eq!((&answer["changed"], &answer["canceled"]), (&json!(1), &json!(2)), "{answer}");
    a.expect("35=r|530=7|531=7|533=2");
    a.expect("35=8|150=4|11=a1");
    a.expect("35=8|150=4|11=a2");
    a.send("D", &limit("a3", "AAPL", "1", "1", "1.00"));
    a.expect("35=8|150=8|11=a3|58=the venue takes no orders of this session; cancels are accepted");
    a.send("F", &cancel("c1", "a1", "AAPL", "1"));
    a.expect("35=9|434=1|11=c1");
    let row = |status: &str, live: u32| {
        json!({
            "comp_id": "A", "status": status, "live_orders": live, "by": "ann",
            "reason": "news is out",
        })
    };
    let other = json!({"comp_id": "B", "status": "open", "live_orders": 1});
    assert_eq!(operator.status()["sessions"], json!([row("cancel only", 0), other]));

    // It stays so over a restart; who it was is told by the journal then.
    let numbers = (a.numbers(), b.numbers());
    drop((a, b, operator));
    venue.restart();
    let (mut a, _) = venue.resume("A", numbers.0);
    let mut operator = Operator::connect(&venue.journal());
    assert_eq!(operator.status()["sessions_not_open"], 1);
    assert_eq!(operator.status()["sessions"][0]["status"], "cancel only");
    assert_eq!(operator.done("open", "A")["changed"], 1);
    a.send("D", &limit("a4", "AAPL", "1", "10", "99.00"));
    while a.receive().expect("the session goes on").get(11) != Some("a4") {}

    // A cancel alone takes nothing but orders.
    let answer = operator.done("cancel", "A");
    assert_eq!((&answer["changed"], &answer["canceled"]), (&json!(0), &json!(1)), "{answer}");
    venue.stop();
    let sessions: Vec<_> = journaled(&venue.journal())
        .into_iter()
        .map(|(record, commands)| (record.action, record.session, commands.len()))
        .collect();
    let a = SessionId(1);
    assert_eq!(sessions, [(Action::Suspend, a, 2), (Action::Open, a, 1), (Action::Cancel, a, 1)]);
    common::replay(&venue.journal());
}

#[test]
fn live_orders_are_counted_as_the_engine_has_them() {
    let mut venue = venue();
    let (mut a, mut b) = (venue.client("A"), venue.client("B"));
    a.rest("a1", "AAPL", "1", "10", "100.00");
    a.rest("a2", "AAPL", "1", "10", "99.00");
    a.send("G", &common::replace("a3", "a2", ("AAPL", "1"), "5", "98.00"));
    a.expect("35=8|150=5|11=a3");
    a.send("H", "11=a3|55=AAPL|54=1");
    a.expect("35=8|150=I|11=a3");
    // Takes a part of one, then all of it; what nobody takes of the last does not rest.
    for (id, qty) in [("b1", "4"), ("b2", "6")] {
        b.send("D", &limit(id, "AAPL", "2", qty, "100.00"));
        b.expect(&format!("35=8|150=0|11={id}"));
        b.expect(&format!("35=8|150=F|11={id}"));
        a.expect("35=8|150=F|11=a1");
    }
    b.send("D", &format!("{}|59=3", limit("b3", "AAPL", "2", "6", "100.00")));
    b.expect("35=8|150=0|11=b3");
    b.next_in_sequence();
    b.rest("b4", "AAPL", "2", "1", "101.00");
    let mut operator = Operator::connect(&venue.journal());
    let status = operator.status();
    let live =
        |row: usize| (&status["sessions"][row]["comp_id"], &status["sessions"][row]["live_orders"]);
    assert_eq!((live(0), live(1)), ((&json!("A"), &json!(1)), (&json!("B"), &json!(1))));
    assert_eq!(status["live_orders"], 2);
    assert!(status["written"].as_u64() >= status["durable"].as_u64(), "{status}");
    drop((a, b, operator));
    venue.restart();
    assert_eq!(venue.venue().started().live_orders, 2);
    assert_eq!(Operator::connect(&venue.journal()).status()["live_orders"], 2);
}

#[test]
fn what_is_no_request_is_answered_and_changes_nothing() {
    let mut venue = venue();
    let dir = venue.journal();
    let mut operator = Operator::connect(&dir);
    let unnamed = r#"{"action":"halt","target":"AAPL","reason":"x"}"#;
    for (line, expected) in [
        ("", "this is no request"),
        ("halt AAPL", "this is no request"),
        ("[1,2]", "this is no request"),
        (&request("explode", "AAPL"), "action \"explode\" is unknown; there are halt, resume"),
        (&request("halt", "NOSUCH"), "symbol \"NOSUCH\" is unknown; nothing was done"),
        (&request("suspend", "NOBODY"), "comp id \"NOBODY\" is unknown; nothing was done"),
        (&request("cancel", "all"), "comp id \"all\" is unknown"),
        (&request("halt", ""), "target is missing"),
        (unnamed, "by is missing"),
        (r#"{"action":"halt","target":"AAPL","by":"ann"}"#, "reason is missing"),
        (&request("halt", &"S".repeat(REQUEST_BYTES_MAX / 2)), "is unknown"),
    ] {
        operator.refused(line, expected);
    }
    // A line without an end, and then the connection's.
    operator.0.get_mut().write_all(&[b'x'; REQUEST_BYTES_MAX]).expect("the bytes");
    let error = operator.hear()["error"].as_str().unwrap_or_default().to_owned();
    assert_eq!(error, format!("a request is one line of at most {REQUEST_BYTES_MAX} bytes"));
    assert_eq!(operator.0.read_line(&mut String::new()).expect("the end"), 0);
    // Several requests at once are answered in turn, also of who says nothing more.
    let mut operator = Operator::connect(&dir);
    operator
        .say(&[request("halt", "AAPL"), request("halt", "X"), request("resume", "all")].join("\n"));
    operator.0.get_ref().shutdown(Shutdown::Write).expect("the end of what is asked");
    let answers = [(); 3].map(|()| operator.hear());
    let done = answers.each_ref().map(|answer| answer["done"] == true);
    assert_eq!(done, [true, false, true], "{answers:?}");
    assert_eq!(operator.0.read_line(&mut String::new()).expect("the end"), 0);
    venue.stop();
    assert_eq!(journaled(&dir).len(), 2);
}

#[test]
fn operators_are_served_one_after_the_other_and_no_more_than_may_be() {
    let mut venue = venue();
    let dir = venue.journal();
    let each = |symbol: &'static str| {
        let dir = dir.clone();
        thread::spawn(move || {
            let mut operator = Operator::connect(&dir);
            (0..20)
                .map(|round| {
                    let action = if round % 2 == 0 { "halt" } else { "resume" };
                    let answer = operator.done(action, symbol);
                    assert_eq!(answer["changed"], 1, "{answer}");
                    answer["sequence"].as_u64().expect("a sequence")
                })
                .collect::<Vec<_>>()
        })
    };
    let sequences = ["AAPL", "BTC-USD"].map(each).map(|thread| thread.join().expect("answers"));
    assert!(sequences.iter().all(|of| of.is_sorted()));
    let mut operators: Vec<_> = (0..CONNECTIONS_MAX).map(|_| Operator::connect(&dir)).collect();
    operators
        .iter_mut()
        .for_each(|operator| assert_eq!(operator.status()["instruments"], json!([])));
    let error = Operator::connect(&dir).hear()["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains("8 operators are connected"), "{error}");
    drop(operators.pop());
    common::wait_for("a place for another", || {
        let mut other = Operator::connect(&dir);
        other.say(r#"{"action":"status"}"#);
        other.hear()["done"] == true
    });
    venue.stop();
    let journaled = journaled(&dir);
    assert_eq!(journaled.len(), 40);
    assert!(journaled.is_sorted_by(|one, other| one.0.asked < other.0.asked));
    assert!(journaled.iter().all(|(_, commands)| commands.len() == 1));
}

#[test]
fn the_socket_is_its_owners_comes_after_a_dead_venue_and_goes_with_a_live_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = common::small_config(&dir.path().join("journal"));
    fs::create_dir(&config.venue.data_dir).expect("a directory");
    let socket = config.venue.data_dir.join(SOCKET);
    let venue = Venue::start(&config).expect("a venue");
    assert!(!socket.exists() && venue.operator_path().is_none(), "nobody asked for it");
    venue.stop();

    let config = {
        let mut config = config;
        operated(&mut config);
        config
    };
    drop(UnixListener::bind(&socket).expect("what a venue that was killed leaves behind"));
    let venue = Venue::start(&config).expect("a venue");
    assert_eq!(venue.operator_path(), Some(&*socket));
    let metadata = fs::symlink_metadata(&socket).expect("a socket");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    let mut operator = Operator::connect(&config.venue.data_dir);
    operator.done("halt", "AAPL");
    // Another venue on the directory does not get as far as the socket.
    assert!(matches!(Venue::start(&config), Err(StartError::Journal(_))));
    operator.done("resume", "AAPL");
    venue.stop();
    assert!(!socket.exists());
    assert_eq!(operator.0.read_line(&mut String::new()).expect("the end"), 0);

    fs::write(&socket, "notes").expect("a file");
    let error = Venue::start(&config).err().expect("no socket").to_string();
    assert!(error.contains("is no socket; move it away"), "{error}");
    assert_eq!(fs::read_to_string(&socket).expect("the file"), "notes");
}

#[test]
fn a_directory_with_too_long_a_path_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = common::small_config(&dir.path().join("d".repeat(100)));
    operated(&mut config);
    let error = Venue::start(&config).err().expect("no socket").to_string();
    assert!(error.contains("a path has at most 107 bytes: use a data directory"), "{error}");
}

/// An agent of its own beside a stepped venue.
fn stepped(change: impl FnOnce(&mut Config)) -> (Stepped, OperatorAgent<ManualClock, Socket>) {
    let mut venue = Stepped::start(|config| {
        operated(config);
        change(config);
    });
    let parts = venue.operated.take().expect("it is configured");
    let socket = Socket::listen(&venue.config.venue.data_dir).expect("a socket");
    let agent = OperatorAgent::new(parts, venue.clock.clone(), socket);
    (venue, agent)
}

#[test]
fn a_core_that_takes_nothing_is_told_of_and_what_was_asked_is_carried_out_once() {
    let (mut venue, mut agent) = stepped(|_| {});
    let dir = venue.config.venue.data_dir.clone();
    let (mut one, mut other) = (Operator::connect(&dir), Operator::connect(&dir));
    one.say(&request("halt", "AAPL"));
    agent.do_work();
    agent.do_work();
    other.say(&request("halt", "BTC-USD"));
    agent.do_work();
    venue.clock.set(Timestamp(venue.now + ANSWER_NS_MAX + 1));
    agent.do_work();
    let error = one.hear()["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains("it is under way and will be carried out"), "{error}");
    let error = other.hear()["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains("nothing was done, try again"), "{error}");
    // The core goes on.
    venue.core.as_mut().expect("a core").do_work();
    agent.do_work();
    one.say(r#"{"action":"status"}"#);
    agent.do_work();
    let status = one.hear()["status"].clone();
    assert_eq!(status["instruments"][0]["symbol"], "AAPL");
    assert_eq!(status["instruments_not_open"], 1);
    other.say(&request("resume", "AAPL"));
    agent.do_work();
    venue.core.as_mut().expect("a core").do_work();
    agent.do_work();
    assert_eq!(other.hear()["changed"], 1);
    assert_eq!(journaled(&dir).len(), 2);
}

#[test]
fn answers_wait_for_the_disk_where_clients_do() {
    for waits in [false, true] {
        let (mut venue, mut agent) = stepped(|config| {
            if waits {
                config.venue.acknowledge = Acknowledge::Durable;
            }
        });
        let mut operator = Operator::connect(&venue.config.venue.data_dir);
        operator.say(&request("halt", "AAPL"));
        agent.do_work();
        agent.do_work();
        venue.core.as_mut().expect("a core").do_work();
        agent.do_work();
        assert_eq!(operator.is_answered(), !waits, "nothing was synced");
    }
}

/// A disk that is stepped beside the agent, and is always behind with what others write.
#[test]
fn an_answer_waits_for_its_own_frames_and_not_for_those_behind_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = common::small_config(&dir.path().join("journal"));
    config.venue.acknowledge = Acknowledge::Durable;
    operated(&mut config);
    let storage: Arc<dyn Storage> = Arc::new(SimulatedStorage::new(1));
    let open = |storage, options| {
        let (journal, recovery, disk) = open_stepped(storage, options)?;
        Ok(((journal, disk), recovery))
    };
    let opened = open_journal(&config, &storage, Playback::Behind, open);
    let (opened, disk) = opened.unwrap_or_else(|error| panic!("{error}")).split();
    let clock = ManualClock::default();
    let place = Place {
        clock: clock.clone(),
        watches: StageWatches::off(1).0,
        storage,
        listen: |port| TcpNetwork::listen_as(&config, port),
    };
    let Parts { mut core, durable, operated, .. } =
        assemble(&config, opened, place).unwrap_or_else(|error| panic!("{error}"));
    let parts = operated.expect("it is configured");
    let mut agent = OperatorAgent::new(parts, clock, Socket::listen(dir.path()).expect("a socket"));
    let mut operator = Operator::connect(dir.path());
    for looks_before in [false, true] {
        operator.say(&request("cancel", "A"));
        agent.do_work();
        agent.do_work();
        core.do_work();
        if looks_before {
            agent.do_work();
        }
        assert!(!operator.is_answered(), "nothing was synced");
        disk.step_syncer();
        for status in [InstrumentStatus::Halted, InstrumentStatus::Open] {
            let origin = Origin::venue(Timestamp(1));
            core.apply_now(SetInstrumentStatus::new(origin, InstrumentId(1), status).into());
        }
        agent.do_work();
        assert!(durable.get() < durable.written(), "more is written than is durable");
        assert!(operator.is_answered(), "the disk has all of it, seen before: {looks_before}");
        assert_eq!(operator.hear()["done"], true);
    }
}

#[test]
fn who_says_nothing_is_let_go() {
    let (venue, mut agent) = stepped(|_| {});
    let mut operator = Operator::connect(&venue.config.venue.data_dir);
    agent.do_work();
    venue.clock.set(Timestamp(venue.now + IDLE_NS_MAX));
    agent.do_work();
    operator.say(r#"{"action":"status"}"#);
    agent.do_work();
    assert_eq!(operator.hear()["done"], true, "not before its time");
    venue.clock.set(Timestamp(venue.now + 2 * IDLE_NS_MAX + SECOND));
    agent.do_work();
    assert_eq!(operator.0.read_line(&mut String::new()).expect("the end"), 0);
}

#[test]
fn trading_is_not_resumed_after_the_audit_found_a_difference() {
    let (mut venue, mut agent) = stepped(|_| {});
    let mut operator = Operator::connect(&venue.config.venue.data_dir);
    let core = venue.core.as_mut().expect("a core");
    core.audit().report_difference("a test");
    core.do_work();
    operator.say(&request("resume", "all"));
    agent.do_work();
    agent.do_work();
    let error = operator.hear()["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains("the audit found a difference"), "{error}");
    operator.say(r#"{"action":"status"}"#);
    agent.do_work();
    let status = operator.hear()["status"].clone();
    assert_eq!(status["instruments_not_open"], 2);
    assert!(status["audit"].as_str().is_some_and(|text| text.contains("a test")), "{status}");
}

#[test]
fn an_action_for_more_instruments_than_the_ring_has_room_for_is_done_in_full() {
    const MANY: usize = 200;
    let mut venue = TestVenue::start_with(|config| {
        operated(config);
        let more = (0..MANY).map(|number| common::instrument(&format!("S{number}"), "0.01", "1"));
        config.instruments.extend(more);
    });
    let mut operator = Operator::connect(&venue.journal());
    for action in ["halt", "resume"] {
        assert_eq!(operator.done(action, "all")["changed"], MANY + 2);
    }
    venue.stop();
    common::replay(&venue.journal());
}
