//! `panel-node`: the whole platform in one process, or one node of a cluster.
//!
//! Exit codes: 0 clean, 2 bad usage or configuration, 1 anything else. Errors go to stderr, in
//! one plain sentence that names what to do.

mod cli;
mod commands;
mod compatibility;
mod config;
mod control;
mod lock;
mod node;
mod ops;
mod services;
mod telemetry;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

/// Why the program ends with something other than 0.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Bad usage or configuration: 2.
    #[error("{0}")]
    Usage(String),
    /// Anything else: 1.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    pub(crate) fn other(error: impl std::fmt::Display) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<config::ConfigError> for Failure {
    fn from(error: config::ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell if stderr is closed.
            drop(writeln!(std::io::stderr(), "panel-node: {failure}"));
            match failure {
                Failure::Usage(_) => ExitCode::from(2),
                Failure::Other(_) => ExitCode::from(1),
            }
        }
    }
}
