//! Texts in addresses.

use panel_kernel::http::validate::Check;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const MAX_SLUG_BYTES: usize = 80;
/// The longest tag, in characters.
pub const MAX_TAG_CHARS: usize = 30;

/// What of a segment of an address is encoded: all but what no address gives a meaning to (RFC 3986, 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as a segment of an address.
#[must_use]
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// A tag in its one form: lower case, words joined by hyphens; letters, digits and `- _ . + #`, 1 to 30 of them.
#[must_use]
pub fn tag(text: &str) -> Option<String> {
    let mut tag = String::with_capacity(text.len());
    for c in text.trim().chars().flat_map(char::to_lowercase) {
        match c {
            c if c.is_whitespace() || c == '-' => {
                if !tag.ends_with('-') {
                    tag.push('-');
                }
            }
            c if c.is_alphanumeric() || matches!(c, '_' | '.' | '+' | '#') => tag.push(c),
            _ => return None,
        }
    }
    let tag = tag.trim_matches('-');
    (1..=MAX_TAG_CHARS).contains(&tag.chars().count()).then(|| tag.to_owned())
}

/// Normalises tags, of which there may be so many; the same tag twice is the same tag.
pub fn tags(check: &mut Check, given: &[String], most: usize) -> Vec<String> {
    if given.len() > most {
        check.fail("tags", "too_many", format!("must be at most {most}"));
        return Vec::new();
    }
    let mut tags: Vec<String> = Vec::with_capacity(given.len());
    for (at, text) in given.iter().enumerate() {
        match tag(text) {
            Some(tag) if tags.contains(&tag) => {}
            Some(tag) => tags.push(tag),
            None => check.fail(
                &format!("tags[{at}]"),
                "invalid",
                format!("must be 1 to {MAX_TAG_CHARS} letters, digits, or any of - _ . + #"),
            ),
        }
    }
    tags
}

/// The readable part of an address: at most 80 of ASCII's letters and digits, hyphens between words; `fallback`
/// where nothing is left of the text.
#[must_use]
pub fn slug(text: &str, fallback: &str) -> String {
    let mut slug = slug::slugify(text);
    if slug.len() > MAX_SLUG_BYTES {
        slug.truncate(MAX_SLUG_BYTES);
        slug.truncate(slug.trim_end_matches('-').len());
    }
    if slug.is_empty() { fallback.to_owned() } else { slug }
}

/// `slug`, or the first of `slug-2`, `slug-3`, … that is not taken.
#[must_use]
pub fn free_slug(slug: String, taken: &[String]) -> String {
    let is_free = |candidate: &String| !taken.contains(candidate);
    if is_free(&slug) {
        return slug;
    }
    // One more candidate than there are slugs to be taken: one of them is free.
    (2..taken.len() + 3).map(|n| format!("{slug}-{n}")).find(is_free).unwrap_or(slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(check: Check) -> Vec<String> {
        check.done().map_or_else(|p| p.errors.into_iter().map(|e| e.code).collect(), |()| vec![])
    }

    #[test]
    fn segments_have_no_meaning_in_addresses() {
        assert_eq!(segment("rust-lang_1.0~"), "rust-lang_1.0~");
        assert_eq!(segment("c++ / é?"), "c%2B%2B%20%2F%20%C3%A9%3F");
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
            (tags(&mut check, &given, 5), codes(check))
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
}
