//! Providers that lie, and ours that listens.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use panel_kernel::metrics::Metrics;
use panel_kernel::secret::Secret;
use panel_kernel::time::{Clock, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "a secret that both know";

/// What a provider says, by path.
#[derive(Clone, Default)]
struct Liar {
    says: Arc<Mutex<BTreeMap<String, (u16, Value)>>>,
    asked: Arc<Mutex<Vec<String>>>,
    issuer: String,
}

impl Liar {
    /// One that says the truth so far.
    fn start(key: &Ed25519KeyPair) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let liar = Self { issuer: issuer.clone(), ..Self::default() };
        let at = |path: &str| format!("{issuer}{path}");
        liar.say("/.well-known/openid-configuration", json!({
            "issuer": issuer, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
            "userinfo_endpoint": at("/userinfo"), "jwks_uri": at("/jwks"),
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
        }));
        liar.shows(key);
        let answering = liar.clone();
        thread::spawn(move || {
            for socket in listener.incoming() {
                answering.answer(socket.unwrap());
            }
        });
        liar
    }

    fn answer(&self, mut socket: std::net::TcpStream) {
        let mut reader = BufReader::new(socket.try_clone().unwrap());
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line).unwrap();
        let path = line.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            let lower = line.to_lowercase();
            length = lower
                .strip_prefix("content-length:")
                .map_or(length, |it| it.trim().parse().unwrap());
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
        self.asked.lock().push(path.clone());
        let (status, body) = self.says.lock().get(&path).cloned().unwrap_or((404, json!(null)));
        let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let _ = socket.write_all((head + &body).as_bytes());
    }

    fn say(&self, path: &str, body: Value) {
        self.says.lock().insert(path.to_owned(), (200, body));
    }

    /// Shows this key alone.
    fn shows(&self, key: &Ed25519KeyPair) {
        let x = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
        let key = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid(key), "use": "sig", "alg": "EdDSA"});
        self.say("/jwks", json!({"keys": [key]}));
    }

    fn tells(&self, id_token: &str) {
        let told = json!({"access_token": "access", "token_type": "Bearer", "id_token": id_token});
        self.say("/token", told);
    }

    fn times_asked(&self, path: &str) -> usize {
        self.asked.lock().iter().filter(|asked| *asked == path).count()
    }
}

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::generate().unwrap()
}

fn kid(key: &Ed25519KeyPair) -> String {
    URL_SAFE_NO_PAD.encode(&key.public_key().as_ref()[..6])
}

fn signed(key: &Ed25519KeyPair, claims: &Value) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(kid(key));
    let private = EncodingKey::from_ed_der(key.to_pkcs8().unwrap().as_ref());
    jsonwebtoken::encode(&header, claims, &private).unwrap()
}

struct Scene {
    liar: Liar,
    key: Ed25519KeyPair,
    federation: Federation,
    clock: Clock,
    metrics: Metrics,
}

impl Scene {
    fn new(change: impl FnOnce(&mut ProviderConfig)) -> Self {
        let key = key();
        let liar = Liar::start(&key);
        let mut config = ProviderConfig {
            issuer: liar.issuer.clone(),
            client_id: "panel".to_owned(),
            client_secret: Secret::new(SECRET),
            ..ProviderConfig::default()
        };
        change(&mut config);
        let federation =
            Federation::new(&BTreeMap::from([("company".to_owned(), config)])).unwrap();
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        Self { liar, key, federation, clock, metrics: Metrics::new().unwrap() }
    }

    fn provider(&self) -> &Provider {
        self.federation.provider("company").unwrap()
    }

    fn talk(&self) -> Talk<'_> {
        let redirect = "http://127.0.0.1:5000/callback";
        Talk { redirect, clock: &self.clock, outcomes: &self.metrics.outbound }
    }

    async fn agreed(&self) -> Agreed {
        self.provider().depart(&self.talk()).await.unwrap().agreed
    }

    /// What a good ID token says.
    fn claims(&self, agreed: &Agreed) -> Value {
        let now = self.clock.now().as_seconds();
        json!({"iss": self.liar.issuer, "aud": "panel", "sub": "s-1", "nonce": agreed.nonce,
               "iat": now, "exp": now + 300, "email": "ada@example.org", "email_verified": true,
               "name": "Ada", "preferred_username": "ada"})
    }

    async fn identify(&self, agreed: &Agreed) -> Result<Identity, FederationError> {
        self.provider().identify("code", agreed, &self.talk()).await
    }

    async fn told(&self, agreed: &Agreed, id_token: &str) -> Result<Identity, FederationError> {
        self.liar.tells(id_token);
        self.identify(agreed).await
    }
}

