//! Categories and tags.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{StatusCode, header};
use panel_kernel::data::Answer;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{
    CacheFor, Caller, IfMatch, Listing, PageRequest, Params, Payload, Refusal, RouteError,
    Segments, SignedIn, etag, present,
};
use panel_kernel::problem::{Kind as ProblemKind, Problem};
use panel_text::names;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use crate::rules::fields;
use crate::store::terms::{self, Term, TermKind};
use crate::tags;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TermQuery {
    /// 1 to 100; 100 if not given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A new one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTerm {
    /// At most 80 characters.
    name: String,
    /// Follows from the name where it is not said, and never changes.
    slug: Option<String>,
    /// At most 1,000 characters.
    #[serde(default)]
    description: String,
    /// Ascending among the others.
    #[serde(default)]
    position: i64,
}

/// Changes; what is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TermPatch {
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    name: Option<String>,
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    description: Option<String>,
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    position: Option<i64>,
}

/// Below which address they are.
pub(super) const fn route(kind: TermKind) -> &'static str {
    match kind {
        TermKind::Category => "/api/v2/cms/categories",
        TermKind::Tag => "/api/v2/cms/tags",
    }
}

/// All of them, by position and slug, with how many published posts have each
#[utoipa::path(get, path = "/", tag = "cms", params(TermQuery),
    responses((status = 200, description = "One page", body = Listing<Term>), Refusal))]
pub(super) async fn list_terms(
    State(cms): State<Shared>,
    Extension(kind): Extension<TermKind>,
    caller: Caller,
    Params(query): Params<TermQuery>,
) -> Result<(CacheFor, Json<Listing<Term>>), RouteError> {
    let limit = query.limit.unwrap_or_else(|| "100".to_owned());
    let page = PageRequest::parse(Some(&limit), None)?;
    let (position, after) = match query.cursor.as_deref() {
        None => (-1, String::new()),
        Some(text) => place(text).ok_or_else(|| {
            Problem::new(ProblemKind::BadRequest, "the cursor is not one this list gave")
        })?,
    };
    let fetch = page.fetch();
    let mut conn = cms.db.reader().await?;
    let rows = terms::list(&mut conn, kind, (position, &after), fetch).await?;
    drop(conn);
    let listing = Listing::from_excess(rows, page.limit, |last: &Term| {
        URL_SAFE_NO_PAD.encode(format!("{}.{}", last.position, last.slug))
    });
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::TERMS]);
    Ok((cache, Json(listing)))
}

/// After which term a cursor leads: its position and its slug.
fn place(cursor: &str) -> Option<(i64, String)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (position, slug) = text.split_once('.')?;
    Some((position.parse().ok()?, slug.to_owned()))
}

/// One of them
#[utoipa::path(get, path = "/{slug}", tag = "cms", params(("slug" = String, Path)),
    responses((status = 200, description = "As it is now", body = Term), Refusal))]
pub(super) async fn read_term(
    State(cms): State<Shared>,
    Extension(kind): Extension<TermKind>,
    caller: Caller,
    Segments(slug): Segments<String>,
) -> Result<Response, RouteError> {
    let found = terms::find(&mut cms.db.reader().await?, kind, &slug).await?;
    let term = found.ok_or(RouteError::NotFound(kind.name()))?;
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::TERMS]);
    Ok((cache, etag::versioned(term.version, &term)).into_response())
}

/// Make one
#[utoipa::path(post, path = "/", tag = "cms", request_body = NewTerm,
    responses((status = 201, description = "Made", body = Term), Refusal))]
pub(super) async fn create_term(
    State(cms): State<Shared>,
    Extension(kind): Extension<TermKind>,
    by: SignedIn,
    Payload(new): Payload<NewTerm>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let name = fields::name(&mut check, &new.name);
    let slug = slug(&mut check, kind, new.slug, &name);
    let description = fields::description(&mut check, &new.description);
    let position = fields::position(&mut check, new.position);
    check.done()?;
    let created_at = by.context.now;
    let term = Term { description, position, ..Term::named(slug, name, created_at) };
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            if !terms::insert(writing.tx, kind, &term).await? {
                let taken = "there is one with this slug; choose another";
                return Err(Problem::new(ProblemKind::Conflict, taken).code("slug_taken").into());
            }
            writing.tx.makes_old([tags::TERMS]);
            let target = format!("{}:{}", kind.name(), term.slug);
            let made = serde_json::to_value(&term).ok();
            writing.audit(action(kind, "create"), target, (None, made));
            let there = format!("{}/{}", route(kind), term.slug);
            let answer = Answer::versioned(StatusCode::CREATED, term.version, &term);
            Ok(answer.header(header::LOCATION, &there))
        })
    })
    .await
}

