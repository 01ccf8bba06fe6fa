//! The one page of this service: making the first administrator.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, header};
use panel_kernel::ids::random_bytes;
use panel_kernel::problem::Problem;

/// `GET /setup`. The token stays behind the `#` of the link; the page's script reads it there.
#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    nonce: String,
}

pub(crate) async fn setup() -> Result<Response, Problem> {
    let nonce = STANDARD.encode(random_bytes::<16>());
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    );
    let page = SetupPage { nonce }.render().map_err(|_| Problem::internal())?;
    let mut response = Html(page).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
