//! Storing what comes from elsewhere, as it was there.

use panel_kernel::data::{Conn, DbError, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

/// What there is of it in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Author,
    Category,
    Thread,
    Post,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Category => "category",
            Self::Thread => "thread",
            Self::Post => "post",
        }
    }
}

/// What something from elsewhere is called here, if it was taken over.
pub(crate) async fn find(
    conn: &mut Conn,
    source: &str,
    kind: Kind,
    key: &str,
) -> Result<Option<Id>, DbError> {
    let find = sql("SELECT id FROM imported WHERE source = $1 AND kind = $2 AND key = $3");
    let found = conn.optional(find.bind(source).bind(kind.name()).bind(key)).await?;
    Ok(found.map(|(id,): (Id,)| id))
}

/// Remembers what it is called here.
pub(crate) async fn note(
    tx: &mut Tx,
    source: &str,
    (kind, key): (Kind, &str),
    id: Id,
) -> Result<(), DbError> {
    let insert = sql("INSERT INTO imported (source, kind, key, id) VALUES ($1, $2, $3, $4)");
    tx.execute(insert.bind(source).bind(kind.name()).bind(key).bind(id)).await.map(|_| ())
}

/// Whether something of that kind has this id here.
pub(crate) async fn exists(conn: &mut Conn, kind: Kind, id: Id) -> Result<bool, DbError> {
    let find = match kind {
        Kind::Author => "SELECT id FROM authors WHERE id = $1",
        Kind::Category => "SELECT id FROM categories WHERE id = $1",
        Kind::Thread => "SELECT id FROM threads WHERE id = $1",
        Kind::Post => "SELECT id FROM posts WHERE id = $1",
    };
    Ok(conn.optional::<(Id,)>(sql(find).bind(id)).await?.is_some())
}

/// Who has this id, by the name that they sign in with.
pub(crate) async fn signs_in_as(conn: &mut Conn, id: Id) -> Result<Option<String>, DbError> {
    let find = sql("SELECT COALESCE(username_key, '') FROM authors WHERE id = $1 AND erased = 0");
    let found: Option<(String,)> = conn.optional(find.bind(id)).await?;
    Ok(found.map(|(key,)| key))
}

/// Stores somebody, if nobody has that id; whoever has no name has none any more.
pub(crate) async fn author(tx: &mut Tx, id: Id, name: &str) -> Result<(), DbError> {
    let insert = sql("INSERT INTO authors (id, name, erased) VALUES ($1, $2, $3) \
                      ON CONFLICT (id) DO NOTHING");
    tx.execute(insert.bind(id).bind(name).bind(name.is_empty())).await.map(|_| ())
}

/// A thread as it is stored, without posts yet.
#[derive(Debug)]
pub(crate) struct NewThread<'a> {
    pub(crate) id: Id,
    pub(crate) category: Id,
    pub(crate) author: Id,
    pub(crate) title: &'a str,
    pub(crate) slug: &'a str,
    pub(crate) tags: &'a [String],
    pub(crate) created_at: Timestamp,
    pub(crate) pinned: bool,
    pub(crate) locked: bool,
    pub(crate) view_count: i64,
    pub(crate) deleted_at: Option<Timestamp>,
    pub(crate) hidden: bool,
}

pub(crate) async fn thread(tx: &mut Tx, thread: &NewThread<'_>) -> Result<(), DbError> {
    let tags = serde_json::to_string(thread.tags).unwrap_or_else(|_| "[]".to_owned());
    tx.execute(
        sql("INSERT INTO threads (id, category_id, author_id, title, slug, tags, created_at, \
             last_post_at, last_number, view_count, pinned, locked, deleted_at, hidden) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 0, $8, $9, $10, $11, $12)")
        .bind(thread.id)
        .bind(thread.category)
        .bind(thread.author)
        .bind(thread.title)
        .bind(thread.slug)
        .bind(tags)
        .bind(thread.created_at)
        .bind(thread.view_count)
        .bind(thread.pinned)
        .bind(thread.locked)
        .bind(thread.deleted_at)
        .bind(thread.hidden),
    )
    .await?;
    let shown = if thread.deleted_at.is_some() { &[] } else { thread.tags };
    for tag in shown {
        let insert = sql("INSERT INTO thread_tags (thread_id, tag, created_at, last_post_at, \
                          reply_count, pinned) VALUES ($1, $2, $3, $3, 0, $4)");
        let insert = insert.bind(thread.id).bind(tag).bind(thread.created_at);
        tx.execute(insert.bind(thread.pinned)).await?;
    }
    Ok(())
}

/// A post as it is stored.
#[derive(Debug)]
pub(crate) struct NewPost<'a> {
    pub(crate) id: Id,
    pub(crate) thread: Id,
    pub(crate) author: Id,
    pub(crate) body: &'a str,
    pub(crate) html: &'a str,
    pub(crate) created_at: Timestamp,
    pub(crate) edited_at: Option<Timestamp>,
    pub(crate) edited_by: Option<Id>,
    pub(crate) reply_to: Option<Id>,
    pub(crate) quote: Option<Id>,
    pub(crate) deleted_at: Option<Timestamp>,
    pub(crate) hidden: bool,
    pub(crate) mentioned: &'a std::collections::BTreeSet<Id>,
}

