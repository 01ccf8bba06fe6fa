//! Pure decisions about administration.

use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::role::Role;
use serde_json::Value;

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

/// What tells who somebody is, in what was before an act and after it.
const PERSONAL: [&str; 5] = ["username", "display_name", "email", "name", "reason"];

/// An audit record of `service` without what tells who `id` was: where they have acted, from where; where
/// it is about them, their names and the words about them.
pub(crate) fn without_person(service: &str, record: &str, id: Id) -> String {
    let Ok(mut read) = serde_json::from_str::<Value>(record) else { return String::new() };
    let id = Value::String(id.to_string());
    let is_own = read["actor"] == id;
    let target = read["target"].as_str().and_then(|target| target.strip_prefix("user:"));
    let is_about = target == id.as_str()
        || ["before", "after"].iter().any(|part| read[*part]["user_id"] == id);
    // Nobody else signs in to an account, or makes it.
    let is_theirs = is_own || (is_about && read["actor"] == "anonymous");
    if is_theirs && let Some(fields) = read.as_object_mut() {
        fields.shift_remove("ip");
    }
    if is_about || (is_own && service == "auth") {
        for part in ["before", "after"] {
            if let Some(Value::Object(fields)) = read.get_mut(part) {
                fields.retain(|name, _| !PERSONAL.contains(&name.as_str()));
            }
        }
    }
    read.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is left of a record once account 7 is erased: its address, and what was after it.
    fn left(service: &str, actor: &str, target: &str, after: &Value) -> (Value, Value) {
        let (ada, id) = (Id::from_raw(7), Id::from_raw(7).to_string());
        let known = |text: &str| text.replace("ADA", &id);
        let record = json!({"at": 1, "actor": known(actor), "action": "x", "target": known(target),
                            "after": after, "ip": "192.0.2.1", "request_id": "r"});
        let record = record.to_string().replace("ADA", &id);
        let read: Value = serde_json::from_str(&without_person(service, &record, ada)).unwrap();
        assert_eq!(read["action"], "x");
        (read["ip"].clone(), read["after"].clone())
    }

    #[test]
    fn a_record_forgets_who_it_was_and_not_what_was_done() {
        let (here, none) = (json!("192.0.2.1"), Value::Null);
        let named = json!({"display_name": "Ada", "role": "user"});
        let role = json!({"role": "user"});
        assert_eq!(left("auth", "ADA", "user:ADA", &named), (none.clone(), role.clone()));
        assert_eq!(left("auth", "anonymous", "user:ADA", &named), (none.clone(), role.clone()));
        // Somebody else has done it.
        assert_eq!(left("auth", "boss", "user:ADA", &named), (here.clone(), role));
        let key = json!({"name": "Ada's robot"});
        assert_eq!(left("auth", "ADA", "api_key:1", &key), (none.clone(), json!({})));
        let session = json!({"user_id": "ADA"});
        let (ip, kept) = left("auth", "anonymous", "session:1", &session);
        assert_eq!((ip, kept.is_object()), (none.clone(), true));
        // What she made stays.
        let category = json!({"name": "News"});
        assert_eq!(left("forum", "ADA", "category:1", &category), (none, category.clone()));
        assert_eq!(left("forum", "boss", "category:1", &category), (here, category));
        assert_eq!(without_person("auth", "nonsense", Id::from_raw(7)), "");
    }

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