#[track_caller]
fn refused(told: &Result<Identity, FederationError>, what: &str) {
    assert!(matches!(told, Err(FederationError::Refused(_))), "{what}: {told:?}");
}

#[track_caller]
fn unavailable(told: &Result<Identity, FederationError>, what: &str) {
    assert!(matches!(told, Err(FederationError::Unavailable(_))), "{what}: {told:?}");
}

#[tokio::test]
async fn a_good_token_tells_who_it_is() {
    let scene = Scene::new(|_| {});
    let agreed = scene.agreed().await;
    let claims = scene.claims(&agreed);
    let text = |text: &str| Some(text.to_owned());
    let ada = Identity {
        subject: "s-1".to_owned(),
        email: text("ada@example.org"),
        username: text("ada"),
        name: text("Ada"),
    };
    assert_eq!(scene.told(&agreed, &signed(&scene.key, &claims)).await.unwrap(), ada);
    // Within the minute that clocks may differ by.
    scene.clock.advance(Duration::from_secs(330));
    assert_eq!(scene.identify(&agreed).await.unwrap(), ada);
    assert_eq!(scene.liar.times_asked("/jwks"), 1, "what is known is not asked for again");
    scene.clock.advance(Duration::from_secs(3_600));
    refused(&scene.identify(&agreed).await, "an hour too late");
    assert_eq!(scene.liar.times_asked("/jwks"), 2);
}

#[tokio::test]
async fn an_address_counts_if_the_provider_vouches_for_it() {
    for (trust, verified, counts) in [
        (false, json!(true), true),
        (false, json!(false), false),
        (false, json!(null), false),
        (true, json!(null), true),
        (true, json!(false), false),
    ] {
        let scene = Scene::new(|config| config.trust_email = trust);
        let agreed = scene.agreed().await;
        let mut claims = scene.claims(&agreed);
        claims["email_verified"] = verified.clone();
        scene.liar.say("/userinfo", json!({"sub": "s-1"}));
        let told = scene.told(&agreed, &signed(&scene.key, &claims)).await.unwrap();
        assert_eq!(told.email.is_some(), counts, "{trust} {verified}");
    }
    // It may be told in another place, of the same person.
    let scene = Scene::new(|_| {});
    let agreed = scene.agreed().await;
    let mut claims = scene.claims(&agreed);
    claims["email"].take();
    let more = |subject: &str| json!({"sub": subject, "email": "other@example.org", "email_verified": true});
    scene.liar.say("/userinfo", more("s-1"));
    let token = signed(&scene.key, &claims);
    let told = scene.told(&agreed, &token).await.unwrap();
    assert_eq!(told.email.as_deref(), Some("other@example.org"));
    scene.liar.say("/userinfo", more("s-2"));
    refused(&scene.identify(&agreed).await, "somebody else's address");
}

#[tokio::test]
async fn what_a_token_says_is_checked() {
    let scene = Scene::new(|_| {});
    let agreed = scene.agreed().await;
    let good = scene.claims(&agreed);
    let now = scene.clock.now().as_seconds();
    for (claim, value) in [
        ("nonce", json!("another")),
        ("nonce", json!(null)),
        ("aud", json!("another")),
        ("aud", json!(["another"])),
        ("iss", json!("https://evil.example")),
        ("exp", json!(now - 61)),
        ("exp", json!(0)),
        ("sub", json!("")),
        ("sub", json!("x".repeat(256))),
        ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")),
    ] {
        let mut claims = good.clone();
        claims[claim] = value.clone();
        refused(
            &scene.told(&agreed, &signed(&scene.key, &claims)).await,
            &format!("{claim} {value}"),
        );
    }
    for claim in ["iss", "aud", "exp", "sub", "nonce", "iat"] {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(claim);
        let told = scene.told(&agreed, &signed(&scene.key, &claims)).await;
        assert!(told.is_err(), "without {claim}: {told:?}");
    }
    assert!(scene.told(&agreed, &signed(&scene.key, &good)).await.is_ok());
}

