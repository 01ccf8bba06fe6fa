//! The only SQL of this service.

use panel_kernel::data::{Conn, DbError, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::personal::{Column, Person, Records};
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// What a guest wrote.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Entry {
    /// Its id.
    pub(crate) id: Id,
    /// Who wrote it.
    pub(crate) author_id: Id,
    /// The name they had.
    pub(crate) author_name: String,
    /// What they wrote.
    pub(crate) text: String,
    /// When.
    pub(crate) created_at: Timestamp,
}

panel_kernel::from_row!(Entry { id, author_id, author_name, text, created_at });

/// Adds an entry.
pub(crate) async fn insert(tx: &mut Tx, entry: &Entry) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO entries (id, author_id, author_name, text, created_at) \
             VALUES ($1, $2, $3, $4, $5)")
        .bind(entry.id)
        .bind(entry.author_id)
        .bind(&entry.author_name)
        .bind(&entry.text)
        .bind(entry.created_at),
    )
    .await
    .map(|_| ())
}

/// Entries made before the one with the id `before`, newest first.
pub(crate) async fn newest(
    conn: &mut Conn,
    before: i64,
    limit: i64,
) -> Result<Vec<Entry>, DbError> {
    conn.all(
        sql("SELECT id, author_id, author_name, text, created_at FROM entries \
             WHERE id < $1 ORDER BY id DESC LIMIT $2")
        .bind(before)
        .bind(limit),
    )
    .await
}

/// What there is of somebody, for themselves.
pub(crate) const RECORDS: [Records; 1] = [Records {
    name: "entries",
    select: "SELECT id, author_name, text, created_at FROM entries \
             WHERE author_id = $1 AND id > $2 ORDER BY id LIMIT $3",
    person: Person::Id,
    columns: &[
        ("id", Column::Id),
        ("author_name", Column::Text),
        ("text", Column::Text),
        ("created_at", Column::Time),
    ],
}];
