//! The handle to one service's database. Cheap to clone, and alive before the database is.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use parking_lot::RwLock;
use serde::Serialize;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::sync::{Notify, Semaphore};

use super::allotter::AllotterMessage;
use super::conn::Inner as ConnInner;
use super::sqlite_writer::{self, WriterMessage};
use super::{
    Committed, Conn, DatabaseConfig, DatabaseUrl, DbError, KeeperMessage, Tx, fence, postgres_tx,
};
use crate::ids::{Ids, random_hex};
use crate::metrics::Metrics;
use crate::purge::Purge;
use crate::supervision::Address;
use crate::time::Clock;

/// Rows sqlx may fetch ahead of the reader; measured, see `docs/adr/0003-database-access.md`.
const SQLITE_ROW_BUFFER: usize = 512;
/// A frozen node must not keep its locks: PostgreSQL ends such a session.
const POSTGRES_SESSION: [(&str, &str); 3] = [
    ("idle_in_transaction_session_timeout", "500ms"),
    ("lock_timeout", "2s"),
    ("statement_timeout", "10s"),
];

/// What is known of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "status", content = "reason")]
pub enum DatabaseHealth {
    /// Not reached yet since this process began.
    Starting,
    /// Migrated and answering.
    Up,
    /// Reading works, writing does not; why. (SQLite: a full disk.)
    ReadOnly(String),
    /// Reached once, or refused; why it does not answer now.
    Down(String),
}

impl DatabaseHealth {
    /// What anybody may know of why it is not up. The details name hosts, paths and accounts:
    /// they are for the log and the ops port.
    #[must_use]
    pub const fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Up => None,
            Self::Starting => Some("the database is starting"),
            Self::ReadOnly(_) => Some("the database can't be written"),
            Self::Down(_) => Some("the database is not available"),
        }
    }
}

/// One service's database.
#[derive(Clone)]
pub struct Database(pub(super) Arc<Inner>);

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Database({}, {:?})", self.0.service, self.health())
    }
}

/// Called after commits that published something, with the facts.
type Listener = Box<dyn Fn(&[Committed]) + Send + Sync>;

/// Called after commits that made public answers old.
type PurgeListener = Box<dyn Fn(Purge) + Send + Sync>;

pub(super) struct Inner {
    pub(super) service: &'static str,
    pub(super) kind: Kind,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    pub(super) keeper: Address<KeeperMessage>,
    pub(super) writer: Address<WriterMessage>,
    pub(super) allotter: Address<AllotterMessage>,
    /// Makes ids while it has a number.
    pub(super) ids: Ids,
    /// Told whenever there is a number.
    pub(super) allotted: Notify,
    /// Whose the number is: of this handle, in this life of the process.
    pub(super) holder: String,
    listeners: RwLock<Vec<Listener>>,
    purges: RwLock<Option<PurgeListener>>,
    health: ArcSwap<DatabaseHealth>,
    write_slots: Arc<Semaphore>,
}

#[derive(Debug)]
pub(super) enum Kind {
    Sqlite { file: PathBuf, options: SqliteConnectOptions, readers: SqlitePool },
    Postgres { options: PgConnectOptions, schema: &'static str, pool: PgPool },
}

impl Database {
    /// A handle for `service` at `location`, for the life `boot` of a node. Connects to nothing
    /// yet.
    ///
    /// # Errors
    /// A sentence, if the location can't be understood.
    pub fn new(
        service: &'static str,
        location: &DatabaseUrl,
        config: &DatabaseConfig,
        boot: &str,
        (clock, metrics): (Clock, Metrics),
    ) -> Result<Self, String> {
        let kind = match location {
            DatabaseUrl::Sqlite(directory) => {
                let file = directory.join(format!("{service}.db"));
                let options = sqlite_options(&file);
                let readers = SqlitePoolOptions::new()
                    .max_connections(config.readers.max(1))
                    .min_connections(0)
                    .acquire_timeout(config.acquire_timeout.0)
                    .test_before_acquire(false)
                    .idle_timeout(Some(Duration::from_secs(60)))
                    .max_lifetime(None)
                    .connect_lazy_with(options.clone());
                Kind::Sqlite { file, options, readers }
            }
            DatabaseUrl::Postgres(url) => {
                let options = PgConnectOptions::from_str(url.expose())
                    .map_err(|error| format!("{url} is not a PostgreSQL URL: {error}"))?
                    .application_name(&fence::session_name(service, boot))
                    .options(POSTGRES_SESSION)
                    .options([("search_path", service)]);
                let pool = PgPoolOptions::new()
                    .max_connections(config.connections.max(1))
                    .min_connections(0)
                    .acquire_timeout(config.acquire_timeout.0)
                    .test_before_acquire(false)
                    .idle_timeout(Some(Duration::from_secs(60)))
                    .connect_lazy_with(options.clone());
                Kind::Postgres { options, schema: service, pool }
            }
        };
        metrics.database_up.with_label_values(&[service]).set(0);
        Ok(Self(Arc::new(Inner {
            service,
            kind,
            ids: Ids::new(clock.clone()),
            clock,
            metrics,
            keeper: Address::new(),
            writer: Address::new(),
            allotter: Address::new(),
            allotted: Notify::new(),
            holder: random_hex(),
            listeners: RwLock::default(),
            purges: RwLock::default(),
            health: ArcSwap::from_pointee(DatabaseHealth::Starting),
            write_slots: Arc::new(Semaphore::new(config.write_queue.max(1))),
        })))
    }

