//! Entity tags (RFC 9110, 8.8.3).
//!
//! What can be edited carries `"<version>-<hash>"`: the hash changes exactly when the answer
//! does (a reply count is part of the answer), the version exactly when somebody edited.
//! `If-None-Match` compares all of it, `If-Match` only the version: an edit must not be refused
//! because somebody replied in the meantime. Everything else gets a hash, from the gateway.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use crate::problem::{Kind, Problem};

/// The tag of an answer without a version.
#[must_use]
pub fn of_body(body: &[u8]) -> String {
    format!("\"{:032x}\"", xxh3_128(body))
}

/// The tag of content that is known by its SHA-256.
#[must_use]
pub fn of_hash(sha256: &[u8; 32]) -> String {
    format!("\"{}\"", crate::ids::hex(&sha256[..16]))
}

/// The tag of version `version` shown as `body`.
#[must_use]
pub fn of_version(version: i64, body: &[u8]) -> String {
    format!("\"{version}-{:016x}\"", xxh3_128(body) & u128::from(u64::MAX))
}

/// 200 with a JSON body, and the tag of its version.
#[must_use]
pub fn versioned<T: Serialize>(version: i64, value: &T) -> Response {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let tag = of_version(version, &body);
    let mut response = (StatusCode::OK, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// What `If-Match` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// There is no such header.
    Absent,
    /// `*`: whatever version there is.
    Any,
    /// One of these versions.
    Versions(Vec<i64>),
}

impl IfMatch {
    /// Checks the current version against it.
    ///
    /// # Errors
    /// 412 if it is none of those asked for.
    pub fn check(&self, current: i64) -> Result<(), Problem> {
        match self {
            Self::Versions(versions) if !versions.contains(&current) => Err(Problem::new(
                Kind::PreconditionFailed,
                format!("the current version is {current}; read it again and repeat your change"),
            )),
            _ => Ok(()),
        }
    }

    /// Insists on the header.
    ///
    /// # Errors
    /// 428 if it is not there.
    pub fn required(self) -> Result<Self, Problem> {
        match self {
            Self::Absent => Err(Problem::new(
                Kind::PreconditionRequired,
                "send If-Match with the ETag of the version you change",
            )),
            present => Ok(present),
        }
    }

    fn parse(text: &str) -> Self {
        if text.trim() == "*" {
            return Self::Any;
        }
        // A tag that is not one of ours matches nothing: that is a 412, not a 400.
        let versions = text.split(',').filter_map(|tag| {
            let tag = tag.trim().strip_prefix('"')?.strip_suffix('"')?;
            tag.split_once('-').map_or(tag, |(version, _)| version).parse().ok()
        });
        Self::Versions(versions.collect())
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.headers.get(header::IF_MATCH) {
            None => Ok(Self::Absent),
            Some(value) => value
                .to_str()
                .map(Self::parse)
                .map_err(|_| Problem::new(Kind::BadRequest, "If-Match is not readable")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_counts_for_if_match() {
        let tag = of_version(3, b"body");
        assert_eq!(IfMatch::parse(&tag), IfMatch::Versions(vec![3]));
        assert!(IfMatch::parse(&tag).check(3).is_ok());
        assert_eq!(IfMatch::parse(&tag).check(4).unwrap_err().kind, Kind::PreconditionFailed);
        assert!(IfMatch::parse(&format!("\"1\", {tag}")).check(3).is_ok());
        assert!(IfMatch::parse("*").check(9).is_ok());
        assert!(IfMatch::Absent.check(9).is_ok());
        assert_eq!(IfMatch::Absent.required().unwrap_err().kind, Kind::PreconditionRequired);
        for foreign in ["", "W/\"3\"", "3", "\"x\"", "\"\""] {
            assert!(IfMatch::parse(foreign).check(3).is_err(), "{foreign:?}");
        }
    }

    #[test]
    fn tags_change_with_the_body() {
        assert_ne!(of_version(3, b"a"), of_version(3, b"b"));
        assert_ne!(of_body(b"a"), of_body(b"b"));
        assert_eq!(of_body(b"a").len(), 34);
    }
}
