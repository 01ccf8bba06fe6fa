//! What a node and its roles may be called.

use crate::services::{GATEWAY, SERVICES};

/// Says why that can't be a node's name.
pub(crate) fn check_node_name(name: &str) -> Result<(), String> {
    if panel_cluster::tls::is_node_name(name) {
        return Ok(());
    }
    Err(format!("{name:?} must be 1 to 64 letters, digits, dots, - or _"))
}

/// Says why that is no role of this release.
pub(crate) fn check_role(role: &str) -> Result<(), String> {
    if role == GATEWAY || SERVICES.iter().any(|service| service.name == role) {
        return Ok(());
    }
    let names: Vec<_> = SERVICES.iter().map(|service| service.name).collect();
    Err(format!("{role:?} is not a role ({GATEWAY}, {})", names.join(", ")))
}
