//! What leaves the house: exports and reports of a journal, and what two journals differ in.

mod fixtures;
mod story;

use std::fs;

use fixtures::{expect_exit, json, stderr, stdout, text};
use ironbook_engine::{
    Account, ClOrdId, CompId, Event, InstrumentId, OrdType, OrderId, SessionId, Side, Symbol,
    TimeInForce, Timestamp, TradingStatus,
    command::{
        CancelOrder, DefineInstrument, NOTIONAL_SCALE, NewOrder, OrderTerms, Origin, QueryOrder,
        RiskLimits,
    },
};
use ironbook_gateway::{
    operator::Action,
    session_record::{Copies, SessionRecord},
    throttle::{ThrottleAction, ThrottleScope, ThrottleTerms},
};
use ironbook_journal::SEGMENT_BYTES_MIN;
use story::{
    Story, compare,
    script::{self, AAPL, C1, C2, C7, MSFT, Script, name},
};

/// Names that must not be in what is redacted. Each begins in a way that nothing else does.
const COMP_IDS: [&str; 3] = ["ZALPHA-FUND", "ZBETA-BANK", "ZGAMMA,\"DESK\""];
const SECRETS: [&str; 4] = ["ZALPHA", "ZBETA", "ZGAMMA", "zsecret"];

/// A journal in which names are wherever they can be: all commands and events that have some, and
/// messages that are journaled as text.
fn names(dir: &std::path::Path) {
    let mut day = Script::with_clients(dir, SEGMENT_BYTES_MIN, COMP_IDS);
    day.account = Account::try_from("zsecret-acc").unwrap();
    day.record(&SessionRecord::Role { session: C2, copies: Copies::All });
    for body in [
        "45=2\u{1}58=zsecret of ZALPHA-FUND\u{1}379=zsecret-ref\u{1}380=4\u{1}",
        "11=zsecret-1\u{1}1=zsecret-acc\u{1}55=zsecret-sym\u{1}49=ZBETA-BANK\u{1}95=8\u{1}96=a\u{1}zsecret\u{1}",
        "112=zsecret-test\u{1}371=zsecret\u{1}",
    ] {
        let (msg_type, body) = (b"j".to_vec(), body.as_bytes().to_vec());
        day.record(&SessionRecord::Outbound { session: C1, msg_type, body });
    }
    day.order((C1, "zsecret-1"), AAPL, Side::Buy, (100, 10_000));
    day.order((C2, "zsecret,\"2\""), AAPL, Side::Sell, (60, 10_000));
    day.account = Account::EMPTY;
    day.order((C7, "zsecret-3"), AAPL, Side::Sell, (10, 10_100));
    day.order((C1, "zsecret-4"), MSFT, Side::Buy, (15, 1_003));
    day.order((C1, "zsecret-1"), AAPL, Side::Buy, (100, 10_000));
    day.replace(C1, ("zsecret-5", "zsecret-1"), (AAPL, Side::Buy), (90, 9_900));
    day.replace(C1, ("zsecret-6", "zsecret-none"), (AAPL, Side::Buy), (90, 9_900));
    day.cancel(C7, ("zsecret-7", "zsecret-3"), (AAPL, Side::Sell));
    let symbol = Symbol::try_from("zsecret-symbol").unwrap();
    let origin = |number| Origin::new(C1, number, Timestamp(1));
    let order = QueryOrder::new(origin(9), OrderId::NONE, AAPL, Side::Buy, name("zsecret-5"));
    day.command(QueryOrder { ord_status_req_id: name("zsecret-query"), ..order });
    day.command(QueryOrder {
        ord_status_req_id: name("zsecret-none"),
        unknown_symbol: symbol,
        instrument: InstrumentId::NONE,
        cl_ord_id: name("zsecret-8"),
        ..order
    });
    let terms = OrderTerms {
        side: Side::Buy,
        ord_type: OrdType::Market,
        time_in_force: TimeInForce::Ioc,
        price: (0, 0),
        order_qty: (10, 0),
    };
    let none = InstrumentId::NONE;
    let account = Account::try_from("zsecret-two").unwrap();
    let mut order = NewOrder::new(origin(11), none, terms, account, name("zsecret-9"));
    order.unknown_symbol = symbol;
    day.command(order);
    day.record(&SessionRecord::Throttle {
        session: C1,
        scope: ThrottleScope::Firm,
        firm: "zsecret-firm".to_owned(),
        terms: Some(ThrottleTerms { per_second: 90, burst: 9, action: ThrottleAction::Delay }),
    });
    day.limit(C7, RiskLimits { open_orders: 5, ..RiskLimits::NONE });
    day.set_trading(C7, TradingStatus::CancelOnly, "zsecret of ZGAMMA");
    day.order((C7, "zsecret-10"), AAPL, Side::Sell, (10, 10_100));
    day.set_trading(C7, TradingStatus::Open, "zsecret again");
    day.mass_cancel(C1, "zsecret-mass");
    day.close();
}

#[track_caller]
fn no_secret(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} in\n{text}");
    }
}

