//! Signatures by which a webhook knows who sent it, and when: those of Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks>), for which there are libraries.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use panel_kernel::ids::random_bytes;
use panel_kernel::keys::hmac_sha256;

/// What a secret begins with where people see it.
const PREFIX: &str = "whsec_";

/// A new secret.
pub(crate) fn secret() -> [u8; 32] {
    random_bytes()
}

/// As people put it into their programs.
pub(crate) fn shown(secret: &[u8]) -> String {
    format!("{PREFIX}{}", STANDARD.encode(secret))
}

/// The header `webhook-signature`: one for each secret, of the id, the second and the body.
pub(super) fn signatures(secrets: &[Vec<u8>], id: &str, second: i64, body: &str) -> String {
    let message = format!("{id}.{second}.{body}");
    let sign = |secret: &Vec<u8>| {
        format!("v1,{}", STANDARD.encode(hmac_sha256(secret, message.as_bytes())))
    };
    secrets.iter().map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_specification() {
        // The example of the specification.
        let secret = vec![STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()];
        let (id, at, body) =
            ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        let signed = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signatures(&secret, id, at, body), signed);
        let both = signatures(&[vec![1; 32], secret[0].clone()], id, at, body);
        assert!(both.ends_with(&format!(" {signed}")) && both.starts_with("v1,"));
    }

    #[test]
    fn secrets_are_of_32_random_bytes() {
        let (one, other) = (secret(), secret());
        assert_ne!(one, other);
        let text = shown(&one);
        assert_eq!(STANDARD.decode(text.strip_prefix(PREFIX).unwrap()).unwrap(), one);
    }
}
