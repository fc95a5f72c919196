//! What the questions to a journal print, to the byte: `IRONBOOK_BLESS=1` writes what is expected.

mod fixtures;
mod story;

use std::{fs, path::Path};

use fixtures::{Place, expect_exit, ironbook, json, stderr, stdout, text};
use ironbook_gateway::{
    slowest::Slow,
    stage_log::{STAGE_LOG, StageRecord, StageSecond},
};
use story::{Story, compare, script};

#[test]
fn moments() {
    let story = Story::new();
    story.golden("at-trade", "replay --at trade:1");
    story.golden("at-time", "replay --at 14:30:00.010 --depth 2");
    story.golden("at-session", "replay --at seq:8");
    let accident = stdout(&story.output("replay --at clordid:C7/fat", 0));
    for (same, sequence) in [("clordid:fat", None), ("fat", None), ("seq:32", Some(32))] {
        let other = stdout(&story.output(&format!("replay --at {same}"), 0));
        assert_eq!(sequence.is_some(), other != accident, "{other}");
    }
    let cost = stderr(&story.output("replay --at fat", 0));
    assert!(cost.contains("inputs played back"), "{cost}");
}

#[test]
fn words_that_mean_nothing_or_too_much_are_told() {
    let story = Story::new();
    let ambiguous = stderr(&story.output("replay --at x1", 2));
    for choice in ["clordid:C7/x1  at sequence 13", "clordid:C2/x1  at sequence"] {
        assert!(ambiguous.contains(choice), "{ambiguous}");
    }
    let twice = stderr(&story.output("replay --at clordid:C1/bad", 2));
    assert!(twice.contains("seq:19  new order") && twice.contains("seq:21"), "{twice}");
    for (question, status, expected) in [
        (
            "order clordid:C1/bad",
            1,
            "every request with the ClOrdID bad was refused, the first at sequence 19",
        ),
        ("order clordid:x1", 2, "order:50331650  of C7, at sequence 13"),
        ("order seq:37", 1, "no order was accepted or changed"),
        ("order 999999", 1, "no request has the ClOrdID 999999"),
        ("order order:77", 1, "no order 77 was accepted"),
        ("why seq:1", 1, "no order was accepted or changed"),
        ("client C9", 1, "no session has the comp id C9; there are C1 C2 C7"),
        ("trades --symbol IBM", 1, "there is no symbol IBM; there are AAPL MSFT"),
        ("trades --from 23:00:00", 1, "nothing lies between 23:00:00 and end"),
        ("book --at nowhere", 1, "no request has the ClOrdID nowhere"),
    ] {
        let message = stderr(&story.output(question, status));
        assert!(message.contains(expected), "{question}: {message}");
    }
    for (word, status, expected) in [
        ("seq:9999", 1, "the journal holds 1 to"),
        ("order:77", 1, "no order 77"),
        ("trade:99", 1, "no trade 99"),
        ("clordid:nobody/x1", 1, "no session has the comp id nobody; there are C1 C2 C7"),
        ("clordid:C1/zzz", 1, "no request of C1 has the ClOrdID zzz"),
        ("01:00:00", 1, "before the journal begins, 2026-03-02T14:30:00.001000000Z"),
        ("time:noon", 2, "give 2026-03-02T14:30:00"),
        ("seq:x", 2, "no whole number"),
    ] {
        let message = stderr(&story.output(&format!("replay --at {word}"), status));
        assert!(message.contains(expected), "{word}: {message}");
    }
}

#[test]
fn searches() {
    let story = Story::new();
    story.golden("break", "replay --break \"trade.px < 0.99 * ref\" --depth 1");
    story.golden("break-back", "replay --break \"reject\" --back --depth 1");
    let none = stderr(&story.output("replay --at 40 --break \"trade.px < 1\"", 1));
    assert!(none.contains("no frame after sequence 40 with trade.px < 1"), "{none}");
    let wrong = stderr(&story.output("replay --break \"trade.pix < 1\"", 2));
    assert!(wrong.contains("  trade.pix < 1\n  ^^^^^^^^^\n"), "{wrong}");
    assert!(wrong.contains("there is trade, trade.px"), "{wrong}");
    story.output("replay --back", 2);
    let first = story.ask("replay --break \"seq = 1\"", 0);
    let last = story.ask("replay --break \"seq > 0\" --back", 0);
    assert!(first.starts_with("Sequence     1 ") && last.starts_with("Sequence     88 "), "{last}");
    let help = stdout(&expect_exit(&["replay", "--help"], 0));
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md"));
    let readme = readme.expect("README.md");
    for name in ironbook_incident::condition::NAMES {
        let row = format!("| `{}` | {} |\n", name.name, name.meaning);
        assert!(readme.contains(&row), "README.md lacks {row}");
        assert!(
            help.contains(name.name) && help.contains(name.meaning.split(' ').next().unwrap()),
            "{}",
            name.name
        );
    }
}

