//! Lists of threads.

use panel_kernel::data::{Composed, Conn, DbError, Statement, Value, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::threads::Thread;
use crate::rules::Viewer;

/// The most threads that are looked at for one page of unread ones.
const CANDIDATES: i64 = 2_000;

/// The order of a list of threads, always descending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sort {
    /// By the latest post, pinned ones first.
    #[default]
    Activity,
    /// By the opening post.
    Created,
    /// By the number of replies.
    Top,
}

/// What a pinned thread has more activity than any other, in microseconds.
const PINNED: i64 = 1 << 62;

impl Sort {
    /// What the order goes by, before the thread's id.
    const fn column(self) -> &'static str {
        match self {
            Self::Activity => "activity",
            Self::Created => "created_at",
            Self::Top => "reply_count",
        }
    }

    /// The place of `thread` in this order.
    pub(crate) fn place(self, thread: &Thread) -> [i64; 2] {
        let key = match self {
            Self::Activity if thread.pinned => thread.last_post_at.as_micros() + PINNED,
            Self::Activity => thread.last_post_at.as_micros(),
            Self::Created => thread.created_at.as_micros(),
            Self::Top => thread.reply_count,
        };
        [key, thread.id.raw()]
    }
}

/// Of the threads a reader has not read to their end, which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// All of them.
    All,
    /// Those they have begun to read, or watch.
    Followed,
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

impl ThreadFilter {
    /// Where threads come from: the index of the order is that of the first table, whose name in the
    /// statement, with that of the thread's id in it, is [`Self::table`].
    const fn tables(&self) -> &'static str {
        match &self.tag {
            Some(_) => "thread_tags k CROSS JOIN threads t",
            None => "threads t",
        }
    }

    const fn table(&self) -> [&'static str; 2] {
        if self.tag.is_some() { ["k", "k.thread_id"] } else { ["t", "t.id"] }
    }

    /// The columns of the order, each followed by `also`.
    fn order(&self, also: &str) -> String {
        let ([table, id], column) = (self.table(), self.sort.column());
        format!("{table}.{column}{also}, {id}{also}")
    }

    /// Adds which of them.
    fn add_conditions(&self, text: &mut Composed) {
        text.add("t.deleted_at IS NULL");
        if let Some(tag) = &self.tag {
            text.with(" AND t.id = k.thread_id AND k.tag = $", [tag.as_str().into()]);
        }
        if let Some(category) = self.category {
            text.with(" AND t.category_id = $", [category.into()]);
        }
        if let Some(place) = self.after {
            let condition = format!(" AND ({}) < ($, $)", self.order(""));
            text.with(&condition, place.map(Value::from));
        }
    }

    /// The threads of one page, in order. The order of the joins is fixed, so that SQLite, which keeps
    /// no statistics, walks the index of the order and stops at the limit.
    fn page(&self, viewer: Viewer, fetch: i64) -> Statement {
        let mut text = Composed::default();
        text.add("SELECT ");
        text.add(if viewer.who.is_some() { packed_thread!() } else { packed_thread!(nobody) });
        text.add(" FROM ");
        text.add(self.tables());
        text.add(" CROSS JOIN categories c LEFT JOIN authors a ON a.id = t.author_id");
        if let Some(reader) = viewer.who {
            let join = " LEFT JOIN thread_readers r ON r.thread_id = t.id AND r.user_id = $";
            text.with(join, [reader.into()]);
        }
        text.add(" WHERE ");
        self.add_conditions(&mut text);
        text.with(" AND c.id = t.category_id AND c.read_level <= $", [viewer.level.into()]);
        text.with(&format!(" ORDER BY {} LIMIT $", self.order(" DESC")), [fetch.into()]);
        text.done()
    }

    /// Adds the threads among which a page of unread ones is: pinned ones, and those in which something
    /// was written since then.
    fn add_candidates(&self, text: &mut Composed, columns: &str, since: Timestamp) {
        text.add(&format!("SELECT {columns} FROM {} WHERE ", self.tables()));
        self.add_conditions(text);
        let [table, _] = self.table();
        let since = [since.as_micros().into()];
        text.with(&format!(" AND {table}.activity > $"), since);
        text.add(&format!(" ORDER BY {} LIMIT ", self.order(" DESC")));
    }

    /// Of the candidates for a page, those that are unread.
    fn unread(&self, unread: Unread, viewer: Viewer, since: Timestamp, fetch: i64) -> Statement {
        let mut text = Composed::default();
        text.add(concat!("SELECT ", packed_thread!(), " FROM ("));
        self.add_candidates(&mut text, "t.*", since);
        text.with("$) AS t CROSS JOIN categories c", [CANDIDATES.into()]);
        text.add(" LEFT JOIN authors a ON a.id = t.author_id");
        text.add(if unread == Unread::Followed { " JOIN" } else { " LEFT JOIN" });
        let readers = " thread_readers r ON r.thread_id = t.id AND r.user_id = $";
        text.with(readers, [viewer.id().into()]);
        text.with(" WHERE c.id = t.category_id AND c.read_level <= $", [viewer.level.into()]);
        text.with(" AND t.last_post_at > $", [since.as_micros().into()]);
        text.add(" AND COALESCE(r.last_read, 0) < t.last_number");
        let order = " ORDER BY t.activity DESC, t.id DESC LIMIT $";
        text.with(order, [fetch.into()]);
        text.done()
    }

    /// The place of the last candidate, if there are as many as are looked at.
    fn last_candidate(&self, since: Timestamp) -> Statement {
        let mut text = Composed::default();
        self.add_candidates(&mut text, "t.activity, t.id", since);
        text.with("1 OFFSET $", [(CANDIDATES - 1).into()]);
        text.done()
    }
}

