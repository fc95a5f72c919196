//! The program itself: what it prints, how it ends, and what its journal is worth after it was
//! killed, starved of disk, or damaged.
//!
//! Some of these tests mount file systems of their own, so they need root; without it they print NOT
//! RUN.

mod fixtures;

use std::{
    fs,
    fs::Permissions,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use fixtures::{
    Mount, Place, Running, Unprivileged, common,
    common::{FixClient, limit, valve::Valve, wait_for},
    expect_exit, ironbook, json, seeded, stderr, stdout, text, tool,
};
use serde_json::Value;

#[test]
fn start_says_what_it_is_and_stops_in_order() {
    for signal in ["TERM", "INT"] {
        let place = Place::new();
        let mut venue = place.start();
        let printed = venue.printed();
        for expected in [
            "is ready",
            "FIX.4.0 to FIX.5.0SP2, venue comp id IRONBOOK",
            "Instruments  AAPL MSFT",
            "Comp ids     TRADER1",
            &text(&place.data()),
            "               new\n",
            "not pinned",
            "MiB of journal segments",
            &format!("ironbook send --fix {} buy", venue.address),
            &format!("ironbook load --fix {}", venue.address),
            "ironbook replay",
        ] {
            assert!(printed.contains(expected), "{expected:?} is missing in\n{printed}");
        }
        let mut client = venue.client("TRADER1");
        client.rest("o1", "AAPL", "1", "10", "100.00");
        drop(client);
        assert_eq!(venue.end(signal), Some(0), "{}", venue.logged());
        wait_for("the last line", || venue.printed().contains("Next: ironbook replay"));
        let printed = venue.printed();
        let state = printed.split(", state ").nth(1).expect("a hash").split('.').next().unwrap();
        let verified = expect_exit(&["verify", &text(&place.data())], 0);
        assert!(stdout(&verified).contains("Every byte of the segments is as it was written."));
        let replayed = expect_exit(&["replay", &text(&place.data())], 0);
        assert!(stdout(&replayed).contains(state), "{state} in {}", stdout(&replayed));
        let again = place.start();
        let printed = again.printed();
        assert!(printed.contains("frames replayed, 1 live orders, state "), "{printed}");
        assert!(printed.contains(state), "{printed}");
    }
}

/// Runs `ironbook password` with this on its standard input.
fn hash(input: &[u8], code: i32) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ironbook"));
    let piped = command.arg("password").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    output
}

#[test]
fn a_password_is_hashed_for_the_configuration() {
    let (one, other) = (hash(b"a secret of ours\n", 0), hash(b"a secret of ours\r\nnot this", 0));
    assert_ne!(stdout(&one), stdout(&other), "each has its own salt");
    for output in [&one, &other] {
        assert!(output.stderr.is_empty(), "{output:?}");
        let place = Place::new();
        let mut config = fs::read_to_string(place.config()).unwrap();
        let password = stdout(output).trim_end().to_owned();
        config += &format!("[[session]]\ncomp_id = \"TRADER1\"\npassword = \"{password}\"\n");
        fs::write(place.config(), config).unwrap();
        let venue = place.start();
        for (password, answer) in [("not this", "35=5|34=1"), ("a secret of ours", "35=A|34=2")] {
            let mut client = FixClient::connect(venue.address, "TRADER1");
            client.send("A", &format!("98=0|108=60|554={password}"));
            let answered = client.receive().expect("an answer");
            assert!(answered.matches(answer), "{answered:?}");
        }
    }
    for (input, expected) in [
        (&b""[..], "no password"),
        (b"\n", "no password"),
        (&[b'x'; 257], "no password"),
        (b"a\x01b\n", "can't be sent"),
        ("pa\u{df}\n".as_bytes(), "can't be sent"),
        (b"\xff\n", "standard input"),
    ] {
        let refused = hash(input, 2);
        assert!(stderr(&refused).contains(expected), "{refused:?}");
        assert!(refused.stdout.is_empty(), "{refused:?}");
    }
}

#[test]
fn configuration_reads_back_and_typos_are_named() {
    let place = Place::new();
    let defaults = stdout(&expect_exit(&["config"], 0));
    let path = place.dir.path().join("printed.toml");
    fs::write(&path, &defaults).unwrap();
    assert_eq!(stdout(&expect_exit(&["config", "--config", &text(&path)], 0)), defaults);
    let changed = stdout(&expect_exit(&["config", "--config", &text(&place.config())], 0));
    assert!(changed.contains("\nsegment_bytes = 1048576\n"), "{changed}");

    fs::write(&path, "[fix]\n# a comment\nconections_max = 3\n").unwrap();
    for arguments in [["config", "--config"], ["start", "--config"]] {
        let refused = expect_exit(&[arguments[0], arguments[1], &text(&path)], 2);
        let message = stderr(&refused);
        assert!(message.contains("line 3") && message.contains("conections_max"), "{message}");
        assert!(message.contains(&text(&path)), "{message}");
    }
    let missing = stderr(&expect_exit(&["start", "--config", "/no/such/file.toml"], 2));
    assert!(missing.contains("/no/such/file.toml"), "{missing}");
    for arguments in
        [&["trade"][..], &["verify"], &["start", "--port", "1"], &["replay", "--until", "x", "d"]]
    {
        expect_exit(arguments, 2);
    }
    let unknown = stderr(&expect_exit(&["trade"], 2));
    assert!(unknown.contains("trade"), "{unknown}");
    let help = stdout(&expect_exit(&["--help"], 0));
    let commands = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next());
    // A name is indented by two, what it does by more.
    let indented = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let lines = commands.expect("commands").lines().filter(indented);
    let names = lines.filter_map(|line| line.split_whitespace().next());
    let names: Vec<_> = names.filter(|name| *name != "help").collect();
    let journals = ["verify", "replay", "inspect", "repair", "trades", "book", "top"];
    let others = [
        "start", "config", "send", "load", "bench", "doctor", "simulate", "order", "why", "client",
    ];
    for name in journals.into_iter().chain(others) {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    for name in names {
        assert!(stdout(&expect_exit(&[name, "--help"], 0)).contains("Usage: ironbook"), "{name}");
    }
    for name in journals {
        let message = stderr(&expect_exit(&[name, &text(&place.data())], 2));
        assert!(message.contains(&text(&place.data())), "{message}");
    }
}

#[test]
fn doctor_judges_the_machine_and_names_what_the_disk_says() {
    let place = Place::new();
    let output = tool(&["doctor", "--json", "--data", &text(&place.data())]);
    let report = json(&output);
    let checks = report["checks"].as_array().unwrap();
    let is_fit = checks.iter().all(|check| check["verdict"] != "bad");
    assert_eq!(report["fit"], is_fit);
    assert_eq!(output.status.code(), Some(i32::from(!is_fit)), "{report}");
    let of = |report: &Value, what: &str| {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|check| check["what"] == what).unwrap().clone()
    };
    assert!(of(&report, "disk")["found"].as_str().unwrap().contains("a page is durable after"));
    let interrupts = of(&report, "interrupts")["found"].as_str().unwrap().to_owned();
    assert!(interrupts.contains("the core's processor"), "{interrupts}");
    for check in checks {
        assert_eq!(check["advice"] == "", check["verdict"] == "good", "{check}");
    }
    assert!(!place.data().exists(), "nothing is changed");

    // Where nobody may make a file, not even root.
    let nowhere = json(&expect_exit(&["doctor", "--json", "--data", "/proc/journal"], 1));
    let disk = of(&nowhere, "disk");
    assert_eq!(disk["verdict"], "bad");
    let found = disk["found"].as_str().unwrap();
    assert!(found.contains("/proc: ") && found.contains("os error"), "{found}");
    let people = stdout(&expect_exit(&["doctor", "--data", "/proc/journal"], 1));
    assert!(people.contains("BAD   disk"), "{people}");
    assert!(people.contains("Next: ironbook start --data /proc/journal"), "{people}");
}