#[test]
fn exports_are_as_they_were() {
    let story = Story::new();
    for format in ["csv", "jsonl", "fix-log"] {
        let named = story.ask(&format!("export --format {format} --no-redact"), 0);
        compare(&format!("export-{format}.txt"), &named);
        // To the byte the same with the index that there is now, and in parts.
        let again = story.ask(&format!("export --format {format} --no-redact"), 0);
        assert_eq!(again, named);
        let first = story.ask(&format!("export --format {format} --no-redact --to 32"), 0);
        let rest = story.ask(&format!("export --format {format} --no-redact --from 33"), 0);
        let rest = rest.strip_prefix(&format!("{}\n", rest.lines().next().unwrap()));
        let rest = rest.filter(|_| format == "csv").map(str::to_owned).unwrap_or_else(|| {
            story.ask(&format!("export --format {format} --no-redact --from 33"), 0)
        });
        assert_eq!(first + &rest, named, "{format} in two parts");
    }
    let csv = Story::written_by(names);
    for redact in ["--redact", "--no-redact"] {
        compare(&format!("export{redact}.txt"), &csv.ask(&format!("export {redact}"), 0));
    }
}

#[test]
fn rows_have_the_columns_of_the_header() {
    let story = Story::new();
    let csv = story.ask("export", 0);
    let mut lines = csv.lines();
    let columns = lines.next().unwrap().split(',').count();
    assert_eq!(lines.clone().count(), 89);
    for line in lines {
        assert_eq!(line.split(',').count(), columns, "{line}");
    }
    // Kinds of frames add up.
    let count = |kinds: &str| story.ask(&format!("export --kinds {kinds}"), 0).lines().count() - 1;
    let [commands, events, sessions] = ["commands", "events", "sessions"].map(count);
    assert_eq!(commands + events + sessions, 89);
    assert!(commands > 0 && events > 0 && sessions == 3, "{commands} {events} {sessions}");
    assert_eq!(count("commands,sessions"), commands + sessions);
}

#[test]
fn fix_log_lines_are_messages_with_their_numbers() {
    let story = Story::written_by(names);
    let log = story.ask("export --format fix-log --no-redact", 0);
    // A drop copy hears of everything, under numbers of its own.
    let to = |comp_id: &str| -> Vec<u64> {
        let lines = log.lines().filter(|line| line.contains(&format!("|56={comp_id}|")));
        let number = |line: &str| {
            let (_, rest) = line.split_once("|34=").unwrap();
            rest.split_once('|').unwrap().0.parse().unwrap()
        };
        lines.map(number).collect()
    };
    let counted = |numbers: &[u64]| numbers.iter().copied().eq(1..=numbers.len() as u64);
    let (one, copies) = (to("ZALPHA-FUND"), to("ZBETA-BANK"));
    assert!(counted(&one) && one.len() > 8, "{one:?}");
    // Its own report comes to it as its session's and as a copy.
    assert!(counted(&copies) && copies.len() > one.len() - 3, "{copies:?}");
    for line in log.lines() {
        let message = line.splitn(4, ' ').nth(3).unwrap().replace('|', "\u{1}");
        let framed = ironbook_fix::codec::frame(message.as_bytes());
        let whole = ironbook_fix::codec::Framed::Message { len: message.len() };
        assert_eq!(framed, whole, "{line}");
    }
}

#[test]
fn what_is_redacted_tells_no_name() {
    let story = Story::written_by(names);
    for format in ["csv", "jsonl", "fix-log"] {
        let named = story.ask(&format!("export --format {format} --no-redact"), 0);
        for secret in ["ZALPHA", "ZGAMMA", "zsecret-1", "zsecret-acc"] {
            assert!(named.contains(secret), "{format} lacks {secret}");
        }
        let redacted = story.ask(&format!("export --format {format}"), 0);
        no_secret(&redacted);
        assert_eq!(redacted.lines().count(), named.lines().count(), "{format}");
        // The same name is the same pseudonym wherever it stands.
        assert!(redacted.contains("C1") && redacted.contains("O1"), "{redacted}");
        assert_eq!(redacted, story.ask(&format!("export --format {format}"), 0));
    }
    let row = |text: &str, sequence: &str| {
        let found = text.lines().find(|line| line.starts_with(&format!("{sequence},")));
        found.unwrap().split(',').map(str::to_owned).collect::<Vec<_>>()
    };
    let csv = story.ask("export", 0);
    let (request, report) = (row(&csv, "11"), row(&csv, "12"));
    assert_eq!((&*request[2], &*report[2]), ("NewOrderSingle", "ExecutionReport"));
    assert_eq!(request[6..9], report[6..9], "ClOrdIDs and account");
    // Whoever is meant is asked for by name; a file is written once.
    let out = text(&story.beside("out.csv"));
    let said = story.output(&format!("export --from clordid:zsecret-3 --out {out} --json"), 0);
    assert_eq!(json(&said)["redacted"], true);
    no_secret(&fs::read_to_string(&out).unwrap());
    let again = stderr(&story.output(&format!("export --out {out}"), 2));
    assert!(again.contains("give another name"), "{again}");
}

