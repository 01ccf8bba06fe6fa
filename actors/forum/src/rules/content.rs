//! Rules for what is written: words and links that are refused, held until moderators have looked, or
//! flagged. Pure.
//!
//! Words are compared as searching compares them (`tokens`): case, accents and compatibility variants
//! don't count, and words of other letters are other words. Links are compared by their hosts, and by the
//! beginning of the path where a rule has one.

use std::collections::HashMap;

use panel_kernel::ids::Id;
use panel_text::tokens::{self, Piece};
use serde::{Deserialize, Serialize};
use url::{Host, Url};
use utoipa::ToSchema;

/// The most rules there may be.
pub(crate) const MAX_RULES: i64 = 1_000;
/// The longest pattern, in characters.
pub(crate) const MAX_PATTERN_CHARS: usize = 100;

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RuleKind {
    /// A word, words in this order, or the beginning of a word (`begin*`).
    Word,
    /// A host with those below it (`example.org`), or the beginning of an address (`example.org/path`).
    Link,
}

/// What becomes of a text that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RuleAction {
    /// It is shown, and moderators look at it.
    Flag,
    /// Only its author and moderators see it until one of these has looked at it.
    Hold,
    /// It is not taken.
    Refuse,
}

impl RuleKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Word => "word",
            Self::Link => "link",
        }
    }
}

impl RuleAction {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Hold => "hold",
            Self::Refuse => "refuse",
        }
    }
}

/// A rule as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContentRule {
    pub(crate) id: Id,
    pub(crate) kind: RuleKind,
    /// In its one form ([`normalised`]).
    pub(crate) pattern: String,
    pub(crate) action: RuleAction,
    /// What an author hears whose text is refused.
    pub(crate) message: String,
}

/// A pattern in its one form; nothing if there is nothing in it to be found.
pub(crate) fn normalised(kind: RuleKind, pattern: &str) -> Option<String> {
    match kind {
        RuleKind::Word => {
            let Piece { tokens, is_prefix } = words(pattern)?;
            Some(tokens.join(" ") + if is_prefix { "*" } else { "" })
        }
        RuleKind::Link => {
            let bare = pattern.split_once("://").map_or(pattern, |(_, rest)| rest);
            let url = Url::parse(&format!("https://{}", bare.trim_start_matches("*."))).ok()?;
            let (host, path) = (host(&url)?, url.path().trim_end_matches('/'));
            (host.contains('.') || path.is_empty()).then(|| format!("{host}{path}"))
        }
    }
}

fn words(pattern: &str) -> Option<Piece> {
    tokens::phrase(pattern)
}

fn host(url: &Url) -> Option<String> {
    Some(match url.host()? {
        Host::Domain(name) => name.trim_end_matches('.').to_owned(),
        address => address.to_string(),
    })
}

/// All rules, ready to be compared with texts. A text costs a look per word and per link, however many
/// rules there are.
#[derive(Debug, Default)]
pub(crate) struct ContentRules {
    rules: Vec<ContentRule>,
    /// By the first of their words; those that are beginnings of one word by themselves.
    words: HashMap<String, Vec<(Piece, usize)>>,
    /// By how long they are, in bytes.
    beginnings: HashMap<usize, HashMap<String, usize>>,
    hosts: HashMap<String, Vec<(String, usize)>>,
}

impl ContentRules {
    /// Of these rules.
    pub(crate) fn new(rules: Vec<ContentRule>) -> Self {
        let mut all = Self::default();
        for (at, rule) in rules.iter().enumerate() {
            match rule.kind {
                RuleKind::Link => {
                    let end = rule.pattern.find('/').unwrap_or(rule.pattern.len());
                    let (host, path) = rule.pattern.split_at(end);
                    all.hosts.entry(host.to_owned()).or_default().push((path.to_owned(), at));
                }
                RuleKind::Word => {
                    let Some(piece) = words(&rule.pattern) else { continue };
                    let Some(first) = piece.tokens.first().cloned() else { continue };
                    if piece.is_prefix && piece.tokens.len() == 1 {
                        let same_length = all.beginnings.entry(first.len()).or_default();
                        let known = same_length.entry(first).or_insert(at);
                        if rules[*known].action < rule.action {
                            *known = at;
                        }
                    } else {
                        all.words.entry(first).or_default().push((piece, at));
                    }
                }
            }
        }
        Self { rules, ..all }
    }

    /// The strictest rule that these texts, with these links, are subject to.
    pub(crate) fn strictest(&self, texts: &[&str], links: &[String]) -> Option<&ContentRule> {
        let mut found: Option<&ContentRule> = None;
        let mut meet = |at: usize| {
            let rule = &self.rules[at];
            if found.is_none_or(|found| found.action < rule.action) {
                found = Some(rule);
            }
        };
        if !self.words.is_empty() || !self.beginnings.is_empty() {
            for text in texts {
                let tokens: Vec<String> =
                    tokens::tokens(text).into_iter().map(|token| token.text).collect();
                self.meet_words(&tokens, &mut meet);
            }
        }
        if !self.hosts.is_empty() {
            for url in links.iter().filter_map(|link| Url::parse(link).ok()) {
                self.meet_link(&url, &mut meet);
            }
        }
        found
    }

