//! `/api/v2/forum/notifications`: what somebody was told, and what they don't want to hear of.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use panel_kernel::access::{Guarded as _, Need};
use panel_kernel::data::{Answer, Conn, DbError};
use panel_kernel::http::{
    Caller, EventStream, Listing, PageRequest, Params, Payload, Refusal, RouteError, SignedIn,
};
use panel_kernel::ids::Id;
use panel_kernel::problem::{Kind, Problem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Shared;
use super::query::{flag_of, id_of};
use super::writing::Writing;
use crate::rules::digests::Digest;
use crate::rules::notices::NoticeKind;
use crate::store::notifications::list::{self, Notification, NotificationFilter};
use crate::store::notifications::{boxes, digests};
use crate::streams::topic;

/// Up to so many are counted.
const MOST_COUNTED: i64 = 1_000;
/// The most that are marked by their ids at once.
const MOST_MARKED: usize = 100;

/// Their routes.
pub(super) fn router(router: OpenApiRouter<Shared>) -> OpenApiRouter<Shared> {
    router
        .guarded(Need::Account, routes!(list_notifications))
        .guarded(Need::Account, routes!(read_notifications))
        .guarded(Need::Account, routes!(count_notifications))
        .guarded(Need::Session, routes!(stream_notifications))
        .guarded(Need::Account, routes!(read_preferences, store_preferences))
}

/// Which of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct NotificationQuery {
    /// `true`: only what is not read.
    #[param(value_type = Option<bool>)]
    unread: Option<String>,
    /// Only of this kind.
    #[param(value_type = Option<NoticeKind>)]
    kind: Option<String>,
    /// Items on a page, 1 to 100; 20 by default.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What you were told, the latest first
///
/// For ninety days.
#[utoipa::path(get, path = "/api/v2/forum/notifications", tag = "forum",
    params(NotificationQuery),
    responses((status = 200, description = "One page", body = Listing<Notification>), Refusal))]
pub(super) async fn list_notifications(
    State(forum): State<Shared>,
    caller: Caller,
    Params(query): Params<NotificationQuery>,
) -> Result<Json<Listing<Notification>>, RouteError> {
    let user = caller.principal.user()?.id;
    let page = PageRequest::parse(query.limit.as_deref(), query.cursor)?;
    let is_unread = flag_of("unread", query.unread.as_deref())?;
    let kind = match query.kind.as_deref() {
        None | Some("") => None,
        Some(name) => Some(NoticeKind::named(name).ok_or_else(|| {
            let names = NoticeKind::ALL.map(NoticeKind::name).join(", ");
            Problem::field("kind", "invalid", format!("must be one of {names}"))
        })?),
    };
    let filter = NotificationFilter { is_unread, kind };
    let scope = format!("forum.notifications {user} {filter:?}");
    let [before] = page.after(&forum.cursors, &scope)?.unwrap_or([i64::MAX]);
    let fetch = page.fetch();
    let found: Result<Vec<Notification>, RouteError> =
        forum.db.read(|conn| Box::pin(list::page(conn, user, filter, before, fetch))).await;
    let next = |last: &Notification| forum.cursors.encode(&scope, &[last.id.raw()]);
    Ok(Json(Listing::from_excess(found?, page.limit, next)))
}

/// How much there is that was not read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Unread {
    /// Counted up to 1,000.
    unread: i64,
}

/// How much there is that you have not read
#[utoipa::path(get, path = "/api/v2/forum/notifications/count", tag = "forum",
    responses((status = 200, description = "Now", body = Unread), Refusal))]
pub(super) async fn count_notifications(
    State(forum): State<Shared>,
    caller: Caller,
) -> Result<Json<Unread>, RouteError> {
    let user = caller.principal.user()?.id;
    let unread: Result<i64, RouteError> =
        forum.db.read(|conn| Box::pin(list::unread(conn, user, MOST_COUNTED))).await;
    Ok(Json(Unread { unread: unread? }))
}

/// What was read.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Read {
    /// These, at most a hundred.
    ids: Option<Vec<Id>>,
    /// Everything up to this.
    up_to: Option<Id>,
}

/// You have read of it: these, or everything up to one, or everything
#[utoipa::path(post, path = "/api/v2/forum/notifications/read", tag = "forum",
    request_body = Option<Read>,
    responses((status = 200, description = "What is left", body = Unread), Refusal))]
pub(super) async fn read_notifications(
    State(forum): State<Shared>,
    by: SignedIn,
    read: Option<Payload<Read>>,
) -> Result<Answer, RouteError> {
    let Read { ids, up_to } = read.map(|Payload(read)| read).unwrap_or_default();
    if ids.as_ref().is_some_and(|ids| ids.len() > MOST_MARKED) {
        let message = format!("must be at most {MOST_MARKED}");
        return Err(Problem::field("ids", "too_many", message).into());
    }
    if ids.is_some() && up_to.is_some() {
        let message = "is said by ids, or by this";
        return Err(Problem::field("up_to", "ambiguous", message).into());
    }
    forum
        .write(by, move |writing| {
            Box::pin(async move {
                let user = writing.by.user.id;
                writing.tx.makes_nothing_old();
                match ids {
                    Some(ids) if ids.is_empty() => {}
                    Some(ids) => list::read_these(writing.tx, user, &ids).await?,
                    None => {
                        let up_to = up_to.map_or(i64::MAX, Id::raw);
                        list::read_up_to(writing.tx, user, up_to).await?;
                    }
                }
                let unread = list::unread(writing.tx, user, MOST_COUNTED).await?;
                Ok(Answer::json(StatusCode::OK, &Unread { unread }))
            })
        })
        .await
}

