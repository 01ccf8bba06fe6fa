//! The supervision tree of a service, read as a table.

use std::sync::Arc;
use std::time::Duration;

use ractor::pg;

use super::admission::Admission;
use super::desk::Desks;
use super::entrance::Entrance;
use super::front_door::FrontDoor;
use super::label::LabelLayer;
use super::load::Load;
use super::pool::PoolSpec;
use super::{Runtime, ServiceContext, ServiceSpec, internal};
use crate::data::{Allotter, Database, DatabaseConfig, DatabaseUrl, Expiry, Fence, Leases, Upkeep};
use crate::directory::{SCOPE, group};
use crate::events::{Outlet, Relay, RelayMessage};
use crate::message::FrontDoorMessage;
use crate::personal;
use crate::purge::Purger;
use crate::supervision::{
    Address, Backoff, Bell, ChildSpec, Intensity, Strategy, Supervisor, SupervisorSpec,
};

/// A service's handle for the node: draining, load.
#[derive(Clone, Debug)]
pub struct Running {
    /// Which.
    pub name: &'static str,
    /// How much is inside.
    pub load: Arc<Load>,
    /// Its database, as of the last start of the tree.
    pub db: Arc<arc_swap::ArcSwapOption<Database>>,
    front_door: Address<FrontDoorMessage>,
}

impl Running {
    /// Brings the service's gauges up to date.
    pub fn publish_load(&self) {
        self.load.publish();
    }

    /// Whether its front door is a member of the service's process group.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.front_door.current().is_some_and(|door| {
            let members = pg::get_scoped_local_members(&SCOPE.to_owned(), &group(self.name));
            members.iter().any(|member| member.get_id() == door.get_id())
        })
    }

    /// Leaves the group and refuses new requests; those inside go on.
    pub fn leave(&self) {
        self.load.drain();
        if let Some(door) = self.front_door.current() {
            pg::leave_scoped(SCOPE.to_owned(), group(self.name), vec![door.get_cell()]);
        }
    }
}

/// The service as a child of the root, and the node's handle to it.
#[must_use]
pub fn child(
    spec: &ServiceSpec,
    runtime: &Runtime,
    location: DatabaseUrl,
    database: DatabaseConfig,
    outlets: Vec<Outlet>,
) -> (ChildSpec, Running) {
    let running = Running {
        name: spec.name,
        load: Load::new(spec.name, spec.pool.capacity(), runtime.metrics.clone()),
        db: Arc::default(),
        front_door: Address::new(),
    };
    let start = Start {
        spec: spec.clone(),
        runtime: runtime.clone(),
        location,
        database,
        outlets: outlets.into(),
        running: running.clone(),
    };
    let child = ChildSpec::new(spec.name, move || (Supervisor, start.supervisor()))
        .shutdown(Duration::from_secs(20));
    (child, running)
}

/// Everything a start of the tree needs, again and again.
struct Start {
    spec: ServiceSpec,
    runtime: Runtime,
    location: DatabaseUrl,
    database: DatabaseConfig,
    outlets: Arc<[Outlet]>,
    running: Running,
}

impl Start {
    fn supervisor(&self) -> SupervisorSpec {
        let (name, runtime) = (self.spec.name, &self.runtime);
        // The location was checked when the configuration was read.
        let db = Database::new(
            name,
            &self.location,
            &self.database,
            &runtime.node.boot,
            (runtime.clock.clone(), runtime.metrics.clone()),
        );
        let top = SupervisorSpec::new(name, &runtime.tree)
            .intensity(Intensity::new(5, Duration::from_secs(30)))
            .backoff(Backoff { first: Duration::from_millis(100), most: Duration::from_secs(10) });
        let db = match db {
            Ok(db) => db,
            Err(error) => {
                tracing::error!(service = name, error, "no usable database location");
                return top;
            }
        };
        self.running.db.store(Some(Arc::new(db.clone())));
        let (directory, clock) = (runtime.directory.clone(), runtime.clock.clone());
        let of_node = (clock, runtime.metrics.clone());
        let purger = Purger::new(name, directory, runtime.redis.clone(), of_node);
        let context = ServiceContext {
            runtime: runtime.clone(),
            db: db.clone(),
            purger: purger.clone(),
            path: name,
        };
        let assembly = (self.spec.assemble)(&context);
        let purger = (!assembly.is_private).then_some(purger);
        let top = self.data_children(top, &db, assembly.expiries.into());
        let top = match &purger {
            Some(purger) => {
                let told = purger.clone();
                db.on_purge(move |purge| told.purge(purge));
                let top = top.child(purger.child());
                purger.stamper().into_iter().fold(top, SupervisorSpec::child)
            }
            None => top,
        };
        let top = assembly.children.into_iter().fold(top, SupervisorSpec::child);
        let own = internal::routes(
            db.clone(),
            assembly.consumer,
            assembly.streams,
            (self.spec.openapi)(),
        );
        let own = own.merge(personal::routes(db, assembly.personal.into()));
        let router = assembly.router.merge(own).route_layer(LabelLayer);
        top.child(self.serving(router, &context.db, purger).into_child("serving"))
    }

