//! `panel-node openapi`: the document of this release, without running anything, and what it breaks.

use std::path::Path;

use panel_kernel::time::Clock;
use serde_json::Value;

use super::say;
use crate::Failure;
use crate::cli::OpenapiArgs;
use crate::compatibility::breaks;
use crate::config::Config;

pub(super) fn print(args: &OpenapiArgs) -> Result<(), Failure> {
    let config = Config::load_common(&args.common)?;
    let mut document = panel_gateway::own_document();
    for spec in &config.services {
        document.merge((spec.openapi)());
    }
    match &args.against {
        Some(other) => {
            let document = serde_json::to_value(&document).map_err(Failure::other)?;
            compare(&read(other)?, &document)
        }
        None => {
            say(document.to_pretty_json().map_err(Failure::other)?);
            Ok(())
        }
    }
}

fn read(file: &Path) -> Result<Value, Failure> {
    let usage = |reason: String| Failure::Usage(format!("{}: {reason}", file.display()));
    let text = std::fs::read(file).map_err(|error| usage(error.to_string()))?;
    let document: Value =
        serde_json::from_slice(&text).map_err(|error| usage(error.to_string()))?;
    if document["openapi"].is_string() && document["paths"].is_object() {
        Ok(document)
    } else {
        Err(usage("this is no OpenAPI document".to_owned()))
    }
}

fn compare(old: &Value, new: &Value) -> Result<(), Failure> {
    let found = breaks(old, new, Clock::system().now());
    for one in &found {
        say(one);
    }
    let released = old["info"]["version"].as_str().unwrap_or("an unknown release");
    if found.is_empty() {
        say(format!("nothing breaks for who relies on {released}"));
        return Ok(());
    }
    let count = found.len();
    Err(Failure::Other(format!("{count} promises of {released} are broken")))
}
