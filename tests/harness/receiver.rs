//! A server of the test's own that takes webhooks, and answers them as the test says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::serve::Listener;
use http::{HeaderMap, StatusCode, Uri};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use crate::eventually::eventually;
use crate::site_certificate::SiteCertificate;

/// For something to come.
const COMES: Duration = Duration::from_secs(30);

/// Something that came.
#[derive(Clone, Debug)]
pub struct Received {
    /// When.
    pub at: Instant,
    /// To which path.
    pub path: String,
    /// With which headers.
    pub headers: HeaderMap,
    /// As it was sent.
    pub body: Bytes,
}

impl Received {
    /// A header.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// What it says.
    ///
    /// # Panics
    /// If it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Answering {
    /// Its status.
    pub status: u16,
    /// A header, if there is to be one.
    pub header: Option<(&'static str, String)>,
    /// What is said.
    pub body: String,
}

impl From<u16> for Answering {
    fn from(status: u16) -> Self {
        Self { status, ..Self::default() }
    }
}

/// A receiver. It ends with the test.
#[derive(Debug)]
pub struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
    scheme: &'static str,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    answers: Mutex<VecDeque<Answering>>,
    always: Mutex<Option<Answering>>,
    /// Whether what comes is not answered.
    holds: AtomicBool,
    released: Notify,
}

impl Receiver {
    /// One in the clear.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self::serving(listener, address, "http")
    }

    /// One with this certificate.
    pub async fn under_tls(certificate: &SiteCertificate) -> Self {
        let chain = CertificateDer::pem_file_iter(certificate.chain()).unwrap();
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(certificate.key()).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::serving(TlsListener { listener, acceptor }, address, "https")
    }

    fn serving<L>(listener: L, address: SocketAddr, scheme: &'static str) -> Self
    where
        L: Listener,
        L::Addr: std::fmt::Debug,
    {
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(receive).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { shared, address, scheme, server }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/hook?of=panel", self.scheme, self.address.port())
    }

    /// Where it is, by name.
    #[must_use]
    pub fn named_url(&self) -> String {
        self.url().replace("127.0.0.1", "localhost")
    }

    /// The next are answered so, one after the other; all others with 204.
    pub fn answers<A: Into<Answering>>(&self, answers: impl IntoIterator<Item = A>) {
        self.shared.answers.lock().extend(answers.into_iter().map(Into::into));
    }

    /// All are answered so from now on for which nothing else is said.
    pub fn always_answers(&self, answer: impl Into<Answering>) {
        *self.shared.always.lock() = Some(answer.into());
    }

    /// Nothing that comes is answered from now on.
    pub fn holds(&self) {
        self.shared.holds.store(true, Ordering::SeqCst);
    }

    /// It is again, also what came meanwhile.
    pub fn releases(&self) {
        self.shared.holds.store(false, Ordering::SeqCst);
        self.shared.released.notify_waiters();
    }

    /// What has come so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().clone()
    }

    /// Waits until so many have come; all of them.
    pub async fn receives(&self, many: usize) -> Vec<Received> {
        eventually(&format!("{many} have come"), COMES, async || {
            let received = self.received();
            if received.len() >= many { Ok(received) } else { Err(received) }
        })
        .await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // Who waits for that must not miss it.
    let mut released = std::pin::pin!(shared.released.notified());
    released.as_mut().enable();
    let received = Received { at: Instant::now(), path: uri.to_string(), headers, body };
    shared.received.lock().push(received);
    if shared.holds.load(Ordering::SeqCst) {
        released.await;
    }
    let next = shared.answers.lock().pop_front();
    let always = || shared.always.lock().clone();
    let Answering { status, header, body } = next.or_else(always).unwrap_or(204.into());
    let status = StatusCode::from_u16(status).unwrap();
    let mut response = (status, body).into_response();
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (socket, from) = self.listener.accept().await.unwrap();
            // Who is not believed hangs up.
            if let Ok(socket) = self.acceptor.accept(socket).await {
                return (socket, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
