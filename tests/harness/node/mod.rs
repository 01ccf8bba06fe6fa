//! The real `panel-node` as a child process.

mod binary;
mod builder;
mod command;
mod control;
mod log;
mod ready;
mod run_file;

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::http::Client;
use crate::process::Process;
pub use builder::NodeBuilder;
use builder::Plan;
use log::Log;
pub use run_file::RunFile;

/// For a node to listen and be ready.
const START: Duration = Duration::from_secs(20);
/// For a node to drain and end.
const STOP: Duration = Duration::from_secs(40);

/// The program under test, for what a [`Node`] can't do with it.
#[must_use]
pub fn program() -> std::path::PathBuf {
    binary::path()
}

/// A running node. Dropping it kills it, and fails the test if it had died by itself or leaves
/// a process behind.
#[derive(Debug)]
pub struct Node {
    plan: Plan,
    directory: Arc<TempDir>,
    log: Log,
    life: Option<(Process, RunFile)>,
}

impl Node {
    /// A node by itself, with all roles, on SQLite in its own directory.
    pub async fn start() -> Self {
        NodeBuilder::new().start().await
    }

    /// Starts putting one together.
    #[must_use]
    pub fn builder() -> NodeBuilder {
        NodeBuilder::new()
    }

    async fn launch(plan: Plan, directory: Arc<TempDir>) -> Self {
        let mut node = Self { log: Log::new(&plan.name), plan, directory, life: None };
        node.start_again().await;
        node
    }

