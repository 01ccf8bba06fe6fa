//! What a valid field is.

use panel_kernel::http::validate::Check;
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_text::names;

use super::Kind;

/// The most tags of an article.
pub(crate) const MAX_TAGS: usize = 20;
/// The most authors of an article.
pub(crate) const MAX_AUTHORS: usize = 10;
/// The most items of a menu, those below others among them.
pub(crate) const MAX_MENU_ITEMS: usize = 50;
/// The longest title, in characters.
pub(crate) const MAX_TITLE_CHARS: usize = 200;
/// The longest excerpt that somebody writes, in characters.
const MAX_EXCERPT_CHARS: usize = 500;
/// How long an excerpt is that is the beginning of the text, in characters, at most.
pub(crate) const EXCERPT_CHARS: usize = 280;
const MAX_SEO_TITLE_CHARS: usize = 120;
const MAX_SEO_DESCRIPTION_CHARS: usize = 320;
const MAX_ADDRESS_CHARS: usize = 2_000;
const MAX_SLUG_CHARS: usize = 80;
const MAX_MENU_CHARS: usize = 40;
/// The longest name of a category, a tag, or an item of a menu, in characters.
pub(crate) const MAX_NAME_CHARS: usize = 80;
const MAX_DESCRIPTION_CHARS: usize = 1_000;
const MAX_NOTE_CHARS: usize = 2_000;
pub(crate) const MAX_ALT_CHARS: usize = 500;
const MAX_FILE_NAME_CHARS: usize = 120;
/// The highest position.
pub(crate) const MOST_POSITION: i64 = 1_000_000;
/// What stands in the places of slugs in addresses.
const RESERVED: [&str; 9] =
    ["all", "author", "authors", "categories", "category", "feed", "preview", "tag", "trash"];
/// Longer filters match nothing and are a mistake.
const FILTER_MAX: usize = 100;

/// A title.
pub(crate) fn title(check: &mut Check, text: &str) -> String {
    check.line("title", text, 1, MAX_TITLE_CHARS)
}

/// A text in Markdown; a draft may have none yet.
pub(crate) fn body(check: &mut Check, text: &str, most: usize) -> String {
    check.text("body", text, 0, most)
}

/// What a picture shows; it may be nothing that matters.
pub(crate) fn alt(check: &mut Check, text: &str) -> String {
    check.line("alt", text, 0, MAX_ALT_CHARS)
}

/// What a file is called: the last part of it, for people alone. Nothing is ever looked for by it.
pub(crate) fn file_name(text: &str) -> String {
    let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = last.chars().filter(|c| !c.is_control()).take(MAX_FILE_NAME_CHARS);
    let name: String = plain.collect();
    if name.trim().is_empty() { "picture".to_owned() } else { name.trim().to_owned() }
}

/// An excerpt; a blank one is none.
pub(crate) fn excerpt(check: &mut Check, text: &str) -> Option<String> {
    some(check.text("excerpt", text.trim(), 0, MAX_EXCERPT_CHARS))
}

/// Whether an article wants comments: posts alone can.
pub(crate) fn comments(check: &mut Check, kind: Kind, wanted: bool) -> bool {
    if wanted && kind != Kind::Post {
        check.fail("comments", "not_for_pages", "posts alone take comments");
    }
    wanted
}

/// Who wrote it, first whose it is: each once.
pub(crate) fn authors(check: &mut Check, ids: &[Id]) -> Vec<Id> {
    let mut named: Vec<Id> = Vec::new();
    for id in ids {
        if !named.contains(id) {
            named.push(*id);
        }
        if named.len() > MAX_AUTHORS {
            break;
        }
    }
    if !(1..=MAX_AUTHORS).contains(&named.len()) {
        check.fail("authors", "out_of_range", format!("must name 1 to {MAX_AUTHORS} accounts"));
    }
    named
}

/// A language as BCP 47 (RFC 5646) writes it, with a script and a region at most: `en`, `pt-BR`, `zh-Hant-TW`; in the
/// case in which its parts are usually written. An empty one is none.
pub(crate) fn language(check: &mut Check, text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('-').collect();
    let letters = |part: &str, least: usize, most: usize| {
        (least..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic())
    };
    let is_script = |part: &str| letters(part, 4, 4);
    let is_region = |part: &str| {
        letters(part, 2, 2) || part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit())
    };
    let is_one = match parts.as_slice() {
        [language] => letters(language, 2, 3),
        [language, last] => letters(language, 2, 3) && (is_script(last) || is_region(last)),
        [language, script, region] => {
            letters(language, 2, 3) && is_script(script) && is_region(region)
        }
        _ => false,
    };
    if !(text.is_empty() || is_one) {
        let message = "must be a language, as in `en`, `pt-BR` or `zh-Hant`";
        check.fail("language", "invalid", message);
        return None;
    }
    let (first, rest) = parts.split_first()?;
    let mut written = first.to_ascii_lowercase();
    for part in rest {
        written.push('-');
        if part.len() == 4 {
            written.push_str(&part[..1].to_ascii_uppercase());
            written.push_str(&part[1..].to_ascii_lowercase());
        } else {
            written.push_str(&part.to_ascii_uppercase());
        }
    }
    some(written)
}

/// What to call it in search results.
pub(crate) fn seo_title(check: &mut Check, text: &str) -> Option<String> {
    some(check.line("seo.title", text, 0, MAX_SEO_TITLE_CHARS))
}

/// What to say of it there.
pub(crate) fn seo_description(check: &mut Check, text: &str) -> Option<String> {
    some(check.line("seo.description", text, 0, MAX_SEO_DESCRIPTION_CHARS))
}

/// What an editor says to an author; blank is nothing.
pub(crate) fn note(check: &mut Check, text: &str) -> Option<String> {
    some(check.text("note", text.trim(), 0, MAX_NOTE_CHARS))
}