#[test]
fn formats_for_programs_tell_no_name_and_take_their_options() {
    let story = Story::written_by(names);
    let named = story.ask("export --format pcap --no-redact", 0);
    assert!(named.contains("ZALPHA") && named.contains("zsecret-acc"));
    no_secret(&story.ask("export --format pcap", 0));
    for redact in ["--redact", "--no-redact"] {
        no_secret(&story.ask(&format!("export --format itch {redact}"), 0));
    }
    for (question, status, expected) in [
        ("export --symbol AAPL", 2, "--symbol goes with --format itch only"),
        ("export --format itch --kinds events", 2, "leave --kinds out"),
        ("export --format itch --symbol IBM", 1, "there are AAPL MSFT"),
    ] {
        let message = stderr(&story.output(question, status));
        assert!(message.contains(expected), "{question}: {message}");
    }
    if cfg!(feature = "parquet") {
        // Compressed, so that names can be told apart by what it says of them only.
        let bytes = |options: &str| {
            let output = story.output(&format!("export --format parquet {options}"), 0).stdout;
            assert!(output.starts_with(b"PAR1") && output.ends_with(b"PAR1"));
            output
        };
        assert_eq!(bytes(""), bytes("--redact"));
        assert_ne!(bytes(""), bytes("--no-redact"));
    }
    let out = text(&story.beside("day.itch"));
    let said = json(&story.output(&format!("export --format itch --out {out} --json"), 0));
    let mut bytes = &fs::read(&out).unwrap()[..];
    let mut messages = 0;
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        bytes = &rest[usize::from(u16::from_be_bytes(*length))..];
        messages += 1;
    }
    assert_eq!(said["lines"], messages, "messages");
}

#[test]
fn busts_are_planned() {
    let story = Story::new();
    story.golden("bust-trades", "bust --trade 3 --trade 1 --trade 3");
    story.golden("bust-client", "bust --client C7 --from seq:20 --to seq:60 --no-redact");
    story.golden("bust-outside", "bust --symbol AAPL --outside 1");
    let file = story.beside("plan.jsonl");
    let name = text(&file);
    let said = json(&story.output(&format!("bust --client C7 --out {name} --json"), 0));
    let lines = fs::read_to_string(&file).unwrap();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["mark"] == "PLAN"), "{lines:?}");
    let of = |what: &str| -> Vec<_> {
        lines.iter().filter(|line| line["what"] == what).cloned().collect()
    };
    assert_eq!((of("plan").len(), &lines[0]["what"]), (1, &"plan".into()));
    assert_eq!(said["busts"], serde_json::Value::from(of("bust")));
    assert_eq!(said["effects"], serde_json::Value::from(of("effect")));
    // What one gets back another gives.
    let number = |value: &serde_json::Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let sum = |key: &str| of("effect").iter().map(|effect| number(&effect[key])).sum::<f64>();
    assert_eq!((sum("position_change"), sum("cash_change")), (0.0, 0.0));
    // With all of its trades gone a party holds nothing.
    let of_c7 = said["effects"].as_array().unwrap().iter().find(|of| of["comp_id"] == "C3");
    assert_eq!(of_c7.unwrap()["position_after"], "0", "{said:#}");
    let held = json(&story.output("trades --json", 0));
    for effect in of("effect") {
        let comp_id = effect["comp_id"].as_str().unwrap().replace("C3", "C7");
        let parties = held["parties"].as_array().unwrap();
        let party = parties.iter().find(|of| of["comp_id"] == comp_id).unwrap();
        assert_eq!(effect["position_before"], party["net"], "{effect}");
        assert_eq!(effect["cash_before"], party["cash"], "{effect}");
        let change = number(&effect["cash_after"]) - number(&effect["cash_before"]);
        assert_eq!(change, number(&effect["cash_change"]), "{effect}");
    }
    assert_eq!(of_c7.unwrap()["cash_after"], "0.00", "{said:#}");
    assert_eq!((&lines[0]["first_sequence"], &lines[0]["damaged"]), (&1.into(), &false.into()));
    for (question, status, expected) in [
        ("bust", 2, "say which trades: --trade, or"),
        ("bust --trade 99", 1, "there is no trade 99"),
        ("bust --trade 1 --client C1", 2, "cannot be used with"),
        ("bust --symbol MSFT", 1, "no trade is as asked for"),
        ("bust --client C9", 1, "there are C1 C2 C7"),
        (&format!("bust --trade 1 --out {name}"), 2, "give another name"),
    ] {
        let message = stderr(&story.output(question, status));
        assert!(message.contains(expected), "{question}: {message}");
    }
    damage_at(&story, "late");
    fs::remove_dir_all(story.beside("data.index")).unwrap();
    let plan = story.ask("bust --trade 1", 3);
    assert!(plan.contains("\nPLAN the journal is damaged behind that"), "{plan}");
    assert_eq!(json(&story.output("bust --trade 1 --json", 3))["damaged"], true);
    let names = Story::written_by(names);
    no_secret(&names.ask("bust --trade 1", 0));
    no_secret(&names.ask("bust --trade 1 --json", 0));
    assert!(names.ask("bust --trade 1 --no-redact", 0).contains("ZALPHA-FUND"));
}

