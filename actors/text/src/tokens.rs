//! The words of a text, for searching: the one tokenizer for what is stored and what is asked, on both
//! databases, which index its tokens and know nothing of languages.
//!
//! Case, accents and compatibility variants are folded. Scripts that don't put spaces between words
//! (Chinese, Japanese, Thai, …), and Korean, whose words have endings, are indexed by pairs of
//! characters, and the last one of a run by itself: so a part of a run is found by its pairs, and one
//! character by the tokens that begin with it.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// What these rules are. Another number has everything indexed anew.
pub const VERSION: i64 = 1;
/// The most tokens of a text: as many as PostgreSQL knows places for.
pub const MAX_TOKENS: usize = 16_000;
/// Of a longer word, this is what counts, in characters.
const MAX_WORD_CHARS: usize = 64;
/// The most pieces of a query.
const MAX_PIECES: usize = 16;

/// A word, or two characters, of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Letters, digits and marks, folded.
    pub text: String,
    /// Where it stands in the text, in bytes.
    pub at: Range<usize>,
}

/// A folded character, and where it comes from.
struct Folded {
    c: char,
    at: Range<usize>,
}

/// Characters that belong together.
enum Run {
    Word(Vec<Folded>),
    Unspaced(Vec<Folded>),
}

/// The tokens of a text, in order.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for run in runs(text) {
        match run {
            Run::Word(word) => tokens.extend(token(&word[..word.len().min(MAX_WORD_CHARS)])),
            Run::Unspaced(run) => {
                tokens.extend(run.windows(2).filter_map(token));
                tokens.extend(token(&run[run.len() - 1..]));
            }
        }
        if tokens.len() >= MAX_TOKENS {
            tokens.truncate(MAX_TOKENS);
            break;
        }
    }
    tokens
}

fn token(chars: &[Folded]) -> Option<Token> {
    let (first, last) = (chars.first()?, chars.last()?);
    let at = first.at.start..last.at.end;
    Some(Token { text: chars.iter().map(|folded| folded.c).collect(), at })
}

fn runs(text: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut joined = false;
    for folded in folded(text) {
        let c = folded.c;
        if !is_of_word(c) {
            joined = false;
            continue;
        }
        match (runs.last_mut(), is_unspaced(c)) {
            (Some(Run::Word(run)), false) | (Some(Run::Unspaced(run)), true) if joined => {
                run.push(folded);
            }
            (_, true) => runs.push(Run::Unspaced(vec![folded])),
            (_, false) => runs.push(Run::Word(vec![folded])),
        }
        joined = true;
    }
    runs
}

/// The characters of a text, folded one by one, so that each knows where it comes from.
fn folded(text: &str) -> impl Iterator<Item = Folded> {
    let mut graphemes: Vec<(Range<usize>, String)> = Vec::new();
    for (from, c) in text.char_indices() {
        let to = from + c.len_utf8();
        match graphemes.last_mut() {
            // With the marks that belong to it, which may make another character together.
            Some((at, grapheme)) if is_mark(c) && at.end == from => {
                grapheme.push(c);
                at.end = to;
            }
            _ => graphemes.push((from..to, c.to_string())),
        }
    }
    graphemes.into_iter().flat_map(|(at, grapheme)| {
        let bare: String = grapheme.nfkd().filter(|c| !is_dropped(*c)).collect();
        let folded: Vec<char> = bare.nfc().flat_map(char::to_lowercase).flat_map(plain).collect();
        folded.into_iter().map(move |c| Folded { c, at: at.clone() })
    })
}

/// What belongs to the character before it; the voicing marks of halfwidth Katakana do.
fn is_mark(c: char) -> bool {
    is_combining_mark(c) || matches!(c, '\u{ff9e}' | '\u{ff9f}')
}

/// Accents, vowel points, and characters that are not seen.
fn is_dropped(c: char) -> bool {
    matches!(c,
        '\u{0300}'..='\u{036f}' // Latin, Greek, Cyrillic
        | '\u{0591}'..='\u{05c7}' // Hebrew points
        | '\u{0610}'..='\u{061a}' | '\u{0640}' | '\u{064b}'..='\u{065f}' | '\u{0670}' // Arabic
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}'
        | '\u{00ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Letters whose stroke or shape is no mark of its own.
fn plain(c: char) -> impl Iterator<Item = char> {
    let letters = match c {
        'ß' => ['s', 's'],
        'æ' => ['a', 'e'],
        'œ' => ['o', 'e'],
        'þ' => ['t', 'h'],
        'ø' => ['o', '\0'],
        'đ' | 'ð' => ['d', '\0'],
        'ł' => ['l', '\0'],
        'ħ' => ['h', '\0'],
        'ı' => ['i', '\0'],
        'ς' => ['σ', '\0'],
        c => [c, '\0'],
    };
    letters.into_iter().filter(|c| *c != '\0')
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// Whether it is of a script whose words are not told apart by spaces, or have endings.
pub(crate) fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}' // Thai, Lao
        | '\u{1000}'..='\u{109f}' // Myanmar
        | '\u{1780}'..='\u{17ff}' // Khmer
        | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{312f}' // Hiragana, Katakana, Bopomofo
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' // Han
        | '\u{ac00}'..='\u{d7ff}' // Hangul
        | '\u{20000}'..='\u{3ffff}')
}

