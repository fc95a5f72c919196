//! What all subcommands print alike: exit codes, failures, numbers.

use std::{
    fmt::Display,
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    net::SocketAddr,
    path::Path,
    process::ExitCode,
    sync::OnceLock,
};

use ironbook_gateway::{
    client::ClientError,
    config::{ConfigError, VenueConfig},
    replay::{PlayError, ReplayError},
    venue::StartError,
};
use ironbook_incident::{Damage, Fault};
use ironbook_journal::{FileStorage, OpenError, ReadError, Storage};

pub use ironbook_incident::text::{build, decimal, grouped, hash, mib};

use crate::listener::listens;

/// Prints a line to standard output. Unlike `println!` it does not end the program when nobody
/// reads any more: a venue must not stop because of its terminal. What could not be written for another
/// reason [`finish`] tells.
macro_rules! say {
    ($($argument:tt)*) => { $crate::output::say_line(format_args!($($argument)*)) };
}
pub(crate) use say;

/// See [`say!`].
pub fn say_line(line: std::fmt::Arguments<'_>) {
    note_lost(writeln!(io::stdout().lock(), "{line}"));
}

/// Prints a line to standard error, where somebody reads it.
pub fn note_line(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Why something that was said is not where it should be.
static LOST: OnceLock<io::Error> = OnceLock::new();

fn note_lost(written: io::Result<()>) {
    if let Err(error) = written
        // Nobody reads any more: whoever did has enough.
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = LOST.set(error);
    }
}

/// How a program ends that was to end so: a failure if something that it said could not be written.
pub fn finish(exit: Exit) -> Exit {
    note_lost(io::stdout().flush());
    let Some(error) = LOST.get() else { return exit };
    eprintln!(
        "ironbook: standard output: {error}; what was printed is not all there: give it a place with room, and run \
         the command again"
    );
    exit.max(Exit::Finding)
}

/// How to look at what a client's command did: by the journal of the venue at this address. A client
/// is not told where that is; on the same machine it is the default directory where the venue that has that open
/// listens at the address.
pub fn replay_of(fix: SocketAddr, options: &str) -> String {
    let dir = VenueConfig::default().data_dir;
    let process = FileStorage::new(&dir).lock_holder().and_then(|holder| holder.parse().ok());
    if fix.ip().is_loopback() && process.is_some_and(|process| listens(process, fix.port())) {
        return format!("ironbook replay {}{options}", dir.display());
    }
    format!("ironbook replay DIR{options}, with the directory that the venue's first lines name")
}

/// Exit status; scripts rely on the numbers, of which the greatest is the gravest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All is well.
    Fine = 0,
    /// Something was found, or did not succeed.
    Finding = 1,
    /// The command or the configuration is wrong.
    Usage = 2,
    /// The journal is damaged.
    Corrupt = 3,
    /// The journal, or its rules, are of another version.
    Version = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a subcommand ended early.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// A failure with its exit code; the message says what, where, and what to do.
    pub fn new(exit: Exit, message: impl ToString) -> Self {
        Self { exit, message: message.to_string() }
    }

    /// The same with another line.
    pub fn and(self, line: impl Display) -> Self {
        Self::new(self.exit, format!("{}\n{line}", self.message))
    }

    /// The same with another line, and a graver exit code.
    pub fn because(self, damage: &Damage) -> Self {
        Self { exit: Exit::of_damage(damage), ..self.and(damage) }
    }

    /// What is said.
    #[cfg(test)]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Prints the message to standard error.
    pub fn report(self) -> Exit {
        eprintln!("ironbook: {}", self.message);
        self.exit
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let exit = match error {
            OpenError::VersionMismatch { .. } => Exit::Version,
            OpenError::Corrupt { .. } | OpenError::MissingSegment { .. } => Exit::Corrupt,
            OpenError::NoJournal { .. } | OpenError::InvalidOptions { .. } => Exit::Usage,
            OpenError::Io { ref source, .. } if source.kind() == ErrorKind::NotFound => Exit::Usage,
            _ => Exit::Finding,
        };
        Self::new(exit, error)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::new(Exit::of_read(&error), error)
    }
}

impl Exit {
    /// For a journal that does not play back.
    fn of_replay(error: &ReplayError) -> Self {
        match error {
            ReplayError::Rules { .. } => Self::Version,
            ReplayError::Decode { .. }
            | ReplayError::NoLimits { .. }
            | ReplayError::Limits { .. } => Self::Corrupt,
            ReplayError::Diverged { .. } => Self::Finding,
        }
    }

    /// For bytes that can't be read.
    fn of_read(error: &ReadError) -> Self {
        match error {
            ReadError::VersionMismatch { .. } => Self::Version,
            ReadError::Corrupt { .. } => Self::Corrupt,
            _ => Self::Finding,
        }
    }

    /// For a journal that can't be read, or does not play back.
    pub fn of_play(error: &PlayError) -> Self {
        match error {
            PlayError::Read(error) => Self::of_read(error),
            PlayError::Replay(error) => Self::of_replay(error),
            PlayError::Thread(_) => Self::Finding,
        }
    }

    /// For an answer that holds up to where the journal is damaged.
    pub fn of_damage(damage: &Damage) -> Self {
        Self::of_play(&damage.error)
    }
}

impl From<PlayError> for Failure {
    fn from(error: PlayError) -> Self {
        Self::new(Exit::of_play(&error), error)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Open(error) => error.into(),
            Fault::Play(error) => error.into(),
            Fault::Gone(_) => Self::new(Exit::Corrupt, fault),
            Fault::NotFound(_) | Fault::Write(_) | Fault::Stopped => {
                Self::new(Exit::Finding, fault)
            }
            Fault::Version(_) => Self::new(Exit::Version, fault),
            Fault::Question(_) | Fault::Ambiguous { .. } => Self::new(Exit::Usage, fault),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Usage, error)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::new(Exit::Finding, error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Journal(error) => error.into(),
            StartError::Read(error) => error.into(),
            StartError::Replay { ref source, .. } => Self::new(Exit::of_replay(source), error),
            StartError::Config(error) => error.into(),
            StartError::Gone { .. } => Self::new(Exit::Corrupt, error),
            StartError::Contradiction { .. } => Self::new(Exit::Usage, error),
            StartError::Listen { .. }
            | StartError::Operator(_)
            | StartError::System(_)
            | StartError::NoRoom { .. }
            | StartError::Snapshot(_) => Self::new(Exit::Finding, error),
        }
    }
}

/// Creates a file and fills it. It must not be there yet: nothing that somebody has is lost, a journal
/// least of all; and where it can't be filled, it is not left there half.
pub fn create<T>(
    path: &Path,
    fill: impl FnOnce(&mut File) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut file = File::create_new(path).map_err(|error| {
        let hint =
            if error.kind() == ErrorKind::AlreadyExists { "; give another name" } else { "" };
        Failure::new(Exit::Usage, format!("{}: {error}{hint}", path.display()))
    })?;
    fill(&mut file).inspect_err(|_| drop(fs::remove_file(path)))
}

/// Result of a subcommand.
pub type Outcome = Result<Exit, Failure>;
