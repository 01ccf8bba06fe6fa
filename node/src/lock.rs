//! One node per data directory and name, and one process per SQLite directory.
//!
//! The lock is the operating system's: it ends with the process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Failure;

/// What a running node writes about itself, for those beside it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// The process.
    pub(crate) pid: u32,
    /// Where the site is served; none without the gateway role.
    pub(crate) http: Option<String>,
    /// Where what is asked in the clear hears where the site is; only under TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) redirect: Option<String>,
    /// Where health and metrics are served.
    pub(crate) ops: String,
    /// Where other nodes connect.
    pub(crate) cluster: Option<String>,
    /// The services' ports, by name.
    pub(crate) service_ports: std::collections::BTreeMap<String, String>,
}

impl RunFile {
    /// What is written in a data directory, by the node's name, in its order. Also what is left
    /// over from nodes that were killed.
    pub(crate) fn all(data_dir: &Path) -> Vec<(String, Self)> {
        let entries = std::fs::read_dir(data_dir.join("run")).into_iter().flatten().flatten();
        let mut found: Vec<(String, Self)> = entries
            .filter_map(|entry| {
                let path = entry.path();
                let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
                Some((name, serde_json::from_slice(&std::fs::read(path).ok()?).ok()?))
            })
            .collect();
        found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        found
    }
}

/// Held while the node runs.
#[derive(Debug)]
pub(crate) struct Locks {
    _held: Vec<File>,
    run_file: PathBuf,
}

impl Locks {
    /// Takes the node's name in its data directory, and every directory that SQLite files lie in.
    pub(crate) fn take(data_dir: &Path, name: &str, sqlite: &[PathBuf]) -> Result<Self, Failure> {
        let run = data_dir.join("run");
        make_private_dir(data_dir).map_err(|error| cant(data_dir, &error))?;
        make_private_dir(&run).map_err(|error| cant(&run, &error))?;
        let run_file = run.join(format!("{name}.json"));
        let mut held = Vec::new();
        for directory in sqlite {
            make_private_dir(directory).map_err(|error| cant(directory, &error))?;
            held.push(lock(&directory.join("panel.lock"), directory, &run)?);
        }
        held.push(lock(&run.join(format!("{name}.lock")), data_dir, &run)?);
        Ok(Self { _held: held, run_file })
    }

    /// Says where the node is to be found. Written beside and moved, so that nobody reads half.
    pub(crate) fn announce(&self, content: &RunFile) -> io::Result<()> {
        let staged = self.run_file.with_extension("json.new");
        std::fs::write(&staged, serde_json::to_vec_pretty(content)?)?;
        std::fs::rename(staged, &self.run_file)
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        // Whoever finds one without a lock knows that the node was killed.
        drop(std::fs::remove_file(&self.run_file));
    }
}

fn lock(path: &Path, data_dir: &Path, run: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| cant(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::Other(format!(
            "{} is in use by another panel-node{}; stop that one, or give this one another \
             --data-dir (and --database-url)",
            data_dir.display(),
            who(run)
        ))),
        Err(TryLockError::Error(error)) => Err(cant(path, &error)),
    }
}

/// Who holds the lock, as far as the run files tell.
fn who(run: &Path) -> String {
    let files = std::fs::read_dir(run).into_iter().flatten().flatten();
    for entry in files {
        if let Ok(text) = std::fs::read(entry.path())
            && let Ok(found) = serde_json::from_slice::<RunFile>(&text)
        {
            let at = found.http.map_or_else(String::new, |http| format!(" at http://{http}"));
            return format!(" (process {}{at})", found.pid);
        }
    }
    String::new()
}

/// A directory that only its owner may look into, since keys lie in it.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    match std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn cant(path: &Path, error: &io::Error) -> Failure {
    Failure::Other(format!("{} can't be used: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_about_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let db = [dir.path().join("db")];
        let first = Locks::take(dir.path(), "n1", &db).unwrap();
        let content = RunFile { pid: 42, http: Some("127.0.0.1:1".into()), ..RunFile::default() };
        first.announce(&content).unwrap();
        let refused = Locks::take(dir.path(), "n2", &db).unwrap_err().to_string();
        assert!(refused.contains("process 42 at http://127.0.0.1:1"), "{refused}");
        assert!(Locks::take(dir.path(), "n1", &[]).is_err());
        let elsewhere = tempfile::tempdir().unwrap();
        assert!(Locks::take(elsewhere.path(), "n1", &db).is_err(), "one SQLite, one process");
        let beside = Locks::take(dir.path(), "n2", &[]).unwrap();
        drop((first, beside));
        assert!(!dir.path().join("run/n1.json").exists());
        Locks::take(dir.path(), "n1", &db).unwrap();
    }
}
