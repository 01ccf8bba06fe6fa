//! Lists of threads.

use panel_kernel::data::{Conn, DbError, Statement};
use panel_kernel::ids::Id;
use serde::Serialize;
use utoipa::ToSchema;

use super::threads::Thread;
use crate::rules::Viewer;

/// The order of a list of threads, always descending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sort {
    /// By the latest post.
    #[default]
    Activity,
    /// By the opening post.
    Created,
    /// By the number of replies.
    Top,
}

impl Sort {
    const fn column(self) -> &'static str {
        match self {
            Self::Activity => "last_post_at",
            Self::Created => "created_at",
            Self::Top => "reply_count",
        }
    }

    /// The place of `thread` in this order.
    pub(crate) fn key(self, thread: &Thread) -> [i64; 2] {
        let key = match self {
            Self::Activity => thread.last_post_at.as_micros(),
            Self::Created => thread.created_at.as_micros(),
            Self::Top => thread.reply_count,
        };
        [key, thread.id.raw()]
    }
}

/// Which threads are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ThreadFilter {
    pub(crate) category: Option<Id>,
    pub(crate) tag: Option<String>,
    pub(crate) sort: Sort,
    /// Only those that come after this place.
    pub(crate) after: Option<[i64; 2]>,
}

/// The threads of one page, in order. The order of the joins is fixed, so that SQLite, which
/// keeps no statistics, walks the index of the order and stops at the limit.
fn statement(filter: ThreadFilter, viewer: Viewer, fetch: i64) -> Statement {
    let ThreadFilter { category, tag, sort, after } = filter;
    let (from, key, id) = if tag.is_some() {
        ("thread_tags k CROSS JOIN threads t", "k", "k.thread_id")
    } else {
        ("threads t", "t", "t.id")
    };
    let column = sort.column();
    let mut text = format!(
        concat!(
            "SELECT ",
            packed_thread!(),
            " FROM {} CROSS JOIN categories c LEFT JOIN authors a ON a.id = t.author_id \
             WHERE t.deleted_at IS NULL AND c.id = t.category_id AND c.read_level <= $1"
        ),
        from
    );
    let mut bound = 1;
    let mut next = |condition: &str| {
        bound += 1;
        condition.replace('$', &format!("${bound}"))
    };
    if tag.is_some() {
        text += &next(" AND t.id = k.thread_id AND k.tag = $");
    }
    if category.is_some() {
        text += &next(" AND t.category_id = $");
    }
    if after.is_some() {
        text += &next(&format!(" AND ({key}.{column}, {id}) < ($"));
        text += &next(", $)");
    }
    text += &next(&format!(" ORDER BY {key}.{column} DESC, {id} DESC LIMIT $"));
    let mut statement = Statement::composed(text).bind(viewer.level);
    if let Some(tag) = tag {
        statement = statement.bind(tag);
    }
    if let Some(category) = category {
        statement = statement.bind(category);
    }
    if let Some([key, id]) = after {
        statement = statement.bind(key).bind(id);
    }
    statement.bind(fetch)
}

/// The threads of one page, in order.
pub(crate) async fn list(
    conn: &mut Conn,
    filter: ThreadFilter,
    viewer: Viewer,
    fetch: i64,
) -> Result<Vec<Thread>, DbError> {
    conn.all(statement(filter, viewer, fetch)).await
}
