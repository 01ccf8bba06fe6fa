//! Certificates for the nodes of a test.

use std::path::{Path, PathBuf};

use panel_cluster::tls::{Authority, Validity};
use panel_kernel::keys::ClusterKey;
use panel_kernel::time::Clock;
use tempfile::TempDir;

/// An authority of the test's own, and the key of its cluster.
#[derive(Debug)]
pub struct Trust {
    directory: TempDir,
}

impl Default for Trust {
    fn default() -> Self {
        Self::new()
    }
}

impl Trust {
    /// A new authority and a new key.
    #[must_use]
    pub fn new() -> Self {
        let directory = TempDir::with_prefix("panel-ca-").unwrap();
        let authority = Authority::create(Clock::system().now()).unwrap();
        authority.save(&directory.path().join("ca")).unwrap();
        ClusterKey::load_or_create(&directory.path().join("cluster.key")).unwrap();
        Self { directory }
    }

    /// A certificate for a node with these roles, comma-separated, good for a day, in
    /// `<home>/tls`. A new one takes the place of one that is there.
    #[must_use]
    pub fn issue(&self, name: &str, roles: &str, home: &Path) -> PathBuf {
        self.issue_for(name, roles, home, Validity::days(Clock::system().now(), 1))
    }

    /// The same, good for as long as the test says.
    #[must_use]
    pub fn issue_for(&self, name: &str, roles: &str, home: &Path, validity: Validity) -> PathBuf {
        let authority = Authority::load(&self.directory.path().join("ca")).unwrap();
        let roles = roles.split(',').map(str::to_owned).collect();
        let issued = authority.issue(name, &roles, validity).unwrap();
        let tls = home.join("tls");
        issued.write(&tls, &self.directory.path().join("cluster.key")).unwrap();
        tls
    }
}
