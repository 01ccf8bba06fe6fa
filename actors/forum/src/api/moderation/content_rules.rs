//! `/api/v2/forum/moderation/rules`: words and links that are refused, held or flagged.

use axum::Json;
use axum::extract::State;
use panel_kernel::data::Answer;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{
    Caller, IdPath, Listing, PageQuery, Params, Payload, Refusal, RouteError, SignedIn,
};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::api::Shared;
use crate::api::writing::created;
use crate::rules::bans::MAX_REASON_CHARS;
use crate::rules::content::{
    ContentRule, MAX_PATTERN_CHARS, MAX_RULES, RuleAction, RuleKind, normalised,
};
use crate::store::authors::{self, Author};
use crate::store::moderation::content_rules::{self, Made};

/// A rule for what is written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRule {
    kind: RuleKind,
    /// A word, `words in this order`, `begin*`; or a host, with those below it, or `host/path`. At most 100
    /// characters.
    pattern: String,
    action: RuleAction,
    /// What an author hears whose text is refused; at most 1,000 characters.
    #[serde(default)]
    message: String,
}

/// A rule for what is written.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rule {
    id: Id,
    kind: RuleKind,
    /// In the one form in which patterns are compared.
    pattern: String,
    action: RuleAction,
    message: String,
    created_by: Id,
    created_at: Timestamp,
}

impl From<Made> for Rule {
    fn from(Made { rule, created_by, created_at }: Made) -> Self {
        let ContentRule { id, kind, pattern, action, message } = rule;
        Self { id, kind, pattern, action, message, created_by, created_at }
    }
}

/// Rules for what is written, the latest first
#[utoipa::path(get, path = "/api/v2/forum/moderation/rules", tag = "forum", params(PageQuery),
    responses((status = 200, description = "One page", body = Listing<Rule>), Refusal))]
pub(super) async fn list_content_rules(
    State(forum): State<Shared>,
    _: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Listing<Rule>>, RouteError> {
    let page = query.newest_first(&forum.cursors, "forum.rules")?;
    let (before, fetch) = (page.before, page.fetch());
    let found: Result<Vec<Made>, RouteError> =
        forum.db.read(|conn| Box::pin(content_rules::list(conn, before, fetch))).await;
    Ok(Json(page.listing(found?, |made| made.rule.id).map(Rule::from)))
}

/// Make a rule for what is written
///
/// It holds on every node within two seconds, for whoever does not moderate.
#[utoipa::path(post, path = "/api/v2/forum/moderation/rules", tag = "forum",
    request_body = NewRule,
    responses((status = 201, description = "Made", body = Rule), Refusal))]
pub(super) async fn create_content_rule(
    State(forum): State<Shared>,
    by: SignedIn,
    Payload(new): Payload<NewRule>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let pattern = check.line("pattern", &new.pattern, 1, MAX_PATTERN_CHARS);
    let message = check.text("message", new.message.trim(), 0, MAX_REASON_CHARS);
    let pattern = normalised(new.kind, &pattern);
    if pattern.is_none() && !new.pattern.trim().is_empty() {
        check.fail("pattern", "nothing", "has nothing in it that is to be found");
    }
    check.done()?;
    let pattern = pattern.ok_or_else(Problem::internal)?;
    let NewRule { kind, action, .. } = new;
    let id = forum.db.next_id().await?;
    let rule = ContentRule { id, kind, pattern, action, message };
    let made = forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                writing.tx.makes_nothing_old();
                if content_rules::change(writing.tx).await? >= MAX_RULES {
                    return Err(RouteError::Conflict("there are as many rules as there may be"));
                }
                let (created_by, created_at) = (writing.by.user.id, writing.by.context.now);
                let author = Author::from(&writing.by.user);
                authors::ensure(writing.tx, &author).await?;
                let made = Made { rule, created_by, created_at };
                if !content_rules::insert(writing.tx, &made).await? {
                    return Err(RouteError::Conflict("there is a rule with this pattern"));
                }
                writing.audit("content_rule.create", id, None, Some(told(&made)));
                Ok(created("moderation/rules", id, 1, &Rule::from(made)))
            })
        })
        .await?;
    forum.automat.ring();
    Ok(made)
}

/// Remove a rule
#[utoipa::path(delete, path = "/api/v2/forum/moderation/rules/{id}", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 204, description = "Removed"), Refusal))]
pub(super) async fn delete_content_rule(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    let done = forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                writing.tx.makes_nothing_old();
                content_rules::change(writing.tx).await?;
                let found = content_rules::find(writing.tx, id).await?;
                let made = found.ok_or(RouteError::NotFound("rule"))?;
                content_rules::delete(writing.tx, id).await?;
                writing.audit("content_rule.delete", id, Some(told(&made)), None);
                Ok(Answer::no_content())
            })
        })
        .await?;
    forum.automat.ring();
    Ok(done)
}

/// A rule, for the audit log.
fn told(made: &Made) -> serde_json::Value {
    let ContentRule { kind, pattern, action, .. } = &made.rule;
    json!({"kind": kind, "pattern": pattern, "action": action})
}
