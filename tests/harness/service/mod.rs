//! Services, membership and a gateway inside the test's own process, driven over real HTTP.
//!
//! Process groups and actor ids are process-wide: one rig at a time per process, which is what
//! a test runner with a process per test gives.

mod builder;
mod flood;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use panel_gateway::Gateway;
use panel_kernel::data::{Database, DatabaseHealth, JanitorMessage};
use panel_kernel::directory::{SCOPE, group};
use panel_kernel::role::Role;
use panel_kernel::service::{Running, Runtime};
use panel_kernel::supervision::SupervisorMessage;
use parking_lot::Mutex;
use ractor::{ActorCell, ActorId, ActorRef, pg};
use tempfile::TempDir;

use crate::backend::{Backend, TestDatabase};
use crate::eventually::eventually;
use crate::http::Client;
use crate::ids::new_id;
use crate::metrics::Metrics;
use crate::probe::{NAME as PROBE, Probe};
use crate::raw_sql::RawSql;
pub use builder::RigBuilder;

/// For everything to be up.
const START: Duration = Duration::from_secs(20);
/// For the first signing key: well before the keys are looked at again.
const FIRST_KEY: Duration = Duration::from_secs(4);
/// For everything to be gone.
const STOP: Duration = Duration::from_secs(20);

/// A running rig.
#[derive(Debug)]
pub struct Rig {
    /// The node's parts: clock, metrics, tree, directory.
    pub runtime: Runtime,
    /// The services' handles.
    pub running: Vec<Running>,
    /// The gateway's handle.
    pub gateway: Gateway,
    /// The probe.
    pub probe: Probe,
    identity: &'static str,
    /// Where the gateway listens.
    pub address: SocketAddr,
    root: ActorRef<SupervisorMessage>,
    before: Vec<ActorId>,
    /// Whoever was made to talk to it.
    clients: Mutex<Vec<Client>>,
    _data: TempDir,
    /// Goes last, when nobody uses it any more.
    database: TestDatabase,
}

impl Rig {
    /// A probe alone, on an empty database of this kind.
    pub async fn start(backend: Backend) -> Self {
        Box::pin(RigBuilder::new(backend.database().await).start()).await
    }

    /// Talks to the gateway as nobody in particular.
    #[must_use]
    pub fn client(&self) -> Client {
        let client = Client::new(self.address);
        self.clients.lock().push(client.clone());
        client
    }

    /// Talks to the gateway as a new account of this rank.
    #[must_use]
    pub fn signed_in(&self, role: Role) -> Client {
        let user = new_id();
        let token = self.probe.issuer.token(&self.runtime, user, role);
        self.client().with_header("authorization", &format!("Bearer {token}"))
    }

