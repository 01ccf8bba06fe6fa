//! `/api/v2/forum/threads/{id}/{merge, split}`: posts that change threads.

use axum::extract::State;
use panel_kernel::data::Answer;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{IdPath, Payload, Refusal, RouteError, SignedIn};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_text::names;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::Shared;
use super::conduct::deed_to_thread;
use super::threads::{found, may_post_in};
use super::writing::{Writing, created, shown};
use crate::events::{ThreadMerged, ThreadSplit};
use crate::rules;
use crate::store::authors::DELETED_USER;
use crate::store::merging::{self, Chosen};
use crate::store::reading;
use crate::store::threads::{self, Thread};
use crate::tags;

/// The most posts of a thread that can be merged into another: they are moved in one transaction.
const MAX_MERGED: i64 = 5_000;
/// The most posts that can be split off at a time.
const MAX_SPLIT: usize = 200;

/// Into what a thread is merged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Merge {
    /// A thread.
    into: Id,
}

/// What becomes a thread of its own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Split {
    /// Replies of the thread, 1 to 200; in the order of their numbers, whatever that is here.
    post_ids: Vec<Id>,
    /// Of the new thread.
    title: String,
    /// That of the thread they come from, where it is not said.
    category_id: Option<Id>,
    /// At most five, of 1 to 30 characters.
    #[serde(default)]
    tags: Vec<String>,
}

/// Merge a thread into another
///
/// All its posts come after those of the other one, in order, with new numbers; their ids, and the numbers
/// of the posts that were there, stay. Whoever watches it watches the other one from now on. Its address
/// leads there.
#[utoipa::path(post, path = "/api/v2/forum/threads/{id}/merge", tag = "forum",
    params(("id" = Id, Path)),
    request_body = Merge,
    responses((status = 200, description = "The other thread, as it is now", body = Thread), Refusal))]
pub(super) async fn merge_thread(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
    Payload(Merge { into }): Payload<Merge>,
) -> Result<Answer, RouteError> {
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                if into == id {
                    return Err(into_problem("same", "is the same thread").into());
                }
                // Always the older one first, so that two merges never wait for each other.
                let (from, target) = if id < into {
                    let from = found(&mut writing, id).await?;
                    (from, target(&mut writing, into).await?)
                } else {
                    let target = target(&mut writing, into).await?;
                    (found(&mut writing, id).await?, target)
                };
                if from.deleted || target.deleted {
                    return Err(RouteError::Conflict("a deleted thread can't be merged"));
                }
                may_post_in(writing.tx, target.category_id, writing.viewer).await?;
                if from.last_number > MAX_MERGED {
                    return Err(RouteError::Conflict(
                        "this thread is too long to be merged; merge the other one into it",
                    ));
                }
                let (by, now) = (writing.by.user.id, writing.by.context.now);
                merging::merge(writing.tx, &from, &target, (by, now)).await?;
                let offset = target.last_number;
                // It may be in a category that fewer may read.
                writing.tx.removes(tags::showing(id));
                writing.tx.makes_old(tags::showing(into));
                writing.tx.publish(&ThreadMerged { id, into, offset });
                let before = json!({"title": from.title, "posts": from.last_number});
                let after = json!({"into": into, "title": target.title, "offset": offset});
                writing.audit("thread.merge", id, Some(before), Some(after));
                writing.remember(deed_to_thread("thread.merge", &from, "")).await?;
                let merged = found(&mut writing, into).await?;
                Ok(shown(merged.version, &merged))
            })
        })
        .await
}

/// The thread that another one is merged into.
async fn target(writing: &mut Writing<'_>, id: Id) -> Result<Thread, RouteError> {
    match found(writing, id).await {
        Err(RouteError::NotFound(_)) => {
            Err(into_problem("unknown", "there is no such thread").into())
        }
        found => found,
    }
}

fn into_problem(code: &str, message: &str) -> Problem {
    Problem::field("into", code, message)
}

/// Make replies of a thread a thread of their own
///
/// Their ids stay; they are numbered anew. Where they were, tombstones lead to them, so that all other
/// numbers stay. The author of the first is that of the new thread.
#[utoipa::path(post, path = "/api/v2/forum/threads/{id}/split", tag = "forum",
    params(("id" = Id, Path)),
    request_body = Split,
    responses((status = 201, description = "The new thread", body = Thread), Refusal))]
pub(super) async fn split_thread(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
    Payload(mut split): Payload<Split>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let title = rules::title(&mut check, &split.title);
    let tags = names::tags(&mut check, &split.tags, rules::MAX_TAGS);
    split.post_ids.sort_unstable();
    split.post_ids.dedup();
    let count = split.post_ids.len();
    if !(1..=MAX_SPLIT).contains(&count) {
        check.fail("post_ids", "count", format!("must be 1 to {MAX_SPLIT} posts"));
    }
    check.done()?;
    let new_id = forum.db.next_id().await?;
    let mut tombstones = Vec::with_capacity(count);
    for _ in 0..count {
        tombstones.push(forum.db.next_id().await?);
    }
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                let from = found(&mut writing, id).await?;
                if from.deleted {
                    return Err(RouteError::Conflict("this thread is deleted"));
                }
                let category_id = split.category_id.unwrap_or(from.category_id);
                may_post_in(writing.tx, category_id, writing.viewer).await?;
                let moved = merging::chosen(writing.tx, id, &split.post_ids).await?;
                let thread = made_of(&moved, count, (new_id, category_id, title), &tags)?;
                threads::insert(writing.tx, &thread, &tags).await?;
                let (by, now) = (writing.by.user.id, writing.by.context.now);
                merging::split(writing.tx, (id, new_id), &moved, &tombstones, (by, now)).await?;
                // Nobody follows anything under a name that is gone.
                if thread.author.name != DELETED_USER {
                    reading::has_written(writing.tx, thread.author.id, new_id, 1).await?;
                }
                let posts: Vec<Id> = moved.iter().map(|post| post.id).collect();
                writing.tx.removes(tags::showing(id));
                writing.tx.publish(&ThreadSplit {
                    id: new_id,
                    from: id,
                    category_id,
                    author_id: thread.author.id,
                    title: &thread.title,
                    posts: &posts,
                });
                let before = json!({"posts": posts});
                let after = json!({"into": new_id, "title": thread.title});
                writing.audit("thread.split", id, Some(before), Some(after));
                writing.remember(deed_to_thread("thread.split", &from, "")).await?;
                let made = found(&mut writing, new_id).await?;
                Ok(created("threads", new_id, made.version, &made))
            })
        })
        .await
}

/// The thread that these posts make, if they are all that were asked for.
fn made_of(
    moved: &[Chosen],
    count: usize,
    (id, category_id, title): (Id, Id, String),
    tags: &[String],
) -> Result<Thread, RouteError> {
    // After a merge, numbers are not in the order of time.
    let last = moved.iter().map(|post| post.created_at).max();
    let (Some(first), Some(last_post_at)) = (moved.first(), last) else {
        return Err(not_all());
    };
    if moved.len() != count {
        return Err(not_all());
    }
    let last_number = i64::try_from(count).unwrap_or(i64::MAX);
    let whose = (category_id, first.author.clone());
    Ok(Thread {
        last_post_at,
        reply_count: last_number - 1,
        last_number,
        ..Thread::begun(id, whose, title, tags, first.created_at)?
    })
}

fn not_all() -> RouteError {
    let message = "must be replies of this thread that are not deleted; its opening post stays";
    Problem::field("post_ids", "unknown", message).into()
}
