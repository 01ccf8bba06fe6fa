//! `/api/v2/forum/categories`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use panel_kernel::data::Answer;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{
    CacheFor, Caller, IdPath, IfMatch, Listing, Payload, Refusal, RouteError, SignedIn, etag,
    present,
};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::purge::Purge;
use panel_kernel::role::Role;
use panel_text::names;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::writing::{Writing, created, shown};
use crate::rules::{self, Viewer};
use crate::store::categories::{self, Category};
use crate::store::moderation::bans;
use crate::tags;

/// The highest position.
const MOST_POSITION: i64 = 1_000_000;

/// A new category.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCategory {
    name: String,
    parent_id: Option<Id>,
    description: Option<String>,
    /// Ascending among its siblings; 0 where it is not said.
    #[serde(default)]
    position: i64,
    read_role: Option<Role>,
    post_role: Option<Role>,
}

/// Changes of a category; what is absent stays.
#[derive(Debug, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::option_option, reason = "absent stays, null empties")]
pub(super) struct CategoryPatch {
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    name: Option<String>,
    #[serde(deserialize_with = "present")]
    parent_id: Option<Option<Id>>,
    #[serde(deserialize_with = "present")]
    description: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    position: Option<i64>,
    #[serde(deserialize_with = "present")]
    read_role: Option<Option<Role>>,
    #[serde(deserialize_with = "present")]
    post_role: Option<Option<Role>>,
}

/// The categories the caller may read
///
/// All of them on one page, each followed by those below it.
#[utoipa::path(get, path = "/api/v2/forum/categories", tag = "forum",
    responses((status = 200, description = "One page", body = Listing<Category>)))]
pub(super) async fn list_categories(
    State(forum): State<Shared>,
    caller: Caller,
) -> Result<(CacheFor, Json<Listing<Category>>), RouteError> {
    let viewer = Viewer::of(&caller.principal);
    let items = forum.db.read(|conn| Box::pin(categories::list(conn, viewer))).await;
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::CATEGORIES]);
    items.map(|items| (cache, Json(Listing { items, next_cursor: None })))
}

/// Make a category
#[utoipa::path(post, path = "/api/v2/forum/categories", tag = "forum",
    request_body = NewCategory,
    responses((status = 201, description = "Made", body = Category), Refusal))]
pub(super) async fn create_category(
    State(forum): State<Shared>,
    by: SignedIn,
    Payload(new): Payload<NewCategory>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let mut category = Category {
        id: forum.db.next_id().await?,
        name: rules::name(&mut check, &new.name),
        slug: String::new(),
        parent_id: new.parent_id,
        description: new.description.and_then(|text| rules::description(&mut check, &text)),
        position: position(&mut check, new.position),
        read_role: new.read_role,
        post_role: new.post_role,
        created_at: by.context.now,
        read_level: 0,
        version: 1,
    };
    check.done()?;
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                let taken = categories::slugs(writing.tx).await?;
                if i64::try_from(taken.len()).unwrap_or(i64::MAX) >= rules::MAX_CATEGORIES {
                    return Err(RouteError::Conflict(
                        "there are as many categories as there may be",
                    ));
                }
                category.slug = names::free_slug(names::slug(&category.name, "category"), &taken);
                category.read_level = read_level(&mut writing, &category, false).await?;
                categories::insert(writing.tx, &category).await?;
                let made = serde_json::to_value(&category).ok();
                writing.tx.makes_old([tags::CATEGORIES]);
                writing.audit("category.create", category.id, None, made);
                Ok(created("categories", category.id, category.version, &category))
            })
        })
        .await
}

/// One category
#[utoipa::path(get, path = "/api/v2/forum/categories/{id}", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 200, description = "As it is now", body = Category), Refusal))]
pub(super) async fn read_category(
    State(forum): State<Shared>,
    caller: Caller,
    IdPath(id): IdPath,
) -> Result<Response, RouteError> {
    let viewer = Viewer::of(&caller.principal);
    let found: Result<_, RouteError> =
        forum.db.read(|conn| Box::pin(categories::find(conn, id, viewer))).await;
    let category = found?.ok_or(RouteError::NotFound("category"))?;
    let shown = etag::versioned(category.version, &category);
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::CATEGORIES]);
    Ok((cache, shown).into_response())
}

