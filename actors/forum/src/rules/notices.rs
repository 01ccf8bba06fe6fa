//! Who is told of what. Pure.

use std::collections::BTreeMap;

use panel_kernel::ids::Id;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why somebody is told.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NoticeKind {
    /// Somebody answered a post of theirs.
    Reply,
    /// Somebody quoted one.
    Quote,
    /// Somebody called them by name.
    Mention,
    /// Something is new in a thread that they watch.
    Watched,
    /// Somebody reacted to a post of theirs.
    Reaction,
    /// Something was decided about what they wrote, flagged, or may do.
    Moderation,
}

impl NoticeKind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Reply, Self::Quote, Self::Mention, Self::Watched, Self::Reaction, Self::Moderation];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Quote => "quote",
            Self::Mention => "mention",
            Self::Watched => "watched",
            Self::Reaction => "reaction",
            Self::Moderation => "moderation",
        }
    }

    /// The kind of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its bit among those that somebody does not want to hear of.
    pub(crate) const fn bit(self) -> i64 {
        1 << self as i64
    }

    /// Whether somebody may not want to hear of it. What was decided about them, they hear.
    pub(crate) const fn is_optional(self) -> bool {
        !matches!(self, Self::Moderation)
    }
}

/// Whom a new post calls, each once, for the first of these reasons: it answers them, quotes them, names
/// them. Nobody is told of what they did themselves.
pub(crate) fn called(
    author: Id,
    answered: Option<Id>,
    quoted: Option<Id>,
    mentioned: impl IntoIterator<Item = Id>,
) -> BTreeMap<Id, NoticeKind> {
    let mut called = BTreeMap::new();
    let by_reason = answered
        .map(|id| (id, NoticeKind::Reply))
        .into_iter()
        .chain(quoted.map(|id| (id, NoticeKind::Quote)))
        .chain(mentioned.into_iter().map(|id| (id, NoticeKind::Mention)));
    for (id, kind) in by_reason.filter(|(id, _)| *id != author) {
        called.entry(id).or_insert(kind);
    }
    called
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_told_once_and_nobody_of_themselves() {
        let [me, ada, bob] = [1, 2, 3].map(Id::from_raw);
        let told = called(me, Some(ada), Some(ada), [me, ada, bob]);
        assert_eq!(told, BTreeMap::from([(ada, NoticeKind::Reply), (bob, NoticeKind::Mention)]));
        assert!(called(me, Some(me), None, [me]).is_empty());
    }

    #[test]
    fn kinds_have_names_and_bits_of_their_own() {
        let mut bits = 0;
        for kind in NoticeKind::ALL {
            assert_eq!(NoticeKind::named(kind.name()), Some(kind));
            assert_eq!(bits & kind.bit(), 0);
            bits |= kind.bit();
        }
        assert_eq!(NoticeKind::named("gossip"), None);
    }
}
