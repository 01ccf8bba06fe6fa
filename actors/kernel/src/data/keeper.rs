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

use super::conn::Inner as ConnInner;
use super::database::{DatabaseHealth, Kind};
use super::sqlite_writer::SqliteWriter;
use super::{Conn, Database, DbError, Migrations, sql};

const WHEN_UP: Duration = Duration::from_secs(5);
const WHEN_DOWN: Duration = Duration::from_millis(500);
const ATTEMPT: Duration = Duration::from_secs(3);
/// Migrations may take as long as they take, but a stuck one must show in the log.
const MIGRATION: Duration = Duration::from_secs(3_600);

/// What the keeper is told.
#[derive(Debug, RactorMessage)]
pub enum KeeperMessage {
    /// Look now.
    Check,
    /// The regular look. A tick.
    Tick,
}

/// Keeps one service's database usable.
#[derive(Debug)]
pub struct Keeper {
    /// Which.
    pub db: Database,
    /// Its schema.
    pub migrations: Migrations,
}

/// Whether the schema is up to date.
#[derive(Debug, Default)]
pub struct KeeperState {
    migrated: bool,
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
        myself.send_message(KeeperMessage::Tick)?;
        Ok(KeeperState::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<KeeperMessage>,
        message: KeeperMessage,
        state: &mut KeeperState,
    ) -> Result<(), ActorProcessingErr> {
        match self.look(state).await {
            Ok(()) => self.db.set_health(DatabaseHealth::Up),
            Err(error) => self.db.set_health(DatabaseHealth::Down(error.to_string())),
        }
        if matches!(message, KeeperMessage::Tick) {
            let up = self.db.health() == DatabaseHealth::Up;
            let next = if up { WHEN_UP } else { WHEN_DOWN };
            drop(myself.send_after(next, || KeeperMessage::Tick));
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<KeeperMessage>,
        _: &mut KeeperState,
    ) -> Result<(), ActorProcessingErr> {
        match &self.db.0.kind {
            Kind::Sqlite { readers, .. } => readers.close().await,
            Kind::Postgres { pool, .. } => pool.close().await,
        }
        Ok(())
    }
}

impl Keeper {
    async fn look(&self, state: &mut KeeperState) -> Result<(), DbError> {
        if state.migrated && !self.db.is_postgres() {
            return Ok(());
        }
        let mut conn = within(ATTEMPT, self.db.connect_apart(!state.migrated)).await?;
        if state.migrated {
            within(ATTEMPT, conn.execute(sql("SELECT 1"))).await?;
        } else {
            within(MIGRATION, self.migrations.run(&mut conn)).await?;
            state.migrated = true;
        }
        conn.close().await;
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
        let mut conn = within(ATTEMPT, self.connect_apart(true)).await?;
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

    /// A connection outside the pool, which does not wait for a place in it. With `make`, the
    /// PostgreSQL schema is made if it is not there; the SQLite file always is.
    async fn connect_apart(&self, make: bool) -> Result<Conn, DbError> {
        match &self.0.kind {
            Kind::Sqlite { file, options, .. } => {
                if let Some(directory) = file.parent() {
                    std::fs::create_dir_all(directory).map_err(sqlx::Error::from)?;
                }
                let conn = options.clone().create_if_missing(true).connect().await?;
                Ok(Conn { inner: ConnInner::SqliteWriter(conn), owner: None })
            }
            Kind::Postgres { options, schema, pool } => {
                // A pooled connection has the right type; a fresh one proves that connecting
                // works. So: prove first, then take from the pool.
                let mut probe = options.clone().connect().await?;
                if make {
                    make_schema(&mut probe, schema).await?;
                }
                probe.close().await?;
                Ok(Conn { inner: ConnInner::Postgres(pool.acquire().await?), owner: None })
            }
        }
    }
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
