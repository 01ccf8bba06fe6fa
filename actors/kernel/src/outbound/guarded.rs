//! HTTP to servers whose addresses people have said, who may mean something else by it than a server of theirs: what
//! is inside (server-side request forgery).
//!
//! A name is looked up once for each request, and what it stands for is what is connected to: there is no second
//! answer that could lead elsewhere (DNS rebinding). Connections are not kept, redirects are not followed.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use http::{Request, Response};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use url::{Host, Url};

use super::{OutboundError, builder, unreachable_at};
use crate::network::{Network, is_public};

/// What a name stands for.
type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Why a URL is not asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAsked {
    /// It is none.
    #[error("must be a URL: https://…")]
    Malformed,
    /// It is of another kind, or goes over the internet in the clear.
    #[error("must begin with https://")]
    NotHttps,
    /// Somebody's name or password is in it.
    #[error("must not have a name or a password in it")]
    Credentials,
    /// It would go in the clear to where nobody said that it may.
    #[error("{0} is in none of the networks that are asked in the clear")]
    InTheClear(String),
    /// It leads into a private network, to this machine, or nowhere.
    #[error("{0} is at no public address")]
    Inside(String),
}

/// Asks servers outside, and those inside of which somebody who configures the node has said so. Cheap to clone;
/// clones share the places there are.
#[derive(Clone, Debug)]
pub struct Guarded {
    outside: reqwest::Client,
    listed: reqwest::Client,
    networks: Arc<[Network]>,
    places: Arc<Semaphore>,
    bounds: Bounds,
}

/// What one request may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Requests at a time.
    pub at_once: usize,
    /// For all of a request.
    pub patience: Duration,
    /// What is read of an answer, in bytes.
    pub read: usize,
}

/// Where names may lead.
#[derive(Clone)]
struct Doorkeeper {
    networks: Arc<[Network]>,
    /// Whether what is public is let through as well.
    outside: bool,
    lookup: Lookup,
}

impl Guarded {
    /// To servers of the public authorities, and of the one in `ca_file` (PEM) if that is not empty, at public
    /// addresses; and to those in these networks, also in the clear.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn new(ca_file: &Path, networks: &[Network], bounds: Bounds) -> Result<Self, String> {
        let lookup: Lookup = Arc::new(|name| {
            Box::pin(async move {
                let found = tokio::net::lookup_host((name, 0)).await?;
                Ok(found.map(|address| address.ip()).collect())
            })
        });
        Self::looking_up(&lookup, ca_file, networks, bounds)
    }

    fn looking_up(
        lookup: &Lookup,
        ca_file: &Path,
        networks: &[Network],
        bounds: Bounds,
    ) -> Result<Self, String> {
        let networks: Arc<[Network]> = networks.into();
        let client = |outside: bool| {
            let networks = Arc::clone(&networks);
            let doorkeeper = Doorkeeper { networks, outside, lookup: Arc::clone(lookup) };
            let client = builder(ca_file)?
                .dns_resolver(Arc::new(doorkeeper))
                .pool_max_idle_per_host(0)
                .timeout(bounds.patience);
            client.build().map_err(|error| error.to_string())
        };
        let (outside, listed) = (client(true)?, client(false)?);
        let places = Arc::new(Semaphore::new(bounds.at_once));
        Ok(Self { outside, listed, networks, places, bounds })
    }

    /// Whether this URL is asked at all; of a name, nobody knows where it leads before it is.
    ///
    /// # Errors
    /// [`NotAsked`] says why not.
    pub fn check(&self, url: &str) -> Result<Url, NotAsked> {
        let url = Url::parse(url).map_err(|_| NotAsked::Malformed)?;
        let is_clear = match url.scheme() {
            "https" => false,
            "http" if !self.networks.is_empty() => true,
            _ => return Err(NotAsked::NotHttps),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotAsked::Credentials);
        }
        let address: IpAddr = match url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            // There are hosts that one of the two takes, and requests are made of the other.
            Some(Host::Domain(_)) if url.as_str().parse::<http::Uri>().is_err() => {
                return Err(NotAsked::Malformed);
            }
            Some(Host::Domain(_)) => return Ok(url),
            None => return Err(NotAsked::Malformed),
        };
        if !may_enter(&self.networks, !is_clear, address) {
            return Err(not_entered(!is_clear, address.to_string()));
        }
        Ok(url)
    }

    /// Sends a request, and gives the answer, whatever its status, with the beginning of its body: a server that
    /// says no more has answered.
    ///
    /// # Errors
    /// [`OutboundError`] if there is no answer.
    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Bytes>, OutboundError> {
        let place = self.places.try_acquire().map_err(|_| OutboundError::Busy)?;
        let url = self.check(&request.uri().to_string())?;
        let client = if url.scheme() == "https" { &self.outside } else { &self.listed };
        let request = reqwest::Request::try_from(request).map_err(|error| silent(&error))?;
        let mut response = client.execute(request).await.map_err(|error| refused(&error))?;
        let mut answer = Response::new(());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        let mut body = BytesMut::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() >= self.bounds.read {
                body.truncate(self.bounds.read);
                break;
            }
        }
        drop(place);
        Ok(answer.map(|()| body.freeze()))
    }
}

