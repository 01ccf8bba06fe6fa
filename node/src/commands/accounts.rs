//! The database of accounts, opened by a command.

use panel_auth::ImportedAccount;
use panel_kernel::data::{Database, WriteContext};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::time::Clock;

use super::database;
use crate::Failure;
use crate::config::Config;

/// Opens it, ready to make ids; to be given back when the command is done.
pub(super) async fn open(config: &Config) -> Result<Database, Failure> {
    database::open(config, panel_auth::SERVICE.name, &panel_auth::migrations()).await
}

/// The account of somebody who had one elsewhere, without a password, which they choose anew by a mail. Which it is, and the
/// name to sign in with.
pub(super) async fn made(db: &Database, account: ImportedAccount) -> Result<(Id, String), Problem> {
    let context = WriteContext::internal("command line", Clock::system().now());
    panel_auth::import_account(db, account, &context).await
}

/// Why there is none.
pub(super) fn sentence(problem: &Problem) -> String {
    let wrong: Vec<String> =
        problem.errors.iter().map(|error| format!("{} {}", error.field, error.message)).collect();
    if wrong.is_empty() { problem.detail.clone() } else { wrong.join("; ") }
}
