//! The cookies of the site, and the token that shows that a request which carries a browser's session
//! was made by a page of ours (draft-ietf-httpbis-rfc6265bis-20, 4.1.3.2; OWASP's signed token
//! pattern).

use std::net::IpAddr;

use http::{HeaderMap, header};

use crate::ids::{Id, hex};
use crate::keys::{ClusterKey, SealingKey, constant_time_eq};

/// The header that carries the token.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// A cookie, as it is named and guarded here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteCookie {
    /// Over HTTPS alone. Then the name promises that no other host has set it.
    is_secure: bool,
    holds: Holds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Session,
    SignIn,
}

/// Whether what is given out by the site at this address stays between it and the browser: over
/// TLS, or where it never leaves the machine.
#[must_use]
pub fn stays_private(public_url: &str) -> bool {
    let Some(rest) = public_url.strip_prefix("http://") else { return true };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// What cookies a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'h> {
    /// Not this one.
    None,
    /// Its value.
    One(&'h str),
    /// Several of that name: somebody else has set one of them, and nobody can tell which.
    Several,
}

impl SiteCookie {
    /// The one that holds a browser's session, for the site at this address.
    #[must_use]
    pub fn session(public_url: &str) -> Self {
        Self { is_secure: public_url.starts_with("https://"), holds: Holds::Session }
    }

    /// The one that holds what a browser has begun and comes back with: a sign-in through somebody
    /// else.
    #[must_use]
    pub fn sign_in(public_url: &str) -> Self {
        Self { holds: Holds::SignIn, ..Self::session(public_url) }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match (self.holds, self.is_secure) {
            (Holds::Session, true) => "__Host-panel_session",
            (Holds::Session, false) => "panel_session",
            (Holds::SignIn, true) => "__Host-panel_sign_in",
            (Holds::SignIn, false) => "panel_sign_in",
        }
    }

    /// In seconds. What a session's holds ends by itself long before, so that is as long as browsers
    /// keep any.
    const fn max_age(self) -> &'static str {
        match self.holds {
            Holds::Session => "34560000",
            Holds::SignIn => "600",
        }
    }

    /// The `Set-Cookie` that gives it to a browser.
    #[must_use]
    pub fn set(self, value: &str) -> String {
        self.with(value, self.max_age())
    }

    /// The `Set-Cookie` that takes it away.
    #[must_use]
    pub fn clear(self) -> String {
        self.with("", "0")
    }

    fn with(self, value: &str, max_age: &str) -> String {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let name = self.name();
        format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}")
    }

    /// The one that a request carries.
    #[must_use]
    pub fn find(self, headers: &HeaderMap) -> Found<'_> {
        let mut found = Found::None;
        let fields = headers.get_all(header::COOKIE).iter();
        // A field that is no text has no cookie of ours.
        let pairs = fields.flat_map(|field| field.to_str().unwrap_or_default().split(';'));
        for (name, value) in pairs.filter_map(|pair| pair.split_once('=')) {
            if name.trim() == self.name() {
                found = match found {
                    Found::None => Found::One(value.trim()),
                    _ => return Found::Several,
                };
            }
        }
        found
    }
}

/// Makes and checks the tokens of sessions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CsrfTokens(SealingKey);

impl CsrfTokens {
    /// Under the cluster's key, so that every node agrees.
    #[must_use]
    pub fn new(key: &ClusterKey) -> Self {
        Self(key.derive("csrf tokens"))
    }

    /// The token of a session. It is no secret to who has the session, and of no use to others.
    #[must_use]
    pub fn of(&self, session: Id) -> String {
        hex(&self.0.tag(&[&session.raw().to_be_bytes()]))
    }

    /// Whether `token` is the session's.
    #[must_use]
    pub fn is_of(&self, session: Id, token: &str) -> bool {
        constant_time_eq(self.of(session).as_bytes(), token.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::COOKIE, field.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_cookie_is_as_safe_as_the_site_allows() {
        let secure = SiteCookie::session("https://panel.example").set("v");
        assert_eq!(
            secure,
            "__Host-panel_session=v; Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax; Secure"
        );
        let plain = SiteCookie::session("http://127.0.0.1:5000");
        assert_eq!(plain.clear(), "panel_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn a_sign_in_has_a_cookie_of_its_own_for_ten_minutes() {
        let cookie = SiteCookie::sign_in("https://panel.example");
        let set = "__Host-panel_sign_in=v; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(cookie.set("v"), set);
        let both = headers(&["panel_session=s; panel_sign_in=i"]);
        assert_eq!(SiteCookie::sign_in("http://127.0.0.1").find(&both), Found::One("i"));
        assert_eq!(SiteCookie::session("http://127.0.0.1").find(&both), Found::One("s"));
    }

    #[test]
    fn cookies_do_not_travel_in_the_clear() {
        let safe =
            ["https://a.example", "http://127.0.0.1:5000", "http://localhost", "http://[::1]:5"];
        for url in safe {
            assert!(stays_private(url), "{url}");
        }
        for url in
            ["http://a.example", "http://10.0.0.1:5000", "http://localhost.example", "http://"]
        {
            assert!(!stays_private(url), "{url}");
        }
    }

    #[test]
    fn the_one_cookie_of_that_name_is_found() {
        let cookie = SiteCookie::session("http://127.0.0.1");
        let cases: [(&[&str], Found<'_>); 8] = [
            (&[], Found::None),
            (&["a=b"], Found::None),
            (&["panel_session=x"], Found::One("x")),
            (&["a=b; panel_session=x=y ;c=d"], Found::One("x=y")),
            (&["a=b", "panel_session="], Found::One("")),
            (&["panel_session"], Found::None),
            (&["xpanel_session=x; panel_sessions=y; Panel_Session=z"], Found::None),
            (&["panel_session=x", "panel_session=x"], Found::Several),
        ];
        for (fields, expected) in cases {
            assert_eq!(cookie.find(&headers(fields)), expected, "{fields:?}");
        }
        let mut odd = headers(&["panel_session=x"]);
        odd.append(header::COOKIE, http::HeaderValue::from_bytes(b"panel_session=\xff").unwrap());
        assert_eq!(cookie.find(&odd), Found::One("x"));
    }

    #[test]
    fn tokens_belong_to_one_session_of_one_cluster() {
        let key = ClusterKey::from_bytes([1; 32]);
        let tokens = CsrfTokens::new(&key);
        let (ada, bob) = (Id::from_raw(1), Id::from_raw(2));
        assert!(tokens.is_of(ada, &tokens.of(ada)));
        for bad in [tokens.of(bob), String::new(), tokens.of(ada).to_uppercase() + "0"] {
            assert!(!tokens.is_of(ada, &bad), "{bad}");
        }
        let other = CsrfTokens::new(&ClusterKey::from_bytes([2; 32]));
        assert!(!other.is_of(ada, &tokens.of(ada)));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_sent_is_read_or_ignored(bytes in proptest::collection::vec(0_u8.., 0..200)) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = http::HeaderValue::from_bytes(&bytes) {
                headers.append(header::COOKIE, value);
            }
            if let Found::One(value) = SiteCookie::session("http://x").find(&headers) {
                proptest::prop_assert!(!value.contains(';'));
            }
        }
    }
}
