//! `/api/v2/forum/moderation/queue/{id}/{approve, reject, hide}`: what is decided about something in the queue.

use axum::extract::State;
use panel_kernel::data::Answer;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{IdPath, IfMatch, Payload, Refusal, RouteError, SignedIn};
use panel_kernel::ids::Id;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::queue::{answer, open};
use crate::api::conduct::deed;
use crate::api::writing::Writing;
use crate::api::{Forum, Shared};
use crate::events::QueueResolved;
use crate::hiding::hide;
use crate::rules::bans::{MAX_REASON_CHARS, outranks};
use crate::store::authors;
use crate::store::moderation::log::Deed;
use crate::store::moderation::queue::{self, QueueItem, QueueKind, QueueStatus};
use crate::store::moderation::{bans, hiding};
use crate::store::posts::{self, Standing};
use crate::store::threads::Thread;
use crate::tags;

/// Why it is decided so.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Resolution {
    /// Goes into the moderation log; at most 1,000 characters.
    reason: String,
}

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Approve,
    Reject,
    Hide,
}

/// Approve something in the queue
///
/// A post is good, and shown; a ban is lifted. About what somebody of the caller's rank or a higher one has
/// written, somebody of a higher rank decides.
#[utoipa::path(post, path = "/api/v2/forum/moderation/queue/{id}/approve", tag = "forum",
    params(("id" = Id, Path), ("If-Match" = Option<String>, Header)),
    request_body = Option<Resolution>,
    responses((status = 200, description = "As it is now", body = QueueItem), Refusal))]
pub(super) async fn approve_queue_item(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
    if_match: IfMatch,
    resolution: Option<Payload<Resolution>>,
) -> Result<Answer, RouteError> {
    forum.decide(by, id, if_match, Decision::Approve, resolution).await
}

/// Reject something in the queue
///
/// A post is not good, and gone, and counts against its author; a ban stays.
#[utoipa::path(post, path = "/api/v2/forum/moderation/queue/{id}/reject", tag = "forum",
    params(("id" = Id, Path), ("If-Match" = Option<String>, Header)),
    request_body = Option<Resolution>,
    responses((status = 200, description = "As it is now", body = QueueItem), Refusal))]
pub(super) async fn reject_queue_item(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
    if_match: IfMatch,
    resolution: Option<Payload<Resolution>>,
) -> Result<Answer, RouteError> {
    forum.decide(by, id, if_match, Decision::Reject, resolution).await
}

/// Hide a post until this is decided
#[utoipa::path(post, path = "/api/v2/forum/moderation/queue/{id}/hide", tag = "forum",
    params(("id" = Id, Path), ("If-Match" = Option<String>, Header)),
    request_body = Option<Resolution>,
    responses((status = 200, description = "As it is now", body = QueueItem), Refusal))]
pub(super) async fn hide_queue_item(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
    if_match: IfMatch,
    resolution: Option<Payload<Resolution>>,
) -> Result<Answer, RouteError> {
    forum.decide(by, id, if_match, Decision::Hide, resolution).await
}

impl Forum {
    async fn decide(
        &self,
        by: SignedIn,
        id: Id,
        if_match: IfMatch,
        decision: Decision,
        resolution: Option<Payload<Resolution>>,
    ) -> Result<Answer, RouteError> {
        let reason = resolution.map(|Payload(given)| given.reason).unwrap_or_default();
        let mut check = Check::new();
        let reason = check.text("reason", reason.trim(), 0, MAX_REASON_CHARS);
        check.done()?;
        self.write(by, move |mut writing| {
            Box::pin(async move {
                let seen = queue::find(writing.tx, id, writing.viewer).await?;
                let seen = seen.ok_or(RouteError::NotFound("item in the queue"))?;
                // But for what the decision does to a post.
                writing.tx.makes_nothing_old();
                // As everywhere: first the thread, then the post, then what is said about it.
                let subject = match &seen.post {
                    Some(post) => posts::hold(writing.tx, post.id, writing.viewer).await?,
                    None => None,
                };
                let item = open(&mut writing, id, &if_match).await?;
                match (subject, item.ban_id) {
                    (Some((post, thread)), _) => {
                        outranks(writing.viewer, post.author_level)?;
                        let deciding = Deciding { item, decision, reason: &reason };
                        deciding.about_post(&mut writing, post, thread).await?;
                    }
                    (None, Some(ban)) => {
                        let deciding = Deciding { item, decision, reason: &reason };
                        deciding.about_ban(&mut writing, ban).await?;
                    }
                    (None, None) => return Err(RouteError::NotFound("post")),
                }
                answer(&mut writing, id).await
            })
        })
        .await
    }
}

