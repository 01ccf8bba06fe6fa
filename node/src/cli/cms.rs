//! The command line of `panel-node cms`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{CommonArgs, ExportArgs};

/// Articles.
#[derive(Debug, Subcommand)]
pub(crate) enum CmsCommand {
    /// Write all articles, with all their texts, into a file of JSON lines.
    Export(ArticlesExportArgs),
    /// Take in such a file, or one of WordPress or Ghost; a second time, only what is new.
    Import(ArticlesArgs),
}

/// Where to.
#[derive(Clone, Debug, Args)]
pub(crate) struct ArticlesExportArgs {
    #[command(flatten)]
    pub(crate) to: ExportArgs,
    /// Pictures as well, their files into this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) media: Option<PathBuf>,
}

/// What, and how.
#[derive(Clone, Debug, Args)]
pub(crate) struct ArticlesArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// A file that `cms export`, WordPress (WXR) or Ghost (JSON) has written
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Of which program it is, where that is not to be seen
    #[arg(long, value_name = "NAME")]
    pub(crate) format: Option<Format>,
    /// Where the site was that a file of Ghost is from: `https://old.example`
    #[arg(long, value_name = "URL")]
    pub(crate) address: Option<String>,
    /// Pictures as well, from this directory: that of `cms export`, or a copy of `wp-content/uploads` or `content/images`
    #[arg(long, value_name = "DIR")]
    pub(crate) media: Option<PathBuf>,
    /// Make accounts for those who wrote, by their mail addresses, where they have none
    #[arg(long)]
    pub(crate) accounts: bool,
    /// Leave out what can't be taken in, and say what that was
    #[arg(long)]
    pub(crate) skip: bool,
}

/// Of which program a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// This one: JSON lines.
    Panel,
    /// WordPress: WXR.
    Wordpress,
    /// Ghost: JSON.
    Ghost,
}
