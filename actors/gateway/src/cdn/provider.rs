//! How purges are said to each kind of CDN, and what its answers mean.

use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::request::Builder;
use http::{HeaderValue, Request, Response, StatusCode, header};
use panel_kernel::ids::{hex, random_hex};
use panel_kernel::time::Timestamp;
use serde_json::{Value, json};

use super::config::{CdnConfig, CdnKind};
use super::labels::Names;
use super::pending::{Sent, What};

/// Tags in one request: what Cloudflare takes.
const MOST_CLOUDFLARE: usize = 30;
/// And Fastly, and what a webhook is sent.
const MOST: usize = 256;
/// The longest that a CDN is left alone because it says so.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// How much of an answer is shown in the log, in characters.
const SHOWN: usize = 200;

/// What came of a request to purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It will be purged, or is.
    Taken,
    /// Too many were asked for.
    Limited(Option<Duration>),
    /// It is said that we may not, or that there is no such thing: it is configured wrongly.
    Refused(String),
    /// It did not work this time.
    Failed(String, Option<Duration>),
}

/// The CDN, as it is spoken to.
#[derive(Clone, Debug)]
pub(super) struct Provider {
    config: CdnConfig,
    names: Names,
}

impl Provider {
    pub(super) fn new(config: &CdnConfig, names: Names) -> Self {
        Self { config: config.clone(), names }
    }

    /// How much can be purged with one request.
    pub(super) fn most(&self) -> usize {
        if self.config.kind == CdnKind::Cloudflare { MOST_CLOUDFLARE } else { MOST }
    }

    /// The request to purge this.
    ///
    /// # Errors
    /// In words, if what is configured makes none.
    pub(super) fn request(
        &self,
        batch: &[Sent],
        now: Timestamp,
    ) -> Result<Request<Vec<u8>>, String> {
        let CdnConfig { kind, zone, .. } = &self.config;
        let tags: Vec<String> = batch.iter().map(|(what, _)| self.names.name(what)).collect();
        let base = self.config.base();
        let (url, body) = match kind {
            CdnKind::Cloudflare => {
                (format!("{base}/zones/{zone}/purge_cache"), json!({"tags": tags}))
            }
            CdnKind::Fastly => {
                (format!("{base}/service/{zone}/purge"), json!({"surrogate_keys": tags}))
            }
            CdnKind::Webhook | CdnKind::None => {
                let everything = batch.iter().any(|(what, _)| *what == What::Site);
                let id = random_hex();
                (base.to_owned(), json!({"id": id, "tags": tags, "everything": everything}))
            }
        };
        let body = body.to_string().into_bytes();
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json");
        let request = self.signed(request, &body, now)?.body(body);
        request.map_err(|error| error.to_string())
    }

    /// With what lets us purge.
    fn signed(&self, request: Builder, body: &[u8], now: Timestamp) -> Result<Builder, String> {
        let token = self.config.token.expose();
        let secret = |text: &str| {
            let mut value = HeaderValue::from_str(text).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        };
        Ok(match self.config.kind {
            CdnKind::Cloudflare => {
                request.header(header::AUTHORIZATION, secret(&format!("Bearer {token}"))?)
            }
            CdnKind::Fastly => request.header("fastly-key", secret(token)?),
            CdnKind::Webhook | CdnKind::None => {
                let seconds = now.as_seconds();
                let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
                let mut signing = hmac::Context::with_key(&key);
                signing.update(format!("{seconds}.").as_bytes());
                signing.update(body);
                let signature = hex(signing.sign().as_ref());
                request.header("x-panel-signature", format!("t={seconds},v1={signature}"))
            }
        })
    }

    /// What an answer means.
    pub(super) fn verdict(&self, answer: &Response<Bytes>) -> Verdict {
        let status = answer.status();
        let said = || {
            let text = String::from_utf8_lossy(answer.body()).into_owned();
            let text: String = text.chars().filter(|one| !one.is_control()).take(SHOWN).collect();
            format!("{}: {text}", status.as_u16())
        };
        if status.is_success() {
            // Cloudflare says so also with a 200.
            let body = || serde_json::from_slice::<Value>(answer.body()).unwrap_or_default();
            let is_refused = self.config.kind == CdnKind::Cloudflare && body()["success"] == false;
            return if is_refused { Verdict::Refused(said()) } else { Verdict::Taken };
        }
        let wait = answer.headers().get(header::RETRY_AFTER);
        let wait = wait.and_then(|wait| wait.to_str().ok()?.trim().parse().ok());
        let wait = wait.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
        match status {
            StatusCode::TOO_MANY_REQUESTS => Verdict::Limited(wait),
            StatusCode::REQUEST_TIMEOUT => Verdict::Failed(said(), wait),
            status if status.is_server_error() => Verdict::Failed(said(), wait),
            _ => Verdict::Refused(said()),
        }
    }
}

