//! `panel-node openapi`: the document of this release, without running anything.

use panel_kernel::config::Section;
use serde_json::{Map, Value};

use super::say;
use crate::Failure;
use crate::services::SERVICES;

pub(super) fn print() -> Result<(), Failure> {
    let mut document = panel_gateway::own_document();
    for service in SERVICES {
        let section = Section { path: service.name.to_owned(), values: Value::Object(Map::new()) };
        let spec = (service.configure)(&section).map_err(Failure::other)?;
        document.merge((spec.openapi)());
    }
    say(document.to_pretty_json().map_err(Failure::other)?);
    Ok(())
}