#[tokio::test]
async fn who_has_signed_it_is_checked() {
    let scene = Scene::new(|_| {});
    let agreed = scene.agreed().await;
    let good = scene.claims(&agreed);
    let claims = URL_SAFE_NO_PAD.encode(good.to_string());
    let head = |head: Value| URL_SAFE_NO_PAD.encode(head.to_string());
    let by_secret = |secret: &[u8]| {
        let header = Header::new(Algorithm::HS256);
        jsonwebtoken::encode(&header, &good, &EncodingKey::from_secret(secret)).unwrap()
    };
    let mut stranger = Header::new(Algorithm::EdDSA);
    stranger.kid = Some(kid(&scene.key));
    let private = EncodingKey::from_ed_der(key().to_pkcs8().unwrap().as_ref());
    let stranger = jsonwebtoken::encode(&stranger, &good, &private).unwrap();
    let whole = signed(&scene.key, &good);
    let (unsigned, signature) = whole.rsplit_once('.').unwrap();
    for (what, token) in [
        ("nobody", format!("{}.{claims}.", head(json!({"alg": "none"})))),
        ("no signature", format!("{unsigned}.")),
        ("our own secret", by_secret(SECRET.as_bytes())),
        ("the public key", by_secret(scene.key.public_key().as_ref())),
        ("a stranger", stranger),
        ("a key nobody knows", signed(&key(), &good)),
        ("other claims", format!("{}.{claims}x.{signature}", head(json!({"alg": "EdDSA"})))),
    ] {
        let told = scene.told(&agreed, &token).await;
        assert!(told.is_err(), "signed by {what}: {told:?}");
    }
    for token in ["", "a", "a.b.c", "....", "\u{1f600}"] {
        assert!(scene.told(&agreed, token).await.is_err(), "{token}");
    }
    scene.liar.say("/token", json!({"access_token": "access", "token_type": "Bearer"}));
    refused(&scene.identify(&agreed).await, "no ID token");
}

#[tokio::test]
async fn a_new_key_is_asked_for_and_not_all_the_time() {
    let scene = Scene::new(|_| {});
    let agreed = scene.agreed().await;
    let (new, claims) = (key(), scene.claims(&agreed));
    scene.liar.shows(&new);
    let token = signed(&new, &claims);
    for _ in 0..5 {
        refused(&scene.told(&agreed, &token).await, "it was asked a moment ago");
    }
    assert_eq!(scene.liar.times_asked("/jwks"), 1);
    scene.clock.advance(Duration::from_secs(30));
    assert!(scene.told(&agreed, &token).await.is_ok());
    assert_eq!(scene.liar.times_asked("/jwks"), 2);
    refused(&scene.told(&agreed, &signed(&scene.key, &claims)).await, "the old one");
}

#[tokio::test]
async fn what_is_no_provider_is_not_one() {
    let scene = Scene::new(|_| {});
    let agreed = scene.agreed().await;
    let token = signed(&scene.key, &scene.claims(&agreed));
    let says = |status: u16, body: Value| {
        scene.liar.says.lock().insert("/token".to_owned(), (status, body));
    };
    says(500, json!("<html>"));
    unavailable(&scene.identify(&agreed).await, "broken");
    says(200, json!("<html>"));
    unavailable(&scene.identify(&agreed).await, "no JSON");
    says(400, json!({"error": "invalid_grant"}));
    refused(&scene.identify(&agreed).await, "a code that is not good");
    scene.clock.advance(Duration::from_secs(3_600));
    let discovery = "/.well-known/openid-configuration";
    let (_, honest) = scene.liar.says.lock()[discovery].clone();
    for (key, value) in [
        ("issuer", json!("https://evil.example")),
        ("jwks_uri", json!("http://192.0.2.1/jwks")),
        ("token_endpoint", json!("http://192.0.2.1/token")),
        ("jwks_uri", json!(format!("{}/nowhere", scene.liar.issuer))),
        ("authorization_endpoint", json!("nonsense")),
    ] {
        let mut other = honest.clone();
        other[key] = value;
        scene.liar.say(discovery, other);
        unavailable(&scene.told(&agreed, &token).await, key);
        scene.clock.advance(Duration::from_secs(3_600));
    }
    let count =
        |outcome: &str| scene.metrics.outbound.with_label_values(&["company", outcome]).get();
    // Where somebody is sent was known by then, and nobody was asked for it.
    assert_eq!((count("answered"), count("refused"), count("unavailable")), (0, 1, 7));
}
