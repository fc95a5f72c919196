//! Journals written by a script, and what the tools print about them, to the byte.
#![allow(dead_code, reason = "each test file uses its own part of these helpers")]

#[path = "../../incident/tests/common/mod.rs"]
pub mod script;

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::fixtures::{expect_exit, stdout, text};

/// The story's journal, in a place whose name is left out of what is compared.
pub struct Story {
    _place: tempfile::TempDir,
    pub dir: PathBuf,
}

impl Story {
    pub fn new() -> Self {
        Self::written_by(|dir| {
            script::story(dir);
        })
    }

    /// A journal that somebody else writes.
    pub fn written_by(write: impl FnOnce(&Path)) -> Self {
        let place = script::memory_dir();
        let dir = place.path().join("data");
        write(&dir);
        Self { _place: place, dir }
    }

    /// A file beside the journal.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.with_file_name(name)
    }

    /// Asks a question, which begins with the subcommand; the journal comes second.
    #[track_caller]
    pub fn ask(&self, question: &str, status: i32) -> String {
        let output = self.output(question, status);
        stdout(&output).replace(&text(&self.dir), "data")
    }

    #[track_caller]
    pub fn output(&self, question: &str, status: i32) -> std::process::Output {
        let (command, rest) = question.split_once(' ').unwrap_or((question, ""));
        let dir = text(&self.dir);
        let words = words(rest);
        let arguments: Vec<_> =
            [command, &dir].into_iter().chain(words.iter().map(String::as_str)).collect();
        expect_exit(&arguments, status)
    }

    /// Compares an answer, and the same as JSON, with what is kept under a name.
    #[track_caller]
    pub fn golden(&self, name: &str, question: &str) {
        compare(&format!("{name}.txt"), &format!("$ {question}\n{}", self.ask(question, 0)));
        compare(&format!("{name}.json"), &self.ask(&format!("{question} --json"), 0));
        // Once more, now that there is an index: not one byte is another.
        compare(&format!("{name}.json"), &self.ask(&format!("{question} --json"), 0));
    }
}

/// Words of a command line; double quotes hold some together.
pub fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    parts
        .flat_map(|(number, part)| match number % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

#[track_caller]
pub fn compare(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/incident").join(name);
    if std::env::var_os("IRONBOOK_BLESS").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{}", path.display());
}
