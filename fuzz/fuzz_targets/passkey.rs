//! What a browser may send back for a passkey. Lines: `new` or `any`, with edits of the ceremony; the
//! body; the client data. Then come the bytes of the attestation object, or of the authenticator data.
//!
//! In the body, `$CEREMONY` is what was asked, and `$OTHER` the other thing that was asked; `$CLIENT`
//! and `$BYTES` are the client data and the bytes in base64url, `$SIGNATURE` is what the device says to
//! both, `$ID` and `$USER` are the passkey and whose it is. In the client data, `$CHALLENGE` is what is
//! answered.
//!
//! An answer is taken if it is one to what was asked, on this site, of who was there and has shown it,
//! signed by the passkey, and counts on. No other is.

#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use libfuzzer_sys::fuzz_target;
use panel_auth::fuzzing::{Answered, Kept, Passkeys};
use panel_fuzz::{edited, lines};
use panel_kernel::ids::Id;
use panel_kernel::keys::ClusterKey;
use panel_kernel::message::User;
use panel_kernel::problem::Problem;
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;
use serde_json::{Value, json};
use url::Url;

const SITE: &str = "https://panel.example";
const NAME: &str = "panel.example";
/// The user was there, has shown who they are, and there is a new passkey in it.
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;
/// So often has the passkey answered before.
const COUNT: u32 = 5;
/// What there is of the device already, where a new passkey is asked for.
const KNOWN: &[u8] = b"known before";

/// A site, a device, and what was asked.
struct Scene {
    passkeys: Passkeys,
    key: EcdsaKeyPair,
    kept: Kept,
    new: Value,
    any: Value,
}

static SCENE: LazyLock<Scene> = LazyLock::new(|| {
    let passkeys = Passkeys::new(SITE, &ClusterKey::from_bytes([7; 32]));
    let new = passkeys.ask_for_new(&ada(), vec![KNOWN.to_vec()], now()).unwrap();
    let any = passkeys.ask_for_any(now()).unwrap();
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let client = client_data("webauthn.create", &new);
    let body = json!({
        "ceremony": new["ceremony"],
        "credential": {
            "id": "YQ", "rawId": "YQ", "type": "public-key", "response": {
                "attestationObject": base64url(&attestation(&key)),
                "clientDataJSON": base64url(client.as_bytes()),
            },
        },
    });
    let kept = passkeys.register(&ada(), body.to_string().as_bytes(), now()).unwrap();
    Scene { passkeys, key, kept, new, any }
});

fn now() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000)
}

fn ada() -> User {
    let (id, session) = (Id::from_raw(1), Id::from_raw(2));
    User { id, session, name: "ada".to_owned(), role: Role::User, scopes: None }
}

fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn client_data(kind: &str, asked: &Value) -> String {
    let challenge = &asked["publicKey"]["challenge"];
    json!({"type": kind, "challenge": challenge, "origin": SITE}).to_string()
}

/// An attestation object of the device: CBOR, in it the authenticator data, in that the key (RFC 9053).
fn attestation(key: &EcdsaKeyPair) -> Vec<u8> {
    let mut data = digest(&SHA256, NAME.as_bytes()).as_ref().to_vec();
    data.push(PRESENT | VERIFIED | ATTESTED);
    data.extend(COUNT.to_be_bytes());
    data.extend([0; 16]);
    data.extend(b"\x00\x01a");
    let point = key.public_key().as_ref();
    data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
    data.extend(&point[1..33]);
    data.extend([0x22, 0x58, 0x20]);
    data.extend(&point[33..65]);
    let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
    object.push(u8::try_from(data.len()).unwrap());
    object.extend(data);
    object
}

fuzz_target!(|data: &[u8]| {
    let [kind, body, client, bytes] = lines(data);
    let [Ok(kind), Ok(body), Ok(client)] = [kind, body, client].map(std::str::from_utf8) else {
        return;
    };
    let (kind, edits) = kind.split_once(' ').unwrap_or((kind, ""));
    let is_new = kind == "new";
    let (asked, other) = if is_new { (&SCENE.new, &SCENE.any) } else { (&SCENE.any, &SCENE.new) };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let ceremony = text(&asked["ceremony"]);
    let client = client.replace("$CHALLENGE", &text(&asked["publicKey"]["challenge"]));
    let signed = [bytes, digest(&SHA256, client.as_bytes()).as_ref()].concat();
    let signature = SCENE.key.sign(&SystemRandom::new(), &signed).unwrap();
    let body = body
        .replace("$CEREMONY", &edited(&ceremony, edits))
        .replace("$OTHER", &text(&other["ceremony"]))
        .replace("$CLIENT", &base64url(client.as_bytes()))
        .replace("$BYTES", &base64url(bytes))
        .replace("$SIGNATURE", &base64url(signature.as_ref()))
        .replace("$ID", &base64url(&SCENE.kept.credential_id))
        .replace("$USER", &text(&SCENE.new["publicKey"]["user"]["id"]));
    if is_new {
        if let Some(kept) = taken(SCENE.passkeys.register(&ada(), body.as_bytes(), now())) {
            may_be_kept(&Shown::of(&body), &ceremony, &kept);
        }
    } else if let Some(answered) = sign_in(&SCENE.kept, &body) {
        let shown = Shown::of(&body);
        may_sign_in(&shown, &ceremony);
        match answered {
            Answered::CountsBack => assert!(shown.count() <= COUNT),
            Answered::Good(kept) => {
                assert!(shown.count() > COUNT);
                // It is kept as one that has counted on.
                let kept = Kept { passkey: kept.unwrap(), ..SCENE.kept.clone() };
                assert_eq!(sign_in(&kept, &body), Some(Answered::CountsBack));
            }
        }
    }
});

