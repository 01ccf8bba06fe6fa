//! A service whose routes do what tests of the machinery need.
//!
//! | route under `/api/v2/probe` | |
//! |---|---|
//! | GET `ok` | 200 `{"ok": true}` |
//! | GET, POST `echo` | what the handler saw: method, query, headers, body, principal, key, times |
//! | GET, POST `panic` | the handler panics |
//! | GET, POST `stall` | the handler never answers |
//! | GET `slow?ms=` | 200 after that time |
//! | GET `shared?control=&vary=&tags=&ms=` | how often it was asked, after that time, with these headers and tags |
//! | POST `write` `{"value", "fault"?, "purge"?}` | one row in `effects`, exactly once; 201 `{"id", "value"}` |
//! | POST `files?key=` | the file that is its body, kept under `kept/<key>`; 201 `{"key", "bytes", "sha256", "media_type"}`, exactly once; 422 without a key |
//! | GET `effects` | `{"count", "values"}` |
//! | GET `counts` | how often each handler was entered: `{"ok": 3, …}` |
//!
//! It is also the identity service of its rig: it reports the rig's own signing key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use panel_kernel::access::{Guarded as _, Need};
use panel_kernel::blobs::Blobs;
use panel_kernel::config::PoolConfig;
use panel_kernel::data::{Answer, Database, DbError, Migrations, REPLAYED, sql};
use panel_kernel::http::{CacheFor, Caller, Params, Payload, Upload, Write};
use panel_kernel::identity::{IdentityReport, PATH as IDENTITY};
use panel_kernel::ids::{Id, hex};
use panel_kernel::message::Principal;
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::purge::Purge;
use panel_kernel::service::{Assembly, ServiceContext, ServiceSpec};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::issuer::Issuer;

/// The longest file that it takes, in bytes.
pub const LONGEST_FILE: u64 = 6 * 1024 * 1024;

/// Its name.
pub const NAME: &str = "probe";

/// A probe, and what its handlers have counted. Clones count together, over all restarts.
#[derive(Clone, Debug, Default)]
pub struct Probe {
    counts: Arc<Mutex<BTreeMap<&'static str, u64>>>,
    failing: Arc<AtomicBool>,
    /// Signs the tokens its rig's gateway takes.
    pub issuer: Issuer,
}

/// How a `write` goes wrong, if it is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Panics in the transaction, after the insert.
    PanicInside,
    /// Panics after the commit: the client never hears of it.
    PanicAfter,
    /// Answers 409 after the insert, which must therefore not last.
    Refuse,
    /// The connection is lost while committing, after it was done; a repetition works.
    LoseFirst,
    /// The same, for repetitions as well.
    LoseEvery,
}

#[derive(Clone)]
struct Handlers {
    probe: Probe,
    db: Database,
    blobs: Blobs,
}

#[derive(Deserialize)]
struct File {
    key: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Effect {
    value: String,
    fault: Option<Fault>,
    /// What it makes old; everything, if it does not say.
    purge: Option<Purge>,
}

#[derive(Deserialize)]
struct Slow {
    ms: u64,
}

#[derive(Deserialize)]
struct Sharing {
    control: Option<String>,
    vary: Option<String>,
    /// With commas between.
    tags: Option<String>,
    #[serde(default)]
    ms: u64,
}

impl Probe {
    /// One that has counted nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether `shared` is to answer 503 from now on.
    pub fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }

    /// How often the handler of this route was entered.
    #[must_use]
    pub fn count(&self, route: &str) -> u64 {
        self.counts.lock().get(route).copied().unwrap_or(0)
    }

    /// The service, with as many workers and waiting places as a service has by default.
    #[must_use]
    pub fn spec(&self) -> ServiceSpec {
        self.spec_with(PoolConfig::default())
    }

    /// The service with a pool of this size.
    #[must_use]
    pub fn spec_with(&self, pool: PoolConfig) -> ServiceSpec {
        let probe = self.clone();
        ServiceSpec {
            name: NAME,
            port: 5999,
            pages: &[],
            pool,
            migrations: migrations(),
            subscriptions: &[],
            openapi: || documented().into_openapi(),
            assemble: Arc::new(move |context| Assembly::new(probe.router(context))),
        }
    }

    fn router(&self, context: &ServiceContext) -> Router {
        let blobs = context.runtime.blobs.clone();
        let handlers = Handlers { probe: self.clone(), db: context.db.clone(), blobs };
        let routes = Router::new()
            .route("/ok", get(ok))
            .route("/echo", get(echo).post(echo))
            .route("/panic", get(panics).post(panics))
            .route("/stall", get(stall).post(stall))
            .route("/slow", get(slow))
            .route("/shared", get(shared))
            .route("/write", post(write))
            .route("/effects", get(effects))
            .route("/counts", get(counts));
        Router::new()
            .nest("/api/v2/probe", routes)
            .merge(Router::from(documented()))
            .route(IDENTITY, get(identity))
            .with_state(handlers)
    }

    fn enter(&self, route: &'static str) {
        *self.counts.lock().entry(route).or_default() += 1;
    }
}

/// The routes that the gateway must know of.
fn documented() -> OpenApiRouter<Handlers> {
    OpenApiRouter::new().uploading(Need::Account, LONGEST_FILE, routes!(files))
}

