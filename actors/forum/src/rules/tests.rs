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
    assert!(matches!(may_reply(plain, 0, true, false), Err(ForumError::Forbidden(_))));
    assert!(may_reply(moderator, 3, true, false).is_ok());
    assert!(matches!(may_reply(plain, 2, false, false), Err(ForumError::Forbidden(_))));
    assert!(matches!(may_reply(moderator, 0, false, true), Err(ForumError::Conflict(_))));
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
fn tags_have_one_form() {
    for (text, form) in [
        ("Rust", Some("rust")),
        ("  Rust  Lang ", Some("rust-lang")),
        ("c++", Some("c++")),
        ("日本語", Some("日本語")),
        ("--a--b--", Some("a-b")),
        ("", None),
        (" - ", None),
        ("a/b", None),
        ("a\"b", None),
        ("a\u{202e}b", None),
    ] {
        assert_eq!(tag(text).as_deref(), form, "{text:?}");
    }
    assert!(tag(&"x".repeat(30)).is_some() && tag(&"x".repeat(31)).is_none());
}

#[test]
fn wrong_tags_are_named() {
    let of = |list: &[&str]| {
        let mut check = Check::new();
        let given: Vec<String> = list.iter().map(|&tag| tag.to_owned()).collect();
        (tags(&mut check, &given), codes(check))
    };
    assert_eq!(of(&["A", "a", "b"]), (vec!["a".to_owned(), "b".to_owned()], vec![]));
    assert_eq!(of(&["a", "b", "c", "d", "e", "f"]).1, ["too_many"]);
    assert_eq!(of(&["ok", "not/ok"]).1, ["invalid"]);
}

#[test]
fn slugs_are_short_ascii_and_never_empty() {
    assert_eq!(slug("Hello, World!", "thread"), "hello-world");
    assert_eq!(slug("  ", "thread"), "thread");
    assert!(slug("日本語のスレッド", "thread").is_ascii());
    let long = slug(&"ab ".repeat(100), "thread");
    assert!(long.len() <= MAX_SLUG_BYTES && !long.ends_with('-'));
    let taken = ["a".to_owned(), "a-2".to_owned()];
    assert_eq!(free_slug("a".to_owned(), &taken), "a-3");
    assert_eq!(free_slug("b".to_owned(), &taken), "b");
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
