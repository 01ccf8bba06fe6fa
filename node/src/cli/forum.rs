//! The command line of `panel-node forum`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::CommonArgs;

/// The forum.
#[derive(Debug, Subcommand)]
pub(crate) enum ForumCommand {
    /// Write all of it into a file of JSON lines; a second time, go on where it was cut off.
    Export(ExportArgs),
    /// Take in such a file, or tables of the original application; a second time, only what is new.
    Import(ImportArgs),
}

/// Where to.
#[derive(Clone, Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// A file that is not there yet
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// What, and how.
#[derive(Clone, Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// A file of JSON lines
    #[arg(value_name = "FILE", required_unless_present = "original", conflicts_with = "original")]
    pub(crate) file: Option<PathBuf>,
    /// A folder with user.csv, `forum_thread.csv` and `forum_post.csv` of the original application
    #[arg(long, value_name = "DIR")]
    pub(crate) original: Option<PathBuf>,
    /// What the place is called that these tables are from
    #[arg(long, value_name = "NAME", default_value = "original", requires = "original")]
    pub(crate) source: String,
    /// The category that their threads get
    #[arg(long, value_name = "NAME", default_value = "Imported", requires = "original")]
    pub(crate) category: String,
    /// Whoever signs in with the same name here is the same person
    #[arg(long, conflicts_with = "original")]
    pub(crate) match_names: bool,
    /// Leave out what can't be taken in, and say what that was
    #[arg(long)]
    pub(crate) skip: bool,
}
