//! Pure decisions about administration.

use panel_kernel::problem::Problem;
use panel_kernel::role::Role;

/// Longer searches are a mistake.
const SEARCH_MAX: usize = 100;

/// The filters of the list of people, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserFilter {
    pub(crate) search: Option<String>,
    pub(crate) role: Option<Role>,
    pub(crate) status: Option<String>,
}

/// Reads the filters.
pub(crate) fn user_filter(
    q: Option<&str>,
    role: Option<&str>,
    status: Option<String>,
) -> Result<UserFilter, Problem> {
    let search = q.map(str::trim).filter(|text| !text.is_empty()).map(search_key);
    if search.as_ref().is_some_and(|text| text.chars().count() > SEARCH_MAX) {
        let message = format!("must have at most {SEARCH_MAX} characters");
        return Err(Problem::field("q", "too_long", message));
    }
    let role = role
        .map(|role| role.parse::<Role>().map_err(|why| Problem::field("role", "invalid", why)))
        .transpose()?;
    if let Some(status) = &status
        && !matches!(status.as_str(), "active" | "suspended")
    {
        return Err(Problem::field("status", "invalid", "must be active or suspended"));
    }
    Ok(UserFilter { search, role, status })
}

/// How texts are compared when people are searched for.
pub(crate) fn search_key(text: &str) -> String {
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_understood_or_refused() {
        let filter = user_filter(Some(" Ada "), Some("admin"), Some("active".into())).unwrap();
        assert_eq!(filter.search.as_deref(), Some("ada"));
        assert_eq!(filter.role, Some(Role::Admin));
        assert_eq!(user_filter(Some(" "), None, None).unwrap(), UserFilter::default());
        assert!(user_filter(Some(&"x".repeat(101)), None, None).is_err());
        assert!(user_filter(None, Some("king"), None).is_err());
        assert!(user_filter(None, None, Some("gone".into())).is_err());
    }
}