fn may_enter(networks: &[Network], outside: bool, address: IpAddr) -> bool {
    outside && is_public(address) || networks.iter().any(|network| network.contains(address))
}

fn not_entered(outside: bool, host: String) -> NotAsked {
    if outside { NotAsked::Inside(host) } else { NotAsked::InTheClear(host) }
}

/// It was not connected to because of where its name leads; or there is no answer.
fn refused(error: &reqwest::Error) -> OutboundError {
    let mut causes =
        std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let not_asked = causes.find_map(|cause| cause.downcast_ref::<NotAsked>());
    not_asked.map_or_else(|| silent(error), |why| OutboundError::NotAsked(why.clone()))
}

/// There is no answer. Of the URL, nothing but whose it is may be told.
fn silent(error: &reqwest::Error) -> OutboundError {
    let whose = error.url().map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    unreachable_at(&whose, error)
}

impl Resolve for Doorkeeper {
    fn resolve(&self, name: Name) -> Resolving {
        let own = self.clone();
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let mut found = (own.lookup)(name.clone()).await?;
            if found.is_empty() {
                return Err("the name has no address".into());
            }
            found.retain(|address| may_enter(&own.networks, own.outside, *address));
            if found.is_empty() {
                return Err(not_entered(own.outside, name).into());
            }
            // The URL says which port.
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const BOUNDS: Bounds = Bounds { at_once: 1, patience: Duration::from_secs(5), read: 4 };

    fn guarded(networks: &[&str]) -> Guarded {
        let networks: Vec<Network> = networks.iter().map(|text| text.parse().unwrap()).collect();
        Guarded::new(Path::new(""), &networks, BOUNDS).unwrap()
    }

    /// One by which names mean these addresses, the next at each time; and how often it was asked.
    fn leading(to: &'static [&'static [&'static str]]) -> (Guarded, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let lookup: Lookup = Arc::new(move |_| {
            let turn = count.fetch_add(1, Ordering::SeqCst);
            let found = to[turn % to.len()].iter().map(|text| text.parse().unwrap()).collect();
            Box::pin(async move { Ok(found) })
        });
        let networks = ["127.0.0.1".parse().unwrap()];
        let guarded = Guarded::looking_up(&lookup, Path::new(""), &networks, BOUNDS);
        (guarded.unwrap(), asked)
    }

    fn get(url: &str) -> Request<Vec<u8>> {
        Request::get(url).body(Vec::new()).unwrap()
    }

