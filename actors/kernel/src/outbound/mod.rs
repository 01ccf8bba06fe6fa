//! HTTP to others' servers: for what a service has to ask of the world outside.
//!
//! One may be slow, broken or hostile, and costs this much at most: so many requests at a time, five
//! seconds (or what its asker says) and 512 KiB each. Redirects are not followed (who answers is who was asked), proxies of the
//! environment are not used, and nothing goes over a network in the clear. What people say to be a server, and may be
//! anything, is asked by [`Guarded`].

mod guarded;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;

pub use guarded::{Bounds, Guarded, NotAsked};

use crate::identity::stays_private;

/// For the connection, with TLS.
const CONNECT: Duration = Duration::from_secs(3);
/// For all of a request.
const WHOLE: Duration = Duration::from_secs(5);
/// Between two pieces of an answer, where a library reads it.
const SILENCE: Duration = Duration::from_secs(10);
/// Connections to one server that are kept for the next question.
const IDLE: usize = 8;
/// The longest answer, in bytes.
const LARGEST: usize = 512 * 1024;

/// Why there is no answer. The texts may go into logs: they carry no secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// As many requests as may be are under way.
    #[error("too many requests are under way")]
    Busy,
    /// It would go over a network in the clear.
    #[error("{0} is not https")]
    InTheClear(String),
    /// It could not be reached, or did not answer in time, or not in HTTP.
    #[error("{0}")]
    Unreachable(String),
    /// It is not asked, because of where it is.
    #[error(transparent)]
    NotAsked(#[from] NotAsked),
    /// The answer is longer than any should be.
    #[error("the answer is longer than {LARGEST} bytes")]
    TooLarge,
}

/// Asks others' servers. Cheap to clone; clones share the places there are.
#[derive(Clone, Debug)]
pub struct Outbound {
    client: reqwest::Client,
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Outbound {
    /// So many requests at a time; to servers of the public authorities, and of the one in `ca_file`
    /// (PEM), if that is not empty.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn new(ca_file: &Path, at_once: usize) -> Result<Self, String> {
        let client = builder(ca_file)?.pool_max_idle_per_host(0).build();
        let client = client.map_err(|error| error.to_string())?;
        Ok(Self { client, places: Arc::new(Semaphore::new(at_once)), patience: WHOLE })
    }

    /// The same, for whom five seconds are too few: so long for all of a request.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sends a request, and gives the answer, whatever its status.
    ///
    /// # Errors
    /// [`OutboundError`] if there is none.
    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Bytes>, OutboundError> {
        let place = self.places.try_acquire().map_err(|_| OutboundError::Busy)?;
        let uri = request.uri().to_string();
        if !stays_private(&uri) {
            return Err(OutboundError::InTheClear(without_query(&uri)));
        }
        let mut request =
            reqwest::Request::try_from(request).map_err(|error| unreachable(&error))?;
        *request.timeout_mut() = Some(self.patience);
        let mut response =
            self.client.execute(request).await.map_err(|error| unreachable(&error))?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
            if body.len() + chunk.len() > LARGEST {
                return Err(OutboundError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        drop(place);
        let mut answer = Response::new(Bytes::from(body));
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

/// A client for one server that is asked again and again, by a library that has its own bounds: what is read is
/// given up when nothing comes for so long.
pub(crate) fn keeping_connections(ca_file: &Path) -> Result<reqwest::Client, String> {
    let client = builder(ca_file)?.read_timeout(SILENCE).pool_max_idle_per_host(IDLE);
    client.build().map_err(|error| error.to_string())
}

/// A client of nobody's environment, who trusts the public authorities and that of the file.
fn builder(ca_file: &Path) -> Result<reqwest::ClientBuilder, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if !ca_file.as_os_str().is_empty() {
        let named = |why: String| format!("{}: {why}", ca_file.display());
        let read = CertificateDer::pem_file_iter(ca_file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| named(error.to_string()))?;
        if roots.add_parsable_certificates(read).0 == 0 {
            return Err(named("does not hold a certificate in PEM".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("panel/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT))
}

/// A URL without what may be a secret in it.
fn without_query(uri: &str) -> String {
    uri.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// The whole chain of reasons: the first alone says nothing.
fn unreachable(error: &reqwest::Error) -> OutboundError {
    let place = error.url().map(|url| without_query(url.as_str())).unwrap_or_default();
    unreachable_at(&place, error)
}

fn unreachable_at(place: &str, error: &reqwest::Error) -> OutboundError {
    let mut why = format!("no answer from {place}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        why = format!("{why}: {error}");
        cause = error.source();
    }
    if error.is_timeout() {
        why.push_str(": it took too long");
    }
    OutboundError::Unreachable(why)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use http::header;

    use super::*;

    fn outbound(at_once: usize) -> Outbound {
        Outbound::new(Path::new(""), at_once).unwrap()
    }

    fn get(url: &str) -> Request<Vec<u8>> {
        Request::get(url).body(Vec::new()).unwrap()
    }

    /// A server that answers one request with these bytes; where it listens.
    fn server(answer: impl Into<Vec<u8>>) -> String {
        let (listener, answer) = (TcpListener::bind("127.0.0.1:0").unwrap(), answer.into());
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let _ = socket.read(&mut [0; 4_096]);
            // Who has heard enough hangs up.
            let _ = socket.write_all(&answer);
        });
        format!("http://{address}/a?secret=1")
    }

    #[tokio::test]
    async fn answers_come_as_they_are_and_redirects_lead_nowhere() {
        let head = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n";
        let url = server(format!("{head}content-length: 2\r\ncontent-type: a/b\r\n\r\nhi"));
        let answer = outbound(1).send(get(&url)).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (302, &b"hi"[..]));
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "a/b");
    }

    #[tokio::test]
    async fn nothing_goes_over_a_network_in_the_clear() {
        let refused = outbound(1).send(get("http://192.0.2.1/x?secret=1")).await;
        assert_eq!(refused.unwrap_err(), OutboundError::InTheClear("http://192.0.2.1/x".into()));
    }

    #[tokio::test]
    async fn what_is_too_long_is_not_read_to_its_end() {
        let mut endless = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n".to_vec();
        endless.resize(2 * LARGEST, b'x');
        let url = server(endless);
        assert_eq!(outbound(1).send(get(&url)).await.unwrap_err(), OutboundError::TooLarge);
    }

    #[tokio::test]
    async fn what_is_not_there_is_named_without_its_secrets() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let url = format!("http://{address}/there?secret=1");
        let Err(OutboundError::Unreachable(why)) = outbound(1).send(get(&url)).await else {
            panic!("nobody is there");
        };
        assert!(why.contains("/there") && !why.contains("secret"), "{why}");
    }

    #[tokio::test]
    async fn more_than_so_many_at_a_time_are_refused() {
        // It takes connections, and says nothing.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let outbound = outbound(1);
        let second = async {
            let held = listener.accept().await.unwrap();
            assert_eq!(outbound.send(get(&url)).await.unwrap_err(), OutboundError::Busy);
            drop(held);
        };
        let (first, ()) = futures::join!(outbound.send(get(&url)), second);
        assert!(matches!(first, Err(OutboundError::Unreachable(_))));
    }

    #[test]
    fn an_authority_is_read_or_what_is_wrong_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        assert!(Outbound::new(&file, 1).unwrap_err().contains("ca.pem"));
        std::fs::write(&file, "nothing").unwrap();
        assert!(Outbound::new(&file, 1).unwrap_err().contains("certificate"));
    }
}
