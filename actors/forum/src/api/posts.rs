//! `POST /api/v2/forum/threads/{id}/posts` and `/api/v2/forum/posts/{id}`

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures::{FutureExt as _, TryFutureExt as _};
use panel_kernel::data::{Answer, Conn, DbError};
use panel_kernel::http::validate::Check;
use panel_kernel::http::{
    CacheFor, Caller, IdPath, IfMatch, Payload, Refusal, RouteError, SignedIn, etag,
};
use panel_kernel::ids::Id;
use panel_kernel::message::User;
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;
use panel_text::markdown::Rendered;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::conduct::{Screened, deed};
use super::writing::{Writing, created, shown};
use super::{Forum, Shared};
use crate::events::{PostCreated, PostEdited};
use crate::rules::bans::Act;
use crate::rules::{self, Viewer};
use crate::store::authors::{self, Author};
use crate::store::moderation::queue::QueueStatus;
use crate::store::posts::{self, Post, Standing};
use crate::store::{reactions, reading, threads};
use crate::tags;

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

/// Reply
#[utoipa::path(post, path = "/api/v2/forum/threads/{id}/posts", tag = "forum",
    params(("id" = Id, Path)),
    request_body = NewPost,
    responses((status = 201, description = "Made", body = Post), Refusal))]
pub(super) async fn create_post(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(thread): IdPath,
    Payload(new): Payload<NewPost>,
) -> Result<Answer, RouteError> {
    let body = checked(&forum, &new.body)?;
    let (now, viewer) = (by.context.now, Viewer::from(&by.user));
    let whose = (thread, Author::from(&by.user));
    let mut post = Post::written(forum.db.next_id().await?, whose, &body, now)?;
    post.my_reactions = Some(Vec::new());
    (post.reply_to, post.quote) = (new.reply_to, new.quote);
    forum
        .write_text(
            by,
            (None, &body),
            move |conn| may_reply(conn, thread, viewer).map_ok(drop).boxed(),
            move |mut writing, mut screened| {
                Box::pin(async move {
                    writing.hold_first(&mut screened).await?;
                    // What nobody sees yet does not make a thread active.
                    let active_at =
                        if screened.is_held() { Timestamp::from_micros(0) } else { now };
                    let (number, category) = next_number(&mut writing, thread, active_at).await?;
                    post.number = number;
                    writing.enter(category, &screened.text).await?;
                    let Screened { text: Rendered { html, mentioned, .. }, verdict } = screened;
                    post.body_html = html;
                    for (field, referred) in [("reply_to", post.reply_to), ("quote", post.quote)] {
                        if let Some(id) = referred
                            && !posts::is_in_thread(writing.tx, id, thread).await?
                        {
                            let message = "is not a post of this thread";
                            return Err(Problem::field(field, "unknown", message).into());
                        }
                    }
                    posts::insert(writing.tx, &post, &mentioned).await?;
                    let (author, number) = (post.author.id, post.number);
                    reading::has_written(writing.tx, author, thread, number).await?;
                    writing.tx.publish(&PostCreated {
                        id: post.id,
                        thread_id: thread,
                        number: post.number,
                        author_id: post.author.id,
                        reply_to: post.reply_to,
                        quote: post.quote,
                        mentioned,
                    });
                    writing.tx.makes_old(tags::showing(thread));
                    writing.audit("post.create", post.id, None, Some(placed(&post)));
                    writing.judge(&verdict, &mut post).await?;
                    Ok(created("posts", post.id, post.version, &post))
                })
            },
        )
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
) -> Result<Response, RouteError> {
    let viewer = Viewer::of(&caller.principal);
    let found: Result<_, RouteError> = forum
        .db
        .read(|conn| {
            Box::pin(async move {
                let Some(found) = posts::find(conn, id, viewer).await? else { return Ok(None) };
                let mut post = found.post;
                if let Some(reader) = viewer.who {
                    post.my_reactions = Some(reactions::of_reader_to(conn, reader, id).await?);
                }
                Ok(Some(post))
            })
        })
        .await;
    let post = found?.ok_or(RouteError::NotFound("post"))?;
    let shown = etag::versioned(post.version, &post);
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::thread(post.thread_id)]);
    Ok((cache, shown).into_response())
}

