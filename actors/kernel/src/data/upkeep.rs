//! What keeps a database usable, as children of whoever has it.

use std::sync::Arc;
use std::time::Duration;

use super::{Database, Expiry, Janitor, Keeper, Leases, Migrations, SqliteWriter};
use crate::supervision::ChildSpec;

/// A database and how it is kept.
#[derive(Clone, Debug)]
pub struct Upkeep {
    /// Which.
    pub db: Database,
    /// Its schema.
    pub migrations: Migrations,
    /// How this node takes leases there.
    pub leases: Leases,
    /// What expires, in this order.
    pub expiries: Arc<[Expiry]>,
    /// How long one transaction may hold SQLite's writer.
    pub write_timeout: Duration,
}

impl Upkeep {
    /// Brings it up, and back up.
    #[must_use]
    pub fn keeper(&self) -> ChildSpec {
        let (db, migrations) = (self.db.clone(), self.migrations);
        ChildSpec::new("keeper", move || (Keeper { db: db.clone(), migrations }, ()))
    }

    /// The one who writes to SQLite; nobody on PostgreSQL.
    #[must_use]
    pub fn writer(&self) -> Option<ChildSpec> {
        if self.db.is_postgres() {
            return None;
        }
        let (db, job_timeout) = (self.db.clone(), self.write_timeout);
        Some(ChildSpec::new("writer", move || (SqliteWriter { db: db.clone(), job_timeout }, ())))
    }

    /// Removes what has expired.
    #[must_use]
    pub fn janitor(&self) -> ChildSpec {
        let own = self.clone();
        ChildSpec::new("janitor", move || {
            let Self { db, leases, expiries, .. } = own.clone();
            (Janitor { db, leases, expiries }, ())
        })
    }
}
