//! Pieces of blobs in a bucket that speaks S3's protocol.
//!
//! The bucket is told as little as possible: pieces of 4 MiB, each an object of its own that is written once, under
//! the name of its upload. Which of them are a blob is written down in the index ([`super::index`]). So nothing
//! depends on what stores of this kind do differently: there is no multipart upload to forget, no copy, no
//! condition; and what is read is what the index says, or nothing.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, ObjectStore as _, ObjectStoreExt as _, RetryConfig,
};
use parking_lot::Mutex;

use super::config::BucketConfig;
use super::{BlobError, Content, PIECE};
use crate::outbound;
use crate::supervision::ChildSpec;

/// An object, in bytes: what is held in memory for each blob that is being written.
pub(super) const OBJECT: usize = 4 * 1024 * 1024;
/// For one question, tries that fail included; what is read comes after it.
const PATIENCE: Duration = Duration::from_secs(20);
/// Tries that may follow the first.
const TRIES: usize = 2;
/// After the first failure, and at most.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Between two looks whether a bucket that failed is back.
const LOOK: Duration = Duration::from_secs(2);
/// Objects that are removed at a time.
const AT_ONCE: usize = 8;
/// An object that there is not, to see whether the bucket answers.
const NOTHING: &str = "nothing";

/// A bucket, or the part of it below a prefix. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    store: Arc<AmazonS3>,
    prefix: Path,
    /// Why the last question had no answer; at first nobody knows.
    trouble: Arc<Mutex<Option<String>>>,
}

/// Sends questions by our own client, which trusts whom it is told to and no environment.
#[derive(Debug)]
struct Own(reqwest::Client);

