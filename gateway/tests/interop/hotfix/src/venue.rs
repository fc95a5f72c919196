//! The venue as a process of its own.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::{Error, PATIENCE};

/// A venue on a free port of 127.0.0.1. Killed when it is dropped.
pub struct Venue {
    binary: PathBuf,
    data: PathBuf,
    /// Its port once it has one: it gets the same after a death.
    pub port: u16,
    child: Child,
    /// Kept open, as what the venue says later has to go somewhere.
    _said: BufReader<ChildStdout>,
}

impl Venue {
    /// Starts `binary` with the data directory `data`.
    pub async fn start(binary: &Path, data: &Path) -> Result<Self, Error> {
        Self::on_port(binary, data, 0).await
    }

    /// Kills the process with SIGKILL and starts it again.
    pub async fn die_and_come_back(&mut self) -> Result<(), Error> {
        self.child.kill().await?;
        *self = Self::on_port(&self.binary, &self.data, self.port).await?;
        Ok(())
    }

    /// Ends the venue in order.
    pub async fn stop(mut self) -> Result<ExitStatus, Error> {
        let id = self.child.id().ok_or("the venue has ended before it was told to")?;
        let pid = rustix::process::Pid::from_raw(i32::try_from(id)?).ok_or("no process")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = timeout(PATIENCE, self.child.wait()).await;
        Ok(status.map_err(|_| "the venue does not stop")??)
    }

    async fn on_port(binary: &Path, data: &Path, port: u16) -> Result<Self, Error> {
        let mut child = Command::new(binary)
            .arg("start")
            .arg("--data")
            .arg(data)
            .args(["--fix", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{}: {error}", binary.display()))?;
        let mut said = BufReader::new(child.stdout.take().ok_or("no output of the venue")?);
        let port = timeout(PATIENCE, ready(&mut said)).await;
        let port = port.map_err(|_| "the venue does not start")??;
        let (binary, data) = (binary.to_owned(), data.to_owned());
        Ok(Self { binary, data, port, child, _said: said })
    }
}

/// Reads what the venue says at its start, up to the line after which it serves; gives the port.
async fn ready(said: &mut BufReader<ChildStdout>) -> Result<u16, Error> {
    let mut port = None;
    let mut line = String::new();
    while said.read_line(&mut line).await? > 0 {
        if let Some((before, address)) = line.split_once("127.0.0.1:")
            && before.trim() == "FIX"
        {
            let digits = address.split(|c: char| !c.is_ascii_digit()).next();
            port = digits.and_then(|digits| digits.parse().ok());
        }
        if line.starts_with("Ctrl-C") {
            return Ok(port.ok_or("the venue did not name its port")?);
        }
        line.clear();
    }
    Err("the venue ended at its start".into())
}
