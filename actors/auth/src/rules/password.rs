//! What a password may be (NIST SP 800-63B, 3.1.1.2): long enough, in any script, and not one that
//! is tried first. No rules about digits and signs.

use std::collections::HashSet;
use std::sync::LazyLock;

use panel_kernel::http::validate::Check;
use panel_kernel::problem::Problem;
use unicode_normalization::UnicodeNormalization as _;

/// NIST asks for at least 8 and no arbitrary upper bound; ours keep hashing bounded.
const LENGTH: (usize, usize) = (10, 1_024);
/// A name shorter than this is in many good passwords by chance.
const NAME: usize = 4;

/// Those of the 20,000 most used passwords (Royce Williams's list, as Django has it) that are long
/// enough, in lower case.
static COMMON: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("../../data/common-passwords.txt").lines().collect());

/// Checks a new password of somebody who is known by the names `owner`, and gives it as it is
/// hashed.
pub(super) fn check(check: &mut Check, field: &str, password: &str, owner: &[&str]) -> String {
    let password = normal_password(password);
    let length = password.chars().count();
    if length < LENGTH.0 {
        check.fail(field, "too_short", format!("must have at least {} characters", LENGTH.0));
    } else if length > LENGTH.1 {
        check.fail(field, "too_long", format!("must have at most {} characters", LENGTH.1));
    } else if is_common(&password) {
        check.fail(field, "too_common", "is one of the passwords that are tried first");
    } else if is_about(&password, owner) {
        check.fail(field, "guessable", "is little more than the account's own name");
    }
    password
}

/// Checks the password somebody chooses anew.
pub(crate) fn new_password(field: &str, password: &str, owner: &[&str]) -> Result<String, Problem> {
    let mut checked = Check::new();
    let password = check(&mut checked, field, password, owner);
    checked.done()?;
    Ok(password)
}

/// Checks the password somebody changes to.
pub(crate) fn changed_password(
    field: &str,
    password: &str,
    current: &str,
    owner: &[&str],
) -> Result<String, Problem> {
    let mut checked = Check::new();
    let password = check(&mut checked, field, password, owner);
    if password == normal_password(current) {
        checked.fail(field, "unchanged", "is the one you have");
    }
    checked.done()?;
    Ok(password)
}

/// A password as it is hashed, however the keyboard composed it (RFC 8265, `OpaqueString`: NFC).
pub(crate) fn normal_password(password: &str) -> String {
    password.nfc().collect()
}

/// Whether a given password could be anybody's: what is longer is not hashed at all.
pub(crate) fn is_plausible_password(password: &str) -> bool {
    password.len() <= LENGTH.1 * 4
}

fn is_common(password: &str) -> bool {
    let mut characters = password.chars();
    let first = characters.next();
    COMMON.contains(password.to_lowercase().as_str())
        || characters.all(|character| Some(character) == first)
}

/// Whether it is a name of its owner with hardly anything added.
fn is_about(password: &str, owner: &[&str]) -> bool {
    let password = password.to_lowercase();
    let names = owner.iter().flat_map(|name| [Some(*name), name.split_once('@').map(|it| it.0)]);
    names.flatten().map(str::to_lowercase).filter(|name| name.chars().count() >= NAME).any(|name| {
        let rest = password.replace(&name, "");
        rest.len() < password.len() && rest.chars().count() < NAME
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(password: &str) -> Vec<String> {
        let mut checked = Check::new();
        check(&mut checked, "password", password, &["ada", "ada.lovelace@example.org", "Countess"]);
        checked.done().map_or_else(
            |problem| problem.errors.into_iter().map(|error| error.code).collect(),
            |()| Vec::new(),
        )
    }

    #[test]
    fn long_and_unusual_is_all_that_is_asked_for() {
        for good in ["correct horse", "ĉevalo baterio", "一二三四五六七八九十", "adaadaadaada"]
        {
            assert!(codes(good).is_empty(), "{good}: {:?}", codes(good));
        }
        assert_eq!(codes("short"), ["too_short"]);
        assert_eq!(codes("一二三"), ["too_short"]);
        assert_eq!(codes(&"xy".repeat(600)), ["too_long"]);
    }

    #[test]
    fn what_is_tried_first_is_refused() {
        for common in ["qwertyuiop", "Password123", "1234567890", "QWERTYUIOP", "zzzzzzzzzzzz"] {
            assert_eq!(codes(common), ["too_common"], "{common}");
        }
        for own in ["ada.lovelace", "Ada.Lovelace1", "countess99", "ada.lovelace@example.org"] {
            let length = own.chars().count();
            assert_eq!(codes(own), ["guessable"], "{own} ({length})");
        }
        assert!(codes("countess of the sea").is_empty());
    }

    #[test]
    fn the_list_is_as_it_is_looked_up() {
        assert!(COMMON.len() > 1_500);
        for entry in COMMON.iter() {
            assert_eq!(entry.to_lowercase(), *entry);
            assert!(entry.chars().count() >= LENGTH.0, "{entry}");
        }
    }

    #[test]
    fn a_change_is_a_change() {
        let change = |to: &str| changed_password("new_password", to, "caf\u{e9} on the hill", &[]);
        let same = change("cafe\u{301} on the hill").unwrap_err();
        assert_eq!(
            (same.errors[0].field.as_str(), same.errors[0].code.as_str()),
            ("new_password", "unchanged")
        );
        assert_eq!(change("caf\u{e9} in the vale").unwrap(), "café in the vale");
    }
}
