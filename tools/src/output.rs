//! What all subcommands print alike: exit codes, failures, numbers.

use std::{io::ErrorKind, io::Write as _, process::ExitCode};

use ironbook_gateway::{
    client::ClientError,
    config::ConfigError,
    replay::{PlayError, ReplayError},
    venue::StartError,
};
use ironbook_journal::{OpenError, ReadError};

/// Prints a line to standard output. Unlike `println!` it does not end the program when nobody
/// reads any more: a venue must not stop because of its terminal.
macro_rules! say {
    ($($argument:tt)*) => { $crate::output::say_line(format_args!($($argument)*)) };
}
pub(crate) use say;

/// See [`say!`].
pub fn say_line(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Exit status; scripts rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let exit = match error {
            ReadError::VersionMismatch { .. } => Exit::Version,
            ReadError::Corrupt { .. } => Exit::Corrupt,
            _ => Exit::Finding,
        };
        Self::new(exit, error)
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
}

impl From<PlayError> for Failure {
    fn from(error: PlayError) -> Self {
        match error {
            PlayError::Read(error) => error.into(),
            PlayError::Replay(ref source) => Self::new(Exit::of_replay(source), error),
            PlayError::Thread(_) => Self::new(Exit::Finding, error),
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
            StartError::Listen { .. } | StartError::System(_) | StartError::Snapshot(_) => {
                Self::new(Exit::Finding, error)
            }
        }
    }
}

/// Result of a subcommand.
pub type Outcome = Result<Exit, Failure>;

/// A whole number with separators: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A mantissa with its decimals: `(18950, 2)` is `189.50`.
pub fn decimal(mantissa: u128, scale: u8) -> String {
    let digits = format!("{mantissa:0width$}", width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    let point = if scale == 0 { "" } else { "." };
    format!("{whole}{point}{fraction}")
}

/// Bytes in MiB.
pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / (1 << 20) as f64)
}

/// A hash as sixteen hexadecimal digits.
pub fn hash(hash: u64) -> String {
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_legible() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(12), "12");
        assert_eq!(decimal(18_950, 2), "189.50");
        assert_eq!(decimal(5, 2), "0.05");
        assert_eq!(decimal(7, 0), "7");
    }
}