/// Change a category
#[utoipa::path(patch, path = "/api/v2/forum/categories/{id}", tag = "forum",
    params(("id" = Id, Path), ("If-Match" = Option<String>, Header)),
    request_body = CategoryPatch,
    responses((status = 200, description = "As it is now", body = Category), Refusal))]
pub(super) async fn edit_category(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
    if_match: IfMatch,
    Payload(patch): Payload<CategoryPatch>,
) -> Result<Answer, RouteError> {
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                let before = held(&mut writing, id).await?;
                if_match.check(before.version)?;
                if patch == CategoryPatch::default() {
                    writing.tx.makes_nothing_old();
                    return Ok(shown(before.version, &before));
                }
                let mut after = patched(before.clone(), patch)?;
                let has_children =
                    after.parent_id.is_some() && categories::has_children(writing.tx, id).await?;
                after.read_level = read_level(&mut writing, &after, has_children).await?;
                categories::update(writing.tx, &after).await?;
                if after.read_level > before.read_level {
                    // Whatever is in it is not for everybody any more.
                    writing.tx.purges(Purge::everything_gone());
                } else {
                    writing.tx.purges(Purge::everything());
                }
                let [was, is] =
                    [&before, &after].map(|category| serde_json::to_value(category).ok());
                writing.audit("category.edit", id, was, is);
                Ok(shown(after.version, &after))
            })
        })
        .await
}

/// Remove a category that has neither threads nor categories below it
#[utoipa::path(delete, path = "/api/v2/forum/categories/{id}", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 204, description = "Gone"), Refusal))]
pub(super) async fn delete_category(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                let category = held(&mut writing, id).await?;
                if categories::has_children(writing.tx, id).await? {
                    return Err(RouteError::Conflict("there are categories below this one"));
                }
                if categories::has_threads(writing.tx, id).await? {
                    return Err(RouteError::Conflict(
                        "there are threads in this category, perhaps deleted ones",
                    ));
                }
                let (by, now) = (writing.by.user.id, writing.by.context.now);
                bans::end_in_category(writing.tx, id, by, now).await?;
                categories::delete(writing.tx, id).await?;
                writing.tx.removes([tags::CATEGORIES]);
                writing.audit("category.delete", id, serde_json::to_value(&category).ok(), None);
                Ok(Answer::no_content())
            })
        })
        .await
}

/// The category, held until the transaction ends.
async fn held(writing: &mut Writing<'_>, id: Id) -> Result<Category, RouteError> {
    let found = categories::for_change(writing.tx, id, writing.viewer).await?;
    found.ok_or(RouteError::NotFound("category"))
}

/// The category with the changes made, all but the level that follows from its parent.
fn patched(mut category: Category, patch: CategoryPatch) -> Result<Category, Problem> {
    let mut check = Check::new();
    if let Some(name) = patch.name {
        category.name = rules::name(&mut check, &name);
    }
    if let Some(parent) = patch.parent_id {
        category.parent_id = parent;
    }
    if let Some(text) = patch.description {
        category.description = text.and_then(|text| rules::description(&mut check, &text));
    }
    if let Some(given) = patch.position {
        category.position = position(&mut check, given);
    }
    if let Some(role) = patch.read_role {
        category.read_role = role;
    }
    if let Some(role) = patch.post_role {
        category.post_role = role;
    }
    category.version += 1;
    check.done().map(|()| category)
}

fn position(check: &mut Check, position: i64) -> i64 {
    if !(0..=MOST_POSITION).contains(&position) {
        check.fail("position", "out_of_range", format!("must be from 0 to {MOST_POSITION}"));
    }
    position
}

/// The level that holds for reading `category`, whose parent must be one that may have it.
async fn read_level(
    writing: &mut Writing<'_>,
    category: &Category,
    has_children: bool,
) -> Result<i64, RouteError> {
    let own = rules::level(category.read_role);
    let Some(parent_id) = category.parent_id else { return Ok(own) };
    let parent = categories::for_change(writing.tx, parent_id, writing.viewer)
        .await?
        .ok_or_else(|| Problem::field("parent_id", "unknown", "there is no such category"))?;
    rules::may_nest(category.id, parent.id, parent.parent_id, has_children)?;
    Ok(rules::effective_level(own, Some(parent.read_level)))
}
