//! Pure decisions about accounts.

pub(crate) mod accounts;
mod api_key;
pub(crate) mod exports;
pub(crate) mod federation;
mod invitation;
mod password;
pub(crate) mod throttle;
pub(crate) mod totp;

use panel_kernel::http::validate::Check;
use panel_kernel::problem::Problem;

pub(crate) use api_key::api_key;
pub(crate) use invitation::invitation;
pub(crate) use panel_kernel::names::lookup_key;
pub(crate) use password::{changed_password, is_plausible_password, new_password, normal_password};

const USERNAME: (usize, usize) = (3, 30);
const DISPLAY_NAME: (usize, usize) = (1, 60);
/// API keys of one account.
pub(crate) const MAX_API_KEYS: i64 = 100;
/// Sessions of one account; with one more, the oldest ends.
pub(crate) const MAX_SESSIONS: i64 = 100;
/// Passkeys of one account.
pub(crate) const MAX_PASSKEYS: usize = 20;
/// Accounts elsewhere of one account.
pub(crate) const MAX_IDENTITIES: usize = 20;
const PASSKEY_NAME: (usize, usize) = (1, 80);
/// RFC 5321, 4.5.3.1.3.
const EMAIL_MAX: usize = 254;

/// An account as somebody wants it.
#[derive(Clone, Debug)]
pub(crate) struct Registrant {
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) display_name: String,
    pub(crate) password: String,
}

/// Checks a registration; all mistakes at once.
pub(crate) fn registrant(
    username: &str,
    email: &str,
    password: &str,
    display_name: Option<&str>,
) -> Result<Registrant, Problem> {
    let mut check = Check::new();
    let username = check.line("username", username, USERNAME.0, USERNAME.1);
    if !username.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')) {
        check.fail("username", "characters", "may have letters, digits, dots, - and _ only");
    }
    let email = checked_address(&mut check, "email", email);
    let display_name = check.line(
        "display_name",
        display_name.unwrap_or(&username),
        DISPLAY_NAME.0,
        DISPLAY_NAME.1,
    );
    let owner = [username.as_str(), email.as_str(), display_name.as_str()];
    let password = password::check(&mut check, "password", password, &owner);
    check.done()?;
    Ok(Registrant { username, email, display_name, password })
}

fn checked_address(check: &mut Check, field: &str, email: &str) -> String {
    let email = check.line(field, email, 1, EMAIL_MAX);
    if !email.is_empty() && !is_address(&email) {
        check.fail(field, "invalid", "is not a mail address");
    }
    email
}

/// Checks a new mail address.
pub(crate) fn address(field: &str, email: &str) -> Result<String, Problem> {
    let mut check = Check::new();
    let email = checked_address(&mut check, field, email);
    check.done()?;
    Ok(email)
}

/// Checks what somebody calls a new passkey.
pub(crate) fn passkey_name(name: Option<&str>) -> Result<String, Problem> {
    let mut check = Check::new();
    let name = name.unwrap_or("Passkey");
    let name = check.line("name", name, PASSKEY_NAME.0, PASSKEY_NAME.1);
    check.done()?;
    Ok(name)
}

/// Checks a new display name.
pub(crate) fn display_name(name: &str) -> Result<String, Problem> {
    let mut check = Check::new();
    let name = check.line("display_name", name, DISPLAY_NAME.0, DISPLAY_NAME.1);
    check.done()?;
    Ok(name)
}

/// Good enough to write to; only a mail that arrives proves more.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    !local.is_empty()
        && local.len() <= 64
        && !local.contains(|c: char| c.is_whitespace() || matches!(c, '@' | '<' | '>' | ','))
        && domain.contains('.')
        && domain.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(username: &str, email: &str, password: &str) -> Vec<(String, String)> {
        match registrant(username, email, password, None) {
            Ok(_) => Vec::new(),
            Err(problem) => problem.errors.into_iter().map(|e| (e.field, e.code)).collect(),
        }
    }

    #[test]
    fn sound_registrations_pass() {
        for (username, email) in [
            ("ada", "ada@example.org"),
            ("Zoë.K-1", "z+tag@mail.example.co.uk"),
            ("李小龙", "a@b.cn"),
        ] {
            assert!(codes(username, email, "correct horse").is_empty(), "{username}");
        }
    }

    #[test]
    fn every_mistake_is_named() {
        let pairs = codes("a b", "nobody", "short");
        let fields: Vec<_> = pairs.iter().map(|(f, c)| (f.as_str(), c.as_str())).collect();
        assert_eq!(
            fields,
            [("username", "characters"), ("email", "invalid"), ("password", "too_short")]
        );
        assert_eq!(codes("ab", "a@b.c", &"x".repeat(1_025)).len(), 2);
    }

    #[test]
    fn addresses_that_are_none() {
        for bad in ["@b.c", "a@", "a@b", "a b@c.d", "a@-b.c", "a@b..c", "a,b@c.d", "<a@b.c>"] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn one_spelling_one_key() {
        assert_eq!(lookup_key(" Ada "), lookup_key("ADA"));
        assert_eq!(lookup_key("ａｄａ"), "ada");
    }
}