    /// Whose data this is.
    #[must_use]
    pub fn service(&self) -> &'static str {
        self.0.service
    }

    /// The clock transactions are stamped with.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// What is known of the database right now.
    #[must_use]
    pub fn health(&self) -> DatabaseHealth {
        self.0.health.load().as_ref().clone()
    }

    /// Whether this is PostgreSQL.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(self.0.kind, Kind::Postgres { .. })
    }

    /// A connection to read on, with a view of its own per statement.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] at once while the database is down, [`DbError::Busy`] if no
    /// connection became free in time.
    pub async fn reader(&self) -> Result<Conn, DbError> {
        self.must_be_up()?;
        let acquired = match &self.0.kind {
            Kind::Sqlite { readers, .. } => readers.acquire().await.map(ConnInner::SqliteReader),
            // Boxed: it is fourteen KiB, which everything that reads would carry.
            Kind::Postgres { pool, .. } => Box::pin(pool.acquire()).await.map(ConnInner::Postgres),
        };
        let owner = Some(self.clone());
        acquired.map(|inner| Conn { inner, owner }).map_err(|error| self.noted(error.into()))
    }

    /// Runs `read` on one connection.
    ///
    /// # Errors
    /// What `read` answers, or that there was no connection.
    pub async fn read<T, E, F>(&self, read: F) -> Result<T, E>
    where
        E: From<DbError>,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, DbError>>,
    {
        let mut conn = self.reader().await?;
        Ok(read(&mut conn).await?)
    }

    /// The same for a `read` that has refusals of its own.
    ///
    /// # Errors
    /// What `read` answers, or that there was no connection.
    pub async fn look<T, E, F>(&self, read: F) -> Result<T, E>
    where
        E: From<DbError>,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>>,
    {
        read(&mut self.reader().await?).await
    }

    /// Runs `work` in a transaction: all of it is on disk when this returns `Ok`, none of it
    /// otherwise (but see [`DbError::OutcomeUnknown`]). On SQLite it waits for the one writer
    /// and is committed together with others that wait.
    ///
    /// # Errors
    /// What `work` answers, or what happened to the transaction.
    pub async fn transact<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    {
        self.must_be_up()?;
        let started = Instant::now();
        let _slot =
            Arc::clone(&self.0.write_slots).try_acquire_owned().map_err(|_| DbError::Busy)?;
        let result = match &self.0.kind {
            Kind::Sqlite { .. } => sqlite_writer::submit(&self.0.writer, work).await,
            Kind::Postgres { pool, .. } => postgres_tx::run(pool, &self.0.clock, work).await,
        };
        let waited = started.elapsed().as_secs_f64();
        self.0.metrics.write_seconds.with_label_values(&[self.0.service]).observe(waited);
        let (result, published) = result.map_err(|error| self.noted(error))?;
        if published.any {
            self.0.listeners.read().iter().for_each(|listener| listener(&published.facts));
        }
        if let (Some(purge), Some(listener)) = (published.purge, self.0.purges.read().as_ref()) {
            listener(purge);
        }
        result
    }

    /// Calls `listener` after every commit that published facts. For as long as this handle
    /// lives.
    pub(crate) fn on_published(&self, listener: impl Fn() + Send + Sync + 'static) {
        self.0.listeners.write().push(Box::new(move |_| listener()));
    }

    /// Tells `listener` what of the public answers was made old by what was committed through this handle, but
    /// for what comes back with the answer to a write. Must not wait.
    pub(crate) fn on_purge(&self, listener: impl Fn(Purge) + Send + Sync + 'static) {
        *self.0.purges.write() = Some(Box::new(listener));
    }

    /// Tells `listener` of facts that were committed through this handle, at once, for as long as it lives. A
    /// hint: of what other nodes commit, or this one before a failure, it hears nothing here. Must not wait.
    pub fn on_facts(&self, listener: impl Fn(&[Committed]) + Send + Sync + 'static) {
        self.0.listeners.write().push(Box::new(move |facts| {
            if !facts.is_empty() {
                listener(facts);
            }
        }));
    }

    /// Where the keeper answers.
    #[must_use]
    pub fn keeper(&self) -> Address<KeeperMessage> {
        self.0.keeper.clone()
    }

    /// Whether requests are let through to it.
    pub(crate) fn is_usable(&self) -> bool {
        self.must_be_up().is_ok()
    }

    pub(super) fn must_be_up(&self) -> Result<(), DbError> {
        match self.0.health.load().as_ref() {
            DatabaseHealth::Up | DatabaseHealth::ReadOnly(_) => Ok(()),
            DatabaseHealth::Starting => Err(DbError::Unavailable("it is starting".into())),
            DatabaseHealth::Down(why) => Err(DbError::Unavailable(why.clone())),
        }
    }

    pub(super) fn set_health(&self, health: DatabaseHealth) {
        let up = health == DatabaseHealth::Up;
        self.0.metrics.database_up.with_label_values(&[self.0.service]).set(i64::from(up));
        let before = self.0.health.swap(Arc::new(health.clone()));
        if *before == health {
            return;
        }
        match health {
            DatabaseHealth::Up => {
                tracing::info!(service = self.0.service, "database is up");
                // Where there is no allotter there is nobody to make ids.
                drop(self.0.allotter.send(AllotterMessage::Wanted));
            }
            DatabaseHealth::Down(why) => {
                tracing::error!(service = self.0.service, why, "database is down");
            }
            DatabaseHealth::ReadOnly(why) => {
                tracing::error!(service = self.0.service, why, "database can't be written");
            }
            DatabaseHealth::Starting => {}
        }
    }

    /// Takes note of what may be an outage: the keeper looks at once. One lost connection is one
    /// lost request; only the keeper, who connects anew, says that the database is down.
    pub(super) fn noted(&self, error: DbError) -> DbError {
        if matches!(error, DbError::Unavailable(_) | DbError::Ended(_) | DbError::OutcomeUnknown(_))
            && self.0.health.load().as_ref() == &DatabaseHealth::Up
            && self.is_postgres()
        {
            drop(self.0.keeper.send(KeeperMessage::Look));
        }
        error
    }

    /// The writer could not write. Reads go on.
    pub(super) fn cannot_write(&self, why: &str) {
        self.set_health(DatabaseHealth::ReadOnly(why.to_owned()));
    }

    /// The writer has written.
    pub(super) fn has_written(&self) {
        if matches!(self.0.health.load().as_ref(), DatabaseHealth::ReadOnly(_)) {
            self.set_health(DatabaseHealth::Up);
        }
    }

    /// Closes every connection: for the end of the process.
    pub async fn close(&self) {
        match &self.0.kind {
            Kind::Sqlite { readers, .. } => readers.close().await,
            Kind::Postgres { pool, .. } => pool.close().await,
        }
    }

    /// Lets go of the pool's idle connections, which did not live through an outage.
    pub(super) fn forget_idle(&self) {
        if let Kind::Postgres { pool, .. } = &self.0.kind {
            while let Some(conn) = pool.try_acquire() {
                drop(conn.detach());
            }
        }
    }
}

/// WAL, synced at every commit (acknowledged means on disk), foreign keys on, 4 MiB of pages per
/// connection. No memory map: every connection would count the whole file as its own.
fn sqlite_options(file: &std::path::Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .row_buffer_size(SQLITE_ROW_BUFFER)
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "-4096")
}
