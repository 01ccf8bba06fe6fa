//! What is taken over from a provider, and where a browser goes on.

use oauth2::url::Url;
use panel_kernel::problem::Problem;
use unicode_normalization::UnicodeNormalization as _;

use super::{DISPLAY_NAME, USERNAME};

const RETURN_TO_MAX: usize = 1_000;

/// Where a browser goes on: a path of this site and nothing else.
pub(crate) fn return_to(path: &str) -> Result<String, Problem> {
    let ours = path.strip_prefix('/').is_some_and(|rest| !rest.starts_with('/'));
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    // A browser reads `/.//there` as `//there`, which is another site.
    let read = Url::parse("http://localhost").and_then(|site| site.join(path));
    let stays = read.is_ok_and(|url| !url.path().starts_with("//"));
    if ours && plain && stays && path.len() <= RETURN_TO_MAX {
        return Ok(path.to_owned());
    }
    Err(Problem::field("return_to", "invalid", "must be a path of this site, such as /welcome"))
}

/// The same path, with what has happened on the way.
pub(crate) fn with_error(path: &str, code: &str) -> String {
    let Ok(mut url) = Url::parse("http://localhost").and_then(|site| site.join(path)) else {
        return "/".to_owned();
    };
    url.query_pairs_mut().append_pair("oauth_error", code);
    let fragment = url.fragment().map(|it| format!("#{it}")).unwrap_or_default();
    format!("{}?{}{fragment}", url.path(), url.query().unwrap_or_default())
}

/// A name to sign in with, made of those that somebody has elsewhere.
pub(crate) fn username<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    for name in names {
        let name = name.split('@').next().unwrap_or_default();
        let name: String = name
            .nfc()
            .map(|c| if c.is_whitespace() { '-' } else { c })
            .filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
            .take(USERNAME.1)
            .collect();
        if name.chars().count() >= USERNAME.0 {
            return name;
        }
    }
    "user".to_owned()
}

/// The same, if that is taken: the second, the third.
pub(crate) fn another_username(name: &str, number: u64) -> String {
    let number = number.to_string();
    let name: String = name.chars().take(USERNAME.1 - number.len()).collect();
    name + &number
}

/// A name to be shown by, made of the one that somebody has elsewhere.
pub(crate) fn shown_name(name: Option<&str>) -> Option<String> {
    let name: String = name?.nfc().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let name: String = name.trim().chars().take(DISPLAY_NAME.1).collect();
    let name = super::display_name(name.trim());
    name.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_go_on_here_and_nowhere_else() {
        for good in ["/", "/a/b?c=d#e", "/a//b", "/%0d"] {
            assert_eq!(return_to(good).unwrap(), good);
        }
        let bad = [
            "",
            "a",
            "//evil.example",
            "/\\evil.example",
            "/.//evil.example",
            "https://evil.example",
            "/a b",
            "/\n",
            "/ä",
            "javascript:alert(1)",
        ];
        for bad in bad {
            assert!(return_to(bad).is_err(), "{bad}");
        }
        assert!(return_to(&format!("/{}", "x".repeat(RETURN_TO_MAX))).is_err());
    }

    #[test]
    fn what_has_happened_goes_into_the_query() {
        assert_eq!(with_error("/", "x_y"), "/?oauth_error=x_y");
        assert_eq!(with_error("/a?b=c#d", "x"), "/a?b=c&oauth_error=x#d");
    }

    #[test]
    fn names_are_made_of_names() {
        assert_eq!(username(["Ada Lovelace"]), "Ada-Lovelace");
        assert_eq!(username(["a", "ada@example.org"]), "ada");
        assert_eq!(username(["<b>", "", "é"]), "user");
        assert_eq!(username(["x".repeat(50).as_str()]).len(), 30);
        assert_eq!(another_username("ada", 2), "ada2");
        assert_eq!(another_username(&"x".repeat(30), 12), "x".repeat(28) + "12");
        assert_eq!(shown_name(Some("  Ada\u{7}L ")).as_deref(), Some("Ada L"));
        assert_eq!(shown_name(Some(" ")), None);
        assert_eq!(shown_name(Some(&"x".repeat(100))).unwrap().len(), 60);
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_provider_says_makes_names_that_may_be(name: String, number in 2_u64..1_000) {
            for name in [username([name.as_str()]), another_username(&username([name.as_str()]), number)] {
                let made = super::super::registrant(&name, "a@b.cd", "correct horse battery", None);
                proptest::prop_assert!(made.is_ok(), "{name}: {made:?}");
            }
        }

        #[test]
        fn wherever_a_browser_goes_on_is_here(path: String, more in "/[/\\\\a-z?#%.:@]{0,9}") {
            for path in [path, more] {
                if let Ok(path) = return_to(&path) {
                    let site = Url::parse("https://panel.example").unwrap();
                    let there = site.join(&path).unwrap();
                    proptest::prop_assert_eq!(there.origin(), site.origin());
                    let told = site.join(&with_error(&path, "x")).unwrap();
                    proptest::prop_assert_eq!(told.path(), there.path());
                }
            }
        }
    }
}
