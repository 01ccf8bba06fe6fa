//! Durable truth: one [`Database`] per service, on SQLite or PostgreSQL, with the same
//! statements for both.
//!
//! | file | |
//! |---|---|
//! | `sql` | statements, values, rows: what a store writes and reads |
//! | `composed` | statements put together piece by piece |
//! | `conn` | a connection that is one of the two |
//! | `database` | the handle: reads, transactions, readiness |
//! | `sqlite_writer` | the one writer per file, which commits waiting writes together |
//! | `postgres_tx` | a transaction on PostgreSQL |
//! | `write` | exactly-once writes: the idempotency row beside the effect |
//! | `keeper` | migrates, watches, recovers; the reason why boot needs no database |
//! | `fence` | ends the transactions of nodes that have fallen silent |
//! | `lease` | singletons with fencing tokens |
//! | `numbers` | what tells the ids of two processes apart |
//! | `allotter` | keeps one such number, and makes ids with it |
//! | `janitor` | removes what has expired |
//! | `chore` | an actor that looks again and again whether there is something to do |
//! | `upkeep` | keeper, writer and janitor, for whoever has a database |
//!
//! Rules: acknowledged means on disk. No I/O but SQL inside a transaction. No statement names
//! another service's tables (they may be on another server).

mod allotter;
mod chore;
mod composed;
mod config;
mod conn;
mod database;
mod error;
mod fence;
mod janitor;
mod keeper;
mod lease;
mod migrations;
mod numbers;
mod postgres_tx;
mod sql;
mod sqlite_writer;
mod tx;
mod upkeep;
mod write;

pub(crate) use allotter::Allotter;
pub use chore::{Chore, ChoreMessage, chore};
pub use composed::Composed;
pub use config::{DatabaseConfig, DatabaseUrl};
pub use conn::Conn;
pub use database::{Database, DatabaseHealth};
pub use error::DbError;
pub(crate) use fence::Fence;
pub use janitor::{Expiry, Janitor, JanitorMessage, sweep};
pub use keeper::{Keeper, KeeperMessage};
pub use lease::{Lease, Leases};
pub use migrations::Migrations;
pub use numbers::Numbers;
pub use sql::{Cell, FromRow, Row, Statement, Value, holding, sql};
pub(crate) use sqlite_writer::SqliteWriter;
pub use tx::{Audit, Committed, Fact, OwnAct, Tx};
pub use upkeep::Upkeep;
pub(crate) use write::PURGE;
pub use write::{Answer, REPLAYED, RequestShape, WriteContext};
