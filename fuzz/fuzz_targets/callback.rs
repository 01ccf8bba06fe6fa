//! Coming back from a provider, through the routes of the service. Lines: the query of `oauth/hub/start`,
//! edits of the cookie that the browser is given there, how many seconds it is away, and what it comes
//! back to, below `oauth/`, where `$STATE` is what it was sent away with.
//!
//! Only the browser that has left comes back, in time and with its cookie as it was; and wherever it is
//! sent on to is a path of this site.

#![no_main]

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use libfuzzer_sys::fuzz_target;
use panel_fuzz::{edited, number, text_lines};
use panel_kernel::config::Section;
use panel_kernel::data::{Database, DatabaseConfig};
use panel_kernel::keys::ClusterKey;
use panel_kernel::message::Principal;
use panel_kernel::service::{NodeIdentity, RequestMeta, Runtime, ServiceContext};
use panel_kernel::time::{Clock, Timestamp};
use serde_json::{Value, json};
use tokio::runtime;
use tower::ServiceExt as _;
use url::{Url, form_urlencoded};

const SITE: &str = "https://panel.example";
const OAUTH: &str = "/api/v2/auth/oauth/";
const AUTHORIZE: &str = "https://hub.example/authorize";
/// What must be taken.
const PLAIN: [&str; 3] = ["", "cookie=true", "cookie=true&return_to=%2Fa%2Fb%3Fc%3Dd%23e"];
/// As long as a browser may be away.
const AWAY: u64 = 600;

struct Site {
    runtime: runtime::Runtime,
    router: Router,
}

static HERE: LazyLock<Site> = LazyLock::new(|| {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let router = runtime.block_on(async { router() });
    Site { runtime, router }
});

/// The service without its database, and with one provider, which nobody can reach: that port is none.
fn router() -> Router {
    let hub = json!({
        "kind": "oauth2", "client_id": "panel", "authorize_url": AUTHORIZE,
        "token_url": "https://127.0.0.1:0/token", "user_url": "https://127.0.0.1:0/user",
    });
    let section = Section { path: "auth".to_owned(), values: json!({"providers": {"hub": hub}}) };
    let service = (panel_auth::SERVICE.configure)(&section).unwrap();
    let (clock, node) = (Clock::manual(now()), NodeIdentity::new("fuzz"));
    let (key, nowhere) = (ClusterKey::from_bytes([7; 32]), PathBuf::from("/dev/null/nowhere"));
    let runtime = Runtime::new(node, clock.clone(), key, nowhere.clone(), SITE, SITE).unwrap();
    let config = DatabaseConfig::default();
    let location = config.location("auth", &nowhere).unwrap();
    let parts = (clock, runtime.metrics.clone());
    let db = Database::new("auth", &location, &config, "fuzz", parts).unwrap();
    (service.assemble)(&ServiceContext { runtime, db, path: "auth" }).router
}

fn now() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000)
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn location(&self) -> Option<&str> {
        self.headers.get(header::LOCATION).map(|value| value.to_str().unwrap())
    }

    /// The value of the one cookie that is set.
    fn cookie(&self) -> Option<&str> {
        let mut set = self.headers.get_all(header::SET_COOKIE).iter();
        let value = set.next()?.to_str().unwrap().strip_prefix("__Host-panel_sign_in=").unwrap();
        assert!(set.next().is_none());
        value.split(';').next()
    }
}

/// What the service answers, `seconds` after the start; a path and query that are none, nobody asks for.
fn get(path_and_query: &str, carried: Option<String>, seconds: u64) -> Option<(Uri, Answer)> {
    let uri: Uri = path_and_query.parse().ok()?;
    let at = now().plus(Duration::from_secs(seconds));
    let (shape, times) = ((Method::GET, uri.clone(), Bytes::new()), (at, at));
    let mut meta = RequestMeta::direct(Principal::Anonymous, None, shape, times);
    meta.sign_in = carried;
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = uri.clone();
    request.extensions_mut().insert(Arc::new(meta));
    let answer = HERE.runtime.block_on(async {
        let (parts, body) = HERE.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    });
    assert_ne!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{uri}: {:?}", answer.body);
    Some((uri, answer))
}

