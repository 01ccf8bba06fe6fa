//! What a reply says about being kept (RFC 9111, RFC 5861).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// No answer is shown that is older than this, whatever a service says.
const OLDEST: Duration = Duration::from_secs(24 * 3_600);

/// For how long a reply may be shown again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lifetime {
    /// Without asking.
    pub(super) fresh: Duration,
    /// And so much longer while it is asked for anew.
    pub(super) revalidating: Duration,
    /// And so much longer, from where it is fresh no more, if the service can't be asked.
    pub(super) stale: Duration,
}

impl Lifetime {
    /// What these headers allow; `None`: nothing.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        if headers.contains_key(header::SET_COOKIE) {
            return None;
        }
        let fields = headers.get_all(header::CACHE_CONTROL).iter();
        let directives = fields.filter_map(|field| field.to_str().ok()).flat_map(|f| f.split(','));
        let (mut public, mut revalidate) = (false, false);
        let (mut max_age, mut shared_max_age) = (None, None);
        let (mut revalidating, mut stale) = (None, None);
        for directive in directives {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            let seconds = || value.trim().trim_matches('"').parse().ok().map(Duration::from_secs);
            match name.trim().to_ascii_lowercase().as_str() {
                "public" => public = true,
                "private" | "no-store" => return None,
                "no-cache" => revalidate = true,
                "max-age" => max_age = seconds(),
                "s-maxage" => shared_max_age = seconds(),
                "stale-while-revalidate" => revalidating = seconds(),
                "stale-if-error" => stale = seconds(),
                _ => {}
            }
        }
        let fresh = shared_max_age.or(max_age).filter(|_| !revalidate).unwrap_or_default();
        let least = |time: Option<Duration>| time.unwrap_or_default().min(OLDEST);
        let revalidating = least(revalidating.filter(|_| !revalidate));
        let lifetime = Self { fresh: fresh.min(OLDEST), revalidating, stale: least(stale) };
        (public && lifetime != Self::default()).then_some(lifetime)
    }
}

/// What others are told of `Cache-Control`, if it is not the same: the times for which what is old may be shown are
/// the edge's alone. Nobody can tell a browser, or a cache on the way, that something is gone.
pub(crate) fn outward(headers: &HeaderMap) -> Option<HeaderValue> {
    let control = headers.get(header::CACHE_CONTROL)?.to_str().ok()?;
    if !control.contains("stale-") {
        return None;
    }
    let directives = control.split(',').map(str::trim);
    let kept: Vec<&str> = directives.filter(|one| !one.starts_with("stale-")).collect();
    HeaderValue::try_from(kept.join(", ")).ok()
}

/// The request headers that a reply depends on; `None` if on more than requests say.
pub(super) fn vary(headers: &HeaderMap) -> Option<Vec<HeaderName>> {
    let mut names = Vec::new();
    for field in headers.get_all(header::VARY) {
        for name in field.to_str().ok()?.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if name == "*" {
                return None;
            }
            names.push(name.parse().ok()?);
        }
    }
    names.sort_unstable_by(|a: &HeaderName, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetime(control: &str) -> Option<(u64, u64, u64)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, control.parse().unwrap());
        Lifetime::of(&headers).map(|life| {
            let Lifetime { fresh, revalidating, stale } = life;
            (fresh.as_secs(), revalidating.as_secs(), stale.as_secs())
        })
    }

    #[test]
    fn only_what_is_public_is_kept() {
        for (control, expected) in [
            ("public, max-age=0, s-maxage=1, stale-if-error=600", Some((1, 0, 600))),
            ("public, s-maxage=1, stale-while-revalidate=9", Some((1, 9, 0))),
            ("public, no-cache, s-maxage=1, stale-while-revalidate=9", None),
            ("public, stale-while-revalidate=999999999", Some((0, 86_400, 0))),
            ("public, max-age=5", Some((5, 0, 0))),
            ("Public, Max-Age=5, S-MaxAge=\"0\", stale-if-error=9", Some((0, 0, 9))),
            ("public, no-cache, max-age=5, stale-if-error=9", Some((0, 0, 9))),
            ("public, s-maxage=999999999, stale-if-error=999999999", Some((86_400, 0, 86_400))),
            ("public", None),
            ("public, max-age=0", None),
            ("public, max-age=x", None),
            ("max-age=5", None),
            ("private, max-age=5", None),
            ("public, no-store, max-age=5", None),
            ("public, max-age=5, private", None),
        ] {
            assert_eq!(lifetime(control), expected, "{control}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, "public, max-age=5".parse().unwrap());
        headers.insert(header::SET_COOKIE, "a=b".parse().unwrap());
        assert_eq!(Lifetime::of(&headers), None);
    }

    #[test]
    fn others_are_told_nothing_of_showing_what_is_old() {
        let told = |control: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, control.parse().unwrap());
            outward(&headers).map(|told| told.to_str().unwrap().to_owned())
        };
        let all = "public, max-age=0, s-maxage=1, stale-while-revalidate=10, stale-if-error=86400";
        assert_eq!(told(all).as_deref(), Some("public, max-age=0, s-maxage=1"));
        assert_eq!(told("public, max-age=0"), None);
        assert_eq!(outward(&HeaderMap::new()), None);
    }

    #[test]
    fn vary_is_a_set_of_names() {
        let mut headers = HeaderMap::new();
        assert_eq!(vary(&headers), Some(vec![]));
        headers.append(header::VARY, "Accept-Language, accept".parse().unwrap());
        headers.append(header::VARY, "accept".parse().unwrap());
        assert_eq!(vary(&headers), Some(vec![header::ACCEPT, header::ACCEPT_LANGUAGE]));
        headers.append(header::VARY, "*".parse().unwrap());
        assert_eq!(vary(&headers), None);
    }
}
