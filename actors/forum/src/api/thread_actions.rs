//! `/api/v2/forum/threads/{id}/{pin, unpin, lock, unlock, move, restore}`: what moderators do to a thread.

use axum::extract::State;
use panel_kernel::data::Answer;
use panel_kernel::http::{IdPath, Payload, Refusal, RouteError, SignedIn};
use panel_kernel::ids::Id;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::conduct::deed_to_thread;
use super::threads::{edited, found, may_post_in, standing};
use super::writing::shown;
use super::{Forum, Shared};
use crate::events::ThreadEdited;
use crate::rules;
use crate::store::moderation::queue::QueueStatus;
use crate::store::threads::{self, Thread};

/// Where a thread is moved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Move {
    category_id: Id,
}

/// Pin a thread: before all others where threads go by activity
#[utoipa::path(post, path = "/api/v2/forum/threads/{id}/pin", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 200, description = "As it is now", body = Thread), Refusal))]
pub(super) async fn pin_thread(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    forum.mark(by, id, "thread.pin", |thread| thread.pinned = true).await
}

/// Pin a thread no more
#[utoipa::path(post, path = "/api/v2/forum/threads/{id}/unpin", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 200, description = "As it is now", body = Thread), Refusal))]
pub(super) async fn unpin_thread(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    forum.mark(by, id, "thread.unpin", |thread| thread.pinned = false).await
}

/// Lock a thread: only moderators write in it
#[utoipa::path(post, path = "/api/v2/forum/threads/{id}/lock", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 200, description = "As it is now", body = Thread), Refusal))]
pub(super) async fn lock_thread(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    forum.mark(by, id, "thread.lock", |thread| thread.locked = true).await
}

/// Unlock a thread
#[utoipa::path(post, path = "/api/v2/forum/threads/{id}/unlock", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 200, description = "As it is now", body = Thread), Refusal))]
pub(super) async fn unlock_thread(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    forum.mark(by, id, "thread.unlock", |thread| thread.locked = false).await
}

/// Move a thread to another category
#[utoipa::path(post, path = "/api/v2/forum/threads/{id}/move", tag = "forum",
    params(("id" = Id, Path)),
    request_body = Move,
    responses((status = 200, description = "As it is now", body = Thread), Refusal))]
pub(super) async fn move_thread(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
    Payload(Move { category_id }): Payload<Move>,
) -> Result<Answer, RouteError> {
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                let before = found(&mut writing, id).await?;
                if before.category_id == category_id {
                    writing.tx.makes_nothing_old();
                    return Ok(shown(before.version, &before));
                }
                may_post_in(writing.tx, category_id, writing.viewer).await?;
                let version = before.version + 1;
                let after = Thread { category_id, version, ..before.clone() };
                threads::update(writing.tx, &after, None).await?;
                writing.changes_thread(&before, &after);
                writing.tx.publish(&ThreadEdited { id, category_id, title: &after.title });
                writing.audit("thread.move", id, Some(edited(&before)), Some(edited(&after)));
                writing.remember(deed_to_thread("thread.move", &after, "")).await?;
                Ok(shown(after.version, &after))
            })
        })
        .await
}

/// Show a deleted thread again, with all its posts
#[utoipa::path(post, path = "/api/v2/forum/threads/{id}/restore", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 200, description = "As it is now", body = Thread), Refusal))]
pub(super) async fn restore_thread(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                let standing = standing(&mut writing, id).await?;
                rules::may_undo(writing.viewer, standing.deleted_by_level)?;
                let mut thread = standing.thread;
                if !thread.deleted {
                    writing.tx.makes_nothing_old();
                    return Ok(shown(thread.version, &thread));
                }
                let was_hidden = thread.hidden;
                writing.restore_thread(&mut thread).await?;
                writing.audit("thread.restore", id, None, Some(edited(&thread)));
                writing.remember(deed_to_thread("thread.restore", &thread, "")).await?;
                let status = QueueStatus::Approved;
                writing.has_decided_thread(&thread, status, was_hidden).await?;
                Ok(shown(thread.version, &thread))
            })
        })
        .await
}

impl Forum {
    /// Pins or locks a thread, or ends that, and records it as `action`.
    async fn mark(
        &self,
        by: SignedIn,
        id: Id,
        action: &'static str,
        mark: fn(&mut Thread),
    ) -> Result<Answer, RouteError> {
        let marks = |thread: &Thread| json!({"pinned": thread.pinned, "locked": thread.locked});
        self.write(by, move |mut writing| {
            Box::pin(async move {
                let before = found(&mut writing, id).await?;
                let mut after = before.clone();
                mark(&mut after);
                if marks(&before) == marks(&after) {
                    writing.tx.makes_nothing_old();
                    return Ok(shown(before.version, &before));
                }
                after.version += 1;
                threads::mark(writing.tx, &after).await?;
                writing.changes_thread(&before, &after);
                let Thread { category_id, title, .. } = &after;
                writing.tx.publish(&ThreadEdited { id, category_id: *category_id, title });
                writing.audit(action, id, Some(marks(&before)), Some(marks(&after)));
                writing.remember(deed_to_thread(action, &after, "")).await?;
                Ok(shown(after.version, &after))
            })
        })
        .await
    }
}
