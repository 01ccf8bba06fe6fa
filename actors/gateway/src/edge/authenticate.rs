//! Credentials become a principal. No credentials are fine here (rules decide); bad ones are
//! refused, whatever they were sent to.
//!
//! A cookie is sent by browsers whether the page wants it or not. So one that is good for nothing any
//! more is taken away, and asks as nobody; one that is good changes something only with the
//! session's token beside it, which other sites' pages don't know; and where nobody needs to be signed
//! in, such as to sign in, it is not looked at. Other sites' pages may open a WebSocket anywhere and read what
//! comes, so that is refused as if it changed something; and those that may call the API do so without the cookie,
//! as with all that they may read.

use http::{HeaderMap, header, request};
use panel_kernel::identity::{CSRF_HEADER, CredentialKind, CsrfTokens, Found, SiteCookie};
use panel_kernel::message::Principal;
use panel_kernel::problem::{Kind, Problem};
use percent_encoding::percent_decode_str;

use super::{EdgeParts, Exchange, origin};
use crate::limits::Asked;
use crate::streams::handshake;

/// What a request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown<'h> {
    /// Nothing.
    Nothing,
    /// An access token.
    Token(&'h str),
    /// An API key.
    Key(&'h str),
    /// A browser's session.
    Cookie(&'h str),
    /// Cookies of which one must be somebody else's.
    Cookies,
}

/// How the edge knows browsers.
#[derive(Clone, Debug)]
pub(crate) struct Browsers {
    pub(crate) cookie: SiteCookie,
    pub(crate) sign_in: SiteCookie,
    pub(crate) tokens: CsrfTokens,
    /// As browsers send it: scheme, host, port.
    pub(crate) origin: String,
}

/// Who asks, if they may ask for this much.
pub(super) async fn principal(
    edge: &EdgeParts,
    exchange: &mut Exchange,
    parts: &request::Parts,
) -> Result<Principal, Problem> {
    let mut counted = false;
    let asked = established(edge, exchange, parts, &mut counted).await;
    let principal = match &asked {
        Ok(principal) => principal,
        // What can't be told now is not the client's doing.
        Err(problem) if problem.kind == Kind::Unavailable => return asked,
        Err(_) => &Principal::Anonymous,
    };
    if let Principal::User(user) = principal {
        exchange.principal = Some(user.id);
        counted = false;
    }
    if !counted {
        count(edge, exchange, parts, principal)?;
    }
    asked
}

fn count(
    edge: &EdgeParts,
    exchange: &mut Exchange,
    parts: &request::Parts,
    principal: &Principal,
) -> Result<(), Problem> {
    let asked = Asked {
        principal,
        address: exchange.client,
        service: exchange.service.unwrap_or_default(),
        // However it is written, it is the same place.
        path: &percent_decode_str(parts.uri.path()).decode_utf8_lossy(),
        method: &parts.method,
    };
    edge.limits.check(asked, &mut exchange.standings)
}

/// Who it is. `counted` is set where the request was counted as one of its address.
async fn established(
    edge: &EdgeParts,
    exchange: &mut Exchange,
    parts: &request::Parts,
    counted: &mut bool,
) -> Result<Principal, Problem> {
    let changes = !parts.method.is_safe();
    let opens_socket = handshake::is_asked(parts);
    let mut shown = shown(&parts.headers, edge.browsers.cookie, opens_socket)?;
    if (changes || opens_socket) && !matches!(shown, Shown::Token(_) | Shown::Key(_)) {
        origin::check(parts, &edge.browsers.origin, &edge.cors)?;
        let is_open = changes && edge.targets.is_open(&parts.method, parts.uri.path());
        if is_open || (opens_socket && !origin::is_ours(parts, &edge.browsers.origin)) {
            shown = Shown::Nothing;
        }
    }
    let (kind, text) = match shown {
        Shown::Nothing => return Ok(Principal::Anonymous),
        Shown::Token(token) => return edge.identity.verify(token, edge.clock.now()),
        Shown::Cookies => {
            exchange.clears_cookie = true;
            return Ok(Principal::Anonymous);
        }
        Shown::Key(key) => (CredentialKind::ApiKey, key),
        Shown::Cookie(cookie) => (CredentialKind::Cookie, cookie),
    };
    // Boxed: most requests show a token, or nothing, and need not carry the size of this.
    let mut found = Box::pin(edge.credentials.known(kind, text)).await;
    if found.is_none() {
        // Whoever tries many is slowed down before anybody is asked.
        *counted = true;
        count(edge, exchange, parts, &Principal::Anonymous)?;
        found = Box::pin(edge.credentials.ask(kind, text)).await?;
    }
    match (found, kind) {
        (Some(principal), CredentialKind::Cookie) if changes => of_our_page(edge, principal, parts),
        (Some(principal), _) => Ok(principal),
        (None, CredentialKind::ApiKey) => {
            Err(Problem::new(Kind::Unauthorized, "the API key is not valid"))
        }
        (None, CredentialKind::Cookie) => {
            exchange.clears_cookie = true;
            Ok(Principal::Anonymous)
        }
    }
}

/// The principal of a cookie, where a page of ours has sent it.
fn of_our_page(
    edge: &EdgeParts,
    principal: Principal,
    parts: &request::Parts,
) -> Result<Principal, Problem> {
    let session = principal.user()?.session;
    let token = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
    if token.is_some_and(|token| edge.browsers.tokens.is_of(session, token)) {
        return Ok(principal);
    }
    let detail = "send the session's token as X-CSRF-Token; GET /api/v2/auth/session has it";
    Err(Problem::new(Kind::Forbidden, detail).code("csrf_token_required"))
}

/// What a request shows of who asks. What was put there on purpose goes before what a browser adds.
fn shown(
    headers: &HeaderMap,
    cookie: SiteCookie,
    opens_socket: bool,
) -> Result<Shown<'_>, Problem> {
    let bad = |kind, detail: &str| Err(Problem::new(kind, detail));
    let one = |name: &str| {
        let mut given = headers.get_all(name).iter();
        let first = given.next();
        match given.next() {
            None => Ok(first),
            Some(_) => Err(Problem::new(Kind::BadRequest, format!("send one {name} only"))),
        }
    };
    if opens_socket && let Some(token) = handshake::token(headers) {
        return Ok(Shown::Token(token));
    }
    let (authorization, key) = (one(header::AUTHORIZATION.as_str())?, one("x-api-key")?);
    match (authorization, key) {
        (Some(_), Some(_)) => bad(Kind::BadRequest, "send Authorization or X-API-Key, not both"),
        (Some(value), None) => {
            let token = value.to_str().ok().and_then(|text| {
                let (scheme, token) = text.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
            });
            match token.filter(|token| !token.is_empty()) {
                Some(token) => Ok(Shown::Token(token)),
                None => bad(Kind::Unauthorized, "send Authorization: Bearer <access token>"),
            }
        }
        (None, Some(key)) => Ok(Shown::Key(key.to_str().unwrap_or_default())),
        (None, None) => Ok(match cookie.find(headers) {
            Found::None => Shown::Nothing,
            Found::One(value) => Shown::Cookie(value),
            Found::Several => Shown::Cookies,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let fields =
            fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        fields.collect()
    }

    #[test]
    fn what_is_shown_on_purpose_goes_before_a_cookie() {
        let cookie = SiteCookie::session("http://127.0.0.1");
        let of = |fields: &[(&'static str, &'static str)]| {
            let headers = headers(fields);
            match shown(&headers, cookie, false) {
                Ok(Shown::Nothing) => "nothing".to_owned(),
                Ok(Shown::Token(text)) => format!("token {text}"),
                Ok(Shown::Key(text)) => format!("key {text}"),
                Ok(Shown::Cookie(text)) => format!("cookie {text}"),
                Ok(Shown::Cookies) => "cookies".to_owned(),
                Err(problem) => problem.kind.status().as_u16().to_string(),
            }
        };
        let (bearer, key) = (("authorization", "bearer  a.b.c"), ("x-api-key", "k"));
        let session = ("cookie", "panel_session=s");
        assert_eq!(of(&[]), "nothing");
        assert_eq!(of(&[bearer, session]), "token a.b.c");
        assert_eq!(of(&[key, session]), "key k");
        assert_eq!(of(&[session]), "cookie s");
        assert_eq!(of(&[("cookie", "panel_session=s; panel_session=t")]), "cookies");
        assert_eq!(of(&[bearer, key]), "400");
        assert_eq!(of(&[("authorization", "Basic YTpi"), session]), "401");
        assert_eq!(of(&[("authorization", "Bearer "), session]), "401");
    }
}
