//! Tokens, and what is looked for, as databases read them: FTS5 of SQLite, and PostgreSQL's `tsvector` and `tsquery`.
//!
//! What they are told is made of tokens alone, each of letters, digits and marks, between quotes: nothing that somebody
//! writes has a meaning of its own there.

use crate::tokens::{Piece, Query, Token};

/// Tokens with spaces between them, for FTS5.
#[must_use]
pub fn line(tokens: &[Token]) -> String {
    tokens.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// Tokens with their places, as PostgreSQL writes a `tsvector`, those of the title with weight A. The body begins after a
/// gap, so that no phrase goes from the title into it.
#[must_use]
pub fn vector(title: &[Token], body: &[Token]) -> String {
    let mut text = String::with_capacity(body.len() * 16);
    let mut add = |token: &Token, place: usize, weight: &str| {
        text.push('\'');
        text += &token.text;
        text.push_str("':");
        text += &place.to_string();
        text += weight;
        text.push(' ');
    };
    for (place, token) in (1..).zip(title) {
        add(token, place, "A");
    }
    for (place, token) in (title.len() + 2..).zip(body) {
        add(token, place, "");
    }
    text
}

/// A query as FTS5 reads it.
#[must_use]
pub fn match_query(query: &Query) -> String {
    let phrase = |piece: &Piece| {
        let star = if piece.is_prefix { "*" } else { "" };
        format!("\"{}\"{star}", piece.tokens.join(" "))
    };
    let all = |pieces: &[Piece], between: &str| {
        pieces.iter().map(phrase).collect::<Vec<_>>().join(between)
    };
    let wanted = all(&query.wanted, " AND ");
    if query.unwanted.is_empty() {
        wanted
    } else {
        format!("({wanted}) NOT ({})", all(&query.unwanted, " OR "))
    }
}

/// The same as PostgreSQL reads it.
#[must_use]
pub fn tsquery(query: &Query) -> String {
    let phrase = |piece: &Piece| {
        let star = if piece.is_prefix { ":*" } else { "" };
        let tokens: Vec<String> = piece.tokens.iter().map(|token| format!("'{token}'")).collect();
        format!("({}{star})", tokens.join(" <-> "))
    };
    let wanted = query.wanted.iter().map(phrase);
    let unwanted = query.unwanted.iter().map(|piece| format!("!{}", phrase(piece)));
    wanted.chain(unwanted).collect::<Vec<_>>().join(" & ")
}

/// What a text is ranked by that has all that is wanted, as PostgreSQL reads it: any of it. To rank by all of it takes as
/// long as there are pairs of places at which the words stand.
#[must_use]
pub fn rank_query(query: &Query) -> String {
    let any = |piece: &Piece| {
        let star = if piece.is_prefix { ":*" } else { "" };
        let tokens: Vec<String> = piece.tokens.iter().map(|token| format!("'{token}'")).collect();
        format!("{}{star}", tokens.join(" | "))
    };
    query.wanted.iter().map(any).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::{query, tokens};

    #[test]
    fn tokens_are_told_with_their_places() {
        let (title, body) = (tokens("Two Wörds"), tokens("a 東京"));
        assert_eq!(line(&body), "a 東京 京");
        assert_eq!(vector(&title, &body), "'two':1A 'words':2A 'a':4 '東京':5 '京':6 ");
        assert_eq!(vector(&[], &tokens("!")), "");
    }

    #[test]
    fn queries_are_written_as_each_database_reads_them() {
        let asked = query("foo \"big bar\" beg* -no -\"not this\"").unwrap();
        assert_eq!(
            match_query(&asked),
            "(\"foo\" AND \"big bar\" AND \"beg\"*) NOT (\"no\" OR \"not this\")"
        );
        assert_eq!(
            tsquery(&asked),
            "('foo') & ('big' <-> 'bar') & ('beg':*) & !('no') & !('not' <-> 'this')"
        );
        assert_eq!(rank_query(&asked), "'foo' | 'big' | 'bar' | 'beg':*");
        assert_eq!(match_query(&query("猫").unwrap()), "\"猫\"*");
    }
}
