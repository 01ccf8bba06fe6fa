//! Leases: what only one node may do at a time, and the fencing token that keeps a node that
//! was frozen while holding one from doing harm when it wakes up.
//!
//! The token grows at every change of hands. Work done under a lease checks it in the same
//! transaction ([`Lease::fence`]); a former holder's work is rolled back there. See Kleppmann,
//! "How to do distributed locking" (2016).

use std::time::Duration;

use super::{Database, DbError, Tx, sql};

/// Who takes leases: this node, in this life.
#[derive(Clone, Debug)]
pub struct Leases {
    db: Database,
    node: String,
    boot: String,
}

/// A lease this node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    name: String,
    node: String,
    boot: String,
    /// Greater than any earlier holder's.
    pub token: i64,
}

/// Microseconds since the epoch by the database's own clock, where it has one: nodes may
/// disagree about the time.
pub(super) const POSTGRES_NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

impl Leases {
    /// For `node` in the life `boot`. A node that comes back takes over what its earlier life
    /// held, at once: two lives of one node name are kept apart elsewhere.
    #[must_use]
    pub fn new(db: Database, node: &str, boot: &str) -> Self {
        Self { db, node: node.to_owned(), boot: boot.to_owned() }
    }

    /// Takes the lease, or prolongs it, until `ttl` from now. `None` while another node has it.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn acquire(
        &self,
        name: impl Into<String>,
        ttl: Duration,
    ) -> Result<Option<Lease>, DbError> {
        let name = name.into();
        let (node, boot) = (self.node.clone(), self.boot.clone());
        let now = self.db.clock().now();
        self.db
            .transact(move |tx| {
                Box::pin(async move {
                    let now_sql = if tx.is_postgres() { POSTGRES_NOW } else { "$5" };
                    let statement = super::Statement::composed(format!(
                        "INSERT INTO leases (name, node, boot, token, expires_at) \
                         VALUES ($1, $2, $3, 1, {now_sql} + $4) \
                         ON CONFLICT (name) DO UPDATE SET \
                           node = excluded.node, boot = excluded.boot, \
                           expires_at = excluded.expires_at, \
                           token = leases.token + CASE WHEN leases.node = excluded.node \
                             AND leases.boot = excluded.boot THEN 0 ELSE 1 END \
                         WHERE leases.node = excluded.node OR leases.expires_at <= {now_sql} \
                         RETURNING token"
                    ));
                    let mut statement = statement
                        .bind(&name)
                        .bind(&node)
                        .bind(&boot)
                        .bind(i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX));
                    if !tx.is_postgres() {
                        statement = statement.bind(now);
                    }
                    let row: Option<(i64,)> = tx.optional(statement).await?;
                    Ok(row.map(|(token,)| Lease { name, node, boot, token }))
                })
            })
            .await
    }
}

impl Lease {
    /// Fails the transaction unless the lease is still this one. Locks the row until the
    /// transaction ends, so that the lease can't change hands in between.
    ///
    /// # Errors
    /// [`DbError::LeaseLost`], after which nothing of the transaction remains.
    pub async fn fence(&self, tx: &mut Tx) -> Result<(), DbError> {
        let text = if tx.is_postgres() {
            "SELECT token FROM leases WHERE name = $1 AND token = $2 AND boot = $3 FOR SHARE"
        } else {
            "SELECT token FROM leases WHERE name = $1 AND token = $2 AND boot = $3"
        };
        let held: Option<(i64,)> =
            tx.optional(sql(text).bind(&self.name).bind(self.token).bind(&self.boot)).await?;
        held.map(|_| ()).ok_or(DbError::LeaseLost)
    }

    /// Forgets one of what is gone. Whoever holds it has lost it.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn forget(tx: &mut Tx, name: &str) -> Result<(), DbError> {
        tx.execute(sql("DELETE FROM leases WHERE name = $1").bind(name)).await.map(drop)
    }

    /// Gives the lease up, so that another node need not wait for it to expire.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn release(self, db: &Database) -> Result<(), DbError> {
        db.transact(move |tx| {
            Box::pin(async move {
                tx.execute(
                    sql("UPDATE leases SET expires_at = 0 \
                         WHERE name = $1 AND token = $2 AND boot = $3")
                    .bind(&self.name)
                    .bind(self.token)
                    .bind(&self.boot),
                )
                .await?;
                Ok(())
            })
        })
        .await
    }
}
