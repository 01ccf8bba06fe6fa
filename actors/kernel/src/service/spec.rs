//! What a service tells the kernel about itself.

use std::sync::Arc;

use axum::Router;
use utoipa::openapi::OpenApi;

use super::Runtime;
use crate::config::{BadValue, PoolConfig, Section};
use crate::data::{Database, Expiry, Migrations};
use crate::events::{Consumer, Subscription};
use crate::personal::Records;
use crate::purge::Purger;
use crate::push::StreamSource;
use crate::supervision::ChildSpec;

/// A service's entry in the node's list: all the node knows of it.
#[derive(Clone, Copy, Debug)]
pub struct Registration {
    /// Its name: the path segment, the process group, the schema, the configuration section.
    pub name: &'static str,
    /// Reads its configuration section.
    pub configure: fn(&Section) -> Result<ServiceSpec, BadValue>,
    /// Its whole configuration section with defaults filled in, for display.
    pub effective: fn(&Section) -> Result<serde_json::Value, BadValue>,
}

/// A configured service, not yet running.
#[derive(Clone)]
pub struct ServiceSpec {
    /// Its name.
    pub name: &'static str,
    /// The port on which the gateway answers for it alone (`/health`).
    pub port: u16,
    /// Paths outside `/api/v2/<name>` that it serves, and all below them: pages. An empty one is whatever nobody else
    /// serves and is read.
    pub pages: &'static [&'static str],
    /// How much it takes at a time.
    pub pool: PoolConfig,
    /// Its schema.
    pub migrations: Migrations,
    /// What it wants to hear from others.
    pub subscriptions: &'static [Subscription],
    /// Its routes, documented.
    pub openapi: fn() -> OpenApi,
    /// Puts it together. Called at every start of its tree.
    pub assemble: Arc<dyn Fn(&ServiceContext) -> Assembly + Send + Sync>,
}

impl std::fmt::Debug for ServiceSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a service is put together from.
#[derive(Clone, Debug)]
pub struct ServiceContext {
    /// The node's parts.
    pub runtime: Runtime,
    /// Its database.
    pub db: Database,
    /// Where it says what it makes old of its public answers, without a transaction that says so.
    pub purger: Purger,
    /// Its path in the supervision tree, for its own supervisors.
    pub path: &'static str,
}

/// A service put together.
pub struct Assembly {
    /// Its routes, with full paths.
    pub router: Router,
    /// Its own actors, in starting order.
    pub children: Vec<ChildSpec>,
    /// What it does with the facts it subscribed to.
    pub consumer: Option<Arc<dyn Consumer>>,
    /// Rows that the janitor removes for it, in this order.
    pub expiries: Vec<Expiry>,
    /// What it has of people, for themselves.
    pub personal: Vec<Records>,
    /// What it answers who may have missed something of a stream.
    pub streams: Option<Arc<dyn StreamSource>>,
    /// Whether none of its answers is for everybody.
    pub is_private: bool,
}

impl std::fmt::Debug for Assembly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assembly").field("children", &self.children).finish_non_exhaustive()
    }
}

impl Assembly {
    /// Routes alone.
    #[must_use]
    pub fn new(router: Router) -> Self {
        Self {
            router,
            children: Vec::new(),
            consumer: None,
            expiries: Vec::new(),
            personal: Vec::new(),
            streams: None,
            is_private: false,
        }
    }

    /// With an actor of its own.
    #[must_use]
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.children.push(child);
        self
    }

    /// With a consumer of facts.
    #[must_use]
    pub fn consumer(mut self, consumer: impl Consumer) -> Self {
        self.consumer = Some(Arc::new(consumer));
        self
    }

    /// With records of people: what it tells somebody who wants to know what there is of them.
    #[must_use]
    pub fn personal(mut self, records: impl IntoIterator<Item = Records>) -> Self {
        self.personal.extend(records);
        self
    }

    /// With streams of events.
    #[must_use]
    pub fn streams(mut self, source: impl StreamSource) -> Self {
        self.streams = Some(Arc::new(source));
        self
    }

    /// None of its answers is for everybody, so nothing it does makes one old. What says that it is public
    /// nevertheless is kept by nobody.
    #[must_use]
    pub const fn private(mut self) -> Self {
        self.is_private = true;
        self
    }

    /// With rows that expire.
    #[must_use]
    pub fn expiring(mut self, expiries: impl IntoIterator<Item = Expiry>) -> Self {
        self.expiries.extend(expiries);
        self
    }
}