#[test]
fn a_stretch_is_a_test() {
    let story = Story::new();
    let scenario = story.ask("export --as-scenario --from seq:29 --to seq:60", 0);
    compare("scenario.txt", &scenario);
    let file = story.beside("test.scenario");
    let name = text(&file);
    let said =
        stdout(&story.output(&format!("export --as-scenario --out {name} --from 29 --to 60"), 0));
    assert!(said.contains(&format!("Next: ironbook scenario {name}")), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), scenario);
    let played = stdout(&expect_exit(&["scenario", &name], 0));
    assert!(played.contains("Differs      nowhere"), "{played}");
    let changed = scenario.replacen("left 60;", "left 61;", 1);
    assert_ne!(changed, scenario);
    fs::write(&file, changed).unwrap();
    let found = |options: &[&str]| {
        let output = stdout(&expect_exit(&[&["scenario", &name], options].concat(), 1));
        output.replace(&name, "FILE").replace(env!("CARGO_PKG_VERSION"), "VERSION")
    };
    compare("scenario-differs.txt", &found(&[]));
    compare("scenario-differs.json", &found(&["--json"]));
    fs::write(&file, "no scenario").unwrap();
    let told = stderr(&expect_exit(&["scenario", &name], 2));
    assert!(told.contains("this is no scenario: the first line"), "{told}");
    fs::write(&file, scenario.replacen("scenario 1", "scenario 2", 1)).unwrap();
    let told = stderr(&expect_exit(&["scenario", &name], 4));
    assert!(told.contains("a scenario of another version"), "{told}");
    expect_exit(&["scenario", "/no/such/file"], 2);
    story.output("export --as-scenario --format csv", 2);
    // Names are told when they are asked for.
    let names = Story::written_by(names);
    no_secret(&names.ask("export --as-scenario", 0));
    no_secret(&names.ask("export --as-scenario --from seq:20", 0));
    assert!(names.ask("export --as-scenario --no-redact", 0).contains("zsecret-acc"));
}

#[test]
fn nothing_lies_between_places_in_the_wrong_order() {
    let story = Story::new();
    let out = text(&story.beside("out.html"));
    for command in [
        "export",
        "trades",
        "trades --away 1",
        "top",
        "client C1",
        "whatif",
        &format!("report --out {out}"),
    ] {
        let told = stderr(&story.output(&format!("{command} --from seq:50 --to seq:20"), 1));
        assert!(told.contains("nothing lies between seq:50 and seq:20"), "{command}: {told}");
        assert!(told.contains("sequence 50 to 20; the journal holds 1 to 89, 2026-"), "{told}");
        story.output(&format!("{command} --from time:18:00:00"), 1);
    }
    assert!(!fs::exists(out).unwrap());
}

#[test]
fn names_are_as_long_as_they_may_be() {
    const { assert!(CompId::MAX == 32 && ClOrdId::MAX == 36 && Account::MAX == 12) };
    let longest = "Z".repeat(CompId::MAX);
    let story = Story::written_by(|dir| {
        let mut day = Script::with_clients(dir, SEGMENT_BYTES_MIN, [&longest, "b", "c"]);
        day.order((C1, &"z".repeat(ClOrdId::MAX)), AAPL, Side::Buy, (100, 10_000));
        day.close();
    });
    let csv = story.ask("export", 0);
    assert!(!csv.contains("ZZ") && !csv.contains("zz"), "{csv}");
    assert!(story.ask("export --no-redact", 0).contains(&longest));
}

#[test]
fn damaged_journals_are_told_up_to_the_damage() {
    let story = Story::new();
    let whole = story.ask("export", 0);
    damage(&story);
    fs::remove_dir_all(story.beside("data.index")).unwrap();
    let part = story.output("export", 3);
    assert!(stderr(&part).contains("up to sequence 28"), "{}", stderr(&part));
    let part = stdout(&part);
    assert!(whole.starts_with(&part) && part.lines().count() == 29, "{part}");
}

/// A journal beside the story's.
fn other(story: &Story, write: impl FnOnce(Script)) -> String {
    let dir = story.beside("other");
    let _ = fs::remove_dir_all(&dir);
    write(Script::new(&dir));
    text(&dir)
}

/// Compares the story's journal with another, in words and as JSON.
fn diff(story: &Story, name: &str, other: &str, status: i32) {
    let place = text(story.dir.parent().unwrap());
    let question = format!("diff {other} --context 2");
    let said = story.ask(&question, status).replace(&place, "");
    compare(&format!("{name}.txt"), &said);
    let said = story.ask(&format!("{question} --json"), status).replace(&place, "");
    compare(&format!("{name}.json"), &said);
}

