//! Pages for people.

use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, header};

use super::{CacheFor, Caller};
use crate::ids::random_bytes;
use crate::problem::{Kind, Problem};

/// A page under a content security policy: nothing but what `allowed` says, in which `{nonce}` stands for the
/// nonce that `render` is given for the page's own elements. Nobody frames it, and it changes no base.
///
/// # Errors
/// 500 if it can't be rendered.
pub fn page<E>(
    allowed: &str,
    render: impl FnOnce(String) -> Result<String, E>,
) -> Result<Response, Problem> {
    let Policy { nonce, header: policy } = Policy::new(allowed)?;
    let page = render(nonce).map_err(|_| Problem::internal())?;
    let mut response = Html(page).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// The same, which may be kept for others, if nobody in particular reads it, and is made old by these tags.
///
/// # Errors
/// 500 if it can't be rendered.
pub fn page_for<T: Into<String>, R, E: From<Problem>>(
    caller: &Caller,
    tags: impl IntoIterator<Item = T>,
    allowed: &str,
    render: impl FnOnce(String) -> Result<String, R>,
) -> Result<Response, E> {
    let cache = CacheFor::everybody(&caller.principal).tagged(tags);
    Ok((cache, page(allowed, render)?).into_response())
}

/// A refusal, as people read it.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What marks the page's own elements.
    pub nonce: String,
    /// One line.
    pub title: &'static str,
    /// What it is about.
    pub detail: String,
}

/// A refusal as a page, under the same policy as [`page`]: with its status, and with when to come again.
pub fn refusal<E>(
    problem: Problem,
    allowed: &str,
    render: impl FnOnce(Refused) -> Result<String, E>,
) -> Response {
    let (parts, ()) = problem.response("").map(drop).into_parts();
    let title = match problem.kind {
        Kind::NotFound => "There is nothing here",
        Kind::Gone => "This was removed",
        Kind::Unavailable => "This is not available at the moment",
        _ => "This can't be shown",
    };
    let detail = problem.detail;
    let Ok(mut page) = page(allowed, |nonce| render(Refused { nonce, title, detail })) else {
        return Problem::internal().into_response();
    };
    *page.status_mut() = parts.status;
    if let Some(after) = parts.headers.get(header::RETRY_AFTER) {
        page.headers_mut().insert(header::RETRY_AFTER, after.clone());
    }
    page
}

/// The content security policy of one page.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What marks the page's own elements.
    pub nonce: String,
    /// What the browser is told.
    pub header: HeaderValue,
}

impl Policy {
    /// As [`page`] has it.
    ///
    /// # Errors
    /// 500 if `allowed` can't be in a header.
    pub fn new(allowed: &str) -> Result<Self, Problem> {
        let nonce = STANDARD.encode(random_bytes::<16>());
        let allowed = allowed.replace("{nonce}", &format!("'nonce-{nonce}'"));
        let policy =
            format!("default-src 'none'; {allowed}; base-uri 'none'; frame-ancestors 'none'");
        let header = HeaderValue::try_from(policy).map_err(|_| Problem::internal())?;
        Ok(Self { nonce, header })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_its_own_elements_in_its_policy() {
        let policy = |response: &Response| {
            let policy = &response.headers()[header::CONTENT_SECURITY_POLICY];
            policy.to_str().unwrap().to_owned()
        };
        let mut given = String::new();
        let render = |nonce: String| {
            given.clone_from(&nonce);
            Ok::<_, ()>(nonce)
        };
        let shown = page("style-src {nonce}; img-src 'self'", render).unwrap();
        assert_eq!(
            policy(&shown),
            format!(
                "default-src 'none'; style-src 'nonce-{given}'; img-src 'self'; base-uri 'none'; \
                 frame-ancestors 'none'"
            )
        );
        assert_eq!(
            page("style-src {nonce}", |_| Err(())).unwrap_err().kind,
            crate::problem::Kind::Internal
        );
    }
}
