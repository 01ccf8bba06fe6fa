//! The routes of the forum.

mod categories;
mod posts;
mod thread_list;
mod threads;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{StatusCode, header};
use panel_kernel::cursor::Cursors;
use panel_kernel::data::{Answer, Database, WriteContext};
use panel_kernel::http::Write;
use panel_kernel::ids::Ids;
use panel_kernel::message::User;
use panel_kernel::problem::{FieldError, Kind, Problem, ProblemBody};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::OpenApi;
use utoipa::{IntoResponses, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::ForumError;
use crate::store::thread_list::Sort;
use crate::view_counter::Views;

/// What routes work with.
#[derive(Debug)]
pub(crate) struct Forum {
    pub(crate) db: Database,
    pub(crate) ids: Ids,
    pub(crate) cursors: Cursors,
    pub(crate) views: Views,
    pub(crate) max_body_chars: usize,
}

/// The forum as routes share it.
type Shared = Arc<Forum>;

/// The routes, running on `forum`.
pub(crate) fn router(forum: Shared) -> Router {
    Router::from(documented()).with_state(forum)
}

/// Their documentation.
pub(crate) fn openapi() -> OpenApi {
    documented().into_openapi()
}

fn documented() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(categories::list_categories, categories::create_category))
        .routes(routes!(
            categories::read_category,
            categories::edit_category,
            categories::delete_category
        ))
        .routes(routes!(thread_list::list_threads, threads::create_thread))
        .routes(routes!(threads::read_thread, threads::edit_thread, threads::delete_thread))
        .routes(routes!(posts::list_posts, posts::create_post))
        .routes(routes!(posts::read_post, posts::edit_post, posts::delete_post))
}

/// Schemas that routes only refer to.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(ProblemBody, FieldError, Sort)))]
struct Document;

/// A refusal, as every route may answer.
#[derive(IntoResponses)]
#[response(status = "4XX", description = "A refusal", content_type = "application/problem+json")]
struct Refusal(#[allow(dead_code, reason = "only its shape matters")] ProblemBody);

/// A write by somebody who is signed in; anybody else gets 401 before anything is read.
struct SignedIn {
    user: User,
    context: WriteContext,
}

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Write(context) = Write::from_request_parts(parts, state).await?;
        Ok(Self { user: context.principal.user()?.clone(), context })
    }
}

/// The answer to a write: the thing as it is now, with its tag.
fn shown<T: Serialize>(status: StatusCode, version: i64, thing: &T) -> Answer {
    Answer::versioned(status, version, thing)
}

/// The answer to a write that made something, with its address.
fn created<T: Serialize>(address: &str, version: i64, thing: &T) -> Answer {
    shown(StatusCode::CREATED, version, thing).header(header::LOCATION, address)
}

/// The place in a list that a cursor names.
fn place<const N: usize>(
    forum: &Forum,
    scope: &str,
    cursor: Option<&str>,
) -> Result<Option<[i64; N]>, ForumError> {
    cursor
        .map(|text| forum.cursors.decode(scope, text))
        .transpose()
        .map_err(|bad| Problem::new(Kind::BadRequest, bad.to_string()).into())
}

/// For fields of a PATCH: told apart from absent ones, so that `null` is a value.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
