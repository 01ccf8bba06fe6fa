//! `/.panel/people`: what accounts are called, for services that name them. Nothing a client sends comes here.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use panel_kernel::http::{Params, RouteError};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use serde::{Deserialize, Serialize};

use super::Shared;
use crate::store::users;

/// The most accounts that are asked for at a time.
const MOST: usize = 20;

/// The routes.
pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/.panel/people", get(read))
}

/// Which accounts: their ids, with commas between them.
#[derive(Debug, Deserialize)]
struct Query {
    ids: String,
}

/// Those of them that there are.
#[derive(Debug, Serialize)]
struct People {
    people: Vec<Named>,
}

/// An account, and the name shown.
#[derive(Debug, Serialize)]
struct Named {
    id: Id,
    name: String,
}

async fn read(
    State(app): State<Shared>,
    Params(query): Params<Query>,
) -> Result<Json<People>, RouteError> {
    let ids: Result<Vec<Id>, _> = query.ids.split(',').take(MOST).map(str::parse).collect();
    let ids = ids.map_err(|_| Problem::field("ids", "invalid", "must be ids of accounts"))?;
    let mut conn = app.db.reader().await?;
    let mut people = Vec::new();
    for id in ids {
        let found = users::by_id(&mut conn, id).await?;
        people.extend(found.map(|row| Named { id, name: row.display_name }));
    }
    Ok(Json(People { people }))
}
