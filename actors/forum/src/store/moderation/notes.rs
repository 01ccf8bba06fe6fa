//! What moderators tell each other about something in the queue.

use panel_kernel::data::{Conn, DbError, FromRow, Row, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::authors::Author;

/// The most notes about one thing.
pub(crate) const MAX_NOTES: i64 = 100;

/// What a moderator has to say about something in the queue.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Note {
    pub(crate) id: Id,
    pub(crate) author: Author,
    pub(crate) text: String,
    pub(crate) created_at: Timestamp,
}

impl FromRow for Note {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let name: String = row.get(2)?;
        Ok(Self {
            id: row.get(0)?,
            author: Author::named(row.get(1)?, &name),
            text: row.get(3)?,
            created_at: row.get(4)?,
        })
    }
}

/// Stores a note.
pub(crate) async fn insert(tx: &mut Tx, item: Id, note: &Note) -> Result<(), DbError> {
    let insert = sql("INSERT INTO moderation_notes (id, item_id, author_id, text, created_at) \
                      VALUES ($1, $2, $3, $4, $5)");
    let insert = insert.bind(note.id).bind(item).bind(note.author.id);
    tx.execute(insert.bind(&note.text).bind(note.created_at)).await.map(|_| ())
}

/// All notes about something, the first first.
pub(crate) async fn list(conn: &mut Conn, item: Id) -> Result<Vec<Note>, DbError> {
    let list = sql("SELECT n.id, n.author_id, \
                    COALESCE((SELECT a.name FROM authors a WHERE a.id = n.author_id), ''), \
                    n.text, n.created_at FROM moderation_notes n \
                    WHERE n.item_id = $1 ORDER BY n.id LIMIT $2");
    conn.all(list.bind(item).bind(MAX_NOTES)).await
}