/// The threads of one page, in order.
pub(crate) async fn list(
    conn: &mut Conn,
    filter: ThreadFilter,
    viewer: Viewer,
    fetch: i64,
) -> Result<Vec<Thread>, DbError> {
    conn.all(filter.page(viewer, fetch)).await
}

/// The latest threads that somebody has started.
pub(crate) async fn by_author(
    conn: &mut Conn,
    author: Id,
    viewer: Viewer,
    most: i64,
) -> Result<Vec<Thread>, DbError> {
    let list = sql(concat!(
        "SELECT ",
        packed_thread!(nobody),
        " FROM threads t CROSS JOIN categories c LEFT JOIN authors a ON a.id = t.author_id \
         WHERE t.author_id = $1 AND t.deleted_at IS NULL AND c.id = t.category_id \
         AND c.read_level <= $2 ORDER BY t.id DESC LIMIT $3"
    ));
    conn.all(list.bind(author).bind(viewer.level).bind(most)).await
}

/// Unread threads.
#[derive(Debug)]
pub(crate) struct UnreadPage {
    /// The threads of one page, in order.
    pub(crate) threads: Vec<Thread>,
    /// Up to where was looked, where that ended before there were enough: there may be more.
    pub(crate) looked_to: Option<[i64; 2]>,
}

/// The unread threads of one page, by activity. What is looked at for one page is bounded: whoever is
/// through with nearly everything may get a page with little on it, and look on from there.
pub(crate) async fn unread(
    conn: &mut Conn,
    filter: ThreadFilter,
    unread: Unread,
    viewer: Viewer,
    fetch: i64,
) -> Result<UnreadPage, DbError> {
    let since = sql("SELECT read_before FROM authors WHERE id = $1").bind(viewer.id());
    let since: Option<(Timestamp,)> = conn.optional(since).await?;
    let since = since.map_or(Timestamp::from_micros(0), |(since,)| since);
    let threads: Vec<Thread> = conn.all(filter.unread(unread, viewer, since, fetch)).await?;
    let is_full = i64::try_from(threads.len()).is_ok_and(|found| found >= fetch);
    let looked_to = if is_full {
        None
    } else {
        let last: Option<(i64, i64)> = conn.optional(filter.last_candidate(since)).await?;
        last.map(|(activity, id)| [activity, id])
    };
    Ok(UnreadPage { threads, looked_to })
}