#[test]
fn a_directory_in_use_names_its_user() {
    let place = Place::new();
    let venue = place.start();
    let message = place.refused(1);
    assert!(message.contains(&text(&place.data())), "{message}");
    assert!(message.contains(&format!("process {}", venue.child.id())), "{message}");
    // The port: another venue on the same one.
    let other = Place::new();
    let address = venue.address.to_string();
    let data = text(&other.data());
    let taken = expect_exit(&["start", "--data", &data, "--fix", &address], 1);
    let message = stderr(&taken);
    assert!(message.contains(&address) && message.contains("--fix"), "{message}");
    let ports = ["--fix", "127.0.0.1:0", "--market-data", &address];
    let taken = expect_exit(&[&["start", "--data", &data], &ports[..]].concat(), 1);
    let message = stderr(&taken);
    assert!(message.contains(&address) && message.contains("--market-data"), "{message}");
    assert!(!other.data().exists(), "a start that can't listen makes nothing");
    // Both taken: it is the same venue, most likely.
    let data = text(&place.data());
    let message = stderr(&expect_exit(&["start", "--data", &data, "--fix", &address], 1));
    assert!(message.contains(&format!("process {}", venue.child.id())), "{message}");
}

#[test]
fn metrics_are_where_the_start_says() {
    let place = Place::new();
    let mut venue = place.start_with("[metrics]\nlisten = \"127.0.0.1:0\"\n");
    let printed = venue.printed();
    let line = printed.lines().find(|line| line.starts_with("  Metrics ")).expect("a line");
    let address = line.split("http://").nth(1).and_then(|url| url.strip_suffix("/metrics"));
    let mut stream = TcpStream::connect(address.expect("an address")).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\nironbook_build_info{version="), "{answer}");
    assert_eq!(venue.end("TERM"), Some(0));
    // Not for everybody, unless it is said so.
    let arguments = ["start", "--metrics", "0.0.0.0:0", "--data", &text(&place.data())];
    let refused = stderr(&expect_exit(&arguments, 2));
    assert!(refused.contains("metrics.listen = 0.0.0.0:0: is no loopback"), "{refused}");
}

#[test]
fn a_read_only_file_system_is_refused() {
    let place = Place::new();
    let name = "a_read_only_file_system_is_refused";
    let Some(mounted) = Mount::tmpfs(name, place.data(), "size=8m") else { return };
    mounted.remount("remount,ro");
    let message = place.refused(1);
    assert!(message.contains(&text(&place.data())), "{message}");
    assert!(message.contains("can't be written"), "{message}");
}

#[test]
fn a_full_disk_makes_orders_wait_and_loses_none() {
    let place = Place::new();
    let name = "a_full_disk_makes_orders_wait_and_loses_none";
    let Some(mounted) = Mount::tmpfs(name, place.data(), "size=8m") else { return };
    let venue = place.start();
    let ballast = mounted.0.join("ballast");
    // Whatever is left of the disk.
    assert!(fs::write(&ballast, vec![1; 8 << 20]).is_err(), "the disk is full now");
    orders_wait_and_none_is_lost(&place, venue, "No space left on device", || {
        fs::remove_file(&ballast).unwrap();
    });
}

#[test]
fn a_directory_made_read_only_makes_orders_wait_and_loses_none() {
    let place = Place::new();
    let name = "a_directory_made_read_only_makes_orders_wait_and_loses_none";
    let Some(someone) = Unprivileged::at(name, &place) else { return };
    let mode = |mode| fs::set_permissions(place.data(), Permissions::from_mode(mode)).unwrap();
    mode(0o555);
    let message = someone.refused(&place, 1);
    assert!(message.contains(&text(&place.data())), "{message}");
    assert!(message.contains("can't be written") && message.contains("its mode"), "{message}");
    mode(0o755);
    let venue = someone.start(&place);
    mode(0o555);
    orders_wait_and_none_is_lost(&place, venue, "Permission denied", || mode(0o755));
}

/// Under load, with a journal that can't grow, until that is mended.
fn orders_wait_and_none_is_lost(
    place: &Place,
    mut venue: Running,
    problem: &str,
    mend: impl FnOnce(),
) {
    const ORDERS: usize = 15_000;
    let mut client = venue.client("TRADER1");
    let order = |number| limit(&format!("o{number}"), "AAPL", "1", "1", "100.00");
    let bytes = client.build_next("D", (0..ORDERS).map(order));
    let mut stream = client.stream().try_clone().unwrap();
    stream.set_write_timeout(None).unwrap();
    let sender = thread::spawn(move || std::io::Write::write_all(&mut stream, &bytes));
    wait_for("the venue says what is wrong", || {
        let logged = venue.logged();
        logged.contains(problem) && logged.contains("trading waits")
    });
    let mut acknowledged = Vec::new();
    let mut take = |client: &mut FixClient| {
        for report in client.pending() {
            if report.matches("35=8|150=0") {
                acknowledged.push(report.get(11).unwrap().to_owned());
            }
        }
        acknowledged.len()
    };
    let before = take(&mut client);
    assert!(before < ORDERS, "orders wait");
    assert!(venue.child.try_wait().unwrap().is_none(), "the venue stays up");
    mend();
    wait_for("all orders go through", || take(&mut client) == ORDERS);
    sender.join().unwrap().unwrap();
    assert!(acknowledged.iter().enumerate().all(|(number, id)| *id == format!("o{number}")));
    wait_for("the venue says that it is over", || venue.logged().contains("works again"));
    drop(client);
    assert_eq!(venue.end("TERM"), Some(0));
    expect_exit(&["verify", &text(&place.data())], 0);
    let replayed = json(&expect_exit(&["replay", "--json", &text(&place.data())], 0));
    assert_eq!(replayed["books"][0]["live_orders"], ORDERS);
}

/// A full disk, and a death in the middle of it.
#[test]
fn a_kill_on_a_full_disk_loses_nothing_acknowledged() {
    let place = Place::new();
    let name = "a_kill_on_a_full_disk_loses_nothing_acknowledged";
    let Some(mounted) = Mount::tmpfs(name, place.data(), "size=8m") else { return };
    let mut venue = place.start();
    assert!(fs::write(mounted.0.join("ballast"), vec![1; 8 << 20]).is_err(), "the disk is full");
    let mut client = venue.client("TRADER1");
    client.stream().set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let (mut acknowledged, mut sent) = (0, 0);
    wait_for("the disk is full and sockets are no longer read", || {
        // What is read before the kill counts: the reset of a connection takes the rest with it.
        let accepted = |report: &common::Msg| report.matches("35=8|150=0");
        acknowledged += client.pending().iter().filter(|report| accepted(report)).count();
        let order = |number| limit(&format!("o{number}"), "AAPL", "1", "1", "100.00");
        let bytes = client.build_next("D", (sent..sent + 50).map(order));
        sent += 50;
        client.try_send_raw(&bytes).is_err()
    });
    let logged = venue.logged();
    assert!(logged.contains("No space left on device"), "{logged}");
    venue.end("KILL");
    assert!(acknowledged > 1_000, "{acknowledged}");
    let again = place.start();
    let replayed = json(&expect_exit(&["replay", "--json", &text(&place.data())], 0));
    assert!(replayed["books"][0]["live_orders"].as_u64().unwrap() >= acknowledged as u64);
    drop(again);
    // What a start journals has to fit into the last bytes, too: it is refused instead of waiting for the disk.
    let config = fs::read_to_string(place.config()).unwrap();
    let more =
        |number| format!("[[instrument]]\nsymbol = \"S{number}\"\ntick = \"0.01\"\nlot = \"1\"\n");
    let instruments: String = (0..300).map(more).collect();
    fs::write(place.config(), instruments + &config).unwrap();
    let message = place.refused(1);
    assert!(message.contains("No space left on device"), "{message}");
    assert!(message.contains("make room, then start again"), "{message}");
    fs::remove_file(mounted.0.join("ballast")).unwrap();
    drop(place.start());
}

/// A journal with some hundred orders, stopped in order or killed.
fn written(journal: &str, signal: &str) -> Place {
    let place = Place::with(journal);
    let mut venue = place.start();
    let mut client = venue.client("TRADER1");
    for number in 0..300 {
        client.rest(&format!("o{number}"), "AAPL", "1", "1", "100.00");
    }
    drop(client);
    venue.end(signal);
    place
}

fn segment(place: &Place) -> PathBuf {
    place.data().join("0000000000.seg")
}

/// Changes one byte of the first segment.
fn damage(place: &Place, offset: usize, change: impl Fn(u8) -> u8) {
    let mut bytes = fs::read(segment(place)).unwrap();
    bytes[offset] = change(bytes[offset]);
    fs::write(segment(place), bytes).unwrap();
}

#[test]
fn another_version_is_refused_by_its_name() {
    let place = written("", "TERM");
    // The version follows the eight bytes of the magic number.
    assert_eq!(fs::read(segment(&place)).unwrap()[8], 1);
    damage(&place, 8, |version| version + 1);
    let before = fs::read(segment(&place)).unwrap();
    for arguments in [["verify"], ["replay"], ["repair"]] {
        let output = expect_exit(&[arguments[0], &text(&place.data())], 4);
        let message = stdout(&output) + &stderr(&output);
        assert!(message.contains("version 2") && message.contains("version 1"), "{message}");
    }
    let message = place.refused(4);
    assert!(message.contains("version 2") && message.contains("version 1"), "{message}");
    assert_eq!(fs::read(segment(&place)).unwrap(), before, "nothing was changed");
}

#[test]
fn damage_is_found_named_and_left_alone() {
    let place = written("", "TERM");
    let data = text(&place.data());
    let offset = 40_000;
    damage(&place, offset, |byte| byte ^ 0x10);
    let before = fs::read(segment(&place)).unwrap();
    let verified = expect_exit(&["verify", &data], 3);
    let message = stdout(&verified);
    assert!(message.contains("0000000000.seg is corrupt at offset "), "{message}");
    assert!(message.contains(&format!("Next: ironbook repair {data}")), "{message}");
    let sequence = message.lines().find(|line| line.starts_with("Sequence     1 to "));
    let sequence = sequence.expect("what can be read");
    assert!(sequence.ends_with(", where the last whole group ends"), "{message}");
    let report = json(&expect_exit(&["verify", "--json", &data], 3));
    assert_eq!(report["exit"], 3);
    let last_good = message.split("after sequence ").nth(1).unwrap().split(':').next().unwrap();
    assert!(last_good.parse::<u64>().unwrap() > 20, "{message}");
    for message in [stderr(&expect_exit(&["replay", &data], 3)), place.refused(3)] {
        assert!(message.contains("0000000000.seg"), "{message}");
        let found: usize =
            message.split("offset ").nth(1).unwrap().split(':').next().unwrap().parse().unwrap();
        assert!((offset - 1_000..=offset).contains(&found), "{message}");
        assert!(message.contains(&format!("last good sequence is {last_good}")), "{message}");
        assert!(message.contains(&format!("ironbook repair {data}")), "{message}");
    }
    assert_eq!(fs::read(segment(&place)).unwrap(), before, "nothing was changed");
    // What is before the damage can be looked at.
    expect_exit(&["replay", &data, "--until", last_good], 0);
    let advised = message.split("--until ").nth(1).expect("advice").trim();
    expect_exit(&["replay", &data, "--until", advised], 0);
}

/// Every segment under a directory, with its bytes.
fn segments(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(segments(&path));
        } else if path.extension().is_some_and(|extension| extension == "seg") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            files.push((name, fs::read(&path).unwrap()));
        }
    }
    files.sort();
    files
}

