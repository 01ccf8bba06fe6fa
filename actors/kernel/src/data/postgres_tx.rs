//! A transaction on PostgreSQL.
//!
//! Failure: work that is cancelled (its deadline passed) or panics leaves a session whose state
//! nobody knows; its connection is closed, which rolls back, and never goes back to the pool.

use std::ops::{Deref, DerefMut};

use futures::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPool;
use sqlx::{Executor as _, PgConnection, Postgres};

use super::conn::Inner as ConnInner;
use super::sqlite_writer::Done;
use super::tx::Published;
use super::{Conn, DbError, Tx};
use crate::time::Clock;

/// A connection with a transaction open on it.
pub(super) struct Session {
    conn: PoolConnection<Postgres>,
    /// A statement failed, and with it the transaction, whatever is sent after it.
    failed: bool,
    /// Committed or rolled back: the connection may be used again.
    settled: bool,
}

impl Session {
    async fn begin(pool: &PgPool) -> Result<Self, DbError> {
        let mut session = Self { conn: pool.acquire().await?, failed: false, settled: false };
        session.conn.execute("BEGIN").await?;
        Ok(session)
    }

    async fn commit(mut self) -> Result<(), DbError> {
        if self.failed {
            // PostgreSQL would answer COMMIT with a rollback that looks like success.
            drop(self.rollback().await);
            let why = "a statement failed and the work went on".to_owned();
            return Err(DbError::Fault(sqlx::Error::Protocol(why)));
        }
        match self.conn.execute("COMMIT").await.map_err(DbError::from) {
            Ok(_) => {
                self.settled = true;
                Ok(())
            }
            Err(DbError::Unavailable(why) | DbError::Ended(why)) => {
                Err(DbError::OutcomeUnknown(why))
            }
            Err(error) => Err(error),
        }
    }

    async fn rollback(mut self) -> Result<(), DbError> {
        self.conn.execute("ROLLBACK").await?;
        self.settled = true;
        Ok(())
    }

    /// Takes note of a failed statement.
    pub(super) const fn has_failed(&mut self) {
        self.failed = true;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.settled {
            self.conn.close_on_drop();
        }
    }
}

impl Deref for Session {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.conn
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.conn
    }
}

/// Does the work in a transaction of its own.
pub(super) async fn run<T, E, F>(pool: &PgPool, clock: &Clock, work: F) -> Done<T, E>
where
    E: From<DbError>,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
{
    let session = Session::begin(pool).await?;
    let mut tx = Tx::new(Conn { inner: ConnInner::PostgresTx(session), owner: None });
    let mut result = work(&mut tx).await;
    if result.is_ok()
        && let Err(error) = tx.flush_facts(clock.now()).await
    {
        result = Err(error.into());
    }
    let published = tx.take_published();
    let ConnInner::PostgresTx(session) = tx.into_conn().inner else {
        return Err(DbError::Unavailable("the transaction changed hands".into()));
    };
    match result {
        Ok(value) => session.commit().await.map(|()| (Ok(value), published)),
        Err(error) => {
            // A failed rollback is a lost connection, and that rolls back as well.
            drop(session.rollback().await);
            Ok((Err(error), Published::default()))
        }
    }
}
