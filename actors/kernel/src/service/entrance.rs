//! When a front door becomes a member of its service's process group: once the service can work.
//!
//! A member without its database answers 503 where another could have answered, so a door waits
//! for it; but not for long, because a node whose database is down should say so itself.

use std::sync::Arc;
use std::time::Duration;

use ractor::pg;

use super::load::Load;
use crate::data::{Database, DatabaseHealth};
use crate::directory::{SCOPE, group};
use crate::message::FrontDoorMessage;
use crate::supervision::Address;

/// For the database to be there. After that the door opens without.
const PATIENCE: Duration = Duration::from_secs(3);
const GLANCE: Duration = Duration::from_millis(5);

/// Lets a front door in.
#[derive(Clone, Debug)]
pub(super) struct Entrance {
    pub(super) service: &'static str,
    pub(super) door: Address<FrontDoorMessage>,
    pub(super) db: Database,
    pub(super) load: Arc<Load>,
}

impl Entrance {
    /// Waits, joins, and then does nothing for ever: it is restarted with its door.
    pub(super) async fn run(self) -> Result<(), String> {
        let up = async {
            while self.db.health() == DatabaseHealth::Starting {
                tokio::time::sleep(GLANCE).await;
            }
        };
        if tokio::time::timeout(PATIENCE, up).await.is_err() {
            tracing::warn!(service = self.service, "serving without a database");
        }
        if let Some(door) = self.door.current()
            && !self.load.is_draining()
        {
            pg::join_scoped(SCOPE.to_owned(), group(self.service), vec![door.get_cell()]);
        }
        std::future::pending().await
    }
}
