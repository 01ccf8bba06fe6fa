//! How requests are spread over the members of a service, beyond choosing one of equals: by their release, past members
//! that fail more than others, and for how long. It lies in a file that is read again when it changes, so that a release
//! can be tried on a few requests, on more, and on none, without a restart.
//!
//! The members are those of the directory, and dispatch asks here whom of them to ask: there is no other table.

mod config;
mod policy;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use panel_kernel::certificates::{FileError, read};
use panel_kernel::keys::sha256;
use parking_lot::Mutex;

pub use config::TrafficConfig;
pub(crate) use config::{Mirror, Outliers};
pub(crate) use policy::{Chosen, Policy};
pub(crate) use watch::Watch;

type Policies = BTreeMap<String, Arc<Policy>>;

/// The traffic file in force. Cheap to clone; clones see each reload.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    services: Vec<&'static str>,
    identity: &'static str,
    policies: ArcSwap<Policies>,
    seen: Mutex<Seen>,
}

/// What was found at the last look.
#[derive(Debug)]
struct Seen {
    /// Of the bytes, or of why they can't be read.
    digest: [u8; 32],
    /// Whether it is in force, once that was tried.
    tried: Option<Result<(), FileError>>,
    /// Whether what was tried last is.
    is_in_force: bool,
}

/// What came of a look at the file.
#[derive(Debug, PartialEq, Eq)]
enum Looked {
    /// It is as it was.
    Same,
    /// It may be just being written: whether it stays so is seen at the next look.
    Changing,
    /// What it says is in force from now on.
    Applied,
}

impl Traffic {
    /// Reads the file; an empty path: there is none.
    ///
    /// # Errors
    /// If it can't be read, or says what can't be.
    pub(crate) fn load(
        path: PathBuf,
        services: Vec<&'static str>,
        identity: &'static str,
    ) -> Result<Self, FileError> {
        if path.as_os_str().is_empty() {
            return Ok(Self(None));
        }
        let bytes = read(&path)?;
        let policies = compiled(&TrafficConfig::of_file(&path, &bytes, &services, identity)?);
        Ok(Self(Some(Arc::new(Inner {
            path,
            services,
            identity,
            policies: ArcSwap::from_pointee(policies),
            seen: Mutex::new(Seen {
                digest: sha256(&[b"read", &bytes]),
                tried: Some(Ok(())),
                is_in_force: true,
            }),
        }))))
    }

    /// How requests to a service are spread, if that is said.
    pub(crate) fn of(&self, service: &str) -> Option<Arc<Policy>> {
        self.0.as_ref()?.policies.load().get(service).cloned()
    }

    /// The longest that a request may take inside by what is said here.
    pub(crate) fn longest_timeout(&self) -> Option<Duration> {
        let policies = self.0.as_ref()?.policies.load();
        policies.values().filter_map(|policy| policy.longest_timeout()).max()
    }

    /// Whether what lies in the file is in force; `None` where there is none.
    pub(crate) fn is_in_force(&self) -> Option<bool> {
        Some(self.0.as_ref()?.seen.lock().is_in_force)
    }

    /// Looks whether the file has changed. Blocks.
    fn look(&self) -> Result<Looked, FileError> {
        self.0.as_ref().map_or(Ok(Looked::Same), |inner| inner.look())
    }
}

impl Inner {
    fn look(&self) -> Result<Looked, FileError> {
        let found = read(&self.path);
        let digest = match &found {
            Ok(bytes) => sha256(&[b"read", bytes]),
            Err(error) => sha256(&[b"not read", error.to_string().as_bytes()]),
        };
        let mut seen = self.seen.lock();
        if seen.digest != digest {
            (seen.digest, seen.tried) = (digest, None);
            return Ok(Looked::Changing);
        }
        if let Some(tried) = &seen.tried {
            return tried.clone().map(|()| Looked::Same);
        }
        let tried = found.and_then(|bytes| self.apply(&bytes));
        seen.is_in_force = tried.is_ok();
        seen.tried = Some(tried.clone());
        tried.map(|()| Looked::Applied)
    }

    fn apply(&self, bytes: &[u8]) -> Result<(), FileError> {
        let config = TrafficConfig::of_file(&self.path, bytes, &self.services, self.identity)?;
        self.policies.store(Arc::new(compiled(&config)));
        Ok(())
    }
}

fn compiled(config: &TrafficConfig) -> Policies {
    let services = config.0.iter();
    services.map(|(name, traffic)| (name.clone(), Arc::new(Policy::new(traffic)))).collect()
}
