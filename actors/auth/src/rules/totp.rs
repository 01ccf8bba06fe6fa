//! Codes by time (RFC 6238: SHA-1, six digits, thirty seconds, as every authenticator has it), and the
//! codes for who has lost the device that makes them.

use panel_kernel::ids::Id;
use panel_kernel::keys::sha256;
use panel_kernel::time::Timestamp;
use totp_rs::{Builder, Secret, Totp};

/// RFC 4226, 4: 160 bits.
pub(crate) const SECRET_BYTES: usize = 20;
/// As many as an account has at first.
pub(crate) const RECOVERY_CODES: usize = 10;
/// 80 bits: too many to be tried, also by who has the hashes.
pub(crate) const RECOVERY_BYTES: usize = 10;
const RECOVERY_CHARS: usize = 16;
/// Devices whose clock is off by less are no worse off.
const SKEW_STEPS: u16 = 1;

/// Why a code is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadCode {
    /// It is not the one, or not of this time.
    Wrong,
    /// It, or a later one, was used before.
    Used,
}

fn totp(secret: &[u8], host: &str, username: &str) -> Option<Totp> {
    let label = |text: &str| text.replace(':', " ");
    Builder::new()
        .with_secret(Secret::from(secret.to_vec()))
        .with_skew(SKEW_STEPS)
        .with_issuer(Some(label(host)))
        .with_account_name(label(username))
        .build()
        .ok()
}

/// The step of `code`, if it is good at `now` and later than the one used last.
pub(crate) fn check(
    secret: &[u8],
    code: &str,
    now: Timestamp,
    last_step: i64,
) -> Result<i64, BadCode> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let seconds = u64::try_from(now.as_seconds()).map_err(|_| BadCode::Wrong)?;
    let step = totp(secret, "", "").and_then(|totp| totp.check(&code, seconds));
    let step = step.and_then(|step| i64::try_from(step).ok()).ok_or(BadCode::Wrong)?;
    if step > last_step { Ok(step) } else { Err(BadCode::Used) }
}

/// What an authenticator is given, as a URI (and so as a picture) and to be typed.
pub(crate) fn shown(secret: &[u8], site: &str, username: &str) -> Option<(String, String)> {
    let host = site.split_once("://").map_or(site, |(_, rest)| rest);
    let host = host.split([':', '/']).next().filter(|host| !host.is_empty()).unwrap_or("Panel");
    let totp = totp(secret, host, username)?;
    Some((totp.to_url().ok()?, Secret::from(secret.to_vec()).to_base32()))
}

/// A recovery code, as it is shown.
pub(crate) fn recovery_code(random: [u8; RECOVERY_BYTES]) -> String {
    let text = Secret::from(random.to_vec()).to_base32().to_lowercase();
    let groups: Vec<&str> = (0..RECOVERY_CHARS).step_by(4).map(|at| &text[at..at + 4]).collect();
    groups.join("-")
}

/// The hash under which an account's recovery code is kept, however it was typed.
pub(crate) fn recovery_hash(user: Id, code: &str) -> [u8; 32] {
    let code = code.chars().filter(char::is_ascii_alphanumeric).take(RECOVERY_CHARS + 1);
    let code: String = code.map(|c| c.to_ascii_lowercase()).collect();
    sha256(&[b"recovery-code", &user.raw().to_be_bytes(), code.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, of which the last six digits are those of six-digit codes.
    const SECRET: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(check(SECRET, code, at(seconds), -1), Ok(seconds / 30), "{seconds}");
        }
        assert_eq!(check(SECRET, " 287 082 ", at(59), -1), Ok(1), "as people type it");
    }

    #[test]
    fn a_code_is_good_for_a_moment_and_once() {
        assert_eq!(check(SECRET, "287082", at(89), 0), Ok(1), "a device that is late");
        assert_eq!(check(SECRET, "287082", at(29), 0), Ok(1), "a device that is early");
        assert_eq!(check(SECRET, "287082", at(90), 0), Err(BadCode::Wrong));
        assert_eq!(check(SECRET, "287082", at(59), 1), Err(BadCode::Used));
        assert_eq!(check(SECRET, "287082", at(59), 2), Err(BadCode::Used), "older than the last");
    }

    #[test]
    fn the_uri_says_where_it_is_from() {
        let (uri, secret) = shown(SECRET, "https://forum.example:8443/x", "a:da & co").unwrap();
        assert_eq!(secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            uri,
            "otpauth://totp/forum.example:a%20da%20%26%20co?\
             secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=forum.example"
        );
    }

    #[test]
    fn recovery_codes_are_read_as_they_are_typed() {
        let code = recovery_code([7; RECOVERY_BYTES]);
        assert_eq!((code.len(), code.matches('-').count()), (19, 3), "{code}");
        let (ada, bob) = (Id::from_raw(1), Id::from_raw(2));
        let typed = code.replace('-', " ").to_uppercase();
        assert_eq!(recovery_hash(ada, &code), recovery_hash(ada, &typed));
        assert_ne!(recovery_hash(ada, &code), recovery_hash(bob, &code));
        assert_ne!(recovery_hash(ada, &code), recovery_hash(ada, &format!("{code}a")));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_typed_is_a_code_or_is_not(code: String, seconds: i64, last: i64) {
            if let Ok(step) = check(SECRET, &code, at(seconds / 2_000_000), last) {
                proptest::prop_assert!(step > last);
            }
            recovery_hash(Id::from_raw(1), &code);
        }
    }
}
