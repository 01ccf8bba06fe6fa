//! How far somebody has read, and what they watch.

use panel_kernel::data::{Conn, DbError, Tx, sql};
use panel_kernel::ids::Id;

/// A reader's place in a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The number of the post up to which they have read it; 0 before the first.
    pub(crate) last_read: i64,
    /// Whether they want to hear of what is new in it.
    pub(crate) watching: bool,
}

/// The reader's place; nothing if they have never been there.
pub(crate) async fn find(
    conn: &mut Conn,
    user: Id,
    thread: Id,
) -> Result<Option<Progress>, DbError> {
    let find =
        sql("SELECT last_read, watching FROM thread_readers WHERE user_id = $1 AND thread_id = $2");
    let found: Option<(i64, bool)> = conn.optional(find.bind(user).bind(thread)).await?;
    Ok(found.map(|(last_read, watching)| Progress { last_read, watching }))
}

/// The first post after number `after` that was written after what they have dismissed.
pub(crate) async fn first_unread(
    conn: &mut Conn,
    user: Id,
    thread: Id,
    after: i64,
) -> Result<Option<i64>, DbError> {
    let find = sql("SELECT p.number FROM posts p WHERE p.thread_id = $1 AND p.number > $2 \
                    AND p.created_at > \
                    COALESCE((SELECT a.read_before FROM authors a WHERE a.id = $3), 0) \
                    ORDER BY p.number LIMIT 1");
    let found = conn.optional(find.bind(thread).bind(after).bind(user)).await?;
    Ok(found.map(|(number,): (i64,)| number))
}

/// They have read it up to this number, if not further.
pub(crate) async fn has_read(
    tx: &mut Tx,
    user: Id,
    thread: Id,
    number: i64,
) -> Result<Progress, DbError> {
    let upsert = sql("INSERT INTO thread_readers (user_id, thread_id, last_read) \
                      VALUES ($1, $2, $3) ON CONFLICT (user_id, thread_id) DO UPDATE \
                      SET last_read = CASE WHEN thread_readers.last_read < excluded.last_read \
                      THEN excluded.last_read ELSE thread_readers.last_read END \
                      RETURNING last_read, watching");
    let (last_read, watching) = tx.one(upsert.bind(user).bind(thread).bind(number)).await?;
    Ok(Progress { last_read, watching })
}

/// They watch it from now on, or don't any more.
pub(crate) async fn watch(
    tx: &mut Tx,
    user: Id,
    thread: Id,
    watching: bool,
) -> Result<Progress, DbError> {
    let upsert = sql("INSERT INTO thread_readers (user_id, thread_id, last_read, watching) \
                      VALUES ($1, $2, 0, $3) ON CONFLICT (user_id, thread_id) DO UPDATE \
                      SET watching = excluded.watching RETURNING last_read, watching");
    let (last_read, watching) = tx.one(upsert.bind(user).bind(thread).bind(watching)).await?;
    Ok(Progress { last_read, watching })
}

/// They have written this post, and so read all before it; who opens a thread watches it.
pub(crate) async fn has_written(
    tx: &mut Tx,
    user: Id,
    thread: Id,
    number: i64,
) -> Result<(), DbError> {
    let upsert = sql("INSERT INTO thread_readers (user_id, thread_id, last_read, watching) \
                      VALUES ($1, $2, $3, $4) ON CONFLICT (user_id, thread_id) DO UPDATE \
                      SET last_read = excluded.last_read \
                      WHERE thread_readers.last_read < excluded.last_read");
    tx.execute(upsert.bind(user).bind(thread).bind(number).bind(number == 1)).await.map(|_| ())
}