#[test]
fn repair_says_what_is_lost_and_does_it_only_when_told() {
    let place = written("", "TERM");
    let data = text(&place.data());
    let sound = stdout(&expect_exit(&["repair", &data], 0));
    assert!(sound.contains("nothing to repair"), "{sound}");
    let whole = json(&expect_exit(&["verify", "--json", &data], 0));
    let last = whole["last_sequence"].as_u64().unwrap();
    damage(&place, 40_000, |byte| byte ^ 0x10);
    let before = segments(&place.data());

    let said = stdout(&expect_exit(&["repair", &data], 1));
    let kept: u64 = said.split("--to ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(kept > 20 && kept < last, "{said}");
    for expected in [
        "0000000000.seg at offset ",
        &format!("sequence 1 to {kept}, where the last whole group ends, the last of "),
        &format!("Lost         sequence {} to {last} or later; ", kept + 1),
        " ns since 1970",
        "WARNING      Clients may have been told what is lost, and the disk had confirmed it",
        "1. make the directory damaged-1",
        "copy segment 0 to damaged-1",
        "Nothing was changed.",
        &format!("Next: ironbook repair {data} --to {kept} --yes"),
    ] {
        assert!(said.contains(expected), "{expected:?} is missing in\n{said}");
    }
    let (to, other) = (kept.to_string(), (kept - 1).to_string());
    expect_exit(&["repair", &data, "--yes"], 2);
    expect_exit(&["repair", &data, "--to", &to], 1);
    let wrong = stderr(&expect_exit(&["repair", &data, "--to", &other, "--yes"], 2));
    assert!(wrong.contains(&format!("the last sequence to keep is {kept};")), "{wrong}");
    assert_eq!(segments(&place.data()), before, "nothing was changed");

    let done = stdout(&expect_exit(&["repair", &data, "--to", &to, "--yes"], 0));
    for next in ["verify", "replay", "start --data"] {
        assert!(done.contains(&format!("ironbook {next} {data}")), "{done}");
    }
    let after = segments(&place.data());
    assert!(before.iter().all(|file| after.contains(file)), "every byte is still there");
    let verified = json(&expect_exit(&["verify", "--json", &data], 0));
    assert_eq!(verified["last_sequence"], kept);
    let replayed = json(&expect_exit(&["replay", "--json", &data], 0));
    assert_eq!(replayed["last_sequence"], kept);
    let again = place.start();
    let live = stderr(&expect_exit(&["repair", &data], 1));
    assert!(live.contains(&format!("in use by process {}", again.child.id())), "{live}");
    let mut client = again.client("TRADER1");
    client.rest("after", "AAPL", "1", "1", "100.00");
}

#[test]
fn repair_loses_nothing_with_a_header_and_gives_up_where_nothing_can_be_known() {
    let place = written("", "TERM");
    let data = text(&place.data());
    let before = json(&expect_exit(&["replay", "--json", &data], 0));
    let last = before["last_sequence"].as_u64().unwrap();
    damage(&place, 50, |byte| byte ^ 1);
    let message = place.refused(3);
    assert!(message.contains(&format!("ironbook repair {data}")), "{message}");
    let said = stdout(&expect_exit(&["repair", &data], 1));
    assert!(said.contains("Lost         nothing") && said.contains("make the header"), "{said}");
    expect_exit(&["repair", &data, "--to", &last.to_string(), "--yes"], 0);
    assert_eq!(json(&expect_exit(&["replay", "--json", &data], 0)), before);

    // Without the segments before it, nothing tells what a damaged header said.
    fs::rename(segment(&place), place.data().join("0000000007.seg")).unwrap();
    for entry in ["0000000001.seg", "0000000002.seg"] {
        let _ = fs::remove_file(place.data().join(entry));
    }
    let mut bytes = fs::read(place.data().join("0000000007.seg")).unwrap();
    bytes[50] ^= 1;
    fs::write(place.data().join("0000000007.seg"), bytes).unwrap();
    let hopeless = stderr(&expect_exit(&["repair", &data], 3));
    assert!(hopeless.contains("put one of them back from a copy"), "{hopeless}");
}

#[test]
fn a_torn_tail_is_cut_and_said() {
    // Nothing is durable yet when the process dies, so damage at the end is an unfinished write.
    let place = written("sync_interval_ms = 3600000", "KILL");
    let data = text(&place.data());
    expect_exit(&["verify", &data], 0);
    let before = json(&expect_exit(&["replay", "--json", &data], 0));
    let end = fs::read(segment(&place)).unwrap().iter().rposition(|byte| *byte != 0).unwrap();
    damage(&place, end, |byte| !byte);
    let verified = stdout(&expect_exit(&["verify", &data], 1));
    assert!(verified.contains("unfinished write in"), "{verified}");
    let said = stdout(&expect_exit(&["repair", &data], 0));
    assert!(said.contains("unfinished write") && said.contains("nothing to repair"), "{said}");
    let mut venue = place.start();
    let printed = venue.printed();
    assert!(printed.contains("bytes of an unfinished write were cut and moved aside"), "{printed}");
    let aside = fs::read_dir(place.data()).unwrap().any(|entry| {
        entry.unwrap().file_name().to_str().is_some_and(|name| name.starts_with("torn-"))
    });
    assert!(aside, "a copy of what was cut");
    assert_eq!(venue.end("TERM"), Some(0));
    expect_exit(&["verify", &data], 0);
    let after = json(&expect_exit(&["replay", "--json", &data], 0));
    let live = |value: &Value| value["books"][0]["live_orders"].as_u64().unwrap();
    assert!(live(&before) - live(&after) <= 1, "at most the last frame's order is gone");
}

#[test]
fn acknowledged_orders_survive_sigkill() {
    const ROUNDS: usize = 5;
    const ORDERS_MAX: usize = 20_000;
    let mut random = seeded();
    let place = Place::new();
    for round in 0..ROUNDS as u32 {
        let mut venue = place.start();
        let mut client = venue.client("TRADER1");
        let delay = Duration::from_micros(random.below(60_000));
        let pid = venue.child.id().to_string();
        let killer = thread::spawn(move || {
            thread::sleep(delay);
            let killed = Command::new("kill").args(["-s", "KILL", &pid]).status();
            assert!(killed.unwrap().success());
        });
        let (mut sent, mut acknowledged) = (0, Vec::new());
        let mut note = |report: common::Msg| {
            assert!(report.matches("35=8|150=0|39=0"), "{report:?}");
            acknowledged.push(report.get(11).unwrap().to_owned());
        };
        while sent < ORDERS_MAX {
            let order = |number| limit(&format!("r{round}-{number}"), "AAPL", "2", "1", "200.00");
            let bytes = client.build_next("D", (sent..sent + 20).map(order));
            sent += 20;
            if client.try_send_raw(&bytes).is_err() {
                break;
            }
            client.pending().into_iter().for_each(&mut note);
        }
        killer.join().unwrap();
        venue.child.wait().unwrap();
        while let Some(report) = client.receive() {
            note(report);
        }

        // The kill may have come in the middle of a write: 1 then, and never anything worse.
        let verified = tool(&["verify", &text(&place.data())]);
        assert!(matches!(verified.status.code(), Some(0 | 1)), "{}", stdout(&verified));
        let mut venue = place.start();
        let mut owner = venue.client("TRADER1");
        let mut taker = venue.client("TRADER2");
        let all = format!("s{round}");
        taker.send("D", &format!("{}|59=3", limit(&all, "AAPL", "1", "1000000", "200.00")));
        taker.expect("35=8|150=0");
        let mut filled = Vec::new();
        loop {
            let report = taker.expect(&format!("35=8|11={all}"));
            if report.matches("150=4") {
                break;
            }
            assert!(report.matches("150=F|32=1"), "{report:?}");
            let fill = owner.expect("35=8|150=F|39=2");
            filled.push(fill.get(11).unwrap().to_owned());
        }
        // What was acknowledged was there, and before it in the queue only what was sent before.
        let expected = (0..filled.len()).map(|number| format!("r{round}-{number}"));
        assert!(
            expected.eq(filled.iter().cloned()),
            "round {round}: the queue's order: {filled:?}"
        );
        assert!(
            filled.len() >= acknowledged.len() && filled.len() <= sent,
            "round {round}: {} acknowledged, {} there, {sent} sent",
            acknowledged.len(),
            filled.len()
        );
        assert_eq!(filled[..acknowledged.len()], acknowledged, "round {round}");
        println!("round {round}: {delay:?}, {sent} sent, {} acknowledged", acknowledged.len());
        drop((owner, taker));
        assert_eq!(venue.end("TERM"), Some(0));
    }
    expect_exit(&["replay", &text(&place.data())], 0);
}

#[test]
fn send_tells_by_its_status_what_became_of_the_order() {
    let place = Place::new();
    let mut venue = place.start();
    let address = venue.address.to_string();
    let accepted =
        stdout(&expect_exit(&["send", "--fix", &address, "sell", "100", "AAPL", "189.50"], 0));
    assert!(accepted.contains("New, order "), "{accepted}");
    assert!(accepted.contains("status New, done 0, left 100"), "{accepted}");
    let traded = stdout(&expect_exit(
        &["send", "--fix", &address, "--as", "TRADER2", "buy", "40", "AAPL", "190"],
        0,
    ));
    assert!(traded.contains("Trade, order ") && traded.contains(": 40 at 189.50"), "{traded}");
    let rejected =
        stdout(&expect_exit(&["send", "--fix", &address, "buy", "40", "AAPL", "189.505"], 1));
    assert!(rejected.contains("price 189.505 is not a multiple of the tick 0.01"), "{rejected}");
    let market = stdout(&expect_exit(&["send", "--fix", &address, "buy", "10", "AAPL"], 0));
    assert!(market.contains(": 10 at 189.50"), "{market}");
    let usage = stderr(&expect_exit(&["send", "--fix", &address, "buy", "ten", "AAPL"], 2));
    assert!(usage.contains("\"ten\""), "{usage}");
    let stranger =
        stderr(&expect_exit(&["send", "--fix", &address, "--as", "ME", "buy", "1", "AAPL"], 1));
    assert!(stranger.contains("check the comp id (--as"), "{stranger}");
    // What can be pasted next: beside the data directory of a running venue it is known.
    let beside = place.data().parent().unwrap().to_owned();
    let unknown = "\nNext: ironbook replay DIR, with the directory that the venue's first lines";
    let elsewhere = Valve::with_edit(venue.address, str::to_owned);
    for (dir, address, next) in [
        (&*beside, &*address, "\nNext: ironbook replay data\n"),
        (Path::new("/"), &address, unknown),
        (&beside, &elsewhere.address().to_string(), unknown),
    ] {
        let mut send = Command::new(env!("CARGO_BIN_EXE_ironbook"));
        send.args(["send", "--fix", address, "buy", "1", "AAPL", "1.00"]).current_dir(dir);
        let shown = stdout(&send.output().unwrap());
        assert!(shown.contains(next), "{shown}");
    }
    let garbling =
        Valve::with_edit(venue.address, |message| message.replace("|54=1|", "|54=wrong|"));
    let garbled = garbling.address().to_string();
    let refused = stdout(&expect_exit(&["send", "--fix", &garbled, "buy", "1", "AAPL"], 1));
    let expected = "Refused by the session: Incorrect data format for value";
    assert!(refused.contains(expected), "{refused}");
    assert_eq!(venue.end("TERM"), Some(0));
    let nobody = stderr(&expect_exit(&["send", "--fix", &address, "buy", "1", "AAPL"], 1));
    assert!(nobody.contains("is the venue running (ironbook start)?"), "{nobody}");
}

#[test]
fn send_logs_on_with_a_password_that_no_command_line_shows() {
    let place = Place::new();
    let mut config = fs::read_to_string(place.config()).unwrap();
    let password = stdout(&hash(b"a secret of ours\n", 0)).trim_end().to_owned();
    config += &format!(
        "[[session]]\ncomp_id = \"TRADER1\"\nusername = \"me\"\npassword = \"{password}\"\n"
    );
    fs::write(place.config(), config).unwrap();
    let venue = place.start();
    let file = place.config().with_file_name("password");
    fs::write(&file, "a secret of ours\nnot this\n").unwrap();
    let send = |more: &[&str], variable: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ironbook"));
        command.args(["send", "--fix", &venue.address.to_string(), "buy", "1", "AAPL", "1.00"]);
        command.args(more).env_remove("IRONBOOK_PASSWORD");
        if let Some(value) = variable {
            command.env("IRONBOOK_PASSWORD", value);
        }
        command.output().unwrap()
    };
    let file = text(&file);
    for (more, variable, code, expected) in [
        (&["--username", "me", "--password-file", &file][..], None, 0, ""),
        (&["--username", "me"], Some("a secret of ours"), 0, ""),
        (&["--username", "me"], Some("another one"), 1, "Password (554) is wrong"),
        (&["--username", "me"], None, 2, "needs a password"),
        (&["--password-file", "/no/such/file"], None, 2, "--password-file /no/such/file: "),
        (&["--tls-ca", "/no/such/file"], None, 2, "--tls-ca /no/such/file: "),
        (&["--tls-name", "venue"], None, 2, "--tls-ca <FILE>"),
    ] {
        let output = send(more, variable);
        assert_eq!(output.status.code(), Some(code), "{more:?}: {output:?}");
        assert!(stderr(&output).contains(expected), "{output:?}");
        assert!(!format!("{output:?}").contains("another one"), "{output:?}");
    }
}

