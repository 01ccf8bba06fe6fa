//! Draining, from the wish to the end.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::Control;
use super::server::Replies;

/// Between two lines of progress.
const GLANCE: Duration = Duration::from_millis(100);
/// For those who watch to be told that it is done.
const FAREWELL: Duration = Duration::from_millis(500);

/// The wish to drain, and the word that it is done. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drain {
    wished: CancellationToken,
    emptied: CancellationToken,
    watchers: TaskTracker,
}

impl Drain {
    /// The node is to drain.
    pub(crate) fn wish(&self) {
        self.wished.cancel();
    }

    /// Whether it is to.
    pub(super) fn is_wished(&self) -> bool {
        self.wished.is_cancelled()
    }

    /// Waits until somebody wishes it.
    pub(crate) async fn wished(&self) {
        self.wished.cancelled().await;
    }

    /// Nothing is left to do: those who watch are told, and have heard it when this returns.
    pub(crate) async fn emptied(&self) {
        self.emptied.cancel();
        self.watchers.close();
        if tokio::time::timeout(FAREWELL, self.watchers.wait()).await.is_err() {
            tracing::debug!("somebody who watched the draining was not told of its end");
        }
    }

    /// Whoever holds this is waited for at the end.
    fn watch(&self) -> TaskTrackerToken {
        self.watchers.token()
    }
}

/// What is left on this node.
fn left(control: &Control) -> Value {
    let requests: usize = control.0.services.iter().map(|service| service.load.inside()).sum();
    let connections = control.0.gateway.as_ref().map_or(0, panel_gateway::Gateway::connections);
    json!({"requests": requests, "connections": connections})
}

/// Drains this node. Says what is left until nothing is.
///
/// # Errors
/// Whoever asked can't be told any more. The node drains all the same.
pub(super) async fn own(control: &Control, replies: &mut Replies) -> std::io::Result<()> {
    let drain = &control.0.drain;
    let _watching = drain.watch();
    drain.wish();
    loop {
        replies.line(&json!({"progress": left(control)})).await?;
        tokio::select! {
            () = drain.emptied.cancelled() => break,
            () = tokio::time::sleep(GLANCE) => {}
        }
    }
    let node = &*control.0.runtime.node.name;
    replies.done(json!({"node": node, "left": left(control)})).await
}

/// Hands the wish on to the node it is meant for.
///
/// # Errors
/// Whoever asked can't be told any more.
pub(super) async fn another(
    control: &Control,
    name: String,
    replies: &mut Replies,
) -> std::io::Result<()> {
    let (progress, mut lines) = mpsc::channel(16);
    let mut handed = control.0.others.drain(name, progress);
    loop {
        tokio::select! {
            ended = &mut handed => return match ended {
                Ok(done) => replies.done(done).await,
                Err(sentence) => replies.error(&sentence).await,
            },
            Some(line) = lines.recv() => replies.line(&json!({"progress": line})).await?,
        }
    }
}