#[test]
fn two_journals_differ_where_they_do() {
    let story = Story::new();
    let same = other(&story, |day| {
        script::story_in(day);
    });
    assert!(story.ask(&format!("diff {same}"), 0).contains("Differs      nowhere"));
    assert!(!story.beside("data.index").exists(), "no index for that");
    // The same later, which is nothing else.
    let later = other(&story, |mut day| {
        day.wait(7);
        script::story_in(day);
    });
    diff(&story, "diff-time", &later, 1);
    assert!(story.ask(&format!("diff {later} --ignore-times"), 0).contains("Same         89"));
    // Another order.
    let input = other(&story, |mut day| {
        day.record(&SessionRecord::Role { session: C2, copies: Copies::None });
        day.record(&SessionRecord::Outbound {
            session: C1,
            msg_type: b"A".to_vec(),
            body: b"98=0\x01108=30\x01".to_vec(),
        });
        day.order((C1, "a1"), AAPL, Side::Buy, (101, 10_000));
        day.close();
    });
    diff(&story, "diff-input", &input, 1);
    // Records of sessions alone; and an order behind them.
    let sessions = |day: &mut Script| {
        day.record(&SessionRecord::Reset { session: C7 });
    };
    let more = other(&story, |mut day| {
        sessions(&mut day);
        script::story_in(day);
    });
    diff(&story, "diff-sessions", &more, 1);
    let books = other(&story, |mut day| {
        sessions(&mut day);
        day.order((C1, "a1"), AAPL, Side::Buy, (101, 10_000));
        day.close();
    });
    diff(&story, "diff-sessions-books", &books, 1);
    // One that has ended already.
    let shorter = other(&story, |mut day| {
        day.record(&SessionRecord::Role { session: C2, copies: Copies::None });
        day.close();
    });
    diff(&story, "diff-end", &shorter, 1);
}

#[test]
fn a_lie_is_found_out() {
    let story = Story::new();
    let lie = |event: &mut Event| {
        if let Event::Execution(event) = event {
            event.last_px += i64::from(event.last_px > 0);
        }
    };
    let dir = other(&story, |day| trade(day, lie));
    let said = expect_exit(&["diff", &dir, "--context", "3"], 1);
    compare("diff-program.txt", &stdout(&said).replace(&dir, "data"));
    let said = expect_exit(&["diff", &dir, "--context", "3", "--json"], 1);
    compare("diff-program.json", &stdout(&said).replace(&dir, "data"));
    assert!(story.ask("diff", 0).contains("Differs      nowhere"));
    // Beside the truth it is another decision, and this program takes the truth's.
    let truth = Story::written_by(|dir| trade(Script::new(dir), |_| {}));
    let dir = other(&truth, |day| trade(day, lie));
    diff(&truth, "diff-decision", &dir, 1);
    let turned = expect_exit(&["diff", &dir, &text(&truth.dir)], 1);
    assert!(stdout(&turned).contains("Program      decides as B"), "{}", stdout(&turned));
}

/// A trade, whose events may be told otherwise.
fn trade(mut day: Script, lie: fn(&mut Event)) {
    day.order((C1, "a1"), AAPL, Side::Buy, (100, 10_000));
    let terms = OrderTerms {
        side: Side::Sell,
        ord_type: OrdType::Limit,
        time_in_force: TimeInForce::Day,
        price: (10_000, 2),
        order_qty: (60, 0),
    };
    let origin = Origin::new(C2, 1, Timestamp(9));
    let order = NewOrder::new(origin, AAPL, terms, Account::EMPTY, name("b1"));
    day.command_with_lies(order.into(), lie);
    day.order((C1, "a2"), AAPL, Side::Buy, (100, 10_000));
    day.close();
}

#[test]
fn a_comparison_ends_where_a_journal_is_damaged() {
    let story = Story::new();
    let whole = other(&story, |day| {
        script::story_in(day);
    });
    damage(&story);
    let said = stdout(&story.output(&format!("diff {whole}"), 3));
    assert!(said.contains("up to sequence 28\nDamaged      A from there on"), "{said}");
    let turned = stdout(&expect_exit(&["diff", &whole, &text(&story.dir)], 3));
    assert!(turned.contains("up to sequence 28\nDamaged      B from there on"), "{turned}");
    story.output("diff", 3);
}