/// Stores a post behind all others of its thread.
pub(crate) async fn post(tx: &mut Tx, post: &NewPost<'_>) -> Result<(), DbError> {
    let next = sql("UPDATE threads SET last_number = last_number + 1 WHERE id = $1 \
                    RETURNING last_number");
    let (number,): (i64,) = tx.one(next.bind(post.thread)).await?;
    tx.execute(
        sql("INSERT INTO posts (id, thread_id, number, author_id, body, body_html, created_at, \
             edited_at, edited_by, reply_to, quote_of, deleted_at, hidden) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)")
        .bind(post.id)
        .bind(post.thread)
        .bind(number)
        .bind(post.author)
        .bind(post.body)
        .bind(post.html)
        .bind(post.created_at)
        .bind(post.edited_at)
        .bind(post.edited_by)
        .bind(post.reply_to)
        .bind(post.quote)
        .bind(post.deleted_at)
        .bind(post.hidden),
    )
    .await?;
    for person in post.mentioned {
        let insert = sql("INSERT INTO post_mentions (post_id, user_id) VALUES ($1, $2) \
                          ON CONFLICT (post_id, user_id) DO NOTHING");
        tx.execute(insert.bind(post.id).bind(*person)).await?;
    }
    Ok(())
}

/// Stores the text a post had; `false` if one of that number is there.
pub(crate) async fn revision(
    tx: &mut Tx,
    (id, post, number): (Id, Id, i64),
    (body, hidden): (&str, bool),
    (editor, at): (Id, Timestamp),
) -> Result<bool, DbError> {
    let insert = sql("INSERT INTO post_revisions \
                      (id, post_id, number, body, editor_id, created_at, hidden) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (post_id, number) DO NOTHING");
    let insert = insert.bind(id).bind(post).bind(number).bind(body).bind(editor);
    tx.changed(insert.bind(at).bind(hidden)).await
}

/// What a post refers to, where it does not yet.
pub(crate) async fn refer(
    tx: &mut Tx,
    post: Id,
    reply_to: Option<Id>,
    quote: Option<Id>,
    moved_to: Option<Id>,
) -> Result<(), DbError> {
    let update = sql("UPDATE posts SET reply_to = COALESCE(reply_to, $2), \
                      quote_of = COALESCE(quote_of, $3), moved_to = COALESCE(moved_to, $4) \
                      WHERE id = $1");
    let update = update.bind(post).bind(reply_to).bind(quote).bind(moved_to);
    tx.execute(update).await.map(|_| ())
}

/// Where the posts of a thread went that has none.
pub(crate) async fn merged(
    tx: &mut Tx,
    thread: Id,
    into: Id,
    at: Timestamp,
) -> Result<(), DbError> {
    let update = sql("UPDATE threads SET merged_into = $2, deleted_at = COALESCE(deleted_at, $3) \
                      WHERE id = $1 AND merged_into IS NULL AND last_number = 0 AND id <> $2");
    tx.execute(update.bind(thread).bind(into).bind(at)).await.map(|_| ())
}

/// Counts the replies of a thread, and says when it was written in last.
pub(crate) async fn recount(tx: &mut Tx, thread: Id) -> Result<(), DbError> {
    let count = sql("UPDATE threads SET reply_count = \
                       (SELECT COUNT(*) FROM posts p WHERE p.thread_id = threads.id \
                        AND p.number > 1 AND p.deleted_at IS NULL), \
                     last_post_at = COALESCE((SELECT MAX(p.created_at) FROM posts p \
                        WHERE p.thread_id = threads.id), created_at) \
                     WHERE id = $1 RETURNING reply_count, last_post_at");
    let (replies, last): (i64, Timestamp) = tx.one(count.bind(thread)).await?;
    let tags =
        sql("UPDATE thread_tags SET reply_count = $2, last_post_at = $3 WHERE thread_id = $1");
    tx.execute(tags.bind(thread).bind(replies).bind(last)).await.map(|_| ())
}

/// How many reacted how to a post.
pub(crate) async fn reacted(tx: &mut Tx, post: Id) -> Result<Vec<(String, i64)>, DbError> {
    tx.all(
        sql("SELECT name, COUNT(*) FROM post_reactions WHERE post_id = $1 \
             GROUP BY name ORDER BY MIN(id)")
        .bind(post),
    )
    .await
}

/// Counts posts of somebody.
pub(crate) async fn count_written(tx: &mut Tx, author: Id, more: i64) -> Result<(), DbError> {
    let count = sql("UPDATE authors SET post_count = post_count + $2 WHERE id = $1");
    tx.execute(count.bind(author).bind(more)).await.map(|_| ())
}