/// Keep a file
#[utoipa::path(post, path = "/api/v2/probe/files", tag = "probe", responses((status = 201)))]
async fn files(
    State(handlers): State<Handlers>,
    Write(context): Write,
    Params(File { key }): Params<File>,
    upload: Upload,
) -> Result<Answer, Problem> {
    handlers.probe.enter("files");
    let key = key.ok_or_else(|| Problem::field("key", "required", "say under which key"))?;
    let (key, blob) = (format!("kept/{key}"), upload.blob);
    let told = json!({
        "key": key,
        "bytes": blob.bytes,
        "sha256": hex(&blob.sha256),
        "media_type": upload.media_type,
    });
    let written = handlers.db.write(&context, move |_| {
        Box::pin(async move { Ok::<_, Problem>(Answer::json(StatusCode::CREATED, &told)) })
    });
    // First it is written down; whoever hears that the other failed does it again, under the same key.
    let answer = written.await?;
    handlers.blobs.adopt(&blob, &key).await?;
    Ok(answer)
}

/// The probe's schema.
#[must_use]
pub fn migrations() -> Migrations {
    static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("harness/migrations/sqlite");
    static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("harness/migrations/postgres");
    Migrations { sqlite: &SQLITE, postgres: &POSTGRES }
}

async fn ok(State(handlers): State<Handlers>) -> Json<Value> {
    handlers.probe.enter("ok");
    Json(json!({"ok": true}))
}

async fn echo(
    State(handlers): State<Handlers>,
    caller: Caller,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Json<Value> {
    handlers.probe.enter("echo");
    let headers: BTreeMap<&str, String> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    Json(json!({
        "method": method.as_str(),
        "path": uri.path(),
        "query": uri.query(),
        "headers": headers,
        "body": body,
        "principal": caller.principal.label(),
        "client_ip": caller.client_ip,
        "request_id": caller.request_id,
        "idempotency_key": caller.idempotency_key.as_ref().map(|key| key.value.clone()),
        "now": caller.now,
        "deadline": caller.deadline,
    }))
}

async fn panics(State(handlers): State<Handlers>) -> StatusCode {
    handlers.probe.enter("panic");
    panic!("the probe was asked to panic")
}

async fn stall(State(handlers): State<Handlers>) {
    handlers.probe.enter("stall");
    std::future::pending::<()>().await;
}

async fn slow(State(handlers): State<Handlers>, Params(slow): Params<Slow>) -> Json<Value> {
    handlers.probe.enter("slow");
    tokio::time::sleep(Duration::from_millis(slow.ms)).await;
    Json(json!({"ms": slow.ms}))
}

async fn shared(
    State(handlers): State<Handlers>,
    Params(sharing): Params<Sharing>,
) -> Result<Response, Problem> {
    handlers.probe.enter("shared");
    let count = handlers.probe.count("shared");
    tokio::time::sleep(Duration::from_millis(sharing.ms)).await;
    if handlers.probe.failing.load(Ordering::SeqCst) {
        return Err(Problem::unavailable(NAME, "as asked for"));
    }
    let tags = sharing.tags.unwrap_or_default();
    let tags = tags.split(',').filter(|tag| !tag.is_empty());
    let tags = CacheFor::everybody(&Principal::Anonymous).tagged(tags);
    let mut answer = (tags, Json(json!({"count": count}))).into_response();
    answer.headers_mut().remove(header::CACHE_CONTROL);
    let given = [(header::CACHE_CONTROL, sharing.control), (header::VARY, sharing.vary)];
    for (name, value) in given {
        let value = value.and_then(|value| value.parse::<HeaderValue>().ok());
        answer.headers_mut().extend(value.map(|value| (name, value)));
    }
    Ok(answer)
}

async fn write(
    State(handlers): State<Handlers>,
    Write(context): Write,
    Payload(effect): Payload<Effect>,
) -> Result<Answer, Problem> {
    handlers.probe.enter("write");
    let (id, fault, now) = (handlers.db.next_id().await?, effect.fault, context.now);
    let written = handlers
        .db
        .write(&context, move |tx| {
            Box::pin(async move {
                tx.execute(
                    sql("INSERT INTO effects (id, value, created_at) VALUES ($1, $2, $3)")
                        .bind(id)
                        .bind(&effect.value)
                        .bind(now),
                )
                .await?;
                if let Some(purge) = effect.purge {
                    tx.purges(purge);
                }
                match fault {
                    Some(Fault::PanicInside) => panic!("the probe was asked to panic inside"),
                    Some(Fault::Refuse) => Err(Problem::new(Kind::Conflict, "as asked for")),
                    _ => {
                        let body = json!({"id": id, "value": effect.value});
                        Ok::<_, Problem>(Answer::json(StatusCode::CREATED, &body))
                    }
                }
            })
        })
        .await;
    assert!(fault != Some(Fault::PanicAfter), "the probe was asked to panic after the commit");
    let answer = written?;
    let replayed = answer.clone().into_response().headers().contains_key(REPLAYED);
    match fault {
        Some(Fault::LoseEvery) => Err(DbError::OutcomeUnknown("as asked for".to_owned()).into()),
        Some(Fault::LoseFirst) if !replayed => {
            Err(DbError::OutcomeUnknown("as asked for".to_owned()).into())
        }
        _ => Ok(answer),
    }
}

async fn effects(State(handlers): State<Handlers>) -> Result<Json<Value>, Problem> {
    let rows: Vec<(Id, String)> =
        handlers.db.reader().await?.all(sql("SELECT id, value FROM effects ORDER BY id")).await?;
    let values: Vec<String> = rows.into_iter().map(|(_, value)| value).collect();
    Ok(Json(json!({"count": values.len(), "values": values})))
}

async fn counts(State(handlers): State<Handlers>) -> Json<Value> {
    Json(json!(*handlers.probe.counts.lock()))
}

async fn identity(
    State(handlers): State<Handlers>,
    caller: Caller,
) -> Result<Json<IdentityReport>, Problem> {
    match caller.principal {
        Principal::Service(_) => Ok(Json(handlers.probe.issuer.report())),
        _ => Err(Problem::new(Kind::NotFound, "there is no such route")),
    }
}
