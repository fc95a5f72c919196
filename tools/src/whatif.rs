//! `ironbook whatif`: what would have been.

use std::path::{Path, PathBuf};

use ironbook_gateway::config::{Config, ConfigError};
use ironbook_incident::whatif::{
    Firms, NOT_SIMULATED, THROTTLES_NOT_SIMULATED, Wanted, keys, what_if,
};

use crate::{
    indexed::{Source, Stretch},
    output::Outcome,
};

/// Carry out the commands of a journal once more, without some clients or under other limits or throttles, and
/// say what comes otherwise.
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
    /// Change a limit, a term of an instrument or a throttle; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Configuration that tells which sessions are of a firm, for throttles of firms; journals of this version tell
    /// it themselves. The rest of it is not used
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    stretch: Stretch,
}

/// Keys, and what is left out, for the long help.
fn more() -> String {
    format!(
        "Keys of --set:\n{}Terms of an instrument can be changed where it is defined after --from; limits of \
         an engine that runs by then only grow. A throttle is the gateway's own: new orders and replaces take from \
         it, cancels always pass, and it goes by the time when the gateway had read a request, which the journal \
         has of each. What is not set of a throttle is as the journal says it was at the end of the part.\n\nNot simulated:\n  - {}",
        keys(),
        [&NOT_SIMULATED[..], &THROTTLES_NOT_SIMULATED[..]].concat().join("\n  - ")
    )
}

/// Which sessions are of which firm.
fn firms(path: &Path) -> Result<Firms, ConfigError> {
    let mut firms = Firms::new();
    for session in Config::read(path)?.sessions {
        if let Some(firm) = session.firm {
            firms.entry(firm).or_default().push(session.comp_id);
        }
    }
    Ok(firms)
}

pub fn run(arguments: &Arguments) -> Outcome {
    let firms = arguments.config.as_deref().map(firms).transpose()?;
    let index = arguments.source.open()?;
    let span = arguments.stretch.find(&index);
    let found = span.and_then(|span| {
        let (dropped, settings) = (arguments.drop_client.clone(), arguments.set.clone());
        what_if(&index, Wanted { span, dropped, settings, firms })
    });
    arguments.source.tell(&index, found, |found, dir| {
        let refused = found.first_refused().map(|first| first.sequence);
        let differs = found.first.as_ref().map(|first| first.sequence);
        let places: Vec<_> = refused.into_iter().chain(differs).collect();
        match found.clients.first() {
            _ if !places.is_empty() => {
                places.iter().map(|at| format!("ironbook replay {dir} --at seq:{at}")).collect()
            }
            Some((comp_id, _)) => vec![format!("ironbook whatif {dir} --drop-client {comp_id}")],
            None => vec![format!("ironbook top {dir}")],
        }
    })
}
