//! Articles.

use panel_kernel::data::{Conn, DbError, Statement, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

/// An article in a list.
#[derive(Clone, Debug)]
pub(crate) struct ArticleRow {
    pub(crate) id: Id,
    pub(crate) slug: String,
    pub(crate) title: String,
    pub(crate) excerpt: String,
    pub(crate) status: String,
    pub(crate) author_id: Id,
    pub(crate) author_name: String,
    pub(crate) category: Option<String>,
    pub(crate) tags: String,
    pub(crate) published_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) version: i64,
}

panel_kernel::from_row!(ArticleRow {
    id,
    slug,
    title,
    excerpt,
    status,
    author_id,
    author_name,
    category,
    tags,
    published_at,
    updated_at,
    version
});

/// Which articles are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) category: Option<String>,
    pub(crate) tag: Option<String>,
    /// After the article published then, with that id.
    pub(crate) after: Option<[i64; 2]>,
    pub(crate) limit: i64,
}

/// Published articles, newest first.
pub(crate) async fn published(conn: &mut Conn, wanted: Wanted) -> Result<Vec<ArticleRow>, DbError> {
    let [at, id] = wanted.after.unwrap_or([i64::MAX, i64::MAX]);
    let mut text = String::from(
        "SELECT a.id, a.slug, a.title, a.excerpt, a.status, a.author_id, a.author_name, \
         a.category, a.tags, a.published_at, a.updated_at, a.version FROM articles a",
    );
    let mut values: Vec<String> = Vec::new();
    if let Some(tag) = wanted.tag {
        text.push_str(" JOIN article_tags t ON t.article_id = a.id AND t.tag = $4");
        values.push(tag);
    }
    text.push_str(" WHERE a.status = 'published' AND (a.published_at, a.id) < ($1, $2)");
    if let Some(category) = wanted.category {
        text.push_str(if values.is_empty() {
            " AND a.category = $4"
        } else {
            " AND a.category = $5"
        });
        values.push(category);
    }
    text.push_str(" ORDER BY a.published_at DESC, a.id DESC LIMIT $3");
    let statement = Statement::composed(text).bind(at).bind(id).bind(wanted.limit);
    conn.all(values.into_iter().fold(statement, Statement::bind)).await
}

/// Nobody is known by that id any more.
pub(crate) async fn erase_author(tx: &mut Tx, author: Id) -> Result<(), DbError> {
    let erase = sql("UPDATE articles SET author_name = 'deleted user' WHERE author_id = $1");
    tx.execute(erase.bind(author)).await.map(|_| ())
}
