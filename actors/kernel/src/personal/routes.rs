//! The answering side.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;

use super::{Kinds, PATH, Page, Records};
use crate::data::{Database, DbError};
use crate::faults;
use crate::http::{Caller, Params};
use crate::ids::Id;
use crate::problem::Problem;
use crate::service::insiders_only;

#[derive(Clone)]
struct Holder {
    db: Database,
    records: Arc<[Records]>,
}

/// The routes of a service that has these.
pub(crate) fn routes(db: Database, records: Arc<[Records]>) -> Router {
    Router::new()
        .route(PATH, get(kinds))
        .route(&format!("{PATH}/{{kind}}"), get(page))
        .with_state(Holder { db, records })
}

async fn kinds(State(holder): State<Holder>, caller: Caller) -> Result<Json<Kinds>, Problem> {
    insiders_only(&caller)?;
    let kinds = holder.records.iter().map(|records| records.name.to_owned()).collect();
    Ok(Json(Kinds { kinds }))
}

#[derive(Deserialize)]
struct Wanted {
    person: Id,
    after: Option<i64>,
}

async fn page(
    State(holder): State<Holder>,
    caller: Caller,
    Path(kind): Path<String>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Page>, Problem> {
    insiders_only(&caller)?;
    let records = holder.records.iter().find(|records| records.name == kind);
    let records = records.ok_or_else(|| Problem::not_found("kind of record"))?;
    faults::pass(&faults::RECORDS_PAGE).await.map_err(DbError::from)?;
    let mut conn = holder.db.reader().await?;
    Ok(Json(records.page(&mut conn, wanted.person, wanted.after.unwrap_or(i64::MIN)).await?))
}
