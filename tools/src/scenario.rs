//! `ironbook scenario`: a part of a journal, played as a test.

use std::{fs::File, io::BufReader, path::PathBuf};

use ironbook_incident::{Fault, scenario::play};

use crate::output::{Exit, Failure, Outcome, say};

/// Play a scenario on the engine of this program, and say where it first does something else than is expected.
///
/// `ironbook export DIR --as-scenario` writes one. It is a text that needs no journal. Exit status: 0 all is as
/// expected, 1 something differs, 2 it is no scenario, 4 it is one of another version.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The scenario
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let file = arguments.file.display();
    let input = File::open(&arguments.file)
        .map_err(|error| Failure::new(Exit::Usage, format!("{file}: {error}")))?;
    let played = play(BufReader::new(input)).map_err(|fault| {
        let exit = if matches!(fault, Fault::Version(_)) { Exit::Version } else { Exit::Usage };
        Failure::new(exit, format!("{file}: {fault}"))
    })?;
    if arguments.json {
        say!("{:#}", played.json());
    } else {
        say!("Scenario     {file}\nProgram      {}\n{played}", env!("CARGO_PKG_VERSION"));
        match &played.difference {
            Some(found) => say!("\nNext: less +{}g {file}", found.line),
            None => say!("\nNext: ironbook export DIR --as-scenario --from WHAT --out FILE"),
        }
    }
    Ok(if played.difference.is_some() { Exit::Finding } else { Exit::Fine })
}
