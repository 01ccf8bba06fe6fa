//! The command line.

mod certs;
mod cms;
mod forum;
mod keys;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use panel_kernel::role::Role;

pub(crate) use certs::{AuthorityArgs, CertsCommand, IssueArgs};
pub(crate) use cms::{ArticlesArgs, ArticlesExportArgs, CmsCommand, Format as ArticlesFormat};
pub(crate) use forum::{ExportArgs, ForumCommand, ImportArgs};
pub(crate) use keys::{KeysCommand, RotateArgs};

/// A self-hosted community platform: accounts, forum, articles, administration.
///
/// Without a command it runs the whole platform on this machine, data under ./data, the site
/// on http://127.0.0.1:5000.
#[derive(Debug, Parser)]
#[command(name = "panel-node", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the platform, or the services named by --roles.
    Run(RunArgs),
    /// Manage accounts, beside a running node or without one.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Bring the databases' schemas up to date, and end.
    Migrate(CommonArgs),
    /// Check or show the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make the certificates that nodes of a cluster know each other by.
    #[command(subcommand)]
    Certs(CertsCommand),
    /// Change the keys that sign access tokens.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Take the forum out, and in, beside a running node or without one.
    #[command(subcommand)]
    Forum(ForumCommand),
    /// Take articles out, and in, beside a running node or without one.
    #[command(subcommand)]
    Cms(CmsCommand),
    /// Print the OpenAPI document of this release, or what it breaks of another's.
    Openapi(OpenapiArgs),
    /// Show how the running node is, and everything on it.
    Status(StatusArgs),
    /// Let a running node finish what it has and end, and wait for that.
    Drain(DrainArgs),
    /// Make one picture, for a node that has started this.
    #[command(hide = true)]
    PictureWorker,
}

/// Accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Make an account.
    Create(CreateArgs),
}

/// Configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether it is good, and why not.
    Check(RunArgs),
    /// Print what is in force, defaults included, secrets redacted.
    Show(RunArgs),
}

/// Where configuration and data are.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct CommonArgs {
    /// The configuration file [default: cluster.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the node keeps its files [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// sqlite://DIR or postgres://… [default: SQLite in the data directory]
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
}

/// How to run.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// What this node does [default: everything]
    #[arg(long, value_name = "ROLE,…", value_delimiter = ',')]
    pub(crate) roles: Option<Vec<String>>,
    /// The node's name [default: n1]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Where the site is served [default: 127.0.0.1:5000]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Where health and metrics are served [default: 127.0.0.1:5900]
    #[arg(long, value_name = "ADDR")]
    pub(crate) ops_listen: Option<String>,
    /// A port per service for /health, or off [default: auth=5001,forum=5002,cms=5003,admin=5004]
    #[arg(long, value_name = "NAME=PORT,…|off")]
    pub(crate) service_ports: Option<String>,
    /// Where other nodes connect [default: none; a node without it and without --seed is alone]
    #[arg(long, value_name = "ADDR")]
    pub(crate) cluster_listen: Option<String>,
    /// The address other nodes are told to connect to [default: that of --cluster-listen]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,
    /// A node to begin with; may be given more than once
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) seed: Vec<String>,
    /// Where this node's certificate and keys lie, as made by `certs issue`
    #[arg(long, value_name = "DIR")]
    pub(crate) tls_dir: Option<PathBuf>,
    /// redis://… [default: none]
    #[arg(long, value_name = "URL")]
    pub(crate) redis_url: Option<String>,
    /// How logs look [default: pretty on a terminal, else json]
    #[arg(long, value_enum)]
    pub(crate) log_format: Option<LogFormatArg>,
    /// error, warn, info, debug, trace, or a filter like info,panel_forum=debug
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

/// Which document.
#[derive(Clone, Debug, Args)]
pub(crate) struct OpenapiArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// Compare with the document of another release, and list what breaks for who relies on it; exit code 1 if anything
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
}

/// Which node, and how it is shown.
#[derive(Clone, Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// The node's name, where several run on one data directory
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which node.
#[derive(Clone, Debug, Args)]
pub(crate) struct DrainArgs {
    /// The node's name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// How logs look.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormatArg {
    /// One JSON object per line.
    Json,
    /// For people.
    Pretty,
}

/// The account to make.
#[derive(Clone, Debug, Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// The name to sign in with
    #[arg(long, value_name = "NAME")]
    pub(crate) username: String,
    /// The mail address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: String,
    /// `user`, premium, moderator, admin, `system_admin`
    #[arg(long, default_value = "system_admin")]
    pub(crate) role: Role,
    /// Read the password from the first line of standard input instead of asking for it
    #[arg(long)]
    pub(crate) password_stdin: bool,
}