/// Where a stream begins.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
    /// The last event the reader has.
    #[param(value_type = Option<Id>)]
    after: Option<String>,
}

/// What you are told, as it happens
///
/// Server-sent events: `event: notification`, with the same object as in the list as `data`; or a WebSocket, with
/// `{"event", "id", "data"}` as messages. Whoever sends the last id they have (`Last-Event-ID`, as browsers do, or
/// `after`) gets what came after it first; others get what is new. A stream ends after ten minutes at the latest,
/// and is opened again by the reader. Not by API keys.
#[utoipa::path(get, path = "/api/v2/forum/notifications/stream", tag = "forum",
    params(("Last-Event-ID" = Option<Id>, Header), StreamQuery),
    responses((status = 200, description = "Stays open", body = String,
               content_type = "text/event-stream"),
              (status = 101, description = "A WebSocket, if one was asked for"), Refusal))]
pub(super) async fn stream_notifications(
    State(forum): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Params(query): Params<StreamQuery>,
) -> Result<EventStream, RouteError> {
    let user = caller.principal.user()?.id;
    // A browser that opens it again sends the header beside the address it has: the header is newer.
    let last = match (headers.get("last-event-id"), id_of("after", query.after.as_deref())?) {
        (Some(last), _) => {
            let last = last.to_str().ok().and_then(|last| last.parse::<Id>().ok());
            last.ok_or_else(|| Problem::new(Kind::BadRequest, "Last-Event-ID is no id"))?
        }
        (None, Some(after)) => after,
        (None, None) => {
            let found: Result<Id, RouteError> =
                forum.db.read(|conn| Box::pin(list::latest(conn, user))).await;
            found?
        }
    };
    Ok(EventStream { topics: vec![topic(user)], after_id: Some(last.to_string()) })
}

/// What somebody wants to hear of.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Preferences {
    /// Whether they want to hear of each kind. Of moderation, everybody does.
    #[serde(default)]
    kinds: BTreeMap<NoticeKind, bool>,
    /// How often they want a mail of what they have not read.
    #[serde(default)]
    digest: Option<Digest>,
}

impl Preferences {
    async fn of(conn: &mut Conn, user: Id) -> Result<Self, DbError> {
        let muted = boxes::muted(conn, user).await?;
        let kinds = NoticeKind::ALL.map(|kind| (kind, muted & kind.bit() == 0));
        let digest = Some(digests::find(conn, user).await?);
        Ok(Self { kinds: kinds.into(), digest })
    }
}

/// What you want to hear of
#[utoipa::path(get, path = "/api/v2/forum/notifications/preferences", tag = "forum",
    responses((status = 200, description = "As they are", body = Preferences), Refusal))]
pub(super) async fn read_preferences(
    State(forum): State<Shared>,
    caller: Caller,
) -> Result<Json<Preferences>, RouteError> {
    let user = caller.principal.user()?.id;
    let found: Result<_, RouteError> =
        forum.db.look(|conn| Box::pin(async move { Ok(Preferences::of(conn, user).await?) })).await;
    Ok(Json(found?))
}

/// Choose what you want to hear of
///
/// What is not named stays as it is. Mails go to addresses that were proven to be their owner's.
#[utoipa::path(put, path = "/api/v2/forum/notifications/preferences", tag = "forum",
    request_body = Preferences,
    responses((status = 200, description = "As they are now", body = Preferences), Refusal))]
pub(super) async fn store_preferences(
    State(forum): State<Shared>,
    by: SignedIn,
    Payload(wanted): Payload<Preferences>,
) -> Result<Answer, RouteError> {
    if wanted.kinds.iter().any(|(kind, wants)| !kind.is_optional() && !wants) {
        let message = "can't be left out: it is about what you may do here";
        return Err(Problem::field("kinds.moderation", "required", message).into());
    }
    let hour = forum.digest_hour;
    forum
        .write(by, move |Writing { tx, by, .. }| {
            Box::pin(async move {
                tx.makes_nothing_old();
                let mut muted = boxes::muted(tx, by.user.id).await?;
                for (kind, wants) in wanted.kinds {
                    if wants {
                        muted &= !kind.bit();
                    } else {
                        muted |= kind.bit();
                    }
                }
                boxes::mute(tx, by.user.id, muted).await?;
                if let Some(every) = wanted.digest
                    && digests::find(tx, by.user.id).await? != every
                {
                    let next = every.next(by.context.now, hour);
                    digests::store(tx, by.user.id, every, next).await?;
                }
                let now = Preferences::of(tx, by.user.id).await?;
                Ok(Answer::json(StatusCode::OK, &now))
            })
        })
        .await
}
