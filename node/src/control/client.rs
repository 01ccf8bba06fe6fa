//! The other end of the control socket, for commands.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::protocol::Request;
use super::socket;
use crate::Failure;
use crate::lock::RunFile;

/// For a line of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// For a process that has finished everything to be gone.
const END: Duration = Duration::from_secs(60);
/// For one that has closed its files to be gone.
const FAREWELL: Duration = Duration::from_secs(5);

/// A connection to a running node.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Whom it leads to.
    name: String,
    pid: u32,
    stream: BufReader<UnixStream>,
}

/// Connects to the running node of this name on this data directory, or to the one that runs there
/// if no name is given.
///
/// # Errors
/// A sentence: none runs, or several do.
pub(crate) fn connect(data_dir: &Path, name: Option<&str>) -> Result<Connection, Failure> {
    let found = RunFile::all(data_dir);
    let wanted = found.iter().filter(|(found, _)| name.is_none_or(|name| name == found));
    let mut running: Vec<Connection> = Vec::new();
    let mut deaf = None;
    for (name, file) in wanted {
        match UnixStream::connect(socket::path(data_dir, name)) {
            Ok(stream) => {
                let (name, stream) = (name.clone(), BufReader::new(stream));
                running.push(Connection { name, pid: file.pid, stream });
            }
            Err(error) if is_alive(file.pid) => deaf = Some((name, file.pid, error)),
            // Left over from a life that was killed.
            Err(_) => {}
        }
    }
    match (running.pop(), deaf) {
        (Some(only), _) if running.is_empty() => Ok(only),
        (Some(one), _) => {
            let mut names: Vec<String> = running.into_iter().map(|node| node.name).collect();
            names.push(one.name);
            names.sort_unstable();
            let names = names.join(", ");
            Err(Failure::Other(format!("several nodes run here: {names}; choose one by its name")))
        }
        (None, Some((name, pid, error))) => Err(Failure::Other(format!(
            "{name} (process {pid}) can't be reached over its control socket: {error}"
        ))),
        (None, None) => {
            let named = name.map_or_else(String::new, |name| format!(" named {name}"));
            let place = data_dir.display();
            Err(Failure::Other(format!(
                "no panel-node{named} runs on {place}; is that its --data-dir?"
            )))
        }
    }
}

/// A process that closes its files, as its last act. What has ended and was not yet asked for its
/// status by its parent has ended. Where there is no `/proc`, closed files must do.
fn has_not_ended(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // `pid (name) state …`; the name may hold anything.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

impl Connection {
    /// Asks, hands each line of progress to `progress`, and gives the answer.
    ///
    /// # Errors
    /// The node's own sentence, or that it did not answer.
    pub(crate) fn ask(
        &mut self,
        request: &Request,
        mut progress: impl FnMut(&Value),
    ) -> Result<Value, Failure> {
        let mut line = serde_json::to_vec(request).map_err(Failure::other)?;
        line.push(b'\n');
        self.patience(PATIENCE)?;
        // A node that refuses the connection says why, and does not wait for what is asked.
        let sent = self.stream.get_mut().write_all(&line);
        loop {
            let mut line = String::new();
            match self.stream.read_line(&mut line) {
                Ok(0) => match sent {
                    Ok(()) => return Err(self.lost(&"the connection ended")),
                    Err(error) => return Err(self.lost(&error)),
                },
                Ok(_) => {}
                Err(error) => return Err(self.lost(&error)),
            }
            let mut reply: Value =
                serde_json::from_str(&line).map_err(|error| self.lost(&error))?;
            if let Some(sentence) = reply["error"].as_str() {
                return Err(Failure::Other(sentence.to_owned()));
            }
            if reply.get("done").is_some() {
                return Ok(reply["done"].take());
            }
            progress(&reply["progress"]);
        }
    }

    /// Waits until the node's process has ended: it keeps a connection on which it was told to
    /// drain until then.
    ///
    /// # Errors
    /// That it did not end in time.
    pub(crate) fn wait_for_end(mut self) -> Result<(), Failure> {
        self.patience(END)?;
        let mut rest = Vec::new();
        // Cut off is as good as closed: either way the process is about to be gone.
        let closed = self.stream.read_to_end(&mut rest);
        let deaf = closed.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        let deadline = Instant::now() + FAREWELL;
        while has_not_ended(self.pid) {
            if deaf || Instant::now() > deadline {
                let name = &self.name;
                let sentence = format!("{name} has finished everything and does not end");
                return Err(Failure::Other(sentence));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn patience(&self, within: Duration) -> Result<(), Failure> {
        let stream = self.stream.get_ref();
        let set = stream.set_read_timeout(Some(within));
        set.and_then(|()| stream.set_write_timeout(Some(within))).map_err(Failure::other)
    }

    fn lost(&self, why: &dyn std::fmt::Display) -> Failure {
        Failure::Other(format!("{} did not answer over its control socket: {why}", self.name))
    }
}
