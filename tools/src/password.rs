//! `ironbook password`: makes the hash of a password for the configuration.

use std::io::{self, BufRead, IsTerminal, Write as _};

use ironbook_gateway::credentials::PasswordHash;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::output::{Exit, Failure, Outcome, say};

/// Make the hash of a password for the configuration.
///
/// Reads the password, one line, from standard input; a terminal does not show it. Prints what belongs to
/// `password` of a `[[session]]`. The password itself is kept nowhere.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Longest password: what fits into a Logon beside all else.
const PASSWORD_BYTES_MAX: usize = 256;

/// A terminal that shows nothing that is typed, until it is dropped.
struct Silent(Termios);

impl Silent {
    fn new() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent).ok()?;
        Some(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
        eprintln!("");
    }
}

pub fn run(_: &Arguments) -> Outcome {
    let mut line = String::new();
    let read = if io::stdin().is_terminal() {
        let _ = write!(io::stderr(), "Password: ");
        let _silent = Silent::new();
        io::stdin().lock().read_line(&mut line)
    } else {
        io::stdin().lock().read_line(&mut line)
    };
    read.map_err(|error| Failure::new(Exit::Usage, format!("standard input: {error}")))?;
    let password = check(&line, "write one line of 1 to 256 bytes to standard input")?;
    let hash = PasswordHash::of(password.as_bytes());
    let hash = hash.map_err(|error| Failure::new(Exit::Finding, error))?;
    say!("{hash}");
    Ok(Exit::Fine)
}

/// The password in a line, if it is one; `advice` says what to do where there is none.
pub fn check<'a>(line: &'a str, advice: &str) -> Result<&'a str, Failure> {
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
        return Err(Failure::new(Exit::Usage, format!("no password: {advice}")));
    }
    if !password.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        let advice = "a field of FIX takes letters, digits, signs and spaces of ASCII";
        return Err(Failure::new(Exit::Usage, format!("the password can't be sent: {advice}")));
    }
    Ok(password)
}
