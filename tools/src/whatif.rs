//! `ironbook whatif`: what would have been.

use ironbook_incident::whatif::{NOT_SIMULATED, Wanted, keys, what_if};

use crate::{
    indexed::{Source, Stretch},
    output::Outcome,
};

/// Carry out the commands of a journal once more, without some clients or under other limits, and say what
/// comes otherwise.
///
/// What it prints is COUNTERFACTUAL, and says so: clients send what they sent. Nothing is written.
#[derive(Debug, clap::Args)]
#[command(after_long_help = more())]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Leave out what this client asked for; may be given again
    #[arg(long, value_name = "COMPID")]
    drop_client: Vec<String>,
    /// Change a limit or a term of an instrument; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    stretch: Stretch,
}

/// Keys, and what is left out, for the long help.
fn more() -> String {
    format!(
        "Keys of --set:\n{}Terms of an instrument can be changed where it is defined after --from; limits of \
         an engine that runs by then only grow.\n\nNot simulated:\n  - {}",
        keys(),
        NOT_SIMULATED.join("\n  - ")
    )
}

pub fn run(arguments: &Arguments) -> Outcome {
    let index = arguments.source.open()?;
    let span = arguments.stretch.find(&index);
    let found = span.and_then(|span| {
        let (dropped, settings) = (arguments.drop_client.clone(), arguments.set.clone());
        what_if(&index, Wanted { span, dropped, settings })
    });
    arguments.source.tell(&index, found, |found, dir| {
        vec![match (&found.first, found.clients.first()) {
            (Some(first), _) => format!("ironbook replay {dir} --at seq:{}", first.sequence),
            (None, Some((comp_id, _))) => format!("ironbook whatif {dir} --drop-client {comp_id}"),
            (None, None) => format!("ironbook top {dir}"),
        }]
    })
}
