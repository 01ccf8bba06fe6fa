//! `/api/v2/forum/moderation/queue`: what moderators are to look at, who does, and what they say about it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use panel_kernel::data::{Answer, Conn};
use panel_kernel::http::validate::Check;
use panel_kernel::http::{
    Caller, IdPath, IfMatch, Listing, PageQuery, PageRequest, Params, Payload, Refusal, RouteError,
    SignedIn, etag, present,
};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::role::Role;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::standing::{Standing, standing};
use crate::api::Shared;
use crate::api::query::id_of;
use crate::api::writing::{Writing, shown};
use crate::rules::Viewer;
use crate::rules::bans::MAX_REASON_CHARS;
use crate::store::authors;
use crate::store::moderation::bans::{self, Ban};
use crate::store::moderation::flags::{self, Flag};
use crate::store::moderation::notes::{self, MAX_NOTES, Note};
use crate::store::moderation::queue::{
    self, Assignee, QueueFilter, QueueItem, QueueKind, QueueStatus,
};
use crate::store::posts::{self, Post};

/// What of the queue.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct QueueQuery {
    /// `open`, the oldest first, which is the default; or `resolved`, the latest first.
    status: Option<String>,
    /// Only of this kind.
    #[param(value_type = Option<QueueKind>)]
    kind: Option<String>,
    /// Only what is in this category.
    #[param(value_type = Option<Id>)]
    category: Option<String>,
    /// Only what `me` or somebody (by their id) takes care of, or `nobody`.
    assignee: Option<String>,
    /// Only what is about this account.
    #[param(value_type = Option<Id>)]
    author: Option<String>,
    /// Items on a page, 1 to 100; 20 by default.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Everything about something in the queue.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QueueDetails {
    #[serde(flatten)]
    item: QueueItem,
    /// The whole post, also where it is hidden or deleted.
    whole_post: Option<Post>,
    /// The ban that is appealed against.
    ban: Option<Ban>,
    /// The first hundred flags.
    flags: Vec<Flag>,
    /// What moderators say about it.
    notes: Vec<Note>,
    /// How the author stands.
    standing: Option<Standing>,
}

/// What moderators are to look at
///
/// Of categories that the caller may read.
#[utoipa::path(get, path = "/api/v2/forum/moderation/queue", tag = "forum", params(QueueQuery),
    responses((status = 200, description = "One page", body = Listing<QueueItem>), Refusal))]
pub(super) async fn list_queue(
    State(forum): State<Shared>,
    caller: Caller,
    Params(query): Params<QueueQuery>,
) -> Result<Json<Listing<QueueItem>>, RouteError> {
    let viewer = Viewer::of(&caller.principal);
    let (filter, page) = parse(query, viewer)?;
    let scope = format!("forum.queue {filter:?}");
    let [after] = page.after(&forum.cursors, &scope)?.unwrap_or([filter.beginning()]);
    let fetch = page.fetch();
    let found: Result<_, RouteError> =
        forum.db.read(|conn| Box::pin(queue::list(conn, filter, viewer, after, fetch))).await;
    let next = |last: &QueueItem| forum.cursors.encode(&scope, &[last.id.raw()]);
    Ok(Json(Listing::from_excess(found?, page.limit, next)))
}

fn parse(query: QueueQuery, viewer: Viewer) -> Result<(QueueFilter, PageRequest), Problem> {
    let page = PageRequest::parse(query.limit.as_deref(), query.cursor)?;
    let is_open = match query.status.as_deref() {
        None | Some("" | "open") => true,
        Some("resolved") => false,
        Some(_) => return Err(Problem::field("status", "invalid", "must be open or resolved")),
    };
    let kind = match query.kind.as_deref() {
        None | Some("") => None,
        Some(name) => Some(QueueKind::named(name).ok_or_else(|| {
            Problem::field("kind", "invalid", "must be flagged, held, matched or appeal")
        })?),
    };
    let assignee = match query.assignee.as_deref() {
        None | Some("") => None,
        Some("nobody") => Some(Assignee::Nobody),
        Some("me") => viewer.who.map(Assignee::Somebody),
        somebody => id_of("assignee", somebody)?.map(Assignee::Somebody),
    };
    let category = id_of("category", query.category.as_deref())?;
    let author = id_of("author", query.author.as_deref())?;
    Ok((QueueFilter { is_open, kind, category, assignee, author }, page))
}

/// Everything about something in the queue
#[utoipa::path(get, path = "/api/v2/forum/moderation/queue/{id}", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 200, description = "As it is now", body = QueueDetails), Refusal))]
pub(super) async fn read_queue_item(
    State(forum): State<Shared>,
    caller: Caller,
    IdPath(id): IdPath,
) -> Result<Response, RouteError> {
    let (viewer, policy) = (Viewer::of(&caller.principal), forum.policy.clone());
    let now = forum.db.clock().now();
    let found: Result<QueueDetails, RouteError> = forum
        .db
        .look(|conn| {
            Box::pin(async move {
                let item = item(conn, id, viewer).await?;
                let whole_post = match &item.post {
                    Some(post) => posts::find(conn, post.id, viewer).await?.map(|it| it.post),
                    None => None,
                };
                let ban = match item.ban_id {
                    Some(ban) => bans::find(conn, ban).await?,
                    None => None,
                };
                Ok(QueueDetails {
                    whole_post,
                    ban,
                    flags: flags::list(conn, id, 0, 100).await?,
                    notes: notes::list(conn, id).await?,
                    standing: standing(conn, item.author.id, &policy, now).await?,
                    item,
                })
            })
        })
        .await;
    let details = found?;
    Ok(etag::versioned(details.item.version, &details).into_response())
}

