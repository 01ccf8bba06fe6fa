//! A supervisor's table.

use std::time::Duration;

use super::{Backoff, ChildSpec, Intensity, Strategy, Supervisor, Tree};

/// A supervisor's table.
#[derive(Clone, Debug)]
pub struct SupervisorSpec {
    /// Its path in the tree; empty for the root.
    pub path: String,
    /// Who else is restarted when a child ends.
    pub strategy: Strategy,
    /// When it gives up.
    pub intensity: Intensity,
    /// How long it waits before a restart.
    pub backoff: Backoff,
    /// Whom it keeps running, in starting order. They stop in the opposite order.
    pub children: Vec<ChildSpec>,
    /// Where it reports.
    pub tree: Tree,
}

impl SupervisorSpec {
    /// One-for-one, three restarts in ten seconds, waiting 50 ms to 5 s: what most want.
    #[must_use]
    pub fn new(path: impl Into<String>, tree: &Tree) -> Self {
        Self {
            path: path.into(),
            strategy: Strategy::OneForOne,
            intensity: Intensity::new(3, Duration::from_secs(10)),
            backoff: Backoff { first: Duration::from_millis(50), most: Duration::from_secs(5) },
            children: Vec::new(),
            tree: tree.clone(),
        }
    }

    /// With another strategy.
    #[must_use]
    pub const fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// With another intensity.
    #[must_use]
    pub const fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// With another backoff.
    #[must_use]
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// With one more child, started after those already there.
    #[must_use]
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.children.push(child);
        self
    }

    /// This supervisor as a child of another. It gets 15 seconds to stop its own.
    #[must_use]
    pub fn into_child(self, id: &'static str) -> ChildSpec {
        ChildSpec::new(id, move || (Supervisor, self.clone())).shutdown(Duration::from_secs(15))
    }
}