fuzz_target!(|data: &[u8]| {
    let Some([query, edits, seconds, target]) = text_lines(data) else { return };
    let Some((uri, started)) = get(&format!("{OAUTH}hub/start?{query}"), None, 0) else { return };
    let wish = Wish::of(uri.query().unwrap_or_default());
    if started.status != StatusCode::SEE_OTHER {
        assert!(matches!(started.status.as_u16(), 400 | 422), "{uri}: {}", started.status);
        assert!(started.cookie().is_none() && started.location().is_none());
        assert!(!PLAIN.contains(&query), "{uri} was refused");
        return;
    }
    let there = Url::parse(started.location().unwrap()).unwrap();
    assert!(there.as_str().starts_with(AUTHORIZE), "{there}");
    stays_here(&wish.return_to);
    let state = there.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let cookie = started.cookie().unwrap();
    let carried = edited(cookie, edits);
    let seconds = number::<u64>(seconds) % (2 * AWAY);

    let target = target.replace("$STATE", &state);
    let back = get(&format!("{OAUTH}{target}"), Some(carried.clone()), seconds);
    let Some((uri, came)) = back.filter(|(uri, _)| uri.path().ends_with("/callback")) else {
        return;
    };
    let is_theirs = carried == cookie && seconds < AWAY;
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let states = pairs.filter(|(name, _)| name == "state").map(|(_, value)| value);
    let agreed = states.eq([state.as_str()]);
    if let Some(location) = came.location() {
        assert_eq!(came.status, StatusCode::SEE_OTHER);
        assert!(is_theirs && agreed && wish.cookie, "{uri} was taken");
        assert!(is_of_hub(uri.path()), "{uri} is another's");
        stays_here(location);
        let (wanted, gone) = (site(&wish.return_to), site(location));
        assert_eq!(wanted.path(), gone.path());
        assert!(gone.query_pairs().any(|(name, _)| name == "oauth_error"), "{location}");
    } else if !(is_theirs && agreed) {
        // Of the query, of the cookie, or of the path.
        assert!(matches!(came.status.as_u16(), 400 | 404), "{uri}: {}", came.status);
        assert!(came.cookie().is_none(), "there is nothing to take away");
        let problem: Option<Value> = serde_json::from_slice(&came.body).ok();
        if let Some(code) = problem.as_ref().map(|it| &it["code"]).filter(|it| !it.is_null()) {
            assert_eq!(code, "oauth_begin_again");
        }
    } else {
        let declined = format!("{OAUTH}hub/callback?state={state}&error=access_denied");
        assert!(!wish.cookie || uri.to_string() != declined, "{uri} is sent nowhere");
    }
});

/// Whether that is where the provider sends browsers back to, however it is written.
fn is_of_hub(path: &str) -> bool {
    let below = path.strip_prefix(OAUTH).unwrap_or_default().replace('+', "%2B");
    let text = form_urlencoded::parse(below.as_bytes()).map(|(name, _)| name).next();
    text.as_deref() == Some("hub/callback")
}

/// What a browser asks for at the start.
struct Wish {
    cookie: bool,
    return_to: String,
}

impl Wish {
    fn of(query: &str) -> Self {
        let last = |wanted: &str| {
            let pairs = form_urlencoded::parse(query.as_bytes());
            pairs.filter(|(name, _)| name == wanted).last().map(|(_, value)| value.into_owned())
        };
        let cookie = last("cookie").is_some_and(|it| it == "true");
        Self { cookie, return_to: last("return_to").unwrap_or_else(|| "/".to_owned()) }
    }
}

fn site(path: &str) -> Url {
    Url::parse(SITE).unwrap().join(path).unwrap()
}

/// Wherever that is, as a browser reads it.
fn stays_here(path: &str) {
    assert!(path.starts_with('/') && !path.starts_with("//"), "{path:?}");
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{path:?}");
    let there = site(path);
    assert_eq!(there.origin(), Url::parse(SITE).unwrap().origin(), "{path:?}");
    assert!(!there.path().starts_with("//"), "{path:?}");
}
