//! How far somebody has read: `/api/v2/forum/threads/{id}/{read, watch, unwatch}` and
//! `/api/v2/forum/unread`.

use axum::extract::State;
use http::StatusCode;
use panel_kernel::data::Answer;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{IdPath, Payload, Refusal, RouteError, SignedIn};
use panel_kernel::ids::Id;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::threads::found;
use super::{Forum, Shared};
use crate::store::authors::{self, Author};
use crate::store::notifications::list;
use crate::store::reading::{self, Progress};
use crate::store::threads::{self, Thread};

/// Up to where a thread was read.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReadTo {
    /// The number of a post; the latest one where it is not said.
    number: Option<i64>,
}

/// The caller's place in a thread.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Place {
    thread_id: Id,
    /// The number of the post up to which they have read it; 0 before the first.
    last_read: i64,
    /// The number of its latest post.
    last_number: i64,
    /// Whether they want to hear of what is new in it.
    watching: bool,
}

impl Place {
    fn answer(thread: &Thread, progress: Progress) -> Answer {
        let Progress { last_read, watching } = progress;
        let (thread_id, last_number) = (thread.id, thread.last_number);
        let place = Self { thread_id, last_read, last_number, watching };
        Answer::json(StatusCode::OK, &place)
    }
}

/// Have read a thread, up to a number
///
/// Never less far than before.
#[utoipa::path(post, path = "/api/v2/forum/threads/{id}/read", tag = "forum",
    params(("id" = Id, Path)),
    request_body = Option<ReadTo>,
    responses((status = 200, description = "Your place in it", body = Place), Refusal))]
pub(super) async fn mark_thread_read(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
    to: Option<Payload<ReadTo>>,
) -> Result<Answer, RouteError> {
    let number = to.and_then(|Payload(ReadTo { number })| number);
    let mut check = Check::new();
    if number.is_some_and(|number| number < 1) {
        check.fail("number", "out_of_range", "must be the number of a post");
    }
    check.done()?;
    forum
        .write(by, move |writing| {
            Box::pin(async move {
                // Without a lock: how far somebody has read is not worth holding up those who write.
                let seen = threads::find(writing.tx, id, writing.viewer).await?;
                let seen =
                    seen.filter(|seen| !seen.merged).ok_or(RouteError::NotFound("thread"))?;
                let number = number.unwrap_or(i64::MAX).min(seen.thread.last_number);
                let reader = writing.by.user.id;
                writing.tx.makes_nothing_old();
                let progress = reading::has_read(writing.tx, reader, id, number).await?;
                list::read_in_thread(writing.tx, reader, id, progress.last_read).await?;
                Ok(Place::answer(&seen.thread, progress))
            })
        })
        .await
}

/// Watch a thread: hear of every new post in it
#[utoipa::path(post, path = "/api/v2/forum/threads/{id}/watch", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 200, description = "Your place in it", body = Place), Refusal))]
pub(super) async fn watch_thread(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    forum.watch(by, id, true).await
}

/// Watch a thread no more
#[utoipa::path(post, path = "/api/v2/forum/threads/{id}/unwatch", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 200, description = "Your place in it", body = Place), Refusal))]
pub(super) async fn unwatch_thread(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    forum.watch(by, id, false).await
}

/// Have read everything there is
///
/// All threads count as read as far as they go now.
#[utoipa::path(delete, path = "/api/v2/forum/unread", tag = "forum",
    responses((status = 204, description = "Nothing is unread"), Refusal))]
pub(super) async fn mark_everything_read(
    State(forum): State<Shared>,
    by: SignedIn,
) -> Result<Answer, RouteError> {
    forum
        .write(by, |writing| {
            Box::pin(async move {
                let author = Author::from(&writing.by.user);
                writing.tx.makes_nothing_old();
                authors::has_read_before(writing.tx, &author, writing.by.context.now).await?;
                Ok(Answer::no_content())
            })
        })
        .await
}

impl Forum {
    async fn watch(&self, by: SignedIn, id: Id, watching: bool) -> Result<Answer, RouteError> {
        self.write(by, move |mut writing| {
            Box::pin(async move {
                // Held, so that it is not merged meanwhile: whoever watches it watches where it goes.
                let thread = found(&mut writing, id).await?;
                // Whoever watches is somebody who can be told.
                let reader = Author::from(&writing.by.user);
                writing.tx.makes_nothing_old();
                authors::ensure(writing.tx, &reader).await?;
                let progress = reading::watch(writing.tx, reader.id, id, watching).await?;
                Ok(Place::answer(&thread, progress))
            })
        })
        .await
    }
}
