//! Routes: parse, decide by `rules`, write by `store`, answer.

use axum::extract::State;
use axum::{Json, Router};
use http::StatusCode;
use panel_kernel::access::{Guarded as _, Need};
use panel_kernel::cursor::Cursors;
use panel_kernel::data::{Answer, Audit, Database};
use panel_kernel::http::{Listing, PageQuery, Params, Payload, Write};
use panel_kernel::problem::{Problem, ProblemBody};
use panel_kernel::service::ServiceContext;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::events::EntrySigned;
use super::rules;
use super::store::{self, Entry};

/// The list that cursors are good for.
const LIST: &str = "guestbook.entries";

/// What handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct App {
    db: Database,
    cursors: Cursors,
    max_chars: usize,
}

impl App {
    pub(crate) fn new(context: &ServiceContext, max_chars: usize) -> Self {
        let runtime = &context.runtime;
        Self { db: context.db.clone(), cursors: runtime.cursors.clone(), max_chars }
    }
}

/// A new entry.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewEntry {
    /// What is to be written.
    text: String,
}

/// Sign the guestbook
#[utoipa::path(post, path = "/api/v2/guestbook/entries", tag = "guestbook",
    request_body = NewEntry,
    responses((status = 201, body = Entry), (status = 401, body = ProblemBody),
              (status = 422, body = ProblemBody)))]
async fn sign(
    State(app): State<App>,
    Write(context): Write,
    Payload(new): Payload<NewEntry>,
) -> Result<Answer, Problem> {
    let signer = rules::signer(&context.principal)?;
    let entry = Entry {
        id: app.db.next_id().await?,
        author_id: signer.id,
        author_name: signer.name.clone(),
        text: rules::text(&new.text, app.max_chars)?,
        created_at: context.now,
    };
    let request = context.clone();
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                store::insert(tx, &entry).await?;
                tx.publish(&EntrySigned { id: entry.id, author_id: entry.author_id });
                tx.audit(&Audit {
                    action: "entry.sign",
                    target: format!("entry:{}", entry.id),
                    before: None,
                    after: serde_json::to_value(&entry).ok(),
                    context: &request,
                });
                Ok(Answer::json(StatusCode::CREATED, &entry))
            })
        })
        .await
}

/// Entries, newest first
#[utoipa::path(get, path = "/api/v2/guestbook/entries", tag = "guestbook", params(PageQuery),
    responses((status = 200, body = Listing<Entry>), (status = 400, body = ProblemBody),
              (status = 422, body = ProblemBody)))]
async fn list(
    State(app): State<App>,
    Params(query): Params<PageQuery>,
) -> Result<Json<Listing<Entry>>, Problem> {
    let page = query.newest_first(&app.cursors, LIST)?;
    let (before, limit) = (page.before, page.fetch());
    let entries: Result<Vec<Entry>, Problem> =
        app.db.read(|conn| Box::pin(store::newest(conn, before, limit))).await;
    Ok(Json(page.listing(entries?, |entry| entry.id)))
}

/// The documented routes, each with what it needs of who asks.
fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().guarded(Need::Nothing, routes!(list)).guarded(Need::Account, routes!(sign))
}

/// Their documentation.
pub(crate) fn openapi() -> OpenApi {
    routes().into_openapi()
}

/// All routes, ready to answer.
pub(crate) fn router(app: App) -> Router {
    Router::from(routes()).with_state(app)
}