#[test]
fn what_would_have_been() {
    let story = Story::new();
    // Nothing changed: nothing comes otherwise, to the state.
    for span in ["", " --from 20", " --from 20 --to 60", " --from seq:32", " --to trade:1"] {
        let said = json(&story.output(&format!("whatif{span} --json"), 0));
        assert!(said["first_difference"].is_null(), "{said:#}");
        assert_eq!(said["states"]["real"], said["states"]["COUNTERFACTUAL"], "{span}");
        let sides =
            said["trades"].as_array().unwrap().iter().chain(said["clients"].as_array().unwrap());
        for row in sides {
            let both = row.get("trades").or(row.get("client")).unwrap();
            assert_eq!(both["real"], both["COUNTERFACTUAL"], "{span}");
        }
    }
    // Without the one whose accident it was.
    story.golden("whatif-drop", "whatif --drop-client C7");
    story.golden("whatif-drop-late", "whatif --drop-client C7 --from 34 --to 70");
    story.golden("whatif-tick", "whatif --set MSFT.tick=0.01 --set MSFT.lot=5");
    story.golden("whatif-limit", "whatif --set engine.orders_max=2");
    let throttle = "--set C1.orders_per_second=100 --set session.orders_per_second=150 --set session.orders_burst=1";
    story.golden("whatif-throttle", &format!("whatif {throttle}"));
    story.golden(
        "whatif-throttle-late",
        &format!("whatif {throttle} --from 34 --to 70 --drop-client C2"),
    );
    let said = story.ask("whatif --drop-client C1 --drop-client C2 --json", 0);
    let dropped = story.ask("whatif --drop-client C7", 0);
    let lines: Vec<_> = dropped.lines().filter(|line| line.contains("sequence")).collect();
    assert!(!lines.is_empty(), "{dropped}");
    for line in lines {
        assert!(line.contains("COUNTERFACTUAL") || line.starts_with("Next"), "{line}");
    }
    assert!(said.contains("\"label\": \"COUNTERFACTUAL\""), "{said}");
}

/// A configuration in which C1 and C7 are of a firm.
fn firms(story: &Story) -> String {
    let config = story.beside("venue.toml");
    let sessions =
        ["C1", "C7"].map(|name| format!("[[session]]\ncomp_id = \"{name}\"\nfirm = \"ACME\"\n"));
    fs::write(&config, sessions.concat()).unwrap();
    text(&config)
}

#[test]
fn what_sessions_of_a_firm_would_have_sent_together() {
    let story = Story::new();
    let ask = |question: &str| {
        let config = firms(&story);
        json(&story.output(&format!("whatif --config {config} {question} --json"), 0))
    };
    let said = ask("--set firm.orders_per_second=1 --set firm.ACME.orders_burst=5");
    let rows = said["throttles"].as_array().unwrap();
    assert_eq!(
        (rows.len(), &rows[0]["scope"], &rows[0]["name"]),
        (1, &"firm".into(), &"ACME".into())
    );
    // All of it lasts 36 ms: no token comes in that time.
    let refused = rows[0]["refused"].as_u64().unwrap();
    assert_eq!(rows[0]["orders"].as_u64(), Some(refused + 5), "{said:#}");
    assert_eq!(said["commands_left_out"].as_u64(), Some(refused));
    let first = &rows[0]["first_refused"];
    assert_eq!((&first["comp_id"], &first["cl_ord_id"]), (&"C1".into(), &"a2".into()), "{said:#}");
    // C2, which is of no firm, is bounded by nothing.
    let c2 = said["clients"].as_array().unwrap().iter().find(|row| row["comp_id"] == "C2").unwrap();
    let requests = |side: &str| &c2["client"][side]["requests"];
    assert_eq!(requests("real"), requests("COUNTERFACTUAL"));
    let none = ask("--set firm.orders_per_second=1000");
    assert_eq!(none["states"]["real"], none["states"]["COUNTERFACTUAL"], "{none:#}");
}

#[test]
fn what_can_not_have_been_is_told() {
    let story = Story::new();
    let config = firms(&story);
    for (question, expected) in [
        ("whatif --set engine.speed=9", "there is no such key; there are\n  engine.orders_max"),
        ("whatif --set IBM.tick=1", "with the symbols AAPL MSFT"),
        ("whatif --set AAPL.tick", "give KEY=VALUE"),
        ("whatif --set AAPL.tick=x", "\"x\" is no number"),
        ("whatif --set AAPL.tick=0.001", "AAPL has 2 decimals there"),
        ("whatif --set AAPL.tick=1 --set AAPL.price_max=0.5", "no instrument can have"),
        ("whatif --set AAPL.tick=0", "no instrument can have AAPL.tick=0"),
        ("whatif --set engine.orders_max=-1", "is no whole number"),
        ("whatif --set engine.orders_max=0", "no engine can have engine.orders_max=0"),
        ("whatif --set AAPL.tick=0.05 --from 20", "AAPL is defined before --from"),
        ("whatif --set engine.orders_max=2 --from 20", "only grow; play from the start"),
        (
            "whatif --set C9.orders_per_second=1",
            "C9.orders_per_second=1: no session has the comp id C9; there are C1 C2 C7; session.orders_per_second is for each",
        ),
        ("whatif --set session.orders_per_second=x", "\"x\" is no whole number"),
        (
            "whatif --set session.orders_per_second=1000001",
            "session C1: orders_per_second = 1000001: 0 to 1000000 is allowed",
        ),
        (
            "whatif --set C7.orders_burst=2",
            "session C7: orders_burst = 2: needs orders_per_second beside it",
        ),
        ("whatif --set session.throttle=delay", "one that delays is not simulated"),
        (
            "whatif --set session.speed=1",
            "  session.orders_per_second    new orders and replaces in a second",
        ),
        (
            "whatif --set firm.orders_per_second=5",
            "give the venue's configuration with --config FILE",
        ),
        (&format!("whatif --config {config}"), "leave --config out"),
        (
            &format!("whatif --config {config} --set firm.X.orders_per_second=5"),
            "is of that firm; it has ACME",
        ),
        (
            &format!("whatif --config {config}.not --set firm.orders_per_second=5"),
            "check the path given with --config",
        ),
    ] {
        let message = stderr(&story.output(question, 2));
        assert!(message.contains(expected), "{question}: {message}");
    }
    story.output("whatif --set engine.orders_max=10000 --from 20", 0);
    let nobody = stderr(&story.output("whatif --drop-client C9", 1));
    assert!(nobody.contains("there are C1 C2 C7"), "{nobody}");
    damage(&story);
    fs::remove_dir_all(story.beside("data.index")).unwrap();
    let said = story.ask("whatif --drop-client C7", 3);
    assert!(said.contains("sequence 1 to 28 without"), "{said}");
}

