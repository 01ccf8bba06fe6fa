//! A device that makes passkeys, and the browser before it: what `navigator.credentials` would give,
//! as `toJSON()` has it (W3C Web Authentication, Level 3).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The user was there.
pub const PRESENT: u8 = 0x01;
/// And has shown to the device who they are.
pub const VERIFIED: u8 = 0x04;
/// There is a new passkey in it.
const ATTESTED: u8 = 0x40;

const ES256: &EcdsaSigningAlgorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;

/// One passkey. What it says of itself can be changed to what is wrong.
#[derive(Debug)]
pub struct Passkey {
    key: EcdsaKeyPair,
    /// How it is known.
    pub credential_id: Vec<u8>,
    /// The account it says it is for, base64url.
    pub user_handle: String,
    /// The page it is asked by.
    pub origin: String,
    /// Of the origin.
    pub rp_id: String,
    /// What was done before it answers.
    pub flags: u8,
    /// Answers so far; 0 for ever, if it does not count.
    pub count: u32,
}

fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Passkey {
    /// A new one for who is asked by `challenge`, at a page of `origin`; and what the browser gives.
    ///
    /// # Panics
    /// If the challenge is none.
    #[must_use]
    pub fn create(challenge: &Value, origin: &str) -> (Self, Value) {
        let options = &challenge["publicKey"];
        assert_eq!(options["authenticatorSelection"]["residentKey"], "required", "{challenge}");
        let wanted = options["pubKeyCredParams"].as_array().unwrap();
        assert!(wanted.iter().any(|one| one["alg"] == -7), "{challenge}");
        let passkey = Self {
            key: EcdsaKeyPair::generate(ES256).unwrap(),
            credential_id: crate::ids::new_id().to_string().into_bytes(),
            user_handle: options["user"]["id"].as_str().unwrap().to_owned(),
            origin: origin.to_owned(),
            rp_id: options["rp"]["id"].as_str().unwrap().to_owned(),
            flags: PRESENT | VERIFIED,
            count: 0,
        };
        let answer = passkey.attestation(challenge);
        (passkey, answer)
    }

    /// What the browser gives for a new passkey.
    #[must_use]
    pub fn attestation(&self, challenge: &Value) -> Value {
        let mut data = self.authenticator_data(self.flags | ATTESTED);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.credential_id.len()).unwrap().to_be_bytes());
        data.extend(&self.credential_id);
        // COSE (RFC 9053, 7.1): EC2, ES256, P-256, and the two halves of the point.
        let point = self.key.public_key().as_ref();
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(&point[1..33]);
        data.extend([0x22, 0x58, 0x20]);
        data.extend(&point[33..65]);
        // CBOR: {"fmt": "none", "attStmt": {}, "authData": data}
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".to_vec();
        object.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        object.extend(data);
        let response = json!({
            "attestationObject": base64url(&object),
            "clientDataJSON": base64url(&self.client_data("webauthn.create", challenge)),
        });
        self.credential(&response)
    }

    /// What the browser gives when it is asked for a passkey.
    pub fn assertion(&mut self, challenge: &Value) -> Value {
        if self.count > 0 {
            self.count += 1;
        }
        let data = self.authenticator_data(self.flags);
        let client_data = self.client_data("webauthn.get", challenge);
        let signed = [&data[..], digest(&SHA256, &client_data).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        let response = json!({
            "authenticatorData": base64url(&data),
            "clientDataJSON": base64url(&client_data),
            "signature": base64url(signature.as_ref()),
            "userHandle": self.user_handle,
        });
        self.credential(&response)
    }

    fn credential(&self, response: &Value) -> Value {
        let id = base64url(&self.credential_id);
        json!({
            "id": id, "rawId": id, "type": "public-key", "response": response,
            "clientExtensionResults": {}, "authenticatorAttachment": "platform",
        })
    }

    fn authenticator_data(&self, flags: u8) -> Vec<u8> {
        let mut data = digest(&SHA256, self.rp_id.as_bytes()).as_ref().to_vec();
        data.push(flags);
        data.extend(self.count.to_be_bytes());
        data
    }

    fn client_data(&self, kind: &str, challenge: &Value) -> Vec<u8> {
        let challenge = &challenge["publicKey"]["challenge"];
        let data = json!({
            "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false,
        });
        serde_json::to_vec(&data).unwrap()
    }
}
