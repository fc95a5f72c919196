//! Journals that earlier versions of the program wrote: read for ever, or refused by name.

mod fixtures;

use std::{fs, path::Path};

use fixtures::{Place, expect_exit, json, stderr, text};

/// Bytes of a segment of the golden journals.
const SEGMENT_BYTES: usize = 65_536;

/// Puts a golden journal where a venue would look for it.
fn golden(file: &str) -> Place {
    let place = Place::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let mut bytes = fs::read(path).unwrap();
    bytes.resize(SEGMENT_BYTES, 0);
    fs::create_dir(place.data()).unwrap();
    fs::write(place.data().join("0000000000.seg"), bytes).unwrap();
    place
}

#[test]
fn a_journal_of_these_rules_comes_to_the_state_it_came_to_then() {
    let place = golden("rules-2.seg");
    let data = text(&place.data());
    let verified = json(&expect_exit(&["verify", "--json", &data], 0));
    assert_eq!(verified["running_hash"], "7e57f4bd2aa04722");
    let replayed = json(&expect_exit(&["replay", "--json", &data], 0));
    assert_eq!(replayed["state_hash"], "c9d640844654bb4c");
    for (name, expected) in [
        ("frames", 128),
        ("commands", 60),
        ("events", 47),
        ("trades", 2),
        ("rejects", 1),
        ("session_records", 21),
        ("last_sequence", 128),
    ] {
        assert_eq!(replayed[name], expected, "{name}");
    }
    // And a venue goes on from there.
    let mut venue = place.start();
    let printed = venue.printed();
    assert!(
        printed.contains("128 frames replayed, 40 live orders, state c9d640844654bb4c"),
        "{printed}"
    );
    let mut client = venue.client("TRADER1");
    client.rest("after", "AAPL", "1", "1", "1.00");
    drop(client);
    assert_eq!(venue.end("TERM"), Some(0));
    expect_exit(&["replay", &data], 0);
}

#[test]
fn a_journal_of_older_rules_verifies_and_is_refused_by_both_versions() {
    let place = golden("rules-1.seg");
    let data = text(&place.data());
    let before = fs::read(place.data().join("0000000000.seg")).unwrap();
    let verified = json(&expect_exit(&["verify", "--json", &data], 0));
    assert_eq!((&verified["frames"], &verified["findings"]), (&128.into(), &serde_json::json!([])));
    assert_eq!(verified["running_hash"], "94d4f7689ce4904d");
    expect_exit(&["inspect", &data], 0);
    let phases = json(&expect_exit(&["inspect", "--phases", "--json", &data], 0));
    assert_eq!((&phases["frames"], &phases["starts"]["count"]), (&128.into(), &1.into()));
    let replay = stderr(&expect_exit(&["replay", &data], 4));
    let start = place.refused(4);
    for message in [replay, start] {
        for part in ["version 1 of the matching rules", "this program version 2", "use the program"]
        {
            assert!(message.contains(part), "{part:?} is missing in {message}");
        }
    }
    // Frames and header are as they were, but for the epoch and the durable word of the start.
    let after = fs::read(place.data().join("0000000000.seg")).unwrap();
    assert_eq!((&before[..104], &before[4_096..]), (&after[..104], &after[4_096..]));
    expect_exit(&["verify", &data], 0);
}
