//! What the gateways of a cluster share, in a schema of their own of the database that is there anyway.
//!
//! ```text
//! gateway/commons       one for one
//! ├── keeper            brings the database up and back up
//! ├── writer            (SQLite) the one who writes
//! └── janitor           removes what has expired
//! ```
//!
//! Failure: nobody who reads or writes on the site notices. What is in force stays so, and who holds a lease goes on.

use panel_kernel::data::{
    Database, DatabaseConfig, DatabaseUrl, Expiry, Leases, Migrations, Upkeep,
};
use panel_kernel::migrations;
use panel_kernel::service::Runtime;
use panel_kernel::supervision::{ChildSpec, SupervisorSpec};

/// The schema of what gateways share.
pub const SCHEMA: &str = "gateway";
/// Sessions of one gateway with its database.
const CONNECTIONS: u32 = 2;

/// The schema of what gateways share: for administrative commands.
#[must_use]
pub fn migrations() -> Migrations {
    migrations!("../../migrations/gateway/sqlite", "../../migrations/gateway/postgres")
}

/// What gateways share. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Commons {
    /// The database, and what keeps it.
    pub(crate) upkeep: Upkeep,
}

impl Commons {
    /// In the database at this place, of which that expires.
    ///
    /// # Errors
    /// In words, if the place can't be used.
    pub(crate) fn new(
        (location, database): (&DatabaseUrl, &DatabaseConfig),
        expiries: &[Expiry],
        runtime: &Runtime,
    ) -> Result<Self, String> {
        let node = &runtime.node;
        let own =
            DatabaseConfig { connections: CONNECTIONS, readers: CONNECTIONS, ..database.clone() };
        let parts = (runtime.clock.clone(), runtime.metrics.clone());
        let db = Database::new(SCHEMA, location, &own, &node.boot, parts)?;
        let upkeep = Upkeep {
            leases: Leases::new(db.clone(), &node.name, &node.boot),
            db,
            migrations: migrations(),
            expiries: expiries.into(),
            write_timeout: database.write_timeout.0,
        };
        Ok(Self { upkeep })
    }

    /// Its tree.
    pub(crate) fn child(&self, runtime: &Runtime) -> ChildSpec {
        let upkeep = &self.upkeep;
        let top = SupervisorSpec::new("gateway/commons", &runtime.tree).child(upkeep.keeper());
        let top = upkeep.writer().into_iter().fold(top, SupervisorSpec::child);
        top.child(upkeep.janitor()).into_child("commons")
    }
}
