//! Entity tags of what was made smaller. It is another representation, and strong tags of two differ
//! (RFC 9110, 8.8.3.3); but who shows one means the thing itself, and services know nothing of codings.

use std::borrow::Cow;

use http::HeaderValue;

use super::Coding;

const fn suffix(coding: Coding) -> &'static str {
    match coding {
        Coding::Zstd => "-zstd\"",
        Coding::Gzip => "-gzip\"",
    }
}

/// The tag of a thing in this coding.
pub(crate) fn of_coding(tag: &HeaderValue, coding: Coding) -> Option<HeaderValue> {
    let opaque = tag.to_str().ok()?.strip_suffix('"')?;
    HeaderValue::try_from(format!("{opaque}{}", suffix(coding))).ok()
}

/// The tags a client shows, as those of the things themselves.
pub(crate) fn plain(tags: &HeaderValue) -> Cow<'_, HeaderValue> {
    let Ok(text) = tags.to_str() else { return Cow::Borrowed(tags) };
    let suffixes = [suffix(Coding::Zstd), suffix(Coding::Gzip)];
    if !suffixes.iter().any(|suffix| text.contains(suffix)) {
        return Cow::Borrowed(tags);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    // The first in the text that ends a tag, and so on: of a tag one suffix goes.
    while let Some((at, suffix)) =
        suffixes.iter().filter_map(|suffix| Some((rest.find(suffix)?, suffix))).min()
    {
        plain.push_str(&rest[..at]);
        plain.push('"');
        rest = &rest[at + suffix.len()..];
    }
    plain.push_str(rest);
    HeaderValue::try_from(plain).map_or(Cow::Borrowed(tags), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_those_of_the_thing_and_of_its_coding() {
        let tag = HeaderValue::from_static("\"abc\"");
        for coding in [Coding::Zstd, Coding::Gzip] {
            let coded = of_coding(&tag, coding).unwrap();
            assert_eq!(coded, format!("\"abc-{}\"", coding.name()));
            assert_eq!(*plain(&coded), tag);
        }
        let list = HeaderValue::from_static("\"a-zstd\", W/\"b-gzip\",\"c\"");
        assert_eq!(*plain(&list), "\"a\", W/\"b\",\"c\"");
        let odd = HeaderValue::from_static("\"a-gzip-zstd\"");
        assert_eq!(*plain(&odd), "\"a-gzip\"");
        for same in ["*", "\"a\"", "\"a-zstd-b\"", "zstd"] {
            assert_eq!(*plain(&HeaderValue::from_str(same).unwrap()), same);
        }
        assert_eq!(of_coding(&HeaderValue::from_static("broken"), Coding::Gzip), None);
    }
}
