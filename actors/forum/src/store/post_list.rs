//! Pages of posts.

use panel_kernel::data::{Conn, DbError, FromRow, Row, sql};
use panel_kernel::http::MAX_PAGE_BYTES;
use panel_kernel::ids::Id;

use super::posts::Post;
use crate::rules::Viewer;

/// A row whose texts may have been left out.
struct Short(Option<Post>);

impl FromRow for Short {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let is_whole = row.get::<Option<String>>(1)?.is_some();
        Ok(Self(if is_whole { Some(Post::from_row(row)?) } else { None }))
    }
}

/// At most `fetch` posts of a thread after number `after`, ascending, deleted ones as tombstones;
/// and at most the one that goes beyond [`MAX_PAGE_BYTES`] and the one after the first, whatever
/// comes then. Empty also if the viewer may not see the thread: every thread has at least one post.
///
/// Nearly always all of them are so short that they fit, which the first statement can tell by
/// each alone. Only where one is longer, the second adds them up.
pub(crate) async fn list(
    conn: &mut Conn,
    thread: Id,
    viewer: Viewer,
    after: i64,
    fetch: i64,
) -> Result<Vec<Post>, DbError> {
    let bytes = i64::try_from(MAX_PAGE_BYTES).unwrap_or(i64::MAX);
    let list = |text, bytes: i64| {
        let list = sql(text).bind(thread).bind(after).bind(viewer.level).bind(viewer.moderates);
        list.bind(fetch).bind(bytes).bind(viewer.id())
    };
    let short: Vec<Short> = conn.all(list(LIST_SHORT, bytes / fetch.max(1))).await?;
    match short.into_iter().map(|Short(post)| post).collect() {
        Some(posts) => Ok(posts),
        None => conn.all(list(LIST_LONG, bytes)).await,
    }
}

/// The bytes of a post's texts on a page. Neither database reads a long text to tell its length.
macro_rules! bytes {
    () => {
        "(CASE WHEN p.deleted_at IS NULL \
          THEN octet_length(p.body) + octet_length(p.body_html) ELSE 0 END)"
    };
}

/// Numbers have no gaps, so the page is a range of them: however PostgreSQL goes about it, it
/// touches no other row.
macro_rules! list {
    ($body:expr, $body_html:expr, $also:expr) => {
        concat!(
            "SELECT ",
            packed_post!(),
            ", CASE WHEN p.deleted_at IS NOT NULL THEN '' ELSE ",
            $body,
            " END, CASE WHEN p.deleted_at IS NOT NULL THEN '' ELSE ",
            $body_html,
            " END FROM threads t CROSS JOIN categories c CROSS JOIN posts p \
             WHERE t.id = $1 AND p.thread_id = $1 AND p.number > $2 AND p.number <= $2 + $5 \
             AND c.id = t.category_id AND c.read_level <= $3 \
             AND (t.deleted_at IS NULL OR $4 = 1 OR t.hidden = 1 AND t.author_id = $7)",
            $also,
            " ORDER BY p.number"
        )
    };
}

/// With the texts of those that have at most `$6` bytes, NULL instead of longer ones.
const LIST_SHORT: &str = list!(
    concat!("CASE WHEN ", bytes!(), " <= CAST($6 AS BIGINT) THEN p.body END"),
    concat!("CASE WHEN ", bytes!(), " <= CAST($6 AS BIGINT) THEN p.body_html END"),
    ""
);

/// Those before which the page has at most `$6` bytes, and the second.
const LIST_LONG: &str = list!(
    "p.body",
    "p.body_html",
    concat!(
        " AND p.number <= (SELECT MAX(l.number) FROM (SELECT p.number, SUM(",
        bytes!(),
        ") OVER (ORDER BY p.number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before \
         FROM posts p WHERE p.thread_id = $1 AND p.number > $2 AND p.number <= $2 + $5) AS l \
         WHERE COALESCE(l.before, 0) <= CAST($6 AS BIGINT) OR l.number <= $2 + 2)"
    )
);
