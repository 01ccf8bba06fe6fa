//! Everything there is, page by page, deleted things included.

use panel_kernel::data::{Conn, DbError, Statement, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use crate::store::places;

/// How many posts there are.
pub(crate) async fn count_posts(conn: &mut Conn) -> Result<i64, DbError> {
    let (count,) = conn.one(sql("SELECT COUNT(*) FROM posts")).await?;
    Ok(count)
}

/// Somebody: id, name, and the name they sign in with.
pub(crate) type AuthorRow = (Id, String, Option<String>);

/// These people, as far as they are known.
pub(crate) async fn authors(conn: &mut Conn, ids: &[Id]) -> Result<Vec<AuthorRow>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!(
        "SELECT id, name, username_key FROM authors WHERE id IN ({})",
        places(1, ids.len())
    );
    conn.all(ids.iter().fold(Statement::composed(text), |find, id| find.bind(*id))).await
}

/// A category.
#[derive(Debug)]
pub(crate) struct CategoryRow {
    pub(crate) id: Id,
    pub(crate) parent_id: Option<Id>,
    pub(crate) name: String,
    pub(crate) slug: String,
    pub(crate) description: Option<String>,
    pub(crate) position: i64,
    pub(crate) read_level: i64,
    pub(crate) post_level: i64,
    pub(crate) created_at: Timestamp,
}

panel_kernel::from_row!(CategoryRow {
    id,
    parent_id,
    name,
    slug,
    description,
    position,
    read_level,
    post_level,
    created_at
});

/// All categories, those that stand below others last.
pub(crate) async fn categories(conn: &mut Conn) -> Result<Vec<CategoryRow>, DbError> {
    conn.all(sql("SELECT id, parent_id, name, slug, description, position, own_read_level, \
                  post_level, created_at FROM categories ORDER BY parent_id IS NOT NULL, id"))
        .await
}

/// A thread.
#[derive(Debug)]
pub(crate) struct ThreadRow {
    pub(crate) id: Id,
    pub(crate) category_id: Id,
    pub(crate) author_id: Id,
    pub(crate) title: String,
    pub(crate) tags: String,
    pub(crate) created_at: Timestamp,
    pub(crate) pinned: bool,
    pub(crate) locked: bool,
    pub(crate) view_count: i64,
    pub(crate) deleted_at: Option<Timestamp>,
    pub(crate) hidden: bool,
}

panel_kernel::from_row!(ThreadRow {
    id,
    category_id,
    author_id,
    title,
    tags,
    created_at,
    pinned,
    locked,
    view_count,
    deleted_at,
    hidden
});

/// Threads after that one.
pub(crate) async fn threads(
    conn: &mut Conn,
    after: i64,
    fetch: i64,
) -> Result<Vec<ThreadRow>, DbError> {
    let list = sql("SELECT id, category_id, author_id, title, tags, created_at, pinned, locked, \
                    view_count, deleted_at, hidden FROM threads WHERE id > $1 ORDER BY id LIMIT $2");
    conn.all(list.bind(after).bind(fetch)).await
}

/// Threads after that one whose posts are in another, and in which.
pub(crate) async fn merged(
    conn: &mut Conn,
    after: i64,
    fetch: i64,
) -> Result<Vec<(Id, Id)>, DbError> {
    let list = sql("SELECT id, merged_into FROM threads \
                    WHERE merged_into IS NOT NULL AND id > $1 ORDER BY id LIMIT $2");
    conn.all(list.bind(after).bind(fetch)).await
}

/// A post, and where those are that it refers to.
#[derive(Debug)]
pub(crate) struct PostRow {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    pub(crate) number: i64,
    pub(crate) author_id: Id,
    pub(crate) body: String,
    pub(crate) created_at: Timestamp,
    pub(crate) edited_at: Option<Timestamp>,
    pub(crate) edited_by: Option<Id>,
    pub(crate) deleted_at: Option<Timestamp>,
    pub(crate) hidden: bool,
    pub(crate) links: Links,
}

/// What a post refers to, each with its thread and number.
#[derive(Debug, Default)]
pub(crate) struct Links {
    pub(crate) reply_to: Option<Link>,
    pub(crate) quote: Option<Link>,
    pub(crate) moved_to: Option<Id>,
}

/// A post, its thread, and its number there.
pub(crate) type Link = (Id, Id, i64);

impl panel_kernel::data::FromRow for PostRow {
    fn from_row(row: &panel_kernel::data::Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            thread_id: row.get(1)?,
            number: row.get(2)?,
            author_id: row.get(3)?,
            body: row.get(4)?,
            created_at: row.get(5)?,
            edited_at: row.get(6)?,
            edited_by: row.get(7)?,
            deleted_at: row.get(8)?,
            hidden: row.get(9)?,
            links: Links::from_row_at(row, 10)?,
        })
    }
}

