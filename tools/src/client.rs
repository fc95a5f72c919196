//! `ironbook client`: what a client did, and what it holds.

use ironbook_incident::question::client::client;

use crate::{
    indexed::{Source, Stretch, exit, note_damage},
    output::{Outcome, say},
};

/// Show what a client asked for, what became of it, and what it holds and made or lost.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Comp id of the client
    #[arg(value_name = "COMPID")]
    comp_id: String,
    #[command(flatten)]
    stretch: Stretch,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let source = &arguments.source;
    let index = source.open()?;
    let span = arguments.stretch.find(&index);
    let found = span.and_then(|span| client(&index, &arguments.comp_id, span));
    let found = found.map_err(|fault| note_damage(&index, fault))?;
    if source.json {
        say!("{:#}", found.json());
    } else {
        let dir = source.dir.display();
        say!("{found}\n\nNext: ironbook trades {dir} --client {}", found.comp_id);
        if let Some(reject) = found.first_reject() {
            say!("      ironbook why {dir} {reject}");
        }
    }
    Ok(exit(&index))
}
