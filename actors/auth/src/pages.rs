//! The pages that links lead to: making the first administrator, joining, confirming an address, choosing
//! another password. Each is a form; the token stays behind the `#` of the link, and the page's script
//! reads it there. And those that need no link: signing in, and having one's data put together. All of them
//! ask the API, as any other program does.

use askama::Template;
use axum::response::Response;
use http::{HeaderValue, header};
use panel_kernel::problem::Problem;

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    nonce: String,
}

#[derive(Template)]
#[template(path = "verify-email.html")]
struct VerifyEmailPage {
    nonce: String,
}

#[derive(Template)]
#[template(path = "reset-password.html")]
struct ResetPasswordPage {
    nonce: String,
}

#[derive(Template)]
#[template(path = "forgot-password.html")]
struct ForgotPasswordPage {
    nonce: String,
}

#[derive(Template)]
#[template(path = "sign-in.html")]
struct SignInPage {
    nonce: String,
}

#[derive(Template)]
#[template(path = "account-export.html")]
struct AccountExportPage {
    nonce: String,
}

#[derive(Template)]
#[template(path = "join.html")]
struct JoinPage {
    nonce: String,
}

/// `GET /join`.
pub(crate) async fn join() -> Result<Response, Problem> {
    page(|nonce| JoinPage { nonce }.render())
}

/// `GET /setup`.
pub(crate) async fn setup() -> Result<Response, Problem> {
    page(|nonce| SetupPage { nonce }.render())
}

/// `GET /verify-email`. It waits for a click: programs that look through mails open links.
pub(crate) async fn verify_email() -> Result<Response, Problem> {
    page(|nonce| VerifyEmailPage { nonce }.render())
}

/// `GET /reset-password`.
pub(crate) async fn reset_password() -> Result<Response, Problem> {
    page(|nonce| ResetPasswordPage { nonce }.render())
}

/// `GET /forgot-password`.
pub(crate) async fn forgot_password() -> Result<Response, Problem> {
    page(|nonce| ForgotPasswordPage { nonce }.render())
}

/// `GET /sign-in`. With `return_to`, a path of this site, the browser goes on there.
pub(crate) async fn sign_in() -> Result<Response, Problem> {
    page(|nonce| SignInPage { nonce }.render())
}

/// `GET /account-export`.
pub(crate) async fn account_export() -> Result<Response, Problem> {
    page(|nonce| AccountExportPage { nonce }.render())
}

/// A page whose own script and style alone are run.
fn page(render: impl FnOnce(String) -> askama::Result<String>) -> Result<Response, Problem> {
    let allowed = "script-src {nonce}; style-src {nonce}; connect-src 'self'; form-action 'none'";
    let mut response = panel_kernel::http::page(allowed, render)?;
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    Ok(response)
}