#[test]
fn load_and_replay_count_alike() {
    let place = Place::new();
    let data = text(&place.data());
    let mut venue = place.start();
    let address = venue.address.to_string();
    let load = json(&expect_exit(&["load", "--fix", &address, "--orders", "5000", "--json"], 0));
    let count = |value: &Value, name: &str| value[name].as_u64().unwrap();
    let requests = count(&load, "orders") + count(&load, "replaces") + count(&load, "cancels");
    assert_eq!((requests, count(&load, "unanswered")), (5_000, 0));
    assert!(count(&load, "fills") > 0);

    // While the venue runs.
    let live = json(&expect_exit(&["replay", "--json", &data], 0));
    assert_eq!(count(&live, "trades") * 2, count(&load, "fills"));
    let verified = json(&expect_exit(&["verify", "--json", &data], 0));
    assert_eq!(verified["live"], true);
    assert_eq!(venue.end("TERM"), Some(0));

    let replays = [0, 1].map(|_| json(&expect_exit(&["replay", "--json", &data], 0)));
    assert_eq!(replays[0], replays[1], "two replays come to the same");
    let replay = &replays[0];
    assert_eq!(replay["identical"], true);
    assert_eq!(count(replay, "trades") * 2, count(&load, "fills"));
    let rejects: u64 =
        load["rejects"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(count(replay, "rejects"), rejects);
    // Beside the requests: what the venue's configuration made known, nothing else.
    let known = count(replay, "commands") - requests;
    assert_eq!(known, 1 + 6 + 10, "limits, instruments, sessions");
    let printed = venue.printed();
    assert!(printed.contains(replay["state_hash"].as_str().unwrap()), "{printed}");
    let frames = count(replay, "frames");
    assert_eq!(count(&json(&expect_exit(&["verify", "--json", &data], 0)), "frames"), frames);

    let half = (frames / 2).to_string();
    let until = json(&expect_exit(&["replay", "--json", "--until", &half, &data], 0));
    assert_eq!((count(&until, "frames"), count(&until, "last_sequence")), (frames / 2, frames / 2));
    assert_ne!(until["state_hash"], replay["state_hash"]);

    let inspected =
        stdout(&expect_exit(&["inspect", "--json", "--from", &half, "--limit", "50", &data], 0));
    let lines: Vec<Value> =
        inspected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 50);
    for (offset, line) in lines.iter().enumerate() {
        assert_eq!(count(line, "sequence"), frames / 2 + offset as u64);
        assert_ne!(line["name"], "unknown", "{line}");
    }
    let people = stdout(&expect_exit(&["inspect", "--limit", "3", &data], 0));
    assert!(people.contains("first sequence") && people.contains("Limits"), "{people}");
    assert!(people.contains("--from 4"), "{people}");
}