/// The address of something on this site (`/…`) or another (`https://…`).
pub(crate) fn address(check: &mut Check, field: &str, text: &str) -> Option<String> {
    let text = check.line(field, text, 0, MAX_ADDRESS_CHARS);
    let is_here = text.starts_with('/') && !text.starts_with("//");
    let is_one = is_here || text.starts_with("https://") || text.starts_with("http://");
    let is_bare =
        text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\'));
    if !(text.is_empty() || is_one && is_bare) {
        check.fail(field, "invalid", "must be an address: /… or https://…, without spaces");
    }
    some(text)
}

/// The path of an address that is to lead elsewhere.
pub(crate) fn source(check: &mut Check, text: &str) -> String {
    let is_ours = ["/api", "/blog", "/pages"].contains(&text.trim_end_matches('/'))
        || text.starts_with("/api/");
    let is_path = text.len() <= MAX_ADDRESS_CHARS
        && text.bytes().all(|b| {
            b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'"' | b'<' | b'>' | b'\\')
        })
        && !text.contains("//")
        && !text.contains("/.");
    let leads = text.starts_with('/') && !text.trim_matches('/').is_empty();
    if !(leads && is_path) || is_ours {
        let message =
            "must be a path as it stands in addresses, without a query, and none of the API";
        check.fail("from", "invalid", message);
    }
    usual_path(text.trim_end_matches('/'))
}

/// A path with what is escaped in it written in the usual way (RFC 3986, 6.2.2.1): `%C3%A9`, and not `%c3%a9`.
pub(crate) fn usual_path(path: &str) -> String {
    let mut usual = String::with_capacity(path.len());
    let mut parts = path.split('%');
    usual.push_str(parts.next().unwrap_or_default());
    for part in parts {
        usual.push('%');
        for (at, c) in part.chars().enumerate() {
            usual.push(if at < 2 { c.to_ascii_uppercase() } else { c });
        }
    }
    usual
}

/// A slug that somebody chose: letters and digits of ASCII, hyphens between words.
pub(crate) fn slug(check: &mut Check, text: &str) -> String {
    let is_one = text.len() <= MAX_SLUG_CHARS && names::slug(text, "") == text && !text.is_empty();
    if !is_one {
        let message = "must be 1 to 80 of a-z, 0-9, and hyphens between them";
        check.fail("slug", "invalid", message);
    } else if !is_free(text) {
        check.fail("slug", "reserved", "means something else in addresses; choose another");
    }
    text.to_owned()
}

/// The slug that follows from a title.
pub(crate) fn slug_of(title: &str, fallback: &str) -> String {
    let slug = names::slug(title, fallback);
    if is_free(&slug) { slug } else { format!("{fallback}-{slug}") }
}

/// Whether nothing else is meant by it: no route, and no id.
fn is_free(slug: &str) -> bool {
    !RESERVED.contains(&slug) && slug.parse::<Id>().is_err()
}

/// What a menu is called: letters and digits of ASCII, hyphens between words.
pub(crate) fn menu(check: &mut Check, text: &str) -> String {
    let is_one = text.len() <= MAX_MENU_CHARS && !text.is_empty() && names::slug(text, "") == text;
    if !is_one {
        let message =
            format!("must be 1 to {MAX_MENU_CHARS} of a-z, 0-9, and hyphens between them");
        check.fail("name", "invalid", message);
    }
    text.to_owned()
}

/// The name of a category or a tag.
pub(crate) fn name(check: &mut Check, text: &str) -> String {
    check.line("name", text, 1, MAX_NAME_CHARS)
}

/// What is said of a category or a tag.
pub(crate) fn description(check: &mut Check, text: &str) -> String {
    check.text("description", text.trim(), 0, MAX_DESCRIPTION_CHARS)
}

/// Ascending among the others.
pub(crate) fn position(check: &mut Check, position: i64) -> i64 {
    if !(0..=MOST_POSITION).contains(&position) {
        check.fail("position", "out_of_range", format!("must be from 0 to {MOST_POSITION}"));
    }
    position
}

/// A filter of a list, as it is compared.
pub(crate) fn filter(field: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.is_empty() || text.chars().count() > FILTER_MAX => {
            let message = format!("must have 1 to {FILTER_MAX} characters");
            Err(Problem::field(field, "out_of_range", message))
        }
        other => Ok(other),
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_written_in_one_way() {
        for (text, expected) in [
            ("en", Some("en")),
            ("PT-br", Some("pt-BR")),
            ("zh-hANT-tw", Some("zh-Hant-TW")),
            ("es-419", Some("es-419")),
            ("gsw", Some("gsw")),
            ("", None),
        ] {
            let mut check = Check::new();
            assert_eq!(language(&mut check, text).as_deref(), expected, "{text}");
            check.done().unwrap();
        }
        for text in
            ["e", "english", "en_US", "en-", "-en", "en-US-Latn", "en-x-a", "é", "en US", "de-1"]
        {
            let mut check = Check::new();
            assert_eq!(language(&mut check, text), None, "{text}");
            assert!(check.done().is_err(), "{text}");
        }
    }

    #[test]
    fn each_author_is_named_once() {
        let named = |ids: &[i64]| {
            let ids: Vec<Id> = ids.iter().copied().map(Id::from_raw).collect();
            let mut check = Check::new();
            let named = authors(&mut check, &ids);
            check.done().map(|()| named.into_iter().map(Id::raw).collect::<Vec<_>>()).ok()
        };
        assert_eq!(named(&[3, 1, 3]), Some(vec![3, 1]));
        assert_eq!(named(&[]), None);
        assert!(named(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 1]).is_some());
        assert_eq!(named(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), None);
    }
}
