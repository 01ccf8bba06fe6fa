//! What services ask of each other: to do what another alone may do, or to tell what another alone knows, in the
//! name of who asked this one; and to tell something for themselves. Each is tried once, with one member.
//!
//! What is done in somebody's name is done under the same idempotency key, so that it is done once however
//! often either is asked, and by the same deadline. What it has made old, the other tells the gateways itself; and by
//! what makes old what it has told, an answer is made old in which that is shown ([`tag_of`]).

use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{RequestMeta, Runtime};
use crate::data::PURGE;
use crate::directory::CallError;
use crate::http::tag_of;
use crate::ids::random_hex;
use crate::message::{
    Body, Envelope, Extensions, Payload, Principal, Refusal, Reply, TraceContext,
};
use crate::problem::{Kind, Problem};
use crate::purge::Purge;

/// Sends it to a member of `service`, and gives its answer. `path` is one of those that services answer
/// to each other alone (`/.panel/…`). It is tried once: who asked this service asks again.
///
/// # Errors
/// 503 with the service's name if it can't be asked; one that says so if the outcome is not known.
pub async fn forward<T: Serialize>(
    runtime: &Runtime,
    service: &'static str,
    asked: &RequestMeta,
    (method, path): (Method, &str),
    body: &T,
) -> Result<Response, Problem> {
    let body = serde_json::to_vec(body).map_err(|_| Problem::internal())?;
    let mut envelope = envelope(asked, method, path)?;
    let json = HeaderValue::from_static("application/json");
    envelope.headers.insert(header::CONTENT_TYPE, json);
    envelope.body = Payload::Inline(body.into());
    envelope.idempotency_key.clone_from(&asked.idempotency_key);
    call(runtime, service, envelope).await.map(response)
}

/// What another service has told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<T> {
    /// What it is.
    pub value: T,
    /// By which an answer is made old in which it is shown: with
    /// [`CacheFor::tagged`](crate::http::CacheFor::tagged).
    pub tags: Vec<String>,
}

/// Asks a member of `service` for what is at `path`, one of those that services answer to each other alone, as
/// whoever asked this one may see it. It waits for that so long, and no longer than they do.
///
/// # Errors
/// 503 with the service's name if it can't be asked or does not say it, 504 if it takes too long.
pub async fn read<T: DeserializeOwned>(
    runtime: &Runtime,
    service: &'static str,
    asked: &RequestMeta,
    path: &str,
    patience: Duration,
) -> Result<Told<T>, Problem> {
    let mut envelope = envelope(asked, Method::GET, path)?;
    envelope.deadline = envelope.deadline.min(runtime.clock.now().plus(patience));
    let reply = call(runtime, service, envelope).await?;
    let said = reply.extensions.text(Extensions::TAGS).unwrap_or_default();
    let tags = said.split_whitespace().map(|tag| tag_of(service, tag)).collect();
    let body = content(service, reply)?;
    let value = serde_json::from_slice(&body).map_err(|error| {
        tracing::warn!(service, %error, "another service's answer is of no use");
        Problem::unavailable(service, format!("{service} is of another release"))
    })?;
    Ok(Told { value, tags })
}

/// A request in somebody's name.
fn envelope(asked: &RequestMeta, method: Method, path: &str) -> Result<Envelope, Problem> {
    let mut extensions = Extensions::default();
    if let Some(client) = &asked.client_ip {
        extensions.set(Extensions::CLIENT_IP, client.clone());
    }
    let is_known = !asked.request_id.is_empty();
    Ok(Envelope {
        method,
        uri: path.parse().map_err(|_| Problem::internal())?,
        headers: HeaderMap::new(),
        body: Payload::EMPTY,
        principal: asked.principal.clone(),
        deadline: asked.deadline,
        idempotency_key: None,
        trace: asked.trace.child(),
        request_id: if is_known { asked.request_id.clone() } else { random_hex() },
        extensions,
    })
}

/// How long a service may take to answer another.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks a member of `service` for what is at `path`, one of those that services answer to each other alone.
/// It waits in line with clients: it can be much, and nobody's safety hangs on it.
///
/// # Errors
/// 503 with the service's name if it can't be asked; else what it refused with.
pub(crate) async fn ask(
    runtime: &Runtime,
    service: &'static str,
    path: &str,
) -> Result<Bytes, Problem> {
    let envelope = Envelope {
        method: Method::GET,
        uri: path.parse().map_err(|_| Problem::internal())?,
        headers: HeaderMap::new(),
        body: Payload::EMPTY,
        principal: Principal::Service(Principal::FOR_CLIENTS.to_owned()),
        deadline: runtime.clock.now().plus(PATIENCE),
        idempotency_key: None,
        trace: TraceContext::begin(),
        request_id: random_hex(),
        extensions: Extensions::default(),
    };
    content(service, call(runtime, service, envelope).await?)
}

/// What a reply says, if it is not that there is no answer.
fn content(service: &'static str, reply: Reply) -> Result<Bytes, Problem> {
    match reply.body {
        Body::Inline(body) if reply.status.is_success() => Ok(body),
        _ => match Kind::from_status(reply.status) {
            Kind::Unavailable => Err(Problem::unavailable(service, "is not ready")),
            kind => Err(Problem::new(kind, format!("{service} answered {}", reply.status))),
        },
    }
}

/// Asks a member, and says why there is no answer.
async fn call(
    runtime: &Runtime,
    service: &'static str,
    envelope: Envelope,
) -> Result<Reply, Problem> {
    let unavailable = |how: &str| Problem::unavailable(service, format!("{service} is {how}"));
    let member = runtime.directory.any(service).ok_or_else(|| unavailable("not available"))?;
    let called = tokio::select! {
        called = member.call(envelope, &runtime.clock) => called,
        // It may yet do it, and would be waited for in vain.
        () = member.troubled() => return Err(Problem::outcome_unknown()),
    };
    match called {
        Ok(reply) => match reply.refusal {
            None => Ok(reply),
            Some(Refusal::Aborted) => Err(Problem::outcome_unknown()),
            Some(_) => Err(unavailable("at capacity")),
        },
        Err(CallError::Full) => Err(unavailable("at capacity")),
        Err(CallError::NotSent) => Err(unavailable("not available")),
        Err(CallError::TimedOut) => {
            let detail = format!("{service} did not answer in time");
            Err(Problem::new(Kind::DeadlineExceeded, detail))
        }
        Err(CallError::Lost | CallError::Unreadable) => Err(Problem::outcome_unknown()),
    }
}

fn response(reply: Reply) -> Response {
    let Body::Inline(body) = reply.body else { return Problem::internal().into_response() };
    let mut response = Response::new(HttpBody::from(body));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    if reply.extensions.text(Extensions::PURGE).is_some() {
        // Of this service's answers; of its own the other tells.
        let nothing = HeaderValue::try_from(Purge::nothing().to_text());
        response.headers_mut().extend(nothing.ok().map(|nothing| (PURGE, nothing)));
    }
    response
}
