//! `/api/v2/forum/threads`

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use futures::FutureExt as _;
use panel_kernel::data::{Answer, Conn, DbError};
use panel_kernel::http::validate::Check;
use panel_kernel::http::{
    CacheFor, Caller, IdPath, IfMatch, Payload, Refusal, RouteError, SignedIn, etag, present,
};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_text::markdown::Rendered;
use panel_text::names;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::Shared;
use super::conduct::{Screened, Verdict, deed_to_thread};
use super::writing::{Writing, created, shown};
use crate::events::{ThreadCreated, ThreadEdited};
use crate::rules::bans::Act;
use crate::rules::{self, Viewer};
use crate::store::authors::Author;
use crate::store::moderation::queue::QueueStatus;
use crate::store::posts::{self, Post};
use crate::store::threads::{self, Standing, Thread};
use crate::store::{categories, reading};
use crate::tags;

/// A new thread with its opening post.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewThread {
    category_id: Id,
    title: String,
    /// Markdown; becomes post number 1.
    body: String,
    /// At most five, of 1 to 30 characters.
    #[serde(default)]
    tags: Vec<String>,
}

/// Changes of a thread; what is absent stays.
#[derive(Debug, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ThreadPatch {
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    title: Option<String>,
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    tags: Option<Vec<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    category_id: Option<Id>,
}

/// Start a thread
#[utoipa::path(post, path = "/api/v2/forum/threads", tag = "forum",
    request_body = NewThread,
    responses((status = 201, description = "Made", body = Thread), Refusal))]
pub(super) async fn create_thread(
    State(forum): State<Shared>,
    by: SignedIn,
    Payload(new): Payload<NewThread>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let title = rules::title(&mut check, &new.title);
    let body = rules::body(&mut check, &new.body, forum.max_body_chars);
    let tags = names::tags(&mut check, &new.tags, rules::MAX_TAGS);
    check.done()?;
    let (category_id, now, viewer) = (new.category_id, by.context.now, Viewer::from(&by.user));
    let (id, author) = (forum.db.next_id().await?, Author::from(&by.user));
    let mut thread = Thread {
        last_read: Some(1),
        watching: true,
        ..Thread::begun(id, (category_id, author), title, &tags, now)?
    };
    let asked = thread.title.clone();
    let whose = (thread.id, thread.author.clone());
    let opening = Post::written(forum.db.next_id().await?, whose, &body, now)?;
    forum
        .write_text(
            by,
            (Some(&asked), &body),
            move |conn| may_post_in(conn, category_id, viewer).boxed(),
            move |mut writing, mut screened| {
                Box::pin(async move {
                    may_post_in(writing.tx, category_id, viewer).await?;
                    writing.hold_first(&mut screened).await?;
                    writing.enter(category_id, &screened.text).await?;
                    let Screened { text: Rendered { html, mentioned, .. }, verdict } = screened;
                    threads::insert(writing.tx, &thread, &tags).await?;
                    let opening = Post { body_html: html, ..opening };
                    posts::insert(writing.tx, &opening, &mentioned).await?;
                    let Thread { id, title, .. } = &thread;
                    let (id, author_id, post_id) = (*id, thread.author.id, opening.id);
                    reading::has_written(writing.tx, author_id, id, 1).await?;
                    writing.tx.publish(&ThreadCreated {
                        id,
                        category_id,
                        author_id,
                        title,
                        post_id,
                        mentioned,
                    });
                    writing.tx.makes_old(tags::showing(id));
                    let made = json!({"title": title, "category_id": category_id});
                    writing.audit("thread.create", id, None, Some(made));
                    writing.judge_thread(&verdict, &mut thread, post_id).await?;
                    Ok(created("threads", id, thread.version, &thread))
                })
            },
        )
        .await
}

/// One thread
///
/// Reading it counts as a view. Of one that was merged into another, the address leads there.
#[utoipa::path(get, path = "/api/v2/forum/threads/{id}", tag = "forum",
    params(("id" = Id, Path)),
    responses(
        (status = 200, description = "As it is now", body = Thread),
        (status = 308, description = "Its posts are in another thread", headers(("Location" = String))),
        Refusal
    ))]
pub(super) async fn read_thread(
    State(forum): State<Shared>,
    caller: Caller,
    IdPath(id): IdPath,
) -> Result<Response, RouteError> {
    let viewer = Viewer::of(&caller.principal);
    let found: Result<_, RouteError> =
        forum.db.look(|conn| Box::pin(thread_or_target(conn, id, viewer))).await;
    // A copy from a cache would be a view that is not counted.
    let cache = CacheFor::outages(&caller.principal).tagged([tags::thread(id)]);
    let thread = match found? {
        Ok(thread) => thread,
        Err(target) => {
            let there = format!("/api/v2/forum/threads/{target}");
            return Ok((cache, Redirect::permanent(&there)).into_response());
        }
    };
    forum.views.seen(&caller, id);
    let shown = etag::versioned(thread.version, &thread);
    Ok((cache, shown).into_response())
}

/// The thread, or the one that its posts are in now.
pub(crate) async fn thread_or_target(
    conn: &mut Conn,
    id: Id,
    viewer: Viewer,
) -> Result<Result<Thread, Id>, RouteError> {
    if let Some(found) = threads::find(conn, id, viewer).await?
        && !found.merged
    {
        return Ok(Ok(found.thread));
    }
    let target = threads::merged_into(conn, id, viewer).await?;
    target.map(Err).ok_or(RouteError::NotFound("thread"))
}