impl HttpConnector for Own {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

impl Bucket {
    /// The bucket there. Asks it nothing yet.
    pub(super) fn new(config: &BucketConfig) -> Result<Self, String> {
        let retry = RetryConfig {
            backoff: BackoffConfig { init_backoff: PAUSE, max_backoff: LONGEST_PAUSE, base: 2. },
            max_retries: TRIES,
            retry_timeout: PATIENCE,
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_access_key_id(&config.access_key_id)
            .with_secret_access_key(config.secret_access_key.expose())
            .with_virtual_hosted_style_request(config.virtual_hosted_style)
            // The configuration has seen to it that it is not over a network.
            .with_allow_http(true)
            .with_retry(retry)
            .with_http_connector(Own(outbound::keeping_connections(&config.ca_file)?));
        if !config.endpoint.is_empty() {
            builder = builder.with_endpoint(&config.endpoint);
        }
        let store = builder.build().map_err(|error| error.to_string())?;
        let prefix = Path::from(config.prefix.as_str());
        let trouble = Arc::new(Mutex::new(Some("it has not been asked yet".to_owned())));
        Ok(Self { store: Arc::new(store), prefix, trouble })
    }

    /// Whether the last question had no answer.
    pub(super) fn fails(&self) -> bool {
        self.trouble.lock().is_some()
    }

    /// Asks, after it has failed, whether it is back.
    pub(super) fn watch(&self) -> ChildSpec {
        let watched = self.clone();
        ChildSpec::task("bucket_watch", move || watched.clone().watching())
    }

    async fn watching(self) -> Result<(), String> {
        loop {
            if self.trouble.lock().is_some() {
                let path = self.prefix.clone().join(NOTHING);
                let asked = self.ask(self.store.head(&path)).await;
                if matches!(asked, Ok(_) | Err(BlobError::Gone)) {
                    tracing::info!(bucket = %self.store, "the bucket answers");
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Writes a piece of an upload.
    pub(super) async fn put(
        &self,
        upload: &str,
        number: i64,
        piece: Vec<u8>,
    ) -> Result<(), BlobError> {
        let path = self.path(upload, number);
        self.ask(self.store.put(&path, piece.into())).await.map(drop)
    }

    /// Removes all pieces of an upload.
    pub(super) async fn clear(&self, upload: &str) -> Result<(), BlobError> {
        let folder = self.prefix.clone().join(upload);
        let listed = stream::unfold(self.store.list(Some(&folder)), |mut listed| async {
            let next = self.ask(listed.try_next()).await.transpose()?;
            Some((next, listed))
        });
        let remove = async |object: object_store::ObjectMeta| {
            match self.ask(self.store.delete(&object.location)).await {
                // Somebody else is at it as well.
                Err(BlobError::Gone) => Ok(()),
                other => other,
            }
        };
        listed.try_for_each_concurrent(AT_ONCE, remove).await
    }

    /// The bytes `range` of an upload.
    pub(super) async fn read(&self, upload: &str, range: Range<u64>) -> Result<Content, BlobError> {
        let rest = Rest { bucket: self.clone(), upload: upload.to_owned(), range, object: None };
        let Some((piece, rest)) = next(rest).await? else { return Ok(stream::empty().boxed()) };
        Ok(stream::iter([Ok(piece)]).chain(stream::try_unfold(rest, next)).boxed())
    }

    /// Opens the object in which `range` begins.
    async fn open(&self, upload: &str, range: &Range<u64>) -> Result<Object, BlobError> {
        let size = OBJECT as u64;
        let (number, from) = (range.start / size, range.start % size);
        let left = (size - from).min(range.end - range.start);
        let path = self.path(upload, i64::try_from(number).unwrap_or(i64::MAX));
        let wanted =
            GetOptions { range: Some((from..from + left).into()), ..GetOptions::default() };
        let got = self.ask(self.store.get_opts(&path, wanted)).await?;
        Ok(Object { chunks: got.into_stream(), held: Bytes::new(), left })
    }

    fn path(&self, upload: &str, number: i64) -> Path {
        self.prefix.clone().join(upload).join(format!("{number:08}"))
    }

    /// Waits for an answer, and remembers whether there was one.
    async fn ask<T>(
        &self,
        question: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, BlobError> {
        let answer = match tokio::time::timeout(PATIENCE, question).await {
            Ok(answer) => answer.map_err(BlobError::from),
            Err(_) => Err(BlobError::Unavailable("the bucket does not answer in time".to_owned())),
        };
        let trouble = match &answer {
            Err(BlobError::Unavailable(why)) => Some(why.clone()),
            _ => None,
        };
        let mut known = self.trouble.lock();
        if known.is_none()
            && let Some(why) = &trouble
        {
            tracing::warn!(bucket = %self.store, why, "the bucket is not available");
        }
        *known = trouble;
        drop(known);
        answer
    }
}

impl From<object_store::Error> for BlobError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Gone,
            // Keys that are not valid any more, a bucket that is not there, a network that is down: somebody can
            // see to all of it.
            error => Self::Unavailable(whole(&error)),
        }
    }
}

/// An error with its causes: the first alone says little.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// What is still to be read: of the object that is open, and after it.
struct Rest {
    bucket: Bucket,
    upload: String,
    range: Range<u64>,
    object: Option<Object>,
}

/// An object that is being read, and how much of it is wanted still.
struct Object {
    chunks: BoxStream<'static, object_store::Result<Bytes>>,
    /// What has come and was not given on: a chunk may be longer than a piece.
    held: Bytes,
    left: u64,
}

/// What comes next.
async fn next(mut rest: Rest) -> Result<Option<(Bytes, Rest)>, BlobError> {
    if rest.range.is_empty() {
        return Ok(None);
    }
    let mut object = match rest.object.take() {
        Some(object) => object,
        None => rest.bucket.open(&rest.upload, &rest.range).await?,
    };
    while object.held.is_empty() {
        let chunk = rest.bucket.ask(object.chunks.try_next()).await?;
        object.held =
            chunk.ok_or_else(|| BlobError::Fault("a piece is shorter than it was".to_owned()))?;
    }
    let piece = object.held.split_to(object.held.len().min(PIECE));
    let length = piece.len() as u64;
    object.left = object
        .left
        .checked_sub(length)
        .ok_or_else(|| BlobError::Fault("a piece is longer than what was asked for".to_owned()))?;
    rest.range.start += length;
    if object.left > 0 {
        rest.object = Some(object);
    }
    Ok(Some((piece, rest)))
}