#[test]
fn phases_tell_starts_stops_and_deaths() {
    let place = Place::new();
    let data = text(&place.data());
    let phases = || json(&expect_exit(&["inspect", &data, "--phases", "--json"], 0));
    let mut venue = place.start();
    let mut client = venue.client("TRADER1");
    client.rest("one", "AAPL", "1", "10", "100.00");
    assert_eq!(venue.end("TERM"), Some(0), "{}", venue.logged());
    drop(client);
    // Nothing is new, and nobody comes: this one is in the header only.
    let mut venue = place.start();
    assert_eq!(venue.end("TERM"), Some(0));
    let found = phases();
    assert_eq!((&found["opened_to_be_written"], &found["starts"]["count"]), (&2.into(), &1.into()));
    assert_eq!(found["starts"]["listed"][0]["end"], "stopped");

    let mut venue = place.start();
    let client = venue.client("TRADER1");
    venue.end("KILL");
    drop(client);
    let symbols = "[[instrument]]\nsymbol = \"AAPL\"\ntick = \"0.01\"\nlot = \"1\"\nstatus = \"halted\"\n\
                   [[instrument]]\nsymbol = \"ZZZ\"\ntick = \"0.01\"\nlot = \"1\"\n";
    let venue = place.start_with(symbols);
    // It is asked while it runs.
    let found = phases();
    assert_eq!((&found["opened_to_be_written"], &found["starts"]["count"]), (&4.into(), &3.into()));
    let starts = found["starts"]["listed"].as_array().unwrap();
    let of = |key: &str| starts.iter().map(|run| run[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("seen_by"), ["first_frame", "session", "announced"]);
    assert_eq!(of("end"), ["stopped", "died", "end_of_journal"]);
    assert_eq!(of("sessions_lost"), [0, 0, 1]);
    assert_eq!(of("requests"), [1, 0, 0]);
    let news = |run: &Value| [&run["instruments"], &run["statuses"]].map(|of| of.as_u64().unwrap());
    assert_eq!(news(&starts[2]), [1, 1], "{found:#}");
    let halted = &found["instruments"][0]["statuses"]["listed"][1];
    assert_eq!((&halted["status"], &halted["by"]["venue"]), (&"Halted".into(), &"start".into()));
    let gone = starts[1]["last"]["sequence"].as_u64().unwrap();
    assert_eq!(starts[2]["first"]["sequence"], gone + 1);
    drop(venue);
}

#[test]
fn a_status_that_nobody_asked_for_is_of_a_start() {
    let place = Place::new();
    let data = text(&place.data());
    let mut venue = place.start_with("[operator]\nenabled = true\n");
    operator(&place, "halt AAPL --as ann --reason x", 0);
    assert_eq!(venue.end("INT"), Some(0), "{}", venue.logged());
    // It opens the instrument, as the configuration has it open, and journals nothing else.
    let mut venue = place.start();
    assert_eq!(venue.end("INT"), Some(0), "{}", venue.logged());
    let phases = || json(&expect_exit(&["inspect", &data, "--phases", "--json"], 0));
    let found = phases();
    assert_eq!((&found["opened_to_be_written"], &found["starts"]["count"]), (&2.into(), &2.into()));
    let start = &found["starts"]["listed"][1];
    assert_eq!((&start["statuses"], &start["seen_by"]), (&1.into(), &"announced".into()));
    let actions = found["venue_actions"]["listed"].as_array().unwrap();
    assert!(actions.iter().all(|action| action["by"]["operator"] == "ann"), "{found:#}");
    assert_eq!(actions.len(), 1, "{found:#}");
    // The next one halts one of several: the audit would halt all. The one behind it opens that again.
    let config = fs::read_to_string(place.config()).unwrap();
    let halted =
        "[[instrument]]\nsymbol = \"AAPL\"\ntick = \"0.01\"\nlot = \"1\"\nstatus = \"halted\"\n";
    let mut venue = place.start_with(halted);
    assert_eq!(venue.end("INT"), Some(0), "{}", venue.logged());
    fs::write(place.config(), config).unwrap();
    let mut venue = place.start();
    assert_eq!(venue.end("INT"), Some(0), "{}", venue.logged());
    let found = phases();
    assert_eq!((&found["opened_to_be_written"], &found["starts"]["count"]), (&4.into(), &4.into()));
    assert_eq!(found["venue_actions"]["count"], 1, "{found:#}");
    let statuses = found["starts"]["listed"].as_array().unwrap().iter().map(|run| &run["statuses"]);
    assert_eq!(statuses.collect::<Vec<_>>(), [0, 1, 1, 1]);
}

#[test]
fn load_plays_a_file_of_market_data() {
    let place = Place::new();
    let file = place.dir.path().join("events.csv");
    let mut csv = "id,timestamp,exchange.timestamp,price,volume,action,direction\n".to_owned();
    let mut line = |id: u64, price: &str, volume: u64, action: &str, direction: &str| {
        let time = 1_430_438_400_000 + id;
        csv += &format!("{id},{time},{time},{price},{volume},{action},{direction}\n");
    };
    line(1, "236.50", 200_000_000, "created", "bid");
    line(2, "237.00", 150_000_000, "created", "ask");
    line(1, "236.50", 120_000_000, "changed", "bid");
    line(3, "236.40", 100_000_000, "created", "ask");
    line(2, "237.00", 0, "deleted", "ask");
    line(9, "230.00", 0, "deleted", "bid");
    fs::write(&file, csv).unwrap();
    let mut venue = place.start();
    let address = venue.address.to_string();
    let load =
        json(&expect_exit(&["load", "--fix", &address, "--json", "--file", &text(&file)], 0));
    for (name, expected) in [("orders", 3), ("replaces", 1), ("cancels", 2), ("fills", 2)] {
        assert_eq!(load[name], expected, "{name}: {load}");
    }
    assert_eq!(load["rejects"]["this session has no such order"], 1, "{load}");
    assert_eq!(venue.end("TERM"), Some(0));
    let replay = json(&expect_exit(&["replay", "--json", &text(&place.data())], 0));
    let books = replay["books"].as_array().unwrap();
    let book = books.iter().find(|book| book["symbol"] == "BTC-USD").unwrap();
    assert_eq!(book["bids"], serde_json::json!([["236.50", "0.20000000", 1]]));
    assert_eq!(book["asks"], serde_json::json!([]));

    fs::write(&file, "id,timestamp,exchange.timestamp,price,volume,action,direction\n1,2\n")
        .unwrap();
    let venue = place.start();
    let address = venue.address.to_string();
    let wrong = stderr(&expect_exit(&["load", "--fix", &address, "--file", &text(&file)], 2));
    assert!(wrong.contains("line 2"), "{wrong}");
}

#[test]
fn a_file_without_events_is_refused_before_a_venue_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let header = "id,timestamp,exchange.timestamp,price,volume,action,direction\n";
    let mut xz = b"\xfd7zXZ\0".to_vec();
    xz.extend([0; 20]);
    for (name, bytes, format, expected) in [
        ("empty.csv", &b""[..], "bitstamp", "holds no events: orders created, changed or deleted"),
        ("header.csv", header.as_bytes(), "bitstamp", "holds no events"),
        ("empty.lob", b"", "lobster", "holds no events: messages of type 1 to 4 are expected"),
        ("hidden.lob", b"34200.3,5,0,10,5853300,1\n", "lobster", "holds no events"),
        ("other.csv", b"name,age\nann,7\n", "bitstamp", "line 1: it is neither an event nor the"),
        ("no.csv.xz", header.as_bytes(), "bitstamp", "no.csv.xz ends in .xz, but is no xz file"),
        ("cut.csv.xz", &xz, "bitstamp", "cut.csv.xz ends in .xz, but is damaged or cut short ("),
    ] {
        let file = dir.path().join(name);
        fs::write(&file, bytes).unwrap();
        let load = ["load", "--fix", "127.0.0.1:1", "--format", format, "--file", &text(&file)];
        let said = stderr(&expect_exit(&load, 2));
        assert!(said.contains(expected), "{name}: {said}");
    }
}

