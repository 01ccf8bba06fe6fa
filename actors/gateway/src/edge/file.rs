//! Answers whose content lies in the blob store: it is read there while it is sent, the whole of it or the
//! part that is asked for (RFC 9110, 14). So a download that was cut off goes on where it was, through
//! whichever gateway.
//!
//! A short one, or part, is read whole at once, as long as there is room for that. Each other holds a piece in memory, and
//! what the connection buffers of it; so many may be under way on a gateway (`gateway.files.max_downloads`), and so many
//! of them for one account. Where the store does not give the next piece in time, or a client takes hours, the connection
//! ends, and the client goes on from there.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request};
use panel_kernel::blobs::{BlobError, Blobs, Content as Pieces, PIECE};
use panel_kernel::message::BlobRef;
use panel_kernel::problem::{Kind, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Exchange;
use crate::limits::Client;
use crate::outgoing::{Content, Outgoing};
use crate::places::{OfOne, Place, Places};
use crate::server::AnswerBody;

/// How long the store may take for the first piece, and for each other.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a file may take to be sent.
const LONGEST: Duration = Duration::from_secs(2 * 3_600);
/// What is read whole, in bytes; and how much of that there may be at a time, in kilobytes.
const SHORT: u64 = PIECE as u64;
const SHORT_ONES: usize = 64 * 1024;
/// Files under way for one.
const OF_ONE: OfOne = OfOne { account: 8, address: 32 };

/// What is wanted of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    Part(Range<u64>),
    /// A part that begins behind its end.
    Nothing,
}

/// Where files come from. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    blobs: Blobs,
    places: Places,
    /// Room for short ones, in kilobytes.
    short: Arc<Semaphore>,
}

/// A file that is being sent.
struct Sending {
    begun: Instant,
    _place: Place,
}

impl Files {
    /// From these, so many at a time.
    pub(crate) fn new(blobs: Blobs, at_once: usize) -> Self {
        let short = Arc::new(Semaphore::new(SHORT_ONES));
        Self { blobs, places: Places::new(at_once, OF_ONE), short }
    }

    /// Opens what an answer is to be made of, if that is a file.
    pub(super) async fn open(
        &self,
        parts: &request::Parts,
        outgoing: &mut Outgoing,
        exchange: &Exchange,
    ) -> Result<(), Problem> {
        let Content::Blob(blob) = &outgoing.content else { return Ok(()) };
        outgoing.headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let is_get = parts.method == Method::GET && outgoing.status == StatusCode::OK;
        let wanted = if is_get {
            wanted(&parts.headers, &outgoing.headers, blob.bytes)
        } else {
            Wanted::All
        };
        let range = match wanted {
            Wanted::All => 0..blob.bytes,
            Wanted::Part(range) => {
                let part = format!("bytes {}-{}/{}", range.start, range.end - 1, blob.bytes);
                set(&mut outgoing.headers, header::CONTENT_RANGE, &part);
                outgoing.status = StatusCode::PARTIAL_CONTENT;
                range
            }
            Wanted::Nothing => {
                let bytes = blob.bytes;
                let detail = format!("the file has {bytes} bytes");
                let problem = Problem::new(Kind::RangeNotSatisfiable, detail);
                *outgoing = Outgoing::problem(&problem, &exchange.request_id);
                let nothing = format!("bytes */{bytes}");
                set(&mut outgoing.headers, header::CONTENT_RANGE, &nothing);
                return Ok(());
            }
        };
        let length = range.end - range.start;
        if parts.method == Method::HEAD {
            outgoing.content = Content::Announced(length);
            return Ok(());
        }
        let room = (length <= SHORT).then(|| self.room(length)).flatten();
        outgoing.content = Content::Open(match room {
            Some(room) => self.short(blob, range, room).await?,
            None => self.send(blob, range, exchange).await?,
        });
        Ok(())
    }

    /// Room for a short part, if there is any.
    fn room(&self, length: u64) -> Option<OwnedSemaphorePermit> {
        let kilobytes = u32::try_from(length.div_ceil(1024)).ok()?;
        Arc::clone(&self.short).try_acquire_many_owned(kilobytes).ok()
    }

    /// All of a short part: a page with many small pictures takes no places. The room is taken until it is sent.
    async fn short(
        &self,
        blob: &BlobRef,
        range: Range<u64>,
        room: OwnedSemaphorePermit,
    ) -> Result<AnswerBody, Problem> {
        let length = range.end - range.start;
        let reading = async {
            let mut pieces = self.blobs.read(blob, range).await?;
            let mut whole = pieces.next().await.transpose()?.unwrap_or_default();
            // It may lie across two pieces.
            while let Some(piece) = pieces.next().await.transpose()? {
                whole = [whole, piece].concat().into();
            }
            Ok::<_, BlobError>(whole)
        };
        let read = tokio::time::timeout(PATIENCE, reading).await;
        let whole = read.unwrap_or_else(|_| Err(late()))?;
        if whole.len() as u64 != length {
            return Err(BlobError::Gone.into());
        }
        let pieces = stream::unfold((Some(whole), room), |(piece, room)| async move {
            piece.map(|piece| (Ok(piece), (None, room)))
        });
        Ok(AnswerBody::pieces(pieces.boxed(), length))
    }