    fn meet_words(&self, tokens: &[String], meet: &mut impl FnMut(usize)) {
        for (from, token) in tokens.iter().enumerate() {
            for (piece, at) in self.words.get(token).into_iter().flatten() {
                if begins_with(&tokens[from..], piece) {
                    meet(*at);
                }
            }
            for (length, beginnings) in &self.beginnings {
                if let Some(at) = token.get(..*length).and_then(|begin| beginnings.get(begin)) {
                    meet(*at);
                }
            }
        }
    }

    fn meet_link(&self, url: &Url, meet: &mut impl FnMut(usize)) {
        let Some(host) = host(url) else { return };
        let mut rest = host.as_str();
        loop {
            for (path, at) in self.hosts.get(rest).into_iter().flatten() {
                let after = url.path().strip_prefix(path.as_str());
                if after.is_some_and(|after| {
                    path.is_empty() || matches!(after.chars().next(), None | Some('/'))
                }) {
                    meet(*at);
                }
            }
            match rest.split_once('.') {
                Some((_, above)) => rest = above,
                None => return,
            }
        }
    }
}

/// Whether the words begin with those of the piece.
fn begins_with(tokens: &[String], piece: &Piece) -> bool {
    let Some((last, before)) = piece.tokens.split_last() else { return false };
    let Some(found) = tokens.get(before.len()) else { return false };
    let is_last = if piece.is_prefix { found.starts_with(last.as_str()) } else { found == last };
    is_last && tokens.iter().zip(before).all(|(found, wanted)| found == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(given: &[(RuleKind, &str, RuleAction)]) -> ContentRules {
        let rule =
            |(at, (kind, pattern, action)): (i64, &(RuleKind, &str, RuleAction))| ContentRule {
                id: Id::from_raw(at),
                kind: *kind,
                pattern: normalised(*kind, pattern).unwrap(),
                action: *action,
                message: String::new(),
            };
        ContentRules::new((0..).zip(given).map(rule).collect())
    }

    #[test]
    fn words_are_met_however_they_are_written() {
        use RuleAction::{Flag, Hold, Refuse};
        let all = rules(&[
            (RuleKind::Word, "Viagra", Refuse),
            (RuleKind::Word, "buy now", Hold),
            (RuleKind::Word, "casin*", Flag),
            (RuleKind::Word, "very cheap wa*", Flag),
            (RuleKind::Word, "赌场", Hold),
        ]);
        let met = |text: &str| all.strictest(&[text], &[]).map(|rule| rule.action);
        assert_eq!(met("try VIÁGRA."), Some(Refuse));
        assert_eq!(met("try viagras"), None);
        assert_eq!(met("**buy**, now!"), Some(Hold));
        assert_eq!(met("now buy"), None);
        assert_eq!(met("Casinos, and viagra"), Some(Refuse));
        assert_eq!(met("a casino"), Some(Flag));
        assert_eq!(met("very cheap watches"), Some(Flag));
        assert_eq!(met("very cheap"), None);
        assert_eq!(met("网上赌场很好"), Some(Hold));
        assert_eq!(all.strictest(&["fine", "viagra"], &[]).unwrap().pattern, "viagra");
    }

    #[test]
    fn links_are_met_by_host_and_path() {
        use RuleAction::{Flag, Hold};
        let all = rules(&[
            (RuleKind::Link, "https://Bad.example/", Hold),
            (RuleKind::Link, "good.example/bad", Flag),
            (RuleKind::Link, "*.bücher.example", Hold),
            (RuleKind::Link, "zip", Flag),
        ]);
        let met = |link: &str| all.strictest(&[], &[link.to_owned()]).map(|rule| rule.action);
        assert_eq!(met("http://user@sub.BAD.example:8080/x?y"), Some(Hold));
        assert_eq!(met("https://notbad.example/"), None);
        assert_eq!(met("https://bad.example.org/"), None);
        assert_eq!(met("https://good.example/bad/page"), Some(Flag));
        assert_eq!(met("https://good.example/badly"), None);
        assert_eq!(met("https://xn--bcher-kva.example"), Some(Hold));
        assert_eq!(met("https://archive.zip"), Some(Flag));
        assert_eq!(met("/forum/users/ann"), None);
    }

    #[test]
    fn patterns_have_one_form() {
        let word = |pattern| normalised(RuleKind::Word, pattern);
        assert_eq!(word("  Ça  Va! "), Some("ca va".to_owned()));
        assert_eq!(word("Beg*"), Some("beg*".to_owned()));
        assert_eq!(word("!?"), None);
        let link = |pattern| normalised(RuleKind::Link, pattern);
        assert_eq!(link("HTTP://Example.org./a/"), Some("example.org/a".to_owned()));
        assert_eq!(link(""), None);
        assert_eq!(link("zip/x"), None);
        assert_eq!(link("[::1]"), Some("[::1]".to_owned()));
    }
}