/// Change a thread's title, tags or category
///
/// For its author, while it is not locked, and for moderators.
#[utoipa::path(patch, path = "/api/v2/forum/threads/{id}", tag = "forum",
    params(("id" = Id, Path), ("If-Match" = Option<String>, Header)),
    request_body = ThreadPatch,
    responses((status = 200, description = "As it is now", body = Thread), Refusal))]
pub(super) async fn edit_thread(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
    if_match: IfMatch,
    Payload(patch): Payload<ThreadPatch>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let title = patch.title.map(|title| rules::title(&mut check, &title));
    let tags = patch.tags.map(|tags| names::tags(&mut check, &tags, rules::MAX_TAGS));
    check.done()?;
    let verdict = title
        .as_ref()
        .map_or(Ok(Verdict::Shown), |title| forum.screen(&by, &[("title", title)], &[]));
    let verdict = match verdict {
        Ok(verdict) => verdict,
        Err(refusal) => return forum.db.refuse(&by.context, refusal.into()).await,
    };
    let change = Change { title, tags, category_id: patch.category_id };
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                let before = held(&mut writing, id).await?.thread;
                if_match.check(before.version)?;
                if change == Change::default() {
                    writing.tx.makes_nothing_old();
                    return Ok(shown(before.version, &before));
                }
                if let Some(category) = change.category_id.filter(|id| *id != before.category_id) {
                    may_post_in(writing.tx, category, writing.viewer).await?;
                }
                writing.may(Act::Text, before.category_id).await?;
                let mut after = change.make(before.clone())?;
                threads::update(writing.tx, &after, change.tags.as_deref()).await?;
                writing.changes_thread(&before, &after);
                let (category_id, title) = (after.category_id, after.title.as_str());
                writing.tx.publish(&ThreadEdited { id, category_id, title });
                writing.audit("thread.edit", id, Some(edited(&before)), Some(edited(&after)));
                writing.remember(deed_to_thread("thread.edit", &after, "")).await?;
                if verdict != Verdict::Shown
                    && let Some(opening) = posts::opening(writing.tx, id).await?
                {
                    writing.judge_thread(&verdict, &mut after, opening).await?;
                }
                Ok(shown(after.version, &after))
            })
        })
        .await
}

/// Delete a thread
///
/// For its author, while it is not locked, and for moderators, who can still see it.
#[utoipa::path(delete, path = "/api/v2/forum/threads/{id}", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 204, description = "Gone"), Refusal))]
pub(super) async fn delete_thread(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                let thread = held(&mut writing, id).await?.thread;
                if thread.deleted && !thread.hidden {
                    writing.tx.removes(tags::showing(id));
                    return Ok(Answer::no_content());
                }
                writing.may(Act::Other, thread.category_id).await?;
                writing.delete_thread(&thread).await?;
                writing.audit("thread.delete", id, Some(edited(&thread)), None);
                writing.remember(deed_to_thread("thread.delete", &thread, "")).await?;
                let status = QueueStatus::Rejected;
                writing.has_decided_thread(&thread, status, thread.hidden).await?;
                Ok(Answer::no_content())
            })
        })
        .await
}

/// The thread, held until the transaction ends.
pub(super) async fn found(writing: &mut Writing<'_>, id: Id) -> Result<Thread, RouteError> {
    Ok(standing(writing, id).await?.thread)
}

/// The same, with what decides about it.
pub(super) async fn standing(writing: &mut Writing<'_>, id: Id) -> Result<Standing, RouteError> {
    let found = threads::for_change(writing.tx, id, writing.viewer).await?;
    let found = found.ok_or(RouteError::NotFound("thread"))?;
    if found.merged {
        return Err(RouteError::Conflict("this thread was merged into another one"));
    }
    Ok(found)
}

/// The same, if the writer may change it.
async fn held(writing: &mut Writing<'_>, id: Id) -> Result<Standing, RouteError> {
    let found = standing(writing, id).await?;
    let whose = (found.thread.author.id, found.author_level);
    rules::may_change(&writing.by.user, whose, found.thread.locked)?;
    Ok(found)
}

/// A patch whose fields are good.
#[derive(Debug, Default, PartialEq)]
struct Change {
    title: Option<String>,
    tags: Option<Vec<String>>,
    category_id: Option<Id>,
}

impl Change {
    fn make(&self, mut thread: Thread) -> Result<Thread, DbError> {
        if let Some(title) = &self.title {
            thread.slug = threads::slug(title);
            thread.title.clone_from(title);
        }
        if let Some(tags) = &self.tags {
            thread.tags = threads::shown_tags(tags)?;
        }
        if let Some(category) = self.category_id {
            thread.category_id = category;
        }
        thread.version += 1;
        Ok(thread)
    }
}

/// Whether there is such a category for the viewer, and they may post there.
pub(super) async fn may_post_in(
    conn: &mut Conn,
    category: Id,
    viewer: Viewer,
) -> Result<(), RouteError> {
    let category = categories::find(conn, category, viewer).await?.ok_or_else(unknown_category)?;
    rules::may_post(viewer, rules::level(category.post_role))
}

/// What an edit can change, for the audit log.
pub(super) fn edited(thread: &Thread) -> serde_json::Value {
    let Thread { title, category_id, tags, .. } = thread;
    json!({"title": title, "category_id": category_id, "tags": tags})
}

fn unknown_category() -> Problem {
    Problem::field("category_id", "unknown", "there is no such category")
}
