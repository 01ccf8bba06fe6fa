//! `/api/v2/forum/moderation/bans`: who may not write, where, and until when.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use panel_kernel::data::Answer;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{
    Caller, IdPath, Listing, PageRequest, Params, Payload, Refusal, RouteError, SignedIn,
};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::api::Shared;
use crate::api::query::{flag_of, id_of};
use crate::api::writing::{Writing, created};
use crate::events::{BanEnded, UserBanned};
use crate::rules;
use crate::rules::bans::{BanKind, MAX_REASON_CHARS, is_other, outranks};
use crate::store::authors::{self, Author};
use crate::store::categories;
use crate::store::moderation::bans::{self, Ban, BanFilter};
use crate::store::moderation::log::Deed;
use crate::store::moderation::queue;

/// Which bans.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct BanQuery {
    /// Only of this account.
    #[param(value_type = Option<Id>)]
    user: Option<String>,
    /// `true`: only those that hold now.
    #[param(value_type = Option<bool>)]
    active: Option<String>,
    /// Items on a page, 1 to 100; 20 by default.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Who is not to write any more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBan {
    user_id: Id,
    /// `ban`: nothing that others see; `silence`: no texts.
    kind: BanKind,
    /// Only there, and in the categories below; not given: everywhere.
    category_id: Option<Id>,
    /// Told to them; 1 to 1,000 characters.
    reason: String,
    /// When it ends; not given: never by itself.
    until: Option<Timestamp>,
}

/// Bans, the latest first
#[utoipa::path(get, path = "/api/v2/forum/moderation/bans", tag = "forum", params(BanQuery),
    responses((status = 200, description = "One page", body = Listing<Ban>), Refusal))]
pub(super) async fn list_bans(
    State(forum): State<Shared>,
    _: Caller,
    Params(query): Params<BanQuery>,
) -> Result<Json<Listing<Ban>>, RouteError> {
    let page = PageRequest::parse(query.limit.as_deref(), query.cursor)?;
    let is_active = flag_of("active", query.active.as_deref())?;
    let user = id_of("user", query.user.as_deref())?;
    let scope = format!("forum.bans {user:?} {is_active}");
    let [before] = page.after(&forum.cursors, &scope)?.unwrap_or([i64::MAX]);
    let in_force_at = is_active.then(|| forum.db.clock().now());
    let (filter, fetch) = (BanFilter { user, in_force_at }, page.fetch());
    let found: Result<_, RouteError> =
        forum.db.read(|conn| Box::pin(bans::list(conn, filter, before, fetch))).await;
    let next = |last: &Ban| forum.cursors.encode(&scope, &[last.id.raw()]);
    Ok(Json(Listing::from_excess(found?, page.limit, next)))
}

/// Keep somebody from writing
///
/// Everywhere or in a category, until then or for good; only somebody of lower rank than one's own. They are
/// told why when they try to write, and can appeal. What they have written stays.
#[utoipa::path(post, path = "/api/v2/forum/moderation/bans", tag = "forum",
    request_body = NewBan,
    responses((status = 201, description = "In force", body = Ban), Refusal))]
pub(super) async fn create_ban(
    State(forum): State<Shared>,
    by: SignedIn,
    Payload(new): Payload<NewBan>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let now = by.context.now;
    let reason = rules::bans::ban(&mut check, &new.reason, new.until, now);
    check.done()?;
    let id = forum.db.next_id().await?;
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                is_other(writing.viewer, new.user_id)?;
                let user = authors::find(writing.tx, new.user_id).await?;
                let user = user.ok_or_else(|| {
                    Problem::field("user_id", "unknown", "there is no such account")
                })?;
                let conduct = authors::conduct(writing.tx, new.user_id).await?;
                outranks(writing.viewer, conduct.map_or(0, |conduct| conduct.level))?;
                if let Some(category) = new.category_id
                    && categories::find(writing.tx, category, writing.viewer).await?.is_none()
                {
                    let message = "there is no such category";
                    return Err(Problem::field("category_id", "unknown", message).into());
                }
                let created_by = Author::from(&writing.by.user);
                authors::ensure(writing.tx, &created_by).await?;
                let ban = Ban {
                    id,
                    user,
                    kind: new.kind,
                    category_id: new.category_id,
                    reason,
                    created_by: Some(created_by),
                    created_at: now,
                    until: new.until,
                    ended_at: None,
                    appeal: None,
                };
                writing.tx.makes_nothing_old();
                bans::insert(writing.tx, &ban).await?;
                let Ban { kind, category_id, until, .. } = ban;
                let (user_id, moderator_id) = (ban.user.id, writing.by.user.id);
                let fact = UserBanned { id, user_id, kind, category_id, until, moderator_id };
                writing.tx.publish(&fact);
                let made = json!({"user_id": user_id, "kind": kind, "category_id": category_id,
                                  "until": until, "reason": ban.reason});
                writing.audit("ban.create", id, None, Some(made));
                let action = if kind == BanKind::Ban { "ban.create" } else { "silence.create" };
                writing.remember(deed(action, &ban, &ban.reason)).await?;
                Ok(created("moderation/bans", id, 1, &ban))
            })
        })
        .await
}

