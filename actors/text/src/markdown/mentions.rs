//! People who are named in a text: `@name`.

use std::collections::{BTreeSet, HashMap};

use comrak::nodes::{AstNode, NodeValue};
use comrak::{Arena, Node};
use panel_kernel::ids::Id;
use panel_kernel::names::lookup_key;

/// The most people one post can call: those named first.
pub const MAX_MENTIONS: usize = 20;
/// The most links to people in one post, each of which is much longer than the name.
const MAX_LINKS: usize = 50;
/// How long names are (`docs/accounts.md`), in characters.
const NAME_CHARS: std::ops::RangeInclusive<usize> = 3..=30;

/// People by the keys of their names.
pub type People = HashMap<String, Id>;

/// The address of a person's page, by the key of the name. Nothing in it has a meaning in HTML.
pub type PageOf = fn(&str) -> String;

/// A name in a text: where it begins (its `@`), where it ends, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    from: usize,
    to: usize,
}

impl Found {
    fn name(self, text: &str) -> &str {
        &text[self.from + 1..self.to]
    }
}

/// The keys of the names that a text may be calling. More than it does in the end: what stands in code
/// or in a link is text like any other here.
#[must_use]
pub fn candidates(text: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for found in names(text) {
        if keys.len() == MAX_MENTIONS {
            break;
        }
        keys.insert(lookup_key(found.name(text)));
    }
    keys
}

/// Names after an `@` that is not within a word (an address of mail is no mention).
fn names(text: &str) -> impl Iterator<Item = Found> {
    text.match_indices('@').filter_map(move |(from, _)| {
        let before = text[..from].chars().next_back();
        if before.is_some_and(|c| is_of_name(c) || matches!(c, '@' | '/' | '\\')) {
            return None;
        }
        let rest = &text[from + 1..];
        let name = rest.split(|c| !is_of_name(c)).next().unwrap_or_default();
        // The full stop of a sentence is none of the name.
        let name = name.trim_end_matches(['.', '-']);
        let followed = rest[name.len()..].starts_with('@');
        (NAME_CHARS.contains(&name.chars().count()) && !followed)
            .then(|| Found { from, to: from + 1 + name.len() })
    })
}

/// What a name may have in it.
fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Makes links of the names of `people` where they stand as text: not in code, not in another link. Says
/// whom it found. The links have the names alone: whose they are, if anybody's, is looked up by whoever
/// follows them.
pub(super) fn link<'a>(
    arena: &'a Arena<'a>,
    root: Node<'a>,
    people: &People,
    page_of: PageOf,
) -> BTreeSet<Id> {
    let mut called = BTreeSet::new();
    if people.is_empty() {
        return called;
    }
    let mut left = MAX_LINKS;
    let texts: Vec<Node<'a>> = root.descendants().filter(|node| is_plain(node)).collect();
    for node in texts {
        let NodeValue::Text(text) = node.data.borrow().value.clone() else { continue };
        let mut from = 0;
        for found in names(&text) {
            let key = lookup_key(found.name(&text));
            let Some(id) = people.get(&key) else { continue };
            if left == 0 {
                break;
            }
            left -= 1;
            called.insert(*id);
            if found.from > from {
                insert(arena, node, NodeValue::Text(text[from..found.from].to_owned().into()));
            }
            // Letters, digits and three signs: nothing that HTML gives a meaning to.
            let (page, name) = (page_of(&key), found.name(&text));
            let html = format!("<a class=\"mention\" href=\"{page}\">@{name}</a>");
            insert(arena, node, NodeValue::Raw(html));
            from = found.to;
        }
        if from > 0 {
            node.data.borrow_mut().value = NodeValue::Text(text[from..].to_owned().into());
        }
    }
    called
}

/// Whether it is a text outside of links and pictures.
fn is_plain(node: Node<'_>) -> bool {
    matches!(node.data.borrow().value, NodeValue::Text(_))
        && !node.ancestors().any(|above| {
            matches!(above.data.borrow().value, NodeValue::Link(_) | NodeValue::Image(_))
        })
}

fn insert<'a>(arena: &'a Arena<'a>, before: Node<'a>, value: NodeValue) {
    before.insert_before(arena.alloc(AstNode::from(value)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        candidates(text).into_iter().collect()
    }

    #[test]
    fn names_stand_after_an_at_sign_of_their_own() {
        assert_eq!(keys("hello @Ann, and @bob.b. (@Çem) @x-y-"), ["ann", "bob.b", "x-y", "çem"]);
        for none in ["a@example.org", "@ab", "@", "@@ann", "x/@ann", "@ann@example.org", "@ ann"] {
            assert_eq!(keys(none), [""; 0], "{none}");
        }
        assert!(keys(&format!("@{}", "x".repeat(31))).is_empty());
    }

    #[test]
    fn nobody_calls_everybody() {
        let names: Vec<String> = (0..100).map(|n| format!("@user{n}")).collect();
        assert_eq!(candidates(&names.join(" ")).len(), MAX_MENTIONS);
    }
}
