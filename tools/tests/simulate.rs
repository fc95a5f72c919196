//! `ironbook simulate`: many seeds hold, a seed repeats itself to the byte, and planted bugs are
//! found.

use std::{
    process::{Command, Output},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

/// Fixed seeds that must hold, in four parts. Programs that are not optimized get fewer.
const FIXED_SEEDS: u64 = if cfg!(debug_assertions) { 12 } else { 200 };

/// Random seeds that must hold.
const RANDOM_SEEDS: u64 = if cfg!(debug_assertions) { 3 } else { 50 };

/// Seeds within which a planted bug must be found.
const PLANT_SEEDS: u64 = 4;

fn simulate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ironbook"));
    command.env_remove("IRONBOOK_LOG").arg("simulate").args(arguments);
    command.output().expect("the program runs")
}

/// Runs seeds that must end with this status, and gives back a line of JSON for each that was run.
#[track_caller]
fn lines(first: u64, seeds: u64, more: &[&str], status: i32) -> Vec<Value> {
    let (first, seeds) = (first.to_string(), seeds.to_string());
    let mut arguments = vec!["--json", "--seed", &first, "--seeds", &seeds];
    arguments.extend(more);
    let output = simulate(&arguments);
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().unwrap_or_default();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}\n{last}\n{error}");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The sum of a number over all lines.
fn sum(lines: &[Value], key: &str) -> u64 {
    lines.iter().map(|line| line[key].as_u64().expect("a number")).sum()
}

/// A part of the fixed seeds holds, and much happened in it.
#[track_caller]
fn fixed_seeds_hold(part: u64) {
    let seeds = FIXED_SEEDS / 4;
    let lines = lines(part * seeds, seeds, &[], 0);
    assert_eq!(lines.len() as u64, seeds);
    // A few seeds may do without one or the other for the most part.
    let least = if cfg!(debug_assertions) { 1 } else { seeds };
    for key in [
        "trades",
        "process_deaths",
        "power_losses",
        "stops",
        "resets",
        "refused_logons",
        "repeated_reports",
        "from_snapshot",
        "actions",
        "actions_refused",
        "statuses_compared",
        "halts",
        "suspensions",
        "shut_out",
    ] {
        assert!(sum(&lines, key) >= least, "{key} is rare: {}", sum(&lines, key));
    }
    assert!(lines.iter().all(|line| line["rests"] == 2), "everything is compared twice at rest");
    if !cfg!(debug_assertions) {
        // Of some sessions of some seeds.
        for key in ["trips", "beyond_limit", "throttled", "absences_ended"] {
            assert!(sum(&lines, key) >= seeds / 4, "{key} is rare: {}", sum(&lines, key));
        }
        assert!(sum(&lines, "actions_unknown") > 0, "venues end with what was asked under way");
        assert!(sum(&lines, "rolled_back") > 0, "power losses take what was told as written");
        let durable = lines.iter().filter(|line| line["policy"] == "durable").count();
        assert!(durable > 0 && durable < lines.len(), "both policies");
    }
}

#[test]
fn the_first_quarter_of_the_fixed_seeds_holds() {
    fixed_seeds_hold(0);
}

#[test]
fn the_second_quarter_of_the_fixed_seeds_holds() {
    fixed_seeds_hold(1);
}

#[test]
fn the_third_quarter_of_the_fixed_seeds_holds() {
    fixed_seeds_hold(2);
}

#[test]
fn the_last_quarter_of_the_fixed_seeds_holds() {
    fixed_seeds_hold(3);
}

#[test]
fn random_seeds_hold() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    let first = u64::from(now.subsec_nanos()) << 16;
    println!("seeds from {first} on");
    assert_eq!(lines(first, RANDOM_SEEDS, &[], 0).len() as u64, RANDOM_SEEDS);
}

#[test]
fn a_seed_repeats_itself_and_another_differs() {
    let run = |seed| lines(seed, 1, &["--minutes", "2"], 0).remove(0);
    let first = run(11);
    assert_eq!(first, run(11));
    assert_ne!(first["hash"], run(12)["hash"]);
    // People see the same run, and its seed before anything else.
    let output = simulate(&["--seed", "11", "--minutes", "2"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("Seed         11\n"), "{text}");
    assert!(text.contains(first["hash"].as_str().expect("a hash")), "{text}");
}

#[test]
fn without_a_seed_a_random_one_is_chosen_and_printed() {
    let output = simulate(&["--minutes", "1"]);
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().expect("a line");
    let seed = line.strip_prefix("Seed").expect("the seed first").trim();
    seed.parse::<u64>().expect("a number");
}

/// A planted bug is found within a few seeds by one of these oracles, and found again at the same
/// moment by the command that is printed.
#[track_caller]
fn is_found(plant: &str, oracles: &[&str]) {
    let lines = lines(0, PLANT_SEEDS, &["--plant", plant], 1);
    let violation = &lines.last().expect("a line")["violation"];
    let oracle = violation["oracle"].as_str().expect("an oracle");
    assert!(oracles.contains(&oracle), "{violation}");
    let command = violation["repeat"].as_str().expect("a command");
    let arguments: Vec<_> = command.split(' ').skip(2).chain(["--json"]).collect();
    let again = simulate(&arguments);
    assert_eq!(again.status.code(), Some(1));
    let again: Value = serde_json::from_slice(&again.stdout).expect("JSON");
    assert_eq!(again["violation"], *violation);
}

#[test]
fn a_disk_that_lies_about_syncs_is_found() {
    is_found("lost-sync", &["acknowledged"]);
}

#[test]
fn a_report_that_the_network_loses_is_found() {
    is_found("drop-report", &["sequence"]);
}

#[test]
fn a_report_that_comes_twice_is_found() {
    is_found("repeat-report", &["sequence"]);
}

#[test]
fn a_report_that_was_altered_is_found() {
    is_found("alter-report", &["acknowledged", "sequence"]);
}

#[test]
fn an_operator_who_is_told_what_nobody_did_is_found() {
    is_found("false-answer", &["operators"]);
}

#[test]
fn an_operator_who_is_answered_before_the_disk_has_it_is_found() {
    is_found("hasty-answer", &["operators"]);
}

#[test]
fn a_start_that_opens_who_may_only_cancel_is_found() {
    is_found("opening-start", &["operators", "bounds"]);
}

#[test]
fn a_venue_without_the_bounds_that_it_should_have_is_found() {
    is_found("loose-bounds", &["bounds"]);
}

#[test]
fn nonsense_is_refused() {
    let many = u64::MAX.to_string();
    for arguments in
        [["--minutes", "0"], ["--minutes", &many], ["--seeds", "0"], ["--plant", "nothing"]]
    {
        assert_eq!(simulate(&arguments).status.code(), Some(2), "{arguments:?}");
    }
    let too_many = simulate(&["--seed", &many, "--seeds", "2"]);
    assert_eq!(too_many.status.code(), Some(2));
    let said = String::from_utf8_lossy(&too_many.stderr);
    assert!(said.contains("a smaller --seed"), "{said}");
    assert_eq!(lines(u64::MAX, 1, &["--minutes", "1"], 0).len(), 1, "the last seed is one");
}