/// Let somebody write again
///
/// Only where one may keep them from it. A ban by somebody of higher rank stays.
#[utoipa::path(delete, path = "/api/v2/forum/moderation/bans/{id}", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 204, description = "Ended"), Refusal))]
pub(super) async fn end_ban(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                let ban = held(&mut writing, id).await?;
                writing.tx.makes_nothing_old();
                let mut level = async |id| {
                    let conduct = authors::conduct(writing.tx, id).await?;
                    Ok::<i64, RouteError>(conduct.map_or(0, |conduct| conduct.level))
                };
                let theirs = level(ban.user.id).await?;
                let issuers = match &ban.created_by {
                    Some(issuer) => level(issuer.id).await?,
                    None => 0,
                };
                outranks(writing.viewer, theirs)?;
                rules::may_undo(writing.viewer, issuers)?;
                if ban.ended_at.is_some() {
                    return Ok(Answer::no_content());
                }
                writing.end_ban(&ban).await?;
                let (before, now) = (
                    json!({"user_id": ban.user.id, "until": ban.until}),
                    json!({"user_id": ban.user.id, "until": writing.by.context.now}),
                );
                writing.audit("ban.end", id, Some(before), Some(now));
                writing.remember(deed("ban.end", &ban, "")).await?;
                let decided = (writing.viewer.who, writing.by.context.now);
                queue::resolve_ban(writing.tx, id, decided).await?;
                Ok(Answer::no_content())
            })
        })
        .await
}

/// What somebody has to say about a ban of theirs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAppeal {
    /// Read by moderators; 1 to 1,000 characters.
    text: String,
}

/// Appeal against a ban of one's own, once
#[utoipa::path(post, path = "/api/v2/forum/moderation/bans/{id}/appeal", tag = "forum",
    params(("id" = Id, Path)),
    request_body = NewAppeal,
    responses((status = 200, description = "Moderators will read it", body = Ban), Refusal))]
pub(super) async fn appeal_ban(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
    Payload(NewAppeal { text }): Payload<NewAppeal>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let text = check.text("text", text.trim(), 1, MAX_REASON_CHARS);
    check.done()?;
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                let mut ban = held(&mut writing, id).await?;
                writing.tx.makes_nothing_old();
                let (by, now) = (writing.by.user.id, writing.by.context.now);
                if ban.user.id != by {
                    return Err(RouteError::NotFound("ban"));
                }
                if ban.ended_at.is_some() || ban.until.is_some_and(|until| until <= now) {
                    return Err(RouteError::Conflict("this is over"));
                }
                if !bans::appeal(writing.tx, id, &text).await? {
                    return Err(RouteError::Conflict("you have appealed already"));
                }
                queue::add_appeal(writing.tx, writing.item_id, id, (by, &text), now).await?;
                let said = json!({"user_id": by, "characters": text.chars().count()});
                writing.audit("ban.appeal", id, None, Some(said));
                // Who has done it is not for them.
                (ban.appeal, ban.created_by) = (Some(text), None);
                Ok(Answer::json(StatusCode::OK, &ban))
            })
        })
        .await
}

async fn held(writing: &mut Writing<'_>, id: Id) -> Result<Ban, RouteError> {
    bans::for_change(writing.tx, id).await?.ok_or(RouteError::NotFound("ban"))
}

fn deed<'a>(action: &'a str, ban: &Ban, reason: &'a str) -> Deed<'a> {
    let (user, category) = (Some(ban.user.id), ban.category_id);
    Deed { action, user, category, reason, ..Deed::default() }
}

impl Writing<'_> {
    /// Ends a ban that is held.
    pub(super) async fn end_ban(&mut self, ban: &Ban) -> Result<(), RouteError> {
        let (by, now) = (self.viewer.who, self.by.context.now);
        if bans::end(self.tx, ban.id, by, now).await? {
            let (id, user_id) = (ban.id, ban.user.id);
            self.tx.publish(&BanEnded { id, user_id, moderator_id: by });
        }
        Ok(())
    }
}
