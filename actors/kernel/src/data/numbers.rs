//! Generator numbers: what tells the ids of two processes on one database apart.
//!
//! A number is held under a lease. The row of a number also says up to which time its holder may
//! make ids; the next holder begins there. An id names the time it was made, so what a former
//! holder made, and what it may still make after it was frozen for longer than its lease, is
//! never made again: fencing lies in the ids themselves, and no write has to check the lease.

use std::time::Duration;

use super::lease::POSTGRES_NOW;
use super::{Database, DbError, Statement, sql};
use crate::ids::Grant;
use crate::time::Timestamp;

/// Takes, prolongs and gives back numbers, in the name of one holder.
#[derive(Clone, Debug)]
pub struct Numbers {
    db: Database,
    holder: String,
}

impl Numbers {
    /// For this holder, of which there is only one: another life of a process is another one.
    #[must_use]
    pub fn new(db: Database, holder: impl Into<String>) -> Self {
        Self { db, holder: holder.into() }
    }

    /// Takes a number for `life`: of those that nobody holds, the one that has rested longest.
    /// `None` if there is none.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn claim(&self, life: Duration) -> Result<Option<Grant>, DbError> {
        let (holder, now, life) = (self.holder.clone(), self.db.clock().now(), micros(life));
        self.db
            .transact(move |tx| {
                Box::pin(async move {
                    // Others look for one at the same moment: on PostgreSQL each takes another.
                    let (now_sql, lock) = if tx.is_postgres() {
                        (POSTGRES_NOW, "FOR UPDATE SKIP LOCKED")
                    } else {
                        ("$3", "")
                    };
                    let claim = Statement::composed(format!(
                        "UPDATE generators SET holder = $1, expires_at = {now_sql} + $2, \
                           ids_until = CASE WHEN ids_until > $3 THEN ids_until ELSE $3 END + $2 \
                         WHERE number = (SELECT number FROM generators \
                           WHERE expires_at <= {now_sql} ORDER BY ids_until, number LIMIT 1 {lock}) \
                         RETURNING number, ids_until"
                    ));
                    let row = tx.optional(claim.bind(holder).bind(life).bind(now)).await?;
                    Ok(row.map(|(number, until): (i64, Timestamp)| Grant {
                        number: u16::try_from(number).unwrap_or(0),
                        from: Timestamp::from_micros(until.as_micros() - life),
                        until,
                    }))
                })
            })
            .await
    }

    /// Prolongs a number, `life` from now: up to when ids may be made with it. `None` if it is
    /// somebody else's by now.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn prolong(&self, number: u16, life: Duration) -> Result<Option<Timestamp>, DbError> {
        let (holder, now) = (self.holder.clone(), self.db.clock().now());
        self.db
            .transact(move |tx| {
                Box::pin(async move {
                    let expires_sql = if tx.is_postgres() {
                        format!("{POSTGRES_NOW} + $4")
                    } else {
                        "$3".to_owned()
                    };
                    let mut prolong = Statement::composed(format!(
                        "UPDATE generators SET expires_at = {expires_sql}, \
                           ids_until = CASE WHEN ids_until > $3 THEN ids_until ELSE $3 END \
                         WHERE number = $1 AND holder = $2 RETURNING ids_until"
                    ))
                    .bind(i64::from(number))
                    .bind(holder)
                    .bind(now.plus(life));
                    if tx.is_postgres() {
                        prolong = prolong.bind(micros(life));
                    }
                    let row: Option<(Timestamp,)> = tx.optional(prolong).await?;
                    Ok(row.map(|(until,)| until))
                })
            })
            .await
    }

    /// Gives a number back. No id made with it names a time after `unused`.
    ///
    /// # Errors
    /// [`DbError`]. It is free anyway when its lease is over.
    pub async fn give_back(&self, number: u16, unused: Timestamp) -> Result<(), DbError> {
        let holder = self.holder.clone();
        self.db
            .transact(move |tx| {
                Box::pin(async move {
                    let release = sql("UPDATE generators SET holder = '', expires_at = 0, \
                                       ids_until = $3 WHERE number = $1 AND holder = $2");
                    let release = release.bind(i64::from(number)).bind(holder).bind(unused);
                    tx.execute(release).await.map(|_| ())
                })
            })
            .await
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
