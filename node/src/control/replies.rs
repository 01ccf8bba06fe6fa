//! The lines that go back to whoever asked.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::OwnedWriteHalf;

/// For a line to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way back to whoever asked.
pub(super) struct Replies(pub(super) OwnedWriteHalf);

impl Replies {
    /// One line.
    ///
    /// # Errors
    /// Nobody takes it.
    pub(super) async fn line(&mut self, value: &Value) -> io::Result<()> {
        let text = format!("{value}\n");
        tokio::time::timeout(PATIENCE, self.0.write_all(text.as_bytes())).await?
    }

    /// The last line of an answer.
    ///
    /// # Errors
    /// Nobody takes it.
    pub(super) async fn done(&mut self, value: Value) -> io::Result<()> {
        self.line(&json!({"done": value})).await
    }

    /// The last line instead of an answer.
    ///
    /// # Errors
    /// Nobody takes it.
    pub(super) async fn error(&mut self, sentence: &str) -> io::Result<()> {
        self.line(&json!({"error": sentence})).await
    }
}
