//! What an API key may be.

use panel_kernel::http::validate::Check;
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;

const NAME: (usize, usize) = (1, 80);
const SCOPES: usize = 50;

/// A key as it will be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) name: String,
    /// Each once, in order.
    pub(crate) scopes: Vec<String>,
}

/// Checks a key that somebody wants.
pub(crate) fn api_key(
    name: &str,
    scopes: Vec<String>,
    expires_at: Option<Timestamp>,
    now: Timestamp,
    is_service: impl Fn(&str) -> bool,
) -> Result<Asked, Problem> {
    let mut check = Check::new();
    let name = check.line("name", name, NAME.0, NAME.1);
    if scopes.is_empty() {
        check.fail("scopes", "required", "name at least one, such as forum:read");
    } else if scopes.len() > SCOPES {
        check.fail("scopes", "too_long", format!("at most {SCOPES}"));
    } else if let Some(bad) = scopes.iter().find(|scope| !is_scope(scope, &is_service)) {
        let message = format!("{bad:?} is none: they are <service>:read and <service>:write");
        check.fail("scopes", "invalid", message);
    }
    if expires_at.is_some_and(|at| at <= now) {
        check.fail("expires_at", "past", "must be in the future");
    }
    check.done()?;
    let mut scopes = scopes;
    scopes.sort();
    scopes.dedup();
    Ok(Asked { name, scopes })
}

fn is_scope(scope: &str, is_service: impl Fn(&str) -> bool) -> bool {
    scope
        .split_once(':')
        .is_some_and(|(service, what)| matches!(what, "read" | "write") && is_service(service))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(scopes: &[&str], expires_at: Option<i64>) -> Result<Asked, Vec<String>> {
        let scopes = scopes.iter().map(|one| (*one).to_owned()).collect();
        let (at, now) = (expires_at.map(Timestamp::from_seconds), Timestamp::from_seconds(100));
        api_key(" bot ", scopes, at, now, |name| matches!(name, "forum" | "cms"))
            .map_err(|problem| problem.errors.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn scopes_are_of_services_there_are() {
        let good = asked(&["forum:write", "cms:read", "cms:read"], Some(101)).unwrap();
        assert_eq!(
            (good.name.as_str(), good.scopes),
            ("bot", vec!["cms:read".to_owned(), "forum:write".to_owned()])
        );
        for bad in [&[][..], &["forum"], &["forum:delete"], &["mail:read"], &["forum:read "]] {
            assert_eq!(asked(bad, None), Err(vec!["scopes".to_owned()]), "{bad:?}");
        }
        assert_eq!(asked(&["cms:read"; 51], None), Err(vec!["scopes".to_owned()]));
        assert_eq!(asked(&["cms:read"], Some(100)), Err(vec!["expires_at".to_owned()]));
    }
}
