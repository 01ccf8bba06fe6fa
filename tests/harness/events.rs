//! A reader of server-sent events.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// An event, and when it came.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its `id`; empty where it has none.
    pub id: String,
    /// Its `event`.
    pub event: String,
    /// Its `data`.
    pub data: Value,
    /// When it was read.
    pub at: Instant,
}

/// A stream that is open.
#[derive(Debug)]
pub struct Events {
    stream: BufReader<TcpStream>,
    read: String,
    /// The status line and the head of the answer.
    pub head: String,
}

impl Events {
    /// Opens `path` at `address` (host and port), with an access token; without one if it is empty.
    ///
    /// # Panics
    /// If nobody answers there.
    pub async fn open(address: &str, path: &str, token: &str, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let last = last.map_or_else(String::new, |id| format!("last-event-id: {id}\r\n"));
        let token = match token {
            "" => String::new(),
            token => format!("authorization: Bearer {token}\r\n"),
        };
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{token}{last}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = stream.read_line(&mut head).await.unwrap();
            assert!(read > 0, "the answer ended in its head: {head}");
        }
        Self { stream, read: String::new(), head }
    }

    /// The status of the answer.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The next event; `None` at the end.
    ///
    /// # Panics
    /// If none comes in time.
    pub async fn next(&mut self, within: Duration) -> Option<Event> {
        let next = tokio::time::timeout(within, self.read_event()).await;
        next.unwrap_or_else(|_| panic!("no event within {within:?}"))
    }

    /// Whether nothing comes for so long; what comes is lost.
    pub async fn is_silent(&mut self, during: Duration) -> bool {
        tokio::time::timeout(during, self.read_event()).await.is_err()
    }

    async fn read_event(&mut self) -> Option<Event> {
        loop {
            while let Some((frame, rest)) = self.read.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.read = rest;
                if let Some(event) = event(&frame) {
                    return Some(event);
                }
            }
            if !self.chunk().await {
                return None;
            }
        }
    }

    /// Reads a chunk of the body; `false` at its end, also if that is the connection's.
    async fn chunk(&mut self) -> bool {
        let mut size = String::new();
        if self.stream.read_line(&mut size).await.unwrap_or(0) == 0 {
            return false;
        }
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        if size == 0 || self.stream.read_exact(&mut chunk).await.is_err() {
            return false;
        }
        self.read += std::str::from_utf8(&chunk[..size]).unwrap();
        true
    }
}

/// What a frame says; `None` if it is no event.
fn event(frame: &str) -> Option<Event> {
    let field = |name: &str| {
        let mut lines = frame.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned)
    };
    let data = serde_json::from_str(&field("data")?).unwrap();
    Some(Event {
        id: field("id").unwrap_or_default(),
        event: field("event")?,
        data,
        at: Instant::now(),
    })
}
