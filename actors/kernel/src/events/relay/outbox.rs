//! The outbox as one consumer sees it: what it has had, and what comes next.
//!
//! On SQLite there is one writer, and a row's position is the order of commits. On PostgreSQL
//! rows become visible in another order than that of their positions; there a row also has an
//! epoch, the id of the transaction that wrote it, and what a transaction still running might
//! put in front of other rows holds those back.

use serde_json::value::RawValue;

use crate::data::{Conn, Database, DbError, Lease, sql};
use crate::events::Event;
use crate::time::Timestamp;

/// The most rows of one batch.
pub(in crate::events) const BATCH_ROWS: usize = 100;

/// Epoch and position: the order in which facts are told.
pub(in crate::events) type Place = (i64, i64);

/// A fact that waits.
pub(in crate::events) struct OutboxRow {
    epoch: i64,
    pub(in crate::events) position: i64,
    pub(in crate::events) topic: String,
    pub(in crate::events) payload: String,
    pub(in crate::events) created_at: Timestamp,
}

crate::from_row!(OutboxRow { epoch, position, topic, payload, created_at });

impl OutboxRow {
    pub(in crate::events) const fn place(&self) -> Place {
        (self.epoch, self.position)
    }
}

impl TryFrom<OutboxRow> for Event {
    type Error = serde_json::Error;

    fn try_from(row: OutboxRow) -> Result<Self, serde_json::Error> {
        let payload = RawValue::from_string(row.payload)?;
        Ok(Self { position: row.position, topic: row.topic, at: row.created_at, payload })
    }
}

/// One consumer's view of a service's outbox.
pub(in crate::events) struct Outbox<'a> {
    pub(in crate::events) db: &'a Database,
    pub(in crate::events) consumer: &'static str,
}