#[cfg(test)]
mod tests {
    use panel_kernel::secret::Secret;

    use super::*;

    fn provider(kind: CdnKind) -> Provider {
        let url = if kind == CdnKind::Webhook { "https://hooks.example/p" } else { "" };
        let (url, zone, token) = (url.to_owned(), "z1".to_owned(), Secret::new("secret"));
        let config = CdnConfig { kind, url, zone, token, ..CdnConfig::default() };
        Provider::new(&config, Names::new("https://a.example"))
    }

    fn request(kind: CdnKind, batch: &[What]) -> (Request<Vec<u8>>, Value) {
        let batch: Vec<Sent> = batch.iter().map(|what| (what.clone(), 1)).collect();
        let now = Timestamp::from_seconds(1_800_000_000);
        let request = provider(kind).request(&batch, now).unwrap();
        let body = serde_json::from_slice(request.body()).unwrap();
        (request, body)
    }

    fn answer(status: u16, wait: &str, body: &'static str) -> Response<Bytes> {
        let answer = Response::builder().status(status).header("retry-after", wait);
        answer.body(Bytes::from_static(body.as_bytes())).unwrap()
    }

    #[test]
    fn each_is_asked_in_its_own_words() {
        let batch = [What::Service("cms"), What::Tag("forum", "thread:1".into())];
        let tags = json!(["a.example/cms", "a.example/forum/thread:1"]);
        let (asked, body) = request(CdnKind::Cloudflare, &batch);
        assert_eq!(asked.uri(), "https://api.cloudflare.com/client/v4/zones/z1/purge_cache");
        assert_eq!(
            (&asked.headers()["authorization"], body),
            (&"Bearer secret".parse().unwrap(), json!({"tags": tags}))
        );
        let (asked, body) = request(CdnKind::Fastly, &batch);
        assert_eq!(asked.uri(), "https://api.fastly.com/service/z1/purge");
        assert_eq!(
            (&asked.headers()["fastly-key"], body),
            (&"secret".parse().unwrap(), json!({"surrogate_keys": tags}))
        );
        let (asked, body) = request(CdnKind::Webhook, &batch);
        assert_eq!((&body["tags"], &body["everything"]), (&tags, &json!(false)));
        assert_eq!(
            (asked.uri(), body["id"].as_str().unwrap().len()),
            (&"https://hooks.example/p".parse().unwrap(), 32)
        );
        assert!(!format!("{asked:?}").contains("secret"));
        let (_, body) = request(CdnKind::Webhook, &[What::Site]);
        assert_eq!((&body["tags"], &body["everything"]), (&json!(["a.example"]), &json!(true)));
    }

    /// The same with `openssl dgst -sha256 -hmac secret` of `1800000000.{}`.
    #[test]
    fn what_a_webhook_is_sent_is_signed_with_the_time() {
        let signed = provider(CdnKind::Webhook);
        let now = Timestamp::from_seconds(1_800_000_000);
        let request = signed.signed(Request::post("/"), b"{}", now).unwrap().body(()).unwrap();
        let expected =
            "t=1800000000,v1=bb7079132825ac793cea8c013c1dd24d926b9b02132245b10588d9e5c0df70d7";
        assert_eq!(request.headers()["x-panel-signature"], expected);
    }

    #[test]
    fn answers_mean_what_they_say() {
        let cloudflare = provider(CdnKind::Cloudflare);
        let verdict = |status, wait, body| cloudflare.verdict(&answer(status, wait, body));
        assert_eq!(verdict(200, "", r#"{"success": true}"#), Verdict::Taken);
        assert_eq!(verdict(204, "", ""), Verdict::Taken);
        assert!(matches!(verdict(200, "", r#"{"success": false}"#), Verdict::Refused(_)));
        let wait = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(verdict(429, "7", ""), Verdict::Limited(wait(7)));
        assert_eq!(verdict(429, "999999", ""), Verdict::Limited(wait(3_600)));
        assert_eq!(verdict(429, "tomorrow", ""), Verdict::Limited(None));
        assert_eq!(verdict(503, "2", "down"), Verdict::Failed("503: down".to_owned(), wait(2)));
        for status in [400, 401, 403, 404, 302] {
            assert!(
                matches!(verdict(status, "", "no"), Verdict::Refused(said) if said.ends_with(": no"))
            );
        }
    }
}
