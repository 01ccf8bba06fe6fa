//! Access tokens. Lines: their head, their claims, who signs (`ours`, `theirs`, `hmac` with our public
//! key, or the signature itself), edits of what comes of it, seconds since the last news, a token of
//! whatever kind.
//!
//! A token is good if the key that is known has signed exactly this, and what it says is right; then it
//! stands for who it says. No other is, and all that is said of one is 401, or 503 where its key may be
//! newer than the news.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use panel_fuzz::{edited, number, text_lines};
use panel_gateway::fuzzing::AccessTokens;
use panel_kernel::identity::{AccessClaims, IdentityReport, PublicKey, Revoked};
use panel_kernel::ids::Id;
use panel_kernel::message::Principal;
use panel_kernel::problem::Kind;
use panel_kernel::time::Timestamp;
use serde_json::Value;

const ISSUER: &str = "https://panel.example";
const HEAD: &str = r#"{"alg":"EdDSA","typ":"JWT","kid":"k1"}"#;
/// After the last news.
const CURRENT: u64 = 3;
/// Longer ones are refused unread.
const LONGEST: usize = 2_048;

static OURS: LazyLock<Ed25519KeyPair> = LazyLock::new(|| pair(1));
static THEIRS: LazyLock<Ed25519KeyPair> = LazyLock::new(|| pair(2));

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn news(keys: &[(&str, &Ed25519KeyPair)]) -> IdentityReport {
    let key = |(kid, pair): &(&str, &Ed25519KeyPair)| PublicKey {
        kid: (*kid).to_owned(),
        x: URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()),
    };
    let until = Timestamp::from_seconds(1_800_001_000);
    let revoked = vec![Revoked { session: Id::from_raw(9), until }];
    IdentityReport { keys: keys.iter().map(key).collect(), revoked, more: false }
}

fuzz_target!(|data: &[u8]| {
    let Some([head, claims, signer, edits, seconds, whatever]) = text_lines(data) else { return };
    let text = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let mac = || {
        let key = hmac::Key::new(hmac::HMAC_SHA256, OURS.public_key().as_ref());
        hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
    };
    let signature = match signer {
        "ours" => OURS.sign(text.as_bytes()).as_ref().to_vec(),
        "theirs" => THEIRS.sign(text.as_bytes()).as_ref().to_vec(),
        "hmac" => mac(),
        other => other.as_bytes().to_vec(),
    };
    let whole = format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature));
    let token = edited(&whole, edits);
    let is_ours = signer == "ours" && token == whole;

    let heard = Timestamp::from_seconds(1_800_000_000);
    let seconds = number::<u64>(seconds) % 1_000;
    let now = heard.plus(Duration::from_secs(seconds));
    let tokens = AccessTokens::new(ISSUER);
    tokens.learn(news(&[("k1", &OURS)]), heard);

    let principal = verified(&tokens, &token, now);
    if let Some(principal) = &principal {
        assert!(is_ours, "{token} was not signed");
        let end = stands_for(principal, claims, now);
        // It is remembered now, and not for longer than it is good.
        assert_eq!(verified(&tokens, &token, now).as_ref(), Some(principal));
        let never = end == Timestamp::from_micros(i64::MAX);
        assert!(never || verified(&tokens, &token, end).is_none(), "it has ended");
        tokens.learn(news(&[("k2", &OURS)]), now);
        assert_eq!(verified(&tokens, &token, now), None, "its key is gone");
    } else {
        assert!(
            !(is_ours && head == HEAD && is_right(claims, now, token.len())),
            "{token} is good"
        );
    }
    assert_eq!(verified(&tokens, whatever, now), None, "nobody has signed {whatever}");
});

/// Who a token stands for, if it is good.
fn verified(tokens: &AccessTokens, token: &str, now: Timestamp) -> Option<Principal> {
    let problem = match tokens.verify(token, now) {
        Ok(principal) => return Some(principal),
        Err(problem) => problem,
    };
    let status = problem.kind.status().as_u16();
    match problem.kind {
        Kind::Unauthorized => assert_eq!(status, 401),
        Kind::Unavailable => {
            assert_eq!(status, 503);
            let since = Timestamp::from_seconds(1_800_000_000).until(now).as_secs();
            assert!(since > CURRENT, "the news are fresh: {token} can be told");
        }
        other => panic!("{token}: {other:?}"),
    }
    None
}

/// Checks that against the claims, read without their type; and says when they end.
fn stands_for(principal: &Principal, claims: &str, now: Timestamp) -> Timestamp {
    let claims: Value = serde_json::from_str(claims).unwrap();
    let Principal::User(user) = principal else { panic!("{principal:?}") };
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(claims["aud"], "panel");
    assert_eq!(claims["sub"], user.id.to_string().as_str());
    assert_eq!(claims["sid"], user.session.to_string().as_str());
    assert_eq!(claims["role"], user.role.name());
    assert_eq!(claims["name"], user.name.as_str());
    assert_eq!(user.scopes, None);
    assert_ne!(user.session, Id::from_raw(9), "the session was ended");
    assert!(claims["iat"].as_i64().unwrap() <= now.as_seconds() + 60, "it has not begun");
    let end = claims["exp"].as_i64().unwrap();
    assert!(end > now.as_seconds(), "it has ended");
    Timestamp::from_seconds(end)
}

/// Whether these are claims that must be taken.
fn is_right(claims: &str, now: Timestamp, length: usize) -> bool {
    let Ok(claims) = serde_json::from_str::<AccessClaims>(claims) else { return false };
    let begins = claims.iat <= now.as_seconds() + 60;
    let is_ours = claims.iss == ISSUER && claims.aud == "panel" && claims.sid != Id::from_raw(9);
    is_ours && begins && claims.exp > now.as_seconds() && length <= LONGEST
}
