//! `/api/v2/forum/posts/{id}/reactions`

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use panel_kernel::data::Answer;
use panel_kernel::http::{
    CacheFor, Caller, IdPath, Listing, PageQuery, Params, Refusal, RouteError, Segments, SignedIn,
};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;

use super::writing::Writing;
use super::{Forum, Shared};
use crate::events::{PostReacted, ReactionWithdrawn};
use crate::rules::Viewer;
use crate::rules::bans::Act;
use crate::store::authors::{self, Author};
use crate::store::posts::{self, Post};
use crate::store::reactions::{self, Reaction};
use crate::tags;

/// The reactions to a post, as they are now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reacted {
    /// The post.
    id: Id,
    /// How many reacted how.
    #[schema(value_type = std::collections::BTreeMap<String, i64>)]
    reactions: Box<RawValue>,
    /// How the caller reacted.
    my_reactions: Vec<String>,
}

/// Which reactions.
#[derive(Debug, Deserialize)]
pub(super) struct ReactionQuery {
    /// Only those of this name.
    name: Option<String>,
    #[serde(flatten)]
    page: PageQuery,
}

/// Who reacted to a post, and how, the latest first
#[utoipa::path(get, path = "/api/v2/forum/posts/{id}/reactions", tag = "forum",
    params(("id" = Id, Path), ("name" = Option<String>, Query, description = "Only those of this name"),
        PageQuery),
    responses((status = 200, description = "One page", body = Listing<Reaction>), Refusal))]
pub(super) async fn list_reactions(
    State(forum): State<Shared>,
    caller: Caller,
    IdPath(post): IdPath,
    Params(ReactionQuery { name, page }): Params<ReactionQuery>,
) -> Result<(CacheFor, Json<Listing<Reaction>>), RouteError> {
    let name = name.filter(|name| !name.is_empty());
    let scope = format!("reactions {post} {}", name.as_deref().unwrap_or_default());
    let page = page.newest_first(&forum.cursors, scope)?;
    let (viewer, before, fetch) = (Viewer::of(&caller.principal), page.before, page.fetch());
    let found: Result<_, RouteError> = forum
        .db
        .read(|conn| {
            Box::pin(async move {
                let Some(found) = posts::find(conn, post, viewer).await? else { return Ok(None) };
                let list = reactions::list(conn, post, name.as_deref(), before, fetch).await?;
                Ok(Some((found.post.thread_id, list)))
            })
        })
        .await;
    let (thread, found) = found?.ok_or(RouteError::NotFound("post"))?;
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::thread(thread)]);
    Ok((cache, Json(page.listing(found, |it| it.id))))
}

/// React to a post
///
/// As often as you like, each way once. The ways are those that are configured (`forum.reactions`).
#[utoipa::path(put, path = "/api/v2/forum/posts/{id}/reactions/{name}", tag = "forum",
    params(("id" = Id, Path), ("name" = String, Path)),
    responses((status = 200, description = "How everybody reacted", body = Reacted), Refusal))]
pub(super) async fn react(
    State(forum): State<Shared>,
    by: SignedIn,
    Segments((id, name)): Segments<(Id, String)>,
) -> Result<Answer, RouteError> {
    forum.check_reaction(&name)?;
    let reaction = forum.db.next_id().await?;
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                let (mut post, category) = held(&mut writing, id).await?;
                writing.may(Act::Other, category).await?;
                writing.tx.makes_nothing_old();
                let (author, now) = (Author::from(&writing.by.user), writing.by.context.now);
                let whose = (id, author.id, name.as_str());
                if reactions::insert(writing.tx, reaction, whose, now).await? {
                    authors::ensure(writing.tx, &author).await?;
                    count(&mut writing, &mut post, &name, 1).await?;
                    writing.tx.publish(&PostReacted {
                        id,
                        thread_id: post.thread_id,
                        author_id: post.author.id,
                        user_id: author.id,
                        name: &name,
                    });
                }
                with_mine(&mut writing, post).await
            })
        })
        .await
}

/// Take a reaction back
#[utoipa::path(delete, path = "/api/v2/forum/posts/{id}/reactions/{name}", tag = "forum",
    params(("id" = Id, Path), ("name" = String, Path)),
    responses((status = 200, description = "How everybody reacted", body = Reacted), Refusal))]
pub(super) async fn take_back_reaction(
    State(forum): State<Shared>,
    by: SignedIn,
    Segments((id, name)): Segments<(Id, String)>,
) -> Result<Answer, RouteError> {
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                let (mut post, _) = held(&mut writing, id).await?;
                writing.tx.makes_nothing_old();
                if reactions::delete(writing.tx, id, writing.by.user.id, &name).await? {
                    count(&mut writing, &mut post, &name, -1).await?;
                    writing.tx.publish(&ReactionWithdrawn {
                        id,
                        thread_id: post.thread_id,
                        author_id: post.author.id,
                        user_id: writing.by.user.id,
                        name: &name,
                    });
                }
                with_mine(&mut writing, post).await
            })
        })
        .await
}

impl Forum {
    fn check_reaction(&self, name: &str) -> Result<(), Problem> {
        if self.reactions.iter().any(|known| known == name) {
            return Ok(());
        }
        let message = format!("must be one of {}", self.reactions.join(", "));
        Err(Problem::field("name", "unknown", message))
    }
}

/// The post, held until the transaction ends, and its category.
async fn held(writing: &mut Writing<'_>, id: Id) -> Result<(Post, Id), RouteError> {
    let found = posts::for_change(writing.tx, id, writing.viewer).await?;
    let found = found.ok_or(RouteError::NotFound("post"))?;
    if found.post.deleted {
        return Err(RouteError::Conflict("this post is deleted"));
    }
    Ok((found.post, found.category_id))
}

/// Counts one reaction more or less; the post must be held.
async fn count(
    writing: &mut Writing<'_>,
    post: &mut Post,
    name: &str,
    more: i64,
) -> Result<(), RouteError> {
    let mut counts = post.reaction_counts();
    let now = counts.remove(name).unwrap_or_default() + more;
    if now > 0 {
        counts.insert(name.to_owned(), now);
    }
    post.reactions = to_raw_value(&counts).map_err(|_| Problem::internal())?;
    writing.tx.makes_old([tags::thread(post.thread_id)]);
    Ok(reactions::count(writing.tx, post.id, post.reactions.get()).await?)
}

/// How everybody reacted, and the caller among them.
async fn with_mine(writing: &mut Writing<'_>, post: Post) -> Result<Answer, RouteError> {
    let my_reactions = reactions::of_reader_to(writing.tx, writing.by.user.id, post.id).await?;
    let Post { id, reactions, .. } = post;
    Ok(Answer::json(StatusCode::OK, &Reacted { id, reactions, my_reactions }))
}