    /// A server that answers each with these bytes, and then waits for the other to go; its port.
    async fn server(answer: &'static str) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, served) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&served);
        #[allow(clippy::disallowed_methods, reason = "ends with the test")]
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let mut buffer = [0; 4_096];
                let _ = socket.read(&mut buffer).await;
                let _ = socket.write_all(answer.as_bytes()).await;
                let _ = socket.read(&mut buffer).await;
            }
        });
        (port, served)
    }

    const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

    #[test]
    fn urls_that_lead_inside_are_refused_however_they_are_written() {
        let guarded = guarded(&[]);
        for (url, why) in [
            ("", NotAsked::Malformed),
            ("example.org", NotAsked::Malformed),
            ("https://", NotAsked::Malformed),
            ("http://example.org/", NotAsked::NotHttps),
            ("ftp://example.org/", NotAsked::NotHttps),
            ("file:///etc/passwd", NotAsked::NotHttps),
            ("https://name@example.org/", NotAsked::Credentials),
            ("https://:secret@example.org/", NotAsked::Credentials),
            ("https://127.0.0.1/", NotAsked::Inside("127.0.0.1".to_owned())),
            ("https://2130706433/", NotAsked::Inside("127.0.0.1".to_owned())),
            ("https://0x7f.1/", NotAsked::Inside("127.0.0.1".to_owned())),
            ("https://0177.0.0.1:8443/", NotAsked::Inside("127.0.0.1".to_owned())),
            ("https://127。0。0。1/", NotAsked::Inside("127.0.0.1".to_owned())),
            ("https://a{b.example/", NotAsked::Malformed),
            ("https://[::1]/", NotAsked::Inside("::1".to_owned())),
            ("https://[::ffff:a00:1]/", NotAsked::Inside("::ffff:10.0.0.1".to_owned())),
        ] {
            assert_eq!(guarded.check(url).unwrap_err(), why, "{url}");
        }
        for url in ["https://example.org/x?y=z", "https://1.1.1.1:8443/", "https://[2606:4700::1]/"]
        {
            assert!(guarded.check(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_is_listed_may_be_asked_also_in_the_clear() {
        let guarded = guarded(&["10.0.0.0/8"]);
        assert!(guarded.check("http://10.1.2.3:8080/").is_ok());
        assert!(guarded.check("https://10.1.2.3/").is_ok());
        assert!(guarded.check("http://1.1.1.1/").is_err(), "over the internet in the clear");
        assert!(guarded.check("http://192.168.0.1/").is_err());
    }

    #[tokio::test]
    async fn names_that_lead_inside_are_not_connected_to() {
        let (port, served) = server(HELLO).await;
        let url = format!("https://localhost:{port}/");
        let refused = guarded(&[]).send(get(&url)).await.unwrap_err();
        let inside = NotAsked::Inside("localhost".to_owned());
        assert_eq!(refused, OutboundError::NotAsked(inside));
        assert_eq!(served.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_and_leads_where_it_was_seen_to_lead() {
        let (port, served) = server(HELLO).await;
        // Public for whoever looks first, and inside for whoever connects; and the other way round.
        let (guarded, asked) = leading(&[&["127.0.0.1"], &["127.0.0.2"]]);
        let url = format!("http://rebinding.test:{port}/");
        let answer = guarded.send(get(&url)).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"hell"[..]));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        let refused = guarded.send(get(&url)).await.unwrap_err();
        assert!(matches!(refused, OutboundError::NotAsked(NotAsked::InTheClear(_))), "{refused}");
        assert_eq!((asked.load(Ordering::SeqCst), served.load(Ordering::SeqCst)), (2, 1));
    }

    #[tokio::test]
    async fn of_several_addresses_those_inside_are_left_out() {
        let (port, served) = server(HELLO).await;
        let (guarded, _) = leading(&[&["127.0.0.2", "10.0.0.1", "127.0.0.1"]]);
        let url = format!("http://mixed.test:{port}/");
        assert_eq!(guarded.send(get(&url)).await.unwrap().status(), 200);
        assert_eq!(served.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn redirects_lead_nowhere() {
        const AWAY: &str =
            "HTTP/1.1 307 Away\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\n\r\n";
        let (port, served) = server(AWAY).await;
        let guarded = guarded(&["127.0.0.1"]);
        let answer = guarded.send(get(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
        assert_eq!(answer.status(), 307);
        assert_eq!(answer.headers()["location"], "http://10.0.0.1/");
        assert_eq!(served.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn who_has_said_a_status_has_answered_and_who_says_nothing_has_not() {
        const STOPS: &str = "HTTP/1.1 204 Good\r\ncontent-length: 100\r\n\r\nno";
        let quick = Bounds { patience: Duration::from_millis(300), ..BOUNDS };
        let networks = ["127.0.0.1".parse().unwrap()];
        let guarded = Guarded::new(Path::new(""), &networks, quick).unwrap();
        let (port, _) = server("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nno").await;
        let answer = guarded.send(get(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"no"[..]));
        let (port, _) = server(STOPS).await;
        let answer = guarded.send(get(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
        assert_eq!(answer.status(), 204);
        let (port, _) = server("").await;
        let silent = guarded.send(get(&format!("http://127.0.0.1:{port}/"))).await.unwrap_err();
        let OutboundError::Unreachable(why) = silent else { panic!("{silent}") };
        assert!(why.contains("too long") && why.starts_with("no answer from http://127.0.0.1:"));
    }
}