/// A piece of a query: tokens that stand one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Words, or pairs of characters, one after the other.
    pub tokens: Vec<String>,
    /// Whether the last one is only the beginning of what is looked for.
    pub is_prefix: bool,
}

/// What is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// All of these.
    pub wanted: Vec<Piece>,
    /// None of these.
    pub unwanted: Vec<Piece>,
}

/// Reads a query: words, all of which are wanted; `"words in this order"`; `begin*`; `-not this`. `None`
/// if nothing is wanted.
#[must_use]
pub fn query(text: &str) -> Option<Query> {
    let mut query = Query::default();
    let mut rest = text.trim_start();
    while !rest.is_empty() && query.wanted.len() + query.unwanted.len() < MAX_PIECES {
        let (is_unwanted, from) = match rest.strip_prefix('-') {
            Some(from) => (true, from),
            None => (false, rest),
        };
        let (piece, is_quoted, after) = match from.strip_prefix('"') {
            Some(quoted) => {
                let (piece, after) = quoted.split_once('"').unwrap_or((quoted, ""));
                (piece, true, after)
            }
            None => {
                let end = from.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(from.len());
                (&from[..end], false, &from[end..])
            }
        };
        rest = after.trim_start();
        let begins = !is_quoted && piece.ends_with('*');
        let list = if is_unwanted { &mut query.unwanted } else { &mut query.wanted };
        list.extend(pieces(piece, begins));
    }
    query.wanted.truncate(MAX_PIECES);
    (!query.wanted.is_empty()).then_some(query)
}

/// Words in this order, and nothing else; the last may be a beginning (`begin*`).
#[must_use]
pub fn phrase(text: &str) -> Option<Piece> {
    let text = text.trim();
    pieces(text, text.ends_with('*'))
}

