//! `panel-node openapi`: the document of this release, without running anything.

use super::say;
use crate::Failure;
use crate::cli::CommonArgs;
use crate::config::Config;

pub(super) fn print(args: &CommonArgs) -> Result<(), Failure> {
    let config = Config::load_common(args)?;
    let mut document = panel_gateway::own_document();
    for spec in &config.services {
        document.merge((spec.openapi)());
    }
    say(document.to_pretty_json().map_err(Failure::other)?);
    Ok(())
}
