//! What a write makes old of the public answers that gateways keep.
//!
//! A service tags what it answers everybody ([`CacheFor::tagged`](crate::http::CacheFor::tagged)), coarsely:
//! all lists, one thread. A transaction says what of that it makes **old** (not shown any more while the
//! service can be asked; it may still stand in for it), and what is **gone** (never shown again, whatever
//! fails: deleted, hidden, erased), with [`Tx::makes_old`](crate::data::Tx::makes_old) and its neighbours. A
//! write that says nothing makes everything of its service old, and so does one of which nobody knows whether
//! it was done.
//!
//! What a request has made old comes back with its reply, to the gateway that carried it, and is pushed to all
//! gateways by the service's [`Purger`]; what a service does by itself is pushed alone. What is gone is written in
//! Redis as well, where there is one ([`stamps`]).

mod purger;
pub mod stamps;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use axum::response::{IntoResponseParts, ResponseParts};
use http::HeaderValue;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub use purger::Purger;

use crate::data::PURGE;

/// The most tags that a purge names; of more it is everything.
pub const MOST_TAGS: usize = 32;

/// What of a service's answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// What carries one of these tags.
    Tags(BTreeSet<String>),
    /// All of them, tagged or not.
    Everything,
}

impl Default for Scope {
    fn default() -> Self {
        Self::Tags(BTreeSet::new())
    }
}

impl Scope {
    /// These tags.
    pub fn of<T: Into<String>>(tags: impl IntoIterator<Item = T>) -> Self {
        let mut scope = Self::default();
        scope.add(Self::Tags(tags.into_iter().map(Into::into).collect()));
        scope
    }

    /// Whether it is none.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Tags(tags) if tags.is_empty())
    }

    pub(crate) fn add(&mut self, other: Self) {
        let is_too_much = match (&mut *self, other) {
            (Self::Everything, _) => return,
            (_, Self::Everything) => true,
            (Self::Tags(tags), Self::Tags(more)) => {
                tags.extend(more);
                tags.len() > MOST_TAGS
            }
        };
        if is_too_much {
            *self = Self::Everything;
        }
    }
}

/// What a write makes old. As JSON: `{"old": {"tags": ["threads"]}, "gone": "everything"}`, each left out where
/// it is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purge {
    /// Not to be shown while the service can be asked.
    #[serde(default, skip_serializing_if = "Scope::is_nothing")]
    pub old: Scope,
    /// Not to be shown again.
    #[serde(default, skip_serializing_if = "Scope::is_nothing")]
    pub gone: Scope,
}

impl Purge {
    /// Nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// What carries one of these tags is old.
    pub fn of<T: Into<String>>(tags: impl IntoIterator<Item = T>) -> Self {
        Self { old: Scope::of(tags), gone: Scope::default() }
    }

    /// What carries one of these tags is gone.
    pub fn gone<T: Into<String>>(tags: impl IntoIterator<Item = T>) -> Self {
        Self { old: Scope::default(), gone: Scope::of(tags) }
    }

    /// All answers of the service are old.
    #[must_use]
    pub fn everything() -> Self {
        Self { old: Scope::Everything, gone: Scope::default() }
    }

    /// All answers of the service are gone.
    #[must_use]
    pub fn everything_gone() -> Self {
        Self { old: Scope::default(), gone: Scope::Everything }
    }

    /// And that as well.
    pub fn add(&mut self, other: Self) {
        self.old.add(other.old);
        self.gone.add(other.gone);
    }

    /// Whether it is none.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.old.is_nothing() && self.gone.is_nothing()
    }

    /// The word in metrics: what is gone before what is old, everything before some.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match (&self.gone, &self.old) {
            (Scope::Everything, _) => "everything_gone",
            (gone, _) if !gone.is_nothing() => "gone",
            (_, Scope::Everything) => "everything_old",
            _ => "old",
        }
    }

    /// As it travels.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What has travelled; `None` if it makes no sense, which is to be taken for everything.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// A part of an answer: what its request has made old, where no transaction says so.
impl IntoResponseParts for Purge {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        // What can't be said is said by saying nothing: that is everything.
        if let Ok(text) = HeaderValue::from_str(&self.to_text()) {
            parts.headers_mut().insert(PURGE, text);
        }
        Ok(parts)
    }
}

/// A purge on its way to gateways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeItem {
    /// The exchange it belongs to: the gateway that carried that need not do it twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<u64>,
    /// What is purged.
    pub purge: Purge,
}

/// What a request that is under way is about to make old, known before it is committed: so that it is purged as
/// well where nobody hears of the commit.
#[derive(Clone, Debug, Default)]
pub struct Begun(Arc<Mutex<Purge>>);

impl Begun {
    /// That as well.
    pub(crate) fn add(&self, purge: Purge) {
        self.0.lock().add(purge);
    }

    /// All of it.
    pub(crate) fn so_far(&self) -> Purge {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purges_add_up_and_too_many_tags_are_everything() {
        let mut purge = Purge::nothing();
        assert!(purge.is_nothing());
        purge.add(Purge::of(["threads"]));
        purge.add(Purge::of(["threads", "thread:1"]));
        assert_eq!((purge.kind(), &purge.old), ("old", &Scope::of(["thread:1", "threads"])));
        purge.add(Purge::gone(["thread:1"]));
        assert_eq!(purge.kind(), "gone");
        for n in 0..MOST_TAGS {
            purge.add(Purge::of([format!("thread:{n}")]));
        }
        assert_eq!((&purge.old, &purge.gone), (&Scope::Everything, &Scope::of(["thread:1"])));
        purge.add(Purge::everything_gone());
        assert_eq!(purge.kind(), "everything_gone");
    }

    #[test]
    fn what_travels_is_what_was_sent_and_nonsense_is_nothing_known() {
        let mut mixed = Purge::of(["threads"]);
        mixed.add(Purge::gone(["thread:1"]));
        for purge in [Purge::nothing(), mixed, Purge::everything(), Purge::everything_gone()] {
            assert_eq!(Purge::parse(&purge.to_text()), Some(purge));
        }
        assert_eq!(Purge::nothing().to_text(), "{}");
        let text = r#"{"old":{"tags":["threads"]},"later":1}"#;
        assert_eq!(Purge::parse(text), Some(Purge::of(["threads"])));
        assert_eq!(Purge::parse("threads"), None);
    }
}
