//! A small HTTP client for tests: keeps connections, retries nothing that was sent, checks
//! what every answer must have, and prints the whole answer when a test did not expect it.

mod answer;
mod line;
mod raw;
mod request;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use parking_lot::Mutex;
use tokio_rustls::rustls::ClientConfig;

pub use answer::{Answer, FieldProblem, Problem};
pub use http::{Method, StatusCode};
use line::{Line, Way};
pub use line::{narrow, secured};
pub use raw::{raw, raw_within};
pub use request::RequestBuilder;
use request::{header_name, header_value};

/// The methods that say the method of a request, for whatever has `request`.
macro_rules! verbs {
    ($($name:ident $method:ident),* $(,)?) => {
        $(
            #[doc = concat!(stringify!($method), ".")]
            pub fn $name(&self, path: &str) -> $crate::http::RequestBuilder {
                self.request($crate::http::Method::$method, path)
            }
        )*
    };
}
pub(crate) use verbs;

/// Talks to one address. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    address: Arc<str>,
    defaults: HeaderMap,
    way: Way,
    idle: Arc<Mutex<Vec<Line>>>,
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
            way: Way::default(),
            idle: Arc::default(),
        }
    }

    /// Closes the connections on which nothing is under way.
    pub fn hang_up(&self) {
        self.idle.lock().clear();
    }

    /// The same address under TLS, in HTTP/2 if this offers it and the server has it.
    #[must_use]
    pub fn under_tls(mut self, config: &Arc<ClientConfig>) -> Self {
        self.way = Way::Tls(Arc::clone(config), None);
        self.idle = Arc::default();
        self
    }

    /// The same, of a server that is known by this name.
    #[must_use]
    pub fn under_tls_as(mut self, host: &'static str, config: &Arc<ClientConfig>) -> Self {
        self.way = Way::Tls(Arc::clone(config), Some(host));
        self.idle = Arc::default();
        self.with_header("host", host)
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
        RequestBuilder::new(self.clone(), method, path, self.defaults.clone())
    }

    verbs! { get GET, head HEAD, options OPTIONS, post POST, put PUT, patch PATCH, delete DELETE }

    async fn exchange(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, NoAnswer> {
        let asked = format!("{} {}", request.method(), request.uri());
        loop {
            let idle = self.idle.lock().pop();
            let kept = idle.is_some();
            let mut sender = match idle {
                Some(sender) => sender,
                None => self.way.connect(&self.address).await?,
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
}