/// Change a post
///
/// For its author, while the thread is not locked, and for moderators. The text as it was is kept
/// among the post's revisions.
#[utoipa::path(patch, path = "/api/v2/forum/posts/{id}", tag = "forum",
    params(("id" = Id, Path), ("If-Match" = Option<String>, Header)),
    request_body = PostPatch,
    responses((status = 200, description = "As it is now", body = Post), Refusal))]
pub(super) async fn edit_post(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
    if_match: IfMatch,
    Payload(patch): Payload<PostPatch>,
) -> Result<Answer, RouteError> {
    let body = checked(&forum, &patch.body)?;
    let revision = forum.db.next_id().await?;
    let (text, asking, condition) = (body.clone(), by.clone(), if_match.clone());
    forum
        .write_text(
            by,
            (None, &text),
            move |conn| may_edit(conn, id, asking, condition).boxed(),
            move |mut writing, Screened { text, verdict }| {
                Box::pin(async move {
                    let Standing { mut post, category_id, .. } =
                        held_with_thread(&mut writing, id).await?;
                    must_be_there(&post)?;
                    if_match.check(post.version)?;
                    if post.body == body {
                        writing.tx.makes_nothing_old();
                        return for_reader(&mut writing, post).await;
                    }
                    writing.may_change_text(category_id, &text).await?;
                    let before = measured(&post);
                    let Rendered { html, mentioned, .. } = text;
                    (post.body, post.body_html) = (body, html);
                    post.edited_at = Some(writing.by.context.now);
                    post.version += 1;
                    let editor = Author::from(&writing.by.user);
                    authors::ensure(writing.tx, &editor).await?;
                    let kept = (editor.id, revision);
                    let mentioned = posts::update(writing.tx, &post, kept, &mentioned).await?;
                    writing.tx.makes_old(tags::showing(post.thread_id));
                    writing.tx.publish(&PostEdited { id, thread_id: post.thread_id, mentioned });
                    writing.audit("post.edit", id, Some(before), Some(measured(&post)));
                    writing.remember(deed("post.edit", &post, category_id, "")).await?;
                    writing.judge(&verdict, &mut post).await?;
                    for_reader(&mut writing, post).await
                })
            },
        )
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
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                let Standing { post, category_id, .. } = held_with_thread(&mut writing, id).await?;
                rules::is_reply(post.number)?;
                if post.deleted && !post.hidden {
                    writing.tx.removes(tags::showing(post.thread_id));
                    return Ok(Answer::no_content());
                }
                writing.may(Act::Other, category_id).await?;
                writing.delete_post(&post).await?;
                writing.audit("post.delete", id, Some(placed(&post)), None);
                writing.remember(deed("post.delete", &post, category_id, "")).await?;
                let whose = (id, post.thread_id, post.author.id);
                writing.has_decided(whose, QueueStatus::Rejected, post.hidden).await?;
                Ok(Answer::no_content())
            })
        })
        .await
}

/// Show a deleted reply again
#[utoipa::path(post, path = "/api/v2/forum/posts/{id}/restore", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 200, description = "As it is now", body = Post), Refusal))]
pub(super) async fn restore_post(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                let standing = held_with_thread(&mut writing, id).await?;
                rules::may_undo(writing.viewer, standing.deleted_by_level)?;
                let (mut post, category_id) = (standing.post, standing.category_id);
                if post.moved_to.is_some() {
                    return Err(RouteError::Conflict("this post was moved to another thread"));
                }
                if !post.deleted {
                    writing.tx.makes_nothing_old();
                    return for_reader(&mut writing, post).await;
                }
                let found = threads::find(writing.tx, post.thread_id, writing.viewer).await?;
                if found.is_none_or(|found| found.thread.deleted) {
                    return Err(RouteError::Conflict("its thread is deleted; restore that"));
                }
                let was_hidden = post.hidden;
                writing.restore_post(&mut post).await?;
                writing.audit("post.restore", id, None, Some(placed(&post)));
                writing.remember(deed("post.restore", &post, category_id, "")).await?;
                let whose = (id, post.thread_id, post.author.id);
                writing.has_decided(whose, QueueStatus::Approved, was_hidden).await?;
                for_reader(&mut writing, post).await
            })
        })
        .await
}