fn sign_in(kept: &Kept, body: &str) -> Option<Answered> {
    taken(SCENE.passkeys.sign_in(kept, body.as_bytes(), now()))
}

/// What was taken. All else is the browser's fault, and none of ours.
fn taken<T>(result: Result<T, Problem>) -> Option<T> {
    match result {
        Ok(taken) => Some(taken),
        Err(problem) => {
            let status = problem.kind.status().as_u16();
            assert!(matches!(status, 400 | 401 | 422), "{problem:?}");
            None
        }
    }
}

/// A body that was taken, read without its types.
#[derive(Debug)]
struct Shown {
    body: Value,
    client: Value,
    client_bytes: Vec<u8>,
    data: Vec<u8>,
}

impl Shown {
    fn of(body: &str) -> Self {
        let body: Value = serde_json::from_str(body).unwrap();
        let response = &body["credential"]["response"];
        let client_bytes = decoded(&response["clientDataJSON"]);
        let client = serde_json::from_slice(&client_bytes).unwrap();
        let data = match &response["attestationObject"] {
            Value::Null => decoded(&response["authenticatorData"]),
            object => decoded(object),
        };
        Self { body, client, client_bytes, data }
    }

    /// Whether it answers what was asked, on this site.
    fn answers(&self, kind: &str, asked: &Value, ceremony: &str) {
        assert_eq!(self.body["ceremony"], ceremony);
        assert_eq!(self.client["type"], kind);
        let challenge = decoded(&asked["publicKey"]["challenge"]);
        assert_eq!(decoded(&self.client["challenge"]), challenge);
        let origin = Url::parse(self.client["origin"].as_str().unwrap()).unwrap();
        assert_eq!(origin.origin(), Url::parse(SITE).unwrap().origin());
    }

    /// How often the passkey has answered, by its own count.
    fn count(&self) -> u32 {
        u32::from_be_bytes(self.data[33..37].try_into().unwrap())
    }
}

fn decoded(value: &Value) -> Vec<u8> {
    // However it is written.
    let how = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let text = value.as_str().unwrap().replace('+', "-").replace('/', "_");
    GeneralPurpose::new(&URL_SAFE, how).decode(text).unwrap()
}

fn may_be_kept(shown: &Shown, ceremony: &str, kept: &Kept) {
    shown.answers("webauthn.create", &SCENE.new, ceremony);
    assert_ne!(shown.client["crossOrigin"], true);
    assert!(kept.user == ada().id && kept.credential_id != KNOWN);
    // Somewhere in the object is what the device says, and that it is so.
    let name = digest(&SHA256, NAME.as_bytes());
    let length = u16::try_from(kept.credential_id.len()).unwrap().to_be_bytes();
    let flags = PRESENT | VERIFIED | ATTESTED;
    let says = |data: &[u8]| {
        data.starts_with(name.as_ref())
            && data.get(32).is_some_and(|given| given & flags == flags)
            && data.get(53..55) == Some(&length)
            && data[55..].starts_with(&kept.credential_id)
    };
    assert!((0..shown.data.len()).any(|at| says(&shown.data[at..])), "{shown:?}");
    assert!(serde_json::from_str::<Value>(&kept.passkey).is_ok());
}

fn may_sign_in(shown: &Shown, ceremony: &str) {
    shown.answers("webauthn.get", &SCENE.any, ceremony);
    let credential = &shown.body["credential"];
    let user = decoded(&SCENE.new["publicKey"]["user"]["id"]);
    assert_eq!(decoded(&credential["response"]["userHandle"]), user);
    assert_eq!(decoded(&credential["rawId"]), SCENE.kept.credential_id);
    assert!(shown.data.starts_with(digest(&SHA256, NAME.as_bytes()).as_ref()));
    let flags = PRESENT | VERIFIED;
    assert_eq!(shown.data[32] & flags, flags);
    let signed = [&shown.data, digest(&SHA256, &shown.client_bytes).as_ref()].concat();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, SCENE.key.public_key().as_ref());
    assert!(key.verify(&signed, &decoded(&credential["response"]["signature"])).is_ok());
}
