//! How `send` and `load` reach a venue: as it is or over TLS, with a password or without. The password is in a
//! file or in the environment: other users of the machine can read a command line.

use std::{env, ffi::OsString, fs, net::SocketAddr, path::PathBuf};

use ironbook_gateway::{
    client::{Access, Login},
    config::ConfigError,
    tls::{ClientFiles, ClientTls},
};

use crate::{
    output::{Exit, Failure},
    password,
};

/// Variable of the environment that a password may stand in.
const PASSWORD_VARIABLE: &str = "IRONBOOK_PASSWORD";

// No doc comment: it would become the subcommand's.
#[derive(Debug, clap::Args)]
pub struct AccessArguments {
    /// Connect over TLS to a venue whose certificate one of the authorities in this PEM file issued
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Name or address that the venue's certificate is for [default: the venue's address]
    #[arg(long, value_name = "NAME", requires = "tls_ca")]
    tls_name: Option<String>,
    /// PEM file of a certificate to show to the venue
    #[arg(long, value_name = "FILE", requires = "tls_ca", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// PEM file of its private key
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Username to log on with; it needs a password
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// File whose first line is the password to log on with [default: IRONBOOK_PASSWORD, if it is set]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl AccessArguments {
    /// What they say, to a venue at an address.
    pub fn access(&self, address: SocketAddr) -> Result<Access, Failure> {
        self.access_with(address, env::var_os(PASSWORD_VARIABLE))
    }

    fn access_with(
        &self,
        address: SocketAddr,
        variable: Option<OsString>,
    ) -> Result<Access, Failure> {
        let tls = self.tls_ca.as_ref().map(|ca| {
            let identity = self.tls_certificate.as_deref().zip(self.tls_key.as_deref());
            let name = self.tls_name.clone().unwrap_or_else(|| address.ip().to_string());
            ClientTls::new(ClientFiles { ca, identity }, &name).map_err(told)
        });
        let password = self.password(variable)?;
        let username = self.username.clone();
        if let Some(name) = &username
            && (password.is_none() || name.is_empty() || name.contains(char::is_control))
        {
            let message = format!("--username {name:?} needs a password, and printable characters");
            return Err(Failure::new(Exit::Usage, message));
        }
        let login = password.map(|password| Login { username, password });
        Ok(Access { tls: tls.transpose()?, login })
    }

    fn password(&self, variable: Option<OsString>) -> Result<Option<String>, Failure> {
        let (text, place) = match (&self.password_file, variable) {
            (Some(path), _) => {
                let unreadable = |error| {
                    let message = format!("--password-file {}: {error}", path.display());
                    Failure::new(Exit::Usage, message)
                };
                (fs::read_to_string(path).map_err(unreadable)?, path.display().to_string())
            }
            (None, Some(value)) => {
                let text = value.into_string().unwrap_or_default();
                (text, PASSWORD_VARIABLE.to_owned())
            }
            (None, None) => return Ok(None),
        };
        let line = text.lines().next().unwrap_or_default();
        let advice = format!("{place} has to begin with a line of 1 to 256 bytes");
        password::check(line, &advice).map(|password| Some(password.to_owned()))
    }
}

/// The same as of an argument of the command line.
fn told(error: ConfigError) -> Failure {
    let message = match error {
        ConfigError::Value { key, value, reason } => format!("--{key} {value}: {reason}"),
        other => other.to_string(),
    };
    Failure::new(Exit::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of a password file and a variable: password and name, or why there are none.
    fn login(
        file: Option<&str>,
        variable: Option<&str>,
        username: Option<&str>,
    ) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = file.map(|text| {
            let path = dir.path().join("password");
            fs::write(&path, text).unwrap();
            path
        });
        let arguments = AccessArguments {
            tls_ca: None,
            tls_name: None,
            tls_certificate: None,
            tls_key: None,
            username: username.map(str::to_owned),
            password_file: path,
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let access = arguments
            .access_with(address, variable.map(OsString::from))
            .map_err(|failure| failure.message().to_owned())?;
        let shown = format!("{access:?}");
        assert!(!shown.contains("secret"), "{shown}");
        Ok(access.login.map_or("none".to_owned(), |login| {
            format!("{} as {}", login.password, login.username.unwrap_or_default())
        }))
    }

    #[test]
    fn a_password_comes_from_a_file_or_the_environment() {
        for (file, variable, username, expected) in [
            (None, None, None, Ok("none")),
            (Some("secret\nnot this"), None, Some("x"), Ok("secret as x")),
            (Some("secret\r\n"), Some("other"), None, Ok("secret as ")),
            (None, Some("secret"), None, Ok("secret as ")),
            (Some(""), None, None, Err("has to begin with a line of 1 to 256 bytes")),
            (None, Some(""), None, Err("IRONBOOK_PASSWORD has to begin with a line")),
            (None, Some("a\u{1}b"), None, Err("the password can't be sent")),
            (None, None, Some("x"), Err("--username \"x\" needs a password")),
            (None, Some("secret"), Some("a\u{1}b"), Err("printable characters")),
        ] {
            let found = login(file, variable, username);
            match (&found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(told), Err(expected)) => assert!(told.contains(expected), "{told}"),
                _ => panic!("{found:?}: {expected:?}"),
            }
        }
    }
}
