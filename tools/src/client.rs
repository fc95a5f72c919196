//! `ironbook client`: what a client did, and what it holds.

use ironbook_incident::question::{Span, client::client};

use crate::{
    indexed::{Source, exit, note_damage},
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
    /// From this place on, as replay --at has them
    #[arg(long, value_name = "WHAT")]
    from: Option<String>,
    /// Up to this place
    #[arg(long, value_name = "WHAT")]
    to: Option<String>,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let source = &arguments.source;
    let index = source.open()?;
    let span = Span::parse(&index, arguments.from.as_deref(), arguments.to.as_deref());
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
