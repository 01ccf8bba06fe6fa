//! What webhooks are to be told, and what came of it each time that it was sent.

use panel_kernel::data::{Composed, Conn, DbError, FromRow, Row, Tx, Value, holding, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use crate::rules::webhooks::{DeliveryState, KEEP_TRYING, MOST_MISSES};
use crate::store::webhooks::hooks::{self, Webhook};

/// Given up in one round.
const AT_ONCE: i64 = 50;
/// Of each delivery, only the latest attempts are kept.
const ATTEMPTS_KEPT: i64 = 50;

/// Something that a webhook is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) id: Id,
    pub(crate) webhook: Id,
    /// Its place among what that webhook is told.
    pub(crate) number: i64,
    pub(crate) topic: String,
    /// As it is sent.
    pub(crate) body: String,
    pub(crate) state: DeliveryState,
    pub(crate) attempts: i64,
    pub(crate) created_at: Timestamp,
    /// When it is tried next, while it is pending.
    pub(crate) next_at: Timestamp,
    pub(crate) give_up_at: Timestamp,
    pub(crate) finished_at: Option<Timestamp>,
}

impl FromRow for Delivery {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let state: String = row.get(4)?;
        Ok(Self {
            id: row.get(0)?,
            webhook: row.get(1)?,
            topic: row.get(2)?,
            body: row.get(3)?,
            // The database takes no other.
            state: DeliveryState::named(&state).unwrap_or(DeliveryState::Failed),
            attempts: row.get(5)?,
            created_at: row.get(6)?,
            next_at: row.get(7)?,
            give_up_at: row.get(8)?,
            finished_at: row.get(9)?,
            number: row.get(10)?,
        })
    }
}

/// What came of an attempt, as far as anybody knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) millis: Option<i64>,
    /// What it was answered with.
    pub(crate) status: Option<u16>,
    /// The beginning of what was said.
    pub(crate) answer: Option<String>,
    /// Why there is no answer, or why it does not count.
    pub(crate) error: Option<String>,
}

/// A time that it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) number: i64,
    pub(crate) at: Timestamp,
    pub(crate) outcome: Outcome,
}

impl FromRow for Attempt {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let status: Option<i64> = row.get(3)?;
        let outcome = Outcome {
            millis: row.get(2)?,
            status: status.and_then(|status| u16::try_from(status).ok()),
            answer: row.get(4)?,
            error: row.get(5)?,
        };
        Ok(Self { number: row.get(0)?, at: row.get(1)?, outcome })
    }
}

macro_rules! deliveries {
    ($rest:literal) => {
        concat!(
            "SELECT d.id, d.webhook_id, d.topic, d.body, d.state, d.attempts, d.created_at, \
             d.next_at, d.give_up_at, d.finished_at, d.number FROM webhook_deliveries d WHERE ",
            $rest
        )
    };
}

const ONE: &str = deliveries!("d.id = $1");

/// Which deliveries are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) webhook: Id,
    pub(crate) state: Option<DeliveryState>,
    pub(crate) before: Id,
    pub(crate) most: i64,
}

/// Those of a webhook, the newest first. As a range, and not as those that are equal, so that nobody thinks of going
/// through those of all webhooks.
pub(crate) async fn list(conn: &mut Conn, wanted: Wanted) -> Result<Vec<Delivery>, DbError> {
    let list = match wanted.state {
        None => sql(deliveries!(
            "(d.webhook_id, d.id) < ($1, $2) AND d.webhook_id >= $1 \
             ORDER BY d.webhook_id DESC, d.id DESC LIMIT $3"
        )),
        Some(_) => sql(deliveries!(
            "(d.webhook_id, d.state, d.id) < ($1, $4, $2) AND (d.webhook_id, d.state) >= ($1, $4) \
             ORDER BY d.webhook_id DESC, d.state DESC, d.id DESC LIMIT $3"
        )),
    };
    let list = list.bind(wanted.webhook).bind(wanted.before).bind(wanted.most);
    conn.all(match wanted.state {
        None => list,
        Some(state) => list.bind(state.name()),
    })
    .await
}

/// One of them.
pub(crate) async fn find(conn: &mut Conn, id: Id) -> Result<Option<Delivery>, DbError> {
    conn.optional(sql(ONE).bind(id)).await
}

/// One of them, which nobody else changes until the transaction ends.
pub(crate) async fn held(tx: &mut Tx, id: Id) -> Result<Option<Delivery>, DbError> {
    let find = holding(tx, ONE, "d").bind(id);
    tx.optional(find).await
}

/// One of them and its webhook, which nobody else changes until the transaction ends; none if either is gone.
pub(crate) async fn held_with_webhook(
    tx: &mut Tx,
    id: Id,
) -> Result<Option<(Webhook, Delivery)>, DbError> {
    let Some(found) = find(tx, id).await? else { return Ok(None) };
    let Some(webhook) = hooks::held(tx, found.webhook).await? else { return Ok(None) };
    Ok(held(tx, id).await?.map(|delivery| (webhook, delivery)))
}

