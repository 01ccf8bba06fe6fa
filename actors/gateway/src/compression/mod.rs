//! Answers made smaller: which codings a client reads (RFC 9110, 12.5.3), and the two there are.
//!
//! zstd (RFC 8878) costs least for what it saves; gzip (RFC 1952) is what everybody reads. What makes them
//! keeps some memory, so there is one of each for every thread that ever needs one.

mod accepted;
mod config;
mod tags;

use std::cell::RefCell;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};

pub(crate) use accepted::accepted;
pub use config::CompressionConfig;
pub(crate) use tags::{of_coding, plain};

/// How hard they try. More makes texts a little smaller, and takes a multiple of the time.
const ZSTD_LEVEL: i32 = 3;
const GZIP_LEVEL: u32 = 4;
/// How far back gzip looks: the most there is.
const GZIP_WINDOW_BITS: u8 = 15;
/// What gzip adds at most to what it can't make smaller, beside a part in a thousand.
const GZIP_OVERHEAD: usize = 64;

/// A way to write content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// RFC 8878.
    Zstd,
    /// RFC 1952.
    Gzip,
}

/// The same content in each coding, made when it is first asked for; `None` where it is not half as large: so both
/// together take no more room than the content.
#[derive(Debug, Default)]
pub(crate) struct Variants {
    zstd: OnceLock<Option<Bytes>>,
    gzip: OnceLock<Option<Bytes>>,
}

impl Coding {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Zstd, Self::Gzip];

    /// As it is called in headers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// Content in this coding, if that saves a tenth of it.
    pub(crate) fn encode(self, content: &[u8]) -> Option<Bytes> {
        let encoded = match self {
            Self::Zstd => zstd_of(content),
            Self::Gzip => gzip_of(content),
        };
        encoded.filter(|encoded| encoded.len() <= content.len() / 10 * 9).map(Bytes::from)
    }
}

impl Variants {
    /// `content`, whose variants these are, in this coding.
    pub(crate) fn of(&self, coding: Coding, content: &[u8]) -> Option<Bytes> {
        let made = match coding {
            Coding::Zstd => &self.zstd,
            Coding::Gzip => &self.gzip,
        };
        let half = content.len() / 2;
        made.get_or_init(|| coding.encode(content).filter(|made| made.len() <= half)).clone()
    }
}

/// Whether content of this type gets smaller: texts do; what was made small already does not.
pub(crate) fn is_text(media_type: &[u8]) -> bool {
    // As nearly all are.
    if media_type == b"application/json" {
        return true;
    }
    let Ok(media_type) = std::str::from_utf8(media_type) else { return false };
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some((kind, name)) = essence.split_once('/') else { return false };
    match kind {
        // A stream comes piece by piece.
        "text" => name != "event-stream",
        "application" => {
            matches!(name, "json" | "javascript" | "xml" | "manifest+json")
                || name.ends_with("+json")
                || name.ends_with("+xml")
        }
        _ => essence == "image/svg+xml",
    }
}

thread_local! {
    static ZSTD: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static GZIP: RefCell<Option<Compress>> = const { RefCell::new(None) };
}

fn zstd_of(content: &[u8]) -> Option<Vec<u8>> {
    ZSTD.with_borrow_mut(|kept| {
        if kept.is_none() {
            *kept = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
        }
        kept.as_mut()?.compress(content).ok()
    })
}

fn gzip_of(content: &[u8]) -> Option<Vec<u8>> {
    GZIP.with_borrow_mut(|kept| {
        let level = Compression::new(GZIP_LEVEL);
        let gzip = kept.get_or_insert_with(|| Compress::new_gzip(level, GZIP_WINDOW_BITS));
        gzip.reset();
        let mut encoded = Vec::with_capacity(content.len() + content.len() / 1_000 + GZIP_OVERHEAD);
        let status = gzip.compress_vec(content, &mut encoded, FlushCompress::Finish).ok()?;
        (status == Status::StreamEnd).then_some(encoded)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    fn decoded(coding: Coding, encoded: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Zstd => zstd::stream::decode_all(encoded).unwrap(),
            Coding::Gzip => {
                let mut text = Vec::new();
                flate2::read::GzDecoder::new(encoded).read_to_end(&mut text).unwrap();
                text
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_made_smaller_can_be_read(
            words in prop::collection::vec("[a-e]{1,3}|漢字|[a-z]{9}", 0..2_000),
        ) {
            let text = words.join(" ");
            for coding in Coding::ALL {
                if let Some(encoded) = coding.encode(text.as_bytes()) {
                    prop_assert!(encoded.len() < text.len());
                    prop_assert!(decoded(coding, &encoded) == text.as_bytes());
                }
            }
        }

        #[test]
        fn noise_is_left_alone(noise in prop::collection::vec(any::<u8>(), 0..100_000)) {
            for coding in Coding::ALL {
                prop_assert_eq!(coding.encode(&noise), None);
            }
        }
    }

    #[test]
    fn a_variant_is_made_once() {
        let text = "once upon a time ".repeat(500);
        let variants = Variants::default();
        for coding in Coding::ALL {
            let first = variants.of(coding, text.as_bytes()).unwrap();
            let again = variants.of(coding, text.as_bytes()).unwrap();
            assert_eq!(first.as_ptr(), again.as_ptr());
            assert_eq!(decoded(coding, &first), text.as_bytes());
        }
    }

    #[test]
    fn texts_get_smaller_and_pictures_do_not() {
        for yes in [
            "application/json",
            "text/html; charset=utf-8",
            "Text/Plain",
            "application/problem+json",
            "application/atom+xml; charset=utf-8",
            "image/svg+xml",
        ] {
            assert!(is_text(yes.as_bytes()), "{yes}");
        }
        for no in [
            "image/png",
            "text/event-stream",
            "application/zip",
            "application/octet-stream",
            "x",
            "",
        ] {
            assert!(!is_text(no.as_bytes()), "{no}");
        }
        assert!(!is_text(b"text/\xff"));
    }
}
