//! Ends the open transactions of nodes that have fallen silent (PostgreSQL).
//!
//! A node that freezes in a transaction keeps its locks. PostgreSQL ends a session that idles in
//! one after half a second; but the locks then go to whoever waited longest, which may be the
//! next session of the same frozen node, and so on, half a second each. So the nodes that are
//! well end all of them at once. Young transactions are left alone: those of a silent node are
//! older, and those of a live one are over by then. A node that was only slow sees its old ones
//! fail, nothing done, and they are sent again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{ConnectOptions as _, Connection as _};

use super::Database;
use super::database::Kind;
use crate::directory::{Directory, MemberStatus};

/// Between looks at the nodes.
const LOOK: Duration = Duration::from_millis(100);
/// A second time after this long, for what had just begun.
const AGAIN: Duration = Duration::from_millis(500);
/// For one attempt.
const PATIENCE: Duration = Duration::from_secs(1);

/// Watches the nodes for one service's database.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    pub(crate) db: Database,
    pub(crate) directory: Directory,
}

/// By what sessions of a node's life are known to the server. At most 63 characters count.
pub(super) fn session_name(service: &str, boot: &str) -> String {
    format!("panel-{service}-{boot}")
}

impl Fence {
    /// Watches for ever.
    pub(crate) async fn run(self) -> Result<(), String> {
        // Silent nodes by life: when they were fenced, and how often.
        let mut fenced: HashMap<Arc<str>, (Instant, u32)> = HashMap::new();
        loop {
            tokio::time::sleep(LOOK).await;
            let nodes = self.directory.nodes();
            fenced.retain(|boot, _| nodes.iter().any(|node| node.boot == *boot));
            for node in nodes.iter().filter(|node| !node.is_here) {
                let silent =
                    matches!(node.standing.status(), MemberStatus::Suspect | MemberStatus::Down);
                let now = Instant::now();
                match fenced.get(&node.boot) {
                    _ if !silent => {
                        fenced.remove(&node.boot);
                        continue;
                    }
                    Some((at, times)) if *times > 1 || now.duration_since(*at) < AGAIN => continue,
                    _ => {}
                }
                fenced.entry(Arc::clone(&node.boot)).or_insert((now, 0)).1 += 1;
                self.end_transactions(&node.name, &node.boot).await;
            }
        }
    }

    /// On a connection of its own: those of the pool may all be waiting for the very locks.
    async fn end_transactions(&self, node: &str, boot: &str) {
        let service = self.db.service();
        match tokio::time::timeout(PATIENCE, self.ended(boot)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => {
                tracing::warn!(service, node, count, "ended transactions of a silent node");
            }
            // Then there is nothing to be held up either; the session timeout remains.
            Ok(Err(error)) => tracing::debug!(service, node, %error, "no fence"),
            Err(_) => tracing::debug!(service, node, "no fence in time"),
        }
    }

    async fn ended(&self, boot: &str) -> Result<i64, sqlx::Error> {
        let Kind::Postgres { options, .. } = &self.db.0.kind else { return Ok(0) };
        let mut conn = options.clone().connect().await?;
        let (count,): (i64,) = sqlx::query_as(
            "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = $1 AND usename = current_user \
               AND xact_start < clock_timestamp() - interval '300 milliseconds') AS ended",
        )
        .bind(session_name(self.db.service(), boot))
        .fetch_one(&mut conn)
        .await?;
        conn.close().await?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_fit() {
        let boot = crate::ids::random_hex();
        assert!(session_name("a-service-of-twenty-", &boot).len() <= 63);
    }
}
