//! The commands.

mod accounts;
mod admin;
mod certs;
mod cms;
mod config;
mod database;
mod drain;
mod forum;
mod keys;
mod lines;
mod migrate;
mod openapi;
mod progress;
mod run;
mod status;

use crate::Failure;
use crate::cli::{
    AdminCommand, CertsCommand, Cli, CmsCommand, Command, ConfigCommand, ForumCommand, KeysCommand,
};

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        None => run::run(&cli.run),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Admin(AdminCommand::Create(args))) => admin::create(&args),
        Some(Command::Migrate(args)) => migrate::migrate(&args),
        Some(Command::Config(ConfigCommand::Check(args))) => config::check(&args),
        Some(Command::Config(ConfigCommand::Show(args))) => config::show(&args),
        Some(Command::Certs(CertsCommand::Init(args))) => certs::init(&args),
        Some(Command::Certs(CertsCommand::Issue(args))) => certs::issue(&args),
        Some(Command::Certs(CertsCommand::Renew(args))) => certs::renew(&args),
        Some(Command::Keys(KeysCommand::Rotate(args))) => keys::rotate(&args),
        Some(Command::Forum(ForumCommand::Export(args))) => forum::export(&args),
        Some(Command::Forum(ForumCommand::Import(args))) => forum::import(&args),
        Some(Command::Cms(CmsCommand::Export(args))) => cms::export(&args),
        Some(Command::Cms(CmsCommand::Import(args))) => cms::import(&args),
        Some(Command::Openapi(args)) => openapi::print(&args),
        Some(Command::Status(args)) => status::status(&args),
        Some(Command::Drain(args)) => drain::drain(&args),
        // It is no node: nothing of one is set up.
        Some(Command::PictureWorker) => panel_pictures::run_child().map_err(Failure::other),
    }
}

/// A line for whoever called; a closed pipe is their decision.
fn say(line: impl std::fmt::Display) {
    use std::io::Write as _;
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// A runtime for a command that does one thing.
fn brief_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::other)
}