/// What is to be found for a piece of a query, one phrase for all its words.
fn pieces(text: &str, begins: bool) -> Option<Piece> {
    let (mut tokens, mut is_prefix) = (Vec::new(), begins);
    let mut runs = runs(text).into_iter().peekable();
    while let Some(run) = runs.next() {
        let is_last = runs.peek().is_none();
        match run {
            Run::Word(word) => tokens.extend(token(&word[..word.len().min(MAX_WORD_CHARS)])),
            Run::Unspaced(run) => {
                tokens.extend(run.windows(2).filter_map(token));
                // The last character is by itself where a run ends. Where the query ends, the run may go
                // on: of one character it is the first of a pair, or the last of a run.
                if !is_last || run.len() == 1 {
                    tokens.extend(token(&run[run.len() - 1..]));
                }
                if is_last {
                    is_prefix = run.len() == 1;
                }
            }
        }
    }
    let is_short = tokens.len() <= MAX_PIECES;
    let tokens: Vec<String> = tokens.into_iter().take(MAX_PIECES).map(|it| it.text).collect();
    (!tokens.is_empty()).then_some(Piece { tokens, is_prefix: is_prefix && is_short })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn case_accents_and_variants_are_folded() {
        for (text, expected) in [
            ("Hello, World!", vec!["hello", "world"]),
            ("Café CAFE\u{301} cafe", vec!["cafe", "cafe", "cafe"]),
            ("Straße STRASSE", vec!["strasse", "strasse"]),
            ("Ångström Øre Łódź", vec!["angstrom", "ore", "lodz"]),
            ("ΣΊΣΥΦΟΣ σίσυφος", vec!["σισυφοσ", "σισυφοσ"]),
            ("Ёлка елка", vec!["елка", "елка"]),
            ("ﬁne ①２３", vec!["fine", "123"]),
            ("مُحَمَّد محمد", vec!["محمد", "محمد"]),
            ("שָׁלוֹם שלום", vec!["שלום", "שלום"]),
            ("हिन्दी", vec!["हिन्दी"]),
            ("in\u{200b}vis\u{ad}ible", vec!["invisible"]),
            ("rust-lang/rust#123 a_b", vec!["rust", "lang", "rust", "123", "a", "b"]),
            ("!?-- \u{202e}", vec![]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn unspaced_scripts_go_by_pairs() {
        assert_eq!(words("東京都"), ["東京", "京都", "都"]);
        assert_eq!(words("Rustで書く"), ["rust", "で書", "書く", "く"]);
        assert_eq!(words("ｶﾞｷﾞ ガギ"), ["ガギ", "ギ", "ガギ", "ギ"]);
        assert_eq!(words("か\u{3099}"), ["が"]);
        assert_eq!(words("한국어"), ["한국", "국어", "어"]);
        assert_eq!(words("猫 犬"), ["猫", "犬"]);
        assert_eq!(words("ภาษา").len(), 4);
    }

    #[test]
    fn long_words_and_long_texts_have_an_end() {
        assert_eq!(words(&"x".repeat(10_000)), ["x".repeat(64)]);
        assert_eq!(tokens(&"漢".repeat(32_000)).len(), MAX_TOKENS);
        assert_eq!(tokens(&"a ".repeat(32_000)).len(), MAX_TOKENS);
        // A thousand marks on one letter are one letter.
        assert_eq!(words(&format!("e{}", "\u{301}".repeat(1_000))), ["e"]);
    }

    #[test]
    fn tokens_say_where_they_stand() {
        let text = "Ein Café, 東京";
        let shown: Vec<&str> = tokens(text).iter().map(|token| &text[token.at.clone()]).collect();
        assert_eq!(shown, ["Ein", "Café", "東京", "京"]);
    }

    fn piece(tokens: &[&str], is_prefix: bool) -> Piece {
        Piece { tokens: tokens.iter().map(|text| (*text).to_owned()).collect(), is_prefix }
    }

    #[test]
    fn queries_are_words_phrases_beginnings_and_what_is_not_wanted() {
        let found = query("Foo \"big  Bar\" beg* -no -\"not this\"").unwrap();
        assert_eq!(
            found.wanted,
            [piece(&["foo"], false), piece(&["big", "bar"], false), piece(&["beg"], true)]
        );
        assert_eq!(found.unwanted, [piece(&["no"], false), piece(&["not", "this"], false)]);
        assert_eq!(query("東京都").unwrap().wanted, [piece(&["東京", "京都"], false)]);
        assert_eq!(query("猫").unwrap().wanted, [piece(&["猫"], true)]);
        assert_eq!(query("書くa").unwrap().wanted, [piece(&["書く", "く", "a"], false)]);
        assert_eq!(query("a書").unwrap().wanted, [piece(&["a", "書"], true)]);
        assert_eq!(query("foo-bar").unwrap().wanted, [piece(&["foo", "bar"], false)]);
        assert_eq!(query("\"open end").unwrap().wanted, [piece(&["open", "end"], false)]);
        for nothing in ["", "  ", "!", "-foo", "\"\"", "-", "*", "\"", "--", "-\""] {
            assert_eq!(query(nothing), None, "{nothing}");
        }
        assert_eq!(query(&"a ".repeat(100)).unwrap().wanted.len(), MAX_PIECES);
        assert_eq!(query(&"漢".repeat(100)).unwrap().wanted[0].tokens.len(), MAX_PIECES);
    }

    proptest! {
        #[test]
        fn whatever_is_written_has_sound_tokens(text in "\\PC{0,80}") {
            for token in tokens(&text) {
                prop_assert!(!token.text.is_empty());
                prop_assert!(token.text.chars().all(is_of_word), "{:?}", token);
                prop_assert!(text.get(token.at.clone()).is_some());
                // What is a token once is one token again.
                let again = words(&token.text);
                prop_assert_eq!(again.first(), Some(&token.text));
            }
            drop(query(&text));
        }

        #[test]
        fn each_word_of_a_text_finds_it(text in "[a-zé漢字かな ]{1,40}") {
            let all = words(&text);
            for word in text.split_whitespace() {
                for piece in query(word).map(|query| query.wanted).unwrap_or_default() {
                    let phrase = all.windows(piece.tokens.len()).any(|window| {
                        let (last, before) = window.split_last().unwrap();
                        let (wanted, begin) = piece.tokens.split_last().unwrap();
                        before == begin
                            && if piece.is_prefix { last.starts_with(wanted) } else { last == wanted }
                    });
                    prop_assert!(phrase, "{word} in {all:?}: {piece:?}");
                }
            }
        }
    }
}
