//! The command line of `panel-node keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::CommonArgs;

/// Keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a new key to sign access tokens with, beside running nodes or without any.
    ///
    /// Nobody notices: what older keys have signed is good until it ends.
    Rotate(RotateArgs),
}

/// How the keys are changed.
#[derive(Clone, Debug, Args)]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// Where the cluster key lies, for nodes that run with certificates [default: the
    /// configuration's, else the data directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) tls_dir: Option<PathBuf>,
    /// What older keys have signed is good no more: somebody may have seen one
    #[arg(long)]
    pub(crate) revoke: bool,
}
