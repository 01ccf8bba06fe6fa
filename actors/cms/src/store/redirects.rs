//! Addresses of another site, or of earlier times, and where they lead.

use panel_kernel::data::{Conn, DbError, FromRow, Row, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// An address that leads to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Redirect {
    pub(crate) id: Id,
    /// A path of this site, where nothing else is.
    pub(crate) from: String,
    /// A path on this site, or the address of another.
    pub(crate) to: String,
    pub(crate) created_at: Timestamp,
}

impl FromRow for Redirect {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let (id, from, to) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Self { id, from, to, created_at: row.get(3)? })
    }
}

/// Those before the id `before`, the newest first.
pub(crate) async fn list(
    conn: &mut Conn,
    before: i64,
    limit: i64,
) -> Result<Vec<Redirect>, DbError> {
    let list = sql("SELECT id, source, target, created_at FROM redirects \
                    WHERE id < $1 ORDER BY id DESC LIMIT $2");
    conn.all(list.bind(before).bind(limit)).await
}

/// Where an address leads.
pub(crate) async fn target(conn: &mut Conn, from: &str) -> Result<Option<String>, DbError> {
    let find = sql("SELECT target FROM redirects WHERE source = $1").bind(from);
    Ok(conn.optional::<(String,)>(find).await?.map(|(target,)| target))
}

/// How many there are, up to `most`.
pub(crate) async fn count(tx: &mut Tx, most: i64) -> Result<i64, DbError> {
    let count = sql("SELECT count(*) FROM (SELECT id FROM redirects LIMIT $1) AS r").bind(most);
    Ok(tx.optional::<(i64,)>(count).await?.map_or(0, |(count,)| count))
}

/// Stores a new one; `false` if the address leads somewhere already.
pub(crate) async fn insert(tx: &mut Tx, redirect: &Redirect) -> Result<bool, DbError> {
    let insert = sql("INSERT INTO redirects (id, source, target, created_at) \
                      VALUES ($1, $2, $3, $4) ON CONFLICT (source) DO NOTHING");
    let insert = insert.bind(redirect.id).bind(&redirect.from).bind(&redirect.to);
    tx.changed(insert.bind(redirect.created_at)).await
}

/// Removes one; what it was.
pub(crate) async fn delete(tx: &mut Tx, id: Id) -> Result<Option<Redirect>, DbError> {
    let delete = sql("DELETE FROM redirects WHERE id = $1 \
                      RETURNING id, source, target, created_at");
    tx.optional(delete.bind(id)).await
}
