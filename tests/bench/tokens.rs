//! What the check of an access token costs at the edge: of one that is seen for the first time, and of one
//! that was seen before.

use std::time::Instant;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use panel_gateway::TokenCheck;
use panel_harness::new_id;
use panel_kernel::identity::{AUDIENCE, PublicKey};
use panel_kernel::time::Timestamp;
use serde_json::json;

const ISSUER: &str = "https://panel.example";
const TOKENS: usize = 5_000;

struct Signed {
    token: String,
    text: Vec<u8>,
    signature: Vec<u8>,
}

fn signed(pair: &Ed25519KeyPair, now: Timestamp) -> Signed {
    let head = json!({"typ": "JWT", "alg": "EdDSA", "kid": "k1"});
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": new_id(), "sid": new_id(), "role": "user",
        "name": "Somebody", "iat": now.as_seconds(), "exp": now.as_seconds() + 600, "jti": new_id(),
    });
    let text = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = pair.sign(text.as_bytes()).as_ref().to_vec();
    let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(&signature));
    Signed { token, text: text.into_bytes(), signature }
}

/// The median of what each takes, in microseconds.
fn median(tokens: &[Signed], mut each: impl FnMut(&Signed)) -> f64 {
    let mut taken: Vec<f64> = tokens
        .iter()
        .map(|token| {
            let begun = Instant::now();
            each(token);
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    taken[taken.len() / 2]
}

/// Measures, and prints a table.
pub(crate) fn run() {
    let (pair, now) = (Ed25519KeyPair::generate().unwrap(), Timestamp::from_seconds(1_800_000_000));
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let keys = vec![PublicKey { kid: "k1".to_owned(), x }];
    let check = TokenCheck::new(ISSUER, keys, now, 2 * TOKENS as u64);
    let tokens: Vec<Signed> = (0..TOKENS).map(|_| signed(&pair, now)).collect();
    let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
    let alone = median(&tokens, |one| public.verify(&one.text, &one.signature).unwrap());
    let checked = |one: &Signed| drop(check.check(&one.token, now).unwrap());
    let cold = median(&tokens, checked);
    let known = median(&tokens, checked);
    println!("\n### tokens\n\n| | measured | goal |\n|---|---|---|");
    for (what, taken, goal) in
        [("seen before", known, 5.0), ("seen for the first time", cold, 80.0)]
    {
        let verdict = if taken <= goal { "reached" } else { "**short**" };
        println!("| check of an access token {what} | {taken:.1} µs | ≤ {goal:.0} µs {verdict} |");
    }
    println!("| its signature alone (Ed25519) | {alone:.1} µs | |");
}
