//! A CDN of the test's own: it keeps what it is told to keep, and lets go of what is purged by its tag.
//!
//! It has two addresses. Readers ask at one, and are answered with what is kept or what a gateway says; purges are sent
//! to the other, in the words of Cloudflare, of Fastly, or of a webhook.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use panel_gateway::{CdnConfig, CdnKind};
use panel_kernel::config::Span;
use panel_kernel::ids::hex;
use panel_kernel::secret::Secret;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::eventually::eventually;
use crate::http::Client;
use crate::node::NodeBuilder;

/// What lets gateways purge.
pub const TOKEN: &str = "a-token-that-is-secret";
/// What the site is here.
const ZONE: &str = "z1";
/// For a purge to come.
const COMES: Duration = Duration::from_secs(30);

/// A request to purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purged {
    /// When it came.
    pub at: Instant,
    /// What was to be purged.
    pub tags: Vec<String>,
    /// What it was answered with.
    pub status: u16,
}

/// A CDN. It ends with the test.
#[derive(Debug)]
pub struct Cdn {
    shared: Arc<Shared>,
    client: Client,
    api: SocketAddr,
    servers: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    kind: CdnKind,
    origins: Mutex<Vec<Client>>,
    next: AtomicUsize,
    kept: Mutex<Kept>,
    purged: Mutex<Vec<Purged>>,
    /// How the next requests to purge are answered: a status, and when to come again.
    answers: Mutex<VecDeque<(u16, &'static str)>>,
    /// How all are answered for which nothing else is said.
    refuses: Mutex<Option<u16>>,
    is_deaf: AtomicBool,
    /// Whether what comes from gateways stays on its way.
    holds: AtomicBool,
    held: AtomicUsize,
    released: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<String, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    until: Instant,
    tags: Vec<String>,
    body: Bytes,
    media_type: HeaderValue,
}

impl Cdn {
    /// One of this kind, in front of nobody yet.
    pub async fn start(kind: CdnKind) -> Self {
        let shared = Arc::new(Shared {
            kind,
            origins: Mutex::default(),
            next: AtomicUsize::new(0),
            kept: Mutex::default(),
            purged: Mutex::default(),
            answers: Mutex::default(),
            refuses: Mutex::default(),
            is_deaf: AtomicBool::new(false),
            holds: AtomicBool::new(false),
            held: AtomicUsize::new(0),
            released: Notify::new(),
        });
        let (edge, api) = (listener("127.0.0.1:0").await, listener("127.0.0.1:0").await);
        let client = Client::new(edge.local_addr().unwrap());
        let address = api.local_addr().unwrap();
        let readers = Router::new().fallback(read).with_state(Arc::clone(&shared));
        let servers = vec![serve(edge, readers), serve(api, purging(&shared))];
        Self { shared, client, api: address, servers: Mutex::new(servers) }
    }

    /// In front of these gateways from now on, which are asked in turn.
    pub fn leads_to<'a>(&self, gateways: impl IntoIterator<Item = &'a str>) {
        *self.shared.origins.lock() = gateways.into_iter().map(Client::new).collect();
    }

    /// For whoever reads through it.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// How a gateway is told of it.
    #[must_use]
    pub fn config(&self) -> CdnConfig {
        let is_hook = self.shared.kind == CdnKind::Webhook;
        CdnConfig {
            kind: self.shared.kind,
            url: format!("http://{}{}", self.api, if is_hook { "/hook" } else { "" }),
            zone: if is_hook { String::new() } else { ZONE.to_owned() },
            token: Secret::new(TOKEN),
            retry: Span(Duration::from_millis(200)),
            ..CdnConfig::default()
        }
    }

