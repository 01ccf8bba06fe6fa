//! Brings a database up, and back up.
//!
//! Boot needs no database: the keeper connects, migrates and marks the handle `Up` when it
//! can, and until then requests are refused at once. Later it watches: a lost database is
//! looked for twice a second, a healthy one is asked every few seconds.
//!
//! Failure: a keeper that dies is restarted and looks again; nothing else depends on it.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::task::AbortHandle;

use super::conn::Inner as ConnInner;
use super::database::{DatabaseHealth, Kind};
use super::sqlite_writer::SqliteWriter;
use super::{Conn, Database, DbError, Migrations};

const WHEN_UP: Duration = Duration::from_secs(5);
const WHEN_DOWN: Duration = Duration::from_millis(500);
const ATTEMPT: Duration = Duration::from_secs(3);
/// Migrations may take as long as they take, but a stuck one must show in the log.
const MIGRATION: Duration = Duration::from_secs(3_600);

/// A migration may hold its locks, and wait for others', for longer than a request.
const FOR_MIGRATIONS: &str = "SET statement_timeout = 0; SET lock_timeout = 0; \
                              SET idle_in_transaction_session_timeout = 0";

/// What the keeper is told.
#[derive(Debug, RactorMessage)]
pub enum KeeperMessage {
    /// Look now: the regular look, or one out of turn.
    Look,
}

/// Keeps one service's database usable.
#[derive(Debug)]
pub struct Keeper {
    /// Which.
    pub db: Database,
    /// Its schema.
    pub migrations: Migrations,
}

/// What the keeper knows and has.
#[derive(Debug, Default)]
pub struct KeeperState {
    /// Whether the schema is up to date.
    migrated: bool,
    /// The next regular look.
    next: Option<AbortHandle>,
    /// SQLite: a connection that stays open and does nothing. Whoever opens a file that nobody
    /// has open makes its shared memory anew, and on a full disk that fails: then the writer,
    /// which connects again after each failure, would take the readers with it.
    open: Option<Conn>,
}

impl Actor for Keeper {
    type Msg = KeeperMessage;
    type State = KeeperState;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<KeeperMessage>,
        (): (),
    ) -> Result<KeeperState, ActorProcessingErr> {
        self.db.0.keeper.announce(&myself);
        myself.send_message(KeeperMessage::Look)?;
        Ok(KeeperState::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<KeeperMessage>,
        KeeperMessage::Look: KeeperMessage,
        state: &mut KeeperState,
    ) -> Result<(), ActorProcessingErr> {
        match self.look(state).await {
            Ok(()) => self.found_up(),
            // The server has no room for one more session; those there are go on.
            Err(DbError::Busy) if self.db.is_usable() => {}
            Err(error) => self.db.set_health(DatabaseHealth::Down(error.to_string())),
        }
        // Also after a look out of turn: what it found to be gone is looked for soon, and not when
        // a healthy one would have been looked at.
        let up = self.db.health() == DatabaseHealth::Up;
        let next = if up { WHEN_UP } else { WHEN_DOWN };
        let next = myself.send_after(next, || KeeperMessage::Look).abort_handle();
        if let Some(planned) = state.next.replace(next) {
            planned.abort();
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<KeeperMessage>,
        state: &mut KeeperState,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(conn) = state.open.take() {
            conn.close().await;
        }
        Ok(())
    }
}

impl Keeper {
    fn found_up(&self) {
        match self.db.health() {
            // That is the writer's to say, who tries with every write.
            DatabaseHealth::ReadOnly(_) | DatabaseHealth::Up => {}
            DatabaseHealth::Down(_) => {
                self.db.forget_idle();
                self.db.set_health(DatabaseHealth::Up);
            }
            DatabaseHealth::Starting => self.db.set_health(DatabaseHealth::Up),
        }
    }

    async fn look(&self, state: &mut KeeperState) -> Result<(), DbError> {
        if state.migrated && !self.db.is_postgres() {
            return Ok(());
        }
        if state.migrated {
            return within(ATTEMPT, self.db.probe()).await;
        }
        let mut conn = within(ATTEMPT, self.db.connect_apart()).await?;
        within(MIGRATION, self.migrations.run(&mut conn)).await?;
        state.migrated = true;
        state.open = Some(conn).filter(|conn| !conn.is_postgres());
        Ok(())
    }
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, DbError>> + Send,
) -> Result<T, DbError> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(DbError::Unavailable("it did not answer in time".into())))
}

impl Database {
    /// Connects and migrates once, with nobody watching: for administrative commands, which end
    /// with the first failure anyway.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn open_once(&self, migrations: &Migrations) -> Result<(), DbError> {
        let mut conn = within(ATTEMPT, self.connect_apart()).await?;
        migrations.run(&mut conn).await?;
        conn.close().await;
        if !self.is_postgres() {
            let writer = SqliteWriter { db: self.clone(), job_timeout: ATTEMPT };
            #[allow(clippy::disallowed_methods, reason = "ends with the command it serves")]
            let spawned = ractor::Actor::spawn(None, writer, ()).await;
            spawned.map_err(|error| DbError::Unavailable(error.to_string()))?;
        }
        self.set_health(DatabaseHealth::Up);
        Ok(())
    }

    /// Proves that connecting works, on a connection of its own.
    async fn probe(&self) -> Result<(), DbError> {
        if let Kind::Postgres { options, .. } = &self.0.kind {
            options.clone().connect().await?.close().await?;
        }
        Ok(())
    }

    /// A connection to migrate on. Makes the SQLite file, or the PostgreSQL schema, if it is not
    /// there.
    async fn connect_apart(&self) -> Result<Conn, DbError> {
        match &self.0.kind {
            Kind::Sqlite { file, options, .. } => {
                make_private(file).map_err(sqlx::Error::from)?;
                let conn = options.clone().create_if_missing(true).connect().await?;
                Ok(Conn { inner: ConnInner::SqliteWriter(conn), owner: None })
            }
            Kind::Postgres { options, schema, pool } => {
                // A pooled connection has the right type; a fresh one proves that connecting
                // works. So: prove first, then take from the pool.
                let mut probe = options.clone().connect().await?;
                make_schema(&mut probe, schema).await?;
                probe.close().await?;
                let mut conn = pool.acquire().await?;
                // It takes as long as it takes; whatever comes of it, nobody else has this session.
                conn.close_on_drop();
                sqlx::raw_sql(FOR_MIGRATIONS).execute(&mut *conn).await?;
                Ok(Conn { inner: ConnInner::Postgres(conn), owner: None })
            }
        }
    }
}

/// Makes the file, and the directory it lies in, so that only the owner can look into them.
fn make_private(file: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    if let Some(directory) = file.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file).map(|_| ())
}

async fn make_schema(conn: &mut sqlx::PgConnection, schema: &str) -> Result<(), DbError> {
    // `CREATE SCHEMA IF NOT EXISTS` races with itself on several nodes: the loser gets a unique
    // violation on the catalogue, and then it is there.
    let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {schema}"));
    match sqlx::raw_sql(create).execute(conn).await.map_err(DbError::from) {
        Ok(_) | Err(DbError::Unique) => Ok(()),
        Err(error) => Err(error),
    }
}

impl Conn {
    async fn close(self) {
        if let ConnInner::SqliteWriter(conn) = self.inner {
            // Closing checkpoints the log; that it failed shows at the next opening.
            drop(conn.close().await);
        }
    }
}
