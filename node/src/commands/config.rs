//! `panel-node config check` and `config show`.

use super::say;
use crate::Failure;
use crate::cli::RunArgs;
use crate::config::Config;

pub(super) fn check(args: &RunArgs) -> Result<(), Failure> {
    let config = Config::load(args)?;
    config.check_files().map_err(Failure::Usage)?;
    say("The configuration is good.");
    Ok(())
}

pub(super) fn show(args: &RunArgs) -> Result<(), Failure> {
    let config = Config::load(args)?;
    say(config.show()?.trim_end());
    Ok(())
}
