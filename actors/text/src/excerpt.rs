//! Where in a text the words of a query stand.

use std::ops::Range;

use crate::html::escape;
use crate::tokens::{Piece, Query, Token, is_unspaced, tokens};

/// How long an excerpt is, in characters, about.
const CHARS: usize = 240;
/// What is shown before the first word, in characters, at most.
const BEFORE: usize = 60;

/// A piece of `text` around the first words of the query, as HTML in which nothing but `<mark>` has a
/// meaning; the beginning, where none is.
#[must_use]
pub fn excerpt(text: &str, query: &Query) -> String {
    let marks = marks(text, query);
    let from = start(text, marks.first().map_or(0, |mark| mark.start));
    let to = text[from..].char_indices().nth(CHARS).map_or(text.len(), |(at, _)| from + at);
    let mut html = String::with_capacity(to - from + 64);
    if from > 0 {
        html.push('…');
    }
    let mut at = from;
    for mark in marks.iter().filter(|mark| mark.start >= from && mark.end <= to) {
        escape(&mut html, &text[at..mark.start]);
        html.push_str("<mark>");
        escape(&mut html, &text[mark.clone()]);
        html.push_str("</mark>");
        at = mark.end;
    }
    escape(&mut html, &text[at..to]);
    if to < text.len() {
        html.push('…');
    }
    html
}

/// Where the words stand, in order, none within another: tokens of one run overlap.
fn marks(text: &str, query: &Query) -> Vec<Range<usize>> {
    let mut marks: Vec<Range<usize>> = Vec::new();
    for mark in tokens(text).iter().filter_map(|token| mark(text, token, query)) {
        match marks.last_mut() {
            Some(last) if mark.start < last.end => last.end = last.end.max(mark.end),
            _ => marks.push(mark),
        }
    }
    marks
}

/// What of a token was looked for: of a pair that begins with it, one character.
fn mark(text: &str, token: &Token, query: &Query) -> Option<Range<usize>> {
    let pieces = query.wanted.iter().flat_map(|Piece { tokens, is_prefix }| {
        let last = tokens.len() - 1;
        tokens.iter().enumerate().map(move |(at, wanted)| (wanted, *is_prefix && at == last))
    });
    let mut found = None;
    for (wanted, is_prefix) in pieces {
        if token.text == *wanted {
            return Some(token.at.clone());
        }
        if is_prefix && token.text.starts_with(wanted) {
            let is_pair = wanted.chars().all(is_unspaced);
            let first = text[token.at.clone()].chars().next().map_or(0, char::len_utf8);
            let end = if is_pair { token.at.start + first } else { token.at.end };
            found = Some(token.at.start..end);
        }
    }
    found
}

/// Where an excerpt begins: at a word, not long before the first that was found.
fn start(text: &str, first: usize) -> usize {
    let mut before = text[..first].char_indices().rev().take(BEFORE);
    let Some((earliest, _)) = before.by_ref().last() else { return first };
    if earliest == 0 {
        return 0;
    }
    let space = text[earliest..first].find(char::is_whitespace);
    space.map_or(earliest, |at| earliest + at).min(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tokens::query;

    fn shown(text: &str, asked: &str) -> String {
        excerpt(text, &query(asked).unwrap())
    }

    #[test]
    fn words_are_marked_where_they_stand() {
        assert_eq!(
            shown("A <b> Café, a cafe.", "cafe"),
            "A &lt;b&gt; <mark>Café</mark>, a <mark>cafe</mark>."
        );
        assert_eq!(shown("東京都に住む", "東京都"), "<mark>東京都</mark>に住む");
        assert_eq!(shown("黒猫と猫", "猫"), "黒<mark>猫</mark>と<mark>猫</mark>");
        assert_eq!(shown("begin beginning", "begin*"), "<mark>begin</mark> <mark>beginning</mark>");
        assert_eq!(shown("nothing here", "else"), "nothing here");
        assert_eq!(shown("", "x"), "");
    }

    #[test]
    fn long_texts_are_shown_around_the_first_word() {
        let text = format!("{} needle {}", "hay ".repeat(100), "straw ".repeat(100));
        let html = shown(&text, "needle");
        assert!(html.starts_with("… hay hay") && html.ends_with('…'), "{html}");
        assert!(html.contains("hay  <mark>needle</mark> straw"), "{html}");
        assert!(html.chars().count() < CHARS + 20, "{html}");
        let word = "x".repeat(10_000);
        assert!(shown(&word, "y").chars().count() <= CHARS + 1);
    }

    proptest! {
        #[test]
        fn nothing_but_marks_is_added(text in "[ab<&é漢猫 ]{0,300}", asked in "[ab漢猫]{1,3}") {
            let html = shown(&text, &asked);
            prop_assert_eq!(html.matches("<mark>").count(), html.matches("</mark>").count());
            let bare = html.replace("<mark>", "").replace("</mark>", "").replace("&lt;", "<").replace("&amp;", "&");
            prop_assert!(text.contains(bare.trim_matches('…')), "{}", bare);
        }
    }
}