    /// What is counted now.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        for running in &self.running {
            running.publish_load();
        }
        Metrics::parse(&String::from_utf8(self.runtime.metrics.render()).unwrap())
    }

    /// Which database it runs on.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.database.backend()
    }

    /// The database of a service, as its tree has it now.
    #[must_use]
    pub fn database(&self, service: &str) -> Arc<Database> {
        self.handle(service).db.load_full().expect("the service has started once")
    }

    /// A connection of the test's own to what a service has stored.
    pub async fn raw_sql(&self, service: &str) -> RawSql {
        self.database.raw_sql(service).await
    }

    /// A service's handle.
    #[must_use]
    pub fn handle(&self, service: &str) -> &Running {
        let found = self.running.iter().find(|running| running.name == service);
        found.unwrap_or_else(|| panic!("there is no service {service}"))
    }

    /// How often the actor at `path` was restarted.
    #[must_use]
    pub fn restarts(&self, path: &str) -> u64 {
        self.runtime.tree.get(path).map_or(0, |status| status.restarts)
    }

    /// The actor that runs at `path` in the tree: `probe/keeper`, `gateway/identity`.
    #[must_use]
    pub fn actor(&self, path: &str) -> ActorCell {
        let found = self.runtime.tree.actor(path);
        found.unwrap_or_else(|| panic!("nobody runs at {path}: {:#?}", self.runtime.tree))
    }

    /// Kills the actor at `path` where it stands, and waits until another runs in its place.
    pub async fn kill(&self, path: &str) {
        let before = self.restarts(path);
        self.replaced(path, ActorCell::kill).await;
        let counted = self.metrics().count("panel_actor_restarts_total", &[("actor", path)]);
        assert_eq!((self.restarts(path), counted), (before + 1, before + 1), "{path}");
    }

    /// Restarts the actor at `path` as an operator does, and waits until another runs in its
    /// place. That it is counted says less: it is when the old one begins to stop.
    pub async fn restart(&self, path: &str) {
        self.replaced(path, |_| assert!(self.runtime.tree.restart(path), "{path}")).await;
    }

    async fn replaced(&self, path: &str, end: impl FnOnce(&ActorCell)) {
        let actor = self.actor(path);
        end(&actor);
        eventually(&format!("{path} runs again"), START, async || {
            let running = self.runtime.tree.actor(path);
            let other = running.is_some_and(|running| running.get_id() != actor.get_id());
            if other { Ok(()) } else { Err(self.runtime.tree.get(path)) }
        })
        .await;
    }

    /// The running front door of a service; kill it, or ask it something.
    #[must_use]
    pub fn front_door(&self, service: &str) -> ActorCell {
        let doors = pg::get_scoped_local_members(&SCOPE.to_owned(), &group(service));
        doors.into_iter().next().unwrap_or_else(|| panic!("{service} has no front door"))
    }

    /// The running pool of a service.
    #[must_use]
    pub fn pool(&self, service: &str) -> ActorCell {
        self.actor(&format!("{service}/serving/pool"))
    }

    /// The running workers of a service.
    #[must_use]
    pub fn workers(&self, service: &str) -> Vec<ActorCell> {
        self.pool(service).get_children()
    }

    /// Lets the running janitor of a service sweep now, and not when its minute is over.
    pub fn sweep(&self, service: &str) {
        let serving = self.front_door(service).try_get_supervisor();
        let tree = serving.and_then(|serving| serving.try_get_supervisor());
        let children = tree.expect("a service has a tree").get_children();
        // No other actor takes this message.
        let told =
            children.iter().filter(|child| child.send_message(JanitorMessage::Sweep).is_ok());
        assert_eq!(told.count(), 1, "{service} has one janitor");
    }

    /// Lets the janitor at this path sweep now: that of no service, `blobs/janitor`.
    pub fn tell_janitor(&self, path: &str) {
        self.actor(path).send_message(JanitorMessage::Sweep).unwrap();
    }

    /// Waits until every service is a member, its database answers and it can make ids, and tokens
    /// are taken.
    pub async fn await_up(&self) {
        eventually("every service is a member", START, async || {
            let down = |running: &&Running| {
                let member = self.runtime.directory.any(running.name).is_some();
                let db = running.db.load();
                let is_up =
                    |db: &Arc<Database>| db.health() == DatabaseHealth::Up && db.has_number();
                !(running.is_member() && member && db.as_ref().is_some_and(is_up))
            };
            self.running.iter().find(down).map_or(Ok(()), |running| {
                Err((running.name, running.db.load().as_ref().map(|db| db.health())))
            })
        })
        .await;
        eventually("files can be kept", START, async || {
            self.runtime.blobs.trouble().map_or(Ok(()), Err)
        })
        .await;
        // Once it knows whose tokens it takes, it takes or refuses them.
        let client = self.signed_in(Role::User);
        let expected = if self.identity == PROBE { 200 } else { 401 };
        eventually("the gateway knows tokens", START, async || {
            let answer = client.get("/api/v2/probe/counts").await;
            if answer.status == expected { Ok(()) } else { Err(answer) }
        })
        .await;
    }

    /// Waits until the auth service, where it is one of them, can sign tokens.
    pub async fn await_signing_key(&self) {
        let client = self.client();
        eventually("tokens can be signed", FIRST_KEY, async || {
            let keys = client.get("/api/v2/auth/.well-known/jwks.json").await.expect(200).json();
            keys["keys"].as_array().is_some_and(|keys| !keys.is_empty())
        })
        .await;
    }

    /// Stops everything in order.
    ///
    /// # Panics
    /// If an actor is left over.
    pub async fn shutdown(self) {
        for running in &self.running {
            running.leave();
        }
        // A gateway waits a moment for those who may have another request; these have none.
        for client in self.clients.lock().drain(..) {
            client.hang_up();
        }
        self.gateway.drain().await;
        self.root.stop_and_wait(None, Some(STOP)).await.unwrap();
        // Only where nobody else's actors are in this process can they be counted.
        if std::env::var_os("NEXTEST").is_some() {
            eventually("every actor is gone", STOP, async || {
                let mut left = actors();
                left.retain(|actor| !self.before.contains(&actor.get_id()));
                if left.is_empty() { Ok(()) } else { Err(left) }
            })
            .await;
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.root.stop(None);
    }
}

fn actors() -> Vec<ActorCell> {
    ractor::registry::get_all_pids()
}