    fn data_children(
        &self,
        top: SupervisorSpec,
        db: &Database,
        expiries: Arc<[Expiry]>,
    ) -> SupervisorSpec {
        let node = &self.runtime.node;
        let leases = Leases::new(db.clone(), &node.name, &node.boot);
        let upkeep = Upkeep {
            db: db.clone(),
            migrations: self.spec.migrations,
            leases: leases.clone(),
            expiries,
            write_timeout: self.database.write_timeout.0,
        };
        let allotter = {
            let db = db.clone();
            ChildSpec::new("allotter", move || (Allotter { db: db.clone() }, ()))
        };
        let fence = Fence { db: db.clone(), directory: self.runtime.directory.clone() };
        let fence = || ChildSpec::task("fence", move || fence.clone().run());
        let top = top.child(upkeep.keeper());
        let top = top.child(upkeep.writer().unwrap_or_else(fence)).child(allotter);
        let top = if self.outlets.is_empty() { top } else { top.child(self.relays(db, &leases)) };
        top.child(upkeep.janitor())
    }

    /// One relay per consumer, so that none waits for another.
    fn relays(&self, db: &Database, leases: &Leases) -> ChildSpec {
        let runtime = &self.runtime;
        let path = format!("{}/relay", self.spec.name);
        let relays = SupervisorSpec::new(path, &runtime.tree);
        let relays = self.outlets.iter().fold(relays, |relays, outlet| {
            let (db, leases, outlet) = (db.clone(), leases.clone(), outlet.clone());
            let (directory, metrics) = (runtime.directory.clone(), runtime.metrics.clone());
            let bell = Bell::new(|| RelayMessage::Wake);
            let rung = bell.clone();
            db.on_published(move || rung.ring());
            relays.child(ChildSpec::new(outlet.consumer, move || {
                let relay = Relay {
                    db: db.clone(),
                    leases: leases.clone(),
                    directory: directory.clone(),
                    outlet: outlet.clone(),
                    bell: bell.clone(),
                    metrics: metrics.clone(),
                };
                (relay, ())
            }))
        });
        relays.into_child("relay")
    }

    fn serving(
        &self,
        router: axum::Router,
        db: &Database,
        purger: Option<Purger>,
    ) -> SupervisorSpec {
        let (name, runtime) = (self.spec.name, &self.runtime);
        let path = format!("{name}/serving");
        let pool = PoolSpec {
            service: name,
            path: format!("{path}/pool"),
            config: self.spec.pool,
            router,
            desks: Desks::default(),
            load: Arc::clone(&self.running.load),
            clock: runtime.clock.clone(),
            metrics: runtime.metrics.clone(),
            purger,
            tree: runtime.tree.clone(),
        };
        let door = {
            let (address, directory) = (self.running.front_door.clone(), runtime.directory.clone());
            let admission = Admission {
                desks: pool.desks.clone(),
                load: Arc::clone(&self.running.load),
                clock: runtime.clock.clone(),
            };
            ChildSpec::new("front_door", move || {
                let door = FrontDoor {
                    address: address.clone(),
                    admission: admission.clone(),
                    directory: directory.clone(),
                };
                (door, ())
            })
        };
        let entrance = Entrance {
            service: name,
            door: self.running.front_door.clone(),
            db: db.clone(),
            load: Arc::clone(&self.running.load),
        };
        SupervisorSpec::new(path, &runtime.tree)
            .strategy(Strategy::RestForOne)
            .intensity(Intensity::new(3, Duration::from_secs(30)))
            .backoff(Backoff { first: Duration::from_millis(100), most: Duration::from_secs(5) })
            .child(pool.into_child())
            .child(door)
            .child(ChildSpec::task("entrance", move || entrance.clone().run()))
    }
}