impl Links {
    fn from_row_at(row: &panel_kernel::data::Row, at: usize) -> Result<Self, DbError> {
        let link = |at: usize| -> Result<Option<Link>, DbError> {
            let id: Option<Id> = row.get(at)?;
            match id {
                Some(id) => Ok(Some((id, row.get(at + 1)?, row.get(at + 2)?))),
                None => Ok(None),
            }
        };
        Ok(Self { reply_to: link(at)?, quote: link(at + 3)?, moved_to: row.get(at + 6)? })
    }
}

macro_rules! links {
    () => {
        "p.reply_to, r.thread_id, r.number, p.quote_of, q.thread_id, q.number, p.moved_to \
         FROM posts p LEFT JOIN posts r ON r.id = p.reply_to LEFT JOIN posts q ON q.id = p.quote_of"
    };
}

/// Posts of a thread after that number.
pub(crate) async fn posts(
    conn: &mut Conn,
    thread: Id,
    after: i64,
    fetch: i64,
) -> Result<Vec<PostRow>, DbError> {
    let list = sql(concat!(
        "SELECT p.id, p.thread_id, p.number, p.author_id, p.body, p.created_at, p.edited_at, \
         p.edited_by, p.deleted_at, p.hidden, ",
        links!(),
        " WHERE p.thread_id = $1 AND p.number > $2 ORDER BY p.number LIMIT $3"
    ));
    conn.all(list.bind(thread).bind(after).bind(fetch)).await
}

/// A post that refers to others.
#[derive(Debug)]
pub(crate) struct Referring {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    pub(crate) number: i64,
    pub(crate) links: Links,
}

impl panel_kernel::data::FromRow for Referring {
    fn from_row(row: &panel_kernel::data::Row) -> Result<Self, DbError> {
        let links = Links::from_row_at(row, 3)?;
        Ok(Self { id: row.get(0)?, thread_id: row.get(1)?, number: row.get(2)?, links })
    }
}

/// Posts after that one which refer to others.
pub(crate) async fn referring(
    conn: &mut Conn,
    after: i64,
    fetch: i64,
) -> Result<Vec<Referring>, DbError> {
    let list = sql(concat!(
        "SELECT p.id, p.thread_id, p.number, ",
        links!(),
        " WHERE p.id > $1 AND (p.reply_to IS NOT NULL OR p.quote_of IS NOT NULL \
          OR p.moved_to IS NOT NULL) ORDER BY p.id LIMIT $2"
    ));
    conn.all(list.bind(after).bind(fetch)).await
}

/// A text that a post had.
#[derive(Debug)]
pub(crate) struct RevisionRow {
    pub(crate) number: i64,
    pub(crate) body: String,
    pub(crate) editor_id: Id,
    pub(crate) created_at: Timestamp,
    pub(crate) hidden: bool,
}

panel_kernel::from_row!(RevisionRow { number, body, editor_id, created_at, hidden });

/// Texts that a post had, after that number.
pub(crate) async fn revisions(
    conn: &mut Conn,
    post: Id,
    after: i64,
    fetch: i64,
) -> Result<Vec<RevisionRow>, DbError> {
    let list = sql("SELECT number, body, editor_id, created_at, hidden FROM post_revisions \
                    WHERE post_id = $1 AND number > $2 ORDER BY number LIMIT $3");
    conn.all(list.bind(post).bind(after).bind(fetch)).await
}

/// Of these posts, those that have had other texts.
pub(crate) async fn revised(conn: &mut Conn, posts: &[Id]) -> Result<Vec<Id>, DbError> {
    let text = format!(
        "SELECT post_id FROM post_revisions WHERE number = 1 AND post_id IN ({}) ORDER BY post_id",
        places(1, posts.len())
    );
    let find = posts.iter().fold(Statement::composed(text), |find, id| find.bind(*id));
    let found: Vec<(Id,)> = conn.all(find).await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// Who reacted: id, post, person, how, when.
pub(crate) type ReactionRow = (Id, Id, Id, String, Timestamp);

/// Reactions to these posts after that one, by post.
pub(crate) async fn reactions(
    conn: &mut Conn,
    posts: &[Id],
    (post, after): (Id, Id),
    fetch: i64,
) -> Result<Vec<ReactionRow>, DbError> {
    let text = format!(
        "SELECT id, post_id, user_id, name, created_at FROM post_reactions \
         WHERE post_id IN ({}) AND (post_id > $1 OR post_id = $1 AND id > $2) \
         ORDER BY post_id, id LIMIT $3",
        places(4, posts.len())
    );
    let find = Statement::composed(text).bind(post).bind(after).bind(fetch);
    conn.all(posts.iter().fold(find, |find, id| find.bind(*id))).await
}
