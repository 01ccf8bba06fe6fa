//! Between messages and HTTP: an envelope becomes a request to the router, the router's
//! response becomes a reply.

use std::sync::Arc;

use axum::Router;
use axum::body::Body as HttpBody;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use tower::Service as _;

use super::label::Label;
use crate::access::within_scopes;
use crate::data::{PURGE, RequestShape, WriteContext};
use crate::http::{EventStream, Received, Tags};
use crate::ids::hex;
use crate::keys::sha256;
use crate::message::{
    BlobRef, Body, Envelope, Extensions, IdempotencyKey, KeyOrigin, Payload, Principal, Refusal,
    Reply, TraceContext,
};
use crate::problem::{Kind, OutcomeUnknown, Problem};
use crate::purge::Begun;
use crate::time::Timestamp;

/// Below this, nothing comes from outside: the gateway has no such routes.
const INTERNAL: &str = "/.panel/";

/// What a handler may know of a request beside the HTTP of it. In the request's extensions.
#[derive(Debug)]
pub struct Request {
    /// On whose behalf.
    pub principal: Principal,
    /// The moment work on it began.
    pub now: Timestamp,
    /// When nobody waits any more.
    pub deadline: Timestamp,
    /// The id under which logs know it.
    pub request_id: String,
    /// Its trace.
    pub trace: TraceContext,
    /// The client's address.
    pub client_ip: Option<String>,
    /// Whether nobody wants the body of the answer: the client has sent a HEAD.
    pub is_head: bool,
    /// Whether it is a copy of one that was answered elsewhere: nobody reads the answer.
    pub is_mirrored: bool,
    /// What the browser carries of a sign-in through somebody else.
    pub sign_in: Option<String>,
    /// For writes: under which key.
    pub idempotency_key: Option<IdempotencyKey>,
    /// What it is about to make old.
    begun: Begun,
    method: Method,
    uri: Uri,
    body: Bytes,
}

impl Request {
    /// What a handler knows of a request that came by another way than a front door: the
    /// comparison program of the benchmarks serves routers without any.
    #[must_use]
    pub fn direct(
        principal: Principal,
        idempotency_key: Option<IdempotencyKey>,
        (method, uri, body): (Method, Uri, Bytes),
        (now, deadline): (Timestamp, Timestamp),
    ) -> Self {
        Self {
            principal,
            now,
            deadline,
            request_id: String::new(),
            trace: TraceContext::begin(),
            client_ip: None,
            is_head: false,
            is_mirrored: false,
            sign_in: None,
            idempotency_key,
            begun: Begun::default(),
            method,
            uri,
            body,
        }
    }

    /// What an exactly-once write needs.
    ///
    /// # Errors
    /// 400 if the request carries no key: it was not sent as a write.
    pub fn write_context(&self) -> Result<WriteContext, Problem> {
        let key = self
            .idempotency_key
            .clone()
            .ok_or_else(|| Problem::new(Kind::BadRequest, "a write needs an idempotency key"))?;
        Ok(self.context(key))
    }

    /// The same for what is sent as a read and changes something nevertheless: `secret` is known to
    /// who has sent it alone, and makes two requests the same write.
    #[must_use]
    pub fn write_context_by(&self, secret: &str) -> WriteContext {
        let value = hex(&sha256(&[b"idempotency", secret.as_bytes()]));
        self.context(IdempotencyKey { value, origin: KeyOrigin::Gateway })
    }

    fn context(&self, key: IdempotencyKey) -> WriteContext {
        let path = self.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        let shape = RequestShape { method: &self.method, path, body: self.body.as_ref() };
        WriteContext::new(
            self.principal.clone(),
            key,
            shape,
            self.now,
            self.client_ip.clone(),
            self.request_id.clone(),
        )
        .noting(&self.begun)
    }
}

