//! What a CDN is told with an answer: how long it may keep it, and by which tags it is purged there.
//!
//! How long is said in a header that is for the CDN alone (RFC 9213, and Fastly's older one), so that browsers and
//! other caches on the way go on as without: nobody can purge those. What can't be purged is not to be kept at all.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::config::{CdnConfig, CdnKind};
use super::pending::What;
use crate::tags::Tags;

/// The longest tag, at Cloudflare as at Fastly, in bytes.
const LONGEST_TAG: usize = 1_024;
/// The most bytes of all tags of an answer, at Cloudflare as at Fastly.
const MOST_BYTES: usize = 16 * 1_024;
/// For how long after that an answer is shown while it is asked for anew.
const REVALIDATING: Duration = Duration::from_secs(10);

/// How answers are labelled for a CDN. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    kind: CdnKind,
    names: Names,
    keep: HeaderValue,
}

/// How a site's tags are called at a CDN, where others' may be.
#[derive(Clone, Debug)]
pub(super) struct Names {
    site: String,
}

impl Names {
    /// For the site at this address.
    pub(super) fn new(public_url: &str) -> Self {
        let uri = public_url.parse::<http::Uri>().ok();
        let authority = uri.as_ref().and_then(|uri| uri.authority());
        let site = authority.map_or("panel", |authority| authority.as_str());
        Self { site: site.to_ascii_lowercase() }
    }

    /// What is purged, in the CDN's words.
    pub(super) fn name(&self, what: &What) -> String {
        match what {
            What::Site => self.site.clone(),
            What::Service(service) => format!("{}/{service}", self.site),
            What::Tag(service, tag) => format!("{}/{service}/{tag}", self.site),
        }
    }

    /// All by which an answer is purged; `None` if a CDN can't take them.
    fn of(&self, tags: &Tags) -> Option<Vec<String>> {
        let of = |(service, tags): (&'static str, &[Box<str>])| {
            let tags = tags.iter().map(move |tag| What::Tag(service, tag.clone()));
            [What::Service(service)].into_iter().chain(tags).collect::<Vec<_>>()
        };
        let all = [What::Site].into_iter().chain(tags.by_service().flat_map(of));
        let names: Vec<String> = all.map(|what| self.name(&what)).collect();
        let is_good = |name: &String| {
            // One that has a comma in it would be two.
            let mut bytes = name.bytes();
            name.len() <= LONGEST_TAG && bytes.all(|byte| byte.is_ascii_graphic() && byte != b',')
        };
        let bytes: usize = names.iter().map(|name| name.len() + 1).sum();
        (bytes <= MOST_BYTES && names.iter().all(is_good)).then_some(names)
    }
}

impl Labels {
    /// As configured, for the site at this address.
    pub(crate) fn new(config: &CdnConfig, public_url: &str) -> Self {
        let seconds = config.max_age.0.as_secs();
        let revalidating = REVALIDATING.as_secs();
        let keep = format!(
            "max-age={seconds}, stale-while-revalidate={revalidating}, stale-if-error={seconds}"
        );
        Self {
            kind: config.kind,
            names: Names::new(public_url),
            // Digits and letters.
            keep: HeaderValue::try_from(keep).unwrap_or(HeaderValue::from_static("max-age=0")),
        }
    }

    /// An answer that everybody may see, and that these tags make old: to be kept.
    pub(crate) fn keep(&self, headers: &mut HeaderMap, tags: &Tags) {
        // What carries none is purged with its whole service alone, and is not worth that.
        if tags.len() == 0 {
            return;
        }
        let Some(names) = self.names.of(tags) else { return };
        let (name, between) = match self.kind {
            CdnKind::Fastly => (HeaderName::from_static("surrogate-key"), " "),
            _ => (HeaderName::from_static("cache-tag"), ","),
        };
        if let Ok(tags) = HeaderValue::try_from(names.join(between)) {
            headers.insert(name, tags);
            headers.insert(self.control(), self.keep.clone());
        }
    }

    /// Whatever else everybody may see: not to be kept, since it could not be purged.
    pub(crate) fn finish(&self, headers: &mut HeaderMap) {
        let not = match self.kind {
            CdnKind::Fastly => "max-age=0",
            _ => "no-store",
        };
        headers.entry(self.control()).or_insert(HeaderValue::from_static(not));
    }

    /// Whether the CDN gives an answer to others than it is for, if it depends on more than credentials and codings.
    pub(crate) fn ignores_vary(&self) -> bool {
        self.kind == CdnKind::Cloudflare
    }

    /// The header that is for this CDN alone: its own where it has one, so that none behind it, which nobody purges,
    /// takes it for itself.
    fn control(&self) -> HeaderName {
        HeaderName::from_static(match self.kind {
            CdnKind::Cloudflare => "cloudflare-cdn-cache-control",
            CdnKind::Fastly => "surrogate-control",
            CdnKind::Webhook | CdnKind::None => "cdn-cache-control",
        })
    }
}

#[cfg(test)]
mod tests {
    use panel_kernel::config::Span;

    use super::*;

    fn labels(kind: CdnKind) -> Labels {
        let config = CdnConfig { kind, max_age: Span::seconds(90), ..CdnConfig::default() };
        Labels::new(&config, "https://Community.example")
    }

    fn told(labels: &Labels, tags: &[&str]) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        labels.keep(&mut headers, &Tags::of("forum", tags));
        labels.finish(&mut headers);
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }

    #[test]
    fn each_cdn_is_told_in_its_own_words() {
        let keep = "max-age=90, stale-while-revalidate=10, stale-if-error=90";
        let commas = "community.example,community.example/forum,community.example/forum/threads";
        let spaces = commas.replace(',', " ");
        for (kind, name, tags, control) in [
            (CdnKind::Webhook, "cache-tag", commas, "cdn-cache-control"),
            (CdnKind::Cloudflare, "cache-tag", commas, "cloudflare-cdn-cache-control"),
            (CdnKind::Fastly, "surrogate-key", &spaces, "surrogate-control"),
        ] {
            let expected = [(name, tags), (control, keep)];
            let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(told(&labels(kind), &["threads"]), expected);
        }
    }

    #[test]
    fn what_has_words_of_another_service_is_purged_with_those() {
        let tags = Tags::parse("cms", "article:1 forum/thread:2", |_| Some("forum")).unwrap();
        let names = Names::new("https://a.example").of(&tags).unwrap();
        let expected = [
            "a.example",
            "a.example/cms",
            "a.example/cms/article:1",
            "a.example/forum",
            "a.example/forum/thread:2",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn what_can_t_be_purged_is_not_kept() {
        let long = "x".repeat(LONGEST_TAG);
        let many: Vec<String> = (0..16).map(|n| format!("{n}{}", "x".repeat(1_000))).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for tags in [&[][..], &["a,b"], &["a b"], &["\u{e9}"], &[&long], &many] {
            let not = [("cdn-cache-control".to_owned(), "no-store".to_owned())];
            assert_eq!(told(&labels(CdnKind::Webhook), tags), not);
        }
        let not = [("surrogate-control".to_owned(), "max-age=0".to_owned())];
        assert_eq!(told(&labels(CdnKind::Fastly), &[]), not);
    }
}
