//! A web server of the test's own, which has files and nothing else: Python's.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::process::Process;

/// A server on a port of its own. It ends with the test, however that ends.
#[derive(Debug)]
pub struct FileServer {
    process: Process,
    directory: TempDir,
    port: u16,
}

impl FileServer {
    /// One that has no files yet.
    #[must_use]
    pub fn start() -> Self {
        let directory = TempDir::with_prefix("panel-files-").unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/file_server.py");
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).arg(directory.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::spawn(&mut command, "the file server");
        let port = process.port();
        Self { process, directory, port }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Has this file from now on.
    pub fn has(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// Stops it in the middle of everything, without closing anything.
    pub fn freeze(&self) {
        self.process.signal("STOP");
    }
}
