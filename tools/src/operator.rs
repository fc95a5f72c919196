//! `ironbook operator`: acts on a running venue.

use std::{env, path::PathBuf, sync::Arc};

use ironbook_gateway::operator::{
    Action, Answer, AskError, Outcome as Came, Request, STATUS, Status, ask,
};
use ironbook_incident::text::utc;
use ironbook_journal::{FileStorage, Storage};
use serde_json::json;

use crate::output::{Exit, Failure, Outcome, grouped, say};

/// Act on a running venue: halt and resume instruments, suspend and open sessions, cancel their orders.
///
/// The venue must have operator.enabled = true in its configuration; who owns its data directory may act. Each action
/// is in the journal, with who and why. Exit status: 0 done, 1 refused or no venue, 2 wrong usage.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A halt lasts until it is resumed, or the venue starts again with instruments as configured. \
    A suspension lasts until the session is opened, also over a start."
)]
pub struct Arguments {
    /// What to do
    #[arg(value_enum)]
    action: ActionArgument,
    /// halt, resume: a symbol, or all; suspend, open, cancel: a comp id
    target: Option<String>,
    /// Data directory of the venue
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Why, at most 60 characters, for who reads the journal; all but status need it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who asks, at most 32 bytes; without it, the user: USER, LOGNAME, else the number as "uid 1000"
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ActionArgument {
    /// Refuse orders in an instrument, or in all that are open; cancels go on
    Halt,
    /// Open an instrument, or all that are halted
    Resume,
    /// Let a session cancel only, and cancel its orders
    Suspend,
    /// Let a session trade again after a suspension or a trip
    Open,
    /// Cancel the orders of a session, which may send others
    Cancel,
    /// Show what is not open, and who has live orders
    Status,
}

impl ActionArgument {
    /// The action; none for a status, which changes nothing.
    fn action(self) -> Option<Action> {
        match self {
            Self::Halt => Some(Action::Halt),
            Self::Resume => Some(Action::Resume),
            Self::Suspend => Some(Action::Suspend),
            Self::Open => Some(Action::Open),
            Self::Cancel => Some(Action::Cancel),
            Self::Status => None,
        }
    }
}

/// Where a user's name is.
const NAME_VARIABLES: [&str; 2] = ["USER", "LOGNAME"];

pub fn run(arguments: &Arguments) -> Outcome {
    let request = request(arguments)?;
    let answer = ask(&arguments.data, &request).map_err(|error| failure(arguments, &error))?;
    let exit = if answer.done { Exit::Fine } else { Exit::Finding };
    if arguments.json {
        let mut value = json!(answer);
        value["exit"] = json!(exit as u8);
        say!("{value:#}");
        return Ok(exit);
    }
    if let Some(error) = answer.error {
        return Err(Failure::new(exit, error));
    }
    print(arguments, &request, &answer);
    Ok(exit)
}

fn request(arguments: &Arguments) -> Result<Request, Failure> {
    let Arguments { action, target, reason, name, .. } = arguments;
    let usage = |text: String| Failure::new(Exit::Usage, text);
    let Some(action) = action.action() else {
        let action = STATUS.to_owned();
        return match (target, reason) {
            (None, None) => Ok(Request { action, ..Request::default() }),
            _ => Err(usage(
                "status changes nothing: it has neither a target nor a reason".to_owned(),
            )),
        };
    };
    let what = if action.is_of_instruments() { "a symbol, or all" } else { "a comp id" };
    let action = action.name();
    let target = target.clone().ok_or_else(|| usage(format!("{action} needs {what}")))?;
    let reason = reason.clone();
    let reason = reason.ok_or_else(|| usage(format!("{action} needs --reason TEXT, say why")))?;
    let by = name.clone().unwrap_or_else(user);
    if by.is_empty() {
        return Err(usage("--as \"\" names nobody: say who asks, or leave it out".to_owned()));
    }
    let request = Request { action: action.to_owned(), target, by, reason };
    request.check().map_err(usage)?;
    Ok(request)
}

/// The user's name, or the number where the environment has none.
fn user() -> String {
    let names = NAME_VARIABLES.into_iter().filter_map(|name| env::var(name).ok());
    let name = names.into_iter().find(|name| !name.is_empty());
    name.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

/// What to tell when there is no answer.
fn failure(arguments: &Arguments, error: &AskError) -> Failure {
    let dir = arguments.data.display();
    let storage: Arc<dyn Storage> = Arc::new(FileStorage::new(&arguments.data));
    let text = match (error, storage.lock_holder()) {
        (AskError::Nobody(_), Some(holder)) => format!(
            "the venue on {dir}, process {holder}, hears no operators: set operator.enabled = true and start it again"
        ),
        (AskError::Nobody(_), None) => {
            format!("no venue runs on {dir}: start it, or name another data directory with --data")
        }
        _ => format!("{dir}: {error}"),
    };
    Failure::new(Exit::Finding, text)
}

fn print(arguments: &Arguments, request: &Request, answer: &Answer) {
    let dir = arguments.data.display();
    if let Some(status) = &answer.status {
        print_status(status);
        say!("\nNext: ironbook inspect {dir} --phases");
    }
    let Some(Came { sequence, time_ns, changed, canceled }) = answer.outcome else { return };
    let Request { target, .. } = request;
    let (what, next) = match arguments.action {
        ActionArgument::Halt => ("halted", Some("resume")),
        ActionArgument::Resume => ("open", None),
        ActionArgument::Suspend => ("suspended", Some("open")),
        ActionArgument::Open => ("open", None),
        ActionArgument::Cancel => ("without orders", None),
        ActionArgument::Status => return,
    };
    let changed = match (arguments.action, target.as_str(), changed) {
        (ActionArgument::Cancel, ..) if canceled > 0 => String::new(),
        (ActionArgument::Cancel, ..) => ", as before".to_owned(),
        (ActionArgument::Halt | ActionArgument::Resume, "all", count) => {
            format!(", {} changed", grouped(count.into()))
        }
        (.., 0) => ", as before".to_owned(),
        _ => String::new(),
    };
    // Only what suspends or cancels has some.
    let orders = match canceled {
        0 => String::new(),
        1 => ", 1 order canceled".to_owned(),
        count => format!(", {} orders canceled", grouped(count.into())),
    };
    say!("{target}: {what}{changed}{orders}.");
    say!("Sequence {}, {}.", grouped(sequence), utc(time_ns));
    match next {
        Some(next) => {
            say!("\nNext: ironbook operator {next} {target} --data {dir} --reason TEXT");
        }
        None => say!("\nNext: ironbook inspect {dir} --from {sequence} --limit 10"),
    }
}

fn print_status(status: &Status) {
    let whose = |cause: &Option<ironbook_gateway::operator::Cause>| match cause {
        Some(cause) => format!(", by {}: {}", cause.by, cause.reason),
        None => String::new(),
    };
    say!(
        "Sequence {}; {} bytes written, {} durable.",
        grouped(status.sequence),
        grouped(status.written),
        grouped(status.durable)
    );
    if let Some(audit) = &status.audit {
        say!("ATTENTION: {audit}");
    }
    say!("\nInstruments not open: {}", grouped(status.instruments_not_open));
    for row in &status.instruments {
        say!("  {:<24} {}{}", row.symbol, row.status, whose(&row.cause));
    }
    say!(
        "Sessions not open: {}; live orders: {}",
        grouped(status.sessions_not_open),
        grouped(status.live_orders)
    );
    for row in &status.sessions {
        let trip = row.trip.as_ref().map_or(String::new(), |trip| format!(", tripped: {trip}"));
        let (live, cause) = (grouped(row.live_orders.into()), whose(&row.cause));
        say!("  {:<24} {}, {live} live orders{trip}{cause}", row.comp_id, row.status);
    }
}