/// The one of a webhook that is to be sent next, if it is time.
pub(crate) async fn due(
    conn: &mut Conn,
    webhook: Id,
    now: Timestamp,
) -> Result<Option<Delivery>, DbError> {
    let find = sql(deliveries!(
        "d.webhook_id = $1 AND d.state = 'pending' AND d.next_at <= $2 \
         ORDER BY d.next_at, d.number LIMIT 1"
    ));
    conn.optional(find.bind(webhook).bind(now)).await
}

/// Those whose time is over, of webhooks that are told nothing, or have taken nothing for long: what else is late is tried
/// once more.
pub(crate) async fn late(conn: &mut Conn, now: Timestamp) -> Result<Vec<Id>, DbError> {
    let long_ago = now.minus(KEEP_TRYING);
    let find = sql("SELECT d.id FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id \
                    WHERE d.state = 'pending' AND d.give_up_at <= $1 AND w.deleted_at IS NULL \
                    AND (w.enabled = 0 OR w.failing_since <= $3 AND w.misses >= $4) \
                    ORDER BY d.give_up_at LIMIT $2");
    let find = find.bind(now).bind(AT_ONCE).bind(long_ago).bind(MOST_MISSES);
    let found = conn.all::<(Id,)>(find).await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// Stores new ones.
pub(crate) async fn insert(tx: &mut Tx, all: &[Delivery]) -> Result<(), DbError> {
    let mut insert = Composed::from(
        "INSERT INTO webhook_deliveries (id, webhook_id, number, topic, body, state, attempts, \
         created_at, next_at, give_up_at, finished_at) VALUES ",
    );
    for (at, it) in all.iter().enumerate() {
        let values: [Value; 11] = [
            it.id.into(),
            it.webhook.into(),
            it.number.into(),
            (&it.topic).into(),
            (&it.body).into(),
            it.state.name().into(),
            it.attempts.into(),
            it.created_at.into(),
            it.next_at.into(),
            it.give_up_at.into(),
            it.finished_at.into(),
        ];
        insert.add(if at > 0 { ", (" } else { "(" });
        insert.with("$, $, $, $, $, $, $, $, $, $, $)", values);
    }
    if all.is_empty() {
        return Ok(());
    }
    tx.execute(insert.done()).await.map(drop)
}

/// Stores what has become of one that is held.
pub(crate) async fn update(tx: &mut Tx, it: &Delivery) -> Result<(), DbError> {
    let update = sql("UPDATE webhook_deliveries SET state = $2, attempts = $3, next_at = $4, \
                      give_up_at = $5, finished_at = $6 WHERE id = $1");
    let update = update.bind(it.id).bind(it.state.name()).bind(it.attempts);
    let update = update.bind(it.next_at).bind(it.give_up_at).bind(it.finished_at);
    tx.execute(update).await.map(drop)
}

/// Whatever waits to be tried again need not wait: something has changed.
pub(crate) async fn hurry(tx: &mut Tx, webhook: Id, now: Timestamp) -> Result<(), DbError> {
    let update = sql("UPDATE webhook_deliveries SET next_at = $2 \
                      WHERE webhook_id = $1 AND state = 'pending' AND next_at > $2");
    tx.execute(update.bind(webhook).bind(now)).await.map(drop)
}

/// An attempt begins.
pub(crate) async fn begin(tx: &mut Tx, it: &Delivery, at: Timestamp) -> Result<(), DbError> {
    let forget = sql("DELETE FROM webhook_attempts WHERE delivery_id = $1 AND number <= $2");
    tx.execute(forget.bind(it.id).bind(it.attempts - ATTEMPTS_KEPT)).await?;
    let insert = sql("INSERT INTO webhook_attempts (delivery_id, number, at) VALUES ($1, $2, $3)");
    tx.execute(insert.bind(it.id).bind(it.attempts).bind(at)).await.map(drop)
}

/// This is what came of it; `false` if that is known already.
pub(crate) async fn end(
    tx: &mut Tx,
    (delivery, number): (Id, i64),
    outcome: &Outcome,
) -> Result<bool, DbError> {
    let update = sql("UPDATE webhook_attempts SET millis = $3, status = $4, answer = $5, \
                      error = $6 WHERE delivery_id = $1 AND number = $2 AND millis IS NULL");
    let update = update.bind(delivery).bind(number).bind(outcome.millis);
    let update = update.bind(outcome.status.map(i64::from)).bind(outcome.answer.clone());
    tx.changed(update.bind(outcome.error.clone())).await
}

/// All attempts that are kept of one, the latest first.
pub(crate) async fn attempts(conn: &mut Conn, delivery: Id) -> Result<Vec<Attempt>, DbError> {
    let list = sql("SELECT a.number, a.at, a.millis, a.status, a.answer, a.error \
                    FROM webhook_attempts a WHERE a.delivery_id = $1 ORDER BY a.number DESC");
    conn.all(list.bind(delivery)).await
}
