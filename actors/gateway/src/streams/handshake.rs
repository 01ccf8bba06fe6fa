//! How a client asks for a WebSocket (RFC 6455, 4.2), and how it is told that it has one.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header, request};
use panel_kernel::problem::{Kind, Problem};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The one version there is.
const VERSION: HeaderValue = HeaderValue::from_static("13");
/// The protocol of those who show an access token: pages can send no header of their own with a WebSocket, but
/// what they offer to speak. The token is named behind it, and is not what is spoken.
const BEARER: &str = "bearer";
/// Sixteen bytes in base64.
const KEY_LENGTH: usize = 24;

/// A WebSocket that was asked for.
#[derive(Debug)]
pub(crate) struct Handshake {
    accept: HeaderValue,
    bearer: bool,
}

/// Whether a WebSocket is asked for.
pub(crate) fn is_asked(parts: &request::Parts) -> bool {
    parts.method == Method::GET
        && parts.version == Version::HTTP_11
        && has(&parts.headers, &header::UPGRADE, "websocket")
        && has(&parts.headers, &header::CONNECTION, "upgrade")
}

/// The access token that is shown with it.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    let mut offered = list(headers, &header::SEC_WEBSOCKET_PROTOCOL);
    (offered.next() == Some(BEARER)).then(|| offered.next().unwrap_or_default())
}

impl Handshake {
    /// What is asked for; `None` if that is no WebSocket.
    ///
    /// # Errors
    /// The answer to one that nobody could speak; it is to carry [`version`].
    pub(crate) fn of(parts: &request::Parts) -> Result<Option<Self>, Problem> {
        if !is_asked(parts) {
            return Ok(None);
        }
        let bad = |detail| Err(Problem::new(Kind::BadRequest, detail));
        if parts.headers.get(header::SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
            return bad("this is WebSocket version 13 (Sec-WebSocket-Version)");
        }
        let key = parts.headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
        let key = key.filter(|key| key.len() == KEY_LENGTH && key.ends_with(b"=="));
        let accept = key.and_then(|key| HeaderValue::from_str(&derive_accept_key(key)).ok());
        let Some(accept) = accept else {
            return bad("Sec-WebSocket-Key must be sixteen bytes in base64");
        };
        Ok(Some(Self { accept, bearer: token(&parts.headers).is_some() }))
    }

    /// The head of 101.
    pub(super) fn headers(self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        if self.bearer {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(BEARER));
        }
        headers
    }
}

/// What is said of the version, where it is another.
pub(crate) const fn version() -> (HeaderName, HeaderValue) {
    (header::SEC_WEBSOCKET_VERSION, VERSION)
}

/// The parts of a list, in however many fields.
fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let fields = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    fields.flat_map(|field| field.split(',')).map(str::trim)
}

fn has(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    list(headers, name).any(|part| part.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    /// The request of RFC 6455, 1.3, with other fields.
    fn asks(fields: &[(&str, &str)]) -> Result<Option<Handshake>, Problem> {
        let mut request = Request::get("/chat");
        let usual = [
            ("upgrade", "websocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
        ];
        for (name, value) in usual {
            let other = fields.iter().find(|(other, _)| *other == name);
            request = request.header(name, other.map_or(value, |(_, other)| other));
        }
        for (name, value) in fields.iter().filter(|(name, _)| !usual.iter().any(|u| u.0 == *name)) {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Handshake::of(&parts)
    }

    #[test]
    fn a_websocket_is_asked_for_in_one_way() {
        let headers = asks(&[]).unwrap().unwrap().headers();
        assert_eq!(headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(!headers.contains_key("sec-websocket-protocol"));
        for other in [("upgrade", "h2c"), ("connection", "close")] {
            assert!(asks(&[other]).unwrap().is_none(), "{other:?}");
        }
        let long = "x".repeat(25);
        for bad in [
            ("sec-websocket-version", "8"),
            ("sec-websocket-key", ""),
            ("sec-websocket-key", &long),
        ] {
            assert_eq!(asks(&[bad]).unwrap_err().kind, Kind::BadRequest, "{bad:?}");
        }
    }

    #[test]
    fn a_token_is_no_protocol() {
        let offers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("sec-websocket-protocol", HeaderValue::from_str(value).unwrap());
            token(&headers).map(str::to_owned)
        };
        assert_eq!(offers("bearer, a.b.c").unwrap(), "a.b.c");
        assert_eq!(offers("bearer").unwrap(), "");
        assert_eq!(offers("chat, bearer"), None);
        let headers = asks(&[("sec-websocket-protocol", "bearer, a.b.c")]).unwrap().unwrap();
        assert_eq!(headers.headers()["sec-websocket-protocol"], "bearer");
    }
}
