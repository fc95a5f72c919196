//! `ironbook tui` where there is no terminal; its screens are tested in `src/tui/tests.rs`.

mod fixtures;
#[path = "../incident/tests/common/mod.rs"]
mod script;

use fixtures::{expect_exit, stderr, stdout, text};

#[test]
fn without_a_terminal_it_says_so() {
    let place = script::memory_dir();
    let dir = place.path().join("data");
    script::story(&dir);
    let output = expect_exit(&["tui", &text(&dir)], 2);
    assert!(stderr(&output).contains("tui needs a terminal; `ironbook replay"));
    assert_eq!(stdout(&output), "", "nothing that a terminal would understand");
    assert!(!place.path().join("data.index").exists(), "nothing was begun");
}

#[test]
fn a_directory_without_a_journal_is_told_before_the_terminal_is_taken() {
    let place = script::memory_dir();
    let output = expect_exit(&["tui", &text(place.path())], 2);
    assert!(stderr(&output).contains(&text(place.path())), "{}", stderr(&output));
    assert_eq!(stdout(&output), "");
}

#[test]
fn its_help_explains_the_keys() {
    let help = stdout(&expect_exit(&["tui", "--help"], 0));
    for key in ["] [", "} {", "n N", "Enter", "--follow", "--at"] {
        assert!(help.contains(key), "{key}: {help}");
    }
}
