//! What the queries of lists have in common. An empty value is none.

use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;

/// An id.
pub(super) fn id_of(field: &str, text: Option<&str>) -> Result<Option<Id>, Problem> {
    match text {
        None | Some("") => Ok(None),
        Some(text) => match text.parse() {
            Ok(id) => Ok(Some(id)),
            Err(_) => Err(Problem::field(field, "invalid", "is no id")),
        },
    }
}

/// `true` or `false`, which is the default.
pub(super) fn flag_of(field: &str, text: Option<&str>) -> Result<bool, Problem> {
    match text {
        None | Some("" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::field(field, "invalid", "must be true or false")),
    }
}
