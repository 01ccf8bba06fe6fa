//! `GET /api/v2/forum/threads/{id}/posts`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use panel_kernel::data::Conn;
use panel_kernel::http::{
    CacheFor, Caller, IdPath, Listing, PageRequest, Params, Refusal, RouteError,
};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use super::threads::thread_or_target;
use crate::rules::Viewer;
use crate::store::posts::Post;
use crate::store::{post_list, reactions, reading, threads};
use crate::tags;

/// Which page of posts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PostQuery {
    /// Where the first page begins: at the post with this number, at `first_unread` (that after the last
    /// one the caller has read, or the latest), or with the `last` ones. At the first post by default.
    #[param(value_type = Option<String>)]
    from: Option<String>,
    /// Items on a page, 1 to 100; 20 by default. Fewer where they are long.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before; then `from` does not count.
    cursor: Option<String>,
}

/// More posts than any thread has; numbers beyond it are all the same place.
const END: i64 = 1 << 40;

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// At the post after this number.
    After(i64),
    FirstUnread,
    Last,
}

impl From {
    fn parse(text: Option<&str>) -> Result<Self, Problem> {
        let number = |text: &str| text.parse().ok().filter(|number| *number >= 1);
        match text {
            None | Some("") => Ok(Self::After(0)),
            Some("first_unread") => Ok(Self::FirstUnread),
            Some("last") => Ok(Self::Last),
            Some(text) => number(text)
                .map(|number: i64| Self::After((number - 1).min(END)))
                .ok_or_else(|| {
                    let message = "must be the number of a post, first_unread or last";
                    Problem::field("from", "invalid", message)
                }),
        }
    }

    /// The number after which the page begins; none if there is no such thread.
    async fn after(
        self,
        conn: &mut Conn,
        thread: Id,
        viewer: Viewer,
        limit: u32,
    ) -> Result<Option<i64>, RouteError> {
        if let Self::After(number) = self {
            return Ok(Some(number));
        }
        let Some(found) = threads::find(conn, thread, viewer).await? else { return Ok(None) };
        let last = found.thread.last_number;
        Ok(Some(match self {
            Self::After(number) => number,
            Self::Last => (last - i64::from(limit)).max(0),
            Self::FirstUnread => {
                let Some(reader) = viewer.who else { return Ok(Some(0)) };
                let progress = reading::find(conn, reader, thread).await?.unwrap_or_default();
                let first = reading::first_unread(conn, reader, thread, progress.last_read).await?;
                (first.unwrap_or(last) - 1).max(0)
            }
        }))
    }
}

/// The posts of a thread, ascending
///
/// A page of long posts may have fewer than `limit`: it ends before its `body` and `body_html`
/// have more than 512 KiB together, but never without a post. `next_cursor` leads on.
#[utoipa::path(get, path = "/api/v2/forum/threads/{id}/posts", tag = "forum",
    params(("id" = Id, Path), PostQuery),
    responses(
        (status = 200, description = "One page", body = Listing<Post>),
        (status = 308, description = "Its posts are in another thread", headers(("Location" = String))),
        Refusal
    ))]
pub(super) async fn list_posts(
    State(forum): State<Shared>,
    caller: Caller,
    IdPath(thread): IdPath,
    Params(query): Params<PostQuery>,
) -> Result<Response, RouteError> {
    let page = PageRequest::parse(query.limit.as_deref(), query.cursor)?;
    let scope = format!("posts {thread}");
    let from = match page.after(&forum.cursors, &scope)? {
        Some([after]) => From::After(after.clamp(0, END)),
        None => From::parse(query.from.as_deref())?,
    };
    let viewer = Viewer::of(&caller.principal);
    let (limit, fetch) = (page.limit, page.fetch());
    let found: Result<Result<Vec<Post>, Id>, RouteError> = forum
        .db
        .look(|conn| {
            Box::pin(async move {
                if let Some(after) = from.after(conn, thread, viewer, limit).await? {
                    let mut found = post_list::list(conn, thread, viewer, after, fetch).await?;
                    if !found.is_empty() {
                        with_reactions(conn, viewer, &mut found).await?;
                        return Ok(Ok(found));
                    }
                }
                let there = thread_or_target(conn, thread, viewer).await?;
                Ok(there.map(|_| Vec::new()))
            })
        })
        .await;
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::thread(thread)]);
    let found = match found? {
        Ok(found) => found,
        Err(target) => {
            let there = format!("/api/v2/forum/threads/{target}/posts");
            return Ok((cache, Redirect::permanent(&there)).into_response());
        }
    };
    let next = |last: &Post| forum.cursors.encode(&scope, &[last.number]);
    Ok((cache, Json(Listing::within_bytes(found, limit, Post::bytes, next))).into_response())
}

/// Adds how the reader reacted to the posts of a page.
pub(super) async fn with_reactions(
    conn: &mut Conn,
    viewer: Viewer,
    posts: &mut [Post],
) -> Result<(), RouteError> {
    let (Some(reader), Some(first), Some(last)) = (viewer.who, posts.first(), posts.last()) else {
        return Ok(());
    };
    let range = (first.number, last.number);
    let mut given =
        reactions::of_reader(conn, reader, first.thread_id, range).await?.into_iter().peekable();
    for post in posts {
        let mut mine = Vec::new();
        while let Some((_, name)) = given.next_if(|(id, _)| *id == post.id) {
            mine.push(name);
        }
        post.my_reactions = Some(mine);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_where_it_is_said() {
        for (text, from) in [
            (None, From::After(0)),
            (Some(""), From::After(0)),
            (Some("1"), From::After(0)),
            (Some("17"), From::After(16)),
            (Some("9223372036854775807"), From::After(END)),
            (Some("first_unread"), From::FirstUnread),
            (Some("last"), From::Last),
        ] {
            assert_eq!(From::parse(text).unwrap(), from, "{text:?}");
        }
        for bad in ["0", "-1", "x", "9223372036854775808", "1.5"] {
            assert_eq!(From::parse(Some(bad)).unwrap_err().errors[0].field, "from", "{bad}");
        }
    }
}
