//! Migrations of one service, for both databases, embedded in the binary.

use sqlx::migrate::Migrator;

use super::conn::Inner;
use super::{Conn, DbError};

static KERNEL_SQLITE: Migrator = sqlx::migrate!("../../migrations/kernel/sqlite");
static KERNEL_POSTGRES: Migrator = sqlx::migrate!("../../migrations/kernel/postgres");

/// The schema of one service.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    /// For SQLite.
    pub sqlite: &'static Migrator,
    /// For PostgreSQL.
    pub postgres: &'static Migrator,
}

/// Embeds a service's schema: the folder for SQLite, then the one for PostgreSQL, seen from
/// the service's own (`"../../migrations/<service>/sqlite"`).
#[macro_export]
macro_rules! migrations {
    ($sqlite:literal, $postgres:literal) => {{
        static SQLITE: ::sqlx::migrate::Migrator = ::sqlx::migrate!($sqlite);
        static POSTGRES: ::sqlx::migrate::Migrator = ::sqlx::migrate!($postgres);
        $crate::data::Migrations { sqlite: &SQLITE, postgres: &POSTGRES }
    }};
}

impl Migrations {
    /// Brings the schema up to date: first the kernel's tables, then the service's. Safe to run
    /// from several nodes at once: PostgreSQL holds an advisory lock, SQLite its write lock.
    ///
    /// # Errors
    /// [`DbError`]; a migration that was changed after it ran is one.
    pub(super) async fn run(&self, conn: &mut Conn) -> Result<(), DbError> {
        for (sqlite, postgres, table) in [
            (&KERNEL_SQLITE, &KERNEL_POSTGRES, "kernel_migrations"),
            (self.sqlite, self.postgres, "service_migrations"),
        ] {
            // `run` wants an `Acquire`, which does not go through a borrowed enum; `run_direct` is
            // what it calls.
            match &mut conn.inner {
                Inner::SqliteReader(conn) => {
                    named(sqlite, table).run_direct(None, &mut **conn, false).await
                }
                Inner::SqliteWriter(conn) => {
                    named(sqlite, table).run_direct(None, conn, false).await
                }
                Inner::Postgres(conn) => {
                    named(postgres, table).run_direct(None, &mut **conn, false).await
                }
                Inner::PostgresTx(conn) => {
                    named(postgres, table).run_direct(None, &mut **conn, false).await
                }
            }
            .map_err(|error| DbError::from(sqlx::Error::from(error)))?;
        }
        Ok(())
    }
}

fn named(migrator: &Migrator, table: &'static str) -> Migrator {
    let mut named = Migrator { migrations: migrator.migrations.clone(), ..Migrator::DEFAULT };
    named.dangerous_set_table_name(table);
    named
}