fn slug(check: &mut Check, kind: TermKind, given: Option<String>, name: &str) -> String {
    match (kind, given) {
        (TermKind::Category, Some(given)) => fields::slug(check, &given),
        (TermKind::Category, None) => names::slug(name, "category"),
        (TermKind::Tag, given) => {
            let text = given.unwrap_or_else(|| name.to_owned());
            names::tag(&text).unwrap_or_else(|| {
                let message = "must be 1 to 30 letters, digits, or any of - _ . + #";
                check.fail("slug", "invalid", message);
                text
            })
        }
    }
}

/// Change one
///
/// `If-Match` has to name the version that is changed.
#[utoipa::path(patch, path = "/{slug}", tag = "cms",
    params(("slug" = String, Path), ("If-Match" = String, Header)), request_body = TermPatch,
    responses((status = 200, description = "As it is now", body = Term), Refusal))]
pub(super) async fn edit_term(
    State(cms): State<Shared>,
    Extension(kind): Extension<TermKind>,
    by: SignedIn,
    Segments(slug): Segments<String>,
    if_match: IfMatch,
    Payload(patch): Payload<TermPatch>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let name = patch.name.map(|text| fields::name(&mut check, &text));
    let description = patch.description.map(|text| fields::description(&mut check, &text));
    let position = patch.position.map(|given| fields::position(&mut check, given));
    check.done()?;
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            let found = terms::held(writing.tx, kind, &slug).await?;
            let before = found.ok_or(RouteError::NotFound(kind.name()))?;
            if_match.required()?.check(before.version)?;
            let mut after = Term {
                name: name.unwrap_or_else(|| before.name.clone()),
                description: description.unwrap_or_else(|| before.description.clone()),
                position: position.unwrap_or(before.position),
                ..before.clone()
            };
            if after == before {
                writing.tx.makes_nothing_old();
                return Ok(Answer::versioned(StatusCode::OK, before.version, &before));
            }
            after.version += 1;
            terms::update(writing.tx, kind, &after).await?;
            writing.tx.makes_old([tags::TERMS, tags::ARTICLES]);
            let target = format!("{}:{slug}", kind.name());
            let [was, is] = [&before, &after].map(|term| serde_json::to_value(term).ok());
            writing.audit(action(kind, "edit"), target, (was, is));
            Ok(Answer::versioned(StatusCode::OK, after.version, &after))
        })
    })
    .await
}

/// Remove one that no article has
#[utoipa::path(delete, path = "/{slug}", tag = "cms",
    params(("slug" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204, description = "Gone"), Refusal))]
pub(super) async fn delete_term(
    State(cms): State<Shared>,
    Extension(kind): Extension<TermKind>,
    by: SignedIn,
    Segments(slug): Segments<String>,
    if_match: IfMatch,
) -> Result<Answer, RouteError> {
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            let found = terms::held(writing.tx, kind, &slug).await?;
            let term = found.ok_or(RouteError::NotFound(kind.name()))?;
            if_match.check(term.version)?;
            if terms::is_used(writing.tx, kind, &slug).await? {
                return Err(RouteError::Conflict(
                    "there are articles with it, perhaps deleted ones",
                ));
            }
            terms::delete(writing.tx, kind, &slug).await?;
            writing.tx.removes([tags::TERMS]);
            let target = format!("{}:{slug}", kind.name());
            writing.audit(action(kind, "delete"), target, (serde_json::to_value(&term).ok(), None));
            Ok(Answer::no_content())
        })
    })
    .await
}

fn action(kind: TermKind, verb: &str) -> &'static str {
    match (kind, verb) {
        (TermKind::Category, "create") => "cms_category.create",
        (TermKind::Category, "edit") => "cms_category.edit",
        (TermKind::Category, _) => "cms_category.delete",
        (TermKind::Tag, "create") => "cms_tag.create",
        (TermKind::Tag, "edit") => "cms_tag.edit",
        (TermKind::Tag, _) => "cms_tag.delete",
    }
}
