//! Authorities, credentials and handshakes, as nodes use them.
#![allow(clippy::disallowed_methods, reason = "tests stand outside the actor tree")]

mod authorities;
mod files;
mod handshakes;
mod watching;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use panel_kernel::keys::write_private;
use panel_kernel::time::{Clock, Timestamp};
use tempfile::TempDir;

use super::{Authority, Credentials, Validity};

const DAY: Duration = Duration::from_secs(24 * 3_600);

pub(super) fn now() -> Timestamp {
    Timestamp::from_seconds(1_790_000_000)
}

fn roles(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// An authority, a clock that the test moves, and a directory per node.
pub(super) struct Cluster {
    dir: TempDir,
    authority: Authority,
    clock: Clock,
}

impl Cluster {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_private(&dir.path().join("cluster.key"), &[7; 32]).unwrap();
        let authority = Authority::create(now()).unwrap();
        Self { dir, authority, clock: Clock::manual(now()) }
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("cluster.key")
    }

    fn node_dir(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A node's directory, filled or renewed.
    pub(super) fn issue(&self, name: &str, allowed: &[&str], validity: Validity) -> PathBuf {
        let dir = self.node_dir(name);
        let issued = self.authority.issue(name, &roles(allowed), validity).unwrap();
        issued.write(&dir, &self.key()).unwrap();
        dir
    }

    /// A node with a certificate for 30 days.
    fn node(&self, name: &str, allowed: &[&str]) -> Credentials {
        self.node_for(name, allowed, Validity::days(now(), 30))
    }

    fn node_for(&self, name: &str, allowed: &[&str], validity: Validity) -> Credentials {
        self.load(&self.issue(name, allowed, validity)).unwrap()
    }

    fn load(&self, dir: &Path) -> Result<Credentials, super::TlsError> {
        Credentials::load(dir, self.clock.clone())
    }
}