    /// Starts the process and waits until it listens, is ready and, if so planned, whole.
    async fn start_again(&mut self) {
        assert!(self.life.is_none(), "{} is running", self.plan.name);
        let mut command = self.plan.run_command(self.directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = Process::spawn(&mut command, &self.plan.name);
        self.log.follow(child.child().stderr.take().unwrap());
        let path = self.plan.run_file(self.directory.path());
        let deadline = Instant::now() + START;
        let run = loop {
            self.must_be_alive(&mut child, deadline, "listen");
            // One with another pid is left over from a life that was killed.
            match RunFile::read(&path) {
                Some(run) if run.pid == child.id() => break run,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        while !ready::is_ready(&run).await {
            self.must_be_alive(&mut child, deadline, "be ready");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        while !self.plan.may_be_degraded && !ready::is_whole(&run, &self.plan).await {
            self.must_be_alive(&mut child, deadline, "reach its databases and know its keys");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.life = Some((child, run));
    }

    fn must_be_alive(&self, child: &mut Process, deadline: Instant, wish: &str) {
        let name = &self.plan.name;
        if let Some(status) = child.try_wait().unwrap() {
            self.log.settle();
            panic!("{name} ended ({status}) before it could {wish}:\n{}", self.log.tail());
        }
        if Instant::now() > deadline {
            child.kill();
            panic!("{name} did not {wish} within {START:?}:\n{}", self.log.tail());
        }
    }

    /// Whether its process was started and has not been seen to end.
    #[must_use]
    pub const fn is_started(&self) -> bool {
        self.life.is_some()
    }

    /// Whether it was started with this role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.plan.has_role(role)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.directory.path()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.run_file().pid
    }

    /// What it wrote when it began to listen.
    #[must_use]
    pub fn run_file(&self) -> &RunFile {
        let name = &self.plan.name;
        &self.life.as_ref().unwrap_or_else(|| panic!("{name} is not running")).1
    }

    /// The public address, `host:port`.
    #[must_use]
    pub fn http(&self) -> &str {
        self.run_file().http.as_deref().expect("a node with the gateway's role")
    }

    /// The ops address, `host:port`.
    #[must_use]
    pub fn ops(&self) -> &str {
        &self.run_file().ops
    }

    /// The address that answers for one service; only if the plan asked for service ports.
    #[must_use]
    pub fn service_port(&self, service: &str) -> &str {
        let ports = &self.run_file().service_ports;
        ports.get(service).unwrap_or_else(|| panic!("no port for {service} in {ports:?}"))
    }

    /// A whole URL on the public address.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.plan.site.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.http())
    }

    /// Talks to the public address.
    #[must_use]
    pub fn client(&self) -> Client {
        self.plan.client(self.http())
    }

    /// Talks to the public address in HTTP/2. It must be under TLS.
    #[must_use]
    pub fn http2(&self) -> Client {
        let site = self.plan.site.as_ref().expect("a node under TLS");
        Client::new(self.http()).under_tls(&site.client_config(&[b"h2"]))
    }

    /// Talks to the ops address.
    #[must_use]
    pub fn ops_client(&self) -> Client {
        Client::new(self.ops())
    }

    /// What it counts now.
    pub async fn metrics(&self) -> crate::Metrics {
        crate::Metrics::fetch(&self.ops_client()).await
    }

    /// What it has logged, all lives together, oldest first.
    #[must_use]
    pub fn log_lines(&self) -> Vec<String> {
        self.log.lines()
    }

    /// The lines that are JSON.
    #[must_use]
    pub fn log_json(&self) -> Vec<Value> {
        self.log.lines().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Whether a line of the log contains this.
    #[must_use]
    pub fn log_contains(&self, text: &str) -> bool {
        self.log.contains(text)
    }

    /// Asks the process to end (`SIGTERM`) and waits until it has.
    pub async fn sigterm_and_wait(&mut self) -> ExitStatus {
        self.signal_and_wait("TERM").await
    }

    /// Sends the process a signal that ends it, and waits until it has ended.
    pub async fn signal_and_wait(&mut self, name: &str) -> ExitStatus {
        self.signal(name);
        self.ended().await
    }

    /// Waits until the process has ended, because of what the test has done to it.
    pub async fn ended(&mut self) -> ExitStatus {
        let (mut child, _) = self.life.take().expect("it is running");
        let deadline = Instant::now() + STOP;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                self.log.settle();
                return status;
            }
            if Instant::now() > deadline {
                child.kill();
                panic!("{} did not end in {STOP:?}:\n{}", self.plan.name, self.log.tail());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether its process is there.
    pub fn is_running(&mut self) -> bool {
        self.life.as_mut().is_some_and(|(child, _)| child.try_wait().unwrap().is_none())
    }

    /// Ends the process without a word (`SIGKILL`).
    pub fn kill9(&mut self) {
        let (mut child, _) = self.life.take().expect("it is running");
        child.kill();
        self.log.settle();
    }

    /// The memory it has resident, in bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        crate::process::resident_bytes(self.pid())
    }

    /// Sends the process a signal by name: `TERM`, `INT`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        // The shell's own `kill`: the one way that needs neither unsafe code nor a package.
        let script = format!("kill -{name} {}", self.pid());
        let status = Command::new("sh").args(["-c", &script]).status().unwrap();
        assert!(status.success(), "{script}");
    }

    /// Lets no file of the process grow beyond so many bytes, as on a full disk; `None`: lets
    /// them grow again.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        // The soft limit alone: it can be raised again without privileges.
        let arguments = [format!("--pid={}", self.pid()), format!("--fsize={limit}:")];
        let status = Command::new("prlimit").args(&arguments).status().unwrap();
        assert!(status.success(), "prlimit {arguments:?}");
    }

    /// Ends it, if it runs, and starts it again in the same data directory. Its ports are new.
    pub async fn restart(&mut self) {
        if self.life.is_some() {
            let status = self.sigterm_and_wait().await;
            assert!(status.success(), "{} ended with {status}", self.plan.name);
        }
        self.start_again().await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let died = self.life.take().and_then(|(mut child, _)| {
            let status = child.try_wait().unwrap_or(None);
            child.kill();
            self.log.settle();
            status
        });
        if std::thread::panicking() {
            eprintln!("---- log of {} ----\n{}", self.plan.name, self.log.tail());
        } else if let Some(status) = died {
            panic!("{} died by itself ({status}):\n{}", self.plan.name, self.log.tail());
        }
    }
}
