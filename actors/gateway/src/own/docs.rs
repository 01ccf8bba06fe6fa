//! The page that explains the API, and lets one try it. It is in the program, and asks nobody else.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use panel_kernel::http::Policy;
use panel_kernel::problem::Problem;

use crate::outgoing::{Content, Outgoing};

const PAGE: &str = include_str!("docs.html");
/// Its own script and style, and requests to this site.
const ALLOWED: &str =
    "script-src {nonce}; style-src {nonce}; connect-src 'self'; form-action 'none'";

/// The page, with a policy that is good for this answer alone.
pub(super) fn page() -> Result<Outgoing, Problem> {
    let Policy { nonce, header: policy } = Policy::new(ALLOWED)?;
    let content = Content::Bytes(Bytes::from(PAGE.replace("{{nonce}}", &nonce)));
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(Outgoing { status: StatusCode::OK, headers, content })
}
