//! The database of accounts, opened by a command.

use panel_kernel::data::Database;

use super::database;
use crate::Failure;
use crate::config::Config;

/// Opens it, ready to make ids; to be given back when the command is done.
pub(super) async fn open(config: &Config) -> Result<Database, Failure> {
    database::open(config, panel_auth::SERVICE.name, &panel_auth::migrations()).await
}
