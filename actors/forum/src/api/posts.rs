//! `/api/v2/forum/threads/{id}/posts` and `/api/v2/forum/posts`

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use panel_kernel::data::{Answer, Audit, DbError, Tx};
use panel_kernel::http::validate::Check;
use panel_kernel::http::{Caller, IdPath, IfMatch, Listing, PageRequest, Params, Payload, etag};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::{Forum, Refusal, Shared, SignedIn, created, place, shown};
use crate::error::ForumError;
use crate::events::{PostCreated, PostDeleted, PostEdited};
use crate::markdown;
use crate::rules::{self, Viewer};
use crate::store::authors::{self, Author};
use crate::store::posts::{self, Post};
use crate::store::threads;

/// Which page of posts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PostQuery {
    /// Items on a page, 1 to 100; 20 by default.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A reply.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPost {
    /// Markdown.
    body: String,
    /// A post of the same thread.
    reply_to: Option<Id>,
    /// A post of the same thread.
    quote: Option<Id>,
}

/// A new text for a post.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PostPatch {
    /// Markdown.
    body: String,
}

/// The posts of a thread, ascending
#[utoipa::path(get, path = "/api/v2/forum/threads/{id}/posts", tag = "forum",
    params(("id" = Id, Path), PostQuery),
    responses((status = 200, description = "One page", body = Listing<Post>), Refusal))]
pub(super) async fn list_posts(
    State(forum): State<Shared>,
    caller: Caller,
    IdPath(thread): IdPath,
    Params(query): Params<PostQuery>,
) -> Result<Json<Listing<Post>>, ForumError> {
    let page = PageRequest::parse(query.limit.as_deref(), query.cursor)?;
    let scope = format!("posts {thread}");
    let after =
        place(&forum, &scope, page.cursor.as_deref())?.map_or(0, |[number]: [i64; 1]| number);
    let (viewer, fetch) = (Viewer::of(&caller.principal), page.fetch());
    let found: Result<Option<Vec<Post>>, ForumError> = forum
        .db
        .read(|conn| {
            Box::pin(async move {
                let found = posts::list(conn, thread, viewer, after, fetch).await?;
                let none = found.is_empty() && threads::find(conn, thread, viewer).await?.is_none();
                Ok((!none).then_some(found))
            })
        })
        .await;
    let found = found?.ok_or(ForumError::NotFound("thread"))?;
    let next = |last: &Post| forum.cursors.encode(&scope, &[last.number]);
    Ok(Json(Listing::from_excess(found, page.limit, next)))
}

/// Reply
#[utoipa::path(post, path = "/api/v2/forum/threads/{id}/posts", tag = "forum",
    params(("id" = Id, Path)),
    request_body = NewPost,
    responses((status = 201, description = "Made", body = Post), Refusal))]
pub(super) async fn create_post(
    State(forum): State<Shared>,
    SignedIn { user, context }: SignedIn,
    IdPath(thread): IdPath,
    Payload(new): Payload<NewPost>,
) -> Result<Answer, ForumError> {
    let body = checked(&forum, &new.body)?;
    let mut post = written(forum.ids.next(), thread, Author::from(&user), body, context.now)?;
    (post.reply_to, post.quote) = (new.reply_to, new.quote);
    let (viewer, writing) = (Viewer::from(&user), context.clone());
    forum
        .db
        .write(&context, move |tx| {
            Box::pin(async move {
                post.number = next_number(tx, thread, viewer, writing.now).await?;
                for (field, referred) in [("reply_to", post.reply_to), ("quote", post.quote)] {
                    if let Some(id) = referred
                        && !posts::is_in_thread(tx, id, thread).await?
                    {
                        let message = "is not a post of this thread";
                        return Err(Problem::field(field, "unknown", message).into());
                    }
                }
                authors::ensure(tx, &post.author).await?;
                posts::insert(tx, &post).await?;
                tx.publish(&PostCreated {
                    id: post.id,
                    thread_id: thread,
                    number: post.number,
                    author_id: post.author.id,
                    reply_to: post.reply_to,
                });
                tx.audit(&Audit {
                    action: "post.create",
                    target: format!("post:{}", post.id),
                    before: None,
                    after: Some(json!({"thread_id": thread, "number": post.number})),
                    context: &writing,
                });
                let address = format!("/api/v2/forum/posts/{}", post.id);
                Ok(created(&address, post.version, &post))
            })
        })
        .await
}

/// One post
#[utoipa::path(get, path = "/api/v2/forum/posts/{id}", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 200, description = "As it is now", body = Post), Refusal))]
pub(super) async fn read_post(
    State(forum): State<Shared>,
    caller: Caller,
    IdPath(id): IdPath,
) -> Result<Response, ForumError> {
    let viewer = Viewer::of(&caller.principal);
    let found: Result<_, ForumError> =
        forum.db.read(|conn| Box::pin(posts::find(conn, id, viewer))).await;
    let post = found?.ok_or(ForumError::NotFound("post"))?.post;
    Ok(etag::versioned(post.version, &post))
}

