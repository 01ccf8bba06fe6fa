//! The node's control socket, and faults through it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::Node;

/// For a whole answer.
const ANSWER: Duration = Duration::from_secs(30);

impl Node {
    /// Where it listens for commands.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.data_dir().join("run").join(format!("{}.sock", self.name()))
    }

    /// Asks over its control socket: every line of the answer, the last with `done` or `error`.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn control(&self, request: Value) -> Vec<Value> {
        let mut stream = UnixStream::connect(self.control_socket()).await.unwrap();
        // Who is refused may find it closed, and the reason still there to be read.
        drop(stream.write_all(format!("{request}\n").as_bytes()).await);
        let mut lines = BufReader::new(stream).lines();
        let mut answer: Vec<Value> = Vec::new();
        let reading = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                let line: Value = serde_json::from_str(&line).unwrap();
                let is_last = line.get("done").or_else(|| line.get("error")).is_some();
                answer.push(line);
                if is_last {
                    return;
                }
            }
            panic!("{request} was not answered to its end: {answer:?}");
        };
        tokio::time::timeout(ANSWER, reading).await.unwrap();
        answer
    }

    /// What it did, by an answer of one line.
    ///
    /// # Panics
    /// If it was refused.
    pub async fn told(&self, request: Value) -> Value {
        let mut answer = self.control(request.clone()).await;
        let last = answer.pop().unwrap_or_default();
        assert!(last.get("done").is_some(), "{request}: {last}");
        last["done"].clone()
    }

    /// Arms a fault point of this life: `write.after_commit=exit`. It must have been started with
    /// [`NodeBuilder::faults`](super::NodeBuilder::faults).
    pub async fn arm(&self, what: &str) {
        self.told(json!({"request": "fault", "arm": what})).await;
    }

    /// Disarms every fault point.
    pub async fn disarm(&self) {
        self.told(json!({"request": "fault", "disarm": "*"})).await;
    }

    /// How often something has happened at a fault point since it was armed last.
    pub async fn acted(&self, point: &str) -> u64 {
        let status = self.told(json!({"request": "fault"})).await;
        let points = status["points"].as_array().unwrap();
        let found = points.iter().find(|found| found["name"] == point);
        found.unwrap_or_else(|| panic!("no fault point {point}"))["acted"].as_u64().unwrap()
    }

    /// Whether the process is stopped, as by `SIGSTOP`.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // `pid (name) state …`; the name may hold anything.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    }
}