    /// The same, as settings in the environment, and the name of the site.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let config = self.config();
        vec![
            ("PANEL_NODE__PUBLIC_URL", "https://community.example".to_owned()),
            ("PANEL_GATEWAY__CDN__KIND", format!("{:?}", config.kind).to_lowercase()),
            ("PANEL_GATEWAY__CDN__URL", config.url),
            ("PANEL_GATEWAY__CDN__ZONE", config.zone),
            ("PANEL_GATEWAY__CDN__TOKEN", TOKEN.to_owned()),
            ("PANEL_GATEWAY__CDN__RETRY", config.retry.to_string()),
        ]
    }

    /// A node that has it in front.
    #[must_use]
    pub fn configure(&self, node: NodeBuilder) -> NodeBuilder {
        self.settings().into_iter().fold(node, |node, (name, value)| node.env(name, &value))
    }

    /// What it was asked to purge so far, in order.
    #[must_use]
    pub fn purged(&self) -> Vec<Purged> {
        self.shared.purged.lock().clone()
    }

    /// All tags that were purged from the request of this number on, with those that were refused left out.
    #[must_use]
    pub fn tags_from(&self, number: usize) -> Vec<String> {
        let purged = self.purged();
        let taken = purged.iter().skip(number).filter(|purged| purged.status == 200);
        taken.flat_map(|purged| purged.tags.clone()).collect()
    }

    /// Waits until this was purged by the request of this number, or one after it.
    pub async fn await_purge(&self, tag: &str, number: usize) {
        eventually(&format!("{tag} is purged"), COMES, async || {
            let tags = self.tags_from(number);
            if tags.iter().any(|one| one == tag) { Ok(()) } else { Err(self.purged()) }
        })
        .await;
    }

    /// Answers the next requests to purge with these statuses, and when to come again.
    pub fn will_answer(&self, answers: &[(u16, &'static str)]) {
        self.shared.answers.lock().extend(answers);
    }

    /// Answers all requests to purge with this status from now on; `None`: takes them.
    pub fn refuses(&self, status: Option<u16>) {
        *self.shared.refuses.lock() = status;
    }

    /// Says that it purges, and does not.
    pub fn is_deaf(&self) {
        self.shared.is_deaf.store(true, Ordering::SeqCst);
    }

    /// Whether what gateways say stays on its way to it.
    pub fn holds(&self, holds: bool) {
        self.shared.holds.store(holds, Ordering::SeqCst);
        self.shared.released.notify_waiters();
    }

    /// How many answers are on their way to it, and stay there.
    #[must_use]
    pub fn held(&self) -> usize {
        self.shared.held.load(Ordering::SeqCst)
    }

    /// Nobody can be told of purges.
    pub async fn closes(&self) {
        let server = self.servers.lock().remove(1);
        server.abort();
        // It ends with what it has open.
        let _ = server.await;
    }

    /// They can again.
    pub async fn opens(&self) {
        let api = listener(self.api).await;
        self.servers.lock().push(serve(api, purging(&self.shared)));
    }
}

impl Drop for Cdn {
    fn drop(&mut self) {
        for server in self.servers.lock().drain(..) {
            server.abort();
        }
    }
}

async fn listener(address: impl tokio::net::ToSocketAddrs) -> TcpListener {
    TcpListener::bind(address).await.unwrap()
}

fn serve(listener: TcpListener, router: Router) -> JoinHandle<()> {
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
}

fn purging(shared: &Arc<Shared>) -> Router {
    Router::new().fallback(purge).with_state(Arc::clone(shared))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// For how long it may keep an answer: what is said to it alone, or else to everybody on the way.
fn life(headers: &HeaderMap, kind: CdnKind) -> Duration {
    let own = match kind {
        CdnKind::Cloudflare => "cloudflare-cdn-cache-control",
        CdnKind::Fastly => "surrogate-control",
        CdnKind::Webhook | CdnKind::None => "cdn-cache-control",
    };
    let seconds = |control: &str, name: &str| {
        let mut directives = control.split(',').map(str::trim);
        directives.find_map(|one| one.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
    };
    let seconds = match text(headers, own) {
        "" => seconds(text(headers, "cache-control"), "s-maxage"),
        own => seconds(own, "max-age"),
    };
    let age = text(headers, "age").parse().unwrap_or(0);
    Duration::from_secs(seconds.unwrap_or(0_u64).saturating_sub(age))
}

async fn read(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.to_string();
    let kept = shared.kept.lock().answers.get(&path).cloned();
    if let Some(kept) = kept.filter(|kept| Instant::now() < kept.until) {
        let told = [("x-cdn", HeaderValue::from_static("hit")), ("content-type", kept.media_type)];
        return (told, kept.body).into_response();
    }
    let origin = {
        let origins = shared.origins.lock();
        origins[shared.next.fetch_add(1, Ordering::SeqCst) % origins.len()].clone()
    };
    let mut asked = origin.get(&path);
    for name in ["authorization", "cookie"] {
        if headers.contains_key(name) {
            asked = asked.header(name, text(&headers, name));
        }
    }
    let Ok(answer) = asked.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    // Who waits for that must not miss it.
    let mut released = std::pin::pin!(shared.released.notified());
    released.as_mut().enable();
    if shared.holds.load(Ordering::SeqCst) {
        shared.held.fetch_add(1, Ordering::SeqCst);
        released.await;
        shared.held.fetch_sub(1, Ordering::SeqCst);
    }
    let life = life(&answer.headers, shared.kind);
    let tags = [text(&answer.headers, "cache-tag"), text(&answer.headers, "surrogate-key")];
    let tags = tags.iter().flat_map(|tags| tags.split([',', ' '])).filter(|tag| !tag.is_empty());
    let tags: Vec<String> = tags.map(str::to_owned).collect();
    let media_type = answer.headers.get("content-type").cloned();
    let media_type = media_type.unwrap_or(HeaderValue::from_static("text/plain"));
    if answer.status == StatusCode::OK && !life.is_zero() {
        let (until, body) = (Instant::now() + life, answer.body.clone());
        let entry = Entry { until, tags, body, media_type: media_type.clone() };
        shared.kept.lock().answers.insert(path, entry);
    }
    let told = [("x-cdn", HeaderValue::from_static("miss")), ("content-type", media_type)];
    (answer.status, told, answer.body).into_response()
}

async fn purge(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (path, key, most, may) = match shared.kind {
        CdnKind::Cloudflare => {
            let may = text(&headers, "authorization") == format!("Bearer {TOKEN}");
            (format!("/zones/{ZONE}/purge_cache"), "tags", 30, may)
        }
        CdnKind::Fastly => {
            let may = text(&headers, "fastly-key") == TOKEN;
            (format!("/service/{ZONE}/purge"), "surrogate_keys", 256, may)
        }
        CdnKind::Webhook | CdnKind::None => {
            let may = is_signed(text(&headers, "x-panel-signature"), &body);
            ("/hook".to_owned(), "tags", usize::MAX, may)
        }
    };
    let tags: Vec<String> = serde_json::from_value(asked[key].clone()).unwrap_or_default();
    let next = shared.answers.lock().pop_front();
    let status = match (next, *shared.refuses.lock()) {
        (Some((status, _)), _) | (None, Some(status)) => status,
        _ if !may => 401,
        _ if uri.path() != path => 404,
        _ if !(1..=most).contains(&tags.len()) => 400,
        _ => 200,
    };
    if status == 200 && !shared.is_deaf.load(Ordering::SeqCst) {
        let is_purged = |entry: &Entry| entry.tags.iter().any(|tag| tags.contains(tag));
        shared.kept.lock().answers.retain(|_, entry| !is_purged(entry));
    }
    shared.purged.lock().push(Purged { at: Instant::now(), tags, status });
    let status = StatusCode::from_u16(status).unwrap();
    let mut answer = (status, r#"{"success": true}"#).into_response();
    if let Some((_, wait)) = next.filter(|(_, wait)| !wait.is_empty()) {
        answer.headers_mut().insert("retry-after", HeaderValue::from_static(wait));
    }
    answer
}

/// As `docs/operations.md` says it.
fn is_signed(signature: &str, body: &[u8]) -> bool {
    let part = |name: &str| {
        signature.split(',').find_map(|part| part.strip_prefix(name)).unwrap_or_default()
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, TOKEN.as_bytes());
    let signed = [part("t=").as_bytes(), b".", body].concat();
    hex(hmac::sign(&key, &signed).as_ref()) == part("v1=")
}
