//! Answers made smaller for who can read that.
//!
//! Not those that nobody may keep: they are where secrets are, and the size of a secret beside something that
//! somebody else has chosen tells of the secret (BREACH). Nor what says so itself (`no-transform`).

use http::{HeaderMap, HeaderValue, StatusCode, header, request};
use panel_kernel::metrics::Metrics;
use prometheus::{IntCounterVec, Opts};

use crate::compression::{self, Coding, CompressionConfig};
use crate::outgoing::{Content, Outgoing};

/// Who makes them smaller.
#[derive(Clone, Debug)]
pub(crate) struct Compressor {
    config: CompressionConfig,
    bytes: IntCounterVec,
}

impl Compressor {
    pub(crate) fn new(config: &CompressionConfig, metrics: &Metrics) -> prometheus::Result<Self> {
        let help = "Answers that were made smaller: their bytes before and after.";
        let options = Opts::new("panel_gateway_compression_bytes_total", help);
        let bytes = IntCounterVec::new(options, &["coding", "side"])?;
        Ok(Self { config: config.clone(), bytes: metrics.register(bytes)? })
    }

    /// Makes an answer smaller, if that is worth it. It has its tag already.
    pub(super) fn apply(&self, parts: &request::Parts, outgoing: &mut Outgoing) {
        if !self.config.enabled || !may_be_smaller(&outgoing.headers) {
            return;
        }
        // What it is depends on this, also where it is sent as it is.
        outgoing.headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
        if outgoing.status == StatusCode::PARTIAL_CONTENT {
            return;
        }
        let Some(coding) = compression::accepted(&parts.headers) else { return };
        let Some((before, encoded)) = self.encoded(coding, &outgoing.content) else { return };
        let count = |side, bytes| {
            let counter = self.bytes.with_label_values(&[coding.name(), side]);
            counter.inc_by(bytes as u64);
        };
        count("before", before);
        count("after", encoded.len());
        outgoing.content = Content::Bytes(encoded);
        let name = HeaderValue::from_static(coding.name());
        outgoing.headers.insert(header::CONTENT_ENCODING, name);
        if let Some(tag) = outgoing.headers.get(header::ETAG)
            && let Some(tag) = compression::of_coding(tag, coding)
        {
            outgoing.headers.insert(header::ETAG, tag);
        }
    }

    /// How long content is, and the same in this coding.
    fn encoded(&self, coding: Coding, content: &Content) -> Option<(usize, bytes::Bytes)> {
        let is_large = |bytes: &[u8]| bytes.len() >= self.config.min_bytes;
        match content {
            Content::Bytes(bytes) if is_large(bytes) => Some((bytes.len(), coding.encode(bytes)?)),
            Content::Kept(kept) if is_large(&kept.body) => {
                Some((kept.body.len(), kept.variants.of(coding, &kept.body)?))
            }
            _ => None,
        }
    }
}

/// Whether content with these headers may be written in another way, and it would help.
fn may_be_smaller(headers: &HeaderMap) -> bool {
    let is_text = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| compression::is_text(value.as_bytes()));
    let controls = headers.get_all(header::CACHE_CONTROL).iter();
    let mut controls = controls.filter_map(|field| field.to_str().ok());
    is_text
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::SET_COOKIE)
        && !controls.any(|field| field.contains("no-store") || field.contains("no-transform"))
}
