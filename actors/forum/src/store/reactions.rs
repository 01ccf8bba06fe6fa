//! Who reacted how.

use panel_kernel::data::{Conn, DbError, FromRow, Row, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::authors::Author;

/// A reaction to a post.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Reaction {
    #[serde(skip)]
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) user: Author,
    pub(crate) created_at: Timestamp,
}

impl FromRow for Reaction {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let name: String = row.get(3)?;
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            user: Author::named(row.get(2)?, &name),
            created_at: row.get(4)?,
        })
    }
}

macro_rules! list {
    ($also:expr) => {
        concat!(
            "SELECT e.id, e.name, e.user_id, COALESCE(a.name, ''), e.created_at \
             FROM post_reactions e LEFT JOIN authors a ON a.id = e.user_id \
             WHERE e.post_id = $1",
            $also
        )
    };
}

/// Reactions to a post before `before`, the latest first; those of one name, if one is given.
pub(crate) async fn list(
    conn: &mut Conn,
    post: Id,
    name: Option<&str>,
    before: i64,
    fetch: i64,
) -> Result<Vec<Reaction>, DbError> {
    let list = match name {
        Some(name) => sql(list!(" AND e.name = $2 AND e.id < $3 ORDER BY e.id DESC LIMIT $4"))
            .bind(post)
            .bind(name),
        None => sql(list!(" AND e.id < $2 ORDER BY e.id DESC LIMIT $3")).bind(post),
    };
    conn.all(list.bind(before).bind(fetch)).await
}

/// The names under which somebody reacted to the posts of a thread from number `from` to `to`.
pub(crate) async fn of_reader(
    conn: &mut Conn,
    user: Id,
    thread: Id,
    (from, to): (i64, i64),
) -> Result<Vec<(Id, String)>, DbError> {
    let find = sql("SELECT e.post_id, e.name FROM posts p CROSS JOIN post_reactions e \
                    WHERE p.thread_id = $1 AND p.number >= $2 AND p.number <= $3 \
                    AND e.post_id = p.id AND e.user_id = $4 ORDER BY p.number, e.id");
    conn.all(find.bind(thread).bind(from).bind(to).bind(user)).await
}

/// The same for one post.
pub(crate) async fn of_reader_to(
    conn: &mut Conn,
    user: Id,
    post: Id,
) -> Result<Vec<String>, DbError> {
    let find =
        sql("SELECT name FROM post_reactions WHERE post_id = $1 AND user_id = $2 ORDER BY id");
    let found: Vec<(String,)> = conn.all(find.bind(post).bind(user)).await?;
    Ok(found.into_iter().map(|(name,)| name).collect())
}

/// Stores a reaction; `false` if it is there.
pub(crate) async fn insert(
    tx: &mut Tx,
    id: Id,
    (post, user, name): (Id, Id, &str),
    at: Timestamp,
) -> Result<bool, DbError> {
    let insert = sql("INSERT INTO post_reactions (id, post_id, user_id, name, created_at) \
                      VALUES ($1, $2, $3, $4, $5) ON CONFLICT (post_id, user_id, name) DO NOTHING");
    tx.changed(insert.bind(id).bind(post).bind(user).bind(name).bind(at)).await
}

/// Removes a reaction; `false` if there is none.
pub(crate) async fn delete(tx: &mut Tx, post: Id, user: Id, name: &str) -> Result<bool, DbError> {
    let delete =
        sql("DELETE FROM post_reactions WHERE post_id = $1 AND user_id = $2 AND name = $3");
    tx.changed(delete.bind(post).bind(user).bind(name)).await
}

/// Stores how many reacted how, as a JSON object. The post must be held.
pub(crate) async fn count(tx: &mut Tx, post: Id, reactions: &str) -> Result<(), DbError> {
    let update = sql("UPDATE posts SET reactions = $2 WHERE id = $1");
    tx.execute(update.bind(post).bind(reactions)).await.map(|_| ())
}
