//! A Redis of a test's own, to be stopped, killed and started again.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use panel_harness::eventually;
use tempfile::TempDir;

/// For it to answer.
const START: Duration = Duration::from_secs(20);

/// A server on a port that stays the same. Killed when it is dropped.
pub(crate) struct RedisServer {
    port: u16,
    directory: TempDir,
    process: Option<Child>,
}

impl RedisServer {
    /// A place for a server, where nobody listens yet.
    pub(crate) fn absent() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = TempDir::with_prefix("panel-redis-").unwrap();
        Self { port, directory, process: None }
    }

    /// One that answers.
    pub(crate) async fn start() -> Self {
        let mut server = Self::absent();
        server.start_again().await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Starts it, empty, and waits until it answers.
    pub(crate) async fn start_again(&mut self) {
        let port = self.port.to_string();
        let arguments = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir"];
        let mut command = Command::new("redis-server");
        command.args(arguments).arg(self.directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().expect("redis-server is installed"));
        eventually("redis answers", START, async || self.tell(&["PING"]) == "PONG").await;
    }

    /// Ends it without a word.
    pub(crate) fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Lets it hang: connections are taken, and nothing is answered.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    /// What it answers to a command.
    pub(crate) fn tell(&self, command: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(command).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn signal(&self, name: &str) {
        let pid = self.process.as_ref().expect("it runs").id();
        let script = format!("kill -{name} {pid}");
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success(), "{script}");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill9();
    }
}
