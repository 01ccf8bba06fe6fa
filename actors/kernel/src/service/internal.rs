//! Routes that every service answers to other services and to the gateway, never to clients.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use utoipa::openapi::OpenApi;

use crate::data::{Database, DatabaseHealth};
use crate::events::{self, Batch, Consumer};
use crate::http::{Caller, Params, Payload};
use crate::ids::Id;
use crate::message::Principal;
use crate::problem::{Kind, Problem};
use crate::purge::Purge;
use crate::push::{Missed, STREAMS_PATH, StreamSource};

/// Where a service's part of the OpenAPI document is.
pub const OPENAPI_PATH: &str = "/.panel/openapi.json";

/// Where a service says that it answers: through its front door, by one of its workers.
pub const PING_PATH: &str = "/.panel/ping";

/// The most events in one answer.
const MOST_MISSED: u32 = 100;

#[derive(Clone)]
struct Internal {
    db: Database,
    consumer: Option<Arc<dyn Consumer>>,
    streams: Option<Arc<dyn StreamSource>>,
    openapi: Arc<OpenApi>,
}

/// Which events.
#[derive(Deserialize)]
struct MissedQuery {
    topic: String,
    after: Id,
    limit: u32,
}

pub(super) fn routes(
    db: Database,
    consumer: Option<Arc<dyn Consumer>>,
    streams: Option<Arc<dyn StreamSource>>,
    openapi: OpenApi,
) -> Router {
    Router::new()
        .route(events::PATH, post(take_facts))
        .route(OPENAPI_PATH, get(document))
        .route(PING_PATH, get(ping))
        .route(STREAMS_PATH, get(missed))
        .with_state(Internal { db, consumer, streams, openapi: Arc::new(openapi) })
}

/// Only other services: nothing a client sends can carry this principal.
pub(crate) fn insiders_only(caller: &Caller) -> Result<(), Problem> {
    match caller.principal {
        Principal::Service(_) => Ok(()),
        _ => Err(Problem::new(Kind::NotFound, "there is no such route")),
    }
}

/// 204, or 503 while it has no database: it answers, and can do little.
async fn ping(State(internal): State<Internal>, caller: Caller) -> Result<StatusCode, Problem> {
    insiders_only(&caller)?;
    Ok(match internal.db.health() {
        DatabaseHealth::Up | DatabaseHealth::ReadOnly(_) => StatusCode::NO_CONTENT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    })
}

async fn take_facts(
    State(internal): State<Internal>,
    caller: Caller,
    Payload(batch): Payload<Batch>,
) -> Result<(Purge, StatusCode), Problem> {
    insiders_only(&caller)?;
    let Some(consumer) = &internal.consumer else {
        return Err(Problem::new(Kind::NotFound, "nothing here listens to facts"));
    };
    let purge = events::receive(&internal.db, consumer, batch).await?;
    Ok((purge, StatusCode::NO_CONTENT))
}

/// What came after an event.
async fn missed(
    State(internal): State<Internal>,
    caller: Caller,
    Params(MissedQuery { topic, after, limit }): Params<MissedQuery>,
) -> Result<Json<Missed>, Problem> {
    insiders_only(&caller)?;
    let Some(streams) = &internal.streams else {
        return Err(Problem::new(Kind::NotFound, "nothing here has streams"));
    };
    let limit = limit.clamp(1, MOST_MISSED);
    let events = streams.since(&topic, after, limit).await?;
    let more = events.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(Json(Missed { events, more }))
}

async fn document(
    State(internal): State<Internal>,
    caller: Caller,
) -> Result<Json<Arc<OpenApi>>, Problem> {
    insiders_only(&caller)?;
    Ok(Json(internal.openapi))
}
