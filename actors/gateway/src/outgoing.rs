//! An answer on its way out.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use panel_kernel::message::{BlobRef, Reply};
use panel_kernel::problem::{Kind, Problem};
use serde::Serialize;

use crate::cache::Kept;
use crate::server::{AnswerBody, HttpResponse};

/// An answer, before it is HTTP.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
}

/// What an answer consists of.
#[derive(Debug)]
pub(crate) enum Content {
    /// These bytes.
    Bytes(Bytes),
    /// Those of an answer that is kept.
    Kept(Arc<Kept>),
    /// What lies in the blob store.
    Blob(BlobRef),
    /// The same, or a part of it, as it comes.
    Open(AnswerBody),
    /// A stream of events, for whoever listens to these topics, after that one.
    Stream { topics: Vec<String>, after_id: Option<String> },
    /// So many bytes, which nobody wants to have.
    Announced(u64),
}

impl Content {
    /// Nothing.
    pub(crate) const EMPTY: Self = Self::Bytes(Bytes::new());
}

impl Outgoing {
    /// 200 with this value as JSON.
    pub(crate) fn json<T: Serialize>(value: &T) -> Result<Self, Problem> {
        let body = serde_json::to_vec(value).map_err(|_| Problem::internal())?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Self { status: StatusCode::OK, headers, content: Content::Bytes(body.into()) })
    }

    /// A refusal.
    pub(crate) fn problem(problem: &Problem, request_id: &str) -> Self {
        let reply = Reply::problem(problem);
        let body = serde_json::to_vec(&problem.body(request_id)).unwrap_or_default();
        let content = Content::Bytes(body.into());
        Self { status: reply.status, headers: reply.headers, content }
    }

    /// 204: the methods there are.
    pub(crate) fn allow(methods: &'static str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::ALLOW, HeaderValue::from_static(methods));
        Self { status: StatusCode::NO_CONTENT, headers, content: Content::EMPTY }
    }

    /// 405: the methods there are instead.
    pub(crate) fn not_allowed(methods: &'static str, request_id: &str) -> Self {
        let detail = "see Allow for the methods this route has";
        let mut refusal = Self::problem(&Problem::new(Kind::MethodNotAllowed, detail), request_id);
        refusal.headers.insert(header::ALLOW, HeaderValue::from_static(methods));
        refusal
    }

    /// As it leaves. HEAD is told the length and spared the body.
    pub(crate) fn into_http(mut self, method: &Method) -> HttpResponse {
        // The service's own count is of the body it sent, which the edge may have changed since.
        self.headers.remove(header::CONTENT_LENGTH);
        let body = match self.content {
            Content::Announced(length) => {
                self.headers.insert(header::CONTENT_LENGTH, length.into());
                AnswerBody::default()
            }
            Content::Bytes(bytes) if method == Method::HEAD => {
                self.headers.insert(header::CONTENT_LENGTH, bytes.len().into());
                AnswerBody::default()
            }
            Content::Kept(kept) if method == Method::HEAD => {
                self.headers.insert(header::CONTENT_LENGTH, kept.body.len().into());
                AnswerBody::default()
            }
            Content::Bytes(bytes) => AnswerBody::whole(bytes),
            Content::Kept(kept) => AnswerBody::whole(kept.body.clone()),
            Content::Open(body) => body,
            // Nobody has opened it: of a file nothing is sent that is not asked for.
            Content::Blob(_) | Content::Stream { .. } => AnswerBody::default(),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    /// Its bytes are not wanted after all.
    pub(crate) fn emptied(&mut self) {
        self.content = Content::EMPTY;
    }
}