fn checked(forum: &Forum, body: &str) -> Result<String, Problem> {
    let mut check = Check::new();
    let body = rules::body(&mut check, body, forum.max_body_chars);
    check.done().map(|()| body)
}

/// Where a post stands, for the audit log.
fn placed(post: &Post) -> serde_json::Value {
    json!({"thread_id": post.thread_id, "number": post.number})
}

/// What an edit changed, for the audit log, which keeps no texts.
fn measured(post: &Post) -> serde_json::Value {
    json!({"version": post.version, "characters": post.body.chars().count()})
}

/// The post, if it is there and `user` may change it.
fn changeable(found: Option<Standing>, user: &User) -> Result<Standing, RouteError> {
    let found = found.ok_or(RouteError::NotFound("post"))?;
    let whose = (found.post.author.id, found.author_level);
    rules::may_change(user, whose, found.thread_locked)?;
    Ok(found)
}

/// The same, held until the transaction ends, and its thread with it. Whoever holds both takes the thread
/// first, so that nobody waits for somebody who waits for them.
async fn held_with_thread(writing: &mut Writing<'_>, id: Id) -> Result<Standing, RouteError> {
    let found = posts::hold(writing.tx, id, writing.viewer).await?;
    changeable(found.map(|(post, _)| post), &writing.by.user)
}

/// The post as its writer reads it from now on, under the same tag.
async fn for_reader(writing: &mut Writing<'_>, mut post: Post) -> Result<Answer, RouteError> {
    let mine = reactions::of_reader_to(writing.tx, writing.by.user.id, post.id).await?;
    post.my_reactions = Some(mine);
    Ok(shown(post.version, &post))
}

/// What is deleted, or only the place of a post, has no text to be changed.
fn must_be_there(post: &Post) -> Result<(), RouteError> {
    if post.hidden {
        Err(RouteError::Conflict("this post is hidden until moderators have looked at it"))
    } else if post.deleted {
        Err(RouteError::Conflict("this post is deleted"))
    } else {
        Ok(())
    }
}

/// Whether there is such a post for the editor, who may change it, in the version they know.
async fn may_edit(
    conn: &mut Conn,
    id: Id,
    by: SignedIn,
    if_match: IfMatch,
) -> Result<(), RouteError> {
    let post = changeable(posts::find(conn, id, Viewer::from(&by.user)).await?, &by.user)?.post;
    must_be_there(&post)?;
    Ok(if_match.check(post.version)?)
}

/// Whether there is such a thread for the viewer, and they may reply there. In which category it is.
pub(super) async fn may_reply(
    conn: &mut Conn,
    thread: Id,
    viewer: Viewer,
) -> Result<Id, RouteError> {
    let standing =
        threads::find(conn, thread, viewer).await?.ok_or(RouteError::NotFound("thread"))?;
    let thread = standing.thread;
    rules::may_reply(viewer, standing.post_level, thread.locked, thread.deleted)?;
    Ok(thread.category_id)
}

/// The number of the next reply; or the reason why there is none.
/// And its category. `active_at` is when the thread is active by it.
async fn next_number(
    writing: &mut Writing<'_>,
    thread: Id,
    active_at: Timestamp,
) -> Result<(i64, Id), RouteError> {
    let viewer = writing.viewer;
    if let Some(taken) = posts::take_number(writing.tx, thread, viewer, active_at).await? {
        return Ok(taken);
    }
    may_reply(writing.tx, thread, viewer).await?;
    // What stood in the way is gone by now; another try will do.
    Err(DbError::Contention.into())
}
