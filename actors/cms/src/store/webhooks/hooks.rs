//! Webhooks: where they are, what they are told, and how they do.

use panel_kernel::data::{
    Composed, Conn, DbError, FromRow, Row, Statement, Tx, Value, holding, sql,
};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use crate::rules::webhooks::{DisabledBecause, MOST};

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Webhook {
    pub(crate) id: Id,
    pub(crate) url: String,
    pub(crate) description: String,
    pub(crate) topics: Vec<String>,
    pub(crate) enabled: bool,
    /// What happened before is not told.
    pub(crate) since: Timestamp,
    /// What deliveries are signed with, sealed.
    pub(crate) secret: Vec<u8>,
    /// What they are signed with as well, until then.
    pub(crate) earlier_secret: Option<Vec<u8>>,
    pub(crate) earlier_until: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) version: i64,
    /// How much of what it is to be told waits.
    pub(crate) pending: i64,
    /// How much it was told so far.
    pub(crate) numbered: i64,
    /// How often in a row it could not be reached.
    pub(crate) failures: i64,
    /// Nothing is sent before.
    pub(crate) resumes_at: Timestamp,
    /// How often in a row it did not take anything, and since when.
    pub(crate) misses: i64,
    pub(crate) failing_since: Option<Timestamp>,
    /// When it took something last.
    pub(crate) delivered_at: Option<Timestamp>,
    pub(crate) disabled_because: Option<DisabledBecause>,
}

impl FromRow for Webhook {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let (topics, because): (String, Option<String>) = (row.get(3)?, row.get(14)?);
        Ok(Self {
            id: row.get(0)?,
            url: row.get(1)?,
            description: row.get(2)?,
            topics: topics.split(' ').map(str::to_owned).collect(),
            enabled: row.get(4)?,
            secret: row.get(5)?,
            earlier_secret: row.get(6)?,
            earlier_until: row.get(7)?,
            created_at: row.get(8)?,
            updated_at: row.get(9)?,
            version: row.get(10)?,
            failures: row.get(11)?,
            resumes_at: row.get(12)?,
            delivered_at: row.get(13)?,
            since: row.get(15)?,
            pending: row.get(16)?,
            numbered: row.get(17)?,
            failing_since: row.get(18)?,
            misses: row.get(19)?,
            disabled_because: because.as_deref().and_then(DisabledBecause::named),
        })
    }
}

macro_rules! webhooks {
    ($rest:literal) => {
        concat!(
            "SELECT w.id, w.url, w.description, w.topics, w.enabled, w.secret, w.earlier_secret, \
             w.earlier_until, w.created_at, w.updated_at, w.version, w.failures, w.resumes_at, \
             w.delivered_at, w.disabled_because, w.since, w.pending, \
             w.numbered, w.failing_since, w.misses FROM webhooks w WHERE w.deleted_at IS NULL AND ",
            $rest
        )
    };
}

const ONE: &str = webhooks!("w.id = $1");

/// Those before the id `before`, the newest first.
pub(crate) async fn list(
    conn: &mut Conn,
    before: i64,
    limit: i64,
) -> Result<Vec<Webhook>, DbError> {
    let list = sql(webhooks!("w.id < $1 ORDER BY w.id DESC LIMIT $2"));
    conn.all(list.bind(before).bind(limit)).await
}

/// Those to which something is sent at all, which nobody else changes until the transaction ends. There are never many.
pub(crate) async fn held_enabled(tx: &mut Tx) -> Result<Vec<Webhook>, DbError> {
    let list = holding(tx, webhooks!("w.enabled = 1 ORDER BY w.id"), "w");
    tx.all(list).await
}

/// Those to which something is to be sent now. Of each, the first is looked at alone.
pub(crate) async fn due(conn: &mut Conn, now: Timestamp) -> Result<Vec<Id>, DbError> {
    let find = sql("SELECT w.id FROM webhooks w WHERE w.deleted_at IS NULL AND w.enabled = 1 \
                    AND w.resumes_at <= $1 AND (SELECT d.next_at FROM webhook_deliveries d \
                    WHERE d.webhook_id = w.id AND d.state = 'pending' \
                    ORDER BY d.next_at LIMIT 1) <= $1 ORDER BY w.id LIMIT $2");
    Ok(conn
        .all::<(Id,)>(find.bind(now).bind(2 * MOST))
        .await?
        .into_iter()
        .map(|(id,)| id)
        .collect())
}