#[test]
fn questions() {
    let story = Story::new();
    // Replaced twice over, one that kept its place and one that lost it; filled; partly filled.
    story.golden("order-kept", "order clordid:C1/a2");
    story.golden("order-lost", "order clordid:C2/b2");
    story.golden("order-resting", "order clordid:C7/x1");
    story.golden("order-aggressor", "order fat");
    story.golden("order-canceled", "order clordid:C1/r2");
    story.golden("why-off-lot", "why seq:20");
    story.golden("why-off-tick", "why seq:21");
    story.golden("why-duplicate", "why seq:24");
    story.golden("why-halted", "why late");
    story.golden("why-too-late", "why c1");
    story.golden("why-unknown", "why c2");
    story.golden("why-never-reached", "why far");
    story.golden("why-partly", "why clordid:C1/p1");
    story.golden("why-behind", "why clordid:C7/q1");
    story.golden("why-others-name", "why c4");
    story.golden("order-live", "order q1");
    story.golden("client-reset", "client C2");
    story.golden("why-immediate", "why fok");
    story.golden("why-filled", "why fat");
    story.golden("client", "client C7");
    story.golden("client-with-rejects", "client C1 --to 14:30:00.020");
    story.golden("trades", "trades");
    story.golden("trades-of", "trades --client C1 --from 14:30:00.018 --symbol AAPL");
    story.golden("trades-away", "trades --away 1");
    story.golden("book", "book --at 28 --orders");
    story.golden("book-end", "book");
    story.golden("top", "top --limit 3");
    story.golden("latency", "latency --limit 3");
    story.golden("latency-of", "latency --from 14:30:00.018 --limit 1");
    // What it says comes next, beyond both ends of the journal.
    story.ask("top --from 2026-03-02T14:29:59.036000000Z --to 2026-03-02T14:30:01.036000000Z", 0);
}

#[test]
fn stages() {
    let story = Story::new();
    let mut record = StageRecord {
        from_ns: script::START_NS,
        length_ns: 1_000_000_000,
        first_sequence: 1,
        frames: 90,
        every: 1,
        ..StageRecord::default()
    };
    for (at, stage) in record.stages.iter_mut().enumerate() {
        let ns = [1_000, 2_000, 3_000, 4_000, 5_000].map(|ns| ns * (at as u64 + 1));
        *stage = StageSecond { count: 40 + at as u64, ns };
    }
    let slow = |sequence, ms, ns| Slow {
        total_ns: 0,
        sequence,
        time_ns: script::START_NS + ms * script::STEP_NS,
        ns,
    };
    // The accident, and the order that it hit first.
    record.inputs = vec![slow(29, 17, [4_500, 91_000]), slow(9, 7, [2_000, 1_500])];
    record.told = vec![slow(34, 17, [700, 230_000])];
    fs::write(story.dir.join(STAGE_LOG), record.encode()).unwrap();
    story.golden("latency-stages", "latency --limit 2");
    story.golden("order-stages", "order fat");
    // It is no part of the journal.
    story.output("verify", 0);
    story.output("replay", 0);
}

#[test]
fn phases() {
    let story = Story::new();
    let json = story.ask("inspect --phases --json", 0);
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    // The clock of this machine is in the segment's header.
    let by = &found["written_by"]["listed"][0];
    let (created, ns) = (by["created"].as_str().unwrap(), by["created_ns"].to_string());
    let masked = |text: &str| text.replace(created, "CREATED").replace(&ns, "\"CREATED\"");
    compare("phases.json", &masked(&json));
    let text = story.ask("inspect --phases", 0);
    compare("phases.txt", &format!("$ inspect --phases\n{}", masked(&text)));
    // What it says comes next.
    for line in text.lines().filter_map(|line| line.split_once("ironbook ")) {
        story.output(&line.1.replace(" data", ""), 0);
    }
    story.output("inspect --phases --limit 3", 2);
    assert!(story.ask("inspect --limit 1", 0).contains("\n      ironbook inspect data --phases\n"));
}