/// A decision about something in the queue, which is held.
struct Deciding<'a> {
    item: QueueItem,
    decision: Decision,
    reason: &'a str,
}

impl Deciding<'_> {
    async fn about_post(
        &self,
        writing: &mut Writing<'_>,
        standing: Standing,
        mut thread: Thread,
    ) -> Result<(), RouteError> {
        let Standing { mut post, category_id, .. } = standing;
        let opens = post.number == 1;
        let (is_deleted, is_hidden) = if opens {
            (thread.deleted, thread.hidden)
        } else {
            (post.deleted || thread.deleted, post.hidden)
        };
        let (action, status) = match self.decision {
            Decision::Hide if is_deleted => {
                return Err(RouteError::Conflict("this is hidden or deleted already"));
            }
            Decision::Hide => {
                let (by, now) = (writing.viewer.who, writing.by.context.now);
                hide(writing.tx, &post, by, now).await?;
                ("post.hide", None)
            }
            Decision::Approve => {
                if is_hidden && opens {
                    writing.restore_thread(&mut thread).await?;
                } else if is_hidden {
                    writing.restore_post(&mut post).await?;
                }
                if is_hidden && self.item.kind == QueueKind::Held {
                    writing.tx.makes_old(tags::showing(thread.id));
                    hiding::appears(writing.tx, &thread, writing.by.context.now).await?;
                }
                ("post.approve", Some(QueueStatus::Approved))
            }
            Decision::Reject => {
                if opens && (is_hidden || !is_deleted) {
                    writing.delete_thread(&thread).await?;
                } else if !opens && (is_hidden || !is_deleted) {
                    writing.delete_post(&post).await?;
                }
                authors::refused(writing.tx, post.author.id, 1).await?;
                ("post.reject", Some(QueueStatus::Rejected))
            }
        };
        let state =
            |status: QueueStatus, is_hidden: bool| json!({"status": status, "hidden": is_hidden});
        let before = state(QueueStatus::Open, is_hidden);
        let after = state(status.unwrap_or(QueueStatus::Open), self.decision == Decision::Hide);
        writing.audit(self.audited(), self.item.id, Some(before), Some(after));
        writing.remember(deed(action, &post, category_id, self.reason)).await?;
        if let Some(status) = status {
            let appears = is_hidden && self.item.kind == QueueKind::Held;
            let appears = appears && status == QueueStatus::Approved;
            self.resolve(writing, status, appears).await?;
        }
        Ok(())
    }

    async fn about_ban(&self, writing: &mut Writing<'_>, ban: Id) -> Result<(), RouteError> {
        let ban = bans::for_change(writing.tx, ban).await?.ok_or(RouteError::NotFound("ban"))?;
        let level = authors::conduct(writing.tx, ban.user.id).await?.map_or(0, |it| it.level);
        outranks(writing.viewer, level)?;
        let (action, status) = match self.decision {
            Decision::Hide => return Err(RouteError::Conflict("an appeal can't be hidden")),
            Decision::Approve => {
                writing.end_ban(&ban).await?;
                ("appeal.approve", QueueStatus::Approved)
            }
            Decision::Reject => ("appeal.reject", QueueStatus::Rejected),
        };
        let before = json!({"status": QueueStatus::Open, "user_id": ban.user.id});
        let after = json!({"status": status, "user_id": ban.user.id});
        writing.audit(self.audited(), self.item.id, Some(before), Some(after));
        let (user, category) = (Some(ban.user.id), ban.category_id);
        let deed = Deed { action, user, category, reason: self.reason, ..Deed::default() };
        writing.remember(deed).await?;
        self.resolve(writing, status, false).await
    }

    const fn audited(&self) -> &'static str {
        match self.decision {
            Decision::Approve => "moderation.approve",
            Decision::Reject => "moderation.reject",
            Decision::Hide => "moderation.hide",
        }
    }

    async fn resolve(
        &self,
        writing: &mut Writing<'_>,
        status: QueueStatus,
        appears: bool,
    ) -> Result<(), RouteError> {
        let (by, now) = (writing.by.user.id, writing.by.context.now);
        let moderator = authors::Author::from(&writing.by.user);
        authors::ensure(writing.tx, &moderator).await?;
        queue::resolve(writing.tx, self.item.id, status, (by, now)).await?;
        let post = self.item.post.as_ref();
        writing.tx.publish(&QueueResolved {
            id: self.item.id,
            status,
            kind: self.item.kind,
            author_id: self.item.author.id,
            post_id: post.map(|post| post.id),
            thread_id: post.map(|post| post.thread_id),
            ban_id: self.item.ban_id,
            moderator_id: by,
            appears,
        });
        Ok(())
    }
}
