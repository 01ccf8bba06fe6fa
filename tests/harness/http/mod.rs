//! A small HTTP/1.1 client for tests: keeps connections, retries nothing that was sent, checks
//! what every answer must have, and prints the whole answer when a test did not expect it.

mod answer;
mod raw;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::net::TcpStream;

pub use answer::{Answer, FieldProblem, Problem};
pub use raw::{raw, raw_within};

/// Longer than the gateway lets any request take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Talks to one address. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    address: Arc<str>,
    defaults: HeaderMap,
    idle: Arc<Mutex<Vec<SendRequest<Full<Bytes>>>>>,
}

/// No answer came.
#[derive(Debug)]
pub enum NoAnswer {
    /// Nobody listens there: nothing was sent.
    NotConnected(std::io::Error),
    /// The connection ended before the answer was whole: what was done is unknown.
    Lost(hyper::Error),
    /// The answer was not there in time: what was done is unknown.
    TimedOut,
}

impl Client {
    /// For `host:port`.
    #[must_use]
    pub fn new(address: impl std::fmt::Display) -> Self {
        Self {
            address: address.to_string().into(),
            defaults: HeaderMap::new(),
            idle: Arc::default(),
        }
    }

    /// The address it talks to.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The same address, with a header on every request.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.defaults.insert(header_name(name), header_value(value));
        self
    }

    /// A request with any method.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        RequestBuilder {
            client: self.clone(),
            method,
            path: path.to_owned(),
            headers: self.defaults.clone(),
            body: Bytes::new(),
            patience: PATIENCE,
        }
    }

    /// GET.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// HEAD.
    pub fn head(&self, path: &str) -> RequestBuilder {
        self.request(Method::HEAD, path)
    }

    /// OPTIONS.
    pub fn options(&self, path: &str) -> RequestBuilder {
        self.request(Method::OPTIONS, path)
    }

    /// POST.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// PUT.
    pub fn put(&self, path: &str) -> RequestBuilder {
        self.request(Method::PUT, path)
    }

    /// PATCH.
    pub fn patch(&self, path: &str) -> RequestBuilder {
        self.request(Method::PATCH, path)
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    async fn exchange(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, NoAnswer> {
        let asked = format!("{} {}", request.method(), request.uri());
        loop {
            let idle = self.idle.lock().pop();
            let kept = idle.is_some();
            let mut sender = match idle {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            let sent = match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await,
                // A kept connection that the server has closed since.
                Err(_) if kept => continue,
                Err(error) => return Err(NoAnswer::Lost(error)),
            };
            let response = match sent {
                Ok(response) => response,
                Err(mut error) => match error.take_message() {
                    // It is certain that nothing was sent.
                    Some(unsent) if kept => {
                        request = unsent;
                        continue;
                    }
                    _ => return Err(NoAnswer::Lost(error.into_error())),
                },
            };
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(NoAnswer::Lost)?.to_bytes();
            self.idle.lock().push(sender);
            return Ok(Answer { asked, status: parts.status, headers: parts.headers, body });
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, NoAnswer> {
        let stream = TcpStream::connect(&*self.address).await.map_err(NoAnswer::NotConnected)?;
        stream.set_nodelay(true).map_err(NoAnswer::NotConnected)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(NoAnswer::Lost)?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}

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

fn header_name(name: &str) -> HeaderName {
    name.parse().unwrap_or_else(|_| panic!("{name:?} is no header name"))
}

fn header_value(value: &str) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| panic!("{value:?} can't be sent"))
}
