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
use crate::directory::{Directory, MemberStatus, Node};

/// Between looks at the nodes.
const LOOK: Duration = Duration::from_millis(100);
/// A second time after this long, for what had just begun.
const AGAIN: Duration = Duration::from_millis(500);
const TIMES: u32 = 2;
/// For a link that has ended to be made anew.
const RELINK: Duration = Duration::from_secs(1);
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

/// Lives of nodes that are silent.
#[derive(Debug, Default)]
struct Silent(HashMap<Arc<str>, Fenced>);

#[derive(Debug)]
struct Fenced {
    name: Arc<str>,
    /// When its transactions are to be ended next, and how often they were.
    due: Instant,
    times: u32,
}

impl Silent {
    /// The lives whose transactions are to be ended now: boot and name. One that was replaced
    /// by another life is not forgotten before it is through.
    fn due(&mut self, nodes: &[Node], now: Instant) -> Vec<(Arc<str>, Arc<str>)> {
        for node in nodes.iter().filter(|node| !node.is_here) {
            let standing = &node.standing;
            let patience = match standing.status() {
                MemberStatus::Up | MemberStatus::Draining => {
                    self.0.remove(&node.boot);
                    continue;
                }
                // It was heard, and is no longer.
                MemberStatus::Suspect if standing.round_trip().is_some() => Duration::ZERO,
                // A link has ended, or is about to begin: that alone is no silence.
                MemberStatus::Suspect | MemberStatus::Down => RELINK,
            };
            let (name, due) = (Arc::clone(&node.name), now + patience);
            let fenced = self.0.entry(Arc::clone(&node.boot));
            let fenced = fenced.or_insert(Fenced { name, due, times: 0 });
            if fenced.times == 0 {
                fenced.due = fenced.due.min(due);
            }
        }
        let mut ending = Vec::new();
        for (boot, fenced) in &mut self.0 {
            if fenced.times < TIMES && fenced.due <= now {
                fenced.times += 1;
                fenced.due = now + AGAIN;
                ending.push((Arc::clone(boot), Arc::clone(&fenced.name)));
            }
        }
        let listed = |boot: &Arc<str>| nodes.iter().any(|node| node.boot == *boot);
        self.0.retain(|boot, fenced| fenced.times < TIMES || listed(boot));
        ending
    }
}

impl Fence {
    /// Watches for ever.
    pub(crate) async fn run(self) -> Result<(), String> {
        let mut silent = Silent::default();
        loop {
            tokio::time::sleep(LOOK).await;
            for (boot, name) in silent.due(&self.directory.nodes(), Instant::now()) {
                self.end_transactions(&name, &boot).await;
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
    use crate::directory::Standing;

    fn node(boot: &str, status: MemberStatus) -> Node {
        let standing = Standing::here();
        standing.measured(Duration::from_millis(1), 0);
        standing.set_status(status);
        Node {
            name: "n2".into(),
            boot: boot.into(),
            roles: Arc::from([]),
            version: "0".into(),
            is_here: false,
            standing,
        }
    }

    /// How many lives are due at these moments, in milliseconds.
    fn due(silent: &mut Silent, begun: Instant, nodes: &[Node], moments: &[u64]) -> Vec<usize> {
        let at = |millis: &u64| begun + Duration::from_millis(*millis);
        moments.iter().map(|millis| silent.due(nodes, at(millis)).len()).collect()
    }

    #[test]
    fn who_falls_silent_is_fenced_twice() {
        let (mut silent, begun) = (Silent::default(), Instant::now());
        let nodes = [node("a", MemberStatus::Suspect)];
        assert_eq!(due(&mut silent, begun, &nodes, &[0, 100, 500, 600, 9_000]), [1, 0, 1, 0, 0]);
        // It was heard, and has fallen silent again.
        assert_eq!(due(&mut silent, begun, &[node("a", MemberStatus::Up)], &[9_100]), [0]);
        assert_eq!(due(&mut silent, begun, &nodes, &[9_200, 9_700]), [1, 1]);
    }

    #[test]
    fn who_is_linked_anew_is_left_alone_and_who_is_not_is_not() {
        let (mut silent, begun) = (Silent::default(), Instant::now());
        let gone = [node("a", MemberStatus::Down)];
        assert_eq!(due(&mut silent, begun, &gone, &[0, 500]), [0, 0]);
        assert_eq!(due(&mut silent, begun, &[node("a", MemberStatus::Up)], &[600, 2_000]), [0, 0]);
        assert_eq!(due(&mut silent, begun, &gone, &[3_000, 3_900, 4_000, 4_500]), [0, 0, 1, 1]);
    }

    #[test]
    fn who_is_replaced_is_not_forgotten() {
        let (mut silent, begun) = (Silent::default(), Instant::now());
        assert_eq!(due(&mut silent, begun, &[node("a", MemberStatus::Suspect)], &[0]), [1]);
        let replaced = [node("b", MemberStatus::Up)];
        assert_eq!(due(&mut silent, begun, &replaced, &[400, 500, 1_000]), [0, 1, 0]);
        assert!(silent.0.is_empty());
    }

    #[test]
    fn session_names_fit() {
        let boot = crate::ids::random_hex();
        assert!(session_name("a-service-of-twenty-", &boot).len() <= 63);
    }
}
