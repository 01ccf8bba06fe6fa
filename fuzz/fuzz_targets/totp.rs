//! Codes by time, and recovery codes, as people type them. Lines: the time in seconds, the step that was
//! used last, which step's code is typed (0: that of now), edits of that code, a code of whatever kind,
//! ten characters that a recovery code is made of, edits of that.
//!
//! A code is good at its time and once, and no other is, whoever wrote it how.

#![no_main]

use aws_lc_rs::hmac;
use libfuzzer_sys::fuzz_target;
use panel_auth::fuzzing::{Code, recovery_code, recovery_hash, totp};
use panel_fuzz::{edited, number, text_lines};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

const SECRET: &[u8; 20] = b"12345678901234567890";

fuzz_target!(|data: &[u8]| {
    let Some([seconds, last, step, edits, whatever, random, more]) = text_lines(data) else {
        return;
    };
    let (now, last): (_, i64) = (Timestamp::from_seconds(number(seconds)), number(last));
    let right = code(now.as_seconds().div_euclid(30).saturating_add(number(step)));
    for typed in [&edited(&right, edits), whatever] {
        by_time(typed, now, last);
    }
    by_time(&right, now, last);
    recovery(random.as_bytes(), more);
});

fn by_time(typed: &str, now: Timestamp, last: i64) {
    let plain: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    let step = now.as_seconds().div_euclid(30);
    let good = |step: &i64| now.as_seconds() >= 0 && *step >= 0 && code(*step) == plain;
    let steps: Vec<i64> = (step - 1..=step + 1).filter(good).collect();
    match totp(SECRET, typed, now, last) {
        Code::Good(step) => {
            assert!(steps.contains(&step), "{typed:?} is not of step {step}");
            assert!(step > last, "{step} was used");
            // Once. One in a million is also that of another step.
            let again = totp(SECRET, typed, now, step);
            assert!(again == Code::Used || steps.len() > 1, "{again:?}");
        }
        Code::Used => assert!(steps.iter().any(|step| *step <= last), "{typed:?} was not used"),
        Code::Wrong => assert!(steps.is_empty(), "{typed:?} is right"),
    }
}

/// RFC 4226, 5.3.
fn code(step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET);
    let mac = hmac::sign(&key, &step.to_be_bytes());
    let at = usize::from(mac.as_ref()[19] & 15);
    let four: [u8; 4] = std::array::from_fn(|place| mac.as_ref()[at + place]);
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
}

fn recovery(random: &[u8], edits: &str) {
    let shown = recovery_code(std::array::from_fn(|at| random.get(at).copied().unwrap_or(0)));
    let groups: Vec<&str> = shown.split('-').collect();
    let letters = |group: &str| group.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
    assert!(groups.len() == 4 && groups.iter().all(|it| it.len() == 4 && letters(it)), "{shown}");
    let (ada, bob) = (Id::from_raw(1), Id::from_raw(2));
    let typed = edited(&shown, edits);
    let plain = |text: &str| {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        letters.collect::<String>().to_ascii_lowercase()
    };
    let is_same = plain(&typed) == plain(&shown);
    assert_eq!(recovery_hash(ada, &typed) == recovery_hash(ada, &shown), is_same, "{typed}");
    assert_ne!(recovery_hash(bob, &typed), recovery_hash(ada, &shown));
}