/// Clients that name orders by OrderID mean the order of the same request, whatever its number is.
#[test]
fn order_ids_mean_the_same_orders() {
    let story = Story::written_by(|dir| {
        let mut day = Script::new(dir);
        day.order((C7, "gone"), AAPL, Side::Buy, (5, 9_000));
        day.order((C1, "kept"), AAPL, Side::Buy, (100, 10_000));
        let id = |day: &Script, session, text: &str| {
            day.engine().order_named(session, &name(text)).unwrap().order_id
        };
        let (gone, kept) = (id(&day, C7, "gone"), id(&day, C1, "kept"));
        for (session, number, order_id) in [(C1, 8, kept), (C2, 9, gone)] {
            let origin = Origin::new(session, number, Timestamp(9));
            let none = ClOrdId::EMPTY;
            day.command(CancelOrder::new(origin, order_id, AAPL, Side::Buy, name("x"), none));
        }
        day.close();
    });
    let said = json(&story.output("whatif --drop-client C7 --json", 0));
    let row =
        said["clients"].as_array().unwrap().iter().find(|row| row["comp_id"] == "C1").unwrap();
    assert_eq!(row["client"]["COUNTERFACTUAL"]["rejects"], 0, "{said:#}");
    assert!(said["first_difference"].is_null(), "{said:#}");
}

/// Makes a report and reads it.
#[track_caller]
fn report(story: &Story, options: &str, status: i32) -> String {
    let out = story.beside("report.html");
    let _ = fs::remove_file(&out);
    story.output(&format!("report {options} --out {}", text(&out)), status);
    fs::read_to_string(out).unwrap()
}

#[test]
fn of_many_books_a_report_shows_those_that_matter() {
    let story = Story::written_by(|dir| {
        let mut day = Script::new(dir);
        for number in 3..=12 {
            let symbol = Symbol::try_from(format!("S{number}").as_str()).unwrap();
            day.command(DefineInstrument::new(InstrumentId(number), symbol, 2, 0, 1, 10));
        }
        for number in 1..=12 {
            let id = format!("n{number}");
            day.order((C1, &id), InstrumentId(number), Side::Buy, (10, 1_000));
        }
        // S11 trades, and nothing else does.
        day.order((C1, "more"), InstrumentId(11), Side::Buy, (10, 1_000));
        day.order((C2, "hit"), InstrumentId(11), Side::Sell, (10, 1_000));
        day.close();
    });
    let page = report(&story, "--at clordid:n12", 0);
    let shown: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix("<h3>")?.split_once(' ')).collect();
    let shown: Vec<_> = shown.iter().map(|(symbol, _)| *symbol).collect();
    // That of the moment, the one that trades, then the first ones.
    assert_eq!(shown, ["S12", "S11", "AAPL", "MSFT", "S3", "S4", "S5", "S6", "S7", "S8"]);
    assert!(page.contains("<p>2 more books have orders.</p>"), "{page}");
    let page = report(&story, "--at clordid:n10", 0);
    assert_eq!(page.matches("<h3>").count(), 10);
    assert!(!page.contains("more books"), "{page}");
}

#[test]
fn reports_are_as_they_were() {
    let story = Story::new();
    let page = report(&story, "--no-redact --at clordid:fat --away 1", 0);
    let page = page.replace(&text(&story.dir), "data");
    let page = page.replace(&format!("ironbook {}", env!("CARGO_PKG_VERSION")), "ironbook VERSION");
    compare("report.html", &page);
    let out = text(&story.beside("report.html"));
    let again = stderr(&story.output(&format!("report --out {out}"), 2));
    assert!(again.contains("give another name"), "{again}");
    fs::remove_file(&out).unwrap();
    let said = json(&story.output(&format!("report --from 20 --to 60 --json --out {out}"), 0));
    assert_eq!((&said["first_sequence"], &said["last_sequence"]), (&20.into(), &60.into()));
    // The commands in it give what they promise.
    let page = fs::read_to_string(&out).unwrap();
    for line in page.lines().filter_map(|line| line.strip_prefix("<pre>")) {
        let line = line.trim_end_matches("</pre>");
        if let Some(rest) = line.strip_prefix("ironbook ").filter(|line| !line.contains("COMPID"))
            && !rest.starts_with("report")
        {
            let (command, rest) = rest.split_once(" DIR").unwrap();
            story.output(&format!("{command}{rest}"), 0);
        }
    }
}