/// Lets the router of `service` answer, if who asks may ask it.
pub(super) async fn serve(
    (service, router): (&str, &Router),
    envelope: Envelope,
    begun: &Begun,
    now: Timestamp,
) -> Reply {
    // What services ask of each other was checked by the one that was asked first.
    let is_internal = envelope.uri.path().starts_with(INTERNAL);
    if !is_internal
        && let Err(problem) = within_scopes(&envelope.principal, service, &envelope.method)
    {
        return Reply::problem(&problem);
    }
    let wants_options = envelope.method == Method::OPTIONS;
    let (mut request, body) = match envelope.body {
        Payload::Inline(body) => (http::Request::new(HttpBody::from(body.clone())), body),
        Payload::Blob(blob) => {
            // The same file is the same request, wherever it lies.
            let body = Bytes::copy_from_slice(&sha256(&[b"blob", &blob.sha256]));
            let mut request = http::Request::new(HttpBody::empty());
            request.extensions_mut().insert(Received(blob));
            (request, body)
        }
    };
    *request.method_mut() = envelope.method.clone();
    *request.headers_mut() = envelope.headers;
    *request.uri_mut() = envelope.uri.clone();
    request.extensions_mut().insert(Arc::new(Request {
        client_ip: envelope.extensions.text(Extensions::CLIENT_IP).map(str::to_owned),
        is_head: envelope.extensions.get(Extensions::HEAD).is_some(),
        is_mirrored: envelope.extensions.get(Extensions::MIRRORED).is_some(),
        sign_in: envelope.extensions.text(Extensions::SIGN_IN).map(str::to_owned),
        principal: envelope.principal,
        now,
        deadline: envelope.deadline,
        request_id: envelope.request_id,
        trace: envelope.trace,
        idempotency_key: envelope.idempotency_key,
        begun: begun.clone(),
        method: envelope.method,
        uri: envelope.uri,
        body,
    }));
    // A router is always ready; its error type has no values.
    let Ok(response) = router.clone().call(request).await;
    into_reply(response, wants_options).await
}

async fn into_reply(response: Response, wants_options: bool) -> Reply {
    let (mut parts, body) = response.into_parts();
    if parts.extensions.get::<OutcomeUnknown>().is_some() {
        // The gateway sends it again, under the same key.
        return Reply::refuse(Refusal::Aborted);
    }
    let body = if let Some(blob) = parts.extensions.remove::<BlobRef>() {
        Body::Blob(blob)
    } else if let Some(EventStream { topics, after_id }) = parts.extensions.remove() {
        Body::Stream { topics, after_id }
    } else {
        match body.collect().await {
            Ok(collected) => Body::Inline(collected.to_bytes()),
            Err(_) => return Reply::problem(&Problem::internal()),
        }
    };
    let mut reply = Reply {
        status: parts.status,
        headers: std::mem::take(&mut parts.headers),
        body,
        refusal: None,
        extensions: Extensions::default(),
    };
    // For gateways, and never for clients.
    if let Some(purge) = reply.headers.remove(PURGE) {
        reply.extensions.set(Extensions::PURGE, purge.as_bytes().to_vec());
    }
    if let Some(Tags(tags)) = parts.extensions.remove() {
        reply.extensions.set(Extensions::TAGS, tags.join(" "));
    }
    if let Some(Label(matched)) = parts.extensions.remove() {
        reply.extensions.set(Extensions::ROUTE, matched.as_str().to_owned());
    }
    if wants_options && reply.status == StatusCode::METHOD_NOT_ALLOWED {
        return allow(reply);
    }
    if reply.status.is_client_error() || reply.status.is_server_error() {
        return as_problem(reply);
    }
    reply
}

/// OPTIONS on a route that exists: what its 405 says, as an answer.
fn allow(mut reply: Reply) -> Reply {
    let allowed = reply.headers.get(header::ALLOW).and_then(|value| value.to_str().ok());
    let allowed = allowed.map_or_else(|| "OPTIONS".to_owned(), |list| format!("{list},OPTIONS"));
    reply.status = StatusCode::NO_CONTENT;
    reply.headers.clear();
    if let Ok(value) = HeaderValue::from_str(&allowed) {
        reply.headers.insert(header::ALLOW, value);
    }
    reply.body = Body::Inline(Bytes::new());
    reply
}

/// Refusals that libraries make (no route, wrong method, wrong type) are bare; clients rely on
/// problems. A page that says so is for people, and no library makes one.
fn as_problem(reply: Reply) -> Reply {
    let is_said = reply.headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes() == crate::problem::MEDIA_TYPE.as_bytes()
            || value.as_bytes().starts_with(b"text/html")
    });
    if is_said {
        return reply;
    }
    let kind = Kind::from_status(reply.status);
    let detail = match (kind, &reply.body) {
        (Kind::NotFound, _) => "there is no such route".to_owned(),
        (Kind::MethodNotAllowed, _) => "see Allow for the methods this route has".to_owned(),
        (Kind::Internal, _) => "the fault is logged under this request id".to_owned(),
        (_, Body::Inline(text)) if !text.is_empty() => String::from_utf8_lossy(text).into_owned(),
        _ => kind.title().to_lowercase(),
    };
    let mut problem = Reply::problem(&Problem::new(kind, detail));
    if let Some(allow) = reply.headers.get(header::ALLOW) {
        problem.headers.insert(header::ALLOW, allow.clone());
    }
    problem.extensions = reply.extensions;
    problem
}
