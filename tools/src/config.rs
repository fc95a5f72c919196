//! `ironbook config`: prints the configuration that is in effect.

use std::path::PathBuf;

use ironbook_gateway::config::{Config, render};

use crate::output::{Exit, Outcome, say};

/// Print the effective configuration: every key with its meaning, unit and default.
///
/// The output is a complete configuration file.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Configuration file (TOML); without it, the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let config = match &arguments.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    say!("{}", render(&config).trim_end());
    Ok(Exit::Fine)
}
