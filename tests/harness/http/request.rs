//! A request, from its first word to its answer.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use serde::Serialize;

use super::{Answer, Client, NoAnswer};

/// Longer than the gateway lets any request take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request being put together. Awaiting it sends it, and panics if no answer comes.
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct RequestBuilder {
    client: Client,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    patience: Duration,
}

impl RequestBuilder {
    pub(super) fn new(client: Client, method: Method, path: &str, headers: HeaderMap) -> Self {
        let path = path.to_owned();
        Self { client, method, path, headers, body: Bytes::new(), patience: PATIENCE }
    }

    /// With a header, which replaces an earlier one of that name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(header_name(name), header_value(value));
        self
    }

    /// With one more header of a name.
    pub fn append_header(mut self, name: &str, value: &str) -> Self {
        self.headers.append(header_name(name), header_value(value));
        self
    }

    /// With an access token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With an idempotency key.
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// With a JSON body.
    pub fn json(self, value: &impl Serialize) -> Self {
        self.body("application/json", serde_json::to_vec(value).unwrap())
    }

    /// With a body of any type.
    pub fn body(self, media_type: &str, body: impl Into<Bytes>) -> Self {
        self.header("content-type", media_type).raw_body(body)
    }

    /// With a body and no word about its type.
    pub fn raw_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Waits no longer than this for the answer (30 s if not said).
    pub const fn patience(mut self, within: Duration) -> Self {
        self.patience = within;
        self
    }

    /// Sends it. For tests in which the server may be gone; else just await the request.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn send(mut self) -> Result<Answer, NoAnswer> {
        self.headers.entry(header::HOST).or_insert_with(|| header_value(&self.client.address));
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() =
            self.path.parse().unwrap_or_else(|error| panic!("{}: {error}", self.path));
        *request.headers_mut() = self.headers;
        let exchange = Box::pin(self.client.exchange(request));
        tokio::time::timeout(self.patience, exchange).await.unwrap_or(Err(NoAnswer::TimedOut))
    }
}

impl IntoFuture for RequestBuilder {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let asked = format!("{} {} at {}", self.method, self.path, self.client.address);
            self.send().await.unwrap_or_else(|error| panic!("{asked}: {error:?}"))
        })
    }
}

pub(super) fn header_name(name: &str) -> HeaderName {
    name.parse().unwrap_or_else(|_| panic!("{name:?} is no header name"))
}

pub(super) fn header_value(value: &str) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| panic!("{value:?} can't be sent"))
}