/// Lines for [`Place::with`] that make snapshots often.
fn snapshots_often(old_segments: &str, every_commands: u32) -> String {
    format!(
        "sync_interval_ms = 5\nold_segments = \"{old_segments}\"\n\
         [snapshot]\nevery_commands = {every_commands}"
    )
}

/// Snapshots of a place, the oldest first.
fn snapshots(place: &Place) -> Vec<PathBuf> {
    let files = fs::read_dir(place.data()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "snap"))
        .collect();
    found.sort();
    found
}

/// A venue that makes snapshots every thousand commands, under load until its first segment is gone.
/// The follower takes its time, so the venue runs until then: a stop would not wait for it.
#[track_caller]
fn without_first_segment(old_segments: &str) -> (Place, Running) {
    let place = Place::with(&snapshots_often(old_segments, 1_000));
    let venue = place.start();
    let address = venue.address.to_string();
    expect_exit(&["load", "--fix", &address, "--orders", "20000", "--json"], 0);
    let mut client = venue.client("TRADER1");
    let mut sent = 0;
    // A few more now and then: without new commands there is no new snapshot.
    wait_for("the first segment is gone", || {
        client.send("D", &(limit(&format!("o{sent}"), "AAPL", "1", "1", "0.01") + "|59=3"));
        client.expect("35=8|150=0");
        client.expect("35=8|150=4");
        sent += 1;
        !segment(&place).exists()
    });
    (place, venue)
}

/// A number as people read it.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

/// The state in a text, behind this word.
fn state_in(text: &str) -> &str {
    let state = text.split("tate ").nth(1).expect("a state").trim_start();
    &state[..16]
}

#[test]
fn tools_work_where_the_first_segments_are_gone() {
    let (place, mut venue) = without_first_segment("remove");
    let data = text(&place.data());
    assert_eq!(venue.end("TERM"), Some(0), "{}", venue.logged());
    wait_for("the last line", || venue.printed().contains("Next: ironbook replay"));
    let printed = venue.printed();
    let stopped = printed.split("Stopped at").nth(1).expect("it says where it stopped");
    let state = state_in(stopped);
    // As many as are kept by default: a segment goes only when there are as many, and older ones go
    // with the writing of a new one.
    assert_eq!(snapshots(&place).len(), 2);

    let verified = stdout(&expect_exit(&["verify", &data], 0));
    for expected in
        ["Begins       at sequence", "frames 1 to", "good", "Every byte of the segments"]
    {
        assert!(verified.contains(expected), "{expected:?} is missing in\n{verified}");
    }
    let replayed = expect_exit(&["replay", &data], 0);
    assert_eq!(state_in(&stdout(&replayed)), state);
    let told = json(&expect_exit(&["replay", &data, "--json"], 0));
    let [snapshot, last, events] = ["snapshot_sequence", "last_sequence", "events"]
        .map(|name| told[name].as_u64().expect("a number"));
    for expected in [
        format!(
            "Snapshot     sequence {}; what came before is counted as it says",
            grouped(snapshot)
        ),
        format!(
            "Events       {}, those after sequence {} computed again and identical",
            grouped(events),
            grouped(snapshot)
        ),
    ] {
        let printed = stdout(&replayed);
        assert!(printed.contains(&expected), "{expected}\n{printed}");
    }
    // What is told of frames is told of those that were looked at.
    let compared = stdout(&expect_exit(&["diff", &data], 0));
    let same = format!(
        "Same         {} frames from sequence {} up to sequence {}\n",
        grouped(last - snapshot),
        grouped(snapshot + 1),
        grouped(last)
    );
    assert!(compared.contains(&same), "{same}\n{compared}");
    let compared = stdout(&expect_exit(&["diff", &data, &data], 0));
    assert!(compared.contains(" frames from sequence "), "{compared}");
    let client = stdout(&expect_exit(&["client", &data, "LOADGEN"], 0));
    let own = client.lines().find(|line| line.contains("self-trade")).expect("it trades alone");
    let since = own.split_once("; before, none since sequence ").expect("what was looked at").1;
    assert!(since.parse::<u64>().expect("a sequence") > 1, "{own}");
    let said = stderr(&replayed);
    assert!(said.contains("frames 1 to") && said.contains("begins at the snapshot"), "{said}");
    let before = expect_exit(&["replay", &data, "--until", "5"], 2);
    assert!(
        stderr(&before).contains("5 is before the oldest good snapshot"),
        "{}",
        stderr(&before)
    );
    let inspected = expect_exit(&["inspect", &data, "--limit", "1"], 0);
    assert!(stderr(&inspected).contains("frames 1 to"), "{}", stderr(&inspected));
    assert_eq!(stdout(&inspected).matches("segment").count(), 1, "the first that is there");
    let phases = stdout(&expect_exit(&["inspect", &data, "--phases"], 0));
    for expected in ["  the beginning is gone", " Open     all the time: AAPL MSFT"] {
        assert!(phases.contains(expected), "{expected}\n{phases}");
    }
    // What a plan sums up begins there too, and it says so.
    let plan = stdout(&expect_exit(&["bust", &data, "--symbol", "AAPL"], 0));
    assert!(plan.contains("\nPLAN positions and cash count from sequence"), "{plan}");
    // So does every question, and what is not found may have been before.
    for question in ["top", "trades --limit 1", "client TRADER1", "replay --at start", "book"] {
        let (name, rest) = question.split_once(' ').unwrap_or((question, ""));
        let words: Vec<_> =
            [name, &data, "--json"].into_iter().chain(rest.split_whitespace()).collect();
        let asked = expect_exit(&words, 0);
        let said = stderr(&asked);
        assert!(said.contains("frames 1 to") && said.contains("told begins at"), "{said}");
        let answer = json(&asked);
        let gone = answer["gone"].as_str().expect("what is gone");
        assert!(gone.starts_with("frames 1 to "), "{gone}");
    }
    let missing = stderr(&expect_exit(&["replay", &data, "--at", "trade:1"], 1));
    assert!(
        missing.contains("no trade 1") && missing.contains("may have been before"),
        "{missing}"
    );

    let mut venue = place.start();
    assert!(venue.printed().contains("snapshot up to sequence"), "{}", venue.printed());
    assert_eq!(state_in(&venue.printed()), state);
    assert_eq!(venue.end("TERM"), Some(0));

    // A snapshot that is no good is a finding, and passed over.
    let newest = snapshots(&place).pop().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&newest, bytes).unwrap();
    let verified = stdout(&expect_exit(&["verify", &data], 1));
    assert!(verified.contains("payload fails its CRC; a start passes it over"), "{verified}");
    let mut venue = place.start();
    assert_eq!(state_in(&venue.printed()), state);
    let logged = venue.logged();
    assert!(logged.contains("WARN") && logged.contains(&text(&newest)), "{logged}");
    assert_eq!(venue.end("TERM"), Some(0));

    snapshots(&place).iter().for_each(|file| fs::remove_file(file).unwrap());
    let refused = place.refused(3);
    assert!(refused.contains("frames 1 to") && refused.contains("no good snapshot"), "{refused}");
    let verified = stdout(&expect_exit(&["verify", &data], 1));
    for expected in ["no venue can start from this journal", "Every byte of the segments"] {
        assert!(verified.contains(expected), "{expected:?} is missing in\n{verified}");
    }
    assert_eq!(json(&expect_exit(&["verify", "--json", &data], 1))["starts"], false);
    let replayed = expect_exit(&["replay", &data], 3);
    assert!(stderr(&replayed).contains("no good snapshot to begin at"), "{}", stderr(&replayed));
}