/// Change a post
///
/// For its author, while the thread is not locked, and for moderators.
#[utoipa::path(patch, path = "/api/v2/forum/posts/{id}", tag = "forum",
    params(("id" = Id, Path), ("If-Match" = Option<String>, Header)),
    request_body = PostPatch,
    responses((status = 200, description = "As it is now", body = Post), Refusal))]
pub(super) async fn edit_post(
    State(forum): State<Shared>,
    SignedIn { user, context }: SignedIn,
    IdPath(id): IdPath,
    if_match: IfMatch,
    Payload(patch): Payload<PostPatch>,
) -> Result<Answer, ForumError> {
    let body = checked(&forum, &patch.body)?;
    let body_html = markdown::render(&body);
    let (viewer, writing) = (Viewer::from(&user), context.clone());
    forum
        .db
        .write(&context, move |tx| {
            Box::pin(async move {
                let standing =
                    posts::for_change(tx, id, viewer).await?.ok_or(ForumError::NotFound("post"))?;
                let mut post = standing.post;
                rules::may_change(&user, post.author.id, standing.thread_locked)?;
                if_match.check(post.version)?;
                let before =
                    json!({"version": post.version, "characters": post.body.chars().count()});
                (post.body, post.body_html) = (body, body_html);
                (post.edited_at, post.version) = (Some(writing.now), post.version + 1);
                posts::update(tx, &post).await?;
                tx.publish(&PostEdited { id, thread_id: post.thread_id });
                let after =
                    json!({"version": post.version, "characters": post.body.chars().count()});
                tx.audit(&Audit {
                    action: "post.edit",
                    target: format!("post:{id}"),
                    before: Some(before),
                    after: Some(after),
                    context: &writing,
                });
                Ok(shown(StatusCode::OK, post.version, &post))
            })
        })
        .await
}

/// Delete a reply
///
/// For its author, while the thread is not locked, and for moderators, who can still see it. A
/// tombstone stays in its place. The opening post goes with its thread only.
#[utoipa::path(delete, path = "/api/v2/forum/posts/{id}", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 204, description = "Gone"), Refusal))]
pub(super) async fn delete_post(
    State(forum): State<Shared>,
    SignedIn { user, context }: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, ForumError> {
    let (viewer, writing) = (Viewer::from(&user), context.clone());
    forum
        .db
        .write(&context, move |tx| {
            Box::pin(async move {
                let standing =
                    posts::for_change(tx, id, viewer).await?.ok_or(ForumError::NotFound("post"))?;
                let post = standing.post;
                rules::may_change(&user, post.author.id, standing.thread_locked)?;
                rules::is_reply(post.number)?;
                if post.deleted {
                    return Ok(Answer::no_content());
                }
                posts::delete(tx, &post, user.id, writing.now).await?;
                tx.publish(&PostDeleted { id, thread_id: post.thread_id });
                tx.audit(&Audit {
                    action: "post.delete",
                    target: format!("post:{id}"),
                    before: Some(json!({"thread_id": post.thread_id, "number": post.number})),
                    after: None,
                    context: &writing,
                });
                Ok(Answer::no_content())
            })
        })
        .await
}

/// What somebody has just written, as the opening post of a thread.
pub(super) fn written(
    id: Id,
    thread_id: Id,
    author: Author,
    body: String,
    created_at: Timestamp,
) -> Result<Post, ForumError> {
    let reactions = RawValue::from_string("{}".to_owned()).map_err(|_| Problem::internal())?;
    Ok(Post {
        id,
        thread_id,
        number: 1,
        author,
        body_html: markdown::render(&body),
        body,
        created_at,
        edited_at: None,
        reactions,
        reply_to: None,
        quote: None,
        deleted: false,
        version: 1,
    })
}

fn checked(forum: &Forum, body: &str) -> Result<String, Problem> {
    let mut check = Check::new();
    let body = rules::body(&mut check, body, forum.max_body_chars);
    check.done().map(|()| body)
}

/// The number of the next reply; or the reason why there is none.
async fn next_number(
    tx: &mut Tx,
    thread: Id,
    viewer: Viewer,
    now: Timestamp,
) -> Result<i64, ForumError> {
    if let Some(number) = posts::take_number(tx, thread, viewer, now).await? {
        return Ok(number);
    }
    let standing =
        threads::find(tx, thread, viewer).await?.ok_or(ForumError::NotFound("thread"))?;
    rules::may_reply(viewer, standing.post_level, standing.thread.locked, standing.thread.deleted)?;
    // What stood in the way is gone by now; another try will do.
    Err(DbError::Contention.into())
}