#[test]
fn reports_tell_no_name() {
    let story = Story::written_by(names);
    let named = report(&story, "--no-redact --at end", 0);
    assert!(named.contains("ZGAMMA,&quot;DESK&quot;") && named.contains("zsecret-mass"), "{named}");
    assert!(named.contains(&text(&story.dir)));
    for options in ["--away 0 --at end", "--at clordid:zsecret-4", "--from clordid:zsecret-3"] {
        let page = report(&story, options, 0);
        no_secret(&page);
        assert!(!page.contains(&text(&story.dir)), "where the journal is");
        assert!(page.contains(">C1<"), "{page}");
    }
}

#[test]
fn reports_list_trips_and_what_operators_did() {
    const ONE: i64 = 10i64.pow(NOTIONAL_SCALE as u32);
    let story = Story::written_by(|dir| {
        let mut day = Script::with_clients(dir, SEGMENT_BYTES_MIN, COMP_IDS);
        let (traded_notional, window_ms) = (500 * ONE, 60_000);
        day.limit(C7, RiskLimits { traded_notional, window_ms, ..RiskLimits::NONE });
        day.order((C1, "s"), AAPL, Side::Sell, (10, 10_000));
        day.order((C7, "b"), AAPL, Side::Buy, (10, 10_000));
        let who = ("zsecret-ann", "zsecret reason");
        for _ in 0..12 {
            day.operator(Action::Suspend, (C1, InstrumentId::NONE), 1, who);
        }
        day.operator(Action::Halt, (SessionId::VENUE, AAPL), 1, who);
        day.close();
    });
    let page = report(&story, "", 0);
    no_secret(&page);
    for expected in [
        "<p class=\"warn\">tripped: C3 by TradedNotionalTooLarge: limit 500.00000000, observed 1000.00000000, 0 \
         orders canceled; at sequence ",
        "<p class=\"warn\">operator U1: suspend C1: REDACTED; at sequence ",
        "<p class=\"warn\">and 3 more actions of operators</p>",
    ] {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
    let named = report(&story, "--no-redact", 0);
    let expected = "operator zsecret-ann: suspend ZALPHA-FUND: zsecret reason; at sequence ";
    assert!(named.contains(expected), "{named}");
}

#[test]
fn a_report_of_a_journal_that_differs_quotes_nobody() {
    let lie = |event: &mut Event| {
        if let Event::Execution(event) = event {
            event.last_px += i64::from(event.last_px > 0);
        }
    };
    let story = Story::written_by(|dir| trade(Script::new(dir), lie));
    let page = report(&story, "", 1);
    assert!(page.contains("differs from what this program computes"), "{page}");
    for name in ["a1", "b1"] {
        assert!(!page.contains(&format!("{name}&quot;")), "{name} is told: {page}");
    }
    assert!(report(&story, "--no-redact", 1).contains("a1&quot;"), "it would be seen");
}

#[test]
fn a_report_is_as_grave_as_what_it_found() {
    let story = Story::new();
    let path = story.dir.join("0000000000.seg");
    let mut bytes = fs::read(&path).unwrap();
    // An unfinished frame behind the last one.
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() / 8 * 8 + 8;
    bytes[end..end + 8].copy_from_slice(&[64, 0, 0, 0x80, 1, 2, 3, 4]);
    fs::write(&path, bytes).unwrap();
    expect_exit(&["verify", &text(&story.dir)], 1);
    assert!(report(&story, "", 1).contains("unfinished"));
}

#[test]
fn an_export_that_fails_leaves_no_file() {
    let story = Story::new();
    let out = story.beside("out.csv");
    let (dir, out_name) = (text(&story.dir), text(&out));
    expect_exit(
        &["export", &dir, "--format", "csv", "--from", "seq:9999999", "--out", &out_name],
        1,
    );
    assert!(!out.exists());
    expect_exit(&["export", &dir, "--format", "csv", "--out", &out_name], 0);
    expect_exit(&["export", &dir, "--format", "csv", "--out", &out_name], 2);
    assert!(out.exists(), "what was there before stays");
}

#[test]
fn a_report_of_a_damaged_journal_says_so() {
    let story = Story::new();
    damage(&story);
    let page = report(&story, "", 3);
    assert!(page.contains("class=\"warn\">") && page.contains("after sequence 28"), "{page}");
    assert!(page.contains("sequence 1 to 28<") && !page.contains(&text(&story.dir)), "{page}");
}

/// Flips a bit in the frame with sequence 29.
fn damage(story: &Story) {
    damage_at(story, "fat");
}

/// Damages the frame that has a name first.
fn damage_at(story: &Story, name: &str) {
    let path = story.dir.join("0000000000.seg");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(name.len()).position(|window| window == name.as_bytes()).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
}
