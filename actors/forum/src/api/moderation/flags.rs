//! `POST /api/v2/forum/posts/{id}/flags`

use axum::extract::State;
use http::StatusCode;
use panel_kernel::data::Answer;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{IdPath, Payload, Refusal, RouteError, SignedIn};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::api::Shared;
use crate::api::writing::Writing;
use crate::events::PostFlagged;
use crate::rules::bans::{Act, MAX_REASON_CHARS};
use crate::store::authors::{self, Author};
use crate::store::moderation::flags::{self, Flag};
use crate::store::moderation::queue::{self, Cause, QueueKind};
use crate::store::posts::{self, Post};

/// Why somebody finds something wrong with a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum FlagReason {
    Spam,
    Abuse,
    OffTopic,
    Illegal,
    /// What it is, the note says.
    Other,
}

impl FlagReason {
    const fn name(self) -> &'static str {
        match self {
            Self::Spam => "spam",
            Self::Abuse => "abuse",
            Self::OffTopic => "off_topic",
            Self::Illegal => "illegal",
            Self::Other => "other",
        }
    }
}

/// As many flags of one account may wait for a decision.
const MOST_OPEN: i64 = 50;

/// What somebody finds wrong with a post.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewFlag {
    reason: FlagReason,
    /// For moderators alone; at most 1,000 characters.
    #[serde(default)]
    note: String,
}

/// A flag, as whoever set it has it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Flagged {
    id: Id,
    post_id: Id,
    reason: FlagReason,
    note: String,
    created_at: Timestamp,
}

/// Tell moderators that something is wrong with a post
///
/// Once; and again where the post was changed after they decided about it. Where people who are known here
/// flag it as often as is configured (`forum.moderation.hide_at`), it is hidden until moderators have looked.
#[utoipa::path(post, path = "/api/v2/forum/posts/{id}/flags", tag = "forum",
    params(("id" = Id, Path)),
    request_body = NewFlag,
    responses((status = 201, description = "Moderators will look at it", body = Flagged), Refusal))]
pub(super) async fn flag_post(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
    Payload(new): Payload<NewFlag>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let least = usize::from(new.reason == FlagReason::Other);
    let note = check.text("note", new.note.trim(), least, MAX_REASON_CHARS);
    check.done()?;
    let (flag, reason) = (forum.db.next_id().await?, new.reason);
    let done = forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                let (post, category) = flaggable(&mut writing, id).await?;
                let (user, now) = (Author::from(&writing.by.user), writing.by.context.now);
                let conduct = writing.may(Act::Other, category).await?;
                let weight =
                    if writing.viewer.moderates { 1 } else { writing.trust(&conduct).weight() };
                let decided = flags::decided_at(writing.tx, id, user.id).await?;
                if decided.is_some_and(|at| post.edited_at.is_none_or(|edited| edited <= at)) {
                    let why = "moderators have decided about this, and it has not changed since";
                    return Err(RouteError::Conflict(why));
                }
                let open = flags::count_open(writing.tx, user.id, MOST_OPEN).await?;
                if open >= MOST_OPEN && !writing.viewer.moderates {
                    let why = "moderators have to decide about other flags of yours first";
                    return Err(RouteError::Conflict(why));
                }
                // What flags come to is done by itself.
                writing.tx.makes_nothing_old();
                authors::ensure(writing.tx, &user).await?;
                let author = post.author.id;
                let cause =
                    Cause { kind: QueueKind::Flagged, author, detail: "", flag: Some(weight) };
                let item = queue::add_post(writing.tx, writing.item_id, id, &cause, now).await?;
                let flag = Flag {
                    id: flag,
                    user,
                    reason: reason.name().to_owned(),
                    note,
                    weight,
                    created_at: now,
                };
                if !flags::insert(writing.tx, &flag, (item, id)).await? {
                    return Err(RouteError::Conflict("you have flagged this already"));
                }
                let (thread_id, item_id, reason_name) = (post.thread_id, item, reason.name());
                writing.tx.publish(&PostFlagged { id, thread_id, item_id, reason: reason_name });
                let made = json!({"reason": reason, "item_id": item});
                writing.audit("post.flag", id, None, Some(made));
                let Flag { id: flag_id, note, .. } = flag;
                let made = Flagged { id: flag_id, post_id: id, reason, note, created_at: now };
                Ok(Answer::json(StatusCode::CREATED, &made))
            })
        })
        .await?;
    forum.automat.ring();
    Ok(done)
}

/// A post that is there, and not their own, and its category.
async fn flaggable(writing: &mut Writing<'_>, id: Id) -> Result<(Post, Id), RouteError> {
    let found = posts::find(writing.tx, id, writing.viewer).await?;
    let found = found.ok_or(RouteError::NotFound("post"))?;
    if found.post.author.id == writing.by.user.id {
        return Err(RouteError::Conflict("this is your own"));
    }
    if found.post.deleted {
        return Err(RouteError::Conflict("this post is deleted"));
    }
    Ok((found.post, found.category_id))
}