/// One of them.
pub(crate) async fn find(conn: &mut Conn, id: Id) -> Result<Option<Webhook>, DbError> {
    conn.optional(sql(ONE).bind(id)).await
}

/// One of them, which nobody else changes until the transaction ends.
pub(crate) async fn held(tx: &mut Tx, id: Id) -> Result<Option<Webhook>, DbError> {
    let find = holding(tx, ONE, "w").bind(id);
    tx.optional(find).await
}

/// How many there are.
pub(crate) async fn count(tx: &mut Tx) -> Result<i64, DbError> {
    let count = sql("SELECT count(*) FROM webhooks w WHERE w.deleted_at IS NULL");
    Ok(tx.one::<(i64,)>(count).await?.0)
}

fn bound(statement: Statement, it: &Webhook) -> Statement {
    statement
        .bind(it.id)
        .bind(&it.url)
        .bind(&it.description)
        .bind(it.topics.join(" "))
        .bind(it.enabled)
        .bind(it.secret.clone())
        .bind(it.earlier_secret.clone())
        .bind(it.earlier_until)
        .bind(it.updated_at)
        .bind(it.version)
        .bind(it.failures)
        .bind(it.resumes_at)
        .bind(it.delivered_at)
        .bind(it.disabled_because.map(DisabledBecause::name))
        .bind(it.since)
        .bind(it.pending)
        .bind(it.numbered)
        .bind(it.failing_since)
        .bind(it.misses)
}

/// Stores a new one.
pub(crate) async fn insert(tx: &mut Tx, it: &Webhook) -> Result<(), DbError> {
    let insert = sql("INSERT INTO webhooks (id, url, description, topics, enabled, secret, \
                      earlier_secret, earlier_until, updated_at, version, failures, resumes_at, \
                      delivered_at, disabled_because, since, pending, numbered, \
                      failing_since, misses, created_at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
                      $18, $19, $20)");
    tx.execute(bound(insert, it).bind(it.created_at)).await.map(drop)
}

/// Stores what has become of one that is held.
pub(crate) async fn update(tx: &mut Tx, it: &Webhook) -> Result<(), DbError> {
    let update = sql("UPDATE webhooks SET url = $2, description = $3, topics = $4, enabled = $5, \
                      secret = $6, earlier_secret = $7, earlier_until = $8, updated_at = $9, \
                      version = $10, failures = $11, resumes_at = $12, delivered_at = $13, \
                      disabled_because = $14, since = $15, pending = $16, numbered = $17, \
                      failing_since = $18, misses = $19 WHERE id = $1");
    tx.execute(bound(update, it)).await.map(drop)
}

/// One more is to be told each of these, which are held; so many of them wait.
pub(crate) async fn count_on(tx: &mut Tx, told: &[(Id, bool)]) -> Result<(), DbError> {
    for waits in [true, false] {
        let ids: Vec<Value> =
            told.iter().filter(|it| it.1 == waits).map(|it| it.0.into()).collect();
        if ids.is_empty() {
            continue;
        }
        let mut update = Composed::from("UPDATE webhooks SET numbered = numbered + 1");
        if waits {
            update.add(", pending = pending + 1");
        }
        let places = vec!["$"; ids.len()].join(", ");
        update.with(&format!(" WHERE id IN ({places})"), ids);
        tx.execute(update.done()).await?;
    }
    Ok(())
}

/// Removes one: nobody finds it any more, and its secrets are gone.
pub(crate) async fn delete(tx: &mut Tx, it: &Webhook, now: Timestamp) -> Result<(), DbError> {
    let nothing: Vec<u8> = Vec::new();
    let delete = sql("UPDATE webhooks SET deleted_at = $2, enabled = 0, url = '', secret = $3, \
                      earlier_secret = NULL WHERE id = $1");
    tx.execute(delete.bind(it.id).bind(now).bind(nothing)).await.map(drop)
}
