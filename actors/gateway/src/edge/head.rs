//! The request head: not too long, and with one meaning.

use http::uri::Scheme;
use http::{HeaderValue, Method, Uri, Version, header, request};
use panel_kernel::problem::{Kind, Problem};

use crate::config::GatewayConfig;
use crate::outgoing::Outgoing;
use crate::server::MAX_FIELDS;

/// Every method that some route has.
const METHODS: &str = "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS";

/// HTTP/2 names the host in the URL; everything behind this looks for it where HTTP/1.1 has it.
pub(super) fn name_host(parts: &mut request::Parts) {
    let Some(authority) = parts.uri.authority().filter(|_| parts.version == Version::HTTP_2) else {
        return;
    };
    if let Ok(host) = HeaderValue::try_from(authority.as_str()) {
        parts.headers.entry(header::HOST).or_insert(host);
    }
}

pub(super) fn check(parts: &request::Parts, config: &GatewayConfig) -> Result<(), Problem> {
    let target = parts.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    if target.len() > config.max_uri_bytes {
        let detail = format!("at most {} bytes of path and query", config.max_uri_bytes);
        return Err(Problem::new(Kind::UriTooLong, detail));
    }
    let bytes: usize =
        parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > config.max_header_bytes {
        let detail = format!("at most {} bytes of header fields", config.max_header_bytes);
        return Err(Problem::new(Kind::HeadersTooLarge, detail));
    }
    if parts.headers.len() > MAX_FIELDS {
        let detail = format!("at most {MAX_FIELDS} header fields");
        return Err(Problem::new(Kind::HeadersTooLarge, detail));
    }
    // HTTP/1.0 knows no Host; everybody else names one.
    let hosts = parts.headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && parts.version > Version::HTTP_10) {
        return Err(Problem::new(Kind::BadRequest, "send exactly one Host"));
    }
    let named = parts.uri.authority().filter(|_| parts.version == Version::HTTP_2);
    if named.is_some_and(|named| parts.headers[header::HOST] != named.as_str()) {
        return Err(Problem::new(Kind::BadRequest, "Host and :authority differ"));
    }
    Ok(())
}

/// The answer to what is asked of no path: `OPTIONS *` hears what there is, and tunnels and
/// echoes (CONNECT, TRACE) are not for an application server.
pub(super) fn without_path(parts: &request::Parts, request_id: &str) -> Option<Outgoing> {
    match parts.method {
        Method::OPTIONS if parts.uri.path() == "*" => Some(Outgoing::allow(METHODS)),
        Method::CONNECT | Method::TRACE => Some(Outgoing::not_allowed(METHODS, request_id)),
        _ => None,
    }
}

/// The target: a path, or a whole URL as proxies are sent it, of which only the path counts.
pub(super) fn target(uri: &Uri) -> Result<(), Problem> {
    let known = |scheme: &Scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS;
    if !uri.scheme().is_none_or(known) {
        return Err(Problem::new(Kind::BadRequest, "the URL must begin with http: or https:"));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(Problem::new(Kind::BadRequest, "credentials in a URL are not accepted"));
    }
    path(uri.path())
}

/// A path must mean the same to everybody who reads it: no empty or dot segments, no encoded
/// slashes, dots or NULs, and UTF-8 behind the percent signs.
fn path(path: &str) -> Result<(), Problem> {
    let bad = |detail: &str| Err(Problem::new(Kind::BadRequest, detail));
    if !path.starts_with('/') {
        return bad("the path must begin with a slash");
    }
    if path.contains("//") || path.contains('\\') {
        return bad("the path has an empty segment or a backslash");
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return bad("the path has dot segments");
    }
    if !path.contains('%') {
        return Ok(());
    }
    let Some(decoded) = decode(path) else {
        return bad("the path has a broken percent-encoding");
    };
    if decoded.iter().any(|byte| matches!(byte, b'/' | b'\\' | b'.' | 0..=0x1f | 0x7f)) {
        return bad("the path encodes a slash, a dot or a control character");
    }
    match percent_encoding::percent_decode_str(path).decode_utf8() {
        Ok(_) => Ok(()),
        Err(_) => bad("the path is not UTF-8"),
    }
}

/// The bytes that were percent-encoded; `None` if an encoding is broken.
fn decode(path: &str) -> Option<Vec<u8>> {
    path.split('%')
        .skip(1)
        .map(|part| part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_path_has_one_meaning() {
        for good in ["/", "/api/v2/forum/threads", "/a%20b", "/%E4%B8%AD", "/a.b/c"] {
            assert!(path(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "//",
            "/a//b",
            "/a/../b",
            "/./a",
            "/a\\b",
            "/a%2fb",
            "/a%2Fb",
            "/%2e%2e/a",
            "/a%00",
            "/a%0a",
            "/%ff",
            "/%",
            "/%a",
            "/%zz",
            "/%5c",
        ] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }
}
