//! Posts that change threads.

use panel_kernel::data::{DbError, FromRow, Row, Statement, Tx, Value, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use super::authors::Author;
use super::threads::{self, Thread};
use super::{discussions, places, posts, rows};

/// Rows in one statement.
const ROWS: usize = 100;

/// Puts all posts of `from` behind those of `into`, whoever watches it among those who watch that one,
/// and leaves nothing of it but where they went. Both must be held.
pub(crate) async fn merge(
    tx: &mut Tx,
    from: &Thread,
    into: &Thread,
    (by, at): (Id, Timestamp),
) -> Result<(), DbError> {
    let posts = sql("UPDATE posts SET thread_id = $2, number = number + $3 WHERE thread_id = $1");
    tx.execute(posts.bind(from.id).bind(into.id).bind(into.last_number)).await?;
    let grown =
        sql("UPDATE threads SET last_number = last_number + $2, view_count = view_count + $3, \
                     last_post_at = CASE WHEN last_post_at < $4 THEN $4 ELSE last_post_at END, \
                     version = version + 1 WHERE id = $1 RETURNING last_post_at");
    let grown = grown.bind(into.id).bind(from.last_number).bind(from.view_count);
    let (last_post_at,): (Timestamp,) = tx.one(grown.bind(from.last_post_at)).await?;
    let tags = sql("UPDATE thread_tags SET last_post_at = $2 WHERE thread_id = $1");
    tx.execute(tags.bind(into.id).bind(last_post_at)).await?;
    // Its opening post is a reply there.
    posts::count(tx, into.id, from.reply_count + 1).await?;

    let gone = sql("UPDATE threads SET merged_into = $2, deleted_at = $3, deleted_by = $4, \
                    last_number = 0, reply_count = 0, version = version + 1 WHERE id = $1");
    tx.execute(gone.bind(from.id).bind(into.id).bind(at).bind(by)).await?;
    let earlier = sql("UPDATE threads SET merged_into = $2 WHERE merged_into = $1");
    tx.execute(earlier.bind(from.id).bind(into.id)).await?;
    threads::remove_tags(tx, from.id).await?;

    discussions::merge(tx, from.id, into.id, into.last_number).await?;

    let watchers = sql("INSERT INTO thread_readers (user_id, thread_id, last_read, watching) \
                        SELECT user_id, $2, 0, 1 FROM thread_readers \
                        WHERE thread_id = $1 AND watching = 1 \
                        ON CONFLICT (user_id, thread_id) DO UPDATE SET watching = 1");
    tx.execute(watchers.bind(from.id).bind(into.id)).await?;
    let readers = sql("DELETE FROM thread_readers WHERE thread_id = $1");
    tx.execute(readers.bind(from.id)).await.map(|_| ())
}

/// A post that is to be moved.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) id: Id,
    pub(crate) number: i64,
    pub(crate) author: Author,
    pub(crate) created_at: Timestamp,
}

impl FromRow for Chosen {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let name: String = row.get(3)?;
        Ok(Self {
            id: row.get(0)?,
            number: row.get(1)?,
            author: Author::named(row.get(2)?, &name),
            created_at: row.get(4)?,
        })
    }
}

/// Those of the posts that are replies in this thread, and not deleted, in order.
pub(crate) async fn chosen(tx: &mut Tx, thread: Id, ids: &[Id]) -> Result<Vec<Chosen>, DbError> {
    let text = format!(
        "SELECT p.id, p.number, p.author_id, \
         COALESCE((SELECT a.name FROM authors a WHERE a.id = p.author_id), ''), p.created_at \
         FROM posts p WHERE p.thread_id = $1 AND p.id IN ({}) AND p.number > 1 \
         AND p.deleted_at IS NULL ORDER BY p.number",
        places(2, ids.len())
    );
    let find = Statement::composed(text).bind(thread);
    tx.all(ids.iter().fold(find, |find, id| find.bind(*id))).await
}

/// Moves posts to a thread that has none, in order, and leaves a tombstone with one of the given ids in
/// each one's place. The thread they come from must be held.
pub(crate) async fn split(
    tx: &mut Tx,
    (from, to): (Id, Id),
    moved: &[Chosen],
    tombstones: &[Id],
    (by, at): (Id, Timestamp),
) -> Result<(), DbError> {
    let numbered: Vec<(&Chosen, i64)> = moved.iter().zip(1..).collect();
    for piece in numbered.chunks(ROWS) {
        let text = format!(
            "UPDATE posts SET thread_id = $1, number = v.column2 FROM (VALUES {}) AS v \
             WHERE posts.id = v.column1",
            rows(2, 2, piece.len())
        );
        let update =
            piece.iter().fold(Statement::composed(text).bind(to), |update, (post, number)| {
                update.bind(post.id).bind(*number)
            });
        tx.execute(update).await?;
    }
    let placed: Vec<(&Chosen, &Id)> = moved.iter().zip(tombstones).collect();
    for piece in placed.chunks(ROWS) {
        let text = format!(
            "INSERT INTO posts (id, thread_id, number, author_id, body, body_html, created_at, \
             deleted_at, deleted_by, moved_to) VALUES {}",
            rows(1, 10, piece.len())
        );
        let insert = piece.iter().fold(Statement::composed(text), |insert, (post, id)| {
            let row: [Value; 10] = [
                (**id).into(),
                from.into(),
                post.number.into(),
                post.author.id.into(),
                "".into(),
                "".into(),
                post.created_at.into(),
                at.into(),
                by.into(),
                post.id.into(),
            ];
            row.into_iter().fold(insert, Statement::bind)
        });
        tx.execute(insert).await?;
    }
    let less = i64::try_from(moved.len()).unwrap_or(i64::MAX);
    posts::count(tx, from, -less).await
}
