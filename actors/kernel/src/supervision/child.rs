//! One line of a supervisor's table.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ractor::{Actor, ActorCell, SpawnErr};

use crate::faults::Breakable;

type Start =
    Arc<dyn Fn(ActorCell) -> BoxFuture<'static, Result<ActorCell, SpawnErr>> + Send + Sync>;

/// When a child that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    Permanent,
    /// After a failure, not after a normal end.
    Transient,
    /// Never.
    Temporary,
}

/// How to start, restart and stop one child.
#[derive(Clone)]
pub struct ChildSpec {
    pub(super) id: &'static str,
    pub(super) restart: Restart,
    pub(super) shutdown: Duration,
    pub(super) start: Start,
}

impl std::fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChildSpec").field("id", &self.id).finish_non_exhaustive()
    }
}

impl ChildSpec {
    /// A permanent child named `id` (its segment of the path in the tree), made afresh by
    /// `make` at every start, with five seconds to stop in.
    pub fn new<A, F>(id: &'static str, make: F) -> Self
    where
        A: Actor,
        F: Fn() -> (A, A::Arguments) + Send + Sync + 'static,
    {
        let start: Start = Arc::new(move |supervisor| {
            let (actor, arguments) = make();
            Box::pin(async move {
                #[allow(clippy::disallowed_methods, reason = "this is the supervised spawn")]
                let (actor, _) =
                    Actor::spawn_linked(None, Breakable(actor), arguments, supervisor).await?;
                Ok(actor.get_cell())
            })
        });
        Self { id, restart: Restart::Permanent, shutdown: Duration::from_secs(5), start }
    }

    /// With another restart rule.
    #[must_use]
    pub const fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// With another time to stop in; it is killed after that.
    #[must_use]
    pub const fn shutdown(mut self, within: Duration) -> Self {
        self.shutdown = within;
        self
    }
}
