//! Pure decisions about articles.

use panel_kernel::problem::Problem;

/// Longer filters match nothing and are a mistake.
const FILTER_MAX: usize = 100;

/// A filter of the list, as it is compared.
pub(crate) fn filter(field: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.is_empty() || text.chars().count() > FILTER_MAX => {
            let message = format!("must have 1 to {FILTER_MAX} characters");
            Err(Problem::field(field, "out_of_range", message))
        }
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_have_bounds() {
        assert_eq!(filter("tag", None).unwrap(), None);
        assert_eq!(filter("tag", Some("a".into())).unwrap(), Some("a".into()));
        assert!(filter("tag", Some(String::new())).is_err());
        assert!(filter("tag", Some("x".repeat(101))).is_err());
    }
}