    async fn send(
        &self,
        blob: &BlobRef,
        range: Range<u64>,
        exchange: &Exchange,
    ) -> Result<AnswerBody, Problem> {
        let length = range.end - range.start;
        let client = exchange.principal.map_or_else(|| exchange.client.into(), Client::User);
        let sending = self.begin(client)?;
        let reading = tokio::time::timeout(PATIENCE, self.blobs.read(blob, range));
        let pieces = reading.await.unwrap_or_else(|_| Err(late()))?;
        let request_id = exchange.request_id.clone();
        let pieces = stream::unfold(Some((pieces, sending)), move |going| {
            let request_id = request_id.clone();
            async move {
                let (mut pieces, sending) = going?;
                match next(&mut pieces, &sending).await? {
                    Ok(piece) => Some((Ok(piece), Some((pieces, sending)))),
                    Err(error) => {
                        tracing::warn!(request_id, %error, "a file was not sent to its end");
                        Some((Err(error), None))
                    }
                }
            }
        });
        Ok(AnswerBody::pieces(pieces.boxed(), length))
    }

    /// Takes a place.
    fn begin(&self, client: Client) -> Result<Sending, Problem> {
        let place = self.places.enter(client).map_err(|full| {
            full.refusal("too many files are being sent", "files are being sent to you already")
        })?;
        Ok(Sending { begun: Instant::now(), _place: place })
    }
}

/// The next piece, if it comes in time.
async fn next(pieces: &mut Pieces, sending: &Sending) -> Option<io::Result<bytes::Bytes>> {
    if sending.begun.elapsed() > LONGEST {
        return Some(Err(io::Error::new(io::ErrorKind::TimedOut, "it has taken too long")));
    }
    match tokio::time::timeout(PATIENCE, pieces.next()).await {
        Ok(piece) => piece.map(|piece| piece.map_err(io::Error::other)),
        Err(_) => Some(Err(io::Error::other(late()))),
    }
}

fn late() -> panel_kernel::blobs::BlobError {
    panel_kernel::blobs::BlobError::Unavailable("it did not answer in time".to_owned())
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// What a client asks for of a file that has so many bytes. Of several parts, all are sent as the whole;
/// what can't be read asks for nothing (RFC 9110, 14.2).
pub(crate) fn wanted(asked: &HeaderMap, answer: &HeaderMap, bytes: u64) -> Wanted {
    let Some(ranges) = asked.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return Wanted::All;
    };
    // Only of the very file that the client has the beginning of. It knows tags alone.
    if let Some(condition) = asked.get(header::IF_RANGE)
        && answer.get(header::ETAG) != Some(condition)
    {
        return Wanted::All;
    }
    let Some(range) = ranges.strip_prefix("bytes=").filter(|list| !list.contains(',')) else {
        return Wanted::All;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match range.trim().split_once('-') {
        // The last so many.
        Some(("", last)) if digits(last) => match last.parse::<u64>().unwrap_or(u64::MAX) {
            0 => Wanted::Nothing,
            _ if bytes == 0 => Wanted::Nothing,
            last => Wanted::Part(bytes.saturating_sub(last)..bytes),
        },
        Some((first, last)) if digits(first) && (last.is_empty() || digits(last)) => {
            let first = first.parse::<u64>().unwrap_or(u64::MAX);
            let last = last.parse::<u64>().unwrap_or(u64::MAX);
            if last < first {
                Wanted::All
            } else if first >= bytes {
                Wanted::Nothing
            } else {
                Wanted::Part(first..last.saturating_add(1).min(bytes))
            }
        }
        _ => Wanted::All,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(range: &str, bytes: u64) -> Wanted {
        let mut asked = HeaderMap::new();
        asked.insert(header::RANGE, HeaderValue::from_str(range).unwrap());
        wanted(&asked, &HeaderMap::new(), bytes)
    }

    #[test]
    fn ranges_are_as_the_standard_has_them() {
        assert_eq!(of("bytes=0-0", 10), Wanted::Part(0..1));
        assert_eq!(of("bytes=2-5", 10), Wanted::Part(2..6));
        assert_eq!(of("bytes=9-", 10), Wanted::Part(9..10));
        assert_eq!(of("bytes=0-99", 10), Wanted::Part(0..10));
        assert_eq!(of("bytes=-3", 10), Wanted::Part(7..10));
        assert_eq!(of("bytes=-99999999999999999999999", 10), Wanted::Part(0..10));
        assert_eq!(of("bytes=0-18446744073709551615", 10), Wanted::Part(0..10));
        for behind in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(of(behind, 10), Wanted::Nothing, "{behind}");
        }
        assert_eq!((of("bytes=0-", 0), of("bytes=-1", 0)), (Wanted::Nothing, Wanted::Nothing));
        for odd in [
            "bytes=5-2",
            "bytes=0-1,3-4",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=+1-2",
            "rows=1-2",
            "1-2",
            "",
        ] {
            assert_eq!(of(odd, 10), Wanted::All, "{odd}");
        }
    }

    #[test]
    fn a_part_is_of_what_the_client_has_the_beginning_of() {
        let headers = |name: header::HeaderName, value: &'static str| {
            HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
        };
        let answer = headers(header::ETAG, "\"one\"");
        for (condition, part) in [("\"one\"", true), ("\"two\"", false), ("W/\"one\"", false)] {
            let mut asked = headers(header::RANGE, "bytes=1-");
            asked.extend(headers(header::IF_RANGE, condition));
            let got = wanted(&asked, &answer, 3);
            assert_eq!(got, if part { Wanted::Part(1..3) } else { Wanted::All }, "{condition}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_is_within_the_file(range in "bytes=[0-9,-]{0,24}", bytes: u64) {
            if let Wanted::Part(part) = of(&range, bytes) {
                prop_assert!(part.start < part.end && part.end <= bytes);
            }
        }
    }
}