#[test]
fn a_damaged_journal_answers_up_to_the_damage() {
    let story = Story::new();
    let path = story.dir.join("0000000000.seg");
    let mut bytes = fs::read(&path).unwrap();
    let output = story.output("inspect --from 20 --limit 1 --json", 0);
    assert_eq!(json(&output)["sequence"], 20);
    // In the first frame that holds the name of the accident.
    let at = bytes.windows(3).position(|window| window == b"fat").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let before = story.output("replay --at 20", 3);
    assert!(stderr(&before).contains("up to sequence"), "{}", stderr(&before));
    story.output("replay --break trade.px>0", 3);
    let last = story.ask("replay --at end", 3);
    assert!(last.starts_with("Sequence     28 "), "{last}");
    // Whatever was asked ends as what is wrong with the journal does.
    assert!(story.ask("top", 3).contains("Sequence     1 to 28"));
    assert!(story.ask("inspect --phases", 3).contains("Sequence     1 to 28, 28 frames"));
    assert!(story.ask("order clordid:C1/a2", 3).contains("lives at the end of the journal"));
    story.output("client C1", 3);
    let missing = stderr(&story.output("replay --at trade:1", 3));
    assert!(missing.contains("no trade 1") && missing.contains("fails its CRC"), "{missing}");
}

#[test]
fn what_is_printed_into_a_full_disk_is_a_failure() {
    let story = Story::new();
    let dir = text(&story.dir);
    for question in [
        &["top", &dir, "--json"][..],
        &["inspect", &dir],
        &["client", &dir, "C7"],
        &["export", &dir, "--format", "csv"],
        &["verify", &dir],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = ironbook().args(question).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{question:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("No space left on device"), "{}", stderr(&output));
    }
}

#[test]
fn nobody_has_to_read_to_the_end() {
    let story = Story::new();
    let dir = text(&story.dir);
    for (question, status) in [
        (&["replay", &dir, "--at", "trade:1"][..], 0),
        (&["inspect", &dir], 0),
        (&["export", &dir, "--format", "csv"], 0),
        (&["why", &dir, "nobody"], 1),
    ] {
        let [(out, to_out), (err, to_err)] = [(); 2].map(|()| std::io::pipe().unwrap());
        drop((out, err));
        let ended = ironbook().args(question).stdout(to_out).stderr(to_err).status().unwrap();
        assert_eq!(ended.code(), Some(status), "{question:?}: {ended}");
    }
}

#[test]
fn a_distance_from_the_market_is_a_number_from_zero_on() {
    let story = Story::new();
    for question in ["bust --outside", "trades --away", "report --out none.html --away"] {
        for wrong in ["-5", "NaN", "inf", "-inf", "1e999", "five", ""] {
            let message = stderr(&story.output(&format!("{question}={wrong}"), 2));
            assert!(message.contains("from 0 on") || wrong.is_empty(), "{message}");
        }
    }
    story.ask("bust --outside=0", 0);
    story.ask("trades --away=0.5", 0);
}

#[test]
fn a_running_venue_is_asked_without_touching_its_journal() {
    let place = Place::new();
    let mut venue = place.start();
    let data = text(&place.data());
    let mut client = venue.client("TRADER1");
    client.rest("one", "AAPL", "1", "10", "100.00");
    let first = json(&expect_exit(&["order", &data, "one", "--json"], 0));
    assert_eq!((&first["comp_id"], &first["is_live"]), (&"TRADER1".into(), &true.into()));
    client.rest("two", "AAPL", "1", "20", "100.00");
    // The index that the first question made is brought up to date.
    let second = json(&expect_exit(&["order", &data, "clordid:TRADER1/two", "--json"], 0));
    let ahead = &second["steps"][0]["ahead"];
    assert_eq!((&ahead["orders"], &ahead["qty"]), (&1.into(), &"10".into()), "{second:#}");
    let report = second["steps"][0]["event"]["fix"].as_str().expect("a FIX message");
    assert!(report.starts_with("35=8|37=") && report.contains("|11=two|"), "{report}");
    let moment = json(&expect_exit(&["replay", &data, "--at", "two", "--json"], 0));
    assert_eq!(moment["live_orders"], 2);
    drop(client);
    let files = |dir: &Path| {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name != "LOCK").collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(venue.end("TERM"), Some(0), "{}", venue.logged());
    let before = files(&place.data());
    let top = json(&expect_exit(&["top", &data, "--json"], 0));
    assert_eq!(top["clients"][0]["requests"], 2);
    assert_eq!(files(&place.data()), before, "nothing is written beside the segments");
    expect_exit(&["verify", &data], 0);
}