#[test]
fn packed_segments_are_told_with_the_way_back() {
    let (place, mut venue) = without_first_segment("compress");
    let data = text(&place.data());
    assert_eq!(venue.end("TERM"), Some(0), "{}", venue.logged());
    let replayed = expect_exit(&["replay", &data], 0);
    assert!(stderr(&replayed).contains("zstd -d "), "{}", stderr(&replayed));
    let top = json(&expect_exit(&["top", &data, "--json"], 0));
    let gone = top["gone"].as_str().expect("what is gone");
    assert!(gone.contains("zstd -d ") && !gone.contains(&data), "{gone}");
    let verified = stdout(&expect_exit(&["verify", &data], 0));
    assert!(verified.contains("0000000000.seg.zst"), "{verified}");
    assert_eq!(json(&expect_exit(&["verify", "--json", &data], 0))["starts"], true);
}

#[test]
fn a_kill_while_a_snapshot_is_written_leaves_the_one_before() {
    const ROUNDS: u32 = 6;
    let mut random = seeded();
    // A snapshot is under way nearly all the time.
    let place = Place::with(&snapshots_often("keep", 10));
    let data = text(&place.data());
    for round in 0..ROUNDS {
        // What a kill in the middle leaves behind.
        let unfinished = place.data().join("snapshot-00000000000000000003.snap.tmp");
        if round > 0 {
            fs::write(&unfinished, b"IRONSNAP").unwrap();
        }
        let mut venue = place.start();
        assert!(!unfinished.exists(), "it is swept");
        let (printed, logged) = (venue.printed(), venue.logged());
        assert_eq!(printed.contains("snapshot up to sequence"), round > 0, "{printed}");
        assert!(!logged.contains("an older snapshot is tried"), "round {round}: {logged}");
        let mut client = venue.client("TRADER1");
        let delay = Duration::from_micros(random.below(50_000));
        let mut sent = 0;
        // Not before there is one.
        wait_for("a snapshot", || {
            client.rest(&format!("r{round}-{sent}"), "AAPL", "1", "1", "100.00");
            sent += 1;
            !snapshots(&place).is_empty()
        });
        let pid = venue.child.id().to_string();
        let killer = thread::spawn(move || {
            thread::sleep(delay);
            let killed = Command::new("kill").args(["-s", "KILL", &pid]).status();
            assert!(killed.unwrap().success());
        });
        while client
            .try_send_raw(&client.build(
                "D",
                client.next_out,
                &limit(&format!("r{round}-{sent}"), "AAPL", "1", "1", "100.00"),
                common::Flaw::None,
            ))
            .is_ok()
        {
            client.next_out += 1;
            sent += 1;
            client.pending();
            if killer.is_finished() {
                break;
            }
        }
        killer.join().unwrap();
        venue.child.wait().unwrap();
        // Every snapshot there is whole, and of this journal.
        for file in snapshots(&place) {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let sequence = name.trim_start_matches("snapshot-").parse().unwrap();
            let read = ironbook_journal::snapshot::read(
                &ironbook_journal::FileStorage::new(place.data()),
                sequence,
            );
            assert!(read.is_ok(), "round {round}: {:?}", read.err());
        }
    }
    let mut venue = place.start();
    let state = state_in(&venue.printed()).to_owned();
    assert_eq!(venue.end("TERM"), Some(0));
    let replayed = expect_exit(&["replay", &data], 0);
    assert_eq!(state_in(&stdout(&replayed)), state, "as from the first frame");
}

/// Every stage has times, and they are in order. With a slow clock, as in a program that is not optimized, only some
/// turns are measured, and a short run may have none of them.
#[track_caller]
fn stages_are_told(stages: &Value, one_turn_in: u64) {
    let stages = stages.as_object().unwrap();
    assert_eq!(stages.len(), 10, "{stages:?}");
    for (name, told) in stages {
        let at = |what: &str| told[what].as_u64().unwrap();
        assert!(at("count") > 0 || one_turn_in > 1, "{name}: {told}");
        assert!(at("p50_ns") <= at("p99_ns") && at("p99_ns") <= at("max_ns"), "{name}: {told}");
    }
}

#[test]
fn bench_writes_figures_distributions_and_a_report() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    // What an earlier run left behind.
    fs::create_dir(&out).unwrap();
    fs::write(out.join("fix-1.hgrm"), "old").unwrap();
    let earlier = dir.path().join("earlier.json");
    let ratios = r#"{"points": [{"rate": 1000.0, "load": null, "ratio": {"p50": 1.0}}],
        "name": "FIX socket to FIX socket"}"#;
    let machine = r#"[{"what": "pinning", "found": "none"}]"#;
    fs::write(&earlier, format!(r#"{{"distances": [{ratios}], "machine": {machine}}}"#)).unwrap();
    let (out_text, runs) = (text(&out), text(&dir.path().join("runs")));
    let kept = ["--keep", &runs, "--name", "one", "--against", &text(&earlier)];
    let bench = ["bench", "--quick", "--json", "--out", &out_text];
    let mut printed = json(&expect_exit(&[&bench[..], &kept].concat(), 0));
    let against = printed.as_object_mut().unwrap().remove("against").unwrap();
    assert_eq!(against["changes"][0]["before"], 1.0, "{against:#}");
    assert!(against["run"].as_str().unwrap().starts_with("no name, "), "{against:#}");
    let differs = against["machine"].as_array().unwrap();
    let pinning = differs.iter().find(|differs| differs["what"] == "pinning").unwrap();
    assert_eq!(pinning["before"], "none", "{against:#}");
    assert_eq!(pinning["now"], "clients on processor 0, the core and the echo on 1");
    assert!(differs.iter().any(|differs| differs["what"] == "processor"), "{against:#}");
    let written = fs::read_to_string(out.join("figures.json")).unwrap();
    assert_eq!(printed, serde_json::from_str::<Value>(&written).unwrap());
    let file = fs::read_dir(&runs).unwrap().next().unwrap().unwrap();
    assert!(file.file_name().to_str().unwrap().ends_with("-one.json"));
    assert_eq!(fs::read_to_string(file.path()).unwrap(), written);
    let distances = printed["distances"].as_array().unwrap();
    assert_eq!(distances.len(), 3);
    let one_turn_in = printed["stages_measured"]["one_turn_in"].as_u64().unwrap();
    assert!(one_turn_in > 0);
    let mut expected = vec!["noise.hgrm".to_owned(), "ring.hgrm".to_owned()];
    for (distance, name) in distances.iter().zip(["engine", "journal", "fix"]) {
        assert!(distance["full_speed"].as_f64().unwrap() > 0.0);
        let points = distance["points"].as_array().unwrap();
        assert!(points.len() >= 3, "{distance:#}");
        for point in points {
            let rate = point["rate"].as_f64().unwrap();
            expected.push(format!("{name}-{rate:.0}.hgrm"));
            let at = |quantile: &str| point["latency_ns"][quantile].as_f64();
            assert!(at("p50") > Some(0.0) && at("p50") <= at("p90"), "{point:#}");
            assert_eq!(point["ratio"]["p50"].is_number(), name == "fix", "{point:#}");
            if name == "fix" {
                expected.push(format!("echo-{rate:.0}.hgrm"));
            }
        }
    }
    // At the lowest rate and at half the full speed, which may be the same.
    let points = distances[2]["points"].as_array().unwrap();
    let is_told = |point: &&Value| point["stages"] != serde_json::json!({});
    let staged: Vec<_> = points.iter().filter(is_told).collect();
    assert!((1..=2).contains(&staged.len()) && staged[0] == &points[0], "{points:#?}");
    staged.iter().for_each(|point| stages_are_told(&point["stages"], one_turn_in));
    // Two hundred requests tell the slowest tenth, not the slowest hundredth.
    let slow = &distances[2]["points"][0]["latency_ns"];
    assert!(slow["p90"].is_number() && slow["p99"].is_null(), "{slow:#}");
    stages_are_told(&distances[2]["full_speed_stages"], one_turn_in);
    for name in &expected {
        let lines = fs::read_to_string(out.join(name)).unwrap();
        assert!(lines.contains("Value     Percentile") && lines.contains("#[Max"), "{name}");
    }
    let distributions = fs::read_dir(&out).unwrap().filter(|entry| {
        entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "hgrm")
    });
    assert_eq!(distributions.count(), expected.len(), "and no other");
    let report = fs::read_to_string(out.join("report.html")).unwrap();
    assert_eq!(report.matches("<svg").count(), 5);
    assert!(report.contains("Where the time goes") && report.contains("<tr><td>publish<td>"));
    assert!(!report.contains("NaN") && !report.contains("src="), "whole by itself");
    assert!(report.contains("<td>–") && report.contains("too few to tell it"), "{report}");

    let wrong = expect_exit(&["bench", "--against", &text(&out.join("report.html"))], 2);
    assert!(stderr(&wrong).contains("it must be a figures.json"), "{}", stderr(&wrong));
    let wrong = expect_exit(&["bench", "--name", "a/b"], 2);
    assert!(stderr(&wrong).contains("make a name"), "{}", stderr(&wrong));
    let wrong = expect_exit(&["bench", "--seconds", "0"], 2);
    assert!(stderr(&wrong).contains("--seconds must be from"), "{}", stderr(&wrong));
    let file = text(&out.join("report.html"));
    expect_exit(&["bench", "--quick", "--out", &file], 2);
}

