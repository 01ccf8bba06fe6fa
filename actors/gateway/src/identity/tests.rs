//! Tokens, good and bad.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use panel_kernel::identity::PublicKey;

use super::*;

/// A token that says it was signed with this key, and was not.
fn token(kid: &str) -> String {
    let head = format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#);
    [head.as_bytes(), b"{}", &[7; 64]].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

#[test]
fn what_was_changed_before_can_be_changed_again() {
    let identity = Identity::new("auth", "panel", 10);
    let (now, key) = (Timestamp::from_seconds(1_800_000_000), Id::from_raw(7));
    let changed = |seconds: u64| {
        let until = now.plus(Duration::from_secs(seconds));
        let revoked = vec![panel_kernel::identity::Revoked { session: key, until }];
        IdentityReport { keys: Vec::new(), revoked, more: false }
    };
    let known = || identity.known.load().revoked.get(&key).copied();
    for seconds in [600, 660] {
        identity.learn(changed(seconds), now, true);
        assert_eq!(known(), Some(now.plus(Duration::from_secs(seconds))));
    }
    let at = |seconds: u64| now.plus(Duration::from_secs(seconds));
    identity.learn(IdentityReport::default(), at(740), true);
    assert!(known().is_some(), "a clock may be ahead");
    identity.learn(IdentityReport::default(), at(751), true);
    assert_eq!(known(), None);
}

#[test]
fn a_token_of_a_key_that_may_be_newer_than_the_news_is_not_called_bad() {
    let identity = Identity::new("auth", "panel", 10);
    let now = Timestamp::from_seconds(1_800_000_000);
    let status = |kid: &str, seconds: u64| {
        let at = now.plus(Duration::from_secs(seconds));
        identity.verify(&token(kid), at).unwrap_err().kind.status().as_u16()
    };
    assert_eq!(status("k1", 0), 503, "nothing was heard yet");
    let key = PublicKey { kid: "k1".to_owned(), x: URL_SAFE_NO_PAD.encode([1; 32]) };
    let report = IdentityReport { keys: vec![key], revoked: Vec::new(), more: false };
    identity.learn(report.clone(), now, false);
    assert_eq!(status("k2", 0), 503, "not all was heard yet");
    identity.learn(report, now, true);
    assert_eq!((status("k1", 0), status("k2", 0)), (401, 401));
    assert_eq!((status("k1", 3), status("k2", 3)), (401, 401));
    assert_eq!((status("k1", 4), status("k2", 4)), (401, 503), "there may be a newer one");
}

/// A clock's now, and an identity that knows the key `k1`, whose private half is the pair.
fn known() -> (Identity, Ed25519KeyPair, Timestamp) {
    let pair = Ed25519KeyPair::generate().unwrap();
    let now = Timestamp::from_seconds(1_800_000_000);
    let identity = Identity::new("auth", "https://panel.example", 100);
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let keys = vec![PublicKey { kid: "k1".to_owned(), x }];
    identity.learn(IdentityReport { keys, revoked: Vec::new(), more: false }, now, true);
    (identity, pair, now)
}

/// A token of exactly this head and these claims, signed with that.
fn signed(head: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let text = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = sign(text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

const HEAD: &str = r#"{"alg":"EdDSA","typ":"JWT","kid":"k1"}"#;

/// Good claims, of which `name` is replaced by `value`; without it, if that is empty.
fn claims(name: &str, value: &str) -> String {
    let good = [
        ("iss", r#""https://panel.example""#),
        ("aud", r#""panel""#),
        ("sub", r#""0000000000001""#),
        ("sid", r#""0000000000002""#),
        ("role", r#""user""#),
        ("name", r#""Ada""#),
        ("iat", "1799999990"),
        ("exp", "1800000590"),
        ("jti", r#""0000000000003""#),
    ];
    let fields = good.iter().map(|(key, kept)| (*key, if *key == name { value } else { *kept }));
    let fields = fields.filter(|(_, value)| !value.is_empty());
    let fields: Vec<String> = fields.map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

#[track_caller]
fn is_refused(identity: &Identity, token: &str, now: Timestamp, why: &str) {
    let problem = identity.verify(token, now).expect_err(why);
    assert_eq!(problem.kind, Kind::Unauthorized, "{why}");
}

#[test]
fn what_another_algorithm_or_key_has_signed_is_refused() {
    let (identity, pair, now) = known();
    let ours = |text: &[u8]| pair.sign(text).as_ref().to_vec();
    let good = signed(HEAD, &claims("", ""), ours);
    assert!(identity.verify(&good, now).is_ok());
    // "none", and the public key taken for a shared secret (CVE-2015-9235).
    let public = pair.public_key().as_ref().to_vec();
    for head in [
        r#"{"alg":"none","kid":"k1"}"#,
        r#"{"alg":"None","kid":"k1"}"#,
        r#"{"alg":"","kid":"k1"}"#,
        r#"{"kid":"k1"}"#,
    ] {
        is_refused(&identity, &signed(head, &claims("", ""), |_| Vec::new()), now, head);
        is_refused(&identity, &signed(head, &claims("", ""), ours), now, head);
    }
    for alg in ["HS256", "HS384", "HS512"] {
        let head = format!(r#"{{"alg":"{alg}","kid":"k1"}}"#);
        let mac = |text: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &public);
            hmac::sign(&key, text).as_ref().to_vec()
        };
        is_refused(&identity, &signed(&head, &claims("", ""), mac), now, alg);
    }
    for alg in ["RS256", "PS256", "ES256", "eddsa", "Ed25519"] {
        let head = format!(r#"{{"alg":"{alg}","kid":"k1"}}"#);
        is_refused(&identity, &signed(&head, &claims("", ""), ours), now, alg);
    }
    // A key that the token brings along, or says where to find (CVE-2018-0114).
    let other = Ed25519KeyPair::generate().unwrap();
    let theirs = |text: &[u8]| other.sign(text).as_ref().to_vec();
    let x = URL_SAFE_NO_PAD.encode(other.public_key().as_ref());
    for more in [
        format!(r#""kid":"k1","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#),
        format!(r#""jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#),
        r#""kid":"k1","jku":"https://evil.example/jwks.json""#.to_owned(),
        r#""kid":"k1","x5u":"https://evil.example/cert.pem""#.to_owned(),
        r#""kid":"../../dev/null""#.to_owned(),
        r#""kid":"k2' OR '1'='1""#.to_owned(),
        r#""kid":7"#.to_owned(),
        r#""kid":null"#.to_owned(),
        r#""kid":"""#.to_owned(),
    ] {
        let head = format!(r#"{{"alg":"EdDSA",{more}}}"#);
        is_refused(&identity, &signed(&head, &claims("", ""), theirs), now, &more);
    }
}

#[test]
fn claims_that_are_not_right_are_refused_whoever_has_signed_them() {
    let (identity, pair, now) = known();
    let ours = |text: &[u8]| pair.sign(text).as_ref().to_vec();
    for (name, values) in [
        ("iss", &["", "\"\"", "\"https://evil.example\"", "7", "null"][..]),
        ("aud", &["", "\"\"", "\"other\"", "[\"panel\"]", "[]", "null"]),
        ("sub", &["", "\"\"", "\"x\"", "1", "null", "\"zzzzzzzzzzzzzzzzzzzz\""]),
        ("sid", &["", "\"x\"", "2", "null"]),
        ("role", &["", "\"king\"", "5", "null"]),
        ("name", &["", "7", "null"]),
        ("exp", &["", "1800000000", "1799999999", "0", "-1", "\"1800000590\"", "1e300", "null"]),
        ("iat", &["", "1800000061", "9223372036854775807", "\"x\"", "1e300", "null"]),
        ("jti", &["", "\"x\"", "null"]),
    ] {
        for value in values {
            let token = signed(HEAD, &claims(name, value), ours);
            is_refused(&identity, &token, now, &format!("{name}: {value}"));
        }
    }
    let whole = claims("", "");
    let twice = whole.replace("\"role\":\"user\"", "\"role\":\"user\",\"role\":\"admin\"");
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    for text in [twice.as_str(), "", "null", "[]", "{}", "\u{0}", &deep, &whole[..whole.len() - 1]]
    {
        is_refused(&identity, &signed(HEAD, text, ours), now, text);
    }
    let long = claims("name", &format!("\"{}\"", "x".repeat(3_000)));
    is_refused(&identity, &signed(HEAD, &long, ours), now, "too long");
    // Good until it has ended, and no longer; also where it is remembered.
    let good = signed(HEAD, &whole, ours);
    let at = |seconds: u64| now.plus(Duration::from_secs(seconds));
    assert!(identity.verify(&good, at(589)).is_ok());
    is_refused(&identity, &good, at(590), "ended");
}

proptest::proptest! {
    #[test]
    fn a_token_that_was_changed_anywhere_is_refused(at in 0_usize..400, to in "[A-Za-z0-9._=-]") {
        let (identity, pair, now) = known();
        let good = signed(HEAD, &claims("", ""), |text| pair.sign(text).as_ref().to_vec());
        let at = at % good.len();
        let mut changed = good.clone();
        changed.replace_range(at..=at, &to);
        if changed != good {
            proptest::prop_assert!(identity.verify(&changed, now).is_err(), "{changed}");
        }
    }

    #[test]
    fn whatever_is_shown_is_refused_and_no_more(token: String, head: String, payload: Vec<u8>) {
        let (identity, _, now) = known();
        proptest::prop_assert!(identity.verify(&token, now).is_err());
        let parts = [head.as_bytes(), &payload, &payload].map(|part| URL_SAFE_NO_PAD.encode(part));
        proptest::prop_assert!(identity.verify(&parts.join("."), now).is_err());
    }
}
