//! Processes that the harness starts, and that none of them is left.
//!
//! Every one has a mark in its environment, which whatever it starts inherits. So its children are
//! known too, also when it has ended and they have not. [`Node`](crate::Node), [`Redis`](crate::Redis)
//! and a private [`Postgres`](crate::Postgres) look for their own when they are dropped; a test
//! that wants to be sure of everything begins with [`NoLeaks::watch`].

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use panel_kernel::ids::random_hex;

/// The variable that marks a process.
const MARK: &str = "HARNESS_PROCESS";
/// For a killed process to be gone.
const GONE: Duration = Duration::from_secs(5);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// What all marks of this test process begin with.
fn own() -> &'static str {
    static OWN: OnceLock<String> = OnceLock::new();
    OWN.get_or_init(|| format!("{}-{}-", std::process::id(), &random_hex()[..8]))
}

/// Marks what a command will start as ours; gives the mark.
pub(crate) fn mark(command: &mut Command) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mark = format!("{}{}", own(), COUNT.fetch_add(1, Ordering::Relaxed));
    command.env(MARK, &mark);
    mark
}

/// The memory a process has resident, in bytes.
///
/// # Panics
/// If it has ended.
#[must_use]
pub fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes * 1_024
}

/// A child process. Dropping it kills it and fails the test if it leaves a process behind.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    what: String,
    mark: String,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command, what: &str) -> Self {
        let mark = mark(command);
        Self::with_mark(command, what, mark)
    }

    /// One that is there for all tests of this process and ends with it, so is never left.
    pub(crate) fn spawn_shared(command: &mut Command, what: &str) -> Self {
        Self::with_mark(command, what, String::new())
    }

    fn with_mark(command: &mut Command, what: &str, mark: String) -> Self {
        let child = command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
        Self { child, what: what.to_owned(), mark }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// For its pipes.
    pub(crate) const fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The port that a script of ours says it listens on, as its first word.
    pub(crate) fn port(&mut self) -> u16 {
        let mut said = BufReader::new(self.child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("port ").and_then(|port| port.parse().ok());
        port.unwrap_or_else(|| {
            let why = "does not start (is what tests/scripts/packages.sh installs there?)";
            panic!("{} {why}: {line:?}", self.what)
        })
    }

    /// What it has started, and is running now.
    pub(crate) fn others(&self) -> Vec<Started> {
        let mut others = marked(|mark| mark == self.mark);
        others.retain(|started| started.pid != self.id());
        others
    }

    /// Sends it a signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    }

    pub(crate) fn try_wait(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits until it has ended by itself; `None` if it has not in that time.
    pub(crate) fn wait_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                ended => return ended.unwrap_or(None),
            }
        }
    }

    /// Ends it without a word, and waits until it has ended.
    pub(crate) fn kill(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        end_all(&format!("{} has left", self.what), |mark| mark == self.mark);
    }
}

/// A process that the harness has started, or one that such a process has started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its id.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    mark: String,
}

/// The processes of this test that are running now.
#[must_use]
pub fn running() -> Vec<Started> {
    marked(|mark| mark.starts_with(own()))
}

/// Fails the test when it is dropped while processes of the harness are running, and ends them.
/// To be made first in a test, so that it is dropped last.
#[derive(Debug)]
#[must_use = "it looks when it is dropped"]
pub struct NoLeaks(());

impl NoLeaks {
    /// Looks when it is dropped.
    pub const fn watch() -> Self {
        Self(())
    }
}

impl Drop for NoLeaks {
    fn drop(&mut self) {
        end_all("the test has left", |mark| mark.starts_with(own()));
    }
}

/// Ends the processes with such a mark; fails the test, unless it has failed already, if there
/// are any.
fn end_all(who: &str, is_meant: impl Fn(&str) -> bool) {
    let left = marked(&is_meant);
    if left.is_empty() {
        return;
    }
    for process in &left {
        let script = format!("kill -KILL {}", process.pid);
        drop(Command::new("sh").args(["-c", &script]).status());
    }
    let deadline = Instant::now() + GONE;
    while !left.iter().all(|process| has_ended(process.pid)) && Instant::now() < deadline {
        std::thread::sleep(PAUSE);
    }
    if std::thread::panicking() {
        eprintln!("{who} running: {left:?}");
    } else {
        panic!("{who} running: {left:?}");
    }
}

fn marked(is_meant: impl Fn(&str) -> bool) -> Vec<Started> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(started).filter(|started| is_meant(&started.mark)).collect()
}

/// Whether it is gone, or has nothing left but to be waited for by who started it. Its first
/// thread may have ended before the others.
fn has_ended(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state comes after the name, which may contain anything.
    let state = stat.rsplit_once(')').map(|(_, state)| state.trim_start());
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().count();
    state.is_none_or(|state| state.starts_with(['Z', 'X']) && threads <= 1)
}

/// What the process is, if it has a mark. One that has ended has no environment any more.
fn started(pid: u32) -> Option<Started> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let text = String::from_utf8_lossy(&environment);
    let mark = text.split('\0').find_map(|one| one.strip_prefix(MARK)?.strip_prefix('='))?;
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ").trim_end().to_owned();
    Some(Started { pid, command, mark: mark.to_owned() })
}