impl Outbox<'_> {
    /// The rows after what the consumer has had, oldest first, never past a row that a
    /// transaction still running might put in front of them.
    pub(in crate::events) async fn pending(&self) -> Result<(Place, Vec<OutboxRow>), DbError> {
        let mut conn = self.db.reader().await?;
        let after = match self.progress(&mut conn).await? {
            Some(after) => after,
            None => {
                self.enlist().await?;
                (0, 0)
            }
        };
        let rows = Self::after(&mut conn, after, BATCH_ROWS).await?;
        Ok((after, rows))
    }

    /// The rows after a place, at most so many.
    pub(in crate::events) async fn after(
        conn: &mut Conn,
        after: Place,
        most: usize,
    ) -> Result<Vec<OutboxRow>, DbError> {
        let rows = if conn.is_postgres() {
            sql("SELECT epoch, position, topic, payload, created_at FROM outbox \
                 WHERE (epoch, position) > ($1, $2) \
                   AND epoch < (pg_snapshot_xmin(pg_current_snapshot())::text::bigint) \
                 ORDER BY epoch, position LIMIT $3")
            .bind(after.0)
            .bind(after.1)
        } else {
            sql("SELECT epoch, position, topic, payload, created_at FROM outbox \
                 WHERE position > $1 ORDER BY position LIMIT $2")
            .bind(after.1)
        };
        conn.all(rows.bind(i64::try_from(most.min(BATCH_ROWS)).unwrap_or(1))).await
    }

    /// How many rows wait, and since when the oldest does. By their positions, of which work that
    /// was rolled back leaves some out: to look at each would cost most when most are waiting.
    pub(in crate::events) async fn lag(&self) -> Result<(i64, Option<Timestamp>), DbError> {
        let mut conn = self.db.reader().await?;
        let after = self.progress(&mut conn).await?.unwrap_or_default();
        let lag = if self.db.is_postgres() {
            sql("SELECT (SELECT created_at FROM outbox WHERE (epoch, position) > ($1, $2) \
                         ORDER BY epoch, position LIMIT 1), \
                        COALESCE((SELECT MAX(position) FROM outbox), 0)")
            .bind(after.0)
            .bind(after.1)
        } else {
            sql("SELECT (SELECT created_at FROM outbox WHERE position > $1 \
                         ORDER BY position LIMIT 1), \
                        COALESCE((SELECT MAX(position) FROM outbox), 0)")
            .bind(after.1)
        };
        let (oldest, last): (Option<Timestamp>, i64) = conn.one(lag).await?;
        Ok((oldest.map_or(0, |_| (last - after.1).max(1)), oldest))
    }

    async fn progress(&self, conn: &mut Conn) -> Result<Option<Place>, DbError> {
        let progress = sql("SELECT epoch, position FROM outbox_progress WHERE consumer = $1");
        conn.optional(progress.bind(self.consumer)).await
    }

    /// Gives a consumer that was never served a place at the beginning. The row holds back what
    /// would otherwise be forgotten after a while.
    async fn enlist(&self) -> Result<(), DbError> {
        let consumer = self.consumer;
        self.db
            .transact(move |tx| {
                Box::pin(async move {
                    let row = "INSERT INTO outbox_progress (consumer, epoch, position) \
                               VALUES ($1, 0, 0) ON CONFLICT (consumer) DO NOTHING";
                    tx.execute(sql(row).bind(consumer)).await.map(|_| ())
                })
            })
            .await
    }

    /// The consumer has had everything up to here.
    pub(in crate::events) async fn advance(
        &self,
        lease: Lease,
        (epoch, position): Place,
    ) -> Result<(), DbError> {
        let consumer = self.consumer;
        self.db
            .transact(move |tx| {
                Box::pin(async move {
                    lease.fence(tx).await?;
                    tx.execute(
                        sql("INSERT INTO outbox_progress (consumer, epoch, position) \
                             VALUES ($1, $2, $3) ON CONFLICT (consumer) DO UPDATE \
                             SET epoch = excluded.epoch, position = excluded.position")
                        .bind(consumer)
                        .bind(epoch)
                        .bind(position),
                    )
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    /// Epochs are transaction ids of one PostgreSQL cluster. After a restore into another, whose
    /// ids are smaller, old rows would seem to be still to come and new ones long told. Then
    /// the old epochs are taken away, and each consumer goes back to the first row that it may
    /// not have had; what it has had it recognises.
    pub(in crate::events) async fn make_at_home(&self) -> Result<(), DbError> {
        const FROM_ELSEWHERE: &str = "SELECT COUNT(*) FROM \
            (SELECT epoch FROM outbox UNION ALL SELECT epoch FROM outbox_progress) AS known \
            WHERE epoch >= (pg_snapshot_xmax(pg_current_snapshot())::text::bigint)";
        if !self.db.is_postgres() {
            return Ok(());
        }
        let (strange,): (i64,) = self.db.reader().await?.one(sql(FROM_ELSEWHERE)).await?;
        if strange == 0 {
            return Ok(());
        }
        tracing::warn!(
            service = self.db.service(),
            "the database was restored into another PostgreSQL cluster; \
             facts that may not have been told are told again"
        );
        self.db
            .transact(|tx| {
                Box::pin(async move {
                    tx.execute(sql("LOCK TABLE outbox, outbox_progress IN EXCLUSIVE MODE")).await?;
                    // Another relay may have been here first.
                    let (strange,): (i64,) = tx.one(sql(FROM_ELSEWHERE)).await?;
                    if strange == 0 {
                        return Ok(());
                    }
                    tx.execute(sql(
                        "UPDATE outbox_progress AS p SET epoch = 0, position = COALESCE( \
                           (SELECT MIN(o.position) - 1 FROM outbox AS o \
                            WHERE (o.epoch, o.position) > (p.epoch, p.position) \
                               OR o.position > p.position), \
                           GREATEST(p.position, (SELECT MAX(position) FROM outbox)))",
                    ))
                    .await?;
                    tx.execute(sql("UPDATE outbox SET epoch = 0")).await.map(|_| ())
                })
            })
            .await
    }
}
