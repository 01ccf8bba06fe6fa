//! What a node writes when it listens.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// What a listening node writes into its run file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RunFile {
    /// The process.
    pub pid: u32,
    /// The public address, on a node with the gateway's role.
    pub http: Option<String>,
    /// Where what is asked in the clear hears where the site is.
    pub redirect: Option<String>,
    /// The ops address.
    pub ops: String,
    /// The cluster's address, on a node that opens it.
    pub cluster: Option<String>,
    /// One address per service, on a node with the gateway's role.
    #[serde(default)]
    pub service_ports: BTreeMap<String, String>,
}

impl RunFile {
    /// The file as it is now, if it is there and whole.
    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }
}
