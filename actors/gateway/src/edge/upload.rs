//! Files that are sent as the body of a request: they go into the blob store piece by piece, and the request goes on with
//! a reference.
//!
//! Nothing is read from who may not ask. Each holds a piece in memory, and a place: so many may be under way on a gateway
//! (`gateway.files.max_uploads`), and so many of them for one account. A client has `gateway.body_timeout`, and longer the more it
//! has sent, but not for ever. What nobody keeps is removed behind the client's back: what does not arrive, what was
//! received for a request that is refused, and what the service has not given another key. What a gateway leaves that dies
//! meanwhile goes after a day.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Version, header, request};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use panel_kernel::access::{UploadRoute, within_scopes};
use panel_kernel::blobs::{BlobError, BlobWriter, Blobs};
use panel_kernel::message::{BlobRef, Payload, Principal};
use panel_kernel::metrics::Metrics;
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::supervision::ChildSpec;
use parking_lot::Mutex;
use prometheus::IntCounter;
use tokio::sync::Notify;

use super::{EdgeParts, Exchange, authenticate, body, envelope, explain};
use crate::config::GatewayConfig;
use crate::dispatch::Answered;
use crate::limits::Client;
use crate::places::{OfOne, Place, Places};

/// How fast a client must send on the whole, in bytes a second.
const SLOWEST: u64 = 16 * 1024;
/// How long the store may take for a piece, and to be done.
const PATIENCE: Duration = Duration::from_secs(30);
/// Files under way for one.
const OF_ONE: OfOne = OfOne { account: 4, address: 8 };
/// What waits to be removed. More of it goes after a day.
const DISCARDED: usize = 1_024;

/// Where files go. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Uploads {
    blobs: Blobs,
    places: Places,
    most: u64,
    silence: Duration,
    bytes: IntCounter,
    discards: Discards,
}

/// Who asks, and with what.
pub(super) type Asked = (Principal, Payload, Option<Receipt>);

/// Receives what is sent to `route`, if who sends it may.
pub(super) async fn received(
    edge: &EdgeParts,
    exchange: &mut Exchange,
    parts: &request::Parts,
    (route, mut body): (&UploadRoute, Incoming),
) -> Result<Asked, Problem> {
    let taken = take(edge, exchange, parts, (route, &mut body)).await;
    // A client that still sends is to hear why it need not. In HTTP/2 a connection goes on, whatever becomes of
    // one request; and who waits for our consent hears at once.
    let lingers = parts.version != Version::HTTP_2
        && !parts.headers.contains_key(header::EXPECT)
        && !body.is_end_stream();
    if taken.is_err() && lingers {
        body::linger(body).await;
    }
    taken
}

async fn take(
    edge: &EdgeParts,
    exchange: &mut Exchange,
    parts: &request::Parts,
    (route, body): (&UploadRoute, &mut Incoming),
) -> Result<Asked, Problem> {
    let principal = authenticate::principal(edge, exchange, parts).await?;
    exchange.explains = explain::asked(parts, &principal);
    route.need.check(&principal)?;
    within_scopes(&principal, exchange.service.unwrap_or_default(), &parts.method)?;
    body::plain(parts)?;
    envelope::idempotency_key(&parts.headers)?;
    let client = exchange.principal.map_or_else(|| exchange.client.into(), Client::User);
    let (blob, receipt) = edge.uploads.receive(body, route.most, client).await?;
    Ok((principal, Payload::Blob(blob), Some(receipt)))
}

impl Uploads {
    /// Into these.
    pub(crate) fn new(
        blobs: Blobs,
        config: &GatewayConfig,
        metrics: &Metrics,
    ) -> prometheus::Result<Self> {
        let help = "Bytes of files received.";
        let bytes = IntCounter::new("panel_gateway_upload_bytes_total", help)?;
        Ok(Self {
            discards: Discards(Arc::new(Discarded {
                blobs: blobs.clone(),
                keys: Mutex::default(),
                told: Notify::new(),
            })),
            blobs,
            places: Places::new(config.files.max_uploads, OF_ONE),
            most: config.files.max_upload_bytes,
            silence: config.body_timeout.0,
            bytes: metrics.register(bytes)?,
        })
    }