/// Runs `ironbook operator` on a place with these arguments, as ann.
#[track_caller]
fn operator(place: &Place, arguments: &str, status: i32) -> Output {
    let data = text(&place.data());
    let arguments = arguments.split(' ').map(|word| word.replace('_', " "));
    let all: Vec<_> = ["operator".to_owned()]
        .into_iter()
        .chain(arguments)
        .chain(["--data".to_owned(), data])
        .collect();
    expect_exit(&all.iter().map(String::as_str).collect::<Vec<_>>(), status)
}

#[test]
fn an_operator_acts_on_a_running_venue_and_the_journal_says_who_and_why() {
    let place = Place::new();
    let mut venue = place.start_with("[operator]\nenabled = true\n");
    let socket = place.data().join("operator");
    for expected in ["Operators    ", &text(&socket), "ironbook operator status --data"] {
        assert!(venue.printed().contains(expected), "{expected:?} in\n{}", venue.printed());
    }
    let mut client = venue.client("TRADER1");
    client.rest("o1", "AAPL", "1", "10", "100.00");
    let halted = stdout(&operator(&place, "halt AAPL --as ann --reason news_is_out", 0));
    assert!(halted.starts_with("AAPL: halted.\nSequence "), "{halted}");
    let next =
        format!("Next: ironbook operator resume AAPL --data {} --reason TEXT", text(&place.data()));
    assert!(halted.contains(&next), "{halted}");
    client.send("D", &limit("o2", "AAPL", "1", "1", "1.00"));
    client.expect("35=8|150=8|11=o2");
    let suspended = stdout(&operator(&place, "suspend TRADER1 --as ann --reason x", 0));
    assert!(suspended.starts_with("TRADER1: suspended, 1 order canceled."), "{suspended}");
    let status = stdout(&operator(&place, "status", 0));
    for expected in [
        "Instruments not open: 1\n  AAPL                     halted, by ann: news is out\n",
        "Sessions not open: 1; live orders: 0\n  TRADER1                  cancel only, 0 live orders, by ann: x\n",
    ] {
        assert!(status.contains(expected), "{expected:?} in\n{status}");
    }
    let answer = json(&operator(&place, "open TRADER1 --as bob --reason looked_at --json", 0));
    assert_eq!(
        (&answer["done"], &answer["changed"], &answer["exit"]),
        (&true.into(), &1.into(), &0.into())
    );
    let sequence = answer["sequence"].as_u64().expect("a sequence");
    let shown = operator(&place, "cancel TRADER1 --as bob --reason y", 0);
    assert!(stdout(&shown).starts_with("TRADER1: without orders, as before."));

    // Who has no name has a number.
    let mut nameless = ironbook();
    nameless.env_remove("USER").env_remove("LOGNAME");
    nameless.args(["operator", "cancel", "TRADER1", "--reason", "z", "--json", "--data"]);
    let output = nameless.arg(place.data()).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let at = json(&output)["sequence"].as_u64().expect("a sequence").to_string();
    let frames = ["inspect", &text(&place.data()), "--from", &at, "--limit", "1"];
    let frame = stdout(&expect_exit(&frames, 0));
    let uid = fs::metadata("/proc/self").expect("a process").uid();
    assert!(frame.contains(&format!("name: \"uid {uid}\"")), "{frame}");

    // What is refused, and what is no request.
    for (arguments, status, expected) in [
        ("halt NOSUCH --as ann --reason x", 1, "symbol \"NOSUCH\" is unknown; nothing was done"),
        ("open NOBODY --as ann --reason x", 1, "comp id \"NOBODY\" is unknown"),
        ("halt AAPL --as ann", 2, "halt needs --reason TEXT"),
        ("halt --as ann --reason x", 2, "halt needs a symbol, or all"),
        ("cancel --as ann --reason x", 2, "cancel needs a comp id"),
        ("status AAPL", 2, "status changes nothing"),
        (&format!("halt AAPL --as ann --reason {}", "x".repeat(61)), 2, "reason has 61 characters"),
        (&format!("halt AAPL --as {} --reason x", "x".repeat(33)), 2, "by has 33 bytes"),
        ("explode AAPL", 2, "invalid value 'explode'"),
    ] {
        let said = stderr(&operator(&place, arguments, status));
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
    let answer = json(&operator(&place, "halt NOSUCH --as ann --reason x --json", 1));
    assert_eq!((&answer["done"], &answer["exit"]), (&false.into(), &1.into()));

    // A venue that dies leaves its socket behind; the next one has its own.
    drop(client);
    assert_eq!(venue.end("KILL"), None);
    assert!(socket.exists());
    let said = stderr(&operator(&place, "status", 1));
    let expected = ": start it, or name another data directory with --data";
    assert!(said.contains("no venue runs on ") && said.contains(expected), "{said}");
    let mut venue = place.start();
    let status = stdout(&operator(&place, "status", 0));
    assert!(status.contains("Instruments not open: 0\n"), "as configured: {status}");
    assert_eq!(venue.end("TERM"), Some(0), "{}", venue.logged());
    assert!(!socket.exists());

    let data = text(&place.data());
    // At the action, and at what came of it.
    let acts = json(&expect_exit(&["client", &data, "TRADER1", "--json"], 0));
    let asked = |at: usize| acts["operators"][at]["sequence"].as_u64().expect("a sequence");
    for (at, more) in [
        (0, "status                CancelOnly\n  canceled              1 order: "),
        (1, "status                Open\n"),
    ] {
        let said =
            ["operator ann suspended TRADER1: x\n", "operator bob opened TRADER1: looked at\n"][at];
        for behind in [0, 1, 2] {
            let at = format!("seq:{}", asked(at) + behind);
            let why = stdout(&expect_exit(&["why", &data, &at], 0));
            assert!(why.contains(said) && why.contains(more), "{at}: {why}");
        }
    }
    let phases = stdout(&expect_exit(&["inspect", &data, "--phases"], 0));
    assert!(phases.contains("1 instrument halted, by operator ann: news is out"), "{phases}");
    let from = sequence.to_string();
    let frames = ["inspect", &text(&place.data()), "--from", &from, "--limit", "1"];
    let frame = stdout(&expect_exit(&frames, 0));
    assert!(frame.contains("operator") || frame.contains("Operator"), "{frame}");
    expect_exit(&["replay", &text(&place.data())], 0);
    expect_exit(&["verify", &text(&place.data())], 0);
}

#[test]
fn a_venue_without_operators_says_how_to_have_them() {
    let place = Place::new();
    let said = stderr(&operator(&place, "status", 1));
    assert!(said.contains("no venue runs on "), "{said}");
    let venue = place.start();
    let said = stderr(&operator(&place, "status", 1));
    let process = format!("process {}, hears no operators", venue.child.id());
    assert!(said.contains(&process) && said.contains("operator.enabled = true"), "{said}");
}