async fn item(conn: &mut Conn, id: Id, viewer: Viewer) -> Result<QueueItem, RouteError> {
    queue::find(conn, id, viewer).await?.ok_or(RouteError::NotFound("item in the queue"))
}

/// Who finds what wrong with it
#[utoipa::path(get, path = "/api/v2/forum/moderation/queue/{id}/flags", tag = "forum",
    params(("id" = Id, Path), PageQuery),
    responses((status = 200, description = "One page, the first first", body = Listing<Flag>), Refusal))]
pub(super) async fn list_flags(
    State(forum): State<Shared>,
    caller: Caller,
    IdPath(id): IdPath,
    Params(query): Params<PageQuery>,
) -> Result<Json<Listing<Flag>>, RouteError> {
    let (viewer, page) = (Viewer::of(&caller.principal), query.checked()?);
    let scope = format!("forum.flags {id}");
    let [after] = page.after(&forum.cursors, &scope)?.unwrap_or([0]);
    let fetch = page.fetch();
    let found: Result<Vec<Flag>, RouteError> = forum
        .db
        .look(|conn| {
            Box::pin(async move {
                item(conn, id, viewer).await?;
                Ok(flags::list(conn, id, after, fetch).await?)
            })
        })
        .await;
    let next = |last: &Flag| forum.cursors.encode(&scope, &[last.id.raw()]);
    Ok(Json(Listing::from_excess(found?, page.limit, next)))
}

/// Who takes care of it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Assignment {
    /// A moderator; null: nobody any more. Not given: the caller.
    #[serde(deserialize_with = "present")]
    #[allow(clippy::option_option, reason = "absent, null and an id are three things")]
    user_id: Option<Option<Id>>,
}

/// Take care of something in the queue, or have somebody take care of it
#[utoipa::path(post, path = "/api/v2/forum/moderation/queue/{id}/assign", tag = "forum",
    params(("id" = Id, Path), ("If-Match" = Option<String>, Header)),
    request_body = Option<Assignment>,
    responses((status = 200, description = "As it is now", body = QueueItem), Refusal))]
pub(super) async fn assign_queue_item(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
    if_match: IfMatch,
    assignment: Option<Payload<Assignment>>,
) -> Result<Answer, RouteError> {
    let Payload(assignment) = assignment.unwrap_or(Payload(Assignment::default()));
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                let before = open(&mut writing, id, &if_match).await?;
                let to = assignment.user_id.unwrap_or(writing.viewer.who);
                if let Some(user) = to
                    && Some(user) != writing.viewer.who
                {
                    let conduct = authors::conduct(writing.tx, user).await?;
                    let moderates = |level: i64| level >= Role::Moderator.level();
                    if !conduct.is_some_and(|conduct| moderates(conduct.level)) {
                        let message = "is nobody who moderates";
                        return Err(Problem::field("user_id", "unknown", message).into());
                    }
                }
                let caller = authors::Author::from(&writing.by.user);
                authors::ensure(writing.tx, &caller).await?;
                writing.tx.makes_nothing_old();
                queue::assign(writing.tx, id, to).await?;
                let was = before.assignee.map(|somebody| somebody.id);
                let (before, after) = (json!({"assignee": was}), json!({"assignee": to}));
                writing.audit("moderation.assign", id, Some(before), Some(after));
                answer(&mut writing, id).await
            })
        })
        .await
}

/// What a moderator has to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewNote {
    /// For moderators alone; 1 to 1,000 characters.
    text: String,
}

/// Say something to other moderators about something in the queue
#[utoipa::path(post, path = "/api/v2/forum/moderation/queue/{id}/note", tag = "forum",
    params(("id" = Id, Path)),
    request_body = NewNote,
    responses((status = 201, description = "Said", body = Note), Refusal))]
pub(super) async fn note_queue_item(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
    Payload(NewNote { text }): Payload<NewNote>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let text = check.text("text", text.trim(), 1, MAX_REASON_CHARS);
    check.done()?;
    let note_id = forum.db.next_id().await?;
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                held(&mut writing, id).await?;
                let said = notes::list(writing.tx, id).await?.len();
                if i64::try_from(said).is_ok_and(|said| said >= MAX_NOTES) {
                    return Err(RouteError::Conflict("there are as many notes as there may be"));
                }
                let author = authors::Author::from(&writing.by.user);
                authors::ensure(writing.tx, &author).await?;
                let note = Note { id: note_id, author, text, created_at: writing.by.context.now };
                writing.tx.makes_nothing_old();
                notes::insert(writing.tx, id, &note).await?;
                let characters = note.text.chars().count();
                writing.audit("moderation.note", id, None, Some(json!({"characters": characters})));
                Ok(Answer::json(StatusCode::CREATED, &note))
            })
        })
        .await
}

/// Something in the queue, held until the transaction ends.
pub(super) async fn held(writing: &mut Writing<'_>, id: Id) -> Result<QueueItem, RouteError> {
    let found = queue::for_change(writing.tx, id, writing.viewer).await?;
    found.ok_or(RouteError::NotFound("item in the queue"))
}

/// The same, if it is not decided yet, in the version the caller knows.
pub(super) async fn open(
    writing: &mut Writing<'_>,
    id: Id,
    if_match: &IfMatch,
) -> Result<QueueItem, RouteError> {
    let item = held(writing, id).await?;
    if_match.check(item.version)?;
    if item.status != QueueStatus::Open {
        return Err(RouteError::Conflict("this is decided already"));
    }
    Ok(item)
}

/// It as it is now.
pub(super) async fn answer(writing: &mut Writing<'_>, id: Id) -> Result<Answer, RouteError> {
    let item = item(writing.tx, id, writing.viewer).await?;
    Ok(shown(item.version, &item))
}