    /// What removes what came to nothing, as a child of the gateway.
    pub(crate) fn child(&self) -> ChildSpec {
        let discards = self.discards.clone();
        ChildSpec::task("uploads", move || discards.clone().run())
    }

    async fn receive(
        &self,
        body: &mut Incoming,
        most: u64,
        client: Client,
    ) -> Result<(BlobRef, Receipt), Problem> {
        let most = self.most.min(most);
        if body.size_hint().lower() > most {
            return Err(BlobError::TooLarge(most).into());
        }
        if body.is_end_stream() {
            return Err(Problem::new(Kind::BadRequest, "send the file as the body"));
        }
        let _place: Place = self.places.enter(client).map_err(|full| {
            let all = "too many files are being received";
            full.refusal(all, "files are being received from you already")
        })?;
        let mut writer = in_time(self.blobs.receive(most)).await?;
        let (key, discards) = (writer.key().to_owned(), self.discards.clone());
        let receipt = Receipt { key, discards, is_kept: false };
        let mut waited = Duration::ZERO;
        while let Some(piece) = self.next(body, writer.bytes(), &mut waited).await? {
            self.bytes.inc_by(piece.len() as u64);
            in_time(writer.write(&piece)).await?;
        }
        let blob = in_time(BlobWriter::finish(writer)).await?;
        Ok((blob, receipt))
    }

    /// The next piece after so many bytes, for which the client was waited for so long. It is not to be held against
    /// it how long the store takes.
    async fn next(
        &self,
        body: &mut Incoming,
        bytes: u64,
        waited: &mut Duration,
    ) -> Result<Option<Bytes>, Problem> {
        let bad = |detail: &str| Problem::new(Kind::BadRequest, detail);
        let allowed = self.silence + Duration::from_secs(bytes / SLOWEST);
        let begun = Instant::now();
        let reading = async {
            loop {
                match body.frame().await {
                    None => return Ok(None),
                    Some(Err(_)) => return Err(bad("the file did not arrive whole")),
                    // Trailers say nothing that anybody asks for.
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            return Ok(Some(data));
                        }
                    }
                }
            }
        };
        let read = tokio::time::timeout(allowed.saturating_sub(*waited), reading).await;
        *waited += begun.elapsed();
        read.unwrap_or_else(|_| Err(bad("the file did not arrive in time")))
    }
}

/// That something was received. Dropped, it came to nothing.
#[derive(Debug)]
pub(super) struct Receipt {
    key: String,
    discards: Discards,
    is_kept: bool,
}

impl Receipt {
    /// From now on the service decides: it may keep it also where nobody hears of that.
    pub(super) fn sent(mut self) -> Self {
        self.is_kept = true;
        self
    }

    /// The service has answered: what it wanted to keep has another key by now, under which nobody removes it. Where
    /// nobody knows what it has done, it stays for a day.
    pub(super) fn answered(mut self, answered: &Result<Answered, Problem>) {
        self.is_kept = answered.as_ref().is_err_and(|problem| problem.outcome_unknown);
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.is_kept {
            self.discards.add(std::mem::take(&mut self.key));
        }
    }
}

/// What came to nothing, until it is removed. Cheap to clone.
#[derive(Clone, Debug)]
struct Discards(Arc<Discarded>);

#[derive(Debug)]
struct Discarded {
    blobs: Blobs,
    keys: Mutex<Vec<String>>,
    told: Notify,
}

impl Discards {
    fn add(&self, key: String) {
        let mut keys = self.0.keys.lock();
        if keys.len() < DISCARDED {
            keys.push(key);
        }
        drop(keys);
        self.0.told.notify_one();
    }

    async fn run(self) -> Result<(), String> {
        loop {
            let next = self.0.keys.lock().pop();
            let Some(key) = next else {
                self.0.told.notified().await;
                continue;
            };
            if in_time(self.0.blobs.remove(&key)).await.is_err() {
                tracing::debug!(key, "an upload stays for a day that nobody wants");
            }
        }
    }
}

/// What the store answers, if it does in time.
async fn in_time<T>(asked: impl Future<Output = Result<T, BlobError>>) -> Result<T, Problem> {
    let late = || BlobError::Unavailable("it did not answer in time".to_owned());
    let answered = tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(late()));
    Ok(answered?)
}
