//! Who runs a server for a test: a shell that waits for orders and for the end of its standard input. That comes when
//! the test process ends, however it ends; then it ends the server and removes its files.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::process::Process;

/// How a process is started: for one test or for all.
pub(crate) type Spawn = fn(&mut Command, &str) -> Process;

/// A guard at work.
#[derive(Debug)]
pub(crate) struct Guard {
    process: Process,
    patience: Duration,
}

impl Guard {
    /// Runs this script. It is to end within `patience` of its input's end.
    pub(crate) fn start(script: &str, what: &str, patience: Duration) -> Start {
        let mut command = Command::new("sh");
        command.args(["-c", script, "guard"]);
        // Its own group: a signal to the test's group must not end it before it has cleaned up.
        command.process_group(0).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Start { command, what: what.to_owned(), patience }
    }

    /// Gives it an order.
    pub(crate) fn order(&mut self, order: &str) {
        writeln!(self.process.child().stdin.as_mut().unwrap(), "{order}").unwrap();
    }

    /// What it says.
    pub(crate) fn said(&mut self) -> ChildStdout {
        self.process.child().stdout.take().unwrap()
    }

    /// Whether it has ended by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().unwrap()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.process.child().stdin.take());
        // If it does not end, it is killed, and what it leaves is found.
        let _ended = self.process.wait_within(self.patience);
    }
}

/// One that is to be started.
pub(crate) struct Start {
    /// To which the script's arguments, and what is in its environment, are to be added.
    pub(crate) command: Command,
    what: String,
    patience: Duration,
}

impl Start {
    /// Starts it.
    pub(crate) fn spawn(mut self, spawn: Spawn) -> Guard {
        Guard { process: spawn(&mut self.command, &self.what), patience: self.patience }
    }
}
