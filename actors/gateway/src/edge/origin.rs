//! Whose page a browser's request comes from. Whoever shows a token or an API key has put it there; what
//! browsers send by themselves, or send without any, is taken from our own pages alone, and from
//! those of the origins that may call the API.
//!
//! Browsers say so in `Sec-Fetch-Site` (W3C Fetch Metadata) and `Origin` (RFC 6454); programs send
//! neither.

use http::{header, request};
use panel_kernel::problem::{Kind, Problem};

use super::cors::Cors;

/// Checks a request that would change something.
///
/// # Errors
/// 403 for a page of another site.
pub(super) fn check(
    parts: &request::Parts,
    public_origin: &str,
    cors: &Cors,
) -> Result<(), Problem> {
    if cors.allows(&parts.headers) || is_ours(parts, public_origin) {
        return Ok(());
    }
    let detail = "this was sent by a page of another site; see gateway.cors.origins";
    Err(Problem::new(Kind::Forbidden, detail).code("cross_site"))
}

/// Whether a page of this site has sent it, or a program.
pub(super) fn is_ours(parts: &request::Parts, public_origin: &str) -> bool {
    let text = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = text("sec-fetch-site");
    match (site, text(header::ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            // Behind a proxy the host may be another than people see, and the other way round.
            let host = text(header::HOST.as_str()).unwrap_or_default();
            let named = origin.split_once("://").map_or("", |(_, host)| host);
            origin == public_origin || (!host.is_empty() && named == host)
        }
        (None, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn passes(headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().header("host", "127.0.0.1:5000");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let cors = Cors::new(&["https://app.example".to_owned()]);
        check(&parts, "https://panel.example", &cors).is_ok()
    }

    #[test]
    fn other_sites_pages_change_nothing() {
        assert!(passes(&[]), "a program");
        assert!(passes(&[("sec-fetch-site", "same-origin"), ("origin", "https://panel.example")]));
        assert!(passes(&[("sec-fetch-site", "none")]));
        assert!(passes(&[("origin", "https://panel.example")]));
        assert!(passes(&[("origin", "http://127.0.0.1:5000")]));
        assert!(passes(&[("origin", "https://app.example"), ("sec-fetch-site", "cross-site")]));
        for bad in ["cross-site", "same-site", "", "x"] {
            assert!(!passes(&[("sec-fetch-site", bad)]), "{bad}");
            let lies = [("sec-fetch-site", bad), ("origin", "https://panel.example")];
            assert!(!passes(&lies), "{bad}");
        }
        for bad in
            ["null", "", "https://evil.example", "https://panel.example.evil", "http://127.0.0.1"]
        {
            assert!(!passes(&[("origin", bad)]), "{bad}");
        }
    }
}
