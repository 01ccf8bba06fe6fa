//! What people have begun to write.

use panel_kernel::data::{Conn, DbError, FromRow, Row, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What a draft holds. Nothing of it has to be complete, or good for anything.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DraftContent {
    /// Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) category_id: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thread_id: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reply_to: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quote: Option<Id>,
}

/// Something begun.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Draft {
    #[serde(skip)]
    pub(crate) id: Id,
    /// Its owner's name for it.
    pub(crate) key: String,
    /// What it holds, as it was stored, perhaps by a later release.
    #[serde(flatten)]
    #[schema(value_type = DraftContent)]
    pub(crate) content: Map<String, Value>,
    pub(crate) updated_at: Timestamp,
    #[serde(skip)]
    pub(crate) version: i64,
}

impl FromRow for Draft {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let content: String = row.get(2)?;
        Ok(Self {
            id: row.get(0)?,
            key: row.get(1)?,
            content: serde_json::from_str(&content)
                .map_err(|error| DbError::Fault(sqlx::Error::Decode(Box::new(error))))?,
            updated_at: row.get(3)?,
            version: row.get(4)?,
        })
    }
}

/// The drafts of a user from `from` to before `before`, the latest begun first.
pub(crate) async fn list(
    conn: &mut Conn,
    user: Id,
    (from, before): (i64, i64),
) -> Result<Vec<Draft>, DbError> {
    let list = sql("SELECT id, key, content, updated_at, version FROM drafts \
                    WHERE user_id = $1 AND id >= $2 AND id < $3 ORDER BY id DESC");
    conn.all(list.bind(user).bind(from).bind(before)).await
}

/// The lengths of at most `fetch` of them, in bytes, in the same order.
pub(crate) async fn lengths(
    conn: &mut Conn,
    user: Id,
    before: i64,
    fetch: i64,
) -> Result<Vec<(i64, i64)>, DbError> {
    let list = sql("SELECT id, CAST(octet_length(content) AS BIGINT) FROM drafts \
                    WHERE user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
    conn.all(list.bind(user).bind(before).bind(fetch)).await
}

/// One of them.
pub(crate) async fn find(conn: &mut Conn, user: Id, key: &str) -> Result<Option<Draft>, DbError> {
    let find = sql("SELECT id, key, content, updated_at, version FROM drafts \
                    WHERE user_id = $1 AND key = $2");
    conn.optional(find.bind(user).bind(key)).await
}

/// How many there are.
pub(crate) async fn count(conn: &mut Conn, user: Id) -> Result<i64, DbError> {
    let count = sql("SELECT COUNT(*) FROM drafts WHERE user_id = $1").bind(user);
    let (count,): (i64,) = conn.one(count).await?;
    Ok(count)
}

/// Stores one, new or in place of the one that is there. `false` if that is not of the version before.
pub(crate) async fn store(tx: &mut Tx, user: Id, draft: &Draft) -> Result<bool, DbError> {
    let upsert = sql("INSERT INTO drafts (id, user_id, key, content, version, updated_at) \
                      VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_id, key) DO UPDATE \
                      SET content = excluded.content, version = excluded.version, \
                      updated_at = excluded.updated_at WHERE drafts.version = excluded.version - 1");
    let content = Value::Object(draft.content.clone()).to_string();
    let upsert = upsert.bind(draft.id).bind(user).bind(&draft.key).bind(content);
    tx.changed(upsert.bind(draft.version).bind(draft.updated_at)).await
}

/// Removes one; `false` if there is none.
pub(crate) async fn delete(tx: &mut Tx, user: Id, key: &str) -> Result<bool, DbError> {
    let delete = sql("DELETE FROM drafts WHERE user_id = $1 AND key = $2");
    tx.changed(delete.bind(user).bind(key)).await
}
