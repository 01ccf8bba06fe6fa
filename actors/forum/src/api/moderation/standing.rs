//! How somebody stands in the forum: what they may do, and what is held against them.

use axum::Json;
use axum::extract::State;
use panel_kernel::data::{Conn, DbError};
use panel_kernel::http::{Caller, IdPath, Refusal, RouteError};
use panel_kernel::ids::Id;
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Shared;
use crate::api::conduct::Policy;
use crate::rules::trust::{Allowance, Trust};
use crate::store::authors::{self, Conduct};
use crate::store::moderation::bans::{self, Ban, BanFilter};

/// The most bans that are shown.
const MOST_BANS: i64 = 100;

/// How somebody stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Standing {
    user_id: Id,
    /// The rank; null where it is not known yet.
    role: Option<Role>,
    trust: Trust,
    /// What they may write; null: as they like.
    allowance: Option<Allowance>,
    /// Posts they have written.
    post_count: i64,
    /// Those of them that moderators refused.
    refused_count: i64,
    /// What keeps them from writing, the latest first.
    bans: Vec<Ban>,
    /// What is said about appealing.
    appeals: String,
}

/// How somebody stands; nothing if nobody is known by that id.
pub(super) async fn standing(
    conn: &mut Conn,
    user: Id,
    policy: &Policy,
    now: Timestamp,
) -> Result<Option<Standing>, DbError> {
    let Some(conduct) = authors::conduct(conn, user).await? else { return Ok(None) };
    of(conn, user, conduct, policy, now).await.map(Some)
}

async fn of(
    conn: &mut Conn,
    user: Id,
    conduct: Conduct,
    policy: &Policy,
    now: Timestamp,
) -> Result<Standing, DbError> {
    let trust = Trust::of(conduct.record, &policy.trust, now);
    let bans = if conduct.restricted {
        let filter = BanFilter { user: Some(user), in_force_at: Some(now) };
        bans::list(conn, filter, i64::MAX, MOST_BANS).await?
    } else {
        Vec::new()
    };
    Ok(Standing {
        user_id: user,
        role: Role::from_level(conduct.level),
        trust,
        allowance: policy.allowance(trust, conduct.level >= Role::Moderator.level()),
        post_count: conduct.record.post_count,
        refused_count: conduct.record.refused_count,
        bans,
        appeals: policy.moderation.appeals.clone(),
    })
}

/// How you stand here: what you may write, and what keeps you from it
#[utoipa::path(get, path = "/api/v2/forum/standing", tag = "forum",
    responses((status = 200, description = "As it is now", body = Standing), Refusal))]
pub(super) async fn read_standing(
    State(forum): State<Shared>,
    caller: Caller,
) -> Result<Json<Standing>, RouteError> {
    let user = caller.principal.user()?.id;
    let (policy, now) = (forum.policy.clone(), forum.db.clock().now());
    let found: Result<Standing, RouteError> = forum
        .db
        .read(|conn| {
            Box::pin(async move {
                // Somebody who registered a moment ago may not be known yet.
                let conduct = authors::conduct(conn, user).await?;
                let conduct = conduct.unwrap_or_else(|| Conduct::unknown(user));
                of(conn, user, conduct, &policy, now).await
            })
        })
        .await;
    let mut found = found?;
    // Who has done it is not for them.
    for ban in &mut found.bans {
        ban.created_by = None;
    }
    Ok(Json(found))
}

/// How somebody stands
#[utoipa::path(get, path = "/api/v2/forum/moderation/users/{id}", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 200, description = "As it is now", body = Standing), Refusal))]
pub(super) async fn read_standing_of(
    State(forum): State<Shared>,
    IdPath(id): IdPath,
) -> Result<Json<Standing>, RouteError> {
    let (policy, now) = (forum.policy.clone(), forum.db.clock().now());
    let found: Result<_, RouteError> =
        forum.db.read(|conn| Box::pin(async move { standing(conn, id, &policy, now).await })).await;
    found?.map(Json).ok_or(RouteError::NotFound("account"))
}
