//! A Redis server of the test's own.
//!
//! A guard runs it, which kills it and removes its files when the test process ends, however that ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::guard::Guard;
use crate::port::Port;
use crate::process::Process;

/// For the server to take connections, and for the guard to end.
const START: Duration = Duration::from_secs(20);
/// For one answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two looks at a server that starts.
const PAUSE: Duration = Duration::from_millis(5);

/// Runs the server and does as it is told, a word at a time; says when it is done. `$1` is the
/// directory, `$2` the port.
const GUARD: &str = r#"
exec 3<&0 </dev/null 2>>"$1/guard.log"
start() {
    # With a title of its own it would lose the mark in its environment. Needs Redis 6.2.
    redis-server --port "$2" --bind 127.0.0.1 --dir "$1" --save '' --appendonly no \
        --set-proc-title no >"$1/log" 2>&1 3<&- &
    server=$!
}
while read -r order <&3; do
    case $order in
        start) start "$@" ;;
        KILL) kill -KILL "$server"; wait "$server"; server= ;;
        STOP)
            kill -STOP "$server"
            while grep -q '^State:.[^TZ]' "/proc/$server/status"; do sleep 0.01; done ;;
        CONT) kill -CONT "$server" ;;
    esac
    echo "$order"
done
if [ "$server" ]; then
    kill -KILL "$server"
    wait "$server"
fi
rm -rf "$1"
"#;

/// A server that keeps everything in memory. It ends with the test, however that ends.
#[derive(Debug)]
pub struct Redis {
    guard: Guard,
    said: BufReader<ChildStdout>,
    directory: PathBuf,
    port: Port,
}

impl Redis {
    /// An empty server on a free port, ready.
    #[must_use]
    pub fn start() -> Self {
        let mut server = Self::absent();
        server.start_again();
        server
    }

    /// A place for a server, where nobody listens yet.
    #[must_use]
    pub fn absent() -> Self {
        must_be_installed();
        let port = Port::reserve();
        let directory = tempfile::Builder::new().prefix("panel-redis-").tempdir().unwrap().keep();
        let mut start = Guard::start(GUARD, "Redis", START);
        start.command.arg(&directory).arg(port.number().to_string()).stdout(Stdio::piped());
        let mut guard = start.spawn(Process::spawn);
        let said = BufReader::new(guard.said());
        Self { guard, said, directory, port }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// As `--redis-url` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Ends the server without a word. Nobody listens when this returns.
    pub fn kill9(&mut self) {
        self.orders("KILL");
    }

    /// Starts a server that is absent or was killed, on the same port, empty.
    pub fn start_again(&mut self) {
        self.orders("start");
        if let Err(log) = self.await_ready() {
            panic!("Redis does not start:\n{log}");
        }
    }

    /// Stops the server where it is: connections stay, and nothing is answered.
    pub fn freeze(&mut self) {
        self.orders("STOP");
    }

    /// Lets a frozen server go on.
    pub fn thaw(&mut self) {
        self.orders("CONT");
    }

    /// Forgets everything.
    pub fn flush(&self) {
        assert_eq!(self.ask("FLUSHALL"), "+OK");
    }

    /// Sends a command, as it is typed, and gives the first line of the answer as it comes:
    /// `+OK`, `:1`, `$-1`.
    ///
    /// # Panics
    /// If no answer comes.
    #[must_use]
    pub fn ask(&self, command: &str) -> String {
        self.try_ask(command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// The same, of a server that may be gone or frozen.
    ///
    /// # Errors
    /// Whatever happened instead of an answer within five seconds.
    pub fn try_ask(&self, command: &str) -> std::io::Result<String> {
        self.try_ask_within(command, ANSWER)
    }

    /// The same, within another time.
    ///
    /// # Errors
    /// Whatever happened instead of an answer.
    pub fn try_ask_within(&self, command: &str, limit: Duration) -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.address(), limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let mut line = String::new();
        BufReader::new((&stream).take(4_096)).read_line(&mut line)?;
        if line.ends_with("\r\n") {
            return Ok(line.trim_end().to_owned());
        }
        Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "no whole line"))
    }

    /// What it answers to a command, of which each word is given, as `redis-cli` shows it.
    #[must_use]
    pub fn tell(&self, command: &[&str]) -> String {
        let port = self.port.number().to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(command).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Returns when it is done.
    fn orders(&mut self, order: &str) {
        self.guard.order(order);
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), order, "the guard of Redis has ended:\n{}", self.log());
    }

    fn log(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.directory.join(name));
        format!("{}{}", read("guard.log").unwrap_or_default(), read("log").unwrap_or_default())
    }

    /// Waits until it says itself that it takes connections: another server might answer there.
    fn await_ready(&self) -> Result<(), String> {
        let deadline = Instant::now() + START;
        loop {
            let log = self.log();
            if log.contains("Ready to accept connections") && self.try_ask("PING").is_ok() {
                return Ok(());
            }
            if log.contains("aborting") || log.contains("FATAL") || Instant::now() > deadline {
                return Err(log);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

fn must_be_installed() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |bin: &Path| bin.join("redis-server").is_file();
    assert!(
        std::env::split_paths(&path).any(|bin| is_there(&bin)),
        "there is no redis-server in PATH: run tests/scripts/packages.sh, or install Redis"
    );
}
