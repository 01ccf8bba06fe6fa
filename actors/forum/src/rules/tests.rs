use super::*;

fn user(id: i64, role: Role) -> User {
    let id = Id::from_raw(id);
    User { id, session: id, name: "Ann".to_owned(), role, scopes: None }
}

fn codes(check: Check) -> Vec<String> {
    check.done().map_or_else(|p| p.errors.into_iter().map(|e| e.code).collect(), |()| vec![])
}

#[test]
fn only_authors_and_moderators_change_things() {
    let author = Id::from_raw(1);
    let by = |role: Role| (author, role.level());
    assert!(may_change(&user(1, Role::User), by(Role::User), false).is_ok());
    assert!(may_change(&user(1, Role::User), by(Role::User), true).is_err());
    assert!(may_change(&user(1, Role::Moderator), by(Role::Moderator), true).is_ok());
    assert!(may_change(&user(2, Role::Premium), by(Role::User), false).is_err());
    assert!(may_change(&user(2, Role::Moderator), by(Role::User), true).is_ok());
    assert!(may_change(&user(2, Role::Moderator), by(Role::Moderator), false).is_err());
    assert!(may_change(&user(2, Role::Admin), by(Role::Moderator), false).is_ok());
    assert!(may_change(&user(2, Role::SystemAdmin), by(Role::SystemAdmin), false).is_err());
}

#[test]
fn replies_obey_locks_and_categories() {
    let (plain, moderator) =
        (Viewer::new(None, Role::User.level()), Viewer::new(None, Role::Moderator.level()));
    assert!(may_reply(plain, 0, false, false).is_ok());
    assert!(matches!(may_reply(plain, 0, true, false), Err(RouteError::Forbidden(_))));
    assert!(may_reply(moderator, 3, true, false).is_ok());
    assert!(matches!(may_reply(plain, 2, false, false), Err(RouteError::Forbidden(_))));
    assert!(matches!(may_reply(moderator, 0, false, true), Err(RouteError::Conflict(_))));
    assert!(is_reply(1).is_err() && is_reply(2).is_ok());
}

#[test]
fn the_tree_has_two_levels() {
    let [a, b, c] = [1, 2, 3].map(Id::from_raw);
    assert!(may_nest(a, b, None, false).is_ok());
    assert!(may_nest(a, a, None, false).is_err());
    assert!(may_nest(a, b, Some(c), false).is_err());
    assert!(may_nest(a, b, None, true).is_err());
}

#[test]
fn a_child_is_never_more_open_than_its_parent() {
    assert_eq!(effective_level(0, None), 0);
    assert_eq!(effective_level(0, Some(3)), 3);
    assert_eq!(effective_level(4, Some(3)), 4);
}

#[test]
fn fields_have_bounds() {
    let mut check = Check::new();
    title(&mut check, " ");
    body(&mut check, "abcd", 3);
    name(&mut check, &"x".repeat(81));
    assert_eq!(description(&mut check, "  "), None);
    assert_eq!(codes(check), ["required", "too_long", "too_long"]);
}
