//! Cookies, the tokens of browsers' sessions, and the shape of what is looked up. Lines: a session's id,
//! edits of its token, a token of whatever kind, a credential, and the `Cookie` fields of a request.
//!
//! A cookie is found where there is one of exactly that name; a token is good for its session alone; and
//! nothing is looked up that none of us can have given out.

#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use panel_fuzz::{edited, lines, number};
use panel_kernel::identity::{CredentialKind, CredentialQuery, CsrfTokens, Found, SiteCookie};
use panel_kernel::ids::Id;
use panel_kernel::keys::{ClusterKey, sha256};

static TOKENS: LazyLock<CsrfTokens> =
    LazyLock::new(|| CsrfTokens::new(&ClusterKey::from_bytes([7; 32])));

fuzz_target!(|data: &[u8]| {
    let [session, edits, token, credential, cookies] = lines(data);
    let text = |line| std::str::from_utf8(line).unwrap_or_default();
    tokens(number(text(session)), text(edits), text(token));
    credentials(text(credential));
    let mut headers = HeaderMap::new();
    for field in cookies.split(|byte| *byte == b'\n').take(20) {
        if let Ok(value) = HeaderValue::from_bytes(field) {
            headers.append(header::COOKIE, value);
        }
    }
    for site in ["https://panel.example", "http://127.0.0.1:5000"] {
        found(SiteCookie::session(site), &headers);
        found(SiteCookie::sign_in(site), &headers);
    }
});

fn found(cookie: SiteCookie, headers: &HeaderMap) {
    // Read in another way: by bytes, from the name to the end.
    let fields = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    let texts = fields.filter(|field| field.iter().all(|b| matches!(b, b'\t' | b' '..=b'~')));
    let pairs = texts.flat_map(|field| field.split(|byte| *byte == b';'));
    let values = pairs.filter_map(|pair| {
        let rest = pair.trim_ascii_start().strip_prefix(cookie.name().as_bytes())?;
        rest.trim_ascii_start().strip_prefix(b"=").map(<[u8]>::trim_ascii)
    });
    let values: Vec<&[u8]> = values.collect();
    let found = cookie.find(headers);
    match (found, &values[..]) {
        (Found::None, []) | (Found::Several, [_, _, ..]) => {}
        (Found::One(found), [value]) => {
            assert_eq!(found.as_bytes(), *value);
            comes_back(cookie, found);
        }
        _ => panic!("{found:?} of {values:?}"),
    }
}

/// A browser gives back what it was given.
fn comes_back(cookie: SiteCookie, value: &str) {
    let set = cookie.set(value);
    let given = set.split(';').next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    headers.append(header::COOKIE, HeaderValue::from_str(given).unwrap());
    assert_eq!(cookie.find(&headers), Found::One(value));
}

fn tokens(session: i64, edits: &str, token: &str) {
    let (ours, other) = (Id::from_raw(session), Id::from_raw(session ^ 1));
    let good = TOKENS.of(ours);
    assert!(TOKENS.is_of(ours, &good) && !TOKENS.is_of(other, &good));
    for token in [token, &edited(&good, edits)] {
        assert_eq!(TOKENS.is_of(ours, token), token == good, "{token}");
    }
}

fn credentials(text: &str) {
    let random = sha256(&[text.as_bytes()]);
    let made = URL_SAFE_NO_PAD.encode(random);
    let is_secret = |text: &str| {
        let letters = |c: char| matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '-' | '_');
        text.len() == made.len() && text.chars().all(letters)
    };
    let key = text.strip_prefix("panel_").is_some_and(is_secret);
    assert_eq!(CredentialKind::ApiKey.is_plausible(text), key, "{text}");
    assert_eq!(CredentialKind::Cookie.is_plausible(text), is_secret(text), "{text}");
    assert!(CredentialKind::ApiKey.is_plausible(&format!("panel_{made}")));
    assert!(CredentialKind::Cookie.is_plausible(&made));
    // What is asked about is what was shown, and whoever answers reads it from a URL.
    let hashes = [CredentialKind::Cookie, CredentialKind::ApiKey].map(|kind| {
        let query = CredentialQuery::about(kind, kind.hash(text));
        assert_eq!(query.hash(), Some(kind.hash(text)));
        assert!(query.path().parse::<http::Uri>().is_ok());
        query.hash()
    });
    assert_ne!(hashes[0], hashes[1]);
    let odd = CredentialQuery { kind: CredentialKind::Cookie, hash: text.to_owned() };
    if let Some(hash) = odd.hash() {
        assert_eq!(URL_SAFE_NO_PAD.encode(hash), text);
    }
}
