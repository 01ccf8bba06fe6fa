//! How far a node has come.

use std::time::Duration;

use super::RunFile;
use super::builder::Plan;
use crate::http::{Answer, Client};
use crate::metrics::Metrics;

/// For one look.
const LOOK: Duration = Duration::from_secs(2);

/// Whether it takes requests. Says nothing about what it depends on.
pub(super) async fn is_ready(run: &RunFile) -> bool {
    ask(&Client::new(&run.ops), "/health/ready").await.is_some()
}

/// Whether what it depends on is there: its services' databases and, where the gateway and the
/// identity service are both in this node, the keys that verify tokens.
pub(super) async fn is_whole(run: &RunFile, plan: &Plan) -> bool {
    let Some(counted) = ask(&Client::new(&run.ops), "/metrics").await else { return false };
    let counted = Metrics::parse(&counted.text());
    let has = |role: &str| plan.has_role(role);
    let databases = ["auth", "forum", "cms", "admin"]
        .into_iter()
        .filter(|role| has(role))
        .all(|service| counted.value("panel_database_up", &[("service", service)]) > 0.0);
    if !databases {
        return false;
    }
    let (Some(http), true) = (&run.http, has("gateway") && has("auth")) else { return true };
    let health = ask(&plan.client(http), "/api/v2/health").await.map(|answer| answer.json());
    health.is_some_and(|health| health["dependencies"]["identity"]["status"] == "up")
}

async fn ask(client: &Client, path: &str) -> Option<Answer> {
    let asked = client.get(path).patience(LOOK).send().await;
    asked.ok().filter(|answer| answer.status == 200)
}
