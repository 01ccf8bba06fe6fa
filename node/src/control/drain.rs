//! Draining, from the wish to the end.

use std::time::Duration;

use panel_kernel::directory::MemberStatus;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::Control;
use super::replies::Replies;

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

/// Hands the wish on to the node it is meant for, and says what this node has in flight there
/// until that node has gone.
///
/// # Errors
/// Whoever asked can't be told any more.
pub(super) async fn another(
    control: &Control,
    name: &str,
    replies: &mut Replies,
) -> std::io::Result<()> {
    let directory = &control.0.runtime.directory;
    let find = || directory.nodes().iter().find(|node| *node.name == *name).cloned();
    let Some(meant) = find() else {
        return replies.error(&format!("no node named {name} is known here")).await;
    };
    if !control.0.cluster.drain(name).await {
        return replies.error(&format!("there is no link to {name} now")).await;
    }
    tracing::info!(node = name, "asked it to drain");
    let mut drains = false;
    while let Some(node) = find().filter(|node| node.boot == meant.boot) {
        match node.standing.status() {
            MemberStatus::Draining => drains = true,
            MemberStatus::Down => {
                let sentence = format!("the link to {name} was lost before it had drained");
                return replies.error(&sentence).await;
            }
            _ => {}
        }
        replies.line(&json!({"progress": {"requests": in_flight(control, name)}})).await?;
        tokio::time::sleep(GLANCE).await;
    }
    // It is taken off the list when it has said that it leaves and its link has ended.
    replies.done(json!({"node": name, "seen_draining": drains})).await
}

/// Requests that this node waits for there.
fn in_flight(control: &Control, node: &str) -> usize {
    let table = control.0.runtime.directory.snapshot();
    let members = table.values().flat_map(|members| members.iter());
    members.filter(|member| *member.node == *node).map(|member| member.in_flight()).sum()
}
