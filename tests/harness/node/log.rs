//! What a node writes to its standard error, kept for the test and shown when it fails.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::process::ChildStderr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lines kept; older ones are forgotten.
const KEPT: usize = 20_000;
/// Lines shown when a test fails.
const SHOWN: usize = 200;

/// A node's log. Clones are the same log.
#[derive(Clone, Debug)]
pub(super) struct Log {
    name: String,
    lines: Arc<Mutex<VecDeque<String>>>,
    reader: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Log {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), lines: Arc::default(), reader: Arc::default() }
    }

    /// Reads until the process ends.
    pub(super) fn follow(&self, stderr: ChildStderr) {
        let lines = Arc::clone(&self.lines);
        let reading = move || {
            let mut reader = BufReader::new(stderr);
            let mut line = Vec::new();
            while let Ok(1..) = reader.read_until(b'\n', &mut line) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                let mut lines = lines.lock();
                if lines.len() == KEPT {
                    lines.pop_front();
                }
                lines.push_back(text);
            }
        };
        let thread = std::thread::Builder::new().name(format!("log of {}", self.name));
        *self.reader.lock() = Some(thread.spawn(reading).unwrap());
    }

    /// After the process has ended: waits until its last words are here. A grandchild may hold
    /// the pipe open, so not for ever.
    pub(super) fn settle(&self) {
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.reader.lock().as_ref().is_some_and(|reader| !reader.is_finished())
            && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().iter().cloned().collect()
    }

    pub(super) fn contains(&self, text: &str) -> bool {
        self.lines.lock().iter().any(|line| line.contains(text))
    }

    /// The last lines, as one text.
    pub(super) fn tail(&self) -> String {
        let lines = self.lines.lock();
        let from = lines.len().saturating_sub(SHOWN);
        lines.iter().skip(from).map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}
